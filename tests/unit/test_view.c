// SPDX-License-Identifier: Apache-2.0
/* Order, tree, folds, filter, selection and keys. */
#include "top_fixture.h"

#include <errno.h>

static const char *const names[] = {"/", "/a", "/a/x", "/a/y", "/a/y/deep", "/b", "/b/Zed", "/c"};
/* CPU: by row; tasks: not known of /c */
static const unsigned cpu[] = {100, 30, 10, 20, 20, 50, 50, 20};

static struct cgm_feed feed(unsigned seconds)
{
	struct cgm_feed f = top_feed(names, ARRAY_SIZE(names), seconds);

	for (size_t i = 0; i < f.nr_rows; i++) {
		cgm_feed_set(&f.rows[i], CGM_FEED_CPU_USAGE, seconds * cpu[i] * (SECOND_NS / 100));
		if (i != 7)
			cgm_feed_set(&f.rows[i], CGM_FEED_TASKS, i);
	}
	return f;
}

struct fixture {
	struct cgm_model model;
	struct cgm_view view;
};

static struct fixture setup(void)
{
	struct fixture f = {0};

	cgm_view_init(&f.view);
	top_push(&f.model, feed(1));
	top_push(&f.model, feed(2));
	assert_int_equal(cgm_view_build(&f.view, &f.model), 0);
	f.view.page = 4;
	return f;
}

static void teardown(struct fixture *f)
{
	cgm_view_done(&f->view);
	cgm_model_done(&f->model);
}

/* The lines as text: two blanks a depth, + folded, - with children, ? for the sake of what is below. */
static const char *lines(const struct fixture *f)
{
	static char text[1000];
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < f->view.nr_lines; i++) {
		const struct cgm_line *l = &f->view.lines[i];

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%*s%s%s%s", i ? " | " : "", l->depth, "",
			l->folded	  ? "+"
			: l->has_children ? "-"
					  : "",
			f->model.rows[l->row].name, l->context ? "?" : "");
	}
	return text;
}

static enum cgm_view_action key(struct fixture *f, uint32_t k)
{
	return cgm_view_key(&f->view, &f->model, 5, k);
}

static void type(struct fixture *f, const char *text)
{
	for (; *text; text++)
		key(f, (unsigned char)*text);
}

static void test_view__tree_sorted_among_siblings(void **state)
{
	struct fixture f = setup();

	(void)state;
	assert_string_equal(lines(&f), "-/ |  -/b |   /b/Zed |  -/a |   -/a/y |    /a/y/deep |   /a/x |  /c");
	key(&f, 'r');
	assert_string_equal(lines(&f), "-/ |  /c |  -/a |   /a/x |   -/a/y |    /a/y/deep |  -/b |   /b/Zed");
	key(&f, 'r');
	key(&f, 'N');
	assert_string_equal(lines(&f), "-/ |  -/a |   /a/x |   -/a/y |    /a/y/deep |  -/b |   /b/Zed |  /c");
	key(&f, 'r');
	assert_string_equal(lines(&f), "-/ |  /c |  -/b |   /b/Zed |  -/a |   -/a/y |    /a/y/deep |   /a/x");
	teardown(&f);
}

static void test_view__flat(void **state)
{
	struct fixture f = setup();

	(void)state;
	key(&f, 't');
	/* Equal ones by name, whatever the direction. */
	assert_string_equal(lines(&f), "/ | /b | /b/Zed | /a | /a/y | /a/y/deep | /c | /a/x");
	key(&f, 'r');
	assert_string_equal(lines(&f), "/a/x | /a/y | /a/y/deep | /c | /a | /b | /b/Zed | /");
	/* What is not known comes last in both directions. */
	key(&f, 'K');
	assert_string_equal(lines(&f), "/ | /a | /a/x | /a/y | /a/y/deep | /b | /b/Zed | /c");
	key(&f, 'r');
	assert_string_equal(lines(&f), "/b/Zed | /b | /a/y/deep | /a/y | /a/x | /a | / | /c");
	teardown(&f);
}

static void test_view__sort_keys(void **state)
{
	struct fixture f = setup();

	(void)state;
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++) {
		assert_int_equal(f.view.sort, i);
		assert_int_equal(key(&f, '>'), CGM_DO_DRAW);
	}
	assert_int_equal(f.view.sort, CGM_COL_CPU);
	key(&f, '<');
	assert_int_equal(f.view.sort, CGM_COL_NAME);
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++) {
		key(&f, (uint32_t)cgm_columns[i].letter);
		assert_int_equal(f.view.sort, i);
	}
	teardown(&f);
}

static void test_view__folds(void **state)
{
	struct fixture f = setup();

	(void)state;
	type(&f, "jjj"); /* /a */
	assert_string_equal(f.view.selected, "/a");
	key(&f, ' ');
	assert_string_equal(lines(&f), "-/ |  -/b |   /b/Zed |  +/a |  /c");
	/* Folds outlive new numbers. */
	top_push(&f.model, feed(3));
	assert_int_equal(cgm_view_build(&f.view, &f.model), 0);
	assert_string_equal(lines(&f), "-/ |  -/b |   /b/Zed |  +/a |  /c");
	assert_string_equal(f.view.selected, "/a");
	key(&f, CGM_KEY_RIGHT);
	key(&f, 'j');
	key(&f, 'j'); /* /a/y/deep: nothing to fold, so up to its parent */
	assert_string_equal(f.view.selected, "/a/y/deep");
	key(&f, CGM_KEY_LEFT);
	assert_string_equal(f.view.selected, "/a/y");
	key(&f, CGM_KEY_LEFT);
	assert_string_equal(lines(&f), "-/ |  -/b |   /b/Zed |  -/a |   +/a/y |   /a/x |  /c");
	key(&f, CGM_KEY_LEFT);
	assert_string_equal(f.view.selected, "/a");
	key(&f, '-');
	key(&f, 'g');
	key(&f, '-');
	assert_string_equal(lines(&f), "+/");
	key(&f, '+');
	assert_string_equal(lines(&f), "-/ |  -/b |   /b/Zed |  +/a |  /c");
	key(&f, '*');
	assert_string_equal(lines(&f), "-/ |  -/b |   /b/Zed |  -/a |   -/a/y |    /a/y/deep |   /a/x |  /c");
	key(&f, 't');
	key(&f, ' ');
	assert_true(*f.view.message);
	teardown(&f);
}

static void test_view__filter(void **state)
{
	struct fixture f = setup();

	(void)state;
	type(&f, "/zEd");
	assert_int_equal(f.view.prompt, CGM_PROMPT_FILTER);
	assert_string_equal(lines(&f), "-/? |  -/b? |   /b/Zed"); /* as it is typed */
	key(&f, CGM_KEY_ENTER);
	assert_int_equal(f.view.prompt, CGM_PROMPT_NONE);
	key(&f, 't');
	assert_string_equal(lines(&f), "/b/Zed");
	type(&f, "/q"); /* q is a letter here */
	assert_string_equal(f.view.filter, "zEdq");
	assert_string_equal(lines(&f), "");
	key(&f, CGM_KEY_BACKSPACE);
	assert_string_equal(lines(&f), "/b/Zed");
	key(&f, CGM_KEY_BACKSPACE);
	key(&f, CGM_KEY_ESCAPE); /* as it was before */
	assert_string_equal(f.view.filter, "zEd");
	key(&f, CGM_KEY_ESCAPE);
	assert_int_equal(f.view.nr_lines, 8);
	/* A path, so that what is below a match is shown, too. */
	key(&f, 't');
	type(&f, "//A/Y\n");
	assert_string_equal(lines(&f), "-/? |  -/a? |   -/a/y |    /a/y/deep");
	/* What a runtime calls it is found as well. */
	key(&f, '/');
	key(&f, CGM_KEY_ESCAPE);
	key(&f, CGM_KEY_ESCAPE);
	f.model.rows[7].title = "shop/web-0/front";
	type(&f, "/WEB-0\n");
	assert_string_equal(lines(&f), "-/? |  /c");
	teardown(&f);
}

static void test_view__prompt_text(void **state)
{
	struct fixture f = setup();

	(void)state;
	key(&f, '/');
	key(&f, 0xfc);
	key(&f, 0x6f22);
	key(&f, 0x1f600);
	key(&f, CGM_KEY_UP); /* no character */
	key(&f, 1);
	assert_string_equal(f.view.input, "\xc3\xbc\xe6\xbc\xa2\xf0\x9f\x98\x80");
	key(&f, CGM_KEY_BACKSPACE);
	key(&f, CGM_KEY_BACKSPACE);
	assert_string_equal(f.view.input, "\xc3\xbc");
	for (unsigned i = 0; i < 300; i++)
		key(&f, 0x6f22);
	assert_true(strlen(f.view.input) <= CGM_MAX_INPUT && strlen(f.view.input) > CGM_MAX_INPUT - 3);
	key(&f, 'U' - '@');
	assert_string_equal(f.view.input, "");
	key(&f, CGM_KEY_BACKSPACE);
	assert_string_equal(f.view.input, "");
	teardown(&f);
}

static void test_view__interval(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} cases[] = {
		{"d2s\n", 2 * SECOND_NS},
		{"d500ms\n", SECOND_NS / 2},
		{"d0.25\n", SECOND_NS / 4},
		{"d3\n", 3 * SECOND_NS},
		{"d\n", 0},
		{"d-1\n", 0},
		{"dx\n", 0},
		{"d10ms\n", 0},
		{"d2h\n", 0},
		{"dnan\n", 0},
		{"d1e300\n", 0},
		{"d0\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f = setup();

		type(&f, cases[i].text);
		assert_int_equal(f.view.interval_ns, cases[i].ns ? cases[i].ns : SECOND_NS);
		assert_int_equal(!*f.view.message, cases[i].ns || i == 4);
		assert_int_equal(f.view.prompt, CGM_PROMPT_NONE);
		teardown(&f);
	}
}

static void test_view__movement(void **state)
{
	struct fixture f = setup();

	(void)state;
	key(&f, CGM_KEY_UP);
	assert_int_equal(f.view.at, 0);
	key(&f, CGM_KEY_PAGE_DOWN);
	assert_int_equal(f.view.at, 4);
	key(&f, CGM_KEY_PAGE_DOWN);
	key(&f, CGM_KEY_DOWN);
	assert_int_equal(f.view.at, 7);
	key(&f, CGM_KEY_PAGE_UP);
	assert_int_equal(f.view.at, 3);
	key(&f, CGM_KEY_HOME);
	assert_int_equal(f.view.at, 0);
	key(&f, 'G');
	assert_int_equal(f.view.at, 7);
	teardown(&f);
}

/* The selection follows its cgroup; when that is gone it stays at its place. */
static void test_view__selection(void **state)
{
	static const char *const fewer[] = {"/", "/b", "/c"};
	struct fixture f = setup();

	(void)state;
	key(&f, 'G');
	assert_string_equal(f.view.selected, "/c");
	key(&f, 'r');
	assert_string_equal(f.view.selected, "/c");
	assert_int_equal(f.view.at, 1);
	key(&f, 'r');
	top_push(&f.model, top_feed(fewer, 3, 4));
	assert_int_equal(cgm_view_build(&f.view, &f.model), 0);
	assert_string_equal(f.view.selected, "/c");
	top_push(&f.model, top_feed(fewer, 2, 5));
	assert_int_equal(cgm_view_build(&f.view, &f.model), 0);
	assert_string_equal(f.view.selected, "/b");
	teardown(&f);
}

static void test_view__detail_and_help(void **state)
{
	struct fixture f = setup();

	(void)state;
	key(&f, 'j');
	assert_int_equal(key(&f, CGM_KEY_ENTER), CGM_DO_ASK);
	assert_int_equal(f.view.mode, CGM_VIEW_DETAIL);
	assert_string_equal(f.view.detail, "/b");
	key(&f, CGM_KEY_DOWN);
	key(&f, CGM_KEY_END);
	assert_int_equal(f.view.hist, 4);
	key(&f, 'a');
	assert_true(f.view.total);
	key(&f, '?');
	assert_int_equal(f.view.mode, CGM_VIEW_HELP);
	key(&f, CGM_KEY_DOWN);
	assert_int_equal(f.view.mode, CGM_VIEW_HELP);
	assert_int_equal(f.view.help_top, 1);
	key(&f, 'x');
	assert_int_equal(f.view.mode, CGM_VIEW_DETAIL);
	key(&f, CGM_KEY_ESCAPE);
	assert_int_equal(f.view.mode, CGM_VIEW_LIST);
	assert_string_equal(f.view.selected, "/b");
	assert_int_equal(key(&f, 'p'), CGM_DO_DRAW);
	assert_true(f.view.paused);
	assert_int_equal(key(&f, 'p'), CGM_DO_ASK);
	assert_int_equal(key(&f, 'q'), CGM_DO_QUIT);
	teardown(&f);
}

/* Any keys, also without any rows. */
static void test_view__any_keys(void **state)
{
	static const uint32_t keys[] = {CGM_KEY_UP, CGM_KEY_DOWN, CGM_KEY_LEFT, CGM_KEY_RIGHT, CGM_KEY_PAGE_UP, CGM_KEY_PAGE_DOWN,
		CGM_KEY_HOME, CGM_KEY_END, CGM_KEY_ENTER, CGM_KEY_ESCAPE, CGM_KEY_BACKSPACE, CGM_KEY_HELP, CGM_KEY_REDRAW, CGM_KEY_UP - 1,
		' ', '-', '+', '*', '/', 'a', 'd', 'g', 'G', 'h', 'j', 'k', 'p', 'r', 't', '<', '>', '?', '1', 'C', 'N', 'K', 0xfc, '\r',
		0x1f600};
	struct fixture f = setup();
	struct cgm_model none = {0};
	uint64_t seed = 12345;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		key(&f, keys[(seed >> 33) % ARRAY_SIZE(keys)]);
		assert_true(!f.view.nr_lines || f.view.at < f.view.nr_lines);
		assert_true(f.view.hist < 5);
		f.view.page = (seed >> 50) % 5;
	}
	teardown(&f);
	cgm_view_init(&f.view);
	f.model = none;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		cgm_view_key(&f.view, &f.model, 0, keys[i]);
	teardown(&f);
}

static void test_view__out_of_memory(void **state)
{
	struct fixture f = setup();
	unsigned long nr;

	(void)state;
	free(f.view.lines);
	f.view.lines = NULL;
	f.view.cap_lines = f.view.nr_lines = 0;
	cgm_mem_fail_at(1000000);
	assert_int_equal(cgm_view_build(&f.view, &f.model), 0);
	nr = cgm_mem_fail_at(0);
	assert_true(nr >= 3);
	for (unsigned long n = 1; n <= nr; n++) {
		int r;

		free(f.view.lines);
		f.view.lines = NULL;
		f.view.cap_lines = f.view.nr_lines = 0;
		cgm_mem_fail_at(n);
		r = cgm_view_build(&f.view, &f.model);
		cgm_mem_fail_at(0);
		assert_true(r == -ENOMEM ? f.view.nr_lines == 0 : f.view.nr_lines == 8);
	}
	for (unsigned long n = 1; n < 10; n++) {
		cgm_mem_fail_at(n);
		type(&f, "g t r  jk\x1b");
		cgm_mem_fail_at(0);
	}
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view__tree_sorted_among_siblings),
		cmocka_unit_test(test_view__flat),
		cmocka_unit_test(test_view__sort_keys),
		cmocka_unit_test(test_view__folds),
		cmocka_unit_test(test_view__filter),
		cmocka_unit_test(test_view__prompt_text),
		cmocka_unit_test(test_view__interval),
		cmocka_unit_test(test_view__movement),
		cmocka_unit_test(test_view__selection),
		cmocka_unit_test(test_view__detail_and_help),
		cmocka_unit_test(test_view__any_keys),
		cmocka_unit_test(test_view__out_of_memory),
	};

	return cmocka_run_group_tests(tests, top_setup, NULL);
}
