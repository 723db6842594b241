/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent may do: the table of capabilities (privileges.def), and how all others are given up when the kernel side is up and before there
 * are threads, which inherit what is left.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgm_options;

/* Bits are 1 << CAP_…, as in /proc/PID/status. */
struct cgm_capability {
	const char *name; /* "CAP_…" */
	unsigned bit; /* its number */
	const char *when, *use, *without;
	bool granted; /* by the DaemonSet and the unit */
};
#define CGM_NR_CAPABILITIES 10
extern const struct cgm_capability cgm_capabilities[CGM_NR_CAPABILITIES];

/* What this process may use, and nothing when that cannot be known. */
uint64_t cgm_privileges_had(void);

/* Of what is had: what is kept after the start with these options. */
uint64_t cgm_privileges_kept(const struct cgm_options *o, uint64_t had);

/* Is it needed on this machine by one that has these? Not when another stands in, or the kernel is new enough. For the default options. */
bool cgm_privileges_needed(const struct cgm_capability *c, uint64_t had, bool memlock_matters);

/*
 * Gives up all but what is kept, in all five sets, for good; then the filter of system calls. What cannot be done is said, and is no failure.
 * What is lost for want of a capability is said, too. Call it while there is one thread.
 */
void cgm_privileges_drop(const struct cgm_options *o);

/*
 * The calling thread goes before others of this machine; without the capability for it all stays as it is. Returns its nice value so far, to
 * which the second function brings back all threads that inherited the new one, when they are made.
 */
int cgm_privileges_go_first(void);
void cgm_privileges_others_back(int nice);

/* The table in Markdown, to stdout. */
void cgm_privileges_reference(void);
