/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of user/output/prometheus*.c: one rendering, and the writing of lines. A line's bytes are written behind out->len; room is
 * asked for once a line, and numbers are written in place: cgm_buf_u64() and cgm_buf_fixed() would cost as much as the whole line.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "output/prometheus.h"

#define CGM_PROM_NUMBER 24 /* the most bytes of a number and the newline */
#define CGM_PROM_LE_STEP 8 /* every second power of two of a second: each eighth bound */
#define CGM_PROM_LE_BOUNDS ((CGM_HIST_BUCKETS - 2) / CGM_PROM_LE_STEP + 1)
#define CGM_PROM_LE_ROOM 40
#define CGM_PROM_HEAD (96 + CGM_OVER)

/* Digits behind the point of each unit, written as seconds, percent, … MILLI stays: cAdvisor writes load averages times 1000. */
enum {
	CGM_DIGITS_NS = 9,
	CGM_DIGITS_USEC = 6,
	CGM_DIGITS_MSEC = 3,
	CGM_DIGITS_CENTI = 2,
	CGM_DIGITS_MILLI = 0,
	CGM_DIGITS_NONE = 0,
	CGM_DIGITS_BYTES = 0,
	CGM_DIGITS_PAGES = 0,
	CGM_DIGITS_SECTORS = 0,
	CGM_DIGITS_SIGNED = 20, /* no fraction; may be negative */
};

enum cgm_prom_kind { FAMILY, WRITTEN, VALUE, DISK, IFACE, FS, LIVE, HIST, COUNT, WAIT, SOCK, MACHINE, SELF };

enum cgm_prom_type { COUNTER, GAUGE, HISTOGRAM, INFO };

struct cgm_prom_family {
	const char *name, *unit, *help;
	enum cgm_prom_type type;
	enum cgm_group group;
};

/* A row of the table that metrics.def becomes. */
struct cgm_prom_entry {
	enum cgm_prom_kind kind;
	enum cgm_family_id family;
	unsigned index; /* which value, count, wait or gauge of sockets; LIVE, HIST: offset in struct cgm_live; MACHINE, SELF: offset in that struct */
	unsigned digits;
	unsigned size; /* MACHINE, SELF: of the member */
	const char *labels;
	const char *source; /* "bpf:GROUP …": needs a running program of that group; else it does not matter */
};

struct cgm_prom_text {
	size_t len;
	char p[1600]; /* the longest: kernel and system version, each byte escaped */
};

/* What stands behind a value: nothing, or the time of the sample. */
struct cgm_prom_stamp {
	size_t len;
	char p[32]; /* " 1795362955824"; OpenMetrics: " 1795362955.824" */
	uint64_t ms;
};

struct cgm_prom_apps;
struct cgm_prometheus {
	const struct cgm_snapshot *s;
	const struct cgm_machine *machine;
	bool open_metrics;
	struct cgm_protobuf *protobuf; /* NULL: a text format */
	struct cgm_buf *out;
	bool ended;
	size_t entry; /* what is written next: of this entry of the table */
	size_t row, row_end; /* these rows */
	size_t nr_rows; /* of the family: of a gauge those that live, else also those that have ended */
	char head[CGM_PROM_HEAD]; /* "name{" */
	const char *name; /* of the family's samples */
	size_t name_len;
	/* Of the family: nothing is written; its header, which is taken back when no sample comes; a sample. */
	enum { CGM_PROM_CLOSED, CGM_PROM_HEADER, CGM_PROM_OPEN } state;
	size_t header_at; /* in out */
	struct cgm_prom_apps *apps; /* NULL: no application said anything */
	struct cgm_label_union *labels; /* of the rows; NULL: as their identities have them */
	uint32_t *network; /* as the kubelet shows it: see cgm_kubelet_labels(); NULL: as it is */
	struct cgm_prom_stamp row_stamp, machine_stamp;
	const struct cgm_prom_stamp *stamp; /* of the family */
	/* Samples of the family are followed by when they began to count; the name of those. 0: they are not. */
	size_t created_len;
	char created[96];
	uint64_t counting_since_ns; /* what the family counts cannot have begun before */
	struct cgm_prom_le {
		size_t len;
		char p[CGM_PROM_LE_ROOM];
	} le[CGM_PROM_LE_BOUNDS]; /* ,le="9.5367431640625e-07"} */
};

/* Rows of the snapshot, those that have ended included. */
static inline size_t cgm_prom_all_rows(const struct cgm_snapshot *s)
{
	return s->nr_rows + s->nr_ended;
}

/* The bound of classic bucket i in seconds. */
static inline double cgm_prom_bound(unsigned i)
{
	return (double)(1ULL << i * CGM_PROM_LE_STEP / 4) * 0x1p-20;
}
_Static_assert(CGM_HIST_FIRST_LOG2 == -20 && CGM_PROM_LE_STEP % 4 == 0, "cgm_prom_bound");

static inline char *cgm_prom_put(char *p, const char *s, size_t len)
{
	memcpy(p, s, len);
	return p + len;
}

/*
 * The same in blocks, faster than a call of memcpy() for each of a line's three short texts: CGM_OVER bytes behind s may be read, and
 * as many behind the end may be written.
 */
static inline char *cgm_prom_over(char *p, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i += CGM_OVER)
		memcpy(p + i, s + i, CGM_OVER);
	return p + len;
}

/* The lowest nr digits of v, zeros in front. */
static inline void cgm_prom_digits(char *p, uint64_t v, unsigned nr)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";

	for (; nr >= 2; v /= 100) {
		nr -= 2;
		memcpy(p + nr, pairs + v % 100 * 2, 2);
	}
	if (nr)
		*p = (char)('0' + v % 10);
}

static inline char *cgm_prom_u64(char *p, uint64_t v)
{
	static const uint64_t pow10[] = { 0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000,
					  1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
					  1000000000000000000, 10000000000000000000U };
	unsigned nr;

	if (v < 10) {
		*p = (char)('0' + v);
		return p + 1;
	}
	nr = (unsigned)(64 - __builtin_clzll(v)) * 1233 >> 12; /* log10, rounded down, or one more */
	nr += v >= pow10[nr];
	cgm_prom_digits(p, v, nr);
	return p + nr;
}

/* v / 10^digits, exact, without zeros at the end of the fraction. */
static inline char *cgm_prom_fixed(char *p, uint64_t v, unsigned digits)
{
	uint64_t whole, fraction;

	switch (digits) {
	case CGM_DIGITS_NS:
		whole = v / 1000000000, fraction = v % 1000000000;
		break;
	case CGM_DIGITS_USEC:
		whole = v / 1000000, fraction = v % 1000000;
		break;
	case CGM_DIGITS_MSEC:
		whole = v / 1000, fraction = v % 1000;
		break;
	case CGM_DIGITS_CENTI:
		whole = v / 100, fraction = v % 100;
		break;
	case CGM_DIGITS_SIGNED:
		if ((int64_t)v < 0)
			*p++ = '-';
		return cgm_prom_u64(p, (int64_t)v < 0 ? 0 - v : v);
	default:
		return cgm_prom_u64(p, v);
	}
	p = cgm_prom_u64(p, whole);
	if (!fraction)
		return p;
	*p++ = '.';
	cgm_prom_digits(p, fraction, digits);
	for (p += digits; p[-1] == '0'; p--)
		;
	return p;
}

static inline void cgm_prom_text_add(struct cgm_prom_text *t, const char *s)
{
	size_t len = strlen(s);

	memcpy(t->p + t->len, s, len);
	t->len += len;
}

/*
 * What a format does with a family, its end, a sample, and a histogram (cumulative: of the classic buckets).
 * The text formats have their own in prometheus*.c; these make protobuf (prometheus_protobuf.c). The row, the labels: may be NULL.
 */
struct cgm_protobuf *cgm_protobuf_new(const struct cgm_prometheus *r);
void cgm_protobuf_free(struct cgm_protobuf *protobuf);
void cgm_protobuf_family(struct cgm_prometheus *r, const struct cgm_prom_family *f);
void cgm_protobuf_end(struct cgm_prometheus *r);
void cgm_protobuf_sample(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *own, uint64_t v, unsigned digits);
void cgm_protobuf_hist(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *labels, const struct cgm_live_hist *h,
		    const uint64_t cumulative[CGM_PROM_LE_BOUNDS]);
/* A sample of a gauge; own: `,a="x",b="y"`, len bytes. */
void cgm_protobuf_double(struct cgm_prometheus *r, const struct cgm_row *row, const char *own, size_t len, double v);
/* v / 10^digits (0 to 9), the double nearest to it as long as the quotient's whole part is below 2^53. */
double cgm_protobuf_number(uint64_t v, unsigned digits);

/* The labels of a row. */
static inline const char *cgm_prom_labels(const struct cgm_prometheus *r, const struct cgm_row *row, size_t *ret_len)
{
	if (__builtin_expect(r->labels != NULL, 0) && row != r->s->overflow)
		return cgm_label_union_text(r->labels, (size_t)(row - r->s->rows), ret_len);
	*ret_len = row->identity->labels_len; /* NOLINT(clang-analyzer-core.NullDereference): there is an overflow row when it is asked for */
	return row->identity->labels; /* NOLINT(clang-analyzer-core.NullDereference) */
}

/* When the family began to count in that row (NULL: in this process), ns since the epoch; 0: not known. */
static inline uint64_t cgm_prom_since(const struct cgm_prometheus *r, const struct cgm_row *row)
{
	uint64_t since = row ? row->spec.creation_time_ns : r->s->self.start_time_ns;

	return since && since < r->counting_since_ns ? r->counting_since_ns : since;
}
/* The line of OpenMetrics that says so; head: `{labels…} `. */
void cgm_prom_created(struct cgm_prometheus *r, const char *labels, size_t labels_len, const struct cgm_prom_text *own, uint64_t since_ns);

/* own: what stands behind the identity's labels, up to the blank: `,cpu="cpu00"} ` or `} `. */
static inline void cgm_prom_row(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *own, uint64_t v,
				unsigned digits)
{
	const char *labels;
	size_t len;
	char *p;

	if (__builtin_expect(r->protobuf != NULL, 0)) {
		cgm_protobuf_sample(r, row, own, v, digits);
		return;
	}
	labels = cgm_prom_labels(r, row, &len);
	if (!cgm_buf_reserve(r->out, r->name_len + len + own->len + CGM_PROM_NUMBER + 1 + sizeof(r->stamp->p) + CGM_OVER))
		return;
	p = cgm_prom_over(r->out->p + r->out->len, r->head, r->name_len + 1);
	p = cgm_prom_over(p, labels, len);
	p = cgm_prom_over(p, own->p, own->len);
	p = cgm_prom_fixed(p, v, digits);
	if (__builtin_expect(r->stamp->len, 0))
		p = cgm_prom_put(p, r->stamp->p, r->stamp->len);
	*p++ = '\n';
	r->out->len = (size_t)(p - r->out->p);
	if (__builtin_expect(r->created_len, 0))
		cgm_prom_created(r, labels, len, own, cgm_prom_since(r, row));
}

/* prometheus.c: the family's name, less _total of a counter, ends in its unit. */
bool cgm_prom_has_unit(const struct cgm_prom_family *f);

/* prometheus_devices.c: the samples of one row. also_fs: leave out a disk for which the row has a file system. labels: `,a="b"`. as: whose labels they have */
void cgm_prom_disks(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row, bool also_fs);
void cgm_prom_ifaces(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row, const struct cgm_row *as);
void cgm_prom_fs(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row);
void cgm_prom_blocks(struct cgm_prometheus *r, enum cgm_family_id f, const struct cgm_row *row);
/* Pages by NUMA node. */
void cgm_prom_numa(struct cgm_prometheus *r, const struct cgm_row *row);
/* Bytes made dirty by device: rows that have any. */
void cgm_prom_dirtied(struct cgm_prometheus *r, const struct cgm_row *row);
/* A histogram that has counted; else nothing. row NULL: the agent's own, without an identity. */
void cgm_prom_hist(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *labels, const struct cgm_live_hist *h);

/* prometheus_agent.c */
/* Adds key="value" (escaped) to t, with a comma in front when comma or when t has a label. What has no room is left out. */
void cgm_prom_label(struct cgm_prom_text *t, bool comma, const char *key, const char *value);
/* One sample of the family without an identity. labels may be NULL. */
void cgm_prom_plain(struct cgm_prometheus *r, const struct cgm_prom_text *labels, uint64_t v, unsigned digits);

/* Families of our own state. False: the family is none of these. */
bool cgm_prom_agent_family(struct cgm_prometheus *r, enum cgm_family_id f);

/* prometheus_machine.c: one number of the machine, with the machine's labels. */
void cgm_prom_machine_number(struct cgm_prometheus *r, uint64_t v);
/* Families of the machine. False: the family is none of these. */
bool cgm_prom_machine_family(struct cgm_prometheus *r, enum cgm_family_id f);

/* prometheus_extras.c: families of what rows have as extras. False: the family is none of these. */
bool cgm_prom_extra_family(struct cgm_prometheus *r, enum cgm_family_id f);

/* prometheus_runtime.c: families of what runtimes tell. False: the family is none of these. */
bool cgm_prom_runtime_family(struct cgm_prometheus *r, enum cgm_family_id f);

/* prometheus_storage.c: what directories of containers and pods hold. False: the family is none of these. */
bool cgm_prom_storage_family(struct cgm_prometheus *r, enum cgm_family_id f);

/* prometheus_app.c: families of applications, one a call. *ret stays NULL when there are none. 0 or -ENOMEM. False: none is left. */
int cgm_prom_apps_new(const struct cgm_snapshot *s, struct cgm_prom_apps **ret);
void cgm_prom_apps_free(struct cgm_prom_apps *a);
bool cgm_prom_apps_next(struct cgm_prometheus *r);
/* prometheus.c: is it the name of one of our families, or of a sample of one? And the head of a family, in the format of r. */
bool cgm_prom_is_family(const char *name);
void cgm_prom_header(struct cgm_prometheus *r, const struct cgm_prom_family *f);

/* prometheus_http.c: families of the server itself. False: the family is none of these. */
bool cgm_prom_http_family(struct cgm_prometheus *r, enum cgm_family_id f);
