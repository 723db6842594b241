// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Waits of packets: for the application that is to read them, and in the queue of an interface. Runs twice a packet, so it is off unless asked
 * for. An interface without a queue (loopback, veth) never comes to the second pair, and an empty queue that lets packets pass by does not.
 */
#include "sock.bpf.h"

#define TCPHDR_FIN 1
#define MAX_BULK 16 /* packets that are taken out of a queue at once; what is beyond is not timed */

/* One number: when the programs were attached. What came before is none of theirs. Written by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cgm_packets_at SEC(".maps");

/* When a packet came into the queue. head: so that one that was freed there is not taken for another at the same address. */
struct queued {
	__u64 ns;
	__u64 head;
};

/*
 * Packets in queues, by address. Those that the queue drops or cuts into pieces stay behind until they are the oldest. What is taken out of a
 * queue and not found here is counted in CGM_DROP_PACKET.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct queued);
} cgm_queued SEC(".maps");

/* Before the segment is looked at: data that is next in order, and nothing unread before it, begins to wait. */
SEC("?tp_btf/tcp_probe")
int BPF_PROG(cgm_tcp_arrive, struct sock *sk, struct sk_buff *skb)
{
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)&skb->cb[0];
	__u32 seq = cb->seq, len = cb->end_seq - seq - (cb->tcp_flags & TCPHDR_FIN ? 1 : 0);
	struct tcp_sock *tp;
	struct sock_mark *m;

	if (!len)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || tp->rcv_nxt != seq)
		return 0;
	m = make_mark(sk);
	if (m && !m->unread_ns)
		m->unread_ns = bpf_ktime_get_ns();
	return 0;
}

/* A packet's data was copied to the application. */
SEC("?tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(cgm_tcp_read, struct sock *sk)
{
	struct sock_mark *m = mark_of(sk);
	__u64 *attached, arrived;
	__u32 zero = 0;

	if (!m)
		return 0;
	arrived = __sync_lock_test_and_set(&m->unread_ns, 0);
	attached = bpf_map_lookup_elem(&cgm_packets_at, &zero);
	if (arrived && attached && arrived >= *attached)
		wait_slot(slot_of_sock(sk), CGM_W_TCP_UNREAD, since(bpf_ktime_get_ns(), arrived));
	return 0;
}

/* Comes when the packet is in the queue; another CPU may have it out again already. */
SEC("?tp_btf/qdisc_enqueue")
int BPF_PROG(cgm_q_in, struct Qdisc *q, const struct netdev_queue *txq, struct sk_buff *skb)
{
	struct queued in = { .ns = bpf_ktime_get_ns(), .head = (__u64)skb->head };
	__u64 key = (__u64)skb;

	bpf_map_update_elem(&cgm_queued, &key, &in, BPF_ANY);
	return 0;
}

static __always_inline void left_queue(const struct sk_buff *skb, __u32 slot, __u64 now)
{
	__u64 key = (__u64)skb;
	struct queued *in = bpf_map_lookup_elem(&cgm_queued, &key);

	if (in && in->head == (__u64)skb->head)
		wait_slot(slot, CGM_W_QDISC, since(now, in->ns));
	else
		drop(CGM_DROP_PACKET);
	if (in)
		bpf_map_delete_elem(&cgm_queued, &key);
}

/*
 * Several packets may come at once, as a list. Storage may be asked only for the socket of the first of them (the verifier trusts no other),
 * so on v1 packets of another socket behind it are the root's.
 */
SEC("?tp_btf/qdisc_dequeue")
int BPF_PROG(cgm_q_out, struct Qdisc *q, const struct netdev_queue *txq, int packets, struct sk_buff *skb)
{
	const struct sock *sk;
	__u32 slot;
	__u64 now;

	if (!skb)
		return 0;
	now = bpf_ktime_get_ns();
	sk = skb->sk;
	slot = slot_of_any(sk);
	left_queue(skb, slot, now);
	for (int i = 1; i < MAX_BULK && i < packets; i++) {
		skb = skb->next;
		if (!skb)
			break;
		if (skb->sk != sk)
			left_queue(skb, owner_is_v2() ? slot_of_any(skb->sk) : root_slot(), now);
		else
			left_queue(skb, slot, now);
	}
	return 0;
}
