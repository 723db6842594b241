// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Waiting for memory: reclaim, compaction and throttling of the task that needs a page; huge pages; flushes of the TLB. All of it is counted for the task that waits or is hit, not for the owner of the pages.
 */
#include "count.bpf.h"

SEC("?tp_btf/mm_vmscan_direct_reclaim_begin")
int cgm_reclaim_in(void *ctx)
{
	(void)ctx;
	wait_begin(CGM_W_RECLAIM_DIRECT);
	return 0;
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(cgm_reclaim_out, unsigned long nr_reclaimed)
{
	wait_end(CGM_W_RECLAIM_DIRECT);
	count_slot(current_slot(), CGM_C_RECLAIMED_DIRECT, nr_reclaimed);
	return 0;
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_begin")
int cgm_limit_in(void *ctx)
{
	(void)ctx;
	wait_begin(CGM_W_RECLAIM_LIMIT);
	return 0;
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(cgm_limit_out, unsigned long nr_reclaimed)
{
	wait_end(CGM_W_RECLAIM_LIMIT);
	count_slot(current_slot(), CGM_C_RECLAIMED_LIMIT, nr_reclaimed);
	return 0;
}

static __always_inline bool is_kthread(void)
{
	return bpf_get_current_task_btf()->flags & PF_KTHREAD;
}

/* One zone at a time. kcompactd does it in the background: nobody waits. */
SEC("?tp_btf/mm_compaction_begin")
int cgm_compact_in(void *ctx)
{
	(void)ctx;
	if (!is_kthread())
		wait_begin(CGM_W_COMPACTION);
	return 0;
}

SEC("?tp_btf/mm_compaction_end")
int cgm_compact_out(void *ctx)
{
	(void)ctx;
	if (!is_kthread())
		wait_end(CGM_W_COMPACTION);
	return 0;
}

/* At the end of the pause; reason is enum vmscan_throttle_state. */
SEC("?tp_btf/mm_vmscan_throttled")
int BPF_PROG(cgm_throttled, int nid, int usec_timeout, int usec_delayed, int reason)
{
	__u64 ns = usec_delayed > 0 ? usec_delayed * 1000ULL : 0;
	__u32 slot;

	if (is_kthread())
		return 0;
	slot = current_slot();
	if (reason == bpf_core_enum_value(enum vmscan_throttle_state, VMSCAN_THROTTLE_WRITEBACK))
		wait_slot(slot, CGM_W_THROTTLE_WRITEBACK, ns);
	else if (reason == bpf_core_enum_value(enum vmscan_throttle_state, VMSCAN_THROTTLE_NOPROGRESS))
		wait_slot(slot, CGM_W_THROTTLE_NOPROGRESS, ns);
	else
		wait_slot(slot, CGM_W_THROTTLE_OTHER, ns);
	return 0;
}

/* khugepaged works for the owner of the address space, madvise(MADV_COLLAPSE) for itself; both are that owner. */
SEC("?tp_btf/mm_collapse_huge_page")
int BPF_PROG(cgm_collapse, struct mm_struct *mm, int isolated, int status)
{
	struct task_struct *owner = mm ? mm->owner : NULL;

	if (!owner)
		return 0;
	if (status == bpf_core_enum_value(enum scan_result, SCAN_SUCCEED))
		count_slot(slot_of_task(owner), CGM_C_COLLAPSE_OK, 1);
	else
		count_slot(slot_of_task(owner), CGM_C_COLLAPSE_FAILED, 1);
	return 0;
}

/* reason is enum tlb_flush_reason; ours are in its order, newer ones go to the last. */
SEC("?tp_btf/tlb_flush")
int BPF_PROG(cgm_tlb, int reason)
{
	__u32 id = CGM_C_TLB_SWITCH + (__u32)reason;

	count_running(id > CGM_C_TLB_OTHER ? CGM_C_TLB_OTHER : id, 1);
	return 0;
}
