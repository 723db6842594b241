// SPDX-License-Identifier: Apache-2.0
#include "disk_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/mem.h"
#include "disk/place.h"
#include "disk/walk.h"

static struct cgm_walk_sum walk_fd(int fd, bool careful, size_t step)
{
	struct cgm_walk *w = NULL;
	struct cgm_walk_sum sum;
	size_t nr;
	int r;

	assert_int_equal(cgm_walk_new(fd, careful, &w), 0);
	while ((r = cgm_walk_step(w, step, NULL, &nr)) == 0)
		assert_int_equal(nr, step);
	assert_int_equal(r, 1);
	sum = *cgm_walk_sum(w);
	cgm_walk_free(w);
	return sum;
}

static struct cgm_walk_sum walk(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct cgm_walk_sum sum;

	assert_true(fd >= 0);
	sum = walk_fd(fd, false, 1000);
	close(fd);
	return sum;
}

/* By every way there is: names, descriptors, without openat2, an entry at a time. */
static void assert_as_du(const char *path)
{
	uint64_t bytes = du_bytes(path), inodes = du_inodes(path);
	int fd = open(path, O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	for (int way = 0; way < 8; way++) {
		struct cgm_walk_sum sum;

		cgm_open_entry_old(way & 2);
		sum = walk_fd(fd, way & 1, way & 4 ? 1 : 1000);
		assert_int_equal(sum.bytes, bytes);
		assert_int_equal(sum.inodes, inodes);
		assert_int_equal(sum.nr_unread + sum.nr_too_deep + sum.nr_links_lost, 0);
	}
	cgm_open_entry_old(false);
	close(fd);
}

static void test_walk__as_du(void **state)
{
	struct scratch s;
	char path[128];

	(void)state;
	scratch_open(&s);
	assert_as_du(s.dir);
	fill_dir(&s, "many", 1500);
	fill_dir(&s, "a/b/c/d", 7);
	fill_dir(&s, "a/b/e", 3);
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "wide/dir%d/below/x", i);
		scratch_dirs(&s, path);
	}
	assert_as_du(s.dir);
	snprintf(path, sizeof(path), "%s/many/file1", s.dir);
	assert_as_du(path);
	scratch_close(&s);
}

/* What a kernel without openat2, and a seccomp filter that does not know it, answer. */
static int walk_without_openat2(const char *path, unsigned error, uint64_t inodes)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) < 0)
			_exit(2);
		_exit(walk(path).inodes != inodes);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_walk__without_openat2(void **state)
{
	struct scratch s;

	(void)state;
	scratch_open(&s);
	fill_dir(&s, "a/b/c", 7);
	assert_int_equal(walk_without_openat2(s.dir, ENOSYS, 11), 0);
	assert_int_equal(walk_without_openat2(s.dir, EPERM, 11), 0);
	scratch_close(&s);
}

static void test_walk__sparse(void **state)
{
	struct scratch s;
	int fd;

	(void)state;
	scratch_open(&s);
	fd = openat(s.root_fd, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_int_equal(pwrite(fd, "x", 1, 1LL << 39), 1);
	close(fd);
	assert_as_du(s.dir);
	assert_true(walk(s.dir).bytes < 1 << 20);
	scratch_close(&s);
}

static void test_walk__hard_links(void **state)
{
	struct scratch s;
	uint64_t before;
	char name[64];

	(void)state;
	scratch_open(&s);
	scratch_dirs(&s, "other/x");
	for (int i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "one%d", i);
		fill(s.root_fd, name, 5000);
	}
	before = walk(s.dir).bytes;
	for (int i = 0; i < 700; i++) {
		char other[64];

		snprintf(name, sizeof(name), "one%d", i);
		for (int k = 0; k < 2; k++) {
			snprintf(other, sizeof(other), "other/%d-%d", k, i);
			assert_int_equal(linkat(s.root_fd, name, s.root_fd, other, 0), 0);
		}
	}
	assert_as_du(s.dir);
	/* The directory of the links has grown, the files have not. */
	assert_true(walk(s.dir).bytes < before + 700 * 4096);
	scratch_close(&s);
}

/* What would block, lead out or do something when it is opened. */
static void test_walk__links_fifos_sockets(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct scratch s;
	int sock;

	(void)state;
	scratch_open(&s);
	scratch_link(&s, "in/root", "/");
	scratch_link(&s, "in/up", "..");
	scratch_link(&s, "in/nowhere", "nowhere");
	scratch_link(&s, "in/self", "self");
	scratch_link(&s, "in/magic", "/proc/self/root");
	assert_int_equal(mkfifoat(s.root_fd, "in/fifo", 0600), 0);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/in/sock", s.dir);
	assert_int_equal(bind(sock, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_as_du(s.dir);
	assert_int_equal(walk(s.dir).inodes, 2 + 7);
	close(sock);
	scratch_close(&s);
}

static unsigned nr_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void test_walk__deep(void **state)
{
	unsigned before = nr_fds(), most = 0;
	struct cgm_walk *w = NULL;
	struct scratch s;
	size_t nr;
	int r;

	(void)state;
	memory_open(&s);
	close(dig(s.root_fd, "a-name-that-is-long-enough-to-pass-PATH_MAX-soon", 3000));
	close(dig(s.root_fd, "b", 100));
	assert_as_du(s.dir);
	assert_int_equal(cgm_walk_new(s.root_fd, false, &w), 0);
	while ((r = cgm_walk_step(w, 1, NULL, &nr)) == 0)
		most = nr_fds() > most ? nr_fds() : most;
	assert_int_equal(r, 1);
	cgm_walk_free(w);
	assert_true(most <= before + 1 + CGM_WALK_FDS);
	assert_int_equal(nr_fds(), before + 1);
	remove_tree(s.dir);
	close(s.root_fd);
}

static void test_walk__too_deep(void **state)
{
	struct cgm_walk_sum sum;
	struct scratch s;

	(void)state;
	memory_open(&s);
	close(dig(s.root_fd, "d", CGM_WALK_DEPTH + 5));
	sum = walk(s.dir);
	assert_int_equal(sum.nr_too_deep, 1);
	assert_true(sum.inodes >= CGM_WALK_DEPTH);
	remove_tree(s.dir);
	close(s.root_fd);
}

/* A chain of directories, of which the upper ones have eight more with a file each beside the next. */
static void make_ladder(const struct scratch *s, int top_fd)
{
	char path[128] = "top";

	close(dig(top_fd, "d", CGM_WALK_FDS + 10));
	for (int depth = 0; depth < 6; depth++) {
		for (int i = 0; i < 8; i++) {
			char dir[160];

			snprintf(dir, sizeof(dir), "%s/e%d", path, i);
			fill_dir(s, dir, 1);
		}
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/d");
	}
}

/*
 * A directory that we are below, and whose descriptor was given up, is somewhere else when we come back. The one above it is found by its name, unless
 * that has become another's: then what it holds besides is counted as missed. What lies where it was moved to, or in its place, is never counted.
 */
static void moved_while_below(bool replaced)
{
	struct cgm_walk *w = NULL;
	struct cgm_walk_sum sum;
	struct scratch s;
	uint64_t inodes;
	char path[96];
	size_t nr;
	int fd;

	memory_open(&s);
	scratch_dirs(&s, "top/x");
	fd = openat(s.root_fd, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_ladder(&s, fd);
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "out/e%d", i);
		fill_dir(&s, path, 100);
	}
	snprintf(path, sizeof(path), "%s/top", s.dir);
	inodes = du_inodes(path);
	assert_int_equal(cgm_walk_new(fd, false, &w), 0);
	/* Into the deepest: on tmpfs "d", which is the oldest, comes first. */
	assert_int_equal(cgm_walk_step(w, CGM_WALK_FDS + 8, NULL, &nr), 0);
	assert_int_equal(renameat(s.root_fd, "top/d/d/d/d", s.root_fd, "out/d"), 0);
	if (replaced) {
		assert_int_equal(renameat(s.root_fd, "top/d/d/d", s.root_fd, "old"), 0);
		assert_int_equal(renameat(s.root_fd, "out", s.root_fd, "top/d/d/d"), 0);
	}
	assert_int_equal(cgm_walk_step(w, 10000, NULL, &nr), 1);
	sum = *cgm_walk_sum(w);
	assert_true(replaced ? sum.inodes < inodes && sum.inodes >= inodes - 16 : sum.inodes == inodes);
	assert_int_equal(sum.nr_unread, replaced);
	cgm_walk_free(w);
	close(fd);
	scratch_close(&s);
}

static void test_walk__moved_while_below(void **state)
{
	(void)state;
	moved_while_below(false);
	moved_while_below(true);
}

static void test_walk__vanishes(void **state)
{
	struct cgm_walk *w = NULL;
	struct cgm_walk_sum sum;
	struct scratch s;
	char path[96];
	size_t nr;

	(void)state;
	scratch_open(&s);
	fill_dir(&s, "t/a", 50);
	fill_dir(&s, "t/b", 50);
	fill_dir(&s, "t/c", 50);
	snprintf(path, sizeof(path), "%s/t", s.dir);
	assert_int_equal(cgm_walk_new(s.root_fd, false, &w), 0);
	assert_int_equal(cgm_walk_step(w, 20, NULL, &nr), 0);
	remove_tree(path);
	assert_int_equal(cgm_walk_step(w, 1000, NULL, &nr), 1);
	sum = *cgm_walk_sum(w);
	assert_true(sum.inodes >= 20 && sum.inodes < 153);
	assert_int_equal(sum.nr_unread, 0);
	cgm_walk_free(w);
	scratch_close(&s);
}

static void test_walk__stops(void **state)
{
	struct cgm_walk *w = NULL;
	struct scratch s;
	bool stop = true;
	size_t nr;

	(void)state;
	scratch_open(&s);
	fill_dir(&s, "t", 50);
	assert_int_equal(cgm_walk_new(s.root_fd, false, &w), 0);
	assert_int_equal(cgm_walk_step(w, 1000, &stop, &nr), 0);
	assert_int_equal(nr, 0);
	stop = false;
	assert_int_equal(cgm_walk_step(w, 1000, &stop, &nr), 1);
	assert_int_equal(nr, 51);
	cgm_walk_free(w);
	scratch_close(&s);
}

struct swapper {
	int root_fd;
	bool ends;
	unsigned nr;
};

/* A container that would like us to count, or open, what lies outside. */
static void *swap(void *arg)
{
	struct swapper *p = arg;

	for (; !__atomic_load_n(&p->ends, __ATOMIC_RELAXED); __atomic_add_fetch(&p->nr, 1, __ATOMIC_RELAXED))
		if (renameat2(p->root_fd, "t/dir", p->root_fd, "t/link", RENAME_EXCHANGE) < 0)
			return (void *)1;
	return NULL;
}

static void hostile(bool careful, bool old)
{
	uint64_t until = cgm_clock_mono_ns() + 100 * CGM_NSEC_PER_MSEC, rounds = 0;
	struct swapper p = { 0 };
	pthread_t thread;
	struct scratch s;
	void *failed;
	int fd;

	scratch_open(&s);
	fill_dir(&s, "t/dir", 20);
	fill_dir(&s, "outside", 400);
	scratch_link(&s, "t/link", "../outside");
	fd = openat(s.root_fd, "t", O_PATH | O_CLOEXEC);
	p.root_fd = s.root_fd;
	cgm_open_entry_old(old);
	assert_int_equal(pthread_create(&thread, NULL, swap, &p), 0);
	for (; cgm_clock_mono_ns() < until || rounds < 20 || __atomic_load_n(&p.nr, __ATOMIC_RELAXED) < 100; rounds++) {
		struct cgm_walk_sum sum = walk_fd(fd, careful, 1);

		/* itself, a directory or two names for it, its files once or twice, a link: whatever the listing saw, never one of the 400. */
		assert_true(sum.inodes <= 1 + 2 * 21 + 1);
		assert_int_equal(sum.nr_unread, 0);
	}
	__atomic_store_n(&p.ends, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, &failed), 0);
	cgm_open_entry_old(false);
	assert_null(failed);
	close(fd);
	scratch_close(&s);
}

static void test_walk__directory_swapped_with_link(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++)
		hostile(way & 1, way & 2);
}

/* Mounts inside are passed over: another file system, and the same one again. */
static void test_walk__mounts(void **state)
{
	struct cgm_walk_sum sum;
	struct scratch s;
	char path[96], from[96];
	uint64_t inodes;

	(void)state;
	if (unshare(CLONE_NEWNS) < 0) {
		print_message("# skip: mounts need CAP_SYS_ADMIN\n");
		skip();
	}
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	scratch_open(&s);
	fill_dir(&s, "t/plain", 5);
	fill_dir(&s, "outside", 10);
	scratch_dirs(&s, "t/tmpfs/x");
	scratch_dirs(&s, "t/bind/x");
	scratch_put(&s, "t/file", "x");
	inodes = du_inodes(s.dir);
	snprintf(path, sizeof(path), "%s/t/tmpfs", s.dir);
	assert_int_equal(mount("none", path, "tmpfs", 0, NULL), 0);
	fill_dir(&s, "t/tmpfs/more", 10);
	snprintf(from, sizeof(from), "%s/outside", s.dir);
	snprintf(path, sizeof(path), "%s/t/bind", s.dir);
	assert_int_equal(mount(from, path, NULL, MS_BIND, NULL), 0);
	snprintf(from, sizeof(from), "%s/outside/file2", s.dir);
	snprintf(path, sizeof(path), "%s/t/file", s.dir);
	assert_int_equal(mount(from, path, NULL, MS_BIND, NULL), 0);
	for (int way = 0; way < 4; way++) {
		cgm_open_entry_old(way & 2);
		sum = walk_fd(s.root_fd, way & 1, 1000);
		assert_int_equal(sum.inodes, inodes - 3);
		assert_int_equal(sum.nr_unread, 0);
	}
	cgm_open_entry_old(false);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	snprintf(path, sizeof(path), "%s/t/bind", s.dir);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	snprintf(path, sizeof(path), "%s/t/tmpfs", s.dir);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	scratch_close(&s);
}

static void test_walk__unreadable(void **state)
{
	struct cgm_walk_sum sum;
	struct scratch s;
	uid_t uid = geteuid();

	(void)state;
	scratch_open(&s);
	fill_dir(&s, "t/closed", 5);
	fill_dir(&s, "t/open", 5);
	if (uid == 0) {
		assert_int_equal(fchmod(s.root_fd, 0755), 0);
		assert_int_equal(fchmodat(s.root_fd, "t", 0755, 0), 0);
		assert_int_equal(fchmodat(s.root_fd, "t/open", 0755, 0), 0);
		assert_int_equal(seteuid(65534), 0);
	} else {
		assert_int_equal(fchmodat(s.root_fd, "t/closed", 0, 0), 0);
	}
	sum = walk_fd(s.root_fd, false, 1000);
	assert_int_equal(seteuid(uid), 0);
	/* As du does: the directory itself is counted. */
	assert_int_equal(sum.inodes, 1 + 1 + 1 + 6);
	assert_int_equal(sum.nr_unread, 1);
	assert_int_equal(fchmodat(s.root_fd, "t/closed", 0700, 0), 0);
	scratch_close(&s);
}

static int walk_all(int fd)
{
	struct cgm_walk *w = NULL;
	int r = cgm_walk_new(fd, false, &w);
	size_t nr;

	while (r == 0)
		r = cgm_walk_step(w, 10, NULL, &nr);
	cgm_walk_free(w);
	return r;
}

static void test_walk__out_of_memory(void **state)
{
	unsigned fds = nr_fds();
	struct scratch s;
	unsigned long n;
	int r;

	(void)state;
	scratch_open(&s);
	fill_dir(&s, "a/b/c", 10);
	assert_int_equal(linkat(s.root_fd, "a/b/c/file1", s.root_fd, "link", 0), 0);
	for (n = 1;; n++) {
		cgm_mem_fail_at(n);
		r = walk_all(s.root_fd);
		cgm_mem_fail_at(0);
		if (r == 1)
			break;
		assert_int_equal(r, -ENOMEM);
	}
	assert_true(n > 4);
	scratch_close(&s);
	assert_int_equal(nr_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk__as_du),	      cmocka_unit_test(test_walk__sparse),
		cmocka_unit_test(test_walk__without_openat2),
		cmocka_unit_test(test_walk__hard_links),      cmocka_unit_test(test_walk__links_fifos_sockets),
		cmocka_unit_test(test_walk__deep),	      cmocka_unit_test(test_walk__too_deep),
		cmocka_unit_test(test_walk__moved_while_below), cmocka_unit_test(test_walk__vanishes),
		cmocka_unit_test(test_walk__stops),	      cmocka_unit_test(test_walk__directory_swapped_with_link),
		cmocka_unit_test(test_walk__mounts),	      cmocka_unit_test(test_walk__unreadable),
		cmocka_unit_test(test_walk__out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
