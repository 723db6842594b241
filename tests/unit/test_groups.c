// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "base/cleanup.h"
#include "cgmeter/abi.h"
#include "kernel/groups.h"

static const struct {
	const char *name, *def;
} options[] = {
#define CGM_OPTION(name, type, field, def, group, help) { #name, def },
#include "node/options.def"
};

static const char *listed(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(options[i].name, "disable_metrics") == 0)
			return options[i].def;
	return NULL;
}

static struct cgm_group_choice choose(const char *enable, const char *disable)
{
	struct cgm_group_choice c;
	const char *bad;
	size_t len;

	assert_int_equal(cgm_group_choose(enable, disable, &c, &bad, &len), 0);
	return c;
}

/* On by default or always: what no flag names. */
static void test_group_choose__defaults(void **state)
{
	struct cgm_group_choice c = choose("", listed());

	(void)state;
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		bool on = cgm_groups[i].def == CGM_GROUP_ON || cgm_groups[i].def == CGM_GROUP_ALWAYS;

		assert_int_equal(on, !c.hidden[i]);
		assert_int_equal(on, !c.unloaded[i]);
		assert_int_equal(cgm_groups[i].def == CGM_GROUP_LISTED, cgm_group_named(listed(), cgm_groups[i].name));
	}
	assert_string_equal(c.hidden[CGM_G_LOCK], "off by default");
	assert_string_equal(c.hidden[CGM_G_UDP], "in --disable_metrics, as by default");
	assert_null(c.hidden[CGM_G_APP]);
	/* cAdvisor's families of the scheduler are off, ours are on. */
	assert_non_null(c.hidden[CGM_G_SCHEDSTAT]);
	assert_null(c.hidden[CGM_G_SCHED]);
}

/* As with cAdvisor: what a list of one's own leaves out is on. */
static void test_group_choose__disable_replaces_the_default(void **state)
{
	struct cgm_group_choice c = choose("", "tcp,udp,sched");

	(void)state;
	assert_non_null(c.hidden[CGM_G_TCP_STATES]);
	assert_non_null(c.hidden[CGM_G_SCHEDSTAT]);
	assert_null(c.hidden[CGM_G_HUGETLB]);
	assert_null(c.hidden[CGM_G_PROCESSES]);
	assert_null(c.hidden[CGM_G_SCHED]);
	assert_null(c.hidden[CGM_G_TCP]);
	assert_string_equal(c.hidden[CGM_G_LOCK], "off by default"); /* ours, too dear */
}

static void test_group_choose__enable_replaces(void **state)
{
	struct cgm_group_choice c = choose("cpu, memory,udp", "cpu");

	(void)state;
	assert_null(c.hidden[CGM_G_CPU]); /* disable is not looked at, as in cAdvisor */
	assert_null(c.hidden[CGM_G_MEMORY]);
	assert_null(c.hidden[CGM_G_CGROUP]); /* always */
	assert_string_equal(c.hidden[CGM_G_SCHED], "not in --enable_metrics");
	assert_string_equal(c.unloaded[CGM_G_TASK], "not in --enable_metrics");
	assert_null(c.hidden[CGM_G_UDP]);
}

static void test_group_choose__plus_adds(void **state)
{
	struct cgm_group_choice c = choose("+lock,+irq", "net");

	(void)state;
	assert_null(c.hidden[CGM_G_LOCK]);
	assert_null(c.hidden[CGM_G_IRQ]);
	assert_null(c.hidden[CGM_G_SCHED]);
	assert_string_equal(c.hidden[CGM_G_NET], "--disable_metrics");
	assert_string_equal(c.hidden[CGM_G_SYSCALL], "off by default");
	c = choose("cpu,+lock", "");
	assert_null(c.hidden[CGM_G_CPU]);
	assert_null(c.hidden[CGM_G_LOCK]);
	assert_non_null(c.hidden[CGM_G_SCHED]);
}

/* A group that another needs is loaded for it, and its own families are not shown; but not when the flag says no. */
static void test_group_choose__needs(void **state)
{
	struct cgm_group_choice c = choose("cpuLoad", "");

	(void)state;
	assert_non_null(c.hidden[CGM_G_TASK]);
	assert_null(c.unloaded[CGM_G_TASK]);
	c = choose("", "task");
	assert_string_equal(c.hidden[CGM_G_TASK], "--disable_metrics");
	assert_string_equal(c.unloaded[CGM_G_TASK], "--disable_metrics");
	c = choose("", "cpuLoad,process");
	assert_null(c.unloaded[CGM_G_TASK]);
	c = choose("sched", "");
	assert_non_null(c.hidden[CGM_G_SCHED]);
	assert_null(c.unloaded[CGM_G_SCHED]);
	c = choose("", "task,process");
	assert_non_null(c.unloaded[CGM_G_TASK]);
}

static void test_group_choose__bad_names(void **state)
{
	static const struct {
		const char *enable, *disable, *bad;
	} cases[] = { { "foo", "", "foo" },	   { "cpu,,  bar ,x", "", "bar" }, { "", "sched,Cpu", "Cpu" },
		      { "+nothing", "", "+nothing" }, { "", "+cpu", "+cpu" },	   { "", "cgroup", "cgroup" } };
	struct cgm_group_choice c;
	const char *bad;
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cgm_group_choose(cases[i].enable, cases[i].disable, &c, &bad, &len), -EINVAL);
		assert_int_equal(len, strlen(cases[i].bad));
		assert_memory_equal(bad, cases[i].bad, len);
	}
}

static void test_group_of_source__by_its_first_word(void **state)
{
	(void)state;
	assert_int_equal(cgm_group_of_source("bpf:block queue_to_done", CGM_G_CPU), CGM_G_BLOCK);
	assert_int_equal(cgm_group_of_source("bpf:task", CGM_G_CPU), CGM_G_TASK);
	assert_int_equal(cgm_group_of_source("bpf:other thing", CGM_G_LOCK), CGM_G_LOCK);
	assert_int_equal(cgm_group_of_source("bpf:sched on_cpu", CGM_G_LOCK), CGM_G_SCHED); /* by its programs, not by the flag's word */
	assert_int_equal(cgm_group_of_programs("process"), CGM_G_PROCESS);
	assert_int_equal(cgm_group_of_programs(""), CGM_NR_GROUPS);
	assert_int_equal(cgm_group_of_source("memory.stat file", CGM_G_LOCK), CGM_G_NONE);
	assert_int_equal(cgm_group_of_source("", CGM_G_LOCK), CGM_G_NONE);
	assert_int_equal(cgm_group_of_source(NULL, CGM_G_LOCK), CGM_G_NONE);
}

static void test_group_named__with_and_without_plus(void **state)
{
	(void)state;
	assert_true(cgm_group_named("cpu, +udp", "udp"));
	assert_true(cgm_group_named("cpu, +udp", "cpu"));
	assert_false(cgm_group_named("cpu,udplite", "udp"));
	assert_false(cgm_group_named("", "udp"));
}

/* Rows for the counters of groups that are off by default are made only when one is loaded: a counter must stand on the right side. */
static void test_groups__counters_are_where_their_rows_are(void **state)
{
	static const enum cgm_group groups[] = {
#define CGM_FAMILY(id, name, type, unit, group, help) [CGM_F_##id] = CGM_G_##group,
#include "cgmeter/metrics.def"
	};
	static const struct {
		unsigned count;
		enum cgm_family_id family;
	} counts[] = {
#define CGM_COUNT_SERIES(f, id, labels) { CGM_C_##id, CGM_F_##f },
#define CGM_COUNT_NS_SERIES(f, id, labels) { CGM_C_##id, CGM_F_##f },
#include "cgmeter/metrics.def"
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(counts), CGM_NR_COUNTS);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		enum cgm_group g = groups[counts[i].family];

		assert_int_equal(g < CGM_NR_GROUPS && cgm_groups[g].def == CGM_GROUP_OFF, counts[i].count >= CGM_NR_COMMON_COUNTS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group_choose__defaults),
		cmocka_unit_test(test_group_choose__disable_replaces_the_default),
		cmocka_unit_test(test_group_choose__enable_replaces),
		cmocka_unit_test(test_group_choose__plus_adds),
		cmocka_unit_test(test_group_choose__needs),
		cmocka_unit_test(test_group_choose__bad_names),
		cmocka_unit_test(test_group_of_source__by_its_first_word),
		cmocka_unit_test(test_group_named__with_and_without_plus),
		cmocka_unit_test(test_groups__counters_are_where_their_rows_are),
	};

	return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
