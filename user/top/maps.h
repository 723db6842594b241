/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A feed without an agent: CPU, memory and tasks from the cgroup files, the rest from the pinned maps, if there are any and one may read
 * them. Reads only. One thread; a reading of 500 cgroups takes some milliseconds.
 */
#pragma once
#include "output/feed.h"

struct cgm_maps;
/* 0, or a negative errno with the reason in fault: then there are not even cgroup files. */
int cgm_maps_open(const char *root, const char *pin_dir, struct cgm_maps **ret, char *fault, size_t size);
void cgm_maps_close(struct cgm_maps *m);
/* 0 or a negative errno. */
int cgm_maps_read(struct cgm_maps *m, struct cgm_feed *ret);
/* All histograms of a cgroup and what is below it, as of the last reading; none when there are no maps, or no such cgroup. 0 or -ENOMEM. */
int cgm_maps_hists(struct cgm_maps *m, const char *name, struct cgm_hists *ret);
/* What is read, and whether it counts. Good until the next reading. */
const char *cgm_maps_text(const struct cgm_maps *m);
/* Counts up when other maps are read than before: differences to what was read before mean nothing. */
unsigned cgm_maps_epoch(const struct cgm_maps *m);
