// SPDX-License-Identifier: Apache-2.0
/* Heapster's log sink: each slice as text for people, on standard output. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "export/driver.h"

struct state {
	uint8_t by_name[CGM_NR_SCALARS]; /* as Heapster sorts them */
	/* the sender's */
	size_t written; /* of the batch under way */
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(cgm_cm_table[*(const uint8_t *)a].name, cgm_cm_table[*(const uint8_t *)b].name);
}

static int log_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	struct state *s = cgm_calloc(1, sizeof(*s));

	(void)uri;
	(void)config;
	(void)fault;
	if (!s)
		return -ENOMEM;
	for (int m = 0; m < CGM_NR_SCALARS; m++)
		s->by_name[m] = (uint8_t)m;
	qsort(s->by_name, CGM_NR_SCALARS, sizeof(*s->by_name), compare_names);
	*ret = s;
	return 0;
}

/* Names are any bytes; a line must stay one. */
static void put_name(struct cgm_buf *out, const char *name)
{
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			cgm_buf_printf(out, "\\x%02x", (unsigned char)*p);
		else
			cgm_buf_char(out, *p);
	}
}

static void put_time(struct cgm_buf *out, uint64_t ns)
{
	time_t seconds = (time_t)(ns / CGM_NSEC_PER_SEC);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	cgm_buf_str(out, text);
	if (ns % CGM_NSEC_PER_SEC) {
		struct cgm_buf fraction = { 0 };

		cgm_buf_fixed(&fraction, ns % CGM_NSEC_PER_SEC, 9); /* 0.123 */
		cgm_buf_put(out, fraction.p + 1, fraction.len ? fraction.len - 1 : 0);
		out->failed |= fraction.failed;
		cgm_buf_done(&fraction);
	}
	cgm_buf_lit(out, " +0000 UTC");
}

static void put_stamp(struct cgm_buf *out, const char *what, uint64_t ns)
{
	if (!ns)
		return;
	cgm_buf_lit(out, "   ");
	cgm_buf_str(out, what);
	cgm_buf_lit(out, " time: ");
	put_time(out, ns);
	cgm_buf_char(out, ' ');
	cgm_buf_u64(out, ns);
	cgm_buf_char(out, '\n');
}

static void put_value(struct cgm_buf *out, bool is_float, union cgm_cm_value v)
{
	if (is_float)
		cgm_buf_printf(out, "%f", v.f);
	else
		cgm_buf_i64(out, v.i);
	cgm_buf_char(out, '\n');
}

static void put_pair(struct cgm_buf *out, const char *indent, const char *key, const char *value)
{
	cgm_buf_str(out, indent);
	put_name(out, key);
	cgm_buf_lit(out, " = ");
	put_name(out, value);
	cgm_buf_char(out, '\n');
}

static void put_labels(struct cgm_buf *out, const struct cgm_entity *e)
{
	cgm_buf_lit(out, "   Labels:\n");
	for (int l = 0; l < CGM_NR_CL; l++)
		if (e->labels[l])
			put_pair(out, "      ", cgm_cl_name(l), e->labels[l]);
	for (size_t i = 0; i < e->nr_stored; i++)
		put_pair(out, "      ", e->stored[i].key, e->stored[i].value);
}

static void put_labeled(struct cgm_buf *out, const struct cgm_labeled *l)
{
	bool custom = l->metric == CGM_CM_CUSTOM;

	cgm_buf_lit(out, "      ");
	if (custom)
		cgm_buf_lit(out, "custom/");
	put_name(out, custom ? cgm_labeled_name(l) : cgm_cm_table[l->metric].name);
	cgm_buf_lit(out, " = ");
	put_value(out, custom ? l->is_float : cgm_cm_table[l->metric].is_float, l->value);
	for (unsigned i = 0; i < l->nr_labels; i++)
		put_pair(out, "         ", cgm_labeled_labels(l)[i].key, cgm_labeled_labels(l)[i].value);
}

static uint64_t put_set(const struct state *st, struct cgm_buf *out, const struct cgm_set *s)
{
	uint64_t nr = s->nr_labeled;

	cgm_buf_lit(out, "\nMetricSet: ");
	put_name(out, s->entity->key);
	cgm_buf_char(out, '\n');
	put_stamp(out, "Scrape", s->scraped_ns);
	put_stamp(out, "Create", s->created_ns);
	put_labels(out, s->entity);
	cgm_buf_lit(out, "   Metrics:\n");
	for (int i = 0; i < CGM_NR_SCALARS; i++) {
		enum cgm_cm m = st->by_name[i];

		if (!cgm_set_has(s, m))
			continue;
		cgm_buf_lit(out, "      ");
		cgm_buf_str(out, cgm_cm_table[m].name);
		cgm_buf_lit(out, " = ");
		put_value(out, cgm_cm_table[m].is_float, cgm_set_value(s, m));
		nr++;
	}
	cgm_buf_lit(out, "   Labeled Metrics:\n");
	for (uint32_t i = 0; i < s->nr_labeled; i++)
		put_labeled(out, &s->labeled[i]);
	return nr;
}

static uint64_t log_encode(const void *state, const struct cgm_slice *s, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	uint64_t all = 0;

	cgm_buf_lit(out, "DataBatch     Timestamp: ");
	put_time(out, s->end_ns);
	if (*s->node) {
		cgm_buf_lit(out, "     Node: ");
		put_name(out, s->node);
	}
	cgm_buf_char(out, '\n');
	for (uint32_t i = 0; i < s->nr_sets; i++) {
		uint64_t nr = put_set(state, out, &s->sets[i]);

		all += nr;
		if (i + 1 == s->nr_sets)
			cgm_buf_char(out, '\n');
		cut(arg, nr);
	}
	return all;
}

static enum cgm_sink_result log_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;

	return cgm_sink_write_stdout(a, &s->written);
}

const struct cgm_exporter cgm_export_log = {
	.name = "log",
	.no_spool = true,
	.open = log_open,
	.close = free,
	.encode = log_encode,
	.send = log_send,
};
