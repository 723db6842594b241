/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter of system calls (seccomp.def). A call that is not on the list does not happen, and the agent goes on: it gets ENOSYS, or EPERM
 * where only its arguments are not on the list; it is counted by name and said once. So a list that forgot something costs a feature and not the
 * agent. Calls with which only an intruder has business end the process.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum cgm_seccomp_mode {
	CGM_SECCOMP_OFF,
	CGM_SECCOMP_ON,
	CGM_SECCOMP_LOG, /* nothing is denied; the kernel writes what would be to its audit log */
};

/*
 * For the calling thread and all that it makes from now on; sets no_new_privs. 0; -ENOTSUP: built with sanitizers, which need more than is on
 * the list; another negative errno: the kernel has no such filter.
 */
int cgm_seccomp_install(enum cgm_seccomp_mode mode);

struct cgm_denied_call {
	const char *name; /* stays valid */
	uint64_t nr;
};
/*
 * What was denied since the start, by name: how many of them; at most max are put into ret. A name that is new is said. One thread (the
 * sampler's).
 */
size_t cgm_seccomp_denied(struct cgm_denied_call *ret, size_t max);
