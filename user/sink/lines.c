// SPDX-License-Identifier: Apache-2.0
#include "sink/lines.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "sink/net.h"

#define DATAGRAM 1432 /* fits any Ethernet, IPv6 and a tunnel included */
#define DRAIN_MSEC 2 /* between two looks at what the server has not taken yet */

void cgm_lines_close(struct cgm_lines *l)
{
	cgm_closep(&l->fd);
	l->fd = -1;
}

/* The whole lines that fit, at least one; a line is a few hundred bytes. */
static size_t next_piece(const char *p, size_t len, size_t room, size_t max_lines)
{
	size_t end = 0;

	for (size_t nr = 0; end < len && (!max_lines || nr < max_lines); nr++) {
		const char *newline = memchr(p + end, '\n', len - end);
		size_t next = newline ? (size_t)(newline + 1 - p) : len;

		if (end && next > room)
			break;
		end = next;
	}
	return end;
}

static int send_datagram(struct cgm_lines *l, const struct cgm_sink_attempt *a, const char *p, size_t len)
{
	for (;;) {
		if (send(l->fd, p, len - 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) /* without the last newline: then there is no empty metric */
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != ENOBUFS)
			return -errno;
		if (errno == ENOBUFS) /* the interface's queue: nothing tells when it has room */
			(void)cgm_sink_poll(a->stop, -1, 0, cgm_clock_mono_ns() + 10 * CGM_NSEC_PER_MSEC);
		else
			(void)cgm_sink_poll(a->stop, l->fd, POLLOUT, a->until_ns);
		if (!cgm_sink_left_msec(a->stop, a->until_ns))
			return -ETIMEDOUT;
	}
}

static int send_stream(struct cgm_lines *l, const struct cgm_sink_attempt *a, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(l->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN && !cgm_sink_poll(a->stop, l->fd, POLLOUT, a->until_ns))
			return -ETIMEDOUT;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

enum end { OPEN, CLOSED, BROKEN };

static enum end end_of(const struct cgm_lines *l)
{
	char byte;
	ssize_t n = recv(l->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 ? CLOSED : n < 0 && errno != EAGAIN && errno != EINTR ? BROKEN : OPEN;
}

/* Waits until the other side's kernel has acknowledged all. One that closes before it has read all of that breaks the connection; one that only closes has read it. */
static int drain(const struct cgm_lines *l, const struct cgm_sink_attempt *a)
{
	for (;;) {
		int left = 0;

		if (ioctl(l->fd, SIOCOUTQ, &left) < 0)
			return -errno;
		if (end_of(l) == BROKEN)
			return -ECONNRESET;
		if (!left)
			return 0;
		if (!cgm_sink_left_msec(a->stop, a->until_ns))
			return -ETIMEDOUT;
		(void)cgm_sink_poll(a->stop, -1, 0, cgm_clock_mono_ns() + DRAIN_MSEC * CGM_NSEC_PER_MSEC);
	}
}

static int send_all(struct cgm_lines *l, const struct cgm_sink_attempt *a)
{
	size_t len;

	for (; l->done < a->len; l->done += len) {
		int r;

		len = next_piece(a->data + l->done, a->len - l->done, DATAGRAM + 1, l->tcp ? 0 : l->max_lines);
		r = l->tcp ? send_stream(l, a, a->data + l->done, len) : send_datagram(l, a, a->data + l->done, len);
		if (r < 0)
			return r;
	}
	return l->tcp && l->repeatable ? drain(l, a) : 0;
}

enum cgm_sink_result cgm_lines_send(struct cgm_lines *l, struct cgm_sink_attempt *a)
{
	int r;

	if (a->first)
		l->done = 0;
	/* A server that has closed is found out before it is written to: what is written then is lost without a word. */
	if (l->fd >= 0 && l->tcp && end_of(l) != OPEN)
		cgm_lines_close(l);
	if (l->fd < 0)
		l->fd = cgm_sink_connect(a->stop, l->host, l->port, l->tcp ? SOCK_STREAM : SOCK_DGRAM, a->until_ns, a->fault);
	if (l->fd < 0)
		return CGM_SINK_AGAIN;
	r = send_all(l, a);
	if (r == 0)
		return CGM_SINK_WRITTEN;
	if (l->tcp) {
		cgm_lines_close(l); /* in the middle of a line, maybe: it is sent again from its beginning */
		l->done = l->repeatable ? 0 : l->done;
	}
	return cgm_sink_again(a, "cannot send to %s port %u: %s", l->host, l->port, strerror(-r));
}
