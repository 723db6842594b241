// SPDX-License-Identifier: Apache-2.0
/*
 * Project quota of ext4 and XFS against what was written: the kernel's count, du(1) and the room agree, and there is no walk. Needs no program of ours;
 * it is here because this suite runs in other kernels too, and many build machines' own kernels have no quota.
 *
 *	/		project 5, inherited
 *	/a		project 7, inherited: measured by quota
 *	/a/below	project 7: its parent's, so walked
 *	/b		project 9, not inherited (a mark on a directory alone): walked
 *	/c		project 0: walked
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "bpf/disk.h"
#include "unit/disk_fixture.h"

#include "base/clock.h"
#include "disk/usage.h"

#define IMAGE_BYTES (400 << 20) /* XFS makes none below 300 MB */

static const struct {
	const char *type;
	const char *mkfs[8];
} types[] = {
	{ "ext4", { "mkfs.ext4", "-q", "-F", "-O", "quota,project", "-E", "quotatype=prjquota,lazy_itable_init=0", NULL } },
	{ "xfs", { "mkfs.xfs", "-q", "-f", NULL } },
};

static int run(const char *const *command, const char *last)
{
	const char *argv[10] = { 0 };
	int status;
	pid_t pid;

	for (size_t i = 0; command[i]; i++) {
		argv[i] = command[i];
		argv[i + 1] = last;
	}
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* Mounted at dir, or skips. */
static void need_quota(size_t type, struct disk *d, const char *dir)
{
	d->fd = -1;
	run((const char *const[]){ "modprobe", "-q", NULL }, "quota_v2");
	if (disk_open(d, IMAGE_BYTES) < 0) {
		print_message("# skip: no loop device: %s\n", strerror(errno));
		skip();
	}
	if (run(types[type].mkfs, d->path) < 0) {
		disk_close(d);
		print_message("# skip: no %s\n", types[type].mkfs[0]);
		skip();
	}
	mkdir(dir, 0700);
	if (mount(d->path, dir, types[type].type, 0, "prjquota") < 0) {
		disk_close(d);
		rmdir(dir);
		print_message("# skip: this kernel has no project quota of %s: %s\n", types[type].type, strerror(errno));
		skip();
	}
}

static void set_project(const char *dir, uint32_t project, bool inherit)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fsxattr x;

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, FS_IOC_FSGETXATTR, &x), 0);
	x.fsx_projid = project;
	x.fsx_xflags = (x.fsx_xflags & ~(uint32_t)FS_XFLAG_PROJINHERIT) | (inherit ? FS_XFLAG_PROJINHERIT : 0);
	assert_int_equal(ioctl(fd, FS_IOC_FSSETXATTR, &x), 0);
	close(fd);
}

static void make(const char *top, const char *name, uint32_t project, bool inherit)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	assert_int_equal(mkdir(path, 0700), 0);
	set_project(path, project, inherit);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "%s/%s/file%d", top, name, i);
		fill(AT_FDCWD, path, 10000);
	}
}

static void measure(struct cgm_disk *d, const char *top, const char *name, enum cgm_disk_source source)
{
	uint64_t walked = cgm_disk_state(d).nr_entries;
	struct cgm_disk_usage u = { 0 };
	struct cgm_disk_mark *m;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	m = cgm_disk_add(d, path);
	assert_non_null(m);
	for (int i = 0; i < 20000 && !cgm_disk_get(d, m, &u); i++)
		usleep(1000);
	assert_true(u.time_ns > 0);
	assert_int_equal(u.source, source);
	assert_int_equal(u.used_bytes, du_bytes(path));
	assert_int_equal(u.used_inodes, du_inodes(path));
	assert_true(u.used_bytes >= 20 * 10000);
	if (source == CGM_DISK_QUOTA)
		assert_int_equal(cgm_disk_state(d).nr_entries, walked);
}

static void measure_all(const char *top)
{
	struct cgm_disk_config c = { .root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), .interval_ns = 3600 * CGM_NSEC_PER_SEC };
	struct cgm_disk *d = NULL;

	assert_int_equal(cgm_disk_open(&c, &d), 0);
	measure(d, top, "a", CGM_DISK_QUOTA);
	measure(d, top, "a/below", CGM_DISK_WALK);
	measure(d, top, "b", CGM_DISK_WALK);
	measure(d, top, "c", CGM_DISK_WALK);
	assert_int_equal(cgm_disk_state(d).nr_failed, 0);
	cgm_disk_close(d);
	close(c.root_fd);
}

/* As before 5.14. */
static void forbid_quotactl_fd(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_quotactl_fd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { ARRAY_SIZE(f), f };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p), 0);
}

static void test_quota(size_t type)
{
	struct disk disk;
	char dir[64];
	int status;
	pid_t pid;

	snprintf(dir, sizeof(dir), "/tmp/cgmbpf-%d.mnt", (int)getpid());
	need_quota(type, &disk, dir);
	set_project(dir, 5, true);
	make(dir, "a", 7, true);
	make(dir, "a/below", 7, true);
	make(dir, "b", 9, false);
	make(dir, "c", 0, false);
	sync();
	measure_all(dir);
	pid = fork();
	if (pid == 0) {
		forbid_quotactl_fd();
		measure_all(dir);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	disk_umount(dir);
	disk_close(&disk);
}

static void test_quota__ext4(void **state)
{
	(void)state;
	test_quota(0);
}

static void test_quota__xfs(void **state)
{
	(void)state;
	test_quota(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quota__ext4),
		cmocka_unit_test(test_quota__xfs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
