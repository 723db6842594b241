// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/protobuf.h"

static void test_pb_varint__lengths(void **state)
{
	static const struct {
		uint64_t v;
		size_t len;
	} cases[] = { { 0, 1 }, { 1, 1 }, { 127, 1 }, { 128, 2 }, { 16383, 2 }, { 16384, 3 }, { UINT32_MAX, 5 }, { 1ULL << 63, 10 }, { UINT64_MAX, 10 } };
	char text[CGM_MAX_VARINT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cgm_pb_varint_len(cases[i].v), cases[i].len);
		assert_int_equal(cgm_pb_put_varint(text, cases[i].v) - text, cases[i].len);
	}
	assert_int_equal(cgm_pb_zigzag(0), 0);
	assert_int_equal(cgm_pb_zigzag(-1), 1);
	assert_int_equal(cgm_pb_zigzag(1), 2);
	assert_true(cgm_pb_zigzag(INT64_MIN) == UINT64_MAX);
}

/* A message whose length takes a byte, and one whose length takes three. */
static void test_pb_begin_end__nested(void **state)
{
	struct cgm_buf b = { 0 };
	char text[20000];
	size_t outer, inner;
	struct cgm_str rest;
	struct cgm_pb_field f, g;

	(void)state;
	memset(text, 'x', sizeof(text));
	outer = cgm_pb_begin(&b, CGM_PB_TAG(1, CGM_PB_BYTES));
	cgm_pb_count(&b, CGM_PB_TAG(2, CGM_PB_VARINT), 300);
	inner = cgm_pb_begin(&b, CGM_PB_TAG(3, CGM_PB_BYTES));
	cgm_pb_text(&b, CGM_PB_TAG(4, CGM_PB_BYTES), text, sizeof(text));
	cgm_pb_end(&b, inner);
	inner = cgm_pb_begin(&b, CGM_PB_TAG(5, CGM_PB_BYTES));
	cgm_pb_end(&b, inner);
	cgm_pb_double(&b, CGM_PB_TAG(6, CGM_PB_FIXED64), 1.5);
	cgm_pb_end(&b, outer);
	assert_false(b.failed);

	rest = (struct cgm_str){ b.p, b.len };
	assert_int_equal(cgm_pb_next(&rest, &f), 1);
	assert_int_equal(rest.len, 0);
	assert_int_equal(f.number, 1);
	rest = f.bytes;
	assert_int_equal(cgm_pb_next(&rest, &f), 1);
	assert_int_equal(f.value, 300);
	assert_int_equal(cgm_pb_next(&rest, &f), 1);
	assert_int_equal(f.number, 3);
	assert_int_equal(cgm_pb_next(&f.bytes, &g), 1);
	assert_int_equal(g.bytes.len, sizeof(text));
	assert_memory_equal(g.bytes.p, text, sizeof(text));
	assert_int_equal(f.bytes.len, 0);
	assert_int_equal(cgm_pb_next(&rest, &f), 1);
	assert_int_equal(f.number, 5);
	assert_int_equal(f.bytes.len, 0);
	assert_int_equal(cgm_pb_next(&rest, &f), 1);
	assert_true(f.wire == CGM_PB_FIXED64 && f.value == 0x3ff8000000000000ULL);
	assert_int_equal(cgm_pb_next(&rest, &f), 0);
	cgm_buf_done(&b);
}

static void test_pb_next__broken(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{ "\x08", 1 }, /* no value */
		{ "\x00\x01", 2 }, /* field 0 */
		{ "\x0a\x05hell", 6 }, /* shorter than it says */
		{ "\x09\x01\x02\x03", 4 },
		{ "\x0d\x01\x02", 3 },
		{ "\x0b", 1 }, /* a group */
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11 }, /* 65 bits */
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 },
		{ "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 }, /* a length of 2^64-1 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgm_str rest = { cases[i].bytes, cases[i].len };
		struct cgm_pb_field f = { .number = 4711 };

		assert_int_equal(cgm_pb_next(&rest, &f), -EINVAL);
		assert_int_equal(f.number, 4711);
		assert_int_equal(rest.len, cases[i].len);
	}
}

static void test_pb__every_allocation_fails(void **state)
{
	(void)state;
	for (unsigned long n = 1; n <= 3; n++) {
		struct cgm_buf b = { 0 };
		size_t mark;

		cgm_mem_fail_at(n);
		mark = cgm_pb_begin(&b, CGM_PB_TAG(1, CGM_PB_BYTES));
		for (int i = 0; i < 100; i++)
			cgm_pb_fixed64(&b, CGM_PB_TAG(2, CGM_PB_FIXED64), 1);
		cgm_pb_end(&b, mark);
		assert_true(b.failed);
		cgm_mem_fail_at(0);
		cgm_buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pb_varint__lengths),
		cmocka_unit_test(test_pb_begin_end__nested),
		cmocka_unit_test(test_pb_next__broken),
		cmocka_unit_test(test_pb__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("protobuf", tests, NULL, NULL);
}
