// SPDX-License-Identifier: Apache-2.0
/* Unary calls: every kind of answer, and what ends a wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "identity/grpc.h"
#include "unit/grpc_server.h"

#define MESSAGE "\x0a\x05hello"
#define METHOD "a.b.Service/Method"
#define SECOND_NS CGM_NSEC_PER_SEC

struct client {
	struct cgm_grpc *g;
	int wake_fd;
	bool stop; /* atomic */
	struct cgm_buf answer;
	struct cgm_str message;
	char fault[CGM_GRPC_FAULT];
};

static bool stopping(const void *arg)
{
	const struct client *c = arg;

	return __atomic_load_n(&c->stop, __ATOMIC_RELAXED);
}

static void client_open(struct client *c, const char *path, uint64_t timeout_ns)
{
	struct cgm_grpc_config config = { .socket = path, .timeout_ns = timeout_ns, .stopping = stopping, .arg = c };

	*c = (struct client){ .wake_fd = eventfd(0, EFD_CLOEXEC) };
	config.wake_fd = c->wake_fd;
	assert_int_equal(cgm_grpc_new(&config, &c->g, c->fault), 0);
}

static void client_close(struct client *c)
{
	cgm_grpc_free(c->g);
	cgm_buf_done(&c->answer);
	close(c->wake_fd);
}

static int call(struct client *c, const char *header)
{
	struct cgm_buf request = { 0 };
	int r;

	cgm_buf_lit(&request, "ask");
	r = cgm_grpc_call(c->g, METHOD, header, &request, &c->answer, &c->message, c->fault);
	cgm_buf_done(&request);
	return r;
}

static void assert_fault(const struct client *c, const char *path, const char *cause)
{
	char text[CGM_GRPC_FAULT];

	snprintf(text, sizeof(text), "%s: %s: %s", path, METHOD, cause);
	assert_string_equal(c->fault, text);
}

static void test_call__messages(void **state)
{
	static char large[100000];
	const struct grpc_answer script[] = {
		{ .message = CGM_STR(MESSAGE) },
		{ .message = { "", 0 } },
		{ .message = { large, sizeof(large) } },
	};
	struct grpc_server s;
	struct client c;

	(void)state;
	memset(large, 'x', sizeof(large));
	grpc_start(&s, script, ARRAY_SIZE(script));
	client_open(&c, s.path, 5 * SECOND_NS);
	assert_int_equal(cgm_grpc_fd(c.g), -1);
	for (size_t i = 0; i < ARRAY_SIZE(script); i++) {
		assert_int_equal(call(&c, i ? "containerd-namespace: x" : NULL), 0);
		assert_int_equal(c.message.len, script[i].message.len);
		assert_memory_equal(c.message.p, script[i].message.p, c.message.len);
		assert_int_equal(s.requests[i].len, 8);
		assert_memory_equal(s.requests[i].p, "\0\0\0\0\3ask", 8);
		assert_true(cgm_grpc_fd(c.g) >= 0);
	}
	client_close(&c);
	grpc_stop(&s);
}

static void test_call__statuses(void **state)
{
	static const struct {
		struct grpc_answer answer;
		int r;
		const char *cause;
	} cases[] = {
		{ { .status = 5, .text = "no%20such%0Athing%2g%" }, -ENOENT, "status 5 (not found): no such thing%2g%" },
		{ { .status = 12 }, -ENOSYS, "status 12 (unimplemented)" },
		{ { .manner = GRPC_TRAILERS_ONLY, .status = 5, .text = "x" }, -ENOENT, "status 5 (not found): x" },
		{ { .manner = GRPC_TRAILERS_ONLY, .status = 12, .text = "unknown service" }, -ENOSYS, "status 12 (unimplemented): unknown service" },
		{ { .status = 7 }, -EREMOTEIO, "status 7 (permission denied)" },
		{ { .status = 99 }, -EREMOTEIO, "status 99 (of no known meaning)" },
		{ { .manner = GRPC_TRAILERS_ONLY }, -EPROTO, "no message" },
		{ { .manner = GRPC_NO_STATUS, .message = CGM_STR("<html>") }, -EPROTO, "no gRPC (HTTP status 404)" },
	};
	struct grpc_answer script[ARRAY_SIZE(cases)];
	struct grpc_server s;
	struct client c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		script[i] = cases[i].answer;
	grpc_start(&s, script, ARRAY_SIZE(script));
	client_open(&c, s.path, 5 * SECOND_NS);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = call(&c, NULL);

		assert_fault(&c, s.path, cases[i].cause);
		assert_int_equal(r, cases[i].r);
		assert_int_equal(cgm_grpc_answered(r), r != -EPROTO);
	}
	client_close(&c);
	grpc_stop(&s);
}

static void test_call__frames(void **state)
{
	static const char *const damaged = "a message that is cut, compressed or not alone";
	static const struct {
		struct cgm_str raw;
		int r;
	} cases[] = {
		{ { "\0\0\0\0\3ab", 7 }, -EPROTO }, /* cut */
		{ { "\0\0\0\0\1abc", 8 }, -EPROTO }, /* more than one */
		{ { "\1\0\0\0\2ab", 7 }, -EPROTO }, /* compressed */
		{ { "\0\0\0", 3 }, -EPROTO },
		{ { "\0\2\0\0\1abc", 8 }, -EMSGSIZE }, /* 32 MB and one byte */
		{ { "\0\xff\xff\xff\xff", 5 }, -EMSGSIZE },
	};
	struct grpc_answer script[ARRAY_SIZE(cases)];
	struct grpc_server s;
	struct client c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		script[i] = (struct grpc_answer){ .manner = GRPC_RAW, .message = cases[i].raw };
	grpc_start(&s, script, ARRAY_SIZE(script));
	client_open(&c, s.path, 5 * SECOND_NS);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(call(&c, NULL), cases[i].r);
		assert_fault(&c, s.path, cases[i].r == -EMSGSIZE ? "an answer of more than 32 MB" : cases[i].raw.len == 3 ? "no message" : damaged);
	}
	client_close(&c);
	grpc_stop(&s);
}

static void test_call__no_server(void **state)
{
	static const struct grpc_answer script[] = { { .manner = GRPC_CUT, .message = CGM_STR(MESSAGE) } };
	struct grpc_server s;
	struct client c;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	client_open(&c, s.path, 5 * SECOND_NS);
	assert_int_equal(call(&c, NULL), -ECONNABORTED);
	assert_non_null(strstr(c.fault, METHOD));
	grpc_end(&s);
	assert_int_equal(call(&c, NULL), -ECONNABORTED);
	assert_fault(&c, s.path, "cannot connect: Connection refused");
	unlink(s.path);
	assert_int_equal(call(&c, NULL), -ECONNABORTED);
	assert_fault(&c, s.path, "cannot connect: No such file or directory");
	client_close(&c);
	grpc_stop(&s);
}

static void test_call__timeout(void **state)
{
	static const struct grpc_answer script[] = { { .manner = GRPC_SILENT }, { .message = CGM_STR(MESSAGE) } };
	struct grpc_server s;
	struct client c;
	uint64_t began;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	client_open(&c, s.path, 200 * CGM_NSEC_PER_MSEC);
	began = cgm_clock_mono_ns();
	assert_int_equal(call(&c, NULL), -ETIMEDOUT);
	assert_in_range(cgm_clock_mono_ns() - began, 200 * CGM_NSEC_PER_MSEC, 5 * SECOND_NS);
	assert_fault(&c, s.path, "no answer within 200 ms");
	assert_int_equal(cgm_grpc_fd(c.g), -1);
	client_close(&c);
	/* The client is of use again. */
	client_open(&c, s.path, 5 * SECOND_NS);
	assert_int_equal(call(&c, NULL), 0);
	client_close(&c);
	grpc_stop(&s);
}

static void *stop_soon(void *arg)
{
	struct client *c = arg;

	usleep(100000);
	__atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
	assert_int_equal(eventfd_write(c->wake_fd, 1), 0);
	return NULL;
}

/* Also when the descriptor is readable all the time, because somebody wants something else; that costs no time on a CPU. */
static void test_call__stop(void **state)
{
	static const struct grpc_answer script[] = { { .manner = GRPC_SILENT }, { .manner = GRPC_SILENT } };
	struct grpc_server s;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	for (int wanted = 0; wanted < 2; wanted++) {
		uint64_t began, cpu_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
		struct client c;
		pthread_t t;

		client_open(&c, s.path, 20 * SECOND_NS);
		if (wanted)
			assert_int_equal(eventfd_write(c.wake_fd, 1), 0);
		began = cgm_clock_mono_ns();
		assert_int_equal(pthread_create(&t, NULL, stop_soon, &c), 0);
		assert_int_equal(call(&c, NULL), -ECANCELED);
		assert_true(cgm_clock_mono_ns() - began < SECOND_NS);
		assert_true(cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns < 80 * CGM_NSEC_PER_MSEC);
		assert_fault(&c, s.path, "asked to stop");
		pthread_join(t, NULL);
		client_close(&c);
	}
	grpc_stop(&s);
}

/* The end of the server is seen on the connection that is left. */
static void test_fd__server_ends(void **state)
{
	static const struct grpc_answer script[] = { { .message = CGM_STR(MESSAGE) } };
	struct grpc_server s;
	struct pollfd fd;
	struct client c;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	client_open(&c, s.path, 5 * SECOND_NS);
	assert_int_equal(call(&c, NULL), 0);
	fd = (struct pollfd){ .fd = cgm_grpc_fd(c.g), .events = POLLRDHUP };
	assert_int_equal(poll(&fd, 1, 50), 0);
	grpc_end(&s);
	assert_int_equal(poll(&fd, 1, 1000), 1);
	client_close(&c);
	grpc_stop(&s);
}

/* ---- streams ---- */

struct heard {
	unsigned nr;
	char last[64];
};

static void on_message(void *arg, struct cgm_str m)
{
	struct heard *h = arg;

	h->nr++;
	snprintf(h->last, sizeof(h->last), "%.*s", (int)m.len, m.p);
}

static int listen_to(struct client *c, struct heard *h)
{
	return cgm_grpc_listen(c->g, METHOD, NULL, &(struct cgm_buf){ 0 }, on_message, h, c->fault);
}

/* Until that many messages are there, or the stream's end. */
static int wait_for(struct client *c, const struct heard *h, unsigned nr)
{
	int r = 0;

	for (int i = 0; i < 1000 && r == 0 && h->nr < nr; i++)
		r = cgm_grpc_wait(c->g, cgm_clock_mono_ns() + SECOND_NS / 100, c->fault);
	return r;
}

static void test_listen__messages_cut_anywhere(void **state)
{
	static const struct grpc_answer script[] = { { .manner = GRPC_STREAM } };
	static const char two[] = "\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\5three";
	struct heard h = { 0 };
	struct grpc_server s;
	struct client c;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	client_open(&c, s.path, 5 * SECOND_NS);
	assert_int_equal(listen_to(&c, &h), 0);
	while (!__atomic_load_n(&s.nr_calls, __ATOMIC_ACQUIRE))
		usleep(1000);
	for (size_t part = 1; part < sizeof(two); part++) {
		grpc_push(&s, two, sizeof(two) - 1, part);
		assert_int_equal(wait_for(&c, &h, 3 * (unsigned)part), 0);
		assert_int_equal(h.nr, 3 * part);
		assert_string_equal(h.last, "three");
	}
	/* Nothing comes: it sleeps as long as it is told, and ends at a wish. */
	assert_int_equal(cgm_grpc_wait(c.g, cgm_clock_mono_ns() + SECOND_NS / 50, c.fault), 0);
	assert_int_equal(eventfd_write(c.wake_fd, 1), 0);
	assert_int_equal(cgm_grpc_wait(c.g, cgm_clock_mono_ns() + 60 * SECOND_NS, c.fault), 0);
	/* A second time, by the same client. */
	cgm_grpc_hang_up(c.g);
	cgm_grpc_hang_up(c.g);
	client_close(&c);
	grpc_stop(&s);
}

static void test_listen__ends(void **state)
{
	static const struct grpc_answer fine = { .status = 0 }, unavailable = { .status = 14, .text = "bye" }, stream = { .manner = GRPC_STREAM },
					unimplemented = { .manner = GRPC_TRAILERS_ONLY, .status = 12 };
	static const struct {
		const struct grpc_answer *answer, *trailers;
		const char *bytes;
		size_t len;
		int r;
		const char *cause; /* NULL: libcurl's words */
	} cases[] = {
		{ &stream, &fine, "", 0, -ECONNRESET, "the stream has ended" },
		{ &stream, &unavailable, "", 0, -EREMOTEIO, "status 14 (unavailable): bye" },
		{ &stream, NULL, "", 0, -ECONNABORTED, NULL },
		{ &stream, NULL, "\1\0\0\0\0", 5, -EPROTO, "a message that is cut, compressed or not alone" },
		{ &stream, NULL, "\0\0\x40\0\1", 5, -EMSGSIZE, "a message of more than 4 MB" },
		{ &unimplemented, NULL, "", 0, -ENOSYS, "status 12 (unimplemented)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct heard h = { 0 };
		struct grpc_server s;
		struct client c;

		grpc_start(&s, cases[i].answer, 1);
		client_open(&c, s.path, 5 * SECOND_NS);
		assert_int_equal(listen_to(&c, &h), 0);
		while (!__atomic_load_n(&s.nr_calls, __ATOMIC_ACQUIRE))
			usleep(1000);
		grpc_push(&s, cases[i].bytes, cases[i].len, 16384);
		if (s.stream_fd >= 0 && !cases[i].len)
			grpc_end_stream(&s, cases[i].trailers);
		assert_int_equal(wait_for(&c, &h, 1), cases[i].r);
		if (cases[i].cause)
			assert_fault(&c, s.path, cases[i].cause);
		assert_int_equal(h.nr, 0);
		client_close(&c);
		grpc_stop(&s);
	}
}

static void test_listen__nobody(void **state)
{
	struct heard h = { 0 };
	struct client c;

	(void)state;
	client_open(&c, "/nosuch/socket", 5 * SECOND_NS);
	assert_int_equal(listen_to(&c, &h), -ECONNABORTED);
	client_close(&c);
}

static void test_listen__out_of_memory(void **state)
{
	static const struct grpc_answer script[] = { { .manner = GRPC_STREAM } };

	(void)state;
	for (unsigned long n = 1;; n++) {
		struct heard h = { 0 };
		struct grpc_server s;
		struct client c;
		unsigned long nr;
		int r;

		grpc_start(&s, script, 1);
		client_open(&c, s.path, 5 * SECOND_NS);
		cgm_mem_fail_at(n);
		r = listen_to(&c, &h);
		if (r == 0) {
			while (!__atomic_load_n(&s.nr_calls, __ATOMIC_ACQUIRE))
				usleep(1000);
			grpc_push_message(&s, (struct cgm_str)CGM_STR("one"));
			r = wait_for(&c, &h, 1);
		}
		nr = cgm_mem_fail_at(0);
		/* The server allocates too, and what it leaves out then is damage. */
		assert_true(r == 0 || (nr >= n && *c.fault));
		assert_true(nr >= n || h.nr == 1);
		client_close(&c);
		grpc_stop(&s);
		if (nr < n)
			break;
	}
}

static void test_call__out_of_memory(void **state)
{
	static const struct grpc_answer script[GRPC_MAX_CALLS] = { { .message = CGM_STR(MESSAGE) } };
	struct cgm_grpc_config config = { .timeout_ns = 5 * SECOND_NS, .wake_fd = -1, .stopping = stopping };

	(void)state;
	for (unsigned long n = 1;; n++) {
		struct grpc_server s;
		struct client c = { 0 };
		unsigned long nr;
		int r;

		grpc_start(&s, script, 1);
		config.socket = s.path;
		config.arg = &c;
		cgm_mem_fail_at(n);
		r = cgm_grpc_new(&config, &c.g, c.fault);
		if (r == 0)
			r = cgm_grpc_call(c.g, METHOD, NULL, &(struct cgm_buf){ 0 }, &c.answer, &c.message, c.fault);
		nr = cgm_mem_fail_at(0);
		/* The server allocates too, and what it leaves out then is damage. */
		assert_true(r == -ENOMEM || nr >= n || r == 0);
		assert_true(r == 0 || *c.fault);
		cgm_grpc_free(c.g);
		cgm_buf_done(&c.answer);
		grpc_stop(&s);
		if (nr < n)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call__messages),	cmocka_unit_test(test_call__statuses), cmocka_unit_test(test_call__frames),
		cmocka_unit_test(test_call__no_server), cmocka_unit_test(test_call__timeout),  cmocka_unit_test(test_call__stop),
		cmocka_unit_test(test_fd__server_ends), cmocka_unit_test(test_call__out_of_memory),
		cmocka_unit_test(test_listen__messages_cut_anywhere), cmocka_unit_test(test_listen__ends), cmocka_unit_test(test_listen__nobody),
		cmocka_unit_test(test_listen__out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
