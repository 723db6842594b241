// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "output/auth_header.h"
#include "output/secret.h"

static void test_auth_scheme__cases(void **state)
{
	static const struct {
		const char *header;
		enum cgm_auth_scheme scheme;
		const char *rest;
	} cases[] = {
		{ NULL, CGM_AUTH_NONE, "" },
		{ "", CGM_AUTH_OTHER, "" },
		{ "Basic abc", CGM_AUTH_BASIC, "abc" },
		{ "  bASIC \t abc", CGM_AUTH_BASIC, "abc" },
		{ "Basic", CGM_AUTH_OTHER, "" },
		{ "Basicabc", CGM_AUTH_OTHER, "" },
		{ "Bearer x y", CGM_AUTH_BEARER, "x y" },
		{ "Digest a=\"b\"", CGM_AUTH_DIGEST, "a=\"b\"" },
		{ "Negotiate x", CGM_AUTH_OTHER, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *rest;

		assert_int_equal(cgm_auth_scheme(cases[i].header, &rest), cases[i].scheme);
		assert_string_equal(rest, cases[i].rest);
	}
}

static void test_auth_basic__cases(void **state)
{
	static const struct {
		const char *text, *user, *password; /* user NULL: not taken */
	} cases[] = {
		{ "YTpi", "a", "b" },
		{ "YTpi  ", "a", "b" },
		{ "YTpiOmM=", "a", "b:c" },
		{ "Og==", "", "" },
		{ "", NULL, NULL },
		{ "YWI=", NULL, NULL }, /* no colon */
		{ "YTpi=", NULL, NULL },
		{ "YTp", NULL, NULL },
		{ "YTp!", NULL, NULL },
		{ "YToAYg==", NULL, NULL }, /* a zero byte */
		{ "YToxMjM0NTY3ODkwMTIzNDU2", NULL, NULL }, /* larger than the buffer */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *user = NULL, *password = NULL;
		char buf[16];
		int r = cgm_auth_basic(cases[i].text, buf, sizeof(buf), &user, &password);

		assert_int_equal(r, cases[i].user ? 0 : -EINVAL);
		if (!cases[i].user)
			continue;
		assert_string_equal(user, cases[i].user);
		assert_string_equal(password, cases[i].password);
	}
}

static void test_auth_param__cases(void **state)
{
	static const struct {
		const char *text, *name, *value;
		int r;
	} cases[] = {
		{ "username=\"a\", nc=00000001", "username", "a", 0 },
		{ "username=\"a\", nc=00000001", "nc", "00000001", 0 },
		{ "username=\"a\",nc=1", "NC", "1", 0 },
		{ "a=\"b\\\"c\\\\\"", "a", "b\"c\\", 0 },
		{ "a = \"b\" , c=d", "c", "d", 0 },
		{ "a=\"c=d, e\", f=g", "c", NULL, -ENOENT },
		{ "a=\"\"", "a", "", 0 },
		{ "a=", "a", "", 0 },
		{ "", "a", NULL, -ENOENT },
		{ "ab=c", "a", NULL, -ENOENT },
		{ "a=b, a=c", "a", NULL, -EINVAL },
		{ "a=\"b", "a", NULL, -EINVAL },
		{ "a=\"b\\", "a", NULL, -EINVAL },
		{ "a", "a", NULL, -EINVAL },
		{ "a=\"b\"c", "a", NULL, -EINVAL },
		{ "=b", "a", NULL, -EINVAL },
		{ "a=0123456789", "a", NULL, -EINVAL },
		{ "b=0123456789,a=1", "a", "1", 0 },
		{ ",a=1", "a", NULL, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[10];
		int r = cgm_auth_param(cases[i].text, cases[i].name, buf, sizeof(buf));

		if (r != cases[i].r || (r == 0 && strcmp(buf, cases[i].value) != 0))
			fail_msg("case %zu: %d", i, r);
	}
}

static void test_auth_quote__cases(void **state)
{
	char buf[11];

	(void)state;
	assert_true(cgm_auth_quote("a\"b\\", buf, sizeof(buf)));
	assert_string_equal(buf, "\"a\\\"b\\\\\"");
	assert_true(cgm_auth_quote("", buf, 3));
	assert_string_equal(buf, "\"\"");
	assert_false(cgm_auth_quote("12345", buf, sizeof(buf)));
}

static void test_secret__texts(void **state)
{
	uint8_t bytes[4], digest[CGM_SHA256_BYTES];
	char hex[2 * sizeof(digest) + 1];

	(void)state;
	assert_int_equal(cgm_unbase64("AAEC/w==", 8, bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "\0\1\2\xff", 4);
	assert_int_equal(cgm_unbase64("AAEC/w==", 8, bytes, 3), -ENOBUFS);
	assert_int_equal(cgm_unbase64("AAEC/x==", 8, bytes, sizeof(bytes)), -EINVAL); /* bits beyond the last byte */
	assert_int_equal(cgm_unbase64("A===", 4, bytes, sizeof(bytes)), -EINVAL);
	assert_int_equal(cgm_unbase64("====", 4, bytes, sizeof(bytes)), -EINVAL);
	assert_int_equal(cgm_unbase64("AA=A", 4, bytes, sizeof(bytes)), -EINVAL);
	assert_int_equal(cgm_unhex("0aFF", 4, bytes, 2), 0);
	assert_memory_equal(bytes, "\x0a\xff", 2);
	assert_int_equal(cgm_unhex("0aF", 3, bytes, 2), -EINVAL);
	assert_int_equal(cgm_unhex("0aFg", 4, bytes, 2), -EINVAL);
	/* RFC 6234 and RFC 4231 */
	assert_int_equal(cgm_sha256("abc", 3, digest), 0);
	cgm_hex(digest, sizeof(digest), hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(cgm_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest), 0);
	cgm_hex(digest, sizeof(digest), hex);
	assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_true(cgm_secret_eq("abc", "abd", 2));
	assert_false(cgm_secret_eq("abc", "abd", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auth_scheme__cases),  cmocka_unit_test(test_auth_basic__cases), cmocka_unit_test(test_auth_param__cases),
		cmocka_unit_test(test_auth_quote__cases), cmocka_unit_test(test_secret__texts),
	};

	return cmocka_run_group_tests_name("auth_header", tests, NULL, NULL);
}
