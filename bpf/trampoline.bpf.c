// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What no tracepoint tells, by trampolines at functions (fentry, fexit), where the kernel allows them: how long a cgroup without quota left stood
 * still, how long operations on files took by kind of file system, and whether names were found in the cache of directory entries.
 */
#include "count.bpf.h"

/*
 * A CPU's part of a cgroup goes on. The kernel stamped throttled_clock when it stopped (throttle_cfs_rq()); in between it brings the run queue's clock
 * up to date, and later kernels forget the stamp, so one is read before and the other behind. With the run queue's lock held: nothing comes in between
 * on this CPU. Only where tasks are counted by the cgroups of the cpu controller: another hierarchy does not know them.
 */
SEC("?fentry/unthrottle_cfs_rq")
int BPF_PROG(cgm_unthrottle, struct cfs_rq *cfs_rq)
{
	struct began_key key = { .pid = (__u32)bpf_get_current_pid_tgid(), .wait = CGM_W_THROTTLED };
	__u64 began = cfs_rq->throttled_clock;

	if (began && (cfg.task_controller == CGM_TASK_CPU || cfg.task_controller == CGM_TASK_V2) &&
	    bpf_map_update_elem(&cgm_began, &key, &began, BPF_ANY))
		drop(CGM_DROP_NO_TASK);
	return 0;
}

SEC("?fexit/unthrottle_cfs_rq")
int BPF_PROG(cgm_unthrottled, struct cfs_rq *cfs_rq)
{
	struct began_key key = { .pid = (__u32)bpf_get_current_pid_tgid(), .wait = CGM_W_THROTTLED };
	__u64 *began = bpf_map_lookup_elem(&cgm_began, &key), ns;
	struct cgroup *cg = cfs_rq->tg->css.cgroup;

	if (!began)
		return 0;
	ns = since(cfs_rq->rq->clock, *began);
	bpf_map_delete_elem(&cgm_began, &key);
	if (cg)
		wait_slot(slot_of_cgroup(false, cg, cg->kn->id, cfg.sched_hierarchy), CGM_W_THROTTLED, ns);
	return 0;
}

/* ---- operations on files ---- */

/* include/uapi/linux/magic.h */
#define EXT4_SUPER_MAGIC 0xEF53
#define XFS_SUPER_MAGIC 0x58465342
#define BTRFS_SUPER_MAGIC 0x9123683E
#define NFS_SUPER_MAGIC 0x6969
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994

/* In the order of the waits of each operation. */
static __always_inline __u32 fs_kind(unsigned long magic)
{
	switch (magic) {
	case EXT4_SUPER_MAGIC:
		return 0;
	case XFS_SUPER_MAGIC:
		return 1;
	case BTRFS_SUPER_MAGIC:
		return 2;
	case NFS_SUPER_MAGIC:
		return 3;
	case OVERLAYFS_SUPER_MAGIC:
		return 4;
	case TMPFS_MAGIC:
		return 5;
	default:
		return 6;
	}
}

static __always_inline bool is_regular(const struct inode *inode)
{
	return (inode->i_mode & 0170000) == 0100000;
}

/* The wait of an operation on a file; CGM_NR_WAITS for a pipe, a socket or a device, whose times are no file system's. */
static __always_inline __u32 wait_of_file(struct file *file, __u32 first)
{
	struct inode *inode = file->f_inode;

	return inode && is_regular(inode) ? first + fs_kind(inode->i_sb->s_magic) : CGM_NR_WAITS;
}

static __always_inline int file_in(struct file *file, __u32 first)
{
	__u32 wait = wait_of_file(file, first);

	if (wait < CGM_NR_WAITS)
		wait_begin(wait);
	return 0;
}

static __always_inline int file_out(struct file *file, __u32 first)
{
	__u32 wait = wait_of_file(file, first);

	if (wait < CGM_NR_WAITS)
		wait_end(wait);
	return 0;
}

#define FILE_PAIR(name, function, first)                           \
	SEC("?fentry/" #function)                                   \
	int BPF_PROG(cgm_##name##_in, struct file *file)            \
	{                                                           \
		return file_in(file, first);                        \
	}                                                           \
	SEC("?fexit/" #function)                                    \
	int BPF_PROG(cgm_##name##_out, struct file *file)           \
	{                                                           \
		return file_out(file, first);                       \
	}

FILE_PAIR(vfs_read, vfs_read, CGM_W_FS_READ_EXT4)
FILE_PAIR(vfs_write, vfs_write, CGM_W_FS_WRITE_EXT4)
FILE_PAIR(vfs_sync, vfs_fsync_range, CGM_W_FS_SYNC_EXT4)

/* The file knows its inode only afterwards: the place in the tree does before, and both times. */
static __always_inline __u32 wait_of_path(const struct path *path)
{
	struct inode *inode = path->dentry->d_inode;

	return inode && is_regular(inode) ? CGM_W_FS_OPEN_EXT4 + fs_kind(inode->i_sb->s_magic) : CGM_NR_WAITS;
}

SEC("?fentry/vfs_open")
int BPF_PROG(cgm_vfs_open_in, const struct path *path)
{
	__u32 wait = wait_of_path(path);

	if (wait < CGM_NR_WAITS)
		wait_begin(wait);
	return 0;
}

SEC("?fexit/vfs_open")
int BPF_PROG(cgm_vfs_opened, const struct path *path)
{
	__u32 wait = wait_of_path(path);

	if (wait < CGM_NR_WAITS)
		wait_end(wait);
	return 0;
}

/* One name of a path on its way: NULL when it was not in the cache, so that the file system has to be asked. Its arguments differ by version. */
SEC("?fexit/lookup_fast")
int cgm_lookup(void *ctx)
{
	__u64 ret = 1;
	__u32 slot = current_slot();

	if (bpf_get_func_ret(ctx, &ret))
		return 0;
	count_slot(slot, ret ? CGM_C_NAMES_FOUND : CGM_C_NAMES_MISSED, 1);
	return 0;
}
