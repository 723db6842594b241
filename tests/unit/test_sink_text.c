// SPDX-License-Identifier: Apache-2.0
/* Hostile names in the drivers' texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sink/text.h"

struct text_case {
	const char *name, *influxdb, *statsd, *word;
};

static const struct text_case cases[] = {
	{ "/a/b", "/a/b", "/a/b", "/a/b" },
	{ "/system.slice/getty@tty1.service", "/system.slice/getty@tty1.service", "/system.slice/getty@tty1.service", "/system.slice/getty@tty1.service" },
	{ "/dev\\x2ddisk.scope", "/dev\\x2ddisk.scope", "/dev\\x2ddisk.scope", "/dev\\\\x2ddisk.scope" },
	{ "/a b,c=d", "/a\\ b\\,c\\=d", "/a_b_c=d", "/a\\x20b,c\\x3dd" },
	{ "/a:1|g#t", "/a:1|g#t", "/a_1_g_t", "/a:1|g#t" },
	{ "/a\nb value=1i", "/a\\nb\\ value\\=1i", "/a_b_value=1i", "/a\\x0ab\\x20value\\x3d1i" },
	{ "/a\r\tb\x01\x7f", "/a\\x0d\\x09b\\x01\\x7f", "/a__b__", "/a\\x0d\\x09b\\x01\\x7f" },
	/* A backslash must not take what follows it. */
	{ "/a\\", "/a\\x5c", "/a\\", "/a\\\\" },
	{ "/a\\\\", "/a\\\\x5c", "/a\\\\", "/a\\\\\\\\" },
	{ "/a\\,b", "/a\\\\\\,b", "/a\\_b", "/a\\\\,b" },
	{ "/a\\\\ b", "/a\\\\\\ b", "/a\\\\_b", "/a\\\\\\\\\\x20b" },
	{ "/\xc3\xa4", "/\xc3\xa4", "/\xc3\xa4", "/\xc3\xa4" },
	{ "/\xff\xc3", "/\\xff\\xc3", "/__", "/\\xff\\xc3" },
	{ "/\xed\xa0\x80", "/\\xed\\xa0\\x80", "/___", "/\\xed\\xa0\\x80" }, /* a surrogate */
	{ "\"quoted\"", "\"quoted\"", "\"quoted\"", "\"quoted\"" },
	{ "", "", "", "" },
};

static void check(void (*fn)(struct cgm_buf *b, const char *value), const char *name, const char *wanted)
{
	struct cgm_buf b = { 0 };

	fn(&b, name);
	cgm_buf_char(&b, '\0');
	assert_false(b.failed);
	assert_string_equal(b.p, wanted);
	cgm_buf_done(&b);
}

static void test_text__hostile_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cgm_text_influxdb, cases[i].name, cases[i].influxdb);
		check(cgm_text_statsd, cases[i].name, cases[i].statsd);
		check(cgm_text_word, cases[i].name, cases[i].word);
	}
	check(cgm_text_utf8, "/a\n\xc3\xa4\xff\\", "/a\n\xc3\xa4\\xff\\");
}

/* As VictoriaMetrics reads a tag's value: a backslash and what follows are one, until a bare comma, blank or =. */
static size_t end_by_pairs(const char *p)
{
	size_t i = 0;

	while (p[i] && !strchr(", =", p[i]))
		i += p[i] == '\\' && p[i + 1] ? 2 : 1;
	return i;
}

/* As InfluxDB 1 does: until one that has no backslash before it. */
static size_t end_by_last(const char *p)
{
	size_t i = 0;

	while (p[i] && (!strchr(", =", p[i]) || (i && p[i - 1] == '\\')))
		i++;
	return i;
}

/* All names of up to four of these characters end where they should. */
static void test_text_influxdb__a_value_ends_where_it_should(void **state)
{
	static const char alphabet[] = "a\\, =\n\xff";
	size_t nr = sizeof(alphabet) - 1;

	(void)state;
	for (size_t n = 0; n < nr * nr * nr * nr; n++) {
		char name[5] = { alphabet[n % nr], alphabet[n / nr % nr], alphabet[n / nr / nr % nr], alphabet[n / nr / nr / nr] };
		struct cgm_buf b = { 0 };

		cgm_text_influxdb(&b, name);
		cgm_buf_lit(&b, ",machine=x value=1i\n");
		cgm_buf_char(&b, '\0');
		assert_int_equal(end_by_pairs(b.p), strlen(b.p) - strlen(",machine=x value=1i\n"));
		assert_int_equal(end_by_last(b.p), strlen(b.p) - strlen(",machine=x value=1i\n"));
		assert_ptr_equal(strchr(b.p, '\n'), b.p + b.len - 2);
		cgm_buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text__hostile_names),
		cmocka_unit_test(test_text_influxdb__a_value_ends_where_it_should),
	};

	return cmocka_run_group_tests_name("sink_text", tests, NULL, NULL);
}
