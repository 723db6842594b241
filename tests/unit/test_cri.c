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
	uint64_t image_bytes, image_inodes;
	char version[64], fault[CGM_RUNTIME_FAULT];
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

void cgm_runtime_forget(struct cgm_runtime *r, const char *id)
{
	(void)id;
	r->nr_forgotten++;
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
	r->nr_failed += failed;
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
		.config = { name, s->path, "SHOP_", "k8s.io", 5 * CGM_NSEC_PER_SEC },
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
		unimplemented, say("version"), say("sandboxes"), say("sandbox_status"), say("containers"), say("container_status"), say("container_status_exited"),
		say("own_namespaces"), say("own_containers"), say("own_tasks"), say("images"),
		/* wanted */ not_found, not_found, say("own_namespaces"), not_found,
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
	assert_int_equal(r.learned[3]->pid, 4160);
	wake(&r, FRONT, false);
	WAIT_FOR(__atomic_load_n(&s.nr_calls, __ATOMIC_ACQUIRE) == 15);
	usleep(200000); /* it is not for the driver to ask again */
	wake(&r, "xy", false);
	WAIT_FOR(__atomic_load_n(&r.nr_learned, __ATOMIC_ACQUIRE) == 6);
	assert_int_equal(r.learned[4]->state, CGM_STATE_CREATED);
	assert_int_equal(r.learned[5]->state, CGM_STATE_RUNNING);
	assert_asked(&s, 3, SANDBOX);
	assert_asked(&s, 5, FRONT);
	assert_asked(&s, 11, FRONT);
	assert_asked(&s, 14, FRONT);
	assert_asked(&s, 15, "xy");
	assert_asked(&s, 16, "xy");
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
		unimplemented, unimplemented, say("own_version"), { .message = namespaces }, say("own_k8s"), { .message = { "", 0 } },
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
		{ .message = version }, { .message = { "", 0 } }, say("containers"), { .status = 5 }, say("container_status_exited"), { .manner = GRPC_SILENT },
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

static void test_run__faults(void **state)
{
	const struct {
		struct grpc_answer answers[2];
		size_t nr;
		int r;
		const char *text;
	} cases[] = {
		{ { { .status = 2, .text = "server is not initialized yet" } }, 1, -EREMOTEIO, "Version: status 2 (unknown): server is not initialized yet" },
		{ { { .message = CGM_STR("\x12\xff") } }, 1, -EPROTO, "Version: a message that is damaged" },
		{ { say("version"), { .status = 13 } }, 2, -EREMOTEIO, "ListPodSandbox: status 13 (internal)" },
		{ { say("version"), { .message = CGM_STR("\x0a\x03\x0a\x09x") } }, 2, -EPROTO, "ListPodSandbox: a message that is damaged" },
		{ { say("version"), { .manner = GRPC_CUT } }, 2, -ECONNABORTED, "ListPodSandbox: " },
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
		cmocka_unit_test(test_run__faults),
	};

	return cmocka_run_group_tests(tests, load_texts, release_texts);
}
