/* SPDX-License-Identifier: Apache-2.0 */
/* What `cgmeter probe` finds out about this machine, before anything is printed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/groups.h"

struct cgm_fact {
	const char *section; /* "config", "cgroups", "limits" */
	const char *name;
	char value[160];
	bool present; /* false: without says what is lost */
	const char *without; /* "": nothing that we collect */
};

struct cgm_capability {
	const char *name, *use;
	unsigned bit;
	bool had; /* by this process */
	bool needed; /* here and now: without it something is lost that another does not stand in for */
};

#define CGM_MAX_FACTS 32
#define CGM_NR_PROBED_CAPABILITIES 4

struct cgm_facts_found {
	struct cgm_fact facts[CGM_MAX_FACTS];
	size_t nr_facts;
	struct cgm_capability capabilities[CGM_NR_PROBED_CAPABILITIES];
	const char *cgroup_mode; /* "v1", "hybrid", "v2", "none" */
	bool btf;
};
void cgm_probe_find(struct cgm_facts_found *ret);

/* Calls fn with the name of every family of /metrics that is lost, wholly or in part, when no program of the group runs. */
void cgm_probe_families(enum cgm_group g, void (*fn)(void *arg, const char *family), void *arg);
