// SPDX-License-Identifier: Apache-2.0
/*
 * Elasticsearch and OpenSearch, by _bulk, in Heapster's documents: of each set one for each family of metrics (cpu, memory, network, filesystem), {"CpuMetricsTimestamp","Metrics":{"cpu/usage":{"value"}},
 * "MetricsTags"}, and one for each other point. The index is PREFIX-YYYY.MM.DD. A document's _id is made of whose it is and of its time, so that a batch that is sent twice stands there once. Before version 6 the
 * family is the document's type, as in Heapster; later servers have no types.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "export/driver.h"
#include "export/points.h"
#include "export/target.h"
#include "output/gzip.h"
#include "output/json.h"
#include "sink/config.h"
#include "sink/es_client.h"

#define INDEX "heapster"
/* What the line before a document begins with; a type is cut where a server takes none. */
#define ACTION "{\"index\":{"
#define TYPE "\"_type\":\""

enum family { CPU, MEMORY, NETWORK, FILESYSTEM, GENERAL, NR_FAMILIES };
static const struct {
	const char *name, *title;
} families[NR_FAMILIES] = {
	[CPU] = { "cpu", "Cpu" }, [MEMORY] = { "memory", "Memory" }, [NETWORK] = { "network", "Network" }, [FILESYSTEM] = { "filesystem", "Filesystem" }, [GENERAL] = { "general", "General" },
};

struct state {
	char *index, *cluster, *pipeline, *user, *password, *headers_file, *ca_file;
	struct cgm_es es;
};

/* ---- opening ---- */

static void es_close(void *state)
{
	struct state *s = state;

	cgm_es_done(&s->es);
	if (s->password)
		explicit_bzero(s->password, strlen(s->password));
	free(s->index);
	free(s->cluster);
	free(s->pipeline);
	free(s->user);
	free(s->password);
	free(s->headers_file);
	free(s->ca_file);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		es_close(*s);
}

/* Those of "nodes", or else the URL itself (several, comma between). */
static int read_hosts(struct state *s, struct cgm_uri *uri, char *fault)
{
	struct cgm_str list = cgm_str(uri->rest), host;
	const char *node;
	int r = 0;

	for (size_t n = 0; r == 0 && (node = cgm_uri_option(uri, "nodes", n)); n++)
		r = cgm_es_add_host(&s->es, cgm_str(node), false);
	if (!s->es.nr_hosts)
		while (r == 0 && cgm_next_field(&list, ',', &host))
			r = cgm_es_add_host(&s->es, cgm_trim(host), false);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !s->es.nr_hosts) {
		snprintf(fault, CGM_SINK_FAULT, "it takes up to %d URLs or host:port, as itself or as nodes=", CGM_ES_HOSTS);
		return -EINVAL;
	}
	return 0;
}

static int read_options(struct state *s, struct cgm_uri *uri, const struct cgm_export_config *config, char *fault)
{
	const char *index = cgm_uri_option(uri, "index", 0), *ca = cgm_uri_option(uri, "cacert", 0);

	s->index = cgm_strdup(index ? index : INDEX);
	s->cluster = cgm_option_cluster(uri, config);
	s->ca_file = cgm_strdup(ca ? ca : config->tls_ca_file ? config->tls_ca_file : "");
	s->pipeline = cgm_option_copy(uri, "pipeline");
	s->user = cgm_option_copy(uri, "esUserName");
	s->password = cgm_option_copy(uri, "esUserSecret");
	s->headers_file = cgm_option_copy(uri, "headers_file");
	if (!s->index || !s->cluster || !s->ca_file || !s->pipeline || !s->user || !s->password || !s->headers_file)
		return -ENOMEM;
	if (!*s->index || strspn(s->index, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != strlen(s->index) || strchr("_-.", *s->index)) {
		snprintf(fault, CGM_SINK_FAULT, "option index: \"%.100s\" is no name of an index", s->index);
		return -EINVAL;
	}
	if (*s->headers_file && cgm_headers_each(s->headers_file, NULL, NULL, fault) < 0)
		return -EINVAL;
	s->es.user = *s->user ? s->user : NULL;
	s->es.password = s->password;
	s->es.headers_file = s->headers_file;
	return 0;
}

static void pass_over(struct cgm_uri *uri)
{
	cgm_option_idle(uri, "maxRetries", "a batch is tried until it is written, or refused for good");
	cgm_option_idle(uri, "healthCheck", "a node that does not answer is left for the next at once");
	cgm_option_idle(uri, "startupHealthcheckTimeout", "nodes need not be there when it starts");
	cgm_option_idle(uri, "sniff", "nodes are not searched for; name several by nodes=");
	cgm_option_idle(uri, "bulkWorkers", "one connection writes, in order");
	cgm_option_idle(uri, "ver", "the server is asked for its version");
}

static int es_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	struct cgm_sink_config c = { 0 };
	const char *flag = "";
	int r;

	if (!s)
		return -ENOMEM;
	if (!cgm_uri_bool(uri, "insecuressl", &c.tls_skip_verify, fault, CGM_SINK_FAULT))
		return -EINVAL;
	r = read_options(s, uri, config, fault);
	if (r == 0)
		r = read_hosts(s, uri, fault);
	c.tls_ca_file = s->ca_file;
	if (r == 0)
		r = cgm_http_client_new(&c, &s->es.http, &flag, fault);
	if (r < 0)
		return r;
	pass_over(uri);
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- encoding ---- */

static enum family family_of(enum cgm_cm m)
{
	const char *name = cgm_cm_table[m].name;

	for (int f = 0; f < GENERAL; f++) {
		size_t len = strlen(families[f].name);

		if (strncmp(name, families[f].name, len) == 0 && name[len] == '/')
			return (enum family)f;
	}
	return GENERAL;
}

struct documents {
	const struct state *s;
	const struct cgm_slice *slice;
	struct cgm_buf *out;
	struct cgm_buf index, time; /* "NAME-DAY", with its quotes both */
};

static void put_action(const struct documents *d, const struct cgm_entity *e, enum family f, const char *what)
{
	cgm_buf_lit(d->out, ACTION TYPE);
	cgm_buf_str(d->out, families[f].name);
	cgm_buf_lit(d->out, "\",\"_index\":");
	cgm_buf_put(d->out, d->index.p, d->index.len);
	cgm_buf_printf(d->out, ",\"_id\":\"%016" PRIx64 "%016" PRIx64 "-%" PRIu64 "\"}}\n", e->hash ^ cgm_hash_bytes(d->s->cluster, strlen(d->s->cluster)), cgm_hash_bytes(what, strlen(what)),
		       d->slice->end_ns);
}

/* A float has a point: the first value that an index sees makes a field's type. */
static void put_value(struct cgm_buf *out, const struct cgm_point *p)
{
	size_t start;

	cgm_buf_lit(out, "{\"value\":");
	start = out->len;
	cgm_point_value(p, out);
	if (p->is_float && !out->failed && !memchr(out->p + start, '.', out->len - start))
		cgm_buf_lit(out, ".0");
	cgm_buf_char(out, '}');
}

static void put_tags(const struct documents *d, const struct cgm_entity *e, const struct cgm_labeled *l)
{
	struct cgm_tags it = CGM_TAGS(e, l);
	struct cgm_tag tag;

	cgm_buf_lit(d->out, "\"MetricsTags\":{\"cluster_name\":");
	cgm_json_string(d->out, d->s->cluster);
	while (cgm_tags_next(&it, &tag)) {
		if (strcmp(tag.key, "cluster_name") == 0)
			continue;
		cgm_buf_char(d->out, ',');
		cgm_json_string(d->out, tag.key);
		cgm_buf_char(d->out, ':');
		cgm_json_string(d->out, tag.value);
	}
	cgm_buf_char(d->out, '}');
}

static void put_time(const struct documents *d, enum family f)
{
	cgm_buf_lit(d->out, "{\"");
	cgm_buf_str(d->out, families[f].title);
	cgm_buf_lit(d->out, "MetricsTimestamp\":");
	cgm_buf_put(d->out, d->time.p, d->time.len);
	cgm_buf_char(d->out, ',');
}

/* One point that is a document. */
static uint64_t put_general(const struct documents *d, const struct cgm_entity *e, const struct cgm_point *p)
{
	_cleanup_(cgm_buf_done) struct cgm_buf what = { 0 };
	size_t name_len;

	cgm_point_name(p, &what);
	cgm_buf_char(&what, '\0');
	name_len = what.len;
	for (unsigned i = 0; p->labeled && i < p->labeled->nr_labels && !what.failed; i++) {
		what.len--; /* the zero stays at the end of all */
		cgm_buf_printf(&what, "\n%s\n%s", cgm_labeled_labels(p->labeled)[i].key, cgm_labeled_labels(p->labeled)[i].value);
		cgm_buf_char(&what, '\0');
	}
	if (what.failed) {
		d->out->failed = true;
		return 0;
	}
	put_action(d, e, GENERAL, what.p);
	what.p[name_len - 1] = '\0';
	put_time(d, GENERAL);
	put_tags(d, e, p->labeled);
	cgm_buf_lit(d->out, ",\"MetricsName\":");
	cgm_json_string(d->out, what.p);
	cgm_buf_lit(d->out, ",\"MetricsValue\":");
	put_value(d->out, p);
	cgm_buf_lit(d->out, "}\n");
	return 1;
}

static bool same_owner(const struct cgm_labeled *a, const struct cgm_labeled *b)
{
	if (!a || !b)
		return a == b;
	return a->nr_labels && b->nr_labels && strcmp(cgm_labeled_labels(a)[0].value, cgm_labeled_labels(b)[0].value) == 0; /* both have the label resource_id alone */
}

/* The points of a family that have the labels of that one (NULL: none of their own). Nothing when there are none. */
static uint64_t put_family(const struct documents *d, const struct cgm_set *set, enum family f, const struct cgm_labeled *owner)
{
	struct cgm_points it = CGM_POINTS(set);
	struct cgm_point p;
	uint64_t nr = 0;

	while (cgm_points_next(&it, &p)) {
		if (family_of(p.metric) != f || !same_owner(p.labeled, owner))
			continue;
		if (!nr++) {
			_cleanup_(cgm_buf_done) struct cgm_buf what = { 0 };

			cgm_buf_printf(&what, "%s\n%s", families[f].name, owner ? cgm_labeled_labels(owner)[0].value : "");
			cgm_buf_char(&what, '\0');
			if (what.failed) {
				d->out->failed = true;
				return 0;
			}
			put_action(d, set->entity, f, what.p);
			put_time(d, f);
			cgm_buf_lit(d->out, "\"Metrics\":{");
		} else {
			cgm_buf_char(d->out, ',');
		}
		cgm_json_string(d->out, cgm_cm_table[p.metric].name);
		cgm_buf_char(d->out, ':');
		put_value(d->out, &p);
	}
	if (!nr)
		return 0;
	cgm_buf_lit(d->out, "},");
	put_tags(d, set->entity, owner);
	cgm_buf_lit(d->out, "}\n");
	return nr;
}

static bool is_first_of_owner(const struct cgm_set *set, uint32_t i)
{
	for (uint32_t j = 0; j < i; j++)
		if (family_of(set->labeled[j].metric) == family_of(set->labeled[i].metric) && same_owner(&set->labeled[j], &set->labeled[i]))
			return false;
	return true;
}

static void put_set(const struct documents *d, const struct cgm_set *set, struct cgm_cutter *cutter)
{
	struct cgm_points it = CGM_POINTS(set);
	struct cgm_point p;

	for (int f = 0; f < GENERAL; f++)
		cgm_cutter_add(cutter, put_family(d, set, (enum family)f, NULL));
	for (uint32_t i = 0; i < set->nr_labeled; i++) {
		enum family f = family_of(set->labeled[i].metric);

		if (f != GENERAL && set->labeled[i].nr_labels && is_first_of_owner(set, i))
			cgm_cutter_add(cutter, put_family(d, set, f, &set->labeled[i]));
	}
	while (cgm_points_next(&it, &p))
		if (family_of(p.metric) == GENERAL)
			cgm_cutter_add(cutter, put_general(d, set->entity, &p));
}

static uint64_t es_encode(const void *state, const struct cgm_slice *slice, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	struct documents d = { .s = state, .slice = slice, .out = out };
	struct cgm_cutter cutter = CGM_CUTTER(out, cut, arg);
	time_t seconds = (time_t)(slice->end_ns / CGM_NSEC_PER_SEC);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	cgm_buf_printf(&d.index, "\"%s-%04d.%02d.%02d\"", d.s->index, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	cgm_json_time(&d.time, slice->end_ns);
	for (uint32_t i = 0; i < slice->nr_sets; i++)
		put_set(&d, &slice->sets[i], &cutter);
	out->failed |= d.index.failed || d.time.failed;
	cgm_buf_done(&d.index);
	cgm_buf_done(&d.time);
	return cutter.nr_points;
}

/* ---- sending ---- */

/* Where types are of the past they are cut. Returns how many documents there are. */
static uint64_t copy_body(const struct cgm_sink_attempt *a, bool types, struct cgm_buf *out)
{
	static const size_t start = sizeof(ACTION) - 1, head = sizeof(ACTION TYPE) - 1;
	struct cgm_str rest = { a->data, a->len }, line;
	uint64_t nr = 0;

	while (cgm_next_line(&rest, &line)) {
		const char *end = NULL;

		if (line.len > head && memcmp(line.p, ACTION TYPE, head) == 0) {
			nr++;
			end = types ? NULL : memchr(line.p + head, ',', line.len - head);
		}
		if (end) {
			cgm_buf_put(out, line.p, start);
			cgm_buf_put(out, end + 1, line.len - (size_t)(end + 1 - line.p));
		} else {
			cgm_buf_put(out, line.p, line.len);
		}
		cgm_buf_char(out, '\n');
	}
	return nr;
}

static char *bulk_path(const struct state *s)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	if (s->es.major == 6) { /* one type an index, and it has to be named */
		cgm_buf_char(&b, '/');
		cgm_url_escape(&b, s->index);
		cgm_buf_lit(&b, "/doc");
	}
	cgm_buf_lit(&b, "/_bulk?");
	if (*s->pipeline && s->es.major >= 5) {
		cgm_buf_lit(&b, "pipeline=");
		cgm_url_escape(&b, s->pipeline);
		cgm_buf_char(&b, '&');
	}
	cgm_buf_lit(&b, CGM_ES_FILTER);
	return b.failed ? NULL : cgm_strndup(b.p, b.len);
}

static enum cgm_sink_result es_send(void *state, struct cgm_sink_attempt *a)
{
	_cleanup_(cgm_buf_done) struct cgm_buf body = { 0 }, packed = { 0 };
	_cleanup_free_ char *path = NULL;
	struct state *s = state;
	enum cgm_sink_result r;
	bool gzip;
	uint64_t nr;

	if (cgm_es_ask(&s->es, a) < 0)
		return CGM_SINK_AGAIN;
	gzip = s->es.major >= 5; /* before, a server takes nothing compressed */
	path = bulk_path(s);
	nr = copy_body(a, s->es.major < 6, &body);
	if (!path || body.failed || (gzip && cgm_gzip_buf(&body, &packed) < 0))
		return cgm_sink_again(a, "out of memory");
	r = cgm_es_bulk(&s->es, a, path, gzip ? packed.p : body.p, gzip ? packed.len : body.len, gzip);
	/* It tells documents; their points are counted as if all had the same number of them. */
	if (r == CGM_SINK_WRITTEN && a->nr_lost && a->nr_lost <= nr)
		a->nr_lost = (a->nr_lost * a->nr_points + nr - 1) / nr;
	return r;
}

const struct cgm_exporter cgm_export_elasticsearch = {
	.name = "elasticsearch",
	.open = es_open,
	.close = es_close,
	.encode = es_encode,
	.send = es_send,
};
