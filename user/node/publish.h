/* SPDX-License-Identifier: Apache-2.0 */
/* Making a snapshot out of the containers' samples. Sampler's thread. */
#pragma once
#include "node/agent_state.h"

/* Packs the sample of a container, appends it to its history and makes its row. 0 or -ENOMEM. */
int cgm_publish_row(struct cgm_agent *a, struct cgm_snapshot *snap, struct cgm_container *c, const struct cgm_sample *s);
/* A sample as what a container's files said last. base: a layout to begin with, may be NULL. 0 or -ENOMEM. */
int cgm_publish_last(struct cgm_agent *a, struct cgm_layout *base, const struct cgm_sample *s, struct cgm_last **ret);
/* The values of a container that has ended, apart from any snapshot. live may be NULL; its disks get their names. 0 or -ENOMEM. */
int cgm_publish_kept(struct cgm_agent *a, struct cgm_layout *base, const struct cgm_sample *s, struct cgm_live *live, struct cgm_layout **ret_layout,
		     struct cgm_kept **ret);
/* Once all rows are in their places: has the set of them changed? */
void cgm_publish_set(struct cgm_agent *a, struct cgm_snapshot *snap);
/* The agent's own numbers. */
void cgm_publish_self(struct cgm_agent *a, struct cgm_snapshot *snap);
