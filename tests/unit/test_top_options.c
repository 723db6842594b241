// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "top/http_client.h"
#include "top/options.h"

#define PARSE(ret, ...) cgm_top_options_parse(ARRAY_SIZE(((char *[]){"top", __VA_ARGS__})), (char *[]){"top", __VA_ARGS__}, ret)

static void test_options__defaults(void **state)
{
	struct cgm_top_options o;

	(void)state;
	assert_int_equal(cgm_top_options_parse(1, (char *[]){"top"}, &o), 0);
	assert_string_equal(o.url, "http://127.0.0.1:8080");
	assert_string_equal(o.source, "auto");
	assert_int_equal(o.interval_ns, 1000000000);
	assert_int_equal(o.sort_column, CGM_COL_CPU);
	assert_false(o.batch || o.json || o.tree || o.reverse);
}

static void test_options__forms(void **state)
{
	struct cgm_top_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "-bt", "-n", "2", "--interval=500ms", "--sort", "memory", "--json", "-fX"), 0);
	assert_true(o.batch && o.tree && o.json);
	assert_int_equal(o.count, 2);
	assert_int_equal(o.interval_ns, 500000000);
	assert_int_equal(o.sort_column, CGM_COL_MEMORY);
	assert_string_equal(o.filter, "X");
	assert_int_equal(PARSE(&o, "-n3", "--pin-dir=/p", "--basic_auth-file", "/f", "--reverse=false", "--json"), 0);
	assert_int_equal(o.count, 3);
	assert_string_equal(o.pin_dir, "/p");
	assert_string_equal(o.basic_auth_file, "/f");
	assert_true(o.batch); /* --json implies it */
}

static void test_options__bad(void **state)
{
	static char *const cases[][2] = {
		{"--nothing", NULL},
		{"-z", NULL},
		{"-bz", NULL},
		{"word", NULL},
		{"-", NULL},
		{"--", NULL},
		{"-n", NULL},
		{"-n", "two"},
		{"--count=-1", NULL},
		{"--interval=1", NULL},
		{"--interval=10ms", NULL},
		{"--interval=2h", NULL},
		{"--sort=colour", NULL},
		{"--source=x", NULL},
		{"--json=perhaps", NULL},
		{"--token_file=a", "--basic_auth_file=b"},
	};
	struct cgm_top_options o = {.count = 77};
	int saved = dup(STDERR_FILENO);

	(void)state;
	assert_non_null(freopen("/dev/null", "w", stderr));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cgm_top_options_parse(cases[i][1] ? 3 : 2, (char *[]){"top", cases[i][0], cases[i][1]}, &o), -EINVAL);
	assert_int_equal(o.count, 77);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static void check_file(const char *text, size_t len, bool basic, const char *wanted)
{
	char path[] = "/tmp/cgmtest-secret-XXXXXX", why[100] = "";
	int fd = mkstemp(path);
	char *value;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
	value = cgm_read_authorization(path, basic, why, sizeof(why));
	unlink(path);
	if (wanted)
		assert_string_equal(value, wanted);
	else
		assert_true(!value && *why);
	free(value);
}

static void test_read_authorization(void **state)
{
	char why[100] = "", large[5000];

	(void)state;
	check_file("s3cret\n", 7, false, "Bearer s3cret");
	check_file("Aladdin:open sesame", 19, true, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	check_file("a:\n", 3, true, "Basic YTo=");
	check_file("a:b", 3, true, "Basic YTpi");
	check_file("", 0, false, NULL);
	check_file("\n\n", 2, false, NULL);
	check_file("no colon", 8, true, NULL);
	check_file("one\r\nX-Evil: two", 16, false, NULL);
	check_file("zero\0byte", 9, false, NULL);
	memset(large, 'x', sizeof(large));
	check_file(large, sizeof(large), false, NULL);
	assert_null(cgm_read_authorization("/nonexistent/file", false, why, sizeof(why)));
	assert_true(*why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options__defaults),
		cmocka_unit_test(test_options__forms),
		cmocka_unit_test(test_options__bad),
		cmocka_unit_test(test_read_authorization),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
