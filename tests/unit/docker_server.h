/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server on a Unix socket that answers GET as it is told, in a thread of its own; and a cgm_runtime that notes what a driver tells it, in
 * place of names.c's. For tests of the driver of docker's API.
 */
#pragma once
#include "docker_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/clock.h"
#include "base/parse.h"
#include "identity/runtime.h"

#define MAX_ROUTES 24
#define MAX_CLIENTS 8

enum how { HOW_WHOLE, HOW_SILENT, HOW_CUT, HOW_CLOSED, HOW_ENDLESS };

struct route {
	char path[160]; /* as far as a "?" */
	unsigned status, nr_asked;
	enum how how;
	struct cgm_buf body;
};

struct mock {
	char dir[64], socket[96];
	int listen_fd, wake_fd, clients[MAX_CLIENTS];
	struct cgm_buf requests[MAX_CLIENTS];
	pthread_t thread;
	pthread_mutex_t lock;
	struct route routes[MAX_ROUTES];
	size_t nr_routes;
	int stream_fd; /* who listens to events; -1: nobody */
	bool ending;
};

/* Waits at most 10 s until the condition holds. */
#define mock_wait(condition)                                                          \
	do {                                                                          \
		uint64_t _end = cgm_clock_mono_ns() + 10 * CGM_NSEC_PER_SEC;          \
		while (!(condition)) {                                                \
			if (cgm_clock_mono_ns() > _end)                               \
				fail_msg("not within 10 s: %s", #condition);          \
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);    \
		}                                                                     \
	} while (0)

static inline void mock_send(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static inline void mock_answer(struct mock *m, int client, struct route *route)
{
	_cleanup_(cgm_buf_done) struct cgm_buf out = { 0 };
	int fd = m->clients[client];

	route->nr_asked++;
	if (route->how == HOW_SILENT)
		return;
	if (route->how == HOW_CLOSED) {
		close(fd);
		m->clients[client] = -1;
		return;
	}
	if (route->how == HOW_ENDLESS) {
		cgm_buf_printf(&out, "HTTP/1.1 %u X\r\nTransfer-Encoding: chunked\r\n\r\n", route->status);
		mock_send(fd, out.p, out.len);
		m->stream_fd = fd;
		return;
	}
	cgm_buf_printf(&out, "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", route->status, route->body.len);
	cgm_buf_put(&out, route->body.p, route->how == HOW_CUT ? route->body.len / 2 : route->body.len);
	mock_send(fd, out.p, out.len);
	if (route->how == HOW_CUT) {
		close(fd);
		m->clients[client] = -1;
	}
}

static inline struct route *mock_find(struct mock *m, struct cgm_str path)
{
	for (size_t i = 0; i < m->nr_routes; i++)
		if (cgm_str_eq(path, m->routes[i].path))
			return &m->routes[i];
	return NULL;
}

/* One GET is under way on a connection at a time. */
static inline void mock_request(struct mock *m, int client, const char *text, size_t len)
{
	static struct route missing = { .status = 404 };
	struct cgm_str line = { text, len }, word, path;

	cgm_next_token(&line, &word);
	cgm_next_token(&line, &path);
	cgm_next_field(&path, '?', &word);
	struct route *route = mock_find(m, word);

	mock_answer(m, client, route ? route : &missing);
}

static inline void mock_read(struct mock *m, int client)
{
	struct cgm_buf *in = &m->requests[client];
	char part[4096];
	ssize_t n = recv(m->clients[client], part, sizeof(part), 0);

	if (n <= 0) {
		if (m->stream_fd == m->clients[client])
			m->stream_fd = -1;
		close(m->clients[client]);
		m->clients[client] = -1;
		return;
	}
	cgm_buf_put(in, part, (size_t)n);
	if (in->len >= 4 && memcmp(in->p + in->len - 4, "\r\n\r\n", 4) == 0) {
		mock_request(m, client, in->p, in->len);
		in->len = 0;
	}
}

static inline void mock_accept(struct mock *m)
{
	int fd = accept4(m->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	for (int i = 0; i < MAX_CLIENTS && fd >= 0; i++)
		if (m->clients[i] < 0) {
			m->clients[i] = fd;
			m->requests[i].len = 0;
			return;
		}
	if (fd >= 0)
		close(fd);
}

static inline void *mock_main(void *arg)
{
	struct mock *m = arg;

	for (;;) {
		struct pollfd fds[2 + MAX_CLIENTS] = { { .fd = m->listen_fd, .events = POLLIN }, { .fd = m->wake_fd, .events = POLLIN } };

		pthread_mutex_lock(&m->lock);
		for (int i = 0; i < MAX_CLIENTS; i++)
			fds[2 + i] = (struct pollfd){ .fd = m->clients[i], .events = POLLIN };
		pthread_mutex_unlock(&m->lock);
		poll(fds, 2 + MAX_CLIENTS, -1);
		if (fds[1].revents)
			return NULL;
		pthread_mutex_lock(&m->lock);
		for (int i = 0; i < MAX_CLIENTS; i++)
			if (fds[2 + i].revents && m->clients[i] == fds[2 + i].fd)
				mock_read(m, i);
		if (fds[0].revents)
			mock_accept(m);
		pthread_mutex_unlock(&m->lock);
	}
}

/* Adds or replaces an answer; body is taken over. */
static inline void mock_set(struct mock *m, const char *path, unsigned status, enum how how, struct cgm_buf body)
{
	struct route *route;

	pthread_mutex_lock(&m->lock);
	route = mock_find(m, cgm_str(path));
	if (!route) {
		assert_true(m->nr_routes < MAX_ROUTES);
		route = &m->routes[m->nr_routes++];
		snprintf(route->path, sizeof(route->path), "%s", path);
	}
	cgm_buf_done(&route->body);
	route->status = status;
	route->how = how;
	route->body = body;
	pthread_mutex_unlock(&m->lock);
}

static inline struct cgm_buf mock_text(const char *text)
{
	struct cgm_buf b = { 0 };

	cgm_buf_str(&b, text);
	return b;
}

static inline unsigned mock_asked(struct mock *m, const char *path)
{
	unsigned nr;

	pthread_mutex_lock(&m->lock);
	struct route *route = mock_find(m, cgm_str(path));
	nr = route ? route->nr_asked : 0;
	pthread_mutex_unlock(&m->lock);
	return nr;
}

static inline bool mock_listens(struct mock *m)
{
	pthread_mutex_lock(&m->lock);
	bool there = m->stream_fd >= 0;

	pthread_mutex_unlock(&m->lock);
	return there;
}

/* Into the stream of events, in chunks of at most so many bytes, in one write. */
static inline void mock_push(struct mock *m, const char *p, size_t len, size_t chunk)
{
	_cleanup_(cgm_buf_done) struct cgm_buf out = { 0 };

	for (size_t at = 0; at < len; at += chunk) {
		size_t take = MIN(chunk, len - at);

		cgm_buf_printf(&out, "%zx\r\n", take);
		cgm_buf_put(&out, p + at, take);
		cgm_buf_lit(&out, "\r\n");
	}
	pthread_mutex_lock(&m->lock);
	mock_send(m->stream_fd, out.p, out.len);
	pthread_mutex_unlock(&m->lock);
}

static inline void mock_cut_stream(struct mock *m)
{
	pthread_mutex_lock(&m->lock);
	shutdown(m->stream_fd, SHUT_RDWR);
	pthread_mutex_unlock(&m->lock);
}

static inline void mock_start(struct mock *m)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	*m = (struct mock){ .stream_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };
	for (int i = 0; i < MAX_CLIENTS; i++)
		m->clients[i] = -1;
	snprintf(m->dir, sizeof(m->dir), "/tmp/cgmunit-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	snprintf(m->socket, sizeof(m->socket), "%s/api.sock", m->dir);
	memcpy(at.sun_path, m->socket, strlen(m->socket) + 1);
	m->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(m->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(m->listen_fd, 16), 0);
	m->wake_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&m->thread, NULL, mock_main, m), 0);
	mock_set(m, "/events", 200, HOW_ENDLESS, (struct cgm_buf){ 0 });
}

static inline void mock_stop(struct mock *m)
{
	assert_int_equal(eventfd_write(m->wake_fd, 1), 0);
	pthread_join(m->thread, NULL);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		if (m->clients[i] >= 0)
			close(m->clients[i]);
		cgm_buf_done(&m->requests[i]);
	}
	for (size_t i = 0; i < m->nr_routes; i++)
		cgm_buf_done(&m->routes[i].body);
	close(m->listen_fd);
	close(m->wake_fd);
	unlink(m->socket);
	rmdir(m->dir);
}

/* ---- what stands in for names.c ---- */

#define MAX_NOTED 2048

struct cgm_runtime {
	struct cgm_runtime_config config;
	const struct cgm_runtime_driver *driver;
	pthread_t thread;
	pthread_mutex_t lock;
	int wake_fd, result;
	bool stopping, over;
	char version[64], fault[CGM_RUNTIME_FAULT];
	struct cgm_who *learned[MAX_NOTED];
	char forgotten[MAX_NOTED][CGM_MAX_ID], wanted[64][CGM_MAX_ID];
	unsigned nr_learned, nr_forgotten, nr_wanted, nr_told, nr_listed, nr_learned_at_list, nr_calls, nr_failed, nr_lost, nr_connected;
};

const struct cgm_runtime_config *cgm_runtime_config(const struct cgm_runtime *r)
{
	return &r->config;
}

int cgm_runtime_wake_fd(const struct cgm_runtime *r)
{
	return r->wake_fd;
}

bool cgm_runtime_stopping(const struct cgm_runtime *r)
{
	return __atomic_load_n(&r->stopping, __ATOMIC_ACQUIRE);
}

void cgm_runtime_connected(struct cgm_runtime *r, const char *version)
{
	pthread_mutex_lock(&r->lock);
	snprintf(r->version, sizeof(r->version), "%s", version);
	r->nr_connected++;
	pthread_mutex_unlock(&r->lock);
}

void cgm_runtime_learn(struct cgm_runtime *r, struct cgm_who *who)
{
	pthread_mutex_lock(&r->lock);
	if (who && r->nr_learned < MAX_NOTED)
		r->learned[r->nr_learned++] = who;
	else
		r->nr_lost++;
	pthread_mutex_unlock(&r->lock);
}

void cgm_runtime_forget(struct cgm_runtime *r, const char *id)
{
	pthread_mutex_lock(&r->lock);
	if (r->nr_forgotten < MAX_NOTED)
		snprintf(r->forgotten[r->nr_forgotten++], CGM_MAX_ID, "%s", id);
	pthread_mutex_unlock(&r->lock);
}

void cgm_runtime_listed(struct cgm_runtime *r)
{
	pthread_mutex_lock(&r->lock);
	r->nr_listed++;
	r->nr_learned_at_list = r->nr_learned;
	pthread_mutex_unlock(&r->lock);
}

bool cgm_runtime_next_wanted(struct cgm_runtime *r, char id[CGM_MAX_ID])
{
	eventfd_t n;
	bool any;

	pthread_mutex_lock(&r->lock);
	(void)eventfd_read(r->wake_fd, &n);
	any = r->nr_told < r->nr_wanted;
	if (any)
		snprintf(id, CGM_MAX_ID, "%s", r->wanted[r->nr_told++]);
	pthread_mutex_unlock(&r->lock);
	return any;
}

void cgm_runtime_count_call(struct cgm_runtime *r, bool failed)
{
	pthread_mutex_lock(&r->lock);
	r->nr_calls++;
	r->nr_failed += failed;
	pthread_mutex_unlock(&r->lock);
}

static inline void *runtime_main(void *arg)
{
	struct cgm_runtime *r = arg;
	int result = r->driver->run(r, r->fault);

	pthread_mutex_lock(&r->lock);
	r->result = result;
	r->over = true;
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static inline struct cgm_runtime *runtime_start(const char *socket, const char *name, uint64_t timeout_ns)
{
	struct cgm_runtime *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->config = (struct cgm_runtime_config){ .name = name, .socket = socket, .env_whitelist = "APP_", .containerd_namespace = "", .timeout_ns = timeout_ns ? timeout_ns : 5000000000 };
	r->driver = &cgm_docker_driver;
	pthread_mutex_init(&r->lock, NULL);
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(pthread_create(&r->thread, NULL, runtime_main, r), 0);
	return r;
}

/* A number of r's, safely. */
#define runtime_nr(r, member)                        \
	({                                           \
		pthread_mutex_lock(&(r)->lock);      \
		unsigned _nr = (unsigned)(r)->member; \
		pthread_mutex_unlock(&(r)->lock);    \
		_nr;                                 \
	})

static inline void runtime_want(struct cgm_runtime *r, const char *id)
{
	pthread_mutex_lock(&r->lock);
	snprintf(r->wanted[r->nr_wanted++], CGM_MAX_ID, "%s", id);
	pthread_mutex_unlock(&r->lock);
	assert_int_equal(eventfd_write(r->wake_fd, 1), 0);
}

/* What it ended with by itself. */
static inline int runtime_join(struct cgm_runtime *r)
{
	mock_wait(runtime_nr(r, over));
	pthread_join(r->thread, NULL);
	return r->result;
}

/* Asks it to stop; what it ended with. */
static inline int runtime_stop(struct cgm_runtime *r)
{
	__atomic_store_n(&r->stopping, true, __ATOMIC_RELEASE);
	assert_int_equal(eventfd_write(r->wake_fd, 1), 0);
	return runtime_join(r);
}

static inline void runtime_free(struct cgm_runtime *r)
{
	for (unsigned i = 0; i < r->nr_learned; i++)
		cgm_who_unref(r->learned[i]);
	close(r->wake_fd);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
