// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/mem.h"
#include "batch/draft.h"

/* ---- the table ---- */

static void test_metric__table(void **state)
{
	(void)state;
	for (int m = 0; m < CGM_NR_CM; m++) {
		const struct cgm_cm_info *info = &cgm_cm_table[m];
		int rate = cgm_cm_rate((enum cgm_cm)m);

		assert_non_null(info->name);
		assert_true(*info->name && *info->unit && *info->help && info->sets);
		if (m < CGM_CM_CUSTOM)
			assert_int_equal(cgm_cm_find(cgm_str(info->name)), m);
		if (rate >= 0) { /* a counter, and its rate has its name and is of every set that has the counter */
			assert_true(info->cumulative && !cgm_cm_table[rate].cumulative);
			assert_int_equal(strncmp(cgm_cm_table[rate].name, info->name, strlen(info->name)), 0);
			assert_string_equal(cgm_cm_table[rate].name + strlen(info->name), "_rate");
			assert_int_equal(info->sets & ~cgm_cm_table[rate].sets, 0);
		}
	}
	assert_int_equal(cgm_cm_rate(CGM_CM_MEMORY_USAGE), -1);
	assert_int_equal(cgm_cm_find(CGM_STR("cpu-usage")), CGM_CM_CPU_USAGE_RATE);
	assert_int_equal(cgm_cm_find(CGM_STR("memory-working")), CGM_CM_MEMORY_WORKING_SET);
	assert_int_equal(cgm_cm_find(CGM_STR("custom")), -1);
	assert_int_equal(cgm_cm_find(CGM_STR("cpu")), -1);
	assert_int_equal(cgm_cm_find(CGM_STR("")), -1);
}

/* ---- entities ---- */

static const struct cgm_tag stored[] = { { "a", "1" }, { "b", "2" } };

static struct cgm_entity_facts facts_of(enum cgm_set_kind kind)
{
	return (struct cgm_entity_facts){
		.kind = kind, .stored = stored, .nr_stored = 2,
		.labels = { [CGM_CL_NODENAME] = "n1", [CGM_CL_NAMESPACE_NAME] = "ns", [CGM_CL_POD_NAME] = "p", [CGM_CL_CONTAINER_NAME] = "c" },
	};
}

static void test_entity__keys(void **state)
{
	const char *const keys[CGM_NR_SET_KINDS] = { "cluster", "namespace:ns", "node:n1", "node:n1/container:c", "namespace:ns/pod:p", "namespace:ns/pod:p/container:c" };
	const char *const types[CGM_NR_SET_KINDS] = { "cluster", "ns", "node", "sys_container", "pod", "pod_container" };

	(void)state;
	for (int kind = 0; kind < CGM_NR_SET_KINDS; kind++) {
		struct cgm_entity_facts facts = facts_of((enum cgm_set_kind)kind);
		_cleanup_(cgm_entity_freep) struct cgm_entity *e = cgm_entity_new(&facts);

		assert_string_equal(e->key, keys[kind]);
		assert_int_equal(e->hash, cgm_hash_bytes(e->key, strlen(e->key)));
		assert_string_equal(e->labels[CGM_CL_TYPE], types[kind]);
		assert_string_equal(e->labels[CGM_CL_POD_NAME], "p");
		assert_ptr_not_equal(e->labels[CGM_CL_POD_NAME], facts.labels[CGM_CL_POD_NAME]);
		assert_null(e->labels[CGM_CL_HOST_ID]);
		assert_string_equal(e->stored[1].value, "2");
	}
}

static void test_entity__is(void **state)
{
	struct cgm_entity_facts facts = facts_of(CGM_SET_POD), other = facts;
	struct cgm_tag tags[] = { { "a", "1" }, { "b", "3" } };
	_cleanup_(cgm_entity_freep) struct cgm_entity *e = cgm_entity_new(&facts);

	(void)state;
	assert_true(cgm_entity_is(e, &facts));
	for (int l = 0; l < CGM_CL_TYPE; l++) {
		other = facts;
		other.labels[l] = facts.labels[l] ? NULL : "x";
		assert_false(cgm_entity_is(e, &other));
		other.labels[l] = "x";
		assert_false(cgm_entity_is(e, &other));
	}
	other = facts;
	other.kind = CGM_SET_CONTAINER;
	assert_false(cgm_entity_is(e, &other));
	other = facts;
	other.nr_stored = 1;
	assert_false(cgm_entity_is(e, &other));
	other.nr_stored = 2;
	other.stored = tags;
	assert_false(cgm_entity_is(e, &other));
	tags[1].value = "2";
	assert_true(cgm_entity_is(e, &other));
}

/* A container's texts are its pod's where they are the same, and stay as long as it does. */
static void test_entity__lender(void **state)
{
	struct cgm_entity_facts facts = facts_of(CGM_SET_POD), of_container;
	_cleanup_(cgm_entity_freep) struct cgm_entity *pod = NULL, *container = NULL;

	(void)state;
	facts.labels[CGM_CL_CONTAINER_NAME] = NULL;
	facts.labels[CGM_CL_LABELS] = "app:web";
	pod = cgm_entity_new(&facts);
	of_container = facts;
	of_container.kind = CGM_SET_CONTAINER;
	of_container.lender = pod;
	of_container.labels[CGM_CL_CONTAINER_NAME] = "app";
	of_container.labels[CGM_CL_HOST_ID] = "h";
	container = cgm_entity_new(&of_container);
	assert_ptr_equal(container->labels[CGM_CL_LABELS], pod->labels[CGM_CL_LABELS]);
	assert_ptr_equal(container->stored, pod->stored);
	assert_int_equal(pod->refs, 2);
	cgm_entity_unref(pod);
	pod = NULL;
	assert_true(cgm_entity_is(container, &of_container));
	assert_string_equal(container->key, "namespace:ns/pod:p/container:app");
	assert_string_equal(container->labels[CGM_CL_CONTAINER_NAME], "app");
	assert_string_equal(container->labels[CGM_CL_HOST_ID], "h");
	assert_string_equal(container->labels[CGM_CL_LABELS], "app:web");
	assert_string_equal(container->stored[1].value, "2");
}

static void test_entity__out_of_memory(void **state)
{
	struct cgm_entity_facts facts = facts_of(CGM_SET_POD);
	unsigned nr_failed = 0;

	(void)state;
	for (unsigned long at = 1; at < 5; at++) {
		struct cgm_entity *e;

		cgm_mem_fail_at(at);
		e = cgm_entity_new(&facts);
		cgm_mem_fail_at(0);
		nr_failed += !e;
		cgm_entity_unref(e);
	}
	assert_int_equal(nr_failed, 2);
}

/* ---- drafts and slices ---- */

static struct cgm_entity *pod(const char *name)
{
	struct cgm_entity_facts facts = { .kind = CGM_SET_POD, .labels = { [CGM_CL_NAMESPACE_NAME] = "ns", [CGM_CL_POD_NAME] = name } };

	return cgm_entity_new(&facts);
}

/* Three sets, the second of which has no entity; labels that are shared and such that are not; an order that is not that of the draft. */
static int fill(struct cgm_draft *d)
{
	static const struct cgm_tag card[] = { { "accelerator_id", "0" }, { "make", "m" }, { "model", "x" } };
	struct cgm_labeled_facts l = { .metric = CGM_CM_ACCELERATOR_DUTY_CYCLE, .nr_labels = 3, .labels = card, .value.i = 7 };
	struct cgm_cluster_hist h = { .hist = CGM_CH_TCP_RTT, .count = 3 };
	char name[] = "p0";

	for (unsigned i = 0; i < 3; i++, name[1]++) {
		int at = cgm_draft_add(d, CGM_SET_POD);

		if (at < 0)
			return -ENOMEM;
		d->sets[at].order = 3 - i;
		d->sets[at].entity = i == 1 ? NULL : pod(name);
		if (i != 1 && !d->sets[at].entity)
			return -ENOMEM;
		cgm_draft_float(&d->sets[at], CGM_CM_NETWORK_RX_RATE, 0.5 + i);
		cgm_draft_int(&d->sets[at], CGM_CM_UPTIME, 10 + i);
		cgm_draft_resource(d, i, CGM_CM_FILESYSTEM_LIMIT, CGM_STR("/"), 100 + i);
		cgm_draft_resource(d, i, CGM_CM_FILESYSTEM_USAGE, CGM_STR("/"), i);
		cgm_draft_resource(d, i, CGM_CM_FILESYSTEM_USAGE, CGM_STR("logs"), 50 + i);
	}
	cgm_draft_labeled(d, 2, &l);
	l.metric = CGM_CM_CUSTOM;
	l.name = "queue";
	l.is_float = true;
	l.value.f = 2.5;
	cgm_draft_labeled(d, 2, &l);
	l.nr_labels = 0;
	l.labels = NULL;
	l.name = "plain";
	cgm_draft_labeled(d, 0, &l);
	cgm_draft_hist(d, 0, &h);
	h.hist = CGM_CH_RUN_QUEUE_DELAY;
	h.count = 4;
	cgm_draft_hist(d, 1, &h);
	cgm_draft_hist(d, 0, &h);
	return d->failed ? -ENOMEM : 0;
}

static void is_labeled(const struct cgm_labeled *l, enum cgm_cm m, int64_t value, const char *last_label)
{
	assert_int_equal(l->metric, m);
	assert_int_equal(l->value.i, value);
	assert_string_equal(cgm_labeled_labels(l)[l->nr_labels - 1].value, last_label);
}

static void check(const struct cgm_slice *s)
{
	const struct cgm_set *a = &s->sets[0], *b = &s->sets[1];

	assert_int_equal(s->nr_sets, 2);
	assert_string_equal(s->node, "node");
	assert_int_equal(s->end_ns, 1000);
	assert_int_equal(s->resolution_ns, 60);
	assert_int_equal(s->nr_points, 2 * 2 + 3 + 1 + 3 + 2);
	assert_string_equal(a->entity->key, "namespace:ns/pod:p2"); /* the smaller order */
	assert_string_equal(b->entity->key, "namespace:ns/pod:p0");
	assert_int_equal(cgm_set_value(a, CGM_CM_UPTIME).i, 12);
	assert_true(cgm_set_value(a, CGM_CM_NETWORK_RX_RATE).f == 2.5);
	assert_false(cgm_set_has(a, CGM_CM_CPU_USAGE));
	assert_int_equal(a->nr_labeled, 5);
	is_labeled(&a->labeled[0], CGM_CM_FILESYSTEM_USAGE, 2, "/");
	is_labeled(&a->labeled[1], CGM_CM_FILESYSTEM_USAGE, 52, "logs");
	is_labeled(&a->labeled[2], CGM_CM_FILESYSTEM_LIMIT, 102, "/");
	is_labeled(&a->labeled[3], CGM_CM_ACCELERATOR_DUTY_CYCLE, 7, "x");
	assert_string_equal(cgm_labeled_labels(&a->labeled[3])[0].key, "accelerator_id");
	assert_string_equal(cgm_labeled_labels(&a->labeled[0])[0].key, "resource_id");
	assert_string_equal(cgm_labeled_name(&a->labeled[4]), "queue");
	assert_string_equal(cgm_labeled_labels(&a->labeled[4])[1].value, "m");
	assert_true(a->labeled[4].value.f == 2.5);
	assert_int_equal(b->nr_labeled, 4);
	is_labeled(&b->labeled[2], CGM_CM_FILESYSTEM_LIMIT, 100, "/");
	assert_string_equal(cgm_labeled_name(&b->labeled[3]), "plain");
	assert_int_equal(b->labeled[3].nr_labels, 0);
	assert_int_equal(a->nr_hists, 0);
	assert_int_equal(b->nr_hists, 2);
	assert_int_equal(b->hists[0].hist, CGM_CH_RUN_QUEUE_DELAY);
	assert_int_equal(b->hists[0].count, 4);
	assert_int_equal(b->hists[1].count, 3);
	assert_ptr_equal(cgm_slice_find(s, "namespace:ns/pod:p0"), b);
	assert_null(cgm_slice_find(s, "namespace:ns/pod:p1"));
}

static void test_draft__seal(void **state)
{
	_cleanup_(cgm_draft_done) struct cgm_draft d = { 0 };
	_cleanup_(cgm_slice_freep) struct cgm_slice *s = NULL;
	struct cgm_slice *again;

	(void)state;
	for (unsigned round = 0; round < 3; round++) { /* a draft is used again */
		cgm_slice_unref(s);
		assert_int_equal(fill(&d), 0);
		assert_int_equal(cgm_draft_seal(&d, "node", 1000, 60, &s), 0);
		cgm_draft_clear(&d);
		check(s);
		assert_int_equal(s->sets[0].entity->refs, 1);
	}
	again = cgm_slice_ref(s);
	assert_int_equal(s->refs, 2);
	cgm_slice_unref(again);
	cgm_slice_unref(NULL);
}

/* Equal orders stay as they were added. */
static void test_draft__order(void **state)
{
	_cleanup_(cgm_draft_done) struct cgm_draft d = { 0 };
	_cleanup_(cgm_slice_freep) struct cgm_slice *s = NULL;
	const uint32_t orders[] = { 2, 1, 2, 0, 1 }, wanted[] = { 3, 1, 4, 0, 2 };
	char name[] = "p0";

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++, name[1]++) {
		assert_int_equal(cgm_draft_add(&d, CGM_SET_POD), i);
		d.sets[i].order = orders[i];
		d.sets[i].entity = pod(name);
	}
	assert_int_equal(cgm_draft_seal(&d, "", 0, 0, &s), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++)
		assert_int_equal(s->sets[i].entity->labels[CGM_CL_POD_NAME][1], '0' + (int)wanted[i]);
}

static void test_draft__empty(void **state)
{
	_cleanup_(cgm_draft_done) struct cgm_draft d = { 0 };
	_cleanup_(cgm_slice_freep) struct cgm_slice *s = NULL;

	(void)state;
	cgm_draft_clear(&d);
	assert_int_equal(cgm_draft_seal(&d, "n", 1, 1, &s), 0);
	assert_int_equal(s->nr_sets, 0);
	assert_null(cgm_slice_find(s, "n"));
}

/* Many lists of labels, each in several sets and not one after the other: each is in the slice once. */
static void test_draft__labels_once(void **state)
{
	_cleanup_(cgm_draft_done) struct cgm_draft d = { 0 };
	_cleanup_(cgm_slice_freep) struct cgm_slice *s = NULL;
	char volume[] = "Volume:000", name[] = "p0";

	(void)state;
	for (unsigned i = 0; i < 2; i++, name[1]++) {
		assert_int_equal(cgm_draft_add(&d, CGM_SET_POD), i);
		d.sets[i].entity = pod(name);
		for (unsigned k = 0; k < 600; k++) {
			snprintf(volume + 7, 4, "%03u", k % 300);
			cgm_draft_resource(&d, i, CGM_CM_FILESYSTEM_USAGE, cgm_str(volume), k);
		}
	}
	assert_int_equal(cgm_draft_seal(&d, "", 0, 0, &s), 0);
	assert_true(s->bytes < sizeof(*s) + 2 * sizeof(struct cgm_set) + 1200 * sizeof(struct cgm_labeled) + 300 * (sizeof(struct cgm_tag) + 24) + 100);
	for (unsigned k = 0; k < 1200; k++) {
		const struct cgm_labeled *l = &s->sets[k / 600].labeled[k % 600];

		snprintf(volume + 7, 4, "%03u", k % 300);
		assert_int_equal(l->value.i, k % 600);
		assert_string_equal(cgm_labeled_labels(l)[0].value, volume);
		assert_ptr_equal(cgm_labeled_labels(l), cgm_labeled_labels(&s->sets[0].labeled[k % 300]));
	}
}

/* What comes last in the draft and first in its set, as rates do before an application's own metrics: no value is moved for another one. */
static void test_draft__many_labeled(void **state)
{
	static const enum cgm_cm metrics[] = { CGM_CM_CUSTOM, CGM_CM_DISK_IO_READ_BYTES_RATE, CGM_CM_FILESYSTEM_USAGE };
	static const struct cgm_tag tag = { "resource_id", "x" };
	enum { NR = 200000 };
	_cleanup_(cgm_draft_done) struct cgm_draft d = { 0 };
	_cleanup_(cgm_slice_freep) struct cgm_slice *s = NULL;

	(void)state;
	assert_int_equal(cgm_draft_add(&d, CGM_SET_CONTAINER), 0);
	d.sets[0].entity = pod("p");
	for (uint32_t i = 0; i < 3 * NR; i++) {
		struct cgm_labeled_facts l = { .metric = (uint8_t)metrics[i / NR], .nr_labels = 1, .labels = &tag, .value.i = i };

		cgm_draft_labeled(&d, 0, &l);
	}
	assert_int_equal(cgm_draft_seal(&d, "", 0, 0, &s), 0);
	assert_int_equal(s->sets[0].nr_labeled, 3 * NR);
	for (uint32_t i = 0; i < 3 * NR; i++) {
		const struct cgm_labeled *l = &s->sets[0].labeled[i];

		if (l->metric != metrics[2 - i / NR] || l->value.i != (2 - i / NR) * NR + i % NR)
			fail_msg("%u: metric %u, value %d", i, l->metric, (int)l->value.i);
		assert_string_equal(cgm_labeled_labels(l)->value, "x");
	}
}

/* More than a chunk of texts, and one that is larger than a chunk: all stay where they are. */
static void test_draft__texts(void **state)
{
	_cleanup_(cgm_draft_done) struct cgm_draft d = { 0 };
	static char large[100000];
	const char *texts[2000];

	(void)state;
	memset(large, 'x', sizeof(large));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
			texts[i] = cgm_draft_text(&d, i == 1000 ? (struct cgm_str){ large, sizeof(large) } : (struct cgm_str){ large, i % 100 });
			assert_non_null(texts[i]);
			assert_int_equal((uintptr_t)cgm_draft_alloc(&d, 3) % sizeof(max_align_t) % 16, 0);
		}
		for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
			assert_int_equal(strlen(texts[i]), i == 1000 ? sizeof(large) : i % 100);
		cgm_draft_clear(&d);
	}
}

/* Whatever allocation fails: the draft says so, there is no slice, and nothing leaks. */
static void test_draft__out_of_memory(void **state)
{
	unsigned nr_failed = 0;

	(void)state;
	for (unsigned long at = 1;; at++) {
		_cleanup_(cgm_draft_done) struct cgm_draft d = { 0 };
		_cleanup_(cgm_slice_freep) struct cgm_slice *s = NULL;
		int r;

		cgm_mem_fail_at(at);
		r = fill(&d);
		if (r == 0)
			r = cgm_draft_seal(&d, "node", 1000, 60, &s);
		else if (d.failed)
			assert_int_equal(cgm_draft_seal(&d, "node", 1000, 60, &s), -ENOMEM);
		cgm_mem_fail_at(0);
		if (r == 0) {
			check(s);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(s);
		nr_failed++;
		assert_true(at < 100);
	}
	assert_true(nr_failed >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metric__table), cmocka_unit_test(test_entity__keys), cmocka_unit_test(test_entity__is), cmocka_unit_test(test_entity__lender),	  cmocka_unit_test(test_entity__out_of_memory),
		cmocka_unit_test(test_draft__seal),   cmocka_unit_test(test_draft__order), cmocka_unit_test(test_draft__empty), cmocka_unit_test(test_draft__texts),
		cmocka_unit_test(test_draft__out_of_memory), cmocka_unit_test(test_draft__labels_once),  cmocka_unit_test(test_draft__many_labeled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
