// SPDX-License-Identifier: Apache-2.0
#include "kube_server.h"

#include <errno.h>

#include "base/mem.h"
#include "cluster/leader.h"
#include "cluster/lease.h"

#define PATH "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
#define LEASE(version, holder, time) \
	"{\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\",\"namespace\":\"ns\",\"labels\":{\"kept\":\"yes\"},\"resourceVersion\":\"" version \
	"\"},\"spec\":{\"holderIdentity\":\"" holder "\",\"leaseDurationSeconds\":1,\"renewTime\":\"" time "\",\"leaseTransitions\":4}}"

struct bench {
	struct kube_server server;
	struct cgm_kube *kube;
	struct cgm_leader *leader;
	unsigned nr_begins, nr_ends; /* atomic */
};

static void on_change(void *arg, bool leads)
{
	struct bench *b = arg;

	__atomic_add_fetch(leads ? &b->nr_begins : &b->nr_ends, 1, __ATOMIC_SEQ_CST);
}

static unsigned begins(struct bench *b)
{
	return __atomic_load_n(&b->nr_begins, __ATOMIC_SEQ_CST);
}

static unsigned ends(struct bench *b)
{
	return __atomic_load_n(&b->nr_ends, __ATOMIC_SEQ_CST);
}

static void rule(struct bench *b, const char *match, unsigned times, unsigned status, const char *body)
{
	kube_rule(&b->server, (struct kube_rule){ .match = match, .times = times, .status = status, .body = body });
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct cgm_kube_config config = { .timeout_ns = 30 * CGM_NSEC_PER_SEC };
	char fault[CGM_KUBE_FAULT];

	kube_start(&b->server);
	config.url = b->server.url;
	assert_int_equal(cgm_kube_open(&config, &b->kube, fault), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	cgm_leader_stop(b->leader);
	cgm_kube_close(b->kube);
	kube_stop(&b->server);
	free(b);
	return 0;
}

static void start(struct bench *b, uint64_t renew_ns)
{
	struct cgm_leader_config config = { .kube = b->kube, .lease_namespace = "ns", .lease = "l", .identity = "we", .lease_ns = 1000 * CGM_NSEC_PER_MSEC,
					    .renew_ns = renew_ns, .retry_ns = 20 * CGM_NSEC_PER_MSEC, .on_change = on_change, .arg = b };

	assert_int_equal(cgm_leader_start(&config, &b->leader), 0);
}

static const char *body_of(struct bench *b, const char *match)
{
	const char *body = NULL;

	pthread_mutex_lock(&b->server.lock);
	for (size_t i = 0; i < b->server.nr_requests && !body; i++)
		if (strstr(b->server.requests[i].line, match))
			body = b->server.requests[i].body;
	pthread_mutex_unlock(&b->server.lock);
	assert_non_null(body);
	return body;
}

/* There is none: it is made, renewed, and given back at the end. */
static void test_leader__makes_the_lease(void **state)
{
	struct bench *b = *state;
	struct cgm_leader_state s;

	rule(b, "GET " PATH "/l", 1, 404, "{}");
	rule(b, "POST " PATH, 0, 201, LEASE("1", "we", "a"));
	rule(b, "GET " PATH "/l", 0, 200, LEASE("1", "we", "a"));
	rule(b, "PUT " PATH "/l", 0, 200, LEASE("2", "we", "b"));
	start(b, 60 * CGM_NSEC_PER_SEC); /* a machine that stands still a while loses nothing */
	kube_wait(begins(b) == 1);
	kube_wait(kube_nr_requests(&b->server, "PUT ") >= 2);
	s = cgm_leader_state(b->leader);
	assert_true(s.leads);
	assert_string_equal(s.holder, "we");
	assert_string_equal(s.fault, "");
	assert_non_null(strstr(body_of(b, "POST "), "\"holderIdentity\":\"we\""));
	assert_non_null(strstr(body_of(b, "POST "), "\"acquireTime\":\""));
	assert_non_null(strstr(body_of(b, "PUT "), "\"labels\":{\"kept\":\"yes\"}"));
	assert_non_null(strstr(body_of(b, "PUT "), "\"resourceVersion\":\"1\""));
	assert_int_equal(ends(b), 0);
	cgm_leader_stop(b->leader);
	b->leader = NULL;
	assert_int_equal(ends(b), 1);
	assert_non_null(strstr(b->server.requests[b->server.nr_requests - 1].line, "PUT "));
	assert_non_null(strstr(b->server.requests[b->server.nr_requests - 1].body, "\"holderIdentity\":\"\""));
}

/* Another holds it, whose clock is a century ahead: what counts is that it does not change any more. */
static void test_leader__takes_over(void **state)
{
	struct bench *b = *state;
	uint64_t began = cgm_clock_mono_ns();
	struct cgm_leader_state s;

	rule(b, "GET " PATH "/l", 3, 200, LEASE("1", "other", "2126-01-01T00:00:00.000000Z"));
	rule(b, "GET " PATH "/l", 0, 200, LEASE("2", "other", "2126-01-01T00:00:10.000000Z"));
	rule(b, "PUT " PATH "/l", 0, 200, LEASE("3", "we", "b"));
	start(b, 500 * CGM_NSEC_PER_MSEC);
	kube_wait(kube_nr_requests(&b->server, "GET ") >= 5);
	s = cgm_leader_state(b->leader);
	if (!kube_nr_requests(&b->server, "PUT ")) /* else we came too late to see it */
		assert_string_equal(s.holder, "other");
	kube_wait(begins(b) >= 1);
	assert_true(cgm_clock_mono_ns() - began >= CGM_NSEC_PER_SEC); /* its duration after the last change */
	assert_non_null(strstr(body_of(b, "PUT "), "\"leaseTransitions\":5"));
}

/* Another is faster with the same version. */
static void test_leader__conflict(void **state)
{
	struct bench *b = *state;

	rule(b, "GET " PATH "/l", 1, 200, LEASE("1", "", "a"));
	rule(b, "PUT " PATH "/l", 1, 409, "{}");
	rule(b, "GET " PATH "/l", 0, 200, LEASE("2", "other", "b"));
	start(b, 500 * CGM_NSEC_PER_MSEC);
	kube_wait(kube_nr_requests(&b->server, "GET ") >= 4);
	assert_int_equal(begins(b), 0);
	assert_int_equal(kube_nr_requests(&b->server, "PUT "), 1);
	assert_false(cgm_leader_state(b->leader).leads);
}

/* The API server is away: a leader stands back before another may begin, and comes back. */
static void test_leader__stands_back(void **state)
{
	struct bench *b = *state;

	rule(b, "GET " PATH "/l", 2, 200, LEASE("1", "we", "a"));
	rule(b, "PUT " PATH "/l", 2, 200, LEASE("1", "we", "a"));
	rule(b, "GET " PATH "/l", 0, 500, "{}");
	start(b, 100 * CGM_NSEC_PER_MSEC);
	kube_wait(begins(b) >= 1);
	kube_wait(ends(b) >= 1);
	kube_wait(strstr(cgm_leader_state(b->leader).fault, "500"));
	pthread_mutex_lock(&b->server.lock);
	b->server.rules[2] = (struct kube_rule){ .match = "GET " PATH "/l", .status = 200, .body = LEASE("1", "we", "a") };
	pthread_mutex_unlock(&b->server.lock);
	rule(b, "PUT " PATH "/l", 0, 200, LEASE("1", "we", "a"));
	kube_wait(begins(b) >= 2);
	kube_wait(!*cgm_leader_state(b->leader).fault);
	assert_true(cgm_leader_state(b->leader).nr_changes >= 3);
}

/* An API server that says nothing more: it is over when it has to be, not when that request is. */
static void test_leader__stands_back_before_it_asks(void **state)
{
	struct bench *b = *state;
	struct cgm_leader_config config = { .kube = b->kube, .lease_namespace = "ns", .lease = "l", .identity = "we", .lease_ns = 1000 * CGM_NSEC_PER_MSEC,
					    .renew_ns = 100 * CGM_NSEC_PER_MSEC, .retry_ns = 200 * CGM_NSEC_PER_MSEC, .on_change = on_change, .arg = b };

	rule(b, "GET " PATH "/l", 1, 200, LEASE("1", "", "a"));
	rule(b, "PUT " PATH "/l", 1, 200, LEASE("1", "we", "a"));
	kube_rule(&b->server, (struct kube_rule){ .match = "GET " PATH "/l", .how = KUBE_SILENT });
	assert_int_equal(cgm_leader_start(&config, &b->leader), 0);
	kube_wait(ends(b) == 1);
	assert_string_equal(cgm_leader_state(b->leader).fault, "");
	assert_int_equal(begins(b), 1);
	cgm_kube_cancel(b->kube);
}

/* Another took it in spite of us, while we were asleep perhaps. */
static void test_leader__loses_it(void **state)
{
	struct bench *b = *state;

	rule(b, "GET " PATH "/l", 1, 200, LEASE("1", "we", "a"));
	rule(b, "PUT " PATH "/l", 1, 200, LEASE("1", "we", "a"));
	rule(b, "GET " PATH "/l", 0, 200, LEASE("2", "other", "b"));
	start(b, 500 * CGM_NSEC_PER_MSEC);
	kube_wait(begins(b) >= 1);
	kube_wait(ends(b) >= 1);
}

static void test_leader__denied(void **state)
{
	struct bench *b = *state;

	rule(b, "GET " PATH "/l", 0, 403, "{}");
	start(b, 500 * CGM_NSEC_PER_MSEC);
	kube_wait(strstr(cgm_leader_state(b->leader).fault, "403 (get, create and update of leases are wanted)"));
	assert_int_equal(begins(b), 0);
}

static void test_lease__nonsense(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "{}", "{\"metadata\":3}", "\"x\"" };
	static const char odd[] = "{\"metadata\":{},\"spec\":{\"leaseDurationSeconds\":-4,\"holderIdentity\":7}}";
	static const char endless[] = "{\"metadata\":{},\"spec\":{\"leaseDurationSeconds\":18446744074}}"; /* 2^64 ns, and a little */
	struct cgm_lease lease;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(cgm_lease_read(texts[i], strlen(texts[i]), &lease), -EINVAL);
	assert_int_equal(cgm_lease_read(odd, strlen(odd), &lease), 0);
	assert_string_equal(lease.holder, "");
	assert_int_equal(lease.duration_s, 0);
	/* Times of a size that nanoseconds have no room for: as long as the API server's own type can say. */
	assert_int_equal(cgm_lease_read(endless, strlen(endless), &lease), 0);
	assert_int_equal(lease.duration_s, INT32_MAX);
}

static void test_leader_start__without_memory(void **state)
{
	struct bench *b = *state;
	struct cgm_leader_config config = { .kube = b->kube, .lease_namespace = "ns", .lease = "l", .identity = "we", .on_change = on_change, .arg = b };

	for (unsigned long n = 1; n <= 4; n++) {
		struct cgm_leader *l = NULL;

		cgm_mem_fail_at(n);
		assert_int_equal(cgm_leader_start(&config, &l), -ENOMEM);
		assert_null(l);
	}
	cgm_mem_fail_at(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_leader__makes_the_lease), TEST(test_leader__takes_over), TEST(test_leader__conflict), TEST(test_leader__stands_back), TEST(test_leader__stands_back_before_it_asks),
		TEST(test_leader__loses_it), TEST(test_leader__denied), cmocka_unit_test(test_lease__nonsense), TEST(test_leader_start__without_memory),
	};

	return cmocka_run_group_tests_name("cluster_leader", tests, NULL, NULL);
}
