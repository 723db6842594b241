// SPDX-License-Identifier: Apache-2.0
/* Whole runs of the driver against a scripted server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "identity/runtime.h"
#include "unit/cri_fixture.h"
#include "unit/grpc_server.h"

struct cgm_runtime {
	struct cgm_runtime_config config;
	int wake_fd;
	bool stop; /* atomic, as the counts */
	const char *wanted;
	struct cgm_who *learned[32];
	size_t nr_learned, nr_forgotten, nr_listed, nr_calls, nr_failed;
	char version[64], fault[CGM_RUNTIME_FAULT], forgotten[200];
	uint64_t image_bytes, image_inodes;
	int result;
	pthread_t thread;
};

const struct cgm_runtime_config *cgm_runtime_config(const struct cgm_runtime *r)
{
	return &r->config;
}

int cgm_runtime_wake_fd(const struct cgm_runtime *r)
{
	return r->wake_fd;
}

bool cgm_runtime_stopping(const struct cgm_runtime *r)
{
	return __atomic_load_n(&r->stop, __ATOMIC_RELAXED);
}

void cgm_runtime_connected(struct cgm_runtime *r, const char *version)
{
	snprintf(r->version, sizeof(r->version), "%s", version);
}

void cgm_runtime_learn(struct cgm_runtime *r, struct cgm_who *who)
{
	assert_true(r->nr_learned < ARRAY_SIZE(r->learned));
	r->learned[r->nr_learned] = who;
	__atomic_store_n(&r->nr_learned, r->nr_learned + 1, __ATOMIC_RELEASE);
}

void cgm_runtime_forget_in(struct cgm_runtime *r, const char *namespace, const char *id)
{
	snprintf(r->forgotten, sizeof(r->forgotten), "%s/%s", namespace ? namespace : "", id);
	__atomic_store_n(&r->nr_forgotten, r->nr_forgotten + 1, __ATOMIC_RELEASE);
}

void cgm_runtime_forget(struct cgm_runtime *r, const char *id)
{
	cgm_runtime_forget_in(r, NULL, id);
}

void cgm_runtime_listed(struct cgm_runtime *r)
{
	__atomic_store_n(&r->nr_listed, r->nr_listed + 1, __ATOMIC_RELEASE);
}

bool cgm_runtime_next_wanted(struct cgm_runtime *r, char id[CGM_MAX_ID])
{
	const char *wanted = __atomic_exchange_n(&r->wanted, NULL, __ATOMIC_ACQUIRE);
	eventfd_t value;

	(void)eventfd_read(r->wake_fd, &value);
	if (wanted)
		snprintf(id, CGM_MAX_ID, "%s", wanted);
	return wanted != NULL;
}

void cgm_runtime_images(struct cgm_runtime *r, uint64_t used_bytes, uint64_t used_inodes)
{
	r->image_bytes = used_bytes;
	r->image_inodes = used_inodes;
}

void cgm_runtime_count_call(struct cgm_runtime *r, bool failed)
{
	r->nr_calls++;
	__atomic_store_n(&r->nr_failed, r->nr_failed + failed, __ATOMIC_RELEASE);
}

static void *run_thread(void *arg)
{
	struct cgm_runtime *r = arg;

	r->result = cgm_cri_driver.run(r, r->fault);
	return NULL;
}

static void run_start(struct cgm_runtime *r, const struct grpc_server *s, const char *name)
{
	*r = (struct cgm_runtime){
		.config = { .name = name, .socket = s->path, .env_whitelist = "SHOP_", .containerd_namespace = "k8s.io", .timeout_ns = 5 * CGM_NSEC_PER_SEC },
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	assert_int_equal(pthread_create(&r->thread, NULL, run_thread, r), 0);
}

static void wake(struct cgm_runtime *r, const char *wanted, bool stop)
{
	__atomic_store_n(&r->wanted, wanted, __ATOMIC_RELEASE);
	__atomic_store_n(&r->stop, stop, __ATOMIC_RELAXED);
	assert_int_equal(eventfd_write(r->wake_fd, 1), 0);
}

static void run_done(struct cgm_runtime *r)
{
	pthread_join(r->thread, NULL);
	for (size_t i = 0; i < r->nr_learned; i++)
		cgm_who_unref(r->learned[i]);
	close(r->wake_fd);
}

/* For at most 10 s. */
#define WAIT_FOR(condition)                                                        \
	do {                                                                       \
		uint64_t _end = cgm_clock_mono_ns() + 10 * CGM_NSEC_PER_SEC;       \
		while (!(condition)) {                                             \
			if (cgm_clock_mono_ns() > _end)                            \
				fail_msg("not within 10 s: %s", #condition);       \
			usleep(5000);                                              \
		}                                                                  \
	} while (0)

/* The request's field 1 begins with that text. */
static void assert_asked(const struct grpc_server *s, size_t n, const char *id)
{
	const struct cgm_buf *b = &s->requests[n];

	assert_true(b->len > 5 + 2 + strlen(id) - 1);
	assert_memory_equal(b->p + 7, id, strlen(id));
}

static const char *const script_names[] = {
	"version",	  "sandboxes",	    "sandbox_status", "containers",  "container_status", "container_status_exited",
	"own_namespaces", "own_containers", "own_tasks",      "own_version", "own_k8s", "images",
};
static struct cgm_str texts[ARRAY_SIZE(script_names)];

static struct grpc_answer say(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(script_names); i++)
		if (strcmp(name, script_names[i]) == 0)
			return (struct grpc_answer){ .message = texts[i] };
	fail();
	return (struct grpc_answer){ 0 };
}

static const struct grpc_answer no_stream = { .manner = GRPC_NO_STREAM, .status = 12 };

static int load_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		texts[i] = recorded(script_names[i]);
	return 0;
}

static int release_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		release(texts[i]);
	return 0;
}

/* An old containerd (v1alpha2): all that there is; an id that it does not know yet; one that is created, and runs a moment later; its end. */
static void test_run__containerd(void **state)
{
	static const struct grpc_answer unimplemented = { .manner = GRPC_TRAILERS_ONLY, .status = 12 }, not_found = { .status = 5 };
	static const struct cgm_str created = CGM_STR("\x0a\x04\x0a\x02xy");
	const struct grpc_answer script[] = {
		unimplemented, say("version"), /* no events */ no_stream, say("sandboxes"), say("sandbox_status"), say("containers"), say("container_status"), say("container_status_exited"),
		say("own_namespaces"), say("own_containers"), say("own_tasks"), /* the CRI's own are not told of twice */ say("own_k8s"), { .message = { "", 0 } }, say("images"),
		/* wanted */ not_found, not_found, say("own_namespaces"), not_found, say("own_k8s"),
		/* wanted */ { .message = created }, /* again */ say("container_status"),
	};
	struct grpc_server s;
	struct cgm_runtime r;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	run_start(&r, &s, "containerd");
	WAIT_FOR(__atomic_load_n(&r.nr_listed, __ATOMIC_ACQUIRE));
	assert_string_equal(r.version, "1.6.20~ds1");
	assert_int_equal(r.nr_learned, 4);
	assert_true(r.learned[0]->is_sandbox);
	assert_string_equal(r.learned[1]->id, FRONT);
	assert_int_equal(r.learned[1]->pid, 4058);
	assert_int_equal(r.learned[1]->nr_envs, 1);
	assert_string_equal(r.learned[1]->runtime, "containerd");
	assert_int_equal(r.learned[2]->exit_code, 137);
	assert_string_equal(r.learned[3]->id, "plain1");
	assert_string_equal(r.learned[3]->namespace, "cgmtest");
	assert_int_equal(r.learned[3]->pid, 4160);
	wake(&r, FRONT, false);
	WAIT_FOR(__atomic_load_n(&s.nr_calls, __ATOMIC_ACQUIRE) == 19);
	usleep(200000); /* it is not for the driver to ask again */
	wake(&r, "xy", false);
	WAIT_FOR(__atomic_load_n(&r.nr_learned, __ATOMIC_ACQUIRE) == 6);
	assert_int_equal(r.learned[4]->state, CGM_STATE_CREATED);
	assert_int_equal(r.learned[5]->state, CGM_STATE_RUNNING);
	assert_asked(&s, 4, SANDBOX);
	assert_asked(&s, 6, FRONT);
	assert_asked(&s, 14, FRONT);
	assert_asked(&s, 18, FRONT);
	assert_asked(&s, 19, "xy");
	assert_asked(&s, 20, "xy");
	assert_int_equal(r.image_bytes, 1982464);
	assert_int_equal(r.image_inodes, 277);
	grpc_end(&s);
	run_done(&r);
	assert_int_equal(r.result, -ECONNRESET);
	assert_non_null(strstr(r.fault, "closed the connection"));
	assert_int_equal(r.nr_calls, ARRAY_SIZE(script));
	assert_int_equal(r.nr_failed, 0);
	assert_int_equal(r.nr_forgotten, 0);
	grpc_stop(&s);
}

/* docker's package of containerd: all namespaces by its own API, but docker's. */
static void test_run__no_cri(void **state)
{
	static const struct grpc_answer unimplemented = { .manner = GRPC_TRAILERS_ONLY, .status = 12 };
	static const struct cgm_str namespaces = CGM_STR("\x0a\x06\x0a\x04moby\x0a\x08\x0a\x06k8s.io\x0a\x05\x0a\x03\x61\r\n");
	const struct grpc_answer script[] = {
		unimplemented, unimplemented, say("own_version"), no_stream, { .message = namespaces }, say("own_k8s"), { .message = { "", 0 } },
	};
	struct grpc_server s;
	struct cgm_runtime r;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	run_start(&r, &s, "containerd");
	WAIT_FOR(__atomic_load_n(&r.nr_listed, __ATOMIC_ACQUIRE));
	assert_int_equal(r.nr_learned, 3);
	assert_string_equal(r.learned[0]->pod, "web-0");
	assert_int_equal(r.learned[0]->state, CGM_STATE_CREATED);
	wake(&r, NULL, true);
	run_done(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.nr_calls, ARRAY_SIZE(script));
	grpc_stop(&s);
}

/* CRI-O has no other API; a container that went between list and question is no fault; asked to stop, it does so at once. */
static void test_run__crio(void **state)
{
	static const struct cgm_str version = CGM_STR("\x12\x05"
						      "cri-o\x1a\x06"
						      "1.30.1");
	const struct grpc_answer script[] = {
		{ .message = version }, /* no events */ no_stream, { .message = { "", 0 } }, say("containers"), { .status = 5 }, say("container_status_exited"), { .manner = GRPC_SILENT },
	};
	struct grpc_server s;
	struct cgm_runtime r;
	uint64_t began;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	run_start(&r, &s, "crio");
	WAIT_FOR(__atomic_load_n(&r.nr_listed, __ATOMIC_ACQUIRE));
	assert_int_equal(r.nr_learned, 1);
	assert_string_equal(r.learned[0]->runtime, "crio");
	assert_string_equal(r.version, "1.30.1");
	wake(&r, "a-name", false);
	WAIT_FOR(__atomic_load_n(&s.nr_calls, __ATOMIC_ACQUIRE) == ARRAY_SIZE(script));
	began = cgm_clock_mono_ns();
	wake(&r, NULL, true);
	run_done(&r);
	assert_true(cgm_clock_mono_ns() - began < CGM_NSEC_PER_SEC);
	assert_int_equal(r.result, 0);
	grpc_stop(&s);
}

/* Bytes of a ContainerEventResponse: of that container (a literal of one letter), type. */
#define CRI_EVENT(id, type) CGM_STR("\x0a\x01" id "\x10" type)

static const struct cgm_str crio_version = CGM_STR("\x12\x05"
						   "cri-o\x1a\x06"
						   "1.30.1");
/* Of containers "a" that runs, and "b" that has ended; ContainerStatusResponse. */
static const struct cgm_str a_runs = CGM_STR("\x0a\x05\x0a\x01\x61\x18\x01"), b_ended = CGM_STR("\x0a\x05\x0a\x01\x62\x18\x02"), a_ended = CGM_STR("\x0a\x05\x0a\x01\x61\x18\x02");

/* CRI-O tells: of a start, an end that its status shows only when it is asked again, and a removal; then of nothing that we know. */
static void test_run__events(void **state)
{
	const struct grpc_answer script[] = {
		{ .message = crio_version }, { .manner = GRPC_STREAM }, { .message = { "", 0 } }, { .message = { "", 0 } },
		/* started */ { .message = a_runs }, /* stopped */ { .message = a_runs }, { .message = a_ended }, /* created */ { .message = b_ended },
	};
	struct grpc_server s;
	struct cgm_runtime r;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	run_start(&r, &s, "crio");
	WAIT_FOR(__atomic_load_n(&r.nr_listed, __ATOMIC_ACQUIRE));
	grpc_push_message(&s, CRI_EVENT("a", "\x01"));
	WAIT_FOR(__atomic_load_n(&r.nr_learned, __ATOMIC_ACQUIRE) == 1);
	assert_int_equal(r.learned[0]->state, CGM_STATE_RUNNING);
	grpc_push_message(&s, CRI_EVENT("a", "\x02"));
	WAIT_FOR(__atomic_load_n(&r.nr_learned, __ATOMIC_ACQUIRE) == 3);
	assert_int_equal(r.learned[2]->state, CGM_STATE_EXITED);
	grpc_push_message(&s, CRI_EVENT("a", "\x03"));
	WAIT_FOR(__atomic_load_n(&r.nr_forgotten, __ATOMIC_ACQUIRE) == 1);
	assert_string_equal(r.forgotten, "/a");
	grpc_push_message(&s, CRI_EVENT("z", "\x03")); /* nobody's */
	grpc_push_message(&s, (struct cgm_str){ "\x0a\x09z", 3 }); /* damaged: counted, and what follows is read */
	grpc_push_message(&s, (struct cgm_str){ "", 0 });
	grpc_push_message(&s, CRI_EVENT("b", "\x00"));
	WAIT_FOR(__atomic_load_n(&r.nr_learned, __ATOMIC_ACQUIRE) == 4);
	assert_int_equal(r.nr_failed, 1);
	wake(&r, NULL, true);
	run_done(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.nr_forgotten, 1);
	assert_int_equal(s.nr_calls, ARRAY_SIZE(script));
	assert_int_equal(s.requests[1].len, 5); /* GetEventsRequest has no field */
	assert_asked(&s, 4, "a");
	assert_asked(&s, 7, "b");
	grpc_stop(&s);
}

/* However it ends, all is listed and the stream is opened again. */
static void test_run__events_end(void **state)
{
	static const struct grpc_answer fine = { .status = 0 }, unavailable = { .status = 14 };
	static const struct {
		const char *bytes; /* of which the stream dies; NULL: it is ended, with these trailers or none */
		size_t len;
		const struct grpc_answer *trailers;
	} cases[] = {
		{ NULL, 0, &fine },
		{ NULL, 0, &unavailable },
		{ NULL, 0, NULL },
		{ "\0\0\0\0\x09\x0a\x01", 7, NULL }, /* cut within a message; the connection ends below */
		{ "\1\0\0\0\0", 5, NULL }, /* compressed */
		{ "\0\x7f\0\0\0", 5, NULL }, /* 2 GB */
	};
	const struct grpc_answer script[] = {
		{ .message = crio_version }, { .manner = GRPC_STREAM }, { .message = { "", 0 } }, { .message = { "", 0 } },
		/* again */ { .message = { "", 0 } }, { .message = { "", 0 } }, { .manner = GRPC_STREAM }, { .message = { "", 0 } }, { .message = { "", 0 } },
		/* an event */ { .message = a_runs },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct grpc_server s;
		struct cgm_runtime r;

		grpc_start(&s, script, ARRAY_SIZE(script));
		run_start(&r, &s, "crio");
		WAIT_FOR(__atomic_load_n(&r.nr_listed, __ATOMIC_ACQUIRE));
		if (cases[i].bytes)
			grpc_push(&s, cases[i].bytes, cases[i].len, 1);
		if (i <= 3)
			grpc_end_stream(&s, cases[i].trailers);
		WAIT_FOR(__atomic_load_n(&s.nr_calls, __ATOMIC_ACQUIRE) == 9);
		assert_int_equal(r.nr_failed, 1);
		grpc_push_message(&s, CRI_EVENT("a", "\x01"));
		WAIT_FOR(__atomic_load_n(&r.nr_learned, __ATOMIC_ACQUIRE) == 1);
		wake(&r, NULL, true);
		run_done(&r);
		assert_int_equal(r.result, 0);
		grpc_stop(&s);
	}
}

/* containerd's own: of all namespaces; two containers of one id; docker's are not its driver's. */
static void test_run__own_events(void **state)
{
	static const struct grpc_answer unimplemented = { .manner = GRPC_TRAILERS_ONLY, .status = 12 };
	/* Container "a"; a task of it, that is paused (4). */
	static const struct cgm_str container = CGM_STR("\x0a\x03\x0a\x01\x61"), paused = CGM_STR("\x0a\x07\x12\x01\x61\x18\x07\x20\x04");
	/* Envelopes: namespace, topic, Any. */
	static const struct cgm_str paused_in_x = CGM_STR("\x12\x01x\x1a\x0d/tasks/paused\x22\x05\x12\x03\x0a\x01\x61");
	static const struct cgm_str paused_in_y = CGM_STR("\x12\x01y\x1a\x0d/tasks/paused\x22\x05\x12\x03\x0a\x01\x61");
	static const struct cgm_str paused_in_moby = CGM_STR("\x12\x04moby\x1a\x0d/tasks/paused\x22\x05\x12\x03\x0a\x01\x61");
	static const struct cgm_str deleted_in_x = CGM_STR("\x12\x01x\x1a\x12/containers/delete\x22\x05\x12\x03\x0a\x01\x61");
	const struct grpc_answer script[] = {
		unimplemented, unimplemented, say("own_version"), { .manner = GRPC_STREAM }, /* namespaces */ { .message = { "", 0 } },
		{ .message = container }, { .message = paused }, { .message = container }, { .message = paused },
	};
	struct grpc_server s;
	struct cgm_runtime r;

	(void)state;
	grpc_start(&s, script, ARRAY_SIZE(script));
	run_start(&r, &s, "containerd");
	WAIT_FOR(__atomic_load_n(&r.nr_listed, __ATOMIC_ACQUIRE));
	assert_asked(&s, 3, "topic==\"/tasks/start\",namespace!=moby");
	grpc_push_message(&s, paused_in_moby);
	grpc_push_message(&s, paused_in_x);
	WAIT_FOR(__atomic_load_n(&r.nr_learned, __ATOMIC_ACQUIRE) == 1);
	grpc_push_message(&s, paused_in_y);
	WAIT_FOR(__atomic_load_n(&r.nr_learned, __ATOMIC_ACQUIRE) == 2);
	assert_string_equal(r.learned[0]->namespace, "x");
	assert_string_equal(r.learned[1]->namespace, "y");
	assert_int_equal(r.learned[1]->state, CGM_STATE_PAUSED);
	grpc_push_message(&s, deleted_in_x);
	WAIT_FOR(__atomic_load_n(&r.nr_forgotten, __ATOMIC_ACQUIRE) == 1);
	assert_string_equal(r.forgotten, "x/a");
	wake(&r, NULL, true);
	run_done(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.nr_failed, 0);
	assert_int_equal(s.nr_calls, ARRAY_SIZE(script));
	grpc_stop(&s);
}

/* More changes at once than there is room for: all is listed instead. */
static void test_run__too_many_events(void **state)
{
	static struct grpc_answer script[40] = { [1] = { .manner = GRPC_STREAM } };
	_cleanup_(cgm_buf_done) struct cgm_buf many = { 0 };
	struct grpc_server s;
	struct cgm_runtime r;

	(void)state;
	script[0].message = crio_version;
	for (size_t i = 2; i < ARRAY_SIZE(script); i++)
		script[i] = (struct grpc_answer){ .status = i < 4 || i >= 36 ? 0 : 5 };
	for (unsigned i = 0; i < 4000; i++) {
		cgm_buf_put(&many, "\0\0\0\0\x08\x0a\x04", 7);
		cgm_buf_printf(&many, "%04u", i);
		cgm_buf_put(&many, "\x10\x03", 2); /* deleted: nothing is to be asked */
	}
	grpc_start(&s, script, ARRAY_SIZE(script));
	run_start(&r, &s, "crio");
	WAIT_FOR(__atomic_load_n(&r.nr_listed, __ATOMIC_ACQUIRE));
	grpc_push(&s, many.p, many.len, 16384);
	WAIT_FOR(__atomic_load_n(&s.nr_calls, __ATOMIC_ACQUIRE) >= 5);
	wake(&r, NULL, true);
	run_done(&r);
	grpc_stop(&s);
}

static void test_run__faults(void **state)
{
	const struct {
		struct grpc_answer answers[3];
		size_t nr;
		int r;
		const char *text;
	} cases[] = {
		{ { { .status = 2, .text = "server is not initialized yet" } }, 1, -EREMOTEIO, "Version: status 2 (unknown): server is not initialized yet" },
		{ { { .message = CGM_STR("\x12\xff") } }, 1, -EPROTO, "Version: a message that is damaged" },
		{ { say("version"), no_stream, { .status = 13 } }, 3, -EREMOTEIO, "ListPodSandbox: status 13 (internal)" },
		{ { say("version"), no_stream, { .message = CGM_STR("\x0a\x03\x0a\x09x") } }, 3, -EPROTO, "ListPodSandbox: a message that is damaged" },
		{ { say("version"), no_stream, { .manner = GRPC_CUT } }, 3, -ECONNABORTED, "ListPodSandbox: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct grpc_server s;
		struct cgm_runtime r;

		grpc_start(&s, cases[i].answers, cases[i].nr);
		run_start(&r, &s, "containerd");
		run_done(&r);
		assert_int_equal(r.result, cases[i].r);
		assert_non_null(strstr(r.fault, cases[i].text));
		assert_int_equal(r.nr_listed, 0);
		assert_int_equal(r.nr_failed, cases[i].r == -EPROTO ? 0 : 1);
		grpc_stop(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run__containerd),
		cmocka_unit_test(test_run__no_cri),
		cmocka_unit_test(test_run__crio),
		cmocka_unit_test(test_run__events),
		cmocka_unit_test(test_run__events_end),
		cmocka_unit_test(test_run__own_events),
		cmocka_unit_test(test_run__too_many_events),
		cmocka_unit_test(test_run__faults),
	};

	return cmocka_run_group_tests(tests, load_texts, release_texts);
}
