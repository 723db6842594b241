// SPDX-License-Identifier: Apache-2.0
#include "node/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/parse.h"
#include "kernel/groups.h"
#include "node/options.h"
#include "node/seccomp.h"

#define SAMPLER_NICE -10 /* a tick is some milliseconds of CPU a second, and worth less when it is late */
#define BIT(nr) (1ULL << (nr))
#define PRIVILEGED_PORTS 1024

/* When a capability is needed, for the code and in words. */
enum when { ALWAYS, INSTEAD, OTHERS_FILES, LOW_PORT, START, OLD_KERNEL };
#define ALWAYS_WORDS "always"
#define INSTEAD_WORDS "always, where there is no CAP_SYS_ADMIN"
#define OTHERS_FILES_WORDS "with --referenced_reset_interval and the group referenced_memory, with a runtime's socket below /run/user, or with --podman_users"
#define LOW_PORT_WORDS "with --port below 1024"
#define START_WORDS "at the start"
#define OLD_KERNEL_WORDS "at the start, before Linux 5.11"

const struct cgm_capability cgm_capabilities[CGM_NR_CAPABILITIES] = {
#define CGM_CAPABILITY(name, when, granted, use, without) { "CAP_" #name, CAP_##name, when##_WORDS, use, without, granted },
#include "node/privileges.def"
};

static const enum when when_of[] = {
#define CGM_CAPABILITY(name, when, granted, use, without) when,
#include "node/privileges.def"
};
_Static_assert(ARRAY_SIZE(when_of) == CGM_NR_CAPABILITIES, "as many as the table has");

/* ---- what is had, needed, kept ---- */

static int get(uint64_t *ret_permitted, uint64_t *ret_effective)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, d) < 0)
		return -errno;
	*ret_permitted = (uint64_t)d[1].permitted << 32 | d[0].permitted;
	*ret_effective = (uint64_t)d[1].effective << 32 | d[0].effective;
	return 0;
}

static int set(uint64_t caps)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = (uint32_t)caps, .permitted = (uint32_t)caps },
		{ .effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32) },
	};

	return syscall(SYS_capset, &header, d) < 0 ? -errno : 0;
}

uint64_t cgm_privileges_had(void)
{
	uint64_t permitted, effective = 0;

	return get(&permitted, &effective) < 0 ? 0 : effective;
}

bool cgm_privileges_needed(const struct cgm_capability *c, uint64_t had, bool memlock_matters)
{
	switch (when_of[c - cgm_capabilities]) {
	case ALWAYS:
		return true;
	case INSTEAD:
		return !(had & BIT(CAP_SYS_ADMIN));
	case OLD_KERNEL:
		return memlock_matters;
	default:
		return false;
	}
}

static bool of_another_user(const char *socket)
{
	if (strncmp(socket, "unix://", 7) == 0)
		socket += 7;
	if (strncmp(socket, "/rootfs/", 8) == 0)
		socket += 7;
	if (strncmp(socket, "/var/", 5) == 0)
		socket += 4;
	return strncmp(socket, "/run/user/", 10) == 0;
}

static bool others_files(const struct cgm_options *o)
{
	const struct cgm_runtime_options *r = &o->runtimes;

	return (o->referenced_reset && !(o->groups_off >> CGM_G_REFERENCED_MEMORY & 1)) || of_another_user(r->docker) || of_another_user(r->podman) ||
	       of_another_user(r->containerd) || of_another_user(r->crio) || *r->podman_users;
}

uint64_t cgm_privileges_kept(const struct cgm_options *o, uint64_t had)
{
	uint64_t kept = 0;

	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++) {
		enum when when = when_of[i];

		if (when == ALWAYS || (when == INSTEAD && !(had & BIT(CAP_SYS_ADMIN))) || (when == OTHERS_FILES && others_files(o)) ||
		    (when == LOW_PORT && o->port && o->port < PRIVILEGED_PORTS))
			kept |= BIT(cgm_capabilities[i].bit);
	}
	return kept & had;
}

/* ---- giving up ---- */

/* False: something stays in the bounding set, which takes CAP_SETPCAP to change. */
static bool drop_bounding(uint64_t kept)
{
	bool all = true;

	for (int cap = 0; cap < 64; cap++)
		if (!(kept >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			all = false;
	return all;
}

static void say_kept(uint64_t had, uint64_t kept)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };

	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++)
		if (kept >> cgm_capabilities[i].bit & 1)
			cgm_buf_printf(&text, " %s", cgm_capabilities[i].name);
	cgm_buf_char(&text, '\0');
	if (had && !text.failed)
		cgm_info("privileges: keeps%s, and gives up %d others", kept ? text.p : " none", __builtin_popcountll(had & ~kept));
	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++)
		if (cgm_capabilities[i].granted && !(had >> cgm_capabilities[i].bit & 1))
			cgm_info("privileges: without %s: %s", cgm_capabilities[i].name, cgm_capabilities[i].without);
}

static void drop(const struct cgm_options *o)
{
	uint64_t permitted = 0, effective, kept;
	int r = get(&permitted, &effective);
	bool unbound;

	kept = cgm_privileges_kept(o, permitted);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* before Linux 4.3 there were none */
	unbound = drop_bounding(kept);
	/* Uid 0 means nothing from here on, not even to a program that is started. */
	if (permitted & BIT(CAP_SETPCAP) &&
	    prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_CAP_AMBIENT_RAISE | SECURE_ALL_LOCKS, 0, 0, 0) < 0)
		cgm_warning("privileges: cannot lock what uid 0 gives: %s", strerror(errno));
	if (r == 0)
		r = set(kept);
	if (r < 0)
		cgm_warning("privileges: cannot be given up: %s", strerror(-r));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		cgm_warning("privileges: no_new_privs is refused: %s", strerror(errno));
	else if (!unbound)
		cgm_debug("privileges: what is not needed stays in the bounding set, for want of CAP_SETPCAP");
	if (r == 0)
		say_kept(permitted, kept);
}

static enum cgm_seccomp_mode mode_of(const char *s)
{
	return strcmp(s, "off") == 0 ? CGM_SECCOMP_OFF : strcmp(s, "log") == 0 ? CGM_SECCOMP_LOG : CGM_SECCOMP_ON;
}

void cgm_privileges_drop(const struct cgm_options *o)
{
	int r;

	if (strcmp(o->privileges, "keep") == 0)
		cgm_info("privileges: all are kept (--privileges=keep)");
	else
		drop(o);
	r = cgm_seccomp_install(mode_of(o->seccomp));
	if (r == -ENOTSUP)
		cgm_info("system calls are not filtered: this program is built with sanitizers");
	else if (r < 0)
		cgm_warning("system calls are not filtered: %s", strerror(-r));
}

/* ---- before others ---- */

int cgm_privileges_go_first(void)
{
	int nice = getpriority(PRIO_PROCESS, (id_t)gettid());

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), SAMPLER_NICE);
	return nice;
}

/* How many had inherited it. */
static size_t put_back(int nice)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	size_t nr = 0;
	uint64_t tid;

	while (dir && (e = readdir(dir))) {
		if (cgm_parse_u64(cgm_str(e->d_name), &tid) < 0 || (pid_t)tid == gettid() || getpriority(PRIO_PROCESS, (id_t)tid) != SAMPLER_NICE)
			continue;
		nr += setpriority(PRIO_PROCESS, (id_t)tid, nice) == 0;
	}
	return nr;
}

void cgm_privileges_others_back(int nice)
{
	/* One that had not been put back yet may have made another meanwhile. */
	while (nice != SAMPLER_NICE && put_back(nice))
		;
}

void cgm_privileges_reference(void)
{
	printf("| capability | needed | to | without it | granted |\n| --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++) {
		const struct cgm_capability *c = &cgm_capabilities[i];

		printf("| `%s` | %s | %s | %s | %s |\n", c->name, c->when, c->use, c->without, c->granted ? "yes" : "no");
	}
}
