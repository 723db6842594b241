// SPDX-License-Identifier: Apache-2.0
/* The compact form from end to end: a made-up node told by user/output, read by user/source, against the Summary of the same node; and what is no such answer. */
#include "kubelet_fixture.h"

#include "draft_fixture.h"

#include "base/clock.h"
#include "base/protobuf.h"
#include "cgmeter/compact.h"
#include "model/trail.h"

static struct cgm_draft draft;
static char fault[CGM_DECODE_FAULT];
static uint64_t nr_bad;

static struct cgm_buf render(struct cgm_stream *s)
{
	struct cgm_buf b = { 0 };
	int r;

	assert_non_null(s);
	while ((r = s->next(s, &b)) > 0)
		;
	assert_int_equal(r, 0);
	cgm_stream_free(s);
	return b;
}

static int decode(const struct cgm_buf *b)
{
	return decode_with(CGM_DECODE_COMPACT, b->p, b->len, &draft, &nr_bad, fault);
}

/* With a kernel side, volumes and a histogram of round trips. */
static struct cgm_snapshot *live_snapshot(struct synth *y)
{
	struct cgm_snapshot *s = kubelet_snapshot(y, 3);

	cgm_snapshot_unref(s);
	y->live = true;
	s = synth_snapshot(y);
	kubelet_measure(s);
	s->rows[CPU].live->waits[0].wait = CGM_W_TCP_RTT;
	s->rows[CPU].live->net.tcp_retransmitted_segments = 17;
	s->rows[CPU].live->blocks[0].queue_to_done.sum_ns = 1000;
	s->rows[CPU].live->blocks[1].queue_to_done.sum_ns = 234;
	return s;
}

static const struct cgm_draft_set *twin(const struct cgm_draft *d, const struct cgm_draft_set *s, size_t *ret)
{
	for (*ret = 0; *ret < d->nr_sets; ++*ret) {
		const struct cgm_draft_set *t = &d->sets[*ret];

		if (t->kind == s->kind && strcmp(t->pod ? t->pod : "", s->pod ? s->pod : "") == 0 && strcmp(t->container ? t->container : "", s->container ? s->container : "") == 0)
			return t;
	}
	fail_msg("the compact form has no %s %s %s", cgm_set_type(s->kind), s->pod ? s->pod : "", s->container ? s->container : "");
	return NULL;
}

static bool has_labeled(const struct cgm_draft *d, size_t set, const struct cgm_labeled_facts *l)
{
	for (size_t i = 0; i < d->nr_labeled; i++) {
		const struct cgm_labeled_facts *k = &d->labeled[i].labeled;

		if (d->labeled[i].set == set && k->metric == l->metric && strcmp(k->labels[0].value, l->labels[0].value) == 0 && k->value.i == l->value.i)
			return true;
	}
	return false;
}

/* Every number of the Summary, and its names and times, which are whole seconds there. */
static void test_compact__has_the_summary(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = live_snapshot(&y);
	struct cgm_buf compact = render(cgm_compact(s, &kubelet_node)), summary = render(cgm_kubelet_summary(s, &kubelet_node, false));
	struct cgm_draft other = { 0 };

	(void)state;
	assert_int_equal(decode_with(CGM_DECODE_SUMMARY, summary.p, summary.len, &other, &nr_bad, fault), 0);
	assert_int_equal(nr_bad, 0);
	assert_int_equal(decode(&compact), 0);
	assert_int_equal(nr_bad, 0);
	assert_string_equal(draft.node, "node-1");
	assert_true(other.nr_sets > 10 && other.nr_labeled > 20);
	for (size_t i = 0; i < other.nr_sets; i++) {
		const struct cgm_draft_set *want = &other.sets[i], *is;
		size_t at;

		is = twin(&draft, want, &at);
		assert_int_equal(want->present & ~is->present, 0);
		for (uint64_t left = want->present; left; left &= left - 1)
			assert_int_equal(is->values[__builtin_ctzll(left)].i, want->values[__builtin_ctzll(left)].i);
		assert_int_equal(is->created_ns / CGM_NSEC_PER_SEC, want->created_ns / CGM_NSEC_PER_SEC);
		assert_int_equal(is->scraped_ns / CGM_NSEC_PER_SEC, want->scraped_ns ? want->scraped_ns / CGM_NSEC_PER_SEC : s->time_ns / CGM_NSEC_PER_SEC);
		assert_string_equal(is->uid ? is->uid : "", want->uid ? want->uid : "");
		for (size_t k = 0; k < other.nr_labeled; k++)
			if (other.labeled[k].set == i)
				assert_true(has_labeled(&draft, at, &other.labeled[k].labeled));
	}
	print_message("%zu sets: a Summary of %zu bytes, compact %zu\n", other.nr_sets, summary.len, compact.len);
	assert_true(compact.len * 3 <= summary.len);
	cgm_draft_done(&other);
	cgm_buf_done(&summary);
	cgm_buf_done(&compact);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static const struct cgm_cluster_hist *hist_of(const struct cgm_draft *d, size_t set, enum cgm_ch h)
{
	for (size_t i = 0; i < d->nr_hists; i++)
		if (d->hists[i].set == set && d->hists[i].hist.hist == h)
			return &d->hists[i].hist;
	return NULL;
}

static void test_compact__beyond_the_summary(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = live_snapshot(&y);
	struct cgm_buf b = render(cgm_compact(s, &kubelet_node));
	const struct cgm_live_hist *live = &s->rows[CPU].live->sched.runq_delay;
	uint64_t bars[CGM_CH_BUCKETS] = { 0 };
	const struct cgm_draft_set *cpu;
	const struct cgm_cluster_hist *h;
	size_t at;
	char *line;

	(void)state;
	assert_int_equal(decode(&b), 0);
	cpu = twin(&draft, &(struct cgm_draft_set){ .kind = CGM_SET_CONTAINER, .pod = "burn", .container = "cpu" }, &at);
	assert_int_equal(cpu->values[CGM_CM_CPU_RUN_QUEUE_DELAY].i, 77777 + CPU);
	assert_int_equal(cpu->values[CGM_CM_DISK_WAIT].i, 1234);
	assert_int_equal(cpu->values[CGM_CM_NETWORK_TCP_RETRANSMITS].i, 17);
	assert_int_equal(cpu->values[CGM_CM_CPU_THROTTLED].i, last_value(&y, CPU, CGM_V_CPU_CFS_THROTTLED_TIME));
	assert_int_equal(cpu->values[CGM_CM_MEMORY_CACHE].i, last_value(&y, CPU, CGM_V_MEMORY_CACHE));
	assert_int_equal(cpu->values[CGM_CM_TASKS].i, last_value(&y, CPU, CGM_V_THREADS_CURRENT));
	assert_string_equal(cpu->image, "busybox:1");
	assert_int_equal(cpu->created_ns, AT(60));
	line = draft_line(&draft, "pod_container default/burn(" BURN ") cpu ");
	assert_non_null(strstr(line, " disk/io_read_bytes{/dev/disk8_0}="));
	assert_non_null(strstr(line, " disk/io_write_bytes{/dev/disk8_16}="));
	free(line);
	for (unsigned i = 0; i < live->nr; i++)
		bars[cgm_hist_bar(live->first + i)] += live->buckets[i];
	h = hist_of(&draft, at, CGM_CH_RUN_QUEUE_DELAY);
	assert_non_null(h);
	assert_memory_equal(h->buckets, bars, sizeof(bars));
	assert_int_equal(h->count, live->count);
	assert_int_equal(h->sum_ns, 77777 + CPU);
	h = hist_of(&draft, at, CGM_CH_DISK_LATENCY);
	assert_non_null(h);
	assert_int_equal(h->count, 6);
	assert_int_equal(h->buckets[CGM_CH_BUCKETS - 1], 6);
	assert_int_equal(h->sum_ns, 1234);
	h = hist_of(&draft, at, CGM_CH_TCP_RTT);
	assert_non_null(h);
	assert_int_equal(h->count, 3);
	/* A container of docker that is no pod's, under its own name; the sandbox is nobody's set. */
	line = draft_line(&draft, "sys_container web ");
	assert_non_null(line);
	free(line);
	for (size_t i = 0; i < draft.nr_sets; i++)
		assert_null(strstr(draft.sets[i].container ? draft.sets[i].container : "", HEX));
	cgm_buf_done(&b);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* No kernel side, no blocks, no optional values, no pods: what is not known is not said. */
static void test_compact__bare(void **state)
{
	static const struct cgm_kubelet_node unknown = { .name = "" };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot_with(&y, 1, true);
	struct cgm_buf b = render(cgm_compact(s, &unknown));

	(void)state;
	assert_int_equal(decode(&b), 0);
	assert_int_equal(nr_bad, 0);
	assert_int_equal(draft.nr_hists, 0);
	assert_int_equal(draft.nr_labeled, 0);
	assert_false(draft.sets[0].present & CGM_CM_BIT(CGM_CM_NETWORK_RX));
	assert_true(draft.sets[0].present & CGM_CM_BIT(CGM_CM_CPU_USAGE));
	assert_null(draft.node);
	cgm_buf_done(&b);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_compact__cut_and_memory(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = live_snapshot(&y);
	struct cgm_buf b = render(cgm_compact(s, &kubelet_node));

	(void)state;
	check_cuts(CGM_DECODE_COMPACT, b.p, b.len);
	check_memory(CGM_DECODE_COMPACT, b.p, b.len);
	/* What a byte more or less anywhere makes of it is for the fuzzer; here: nothing crashes. */
	for (size_t i = 0; i < b.len; i++) {
		b.p[i] ^= (char)0x81;
		decode(&b);
		b.p[i] ^= (char)0x81;
	}
	cgm_buf_done(&b);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_compact__render_memory(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = live_snapshot(&y);

	(void)state;
	for (unsigned long n = 1;; n++) {
		struct cgm_buf b = { 0 };
		struct cgm_stream *stream;
		int r = -ENOMEM;

		cgm_mem_fail_at(n);
		stream = cgm_compact(s, &kubelet_node);
		if (stream)
			while ((r = stream->next(stream, &b)) > 0)
				;
		cgm_mem_fail_at(0);
		cgm_stream_free(stream);
		cgm_buf_done(&b);
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_true(n < 1000);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- made by hand ---- */

#define COUNT(n) CGM_PB_TAG(n, CGM_PB_VARINT)
#define BYTES(n) CGM_PB_TAG(n, CGM_PB_BYTES)

static void put_head(struct cgm_buf *b, uint64_t version)
{
	cgm_pb_count(b, COUNT(CGM_COMPACT_A_VERSION), version);
	cgm_pb_fixed64(b, CGM_PB_TAG(CGM_COMPACT_A_TIME, CGM_PB_FIXED64), SYNTH_FIRST_NS);
}

static void put_pairs(struct cgm_buf *b, uint8_t field, const char *pairs, size_t len)
{
	cgm_pb_text(b, BYTES(field), pairs, len);
}

/* Fields, names and kinds of a newer agent are passed over; names come in any order. */
static void test_decode_compact__newer(void **state)
{
	struct cgm_buf b = { 0 };
	size_t set, part;

	(void)state;
	put_head(&b, CGM_COMPACT_VERSION);
	cgm_pb_text(&b, BYTES(15), "x", 1);
	cgm_pb_count(&b, COUNT(14), 5);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_A_NAME), "a/newer_one", 11);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_A_NAME), "cpu/usage", 9);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_A_NAME), "filesystem/usage", 16);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_A_NAME), "cpu/usage_rate", 14);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_A_NAME), "cpu-usage", 9);
	set = cgm_pb_begin(&b, BYTES(CGM_COMPACT_A_SET));
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_KIND), CGM_COMPACT_NODE);
	put_pairs(&b, CGM_COMPACT_S_VALUES, "\0\5\1\7\4\4\x63\1", 8);
	cgm_pb_double(&b, CGM_PB_TAG(13, CGM_PB_FIXED64), 1.5);
	part = cgm_pb_begin(&b, BYTES(CGM_COMPACT_S_LABELED));
	put_pairs(&b, CGM_COMPACT_L_VALUES, "\0\1\2\6", 4);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_L_RESOURCE), "/", 1);
	cgm_pb_end(&b, part);
	cgm_pb_end(&b, set);
	set = cgm_pb_begin(&b, BYTES(CGM_COMPACT_A_SET));
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_KIND), 9);
	cgm_pb_end(&b, set);
	cgm_pb_count(&b, COUNT(CGM_COMPACT_A_END), 2);
	assert_int_equal(decode(&b), 0);
	assert_int_equal(nr_bad, 0);
	assert_int_equal(draft.nr_sets, 1);
	assert_line(&draft, "node ", "1790000000000000000 0 cpu/usage=7 filesystem/usage{/}=6");
	cgm_buf_done(&b);
}

static void test_decode_compact__bad_values(void **state)
{
	static const char *const names[] = { "cpu/usage", "cpu/node_capacity", "filesystem/usage", "run_queue_delay" };
	struct cgm_buf b = { 0 };
	size_t set, part;

	(void)state;
	put_head(&b, CGM_COMPACT_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cgm_pb_text(&b, BYTES(CGM_COMPACT_A_NAME), names[i], strlen(names[i]));
	set = cgm_pb_begin(&b, BYTES(CGM_COMPACT_A_SET));
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_KIND), CGM_COMPACT_NODE);
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_CREATED), cgm_pb_zigzag(INT64_MIN / 2)); /* bad: before 2000 */
	put_pairs(&b, CGM_COMPACT_S_VALUES, "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\1\2\1\3\1", 17); /* saturates; a float, a labeled one, a histogram: bad */
	part = cgm_pb_begin(&b, BYTES(CGM_COMPACT_S_HIST));
	cgm_pb_count(&b, COUNT(CGM_COMPACT_H_NAME), 3);
	put_pairs(&b, CGM_COMPACT_H_BARS, "\x1c\1", 2); /* bad: there is no 28th */
	cgm_pb_end(&b, part);
	for (int i = 0; i < 2; i++) { /* bad: the second of a kind */
		part = cgm_pb_begin(&b, BYTES(CGM_COMPACT_S_HIST));
		cgm_pb_count(&b, COUNT(CGM_COMPACT_H_NAME), 3);
		put_pairs(&b, CGM_COMPACT_H_BARS, "\2\5", 2);
		cgm_pb_end(&b, part);
	}
	cgm_pb_end(&b, set);
	set = cgm_pb_begin(&b, BYTES(CGM_COMPACT_A_SET)); /* bad: of no pod */
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_KIND), CGM_COMPACT_CONTAINER);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_S_NAME), "c", 1);
	cgm_pb_end(&b, set);
	set = cgm_pb_begin(&b, BYTES(CGM_COMPACT_A_SET)); /* bad: twice, the text and that it has no name */
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_KIND), CGM_COMPACT_SYSTEM);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_S_NAME), "a\0b", 3);
	cgm_pb_end(&b, set);
	set = cgm_pb_begin(&b, BYTES(CGM_COMPACT_A_SET)); /* bad: a second node */
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_KIND), CGM_COMPACT_NODE);
	cgm_pb_end(&b, set);
	cgm_pb_count(&b, COUNT(CGM_COMPACT_A_END), 4);
	assert_int_equal(decode(&b), 0);
	assert_int_equal(nr_bad, 10);
	assert_int_equal(draft.nr_sets, 1);
	assert_line(&draft, "node ", "1790000000000000000 0 cpu/usage=9223372036854775807 run_queue_delay[5:0 2:5]");
	cgm_buf_done(&b);
}

/* The answer's own time, which is that of sets without one, is no better than any other; a value of no resource is counted. */
static void test_decode_compact__bad_time(void **state)
{
	struct cgm_buf b = { 0 };
	size_t set, part;

	(void)state;
	cgm_pb_count(&b, COUNT(CGM_COMPACT_A_VERSION), CGM_COMPACT_VERSION);
	cgm_pb_fixed64(&b, CGM_PB_TAG(CGM_COMPACT_A_TIME, CGM_PB_FIXED64), UINT64_MAX - 5);
	cgm_pb_text(&b, BYTES(CGM_COMPACT_A_NAME), "filesystem/usage", 16);
	set = cgm_pb_begin(&b, BYTES(CGM_COMPACT_A_SET));
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_KIND), CGM_COMPACT_NODE);
	part = cgm_pb_begin(&b, BYTES(CGM_COMPACT_S_LABELED));
	put_pairs(&b, CGM_COMPACT_L_VALUES, "\0\1", 2);
	cgm_pb_end(&b, part);
	cgm_pb_end(&b, set);
	cgm_pb_count(&b, COUNT(CGM_COMPACT_A_END), 1);
	assert_int_equal(decode(&b), 0);
	assert_int_equal(nr_bad, 2);
	assert_line(&draft, "node ", "0 0");
	cgm_buf_done(&b);
}

static void test_decode_compact__faults(void **state)
{
	struct cgm_buf b = { 0 };
	size_t set;

	(void)state;
	assert_int_equal(decode_with(CGM_DECODE_COMPACT, "", 0, &draft, &nr_bad, fault), -EINVAL);
	assert_string_equal(fault, "it is cut short at byte 0");
	assert_int_equal(decode_with(CGM_DECODE_COMPACT, "<html>", 6, &draft, &nr_bad, fault), -EINVAL);
	assert_non_null(strstr(fault, "it is no compact answer"));
	assert_int_equal(decode_with(CGM_DECODE_COMPACT, "404 page not found\n", 19, &draft, &nr_bad, fault), -EINVAL);
	assert_non_null(strstr(fault, "it is no compact answer"));
	put_head(&b, 2);
	assert_int_equal(decode(&b), -EINVAL);
	assert_string_equal(fault, "it is of another version than 1 at byte 2");
	b.len = 0;
	put_head(&b, 1);
	cgm_pb_count(&b, COUNT(CGM_COMPACT_A_END), 0);
	assert_int_equal(decode(&b), -EINVAL);
	assert_non_null(strstr(fault, "it has no node"));
	b.len = 0;
	put_head(&b, 1);
	set = cgm_pb_begin(&b, BYTES(CGM_COMPACT_A_SET));
	cgm_pb_count(&b, COUNT(CGM_COMPACT_S_KIND), CGM_COMPACT_NODE);
	cgm_pb_end(&b, set);
	cgm_pb_count(&b, COUNT(CGM_COMPACT_A_END), 7);
	assert_int_equal(decode(&b), -EINVAL);
	assert_non_null(strstr(fault, "sets are missing"));
	cgm_buf_done(&b);
}

static void test_decode_compact__speed(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = live_snapshot(&y);
	struct cgm_buf b = render(cgm_compact(s, &kubelet_node));
	uint64_t best = UINT64_MAX;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint64_t begin = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);

		cgm_draft_clear(&draft);
		assert_int_equal(cgm_decode(CGM_DECODE_COMPACT, b.p, b.len, &draft, &nr_bad, fault), 0);
		best = MIN(best, cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin);
	}
	print_message("%zu sets, %zu bytes: %.1f us\n", draft.nr_sets, b.len, (double)best / 1000);
	cgm_buf_done(&b);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static int teardown(void **state)
{
	(void)state;
	cgm_draft_done(&draft);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compact__has_the_summary),
		cmocka_unit_test(test_compact__beyond_the_summary),
		cmocka_unit_test(test_compact__bare),
		cmocka_unit_test(test_compact__cut_and_memory),
		cmocka_unit_test(test_compact__render_memory),
		cmocka_unit_test(test_decode_compact__newer),
		cmocka_unit_test(test_decode_compact__bad_values),
		cmocka_unit_test(test_decode_compact__bad_time),
		cmocka_unit_test(test_decode_compact__faults),
		cmocka_unit_test(test_decode_compact__speed),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
