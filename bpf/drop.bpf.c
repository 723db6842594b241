// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Packets that the kernel threw away, by a handful of classes. What is freed without a reason is no loss (most of it was used up), and goes
 * at the first look into the table.
 */
#include "sock.bpf.h"

/* Key: the kernel's enum skb_drop_reason. Value: class + 1, in the order of enum cgm_count from CGM_C_DROP_NO_SOCKET on; 0: no loss. Set before the load. */
const volatile __u8 cfg_drop_class[CGM_MAX_DROP_REASONS] = {};

/* rx: the socket that was to get it. sk: its own, that sent it or was found for it. Either may be missing. */
static __always_inline int dropped(const struct sk_buff *skb, __u32 reason, const struct sock *rx)
{
	__u32 class = CGM_C_DROP_OTHER - CGM_C_DROP_NO_SOCKET + 1, slot; /* above the table: reasons of other subsystems */

	__asm__ volatile("" : "+r"(reason)); /* what is compared must be what is used, or the verifier does not know its bounds */
	if (reason < CGM_MAX_DROP_REASONS)
		class = cfg_drop_class[reason];
	if (!class)
		return 0;
	slot = rx ? slot_of_any(rx) : slot_of_any(skb->sk);
	count_slot(slot, CGM_C_DROP_NO_SOCKET + class - 1, 1);
	return 0;
}

SEC("?tp_btf/kfree_skb")
int BPF_PROG(cgm_skb_drop, struct sk_buff *skb, void *location, __u32 reason, struct sock *rx)
{
	return dropped(skb, reason, rx);
}

/* Before 6.11 (c53795d48ee8) it did not say for whom. */
SEC("?tp_btf/kfree_skb")
int BPF_PROG(cgm_skb_drop_no, struct sk_buff *skb, void *location, __u32 reason)
{
	return dropped(skb, reason, NULL);
}
