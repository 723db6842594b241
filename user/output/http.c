// SPDX-License-Identifier: Apache-2.0
/* The server: its socket, its threads, and the way of a request from its first byte to a handler. */
#include "output/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "output/request.h"

#define NR_THREADS 2
#define NICE 5 /* behind the sampler, which must be on time */
#define MAX_HEAD_BYTES (32 * 1024) /* memory of a connection: head of the request, and what is sent */
#define MAX_DISCARDED_BYTES (1024 * 1024) /* of a body that is too large: then the connection is closed */

/* ---- the socket ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "" is the unspecified IPv6 address, which takes IPv4 as well. Brackets around an IPv6 address are allowed. */
static int parse_address(const char *ip, uint16_t port, union address *ret)
{
	char bare[INET6_ADDRSTRLEN + 1];
	size_t len = strlen(ip);

	*ret = (union address){ .any.sa_family = AF_UNSPEC };
	if (len > 2 && ip[0] == '[' && ip[len - 1] == ']') {
		ip++;
		len -= 2;
	}
	if (len >= sizeof(bare))
		return -EINVAL;
	memcpy(bare, ip, len);
	bare[len] = '\0';
	if (inet_pton(AF_INET, bare, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		return 0;
	}
	if (len && inet_pton(AF_INET6, bare, &ret->v6.sin6_addr) != 1)
		return -EINVAL;
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	return 0;
}

static int listen_on(const union address *a)
{
	socklen_t size = a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
	_cleanup_close_ int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, off = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (a->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -errno;
	if (bind(fd, &a->any, size) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int open_socket(const char *ip, uint16_t port)
{
	union address a;
	int fd;

	if (parse_address(ip, port, &a) < 0) {
		cgm_log(CGM_LOG_ERROR, "listen_ip \"%s\" is neither an IPv4 nor an IPv6 address", ip);
		return -EINVAL;
	}
	fd = listen_on(&a);
	if (!*ip && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)) { /* IPv6 is switched off */
		a.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
		fd = listen_on(&a);
	}
	if (fd == -EADDRINUSE)
		cgm_log(CGM_LOG_ERROR, "port %u of %s is in use by another program; choose another one with --port", port, *ip ? ip : "this machine");
	else if (fd < 0)
		cgm_log(CGM_LOG_ERROR, "cannot listen on %s port %u: %s", *ip ? ip : "all addresses", port, strerror(-fd));
	return fd;
}

static uint16_t port_of(int fd)
{
	union address a = { .any.sa_family = AF_UNSPEC };
	socklen_t size = sizeof(a);

	if (getsockname(fd, &a.any, &size) < 0)
		return 0;
	return ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
}

/* ---- a connection ---- */

/* May the client have one more? */
static enum MHD_Result on_accept(void *cls, const struct sockaddr *addr, socklen_t size)
{
	struct cgm_http *h = cls;

	(void)size;
	return cgm_limits_admit(&h->limits, addr) ? MHD_YES : MHD_NO;
}

/* The first time on each of the server's threads: it makes way for the sampler. */
static void lower_priority(void)
{
	static _Thread_local bool lowered;

	if (!lowered)
		(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	lowered = true;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **peer, enum MHD_ConnectionNotificationCode code)
{
	struct cgm_http *h = cls;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		cgm_limits_close(&h->limits, *peer);
		*peer = NULL;
		return;
	}
	lower_priority();
	*peer = cgm_limits_open(&h->limits, h, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
				MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
}

/* ---- a request ---- */

/* First of all: the URI as it came. What is returned here is the request's state until request_done. */
static void *request_new(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct cgm_peer *peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	struct cgm_request *rq = peer ? cgm_calloc(1, sizeof(*rq)) : NULL;

	if (!rq)
		return NULL;
	cgm_peer_set_phase(peer, CGM_PHASE_REQUEST);
	rq->http = cls;
	rq->connection = connection;
	rq->peer = peer;
	rq->fault = cgm_path_fault(uri);
	if (cgm_auth_wants_uri(rq->http->auth))
		rq->raw_uri = cgm_strdup(uri);
	for (const char *p = uri; *p && *p != '?'; p++)
		rq->nr_slashes += *p == '/';
	return rq;
}

static void request_done(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
	struct cgm_request *rq = *state;

	(void)cls, (void)connection, (void)code;
	*state = NULL;
	if (!rq)
		return;
	if (rq->follows && rq->peer && cgm_peer_dropped(rq->peer)) /* the limits have ended it */
		cgm_events_count_stuck(rq->http->config.events);
	cgm_peer_set_phase(rq->peer, CGM_PHASE_WAITING);
	cgm_auth_forget(rq);
	cgm_buf_done(&rq->body);
	free(rq->raw_uri);
	free(rq->path);
	free(rq);
}

/* Takes --url_base_prefix off, where it stands. */
static void cut_prefix(struct cgm_request *rq)
{
	const char *prefix = rq->http->config.url_base_prefix;
	size_t len = prefix ? strlen(prefix) : 0;
	char *path = rq->path;

	if (!len || strncmp(path, prefix, len) != 0 || (path[len] != '/' && path[len]))
		return;
	if (path[len])
		memmove(path, path + len, strlen(path + len) + 1);
	else
		path[1] = '\0';
	rq->prefix = prefix;
	for (const char *p = prefix; *p; p++)
		rq->nr_slashes -= *p == '/' && rq->nr_slashes > 1;
}

/* The metrics stand where --prometheus_endpoint says, and nowhere else. */
static const struct cgm_route *find_route(struct cgm_request *rq)
{
	static const char ours[] = "/metrics";
	const char *endpoint = rq->http->config.prometheus_endpoint;
	size_t len = endpoint ? strlen(endpoint) : 0;

	while (len > 1 && endpoint[len - 1] == '/')
		len--;
	if (len && strlen(rq->path) == len && memcmp(rq->path, endpoint, len) == 0)
		return cgm_route_find(ours, &rq->rest);
	return len && strcmp(rq->path, ours) == 0 ? NULL : cgm_route_find(rq->path, &rq->rest);
}

/* The head of a request is here. An answer given now would end the connection (its body could not be told from the next request). */
static enum MHD_Result on_head(struct cgm_request *rq, const char *url, const char *method)
{
	const char *length = cgm_request_header(rq, MHD_HTTP_HEADER_CONTENT_LENGTH), *rest;

	rq->head_seen = true;
	rq->head_only = cgm_method_of(method) == CGM_HEAD;
	if (length && strtoull(length, NULL, 10) > CGM_MAX_BODY_BYTES)
		return cgm_answer_error(rq, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than %d bytes", CGM_MAX_BODY_BYTES);
	rq->path = cgm_strdup(url);
	if (!rq->path)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	rq->slash = *url && url[strlen(url) - 1] == '/';
	cgm_path_clean(rq->path);
	cut_prefix(rq);
	if (rq->http->config.served)
		return MHD_YES;
	rq->version = cgm_path_version(rq->path, &rest);
	rq->route = find_route(rq);
	return MHD_YES;
}

/* A body without a length may turn out too large on the way: the rest is read and thrown away, within reason, to be able to say so. */
static enum MHD_Result on_body(struct cgm_request *rq, const char *data, size_t *size)
{
	rq->body_seen += *size;
	if (rq->body_seen > MAX_DISCARDED_BYTES)
		return MHD_NO;
	if (rq->body_seen <= CGM_MAX_BODY_BYTES && (rq->http->config.served || (rq->route && rq->route->methods & CGM_POST)))
		cgm_buf_put(&rq->body, data, *size);
	*size = 0;
	return MHD_YES;
}

/* The whole request is here. */
static enum MHD_Result dispatch(struct cgm_request *rq, const char *method)
{
	enum cgm_auth_verdict verdict;

	cgm_peer_set_phase(rq->peer, CGM_PHASE_WORK);
	verdict = cgm_auth_check(rq->http->auth, rq, method);
	if (verdict == CGM_AUTH_LATER)
		return MHD_YES;
	if (verdict != CGM_AUTH_OPEN)
		return cgm_answer_auth(rq, verdict);
	if (rq->fault)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", rq->fault);
	if (!rq->route && !rq->http->config.served)
		return cgm_answer_unknown_path(rq);
	if (rq->route && !(rq->route->methods & cgm_method_of(method)) && !rq->http->config.legacy_status_codes)
		return cgm_answer_error(rq, MHD_HTTP_METHOD_NOT_ALLOWED, "method %.32s is not allowed for \"%s\"", method, rq->path);
	if (rq->body_seen > CGM_MAX_BODY_BYTES)
		return cgm_answer_error(rq, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than %d bytes", CGM_MAX_BODY_BYTES);
	if (rq->body.failed)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	return rq->route ? rq->route->handler(rq) : cgm_answer_served(rq, method);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
				  const char *data, size_t *size, void **state)
{
	struct cgm_request *rq = *state;

	(void)cls, (void)connection, (void)version;
	if (!rq)
		return MHD_NO;
	if (!rq->head_seen)
		return on_head(rq, url, method);
	if (*size)
		return on_body(rq, data, size);
	return dispatch(rq, method);
}

/* ---- the server ---- */

/* What the library answers by itself, before a request is one, is known by its log alone. */
static void count_fault(struct cgm_http *h, const char *line)
{
	static const char begins[] = "Error processing request (HTTP response code is ";

	if (strncmp(line, begins, sizeof(begins) - 1) != 0)
		return;
	cgm_answer_count(&h->stats, (unsigned)strtoul(line + sizeof(begins) - 1, NULL, 10));
	cgm_http_count(&h->stats.rejects[CGM_HTTP_REJECT_MALFORMED]);
}

static void on_log(void *cls, const char *fmt, va_list ap)
{
	char line[256];
	int len = vsnprintf(line, sizeof(line), fmt, ap);

	if (len > 0 && line[MIN((size_t)len, sizeof(line) - 1) - 1] == '\n')
		line[MIN((size_t)len, sizeof(line) - 1) - 1] = '\0';
	count_fault(cls, line);
	cgm_log(CGM_LOG_DEBUG, "http: %s", line);
}

/* The threads start with all signals blocked: they belong to the main loop. Time is cgm_limits' matter. */
static struct MHD_Daemon *start_daemon(struct cgm_http *h, int fd)
{
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, h->tls ? (void *)cgm_tls_choose(h->tls) : NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)cgm_tls_priorities },
		{ MHD_OPTION_END, 0, NULL },
	};
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME | (h->tls ? MHD_USE_TLS : 0);
	sigset_t all, before;
	struct MHD_Daemon *d;

	if (!h->tls)
		tls[0].option = MHD_OPTION_END;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	d = MHD_start_daemon(flags, 0, on_accept, h, on_request, h, /* options: */
			     MHD_OPTION_EXTERNAL_LOGGER, on_log, h, MHD_OPTION_LISTEN_SOCKET, fd,
			     MHD_OPTION_THREAD_POOL_SIZE, (unsigned)NR_THREADS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MAX_HEAD_BYTES,
			     MHD_OPTION_CONNECTION_LIMIT, (unsigned)h->limits.bounds.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
			     MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_ARRAY, tls,
			     MHD_OPTION_URI_LOG_CALLBACK, request_new, h, MHD_OPTION_NOTIFY_COMPLETED, request_done, NULL, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return d;
}

/* Now and then, in the thread of cgm_limits. */
static void look_at_files(void *arg)
{
	struct cgm_http *h = arg;
	bool force = __atomic_exchange_n(&h->reload, false, __ATOMIC_RELAXED);

	cgm_tls_reload(h->tls, force);
	cgm_auth_reload(h->auth, force);
}

static void http_free(struct cgm_http *h)
{
	if (!h)
		return;
	cgm_auth_stop(h->auth);
	if (h->waits)
		cgm_waiters_stop(&h->waiters); /* the server must not be stopped while connections are suspended */
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	if (h->waits)
		cgm_waiters_done(&h->waiters);
	if (h->limited)
		cgm_limits_stop(&h->limits);
	cgm_tls_close(h->tls);
	cgm_auth_close(h->auth);
	cgm_scrape_done(&h->scrape);
	cgm_facts_cache_done(&h->facts);
	free(h);
}
DEFINE_CLEANUP(cgm_http, http_free)

/* All but the socket. */
static int prepare(struct cgm_http *h)
{
	const struct cgm_http_config *c = &h->config;
	struct cgm_tls_config tls = { c->tls_cert_file, c->tls_key_file, c->tls_client_ca_file, c->client_ca_file, c->auth.review.headers.ca_file };
	int r = cgm_tls_open(&tls, &h->stats, &h->tls);

	if (r == 0)
		r = cgm_auth_open(&c->auth, &h->stats, &h->auth);
	if (r == 0) {
		r = cgm_limits_start(&h->limits, &c->limits, &h->stats, h->tls || h->auth ? look_at_files : NULL, h);
		h->limited = true;
	}
	return r;
}

int cgm_http_start(const struct cgm_http_config *config, struct cgm_http **ret)
{
	_cleanup_(cgm_http_freep) struct cgm_http *h = cgm_calloc(1, sizeof(*h));
	int fd, r;

	if (!h)
		return -ENOMEM;
	h->config = *config;
	cgm_scrape_init(&h->scrape);
	cgm_facts_cache_init(&h->facts, config->root_fd, config->machine_interval_ns);
	r = prepare(h);
	if (r < 0)
		return r;
	fd = open_socket(config->listen_ip ? config->listen_ip : "", config->port);
	if (fd < 0)
		return fd;
	h->port = port_of(fd);
	r = config->store ? cgm_waiters_start(&h->waiters, cgm_store_bell(config->store)) : 0; /* without samples nobody waits for one */
	if (r < 0) {
		cgm_log(CGM_LOG_ERROR, "the HTTP server did not start: %s", strerror(-r));
		close(fd);
		return r;
	}
	h->waits = config->store != NULL;
	h->daemon = start_daemon(h, fd); /* closes the socket, also when it fails */
	if (!h->daemon) {
		cgm_log(CGM_LOG_ERROR, "the HTTP server did not start");
		return -ENOMEM;
	}
	*ret = TAKE_PTR(h);
	return 0;
}

void cgm_http_stop(struct cgm_http *h)
{
	http_free(h);
}

uint16_t cgm_http_port(const struct cgm_http *h)
{
	return h->port;
}

void cgm_http_reload(struct cgm_http *h)
{
	__atomic_store_n(&h->reload, true, __ATOMIC_RELAXED);
	cgm_limits_hurry(&h->limits);
}

void cgm_http_stats_read(const struct cgm_http *h, struct cgm_http_stats *ret)
{
	const uint64_t *from = h ? (const uint64_t *)&h->stats : NULL;
	uint64_t *to = (uint64_t *)ret;

	_Static_assert(sizeof(*ret) % sizeof(*to) == 0, "only counters");
	for (size_t i = 0; i < sizeof(*ret) / sizeof(*to); i++)
		to[i] = from ? __atomic_load_n(&from[i], __ATOMIC_RELAXED) : 0;
}
