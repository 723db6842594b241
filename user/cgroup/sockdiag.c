// SPDX-License-Identifier: Apache-2.0
#include "cgroup/sockdiag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "cgroup/netlink_walk.h"

/* The kernel numbers the states from 1 in the order of metrics.def; a half-open connection is told as SYN_RECV. */
_Static_assert((int)CGM_TCP_STATE_ESTABLISHED == TCP_ESTABLISHED - 1 && (int)CGM_TCP_STATE_TIME_WAIT == TCP_TIME_WAIT - 1 &&
		       (int)CGM_TCP_STATE_CLOSING == TCP_CLOSING - 1 && (int)CGM_NR_TCP_STATES == TCP_CLOSING,
	       "states of metrics.def are the kernel's");
#define ALL_STATES (((1U << (TCP_CLOSING + 1)) - 1) & ~1U)

size_t cgm_sockdiag_request(enum cgm_sockdiag_what what, int family, uint32_t seq, unsigned char buf[CGM_SOCKDIAG_REQUEST_BYTES])
{
	struct nlmsghdr h = { .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = seq };
	struct inet_diag_req_v2 body = {
		.sdiag_family = (uint8_t)family,
		.sdiag_protocol = what == CGM_SOCKDIAG_TCP ? IPPROTO_TCP : IPPROTO_UDP,
		.idiag_ext = what == CGM_SOCKDIAG_TCP ? 0 : 1 << (INET_DIAG_SKMEMINFO - 1),
		.idiag_states = ALL_STATES,
	};

	_Static_assert(sizeof(h) + sizeof(body) == CGM_SOCKDIAG_REQUEST_BYTES, "a request fits");
	h.nlmsg_len = sizeof(h) + sizeof(body);
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &body, sizeof(body));
	return sizeof(h) + sizeof(body);
}

struct counting {
	enum cgm_sockdiag_what what;
	struct cgm_sockets *s;
};

/* Datagrams that found no room in the socket's buffer; kernels before 4.7 do not tell (a52e95abf772). */
static int drops(struct cgm_bytes attributes, uint64_t *sum)
{
	struct cgm_bytes value;
	uint32_t memory[SK_MEMINFO_VARS];
	unsigned type;
	int r;

	while ((r = cgm_netlink_attribute(&attributes, &type, &value)) > 0) {
		if (type != INET_DIAG_SKMEMINFO || value.len < sizeof(memory))
			continue;
		memcpy(memory, value.p, sizeof(memory));
		*sum += memory[SK_MEMINFO_DROPS];
	}
	return r;
}

static int on_message(void *arg, unsigned type, struct cgm_bytes body)
{
	const struct counting *c = arg;
	struct inet_diag_msg m;
	unsigned ip;

	if (type != SOCK_DIAG_BY_FAMILY)
		return 0;
	if (body.len < sizeof(m))
		return -EBADMSG;
	memcpy(&m, body.p, sizeof(m));
	cgm_bytes_skip(&body, sizeof(m));
	ip = m.idiag_family == AF_INET6;
	if (c->what == CGM_SOCKDIAG_TCP) {
		if (m.idiag_state >= TCP_ESTABLISHED && m.idiag_state <= TCP_CLOSING)
			c->s->tcp[ip][m.idiag_state - 1]++;
		return 0;
	}
	c->s->udp[ip][CGM_UDP_STATE_LISTEN] += m.idiag_state != TCP_ESTABLISHED;
	c->s->udp[ip][CGM_UDP_STATE_RX_QUEUED] += m.idiag_rqueue;
	c->s->udp[ip][CGM_UDP_STATE_TX_QUEUED] += m.idiag_wqueue;
	return drops(body, &c->s->udp[ip][CGM_UDP_STATE_DROPPED]);
}

int cgm_sockdiag_parse(const void *data, size_t len, uint32_t seq, enum cgm_sockdiag_what what, struct cgm_sockets *s,
		       struct cgm_netlink_seen *seen)
{
	struct counting c = { what, s };

	return cgm_netlink_walk(data, len, seq, on_message, &c, seen);
}
