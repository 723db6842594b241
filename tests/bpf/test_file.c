// SPDX-License-Identifier: Apache-2.0
/*
 * Waiting for files to reach the disk, on ext4 on a loop device of our own: fsync calls exactly, pauses of a writer who is too fast beside the
 * scheduler's account of the same sleep, the kernel's delay accounting beside /proc/PID/stat.
 */
#include "bpf/disk.h"

#define DISK_BYTES (64 << 20)
#define NR_SYNCS 25

struct place {
	struct disk d;
	char dir[64], file[128];
	long long blkio_ticks;
};

static void need_place(struct place *p)
{
	need_ext4(&p->d, DISK_BYTES, p->dir, sizeof(p->dir));
	snprintf(p->file, sizeof(p->file), "%s/f", p->dir);
}

static void leave_place(struct place *p)
{
	disk_umount(p->dir);
	disk_close(&p->d);
}

static void write_and_sync(void *arg)
{
	struct place *p = arg;
	int fd = open(p->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char buf[4096] = { 1 };

	for (int i = 0; i < NR_SYNCS; i++)
		if (pwrite(fd, buf, sizeof(buf), i * 4096) != sizeof(buf) || (i % 2 ? fsync(fd) : fdatasync(fd)) < 0)
			_exit(98);
}

static void test_file__fsync(void **state)
{
	struct rig *t = *state;
	struct place p;
	uint64_t began, passed;
	struct cgm_hist h;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_ext4_sync");
	need_place(&p);
	slot = group_with_slot(t, "fsync", path, sizeof(path));
	began = cgm_clock_mono_ns();
	group_run(t, path, write_and_sync, &p, NULL);
	passed = cgm_clock_mono_ns() - began;
	h = read_wait(t, slot, CGM_W_FSYNC_EXT4);
	assert_int_equal(cgm_hist_count(&h), NR_SYNCS);
	assert_true(h.sum_ns > 0 && h.sum_ns < passed);
	group_remove(t, path);
	leave_place(&p);
}

/* Each fsync waits for its one page unless the disk was faster than the question. */
static void test_file__writeback_waits(void **state)
{
	struct rig *t = *state;
	struct place p;
	uint64_t waits;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_wb_wait");
	need_place(&p);
	slot = group_with_slot(t, "wb", path, sizeof(path));
	group_run(t, path, write_and_sync, &p, NULL);
	waits = read_count(t, slot, CGM_C_WRITEBACK_WAITS);
	print_message("# %d syncs, %llu waits for pages under writeback\n", NR_SYNCS, (unsigned long long)waits);
	assert_in_range(waits, NR_SYNCS / 2, NR_SYNCS * 4);
	group_remove(t, path);
	leave_place(&p);
}

static void write_fast(void *arg)
{
	struct place *p = arg;
	int fd = open(p->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	static char buf[1 << 16];

	for (int i = 0; i < (32 << 20) / (int)sizeof(buf); i++)
		if (write(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			_exit(98);
}

/* The device alone may have hardly any dirty pages (since 6.2: 8e9d5ead865a). */
static bool limit_dirty(const struct disk *d)
{
	char file[96], bdi[64];

	snprintf(bdi, sizeof(bdi), "/sys/class/bdi/%u:%u", d->dev >> 20, d->dev & 0xfffff);
	snprintf(file, sizeof(file), "%s/strict_limit", bdi);
	if (write_text(AT_FDCWD, file, "1") < 0)
		return false;
	snprintf(file, sizeof(file), "%s/max_bytes", bdi);
	return write_text(AT_FDCWD, file, "1048576") == 0;
}

/* A pause is slept as I/O wait: the scheduler's account has at least as much. */
static void test_file__dirty_pause(void **state)
{
	struct rig *t = *state;
	const char *reason;
	struct place p;
	struct cgm_sched s;
	struct cgm_hist h;
	uint32_t slot;
	char path[64];

	if (!program_runs(t, "cgm_dirty_wait2", &reason))
		need_program(t, "cgm_dirty_wait");
	need_place(&p);
	if (!limit_dirty(&p.d)) {
		leave_place(&p);
		print_message("# skip: dirty pages of one device cannot be limited before 6.2\n");
		skip();
	}
	slot = group_with_slot(t, "pause", path, sizeof(path));
	group_run(t, path, write_fast, &p, NULL);
	h = read_wait(t, slot, CGM_W_DIRTY_PAUSE);
	s = read_sched(t, slot);
	print_message("# %llu pauses of %.3f s in all, %.3f s in I/O wait\n", (unsigned long long)cgm_hist_count(&h), (double)h.sum_ns / 1e9,
		      (double)s.off_cpu[CGM_OFF_IOWAIT].sum_ns / 1e9);
	assert_true(cgm_hist_count(&h) > 0);
	/* A pause ends at a tick: one of n takes between n - 1 and n, or more when the CPU is late. */
	assert_true(s.off_cpu[CGM_OFF_IOWAIT].sum_ns >= h.sum_ns / 3);
	assert_true(cgm_hist_count(&s.off_cpu[CGM_OFF_IOWAIT]) >= cgm_hist_count(&h));
	group_remove(t, path);
	leave_place(&p);
}

/* Field 42 of /proc/PID/stat is the delay for block I/O, in clock ticks. */
static long long my_blkio_ticks(void)
{
	char buf[1024], *p;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, buf, sizeof(buf) - 1);

	if (len <= 0)
		return -1;
	buf[len] = '\0';
	p = strrchr(buf, ')');
	for (int field = 2; p && field < 42; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoll(p, NULL, 10) : -1;
}

static void read_disk(void *arg)
{
	struct place *p = arg;
	uint64_t end = cgm_clock_mono_ns() + 300000000;
	int fd = open(p->d.path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	void *buf = NULL;

	if (fd < 0 || posix_memalign(&buf, 4096, 4096))
		_exit(97);
	for (int i = 0; cgm_clock_mono_ns() < end; i = (i + 17) % 1000)
		if (pread(fd, buf, 4096, i * 4096) != 4096)
			_exit(98);
	p->blkio_ticks = my_blkio_ticks();
}

static uint64_t run_delayed(struct rig *t, uint32_t slot, const char *path, struct place *p)
{
	uint64_t began = cgm_clock_mono_ns();
	int status, ended;
	pid_t pid = group_start(t, path, read_disk, p);

	/* Looked at while it runs, and at its end. */
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		cgm_kernel_sweep(t->kernel);
		usleep(20000);
		assert_true(cgm_clock_mono_ns() - began < 60000000000ULL);
	}
	assert_int_equal(ended, pid);
	assert_int_equal(status, 0);
	return read_count(t, slot, CGM_C_DELAY_BLKIO);
}

static void test_file__delay_accounting(void **state)
{
	static const char sysctl[] = "/proc/sys/kernel/task_delayacct";
	struct rig *t = *state;
	long long was = number_of(AT_FDCWD, sysctl, NULL);
	struct place *p = shared_page();
	uint64_t ns, tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_task_walk");
	need_program(t, "cgm_exit");
	if (was < 0 || write_text(AT_FDCWD, sysctl, "1") < 0) {
		print_message("# skip: this kernel has no delay accounting to switch on\n");
		skip();
	}
	need_place(p);
	slot = group_with_slot(t, "delay", path, sizeof(path));
	ns = run_delayed(t, slot, path, p);
	if (!was)
		assert_int_equal(write_text(AT_FDCWD, sysctl, "0"), 0);
	print_message("# %.3f s by us, %lld ticks by /proc\n", (double)ns / 1e9, p->blkio_ticks);
	assert_true(p->blkio_ticks > 0);
	assert_in_range(ns, (unsigned long long)p->blkio_ticks * tick_ns, (unsigned long long)(p->blkio_ticks + 2) * tick_ns);
	group_remove(t, path);
	leave_place(p);
	munmap(p, 4096);
}

static const struct CMUnitTest file[] = {
	cmocka_unit_test_setup_teardown(test_file__fsync, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_file__writeback_waits, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_file__dirty_pause, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_file__delay_accounting, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(file)
