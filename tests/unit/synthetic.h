/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots made up for the tests of user/output, through the same calls that the sampler uses. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "model/snapshot.h"

#define SYNTH_ROWS 24
#define SYNTH_FIRST_NS 1790000000000000000ULL /* 2026-09-21T14:13:20Z */
#define SYNTH_STEP_NS 1000000000ULL

struct synth {
	const char *names[SYNTH_ROWS]; /* sorted, "/" first */
	uint32_t serials[SYNTH_ROWS]; /* those of another synth are others */
	const struct cgm_who *who[SYNTH_ROWS]; /* what a runtime says, of a pod's own cgroup its sandbox's; NULL: no runtime knows it */
	const char *iface[SYNTH_ROWS]; /* an interface of that row, beside those of "/"; NULL: none */
	size_t nr_names;
	struct cgm_history *history[SYNTH_ROWS];
	struct cgm_layout *layout[SYNTH_ROWS];
	struct cgm_sample sample;
	unsigned nr_ticks;
	bool live; /* with a kernel side */
	bool bare; /* without blocks and without any optional value */
};

static inline const char *synth_disk_name(void *arg, uint32_t major, uint32_t minor, char *buf, size_t size)
{
	(void)arg;
	snprintf(buf, size, "/dev/disk%u_%u", major, minor);
	return buf;
}

static inline void synth_init(struct synth *y, const char *const *names, size_t nr)
{
	static uint32_t last_serial;

	assert_true(nr <= SYNTH_ROWS);
	*y = (struct synth){ .nr_names = nr };
	for (size_t i = 0; i < nr; i++) {
		y->names[i] = names[i];
		y->serials[i] = ++last_serial;
		y->history[i] = cgm_history_new(3600 * 1000000000ULL);
		assert_non_null(y->history[i]);
	}
}

static inline void synth_done(struct synth *y)
{
	for (size_t i = 0; i < y->nr_names; i++) {
		cgm_history_free(y->history[i]);
		cgm_layout_unref(y->layout[i]);
	}
	cgm_sample_done(&y->sample);
}

/* What value v of row is at that tick. All differ. */
static inline uint64_t synth_value(size_t row, unsigned tick, unsigned v)
{
	return 1000000 * (row + 1) + 1000 * tick + v + 1;
}

/* Extras of all kinds; where[i] is the place of the first value among synth_value()'s. */
static const struct synth_extra {
	enum cgm_layout_kind kind;
	uint32_t number, nr;
	const char *name;
	bool root_only;
	unsigned where;
} synth_extras[] = {
	{ CGM_LAYOUT_HUGETLB, 1, CGM_NR_HUGETLB_VALUES, "2MB", false, 1000 },
	{ CGM_LAYOUT_HUGETLB, 0, CGM_NR_HUGETLB_VALUES, "1GB", false, 1010 },
	{ CGM_LAYOUT_TCP, 0, CGM_NR_TCP_STATES, "", true, 1020 },
	{ CGM_LAYOUT_TCP, 1, CGM_NR_TCP_STATES, "", true, 1040 },
	{ CGM_LAYOUT_UDP, 0, CGM_NR_UDP_STATES, "", true, 1060 },
	{ CGM_LAYOUT_UDP, 1, CGM_NR_UDP_STATES, "", true, 1070 },
	{ CGM_LAYOUT_ADVTCP, 0, CGM_NR_ADVTCP_VALUES, "", true, 1100 },
	{ CGM_LAYOUT_RESCTRL, 0, CGM_NR_RESCTRL_VALUES, "", false, 1300 },
	{ CGM_LAYOUT_RESCTRL, 1, CGM_NR_RESCTRL_VALUES, "", false, 1310 },
	{ CGM_LAYOUT_PERF, 0, 2 * CGM_NR_PERF_VALUES, "cpu-clock", false, 1320 },
	{ CGM_LAYOUT_UNCORE, 0, CGM_NR_PERF_VALUES, "uncore_imc_0/reads", true, 1330 },
};

static inline void synth_fill_extras(struct cgm_sample *s, size_t row, unsigned tick)
{
	for (size_t i = 0; i < sizeof(synth_extras) / sizeof(synth_extras[0]); i++) {
		const struct synth_extra *x = &synth_extras[i];
		uint64_t *v = x->root_only && row ? NULL : cgm_sample_extra(s, x->kind, x->number, x->name, x->nr);

		for (uint32_t n = 0; v && n < x->nr; n++)
			v[n] = synth_value(row, tick, x->where + n);
	}
}

static inline void synth_fill(struct synth *y, size_t row, unsigned tick)
{
	struct cgm_sample *s = &y->sample;

	cgm_sample_reset(s);
	s->time_ns = SYNTH_FIRST_NS + tick * SYNTH_STEP_NS;
	for (unsigned v = 0; v < CGM_NR_VALUES; v++) {
		bool optional = v == CGM_V_OOM_EVENTS || (v >= CGM_V_PROCESS_COUNT && v <= CGM_V_MEMORY_MIGRATE);

		if (!(y->bare && optional))
			cgm_sample_set(s, (enum cgm_value)v, synth_value(row, tick, v));
	}
	if (y->bare)
		return;
	assert_int_equal(cgm_sample_cpus(s, 2), 0);
	s->cpu_ns[0] = synth_value(row, tick, 500);
	s->cpu_ns[1] = synth_value(row, tick, 501);
	for (unsigned d = 0; d < 2; d++)
		for (unsigned v = 0; v < CGM_NR_DISK_VALUES; v++)
			cgm_sample_disk(s, 8, d * 16)->v[v] = synth_value(row, tick, 600 + 50 * d + v);
	for (unsigned node = 0; node < 2; node++)
		for (unsigned v = 0; v < CGM_NR_NUMA_VALUES; v++)
			cgm_sample_numa(s, node)->v[v] = synth_value(row, tick, 900 + 10 * node + v);
	synth_fill_extras(s, row, tick);
	for (unsigned v = 0; y->iface[row] && v < CGM_NR_IFACE_VALUES; v++)
		cgm_sample_iface(s, y->iface[row])->v[v] = synth_value(row, tick, 700 + v);
	if (row)
		return;
	for (unsigned v = 0; v < CGM_NR_IFACE_VALUES; v++) {
		cgm_sample_iface(s, "eth0")->v[v] = synth_value(row, tick, 700 + v);
		cgm_sample_iface(s, "eth1")->v[v] = synth_value(row, tick, 750 + v);
	}
	for (unsigned v = 0; v < CGM_NR_FS_VALUES; v++)
		cgm_sample_fs(s, "/dev/vda1", "vfs")->v[v] = synth_value(row, tick, 800 + v);
}

/* Samples every row once more. */
static inline void synth_tick(struct synth *y)
{
	for (size_t i = 0; i < y->nr_names; i++) {
		struct cgm_layout *l;
		uint64_t *values;

		synth_fill(y, i, y->nr_ticks);
		l = cgm_layout_for(y->layout[i], &y->sample, synth_disk_name, NULL);
		assert_non_null(l);
		cgm_layout_unref(y->layout[i]);
		y->layout[i] = l;
		values = calloc(l->nr_values, sizeof(*values));
		assert_non_null(values);
		cgm_layout_pack(l, &y->sample, values);
		assert_int_equal(cgm_history_add(y->history[i], l, y->sample.time_ns, values), 0);
		free(values);
	}
	y->nr_ticks++;
}

static inline uint32_t synth_parent(const struct synth *y, size_t row, uint32_t *ret_depth)
{
	size_t best = 0;

	*ret_depth = row ? 1 : 0;
	for (size_t i = 1; i < row; i++) {
		size_t len = strlen(y->names[i]);

		if (strncmp(y->names[i], y->names[row], len) != 0 || y->names[row][len] != '/')
			continue;
		best = i;
		++*ret_depth;
	}
	return (uint32_t)best;
}

/* Buckets that nobody writes any more; in the memory of the snapshot. */
static inline void synth_pack(struct cgm_snapshot *s, const struct cgm_hist *h, struct cgm_live_hist *ret)
{
	uint64_t *buckets = cgm_snapshot_alloc(s, sizeof(h->buckets));

	assert_non_null(buckets);
	memcpy(buckets, h->buckets, sizeof(h->buckets));
	*ret = (struct cgm_live_hist){ .sum_ns = h->sum_ns, .nr = CGM_HIST_BUCKETS, .buckets = buckets };
	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		ret->count += h->buckets[i];
}

static inline struct cgm_live *synth_live(struct cgm_snapshot *s, size_t row)
{
	struct cgm_live *l = cgm_snapshot_alloc(s, sizeof(*l));
	struct cgm_hist runq = { .sum_ns = 77777 + row }, iowait = { .buckets = { [3] = 9 } }, last = { .buckets = { [CGM_HIST_BUCKETS - 1] = 3 } };

	assert_non_null(l);
	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		runq.buckets[i] = i + row;
	synth_pack(s, &runq, &l->sched.runq_delay);
	synth_pack(s, &iowait, &l->sched.off_cpu[CGM_OFF_IOWAIT]);
	l->counts.v[CGM_C_FORKS] = 12 + row;
	l->nr_waits = 1;
	l->waits = cgm_snapshot_alloc(s, sizeof(*l->waits));
	assert_non_null(l->waits);
	l->waits[0].wait = CGM_W_RECLAIM_LIMIT;
	synth_pack(s, &last, &l->waits[0].hist);
	l->net.proto[CGM_PROTO_TCP].rx_bytes = 100;
	l->net.proto[CGM_PROTO_UNIX].rx_bytes = 23;
	l->net.proto[CGM_PROTO_UDP].tx_bytes = 45;
	l->nr_blocks = 2;
	l->blocks = cgm_snapshot_alloc(s, 2 * sizeof(*l->blocks));
	assert_non_null(l->blocks);
	for (unsigned i = 0; i < 2; i++) {
		l->blocks[i].op = i ? CGM_BLOCK_WRITE : CGM_BLOCK_READ;
		snprintf(l->blocks[i].name, sizeof(l->blocks[i].name), "/dev/vda");
		l->blocks[i].bytes = 4096 * (i + 1);
		l->blocks[i].requests = 3;
		l->blocks[i].issued = 5;
		synth_pack(s, &last, &l->blocks[i].queue_to_done);
	}
	return l;
}

static inline struct cgm_identity *synth_identity(const struct synth *y, size_t row)
{
	static const struct cgm_label_rules all = { .store = true };
	struct cgm_who *who = y->who[row] ? cgm_who_new(y->who[row]) : NULL;
	struct cgm_identity *i = cgm_identity_new_who(y->names[row], who, &all);

	cgm_who_unref(who);
	return i;
}

/* The picture after the last tick. */
static inline struct cgm_snapshot *synth_snapshot(struct synth *y)
{
	struct cgm_snapshot *s = cgm_snapshot_new(y->nr_names);

	assert_non_null(s);
	s->seq = y->nr_ticks;
	s->time_ns = SYNTH_FIRST_NS + (y->nr_ticks - 1) * SYNTH_STEP_NS;
	s->self.cgroup_mode = "hybrid";
	s->self.drops[CGM_DROP_EVENTS] = 6;
	for (size_t i = 0; i < y->nr_names; i++) {
		struct cgm_row *r = &s->rows[i];

		s->nr_rows = i + 1;
		r->identity = synth_identity(y, i);
		r->serial = y->serials[i];
		assert_non_null(r->identity);
		r->spec = (struct cgm_spec){ .creation_time_ns = SYNTH_FIRST_NS + 5, .has_cpu = true, .has_memory = true, .has_processes = true,
					     .has_diskio = true, .cpu_shares = 1024, .cpu_quota_usec = 50000, .cpu_period_usec = 100000,
					     .cpu_mask = "0-1", .memory_limit = 1 << 30, .pids_limit = 77 };
		r->layout = cgm_layout_ref(y->layout[i]);
		r->time_ns = s->time_ns;
		r->values = cgm_snapshot_alloc(s, r->layout->nr_values * sizeof(*r->values));
		assert_non_null(r->values);
		synth_fill(y, i, y->nr_ticks - 1);
		cgm_layout_pack(r->layout, &y->sample, r->values);
		r->live = y->live ? synth_live(s, i) : NULL;
		cgm_history_view_init(y->history[i], &r->history);
		r->parent = synth_parent(y, i, &r->depth);
	}
	return s;
}
