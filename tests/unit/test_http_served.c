// SPDX-License-Identifier: Apache-2.0
/* The server for another program's answers: a made-up one, asked over plain sockets. */
#include "http_fixture.h"

#include "base/mem.h"
#include "output/access.h"
#include "output/serve.h"

struct program {
	pthread_mutex_t lock;
	char seen[1024]; /* the last question, in words */
	char user[64];
};

static bool answer(void *arg, const struct cgm_ask *a, struct cgm_reply *r)
{
	struct program *p = arg;
	int len;

	pthread_mutex_lock(&p->lock);
	len = snprintf(p->seen, sizeof(p->seen), "%s %s%s", a->method, a->path, a->slash ? " slash" : "");
	for (size_t i = 0; i < a->nr_params; i++)
		len += snprintf(p->seen + len, sizeof(p->seen) - (size_t)len, " %s=%s", a->params[i].name, a->params[i].value);
	snprintf(p->seen + len, sizeof(p->seen) - (size_t)len, "%s%s [%.*s]", a->accept ? " accept " : "", a->accept ? a->accept : "", (int)a->body_len, a->body);
	snprintf(p->user, sizeof(p->user), "%s", a->user ? a->user->name : "-");
	pthread_mutex_unlock(&p->lock);
	if (strcmp(a->path, "/moved") == 0) {
		r->status = 307;
		r->location = "/there";
	} else if (strcmp(a->path, "/large") == 0) {
		for (unsigned i = 0; i < 1000; i++)
			cgm_buf_lit(&r->body, "0123456789");
		r->type = "text/plain";
		r->vary = "Accept";
		snprintf(r->etag, sizeof(r->etag), "\"v1\"");
	} else if (strcmp(a->path, "/full") == 0) {
		r->body.failed = true;
	} else if (strcmp(a->path, "/busy") == 0) {
		r->status = 503;
		cgm_buf_lit(&r->body, "{}");
	} else if (strncmp(a->path, "/small", 6) == 0 || strncmp(a->path, "/apis/metrics.k8s.io/", 21) == 0 || strcmp(a->path, "/healthz") == 0 ||
		   strcmp(a->path, "/readyz/x") == 0) {
		cgm_buf_lit(&r->body, "{}");
	} else {
		return false;
	}
	return true;
}

static struct program program = { .lock = PTHREAD_MUTEX_INITIALIZER };
static const struct cgm_served served = { .answer = answer, .page = "index.html", .arg = &program };
static const struct cgm_served without_page = { .answer = answer, .arg = &program };

static struct fixture start(const struct cgm_served *s, const struct cgm_auth_config *auth)
{
	struct cgm_http_config c = { .listen_ip = "127.0.0.1", .version = "1", .served = s, .root_fd = -1 };
	struct fixture f = { .root_fd = -1 };

	if (auth)
		c.auth = *auth;
	assert_int_equal(cgm_http_start(&c, &f.http), 0);
	return f;
}

static void assert_seen(const char *words)
{
	pthread_mutex_lock(&program.lock);
	assert_string_equal(program.seen, words);
	pthread_mutex_unlock(&program.lock);
}

static void test_served__question(void **state)
{
	struct fixture f = start(&served, NULL);
	struct answer a;

	(void)state;
	a = get(&f, "/small//a%20b/?x=1%2C2&y&x=3", "Accept: application/json\r\n");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body.p, "{}");
	assert_non_null(header(&a, "Content-Type: application/json\r"));
	assert_non_null(header(&a, "Vary: Accept-Encoding\r"));
	assert_seen("GET /small/a b slash x=1,2 y= x=3 accept application/json []");
	done(&a);
	a = post(&f, "/small", "{\"a\":1}");
	assert_int_equal(a.status, 200);
	assert_seen("POST /small [{\"a\":1}]");
	done(&a);
	a = ask(&f, "HEAD /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_int_equal(a.status, 200);
	assert_non_null(header(&a, "Content-Length: 10000\r"));
	assert_seen("GET /large []");
	done(&a);
	cgm_http_stop(f.http);
}

static void test_served__answers(void **state)
{
	struct fixture f = start(&served, NULL);
	struct answer a = get(&f, "/moved", "");

	(void)state;
	assert_int_equal(a.status, 307);
	assert_int_equal(strncmp(header(&a, "Location: "), "/there\r", 7), 0);
	done(&a);
	a = get(&f, "/large", "Accept-Encoding: gzip\r\n");
	assert_int_equal(a.status, 200);
	assert_non_null(header(&a, "Vary: Accept, Accept-Encoding\r"));
	assert_non_null(header(&a, "ETag: \"v1\"\r"));
	inflate_answer(&a);
	assert_int_equal(a.body.len, 10000);
	done(&a);
	a = get(&f, "/large", "If-None-Match: \"v0\", \"v1\"\r\nAccept-Encoding: gzip\r\n");
	assert_int_equal(a.status, 304);
	assert_int_equal(a.body.len, 0);
	done(&a);
	a = get(&f, "/small", "Accept-Encoding: gzip\r\n");
	assert_null(header(&a, "Content-Encoding"));
	done(&a);
	a = get(&f, "/busy", "");
	assert_int_equal(a.status, 503);
	assert_non_null(header(&a, "Retry-After: "));
	done(&a);
	a = get(&f, "/full", "");
	assert_error(&a, 500, "out of memory");
	a = get(&f, "/nothing", "");
	assert_error(&a, 404, "unknown path \"/nothing\"");
	a = get(&f, "/small%zz", "");
	assert_error(&a, 400, "hexadecimal");
	a = ask(&f, "DELETE /small HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_non_null(header(&a, "Allow: GET, HEAD, POST\r"));
	assert_error(&a, 405, "DELETE");
	a = get(&f, "/apis/nobody", "");
	assert_int_equal(a.status, 404);
	assert_non_null(strstr(a.body.p, "\"kind\":\"Status\""));
	assert_non_null(strstr(a.body.p, "\"reason\":\"NotFound\""));
	done(&a);
	cgm_http_stop(f.http);
}

static void test_served__page(void **state)
{
	struct fixture f = start(&served, NULL);
	static const char *const paths[] = { "/", "/static/style.css", "/style.css" };
	struct answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		a = get(&f, paths[i], "");
		assert_int_equal(a.status, 200);
		assert_non_null(header(&a, "Content-Security-Policy: "));
		done(&a);
	}
	a = get(&f, "/static/none.css", "");
	assert_error(&a, 404, "none.css");
	cgm_http_stop(f.http);
	f = start(&without_page, NULL);
	a = get(&f, "/", "");
	assert_error(&a, 404, "unknown path");
	a = get(&f, "/style.css", "");
	assert_error(&a, 404, "unknown path");
	cgm_http_stop(f.http);
}

static void test_served__too_many_parameters(void **state)
{
	struct fixture f = start(&served, NULL);
	char path[1024] = "/small?";
	struct answer a;

	(void)state;
	for (unsigned i = 0; i < 65; i++)
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "a%u=1&", i);
	a = get(&f, path, "");
	assert_error(&a, 400, "parameters");
	cgm_http_stop(f.http);
}

/* ---- who may ask ---- */

static char asked[512];

static int review_token(void *arg, const char *token, struct cgm_kube_user *ret, char *fault)
{
	(void)arg, (void)fault;
	if (strcmp(token, "joes-token") != 0)
		return 0;
	ret->name = cgm_strdup("joe");
	return 1;
}

static int review_access(void *arg, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault)
{
	(void)arg, (void)fault;
	if (a->resource)
		snprintf(asked, sizeof(asked), "%s %s %s/%s %s ns=%s name=%s", u->name, a->verb, a->group, a->version, a->resource, a->object_namespace ? a->object_namespace : "-",
			 a->name ? a->name : "-");
	else
		snprintf(asked, sizeof(asked), "%s %s path %s", u->name, a->verb, a->path);
	return strcmp(u->name, "joe") == 0 && !strstr(a->resource ? "" : a->path, "secret");
}

static void test_served__reviews(void **state)
{
	static const struct {
		const char *path, *asked;
	} cases[] = {
		{ "/apis/metrics.k8s.io/v1beta1/nodes", "joe list metrics.k8s.io/v1beta1 nodes ns=- name=-" },
		{ "/apis/metrics.k8s.io/v1beta1/nodes/n1", "joe get metrics.k8s.io/v1beta1 nodes ns=- name=n1" },
		{ "/apis/metrics.k8s.io/v1beta1/pods?labelSelector=a", "joe list metrics.k8s.io/v1beta1 pods ns=- name=-" },
		{ "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods", "joe list metrics.k8s.io/v1beta1 pods ns=default name=-" },
		{ "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/p", "joe get metrics.k8s.io/v1beta1 pods ns=default name=p" },
		{ "/small/secrets", NULL },
		{ "/small", "joe get path /small" },
	};
	struct cgm_auth_config auth = { .review = { .reviewer = { review_token, review_access, NULL }, .tokens = true, .anonymous = true, .authorize = true,
						    .token_ns = 60000000000, .allowed_ns = 60000000000, .denied_ns = 60000000000 } };
	struct fixture f = start(&served, &auth);
	struct answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		a = get(&f, cases[i].path, "Authorization: Bearer joes-token\r\n");
		assert_int_equal(a.status, cases[i].asked ? 200 : 403);
		if (cases[i].asked)
			assert_string_equal(asked, cases[i].asked);
		done(&a);
	}
	assert_string_equal(program.user, "joe");
	a = get(&f, "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods", "");
	assert_int_equal(a.status, 403);
	assert_non_null(strstr(a.body.p, "pods.metrics.k8s.io is forbidden: User \\\"system:anonymous\\\" cannot list resource \\\"pods\\\" in API group \\\"metrics.k8s.io\\\" in the namespace \\\"default\\\""));
	assert_non_null(strstr(a.body.p, "\"reason\":\"Forbidden\""));
	done(&a);
	a = get(&f, "/small", "");
	assert_error(&a, 403, "User \"system:anonymous\" cannot get path \"/small\"");
	a = get(&f, "/apis/metrics.k8s.io/v1beta1/nodes", "Authorization: Bearer others-token\r\n");
	assert_int_equal(a.status, 401);
	assert_non_null(strstr(a.body.p, "\"reason\":\"Unauthorized\""));
	done(&a);
	a = get(&f, "/healthz", "");
	assert_int_equal(a.status, 200);
	done(&a);
	a = get(&f, "/readyz/x", "");
	assert_int_equal(a.status, 200);
	assert_string_equal(program.user, "-");
	done(&a);
	cgm_http_stop(f.http);
}

static void test_access_of_path(void **state)
{
	static const struct {
		const char *path, *resource, *object_namespace, *name;
		bool several;
	} cases[] = {
		{ "/apis", NULL, NULL, NULL, false },
		{ "/apis/metrics.k8s.io/v1beta1", NULL, NULL, NULL, false },
		{ "/apis/apps/v1/pods", NULL, NULL, NULL, false },
		{ "/apis/metrics.k8s.io/v1beta1/namespaces", "namespaces", NULL, NULL, true },
		{ "/apis/metrics.k8s.io/v1beta1/namespaces/a", NULL, NULL, NULL, false },
		{ "/apis/metrics.k8s.io/v1beta1/namespaces/a/pods", "pods", "a", NULL, true },
		{ "/apis/metrics.k8s.io/v1beta1/namespaces/a/pods/b", "pods", "a", "b", false },
		{ "/apis/custom.metrics.k8s.io/v1beta2/namespaces/a/pods/b/m", "pods", "a", "b", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_access a = cgm_access_of_path("HEAD", cases[i].path);
		struct cgm_access_parts parts;
		struct cgm_kube_access k;

		cgm_access_split(&a, &parts, &k);
		assert_string_equal(k.verb, cases[i].several ? "list" : "get");
		if (!cases[i].resource) {
			assert_null(k.resource);
			assert_string_equal(k.path, cases[i].path);
			continue;
		}
		assert_string_equal(k.resource, cases[i].resource);
		assert_int_equal(!k.object_namespace, !cases[i].object_namespace);
		assert_int_equal(!k.name, !cases[i].name);
		if (k.object_namespace)
			assert_string_equal(k.object_namespace, cases[i].object_namespace);
		if (k.name)
			assert_string_equal(k.name, cases[i].name);
		assert_true(!k.subresource == (i + 1 < ARRAY_SIZE(cases)));
		if (k.subresource)
			assert_string_equal(k.subresource, "m");
	}
	assert_string_equal(cgm_access_of_path("POST", "/apis/metrics.k8s.io/v1beta1/nodes").verb, "create");
}

static void test_served__two_servers(void **state)
{
	struct fixture f = start(&served, NULL), g = start(&without_page, NULL);
	struct answer a;

	(void)state;
	assert_int_not_equal(cgm_http_port(f.http), cgm_http_port(g.http));
	a = get(&g, "/small", "");
	assert_int_equal(a.status, 200);
	done(&a);
	cgm_http_stop(g.http);
	a = get(&f, "/small", "");
	assert_int_equal(a.status, 200);
	done(&a);
	cgm_http_stop(f.http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_served__question),
		cmocka_unit_test(test_served__answers),
		cmocka_unit_test(test_served__page),
		cmocka_unit_test(test_served__too_many_parameters),
		cmocka_unit_test(test_served__reviews),
		cmocka_unit_test(test_access_of_path),
		cmocka_unit_test(test_served__two_servers),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
