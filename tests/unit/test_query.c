// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "output/query.h"

/* Parameters as "name\0value\0…\0". */
static const char *get(void *arg, const char *name)
{
	for (const char *p = arg; *p;) {
		const char *value = p + strlen(p) + 1;

		if (strcmp(p, name) == 0)
			return value;
		p = value + strlen(value) + 1;
	}
	return NULL;
}

static struct cgm_query query(const char *text, bool lax)
{
	return (struct cgm_query){ .get = get, .arg = (void *)text, .lax = lax };
}

static void test_query_containers__cases(void **state)
{
	static const struct {
		const char *text;
		struct cgm_container_query want;
	} good[] = {
		{ "\0", { .count = 64 } },
		{ "count\0000\0", { .count = 0 } },
		{ "count\000-1\0recursive\0true\0", { .count = -1, .recursive = true } },
		{ "count\0\0type\0\0max_age\0\0recursive\0\0", { .count = 64 } },
		{ "type\0docker\0recursive\0false\0", { .count = 64, .type = CGM_ID_DOCKER } },
		{ "type\0podman\0", { .count = 64, .type = CGM_ID_PODMAN } },
		{ "max_age\0000s\0", { .count = 64, .has_max_age = true } },
		{ "max_age\0001m30s\0", { .count = 64, .has_max_age = true, .max_age_ns = 90000000000 } },
	};
	static const struct {
		const char *text, *names;
		bool also_lax;
	} bad[] = {
		{ "count\0x\0", "'count'", true },	   { "count\000-2\0", "'count'", true },   { "count\0001.5\0", "'count'", true },
		{ "type\0zzz\0", "'type' \"zzz\"", true }, { "max_age\00010\0", "'max_age'", true }, { "max_age\000-1s\0", "'max_age'", true },
		{ "recursive\0yes\0", "'recursive'", false },
	};
	struct cgm_container_query q;
	char fault[CGM_FAULT_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good) * 2; i++) {
		struct cgm_query in = query(good[i / 2].text, i % 2);
		const struct cgm_container_query *want = &good[i / 2].want;

		assert_int_equal(cgm_query_containers(&in, &q, fault), 0);
		assert_int_equal(q.count, want->count);
		assert_int_equal(q.type, want->type);
		assert_int_equal(q.recursive, want->recursive);
		assert_int_equal(q.has_max_age, want->has_max_age);
		assert_int_equal(q.max_age_ns, want->max_age_ns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad) * 2; i++) {
		struct cgm_query in = query(bad[i / 2].text, i % 2);
		bool lax = i % 2 && !bad[i / 2].also_lax;

		assert_int_equal(cgm_query_containers(&in, &q, fault), lax ? 0 : -EINVAL);
		if (!lax && !strstr(fault, bad[i / 2].names))
			fail_msg("\"%s\" does not name %s", fault, bad[i / 2].names);
	}
}

static void test_query_events__cases(void **state)
{
	static const struct {
		const char *text;
		struct cgm_events_query want;
	} good[] = {
		{ "\0", { .max = 10 } },
		{ "all_events\0true\0", { .max = 10, .types = 15 } },
		{ "oom_events\0001\0deletion_events\0t\0", { .max = 10, .types = 1u << CGM_RECORD_OOM | 1u << CGM_RECORD_DELETION } },
		{ "oom_kill_events\0true\0creation_events\0false\0", { .max = 10, .types = 1u << CGM_RECORD_OOM_KILL } },
		{ "max_events\0003\0subcontainers\0true\0stream\0true\0", { .max = 3, .subcontainers = true, .stream = true } },
		{ "max_events\0000\0", { .max = UINT64_MAX } },
		{ "max_events\000-1\0", { .max = UINT64_MAX } },
		{ "start_time\0001970-01-01T00:00:01Z\0end_time\0001970-01-01T01:00:02+01:00\0", { .max = 10, .start_ns = 1000000000, .end_ns = 2000000000 } },
		{ "start_time\0001960-01-01T00:00:00Z\0end_time\0001960-01-01T00:00:00Z\0", { .max = 10, .end_ns = 1 } },
	};
	static const struct {
		const char *text, *names;
	} bad[] = {
		{ "all_events\0yes\0", "'all_events'" },    { "oom_events\0x\0", "'oom_events'" },
		{ "oom_kill_events\0x\0", "'oom_kill_events'" }, { "creation_events\0x\0", "'creation_events'" },
		{ "deletion_events\0x\0", "'deletion_events'" }, { "stream\0x\0", "'stream'" },
		{ "subcontainers\0x\0", "'subcontainers'" }, { "max_events\0x\0", "'max_events'" },
		{ "max_events\000-2\0", "'max_events'" },   { "start_time\0001234\0", "'start_time'" },
		{ "end_time\0yesterday\0", "'end_time'" },
	};
	struct cgm_events_query q;
	char fault[CGM_FAULT_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct cgm_query in = query(good[i].text, false);
		const struct cgm_events_query *want = &good[i].want;

		assert_int_equal(cgm_query_events(&in, &q, fault), 0);
		assert_int_equal(q.max, want->max);
		assert_int_equal(q.types, want->types);
		assert_int_equal(q.stream, want->stream);
		assert_int_equal(q.subcontainers, want->subcontainers);
		assert_int_equal(q.start_ns, want->start_ns);
		assert_int_equal(q.end_ns, want->end_ns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cgm_query strict = query(bad[i].text, false), lax = query(bad[i].text, true);

		assert_int_equal(cgm_query_events(&strict, &q, fault), -EINVAL);
		if (!strstr(fault, bad[i].names))
			fail_msg("\"%s\" does not name %s", fault, bad[i].names);
		assert_int_equal(cgm_query_events(&lax, &q, fault), 0); /* cAdvisor passes over it */
	}
}

static void test_query_kubelet__cases(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} good[] = { { "\0", false }, { "only_cpu_and_memory\0true\0", true }, { "only_cpu_and_memory\0\0", false }, { "only_cpu_and_memory\0001\0", true },
		     { "only_cpu_and_memory\0false\0other\0x\0", false } };
	struct cgm_query strict = query("only_cpu_and_memory\0yes\0", false), lax = query("only_cpu_and_memory\0yes\0", true);
	char fault[CGM_FAULT_BYTES];
	bool only;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct cgm_query in = query(good[i].text, false);

		only = false;
		assert_int_equal(cgm_query_kubelet(&in, &only, fault), 0);
		assert_int_equal(only, good[i].want);
	}
	only = false;
	assert_int_equal(cgm_query_kubelet(&strict, &only, fault), -EINVAL);
	assert_non_null(strstr(fault, "'only_cpu_and_memory'"));
	assert_int_equal(cgm_query_kubelet(&lax, &only, fault), 0); /* the kubelet passes over it */
	assert_false(only);
}

/* A long value is cut in the message, not behind it. */
static void test_query__long_values(void **state)
{
	char text[4096] = "count";
	struct cgm_query in = query(text, false);
	struct cgm_container_query q = { .count = 4711 };
	char fault[CGM_FAULT_BYTES];

	(void)state;
	memset(text + 6, 'x', 3000);
	assert_int_equal(cgm_query_containers(&in, &q, fault), -EINVAL);
	assert_true(strlen(fault) < CGM_FAULT_BYTES);
	assert_int_equal(q.count, 4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query_containers__cases),
		cmocka_unit_test(test_query_events__cases),
		cmocka_unit_test(test_query_kubelet__cases),
		cmocka_unit_test(test_query__long_values),
	};

	return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
