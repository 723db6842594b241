// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The yardstick of bench-kernel: programs that do nothing, at the hooks of ours. What they cost is the kernel's way to any program and the clock of its statistics. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define EMPTY(name, hook)           \
	SEC("?tp_btf/" #hook)       \
	int name(void *ctx)         \
	{                           \
		(void)ctx;          \
		return 0;           \
	}

EMPTY(sched_switch, sched_switch)
EMPTY(sched_wakeup, sched_wakeup)
EMPTY(task_newtask, task_newtask)
EMPTY(cgroup_mkdir, cgroup_mkdir)
EMPTY(cgroup_rmdir, cgroup_rmdir)
EMPTY(blk_issue, block_rq_issue)
EMPTY(blk_complete, block_rq_complete)
EMPTY(blk_requeue, block_rq_requeue)
EMPTY(sock_send, sock_send_length)
EMPTY(sock_recv, sock_recv_length)
EMPTY(tcp_state, inet_sock_set_state)
EMPTY(tcp_resent, tcp_retransmit_skb)
EMPTY(tcp_loss, tcp_cong_state_set)
EMPTY(tcp_reset, tcp_send_reset)
EMPTY(sk_error, inet_sk_error_report)
EMPTY(udp_drop, udp_fail_queue_rcv_skb)
EMPTY(skb_drop, kfree_skb)
EMPTY(tcp_arrive, tcp_probe)
EMPTY(tcp_read, tcp_rcv_space_adjust)
EMPTY(qdisc_in, qdisc_enqueue)
EMPTY(qdisc_out, qdisc_dequeue)
EMPTY(fork_, sched_process_fork)
EMPTY(exec_, sched_process_exec)
EMPTY(exit_, sched_process_exit)
EMPTY(signal_sent, signal_generate)
EMPTY(signal_got, signal_deliver)
EMPTY(uring, io_uring_complete)
EMPTY(compact_in, mm_compaction_begin)
EMPTY(compact_out, mm_compaction_end)
EMPTY(collapse, mm_collapse_huge_page)
EMPTY(tlb, tlb_flush)
EMPTY(dirty_wait, balance_dirty_pages)
EMPTY(wb_wait, folio_wait_writeback)
EMPTY(ext4_sync, ext4_sync_file_enter)
EMPTY(ext4_synced, ext4_sync_file_exit)
EMPTY(syscall_in, sys_enter)
EMPTY(syscall_out, sys_exit)
EMPTY(lock_in, contention_begin)
EMPTY(lock_out, contention_end)
EMPTY(mmap_in, mmap_lock_start_locking)
EMPTY(mmap_out, mmap_lock_acquire_returned)
EMPTY(irq_in, irq_handler_entry)
EMPTY(irq_out, irq_handler_exit)
EMPTY(tick_in, local_timer_entry)
EMPTY(tick_out, local_timer_exit)
EMPTY(soft_in, softirq_entry)
EMPTY(soft_out, softirq_exit)
EMPTY(cache_add, mm_filemap_add_to_page_cache)
EMPTY(cache_get, mm_filemap_get_pages)
EMPTY(cache_fault, mm_filemap_fault)
EMPTY(fault_user, page_fault_user)
EMPTY(fault_kernel, page_fault_kernel)
EMPTY(memcg_event, count_memcg_events)

char LICENSE[] SEC("license") = "GPL";
