// SPDX-License-Identifier: Apache-2.0
/*
 * Shortage of memory against the memory controller's own accounts, and what else happens to memory against what was asked for.
 *
 *	/cgmbpf-PID-x	in the hierarchies that count, and in that of memory with a limit
 */
#include "bpf/disk.h"

#define LIMIT (16 << 20)
#define FILE_BYTES (48 << 20)

static int memory_dir(struct rig *t)
{
	int fd = t->trees.h[CGM_CTRL_MEMORY].dir_fd;

	return fd >= 0 ? fd : t->trees.h[CGM_CTRL_UNIFIED].dir_fd;
}

static bool memory_v1(struct rig *t)
{
	return t->trees.h[CGM_CTRL_MEMORY].dir_fd >= 0;
}

static void in_group(char *buf, size_t size, const char *path, const char *file)
{
	snprintf(buf, size, "%s/%s", path, file);
}

/* The same cgroup in the hierarchy of memory, limited; skips when that is not to be had. */
static void limit_memory(struct rig *t, const char *path)
{
	char file[128], bytes[32];

	if (memory_v1(t))
		make_in(memory_dir(t), path, NULL);
	in_group(file, sizeof(file), path, memory_v1(t) ? "memory.limit_in_bytes" : "memory.max");
	snprintf(bytes, sizeof(bytes), "%d", LIMIT);
	if (write_text(memory_dir(t), file, bytes) == 0)
		return;
	if (memory_v1(t))
		remove_in(memory_dir(t), path, NULL);
	group_remove(t, path);
	print_message("# skip: no memory controller\n");
	skip();
}

static void unlimit_memory(struct rig *t, const char *path)
{
	if (memory_v1(t))
		remove_in(memory_dir(t), path, NULL);
	group_remove(t, path);
}

struct job {
	struct rig *t;
	const char *path;
	char file[128];
};

/* Called in the child. */
static void join_memory(const struct job *j)
{
	if (memory_v1(j->t))
		join_in(memory_dir(j->t), j->path, NULL);
}

static void read_file(void *arg)
{
	struct job *j = arg;
	static char buf[1 << 16];
	int fd;

	join_memory(j);
	fd = open(j->file, O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < FILE_BYTES / sizeof(buf); i++)
		if (fd < 0 || read(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			_exit(98);
}

/* Written by us, who are in another cgroup, and out of the page cache. */
static void make_file(const char *path)
{
	static char buf[1 << 16];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	for (size_t i = 0; i < FILE_BYTES / sizeof(buf); i++)
		assert_int_equal(write(fd, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

/* Reads a file three times as big as the limit: what is no longer in the cache at the end, the reader itself has freed. */
static void test_memory__limit(void **state)
{
	struct rig *t = *state;
	char path[64], dir[64], file[128];
	struct job j = { .t = t, .path = path };
	uint64_t began, pages, page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct disk d = { .fd = -1 };
	struct cgm_hist h;
	long long left;
	uint32_t slot;

	need_program(t, "cgm_limit_in");
	need_ext4(&d, FILE_BYTES + (32 << 20), dir, sizeof(dir));
	slot = group_with_slot(t, "limit", path, sizeof(path));
	limit_memory(t, path);
	snprintf(j.file, sizeof(j.file), "%s/file", dir);
	make_file(j.file);
	began = cgm_clock_mono_ns();
	group_run(t, path, read_file, &j, NULL);
	pages = read_count(t, slot, CGM_C_RECLAIMED_LIMIT);
	h = read_wait(t, slot, CGM_W_RECLAIM_LIMIT);
	assert_true(cgm_hist_count(&h) > 0);
	assert_true(h.sum_ns > 0 && h.sum_ns < cgm_clock_mono_ns() - began);
	in_group(file, sizeof(file), path, "memory.stat");
	left = number_of(memory_dir(t), file, memory_v1(t) ? "cache" : "file");
	assert_in_range(left, 1, LIMIT);
	print_message("# %llu pages reclaimed in %llu stalls, %lld left\n", (unsigned long long)pages, (unsigned long long)cgm_hist_count(&h),
		      left / (long long)page);
	assert_near(pages, (FILE_BYTES - (uint64_t)left) / page, 50); /* slab pages are reclaimed as well */
	unlimit_memory(t, path);
	disk_umount(dir);
	disk_close(&d);
}

static void grow(void *arg)
{
	join_memory(arg);
	for (size_t i = 0; i < 4; i++) {
		char *p = mmap(NULL, LIMIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		madvise(p, LIMIT, MADV_NOHUGEPAGE);
		memset(p, 1, LIMIT);
	}
}

struct victim {
	struct cgm_event e;
	unsigned nr;
};

static void on_victim(void *arg, const struct cgm_event *e)
{
	struct victim *v = arg;

	if (e->type == CGM_EVENT_OOM) {
		v->e = *e;
		v->nr++;
	}
}

static void test_memory__oom(void **state)
{
	struct rig *t = *state;
	char path[64], file[128];
	struct job j = { .t = t, .path = path };
	struct victim v = { .nr = 0 };
	struct cgm_hist throttled;
	const char *reason;
	struct stat dir;
	long long kills;
	uint32_t slot;
	int status;
	pid_t pid;

	need_program(t, "cgm_oom");
	slot = group_with_slot(t, "oom", path, sizeof(path));
	limit_memory(t, path);
	in_group(file, sizeof(file), path, "memory.swap.max");
	(void)write_text(memory_dir(t), file, "0");
	pid = group_start(t, path, grow, &j);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	in_group(file, sizeof(file), path, memory_v1(t) ? "memory.oom_control" : "memory.events");
	kills = number_of(memory_dir(t), file, "oom_kill");
	assert_int_equal(kills, 1);
	assert_int_equal(read_count(t, slot, CGM_C_OOM_KILLS), kills);
	cgm_kernel_poll(t->kernel, on_victim, &v);
	assert_int_equal(v.nr, 1);
	assert_int_equal(v.e.pid, pid);
	assert_int_equal(v.e.slot, slot);
	assert_string_equal(v.e.path, "test_memory");
	assert_int_equal(fstatat(memory_dir(t), path, &dir, 0), 0);
	assert_int_equal(v.e.cgroup_id, dir.st_ino);
	assert_int_equal(v.e.hierarchy, memory_v1(t) ? t->trees.h[CGM_CTRL_MEMORY].id : 0);
	print_message("# the limit comes from %s\n", program_runs(t, "cgm_oom_begin", &reason) ? "the call" : reason);
	assert_int_equal(v.e.constraint, 3); /* CONSTRAINT_MEMCG */
	assert_int_equal(v.e.limit_id, dir.st_ino);
	/* Nearly all of the limit was its own; some of it had been ours before the fork. Each CPU may hold back some pages of the count. */
	assert_in_range(v.e.anon_pages * (uint64_t)sysconf(_SC_PAGESIZE), LIMIT * 7 / 10, LIMIT * 2);
	throttled = read_wait(t, slot, CGM_W_THROTTLE_NOPROGRESS);
	print_message("# reclaim that got nowhere was throttled %llu times\n", (unsigned long long)cgm_hist_count(&throttled));
	unlimit_memory(t, path);
}

static void compact(_unused_ void *arg)
{
	if (write_text(AT_FDCWD, "/proc/sys/vm/compact_memory", "1") < 0)
		_exit(98);
}

/* Zones that hold pages, by /proc/zoneinfo. */
static unsigned nr_zones(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	unsigned long long n;
	char line[256];
	unsigned nr = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		nr += sscanf(line, " present %llu", &n) == 1 && n > 0;
	fclose(f);
	return nr;
}

/* Asked for by sysctl, the caller compacts each zone once. */
static void test_memory__compaction(void **state)
{
	struct rig *t = *state;
	uint64_t began = cgm_clock_mono_ns();
	struct cgm_hist h;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_compact_in");
	if (access("/proc/sys/vm/compact_memory", W_OK) < 0) {
		print_message("# skip: no vm.compact_memory\n");
		skip();
	}
	slot = group_with_slot(t, "compact", path, sizeof(path));
	group_run(t, path, compact, NULL, NULL);
	h = read_wait(t, slot, CGM_W_COMPACTION);
	assert_in_range(cgm_hist_count(&h), 1, nr_zones());
	assert_true(h.sum_ns > 0 && h.sum_ns < cgm_clock_mono_ns() - began);
	group_remove(t, path);
}

#define NR_PROTECTS 300
#define HUGE (2UL << 20)
#define NR_HUGE 4

static void protect(_unused_ void *arg)
{
	char *p;

	pin_to_cpu(0);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < NR_PROTECTS; i++) {
		*(volatile char *)p = 1;
		if (mprotect(p, 4096, PROT_READ) < 0 || mprotect(p, 4096, PROT_READ | PROT_WRITE) < 0)
			_exit(98);
	}
}

static int setup_tlb(void **state)
{
	return rig_setup_with(state, "+tlb");
}

/* A page that becomes read-only must leave the TLB, each time. */
static void test_memory__tlb(void **state)
{
	struct rig *t = *state;
	uint64_t local, idle;
	uint32_t slot, other;
	char path[64], quiet[64];

	need_program(t, "cgm_tlb");
	slot = group_with_slot(t, "tlb", path, sizeof(path));
	other = group_with_slot(t, "tlb-quiet", quiet, sizeof(quiet));
	group_run(t, path, protect, NULL, NULL);
	local = read_count(t, slot, CGM_C_TLB_LOCAL) + read_count(t, slot, CGM_C_TLB_LOCAL_MM);
	idle = read_count(t, other, CGM_C_TLB_LOCAL) + read_count(t, other, CGM_C_TLB_LOCAL_MM);
	print_message("# %d pages protected, %llu flushes\n", NR_PROTECTS, (unsigned long long)local);
	assert_in_range(local, NR_PROTECTS, NR_PROTECTS * 2 + 200);
	assert_int_equal(idle, 0);
	group_remove(t, path);
	group_remove(t, quiet);
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

struct collapsed {
	bool possible;
	long long huge_kb;
};

static void collapse(void *arg)
{
	struct collapsed *c = arg;
	char *p = mmap(NULL, (NR_HUGE + 1) * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p = (char *)(((uintptr_t)p + HUGE - 1) / HUGE * HUGE);
	/* In steps of half a huge page, so that small pages come even where huge ones always do. */
	for (size_t i = 0; i < NR_HUGE * 2; i++) {
		mprotect(p + i * (HUGE / 2), HUGE / 2, PROT_READ | PROT_WRITE);
		for (size_t j = 0; j < HUGE / 2; j += 4096)
			p[i * (HUGE / 2) + j] = 1;
	}
	c->possible = number_of(AT_FDCWD, "/proc/self/smaps_rollup", "AnonHugePages") == 0 && madvise(p, NR_HUGE * HUGE, MADV_COLLAPSE) == 0;
	c->huge_kb = number_of(AT_FDCWD, "/proc/self/smaps_rollup", "AnonHugePages");
}

static void test_memory__huge_pages(void **state)
{
	struct rig *t = *state;
	struct collapsed *c = shared_page();
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_collapse");
	slot = group_with_slot(t, "huge", path, sizeof(path));
	group_run(t, path, collapse, c, NULL);
	if (!c->possible) {
		group_remove(t, path);
		print_message("# skip: no MADV_COLLAPSE (6.1), huge pages always on, or no room for any\n");
		skip();
	}
	assert_int_equal(read_count(t, slot, CGM_C_COLLAPSE_OK), (unsigned long long)c->huge_kb * 1024 / HUGE);
	assert_int_equal(c->huge_kb * 1024, NR_HUGE * HUGE);
	munmap(c, 4096);
	group_remove(t, path);
}

static const struct CMUnitTest memory[] = {
	cmocka_unit_test_setup_teardown(test_memory__limit, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_memory__oom, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_memory__compaction, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_memory__tlb, setup_tlb, rig_teardown),
	cmocka_unit_test_setup_teardown(test_memory__huge_pages, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(memory)
