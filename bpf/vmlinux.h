/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The few kernel types that we touch, with only the fields that we read. Offsets do not matter: CO-RE relocates every access
 * against the running kernel, so a build needs neither that kernel nor its BTF. A field that some kernels lack is read behind
 * bpf_core_field_exists() (see compat.bpf.h).
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef short int __s16;
typedef short unsigned int __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long int __s64;
typedef long long unsigned int __u64;
typedef __u8 u8;
typedef __s16 s16;
typedef __u16 u16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };
#define NULL ((void *)0)

/* include/uapi/linux/bpf.h, which cannot be included beside the types above */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_STACK = 23,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_CLONE = 512, BPF_F_MMAPABLE = 1024 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	u64 id;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	unsigned int flags;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

enum cgroup_subsys_id {
	cpu_cgrp_id = 1,
	cpuacct_cgrp_id = 2,
	io_cgrp_id = 3,
	memory_cgrp_id = 4,
	pids_cgrp_id = 10,
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

struct sched_info {
	u64 last_arrival;
	u64 last_queued;
};

struct rq {
	u64 clock;
};

struct task_group {
	struct cgroup_subsys_state css;
};

struct cfs_rq {
	struct rq *rq;
	struct task_group *tg;
	u64 throttled_clock; /* CONFIG_CFS_BANDWIDTH */
};

struct sched_entity {
	u64 nr_migrations;
	struct cfs_rq *cfs_rq;
};

enum vmscan_throttle_state {
	VMSCAN_THROTTLE_WRITEBACK = 0,
	VMSCAN_THROTTLE_NOPROGRESS = 2,
};

enum scan_result { SCAN_SUCCEED = 1 };

struct percpu_counter {
	s64 count;
};

struct mm_struct {
	struct task_struct *owner; /* CONFIG_MEMCG */
	struct percpu_counter rss_stat[4];
};

/* Before 6.2 (f1a7941243c1). */
struct mm_rss_stat {
	struct atomic64 {
		s64 counter;
	} count[4];
};

struct mm_struct___before_6_2 {
	struct mm_rss_stat rss_stat;
};

/* CONFIG_TASK_DELAY_ACCT; irq_delay since 6.4 (a3b2aeac9d15). */
struct task_delay_info {
	u64 blkio_delay;
	u64 swapin_delay;
	u64 freepages_delay;
	u64 thrashing_delay;
	u64 compact_delay;
	u64 wpcopy_delay;
	u64 irq_delay;
};

struct pt_regs {
	unsigned long si;
	unsigned long orig_ax;
};

struct thread_info {
	u32 status; /* x86: TS_COMPAT */
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
};

enum oom_constraint { CONSTRAINT_NONE, CONSTRAINT_CPUSET, CONSTRAINT_MEMORY_POLICY, CONSTRAINT_MEMCG };

struct oom_control {
	struct mem_cgroup *memcg;
	enum oom_constraint constraint;
};

enum vm_event_item {
	PSWPIN = 2,
	PSWPOUT = 3,
	THP_FAULT_ALLOC = 81,
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	unsigned int flags;
	int exit_state;
	int exit_code;
	int pid;
	int tgid;
	unsigned long nvcsw, nivcsw;
	char comm[16];
	struct mm_struct *mm;
	struct task_delay_info *delays;
	unsigned int in_iowait : 1;
	struct sched_entity se;
	struct sched_info sched_info;
	struct css_set *cgroups;
};

struct blkcg {
	struct cgroup_subsys_state css;
};

struct blkcg_gq {
	struct blkcg *blkcg;
};

struct gendisk {
	int major;
	int first_minor;
};

struct block_device {
	struct gendisk *bd_disk;
};

struct bio {
	struct block_device *bi_bdev;
	unsigned int bi_opf;
	struct blkcg_gq *bi_blkg;
};

/* Before 5.12 (309dca309fc3). */
struct bio___before_5_12 {
	struct gendisk *bi_disk;
};

struct request_queue {
	struct gendisk *disk;
};

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	struct bio *bio;
	u64 start_time_ns;
};

/* Before 5.17 (f3fa33acca9f) the disk hung on the request. */
struct request___before_5_17 {
	struct gendisk *rq_disk;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
	struct block_device *s_bdev;
};

struct inode {
	u16 i_mode;
	u32 i_rdev;
	struct super_block *i_sb;
};

struct dentry {
	struct inode *d_inode;
};

struct path {
	struct dentry *dentry;
};

struct counter32 {
	int counter;
};

struct counter64 {
	s64 counter;
};

struct file {
	struct inode *f_inode;
	struct { /* since 6.13 (90ee6ed776c0); 0 is one reference */
		struct counter64 refcnt;
	} f_ref;
};

struct address_space {
	struct inode *host;
};

enum pageflags { PG_head = 6 };

struct page {
	unsigned long flags;
};

struct folio {
	unsigned long flags;
	unsigned int _nr_pages;
};

/* Flags are a structure of their own since 6.18 (53fbef56e07d). */
struct folio___memdesc {
	struct {
		unsigned long f;
	} flags;
};

/* Before 6.15 (4996fc547f5b). */
struct folio___before_6_15 {
	unsigned int _folio_nr_pages;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned long skc_flags;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

enum sock_flags { SOCK_DEAD, SOCK_DONE };

struct sock {
	struct sock_common __sk_common;
	struct counter32 sk_drops;
	u16 sk_type;
	u16 sk_protocol;
	u8 sk_shutdown;
	int sk_err;
	u32 sk_ack_backlog;
	u32 sk_max_ack_backlog;
	struct sock_cgroup_data sk_cgrp_data;
};

struct socket {
	struct sock *sk;
};

struct request_sock;

struct inet_connection_sock {
	u8 icsk_ca_state : 5;
	u8 icsk_pending;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 snd_wnd, rcv_wnd;
	u32 write_seq, snd_nxt, rcv_nxt;
	u32 srtt_us, mdev_us;
	u64 delivered_mstamp;
	u64 bytes_received, bytes_sent, bytes_retrans; /* 4.19 (ba113c3aa79a, fb31c9b9f6c8) */
};

struct msghdr;

struct sk_buff {
	struct sk_buff *next;
	struct sock *sk;
	char cb[48];
	unsigned int len;
	unsigned char *head;
};

struct tcp_skb_cb {
	u32 seq;
	u32 end_seq;
	union {
		struct {
			u16 tcp_gso_segs;
			u16 tcp_gso_size;
		};
	};
	u8 tcp_flags; /* u16 since 6.18 */
};

struct Qdisc;
struct netdev_queue;

/* Since 6.10 (5cb0254e6ce1 and what follows it). */
enum sk_rst_reason {
	SK_RST_REASON_NO_SOCKET = 1,
	SK_RST_REASON_TCP_INVALID_ACK_SEQUENCE = 2,
	SK_RST_REASON_TCP_RFC7323_PAWS = 3,
	SK_RST_REASON_TCP_TOO_OLD_ACK = 4,
	SK_RST_REASON_TCP_ACK_UNSENT_DATA = 5,
	SK_RST_REASON_TCP_FLAGS = 6,
	SK_RST_REASON_TCP_OLD_ACK = 7,
	SK_RST_REASON_TCP_ABORT_ON_DATA = 8,
	SK_RST_REASON_TCP_TIMEWAIT_SOCKET = 9,
	SK_RST_REASON_INVALID_SYN = 10,
	SK_RST_REASON_TCP_ABORT_ON_CLOSE = 11,
	SK_RST_REASON_TCP_ABORT_ON_LINGER = 12,
	SK_RST_REASON_TCP_ABORT_ON_MEMORY = 13,
	SK_RST_REASON_TCP_STATE = 14,
	SK_RST_REASON_TCP_KEEPALIVE_TIMEOUT = 15,
	SK_RST_REASON_TCP_DISCONNECT_WITH_DATA = 16,
};

struct file___before_6_13 {
	struct counter64 f_count;
};

struct io_uring_cqe {
	s32 res;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct file *file;
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#pragma clang attribute pop

#endif
