// SPDX-License-Identifier: Apache-2.0
/* Names of perf events, and the configuration that asks for them. What the kernel counts is in tests/e2e/test_details.py. */
#include "unit/scratch.h"
#include <errno.h>
#include <linux/perf_event.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "output/perf_config.h"

static int set_up(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	scratch_open(s);
	scratch_put(s, "sys/bus/event_source/devices/cpu/type", "4\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/events/instructions", "event=0xc0\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/events/mem-loads", "event=0xcd,umask=0x1,ldlat=3\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/events/flag", "event=0x1,inv\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/events/odd", "event=0x1,unheard=2\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/events/rubbish", "event=zz\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/format/event", "config:0-7,32-35\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/format/umask", "config:8-15\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/format/inv", "config:23\n");
	scratch_put(s, "sys/bus/event_source/devices/cpu/format/ldlat", "config1:0-15\n");
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	scratch_close(*state);
	free(*state);
	return 0;
}

static void test_perf_event_find__generic(void **state)
{
	const struct scratch *s = *state;
	struct cgm_perf_event e = { 0 };

	assert_int_equal(cgm_perf_event_find(s->root_fd, "context-switches", &e), 0);
	assert_true(e.type == PERF_TYPE_SOFTWARE && e.config[0] == PERF_COUNT_SW_CONTEXT_SWITCHES);
	assert_int_equal(cgm_perf_event_find(s->root_fd, "cycles", &e), 0);
	assert_true(e.type == PERF_TYPE_HARDWARE && e.config[0] == PERF_COUNT_HW_CPU_CYCLES);
	assert_int_equal(cgm_perf_event_find(s->root_fd, "PERF_COUNT_HW_INSTRUCTIONS", &e), 0);
	assert_true(e.type == PERF_TYPE_HARDWARE && e.config[0] == PERF_COUNT_HW_INSTRUCTIONS);
	assert_int_equal(cgm_perf_event_find(s->root_fd, "INST_RETIRED.ANY", &e), -ENOENT);
	assert_int_equal(cgm_perf_event_find(s->root_fd, "", &e), -ENOENT);
}

static void test_perf_event_find__sysfs(void **state)
{
	static const char *const bad[] = { "cpu/nosuch", "nosuch/x", "cpu/odd", "cpu/rubbish", "cpu/../cpu", "../cpu/x", "/x", "cpu/" };
	const struct scratch *s = *state;
	struct cgm_perf_event e = { 0 };

	assert_int_equal(cgm_perf_event_find(s->root_fd, "cpu/instructions", &e), 0);
	assert_true(e.type == 4 && e.config[0] == 0xc0 && !e.config[1]);
	assert_int_equal(cgm_perf_event_find(s->root_fd, "cpu/mem-loads", &e), 0);
	assert_true(e.config[0] == 0x1cd && e.config[1] == 3 && !e.config[2]);
	assert_int_equal(cgm_perf_event_find(s->root_fd, "cpu/flag", &e), 0);
	assert_int_equal(e.config[0], 1 | 1 << 23);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cgm_perf_event_find(s->root_fd, bad[i], &e), -ENOENT);
}

static void test_perf_config_parse__whole(void **state)
{
	static const char text[] = "{\"core\": {\"events\": [\"cpu-clock\", [\"context-switches\", \"mine\"], \"cpu/mem-loads\"],\n"
				   " \"custom_events\": [{\"type\": 4, \"config\": [\"0x5300c0\", \"7\", 9], \"name\": \"mine\"},\n"
				   " {\"type\": 4, \"config\": [\"0x1\"], \"name\": \"not measured\"}]},\n"
				   " \"uncore\": {\"events\": [\"uncore_imc/reads\"], \"custom_events\": [{\"config\": [\"0x304\"], \"name\": \"uncore_imc/reads\"}]}}";
	_cleanup_(cgm_perf_config_freep) struct cgm_perf_config *c = NULL;
	const struct scratch *s = *state;
	char *fault = NULL;

	assert_int_equal(cgm_perf_config_parse(text, strlen(text), s->root_fd, &c, &fault), 0);
	assert_null(fault);
	assert_int_equal(c->nr_core, 4);
	assert_int_equal(c->core[0].group, 1);
	assert_int_equal(c->core[1].group, 2);
	assert_int_equal(c->core[2].group, 2); /* counted at the same time */
	assert_int_equal(c->core[3].group, 3);
	assert_string_equal(c->core[2].name, "mine");
	assert_true(c->core[2].custom && c->core[2].type == 4);
	assert_true(c->core[2].config[0] == 0x5300c0 && c->core[2].config[1] == 7 && c->core[2].config[2] == 9);
	assert_int_equal(c->core[3].config[0], 0x1cd);
	assert_int_equal(c->nr_uncore, 1);
	assert_true(c->uncore[0].custom && c->uncore[0].config[0] == 0x304);
}

static void test_perf_config_parse__empty(void **state)
{
	static const char *const texts[] = { "{}", "{\"core\": {}}", "{\"core\": {\"events\": []}, \"other\": 1}" };
	const struct scratch *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(cgm_perf_config_freep) struct cgm_perf_config *c = NULL;
		char *fault = NULL;

		assert_int_equal(cgm_perf_config_parse(texts[i], strlen(texts[i]), s->root_fd, &c, &fault), 0);
		assert_int_equal(c->nr_core + c->nr_uncore, 0);
	}
}

/* Each fault is named. */
static void test_perf_config_parse__faults(void **state)
{
	static const struct {
		const char *text, *fault;
	} cases[] = {
		{ "", "line" },
		{ "[]", "no object" },
		{ "{\"core\": 1}", "\"core\"" },
		{ "{\"core\": {\"events\": \"cpu-clock\"}}", "no list" },
		{ "{\"core\": {\"events\": [1]}}", "name" },
		{ "{\"core\": {\"events\": [\"\"]}}", "name" },
		{ "{\"core\": {\"events\": [[\"cpu-clock\", null]]}}", "name" },
		{ "{\"core\": {\"events\": [\"INST_RETIRED.ANY\"]}}", "INST_RETIRED.ANY" },
		{ "{\"core\": {\"events\": [\"cpu-clock\", \"cpu-clock\"]}}", "twice" },
		{ "{\"core\": {\"events\": [\"x\"], \"custom_events\": [{\"name\": \"x\"}]}}", "config" },
		{ "{\"core\": {\"events\": [\"x\"], \"custom_events\": [{\"name\": \"x\", \"config\": []}]}}", "config" },
		{ "{\"core\": {\"events\": [\"x\"], \"custom_events\": [{\"name\": \"x\", \"config\": [1, 2, 3, 4]}]}}", "config" },
		{ "{\"core\": {\"events\": [\"x\"], \"custom_events\": [{\"name\": \"x\", \"config\": [\"0xzz\"]}]}}", "config" },
		{ "{\"core\": {\"events\": [\"x\"], \"custom_events\": [{\"name\": \"x\", \"config\": [-1]}]}}", "config" },
		{ "{\"core\": {\"events\": [\"x\"], \"custom_events\": [{\"name\": \"x\", \"type\": 4294967296, \"config\": [1]}]}}", "type" },
		{ "{\"uncore\": {\"events\": [\"cas_count\"]}}", "PMU/EVENT" },
		{ "{\"uncore\": {\"events\": [\"/cas_count\"]}}", "PMU/EVENT" },
	};
	const struct scratch *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_perf_config *c = NULL;
		_cleanup_free_ char *fault = NULL;

		assert_int_equal(cgm_perf_config_parse(cases[i].text, strlen(cases[i].text), s->root_fd, &c, &fault), -EINVAL);
		assert_null(c);
		if (!strstr(fault, cases[i].fault))
			fail_msg("%s: %s", cases[i].text, fault);
	}
}

static void test_perf_config_parse__every_allocation_fails_once(void **state)
{
	static const char text[] = "{\"core\": {\"events\": [\"cpu-clock\"]}, \"uncore\": {\"events\": [\"uncore_imc/reads\"]}}";
	const struct scratch *s = *state;
	int r = -ENOMEM;

	for (unsigned long n = 1; r < 0; n++) {
		_cleanup_(cgm_perf_config_freep) struct cgm_perf_config *c = NULL;
		_cleanup_free_ char *fault = NULL;

		cgm_mem_fail_at(n);
		r = cgm_perf_config_parse(text, strlen(text), s->root_fd, &c, &fault);
		cgm_mem_fail_at(0);
		assert_true(n < 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_perf_event_find__generic),
		cmocka_unit_test(test_perf_event_find__sysfs),
		cmocka_unit_test(test_perf_config_parse__whole),
		cmocka_unit_test(test_perf_config_parse__empty),
		cmocka_unit_test(test_perf_config_parse__faults),
		cmocka_unit_test(test_perf_config_parse__every_allocation_fails_once),
	};

	return cmocka_run_group_tests_name("perf", tests, set_up, tear_down);
}
