// SPDX-License-Identifier: Apache-2.0
/*
 * Block I/O against what was asked for: O_DIRECT writes and reads on a loop device of our own. Bytes and requests must be exact.
 */
#include <linux/aio_abi.h>
#include <sys/syscall.h>

#include "bpf/disk.h"
#include "kernel/internal.h"

#define CHUNK (64 * 1024)
#define NR_CHUNKS 32

static void *aligned_chunk(void)
{
	void *p = NULL;

	if (posix_memalign(&p, 4096, CHUNK))
		_exit(97);
	memset(p, 0x5a, CHUNK);
	return p;
}

static void write_all(void *arg)
{
	void *p = aligned_chunk();
	int fd = open(((struct disk *)arg)->path, O_RDWR | O_DIRECT);

	for (int i = 0; i < NR_CHUNKS; i++)
		if (pwrite(fd, p, CHUNK, (off_t)i * CHUNK) != CHUNK)
			_exit(98);
}

static void read_half(void *arg)
{
	void *p = aligned_chunk();
	int fd = open(((struct disk *)arg)->path, O_RDONLY | O_DIRECT);

	for (int i = 0; i < NR_CHUNKS / 2; i++)
		if (pread(fd, p, CHUNK, (off_t)i * CHUNK) != CHUNK)
			_exit(98);
}

static struct cgm_block read_block(struct rig *t, uint32_t slot, uint32_t dev, enum cgm_block_op op)
{
	struct cgm_block sum = { 0 };
	const struct cgm_block *b;
	enum cgm_block_op o;
	size_t iter = 0;
	uint32_t d;

	while ((b = cgm_kernel_next_block(t->kernel, slot, &iter, &d, &o)))
		if (d == dev && o == op)
			sum = *b;
	return sum;
}

static uint64_t nr_errors(const struct cgm_block *b)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < CGM_NR_BLOCK_ERRORS; i++)
		sum += b->errors[i];
	return sum;
}

static void test_block__direct(void **state)
{
	struct rig *t = *state;
	struct disk d = { .fd = -1 };
	struct cgm_block w, r;
	char path[64];
	uint32_t slot;

	if (!cgm_kernel_has(t->kernel, "block")) {
		print_message("# skip: no block programs on this kernel\n");
		skip();
	}
	if (disk_open(&d, NR_CHUNKS * CHUNK) < 0) {
		print_message("# skip: no loop device: %s\n", strerror(errno));
		skip();
	}
	group_path(path, sizeof(path), "io");
	group_make(t, path);
	slot = block_slot(t, path);
	assert_int_not_equal(slot, CGM_SLOT_OVERFLOW);
	group_run(t, path, write_all, &d, NULL);
	group_run(t, path, read_half, &d, NULL);
	cgm_kernel_sweep(t->kernel);
	w = read_block(t, slot, d.dev, CGM_BLOCK_WRITE);
	r = read_block(t, slot, d.dev, CGM_BLOCK_READ);
	assert_int_equal(w.bytes, NR_CHUNKS * CHUNK);
	assert_int_equal(r.bytes, NR_CHUNKS / 2 * CHUNK);
	assert_true(w.requests >= NR_CHUNKS);
	assert_int_equal(w.issued, w.requests);
	assert_int_equal(nr_errors(&w), 0);
	assert_int_equal(w.sizes[2], w.requests); /* up to 64 KiB */
	assert_int_equal(w.requeues, 0);
	assert_int_equal(w.sync_bytes, w.bytes); /* O_DIRECT is synchronous */
	assert_int_equal(cgm_hist_count(&w.queue_to_done), w.requests);
	assert_int_equal(cgm_hist_count(&w.issue_to_done), w.requests);
	assert_true(w.queue_to_done.sum_ns >= w.issue_to_done.sum_ns);
	disk_close(&d);
	group_remove(t, path);
}

/* A disk and a cgroup with a slot for it; skips when there is none. */
static uint32_t disk_and_group(struct rig *t, struct disk *d, char *path, size_t size)
{
	uint32_t slot;

	if (!cgm_kernel_has(t->kernel, "block")) {
		print_message("# skip: no block programs on this kernel\n");
		skip();
	}
	if (disk_open(d, NR_CHUNKS * CHUNK) < 0) {
		print_message("# skip: no loop device\n");
		skip();
	}
	group_path(path, size, "io");
	group_make(t, path);
	slot = block_slot(t, path);
	assert_int_not_equal(slot, CGM_SLOT_OVERFLOW);
	return slot;
}

static size_t program_index(const char *name)
{
	size_t i = 0;

	while (strcmp(cgm_program_defs[i].name, name) != 0)
		assert_true(++i < cgm_nr_program_defs);
	return i;
}

/* A sweep passes over a map in which nothing was counted since the last one; what comes after such sweeps is not missed. */
static void test_block__after_silence(void **state)
{
	struct rig *t = *state;
	struct disk d = { .fd = -1 };
	char path[64];
	uint32_t slot = disk_and_group(t, &d, path, sizeof(path));
	const struct cgm_keyed *m = &t->kernel->keyed[CGM_KEYED_BLOCK];
	unsigned silent = 0;

	for (uint64_t i = 1; i <= 3; i++) {
		group_run(t, path, write_all, &d, NULL);
		cgm_kernel_sweep(t->kernel);
		assert_int_equal(read_block(t, slot, d.dev, CGM_BLOCK_WRITE).bytes, i * NR_CHUNKS * CHUNK);
		cgm_kernel_sweep(t->kernel); /* looks once more */
		cgm_kernel_sweep(t->kernel);
		silent += !m->moved;
		assert_int_equal(read_block(t, slot, d.dev, CGM_BLOCK_WRITE).bytes, i * NR_CHUNKS * CHUNK);
	}
	assert_true(silent > 0);
	disk_close(&d);
	group_remove(t, path);
}

/*
 * While nothing is told of ends, requests are issued; the kernel uses their places again later, and then they are counted. It prefers the place
 * that was freed last (sbitmap_queue_clear() of lib/sbitmap.c), so that one that was left when the work went to another CPU may stand aside for
 * long: it is in flight, and not lost.
 */
#define MOST_ASIDE 4
static void test_block__ends_that_nobody_saw(void **state)
{
	struct rig *t = *state;
	struct disk d = { .fd = -1 };
	uint64_t before[CGM_NR_DROPS], after[CGM_NR_DROPS];
	size_t done = program_index("cgm_blk_done");
	const int rounds = 16; /* 128 requests are there to be used */
	char path[64];
	uint32_t slot = disk_and_group(t, &d, path, sizeof(path));
	struct bpf_link **link = &t->kernel->links[done];
	struct cgm_block w;
	uint64_t aside;

	if (!*link) {
		print_message("# skip: block_rq_complete by BTF\n");
		skip();
	}
	cgm_kernel_drops(t->kernel, before);
	bpf_link__destroy(*link);
	group_run(t, path, write_all, &d, NULL);
	*link = bpf_program__attach(bpf_object__find_program_by_name(t->kernel->skel->obj, "cgm_blk_done"));
	assert_non_null(*link);
	for (int i = 1; i < rounds; i++)
		group_run(t, path, write_all, &d, NULL);
	cgm_kernel_sweep(t->kernel);
	cgm_kernel_drops(t->kernel, after);
	w = read_block(t, slot, d.dev, CGM_BLOCK_WRITE);
	assert_int_equal(w.issued, rounds * NR_CHUNKS);
	aside = w.issued - w.requests;
	assert_in_range(aside, 0, MOST_ASIDE);
	assert_int_equal(w.bytes, w.requests * CHUNK);
	assert_int_equal(w.sizes[2], w.requests);
	assert_int_equal(w.sync_bytes, w.bytes);
	assert_int_equal(cgm_hist_count(&w.issue_to_done), (rounds - 1) * NR_CHUNKS);
	assert_true(after[CGM_DROP_BLOCK_DONE] - before[CGM_DROP_BLOCK_DONE] >= NR_CHUNKS - aside);
	disk_close(&d);
	group_remove(t, path);
}

/* One request after the other: the device is busy just while one is with the driver. */
static void test_block__busy_time_of_one_is_its_service_time(void **state)
{
	struct disk d = { .fd = -1 };
	struct cgm_block w;
	char path[64];
	uint32_t slot = disk_and_group(*state, &d, path, sizeof(path));

	group_run(*state, path, write_all, &d, NULL);
	cgm_kernel_sweep(((struct rig *)*state)->kernel);
	w = read_block(*state, slot, d.dev, CGM_BLOCK_WRITE);
	assert_true(w.busy_ns > 0);
	assert_int_equal(w.busy_ns, w.issue_to_done.sum_ns);
	disk_close(&d);
	group_remove(*state, path);
}

/*
 *	a, b	write to the same device at once
 *
 * Busy time is shared out: at least the longer one's time with the driver, at most both together, and never more than has passed.
 */
static void test_block__busy_time_of_two_is_shared_out(void **state)
{
	struct rig *t = *state;
	struct disk d = { .fd = -1 };
	char a[64], b[64];
	uint32_t slot_a = disk_and_group(t, &d, a, sizeof(a)), slot_b;
	uint64_t began, passed, busy;
	struct cgm_block of_a, of_b;
	pid_t pid;
	int status;

	group_path(b, sizeof(b), "io2");
	group_make(t, b);
	slot_b = block_slot(t, b);
	began = cgm_clock_mono_ns();
	pid = group_start(t, b, write_all, &d);
	group_run(t, a, write_all, &d, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	passed = cgm_clock_mono_ns() - began;
	cgm_kernel_sweep(t->kernel);
	of_a = read_block(t, slot_a, d.dev, CGM_BLOCK_WRITE);
	of_b = read_block(t, slot_b, d.dev, CGM_BLOCK_WRITE);
	busy = of_a.busy_ns + of_b.busy_ns;
	assert_true(of_a.busy_ns && of_b.busy_ns);
	assert_true(busy <= passed);
	assert_true(busy <= of_a.issue_to_done.sum_ns + of_b.issue_to_done.sum_ns);
	assert_true(busy >= MAX(of_a.issue_to_done.sum_ns, of_b.issue_to_done.sum_ns));
	disk_close(&d);
	group_remove(t, a);
	group_remove(t, b);
}

/* Neighbours handed over in one call: the block layer makes fewer requests of them. */
static void write_neighbours(void *arg)
{
	struct iocb cb[NR_CHUNKS] = { 0 }, *list[NR_CHUNKS];
	struct io_event events[NR_CHUNKS];
	aio_context_t context = 0;
	void *p = aligned_chunk();
	int fd = open(((struct disk *)arg)->path, O_RDWR | O_DIRECT);

	for (int i = 0; i < NR_CHUNKS; i++) {
		list[i] = &cb[i];
		cb[i].aio_lio_opcode = IOCB_CMD_PWRITE;
		cb[i].aio_fildes = (uint32_t)fd;
		cb[i].aio_buf = (uintptr_t)p;
		cb[i].aio_nbytes = 4096;
		cb[i].aio_offset = (int64_t)i * 4096;
	}
	if (syscall(SYS_io_setup, NR_CHUNKS, &context) < 0)
		_exit(96);
	if (syscall(SYS_io_submit, context, (long)NR_CHUNKS, list) != NR_CHUNKS)
		_exit(95);
	if (syscall(SYS_io_getevents, context, (long)NR_CHUNKS, (long)NR_CHUNKS, events, NULL) != NR_CHUNKS)
		_exit(94);
}

/* Documentation/block/stat.rst: the sixth number is write merges. */
static uint64_t device_merges(const struct disk *d)
{
	unsigned long long v[6] = { 0 };
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", d->dev >> 20, d->dev & 0xfffff);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]), 6);
	fclose(f);
	return v[5];
}

static void allow_merges(const struct disk *d)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/nomerges", d->dev >> 20, d->dev & 0xfffff);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0", 1) < 0)
		print_message("# %s: %s\n", path, strerror(errno));
	close(fd);
}

static bool runs(const struct cgm_kernel *k, const char *name)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(k, &p);

	for (size_t i = 0; i < nr; i++)
		if (strcmp(p[i].name, name) == 0)
			return strcmp(p[i].mode, "off") != 0;
	return false;
}

static void test_block__merges_are_the_devices(void **state)
{
	struct rig *t = *state;
	struct disk d = { .fd = -1 };
	struct cgm_block w;
	uint64_t before, merges;
	char path[64];
	uint32_t slot = disk_and_group(t, &d, path, sizeof(path));

	allow_merges(&d);
	before = device_merges(&d);
	group_run(t, path, write_neighbours, &d, NULL);
	merges = device_merges(&d) - before;
	cgm_kernel_sweep(t->kernel);
	w = read_block(t, slot, d.dev, CGM_BLOCK_WRITE);
	disk_close(&d);
	group_remove(t, path);
	if (!runs(t->kernel, "cgm_bio_back")) {
		print_message("# skip: no merge programs on this kernel\n");
		skip();
	}
	if (!merges) {
		print_message("# skip: merges on a loop device of this kernel\n");
		skip();
	}
	assert_int_equal(w.bytes, NR_CHUNKS * 4096);
	assert_int_equal(w.merged, merges);
	assert_int_equal(w.requests + w.merged, NR_CHUNKS);
}

/* Into the page cache of the device; returns through arg what the kernel's own account of the task says. */
struct buffered {
	struct disk *disk;
	uint64_t *write_bytes; /* UINT64_MAX: no such account on this kernel */
};

static uint64_t own_write_bytes(void)
{
	unsigned long long v = UINT64_MAX;
	FILE *f = fopen("/proc/self/io", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "write_bytes: %llu", &v) == 1)
			break;
	if (f)
		fclose(f);
	return v;
}

static void write_buffered(void *arg)
{
	struct buffered *b = arg;
	void *p = aligned_chunk();
	uint64_t before = own_write_bytes();
	int fd = open(b->disk->path, O_RDWR);

	for (int again = 0; again < 2; again++) /* the second time all of it is dirty already */
		for (int i = 0; i < NR_CHUNKS; i++)
			if (pwrite(fd, p, CHUNK, (off_t)i * CHUNK) != CHUNK)
				_exit(98);
	*b->write_bytes = before == UINT64_MAX ? before : own_write_bytes() - before;
	_exit(0);
}

static void test_dirty__pages_of_who_wrote(void **state)
{
	struct rig *t = *state;
	struct disk d = { .fd = -1 };
	struct buffered b = { .disk = &d };
	struct cgm_block w;
	char path[64];
	uint32_t slot = disk_and_group(t, &d, path, sizeof(path));
	uint64_t wanted = NR_CHUNKS * CHUNK;

	b.write_bytes = mmap(NULL, sizeof(*b.write_bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(b.write_bytes != MAP_FAILED);
	group_run(t, path, write_buffered, &b, NULL);
	cgm_kernel_sweep(t->kernel);
	w = read_block(t, slot, d.dev, CGM_BLOCK_WRITE);
	/* Writeback may begin between the two rounds; then pages are made dirty a second time, and the kernel's account says so too. */
	if (*b.write_bytes != UINT64_MAX)
		wanted = *b.write_bytes;
	assert_true(wanted >= NR_CHUNKS * CHUNK);
	assert_int_equal(w.dirtied_pages * (uint64_t)sysconf(_SC_PAGESIZE), wanted);
	munmap(b.write_bytes, sizeof(*b.write_bytes));
	disk_close(&d);
	group_remove(t, path);
}

struct reader {
	struct disk *d;
	unsigned *nr_failed;
};

/* Nothing is left behind the device: each read fails, and the reader sees it. Older kernels give zeros. */
static void read_nothing(void *arg)
{
	struct reader *a = arg;
	void *p = aligned_chunk();
	int fd = open(a->d->path, O_RDONLY | O_DIRECT);

	for (int i = 0; i < NR_CHUNKS; i++)
		*a->nr_failed += pread(fd, p, 4096, (off_t)i * CHUNK) < 0 && errno == EIO;
}

static void test_block__errors(void **state)
{
	struct rig *t = *state;
	struct disk d = { .fd = -1 };
	struct reader a = { &d, shared_page() };
	char path[64];
	uint32_t slot = disk_and_group(t, &d, path, sizeof(path));
	struct cgm_block r;

	assert_int_equal(truncate(d.file, 0), 0);
	group_run(t, path, read_nothing, &a, NULL);
	if (!*a.nr_failed) {
		disk_close(&d);
		group_remove(t, path);
		print_message("# skip: a loop device reads zeros where its file has ended\n");
		skip();
	}
	assert_int_equal(*a.nr_failed, NR_CHUNKS);
	munmap(a.nr_failed, 4096);
	cgm_kernel_sweep(t->kernel);
	r = read_block(t, slot, d.dev, CGM_BLOCK_READ);
	assert_int_equal(r.errors[CGM_BLOCK_IO], NR_CHUNKS);
	assert_int_equal(nr_errors(&r), NR_CHUNKS);
	assert_int_equal(r.requests, NR_CHUNKS);
	assert_int_equal(r.sizes[0], NR_CHUNKS);
	assert_int_equal(r.bytes, 0);
	disk_close(&d);
	group_remove(t, path);
}

static const struct CMUnitTest block[] = {
	cmocka_unit_test_setup_teardown(test_block__direct, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_block__errors, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_block__after_silence, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_block__ends_that_nobody_saw, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_block__busy_time_of_one_is_its_service_time, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_block__busy_time_of_two_is_shared_out, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_block__merges_are_the_devices, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_dirty__pages_of_who_wrote, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(block)
