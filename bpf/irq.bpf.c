// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Time that interrupts take from the task that they interrupt, whoever they are for. What comes while a CPU idles is nobody's. A hard interrupt
 * during a soft one is taken off the soft one's time, so no time counts twice.
 */
#include "count.bpf.h"

/* Of this CPU: when what is under way began; 0: nothing is. */
struct interrupted {
	__u64 hard_ns, soft_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct interrupted);
} cgm_irqs SEC(".maps");

static __always_inline struct interrupted *interrupted(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cgm_irqs, &zero);
}

static __always_inline int hard_begin(void)
{
	struct interrupted *i = interrupted();

	if (i)
		i->hard_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int hard_end(enum cgm_count id)
{
	struct interrupted *i = interrupted();
	__u64 ns;

	if (!i || !i->hard_ns)
		return 0;
	ns = since(bpf_ktime_get_ns(), i->hard_ns);
	i->hard_ns = 0;
	if (i->soft_ns)
		i->soft_ns += ns;
	count_running(id, ns);
	return 0;
}

SEC("?tp_btf/irq_handler_entry")
int cgm_irq_in(void *ctx)
{
	(void)ctx;
	return hard_begin();
}

SEC("?tp_btf/irq_handler_exit")
int cgm_irq_out(void *ctx)
{
	(void)ctx;
	return hard_end(CGM_C_IRQ_DEVICE);
}

SEC("?tp_btf/local_timer_entry")
int cgm_tick_in(void *ctx)
{
	(void)ctx;
	return hard_begin();
}

SEC("?tp_btf/local_timer_exit")
int cgm_tick_out(void *ctx)
{
	(void)ctx;
	return hard_end(CGM_C_IRQ_TICK);
}

SEC("?tp_btf/softirq_entry")
int cgm_soft_in(void *ctx)
{
	struct interrupted *i = interrupted();

	(void)ctx;
	if (i)
		i->soft_ns = bpf_ktime_get_ns();
	return 0;
}

/* vector: the order of the ids, HI_SOFTIRQ to RCU_SOFTIRQ of include/linux/interrupt.h. */
SEC("?tp_btf/softirq_exit")
int BPF_PROG(cgm_soft_out, unsigned int vector)
{
	struct interrupted *i = interrupted();
	__u32 id = CGM_C_IRQ_HI + vector;
	__u64 ns;

	if (!i || !i->soft_ns)
		return 0;
	ns = since(bpf_ktime_get_ns(), i->soft_ns);
	i->soft_ns = 0;
	if (id <= CGM_C_IRQ_RCU)
		count_running(id, ns);
	return 0;
}
