// SPDX-License-Identifier: Apache-2.0
#include "cluster/leader.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/lease.h"

#define MAX_BYTES (256 * 1024)

struct cgm_leader {
	struct cgm_leader_config config;
	char *lease_namespace, *lease, *identity;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	bool stop;
	struct cgm_leader_state state;
	/* The thread's. */
	struct cgm_buf answer; /* the Lease as it was told last */
	struct cgm_lease seen;
	uint64_t seen_ns; /* when it last changed, by our clock (CLOCK_MONOTONIC) */
	uint64_t renewed_ns; /* when the request was begun that last made us its holder */
	bool said_fault;
};

/* ---- requests ---- */

static void keep_fault(struct cgm_leader *l, const char *fault)
{
	pthread_mutex_lock(&l->lock);
	snprintf(l->state.fault, sizeof(l->state.fault), "%s", fault);
	pthread_mutex_unlock(&l->lock);
	if (*fault && !l->said_fault)
		cgm_warning("the Lease %s/%s cannot be had: %s", l->lease_namespace, l->lease, fault);
	l->said_fault = *fault;
}

/* The status, or a negative errno, told. */
static int request(struct cgm_leader *l, const char *method, const char *body, struct cgm_buf *answer)
{
	char path[600], fault[CGM_KUBE_FAULT];
	unsigned status;
	int r;

	snprintf(path, sizeof(path), "/apis/coordination.k8s.io/v1/namespaces/%s/leases%s%s", l->lease_namespace, strcmp(method, "POST") == 0 ? "" : "/",
		 strcmp(method, "POST") == 0 ? "" : l->lease);
	r = cgm_kube_request(l->config.kube, method, path, body, MAX_BYTES, answer, &status, fault);
	if (r < 0) {
		keep_fault(l, fault);
		return r;
	}
	if (status >= 300 && status != 404 && status != 409) {
		snprintf(fault, sizeof(fault), "%s leases: %u%s", method, status, status == 403 ? " (get, create and update of leases are wanted)" : "");
		keep_fault(l, fault);
		return -EACCES;
	}
	return (int)status;
}

/* Notes the Lease that was told. What its times say is another clock's: what counts is when we saw it change. */
static int observe(struct cgm_leader *l, struct cgm_buf *answer, uint64_t now_ns)
{
	struct cgm_lease lease;
	int r = cgm_lease_read(answer->p ? answer->p : "", answer->len, &lease);

	if (r < 0) {
		keep_fault(l, "the answer is no Lease");
		return r;
	}
	if (!l->seen_ns || strcmp(lease.version, l->seen.version) != 0 || strcmp(lease.renewed, l->seen.renewed) != 0 || strcmp(lease.holder, l->seen.holder) != 0)
		l->seen_ns = now_ns;
	l->seen = lease;
	cgm_buf_done(&l->answer);
	l->answer = *answer;
	*answer = (struct cgm_buf){ 0 };
	pthread_mutex_lock(&l->lock);
	snprintf(l->state.holder, sizeof(l->state.holder), "%s", lease.holder);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

/* Writes the Lease with identity as its holder. 1: it is written; 0: another was faster; a negative errno. */
static int put(struct cgm_leader *l, bool create, const char *identity)
{
	_cleanup_(cgm_buf_done) struct cgm_buf body = { 0 }, answer = { 0 };
	uint64_t duration_s = MAX(l->config.lease_ns / CGM_NSEC_PER_SEC, 1), now_ns = cgm_clock_mono_ns();
	int r = cgm_lease_write(create ? NULL : l->answer.p, l->answer.len, l->lease_namespace, l->lease, identity, *identity ? duration_s : 1, cgm_clock_real_ns(), &body);

	if (r < 0)
		return r;
	r = request(l, create ? "POST" : "PUT", body.p, &answer);
	if (r < 0)
		return r;
	if (r == 404 || r == 409)
		return 0;
	return observe(l, &answer, now_ns) < 0 ? -EINVAL : 1;
}

static bool is_ours(const struct cgm_leader *l)
{
	return strcmp(l->seen.holder, l->identity) == 0;
}

static bool is_held(const struct cgm_leader *l, uint64_t now_ns)
{
	uint64_t duration_ns = l->seen.duration_s ? l->seen.duration_s * CGM_NSEC_PER_SEC : l->config.lease_ns;

	return *l->seen.holder && !is_ours(l) && now_ns - l->seen_ns < duration_ns;
}

/* 1: the Lease is ours, from now on or still; 0: another's; a negative errno: who knows. */
static int try(struct cgm_leader *l)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	uint64_t now_ns = cgm_clock_mono_ns();
	int r = request(l, "GET", NULL, &answer);

	if (r < 0)
		return r;
	if (r != 404) {
		r = observe(l, &answer, cgm_clock_mono_ns());
		if (r < 0)
			return r;
		if (is_held(l, cgm_clock_mono_ns())) {
			keep_fault(l, "");
			return 0;
		}
		r = put(l, false, l->identity);
	} else {
		r = put(l, true, l->identity);
	}
	if (r == 1)
		l->renewed_ns = now_ns;
	if (r >= 0)
		keep_fault(l, "");
	return r;
}

/* ---- the thread ---- */

static void set_leads(struct cgm_leader *l, bool leads, const char *why)
{
	bool changed;

	pthread_mutex_lock(&l->lock);
	changed = l->state.leads != leads;
	l->state.leads = leads;
	l->state.nr_changes += changed;
	pthread_mutex_unlock(&l->lock);
	if (!changed)
		return;
	cgm_info("%s: %s", leads ? "we collect from now on" : "we stand by", why);
	l->config.on_change(l->config.arg, leads);
}

/* True: the time is over; false: we are to stop. */
static bool pause_for(struct cgm_leader *l, uint64_t ns)
{
	uint64_t end = cgm_clock_mono_ns() + ns;
	struct timespec ts = { (time_t)(end / CGM_NSEC_PER_SEC), (long)(end % CGM_NSEC_PER_SEC) };
	bool stop;

	pthread_mutex_lock(&l->lock);
	while (!l->stop && cgm_clock_mono_ns() < end)
		pthread_cond_timedwait(&l->wake, &l->lock, &ts);
	stop = l->stop;
	pthread_mutex_unlock(&l->lock);
	return !stop;
}

static uint64_t deadline_ns(const struct cgm_leader *l)
{
	return l->renewed_ns + l->config.renew_ns;
}

/* Who leads and could not renew the Lease in time stands back, before anything is asked again: the next answer may be long in coming, and until then another may take over. */
static void stand_back(struct cgm_leader *l)
{
	char why[400];

	if (!l->state.leads || cgm_clock_mono_ns() < deadline_ns(l))
		return;
	snprintf(why, sizeof(why), "the Lease %s/%s could not be renewed for %llu s", l->lease_namespace, l->lease, (unsigned long long)(l->config.renew_ns / CGM_NSEC_PER_SEC));
	set_leads(l, false, why);
}

static void round_of(struct cgm_leader *l)
{
	char why[400];
	int r = try(l);

	if (r == 1) {
		snprintf(why, sizeof(why), "the Lease %s/%s is ours", l->lease_namespace, l->lease);
		set_leads(l, true, why);
	} else if (r == 0 && !is_ours(l)) {
		snprintf(why, sizeof(why), "the Lease %s/%s is held by %.200s", l->lease_namespace, l->lease, *l->seen.holder ? l->seen.holder : "nobody");
		set_leads(l, false, why);
	} else {
		stand_back(l);
	}
}

/*
 * Writers at the same moment are the rule where all wait for one Lease: a fifth of the time is by chance. A leader wakes at the latest when it has to stand back, and asks then once more.
 */
static uint64_t pause_ns(const struct cgm_leader *l)
{
	uint64_t now_ns = cgm_clock_mono_ns(), ns = l->config.retry_ns + now_ns / 1000 % (l->config.retry_ns / 5 + 1);

	return l->state.leads ? MIN(ns, deadline_ns(l) > now_ns ? deadline_ns(l) - now_ns : 0) : ns;
}

static void *thread_main(void *arg)
{
	struct cgm_leader *l = arg;

	do {
		stand_back(l);
		round_of(l);
	} while (pause_for(l, pause_ns(l)));
	if (!l->state.leads)
		return NULL;
	set_leads(l, false, "the end");
	(void)put(l, false, "");
	return NULL;
}

/* ---- life ---- */

static void leader_free(struct cgm_leader *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	cgm_buf_done(&l->answer);
	free(l->lease_namespace);
	free(l->lease);
	free(l->identity);
	free(l);
}

int cgm_leader_start(const struct cgm_leader_config *config, struct cgm_leader **ret)
{
	struct cgm_leader *l = cgm_calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	int r;

	if (!l)
		return -ENOMEM;
	l->config = *config;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	l->lease_namespace = cgm_strdup(config->lease_namespace);
	l->lease = cgm_strdup(config->lease);
	l->identity = cgm_strdup(config->identity);
	r = l->lease_namespace && l->lease && l->identity ? -pthread_create(&l->thread, NULL, thread_main, l) : -ENOMEM;
	if (r < 0) {
		leader_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void cgm_leader_stop(struct cgm_leader *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	leader_free(l);
}

struct cgm_leader_state cgm_leader_state(struct cgm_leader *l)
{
	struct cgm_leader_state s;

	pthread_mutex_lock(&l->lock);
	s = l->state;
	pthread_mutex_unlock(&l->lock);
	return s;
}
