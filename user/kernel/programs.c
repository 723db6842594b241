// SPDX-License-Identifier: Apache-2.0
/* The table of programs: what each needs of the kernel, and which is used instead when it cannot be. */
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "kernel/groups.h"
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

/* Of a tracepoint: its function's type, NULL when there is no such tracepoint. The first parameter is libbpf's data pointer. */
static const struct btf_type *tracepoint(const struct btf *btf, const char *name)
{
	char type[64];
	int id;
	const struct btf_type *t;

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	id = btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF);
	t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	/* typedef -> pointer -> function */
	t = t ? btf__type_by_id(btf, t->type) : NULL;
	return t ? btf__type_by_id(btf, t->type) : NULL;
}

static unsigned nr_arguments(const struct btf *btf, const char *name)
{
	const struct btf_type *t = tracepoint(btf, name);

	return t && btf_vlen(t) ? btf_vlen(t) - 1U : 0;
}

static bool has_params(const struct btf *btf, const char *name, unsigned nr, const char **ret_reason)
{
	if (nr_arguments(btf, name) == nr)
		return true;
	*ret_reason = "the tracepoint has other parameters in this kernel";
	return false;
}

/* Since 6.14 or so. */
static bool dirty_in_a_struct(const struct btf *btf, const char **ret_reason)
{
	return has_params(btf, "balance_dirty_pages", 8, ret_reason);
}

static bool dirty_in_numbers(const struct btf *btf, const char **ret_reason)
{
	return has_params(btf, "balance_dirty_pages", 12, ret_reason);
}

static bool uring_has_cqe(const struct btf *btf, const char **ret_reason)
{
	return has_params(btf, "io_uring_complete", 3, ret_reason);
}

static bool uring_has_result(const struct btf *btf, const char **ret_reason)
{
	return has_params(btf, "io_uring_complete", 7, ret_reason);
}

static bool resend_has_error(const struct btf *btf, const char **ret_reason)
{
	return has_params(btf, "tcp_retransmit_skb", 3, ret_reason);
}

static bool resend_was_ok(const struct btf *btf, const char **ret_reason)
{
	return has_params(btf, "tcp_retransmit_skb", 2, ret_reason);
}

static bool reset_has_reason(const struct btf *btf, const char **ret_reason)
{
	if (nr_arguments(btf, "tcp_send_reset") >= 3)
		return true;
	*ret_reason = "tcp_send_reset gives no reason before 6.10";
	return false;
}

static bool drop_has_socket(const struct btf *btf, const char **ret_reason)
{
	return has_params(btf, "kfree_skb", 4, ret_reason);
}

static bool drop_has_reason(const struct btf *btf, const char **ret_reason)
{
	if (nr_arguments(btf, "kfree_skb") == 3)
		return true;
	*ret_reason = "kfree_skb gives no reason before 5.17";
	return false;
}

/* Which register holds the number of the call is known for this architecture only. */
static bool is_x86_64(const struct btf *btf, const char **ret_reason)
{
	if (has_member(btf, "pt_regs", "orig_ax"))
		return true;
	*ret_reason = "system calls are not known on this architecture";
	return false;
}

/* Before 6.9 (72ba14deb40a; also in later 6.1) the tracepoint had only a pid. */
static bool victim_is_task(const struct btf *btf, const char **ret_reason)
{
	const struct btf_type *t = tracepoint(btf, "mark_victim");

	if (t && btf_vlen(t) > 1 && btf_is_ptr(btf__type_by_id(btf, btf_params(t)[1].type)))
		return true;
	*ret_reason = "mark_victim does not name the task in this kernel";
	return false;
}

/* CONFIG_SCHED_INFO, and CONFIG_FAIR_GROUP_SCHED for the way from a task to its run queue; prev_state came in 5.18 (fa2c3254d7cf). */
static bool switch_possible(const struct btf *btf, const char **ret_reason)
{
	if (!has_member(btf, "sched_info", "last_queued")) {
		*ret_reason = "no sched_info in this kernel";
		return false;
	}
	if (!has_member(btf, "cfs_rq", "rq") || !has_member(btf, "sched_entity", "cfs_rq")) {
		*ret_reason = "no way from a task to its run queue (CONFIG_FAIR_GROUP_SCHED)";
		return false;
	}
	if (nr_arguments(btf, "sched_switch") < 4) { /* preempt, prev, next, prev_state */
		*ret_reason = "sched_switch has no prev_state before 5.18";
		return false;
	}
	return true;
}

/* Before 5.11 (e8a676d61c07) it was (queue, request, bio). */
static bool bio_merge_possible(const struct btf *btf, const char **ret_reason)
{
	*ret_reason = "the merge tracepoints have other arguments before 5.11";
	return nr_arguments(btf, "block_bio_backmerge") == 1;
}

const struct cgm_program_def cgm_program_defs[] = {
	{ "cgm_mkdir", "cgroup", "mkdir", 0, CGM_MODE_BTF, "cgroup_mkdir", NULL },
	{ "cgm_raw_mkdir", "cgroup", "mkdir", 1, CGM_MODE_RAW, "cgroup_mkdir", NULL },
	{ "cgm_rmdir", "cgroup", "rmdir", 0, CGM_MODE_BTF, "cgroup_rmdir", NULL },
	{ "cgm_raw_rmdir", "cgroup", "rmdir", 1, CGM_MODE_RAW, "cgroup_rmdir", NULL },
	{ "cgm_empty", "cgroup", "empty", 0, CGM_MODE_BTF, "cgroup_notify_populated", NULL },
	{ "cgm_raw_empty", "cgroup", "empty", 1, CGM_MODE_RAW, "cgroup_notify_populated", NULL },
	{ "cgm_task_walk", "task", "walk", 0, CGM_MODE_ITER, "task", NULL },
	{ "cgm_file_walk", "task", "files", 0, CGM_MODE_ITER, "task_file", NULL },
	/* Without the second the first would go on counting for a cgroup that the task has left. */
	{ "cgm_attach", "sched", "switch", 0, CGM_MODE_BTF, "cgroup_attach_task", NULL },
	{ "cgm_switch", "sched", "switch", 0, CGM_MODE_BTF, "sched_switch", switch_possible },
	{ "cgm_raw_wakeup", "sched", "switch", 1, CGM_MODE_RAW, "sched_wakeup", NULL },
	{ "cgm_raw_wakenew", "sched", "switch", 1, CGM_MODE_RAW, "sched_wakeup_new", NULL },
	{ "cgm_raw_exit", "sched", "switch", 1, CGM_MODE_RAW, "sched_process_exit", NULL },
	{ "cgm_raw_switch", "sched", "switch", 1, CGM_MODE_RAW, "sched_switch", NULL },
	{ "cgm_unthrottle", "sched", "unthrottle", 0, CGM_MODE_FEXIT, "unthrottle_cfs_rq", NULL },
	{ "cgm_unthrottled", "sched", "unthrottle", 0, CGM_MODE_FEXIT, "unthrottle_cfs_rq", NULL },
	{ "cgm_fork", "process", "fork", 0, CGM_MODE_BTF, "sched_process_fork", NULL },
	{ "cgm_exec", "process", "exec", 0, CGM_MODE_BTF, "sched_process_exec", NULL },
	{ "cgm_exit", "process", "exit", 0, CGM_MODE_BTF, "sched_process_exit", NULL },
	{ "cgm_sig_sent", "process", "sig_sent", 0, CGM_MODE_BTF, "signal_generate", NULL },
	{ "cgm_sig_got", "process", "sig_got", 0, CGM_MODE_BTF, "signal_deliver", NULL },
	{ "cgm_uring", "process", "uring", 0, CGM_MODE_BTF, "io_uring_complete", uring_has_cqe },
	{ "cgm_uring_res", "process", "uring", 1, CGM_MODE_BTF, "io_uring_complete", uring_has_result },
	{ "cgm_numa_move", "sched", "numa_move", 0, CGM_MODE_BTF, "sched_move_numa", NULL },
	{ "cgm_numa_swap", "sched", "numa_swap", 0, CGM_MODE_BTF, "sched_swap_numa", NULL },
	{ "cgm_reclaim_in", "memory", "reclaim", 0, CGM_MODE_BTF, "mm_vmscan_direct_reclaim_begin", NULL },
	{ "cgm_reclaim_out", "memory", "reclaim", 0, CGM_MODE_BTF, "mm_vmscan_direct_reclaim_end", NULL },
	{ "cgm_limit_in", "memory", "limit", 0, CGM_MODE_BTF, "mm_vmscan_memcg_reclaim_begin", NULL },
	{ "cgm_limit_out", "memory", "limit", 0, CGM_MODE_BTF, "mm_vmscan_memcg_reclaim_end", NULL },
	{ "cgm_compact_in", "memory", "compaction", 0, CGM_MODE_BTF, "mm_compaction_begin", NULL },
	{ "cgm_compact_out", "memory", "compaction", 0, CGM_MODE_BTF, "mm_compaction_end", NULL },
	{ "cgm_throttled", "memory", "throttled", 0, CGM_MODE_BTF, "mm_vmscan_throttled", NULL },
	{ "cgm_collapse", "memory", "collapse", 0, CGM_MODE_BTF, "mm_collapse_huge_page", NULL },
	{ "cgm_tlb", "tlb", "tlb", 0, CGM_MODE_BTF, "tlb_flush", NULL },
	{ "cgm_oom", "oom_event", "oom", 0, CGM_MODE_BTF, "mark_victim", victim_is_task },
	{ "cgm_oom_begin", "oom_event", "oom_begin", 0, CGM_MODE_FENTRY, "out_of_memory", NULL },
	{ "cgm_dirty_wait", "block", "dirty_wait", 0, CGM_MODE_BTF, "balance_dirty_pages", dirty_in_a_struct },
	{ "cgm_dirty_wait2", "block", "dirty_wait", 1, CGM_MODE_BTF, "balance_dirty_pages", dirty_in_numbers },
	{ "cgm_wb_wait", "block", "wb_wait", 0, CGM_MODE_BTF, "folio_wait_writeback", NULL },
	{ "cgm_ext4_sync", "block", "fsync", 0, CGM_MODE_BTF, "ext4_sync_file_enter", NULL },
	{ "cgm_ext4_synced", "block", "fsync", 0, CGM_MODE_BTF, "ext4_sync_file_exit", NULL },
	{ "cgm_blk_issue", "block", "issue", 0, CGM_MODE_BTF, "block_rq_issue", NULL },
	{ "cgm_raw_issue", "block", "issue", 1, CGM_MODE_RAW, "block_rq_issue", NULL },
	{ "cgm_blk_done", "block", "complete", 0, CGM_MODE_BTF, "block_rq_complete", NULL },
	{ "cgm_raw_done", "block", "complete", 1, CGM_MODE_RAW, "block_rq_complete", NULL },
	{ "cgm_blk_requeue", "block", "requeue", 0, CGM_MODE_BTF, "block_rq_requeue", NULL },
	{ "cgm_bio_back", "block", "backmerge", 0, CGM_MODE_BTF, "block_bio_backmerge", bio_merge_possible },
	{ "cgm_bio_front", "block", "frontmerge", 0, CGM_MODE_BTF, "block_bio_frontmerge", bio_merge_possible },
	{ "cgm_rq_merge", "block", "rq_merge", 0, CGM_MODE_BTF, "block_rq_merge", NULL },
	{ "cgm_dirty_folio", "block", "dirty", 0, CGM_MODE_BTF, "writeback_dirty_folio", NULL },
	{ "cgm_dirty_page", "block", "dirty", 1, CGM_MODE_BTF, "writeback_dirty_page", NULL },
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
	{ "cgm_tcp_retrans", "net", "retrans", 0, CGM_MODE_BTF, "tcp_retransmit_skb", resend_has_error },
	{ "cgm_tcp_resent", "net", "retrans", 1, CGM_MODE_BTF, "tcp_retransmit_skb", resend_was_ok },
	{ "cgm_tcp_synack", "net", "synack", 0, CGM_MODE_BTF, "tcp_retransmit_synack", NULL },
	{ "cgm_tcp_state", "net", "state", 0, CGM_MODE_BTF, "inet_sock_set_state", NULL },
	{ "cgm_tcp_rst_out", "net", "rst_out", 0, CGM_MODE_BTF, "tcp_send_reset", NULL },
	{ "cgm_tcp_rst_in", "net", "rst_in", 0, CGM_MODE_BTF, "tcp_receive_reset", NULL },
	{ "cgm_resend", "tcp", "resend", 0, CGM_MODE_BTF, "tcp_retransmit_skb", resend_has_error },
	{ "cgm_resend_ok", "tcp", "resend", 1, CGM_MODE_BTF, "tcp_retransmit_skb", resend_was_ok },
	{ "cgm_resend_sa", "tcp", "resend_sa", 0, CGM_MODE_BTF, "tcp_retransmit_synack", NULL },
	{ "cgm_tcp_loss", "tcp", "loss", 0, CGM_MODE_BTF, "tcp_cong_state_set", NULL },
	{ "cgm_tcp_life", "tcp", "life", 0, CGM_MODE_BTF, "inet_sock_set_state", NULL },
	{ "cgm_rst_why", "tcp", "rst_why", 0, CGM_MODE_BTF, "tcp_send_reset", reset_has_reason },
	{ "cgm_sk_error", "tcp", "sk_error", 0, CGM_MODE_BTF, "inet_sk_error_report", NULL },
	{ "cgm_rcvq_full", "tcp", "rcvq_full", 0, CGM_MODE_BTF, "sock_rcvqueue_full", NULL },
	{ "cgm_sock_limit", "tcp", "sock_limit", 0, CGM_MODE_BTF, "sock_exceed_buf_limit", NULL },
	{ "cgm_udp_drop", "tcp", "udp_drop", 0, CGM_MODE_BTF, "udp_fail_queue_rcv_skb", NULL },
	{ "cgm_skb_drop", "tcp", "skb_drop", 0, CGM_MODE_BTF, "kfree_skb", drop_has_socket },
	{ "cgm_skb_drop_no", "tcp", "skb_drop", 1, CGM_MODE_BTF, "kfree_skb", drop_has_reason },
	{ "cgm_sock_look", "tcp", "sock_look", 0, CGM_MODE_ITER, "task_file", NULL },
	{ "cgm_tcp_arrive", "packet", "unread", 0, CGM_MODE_BTF, "tcp_probe", NULL },
	{ "cgm_tcp_read", "packet", "unread", 0, CGM_MODE_BTF, "tcp_rcv_space_adjust", NULL },
	{ "cgm_q_in", "packet", "qdisc", 0, CGM_MODE_BTF, "qdisc_enqueue", NULL },
	{ "cgm_q_out", "packet", "qdisc", 0, CGM_MODE_BTF, "qdisc_dequeue", NULL },
	{ "cgm_stat_fwalk", "stat", "stat", 0, CGM_MODE_ITER, "cgroup", cgm_stats_can_flush },
	{ "cgm_stat_walk", "stat", "stat", 1, CGM_MODE_ITER, "cgroup", NULL },
	{ "cgm_sys_enter", "syscall", "syscall", 0, CGM_MODE_BTF, "sys_enter", is_x86_64 },
	{ "cgm_sys_exit", "syscall", "syscall", 0, CGM_MODE_BTF, "sys_exit", NULL },
	{ "cgm_lock_in", "lock", "contention", 0, CGM_MODE_BTF, "contention_begin", NULL },
	{ "cgm_lock_out", "lock", "contention", 0, CGM_MODE_BTF, "contention_end", NULL },
	{ "cgm_mmap_in", "lock", "mmap_lock", 0, CGM_MODE_BTF, "mmap_lock_start_locking", NULL },
	{ "cgm_mmap_out", "lock", "mmap_lock", 0, CGM_MODE_BTF, "mmap_lock_acquire_returned", NULL },
	{ "cgm_futex_in", "lock", "futex", 0, CGM_MODE_BTF, "sys_enter", is_x86_64 },
	{ "cgm_futex_out", "lock", "futex", 0, CGM_MODE_BTF, "sys_exit", NULL },
	{ "cgm_irq_in", "irq", "device", 0, CGM_MODE_BTF, "irq_handler_entry", NULL },
	{ "cgm_irq_out", "irq", "device", 0, CGM_MODE_BTF, "irq_handler_exit", NULL },
	{ "cgm_tick_in", "irq", "tick", 0, CGM_MODE_BTF, "local_timer_entry", NULL },
	{ "cgm_tick_out", "irq", "tick", 0, CGM_MODE_BTF, "local_timer_exit", NULL },
	{ "cgm_soft_in", "irq", "soft", 0, CGM_MODE_BTF, "softirq_entry", NULL },
	{ "cgm_soft_out", "irq", "soft", 0, CGM_MODE_BTF, "softirq_exit", NULL },
	{ "cgm_cache_add", "page_cache", "add", 0, CGM_MODE_BTF, "mm_filemap_add_to_page_cache", NULL },
	{ "cgm_cache_get", "page_cache", "get", 0, CGM_MODE_BTF, "mm_filemap_get_pages", NULL },
	{ "cgm_cache_fault", "page_cache", "file_fault", 0, CGM_MODE_BTF, "mm_filemap_fault", NULL },
	{ "cgm_fault_user", "page_cache", "fault_user", 0, CGM_MODE_BTF, "page_fault_user", NULL },
	{ "cgm_fault_kern", "page_cache", "fault_kern", 0, CGM_MODE_BTF, "page_fault_kernel", NULL },
	{ "cgm_vfs_read_in", "filesystem", "read", 0, CGM_MODE_FEXIT, "vfs_read", NULL },
	{ "cgm_vfs_read_out", "filesystem", "read", 0, CGM_MODE_FEXIT, "vfs_read", NULL },
	{ "cgm_vfs_write_in", "filesystem", "write", 0, CGM_MODE_FEXIT, "vfs_write", NULL },
	{ "cgm_vfs_write_out", "filesystem", "write", 0, CGM_MODE_FEXIT, "vfs_write", NULL },
	{ "cgm_vfs_sync_in", "filesystem", "sync", 0, CGM_MODE_FEXIT, "vfs_fsync_range", NULL },
	{ "cgm_vfs_sync_out", "filesystem", "sync", 0, CGM_MODE_FEXIT, "vfs_fsync_range", NULL },
	{ "cgm_vfs_open_in", "filesystem", "open", 0, CGM_MODE_FEXIT, "vfs_open", NULL },
	{ "cgm_vfs_opened", "filesystem", "open", 0, CGM_MODE_FEXIT, "vfs_open", NULL },
	{ "cgm_lookup", "filesystem", "lookup", 0, CGM_MODE_FEXIT, "lookup_fast", NULL },
	{ "cgm_memcg_event", "page_cache", "memcg_event", 0, CGM_MODE_BTF, "count_memcg_events", NULL },
};
const size_t cgm_nr_program_defs = ARRAY_SIZE(cgm_program_defs);

const char *cgm_mode_name(enum cgm_mode m)
{
	static const char *const names[] = { "btf", "raw", "fexit", "iter", "fentry" };

	return names[m];
}

void cgm_choice_fail(struct cgm_choice *c, const char *fmt, ...)
{
	va_list ap;

	if (c->failed || c->off)
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
	case CGM_MODE_FENTRY:
		if (btf__find_by_name_kind(btf, d->hook, BTF_KIND_FUNC) < 0)
			cgm_choice_fail(c, "this kernel has no function %s to attach to", d->hook);
		else if (cgm_trampolines_refused(btf))
			cgm_choice_fail(c, "%s", cgm_trampolines_refused(btf));
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

const char *cgm_group_off(const struct cgm_kernel *k, const char *group)
{
	enum cgm_group g = cgm_group_of_programs(group);

	if (g == CGM_NR_GROUPS)
		return NULL;
	if (k->config.groups_off)
		return k->config.groups_off[g];
	return cgm_groups[g].def == CGM_GROUP_OFF ? "too dear to be on unasked" : NULL;
}

void cgm_programs_probe(struct cgm_kernel *k, const struct btf *kernel_btf)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		const struct cgm_program_def *d = &cgm_program_defs[i];
		const char *off = cgm_group_off(k, d->group);

		if (off) {
			k->choices[i].off = true;
			snprintf(k->choices[i].reason, sizeof(k->choices[i].reason), "the group %s is off: %s", cgm_groups[cgm_group_of_programs(d->group)].name, off);
			continue;
		}
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
		if (k->choices[i].failed || k->choices[i].off)
			return false;
	}
	return any;
}

bool cgm_program_is_used(const struct cgm_kernel *k, const char *name)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (strcmp(cgm_program_defs[i].name, name) == 0)
			return k->choices[i].used;
	return false;
}

void cgm_programs_choose(struct cgm_kernel *k)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		const struct cgm_program_def *d = &cgm_program_defs[i];

		k->choices[i].used = rank_works(k, d->unit, d->rank) && (d->rank == 0 || !rank_works(k, d->unit, 0));
	}
}
