// SPDX-License-Identifier: Apache-2.0
/* The server as clients see it: plain sockets against a server on a free port. */
#include "http_fixture.h"

/* ---- answers ---- */

static void test_http__every_route_answers(void **state)
{
	static const struct {
		const char *path, *type;
	} cases[] = {
		{ "/healthz", "text/plain" },
		{ "/healthz/", "text/plain" },
		{ "//healthz?x=1", "text/plain" },
		{ "/metrics", "text/plain; version=0.0.4" },
		{ "/api/v1.3/", "text/plain" },
		{ "/api/v1.3/machine", "application/json" },
		{ "/api/v1.3/containers", "application/json" },
		{ "/api/v1.3/containers/", "application/json" },
		{ "/api/v1.3/containers//a/", "application/json" },
		{ "/api/v1.3/containers/a/b%20c", "application/json" },
		{ "/api/v1.3/containers/quo%22te", "application/json" },
		{ "/api/v1.3/subcontainers/", "application/json" },
		{ "/api/v1.3/subcontainers/a", "application/json" },
		{ "/api/v1.0/containers/", "application/json" },
		{ "/api/v1.1/subcontainers/a", "application/json" },
		{ "/api/v1.2/docker", "application/json" },
		{ "/api/v1.3/events/", "application/json" },
		{ "/api/v2.0/stats/a?recursive=true", "application/json" },
		{ "/api/v2.1/stats?recursive=true&count=1", "application/json" },
		{ "/api/v2.1/stats/?type=docker&recursive=true", "application/json" },
		{ "/api/v2.1/machinestats", "application/json" },
		{ "/api/v2.0/summary?recursive=true", "application/json" },
		{ "/api/v2.0/spec/a", "application/json" },
		{ "/api/v2.0/attributes", "application/json" },
		{ "/api/v2.1/machine", "application/json" },
		{ "/api/v2.0/storage", "application/json" },
		{ "/api/v2.0/ps/", "application/json" },
		{ "/api/v2.1/appmetrics/a", "application/json" },
		{ "/api/", "text/plain" },
		{ "/api/v2.1", "text/plain" },
		{ "/validate/", "text/plain" },
		{ "/debug/status", "text/plain" },
		{ "/api/cgmeter/tree", "application/json" },
		{ "/api/cgmeter/waits/", "application/json" },
		{ "/api/cgmeter/waits/a", "application/json" },
		{ "/api/cgmeter/status", "application/json" },
		{ "/api/cgmeter/compact", "application/vnd.cgmeter.compact" },
		{ "/api/cgmeter/feed", "text/plain" },
		{ "/api/cgmeter/feed/17", "text/plain" },
		{ "/api/cgmeter/hists", "text/plain" },
		{ "/api/cgmeter/hists/a/b%20c", "text/plain" },
		{ "/", "text/html" },
		{ "/api/cgmeter/rows", "application/json" },
		{ "/api/cgmeter/rows?since=1&agent=0", "application/json" },
		{ "/api/cgmeter/series/", "application/json" },
		{ "/api/cgmeter/series/a?since=1790000000000000000&window=5000&step=1000", "application/json" },
		{ "/static/uPlot.iife.min.js", "text/javascript" },
		{ "/static/uPlot.LICENSE.txt", "text/plain" },
	};
	struct fixture *f = setup(3);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer a = get(f, cases[i].path, "");
		const char *type = header(&a, "Content-Type: ");

		if (a.status != 200 || !type || strncmp(type, cases[i].type, strlen(cases[i].type)) != 0)
			fail_msg("%s: %u, %.*s", cases[i].path, a.status, 40, type ? type : "no type");
		assert_true(a.body.len > 0);
		if (strcmp(cases[i].type, "application/json") == 0)
			json_decref(json_of(&a));
		done(&a);
	}
	teardown(f);
}

static void test_http__names_are_decoded_once(void **state)
{
	struct fixture *f = setup(1);
	struct answer a = get(f, "/api/v1.3/containers/a/b%20c", "");
	json_t *j = json_of(&a);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(j, "name")), "/a/b c");
	json_decref(j);
	done(&a);
	a = get(f, "/api/v1.3/containers/a/b%2520c", "");
	assert_error(&a, 404, "unknown container \"/a/b%20c\"");
	teardown(f);
}

static void test_http__faults(void **state)
{
	static const struct {
		const char *method, *path;
		unsigned status;
		const char *says;
	} cases[] = {
		{ "GET", "/nothing", 404, "unknown path \"/nothing\"" },
		{ "GET", "/api/v9.9/stats", 404, "unsupported API version \"v9.9\"" },
		{ "GET", "/api/v2.0/machinestats", 404, "unknown request type \"machinestats\"" },
		{ "GET", "/api/VER/machine", 404, "unsupported API version \"VER\"" },
		{ "GET", "/healthzz", 404, "unknown path" },
		{ "GET", "/api/v1.3/containersx", 404, "unknown request type \"containersx\"" },
		{ "GET", "/api/v1.3/containers/x", 404, "unknown container \"/x\"" },
		{ "GET", "/api/v1.3/containers/%22%0a", 404, "unknown container \"/\"\n\"" },
		{ "GET", "/api/cgmeter/waits/x", 404, "unknown container \"/x\"" },
		{ "GET", "/api/cgmeter/series/x", 404, "unknown container \"/x\"" },
		{ "GET", "/api/cgmeter/series/?since=1x", 400, "since: must be a number" },
		{ "GET", "/api/cgmeter/series/?since=-1", 400, "since: must be a number" },
		{ "GET", "/api/cgmeter/series/?window=1s", 400, "window: must be a number" },
		{ "GET", "/api/cgmeter/series/?step=", 400, "step: must be a number" },
		{ "GET", "/api/cgmeter/rows?since=%20", 400, "since: must be a number" },
		{ "GET", "/api/cgmeter/rows?agent=a", 400, "agent: must be a number" },
		{ "GET", "/static/none.js", 404, "unknown file \"none.js\"" },
		{ "GET", "/static/../../etc/passwd", 404, "unknown file" },
		{ "GET", "/healthz%00x", 400, "zero byte" },
		{ "GET", "/api/v1.3/containers/%zz", 400, "hexadecimal" },
		{ "GET", "/api/v1.3/containers/a%4", 400, "hexadecimal" },
		{ "PUT", "/healthz", 405, "PUT" },
		{ "DELETE", "/api/v1.3/containers/a", 405, "DELETE" },
		{ "POST", "/metrics", 405, "POST" },
		{ "get", "/healthz", 405, "get" },
	};
	struct fixture *f = setup(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char request[256];
		struct answer a;

		snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", cases[i].method, cases[i].path);
		a = ask(f, request);
		if (cases[i].status == 405)
			assert_non_null(header(&a, strstr(cases[i].path, "containers") ? "Allow: GET, HEAD, POST\r" : "Allow: GET, HEAD\r"));
		assert_error(&a, cases[i].status, cases[i].says);
	}
	teardown(f);
}

static void test_http__bodies(void **state)
{
	struct fixture *f = setup(5);
	struct answer a = post(f, "/api/v1.3/containers/a", "{\"num_stats\":2,\"num_samples\":9}");
	json_t *j = json_of(&a);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(j, "stats")), 2);
	json_decref(j);
	done(&a);
	a = ask(f, "GET /api/v1.3/containers/a HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{\"num_stats\":1}");
	j = json_of(&a);
	assert_int_equal(json_array_size(json_object_get(j, "stats")), 1);
	json_decref(j);
	done(&a);
	a = ask(f, "POST /api/v1.3/containers/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"num_s\r\n8\r\ntats\":3}\r\n0\r\n\r\n");
	j = json_of(&a);
	assert_int_equal(json_array_size(json_object_get(j, "stats")), 3);
	json_decref(j);
	done(&a);
	a = post(f, "/api/v1.3/containers/a", "{\"num_stats\":\"all\"}");
	assert_error(&a, 400, "num_stats");
	a = post(f, "/api/v1.3/subcontainers/a", "{bad");
	assert_error(&a, 400, "JSON");
	teardown(f);
}

static void test_http__large_bodies(void **state)
{
	struct fixture *f = setup(1);
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct answer a = ask(f, "POST /api/v1.3/containers/a HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n");

	(void)state;
	assert_error(&a, 413, "65536");
	cgm_buf_lit(&b, "POST /api/v1.3/containers/a HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n");
	while (b.len < 75 + 65536)
		cgm_buf_char(&b, ' ');
	cgm_buf_char(&b, '\0');
	a = ask(f, b.p); /* all blank: the defaults */
	assert_int_equal(a.status, 200);
	done(&a);
	b.len = 0;
	cgm_buf_lit(&b, "POST /api/v1.3/containers/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n11000\r\n");
	for (unsigned i = 0; i < 0x11000; i++)
		cgm_buf_char(&b, ' ');
	cgm_buf_str(&b, "\r\n0\r\n\r\n");
	cgm_buf_char(&b, '\0');
	a = ask(f, b.p);
	assert_error(&a, 413, "65536");
	teardown(f);
}

static void test_http__before_the_first_snapshot(void **state)
{
	static const char *const paths[] = { "/metrics", "/api/v1.3/containers/", "/api/v1.3/subcontainers/", "/api/cgmeter/tree",
					     "/api/cgmeter/waits/", "/api/cgmeter/status" };
	struct fixture *f = setup(0);
	struct answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		a = get(f, paths[i], "");
		assert_non_null(header(&a, "Retry-After: 1"));
		assert_error(&a, 503, "no sample");
	}
	a = get(f, "/healthz", "");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body.p, "ok");
	done(&a);
	teardown(f);
}

static void test_http__head(void **state)
{
	static const char *const paths[] = { "/healthz", "/metrics", "/api/v1.3/machine", "/api/v1.3/subcontainers/", "/", "/nothing" };
	struct fixture *f = setup(2);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		char request[128];
		struct answer a;

		snprintf(request, sizeof(request), "HEAD %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", paths[i]);
		a = ask(f, request);
		assert_int_equal(a.status, strcmp(paths[i], "/nothing") == 0 ? 404 : 200);
		done(&a);
	}
	teardown(f);
}

static void test_http__keep_alive(void **state)
{
	static const char *const requests[] = {
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /api/v1.3/subcontainers/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /api/v1.3/containers/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	struct fixture *f = setup(2);
	_cleanup_close_ int fd = connect_to(cgm_http_port(f->http));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct answer a;

		send_all(fd, requests[i], strlen(requests[i]));
		a = read_answer(fd, false);
		assert_int_equal(a.status, i == 3 ? 404 : 200);
		done(&a);
	}
	teardown(f);
}

#define PROTOBUF "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

static void test_http__metrics_formats(void **state)
{
	static const char text[] = "Content-Type: text/plain; version=0.0.4; charset=utf-8", protobuf[] = "Content-Type: " PROTOBUF,
			  openmetrics[] = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8";
	static const struct {
		const char *headers, *type, *holds;
		bool gzip;
	} cases[] = {
		{ "", text, "/quo\\\"te", false },
		{ "Accept: */*\r\nAccept-Encoding: gzip\r\n", text, "/quo\\\"te", true },
		{ "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n", openmetrics, "/quo\\\"te", false },
		{ "Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip;q=0\r\n", openmetrics, "/quo\\\"te", false },
		{ "Accept: application/openmetrics-text\r\nAccept-Encoding: deflate, *\r\n", openmetrics, "/quo\\\"te", true },
		{ "Accept: " PROTOBUF ",text/plain;q=0.5\r\n", protobuf, "/quo\"te", false },
		{ "Accept: " PROTOBUF ",text/plain;q=0.5\r\nAccept-Encoding: gzip\r\n", protobuf, "/quo\"te", true },
	};
	struct fixture *f = setup(2);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer a = get(f, "/metrics", cases[i].headers);

		assert_int_equal(a.status, 200);
		assert_non_null(header(&a, cases[i].type));
		assert_non_null(header(&a, "Vary: Accept, Accept-Encoding"));
		assert_int_equal(header(&a, "Content-Encoding: gzip") != NULL, cases[i].gzip);
		if (cases[i].gzip)
			inflate_answer(&a);
		assert_non_null(memmem(a.body.p, a.body.len, cases[i].holds, strlen(cases[i].holds)));
		done(&a);
	}
	teardown(f);
}

static void test_http__gzip_json(void **state)
{
	static const char *const paths[] = { "/api/v1.3/subcontainers/", "/api/v1.3/containers/a", "/api/v1.3/machine", "/api/cgmeter/tree" };
	struct fixture *f = setup(60);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct answer plain = get(f, paths[i], ""), packed = get(f, paths[i], "Accept-Encoding: gzip\r\n");

		assert_non_null(header(&plain, "Vary: Accept-Encoding"));
		if (!header(&packed, "Content-Encoding")) /* too small to be worth it */
			assert_true(packed.body.len < 1024);
		else
			inflate_answer(&packed);
		json_decref(json_of(&packed));
		if (i != 2) { /* the machine's clock goes on */
			assert_int_equal(packed.body.len, plain.body.len);
			assert_memory_equal(packed.body.p, plain.body.p, plain.body.len);
		}
		done(&plain);
		done(&packed);
	}
	teardown(f);
}

static void test_http__page(void **state)
{
	struct fixture *f = setup(1);
	struct answer a = get(f, "/", "");
	const char *etag = header(&a, "ETag: ");
	char headers[128];

	(void)state;
	assert_non_null(etag);
	assert_non_null(header(&a, "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "));
	assert_null(header(&a, "unsafe-inline"));
	assert_non_null(header(&a, "X-Content-Type-Options: nosniff"));
	assert_non_null(header(&a, "Cache-Control: no-cache"));
	snprintf(headers, sizeof(headers), "If-None-Match: W/\"x\", %.18s\r\n", etag);
	done(&a);
	a = get(f, "/static/index.html", headers);
	assert_int_equal(a.status, 304);
	assert_int_equal(a.body.len, 0);
	done(&a);
	a = get(f, "/static/index.html", "If-None-Match: \"x\"\r\n");
	assert_int_equal(a.status, 200);
	done(&a);
	teardown(f);
}

/* A packed file is another representation: it has a tag of its own, and unpacks to the same bytes. */
static void test_http__page_files_are_packed(void **state)
{
	struct fixture *f = setup(1);
	struct answer plain = get(f, "/static/style.css", ""), packed = get(f, "/static/style.css", "Accept-Encoding: gzip\r\n");
	size_t len = packed.body.len;

	(void)state;
	assert_null(header(&plain, "Content-Encoding: "));
	assert_non_null(header(&packed, "Vary: Accept-Encoding"));
	assert_memory_not_equal(header(&plain, "ETag: "), header(&packed, "ETag: "), 28);
	inflate_answer(&packed);
	assert_true(len < packed.body.len);
	assert_int_equal(packed.body.len, plain.body.len);
	assert_memory_equal(packed.body.p, plain.body.p, plain.body.len);
	done(&plain);
	done(&packed);
	teardown(f);
}

static void test_http__old_addresses_lead_to_the_page(void **state)
{
	static const struct {
		const char *path, *location;
	} cases[] = {
		{ "/containers", "./#/" },
		{ "/containers/", "./../#/" },
		{ "/containers/a/b", "./../../#/a/b" },
		{ "/containers//a/b/?x=/", "./../../../../#/a/b" },
		{ "/containers/%3Cb%3E%22%0a%3f%23%25", "./../#/%3Cb%3E%22%0A%3F%23%25" },
		{ "/docker", "./#/?q=docker" },
		{ "/docker/", "./../#/?q=docker" },
		{ "/docker/4f1c&q=1", "./../#/?find=4f1c%26q%3D1" },
		{ "/podman/", "./../#/?q=libpod" },
		{ "/podman/abc", "./../#/?find=abc" },
	};
	struct fixture *f = setup(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer a = get(f, cases[i].path, "");
		_cleanup_free_ char *want = cgm_asprintf("Location: %s\r", cases[i].location);

		assert_int_equal(a.status, 307);
		if (!header(&a, want))
			fail_msg("%s does not lead to %s: %s", cases[i].path, cases[i].location, header(&a, "Location: "));
		done(&a);
	}
	teardown(f);
}

/* ---- streams ---- */

static void *publish_on(void *arg)
{
	struct fixture *f = arg;

	for (unsigned i = 0; i < 200; i++) {
		struct timespec pause = { .tv_nsec = 2000000 };

		synth_tick(&f->y);
		cgm_store_publish(f->store, synth_snapshot(&f->y));
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* A slow reader gets one snapshot from end to end, while new ones are published and its own is long replaced. */
static void test_http__stream_while_the_store_publishes(void **state)
{
	static const char request[] = "POST /api/v1.3/subcontainers/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 16\r\n\r\n{\"num_stats\":-1}";
	struct fixture *f = setup(400);
	_cleanup_(cgm_buf_done) struct cgm_buf raw = { 0 }, body = { 0 };
	pthread_t thread;
	size_t i, at;
	json_t *j, *c;
	int fd, small = 65536;

	(void)state;
	fd = connect_to(cgm_http_port(f->http));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	send_all(fd, request, strlen(request));
	while (raw.len < 1000)
		assert_true(recv_some(fd, &raw, 100));
	assert_int_equal(pthread_create(&thread, NULL, publish_on, f), 0);
	while (raw.len < 100000)
		assert_true(recv_some(fd, &raw, 700));
	pthread_join(thread, NULL);
	at = (size_t)((char *)memmem(raw.p, raw.len, "\r\n\r\n", 4) - raw.p) + 4;
	assert_true(read_chunks(fd, &raw, at, &body));
	close(fd);
	assert_true(body.len > 3000000);
	j = json_loadb(body.p, body.len, 0, NULL);
	assert_int_equal(json_array_size(j), ARRAY_SIZE(http_names));
	json_array_foreach(j, i, c)
		assert_int_equal(json_array_size(json_object_get(c, "stats")), 400);
	json_decref(j);
	teardown(f);
}

/* Clients that go away in the middle leave nothing behind (the sanitizer looks), also not when the server stops under a stream. */
static void test_http__clients_that_leave(void **state)
{
	static const char request[] = "GET /api/v1.3/subcontainers/ HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n";
	struct fixture *f = setup(200);
	int fds[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		_cleanup_(cgm_buf_done) struct cgm_buf raw = { 0 };

		fds[i] = connect_to(cgm_http_port(f->http));
		send_all(fds[i], request, i == 7 ? 20 : strlen(request));
		if (i < 4)
			recv_some(fds[i], &raw, 100);
		if (i < 6)
			close(fds[i]);
	}
	teardown(f);
	close(fds[6]);
	close(fds[7]);
}

/* False when a chunked, compressed answer broke off. One that claims to be whole must be. */
static bool is_whole(struct cgm_buf *raw, const char *body)
{
	struct answer a = { .head = "Content-Encoding: gzip" };

	if (raw->len < 7 || memcmp(raw->p + raw->len - 7, "\r\n0\r\n\r\n", 7) != 0)
		return false;
	assert_true(read_chunks(-1, raw, (size_t)(body - raw->p), &a.body));
	inflate_answer(&a);
	json_decref(json_of(&a));
	done(&a);
	return true;
}

/* Whatever fails, the server answers 500, or breaks the connection off; it never sends half an answer as a whole one, and goes on. */
static void test_http__every_allocation_fails(void **state)
{
	static const char *const paths[] = { "/api/v1.3/subcontainers/a", "/metrics", "/api/v1.3/machine", "/nothing" };
	struct fixture *f = setup(2);
	unsigned nr_whole = 0;

	(void)state;
	for (unsigned n = 1; n <= 120; n++) {
		const char *path = paths[n % ARRAY_SIZE(paths)];
		_cleanup_close_ int fd = connect_to(cgm_http_port(f->http));
		_cleanup_(cgm_buf_done) struct cgm_buf raw = { 0 }, body = { 0 };
		char request[128];
		char *end;

		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n", path);
		cgm_buf_reserve(&raw, 4000000);
		cgm_mem_fail_at(1 + n / ARRAY_SIZE(paths));
		send_all(fd, request, strlen(request));
		for (char buf[4096];;) {
			ssize_t len = recv(fd, buf, sizeof(buf), 0);

			if (len <= 0)
				break;
			assert_true(raw.len + (size_t)len <= raw.cap);
			memcpy(raw.p + raw.len, buf, (size_t)len);
			raw.len += (size_t)len;
		}
		cgm_mem_fail_at(0);
		end = raw.len ? memmem(raw.p, raw.len, "\r\n\r\n", 4) : NULL;
		if (end && strncmp(raw.p, "HTTP/1.1 500", 12) == 0)
			assert_non_null(memmem(end, raw.len - (size_t)(end - raw.p), "out of memory", 13));
		if (end && n % ARRAY_SIZE(paths) == 0 && strncmp(raw.p, "HTTP/1.1 200", 12) == 0)
			nr_whole += is_whole(&raw, end + 4);
	}
	assert_in_range(nr_whole, 1, 120 / ARRAY_SIZE(paths) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct answer a = get(f, paths[i], "");

		assert_int_equal(a.status, i == 3 ? 404 : 200);
		done(&a);
	}
	teardown(f);
}

/* ---- starting ---- */

static void test_http_start__addresses(void **state)
{
	static const struct {
		const char *ip;
		int result;
	} cases[] = { { "127.0.0.1", 0 }, { "0.0.0.0", 0 }, { "", 0 }, { NULL, 0 }, { "localhost", -EINVAL }, { "1.2.3", -EINVAL },
		      { "::1::", -EINVAL }, { "[]", -EINVAL }, { "203.0.113.7", -EADDRNOTAVAIL } };
	struct cgm_store *store = cgm_store_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_http_config config = { .listen_ip = cases[i].ip, .store = store, .version = "", .root_fd = -1 };
		struct cgm_http *h = NULL;

		assert_int_equal(cgm_http_start(&config, &h), cases[i].result);
		if (h) {
			struct fixture f = { .http = h };
			struct answer a = get(&f, "/healthz", "");

			assert_int_equal(a.status, 200);
			done(&a);
		}
		cgm_http_stop(h);
	}
	cgm_store_free(store);
}

static void test_http_start__port_in_use(void **state)
{
	struct fixture *f = setup(0);
	struct cgm_http_config config = { .listen_ip = "127.0.0.1", .port = cgm_http_port(f->http), .store = f->store, .version = "" };
	struct cgm_http *second = NULL;

	(void)state;
	assert_int_equal(cgm_http_start(&config, &second), -EADDRINUSE);
	assert_null(second);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http__every_route_answers),
		cmocka_unit_test(test_http__names_are_decoded_once),
		cmocka_unit_test(test_http__faults),
		cmocka_unit_test(test_http__bodies),
		cmocka_unit_test(test_http__large_bodies),
		cmocka_unit_test(test_http__before_the_first_snapshot),
		cmocka_unit_test(test_http__head),
		cmocka_unit_test(test_http__keep_alive),
		cmocka_unit_test(test_http__metrics_formats),
		cmocka_unit_test(test_http__gzip_json),
		cmocka_unit_test(test_http__page),
		cmocka_unit_test(test_http__page_files_are_packed),
		cmocka_unit_test(test_http__old_addresses_lead_to_the_page),
		cmocka_unit_test(test_http__stream_while_the_store_publishes),
		cmocka_unit_test(test_http__clients_that_leave),
		cmocka_unit_test(test_http__every_allocation_fails),
		cmocka_unit_test(test_http_start__addresses),
		cmocka_unit_test(test_http_start__port_in_use),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
