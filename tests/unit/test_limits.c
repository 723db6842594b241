// SPDX-License-Identifier: Apache-2.0
/* What clients may take of the server, and what they see when they take more. */
#include "server.h"
#include "output/limits.h"

#include <errno.h>
#include <pthread.h>

#define MSEC CGM_NSEC_PER_MSEC

static const char large[] = "POST /api/v1.3/subcontainers/ HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{\"num_stats\":-1}";

/* True when the server ends the connection (within 10 s). */
static bool ends(int fd)
{
	char buf[4096];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof(buf), 0);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static bool has(const struct cgm_buf *answer, const char *text)
{
	return strstr(answer->p, text) != NULL;
}

static void test_limits__connections_of_an_address(void **state)
{
	struct cgm_http_config config = { .limits = { .max_per_address = 3 } };
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;
	int fds[3], more;

	(void)state;
	server_start(&s, 1, &config);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = server_connect(&s, 1);
	server_wait(server_stats(&s).nr_open == 3);
	more = server_connect(&s, 1);
	assert_true(ends(more));
	close(more);
	assert_int_equal(server_stats(&s).rejects[CGM_HTTP_REJECT_ADDRESS], 1);
	assert_int_equal(server_get(&s, 2, "/healthz", "", &answer), 200); /* others are served */
	close(fds[0]);
	server_wait(server_stats(&s).nr_open == 2);
	assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
	close(fds[1]);
	close(fds[2]);
	server_stop(&s);
}

/* One that never asks, one that never ends its request (a byte now and then keeps it busy), and one that is slow with its body. */
static void test_limits__slow_requests(void **state)
{
	struct cgm_http_config config = { .limits = { .request_ns = 300 * MSEC } };
	static const char *const begins[] = { "", "GE", "GET /healthz HTTP/1.1\r\nHost: x\r\n",
					      "POST /api/v1.3/containers/ HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{" };
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
		_cleanup_close_ int fd = server_connect(&s, 1);
		uint64_t began = cgm_clock_mono_ns(), took;

		server_send(fd, begins[i]);
		while (server_stats(&s).drops[CGM_HTTP_DROP_REQUEST] == i && cgm_clock_mono_ns() - began < 10 * CGM_NSEC_PER_SEC) {
			server_send(fd, *begins[i] ? " " : "");
			nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000000 }, NULL);
		}
		took = cgm_clock_mono_ns() - began;
		assert_int_equal(server_stats(&s).drops[CGM_HTTP_DROP_REQUEST], i + 1);
		assert_in_range(took, 300 * MSEC, 5000 * MSEC);
		assert_true(ends(fd));
	}
	server_stop(&s);
}

/* Half a request and no more to come: there is nothing to wait for. Whole requests of such a client are answered. */
static void test_limits__half_closed(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;
	uint64_t began;
	int fd;

	(void)state;
	server_start(&s, 1, NULL);
	fd = server_connect(&s, 1);
	began = cgm_clock_mono_ns();
	server_send(fd, "GET / HTTP/1.1\r\nHost:");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_true(ends(fd));
	assert_in_range(cgm_clock_mono_ns() - began, 0, 5 * CGM_NSEC_PER_SEC);
	close(fd);
	fd = server_connect(&s, 1);
	server_send(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_true(server_read(fd, &answer));
	assert_true(has(&answer, "HTTP/1.1 200"));
	close(fd);
	server_wait(server_stats(&s).nr_open == 0);
	/* The library ends it itself when it reads request and end at once. */
	assert_in_range(server_stats(&s).drops[CGM_HTTP_DROP_REQUEST], 0, 1);
	server_stop(&s);
}

static void test_limits__idle_connections(void **state)
{
	struct cgm_http_config config = { .limits = { .request_ns = 20 * CGM_NSEC_PER_SEC, .idle_ns = 300 * MSEC } };
	struct server s;
	uint64_t began;
	int fd;

	(void)state;
	server_start(&s, 1, &config);
	fd = server_connect(&s, 1);
	server_send(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	server_wait(server_stats(&s).codes[CGM_HTTP_CODE_200] == 1);
	began = cgm_clock_mono_ns();
	assert_true(ends(fd));
	assert_in_range(cgm_clock_mono_ns() - began, 200 * MSEC, 5000 * MSEC);
	assert_int_equal(server_stats(&s).drops[CGM_HTTP_DROP_IDLE], 1);
	assert_int_equal(server_stats(&s).drops[CGM_HTTP_DROP_REQUEST], 0);
	close(fd);
	server_stop(&s);
}

/* Idle connections go when others need the room, the longest idle first. */
static void test_limits__crowded(void **state)
{
	struct cgm_http_config config = { .limits = { .max_connections = 16 } };
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;
	int fds[15];

	(void)state;
	server_start(&s, 1, &config);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = server_connect(&s, 1);
		server_send(fds[i], "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
		server_wait(server_stats(&s).codes[CGM_HTTP_CODE_200] == i + 1);
	}
	server_wait(server_stats(&s).drops[CGM_HTTP_DROP_CROWDED] >= 3);
	assert_true(ends(fds[0]));
	assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
	assert_int_equal(recv(fds[14], answer.p, answer.cap, MSG_DONTWAIT) > 0, true); /* the newest lives */
	assert_int_equal(recv(fds[14], answer.p, answer.cap, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	server_stop(&s);
}

/* A client of a large answer that does not read. */
static int stuck_client(const struct server *s)
{
	int fd = server_connect(s, 1), small = 4096;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	server_send(fd, large);
	return fd;
}

static void test_limits__large_answers(void **state)
{
	struct cgm_http_config config = { .limits = { .max_large = 2 } };
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;
	int first, second, third;

	(void)state;
	server_start(&s, 400, &config);
	first = stuck_client(&s);
	second = stuck_client(&s);
	server_wait(server_stats(&s).nr_large == 2);
	third = server_connect(&s, 1);
	server_send(third, "GET /api/v1.3/subcontainers/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	(void)server_read(third, &answer);
	assert_true(has(&answer, "HTTP/1.1 503 "));
	assert_true(has(&answer, "Retry-After: 1\r\n"));
	assert_true(has(&answer, "too many large answers"));
	assert_int_equal(server_stats(&s).rejects[CGM_HTTP_REJECT_LARGE], 1);
	assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
	assert_int_equal(server_get(&s, 1, "/metrics", "", &answer), 200);
	close(first);
	server_wait(server_stats(&s).nr_large == 1);
	assert_int_equal(server_get(&s, 1, "/api/v1.3/subcontainers/", "", &answer), 200);
	close(second);
	close(third);
	server_wait(server_stats(&s).nr_large == 0);
	server_stop(&s);
}

static void test_limits__long_answers(void **state)
{
	struct cgm_http_config config = { .limits = { .answer_ns = 400 * MSEC } };
	struct server s;
	uint64_t began;
	int fd;

	(void)state;
	server_start(&s, 400, &config);
	began = cgm_clock_mono_ns();
	fd = stuck_client(&s);
	server_wait(server_stats(&s).drops[CGM_HTTP_DROP_ANSWER] == 1);
	assert_in_range(cgm_clock_mono_ns() - began, 400 * MSEC, 5000 * MSEC);
	server_wait(server_stats(&s).nr_large == 0); /* and its snapshot is gone */
	assert_true(ends(fd));
	close(fd);
	server_stop(&s);
}

/* A server's thread whose answers begin while the watching thread looks. */
static void *answer_on_and_on(void *arg)
{
	struct cgm_peer *p = arg;

	for (unsigned i = 0; i < 2000000 && !cgm_peer_dropped(p); i++)
		cgm_peer_set_phase(p, CGM_PHASE_ANSWER);
	return NULL;
}

/* An answer that begins after the watching thread has looked at its clock is young, not 584 years old. */
static void test_limits__answers_that_begin_meanwhile(void **state)
{
	const struct sockaddr_in addr = { .sin_family = AF_INET };
	struct cgm_http_limits bounds = { 0 };
	struct cgm_http_stats stats = { 0 };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct cgm_limits l;
	struct cgm_peer *p;
	pthread_t server;

	(void)state;
	assert_int_equal(cgm_limits_start(&l, &bounds, &stats, NULL, NULL), 0);
	p = cgm_limits_open(&l, NULL, fd, (const struct sockaddr *)&addr);
	assert_non_null(p);
	assert_int_equal(pthread_create(&server, NULL, answer_on_and_on, p), 0);
	while (pthread_tryjoin_np(server, NULL) != 0)
		cgm_limits_hurry(&l);
	assert_int_equal(stats.drops[CGM_HTTP_DROP_ANSWER], 0);
	cgm_limits_close(&l, p);
	cgm_limits_stop(&l);
}

/* A byte now and then is no progress. */
static void test_limits__slow_readers(void **state)
{
	struct server s;
	uint64_t began;
	char byte;
	int fd;

	(void)state;
	server_start(&s, 400, NULL);
	began = cgm_clock_mono_ns();
	fd = stuck_client(&s);
	while (!server_stats(&s).drops[CGM_HTTP_DROP_SLOW] && cgm_clock_mono_ns() - began < 20 * CGM_NSEC_PER_SEC) {
		assert_true(recv(fd, &byte, 1, 0) == 1);
		nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000000 }, NULL);
	}
	assert_int_equal(server_stats(&s).drops[CGM_HTTP_DROP_SLOW], 1);
	assert_in_range(cgm_clock_mono_ns() - began, 5 * CGM_NSEC_PER_SEC, 12 * CGM_NSEC_PER_SEC);
	server_wait(server_stats(&s).nr_large == 0);
	close(fd);
	server_stop(&s);
}

/* What the library answers by itself is counted, too. */
static void test_limits__malformed(void **state)
{
	static const struct {
		const char *request;
		unsigned code;
	} cases[] = {
		{ "GET / HTTP/9.9\r\n\r\n", CGM_HTTP_CODE_505 },
		{ "GET /\r\n\r\n", CGM_HTTP_CODE_400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", CGM_HTTP_CODE_400 },
	};
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 }, request = { 0 };
	struct cgm_http_stats stats;
	struct server s;

	(void)state;
	server_start(&s, 1, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_close_ int fd = server_connect(&s, 1);
		uint64_t before = server_stats(&s).codes[cases[i].code];

		server_send(fd, cases[i].request);
		(void)server_read(fd, &answer);
		stats = server_stats(&s);
		assert_int_equal(stats.codes[cases[i].code], before + 1);
		assert_int_equal(stats.rejects[CGM_HTTP_REJECT_MALFORMED], i + 1);
	}
	cgm_buf_lit(&request, "GET /");
	while (request.len < 40000)
		cgm_buf_char(&request, 'x');
	cgm_buf_lit(&request, " HTTP/1.1\r\n\r\n");
	cgm_buf_char(&request, '\0');
	server_get(&s, 1, request.p + 4, "", &answer);
	server_wait(server_stats(&s).codes[CGM_HTTP_CODE_414] == 1);
	cgm_buf_char(&request, '\0');
	request.len = 0;
	cgm_buf_lit(&request, "X: ");
	while (request.len < 40000)
		cgm_buf_char(&request, 'x');
	cgm_buf_lit(&request, "\r\n");
	cgm_buf_char(&request, '\0');
	server_get(&s, 1, "/", request.p, &answer);
	server_wait(server_stats(&s).codes[CGM_HTTP_CODE_431] == 1);
	assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
	server_stop(&s);
}

/* ---- where things stand ---- */

static void test_http__prefix_and_endpoint(void **state)
{
	struct cgm_http_config config = { .url_base_prefix = "/m/cg", .prometheus_endpoint = "/internal/prom/" };
	static const struct {
		const char *path;
		unsigned status;
	} cases[] = {
		{ "/m/cg/healthz", 200 }, { "/healthz", 200 },	     { "/m/cg", 200 },		  { "/m/cg/", 200 },
		{ "/m/cghealthz", 404 },  { "/m/healthz", 404 },     { "/m/cg/internal/prom", 200 }, { "/internal/prom", 200 },
		{ "/internal/prom/", 200 }, { "/metrics", 404 },     { "/m/cg/metrics", 404 },	  { "/m/cg/api/v1.3/containers/a", 200 },
		{ "/m/cg/m/cg/healthz", 404 },
	};
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (server_get(&s, 1, cases[i].path, "", &answer) != cases[i].status)
			fail_msg("%s: %.20s", cases[i].path, answer.p);
	server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits__connections_of_an_address),
		cmocka_unit_test(test_limits__slow_requests),
		cmocka_unit_test(test_limits__half_closed),
		cmocka_unit_test(test_limits__idle_connections),
		cmocka_unit_test(test_limits__crowded),
		cmocka_unit_test(test_limits__large_answers),
		cmocka_unit_test(test_limits__long_answers),
		cmocka_unit_test(test_limits__answers_that_begin_meanwhile),
		cmocka_unit_test(test_limits__slow_readers),
		cmocka_unit_test(test_limits__malformed),
		cmocka_unit_test(test_http__prefix_and_endpoint),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
