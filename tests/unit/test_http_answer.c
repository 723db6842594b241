// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/cleanup.h"
#include "top/http_answer.h"

static void test_url__good(void **state)
{
	static const struct {
		const char *text, *host, *port, *prefix;
		bool loopback;
	} cases[] = {
		{"http://127.0.0.1:8080", "127.0.0.1", "8080", "", true},
		{"http://localhost:1/", "localhost", "1", "", true},
		{"HTTP://[::1]:65535//", "::1", "65535", "", true},
		{"http://[fe80::1%25eth0]", "fe80::1%25eth0", "80", "", false},
		{"http://node-3.example/metrics/of/it/", "node-3.example", "80", "/metrics/of/it", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *fault = "";
		struct cgm_url u;

		assert_int_equal(cgm_url_parse(cases[i].text, &u, &fault), 0);
		assert_string_equal(u.host, cases[i].host);
		assert_string_equal(u.port, cases[i].port);
		assert_string_equal(u.prefix, cases[i].prefix);
		assert_int_equal(u.is_loopback, cases[i].loopback);
	}
}

static void test_url__bad(void **state)
{
	static const char *const cases[] = {
		"",
		"127.0.0.1:8080",
		"https://127.0.0.1",
		"ftp://a",
		"http://",
		"http://:80",
		"http://a:",
		"http://a:0",
		"http://a:65536",
		"http://a:8o",
		"http://u:p@a",
		"http://[::1",
		"http://[::1]80",
		"http://[]",
		"http://a b",
		"http://a\r\nX: y",
		"http://a/?q",
		"http://a/#f",
		"http://a/\x7f",
		"http://a/\xc3\xbc",
		"http://a\\b",
	};
	struct cgm_url u = {.host = "untouched"};
	char longest[600] = "http://";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *fault = NULL;

		if (cgm_url_parse(cases[i], &u, &fault) != -EINVAL || !fault)
			fail_msg("\"%s\" was taken", cases[i]);
	}
	memset(longest + 7, 'a', 300);
	assert_int_equal(cgm_url_parse(longest, &u, &(const char *){NULL}), -EINVAL);
	memcpy(longest + 7, "h/", 2);
	assert_int_equal(cgm_url_parse(longest, &u, &(const char *){NULL}), -EINVAL);
	assert_string_equal(u.host, "untouched");
}

static void test_url_encode(void **state)
{
	struct cgm_buf b = {0};

	(void)state;
	cgm_url_encode(&b, "/a-b_c.d~/x y%\x1b\xc3\xbc?#");
	cgm_buf_char(&b, '\0');
	assert_string_equal(b.p, "/a-b_c.d~/x%20y%25%1B%C3%BC%3F%23");
	cgm_buf_done(&b);
}

/* A copy of its own, exactly so long: sanitizers see a step beyond it. */
static int parse(const char *text, size_t len, bool at_end, struct cgm_answer *ret, const char **ret_fault, struct cgm_buf *in)
{
	*in = (struct cgm_buf){0};
	if (len) {
		in->p = malloc(len);
		assert_non_null(in->p);
		memcpy(in->p, text, len);
		in->len = in->cap = len;
	}
	return cgm_answer_parse(in, at_end, ret, ret_fault);
}

/* Whole only when all has come, whatever has come before. */
static void check_whole(const char *text, unsigned status, const char *body, bool needs_end)
{
	size_t len = strlen(text);

	for (size_t n = 0; n <= len; n++) {
		const char *fault = "";
		struct cgm_answer a;
		struct cgm_buf in;
		int r = parse(text, n, false, &a, &fault, &in);

		assert_int_equal(r, n == len && !needs_end);
		cgm_buf_done(&in);
		r = parse(text, n, true, &a, &fault, &in);
		if (n < len && !needs_end)
			assert_int_equal(r, -EBADMSG);
		if (n == len) {
			assert_int_equal(r, 1);
			assert_int_equal(a.status, status);
			assert_int_equal(a.len, strlen(body));
			assert_memory_equal(a.body, body, a.len);
		}
		cgm_buf_done(&in);
	}
}

static void test_answer__whole(void **state)
{
	(void)state;
	check_whole("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", false);
	check_whole("HTTP/1.0 404 Not Found\r\ncontent-length:0\r\nX: y\r\n\r\n", 404, "", false);
	check_whole("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\n\r\n", 200, "abc0123456789",
		false);
	check_whole("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\nuntil the end", 200, "until the end", true);
}

static void test_answer__refused(void **state)
{
	static const char *const cases[] = {
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\x15\x03\x01\x00\x02\x02",
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n123456789\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *fault = NULL;
		struct cgm_answer a;
		struct cgm_buf in;
		int r = parse(cases[i], i == 1 ? 6 : strlen(cases[i]), false, &a, &fault, &in);

		if (r != -EBADMSG || !fault)
			fail_msg("case %zu: %d", i, r);
		cgm_buf_done(&in);
	}
}

/* Heads and lines of chunks that never end. */
static void test_answer__endless(void **state)
{
	static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
	char *text = malloc(CGM_MAX_HEAD_BYTES + 1);
	const char *fault = NULL;
	struct cgm_answer a;
	struct cgm_buf in;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', CGM_MAX_HEAD_BYTES + 1);
	memcpy(text, "HTTP/1.1 200 OK\r\n", 17);
	assert_int_equal(parse(text, CGM_MAX_HEAD_BYTES - 1, false, &a, &fault, &in), 0);
	cgm_buf_done(&in);
	assert_int_equal(parse(text, CGM_MAX_HEAD_BYTES + 1, false, &a, &fault, &in), -EBADMSG);
	cgm_buf_done(&in);
	memcpy(text, chunked, sizeof(chunked) - 1);
	assert_int_equal(parse(text, sizeof(chunked) + 1000, false, &a, &fault, &in), -EBADMSG);
	cgm_buf_done(&in);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url__good),
		cmocka_unit_test(test_url__bad),
		cmocka_unit_test(test_url_encode),
		cmocka_unit_test(test_answer__whole),
		cmocka_unit_test(test_answer__refused),
		cmocka_unit_test(test_answer__endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
