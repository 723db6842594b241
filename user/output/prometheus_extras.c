// SPDX-License-Identifier: Apache-2.0
/* Families of groups that are off by default: what a row has as extras (user/cgroup/sample.h). */
#include "output/prometheus_write.h"

/* A family whose labels are words of a table: values of blocks of that kind (and number) from first on. */
static void put_states(struct cgm_prometheus *r, enum cgm_layout_kind kind, uint32_t number, const struct cgm_prom_text *labels)
{
	for (size_t i = r->row; i < r->row_end; i++) {
		const struct cgm_row *row = &r->s->rows[i];

		for (uint32_t n = 0; n < row->layout->nr_blocks; n++) {
			const struct cgm_layout_block *b = &row->layout->blocks[n];

			if (b->kind != kind || b->minor != number)
				continue;
			for (uint32_t v = 0; v < b->nr; v++)
				cgm_prom_row(r, row, &labels[v], row->values[b->first + v], CGM_DIGITS_NONE);
		}
	}
}

#define STATE(literal) { sizeof(literal) - 1, literal }

static void put_sockets(struct cgm_prometheus *r, enum cgm_family_id f)
{
	static const struct cgm_prom_text tcp[] = {
#define CGM_TCP_VALUE(id, json, state) STATE(",tcp_state=\"" state "\"} "),
#include "cgmeter/metrics.def"
	};
	static const struct cgm_prom_text udp[] = {
#define CGM_UDP_VALUE(id, json, state) STATE(",udp_state=\"" state "\"} "),
#include "cgmeter/metrics.def"
	};

	if (f == CGM_F_NET_TCP || f == CGM_F_NET_TCP6)
		put_states(r, CGM_LAYOUT_TCP, f == CGM_F_NET_TCP6, tcp);
	else
		put_states(r, CGM_LAYOUT_UDP, f == CGM_F_NET_UDP6, udp);
}

/* Words as cAdvisor writes them: the kernel's, in lower case. MaxConn is -1 where there is no limit. */
static void put_advanced(struct cgm_prometheus *r)
{
	static const char *const names[] = {
#define CGM_TCP_ADVANCED(name) #name,
#include "cgmeter/tcp_advanced.def"
	};

	for (size_t i = r->row; i < r->row_end; i++) {
		const struct cgm_row *row = &r->s->rows[i];

		for (uint32_t n = 0; n < row->layout->nr_blocks; n++) {
			const struct cgm_layout_block *b = &row->layout->blocks[n];

			for (uint32_t v = 0; b->kind == CGM_LAYOUT_ADVTCP && v < b->nr; v++) {
				struct cgm_prom_text own = { 0 };

				cgm_prom_label(&own, true, "tcp_state", names[v]);
				for (char *p = own.p + sizeof(",tcp_state=\"") - 1; p < own.p + own.len; p++)
					if (*p >= 'A' && *p <= 'Z')
						*p |= 0x20;
				cgm_prom_text_add(&own, "} ");
				cgm_prom_row(r, row, &own, row->values[b->first + v], CGM_DIGITS_SIGNED);
			}
		}
	}
}

static void put_hugetlb(struct cgm_prometheus *r, enum cgm_family_id f)
{
	unsigned v = f == CGM_F_HUGETLB_FAILCNT ? CGM_HUGETLB_FAILCNT : f == CGM_F_HUGETLB_USAGE ? CGM_HUGETLB_USAGE : CGM_HUGETLB_MAX_USAGE;

	for (size_t i = r->row; i < r->row_end; i++) {
		const struct cgm_row *row = &r->s->rows[i];

		for (uint32_t n = 0; n < row->layout->nr_blocks; n++) {
			const struct cgm_layout_block *b = &row->layout->blocks[n];
			struct cgm_prom_text own = { 0 };

			if (b->kind != CGM_LAYOUT_HUGETLB || (v == CGM_HUGETLB_MAX_USAGE && !b->minor))
				continue;
			cgm_prom_label(&own, true, "pagesize", b->name);
			cgm_prom_text_add(&own, "} ");
			cgm_prom_row(r, row, &own, row->values[b->first + v], CGM_DIGITS_BYTES);
		}
	}
}

static void put_resctrl(struct cgm_prometheus *r, enum cgm_family_id f)
{
	unsigned v = f == CGM_F_MEMORY_BANDWIDTH ? CGM_RESCTRL_TOTAL_BYTES : f == CGM_F_MEMORY_BANDWIDTH_LOCAL ? CGM_RESCTRL_LOCAL_BYTES :
													      CGM_RESCTRL_LLC_OCCUPANCY;

	for (size_t i = r->row; i < r->row_end; i++) {
		const struct cgm_row *row = &r->s->rows[i];

		for (uint32_t n = 0; n < row->layout->nr_blocks; n++) {
			const struct cgm_layout_block *b = &row->layout->blocks[n];
			struct cgm_prom_text own = { 0 };

			if (b->kind != CGM_LAYOUT_RESCTRL)
				continue;
			cgm_prom_text_add(&own, ",node_id=\"");
			own.len = (size_t)(cgm_prom_u64(own.p + own.len, b->minor) - own.p);
			cgm_prom_text_add(&own, "\"} ");
			cgm_prom_row(r, row, &own, row->values[b->first + v], CGM_DIGITS_BYTES);
		}
	}
}

/* Counted on that CPU or socket at some time. */
static bool was_counted(const uint64_t *v)
{
	return v[CGM_PERF_SCALING] != 0;
}

/* Of all CPUs together: the sum of the counts, the smallest share. */
static void put_perf_total(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_layout_block *b, unsigned v)
{
	uint64_t sum = 0, least = UINT64_MAX;
	struct cgm_prom_text own = { 0 };

	for (uint32_t i = 0; i + CGM_NR_PERF_VALUES <= b->nr; i += CGM_NR_PERF_VALUES) {
		const uint64_t *at = row->values + b->first + i;

		if (!was_counted(at))
			continue;
		sum += at[CGM_PERF_COUNT];
		least = at[CGM_PERF_SCALING] < least ? at[CGM_PERF_SCALING] : least;
	}
	if (least == UINT64_MAX)
		return;
	cgm_prom_label(&own, true, "cpu", "");
	cgm_prom_label(&own, true, "event", b->name);
	cgm_prom_text_add(&own, "} ");
	cgm_prom_row(r, row, &own, v == CGM_PERF_COUNT ? sum : least, v == CGM_PERF_COUNT ? CGM_DIGITS_NONE : CGM_DIGITS_NS);
}

static void put_perf_block(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_layout_block *b, unsigned v)
{
	const char *slash = b->kind == CGM_LAYOUT_UNCORE ? strchr(b->name, '/') : NULL;

	for (uint32_t i = 0; i + CGM_NR_PERF_VALUES <= b->nr; i += CGM_NR_PERF_VALUES) {
		const uint64_t *at = row->values + b->first + i;
		struct cgm_prom_text own = { 0 };
		char pmu[CGM_FS_DEVICE];

		if (!was_counted(at))
			continue;
		cgm_prom_text_add(&own, b->kind == CGM_LAYOUT_UNCORE ? ",socket=\"" : ",cpu=\"");
		own.len = (size_t)(cgm_prom_u64(own.p + own.len, i / CGM_NR_PERF_VALUES) - own.p);
		cgm_prom_text_add(&own, "\"");
		cgm_prom_label(&own, true, "event", slash ? slash + 1 : b->name);
		if (slash) {
			memcpy(pmu, b->name, (size_t)(slash - b->name));
			pmu[slash - b->name] = '\0';
			cgm_prom_label(&own, true, "pmu", pmu);
		}
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, at[v], v == CGM_PERF_COUNT ? CGM_DIGITS_NONE : CGM_DIGITS_NS);
	}
}

static void put_perf(struct cgm_prometheus *r, enum cgm_layout_kind kind, unsigned v)
{
	bool percpu = kind == CGM_LAYOUT_UNCORE || !(r->s->self.groups_off >> CGM_G_PERCPU & 1);

	for (size_t i = r->row; i < r->row_end; i++) {
		const struct cgm_row *row = &r->s->rows[i];

		for (uint32_t n = 0; n < row->layout->nr_blocks; n++) {
			if (row->layout->blocks[n].kind != kind)
				continue;
			if (percpu)
				put_perf_block(r, row, &row->layout->blocks[n], v);
			else
				put_perf_total(r, row, &row->layout->blocks[n], v);
		}
	}
}

bool cgm_prom_extra_family(struct cgm_prometheus *r, enum cgm_family_id f)
{
	switch (f) {
	case CGM_F_NET_TCP:
	case CGM_F_NET_TCP6:
	case CGM_F_NET_UDP:
	case CGM_F_NET_UDP6:
		put_sockets(r, f);
		return true;
	case CGM_F_NET_ADVTCP:
		put_advanced(r);
		return true;
	case CGM_F_HUGETLB_FAILCNT:
	case CGM_F_HUGETLB_USAGE:
	case CGM_F_HUGETLB_MAX_USAGE:
		put_hugetlb(r, f);
		return true;
	case CGM_F_MEMORY_BANDWIDTH:
	case CGM_F_MEMORY_BANDWIDTH_LOCAL:
	case CGM_F_LLC_OCCUPANCY:
		put_resctrl(r, f);
		return true;
	case CGM_F_PERF_EVENTS:
	case CGM_F_PERF_SCALING:
		put_perf(r, CGM_LAYOUT_PERF, f == CGM_F_PERF_EVENTS ? CGM_PERF_COUNT : CGM_PERF_SCALING);
		return true;
	case CGM_F_UNCORE_EVENTS:
	case CGM_F_UNCORE_SCALING:
		put_perf(r, CGM_LAYOUT_UNCORE, f == CGM_F_UNCORE_EVENTS ? CGM_PERF_COUNT : CGM_PERF_SCALING);
		return true;
	default:
		return false;
	}
}
