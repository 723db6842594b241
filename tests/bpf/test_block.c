// SPDX-License-Identifier: Apache-2.0
/*
 * Block I/O against what was asked for: O_DIRECT writes and reads on a loop device of our own. Bytes and requests must be exact.
 */
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "bpf/util.h"

#define CHUNK (64 * 1024)
#define NR_CHUNKS 32

struct disk {
	char path[64], file[64];
	int fd;
	uint32_t dev;
};

static void load_module(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("modprobe", "modprobe", "-q", "loop", (char *)NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static int disk_open(struct disk *d)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), nr, backing;
	struct stat st;

	if (control < 0) {
		load_module();
		control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	}
	if (control < 0)
		return -1;
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(d->file, sizeof(d->file), "/tmp/cgmbpf-%d.img", (int)getpid());
	snprintf(d->path, sizeof(d->path), "/dev/loop%d", nr);
	backing = open(d->file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (nr < 0 || backing < 0 || ftruncate(backing, NR_CHUNKS * CHUNK) < 0)
		return -1;
	if (access(d->path, F_OK) < 0)
		mknod(d->path, S_IFBLK | 0600, makedev(7, (unsigned)nr));
	d->fd = open(d->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (d->fd < 0 || ioctl(d->fd, LOOP_SET_FD, backing) < 0)
		return -1;
	close(backing);
	fstat(d->fd, &st);
	d->dev = (uint32_t)(major(st.st_rdev) << 20 | minor(st.st_rdev));
	return 0;
}

static void disk_close(struct disk *d)
{
	ioctl(d->fd, LOOP_CLR_FD, 0);
	close(d->fd);
	unlink(d->file);
}

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
	if (disk_open(&d) < 0) {
		print_message("# skip: no loop device\n");
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
	assert_int_equal(w.errors, 0);
	assert_int_equal(w.sync_bytes, w.bytes); /* O_DIRECT is synchronous */
	assert_int_equal(hist_count(&w.queue_to_done), w.requests);
	assert_int_equal(hist_count(&w.issue_to_done), w.requests);
	assert_true(w.queue_to_done.sum_ns >= w.issue_to_done.sum_ns);
	disk_close(&d);
	group_remove(t, path);
}

static const struct CMUnitTest block[] = {
	cmocka_unit_test_setup_teardown(test_block__direct, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(block)
