// SPDX-License-Identifier: Apache-2.0
/*
 * What is counted at functions, where the kernel allows it: pauses by the CPU quota against cpu.stat, operations on files and names against what
 * was done.
 */
#include <sys/vfs.h>

#include "bpf/util.h"

#define NR_FILES 20
#define NR_READS 50
#define NR_WRITES 30
#define NR_MISSING 40

static int setup(void **state)
{
	return rig_setup_with(state, "+filesystem");
}

static void burn_for_a_second(_unused_ void *arg)
{
	uint64_t end = cgm_clock_mono_ns() + (slow() ? 6 : 2) * 1000000000ULL;

	while (cgm_clock_mono_ns() < end)
		burn_ns(100000);
}

/* The kernel adds the same pause to throttled_time at the same place, so the sums are equal but for what files round down. */
static void test_trampoline__throttled(void **state)
{
	struct rig *t = *state;
	bool v2 = t->sched_controller == CGM_CTRL_UNIFIED;
	int dir_fd = t->trees.h[t->sched_controller].dir_fd;
	struct cgm_hist h;
	long long wanted;
	char path[64], file[128];
	uint32_t slot;

	need_program(t, "cgm_unthrottle");
	if (v2)
		write_text(dir_fd, "cgroup.subtree_control", "+cpu");
	slot = group_with_slot(t, "throttled", path, sizeof(path));
	snprintf(file, sizeof(file), "%s/%s", path, v2 ? "cpu.max" : "cpu.cfs_quota_us");
	if (write_text(dir_fd, file, v2 ? "10000 100000" : "10000") < 0) {
		print_message("# skip: no CPU quota (CONFIG_CFS_BANDWIDTH)\n");
		skip();
	}
	group_run(t, path, burn_for_a_second, NULL, NULL);
	usleep(300000); /* until the last pause is over */
	h = read_wait(t, slot, CGM_W_THROTTLED);
	snprintf(file, sizeof(file), "%s/cpu.stat", path);
	wanted = v2 ? 1000 * number_of(dir_fd, file, "throttled_usec") : number_of(dir_fd, file, "throttled_time");
	print_message("# %llu pauses, %llu ns, cpu.stat %lld ns\n", (unsigned long long)cgm_hist_count(&h), (unsigned long long)h.sum_ns, wanted);
	assert_true(cgm_hist_count(&h) >= 5);
	assert_near(h.sum_ns, wanted, 10);
	group_remove(t, path);
}

static void use_files(void *arg)
{
	const char *dir = arg;
	char path[128], buf[512] = { 0 };

	for (int i = 0; i < NR_FILES; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/f%d", dir, i);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		for (int j = 0; fd >= 0 && j < NR_WRITES; j++)
			if (write(fd, buf, sizeof(buf)) != sizeof(buf))
				_exit(98);
		lseek(fd, 0, SEEK_SET);
		for (int j = 0; fd >= 0 && j < NR_READS; j++)
			if (read(fd, buf, sizeof(buf)) < 0)
				_exit(97);
		if (fd < 0 || fsync(fd) < 0)
			_exit(96);
		close(fd);
	}
	for (int i = 0; i < NR_MISSING; i++) {
		snprintf(path, sizeof(path), "%s/none%d/f", dir, i);
		if (open(path, O_RDONLY) >= 0)
			_exit(95);
	}
}

/* The operations' kind of file system is that of /dev/shm, a tmpfs everywhere; sync of a tmpfs does nothing, and takes its time. */
static void test_trampoline__files(void **state)
{
	struct rig *t = *state;
	char path[64], dir[] = "/dev/shm/cgmbpf-XXXXXX", file[128];
	struct statfs st;
	uint32_t slot;

	need_program(t, "cgm_vfs_read_in");
	need_program(t, "cgm_lookup");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(statfs(dir, &st), 0);
	assert_int_equal(st.f_type, 0x01021994);
	slot = group_with_slot(t, "files", path, sizeof(path));
	group_run(t, path, use_files, dir, NULL);
	assert_int_equal(cgm_hist_count(&(struct cgm_hist[]){ read_wait(t, slot, CGM_W_FS_READ_TMPFS) }[0]), NR_FILES * NR_READS);
	assert_int_equal(cgm_hist_count(&(struct cgm_hist[]){ read_wait(t, slot, CGM_W_FS_WRITE_TMPFS) }[0]), NR_FILES * NR_WRITES);
	assert_int_equal(cgm_hist_count(&(struct cgm_hist[]){ read_wait(t, slot, CGM_W_FS_OPEN_TMPFS) }[0]), NR_FILES);
	assert_int_equal(cgm_hist_count(&(struct cgm_hist[]){ read_wait(t, slot, CGM_W_FS_SYNC_TMPFS) }[0]), NR_FILES);
	assert_true(read_wait(t, slot, CGM_W_FS_READ_TMPFS).sum_ns > 0);
	/* Each missing directory is a miss; each new file is one, too, but where the kernel creates without a look. */
	print_message("# names: %llu found, %llu missed\n", (unsigned long long)read_count(t, slot, CGM_C_NAMES_FOUND),
		      (unsigned long long)read_count(t, slot, CGM_C_NAMES_MISSED));
	assert_in_range(read_count(t, slot, CGM_C_NAMES_MISSED), NR_MISSING, NR_MISSING + 2 * NR_FILES);
	assert_true(read_count(t, slot, CGM_C_NAMES_FOUND) >= 2 * (NR_FILES + NR_MISSING)); /* dev and shm */
	for (int i = 0; i < NR_FILES; i++) {
		snprintf(file, sizeof(file), "%s/f%d", dir, i);
		unlink(file);
	}
	rmdir(dir);
	group_remove(t, path);
}

static const struct CMUnitTest trampoline[] = {
	cmocka_unit_test_setup_teardown(test_trampoline__throttled, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_trampoline__files, setup, rig_teardown),
};
RUN_BPF_TESTS(trampoline)
