// SPDX-License-Identifier: Apache-2.0
#include "draft_fixture.h"

#include "base/clock.h"
#include "source/scan.h"

#define AT "1795364958000000000"

static struct cgm_draft draft;
static char fault[CGM_DECODE_FAULT];
static uint64_t nr_bad;

static int decode(const char *text)
{
	return decode_with(CGM_DECODE_SUMMARY, text, strlen(text), &draft, &nr_bad, fault);
}

static int setup(void **state)
{
	size_t len;

	*state = fixture_text("kubelet", "summary.json", &len);
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	cgm_draft_done(&draft);
	return 0;
}

/* A real kubelet's. Heapster 1.5.4 logged the same of what does not change: all of sleeper, limits and inodes, creation times, the volume's usage. */
static void test_decode_summary__kubelet(void **state)
{
	assert_int_equal(decode(*state), 0);
	assert_int_equal(nr_bad, 0);
	assert_string_equal(draft.node, "peer-node");
	assert_int_equal(draft.nr_sets, 7);
	assert_int_equal(draft.sets[0].kind, CGM_SET_NODE);
	assert_line(&draft, "node ",
		    "1795364972000000000 1795361496000000000 cpu/usage=3437901863550 memory/usage=2939904000 memory/rss=864022528 memory/working_set=1782329344 "
		    "memory/page_faults=494342 memory/major_page_faults=0 network/rx=639331392 network/rx_errors=0 network/tx=452014 network/tx_errors=0 "
		    "filesystem/usage{/}=32137830400 filesystem/limit{/}=270553174016 filesystem/available{/}=70607450112 filesystem/inodes{/}=16777216 "
		    "filesystem/inodes_free{/}=16160060");
	assert_line(&draft, "sys_container pods ",
		    "1795364973000000000 1795364600000000000 cpu/usage=17596923254 memory/usage=3657728 memory/rss=311296 memory/working_set=2609152 "
		    "memory/page_faults=0 memory/major_page_faults=0");
	assert_line(&draft, "pod default/burn(733d0f14-e374-4c13-a557-667290d380e4) ",
		    "1795364975000000000 1795364735000000000 network/rx=666 network/rx_errors=0 network/tx=892 network/tx_errors=0 filesystem/usage{Volume:data}=1052672 "
		    "filesystem/limit{Volume:data}=270553174016 filesystem/available{Volume:data}=70607470592 filesystem/inodes{Volume:data}=16777216 "
		    "filesystem/inodes_free{Volume:data}=16160069");
	assert_line(&draft, "pod_container kube-system/quiet(e6dbfa09-94ba-4a95-b90a-b94ac81534f5) sleeper ",
		    "1795364952000000000 1795364733000000000 cpu/usage=19588819 memory/usage=856064 memory/rss=53248 memory/working_set=856064 memory/page_faults=841 "
		    "memory/major_page_faults=4 filesystem/usage{/}=20480 filesystem/limit{/}=270553174016 filesystem/available{/}=70607450112 filesystem/inodes{/}=16777216 "
		    "filesystem/inodes_free{/}=16160060 filesystem/usage{logs}=4096 filesystem/limit{logs}=270553174016 filesystem/available{logs}=70607450112 "
		    "filesystem/inodes{logs}=16777216 filesystem/inodes_free{logs}=16160060");
	assert_int_equal(draft.sets[2].kind, CGM_SET_POD);
	assert_int_equal(draft.sets[3].kind, CGM_SET_CONTAINER);
}

static void test_decode_summary__brief(void **state)
{
	size_t len;
	char *text = fixture_text("kubelet", "summary-brief.json", &len);

	(void)state;
	assert_int_equal(decode(text), 0);
	assert_int_equal(nr_bad, 0);
	assert_int_equal(draft.nr_sets, 7);
	assert_int_equal(draft.nr_labeled, 0);
	assert_line(&draft, "pod_container kube-system/quiet(e6dbfa09-94ba-4a95-b90a-b94ac81534f5) sleeper ",
		    "1795364952000000000 1795364733000000000 cpu/usage=19588819 memory/usage=856064 memory/rss=53248 memory/working_set=856064 memory/page_faults=841 "
		    "memory/major_page_faults=4");
	free(text);
}

static void test_decode_summary__cut(void **state)
{
	check_cuts(CGM_DECODE_SUMMARY, *state, strlen(*state) - 1); /* its last byte is a newline */
}

static void test_decode_summary__memory(void **state)
{
	check_memory(CGM_DECODE_SUMMARY, *state, strlen(*state));
}

/* The pod's names come last, a name is there twice, system containers get Heapster's names, newer fields and null are passed over. */
static void test_decode_summary__order(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"pods\":[{\"containers\":[{\"memory\":{\"workingSetBytes\":5,\"time\":\"2026-11-22T16:29:18Z\",\"psi\":{\"full\":{\"total\":1}}},"
				"\"name\":\"a\",\"swap\":{\"swapUsageBytes\":7}},null],\"memory\":{\"workingSetBytes\":9},\"podRef\":{\"uid\":\"u\",\"namespace\":\"n\",\"name\":\"p\"},"
				"\"cpu\":null}],\"node\":{\"systemContainers\":[{\"name\":\"runtime\"},{\"name\":\"misc\"},{\"name\":\"kubelet\"},"
				"{\"name\":\"misc\",\"startTime\":\"2026-11-22T16:29:18Z\"}],\"nodeName\":\"x\"}}"),
			 0);
	assert_int_equal(nr_bad, 0);
	{
		char *text = draft_text(&draft);

		assert_string_equal(text, "node 0 0\nsys_container docker-daemon 0 0\nsys_container kubelet 0 0\nsys_container system 0 " AT "\npod n/p(u) 0 0\n"
					  "pod_container n/p(u) a " AT " 0 memory/working_set=5 memory/swap=7\n");
		free(text);
	}
}

#define CONTAINER(name, started) "{\"name\":\"" name "\",\"startTime\":\"" started "\",\"cpu\":{\"usageCoreNanoSeconds\":1},\"rootfs\":{\"usedBytes\":1}}"
#define POD(uid, started, containers) "{\"podRef\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"" uid "\"},\"startTime\":\"" started "\",\"containers\":[" containers "]}"

/* The one that started last, with its own containers, whichever comes first. */
static void test_decode_summary__twins(void **state)
{
	static const char *const orders[] = {
		"{\"node\":{},\"pods\":[" POD("old", "2026-11-22T16:29:17Z", CONTAINER("a", "2026-11-22T16:29:18Z") "," CONTAINER("gone", "2026-11-22T16:29:18Z")) ","
			POD("new", "2026-11-22T16:29:18Z", CONTAINER("a", "2026-11-22T16:29:17Z") "," CONTAINER("a", "2026-11-22T16:29:18Z")) "]}",
		"{\"node\":{},\"pods\":[" POD("new", "2026-11-22T16:29:18Z", CONTAINER("a", "2026-11-22T16:29:18Z") "," CONTAINER("a", "2026-11-22T16:29:17Z")) ","
			POD("old", "2026-11-22T16:29:17Z", CONTAINER("a", "2026-11-22T16:29:18Z") "," CONTAINER("gone", "2026-11-22T16:29:18Z")) "]}",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *text;

		assert_int_equal(decode(orders[i]), 0);
		text = draft_text(&draft);
		assert_string_equal(text, "node 0 0\npod n/p(new) 0 " AT "\npod_container n/p(new) a 0 " AT " cpu/usage=1 filesystem/usage{/}=1\n");
		free(text);
	}
}

/* Without containers a pod's own memory is all that is known of it. */
static void test_decode_summary__bare_pod(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"node\":{},\"pods\":[{\"podRef\":{\"name\":\"p\",\"namespace\":\"n\"},\"containers\":null,\"memory\":{\"time\":\"2026-11-22T16:29:18Z\","
				"\"usageBytes\":6},\"cpu\":{\"usageCoreNanoSeconds\":3}}]}"),
			 0);
	assert_line(&draft, "pod n/p() ", AT " 0 memory/usage=6");
}

static void test_decode_summary__extras(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"node\":{},\"pods\":[{\"podRef\":{\"name\":\"p\",\"namespace\":\"n\"},\"containers\":[{\"name\":\"c\",\"accelerators\":[{\"make\":\"nvidia\","
				"\"model\":\"t\\u00e9sla\",\"id\":\"G-1\",\"memoryTotal\":10,\"memoryUsed\":4,\"dutyCycle\":99}],\"userDefinedMetrics\":[{\"name\":\"qps\",\"value\":-2.5e1},"
				"{\"name\":\"none\"}]}]}]}"),
			 0);
	assert_int_equal(nr_bad, 1);
	assert_line(&draft, "pod_container n/p() c ",
		    "0 0 accelerator/memory_total{G-1,nvidia,t\xc3\xa9sla}=10 accelerator/memory_used{G-1,nvidia,t\xc3\xa9sla}=4 accelerator/duty_cycle{G-1,nvidia,t\xc3\xa9sla}=99 qps{}=-25");
}

/* A value that is nonsense is counted and left out; the rest stays. */
static void test_decode_summary__bad_values(void **state)
{
	static const struct {
		const char *cpu;
		const char *wanted; /* NULL: it is bad */
	} values[] = {
		{ "17", "17" }, { "0", "0" }, { "-0", "0" }, { "-1", NULL }, { "1.5", NULL }, { "1e3", NULL }, { "\"17\"", NULL }, { "true", NULL }, { "[1]", NULL },
		{ "{\"a\":[{}]}", NULL }, { "9223372036854775807", "9223372036854775807" }, { "9223372036854775808", "9223372036854775807" },
		{ "18446744073709551616", "9223372036854775807" }, { "99999999999999999999999999999999999999", "9223372036854775807" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		char text[256], wanted[64];
		char *line;

		snprintf(text, sizeof(text), "{\"node\":{\"cpu\":{\"usageCoreNanoSeconds\":%s},\"nodeName\":\"n\"}}", values[i].cpu);
		assert_int_equal(decode(text), 0);
		assert_int_equal(nr_bad, !values[i].wanted);
		line = draft_line(&draft, "node ");
		snprintf(wanted, sizeof(wanted), "node 0 0%s%s", values[i].wanted ? " cpu/usage=" : "", values[i].wanted ? values[i].wanted : "");
		assert_string_equal(line, wanted);
		assert_string_equal(draft.node, "n");
		free(line);
	}
}

static void test_decode_summary__times(void **state)
{
	static const struct {
		const char *time;
		uint64_t wanted;
		unsigned nr_bad;
	} times[] = {
		{ "\"2026-11-22T16:29:18Z\"", 1795364958000000000, 0 }, { "\"2026-11-22T16:29:18.123456789Z\"", 1795364958123456789, 0 },
		{ "\"2026-11-22T18:29:18.5+02:00\"", 1795364958500000000, 0 }, { "\"0001-01-01T00:00:00Z\"", 0, 0 }, { "null", 0, 0 }, { "\"\"", 0, 1 },
		{ "\"2126-11-22T16:29:18Z\"", 0, 1 }, { "\"1926-11-22T16:29:18Z\"", 0, 1 }, { "\"2026-11-22\"", 0, 1 }, { "\"2026-13-22T16:29:18Z\"", 0, 1 },
		{ "\"2026-11-22T16:29:18\"", 0, 1 }, { "1795364958", 0, 1 }, { "\"2026-11-22T24:29:18Z\"", 0, 1 }, { "\"2026-11-22T16:29:18.Z\"", 0, 1 },
		{ "\"2026-11-22T23:59:60Z\"", 1795392000000000000, 0 }, { "\"9999-12-31T23:59:59Z\"", 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		char text[256];

		snprintf(text, sizeof(text), "{\"node\":{\"startTime\":%s,\"cpu\":{\"time\":\"2026-11-22T16:29:18Z\"},\"memory\":{\"time\":%s}}}", times[i].time, times[i].time);
		assert_int_equal(decode(text), 0);
		if (draft.sets[0].created_ns != times[i].wanted || nr_bad != 2 * times[i].nr_bad)
			fail_msg("%s: %" PRIu64 ", %" PRIu64 " bad", times[i].time, draft.sets[0].created_ns, nr_bad);
		assert_true(draft.sets[0].scraped_ns >= 1795364958000000000);
	}
}

static void test_decode_summary__bad_names(void **state)
{
	static const char *const names[] = { "\"\"", "5", "null", "\"a\\u0000b\"", "\"a\\nb\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\xe2\x82\"" };
	char *giant = malloc(CGM_SCAN_MAX_TEXT + 200);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char text[256];

		snprintf(text, sizeof(text), "{\"node\":{},\"pods\":[{\"podRef\":{\"name\":%s,\"namespace\":\"n\"},\"containers\":[{\"name\":\"c\"}]}]}", names[i]);
		assert_int_equal(decode(text), 0);
		assert_int_equal(draft.nr_sets, 1);
		assert_true(nr_bad > 0);
	}
	assert_non_null(giant);
	for (size_t len = CGM_SCAN_MAX_TEXT; len < CGM_SCAN_MAX_TEXT + 2; len++) {
		snprintf(giant, CGM_SCAN_MAX_TEXT + 200, "{\"node\":{\"nodeName\":\"%0*d\"}}", (int)len, 0);
		assert_int_equal(decode(giant), 0);
		assert_int_equal(nr_bad, len > CGM_SCAN_MAX_TEXT);
		assert_int_equal(draft.node != NULL, len <= CGM_SCAN_MAX_TEXT);
	}
	free(giant);
	assert_int_equal(decode("{\"node\":{\"nodeName\":\"\\ud83d\\ude00\\t\"}}"), 0);
	assert_null(draft.node);
	assert_int_equal(decode("{\"node\":{\"nodeName\":\"\\ud83d\\ude00\\/\\\"\"}}"), 0);
	assert_string_equal(draft.node, "\xf0\x9f\x98\x80/\"");
}

/* What is no JSON, or no Summary, is refused as a whole, with the place. */
static void test_decode_summary__faults(void **state)
{
	static const struct {
		const char *text, *fault;
	} texts[] = {
		{ "", "it is cut short at byte 0" },
		{ "  ", "it is cut short at byte 2" },
		{ "{}", "it is no Summary: it has no \"node\"" },
		{ "[]", "it is no Summary: it has no \"node\"" },
		{ "{\"kind\":\"Status\",\"code\":403}", "it is no Summary: it has no \"node\"" },
		{ "<html>", "it has a value that is none at byte 0" },
		{ "{\"node\":{}} x", "something follows its end at byte 12" },
		{ "{\"node\":{},}", "a key is missing at byte 11" },
		{ "{\"node\":{\"a\":[1,]}}", "it has a value that is none at byte 16" },
		{ "{\"node\":{\"a\":[1 2]}}", "a comma is missing at byte 16" },
		{ "{\"node\":{\"a\":[}}", "it has a value that is none at byte 14" },
		{ "{\"node\" {}}", "a colon is missing at byte 8" },
		{ "{\"node\":{}]", "a comma is missing at byte 10" },
		{ "{\"node\":{\"a\":01}}", "it has a value that is none at byte 15" },
		{ "{\"node\":{\"a\":1.}}", "it has a number that is none at byte 15" },
		{ "{\"node\":{\"a\":1e}}", "it has a number that is none at byte 15" },
		{ "{\"node\":{\"a\":nul}}", "it has a value that is none at byte 13" },
		{ "{\"node\":{\"a\":\"\\x\"}}", "a text has a bad escape at byte 14" },
		{ "{\"node\":{\"a\":\"\\u12g4\"}}", "a text has a bad escape at byte 14" },
		{ "{\"node\":{\"a\":\"\n\"}}", "a text has a control character at byte 14" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(decode(texts[i].text), -EINVAL);
		assert_string_equal(fault, texts[i].fault);
	}
	assert_int_equal(decode_with(CGM_DECODE_SUMMARY, "{\"node\":\0{}}", 12, &draft, &nr_bad, fault), -EINVAL);
	assert_string_equal(fault, "it has a value that is none at byte 8");
}

static void test_decode_summary__deep(void **state)
{
	enum { LEVELS = 1 << 20 };
	char *text = malloc(LEVELS + 64);

	(void)state;
	assert_non_null(text);
	for (int known = 0; known < 2; known++) {
		int head = snprintf(text, 64, known ? "{\"node\":{},\"pods\":" : "{\"node\":{\"x\":");

		memset(text + head, '[', LEVELS);
		assert_int_equal(decode_with(CGM_DECODE_SUMMARY, text, (size_t)head + LEVELS, &draft, &nr_bad, fault), -EINVAL);
		assert_non_null(strstr(fault, "nested too deep"));
	}
	free(text);
}

static void test_decode_summary__many(void **state)
{
	static const char one[] = "{\"name\":\"a\"},";
	size_t nr = 70000, at;
	char *text = malloc(nr * sizeof(one) + 64);

	(void)state;
	assert_non_null(text);
	at = (size_t)snprintf(text, 64, "{\"node\":{\"systemContainers\":[");
	for (size_t i = 0; i < nr; i++, at += sizeof(one) - 1)
		memcpy(text + at, one, sizeof(one));
	snprintf(text + at, 8, "{}]}}");
	assert_int_equal(decode(text), -EINVAL);
	assert_non_null(strstr(fault, "too many containers"));
	free(text);
}

/* ---- how long it takes (printed, never judged) ---- */

static void put_pod(struct cgm_buf *b, const char *pod, int i)
{
	const char *at = pod, *name;

	while ((name = strstr(at, "\"burn\"")) != NULL) {
		cgm_buf_put(b, at, (size_t)(name - at));
		cgm_buf_printf(b, "\"burn-%d\"", i);
		at = name + 6;
	}
	cgm_buf_str(b, at);
}

static void test_decode_summary__speed(void **state)
{
	const char *text = *state, *pods = strstr(text, "\"pods\": [") + 9, *second = strstr(pods, "\n  },\n"), *io = strstr(pods, "    {\n     \"name\": \"io\"");
	const char *io_end = strstr(io, "   ],\n");
	char pod[8192];
	struct cgm_buf b = { 0 };
	uint64_t best = UINT64_MAX;

	/* The first pod of the two, with one of its containers, thirty times. */
	snprintf(pod, sizeof(pod), "%.*s%.*s\n  }", (int)(io - pods), pods, (int)(second - io_end), io_end);
	{
		char *comma = strstr(pod, ",\n   ],");

		if (comma)
			*comma = ' ';
	}
	cgm_buf_put(&b, text, (size_t)(pods - text));
	for (int i = 0; i < 30; i++) {
		if (i)
			cgm_buf_char(&b, ',');
		put_pod(&b, pod, i);
	}
	cgm_buf_lit(&b, "]}");
	for (int i = 0; i < 200; i++) {
		uint64_t begin = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
		int r;

		cgm_draft_clear(&draft);
		nr_bad = 0;
		r = cgm_decode(CGM_DECODE_SUMMARY, b.p, b.len, &draft, &nr_bad, fault);
		if (r < 0)
			fail_msg("%s", fault);
		best = MIN(best, cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin);
	}
	assert_int_equal(draft.nr_sets, 2 + 30 * 2);
	assert_int_equal(nr_bad, 0);
	print_message("a Summary of 30 pods, %zu bytes: %.1f us\n", b.len, (double)best / 1000);
	cgm_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_summary__kubelet),
		cmocka_unit_test(test_decode_summary__brief),
		cmocka_unit_test(test_decode_summary__cut),
		cmocka_unit_test(test_decode_summary__memory),
		cmocka_unit_test(test_decode_summary__order),
		cmocka_unit_test(test_decode_summary__twins),
		cmocka_unit_test(test_decode_summary__bare_pod),
		cmocka_unit_test(test_decode_summary__extras),
		cmocka_unit_test(test_decode_summary__bad_values),
		cmocka_unit_test(test_decode_summary__times),
		cmocka_unit_test(test_decode_summary__bad_names),
		cmocka_unit_test(test_decode_summary__faults),
		cmocka_unit_test(test_decode_summary__deep),
		cmocka_unit_test(test_decode_summary__many),
		cmocka_unit_test(test_decode_summary__speed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
