// SPDX-License-Identifier: Apache-2.0
#include "disk_fixture.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "disk/place.h"

#define ROOT "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"

/* Opens and closes; what is said of it. */
static int place(int root_fd, const char *path, struct cgm_place *ret)
{
	struct cgm_mounts *t = cgm_mounts_new(root_fd);
	struct cgm_place p;
	int r;

	assert_non_null(t);
	r = cgm_place_open(t, path, &p);
	cgm_mounts_free(t);
	if (r < 0)
		return r;
	if (ret) {
		*ret = p;
		return 0;
	}
	close(p.fd);
	close(p.parent_fd);
	return 0;
}

static void assert_leads_to(const struct scratch *s, const char *path, const char *to)
{
	struct cgm_place p;
	struct stat is, wanted;

	assert_int_equal(place(s->root_fd, path, &p), 0);
	assert_int_equal(fstat(p.fd, &is), 0);
	assert_int_equal(fstatat(s->root_fd, to, &wanted, 0), 0);
	assert_int_equal(is.st_ino, wanted.st_ino);
	close(p.fd);
	close(p.parent_fd);
}

static void test_place_open__links(void **state)
{
	struct scratch s;

	(void)state;
	for (int old = 0; old < 2; old++) {
		cgm_open_entry_old(old);
		scratch_open(&s);
		scratch_put(&s, "proc/1/mountinfo", ROOT);
		scratch_put(&s, "data/docker/file", "x");
		scratch_link(&s, "var/lib/docker", "/data/docker");
		scratch_link(&s, "var/up", "../../../../data");
		scratch_link(&s, "var/two", "lib/docker/../docker/file");
		scratch_link(&s, "var/loop", "loop");
		scratch_link(&s, "rootlink", "data");
		assert_leads_to(&s, "/data/docker", "data/docker");
		assert_leads_to(&s, "//data/./docker//", "data/docker");
		/* As in the machine's root, not in ours. */
		assert_leads_to(&s, "/var/lib/docker/file", "data/docker/file");
		assert_leads_to(&s, "/var/up/docker", "data/docker");
		assert_leads_to(&s, "/var/two", "data/docker/file");
		assert_leads_to(&s, "/rootlink/docker", "data/docker");
		assert_leads_to(&s, "/var/lib/docker/..", "data");
		assert_leads_to(&s, "/../..", ".");
		assert_int_equal(place(s.root_fd, "/var/loop", NULL), -ELOOP);
		assert_int_equal(place(s.root_fd, "/var/nothing/x", NULL), -ENOENT);
		assert_int_equal(place(s.root_fd, "/data/docker/file/x", NULL), -ENOTDIR);
		scratch_close(&s);
	}
	cgm_open_entry_old(false);
}

static void test_place_open__too_long(void **state)
{
	struct scratch s;
	char path[5000];

	(void)state;
	scratch_open(&s);
	scratch_put(&s, "proc/1/mountinfo", ROOT);
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(place(s.root_fd, path, NULL), -ENAMETOOLONG);
	path[300] = '\0';
	assert_int_equal(place(s.root_fd, path, NULL), -ENAMETOOLONG);
	scratch_close(&s);
}

/* None of these mount points is there: had it been touched, it would be ENOENT. */
static void test_place_open__remote_is_not_touched(void **state)
{
	struct scratch s;

	(void)state;
	scratch_open(&s);
	scratch_put(&s, "proc/1/mountinfo", ROOT
		    "2 1 0:50 / /nfs rw - nfs4 server:/x rw\n"
		    "3 1 0:51 / /with\\040blank rw - fuse.sshfs sshfs rw\n"
		    "4 1 0:52 / /auto rw - autofs systemd-1 rw\n"
		    "5 1 0:53 / /mounted rw - autofs systemd-1 rw\n"
		    "6 5 8:2 / /mounted rw - ext4 /dev/sda2 rw\n"
		    "7 1 0:54 / /covered rw - cifs //server/x rw\n"
		    "8 1 8:3 / /covered rw - ext4 /dev/sda3 rw\n"
		    "9 1 0:55 / /sys rw - sysfs sysfs rw\n"
		    "10 1 0:56 / /dev rw - devtmpfs devtmpfs rw\n");
	scratch_link(&s, "link", "/nfs/data");
	scratch_dirs(&s, "mounted/x");
	scratch_dirs(&s, "nfsother/x");
	scratch_dirs(&s, "dev/shm/x");
	assert_int_equal(place(s.root_fd, "/nfs", NULL), -EREMOTE);
	assert_int_equal(place(s.root_fd, "/nfs/data/x", NULL), -EREMOTE);
	assert_int_equal(place(s.root_fd, "/link/x", NULL), -EREMOTE);
	assert_int_equal(place(s.root_fd, "/with blank/x", NULL), -EREMOTE);
	assert_int_equal(place(s.root_fd, "/auto/x", NULL), -EREMOTE);
	assert_int_equal(place(s.root_fd, "/covered", NULL), -EREMOTE);
	assert_int_equal(place(s.root_fd, "/sys", NULL), -EREMOTE);
	assert_int_equal(place(s.root_fd, "/mounted", NULL), 0);
	assert_int_equal(place(s.root_fd, "/nfsother", NULL), 0);
	assert_int_equal(place(s.root_fd, "/dev/shm", NULL), 0);
	scratch_close(&s);
}

static void test_place_open__names(void **state)
{
	struct cgm_place p;
	struct scratch s;

	(void)state;
	scratch_open(&s);
	scratch_put(&s, "proc/1/mountinfo", ROOT
		    "2 1 0:50 / /run rw - tmpfs tmpfs rw\n"
		    "3 1 8:2 / /vol rw - xfs /dev/sdb rw\n"
		    "4 1 8:1 /srv/x /bind rw - ext4 /dev/sda1 rw\n"
		    "5 1 0:60 / /merged rw - overlay overlay rw\n");
	scratch_dirs(&s, "run/x/x");
	scratch_dirs(&s, "vol/x");
	scratch_dirs(&s, "bind/x");
	scratch_dirs(&s, "merged/x");
	scratch_dirs(&s, "data/x");

	for (size_t i = 0; i < 7; i++) {
		static const struct {
			const char *path, *device;
			bool is_fs_root, has_mounts;
		} wanted[] = {
			{ "/", "/dev/sda1", true, true },	 { "/data", "/dev/sda1", false, false }, { "/run", "/run", true, false },
			{ "/run/x", "/run", false, false },	 { "/vol", "/dev/sdb", true, false },	 { "/bind", "/dev/sda1", false, false },
			{ "/merged", "overlay_0-60", false, false },
		};

		assert_int_equal(place(s.root_fd, wanted[i].path, &p), 0);
		assert_string_equal(p.device, wanted[i].device);
		assert_int_equal(p.is_fs_root, wanted[i].is_fs_root);
		assert_int_equal(p.has_mounts, wanted[i].has_mounts);
		assert_int_equal(p.parent_fd < 0, i == 0);
		close(p.fd);
		close(p.parent_fd);
	}
	scratch_close(&s);
}

/* In a mount namespace of our own: a mount that comes is seen, one that no table names is not entered. */
static void test_place_open__real_mounts(void **state)
{
	struct cgm_place p;
	struct cgm_mounts *t;
	struct scratch s;
	struct stat st;
	char path[96];
	int root_fd;

	(void)state;
	if (unshare(CLONE_NEWNS) < 0) {
		print_message("# skip: mounts need CAP_SYS_ADMIN\n");
		skip();
	}
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	scratch_open(&s);
	scratch_put(&s, "proc/1/mountinfo", ROOT);
	scratch_dirs(&s, "vol/x");
	snprintf(path, sizeof(path), "%s/vol", s.dir);
	t = cgm_mounts_new(root_fd);
	for (int mounted = 0; mounted < 2; mounted++) {
		assert_int_equal(cgm_place_open(t, path, &p), 0);
		assert_int_equal(p.is_fs_root, mounted);
		assert_int_equal(fstat(p.fd, &st), 0);
		assert_int_equal(major(st.st_dev) == 0 && minor(st.st_dev) == minor(p.fs_dev), mounted);
		close(p.fd);
		close(p.parent_fd);
		if (!mounted)
			assert_int_equal(mount("none", path, "tmpfs", 0, NULL), 0);
	}
	for (int old = 0; old < 2; old++) {
		cgm_open_entry_old(old);
		assert_int_equal(place(s.root_fd, "/vol", NULL), -EREMOTE);
	}
	cgm_open_entry_old(false);
	assert_int_equal(place(root_fd, "/proc/self/root", NULL), -EREMOTE);
	cgm_mounts_free(t);
	assert_int_equal(umount(path), 0);
	close(root_fd);
	scratch_close(&s);
}

static void test_place_open__out_of_memory(void **state)
{
	struct cgm_mounts *t = NULL;
	struct cgm_place p;
	struct scratch s;
	unsigned long n;
	int r;

	(void)state;
	scratch_open(&s);
	scratch_put(&s, "proc/1/mountinfo", ROOT "2 1 0:50 / /nfs rw - nfs4 server:/x rw\n");
	scratch_link(&s, "a/b", "/a");
	for (n = 1;; n++) {
		cgm_mem_fail_at(n);
		t = cgm_mounts_new(s.root_fd);
		r = t ? cgm_place_open(t, "/a/b", &p) : -ENOMEM;
		cgm_mem_fail_at(0);
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		/* Half a table would let the server in. */
		if (t)
			assert_int_equal(cgm_place_open(t, "/nfs", &p), -EREMOTE);
		cgm_mounts_free(t);
	}
	assert_true(n > 4);
	close(p.fd);
	close(p.parent_fd);
	cgm_mounts_free(t);
	scratch_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place_open__links),	cmocka_unit_test(test_place_open__too_long),
		cmocka_unit_test(test_place_open__remote_is_not_touched), cmocka_unit_test(test_place_open__names),
		cmocka_unit_test(test_place_open__real_mounts), cmocka_unit_test(test_place_open__out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
