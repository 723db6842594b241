// SPDX-License-Identifier: Apache-2.0
/*
 * Events as they come: one JSON object a line, in chunks, without an end. While there is none, the connection is suspended. A client that does
 * not read is left behind; when it has lost its place in the store, or the server's own time limit for a stuck connection strikes, it is dropped and
 * counted.
 */
#include "output/request.h"

#include <errno.h>

#include "base/mem.h"
#include "output/json.h"

#define RECORDS_A_PIECE 16
#define BLOCK_BYTES 4096

struct follower {
	struct cgm_waiter waiter; /* the first member */
	struct cgm_http *http;
	struct cgm_events_filter filter;
	uint64_t seq;
	struct cgm_buf piece;
	size_t sent; /* of piece */
	bool dropped;
	char container[];
};

static void follower_free(void *cls)
{
	struct follower *f = cls;

	cgm_events_unfollow(f->http->config.events, f->dropped);
	cgm_buf_done(&f->piece);
	free(f);
}

static bool has_news(struct cgm_waiter *w)
{
	struct follower *f = (struct follower *)w;

	return cgm_events_has_news(f->http->config.events, f->seq);
}

/* The records that came since into the piece. How many were wanted, or a negative errno. */
static int refill(struct follower *f)
{
	struct cgm_record *records[RECORDS_A_PIECE];
	int nr = cgm_events_read_tail(f->http->config.events, &f->filter, &f->seq, records, RECORDS_A_PIECE);

	f->piece.len = f->sent = 0;
	for (int i = 0; i < nr; i++) {
		cgm_json_record(&f->piece, records[i]);
		cgm_buf_char(&f->piece, '\n');
		cgm_record_unref(records[i]);
	}
	return f->piece.failed ? -ENOMEM : nr;
}

static ssize_t end(struct follower *f, bool dropped)
{
	f->dropped = dropped;
	return dropped ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
}

/* Called by the server when the client can take more, and after each time that it was resumed. */
static ssize_t follower_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct follower *f = cls;
	size_t nr;

	(void)pos;
	while (f->sent == f->piece.len) {
		if (f->waiter.client_gone || cgm_waiters_stopping(&f->http->waiters))
			return end(f, false);
		if (!has_news(&f->waiter)) {
			if (cgm_wait(&f->http->waiters, &f->waiter))
				return 0;
			if (!has_news(&f->waiter)) /* too many wait, or the server stops */
				return end(f, true);
		}
		if (refill(f) < 0)
			return end(f, true);
	}
	nr = MIN(max, f->piece.len - f->sent);
	memcpy(buf, f->piece.p + f->sent, nr);
	f->sent += nr;
	return (ssize_t)nr;
}

enum MHD_Result cgm_answer_follow(struct cgm_request *rq, const struct cgm_events_filter *filter)
{
	size_t len = strlen(filter->container) + 1;
	struct follower *f = cgm_calloc(1, sizeof(*f) + len);
	struct MHD_Response *response;

	if (!f)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	if (!cgm_events_follow(rq->http->config.events, &f->seq)) {
		free(f);
		return cgm_answer_error(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "too many streams of events");
	}
	memcpy(f->container, filter->container, len);
	f->filter = *filter;
	f->filter.container = f->container;
	f->http = rq->http;
	f->waiter = (struct cgm_waiter){ .connection = rq->connection, .ready = has_news };
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, follower_read, f, follower_free);
	if (!response) {
		follower_free(f);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", "application/json");
	rq->follows = true;
	return cgm_answer_endless(rq, MHD_HTTP_OK, response);
}
