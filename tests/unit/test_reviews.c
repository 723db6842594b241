// SPDX-License-Identifier: Apache-2.0
/* Who may ask, by the word of an API server that is made up, slow or away: as clients see it. */
#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "output/reviews.h"

#define BEARER(token) "Authorization: Bearer " token "\r\n"

/* ---- an API server ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t go;
	bool hold, away; /* answers wait; there are none */
	unsigned nr_tokens, nr_accesses, nr_held;
	char last_access[256]; /* "user(group,…) verb resource/subresource name" */
} api = { .lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER };

/* Called with the lock. */
static void hold_on(void)
{
	api.nr_held++;
	while (api.hold)
		pthread_cond_wait(&api.go, &api.lock);
	api.nr_held--;
}

static void set_api(bool hold, bool away)
{
	pthread_mutex_lock(&api.lock);
	api.hold = hold;
	api.away = away;
	pthread_cond_broadcast(&api.go);
	pthread_mutex_unlock(&api.lock);
}

/* Who bears "a-NAME" is NAME, "nameless" nobody by name. */
static int review_token(void *arg, const char *token, struct cgm_kube_user *ret, char *fault)
{
	int r;

	assert_ptr_equal(arg, &api);
	pthread_mutex_lock(&api.lock);
	api.nr_tokens++;
	hold_on();
	r = api.away ? -ECONNREFUSED : strncmp(token, "a-", 2) == 0 || strcmp(token, "nameless") == 0;
	pthread_mutex_unlock(&api.lock);
	if (r < 0)
		snprintf(fault, CGM_KUBE_FAULT, "refused");
	if (r > 0 && token[0] == 'a')
		*ret = (struct cgm_kube_user){ .name = strdup(token + 2), .uid = strdup("7") };
	return r;
}

/* joe may read metrics; admin may all, and so may the authority's certificates. */
static int review_access(void *arg, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault)
{
	char groups[128] = "";
	int r;

	(void)arg;
	pthread_mutex_lock(&api.lock);
	api.nr_accesses++;
	hold_on();
	for (size_t i = 0; i < u->nr_groups; i++)
		snprintf(groups + strlen(groups), sizeof(groups) - strlen(groups), "%s%s", i ? "," : "", u->groups[i]);
	snprintf(api.last_access, sizeof(api.last_access), "%s(%s) %s %s/%s %s", u->name, groups, a->verb, a->resource, a->subresource, a->name);
	r = api.away ? -ETIMEDOUT : strcmp(u->name, "admin") == 0 || (strcmp(a->verb, "get") == 0 && strcmp(a->subresource, "metrics") == 0);
	pthread_mutex_unlock(&api.lock);
	if (r < 0)
		snprintf(fault, CGM_KUBE_FAULT, "timed out");
	return r;
}

static struct cgm_http_config as_kubelet(void)
{
	struct cgm_review_config review = { .reviewer = { review_token, review_access, &api }, .tokens = true, .authorize = true,
					    .token_ns = 120 * CGM_NSEC_PER_SEC, .allowed_ns = 300 * CGM_NSEC_PER_SEC,
					    .denied_ns = 30 * CGM_NSEC_PER_SEC, .node = "node-1" };

	api.nr_tokens = api.nr_accesses = 0;
	set_api(false, false);
	return (struct cgm_http_config){ .auth = { .except = "/healthz", .review = review } };
}

static bool has(const struct cgm_buf *answer, const char *text)
{
	return strstr(answer->p, text) != NULL;
}

static void test_reviews__who_may_what(void **state)
{
	struct cgm_http_config config = as_kubelet();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct cgm_http_stats stats;
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-joe"), &answer), 200);
	assert_string_equal(api.last_access, "joe(system:authenticated) get nodes/metrics node-1");
	assert_int_equal(server_get(&s, 1, "/metrics/resource", BEARER("a-joe"), &answer), 200); /* the same access */
	assert_int_equal(api.nr_tokens, 1);
	assert_int_equal(api.nr_accesses, 1);
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("a-joe"), &answer), 403);
	assert_true(has(&answer, "Forbidden (user=joe, verb=get, resource=nodes, subresource=stats)"));
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("a-joe"), &answer), 403);
	assert_int_equal(api.nr_accesses, 2);
	assert_int_equal(server_get(&s, 1, "/api/v1.3/machine", BEARER("a-joe"), &answer), 403);
	assert_string_equal(api.last_access, "joe(system:authenticated) get nodes/proxy node-1");
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("a-admin"), &answer), 200);
	assert_int_equal(server_get(&s, 1, "/nothing", BEARER("a-admin"), &answer), 404);
	assert_int_equal(server_get(&s, 1, "/nothing", BEARER("a-joe"), &answer), 403);
	/* Nobody's. */
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("wrong"), &answer), 401);
	assert_true(has(&answer, "WWW-Authenticate: Bearer realm="));
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("wrong"), &answer), 401);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("nameless"), &answer), 401);
	assert_int_equal(api.nr_tokens, 4);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-\xff\xfe"), &answer), 401); /* is no token, and nobody is asked */
	assert_int_equal(api.nr_tokens, 4);
	assert_int_equal(server_get(&s, 1, "/metrics", "", &answer), 401);
	assert_int_equal(server_get(&s, 1, "/metrics", "Authorization: Basic YWxpY2U6YnBhc3M=\r\n", &answer), 401);
	assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
	stats = server_stats(&s);
	assert_int_equal(stats.nr_login_failures, 5); /* not who sends none, nor who may not */
	assert_int_equal(stats.reviews[CGM_HTTP_REVIEW_TOKEN_YES], 2);
	assert_int_equal(stats.reviews[CGM_HTTP_REVIEW_TOKEN_NO], 2);
	assert_int_equal(stats.reviews[CGM_HTTP_REVIEW_ACCESS_YES], 3);
	assert_int_equal(stats.reviews[CGM_HTTP_REVIEW_ACCESS_NO], 2);
	assert_int_equal(stats.reviews[CGM_HTTP_REVIEW_TOKEN_FAILED] + stats.reviews[CGM_HTTP_REVIEW_ACCESS_FAILED], 0);
	assert_int_equal(stats.nr_token_hits, 7);
	assert_int_equal(stats.nr_access_hits, 3);
	server_stop(&s);
}

static void test_reviews__methods(void **state)
{
	struct cgm_http_config config = as_kubelet();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;
	int fd;

	(void)state;
	config.prometheus_endpoint = "/own";
	config.url_base_prefix = "/pre";
	server_start(&s, 1, &config);
	fd = server_connect(&s, 1);
	server_send(fd, "POST /pre/stats/container/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n" BEARER("a-admin") "\r\n{}");
	assert_true(server_read(fd, &answer));
	close(fd);
	assert_true(has(&answer, " 200 "));
	assert_string_equal(api.last_access, "admin(system:authenticated) create nodes/stats node-1");
	assert_int_equal(server_get(&s, 1, "/pre/own", BEARER("a-joe"), &answer), 200); /* --prometheus_endpoint is its /metrics */
	server_stop(&s);
}

/* Who brings nothing is somebody, too; who brings a wrong token is not. */
static void test_reviews__anonymous(void **state)
{
	struct cgm_http_config config = as_kubelet();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;

	(void)state;
	config.auth.review.anonymous = true;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/metrics", "", &answer), 200);
	assert_string_equal(api.last_access, "system:anonymous(system:unauthenticated) get nodes/metrics node-1");
	assert_int_equal(server_get(&s, 1, "/stats/summary", "", &answer), 403);
	assert_true(has(&answer, "user=system:anonymous"));
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("wrong"), &answer), 401);
	server_stop(&s);
	/* With AlwaysAllow whoever is somebody may do everything. */
	config.auth.review.authorize = false;
	api.nr_accesses = 0;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/stats/summary", "", &answer), 200);
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("a-joe"), &answer), 200);
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("wrong"), &answer), 401);
	assert_int_equal(api.nr_accesses, 0);
	server_stop(&s);
	/* Tokens are nobody's when nobody is asked. */
	config.auth.review.tokens = false;
	api.nr_tokens = 0;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-joe"), &answer), 401);
	assert_int_equal(api.nr_tokens, 0);
	server_stop(&s);
}

/* Tokens of the file open all, and are not shown to anybody. */
static void test_reviews__beside_a_file_of_tokens(void **state)
{
	static char path[] = "/tmp/cgmtest-reviews-XXXXXX";
	struct cgm_http_config config = as_kubelet();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	int fd = mkstemp(path);
	struct server s;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0123456789abcdef\n", 17), 17);
	close(fd);
	config.auth.token_file = path;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("0123456789abcdef"), &answer), 200);
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("0123456789abcdef"), &answer), 200);
	assert_int_equal(api.nr_tokens, 0);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-joe"), &answer), 200);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("wrong"), &answer), 401);
	server_stop(&s);
	unlink(path);
}

/* Guessing is slowed down; who is known goes on. */
static void test_reviews__guesses_are_limited(void **state)
{
	struct cgm_http_config config = as_kubelet();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-joe"), &answer), 200);
	for (unsigned i = 0; i < 10; i++) {
		char header[64];

		snprintf(header, sizeof(header), BEARER("guess%u"), i);
		assert_int_equal(server_get(&s, 1, "/metrics", header, &answer), 401);
	}
	assert_int_equal(api.nr_tokens, 11);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("one-more"), &answer), 429);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-admin"), &answer), 429);
	assert_int_equal(api.nr_tokens, 11);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-joe"), &answer), 200);
	assert_int_equal(server_get(&s, 2, "/metrics", BEARER("a-admin"), &answer), 200);
	server_stop(&s);
}

/* ---- a slow one ---- */

struct client {
	const struct server *s;
	unsigned from;
	char headers[64];
	const char *path;
	unsigned status;
	pthread_t thread;
};

static void *run_client(void *arg)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct client *c = arg;

	c->status = server_get(c->s, c->from, c->path, c->headers, &answer);
	return NULL;
}

static void client_start(struct client *c, const struct server *s, unsigned from, const char *path, const char *token)
{
	*c = (struct client){ .s = s, .from = from, .path = path };
	snprintf(c->headers, sizeof(c->headers), BEARER("%s"), token);
	assert_int_equal(pthread_create(&c->thread, NULL, run_client, c), 0);
}

static unsigned client_end(struct client *c)
{
	pthread_join(c->thread, NULL);
	return c->status;
}

static unsigned nr_held(void)
{
	unsigned nr;

	pthread_mutex_lock(&api.lock);
	nr = api.nr_held;
	pthread_mutex_unlock(&api.lock);
	return nr;
}

/* Many come at once with the same token: one asks, and nobody is sent away. Meanwhile others are served. */
static void test_reviews__the_same_is_asked_once(void **state)
{
	struct cgm_http_config config = as_kubelet();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct client clients[40];
	struct server s;
	uint64_t began;

	(void)state;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-admin"), &answer), 200);
	set_api(true, false);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		client_start(&clients[i], &s, 1, i % 2 ? "/metrics" : "/metrics/cadvisor", "a-joe");
	server_wait(nr_held() == 1);
	began = cgm_clock_mono_ns();
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 200);
		assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-admin"), &answer), 200); /* what is known */
	}
	assert_true(cgm_clock_mono_ns() - began < 2 * CGM_NSEC_PER_SEC);
	set_api(false, false);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		assert_int_equal(client_end(&clients[i]), 200);
	assert_int_equal(api.nr_tokens, 2);
	assert_int_equal(api.nr_accesses, 2);
	server_stop(&s);
}

/* At most four are asked at once, and at most eight different ones wait of a client. */
static void test_reviews__bounds(void **state)
{
	struct cgm_http_config config = as_kubelet();
	struct client clients[14], other;
	unsigned nr_busy = 0, nr_good = 0;
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	set_api(true, false);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		char token[16];

		snprintf(token, sizeof(token), "a-admin%zu", i);
		client_start(&clients[i], &s, 1, "/metrics", token);
	}
	server_wait(server_stats(&s).rejects[CGM_HTTP_REJECT_REVIEWS] == 6);
	server_wait(nr_held() >= 4);
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	assert_int_equal(nr_held(), 4);
	client_start(&other, &s, 2, "/metrics", "a-joe"); /* another client waits, but is not sent away */
	set_api(false, false);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		unsigned status = client_end(&clients[i]);

		nr_busy += status == 503;
		nr_good += status == 200;
	}
	assert_int_equal(nr_busy, 6);
	assert_int_equal(nr_good, 8);
	assert_int_equal(client_end(&other), 200);
	server_stop(&s);
}

static void test_reviews__stop_while_they_wait(void **state)
{
	struct cgm_http_config config = as_kubelet();
	struct client clients[6];
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	set_api(true, false);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		client_start(&clients[i], &s, (unsigned)i + 1, "/metrics", i % 2 ? "a-joe" : "a-admin");
	server_wait(nr_held() == 2);
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	set_api(false, true); /* as when its connections are cut */
	server_stop(&s);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		unsigned status = client_end(&clients[i]);

		assert_true(status == 0 || status == 503);
	}
}

/* ---- one that is away ---- */

static void test_reviews__away(void **state)
{
	struct cgm_http_config config = as_kubelet();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct cgm_http_stats stats;
	struct server s;

	(void)state;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-joe"), &answer), 200);
	set_api(false, true);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-admin"), &answer), 503);
	assert_true(has(&answer, "Retry-After: ") && has(&answer, "the API server cannot be asked"));
	assert_int_equal(api.nr_tokens, 2);
	/* For a second nobody waits for it; what is known stays known. */
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-other"), &answer), 503);
	assert_int_equal(api.nr_tokens, 2);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-joe"), &answer), 200);
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("a-joe"), &answer), 503); /* an access that is not known */
	stats = server_stats(&s);
	assert_int_equal(stats.nr_login_failures, 0);
	assert_int_equal(stats.reviews[CGM_HTTP_REVIEW_TOKEN_FAILED], 1);
	assert_int_equal(stats.rejects[CGM_HTTP_REJECT_API_SERVER], 3);
	set_api(false, false);
	server_wait(server_get(&s, 1, "/metrics", BEARER("a-admin"), &answer) == 200);
	server_stop(&s);
}

static void test_reviews__answers_end(void **state)
{
	struct cgm_http_config config = as_kubelet();
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct server s;

	(void)state;
	config.auth.review.token_ns = 300 * CGM_NSEC_PER_MSEC;
	config.auth.review.denied_ns = 0;
	server_start(&s, 1, &config);
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("a-joe"), &answer), 403);
	assert_int_equal(server_get(&s, 1, "/stats/summary", BEARER("a-joe"), &answer), 403);
	assert_int_equal(api.nr_accesses, 2); /* 0: not remembered */
	assert_int_equal(api.nr_tokens, 1);
	nanosleep(&(struct timespec){ .tv_nsec = 310000000 }, NULL);
	assert_int_equal(server_get(&s, 1, "/metrics", BEARER("a-joe"), &answer), 200);
	assert_int_equal(api.nr_tokens, 2);
	server_stop(&s);
}

/* Whatever fails: the server does not start, or nobody gets in who may not. */
static void test_reviews__every_allocation_fails(void **state)
{
	static const char *const logins[] = { BEARER("a-joe"), BEARER("wrong"), "" };
	unsigned nr_good = 0, nr_not = 0;

	(void)state;
	for (unsigned long n = 1; n <= 90; n++) {
		struct cgm_http_config config = as_kubelet();
		_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
		unsigned status;
		struct server s;
		int fd;

		cgm_buf_reserve(&answer, 1000000);
		config.auth.review.anonymous = true;
		server_start(&s, 1, &config);
		fd = server_connect(&s, 1);
		cgm_mem_fail_at(n / 3 + 1);
		server_send(fd, "GET /stats/summary HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
		server_send(fd, logins[n % 3]);
		server_send(fd, "\r\n");
		(void)server_read(fd, &answer);
		cgm_mem_fail_at(0);
		close(fd);
		status = answer.len > 12 ? (unsigned)strtoul(answer.p + 9, NULL, 10) : 0;
		assert_true(status == 0 || status == 401 || status == 403 || status == 500 || status == 503);
		nr_good += status == 401 || status == 403;
		nr_not += status == 503;
		server_stop(&s);
	}
	assert_true(nr_good > 20 && nr_not > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reviews__who_may_what),
		cmocka_unit_test(test_reviews__methods),
		cmocka_unit_test(test_reviews__anonymous),
		cmocka_unit_test(test_reviews__beside_a_file_of_tokens),
		cmocka_unit_test(test_reviews__guesses_are_limited),
		cmocka_unit_test(test_reviews__the_same_is_asked_once),
		cmocka_unit_test(test_reviews__bounds),
		cmocka_unit_test(test_reviews__stop_while_they_wait),
		cmocka_unit_test(test_reviews__away),
		cmocka_unit_test(test_reviews__answers_end),
		cmocka_unit_test(test_reviews__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("reviews", tests, NULL, NULL);
}
