/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What readers see: an immutable, ref-counted picture of all containers at one moment. The sampler builds one a tick and publishes it;
 * HTTP readers take a reference to the newest and never make the sampler wait.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cgmeter/abi.h"
#include "app/apps.h"
#include "cgroup/cgroup.h"
#include "model/bell.h"
#include "model/events.h"
#include "model/history.h"
#include "model/http_stats.h"
#include "model/identity.h"
#include "model/kept.h"
#include "model/layout.h"
#include "model/storage.h"
#include "model/summary.h"

/* A histogram as a snapshot keeps it: only the buckets from the first to the last that counted. The memory is the snapshot's. */
struct cgm_live_hist {
	uint64_t count, sum_ns; /* count: the sum of the buckets */
	uint16_t first, nr; /* buckets[i] is bucket first + i of struct cgm_hist; the others are 0 */
	const uint64_t *buckets;
};

/* Members as in struct cgm_sched. */
struct cgm_live_sched {
	struct cgm_live_hist runq_delay, on_cpu, off_cpu[CGM_NR_OFF_CPU];
	uint64_t voluntary, involuntary, migrations, preempted[CGM_NR_PREEMPTORS];
};

/* Block I/O of a container by device and operation. Members as in struct cgm_block. */
struct cgm_live_block {
	uint32_t dev; /* major << 20 | minor */
	enum cgm_block_op op;
	char name[32]; /* "/dev/vda" */
	struct cgm_live_hist queue_to_done, issue_to_done;
	uint64_t bytes, requests, errors[CGM_NR_BLOCK_ERRORS], issued, sync_bytes, sync_requests, merged, busy_ns, dirtied_pages;
	uint64_t sizes[CGM_NR_BLOCK_SIZES], requeues;
};

/* Has the device seen anything of it? A row may exist for what was made dirty alone. */
static inline bool cgm_block_used(const struct cgm_live_block *b)
{
	return b->issued || b->requests || b->merged;
}

struct cgm_live_wait {
	enum cgm_wait wait;
	struct cgm_live_hist hist;
};

/* Of the cgroup alone. */
struct cgm_live_files {
	uint64_t nr[CGM_NR_FILE_KINDS];
};

/* What the kernel side counted, descendants (also removed ones) included. */
struct cgm_live {
	struct cgm_live_sched sched;
	struct cgm_net net;
	struct cgm_live_files files;
	struct cgm_counts counts;
	uint64_t socks[CGM_NR_SOCK_GAUGES]; /* by enum cgm_sock_gauge: as of the last walk over sockets */
	struct cgm_dear *dear; /* NULL: no group that is off by default counts */
	struct cgm_live_block *blocks;
	struct cgm_live_wait *waits; /* in the order of enum cgm_wait */
	size_t nr_blocks, nr_waits;
};

static inline uint64_t cgm_live_count(const struct cgm_live *l, unsigned id)
{
	if (id < CGM_NR_COMMON_COUNTS)
		return l->counts.v[id];
	return l->dear ? l->dear->v[id - CGM_NR_COMMON_COUNTS] : 0;
}

struct cgm_row {
	struct cgm_identity *identity;
	struct cgm_spec spec;
	struct cgm_layout *layout;
	uint64_t time_ns; /* of the values, since the epoch */
	uint64_t *values; /* layout->nr_values */
	struct cgm_live *live; /* NULL: no kernel side */
	struct cgm_history_view history;
	struct cgm_summary *summary; /* a reference; NULL: none */
	struct cgm_storage *storage; /* likewise; NULL: nothing was measured */
	struct cgm_history_view trail; /* see model/trail.h; its samples have times of history's */
	struct cgm_app_metrics *app; /* a reference: what its application said last; NULL: nothing */
	uint32_t serial; /* of the container, never used again; a container that takes the name of a former one has another */
	uint64_t born_seq, changed_seq; /* seq of the snapshot in which it appeared, or got the name that it has; and in which any of its cells (model/cells.h) changed last */
	uint32_t parent; /* row index; the root is its own parent */
	uint32_t depth; /* 0 for "/" */
	struct cgm_kept *kept; /* of a container that has ended: whose values and live are; a reference. Else NULL */
};

/* The kernel side's own state, for metrics and the page. */
struct cgm_program_status {
	char name[16], hook[48], mode[8]; /* mode: "btf", "raw", "fexit", "iter", "off" */
	char reason[96]; /* when off or not btf: why */
	uint64_t runs, run_ns, missed; /* see struct cgm_program_cost */
};

/* A group of metrics, by groups.def. */
struct cgm_group_status {
	const char *name; /* a literal */
	bool on;
	char reason[128]; /* when off: why */
	uint64_t nr_switched_off; /* how often the overhead budget did */
};

struct cgm_map_status {
	char name[16];
	uint64_t bytes;
};

/* A system call that was denied (see node/seccomp.h). */
struct cgm_denied_status {
	const char *name; /* stays valid */
	uint64_t nr;
};

/* Why points did not reach a storage driver's server. */
#define CGM_SINK_LOSSES(X)                                                                    \
	X(QUEUE_FULL, "queue_full") /* the oldest had to go */                                \
	X(REJECTED, "rejected") /* the server says that they are wrong */                     \
	X(UNAUTHORIZED, "unauthorized") /* it does not let us in, and must not be asked again */ \
	X(TOO_LARGE, "too_large") /* the server takes less at once */                         \
	X(MEMORY, "memory") /* out of memory */                                               \
	X(GONE, "gone") /* of containers that ended while the drivers were held up */         \
	X(STOPPED, "stopped") /* the agent ended before they could be written */
enum cgm_sink_loss {
#define X(id, name) CGM_SINK_##id,
	CGM_SINK_LOSSES(X)
#undef X
	CGM_NR_SINK_LOSSES,
};

/* A storage driver; counts since it was opened. */
struct cgm_sink_status {
	const char *name; /* a literal */
	uint64_t nr_points, nr_batches, bytes; /* written */
	uint64_t nr_retries;
	uint64_t lost[CGM_NR_SINK_LOSSES]; /* points */
	uint64_t queue_bytes, queue_batches;
	uint64_t last_success_ns; /* since the epoch; 0: none yet */
};

/* A runtime that is asked who containers are; counts since the start. */
struct cgm_runtime_status {
	char name[32], version[64];
	bool connected, has_images;
	uint64_t image_bytes, image_inodes;
	uint64_t nr_known, nr_calls, nr_failed, nr_connects, nr_lost; /* see struct cgm_runtime_state */
};
#define CGM_MAX_RUNTIME_STATUS 8

/* Where what only files hold comes from, of a container that has ended. */
#define CGM_ENDED_FILES(X)                                       \
	X(END, "end") /* read when its last task was gone */     \
	X(TICK, "tick") /* the last tick at which it was there */ \
	X(NONE, "none") /* nobody read them: it was too short */
enum cgm_ended_files {
#define X(id, name) CGM_ENDED_FILES_##id,
	CGM_ENDED_FILES(X)
#undef X
	CGM_NR_ENDED_FILES,
};

/* Why something of a cgroup that has ended is not kept. */
#define CGM_ENDED_LOSSES(X)                                                            \
	X(CGROUP, "cgroup") /* it is no container of a runtime */                      \
	X(FULL, "full") /* the oldest had to go before their time */                   \
	X(REPLACED, "replaced") /* another of that path came before it could be shown */ \
	X(BUSY, "busy") /* its files were not read at its end: too many ended at once */ \
	X(MEMORY, "memory") /* out of memory */
enum cgm_ended_loss {
#define X(id, name) CGM_ENDED_##id,
	CGM_ENDED_LOSSES(X)
#undef X
	CGM_NR_ENDED_LOSSES,
};

/* Counters are totals. */
struct cgm_ended_stats {
	uint64_t nr_shown, bytes; /* now; memory of their values */
	uint64_t nr[CGM_NR_ENDED_FILES];
	uint64_t lost[CGM_NR_ENDED_LOSSES];
};

struct cgm_self {
	uint64_t start_time_ns;
	uint64_t nr_ticks, nr_missed_ticks; /* a tick that began more than half an interval late */
	uint64_t tick_cpu_ns, tick_wall_ns; /* CPU time that ticks used, and time that passed, total */
	struct cgm_hist late; /* how late ticks began; the first one, that nothing is waited for, is on time */
	uint64_t max_late_ns, nr_late_ticks; /* the most of the last 60, how many more than 10 ms */
	uint64_t nr_samples; /* container-samples, total */
	uint64_t nr_lost_samples; /* out of memory */
	uint64_t nr_vanished; /* containers gone while they were read */
	uint64_t cpu_ns, user_ns, system_ns, rss_bytes; /* of the process */
	uint64_t nr_cost_windows, cost_window_ns, cost_clock_ns; /* see struct cgm_cost_windows */
	uint64_t overhead_ppm, budget_ppm; /* of one CPU: programs and process in the last window; what they may take, 0: no budget */
	uint64_t nr_fds; /* kept open by readers */
	uint64_t nr_netns, nr_netns_left_out; /* network namespaces kept open; containers whose namespace is not read */
	uint64_t virtual_bytes, max_virtual_bytes, nr_open_fds, max_fds; /* of the process; UINT64_MAX: no limit */
	uint64_t nr_dear_jobs, nr_dear_runs, dear_late_ns, nr_perf_left_out; /* see struct cgm_worker_state, struct cgm_perf_config */
	uint64_t nr_file_reads; /* of cgroup files for samples, total */
	uint64_t nr_bulk, nr_bulk_unsure; /* containers read in bulk at the last tick; of these: those whose memory.stat is read from the file */
	uint64_t nr_disk_paths, nr_disk_measured, nr_disk_failed, nr_disk_entries, nr_disk_left_out, nr_disk_remote, disk_late_ns; /* see struct cgm_disk_state */
	uint64_t nr_disk_unplaced, nr_disk_lost; /* containers whose layer is not found; what memory ran out for, total */
	uint64_t history_bytes, snapshot_bytes, map_bytes;
	uint64_t summary_bytes, nr_summary_lost; /* see model/summary.h */
	struct cgm_events_stats events;
	struct cgm_ended_stats ended;
	uint64_t nr_slots, nr_slots_used;
	uint64_t drops[CGM_NR_DROPS];
	bool has_kernel_side; /* at least one program counts */
	/* bits of enum cgm_group: its families are hidden; it has programs and none runs; they are loaded, and switched off */
	uint64_t groups_off, groups_idle, groups_paused;
	/* of /metrics: --prometheus_timestamps, --prometheus_created, --prometheus_empty_labels */
	bool show_timestamps, show_created, show_empty_labels;
	bool adopted; /* counters were adopted from a former run */
	struct cgm_program_status *programs;
	size_t nr_programs;
	struct cgm_group_status *groups;
	size_t nr_groups;
	struct cgm_map_status *maps;
	size_t nr_maps;
	struct cgm_denied_status *denied;
	size_t nr_denied;
	struct cgm_sink_status *sinks;
	size_t nr_sinks;
	struct cgm_runtime_status runtimes[CGM_MAX_RUNTIME_STATUS];
	size_t nr_runtimes;
	struct cgm_apps_state apps;
	const char *cgroup_mode; /* "v1", "hybrid", "v2" */
	struct cgm_http_stats http;
};

struct cgm_snapshot {
	uint32_t refs; /* atomic */
	uint64_t seq; /* counts up by one a tick */
	uint64_t time_ns;
	uint64_t mono_ns; /* the same moment by CLOCK_MONOTONIC: rates of two snapshots stay right when the clock is set */
	struct cgm_row *rows; /* sorted by name (strcmp), so rows[0] is "/" and a subtree is not contiguous for names like "/a-b": use parent */
	size_t nr_rows;
	/*
	 * Behind these, in the order of their ends, stand containers that ended a short time ago, with what they had counted at last: no part of the set or
	 * of the tree (parent means nothing), no history, and gauges as they were then. changed_seq tells the snapshot in which one stood here first.
	 */
	size_t nr_ended;
	uint64_t set_seq; /* seq of the snapshot in which the set of rows, or the parent or the name of any, changed last */
	struct cgm_row *overflow; /* identity and live alone: counts of cgroups that found no slot; the root's have them, too. NULL: none */
	struct cgm_self self;
	void *arena; /* memory of rows' values, live and programs; freed with the snapshot */
	size_t arena_bytes;
};

/*
 * Builds with room for nr_rows zeroed rows, those of nr_ended included; s->nr_rows and s->nr_ended begin at 0 and the builder counts them up, so that _unref at any moment releases
 * just what was put in. The arena hands out zeroed memory, aligned to 16, that lives as long as the snapshot (NULL: out of memory).
 * Freed by the last _unref: references of the rows are dropped, then the memory. Building: one thread; reading: any.
 */
struct cgm_snapshot *cgm_snapshot_new(size_t nr_rows);
void *cgm_snapshot_alloc(struct cgm_snapshot *s, size_t size);
struct cgm_snapshot *cgm_snapshot_ref(struct cgm_snapshot *s);
void cgm_snapshot_unref(struct cgm_snapshot *s);
/* The row of that name, by binary search. NULL: none. */
const struct cgm_row *cgm_snapshot_find(const struct cgm_snapshot *s, const char *name);
/* True when row is below (or is) the row with index top. */
int cgm_snapshot_is_below(const struct cgm_snapshot *s, size_t row, size_t top);

/*
 * Where the newest snapshot stands. publish: takes over the reference. get: a new reference, or NULL before the first. Any thread.
 * A mutex is held for the copy of one pointer and one increment, never while a snapshot is read or freed: nobody waits for a reader.
 */
struct cgm_store;
struct cgm_store *cgm_store_new(void);
void cgm_store_free(struct cgm_store *st);
void cgm_store_publish(struct cgm_store *st, struct cgm_snapshot *s);
struct cgm_snapshot *cgm_store_get(struct cgm_store *st);
/* Rung at each publish; others may ring it, too. It lives as long as the store. */
struct cgm_bell *cgm_store_bell(struct cgm_store *st);
