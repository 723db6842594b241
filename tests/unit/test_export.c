// SPDX-License-Identifier: Apache-2.0
#include "export_fixture.h"

#include <signal.h>
#include <sys/resource.h>

static const char *const one[] = { "fake:?to=a" };
static const char *const two[] = { "fake:?to=a", "fake:?to=b" };

static struct cgm_export *start(const char *const *uris, size_t nr, const char *spool_dir, uint64_t queue_bytes, uint64_t stop_ns)
{
	const struct cgm_export_config c = { .uris = uris, .nr_uris = nr, .spool_dir = spool_dir, .queue_bytes = queue_bytes, .stop_ns = stop_ns };
	char fault[CGM_EXPORT_FAULT] = "";
	struct cgm_export *e = NULL;

	if (cgm_export_start(&c, &e, fault) < 0)
		fail_msg("%s", fault);
	return e;
}

static void add_points(void *arg, uint64_t nr_points)
{
	*(uint64_t *)arg += nr_points;
}

static int setup(void **state)
{
	(void)state;
	fakes_reset();
	return 0;
}

static void check_order(const struct fake *f, unsigned from, unsigned to)
{
	assert_int_equal(f->nr_got, to - from);
	for (unsigned i = from; i < to; i++)
		assert_int_equal(f->got[i - from], i);
}

static void test_check__faults(void **state)
{
	static const struct {
		const char *uri, *words;
	} cases[] = {
		{ "nope:http://x", "there is no sink \"nope\"" },
		{ "fake:", "sink fake: option to" },
		{ "fake:?to=a&colour=red", "unknown option \"colour\"" },
		{ "", "sink: " },
	};
	char fault[CGM_EXPORT_FAULT];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct cgm_export_config c = { .uris = &cases[i].uri, .nr_uris = 1 };

		fault[0] = '\0';
		assert_int_equal(cgm_export_check(&c, fault), -EINVAL);
		if (!strstr(fault, cases[i].words))
			fail_msg("\"%s\" is not in \"%s\"", cases[i].words, fault);
	}
	assert_int_equal(cgm_export_check(&(struct cgm_export_config){ .uris = (const char *const[]){ "fake:?to=a", "fake:?to=a" }, .nr_uris = 2 }, fault), -EINVAL);
	assert_non_null(strstr(fault, "twice"));
	assert_int_equal(cgm_export_check(&(struct cgm_export_config){ .uris = (const char *const[]){ "metric", "prometheus:", "log", "fake:?to=a" }, .nr_uris = 4 }, fault), 0);
	assert_non_null(strstr(cgm_export_names(), "log"));
	for (unsigned i = 0; i < CGM_NR_EXPORT_LOSSES; i++)
		assert_non_null(cgm_export_loss_name(i));
}

static void test_put__in_order(void **state)
{
	struct cgm_export_state s;
	struct cgm_export *e;

	(void)state;
	e = start(one, 1, "", 0, 0);
	put_numbers(e, 0, 500);
	export_wait(fake_got(&fakes[0]) == 500);
	export_wait(state_of(e, 0).nr_sent == 500);
	s = state_of(e, 0);
	assert_string_equal(s.name, "fake");
	assert_string_equal(s.shown, "fake:?to=a");
	assert_int_equal(s.nr_points, 500);
	assert_int_equal(s.nr_slices, 500);
	assert_int_equal(s.nr_batches, 500);
	assert_true(s.last_ok_ns != 0);
	assert_string_equal(s.fault, "");
	cgm_export_stop(e);
	check_order(&fakes[0], 0, 500);
}

/* A batch that is not full goes when it has waited, and at the end. */
static void test_put__lingers(void **state)
{
	struct cgm_export *e;

	(void)state;
	fake_driver.batch_bytes = 1 << 20;
	e = start(one, 1, "", 0, 0);
	put_numbers(e, 0, 10);
	export_wait(fake_got(&fakes[0]) == 10);
	assert_true(fake_tries(&fakes[0]) <= 2);
	put_numbers(e, 10, 20);
	cgm_export_stop(e);
	check_order(&fakes[0], 0, 20);
}

static void test_put__one_hangs(void **state)
{
	struct cgm_export *e;

	(void)state;
	fake_set(&fakes[0], false, true);
	e = start(two, 2, "", 1000, CGM_NSEC_PER_SEC / 5);
	put_numbers(e, 0, 1000);
	export_wait(fake_got(&fakes[1]) + state_of(e, 1).nr_lost[CGM_EXPORT_NO_ROOM] == 1000); /* its own slices may outrun it, too */
	assert_int_equal(fake_got(&fakes[0]), 0);
	export_wait(state_of(e, 0).queue_batches > 0);
	cgm_export_stop(e);
}

static void test_put__no_room(void **state)
{
	struct cgm_export_state s;
	struct cgm_export *e;
	unsigned first;

	(void)state;
	fakes[0].filler = 95;
	fake_set(&fakes[0], true, false);
	e = start(one, 1, "", 20000, 0);
	for (unsigned i = 0; i < 400; i++) {
		put_numbers(e, i, i + 1);
		export_wait(state_of(e, 0).queue_batches + state_of(e, 0).nr_lost[CGM_EXPORT_NO_ROOM] == i + 1);
		assert_true(state_of(e, 0).queue_bytes <= 20000);
	}
	s = state_of(e, 0);
	assert_true(s.nr_retries > 0);
	assert_string_equal(s.fault, "it fails as it is told");
	fake_set(&fakes[0], false, false);
	cgm_export_stop(e);
	/* The oldest went, but for the one under way. */
	assert_int_equal(fakes[0].nr_got, s.queue_batches);
	assert_int_equal(fakes[0].got[0], 0);
	first = 400 - (unsigned)s.queue_batches + 1;
	for (unsigned i = 1; i < s.queue_batches; i++)
		assert_int_equal(fakes[0].got[i], first + i - 1);
}

static void test_put__refused(void **state)
{
	struct cgm_export *e;

	(void)state;
	fakes[0].refusing = true;
	e = start(one, 1, "", 0, 0);
	put_numbers(e, 0, 5);
	export_wait(state_of(e, 0).nr_lost[CGM_EXPORT_REFUSED] == 5);
	assert_int_equal(state_of(e, 0).nr_sent, 0);
	assert_string_equal(state_of(e, 0).fault, "it refuses as it is told");
	cgm_export_stop(e);
}

/* An outage goes to disk and comes back in order, with what came meanwhile behind it. */
static void test_spool__outage(void **state)
{
	struct cgm_export_state s;
	struct cgm_export *e;
	struct scratch d = { 0 };

	(void)state;
	scratch_open(&d);
	fakes[0].filler = 100;
	fake_set(&fakes[0], true, false);
	e = start(one, 1, d.dir, 5000, 0);
	put_numbers(e, 0, 5);
	export_wait(state_of(e, 0).spool_batches == 5 && state_of(e, 0).queue_bytes == 0);
	for (unsigned i = 5; i < 400; i++) {
		put_numbers(e, i, i + 1);
		export_wait(state_of(e, 0).spool_batches == i + 1);
	}
	s = state_of(e, 0);
	assert_true(s.spool_bytes > 0);
	fake_set(&fakes[0], false, false);
	export_wait(fake_got(&fakes[0]) == 400);
	export_wait(state_of(e, 0).spool_batches == 0);
	s = state_of(e, 0);
	assert_int_equal(s.nr_sent, 400);
	assert_int_equal(s.spool_bytes, 0);
	for (unsigned i = 0; i < CGM_NR_EXPORT_LOSSES; i++)
		assert_int_equal(s.nr_lost[i], 0);
	put_numbers(e, 400, 410);
	cgm_export_stop(e);
	check_order(&fakes[0], 0, 410);
	scratch_close(&d);
}

/* Heapster's words, sorted; a name never becomes a line of its own. */
static void test_log__text(void **state)
{
	static const struct cgm_tag tag = { "resource_id", "/dev/vda" };
	const struct cgm_entity_facts facts = { .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = "node\n1", [CGM_CL_LABELS] = "a:b\nMetricSet: c" } };
	const struct cgm_exporter *log = cgm_exporter_find("log");
	struct cgm_uri uri = { 0 };
	struct cgm_buf out = { 0 };
	struct cgm_draft d = { 0 };
	struct cgm_slice *s;
	uint64_t cut = 0;
	uint32_t set;
	void *st;

	(void)state;
	assert_int_equal(log->open(&uri, NULL, &st, NULL), 0);
	set = draft_set(&d, &facts);
	d.sets[set].scraped_ns = 1795363290031229000;
	cgm_draft_int(&d.sets[set], CGM_CM_UPTIME, 4011598);
	cgm_draft_float(&d.sets[set], CGM_CM_CPU_NODE_RESERVATION, 0.05263157894736842);
	cgm_draft_int(&d.sets[set], CGM_CM_CPU_LIMIT, 500);
	cgm_draft_labeled(&d, set, &(struct cgm_labeled_facts){ .metric = CGM_CM_DISK_IO_READ_BYTES, .labels = &tag, .nr_labels = 1, .value.i = 7 });
	s = draft_slice(&d, "node\n1", FIXTURE_END_NS);
	assert_int_equal(log->encode(st, s, &out, add_points, &cut), 4);
	assert_int_equal(cut, 4);
	cgm_buf_char(&out, '\0');
	assert_string_equal(out.p, "DataBatch     Timestamp: 2026-11-22 16:01:25 +0000 UTC     Node: node\\x0a1\n\n"
				   "MetricSet: node:node\\x0a1\n"
				   "   Scrape time: 2026-11-22 16:01:30.031229 +0000 UTC 1795363290031229000\n"
				   "   Labels:\n      labels = a:b\\x0aMetricSet: c\n      nodename = node\\x0a1\n      type = node\n"
				   "   Metrics:\n      cpu/limit = 500\n      cpu/node_reservation = 0.052632\n      uptime = 4011598\n"
				   "   Labeled Metrics:\n      disk/io_read_bytes = 7\n         resource_id = /dev/vda\n\n");
	cgm_buf_done(&out);
	cgm_slice_unref(s);
	log->close(st);
}

/* A bound on the size of files stands for a disk that is full. */
static struct rlimit disk_full(void)
{
	struct rlimit before, none;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	return before;
}

static void wait_all_taken(struct cgm_export *e, uint64_t nr)
{
	for (;;) {
		const struct cgm_export_state s = state_of(e, 0);

		if (s.queue_batches + s.spool_batches + s.nr_lost[CGM_EXPORT_SPOOL_FAULT] + s.nr_sent == nr)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
}

/* Memory goes on as without a spool; what it loses is the disk's fault. */
static void test_spool__disk_full_from_the_start(void **state)
{
	struct cgm_export_state s;
	struct scratch d = { 0 };
	struct rlimit before;
	struct cgm_export *e;
	unsigned first;

	(void)state;
	scratch_open(&d);
	fakes[0].filler = 95;
	fake_set(&fakes[0], true, false);
	e = start(one, 1, d.dir, 10000, 0);
	before = disk_full();
	for (unsigned i = 0; i < 300; i++) {
		put_numbers(e, i, i + 1);
		wait_all_taken(e, i + 1);
	}
	s = state_of(e, 0);
	assert_true(s.nr_lost[CGM_EXPORT_SPOOL_FAULT] > 150);
	assert_true(s.queue_bytes > 9000 && s.queue_bytes <= 10000);
	assert_int_equal(s.spool_batches, 0);
	fake_set(&fakes[0], false, false);
	export_wait(state_of(e, 0).nr_sent + s.nr_lost[CGM_EXPORT_SPOOL_FAULT] == 300);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	cgm_export_stop(e);
	assert_int_equal(fakes[0].got[0], 0);
	first = 300 - (unsigned)fakes[0].nr_got + 1;
	for (unsigned i = 1; i < fakes[0].nr_got; i++)
		assert_int_equal(fakes[0].got[i], first + i - 1);
	scratch_close(&d);
}

/* What the disk has not taken stands behind what it has. */
static void test_spool__disk_full_later(void **state)
{
	struct scratch d = { 0 };
	struct rlimit before;
	struct cgm_export *e;

	(void)state;
	scratch_open(&d);
	fakes[0].filler = 95;
	fake_set(&fakes[0], true, false);
	e = start(one, 1, d.dir, 10000, 0);
	put_numbers(e, 0, 50);
	export_wait(state_of(e, 0).spool_batches == 50);
	before = disk_full();
	put_numbers(e, 50, 100);
	wait_all_taken(e, 100);
	assert_int_equal(state_of(e, 0).spool_batches, 50);
	assert_int_equal(state_of(e, 0).queue_batches, 50);
	fake_set(&fakes[0], false, false);
	export_wait(fake_got(&fakes[0]) == 100);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	put_numbers(e, 100, 110);
	cgm_export_stop(e);
	check_order(&fakes[0], 0, 110);
	scratch_close(&d);
}

/* At the end the disk is tried once more. */
static void test_stop__disk_full_before(void **state)
{
	struct scratch d = { 0 };
	struct rlimit before;
	struct cgm_export *e;

	(void)state;
	scratch_open(&d);
	fake_set(&fakes[0], true, false);
	e = start(one, 1, d.dir, 0, 0);
	put_numbers(e, 0, 10);
	export_wait(state_of(e, 0).spool_batches == 10);
	before = disk_full();
	put_numbers(e, 10, 20);
	wait_all_taken(e, 20);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	cgm_export_stop(e);
	fake_set(&fakes[0], false, false);
	e = start(one, 1, d.dir, 0, 0);
	export_wait(fake_got(&fakes[0]) == 20);
	cgm_export_stop(e);
	check_order(&fakes[0], 0, 20);
	scratch_close(&d);
}

/* What is there at the end is delivered first by the next one. hanging: the server does not answer at all. */
static void stop_and_again(bool hanging)
{
	struct cgm_export *e;
	struct scratch d = { 0 };

	scratch_open(&d);
	fake_set(&fakes[0], !hanging, hanging);
	e = start(one, 1, d.dir, 0, CGM_NSEC_PER_SEC / 10);
	put_numbers(e, 0, 100);
	export_wait(state_of(e, 0).queue_batches + state_of(e, 0).spool_batches == 100);
	cgm_export_stop(e);
	assert_int_equal(fakes[0].nr_got, 0);
	e = start(one, 1, d.dir, 0, CGM_NSEC_PER_SEC / 10);
	assert_true(state_of(e, 0).spool_batches > 0);
	put_numbers(e, 100, 200);
	cgm_export_stop(e);
	fake_set(&fakes[0], false, false);
	e = start(one, 1, d.dir, 0, 0);
	put_numbers(e, 200, 300);
	export_wait(fake_got(&fakes[0]) == 300);
	cgm_export_stop(e);
	check_order(&fakes[0], 0, 300);
	scratch_close(&d);
}

static void test_stop__failing(void **state)
{
	(void)state;
	stop_and_again(false);
}

static void test_stop__hanging(void **state)
{
	(void)state;
	stop_and_again(true);
}

static void test_stop__at_end_without_spool(void **state)
{
	struct cgm_export *e;

	(void)state;
	fake_set(&fakes[0], false, true);
	e = start(one, 1, "", 0, CGM_NSEC_PER_SEC / 20);
	put_numbers(e, 0, 3);
	export_wait(fake_tries(&fakes[0]) == 1);
	cgm_export_stop(e);
	assert_int_equal(fakes[0].nr_got, 0);
	cgm_export_stop(NULL);
}

static void test_start__spool_of_another(void **state)
{
	char fault[CGM_EXPORT_FAULT] = "";
	struct cgm_export *e, *other = NULL;
	struct scratch d = { 0 };

	(void)state;
	scratch_open(&d);
	e = start(one, 1, d.dir, 0, 0);
	assert_int_equal(cgm_export_start(&(struct cgm_export_config){ .uris = one, .nr_uris = 1, .spool_dir = d.dir }, &other, fault), -EBUSY);
	assert_non_null(strstr(fault, "another process has it"));
	cgm_export_stop(e);
	scratch_close(&d);
}

/* A spool that cannot be made is said, and memory goes on. */
static void test_start__no_directory(void **state)
{
	struct cgm_export *e;
	struct scratch d = { 0 };
	char dir[128];

	(void)state;
	scratch_open(&d);
	scratch_put(&d, "file", "");
	snprintf(dir, sizeof(dir), "%s/file", d.dir);
	e = start(one, 1, dir, 0, 0);
	put_numbers(e, 0, 10);
	cgm_export_stop(e);
	check_order(&fakes[0], 0, 10);
	scratch_close(&d);
}

static void test_start__each_allocation_fails(void **state)
{
	const struct cgm_export_config c = { .uris = two, .nr_uris = 2, .spool_dir = "" };
	bool done = false;

	(void)state;
	for (unsigned long n = 1; !done; n++) {
		char fault[CGM_EXPORT_FAULT] = "";
		struct cgm_export *e = NULL;
		int r;

		cgm_mem_fail_at(n);
		r = cgm_export_start(&c, &e, fault);
		done = cgm_mem_fail_at(0) < n;
		assert_true(r == 0 || r == -ENOMEM);
		if (r < 0)
			assert_non_null(strstr(fault, "out of memory"));
		cgm_export_stop(e);
	}
}

/* Whatever allocation fails: each point is sent or counted as lost. */
static void test_put__each_allocation_fails(void **state)
{
	struct scratch d = { 0 };
	bool done = false;

	(void)state;
	scratch_open(&d);
	for (unsigned long n = 1; !done; n++) {
		struct cgm_slice *slices[3] = { numbered_slice(1), numbered_slice(2), numbered_slice(3) };
		const struct cgm_export_state *t;
		struct cgm_export_state s;
		struct cgm_export *e;

		fakes_reset();
		fake_set(&fakes[0], n % 4 == 0, false); /* an outage costs time: the disk is synced */
		e = start(one, 1, d.dir, 0, 0);

		cgm_mem_fail_at(n);
		for (size_t i = 0; i < ARRAY_SIZE(slices); i++)
			cgm_export_put(e, slices[i]);
		/* Its states allocate, so that they are not asked for here. */
		t = &e->sinks[0].told;
		export_wait(fake_tries(&fakes[0]) > 0 || __atomic_load_n(&t->nr_lost[CGM_EXPORT_NO_MEMORY], __ATOMIC_RELAXED) > 0);
		fake_set(&fakes[0], false, false);
		export_wait(__atomic_load_n(&t->nr_sent, __ATOMIC_RELAXED) + __atomic_load_n(&t->nr_lost[CGM_EXPORT_NO_MEMORY], __ATOMIC_RELAXED) == 3);
		done = cgm_mem_fail_at(0) < n;
		s = state_of(e, 0);
		assert_int_equal(s.nr_sent, fakes[0].nr_got);
		for (size_t i = 0; i < ARRAY_SIZE(slices); i++)
			cgm_slice_unref(slices[i]);
		cgm_export_stop(e);
	}
	scratch_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_check__faults, setup),
		cmocka_unit_test_setup(test_log__text, setup),
		cmocka_unit_test_setup(test_put__in_order, setup),
		cmocka_unit_test_setup(test_put__lingers, setup),
		cmocka_unit_test_setup(test_put__one_hangs, setup),
		cmocka_unit_test_setup(test_put__no_room, setup),
		cmocka_unit_test_setup(test_put__refused, setup),
		cmocka_unit_test_setup(test_spool__outage, setup),
		cmocka_unit_test_setup(test_spool__disk_full_from_the_start, setup),
		cmocka_unit_test_setup(test_spool__disk_full_later, setup),
		cmocka_unit_test_setup(test_stop__disk_full_before, setup),
		cmocka_unit_test_setup(test_stop__failing, setup),
		cmocka_unit_test_setup(test_stop__hanging, setup),
		cmocka_unit_test_setup(test_stop__at_end_without_spool, setup),
		cmocka_unit_test_setup(test_start__spool_of_another, setup),
		cmocka_unit_test_setup(test_start__no_directory, setup),
		cmocka_unit_test_setup(test_start__each_allocation_fails, setup),
		cmocka_unit_test_setup(test_put__each_allocation_fails, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
