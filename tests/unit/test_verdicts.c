// SPDX-License-Identifier: Apache-2.0
/* What a request is to Kubernetes, and what was said of it a short time ago. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "output/access.h"
#include "output/verdicts.h"

#define S CGM_NSEC_PER_SEC

static void test_access_of__as_a_kubelet(void **state)
{
	static const struct {
		const char *method, *path, *verb, *subresource;
	} cases[] = {
		{ "GET", "/stats", "get", "stats" },
		{ "GET", "/stats/summary", "get", "stats" },
		{ "POST", "/stats/container", "create", "stats" },
		{ "HEAD", "/stats/summary", "get", "stats" },
		{ "GET", "/metrics", "get", "metrics" },
		{ "GET", "/metrics/cadvisor", "get", "metrics" },
		{ "GET", "/metrics/resource/v1alpha1", "get", "metrics" },
		{ "GET", "/logs", "get", "log" },
		{ "GET", "/logs/x", "get", "log" },
		{ "GET", "/spec", "get", "spec" },
		{ "GET", "/pods", "get", "proxy" },
		{ "GET", "/runningpods", "get", "proxy" },
		{ "GET", "/healthz", "get", "proxy" },
		{ "GET", "/", "get", "proxy" },
		{ "GET", "/api/v1.3/containers", "get", "proxy" },
		{ "GET", "/metricsx", "get", "proxy" },
		{ "GET", "/x/metrics", "get", "proxy" },
		{ "GET", "/specs/x", "get", "proxy" },
		{ "PUT", "/stats", "update", "stats" },
		{ "PATCH", "/metrics", "patch", "metrics" },
		{ "DELETE", "/pods/x", "delete", "proxy" },
		{ "OPTIONS", "/pods", "", "proxy" },
		{ "get", "/pods", "", "proxy" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgm_access a = cgm_access_of(cases[i].method, cases[i].path);

		assert_string_equal(a.verb, cases[i].verb);
		assert_string_equal(a.subresource, cases[i].subresource);
	}
}

static struct cgm_reviewed *user(const char *name, const char *group)
{
	struct cgm_kube_user u = { .name = cgm_strdup(name) };
	struct cgm_reviewed *who = cgm_reviewed_new(&u, group);

	assert_non_null(who);
	return who;
}

static struct cgm_verdict_key key_of(const struct cgm_verdicts *v, const char *token)
{
	struct cgm_verdict_key key;

	assert_int_equal(cgm_verdict_key_of_token(v, token, &key), 0);
	return key;
}

static void test_verdicts__are_good_for_a_while(void **state)
{
	static struct cgm_verdicts v, w;
	struct cgm_reviewed *joe = user("joe", "g"), *who = NULL;
	struct cgm_verdict_key a, b, c;

	(void)state;
	assert_int_equal(cgm_verdicts_init(&v), 0);
	assert_int_equal(cgm_verdicts_init(&w), 0);
	a = key_of(&v, "a");
	b = key_of(&v, "b");
	c = key_of(&w, "a");
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_memory_not_equal(&a, &c, sizeof(a)); /* each has a key of its own */
	assert_int_equal(cgm_verdicts_get(&v, &a, 1 * S, &who), -ENOENT);
	cgm_verdicts_put(&v, &a, true, joe, 1 * S, 3 * S);
	cgm_verdicts_put(&v, &b, false, NULL, 1 * S, 2 * S);
	assert_int_equal(joe->refs, 2);
	assert_int_equal(cgm_verdicts_get(&v, &a, 3 * S - 1, &who), 1);
	assert_ptr_equal(who, joe);
	cgm_reviewed_unref(who);
	assert_int_equal(cgm_verdicts_get(&v, &b, 2 * S - 1, &who), 0);
	assert_null(who);
	assert_int_equal(cgm_verdicts_get(&v, &b, 2 * S, &who), -ENOENT);
	assert_int_equal(cgm_verdicts_get(&v, &a, 3 * S, &who), -ENOENT);
	/* The newest word counts; one that would be over at once is none. */
	cgm_verdicts_put(&v, &a, true, joe, 4 * S, 9 * S);
	cgm_verdicts_put(&v, &a, false, NULL, 5 * S, 6 * S);
	assert_int_equal(joe->refs, 1);
	assert_int_equal(cgm_verdicts_get(&v, &a, 5 * S, &who), 0);
	assert_int_equal(cgm_verdicts_get(&v, &a, 6 * S, &who), -ENOENT);
	cgm_verdicts_put(&v, &a, true, joe, 7 * S, 7 * S);
	assert_int_equal(cgm_verdicts_get(&v, &a, 7 * S, &who), -ENOENT);
	cgm_verdicts_put(&v, &a, true, joe, 7 * S, 8 * S);
	cgm_verdicts_done(&v);
	cgm_verdicts_done(&w);
	assert_int_equal(joe->refs, 1);
	cgm_reviewed_unref(joe);
}

/* Of more than there is room for those that end last stay; wrong tokens, which end soon, push nobody out. */
static void test_verdicts__of_bounded_number(void **state)
{
	static struct cgm_verdicts v;
	struct cgm_reviewed *joe = user("joe", "g"), *who = NULL;
	unsigned nr = 0;

	(void)state;
	assert_int_equal(cgm_verdicts_init(&v), 0);
	for (unsigned i = 0; i < 100; i++) {
		char token[16];
		struct cgm_verdict_key key;

		snprintf(token, sizeof(token), "good%u", i);
		key = key_of(&v, token);
		cgm_verdicts_put(&v, &key, true, joe, 1 * S, 120 * S);
	}
	for (unsigned i = 0; i < 20000; i++) {
		char token[16];
		struct cgm_verdict_key key;

		snprintf(token, sizeof(token), "wrong%u", i);
		key = key_of(&v, token);
		cgm_verdicts_put(&v, &key, false, NULL, 1 * S + i, 11 * S + i);
	}
	for (unsigned i = 0; i < 100; i++) {
		char token[16];
		struct cgm_verdict_key key;

		snprintf(token, sizeof(token), "good%u", i);
		key = key_of(&v, token);
		if (cgm_verdicts_get(&v, &key, 2 * S, &who) == 1) {
			nr++;
			cgm_reviewed_unref(who);
		}
	}
	assert_in_range(nr, 90, 100); /* a set of eight may be one user's ninth */
	cgm_verdicts_done(&v);
	assert_int_equal(joe->refs, 1);
	cgm_reviewed_unref(joe);
}

static void test_verdict_key_of_access__every_part_counts(void **state)
{
	static struct cgm_verdicts v;
	struct cgm_reviewed *users[] = { user("joe", "g"), user("joe", "h"), user("jo", "eg"), user("joe", "g"), user("joe", "g") };
	struct cgm_verdict_key keys[7];

	(void)state;
	users[3]->user.uid = cgm_strdup("1");
	users[4]->user.extra = cgm_strdup("{}");
	assert_int_equal(cgm_verdicts_init(&v), 0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(cgm_verdict_key_of_access(&v, users[i], "get", "stats", &keys[i]), 0);
	assert_int_equal(cgm_verdict_key_of_access(&v, users[0], "create", "stats", &keys[5]), 0);
	assert_int_equal(cgm_verdict_key_of_access(&v, users[0], "get", "spec", &keys[6]), 0);
	for (size_t i = 0; i < 7; i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(&keys[i], &keys[k], sizeof(keys[i]));
	cgm_verdicts_done(&v);
	for (size_t i = 0; i < 5; i++)
		cgm_reviewed_unref(users[i]);
}

static void test_reviewed_new__groups(void **state)
{
	struct cgm_kube_user u = { .name = cgm_strdup("joe"), .groups = cgm_calloc(1, sizeof(char *)), .nr_groups = 1 };
	struct cgm_reviewed *who;

	(void)state;
	u.groups[0] = cgm_strdup("g");
	who = cgm_reviewed_new(&u, "g"); /* is in it already */
	assert_int_equal(who->user.nr_groups, 1);
	assert_null(u.name);
	cgm_reviewed_unref(who);
	for (unsigned long n = 1; n <= 3; n++) {
		u = (struct cgm_kube_user){ .name = cgm_strdup("joe") };
		cgm_mem_fail_at(n);
		assert_null(cgm_reviewed_new(&u, "h"));
		cgm_mem_fail_at(0);
		assert_null(u.name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access_of__as_a_kubelet),
		cmocka_unit_test(test_verdicts__are_good_for_a_while),
		cmocka_unit_test(test_verdicts__of_bounded_number),
		cmocka_unit_test(test_verdict_key_of_access__every_part_counts),
		cmocka_unit_test(test_reviewed_new__groups),
	};

	return cmocka_run_group_tests_name("verdicts", tests, NULL, NULL);
}
