// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Socket traffic by cgroup: payload bytes and calls as the send and receive calls return them, so traffic of containers on the host's
 * network is theirs too; TCP retransmissions, connects, accepts, resets. Who owns a socket: sock.bpf.h. Any context, so all adds are atomic.
 */
#include "sock.bpf.h"

#define MSG_PEEK 2
#define EAGAIN 11

/* As cgm_sched. */
CGM_ROWS_MAP(cgm_net, struct cgm_net);

static __always_inline struct cgm_net *net_row(__u32 slot)
{
	return row_of(&cgm_net, slot);
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
	row = net_row(slot_of_call(sk));
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
	row = net_row(slot_of_call(sk));
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

static __always_inline int resent(const struct sock *sk, const struct sk_buff *skb)
{
	struct cgm_net *row = net_row(slot_of_sock(sk));

	if (row)
		add_atomic(&row->tcp_retransmitted_segments, segments_of(skb));
	return 0;
}

SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(cgm_tcp_retrans, const struct sock *sk, const struct sk_buff *skb, int err)
{
	return was_resent(err) ? resent(sk, skb) : 0;
}

/* Before 6.17 it came only for what was sent, without err. */
SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(cgm_tcp_resent, const struct sock *sk, const struct sk_buff *skb)
{
	return resent(sk, skb);
}

/* The answer to a SYN, sent again: the kernel counts it as a segment, too. sk listens. */
SEC("?tp_btf/tcp_retransmit_synack")
int BPF_PROG(cgm_tcp_synack, const struct sock *sk)
{
	struct cgm_net *row = net_row(slot_of_sock(sk));

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
		row = net_row(slot_of_call((struct sock *)sk));
		if (row)
			add_atomic(&row->tcp_active_opens, 1);
		return 0;
	}
	if (new == TCP_LISTEN) { /* listen(): only to know the owner of what will be accepted */
		slot_of_call((struct sock *)sk);
		return 0;
	}
	if (old != TCP_SYN_SENT && old != TCP_SYN_RECV)
		return 0;
	row = net_row(slot_of_sock(sk));
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
	struct cgm_net *row = net_row(slot_of_any(sk));

	if (row)
		add_atomic(&row->tcp_resets_sent, 1);
	return 0;
}

SEC("?tp_btf/tcp_receive_reset")
int BPF_PROG(cgm_tcp_rst_in, struct sock *sk)
{
	struct cgm_net *row = net_row(slot_of_sock(sk));

	if (row)
		add_atomic(&row->tcp_resets_received, 1);
	return 0;
}
