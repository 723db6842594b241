/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of pins share: a pin directory of their own, and a load. */
#pragma once
#include <ftw.h>

#include "bpf/util.h"
#include "kernel/internal.h"

static char pin_dir[64];

static inline int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int flag, _unused_ struct FTW *ftw)
{
	return remove(path);
}

static inline int pins_setup(void **state)
{
	struct rig *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(pin_dir, sizeof(pin_dir), "/sys/fs/bpf/cgmbpf-%d", (int)getpid());
	rig_open(t);
	t->config.pin_dir = pin_dir;
	*state = t;
	return 0;
}

static inline int pins_teardown(void **state)
{
	struct rig *t = *state;

	cgm_trees_close(&t->trees);
	close(t->root_fd);
	free(t);
	nftw(pin_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static inline void work(_unused_ void *arg)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	for (int i = 0; i < 20; i++)
		nanosleep(&ts, NULL);
}

static inline void skip_unless_pinned(struct rig *t)
{
	if (t->kernel->pinned && cgm_kernel_has(t->kernel, "sched"))
		return;
	print_message("# skip: no BPF file system, or no programs on this kernel\n");
	skip();
}
