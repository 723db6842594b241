// SPDX-License-Identifier: Apache-2.0
/*
 * cAdvisor's series as gauges, "db.container.series:value|g", by UDP (several lines a datagram) or TCP. statsd knows no times, so each tick
 * is sent at once; what is sent late counts as of then, and the newest comes last. A datagram is gone when it is sent: only a host that says
 * that nobody listens is an error, and the datagram before the one that meets it is lost without a sign.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sink/config.h"
#include "sink/net.h"
#include "sink/series.h"
#include "sink/text.h"

#define DATAGRAM 1432 /* fits any Ethernet, IPv6 and a tunnel included */

struct state {
	const char *db;
	char host[CGM_HOST_BYTES];
	uint16_t port;
	bool tcp;
	/* the sender's */
	int fd;
	size_t done; /* of the batch under way: whole lines */
};

static int statsd_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	const char *address = *c->statsd_host ? c->statsd_host : c->host;
	_cleanup_free_ struct state *s = cgm_calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = -1;
	s->db = c->db;
	s->tcp = strcmp(c->statsd_protocol, "tcp") == 0;
	if (!s->tcp && strcmp(c->statsd_protocol, "udp") != 0)
		return cgm_sink_bad("--storage_driver_statsd_protocol", ret_flag, fault, "takes udp or tcp");
	if (cgm_split_host(address, 8125, s->host, &s->port) < 0)
		return cgm_sink_bad(*c->statsd_host ? "--storage_driver_statsd_host" : "--storage_driver_host", ret_flag, fault,
				    "\"%.100s\" is no host:port", address);
	*ret = TAKE_PTR(s);
	return 0;
}

static void statsd_close(void *state)
{
	struct state *s = state;

	cgm_closep(&s->fd);
	free(s);
}

struct line {
	struct cgm_buf *out;
	const char *db, *container;
};

static void put_point(void *arg, const struct cgm_series_point *p)
{
	const struct line *l = arg;

	cgm_text_statsd(l->out, l->db);
	cgm_buf_char(l->out, '.');
	cgm_text_statsd(l->out, l->container);
	cgm_buf_char(l->out, '.');
	if (p->device) {
		cgm_text_statsd(l->out, p->device);
		cgm_buf_char(l->out, '.');
	}
	cgm_buf_str(l->out, p->name);
	cgm_buf_str(l->out, p->suffix);
	cgm_buf_char(l->out, ':');
	cgm_buf_u64(l->out, p->value);
	cgm_buf_lit(l->out, "|g\n");
}

static uint64_t statsd_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	struct line l = { .out = out, .db = ((const struct state *)state)->db, .container = cgm_identity_shown(s->row->identity) };

	return cgm_series_each(s, CGM_IN_STATSD, put_point, &l);
}

/* The whole lines that fit, at least one; a line is a few hundred bytes. */
static size_t next_piece(const char *p, size_t len, size_t room)
{
	size_t end = 0;

	while (end < len) {
		const char *newline = memchr(p + end, '\n', len - end);
		size_t next = newline ? (size_t)(newline + 1 - p) : len;

		if (end && next > room)
			break;
		end = next;
	}
	return end;
}

static int send_datagram(struct state *s, const struct cgm_sink_attempt *a, const char *p, size_t len)
{
	for (;;) {
		if (send(s->fd, p, len - 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) /* without the last newline: then there is no empty metric */
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != ENOBUFS)
			return -errno;
		if (errno == ENOBUFS) /* the interface's queue: nothing tells when it has room */
			(void)cgm_sink_poll(a->stop, -1, 0, cgm_clock_mono_ns() + 10 * CGM_NSEC_PER_MSEC);
		else
			(void)cgm_sink_poll(a->stop, s->fd, POLLOUT, a->until_ns);
		if (!cgm_sink_left_msec(a->stop, a->until_ns))
			return -ETIMEDOUT;
	}
}

static int send_stream(struct state *s, const struct cgm_sink_attempt *a, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(s->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN && !cgm_sink_poll(a->stop, s->fd, POLLOUT, a->until_ns))
			return -ETIMEDOUT;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A server that has closed is found out before it is written to: what is written then is lost without a word. */
static bool is_closed(const struct state *s)
{
	char byte;
	ssize_t n = recv(s->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static enum cgm_sink_result statsd_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;
	size_t len;
	int r;

	if (a->first)
		s->done = 0;
	if (s->fd >= 0 && s->tcp && is_closed(s))
		cgm_closep(&s->fd), s->fd = -1;
	if (s->fd < 0)
		s->fd = cgm_sink_connect(a->stop, s->host, s->port, s->tcp ? SOCK_STREAM : SOCK_DGRAM, a->until_ns, a->fault);
	if (s->fd < 0)
		return CGM_SINK_AGAIN;
	for (; s->done < a->len; s->done += len) {
		len = next_piece(a->data + s->done, a->len - s->done, DATAGRAM + 1);
		r = s->tcp ? send_stream(s, a, a->data + s->done, len) : send_datagram(s, a, a->data + s->done, len);
		if (r == 0)
			continue;
		if (s->tcp) {
			close(s->fd); /* in the middle of a line, maybe: it is sent again from its beginning */
			s->fd = -1;
		}
		return cgm_sink_again(a, "cannot send to %s port %u: %s", s->host, s->port, strerror(-r));
	}
	return CGM_SINK_WRITTEN;
}

const struct cgm_sink_driver cgm_sink_statsd = {
	.name = "statsd",
	.at_once = true,
	.open = statsd_open,
	.close = statsd_close,
	.encode = statsd_encode,
	.send = statsd_send,
};
