// SPDX-License-Identifier: Apache-2.0
/* Logins as clients see them, and what they cost. */
#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "output/secret.h"

/* bcrypt of cost 4 of "bpass", {SHA} of "sha"; the digest of "zoe" with "zpass". */
static const char htpasswd[] = "alice:$2y$04$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i\ncarl:{SHA}2PRZAyDhNDqRW2OUFwZQqPNdaSY=\n";
static const char htdigest[] = "zoe:localhost:f9fcf379ac69bf16439234202e57229e\n";
static const char tokens[] = "# of Prometheus\n0123456789abcdef-token\nanother-token-of-ours\n";

#define ALICE "Authorization: Basic YWxpY2U6YnBhc3M=\r\n" /* alice:bpass */
#define CARL "Authorization: Basic Y2FybDpzaGE=\r\n" /* carl:sha */
#define WRONG "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n" /* alice:wrong */
#define TOKEN "Authorization: Bearer 0123456789abcdef-token\r\n"

static char dir[] = "/tmp/cgmtest-auth-XXXXXX", basic_file[64], digest_file[64], token_file[64];

static void write_file(const char *path, const char *text)
{
	_cleanup_free_ char *made = cgm_asprintf("%s.new", path);
	FILE *f;

	assert_non_null(made);
	f = fopen(made, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(made, path), 0);
}

static int make_files(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(basic_file, sizeof(basic_file), "%s/htpasswd", dir);
	snprintf(digest_file, sizeof(digest_file), "%s/htdigest", dir);
	snprintf(token_file, sizeof(token_file), "%s/tokens", dir);
	write_file(basic_file, htpasswd);
	write_file(digest_file, htdigest);
	write_file(token_file, tokens);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	unlink(basic_file);
	unlink(digest_file);
	unlink(token_file);
	return rmdir(dir);
}

static struct cgm_http_config all_files(void)
{
	return (struct cgm_http_config){ .auth = { basic_file, "r\"1", digest_file, "localhost", token_file, "/healthz, /static/" } };
}

static bool has(const struct cgm_buf *answer, const char *text)
{
	return strstr(answer->p, text) != NULL;
}

static void test_auth__every_route(void **state)
{
	static const char *const paths[] = { "/", "/metrics", "/api/v1.3/containers/", "/api/v1.3/machine", "/api/cgmeter/tree", "/containers/a",
					     "/nothing", "/healthzx", "/%zz", "/stats/summary", "/metrics/resource", "/metrics/cadvisor" };
	struct cgm_http_config config = all_files();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(server_get(&s, 1, paths[i], "", &answer), 401);
		assert_true(has(&answer, "WWW-Authenticate: Basic realm=\"r\\\"1\", charset=\"UTF-8\"\r\n"));
		assert_true(has(&answer, "WWW-Authenticate: Digest realm=\"localhost\", qop=\"auth\", nonce=\""));
		assert_true(has(&answer, "WWW-Authenticate: Bearer realm="));
		assert_true(has(&answer, "{\"error\":{\"status\":401"));
		assert_int_not_equal(server_get(&s, 1, paths[i], ALICE, &answer), 401);
		assert_int_not_equal(server_get(&s, 1, paths[i], TOKEN, &answer), 401);
	}
	assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
	assert_int_equal(server_get(&s, 1, "//healthz/", "", &answer), 200);
	assert_int_equal(server_get(&s, 1, "/static/app.js", "", &answer), 200);
	assert_int_equal(server_stats(&s).nr_login_failures, 0); /* who sends none has not failed */
	server_stop(&s);
}

static void test_auth__wrong_logins(void **state)
{
	static const char *const wrong[] = {
		WRONG,
		"Authorization: Basic bm9ib2R5OmJwYXNz\r\n", /* nobody:bpass */
		"Authorization: Basic !\r\n",
		"Authorization: Bearer 0123456789abcdef-tokem\r\n",
		"Authorization: Bearer 0123456789abcdef\r\n",
		"Authorization: Digest username=\"zoe\"\r\n",
		"Authorization: Negotiate x\r\n",
	};
	struct cgm_http_config config = all_files();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (server_get(&s, 1, "/metrics", wrong[i], &answer) != 401)
			fail_msg("%s gets %.30s", wrong[i], answer.p);
		assert_true(has(&answer, "the login is wrong"));
		assert_false(has(&answer, "stale"));
	}
	assert_int_equal(server_stats(&s).nr_login_failures, ARRAY_SIZE(wrong));
	/* Of files that are not asked for nothing is taken. */
	server_stop(&s);
	config.auth = (struct cgm_auth_config){ .token_file = token_file, .except = "" };
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/healthz", ALICE, &answer), 401);
	assert_false(has(&answer, "Basic"));
	assert_int_equal(server_get(&s, 1, "/healthz", TOKEN, &answer), 200);
	server_stop(&s);
}

static void test_auth__failures_are_limited(void **state)
{
	struct cgm_http_config config = all_files();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;
	uint64_t checks;

	(void)state;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/metrics", ALICE, &answer), 200);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(server_get(&s, 1, "/metrics", WRONG, &answer), 401);
	checks = server_stats(&s).nr_password_checks;
	assert_int_equal(server_get(&s, 1, "/metrics", WRONG, &answer), 429);
	assert_true(has(&answer, "Retry-After: "));
	assert_int_equal(server_get(&s, 1, "/metrics", CARL, &answer), 429); /* also what may be right, if it was not right before */
	assert_int_equal(server_get(&s, 1, "/metrics", TOKEN, &answer), 429);
	assert_int_equal(server_get(&s, 1, "/metrics", "Authorization: Digest x\r\n", &answer), 429);
	assert_int_equal(server_stats(&s).nr_password_checks, checks); /* they cost nothing */
	assert_int_equal(server_stats(&s).rejects[CGM_HTTP_REJECT_FAILURES], 4);
	assert_int_equal(server_get(&s, 1, "/metrics", ALICE, &answer), 200); /* whoever is known stays */
	assert_int_equal(server_get(&s, 1, "/metrics", "", &answer), 401);
	assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
	assert_int_equal(server_get(&s, 2, "/metrics", CARL, &answer), 200); /* as are others */
	server_stop(&s);
}

/* ---- what passwords cost ---- */

struct client {
	const struct server *s;
	unsigned from;
	const char *headers;
	unsigned status;
	pthread_t thread;
};

static void *run_client(void *arg)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct client *c = arg;

	c->status = server_get(c->s, c->from, "/metrics", c->headers, &answer);
	return NULL;
}

/* Many that come at once with the same login: it is computed once, and nobody is sent away. */
static void test_auth__a_login_is_computed_once(void **state)
{
	struct cgm_http_config config = all_files();
	struct client clients[40];
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = (struct client){ .s = &s, .from = 1, .headers = ALICE };
		assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		pthread_join(clients[i].thread, NULL);
		assert_int_equal(clients[i].status, 200);
	}
	assert_int_equal(server_stats(&s).nr_password_checks, 1);
	server_stop(&s);
}

/* bcrypt of cost 12: a quarter of a second each. Nobody else waits for it, and one address cannot queue up many. */
static void test_auth__slow_passwords_keep_nobody_waiting(void **state)
{
	static const char slow[] = "alice:$2y$12$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i\n";
	struct cgm_http_config config = all_files();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct client clients[12];
	char headers[ARRAY_SIZE(clients)][64];
	unsigned nr_busy = 0, nr_wrong = 0;
	struct server s;
	uint64_t began;

	(void)state;
	write_file(basic_file, slow);
	server_start(&s, 1, &config);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		/* "a:" and one letter each */
		snprintf(headers[i], sizeof(headers[i]), "Authorization: Basic YT%c%c\r\n", 'p', (char)('a' + (int)i));
		clients[i] = (struct client){ .s = &s, .from = 1, .headers = headers[i] };
		assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
	}
	server_wait(server_stats(&s).nr_password_checks > 0);
	began = cgm_clock_mono_ns();
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(server_get(&s, 2, "/metrics", TOKEN, &answer), 200);
		assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
	}
	assert_true(cgm_clock_mono_ns() - began < CGM_NSEC_PER_SEC);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		pthread_join(clients[i].thread, NULL);
		nr_busy += clients[i].status == 503;
		nr_wrong += clients[i].status == 401;
	}
	assert_int_equal(nr_busy + nr_wrong, ARRAY_SIZE(clients));
	assert_in_range(nr_wrong, 4, 6);
	assert_int_equal(server_stats(&s).rejects[CGM_HTTP_REJECT_PASSWORDS], nr_busy);
	write_file(basic_file, htpasswd);
	server_stop(&s);
}

/* The server ends while requests wait for a password. */
static void test_auth__stop_while_passwords_wait(void **state)
{
	static const char slow[] = "alice:$2y$11$GBxWfcXtbLlGqL1mDTJzX.SHLuOtfTGZNfm36OojqkOzR1/9g4H6i\n";
	struct cgm_http_config config = all_files();
	struct server s;
	int fds[3];

	(void)state;
	write_file(basic_file, slow);
	server_start(&s, 1, &config);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = server_connect(&s, i + 1);
		server_send(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n" WRONG "\r\n");
	}
	server_wait(server_stats(&s).nr_password_checks > 0);
	server_stop(&s);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	write_file(basic_file, htpasswd);
}

/* ---- digest ---- */

static void md5(char ret[33], const char *text)
{
	uint8_t digest[CGM_MD5_BYTES];

	assert_int_equal(cgm_md5(text, strlen(text), digest), 0);
	cgm_hex(digest, sizeof(digest), ret);
}

/* A header for that URI with the nonce of the answer. */
static void digest_header(const struct cgm_buf *answer, const char *uri, unsigned nc, char *ret, size_t size)
{
	static const char ha1[] = "f9fcf379ac69bf16439234202e57229e";
	const char *nonce = strstr(answer->p, "nonce=\"") + strlen("nonce=\"");
	char text[512], ha2[33], response[33];

	snprintf(text, sizeof(text), "GET:%s", uri);
	md5(ha2, text);
	snprintf(text, sizeof(text), "%s:%.48s:%08x:abc:auth:%s", ha1, nonce, nc, ha2);
	md5(response, text);
	assert_in_range(snprintf(ret, size,
				 "Authorization: Digest username=\"zoe\", realm=\"localhost\", nonce=\"%.48s\", uri=\"%s\", nc=%08x, "
				 "cnonce=\"abc\", qop=auth, response=\"%s\"\r\n",
				 nonce, uri, nc, response),
			1, size - 1);
}

static void test_auth__digest(void **state)
{
	static const char uri[] = "/api/v1.3//containers/%61?x=%20&y";
	struct cgm_http_config config = all_files();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	char header[1024], other[1024];
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, uri, "", &answer), 401);
	digest_header(&answer, uri, 1, header, sizeof(header));
	digest_header(&answer, uri, 2, other, sizeof(other));
	assert_int_equal(server_get(&s, 1, uri, header, &answer), 200);
	assert_int_equal(server_get(&s, 1, uri, header, &answer), 401); /* sent again */
	assert_true(has(&answer, "stale=true"));
	assert_int_equal(server_get(&s, 1, "/metrics", other, &answer), 401); /* for another address */
	assert_int_equal(server_get(&s, 1, uri, other, &answer), 200);
	server_stop(&s);
}

/* ---- files ---- */

static void test_auth__files_are_read_anew(void **state)
{
	struct cgm_http_config config = all_files();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/metrics", ALICE, &answer), 200);
	assert_int_equal(server_get(&s, 1, "/metrics", TOKEN, &answer), 200);
	write_file(basic_file, "carl:{SHA}2PRZAyDhNDqRW2OUFwZQqPNdaSY=\n");
	cgm_http_reload(s.http);
	server_wait(server_stats(&s).nr_reloads >= 3);
	assert_int_equal(server_get(&s, 1, "/metrics", ALICE, &answer), 401); /* also what was known */
	assert_int_equal(server_get(&s, 1, "/metrics", CARL, &answer), 200);
	assert_int_equal(server_get(&s, 1, "/metrics", TOKEN, &answer), 200);
	/* Without being told, by looking now and then. */
	write_file(token_file, "a-new-token-of-ours\n");
	server_wait(server_stats(&s).nr_reloads >= 4);
	assert_int_equal(server_get(&s, 1, "/metrics", TOKEN, &answer), 401);
	assert_int_equal(server_get(&s, 1, "/metrics", "Authorization: Bearer a-new-token-of-ours\r\n", &answer), 200);
	/* What cannot be read stays as it was. */
	write_file(basic_file, "rubbish\n");
	write_file(token_file, "short\n");
	unlink(digest_file);
	cgm_http_reload(s.http);
	server_wait(server_stats(&s).nr_failed_reloads >= 3);
	assert_int_equal(server_get(&s, 1, "/metrics", CARL, &answer), 200);
	assert_int_equal(server_get(&s, 1, "/metrics", "Authorization: Bearer a-new-token-of-ours\r\n", &answer), 200);
	server_stop(&s);
	write_file(basic_file, htpasswd);
	write_file(digest_file, htdigest);
	write_file(token_file, tokens);
}

static void test_auth_open__faults(void **state)
{
	static char bad[80];
	struct cgm_http_config configs[] = {
		{ .auth.basic_file = "/nowhere" },
		{ .auth.digest_file = "/nowhere" },
		{ .auth.token_file = "/nowhere" },
		{ .auth.basic_file = bad },
		{ .auth = { .digest_file = bad, .digest_realm = "x" } },
		{ .auth.token_file = bad },
		{ .auth = { .basic_file = basic_file, .basic_realm = "a\nb" } },
		{ .tls_cert_file = "/nowhere", .tls_key_file = "/nowhere" },
	};
	struct server s;

	(void)state;
	snprintf(bad, sizeof(bad), "%s/bad", dir);
	write_file(bad, "x\n");
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		assert_true(server_try(&s, 1, &configs[i]) < 0);
		assert_null(s.http);
		server_stop(&s);
	}
	unlink(bad);
}

/* Whatever fails: the server does not start, or nobody gets in who may not. */
static void test_auth__every_allocation_fails(void **state)
{
	struct cgm_http_config config = all_files();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	unsigned nr_started = 0;
	struct server s;

	(void)state;
	cgm_buf_reserve(&answer, 4000000);
	for (unsigned long n = 1; n <= 60; n++) {
		struct cgm_http_config c = config;
		static const char *const logins[] = { ALICE, TOKEN, WRONG };

		server_start(&s, 1, NULL);
		cgm_http_stop(s.http);
		s.http = NULL;
		c.listen_ip = "127.0.0.1";
		c.version = "x";
		c.store = s.store;
		c.root_fd = -1;
		cgm_mem_fail_at(n);
		if (cgm_http_start(&c, &s.http) == 0) {
			unsigned status;
			int fd;

			nr_started++;
			fd = server_connect(&s, 1);
			cgm_mem_fail_at(n % 12 + 1);
			server_send(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
			server_send(fd, logins[n % ARRAY_SIZE(logins)]);
			server_send(fd, "\r\n");
			answer.len = 0;
			for (ssize_t len; (len = recv(fd, answer.p + answer.len, answer.cap - answer.len - 1, 0)) > 0;)
				answer.len += (size_t)len;
			answer.p[answer.len] = '\0';
			close(fd);
			status = answer.len > 12 ? (unsigned)strtoul(answer.p + 9, NULL, 10) : 0;
			if (n % ARRAY_SIZE(logins) == 2)
				assert_true(status == 0 || status == 401 || status == 503 || status == 500);
		}
		cgm_mem_fail_at(0);
		server_stop(&s);
	}
	assert_in_range(nr_started, 5, 59);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auth__every_route),
		cmocka_unit_test(test_auth__wrong_logins),
		cmocka_unit_test(test_auth__failures_are_limited),
		cmocka_unit_test(test_auth__a_login_is_computed_once),
		cmocka_unit_test(test_auth__slow_passwords_keep_nobody_waiting),
		cmocka_unit_test(test_auth__stop_while_passwords_wait),
		cmocka_unit_test(test_auth__digest),
		cmocka_unit_test(test_auth__files_are_read_anew),
		cmocka_unit_test(test_auth_open__faults),
		cmocka_unit_test(test_auth__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("auth", tests, make_files, remove_files);
}
