// SPDX-License-Identifier: Apache-2.0
/* Records of cgroups that nobody could look at, and of the out-of-memory killer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/lifecycle.h"

static struct cgm_event event(const char *path)
{
	struct cgm_event e = { .time_ns = cgm_clock_mono_ns(), .path_len = (uint32_t)strlen(path) };

	memcpy(e.path, path, e.path_len + 1);
	return e;
}

/* "containerCreation /a, …", oldest first. */
static void assert_records(struct cgm_events *e, const char *want)
{
	struct cgm_events_filter f = { .types = 15, .container = "/", .subcontainers = true };
	struct cgm_record *r[64];
	char text[2048] = "";
	uint64_t seq = 1;
	size_t len = 0;
	int nr = cgm_events_read_tail(e, &f, &seq, r, ARRAY_SIZE(r));

	for (int i = 0; i < nr; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s", len ? ", " : "", cgm_record_names[r[i]->type], r[i]->container);
		assert_in_range(r[i]->time_ns, cgm_clock_real_ns() - 5 * CGM_NSEC_PER_SEC, cgm_clock_real_ns() + CGM_NSEC_PER_SEC);
		cgm_record_unref(r[i]);
	}
	assert_string_equal(text, want);
}

static struct cgm_events *store(void)
{
	struct cgm_events_limits l;
	struct cgm_events *e;

	cgm_events_limits_init(&l);
	e = cgm_events_new(&l, NULL);
	assert_non_null(e);
	return e;
}

/* On v1 a container is made and removed once in each hierarchy. */
static void test_lifecycle__ghosts(void **state)
{
	struct cgm_lifecycle l = { .events = store() };
	struct cgm_events *e = l.events;
	struct cgm_event a = event("/a"), a2 = event("/a"), b = event("/b");

	(void)state;
	a.hierarchy = 3;
	a2.hierarchy = 4;
	a.cgroup_id = a2.cgroup_id = 77;
	cgm_lifecycle_ghost_went(&l, &b); /* its container had been in the table */
	cgm_lifecycle_ghost_came(&l, &a);
	cgm_lifecycle_ghost_came(&l, &a2);
	cgm_lifecycle_ghost_went(&l, &a);
	cgm_lifecycle_ghost_went(&l, &a); /* not twice */
	assert_records(e, "containerCreation /a");
	cgm_lifecycle_ghost_went(&l, &a2);
	cgm_lifecycle_ghost_went(&l, &a2);
	cgm_lifecycle_ghost_came(&l, &b);
	assert_records(e, "containerCreation /a, containerDeletion /a, containerCreation /b");
	cgm_lifecycle_listed(&l); /* the event of its end was lost */
	assert_records(e, "containerCreation /a, containerDeletion /a, containerCreation /b, containerDeletion /b");
	assert_int_equal(l.nr_ghosts, 0);
	cgm_lifecycle_ghost_came(&l, &a);
	cgm_lifecycle_done(&l);
	cgm_events_free(e);
}

static void test_lifecycle__oom(void **state)
{
	struct cgm_lifecycle l = { .events = store() };
	struct cgm_events_filter f = { .types = 1u << CGM_RECORD_OOM_KILL, .container = "/pod/c" };
	struct cgm_events *e = l.events;
	struct cgm_event kill = event("victim");
	struct cgm_record *r;
	uint64_t seq = 1;

	(void)state;
	kill.pid = 4711;
	kill.constraint = CGM_OOM_MEMCG;
	cgm_lifecycle_oom(&l, &kill, "/pod/c", "/pod");
	assert_records(e, "oom /pod, oomKill /pod/c");
	assert_int_equal(cgm_events_read_tail(e, &f, &seq, &r, 1), 1);
	assert_int_equal(r->number, 4711);
	assert_string_equal(r->process, "victim");
	assert_int_equal(r->constraint, CGM_OOM_MEMCG);
	cgm_record_unref(r);
	cgm_lifecycle_oom_counted(&l, "/x", 2, cgm_clock_real_ns());
	assert_records(e, "oom /pod, oomKill /pod/c, oom /x, oomKill /x, oom /x, oomKill /x");
	seq = 5;
	f.container = "/x";
	kill.constraint = CGM_OOM_UNKNOWN;
	assert_int_equal(cgm_events_read_tail(e, &f, &seq, &r, 1), 1);
	assert_string_equal(cgm_oom_constraint_name((enum cgm_oom_constraint)r->constraint), "");
	assert_int_equal(r->number, 0);
	cgm_record_unref(r);
	cgm_lifecycle_oom_counted(&l, "/y", UINT64_MAX, cgm_clock_real_ns()); /* bounded */
	cgm_lifecycle_done(&l);
	cgm_events_free(e);
}

static void test_lifecycle__without_a_store_and_memory(void **state)
{
	struct cgm_lifecycle l = { .events = NULL };
	struct cgm_event a = event("/a");

	(void)state;
	cgm_lifecycle_ghost_came(&l, &a);
	cgm_lifecycle_oom(&l, &a, "/", "/");
	cgm_lifecycle_done(&l);
	for (unsigned long n = 1; n < 6; n++) {
		l.events = store();
		cgm_mem_fail_at(n);
		cgm_lifecycle_ghost_came(&l, &a);
		cgm_lifecycle_ghost_went(&l, &a);
		cgm_mem_fail_at(0);
		{
			struct cgm_events *e = l.events;

			cgm_lifecycle_done(&l);
			cgm_events_free(e);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lifecycle__ghosts),
		cmocka_unit_test(test_lifecycle__oom),
		cmocka_unit_test(test_lifecycle__without_a_store_and_memory),
	};

	return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
