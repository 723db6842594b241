/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dear readings, in a thread of their own: what may take longer than the sampler can wait (a walk over all descriptors of a container's
 * processes, a dump of all sockets of a namespace, page tables). Each job is run again an interval after it ended, one after the other, and the
 * thread takes at most a share of one CPU: when there is more to do, results become older instead. The sampler takes the newest results.
 * Jobs are made, merged and dropped by the sampler's thread; run() is called by the worker's alone.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cgroup/sample.h"

struct cgm_worker;

/* The head of a job; the rest is the maker's. Zeroed but for run and free. */
struct cgm_job {
	/* Measures into s, which is empty. 0: this is the result; else the last one stands. */
	int (*run)(struct cgm_job *j, struct cgm_sample *s);
	/* Releases the job. In the thread that drops it, or in the worker's when it is running just then. */
	void (*free)(struct cgm_job *j);
	struct cgm_job *next, *prev;
	uint64_t due_ns;
	struct cgm_sample result;
	bool dropped;
};

/* interval_ns: between two runs of a job. max_permille: of one CPU. 0 or a negative errno. */
int cgm_worker_new(uint64_t interval_ns, unsigned max_permille, struct cgm_worker **ret);
/* Ends the thread and frees the jobs that are left. NULL is fine. */
void cgm_worker_free(struct cgm_worker *w);
/* Takes the job over. Its first run is due at once. */
void cgm_worker_add(struct cgm_worker *w, struct cgm_job *j);
/* The job is freed, or will be when it has ended. NULL is fine. */
void cgm_worker_drop(struct cgm_worker *w, struct cgm_job *j);
/* Adds the newest result to s; nothing before the first. 0 or -ENOMEM. */
int cgm_worker_merge(struct cgm_worker *w, const struct cgm_job *j, struct cgm_sample *s);

struct cgm_worker_state {
	size_t nr_jobs;
	uint64_t late_ns; /* of the job that has waited longest: beyond the interval */
	uint64_t nr_runs, nr_failed; /* failed: out of memory */
};
struct cgm_worker_state cgm_worker_state(struct cgm_worker *w);
