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
};

enum cgm_prom_kind { FAMILY, WRITTEN, VALUE, DISK, IFACE, FS, LIVE, HIST, COUNT, WAIT, MACHINE, SELF };

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
	unsigned index; /* which value, count or wait; LIVE, HIST: offset in struct cgm_live; MACHINE, SELF: offset in that struct */
	unsigned digits;
	unsigned size; /* MACHINE, SELF: of the member */
	const char *labels;
	const char *source; /* "bpf:GROUP …": needs a running program of that group; else it does not matter */
};

struct cgm_prom_text {
	size_t len;
	char p[1600]; /* the longest: kernel and system version, each byte escaped */
};

struct cgm_prometheus {
	const struct cgm_snapshot *s;
	const struct cgm_machine *machine;
	bool open_metrics;
	struct cgm_protobuf *protobuf; /* NULL: a text format */
	struct cgm_buf *out;
	size_t entry; /* what is written next: of this entry of the table */
	size_t row, row_end; /* these rows */
	const char *name; /* of the family's samples */
	size_t name_len;
	bool header_waits; /* the family has no sample yet */
	struct cgm_prom_le {
		size_t len;
		char p[CGM_PROM_LE_ROOM];
	} le[CGM_PROM_LE_BOUNDS]; /* ,le="9.5367431640625e-07"} */
};

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
struct cgm_protobuf *cgm_protobuf_new(const struct cgm_snapshot *s);
void cgm_protobuf_free(struct cgm_protobuf *protobuf);
void cgm_protobuf_family(struct cgm_prometheus *r, const struct cgm_prom_family *f);
void cgm_protobuf_end(struct cgm_prometheus *r);
void cgm_protobuf_sample(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *own, uint64_t v, unsigned digits);
void cgm_protobuf_hist(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *labels, const struct cgm_live_hist *h,
		    const uint64_t cumulative[CGM_PROM_LE_BOUNDS]);
/* v / 10^digits (0 to 9), the double nearest to it as long as the quotient's whole part is below 2^53. */
double cgm_protobuf_number(uint64_t v, unsigned digits);

/* own: what stands behind the identity's labels, up to the blank: `,cpu="cpu00"} ` or `} `. */
static inline void cgm_prom_row(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *own, uint64_t v,
				unsigned digits)
{
	const struct cgm_identity *id = row->identity;
	char *p;

	if (__builtin_expect(r->protobuf != NULL, 0)) {
		cgm_protobuf_sample(r, row, own, v, digits);
		return;
	}
	if (!cgm_buf_reserve(r->out, r->name_len + id->labels_len + own->len + CGM_PROM_NUMBER + 1))
		return;
	p = cgm_prom_put(r->out->p + r->out->len, r->name, r->name_len);
	*p++ = '{';
	p = cgm_prom_put(p, id->labels, id->labels_len);
	p = cgm_prom_put(p, own->p, own->len);
	p = cgm_prom_fixed(p, v, digits);
	*p++ = '\n';
	r->out->len = (size_t)(p - r->out->p);
}

/* prometheus.c: the family's name, less _total of a counter, ends in its unit. */
bool cgm_prom_has_unit(const struct cgm_prom_family *f);

/* prometheus_devices.c: the samples of one row. also_fs: leave out a disk for which the row has a file system. labels: `,a="b"` */
void cgm_prom_disks(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row, bool also_fs);
void cgm_prom_ifaces(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row);
void cgm_prom_fs(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row);
void cgm_prom_blocks(struct cgm_prometheus *r, enum cgm_family_id f, const struct cgm_row *row);
/* Pages by NUMA node, when there are several. */
void cgm_prom_numa(struct cgm_prometheus *r, const struct cgm_row *row);
/* Bytes made dirty by device: rows that have any. */
void cgm_prom_dirtied(struct cgm_prometheus *r, const struct cgm_row *row);
void cgm_prom_hist(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *labels, const struct cgm_live_hist *h);

/* prometheus_agent.c */
/* Adds key="value" (escaped) to t, with a comma in front when comma or when t has a label. What has no room is left out. */
void cgm_prom_label(struct cgm_prom_text *t, bool comma, const char *key, const char *value);
/* One sample of the family without an identity. labels may be NULL. */
void cgm_prom_plain(struct cgm_prometheus *r, const struct cgm_prom_text *labels, uint64_t v, unsigned digits);

/* Families of the machine and of our own state. False: the family is none of these. */
bool cgm_prom_agent_family(struct cgm_prometheus *r, enum cgm_family_id f);
/* One number of the machine, with the machine's labels. */
void cgm_prom_machine_number(struct cgm_prometheus *r, uint64_t v);

/* prometheus_http.c: families of the server itself. False: the family is none of these. */
bool cgm_prom_http_family(struct cgm_prometheus *r, enum cgm_family_id f);
