// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "output/auth_digest.h"
#include "output/secret.h"

#define REALM "http-auth@example.org"
#define HA1 "3d78807defe7de2157e2b0b6573a855f" /* MD5("Mufasa:http-auth@example.org:Circle of Life"), of RFC 7616 */
#define URI "/dir/index.html?a=b"
#define NOW (1000 * CGM_NSEC_PER_SEC)

static const char file[] = "# users\nSimba:other:" HA1 "\nMufasa:" REALM ":" HA1 "\r\n";

static struct cgm_users *parse(void)
{
	struct cgm_users *h;
	const char *fault;
	unsigned line;

	assert_int_equal(cgm_htdigest_parse(file, sizeof(file) - 1, REALM, &h, &line, &fault), 0);
	return h;
}

static void md5(char ret[33], const char *fmt, ...)
{
	uint8_t digest[CGM_MD5_BYTES];
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_int_equal(cgm_md5(text, strlen(text), digest), 0);
	cgm_hex(digest, sizeof(digest), ret);
}

/* What a client that knows ha1 sends. */
static char *answer(const char *user, const char *ha1, const char *nonce, unsigned nc, const char *uri)
{
	static char text[1024];
	char ha2[33], response[33];
	size_t size;

	md5(ha2, "GET:%s", uri);
	md5(response, "%s:%s:%08x:cn:auth:%s", ha1, nonce, nc, ha2);
	size = (size_t)snprintf(text, sizeof(text),
				"username=\"%s\", realm=\"" REALM "\", nonce=\"%s\", uri=\"%s\", cnonce=\"cn\", nc=%08x, qop=auth, "
				"response=\"%s\", algorithm=MD5",
				user, nonce, uri, nc, response);
	assert_in_range(size, 1, sizeof(text) - 1);
	return text;
}

struct fixture {
	struct cgm_users *h;
	struct cgm_nonces *n;
	char nonce[CGM_NONCE_CHARS + 1];
};

static void setup(struct fixture *f)
{
	f->h = parse();
	f->n = cgm_nonces_new();
	assert_non_null(f->n);
	assert_int_equal(cgm_nonce_make(f->n, NOW, f->nonce), 0);
	assert_int_equal(strlen(f->nonce), CGM_NONCE_CHARS);
}

static void teardown(struct fixture *f)
{
	cgm_nonces_free(f->n);
	cgm_users_unref(f->h);
}

static int check(struct fixture *f, const char *text, uint64_t now)
{
	return (int)cgm_digest_check(f->h, f->n, REALM, text, "GET", URI, now);
}

static void test_digest_check__right_and_wrong(void **state)
{
	struct fixture f;
	char *text, *p;

	(void)state;
	setup(&f);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 1, URI), NOW), CGM_DIGEST_RIGHT);
	assert_int_equal(check(&f, answer("Mufasa", "3d78807defe7de2157e2b0b6573a8550", f.nonce, 2, URI), NOW), CGM_DIGEST_WRONG);
	assert_int_equal(check(&f, answer("Simba", HA1, f.nonce, 2, URI), NOW), CGM_DIGEST_WRONG); /* of another realm */
	assert_int_equal(check(&f, answer("Nobody", "00000000000000000000000000000000", f.nonce, 2, URI), NOW), CGM_DIGEST_WRONG);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 2, "/other"), NOW), CGM_DIGEST_WRONG);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 2, URI "c"), NOW), CGM_DIGEST_WRONG);
	assert_int_equal(check(&f, "", NOW), CGM_DIGEST_WRONG);
	assert_int_equal(check(&f, "username=\"Mufasa\"", NOW), CGM_DIGEST_WRONG);
	/* Any one character of the response. */
	text = answer("Mufasa", HA1, f.nonce, 2, URI);
	p = strstr(text, "response=\"") + strlen("response=\"");
	*p = *p == '0' ? '1' : '0';
	assert_int_equal(check(&f, text, NOW), CGM_DIGEST_WRONG);
	/* What may not be missing or be another. */
	text = answer("Mufasa", HA1, f.nonce, 2, URI);
	memcpy(strstr(text, "qop=auth"), "qop=aith", 8);
	assert_int_equal(check(&f, text, NOW), CGM_DIGEST_WRONG);
	text = answer("Mufasa", HA1, f.nonce, 2, URI);
	memcpy(strstr(text, "=MD5"), "=MDX", 4);
	assert_int_equal(check(&f, text, NOW), CGM_DIGEST_WRONG);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 0, URI), NOW), CGM_DIGEST_WRONG);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 2, URI), NOW), CGM_DIGEST_RIGHT);
	teardown(&f);
}

static void test_digest_check__nonces(void **state)
{
	struct fixture f;
	char foreign[CGM_NONCE_CHARS + 1];

	(void)state;
	setup(&f);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 3, URI), NOW), CGM_DIGEST_RIGHT);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 3, URI), NOW), CGM_DIGEST_STALE); /* heard and sent again */
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 1, URI), NOW), CGM_DIGEST_RIGHT); /* side by side, out of order */
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 1, URI), NOW), CGM_DIGEST_STALE);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 66, URI), NOW), CGM_DIGEST_RIGHT);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 3, URI), NOW), CGM_DIGEST_STALE);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 2, URI), NOW), CGM_DIGEST_RIGHT); /* the last one that is remembered */
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 2, URI), NOW), CGM_DIGEST_STALE);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 200, URI), NOW), CGM_DIGEST_RIGHT);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 66, URI), NOW), CGM_DIGEST_STALE);
	assert_int_equal(check(&f, answer("Mufasa", HA1, f.nonce, 201, URI), NOW + 301 * CGM_NSEC_PER_SEC), CGM_DIGEST_STALE);
	/* One that we did not make: signed by nobody, or too short. */
	memcpy(foreign, f.nonce, sizeof(foreign));
	foreign[15] = foreign[15] == '0' ? '1' : '0';
	assert_int_equal(check(&f, answer("Mufasa", HA1, foreign, 1, URI), NOW), CGM_DIGEST_STALE);
	assert_int_equal(check(&f, answer("Mufasa", HA1, "abc", 1, URI), NOW), CGM_DIGEST_STALE);
	assert_int_equal(check(&f, answer("Mufasa", HA1, "", 1, URI), NOW), CGM_DIGEST_STALE);
	teardown(&f);
}

/* More nonces in use than are remembered: what was forgotten cannot be used again. */
static void test_digest_check__forgotten_nonces(void **state)
{
	enum { NR = 600 };
	static char nonces[NR][CGM_NONCE_CHARS + 1];
	unsigned nr_stale = 0;
	struct fixture f;

	(void)state;
	setup(&f);
	for (unsigned i = 0; i < NR; i++) {
		assert_int_equal(cgm_nonce_make(f.n, NOW, nonces[i]), 0); /* all of one moment, and yet all different */
		assert_int_equal(check(&f, answer("Mufasa", HA1, nonces[i], 1, URI), NOW), CGM_DIGEST_RIGHT);
	}
	for (unsigned i = 0; i < NR; i++)
		assert_int_equal(check(&f, answer("Mufasa", HA1, nonces[i], 1, URI), NOW), CGM_DIGEST_STALE);
	for (unsigned i = 0; i < NR; i++)
		nr_stale += check(&f, answer("Mufasa", HA1, nonces[i], 2, URI), NOW) == CGM_DIGEST_STALE;
	assert_in_range(nr_stale, NR - 512, NR - 500);
	teardown(&f);
}

static void test_htdigest_parse__faults(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} cases[] = {
		{ "", 0, "no user of the realm" },
		{ "a:other:" HA1, 0, "no user of the realm" },
		{ "a", 1, "user:realm:digest" },
		{ "\n:r:" HA1, 2, "user:realm:digest" },
		{ "a:r", 1, "user:realm:digest" },
		{ "a:r:1234", 1, "user:realm:digest" },
		{ "a:r:" HA1 ":x", 1, "user:realm:digest" },
	};
	struct cgm_users *h;
	const char *fault;
	unsigned long n = 1;
	unsigned line;
	int r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cgm_htdigest_parse(cases[i].text, strlen(cases[i].text), REALM, &h, &line, &fault), -EINVAL);
		if (line != cases[i].line || !strstr(fault, cases[i].says))
			fail_msg("case %zu: line %u, \"%s\"", i, line, fault);
	}
	do {
		cgm_mem_fail_at(n++);
		r = cgm_htdigest_parse(file, sizeof(file) - 1, REALM, &h, &line, &fault);
		cgm_mem_fail_at(0);
		assert_true(r == 0 || (r == -ENOMEM && !fault));
	} while (r < 0);
	cgm_users_unref(cgm_users_ref(h));
	cgm_users_unref(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest_check__right_and_wrong),
		cmocka_unit_test(test_digest_check__nonces),
		cmocka_unit_test(test_digest_check__forgotten_nonces),
		cmocka_unit_test(test_htdigest_parse__faults),
	};

	return cmocka_run_group_tests_name("auth_digest", tests, NULL, NULL);
}
