/* SPDX-License-Identifier: Apache-2.0 */
/* What `cgmeter probe` finds out about this machine, before anything is printed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/groups.h"
#include "node/privileges.h"

struct cgm_fact {
	const char *section; /* "config", "cgroups", "limits" */
	const char *name;
	char value[160];
	bool present; /* false: without says what is lost */
	const char *without; /* "": nothing that we collect */
};

#define CGM_MAX_FACTS 32

struct cgm_facts_found {
	struct cgm_fact facts[CGM_MAX_FACTS];
	size_t nr_facts;
	uint64_t capabilities; /* that this process has */
	bool needed[CGM_NR_CAPABILITIES]; /* here and now: without it something is lost that another does not stand in for */
	const char *cgroup_mode; /* "v1", "hybrid", "v2", "none" */
	bool btf;
};
void cgm_probe_find(struct cgm_facts_found *ret);

/* Calls fn with the name of every family of /metrics that is lost, wholly or in part, when no program of the group runs. */
void cgm_probe_families(enum cgm_group g, void (*fn)(void *arg, const char *family), void *arg);
