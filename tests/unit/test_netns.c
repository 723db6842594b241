// SPDX-License-Identifier: Apache-2.0
/*
 * Whose namespace a container has, on a tree of plain files: process 1 and 42 share a namespace (one file), 43 and 44 another, which cannot be
 * entered, for it is none. What real namespaces do is in tests/e2e/test_netns.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cgroup/netns.h"

struct tree {
	char dir[64];
	int root_fd;
	struct cgm_trees trees;
	struct cgm_reader *reader;
	struct cgm_netns_table *table;
	struct cgm_netns_member member;
	struct cgm_sample sample;
};

static void put(const struct tree *t, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(t->root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void process(const struct tree *t, int pid, const char *same_as)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/%d", pid);
	assert_int_equal(mkdirat(t->root_fd, path, 0700), 0);
	snprintf(path, sizeof(path), "proc/%d/ns", pid);
	assert_int_equal(mkdirat(t->root_fd, path, 0700), 0);
	snprintf(path, sizeof(path), "proc/%d/ns/net", pid);
	if (same_as)
		assert_int_equal(linkat(t->root_fd, same_as, t->root_fd, path, 0), 0);
	else
		put(t, path, "");
}

static int set_up(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(t->dir, sizeof(t->dir), "/tmp/cgmunit-netns-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->root_fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(t->root_fd, "proc", 0700), 0);
	assert_int_equal(mkdirat(t->root_fd, "tree", 0700), 0);
	assert_int_equal(mkdirat(t->root_fd, "tree/c1", 0700), 0);
	process(t, 1, NULL);
	process(t, 42, "proc/1/ns/net");
	process(t, 43, NULL);
	process(t, 44, "proc/43/ns/net");
	t->trees.mode = CGM_CGROUP_V2;
	for (unsigned i = 0; i < CGM_NR_CONTROLLERS; i++)
		t->trees.h[i].dir_fd = -1;
	t->trees.h[CGM_CTRL_UNIFIED].dir_fd = openat(t->root_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cgm_reader_open(&t->trees, "/c1", &t->reader), 0);
	assert_int_equal(cgm_netns_open(t->root_fd, 8, &t->table), 0);
	*state = t;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static int tear_down(void **state)
{
	struct tree *t = *state;

	cgm_netns_leave(&t->member);
	assert_int_equal(cgm_netns_left_out(t->table), 0);
	assert_int_equal(cgm_netns_count(t->table), 0);
	cgm_netns_close(t->table);
	cgm_reader_close(t->reader);
	cgm_sample_done(&t->sample);
	close(t->trees.h[CGM_CTRL_UNIFIED].dir_fd);
	close(t->root_fd);
	nftw(t->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(t);
	return 0;
}

/* A tick at that second. How many containers have a namespace that cannot be read. */
static size_t sample_at(struct tree *t, unsigned second, bool has_processes)
{
	cgm_netns_tick(t->table, (second + 1) * CGM_NSEC_PER_SEC);
	assert_int_equal(cgm_netns_sample(t->table, &t->member, t->reader, has_processes, CGM_NETNS_UNKNOWN, &t->sample), 0);
	assert_int_equal(t->sample.nr_ifaces, 0);
	return cgm_netns_left_out(t->table);
}

static void test_netns_open__without_namespaces(void **state)
{
	_cleanup_close_ int root_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cgm_netns_table *table = NULL;

	(void)state;
	assert_int_equal(cgm_netns_open(root_fd, 8, &table), -ENOENT);
	assert_null(table);
	assert_int_equal(cgm_netns_count(NULL) + cgm_netns_left_out(NULL), 0);
	cgm_netns_close(NULL);
	cgm_netns_leave(&(struct cgm_netns_member){ 0 });
}

static void test_netns_sample__the_machines_is_none(void **state)
{
	struct tree *t = *state;

	put(t, "tree/c1/cgroup.procs", "42\n43\n");
	assert_int_equal(sample_at(t, 0, true), 0);
	assert_null(t->member.ns);
}

static void test_netns_sample__processes_that_have_ended_are_passed_over(void **state)
{
	struct tree *t = *state;

	put(t, "tree/c1/cgroup.procs", "0\n77\nx\n99999999999\n43\n");
	assert_int_equal(sample_at(t, 0, true), 1);
}

static void test_netns_sample__looks_again_with_growing_intervals(void **state)
{
	struct tree *t = *state;
	unsigned found = 0;

	sample_at(t, 0, true); /* no cgroup.procs at all */
	for (unsigned second = 1; second < 8 && !found; second++) {
		if (second == 3)
			put(t, "tree/c1/cgroup.procs", "43\n");
		if (sample_at(t, second, true))
			found = second;
	}
	/* 0, 0.5, 1.5, 3.5, … s after the first */
	assert_int_equal(found, 4);
}

static void test_netns_sample__the_first_process_is_looked_at_at_once(void **state)
{
	struct tree *t = *state;

	for (unsigned second = 0; second < 20; second++)
		assert_int_equal(sample_at(t, second, false), 0);
	put(t, "tree/c1/cgroup.procs", "43\n");
	assert_int_equal(sample_at(t, 20, true), 1);
}

static void test_netns_sample__what_cannot_be_entered_is_counted_until_it_is_gone(void **state)
{
	struct tree *t = *state;

	put(t, "tree/c1/cgroup.procs", "43\n44\n");
	for (unsigned second = 0; second < 5; second++)
		assert_int_equal(sample_at(t, second, true), 1);
	put(t, "tree/c1/cgroup.procs", "42\n");
	for (unsigned second = 5; second < 40; second++)
		sample_at(t, second, true);
	assert_int_equal(cgm_netns_left_out(t->table), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netns_open__without_namespaces),
		cmocka_unit_test_setup_teardown(test_netns_sample__the_machines_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_netns_sample__processes_that_have_ended_are_passed_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_netns_sample__looks_again_with_growing_intervals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_netns_sample__the_first_process_is_looked_at_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_netns_sample__what_cannot_be_entered_is_counted_until_it_is_gone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
