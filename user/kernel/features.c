// SPDX-License-Identifier: Apache-2.0
/* What the running kernel has by name, in its BTF: never by version, as distributions move things both ways. */
#include "base/cleanup.h"
#include "kernel/internal.h"

static struct cgm_feature features[] = {
	{ "kfunc", "bpf_rcu_read_lock", "walk lists of the kernel safely (6.2)", false },
	{ "kfunc", "bpf_rdonly_cast", "read a controller's own part of a cgroup in an iterator (6.2)", false },
	{ "kfunc", "bpf_cgroup_from_id", "find a cgroup by its id (6.3)", false },
	{ "kfunc", "bpf_iter_css_new", "walk a cgroup's descendants in a program (6.7)", false },
	{ "kfunc", "bpf_task_get_cgroup1", "a task's cgroup in a v1 hierarchy (6.8)", false },
	{ "kfunc", "cgroup_rstat_flush", "bring v2 counters up to date before they are read (6.1 to 6.15)", false },
	{ "kfunc", "css_rstat_flush", "the same, under its later name (6.16)", false },
	{ "kfunc", "bpf_get_mem_cgroup", "memory counters of a cgroup without its files (7.0)", false },
	{ "kfunc", "bpf_mem_cgroup_flush_stats", "the same: bring them up to date (7.0)", false },
	{ "kfunc", "bpf_mem_cgroup_page_state", "the same: memory.stat (7.0)", false },
	{ "function", "bpf_map_charge_init", "charges maps to RLIMIT_MEMLOCK: kernels before 5.11 only", false },
	{ "struct", "bpf_iter__task", "tasks by state in one pass (5.8)", false },
	{ "struct", "bpf_iter__cgroup", "all cgroups' counters in one pass (6.1)", false },
	{ "struct", "sched_info", "run-queue delay without a hook at wakeup (CONFIG_SCHED_INFO)", false },
	{ "struct", "psi_group", "pressure of a cgroup without its files (CONFIG_PSI)", false },
};

const char *cgm_trampolines_refused(const struct btf *kernel_btf)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	static const char refused[] = "this kernel allows no program at a function (fentry)";
	static bool tried, allowed;
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = BPF_TRACE_FENTRY);
	_cleanup_close_ int program = -1, link = -1;
	int id = btf__find_by_name_kind(kernel_btf, "vfs_open", BTF_KIND_FUNC);

	if (!tried && id > 0) {
		o.attach_btf_id = (uint32_t)id;
		program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "cgm_probe", "GPL", nothing, ARRAY_SIZE(nothing), &o);
		link = program < 0 ? -1 : bpf_raw_tracepoint_open(NULL, program);
		allowed = link >= 0;
	}
	tried = true;
	return allowed ? NULL : refused;
}

size_t cgm_kernel_features(const struct cgm_feature **ret)
{
	struct btf *btf = btf__load_vmlinux_btf();

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		uint32_t kind = strcmp(features[i].kind, "struct") == 0 ? BTF_KIND_STRUCT : BTF_KIND_FUNC;

		features[i].found = btf && btf__find_by_name_kind(btf, features[i].name, kind) > 0;
	}
	btf__free(btf);
	*ret = features;
	return ARRAY_SIZE(features);
}
