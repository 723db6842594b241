// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * How connections fare: why segments are sent again, losses, how long connects take and why they fail, how long connections live, resets and
 * errors by cause, queues and memory that ran out. All of it hangs on events that are rare beside packets. Round trips, which every
 * acknowledgement measures, are taken from the kernel's own smoothed value when a connection ends, and by the walk over sockets (socks.bpf.c).
 */
#include "sock.bpf.h"

#define TCPHDR_SYN 2
#define ICSK_TIME_LOSS_PROBE 5

enum { TCP_CA_OPEN, TCP_CA_DISORDER, TCP_CA_CWR, TCP_CA_RECOVERY, TCP_CA_LOSS };

#define ENOMEM 12
#define EPIPE 32
#define ENETDOWN 100
#define ENETUNREACH 101
#define ECONNRESET 104
#define ETIMEDOUT 110
#define ECONNREFUSED 111
#define EHOSTDOWN 112
#define EHOSTUNREACH 113

static __always_inline __u32 resent_why(const struct sock *sk, const struct sk_buff *skb)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
	__u8 state;

	if (((struct tcp_skb_cb *)&skb->cb[0])->tcp_flags & TCPHDR_SYN)
		return CGM_C_RESENT_SYN;
	if (!tp)
		return CGM_C_RESENT_FAST;
	state = BPF_CORE_READ_BITFIELD(&tp->inet_conn, icsk_ca_state);
	if (state == TCP_CA_LOSS)
		return CGM_C_RESENT_TIMEOUT;
	/* tcp_send_loss_probe() clears it only when the probe is sent. */
	return state != TCP_CA_RECOVERY && tp->inet_conn.icsk_pending == ICSK_TIME_LOSS_PROBE ? CGM_C_RESENT_PROBE : CGM_C_RESENT_FAST;
}

SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(cgm_resend, const struct sock *sk, const struct sk_buff *skb, int err)
{
	if (was_resent(err))
		count_slot(slot_of_sock(sk), resent_why(sk, skb), segments_of(skb));
	return 0;
}

/* Before 6.17, as cgm_tcp_resent. */
SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(cgm_resend_ok, const struct sock *sk, const struct sk_buff *skb)
{
	count_slot(slot_of_sock(sk), resent_why(sk, skb), segments_of(skb));
	return 0;
}

SEC("?tp_btf/tcp_retransmit_synack")
int BPF_PROG(cgm_resend_sa, const struct sock *sk)
{
	count_slot(slot_of_sock(sk), CGM_C_RESENT_SYN_ACK, 1);
	return 0;
}

/* Comes before the state is set. Loss is set by each retransmission timeout, also one after another: all of them count. */
SEC("?tp_btf/tcp_cong_state_set")
int BPF_PROG(cgm_tcp_loss, struct sock *sk, __u8 state)
{
	struct tcp_sock *tp;

	if (state == TCP_CA_OPEN || state > TCP_CA_LOSS)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (state != TCP_CA_LOSS && tp && BPF_CORE_READ_BITFIELD(&tp->inet_conn, icsk_ca_state) == state)
		return 0;
	count_slot(slot_of_sock(sk), CGM_C_LOSS_DISORDER + state - TCP_CA_DISORDER, 1);
	return 0;
}

/* Of enum cgm_count, from base on, in this order: what went wrong. */
static __always_inline __u32 error_kind(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return 0;
	case ETIMEDOUT:
		return 1;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
		return 2;
	case ECONNRESET:
	case EPIPE: /* a reset after the peer had closed */
		return 3;
	default:
		return 4;
	}
}

/* The kernel's smoothed round trip and its mean deviation, as TCP_INFO has them (tcpi_rtt, tcpi_rttvar). */
static __always_inline void sample_rtt(__u32 slot, const struct tcp_sock *tp)
{
	__u32 srtt = tp->srtt_us;

	if (!srtt) /* never measured */
		return;
	wait_slot(slot, CGM_W_TCP_RTT, (srtt >> 3) * 1000ULL);
	wait_slot(slot, CGM_W_TCP_JITTER, (tp->mdev_us >> 2) * 1000ULL);
}

/* What a listening socket had to drop since the last look: SYNs and handshakes that found its queue full, for the most part. */
static __always_inline void note_listen_drops(const struct sock *sk, struct sock_mark *m, __u32 slot)
{
	__u32 drops = sk->sk_drops.counter, new = drops - m->drops;

	if (m->phase != SOCK_LISTENING) { /* it listened before we came */
		m->phase = SOCK_LISTENING;
		new = 0;
	}
	m->drops = drops;
	if (new)
		count_slot(slot, CGM_C_LISTEN_DROPS, new);
}

static __always_inline void enter_phase(const struct sock *sk, enum sock_phase phase)
{
	struct sock_mark *m = make_mark(sk);

	if (!m)
		return;
	m->since_ns = bpf_ktime_get_ns();
	m->phase = phase;
	m->drops = phase == SOCK_LISTENING ? sk->sk_drops.counter : 0;
}

static __always_inline void established(const struct sock *sk)
{
	struct sock_mark *m = make_mark(sk);
	__u64 now = bpf_ktime_get_ns();

	if (!m)
		return;
	if (m->phase == SOCK_CONNECTING)
		wait_slot(slot_of_sock(sk), CGM_W_TCP_CONNECT, since(now, m->since_ns));
	m->since_ns = now;
	m->unread_ns = 0;
	m->phase = SOCK_ESTABLISHED;
}

/* A FIN that came has a sequence number of its own, which the kernel counts as a byte; tcp_fin() of net/ipv4/tcp_input.c leaves SOCK_DONE. */
static __always_inline void count_moved(__u32 slot, const struct sock *sk, const struct tcp_sock *tp)
{
	__u64 received = tp->bytes_received, fin = sk->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1;

	count_slot(slot, CGM_C_ENDED_TX_BYTES, tp->bytes_sent - tp->bytes_retrans);
	count_slot(slot, CGM_C_ENDED_RX_BYTES, received >= fin ? received - fin : 0);
}

static __always_inline void ended(const struct sock *sk, int old)
{
	struct sock_mark *m = mark_of(sk);
	__u32 slot = slot_of_sock(sk);
	struct tcp_sock *tp;

	if (old == TCP_SYN_SENT) {
		if (sk->sk_err)
			count_slot(slot, CGM_C_CONNECT_REFUSED + error_kind(sk->sk_err), 1);
		else
			count_slot(slot, CGM_C_CONNECT_GIVEN_UP, 1);
	} else if (old == TCP_LISTEN) {
		if (m)
			note_listen_drops(sk, m, slot);
	} else {
		tp = bpf_skc_to_tcp_sock((void *)sk);
		if (tp)
			sample_rtt(slot, tp);
		if (m && m->phase == SOCK_ESTABLISHED) {
			wait_slot(slot, CGM_W_TCP_LIFETIME, since(bpf_ktime_get_ns(), m->since_ns));
			if (tp)
				count_moved(slot, sk, tp);
		}
	}
	if (m)
		m->phase = SOCK_OTHER;
}

SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(cgm_tcp_life, const struct sock *sk, int old, int new)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (new == TCP_SYN_SENT || new == TCP_LISTEN) { /* the task is there */
		slot_of_call((struct sock *)sk);
		enter_phase(sk, new == TCP_LISTEN ? SOCK_LISTENING : SOCK_CONNECTING);
	} else if (new == TCP_ESTABLISHED) {
		established(sk);
	} else if (new == TCP_CLOSE && old != TCP_CLOSE) {
		ended(sk, old);
	}
	return 0;
}

#define IS_RESET(reason, name)                                           \
	(bpf_core_enum_value_exists(enum sk_rst_reason, SK_RST_REASON_##name) && \
	 (reason) == bpf_core_enum_value(enum sk_rst_reason, SK_RST_REASON_##name))

static __always_inline __u32 reset_why(__u64 reason)
{
	if (IS_RESET(reason, NO_SOCKET))
		return CGM_C_RESET_NO_SOCKET;
	if (IS_RESET(reason, TCP_ABORT_ON_CLOSE) || IS_RESET(reason, TCP_ABORT_ON_DATA) || IS_RESET(reason, TCP_DISCONNECT_WITH_DATA))
		return CGM_C_RESET_UNREAD;
	if (IS_RESET(reason, TCP_ABORT_ON_LINGER) || IS_RESET(reason, TCP_STATE))
		return CGM_C_RESET_ABORT;
	if (IS_RESET(reason, TCP_KEEPALIVE_TIMEOUT))
		return CGM_C_RESET_KEEPALIVE;
	if (IS_RESET(reason, TCP_ABORT_ON_MEMORY))
		return CGM_C_RESET_MEMORY;
	if (IS_RESET(reason, TCP_INVALID_ACK_SEQUENCE) || IS_RESET(reason, TCP_RFC7323_PAWS) || IS_RESET(reason, TCP_TOO_OLD_ACK) ||
	    IS_RESET(reason, TCP_ACK_UNSENT_DATA) || IS_RESET(reason, TCP_FLAGS) || IS_RESET(reason, TCP_OLD_ACK) ||
	    IS_RESET(reason, TCP_TIMEWAIT_SOCKET) || IS_RESET(reason, INVALID_SYN))
		return CGM_C_RESET_UNEXPECTED;
	return CGM_C_RESET_OTHER;
}

SEC("?tp_btf/tcp_send_reset")
int BPF_PROG(cgm_rst_why, const struct sock *sk, const struct sk_buff *skb, int reason)
{
	count_slot(slot_of_any(sk), reset_why((__u32)reason), 1);
	return 0;
}

/* An error was handed to the socket's owner, who sees it at the next call. Notes about sent packets come here, too, without an error. */
SEC("?tp_btf/inet_sk_error_report")
int BPF_PROG(cgm_sk_error, const struct sock *sk)
{
	int err = sk->sk_err;

	/* tcp_disconnect(): who closes a connection at once has reset it himself. It alone has cleared sk_shutdown by then. */
	if (err == ECONNRESET && sk->__sk_common.skc_state == TCP_CLOSE && !sk->sk_shutdown)
		return 0;
	if (err)
		count_slot(slot_of_sock(sk), CGM_C_SOCK_REFUSED + error_kind(err), 1);
	return 0;
}

/* Where __sock_queue_rcv_skb() queues: ping, raw, CAN. TCP and UDP have queues of their own, and packet and newer raw sockets look before. */
SEC("?tp_btf/sock_rcvqueue_full")
int BPF_PROG(cgm_rcvq_full, struct sock *sk)
{
	count_slot(slot_of_sock(sk), CGM_C_RCVQ_FULL, 1);
	return 0;
}

/* kind: 0 to send, 1 to receive. */
SEC("?tp_btf/sock_exceed_buf_limit")
int BPF_PROG(cgm_sock_limit, struct sock *sk, void *prot, long allocated, int kind)
{
	count_slot(slot_of_sock(sk), kind ? CGM_C_SOCK_LIMIT_RX : CGM_C_SOCK_LIMIT_TX, 1);
	return 0;
}

SEC("?tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(cgm_udp_drop, int rc, struct sock *sk)
{
	count_slot(slot_of_sock(sk), rc == -ENOMEM ? CGM_C_UDP_DROP_BUFFER : CGM_C_UDP_DROP_MEMORY, 1);
	return 0;
}
