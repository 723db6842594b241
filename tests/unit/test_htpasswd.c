// SPDX-License-Identifier: Apache-2.0
/* The hashes were made by htpasswd, openssl passwd and crypt(3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "output/htpasswd.h"

#define BCRYPT "$2y$04$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i"
#define LONG50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const char file[] = "# users\r\n"
			   "\n"
			   "bcrypt:" BCRYPT "\n"
			   "b2b:$2b$04$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i\n"
			   "b2a:$2a$04$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i\n"
			   "empty:$apr1$fsQKX0gr$V.iMIAYwbBApIT0aB.5WP.\n"
			   "long:$apr1$ejTwtnPf$SlEkAQj9My1TT8PJ63BHq1\n"
			   "utf8:$apr1$abc$ktjxjToI8dycuADSFv.S//\n"
			   "  sha512:$6$saltstring$lnThOIxn.3gzvykI9HPccPQX5KYWuONba6HvTCH24qf8wlniLJIYntzNnYydx9UK2s6byMNGTv7YM9tkGQhI4/  \n"
			   "rounds:$6$rounds=2000$saltstring$o8ih/WDQL0SE7rnJJy705aQr0je/fhNmUEhdopea94dxas/o540xBiCjbuP8KdD5A32IYvxT.8polpXZ8JRkq1\r\n"
			   "sha256:$5$saltstring$sDWjoMTlAXIg6Iothlu6vStSzDfZFSfNWAb0xhQmYr7\n"
			   "md5:$1$abc$IbOTLns/xSqq7eZwlDBC8.\n"
			   "sha:{SHA}2PRZAyDhNDqRW2OUFwZQqPNdaSY=";

static void test_htpasswd_verify__kinds(void **state)
{
	static const struct {
		const char *user, *password;
		int right;
	} cases[] = {
		{ "bcrypt", "bpass", 1 },   { "bcrypt", "bpas", 0 },    { "bcrypt", "", 0 },	       { "b2b", "bpass", 1 },
		{ "b2a", "bpass", 1 },	    { "empty", "", 1 },	        { "empty", "x", 0 },	       { "long", LONG50 LONG50 LONG50 LONG50, 1 },
		{ "utf8", "k\xc3\xa4se", 1 }, { "utf8", "kase", 0 },    { "sha512", "dpass", 1 },      { "sha512", "dpasS", 0 },
		{ "rounds", "dpass", 1 },   { "sha256", "epass", 1 },   { "md5", "fpass", 1 },	       { "md5", "fpass ", 0 },
		{ "sha", "sha", 1 },	    { "sha", "sha1", 0 },	{ "nobody", "bpass", 0 },      { "", "", 0 },
		{ "long", LONG50 LONG50 LONG50 LONG50 LONG50 LONG50, 0 }, /* beyond the limit: not even computed */
	};
	struct cgm_users *h;
	const char *fault;
	unsigned line;

	(void)state;
	assert_int_equal(cgm_htpasswd_parse(file, sizeof(file) - 1, &h, &line, &fault), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (cgm_htpasswd_verify(h, cases[i].user, cases[i].password) != cases[i].right)
			fail_msg("%s with \"%s\"", cases[i].user, cases[i].password);
	cgm_users_unref(cgm_users_ref(h));
	cgm_users_unref(h);
}

static void test_htpasswd_parse__faults(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} cases[] = {
		{ "", 0, "no user" },
		{ "\n# a\n", 0, "no user" },
		{ "user", 1, "not user:hash" },
		{ ":" BCRYPT, 1, "not user:hash" },
		{ "\nuser:", 2, "of no kind" },
		{ "user:plain", 1, "of no kind" },
		{ "user:ab0123456789.", 1, "of no kind" },
		{ "user:$y$j9T$x$y", 1, "of no kind" },
		{ "user:$2y$04$short", 1, "damaged" },
		{ "user:$2y$17$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i", 1, "from 4 to 16" },
		{ "user:$2y$xx$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i", 1, "damaged" },
		{ "user:$2x$04$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i", 1, "of no kind" },
		{ "user:$2", 1, "of no kind" },
		{ "user:$apr1$abc", 1, "damaged" },
		{ "user:$1$abc$", 1, "damaged" },
		{ "user:$6$rounds=1000001$salt$x", 1, "1000000 rounds" },
		{ "user:$6$rounds=x$salt$x", 1, "damaged" },
		{ "user:$6$rounds=5000", 1, "damaged" },
		{ "user:$5$salt", 1, "damaged" },
		{ "user:{SHA}x", 1, "damaged" },
		{ "user:{SHA}2PRZAyDhNDqRW2OUFwZQqPNdaS==", 1, "damaged" },
		{ "a:" BCRYPT "\nb:" BCRYPT "\na:" BCRYPT, 3, "twice" },
	};
	struct cgm_users *h = NULL;
	const char *fault;
	unsigned line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cgm_htpasswd_parse(cases[i].text, strlen(cases[i].text), &h, &line, &fault), -EINVAL);
		if (line != cases[i].line || !strstr(fault, cases[i].says))
			fail_msg("case %zu: line %u, \"%s\"", i, line, fault);
	}
	assert_int_equal(cgm_htpasswd_parse("us\0er:x", 7, &h, &line, &fault), -EINVAL);
	assert_non_null(strstr(fault, "zero byte"));
	assert_null(h);
}

static void test_htpasswd__every_allocation_fails(void **state)
{
	struct cgm_users *h;
	unsigned long n = 1;
	const char *fault;
	unsigned line;
	int r;

	(void)state;
	do {
		cgm_mem_fail_at(n++);
		r = cgm_htpasswd_parse(file, sizeof(file) - 1, &h, &line, &fault);
		cgm_mem_fail_at(0);
		assert_true(r == 0 || (r == -ENOMEM && !fault));
	} while (r < 0);
	assert_true(n > 3);
	cgm_mem_fail_at(1);
	assert_int_equal(cgm_htpasswd_verify(h, "bcrypt", "bpass"), -ENOMEM);
	cgm_mem_fail_at(0);
	cgm_users_unref(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_htpasswd_verify__kinds),
		cmocka_unit_test(test_htpasswd_parse__faults),
		cmocka_unit_test(test_htpasswd__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("htpasswd", tests, NULL, NULL);
}
