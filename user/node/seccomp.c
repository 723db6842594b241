// SPDX-License-Identifier: Apache-2.0
#include "node/seccomp.h"

#include <errno.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define MAX_CALLS 1024 /* numbers of system calls; the last stands for all beyond */
#define MAX_NAME 32
#define API_WITH_KILL_PROCESS 3 /* of libseccomp: 4.14 and newer, and nobody above us forbids to ask */

/* Of the kernel, in si_code; the C library does not name it. */
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* A place where a denied call can be given its result. Elsewhere it gets it from the kernel, and is not counted. */
#if defined(__x86_64__)
#define RESULT(uc) ((uc)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define RESULT(uc) ((uc)->uc_mcontext.regs[0])
#endif

#if defined(__s390__)
#define CGM_CLONE_FLAGS_ARG 1
#else
#define CGM_CLONE_FLAGS_ARG 0
#endif

/* Written by the handler of the signal, which may run in any thread at any time: atomic. */
static uint32_t nr_denied[MAX_CALLS];
static bool restricted[MAX_CALLS]; /* on the list, with some arguments; written before there is a filter */
static char names[MAX_CALLS][MAX_NAME]; /* of those denied so far; the sampler's */

#ifdef RESULT
static void on_denied(_unused_ int sig, siginfo_t *info, void *context)
{
	unsigned nr = MIN((unsigned)info->si_syscall, MAX_CALLS - 1U);
	ucontext_t *uc = context;

	if (info->si_code != SYS_SECCOMP)
		return; /* somebody sent it */
	__atomic_fetch_add(&nr_denied[nr], 1, __ATOMIC_RELAXED);
	RESULT(uc) = restricted[nr] ? -EPERM : -ENOSYS;
}
#endif

/* What happens to a call that is not on the list. */
static uint32_t deny(enum cgm_seccomp_mode mode)
{
	if (mode == CGM_SECCOMP_LOG)
		return SCMP_ACT_LOG;
#ifdef RESULT
	return SCMP_ACT_TRAP;
#else
	return SCMP_ACT_ERRNO(ENOSYS);
#endif
}

static const struct rule {
	const char *name;
	enum { ALLOW, ALLOW_IF, NEVER, ABSENT } what;
	unsigned arg;
	uint64_t mask, value;
} *rules(size_t *ret_nr)
{
	static struct rule table[] = {
#define CGM_CALL(name) { #name, ALLOW, 0, 0, 0 },
#define CGM_CALL_IF(name, arg, mask, value) { #name, ALLOW_IF, arg, mask, 0 },
#define CGM_CALL_NEVER(name) { #name, NEVER, 0, 0, 0 },
#define CGM_CALL_ABSENT(name) { #name, ABSENT, 0, 0, 0 },
#include "node/seccomp.def"
	};
	/* Our own number is known only now. */
	const uint64_t values[] = {
#define CGM_CALL(name) 0,
#define CGM_CALL_IF(name, arg, mask, value) value,
#define CGM_CALL_NEVER(name) 0,
#define CGM_CALL_ABSENT(name) 0,
#include "node/seccomp.def"
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		table[i].value = values[i];
	*ret_nr = ARRAY_SIZE(table);
	return table;
}

static int add(scmp_filter_ctx filter, const struct rule *r, enum cgm_seccomp_mode mode)
{
	int nr = seccomp_syscall_resolve_name(r->name);

	/* This architecture has no such call, or this library does not know it yet: nobody here makes it. */
	if (nr < 0)
		return 0;
	if (r->what == ALLOW_IF && nr < MAX_CALLS)
		restricted[nr] = true;
	switch (r->what) {
	case ALLOW:
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 0);
	case ALLOW_IF:
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 1, SCMP_CMP(r->arg, SCMP_CMP_MASKED_EQ, r->mask, r->value));
	case NEVER:
		/* Where a process cannot be ended as a whole they are denied as others are. */
		return mode == CGM_SECCOMP_LOG || seccomp_api_get() < API_WITH_KILL_PROCESS ? 0 : seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, nr, 0);
	default:
		return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
	}
}

static int load(enum cgm_seccomp_mode mode)
{
	scmp_filter_ctx filter = seccomp_init(deny(mode));
	const struct rule *r;
	size_t nr;
	int e;

	if (!filter)
		return -ENOMEM;
	r = rules(&nr);
	/* By halves instead of one after the other: some 8 comparisons a call instead of a hundred. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* Calls of another architecture, 32 bits for example, are nobody's here. */
	e = seccomp_api_get() < API_WITH_KILL_PROCESS ? 0 : seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; e == 0 && i < nr; i++)
		e = add(filter, &r[i], mode);
	if (e == 0)
		e = seccomp_load(filter);
	seccomp_release(filter);
	return e;
}

int cgm_seccomp_install(enum cgm_seccomp_mode mode)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	if (mode != CGM_SECCOMP_OFF)
		return -ENOTSUP;
#endif
	if (mode == CGM_SECCOMP_OFF)
		return 0;
#ifdef RESULT
	struct sigaction action = { .sa_sigaction = on_denied, .sa_flags = SA_SIGINFO | SA_RESTART };

	if (sigaction(SIGSYS, &action, NULL) < 0)
		return -errno;
#endif
	return load(mode);
}

/* The library tells the name in fresh memory; ours stays. */
static void learn_name(unsigned nr, char name[MAX_NAME])
{
	_cleanup_free_ char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)nr);

	if (known && nr != MAX_CALLS - 1)
		snprintf(name, MAX_NAME, "%s", known);
	else
		snprintf(name, MAX_NAME, nr == MAX_CALLS - 1 ? "other" : "%u", nr);
	cgm_warning("the system call %s%s is not on the list of what the agent needs: it was denied, and is counted in cgmeter_denied_syscalls_total",
		    name, restricted[nr] ? ", with these arguments," : "");
}

size_t cgm_seccomp_denied(struct cgm_denied_call *ret, size_t max)
{
	size_t found = 0;

	for (unsigned nr = 0; nr < MAX_CALLS; nr++) {
		uint32_t times = __atomic_load_n(&nr_denied[nr], __ATOMIC_RELAXED);

		if (!times)
			continue;
		if (!names[nr][0])
			learn_name(nr, names[nr]);
		if (found < max)
			ret[found] = (struct cgm_denied_call){ names[nr], times };
		found++;
	}
	return found;
}
