// SPDX-License-Identifier: Apache-2.0
#include "export/sqlite_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "export/sqlite_lib.h"

#define MAX_KNOWN 300000 /* series whose numbers are remembered; beyond, all are forgotten and looked up again */
#define PRUNED_SLICES 4 /* a call: of a cycle at most, and at most so many points each */
#define PRUNED_POINTS 20000
#define SEEN_MSEC (3600 * INT64_C(1000)) /* last_ms is as coarse as this: it is not written each cycle */

static const char layout_sql[] =
	"CREATE TABLE entities(id INTEGER PRIMARY KEY, key TEXT NOT NULL, type TEXT NOT NULL, labels TEXT NOT NULL, nodename TEXT NOT NULL, namespace_name TEXT NOT NULL,"
	" pod_name TEXT NOT NULL, pod_id TEXT NOT NULL, container_name TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, UNIQUE(key, labels));"
	"CREATE INDEX entities_by_pod_id ON entities(pod_id) WHERE pod_id <> '';"
	"CREATE TABLE series(id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, metric TEXT NOT NULL, labels TEXT NOT NULL, resource_id TEXT NOT NULL, UNIQUE(entity, metric, labels));"
	"CREATE TABLE cycles(id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL UNIQUE);"
	"CREATE TABLE points(cycle INTEGER NOT NULL, series INTEGER NOT NULL, value NOT NULL, PRIMARY KEY(cycle, series)) WITHOUT ROWID;"
	"CREATE VIEW history AS SELECT datetime(c.time_ns / 1000000000, 'unixepoch') AS time, e.key, s.metric, s.resource_id, p.value, e.labels, c.time_ns"
	" FROM points p JOIN cycles c ON c.id = p.cycle JOIN series s ON s.id = p.series JOIN entities e ON e.id = s.entity;";

enum statement {
	ENTITY_GET,
	ENTITY_ADD,
	ENTITY_SEEN,
	SERIES_GET,
	SERIES_ADD,
	CYCLE_GET,
	CYCLE_ADD,
	POINT_ADD,
	OLD_CYCLE,
	POINTS_DROP,
	CYCLE_DROP,
	SERIES_DROP,
	ENTITIES_DROP,
	NR_STATEMENTS,
};

static const char *const statements[NR_STATEMENTS] = {
	[ENTITY_GET] = "SELECT id, first_ms, last_ms FROM entities WHERE key = ?1 AND labels = ?2",
	[ENTITY_ADD] = "INSERT INTO entities VALUES(NULL, ?1, ?3, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
	[ENTITY_SEEN] = "UPDATE entities SET first_ms = min(first_ms, ?2), last_ms = max(last_ms, ?2) WHERE id = ?1",
	[SERIES_GET] = "SELECT id FROM series WHERE entity = ?1 AND metric = ?2 AND labels = ?3",
	[SERIES_ADD] = "INSERT INTO series(entity, metric, labels, resource_id) VALUES(?1, ?2, ?3, ?4)",
	[CYCLE_GET] = "SELECT id FROM cycles WHERE time_ns = ?1",
	[CYCLE_ADD] = "INSERT INTO cycles(time_ns) VALUES(?1)",
	[POINT_ADD] = "INSERT OR REPLACE INTO points(cycle, series, value) VALUES(?1, ?2, ?3)",
	[OLD_CYCLE] = "SELECT id FROM cycles WHERE time_ns < ?1 ORDER BY time_ns LIMIT 1",
	[POINTS_DROP] = "DELETE FROM points WHERE cycle = ?1 AND series <= (SELECT max(series) FROM (SELECT series FROM points WHERE cycle = ?1 ORDER BY series LIMIT ?2))",
	[CYCLE_DROP] = "DELETE FROM cycles WHERE id = ?1",
	[SERIES_DROP] = "DELETE FROM series WHERE entity IN (SELECT id FROM entities WHERE last_ms < ?1)",
	[ENTITIES_DROP] = "DELETE FROM entities WHERE last_ms < ?1",
};

struct known { /* a series */
	int64_t id;
	uint64_t hash; /* of metric, '\n', labels: of the few series of one entity no two are taken for one */
};

struct known_entity {
	int64_t id, first_ms, last_ms;
	struct known *series;
	size_t nr, cap, next; /* next: where the next point's is looked for first, as they come in the same order each time */
	char key[]; /* key, '\n', labels */
};

struct cgm_sqlite_writer {
	const struct cgm_sqlite_lib *lib;
	sqlite3 *db;
	sqlite3_stmt *statements[NR_STATEMENTS];
	char *path;
	dev_t dev;
	ino_t ino;
	struct cgm_hash entities; /* struct known_entity by key */
	size_t nr_known;
	struct known_entity *now;
	int64_t cycle; /* 0: none yet in this transaction */
	uint64_t cycle_ns;
	struct cgm_buf name; /* for looking up */
	const struct cgm_sink_stop *stop;
	uint64_t until_ns;
	int64_t series_dropped_ms;
};

DEFINE_CLEANUP(cgm_sqlite_writer, cgm_sqlite_writer_close)

static void forget(struct cgm_sqlite_writer *w)
{
	struct known_entity *e;

	for (size_t pos = 0; (e = cgm_hash_next(&w->entities, &pos));) {
		free(e->series);
		free(e);
	}
	cgm_hash_done(&w->entities);
	w->nr_known = 0;
	w->now = NULL;
}

void cgm_sqlite_writer_close(struct cgm_sqlite_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < NR_STATEMENTS; i++)
		w->lib->sqlite3_finalize(w->statements[i]);
	w->lib->sqlite3_close_v2(w->db);
	forget(w);
	cgm_buf_done(&w->name);
	free(w->path);
	free(w);
}

static int bad(struct cgm_sqlite_writer *w, int code, char *fault)
{
	int r = cgm_sqlite_fault(w->lib, w->db, code, w->path, fault, CGM_SINK_FAULT);

	return MIN(r, -1);
}

static int no_memory(char *fault)
{
	snprintf(fault, CGM_SINK_FAULT, "out of memory");
	return -ENOMEM;
}

static int run(struct cgm_sqlite_writer *w, const char *sql, char *fault)
{
	int r = w->lib->sqlite3_exec(w->db, sql, NULL, NULL, NULL);

	return r == SQLITE_OK ? 0 : bad(w, r, fault);
}

/* Another process may make the same file at the same time: who comes second finds it made. */
static int make_layout(struct cgm_sqlite_writer *w, char *fault)
{
	char numbers[96];
	int r;

	r = run(w, "PRAGMA auto_vacuum = NONE; BEGIN IMMEDIATE", fault);
	if (r == 0)
		r = cgm_sqlite_is_history(w->lib, w->db, w->path, fault, CGM_SINK_FAULT);
	if (r)
		return r < 0 ? r : run(w, "ROLLBACK", fault);
	snprintf(numbers, sizeof(numbers), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", CGM_SQLITE_APPLICATION, CGM_SQLITE_LAYOUT);
	r = run(w, layout_sql, fault);
	return r < 0 ? r : run(w, numbers, fault);
}

static int prepare(struct cgm_sqlite_writer *w, char *fault)
{
	for (size_t i = 0; i < NR_STATEMENTS; i++) {
		int r = w->lib->sqlite3_prepare_v2(w->db, statements[i], -1, &w->statements[i], NULL);

		if (r != SQLITE_OK)
			return bad(w, r, fault);
	}
	return 0;
}

/* The file is there only once it was first written. */
static int remember_file(struct cgm_sqlite_writer *w, char *fault)
{
	struct stat st;

	if (stat(w->path, &st) < 0) {
		snprintf(fault, CGM_SINK_FAULT, "%.140s: %s", w->path, strerror(errno));
		return -errno;
	}
	w->dev = st.st_dev;
	w->ino = st.st_ino;
	return 0;
}

int cgm_sqlite_writer_open(const char *path, struct cgm_sqlite_writer **ret, char *fault)
{
	const struct cgm_sqlite_lib *lib = cgm_sqlite_lib(fault, CGM_SINK_FAULT);
	_cleanup_(cgm_sqlite_writer_freep) struct cgm_sqlite_writer *w = NULL;
	int r;

	if (!lib)
		return -ENOENT;
	w = cgm_calloc(1, sizeof(*w));
	if (!w)
		return no_memory(fault);
	w->lib = lib;
	w->path = cgm_strdup(path);
	if (!w->path)
		return no_memory(fault);
	r = lib->sqlite3_open_v2(path, &w->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (r != SQLITE_OK)
		return bad(w, r, fault);
	lib->sqlite3_busy_timeout(w->db, 2000);
	r = cgm_sqlite_is_history(lib, w->db, path, fault, CGM_SINK_FAULT);
	if (r >= 0)
		/* Readers then never wait for the writer. What was committed in the last moments may be lost with the machine's power, nothing else. */
		r = run(w, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY", fault);
	if (r >= 0)
		r = cgm_sqlite_is_history(lib, w->db, path, fault, CGM_SINK_FAULT);
	if (r == 0)
		r = make_layout(w, fault);
	if (r >= 0)
		r = prepare(w, fault);
	if (r == 0)
		r = remember_file(w, fault);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}

bool cgm_sqlite_writer_is_current(const struct cgm_sqlite_writer *w)
{
	struct stat st;

	return stat(w->path, &st) == 0 && st.st_dev == w->dev && st.st_ino == w->ino;
}

static int is_over(void *arg)
{
	const struct cgm_sqlite_writer *w = arg;

	return cgm_clock_mono_ns() > w->until_ns || cgm_sink_stopped(w->stop);
}

void cgm_sqlite_writer_limit(struct cgm_sqlite_writer *w, const struct cgm_sink_stop *stop, uint64_t until_ns)
{
	w->stop = stop;
	w->until_ns = until_ns;
	w->lib->sqlite3_busy_timeout(w->db, cgm_sink_left_msec(stop, until_ns));
	w->lib->sqlite3_progress_handler(w->db, 100000, is_over, w);
}

/* ---- statements ---- */

static void bind_text(struct cgm_sqlite_writer *w, enum statement s, int n, struct cgm_str text)
{
	w->lib->sqlite3_bind_text(w->statements[s], n, text.p ? text.p : "", (int)text.len, SQLITE_STATIC);
}

static void bind_int(struct cgm_sqlite_writer *w, enum statement s, int n, int64_t v)
{
	w->lib->sqlite3_bind_int64(w->statements[s], n, v);
}

/* Of one that gives no row. */
static int step(struct cgm_sqlite_writer *w, enum statement s, char *fault)
{
	int r = w->lib->sqlite3_step(w->statements[s]);

	if (r != SQLITE_DONE)
		return bad(w, r, fault); /* who fails closes: there is no need for a reset */
	w->lib->sqlite3_reset(w->statements[s]);
	return 0;
}

/* Of one that gives a row or none: columns into ret. 1, 0 or a negative errno. */
static int get(struct cgm_sqlite_writer *w, enum statement s, int64_t *ret, int nr, char *fault)
{
	int r = w->lib->sqlite3_step(w->statements[s]);

	for (int i = 0; r == SQLITE_ROW && i < nr; i++)
		ret[i] = w->lib->sqlite3_column_int64(w->statements[s], i);
	if (r != SQLITE_ROW && r != SQLITE_DONE)
		return bad(w, r, fault);
	w->lib->sqlite3_reset(w->statements[s]);
	return r == SQLITE_ROW;
}

int cgm_sqlite_begin(struct cgm_sqlite_writer *w, char *fault)
{
	if (w->nr_known > MAX_KNOWN)
		forget(w);
	w->cycle = 0;
	return run(w, "BEGIN IMMEDIATE", fault);
}

int cgm_sqlite_commit(struct cgm_sqlite_writer *w, char *fault)
{
	return run(w, "COMMIT", fault);
}

static int use_cycle(struct cgm_sqlite_writer *w, uint64_t end_ns, char *fault)
{
	int r;

	if (w->cycle && w->cycle_ns == end_ns)
		return 0;
	bind_int(w, CYCLE_GET, 1, (int64_t)end_ns);
	r = get(w, CYCLE_GET, &w->cycle, 1, fault);
	if (r == 0) {
		bind_int(w, CYCLE_ADD, 1, (int64_t)end_ns);
		r = step(w, CYCLE_ADD, fault);
		w->cycle = w->lib->sqlite3_last_insert_rowid(w->db);
	}
	w->cycle_ns = end_ns;
	return r < 0 ? r : 0;
}

/* "a\nb" in w->name. */
static bool put_name(struct cgm_sqlite_writer *w, struct cgm_str a, struct cgm_str b)
{
	w->name.len = 0;
	cgm_buf_put(&w->name, a.p, a.len);
	cgm_buf_char(&w->name, '\n');
	cgm_buf_put(&w->name, b.p, b.len);
	cgm_buf_char(&w->name, '\0');
	return !w->name.failed;
}

static int find_entity(struct cgm_sqlite_writer *w, const struct cgm_sqlite_entity *e, int64_t end_ms, int64_t ret[3], char *fault)
{
	const struct cgm_str more[] = { e->type, e->nodename, e->namespace_name, e->pod_name, e->pod_id, e->container_name };
	int r;

	bind_text(w, ENTITY_GET, 1, e->key);
	bind_text(w, ENTITY_GET, 2, e->labels);
	r = get(w, ENTITY_GET, ret, 3, fault);
	if (r)
		return r < 0 ? r : 0;
	bind_text(w, ENTITY_ADD, 1, e->key);
	bind_text(w, ENTITY_ADD, 2, e->labels);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		bind_text(w, ENTITY_ADD, (int)i + 3, more[i]);
	bind_int(w, ENTITY_ADD, 9, end_ms);
	r = step(w, ENTITY_ADD, fault);
	ret[0] = w->lib->sqlite3_last_insert_rowid(w->db);
	ret[1] = ret[2] = end_ms;
	return r;
}

static int add_entity(struct cgm_sqlite_writer *w, const struct cgm_sqlite_entity *e, int64_t end_ms, char *fault)
{
	_cleanup_free_ struct known_entity *k = cgm_calloc(1, sizeof(*k) + w->name.len);
	int64_t row[3];
	int r;

	if (!k)
		return no_memory(fault);
	memcpy(k->key, w->name.p, w->name.len);
	r = find_entity(w, e, end_ms, row, fault);
	if (r < 0)
		return r;
	k->id = row[0];
	k->first_ms = row[1];
	k->last_ms = row[2];
	if (cgm_hash_put(&w->entities, k->key, k) < 0)
		return no_memory(fault);
	w->nr_known++;
	w->now = TAKE_PTR(k);
	return 0;
}

int cgm_sqlite_entity(struct cgm_sqlite_writer *w, const struct cgm_sqlite_entity *e, uint64_t end_ns, char *fault)
{
	int64_t end_ms = (int64_t)(end_ns / CGM_NSEC_PER_MSEC);
	int r = use_cycle(w, end_ns, fault);

	if (r < 0)
		return r;
	if (!put_name(w, e->key, e->labels))
		return no_memory(fault);
	w->now = cgm_hash_get(&w->entities, w->name.p);
	if (!w->now)
		r = add_entity(w, e, end_ms, fault);
	if (r < 0)
		return r;
	w->now->next = 0;
	if (end_ms >= w->now->first_ms && end_ms < w->now->last_ms + SEEN_MSEC)
		return 0;
	w->now->first_ms = MIN(w->now->first_ms, end_ms);
	w->now->last_ms = MAX(w->now->last_ms, end_ms);
	bind_int(w, ENTITY_SEEN, 1, w->now->id);
	bind_int(w, ENTITY_SEEN, 2, end_ms);
	return step(w, ENTITY_SEEN, fault);
}

static const struct known *find_known(const struct cgm_sqlite_writer *w, uint64_t hash)
{
	struct known_entity *e = w->now;

	for (size_t n = 0; n < e->nr; n++) {
		size_t i = (e->next + n) % e->nr;

		if (e->series[i].hash == hash) {
			e->next = i + 1;
			return &e->series[i];
		}
	}
	return NULL;
}

static int find_series(struct cgm_sqlite_writer *w, const struct cgm_sqlite_point *p, int64_t *ret, char *fault)
{
	int r;

	bind_int(w, SERIES_GET, 1, w->now->id);
	bind_text(w, SERIES_GET, 2, p->metric);
	bind_text(w, SERIES_GET, 3, p->labels);
	r = get(w, SERIES_GET, ret, 1, fault);
	if (r)
		return r < 0 ? r : 0;
	bind_int(w, SERIES_ADD, 1, w->now->id);
	bind_text(w, SERIES_ADD, 2, p->metric);
	bind_text(w, SERIES_ADD, 3, p->labels);
	bind_text(w, SERIES_ADD, 4, p->resource_id);
	r = step(w, SERIES_ADD, fault);
	*ret = w->lib->sqlite3_last_insert_rowid(w->db);
	return r;
}

static int add_series(struct cgm_sqlite_writer *w, const struct cgm_sqlite_point *p, uint64_t hash, int64_t *ret, char *fault)
{
	struct known_entity *e = w->now;
	int r;

	if (cgm_grow((void **)&e->series, &e->cap, e->nr, sizeof(*e->series)) < 0)
		return no_memory(fault);
	r = find_series(w, p, ret, fault);
	if (r < 0)
		return r;
	e->series[e->nr++] = (struct known){ *ret, hash };
	e->next = e->nr;
	w->nr_known++;
	return 0;
}

int cgm_sqlite_point(struct cgm_sqlite_writer *w, const struct cgm_sqlite_point *p, char *fault)
{
	const struct known *k;
	uint64_t hash;
	int64_t id;
	int r;

	if (!put_name(w, p->metric, p->labels))
		return no_memory(fault);
	hash = cgm_hash_bytes(w->name.p, w->name.len);
	k = find_known(w, hash);
	if (k)
		id = k->id;
	else if ((r = add_series(w, p, hash, &id, fault)) < 0)
		return r;
	bind_int(w, POINT_ADD, 1, w->cycle);
	bind_int(w, POINT_ADD, 2, id);
	if (p->is_float)
		w->lib->sqlite3_bind_double(w->statements[POINT_ADD], 3, p->f);
	else
		bind_int(w, POINT_ADD, 3, p->i);
	return step(w, POINT_ADD, fault);
}

/* ---- what is too old ---- */

/* The cycle itself goes with the last of its points. */
static int drop_slice(struct cgm_sqlite_writer *w, int64_t id, char *fault)
{
	int r = run(w, "BEGIN IMMEDIATE", fault);

	bind_int(w, POINTS_DROP, 1, id);
	bind_int(w, POINTS_DROP, 2, PRUNED_POINTS);
	if (r == 0)
		r = step(w, POINTS_DROP, fault);
	bind_int(w, CYCLE_DROP, 1, id);
	if (r == 0 && w->lib->sqlite3_changes(w->db) < PRUNED_POINTS)
		r = step(w, CYCLE_DROP, fault);
	return r < 0 ? r : run(w, "COMMIT", fault);
}

/* Entities that were last seen before, and an hour more (see SEEN_MSEC), have no point any more. */
static int drop_entities(struct cgm_sqlite_writer *w, int64_t before_ms, char *fault)
{
	int r = run(w, "BEGIN IMMEDIATE", fault), nr = 0;

	bind_int(w, SERIES_DROP, 1, before_ms);
	if (r == 0)
		r = step(w, SERIES_DROP, fault);
	bind_int(w, ENTITIES_DROP, 1, before_ms);
	if (r == 0)
		r = step(w, ENTITIES_DROP, fault);
	nr = r == 0 ? w->lib->sqlite3_changes(w->db) : 0;
	if (r == 0)
		r = run(w, "COMMIT", fault);
	if (nr)
		forget(w);
	return r;
}

int cgm_sqlite_prune(struct cgm_sqlite_writer *w, uint64_t before_ns, bool *ret_more, char *fault)
{
	int64_t before_ms = (int64_t)(before_ns / CGM_NSEC_PER_MSEC) - SEEN_MSEC, id;
	int r = 1;

	for (int i = 0; i < PRUNED_SLICES && r == 1; i++) {
		bind_int(w, OLD_CYCLE, 1, (int64_t)before_ns);
		r = get(w, OLD_CYCLE, &id, 1, fault);
		if (r == 1) {
			int e = drop_slice(w, id, fault);

			r = e < 0 ? e : 1;
		}
	}
	if (r < 0)
		return r;
	*ret_more = r == 1;
	if (*ret_more || before_ms < w->series_dropped_ms + SEEN_MSEC)
		return 0;
	w->series_dropped_ms = before_ms;
	return drop_entities(w, before_ms, fault);
}
