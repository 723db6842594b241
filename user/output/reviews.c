// SPDX-License-Identifier: Apache-2.0
#include "output/reviews.h"

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

#define NR_THREADS 4 /* reviews at once */
#define MAX_WAITING 128 /* requests */
#define MAX_OF_CLIENT 8 /* different questions of one client */
#define NICE 5
#define AWAY_NS CGM_NSEC_PER_SEC /* after a failure nothing is asked for so long */
#define NOBODY_NS (10 * CGM_NSEC_PER_SEC) /* a token that is nobody's may become somebody's: the API server learns of one late */

struct cgm_review {
	struct cgm_review *next; /* who waits for the same */
	struct cgm_request *rq;
	struct cgm_access access;
	struct cgm_reviewed *who; /* NULL: not known yet */
	bool of_token; /* what was asked: whose the token is; else whether he may */
	int answer; /* 1, 0, or a negative errno: -EBUSY, -ENOMEM, else: it could not be asked */
};

struct question {
	struct question *next;
	struct cgm_verdict_key key;
	struct cgm_client client; /* whose request came first */
	struct cgm_review *waiting;
	bool asked; /* by a thread, now */
	struct cgm_access access; /* may who do that? */
	struct cgm_reviewed *who; /* NULL: whose is the token? */
	size_t size; /* of token, and behind it the path of access */
	char token[];
};

struct cgm_reviews {
	const struct cgm_review_config *config;
	struct cgm_http_stats *stats;
	struct cgm_verdicts tokens, accesses;
	pthread_t threads[NR_THREADS];
	unsigned nr_threads;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t wake;
	struct question *first, **last;
	unsigned nr_waiting;
	uint64_t away_until_ns;
	bool away; /* and that was said */
	bool stopping;
};

void cgm_review_free(struct cgm_review *v)
{
	if (!v)
		return;
	cgm_reviewed_unref(v->who);
	free(v);
}

const struct cgm_kube_user *cgm_review_user(const struct cgm_review *v)
{
	return v && v->who ? &v->who->user : NULL;
}

static void refuse_path(const struct cgm_review *v, char *ret, size_t size)
{
	struct cgm_access_parts parts;
	struct cgm_kube_access a;
	const char *user = v->who->user.name;

	cgm_access_split(&v->access, &parts, &a);
	if (!a.resource)
		snprintf(ret, size, "forbidden: User \"%.150s\" cannot %s path \"%.150s\"", user, a.verb, a.path);
	else
		snprintf(ret, size, "%.60s.%s is forbidden: User \"%.100s\" cannot %s resource \"%.60s\" in API group \"%s\" %s%s%.63s%s", a.resource, a.group, user, a.verb, a.resource, a.group,
			 a.object_namespace ? "in the namespace " : "at the cluster scope", a.object_namespace ? "\"" : "", a.object_namespace ? a.object_namespace : "", a.object_namespace ? "\"" : "");
}

void cgm_review_refusal(const struct cgm_review *v, char *ret, size_t size)
{
	if (v->access.path) {
		refuse_path(v, ret, size);
		return;
	}
	snprintf(ret, size, "Forbidden (user=%.200s, verb=%s, resource=nodes, subresource=%s)", v->who->user.name, v->access.verb, v->access.subresource);
}

static void question_free(struct question *q)
{
	cgm_reviewed_unref(q->who);
	cgm_secret_wipe(q->token, q->size);
	free(q);
}

/* ---- the threads ---- */

/* Called with the lock. */
static void say_state(struct cgm_reviews *r, bool away, const char *fault)
{
	if (away && !r->away)
		cgm_warning("the API server cannot be asked who may ask here: %s (whose verdict is not known gets 503)", fault);
	if (!away && r->away)
		cgm_info("the API server can be asked again who may ask here");
	r->away = away;
	if (away)
		r->away_until_ns = cgm_clock_mono_ns() + AWAY_NS;
}

static int ask_token(struct cgm_reviews *r, const struct question *q, struct cgm_reviewed **ret_who, char *fault)
{
	struct cgm_kube_user user = { 0 };
	int answer = r->config->reviewer.token(r->config->reviewer.arg, q->token, &user, fault);
	uint64_t now = cgm_clock_mono_ns();

	if (answer > 0 && (!user.name || !*user.name)) {
		cgm_kube_user_done(&user);
		answer = 0; /* a name is what makes somebody of him */
	}
	if (answer > 0) {
		*ret_who = cgm_reviewed_new(&user, CGM_GROUP_AUTHENTICATED);
		if (!*ret_who)
			return -ENOMEM;
	}
	if (answer >= 0)
		cgm_verdicts_put(&r->tokens, &q->key, answer > 0, *ret_who, now,
				 now + (answer ? r->config->token_ns : MIN(r->config->token_ns, NOBODY_NS)));
	return answer;
}

static int ask_access(struct cgm_reviews *r, const struct question *q, char *fault)
{
	struct cgm_kube_access access = { .verb = q->access.verb, .resource = "nodes", .subresource = q->access.subresource, .name = r->config->node };
	struct cgm_access_parts parts;
	uint64_t now;
	int answer;

	if (q->access.path)
		cgm_access_split(&q->access, &parts, &access);
	answer = r->config->reviewer.access(r->config->reviewer.arg, &q->who->user, &access, fault);
	now = cgm_clock_mono_ns();

	if (answer >= 0)
		cgm_verdicts_put(&r->accesses, &q->key, answer > 0, NULL, now, now + (answer ? r->config->allowed_ns : r->config->denied_ns));
	return answer;
}

static int ask(struct cgm_reviews *r, const struct question *q, struct cgm_reviewed **ret_who, char *fault)
{
	enum cgm_http_review of = q->who ? CGM_HTTP_REVIEW_ACCESS_YES : CGM_HTTP_REVIEW_TOKEN_YES;
	int answer;

	fault[0] = '\0';
	answer = q->who ? ask_access(r, q, fault) : ask_token(r, q, ret_who, fault);
	if (answer == -EINVAL) /* a question that could not be put into words says nothing of the API server */
		answer = -ENOMEM;
	cgm_http_count(&r->stats->reviews[answer > 0 ? of : answer == 0 ? of + 1 : of + 2]);
	return answer;
}

/* The request goes on in the server's thread; its review must not be touched any more. Called with the lock. */
static void let_go(struct cgm_reviews *r, struct question *q, int answer, struct cgm_reviewed *who)
{
	struct cgm_review *next;

	for (struct cgm_review *v = q->waiting; v; v = next) {
		next = v->next;
		if (who)
			v->who = cgm_reviewed_ref(who);
		v->answer = answer;
		r->nr_waiting--;
		MHD_resume_connection(v->rq->connection);
	}
	q->waiting = NULL;
}

/* Called with the lock. */
static void take_out(struct cgm_reviews *r, struct question *q)
{
	struct question **at = &r->first;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	if (r->last == &q->next)
		r->last = at;
	question_free(q);
}

static struct question *next_question(struct cgm_reviews *r)
{
	struct question *q = r->first;

	while (q && q->asked)
		q = q->next;
	return q;
}

static void *run(void *arg)
{
	struct cgm_reviews *r = arg;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&r->lock);
	while (!r->stopping) {
		struct question *q = next_question(r);
		struct cgm_reviewed *who = NULL;
		char fault[CGM_KUBE_FAULT];
		int answer = -EAGAIN;

		if (!q) {
			pthread_cond_wait(&r->wake, &r->lock);
			continue;
		}
		q->asked = true;
		if (cgm_clock_mono_ns() >= r->away_until_ns) {
			pthread_mutex_unlock(&r->lock);
			answer = ask(r, q, &who, fault);
			pthread_mutex_lock(&r->lock);
			if (answer != -ENOMEM && answer != -ECANCELED)
				say_state(r, answer < 0, fault);
		}
		let_go(r, q, answer, who);
		take_out(r, q);
		cgm_reviewed_unref(who);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- start and end ---- */

static int start_threads(struct cgm_reviews *r)
{
	sigset_t all, before;
	int error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (r->nr_threads < NR_THREADS && !error) {
		error = pthread_create(&r->threads[r->nr_threads], NULL, run, r);
		r->nr_threads += !error;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

struct cgm_reviews *cgm_reviews_new(const struct cgm_review_config *config, struct cgm_http_stats *stats)
{
	struct cgm_reviews *r = cgm_calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->config = config;
	r->stats = stats;
	r->last = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	if ((cgm_verdicts_init(&r->tokens) | cgm_verdicts_init(&r->accesses)) < 0 || start_threads(r) < 0) {
		cgm_reviews_free(r);
		return NULL;
	}
	return r;
}

void cgm_reviews_stop(struct cgm_reviews *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	for (struct question *q = r->first; q; q = q->next)
		let_go(r, q, -EBUSY, NULL);
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

void cgm_reviews_free(struct cgm_reviews *r)
{
	if (!r)
		return;
	cgm_reviews_stop(r);
	while (r->nr_threads)
		pthread_join(r->threads[--r->nr_threads], NULL);
	while (r->first)
		take_out(r, r->first);
	cgm_verdicts_done(&r->tokens);
	cgm_verdicts_done(&r->accesses);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- a request ---- */

/* Called with the lock. NULL: it is not being asked. */
static struct question *find_question(const struct cgm_reviews *r, const struct cgm_verdict_key *key)
{
	struct question *q = r->first;

	while (q && memcmp(&q->key, key, sizeof(*key)) != 0)
		q = q->next;
	return q;
}

/* Called with the lock. NULL: there are enough, or out of memory. */
static struct question *add_question(struct cgm_reviews *r, const struct cgm_review *v, const struct cgm_verdict_key *key, const char *token)
{
	size_t token_size = token ? strlen(token) + 1 : 0, path_size = v->access.path ? strlen(v->access.path) + 1 : 0, size = token_size + path_size;
	const struct cgm_client *client = &v->rq->peer->client;
	unsigned of_client = 0;
	struct question *q;

	for (q = r->first; q; q = q->next)
		of_client += cgm_client_eq(&q->client, client);
	q = of_client < MAX_OF_CLIENT ? cgm_calloc(1, sizeof(*q) + size) : NULL;
	if (!q)
		return NULL;
	q->key = *key;
	q->client = *client;
	q->access = v->access;
	q->who = cgm_reviewed_ref(v->who);
	q->size = size;
	if (token_size)
		memcpy(q->token, token, token_size);
	if (path_size)
		q->access.path = memcpy(q->token + token_size, v->access.path, path_size); /* the request may go before the question does */
	*r->last = q;
	r->last = &q->next;
	return q;
}

static enum cgm_auth_verdict busy(struct cgm_reviews *r)
{
	cgm_http_count(&r->stats->rejects[CGM_HTTP_REJECT_REVIEWS]);
	return CGM_AUTH_BUSY;
}

/*
 * What is known: 1 or 0, as it was said, and v->who when it is about a token. Else suspends the request until somebody has asked: -EINPROGRESS; -EBUSY: enough
 * wait. token: NULL when it is known who he is.
 */
static int look_or_wait(struct cgm_reviews *r, struct cgm_review *v, const struct cgm_verdict_key *key, const char *token)
{
	struct cgm_verdicts *known = token ? &r->tokens : &r->accesses;
	struct cgm_reviewed *who = NULL;
	struct question *q = NULL;
	int answer;

	pthread_mutex_lock(&r->lock);
	/* With the lock: an answer is known before its question is taken out. */
	answer = cgm_verdicts_get(known, key, cgm_clock_mono_ns(), &who);
	if (answer < 0 && !r->stopping && r->nr_waiting < MAX_WAITING) {
		q = find_question(r, key);
		q = q ? q : add_question(r, v, key, token);
	}
	if (q) {
		v->of_token = token != NULL;
		v->next = q->waiting;
		q->waiting = v;
		r->nr_waiting++;
		MHD_suspend_connection(v->rq->connection); /* before anybody may resume it */
		pthread_cond_signal(&r->wake);
	}
	pthread_mutex_unlock(&r->lock);
	if (who)
		v->who = who;
	if (answer >= 0)
		cgm_http_count(token ? &r->stats->nr_token_hits : &r->stats->nr_access_hits);
	return answer >= 0 ? answer : q ? -EINPROGRESS : -EBUSY;
}

/* It is known who he is. */
static enum cgm_auth_verdict authorize(struct cgm_reviews *r, struct cgm_review *v)
{
	struct cgm_verdict_key key;
	int answer;

	if (!r->config->authorize)
		return CGM_AUTH_OPEN;
	if (cgm_verdict_key_of_access(&r->accesses, v->who, v->access.verb, v->access.path ? v->access.path : v->access.subresource, &key) < 0)
		return busy(r);
	answer = look_or_wait(r, v, &key, NULL);
	if (answer < 0)
		return answer == -EINPROGRESS ? CGM_AUTH_LATER : busy(r);
	return answer ? CGM_AUTH_OPEN : CGM_AUTH_FORBIDDEN;
}

/* NULL: out of memory. */
static struct cgm_review *review_new(struct cgm_request *rq, struct cgm_access access)
{
	struct cgm_review *v = cgm_calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->rq = rq;
	v->access = access;
	rq->review = v;
	return v;
}

bool cgm_reviews_knows(struct cgm_reviews *r, const char *token)
{
	_cleanup_(cgm_reviewed_freep) struct cgm_reviewed *who = NULL;
	struct cgm_verdict_key key;

	return cgm_verdict_key_of_token(&r->tokens, token, &key) == 0 && cgm_verdicts_get(&r->tokens, &key, cgm_clock_mono_ns(), &who) >= 0;
}

enum cgm_auth_verdict cgm_reviews_token(struct cgm_reviews *r, struct cgm_request *rq, const char *token, struct cgm_access access)
{
	struct cgm_review *v = review_new(rq, access);
	struct cgm_verdict_key key;
	int answer;

	if (!v || cgm_verdict_key_of_token(&r->tokens, token, &key) < 0)
		return busy(r);
	answer = look_or_wait(r, v, &key, token);
	if (answer < 0)
		return answer == -EINPROGRESS ? CGM_AUTH_LATER : busy(r);
	return answer ? authorize(r, v) : CGM_AUTH_FAILED;
}

enum cgm_auth_verdict cgm_reviews_user(struct cgm_reviews *r, struct cgm_request *rq, struct cgm_reviewed *who, struct cgm_access access)
{
	struct cgm_review *v = review_new(rq, access);

	if (!v) {
		cgm_reviewed_unref(who);
		return busy(r);
	}
	v->who = who;
	return authorize(r, v);
}

enum cgm_auth_verdict cgm_reviews_again(struct cgm_reviews *r, struct cgm_request *rq)
{
	struct cgm_review *v = rq->review;

	if (v->answer == -EBUSY || v->answer == -ENOMEM)
		return busy(r);
	if (v->answer < 0) {
		cgm_http_count(&r->stats->rejects[CGM_HTTP_REJECT_API_SERVER]);
		return CGM_AUTH_AWAY;
	}
	if (v->of_token)
		return v->answer ? authorize(r, v) : CGM_AUTH_FAILED;
	return v->answer ? CGM_AUTH_OPEN : CGM_AUTH_FORBIDDEN;
}
