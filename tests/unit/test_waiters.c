// SPDX-License-Identifier: Apache-2.0
/* Who waits for a sample or an event, and the faults as cAdvisor answers them. */
#include "http_fixture.h"

/* ---- waiting ---- */

static void happen(struct fixture *f, enum cgm_record_type type, uint64_t time_ns, const char *name)
{
	cgm_events_add(f->events, &(struct cgm_happening){ .type = type, .time_ns = time_ns, .container = name, .number = -1 });
}

/* Reads until the text has come; what came is in raw. */
static void recv_until(int fd, struct cgm_buf *raw, const char *text)
{
	while (!raw->len || !memmem(raw->p, raw->len, text, strlen(text)))
		if (!recv_some(fd, raw, SIZE_MAX))
			fail_msg("the stream ended before \"%s\": %.*s", text, (int)raw->len, raw->p ? raw->p : "");
}

static int follow(struct fixture *f, const char *query)
{
	_cleanup_free_ char *request = cgm_asprintf("GET /api/v1.3/events%s HTTP/1.1\r\nHost: x\r\n\r\n", query);
	_cleanup_(cgm_buf_done) struct cgm_buf raw = { 0 };
	int fd = connect_to(cgm_http_port(f->http));

	send_all(fd, request, strlen(request));
	while (!raw.len || !memmem(raw.p, raw.len, "\r\n\r\n", 4))
		assert_true(recv_some(fd, &raw, 1));
	assert_non_null(memmem(raw.p, raw.len, "200 OK", 6));
	assert_non_null(memmem(raw.p, raw.len, "chunked", 7));
	return fd;
}

static void wait_for_streams(struct fixture *f, uint64_t nr)
{
	struct timespec pause = { .tv_nsec = 2000000 };
	struct cgm_events_stats s;

	for (unsigned i = 0; i < 2000; i++) {
		cgm_events_stats(f->events, &s);
		if (s.nr_streams == nr)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("%u streams instead of %u", (unsigned)s.nr_streams, (unsigned)nr);
}

static void test_waiters__events(void **state)
{
	struct fixture *f = setup(1);
	struct answer a;
	json_t *j;

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		happen(f, i % 3 ? CGM_RECORD_CREATION : CGM_RECORD_DELETION, SYNTH_FIRST_NS + i, i % 2 ? "/a" : "/b");
	a = get(f, "/api/v2.0/events/a?all_events=true", "");
	j = json_of(&a);
	assert_int_equal(json_array_size(j), 10);
	json_decref(j);
	done(&a);
	a = get(f, "/api/v2.1/events/?deletion_events=true&subcontainers=true&max_events=-1", "");
	j = json_of(&a);
	assert_int_equal(json_array_size(j), 10);
	json_decref(j);
	done(&a);
	a = get(f, "/api/v1.3/events", "");
	assert_string_equal(a.body.p, "[]");
	done(&a);
	a = get(f, "/api/v1.3/events?max_events=x", "");
	assert_error(&a, 400, "max_events");
	a = get(f, "/api/v1.3/events?start_time=1", "");
	assert_error(&a, 400, "start_time");
	teardown(f);
}

/* What comes is told at once, a line each; clients that leave, and a server that ends, leave nothing behind. */
static void test_waiters__events_stream(void **state)
{
	struct fixture *f = setup(1);
	_cleanup_(cgm_buf_done) struct cgm_buf raw = { 0 }, body = { 0 };
	struct answer a;
	json_t *j;
	int fds[3];

	(void)state;
	happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS, "/a/past");
	for (size_t i = 0; i < 3; i++)
		fds[i] = follow(f, i == 0 ? "/a?stream=true&creation_events=true&subcontainers=true" : "/a?stream=true&all_events=true");
	wait_for_streams(f, 3);
	happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS + 1, "/b");
	happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS + 2, "/a/x");
	recv_until(fds[0], &raw, "/a/x");
	happen(f, CGM_RECORD_DELETION, SYNTH_FIRST_NS + 3, "/a/x");
	happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS + 4, "/a/last");
	recv_until(fds[0], &raw, "/a/last");
	close(fds[1]); /* this one never had anything to send: the server finds out all the same */
	wait_for_streams(f, 2);
	/* The others are served meanwhile, by two threads. */
	a = get(f, "/healthz", "");
	assert_int_equal(a.status, 200);
	done(&a);
	teardown(f);
	(void)read_chunks(fds[0], &raw, 0, &body); /* a server that ends may break it off */
	for (size_t i = 0; i < 2; i++) {
		const char *line = i ? (const char *)memchr(body.p, '\n', body.len) + 1 : body.p;
		const char *end = memchr(line, '\n', body.len - (size_t)(line - body.p));

		assert_non_null(end);
		j = json_loadb(line, (size_t)(end - line), 0, NULL);
		assert_string_equal(json_string_value(json_object_get(j, "container_name")), i ? "/a/last" : "/a/x");
		json_decref(j);
	}
	close(fds[0]);
	close(fds[2]);
}

/* A client that does not read keeps up nobody, and is dropped when it has lost its place. */
static void test_waiters__events_stream_that_is_not_read(void **state)
{
	struct fixture *f = setup(1);
	struct cgm_events_stats s;
	struct timespec pause = { .tv_nsec = 1000000 };
	char name[2048];
	int fd;

	(void)state;
	memset(name, 'n', sizeof(name));
	memcpy(name, "/", 1);
	name[sizeof(name) - 1] = '\0';
	fd = follow(f, "?stream=true&all_events=true&subcontainers=true");
	wait_for_streams(f, 1);
	for (unsigned i = 0; i < 30; i++) {
		for (unsigned k = 0; k < CGM_EVENTS_TAIL; k++)
			happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS + i, name);
		nanosleep(&pause, NULL);
	}
	/* It takes up again what its socket holds, and then learns that the rest is gone. */
	for (char buf[65536]; recv(fd, buf, sizeof(buf), 0) > 0;)
		;
	wait_for_streams(f, 0);
	cgm_events_stats(f->events, &s);
	assert_int_equal(s.nr_streams_dropped, 1);
	close(fd);
	teardown(f);
}

static void *publish_later(void *arg)
{
	struct fixture *f = arg;
	struct timespec pause = { .tv_nsec = 150000000 };
	struct cgm_snapshot *s;

	nanosleep(&pause, NULL);
	synth_tick(&f->y);
	s = synth_snapshot(&f->y);
	s->time_ns = cgm_clock_real_ns();
	cgm_store_publish(f->store, s);
	return NULL;
}

static void test_waiters__max_age_waits_for_the_next_sample(void **state)
{
	static const char *const paths[] = { "/api/v2.0/stats/a?max_age=0s&count=-1", "/api/v2.1/machinestats?max_age=10s&count=-1", "/metrics?max_age=0s" };
	struct fixture *f = setup(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		uint64_t began = cgm_clock_mono_ns();
		pthread_t thread;
		struct answer a;

		assert_int_equal(pthread_create(&thread, NULL, publish_later, f), 0);
		a = get(f, paths[i], "");
		assert_int_equal(a.status, 200);
		/* The sample of 10 s ago that the first round left will do for the second. */
		if (i != 1)
			assert_in_range(cgm_clock_mono_ns() - began, 100000000, 3000000000);
		else
			assert_true(cgm_clock_mono_ns() - began < 100000000);
		pthread_join(thread, NULL);
		done(&a);
	}
	teardown(f);
}

/* Clients that wait when the server ends get an answer, or none; nothing hangs. */
static void test_waiters__stop_while_somebody_waits(void **state)
{
	struct fixture *f = setup(1);
	struct timespec pause = { .tv_nsec = 50000000 };
	static const char request[] = "GET /api/v2.0/stats/a?max_age=0s HTTP/1.1\r\nHost: x\r\n\r\n";
	int fds[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = connect_to(cgm_http_port(f->http));
		send_all(fds[i], request, sizeof(request) - 1);
	}
	nanosleep(&pause, NULL);
	teardown(f);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* ---- as cAdvisor ---- */

static void test_waiters__legacy_status_codes(void **state)
{
	static const struct {
		const char *request;
		unsigned status;
		const char *says; /* in the body; with a redirect: the place */
	} cases[] = {
		{ "GET /nothing", 307, "Location: /containers/\r" },
		{ "GET /api", 307, "Location: /api/\r" },
		{ "GET /api/", 400, "Supported API versions: v1.0,v1.1,v1.2,v1.3,v2.0,v2.1\n" },
		{ "GET /api/v1.0", 400, "Supported request types: \"machine,containers\"\n" },
		{ "GET /api/v9.9", 500, "unsupported API version \"v9.9\"\n" },
		{ "GET /api/v2.0/machinestats", 500, "unknown request type \"machinestats\"\n" },
		{ "GET /api/v1.3/containers/nosuch", 500, "failed to get container \"/nosuch\" with error: unknown container \"/nosuch\"\n" },
		{ "GET /api/v1.3/docker/x", 500, "failed to get Docker container \"x\" with error: unable to find container \"x\" in \"docker\" namespace\n" },
		{ "GET /api/v2.0/stats/nosuch", 500, "unknown container \"/nosuch\"\n" },
		{ "GET /api/v2.0/stats/x?type=docker", 500, "unable to find container \"x\" in \"docker\" namespace\n" },
		{ "GET /api/v2.0/stats/?type=zzz", 500, "unknown 'type' \"zzz\"" },
		{ "GET /api/v2.0/stats/?count=x", 500, "failed to parse 'count' option: x" },
		{ "GET /api/v2.0/stats/?recursive=maybe", 200, "{" },
		{ "GET /api/v2.0/storage?label=docker-images", 500, "non-existent label \"docker-images\"\n" },
		{ "GET /api/v1.3/events/?max_events=x", 200, "[]" },
		{ "GET /metrics?count=x", 500, "count" },
		{ "DELETE /healthz", 200, "ok" },
		{ "PUT /api/v2.0/version", 200, "\"1.2.3\"" },
		{ "GET /api/cgmeter/waits/x", 404, "\"status\":404" },
		{ "GET /static/none", 404, "unknown file" },
	};
	struct fixture *f = setup_with(1, true);
	struct answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char request[256];

		snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: x\r\n\r\n", cases[i].request);
		a = ask(f, request);
		if (a.status != cases[i].status || !strstr(a.status == 307 ? a.head : a.body.p, cases[i].says))
			fail_msg("%s: %u %s%s", cases[i].request, a.status, a.head, a.body.p);
		if (a.status == 500)
			assert_non_null(header(&a, "Content-Type: text/plain"));
		done(&a);
	}
	a = post(f, "/api/v1.3/containers/", "{bad");
	assert_int_equal(a.status, 500);
	done(&a);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waiters__events),
		cmocka_unit_test(test_waiters__events_stream),
		cmocka_unit_test(test_waiters__events_stream_that_is_not_read),
		cmocka_unit_test(test_waiters__max_age_waits_for_the_next_sample),
		cmocka_unit_test(test_waiters__stop_while_somebody_waits),
		cmocka_unit_test(test_waiters__legacy_status_codes),
	};

	return cmocka_run_group_tests_name("waiters", tests, NULL, NULL);
}
