// SPDX-License-Identifier: Apache-2.0
#include "output/passwords.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "output/limits.h"
#include "output/request.h"

#define MAX_WAITING 64 /* requests */
#define MAX_OF_CLIENT 4 /* different logins of one client */
#define NICE 10

struct cgm_login {
	struct cgm_login *next;
	struct cgm_request *rq;
	struct cgm_client client;
	struct cgm_known_key key;
	enum cgm_auth_verdict verdict;
	size_t size; /* of the texts */
	const char *password; /* in user */
	char user[];
};

struct cgm_passwords {
	struct cgm_known *known;
	struct cgm_throttle *throttle;
	struct cgm_http_stats *stats;
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t wake;
	struct cgm_users *users;
	struct cgm_login *first, **last;
	unsigned nr_waiting;
	bool stopping;
};

enum cgm_auth_verdict cgm_login_verdict(const struct cgm_login *l)
{
	return l->verdict;
}

void cgm_login_free(struct cgm_login *l)
{
	if (!l)
		return;
	cgm_secret_wipe(l->user, l->size);
	free(l);
}

/* ---- the thread ---- */

/* The request goes on in the server's thread; the login must not be touched any more. */
static void let_go(struct cgm_login *l, enum cgm_auth_verdict verdict)
{
	l->verdict = verdict;
	MHD_resume_connection(l->rq->connection);
}

/* generation: of what is known, taken before users, so that what a replaced file said is not remembered. */
static enum cgm_auth_verdict compute(struct cgm_passwords *p, const struct cgm_users *users, uint64_t generation, const struct cgm_login *l)
{
	int r;

	if (cgm_known_has(p->known, &l->key, cgm_clock_mono_ns()))
		return CGM_AUTH_OPEN;
	cgm_http_count(&p->stats->nr_password_checks);
	r = cgm_htpasswd_verify(users, l->user, l->password);
	if (r < 0) {
		cgm_log_once(CGM_LOG_ERROR, "a password could not be checked: %s",
			     r == -ENOMEM ? "out of memory" : "its kind of hash is not available on this machine");
		return CGM_AUTH_BUSY;
	}
	if (r > 0)
		cgm_known_add(p->known, &l->key, generation, cgm_clock_mono_ns());
	return r > 0 ? CGM_AUTH_OPEN : CGM_AUTH_FAILED;
}

static void count_failure(struct cgm_passwords *p, const struct cgm_login *l)
{
	cgm_http_count(&p->stats->nr_login_failures);
	cgm_throttle_failed(p->throttle, &l->client, cgm_clock_mono_ns());
}

/* All that wait for the same login get the same verdict. Called with the lock. */
static void tell(struct cgm_passwords *p, const struct cgm_known_key *key, enum cgm_auth_verdict verdict)
{
	struct cgm_login **at = &p->first;

	while (*at) {
		struct cgm_login *l = *at;

		if (memcmp(&l->key, key, sizeof(*key)) != 0) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		p->nr_waiting--;
		if (verdict == CGM_AUTH_FAILED)
			count_failure(p, l);
		let_go(l, verdict);
	}
	p->last = at;
}

static void *run(void *arg)
{
	struct cgm_passwords *p = arg;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		enum cgm_auth_verdict verdict;
		struct cgm_login *first = p->first; /* stays where it is: only this thread takes any out */
		struct cgm_users *users;
		struct cgm_known_key key;
		uint64_t generation;

		if (!first) {
			pthread_cond_wait(&p->wake, &p->lock);
			continue;
		}
		generation = cgm_known_generation(p->known);
		users = cgm_users_ref(p->users);
		key = first->key;
		pthread_mutex_unlock(&p->lock);
		verdict = compute(p, users, generation, first);
		cgm_users_unref(users);
		pthread_mutex_lock(&p->lock);
		tell(p, &key, verdict);
	}
	while (p->first) {
		struct cgm_known_key key = p->first->key;

		tell(p, &key, CGM_AUTH_BUSY);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- the room's face ---- */

struct cgm_passwords *cgm_passwords_new(struct cgm_known *known, struct cgm_throttle *throttle, struct cgm_http_stats *stats)
{
	struct cgm_passwords *p = cgm_calloc(1, sizeof(*p));
	sigset_t all, before;
	int r;

	if (!p)
		return NULL;
	p->known = known;
	p->throttle = throttle;
	p->stats = stats;
	p->last = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&p->thread, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		return p;
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}

void cgm_passwords_set(struct cgm_passwords *p, struct cgm_users *users)
{
	struct cgm_users *before;

	pthread_mutex_lock(&p->lock);
	before = p->users;
	p->users = users;
	pthread_mutex_unlock(&p->lock);
	cgm_known_clear(p->known);
	cgm_users_unref(before);
}

void cgm_passwords_stop(struct cgm_passwords *p)
{
	bool stopped;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	stopped = p->stopping;
	p->stopping = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	if (!stopped)
		pthread_join(p->thread, NULL);
}

void cgm_passwords_free(struct cgm_passwords *p)
{
	if (!p)
		return;
	cgm_passwords_stop(p);
	cgm_users_unref(p->users);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Room for one more? Many may wait for the same login, since that is computed once. Called with the lock. */
static bool has_room(const struct cgm_passwords *p, const struct cgm_login *l)
{
	unsigned of_client = 0;

	if (p->stopping || p->nr_waiting >= MAX_WAITING)
		return false;
	for (const struct cgm_login *o = p->first; o; o = o->next) {
		if (memcmp(&o->key, &l->key, sizeof(l->key)) == 0)
			return true;
		of_client += cgm_client_eq(&o->client, &l->client);
	}
	return of_client < MAX_OF_CLIENT;
}

enum cgm_auth_verdict cgm_passwords_check(struct cgm_passwords *p, struct cgm_request *rq, const char *user, const char *password,
					  const struct cgm_known_key *key)
{
	size_t user_size = strlen(user) + 1, size = user_size + strlen(password) + 1;
	struct cgm_login *l = cgm_calloc(1, sizeof(*l) + size);
	bool taken;

	if (!l)
		return CGM_AUTH_BUSY;
	l->rq = rq;
	l->client = rq->peer->client;
	l->key = *key;
	l->size = size;
	memcpy(l->user, user, user_size);
	memcpy(l->user + user_size, password, size - user_size);
	l->password = l->user + user_size;
	pthread_mutex_lock(&p->lock);
	taken = has_room(p, l);
	if (taken) {
		rq->login = l;
		MHD_suspend_connection(rq->connection); /* before anybody may resume it */
		*p->last = l;
		p->last = &l->next;
		p->nr_waiting++;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	if (taken)
		return CGM_AUTH_LATER;
	cgm_login_free(l);
	return CGM_AUTH_BUSY;
}
