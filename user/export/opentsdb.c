// SPDX-License-Identifier: Apache-2.0
/*
 * OpenTSDB's /api/put, a thousand points a request. The metric is the name with _ for / and with the type behind it, cpu_usage_cumulative; tags are all labels and the cluster's name. Points with labels of
 * their own (file systems, devices) are written too, which Heapster does not. By default OpenTSDB takes eight tags a point: tsd.storage.max_tags must be 16 or more, as with Heapster.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "export/answer.h"
#include "export/driver.h"
#include "export/points.h"
#include "export/target.h"

#define PORT 4242
#define POINTS 1000 /* of a request */
#define END ",\n" /* of a record */

struct state {
	struct cgm_target target;
	struct cgm_buf cluster; /* "cluster":"NAME" */
	/* the sender's: of the batch under way */
	size_t done; /* bytes */
	uint64_t nr_lost; /* points */
};

static void opentsdb_close(void *state)
{
	struct state *s = state;

	cgm_target_close(&s->target);
	cgm_buf_done(&s->cluster);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		opentsdb_close(*s);
}

/* Letters, digits and -_./ of ASCII make a name; older servers take nothing else. */
static void put_name(struct cgm_buf *b, const char *text)
{
	for (; *text; text++)
		cgm_buf_char(b, (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') || strchr("-_./", *text) ? *text : '_');
}

static int opentsdb_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	const char *cluster = cgm_uri_option(uri, "cluster", 0);
	int r;

	if (!s)
		return -ENOMEM;
	r = cgm_target_open(&s->target, uri, config, PORT, "", fault);
	if (r == 0)
		r = cgm_target_append(&s->target, "/api/put?details");
	if (r < 0)
		return r;
	cgm_buf_lit(&s->cluster, "\"cluster\":\"");
	put_name(&s->cluster, cluster ? cluster : config->cluster_name ? config->cluster_name : "k8s-cluster");
	cgm_buf_char(&s->cluster, '"');
	if (s->cluster.failed)
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- encoding ---- */

/* A label whose name became another's goes away rather than to make the point invalid: so it does in Heapster. */
static bool is_there(const struct cgm_buf *b, size_t start, const char *name, size_t len)
{
	for (size_t i = start; b->p && i + len + 3 <= b->len; i++)
		if (b->p[i] == '"' && b->p[i + len + 1] == '"' && b->p[i + len + 2] == ':' && memcmp(b->p + i + 1, name, len) == 0)
			return true;
	return false;
}

static void put_tags(const struct state *s, struct cgm_buf *b, const struct cgm_entity *e, const struct cgm_labeled *l)
{
	_cleanup_(cgm_buf_done) struct cgm_buf name = { 0 };
	struct cgm_tags it = CGM_TAGS(e, l);
	size_t start = b->len;
	struct cgm_tag tag;

	cgm_buf_put(b, s->cluster.p, s->cluster.len);
	while (cgm_tags_next(&it, &tag)) {
		name.len = 0;
		put_name(&name, tag.key);
		if (!*tag.value || !name.len || b->failed || is_there(b, start, name.p, name.len))
			continue;
		cgm_buf_lit(b, ",\"");
		cgm_buf_put(b, name.p, name.len);
		cgm_buf_lit(b, "\":\"");
		put_name(b, tag.value);
		cgm_buf_char(b, '"');
	}
	b->failed |= name.failed;
}

static void put_metric(struct cgm_buf *out, const struct cgm_point *p)
{
	size_t start = out->len;

	if (p->metric == CGM_CM_CUSTOM) {
		cgm_buf_lit(out, "custom_");
		put_name(out, cgm_labeled_name(p->labeled));
	} else {
		put_name(out, cgm_cm_table[p->metric].name);
	}
	for (size_t i = start; !out->failed && i < out->len; i++)
		if (out->p[i] == '/')
			out->p[i] = '_';
	cgm_buf_str(out, cgm_cm_table[p->metric].cumulative ? "_cumulative" : "_gauge");
}

static uint64_t opentsdb_encode(const void *state, const struct cgm_slice *slice, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	const struct state *s = state;
	_cleanup_(cgm_buf_done) struct cgm_buf tags = { 0 };
	struct cgm_cutter cutter = CGM_CUTTER(out, cut, arg);

	for (uint32_t i = 0; i < slice->nr_sets; i++) {
		const struct cgm_entity *e = slice->sets[i].entity;
		struct cgm_points it = CGM_POINTS(&slice->sets[i]);
		struct cgm_point p;

		tags.len = 0;
		put_tags(s, &tags, e, NULL);
		while (cgm_points_next(&it, &p)) {
			cgm_buf_lit(out, "{\"metric\":\"");
			put_metric(out, &p);
			cgm_buf_lit(out, "\",\"timestamp\":");
			cgm_buf_u64(out, slice->end_ns / CGM_NSEC_PER_SEC);
			cgm_buf_lit(out, ",\"value\":");
			cgm_point_value(&p, out);
			cgm_buf_lit(out, ",\"tags\":{");
			if (p.labeled)
				put_tags(s, out, e, p.labeled);
			else
				cgm_buf_put(out, tags.p, tags.len);
			cgm_buf_lit(out, "}}" END);
			cgm_cutter_add(&cutter, 1);
		}
	}
	out->failed |= tags.failed;
	return cutter.nr_points;
}

/* ---- sending ---- */

/* So many whole records, less the comma behind the last. No record holds a newline but at its end. */
static size_t next_piece(const char *p, size_t len, uint64_t *ret_nr)
{
	size_t end = 0;

	for (*ret_nr = 0; end < len && *ret_nr < POINTS; *ret_nr += 1) {
		const char *newline = memchr(p + end, '\n', len - end);

		end = newline ? (size_t)(newline + 1 - p) : len;
	}
	return end;
}

/* Which of them it has not taken. */
static enum cgm_sink_result judge(struct state *s, struct cgm_sink_attempt *a, const struct cgm_http_answer *answer, uint64_t nr)
{
	struct cgm_answer_put put;

	if ((answer->status == 400 || answer->status == 200) && cgm_answer_put(answer->body.p, answer->body.len, &put) == 0) {
		if (put.nr_failed)
			(void)cgm_sink_again(a, "%s", *put.text ? put.text : "points were refused");
		a->loss = CGM_SINK_REJECTED;
		s->nr_lost += MIN(put.nr_failed, nr);
		return CGM_SINK_WRITTEN;
	}
	a->nr_lost = 0;
	if (cgm_target_judge(a, answer, nr) == CGM_SINK_AGAIN)
		return CGM_SINK_AGAIN;
	s->nr_lost += a->nr_lost;
	return CGM_SINK_WRITTEN;
}

static enum cgm_sink_result post(struct state *s, struct cgm_sink_attempt *a, const char *p, size_t len, uint64_t nr)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	_cleanup_(cgm_buf_done) struct cgm_buf body = { 0 };
	struct cgm_http_answer answer;

	cgm_buf_char(&body, '[');
	cgm_buf_put(&body, p, len - strlen(END));
	cgm_buf_char(&body, ']');
	if (body.failed)
		return cgm_sink_again(a, "out of memory");
	if (cgm_target_post(&s->target, a, headers, body.p, body.len, &answer) < 0)
		return CGM_SINK_AGAIN;
	return judge(s, a, &answer, nr);
}

static enum cgm_sink_result opentsdb_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;

	if (a->first)
		s->done = s->nr_lost = 0;
	while (s->done < a->len) {
		uint64_t nr;
		size_t len = next_piece(a->data + s->done, a->len - s->done, &nr);

		if (post(s, a, a->data + s->done, len, nr) == CGM_SINK_AGAIN)
			return CGM_SINK_AGAIN;
		s->done += len;
	}
	a->nr_lost = MIN(s->nr_lost, a->nr_points);
	return CGM_SINK_WRITTEN;
}

const struct cgm_exporter cgm_export_opentsdb = {
	.name = "opentsdb",
	.open = opentsdb_open,
	.close = opentsdb_close,
	.encode = opentsdb_encode,
	.send = opentsdb_send,
};
