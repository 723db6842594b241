// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Sockets by kind and state, queues of listening ones, round trips: one walk over the open files of all tasks, each few seconds.
 *
 * Why not the iterators over TCP, UDP and unix sockets: they show one network namespace, that of whoever starts them, and go through the hash
 * table of all for each; and they do not know who holds a socket, which on v1 nothing else tells for one that is older than we are. Files
 * show the sockets of every namespace at once, by who has them open. What they do not show has no owner: TIME_WAIT, connections that their
 * program has closed, and those that nobody has accepted yet (the length of the listening socket's queue).
 */
#include "sock.bpf.h"

/* Key: slot. Made anew by each walk: a row is valid when its generation is that walk's. Written by the iterator alone; mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set before the load */
	__type(key, __u32);
	__type(value, struct cgm_socks);
} cgm_socks SEC(".maps");

/* One row. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgm_sock_walk);
} cgm_sock_walk SEC(".maps");

static __always_inline struct cgm_sock_walk *this_walk(__u64 generation)
{
	__u32 zero = 0;
	struct cgm_sock_walk *w = bpf_map_lookup_elem(&cgm_sock_walk, &zero);

	if (w && w->begun != generation) {
		w->begun = generation;
		w->before_ns = w->now_ns;
		w->now_ns = bpf_ktime_get_ns();
	}
	return w;
}

/* Has the file no other reference than its one descriptor and the iterator's? Then we come by here once only. */
static __always_inline bool is_single(const struct file *file)
{
	if (bpf_core_field_exists(file->f_ref))
		return file->f_ref.refcnt.counter == 1;
	if (bpf_core_field_exists(((struct file___before_6_13 *)0)->f_count))
		return BPF_CORE_READ((struct file___before_6_13 *)file, f_count.counter) == 2;
	return false;
}

/* Shared by processes, or open twice in one: the first to come by counts it. */
static __always_inline bool was_here(const struct sock *sk, __u32 walk)
{
	struct sock_mark *m = make_mark(sk);

	if (!m)
		return false;
	if (m->walk == walk)
		return true;
	m->walk = walk;
	return false;
}

/* Where nobody has used it yet, or only before we came, who holds it is its owner from now on, for the events that come without a task. */
static __always_inline __u32 slot_of_held(const struct sock *sk, struct task_struct *holder)
{
	struct sock_mark *m;
	__u32 slot;

	if (owner_is_v2())
		return v2_slot(sk);
	m = mark_of(sk);
	if (mark_names_owner(m))
		return m->slot;
	slot = slot_of_task(holder);
	if (!m && sk->__sk_common.skc_family != AF_UNIX) /* there are none of these of a unix socket */
		m = make_mark(sk);
	if (m)
		set_owner(m, slot);
	return slot;
}

/* By the kernel's number of the state. Those of IPv6 stand behind those of IPv4, in the same order. */
static const __u8 tcp_gauges[TCP_CLOSING + 1] = {
	[1] = CGM_S_TCP_ESTABLISHED, [2] = CGM_S_TCP_SYN_SENT,   [3] = CGM_S_TCP_SYN_RECV, [4] = CGM_S_TCP_FIN_WAIT1,
	[5] = CGM_S_TCP_FIN_WAIT2,   [7] = CGM_S_TCP_UNUSED,     [8] = CGM_S_TCP_CLOSE_WAIT, [9] = CGM_S_TCP_LAST_ACK,
	[10] = CGM_S_TCP_LISTEN,     [11] = CGM_S_TCP_CLOSING,
};

static __always_inline void gauge(struct cgm_socks *row, __u32 i, __u32 n)
{
	__asm__ volatile("" : "+r"(i)); /* what is compared must be what is used, or the verifier does not know its bounds */
	if (i < CGM_NR_SOCK_GAUGES)
		row->v[i] += n;
}

static __always_inline void look_at_listener(const struct sock *sk, __u32 slot, struct cgm_socks *row)
{
	__u32 length = sk->sk_ack_backlog, limit = sk->sk_max_ack_backlog;
	struct sock_mark *m = make_mark(sk);

	gauge(row, CGM_S_ACCEPT_LENGTH, length);
	gauge(row, CGM_S_ACCEPT_LIMIT, limit);
	if (length > limit) /* as sk_acceptq_is_full() */
		gauge(row, CGM_S_ACCEPT_FULL, 1);
	if (m)
		note_listen_drops(sk, m, slot);
}

static __always_inline void look_at_connection(const struct sock *sk, __u32 slot, struct cgm_socks *row, const struct cgm_sock_walk *w)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);

	if (!tp)
		return;
	if (!tp->snd_wnd && tp->write_seq != tp->snd_nxt)
		gauge(row, CGM_S_WINDOW_PEER, 1);
	if (!tp->rcv_wnd)
		gauge(row, CGM_S_WINDOW_OWN, 1);
	/* Something that it sent was acknowledged since the last walk, so the round trip is a new one. */
	if (tp->delivered_mstamp * 1000 >= w->before_ns)
		sample_rtt(slot, tp);
}

static __always_inline void look_at_tcp(const struct sock *sk, __u32 slot, struct cgm_socks *row, const struct cgm_sock_walk *w, bool v6)
{
	__u32 state = sk->__sk_common.skc_state;

	if (state > TCP_CLOSING)
		return;
	gauge(row, tcp_gauges[state] + (v6 ? CGM_S_TCP6_ESTABLISHED - CGM_S_TCP_ESTABLISHED : 0), 1);
	if (state == TCP_LISTEN)
		look_at_listener(sk, slot, row);
	else if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT)
		look_at_connection(sk, slot, row, w);
}

static __always_inline void look_at(const struct sock *sk, __u32 slot, struct cgm_socks *row, const struct cgm_sock_walk *w)
{
	__u16 family = sk->__sk_common.skc_family, protocol = sk->sk_protocol;
	bool v6 = family == AF_INET6;
	__u8 state;

	if (family == AF_UNIX) {
		state = sk->__sk_common.skc_state;
		gauge(row, state == TCP_ESTABLISHED ? CGM_S_UNIX_CONNECTED : state == TCP_LISTEN ? CGM_S_UNIX_LISTEN : CGM_S_UNIX_OTHER, 1);
	} else if (!v6 && family != AF_INET) {
		gauge(row, CGM_S_OTHER, 1);
	} else if (protocol == IPPROTO_TCP) {
		look_at_tcp(sk, slot, row, w, v6);
	} else if (protocol == IPPROTO_UDP) {
		gauge(row, v6 ? CGM_S_UDP6 : CGM_S_UDP, 1);
	} else {
		gauge(row, CGM_S_OTHER, 1);
	}
}

SEC("?iter/task_file")
int cgm_sock_look(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct cgm_sock_walk *w;
	struct cgm_socks *row;
	struct socket *sock;
	struct sock *sk;
	__u32 slot, socket_walk = CGM_WALK_SOCKETS;
	__u64 *walk;

	if (!task || !file)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	walk = bpf_map_lookup_elem(&cgm_walk, &socket_walk);
	w = walk ? this_walk(*walk) : NULL;
	if (!sk || !w || (!is_single(file) && was_here(sk, (__u32)w->begun)))
		return 0;
	slot = slot_of_held(sk, task);
	row = bpf_map_lookup_elem(&cgm_socks, &slot);
	if (!row)
		return 0;
	if (row->generation != w->begun) {
		row->generation = w->begun;
		__builtin_memset(row->v, 0, sizeof(row->v));
	}
	look_at(sk, slot, row, w);
	return 0;
}
