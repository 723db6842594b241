/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened: containers that came and went, and tasks that the out-of-memory killer ended. Kept in memory by type, each within an age and a
 * number. The sampler adds and never waits for a reader: what it finds locked is kept back until the next record or tick. Readers hold the
 * lock for some dozen records at a time. A reader that follows (a stream) reads from the newest CGM_EVENTS_TAIL records, in the order in which they came; one
 * that falls further behind has lost its place.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/bell.h"

enum cgm_record_type { CGM_RECORD_OOM, CGM_RECORD_OOM_KILL, CGM_RECORD_CREATION, CGM_RECORD_DELETION, CGM_NR_RECORD_TYPES };

/* "oom", "oomKill", "containerCreation", "containerDeletion" */
extern const char *const cgm_record_names[CGM_NR_RECORD_TYPES];

/* Why memory ran out, as the kernel's enum oom_constraint; NOT_KNOWN comes behind. */
enum cgm_oom_constraint {
	CGM_OOM_NONE,
	CGM_OOM_CPUSET,
	CGM_OOM_MEMORY_POLICY,
	CGM_OOM_MEMCG,
	CGM_OOM_NOT_KNOWN,
};
/* "CONSTRAINT_MEMCG"; "" when not known. */
const char *cgm_oom_constraint_name(enum cgm_oom_constraint c);

/* Never changes, but for an exit code that a runtime tells later: number is read by cgm_record_number(). Shared by reference count. */
struct cgm_record {
	uint32_t refs; /* atomic */
	uint8_t type; /* enum cgm_record_type */
	uint8_t constraint; /* OOM_KILL: enum cgm_oom_constraint */
	int32_t number; /* OOM_KILL: pid of the victim, 0: not known; DELETION: exit code, -1: not known */
	uint64_t time_ns; /* since the epoch */
	uint64_t seq; /* in the order in which they came, from 1 */
	const char *process; /* OOM_KILL: name of the victim, else "" */
	char container[]; /* name */
};
void cgm_record_unref(struct cgm_record *r);
static inline int32_t cgm_record_number(const struct cgm_record *r)
{
	return __atomic_load_n(&r->number, __ATOMIC_RELAXED);
}

struct cgm_events_limits {
	uint64_t max_age_ns[CGM_NR_RECORD_TYPES]; /* 0: nothing of that type is kept (streams still see it) */
	uint64_t max_nr[CGM_NR_RECORD_TYPES];
};
/* cAdvisor's: a day and 100,000 of each. */
void cgm_events_limits_init(struct cgm_events_limits *l);
/*
 * "oom=1h,default=24h", as cAdvisor's flags --event_storage_age_limit and --event_storage_event_limit take them: types by the names above, or oom_kill, creation
 * and deletion. -EINVAL: *ret_fault (a literal) says what is wrong; the limits are as they were.
 */
int cgm_events_parse_ages(const char *text, struct cgm_events_limits *l, const char **ret_fault);
int cgm_events_parse_numbers(const char *text, struct cgm_events_limits *l, const char **ret_fault);

struct cgm_events;
/* bell (may be NULL) is rung after records were added; it must outlive the store. NULL: out of memory. */
struct cgm_events *cgm_events_new(const struct cgm_events_limits *limits, struct cgm_bell *bell);
void cgm_events_free(struct cgm_events *e);

/* What is to be recorded. Members as in struct cgm_record. */
struct cgm_happening {
	enum cgm_record_type type;
	uint64_t time_ns;
	const char *container, *process; /* process may be NULL */
	enum cgm_oom_constraint constraint;
	int32_t number;
};
/* Sampler's thread. What finds no memory is counted. */
void cgm_events_add(struct cgm_events *e, const struct cgm_happening *h);
/*
 * The newest deletion of that container that has no exit code gets this one: runtimes tell it when the cgroup is gone already. Who read the record before has
 * seen none. False: there is no such record of the last minutes, or a reader has the lock: it may be tried again. Sampler's thread.
 */
bool cgm_events_set_exit_code(struct cgm_events *e, const char *container, int32_t code);
/* Once a tick: adds what was kept back, drops what is too old. Sampler's thread. */
void cgm_events_tick(struct cgm_events *e, uint64_t now_ns);

struct cgm_events_stats {
	uint64_t nr_seen; /* ever */
	uint64_t nr_stored, bytes;
	uint64_t nr_evicted; /* dropped for their number, not for their age */
	uint64_t nr_lost; /* out of memory, or too many while readers had the lock */
	uint64_t nr_streams; /* that follow now */
	uint64_t nr_streams_dropped; /* that did not take their records in time */
};
/* Any thread; does not wait. */
void cgm_events_stats(const struct cgm_events *e, struct cgm_events_stats *ret);

/* ---- reading; any thread ---- */

struct cgm_events_filter {
	unsigned types; /* bit per enum cgm_record_type */
	const char *container; /* name; the caller's */
	bool subcontainers; /* also those below it */
	uint64_t start_ns, end_ns; /* inclusive; 0: no bound */
};
bool cgm_events_wants(const struct cgm_events_filter *f, const struct cgm_record *r);

/* A place in the order of time: behind the record with that time and number. Zeroed: before all. */
struct cgm_events_place {
	uint64_t time_ns, seq;
};
/* The place before the newest max records that are wanted; 0: before all. */
struct cgm_events_place cgm_events_newest(struct cgm_events *e, const struct cgm_events_filter *f, uint64_t max);
/*
 * The next ones behind *place, oldest first, at most nr: references for the caller, and *place behind the last one looked at. *ret_more: there may be more.
 */
size_t cgm_events_read(struct cgm_events *e, const struct cgm_events_filter *f, struct cgm_events_place *place, struct cgm_record **ret, size_t nr, bool *ret_more);

#define CGM_EVENTS_TAIL 1024
/* Begins to follow: what comes from now on. False: there are too many streams. Ended by _unfollow. */
bool cgm_events_follow(struct cgm_events *e, uint64_t *ret_seq);
void cgm_events_unfollow(struct cgm_events *e, bool dropped);
/* Counts a stream whose connection was given up because it took nothing. */
void cgm_events_count_stuck(struct cgm_events *e);
/*
 * Those that came since *seq and are wanted, at most nr references; *seq moves on. Returns how many (0: none yet), or -EOVERFLOW: some are
 * gone that were not read.
 */
int cgm_events_read_tail(struct cgm_events *e, const struct cgm_events_filter *f, uint64_t *seq, struct cgm_record **ret, size_t nr);
/* Is there something behind seq? */
bool cgm_events_has_news(struct cgm_events *e, uint64_t seq);
