// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Socket traffic by cgroup: payload bytes and calls as the send and receive calls return them, so traffic of containers on the host's
 * network is theirs too; TCP retransmissions, connects, accepts, resets. The owner of a socket: on v2 the cgroup that the kernel itself
 * keeps for it (sk_cgrp_data); on v1 and hybrid the cgroup of the task that last sent, received or connected, kept in the socket's
 * storage for the events that come without a task. Any context, so all adds are atomic.
 */
#include "slot.bpf.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define MSG_PEEK 2
#define EAGAIN 11

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

/* As cgm_sched. */
CGM_ROWS_MAP(cgm_net, struct cgm_net);

struct sock_mark {
	__u64 cgroup_id;
	__u32 slot;
	__u32 pad;
};

/*
 * Owner of a socket where the kernel keeps none that we count by. An accepted socket inherits the listener's until somebody uses it.
 * Freed with the socket. Cannot be made: CGM_DROP_SOCK counts.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct sock_mark);
} cgm_sock_marks SEC(".maps");

static __always_inline struct cgm_net *net_row(__u32 slot)
{
	return row_of(&cgm_net, slot);
}

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

/* The row of a socket that the current task works with. */
static __always_inline struct cgm_net *row_of_call(struct sock *sk)
{
	struct task_struct *task;
	struct sock_mark *s;
	__u32 slot;

	if (owner_is_v2())
		return net_row(v2_slot(sk));
	task = bpf_get_current_task_btf();
	slot = slot_of_task(task);
	s = bpf_sk_storage_get(&cgm_sock_marks, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		drop(CGM_DROP_SOCK);
	} else if (s->slot != slot || !slot_is(slot, s->cgroup_id, cfg.sock_hierarchy)) {
		s->cgroup_id = slot_cgroup(slot);
		s->slot = slot;
	}
	return net_row(slot);
}

/* The row of a socket in an event that may come without its task. */
static __always_inline struct cgm_net *row_of_sock(const struct sock *sk)
{
	struct sock_mark *s;

	if (owner_is_v2())
		return net_row(v2_slot(sk));
	s = bpf_sk_storage_get(&cgm_sock_marks, (void *)sk, 0, 0);
	if (s && slot_is(s->slot, s->cgroup_id, cfg.sock_hierarchy))
		return net_row(s->slot);
	return net_row(root_slot());
}

static __always_inline __u32 proto_of(struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	if (family == AF_UNIX)
		return CGM_PROTO_UNIX;
	if (family != AF_INET && family != AF_INET6)
		return CGM_PROTO_OTHER;
	switch (sk->sk_protocol) {
	case IPPROTO_TCP:
	case IPPROTO_MPTCP:
		return CGM_PROTO_TCP;
	case IPPROTO_UDP:
		return CGM_PROTO_UDP;
	default:
		return CGM_PROTO_OTHER;
	}
}

static __always_inline int sent(struct sock *sk, int ret)
{
	struct cgm_net *row;
	__u32 proto;

	if (!sk || ret == -EAGAIN)
		return 0;
	row = row_of_call(sk);
	proto = proto_of(sk);
	if (!row || proto >= CGM_NR_PROTOS)
		return 0;
	if (ret < 0) {
		add_atomic(&row->proto[proto].tx_errors, 1);
		return 0;
	}
	add_atomic(&row->proto[proto].tx_calls, 1);
	add_atomic(&row->proto[proto].tx_bytes, ret);
	return 0;
}

static __always_inline int received(struct sock *sk, int ret, int flags)
{
	struct cgm_net *row;
	__u32 proto;

	if (!sk || ret == -EAGAIN || (flags & MSG_PEEK))
		return 0;
	row = row_of_call(sk);
	proto = proto_of(sk);
	if (!row || proto >= CGM_NR_PROTOS)
		return 0;
	if (ret < 0) {
		add_atomic(&row->proto[proto].rx_errors, 1);
		return 0;
	}
	add_atomic(&row->proto[proto].rx_calls, 1);
	add_atomic(&row->proto[proto].rx_bytes, ret);
	return 0;
}

SEC("?tp_btf/sock_send_length")
int BPF_PROG(cgm_sock_send, struct sock *sk, int ret, int flags)
{
	return sent(sk, ret);
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(cgm_sock_recv, struct sock *sk, int ret, int flags)
{
	return received(sk, ret, flags);
}

/*
 * Before 6.3 (6e6eda44b939) there were no such tracepoints; where the kernel allows fexit, the protocols' own send and receive functions
 * (sock_sendmsg() itself is inlined into its callers). Other families than these are not counted then.
 */
#define SEND_EXIT(name, function)                                                                   \
	SEC("?fexit/" #function)                                                                    \
	int BPF_PROG(name, struct socket *sock, struct msghdr *msg, unsigned long size, int ret)    \
	{                                                                                           \
		return sent(sock->sk, ret);                                                         \
	}
#define RECV_EXIT(name, function)                                                                           \
	SEC("?fexit/" #function)                                                                            \
	int BPF_PROG(name, struct socket *sock, struct msghdr *msg, unsigned long size, int flags, int ret) \
	{                                                                                                   \
		return received(sock->sk, ret, flags);                                                      \
	}

SEND_EXIT(cgm_fx_send4, inet_sendmsg)
SEND_EXIT(cgm_fx_send6, inet6_sendmsg)
SEND_EXIT(cgm_fx_send_us, unix_stream_sendmsg)
SEND_EXIT(cgm_fx_send_ud, unix_dgram_sendmsg)
RECV_EXIT(cgm_fx_recv4, inet_recvmsg)
RECV_EXIT(cgm_fx_recv6, inet6_recvmsg)
RECV_EXIT(cgm_fx_recv_us, unix_stream_recvmsg)
RECV_EXIT(cgm_fx_recv_ud, unix_dgram_recvmsg)

SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(cgm_tcp_retrans, const struct sock *sk, const struct sk_buff *skb)
{
	struct cgm_net *row = row_of_sock(sk);
	__u16 segments = ((struct tcp_skb_cb *)&skb->cb[0])->tcp_gso_segs;

	if (row) /* as TCP_MIB_RETRANSSEGS: segments, not calls */
		add_atomic(&row->tcp_retransmitted_segments, segments ? segments : 1);
	return 0;
}

/* The answer to a SYN, sent again: the kernel counts it as a segment, too. sk listens. */
SEC("?tp_btf/tcp_retransmit_synack")
int BPF_PROG(cgm_tcp_synack, const struct sock *sk)
{
	struct cgm_net *row = row_of_sock(sk);

	if (row)
		add_atomic(&row->tcp_retransmitted_segments, 1);
	return 0;
}

SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(cgm_tcp_state, const struct sock *sk, int old, int new)
{
	struct cgm_net *row;

	if (sk->sk_protocol != IPPROTO_TCP && sk->sk_protocol != IPPROTO_MPTCP)
		return 0;
	if (new == TCP_SYN_SENT) { /* connect(): the task is there */
		row = row_of_call((struct sock *)sk);
		if (row)
			add_atomic(&row->tcp_active_opens, 1);
		return 0;
	}
	if (new == TCP_LISTEN) { /* listen(): only to know the owner of what will be accepted */
		row_of_call((struct sock *)sk);
		return 0;
	}
	if (old != TCP_SYN_SENT && old != TCP_SYN_RECV)
		return 0;
	row = row_of_sock(sk);
	if (!row)
		return 0;
	if (old == TCP_SYN_SENT && new == TCP_ESTABLISHED)
		add_atomic(&row->tcp_connects, 1);
	else if (old == TCP_SYN_SENT && new == TCP_CLOSE)
		add_atomic(&row->tcp_connect_failures, 1);
	else if (old == TCP_SYN_RECV && new == TCP_ESTABLISHED)
		add_atomic(&row->tcp_accepts, 1);
	return 0;
}

/* A reset may come without a socket (a closed port), or with one that is only the remains of a connection: those are the machine's. */
SEC("?tp_btf/tcp_send_reset")
int BPF_PROG(cgm_tcp_rst_out, const struct sock *sk)
{
	struct cgm_net *row;
	__u8 state;

	if (!sk) {
		row = net_row(root_slot());
	} else {
		state = sk->__sk_common.skc_state;
		if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
			row = net_row(root_slot());
		else
			row = row_of_sock(sk);
	}
	if (row)
		add_atomic(&row->tcp_resets_sent, 1);
	return 0;
}

SEC("?tp_btf/tcp_receive_reset")
int BPF_PROG(cgm_tcp_rst_in, struct sock *sk)
{
	struct cgm_net *row = row_of_sock(sk);

	if (row)
		add_atomic(&row->tcp_resets_received, 1);
	return 0;
}
