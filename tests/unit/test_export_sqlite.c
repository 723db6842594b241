// SPDX-License-Identifier: Apache-2.0
/* The embedded history: what is written is read again, once, whatever happens to its file and to the batch. */
#include "sqlite_fixture.h"

#include <signal.h>
#include <sys/resource.h>

#define ALL UINT64_MAX

struct place {
	struct scratch dir;
	char path[128];
};

static void place_open(struct place *p)
{
	scratch_open(&p->dir);
	snprintf(p->path, sizeof(p->path), "%s/history.db", p->dir.dir);
}

static void place_close(struct place *p)
{
	scratch_close(&p->dir);
}

/* One set with one metric at that time. */
static struct cgm_slice *node_slice(const char *node, uint64_t end_ns, int64_t memory)
{
	struct cgm_draft d = { 0 };

	cgm_draft_int(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = node } }), CGM_CM_MEMORY_USAGE, memory);
	return cf_seal(&d, node, end_ns);
}

static void write_one(struct sf_sink *s, const char *node, uint64_t end_ns, int64_t memory)
{
	struct cgm_slice *slice = node_slice(node, end_ns, memory);

	sf_encode(s, slice);
	cgm_slice_unref(slice);
	sf_written(s);
}

static struct cgm_sqlite *reader(const char *path)
{
	char fault[CGM_SINK_FAULT] = "";
	struct cgm_sqlite *r = NULL;

	if (cgm_sqlite_open(path, ALL, &r, fault) < 0)
		fail_msg("%s", fault);
	return r;
}

/* Points of memory/usage. -1: it cannot be read. */
static int count(const char *path, const char *key)
{
	char fault[CGM_SINK_FAULT] = "";
	_cleanup_(cgm_sqlite_freep) struct cgm_sqlite *r = NULL;
	_cleanup_free_ struct cgm_past_point *points = NULL;
	size_t nr = 0;

	if (cgm_sqlite_open(path, ALL, &r, fault) < 0 ||
	    cgm_sqlite_points(r, &(struct cgm_sqlite_of){ .key = key }, "memory/usage", NULL, 0, 0, ALL, 1000, &points, &nr, fault) < 0) {
		assert_true(strncmp(fault, path, strlen(path)) == 0);
		return -1;
	}
	return (int)nr;
}

static void join(void *arg, const char *text)
{
	char *all = arg;

	snprintf(all + strlen(all), 512 - strlen(all), "%s%s", *all ? "," : "", text);
}

static void assert_list(struct cgm_sqlite *r, enum cgm_sqlite_list list, const char *a, const char *b, const char *want)
{
	char got[512] = "", fault[CGM_SINK_FAULT] = "";

	assert_int_equal(cgm_sqlite_list(r, list, a, b, NULL, join, got, fault), 0);
	assert_string_equal(got, want);
}

static void test_sqlite__round_trip(void **state)
{
	_cleanup_free_ char *all = cf_read("heapster-1.5.4-api.txt");
	static const struct cgm_tag root[] = { { "resource_id", "/" } };
	char fault[CGM_SINK_FAULT] = "";
	struct cgm_past_point *points;
	struct cgm_sqlite *r;
	struct sf_sink s;
	struct place p;
	size_t nr;

	(void)state;
	place_open(&p);
	sf_open(&s, p.path, "?retention=0");
	sf_encode_recorded(&s, all);
	sf_written(&s);
	r = reader(p.path);
	assert_int_equal(cgm_sqlite_points(r, &(struct cgm_sqlite_of){ .key = "namespace:default/pod:web-1" }, "cpu/usage_rate", NULL, 0, 0, ALL, 1000, &points, &nr, fault), 0);
	assert_int_equal(nr, 5);
	assert_int_equal(points[4].time_ns, CF_END);
	assert_int_equal(points[1].i, 300);
	assert_false(points[1].is_float);
	free(points);
	assert_int_equal(cgm_sqlite_points(r, &(struct cgm_sqlite_of){ .pod_id = "pod-uid-1", .container = "c1" }, "cpu/usage_rate", NULL, 0, CF_END - 10 * CF_SEC, CF_END - 1,
					   1000, &points, &nr, fault), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(points[0].i, 200);
	free(points);
	assert_int_equal(cgm_sqlite_points(r, &(struct cgm_sqlite_of){ .key = "node:node-a" }, "filesystem/usage", root, 1, 0, ALL, 1000, &points, &nr, fault), 0);
	assert_int_equal(nr, 6);
	assert_int_equal(points[5].i, 123456);
	free(points);
	assert_int_equal(cgm_sqlite_points(r, &(struct cgm_sqlite_of){ .key = "node:node-a" }, "cpu/node_utilization", NULL, 0, 0, ALL, 1000, &points, &nr, fault), 0);
	assert_int_equal(nr, 6);
	assert_true(points[0].is_float && points[0].f == 0.4375);
	free(points);
	assert_int_equal(cgm_sqlite_points(r, &(struct cgm_sqlite_of){ .key = "node:node-a" }, "uptime", NULL, 0, 0, ALL, 5, &points, &nr, fault), -EFBIG);
	assert_list(r, CGM_SQLITE_NODES, NULL, NULL, "node-a");
	assert_list(r, CGM_SQLITE_NAMESPACES, NULL, NULL, "default");
	assert_list(r, CGM_SQLITE_PODS, "default", NULL, "web-1");
	assert_list(r, CGM_SQLITE_CONTAINERS, "default", "web-1", "c1,c2");
	assert_list(r, CGM_SQLITE_CONTAINERS_OF_ID, "pod-uid-1", NULL, "c1,c2");
	assert_list(r, CGM_SQLITE_FREECONTAINERS, "node-a", NULL, "docker-daemon,kubelet,pods,system");
	assert_list(r, CGM_SQLITE_METRICS, "cluster", NULL, "cpu/limit,cpu/request,cpu/usage_rate,memory/limit,memory/request,memory/usage");
	assert_list(r, CGM_SQLITE_PODS, "' OR 1=1 --", NULL, "");
	cgm_sqlite_close(r);
	sf_close(&s);
	place_close(&p);
}

/* Between records, each 64 KiB at least; the parts are batches of their own. */
static void test_sqlite__cuts(void **state)
{
	struct cgm_draft d = { 0 };
	struct cgm_slice *slice;
	struct sf_sink s;
	struct place p;

	(void)state;
	place_open(&p);
	for (int i = 0; i < 2000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%d", i);
		cgm_draft_int(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_SYS_CONTAINER, .labels = { [CGM_CL_NODENAME] = "a", [CGM_CL_CONTAINER_NAME] = name } }),
			      CGM_CM_MEMORY_USAGE, i);
	}
	slice = cf_seal(&d, "a", CF_END);
	sf_open(&s, p.path, "?retention=0");
	sf_encode(&s, slice);
	assert_int_equal(s.nr_points, 2000);
	assert_in_range(s.nr_cut, 1000, 1999);
	sf_written(&s);
	assert_int_equal(count(p.path, "node:a/container:c1999"), 1);
	cgm_slice_unref(slice);
	sf_close(&s);
	place_close(&p);
}

/* A batch that is sent again stands there once; one that comes late finds its place; other labels are the same set to a reader. */
static void test_sqlite__again(void **state)
{
	static const char *const zones[] = { "zone:a", "zone:b" };
	struct sf_sink s;
	struct place p;

	(void)state;
	place_open(&p);
	sf_open(&s, p.path, "?retention=0");
	for (int i = 0; i < 2; i++) {
		struct cgm_slice *slice = node_slice("a", CF_END, 5);

		sf_encode(&s, slice);
		cgm_slice_unref(slice);
		assert_int_equal(sf_send(&s), CGM_SINK_WRITTEN);
		assert_int_equal(s.attempt.nr_lost, 0);
	}
	s.batch.len = 0;
	s.nr_points = 0;
	assert_int_equal(count(p.path, "node:a"), 1);
	write_one(&s, "a", CF_END - 7200 * CF_SEC, 4);
	write_one(&s, "a", CF_END + 7200 * CF_SEC, 6);
	assert_int_equal(count(p.path, "node:a"), 3);
	for (size_t i = 0; i < 2; i++) {
		struct cgm_draft d = { 0 };
		struct cgm_slice *slice;

		cgm_draft_int(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = "a", [CGM_CL_LABELS] = zones[i] } }),
			      CGM_CM_MEMORY_USAGE, 9);
		slice = cf_seal(&d, "a", CF_END + (i + 1) * 60 * CF_SEC);
		sf_encode(&s, slice);
		cgm_slice_unref(slice);
		sf_written(&s);
	}
	assert_int_equal(count(p.path, "node:a"), 5);
	sf_close(&s);
	sf_open(&s, p.path, "?retention=0");
	write_one(&s, "a", CF_END + 300 * CF_SEC, 6);
	assert_int_equal(count(p.path, "node:a"), 6);
	sf_close(&s);
	place_close(&p);
}

static void test_sqlite__retention(void **state)
{
	uint64_t now_ns = cgm_clock_real_ns();
	struct sf_sink s;
	struct place p;

	(void)state;
	place_open(&p);
	sf_open(&s, p.path, "?retention=1d");
	write_one(&s, "new", now_ns, 1); /* prunes: the next would wait for its turn */
	sf_close(&s);
	sf_open(&s, p.path, "?retention=0");
	for (unsigned i = 0; i < 10; i++)
		write_one(&s, "old", now_ns - (48 * 3600 + i) * CF_SEC, 1);
	write_one(&s, "both", now_ns - 48 * 3600 * CF_SEC, 1);
	write_one(&s, "both", now_ns, 1);
	assert_int_equal(count(p.path, "node:old"), 10);
	sf_close(&s);
	sf_open(&s, p.path, "?retention=1d");
	write_one(&s, "new", now_ns + 1, 1); /* in slices: four cycles, and at once again while there is more */
	assert_int_equal(count(p.path, "node:old"), 6);
	write_one(&s, "new", now_ns + 2, 1);
	write_one(&s, "new", now_ns + 3, 1);
	assert_int_equal(count(p.path, "node:old"), 0);
	assert_int_equal(count(p.path, "node:both"), 1);
	assert_int_equal(count(p.path, "node:new"), 4);
	sf_close(&s);
	place_close(&p);
}

/* A cycle with more points than a slice takes goes in parts. */
static void test_sqlite__retention_of_many(void **state)
{
	uint64_t now_ns = cgm_clock_real_ns();
	struct cgm_draft d = { 0 };
	struct cgm_slice *slice;
	struct sf_sink s;
	struct place p;

	(void)state;
	place_open(&p);
	for (int i = 0; i < 2500; i++) {
		struct cgm_draft_set *set;
		char name[16];

		snprintf(name, sizeof(name), "c%d", i);
		set = cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_SYS_CONTAINER, .labels = { [CGM_CL_NODENAME] = "a", [CGM_CL_CONTAINER_NAME] = name } });
		for (unsigned m = 0; m < 10; m++) /* memory/usage is one of them */
			cgm_draft_int(set, (enum cgm_cm)m, 1);
	}
	slice = cf_seal(&d, "a", now_ns - 48 * 3600 * CF_SEC);
	sf_open(&s, p.path, "?retention=0");
	sf_encode(&s, slice);
	sf_written(&s);
	sf_close(&s);
	cgm_slice_unref(slice);
	assert_int_equal(count(p.path, "node:a/container:c2499"), 1);
	sf_open(&s, p.path, "?retention=1d");
	write_one(&s, "a", now_ns, 1);
	assert_int_equal(count(p.path, "node:a/container:c2499"), 0);
	assert_int_equal(count(p.path, "node:a/container:c0"), 0);
	assert_int_equal(count(p.path, "node:a"), 1);
	sf_close(&s);
	place_close(&p);
}

static void test_sqlite__options(void **state)
{
	static const struct {
		const char *uri, *fault;
	} wrong[] = {
		{ "sqlite:", "needs a path" },
		{ "sqlite:/tmp/x?retention=soon", "option retention: \"soon\"" },
		{ "sqlite:/tmp/x?retention=1s", "option retention: \"1s\"" },
		{ "sqlite:/tmp/x?retention=99999999d", "option retention: \"99999999d\"" },
	};
	static const char *const right[] = { "sqlite:/tmp/x?retention=15d", "sqlite:/tmp/x?retention=2w", "sqlite:/tmp/x?retention=36h", "sqlite:x.db" };
	char fault[CGM_SINK_FAULT] = "";
	struct sf_sink s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(sf_try(&s, wrong[i].uri, fault), -EINVAL);
		if (!strstr(fault, wrong[i].fault))
			fail_msg("%s: %s", wrong[i].uri, fault);
		sf_close(&s);
	}
	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		assert_int_equal(sf_try(&s, right[i], fault), 0);
		sf_close(&s);
	}
}

/* ---- files that are not as they should be ---- */

static void assert_fault(struct sf_sink *s, const char *path, const char *want)
{
	if (!s->nr_points) {
		struct cgm_slice *slice = node_slice("a", CF_END, 5);

		sf_encode(s, slice);
		cgm_slice_unref(slice);
	}
	assert_int_equal(sf_send(s), CGM_SINK_AGAIN);
	if (!strstr(s->attempt.fault, want) || !strstr(s->attempt.fault, path))
		fail_msg("wanted \"%s\": %s", want, s->attempt.fault);
}

/* Each is told clearly, nothing is lost, and once it is mended the same batch is written. */
static void test_sqlite__wrong_file(void **state)
{
	char text[8192], nowhere[160];
	struct sf_sink s;
	struct place p;

	(void)state;
	place_open(&p);
	snprintf(nowhere, sizeof(nowhere), "%s/history.db/below", p.dir.dir);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	scratch_put(&p.dir, "history.db", text);
	sf_open(&s, nowhere, "");
	assert_fault(&s, nowhere, "cannot be opened or made");
	sf_close(&s);
	sf_open(&s, p.path, "?retention=0");
	assert_fault(&s, p.path, "no SQLite database");
	assert_int_equal(count(p.path, "node:a"), -1);
	assert_int_equal(unlink(p.path), 0);
	sf_written(&s);
	assert_int_equal(count(p.path, "node:a"), 1);
	/* Moved away while it is open: a new one is made. */
	assert_int_equal(unlink(p.path), 0);
	write_one(&s, "a", CF_END + CF_SEC, 6);
	assert_int_equal(count(p.path, "node:a"), 1);
	sf_close(&s);
	place_close(&p);
}

/* The numbers of a header: 60 user_version, 68 application_id, big-endian. */
static void poke(const char *path, off_t at, unsigned char v)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &v, 1, at), 1);
	close(fd);
}

static void test_sqlite__foreign(void **state)
{
	struct sf_sink s;
	struct place p;

	(void)state;
	place_open(&p);
	sf_open(&s, p.path, "?retention=0");
	write_one(&s, "a", CF_END, 5);
	sf_close(&s);
	poke(p.path, 63, 9);
	sf_open(&s, p.path, "");
	assert_fault(&s, p.path, "its layout is 9, this cgmeter knows 1");
	poke(p.path, 71, 9);
	assert_fault(&s, p.path, "another program's");
	assert_int_equal(count(p.path, "node:a"), -1);
	sf_close(&s);
	place_close(&p);
}

static void test_sqlite__full(void **state)
{
	struct rlimit before, small;
	struct sf_sink s;
	struct place p;
	int left;

	(void)state;
	place_open(&p);
	sf_open(&s, p.path, "?retention=0");
	write_one(&s, "a", CF_END, 5);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 16384; /* less than the log needs for the next */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_fault(&s, p.path, "");
	assert_true(*s.attempt.fault);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	left = count(p.path, "node:a");
	assert_int_equal(left, 1);
	s.batch.len = 0;
	s.nr_points = 0;
	write_one(&s, "a", CF_END + CF_SEC, 5);
	assert_int_equal(count(p.path, "node:a"), 2);
	sf_close(&s);
	place_close(&p);
}

/* ---- the machine lost power, or we were killed ---- */

static char *slurp(const char *path, size_t *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *p;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	*ret = (size_t)st.st_size;
	p = malloc(*ret + 1);
	assert_int_equal(read(fd, p, *ret), st.st_size);
	close(fd);
	return p;
}

static void spill(const char *path, const char *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	close(fd);
}

struct copy {
	char path[160], wal[170], shm[170];
};

static void forget_copy(const struct copy *c)
{
	(void)unlink(c->path);
	(void)unlink(c->wal);
	(void)unlink(c->shm);
}

/* The file and its log, as they are while the writer runs, into another place. */
static void put_copy(const struct copy *c, const char *db, size_t db_len, const char *wal, size_t wal_len)
{
	forget_copy(c);
	spill(c->path, db, db_len);
	if (wal_len)
		spill(c->wal, wal, wal_len);
}

/* Whatever was cut: what is read is a beginning of what was written, and writing goes on or says why not. */
static void use_copy(const struct copy *c, int most)
{
	struct sf_sink s;
	struct cgm_slice *slice = node_slice("a", CF_END + 999 * CF_SEC, 5);
	int before = count(c->path, "node:a"), result;

	assert_in_range(before + 1, 0, most + 1);
	sf_open(&s, c->path, "?retention=0");
	sf_encode(&s, slice);
	cgm_slice_unref(slice);
	result = sf_send(&s);
	if (result == CGM_SINK_WRITTEN)
		assert_int_equal(count(c->path, "node:a"), MAX(before, 0) + 1);
	else
		assert_non_null(strstr(s.attempt.fault, c->path));
	sf_close(&s);
}

static void test_sqlite__killed(void **state)
{
	_cleanup_free_ char *db = NULL, *wal = NULL;
	char wal_path[140];
	size_t db_len, wal_len;
	struct sf_sink s;
	struct copy c;
	struct place p;

	(void)state;
	place_open(&p);
	snprintf(wal_path, sizeof(wal_path), "%s-wal", p.path);
	snprintf(c.path, sizeof(c.path), "%s/copy.db", p.dir.dir);
	snprintf(c.wal, sizeof(c.wal), "%s-wal", c.path);
	snprintf(c.shm, sizeof(c.shm), "%s-shm", c.path);
	sf_open(&s, p.path, "?retention=0");
	for (unsigned i = 0; i < 5; i++)
		write_one(&s, "a", CF_END + i * CF_SEC, 5);
	db = slurp(p.path, &db_len);
	wal = slurp(wal_path, &wal_len);
	put_copy(&c, db, db_len, wal, wal_len);
	assert_int_equal(count(c.path, "node:a"), 5); /* a log that was left over is read */
	use_copy(&c, 5);
	for (size_t i = 0; i <= 12; i++) {
		put_copy(&c, db, db_len, wal, wal_len * i / 13);
		use_copy(&c, 5);
	}
	sf_close(&s); /* the log becomes part of the file */
	free(db);
	db = slurp(p.path, &db_len);
	for (size_t i = 0; i <= 8; i++) {
		put_copy(&c, db, db_len * i / 8 + (i % 2) * 100, NULL, 0);
		use_copy(&c, 5);
	}
	for (size_t at = 100; at < db_len; at += db_len / 12) {
		put_copy(&c, db, db_len, NULL, 0);
		poke(c.path, (off_t)at, 0xff);
		(void)count(c.path, "node:a"); /* no crash: what it is worth, the checksums of file systems tell */
	}
	forget_copy(&c);
	place_close(&p);
}

/* ---- batches that are not as they should be ---- */

static void test_sqlite__damaged_batch(void **state)
{
	struct cgm_slice *slice = node_slice("a", CF_END, 5);
	_cleanup_free_ char *whole = NULL;
	struct sf_sink s;
	struct place p;
	size_t len;

	(void)state;
	place_open(&p);
	sf_open(&s, p.path, "?retention=0");
	sf_encode(&s, slice);
	cgm_slice_unref(slice);
	len = s.batch.len;
	whole = malloc(len);
	memcpy(whole, s.batch.p, len);
	for (size_t i = 0; i < len; i++) {
		s.batch.len = i;
		assert_int_equal(sf_send(&s), CGM_SINK_WRITTEN);
		assert_int_equal(s.attempt.nr_lost, 1);
		assert_int_equal(s.attempt.loss, CGM_SINK_REJECTED);
		assert_non_null(strstr(s.attempt.fault, "damaged"));
	}
	s.batch.len = len;
	for (size_t i = 0; i < len; i++) {
		s.batch.p[i] = (char)0xff;
		assert_int_equal(sf_send(&s), CGM_SINK_WRITTEN);
		s.batch.p[i] = whole[i];
	}
	sf_written(&s);
	assert_true(count(p.path, "node:a") >= 1); /* and those whose time or labels were damaged */
	sf_close(&s);
	place_close(&p);
}

static void test_sqlite__no_memory(void **state)
{
	struct sf_sink s;
	struct place p;

	(void)state;
	place_open(&p);
	for (unsigned long n = 1, nr = n; nr + 1 >= n; n++) {
		struct cgm_slice *slice = node_slice("a", CF_END, 5);
		enum cgm_sink_result r;

		sf_open(&s, p.path, "?retention=0");
		(void)cgm_mem_fail_at(n);
		sf_encode(&s, slice);
		r = s.batch.failed ? CGM_SINK_AGAIN : sf_send(&s);
		nr = cgm_mem_fail_at(0);
		cgm_slice_unref(slice);
		if (r == CGM_SINK_AGAIN && !s.batch.failed)
			assert_string_equal(s.attempt.fault, "out of memory");
		sf_close(&s);
	}
	assert_int_equal(count(p.path, "node:a"), 1);
	for (unsigned long n = 1, nr = n; nr + 1 >= n; n++) {
		char fault[CGM_SINK_FAULT] = "";
		struct cgm_past_point *points = NULL;
		struct cgm_sqlite *r = NULL;
		size_t nr_points;

		(void)cgm_mem_fail_at(n);
		if (cgm_sqlite_open(p.path, ALL, &r, fault) == 0)
			(void)cgm_sqlite_points(r, &(struct cgm_sqlite_of){ .key = "node:a" }, "memory/usage", NULL, 0, 0, ALL, 10, &points, &nr_points, fault);
		nr = cgm_mem_fail_at(0);
		free(points);
		cgm_sqlite_close(r);
	}
	place_close(&p);
}

/* By the threads of user/export, as `cgmeter cluster` writes it; a second start goes on with the same file. */
static void test_sqlite__as_a_sink(void **state)
{
	char uri[160], fault[CGM_EXPORT_FAULT] = "";
	const char *uris[] = { uri };
	struct cgm_export_config config = { .uris = uris, .nr_uris = 1, .spool_dir = "", .stop_ns = 20 * CF_SEC };
	struct place p;

	(void)state;
	place_open(&p);
	snprintf(uri, sizeof(uri), "sqlite:%s?retention=0&colour=red", p.path);
	assert_int_equal(cgm_export_check(&config, fault), -EINVAL);
	assert_non_null(strstr(fault, "colour"));
	snprintf(uri, sizeof(uri), "sqlite:%s?retention=0", p.path);
	for (unsigned start = 0; start < 2; start++) {
		struct cgm_export *e = NULL;

		if (cgm_export_start(&config, &e, fault) < 0)
			fail_msg("%s", fault);
		for (unsigned i = 0; i < 20; i++) {
			struct cgm_slice *slice = node_slice("a", CF_END + (20 * start + i) * CF_SEC, 5);

			cgm_export_put(e, slice);
			cgm_slice_unref(slice);
		}
		cgm_export_stop(e);
		assert_int_equal(count(p.path, "node:a"), 20 * (start + 1));
	}
	place_close(&p);
}

/* The size of a point, as README and header state it. */
static void test_sqlite__size(void **state)
{
	_cleanup_free_ char *all = cf_read("heapster-1.5.4-api.txt");
	uint64_t nr = 0;
	struct stat st;
	struct sf_sink s;
	struct place p;

	(void)state;
	place_open(&p);
	sf_open(&s, p.path, "?retention=0");
	for (unsigned round = 0; round < 200; round++) {
		struct cgm_slice *slice = cf_node_slice(all, 1);

		slice->end_ns += round * 60 * CF_SEC;
		sf_encode(&s, slice);
		cgm_slice_unref(slice);
		nr += s.nr_points;
		sf_written(&s);
	}
	sf_close(&s);
	assert_int_equal(stat(p.path, &st), 0);
	print_message("%llu points, %.1f bytes each\n", (unsigned long long)nr, (double)st.st_size / (double)nr);
	assert_in_range((uint64_t)st.st_size / nr, 8, 24);
	place_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sqlite__round_trip), cmocka_unit_test(test_sqlite__cuts), cmocka_unit_test(test_sqlite__again),  cmocka_unit_test(test_sqlite__retention),
		cmocka_unit_test(test_sqlite__options),	   cmocka_unit_test(test_sqlite__wrong_file), cmocka_unit_test(test_sqlite__foreign),
		cmocka_unit_test(test_sqlite__full),	   cmocka_unit_test(test_sqlite__killed), cmocka_unit_test(test_sqlite__damaged_batch),
		cmocka_unit_test(test_sqlite__no_memory),  cmocka_unit_test(test_sqlite__as_a_sink), cmocka_unit_test(test_sqlite__retention_of_many), cmocka_unit_test(test_sqlite__size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
