// SPDX-License-Identifier: Apache-2.0
#include "node/probe_facts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "cgroup/cgroup.h"
#include "kernel/kernel.h"

static struct cgm_fact *add(struct cgm_facts_found *f, const char *section, const char *name, bool present, const char *without)
{
	struct cgm_fact *fact = &f->facts[f->nr_facts];

	if (f->nr_facts + 1 < CGM_MAX_FACTS)
		f->nr_facts++;
	*fact = (struct cgm_fact){ .section = section, .name = name, .present = present, .without = without };
	snprintf(fact->value, sizeof(fact->value), "%s", present ? "yes" : "no");
	return fact;
}

static bool readable(const char *path)
{
	char buf[4096];

	return cgm_read_at(AT_FDCWD, path, buf, sizeof(buf)) >= 0; /* PSI that is built in but off opens, and does not read */
}

/* A fact whose value is the first line of a file. */
static struct cgm_fact *add_line(struct cgm_facts_found *f, const char *section, const char *name, const char *path, const char *without)
{
	char line[sizeof(f->facts[0].value)];
	bool there = cgm_read_line_at(AT_FDCWD, path, line, sizeof(line)) >= 0;
	struct cgm_fact *fact = add(f, section, name, there, without);

	snprintf(fact->value, sizeof(fact->value), "%s", there ? line : "not there");
	return fact;
}

static void find_config(struct cgm_facts_found *f)
{
	struct statfs fs;
	struct cgm_fact *jit;

	f->btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	add(f, "config", "BTF", f->btf, "no program can be fitted to this kernel: only what the cgroup files hold");
	add(f, "config", "PSI", readable("/proc/pressure/cpu"), "container_pressure_* and psi of the REST answers (psi=1 on the kernel's command line)");
	add(f, "config", "sched_info", access("/proc/self/schedstat", R_OK) == 0,
	    "the cheap hook for run-queue delay; the dearer pair at wakeup and switch stands in");
	add_line(f, "config", "schedstats", "/proc/sys/kernel/sched_schedstats", "");
	add(f, "config", "taskstats/delayacct", access("/proc/sys/kernel/task_delayacct", F_OK) == 0, "");
	add_line(f, "config", "bpf_stats_enabled", "/proc/sys/kernel/bpf_stats_enabled", "cgmeter_program_run_seconds_total, cgmeter_program_runs_total");
	jit = add_line(f, "config", "bpf_jit_enable", "/proc/sys/net/core/bpf_jit_enable", "programs are interpreted: they cost several times as much");
	jit->present = strcmp(jit->value, "0") != 0;
	add(f, "config", "BPF file system", statfs("/sys/fs/bpf", &fs) == 0 && fs.f_type == BPF_FS_MAGIC,
	    "the agent mounts it, with CAP_SYS_ADMIN; without that the counts do not outlive the agent");
}

static void add_controller(struct cgm_facts_found *f, const struct cgm_trees *t, const char *v2_list, enum cgm_controller c, const char *name,
			   const char *v2_name, const char *without)
{
	struct cgm_str rest = cgm_str(v2_list), token;
	bool v1 = t->h[c].dir_fd >= 0, v2 = false;
	struct cgm_fact *fact;

	while (cgm_next_token(&rest, &token))
		v2 |= cgm_str_eq(token, v2_name);
	fact = add(f, "cgroups", name, v1 || v2, without);
	if (v1)
		snprintf(fact->value, sizeof(fact->value), "v1, hierarchy %u", t->h[c].id);
	else if (v2)
		snprintf(fact->value, sizeof(fact->value), "v2%s%s", strcmp(name, v2_name) ? ", as " : "", strcmp(name, v2_name) ? v2_name : "");
}

static void find_cgroups(struct cgm_facts_found *f)
{
	static const char *const modes[] = { "v1", "hybrid", "v2" };
	_cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char list[256] = "";
	struct cgm_trees t;

	f->cgroup_mode = "none";
	if (root < 0 || cgm_trees_open(root, &t) < 0)
		return;
	f->cgroup_mode = modes[t.mode];
	if (t.h[CGM_CTRL_UNIFIED].dir_fd >= 0)
		(void)cgm_read_line_at(t.h[CGM_CTRL_UNIFIED].dir_fd, "cgroup.controllers", list, sizeof(list));
	add_controller(f, &t, list, CGM_CTRL_CPU, "cpu", "cpu", "container_cpu_cfs_*, limits of CPU");
	add_controller(f, &t, list, CGM_CTRL_CPUACCT, "cpuacct", "cpu", "container_cpu_usage_seconds_total and its like");
	add_controller(f, &t, list, CGM_CTRL_CPUSET, "cpuset", "cpuset", "the CPU mask of the REST answers");
	add_controller(f, &t, list, CGM_CTRL_MEMORY, "memory", "memory", "container_memory_*, container_oom_events_total");
	add_controller(f, &t, list, CGM_CTRL_BLKIO, "blkio", "io", "container_fs_* and block latency by cgroup; all of it is the root's");
	add_controller(f, &t, list, CGM_CTRL_PIDS, "pids", "pids", "container_threads, container_threads_max");
	cgm_trees_close(&t);
}

static void add_limit(struct cgm_facts_found *f, const char *name, int resource, uint64_t enough, const char *without)
{
	struct rlimit rl = { 0 };
	struct cgm_fact *fact;

	getrlimit((__rlimit_resource_t)resource, &rl);
	fact = add(f, "limits", name, rl.rlim_max >= enough, without);
	if (rl.rlim_max == RLIM_INFINITY)
		snprintf(fact->value, sizeof(fact->value), "unlimited");
	else
		snprintf(fact->value, sizeof(fact->value), "%llu", (unsigned long long)rl.rlim_max);
}

/* Before 5.11 maps are charged to RLIMIT_MEMLOCK, later to the memory cgroup. */
static bool memlock_matters(void)
{
	const struct cgm_feature *features;
	size_t nr = cgm_kernel_features(&features);

	for (size_t i = 0; i < nr; i++)
		if (strcmp(features[i].name, "bpf_map_charge_init") == 0)
			return features[i].found;
	return false;
}

static void find_limits(struct cgm_facts_found *f)
{
	struct cgm_fact *lockdown = add_line(f, "limits", "lockdown", "/sys/kernel/security/lockdown", "");

	if (!lockdown->present)
		snprintf(lockdown->value, sizeof(lockdown->value), "not known: no security file system, or no lockdown in this kernel");
	lockdown->present = !strstr(lockdown->value, "[confidentiality]");
	if (!lockdown->present)
		lockdown->without = "programs may not read the kernel's memory: only what the cgroup files hold";
	/* The agent has the capability or has no program: the switch for the unprivileged does not matter to it. */
	add_line(f, "limits", "unprivileged_bpf_disabled", "/proc/sys/kernel/unprivileged_bpf_disabled", "");
	add_line(f, "limits", "seccomp", "/proc/sys/kernel/seccomp/actions_avail", "the agent's system calls are not filtered");
	add_limit(f, "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK, memlock_matters() ? 64 << 20 : 0,
		  "the maps are charged to it on this kernel, and do not fit; CAP_SYS_RESOURCE raises it");
	add_limit(f, "RLIMIT_NOFILE", RLIMIT_NOFILE, 8192, "cgroup files are opened anew at each tick instead of kept open");
}

static void find_capabilities(struct cgm_facts_found *f)
{
	f->capabilities = cgm_privileges_had();
	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++)
		f->needed[i] = cgm_privileges_needed(&cgm_capabilities[i], f->capabilities, memlock_matters());
}

void cgm_probe_find(struct cgm_facts_found *ret)
{
	*ret = (struct cgm_facts_found){ 0 };
	find_config(ret);
	find_cgroups(ret);
	find_limits(ret);
	find_capabilities(ret);
}

/* ---- families by group ---- */

static const struct {
	const char *v1, *v2;
} values[] = {
#define CGM_VALUE(id, kind, unit, json, v1, v2) [CGM_V_##id] = { v1, v2 },
#include "cgmeter/metrics.def"
};

static const struct {
	const char *name;
	enum cgm_group group;
} families[] = {
#define CGM_FAMILY(id, name, type, unit, group, help) [CGM_F_##id] = { name, CGM_G_##group },
#include "cgmeter/metrics.def"
};

static const struct {
	enum cgm_family_id family;
	int value; /* -1: source says it */
	const char *source;
} series[] = {
#define CGM_SERIES(f, v, labels) { CGM_F_##f, CGM_V_##v, "" },
#define CGM_HIST_SERIES(f, member, labels) { CGM_F_##f, -1, "bpf:sched" },
#define CGM_LIVE_SERIES(f, which, member, labels) { CGM_F_##f, -1, "bpf:" #which },
#define CGM_WRITTEN_SERIES(f, labels, from) { CGM_F_##f, -1, from },
#include "cgmeter/metrics.def"
};

void cgm_probe_families(enum cgm_group g, void (*fn)(void *arg, const char *family), void *arg)
{
	int said = -1;

	for (size_t i = 0; i < ARRAY_SIZE(series); i++) {
		enum cgm_group own = families[series[i].family].group;
		const char *v1 = series[i].value < 0 ? series[i].source : values[series[i].value].v1;
		const char *v2 = series[i].value < 0 ? series[i].source : values[series[i].value].v2;

		if ((int)series[i].family == said || (cgm_group_of_source(v1, own) != g && cgm_group_of_source(v2, own) != g))
			continue;
		said = (int)series[i].family;
		fn(arg, families[series[i].family].name);
	}
}
