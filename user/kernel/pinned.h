/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of a kernel side that somebody else loaded, read only, by what is pinned: after a crash of the agent, or beside it. Nothing
 * is loaded, attached or written. What kernel.h reads works as ever: cgm_kernel_sweep(), _slot(), _add_sched(), _add_net(), _next_block(),
 * _next_wait(), _drops(), _close(); there are no tasks, no rare counters and no events. One thread.
 */
#pragma once
#include "kernel/kernel.h"

/* 0; -ENOENT: nothing is pinned there; -ESTALE: by another version of this program; -EPERM, -EACCES; -ENOMEM; or another errno. */
int cgm_pinned_open(const char *pin_dir, struct cgm_kernel **ret);
/* False when what is pinned is no longer what was opened (a new agent has begun anew): to be closed, and opened again. */
bool cgm_pinned_current(const struct cgm_kernel *k);
/* Does a program of that group count? As of the last sweep; NULL: of any group. */
bool cgm_pinned_counts(const struct cgm_kernel *k, const char *group);
/*
 * A live agent folds the counts of removed cgroups into their parents: who reads a row before and another after that counts twice, or not
 * at all. True when nothing was folded since the last sweep began; else that pass is to be made again.
 */
bool cgm_pinned_stable(const struct cgm_kernel *k);
/* By which hierarchies it counts; false: no cgroup has a slot. */
bool cgm_pinned_hierarchies(const struct cgm_kernel *k, uint32_t *ret_sched, uint32_t *ret_block);
/* Changes whenever a cgroup came or went. */
uint64_t cgm_pinned_digest(const struct cgm_kernel *k);
