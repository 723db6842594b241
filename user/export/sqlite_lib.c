// SPDX-License-Identifier: Apache-2.0
#include "export/sqlite_lib.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "output/json.h"

static struct cgm_sqlite_lib table;

const struct cgm_sqlite_lib *cgm_sqlite_lib(char *fault, size_t fault_size)
{
	static const char *const names[] = { "libsqlite3.so.0", NULL };
#define X(f) CGM_LIBRARY_SYMBOL(table, f)
	static const struct cgm_symbol symbols[] = { CGM_SQLITE_FUNCTIONS(X) };
#undef X
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	bool there;

	pthread_mutex_lock(&lock);
	if (!loaded)
		loaded = cgm_library_load(names, symbols, ARRAY_SIZE(symbols), fault, fault_size) == 0;
	there = loaded;
	pthread_mutex_unlock(&lock);
	return there ? &table : NULL;
}

static const struct {
	int code, error;
	const char *words; /* NULL: the library's */
} faults[] = {
	{ SQLITE_FULL, -ENOSPC, "no space is left" },
	{ SQLITE_READONLY, -EROFS, "it cannot be written (read-only)" },
	{ SQLITE_CANTOPEN, -EIO, "it cannot be opened or made" },
	{ SQLITE_CORRUPT, -EBADMSG, "the file is damaged: move it away, and a new one is made" },
	{ SQLITE_NOTADB, -EBADMSG, "the file is no SQLite database: move it away, and a new one is made" },
	{ SQLITE_BUSY, -EBUSY, "another program keeps it locked" },
	{ SQLITE_LOCKED, -EBUSY, "another program keeps it locked" },
	{ SQLITE_INTERRUPT, -ETIMEDOUT, "it took too long" },
	{ SQLITE_NOMEM, -ENOMEM, "out of memory" },
};

int cgm_sqlite_fault(const struct cgm_sqlite_lib *lib, sqlite3 *db, int code, const char *path, char *fault, size_t fault_size)
{
	int c = db ? lib->sqlite3_extended_errcode(db) : code;

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if (faults[i].code == (c & 0xff)) {
			snprintf(fault, fault_size, "%.140s: %s", path, faults[i].words);
			return faults[i].error;
		}
	snprintf(fault, fault_size, "%.100s: %.120s", path, db ? lib->sqlite3_errmsg(db) : lib->sqlite3_errstr(c));
	return -EIO;
}

int cgm_sqlite_number(const struct cgm_sqlite_lib *lib, sqlite3 *db, const char *sql, int64_t *ret, const char *path, char *fault, size_t fault_size)
{
	sqlite3_stmt *st = NULL;
	int r = lib->sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (r == SQLITE_OK)
		r = lib->sqlite3_step(st);
	if (r == SQLITE_ROW)
		*ret = lib->sqlite3_column_int64(st, 0);
	if (r != SQLITE_ROW)
		r = cgm_sqlite_fault(lib, db, r, path, fault, fault_size);
	lib->sqlite3_finalize(st);
	return r == SQLITE_ROW ? 0 : r;
}

int cgm_sqlite_is_history(const struct cgm_sqlite_lib *lib, sqlite3 *db, const char *path, char *fault, size_t fault_size)
{
	int64_t application = 0, layout = 0, nr_tables = 0;
	int r = cgm_sqlite_number(lib, db, "PRAGMA application_id", &application, path, fault, fault_size);

	if (r == 0)
		r = cgm_sqlite_number(lib, db, "PRAGMA user_version", &layout, path, fault, fault_size);
	if (r == 0)
		r = cgm_sqlite_number(lib, db, "SELECT count(*) FROM sqlite_master", &nr_tables, path, fault, fault_size);
	if (r < 0)
		return r;
	if (!application && !layout && !nr_tables)
		return 0;
	if (application != CGM_SQLITE_APPLICATION) {
		snprintf(fault, fault_size, "%.140s: the database is another program's", path);
		return -EBADMSG;
	}
	if (layout == CGM_SQLITE_LAYOUT)
		return 1;
	snprintf(fault, fault_size, "%.140s: its layout is %lld, this cgmeter knows %d", path, (long long)layout, CGM_SQLITE_LAYOUT);
	return -EBADMSG;
}

void cgm_sqlite_labels(struct cgm_buf *b, const struct cgm_tag *tags, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_char(b, i ? ',' : '{');
		cgm_json_string(b, tags[i].key);
		cgm_buf_char(b, ':');
		cgm_json_string(b, tags[i].value);
	}
	if (nr)
		cgm_buf_char(b, '}');
}
