/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of cgroup trees: v1, v2 and hybrid. Every function works below a root descriptor (normally open("/")), so that
 * a recorded tree serves as a test. All of it belongs to the sampler's thread.
 *
 * A container here is a path that exists in at least one hierarchy; "/" is the machine. On v1 and hybrid its files are
 * spread over the hierarchies and joined by path. Errors are negative errnos; a cgroup that vanished is -ENOENT and silent.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"
#include "cgmeter/bulk.h"
#include "cgroup/sample.h"

enum cgm_cgroup_mode { CGM_CGROUP_V1, CGM_CGROUP_HYBRID, CGM_CGROUP_V2 };

enum cgm_controller {
	CGM_CTRL_CPU,
	CGM_CTRL_CPUACCT,
	CGM_CTRL_CPUSET,
	CGM_CTRL_MEMORY,
	CGM_CTRL_BLKIO,
	CGM_CTRL_PIDS,
	CGM_CTRL_UNIFIED, /* the v2 tree of a hybrid machine, or the only tree of a v2 machine */
	CGM_NR_CONTROLLERS,
};

struct cgm_hierarchy {
	int dir_fd; /* its mount point; -1: not mounted. Controllers that share a mount share nothing here: each has its own descriptor. */
	uint32_t id; /* as /proc/self/cgroup and the kernel number it; 0 for v2 */
};

/* Hierarchies of v1 that only groups read that are off by default: no container is looked for there. */
enum cgm_side_controller { CGM_SIDE_HUGETLB, CGM_SIDE_PERF_EVENT, CGM_NR_SIDE_CONTROLLERS };

/* The trees of a machine. */
struct cgm_trees {
	enum cgm_cgroup_mode mode;
	struct cgm_hierarchy h[CGM_NR_CONTROLLERS];
	int side_fd[CGM_NR_SIDE_CONTROLLERS]; /* -1: not mounted as v1 */
	uint64_t boot_time_ns; /* since the epoch, for creation times */
	unsigned nr_cpus; /* possible CPUs that are present */
	uint64_t memory_bytes, swap_bytes; /* of the machine, for the limits of "/" */
	int root_fd; /* a copy of the caller's; -1: not open */
};

/*
 * Finds the mounted trees by cgm_mountinfo_read() and <root_fd>/proc/self/cgroup, and opens their mount points below
 * root_fd. mode: V2 when no v1 controller that we read is mounted; V1 when no cgroup2 is mounted; else HYBRID.
 * -ENODEV when no cgroup file system is mounted at all.
 */
int cgm_trees_open(int root_fd, struct cgm_trees *ret);

/*
 * What is mounted below root_fd, as the lines of mountinfo; the caller frees *ret. When root_fd is not our own root, it is a machine that was
 * mounted into our container: its process 1 tells where things are as the machine names them, our own process as our container does.
 * 0 or a negative errno.
 */
int cgm_mountinfo_read(int root_fd, char **ret, size_t *ret_len);
void cgm_trees_close(struct cgm_trees *t);
/* The hierarchy in which tasks are counted: unified on V2; else cpu, cpuacct, or the first that is mounted. */
enum cgm_controller cgm_trees_sched_controller(const struct cgm_trees *t);

/*
 * Calls visit for every cgroup of every mounted hierarchy, "/" first, parents before children. A path comes once per
 * hierarchy. id and parent_id are directory inodes (parent_id 0 for the root). visit returns 0 to go on; anything else ends
 * the walk and is returned. Directories that vanish on the way are passed over.
 */
typedef int (*cgm_visit_fn)(void *arg, enum cgm_controller c, const char *path, uint64_t id, uint64_t parent_id);
int cgm_trees_walk(const struct cgm_trees *t, cgm_visit_fn visit, void *arg);

/* What a container may use. 0 and UINT64_MAX as described; times in ns since the epoch. */
struct cgm_spec {
	uint64_t creation_time_ns;
	bool has_cpu, has_memory, has_processes, has_diskio, has_network, has_filesystem, has_hugetlb;
	uint64_t cpu_shares; /* v2: converted from cpu.weight */
	uint64_t cpu_quota_usec; /* 0: no limit */
	uint64_t cpu_period_usec;
	char cpu_mask[128]; /* "" when there is no cpuset */
	uint64_t memory_limit, memory_reservation, memory_swap_limit; /* bytes; UINT64_MAX on v2, 9223372036854771712 on v1: none */
	uint64_t pids_limit; /* UINT64_MAX: none */
};

/*
 * One container's open files. Keeps each file of a sample open as long as the budget of descriptors lasts (cgm_fd_budget), and
 * opens it for each read beyond it.
 */
struct cgm_reader;
/* path: "/" or "/a/b". -ENOENT when it exists in no hierarchy. The trees must outlive the reader. */
int cgm_reader_open(const struct cgm_trees *t, const char *path, struct cgm_reader **ret);
void cgm_reader_close(struct cgm_reader *r);
/* Which hierarchies the path exists in, bit per enum cgm_controller; ids (inode of its directory) by controller, 0: not there. */
unsigned cgm_reader_controllers(const struct cgm_reader *r);
uint64_t cgm_reader_id(const struct cgm_reader *r, enum cgm_controller c);
/* When it was made, as the spec has it, in ns since the epoch; 0: not known. */
uint64_t cgm_reader_creation_time_ns(struct cgm_reader *r);
/* True when the directory of an open reader is still the one at its path (same inode in every hierarchy it was in). */
bool cgm_reader_same(const struct cgm_reader *r);
/*
 * Looks again for hierarchies in which the path has appeared since it was opened (a v1 runtime makes one directory after the other).
 * 0, 1 when something was added, -ENOENT when it exists nowhere any more.
 */
int cgm_reader_refresh(struct cgm_reader *r);

/*
 * Fills what the cgroup's files hold, per metrics.def (time_ns is the caller's). Sets only the values that it read; a file or key that
 * this kernel lacks is left "not read". want_diskio: also read the block files (the caller has no kernel side).
 * -ENOENT: the cgroup is gone.
 */
int cgm_reader_sample(struct cgm_reader *r, bool want_diskio, struct cgm_sample *s);
/*
 * The same with what was read in bulk (may be NULL): a file whose groups are all in it is not read, and no longer kept open. A value counts only
 * if its file was seen in some cgroup: what the files do not show is not shown.
 */
int cgm_reader_sample_bulk(struct cgm_reader *r, const struct cgm_bulk *bulk, bool want_diskio, struct cgm_sample *s);
/* The next sample reads every file anew, however young what it said last is. */
void cgm_reader_expire(struct cgm_reader *r);
/* Adds what io.cost counted by device, where the kernel side counts all the rest. 0, -ENOENT or -ENOMEM. */
int cgm_reader_io_cost(struct cgm_reader *r, struct cgm_sample *s);
/* Is io.cost switched on for any device (v2)? */
bool cgm_trees_io_cost(const struct cgm_trees *t);
/* The text of memory.stat, whole, into buf. 0 with *ret, or a negative errno. */
int cgm_reader_memory_stat(struct cgm_reader *r, char *buf, size_t size, struct cgm_str *ret);
/* How many reads of files there were, all readers together. */
uint64_t cgm_reader_nr_reads(void);
/* -ENOENT: the cgroup is gone. For "/": limits are the machine's. */
int cgm_reader_spec(struct cgm_reader *r, struct cgm_spec *ret);
/* Reads only the set of CPUs again, into a spec that was read before. */
void cgm_reader_spec_mask(struct cgm_reader *r, struct cgm_spec *s);

/*
 * How old a slow value may become (default 5 s; 0: every file at every sample). CPU time per CPU and memory usage are read at every
 * sample; memory.stat when the usage has moved; user and system time when a tick (10 ms) of CPU was used; the number of tasks when
 * 1 ms of CPU was used; and everything, these included, when it is older than this (v1's cpu.stat without a quota: twice, pids.max
 * and NUMA statistics: four times). In between the last value stands.
 */
void cgm_reader_set_slow_ns(uint64_t ns);

/* Files that are read only for groups of metrics that are off (a bit per enum cgm_group) are not read, by readers that are opened from now on. */
void cgm_reader_set_groups_off(uint64_t groups);

/* Descriptors that readers may keep open, all together; beyond it files are opened for each read. Default: RLIMIT_NOFILE less 512. */
void cgm_reader_set_fd_budget(size_t max_fds);
size_t cgm_reader_nr_fds(void);
