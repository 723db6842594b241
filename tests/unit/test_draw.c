// SPDX-License-Identifier: Apache-2.0
/* Screens at 80 by 24, 200 by 50 and every size between nothing and a wall. */
#include "top_fixture.h"

static const char *const names[] = {"/", "/kube", "/kube/pod-1", "/kube/pod-1/evil\x1b[2J\xff\xe6\xbc\xa2", "/system"};

struct fixture {
	struct cgm_model model;
	struct cgm_detail detail;
	struct cgm_view view;
	struct cgm_grid cells;
	struct cgm_scene scene;
};

static struct cgm_feed feed(unsigned seconds)
{
	struct cgm_feed f = top_feed(names, ARRAY_SIZE(names), seconds);

	for (size_t i = 0; i < f.nr_rows; i++) {
		struct cgm_feed_row *r = &f.rows[i];

		cgm_feed_set(r, CGM_FEED_CPU_USAGE, seconds * SECOND_NS / (i + 1));
		cgm_feed_set(r, CGM_FEED_WORKING_SET, 100 << 20);
		cgm_feed_set(r, CGM_FEED_MEMORY_LIMIT, 104 << 20);
		cgm_feed_set(r, CGM_FEED_TASKS, 3);
		cgm_feed_set(r, CGM_FEED_NET_RX, 2048 * seconds);
		r->have_hist = 1;
		r->hist[CGM_FEED_RUNQ_DELAY].buckets[60] = seconds;
	}
	return f;
}

static void push_hists(struct cgm_detail *d, unsigned seconds)
{
	struct cgm_hists h = {.mono_ns = (1 + seconds) * SECOND_NS};

	for (unsigned i = 0; i < 12; i++) {
		struct cgm_hist hist = {.sum_ns = seconds * 1000000};
		char title[40];

		for (unsigned b = 20; b < 40 + i && i; b++)
			hist.buckets[b] = (uint64_t)seconds * (b - 19);
		snprintf(title, sizeof(title), "wait %u \x1b\xff", i);
		assert_int_equal(cgm_hists_add(&h, title, &hist), 0);
	}
	cgm_detail_push(d, &h);
}

static void setup(struct fixture *f, size_t width, size_t height)
{
	*f = (struct fixture){0};
	cgm_view_init(&f->view);
	top_push(&f->model, feed(1));
	top_push(&f->model, feed(2));
	push_hists(&f->detail, 1);
	push_hists(&f->detail, 2);
	assert_int_equal(cgm_view_build(&f->view, &f->model), 0);
	top_cells(&f->cells, width, height);
	f->scene = (struct cgm_scene){.model = &f->model, .detail = &f->detail, .view = &f->view, .source = "agent http://127.0.0.1:8080"};
}

static void teardown(struct fixture *f)
{
	cgm_grid_done(&f->cells);
	cgm_view_done(&f->view);
	cgm_detail_done(&f->detail);
	cgm_model_done(&f->model);
}

static void key(struct fixture *f, uint32_t k)
{
	cgm_view_key(&f->view, &f->model, f->detail.now.nr, k);
	cgm_draw(&f->scene, &f->cells);
}

static void line_is(const struct fixture *f, size_t y, const char *text)
{
	assert_string_equal(top_line(&f->cells, y), text);
}

static enum cgm_style style_of(const struct fixture *f, size_t x, size_t y)
{
	return (enum cgm_style)f->cells.v[y * f->cells.width + x].style;
}

static void test_draw__list_80x24(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, 80, 24);
	cgm_draw(&f.scene, &f.cells);
	line_is(&f, 0, "cgmeter top  14:13:22  every 1s  5 cgroups  tree  by CPU%");
	line_is(&f, 1, "agent http://127.0.0.1:8080");
	line_is(&f, 2, "  CPU%  THR%  RQ99   MEM  %LIM  BL99    RX    TX TASKS CGROUP");
	line_is(&f, 3, " 100.0     -  29ms  100M  96.2     -  2.0K     -     3 - /");
	line_is(&f, 4, "  50.0     -  29ms  100M  96.2     -  2.0K     -     3   - kube");
	line_is(&f, 5, "  33.3     -  29ms  100M  96.2     -  2.0K     -     3     - pod-1");
	line_is(&f, 6, "  25.0     -  29ms  100M  96.2     -  2.0K     -     3         evil\\x1b[2J\\xff\xe6\xbc\xa2");
	line_is(&f, 7, "  20.0     -  29ms  100M  96.2     -  2.0K     -     3     system");
	line_is(&f, 8, "");
	line_is(&f, 23, "q quit  ? help  / filter  < > sort  r reverse  t tree/flat  Space fold  Enter d~");
	assert_int_equal(style_of(&f, 2, 2), CGM_STYLE_SORTED);
	assert_int_equal(style_of(&f, 20, 2), CGM_STYLE_HEAD);
	assert_int_equal(style_of(&f, 0, 3), CGM_STYLE_SELECTED);
	assert_int_equal(style_of(&f, 26, 4), CGM_STYLE_BAD);  /* of the limit */
	assert_int_equal(style_of(&f, 15, 4), CGM_STYLE_WARN); /* run-queue delay */
	/* Sorted by a column that would not have been there. */
	key(&f, 'F');
	assert_int_equal(top_find(&f.cells, "FULL"), 0);
	assert_true(strstr(top_line(&f.cells, 2), " FULL ") != NULL);
	key(&f, 't');
	key(&f, 'C');
	line_is(&f, 6, "  25.0     -  29ms  100M  96.2     -  2.0K     -     3 ~/pod-1/evil\\x1b[2J\\xff\xe6\xbc\xa2");
	teardown(&f);
}

static void test_draw__list_200x50(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, 200, 50);
	cgm_draw(&f.scene, &f.cells);
	line_is(&f, 2, "  CPU%  THR%  RQ50  RQ99   MEM  %LIM  SOME  FULL  BL50  BL99  READ WRITE    RX    TX  RETR TASKS CGROUP");
	line_is(&f, 6,
		"  25.0     -  29ms  29ms  100M  96.2     -     -     -     -     -     -  2.0K     -     -     3         "
		"evil\\x1b[2J\\xff\xe6\xbc\xa2");
	line_is(&f, 49, "q quit  ? help  / filter  < > sort  r reverse  t tree/flat  Space fold  Enter detail");
	teardown(&f);
}

static void test_draw__state_of_the_view(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, 120, 24);
	key(&f, 'p');
	key(&f, 'r');
	key(&f, '/');
	key(&f, 's');
	assert_string_equal(top_line(&f.cells, 23), "show what contains: s");
	key(&f, '\n');
	line_is(&f, 0, "cgmeter top  PAUSED  14:13:22  every 1s  2 of 5 cgroups  tree  by CPU%, reversed  /s");
	assert_int_equal(style_of(&f, 60, 3), CGM_STYLE_SELECTED);
	f.scene.trouble = "agent http://127.0.0.1:8080: nobody listens there";
	cgm_draw(&f.scene, &f.cells);
	line_is(&f, 1, f.scene.trouble);
	f.scene.trouble = NULL;
	f.scene.age_ns = 7 * SECOND_NS;
	key(&f, 'p');
	line_is(&f, 1, "no new numbers for 7 s: agent http://127.0.0.1:8080");
	key(&f, '/');
	key(&f, 'z');
	assert_int_equal(top_find(&f.cells, "no cgroup contains that"), 3);
	teardown(&f);
}

/* The selected line is on the screen, wherever it is. */
static void test_draw__scrolls(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, 80, 8); /* four lines of the list */
	for (unsigned i = 0; i < 5; i++) {
		cgm_draw(&f.scene, &f.cells);
		assert_true(f.view.at >= f.view.top && f.view.at < f.view.top + f.view.page);
		key(&f, CGM_KEY_DOWN);
	}
	assert_int_equal(f.view.top, 1);
	assert_int_equal(style_of(&f, 0, 6), CGM_STYLE_SELECTED);
	/* A larger window has room for all again. */
	assert_int_equal(cgm_grid_resize(&f.cells, 80, 24), 0);
	cgm_draw(&f.scene, &f.cells);
	assert_int_equal(f.view.top, 0);
	teardown(&f);
}

static void test_draw__detail_80x24(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, 80, 24);
	key(&f, 'j');
	key(&f, '\n');
	line_is(&f, 2, "/kube");
	line_is(&f, 3, "CPU% 50.0  THR% -  RQ50 29ms  RQ99 29ms  MEM 100M  %LIM 96.2  SOME -  FULL -");
	line_is(&f, 4, "BL50 -  BL99 -  READ -  WRITE -  RX 2.0K  TX -  RETR -  TASKS 3");
	line_is(&f, 5, "OF THE INTERVAL        RATE   P50   P90   P99  MEAN 1us       1ms       1s   64s");
	line_is(&f, 6, "wait 0 \\x1b\\xff           0     -     -     -     -");
	/* 1, 14, 30, 46, 62 and 78 of 231 in a doubling each; the 116th, 208th and 229th in buckets 34, 39 and 40. */
	line_is(&f, 7,
		"wait 1 \\x1b\\xff         231 317us 753us 896us 4.3us      "
		"\xe2\x96\x81\xe2\x96\x81\xe2\x96\x83\xe2\x96\x84\xe2\x96\x86\xe2\x96\x88");
	for (unsigned i = 0; i < 11; i++)
		key(&f, CGM_KEY_DOWN);
	assert_int_equal(f.view.hist, 11);
	assert_true(top_find(&f.cells, "wait 11 \\x1b\\xff") < 16);
	assert_true(top_find(&f.cells, "496 in the interval") > 14);
	assert_true(strstr(top_line(&f.cells, 22), "1us       31us      1ms       31ms      1s        32s") != NULL);
	key(&f, 'a');
	assert_true(top_find(&f.cells, "992 in all") > 14);
	assert_string_equal(top_line(&f.cells, 5), "OF ALL TIME           COUNT   P50   P90   P99  MEAN 1us       1ms       1s   64s");
	teardown(&f);
}

/* The bars: as high as they are many. */
static void test_draw__bars(void **state)
{
	struct fixture f;
	struct cgm_hists h = {.mono_ns = 5 * SECOND_NS};
	struct cgm_hist hist = {.buckets = {[0] = 8, [1] = 4, [2] = 4, [40] = 1, [105] = 1000}};

	(void)state;
	setup(&f, 80, 24);
	assert_int_equal(cgm_hists_add(&h, "one", &hist), 0);
	cgm_detail_push(&f.detail, &h);
	key(&f, '\n');
	key(&f, 'a');
	/* Bars of 2 columns, from column 7 on, in lines 17 to 21; line 22 is the axis. The highest is full. */
	for (size_t y = 17; y < 22; y++)
		for (size_t x = 7 + 27 * 2; x < 7 + 28 * 2; x++)
			assert_int_equal(f.cells.v[y * 80 + x].c, 0x2588);
	assert_int_equal(f.cells.v[21 * 80 + 7].c, 0x2581); /* little is not nothing */
	assert_int_equal(f.cells.v[21 * 80 + 9].c, 0x2581);
	assert_int_equal(f.cells.v[21 * 80 + 11].c, ' ');
	assert_int_equal(f.cells.v[21 * 80 + 7 + 2 * 10].c, 0x2581);
	assert_int_equal(f.cells.v[20 * 80 + 7].c, ' ');
	/* With room for all buckets. */
	assert_int_equal(cgm_grid_resize(&f.cells, 200, 50), 0);
	f.cells.ascii = true;
	cgm_draw(&f.scene, &f.cells);
	assert_int_equal(f.cells.v[47 * 200 + 7].c, '.');
	assert_int_equal(f.cells.v[47 * 200 + 7 + 40].c, '.');
	assert_int_equal(f.cells.v[47 * 200 + 7 + 41].c, ' ');
	assert_int_equal(f.cells.v[47 * 200 + 7 + 105].c, '#');
	teardown(&f);
}

static void test_draw__detail_of_what_is_gone(void **state)
{
	static const char *const root[] = {"/"};
	struct fixture f;
	struct cgm_hists none = {.mono_ns = 9 * SECOND_NS};

	(void)state;
	setup(&f, 80, 24);
	key(&f, 'G');
	key(&f, '\n');
	top_push(&f.model, top_feed(root, 1, 3));
	assert_int_equal(cgm_view_build(&f.view, &f.model), 0);
	cgm_detail_push(&f.detail, &none);
	cgm_draw(&f.scene, &f.cells);
	line_is(&f, 3, "this cgroup is gone");
	assert_true(top_find(&f.cells, "no histograms: nothing counts in the kernel") != SIZE_MAX);
	cgm_detail_done(&f.detail);
	cgm_draw(&f.scene, &f.cells);
	assert_true(top_find(&f.cells, "waiting for the histograms") != SIZE_MAX);
	teardown(&f);
}

static void test_draw__help(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, 80, 24);
	key(&f, '?');
	/* No line is cut at 80 columns, and all can be reached. */
	for (unsigned i = 0; i < 40; i++) {
		for (size_t y = 2; y < 23; y++)
			assert_null(strchr(top_line(&f.cells, y), '~'));
		key(&f, CGM_KEY_DOWN);
	}
	assert_true(top_find(&f.cells, "wrong by at most 9 %") == 22);
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++)
		assert_true(top_find(&f.cells, cgm_columns[i].help) != SIZE_MAX || i < 3);
	key(&f, 'x');
	assert_int_equal(f.view.mode, CGM_VIEW_LIST);
	teardown(&f);
}

/* Whatever the window, nothing is written beside it (the cells' memory is just so big), and each cell holds something. */
static void test_draw__every_size(void **state)
{
	static const uint32_t keys[] = {'j', '\n', 'a', 'G', '?', CGM_KEY_DOWN, 'x', 27, 't', '/', 'e', '\n', 'd'};

	(void)state;
	for (size_t width = 1; width < 230; width += 1 + width / 9) {
		for (size_t height = 1; height < 70; height += 1 + height / 9) {
			struct fixture f;

			setup(&f, width, height);
			f.cells.ascii = width % 2;
			for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
				key(&f, keys[i]);
				for (size_t k = 0; k < width * height; k++) {
					uint32_t c = f.cells.v[k].c;

					assert_true(f.cells.v[k].style < CGM_NR_STYLES);
					assert_true(c >= 32 ? c != 127 : !c && k % width && f.cells.v[k - 1].c >= 0x1100);
					assert_true(!f.cells.ascii || c < 127);
				}
			}
			teardown(&f);
		}
	}
}

static void test_duration_text(void **state)
{
	char buf[CGM_DURATION_TEXT];

	(void)state;
	assert_string_equal(cgm_duration_text(SECOND_NS / 2, buf), "500ms");
	assert_string_equal(cgm_duration_text(999999999, buf), "1s");
	assert_string_equal(cgm_duration_text(SECOND_NS * 3 / 2, buf), "1.5s");
	assert_string_equal(cgm_duration_text(3600 * SECOND_NS, buf), "3600s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_draw__list_80x24),
		cmocka_unit_test(test_draw__list_200x50),
		cmocka_unit_test(test_draw__state_of_the_view),
		cmocka_unit_test(test_draw__scrolls),
		cmocka_unit_test(test_draw__detail_80x24),
		cmocka_unit_test(test_draw__bars),
		cmocka_unit_test(test_draw__detail_of_what_is_gone),
		cmocka_unit_test(test_draw__help),
		cmocka_unit_test(test_draw__every_size),
		cmocka_unit_test(test_duration_text),
	};

	return cmocka_run_group_tests(tests, top_setup, NULL);
}
