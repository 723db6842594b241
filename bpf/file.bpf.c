// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Waiting for files to reach the disk: pauses of who dirties pages too fast, fsync, pages under writeback. */
#include "count.bpf.h"

/* Ahead of the pause, in ticks; not positive: none. */
static __always_inline int dirty_pause(long ticks)
{
	if (ticks > 0)
		wait_slot(current_slot(), CGM_W_DIRTY_PAUSE, (__u64)ticks * cfg.tick_ns);
	return 0;
}

SEC("?tp_btf/balance_dirty_pages")
int BPF_PROG(cgm_dirty_wait, void *wb, void *dtc, unsigned long dirty_rate, unsigned long task_rate, unsigned long dirtied, unsigned long period,
	     long pause)
{
	return dirty_pause(pause);
}

/* The same tracepoint before its numbers came in one struct. */
SEC("?tp_btf/balance_dirty_pages")
int cgm_dirty_wait2(unsigned long long *ctx)
{
	return dirty_pause(ctx[10]);
}

/* Once for each time that a task goes to sleep until a page is written; for how long is in off-CPU time. */
SEC("?tp_btf/folio_wait_writeback")
int cgm_wb_wait(void *ctx)
{
	(void)ctx;
	count_running(CGM_C_WRITEBACK_WAITS, 1);
	return 0;
}

SEC("?tp_btf/ext4_sync_file_enter")
int cgm_ext4_sync(void *ctx)
{
	(void)ctx;
	wait_begin(CGM_W_FSYNC_EXT4);
	return 0;
}

SEC("?tp_btf/ext4_sync_file_exit")
int cgm_ext4_synced(void *ctx)
{
	(void)ctx;
	wait_end(CGM_W_FSYNC_EXT4);
	return 0;
}
