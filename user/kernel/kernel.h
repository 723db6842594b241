/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side as user space sees it: load, attach, pin, read. The only room with libbpf. All of it belongs to the sampler's thread.
 * Nothing here is fatal: each program is probed, loaded and attached by itself; one that cannot be is off, with the reason.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"
#include "cgmeter/abi.h"
#include "cgmeter/bulk.h"
#include "cgmeter/stat.h"

/* Which sched hook to use. AUTO: the single sched_switch hook, else the wakeup pair. */
enum cgm_sched_hook { CGM_SCHED_AUTO, CGM_SCHED_SWITCH, CGM_SCHED_WAKEUP };

/* What is read in bulk. Zeroed: nothing. */
struct cgm_stat_setup {
	struct cgm_stat_walk walk[CGM_STAT_MAX_WALKS]; /* each kind in one of them at most */
	bool time_v2, memory_v2; /* where CPU time and memory come from */
	int unified_fd; /* root of the v2 tree; 0: the default. Only for the load */
	int memory_fd; /* memory.stat of the root, read to flush; -1: none. The caller's; must outlive the kernel side */
	unsigned nr_cpus; /* present ones */
};

struct cgm_kernel_config {
	struct cgm_stat_setup stat;
	const char *pin_dir; /* "/sys/fs/bpf/cgmeter"; "": pin nothing */
	uint32_t nr_slots; /* the most cgroups to count at once; memory follows those that live */
	uint32_t sched_hierarchy, block_hierarchy, sock_hierarchy; /* 0: the v2 hierarchy */
	enum cgm_task_controller task_controller; /* of sched_hierarchy and sock_hierarchy; CGM_TASK_V2 when these are 0 */
	uint64_t hierarchy_mask; /* life-cycle events of these hierarchies (bit = id) */
	enum cgm_sched_hook sched_hook;
	const char *const *groups_off; /* by enum cgm_group: why it is off, NULL: on. The array may be NULL: those of groups.def that are not off by default */
	bool off; /* load nothing: files only */
};

/* What a program costs, by the kernel's BPF statistics: see cgm_kernel_cost_end(). Counters only grow. */
struct cgm_program_cost {
	uint64_t runs, run_ns; /* since this agent started, extrapolated from the windows; of an iterator: walks, and exact */
	uint64_t missed; /* runs that the kernel left out because the program was running on that CPU already; exact */
	uint64_t window_runs, window_ns; /* in the last window; of an iterator: its share of the time since the window before */
};

struct cgm_program {
	char name[16], hook[48];
	const char *group; /* its name in groups.def */
	const char *mode; /* "btf", "raw", "fexit", "fentry", "iter", "off" */
	char reason[96];
	uint32_t id; /* of the program that runs, 0: none */
	struct cgm_program_cost cost;
};

struct cgm_kernel;
/* Never fails for what the kernel lacks. 0 or -ENOMEM. */
int cgm_kernel_open(const struct cgm_kernel_config *config, struct cgm_kernel **ret);
/* Detaches programs and closes; pinned maps stay with their counts. */
void cgm_kernel_close(struct cgm_kernel *k);
/* True when maps of a former run were adopted. */
bool cgm_kernel_adopted(const struct cgm_kernel *k);
size_t cgm_kernel_programs(const struct cgm_kernel *k, const struct cgm_program **ret);
/* Is there a running program in that group? */
bool cgm_kernel_has(const struct cgm_kernel *k, const char *group);
/* Is there a loaded one, running or switched off by cgm_kernel_set_group()? In that group; at that tracepoint or function. */
bool cgm_kernel_loaded(const struct cgm_kernel *k, const char *group);
bool cgm_kernel_hooked(const struct cgm_kernel *k, const char *hook);
/*
 * Switches a group at run time: attaches or detaches its programs, links and their pins. Counters keep their values while it is off; what
 * was under way at that moment (a thread's stay, a request at the driver) is forgotten when it comes back, so that the pause is
 * no waiting time. reason is what the programs' reason says while it is off. 0; -ENOENT: no program of that group is loaded (it was off
 * at the start, or this kernel has none); else the error of what could not be attached, and the group stays off with that as reason.
 */
int cgm_kernel_set_group(struct cgm_kernel *k, const char *group, bool on, const char *reason);

/*
 * The cost of the programs. The kernel counts runs and time of programs only while somebody has its BPF statistics on, and that costs two
 * readings of the clock a run. So they are on for a short window now and then: begin() to end(), at which all costs are brought
 * up to date. What ran between two windows is extrapolated from the later one; when kernel.bpf_stats_enabled is set all of the time it
 * is exact. Times are less what the statistics' own clock takes (measured on an empty program). begin: 0 or a negative errno: this
 * kernel (before 5.8) or lack of rights does not allow it.
 */
struct cgm_cost_windows {
	uint64_t nr; /* windows ended */
	uint64_t open_ns; /* for how long statistics were on, in all */
	uint64_t last_ns; /* length of the last one; 0: none yet */
	uint64_t clock_ps; /* what the statistics add to each run */
	bool exact; /* the last interval needed no extrapolation */
};
int cgm_kernel_cost_begin(struct cgm_kernel *k);
void cgm_kernel_cost_end(struct cgm_kernel *k);
struct cgm_cost_windows cgm_kernel_cost_windows(const struct cgm_kernel *k);

/* Memory of each map, as the kernel says (fdinfo); read at the start and at each cgm_kernel_cost_end(). */
struct cgm_map {
	char name[16];
	uint64_t bytes;
};
size_t cgm_kernel_maps(const struct cgm_kernel *k, const struct cgm_map **ret);

/* Functions and types of the running kernel that the kernel side can use when they are there. Needs no kernel side; NULL btf: none found. */
struct cgm_feature {
	const char *kind; /* "kfunc", "function", "struct" */
	const char *name, *use;
	bool found;
};
/* Looks all up by name. Returns how many, in a table of ours. Not for two threads at once. */
size_t cgm_kernel_features(const struct cgm_feature **ret);

/* The slot of a cgroup, given out now if it has none. CGM_SLOT_OVERFLOW when there is no free one or no kernel side. */
uint32_t cgm_kernel_register(struct cgm_kernel *k, uint32_t hierarchy, uint64_t id, uint64_t parent_id);
/* The slot of a cgroup, or CGM_SLOT_OVERFLOW. */
uint32_t cgm_kernel_slot(struct cgm_kernel *k, uint32_t hierarchy, uint64_t id);

/*
 * Brackets a listing of all trees, in which every cgroup is registered: slots whose cgroup was not seen and which are older than the
 * beginning are marked dead. Heals lost events and what happened while nobody counted.
 */
void cgm_kernel_list_begin(struct cgm_kernel *k);
void cgm_kernel_list_end(struct cgm_kernel *k);

/* False when, at the last sweep, the slot's cgroup was gone: its counts are then among those of its nearest living ancestor. */
bool cgm_kernel_slot_live(const struct cgm_kernel *k, uint32_t slot);
/*
 * Does the slot still hold the counts of the cgroup with that id? It does until they are folded into its parent, which is one tick after its removal at
 * the earliest: until then the reads below tell what it counted to its end, without what descendants did that were removed together with it.
 */
bool cgm_kernel_slot_is(const struct cgm_kernel *k, uint32_t slot, uint64_t id);

/* Once a tick, before the reads below: runs the task iterator and reads the block map. */
void cgm_kernel_sweep(struct cgm_kernel *k);
/*
 * A second after the last look, rows are in no cache. Asks for most of a slot's, some slots ahead of the reads below: for its counters first,
 * and, once these are here, for the buckets that they say are in use. Any slot number is allowed.
 */
void cgm_kernel_fetch(const struct cgm_kernel *k, uint32_t slot);
void cgm_kernel_fetch_hists(const struct cgm_kernel *k, uint32_t slot);
/* Adds to *sum what this slot counted by itself, removed descendants included. */
void cgm_kernel_add_sched(const struct cgm_kernel *k, uint32_t slot, struct cgm_sched *sum);
void cgm_kernel_add_net(const struct cgm_kernel *k, uint32_t slot, struct cgm_net *sum);
void cgm_kernel_add_counts(const struct cgm_kernel *k, uint32_t slot, struct cgm_counts *sum);
/* Those of groups that are off by default. Adds nothing while there is none: cgm_kernel_has_dear() tells. */
void cgm_kernel_add_dear(const struct cgm_kernel *k, uint32_t slot, struct cgm_dear *sum);
bool cgm_kernel_has_dear(const struct cgm_kernel *k);
/* Tasks of the cgroup itself at the last sweep. False: the task iterator is off. */
bool cgm_kernel_tasks(const struct cgm_kernel *k, uint32_t slot, struct cgm_tasks *ret);
/* Descriptors of the cgroup itself, at most 10 s old. False: that iterator is off. */
bool cgm_kernel_open_files(const struct cgm_kernel *k, uint32_t slot, struct cgm_open_files *ret);
/*
 * Walks over the open files of all tasks: sockets, their states and queues, round trips. Dear with very many files (some 0.1 us each), and little
 * changes in a second, so the caller says when. add: what it found in the slot, by enum cgm_sock_gauge; nothing before the first walk.
 */
void cgm_kernel_walk_sockets(struct cgm_kernel *k);
void cgm_kernel_add_socks(const struct cgm_kernel *k, uint32_t slot, uint64_t sum[CGM_NR_SOCK_GAUGES]);
/* Block rows of the last sweep that belong to the slot; *iter starts at 0; NULL at the end. Live and retired rows of the same device and operation come as one. */
const struct cgm_block *cgm_kernel_next_block(const struct cgm_kernel *k, uint32_t slot, size_t *iter, uint32_t *ret_dev, enum cgm_block_op *ret_op);

/* The same for latencies that are kept only where they happened. */
const struct cgm_hist *cgm_kernel_next_wait(const struct cgm_kernel *k, uint32_t slot, size_t *iter, enum cgm_wait *ret_wait);

/*
 * Folds the slots of removed cgroups into their parents and frees them. Returns how many. Call it after the reads of a tick: their last counts
 * move from the child to the parent's own, so a parent never goes backwards.
 */
size_t cgm_kernel_retire(struct cgm_kernel *k);

/*
 * Bulk reading (bpf/stat.bpf.c). A sweep reads all cgroups of all hierarchies of the setup: five system calls whatever their number. 0, or a
 * negative errno (no rows until the next one): everything is then to be read from files.
 */
int cgm_kernel_stat_sweep(struct cgm_kernel *k);
/* A cgroup as bulk reading knows it, kept by the caller between sweeps, zeroed at first: ids of its directories, and what only time can tell. */
struct cgm_stat_ref {
	uint64_t id[CGM_NR_STAT_KINDS]; /* set by the caller, by the kind's hierarchy; 0: none. CPUS has no id of its own */
	uint32_t row[CGM_NR_STAT_KINDS]; /* where it stood last */
	uint64_t user_ns, system_ns; /* as shown last */
	bool shown;
};
/*
 * What the last sweep read of a cgroup, in the units of metrics.def; times are ns where files have ticks or µs. User and system time are made
 * of the usage as cputime_adjust() of kernel/sched/cputime.c does, from what the kernel or this function showed last: they never go back, and
 * add up to the usage.
 */
void cgm_kernel_stat(struct cgm_kernel *k, struct cgm_stat_ref *ref, struct cgm_bulk *ret);
/*
 * Learns where lines of memory.stat stand in the kernel's arrays (user/kernel/slots.h) by one cgroup: walks, calls read, walks again. read
 * returns 0 with the file's text. 1 when something new was learned, 0 when not; -ENOENT when the cgroup has no row; a negative errno.
 */
typedef int (*cgm_read_fn)(void *arg, struct cgm_str *ret_text);
int cgm_kernel_stat_learn(struct cgm_kernel *k, const struct cgm_stat_ref *ref, cgm_read_fn read, void *arg);
/* Rows of the last sweep, by kind: what it cost and covered. */
uint32_t cgm_kernel_stat_rows(const struct cgm_kernel *k, enum cgm_stat_kind kind);

/* Descriptor to poll for life-cycle events, -1: none. */
int cgm_kernel_event_fd(const struct cgm_kernel *k);
typedef void (*cgm_event_fn)(void *arg, const struct cgm_event *e);
/* Hands out waiting events. Returns how many, or a negative errno. */
int cgm_kernel_poll(struct cgm_kernel *k, cgm_event_fn fn, void *arg);

void cgm_kernel_drops(const struct cgm_kernel *k, uint64_t ret[CGM_NR_DROPS]);
uint64_t cgm_kernel_map_bytes(const struct cgm_kernel *k);
uint32_t cgm_kernel_slots_used(const struct cgm_kernel *k);
/* Slots that there are now: used, or ready to be given out. Grows as they are needed. */
uint32_t cgm_kernel_slots(const struct cgm_kernel *k);
const char *cgm_drop_name(enum cgm_drop d);

/* The inclusive upper bound of bucket i in ns; UINT64_MAX for the last. */
static inline uint64_t cgm_hist_bound_ns(unsigned i)
{
	return i + 1 < CGM_HIST_BUCKETS ? cgm_hist_bounds[i] : UINT64_MAX;
}

/* Counts one value. */
static inline void cgm_hist_add(struct cgm_hist *h, uint64_t ns)
{
	h->buckets[cgm_hist_bucket(ns)]++;
	h->sum_ns += ns;
}

static inline uint64_t cgm_hist_count(const struct cgm_hist *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		n += h->buckets[i];
	return n;
}

/* Adds every counter of a row of the kernel side (they are all 64-bit) to another. */
static inline void cgm_add_u64s(void *to, const void *from, size_t bytes)
{
	uint64_t *t = to;
	const uint64_t *f = from;

	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		t[i] += f[i];
}

/* Adds a row, histograms included. Reads and writes only those buckets of from that something is in. */
static inline void cgm_add_sched(struct cgm_sched *to, const struct cgm_sched *from)
{
	for (unsigned i = 0; i < CGM_NR_SCHED_HISTS; i++) {
		struct cgm_hist *sum = &to->runq_delay + i;
		const struct cgm_hist *h = &from->runq_delay + i;
		uint32_t quads = __atomic_load_n(&from->quads[i], __ATOMIC_ACQUIRE);

		to->quads[i] |= quads;
		sum->sum_ns += h->sum_ns;
		for (; quads; quads &= quads - 1) {
			unsigned first = 4 * (unsigned)__builtin_ctz(quads), end = first + 4;

			for (unsigned b = first; b < end && b < CGM_HIST_BUCKETS; b++)
				sum->buckets[b] += h->buckets[b];
		}
	}
	cgm_add_u64s(&to->voluntary, &from->voluntary, offsetof(struct cgm_sched, quads) - offsetof(struct cgm_sched, voluntary));
}
