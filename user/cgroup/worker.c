// SPDX-License-Identifier: Apache-2.0
#include "cgroup/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

#define NICE 10 /* the sampler goes first */
#define BURST_NS (2 * CGM_NSEC_PER_MSEC) /* so much is done in one go, then the thread pauses for its share */

struct cgm_worker {
	pthread_t thread;
	pthread_mutex_t lock; /* the queue and all results; never held while a job runs */
	pthread_cond_t wake;
	bool ends;
	uint64_t interval_ns;
	unsigned max_permille;
	struct cgm_job *first, *last; /* in the order of due_ns */
	struct cgm_job *running; /* not in the queue */
	struct cgm_sample scratch; /* the worker's own */
	struct cgm_worker_state state;
};

static void unlink_job(struct cgm_worker *w, struct cgm_job *j)
{
	*(j->prev ? &j->prev->next : &w->first) = j->next;
	*(j->next ? &j->next->prev : &w->last) = j->prev;
	j->next = j->prev = NULL;
}

static void append(struct cgm_worker *w, struct cgm_job *j)
{
	j->prev = w->last;
	*(w->last ? &w->last->next : &w->first) = j;
	w->last = j;
}

static void prepend(struct cgm_worker *w, struct cgm_job *j)
{
	j->next = w->first;
	*(w->first ? &w->first->prev : &w->last) = j;
	w->first = j;
}

static void free_job(struct cgm_job *j)
{
	cgm_sample_done(&j->result);
	j->free(j);
}

/* Until that moment, or until there is news. Holds the lock. */
static void wait_until(struct cgm_worker *w, uint64_t at_ns)
{
	struct timespec ts = { (time_t)(at_ns / CGM_NSEC_PER_SEC), (long)(at_ns % CGM_NSEC_PER_SEC) };

	pthread_cond_timedwait(&w->wake, &w->lock, &ts);
}

/* The share of one CPU: so long after so much work. Only the end cuts it short. */
static void pause_for(struct cgm_worker *w, uint64_t used_ns)
{
	uint64_t end = cgm_clock_mono_ns() + used_ns * (1000 - w->max_permille) / w->max_permille;

	while (!w->ends && cgm_clock_mono_ns() < end)
		wait_until(w, end);
}

/* Runs the first job. Holds the lock but for the run. */
static void run_one(struct cgm_worker *w)
{
	struct cgm_job *j = w->first;
	struct cgm_sample old;
	int r;

	unlink_job(w, j);
	w->running = j;
	pthread_mutex_unlock(&w->lock);
	cgm_sample_reset(&w->scratch);
	r = j->run(j, &w->scratch);
	pthread_mutex_lock(&w->lock);
	w->running = NULL;
	w->state.nr_runs++;
	w->state.nr_failed += r == -ENOMEM;
	if (j->dropped) {
		w->state.nr_jobs--;
		pthread_mutex_unlock(&w->lock);
		free_job(j);
		pthread_mutex_lock(&w->lock);
		return;
	}
	if (r == 0) {
		old = j->result;
		j->result = w->scratch;
		w->scratch = old;
	}
	j->due_ns = cgm_clock_mono_ns() + w->interval_ns;
	append(w, j);
}

static void *work(void *arg)
{
	uint64_t used_ns = 0, before_ns;
	struct cgm_worker *w = arg;

	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&w->lock);
	while (!w->ends) {
		uint64_t now = cgm_clock_mono_ns();

		if (used_ns >= BURST_NS) {
			pause_for(w, used_ns);
			used_ns = 0;
		} else if (!w->first || w->first->due_ns > now) {
			wait_until(w, w->first ? w->first->due_ns : now + 3600 * CGM_NSEC_PER_SEC);
		} else {
			before_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
			run_one(w);
			used_ns += cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void init(struct cgm_worker *w)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void done(struct cgm_worker *w)
{
	cgm_sample_done(&w->scratch);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int cgm_worker_new(uint64_t interval_ns, unsigned max_permille, struct cgm_worker **ret)
{
	struct cgm_worker *w = cgm_calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->interval_ns = interval_ns;
	w->max_permille = MIN(MAX(max_permille, 1U), 1000U);
	init(w);
	r = pthread_create(&w->thread, NULL, work, w);
	if (r) {
		done(w);
		return -r;
	}
	*ret = w;
	return 0;
}

void cgm_worker_free(struct cgm_worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ends = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	while (w->first) {
		struct cgm_job *j = w->first;

		unlink_job(w, j);
		free_job(j);
	}
	done(w);
}

void cgm_worker_add(struct cgm_worker *w, struct cgm_job *j)
{
	pthread_mutex_lock(&w->lock);
	j->due_ns = cgm_clock_mono_ns();
	prepend(w, j);
	w->state.nr_jobs++;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void cgm_worker_drop(struct cgm_worker *w, struct cgm_job *j)
{
	if (!j)
		return;
	pthread_mutex_lock(&w->lock);
	if (w->running == j) {
		j->dropped = true;
		j = NULL;
	} else {
		unlink_job(w, j);
		w->state.nr_jobs--;
	}
	pthread_mutex_unlock(&w->lock);
	if (j)
		free_job(j);
}

int cgm_worker_merge(struct cgm_worker *w, const struct cgm_job *j, struct cgm_sample *s)
{
	int r;

	pthread_mutex_lock(&w->lock);
	r = cgm_sample_merge(s, &j->result);
	pthread_mutex_unlock(&w->lock);
	return r;
}

struct cgm_worker_state cgm_worker_state(struct cgm_worker *w)
{
	uint64_t now = cgm_clock_mono_ns();
	struct cgm_worker_state s;

	pthread_mutex_lock(&w->lock);
	s = w->state;
	s.late_ns = w->first && w->first->due_ns < now ? now - w->first->due_ns : 0;
	pthread_mutex_unlock(&w->lock);
	return s;
}
