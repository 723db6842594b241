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
#include "base/clock.h"
#include "output/http.h"

static const char *const names[] = { "/", "/a", "/a/b c", "/quo\"te" };

struct fixture {
	struct synth y;
	struct cgm_store *store;
	struct cgm_events *events;
	struct cgm_http *http;
	int root_fd;
};

static struct fixture *setup_with(unsigned nr_ticks, bool legacy)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cgm_http_config config = { .listen_ip = "127.0.0.1", .version = "1.2.3", .machine_interval_ns = 1000000000, .interval_ns = 1000000000,
					  .legacy_status_codes = legacy };
	struct cgm_events_limits limits;

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
	cgm_events_limits_init(&limits);
	f->events = cgm_events_new(&limits, cgm_store_bell(f->store));
	assert_non_null(f->events);
	config.store = f->store;
	config.events = f->events;
	config.root_fd = f->root_fd;
	assert_int_equal(cgm_http_start(&config, &f->http), 0);
	assert_int_not_equal(cgm_http_port(f->http), 0);
	return f;
}

static struct fixture *setup(unsigned nr_ticks)
{
	return setup_with(nr_ticks, false);
}

static void teardown(struct fixture *f)
{
	cgm_http_stop(f->http);
	cgm_events_free(f->events);
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

/* ---- waiting ---- */

static void happen(struct fixture *f, enum cgm_record_type type, uint64_t time_ns, const char *name)
{
	cgm_events_add(f->events, &(struct cgm_happening){ .type = type, .time_ns = time_ns, .container = name, .number = -1 });
}

/* Reads until the text has come; what came is in raw. */
static void recv_until(int fd, struct cgm_buf *raw, const char *text)
{
	while (!raw->len || !memmem(raw->p, raw->len, text, strlen(text)))
		if (!recv_some(fd, raw, SIZE_MAX))
			fail_msg("the stream ended before \"%s\": %.*s", text, (int)raw->len, raw->p ? raw->p : "");
}

static int follow(struct fixture *f, const char *query)
{
	_cleanup_free_ char *request = cgm_asprintf("GET /api/v1.3/events%s HTTP/1.1\r\nHost: x\r\n\r\n", query);
	_cleanup_(cgm_buf_done) struct cgm_buf raw = { 0 };
	int fd = connect_to(cgm_http_port(f->http));

	send_all(fd, request, strlen(request));
	while (!raw.len || !memmem(raw.p, raw.len, "\r\n\r\n", 4))
		assert_true(recv_some(fd, &raw, 1));
	assert_non_null(memmem(raw.p, raw.len, "200 OK", 6));
	assert_non_null(memmem(raw.p, raw.len, "chunked", 7));
	return fd;
}

static void wait_for_streams(struct fixture *f, uint64_t nr)
{
	struct timespec pause = { .tv_nsec = 2000000 };
	struct cgm_events_stats s;

	for (unsigned i = 0; i < 2000; i++) {
		cgm_events_stats(f->events, &s);
		if (s.nr_streams == nr)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("%u streams instead of %u", (unsigned)s.nr_streams, (unsigned)nr);
}

static void test_http__events(void **state)
{
	struct fixture *f = setup(1);
	struct answer a;
	json_t *j;

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		happen(f, i % 3 ? CGM_RECORD_CREATION : CGM_RECORD_DELETION, SYNTH_FIRST_NS + i, i % 2 ? "/a" : "/b");
	a = get(f, "/api/v2.0/events/a?all_events=true", "");
	j = json_of(&a);
	assert_int_equal(json_array_size(j), 10);
	json_decref(j);
	done(&a);
	a = get(f, "/api/v2.1/events/?deletion_events=true&subcontainers=true&max_events=-1", "");
	j = json_of(&a);
	assert_int_equal(json_array_size(j), 10);
	json_decref(j);
	done(&a);
	a = get(f, "/api/v1.3/events", "");
	assert_string_equal(a.body.p, "[]");
	done(&a);
	a = get(f, "/api/v1.3/events?max_events=x", "");
	assert_error(&a, 400, "max_events");
	a = get(f, "/api/v1.3/events?start_time=1", "");
	assert_error(&a, 400, "start_time");
	teardown(f);
}

/* What comes is told at once, a line each; clients that leave, and a server that ends, leave nothing behind. */
static void test_http__events_stream(void **state)
{
	struct fixture *f = setup(1);
	_cleanup_(cgm_buf_done) struct cgm_buf raw = { 0 }, body = { 0 };
	struct answer a;
	json_t *j;
	int fds[3];

	(void)state;
	happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS, "/a/past");
	for (size_t i = 0; i < 3; i++)
		fds[i] = follow(f, i == 0 ? "/a?stream=true&creation_events=true&subcontainers=true" : "/a?stream=true&all_events=true");
	wait_for_streams(f, 3);
	happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS + 1, "/b");
	happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS + 2, "/a/x");
	recv_until(fds[0], &raw, "/a/x");
	happen(f, CGM_RECORD_DELETION, SYNTH_FIRST_NS + 3, "/a/x");
	happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS + 4, "/a/last");
	recv_until(fds[0], &raw, "/a/last");
	close(fds[1]); /* this one never had anything to send: the server finds out all the same */
	wait_for_streams(f, 2);
	/* The others are served meanwhile, by two threads. */
	a = get(f, "/healthz", "");
	assert_int_equal(a.status, 200);
	done(&a);
	teardown(f);
	(void)read_chunks(fds[0], &raw, 0, &body); /* a server that ends may break it off */
	for (size_t i = 0; i < 2; i++) {
		const char *line = i ? (const char *)memchr(body.p, '\n', body.len) + 1 : body.p;
		const char *end = memchr(line, '\n', body.len - (size_t)(line - body.p));

		assert_non_null(end);
		j = json_loadb(line, (size_t)(end - line), 0, NULL);
		assert_string_equal(json_string_value(json_object_get(j, "container_name")), i ? "/a/last" : "/a/x");
		json_decref(j);
	}
	close(fds[0]);
	close(fds[2]);
}

/* A client that does not read keeps up nobody, and is dropped when it has lost its place. */
static void test_http__events_stream_that_is_not_read(void **state)
{
	struct fixture *f = setup(1);
	struct cgm_events_stats s;
	struct timespec pause = { .tv_nsec = 1000000 };
	char name[2048];
	int fd;

	(void)state;
	memset(name, 'n', sizeof(name));
	memcpy(name, "/", 1);
	name[sizeof(name) - 1] = '\0';
	fd = follow(f, "?stream=true&all_events=true&subcontainers=true");
	wait_for_streams(f, 1);
	for (unsigned i = 0; i < 30; i++) {
		for (unsigned k = 0; k < CGM_EVENTS_TAIL; k++)
			happen(f, CGM_RECORD_CREATION, SYNTH_FIRST_NS + i, name);
		nanosleep(&pause, NULL);
	}
	/* It takes up again what its socket holds, and then learns that the rest is gone. */
	for (char buf[65536]; recv(fd, buf, sizeof(buf), 0) > 0;)
		;
	wait_for_streams(f, 0);
	cgm_events_stats(f->events, &s);
	assert_int_equal(s.nr_streams_dropped, 1);
	close(fd);
	teardown(f);
}

static void *publish_later(void *arg)
{
	struct fixture *f = arg;
	struct timespec pause = { .tv_nsec = 150000000 };
	struct cgm_snapshot *s;

	nanosleep(&pause, NULL);
	synth_tick(&f->y);
	s = synth_snapshot(&f->y);
	s->time_ns = cgm_clock_real_ns();
	cgm_store_publish(f->store, s);
	return NULL;
}

static void test_http__max_age_waits_for_the_next_sample(void **state)
{
	static const char *const paths[] = { "/api/v2.0/stats/a?max_age=0s&count=-1", "/api/v2.1/machinestats?max_age=10s&count=-1", "/metrics?max_age=0s" };
	struct fixture *f = setup(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		uint64_t began = cgm_clock_mono_ns();
		pthread_t thread;
		struct answer a;

		assert_int_equal(pthread_create(&thread, NULL, publish_later, f), 0);
		a = get(f, paths[i], "");
		assert_int_equal(a.status, 200);
		/* The sample of 10 s ago that the first round left will do for the second. */
		if (i != 1)
			assert_in_range(cgm_clock_mono_ns() - began, 100000000, 3000000000);
		else
			assert_true(cgm_clock_mono_ns() - began < 100000000);
		pthread_join(thread, NULL);
		done(&a);
	}
	teardown(f);
}

/* Clients that wait when the server ends get an answer, or none; nothing hangs. */
static void test_http__stop_while_somebody_waits(void **state)
{
	struct fixture *f = setup(1);
	struct timespec pause = { .tv_nsec = 50000000 };
	static const char request[] = "GET /api/v2.0/stats/a?max_age=0s HTTP/1.1\r\nHost: x\r\n\r\n";
	int fds[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = connect_to(cgm_http_port(f->http));
		send_all(fds[i], request, sizeof(request) - 1);
	}
	nanosleep(&pause, NULL);
	teardown(f);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* ---- as cAdvisor ---- */

static void test_http__legacy_status_codes(void **state)
{
	static const struct {
		const char *request;
		unsigned status;
		const char *says; /* in the body; with a redirect: the place */
	} cases[] = {
		{ "GET /nothing", 307, "Location: /containers/\r" },
		{ "GET /api", 307, "Location: /api/\r" },
		{ "GET /api/", 400, "Supported API versions: v1.0,v1.1,v1.2,v1.3,v2.0,v2.1\n" },
		{ "GET /api/v1.0", 400, "Supported request types: \"machine,containers\"\n" },
		{ "GET /api/v9.9", 500, "unsupported API version \"v9.9\"\n" },
		{ "GET /api/v2.0/machinestats", 500, "unknown request type \"machinestats\"\n" },
		{ "GET /api/v1.3/containers/nosuch", 500, "failed to get container \"/nosuch\" with error: unknown container \"/nosuch\"\n" },
		{ "GET /api/v1.3/docker/x", 500, "failed to get Docker container \"x\" with error: unable to find container \"x\" in \"docker\" namespace\n" },
		{ "GET /api/v2.0/stats/nosuch", 500, "unknown container \"/nosuch\"\n" },
		{ "GET /api/v2.0/stats/x?type=docker", 500, "unable to find container \"x\" in \"docker\" namespace\n" },
		{ "GET /api/v2.0/stats/?type=zzz", 500, "unknown 'type' \"zzz\"" },
		{ "GET /api/v2.0/stats/?count=x", 500, "failed to parse 'count' option: x" },
		{ "GET /api/v2.0/stats/?recursive=maybe", 200, "{" },
		{ "GET /api/v2.0/storage?label=docker-images", 500, "non-existent label \"docker-images\"\n" },
		{ "GET /api/v1.3/events/?max_events=x", 200, "[]" },
		{ "GET /metrics?count=x", 500, "count" },
		{ "DELETE /healthz", 200, "ok" },
		{ "PUT /api/v2.0/version", 200, "\"1.2.3\"" },
		{ "GET /api/cgmeter/waits/x", 404, "\"status\":404" },
		{ "GET /static/none", 404, "unknown file" },
	};
	struct fixture *f = setup_with(1, true);
	struct answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char request[256];

		snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: x\r\n\r\n", cases[i].request);
		a = ask(f, request);
		if (a.status != cases[i].status || !strstr(a.status == 307 ? a.head : a.body.p, cases[i].says))
			fail_msg("%s: %u %s%s", cases[i].request, a.status, a.head, a.body.p);
		if (a.status == 500)
			assert_non_null(header(&a, "Content-Type: text/plain"));
		done(&a);
	}
	a = post(f, "/api/v1.3/containers/", "{bad");
	assert_int_equal(a.status, 500);
	done(&a);
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
		cmocka_unit_test(test_http__events),
		cmocka_unit_test(test_http__events_stream),
		cmocka_unit_test(test_http__events_stream_that_is_not_read),
		cmocka_unit_test(test_http__max_age_waits_for_the_next_sample),
		cmocka_unit_test(test_http__stop_while_somebody_waits),
		cmocka_unit_test(test_http__legacy_status_codes),
		cmocka_unit_test(test_http_start__addresses),
		cmocka_unit_test(test_http_start__port_in_use),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
