// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/snapshot.h"

DEFINE_CLEANUP(cgm_identity, cgm_identity_unref)
DEFINE_CLEANUP(cgm_snapshot, cgm_snapshot_unref)
DEFINE_CLEANUP(cgm_store, cgm_store_free)
#define _cleanup_identity_ _cleanup_(cgm_identity_freep)
#define _cleanup_snapshot_ _cleanup_(cgm_snapshot_freep)
#define _cleanup_store_ _cleanup_(cgm_store_freep)

static void assert_labels(const char *name, const char *labels)
{
	_cleanup_identity_ struct cgm_identity *i = cgm_identity_new(name);

	assert_non_null(i);
	assert_string_equal(i->name, name);
	assert_string_equal(i->labels, labels);
	assert_int_equal(i->labels_len, strlen(labels));
}

static void test_identity_new__escapes_the_name(void **state)
{
	(void)state;
	assert_labels("/", "id=\"/\"");
	assert_labels("/a\\x2db.slice", "id=\"/a\\\\x2db.slice\"");
	assert_labels("/\"q\"\nend", "id=\"/\\\"q\\\"\\nend\"");
	assert_labels("/gr\xc3\xbc\xc3\x9f/\xe2\x82\xac/\xf0\x9f\x90\xa7", "id=\"/gr\xc3\xbc\xc3\x9f/\xe2\x82\xac/\xf0\x9f\x90\xa7\"");
}

static void test_identity_new__bytes_that_are_no_utf8(void **state)
{
	(void)state;
	assert_labels("/\xff", "id=\"/\\\\xff\"");
	assert_labels("/\xc3", "id=\"/\\\\xc3\"");
	assert_labels("/\xc0\x80", "id=\"/\\\\xc0\\\\x80\""); /* overlong */
	assert_labels("/\xed\xa0\x80", "id=\"/\\\\xed\\\\xa0\\\\x80\""); /* surrogate */
	assert_labels("/\xf4\x90\x80\x80", "id=\"/\\\\xf4\\\\x90\\\\x80\\\\x80\"");
	assert_labels("/\xf0\x9f\x90", "id=\"/\\\\xf0\\\\x9f\\\\x90\""); /* cut off */
}

static void test_identity_unref__last_one_frees(void **state)
{
	struct cgm_identity *i = cgm_identity_new("/a");

	(void)state;
	assert_ptr_equal(cgm_identity_ref(i), i);
	cgm_identity_unref(i);
	assert_string_equal(i->name, "/a");
	cgm_identity_unref(i);
	cgm_identity_unref(NULL);
	cgm_mem_fail_at(1);
	i = cgm_identity_new("/a");
	cgm_mem_fail_at(0);
	assert_null(i);
}

static void test_snapshot_alloc__zeroed_aligned_and_apart(void **state)
{
	static const size_t sizes[] = { 1, 16, 17, 1000, 0, 100000, 300000, 24, 200000, 200000, 1 };
	_cleanup_snapshot_ struct cgm_snapshot *s = cgm_snapshot_new(10);
	unsigned char *p[ARRAY_SIZE(sizes)];

	(void)state;
	assert_non_null(s);
	assert_int_equal(s->nr_rows, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		p[i] = cgm_snapshot_alloc(s, sizes[i]);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % 16, 0);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(p[i][k], 0);
		memset(p[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(p[i][k], i + 1);
	assert_in_range(s->arena_bytes, 800000, 1500000);
	assert_null(cgm_snapshot_alloc(s, SIZE_MAX));
}

static void test_snapshot_alloc__many_small_ones_need_few_blocks(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = cgm_snapshot_new(500);

	(void)state;
	cgm_mem_fail_at(1000000); /* counts */
	for (int i = 0; i < 500; i++)
		assert_non_null(cgm_snapshot_alloc(s, 3000));
	assert_in_range(cgm_mem_fail_at(0), 1, 7);
}

/* Rows by name, with parents looked up among them; names sorted. */
static struct cgm_snapshot *snapshot_of(const char *const *names, size_t nr)
{
	struct cgm_snapshot *s = cgm_snapshot_new(nr);

	assert_non_null(s);
	for (size_t i = 0; i < nr; i++) {
		struct cgm_row *row = &s->rows[s->nr_rows++];
		size_t best = 0;

		row->identity = cgm_identity_new(names[i]);
		for (size_t k = 1; k < i; k++) {
			size_t len = strlen(names[k]);

			if (!strncmp(names[i], names[k], len) && names[i][len] == '/')
				best = k;
		}
		row->parent = (uint32_t)best;
		row->depth = i ? s->rows[best].depth + 1 : 0;
	}
	return s;
}

static const char *const tree[] = { "/", "/a", "/a-b", "/a-b/c", "/a/b", "/a/b/c", "/z" };

static void test_snapshot_find__every_row_and_none_other(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = snapshot_of(tree, ARRAY_SIZE(tree)), *empty = cgm_snapshot_new(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++)
		assert_ptr_equal(cgm_snapshot_find(s, tree[i]), &s->rows[i]);
	assert_null(cgm_snapshot_find(s, ""));
	assert_null(cgm_snapshot_find(s, "/a/"));
	assert_null(cgm_snapshot_find(s, "/zz"));
	assert_null(cgm_snapshot_find(empty, "/"));
}

static void test_snapshot_is_below__follows_parents_not_names(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = snapshot_of(tree, ARRAY_SIZE(tree));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		assert_true(cgm_snapshot_is_below(s, i, 0));
		assert_true(cgm_snapshot_is_below(s, i, i));
	}
	assert_true(cgm_snapshot_is_below(s, 5, 1));
	assert_true(cgm_snapshot_is_below(s, 5, 4));
	assert_false(cgm_snapshot_is_below(s, 3, 1));
	assert_false(cgm_snapshot_is_below(s, 0, 1));
	assert_false(cgm_snapshot_is_below(s, 1, 5));
}

static void test_snapshot_unref__gives_back_what_rows_hold(void **state)
{
	_cleanup_identity_ struct cgm_identity *id = cgm_identity_new("/");
	struct cgm_layout *l = calloc(1, sizeof(*l));
	struct cgm_history *h = cgm_history_new(1000);
	struct cgm_snapshot *s = cgm_snapshot_new(3);
	uint64_t value = 7;

	(void)state;
	l->refs = 1;
	l->nr_values = 1;
	assert_int_equal(cgm_history_add(h, l, 1, &value), 0);
	for (int i = 0; i < 2; i++) {
		s->rows[i].identity = cgm_identity_ref(id);
		s->rows[i].layout = cgm_layout_ref(l);
		cgm_history_view_init(h, &s->rows[i].history);
		s->nr_rows++;
	}
	assert_int_equal(id->refs, 3);
	assert_int_equal(l->refs, 4); /* ours, the chunk's, two rows' */
	assert_ptr_equal(cgm_snapshot_ref(s), s);
	cgm_snapshot_unref(s);
	assert_int_equal(id->refs, 3);
	cgm_history_free(h);
	cgm_snapshot_unref(s);
	assert_int_equal(id->refs, 1);
	assert_int_equal(l->refs, 1);
	cgm_layout_unref(l);
	cgm_snapshot_unref(NULL);
}

static void test_snapshot_new__every_allocation_fails_once(void **state)
{
	struct cgm_snapshot *s;

	(void)state;
	for (unsigned long n = 1; n <= 2; n++) {
		cgm_mem_fail_at(n);
		s = cgm_snapshot_new(100);
		cgm_mem_fail_at(0);
		assert_null(s);
	}
	s = cgm_snapshot_new(100);
	cgm_mem_fail_at(1);
	assert_null(cgm_snapshot_alloc(s, 1000000));
	cgm_mem_fail_at(1);
	assert_null(cgm_store_new());
	cgm_mem_fail_at(0);
	assert_non_null(cgm_snapshot_alloc(s, 1000000));
	cgm_snapshot_unref(s);
}

static void test_store_get__the_newest(void **state)
{
	_cleanup_store_ struct cgm_store *st = cgm_store_new();
	struct cgm_snapshot *s;

	(void)state;
	assert_null(cgm_store_get(st));
	for (uint64_t i = 1; i < 4; i++) {
		s = cgm_snapshot_new(1);
		s->seq = i;
		cgm_store_publish(st, s);
	}
	s = cgm_store_get(st);
	assert_int_equal(s->seq, 3);
	assert_int_equal(s->refs, 2);
	cgm_store_publish(st, cgm_snapshot_new(1));
	assert_int_equal(s->refs, 1); /* ours alone, still whole */
	cgm_snapshot_unref(s);
}

struct readers {
	struct cgm_store *store;
	int done;
	size_t nr_seen[2], nr_wrong[2];
	int next;
};

static void *read_store(void *arg)
{
	struct readers *r = arg;
	int me = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED);
	uint64_t last = 0;

	while (!__atomic_load_n(&r->done, __ATOMIC_ACQUIRE)) {
		struct cgm_snapshot *s = cgm_store_get(r->store);

		if (s) {
			const uint64_t *v = s->rows[0].values;

			r->nr_wrong[me] += s->seq < last || v[0] != s->seq || v[99] != s->seq;
			__atomic_add_fetch(&r->nr_seen[me], s->seq != last, __ATOMIC_RELAXED);
			last = s->seq;
		}
		cgm_snapshot_unref(s);
		usleep(20);
	}
	return NULL;
}

static bool both_saw(const struct readers *r, size_t nr)
{
	return __atomic_load_n(&r->nr_seen[0], __ATOMIC_RELAXED) >= nr && __atomic_load_n(&r->nr_seen[1], __ATOMIC_RELAXED) >= nr;
}

static void test_store_publish__two_readers_see_whole_snapshots_in_order(void **state)
{
	_cleanup_store_ struct cgm_store *st = cgm_store_new();
	struct readers r = { .store = st };
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_store, &r), 0);
	for (uint64_t seq = 1; seq < 1500 || !both_saw(&r, 20); seq++) {
		struct cgm_snapshot *s = cgm_snapshot_new(1);

		s->seq = seq;
		s->nr_rows = 1;
		s->rows[0].identity = cgm_identity_new("/");
		s->rows[0].values = cgm_snapshot_alloc(s, 100 * sizeof(uint64_t));
		for (int i = 0; i < 100; i++)
			s->rows[0].values[i] = seq;
		cgm_store_publish(st, s);
		if (seq % 8 == 0)
			usleep(20);
	}
	__atomic_store_n(&r.done, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(r.nr_wrong[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity_new__escapes_the_name),
		cmocka_unit_test(test_identity_new__bytes_that_are_no_utf8),
		cmocka_unit_test(test_identity_unref__last_one_frees),
		cmocka_unit_test(test_snapshot_alloc__zeroed_aligned_and_apart),
		cmocka_unit_test(test_snapshot_alloc__many_small_ones_need_few_blocks),
		cmocka_unit_test(test_snapshot_find__every_row_and_none_other),
		cmocka_unit_test(test_snapshot_is_below__follows_parents_not_names),
		cmocka_unit_test(test_snapshot_unref__gives_back_what_rows_hold),
		cmocka_unit_test(test_snapshot_new__every_allocation_fails_once),
		cmocka_unit_test(test_store_get__the_newest),
		cmocka_unit_test(test_store_publish__two_readers_see_whole_snapshots_in_order),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
