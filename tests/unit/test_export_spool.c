// SPDX-License-Identifier: Apache-2.0
/* The spool as a killed process leaves it: files cut at every byte, positions that lag behind, files of others, disks that are full. */
#include "export_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "export/spool.h"

struct place {
	struct scratch d;
	char dir[128];
	struct cgm_spool *sp;
	uint64_t lost;
};

static void place_open(struct place *p, uint64_t max_bytes)
{
	char fault[256] = "";

	snprintf(p->dir, sizeof(p->dir), "%s/spool/sink-1", p->d.dir);
	p->lost = 4711;
	if (cgm_spool_open(p->dir, max_bytes, "sink:http://x", &p->sp, &p->lost, fault) < 0)
		fail_msg("%s", fault);
}

static void place_close(struct place *p)
{
	cgm_spool_close(TAKE_PTR(p->sp));
}

static void place_new(struct place *p)
{
	*p = (struct place){ 0 };
	scratch_open(&p->d);
	place_open(p, 1 << 20);
	assert_int_equal(p->lost, 0);
}

static void place_done(struct place *p)
{
	place_close(p);
	scratch_close(&p->d);
}

/* "batch N …", of N + 1 points. */
static size_t text_of(unsigned n, char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "batch %u ", n);

	for (; len + 1 < MIN(size, (size_t)40 + n); len++)
		text[len] = (char)('a' + (len * n) % 26);
	return len;
}

static int put(struct place *p, unsigned n, uint64_t *ret_dropped)
{
	char text[200];
	const struct cgm_spool_batch b = { .data = text, .len = text_of(n, text, sizeof(text)), .nr_points = n + 1, .end_ns = FIXTURE_END_NS + n };

	return cgm_spool_put(p->sp, &b, ret_dropped);
}

static void put_many(struct place *p, unsigned from, unsigned to)
{
	uint64_t dropped;

	for (unsigned n = from; n < to; n++) {
		assert_int_equal(put(p, n, &dropped), 0);
		assert_int_equal(dropped, 0);
	}
}

/* The number of the oldest; -1: there is none. */
static int peek(struct place *p)
{
	_cleanup_(cgm_buf_done) struct cgm_buf data = { 0 };
	struct cgm_spool_batch b;
	char wanted[200];
	uint64_t lost;
	unsigned n;
	int r = cgm_spool_read(p->sp, &data, &b, &lost);

	p->lost += lost;
	if (r == -ENOENT)
		return -1;
	assert_int_equal(r, 0);
	assert_true(cgm_spool_is_reading(p->sp));
	n = (unsigned)b.nr_points - 1;
	assert_int_equal(b.end_ns, FIXTURE_END_NS + n);
	assert_int_equal(b.len, text_of(n, wanted, sizeof(wanted)));
	assert_memory_equal(b.data, wanted, b.len);
	return (int)n;
}

static void take_many(struct place *p, unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++) {
		assert_int_equal(peek(p), n);
		cgm_spool_done(p->sp);
	}
}

static void level(struct place *p, uint64_t batches)
{
	uint64_t bytes, nr;

	cgm_spool_level(p->sp, &bytes, &nr);
	assert_int_equal(nr, batches);
	assert_int_equal(bytes == 0, cgm_spool_is_empty(p->sp));
}

/* Calls fn for each segment file, in order; returns how many there are. */
static unsigned segments(const struct place *p, char names[][64], unsigned max)
{
	DIR *dir = opendir(p->dir);
	struct dirent *e;
	unsigned nr = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		if (strstr(e->d_name, ".spool") && nr < max)
			snprintf(names[nr++], 64, "%.63s", e->d_name);
	closedir(dir);
	return nr;
}

static size_t read_file(const char *dir, const char *name, char *buf, size_t size)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, buf, size);
	assert_true(n >= 0 && (size_t)n < size);
	close(fd);
	return (size_t)n;
}

/* A segment of that number comes twice here, as it never does else: the position of the one before it must not be taken for its. */
static void forget_position(const struct place *p)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/position", p->dir);
	(void)unlink(path);
}

static void write_file(const char *dir, const char *name, const char *p, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	close(fd);
}

static void test_spool__in_order(void **state)
{
	struct place p;

	(void)state;
	place_new(&p);
	assert_int_equal(peek(&p), -1);
	put_many(&p, 0, 20);
	level(&p, 20);
	take_many(&p, 0, 5);
	put_many(&p, 20, 30);
	take_many(&p, 5, 30);
	level(&p, 0);
	assert_int_equal(peek(&p), -1);
	put_many(&p, 30, 31);
	take_many(&p, 30, 31);
	cgm_spool_done(p.sp);
	assert_int_equal(p.lost, 0);
	place_done(&p);
}

/* Closed (or killed: nothing is buffered) at any time, it goes on where it was; what was read but not done comes again. */
static void test_spool__again(void **state)
{
	struct place p;

	(void)state;
	place_new(&p);
	put_many(&p, 0, 10);
	for (unsigned n = 0; n < 10; n++) {
		assert_int_equal(peek(&p), n);
		place_close(&p);
		place_open(&p, 1 << 20);
		level(&p, 10 - n + n); /* one was taken and one was put in each turn */
		take_many(&p, n, n + 1);
		put_many(&p, 10 + n, 11 + n);
		place_close(&p);
		place_open(&p, 1 << 20);
		assert_int_equal(p.lost, 0);
	}
	take_many(&p, 10, 20);
	level(&p, 0);
	place_close(&p);
	place_open(&p, 1 << 20);
	assert_int_equal(peek(&p), -1);
	place_done(&p);
}

/* Whatever part of the last segment reached the disk: whole records come, the torn one is counted. */
static void test_spool__cut_at_every_byte(void **state)
{
	char names[4][64], whole[4096];
	size_t len, ends[5] = { 0 };
	struct place p;

	(void)state;
	place_new(&p);
	for (unsigned n = 0; n < 4; n++) {
		uint64_t nr;

		put_many(&p, n, n + 1);
		cgm_spool_level(p.sp, &ends[n + 1], &nr);
	}
	assert_int_equal(segments(&p, names, 4), 1);
	place_close(&p);
	len = read_file(p.dir, names[0], whole, sizeof(whole));
	assert_int_equal(len, ends[4]);
	for (size_t cut = 0; cut <= len; cut++) {
		unsigned nr = 0;
		bool torn;

		while (nr < 4 && ends[nr + 1] <= cut)
			nr++;
		torn = cut > ends[nr];
		forget_position(&p);
		write_file(p.dir, names[0], whole, cut);
		place_open(&p, 1 << 20);
		assert_int_equal(p.lost, !torn ? 0 : cut - ends[nr] >= 40 ? nr + 1 : 1);
		level(&p, nr);
		put_many(&p, 50, 51);
		p.lost = 0;
		take_many(&p, 0, nr);
		take_many(&p, 50, 51);
		assert_int_equal(p.lost, 0);
		assert_int_equal(peek(&p), -1);
		place_close(&p);
	}
	place_done(&p);
}

/* A flipped byte costs the record that has it, or, in a header, the rest of its segment; never more, and it is counted. */
static void test_spool__damaged_at_every_byte(void **state)
{
	char names[4][64], whole[4096], damaged[4096];
	struct place p;
	size_t len;

	(void)state;
	place_new(&p);
	put_many(&p, 0, 3);
	assert_int_equal(segments(&p, names, 4), 1);
	place_close(&p);
	len = read_file(p.dir, names[0], whole, sizeof(whole));
	for (size_t at = 0; at < len; at++) {
		unsigned got = 0, points = 0;
		int n;

		memcpy(damaged, whole, len);
		damaged[at] ^= 0x41;
		forget_position(&p);
		write_file(p.dir, names[0], damaged, len);
		place_open(&p, 1 << 20);
		put_many(&p, 50, 51);
		while ((n = peek(&p)) >= 0) {
			cgm_spool_done(p.sp);
			got++;
			points += (unsigned)n + 1;
		}
		assert_true(got < 4 && p.lost >= 1);
		assert_true(points >= 51 && points + p.lost <= 1 + 2 + 3 + 51);
		place_close(&p);
	}
	place_done(&p);
}

/* The position that a crash left: of any length, of any content. */
static void test_spool__positions(void **state)
{
	char names[4][64], whole[4096], old[64], position[64];
	size_t len, old_len, position_len;
	struct place p;

	(void)state;
	place_new(&p);
	put_many(&p, 0, 3);
	take_many(&p, 0, 1);
	old_len = read_file(p.dir, "position", old, sizeof(old));
	take_many(&p, 1, 2);
	segments(&p, names, 4);
	place_close(&p);
	len = read_file(p.dir, names[0], whole, sizeof(whole));
	position_len = read_file(p.dir, "position", position, sizeof(position));
	/* One that lags behind: the last batch comes again. */
	write_file(p.dir, "position", old, old_len);
	place_open(&p, 1 << 20);
	take_many(&p, 1, 3);
	place_close(&p);
	for (size_t cut = 0; cut < position_len; cut++) {
		write_file(p.dir, names[0], whole, len);
		write_file(p.dir, "position", position, cut);
		place_open(&p, 1 << 20);
		level(&p, 3);
		take_many(&p, 0, 3);
		place_close(&p);
		position[cut] ^= 1;
		write_file(p.dir, names[0], whole, len);
		write_file(p.dir, "position", position, position_len);
		position[cut] ^= 1;
		place_open(&p, 1 << 20);
		take_many(&p, 0, 3);
		assert_int_equal(peek(&p), -1);
		place_close(&p);
	}
	place_done(&p);
}

/* The oldest segments go; the batch under way stays valid, and its end is no step in what follows. */
static void test_spool__bounded(void **state)
{
	uint64_t dropped = 0, all = 0, bytes, nr, points = 0;
	struct place p = { 0 };
	int first;

	(void)state;
	scratch_open(&p.d);
	place_open(&p, 128 << 10);
	put_many(&p, 0, 1);
	assert_int_equal(peek(&p), 0);
	for (unsigned n = 1; n < 3000; n++) {
		assert_int_equal(put(&p, n % 100, &dropped), 0);
		all += dropped;
		points += n % 100 + 1;
		cgm_spool_level(p.sp, &bytes, &nr);
		assert_true(bytes <= 128 << 10);
	}
	assert_true(all > 0);
	assert_false(cgm_spool_is_reading(p.sp));
	cgm_spool_done(p.sp); /* of what is no more: nothing */
	for (first = 0; peek(&p) >= 0; first++) {
		points -= (unsigned)peek(&p) + 1;
		cgm_spool_done(p.sp);
	}
	assert_int_equal(points, all); /* what was under way is not lost */
	assert_int_equal(first, nr);
	place_done(&p);
}

static void test_spool__too_large(void **state)
{
	static char text[400 << 10];
	struct place p = { 0 };
	uint64_t dropped;
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) /* nothing that could be packed */
		text[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
	scratch_open(&p.d);
	place_open(&p, 128 << 10);
	put_many(&p, 0, 2);
	assert_int_equal(cgm_spool_put(p.sp, &(struct cgm_spool_batch){ .data = text, .len = sizeof(text) }, &dropped), -EFBIG);
	assert_int_equal(cgm_spool_put_first(p.sp, &(struct cgm_spool_batch){ .data = text, .len = sizeof(text) }, 1, false), -EFBIG);
	take_many(&p, 0, 2);
	place_done(&p);
}

static void test_spool__put_first(void **state)
{
	char texts[3][200];
	struct cgm_spool_batch b[3];
	struct place p;

	(void)state;
	for (unsigned n = 0; n < 3; n++)
		b[n] = (struct cgm_spool_batch){ .data = texts[n], .len = text_of(n, texts[n], sizeof(texts[n])), .nr_points = n + 1, .end_ns = FIXTURE_END_NS + n };
	for (unsigned nr = 0; nr < 2; nr++) { /* before others; as the only ones */
		for (unsigned again = 0; again < 2; again++) {
			place_new(&p);
			put_many(&p, 90, 91);
			take_many(&p, 90, 91); /* numbers that were used before are no trouble */
			put_many(&p, 3, 3 + nr);
			assert_int_equal(cgm_spool_put_first(p.sp, b, 3, true), 0);
			assert_true(cgm_spool_is_reading(p.sp));
			if (again) {
				place_close(&p);
				place_open(&p, 1 << 20);
			} else {
				assert_int_equal(cgm_spool_put_first(p.sp, b, 1, false), -EINVAL);
			}
			put_many(&p, 3 + nr, 6);
			level(&p, 6);
			if (!again)
				cgm_spool_done(p.sp);
			take_many(&p, again ? 0 : 1, 6);
			assert_int_equal(peek(&p), -1);
			place_done(&p);
		}
	}
}

/* What is not ours stays, whatever it is called; what is ours by name alone is cut. */
static void test_spool__foreign_files(void **state)
{
	struct place p;
	char buf[64];

	(void)state;
	place_new(&p);
	place_close(&p);
	write_file(p.dir, "notes.txt", "keep", 4);
	write_file(p.dir, "00000000000000zz.spool", "keep", 4);
	write_file(p.dir, "0000000000000001.spool.bak", "keep", 4);
	write_file(p.dir, "00000000000000AB.spool", "keep", 4);
	write_file(p.dir, "0000000000000002.spool", "nothing that we wrote, but longer than a header of ours", 55);
	assert_int_equal(mkdirat(p.d.root_fd, "spool/sink-1/0000000000000003.spool", 0700), 0);
	assert_int_equal(symlinkat("/etc/passwd", p.d.root_fd, "spool/sink-1/0000000000000004.spool"), 0);
	place_open(&p, 1 << 20);
	assert_int_equal(p.lost, 1);
	level(&p, 0);
	put_many(&p, 0, 3);
	take_many(&p, 0, 3);
	assert_int_equal(read_file(p.dir, "notes.txt", buf, sizeof(buf)), 4);
	assert_int_equal(read_file(p.dir, "00000000000000zz.spool", buf, sizeof(buf)), 4);
	assert_int_equal(read_file(p.dir, "0000000000000001.spool.bak", buf, sizeof(buf)), 4);
	assert_int_equal(read_file(p.dir, "00000000000000AB.spool", buf, sizeof(buf)), 4);
	assert_true(read_file(p.dir, "sink", buf, sizeof(buf)) > 0);
	assert_memory_equal(buf, "sink:http://x\n", 14);
	place_done(&p);
}

static void test_spool__vanished_files(void **state)
{
	char names[4][64], path[256];
	struct place p;

	(void)state;
	place_new(&p);
	put_many(&p, 0, 3);
	assert_int_equal(segments(&p, names, 4), 1);
	snprintf(path, sizeof(path), "%s/%s", p.dir, names[0]);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(peek(&p), -1);
	assert_int_equal(p.lost, 1 + 2 + 3);
	put_many(&p, 3, 6);
	take_many(&p, 3, 6);
	place_done(&p);
}

/* A disk that is full: the record is not there, those before it are, and it goes on when there is room. The bound on a file's size stands for it. */
static void test_spool__full_disk(void **state)
{
	struct rlimit before, small;
	uint64_t dropped, bytes, nr;
	struct place p;
	int r = 0;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	place_new(&p);
	put_many(&p, 0, 5);
	cgm_spool_level(p.sp, &bytes, &nr);
	for (unsigned more = 0; more < 60; more += 7) { /* so much of the next record fits */
		small = (struct rlimit){ .rlim_cur = bytes + more, .rlim_max = before.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		r = put(&p, 5, &dropped);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_int_equal(r, -ENOSPC);
		level(&p, 5);
	}
	place_close(&p);
	place_open(&p, 1 << 20);
	assert_int_equal(p.lost, 0);
	put_many(&p, 5, 8);
	take_many(&p, 0, 8);
	place_done(&p);
}

static void test_open__faults(void **state)
{
	struct cgm_spool *other = NULL;
	char fault[256] = "", path[128];
	struct place p;
	uint64_t lost;

	(void)state;
	place_new(&p);
	assert_int_equal(cgm_spool_open(p.dir, 1 << 20, "x", &other, &lost, fault), -EBUSY);
	assert_non_null(strstr(fault, p.dir));
	scratch_put(&p.d, "file", "");
	snprintf(path, sizeof(path), "%s/file/x", p.d.dir);
	assert_int_equal(cgm_spool_open(path, 1 << 20, "x", &other, &lost, fault), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/a/b/c", p.d.dir);
	assert_int_equal(cgm_spool_open(path, 1 << 20, "x", &other, &lost, fault), -ENOENT);
	cgm_spool_close(NULL);
	place_done(&p);
}

/* Nothing is lost by it: what could not be put is not there, what could not be read comes later. */
static void test_spool__each_allocation_fails(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned long n = 1; !done; n++) {
		_cleanup_(cgm_buf_done) struct cgm_buf data = { 0 };
		char fault[256], text[200];
		struct cgm_spool_batch b = { .data = text, .len = text_of(0, text, sizeof(text)), .nr_points = 1, .end_ns = FIXTURE_END_NS };
		struct place p;
		uint64_t lost = 0, dropped;
		unsigned there = 3;

		place_new(&p);
		put_many(&p, 0, 3);
		place_close(&p);
		cgm_mem_fail_at(n);
		if (cgm_spool_open(p.dir, 1 << 20, "x", &p.sp, &p.lost, fault) == 0) {
			there += put(&p, 3, &dropped) == 0;
			if (cgm_spool_read(p.sp, &data, &b, &lost) == 0)
				assert_int_equal(b.nr_points, 1);
		}
		done = cgm_mem_fail_at(0) < n;
		assert_int_equal(lost, 0);
		place_close(&p);
		place_open(&p, 1 << 20);
		assert_int_equal(p.lost, 0);
		take_many(&p, 0, there);
		assert_int_equal(peek(&p), -1);
		place_done(&p);
	}
}

/* A process that is killed at any moment, while it puts and takes: nothing of what it had put is lost, at most one batch comes twice. */
static void test_spool__killed(void **state)
{
	unsigned *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); /* put, taken */
	struct place p;

	(void)state;
	assert_true(shared != MAP_FAILED);
	place_new(&p);
	place_close(&p);
	for (unsigned turn = 0; turn < 30; turn++) {
		pid_t pid = fork();
		int n;

		assert_true(pid >= 0);
		if (pid == 0) {
			place_open(&p, 64 << 20);
			for (;;) {
				uint64_t dropped;

				if (put(&p, shared[0] % 100, &dropped) == 0)
					shared[0]++;
				if (shared[0] % 3 && peek(&p) >= 0) {
					shared[1]++; /* delivered; from here to the position's writing it may come again */
					cgm_spool_done(p.sp);
				}
			}
		}
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 + turn * 700000 }, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		place_open(&p, 64 << 20);
		/* The oldest that is there is the one after the last delivered, or that one again. */
		n = peek(&p);
		if (n >= 0 && shared[1] != shared[0])
			assert_true((unsigned)n == shared[1] % 100 || (shared[1] && (unsigned)n == (shared[1] - 1) % 100));
		if (n >= 0 && shared[1] && (unsigned)n == (shared[1] - 1) % 100)
			cgm_spool_done(p.sp);
		for (; (n = peek(&p)) >= 0 && shared[1] < shared[0]; shared[1]++) {
			assert_int_equal(n, shared[1] % 100);
			cgm_spool_done(p.sp);
		}
		assert_int_equal(shared[1], shared[0]);
		if (n >= 0) { /* put, but killed before it was counted */
			assert_int_equal(n, shared[0] % 100);
			cgm_spool_done(p.sp);
			shared[0]++;
			shared[1]++;
		}
		assert_int_equal(peek(&p), -1);
		place_close(&p);
	}
	assert_true(shared[0] > 30);
	munmap(shared, 4096);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spool__in_order),
		cmocka_unit_test(test_spool__again),
		cmocka_unit_test(test_spool__cut_at_every_byte),
		cmocka_unit_test(test_spool__damaged_at_every_byte),
		cmocka_unit_test(test_spool__positions),
		cmocka_unit_test(test_spool__bounded),
		cmocka_unit_test(test_spool__too_large),
		cmocka_unit_test(test_spool__put_first),
		cmocka_unit_test(test_spool__foreign_files),
		cmocka_unit_test(test_spool__vanished_files),
		cmocka_unit_test(test_spool__full_disk),
		cmocka_unit_test(test_open__faults),
		cmocka_unit_test(test_spool__each_allocation_fails),
		cmocka_unit_test(test_spool__killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
