// SPDX-License-Identifier: Apache-2.0
/* What we encode is decoded by libprotobuf-c, and the page must say what the text says: the same families, series and values in the same order. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "model/label.h"
#include "output/gzip.h"
#include "output/prometheus_write.h"
#include "output/series.h"
#include "prometheus_client.pb-c.h"
#include "unit/snapshot_fixture.h"

DEFINE_CLEANUP(cgm_snapshot, cgm_snapshot_unref)
DEFINE_CLEANUP(cgm_prometheus, cgm_prometheus_free)
#define _cleanup_snapshot_ _cleanup_(cgm_snapshot_freep)
#define _cleanup_buf_ _cleanup_(cgm_buf_done)

static const struct fixture_config full = { .nr_rows = 20, .nr_cpus = 2, .disk = true, .live = true, .extras = true, .root_devices = true };

static const struct cgm_machine machine = {
	.nr_cpus = 8,
	.memory_bytes = 25276510208,
	.machine_id = "m1",
	.system_uuid = "u\\n\"1\"\n",
	.boot_id = "\xff",
	.kernel_version = "6.18.44",
	.os_version = "Debian \"12\"",
};

/* Decodes the next family of a page; moves *at on. NULL at the end. */
static Prom__MetricFamily *next_family(const struct cgm_buf *page, size_t *at)
{
	uint64_t len = 0;
	Prom__MetricFamily *f;
	unsigned shift = 0;

	if (*at == page->len)
		return NULL;
	for (;; shift += 7) {
		uint8_t byte = (uint8_t)page->p[(*at)++];

		assert_true(*at <= page->len && shift < 35); /* Prometheus reads no longer one */
		len |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	assert_true(len > 0 && len <= page->len - *at);
	f = prom__metric_family__unpack(NULL, len, (const uint8_t *)page->p + *at);
	assert_non_null(f);
	assert_int_equal(f->base.n_unknown_fields, 0);
	*at += len;
	return f;
}

/* ---- the page in lock-step with the text ---- */

/* The next line of the text must be head, and then that number. */
static void expect(const char **text, const char *head, double v)
{
	size_t len = strlen(head);
	char *end;

	if (strncmp(*text, head, len) != 0)
		fail_msg("%s\nthe text has: %.200s", head, *text);
	if (strtod(*text + len, &end) != v)
		fail_msg("%s%.17g\nthe text has: %.200s", head, v, *text);
	assert_int_equal(*end, '\n');
	*text = end + 1;
}

static void skip_line(const char **text, const char *line)
{
	size_t len = strlen(line);

	if (strncmp(*text, line, len) != 0 || (*text)[len] != '\n')
		fail_msg("%s\nthe text has: %.200s", line, *text);
	*text += len + 1;
}

/* name{labels,extra} and a blank, as the text has it. */
static const char *head_of(const char *name, const char *suffix, const Prom__Metric *m, const char *extra)
{
	static char head[8000];
	const char *between = "{";
	char *p = head + snprintf(head, 300, "%s%s", name, suffix);

	for (size_t i = 0; i < m->n_label; i++) {
		p += snprintf(p, 100, "%s%s=\"", between, m->label[i]->name);
		p += cgm_label_escape(p, m->label[i]->value);
		*p++ = '"';
		between = ",";
	}
	if (extra[0])
		p += snprintf(p, 100, "%s%s", between, extra);
	snprintf(p, 3, m->n_label || extra[0] ? "} " : " ");
	return head;
}

/* The native buckets must be those that the classic ones are made of: the same counts at each power of two, and the same in all. */
static void check_native(const Prom__Histogram *h)
{
	uint64_t entries[CGM_HIST_BUCKETS] = { h->zero_count }, count = 0;
	int32_t index = 0;
	size_t d = 0;
	int64_t v = 0;

	assert_int_equal(h->schema, CGM_HIST_SCHEMA);
	assert_true(h->zero_threshold == 0x1p-20);
	for (size_t i = 0; i < h->n_positive_span; i++) {
		const Prom__BucketSpan *span = h->positive_span[i];

		assert_true(span->length > 0 && (i == 0 || span->offset > 0));
		index += span->offset;
		for (uint32_t n = 0; n < span->length; n++, index++, d++) {
			assert_true(d < h->n_positive_delta && index > CGM_HIST_FIRST_INDEX && index < CGM_HIST_BUCKETS + CGM_HIST_FIRST_INDEX);
			v += h->positive_delta[d];
			assert_true(v >= 0 && (v > 0 || (n > 0 && n + 1 < span->length)));
			entries[index - CGM_HIST_FIRST_INDEX] = (uint64_t)v;
		}
	}
	assert_int_equal(d, h->n_positive_delta);
	for (unsigned n = 0; n < CGM_HIST_BUCKETS; n++) {
		count += entries[n];
		if (n % CGM_PROM_LE_STEP == 0 && n / CGM_PROM_LE_STEP < h->n_bucket) {
			assert_int_equal(h->bucket[n / CGM_PROM_LE_STEP]->cumulative_count, count);
			assert_true(h->bucket[n / CGM_PROM_LE_STEP]->upper_bound == ldexp(1, (int)n / 4 - 20));
		}
	}
	assert_int_equal(h->n_bucket, CGM_PROM_LE_BOUNDS);
	assert_int_equal(h->sample_count, count);
}

static size_t check_histogram(const char **text, const char *name, const Prom__Metric *m)
{
	const Prom__Histogram *h = m->histogram;
	char le[40];

	assert_non_null(h);
	check_native(h);
	for (size_t i = 0; i < h->n_bucket; i++) {
		snprintf(le, sizeof(le), "le=\"%.15g\"", h->bucket[i]->upper_bound);
		expect(text, head_of(name, "_bucket", m, le), (double)h->bucket[i]->cumulative_count);
	}
	expect(text, head_of(name, "_bucket", m, "le=\"+Inf\""), (double)h->sample_count);
	expect(text, head_of(name, "_sum", m, ""), h->sample_sum);
	expect(text, head_of(name, "_count", m, ""), (double)h->sample_count);
	return h->n_bucket + 3;
}

static size_t check_metric(const char **text, const Prom__MetricFamily *f, const Prom__Metric *m)
{
	assert_int_equal(!!m->counter + !!m->gauge + !!m->histogram + !!m->untyped, 1);
	if (f->type == PROM__METRIC_TYPE__HISTOGRAM)
		return check_histogram(text, f->name, m);
	if (f->type == PROM__METRIC_TYPE__COUNTER) {
		assert_non_null(m->counter);
		expect(text, head_of(f->name, "", m, ""), m->counter->value);
	} else {
		assert_non_null(m->gauge);
		expect(text, head_of(f->name, "", m, ""), m->gauge->value);
	}
	return 1;
}

/* Returns how many samples the text has; *ret_metrics: how many the protobuf. */
static size_t check_pages(const struct cgm_snapshot *s, const struct cgm_buf *page, size_t *ret_metrics)
{
	static const char *const types[] = { "counter", "gauge", "", "", "histogram" };
	_cleanup_buf_ struct cgm_buf plain = { 0 };
	const char *text;
	Prom__MetricFamily *f;
	size_t at = 0, nr = 0;
	char line[2000];

	assert_int_equal(cgm_prometheus_render(s, &machine, CGM_PROMETHEUS_TEXT, &plain), 0);
	cgm_buf_char(&plain, '\0');
	text = plain.p;
	*ret_metrics = 0;
	while ((f = next_family(page, &at))) {
		snprintf(line, sizeof(line), "# HELP %s %s", f->name, f->help);
		skip_line(&text, line);
		snprintf(line, sizeof(line), "# TYPE %s %s", f->name, types[f->type]);
		skip_line(&text, line);
		assert_true(f->n_metric > 0);
		for (size_t i = 0; i < f->n_metric; i++)
			nr += check_metric(&text, f, f->metric[i]);
		*ret_metrics += f->n_metric;
		prom__metric_family__free_unpacked(f, NULL);
	}
	assert_int_equal(*text, '\0');
	return nr;
}

static void render(struct cgm_buf *page, const struct cgm_snapshot *s)
{
	assert_non_null(s);
	page->len = 0;
	assert_int_equal(cgm_prometheus_render(s, &machine, CGM_PROMETHEUS_PROTOBUF, page), 0);
}

/* ---- tests ---- */

static void test_prometheus_protobuf__says_what_the_text_says(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };
	struct cgm_row overflow = { 0 };
	size_t nr_samples, nr_metrics;
	char deep[5000];

	(void)state;
	cgm_identity_unref(s->rows[1].identity);
	s->rows[1].identity = cgm_identity_new("/a\\nb\\\\\"c\"\n\xff/\xc3\xa9");
	memset(deep, '"', sizeof(deep) - 1);
	deep[0] = '/';
	deep[1500] = '\0'; /* a pair longer than 127 bytes, escaped */
	cgm_identity_unref(s->rows[2].identity);
	s->rows[2].identity = cgm_identity_new(deep);
	s->rows[3].values[CGM_V_CPU_USAGE_USER] = UINT64_MAX;
	s->rows[3].live = NULL;
	overflow.identity = s->rows[2].identity;
	overflow.live = s->rows[4].live;
	s->overflow = &overflow;
	s->rows[1].app = fixture_app();
	s->rows[3].app = fixture_app();
	render(&page, s);
	nr_samples = check_pages(s, &page, &nr_metrics);
	s->overflow = NULL;
	assert_true(nr_metrics > 20 * 100 && nr_samples > nr_metrics * 13 / 10);
	print_message("%zu metrics, %zu samples\n", nr_metrics, nr_samples);
	assert_true(nr_metrics > 20 * 100 && nr_samples > nr_metrics * 3 / 2);
}

/* Both are said in fields of their own. */
static void test_prometheus_protobuf__times(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };
	size_t at = 0, nr_created = 0, nr_stamped = 0, nr_bare = 0;
	Prom__MetricFamily *f;

	(void)state;
	s->self.show_created = s->self.show_timestamps = s->self.adopted = true;
	render(&page, s);
	for (; (f = next_family(&page, &at)); prom__metric_family__free_unpacked(f, NULL)) {
		for (size_t i = 0; i < f->n_metric; i++) {
			const Prom__Metric *m = f->metric[i];
			const Prom__Timestamp *t = m->counter ? m->counter->created_timestamp : m->histogram ? m->histogram->created_timestamp : NULL;

			if (m->has_timestamp_ms)
				assert_true(m->timestamp_ms == (int64_t)(s->time_ns / 1000000) || !strncmp(f->name, "machine_", 8));
			nr_stamped += m->has_timestamp_ms;
			nr_bare += !m->has_timestamp_ms;
			nr_created += t != NULL;
			if (t && !strncmp(f->name, "container_cpu_user", 18))
				assert_true(t->seconds == (int64_t)(s->rows[0].spec.creation_time_ns / 1000000000) && !t->nanos);
		}
	}
	assert_true(nr_created > 500 && nr_stamped > 1000 && nr_bare > 50);
}

/* Prometheus 3 refuses the page when a unit is not the last word of the name, before _total of a counter. */
static void assert_unit(const Prom__MetricFamily *f)
{
	char end[100];

	if (!f->unit)
		return;
	snprintf(end, sizeof(end), "_%s%s", f->unit, f->type == PROM__METRIC_TYPE__COUNTER && strstr(f->name, "_total") ? "_total" : "");
	assert_true(strlen(f->name) > strlen(end));
	assert_string_equal(f->name + strlen(f->name) - strlen(end), end);
}

static void test_prometheus_protobuf__types_and_units(void **state)
{
	static const struct {
		const char *name, *unit;
		Prom__MetricType type;
	} cases[] = {
		{ "container_cpu_usage_seconds_total", "seconds", PROM__METRIC_TYPE__COUNTER },
		{ "container_memory_failcnt", NULL, PROM__METRIC_TYPE__COUNTER },
		{ "container_memory_usage_bytes", "bytes", PROM__METRIC_TYPE__GAUGE },
		{ "container_memory_rss", NULL, PROM__METRIC_TYPE__GAUGE },
		{ "cgmeter_container_cpu_off_seconds", "seconds", PROM__METRIC_TYPE__HISTOGRAM },
		{ "cgmeter_build_info", NULL, PROM__METRIC_TYPE__GAUGE },
	};
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };
	Prom__MetricFamily *f;
	size_t at = 0, nr = 0;

	(void)state;
	render(&page, s);
	while ((f = next_family(&page, &at))) {
		assert_unit(f);
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			if (strcmp(f->name, cases[i].name) != 0)
				continue;
			assert_int_equal(f->type, cases[i].type);
			assert_int_equal(!f->unit, !cases[i].unit);
			if (f->unit)
				assert_string_equal(f->unit, cases[i].unit);
			nr++;
		}
		prom__metric_family__free_unpacked(f, NULL);
	}
	assert_int_equal(nr, ARRAY_SIZE(cases));
}

static void test_prometheus_protobuf__without_machine_and_rows(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 0 });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	Prom__MetricFamily *f;
	size_t at = 0, nr = 0;

	(void)state;
	assert_int_equal(cgm_prometheus_render(s, NULL, CGM_PROMETHEUS_PROTOBUF, &page), 0);
	for (; (f = next_family(&page, &at)); nr++) {
		assert_true(strncmp(f->name, "container_", 10) != 0 || f->n_metric == 1);
		prom__metric_family__free_unpacked(f, NULL);
	}
	assert_true(nr > 10);
}

/* A histogram alone, without the tables: decoded, less its family. */
static Prom__MetricFamily *encode(struct cgm_snapshot *s, const struct cgm_live_hist *h)
{
	static const struct cgm_prom_family family = { "f_seconds", "seconds", "help", HISTOGRAM, CGM_G_NONE };
	static const struct cgm_prom_text labels = { sizeof(",kind=\"x\"") - 1, ",kind=\"x\"" };
	_cleanup_buf_ struct cgm_buf page = { 0 };
	static const struct cgm_prom_stamp no_stamp;
	struct cgm_prometheus r = { .s = s, .out = &page, .name = family.name, .name_len = strlen(family.name), .stamp = &no_stamp };
	Prom__MetricFamily *f;
	size_t at = 0;

	r.protobuf = cgm_protobuf_new(&r);
	assert_non_null(r.protobuf);
	cgm_protobuf_family(&r, &family);
	cgm_prom_hist(&r, &s->rows[0], &labels, h);
	cgm_protobuf_end(&r);
	cgm_protobuf_free(r.protobuf);
	f = next_family(&page, &at);
	assert_int_equal(at, page.len);
	return f;
}

/* Spans as text: "first+length …", the index of each one's first bucket. */
static void assert_spans(struct cgm_snapshot *s, struct cgm_live_hist *h, const char *want)
{
	Prom__MetricFamily *f;
	const Prom__Histogram *p;
	char got[2000] = "", *at = got;
	int32_t index = 0;

	h->count = 0;
	for (unsigned i = 0; i < h->nr; i++)
		h->count += h->buckets[i];
	f = encode(s, h);
	p = f->metric[0]->histogram;
	check_native(p);
	assert_int_equal(p->sample_count, h->count);
	assert_int_equal(p->n_bucket, CGM_PROM_LE_BOUNDS);
	for (size_t i = 0; i < p->n_positive_span; i++) {
		index += p->positive_span[i]->offset;
		at += snprintf(at, 40, "%s%d+%u", i ? " " : "", index, p->positive_span[i]->length);
		index += (int32_t)p->positive_span[i]->length;
	}
	assert_string_equal(got, want);
	prom__metric_family__free_unpacked(f, NULL);
}

static void test_protobuf_hist__spans(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 1 });
	uint64_t v[CGM_HIST_BUCKETS] = { 0 };
	struct cgm_live_hist h = { .nr = CGM_HIST_BUCKETS, .buckets = v };

	(void)state;
	v[0] = 5;
	assert_spans(s, &h, ""); /* the zero bucket alone */
	v[1] = 1;
	assert_spans(s, &h, "-79+1");
	v[5] = 2; /* three empty ones between */
	assert_spans(s, &h, "-79+5");
	v[10] = 3; /* four */
	assert_spans(s, &h, "-79+5 -70+1");
	v[80] = 1;
	v[105] = UINT32_MAX;
	assert_spans(s, &h, "-79+5 -70+1 0+1 25+1");
	v[0] = v[1] = v[5] = v[10] = v[80] = 0;
	assert_spans(s, &h, "25+1");
	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		v[i] = i % 2 ? UINT64_MAX >> 10 : 1; /* the longest deltas */
	assert_spans(s, &h, "-79+105");
	memset(v, 0, sizeof(v));
	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i += 5)
		v[i] = UINT64_MAX >> 10; /* the most spans */
	assert_spans(s, &h, "-75+1 -70+1 -65+1 -60+1 -55+1 -50+1 -45+1 -40+1 -35+1 -30+1 -25+1 -20+1 -15+1 -10+1 -5+1 0+1 5+1 10+1 15+1 20+1 25+1");
}

/* Only the entries that have counts are there. */
static void test_protobuf_hist__part_of_the_entries(void **state)
{
	static const uint64_t v[] = { 1, 2, 3 };
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 1 });
	char want[20];

	(void)state;
	assert_spans(s, &(struct cgm_live_hist){ .first = 0, .nr = 1, .buckets = v }, "");
	assert_spans(s, &(struct cgm_live_hist){ .first = 0, .nr = 3, .buckets = v }, "-79+2");
	for (uint16_t first = 1; first <= CGM_HIST_BUCKETS - 3; first++) {
		snprintf(want, sizeof(want), "%d+3", first + CGM_HIST_FIRST_INDEX);
		assert_spans(s, &(struct cgm_live_hist){ .first = first, .nr = 3, .buckets = v }, want);
	}
	assert_spans(s, &(struct cgm_live_hist){ .first = 105, .nr = 1, .buckets = v }, "25+1");
}

static void test_protobuf_hist__empty_is_left_out(void **state)
{
	static const uint64_t v[CGM_HIST_BUCKETS] = { 0 };
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 1 });

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		Prom__MetricFamily *f = encode(s, &(struct cgm_live_hist){ .nr = i ? CGM_HIST_BUCKETS : 0, .buckets = i ? v : NULL });

		assert_int_equal(f->n_metric, 0);
		prom__metric_family__free_unpacked(f, NULL);
	}
}

/* The double next to the decimal that the text has: what a parser of the text makes of it. */
static void test_protobuf_number__as_the_text_is_read(void **state)
{
	static const uint64_t edges[] = { 0, 1, 999999999, 1000000000, 1ULL << 53, (1ULL << 53) - 1, (1ULL << 53) + 1, 1ULL << 63, UINT64_MAX };
	static const unsigned digits[] = { CGM_DIGITS_NONE, CGM_DIGITS_CENTI, CGM_DIGITS_MSEC, CGM_DIGITS_USEC, CGM_DIGITS_NS };
	uint64_t x = 88172645463325252ULL;
	char text[40];

	(void)state;
	for (unsigned i = 0; i < 400000; i++) {
		unsigned d = digits[i % ARRAY_SIZE(digits)];
		uint64_t v;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v = i < 5 * ARRAY_SIZE(edges) ? edges[i / 5] : x >> (x % 61);
		if (d && d < CGM_DIGITS_USEC && v >> 59)
			continue; /* 18 million years; beyond 2^53 s the quotient has no exact whole part */
		*cgm_prom_fixed(text, v, d) = '\0';
		if (strtod(text, NULL) != cgm_protobuf_number(v, d))
			fail_msg("%s: %.17g", text, cgm_protobuf_number(v, d));
	}
}

static void test_prometheus_next__pieces_of_whole_families(void **state)
{
	static const size_t wants[] = { 1, 1000, 65536, SIZE_MAX };
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 100, .nr_cpus = 2, .disk = true, .live = true, .root_devices = true });
	_cleanup_buf_ struct cgm_buf whole = { 0 };

	(void)state;
	s->rows[0].live = NULL; /* a family whose first sample is not in the first row */
	for (size_t i = 0; i < 70; i++)
		s->rows[i].spec.cpu_quota_usec = 0; /* nor in the first piece */
	render(&whole, s);
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
		_cleanup_(cgm_prometheus_freep) struct cgm_prometheus *p = cgm_prometheus_new(s, &machine, CGM_PROMETHEUS_PROTOBUF);
		_cleanup_buf_ struct cgm_buf piece = { 0 };
		size_t at = 0;

		assert_non_null(p);
		while (cgm_prometheus_next(p, wants[i], &piece) == 1) {
			size_t of_piece = 0;
			Prom__MetricFamily *f;

			while ((f = next_family(&piece, &of_piece)))
				prom__metric_family__free_unpacked(f, NULL);
			assert_true(at + piece.len <= whole.len);
			assert_memory_equal(piece.p, whole.p + at, piece.len);
			at += piece.len;
			piece.len = 0;
		}
		assert_int_equal(at, whole.len);
	}
}

static void test_prometheus_protobuf__every_allocation_fails_once(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	unsigned long n = 1;

	(void)state;
	s->rows[1].app = fixture_app();
	for (;; n++) {
		_cleanup_buf_ struct cgm_buf page = { 0 };
		int err;

		cgm_mem_fail_at(n);
		err = cgm_prometheus_render(s, &machine, CGM_PROMETHEUS_PROTOBUF, &page);
		cgm_mem_fail_at(0);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_true(page.failed);
	}
	assert_in_range(n, 5, 50);
	for (n = 1; n <= 4; n++) {
		cgm_mem_fail_at(n);
		assert_null(cgm_prometheus_new(s, NULL, CGM_PROMETHEUS_PROTOBUF));
		cgm_mem_fail_at(0);
	}
}

static void test_prometheus_protobuf__500_rows(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 500, .nr_cpus = 2, .disk = true, .live = true, .root_devices = true });
	_cleanup_buf_ struct cgm_buf text = { 0 }, page = { 0 }, packed = { 0 }, packed_text = { 0 };
	uint64_t best_ns = UINT64_MAX, start_ns;

	(void)state;
	assert_int_equal(cgm_prometheus_render(s, &machine, CGM_PROMETHEUS_TEXT, &text), 0);
	for (int i = 0; i < 5; i++) {
		start_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
		render(&page, s);
		best_ns = MIN(best_ns, cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns);
	}
	assert_int_equal(cgm_gzip_buf(&page, &packed), 0);
	assert_int_equal(cgm_gzip_buf(&text, &packed_text), 0);
	print_message("%.2f ms into a used buffer, %.1f MB (text %.1f), gzip %.2f MB (text %.2f)\n", (double)best_ns / 1e6,
		      (double)page.len / 1e6, (double)text.len / 1e6, (double)packed.len / 1e6, (double)packed_text.len / 1e6);
	assert_true(page.len < text.len * 11 / 20); /* the labels of a histogram stand there once */
}

/* Samples of a text page, or metrics of a protobuf page, that have the label id="name". */
static unsigned series_of(const struct cgm_snapshot *s, enum cgm_prometheus_format format, const char *name)
{
	_cleanup_buf_ struct cgm_buf page = { 0 };
	Prom__MetricFamily *f;
	unsigned nr = 0;
	size_t at = 0;
	char label[300];

	assert_int_equal(cgm_prometheus_render(s, &machine, format, &page), 0);
	if (format == CGM_PROMETHEUS_TEXT) {
		cgm_buf_char(&page, '\0');
		snprintf(label, sizeof(label), "{id=\"%s\"", name);
		for (const char *p = page.p; (p = strstr(p, label)); p++)
			nr++;
		return nr;
	}
	while ((f = next_family(&page, &at))) {
		for (size_t i = 0; i < f->n_metric; i++)
			nr += f->metric[i]->n_label && !strcmp(f->metric[i]->label[0]->name, "id") && !strcmp(f->metric[i]->label[0]->value, name);
		prom__metric_family__free_unpacked(f, NULL);
	}
	return nr;
}

/* A container that has everything has just as many series as the reference says, and none has more. */
static void test_series_count__is_what_a_page_has(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	const struct cgm_series n = cgm_series_count();
	const char *name = s->rows[1].identity->name;
	struct cgm_live_block blocks[2 * CGM_NR_BLOCK_OPS];
	struct cgm_live_wait waits[CGM_NR_WAITS];
	unsigned single = n.row + full.nr_cpus * (n.cpu + n.event) + n.disk + 2 * n.device + ARRAY_SIZE(blocks) * n.block + n.pagesize + n.cache + n.sockets, hists = n.row_hists + ARRAY_SIZE(blocks) * n.block_hists;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++) {
		blocks[i] = s->rows[1].live->blocks[0];
		blocks[i].op = i % CGM_NR_BLOCK_OPS;
		blocks[i].dirtied_pages = 1;
		snprintf(blocks[i].name, sizeof(blocks[i].name), "/dev/vd%c", 'a' + (char)(i / CGM_NR_BLOCK_OPS));
	}
	s->rows[1].live->blocks = blocks;
	s->rows[1].live->nr_blocks = ARRAY_SIZE(blocks);
	for (unsigned i = 0; i < CGM_NR_WAITS; i++)
		waits[i] = (struct cgm_live_wait){ .wait = i, .hist = s->rows[1].live->sched.on_cpu };
	s->rows[1].live->waits = waits;
	s->rows[1].live->nr_waits = CGM_NR_WAITS;
	s->rows[1].identity->who = cgm_who_new(&(struct cgm_who){ .runtime = "docker", .id = "0" });
	assert_int_equal(series_of(s, CGM_PROMETHEUS_TEXT, name), single + CGM_CLASSIC_SERIES * hists);
	assert_int_equal(series_of(s, CGM_PROMETHEUS_PROTOBUF, name), single + hists);
	/* "/" alone has interfaces and file systems: for some families its disk is left out then */
	assert_in_range(series_of(s, CGM_PROMETHEUS_PROTOBUF, "/"), n.row, n.row + n.row_hists + full.nr_cpus * (n.cpu + n.event) + n.disk + 2 * n.iface +
			2 * n.fs + n.pagesize + n.cache + n.sockets + n.uncore + n.device + 2 * (n.block + n.block_hists));
	assert_int_equal(CGM_CLASSIC_SERIES, CGM_PROM_LE_BOUNDS + 3);
	print_message("%u single series and %u histograms\n", single, hists);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prometheus_protobuf__says_what_the_text_says),
		cmocka_unit_test(test_prometheus_protobuf__times),
		cmocka_unit_test(test_prometheus_protobuf__types_and_units),
		cmocka_unit_test(test_prometheus_protobuf__without_machine_and_rows),
		cmocka_unit_test(test_protobuf_hist__spans),
		cmocka_unit_test(test_protobuf_hist__part_of_the_entries),
		cmocka_unit_test(test_protobuf_hist__empty_is_left_out),
		cmocka_unit_test(test_protobuf_number__as_the_text_is_read),
		cmocka_unit_test(test_prometheus_next__pieces_of_whole_families),
		cmocka_unit_test(test_prometheus_protobuf__every_allocation_fails_once),
		cmocka_unit_test(test_series_count__is_what_a_page_has),
		cmocka_unit_test(test_prometheus_protobuf__500_rows),
	};

	return cmocka_run_group_tests_name("prometheus_protobuf", tests, NULL, NULL);
}
