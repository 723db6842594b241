// SPDX-License-Identifier: Apache-2.0
#include "kube_server.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "kube/kube.h"
#include "kube/review.h"

static char dir[] = "/tmp/cgmtest-kube-XXXXXX";

static const char *in_dir(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

/* As a mounted volume is updated: another file under the same name. */
static void write_file(const char *name, const char *text)
{
	char made[140];
	FILE *f;

	snprintf(made, sizeof(made), "%s.new", in_dir(name));
	f = fopen(made, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(made, in_dir(name)), 0);
}

static struct cgm_kube *open_at(const struct kube_server *s, const char *token_file, uint64_t timeout_ns)
{
	struct cgm_kube_config c = { .url = s->url, .token_file = token_file, .service_account = "/nowhere", .timeout_ns = timeout_ns };
	char fault[CGM_KUBE_FAULT] = "";
	struct cgm_kube *k = NULL;

	if (cgm_kube_open(&c, &k, fault) < 0)
		fail_msg("%s", fault);
	return k;
}

static int get(struct cgm_kube *k, const char *path, size_t max_bytes, struct cgm_buf *answer, unsigned *status, char *fault)
{
	return cgm_kube_request(k, "GET", path, NULL, max_bytes, answer, status, fault);
}

static void test_request__answers(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	char fault[CGM_KUBE_FAULT] = "";
	struct kube_server s;
	struct cgm_kube *k;
	unsigned status;

	(void)state;
	kube_start(&s);
	k = open_at(&s, NULL, 0);
	kube_rule(&s, (struct kube_rule){ .match = "GET /version", .status = 200, .body = "{\"gitVersion\":\"v1\"}" });
	kube_rule(&s, (struct kube_rule){ .match = "POST /x", .status = 201, .body = "made" });
	assert_string_equal(cgm_kube_server(k), s.url);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(get(k, "/version", 100, &answer, &status, fault), 0);
		assert_int_equal(status, 200);
		assert_string_equal(answer.p, "{\"gitVersion\":\"v1\"}");
	}
	assert_int_equal(cgm_kube_request(k, "POST", "/x", "{\"a\":1}", 100, &answer, &status, fault), 0);
	assert_int_equal(status, 201);
	assert_string_equal(s.requests[5].body, "{\"a\":1}");
	assert_int_equal(strncmp(s.requests[5].agent, "cgmeter/", 8), 0);
	assert_int_equal(get(k, "/else", 100, &answer, &status, fault), 0);
	assert_int_equal(status, 404);
	assert_int_equal(s.nr_connections, 1); /* kept */
	assert_int_equal(get(k, "/version", 18, &answer, &status, fault), -EFBIG);
	assert_non_null(strstr(fault, "more than 18 bytes"));
	cgm_kube_close(k);
	kube_stop(&s);
}

static void test_request__no_answer(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	char fault[CGM_KUBE_FAULT] = "";
	struct kube_server s;
	struct cgm_kube *k;
	unsigned status = 7;

	(void)state;
	kube_start(&s);
	k = open_at(&s, NULL, 100 * CGM_NSEC_PER_MSEC);
	kube_rule(&s, (struct kube_rule){ .match = "/silent", .how = KUBE_SILENT });
	kube_rule(&s, (struct kube_rule){ .match = "/cut", .status = 200, .how = KUBE_CUT, .body = "0123456789" });
	assert_int_equal(get(k, "/silent", 100, &answer, &status, fault), -ETIMEDOUT);
	assert_non_null(strstr(fault, "no answer in time"));
	assert_int_equal(get(k, "/cut", 100, &answer, &status, fault), -ECONNABORTED);
	kube_stop(&s);
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), -ECONNREFUSED);
	assert_non_null(strstr(fault, s.url));
	assert_int_equal(status, 7);
	cgm_kube_close(k);
}

static void *cancel_soon(void *arg)
{
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	cgm_kube_cancel(arg);
	return NULL;
}

static void test_cancel__under_way(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	char fault[CGM_KUBE_FAULT] = "";
	struct kube_server s;
	struct cgm_kube *k;
	unsigned status;
	pthread_t thread;
	uint64_t begin;

	(void)state;
	kube_start(&s);
	k = open_at(&s, NULL, 0);
	kube_rule(&s, (struct kube_rule){ .match = "/", .how = KUBE_SILENT });
	begin = cgm_clock_mono_ns();
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, k), 0);
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), -ECANCELED);
	assert_true(cgm_clock_mono_ns() - begin < CGM_NSEC_PER_SEC);
	pthread_join(thread, NULL);
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), -ECANCELED);
	cgm_kube_close(k);
	kube_stop(&s);
}

static void test_token__is_replaced(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	char fault[CGM_KUBE_FAULT] = "";
	struct kube_server s;
	struct cgm_kube *k;
	unsigned status;

	(void)state;
	kube_start(&s);
	write_file("token", "one\n");
	k = open_at(&s, in_dir("token"), 0);
	kube_rule(&s, (struct kube_rule){ .match = "Bearer one", .times = 2, .status = 200 });
	kube_rule(&s, (struct kube_rule){ .match = "Bearer one", .status = 401, .body = "old" });
	kube_rule(&s, (struct kube_rule){ .match = "Bearer two", .status = 200, .body = "new" });
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), 0);
	assert_int_equal(status, 200);
	write_file("token", "two");
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), 0);
	assert_string_equal(answer.p, "new");
	assert_int_equal(kube_nr_requests(&s, "Bearer two"), 1);
	write_file("token", "bad\ntoken");
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), 0); /* with the last one that was good */
	assert_int_equal(status, 200);
	unlink(in_dir("token"));
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), 0);
	assert_int_equal(kube_nr_requests(&s, "Bearer two"), 3);
	cgm_kube_close(k);
	kube_stop(&s);
}

/* Written over in place, within the clock's grain and with the same length: only the server can tell. */
static void test_token__refused(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	char fault[CGM_KUBE_FAULT] = "";
	struct timespec times[2];
	struct kube_server s;
	struct cgm_kube *k;
	struct stat st;
	unsigned status;
	FILE *f;

	(void)state;
	kube_start(&s);
	write_file("token", "one");
	k = open_at(&s, in_dir("token"), 0);
	kube_rule(&s, (struct kube_rule){ .match = "Bearer one", .times = 1, .status = 200 });
	kube_rule(&s, (struct kube_rule){ .match = "Bearer one", .status = 401, .body = "a longer text for the one who is refused" });
	kube_rule(&s, (struct kube_rule){ .match = "Bearer two", .status = 200, .body = "new" });
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), 0);
	assert_int_equal(stat(in_dir("token"), &st), 0);
	f = fopen(in_dir("token"), "r+");
	assert_non_null(f);
	fputs("two", f);
	fclose(f);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, in_dir("token"), times, 0), 0);
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), 0);
	assert_int_equal(status, 200);
	assert_string_equal(answer.p, "new");
	kube_rule(&s, (struct kube_rule){ .match = "never", .status = 200 });
	s.rules[2].status = 401;
	assert_int_equal(get(k, "/", 100, &answer, &status, fault), 0);
	assert_int_equal(status, 401); /* the file says nothing new: asked once */
	assert_int_equal(kube_nr_requests(&s, "Bearer two"), 2);
	cgm_kube_close(k);
	kube_stop(&s);
}

static void test_token_review__users(void **state)
{
	struct cgm_kube_user u = { 0 };
	char fault[CGM_KUBE_FAULT] = "";
	struct kube_server s;
	struct cgm_kube *k;

	(void)state;
	kube_start(&s);
	k = open_at(&s, NULL, 0);
	kube_rule(&s, (struct kube_rule){ .match = "POST /apis/authentication.k8s.io/v1/tokenreviews", .times = 1, .status = 201,
					  .body = "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"ada\",\"uid\":\"7\",\"groups\":[\"a\",\"b\"],\"extra\":{\"k\":[\"v\"]}}}}" });
	kube_rule(&s, (struct kube_rule){ .match = "tokenreviews", .times = 1, .status = 201, .body = "{\"status\":{\"user\":{\"username\":\"eve\"},\"error\":\"no\"}}" });
	kube_rule(&s, (struct kube_rule){ .match = "tokenreviews", .times = 1, .status = 403, .body = "{\"message\":\"you\\nmay not\"}" });
	kube_rule(&s, (struct kube_rule){ .match = "tokenreviews", .status = 200, .body = "[]" });
	assert_int_equal(cgm_kube_token_review(k, "sec\"ret", &u, fault), 1);
	assert_non_null(strstr(s.requests[0].body, "\"spec\":{\"token\":\"sec\\\"ret\"}"));
	assert_string_equal(u.name, "ada");
	assert_string_equal(u.uid, "7");
	assert_int_equal(u.nr_groups, 2);
	assert_string_equal(u.groups[1], "b");
	assert_string_equal(u.extra, "{\"k\":[\"v\"]}");
	cgm_kube_user_done(&u);
	assert_int_equal(cgm_kube_token_review(k, "x", &u, fault), 0);
	assert_null(u.name);
	assert_int_equal(cgm_kube_token_review(k, "x", &u, fault), -EPERM);
	assert_non_null(strstr(fault, "403 Forbidden: you may not"));
	assert_int_equal(cgm_kube_token_review(k, "x", &u, fault), -EIO);
	assert_int_equal(cgm_kube_token_review(k, "\xff", &u, fault), -EINVAL);
	cgm_kube_close(k);
	kube_stop(&s);
}

static void test_access_review__requests(void **state)
{
	char *groups[] = { (char *)"g" };
	struct cgm_kube_user u = { .name = (char *)"ada", .uid = (char *)"7", .groups = groups, .nr_groups = 1, .extra = (char *)"{\"k\":[\"v\"]}" };
	struct cgm_kube_user bare = { .name = (char *)"eve" };
	char fault[CGM_KUBE_FAULT] = "";
	struct kube_server s;
	struct cgm_kube *k;

	(void)state;
	kube_start(&s);
	k = open_at(&s, NULL, 0);
	kube_rule(&s, (struct kube_rule){ .match = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews", .times = 1, .status = 201, .body = "{\"status\":{\"allowed\":true}}" });
	kube_rule(&s, (struct kube_rule){ .match = "subjectaccessreviews", .times = 1, .status = 201, .body = "{\"status\":{\"allowed\":false,\"reason\":\"no\"}}" });
	kube_rule(&s, (struct kube_rule){ .match = "subjectaccessreviews", .times = 1, .status = 201, .body = "{\"status\":{\"allowed\":true,\"denied\":true}}" });
	kube_rule(&s, (struct kube_rule){ .match = "subjectaccessreviews", .status = 500, .body = "<html>" });
	assert_int_equal(cgm_kube_access_review(k, &u, &(struct cgm_kube_access){ .verb = "get", .resource = "nodes", .subresource = "stats", .name = "n1" }, fault), 1);
	assert_string_equal(s.requests[0].body, "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\"spec\":{\"user\":\"ada\",\"uid\":\"7\","
			    "\"groups\":[\"g\"],\"extra\":{\"k\":[\"v\"]},\"resourceAttributes\":{\"verb\":\"get\",\"version\":\"v1\",\"resource\":\"nodes\",\"subresource\":\"stats\",\"name\":\"n1\"}}}");
	assert_int_equal(cgm_kube_access_review(k, &bare, &(struct cgm_kube_access){ .verb = "get", .path = "/metrics" }, fault), 0);
	assert_string_equal(s.requests[1].body, "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\"spec\":{\"user\":\"eve\",\"groups\":[],"
			    "\"nonResourceAttributes\":{\"verb\":\"get\",\"path\":\"/metrics\"}}}");
	assert_int_equal(cgm_kube_access_review(k, &bare, &(struct cgm_kube_access){ .verb = "get", .path = "/" }, fault), 0);
	assert_int_equal(cgm_kube_access_review(k, &bare, &(struct cgm_kube_access){ .verb = "get", .path = "/" }, fault), -EIO);
	cgm_kube_close(k);
	kube_stop(&s);
}

/* Each allocation fails once: the call fails or not, and nothing is lost or used after. */
static void test_alloc__each_fails(void **state)
{
	struct kube_server s;
	unsigned long n = 1;
	int failed = 0;

	(void)state;
	kube_start(&s);
	write_file("token", "one");
	kube_rule(&s, (struct kube_rule){ .match = "tokenreviews", .status = 201, .body = "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"ada\",\"uid\":\"7\",\"groups\":[\"a\",\"b\"]}}}" });
	for (bool hit = true; hit; n++) {
		struct cgm_kube_config c = { .url = s.url, .token_file = in_dir("token"), .service_account = "/nowhere" };
		struct cgm_kube_user u = { 0 };
		char fault[CGM_KUBE_FAULT] = "";
		struct cgm_kube *k = NULL;
		int r;

		cgm_mem_fail_at(n);
		r = cgm_kube_open(&c, &k, fault);
		if (r == 0)
			r = cgm_kube_token_review(k, "x", &u, fault);
		hit = cgm_mem_fail_at(0) >= n;
		failed += r < 0;
		assert_true(r == 1 || (r < 0 && *fault));
		cgm_kube_user_done(&u);
		cgm_kube_close(k);
	}
	assert_true(failed > 10);
	kube_stop(&s);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(in_dir("token"));
	return rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request__answers),
		cmocka_unit_test(test_request__no_answer),
		cmocka_unit_test(test_cancel__under_way),
		cmocka_unit_test(test_token__is_replaced),
		cmocka_unit_test(test_token__refused),
		cmocka_unit_test(test_token_review__users),
		cmocka_unit_test(test_access_review__requests),
		cmocka_unit_test(test_alloc__each_fails),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
