// SPDX-License-Identifier: Apache-2.0
/* The server: its socket, its threads, and the way of a request from its first byte to a handler. */
#include "output/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "output/request.h"

#define NR_THREADS 2
#define MAX_CONNECTIONS 256
#define IDLE_SECONDS 30
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

/* ---- a request ---- */

/* First of all: the URI as it came. What is returned here is the request's state until request_done. */
static void *request_new(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct cgm_request *rq = cgm_calloc(1, sizeof(*rq));

	if (!rq)
		return NULL;
	rq->http = cls;
	rq->connection = connection;
	rq->fault = cgm_path_fault(uri);
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
	cgm_buf_done(&rq->body);
	free(rq->path);
	free(rq);
}

/* The head of a request is here. An answer given now would end the connection (its body could not be told from the next request). */
static enum MHD_Result on_head(struct cgm_request *rq, const char *url, const char *method)
{
	const char *length = cgm_request_header(rq, MHD_HTTP_HEADER_CONTENT_LENGTH);

	rq->head_seen = true;
	rq->head_only = cgm_method_of(method) == CGM_HEAD;
	if (length && strtoull(length, NULL, 10) > CGM_MAX_BODY_BYTES)
		return cgm_answer_error(rq, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than %d bytes", CGM_MAX_BODY_BYTES);
	rq->path = cgm_strdup(url);
	if (!rq->path)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	cgm_path_clean(rq->path);
	rq->route = cgm_route_find(rq->path, &rq->rest);
	return MHD_YES;
}

/* A body without a length may turn out too large on the way: the rest is read and thrown away, within reason, to be able to say so. */
static enum MHD_Result on_body(struct cgm_request *rq, const char *data, size_t *size)
{
	rq->body_seen += *size;
	if (rq->body_seen > MAX_DISCARDED_BYTES)
		return MHD_NO;
	if (rq->body_seen <= CGM_MAX_BODY_BYTES && rq->route && rq->route->methods & CGM_POST)
		cgm_buf_put(&rq->body, data, *size);
	*size = 0;
	return MHD_YES;
}

/* The whole request is here. */
static enum MHD_Result dispatch(struct cgm_request *rq, const char *method)
{
	if (rq->fault)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", rq->fault);
	if (!rq->route)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown path \"%s\"", rq->path);
	if (!(rq->route->methods & cgm_method_of(method)))
		return cgm_answer_error(rq, MHD_HTTP_METHOD_NOT_ALLOWED, "method %.32s is not allowed for \"%s\"", method, rq->path);
	if (rq->body_seen > CGM_MAX_BODY_BYTES)
		return cgm_answer_error(rq, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than %d bytes", CGM_MAX_BODY_BYTES);
	if (rq->body.failed)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	return rq->route->handler(rq);
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

static void on_log(void *cls, const char *fmt, va_list ap)
{
	char line[256];
	int len = vsnprintf(line, sizeof(line), fmt, ap);

	(void)cls;
	if (len > 0 && line[MIN((size_t)len, sizeof(line) - 1) - 1] == '\n')
		line[MIN((size_t)len, sizeof(line) - 1) - 1] = '\0';
	cgm_log(CGM_LOG_DEBUG, "http: %s", line);
}

/* The threads start with all signals blocked: they belong to the main loop. */
static struct MHD_Daemon *start_daemon(struct cgm_http *h, int fd)
{
	sigset_t all, before;
	struct MHD_Daemon *d;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h, /* options: */
			     MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
			     MHD_OPTION_THREAD_POOL_SIZE, (unsigned)NR_THREADS,
			     MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
			     MHD_OPTION_URI_LOG_CALLBACK, request_new, h, MHD_OPTION_NOTIFY_COMPLETED, request_done, NULL, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return d;
}

int cgm_http_start(const struct cgm_http_config *config, struct cgm_http **ret)
{
	_cleanup_free_ struct cgm_http *h = cgm_calloc(1, sizeof(*h));
	int fd;

	if (!h)
		return -ENOMEM;
	h->config = *config;
	fd = open_socket(config->listen_ip ? config->listen_ip : "", config->port);
	if (fd < 0)
		return fd;
	h->port = port_of(fd);
	cgm_scrape_init(&h->scrape);
	cgm_facts_cache_init(&h->facts, config->root_fd, config->machine_interval_ns);
	h->daemon = start_daemon(h, fd); /* closes the socket, also when it fails */
	if (!h->daemon) {
		cgm_log(CGM_LOG_ERROR, "the HTTP server did not start");
		cgm_scrape_done(&h->scrape);
		cgm_facts_cache_done(&h->facts);
		return -ENOMEM;
	}
	*ret = TAKE_PTR(h);
	return 0;
}

void cgm_http_stop(struct cgm_http *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon);
	cgm_scrape_done(&h->scrape);
	cgm_facts_cache_done(&h->facts);
	free(h);
}

uint16_t cgm_http_port(const struct cgm_http *h)
{
	return h->port;
}
