// SPDX-License-Identifier: Apache-2.0
/*
 * Riemann's protobuf over TCP: a message of up to batchsize events, with its length in front, and the server's word that it has it. An event is a point: the service is Heapster's name, the host the hostname, and
 * all labels are attributes. An event that comes twice is indexed once.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/protobuf.h"
#include "export/answer.h"
#include "export/driver.h"
#include "export/points.h"
#include "export/target.h"
#include "sink/net.h"
#include "sink/text.h"

#define PORT 5555
#define MAX_TAGS 32
#define ANSWER_BYTES ((size_t)64 * 1024) /* no answer to events is longer than a few words */

enum {
	MSG_EVENT = CGM_PB_TAG(6, CGM_PB_BYTES),
	EVENT_TIME = CGM_PB_TAG(1, CGM_PB_VARINT),
	EVENT_STATE = CGM_PB_TAG(2, CGM_PB_BYTES),
	EVENT_SERVICE = CGM_PB_TAG(3, CGM_PB_BYTES),
	EVENT_HOST = CGM_PB_TAG(4, CGM_PB_BYTES),
	EVENT_TAG = CGM_PB_TAG(7, CGM_PB_BYTES),
	EVENT_TTL = CGM_PB_TAG(8, CGM_PB_FIXED32),
	EVENT_ATTRIBUTE = CGM_PB_TAG(9, CGM_PB_BYTES),
	EVENT_TIME_MICROS = CGM_PB_TAG(10, CGM_PB_VARINT),
	EVENT_SINT64 = CGM_PB_TAG(13, CGM_PB_VARINT),
	EVENT_DOUBLE = CGM_PB_TAG(14, CGM_PB_FIXED64),
	ATTRIBUTE_KEY = CGM_PB_TAG(1, CGM_PB_BYTES),
	ATTRIBUTE_VALUE = CGM_PB_TAG(2, CGM_PB_BYTES),
};

struct state {
	char *host;
	uint16_t port;
	unsigned long batch;
	struct cgm_buf fixed; /* ttl, state and tags of every event, as they go out */
	/* the sender's */
	int fd;
	size_t done; /* bytes of the batch under way that were answered */
	uint64_t nr_lost;
};

/* ---- opening ---- */

static void riemann_close(void *state)
{
	struct state *s = state;

	cgm_closep(&s->fd);
	cgm_buf_done(&s->fixed);
	free(s->host);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		riemann_close(*s);
}

static void put_text(struct cgm_buf *b, uint8_t tag, const char *text)
{
	size_t mark = cgm_pb_begin(b, tag);

	cgm_text_utf8(b, text);
	cgm_pb_end(b, mark);
}

static int bad(char *fault, const char *option, const char *what)
{
	snprintf(fault, CGM_SINK_FAULT, "option %s: %s", option, what);
	return -EINVAL;
}

/* ttl in seconds, as a float. */
static int put_ttl(struct state *s, const char *text, char *fault)
{
	char *end, bytes[5] = { EVENT_TTL };
	float ttl = text ? strtof(text, &end) : 60;
	uint32_t bits;

	if (text && (!*text || *end || !(ttl > 0) || isinf(ttl)))
		return bad(fault, "ttl", "a number of seconds is wanted");
	memcpy(&bits, &ttl, sizeof(bits));
	bits = htole32(bits);
	memcpy(bytes + 1, &bits, sizeof(bits));
	cgm_buf_put(&s->fixed, bytes, sizeof(bytes));
	return 0;
}

static int read_options(struct state *s, struct cgm_uri *uri, char *fault)
{
	const char *state = cgm_uri_option(uri, "state", 0), *tag;
	size_t nr = 0;
	int r = put_ttl(s, cgm_uri_option(uri, "ttl", 0), fault);

	if (r == 0 && !cgm_uri_number(uri, "batchsize", &s->batch, fault, CGM_SINK_FAULT))
		return -EINVAL;
	if (r == 0 && !s->batch)
		r = bad(fault, "batchsize", "must be at least 1");
	if (r < 0)
		return r;
	if (state && *state)
		put_text(&s->fixed, EVENT_STATE, state);
	for (; (tag = cgm_uri_option(uri, "tags", nr)); nr++)
		if (nr == MAX_TAGS)
			return bad(fault, "tags", "takes up to 32");
		else if (*tag)
			put_text(&s->fixed, EVENT_TAG, tag);
	if (!nr)
		put_text(&s->fixed, EVENT_TAG, "heapster");
	return s->fixed.failed ? -ENOMEM : 0;
}

static int riemann_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	int r;

	(void)config;
	if (!s)
		return -ENOMEM;
	s->fd = -1;
	s->batch = 1000;
	s->port = (uint16_t)(uri->port ? uri->port : PORT);
	/* The scheme says nothing in Heapster: its own example has http://. */
	if (*uri->scheme && strcmp(uri->scheme, "http") != 0 && strcmp(uri->scheme, "tcp") != 0) {
		snprintf(fault, CGM_SINK_FAULT, "%.40s:// is not known; it takes tcp:// (or http://, as Heapster had it)", uri->scheme);
		return -EINVAL;
	}
	s->host = cgm_strdup(*uri->host ? uri->host : "riemann-heapster");
	if (!s->host)
		return -ENOMEM;
	r = read_options(s, uri, fault);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- encoding ---- */

static void put_attributes(struct cgm_buf *b, const struct cgm_entity *e, const struct cgm_labeled *l)
{
	struct cgm_tags it = CGM_TAGS(e, l);
	struct cgm_tag tag;

	while (cgm_tags_next(&it, &tag)) {
		size_t mark = cgm_pb_begin(b, EVENT_ATTRIBUTE);

		put_text(b, ATTRIBUTE_KEY, tag.key);
		put_text(b, ATTRIBUTE_VALUE, tag.value);
		cgm_pb_end(b, mark);
	}
}

static void put_event(const struct state *s, const struct cgm_slice *slice, const struct cgm_entity *e, const struct cgm_point *p, const struct cgm_buf *attributes, struct cgm_buf *out)
{
	size_t mark = cgm_pb_begin(out, MSG_EVENT), service;

	cgm_pb_count(out, EVENT_TIME, slice->end_ns / CGM_NSEC_PER_SEC);
	cgm_pb_count(out, EVENT_TIME_MICROS, slice->end_ns / CGM_NSEC_PER_USEC);
	service = cgm_pb_begin(out, EVENT_SERVICE);
	if (p->metric == CGM_CM_CUSTOM) {
		cgm_buf_lit(out, "custom/");
		cgm_text_utf8(out, cgm_labeled_name(p->labeled));
	} else {
		cgm_point_name(p, out);
	}
	cgm_pb_end(out, service);
	if (*cgm_entity_label(e, CGM_CL_HOSTNAME))
		put_text(out, EVENT_HOST, cgm_entity_label(e, CGM_CL_HOSTNAME));
	cgm_buf_put(out, s->fixed.p, s->fixed.len);
	if (p->labeled)
		put_attributes(out, e, p->labeled);
	else
		cgm_buf_put(out, attributes->p, attributes->len);
	if (p->is_float)
		cgm_pb_double(out, EVENT_DOUBLE, p->value.f);
	else
		cgm_pb_count(out, EVENT_SINT64, cgm_pb_zigzag(p->value.i));
	cgm_pb_end(out, mark);
}

static uint64_t riemann_encode(const void *state, const struct cgm_slice *slice, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	_cleanup_(cgm_buf_done) struct cgm_buf attributes = { 0 };
	struct cgm_cutter cutter = CGM_CUTTER(out, cut, arg);

	for (uint32_t i = 0; i < slice->nr_sets; i++) {
		const struct cgm_entity *e = slice->sets[i].entity;
		struct cgm_points it = CGM_POINTS(&slice->sets[i]);
		struct cgm_point p;

		attributes.len = 0;
		put_attributes(&attributes, e, NULL);
		while (cgm_points_next(&it, &p)) {
			put_event(state, slice, e, &p, &attributes, out);
			cgm_cutter_add(&cutter, 1);
		}
	}
	out->failed |= attributes.failed;
	return cutter.nr_points;
}

/* ---- sending ---- */

/* send or recv of all of it. 0; -ECONNRESET when the other side has closed; another negative errno. */
static int transfer(struct state *s, const struct cgm_sink_attempt *a, char *p, size_t len, bool receive)
{
	while (len) {
		ssize_t n = receive ? recv(s->fd, p, len, MSG_DONTWAIT) : send(s->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == 0 && receive)
			return -ECONNRESET;
		if (n < 0 && errno == EAGAIN && !cgm_sink_poll(a->stop, s->fd, receive ? POLLIN : POLLOUT, a->until_ns))
			return -ETIMEDOUT;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* What is read before anything was asked is no answer to it: the connection was left in the middle of one, or is closed. */
static bool is_idle(const struct state *s)
{
	char byte;

	return recv(s->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && (errno == EAGAIN || errno == EINTR);
}

/* The server's word is in *ret_ok, its reason in a->fault. */
static int exchange(struct state *s, struct cgm_sink_attempt *a, const char *p, size_t len, bool *ret_ok)
{
	_cleanup_free_ char *answer = NULL;
	uint32_t size = htobe32((uint32_t)len);
	int r = transfer(s, a, (char *)&size, sizeof(size), false);

	if (r == 0)
		r = transfer(s, a, (char *)(uintptr_t)p, len, false);
	if (r == 0)
		r = transfer(s, a, (char *)&size, sizeof(size), true);
	size = be32toh(size);
	if (r == 0 && size > ANSWER_BYTES)
		r = -EBADMSG;
	if (r == 0 && !(answer = cgm_malloc(size + 1)))
		r = -ENOMEM;
	if (r == 0)
		r = transfer(s, a, answer, size, true);
	if (r < 0)
		return r;
	return cgm_answer_riemann(answer, size, ret_ok, a->fault, sizeof(a->fault)) < 0 ? -EBADMSG : 0;
}

/* So many whole events. */
static size_t next_piece(const struct state *s, const char *p, size_t len, uint64_t *ret_nr)
{
	struct cgm_str rest = { p, len };
	struct cgm_pb_field f;

	for (*ret_nr = 0; *ret_nr < s->batch && cgm_pb_next(&rest, &f) > 0; *ret_nr += 1)
		;
	return len - rest.len;
}

static bool connect_to(struct state *s, struct cgm_sink_attempt *a)
{
	if (s->fd >= 0 && !is_idle(s)) {
		close(s->fd);
		s->fd = -1;
	}
	if (s->fd < 0)
		s->fd = cgm_sink_connect(a->stop, s->host, s->port, SOCK_STREAM, a->until_ns, a->fault);
	return s->fd >= 0;
}

static enum cgm_sink_result riemann_send(void *state, struct cgm_sink_attempt *a)
{
	char why[CGM_SINK_FAULT] = "";
	struct state *s = state;

	if (a->first)
		s->done = s->nr_lost = 0;
	if (!connect_to(s, a))
		return CGM_SINK_AGAIN;
	while (s->done < a->len) {
		uint64_t nr;
		size_t len = next_piece(s, a->data + s->done, a->len - s->done, &nr);
		bool ok = false;
		int r = len ? exchange(s, a, a->data + s->done, len, &ok) : -EBADMSG;

		if (r < 0) {
			close(s->fd);
			s->fd = -1;
			return cgm_sink_again(a, "%s port %u: %s", s->host, s->port, r == -EBADMSG ? "what it answers is not Riemann's" : strerror(-r));
		}
		if (!ok) { /* it has read them, and does not want them */
			s->nr_lost += nr;
			memcpy(why, a->fault, sizeof(why));
		}
		s->done += len;
	}
	a->nr_lost = MIN(s->nr_lost, a->nr_points);
	a->loss = CGM_SINK_REJECTED;
	memcpy(a->fault, why, sizeof(why));
	return CGM_SINK_WRITTEN;
}

const struct cgm_exporter cgm_export_riemann = {
	.name = "riemann",
	.open = riemann_open,
	.close = riemann_close,
	.encode = riemann_encode,
	.send = riemann_send,
};
