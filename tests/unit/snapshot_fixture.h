/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up snapshot for tests and benches of renderers: every value has a source, every histogram has counts. */
#pragma once
#include <stdio.h>

#include "base/mem.h"
#include "model/snapshot.h"

struct fixture_config {
	size_t nr_rows, nr_cpus;
	bool disk, live; /* one disk in every row; the kernel side's numbers */
	uint32_t nr_nodes; /* NUMA; at most 2 with everything else */
	bool extras; /* what groups show that are off by default, in every row */
	bool root_devices; /* "/" also has two interfaces and two file systems, one of them on the disk */
	bool layers; /* the others have one, on the disk */
};

static inline uint64_t fixture_number(size_t row, size_t i)
{
	uint64_t x = (row + 1) * 0x9e3779b97f4a7c15ULL + (i + 1) * 0xbf58476d1ce4e5b9ULL;

	x ^= x >> 31;
	x *= 0x94d049bb133111ebULL;
	return x >> (20 + i % 24);
}

static inline void fixture_numbers(uint64_t *v, size_t nr, size_t row, size_t salt)
{
	for (size_t i = 0; i < nr; i++)
		v[i] = fixture_number(row, i + salt);
}

static inline struct cgm_layout *fixture_layout(const struct fixture_config *c, size_t row)
{
	static const struct cgm_layout_block root[] = {
		{ .kind = CGM_LAYOUT_IFACE, .name = "eth0", .nr = CGM_NR_IFACE_VALUES },
		{ .kind = CGM_LAYOUT_IFACE, .name = "wg\"0", .nr = CGM_NR_IFACE_VALUES },
		{ .kind = CGM_LAYOUT_FS, .name = "/dev/vda", .type = "vfs", .nr = CGM_NR_FS_VALUES },
		{ .kind = CGM_LAYOUT_FS, .name = "/mnt/tools", .type = "vfs", .nr = CGM_NR_FS_VALUES },
	};
	const struct cgm_layout_block extras[] = {
		{ .kind = CGM_LAYOUT_HUGETLB, .minor = 1, .name = "2MB", .nr = CGM_NR_HUGETLB_VALUES },
		{ .kind = CGM_LAYOUT_TCP, .nr = CGM_NR_TCP_STATES },
		{ .kind = CGM_LAYOUT_TCP, .minor = 1, .nr = CGM_NR_TCP_STATES },
		{ .kind = CGM_LAYOUT_UDP, .nr = CGM_NR_UDP_STATES },
		{ .kind = CGM_LAYOUT_UDP, .minor = 1, .nr = CGM_NR_UDP_STATES },
		{ .kind = CGM_LAYOUT_ADVTCP, .nr = CGM_NR_ADVTCP_VALUES },
		{ .kind = CGM_LAYOUT_RESCTRL, .minor = 3, .nr = CGM_NR_RESCTRL_VALUES },
		{ .kind = CGM_LAYOUT_PERF, .name = "cpu-\"clock\"", .nr = (uint32_t)c->nr_cpus * CGM_NR_PERF_VALUES },
		{ .kind = CGM_LAYOUT_UNCORE, .name = "uncore_imc_0/reads", .nr = CGM_NR_PERF_VALUES },
	};
	const size_t nr_extras = sizeof(extras) / sizeof(extras[0]) - (row > 0);
	struct cgm_layout *l = cgm_calloc(1, sizeof(*l) + 20 * sizeof(l->blocks[0]));

	if (!l)
		return NULL;
	l->refs = 1;
	for (size_t i = 0; i < CGM_NR_VALUES; i++)
		l->have[i / 64] |= 1ULL << i % 64;
	if (c->nr_cpus)
		l->blocks[l->nr_blocks++] = (struct cgm_layout_block){ .kind = CGM_LAYOUT_CPU, .nr = (uint32_t)c->nr_cpus };
	if (c->disk)
		l->blocks[l->nr_blocks++] =
			(struct cgm_layout_block){ .kind = CGM_LAYOUT_DISK, .major = 254, .name = "/dev/vda", .nr = CGM_NR_DISK_VALUES };
	for (size_t i = 0; c->root_devices && row == 0 && i < 4; i++)
		l->blocks[l->nr_blocks++] = root[i];
	if (c->layers && row)
		l->blocks[l->nr_blocks++] = root[2];
	for (uint32_t i = 0; i < c->nr_nodes; i++)
		l->blocks[l->nr_blocks++] = (struct cgm_layout_block){ .kind = CGM_LAYOUT_NUMA, .minor = i, .nr = CGM_NR_NUMA_VALUES };
	for (size_t i = 0; c->extras && i < nr_extras; i++)
		l->blocks[l->nr_blocks++] = extras[i];
	l->nr_values = CGM_NR_VALUES;
	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		l->blocks[i].first = l->nr_values;
		l->nr_values += l->blocks[i].nr;
	}
	return l;
}

/* Any container with connections has these: TCP_RTT and what follows it. */
#define FIXTURE_WAITS 4

/* All of a row's histograms share their buckets. */
static inline void fixture_hist(struct cgm_live_hist *h, const uint64_t *buckets, uint64_t sum_ns)
{
	*h = (struct cgm_live_hist){ .sum_ns = sum_ns, .nr = CGM_HIST_BUCKETS, .buckets = buckets };
	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		h->count += buckets[i];
}

static inline void fixture_live(struct cgm_live *live, struct cgm_live_block *blocks, uint64_t *buckets, size_t row)
{
	fixture_numbers(buckets, CGM_HIST_BUCKETS, row, 1000);
	fixture_hist(&live->sched.runq_delay, buckets, 1000 + row);
	fixture_hist(&live->sched.on_cpu, buckets, 2000 + row);
	for (size_t i = 0; i < CGM_NR_OFF_CPU; i++)
		fixture_hist(&live->sched.off_cpu[i], buckets, 3000 + i + row);
	fixture_numbers(&live->sched.voluntary, 3 + CGM_NR_PREEMPTORS, row, 1500);
	fixture_numbers((uint64_t *)&live->net, sizeof(live->net) / 8, row, 2000);
	live->dear = (struct cgm_dear *)(buckets + CGM_HIST_BUCKETS);
	live->waits = (struct cgm_live_wait *)(live->dear + 1);
	live->nr_waits = FIXTURE_WAITS;
	for (unsigned i = 0; i < FIXTURE_WAITS; i++) {
		live->waits[i].wait = CGM_W_TCP_RTT + i;
		fixture_hist(&live->waits[i].hist, buckets, 6000 + i + row);
	}
	/* Most of these never happen in most containers; in the first two all do. */
	for (size_t i = 0; i < CGM_NR_COUNTS; i++) {
		uint64_t v = row > 1 && i % 16 != row % 16 ? 0 : fixture_number(row, i + 2500);

		if (i < CGM_NR_COMMON_COUNTS)
			live->counts.v[i] = v;
		else
			live->dear->v[i - CGM_NR_COMMON_COUNTS] = v;
	}
	for (size_t i = 0; i < CGM_NR_SOCK_GAUGES; i++)
		live->socks[i] = row > 1 && i % 16 != row % 16 ? 0 : 1 + i + row;
	live->blocks = blocks;
	live->nr_blocks = 2;
	for (size_t i = 0; i < 2; i++) {
		blocks[i].dev = 254 << 20;
		blocks[i].op = i ? CGM_BLOCK_WRITE : CGM_BLOCK_READ;
		snprintf(blocks[i].name, sizeof(blocks[i].name), "/dev/vda");
		fixture_hist(&blocks[i].queue_to_done, buckets, 4000 + i + row);
		fixture_hist(&blocks[i].issue_to_done, buckets, 5000 + i + row);
		fixture_numbers(&blocks[i].bytes, (sizeof(blocks[i]) - offsetof(struct cgm_live_block, bytes)) / 8, row, 3000 + 1000 * i);
		blocks[i].issued = blocks[i].requests + i;
		if (row > 1) {
			memset(blocks[i].errors, 0, sizeof(blocks[i].errors));
			memset(blocks[i].sizes + 1, 0, sizeof(blocks[i].sizes) - sizeof(blocks[i].sizes[0]));
			blocks[i].requeues = 0;
		}
	}
}

static inline bool fixture_row(struct cgm_snapshot *s, const struct fixture_config *c, size_t n)
{
	struct cgm_row *row = &s->rows[s->nr_rows++];
	char name[128] = "/";

	if (n)
		snprintf(name, sizeof(name), "/kubepods.slice/kubepods-burstable.slice/cri-containerd-%08zx%032zx.scope", n * 2654435761 % 0xffffffff, n);
	row->identity = cgm_identity_new(name);
	row->layout = fixture_layout(c, n);
	if (!row->identity || !row->layout)
		return false;
	row->time_ns = s->time_ns;
	row->depth = n > 0;
	row->values = cgm_snapshot_alloc(s, row->layout->nr_values * sizeof(uint64_t));
	row->live = c->live ? cgm_snapshot_alloc(s, sizeof(*row->live) + 2 * sizeof(struct cgm_live_block) + 8 * CGM_HIST_BUCKETS +
						     sizeof(struct cgm_dear) + FIXTURE_WAITS * sizeof(struct cgm_live_wait)) : NULL;
	if (!row->values || (c->live && !row->live))
		return false;
	fixture_numbers(row->values, row->layout->nr_values, n, 0);
	if (row->live)
		fixture_live(row->live, (struct cgm_live_block *)(row->live + 1), (uint64_t *)((struct cgm_live_block *)(row->live + 1) + 2), n);
	row->spec = (struct cgm_spec){
		.creation_time_ns = 1795361498ULL * 1000000000,
		.has_cpu = true,
		.has_memory = true,
		.has_processes = true,
		.cpu_shares = 1024,
		.cpu_quota_usec = n % 2 ? 50000 : 0,
		.cpu_period_usec = 100000,
		.memory_limit = n % 3 ? 9223372036854771712ULL : 1 << 30,
		.memory_reservation = UINT64_MAX,
		.memory_swap_limit = UINT64_MAX,
		.pids_limit = UINT64_MAX,
	};
	return true;
}

/* NULL: out of memory. */
/* What an application said: a name that is ours, two that become the same, labels that need escapes. */
static inline struct cgm_app_metrics *fixture_app(void)
{
	static const struct cgm_app_kind gauge = { "gauge", "", false, true }, number = { "cumulative", "s", true, false };
	const struct cgm_pair labels[] = { { "zone", "\"a\\b\n\"" }, { "kind", "\xff" } };
	_cleanup_(cgm_app_draft_done) struct cgm_app_draft d = { 0 };
	struct cgm_app_metrics *m;

	assert_int_equal(cgm_app_draft_add(&d, "shop_carts", &gauge, labels, 2, 0.1, 1), 0);
	assert_int_equal(cgm_app_draft_add(&d, "shop_carts", &gauge, labels, 1, -12345.5, 1), 0);
	assert_int_equal(cgm_app_draft_add(&d, "cgmeter_agent_cpu_seconds_total", &gauge, NULL, 0, 5, 1), 0);
	assert_int_equal(cgm_app_draft_add(&d, "a b", &number, NULL, 0, 7, 1), 0);
	assert_int_equal(cgm_app_draft_add(&d, "a_b", &number, NULL, 0, 8, 1), 0);
	assert_int_equal(cgm_app_draft_add(&d, "9", &number, NULL, 0, 9, 1), 0);
	m = cgm_app_draft_finish(&d);
	assert_non_null(m);
	return m;
}

static inline struct cgm_snapshot *fixture_snapshot(const struct fixture_config *c)
{
	static struct cgm_program_status programs[] = {
		{ .name = "sched_switch", .hook = "tp_btf/sched_switch", .mode = "btf", .runs = 7, .run_ns = 1500 },
		{ .name = "block_issue", .hook = "block_rq_issue", .mode = "off", .reason = "no \"BTF\"\nin C:\\boot" },
	};
	struct cgm_snapshot *s = cgm_snapshot_new(c->nr_rows);

	if (!s)
		return NULL;
	s->seq = 1;
	s->time_ns = 1795362956824000000;
	s->self.cgroup_mode = "hybrid";
	s->self.programs = programs;
	s->self.nr_programs = 2;
	s->self.tick_cpu_ns = 1500000000;
	s->self.start_time_ns = 1795361498500000000;
	s->self.drops[CGM_DROP_SLOTS_FULL] = 3;
	s->self.adopted = true;
	s->self.late = (struct cgm_hist){ .buckets = { [0] = 1, [33] = 5, [48] = 2 }, .sum_ns = 1234567 };
	for (size_t i = 0; i < c->nr_rows; i++) {
		if (!fixture_row(s, c, i)) {
			cgm_snapshot_unref(s);
			return NULL;
		}
	}
	return s;
}
