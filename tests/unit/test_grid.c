// SPDX-License-Identifier: Apache-2.0
/* Text of anybody on a screen: it takes the width that is said, and nothing of it reaches the terminal as it is. */
#include "top_fixture.h"

static const struct {
	const char *text, *shown, *ascii;
} cases[] = {
	{"plain", "plain", "plain"}, {"", "", ""}, {"\x1b[31mred\x07", "\\x1b[31mred\\x07", "\\x1b[31mred\\x07"},
	{"tab\tnew\nline\x7f", "tab\\x09new\\x0aline\\x7f", "tab\\x09new\\x0aline\\x7f"}, {"\xc3\xbcml", "\xc3\xbcml", "\\u{fc}ml"},
	{"\xe6\xbc\xa2\xe5\xad\x97", "\xe6\xbc\xa2\xe5\xad\x97", "\\u{6f22}\\u{5b57}"}, {"\xff\xfe", "\\xff\\xfe", "\\xff\\xfe"},
	{"cut \xe6\xbc", "cut \\xe6\\xbc", "cut \\xe6\\xbc"},
	{"\xc0\xaf over", "\\xc0\\xaf over", "\\xc0\\xaf over"},	      /* an overlong slash */
	{"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"},		      /* a surrogate */
	{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
	{"\xe2\x80\xae"
	 "gnp.exe",
		"\\u{202e}gnp.exe", "\\u{202e}gnp.exe"}, /* right to left */
	{"a\xcc\x81", "a\\u{301}", "a\\u{301}"},	 /* a combining accent */
	{"\xc2\x9b"
	 "31m",
		"\\u{9b}31m", "\\u{9b}31m"},			   /* C1: an escape sequence in one character */
	{"\xe2\x80\x8b", "\\u{200b}", "\\u{200b}"},		   /* no width */
	{"dev-disk\\x2dby", "dev-disk\\x2dby", "dev-disk\\x2dby"}, /* systemd's names hold such */
};

static void test_grid_text__hostile(void **state)
{
	struct cgm_grid c;

	(void)state;
	top_cells(&c, 60, 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned ascii = 0; ascii < 2; ascii++) {
			const char *wanted = ascii ? cases[i].ascii : cases[i].shown;
			char text[200];

			c.ascii = ascii;
			cgm_grid_clear(&c);
			cgm_grid_text(&c, 0, 0, 60, CGM_STYLE_PLAIN, cases[i].text);
			assert_string_equal(top_line(&c, 0), wanted);
			assert_string_equal(cgm_text_visible(cases[i].text, ascii, text, sizeof(text)), wanted);
		}
	}
	cgm_grid_done(&c);
}

/* At every width the columns that are said are those that are written, and no neighbour is touched. */
static void test_grid_text__every_width(void **state)
{
	struct cgm_grid c;

	(void)state;
	top_cells(&c, 40, 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t width = 0; width < 30; width++) {
			for (unsigned tail = 0; tail < 2; tail++) {
				size_t used;

				for (size_t x = 0; x < c.width; x++)
					cgm_grid_put(&c, x, 0, CGM_STYLE_BAD, '#');
				used = tail ? cgm_grid_text_tail(&c, 3, 0, width, CGM_STYLE_PLAIN, cases[i].text)
					    : cgm_grid_text(&c, 3, 0, width, CGM_STYLE_PLAIN, cases[i].text);
				assert_true(used <= width);
				for (size_t x = 0; x < c.width; x++)
					assert_int_equal(c.v[x].style, x >= 3 && x < 3 + used ? CGM_STYLE_PLAIN : CGM_STYLE_BAD);
				/* The right half of a wide character has its left one. */
				for (size_t x = 0; x < c.width; x++)
					assert_true(c.v[x].c || (x && c.v[x - 1].c >= 0x1100));
			}
		}
	}
	cgm_grid_done(&c);
}

static void test_grid_text__cut(void **state)
{
	struct cgm_grid c;

	(void)state;
	top_cells(&c, 10, 1);
	cgm_grid_text(&c, 0, 0, SIZE_MAX, CGM_STYLE_PLAIN, "0123456789");
	assert_string_equal(top_line(&c, 0), "0123456789");
	cgm_grid_text(&c, 0, 0, SIZE_MAX, CGM_STYLE_PLAIN, "0123456789a");
	assert_string_equal(top_line(&c, 0), "012345678~");
	cgm_grid_text_tail(&c, 0, 0, SIZE_MAX, CGM_STYLE_PLAIN, "0123456789a");
	assert_string_equal(top_line(&c, 0), "~23456789a");
	cgm_grid_clear(&c);
	cgm_grid_right(&c, 2, 0, 6, CGM_STYLE_PLAIN, "1.2K");
	assert_string_equal(top_line(&c, 0), "    1.2K");
	/* Beyond the edges nothing happens. */
	assert_int_equal(cgm_grid_text(&c, 10, 0, 5, CGM_STYLE_PLAIN, "x"), 0);
	assert_int_equal(cgm_grid_text(&c, 0, 1, 5, CGM_STYLE_PLAIN, "x"), 0);
	cgm_grid_put(&c, 99, 99, CGM_STYLE_PLAIN, 'x');
	cgm_grid_style(&c, 5, 99, 99, CGM_STYLE_BAD);
	cgm_grid_done(&c);
}

static void test_text_visible__small_buffers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t size = 1; size < 20; size++) {
			char *buf = malloc(size);

			assert_true(strlen(cgm_text_visible(cases[i].text, false, buf, size)) < size);
			free(buf);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grid_text__hostile),
		cmocka_unit_test(test_grid_text__every_width),
		cmocka_unit_test(test_grid_text__cut),
		cmocka_unit_test(test_text_visible__small_buffers),
	};

	return cmocka_run_group_tests(tests, top_setup, NULL);
}
