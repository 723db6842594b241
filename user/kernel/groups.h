/* SPDX-License-Identifier: Apache-2.0 */
/* The table of groups of metrics (include/cgmeter/groups.def) and the lists of them that flags take. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgmeter/metrics.h"

enum cgm_group_default { CGM_GROUP_ON, CGM_GROUP_OFF, CGM_GROUP_ALWAYS, CGM_GROUP_LISTED };

struct cgm_group_info {
	const char *name, *programs, *help;
	enum cgm_group_default def;
	unsigned dear; /* 0: no budget switches it off */
	enum cgm_group needs; /* CGM_G_NONE: nothing */
};
extern const struct cgm_group_info cgm_groups[CGM_NR_GROUPS];

/* The group of that name (len bytes); CGM_NR_GROUPS: there is none. */
enum cgm_group cgm_group_find(const char *name, size_t len);
/* The group whose programs have that name in their table; CGM_NR_GROUPS: there is none. */
enum cgm_group cgm_group_of_programs(const char *name);

/*
 * The group whose programs count for a series, by its source in metrics.def: "bpf:PROGRAMS …"; otherwise when what stands there is no
 * group's programs. CGM_G_NONE: it comes from elsewhere. source may be NULL.
 */
enum cgm_group cgm_group_of_source(const char *source, enum cgm_group otherwise);

/* Is it in the list of a flag, with or without +? */
bool cgm_group_named(const char *list, const char *name);

/* What the flags make of the groups. A reason of NULL: on. Reasons are literals. */
struct cgm_group_choice {
	const char *hidden[CGM_NR_GROUPS]; /* families of the group are left out */
	const char *unloaded[CGM_NR_GROUPS]; /* its programs are not loaded: hidden, and no group that is shown needs it */
};

/* The hidden ones as bits. */
uint64_t cgm_group_hidden(const struct cgm_group_choice *c);

/*
 * As cAdvisor: names of enable (comma between), if there are any, are all that is on, and disable is not looked at; else all is on but
 * the names of disable, whose default names the LISTED groups. Two things go beyond it: the groups that are OFF by default stay off unless enable names them, and a name with
 * "+" before it is added to what is on without it. 0; -EINVAL with *ret_bad (of *ret_len bytes) at the name that is no group's or
 * may not be switched off.
 */
int cgm_group_choose(const char *enable, const char *disable, struct cgm_group_choice *ret, const char **ret_bad, size_t *ret_len);
