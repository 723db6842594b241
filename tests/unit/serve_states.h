/* SPDX-License-Identifier: Apache-2.0 */
/* A source and sinks that are only states, set by the test. Included once by a test, which then has these functions instead of the program's. */
#pragma once
#include "serve_fixture.h"

static struct cgm_source_stats source_stats;
static struct cgm_node_state node_states[3];
static size_t nr_node_states;
static struct cgm_export_state export_states[3];
static size_t nr_export_states;
static char any; /* what is asked for its state is never looked into */

struct cgm_source_stats cgm_source_stats(struct cgm_source *s)
{
	(void)s;
	return source_stats;
}

int cgm_source_nodes(struct cgm_source *s, struct cgm_node_state **ret, size_t *ret_nr)
{
	(void)s;
	*ret = cgm_malloc(sizeof(node_states));
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, node_states, sizeof(node_states));
	*ret_nr = nr_node_states;
	return 0;
}

int cgm_export_states(struct cgm_export *e, struct cgm_export_state **ret, size_t *ret_nr)
{
	(void)e;
	*ret = cgm_malloc(sizeof(export_states));
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, export_states, sizeof(export_states));
	*ret_nr = nr_export_states;
	return 0;
}
