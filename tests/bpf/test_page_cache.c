// SPDX-License-Identifier: Apache-2.0
/*
 * The page cache and faults against what was read, the child's own getrusage(), and the memory controller's huge pages.
 */
#include "bpf/disk.h"

#define FILE_BYTES (8 << 20)
#define NR_PAGES 2000
#define HUGE (2UL << 20)
#define NR_HUGE 4

static int setup(void **state)
{
	return rig_setup_with(state, "+page_cache");
}

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

static void read_all(void *arg)
{
	int fd = open(arg, O_RDONLY | O_CLOEXEC);
	static char buf[4096];

	for (size_t i = 0; i < FILE_BYTES / sizeof(buf); i++)
		if (read(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			_exit(98);
}

/* From the disk once: each page is added once; from memory: none is. A page a read is a lookup each. */
static void test_cache__reads(void **state)
{
	struct rig *t = *state;
	uint64_t first, second, lookups, nr = FILE_BYTES / 4096;
	struct disk d;
	char path[64], dir[64], file[128];
	const char *reason;
	uint32_t slot;

	need_program(t, "cgm_cache_add");
	need_ext4(&d, FILE_BYTES + (24 << 20), dir, sizeof(dir));
	snprintf(file, sizeof(file), "%s/f", dir);
	make_file(file);
	slot = group_with_slot(t, "cache", path, sizeof(path));
	group_run(t, path, read_all, file, NULL);
	first = read_count(t, slot, CGM_C_CACHE_ADDED);
	lookups = read_count(t, slot, CGM_C_CACHE_READS);
	group_run(t, path, read_all, file, NULL);
	second = read_count(t, slot, CGM_C_CACHE_ADDED) - first;
	print_message("# %llu pages: %llu added at first, %llu then; %llu lookups\n", (unsigned long long)nr, (unsigned long long)first,
		      (unsigned long long)second, (unsigned long long)lookups);
	/* Besides: the file's own metadata. */
	assert_in_range(first, nr, nr + 40);
	assert_in_range(second, 0, 10);
	if (program_runs(t, "cgm_cache_get", &reason))
		assert_in_range(lookups, nr, nr + 40);
	else
		print_message("# skip: cgm_cache_get: %s\n", reason);
	group_remove(t, path);
	disk_umount(dir);
	disk_close(&d);
}

static void touch(void *arg)
{
	size_t bytes = NR_PAGES * 4096UL;
	struct rusage before, after;
	char *p;

	getrusage(RUSAGE_SELF, &before);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(p, bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < bytes; i += 4096)
		(void)*(volatile char *)(p + i); /* the page of zeros */
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1; /* one of its own */
	getrusage(RUSAGE_SELF, &after);
	*(long *)arg = after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt;
}

static void test_cache__faults(void **state)
{
	struct rig *t = *state;
	long *faults = shared_page();
	uint64_t reads, protected, all;
	struct rusage ru;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_fault_user");
	slot = group_with_slot(t, "faults", path, sizeof(path));
	group_run(t, path, touch, faults, &ru);
	reads = read_count(t, slot, CGM_C_FAULT_READ);
	protected = read_count(t, slot, CGM_C_FAULT_PROTECTED);
	all = reads + protected + read_count(t, slot, CGM_C_FAULT_WRITE) + read_count(t, slot, CGM_C_FAULT_EXEC) +
	      read_count(t, slot, CGM_C_FAULT_KERNEL);
	print_message("# getrusage: %ld there, %ld in all; we: %llu reads, %llu protected, %llu in all\n", *faults, ru.ru_minflt + ru.ru_majflt,
		      (unsigned long long)reads, (unsigned long long)protected, (unsigned long long)all);
	assert_in_range(*faults, 2 * NR_PAGES, 2 * NR_PAGES + 50);
	assert_in_range(reads, NR_PAGES, NR_PAGES + 200);
	assert_in_range(protected, NR_PAGES, NR_PAGES + 300);
	/* Not ours: before it joined. Not theirs: a fault that found it done already. */
	assert_in_range(all, *faults, (uint64_t)(ru.ru_minflt + ru.ru_majflt) * 105 / 100);
	munmap(faults, 4096);
	group_remove(t, path);
}

static void touch_huge(void *arg)
{
	char *p = mmap(NULL, (NR_HUGE + 1) * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p = (char *)(((uintptr_t)p + HUGE - 1) / HUGE * HUGE);
	madvise(p, NR_HUGE * HUGE, MADV_HUGEPAGE);
	for (size_t i = 0; i < NR_HUGE; i++)
		p[i * HUGE] = 1;
	*(long long *)arg = number_of(AT_FDCWD, "/proc/self/smaps_rollup", "AnonHugePages");
}

static void test_cache__huge_faults(void **state)
{
	struct rig *t = *state;
	long long *kb = shared_page();
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_memcg_event");
	slot = group_with_slot(t, "huge", path, sizeof(path));
	group_run(t, path, touch_huge, kb, NULL);
	assert_int_equal(read_count(t, slot, CGM_C_HUGE_FAULTS), (uint64_t)*kb * 1024 / HUGE);
	print_message("# %lld kB of huge pages\n", *kb);
	munmap(kb, 4096);
	group_remove(t, path);
}

static const struct CMUnitTest page_cache[] = {
	cmocka_unit_test_setup_teardown(test_cache__reads, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_cache__faults, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_cache__huge_faults, setup, rig_teardown),
};
RUN_BPF_TESTS(page_cache)
