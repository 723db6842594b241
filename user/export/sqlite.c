// SPDX-License-Identifier: Apache-2.0
/*
 * sqlite:PATH?retention=15d: the history in a file. A batch is a run of records in a form of its own: each has one set with its points, says
 * everything by name (a spool outlives the program that wrote it), and is checked when it is read. Numbers are in the machine's byte order.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "export/driver.h"
#include "export/sqlite_lib.h"
#include "export/sqlite_write.h"
#include "output/json.h"

#define MAGIC 0x31534743u /* "CGS1": the form of a record */
#define DEFAULT_RETENTION_NS (15 * 86400 * CGM_NSEC_PER_SEC)
#define CUT_BYTES ((size_t)32 << 10)
#define PRUNE_NS (10 * CGM_NSEC_PER_SEC) /* a slice of what is too old at most so often, unless there is more of it */

struct state {
	char *path;
	uint64_t retention_ns; /* 0: for ever */
	/* The sender's. */
	struct cgm_sqlite_writer *writer;
	uint64_t pruned_ns; /* monotonic */
};

/* ---- the URI ---- */

/* "15d", "2w", or a Go duration. */
static int parse_days(struct cgm_str s, uint64_t *ret_ns)
{
	char last = s.len ? s.p[s.len - 1] : '\0';
	uint64_t n;

	if (cgm_str_eq(s, "0")) {
		*ret_ns = 0;
		return 0;
	}
	if (last != 'd' && last != 'w')
		return cgm_parse_duration_ns(s, ret_ns);
	s.len--;
	if (cgm_parse_u64(s, &n) < 0 || n > 36500)
		return -EINVAL;
	*ret_ns = n * (last == 'w' ? 7 : 1) * 86400 * CGM_NSEC_PER_SEC;
	return 0;
}

static int read_options(struct cgm_uri *uri, struct state *s, char *fault)
{
	const char *text = cgm_uri_option(uri, "retention", 0);

	s->retention_ns = DEFAULT_RETENTION_NS;
	if (text && (parse_days(cgm_str(text), &s->retention_ns) < 0 || (s->retention_ns && s->retention_ns < 60 * CGM_NSEC_PER_SEC))) {
		snprintf(fault, CGM_SINK_FAULT, "option retention: \"%.40s\" is no time like 15d, 2w or 36h, of a minute at least (0: for ever)", text);
		return -EINVAL;
	}
	if (*uri->rest)
		return 0;
	snprintf(fault, CGM_SINK_FAULT, "sqlite needs a path, as in sqlite:/var/lib/cgmeter/history.db");
	return -EINVAL;
}

static void sqlite_close(void *state)
{
	struct state *s = state;

	cgm_sqlite_writer_close(s->writer);
	free(s->path);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		sqlite_close(*s);
}

static int sqlite_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	int r;

	(void)config;
	if (!s)
		return -ENOMEM;
	r = read_options(uri, s, fault);
	if (r == 0 && !cgm_sqlite_lib(fault, CGM_SINK_FAULT))
		r = -EINVAL;
	if (r < 0)
		return r;
	s->path = cgm_strdup(uri->rest);
	if (!s->path)
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- slices to records ---- */

static void put_u32(struct cgm_buf *b, uint32_t v)
{
	cgm_buf_put(b, &v, sizeof(v));
}

static void put_text(struct cgm_buf *b, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	put_u32(b, (uint32_t)len);
	cgm_buf_put(b, text, len);
}

/* Leaves room for a length, and says where. */
static size_t open_length(struct cgm_buf *b)
{
	put_u32(b, 0);
	return b->len;
}

static void close_length(struct cgm_buf *b, size_t from)
{
	uint32_t len = (uint32_t)(b->len - from);

	if (!b->failed)
		memcpy(b->p + from - sizeof(len), &len, sizeof(len));
}

static void put_tag(struct cgm_buf *b, size_t from, const char *key, const char *value)
{
	cgm_buf_char(b, b->len == from ? '{' : ',');
	cgm_json_string(b, key);
	cgm_buf_char(b, ':');
	cgm_json_string(b, value);
}

static void put_tags(struct cgm_buf *b, const struct cgm_tag *tags, size_t nr)
{
	size_t from = open_length(b);

	cgm_sqlite_labels(b, tags, nr);
	close_length(b, from);
}

static void put_entity_labels(struct cgm_buf *b, const struct cgm_entity *e)
{
	size_t from = open_length(b);

	for (unsigned l = 0; l < CGM_NR_CL; l++)
		if (e->labels[l])
			put_tag(b, from, cgm_cl_name(l), e->labels[l]);
	for (size_t i = 0; i < e->nr_stored; i++)
		put_tag(b, from, e->stored[i].key, e->stored[i].value);
	if (b->len != from)
		cgm_buf_char(b, '}');
	close_length(b, from);
}

static void put_value(struct cgm_buf *b, union cgm_cm_value v, bool is_float)
{
	cgm_buf_char(b, is_float ? 1 : 0);
	cgm_buf_put(b, &v, sizeof(v));
}

static bool is_good(union cgm_cm_value v, bool is_float)
{
	return !is_float || isfinite(v.f);
}

static void put_scalar(struct cgm_buf *b, unsigned m, union cgm_cm_value v)
{
	put_text(b, cgm_cm_table[m].name);
	put_u32(b, 0);
	put_u32(b, 0);
	put_value(b, v, cgm_cm_table[m].is_float);
}

static const char *resource_of(const struct cgm_labeled *l)
{
	for (size_t i = 0; i < l->nr_labels; i++)
		if (!strcmp(cgm_labeled_labels(l)[i].key, "resource_id"))
			return cgm_labeled_labels(l)[i].value;
	return NULL;
}

static void put_labeled(struct cgm_buf *b, const struct cgm_labeled *l, bool is_float)
{
	size_t from = open_length(b);

	if (l->metric == CGM_CM_CUSTOM) {
		cgm_buf_lit(b, "custom/");
		cgm_buf_str(b, cgm_labeled_name(l));
	} else {
		cgm_buf_str(b, cgm_cm_table[l->metric].name);
	}
	close_length(b, from);
	put_tags(b, cgm_labeled_labels(l), l->nr_labels);
	put_text(b, resource_of(l));
	put_value(b, l->value, is_float);
}

/* How many points it was. */
static uint64_t put_points(struct cgm_buf *b, const struct cgm_set *set)
{
	uint64_t nr = 0;

	for (unsigned m = 0; m < CGM_NR_SCALARS; m++)
		if (cgm_set_has(set, m) && is_good(cgm_set_value(set, m), cgm_cm_table[m].is_float)) {
			put_scalar(b, m, cgm_set_value(set, m));
			nr++;
		}
	for (uint32_t i = 0; i < set->nr_labeled; i++) {
		const struct cgm_labeled *l = &set->labeled[i];
		bool is_float = l->metric == CGM_CM_CUSTOM ? l->is_float : cgm_cm_table[l->metric].is_float;

		if (is_good(l->value, is_float)) {
			put_labeled(b, l, is_float);
			nr++;
		}
	}
	return nr;
}

static const enum cgm_cl columns[] = { CGM_CL_TYPE, CGM_CL_NODENAME, CGM_CL_NAMESPACE_NAME, CGM_CL_POD_NAME, CGM_CL_POD_ID, CGM_CL_CONTAINER_NAME };

static uint64_t put_record(struct cgm_buf *b, const struct cgm_slice *slice, const struct cgm_set *set)
{
	size_t from;
	uint64_t nr;

	put_u32(b, MAGIC);
	from = open_length(b);
	cgm_buf_put(b, &slice->end_ns, sizeof(slice->end_ns));
	put_text(b, set->entity->key);
	put_entity_labels(b, set->entity);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		put_text(b, set->entity->labels[columns[i]]);
	nr = put_points(b, set);
	close_length(b, from);
	return nr;
}

static uint64_t sqlite_encode(const void *state, const struct cgm_slice *s, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	uint64_t nr = 0, since = 0;
	size_t from = out->len;

	(void)state;
	for (uint32_t i = 0; i < s->nr_sets; i++) {
		since += put_record(out, s, &s->sets[i]);
		if (out->len < from || out->len - from < CUT_BYTES)
			continue;
		nr += since;
		cut(arg, since);
		since = 0;
		from = out->len;
	}
	return nr + since;
}

/* ---- records to the file ---- */

struct reader {
	const char *p;
	size_t len;
	bool bad; /* it ended too early */
};

static struct cgm_str take(struct reader *r, size_t len)
{
	struct cgm_str s = { r->p, len };

	if (r->bad || len > r->len) {
		r->bad = true;
		return (struct cgm_str){ "", 0 };
	}
	r->p += len;
	r->len -= len;
	return s;
}

static void take_number(struct reader *r, void *to, size_t size)
{
	struct cgm_str s = take(r, size);

	memset(to, 0, size);
	if (!r->bad)
		memcpy(to, s.p, size);
}

static struct cgm_str take_text(struct reader *r)
{
	uint32_t len;

	take_number(r, &len, sizeof(len));
	return take(r, len);
}

static void take_point(struct reader *r, struct cgm_sqlite_point *p)
{
	uint8_t is_float;

	p->metric = take_text(r);
	p->labels = take_text(r);
	p->resource_id = take_text(r);
	take_number(r, &is_float, sizeof(is_float));
	p->is_float = is_float;
	if (is_float)
		take_number(r, &p->f, sizeof(p->f));
	else
		take_number(r, &p->i, sizeof(p->i));
}

static int write_record(struct cgm_sqlite_writer *w, struct cgm_str record, uint64_t *nr_written, char *fault)
{
	struct reader r = { record.p, record.len, false };
	struct cgm_sqlite_entity e = { 0 };
	struct cgm_str *const texts[] = { &e.key, &e.labels, &e.type, &e.nodename, &e.namespace_name, &e.pod_name, &e.pod_id, &e.container_name };
	uint64_t end_ns;
	int result = 0;

	take_number(&r, &end_ns, sizeof(end_ns));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		*texts[i] = take_text(&r);
	if (r.bad || end_ns > INT64_MAX)
		return 0;
	result = cgm_sqlite_entity(w, &e, end_ns, fault);
	while (result == 0 && r.len) {
		struct cgm_sqlite_point p = { 0 };

		take_point(&r, &p);
		if (r.bad)
			break;
		result = cgm_sqlite_point(w, &p, fault);
		*nr_written += result == 0;
	}
	return result;
}

/* A record that is damaged is passed over; behind one whose length is, nothing can be read. */
static int write_records(struct cgm_sqlite_writer *w, const struct cgm_sink_attempt *a, uint64_t *nr_written, char *fault)
{
	struct reader all = { a->data, a->len, false };
	int r = 0;

	while (r == 0 && all.len) {
		struct cgm_str record;
		uint32_t magic;

		take_number(&all, &magic, sizeof(magic));
		if (magic != MAGIC)
			break;
		record = take_text(&all);
		if (all.bad)
			break;
		r = write_record(w, record, nr_written, fault);
	}
	return r;
}

static int write_batch(struct state *s, const struct cgm_sink_attempt *a, uint64_t *nr_written, char *fault)
{
	int r = 0;

	if (s->writer && !cgm_sqlite_writer_is_current(s->writer)) {
		cgm_sqlite_writer_close(s->writer);
		s->writer = NULL;
	}
	if (!s->writer)
		r = cgm_sqlite_writer_open(s->path, &s->writer, fault);
	if (r < 0)
		return r;
	cgm_sqlite_writer_limit(s->writer, a->stop, a->until_ns);
	r = cgm_sqlite_begin(s->writer, fault);
	if (r == 0)
		r = write_records(s->writer, a, nr_written, fault);
	return r < 0 ? r : cgm_sqlite_commit(s->writer, fault);
}

/* The batch is written: that this fails is told with the next one that fails, too. */
static void prune(struct state *s, const struct cgm_sink_attempt *a)
{
	uint64_t now_ns = cgm_clock_mono_ns(), real_ns = cgm_clock_real_ns();
	char fault[CGM_SINK_FAULT];
	bool more = false;

	if (!s->retention_ns || real_ns < s->retention_ns || (s->pruned_ns && now_ns - s->pruned_ns < PRUNE_NS) || cgm_sink_stopping(a->stop))
		return;
	if (cgm_sqlite_prune(s->writer, real_ns - s->retention_ns, &more, fault) < 0) {
		cgm_sqlite_writer_close(s->writer);
		s->writer = NULL;
	}
	s->pruned_ns = more ? 0 : now_ns;
}

static enum cgm_sink_result sqlite_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;
	char fault[CGM_SINK_FAULT] = "";
	uint64_t nr_written = 0;
	int r = write_batch(s, a, &nr_written, fault);

	if (r < 0) {
		/* Closed, it is rolled back; the next try finds a file that was mended or moved away. */
		cgm_sqlite_writer_close(s->writer);
		s->writer = NULL;
		return cgm_sink_again(a, "%s", fault);
	}
	if (nr_written < a->nr_points) {
		a->nr_lost = a->nr_points - nr_written;
		a->loss = CGM_SINK_REJECTED;
		snprintf(a->fault, sizeof(a->fault), "%.140s: the spooled batch is damaged", s->path);
	}
	prune(s, a);
	return CGM_SINK_WRITTEN;
}

const struct cgm_exporter cgm_export_sqlite = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.encode = sqlite_encode,
	.send = sqlite_send,
};
