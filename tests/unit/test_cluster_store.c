// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "batch/draft.h"
#include "batch/store.h"

#define SEC 1000000000ULL
#define MINUTE (60 * SEC)
#define START (1000 * MINUTE)

/* ---- slices to put ---- */

static void add(struct cgm_draft *d, struct cgm_entity_facts *facts, int64_t cpu, int64_t memory)
{
	int i = cgm_draft_add(d, facts->kind);
	struct cgm_entity *e = i < 0 ? NULL : cgm_entity_new(facts);

	assert_non_null(e);
	d->sets[i].entity = e;
	d->sets[i].order = (uint32_t)i;
	if (cpu >= 0)
		cgm_draft_int(&d->sets[i], CGM_CM_CPU_USAGE_RATE, cpu);
	if (memory >= 0)
		cgm_draft_int(&d->sets[i], CGM_CM_MEMORY_USAGE, memory);
	cgm_draft_int(&d->sets[i], CGM_CM_UPTIME, cpu + 1);
}

static void add_node(struct cgm_draft *d, const char *node, int64_t cpu, int64_t memory)
{
	add(d, &(struct cgm_entity_facts){ .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = node } }, cpu, memory);
}

static void add_pod(struct cgm_draft *d, const char *pod, int64_t cpu, int64_t memory)
{
	add(d, &(struct cgm_entity_facts){ .kind = CGM_SET_POD, .labels = { [CGM_CL_NAMESPACE_NAME] = "n", [CGM_CL_POD_NAME] = pod } }, cpu, memory);
}

static struct cgm_slice *seal(struct cgm_draft *d, const char *node, uint64_t end_ns)
{
	struct cgm_slice *s = NULL;

	assert_int_equal(cgm_draft_seal(d, node, end_ns, MINUTE, &s), 0);
	cgm_draft_done(d);
	return s;
}

/* A node with one pod ("": without one). */
static void put(struct cgm_cluster_store *st, const char *node, const char *pod, uint64_t end_ns, int64_t cpu, int64_t memory)
{
	struct cgm_draft d = { 0 };
	struct cgm_slice *s;

	add_node(&d, node, cpu * 2, memory);
	if (*pod)
		add_pod(&d, pod, cpu, memory);
	s = seal(&d, node, end_ns);
	assert_int_equal(cgm_cluster_store_put(st, s), 0);
	cgm_slice_unref(s);
}

static struct cgm_cluster_store *new_store(void)
{
	struct cgm_cluster_store *st = NULL;

	assert_int_equal(cgm_cluster_store_new(&(struct cgm_cluster_store_config){ 0 }, &st), 0);
	return st;
}

static size_t points(struct cgm_cluster_store *st, const char *key, enum cgm_cm m, struct cgm_cluster_point *ret, size_t room)
{
	struct cgm_cluster_point *got;
	size_t nr;

	assert_int_equal(cgm_cluster_store_points(st, key, m, 0, 0, &got, &nr), 0);
	assert_true(nr <= room);
	memcpy(ret, got, nr * sizeof(*got));
	free(got);
	return nr;
}

/* ---- tests ---- */

static void test_store__newest(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	struct cgm_cluster_store_stats stats;
	struct cgm_slice **slices;
	size_t nr;

	(void)state;
	assert_int_equal(cgm_cluster_store_newest(st, &slices, &nr), 0);
	assert_int_equal(nr, 0);
	cgm_cluster_slices_free(slices, nr);
	put(st, "", "", START, 1, 4096);
	put(st, "b", "p", START, 1, 4096);
	put(st, "a", "q", START, 2, 4096);
	put(st, "b", "p", START + MINUTE, 3, 4096);
	assert_int_equal(cgm_cluster_store_newest(st, &slices, &nr), 0);
	assert_int_equal(nr, 3);
	assert_string_equal(slices[0]->node, "a");
	assert_string_equal(slices[1]->node, "b");
	assert_int_equal(slices[1]->end_ns, START + MINUTE);
	assert_string_equal(slices[2]->node, "");
	cgm_cluster_slices_free(slices, nr);
	assert_int_equal(cgm_cluster_store_slices(st, "b", &slices, &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(slices[0]->end_ns, START);
	cgm_cluster_slices_free(slices, nr);
	assert_int_equal(cgm_cluster_store_slices(st, "nobody", &slices, &nr), 0);
	assert_int_equal(nr, 0);
	cgm_cluster_slices_free(slices, nr);
	cgm_cluster_slices_free(NULL, 0);
	stats = cgm_cluster_store_stats(st);
	assert_int_equal(stats.nr_nodes, 2);
	assert_int_equal(stats.nr_sets, 5);
	assert_int_equal(stats.nr_slices, 4);
	assert_int_equal(stats.newest_ns, START + MINUTE);
}

static void test_store__same_end(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	struct cgm_cluster_point p[4];

	(void)state;
	put(st, "a", "p", START, 1, 4096);
	put(st, "a", "", START, 7, 8192);
	assert_int_equal(cgm_cluster_store_stats(st).nr_slices, 1);
	assert_int_equal(points(st, "node:a", CGM_CM_CPU_USAGE_RATE, p, 4), 1);
	assert_int_equal(p[0].value.i, 14);
	assert_int_equal(points(st, "namespace:n/pod:p", CGM_CM_MEMORY_USAGE, p, 4), 0); /* the one that counts has no such pod */
}

static void test_store__points(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	struct cgm_cluster_point p[32], *got;
	size_t nr;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		if (i != 17)
			put(st, "a", "p", START + i * MINUTE, i, (int64_t)i * 4096);
		else
			put(st, "b", "", START + i * MINUTE, i, 4096);
		cgm_cluster_store_age(st, START + i * MINUTE);
	}
	nr = points(st, "namespace:n/pod:p", CGM_CM_CPU_USAGE_RATE, p, 32); /* 15 minutes: 4…19 but 17 */
	assert_int_equal(nr, 15);
	assert_int_equal(p[0].end_ns, START + 4 * MINUTE);
	assert_int_equal(p[0].value.i, 4);
	assert_int_equal(p[12].value.i, 16);
	assert_int_equal(p[13].value.i, 18);
	nr = points(st, "namespace:n/pod:p", CGM_CM_UPTIME, p, 32); /* 140 s */
	assert_int_equal(nr, 2);
	assert_int_equal(p[0].value.i, 19);
	assert_int_equal(p[1].value.i, 20);
	assert_int_equal(cgm_cluster_store_points(st, "node:a", CGM_CM_MEMORY_USAGE, START + 6 * MINUTE, START + 8 * MINUTE, &got, &nr), 0);
	assert_int_equal(nr, 3);
	assert_int_equal(got[2].value.i, 8 * 4096);
	free(got);
	assert_int_equal(cgm_cluster_store_points(st, "node:nobody", CGM_CM_MEMORY_USAGE, 0, 0, &got, &nr), -ENOENT);
	assert_int_equal(cgm_cluster_store_points(st, "node:nobody", CGM_CM_UPTIME, 0, 0, &got, &nr), -ENOENT);
	assert_int_equal(points(st, "node:a", CGM_CM_TASKS, p, 32), 0);
}

/* Values that do not fit into 32 bits, or into pages: nothing is rounded, also not what came before. */
static void test_store__wide_values(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	const int64_t cpus[] = { 5, 6, 5000000000, -1, 8 }, memories[] = { 4096, -1, 8192, 12345, (int64_t)1 << 50 };
	struct cgm_cluster_point p[8];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		put(st, "a", "p", START + i * MINUTE, cpus[i], memories[i]);
	assert_int_equal(points(st, "namespace:n/pod:p", CGM_CM_CPU_USAGE_RATE, p, 8), 4);
	assert_int_equal(p[1].value.i, 6);
	assert_int_equal(p[2].value.i, 5000000000);
	assert_int_equal(p[3].value.i, 8);
	assert_int_equal(points(st, "namespace:n/pod:p", CGM_CM_MEMORY_USAGE, p, 8), 4);
	assert_int_equal(p[0].value.i, 4096);
	assert_int_equal(p[1].value.i, 8192);
	assert_int_equal(p[2].value.i, 12345);
	assert_int_equal(p[3].value.i, (int64_t)1 << 50);
}

/* While both nodes are remembered, and afterwards. */
static void test_store__pod_moves(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	struct cgm_cluster_point p[16];
	struct cgm_slice **slices;
	size_t nr;

	(void)state;
	put(st, "a", "p", START, 1, 4096);
	put(st, "a", "p", START + MINUTE, 2, 4096);
	put(st, "a", "", START + 2 * MINUTE, 9, 4096);
	put(st, "b", "p", START + 2 * MINUTE, 3, 12288);
	assert_int_equal(cgm_cluster_store_slices_of(st, "namespace:n/pod:p", &slices, &nr), 0);
	assert_int_equal(nr, 3);
	assert_string_equal(slices[0]->node, "a");
	assert_int_equal(slices[1]->end_ns, START + MINUTE);
	assert_string_equal(slices[2]->node, "b");
	cgm_cluster_slices_free(slices, nr);
	assert_int_equal(points(st, "namespace:n/pod:p", CGM_CM_UPTIME, p, 16), 3);
	for (unsigned i = 3; i < 9; i++) {
		put(st, "a", "", START + i * MINUTE, 9, 4096);
		put(st, "b", "p", START + i * MINUTE, i + 1, 12288);
		cgm_cluster_store_age(st, START + i * MINUTE);
		assert_int_equal(points(st, "namespace:n/pod:p", CGM_CM_CPU_USAGE_RATE, p, 16), i + 1);
		for (unsigned k = 0; k <= i; k++)
			assert_int_equal(p[k].value.i, k + 1);
	}
	assert_int_equal(cgm_cluster_store_stats(st).nr_sets, 3);
	assert_int_equal(cgm_cluster_store_slices_of(st, "namespace:n/pod:p", &slices, &nr), 0);
	assert_int_equal(nr, 3);
	cgm_cluster_slices_free(slices, nr);
	assert_int_equal(cgm_cluster_store_slices_of(st, "namespace:n/pod:none", &slices, &nr), 0);
	assert_int_equal(nr, 0);
	cgm_cluster_slices_free(slices, nr);
}

static void test_store__forgets(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	struct cgm_cluster_point *got;
	struct cgm_cluster_store_stats stats;
	size_t nr;

	(void)state;
	put(st, "a", "p", START, 1, 4096);
	put(st, "b", "q", START, 1, 4096);
	for (unsigned i = 1; i < 4; i++) {
		put(st, "a", "r", START + i * MINUTE, 1, 4096);
		cgm_cluster_store_age(st, START + i * MINUTE);
		stats = cgm_cluster_store_stats(st);
		assert_int_equal(stats.nr_nodes, i < 3 ? 2 : 1);
		assert_int_equal(cgm_cluster_store_points(st, "namespace:n/pod:p", CGM_CM_CPU_USAGE_RATE, 0, 0, &got, &nr), i < 3 ? 0 : -ENOENT);
		if (i < 3)
			free(got);
	}
	assert_int_equal(stats.nr_sets, 2);
	assert_int_equal(stats.nr_slices, 3);
	cgm_cluster_store_age(st, START + 100 * MINUTE);
	stats = cgm_cluster_store_stats(st);
	assert_int_equal(stats.nr_nodes + stats.nr_sets + stats.nr_slices + stats.newest_ns, 0);
}

/* The clock was an hour ahead and is put right: what is of the future goes, the present is kept and has points. */
static void test_store__clock_jumps(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	struct cgm_cluster_point p[16];

	(void)state;
	put(st, "a", "p", START + 60 * MINUTE, 1, 4096);
	for (unsigned i = 0; i < 6; i++) {
		put(st, "a", i < 2 ? "p" : "", START + i * MINUTE, i, 4096);
		cgm_cluster_store_age(st, START + i * MINUTE);
	}
	assert_int_equal(cgm_cluster_store_stats(st).newest_ns, START + 5 * MINUTE);
	assert_int_equal(cgm_cluster_store_stats(st).nr_sets, 1);
	assert_int_equal(points(st, "node:a", CGM_CM_CPU_USAGE_RATE, p, 16), 7);
	assert_int_equal(p[5].end_ns, START + 5 * MINUTE);
	assert_int_equal(p[5].value.i, 10);
}

/* It was ten minutes ahead, for long enough that as many slices as ever are there: the one of the present stays, and with it the node and its history. */
static void test_store__set_back(void **state)
{
	(void)state;
	for (unsigned max_slices = 0; max_slices < 4; max_slices += 3) {
		struct cgm_cluster_store_config config = { .max_slices = max_slices };
		struct cgm_cluster_store *st = NULL;
		struct cgm_cluster_point p[16];

		assert_int_equal(cgm_cluster_store_new(&config, &st), 0);
		for (unsigned i = 10; i < 14; i++)
			put(st, "a", "p", START + i * MINUTE, i, 4096);
		assert_int_equal(cgm_cluster_store_stats(st).nr_slices, 3);
		put(st, "a", "p", START, 1, 4096);
		cgm_cluster_store_age(st, START);
		assert_int_equal(cgm_cluster_store_stats(st).nr_nodes, 1);
		assert_int_equal(cgm_cluster_store_stats(st).nr_slices, 1);
		assert_int_equal(cgm_cluster_store_stats(st).newest_ns, START);
		assert_int_equal(points(st, "namespace:n/pod:p", CGM_CM_MEMORY_USAGE, p, 16), 5);
		cgm_cluster_store_free(st);
	}
}

/* A second resolution: more slices than are let go at once. */
static void test_store__many_slices(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();

	(void)state;
	for (unsigned i = 0; i < 130; i++)
		put(st, "a", "p", START + i * SEC, 1, 4096);
	assert_int_equal(cgm_cluster_store_stats(st).nr_slices, 130);
	cgm_cluster_store_age(st, START + 300 * SEC);
	assert_int_equal(cgm_cluster_store_stats(st).nr_slices, 0);
}

/* How many slices are kept of a node whose sample is of that time. */
static size_t put_sample(struct cgm_cluster_store *st, struct cgm_entity *e, uint64_t end_ns, uint64_t scraped_ns)
{
	struct cgm_slice *s, **slices;
	struct cgm_draft d = { 0 };
	size_t nr;
	int i = cgm_draft_add(&d, CGM_SET_NODE);

	assert_true(i >= 0);
	d.sets[i].entity = cgm_entity_ref(e);
	d.sets[i].scraped_ns = scraped_ns;
	cgm_draft_int(&d.sets[i], CGM_CM_CPU_USAGE_RATE, (int64_t)(end_ns / MINUTE));
	s = seal(&d, "a", end_ns);
	assert_int_equal(cgm_cluster_store_put(st, s), 0);
	cgm_slice_unref(s);
	assert_int_equal(cgm_cluster_store_slices(st, "a", &slices, &nr), 0);
	assert_true(slices[nr - 1]->end_ns == end_ns);
	cgm_cluster_slices_free(slices, nr);
	return nr;
}

static void test_store__few_slices(void **state)
{
	struct cgm_cluster_store_config config = { .short_ns = 10 * MINUTE, .long_ns = 1, .max_slices = 3 };
	struct cgm_cluster_store *st = NULL;
	struct cgm_cluster_point got[4];
	struct cgm_entity *e = cgm_entity_new(&(struct cgm_entity_facts){ .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = "a" } });

	(void)state;
	assert_int_equal(cgm_cluster_store_new(&config, &st), 0);
	assert_int_equal(put_sample(st, e, START, START - 9), 1);
	assert_int_equal(put_sample(st, e, START + MINUTE, START + MINUTE - 9), 2);
	assert_int_equal(put_sample(st, e, START + 2 * MINUTE, START + 2 * MINUTE - 9), 2);
	assert_int_equal(put_sample(st, e, START + 3 * MINUTE, START + 2 * MINUTE - 9), 3); /* it came a second time */
	assert_int_equal(put_sample(st, e, START + 4 * MINUTE, START + 2 * MINUTE - 9), 3);
	assert_int_equal(points(st, "node:a", CGM_CM_CPU_USAGE_RATE, got, 4), 3); /* no long history beside them */
	assert_int_equal(got[2].value.i, START / MINUTE + 4);
	assert_int_equal(put_sample(st, e, START + 5 * MINUTE, START + 5 * MINUTE - 9), 2);
	assert_int_equal(cgm_cluster_store_stats(st).nr_slices, 2);
	cgm_cluster_store_free(st);
	cgm_entity_unref(e);
}

/* What the next slice makes too old goes with it, not at the end of the cycle alone; but a clock that jumps takes nothing with it. */
static void test_store__one_for_one(void **state)
{
	struct cgm_cluster_store *st = new_store();

	(void)state;
	for (int i = 0; i < 5; i++) {
		put(st, "a", "p", START + (uint64_t)i * MINUTE, i, 4096);
		assert_int_equal(cgm_cluster_store_stats(st).nr_slices, i < 2 ? i + 1 : 3);
	}
	put(st, "a", "p", START + 600 * MINUTE, 1, 4096);
	assert_int_equal(cgm_cluster_store_stats(st).nr_slices, 4);
	cgm_cluster_store_free(st);
}

static void test_store__out_of_memory(void **state)
{
	struct cgm_cluster_store *st;

	(void)state;
	for (unsigned long at = 1;; at++) {
		struct cgm_draft d = { 0 }, e = { 0 };
		struct cgm_cluster_point *got;
		struct cgm_slice *s, *more, **slices;
		size_t nr;
		int r;

		add_node(&d, "a", 1, 4096);
		add_pod(&d, "p", 1, 4096);
		s = seal(&d, "a", START);
		add_node(&e, "a", 1, 4096);
		add_pod(&e, "p", 1, 4097);
		add_pod(&e, "q", 1, 4097);
		more = seal(&e, "a", START + MINUTE);
		cgm_mem_fail_at(at);
		r = cgm_cluster_store_new(&(struct cgm_cluster_store_config){ 0 }, &st);
		if (r == 0) {
			r = cgm_cluster_store_put(st, s);
			assert_int_equal(cgm_cluster_store_stats(st).nr_slices, r == 0);
			if (r == 0) {
				r = cgm_cluster_store_put(st, more);
				assert_int_equal(cgm_cluster_store_stats(st).nr_slices, r == 0 ? 2 : 1);
				assert_int_equal(cgm_cluster_store_stats(st).nr_sets, r == 0 ? 3 : 2);
			}
			if (r == 0 && (r = cgm_cluster_store_newest(st, &slices, &nr)) == 0)
				cgm_cluster_slices_free(slices, nr);
			if (r == 0 && (r = cgm_cluster_store_slices(st, "a", &slices, &nr)) == 0)
				cgm_cluster_slices_free(slices, nr);
			if (r == 0 && (r = cgm_cluster_store_points(st, "node:a", CGM_CM_UPTIME, 0, 0, &got, &nr)) == 0)
				free(got);
			if (r == 0 && (r = cgm_cluster_store_points(st, "node:a", CGM_CM_CPU_USAGE_RATE, 0, 0, &got, &nr)) == 0)
				free(got);
			cgm_mem_fail_at(0);
			assert_int_equal(s->refs, cgm_cluster_store_stats(st).nr_slices > 0 ? 2 : 1);
			cgm_cluster_store_free(st);
		}
		cgm_mem_fail_at(0);
		assert_int_equal(s->refs, 1);
		cgm_slice_unref(s);
		cgm_slice_unref(more);
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_true(at < 100);
	}
}

/* ---- readers beside the writer ---- */

#define ROUNDS 300
static int stop;

static void *reader(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct cgm_cluster_point *p;
		struct cgm_slice **slices;
		size_t nr;

		if (cgm_cluster_store_newest(arg, &slices, &nr) == 0)
			cgm_cluster_slices_free(slices, nr);
		if (cgm_cluster_store_slices_of(arg, "namespace:n/pod:p3", &slices, &nr) == 0)
			cgm_cluster_slices_free(slices, nr);
		if (cgm_cluster_store_points(arg, "namespace:n/pod:p3", CGM_CM_CPU_USAGE_RATE, 0, 0, &p, &nr) == 0)
			free(p);
		cgm_cluster_store_stats(arg);
	}
	return NULL;
}

static void test_store__threads(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, reader, st), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char node[16], pod[16];

		snprintf(node, sizeof(node), "n%u", i % 7);
		snprintf(pod, sizeof(pod), "p%u", i % 5);
		put(st, node, pod, START + i / 7 * MINUTE, i, 4096);
		cgm_cluster_store_age(st, START + i / 7 * MINUTE);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(cgm_cluster_store_stats(st).nr_nodes, 7);
}

/* 62 sets a node, 15 minutes of a minute each: what the store needs beside the slices. */
static void test_store__bytes_of_a_node(void **state)
{
	_cleanup_(cgm_cluster_store_freep) struct cgm_cluster_store *st = new_store();
	struct cgm_cluster_store_stats stats;
	uint64_t slice_bytes = 0;

	(void)state;
	for (unsigned n = 0; n < 20; n++) {
		char node[16], pod[16];
		struct cgm_draft d = { 0 };
		struct cgm_slice *s;

		snprintf(node, sizeof(node), "n%u", n);
		add_node(&d, node, 1, 4096);
		for (unsigned i = 0; i < 61; i++) {
			snprintf(pod, sizeof(pod), "p%u.%u", n, i);
			add_pod(&d, pod, i, 4096);
		}
		s = seal(&d, node, START);
		slice_bytes += s->bytes;
		assert_int_equal(cgm_cluster_store_put(st, s), 0);
		cgm_slice_unref(s);
	}
	stats = cgm_cluster_store_stats(st);
	print_message("bytes of a node beside its slices: %lu\n", (unsigned long)((stats.bytes - slice_bytes) / 20));
	assert_true((stats.bytes - slice_bytes) / 20 < 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store__newest),	    cmocka_unit_test(test_store__same_end),	   cmocka_unit_test(test_store__points),
		cmocka_unit_test(test_store__wide_values),  cmocka_unit_test(test_store__pod_moves),	   cmocka_unit_test(test_store__forgets),
		cmocka_unit_test(test_store__clock_jumps),  cmocka_unit_test(test_store__set_back),	   cmocka_unit_test(test_store__many_slices),	   cmocka_unit_test(test_store__out_of_memory),
		cmocka_unit_test(test_store__threads),	    cmocka_unit_test(test_store__few_slices),	   cmocka_unit_test(test_store__one_for_one),	    cmocka_unit_test(test_store__bytes_of_a_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
