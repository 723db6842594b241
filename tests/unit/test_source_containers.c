// SPDX-License-Identifier: Apache-2.0
#include "draft_fixture.h"

#include <jansson.h>

#define UID "733d0f14-e374-4c13-a557-667290d380e4"
#define AT "1795364958000000000"
#define LAST "\"timestamp\":\"2026-11-22T16:29:18Z\""

static struct cgm_draft draft;
static char fault[CGM_DECODE_FAULT];
static uint64_t nr_bad;

static int decode(enum cgm_decode_form form, const char *text)
{
	return decode_with(form, text, strlen(text), &draft, &nr_bad, fault);
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

/*
 * A real kubelet's with containerd. Heapster 1.5.4 made a system container of the sandbox and lost the pod's network with it; it logged the network that stands at the pod
 * here (666 and 892 bytes), these creation times, and kubepods as a system container.
 */
static void test_decode_containers__kubelet(void **state)
{
	size_t len;
	char *text = fixture_text("kubelet", "stats-container.json", &len);

	(void)state;
	assert_int_equal(decode(CGM_DECODE_CONTAINERS, text), 0);
	assert_int_equal(nr_bad, 0);
	assert_int_equal(draft.nr_sets, 5);
	assert_line(&draft, "node ",
		    "1795364972837150106 1795362776158737914 cpu/usage=3437901863550 memory/usage=2939904000 memory/rss=864022528 memory/cache=2075951104 memory/working_set=1782329344 "
		    "memory/page_faults=494342 memory/major_page_faults=0 network/rx=0 network/rx_errors=0 network/tx=0 network/tx_errors=0 memory/swap=0 "
		    "filesystem/usage{overlay_0-60}=32137830400 filesystem/limit{overlay_0-60}=270553174016 filesystem/available{overlay_0-60}=70607450112 "
		    "filesystem/inodes{overlay_0-60}=16777216 filesystem/inodes_free{overlay_0-60}=16160060");
	assert_line(&draft, "sys_container kubepods ",
		    "1795364973245016509 1795364600690773497 cpu/usage=17596923254 memory/usage=3657728 memory/rss=311296 memory/cache=1712128 memory/working_set=2609152 memory/page_faults=0 "
		    "memory/major_page_faults=0 memory/swap=0 tasks=7");
	assert_line(&draft, "pod default/burn(" UID ") ", "1795364957444521974 1795364735854776134 network/rx=666 network/rx_errors=0 network/tx=892 network/tx_errors=0");
	assert_line(&draft, "pod_container default/burn(" UID ") io <docker.io/local/busybox:1> ",
		    "1795364956514901231 1795364736178776140 cpu/usage=580454384 memory/usage=1671168 memory/rss=118784 memory/cache=1056768 memory/working_set=622592 memory/page_faults=27198 "
		    "memory/major_page_faults=0 memory/swap=0 tasks=2");
	free(text);
}

/* The same as a list; a cut is never taken for the whole. */
static void test_decode_containers__list(void **state)
{
	size_t len;
	char *text = fixture_text("kubelet", "stats-container.json", &len), *as_map;
	json_t *map = json_loadb(text, len, 0, NULL), *list = json_array(), *one;
	const char *name;
	char *list_text;

	(void)state;
	json_object_foreach(map, name, one)
		json_array_append(list, one);
	list_text = json_dumps(list, JSON_COMPACT);
	assert_non_null(list_text);
	assert_int_equal(decode(CGM_DECODE_CONTAINERS, text), 0);
	as_map = draft_text(&draft);
	assert_int_equal(decode(CGM_DECODE_SUBCONTAINERS, list_text), 0);
	assert_draft(as_map);
	check_cuts(CGM_DECODE_SUBCONTAINERS, list_text, 6000);
	check_cuts(CGM_DECODE_CONTAINERS, text, 6000);
	check_memory(CGM_DECODE_CONTAINERS, text, len);
	assert_int_equal(decode(CGM_DECODE_SUBCONTAINERS, text), -EINVAL);
	json_decref(list);
	json_decref(map);
	free(list_text);
	free(as_map);
	free(text);
}

#define ROOT "{\"name\":\"/\",\"spec\":{\"has_cpu\":true},\"stats\":[{" LAST ",\"cpu\":{\"usage\":{\"total\":1}}}]}"
#define LABELS(ns, pod, container) "\"labels\":{\"io.kubernetes.pod.namespace\":\"" ns "\",\"io.kubernetes.pod.name\":\"" pod "\",\"io.kubernetes.container.name\":\"" container "\"}"
#define CPU_OF(n) "{\"cpu\":{\"usage\":{\"total\":" n "}}," LAST "}"

/* Docker's POD, names of Kubernetes 1.0, the first alias, the last sample, stats in front of the spec. */
static void test_decode_containers__names(void **state)
{
	(void)state;
	assert_int_equal(decode(CGM_DECODE_SUBCONTAINERS,
				"[" ROOT
				",{\"name\":\"/docker/1\",\"aliases\":[\"k8s_POD.1_p\",\"1\"],\"spec\":{\"has_cpu\":true,\"has_network\":true,\"has_memory\":true," LABELS("n", "p", "POD") "},"
				"\"stats\":[{" LAST ",\"cpu\":{\"usage\":{\"total\":9}},\"memory\":{\"usage\":5},\"network\":{\"interfaces\":[{\"rx_bytes\":3},{\"rx_bytes\":4,\"tx_bytes\":1}]}}]}"
				",{\"stats\":[" CPU_OF("1") "," CPU_OF("2") "],\"name\":\"/docker/2\",\"spec\":{\"image\":\"i\"," LABELS("n", "p", "c") ",\"has_cpu\":true}}"
				",{\"name\":\"/docker/3\",\"aliases\":[\"k8s_old.9abc_q_n_u_1\"],\"spec\":{\"has_cpu\":true,\"labels\":{\"io.kubernetes.pod.name\":\"n/q\"}},\"stats\":[" CPU_OF("3") "]}"
				",{\"name\":\"/system.slice/a.service\",\"spec\":{\"has_cpu\":true},\"stats\":[" CPU_OF("4") "]}"
				",{\"name\":\"/docker/4\",\"aliases\":[\"web\"],\"spec\":{\"has_cpu\":true,\"labels\":null},\"stats\":[" CPU_OF("5") "]}"
				",{\"name\":\"/empty\",\"spec\":{\"has_cpu\":true},\"stats\":[]}]"),
			 0);
	assert_int_equal(nr_bad, 0);
	assert_draft("node " AT " 0 cpu/usage=1\n"
		     "sys_container system.slice/a.service " AT " 0 cpu/usage=4\n"
		     "sys_container web " AT " 0 cpu/usage=5\n"
		     "pod n/p() " AT " 0 network/rx=7 network/tx=1\n"
		     "pod_container n/p() c <i> " AT " 0 cpu/usage=2\n"
		     "pod n/q() 0 0\n"
		     "pod_container n/q() old " AT " 0 cpu/usage=3\n");
}

/* An old and a new pod of one name: by uid, the one that started last. */
static void test_decode_containers__twins(void **state)
{
#define OF(uid, kind, created) \
	"{\"name\":\"/x" uid kind "\",\"spec\":{\"creation_time\":\"" created "\",\"labels\":{\"io.kubernetes.pod.uid\":\"" uid "\",\"io.kubernetes.pod.name\":\"p\",\"io.kubernetes.pod.namespace\":\"n\",\
\"io.cri-containerd.kind\":\"" kind "\"}},\"stats\":[{" LAST "}]}"
	(void)state;
	assert_int_equal(decode(CGM_DECODE_SUBCONTAINERS, "[" ROOT "," OF("old", "sandbox", "2026-11-22T16:29:17Z") "," OF("new", "sandbox", "2026-11-22T16:29:18Z") "]"), 0);
	assert_draft("node " AT " 0 cpu/usage=1\npod n/p(new) " AT " " AT "\n");
	assert_int_equal(decode(CGM_DECODE_SUBCONTAINERS, "[" ROOT "," OF("new", "sandbox", "2026-11-22T16:29:18Z") "," OF("old", "sandbox", "2026-11-22T16:29:17Z") "]"), 0);
	assert_draft("node " AT " 0 cpu/usage=1\npod n/p(new) " AT " " AT "\n");
}

#define TAKEN "\"has_cpu\":true,\"has_memory\":true,\"has_filesystem\":true,\"has_diskio\":true,\"has_processes\":true"

static void test_decode_containers__labeled(void **state)
{
	(void)state;
	assert_int_equal(decode(CGM_DECODE_SUBCONTAINERS,
				"[" ROOT ",{\"name\":\"/a\",\"stats\":[{" LAST ",\"filesystem\":[{\"device\":\"/dev/gone\",\"usage\":1}]},{" LAST
				",\"filesystem\":[{\"device\":\"/dev/sda1\",\"usage\":1,\"capacity\":2,\"available\":3,\"has_inodes\":false,\"inodes\":0},{\"usage\":7},null],"
				"\"diskio\":{\"io_service_bytes\":[{\"device\":\"/dev/sda\",\"major\":8,\"minor\":0,\"stats\":{\"Read\":5,\"Write\":6,\"Sync\":1}},"
				"{\"device\":\"\",\"major\":8,\"minor\":16,\"stats\":{\"Read\":7}},{\"stats\":{\"Read\":7}}],\"io_serviced\":[{\"device\":\"/dev/sda\",\"stats\":{\"Read\":1}}]},"
				"\"cpu\":{\"cfs\":{\"periods\":2,\"throttled_time\":9},\"schedstat\":{\"run_time\":1,\"runqueue_time\":8}},\"processes\":{\"threads_current\":3}}],\"spec\":{" TAKEN "}},"
				"{\"name\":\"/b\",\"spec\":{\"has_cpu\":true},\"stats\":[{" LAST ",\"memory\":{\"usage\":1},\"filesystem\":[{\"device\":\"/dev/sda1\",\"usage\":1}],"
				"\"cpu\":{\"usage\":{\"total\":3},\"cfs\":{\"periods\":0,\"throttled_time\":0},\"schedstat\":{\"run_time\":0}}}]}]"),
			 0);
	assert_int_equal(nr_bad, 2);
	assert_draft("node " AT " 0 cpu/usage=1\n"
		     "sys_container a " AT " 0 cpu/run_queue_delay=8 cpu/throttled=9 tasks=3 filesystem/usage{/dev/sda1}=1 filesystem/limit{/dev/sda1}=2 "
		     "filesystem/available{/dev/sda1}=3 disk/io_read_bytes{/dev/sda}=5 disk/io_write_bytes{/dev/sda}=6 disk/io_read_bytes{8:16}=7\n"
		     "sys_container b " AT " 0 cpu/usage=3\n");
}

/* The newest value of an application's metric, of the type that the spec says; a zero is left out of JSON. */
static void test_decode_containers__custom(void **state)
{
	(void)state;
	assert_int_equal(decode(CGM_DECODE_SUBCONTAINERS,
				"[" ROOT ",{\"name\":\"/a\",\"stats\":[{" LAST ",\"custom_metrics\":{\"qps\":[{\"timestamp\":\"2026-11-22T16:29:16Z\",\"float_value\":1.5},"
				"{\"timestamp\":\"2026-11-22T16:29:17Z\",\"float_value\":2.5},{\"timestamp\":\"2026-11-22T16:29:15Z\",\"float_value\":3.5}],"
				"\"zero\":[{\"timestamp\":\"2026-11-22T16:29:16Z\"}],\"n\":[{\"timestamp\":\"2026-11-22T16:29:16Z\",\"int_value\":7}],\"none\":[]},"
				"\"accelerators\":[{\"id\":\"G\",\"make\":\"nvidia\",\"model\":\"t\",\"memory_total\":3,\"memory_used\":2,\"duty_cycle\":1}]}],"
				"\"spec\":{" LABELS("n", "p", "c") ",\"custom_metrics\":[{\"name\":\"qps\",\"type\":\"gauge\",\"format\":\"float\"},"
				"{\"name\":\"zero\",\"format\":\"float\"},{\"name\":\"n\",\"format\":\"int\"}]}}]"),
			 0);
	assert_int_equal(nr_bad, 0);
	assert_line(&draft, "pod_container n/p() c ", AT " 0 qps{}=2.5 zero{}=0 n{}=7 accelerator/memory_total{G,nvidia,t}=3 accelerator/memory_used{G,nvidia,t}=2 accelerator/duty_cycle{G,nvidia,t}=1");
	assert_true(draft.labeled[1].labeled.is_float);
	assert_false(draft.labeled[2].labeled.is_float);
}

/* An application may count below zero; what is no number is not told as zero, nor does it hide the value before it. */
static void test_decode_containers__custom_values(void **state)
{
#define ONE(value) "{\"timestamp\":\"2026-11-22T16:29:16Z\",\"int_value\":" value "}"
	(void)state;
	assert_int_equal(decode(CGM_DECODE_SUBCONTAINERS,
				"[" ROOT ",{\"name\":\"/a\",\"stats\":[{" LAST ",\"custom_metrics\":{\"below\":[" ONE("-7") "],\"least\":[" ONE("-99999999999999999999") "],"
				"\"bad\":[" ONE("\"7\"") "],\"half\":[" ONE("1.5") "],\"nan\":[{\"float_value\":\"NaN\"}],"
				"\"kept\":[" ONE("3") ",{\"timestamp\":\"2026-11-22T16:29:17Z\",\"int_value\":true}]}}],\"spec\":{" LABELS("n", "p", "c") "}}]"),
			 0);
	assert_int_equal(nr_bad, 4);
	assert_line(&draft, "pod_container n/p() c ", AT " 0 below{}=-7 least{}=-9223372036854775807 kept{}=3");
}

static void test_decode_containers__faults(void **state)
{
	static const struct {
		enum cgm_decode_form form;
		const char *text, *fault;
	} texts[] = {
		{ CGM_DECODE_CONTAINERS, "{}", "it has no container with a sample" },
		{ CGM_DECODE_CONTAINERS, "{\"/\":{\"name\":\"/\",\"stats\":[]}}", "it has no container with a sample" },
		{ CGM_DECODE_CONTAINERS, "[]", "it has no container with a sample" },
		{ CGM_DECODE_SUBCONTAINERS, "[]", "it has no container with a sample" },
		{ CGM_DECODE_SUBCONTAINERS, "{\"/\":" ROOT "}", "it has no container with a sample" },
		{ CGM_DECODE_SUBCONTAINERS, "failed to get container", "it has a value that is none at byte 0" },
		{ CGM_DECODE_SUBCONTAINERS, "[" ROOT, "it is cut short at byte 112" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(decode(texts[i].form, texts[i].text), -EINVAL);
		assert_string_equal(fault, texts[i].fault);
	}
}

/* More file systems than a machine has: in order for the sealing, and one more than may be. */
static void test_decode_containers__many_labeled(void **state)
{
	struct cgm_buf b = { 0 };
	struct cgm_slice *slice = NULL;

	(void)state;
	for (unsigned nr = 50000; nr <= 150000; nr += 100000) {
		b.len = 0;
		cgm_buf_lit(&b, "[{\"name\":\"/\",\"spec\":{\"has_filesystem\":true},\"stats\":[{" LAST ",\"filesystem\":[");
		for (unsigned i = 0; i < nr; i++)
			cgm_buf_printf(&b, "%s{\"device\":\"d%u\",\"usage\":%u,\"capacity\":%u}", i ? "," : "", i, i, i);
		cgm_buf_lit(&b, "]}]}]");
		if (nr > 100000) {
			assert_int_equal(decode_with(CGM_DECODE_SUBCONTAINERS, b.p, b.len, &draft, &nr_bad, fault), -EINVAL);
			assert_string_equal(fault, "it has too many values");
			break;
		}
		assert_int_equal(decode_with(CGM_DECODE_SUBCONTAINERS, b.p, b.len, &draft, &nr_bad, fault), 0);
		assert_int_equal(draft.nr_labeled, 2 * nr);
		draft.sets[0].entity = cgm_entity_new(&(struct cgm_entity_facts){ .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = "n" } });
		assert_int_equal(cgm_draft_seal(&draft, "n", 1, 1, &slice), 0);
		for (unsigned i = 0; i < 2 * nr; i++) {
			assert_int_equal(slice->sets[0].labeled[i].metric, i < nr ? CGM_CM_FILESYSTEM_USAGE : CGM_CM_FILESYSTEM_LIMIT);
			assert_int_equal(slice->sets[0].labeled[i].value.i, i % nr);
		}
		cgm_slice_unref(slice);
	}
	cgm_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_containers__kubelet),
		cmocka_unit_test(test_decode_containers__list),
		cmocka_unit_test(test_decode_containers__names),
		cmocka_unit_test(test_decode_containers__twins),
		cmocka_unit_test(test_decode_containers__labeled),
		cmocka_unit_test(test_decode_containers__custom),
		cmocka_unit_test(test_decode_containers__custom_values),
		cmocka_unit_test(test_decode_containers__faults),
		cmocka_unit_test(test_decode_containers__many_labeled),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
