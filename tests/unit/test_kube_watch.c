// SPDX-License-Identifier: Apache-2.0
/* Lists and watches against a server that answers what a real one was recorded to say (tests/fixtures/kube), and what none should. */
#include "kube_fixture.h"
#include "kube_server.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "kube/split.h"
#include "kube/watch.h"

#define LIST "GET /api/v1/pods?limit=500"
#define WATCH "GET /api/v1/pods?watch=1"
#define ITEM(name, version) "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define PAGE(items, version, next) "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" next "\"},\"items\":[" items "]}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" ITEM(name, version) "}\n"

/* What was told: names as they came, "-" before one that went, "[" a list, "]" its end. */
struct seen {
	pthread_mutex_t lock;
	char text[4096];
	unsigned nr_states;
	struct kube_server server;
	struct cgm_kube *kube;
	struct cgm_kube_watch *watch;
	struct cgm_kube_watch_config config;
};

static void tell(struct seen *s, const char *prefix, const char *text)
{
	size_t len;

	pthread_mutex_lock(&s->lock);
	len = strlen(s->text);
	snprintf(s->text + len, sizeof(s->text) - len, "%s%s ", prefix, text);
	pthread_mutex_unlock(&s->lock);
}

static void on_object(void *arg, const json_t *object, bool deleted)
{
	tell(arg, deleted ? "-" : "", json_string_value(json_object_get(json_object_get(object, "metadata"), "name")));
}

static void on_list(void *arg)
{
	tell(arg, "", "[");
}

static void on_synced(void *arg)
{
	tell(arg, "", "]");
}

static void on_state(void *arg)
{
	struct seen *s = arg;

	__atomic_fetch_add(&s->nr_states, 1, __ATOMIC_RELAXED);
}

static bool is_seen(struct seen *s, const char *text)
{
	bool is;

	pthread_mutex_lock(&s->lock);
	is = strcmp(s->text, text) == 0;
	pthread_mutex_unlock(&s->lock);
	return is;
}

#define wait_seen(s, expected)                                                                            \
	do {                                                                                              \
		uint64_t _end = cgm_clock_mono_ns() + 10 * CGM_NSEC_PER_SEC;                              \
		while (!is_seen(s, expected)) {                                                           \
			if (cgm_clock_mono_ns() > _end)                                                   \
				fail_msg("seen \"%s\", not \"%s\"", (s)->text, expected);                 \
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);                        \
		}                                                                                         \
	} while (0)

static void begin(struct seen *s)
{
	struct cgm_kube_config c = { .service_account = "/nowhere" };
	char fault[CGM_KUBE_FAULT] = "";

	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	kube_start(&s->server);
	c.url = s->server.url;
	if (cgm_kube_open(&c, &s->kube, fault) < 0)
		fail_msg("%s", fault);
	s->config = (struct cgm_kube_watch_config){
		.path = "/api/v1/pods", .on_object = on_object, .on_list = on_list, .on_synced = on_synced, .on_state = on_state, .arg = s
	};
}

static void go(struct seen *s)
{
	assert_int_equal(cgm_kube_watch_new(s->kube, &s->config, &s->watch), 0);
}

static struct cgm_kube_watch_state state_of(struct seen *s)
{
	return cgm_kube_watch_state(s->watch);
}

static void end(struct seen *s)
{
	uint64_t before = cgm_clock_mono_ns();

	cgm_kube_watch_free(s->watch);
	if (cgm_clock_mono_ns() - before > 100 * CGM_NSEC_PER_MSEC)
		fail_msg("it took %llu ms to end", (unsigned long long)((cgm_clock_mono_ns() - before) / CGM_NSEC_PER_MSEC));
	cgm_kube_close(s->kube);
	kube_stop(&s->server);
	pthread_mutex_destroy(&s->lock);
}

static void serve(struct seen *s, const char *match, unsigned times, unsigned status, enum kube_how how, const char *body)
{
	kube_rule(&s->server, (struct kube_rule){ .match = match, .times = times, .status = status, .how = how, .body = body });
}

static void test_watch__recorded(void **state)
{
	_cleanup_free_ char *one = kube_file("pods-page-1.json"), *two = kube_file("pods-page-2.json"), *events = kube_file("watch.txt");
	struct seen s;

	(void)state;
	begin(&s);
	serve(&s, "&continue=", 1, 200, KUBE_WHOLE, two);
	serve(&s, LIST, 1, 200, KUBE_WHOLE, one);
	serve(&s, WATCH, 1, 200, KUBE_STREAM, events);
	go(&s);
	wait_seen(&s, "[ again other plain static-n1 waits ] plain late late again -again ");
	kube_wait(state_of(&s).last_event_ns);
	assert_int_equal(state_of(&s).nr_events, 5);
	assert_int_equal(state_of(&s).nr_objects_lost, 0);
	assert_true(state_of(&s).synced);
	assert_string_equal(state_of(&s).fault, "");
	/* It goes on after the bookmark, which is newer than the last change. */
	kube_end(&s.server, true);
	kube_wait(kube_nr_requests(&s.server, WATCH) == 2);
	assert_non_null(strstr(s.server.requests[0].line, LIST " "));
	assert_non_null(strstr(s.server.requests[1].line, LIST "&continue=eyJ2Ijoi"));
	assert_non_null(strstr(s.server.requests[2].line, "&allowWatchBookmarks=true&timeoutSeconds="));
	assert_non_null(strstr(s.server.requests[3].line, "&resourceVersion=212 "));
	assert_int_equal(state_of(&s).nr_lists, 1);
	end(&s);
}

static void test_watch__selectors(void **state)
{
	_cleanup_free_ char *list = kube_file("pods-node.json");
	struct seen s;

	(void)state;
	begin(&s);
	s.config.field_selector = "spec.nodeName=n1";
	s.config.label_selector = "a in (b, c)";
	s.config.cached = true;
	serve(&s, "GET /api/v1/pods?limit=500&fieldSelector=spec.nodeName%3Dn1&labelSelector=a%20in%20%28b%2C%20c%29&resourceVersion=0 ", 1, 200, KUBE_WHOLE, list);
	serve(&s, "&fieldSelector=spec.nodeName%3Dn1&labelSelector=a%20in%20%28b%2C%20c%29&resourceVersion=", 0, 200, KUBE_STREAM, "");
	go(&s);
	wait_seen(&s, "[ plain again static-n1 waits ] ");
	kube_wait(kube_has_stream(&s.server));
	end(&s);
}

/* From the last object that came before the cut, also when a line was cut. */
static void test_watch__resumes(void **state)
{
	struct seen s;

	(void)state;
	begin(&s);
	serve(&s, LIST, 0, 200, KUBE_WHOLE, PAGE("", "10", ""));
	serve(&s, WATCH, 0, 200, KUBE_STREAM, "");
	go(&s);
	kube_push(&s.server, EVENT("ADDED", "a", "11"));
	kube_push(&s.server, EVENT("MODIFIED", "a", "12") "{\"type\":\"MODI");
	wait_seen(&s, "[ ] a a ");
	kube_end(&s.server, false);
	kube_push(&s.server, EVENT("DELETED", "a", "13"));
	wait_seen(&s, "[ ] a a -a ");
	kube_wait(state_of(&s).synced);
	assert_int_equal(kube_nr_requests(&s.server, "&resourceVersion=12 "), 1);
	assert_int_equal(state_of(&s).nr_lists, 1);
	assert_int_equal(state_of(&s).nr_failed, 1);
	assert_true(s.nr_states >= 3); /* up, down, up */
	/* Byte after byte, as a network may deliver it. */
	for (const char *p = EVENT("ADDED", "\\\"}b{", "14"); *p; p++)
		kube_push(&s.server, (char[]){ *p, '\0' });
	wait_seen(&s, "[ ] a a -a \"}b{ ");
	end(&s);
}

static void test_watch__gone(void **state)
{
	_cleanup_free_ char *gone = kube_file("watch-gone.txt"), *status = kube_file("exact-gone.json");
	struct seen s;

	(void)state;
	begin(&s);
	serve(&s, LIST, 1, 200, KUBE_WHOLE, PAGE(ITEM("a", "1"), "10", ""));
	serve(&s, LIST, 1, 200, KUBE_WHOLE, PAGE(ITEM("b", "1"), "20", ""));
	serve(&s, LIST, 1, 200, KUBE_WHOLE, PAGE(ITEM("c", "1"), "30", ""));
	serve(&s, "&resourceVersion=10 ", 1, 200, KUBE_WHOLE, gone); /* told by an event */
	serve(&s, "&resourceVersion=20 ", 1, 410, KUBE_WHOLE, status); /* told at once */
	serve(&s, "&resourceVersion=30 ", 1, 200, KUBE_STREAM, "");
	go(&s);
	wait_seen(&s, "[ a ] [ b ] [ c ] ");
	kube_wait(kube_has_stream(&s.server));
	assert_int_equal(state_of(&s).nr_failed, 0); /* that is no fault */
	end(&s);
}

static void test_watch__error_event(void **state)
{
	struct seen s;

	(void)state;
	begin(&s);
	serve(&s, LIST, 0, 200, KUBE_WHOLE, PAGE("", "10", ""));
	serve(&s, WATCH, 1, 200, KUBE_STREAM, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"message\":\"etcd is away\",\"code\":500}}\n");
	serve(&s, WATCH, 0, 200, KUBE_STREAM, "");
	go(&s);
	kube_wait(*state_of(&s).fault && strstr(state_of(&s).fault, "500 Internal Server Error: etcd is away"));
	wait_seen(&s, "[ ] [ ] ");
	kube_wait(state_of(&s).synced);
	assert_string_equal(state_of(&s).fault, "");
	end(&s);
}

/* The pages' version is gone before the last one: the next list comes whole. */
static void test_list__pages_gone(void **state)
{
	_cleanup_free_ char *gone = kube_file("continue-gone.json");
	struct seen s;

	(void)state;
	begin(&s);
	serve(&s, "&continue=more", 1, 410, KUBE_WHOLE, gone);
	serve(&s, LIST, 1, 200, KUBE_WHOLE, PAGE(ITEM("a", "1"), "10", "more"));
	serve(&s, WATCH, 0, 200, KUBE_STREAM, "");
	serve(&s, "GET /api/v1/pods? ", 1, 200, KUBE_WHOLE, PAGE(ITEM("a", "1") "," ITEM("b", "2"), "20", ""));
	go(&s);
	wait_seen(&s, "[ a [ a b ] ");
	kube_wait(kube_has_stream(&s.server));
	end(&s);
}

/* A server whose memory does not reach our version yet: the next list comes from the store. */
static void test_list__too_new(void **state)
{
	_cleanup_free_ char *too_new = kube_file("too-new.json");
	struct seen s;

	(void)state;
	begin(&s);
	s.config.cached = true;
	serve(&s, "&resourceVersion=0 ", 1, 200, KUBE_WHOLE, PAGE("", "10", ""));
	serve(&s, "?watch=1", 1, 410, KUBE_WHOLE, "");
	serve(&s, "&resourceVersion=10&resourceVersionMatch=NotOlderThan ", 1, 504, KUBE_WHOLE, too_new);
	serve(&s, LIST " ", 1, 200, KUBE_WHOLE, PAGE("", "30", ""));
	serve(&s, "&resourceVersion=30 ", 0, 200, KUBE_STREAM, "");
	go(&s);
	wait_seen(&s, "[ ] [ [ ] ");
	kube_wait(kube_has_stream(&s.server));
	end(&s);
}

/* Lists that are none, cut, or of something else: told, and tried again. */
static void test_list__damaged(void **state)
{
	struct seen s;

	(void)state;
	begin(&s);
	serve(&s, LIST, 1, 200, KUBE_CUT, PAGE(ITEM("a", "1") "," ITEM("b", "1"), "10", ""));
	serve(&s, LIST, 1, 200, KUBE_WHOLE, "<html>");
	serve(&s, LIST, 1, 200, KUBE_WHOLE, PAGE("{\"metadata\":tru}," ITEM("c", "1"), "10", ""));
	serve(&s, WATCH, 0, 200, KUBE_STREAM, "");
	go(&s);
	kube_wait(state_of(&s).nr_lists == 3 && state_of(&s).synced);
	assert_non_null(strstr(s.text, "[ c ] "));
	assert_int_equal(state_of(&s).nr_failed, 2);
	assert_int_equal(state_of(&s).nr_objects_lost, 1);
	kube_push(&s.server, "{\"type\":\"SUNG\",\"object\":{}}\n{\"type\":\"ADDED\"}\n[]\n");
	kube_wait(state_of(&s).nr_objects_lost == 3);
	kube_wait(state_of(&s).nr_lists == 4); /* a list is no event */
	end(&s);
}

static void test_watch__refused(void **state)
{
	static const struct {
		unsigned status;
		const char *file, *headers, *fault;
	} cases[] = {
		{ 403, "forbidden.json", NULL, "403 Forbidden: pods is forbidden: User \"weak\" cannot list resource" },
		{ 401, "unauthorized.json", NULL, "401 Unauthorized: Unauthorized" },
		{ 429, NULL, "Retry-After: 7\r\n", "429 Too Many Requests" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *body = cases[i].file ? kube_file(cases[i].file) : NULL;
		struct seen s;

		begin(&s);
		kube_rule(&s.server, (struct kube_rule){ .match = "/", .status = cases[i].status, .headers = cases[i].headers, .body = body });
		go(&s);
		kube_wait(strstr(state_of(&s).fault, cases[i].fault));
		/* After the usual wait it would have been there again. */
		nanosleep(&(struct timespec){ .tv_nsec = 600000000 }, NULL);
		assert_int_equal(kube_nr_requests(&s.server, "/"), 1);
		assert_false(state_of(&s).synced);
		assert_string_equal(s.text, "[ ");
		end(&s);
	}
}

static void test_watch__backs_off(void **state)
{
	struct seen s;

	(void)state;
	begin(&s);
	serve(&s, LIST, 3, 500, KUBE_WHOLE, "");
	serve(&s, LIST, 0, 200, KUBE_WHOLE, PAGE("", "10", ""));
	serve(&s, WATCH, 0, 200, KUBE_STREAM, "");
	go(&s);
	nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	assert_in_range(kube_nr_requests(&s.server, LIST), 2, 3); /* 0.25 to 0.5 s, then 0.5 to 1 s */
	kube_wait(state_of(&s).synced);
	assert_int_equal(state_of(&s).nr_failed, 3);
	end(&s);
}

/* A watch that hears nothing is cut; one that is ended at once is no reason to hurry. */
static void test_watch__silence(void **state)
{
	struct seen s;

	(void)state;
	begin(&s);
	s.config.quiet_ns = 200 * CGM_NSEC_PER_MSEC;
	serve(&s, LIST, 0, 200, KUBE_WHOLE, PAGE("", "10", ""));
	serve(&s, WATCH, 1, 200, KUBE_STREAM, "");
	serve(&s, WATCH, 1, 200, KUBE_SILENT, "");
	serve(&s, WATCH, 1, 200, KUBE_WHOLE, "");
	serve(&s, WATCH, 0, 200, KUBE_STREAM, EVENT("ADDED", "a", "11"));
	go(&s);
	kube_wait(strstr(state_of(&s).fault, "no answer in time"));
	kube_wait(strstr(state_of(&s).fault, "ended a watch at once"));
	kube_wait(strncmp(s.text, "[ ] a ", 6) == 0);
	end(&s);
}

static void test_poll__lists_alone(void **state)
{
	struct seen s;

	(void)state;
	begin(&s);
	s.config.path = "/pods";
	s.config.poll_ns = 50 * CGM_NSEC_PER_MSEC;
	serve(&s, "GET /pods? ", 1, 200, KUBE_WHOLE, "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[" ITEM("a", "1") "]}");
	serve(&s, "GET /pods? ", 0, 200, KUBE_WHOLE, "{\"kind\":\"PodList\",\"metadata\":{},\"items\":null}");
	go(&s);
	kube_wait(state_of(&s).nr_lists >= 3);
	assert_int_equal(strncmp(s.text, "[ a ] [ ] [ ", 12), 0);
	assert_int_equal(state_of(&s).nr_failed, 0);
	end(&s);
}

static void test_alloc__each_fails(void **state)
{
	struct seen s;
	int nr_failed = 0;

	(void)state;
	begin(&s);
	serve(&s, LIST, 0, 200, KUBE_WHOLE, PAGE(ITEM("a", "1"), "10", ""));
	serve(&s, WATCH, 0, 200, KUBE_STREAM, "");
	for (unsigned long n = 1; n <= 40; n++) {
		int r;

		cgm_mem_fail_at(n);
		r = cgm_kube_watch_new(s.kube, &s.config, &s.watch);
		if (r == 0) {
			kube_wait(state_of(&s).synced || state_of(&s).nr_failed);
			nr_failed += state_of(&s).nr_failed > 0;
			cgm_kube_watch_free(s.watch);
		}
		cgm_mem_fail_at(0);
		s.watch = NULL;
	}
	assert_true(nr_failed > 5);
	end(&s);
}

static int on_part(void *arg, const char *json, size_t len)
{
	struct cgm_buf *b = arg;

	cgm_buf_printf(b, "%.*s|", (int)len, json);
	return 0;
}

static int split(bool list, const char *text, size_t max_bytes, char *ret, size_t size)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct cgm_kube_split s = { .list = list, .max_bytes = max_bytes, .on_object = on_part, .arg = &b };
	int r = cgm_kube_split_feed(&s, text, strlen(text));

	snprintf(ret, size, "%.*s%s%.*s", (int)b.len, b.p ? b.p : "", list ? " " : "", (int)s.envelope.len, s.envelope.p ? s.envelope.p : "");
	cgm_kube_split_done(&s);
	return r;
}

static void test_split__cases(void **state)
{
	static const struct {
		bool list;
		const char *text, *expected;
		int r;
	} cases[] = {
		{ false, "{\"a\":{\"b\":[1]}}\n {\"c\":\"}\\\"{\"}\r\n", "{\"a\":{\"b\":[1]}}|{\"c\":\"}\\\"{\"}|", 0 },
		{ false, "{}x", "{}|", -EINVAL },
		{ false, "{}}", "{}|", -EINVAL },
		{ false, "[]", "", -EINVAL },
		{ false, "\"{}\"", "", -EINVAL },
		{ true, "{\"kind\":\"items\",\"items\":[{\"items\":[{}]}, {\"b\":\"]\"}],\"z\":[{\"q\":1}]}", "{\"items\":[{}]}|{\"b\":\"]\"}| {\"kind\":\"items\",\"items\":[],\"z\":[{\"q\":1}]}", 0 },
		{ true, "{\"items\":[1]}", " {\"items\":[", -EINVAL },
		{ true, "{\"items\":[\"x\"]}", " {\"items\":[", -EINVAL },
		{ true, "{\"items\":[[{}]]}", " {\"items\":[", -EINVAL },
		{ true, "{\"itemsx\":[1],\"item\":[2],\"items\":null}", " {\"itemsx\":[1],\"item\":[2],\"items\":null}", 0 },
		{ true, "{\"metadata\":{\"items\":[{\"a\":1}]}}", " {\"metadata\":{\"items\":[{\"a\":1}]}}", 0 },
		{ false, "{\"a\":\"0123456789012345678901234567890123456789\"}", "", -EFBIG },
		{ true, "{\"a\":\"0123456789012345678901234567890123456789\"}", " {\"a\":\"012345678901234567890123456789012345", -EFBIG },
	};
	char got[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(split(cases[i].list, cases[i].text, i < 5 || i > 10 ? 42 : 100, got, sizeof(got)), cases[i].r);
		assert_string_equal(got, cases[i].expected);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split__cases),
		cmocka_unit_test(test_watch__recorded),
		cmocka_unit_test(test_watch__selectors),
		cmocka_unit_test(test_watch__resumes),
		cmocka_unit_test(test_watch__gone),
		cmocka_unit_test(test_watch__error_event),
		cmocka_unit_test(test_list__pages_gone),
		cmocka_unit_test(test_list__too_new),
		cmocka_unit_test(test_list__damaged),
		cmocka_unit_test(test_watch__refused),
		cmocka_unit_test(test_watch__backs_off),
		cmocka_unit_test(test_watch__silence),
		cmocka_unit_test(test_poll__lists_alone),
		cmocka_unit_test(test_alloc__each_fails),
	};

	cgm_log_set_level(CGM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
