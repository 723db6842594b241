/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the numbers come from: a running agent, or, when none answers, the pinned maps and the cgroup files. While maps are read the agent
 * is tried again now and then. A round is asked for, and goes on in steps between which keys are handled. One thread.
 */
#pragma once
#include "output/feed.h"
#include "top/options.h"

struct cgm_source;
/* 0, or -EINVAL: an option is bad, said on stderr. */
int cgm_source_open(const struct cgm_top_options *o, struct cgm_source **ret);
void cgm_source_close(struct cgm_source *s);

/* Begins a round; one under way is dropped. detail: a cgroup whose histograms are wanted, too; NULL: none. */
void cgm_source_ask(struct cgm_source *s, const char *detail);
/* 0: under way, or nobody asked; 1: done, to be taken; a negative errno: nothing could be read, cgm_source_fault() says why. */
int cgm_source_step(struct cgm_source *s);
/* What to wait for until the next step: a descriptor (-1: none) with its events, and a moment of CLOCK_MONOTONIC at the latest (UINT64_MAX:
 * none). */
int cgm_source_wait(const struct cgm_source *s, short *ret_events, uint64_t *ret_until_ns);
/* Hands the round's results over. *ret_hists is empty when none were asked for, or the cgroup is gone. */
void cgm_source_take(struct cgm_source *s, struct cgm_feed *ret_feed, struct cgm_hists *ret_hists);

/* "agent", "maps", "files". */
const char *cgm_source_kind(const struct cgm_source *s);
/* Which one, in words. */
const char *cgm_source_text(const struct cgm_source *s);
const char *cgm_source_fault(const struct cgm_source *s);
/* Changes when what comes now must not be compared with what came before. */
unsigned cgm_source_epoch(const struct cgm_source *s);
