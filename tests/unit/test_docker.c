// SPDX-License-Identifier: Apache-2.0
#include "docker_server.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "identity/json_docker.h"

#define SECOND CGM_NSEC_PER_SEC
#define LIST "/containers/json"

static const char *const inspects[] = { "running", "exited", "created", "health", "restarted", "sandbox", "pod", "paused" };

/* What a runtime answered when it was recorded. */
static void serve_recorded(struct mock *m, const char *runtime)
{
	mock_set(m, "/version", 200, HOW_WHOLE, docker_file(runtime, "version.json"));
	mock_set(m, LIST, 200, HOW_WHOLE, docker_file(runtime, "list.json"));
	for (size_t i = 0; i < ARRAY_SIZE(inspects); i++) {
		char name[64], path[160];
		struct cgm_who *who = NULL;
		struct cgm_buf b;

		snprintf(name, sizeof(name), "inspect-%s.json", inspects[i]);
		b = docker_file(runtime, name);
		assert_int_equal(cgm_docker_inspect(b.p, b.len, "docker", "", &who), 0);
		snprintf(path, sizeof(path), "/containers/%s/json", who->id);
		cgm_who_unref(who);
		mock_set(m, path, 200, HOW_WHOLE, b);
	}
}

/* A runtime of two containers, "a" and "b". */
static void serve_two(struct mock *m)
{
	mock_set(m, "/version", 200, HOW_WHOLE, mock_text("{\"Version\":\"1.2.3\"}"));
	mock_set(m, LIST, 200, HOW_WHOLE, mock_text("[{\"Id\":\"a\"},{\"Id\":\"b\"}]"));
	mock_set(m, "/containers/a/json", 200, HOW_WHOLE, mock_text("{\"Id\":\"a\",\"Name\":\"/one\"}"));
	mock_set(m, "/containers/b/json", 200, HOW_WHOLE, mock_text("{\"Id\":\"b\",\"Name\":\"/two\"}"));
}

static void push_event(struct mock *m, const char *action, const char *id)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\"}}\n", action, id);
	mock_push(m, text, strlen(text), strlen(text));
}

/* Ends a run that is to be alive still. */
static void end(struct mock *m, struct cgm_runtime *r)
{
	assert_int_equal(runtime_stop(r), 0);
	runtime_free(r);
	mock_stop(m);
}

static void test_run__recorded(void **state)
{
	static const char *const runtimes[] = { "docker", "podman" }, *const versions[] = { "20.10.24+dfsg1", "4.3.1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		_cleanup_(cgm_buf_done) struct cgm_buf events = docker_file(runtimes[i], "events");
		struct mock m;
		struct cgm_runtime *r;

		mock_start(&m);
		serve_recorded(&m, runtimes[i]);
		r = runtime_start(m.socket, runtimes[i], 5 * SECOND);
		mock_wait(runtime_nr(r, nr_listed) == 1);
		assert_string_equal(r->version, versions[i]);
		assert_int_equal(r->nr_learned_at_list, 8);
		assert_int_equal(r->nr_calls, 1 + 1 + 1 + 8);
		for (unsigned k = 0; k < 8; k++)
			assert_string_equal(r->learned[k]->runtime, runtimes[i]);
		/* The whole life of all of them, a byte at a time. */
		mock_push(&m, events.p, events.len, 1);
		mock_wait(runtime_nr(r, nr_forgotten) == 8);
		assert_int_equal(r->nr_failed, 0);
		assert_int_equal(r->nr_listed, 1);
		end(&m, r);
	}
}

static void test_run__nothing_there(void **state)
{
	struct mock m;
	struct cgm_runtime *r;

	(void)state;
	mock_start(&m);
	serve_two(&m);
	mock_set(&m, LIST, 200, HOW_WHOLE, mock_text("[]"));
	r = runtime_start(m.socket, "docker", 0);
	mock_wait(runtime_nr(r, nr_listed) == 1);
	assert_int_equal(r->nr_learned, 0);
	push_event(&m, "create", "a");
	mock_wait(runtime_nr(r, nr_learned) == 1);
	assert_string_equal(r->learned[0]->name, "one");
	push_event(&m, "exec_start: sh", "b");
	push_event(&m, "destroy", "a");
	mock_wait(runtime_nr(r, nr_forgotten) == 1);
	assert_string_equal(r->forgotten[0], "a");
	assert_int_equal(r->nr_learned, 1);
	end(&m, r);
}

static void test_run__wanted(void **state)
{
	struct mock m;
	struct cgm_runtime *r;

	(void)state;
	mock_start(&m);
	serve_two(&m);
	mock_set(&m, LIST, 200, HOW_WHOLE, mock_text("[]"));
	mock_set(&m, "/containers/one/json", 200, HOW_WHOLE, mock_text("{\"Id\":\"a\",\"Name\":\"/one\"}"));
	r = runtime_start(m.socket, "docker", 5 * SECOND);
	mock_wait(runtime_nr(r, nr_listed) == 1);
	runtime_want(r, "nobody"); /* 404 */
	runtime_want(r, "one"); /* a name, that is no id */
	runtime_want(r, "../version");
	runtime_want(r, "b");
	mock_wait(runtime_nr(r, nr_learned) == 1);
	assert_string_equal(r->learned[0]->name, "two");
	assert_int_equal(r->nr_failed, 0);
	assert_int_equal(r->nr_calls, 3 + 3);
	end(&m, r);
}

static void test_run__one_turn_for_many_events(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf events = { 0 };
	struct mock m;
	struct cgm_runtime *r;

	(void)state;
	mock_start(&m);
	serve_two(&m);
	r = runtime_start(m.socket, "docker", 5 * SECOND);
	mock_wait(runtime_nr(r, nr_listed) == 1);
	for (int i = 0; i < 100; i++)
		cgm_buf_printf(&events, "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"a\"}}\n");
	mock_push(&m, events.p, events.len, events.len);
	push_event(&m, "destroy", "b");
	mock_wait(runtime_nr(r, nr_forgotten) == 1);
	assert_in_range(mock_asked(&m, "/containers/a/json"), 2, 3);
	end(&m, r);
}

/* Each pair of events comes in two parts, cut at each of its bytes. */
static void test_run__events_cut_anywhere(void **state)
{
	struct mock m;
	struct cgm_runtime *r;
	unsigned nr = 0;

	(void)state;
	mock_start(&m);
	serve_two(&m);
	r = runtime_start(m.socket, "docker", 5 * SECOND);
	mock_wait(runtime_nr(r, nr_listed) == 1);
	for (size_t cut = 1;; cut++) {
		char text[256];
		size_t len = (size_t)snprintf(text, sizeof(text), "{\"Action\":\"destroy\",\"Actor\":{\"ID\":\"x%zu\"}}\n{\"Action\":\"destroy\",\"Actor\":{\"ID\":\"y%zu\"}}\n", cut, cut);

		if (cut >= len)
			break;
		mock_push(&m, text, cut, cut);
		if (cut % 8 == 0) /* that the parts are two reads, too */
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		mock_push(&m, text + cut, len - cut, len);
		nr += 2;
	}
	mock_wait(runtime_nr(r, nr_forgotten) == nr);
	for (unsigned i = 0; i < nr; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%c%u", i % 2 ? 'y' : 'x', i / 2 + 1);
		assert_string_equal(r->forgotten[i], id);
	}
	assert_int_equal(r->nr_failed, 0);
	end(&m, r);
}

static void test_run__bad_events_are_counted(void **state)
{
	static const char text[] = "{\"Action\":\n\n[]\n\xff\xfe\n{\"Action\":\"start\",\"Actor\":{\"ID\":7}}\n\r\n";
	struct mock m;
	struct cgm_runtime *r;

	(void)state;
	mock_start(&m);
	serve_two(&m);
	r = runtime_start(m.socket, "docker", 5 * SECOND);
	mock_wait(runtime_nr(r, nr_listed) == 1);
	mock_push(&m, text, sizeof(text) - 1, sizeof(text));
	push_event(&m, "start", "a");
	mock_wait(runtime_nr(r, nr_learned) == 3);
	assert_int_equal(r->nr_failed, 5);
	end(&m, r);
}

static void test_run__bad_containers_are_skipped(void **state)
{
	static const struct {
		const char *body;
		unsigned status;
		enum how how;
	} cases[] = {
		{ "{\"Id\":\"a\",", 200, HOW_WHOLE },
		{ "{\"Id\":\"a\",\"State\":7}", 200, HOW_WHOLE },
		{ "{\"message\":\"broken\"}", 500, HOW_WHOLE },
		{ "{\"Id\":\"a\",\"Name\":\"/one\"}", 200, HOW_CUT },
		{ "", 200, HOW_CLOSED },
		{ "", 200, HOW_SILENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mock m;
		struct cgm_runtime *r;

		mock_start(&m);
		serve_two(&m);
		mock_set(&m, "/containers/a/json", cases[i].status, cases[i].how, mock_text(cases[i].body));
		r = runtime_start(m.socket, "docker", SECOND / 5);
		mock_wait(runtime_nr(r, nr_listed) == 1);
		assert_int_equal(r->nr_learned_at_list, 1);
		assert_string_equal(r->learned[0]->name, "two");
		assert_int_equal(r->nr_failed, 1);
		end(&m, r);
	}
}

static void test_run__too_much_of_a_container(void **state)
{
	struct cgm_buf big = mock_text("{\"Id\":\"a\",\"Name\":\"");
	struct mock m;
	struct cgm_runtime *r;

	(void)state;
	assert_true(cgm_buf_reserve(&big, 4 << 20));
	memset(big.p + big.len, 'x', 4 << 20);
	big.len += 4 << 20;
	cgm_buf_lit(&big, "\"}");
	mock_start(&m);
	serve_two(&m);
	mock_set(&m, "/containers/a/json", 200, HOW_WHOLE, big);
	r = runtime_start(m.socket, "docker", 5 * SECOND);
	mock_wait(runtime_nr(r, nr_listed) == 1);
	assert_int_equal(r->nr_learned, 1);
	assert_int_equal(r->nr_failed, 1);
	assert_non_null(strstr(r->fault, "more than 4194304 bytes"));
	end(&m, r);
}

/* Runs that end by themselves. text: in the fault, behind the socket's name. */
static void ends(struct mock *m, uint64_t timeout_ns, int error, const char *text)
{
	struct cgm_runtime *r = runtime_start(m->socket, "docker", timeout_ns);
	int e = runtime_join(r);

	if (e != error || strncmp(r->fault, m->socket, strlen(m->socket)) != 0 || !strstr(r->fault, text))
		fail_msg("%s: %d, %s", text, e, r->fault);
	runtime_free(r);
}

static void test_run__faults(void **state)
{
	static const struct {
		const char *path;
		unsigned status;
		enum how how;
		const char *body;
		int error;
		const char *text;
	} cases[] = {
		{ "/version", 500, HOW_WHOLE, "{}", -EPROTO, "GET /version: status 500" },
		{ "/version", 404, HOW_WHOLE, "", -EPROTO, "GET /version: status 404" },
		{ "/version", 200, HOW_WHOLE, "<html>", -EPROTO, "GET /version: not what this API answers" },
		{ "/version", 200, HOW_SILENT, "", -ETIMEDOUT, "GET /version: no answer in time" },
		{ "/version", 200, HOW_CUT, "{\"Version\":\"1\"}", -ECONNABORTED, "GET /version: " },
		{ "/version", 200, HOW_CLOSED, "", -ECONNABORTED, "GET /version: " },
		{ "/events", 400, HOW_WHOLE, "{\"message\":\"no\"}\n", -EPROTO, "GET /events: status 400" },
		{ "/events", 200, HOW_SILENT, "", -ETIMEDOUT, "GET /events: no answer in time" },
		{ "/events", 200, HOW_CLOSED, "", -ECONNABORTED, "GET /events" },
		{ "/events", 200, HOW_WHOLE, "", -ECONNRESET, "the stream of events has ended" },
		{ LIST, 500, HOW_WHOLE, "{}", -EPROTO, "GET /containers/json?all=true: status 500" },
		{ LIST, 200, HOW_WHOLE, "{}", -EPROTO, "GET /containers/json?all=true: not what this API answers" },
		{ LIST, 200, HOW_CUT, "[{\"Id\":\"a\"}]", -ECONNABORTED, "GET /containers/json?all=true: " },
		{ LIST, 200, HOW_SILENT, "", -ETIMEDOUT, "GET /containers/json?all=true: no answer in time" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mock m;

		mock_start(&m);
		serve_two(&m);
		mock_set(&m, cases[i].path, cases[i].status, cases[i].how, mock_text(cases[i].body));
		ends(&m, SECOND / 5, cases[i].error, cases[i].text);
		mock_stop(&m);
	}
}

static void test_run__no_socket(void **state)
{
	struct mock m;

	(void)state;
	mock_start(&m);
	unlink(m.socket);
	ends(&m, SECOND, -ENOENT, "No such file or directory");
	mock_stop(&m);
}

static void test_run__too_long_a_list(void **state)
{
	struct cgm_buf big = mock_text("[");
	struct mock m;

	(void)state;
	assert_true(cgm_buf_reserve(&big, 65 << 20));
	memset(big.p + big.len, ' ', 65 << 20);
	big.len += 65 << 20;
	mock_start(&m);
	serve_two(&m);
	mock_set(&m, LIST, 200, HOW_WHOLE, big);
	ends(&m, 10 * SECOND, -EMSGSIZE, "an answer of more than 67108864 bytes");
	mock_stop(&m);
}

static void test_run__too_long_an_event(void **state)
{
	_cleanup_free_ char *text = malloc(2 << 20);
	struct mock m;
	struct cgm_runtime *r;

	(void)state;
	memset(text, ' ', 2 << 20);
	mock_start(&m);
	serve_two(&m);
	r = runtime_start(m.socket, "docker", 5 * SECOND);
	mock_wait(runtime_nr(r, nr_listed) == 1);
	mock_push(&m, text, 2 << 20, 65536);
	assert_int_equal(runtime_join(r), -EMSGSIZE);
	assert_non_null(strstr(r->fault, "an event of more than"));
	runtime_free(r);
	mock_stop(&m);
}

static void test_run__stream_cut(void **state)
{
	struct mock m;
	struct cgm_runtime *r;

	(void)state;
	mock_start(&m);
	serve_two(&m);
	r = runtime_start(m.socket, "docker", 5 * SECOND);
	mock_wait(runtime_nr(r, nr_listed) == 1);
	mock_push(&m, "{\"Action\":", 10, 10);
	mock_cut_stream(&m);
	assert_int_equal(runtime_join(r), -ECONNRESET);
	assert_non_null(strstr(r->fault, m.socket));
	assert_non_null(strstr(r->fault, "the stream of events has ended"));
	runtime_free(r);
	mock_stop(&m);
}

/* A runtime that answers for no container any more is none. */
static void test_run__all_silent(void **state)
{
	struct mock m;

	(void)state;
	mock_start(&m);
	serve_two(&m);
	mock_set(&m, LIST, 200, HOW_WHOLE, mock_text("[{\"Id\":\"a\"},{\"Id\":\"b\"},{\"Id\":\"c\"},{\"Id\":\"d\"}]"));
	for (char id = 'a'; id <= 'd'; id++) {
		char path[32];

		snprintf(path, sizeof(path), "/containers/%c/json", id);
		mock_set(&m, path, 200, HOW_SILENT, (struct cgm_buf){ 0 });
	}
	ends(&m, SECOND / 10, -ETIMEDOUT, "GET /containers/c/json: no answer in time");
	mock_stop(&m);
}

static void test_run__stops_promptly(void **state)
{
	static const char *const silent[] = { NULL, "/version", "/events", LIST, "/containers/a/json" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		struct mock m;
		struct cgm_runtime *r;
		uint64_t began_ns;

		mock_start(&m);
		serve_two(&m);
		if (silent[i])
			mock_set(&m, silent[i], 200, HOW_SILENT, (struct cgm_buf){ 0 });
		r = runtime_start(m.socket, "docker", 60 * SECOND);
		mock_wait(silent[i] ? mock_asked(&m, silent[i]) : runtime_nr(r, nr_listed));
		began_ns = cgm_clock_mono_ns();
		assert_int_equal(runtime_stop(r), 0);
		assert_in_range(cgm_clock_mono_ns() - began_ns, 0, SECOND);
		runtime_free(r);
		mock_stop(&m);
	}
}

/* Who waits for an answer hears of events and of ids that are wanted, and does not spin. */
static void test_run__busy_while_waiting(void **state)
{
	struct mock m;
	struct cgm_runtime *r;

	(void)state;
	mock_start(&m);
	serve_two(&m);
	mock_set(&m, "/containers/a/json", 200, HOW_SILENT, (struct cgm_buf){ 0 });
	r = runtime_start(m.socket, "docker", SECOND / 2);
	mock_wait(mock_asked(&m, "/containers/a/json"));
	push_event(&m, "destroy", "a");
	runtime_want(r, "b");
	mock_wait(runtime_nr(r, nr_told) == 1);
	mock_wait(runtime_nr(r, nr_forgotten) == 1);
	assert_int_equal(r->nr_listed, 1);
	assert_int_equal(mock_asked(&m, "/containers/b/json"), 1); /* it was to be asked for already */
	end(&m, r);
}

static void test_run__out_of_memory(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct mock m;
		struct cgm_runtime *r;
		unsigned long made;

		mock_start(&m);
		serve_two(&m);
		cgm_mem_fail_at(n);
		r = runtime_start(m.socket, "docker", SECOND / 5); /* the server may be the one without memory */
		mock_wait(runtime_nr(r, over) || runtime_nr(r, nr_listed));
		made = cgm_mem_fail_at(0);
		assert_true(runtime_stop(r) == 0 || r->fault[0]);
		if (made < n)
			assert_int_equal(r->nr_learned, 2);
		runtime_free(r);
		mock_stop(&m);
		if (made < n)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run__recorded),
		cmocka_unit_test(test_run__nothing_there),
		cmocka_unit_test(test_run__wanted),
		cmocka_unit_test(test_run__one_turn_for_many_events),
		cmocka_unit_test(test_run__events_cut_anywhere),
		cmocka_unit_test(test_run__bad_events_are_counted),
		cmocka_unit_test(test_run__bad_containers_are_skipped),
		cmocka_unit_test(test_run__too_much_of_a_container),
		cmocka_unit_test(test_run__faults),
		cmocka_unit_test(test_run__no_socket),
		cmocka_unit_test(test_run__too_long_a_list),
		cmocka_unit_test(test_run__too_long_an_event),
		cmocka_unit_test(test_run__stream_cut),
		cmocka_unit_test(test_run__all_silent),
		cmocka_unit_test(test_run__stops_promptly),
		cmocka_unit_test(test_run__busy_while_waiting),
		cmocka_unit_test(test_run__out_of_memory),
	};

	return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}
