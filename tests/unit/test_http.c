// SPDX-License-Identifier: Apache-2.0
/* The server as clients see it: plain sockets against a server on a free port. */
#include "synthetic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "output/http.h"

static const char *const names[] = { "/", "/a", "/a/b c", "/quo\"te" };

struct fixture {
	struct synth y;
	struct cgm_store *store;
	struct cgm_http *http;
	int root_fd;
};

static struct fixture *setup(unsigned nr_ticks)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cgm_http_config config = { .listen_ip = "127.0.0.1", .version = "1.2.3", .machine_interval_ns = 1000000000 };

	assert_non_null(f);
	synth_init(&f->y, names, ARRAY_SIZE(names));
	f->y.live = true;
	f->root_fd = open("/", O_RDONLY | O_DIRECTORY);
	f->store = cgm_store_new();
	assert_non_null(f->store);
	for (unsigned i = 0; i < nr_ticks; i++)
		synth_tick(&f->y);
	if (nr_ticks)
		cgm_store_publish(f->store, synth_snapshot(&f->y));
	config.store = f->store;
	config.root_fd = f->root_fd;
	assert_int_equal(cgm_http_start(&config, &f->http), 0);
	assert_int_not_equal(cgm_http_port(f->http), 0);
	return f;
}

static void teardown(struct fixture *f)
{
	cgm_http_stop(f->http);
	cgm_store_free(f->store);
	synth_done(&f->y);
	close(f->root_fd);
	free(f);
}

/* ---- a small client ---- */

struct answer {
	unsigned status;
	char head[2048];
	struct cgm_buf body; /* zero-terminated, not counted */
};

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the server may close early, its answer tells */
		p += n;
		len -= (size_t)n;
	}
}

static bool recv_some(int fd, struct cgm_buf *b, size_t most)
{
	char buf[65536];
	ssize_t n = recv(fd, buf, MIN(most, sizeof(buf)), 0);

	if (n > 0)
		cgm_buf_put(b, buf, (size_t)n);
	return n > 0;
}

static const char *header(const struct answer *a, const char *name)
{
	const char *p = strcasestr(a->head, name);

	return p ? p + strlen(name) : NULL;
}

/* Takes what is left of a chunked body out of raw, from offset. False: it broke off. */
static bool read_chunks(int fd, struct cgm_buf *raw, size_t at, struct cgm_buf *body)
{
	for (;;) {
		char *end = raw->len > at ? memmem(raw->p + at, raw->len - at, "\r\n", 2) : NULL;
		size_t len;

		if (!end) {
			if (!recv_some(fd, raw, SIZE_MAX))
				return false;
			continue;
		}
		len = strtoul(raw->p + at, NULL, 16);
		at = (size_t)(end - raw->p) + 2;
		while (raw->len < at + len + 2)
			if (!recv_some(fd, raw, SIZE_MAX))
				return false;
		cgm_buf_put(body, raw->p + at, len);
		at += len + 2;
		if (!len)
			return true;
	}
}

static struct answer read_answer(int fd, bool no_body)
{
	_cleanup_(cgm_buf_done) struct cgm_buf raw = { 0 };
	struct answer a = { 0 };
	const char *end = NULL, *length;
	size_t at, want;

	while (!end && recv_some(fd, &raw, SIZE_MAX))
		end = memmem(raw.p, raw.len, "\r\n\r\n", 4);
	assert_non_null(end);
	at = (size_t)(end - raw.p) + 4;
	assert_true(at < sizeof(a.head));
	memcpy(a.head, raw.p, at);
	a.status = (unsigned)strtoul(a.head + strlen("HTTP/1.1 "), NULL, 10);
	length = header(&a, "Content-Length: ");
	if (no_body) { /* asked for with Connection: close, so what comes after the head can be waited for */
		while (recv_some(fd, &raw, SIZE_MAX))
			;
		assert_int_equal(raw.len, at);
	} else if (header(&a, "Transfer-Encoding: chunked")) {
		assert_true(read_chunks(fd, &raw, at, &a.body));
	} else {
		want = length ? strtoul(length, NULL, 10) : SIZE_MAX - at;
		while (raw.len < at + want && recv_some(fd, &raw, SIZE_MAX))
			;
		assert_true(!length || raw.len == at + want);
		cgm_buf_put(&a.body, raw.p + at, raw.len - at);
	}
	cgm_buf_char(&a.body, '\0');
	a.body.len--;
	return a;
}

static struct answer ask(struct fixture *f, const char *request)
{
	_cleanup_close_ int fd = connect_to(cgm_http_port(f->http));

	send_all(fd, request, strlen(request));
	return read_answer(fd, strncmp(request, "HEAD ", 5) == 0);
}

static struct answer get(struct fixture *f, const char *path, const char *headers)
{
	char request[2048];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, headers);
	return ask(f, request);
}

static struct answer post(struct fixture *f, const char *path, const char *body)
{
	_cleanup_free_ char *request = cgm_asprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path, strlen(body), body);

	assert_non_null(request);
	return ask(f, request);
}

static void done(struct answer *a)
{
	cgm_buf_done(&a->body);
}

static json_t *json_of(const struct answer *a)
{
	json_error_t e;
	json_t *j = json_loadb(a->body.p, a->body.len, 0, &e);

	if (!j)
		fail_msg("%s: %.200s", e.text, a->body.p);
	return j;
}

static void assert_error(struct answer *a, unsigned status, const char *says)
{
	const json_t *error;
	json_t *j;

	if (a->status != status)
		fail_msg("%u instead of %u: %s", a->status, status, a->body.p);
	assert_non_null(header(a, "Content-Type: application/json\r"));
	j = json_of(a);
	error = json_object_get(j, "error");
	assert_int_equal(json_integer_value(json_object_get(error, "status")), status);
	if (!strstr(json_string_value(json_object_get(error, "message")), says))
		fail_msg("\"%s\" does not say \"%s\"", json_string_value(json_object_get(error, "message")), says);
	json_decref(j);
	done(a);
}

static void inflate_answer(struct answer *a)
{
	z_stream z = { .next_in = (Bytef *)a->body.p, .avail_in = (unsigned)a->body.len };
	struct cgm_buf plain = { 0 };
	char buf[65536];
	int r;

	assert_non_null(header(a, "Content-Encoding: gzip"));
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	do {
		z.next_out = (Bytef *)buf;
		z.avail_out = sizeof(buf);
		r = inflate(&z, Z_NO_FLUSH);
		assert_true(r == Z_OK || r == Z_STREAM_END);
		cgm_buf_put(&plain, buf, sizeof(buf) - z.avail_out);
	} while (r != Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
	cgm_buf_char(&plain, '\0');
	plain.len--;
	done(a);
	a->body = plain;
}

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
		{ "/api/cgmeter/tree", "application/json" },
		{ "/api/cgmeter/waits/", "application/json" },
		{ "/api/cgmeter/waits/a", "application/json" },
		{ "/api/cgmeter/status", "application/json" },
		{ "/api/cgmeter/feed", "text/plain" },
		{ "/api/cgmeter/feed/17", "text/plain" },
		{ "/api/cgmeter/hists", "text/plain" },
		{ "/api/cgmeter/hists/a/b%20c", "text/plain" },
		{ "/", "text/html" },
		{ "/containers/a/b", "text/html" },
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
		{ "GET", "/api/v2.0/stats", 404, "unknown path" },
		{ "GET", "/healthzz", 404, "unknown path" },
		{ "GET", "/api/v1.3/containersx", 404, "unknown path" },
		{ "GET", "/api/v1.3/containers/x", 404, "unknown container \"/x\"" },
		{ "GET", "/api/v1.3/containers/%22%0a", 404, "unknown container \"/\"\n\"" },
		{ "GET", "/api/cgmeter/waits/x", 404, "unknown container \"/x\"" },
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
	assert_non_null(header(&a, "Content-Security-Policy: default-src 'self'"));
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
	assert_int_equal(json_array_size(j), ARRAY_SIZE(names));
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
		cmocka_unit_test(test_http__stream_while_the_store_publishes),
		cmocka_unit_test(test_http__clients_that_leave),
		cmocka_unit_test(test_http__every_allocation_fails),
		cmocka_unit_test(test_http_start__addresses),
		cmocka_unit_test(test_http_start__port_in_use),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
