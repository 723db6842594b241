// SPDX-License-Identifier: Apache-2.0
/* sim NODES PODS: serves a whole cluster on loopback, see README.md. Ends when its standard input does. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sim/cluster.h"

enum kind { KUBELET = 10255, API = 8001, INFLUX = 8086 };

struct conn {
	int fd;
	enum kind kind;
	bool listens;
	unsigned node;
	char head[4096];
	size_t head_len;
	uint64_t body_left; /* of a POST that is thrown away */
	struct cgm_buf out;
	size_t sent;
};

struct counts {
	uint64_t nr_summaries, nr_resources, nr_others, nr_writes, nr_lines, nr_bytes;
	uint64_t first_write_ns, last_write_ns; /* of the last burst: after a second without one */
};

static struct sim sim;
static struct counts counts;
static int epoll_fd;

static void drop(struct conn *c)
{
	close(c->fd);
	cgm_buf_done(&c->out);
	free(c);
}

static void watch(struct conn *c, uint32_t events, int op)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	if (epoll_ctl(epoll_fd, op, c->fd, &e) < 0)
		perror("epoll_ctl");
}

/* ---- answers ---- */

static size_t begin(struct conn *c, const char *status, const char *type)
{
	cgm_buf_printf(&c->out, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %10d\r\n\r\n", status, type, 0);
	return c->out.len;
}

static void end(struct conn *c, size_t body)
{
	char digits[16];

	snprintf(digits, sizeof(digits), "%10zu", c->out.len - body);
	memcpy(c->out.p + body - 14, digits, 10);
}

static unsigned param(const char *path, const char *name)
{
	const char *p = strstr(path, name);

	return p ? (unsigned)strtoul(p + strlen(name), NULL, 10) : 0;
}

static void answer_kubelet(struct conn *c, const char *method, const char *path)
{
	size_t body;

	sim.now_ns = cgm_clock_real_ns();
	if (strcmp(method, "GET") == 0 && strncmp(path, "/stats/summary", 14) == 0) {
		counts.nr_summaries++;
		body = begin(c, "200 OK", "application/json");
		sim_summary(&sim, c->node, &c->out);
	} else if (strcmp(path, "/metrics/resource") == 0) {
		counts.nr_resources++;
		body = begin(c, "200 OK", "text/plain; version=0.0.4");
		sim_resource(&sim, c->node, &c->out);
	} else {
		counts.nr_others++;
		body = begin(c, "404 Not Found", "text/plain");
		cgm_buf_lit(&c->out, "404 page not found\n");
	}
	end(c, body);
}

static void answer_api(struct conn *c, const char *path)
{
	unsigned from = param(path, "continue="), limit = param(path, "limit=");
	size_t body;

	if (strstr(path, "watch=1") || strstr(path, "watch=true")) { /* a watch that never has news */
		cgm_buf_lit(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
		return;
	}
	body = begin(c, "200 OK", "application/json");
	if (strncmp(path, "/api/v1/nodes", 13) == 0)
		sim_nodes(&sim, from, limit, &c->out);
	else if (strncmp(path, "/api/v1/pods", 12) == 0)
		sim_pods(&sim, from, limit, &c->out);
	else if (strncmp(path, "/api/v1/namespaces", 18) == 0)
		sim_namespaces(&sim, &c->out);
	else if (strncmp(path, "/sim", 4) == 0)
		cgm_buf_printf(&c->out, "{\"summaries\":%llu,\"resources\":%llu,\"others\":%llu,\"writes\":%llu,\"lines\":%llu,\"bytes\":%llu,\"first_write_ns\":%llu,\"last_write_ns\":%llu}",
			       (unsigned long long)counts.nr_summaries, (unsigned long long)counts.nr_resources, (unsigned long long)counts.nr_others, (unsigned long long)counts.nr_writes,
			       (unsigned long long)counts.nr_lines, (unsigned long long)counts.nr_bytes, (unsigned long long)counts.first_write_ns, (unsigned long long)counts.last_write_ns);
	else
		cgm_buf_lit(&c->out, "{\"kind\":\"Status\",\"status\":\"Failure\"}");
	end(c, body);
}

static void answer_influx(struct conn *c, const char *path)
{
	size_t body;

	if (strncmp(path, "/query", 6) != 0) {
		cgm_buf_lit(&c->out, "HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.6.7\r\n\r\n");
		return;
	}
	body = begin(c, "200 OK", "application/json");
	cgm_buf_lit(&c->out, "{\"results\":[{\"statement_id\":0}]}\n");
	end(c, body);
}

static void count_body(const char *p, size_t len)
{
	uint64_t now = cgm_clock_mono_ns();

	if (now - counts.last_write_ns > CGM_NSEC_PER_SEC)
		counts.first_write_ns = now;
	counts.last_write_ns = now;
	counts.nr_bytes += len;
	for (const char *end = p + len; (p = memchr(p, '\n', (size_t)(end - p))); p++)
		counts.nr_lines++;
}

/* ---- connections ---- */

static void flush_out(struct conn *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = write(c->fd, c->out.p + c->sent, c->out.len - c->sent);

		if (n < 0 && errno == EAGAIN) {
			watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
			return;
		}
		if (n < 0)
			break;
		c->sent += (size_t)n;
	}
	if (c->out.cap > 65536) /* thousands of connections: none keeps its answer's memory */
		cgm_buf_done(&c->out);
	c->out.len = c->sent = 0;
	watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void handle(struct conn *c)
{
	char method[8] = "", path[2048] = "";
	const char *length = strcasestr(c->head, "\r\nContent-Length:");

	sscanf(c->head, "%7s %2047s", method, path);
	c->body_left = length ? strtoull(length + 17, NULL, 10) : 0;
	if (strcasestr(c->head, "\r\nExpect: 100-continue"))
		cgm_buf_lit(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	counts.nr_writes += c->kind == INFLUX && strncmp(path, "/write", 6) == 0;
	if (c->kind == KUBELET)
		answer_kubelet(c, method, path);
	else if (c->kind == API)
		answer_api(c, path);
	else
		answer_influx(c, path);
}

/* What came: the body of the request before, or a head. */
static void take(struct conn *c, const char *p, size_t len)
{
	while (len) {
		size_t n = c->body_left < len ? (size_t)c->body_left : len;
		char *stop;

		if (n) {
			if (c->kind == INFLUX)
				count_body(p, n);
			c->body_left -= n;
			p += n;
			len -= n;
			continue;
		}
		n = len < sizeof(c->head) - 1 - c->head_len ? len : sizeof(c->head) - 1 - c->head_len;
		memcpy(c->head + c->head_len, p, n);
		c->head[c->head_len + n] = '\0';
		stop = strstr(c->head, "\r\n\r\n");
		if (!stop) {
			c->head_len += n;
			return;
		}
		n = (size_t)(stop + 4 - c->head) - c->head_len;
		stop[2] = '\0';
		c->head_len = 0;
		p += n;
		len -= n;
		handle(c);
	}
	if (!c->body_left)
		flush_out(c);
}

static void on_readable(struct conn *c)
{
	static char bytes[1 << 18];
	ssize_t n = read(c->fd, bytes, sizeof(bytes));

	if (n > 0)
		take(c, bytes, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		drop(c);
}

static void on_accept(struct conn *listener)
{
	struct sockaddr_in a;
	socklen_t size = sizeof(a);
	struct conn *c = cgm_calloc(1, sizeof(*c));
	int on = 1;

	if (!c)
		return;
	c->fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c->fd < 0 || getsockname(c->fd, (struct sockaddr *)&a, &size) < 0) {
		free(c);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->kind = listener->kind;
	c->node = sim_node_of(ntohl(a.sin_addr.s_addr));
	watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

static void listen_on(enum kind kind, uint32_t address)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)kind), .sin_addr.s_addr = htonl(address) };
	struct conn *c = cgm_calloc(1, sizeof(*c));
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->kind = kind;
	c->listens = true;
	setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(c->fd, 4096) < 0) {
		perror("listen");
		exit(1);
	}
	watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

int main(int argc, char *argv[])
{
	struct rlimit files = { 65536, 65536 };
	struct conn input = { .fd = STDIN_FILENO };

	if (argc != 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &files);
	sim = (struct sim){ .nr_nodes = (unsigned)strtoul(argv[1], NULL, 10), .nr_pods = (unsigned)strtoul(argv[2], NULL, 10), .start_ns = cgm_clock_real_ns() - 3600 * CGM_NSEC_PER_SEC };
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	watch(&input, EPOLLIN, EPOLL_CTL_ADD);
	listen_on(API, INADDR_LOOPBACK);
	listen_on(INFLUX, INADDR_LOOPBACK);
	listen_on(KUBELET, INADDR_ANY); /* of a network namespace that has nothing but loopback */
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct epoll_event events[256];
		int n = epoll_wait(epoll_fd, events, 256, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (c == &input)
				return 0;
			if (c->listens)
				on_accept(c);
			else if (events[i].events & EPOLLOUT)
				flush_out(c);
			else
				on_readable(c);
		}
	}
}
