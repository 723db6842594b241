// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

#include <errno.h>
#include <zlib.h>

#include "base/mem.h"
#include "output/scrape.h"

static const char *const names[] = { "/", "/a" };

/* Two scrapers of the same moment share a body; a new snapshot makes a new one; the old is let go of. */
static void test_scrape_get__one_body_for_all(void **state)
{
	struct cgm_scrape c;
	struct cgm_body *a, *b, *d, *g;
	struct cgm_snapshot *s;
	struct synth y;

	(void)state;
	synth_init(&y, names, 2);
	synth_tick(&y);
	s = synth_snapshot(&y);
	cgm_scrape_init(&c);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &a), 0);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_OPENMETRICS, false, &d), 0);
	assert_ptr_not_equal(a, d);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, true, &g), 0);
	assert_ptr_not_equal(a, g);
	assert_int_equal(a->refs, 3);
	cgm_scrape_trim(&c, a->made_ns + CGM_SCRAPE_KEEP_NS - 1);
	assert_int_equal(a->refs, 3);
	cgm_scrape_trim(&c, d->made_ns + CGM_SCRAPE_KEEP_NS);
	assert_int_equal(a->refs, 2);
	assert_int_equal(d->refs, 1);
	cgm_body_unref(b);
	s->seq++;
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &b), 0);
	assert_ptr_not_equal(a, b);
	cgm_body_unref(a);
	cgm_body_unref(b);
	cgm_body_unref(d);
	cgm_body_unref(g);
	cgm_scrape_done(&c);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* What nobody reads any more is written over; what somebody still reads is not touched. */
static void test_scrape_get__memory_is_used_again(void **state)
{
	struct cgm_scrape c;
	struct cgm_body *a, *b;
	struct cgm_snapshot *s;
	struct synth y;
	const char *memory;
	char *text;

	(void)state;
	synth_init(&y, names, 2);
	synth_tick(&y);
	s = synth_snapshot(&y);
	cgm_scrape_init(&c);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &a), 0);
	memory = a->text.p;
	text = strndup(a->text.p, a->text.len);
	s->seq++;
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &b), 0); /* a is being read */
	assert_ptr_not_equal(b->text.p, memory);
	assert_memory_equal(a->text.p, text, a->text.len);
	cgm_body_unref(a);
	memory = b->text.p;
	cgm_body_unref(b);
	s->seq++;
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &b), 0);
	assert_ptr_equal(b->text.p, memory);
	assert_int_equal(b->text.len, strlen(text));
	assert_memory_equal(b->text.p, text, b->text.len);
	free(text);
	cgm_body_unref(b);
	cgm_scrape_done(&c);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* Piece by piece or whole, it is the same page. */
static void test_scrape_get__gzip_is_the_page(void **state)
{
	struct cgm_body *plain, *gzip;
	static char text[4 << 20];
	struct cgm_snapshot *s;
	struct cgm_scrape c;
	struct synth y;
	z_stream z = { 0 };

	(void)state;
	synth_init(&y, names, 2);
	synth_tick(&y);
	s = synth_snapshot(&y);
	cgm_scrape_init(&c);
	for (unsigned f = 0; f < CGM_NR_PROMETHEUS_FORMATS; f++) {
		assert_int_equal(cgm_scrape_get(&c, s, NULL, f, true, &gzip), 0);
		assert_int_equal(cgm_scrape_get(&c, s, NULL, f, false, &plain), 0);
		assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
		z.next_in = (unsigned char *)gzip->text.p;
		z.avail_in = (unsigned)gzip->text.len;
		z.next_out = (unsigned char *)text;
		z.avail_out = sizeof(text);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		assert_int_equal(z.avail_in, 0);
		assert_int_equal(z.total_out, plain->text.len);
		assert_memory_equal(text, plain->text.p, plain->text.len);
		inflateEnd(&z);
		cgm_body_unref(plain);
		cgm_body_unref(gzip);
	}
	cgm_scrape_done(&c);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_scrape_get__every_allocation_fails(void **state)
{
	struct cgm_scrape c;
	struct cgm_body *b;
	struct cgm_snapshot *s;
	struct synth y;
	unsigned long nr;

	(void)state;
	synth_init(&y, names, 2);
	synth_tick(&y);
	s = synth_snapshot(&y);
	cgm_scrape_init(&c);
	cgm_mem_fail_at(1000000);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, true, &b), 0);
	nr = cgm_mem_fail_at(0);
	cgm_body_unref(b);
	assert_true(nr > 5);
	for (unsigned long n = 1; n <= nr; n++) {
		cgm_scrape_trim(&c, UINT64_MAX);
		cgm_mem_fail_at(n);
		assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, true, &b), -ENOMEM);
		cgm_mem_fail_at(0);
	}
	cgm_scrape_done(&c);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scrape_get__one_body_for_all),
		cmocka_unit_test(test_scrape_get__memory_is_used_again),
		cmocka_unit_test(test_scrape_get__gzip_is_the_page),
		cmocka_unit_test(test_scrape_get__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("scrape", tests, NULL, NULL);
}
