// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Open files by kind: one walk of the iterator over all tasks' descriptors each few seconds. Threads that share a table are passed over by it. */
#include "count.bpf.h"

/* Key: slot. Made anew by each walk, as cgm_tasks. Written by the iterator alone; mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgm_open_files);
} cgm_open_files SEC(".maps");

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

static __always_inline __u32 file_kind(const struct inode *inode)
{
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return CGM_FILE_REGULAR;
	case S_IFBLK:
	case S_IFCHR:
		return CGM_FILE_DEVICE;
	case S_IFSOCK:
		return CGM_FILE_SOCKET;
	case S_IFIFO:
		return CGM_FILE_PIPE;
	default:
		return CGM_FILE_ANONYMOUS;
	}
}

SEC("?iter/task_file")
int cgm_file_walk(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	__u32 files_walk = CGM_WALK_FILES, slot, kind;
	struct cgm_open_files *row;
	__u64 *walk;

	if (!task || !file || !file->f_inode)
		return 0;
	walk = bpf_map_lookup_elem(&cgm_walk, &files_walk);
	slot = slot_of_task(task);
	row = bpf_map_lookup_elem(&cgm_open_files, &slot);
	if (!walk || !row)
		return 0;
	if (row->generation != *walk) {
		row->generation = *walk;
		__builtin_memset(row->nr, 0, sizeof(row->nr));
	}
	kind = file_kind(file->f_inode);
	if (kind < CGM_NR_FILE_KINDS)
		row->nr[kind]++;
	return 0;
}
