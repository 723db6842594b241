/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is dear to know of one container, and off by default: descriptors and sockets of its processes, memory that was referenced, huge pages,
 * counters of perf, cache and memory bandwidth. One job (worker.h) a container. Nothing here is shared with the readers of the same container.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup/cgroup.h"
#include "cgroup/perf.h"
#include "cgroup/worker.h"

struct cgm_details_config {
	const struct cgm_trees *trees;
	bool processes, referenced, hugetlb, resctrl;
	uint64_t referenced_reset; /* after so many rounds what was referenced is forgotten; 0: never */
	uint64_t resctrl_interval_ns; /* how often threads are moved into the container's monitoring group; 0: once */
	struct cgm_perf_config *perf; /* NULL: none */
};

/* Is anything of it wanted? */
bool cgm_details_wanted(const struct cgm_details_config *c);
/* path: of the container, "/" or "/a/b"; config must outlive the job. NULL: out of memory. */
struct cgm_job *cgm_details_job_new(const struct cgm_details_config *config, const char *path);

/* ---- inside of this room: the parts of a job ---- */

#define CGM_DETAILS_NAME_MAX 64 /* of a file in a cgroup's directory */

struct cgm_details {
	struct cgm_job job;
	const struct cgm_details_config *config;
	uint64_t nr_rounds;
	uint64_t soft_limit, hard_limit; /* of open files, as read last: its processes may have ended */
	bool has_limits;
	struct cgm_perf *perf; /* NULL: not opened yet, or cannot be */
	bool perf_tried;
	char *resctrl; /* path of its group in resctrl; NULL: none yet */
	bool resctrl_made; /* by us */
	uint64_t resctrl_due_ns;
	size_t path_len; /* of path without a file's name: "a/b/" */
	char path[];
};

/* The path of a file of the cgroup, relative to a mount point; good until the next call. */
const char *cgm_details_path(struct cgm_details *d, const char *name);
/* The directory to look below for files of processes: the hierarchy in which tasks are counted, or any in which it is. */
int cgm_details_procs_fd(const struct cgm_details *d);

/* Each adds its part to s: 0, or -ENOMEM. What ends or cannot be read meanwhile is no error. */
int cgm_details_processes(struct cgm_details *d, struct cgm_sample *s);
int cgm_details_hugetlb(struct cgm_details *d, struct cgm_sample *s);
int cgm_details_resctrl(struct cgm_details *d, struct cgm_sample *s);
/* Removes the monitoring group that was made for the container. */
void cgm_details_resctrl_done(struct cgm_details *d);
/* Is resctrl mounted below that root? */
bool cgm_resctrl_there(int root_fd);
