// SPDX-License-Identifier: Apache-2.0
/*
 * statsd, by UDP (or TCP): etsystatsd has all in the name, PREFIX.node.N.namespace.N.pod.P.container.C.LABELS.metric:value|g, influxstatsd has labels, PREFIXmetric,k=v:value|g. Everything is a gauge, as in
 * Heapster. statsd knows no times: what is sent late counts as of then, the newest last.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "export/driver.h"
#include "export/points.h"
#include "sink/lines.h"

#define PORT 8125
#define MAX_PAIRS 64

enum style { AS_IT_IS, LOWER_CAMEL, UPPER_CAMEL };

struct pair {
	char *from, *to; /* of allowedLabels: to is NULL */
};

struct state {
	bool influx;
	char *prefix;
	enum style style;
	struct pair renames[MAX_PAIRS], allowed[MAX_PAIRS];
	size_t nr_renames, nr_allowed;
	struct cgm_lines lines; /* the sender's, but for what is fixed */
};

static void statsd_close(void *state)
{
	struct state *s = state;

	cgm_lines_close(&s->lines);
	for (size_t i = 0; i < s->nr_renames; i++) {
		free(s->renames[i].from);
		free(s->renames[i].to);
	}
	for (size_t i = 0; i < s->nr_allowed; i++)
		free(s->allowed[i].from);
	free(s->prefix);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		statsd_close(*s);
}

/* ---- opening ---- */

static int bad(char *fault, const char *option, const char *what)
{
	snprintf(fault, CGM_SINK_FAULT, "option %s: %s", option, what);
	return -EINVAL;
}

/* "old:new,old:new" or "name,name" */
static int read_pairs(const char *option, const char *text, bool renames, struct pair *pairs, size_t *nr, char *fault)
{
	struct cgm_str rest = cgm_str(text ? text : ""), one, from;

	while (cgm_next_field(&rest, ',', &one)) {
		struct pair *p = &pairs[*nr];
		bool has_from = cgm_next_field(&one, renames ? ':' : ',', &from) && from.len;

		if (!has_from || (renames && !one.len))
			return bad(fault, option, renames ? "pairs old:new are wanted, comma between" : "an empty name");
		if (*nr == MAX_PAIRS)
			return bad(fault, option, "takes up to 64 names");
		*p = (struct pair){ .from = cgm_strndup(from.p, from.len), .to = renames ? cgm_strndup(one.p, one.len) : NULL };
		*nr += 1;
		if (!p->from || (renames && !p->to))
			return -ENOMEM;
	}
	return 0;
}

static int read_words(struct state *s, struct cgm_uri *uri, char *fault)
{
	const char *type = cgm_uri_option(uri, "protocolType", 0), *style = cgm_uri_option(uri, "labelStyle", 0);

	if (type && strcasecmp(type, "influxstatsd") == 0)
		s->influx = true;
	else if (type && strcasecmp(type, "etsystatsd") != 0)
		return bad(fault, "protocolType", "takes etsystatsd or influxstatsd");
	if (!style)
		return 0;
	if (strcmp(style, "lowerCamelCase") == 0)
		s->style = LOWER_CAMEL;
	else if (strcmp(style, "upperCamelCase") == 0)
		s->style = UPPER_CAMEL;
	else
		return bad(fault, "labelStyle", "takes lowerCamelCase or upperCamelCase");
	return 0;
}

static int read_address(struct state *s, const struct cgm_uri *uri, char *fault)
{
	s->lines.fd = -1;
	s->lines.tcp = strcmp(uri->scheme, "tcp") == 0;
	if (*uri->scheme && !s->lines.tcp && strcmp(uri->scheme, "udp") != 0) {
		snprintf(fault, CGM_SINK_FAULT, "%.40s:// is not known; it takes udp:// or tcp://", uri->scheme);
		return -EINVAL;
	}
	if (strlen(uri->host) >= sizeof(s->lines.host)) {
		snprintf(fault, CGM_SINK_FAULT, "the host's name is too long");
		return -EINVAL;
	}
	snprintf(s->lines.host, sizeof(s->lines.host), "%s", *uri->host ? uri->host : "localhost");
	s->lines.port = (uint16_t)(uri->port ? uri->port : PORT);
	return 0;
}

static int statsd_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	const char *prefix = cgm_uri_option(uri, "prefix", 0);
	unsigned long nr = 5;
	int r;

	(void)config;
	if (!s)
		return -ENOMEM;
	r = read_address(s, uri, fault);
	if (r == 0)
		r = read_words(s, uri, fault);
	if (r == 0 && (!cgm_uri_number(uri, "numMetricsPerMsg", &nr, fault, CGM_SINK_FAULT) || !nr))
		r = nr ? -EINVAL : bad(fault, "numMetricsPerMsg", "must be at least 1");
	s->lines.max_lines = nr;
	if (r == 0)
		r = read_pairs("renameLabels", cgm_uri_option(uri, "renameLabels", 0), true, s->renames, &s->nr_renames, fault);
	if (r == 0)
		r = read_pairs("allowedLabels", cgm_uri_option(uri, "allowedLabels", 0), false, s->allowed, &s->nr_allowed, fault);
	if (r < 0)
		return r;
	s->prefix = cgm_strdup(prefix ? prefix : "");
	if (!s->prefix)
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- words ---- */

/* What would end or cut a name is written as _; dots part words in etsystatsd. What stands behind the text begins no longer character of its last one: a zero, a comma or a colon. */
static void put_text(struct cgm_buf *b, struct cgm_str text, bool dots)
{
	for (size_t i = 0; i < text.len;) {
		const unsigned char *p = (const unsigned char *)text.p + i;
		size_t len = cgm_utf8_len(p);

		if (!len || *p <= ' ' || *p == 0x7f || strchr(":|#,=@", *p) || (*p == '.' && !dots))
			cgm_buf_char(b, '_');
		else
			cgm_buf_put(b, p, len);
		i += len ? len : 1;
	}
}

static void put_word(const struct state *s, struct cgm_buf *b, const char *text)
{
	if (!*text)
		cgm_buf_char(b, '_'); /* an empty word would move the others */
	put_text(b, cgm_str(text), s->influx);
}

/* A label's name by renameLabels and labelStyle. */
static void put_key(const struct state *s, struct cgm_buf *b, struct cgm_str key)
{
	size_t start = b->len, to = start;
	bool up = s->style == UPPER_CAMEL;

	for (size_t i = 0; i < s->nr_renames; i++)
		if (cgm_str_eq(key, s->renames[i].from)) {
			key = cgm_str(s->renames[i].to);
			break;
		}
	put_text(b, key, s->influx);
	if (s->style == AS_IT_IS || b->failed)
		return;
	for (size_t i = start; i < b->len; i++) {
		char c = b->p[i];

		if (c == '_') {
			up = s->style == UPPER_CAMEL || to > start;
			continue;
		}
		b->p[to++] = up && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
		up = false;
	}
	b->len = to;
	if (s->style == LOWER_CAMEL && to > start && b->p[start] >= 'A' && b->p[start] <= 'Z')
		b->p[start] = (char)(b->p[start] - 'A' + 'a');
}

static bool is_allowed(const struct state *s, const char *key)
{
	for (size_t i = 0; i < s->nr_allowed; i++)
		if (strcmp(s->allowed[i].from, key) == 0)
			return true;
	return !s->nr_allowed;
}

/* The next of Heapster's "k:v,k:v"; pairs without a value are passed over. */
static bool next_user_label(struct cgm_str *rest, struct cgm_str *ret_key, struct cgm_str *ret_value)
{
	struct cgm_str one;

	while (cgm_next_field(rest, ',', &one))
		if (cgm_next_field(&one, ':', ret_key) && ret_key->len && one.len) {
			*ret_value = one;
			return true;
		}
	return false;
}

/* ---- etsystatsd ---- */

static void put_place(const struct state *s, struct cgm_buf *b, const struct cgm_entity *e)
{
	static const struct {
		const char *word;
		enum cgm_cl label;
		uint8_t kinds; /* 1 << enum cgm_set_kind, or'ed */
	} words[] = {
		{ "node.", CGM_CL_HOSTNAME, 1 << CGM_SET_NODE | 1 << CGM_SET_SYS_CONTAINER | 1 << CGM_SET_POD | 1 << CGM_SET_CONTAINER },
		{ "sys-container.", CGM_CL_CONTAINER_NAME, 1 << CGM_SET_SYS_CONTAINER },
		{ "namespace.", CGM_CL_NAMESPACE_NAME, 1 << CGM_SET_NAMESPACE | 1 << CGM_SET_POD | 1 << CGM_SET_CONTAINER },
		{ "pod.", CGM_CL_POD_NAME, 1 << CGM_SET_POD | 1 << CGM_SET_CONTAINER },
		{ "container.", CGM_CL_CONTAINER_NAME, 1 << CGM_SET_CONTAINER },
	};
	struct cgm_str rest = cgm_str(is_allowed(s, "labels") ? cgm_entity_label(e, CGM_CL_LABELS) : ""), key, value;

	if (*s->prefix) {
		put_word(s, b, s->prefix);
		cgm_buf_char(b, '.');
	}
	if (e->kind == CGM_SET_CLUSTER)
		cgm_buf_lit(b, "cluster.");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!(words[i].kinds >> e->kind & 1))
			continue;
		cgm_buf_str(b, words[i].word);
		put_word(s, b, cgm_entity_label(e, words[i].label));
		cgm_buf_char(b, '.');
	}
	while (next_user_label(&rest, &key, &value)) {
		put_key(s, b, key);
		cgm_buf_char(b, '.');
		put_text(b, value, false);
		cgm_buf_char(b, '.');
	}
}

static void put_name(const struct state *s, struct cgm_buf *b, const struct cgm_point *p)
{
	_cleanup_(cgm_buf_done) struct cgm_buf name = { 0 };

	cgm_point_name(p, &name);
	cgm_buf_char(&name, '\0');
	if (name.failed)
		b->failed = true;
	else
		put_word(s, b, name.p);
}

static void put_etsy(const struct state *s, struct cgm_buf *b, const struct cgm_buf *place, const struct cgm_point *p)
{
	bool custom = p->metric == CGM_CM_CUSTOM;

	cgm_buf_put(b, place->p, place->len);
	put_name(s, b, p);
	for (unsigned i = 0; p->labeled && i < p->labeled->nr_labels; i++) {
		const struct cgm_tag *l = &cgm_labeled_labels(p->labeled)[i];

		if (!custom && strcmp(l->key, "resource_id") != 0 && strcmp(l->key, "accelerator_id") != 0)
			continue; /* make and model go with an accelerator's id */
		cgm_buf_char(b, '.');
		if (custom) {
			put_key(s, b, cgm_str(l->key));
			cgm_buf_char(b, '.');
		}
		put_word(s, b, l->value);
	}
}

/* ---- influxstatsd ---- */

static void put_tag(const struct state *s, struct cgm_buf *b, struct cgm_str key, struct cgm_str value)
{
	if (!value.len)
		return;
	cgm_buf_char(b, ',');
	put_key(s, b, key);
	cgm_buf_char(b, '=');
	put_text(b, value, true);
}

static void put_tags(const struct state *s, struct cgm_buf *b, const struct cgm_entity *e, const struct cgm_labeled *l)
{
	struct cgm_tags it = CGM_TAGS(e, l);
	struct cgm_tag tag;

	while (cgm_tags_next(&it, &tag)) {
		struct cgm_str rest = cgm_str(tag.value), key, value;

		if (!is_allowed(s, tag.key))
			continue;
		if (tag.key != cgm_cl_name(CGM_CL_LABELS))
			put_tag(s, b, cgm_str(tag.key), rest);
		else
			while (next_user_label(&rest, &key, &value))
				put_tag(s, b, key, value);
	}
}

static void put_influx(const struct state *s, struct cgm_buf *b, const struct cgm_buf *tags, const struct cgm_entity *e, const struct cgm_point *p)
{
	put_text(b, cgm_str(s->prefix), true);
	put_name(s, b, p);
	if (p->labeled)
		put_tags(s, b, e, p->labeled);
	else
		cgm_buf_put(b, tags->p, tags->len);
}

/* ---- both ---- */

static void put_line(const struct state *s, struct cgm_buf *out, const struct cgm_buf *shared, const struct cgm_entity *e, const struct cgm_point *p)
{
	bool negative = p->is_float ? p->value.f < 0 : p->value.i < 0;
	size_t start = out->len, len;

	if (s->influx)
		put_influx(s, out, shared, e, p);
	else
		put_etsy(s, out, shared, p);
	cgm_buf_char(out, ':');
	len = out->len - start;
	if (negative) { /* a sign takes away from a gauge, so that it is set to 0 before */
		cgm_buf_lit(out, "0|g\n");
		if (cgm_buf_reserve(out, len))
			cgm_buf_put(out, out->p + start, len);
	}
	cgm_point_value(p, out);
	cgm_buf_lit(out, "|g\n");
}

static uint64_t statsd_encode(const void *state, const struct cgm_slice *slice, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	const struct state *s = state;
	_cleanup_(cgm_buf_done) struct cgm_buf shared = { 0 };
	struct cgm_cutter cutter = CGM_CUTTER(out, cut, arg);

	for (uint32_t i = 0; i < slice->nr_sets; i++) {
		const struct cgm_entity *e = slice->sets[i].entity;
		struct cgm_points it = CGM_POINTS(&slice->sets[i]);
		struct cgm_point p;

		shared.len = 0;
		if (s->influx)
			put_tags(s, &shared, e, NULL);
		else
			put_place(s, &shared, e);
		while (cgm_points_next(&it, &p)) {
			put_line(s, out, &shared, e, &p);
			cgm_cutter_add(&cutter, 1);
		}
	}
	out->failed |= shared.failed;
	return cutter.nr_points;
}

static enum cgm_sink_result statsd_send(void *state, struct cgm_sink_attempt *a)
{
	return cgm_lines_send(&((struct state *)state)->lines, a);
}

const struct cgm_exporter cgm_export_statsd = {
	.name = "statsd",
	.batch_bytes = (size_t)256 * 1024,
	.open = statsd_open,
	.close = statsd_close,
	.encode = statsd_encode,
	.send = statsd_send,
};
