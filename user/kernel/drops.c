// SPDX-License-Identifier: Apache-2.0
/*
 * Which of the kernel's reasons to drop a packet is of which class. Their numbers change from kernel to kernel, so they are found by name in
 * its types. Names are those of enum skb_drop_reason without SKB_DROP_REASON_.
 */
#include <string.h>

#include "base/cleanup.h"
#include "kernel/internal.h"

#define NO_LOSS 0
#define CLASS(name) (CGM_C_DROP_##name - CGM_C_DROP_NO_SOCKET + 1)

/* The first that fits; a * at the end stands for any rest. */
static const struct {
	const char *name;
	uint8_t class;
} rules[] = {
	/* Used up, merged, never ours, or thrown away with its socket. */
	{ "SKB_NOT_DROPPED_YET", NO_LOSS },
	{ "SKB_CONSUMED", NO_LOSS },
	{ "NOT_SPECIFIED", NO_LOSS },
	{ "OTHERHOST", NO_LOSS },
	{ "SOCKET_CLOSE", NO_LOSS },
	{ "QUEUE_PURGE", NO_LOSS },
	{ "UNIX_*", NO_LOSS },
	{ "TCP_OFOMERGE", NO_LOSS },
	{ "MAX", NO_LOSS },
	{ "SUBSYS_MASK", NO_LOSS },

	{ "NO_SOCKET", CLASS(NO_SOCKET) },

	{ "SOCKET_RCVBUFF", CLASS(BUFFER) },
	{ "SOCKET_BACKLOG", CLASS(BUFFER) },
	{ "PROTO_MEM", CLASS(BUFFER) },
	{ "TCP_LISTEN_OVERFLOW", CLASS(BUFFER) },
	{ "TCP_OFO_QUEUE_PRUNE", CLASS(BUFFER) },
	{ "TCP_OFO_DROP", CLASS(BUFFER) },
	{ "TCP_ZEROWINDOW", CLASS(BUFFER) },
	{ "NOMEM", CLASS(BUFFER) },
	{ "PFMEMALLOC", CLASS(BUFFER) },
	{ "PACKET_SOCK_ERROR", CLASS(BUFFER) },

	{ "QDISC_*", CLASS(QUEUE) },
	{ "FQ_*", CLASS(QUEUE) },
	{ "CAKE_*", CLASS(QUEUE) },
	{ "DUALPI2_*", CLASS(QUEUE) },
	{ "CPU_BACKLOG", CLASS(QUEUE) },
	{ "FULL_RING", CLASS(QUEUE) },
	{ "NEIGH_QUEUEFULL", CLASS(QUEUE) },

	{ "SOCKET_FILTER", CLASS(FILTER) },
	{ "NETFILTER_DROP", CLASS(FILTER) },
	{ "BPF_CGROUP_EGRESS", CLASS(FILTER) },
	{ "TC_*", CLASS(FILTER) },
	{ "XDP", CLASS(FILTER) },
	{ "XFRM_POLICY", CLASS(FILTER) },
	{ "SECURITY_HOOK", CLASS(FILTER) },
	{ "TAP_FILTER", CLASS(FILTER) },
	{ "TAP_TXFILTER", CLASS(FILTER) },
	{ "TCP_MINTTL", CLASS(FILTER) },
	{ "BRIDGE_*", CLASS(FILTER) },
	{ "ARP_PVLAN_DISABLE", CLASS(FILTER) },

	{ "TCP_CSUM", CLASS(DAMAGED) },
	{ "UDP_CSUM", CLASS(DAMAGED) },
	{ "IP_CSUM", CLASS(DAMAGED) },
	{ "ICMP_CSUM", CLASS(DAMAGED) },
	{ "SKB_*", CLASS(DAMAGED) },
	{ "IP_INHDR", CLASS(DAMAGED) },
	{ "PKT_TOO_SMALL", CLASS(DAMAGED) },
	{ "HDR_TRUNC", CLASS(DAMAGED) },
	{ "DEV_HDR", CLASS(DAMAGED) },
	{ "INVALID_PROTO", CLASS(DAMAGED) },
	{ "IPV6_BAD_EXTHDR", CLASS(DAMAGED) },
	{ "VXLAN_INVALID_HDR", CLASS(DAMAGED) },
	{ "CAN*", CLASS(DAMAGED) },

	{ "IP_*", CLASS(ROUTE) },
	{ "NEIGH_*", CLASS(ROUTE) },
	{ "UNICAST_IN_L2_MULTICAST", CLASS(ROUTE) },
	{ "IPV6DISABLED", CLASS(ROUTE) },
	{ "UNHANDLED_PROTO", CLASS(ROUTE) },
	{ "PKT_TOO_BIG", CLASS(ROUTE) },
	{ "NO_TX_TARGET", CLASS(ROUTE) },
	{ "DEV_READY", CLASS(ROUTE) },
	{ "LOCAL_MAC", CLASS(ROUTE) },
	{ "MAC_*", CLASS(ROUTE) },
	{ "VXLAN_*", CLASS(ROUTE) },

	{ "TCP_*", CLASS(TCP) },
	{ "*", CLASS(OTHER) },
};

uint8_t cgm_drop_class(const char *reason)
{
	static const char prefix[] = "SKB_DROP_REASON_";

	if (strncmp(reason, prefix, sizeof(prefix) - 1) == 0)
		reason += sizeof(prefix) - 1;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		size_t len = strlen(rules[i].name);

		if (rules[i].name[len - 1] == '*' ? strncmp(reason, rules[i].name, len - 1) == 0 : strcmp(reason, rules[i].name) == 0)
			return rules[i].class;
	}
	return CLASS(OTHER);
}

void cgm_drops_probe(struct cgm_kernel *k, const struct btf *kernel_btf)
{
	int id = btf__find_by_name_kind(kernel_btf, "skb_drop_reason", BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(kernel_btf, (uint32_t)id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_enum *e = &btf_enum(t)[i];
		const char *name = btf__name_by_offset(kernel_btf, e->name_off);

		if (name && e->val >= 0 && e->val < CGM_MAX_DROP_REASONS)
			k->drop_class[e->val] = cgm_drop_class(name);
	}
}

void cgm_drops_set_up(const struct cgm_kernel *k)
{
	memcpy((void *)k->skel->rodata->cfg_drop_class, k->drop_class, sizeof(k->drop_class));
}
