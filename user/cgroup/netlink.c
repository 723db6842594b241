// SPDX-License-Identifier: Apache-2.0
#include "cgroup/netlink_walk.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define ALIGN4(n) (((n) + 3) & ~(size_t)3)

int cgm_netlink_attribute(struct cgm_bytes *b, unsigned *ret_type, struct cgm_bytes *ret_value)
{
	struct nlattr a;

	if (b->len < sizeof(a))
		return 0;
	memcpy(&a, b->p, sizeof(a));
	if (a.nla_len < sizeof(a) || a.nla_len > b->len)
		return -EBADMSG;
	*ret_type = a.nla_type & NLA_TYPE_MASK;
	*ret_value = (struct cgm_bytes){ b->p + sizeof(a), a.nla_len - sizeof(a) };
	cgm_bytes_skip(b, ALIGN4(a.nla_len));
	return 1;
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
static void link_stats(struct cgm_link *l, struct cgm_bytes b)
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

static void link_name(struct cgm_link *l, struct cgm_bytes b)
{
	size_t len = strnlen((const char *)b.p, b.len);

	if (!len || len >= sizeof(l->name))
		return;
	memcpy(l->name, b.p, len);
	l->name[len] = '\0';
}

/* False: an attribute that does not fit into the message. */
static bool attributes(struct cgm_link *l, struct cgm_bytes b, bool is_stats)
{
	struct cgm_bytes value;
	unsigned type;
	int r;

	while ((r = cgm_netlink_attribute(&b, &type, &value)) > 0) {
		if (!is_stats && type == IFLA_IFNAME)
			link_name(l, value);
		if (type == (is_stats ? IFLA_STATS_LINK_64 : IFLA_STATS64))
			link_stats(l, value);
	}
	return r == 0;
}

/* The body of RTM_NEWLINK or RTM_NEWSTATS. False: malformed. */
static bool link_message(struct cgm_bytes b, bool is_stats, struct cgm_link *ret)
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
	cgm_bytes_skip(&b, is_stats ? sizeof(stats) : sizeof(info));
	return attributes(ret, b, is_stats);
}

/* The number at the head of NLMSG_ERROR and, on newer kernels, of NLMSG_DONE. */
static int error_of(struct cgm_bytes b)
{
	int error = 0;

	if (b.len >= sizeof(error))
		memcpy(&error, b.p, sizeof(error));
	return error < 0 && error >= -4095 ? error : 0;
}

/* Said by the message itself: how the answer goes on. *ret_ends: it was only that. */
static int control(const struct nlmsghdr *h, struct cgm_bytes body, struct cgm_netlink_seen *seen, bool *ret_ends)
{
	seen->interrupted |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
	*ret_ends = h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE;
	if (*ret_ends) {
		seen->done = true;
		return error_of(body);
	}
	seen->done |= !(h->nlmsg_flags & NLM_F_MULTI); /* the only answer */
	return 0;
}

int cgm_netlink_walk(const void *data, size_t len, uint32_t seq, cgm_netlink_message_fn message, void *arg, struct cgm_netlink_seen *seen)
{
	struct cgm_bytes rest = { data, len };

	while (rest.len) {
		struct cgm_bytes body = rest;
		struct nlmsghdr h;
		bool ends = true;
		int r = 0;

		if (rest.len < sizeof(h))
			return -EBADMSG;
		memcpy(&h, rest.p, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > rest.len)
			return -EBADMSG;
		body.len = h.nlmsg_len;
		cgm_bytes_skip(&body, sizeof(h));
		if (h.nlmsg_seq != seq)
			seen->notified = true;
		else
			r = control(&h, body, seen, &ends);
		if (!ends)
			r = message(arg, h.nlmsg_type, body);
		if (r || seen->done)
			return r;
		cgm_bytes_skip(&rest, ALIGN4(h.nlmsg_len));
	}
	return 0;
}

struct links {
	cgm_link_fn link;
	void *arg;
};

static int on_message(void *arg, unsigned type, struct cgm_bytes body)
{
	const struct links *links = arg;
	struct cgm_link l;

	if (type != RTM_NEWLINK && type != RTM_NEWSTATS)
		return 0;
	if (!link_message(body, type == RTM_NEWSTATS, &l))
		return -EBADMSG;
	return links->link(links->arg, &l);
}

int cgm_netlink_parse(const void *data, size_t len, uint32_t seq, cgm_link_fn link, void *arg, struct cgm_netlink_seen *seen)
{
	struct links links = { link, arg };

	return cgm_netlink_walk(data, len, seq, on_message, &links, seen);
}
