// SPDX-License-Identifier: Apache-2.0
/* What strangers say stays data in the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* The line that is written for a name. */
static void logged(const char *name, char *buf, size_t size)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	cgm_warning("killed %s of %d", name, 7);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = read(ends[0], buf, size - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

static void test_log__control_characters(void **state)
{
	static const struct {
		const char *name, *line;
	} cases[] = {
		{ "plain", "cgmeter: warning: killed plain of 7\n" },
		{ "a\ncgmeter: error: b\r", "cgmeter: warning: killed a?cgmeter: error: b? of 7\n" },
		{ "\033]0;title\a\x7f", "cgmeter: warning: killed ?]0;title?? of 7\n" },
		{ "\xc2\x9b" "31m", "cgmeter: warning: killed ??31m of 7\n" },
		{ "\xc3\xa9\xe2\x82\xac", "cgmeter: warning: killed \xc3\xa9\xe2\x82\xac of 7\n" },
		{ "\xff\xe2\x82", "cgmeter: warning: killed ??? of 7\n" },
	};
	char line[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		logged(cases[i].name, line, sizeof(line));
		assert_string_equal(line, cases[i].line);
	}
}

/* It ends in a newline however long it is, also when it is cut amid a character. */
static void test_log__too_long(void **state)
{
	char name[2000], line[2048];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xa9", 2);
	logged(name, line, sizeof(line));
	assert_int_equal(strlen(line), 1023);
	assert_int_equal(line[1022], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log__control_characters),
		cmocka_unit_test(test_log__too_long),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
