// SPDX-License-Identifier: Apache-2.0
/* The sinks behind the core: each to a server of its own at once, one that refuses and comes back, one that hangs. */
#include "export_slices.h"
#include "export_server.h"

#include <poll.h>

#include "export/export.h"

#define ALL (EXPORT_POINTS + EXPORT_SUMS_POINTS)

static const struct cgm_export_state *find(const struct cgm_export_state *states, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (strcmp(states[i].name, name) == 0)
			return &states[i];
	fail_msg("no %s", name);
	return NULL;
}

/* Waits until all of those have written so many points. */
static void wait_for(struct cgm_export *x, const char *const *names, size_t nr_names, uint64_t nr_points)
{
	uint64_t until = cgm_clock_mono_ns() + 20 * CGM_NSEC_PER_SEC;

	for (bool done = false; !done;) {
		struct cgm_export_state *states;
		size_t nr;

		done = true;
		assert_int_equal(cgm_export_states(x, &states, &nr), 0);
		for (size_t i = 0; i < nr_names; i++) {
			const struct cgm_export_state *s = find(states, nr, names[i]);

			if (cgm_clock_mono_ns() > until)
				fail_msg("%s: %u sent, \"%s\"", names[i], (unsigned)s->nr_sent, s->fault);
			done &= s->nr_sent >= nr_points;
		}
		free(states);
		(void)poll(NULL, 0, 10);
	}
}

static void put(struct cgm_export *x)
{
	struct cgm_slice *s = export_slice(), *sums = export_sums();

	cgm_export_put(x, s);
	cgm_export_put(x, sums);
	cgm_slice_unref(s);
	cgm_slice_unref(sums);
}

static void test_sinks__together(void **state)
{
	static const char *const names[] = { "graphite", "opentsdb", "remote_write", "elasticsearch", "otlp", "riemann" };
	static const char *const forms[] = {
		"graphite:tcp://127.0.0.1:%u", "opentsdb:http://127.0.0.1:%u", "remote_write:http://127.0.0.1:%u", "elasticsearch:http://127.0.0.1:%u?sniff=false",
		"otlp:http://u:hush@127.0.0.1:%u", "riemann:http://127.0.0.1:%u", "opentelemetry:http://127.0.0.1:%u",
	};
	static const enum export_protocol protocols[] = { EXPORT_RAW, EXPORT_HTTP, EXPORT_HTTP, EXPORT_HTTP, EXPORT_HTTP, EXPORT_MESSAGES, EXPORT_HTTP };
	static struct export_server servers[ARRAY_SIZE(forms)];
	char uris[ARRAY_SIZE(forms)][96], fault[CGM_EXPORT_FAULT] = "";
	const char *list[ARRAY_SIZE(forms)];
	struct cgm_export_config config = { .uris = list, .nr_uris = ARRAY_SIZE(forms), .spool_dir = "", .timeout_ns = 10000000000ULL, .stop_ns = 300000000 };
	struct cgm_export_state *states;
	const struct cgm_export_state *hanging;
	struct cgm_export *x;
	size_t nr;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		export_server_start(&servers[i], protocols[i]);
		snprintf(uris[i], sizeof(uris[i]), forms[i], servers[i].port); // NOLINT(clang-diagnostic-format-nonliteral): ours
		list[i] = uris[i];
	}
	export_server_add(&servers[1], (struct export_reaction){ .status = 503 }); /* comes back */
	export_server_add(&servers[1], (struct export_reaction){ .status = 204 });
	export_server_add(&servers[3], (struct export_reaction){ .status = 200, .body = "{\"version\":{\"number\":\"8.1\"}}" });
	export_server_add(&servers[3], (struct export_reaction){ .status = 200, .body = "{\"errors\":false}" });
	export_server_add(&servers[5], (struct export_reaction){ .body = "\x10\x01" });
	export_server_add(&servers[6], (struct export_reaction){ .how = EXPORT_HANG }); /* for ever, and nobody minds */
	if (cgm_export_check(&config, fault) < 0 || cgm_export_start(&config, &x, fault) < 0)
		fail_msg("%s", fault);
	put(x);
	wait_for(x, names, ARRAY_SIZE(names), ALL);
	put(x);
	wait_for(x, names, ARRAY_SIZE(names), 2 * ALL);
	assert_int_equal(cgm_export_states(x, &states, &nr), 0);
	assert_int_equal(nr, ARRAY_SIZE(forms));
	for (size_t i = 0; i < nr; i++) {
		assert_null(strstr(states[i].shown, "hush"));
		assert_int_equal(states[i].nr_lost[CGM_EXPORT_REFUSED], 0);
	}
	assert_true(find(states, nr, "opentsdb")->nr_retries >= 1);
	hanging = find(states, nr, "opentelemetry");
	assert_int_equal(hanging->nr_sent, 0);
	assert_int_equal(hanging->nr_points, 2 * (ALL + 1)); /* what is no number was taken as well */
	free(states);
	cgm_export_stop(x);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		export_server_stop(&servers[i]);
}

static void test_sinks__faults(void **state)
{
	static const char *const cases[][2] = {
		{ "graphite:tcp://h?perfix=x", "perfix" },	{ "kafka:?brokers=a&compression=zip", "compression" }, { "riemann:h?ttl=x", "ttl" },
		{ "elasticsearch:http://h?Sniff=1", "Sniff" }, { "opentsdb:ftp://h", "ftp" },			     { "remote_write:http://h?histograms=x", "histograms" },
	};
	char fault[CGM_EXPORT_FAULT];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_export_config config = { .uris = &cases[i][0], .nr_uris = 1, .spool_dir = "" };

		fault[0] = '\0';
		assert_int_equal(cgm_export_check(&config, fault), -EINVAL);
		if (!strstr(fault, cases[i][1]))
			fail_msg("\"%s\" does not say %s", fault, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sinks__together),
		cmocka_unit_test(test_sinks__faults),
	};

	return cmocka_run_group_tests_name("export_sinks", tests, NULL, NULL);
}
