// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/events.h"

#define SECOND 1000000000ULL
#define BEGIN (1790000000ULL * SECOND)
#define ALL ((1u << CGM_NR_RECORD_TYPES) - 1)

static struct cgm_events *events_with(uint64_t max_nr, uint64_t max_age_ns, struct cgm_bell *bell)
{
	struct cgm_events_limits l;
	struct cgm_events *e;

	cgm_events_limits_init(&l);
	for (unsigned t = 0; t < CGM_NR_RECORD_TYPES; t++) {
		l.max_nr[t] = max_nr;
		l.max_age_ns[t] = max_age_ns;
	}
	e = cgm_events_new(&l, bell);
	assert_non_null(e);
	return e;
}

static void add(struct cgm_events *e, enum cgm_record_type type, uint64_t time_ns, const char *name)
{
	cgm_events_add(e, &(struct cgm_happening){ .type = type, .time_ns = time_ns, .container = name, .number = -1 });
}

/* Names of what is found, "a b c", the newest max. */
static void assert_found(struct cgm_events *e, struct cgm_events_filter f, uint64_t max, const char *want)
{
	struct cgm_events_place at = cgm_events_newest(e, &f, max);
	char text[4096] = "";
	size_t len = 0;
	bool more = true;

	while (more) {
		struct cgm_record *r[3];
		size_t nr = cgm_events_read(e, &f, &at, r, 3, &more);

		for (size_t i = 0; i < nr; i++) {
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", r[i]->container);
			cgm_record_unref(r[i]);
		}
	}
	assert_string_equal(text, want);
}

static void test_events__filter_before_the_limit(void **state)
{
	struct cgm_events *e = events_with(1000, 3600 * SECOND, NULL);
	struct cgm_events_filter f = { .types = ALL, .container = "/", .subcontainers = true };

	(void)state;
	assert_found(e, f, 10, "");
	add(e, CGM_RECORD_CREATION, BEGIN + 1, "/");
	add(e, CGM_RECORD_CREATION, BEGIN + 2, "/a");
	add(e, CGM_RECORD_CREATION, BEGIN + 3, "/a/b");
	add(e, CGM_RECORD_OOM, BEGIN + 4, "/a");
	add(e, CGM_RECORD_OOM_KILL, BEGIN + 4, "/a/b");
	add(e, CGM_RECORD_DELETION, BEGIN + 5, "/a/b");
	add(e, CGM_RECORD_CREATION, BEGIN + 6, "/a-b");
	assert_found(e, f, UINT64_MAX, "/ /a /a/b /a /a/b /a/b /a-b");
	assert_found(e, f, 2, "/a/b /a-b");
	f.container = "/a";
	assert_found(e, f, UINT64_MAX, "/a /a/b /a /a/b /a/b");
	f.subcontainers = false;
	assert_found(e, f, UINT64_MAX, "/a /a");
	assert_found(e, f, 1, "/a"); /* the newest of those wanted, however many others came later */
	f.container = "/";
	assert_found(e, f, 10, "/");
	f = (struct cgm_events_filter){ .types = 1u << CGM_RECORD_CREATION, .container = "/", .subcontainers = true };
	assert_found(e, f, 3, "/a /a/b /a-b");
	f.start_ns = BEGIN + 2;
	f.end_ns = BEGIN + 3;
	assert_found(e, f, 10, "/a /a/b");
	f.types = 0;
	assert_found(e, f, 10, "");
	cgm_events_free(e);
}

/* Containers that a listing finds are older than what was recorded before; the order is that of time, then of coming. */
static void test_events__order(void **state)
{
	struct cgm_events *e = events_with(1000, 3600 * SECOND, NULL);
	struct cgm_events_filter f = { .types = ALL, .container = "/", .subcontainers = true };
	static const unsigned times[] = { 5, 3, 9, 1, 3, 7, 9, 2 };
	char name[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		snprintf(name, sizeof(name), "/%u-%zu", times[i], i);
		add(e, i % 2 ? CGM_RECORD_CREATION : CGM_RECORD_DELETION, BEGIN + times[i], name);
	}
	assert_found(e, f, UINT64_MAX, "/1-3 /2-7 /3-1 /3-4 /5-0 /7-5 /9-2 /9-6");
	assert_found(e, f, 6, "/3-1 /3-4 /5-0 /7-5 /9-2 /9-6");
	assert_found(e, f, 5, "/3-4 /5-0 /7-5 /9-2 /9-6");
	cgm_events_free(e);
}

static void test_events__limits_of_number_and_age(void **state)
{
	struct cgm_events *e = events_with(50, 100 * SECOND, NULL);
	struct cgm_events_filter f = { .types = ALL, .container = "/", .subcontainers = true };
	struct cgm_events_stats s;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "/%u", i);
		add(e, CGM_RECORD_CREATION, BEGIN + i * SECOND, name);
	}
	add(e, CGM_RECORD_OOM, BEGIN, "/oom");
	cgm_events_stats(e, &s);
	assert_int_equal(s.nr_seen, 121);
	assert_int_equal(s.nr_stored, 51);
	assert_int_equal(s.nr_evicted, 70);
	assert_int_equal(s.nr_lost, 0);
	assert_found(e, f, 2, "/118 /119");
	cgm_events_tick(e, BEGIN + 217 * SECOND);
	assert_found(e, f, UINT64_MAX, "/117 /118 /119");
	cgm_events_tick(e, BEGIN + 10000 * SECOND);
	cgm_events_stats(e, &s);
	assert_int_equal(s.nr_stored, 0);
	assert_int_equal(s.bytes, 0);
	assert_int_equal(s.nr_evicted, 70);
	cgm_events_free(e);
	/* Nothing is kept; who follows sees it. */
	e = events_with(0, SECOND, NULL);
	add(e, CGM_RECORD_CREATION, BEGIN, "/a");
	assert_found(e, f, 10, "");
	cgm_events_free(e);
	e = events_with(10, 0, NULL);
	add(e, CGM_RECORD_CREATION, BEGIN, "/a");
	assert_found(e, f, 10, "");
	cgm_events_free(e);
}

static void test_events__follow(void **state)
{
	struct cgm_bell bell;
	struct cgm_events *e;
	struct cgm_events_filter f = { .types = 1u << CGM_RECORD_CREATION, .container = "/a", .subcontainers = true };
	struct cgm_record *r[4];
	struct cgm_events_stats s;
	struct pollfd p;
	uint64_t seq;

	(void)state;
	assert_int_equal(cgm_bell_init(&bell), 0);
	p = (struct pollfd){ .fd = bell.fd, .events = POLLIN };
	e = events_with(100, 3600 * SECOND, &bell);
	add(e, CGM_RECORD_CREATION, BEGIN, "/a/before");
	assert_int_equal(poll(&p, 1, 0), 0); /* nobody listens */
	assert_true(cgm_events_follow(e, &seq));
	assert_false(cgm_events_has_news(e, seq));
	assert_int_equal(cgm_events_read_tail(e, &f, &seq, r, 4), 0);
	cgm_bell_listen(&bell);
	add(e, CGM_RECORD_CREATION, BEGIN + 1, "/a/x");
	assert_int_equal(poll(&p, 1, 0), 1);
	cgm_bell_hush(&bell);
	assert_int_equal(poll(&p, 1, 0), 0);
	cgm_bell_leave(&bell);
	add(e, CGM_RECORD_DELETION, BEGIN + 2, "/a/x");
	add(e, CGM_RECORD_CREATION, BEGIN + 3, "/b");
	add(e, CGM_RECORD_CREATION, BEGIN + 1, "/a/late");
	assert_true(cgm_events_has_news(e, seq));
	assert_int_equal(cgm_events_read_tail(e, &f, &seq, r, 4), 2);
	assert_string_equal(r[0]->container, "/a/x");
	assert_string_equal(r[1]->container, "/a/late");
	cgm_record_unref(r[0]);
	cgm_record_unref(r[1]);
	assert_false(cgm_events_has_news(e, seq));
	/* As many as the tail holds are still there; one more is too many. */
	for (unsigned i = 0; i < CGM_EVENTS_TAIL; i++)
		add(e, CGM_RECORD_CREATION, BEGIN + 10, "/a/many");
	assert_int_equal(cgm_events_read_tail(e, &f, &seq, r, 1), 1);
	cgm_record_unref(r[0]);
	for (unsigned i = 0; i < 2; i++)
		add(e, CGM_RECORD_CREATION, BEGIN + 10, "/a/many");
	assert_int_equal(cgm_events_read_tail(e, &f, &seq, r, 4), -EOVERFLOW);
	cgm_events_stats(e, &s);
	assert_int_equal(s.nr_streams, 1);
	cgm_events_unfollow(e, true);
	cgm_events_stats(e, &s);
	assert_int_equal(s.nr_streams, 0);
	assert_int_equal(s.nr_streams_dropped, 1);
	for (unsigned i = 0; i < 64; i++)
		assert_true(cgm_events_follow(e, &seq));
	assert_false(cgm_events_follow(e, &seq));
	cgm_events_free(e);
	cgm_bell_done(&bell);
}

static int32_t exit_code_of(struct cgm_events *e, uint64_t nth)
{
	struct cgm_events_filter f = { .types = 1u << CGM_RECORD_DELETION, .subcontainers = true, .container = "/" };
	struct cgm_events_place at = cgm_events_newest(e, &f, nth);
	struct cgm_record *r;
	int32_t code;
	bool more;

	assert_int_equal(cgm_events_read(e, &f, &at, &r, 1, &more), 1);
	code = cgm_record_number(r);
	cgm_record_unref(r);
	return code;
}

/* The newest deletion of that name that has none gets it, and no other. */
static void test_events__exit_code_comes_late(void **state)
{
	struct cgm_events *e = events_with(100, 3600 * SECOND, NULL);

	(void)state;
	assert_false(cgm_events_set_exit_code(e, "/a", 1));
	add(e, CGM_RECORD_DELETION, BEGIN, "/a");
	add(e, CGM_RECORD_CREATION, BEGIN + 1, "/a");
	add(e, CGM_RECORD_DELETION, BEGIN + 2, "/a");
	add(e, CGM_RECORD_DELETION, BEGIN + 3, "/b");
	assert_false(cgm_events_set_exit_code(e, "/c", 1));
	assert_true(cgm_events_set_exit_code(e, "/a", 137));
	assert_int_equal(exit_code_of(e, 1), -1);
	assert_int_equal(exit_code_of(e, 2), 137);
	assert_int_equal(exit_code_of(e, 3), -1);
	assert_true(cgm_events_set_exit_code(e, "/a", 0));
	assert_int_equal(exit_code_of(e, 3), 0);
	assert_false(cgm_events_set_exit_code(e, "/a", 5));
	cgm_events_free(e);
}

static void test_events_parse__limits(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t seconds[CGM_NR_RECORD_TYPES];
	} ages[] = {
		{ "", 0, { 86400, 86400, 86400, 86400 } },
		{ "default=24h", 0, { 86400, 86400, 86400, 86400 } },
		{ "oom=1h", 0, { 3600, 86400, 86400, 86400 } },
		{ "oom=1h,default=10s", 0, { 3600, 10, 10, 10 } },
		{ "default=10s, oomKill=0", 0, { 10, 0, 10, 10 } },
		{ "creation=1s,deletion=2s,oom_kill=3s", 0, { 86400, 3, 1, 2 } },
		{ "containerCreation=1s,containerDeletion=2s", 0, { 86400, 86400, 1, 2 } },
		{ "24h", -EINVAL, { 0 } },
		{ "default", -EINVAL, { 0 } },
		{ "default=", -EINVAL, { 0 } },
		{ "default=24", -EINVAL, { 0 } },
		{ "nothing=24h", -EINVAL, { 0 } },
		{ "oom=1h,,", -EINVAL, { 0 } },
		{ "=1h", -EINVAL, { 0 } },
	};
	const char *fault;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		struct cgm_events_limits l;

		cgm_events_limits_init(&l);
		fault = NULL;
		assert_int_equal(cgm_events_parse_ages(ages[i].text, &l, &fault), ages[i].result);
		assert_int_equal(fault != NULL, ages[i].result < 0);
		for (unsigned t = 0; t < CGM_NR_RECORD_TYPES; t++)
			assert_int_equal(l.max_age_ns[t], ages[i].result < 0 ? 86400 * SECOND : ages[i].seconds[t] * SECOND);
	}
	for (size_t i = 0; i < 2; i++) {
		struct cgm_events_limits l;

		cgm_events_limits_init(&l);
		assert_int_equal(cgm_events_parse_numbers(i ? "default=x" : "default=5,oom=0", &l, &fault), i ? -EINVAL : 0);
		assert_int_equal(l.max_nr[CGM_RECORD_OOM], i ? 100000 : 0);
		assert_int_equal(l.max_nr[CGM_RECORD_CREATION], i ? 100000 : 5);
	}
}

struct crowd {
	struct cgm_events *e;
	bool stop;
	uint64_t nr_read;
	bool disorder;
};

static void *read_on(void *arg)
{
	struct crowd *c = arg;
	struct cgm_events_filter f = { .types = ALL, .container = "/", .subcontainers = true };

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		struct cgm_events_place at = cgm_events_newest(c->e, &f, 500);
		uint64_t last = 0;
		bool more = true;

		for (unsigned i = 0; more && i < 100; i++) {
			struct cgm_record *r[16];
			size_t nr = cgm_events_read(c->e, &f, &at, r, 16, &more);

			for (size_t k = 0; k < nr; k++) {
				c->disorder |= r[k]->time_ns < last;
				last = r[k]->time_ns;
				__atomic_add_fetch(&c->nr_read, 1, __ATOMIC_RELAXED);
				cgm_record_unref(r[k]);
			}
		}
	}
	return NULL;
}

static void test_events__readers_beside_the_sampler(void **state)
{
	struct crowd c = { .e = events_with(2000, 3600 * SECOND, NULL) };
	struct cgm_events_stats s;
	pthread_t threads[2];

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &c), 0);
	for (unsigned i = 0; i < 20000; i++)
		add(c.e, (enum cgm_record_type)(i % CGM_NR_RECORD_TYPES), BEGIN + i, "/kubepods/a");
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cgm_events_tick(c.e, BEGIN + 20000);
	cgm_events_stats(c.e, &s);
	assert_int_equal(s.nr_seen, 20000);
	assert_int_equal(s.nr_stored + s.nr_evicted + s.nr_lost, 20000);
	assert_false(c.disorder);
	cgm_events_free(c.e);
}

static void test_events__every_allocation_fails(void **state)
{
	struct cgm_events_stats s;
	unsigned long nr = 0;

	(void)state;
	for (unsigned long n = 1; n < 60; n++) {
		struct cgm_events_limits l;
		struct cgm_events *e;

		cgm_events_limits_init(&l);
		cgm_mem_fail_at(n);
		e = cgm_events_new(&l, NULL);
		for (unsigned i = 0; e && i < 40; i++)
			cgm_events_add(e, &(struct cgm_happening){ .type = CGM_RECORD_OOM_KILL, .time_ns = BEGIN + i, .container = "/a", .process = "x" });
		nr = cgm_mem_fail_at(0);
		if (e) {
			cgm_events_stats(e, &s);
			assert_int_equal(s.nr_stored + s.nr_lost, 40);
			assert_int_equal(s.nr_lost, nr >= n ? 1 : 0);
		}
		cgm_events_free(e);
		if (nr < n)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events__filter_before_the_limit),
		cmocka_unit_test(test_events__order),
		cmocka_unit_test(test_events__limits_of_number_and_age),
		cmocka_unit_test(test_events__follow),
		cmocka_unit_test(test_events__exit_code_comes_late),
		cmocka_unit_test(test_events_parse__limits),
		cmocka_unit_test(test_events__readers_beside_the_sampler),
		cmocka_unit_test(test_events__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
