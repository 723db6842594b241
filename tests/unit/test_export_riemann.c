// SPDX-License-Identifier: Apache-2.0
/* Riemann's events, read back by libprotobuf-c: what it does not know of riemann.proto is an error. */
#include "export_slices.h"
#include "export_server.h"

#include "riemann.pb-c.h"

#define ALL (EXPORT_POINTS + EXPORT_SUMS_POINTS)
#define OK "\x10\x01" /* ok: true */
#define NOT_OK "\x10\x00\x1a\x05" "no\nno"

static Riemann__Msg *unpack(const char *p, size_t len)
{
	Riemann__Msg *m = riemann__msg__unpack(NULL, len, (const uint8_t *)p);

	assert_non_null(m);
	assert_int_equal(m->base.n_unknown_fields, 0);
	for (size_t i = 0; i < m->n_events; i++) {
		assert_int_equal(m->events[i]->base.n_unknown_fields, 0);
		assert_int_equal(m->events[i]->has_metric_d + m->events[i]->has_metric_sint64, 1);
		assert_true(m->events[i]->time == (int64_t)(EXPORT_NS / 1000000000));
		assert_true(m->events[i]->time_micros == (int64_t)(EXPORT_NS / 1000));
	}
	return m;
}

static const char *attribute(const Riemann__Event *e, const char *key)
{
	for (size_t i = 0; i < e->n_attributes; i++)
		if (strcmp(e->attributes[i]->key, key) == 0)
			return e->attributes[i]->value;
	return "";
}

static const Riemann__Event *find(const Riemann__Msg *m, const char *service, const char *key, const char *value)
{
	for (size_t i = 0; i < m->n_events; i++)
		if (strcmp(m->events[i]->service, service) == 0 && strcmp(attribute(m->events[i], key), value) == 0)
			return m->events[i];
	fail_msg("no %s with %s=%s", service, key, value);
	return NULL;
}

static void test_riemann__events(void **state)
{
	const Riemann__Event *v;
	struct exported e;
	Riemann__Msg *m;

	(void)state;
	export_open(&e, &cgm_export_riemann, "riemann:http://localhost:5555");
	export_text(&e);
	m = unpack(e.out.p, e.out.len);
	assert_int_equal(m->n_events, ALL);
	v = find(m, "cpu/usage", "type", "node");
	assert_string_equal(v->host, "host.1");
	assert_true(v->metric_sint64 == 1500000000);
	assert_true(v->has_ttl && v->ttl == 60);
	assert_null(v->state);
	assert_int_equal(v->n_tags, 1);
	assert_string_equal(v->tags[0], "heapster");
	assert_string_equal(attribute(v, "labels"), "arch:amd64,zone:a");
	assert_true(find(m, "cpu/node_utilization", "type", "node")->metric_d == 0.1);
	assert_true(find(m, "filesystem/usage", "resource_id", "Volume:data")->metric_sint64 == 7000);
	v = find(m, "custom/queue.len", "path", "/x y");
	assert_true(v->metric_d == -2.5);
	assert_string_equal(attribute(v, "app_io_x"), "e vil\"\\,=:|;.\n\\xff\xc3\xa4");
	v = find(m, "memory/usage", "type", "cluster");
	assert_null(v->host);
	riemann__msg__free_unpacked(m, NULL);
	export_close(&e);
}

static void test_riemann__options(void **state)
{
	struct exported e;
	Riemann__Msg *m;

	(void)state;
	export_open(&e, &cgm_export_riemann, "riemann:tcp://h?ttl=12.5&state=ok&tags=a&tags=b&batchsize=3");
	export_text(&e);
	m = unpack(e.out.p, e.out.len);
	assert_true(m->events[0]->ttl == 12.5);
	assert_string_equal(m->events[0]->state, "ok");
	assert_int_equal(m->events[0]->n_tags, 2);
	assert_string_equal(m->events[0]->tags[1], "b");
	riemann__msg__free_unpacked(m, NULL);
	export_close(&e);
	export_refused(&cgm_export_riemann, "riemann:h?ttl=long", "ttl");
	export_refused(&cgm_export_riemann, "riemann:h?ttl=-1", "ttl");
	export_refused(&cgm_export_riemann, "riemann:h?ttl=", "ttl");
	export_refused(&cgm_export_riemann, "riemann:h?batchsize=0", "batchsize");
	export_refused(&cgm_export_riemann, "riemann:udp://h", "udp://");
	export_refused(&cgm_export_riemann, "riemann:h?tag=x", "unknown option tag");
}

static void begin(struct export_server *server, struct exported *e, const char *options)
{
	char uri[256];

	export_server_start(server, EXPORT_MESSAGES);
	snprintf(uri, sizeof(uri), "riemann:http://127.0.0.1:%u%s", server->port, options);
	export_open(e, &cgm_export_riemann, uri);
	export_text(e);
}

static void end(struct export_server *server, struct exported *e)
{
	export_close(e);
	export_server_stop(server);
}

/* In messages of batchsize events; one is refused, after one connection broke, and none is sent twice but that in between. */
static void test_riemann__sends(void **state)
{
	struct export_server server;
	struct exported e;
	struct cgm_sink_attempt a;
	size_t nr = 0;

	(void)state;
	begin(&server, &e, "?batchsize=10");
	export_server_add(&server, (struct export_reaction){ .body = OK });
	export_server_add(&server, (struct export_reaction){ .how = EXPORT_CLOSE });
	export_server_add(&server, (struct export_reaction){ .body = NOT_OK, .len = 9 });
	export_server_add(&server, (struct export_reaction){ .body = OK });
	a = export_attempt(&e, true, 20000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_AGAIN);
	assert_non_null(strstr(a.fault, "127.0.0.1 port"));
	a = export_attempt(&e, false, 20000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, ALL - 10);
	assert_int_equal(a.loss, CGM_SINK_REJECTED);
	assert_string_equal(a.fault, "no no");
	a = export_attempt(&e, true, 20000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 0);
	assert_string_equal(a.fault, "");
	assert_int_equal(server.nr_requests, 5);
	assert_int_equal(server.nr_connections, 2);
	for (size_t i = 0; i < 5; i++) {
		Riemann__Msg *m = unpack(server.requests[i].body, server.requests[i].len);

		nr += m->n_events;
		assert_int_equal(m->n_events, i == 0 || i == 3 ? 10 : ALL - 10);
		riemann__msg__free_unpacked(m, NULL);
	}
	end(&server, &e);
}

static void test_riemann__bad_answers(void **state)
{
	static const struct {
		struct export_reaction reaction;
		const char *says;
	} cases[] = {
		{ { .how = EXPORT_RUBBISH }, "not Riemann's" },
		{ { .body = "\x08\x01" }, "not Riemann's" }, /* no word of ok */
		{ { .body = "\xff\xff" }, "not Riemann's" },
		{ { .body = "" }, "not Riemann's" },
		{ { .how = EXPORT_HALF, .body = OK OK }, "reset" },
		{ { .how = EXPORT_CLOSE }, "127.0.0.1" },
		{ { .how = EXPORT_RESET }, "127.0.0.1" },
		{ { .how = EXPORT_HANG }, "timed out" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct export_server server;
		struct exported e;
		struct cgm_sink_attempt a;

		begin(&server, &e, "");
		export_server_add(&server, cases[i].reaction);
		a = export_attempt(&e, true, cases[i].reaction.how == EXPORT_HANG ? 100 : 20000);
		if (e.exporter->send(e.state, &a) != CGM_SINK_AGAIN || a.nr_lost || !strcasestr(a.fault, cases[i].says))
			fail_msg("case %zu: %u lost, \"%s\"", i, (unsigned)a.nr_lost, a.fault);
		export_server_add(&server, (struct export_reaction){ .body = OK });
		pthread_mutex_lock(&server.lock);
		server.nr_reacted = server.nr_reactions - 1;
		pthread_mutex_unlock(&server.lock);
		a = export_attempt(&e, false, 20000); /* a new connection, and all is well */
		assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
		end(&server, &e);
	}
}

static void test_riemann__no_memory(void **state)
{
	(void)state;
	export_fail_each(&cgm_export_riemann, "riemann:h?tags=a&tags=b&state=x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_riemann__events),	     cmocka_unit_test(test_riemann__options),	cmocka_unit_test(test_riemann__sends),
		cmocka_unit_test(test_riemann__bad_answers), cmocka_unit_test(test_riemann__no_memory),
	};

	return cmocka_run_group_tests_name("export_riemann", tests, NULL, NULL);
}
