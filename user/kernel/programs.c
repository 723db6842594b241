// SPDX-License-Identifier: Apache-2.0
/* The table of programs: what each needs of the kernel, and which is used instead when it cannot be. */
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "kernel/internal.h"

static bool has_member(const struct btf *btf, const char *type, const char *member)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, btf_members(t)[i].name_off);

		if (name && strcmp(name, member) == 0)
			return true;
	}
	return false;
}

/* CONFIG_SCHED_INFO, and CONFIG_FAIR_GROUP_SCHED for the way from a task to its run queue; prev_state came in 5.18 (fa2c3254d7cf). */
static bool switch_possible(const struct btf *btf, const char **ret_reason)
{
	int id = btf__find_by_name_kind(btf, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	if (!has_member(btf, "sched_info", "last_queued")) {
		*ret_reason = "no sched_info in this kernel";
		return false;
	}
	if (!has_member(btf, "cfs_rq", "rq") || !has_member(btf, "sched_entity", "cfs_rq")) {
		*ret_reason = "no way from a task to its run queue (CONFIG_FAIR_GROUP_SCHED)";
		return false;
	}
	/* typedef -> pointer -> function: (data, preempt, prev, next, prev_state) */
	t = t ? btf__type_by_id(btf, t->type) : NULL;
	t = t ? btf__type_by_id(btf, t->type) : NULL;
	if (!t || btf_vlen(t) < 5) {
		*ret_reason = "sched_switch has no prev_state before 5.18";
		return false;
	}
	return true;
}

const struct cgm_program_def cgm_program_defs[] = {
	{ "cgm_mkdir", "cgroup", "mkdir", 0, CGM_MODE_BTF, "cgroup_mkdir", NULL },
	{ "cgm_raw_mkdir", "cgroup", "mkdir", 1, CGM_MODE_RAW, "cgroup_mkdir", NULL },
	{ "cgm_rmdir", "cgroup", "rmdir", 0, CGM_MODE_BTF, "cgroup_rmdir", NULL },
	{ "cgm_raw_rmdir", "cgroup", "rmdir", 1, CGM_MODE_RAW, "cgroup_rmdir", NULL },
	{ "cgm_task_walk", "task", "walk", 0, CGM_MODE_ITER, "task", NULL },
	/* Without the second the first would go on counting for a cgroup that the task has left. */
	{ "cgm_attach", "sched", "switch", 0, CGM_MODE_BTF, "cgroup_attach_task", NULL },
	{ "cgm_switch", "sched", "switch", 0, CGM_MODE_BTF, "sched_switch", switch_possible },
	{ "cgm_raw_wakeup", "sched", "switch", 1, CGM_MODE_RAW, "sched_wakeup", NULL },
	{ "cgm_raw_wakenew", "sched", "switch", 1, CGM_MODE_RAW, "sched_wakeup_new", NULL },
	{ "cgm_raw_exit", "sched", "switch", 1, CGM_MODE_RAW, "sched_process_exit", NULL },
	{ "cgm_raw_switch", "sched", "switch", 1, CGM_MODE_RAW, "sched_switch", NULL },
	{ "cgm_blk_issue", "block", "issue", 0, CGM_MODE_BTF, "block_rq_issue", NULL },
	{ "cgm_raw_issue", "block", "issue", 1, CGM_MODE_RAW, "block_rq_issue", NULL },
	{ "cgm_blk_done", "block", "complete", 0, CGM_MODE_BTF, "block_rq_complete", NULL },
	{ "cgm_raw_done", "block", "complete", 1, CGM_MODE_RAW, "block_rq_complete", NULL },
	{ "cgm_sock_send", "net", "send", 0, CGM_MODE_BTF, "sock_send_length", NULL },
	{ "cgm_fx_send4", "net", "send", 1, CGM_MODE_FEXIT, "inet_sendmsg", NULL },
	{ "cgm_fx_send6", "net", "send", 1, CGM_MODE_FEXIT, "inet6_sendmsg", NULL },
	{ "cgm_fx_send_us", "net", "send", 1, CGM_MODE_FEXIT, "unix_stream_sendmsg", NULL },
	{ "cgm_fx_send_ud", "net", "send", 1, CGM_MODE_FEXIT, "unix_dgram_sendmsg", NULL },
	{ "cgm_sock_recv", "net", "recv", 0, CGM_MODE_BTF, "sock_recv_length", NULL },
	{ "cgm_fx_recv4", "net", "recv", 1, CGM_MODE_FEXIT, "inet_recvmsg", NULL },
	{ "cgm_fx_recv6", "net", "recv", 1, CGM_MODE_FEXIT, "inet6_recvmsg", NULL },
	{ "cgm_fx_recv_us", "net", "recv", 1, CGM_MODE_FEXIT, "unix_stream_recvmsg", NULL },
	{ "cgm_fx_recv_ud", "net", "recv", 1, CGM_MODE_FEXIT, "unix_dgram_recvmsg", NULL },
	{ "cgm_tcp_retrans", "net", "retrans", 0, CGM_MODE_BTF, "tcp_retransmit_skb", NULL },
	{ "cgm_tcp_synack", "net", "synack", 0, CGM_MODE_BTF, "tcp_retransmit_synack", NULL },
	{ "cgm_tcp_state", "net", "state", 0, CGM_MODE_BTF, "inet_sock_set_state", NULL },
	{ "cgm_tcp_rst_out", "net", "rst_out", 0, CGM_MODE_BTF, "tcp_send_reset", NULL },
	{ "cgm_tcp_rst_in", "net", "rst_in", 0, CGM_MODE_BTF, "tcp_receive_reset", NULL },
};
const size_t cgm_nr_program_defs = ARRAY_SIZE(cgm_program_defs);

const char *cgm_mode_name(enum cgm_mode m)
{
	static const char *const names[] = { "btf", "raw", "fexit", "iter" };

	return names[m];
}

void cgm_choice_fail(struct cgm_choice *c, const char *fmt, ...)
{
	va_list ap;

	if (c->failed)
		return;
	c->failed = true;
	va_start(ap, fmt);
	vsnprintf(c->reason, sizeof(c->reason), fmt, ap);
	va_end(ap);
}

static void probe(const struct cgm_program_def *d, const struct btf *btf, struct cgm_choice *c)
{
	const char *reason = NULL;
	char name[64];

	switch (d->mode) {
	case CGM_MODE_BTF:
	case CGM_MODE_RAW:
		snprintf(name, sizeof(name), "btf_trace_%s", d->hook);
		if (btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) < 0)
			cgm_choice_fail(c, "this kernel has no tracepoint %s", d->hook);
		break;
	case CGM_MODE_FEXIT:
		if (btf__find_by_name_kind(btf, d->hook, BTF_KIND_FUNC) < 0)
			cgm_choice_fail(c, "this kernel has no function %s to attach to", d->hook);
		break;
	case CGM_MODE_ITER:
		snprintf(name, sizeof(name), "bpf_iter__%s", d->hook);
		if (btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT) < 0)
			cgm_choice_fail(c, "this kernel has no iterator over each %s", d->hook);
		break;
	}
	if (d->possible && !d->possible(btf, &reason))
		cgm_choice_fail(c, "%s", reason);
}

void cgm_programs_probe(struct cgm_kernel *k, const struct btf *kernel_btf)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		const struct cgm_program_def *d = &cgm_program_defs[i];

		probe(d, kernel_btf, &k->choices[i]);
		if (strcmp(d->unit, "switch") == 0 && d->rank == 0 && k->config.sched_hook == CGM_SCHED_WAKEUP)
			cgm_choice_fail(&k->choices[i], "--sched_hook=wakeup");
		if (strcmp(d->unit, "switch") == 0 && d->rank == 1 && k->config.sched_hook == CGM_SCHED_SWITCH)
			cgm_choice_fail(&k->choices[i], "--sched_hook=switch");
	}
}

/* A rank works when none of its programs has failed. */
static bool rank_works(const struct cgm_kernel *k, const char *unit, unsigned rank)
{
	bool any = false;

	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		const struct cgm_program_def *d = &cgm_program_defs[i];

		if (strcmp(d->unit, unit) != 0 || d->rank != rank)
			continue;
		any = true;
		if (k->choices[i].failed)
			return false;
	}
	return any;
}

void cgm_programs_choose(struct cgm_kernel *k)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		const struct cgm_program_def *d = &cgm_program_defs[i];

		k->choices[i].used = rank_works(k, d->unit, d->rank) && (d->rank == 0 || !rank_works(k, d->unit, 0));
	}
}
