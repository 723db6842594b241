// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Files in memory, and faults: what is looked up, what had to be brought in, page faults by kind; and events of the memory controller that
 * only newer kernels trace. Costly, because each fault comes here.
 */
#include "count.bpf.h"

SEC("?tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(cgm_cache_add, struct folio *folio)
{
	count_slot(current_slot(), CGM_C_CACHE_ADDED, folio_pages(folio));
	return 0;
}

SEC("?tp_btf/mm_filemap_get_pages")
int cgm_cache_get(void *ctx)
{
	(void)ctx;
	count_slot(current_slot(), CGM_C_CACHE_READS, 1);
	return 0;
}

SEC("?tp_btf/mm_filemap_fault")
int cgm_cache_fault(void *ctx)
{
	(void)ctx;
	count_slot(current_slot(), CGM_C_CACHE_FAULTS, 1);
	return 0;
}

/* Bits of the error code, arch/x86/include/asm/trap_pf.h */
#define X86_PF_PROT 1
#define X86_PF_WRITE 2
#define X86_PF_INSTR 16

SEC("?tp_btf/page_fault_user")
int BPF_PROG(cgm_fault_user, unsigned long address, struct pt_regs *regs, unsigned long code)
{
	__u32 slot = current_slot();

	if (code & X86_PF_PROT)
		count_slot(slot, CGM_C_FAULT_PROTECTED, 1);
	else if (code & X86_PF_INSTR)
		count_slot(slot, CGM_C_FAULT_EXEC, 1);
	else if (code & X86_PF_WRITE)
		count_slot(slot, CGM_C_FAULT_WRITE, 1);
	else
		count_slot(slot, CGM_C_FAULT_READ, 1);
	return 0;
}

/* The kernel touches the memory of the task it works for. */
SEC("?tp_btf/page_fault_kernel")
int cgm_fault_kern(void *ctx)
{
	(void)ctx;
	count_running(CGM_C_FAULT_KERNEL, 1);
	return 0;
}

/* On v2 for the owner of the memory; on v1 its hierarchy is not the one we count by, and it is the task that runs. */
static __always_inline __u32 slot_of_memcg(struct mem_cgroup *memcg)
{
	struct cgroup *cg = memcg->css.cgroup;

	if (cfg.task_controller != CGM_TASK_V2)
		return current_slot();
	return cg ? slot_of_cgroup(false, cg, cg->kn->id, cfg.sched_hierarchy) : CGM_SLOT_OVERFLOW;
}

SEC("?tp_btf/count_memcg_events")
int BPF_PROG(cgm_memcg_event, struct mem_cgroup *memcg, int item, unsigned long nr)
{
	enum cgm_count id;

	if (bpf_core_enum_value_exists(enum vm_event_item, PSWPIN) && item == bpf_core_enum_value(enum vm_event_item, PSWPIN))
		id = CGM_C_SWAP_IN;
	else if (bpf_core_enum_value_exists(enum vm_event_item, PSWPOUT) && item == bpf_core_enum_value(enum vm_event_item, PSWPOUT))
		id = CGM_C_SWAP_OUT;
	else if (bpf_core_enum_value_exists(enum vm_event_item, THP_FAULT_ALLOC) &&
		 item == bpf_core_enum_value(enum vm_event_item, THP_FAULT_ALLOC))
		id = CGM_C_HUGE_FAULTS;
	else
		return 0;
	count_slot(slot_of_memcg(memcg), id, nr);
	return 0;
}
