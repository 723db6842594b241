// SPDX-License-Identifier: Apache-2.0
#include "disk_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/mem.h"
#include "disk/usage.h"

#define HOUR (3600 * CGM_NSEC_PER_SEC)
#define MSEC CGM_NSEC_PER_MSEC

/* The machine's real root: its table of mounts is the kernel's. */
static struct cgm_disk *start(uint64_t interval_ns, uint64_t max_entries_per_s)
{
	static int root_fd = -1;
	struct cgm_disk_config c = { .interval_ns = interval_ns, .max_entries_per_s = max_entries_per_s };
	struct cgm_disk *d = NULL;

	close(root_fd);
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC); /* anew: a test may have moved us to another mount namespace */
	c.root_fd = root_fd;
	assert_int_equal(cgm_disk_open(&c, &d), 0);
	return d;
}

static struct cgm_disk_mark *mark(struct cgm_disk *d, const struct scratch *s, const char *name)
{
	struct cgm_disk_mark *m;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	m = cgm_disk_add(d, path);
	assert_non_null(m);
	return m;
}

static void wait_for(struct cgm_disk *d, const struct cgm_disk_mark *m, bool wanted, struct cgm_disk_usage *ret)
{
	for (int i = 0; i < 10000 && cgm_disk_get(d, m, ret) != wanted; i++)
		usleep(1000);
	assert_int_equal(cgm_disk_get(d, m, ret), wanted);
}

static void test_disk__as_du(void **state)
{
	struct cgm_disk *d = start(HOUR, 0);
	struct cgm_disk_usage u;
	struct cgm_disk_mark *m;
	struct statfs fs;
	struct scratch s;
	struct stat st;
	uint64_t now;
	char path[96];

	(void)state;
	scratch_open(&s);
	fill_dir(&s, "t/a", 300);
	fill_dir(&s, "t/b/c", 30);
	scratch_link(&s, "t/root", "/");
	snprintf(path, sizeof(path), "%s/t", s.dir);
	m = mark(d, &s, "t");
	wait_for(d, m, true, &u);
	now = cgm_clock_real_ns();
	assert_int_equal(u.used_bytes, du_bytes(path));
	assert_int_equal(u.used_inodes, du_inodes(path));
	assert_int_equal(u.source, CGM_DISK_WALK);
	assert_true(u.time_ns <= now && u.time_ns > now - 60 * CGM_NSEC_PER_SEC);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(u.dev, st.st_dev);
	assert_int_equal(statfs(path, &fs), 0);
	assert_int_equal(u.capacity_bytes, fs.f_blocks * (uint64_t)fs.f_frsize);
	assert_int_equal(u.inodes, fs.f_files);
	assert_true(u.available_bytes && u.available_bytes < u.capacity_bytes && u.inodes_free <= u.inodes);
	assert_int_equal(cgm_disk_state(d).nr_measured, 1);
	assert_int_equal(cgm_disk_state(d).nr_entries, u.used_inodes - 1);
	assert_int_equal(cgm_disk_state(d).nr_failed, 0);
	/* A single file, as logs are. */
	m = mark(d, &s, "t/a/file2");
	wait_for(d, m, true, &u);
	assert_int_equal(u.used_inodes, 1);
	snprintf(path, sizeof(path), "%s/t/a/file2", s.dir);
	assert_int_equal(u.used_bytes, du_bytes(path));
	cgm_disk_close(d);
	scratch_close(&s);
}

/* A file that grows, whose directory does not change by it. */
static void test_disk__again(void **state)
{
	struct cgm_disk *d = start(20 * MSEC, 0);
	struct cgm_disk_usage first, u;
	struct cgm_disk_mark *m;
	struct scratch s;

	(void)state;
	memory_open(&s);
	fill_dir(&s, "t", 3);
	m = mark(d, &s, "t");
	wait_for(d, m, true, &first);
	fill(s.root_fd, "t/file0", 100000);
	for (int i = 0; i < 10000; i++) {
		assert_true(cgm_disk_get(d, m, &u));
		if (u.used_bytes > first.used_bytes)
			break;
		usleep(1000);
	}
	assert_true(u.used_bytes >= first.used_bytes + 100000 && u.time_ns > first.time_ns);
	cgm_disk_close(d);
	scratch_close(&s);
}

static void test_disk__vanishes_and_comes(void **state)
{
	struct cgm_disk *d = start(20 * MSEC, 0);
	struct cgm_disk_usage u = { .used_bytes = 42 };
	struct cgm_disk_mark *m;
	struct scratch s;
	char path[96];

	(void)state;
	memory_open(&s);
	m = mark(d, &s, "t/a");
	usleep(50000);
	assert_false(cgm_disk_get(d, m, &u));
	assert_int_equal(u.used_bytes, 42);
	fill_dir(&s, "t/a", 3);
	wait_for(d, m, true, &u);
	snprintf(path, sizeof(path), "%s/t", s.dir);
	remove_tree(path);
	wait_for(d, m, false, &u);
	assert_int_equal(cgm_disk_state(d).nr_failed, 0);
	cgm_disk_close(d);
	scratch_close(&s);
}

static void test_disk__marks(void **state)
{
	struct cgm_disk *d = start(20 * MSEC, 0);
	struct cgm_disk_mark *a, *b;
	struct cgm_disk_usage u;
	struct scratch s;

	(void)state;
	memory_open(&s);
	fill_dir(&s, "a", 3);
	fill_dir(&s, "b", 3);
	a = mark(d, &s, "a");
	assert_ptr_equal(mark(d, &s, "a"), a);
	b = mark(d, &s, "b");
	assert_int_equal(cgm_disk_state(d).nr_marks, 2);
	wait_for(d, b, true, &u);
	cgm_disk_drop(d, a);
	assert_int_equal(cgm_disk_state(d).nr_marks, 2);
	wait_for(d, a, true, &u);
	cgm_disk_drop(d, a);
	cgm_disk_drop(d, NULL);
	assert_int_equal(cgm_disk_state(d).nr_marks, 1);
	a = mark(d, &s, "a");
	wait_for(d, a, true, &u);
	cgm_disk_close(d);
	cgm_disk_close(NULL);
	scratch_close(&s);
}

static void test_disk__limit(void **state)
{
	uint64_t began = cgm_clock_mono_ns(), took;
	struct cgm_disk *d = start(HOUR, 500);
	struct cgm_disk_usage u;
	struct cgm_disk_mark *m;
	struct scratch s;

	(void)state;
	memory_open(&s);
	fill_dir(&s, "t", 250);
	m = mark(d, &s, "t");
	began = cgm_clock_mono_ns();
	wait_for(d, m, true, &u);
	took = cgm_clock_mono_ns() - began;
	/* 250 at 500/s, of which 50 may be saved up. */
	assert_true(took > 350 * MSEC);
	assert_true(took < 5000 * MSEC);
	assert_int_equal(u.used_inodes, 251);
	cgm_disk_close(d);
	scratch_close(&s);
}

/* In the middle of a walk: at the end of the program, and when a container ends. */
static void test_disk__ends_at_once(void **state)
{
	struct cgm_disk_mark *m, *other;
	struct cgm_disk_usage u;
	struct cgm_disk *d;
	struct scratch s;
	uint64_t began;

	(void)state;
	memory_open(&s);
	fill_dir(&s, "t", 4000);
	fill_dir(&s, "small", 4);
	d = start(HOUR, 200);
	m = mark(d, &s, "t");
	for (int i = 0; i < 5000 && !cgm_disk_state(d).nr_entries; i++)
		usleep(1000);
	assert_true(cgm_disk_state(d).nr_entries > 0);
	began = cgm_clock_mono_ns();
	cgm_disk_drop(d, m);
	other = mark(d, &s, "small");
	wait_for(d, other, true, &u);
	assert_true(cgm_clock_mono_ns() - began < 5000 * MSEC); /* not the ten seconds that the turn would have taken */
	m = mark(d, &s, "t");
	usleep(100000);
	began = cgm_clock_mono_ns();
	cgm_disk_close(d);
	assert_true(cgm_clock_mono_ns() - began < 500 * MSEC);
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

/* More long ones than may be under way at once, then short ones: these are all done first, and the long ones in the end. */
static void test_disk__small_do_not_wait(void **state)
{
	struct cgm_disk *d;
	struct cgm_disk_mark *large[6], *small[20];
	struct cgm_disk_usage u;
	struct scratch s;
	char name[64];
	unsigned nr_done = 0, before;

	(void)state;
	memory_open(&s);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "large%d", i);
		fill_dir(&s, name, 3000 + 3000 * (i == 0));
	}
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "small%d", i);
		fill_dir(&s, name, 10);
	}
	d = start(HOUR, 20000);
	before = nr_fds();
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "large%d", i);
		large[i] = mark(d, &s, name);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "small%d", i);
		small[i] = mark(d, &s, name);
	}
	for (int i = 0; i < 20; i++)
		wait_for(d, small[i], true, &u);
	for (int i = 0; i < 6; i++)
		nr_done += cgm_disk_get(d, large[i], &u);
	assert_true(nr_fds() <= before + 4); /* and four of them keep their place */
	assert_int_equal(nr_done, 0); /* they had one turn each, by which they are known to be long */
	assert_true(cgm_disk_state(d).late_ns > 0);
	for (int i = 0; i < 6; i++) {
		wait_for(d, large[i], true, &u);
		assert_int_equal(u.used_inodes, 3001 + 3000 * (i == 0));
	}
	assert_int_equal(cgm_disk_state(d).late_ns, 0);
	assert_int_equal(cgm_disk_state(d).nr_measured, 26);
	cgm_disk_close(d);
	scratch_close(&s);
}

static pid_t thread_called(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	pid_t found = 0;

	while ((e = readdir(dir)) != NULL) {
		char path[320], comm[32] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, comm, sizeof(comm) - 1) > 0 && strncmp(comm, name, strlen(name)) == 0 && comm[strlen(name)] == '\n')
			found = (pid_t)strtol(e->d_name, NULL, 10);
		close(fd);
	}
	closedir(dir);
	return found;
}

static void test_disk__stands_back(void **state)
{
	struct cgm_disk *d = start(HOUR, 0);
	pid_t tid = 0;

	(void)state;
	for (int i = 0; i < 5000 && (!tid || sched_getscheduler(tid) != SCHED_IDLE); i++) {
		tid = thread_called("disk");
		usleep(1000);
	}
	assert_true(tid > 0);
	assert_int_equal(sched_getscheduler(tid), SCHED_IDLE);
	usleep(20000);
	assert_int_equal(IOPRIO_PRIO_CLASS(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid)), IOPRIO_CLASS_IDLE);
	cgm_disk_close(d);
}

/*
 * A file system whose server answers nothing at all: every call on it waits for ever. Beside it, and around it, is measured what can be.
 */
static void test_disk__dead_server(void **state)
{
	struct cgm_disk_mark *dead, *around, *own;
	int fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char path[96], options[96];
	struct cgm_disk_usage u;
	struct cgm_disk *d;
	struct scratch s;

	(void)state;
	if (fuse_fd < 0 || unshare(CLONE_NEWNS) < 0) {
		close(fuse_fd);
		print_message("# skip: no /dev/fuse, or mounts need CAP_SYS_ADMIN\n");
		skip();
	}
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	scratch_open(&s);
	scratch_dirs(&s, "t/dead/x");
	scratch_dirs(&s, "t/own/x");
	fill(s.root_fd, "t/file", 10000);
	snprintf(path, sizeof(path), "%s/t/own", s.dir);
	assert_int_equal(mount("none", path, "tmpfs", 0, "size=1m"), 0);
	fill(s.root_fd, "t/own/file", 100000);
	snprintf(path, sizeof(path), "%s/t/dead", s.dir);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse_fd);
	assert_int_equal(mount("none", path, "fuse", 0, options), 0);
	alarm(60); /* a thread that waits for that server cannot be joined */
	d = start(20 * MSEC, 0);
	dead = mark(d, &s, "t/dead");
	around = mark(d, &s, "t");
	own = mark(d, &s, "t/own");
	wait_for(d, around, true, &u);
	assert_int_equal(u.used_inodes, 2);
	wait_for(d, own, true, &u);
	assert_int_equal(u.source, CGM_DISK_FS);
	assert_int_equal(u.capacity_bytes, 1 << 20);
	assert_true(u.used_bytes >= 100000 && u.used_bytes < 200000);
	assert_int_equal(u.used_inodes, 2);
	for (int i = 0; i < 5000 && !cgm_disk_state(d).nr_remote; i++)
		usleep(1000);
	assert_false(cgm_disk_get(d, dead, &u));
	assert_int_equal(cgm_disk_state(d).nr_remote, 1);
	assert_int_equal(cgm_disk_state(d).nr_failed, 0);
	cgm_disk_close(d);
	alarm(0);
	close(fuse_fd); /* now it is aborted */
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	snprintf(path, sizeof(path), "%s/t/own", s.dir);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	scratch_close(&s);
}

static void test_disk_open__out_of_memory(void **state)
{
	struct cgm_disk_config c = { .root_fd = AT_FDCWD, .interval_ns = HOUR };
	struct cgm_disk *d = NULL;
	unsigned long n;
	int r;

	(void)state;
	for (n = 1;; n++) {
		cgm_mem_fail_at(n);
		r = cgm_disk_open(&c, &d);
		cgm_mem_fail_at(0);
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(d);
	}
	assert_int_equal(n, 3);
	cgm_disk_close(d);
}

/* Each allocation of the sampler, then of the thread, once: what fails is counted, and good again an interval later. */
static void test_disk__out_of_memory(void **state)
{
	unsigned nr_refused = 0, nr_failed = 0;
	struct scratch s;

	(void)state;
	memory_open(&s);
	fill_dir(&s, "t/a", 5);
	for (unsigned long n = 1; n < 20; n++) {
		struct cgm_disk *d = start(20 * MSEC, 0);
		struct cgm_disk_mark *m;
		struct cgm_disk_usage u;
		char path[96];

		snprintf(path, sizeof(path), "%s/t", s.dir);
		cgm_mem_fail_at(n);
		m = cgm_disk_add(d, path);
		nr_refused += !m;
		if (!m) {
			assert_int_equal(cgm_disk_state(d).nr_marks, 0);
			m = cgm_disk_add(d, path);
		}
		assert_non_null(m);
		wait_for(d, m, true, &u);
		cgm_mem_fail_at(0);
		assert_int_equal(u.used_inodes, 8 - 1);
		nr_failed += cgm_disk_state(d).nr_failed > 0;
		cgm_disk_close(d);
	}
	assert_true(nr_refused >= 3 && nr_failed > 4);
	scratch_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk__as_du),		cmocka_unit_test(test_disk__again),
		cmocka_unit_test(test_disk__vanishes_and_comes), cmocka_unit_test(test_disk__marks),
		cmocka_unit_test(test_disk__limit),		cmocka_unit_test(test_disk__ends_at_once),
		cmocka_unit_test(test_disk__small_do_not_wait), cmocka_unit_test(test_disk__stands_back),
		cmocka_unit_test(test_disk__dead_server),	cmocka_unit_test(test_disk_open__out_of_memory),
		cmocka_unit_test(test_disk__out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
