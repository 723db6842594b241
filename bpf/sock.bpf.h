/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The owner of a socket, and what we remember of it. On v2 the owner is the cgroup that the kernel itself keeps (sk_cgrp_data); on v1 and
 * hybrid the cgroup of the task that last sent, received or connected, kept in the socket's storage for the events that come without a task.
 */
#ifndef CGM_SOCK_BPF_H
#define CGM_SOCK_BPF_H

#include "count.bpf.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LISTEN 10
#define TCP_CLOSING 11
#define TCP_NEW_SYN_RECV 12

enum sock_phase { SOCK_OTHER, SOCK_CONNECTING, SOCK_ESTABLISHED, SOCK_LISTENING };

struct sock_mark {
	__u64 cgroup_id; /* of the owner, where the kernel keeps none that we count by; 0: not known yet */
	__u32 slot;
	__u32 walk; /* number of the walk that has counted it */
	__u64 since_ns; /* when it came into its phase */
	__u64 unread_ns; /* arrival of the oldest data that nobody has read; 0: none */
	__u32 drops; /* of a listening socket: those that are counted already */
	__u32 phase; /* enum sock_phase */
};

/* An accepted socket inherits the listener's until somebody uses it. Freed with the socket. Cannot be made: CGM_DROP_SOCK counts. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct sock_mark);
} cgm_sock_marks SEC(".maps");

static __always_inline bool owner_is_v2(void)
{
	return cfg.task_controller == CGM_TASK_V2 && bpf_core_field_exists(((struct sock *)0)->sk_cgrp_data.cgroup);
}

static __always_inline __u32 root_slot(void)
{
	struct cgm_cgroup_key root = { .id = 1, .hierarchy = cfg.sock_hierarchy };
	__u32 *slot = bpf_map_lookup_elem(&cgm_slot_of, &root);

	return slot ? *slot : CGM_SLOT_OVERFLOW;
}

static __always_inline __u32 v2_slot(const struct sock *sk)
{
	struct cgroup *cg = sk->sk_cgrp_data.cgroup;

	return cg ? slot_of_cgroup(false, cg, cg->kn->id, cfg.sock_hierarchy) : root_slot();
}

static __always_inline struct sock_mark *mark_of(const struct sock *sk)
{
	return bpf_sk_storage_get(&cgm_sock_marks, (void *)sk, 0, 0);
}

/* NULL only when there is no memory for it. */
static __always_inline struct sock_mark *make_mark(const struct sock *sk)
{
	struct sock_mark *m = bpf_sk_storage_get(&cgm_sock_marks, (void *)sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!m)
		drop(CGM_DROP_SOCK);
	return m;
}

static __always_inline bool mark_names_owner(const struct sock_mark *m)
{
	return m && m->cgroup_id && slot_is(m->slot, m->cgroup_id, cfg.sock_hierarchy);
}

static __always_inline void set_owner(struct sock_mark *m, __u32 slot)
{
	m->cgroup_id = slot_cgroup(slot);
	m->slot = slot;
}

/* The slot of a socket that the current task works with. */
static __always_inline __u32 slot_of_call(struct sock *sk)
{
	struct sock_mark *m;
	__u32 slot;

	if (owner_is_v2())
		return v2_slot(sk);
	slot = current_slot();
	m = make_mark(sk);
	if (m && (m->slot != slot || !mark_names_owner(m)))
		set_owner(m, slot);
	return slot;
}

/* The slot of a socket in an event that may come without its task. */
static __always_inline __u32 slot_of_sock(const struct sock *sk)
{
	struct sock_mark *m;

	if (owner_is_v2())
		return v2_slot(sk);
	m = mark_of(sk);
	return mark_names_owner(m) ? m->slot : root_slot();
}

/* The same for one that may be missing (a packet for a closed port), or only the remains or the beginning of a connection: the machine's. */
static __always_inline __u32 slot_of_any(const struct sock *sk)
{
	__u8 state;

	if (!sk)
		return root_slot();
	state = sk->__sk_common.skc_state;
	return state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV ? root_slot() : slot_of_sock(sk);
}

/* Of a packet that is sent again, as TCP_MIB_RETRANSSEGS counts: segments, not calls. */
static __always_inline __u16 segments_of(const struct sk_buff *skb)
{
	__u16 segments = ((struct tcp_skb_cb *)&skb->cb[0])->tcp_gso_segs;

	return segments ? segments : 1;
}

/* err of tcp_retransmit_skb: below 0 nothing was sent; above, our own queue dropped it, which the kernel counts as sent. */
static __always_inline bool was_resent(int err)
{
	return err >= 0;
}

#endif
