// SPDX-License-Identifier: Apache-2.0
/* The feed and the histograms: what is written is what is read, and what is damaged is refused with its line. */
#include "synthetic.h"

#include <errno.h>

#include "base/cleanup.h"
#include "output/feed.h"

static const char *const names[] = {"/", "/a", "/a/b c", "/a/b\\\x1b\xff", "/u\xc3\xbc"};

static struct cgm_snapshot *snapshot(struct synth *y, bool live)
{
	struct cgm_snapshot *s;

	synth_init(y, names, ARRAY_SIZE(names));
	y->live = live;
	synth_tick(y);
	s = synth_snapshot(y);
	s->mono_ns = 42;
	return s;
}

static int render(struct cgm_stream *stream, struct cgm_buf *out)
{
	int r = stream ? 1 : -ENOMEM;

	while (r > 0)
		r = stream->next(stream, out);
	cgm_stream_free(stream);
	return r;
}

/* A snapshot and what is read of its feed. */
struct fixture {
	struct synth y;
	struct cgm_snapshot *s;
	struct cgm_feed f;
};

static void read_back(struct fixture *x)
{
	struct cgm_buf text = {0};
	const char *fault;
	size_t line;

	assert_int_equal(render(cgm_feed_write(x->s, 0), &text), 0);
	assert_int_equal(cgm_feed_read(text.p, text.len, &x->f, &fault, &line), 0);
	cgm_buf_done(&text);
}

static void teardown(struct fixture *x)
{
	cgm_feed_done(&x->f);
	cgm_snapshot_unref(x->s);
	synth_done(&x->y);
}

static void test_feed__what_is_written_is_read(void **state)
{
	struct fixture x = {0};

	(void)state;
	x.s = snapshot(&x.y, true);
	read_back(&x);
	assert_int_equal(x.f.nr_rows, ARRAY_SIZE(names));
	assert_int_equal(x.f.mono_ns, 42);
	assert_int_equal(x.f.time_ns, x.s->time_ns);
	for (size_t i = 0; i < x.f.nr_rows; i++) {
		const struct cgm_feed_row *r = &x.f.rows[i];
		const struct cgm_row *row = &x.s->rows[i];

		assert_string_equal(r->name, names[i]);
		assert_int_equal(r->parent, row->parent);
		assert_int_equal(r->v[CGM_FEED_CPU_USAGE], row->values[CGM_V_CPU_USAGE_TOTAL]);
		assert_int_equal(r->v[CGM_FEED_CPU_THROTTLED_PERIODS], row->values[CGM_V_CPU_CFS_THROTTLED_PERIODS]);
		assert_int_equal(r->v[CGM_FEED_WORKING_SET], row->values[CGM_V_MEMORY_WORKING_SET]);
		assert_int_equal(r->v[CGM_FEED_MEMORY_LIMIT], 1 << 30);
		assert_int_equal(r->v[CGM_FEED_MEMORY_FULL], row->values[CGM_V_MEMORY_PSI_FULL_AVG10]);
		assert_int_equal(r->v[CGM_FEED_TASKS], row->values[CGM_V_THREADS_CURRENT]);
		assert_int_equal(r->v[CGM_FEED_NET_RX], 100); /* not the 23 of a unix socket */
		assert_int_equal(r->v[CGM_FEED_NET_TX], 45);
		assert_int_equal(r->v[CGM_FEED_BLOCK_READ], 4096);
		assert_int_equal(r->v[CGM_FEED_BLOCK_WRITE], 8192);
		assert_int_equal(r->have, (1U << CGM_NR_FEED_VALUES) - 1);
		assert_int_equal(r->have_hist, (1U << CGM_NR_FEED_HISTS) - 1);
		assert_int_equal(r->hist[CGM_FEED_RUNQ_DELAY].sum_ns, 77777 + i);
		for (unsigned b = 0; b < CGM_HIST_BUCKETS; b++)
			assert_int_equal(r->hist[CGM_FEED_RUNQ_DELAY].buckets[b], b + i);
		assert_int_equal(r->hist[CGM_FEED_BLOCK_LATENCY].buckets[CGM_HIST_BUCKETS - 1], 6); /* read and write */
	}
	teardown(&x);
}

/* Without a kernel side nothing of it is known, and bytes are those of the files. */
static void test_feed__titles(void **state)
{
	static const struct cgm_who web = {.runtime = "docker", .id = "00", .name = "we\tb\\"},
				    app = {.runtime = "containerd", .id = "01", .container = "app", .pod = "shop-1", .pod_namespace = "shop"};
	struct fixture x = {0};

	(void)state;
	synth_init(&x.y, names, ARRAY_SIZE(names));
	x.y.who[1] = &web;
	x.y.who[2] = &app;
	synth_tick(&x.y);
	x.s = synth_snapshot(&x.y);
	read_back(&x);
	assert_null(x.f.rows[0].title);
	assert_string_equal(x.f.rows[1].title, "we\tb\\");
	assert_string_equal(x.f.rows[1].name, names[1]);
	assert_string_equal(x.f.rows[2].title, "shop/shop-1/app");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(x.f.rows[i].name, names[i]);
	teardown(&x);
}

static void test_feed__without_a_kernel_side(void **state)
{
	struct fixture x = {0};

	(void)state;
	x.s = snapshot(&x.y, false);
	read_back(&x);
	assert_int_equal(x.f.rows[1].have_hist, 0);
	assert_false(cgm_feed_has(&x.f.rows[1], CGM_FEED_NET_RX));
	assert_true(cgm_feed_has(&x.f.rows[1], CGM_FEED_BLOCK_READ));
	assert_int_equal(x.f.rows[1].v[CGM_FEED_BLOCK_READ],
		synth_value(1, 0, 600 + CGM_DISK_BYTES_READ) + synth_value(1, 0, 650 + CGM_DISK_BYTES_READ));
	teardown(&x);
}

static void test_feed__a_group_that_does_not_count_is_not_known(void **state)
{
	struct fixture x = {0};

	(void)state;
	x.s = snapshot(&x.y, true);
	x.s->self.groups_paused = 1ULL << CGM_G_SCHED;
	x.s->self.groups_off = 1ULL << CGM_G_NET;
	x.s->self.groups_idle = 1ULL << CGM_G_BLOCK;
	read_back(&x);
	assert_int_equal(x.f.rows[1].have_hist, 0);
	assert_false(cgm_feed_has(&x.f.rows[1], CGM_FEED_NET_TX));
	assert_false(cgm_feed_has(&x.f.rows[1], CGM_FEED_BLOCK_READ));
	teardown(&x);
}

/* The machine has no pids.current: its tasks are those of all rows. */
static void test_feed__tasks_of_the_root(void **state)
{
	struct fixture x = {0};
	const unsigned states[] = {CGM_V_TASKS_SLEEPING, CGM_V_TASKS_RUNNING, CGM_V_TASKS_STOPPED, CGM_V_TASKS_UNINTERRUPTIBLE};
	uint64_t wanted = 0;

	(void)state;
	x.s = snapshot(&x.y, true);
	x.s->rows[0].layout->have[CGM_V_THREADS_CURRENT / 64] &= ~(1ULL << CGM_V_THREADS_CURRENT % 64);
	for (size_t i = 0; i < x.s->nr_rows; i++)
		for (size_t k = 0; k < ARRAY_SIZE(states); k++)
			wanted += x.s->rows[i].values[states[k]];
	read_back(&x);
	assert_int_equal(x.f.rows[0].v[CGM_FEED_TASKS], wanted);
	teardown(&x);
}

static void test_feed__nothing_newer(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, true);
	struct cgm_buf text = {0};
	struct cgm_feed f;
	const char *fault;
	size_t line;

	(void)state;
	assert_int_equal(render(cgm_feed_write(s, 42), &text), 0);
	assert_true(text.len < 100);
	assert_int_equal(cgm_feed_read(text.p, text.len, &f, &fault, &line), 1);
	cgm_buf_done(&text);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_hists__what_is_written_is_read(void **state)
{
	static const char *const titles[] = {
		"cpu runqueue delay",
		"cpu slice",
		"cpu off sleep",
		"cpu off blocked",
		"cpu off iowait",
		"block latency /dev/vda read",
		"block service /dev/vda read",
		"block latency /dev/vda write",
		"block service /dev/vda write",
		"memory reclaim limit",
	};
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, true);
	struct cgm_buf text = {0};
	struct cgm_hists h;
	const char *fault;
	size_t line;

	(void)state;
	assert_int_equal(render(cgm_hists_write(s, 1), &text), 0);
	assert_int_equal(cgm_hists_read(text.p, text.len, &h, &fault, &line), 0);
	assert_int_equal(h.nr, ARRAY_SIZE(titles));
	for (size_t i = 0; i < h.nr; i++)
		assert_string_equal(h.v[i].title, titles[i]);
	assert_int_equal(h.v[0].h.buckets[7], 8);
	assert_int_equal(h.v[4].h.buckets[3], 9);
	assert_int_equal(h.v[9].h.buckets[CGM_HIST_BUCKETS - 1], 3);
	cgm_hists_done(&h);
	cgm_buf_done(&text);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* Every kind has a title of its own. */
static void test_hists__titles_are_unique(void **state)
{
	char all[CGM_NR_WAITS][CGM_HIST_TITLE];

	(void)state;
	for (unsigned i = 0; i < CGM_NR_WAITS; i++) {
		cgm_hist_title_wait((enum cgm_wait)i, all[i]);
		assert_true(strlen(all[i]) > 3);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(all[i], all[k]);
	}
}

static void test_feed_read__damaged(void **state)
{
	static const struct {
		const char *text, *fault;
		size_t line;
	} cases[] = {
		{"", "the text ends in the middle", 1},
		{"\n", "not the text that was asked for", 1},
		{"cgmeter-hists 1 1 1 0\n", "not the text that was asked for", 1},
		{"cgmeter-feed 2 1 1 0\n", "a version of the text that this program does not know", 1},
		{"cgmeter-feed 1 1 1\n", "a bad head line", 1},
		{"cgmeter-feed 1 1 1 0 9\n", "a bad head line", 1},
		{"cgmeter-feed 1 x 1 0\n", "a bad head line", 1},
		{"cgmeter-feed 1 1 1 131073\n", "too many rows", 1},
		{"cgmeter-feed 1 1 1 0\n", "the text ends in the middle", 2},
		{"cgmeter-feed 1 1 1 0\nsame\nx", "no line of columns", 2},
		{"cgmeter-feed 1 1 1 0\nrows tasks\n", "no line of columns", 2},
		{"cgmeter-feed 1 1 1 0\ncolumns tasks tasks\n", "a column that comes twice", 2},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\n", "the text ends in the middle", 4},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\nend", "the text ends in the middle", 4},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\nend\n\n", "more than the end behind the last row", 4},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\n0 5 /a\nend\n", "more than the end behind the last row", 4},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 -5 /\nend\n", "not a number", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\nx 5 /\nend\n", "not a number", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0  /\nend\n", "too few columns", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0\nend\n", "too few columns", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5\nend\n", "a name of no or too many characters", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /a\nend\n", "names out of order", 3},
		{"cgmeter-feed 1 1 1 2\ncolumns tasks\n0 5 /\n0 5 /\nend\n", "names out of order", 4},
		{"cgmeter-feed 1 1 1 2\ncolumns tasks\n0 5 /\n1 5 /a\nend\n", "a parent behind its child", 4},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n1 5 /\nend\n", "a parent behind its child", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\x01\nend\n", "a control character in a name", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\t\nend\n", "a name of no or too many characters", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 \ttitle\nend\n", "a name of no or too many characters", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\ta\tb\nend\n", "a control character in a name", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\\x0\nend\n", "a bad escape in a name", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\\x00\nend\n", "a bad escape in a name", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /\\n\nend\n", "a bad escape in a name", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns runq_delay\n0 5 /\nend\n", "a bad histogram", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns runq_delay\n0 5:0:1,x /\nend\n", "a bad bucket of a histogram", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns runq_delay\n0 5:105:1,1 /\nend\n", "a bad bucket of a histogram", 3},
		{"cgmeter-feed 1 1 1 1\ncolumns runq_delay\n0 5:18446744073709551615:1 /\nend\n", "a bad bucket of a histogram", 3},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_feed f = {.nr_rows = 77};
		const char *fault = "";
		size_t line = 0;
		int r = cgm_feed_read(cases[i].text, strlen(cases[i].text), &f, &fault, &line);

		if (r != -EINVAL || strcmp(fault, cases[i].fault) != 0 || line != cases[i].line)
			fail_msg("case %zu: %d, \"%s\" in line %zu", i, r, r == -EINVAL ? fault : "", line);
		assert_int_equal(f.nr_rows, 77);
	}
}

/* An agent of another version: columns come by name. */
static void test_feed_read__unknown_and_missing_columns(void **state)
{
	static const char text[] = "cgmeter-feed 1 1 1 2\ncolumns tasks of_tomorrow runq_delay\n0 5 7 9:105:3 /\n0 - 1:2:3 - /a b\nend\n";
	struct cgm_feed f;
	const char *fault;
	size_t line;

	(void)state;
	assert_int_equal(cgm_feed_read(text, sizeof(text) - 1, &f, &fault, &line), 0);
	assert_int_equal(f.rows[0].have, 1U << CGM_FEED_TASKS);
	assert_int_equal(f.rows[0].v[CGM_FEED_TASKS], 5);
	assert_int_equal(f.rows[0].hist[CGM_FEED_RUNQ_DELAY].buckets[105], 3);
	assert_int_equal(f.rows[1].have, 0);
	assert_int_equal(f.rows[1].have_hist, 0);
	assert_string_equal(f.rows[1].name, "/a b");
	cgm_feed_done(&f);
}

static void test_hists_read__damaged(void **state)
{
	static const char *const cases[] = {
		"cgmeter-hists 1 1 1 1\nend\n",
		"cgmeter-hists 1 1 1 1\n1:0:1 x\n",
		"cgmeter-hists 1 1 1 2\n1:0:1 x\n1:0:1 x\nend\n",
		"cgmeter-hists 1 1 1 1\n\nend\n",
		"cgmeter-hists 1 1 1 1\n1:0:1\nend\n",
		"cgmeter-hists 1 1 1 5000\n",
		"cgmeter-hists 1 1 1 1\n1:0:1 \nend\n",
		"cgmeter-hists 1 1 1 1\n1:999:1 x\nend\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_hists h;
		const char *fault = NULL;
		size_t line;

		assert_int_equal(cgm_hists_read(cases[i], strlen(cases[i]), &h, &fault, &line), -EINVAL);
		assert_non_null(fault);
	}
}

static int write_and_read(struct cgm_snapshot *s)
{
	struct cgm_buf feed = {0}, hists = {0};
	struct cgm_feed f = {0};
	struct cgm_hists h = {0};
	const char *fault;
	size_t line;
	int r = render(cgm_feed_write(s, 0), &feed);

	if (r == 0)
		r = render(cgm_hists_write(s, 1), &hists);
	if (r == 0)
		r = cgm_feed_read(feed.p, feed.len, &f, &fault, &line);
	if (r == 0)
		r = cgm_hists_read(hists.p, hists.len, &h, &fault, &line);
	cgm_feed_done(&f);
	cgm_hists_done(&h);
	cgm_buf_done(&feed);
	cgm_buf_done(&hists);
	return r;
}

static void test_feed__out_of_memory(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, true);
	uint32_t refs = s->refs;
	unsigned long nr;

	(void)state;
	cgm_mem_fail_at(1000000);
	assert_int_equal(write_and_read(s), 0);
	nr = cgm_mem_fail_at(0);
	assert_true(nr > 10);
	for (unsigned long n = 1; n <= nr; n++) {
		cgm_mem_fail_at(n);
		assert_int_equal(write_and_read(s), -ENOMEM);
		cgm_mem_fail_at(0);
		assert_int_equal(s->refs, refs);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_feed__what_is_written_is_read),
		cmocka_unit_test(test_feed__titles),
		cmocka_unit_test(test_feed__without_a_kernel_side),
		cmocka_unit_test(test_feed__a_group_that_does_not_count_is_not_known),
		cmocka_unit_test(test_feed__tasks_of_the_root),
		cmocka_unit_test(test_feed__nothing_newer),
		cmocka_unit_test(test_hists__what_is_written_is_read),
		cmocka_unit_test(test_hists__titles_are_unique),
		cmocka_unit_test(test_feed_read__damaged),
		cmocka_unit_test(test_feed_read__unknown_and_missing_columns),
		cmocka_unit_test(test_hists_read__damaged),
		cmocka_unit_test(test_feed__out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
