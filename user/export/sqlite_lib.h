/* SPDX-License-Identifier: Apache-2.0 */
/* libsqlite3, loaded when a history is first opened, and what writing and reading have in common. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/library.h"
#include "batch/entity.h"

#define CGM_SQLITE_FUNCTIONS(X)                                                                                                                   \
	X(sqlite3_open_v2) X(sqlite3_close_v2) X(sqlite3_prepare_v2) X(sqlite3_step) X(sqlite3_reset) X(sqlite3_finalize) X(sqlite3_exec)               \
	X(sqlite3_bind_int64) X(sqlite3_bind_double) X(sqlite3_bind_text) X(sqlite3_column_int64) X(sqlite3_column_double) X(sqlite3_column_type)     \
	X(sqlite3_column_text) X(sqlite3_column_bytes) X(sqlite3_errmsg) X(sqlite3_extended_errcode) X(sqlite3_errstr) X(sqlite3_busy_timeout)        \
	X(sqlite3_progress_handler) X(sqlite3_last_insert_rowid) X(sqlite3_changes)

struct cgm_sqlite_lib {
	CGM_SQLITE_FUNCTIONS(CGM_LIBRARY_MEMBER)
};

/* The table, which never goes away. NULL with fault (fault_size bytes) saying what is missing. Any thread. */
const struct cgm_sqlite_lib *cgm_sqlite_lib(char *fault, size_t fault_size);

#define CGM_SQLITE_APPLICATION 0x63676d68 /* "cgmh": PRAGMA application_id of our files */
#define CGM_SQLITE_LAYOUT 1 /* PRAGMA user_version */

/* Writes "PATH: what is wrong" for the newest error of db (NULL: of code) and returns a negative errno for it: -EIO, -ENOSPC, -EROFS, -EBUSY, -ETIMEDOUT, -EBADMSG, -ENOMEM. */
int cgm_sqlite_fault(const struct cgm_sqlite_lib *lib, sqlite3 *db, int code, const char *path, char *fault, size_t fault_size);
/* The first number of the first row. 0 or as above. */
int cgm_sqlite_number(const struct cgm_sqlite_lib *lib, sqlite3 *db, const char *sql, int64_t *ret, const char *path, char *fault, size_t fault_size);
/*
 * Is the file a history of ours? 1: yes; 0: it is empty; -EBADMSG: another program's, or of a newer layout, or damaged; else as above.
 */
int cgm_sqlite_is_history(const struct cgm_sqlite_lib *lib, sqlite3 *db, const char *path, char *fault, size_t fault_size);
/* Labels as the tables have them: a JSON object, its keys in their order; "" of none. */
void cgm_sqlite_labels(struct cgm_buf *b, const struct cgm_tag *tags, size_t nr);
