// SPDX-License-Identifier: Apache-2.0
/*
 * Graphite's plaintext, "path value seconds", by TCP or UDP. Paths are Heapster's: PREFIX.nodes.NODE.pods.NAMESPACE.POD.containers.CONTAINER.cpu.usage and so on. A point within names the device
 * behind its first word, filesystem.DEVICE.usage, which Heapster meant to and did not. Other labels have no place in a path.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "export/driver.h"
#include "export/points.h"
#include "sink/lines.h"

#define PORT 2003
#define PREFIX "kubernetes"

struct state {
	char *prefix; /* ends with a point, or "" */
	struct cgm_lines lines; /* the sender's, but for what is fixed */
};

static void graphite_close(void *state)
{
	struct state *s = state;

	cgm_lines_close(&s->lines);
	free(s->prefix);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		graphite_close(*s);
}

/* A byte that is a part of the path's own language, or of a query's, or of no text at all. */
static bool is_special(unsigned char c)
{
	return c <= ' ' || c == 0x7f || strchr("/;,(){}[]*?~\"'`=\\|", c);
}

/* One word of a path, or several (dots stay) when it is a prefix. */
static void put_word(struct cgm_buf *b, const char *text, bool dots)
{
	const unsigned char *p = (const unsigned char *)text;

	if (!*p)
		cgm_buf_char(b, '_'); /* an empty word would move the others */
	while (*p) {
		size_t len = cgm_utf8_len(p);

		if (!len || is_special(*p) || (*p == '.' && !dots))
			cgm_buf_char(b, '_');
		else
			cgm_buf_put(b, p, len);
		p += len ? len : 1;
	}
}

static char *prefix_of(const char *text)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	size_t len;

	put_word(&b, *text ? text : PREFIX, true);
	for (len = b.len; len && b.p[len - 1] == '.'; len--)
		;
	b.len = len;
	if (len)
		cgm_buf_char(&b, '.');
	cgm_buf_char(&b, '\0');
	return b.failed ? NULL : cgm_strdup(b.p);
}

static int graphite_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	const char *prefix = cgm_uri_option(uri, "prefix", 0);

	(void)config;
	if (!s)
		return -ENOMEM;
	s->lines.fd = -1;
	s->lines.repeatable = true; /* a path holds one value for each second */
	s->lines.tcp = strcmp(uri->scheme, "udp") != 0;
	if (s->lines.tcp && *uri->scheme && strcmp(uri->scheme, "tcp") != 0) {
		snprintf(fault, CGM_SINK_FAULT, "%.40s:// is not known; it takes tcp:// or udp://", uri->scheme);
		return -EINVAL;
	}
	if (strlen(uri->host) >= sizeof(s->lines.host)) {
		snprintf(fault, CGM_SINK_FAULT, "the host's name is too long");
		return -EINVAL;
	}
	snprintf(s->lines.host, sizeof(s->lines.host), "%s", *uri->host ? uri->host : "localhost");
	s->lines.port = (uint16_t)(uri->port ? uri->port : PORT);
	s->prefix = prefix_of(prefix ? prefix : "");
	if (!s->prefix)
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

/* What all paths of a set begin with. */
static void put_place(struct cgm_buf *b, const struct cgm_entity *e)
{
	static const struct {
		const char *word;
		enum cgm_cl label;
		uint8_t kinds; /* 1 << enum cgm_set_kind, or'ed */
	} words[] = {
		{ "namespaces.", CGM_CL_NAMESPACE_NAME, 1 << CGM_SET_NAMESPACE },
		{ "nodes.", CGM_CL_HOSTNAME, 1 << CGM_SET_NODE | 1 << CGM_SET_SYS_CONTAINER | 1 << CGM_SET_POD | 1 << CGM_SET_CONTAINER },
		{ "sys-containers.", CGM_CL_CONTAINER_NAME, 1 << CGM_SET_SYS_CONTAINER },
		{ "pods.", CGM_CL_NAMESPACE_NAME, 1 << CGM_SET_POD | 1 << CGM_SET_CONTAINER },
		{ "", CGM_CL_POD_NAME, 1 << CGM_SET_POD | 1 << CGM_SET_CONTAINER },
		{ "containers.", CGM_CL_CONTAINER_NAME, 1 << CGM_SET_CONTAINER },
	};

	if (e->kind == CGM_SET_CLUSTER)
		cgm_buf_lit(b, "cluster.");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!(words[i].kinds >> e->kind & 1))
			continue;
		cgm_buf_str(b, words[i].word);
		put_word(b, cgm_entity_label(e, words[i].label), false);
		cgm_buf_char(b, '.');
	}
}

/* Of the table: a slash parts words. */
static void put_name(struct cgm_buf *b, const char *name)
{
	for (; *name; name++)
		cgm_buf_char(b, *name == '/' ? '.' : *name);
}

/* Behind the first word of the name stands whose it is: the device's name; of an application's metric its own name and all its labels. */
static void put_owner(struct cgm_buf *b, const struct cgm_labeled *l)
{
	bool custom = l->metric == CGM_CM_CUSTOM;

	if (custom) {
		cgm_buf_char(b, '.');
		put_word(b, cgm_labeled_name(l), false);
	}
	for (unsigned i = 0; i < l->nr_labels; i++) {
		if (!custom && strcmp(cgm_labeled_labels(l)[i].key, "resource_id") != 0 && strcmp(cgm_labeled_labels(l)[i].key, "accelerator_id") != 0)
			continue; /* make and model go with an accelerator's id */
		cgm_buf_char(b, '.');
		if (custom) {
			put_word(b, cgm_labeled_labels(l)[i].key, false);
			cgm_buf_char(b, '.');
		}
		put_word(b, cgm_labeled_labels(l)[i].value, false);
	}
}

static void put_metric(struct cgm_buf *b, const struct cgm_point *p)
{
	const char *name = cgm_cm_table[p->metric].name;
	size_t first = strcspn(name, "/");

	cgm_buf_put(b, name, first);
	if (p->labeled)
		put_owner(b, p->labeled);
	put_name(b, name + first);
}

static uint64_t graphite_encode(const void *state, const struct cgm_slice *s, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	const struct state *st = state;
	_cleanup_(cgm_buf_done) struct cgm_buf place = { 0 };
	struct cgm_cutter cutter = CGM_CUTTER(out, cut, arg);

	for (uint32_t i = 0; i < s->nr_sets; i++) {
		struct cgm_points it = CGM_POINTS(&s->sets[i]);
		struct cgm_point p;

		place.len = 0;
		cgm_buf_str(&place, st->prefix);
		put_place(&place, s->sets[i].entity);
		while (cgm_points_next(&it, &p)) {
			cgm_buf_put(out, place.p, place.len);
			put_metric(out, &p);
			cgm_buf_char(out, ' ');
			cgm_point_value(&p, out);
			cgm_buf_char(out, ' ');
			cgm_buf_u64(out, s->end_ns / CGM_NSEC_PER_SEC);
			cgm_buf_char(out, '\n');
			cgm_cutter_add(&cutter, 1);
		}
	}
	out->failed |= place.failed;
	return cutter.nr_points;
}

static enum cgm_sink_result graphite_send(void *state, struct cgm_sink_attempt *a)
{
	return cgm_lines_send(&((struct state *)state)->lines, a);
}

const struct cgm_exporter cgm_export_graphite = {
	.name = "graphite",
	.batch_bytes = (size_t)256 * 1024,
	.open = graphite_open,
	.close = graphite_close,
	.encode = graphite_encode,
	.send = graphite_send,
};
