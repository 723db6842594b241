// SPDX-License-Identifier: Apache-2.0
#include "draft_fixture.h"

static struct cgm_draft draft;
static char fault[CGM_DECODE_FAULT];
static uint64_t nr_bad;

static int decode(const char *text)
{
	return decode_with(CGM_DECODE_RESOURCE, text, strlen(text), &draft, &nr_bad, fault);
}

static void assert_draft(const char *wanted)
{
	char *text = draft_text(&draft);

	assert_string_equal(text, wanted);
	free(text);
}

static int teardown(void **state)
{
	(void)state;
	cgm_draft_done(&draft);
	return 0;
}

/* A real kubelet's, of the same moment as summary.json: the same CPU and working set, to the nanosecond. */
static void test_decode_resource__kubelet(void **state)
{
	size_t len;
	char *text = fixture_text("kubelet", "resource.txt", &len);

	(void)state;
	assert_int_equal(decode(text), 0);
	assert_int_equal(nr_bad, 0);
	assert_draft("node 1795364972837000000 0 cpu/usage=3437901863550 memory/working_set=1782329344\n"
		     "pod default/burn() 1795364961498000000 0\n"
		     "pod_container default/burn() cpu 1795364958726000000 0 cpu/usage=15923613819 memory/working_set=720896\n"
		     "pod_container default/burn() io 1795364956514000000 0 cpu/usage=580454384 memory/working_set=622592\n"
		     "pod kube-system/quiet() 1795364970819000000 0\n"
		     "pod_container kube-system/quiet() sleeper 1795364952654000000 0 cpu/usage=19588819 memory/working_set=856064\n");
	check_memory(CGM_DECODE_RESOURCE, text, len);
	free(text);
}

/* A cut is seen within a line, not between two. */
static void test_decode_resource__cut(void **state)
{
	size_t len;
	char *text = fixture_text("kubelet", "resource.txt", &len);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		int r = decode_with(CGM_DECODE_RESOURCE, text, cut, &draft, &nr_bad, fault);

		assert_int_equal(nr_bad, 0);
		assert_true(r == -EINVAL || (r == 0 && text[cut - 1] == '\n'));
	}
	free(text);
}

/* A newer one: start times, swap, labels in any order, with blanks, escapes and one that we do not know; other families; a pod without containers. */
static void test_decode_resource__newer(void **state)
{
	(void)state;
	assert_int_equal(decode("# TYPE x counter\nother_family{container=\"\\q\" 1 2 3 4\n\n"
				"container_start_time_seconds{pod=\"p\", container=\"c\",namespace=\"n\",} 1.795364736042e+09\n"
				"container_swap_usage_bytes{pod=\"p\",namespace=\"n\",container=\"c\"} 4096 1795364958726\n"
				"container_swap_limit_bytes{pod=\"p\",namespace=\"n\",container=\"c\"} 1 1795364958726\n"
				"container_memory_working_set_bytes { x=\"}\\\"{\" , pod=\"p\",container=\"c\",namespace=\"n\"} 1e3 1795364958725\n"
				"container_cpu_usage_seconds_total{pod=\"q\\\\\",container=\"c\",namespace=\"n\"} 1e-9\n"
				"pod_memory_working_set_bytes{pod=\"p\",namespace=\"n\"} 1 1795364958727\n"
				"pod_memory_working_set_bytes{pod=\"lone\",namespace=\"n\"} 2 1795364958727\n"
				"pod_swap_usage_bytes{pod=\"lone\",namespace=\"n\"} 3 1795364958727\n"
				"node_swap_usage_bytes 5 1795364958727\nscrape_error 0\nresource_scrape_error 0\n"),
			 0);
	assert_int_equal(nr_bad, 0);
	assert_draft("node 1795364958727000000 0 memory/swap=5\n"
		     "pod n/p() 1795364958727000000 0\n"
		     "pod_container n/p() c 1795364958726000000 1795364736042000000 memory/working_set=1000 memory/swap=4096\n"
		     "pod n/q\\() 0 0\n"
		     "pod_container n/q\\() c 0 0 cpu/usage=1\n"
		     "pod n/lone() 1795364958727000000 0 memory/working_set=2 memory/swap=3\n");
}

static void test_decode_resource__numbers(void **state)
{
	static const struct {
		const char *value;
		int64_t seconds, bytes; /* -1: bad */
	} numbers[] = {
		{ "0", 0, 0 }, { "1", 1000000000, 1 }, { "3437.90186355", 3437901863550, 3438 }, { "0.04853008", 48530080, 0 }, { ".5", 500000000, 1 }, { "5.", 5000000000, 5 },
		{ "+2", 2000000000, 2 }, { "1.782329344e+09", 1782329344000000000, 1782329344 }, { "1E2", 100000000000, 100 }, { "123456789e-10", 12345679, 0 },
		{ "1e400", INT64_MAX, INT64_MAX }, { "0e99999999999", 0, 0 }, { "1e-400", 0, 0 }, { "9223372036854775807", INT64_MAX, INT64_MAX },
		{ "18446744073709551616", INT64_MAX, INT64_MAX }, { "99999999999999999999999999", INT64_MAX, INT64_MAX },
		{ "0.000000000000000000000000000000000000000000000000000001", 0, 0 }, { "00000000000000000000000000000000000012.0000000000000000000000000000", 12000000000, 12 },
		{ "-1", -1, -1 }, { "NaN", -1, -1 }, { "+Inf", -1, -1 }, { "-Inf", -1, -1 }, { "", -1, -1 }, { "1e", -1, -1 }, { "1e+", -1, -1 }, { "0x10", -1, -1 },
		{ "1.2.3", -1, -1 }, { "1_0", -1, -1 }, { ".", -1, -1 }, { "+", -1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		char text[512], wanted[256];

		snprintf(text, sizeof(text), "node_cpu_usage_seconds_total %s\nnode_memory_working_set_bytes %s\nnode_swap_usage_bytes 1\n", numbers[i].value, numbers[i].value);
		assert_int_equal(decode(text), 0);
		assert_int_equal(nr_bad, numbers[i].seconds < 0 ? 2 : 0);
		snprintf(wanted, sizeof(wanted), "node 0 0 cpu/usage=%" PRId64 " memory/working_set=%" PRId64 " memory/swap=1\n", numbers[i].seconds, numbers[i].bytes);
		if (numbers[i].seconds < 0)
			snprintf(wanted, sizeof(wanted), "node 0 0 memory/swap=1\n");
		assert_draft(wanted);
	}
}

/* A line of ours that cannot be read is counted, and the others stay. */
static void test_decode_resource__bad_lines(void **state)
{
	static const char *const lines[] = {
		"node_cpu_usage_seconds_total", "node_cpu_usage_seconds_total 1 2", "node_cpu_usage_seconds_total 1 1795364958726 3", "node_cpu_usage_seconds_total 1 x",
		"node_cpu_usage_seconds_total 1 4951038558726", "node_cpu_usage_seconds_total{ 1", "pod_memory_working_set_bytes 1", "pod_memory_working_set_bytes{pod=\"p\"} 1",
		"pod_memory_working_set_bytes{pod=\"\",namespace=\"n\"} 1", "pod_memory_working_set_bytes{pod=\"p,namespace=\"n\"} 1", "pod_memory_working_set_bytes{pod=p,namespace=\"n\"} 1",
		"pod_memory_working_set_bytes{pod=\"\xff\",namespace=\"n\"} 1", "pod_memory_working_set_bytes{pod=\"\xe2\x82\",namespace=\"n\"} 1",
		"pod_memory_working_set_bytes{pod=\"a\\nb\",namespace=\"n\"} 1", "pod_memory_working_set_bytes{pod=\"p\",namespace=\"n\" 1",
		"pod_memory_working_set_bytes{pod=\"p\\", "container_cpu_usage_seconds_total{pod=\"p\",namespace=\"n\"} 1",
		"container_start_time_seconds{pod=\"p\",namespace=\"n\",container=\"\"} 1795364958",
	};
	char *giant = malloc(1 << 20);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[512];

		snprintf(text, sizeof(text), "%s\nnode_swap_usage_bytes 1\n", lines[i]);
		assert_int_equal(decode(text), 0);
		if (nr_bad != 1)
			fail_msg("%s", lines[i]);
		assert_draft("node 0 0 memory/swap=1\n");
	}
	/* A start that is no time has a container all the same. */
	assert_int_equal(decode("container_start_time_seconds{pod=\"p\",namespace=\"n\",container=\"c\"} 17\n"), 0);
	assert_int_equal(nr_bad, 1);
	assert_draft("node 0 0\npod n/p() 0 0\npod_container n/p() c 0 0\n");
	assert_non_null(giant);
	snprintf(giant, 1 << 20, "pod_memory_working_set_bytes{pod=\"%0*d\",namespace=\"n\"} 1\nnode_swap_usage_bytes %0*d\n", 500000, 0, 500000, 1);
	assert_int_equal(decode(giant), 0);
	assert_int_equal(nr_bad, 1);
	assert_draft("node 0 0 memory/swap=1\n");
	free(giant);
}

static void test_decode_resource__faults(void **state)
{
	static const struct {
		const char *text, *fault;
	} texts[] = {
		{ "", "it has no sample of a node, a pod or a container in 0 bytes" },
		{ "# nothing\n", "it has no sample of a node, a pod or a container in 10 bytes" },
		{ "<html>\n</html>\n", "it has no sample of a node, a pod or a container in 15 bytes" },
		{ "{\"kind\":\"Status\"}", "it is cut short at byte 17: its last line has no end" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(decode(texts[i].text), -EINVAL);
		assert_string_equal(fault, texts[i].fault);
	}
}

/* Names by the ten thousand, and one more than may be. */
static void test_decode_resource__many(void **state)
{
	struct cgm_buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 40000; i++)
		cgm_buf_printf(&b, "container_memory_working_set_bytes{container=\"c\",namespace=\"n\",pod=\"p%u\"} %u\n", i % (i < 30000 ? 20000 : 40000), i);
	assert_int_equal(decode_with(CGM_DECODE_RESOURCE, b.p, b.len, &draft, &nr_bad, fault), 0);
	assert_int_equal(nr_bad, 0);
	assert_int_equal(draft.nr_sets, 1 + 2 * 30000);
	for (size_t i = 1; i < draft.nr_sets; i++)
		assert_int_equal(draft.sets[i].kind, i % 2 ? CGM_SET_POD : CGM_SET_CONTAINER);
	for (unsigned i = 0; i < 40000; i++)
		cgm_buf_printf(&b, "pod_memory_working_set_bytes{namespace=\"m\",pod=\"p%u\"} 1\n", i);
	assert_int_equal(decode_with(CGM_DECODE_RESOURCE, b.p, b.len, &draft, &nr_bad, fault), -EINVAL);
	assert_non_null(strstr(fault, "too many containers"));
	cgm_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_resource__kubelet),
		cmocka_unit_test(test_decode_resource__cut),
		cmocka_unit_test(test_decode_resource__newer),
		cmocka_unit_test(test_decode_resource__numbers),
		cmocka_unit_test(test_decode_resource__bad_lines),
		cmocka_unit_test(test_decode_resource__faults),
		cmocka_unit_test(test_decode_resource__many),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
