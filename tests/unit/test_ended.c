// SPDX-License-Identifier: Apache-2.0
/* Which containers are kept after their end, for how long and how many; and values in memory of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/containers.h"
#include "unit/snapshot_fixture.h"

static void begin(struct cgm_containers *cs)
{
	struct cgm_kernel_config config = { .pin_dir = "", .off = true };

	*cs = (struct cgm_containers){ .ended.duration_ns = 60 * CGM_NSEC_PER_SEC, .sched_hierarchy = 2, .block_hierarchy = 7 };
	assert_int_equal(cgm_kernel_open(&config, &cs->kernel), 0);
}

static void end(struct cgm_containers *cs)
{
	struct cgm_kernel *k = cs->kernel;

	cgm_containers_done(cs);
	cgm_kernel_close(k);
}

/* The path of a container with that number, and what is below it. */
static const char *path_of(unsigned i, const char *below)
{
	static char path[128];

	snprintf(path, sizeof(path), "/docker/%064x%s", i, below);
	return path;
}

static bool take(struct cgm_containers *cs, const char *path)
{
	struct cgm_container c = { .identity = cgm_identity_new(path), .spec.creation_time_ns = 5, .sched_slot = 3, .sched_id = 9 };
	bool kept;

	assert_non_null(c.identity);
	kept = cgm_ended_take(cs, &c);
	cgm_identity_unref(c.identity);
	cgm_last_free(c.last);
	return kept;
}

/* As the tick does to what it has made whole. */
static void all_done(struct cgm_containers *cs)
{
	for (size_t i = 0; i < cs->ended.nr; i++)
		cs->ended.v[i]->done = true;
}

static void test_ended_take__containers_alone(void **state)
{
	struct cgm_containers cs;

	(void)state;
	begin(&cs);
	assert_true(take(&cs, path_of(1, "")));
	assert_false(take(&cs, "/system.slice/cron.service"));
	assert_false(take(&cs, "/"));
	assert_int_equal(cs.ended.stats.lost[CGM_ENDED_CGROUP], 1);
	/* What is below one counts for it, and is not shown. */
	assert_false(take(&cs, path_of(2, "/init.scope/x")));
	assert_int_equal(cs.ended.nr, 2);
	assert_int_equal(cs.ended.nr_shown, 1);
	assert_int_equal(cs.ended.stats.lost[CGM_ENDED_CGROUP], 1);
	cs.ended.duration_ns = 0;
	assert_false(take(&cs, path_of(3, "")));
	assert_int_equal(cs.ended.nr, 2);
	end(&cs);
}

static void test_ended_expire__after_the_time(void **state)
{
	struct cgm_containers cs;
	uint64_t now = cgm_clock_mono_ns();

	(void)state;
	begin(&cs);
	take(&cs, path_of(1, ""));
	take(&cs, path_of(1, "/below")); /* its slot is nobody's: nothing is to come */
	cgm_ended_expire(&cs, now + 3600 * CGM_NSEC_PER_SEC);
	assert_int_equal(cs.ended.nr, 1); /* not before it was shown once */
	all_done(&cs);
	cgm_ended_expire(&cs, now + 59 * CGM_NSEC_PER_SEC);
	assert_int_equal(cs.ended.nr_shown, 1);
	cgm_ended_expire(&cs, now + 61 * CGM_NSEC_PER_SEC);
	assert_int_equal(cs.ended.nr_shown, 0);
	assert_int_equal(cs.ended.nr, 0);
	assert_null(cgm_hash_get(&cs.ended.by_name, path_of(1, "")));
	end(&cs);
}

static void test_ended_displace__one_row_of_a_path(void **state)
{
	struct cgm_containers cs;

	(void)state;
	begin(&cs);
	take(&cs, path_of(1, ""));
	take(&cs, path_of(1, "")); /* ended again before the first was shown */
	assert_int_equal(cs.ended.nr, 1);
	assert_int_equal(cs.ended.stats.lost[CGM_ENDED_REPLACED], 1);
	all_done(&cs);
	cgm_ended_displace(&cs, path_of(2, ""));
	assert_int_equal(cs.ended.nr, 1);
	cgm_ended_displace(&cs, path_of(1, ""));
	assert_int_equal(cs.ended.nr, 0);
	assert_int_equal(cs.ended.stats.lost[CGM_ENDED_REPLACED], 1); /* that one was shown */
	end(&cs);
}

static void test_ended_take__the_oldest_goes(void **state)
{
	struct cgm_containers cs;

	(void)state;
	begin(&cs);
	for (unsigned i = 0; i < CGM_MAX_ENDED + 5; i++)
		assert_true(take(&cs, path_of(i, "")));
	assert_int_equal(cs.ended.nr_shown, CGM_MAX_ENDED);
	assert_int_equal(cs.ended.stats.lost[CGM_ENDED_FULL], 5);
	assert_null(cgm_hash_get(&cs.ended.by_name, path_of(4, "")));
	assert_non_null(cgm_hash_get(&cs.ended.by_name, path_of(5, "")));
	/* Cgroups below do not push containers out. */
	for (unsigned i = 0; i < CGM_MAX_ENDED + 3; i++)
		take(&cs, path_of(i, "/x"));
	assert_int_equal(cs.ended.nr_shown, CGM_MAX_ENDED);
	assert_int_equal(cs.ended.nr, 2 * CGM_MAX_ENDED);
	assert_int_equal(cs.ended.stats.lost[CGM_ENDED_FULL], 8);
	end(&cs);
}

static struct cgm_event removal(const char *path, uint32_t hierarchy, uint64_t id, uint32_t slot)
{
	struct cgm_event e = { .type = CGM_EVENT_RMDIR, .hierarchy = hierarchy, .cgroup_id = id, .slot = slot, .path_len = (uint32_t)strlen(path) };

	memcpy(e.path, path, e.path_len + 1);
	return e;
}

static void ghost(struct cgm_containers *cs, const char *path, uint32_t hierarchy, uint64_t id, uint32_t slot)
{
	struct cgm_event e = removal(path, hierarchy, id, slot);

	cgm_ended_ghost(cs, &e);
}

static void test_ended_ghost__nobody_looked(void **state)
{
	struct cgm_containers cs;
	const struct cgm_ended *e;

	(void)state;
	begin(&cs);
	ghost(&cs, path_of(1, ""), 4, 11, 0); /* a hierarchy that nothing is counted by */
	assert_int_equal(cs.ended.nr, 0);
	ghost(&cs, path_of(1, ""), 2, 12, 40);
	ghost(&cs, path_of(1, ""), 7, 13, 41); /* the same container */
	assert_int_equal(cs.ended.nr_shown, 1);
	e = cs.ended.v[0];
	assert_int_equal(e->sched_slot, 40);
	assert_int_equal(e->sched_id, 12);
	assert_int_equal(e->block_slot, 41);
	assert_int_equal(e->block_id, 13);
	/* Its events once more, once it is done: nothing. Those of another of that path: another. */
	all_done(&cs);
	ghost(&cs, path_of(1, ""), 2, 12, 40);
	assert_ptr_equal(cs.ended.v[0], e);
	assert_true(e->done);
	ghost(&cs, path_of(1, ""), 2, 99, 50);
	assert_int_equal(cs.ended.nr, 1);
	assert_int_equal(cs.ended.v[0]->sched_slot, 50);
	ghost(&cs, "/plain", 2, 14, 42);
	ghost(&cs, "/plain", 7, 15, 43);
	assert_int_equal(cs.ended.stats.lost[CGM_ENDED_CGROUP], 1);
	end(&cs);
}

/* It was found gone at a tick, with all that is known of it; its events come later. */
static void test_ended_ghost__events_after_the_end(void **state)
{
	struct cgm_containers cs;

	(void)state;
	begin(&cs);
	take(&cs, path_of(1, ""));
	cs.ended.v[0]->serial = 77;
	ghost(&cs, path_of(1, ""), 2, 9, 3);
	ghost(&cs, path_of(1, ""), 7, 21, 5); /* a directory that nobody had looked at */
	assert_int_equal(cs.ended.nr, 1);
	assert_int_equal(cs.ended.v[0]->serial, 77);
	assert_int_equal(cs.ended.v[0]->block_slot, 5);
	end(&cs);
}

static void test_ended_name__comes_later(void **state)
{
	const struct cgm_who facts = { .runtime = "docker", .id = path_of(1, "") + strlen("/docker/"), .name = "web" };
	struct cgm_who *who = cgm_who_new(&facts);
	struct cgm_containers cs;
	struct cgm_ended *e;

	(void)state;
	assert_non_null(who);
	begin(&cs);
	take(&cs, path_of(1, ""));
	cgm_ended_name(&cs, path_of(2, ""), who);
	cgm_ended_name(&cs, path_of(1, ""), who);
	e = cgm_hash_get(&cs.ended.by_name, path_of(1, ""));
	assert_non_null(e);
	assert_ptr_equal(e->identity->who, who);
	assert_non_null(strstr(e->identity->labels, "name=\"web\""));
	cgm_ended_displace(&cs, path_of(1, ""));
	assert_int_equal(cs.ended.nr, 0);
	cgm_who_unref(who);
	end(&cs);
}

/* The values of the last tick, for who is gone with nothing else. */
static void test_ended_hold__the_last_tick(void **state)
{
	struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 2 });
	struct cgm_container c = { .serial = 5, .identity = cgm_identity_new(path_of(1, "")) };
	struct cgm_ended_set set = { .duration_ns = 1, .store = cgm_store_new() };

	(void)state;
	assert_true(s && c.identity && set.store);
	cgm_identity_unref(s->rows[1].identity);
	s->rows[1].identity = cgm_identity_ref(c.identity);
	s->rows[1].serial = 6;
	s->rows[1].values[CGM_V_MEMORY_MAX_USAGE] = 4711;
	cgm_store_publish(set.store, cgm_snapshot_ref(s));
	cgm_ended_hold(&set, &c);
	assert_null(c.last); /* another container of that path */
	s->rows[1].serial = 5;
	cgm_ended_hold(&set, &c);
	assert_non_null(c.last);
	assert_int_equal(c.last->values[CGM_V_MEMORY_MAX_USAGE], 4711);
	assert_false(c.last->at_end);
	/* What is newer stays. */
	c.last->time_ns = s->time_ns + 1;
	c.last->values[CGM_V_MEMORY_MAX_USAGE] = 1;
	cgm_ended_hold(&set, &c);
	assert_int_equal(c.last->values[CGM_V_MEMORY_MAX_USAGE], 1);
	cgm_last_free(c.last);
	cgm_identity_unref(c.identity);
	cgm_store_free(set.store);
	cgm_snapshot_unref(s);
}

static void test_ended__every_allocation_fails(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 25; n++) {
		const struct cgm_who facts = { .runtime = "docker", .id = path_of(1, "") + strlen("/docker/"), .name = "web" };
		struct cgm_container c = { .identity = cgm_identity_new(path_of(1, "")), .spec.creation_time_ns = 5 };
		struct cgm_who *who = cgm_who_new(&facts);
		struct cgm_containers cs;
		bool kept;

		begin(&cs);
		cgm_mem_fail_at(n);
		kept = cgm_ended_take(&cs, &c);
		cgm_ended_name(&cs, path_of(1, ""), who);
		ghost(&cs, path_of(2, ""), 2, 12, 40);
		cgm_mem_fail_at(0);
		assert_int_equal(cs.ended.nr + cs.ended.stats.lost[CGM_ENDED_MEMORY] >= 2, true);
		assert_true(kept || cs.ended.stats.lost[CGM_ENDED_MEMORY]);
		cgm_identity_unref(c.identity);
		cgm_last_free(c.last);
		cgm_who_unref(who);
		end(&cs);
	}
}

static void same_hist(const struct cgm_live_hist *a, const struct cgm_live_hist *b)
{
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->nr, b->nr);
	assert_memory_equal(a->buckets, b->buckets, a->nr * sizeof(*a->buckets));
	assert_ptr_not_equal(a->buckets, b->buckets);
}

static void test_kept_new__nothing_is_shared(void **state)
{
	struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 1, .live = true });
	const struct cgm_row *row = &s->rows[0];
	const struct cgm_live *live = row->live;
	struct cgm_kept *k;

	(void)state;
	cgm_mem_fail_at(1);
	assert_null(cgm_kept_new(row->values, row->layout->nr_values, live));
	cgm_mem_fail_at(0);
	k = cgm_kept_new(row->values, row->layout->nr_values, live);
	assert_non_null(k);
	assert_memory_equal(k->values, row->values, row->layout->nr_values * sizeof(*row->values));
	same_hist(&k->live->sched.on_cpu, &live->sched.on_cpu);
	same_hist(&k->live->sched.off_cpu[CGM_NR_OFF_CPU - 1], &live->sched.off_cpu[CGM_NR_OFF_CPU - 1]);
	assert_memory_equal(&k->live->net, &live->net, sizeof(live->net));
	assert_memory_equal(k->live->dear, live->dear, sizeof(*live->dear));
	assert_ptr_not_equal(k->live->dear, live->dear);
	for (size_t i = 0; i < live->nr_blocks; i++) {
		assert_string_equal(k->live->blocks[i].name, live->blocks[i].name);
		same_hist(&k->live->blocks[i].queue_to_done, &live->blocks[i].queue_to_done);
		same_hist(&k->live->blocks[i].issue_to_done, &live->blocks[i].issue_to_done);
	}
	for (size_t i = 0; i < live->nr_waits; i++)
		same_hist(&k->live->waits[i].hist, &live->waits[i].hist);
	cgm_snapshot_unref(s);
	assert_ptr_equal(cgm_kept_ref(k), k);
	cgm_kept_unref(k);
	assert_true(k->live->sched.on_cpu.buckets[0] + 1); /* still there */
	cgm_kept_unref(k);
	k = cgm_kept_new(NULL, 0, NULL);
	assert_null(k->live);
	cgm_kept_unref(k);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ended_take__containers_alone),
		cmocka_unit_test(test_ended_expire__after_the_time),
		cmocka_unit_test(test_ended_displace__one_row_of_a_path),
		cmocka_unit_test(test_ended_take__the_oldest_goes),
		cmocka_unit_test(test_ended_ghost__nobody_looked),
		cmocka_unit_test(test_ended_ghost__events_after_the_end),
		cmocka_unit_test(test_ended_name__comes_later),
		cmocka_unit_test(test_ended_hold__the_last_tick),
		cmocka_unit_test(test_ended__every_allocation_fails),
		cmocka_unit_test(test_kept_new__nothing_is_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
