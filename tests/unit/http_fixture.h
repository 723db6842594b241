/* SPDX-License-Identifier: Apache-2.0 */
/* A server on a free port with a made-up snapshot, and a small client on plain sockets. */
#pragma once
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

static const char *const http_names[] = { "/", "/a", "/a/b c", "/quo\"te" };

struct fixture {
	struct synth y;
	struct cgm_store *store;
	struct cgm_events *events;
	struct cgm_http *http;
	int root_fd;
};

static inline struct fixture *setup_with(unsigned nr_ticks, bool legacy)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cgm_http_config config = { .listen_ip = "127.0.0.1", .version = "1.2.3", .machine_interval_ns = 1000000000, .interval_ns = 1000000000,
					  .legacy_status_codes = legacy };
	struct cgm_events_limits limits;

	assert_non_null(f);
	synth_init(&f->y, http_names, ARRAY_SIZE(http_names));
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

static inline struct fixture *setup(unsigned nr_ticks)
{
	return setup_with(nr_ticks, false);
}

static inline void teardown(struct fixture *f)
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

static inline int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline void send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the server may close early, its answer tells */
		p += n;
		len -= (size_t)n;
	}
}

static inline bool recv_some(int fd, struct cgm_buf *b, size_t most)
{
	char buf[65536];
	ssize_t n = recv(fd, buf, MIN(most, sizeof(buf)), 0);

	if (n > 0)
		cgm_buf_put(b, buf, (size_t)n);
	return n > 0;
}

static inline const char *header(const struct answer *a, const char *name)
{
	const char *p = strcasestr(a->head, name);

	return p ? p + strlen(name) : NULL;
}

/* Takes what is left of a chunked body out of raw, from offset. False: it broke off. */
static inline bool read_chunks(int fd, struct cgm_buf *raw, size_t at, struct cgm_buf *body)
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

static inline struct answer read_answer(int fd, bool no_body)
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

static inline struct answer ask(struct fixture *f, const char *request)
{
	_cleanup_close_ int fd = connect_to(cgm_http_port(f->http));

	send_all(fd, request, strlen(request));
	return read_answer(fd, strncmp(request, "HEAD ", 5) == 0);
}

static inline struct answer get(struct fixture *f, const char *path, const char *headers)
{
	char request[2048];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, headers);
	return ask(f, request);
}

static inline struct answer post(struct fixture *f, const char *path, const char *body)
{
	_cleanup_free_ char *request = cgm_asprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path, strlen(body), body);

	assert_non_null(request);
	return ask(f, request);
}

static inline void done(struct answer *a)
{
	cgm_buf_done(&a->body);
}

static inline json_t *json_of(const struct answer *a)
{
	json_error_t e;
	json_t *j = json_loadb(a->body.p, a->body.len, 0, &e);

	if (!j)
		fail_msg("%s: %.200s", e.text, a->body.p);
	return j;
}

static inline void assert_error(struct answer *a, unsigned status, const char *says)
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

static inline void inflate_answer(struct answer *a)
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
