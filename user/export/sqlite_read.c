// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "export/sqlite.h"
#include "export/sqlite_lib.h"
#include "sink/driver.h"

#define BUSY_MSEC 2000
#define STEPS 10000 /* of the library's machine between two looks at the clock */

struct cgm_sqlite {
	const struct cgm_sqlite_lib *lib;
	sqlite3 *db;
	char *path;
	uint64_t until_ns;
};

static int bad(const struct cgm_sqlite *s, int code, char *fault)
{
	return cgm_sqlite_fault(s->lib, s->db, code, s->path, fault, CGM_SINK_FAULT);
}

static int no_memory(char *fault)
{
	snprintf(fault, CGM_SINK_FAULT, "out of memory");
	return -ENOMEM;
}

static int is_over(void *arg)
{
	const struct cgm_sqlite *s = arg;

	return cgm_clock_mono_ns() > s->until_ns;
}

void cgm_sqlite_close(struct cgm_sqlite *s)
{
	if (!s)
		return;
	s->lib->sqlite3_close_v2(s->db);
	free(s->path);
	free(s);
}

int cgm_sqlite_open(const char *path, uint64_t until_ns, struct cgm_sqlite **ret, char *fault)
{
	const struct cgm_sqlite_lib *lib = cgm_sqlite_lib(fault, CGM_SINK_FAULT);
	_cleanup_(cgm_sqlite_freep) struct cgm_sqlite *s = NULL;
	int r;

	if (!lib)
		return -ENOSYS;
	s = cgm_calloc(1, sizeof(*s));
	if (!s)
		return no_memory(fault);
	s->lib = lib;
	s->until_ns = until_ns;
	s->path = cgm_strdup(path);
	if (!s->path)
		return no_memory(fault);
	r = lib->sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (r != SQLITE_OK)
		return bad(s, r, fault);
	lib->sqlite3_busy_timeout(s->db, BUSY_MSEC);
	lib->sqlite3_progress_handler(s->db, STEPS, is_over, s);
	r = cgm_sqlite_is_history(lib, s->db, path, fault, CGM_SINK_FAULT);
	if (r < 0)
		return r;
	if (!r) {
		snprintf(fault, CGM_SINK_FAULT, "%.140s: there is no history in it yet", path);
		return -ENODATA;
	}
	*ret = TAKE_PTR(s);
	return 0;
}

/* A statement with texts for its parameters; NULL is "". */
static int prepare(struct cgm_sqlite *s, const char *sql, const char *const *texts, int nr, sqlite3_stmt **ret, char *fault)
{
	int r = s->lib->sqlite3_prepare_v2(s->db, sql, -1, ret, NULL);

	for (int i = 0; r == SQLITE_OK && i < nr; i++)
		r = s->lib->sqlite3_bind_text(*ret, i + 1, texts[i] ? texts[i] : "", -1, SQLITE_STATIC);
	return r == SQLITE_OK ? 0 : bad(s, r, fault);
}

/* ---- points ---- */

struct span { /* a series and when it had points */
	int64_t id;
	uint64_t start_ns, until_ns;
};

struct found {
	struct span *spans;
	size_t nr_spans, cap_spans;
	struct cgm_past_point *points;
	size_t nr, cap, max;
};

static void found_done(struct found *f)
{
	free(f->spans);
	free(f->points);
}

#define BY_KEY "e.key = ?1"
#define BY_ID "e.pod_id = ?1 AND e.pod_id <> '' AND e.type = CASE ?2 WHEN '' THEN 'pod' ELSE 'pod_container' END AND e.container_name = ?2"

/* The same key with other labels is another entity: a pod that was made again, a node whose labels changed. */
static int find_spans(struct cgm_sqlite *s, const struct cgm_sqlite_of *of, const char *metric, const char *labels, struct found *f, char *fault)
{
	static const char select[] = "SELECT s.id, e.first_ms, e.last_ms FROM entities e JOIN series s ON s.entity = e.id WHERE s.metric = ?3 AND s.labels = ?4 AND ";
	_cleanup_free_ char *sql = cgm_asprintf("%s%s", select, of->key ? BY_KEY : BY_ID);
	const char *texts[] = { of->key ? of->key : of->pod_id, of->container, metric, labels };
	sqlite3_stmt *st = NULL;
	int r = sql ? prepare(s, sql, texts, ARRAY_SIZE(texts), &st, fault) : no_memory(fault), step = SQLITE_DONE;

	while (r == 0 && (step = s->lib->sqlite3_step(st)) == SQLITE_ROW) {
		/* The last time that is written down is up to an hour old. */
		struct span span = { s->lib->sqlite3_column_int64(st, 0), (uint64_t)s->lib->sqlite3_column_int64(st, 1) * CGM_NSEC_PER_MSEC,
				     ((uint64_t)s->lib->sqlite3_column_int64(st, 2) + 2 * 3600 * 1000) * CGM_NSEC_PER_MSEC };

		if (cgm_grow((void **)&f->spans, &f->cap_spans, f->nr_spans, sizeof(*f->spans)) < 0)
			r = no_memory(fault);
		else
			f->spans[f->nr_spans++] = span;
	}
	if (r == 0 && step != SQLITE_DONE)
		r = bad(s, step, fault);
	s->lib->sqlite3_finalize(st);
	return r;
}

static int add_point(struct cgm_sqlite *s, sqlite3_stmt *st, struct found *f, char *fault)
{
	struct cgm_past_point *p;

	if (f->nr == f->max) {
		snprintf(fault, CGM_SINK_FAULT, "there are more than %zu points: ask for a shorter time", f->max);
		return -EFBIG;
	}
	if (cgm_grow((void **)&f->points, &f->cap, f->nr, sizeof(*f->points)) < 0)
		return no_memory(fault);
	p = &f->points[f->nr++];
	*p = (struct cgm_past_point){ .time_ns = (uint64_t)s->lib->sqlite3_column_int64(st, 0), .is_float = s->lib->sqlite3_column_type(st, 1) == SQLITE_FLOAT };
	if (p->is_float)
		p->f = s->lib->sqlite3_column_double(st, 1);
	else
		p->i = s->lib->sqlite3_column_int64(st, 1);
	return 0;
}

static int read_span(struct cgm_sqlite *s, const struct span *span, uint64_t start_ns, uint64_t until_ns, struct found *f, char *fault)
{
	/* The cycles first, and a look-up for each: the order of the join is said here. */
	static const char sql[] = "SELECT c.time_ns, p.value FROM cycles c CROSS JOIN points p ON p.cycle = c.id AND p.series = ?1 WHERE c.time_ns BETWEEN ?2 AND ?3 ORDER BY c.time_ns";
	uint64_t from = MAX(start_ns, span->start_ns), to = MIN(MIN(until_ns, span->until_ns), (uint64_t)INT64_MAX);
	sqlite3_stmt *st = NULL;
	int r, step = SQLITE_DONE;

	if (from > to)
		return 0;
	r = prepare(s, sql, NULL, 0, &st, fault);
	if (r == 0) {
		s->lib->sqlite3_bind_int64(st, 1, span->id);
		s->lib->sqlite3_bind_int64(st, 2, (int64_t)from);
		s->lib->sqlite3_bind_int64(st, 3, (int64_t)to);
	}
	while (r == 0 && (step = s->lib->sqlite3_step(st)) == SQLITE_ROW)
		r = add_point(s, st, f, fault);
	if (r == 0 && step != SQLITE_DONE)
		r = bad(s, step, fault);
	s->lib->sqlite3_finalize(st);
	return r;
}

static int by_time(const void *a, const void *b)
{
	const struct cgm_past_point *p = a, *q = b;

	return p->time_ns < q->time_ns ? -1 : p->time_ns > q->time_ns;
}

int cgm_sqlite_points(struct cgm_sqlite *s, const struct cgm_sqlite_of *of, const char *metric, const struct cgm_tag *labels, size_t nr_labels, uint64_t start_ns,
		      uint64_t until_ns, size_t max, struct cgm_past_point **ret, size_t *ret_nr, char *fault)
{
	_cleanup_(found_done) struct found f = { .max = max };
	_cleanup_(cgm_buf_done) struct cgm_buf json = { 0 };
	int r;

	cgm_sqlite_labels(&json, labels, nr_labels);
	cgm_buf_char(&json, '\0');
	r = json.failed ? no_memory(fault) : find_spans(s, of, metric, json.p, &f, fault);
	for (size_t i = 0; r == 0 && i < f.nr_spans; i++)
		r = read_span(s, &f.spans[i], start_ns, until_ns, &f, fault);
	if (r < 0)
		return r;
	if (f.nr_spans > 1 && f.nr)
		qsort(f.points, f.nr, sizeof(*f.points), by_time);
	*ret_nr = f.nr;
	*ret = TAKE_PTR(f.points);
	return 0;
}

/* ---- lists ---- */

#define METRICS "SELECT DISTINCT s.metric FROM entities e JOIN series s ON s.entity = e.id WHERE "

static const struct {
	const char *sql;
	int nr_texts;
} lists[] = {
	[CGM_SQLITE_METRICS] = { METRICS BY_KEY " ORDER BY 1", 1 },
	[CGM_SQLITE_NODES] = { "SELECT DISTINCT nodename FROM entities WHERE type = 'node' ORDER BY 1", 0 },
	[CGM_SQLITE_NAMESPACES] = { "SELECT DISTINCT namespace_name FROM entities WHERE type = 'ns' ORDER BY 1", 0 },
	[CGM_SQLITE_PODS] = { "SELECT DISTINCT pod_name FROM entities WHERE type = 'pod' AND namespace_name = ?1 ORDER BY 1", 1 },
	[CGM_SQLITE_CONTAINERS] = { "SELECT DISTINCT container_name FROM entities WHERE type = 'pod_container' AND namespace_name = ?1 AND pod_name = ?2 ORDER BY 1", 2 },
	[CGM_SQLITE_CONTAINERS_OF_ID] = { "SELECT DISTINCT container_name FROM entities WHERE type = 'pod_container' AND pod_id = ?1 AND pod_id <> '' ORDER BY 1", 1 },
	[CGM_SQLITE_FREECONTAINERS] = { "SELECT DISTINCT container_name FROM entities WHERE type = 'sys_container' AND nodename = ?1 ORDER BY 1", 1 },
};

int cgm_sqlite_list(struct cgm_sqlite *s, enum cgm_sqlite_list list, const char *a, const char *b, const char *c, void (*add)(void *arg, const char *text), void *arg,
		    char *fault)
{
	bool of_id = list == CGM_SQLITE_METRICS && !a;
	const char *texts[] = { of_id ? b : a, of_id ? c : b };
	sqlite3_stmt *st = NULL;
	int r = prepare(s, of_id ? METRICS BY_ID " ORDER BY 1" : lists[list].sql, texts, of_id ? 2 : lists[list].nr_texts, &st, fault), step = SQLITE_DONE;

	while (r == 0 && (step = s->lib->sqlite3_step(st)) == SQLITE_ROW) {
		const char *text = (const char *)s->lib->sqlite3_column_text(st, 0);

		if (text && *text)
			add(arg, text);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = bad(s, step, fault);
	s->lib->sqlite3_finalize(st);
	return r;
}
