// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "process_fixture.h"

#include "base/clock.h"

#define WEB                                                                                                                                                   \
	"{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"default\",\"uid\":\"pod-uid-1\",\"labels\":{\"tier\":\"front\",\"app\":\"web\"}},\"spec\":{\"nodeName\":\"node-a\"," \
	"\"containers\":[{\"name\":\"c1\",\"image\":\"nginx:1\",\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"},\"limits\":{\"cpu\":\"500m\",\"memory\":"    \
	"\"128Mi\"}}},{\"name\":\"c2\",\"image\":\"side:1\"}]},\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"c1\",\"restartCount\":3},{\"name\":"      \
	"\"c2\",\"restartCount\":0}]}}"

static struct cgm_kube_label node_labels[] = { { "kubernetes.io/hostname", "node-a" }, { "zone", "z1" } };
static struct cgm_kube_node node_a = {
	.refs = 1, .name = "node-a", .uid = "u", .hostname = "node-a", .external_id = "ext-1", .labels = node_labels, .nr_labels = 2, .ready = true, .schedulable = true,
	.cpu_capacity_milli = 2000, .cpu_allocatable_milli = 1900, .memory_capacity_bytes = 8589934592, .memory_allocatable_bytes = 7516192768,
};
static const struct cgm_node_facts facts_a = { .name = "node-a", .hostname = "node-a", .host_id = "ext-1", .node = &node_a };
static const struct cgm_node_facts facts_alone = { .name = "alone" };

static void give(struct cgm_process *p, const struct cgm_node_facts *facts, struct cgm_draft *d, uint64_t end_ns)
{
	cgm_process_node(p, facts, d, end_ns);
	cgm_draft_done(d);
}

/* ---- Heapster 1.5.4's own figures ---- */

#define CREATED (1795359278 * SEC)

static void put_file_system(struct cgm_draft *d, uint32_t set, const char *name)
{
	put_device(d, set, "filesystem/usage", name, 123456);
	put_device(d, set, "filesystem/limit", name, 1000000000);
	put_device(d, set, "filesystem/available", name, 900000000);
	put_device(d, set, "filesystem/inodes", name, 1000);
	put_device(d, set, "filesystem/inodes_free", name, 900);
}

struct sample {
	uint64_t scraped_ns;
	int64_t c1, c2, node, faults, rx, tx;
};

/* What its summary source read twice, ten seconds apart. */
static const struct sample summary[] = {
	{ 1795362885 * SEC, 721316243219, 360658121609, 3606581216096, 4606, 360658, 721316 },
	{ 1795362895 * SEC, 723314166593, 361657083296, 3616570832967, 4616, 361657, 723314 },
};

static void put_summary(struct cgm_draft *d, const struct sample *s)
{
	uint32_t node = add_set(d, "node", s->scraped_ns, CREATED), sys = add_set(d, "sys kubelet", s->scraped_ns, CREATED);
	uint32_t pod = add_set(d, "default/web-1", s->scraped_ns, CREATED), c1 = add_set(d, "default/web-1/c1", s->scraped_ns, CREATED),
		 c2 = add_set(d, "default/web-1/c2", s->scraped_ns, CREATED);

	d->node = "node-a";
	d->sets[pod].uid = d->sets[c1].uid = d->sets[c2].uid = "pod-uid-1";
	put_values(d, node, "cpu/usage", s->node, "memory/usage", 500000000L, "memory/rss", 300000000L, "memory/working_set", 400000000L, "memory/page_faults", s->faults,
		   "memory/major_page_faults", 5L, "network/rx", s->rx, "network/rx_errors", 0L, "network/tx", s->tx, "network/tx_errors", 0L, END);
	put_values(d, sys, "cpu/usage", s->c2, "memory/usage", 50000000L, "memory/rss", 30000000L, "memory/working_set", 40000000L, "memory/page_faults", s->faults,
		   "memory/major_page_faults", 5L, END);
	put_values(d, pod, "network/rx", s->rx, "network/rx_errors", 0L, "network/tx", s->tx, "network/tx_errors", 0L, END);
	put_values(d, c1, "cpu/usage", s->c1, "memory/usage", 100000000L, "memory/rss", 60000000L, "memory/working_set", 80000000L, "memory/page_faults", s->faults,
		   "memory/major_page_faults", 5L, END);
	put_values(d, c2, "cpu/usage", s->c2, "memory/usage", 50000000L, "memory/rss", 30000000L, "memory/working_set", 40000000L, "memory/page_faults", s->faults,
		   "memory/major_page_faults", 5L, END);
	put_file_system(d, node, "/");
	put_file_system(d, pod, "Volume:data");
	put_file_system(d, c1, "/");
	put_file_system(d, c1, "logs");
}

#define FS(name) "filesystem/usage=123456 " name "\nfilesystem/limit=1000000000 " name "\nfilesystem/available=900000000 " name "\nfilesystem/inodes=1000 " name "\nfilesystem/inodes_free=900 " name "\n"
#define BY_POD                                                                                                                                                   \
	"host_id: ext-1\nhostname: node-a\nlabels: app:web,tier:front\nnamespace_id: uid-of-default\nnamespace_name: default\nnodename: node-a\npod_id: pod-uid-1\npod_name: " \
	"web-1\n"
#define REQUESTS(cpu_request, cpu_limit) "cpu/request=" cpu_request "\ncpu/limit=" cpu_limit "\n"

static void first_of_summary(const struct cgm_slice *s)
{
	assert_int_equal(s->nr_sets, 5);
	is_shown(s, "namespace:default/pod:web-1",
		 "uptime=3607000\n" REQUESTS("100", "500") "memory/usage=150000000\nmemory/rss=90000000\nmemory/working_set=120000000\nmemory/request=67108864\n"
		 "memory/limit=134217728\nnetwork/rx=360658\nnetwork/rx_errors=0\nnetwork/tx=721316\nnetwork/tx_errors=0\nrestart_count=3\n" FS("Volume:data") BY_POD);
	is_shown(s, "namespace:default/pod:web-1/container:c1",
		 "uptime=3607000\ncpu/usage=721316243219\n" REQUESTS("100", "500") "memory/usage=100000000\nmemory/rss=60000000\nmemory/working_set=80000000\n"
		 "memory/page_faults=4606\nmemory/major_page_faults=5\nmemory/request=67108864\nmemory/limit=134217728\nrestart_count=3\n"
		 "filesystem/usage=123456 /\nfilesystem/usage=123456 logs\nfilesystem/limit=1000000000 /\nfilesystem/limit=1000000000 logs\n"
		 "filesystem/available=900000000 /\nfilesystem/available=900000000 logs\nfilesystem/inodes=1000 /\nfilesystem/inodes=1000 logs\n"
		 "filesystem/inodes_free=900 /\nfilesystem/inodes_free=900 logs\ncontainer_base_image: nginx:1\ncontainer_name: c1\n" BY_POD);
	is_shown(s, "node:node-a",
		 "uptime=3607000\ncpu/usage=3606581216096\n" REQUESTS("100", "500") "cpu/node_capacity=2000.000000\ncpu/node_allocatable=1900.000000\n"
		 "cpu/node_utilization=0.000000\ncpu/node_reservation=0.052632\nmemory/usage=500000000\nmemory/rss=300000000\nmemory/working_set=400000000\n"
		 "memory/page_faults=4606\nmemory/major_page_faults=5\nmemory/request=67108864\nmemory/limit=134217728\nmemory/node_capacity=8589934592.000000\n"
		 "memory/node_allocatable=7516192768.000000\nmemory/node_utilization=0.066523\nmemory/node_reservation=0.008929\n"
		 "network/rx=360658\nnetwork/rx_errors=0\nnetwork/tx=721316\nnetwork/tx_errors=0\n" FS("/")
		 "host_id: ext-1\nhostname: node-a\nlabels: kubernetes.io/hostname:node-a,zone:z1\nnodename: node-a\nschedulable: true\n");
	is_shown(s, "node:node-a/container:kubelet",
		 "uptime=3607000\ncpu/usage=360658121609\nmemory/usage=50000000\nmemory/rss=30000000\nmemory/working_set=40000000\nmemory/page_faults=4606\n"
		 "memory/major_page_faults=5\ncontainer_name: kubelet\nhost_id: ext-1\nhostname: node-a\nnodename: node-a\n");
}

/* Heapster's millicores were 199, 99, 298 and 998: it cut the fraction off. */
static void second_of_summary(const struct cgm_slice *s)
{
	is_shown(s, "namespace:default/pod:web-1",
		 "uptime=3617000\ncpu/usage_rate=300\n" REQUESTS("100", "500") "memory/usage=150000000\nmemory/rss=90000000\nmemory/working_set=120000000\n"
		 "memory/page_faults_rate=2.000000\nmemory/major_page_faults_rate=0.000000\nmemory/request=67108864\nmemory/limit=134217728\n"
		 "network/rx=361657\nnetwork/rx_errors=0\nnetwork/tx=723314\nnetwork/tx_errors=0\nnetwork/rx_rate=99.900000\nnetwork/rx_errors_rate=0.000000\n"
		 "network/tx_rate=199.800000\nnetwork/tx_errors_rate=0.000000\nrestart_count=3\n" FS("Volume:data") BY_POD);
	is_shown(s, "namespace:default/pod:web-1/container:c2",
		 "uptime=3617000\ncpu/usage=361657083296\ncpu/usage_rate=100\n" REQUESTS("0", "0") "memory/usage=50000000\nmemory/rss=30000000\n"
		 "memory/working_set=40000000\nmemory/page_faults=4616\nmemory/major_page_faults=5\nmemory/page_faults_rate=1.000000\n"
		 "memory/major_page_faults_rate=0.000000\nmemory/request=0\nmemory/limit=0\nrestart_count=0\ncontainer_base_image: side:1\ncontainer_name: c2\n" BY_POD);
	assert_int_equal(int_of(s, "namespace:default/pod:web-1/container:c1", "cpu/usage_rate"), 200);
	assert_int_equal(int_of(s, "node:node-a", "cpu/usage_rate"), 999);
	assert_true(float_of(s, "node:node-a", "cpu/node_utilization") == 999.0 / 1900.0);
	assert_true(float_of(s, "node:node-a", "memory/node_utilization") == 500000000.0 / 7516192768.0);
}

static void test_process__summary_as_heapster(void **state)
{
	struct cgm_process_config config = config_of(true);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	const char *const order[] = { "node:node-a", "node:node-a/container:kubelet", "namespace:default/pod:web-1", "namespace:default/pod:web-1/container:c1",
				      "namespace:default/pod:web-1/container:c2" };
	struct cgm_draft d = { 0 };

	(void)state;
	api_pod(WEB);
	put_summary(&d, &summary[0]);
	give(p, &facts_a, &d, BASE + 40 * SEC);
	first_of_summary(newest());
	cgm_process_cycle(p, BASE + 40 * SEC);
	assert_int_equal(newest()->nr_sets, 2);
	is_shown(newest(), "cluster", REQUESTS("100", "500") "memory/usage=150000000\nmemory/request=67108864\nmemory/limit=134217728\n");
	put_summary(&d, &summary[1]);
	give(p, &facts_a, &d, BASE + 50 * SEC);
	second_of_summary(newest());
	for (unsigned i = 0; i < 5; i++)
		assert_string_equal(newest()->sets[i].entity->key, order[i]);
	for (unsigned i = 0; i < 5; i++) /* nobody changed */
		assert_ptr_equal(newest()->sets[i].entity, got.slices[0]->sets[i].entity);
	cgm_process_cycle(p, BASE + 50 * SEC);
	is_shown(newest(), "cluster", "cpu/usage_rate=300\n" REQUESTS("100", "500") "memory/usage=150000000\nmemory/request=67108864\nmemory/limit=134217728\n");
	is_shown(newest(), "namespace:default",
		 "cpu/usage_rate=300\n" REQUESTS("100", "500") "memory/usage=150000000\nmemory/request=67108864\nmemory/limit=134217728\n"
		 "namespace_id: uid-of-default\nnamespace_name: default\n");
	assert_int_equal(newest()->end_ns, BASE + 50 * SEC);
	assert_string_equal(newest()->node, "");
	assert_int_equal(cgm_process_stats(p).nr_slices, 4);
	assert_int_equal(cgm_process_stats(p).nr_sets, 14);
	assert_int_equal(cgm_process_stats(p).nr_summed, 1);
	assert_int_equal(cgm_process_stats(p).nr_resets + cgm_process_stats(p).nr_mixed + cgm_process_stats(p).nr_unknown_pods + cgm_process_stats(p).nr_lost, 0);
}

/* Its kubernetes source: a pod has values of its own (the sandbox), and the containers' come on top; block devices. */
struct k_sample {
	uint64_t pod_ns, c1_ns, c2_ns;
	int64_t c1, c2, faults, rx, vda, vdb;
};
static const struct k_sample containers[] = {
	{ 1795363290031229000, 1795363290031186000, 1795363290031210000, 802319299077, 401159647130, 5011, 401159, 4011596, 200579826 },
	{ 1795363300024293000, 1795363300024263000, 1795363300024279000, 804317914581, 402158958911, 5021, 402158, 4021589, 201079480 },
};

static void put_containers(struct cgm_draft *d, const struct k_sample *s)
{
	uint32_t pod = add_set(d, "default/web-1", s->pod_ns, CREATED + 434690000), c1 = add_set(d, "default/web-1/c1", s->c1_ns, CREATED + 434690000),
		 c2 = add_set(d, "default/web-1/c2", s->c2_ns, CREATED + 434690000);

	put_values(d, pod, "cpu/usage", 0L, "memory/cache", 10000000L, "memory/page_faults", s->faults, "network/rx", s->rx, END);
	put_values(d, c1, "cpu/usage", s->c1, "memory/cache", 10000000L, "memory/page_faults", s->faults, "network/rx", s->rx, END);
	put_values(d, c2, "cpu/usage", s->c2, "memory/cache", 10000000L, "memory/page_faults", s->faults, "network/rx", s->rx, END);
	put_device(d, pod, "disk/io_read_bytes", "/dev/vda", s->vda);
	put_device(d, pod, "disk/io_read_bytes", "/dev/vdb", s->vdb);
	put_device(d, pod, "disk/io_write_bytes", "/dev/vda", s->vda * 2);
	put_device(d, pod, "disk/io_write_bytes", "/dev/vdb", 0);
}

static double device_rate(const struct cgm_slice *s, const char *key, const char *name, const char *device)
{
	const struct cgm_set *set = set_of(s, key);

	for (uint32_t i = 0; i < set->nr_labeled; i++)
		if (set->labeled[i].metric == metric(name) && strcmp(cgm_labeled_labels(&set->labeled[i])[0].value, device) == 0)
			return set->labeled[i].value.f;
	return -1;
}

static void test_process__containers_as_heapster(void **state)
{
	struct cgm_process_config config = config_of(true);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	const char *pod = "namespace:default/pod:web-1";
	struct cgm_draft d = { 0 };

	(void)state;
	api_pod(WEB);
	put_containers(&d, &containers[0]);
	give(p, &facts_a, &d, BASE);
	assert_true(device_rate(newest(), pod, "disk/io_read_bytes_rate", "/dev/vda") < 0);
	put_containers(&d, &containers[1]);
	give(p, &facts_a, &d, BASE + 10 * SEC);
	assert_int_equal(int_of(newest(), pod, "cpu/usage"), 0);
	assert_int_equal(int_of(newest(), pod, "cpu/usage_rate"), 300);
	assert_int_equal(int_of(newest(), pod, "memory/cache"), 30000000);
	assert_int_equal(int_of(newest(), pod, "memory/page_faults"), 5021); /* a counter of its own: nothing is added */
	assert_float_equal(float_of(newest(), pod, "memory/page_faults_rate"), 3.002080, 0.000005);
	assert_float_equal(float_of(newest(), pod, "network/rx_rate"), 299.907816, 0.0005);
	assert_float_equal(float_of(newest(), "namespace:default/pod:web-1/container:c1", "network/rx_rate"), 99.969209, 0.000005);
	assert_float_equal(device_rate(newest(), pod, "disk/io_read_bytes_rate", "/dev/vda"), 999.993596, 0.000005);
	assert_float_equal(device_rate(newest(), pod, "disk/io_write_bytes_rate", "/dev/vda"), 1999.987191, 0.001);
	/* Heapster: 19720466.5 and -802876.2, since it compared each with the first device. */
	assert_float_equal(device_rate(newest(), pod, "disk/io_read_bytes_rate", "/dev/vdb"), 50000.0, 1.0);
	assert_float_equal(device_rate(newest(), pod, "disk/io_write_bytes_rate", "/dev/vdb"), 0.0, 0.0);
}

/* ---- rates ---- */

static void put_pod(struct cgm_draft *d, const char *name, const char *uid, uint64_t scraped_ns, uint64_t created_ns, int64_t cpu, int64_t rx)
{
	char container[64];
	uint32_t pod = add_set(d, name, scraped_ns, created_ns), c;

	snprintf(container, sizeof(container), "%s/c", name);
	c = add_set(d, container, scraped_ns, created_ns);
	d->sets[pod].uid = d->sets[c].uid = uid;
	put_values(d, pod, "network/rx", rx, END);
	put_values(d, c, "cpu/usage", cpu, "memory/usage", 4096L, END);
	put_device(d, c, "disk/io_read_bytes", "vda", rx);
}

#define POD_P "namespace:n/pod:p"
#define C_P "namespace:n/pod:p/container:c"

static void one_pod(struct cgm_process *p, unsigned cycle, const char *uid, uint64_t scraped_ns, uint64_t created_ns, int64_t cpu, int64_t rx)
{
	struct cgm_draft d = { 0 };

	add_set(&d, "node", scraped_ns, 0);
	put_pod(&d, "n/p", uid, scraped_ns, created_ns, cpu, rx);
	give(p, &facts_alone, &d, BASE + cycle * MINUTE);
}

/* The kubelet has no newer sample: the rate stays for two cycles, then there is none; and the next one is reckoned from the sample. */
static void test_process__sample_stands_still(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);

	(void)state;
	one_pod(p, 0, "u", BASE, BASE - MINUTE, 0, 0);
	one_pod(p, 1, "u", BASE + 10 * SEC, BASE - MINUTE, (int64_t)(SEC / 2), 1000);
	for (unsigned cycle = 1; cycle < 4; cycle++) {
		if (cycle > 1)
			one_pod(p, cycle, "u", BASE + 10 * SEC, BASE - MINUTE, (int64_t)(SEC / 2), 1000);
		assert_int_equal(int_of(newest(), C_P, "cpu/usage_rate"), 50);
		assert_int_equal(int_of(newest(), POD_P, "cpu/usage_rate"), 50);
		assert_float_equal(float_of(newest(), POD_P, "network/rx_rate"), 100.0, 0.0);
		assert_float_equal(device_rate(newest(), C_P, "disk/io_read_bytes_rate", "vda"), 100.0, 0.0);
	}
	one_pod(p, 4, "u", BASE + 10 * SEC, BASE - MINUTE, (int64_t)(SEC / 2), 1000);
	assert_false(has(newest(), C_P, "cpu/usage_rate"));
	assert_false(has(newest(), POD_P, "cpu/usage_rate"));
	assert_true(device_rate(newest(), C_P, "disk/io_read_bytes_rate", "vda") < 0);
	one_pod(p, 5, "u", BASE + 20 * SEC, BASE - MINUTE, (int64_t)SEC, 1000);
	assert_int_equal(int_of(newest(), C_P, "cpu/usage_rate"), 50);
	one_pod(p, 6, "u", BASE + 20 * SEC, BASE - MINUTE, (int64_t)SEC, 1000);
	assert_int_equal(int_of(newest(), C_P, "cpu/usage_rate"), 50);
	assert_int_equal(cgm_process_stats(p).nr_resets, 0);
}

/* A pod whose own counters have the rates that its containers have too: what is carried over is its own part. */
static void test_process__stands_still_not_twice(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);

	(void)state;
	for (unsigned cycle = 0; cycle < 3; cycle++) {
		uint64_t t = BASE + MIN(cycle, 1) * 10 * SEC;
		struct cgm_draft d = { 0 };
		uint32_t pod = add_set(&d, "n/p", t, 1), c = add_set(&d, "n/p/c", t, 1);

		put_values(&d, pod, "cpu/usage", (int64_t)MIN(cycle, 1) * 1000000000L, "network/rx", (int64_t)MIN(cycle, 1) * 10, END);
		put_values(&d, c, "cpu/usage", (int64_t)MIN(cycle, 1) * 2000000000L, "network/rx", (int64_t)MIN(cycle, 1) * 20, END);
		give(p, &facts_alone, &d, BASE + cycle * MINUTE);
		if (!cycle)
			continue;
		assert_int_equal(int_of(newest(), POD_P, "cpu/usage_rate"), 300);
		assert_float_equal(float_of(newest(), POD_P, "network/rx_rate"), 3.0, 1e-9);
	}
}

static void test_process__other_lives(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);

	(void)state;
	one_pod(p, 0, "u", BASE, 1, 1000, 1000);
	one_pod(p, 1, "u", BASE + MINUTE, 1, 900, 2000); /* a counter went back */
	assert_false(has(newest(), C_P, "cpu/usage_rate"));
	assert_true(has(newest(), POD_P, "network/rx_rate"));
	assert_int_equal(cgm_process_stats(p).nr_resets, 1);
	one_pod(p, 2, "u", BASE + 2 * MINUTE, BASE + MINUTE, 5000, 3000); /* restarted, and yet above its last value: a pod and a container */
	assert_false(has(newest(), C_P, "cpu/usage_rate"));
	assert_false(has(newest(), POD_P, "network/rx_rate"));
	assert_true(device_rate(newest(), C_P, "disk/io_read_bytes_rate", "vda") < 0);
	assert_int_equal(cgm_process_stats(p).nr_resets, 3);
	one_pod(p, 3, "v", BASE + 3 * MINUTE, BASE + MINUTE, 6000, 4000); /* another pod of that name */
	assert_false(has(newest(), C_P, "cpu/usage_rate"));
	assert_int_equal(cgm_process_stats(p).nr_resets, 5);
	one_pod(p, 4, "v", BASE + 2 * MINUTE, BASE + MINUTE, 7000, 5000); /* a sample from before: its node's too */
	assert_false(has(newest(), C_P, "cpu/usage_rate"));
	assert_int_equal(cgm_process_stats(p).nr_resets, 8);
	one_pod(p, 5, "v", BASE + 4 * MINUTE, BASE + MINUTE, 8000, 6000);
	assert_true(has(newest(), C_P, "cpu/usage_rate"));
	assert_int_equal(cgm_process_stats(p).nr_resets, 8);
}

/* Nearest millicore; numbers beyond all reason stay in range; no times are the windows'. */
static void test_process__cpu_rounds(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	const struct {
		int64_t used, wanted;
	} cases[] = { { 29999999, 0 }, { 30000000, 1 }, { 89999999, 1 }, { 90000000, 2 }, { 60000000000, 1000 } };
	int64_t usage = 0;

	(void)state;
	one_pod(p, 0, NULL, 0, 0, 0, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		usage += cases[i].used;
		one_pod(p, i + 1, NULL, 0, 0, usage, 0);
		assert_int_equal(int_of(newest(), C_P, "cpu/usage_rate"), cases[i].wanted);
	}
	one_pod(p, 10, NULL, BASE + 10 * MINUTE, 0, 0, 0);
	one_pod(p, 11, NULL, BASE + 10 * MINUTE + 1, 0, INT64_MAX, 0);
	assert_int_equal(int_of(newest(), C_P, "cpu/usage_rate"), INT64_MAX);
	assert_int_equal(int_of(newest(), POD_P, "cpu/usage_rate"), INT64_MAX);
}

/* A node that was away for a cycle: its rate is of the time since then. */
static void test_process__node_was_away(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);

	(void)state;
	one_pod(p, 0, "u", BASE, 1, 0, 0);
	cgm_process_cycle(p, BASE);
	cgm_process_cycle(p, BASE + MINUTE);
	assert_int_equal(newest()->nr_sets, 1);
	assert_int_equal(newest()->sets[0].present, 0);
	assert_int_equal(cgm_process_stats(p).nr_summed, 0);
	one_pod(p, 2, "u", BASE + 2 * MINUTE, 1, (int64_t)(12 * SEC), 0);
	assert_int_equal(int_of(newest(), C_P, "cpu/usage_rate"), 100);
	cgm_process_cycle(p, BASE + 14 * MINUTE);
	one_pod(p, 15, "u", BASE + 15 * MINUTE, 1, (int64_t)(24 * SEC), 0);
	assert_false(has(newest(), C_P, "cpu/usage_rate")); /* it was forgotten */
}

/* The clock was an hour ahead. What answered then and is no more is forgotten, though its time has not come. */
static void test_process__clock_was_ahead(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);

	(void)state;
	one_pod(p, 60, "u", BASE, 1, 0, 0);
	cgm_process_cycle(p, BASE + 60 * MINUTE);
	assert_int_equal(newest()->nr_sets, 2);
	cgm_process_cycle(p, BASE + MINUTE);
	one_pod(p, 2, "u", BASE + 2 * MINUTE, 1, (int64_t)(12 * SEC), 0);
	assert_false(has(newest(), C_P, "cpu/usage_rate"));
	one_pod(p, 3, "u", BASE + 3 * MINUTE, 1, (int64_t)(24 * SEC), 0);
	assert_int_equal(int_of(newest(), C_P, "cpu/usage_rate"), 200);
}

/* ---- names ---- */

static void test_process__without_api(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);

	(void)state;
	one_pod(p, 0, "u", BASE, BASE - SEC, 1000, 1000);
	is_shown(newest(), POD_P, "uptime=1000\nmemory/usage=4096\nnetwork/rx=1000\nhostname: alone\nnamespace_name: n\nnodename: alone\npod_id: u\npod_name: p\n");
	is_shown(newest(), "node:alone", "hostname: alone\nnodename: alone\n");
	cgm_process_cycle(p, BASE);
	is_shown(newest(), "namespace:n", "memory/usage=4096\nnamespace_name: n\n");
	assert_int_equal(api.nr_asked, 0);
}

static void test_process__stubs(void **state)
{
	struct cgm_process_config config = config_of(true);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	struct cgm_draft d = { 0 };
	uint32_t i;

	(void)state;
	api_pod(WEB);
	for (unsigned cycle = 0; cycle < 2; cycle++) {
		i = add_set(&d, "default/web-1/c2", BASE, 0);
		put_values(&d, i, "memory/usage", 4096L, END);
		d.sets[i].image = "side@sha256:1";
		i = add_set(&d, "default/unknown", BASE, 0);
		d.sets[i].uid = "u";
		give(p, &facts_a, &d, BASE + cycle * MINUTE);
		assert_int_equal(newest()->nr_sets, 5);
		assert_string_equal(newest()->sets[0].entity->key, "node:node-a");
		is_shown(newest(), "namespace:default/pod:web-1",
			 REQUESTS("100", "500") "memory/usage=4096\nmemory/request=67108864\nmemory/limit=134217728\nrestart_count=3\n" BY_POD);
		is_shown(newest(), "namespace:default/pod:web-1/container:c1",
			 REQUESTS("100", "500") "memory/request=67108864\nmemory/limit=134217728\nrestart_count=3\ncontainer_base_image: nginx:1\ncontainer_name: c1\n" BY_POD);
		assert_int_equal(int_of(newest(), "namespace:default/pod:web-1/container:c2", "cpu/request"), 0);
		assert_string_equal(set_of(newest(), "namespace:default/pod:web-1/container:c2")->entity->labels[CGM_CL_CONTAINER_BASE_IMAGE], "side@sha256:1");
		is_shown(newest(), "namespace:default/pod:unknown",
			 "host_id: ext-1\nhostname: node-a\nnamespace_id: uid-of-default\nnamespace_name: default\nnodename: node-a\npod_id: u\npod_name: unknown\n");
	}
	assert_int_equal(cgm_process_stats(p).nr_unknown_pods, 2);
	for (unsigned k = 0; k < 5; k++)
		assert_ptr_equal(got.slices[0]->sets[k].entity, got.slices[1]->sets[k].entity);
	assert_int_equal(int_of(newest(), "node:node-a", "cpu/request"), 100);
}

#define MANY_LABELS "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"%s\",\"labels\":{\"app\":\"x\",\"app.kubernetes.io/name\":\"y\",\"pod-template-hash\":\"5\",\"tier\":\"%s\"}},\"spec\":{\"nodeName\":\"a\",\"containers\":[{\"name\":\"c\"}]}}"

static void labels_are(struct cgm_process *p, unsigned cycle, const char *labels, const char *stored)
{
	const struct cgm_entity *e;

	one_pod(p, cycle, "u", BASE + cycle * MINUTE, 1, 0, 0);
	for (unsigned i = 0; i < 2; i++) {
		e = set_of(newest(), i ? C_P : POD_P)->entity;
		assert_string_equal(e->labels[CGM_CL_LABELS], labels);
		assert_int_equal(e->nr_stored, 2);
		assert_string_equal(e->stored[0].key, "kind");
		assert_string_equal(e->stored[0].value, stored);
		assert_string_equal(e->stored[1].key, "pod-template-hash");
	}
	assert_null(set_of(newest(), "node:alone")->entity->labels[CGM_CL_LABELS]);
}

static void test_process__labels(void **state)
{
	struct cgm_process_config config = config_of(true);
	_cleanup_(cgm_process_freep) struct cgm_process *p = NULL;
	char json[512];

	(void)state;
	config.label_separator = " | ";
	config.store_labels = "pod-template-hash,kind=tier,gone=nowhere";
	config.ignore_labels = "pod-template-hash";
	p = new_process(&config);
	snprintf(json, sizeof(json), MANY_LABELS, "u", "front");
	api_pod(json);
	labels_are(p, 0, "app.kubernetes.io/name:y | app:x | tier:front", "front");
	labels_are(p, 1, "app.kubernetes.io/name:y | app:x | tier:front", "front");
	assert_ptr_equal(got.slices[0]->sets[1].entity, got.slices[1]->sets[1].entity);
	snprintf(json, sizeof(json), MANY_LABELS, "u", "back");
	api_pod(json);
	labels_are(p, 2, "app.kubernetes.io/name:y | app:x | tier:back", "back");
	assert_true(has(newest(), C_P, "cpu/usage_rate")); /* other labels are no other life */
	api_pod(json); /* a newer object that says the same */
	labels_are(p, 3, "app.kubernetes.io/name:y | app:x | tier:back", "back");
	assert_ptr_equal(got.slices[2]->sets[1].entity, got.slices[3]->sets[1].entity);
}

static void test_process__options_refused(void **state)
{
	const struct {
		const char *store, *ignore, *says;
	} cases[] = {
		{ "a=,b", NULL, "--store_label: \"a\": it wants a name" }, { "=a", NULL, "--store_label: \"a\"" },     { "a,,b", NULL, "--store_label: \"\"" },
		{ "x=a,x=b", NULL, "--store_label: \"x\": two" },	    { "pod_name=a", NULL, "every metric bears" }, { NULL, "a,,b", "--ignore_label: \"\"" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_process_config config = config_of(false);
		struct cgm_process *p = NULL;
		char fault[256] = "";

		config.store_labels = cases[i].store;
		config.ignore_labels = cases[i].ignore;
		assert_int_equal(cgm_process_new(&config, &p, fault), -EINVAL);
		assert_null(p);
		assert_non_null(strstr(fault, cases[i].says));
	}
}

/* Two nodes whose answers come from one address: the series stay apart, by the API's names. */
static void test_process__mixed(void **state)
{
	struct cgm_process_config config = config_of(true);
	struct cgm_process_config without = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config), *alone = new_process(&without);
	struct cgm_node_facts facts_b = facts_a;
	struct cgm_draft d = { 0 };

	(void)state;
	facts_b.name = facts_b.hostname = "node-b";
	api_pod(WEB);
	put_summary(&d, &summary[0]);
	give(p, &facts_b, &d, BASE);
	assert_string_equal(newest()->node, "node-b");
	assert_non_null(cgm_slice_find(newest(), "node:node-b"));
	assert_null(cgm_slice_find(newest(), "namespace:default/pod:web-1")); /* the API server says that it is on node-a */
	assert_null(cgm_slice_find(newest(), "namespace:default/pod:web-1/container:c1"));
	assert_int_equal(cgm_process_stats(p).nr_mixed, 5);
	put_summary(&d, &summary[0]);
	give(p, &facts_a, &d, BASE);
	assert_non_null(cgm_slice_find(newest(), "namespace:default/pod:web-1"));
	assert_int_equal(cgm_process_stats(p).nr_mixed, 5);
	put_summary(&d, &summary[0]);
	give(alone, &facts_b, &d, BASE); /* nobody says where the pod is: it stays */
	assert_string_equal(set_of(newest(), "namespace:default/pod:web-1")->entity->labels[CGM_CL_NODENAME], "node-b");
}

/* Whatever the order of an answer is, the slice's is ours; what has no name or comes twice is left out. */
static void test_process__any_order(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	const char *const orders[2][8] = { { "n/q/c", "n/p", "sys b", "n/p/d", "node", "n/q", "sys a", "n/p/c" }, { "n/p", "n/p/c", "sys a", "n/p/d", "sys b", "n/q", "node", "n/q/c" } };

	(void)state;
	for (unsigned cycle = 0; cycle < 2; cycle++) {
		struct cgm_draft d = { 0 };
		char text[256] = "";

		for (unsigned i = 0; i < 8; i++)
			put_values(&d, add_set(&d, orders[cycle][i], BASE + cycle * MINUTE, 1), "cpu/usage", 60000000L * cycle * (i + 1), END);
		add_set(&d, "n/p", BASE, 1);
		add_set(&d, "node", BASE, 1);
		d.sets[add_set(&d, "n/p/c", BASE, 1)].container = NULL;
		d.sets[add_set(&d, "sys b", BASE, 1)].container = NULL;
		give(p, &facts_alone, &d, BASE + cycle * MINUTE);
		assert_int_equal(newest()->nr_sets, 8);
		for (unsigned i = 0; i < 8; i++) {
			strncat(text, newest()->sets[i].entity->key, sizeof(text) - strlen(text) - 1);
			strncat(text, " ", sizeof(text) - strlen(text) - 1);
			assert_true(!cycle || cgm_set_has(&newest()->sets[i], CGM_CM_CPU_USAGE_RATE));
		}
		assert_string_equal(text, !cycle ? "node:alone node:alone/container:b node:alone/container:a namespace:n/pod:q namespace:n/pod:q/container:c namespace:n/pod:p "
						   "namespace:n/pod:p/container:d namespace:n/pod:p/container:c " :
						   "node:alone node:alone/container:a node:alone/container:b namespace:n/pod:p namespace:n/pod:p/container:c "
						   "namespace:n/pod:p/container:d namespace:n/pod:q namespace:n/pod:q/container:c ");
	}
	assert_int_equal(int_of(newest(), C_P, "cpu/usage_rate"), 2); /* each found its own */
	assert_int_equal(int_of(newest(), "node:alone", "cpu/usage_rate"), 7);
}

/* ---- sums ---- */

static void node_with(struct cgm_process *p, const char *node, const char *pod, unsigned cycle, int64_t cpu, int64_t tasks)
{
	struct cgm_node_facts facts = { .name = node };
	struct cgm_draft d = { 0 };

	add_set(&d, "node", BASE + cycle * MINUTE, 1);
	put_pod(&d, pod, node, BASE + cycle * MINUTE, 1, cpu, 0);
	put_values(&d, 2, "tasks", tasks, "cpu/run_queue_delay", cpu / 2, END);
	give(p, &facts, &d, BASE + cycle * MINUTE);
}

static void test_process__sums(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);

	(void)state;
	for (unsigned cycle = 0; cycle < 2; cycle++) {
		node_with(p, "a", "n/p", cycle, cycle * 6000000000L, 3);
		node_with(p, "b", "n/q", cycle, cycle * 12000000000L, 4);
		node_with(p, "c", "m/q", cycle, cycle * 60000000000L, 5);
		cgm_process_cycle(p, BASE + cycle * MINUTE);
	}
	assert_int_equal(newest()->nr_sets, 3);
	assert_string_equal(newest()->sets[0].entity->key, "cluster");
	assert_string_equal(newest()->sets[1].entity->key, "namespace:m");
	assert_string_equal(newest()->sets[2].entity->key, "namespace:n");
	is_shown(newest(), "namespace:n", "cpu/usage_rate=300\nmemory/usage=8192\ncpu/run_queue_delay_rate=0.150000\ntasks=7\nnamespace_name: n\n");
	is_shown(newest(), "cluster", "cpu/usage_rate=1300\nmemory/usage=12288\ncpu/run_queue_delay_rate=0.650000\ntasks=12\n");
	assert_int_equal(cgm_process_stats(p).nr_summed, 3);
	node_with(p, "c", "m/q", 2, 60000000000L, 5); /* a and b are silent */
	cgm_process_cycle(p, BASE + 2 * MINUTE);
	assert_int_equal(newest()->nr_sets, 2);
	assert_int_equal(int_of(newest(), "cluster", "tasks"), 5);
	assert_int_equal(cgm_process_stats(p).nr_summed, 1);
}

static void test_process__no_extras(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = NULL;

	(void)state;
	config.no_extras = true;
	p = new_process(&config);
	node_with(p, "a", "n/p", 0, 0, 3);
	node_with(p, "a", "n/p", 1, 600000000, 3);
	cgm_process_cycle(p, BASE + MINUTE);
	is_shown(newest(), "cluster", "cpu/usage_rate=10\nmemory/usage=4096\n");
	assert_false(has(got.slices[1], C_P, "tasks"));
}

/* ---- histograms ---- */

static void put_hist(struct cgm_draft *d, uint32_t set, uint64_t fast, uint64_t slow)
{
	struct cgm_cluster_hist h = { .hist = CGM_CH_DISK_LATENCY, .count = fast + slow, .sum_ns = fast * 1000 + slow * 1000000 };

	h.buckets[3] = fast;
	h.buckets[13] = slow;
	cgm_draft_hist(d, set, &h);
}

static void hist_is(const struct cgm_slice *s, const char *key, uint64_t fast, uint64_t slow)
{
	const struct cgm_set *set = set_of(s, key);

	assert_int_equal(set->nr_hists, 1);
	assert_int_equal(set->hists[0].hist, CGM_CH_DISK_LATENCY);
	assert_int_equal(set->hists[0].buckets[3], fast);
	assert_int_equal(set->hists[0].buckets[13], slow);
	assert_int_equal(set->hists[0].count, fast + slow);
	assert_int_equal(set->hists[0].sum_ns, fast * 1000 + slow * 1000000);
}

struct lives {
	uint64_t created_ns[3];
	uint64_t counts[3]; /* of n/p/c, n/p/d, m/q/c; 0: it is not there */
};

static void hists_of(struct cgm_process *p, unsigned cycle, const struct lives *l)
{
	const char *const names[] = { "n/p/c", "n/p/d", "m/q/c" };
	struct cgm_draft d = { 0 };

	put_hist(&d, add_set(&d, "node", BASE, 1), 1000, 1000);
	for (unsigned i = 0; i < 3; i++)
		if (l->counts[i])
			put_hist(&d, add_set(&d, names[i], BASE + cycle * MINUTE, l->created_ns[i]), l->counts[i], 1);
	give(p, &facts_alone, &d, BASE + cycle * MINUTE);
	cgm_process_cycle(p, BASE + cycle * MINUTE);
}

static void test_process__hists(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	const uint64_t old_ns = BASE - 100 * MINUTE;

	(void)state;
	hists_of(p, 0, &(struct lives){ { old_ns, old_ns, old_ns }, { 10, 20, 30 } });
	hist_is(got.slices[0], POD_P, 30, 2);
	hist_is(got.slices[0], "node:alone", 1000, 1000);
	hist_is(newest(), "cluster", 0, 0); /* what was before we looked is of no window */
	hists_of(p, 1, &(struct lives){ { old_ns, old_ns, old_ns }, { 11, 22, 33 } });
	hist_is(got.slices[2], POD_P, 33, 2);
	hist_is(newest(), "namespace:n", 3, 0);
	hist_is(newest(), "cluster", 6, 0);
	hists_of(p, 2, &(struct lives){ { old_ns, BASE + MINUTE + 1, 0 }, { 12, 5, 0 } }); /* d was restarted, q has gone */
	hist_is(got.slices[4], POD_P, 39, 3); /* +1, +5 fast; +1 slow */
	hist_is(newest(), "cluster", 12, 1);
	assert_null(cgm_slice_find(newest(), "namespace:m"));
	hists_of(p, 3, &(struct lives){ { old_ns, BASE + MINUTE + 1, old_ns }, { 12, 5, 40 } }); /* q is back: it was counted before */
	hist_is(newest(), "cluster", 12, 1);
	hist_is(newest(), "namespace:m", 3, 0);
	hists_of(p, 4, &(struct lives){ { old_ns, BASE + MINUTE + 1, BASE + 3 * MINUTE + 1 }, { 12, 6, 7 } }); /* q is another one */
	hist_is(newest(), "cluster", 20, 2);
	hist_is(newest(), "namespace:m", 10, 1);
	hist_is(newest(), "namespace:n", 10, 1);
}

/* The node's clock is set back, then an older sample comes again: neither is a new life, and nothing that was counted is counted once more. */
static void test_process__hists_set_back(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	const struct {
		uint64_t scraped_ns, fast;
	} samples[] = { { BASE, 10 }, { BASE + MINUTE, 20 }, { BASE + 30 * SEC, 23 }, { BASE + 20 * SEC, 22 }, { BASE + 90 * SEC, 25 } };
	const uint64_t wanted[] = { 0, 10, 13, 13, 16 };

	(void)state;
	for (unsigned cycle = 0; cycle < ARRAY_SIZE(samples); cycle++) {
		struct cgm_draft d = { 0 };

		put_hist(&d, add_set(&d, "n/p/c", samples[cycle].scraped_ns, BASE - 100 * MINUTE), samples[cycle].fast, 1);
		give(p, &facts_alone, &d, BASE + cycle * MINUTE);
		hist_is(newest(), POD_P, 10 + wanted[cycle], 1);
		cgm_process_cycle(p, BASE + cycle * MINUTE);
		hist_is(newest(), "cluster", wanted[cycle], 0);
	}
	assert_int_equal(cgm_process_stats(p).nr_resets, 5); /* pod and container twice; the histogram that went back */
}

/* A container that one answer passes over stands there as the API server knows it: back again, it is no new one. */
static void test_process__hists_passed_over(void **state)
{
	struct cgm_process_config config = config_of(true);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);

	(void)state;
	api_pod(WEB);
	for (unsigned cycle = 0; cycle < 5; cycle++) {
		uint64_t t = BASE + cycle * MINUTE;
		struct cgm_draft d = { 0 };

		put_hist(&d, add_set(&d, "node", t, 1), 1000, 1000);
		add_set(&d, "default/web-1", t, BASE - 100 * MINUTE);
		if (cycle != 2)
			put_hist(&d, add_set(&d, "default/web-1/c1", t, BASE - 100 * MINUTE), 10 + cycle, 1);
		if (cycle == 4) /* the node did not speak of it before, and it has just begun */
			put_hist(&d, add_set(&d, "default/web-1/c2", t, t - 10 * SEC), 5, 0);
		give(p, &facts_a, &d, t);
		cgm_process_cycle(p, t);
		if (cycle == 3) /* what came while it was away belongs to no window */
			hist_is(newest(), "cluster", 1, 0);
	}
	hist_is(newest(), "cluster", 1 + 1 + 5, 0);
}

/* Its one container has ended and waits to be started again: the pod's histogram stays, and goes on with the next one. */
static void test_process__hists_crash_loop(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	const uint64_t fast[] = { 10, 12, 0, 0, 3 }, wanted[] = { 10, 12, 12, 12, 15 };

	(void)state;
	for (unsigned cycle = 0; cycle < ARRAY_SIZE(fast); cycle++) {
		uint64_t t = BASE + cycle * MINUTE;
		struct cgm_draft d = { 0 };

		put_hist(&d, add_set(&d, "node", t, 1), 1000, 1000);
		add_set(&d, "n/p", t, BASE - 100 * MINUTE);
		add_set(&d, "n/q", t, BASE - 100 * MINUTE);
		if (fast[cycle])
			put_hist(&d, add_set(&d, "n/p/c", t, cycle < 2 ? BASE - 100 * MINUTE : t - 10 * SEC), fast[cycle], 0);
		give(p, &facts_alone, &d, t);
		hist_is(newest(), POD_P, wanted[cycle], 0);
		assert_int_equal(set_of(newest(), "namespace:n/pod:q")->nr_hists, 0);
		cgm_process_cycle(p, t);
		hist_is(newest(), "cluster", wanted[cycle] - 10, 0);
	}
}

/* A machine without a pod has histograms of its own alone. */
static void test_process__hists_without_pods(void **state)
{
	struct cgm_process_config config = config_of(false);
	_cleanup_(cgm_process_freep) struct cgm_process *p = new_process(&config);
	struct cgm_draft d = { 0 };

	(void)state;
	put_hist(&d, add_set(&d, "node", BASE, 1), 3, 2);
	give(p, &facts_alone, &d, BASE);
	hist_is(newest(), "node:alone", 3, 2);
}

/* ---- memory and time ---- */

/* Every allocation fails once: a slice is whole or lost, which is counted, and the next cycle is whole again. */
static void test_process__out_of_memory(void **state)
{
	struct cgm_process_config config = config_of(true);
	unsigned long nr_failed = 0;
	char fault[256];

	(void)state;
	config.store_labels = "app";
	api_pod(WEB);
	for (unsigned long at = 1; at < 9; at++) {
		struct cgm_process *p = NULL;
		int r;

		cgm_mem_fail_at(at);
		r = cgm_process_new(&config, &p, fault);
		cgm_mem_fail_at(0);
		assert_int_equal(r, p ? 0 : -ENOMEM);
		nr_failed += !p;
		cgm_process_free(p);
	}
	assert_int_equal(nr_failed, 6);
	for (unsigned long at = 1; at < 400; at++) {
		struct cgm_process *p = new_process(&config);
		struct cgm_draft drafts[3] = { 0 };
		uint64_t nr_lost;

		for (unsigned i = 0; i < 3; i++) {
			put_summary(&drafts[i], &summary[MIN(i, 1)]);
			put_hist(&drafts[i], 3, 5, i);
			if (i == 2)
				add_set(&drafts[i], "default/new/c", BASE, 1);
		}
		cgm_mem_fail_at(at);
		for (unsigned i = 0; i < 3; i++) {
			cgm_process_node(p, &facts_a, &drafts[i], BASE + i * MINUTE);
			cgm_process_cycle(p, BASE + i * MINUTE);
			if (i == 1)
				cgm_mem_fail_at(0);
		}
		nr_lost = cgm_process_stats(p).nr_lost;
		assert_int_equal(got.nr, 6 - nr_lost);
		assert_true(nr_lost <= 1);
		assert_int_equal(newest()->nr_sets, 2);
		assert_int_equal(int_of(newest(), "cluster", "cpu/request"), 100);
		forget_slices();
		for (unsigned i = 0; i < 3; i++)
			cgm_draft_done(&drafts[i]);
		cgm_process_free(p);
	}
}

/* Sets in another order are looked up, for which memory is needed: without it a slice is lost and counted, not whole but for its rates. */
static void test_process__lost_or_whole(void **state)
{
	struct cgm_process_config config = config_of(false);
	const char *const orders[2][3] = { { "node", "n/p", "n/p/c" }, { "n/p/c", "n/p", "node" } };
	uint64_t nr_lost = 0;

	(void)state;
	for (unsigned long at = 1; at < 40; at++) {
		struct cgm_process *p = new_process(&config);

		for (unsigned cycle = 0; cycle < 2; cycle++) {
			struct cgm_draft d = { 0 };

			for (unsigned i = 0; i < 3; i++)
				put_values(&d, add_set(&d, orders[cycle][i], BASE + cycle * MINUTE, 1), "cpu/usage", 60000000L * cycle, END);
			cgm_mem_fail_at(cycle ? at : 0);
			give(p, &facts_alone, &d, BASE + cycle * MINUTE);
			cgm_mem_fail_at(0);
		}
		nr_lost += cgm_process_stats(p).nr_lost;
		assert_int_equal(got.nr, 2 - cgm_process_stats(p).nr_lost);
		for (uint32_t i = 0; got.nr == 2 && i < newest()->nr_sets; i++)
			assert_true(cgm_set_has(&newest()->sets[i], CGM_CM_CPU_USAGE_RATE));
		forget_slices();
		cgm_process_free(p);
	}
	assert_in_range(nr_lost, 5, 38);
}

static void add_many(struct cgm_draft *d, unsigned cycle, unsigned nr_pods)
{
	uint64_t t = BASE + cycle * MINUTE;
	uint32_t i = add_set(d, "node", t, 1);

	put_values(d, i, "cpu/usage", cycle * 1000L, "memory/usage", 4096L, END);
	put_values(d, add_set(d, "sys kubelet", t, 1), "cpu/usage", cycle * 1000L, END);
	for (unsigned k = 0; k < nr_pods; k++) {
		char name[80];

		snprintf(name, sizeof(name), "namespace-%u/some-deployment-5d4f8c7b9d-%05u", k % 5, k);
		i = add_set(d, name, t, 1);
		put_values(d, i, "network/rx", cycle * 1000L, "network/rx_errors", 0L, "network/tx", cycle * 1000L, "network/tx_errors", 0L, END);
		put_file_system(d, i, "Volume:token");
		put_file_system(d, i, "Volume:data");
		strncat(name, "/main", sizeof(name) - strlen(name) - 1);
		i = add_set(d, name, t, 1);
		put_values(d, i, "cpu/usage", cycle * 1000L, "memory/usage", 4096L, "memory/rss", 4096L, "memory/working_set", 4096L, "memory/page_faults", 1L,
			   "memory/major_page_faults", 1L, END);
		put_file_system(d, i, "/");
		put_file_system(d, i, "logs");
	}
}

static void store_slice(void *arg, struct cgm_slice *s)
{
	assert_int_equal(cgm_cluster_store_put(arg, s), 0);
}

/* Says what it costs; nothing depends on it. */
static void test_process__cost(void **state)
{
	struct cgm_process_config config = config_of(true);
	_cleanup_(cgm_process_freep) struct cgm_process *p = NULL;
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = NULL;
	struct cgm_cluster_store_stats stats;
	uint64_t spent_ns = 0;

	(void)state;
	assert_int_equal(cgm_cluster_store_new(&(struct cgm_cluster_store_config){ 0 }, &st), 0);
	for (unsigned k = 0; k < 30; k++) {
		char json[600];

		snprintf(json, sizeof(json),
			 "{\"metadata\":{\"name\":\"some-deployment-5d4f8c7b9d-%05u\",\"namespace\":\"namespace-%u\",\"uid\":\"6d1b7f3e-0000-4a4b-9d51-%012u\",\"labels\":{\"app\":\"x\","
			 "\"app.kubernetes.io/name\":\"y\",\"pod-template-hash\":\"5d4f8c7b9d\"}},\"spec\":{\"nodeName\":\"node-a\",\"containers\":[{\"name\":\"main\",\"image\":\"registry/some/image:1.2.3\"}]}}",
			 k, k % 5, k);
		api_pod(json);
	}
	config.on_slice = store_slice;
	config.arg = st;
	p = new_process(&config);
	for (unsigned cycle = 0; cycle < 200; cycle++) {
		struct cgm_draft d = { 0 };
		uint64_t before_ns;

		add_many(&d, cycle, 30);
		before_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
		cgm_process_node(p, &facts_a, &d, BASE + cycle * MINUTE);
		cgm_cluster_store_age(st, BASE + cycle * MINUTE);
		spent_ns += cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
		cgm_draft_done(&d);
	}
	stats = cgm_cluster_store_stats(st);
	print_message("a node of 30 pods: %lu us of CPU, %lu points, %lu slices kept, %lu bytes with the history\n", (unsigned long)(spent_ns / 200 / 1000),
		      (unsigned long)(cgm_process_stats(p).nr_points / 200), (unsigned long)stats.nr_slices, (unsigned long)stats.bytes);
	assert_int_equal(cgm_process_stats(p).nr_lost, 0);
	assert_int_equal(stats.nr_sets, 62);
}

#define T(name) cmocka_unit_test_teardown(test_process__##name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(summary_as_heapster), T(containers_as_heapster), T(sample_stands_still), T(stands_still_not_twice), T(other_lives), T(cpu_rounds), T(node_was_away), T(clock_was_ahead), T(without_api), T(stubs),
		T(labels), T(options_refused), T(mixed), T(any_order), T(sums), T(no_extras), T(hists), T(hists_set_back), T(hists_passed_over), T(hists_crash_loop), T(hists_without_pods), T(out_of_memory), T(lost_or_whole), T(cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
