// SPDX-License-Identifier: Apache-2.0
/*
 * One table, made of metrics.def in the order of that file, drives everything: an entry opens a family, the entries behind it
 * are its series. A family whose samples no macro can describe has a function here or in prometheus_agent.c.
 */
#include "output/prometheus.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "kernel/groups.h"
#include "model/label.h"
#include "output/kubelet.h"
#include "output/prometheus_write.h"

#define ROWS_A_STEP 16 /* a step of a histogram family is some 50 to 100 KB */
#define TEXT(literal) { sizeof(literal) - 1, literal }

static const struct cgm_prom_family families[] = {
#define CGM_FAMILY(id, name, type, unit, group, help) [CGM_F_##id] = { name, unit, help, type, CGM_G_##group },
#include "cgmeter/metrics.def"
};

/* DIGITS_V_x: digits behind the point of that value. */
enum {
#define CGM_VALUE(id, kind, unit, json, v1, v2) DIGITS_V_##id = CGM_DIGITS_##unit,
#define CGM_DISK_VALUE(id, kind, unit, json, op) DIGITS_DISK_##id = CGM_DIGITS_##unit,
#define CGM_IFACE_VALUE(id, kind, unit, json) DIGITS_IFACE_##id = CGM_DIGITS_##unit,
#define CGM_FS_VALUE(id, kind, unit, json) DIGITS_FS_##id = CGM_DIGITS_##unit,
#include "cgmeter/metrics.def"
};

/* Where a value comes from, by kind of cgroup tree. */
static const struct {
	const char *v1, *v2;
} sources[] = {
#define CGM_VALUE(id, kind, unit, json, v1, v2) [CGM_V_##id] = { v1, v2 },
#include "cgmeter/metrics.def"
};

static const struct cgm_prom_entry entries[] = {
#define CGM_FAMILY(id, name, type, unit, group, help) { .kind = FAMILY, .family = CGM_F_##id },
#define CGM_SERIES(f, v, l) { VALUE, CGM_F_##f, CGM_V_##v, DIGITS_V_##v, 0, l, NULL },
#define CGM_DISK_SERIES(f, v, l) { DISK, CGM_F_##f, CGM_DISK_##v, DIGITS_DISK_##v, 0, l, NULL },
#define CGM_IFACE_SERIES(f, v) { IFACE, CGM_F_##f, CGM_IFACE_##v, DIGITS_IFACE_##v, 0, "", NULL },
#define CGM_FS_SERIES(f, v) { FS, CGM_F_##f, CGM_FS_##v, DIGITS_FS_##v, 0, "", NULL },
#define CGM_HIST_SERIES(f, member, l) { HIST, CGM_F_##f, offsetof(struct cgm_live, sched.member), 0, 0, l, "bpf:sched" },
#define CGM_LIVE_SERIES(f, which, member, l) { LIVE, CGM_F_##f, offsetof(struct cgm_live, which.member), 0, 0, l, "bpf:" #which },
#define CGM_COUNT_SERIES(f, id, l) { COUNT, CGM_F_##f, CGM_C_##id, 0, 0, l, "bpf:counts" },
#define CGM_COUNT_NS_SERIES(f, id, l) { COUNT, CGM_F_##f, CGM_C_##id, CGM_DIGITS_NS, 0, l, "bpf:counts" },
#define CGM_WAIT_SERIES(f, id, l) { WAIT, CGM_F_##f, CGM_W_##id, 0, 0, l, "bpf:waits" },
#define CGM_SOCK_SERIES(f, id, l) { SOCK, CGM_F_##f, CGM_S_##id, 0, 0, l, "bpf:socks" },
#define CGM_WRITTEN_SERIES(f, l, from) { .kind = WRITTEN, .family = CGM_F_##f, .source = from },
#define CGM_MACHINE_SERIES(f, member) \
	{ MACHINE, CGM_F_##f, offsetof(struct cgm_machine, member), 0, sizeof(((struct cgm_machine *)0)->member), "", NULL },
#define CGM_SELF_SERIES(f, member, unit) \
	{ SELF, CGM_F_##f, offsetof(struct cgm_self, member), CGM_DIGITS_##unit, sizeof(((struct cgm_self *)0)->member), "", NULL },
#include "cgmeter/metrics.def"
};

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len > end_len && !memcmp(s + len - end_len, end, end_len);
}

bool cgm_prom_has_unit(const struct cgm_prom_family *f)
{
	size_t len = strlen(f->name);

	if (f->type == COUNTER && ends_with(f->name, len, "_total"))
		len -= strlen("_total");
	return f->unit[0] && ends_with(f->name, len, f->unit);
}

/* Escapes a HELP text: OpenMetrics wants quotes escaped too. */
static void put_help(struct cgm_prometheus *r, const char *help)
{
	for (; *help; help++) {
		if (*help == '\n') {
			cgm_buf_lit(r->out, "\\n");
			continue;
		}
		if (*help == '\\' || (*help == '"' && r->open_metrics))
			cgm_buf_char(r->out, '\\');
		cgm_buf_char(r->out, *help);
	}
}

/* "# WORD name " */
static void put_comment(struct cgm_prometheus *r, const char *word, size_t name_len)
{
	cgm_buf_str(r->out, word);
	cgm_buf_put(r->out, r->name, name_len);
	cgm_buf_char(r->out, ' ');
}

static void put_text_header(struct cgm_prometheus *r, const struct cgm_prom_family *f)
{
	static const char *const text_types[] = { "counter", "gauge", "histogram", "gauge" };
	static const char *const open_types[] = { "counter", "gauge", "histogram", "info" };
	const char *type = r->open_metrics ? open_types[f->type] : text_types[f->type];
	size_t len = strlen(f->name); /* of the family's name: in OpenMetrics the suffix belongs to the sample */

	if (r->open_metrics && f->type == COUNTER) {
		/* A counter's sample must end in _total; cAdvisor has some that do not. */
		if (ends_with(f->name, len, "_total"))
			len -= strlen("_total");
		else
			type = "unknown";
	} else if (r->open_metrics && f->type == GAUGE && ends_with(f->name, len, "_total")) {
		type = "unknown"; /* and gauges that end like a counter's sample */
	} else if (r->open_metrics && f->type == INFO) {
		len -= strlen("_info");
	}
	put_comment(r, "# HELP ", len);
	put_help(r, f->help);
	cgm_buf_char(r->out, '\n');
	put_comment(r, "# TYPE ", len);
	cgm_buf_str(r->out, type);
	cgm_buf_char(r->out, '\n');
	if (r->open_metrics && cgm_prom_has_unit(f)) {
		put_comment(r, "# UNIT ", len);
		cgm_buf_str(r->out, f->unit);
		cgm_buf_char(r->out, '\n');
	}
}

void cgm_prom_header(struct cgm_prometheus *r, const struct cgm_prom_family *f)
{
	if (r->protobuf)
		cgm_protobuf_family(r, f);
	else
		put_text_header(r, f);
}

bool cgm_prom_is_family(const char *name)
{
	static const char *const ends[] = { "_bucket", "_sum", "_count", "_created" };

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		size_t len = strlen(families[i].name);

		if (strncmp(name, families[i].name, len) != 0)
			continue;
		if (!name[len])
			return true;
		for (size_t n = 0; n < ARRAY_SIZE(ends); n++)
			if (strcmp(name + len, ends[n]) == 0)
				return true;
	}
	return false;
}

/* `,labels` without the closing brace. */
static void text_labels(struct cgm_prom_text *t, const char *labels)
{
	t->len = 0;
	if (!labels[0])
		return;
	cgm_prom_text_add(t, ",");
	cgm_prom_text_add(t, labels);
}

static uint64_t no_limit_is_0(uint64_t bytes)
{
	return bytes > 1ULL << 62 ? 0 : bytes;
}

/* Families from the row's time and spec. False: no sample. */
static bool spec_value(const struct cgm_row *row, enum cgm_family_id f, uint64_t *ret)
{
	const struct cgm_who *w = row->identity->who;
	const struct cgm_spec *s = &row->spec;

	switch (f) {
	case CGM_F_LAST_SEEN:
		*ret = row->time_ns / 1000000000; /* whole seconds, as the next two in cAdvisor */
		return true;
	case CGM_F_START_TIME:
		*ret = (w && w->started_ns ? w->started_ns : s->creation_time_ns) / 1000000000;
		return true;
	case CGM_F_CREATION_TIME:
		*ret = (w && w->created_ns ? w->created_ns : s->creation_time_ns) / 1000000000;
		return true;
	case CGM_F_SPEC_CPU_PERIOD:
		*ret = s->cpu_period_usec;
		return s->has_cpu;
	case CGM_F_SPEC_CPU_QUOTA:
		*ret = s->cpu_quota_usec;
		return s->has_cpu && s->cpu_quota_usec;
	case CGM_F_SPEC_CPU_SHARES:
		*ret = s->cpu_shares;
		return s->has_cpu;
	case CGM_F_SPEC_MEMORY_LIMIT:
		*ret = no_limit_is_0(s->memory_limit);
		return s->has_memory;
	case CGM_F_SPEC_MEMORY_RESERVATION:
		*ret = no_limit_is_0(s->memory_reservation);
		return s->has_memory;
	case CGM_F_SPEC_MEMORY_SWAP_LIMIT:
		*ret = no_limit_is_0(s->memory_swap_limit);
		return s->has_memory;
	default:
		return false;
	}
}

static void put_spec(struct cgm_prometheus *r, enum cgm_family_id f)
{
	static const struct cgm_prom_text own = TEXT("} ");
	uint64_t v;

	for (size_t i = r->row; i < r->row_end; i++)
		if (spec_value(&r->s->rows[i], f, &v))
			cgm_prom_row(r, &r->s->rows[i], &own, v, 0);
}

/* Each CPU that was used; returns false when the row has no numbers per CPU. */
static bool put_row_cpus(struct cgm_prometheus *r, const struct cgm_row *row)
{
	static const char before[] = ",cpu=\"cpu";
	const struct cgm_layout *l = row->layout;
	struct cgm_prom_text own;
	unsigned cpu = 0;

	for (uint32_t b = 0; b < l->nr_blocks; b++) {
		for (uint32_t i = 0; l->blocks[b].kind == CGM_LAYOUT_CPU && i < l->blocks[b].nr; i++, cpu++) {
			uint64_t v = row->values[l->blocks[b].first + i];
			char *p;

			if (!v)
				continue;
			p = cgm_prom_put(own.p, before, sizeof(before) - 1);
			if (cpu < 10)
				*p++ = '0';
			p = cgm_prom_u64(p, cpu);
			own.len = (size_t)(cgm_prom_put(p, "\"} ", 3) - own.p);
			cgm_prom_row(r, row, &own, v, CGM_DIGITS_NS);
		}
	}
	return cpu > 0;
}

static void put_cpu_usage(struct cgm_prometheus *r)
{
	static const struct cgm_prom_text total = TEXT(",cpu=\"total\"} ");
	bool percpu = !(r->s->self.groups_off >> CGM_G_PERCPU & 1) && !r->network;

	for (size_t i = r->row; i < r->row_end; i++) {
		const struct cgm_row *row = &r->s->rows[i];

		if (!(percpu && put_row_cpus(r, row)) && row->values[CGM_V_CPU_USAGE_TOTAL])
			cgm_prom_row(r, row, &total, row->values[CGM_V_CPU_USAGE_TOTAL], CGM_DIGITS_NS);
	}
}

/* CFS numbers mean nothing without a quota. */
static bool wants_quota(unsigned value)
{
	return value == CGM_V_CPU_CFS_PERIODS || value == CGM_V_CPU_CFS_THROTTLED_PERIODS || value == CGM_V_CPU_CFS_THROTTLED_TIME ||
	       value == CGM_V_CPU_CFS_BURST_PERIODS || value == CGM_V_CPU_CFS_BURST_TIME;
}

/* Rows lie far apart in memory: what the next ones need is fetched while this one is written. */
#define AHEAD 3
static void prefetch_row(const struct cgm_prometheus *r, size_t i, unsigned value)
{
	const struct cgm_row *row = &r->s->rows[i];

	if (i >= r->nr_rows)
		return;
	__builtin_prefetch(row->values + value);
	__builtin_prefetch(row->layout->have);
	__builtin_prefetch(row->identity->labels);
}

static void put_values(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_prom_text *own)
{
	bool quota = wants_quota(e->index);

	for (size_t i = r->row; i < r->row_end; i++) {
		const struct cgm_row *row = &r->s->rows[i];
		uint64_t v = row->values[e->index];

		prefetch_row(r, i + AHEAD, e->index);
		if (!cgm_layout_has(row->layout, (enum cgm_value)e->index) || (quota && !row->spec.cpu_quota_usec))
			continue;
		if (e->index == CGM_V_THREADS_MAX && v == UINT64_MAX)
			v = 0; /* no limit, as cAdvisor says it */
		cgm_prom_row(r, row, own, v, e->digits);
	}
}

static bool family_has(enum cgm_family_id f, enum cgm_prom_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (entries[i].family == f && entries[i].kind == kind)
			return true;
	return false;
}

static void put_disks(struct cgm_prometheus *r, const struct cgm_prom_entry *e)
{
	bool also_fs = family_has(e->family, FS);

	for (size_t i = r->row; i < r->row_end; i++)
		cgm_prom_disks(r, e, &r->s->rows[i], also_fs);
}

static void put_ifaces(struct cgm_prometheus *r, const struct cgm_prom_entry *e)
{
	for (size_t i = r->row; i < r->row_end; i++) {
		size_t as = r->network ? r->network[i] : i;

		if (as < cgm_prom_all_rows(r->s))
			cgm_prom_ifaces(r, e, &r->s->rows[i], &r->s->rows[as]);
	}
}

/*
 * Numbers that are shown together or not at all: most containers use one protocol or two, and many no TCP. Those that never counted are left
 * out, as with histograms.
 */
struct quiet {
	size_t first, end; /* offsets in struct cgm_live */
};

static struct quiet quiet_of(size_t index)
{
	size_t protos = offsetof(struct cgm_live, net.proto), tcp = offsetof(struct cgm_live, net.tcp_retransmitted_segments);
	const struct quiet sets[] = {
		{ tcp, offsetof(struct cgm_live, net.tcp_resets_received) + sizeof(uint64_t) },
		{ offsetof(struct cgm_live, sched.preempted), offsetof(struct cgm_live, sched.preempted[CGM_NR_PREEMPTORS]) },
	};

	if (index >= protos && index < protos + sizeof(((struct cgm_live *)0)->net.proto)) {
		size_t first = index - (index - protos) % sizeof(struct cgm_sock);

		return (struct quiet){ first, first + sizeof(struct cgm_sock) };
	}
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (index >= sets[i].first && index < sets[i].end)
			return sets[i];
	return (struct quiet){ 0 };
}

static bool counted(const struct cgm_live *live, const struct quiet *q)
{
	const char *p = (const char *)live;

	for (size_t at = q->first; at < q->end; at += sizeof(uint64_t))
		if (*(const uint64_t *)(p + at))
			return true;
	return !q->end;
}

/* Rows with what the kernel side counted: those of this step, and behind the last the one of cgroups that found no slot. */
static const struct cgm_row *next_live(const struct cgm_prometheus *r, size_t *i)
{
	const struct cgm_row *row = NULL;

	for (; *i < r->row_end; ++*i) {
		row = &r->s->rows[*i];
		if (!row->live)
			continue;
		++*i;
		return row;
	}
	if (*i != r->nr_rows)
		return NULL;
	++*i;
	return r->s->overflow;
}

static void put_live(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_prom_text *own)
{
	const struct quiet q = quiet_of(e->index);
	const struct cgm_row *row;

	for (size_t i = r->row; (row = next_live(r, &i));)
		if (counted(row->live, &q))
			cgm_prom_row(r, row, own, *(const uint64_t *)((const char *)row->live + e->index), 0);
}

/* Most of these never happen in most containers: those that counted nothing are left out. */
static void put_counts(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_prom_text *own)
{
	const struct cgm_row *row;

	for (size_t i = r->row; (row = next_live(r, &i));)
		if (cgm_live_count(row->live, e->index))
			cgm_prom_row(r, row, own, cgm_live_count(row->live, e->index), e->digits);
}

static void put_socks(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_prom_text *own)
{
	const struct cgm_row *row;

	for (size_t i = r->row; (row = next_live(r, &i));)
		if (row->live->socks[e->index])
			cgm_prom_row(r, row, own, row->live->socks[e->index], 0);
}

static void put_waits(struct cgm_prometheus *r, const struct cgm_prom_entry *e)
{
	struct cgm_prom_text labels;
	const struct cgm_row *row;

	text_labels(&labels, e->labels);
	for (size_t i = r->row; (row = next_live(r, &i));)
		for (size_t w = 0; w < row->live->nr_waits; w++)
			if (row->live->waits[w].wait == e->index)
				cgm_prom_hist(r, row, &labels, &row->live->waits[w].hist);
}

static void put_hists(struct cgm_prometheus *r, const struct cgm_prom_entry *e)
{
	struct cgm_prom_text labels;
	const struct cgm_row *row;

	text_labels(&labels, e->labels);
	for (size_t i = r->row; (row = next_live(r, &i));)
		cgm_prom_hist(r, row, &labels, (const struct cgm_live_hist *)((const char *)row->live + e->index));
}

static void put_written(struct cgm_prometheus *r, enum cgm_family_id f)
{
	const struct cgm_row *row;

	switch (f) {
	case CGM_F_CPU_USAGE:
		put_cpu_usage(r);
		return;
	case CGM_F_BLOCK_LATENCY:
	case CGM_F_BLOCK_SERVICE:
	case CGM_F_BLOCK_BYTES:
	case CGM_F_BLOCK_REQUESTS:
	case CGM_F_BLOCK_ERRORS:
	case CGM_F_BLOCK_REQUEUES:
	case CGM_F_BLOCK_SIZES:
	case CGM_F_BLOCK_IN_FLIGHT:
		for (size_t i = r->row; (row = next_live(r, &i));)
			cgm_prom_blocks(r, f, row);
		return;
	case CGM_F_MEMORY_NUMA:
		for (size_t i = r->row; i < r->row_end; i++)
			cgm_prom_numa(r, &r->s->rows[i]);
		return;
	case CGM_F_DIRTIED:
		for (size_t i = r->row; i < r->row_end; i++)
			if (r->s->rows[i].live)
				cgm_prom_dirtied(r, &r->s->rows[i]);
		return;
	default:
		if (cgm_prom_extra_family(r, f) || cgm_prom_runtime_family(r, f) || cgm_prom_storage_family(r, f))
			return;
		if (r->row > 0 || !(cgm_prom_agent_family(r, f) || cgm_prom_machine_family(r, f)))
			put_spec(r, f);
	}
}

/* 0: this kernel does not tell. */
static bool self_known(const struct cgm_prometheus *r, enum cgm_family_id f)
{
	return f != CGM_F_PROCESS_OPEN_FDS || r->s->self.nr_open_fds;
}

static uint64_t member(const void *base, const struct cgm_prom_entry *e)
{
	const char *p = (const char *)base + e->index;

	return e->size == 8 ? *(const uint64_t *)p : e->size == 4 ? *(const uint32_t *)p : *(const uint8_t *)p;
}

static void put_series(struct cgm_prometheus *r, const struct cgm_prom_entry *e)
{
	struct cgm_prom_text own;

	text_labels(&own, e->labels ? e->labels : "");
	cgm_prom_text_add(&own, "} ");
	switch (e->kind) {
	case FAMILY:
		break;
	case WRITTEN:
		put_written(r, e->family);
		break;
	case VALUE:
		put_values(r, e, &own);
		break;
	case DISK:
		put_disks(r, e);
		break;
	case IFACE:
		put_ifaces(r, e);
		break;
	case FS:
		for (size_t i = r->row; i < r->row_end; i++)
			cgm_prom_fs(r, e, &r->s->rows[i]);
		break;
	case LIVE:
		put_live(r, e, &own);
		break;
	case HIST:
		put_hists(r, e);
		break;
	case COUNT:
		put_counts(r, e, &own);
		break;
	case SOCK:
		put_socks(r, e, &own);
		break;
	case WAIT:
		put_waits(r, e);
		break;
	case MACHINE:
		if (r->machine && r->row == 0)
			cgm_prom_machine_number(r, member(r->machine, e));
		break;
	case SELF:
		if (r->row == 0 && self_known(r, e->family))
			cgm_prom_plain(r, NULL, member(&r->s->self, e), e->digits);
		break;
	}
}

/* The group whose programs count for an entry; CGM_G_NONE: it comes from elsewhere. */
static enum cgm_group provider(const struct cgm_prometheus *r, const struct cgm_prom_entry *e)
{
	bool v2 = r->s->self.cgroup_mode && strcmp(r->s->self.cgroup_mode, "v2") == 0;
	const char *source = e->kind != VALUE ? e->source : v2 ? sources[e->index].v2 : sources[e->index].v1;

	return cgm_group_of_source(source, families[e->family].group);
}

/* The kubelet shows these groups of cAdvisor's, and nothing of ours. */
static bool is_of_kubelet(const struct cgm_prom_family *f)
{
	static const char *const words[] = { "container_", "machine_", "cadvisor_" };
	const uint64_t groups = 1ULL << CGM_G_CORE | 1ULL << CGM_G_MACHINE | 1ULL << CGM_G_CPU | 1ULL << CGM_G_CPULOAD | 1ULL << CGM_G_MEMORY |
				1ULL << CGM_G_DISK | 1ULL << CGM_G_DISKIO | 1ULL << CGM_G_NETWORK | 1ULL << CGM_G_PROCESSES;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strncmp(f->name, words[i], strlen(words[i])) == 0)
			return groups >> f->group & 1;
	return false;
}

/* Is an entry's group hidden, or does nobody count for it? */
static bool is_off(const struct cgm_prometheus *r, const struct cgm_prom_entry *e)
{
	const struct cgm_self *self = &r->s->self;
	enum cgm_group family = families[e->family].group, counts;

	if (family != CGM_G_NONE && self->groups_off >> family & 1)
		return true;
	if (r->network && !is_of_kubelet(&families[e->family]))
		return true;
	if (!self->groups_idle)
		return false;
	/* The devices' counters go on from where they were when the programs come back: the files' are others. */
	if (e->kind == DISK)
		return self->groups_paused >> CGM_G_BLOCK & 1;
	counts = provider(r, e);
	return counts != CGM_G_NONE && self->groups_idle >> counts & 1;
}

/* Shortest and exact, in exponential form below 0.0001, as Prometheus itself writes it; OpenMetrics wants a point in a whole number. */
static void le_init(struct cgm_prom_le *le, double bound, bool open_metrics)
{
	bool whole = open_metrics && bound >= 1;

	le->len = (size_t)snprintf(le->p, sizeof(le->p), ",le=\"%.15g%s\"} ", bound, whole ? ".0" : "");
}

#define CGM_FAMILY(id, name, type, unit, group, help) _Static_assert(sizeof(name) + CGM_OVER <= CGM_PROM_HEAD, "head has room for " name);
#include "cgmeter/metrics.def"

static const struct cgm_prom_stamp no_stamp;

/* The time of a sample: milliseconds, in OpenMetrics seconds. */
static void stamp_init(struct cgm_prom_stamp *st, uint64_t time_ns, bool open_metrics)
{
	st->ms = time_ns / 1000000;
	st->p[0] = ' ';
	st->len = (size_t)(cgm_prom_fixed(st->p + 1, st->ms, open_metrics ? CGM_DIGITS_MSEC : CGM_DIGITS_NONE) - st->p);
}

/* All that any row has of labels, for every row. Without labels of a runtime there is nothing to add. */
static int labels_init(struct cgm_prometheus *r)
{
	_cleanup_free_ const struct cgm_identity **ids = NULL;
	size_t nr = cgm_prom_all_rows(r->s);
	bool any = false;

	for (size_t i = 0; i < nr; i++) {
		const struct cgm_identity *id = r->s->rows[i].identity;

		any |= id->nr_shown || id->has_alias || id->has_image;
	}
	if (!any)
		return 0;
	ids = cgm_malloc(nr * sizeof(*ids));
	for (size_t i = 0; ids && i < nr; i++)
		ids[i] = r->s->rows[i].identity;
	r->labels = ids ? cgm_label_union_new(ids, nr) : NULL;
	return r->labels ? 0 : -ENOMEM;
}

static int init(struct cgm_prometheus *r, const struct cgm_snapshot *s, const struct cgm_machine *machine, enum cgm_prometheus_format format)
{
	*r = (struct cgm_prometheus){
		.s = s, .machine = machine, .open_metrics = format == CGM_PROMETHEUS_OPENMETRICS, .stamp = &no_stamp
	};
	if (s->self.show_timestamps || format == CGM_PROMETHEUS_KUBELET) {
		stamp_init(&r->row_stamp, s->time_ns, r->open_metrics);
		if (machine && format != CGM_PROMETHEUS_KUBELET)
			stamp_init(&r->machine_stamp, machine->time_ns, r->open_metrics);
	}
	if (format == CGM_PROMETHEUS_KUBELET ? cgm_kubelet_labels(s, &r->labels, &r->network) < 0 : s->self.show_empty_labels && labels_init(r) < 0)
		return -ENOMEM;
	if (cgm_prom_apps_new(s, &r->apps) < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < CGM_PROM_LE_BOUNDS; i++)
		le_init(&r->le[i], cgm_prom_bound(i), r->open_metrics);
	if (format != CGM_PROMETHEUS_PROTOBUF)
		return 0;
	r->protobuf = cgm_protobuf_new(r);
	return r->protobuf ? 0 : -ENOMEM;
}

static void done(struct cgm_prometheus *r)
{
	cgm_prom_apps_free(r->apps);
	cgm_protobuf_free(r->protobuf);
	cgm_label_union_free(r->labels);
	free(r->network);
}

/* Its length stands in front in protobuf, and a header alone may have to be taken back: no piece ends here. */
static bool is_family_open(const struct cgm_prometheus *r)
{
	return r->state == CGM_PROM_HEADER || (r->protobuf && r->state == CGM_PROM_OPEN);
}

static void end_family(struct cgm_prometheus *r)
{
	if (r->state == CGM_PROM_HEADER && !r->out->failed)
		r->out->len = r->header_at;
	if (r->state == CGM_PROM_OPEN && r->protobuf)
		cgm_protobuf_end(r);
	r->state = CGM_PROM_CLOSED;
}

static void next_entry(struct cgm_prometheus *r)
{
	r->row = 0;
	if (++r->entry == ARRAY_SIZE(entries))
		end_family(r);
}

/* Behind the table; false: that was the end. */
static bool step_behind(struct cgm_prometheus *r)
{
	if (cgm_prom_apps_next(r))
		return true;
	if (r->open_metrics)
		cgm_buf_lit(r->out, "# EOF\n");
	return false;
}

/* As cAdvisor: no time stands behind what is no measurement. */
static const struct cgm_prom_stamp *stamp_of(const struct cgm_prometheus *r, enum cgm_family_id f)
{
	if ((f >= CGM_F_START_TIME && f <= CGM_F_SPEC_MEMORY_SWAP_LIMIT) || f == CGM_F_VERSION_INFO || f == CGM_F_MACHINE_SCRAPE_ERROR ||
	    f == CGM_F_CONTAINER_SCRAPE_ERROR || f >= CGM_F_BUILD_INFO)
		return &no_stamp;
	return f >= CGM_F_MACHINE_PHYSICAL_CORES && f <= CGM_F_MACHINE_NODE_DISTANCE ? &r->machine_stamp : &r->row_stamp;
}
_Static_assert(CGM_F_START_TIME < CGM_F_SPEC_CPU_PERIOD && CGM_F_SPEC_CPU_PERIOD < CGM_F_SPEC_MEMORY_SWAP_LIMIT &&
		       CGM_F_MACHINE_PHYSICAL_CORES < CGM_F_MACHINE_NVM && CGM_F_MACHINE_NVM < CGM_F_MACHINE_NODE_DISTANCE &&
		       CGM_F_BUILD_INFO < CGM_F_PROCESS_START,
	       "stamp_of relies on this order of metrics.def");

/* What is said of a container that has ended: counters; of gauges the times, and a peak. All others would stand in sums of what there is now. */
static bool outlives(enum cgm_family_id id)
{
	return families[id].type == COUNTER || families[id].type == HISTOGRAM || id == CGM_F_LAST_SEEN || id == CGM_F_START_TIME ||
	       id == CGM_F_CREATION_TIME || id == CGM_F_MEMORY_MAX_USAGE;
}

/* "family_created", where the format and the options have it. */
static void begin_family(struct cgm_prometheus *r, enum cgm_family_id id)
{
	const struct cgm_prom_family *f = &families[id];
	size_t len;

	r->name = f->name;
	r->name_len = len = strlen(f->name);
	memcpy(r->head, f->name, len);
	r->head[len] = '{';
	r->stamp = stamp_of(r, id);
	r->nr_rows = outlives(id) ? cgm_prom_all_rows(r->s) : r->s->nr_rows;
	r->created_len = 0;
	if (!r->s->self.show_created || !(r->open_metrics || r->protobuf))
		return;
	if (f->type == COUNTER && ends_with(f->name, len, "_total"))
		len -= strlen("_total");
	else if (f->type != HISTOGRAM)
		return;
	r->created_len = (size_t)snprintf(r->created, sizeof(r->created), "%.*s_created", (int)len, f->name);
}

/* The kernel side cannot have counted before it was loaded; what was adopted began at some time before this process. */
static void begin_entry(struct cgm_prometheus *r, const struct cgm_prom_entry *e)
{
	bool loaded_here = provider(r, e) != CGM_G_NONE && !r->s->self.adopted;

	r->counting_since_ns = loaded_here ? r->s->self.start_time_ns : 0;
}

/* Writes the next rows of the next entry of the table. */
static void step(struct cgm_prometheus *r)
{
	const struct cgm_prom_entry *e = &entries[r->entry];
	size_t before;

	if (e->kind == FAMILY) {
		end_family(r);
		begin_family(r, e->family);
		r->entry++;
		return;
	}
	if (r->row == 0 && is_off(r, e)) {
		next_entry(r);
		return;
	}
	if (r->created_len && r->row == 0)
		begin_entry(r, e);
	r->row_end = MIN(r->row + ROWS_A_STEP, r->nr_rows);
	if (r->state == CGM_PROM_CLOSED) {
		r->header_at = r->out->len;
		cgm_prom_header(r, &families[e->family]);
		r->state = CGM_PROM_HEADER;
	}
	before = r->out->len;
	put_series(r, e);
	if (r->out->failed)
		return;
	if (r->out->len > before)
		r->state = CGM_PROM_OPEN;
	r->row = r->row_end;
	if (r->row >= r->nr_rows)
		next_entry(r);
}

struct cgm_prometheus *cgm_prometheus_new(const struct cgm_snapshot *s, const struct cgm_machine *machine,
					  enum cgm_prometheus_format format)
{
	struct cgm_prometheus *r = cgm_malloc(sizeof(*r));

	if (r && init(r, s, machine, format) < 0) {
		cgm_prometheus_free(r);
		return NULL;
	}
	return r;
}

void cgm_prometheus_free(struct cgm_prometheus *r)
{
	if (r)
		done(r);
	free(r);
}

int cgm_prometheus_next(struct cgm_prometheus *r, size_t want_bytes, struct cgm_buf *out)
{
	size_t start = out->len;

	r->out = out;
	while (r->entry < ARRAY_SIZE(entries) && !out->failed && (out->len - start < want_bytes || is_family_open(r)))
		step(r);
	while (r->entry == ARRAY_SIZE(entries) && !r->ended && !out->failed && out->len - start < want_bytes)
		r->ended = !step_behind(r);
	return out->failed ? -ENOMEM : out->len > start;
}

int cgm_prometheus_render(const struct cgm_snapshot *s, const struct cgm_machine *machine, enum cgm_prometheus_format format,
			  struct cgm_buf *out)
{
	_cleanup_(done) struct cgm_prometheus r;
	int err;

	err = init(&r, s, machine, format);
	if (err < 0) {
		out->failed = true;
		return err;
	}
	err = cgm_prometheus_next(&r, SIZE_MAX, out);
	return err < 0 ? err : 0;
}
