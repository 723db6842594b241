// SPDX-License-Identifier: Apache-2.0
#include "cgroup/netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* What is left of a datagram or of a message. Fields are copied out: nothing here is sure to be aligned. */
struct bytes {
	const unsigned char *p;
	size_t len;
};

#define ALIGN4(n) (((n) + 3) & ~(size_t)3)

static void skip(struct bytes *b, size_t n)
{
	n = n < b->len ? n : b->len;
	b->p += n;
	b->len -= n;
}

size_t cgm_netlink_request(enum cgm_netlink_what what, uint32_t index, uint32_t seq, unsigned char buf[CGM_NETLINK_REQUEST_BYTES])
{
	struct nlmsghdr h = { .nlmsg_flags = NLM_F_REQUEST | (index ? 0 : NLM_F_DUMP), .nlmsg_seq = seq };
	struct if_stats_msg stats = { .ifindex = index, .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64) };
	struct ifinfomsg links = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };
	const void *body = what == CGM_NETLINK_STATS ? (const void *)&stats : &links;
	size_t len = what == CGM_NETLINK_STATS ? sizeof(stats) : sizeof(links);

	_Static_assert(sizeof(h) + sizeof(links) <= CGM_NETLINK_REQUEST_BYTES && sizeof(h) + sizeof(stats) <= CGM_NETLINK_REQUEST_BYTES,
		       "a request fits");
	h.nlmsg_type = what == CGM_NETLINK_STATS ? RTM_GETSTATS : RTM_GETLINK;
	h.nlmsg_len = (uint32_t)(sizeof(h) + len);
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), body, len);
	return sizeof(h) + len;
}

/* Counters in the order of net/core/net-procfs.c, dev_seq_printf_stats(). */
static void link_stats(struct cgm_link *l, struct bytes b)
{
	struct rtnl_link_stats64 st = { 0 };

	if (b.len < offsetof(struct rtnl_link_stats64, rx_missed_errors) + sizeof(st.rx_missed_errors))
		return;
	memcpy(&st, b.p, b.len < sizeof(st) ? b.len : sizeof(st));
	l->has_stats = true;
	l->v[CGM_IFACE_RX_BYTES] = st.rx_bytes;
	l->v[CGM_IFACE_RX_PACKETS] = st.rx_packets;
	l->v[CGM_IFACE_RX_ERRORS] = st.rx_errors;
	l->v[CGM_IFACE_RX_DROPPED] = st.rx_dropped + st.rx_missed_errors;
	l->v[CGM_IFACE_TX_BYTES] = st.tx_bytes;
	l->v[CGM_IFACE_TX_PACKETS] = st.tx_packets;
	l->v[CGM_IFACE_TX_ERRORS] = st.tx_errors;
	l->v[CGM_IFACE_TX_DROPPED] = st.tx_dropped;
}

static void link_name(struct cgm_link *l, struct bytes b)
{
	size_t len = strnlen((const char *)b.p, b.len);

	if (!len || len >= sizeof(l->name))
		return;
	memcpy(l->name, b.p, len);
	l->name[len] = '\0';
}

/* False: an attribute that does not fit into the message. */
static bool attributes(struct cgm_link *l, struct bytes b, bool is_stats)
{
	while (b.len >= sizeof(struct rtattr)) {
		struct bytes value = b;
		struct rtattr a;

		memcpy(&a, b.p, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > b.len)
			return false;
		value.len = a.rta_len;
		skip(&value, sizeof(a));
		a.rta_type &= NLA_TYPE_MASK;
		if (!is_stats && a.rta_type == IFLA_IFNAME)
			link_name(l, value);
		if (a.rta_type == (is_stats ? IFLA_STATS_LINK_64 : IFLA_STATS64))
			link_stats(l, value);
		skip(&b, ALIGN4(a.rta_len));
	}
	return true;
}

/* The body of RTM_NEWLINK or RTM_NEWSTATS. False: malformed. */
static bool link_message(struct bytes b, bool is_stats, struct cgm_link *ret)
{
	struct if_stats_msg stats;
	struct ifinfomsg info;

	*ret = (struct cgm_link){ 0 };
	if (b.len < (is_stats ? sizeof(stats) : sizeof(info)))
		return false;
	if (is_stats) {
		memcpy(&stats, b.p, sizeof(stats));
		ret->index = stats.ifindex;
	} else {
		memcpy(&info, b.p, sizeof(info));
		ret->index = (uint32_t)info.ifi_index;
	}
	skip(&b, is_stats ? sizeof(stats) : sizeof(info));
	return attributes(ret, b, is_stats);
}

/* The number at the head of NLMSG_ERROR and, on newer kernels, of NLMSG_DONE. */
static int error_of(struct bytes b)
{
	int error = 0;

	if (b.len >= sizeof(error))
		memcpy(&error, b.p, sizeof(error));
	return error < 0 && error >= -4095 ? error : 0;
}

static int message(const struct nlmsghdr *h, struct bytes body, cgm_link_fn link, void *arg, struct cgm_netlink_seen *seen)
{
	bool is_stats = h->nlmsg_type == RTM_NEWSTATS;
	struct cgm_link l;

	seen->interrupted |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		seen->done = true;
		return error_of(body);
	}
	seen->done |= !(h->nlmsg_flags & NLM_F_MULTI); /* the answer about one link */
	if (h->nlmsg_type != RTM_NEWLINK && !is_stats)
		return 0;
	if (!link_message(body, is_stats, &l))
		return -EBADMSG;
	return link(arg, &l);
}

int cgm_netlink_parse(const void *data, size_t len, uint32_t seq, cgm_link_fn link, void *arg, struct cgm_netlink_seen *seen)
{
	struct bytes rest = { data, len };

	while (rest.len) {
		struct bytes body = rest;
		struct nlmsghdr h;
		int r = 0;

		if (rest.len < sizeof(h))
			return -EBADMSG;
		memcpy(&h, rest.p, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > rest.len)
			return -EBADMSG;
		body.len = h.nlmsg_len;
		skip(&body, sizeof(h));
		if (h.nlmsg_seq != seq)
			seen->notified = true;
		else
			r = message(&h, body, link, arg, seen);
		if (r || seen->done)
			return r;
		skip(&rest, ALIGN4(h.nlmsg_len));
	}
	return 0;
}
