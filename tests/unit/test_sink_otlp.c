// SPDX-License-Identifier: Apache-2.0
/* OTLP, read back by libprotobuf-c: what it does not know of otlp_metrics.proto is an error. */
#include <math.h>
#include <string.h>

#include "otlp_metrics.pb-c.h"
#include "sink/otlp.h"
#include "sink_fixture.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "c9a1bd8a-1b2c-4f3e-9d6a-0123456789ab"

static void make(struct sink_fixture *f, const char *name)
{
	fixture_begin(f);
	cgm_sample_set(&f->sample, CGM_V_CPU_USAGE_TOTAL, 1500000000);
	cgm_sample_set(&f->sample, CGM_V_CPU_USAGE_USER, 1000000000);
	cgm_sample_set(&f->sample, CGM_V_CPU_USAGE_SYSTEM, 500000000);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_USAGE, 5000);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_CACHE, 2000);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_RSS, UINT64_MAX);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_WORKING_SET, 4096);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_TOTAL_PGFAULT, 10);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_TOTAL_PGMAJFAULT, 4);
	cgm_sample_set(&f->sample, CGM_V_CPU_CFS_PERIODS, 9);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_PSI_SOME_TOTAL, 2500000);
	assert_int_equal(cgm_sample_cpus(&f->sample, 3), 0);
	cgm_sample_disk(&f->sample, 8, 0)->v[CGM_DISK_BYTES_READ] = 512;
	cgm_sample_iface(&f->sample, "eth0")->v[CGM_IFACE_TX_BYTES] = 77;
	cgm_sample_fs(&f->sample, "/dev/vda1", "vfs")->v[CGM_FS_IO_TIME] = 1500;
	fixture_end(f, name);
	snprintf(f->layout->blocks[1].name, sizeof(f->layout->blocks[1].name), "/dev/sda");
}

static Otlp__Request *unpack(const struct cgm_buf *b)
{
	Otlp__Request *r;

	assert_false(b->failed);
	r = otlp__request__unpack(NULL, b->len, (const uint8_t *)b->p);
	assert_non_null(r);
	return r;
}

static void known(const ProtobufCMessage *m)
{
	if (m->n_unknown_fields)
		fail_msg("%s: field %u is unknown", m->descriptor->name, m->unknown_fields[0].tag);
}

static const char *attribute(Otlp__KeyValue *const *list, size_t nr, const char *key)
{
	for (size_t i = 0; i < nr; i++) {
		known(&list[i]->base);
		if (strcmp(list[i]->key, key) == 0)
			return list[i]->value->string_value;
	}
	return NULL;
}

static const Otlp__Metric *find(const Otlp__ResourceMetrics *r, const char *name)
{
	const Otlp__Metric *found = NULL;

	assert_int_equal(r->n_scope_metrics, 1);
	for (size_t i = 0; i < r->scope_metrics[0]->n_metrics; i++) {
		const Otlp__Metric *m = r->scope_metrics[0]->metrics[i];

		known(&m->base);
		assert_int_equal((m->gauge != NULL) + (m->sum != NULL) + (m->exponential != NULL), 1);
		if (strcmp(m->name, name) != 0)
			continue;
		assert_null(found); /* once */
		found = m;
	}
	return found;
}

/* The point with that attribute (NULL: the only one); kind: what it must be. */
static const Otlp__Number *point(const Otlp__ResourceMetrics *r, const char *name, const char *unit, char kind, const char *key, const char *value)
{
	const Otlp__Metric *m = find(r, name);
	const Otlp__Number *found = NULL;
	Otlp__Number **points;
	size_t nr;

	if (!m)
		fail_msg("no %s", name);
	assert_string_equal(m->unit, unit);
	assert_true(kind == 'g' ? m->gauge != NULL : m->sum != NULL);
	points = kind == 'g' ? m->gauge->data_points : m->sum->data_points;
	nr = kind == 'g' ? m->gauge->n_data_points : m->sum->n_data_points;
	if (kind != 'g') {
		assert_int_equal(m->sum->aggregation_temporality, 2);
		assert_int_equal(m->sum->has_is_monotonic, kind == 's');
	}
	for (size_t i = 0; i < nr; i++) {
		const char *got = key ? attribute(points[i]->attributes, points[i]->n_attributes, key) : NULL;

		known(&points[i]->base);
		assert_true(points[i]->time_unix_nano == FIXTURE_NS);
		assert_int_equal(points[i]->has_start_time_unix_nano, kind != 'g');
		if (kind != 'g')
			assert_true(points[i]->start_time_unix_nano == FIXTURE_NS - 90000000000ULL);
		assert_int_equal(points[i]->has_as_int + points[i]->has_as_double, 1);
		if (!key || (got && strcmp(got, value) == 0))
			found = points[i];
	}
	if (!found)
		fail_msg("%s: no point with %s=%s", name, key, value);
	return found;
}

static double seconds(const Otlp__Number *n)
{
	assert_true(n->has_as_double);
	return n->as_double;
}

static int64_t whole(const Otlp__Number *n)
{
	assert_true(n->has_as_int);
	return n->as_int;
}

static uint64_t count_points(const Otlp__Request *q)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < q->n_resource_metrics; i++) {
		const Otlp__ScopeMetrics *s = q->resource_metrics[i]->scope_metrics[0];

		for (size_t m = 0; m < s->n_metrics; m++)
			nr += s->metrics[m]->gauge ? s->metrics[m]->gauge->n_data_points :
			      s->metrics[m]->sum ? s->metrics[m]->sum->n_data_points :
						   s->metrics[m]->exponential->n_data_points;
	}
	return nr;
}

static void test_otlp__container(void **state)
{
	struct cgm_buf b = { 0 };
	struct sink_fixture f;
	const Otlp__ResourceMetrics *r;
	const Otlp__Number *disk;
	Otlp__Request *q;
	uint64_t nr;

	(void)state;
	make(&f, "/kubepods/pod" UID "/" ID);
	nr = cgm_otlp_sample(&f.s, &b);
	q = unpack(&b);
	assert_int_equal(q->n_resource_metrics, 1);
	assert_int_equal(count_points(q), nr);
	r = q->resource_metrics[0];
	assert_string_equal(attribute(r->resource->attributes, r->resource->n_attributes, "host.name"), "node 1");
	assert_string_equal(attribute(r->resource->attributes, r->resource->n_attributes, "container.id"), ID);
	assert_string_equal(attribute(r->resource->attributes, r->resource->n_attributes, "k8s.pod.uid"), UID);
	assert_null(attribute(r->resource->attributes, r->resource->n_attributes, "container.runtime.name"));
	assert_string_equal(attribute(r->resource->attributes, r->resource->n_attributes, "cgmeter.cgroup"), "/kubepods/pod" UID "/" ID);
	assert_string_equal(r->scope_metrics[0]->scope->name, "cgmeter");
	assert_true(seconds(point(r, "container.uptime", "s", 'g', NULL, NULL)) == 90);
	assert_true(seconds(point(r, "container.cpu.time", "s", 's', "cpu.mode", "user")) == 1);
	assert_true(seconds(point(r, "container.cpu.time", "s", 's', "cpu.mode", "kernel")) == 0.5);
	assert_int_equal(whole(point(r, "container.memory.usage", "By", 'u', NULL, NULL)), 5000);
	assert_int_equal(whole(point(r, "container.memory.available", "By", 'u', NULL, NULL)), (1 << 30) - 4096);
	assert_true(whole(point(r, "container.memory.rss", "By", 'u', NULL, NULL)) == INT64_MAX);
	assert_int_equal(whole(point(r, "container.memory.paging.faults", "{fault}", 's', "system.paging.fault.type", "minor")), 6);
	assert_int_equal(whole(point(r, "container.memory.paging.faults", "{fault}", 's', "system.paging.fault.type", "major")), 4);
	assert_int_equal(whole(point(r, "container.network.io", "By", 's', "network.io.direction", "transmit")), 77);
	disk = point(r, "container.disk.io", "By", 's', "disk.io.direction", "read");
	assert_int_equal(whole(disk), 512);
	assert_string_equal(attribute(disk->attributes, disk->n_attributes, "system.device"), "/dev/sda");
	assert_true(seconds(point(r, "cgmeter.container.memory.pressure.time", "s", 's', "kind", "some")) == 2.5);
	assert_null(find(r, "cgmeter.container.cpu.periods")); /* there is no quota */
	assert_null(find(r, "cgmeter.container.memory.swap")); /* no source */
	otlp__request__free_unpacked(q, NULL);
	cgm_buf_done(&b);
	fixture_done(&f);
}

static void test_otlp__machine_and_pod(void **state)
{
	struct cgm_buf b = { 0 };
	struct sink_fixture machine, pod;
	const Otlp__ResourceMetrics *r;
	Otlp__Request *q;

	(void)state;
	make(&machine, "/");
	make(&pod, "/kubepods/pod" UID);
	cgm_otlp_sample(&machine.s, &b);
	cgm_otlp_sample(&pod.s, &b);
	q = unpack(&b);
	assert_int_equal(q->n_resource_metrics, 2);
	r = q->resource_metrics[0];
	assert_true(seconds(point(r, "system.cpu.time", "s", 's', "cpu.mode", "system")) == 0.5);
	assert_int_equal(whole(point(r, "system.cpu.logical.count", "{cpu}", 'u', NULL, NULL)), 3);
	assert_int_equal(whole(point(r, "system.memory.usage", "By", 'u', "system.memory.state", "used")), 3000);
	assert_int_equal(whole(point(r, "system.memory.limit", "By", 'u', NULL, NULL)), 1 << 30);
	assert_true(seconds(point(r, "system.disk.io_time", "s", 's', "system.device", "/dev/vda1")) == 1.5);
	assert_null(find(r, "container.cpu.time"));
	r = q->resource_metrics[1];
	assert_true(seconds(point(r, "k8s.pod.cpu.time", "s", 's', NULL, NULL)) == 1.5);
	assert_null(find(r, "container.cpu.time"));
	assert_null(find(r, "system.cpu.time"));
	assert_null(attribute(r->resource->attributes, r->resource->n_attributes, "container.id"));
	otlp__request__free_unpacked(q, NULL);
	cgm_buf_done(&b);
	fixture_done(&machine);
	fixture_done(&pod);
}

/* protobuf's strings are UTF-8 (libprotobuf-c does not look, other readers do); start is never after the sample. */
static void test_otlp__hostile(void **state)
{
	struct cgm_buf b = { 0 };
	const Otlp__ResourceMetrics *r;
	struct sink_fixture f;
	Otlp__Request *q;

	(void)state;
	make(&f, "/a\xff\n\"\xc3\xa4");
	f.row.spec.creation_time_ns = FIXTURE_NS + 5;
	f.row.spec.memory_limit = UINT64_MAX;
	f.s.machine = "m\xfe";
	cgm_otlp_sample(&f.s, &b);
	q = unpack(&b);
	r = q->resource_metrics[0];
	assert_string_equal(attribute(r->resource->attributes, r->resource->n_attributes, "cgmeter.cgroup"), "/a\\xff\n\"\xc3\xa4");
	assert_string_equal(attribute(r->resource->attributes, r->resource->n_attributes, "host.name"), "m\\xfe");
	assert_true(find(r, "container.memory.usage")->sum->data_points[0]->start_time_unix_nano == FIXTURE_NS);
	assert_true(find(r, "container.uptime")->gauge->data_points[0]->as_double == 0);
	assert_null(find(r, "container.memory.available"));
	otlp__request__free_unpacked(q, NULL);
	cgm_buf_done(&b);
	fixture_done(&f);
}

static void test_otlp__nothing(void **state)
{
	struct cgm_buf b = { 0 };
	struct sink_fixture f;
	struct cgm_live live = { 0 };

	(void)state;
	make(&f, "/a");
	f.row.live = &live;
	f.s.groups_off = UINT64_MAX;
	f.row.spec.creation_time_ns = 0;
	assert_int_equal(cgm_otlp_sample(&f.s, &b), 0);
	assert_int_equal(cgm_otlp_live(&f.s, &b), 0);
	assert_int_equal(b.len, 0);
	cgm_buf_done(&b);
	fixture_done(&f);
}

static void check_hist(const Otlp__ExponentialPoint *p, const struct cgm_hist *wanted)
{
	uint64_t sum = p->zero_count;

	known(&p->base);
	assert_int_equal(p->scale, 2);
	assert_true(p->sum == (double)wanted->sum_ns / 1e9);
	assert_true(p->zero_count == wanted->buckets[0]);
	assert_true(p->zero_threshold == 0x1p-20);
	for (size_t i = 0; p->positive && i < p->positive->n_bucket_counts; i++) {
		/* Its bounds, by the definition of the protocol: (base^index, base^(index+1)] with base 2^(2^-scale). */
		double above = exp2((p->positive->offset + (double)i) / 4), upto = exp2((p->positive->offset + (double)i + 1) / 4);
		size_t ours = cgm_hist_bucket((uint64_t)(upto * 0.999 * 1e9));

		assert_int_equal(ours, cgm_hist_bucket((uint64_t)(above * 1.001 * 1e9)));
		assert_true(p->positive->bucket_counts[i] == wanted->buckets[ours]);
		sum += p->positive->bucket_counts[i];
	}
	assert_true(sum == p->count);
	assert_true(p->time_unix_nano == FIXTURE_NS && p->start_time_unix_nano == FIXTURE_NS - 90000000000ULL);
}

/* A snapshot keeps only the buckets from the first to the last that counted. */
static void set_hist(struct cgm_live_hist *to, const struct cgm_hist *from, unsigned first, unsigned nr)
{
	*to = (struct cgm_live_hist){ .sum_ns = from->sum_ns, .first = (uint16_t)first, .nr = (uint16_t)nr, .buckets = (const uint64_t *)from->buckets + first };
	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		to->count += from->buckets[i];
}

static void test_otlp_live(void **state)
{
	static const struct cgm_hist whole_hist = { .buckets = { [0] = 5, [1] = 1, [40] = 300, [104] = 2, [105] = 7 }, .sum_ns = 1500000000 },
				     middle = { .buckets = { [50] = 1, [51] = 0, [52] = 129 }, .sum_ns = 8 }, zeros = { .buckets = { [0] = 3 }, .sum_ns = 9 };
	struct cgm_live_block block = { .name = "/dev/vda", .op = CGM_BLOCK_WRITE, .bytes = 4096, .requests = 2, .issued = 2 };
	struct cgm_live_wait wait = { .wait = CGM_W_RECLAIM_LIMIT };
	struct cgm_live live = { .blocks = &block, .nr_blocks = 1, .waits = &wait, .nr_waits = 1 };
	struct cgm_buf b = { 0 };
	struct sink_fixture f;
	const Otlp__ResourceMetrics *r;
	const Otlp__Metric *m;
	Otlp__Request *q;
	uint64_t nr;

	(void)state;
	make(&f, "/a");
	f.row.live = &live;
	set_hist(&live.sched.runq_delay, &whole_hist, 0, CGM_HIST_BUCKETS);
	set_hist(&live.sched.off_cpu[CGM_OFF_IOWAIT], &middle, 50, 3);
	set_hist(&wait.hist, &zeros, 0, 1);
	set_hist(&block.queue_to_done, &middle, 48, 8);
	live.sched.voluntary = 12;
	live.net.proto[CGM_PROTO_TCP].tx_bytes = 99;
	live.counts.v[CGM_C_DELAY_BLKIO] = 250000000;
	nr = cgm_otlp_live(&f.s, &b);
	q = unpack(&b);
	assert_int_equal(count_points(q), nr);
	assert_int_equal(nr, 4 + 2 + 1 + 2); /* histograms; counters; a time; bytes and requests */
	r = q->resource_metrics[0];
	m = find(r, "cgmeter.container.cpu_runqueue_delay");
	assert_string_equal(m->unit, "s");
	assert_int_equal(m->exponential->aggregation_temporality, 2);
	assert_int_equal(m->exponential->n_data_points, 1);
	check_hist(m->exponential->data_points[0], &whole_hist);
	assert_int_equal(m->exponential->data_points[0]->positive->offset, -80); /* the bucket above 2^-20 s */
	m = find(r, "cgmeter.container.cpu_off");
	assert_string_equal(attribute(m->exponential->data_points[0]->attributes, 1, "kind"), "iowait");
	check_hist(m->exponential->data_points[0], &middle);
	m = find(r, "cgmeter.container.memory_reclaim");
	assert_string_equal(attribute(m->exponential->data_points[0]->attributes, 1, "reason"), "limit");
	check_hist(m->exponential->data_points[0], &zeros);
	assert_null(m->exponential->data_points[0]->positive);
	m = find(r, "cgmeter.container.block_latency");
	assert_string_equal(attribute(m->exponential->data_points[0]->attributes, 2, "system.device"), "/dev/vda");
	assert_string_equal(attribute(m->exponential->data_points[0]->attributes, 2, "operation"), "write");
	check_hist(m->exponential->data_points[0], &middle);
	assert_null(find(r, "cgmeter.container.block_service"));
	assert_int_equal(whole(point(r, "cgmeter.container.context_switches", "1", 's', "kind", "voluntary")), 12);
	assert_int_equal(whole(point(r, "cgmeter.container.socket", "By", 's', "direction", "transmit")), 99);
	assert_true(seconds(point(r, "cgmeter.container.task_delay", "s", 's', "kind", "block_io")) == 0.25);
	assert_int_equal(whole(point(r, "cgmeter.container.block", "By", 's', "operation", "write")), 4096);
	otlp__request__free_unpacked(q, NULL);
	cgm_buf_done(&b);
	fixture_done(&f);
}

/* Names lose their units: no two families may become one metric. */
static void test_otlp_live__names(void **state)
{
	static const struct cgm_hist hist = { .buckets = { [50] = 1 }, .sum_ns = 7 };
	struct cgm_live_block block = { .name = "/dev/vda", .op = CGM_BLOCK_WRITE, .bytes = 4096, .requests = 2, .issued = 2 };
	struct cgm_live_wait waits[CGM_NR_WAITS] = { 0 };
	struct cgm_dear dear;
	struct cgm_live live = { .dear = &dear, .blocks = &block, .nr_blocks = 1, .waits = waits, .nr_waits = CGM_NR_WAITS };
	struct cgm_buf b = { 0 };
	struct sink_fixture f;
	const Otlp__ResourceMetrics *r;
	Otlp__Request *q;

	(void)state;
	make(&f, "/a");
	f.row.live = &live;
	for (unsigned i = 0; i < CGM_NR_WAITS; i++) {
		waits[i].wait = (enum cgm_wait)i;
		set_hist(&waits[i].hist, &hist, 50, 1);
	}
	memset(&live.net, 1, sizeof(live.net));
	memset(&live.counts, 1, sizeof(live.counts));
	memset(&dear, 1, sizeof(dear));
	set_hist(&live.sched.runq_delay, &hist, 50, 1);
	cgm_otlp_live(&f.s, &b);
	q = unpack(&b);
	r = q->resource_metrics[0];
	assert_in_range(r->scope_metrics[0]->n_metrics, 40, 500);
	for (size_t i = 0; i < r->scope_metrics[0]->n_metrics; i++)
		assert_ptr_equal(find(r, r->scope_metrics[0]->metrics[i]->name), r->scope_metrics[0]->metrics[i]);
	otlp__request__free_unpacked(q, NULL);
	cgm_buf_done(&b);
	fixture_done(&f);
}

static void test_otlp__every_allocation_fails(void **state)
{
	struct sink_fixture f;
	unsigned long nr;

	(void)state;
	make(&f, "/a\xff");
	for (unsigned long n = 1;; n++) {
		struct cgm_buf b = { 0 };
		bool failed;

		cgm_mem_fail_at(n);
		cgm_otlp_sample(&f.s, &b);
		nr = cgm_mem_fail_at(0);
		failed = b.failed;
		cgm_buf_done(&b);
		assert_int_equal(failed, nr >= n);
		if (nr < n)
			break;
	}
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_otlp__container), cmocka_unit_test(test_otlp__machine_and_pod),	    cmocka_unit_test(test_otlp__hostile),
		cmocka_unit_test(test_otlp__nothing),	cmocka_unit_test(test_otlp_live), cmocka_unit_test(test_otlp_live__names),
		cmocka_unit_test(test_otlp__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("sink_otlp", tests, NULL, NULL);
}
