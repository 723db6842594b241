// SPDX-License-Identifier: Apache-2.0
#include "output/auth.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "output/auth_digest.h"
#include "output/auth_header.h"
#include "output/auth_remote.h"
#include "output/known.h"
#include "output/limits.h"
#include "output/passwords.h"
#include "output/request.h"
#include "output/reviews.h"
#include "output/watch.h"

#define MIN_TOKEN 16
#define MAX_CREDENTIALS 1024 /* characters of user and password together */
#define MAX_REALM 128

/* The tokens that are taken, as their digests. */
struct tokens {
	size_t nr, cap;
	uint8_t (*digests)[CGM_SHA256_BYTES];
};

struct cgm_auth {
	struct cgm_auth_config config;
	struct cgm_http_stats *stats;
	struct cgm_watch basic, digest, token; /* path "": not asked for */
	struct cgm_known known;
	struct cgm_throttle throttle;
	struct cgm_passwords *passwords; /* NULL: no basic */
	struct cgm_nonces *nonces; /* NULL: no digest */
	struct cgm_reviews *reviews; /* NULL: not as a kubelet */
	pthread_mutex_t lock; /* of the next two */
	struct cgm_users *digests;
	struct tokens tokens;
};

/* ---- the files ---- */

static int bad_file(const struct cgm_watch *w, const char *flag, unsigned line, const char *fault)
{
	if (!fault)
		cgm_error("--%s: %s: out of memory", flag, w->path);
	else if (line)
		cgm_error("--%s: %s:%u: %s", flag, w->path, line, fault);
	else
		cgm_error("--%s: %s: %s", flag, w->path, fault);
	return fault ? -EINVAL : -ENOMEM;
}

typedef int (*parse_fn)(const struct cgm_auth *a, const char *text, size_t len, void *ret, unsigned *ret_line, const char **ret_fault);

static int read_file(const struct cgm_auth *a, const struct cgm_watch *w, const char *flag, parse_fn parse, void *ret)
{
	const char *fault;
	unsigned line;
	char *text;
	size_t len;
	int r = cgm_watch_read(w, flag, &text, &len);

	if (r < 0)
		return r;
	r = parse(a, text, len, ret, &line, &fault);
	cgm_secret_wipe(text, len);
	free(text);
	return r < 0 ? bad_file(w, flag, line, fault) : 0;
}

static int parse_basic(const struct cgm_auth *a, const char *text, size_t len, void *ret, unsigned *ret_line, const char **ret_fault)
{
	(void)a;
	return cgm_htpasswd_parse(text, len, ret, ret_line, ret_fault);
}

static int read_basic(struct cgm_auth *a)
{
	struct cgm_users *users;
	int r = read_file(a, &a->basic, "http_auth_file", parse_basic, &users);

	if (r == 0)
		cgm_passwords_set(a->passwords, users);
	return r;
}

static int parse_digest(const struct cgm_auth *a, const char *text, size_t len, void *ret, unsigned *ret_line, const char **ret_fault)
{
	return cgm_htdigest_parse(text, len, a->config.digest_realm, ret, ret_line, ret_fault);
}

static int read_digest(struct cgm_auth *a)
{
	struct cgm_users *users, *before;
	int r = read_file(a, &a->digest, "http_digest_file", parse_digest, &users);

	if (r < 0)
		return r;
	pthread_mutex_lock(&a->lock);
	before = a->digests;
	a->digests = users;
	pthread_mutex_unlock(&a->lock);
	cgm_users_unref(before);
	return 0;
}

static int parse_tokens(const struct cgm_auth *a, const char *text, size_t len, void *arg, unsigned *ret_line, const char **ret_fault)
{
	struct tokens *ret = arg;
	struct cgm_str rest = { text, len }, line;

	(void)a;
	*ret_fault = NULL;
	for (*ret_line = 1; cgm_next_line(&rest, &line); ++*ret_line) {
		line = cgm_trim(line);
		if (!line.len || line.p[0] == '#')
			continue;
		if (line.len < MIN_TOKEN)
			*ret_fault = "a token must have at least 16 characters";
		else if (memchr(line.p, ' ', line.len) || memchr(line.p, '\0', line.len))
			*ret_fault = "a token holds no blank and no zero byte";
		if (*ret_fault)
			return -EINVAL;
		if (cgm_grow((void **)&ret->digests, &ret->cap, ret->nr, sizeof(*ret->digests)) < 0 ||
		    cgm_sha256(line.p, line.len, ret->digests[ret->nr]) < 0)
			return -ENOMEM;
		ret->nr++;
	}
	*ret_line = 0;
	*ret_fault = ret->nr ? NULL : "there is no token in it";
	return ret->nr ? 0 : -EINVAL;
}

static int read_tokens(struct cgm_auth *a)
{
	struct tokens tokens = { 0 }, before;
	int r = read_file(a, &a->token, "http_token_file", parse_tokens, &tokens);

	if (r < 0) {
		free(tokens.digests);
		return r;
	}
	pthread_mutex_lock(&a->lock);
	before = a->tokens;
	a->tokens = tokens;
	pthread_mutex_unlock(&a->lock);
	cgm_known_clear(&a->known);
	free(before.digests);
	return 0;
}

/* ---- start and end ---- */

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* A realm goes into a header. */
static int check_realm(const char *flag, const char *realm)
{
	for (const char *p = realm; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || p - realm >= MAX_REALM) {
			cgm_error("--%s: at most %d characters, and no control characters", flag, MAX_REALM);
			return -EINVAL;
		}
	return 0;
}

static bool is_like_kubelet(const struct cgm_review_config *c)
{
	return c->tokens || c->certificates || c->anonymous || c->authorize || *or_empty(c->headers.ca_file);
}

static int open_all(struct cgm_auth *a)
{
	int r = check_realm("http_auth_realm", a->config.basic_realm);

	if (r == 0)
		r = check_realm("http_digest_realm", a->config.digest_realm);
	if (r == 0)
		r = cgm_known_init(&a->known);
	if (r == 0 && *a->basic.path) {
		a->passwords = cgm_passwords_new(&a->known, &a->throttle, a->stats);
		r = a->passwords ? read_basic(a) : -ENOMEM;
	}
	if (r == 0 && *a->digest.path) {
		a->nonces = cgm_nonces_new();
		r = a->nonces ? read_digest(a) : -ENOMEM;
	}
	if (r == 0 && *a->token.path)
		r = read_tokens(a);
	if (r == 0 && is_like_kubelet(&a->config.review)) {
		a->reviews = cgm_reviews_new(&a->config.review, a->stats);
		r = a->reviews ? 0 : -ENOMEM;
	}
	return r;
}

int cgm_auth_open(const struct cgm_auth_config *config, struct cgm_http_stats *stats, struct cgm_auth **ret)
{
	struct cgm_auth *a;
	int r;

	*ret = NULL;
	if (!*or_empty(config->basic_file) && !*or_empty(config->digest_file) && !*or_empty(config->token_file) && !is_like_kubelet(&config->review))
		return 0;
	a = cgm_calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->config.basic_realm = or_empty(config->basic_realm);
	a->config.digest_realm = or_empty(config->digest_realm);
	a->config.except = or_empty(config->except);
	a->config.review = config->review;
	a->stats = stats;
	a->basic.path = or_empty(config->basic_file);
	a->digest.path = or_empty(config->digest_file);
	a->token.path = or_empty(config->token_file);
	pthread_mutex_init(&a->lock, NULL);
	cgm_throttle_init(&a->throttle);
	(void)cgm_watch_changed(&a->basic), (void)cgm_watch_changed(&a->digest), (void)cgm_watch_changed(&a->token);
	r = open_all(a);
	if (r < 0)
		cgm_auth_close(a);
	else
		*ret = a;
	return r;
}

void cgm_auth_stop(struct cgm_auth *a)
{
	if (!a)
		return;
	cgm_passwords_stop(a->passwords);
	cgm_reviews_stop(a->reviews);
}

void cgm_auth_close(struct cgm_auth *a)
{
	if (!a)
		return;
	cgm_passwords_free(a->passwords);
	cgm_reviews_free(a->reviews);
	cgm_nonces_free(a->nonces);
	cgm_users_unref(a->digests);
	free(a->tokens.digests);
	cgm_throttle_done(&a->throttle);
	cgm_known_done(&a->known);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static void reload_one(struct cgm_auth *a, struct cgm_watch *w, bool force, int (*read)(struct cgm_auth *))
{
	if (!*w->path || !(cgm_watch_changed(w) | force))
		return;
	if (read(a) < 0) {
		cgm_http_count(&a->stats->nr_failed_reloads);
		cgm_warning("what was read before from %s stays in use", w->path);
		return;
	}
	cgm_http_count(&a->stats->nr_reloads);
	cgm_info("read anew: %s", w->path);
}

void cgm_auth_reload(struct cgm_auth *a, bool force)
{
	if (!a)
		return;
	reload_one(a, &a->basic, force, read_basic);
	reload_one(a, &a->digest, force, read_digest);
	reload_one(a, &a->token, force, read_tokens);
}

bool cgm_auth_wants_uri(const struct cgm_auth *a)
{
	return a && a->nonces;
}

/* ---- a request ---- */

/* Is path one of the list, or below one? */
static bool is_open(const char *list, const char *path)
{
	struct cgm_str rest = cgm_str(list), p;

	while (cgm_next_field(&rest, ',', &p)) {
		p = cgm_trim(p);
		while (p.len > 1 && p.p[p.len - 1] == '/')
			p.len--;
		if (!p.len || strncmp(path, p.p, p.len) != 0)
			continue;
		if (path[p.len] == '\0' || path[p.len] == '/' || p.len == 1)
			return true;
	}
	return false;
}

/* Is it one of the tokens? All are compared, however it turns out. */
static bool is_token(struct cgm_auth *a, const char *token)
{
	uint8_t digest[CGM_SHA256_BYTES];
	bool found = false;

	if (cgm_sha256(token, strlen(token), digest) < 0)
		return false;
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->tokens.nr; i++)
		found |= cgm_secret_eq(a->tokens.digests[i], digest, sizeof(digest));
	pthread_mutex_unlock(&a->lock);
	return found;
}

static enum cgm_auth_verdict failed(struct cgm_auth *a, const struct cgm_request *rq)
{
	cgm_http_count(&a->stats->nr_login_failures);
	cgm_throttle_failed(&a->throttle, &rq->peer->client, cgm_clock_mono_ns());
	return CGM_AUTH_FAILED;
}

static bool is_limited(struct cgm_auth *a, const struct cgm_request *rq)
{
	if (!cgm_throttle_wait_s(&a->throttle, &rq->peer->client, cgm_clock_mono_ns()))
		return false;
	cgm_http_count(&a->stats->rejects[CGM_HTTP_REJECT_FAILURES]);
	return true;
}

static enum cgm_auth_verdict check_basic(struct cgm_auth *a, struct cgm_request *rq, const char *text)
{
	char buf[MAX_CREDENTIALS];
	const char *user, *password;
	struct cgm_known_key key;
	enum cgm_auth_verdict v;

	if (cgm_auth_basic(text, buf, sizeof(buf), &user, &password) < 0)
		return is_limited(a, rq) ? CGM_AUTH_LIMITED : failed(a, rq);
	if (cgm_known_key(&a->known, user, password, &key) < 0)
		v = CGM_AUTH_BUSY;
	else if (cgm_known_has(&a->known, &key, cgm_clock_mono_ns()))
		v = CGM_AUTH_OPEN;
	else if (is_limited(a, rq))
		v = CGM_AUTH_LIMITED;
	else
		v = cgm_passwords_check(a->passwords, rq, user, password, &key);
	if (v == CGM_AUTH_BUSY)
		cgm_http_count(&a->stats->rejects[CGM_HTTP_REJECT_PASSWORDS]);
	cgm_secret_wipe(buf, sizeof(buf));
	return v;
}

/* What the request is to Kubernetes: --prometheus_endpoint is its /metrics. */
static struct cgm_access access_of(const struct cgm_request *rq, const char *method)
{
	if (rq->http->config.served)
		return cgm_access_of_path(method, rq->path);
	return cgm_access_of(method, rq->route && rq->route->handler == cgm_handle_metrics ? rq->route->pattern : rq->path);
}

static enum cgm_auth_verdict check_user(struct cgm_auth *a, struct cgm_request *rq, struct cgm_kube_user *user, const char *group, const char *method)
{
	struct cgm_reviewed *who = cgm_reviewed_new(user, group);

	return who ? cgm_reviews_user(a->reviews, rq, who, access_of(rq, method)) : CGM_AUTH_BUSY;
}

/* MISSING: there is no certificate that says who he is. */
static enum cgm_auth_verdict check_certificate(struct cgm_auth *a, struct cgm_request *rq, const char *method)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	struct cgm_kube_user user = { 0 };
	int r;

	if (!a->config.review.certificates || !info)
		return CGM_AUTH_MISSING;
	if (*or_empty(a->config.review.headers.ca_file) && !cgm_tls_is_client(rq->http->tls, info->tls_session))
		return CGM_AUTH_MISSING; /* a proxy's: it says who asks, and is nobody itself */
	r = cgm_tls_user(info->tls_session, &user);
	if (r > 0)
		return check_user(a, rq, &user, CGM_GROUP_AUTHENTICATED, method);
	return r == 0 ? CGM_AUTH_MISSING : r == -ENOMEM ? CGM_AUTH_BUSY : CGM_AUTH_FAILED;
}

/* MISSING: no proxy says who asks. */
static enum cgm_auth_verdict check_remote(struct cgm_auth *a, struct cgm_request *rq, const char *method)
{
	struct cgm_kube_user user = { 0 };
	int r = cgm_auth_remote(&a->config.review.headers, rq, &user);

	if (r > 0)
		return check_user(a, rq, &user, CGM_GROUP_AUTHENTICATED, method);
	return r == 0 ? CGM_AUTH_MISSING : r == -ENOMEM ? CGM_AUTH_BUSY : CGM_AUTH_FAILED;
}

static enum cgm_auth_verdict check_anonymous(struct cgm_auth *a, struct cgm_request *rq, const char *method)
{
	struct cgm_kube_user user = { .name = cgm_strdup(CGM_USER_ANONYMOUS) };

	return user.name ? check_user(a, rq, &user, CGM_GROUP_ANONYMOUS, method) : CGM_AUTH_BUSY;
}

/* What a token may be made of (RFC 6750 and all else that can be seen): what is none is not worth a question. */
static bool may_be_token(const char *token)
{
	const char *p = token;

	while (*p > ' ' && *p < 0x7f)
		p++;
	return *token && !*p;
}

/* token: NULL: he brings none. */
static enum cgm_auth_verdict check_as_kubelet(struct cgm_auth *a, struct cgm_request *rq, const char *token, const char *method)
{
	enum cgm_auth_verdict v = check_remote(a, rq, method);

	if (v == CGM_AUTH_MISSING)
		v = check_certificate(a, rq, method);
	if (v == CGM_AUTH_MISSING && token && a->config.review.tokens && may_be_token(token))
		v = cgm_reviews_knows(a->reviews, token) || !is_limited(a, rq) ? cgm_reviews_token(a->reviews, rq, token, access_of(rq, method)) :
										  CGM_AUTH_LIMITED;
	else if (v == CGM_AUTH_MISSING && token)
		v = is_limited(a, rq) ? CGM_AUTH_LIMITED : CGM_AUTH_FAILED;
	else if (v == CGM_AUTH_MISSING && a->config.review.anonymous)
		v = check_anonymous(a, rq, method);
	return v == CGM_AUTH_FAILED ? failed(a, rq) : v;
}

static enum cgm_auth_verdict check_token(struct cgm_auth *a, struct cgm_request *rq, const char *token, const char *method)
{
	uint64_t generation = cgm_known_generation(&a->known), now = cgm_clock_mono_ns();
	struct cgm_known_key key;

	if (cgm_known_key(&a->known, "", token, &key) < 0)
		return CGM_AUTH_BUSY;
	if (cgm_known_has(&a->known, &key, now))
		return CGM_AUTH_OPEN;
	if (!a->reviews && is_limited(a, rq))
		return CGM_AUTH_LIMITED;
	if (!is_token(a, token))
		return a->reviews ? check_as_kubelet(a, rq, token, method) : failed(a, rq);
	if (a->reviews && is_limited(a, rq))
		return CGM_AUTH_LIMITED;
	cgm_known_add(&a->known, &key, generation, now);
	return CGM_AUTH_OPEN;
}

static enum cgm_auth_verdict check_digest(struct cgm_auth *a, struct cgm_request *rq, const char *text, const char *method)
{
	enum cgm_digest_result result;
	struct cgm_users *users;

	if (is_limited(a, rq))
		return CGM_AUTH_LIMITED;
	pthread_mutex_lock(&a->lock);
	users = cgm_users_ref(a->digests);
	pthread_mutex_unlock(&a->lock);
	result = cgm_digest_check(users, a->nonces, a->config.digest_realm, text, method, rq->raw_uri ? rq->raw_uri : "",
				  cgm_clock_mono_ns());
	cgm_users_unref(users);
	return result == CGM_DIGEST_RIGHT ? CGM_AUTH_OPEN : result == CGM_DIGEST_STALE ? CGM_AUTH_STALE : failed(a, rq);
}

enum cgm_auth_verdict cgm_auth_check(struct cgm_auth *a, struct cgm_request *rq, const char *method)
{
	enum cgm_auth_verdict v;
	const char *text;

	if (!a || is_open(a->config.except, rq->path) || (rq->http->config.served && cgm_served_is_open(rq->path)))
		return CGM_AUTH_OPEN;
	if (rq->login)
		return cgm_login_verdict(rq->login);
	if (rq->review) {
		v = cgm_reviews_again(a->reviews, rq);
		return v == CGM_AUTH_FAILED ? failed(a, rq) : v;
	}
	switch (cgm_auth_scheme(cgm_request_header(rq, "Authorization"), &text)) {
	case CGM_AUTH_NONE:
		return a->reviews ? check_as_kubelet(a, rq, NULL, method) : CGM_AUTH_MISSING;
	case CGM_AUTH_BASIC:
		if (a->passwords)
			return check_basic(a, rq, text);
		break;
	case CGM_AUTH_DIGEST:
		if (a->nonces)
			return check_digest(a, rq, text, method);
		break;
	case CGM_AUTH_BEARER:
		if (*a->token.path)
			return check_token(a, rq, text, method);
		if (a->reviews)
			return check_as_kubelet(a, rq, text, method);
		break;
	case CGM_AUTH_OTHER:
		break;
	}
	return is_limited(a, rq) ? CGM_AUTH_LIMITED : failed(a, rq);
}

void cgm_auth_forget(struct cgm_request *rq)
{
	cgm_login_free(rq->login);
	rq->login = NULL;
	cgm_review_free(rq->review);
	rq->review = NULL;
}

unsigned cgm_auth_wait_s(struct cgm_auth *a, const struct cgm_client *c)
{
	return MAX(cgm_throttle_wait_s(&a->throttle, c, cgm_clock_mono_ns()), 1U);
}

void cgm_auth_challenges(struct cgm_auth *a, bool stale, void (*put)(void *arg, const char *value), void *arg)
{
	char realm[2 * MAX_REALM + 3], value[2 * MAX_REALM + 200], nonce[CGM_NONCE_CHARS + 1];
	bool digest = a->nonces && cgm_nonce_make(a->nonces, cgm_clock_mono_ns(), nonce) == 0;

	if (digest && cgm_auth_quote(a->config.digest_realm, realm, sizeof(realm))) {
		snprintf(value, sizeof(value), "Digest realm=%s, qop=\"auth\", nonce=\"%s\", algorithm=MD5%s", realm, nonce,
			 stale ? ", stale=true" : "");
		put(arg, value);
	}
	if (a->passwords && cgm_auth_quote(a->config.basic_realm, realm, sizeof(realm))) {
		snprintf(value, sizeof(value), "Basic realm=%s, charset=\"UTF-8\"", realm);
		put(arg, value);
	}
	if ((*a->token.path || a->config.review.tokens) && cgm_auth_quote(a->config.basic_realm, realm, sizeof(realm))) {
		snprintf(value, sizeof(value), "Bearer realm=%s", realm);
		put(arg, value);
	}
}
