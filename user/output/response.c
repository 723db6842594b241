// SPDX-License-Identifier: Apache-2.0
#include "output/request.h"

#include <errno.h>
#include <stdarg.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "output/gzip.h"
#include "output/json.h"
#include "output/negotiate.h"
#include "output/reviews.h"

#define BLOCK_BYTES 16384
#define SMALL_BYTES 1024 /* below, gzip gains nothing */

static const char type_json[] = "application/json", type_text[] = "text/plain; charset=utf-8";

struct cgm_sender {
	struct cgm_stream *stream;
	struct cgm_buf piece;
	size_t sent; /* of piece */
	int state; /* 1: the stream has more; 0: piece is the last; negative: it failed */
	struct cgm_gzip *gzip; /* NULL: as it is */
	bool closed; /* the trailer of gzip is out */
	struct cgm_limits *large; /* of which this is one of the large answers; NULL: it is none */
};

static void sender_free(void *cls)
{
	struct cgm_sender *s = cls;

	if (!s)
		return;
	if (s->large)
		cgm_limits_leave_large(s->large);
	cgm_stream_free(s->stream);
	cgm_gzip_free(s->gzip);
	cgm_buf_done(&s->piece);
	free(s);
}

static void sender_freep(struct cgm_sender **s)
{
	sender_free(*s);
}

static void refill(struct cgm_sender *s)
{
	s->sent = 0;
	s->piece.len = 0;
	s->state = s->stream->next(s->stream, &s->piece);
}

/* Moves bytes of the piece to out. Returns how many bytes were written, or -EIO. */
static ssize_t drain(struct cgm_sender *s, char *out, size_t room)
{
	const char *in = s->piece.p + s->sent;
	size_t left = s->piece.len - s->sent, nr = MIN(left, room);
	char *to = out;
	int r;

	if (!s->gzip) {
		if (nr)
			memcpy(out, in, nr);
		s->sent += nr;
		return (ssize_t)nr;
	}
	r = cgm_gzip_run(s->gzip, &in, &left, &to, &room, s->state == 0);
	if (r < 0)
		return r;
	s->closed = r > 0;
	s->sent = s->piece.len - left;
	return to - out;
}

static bool sender_is_done(const struct cgm_sender *s)
{
	return s->state == 0 && s->sent == s->piece.len && (!s->gzip || s->closed);
}

/* Called by the server whenever the client can take more. */
static ssize_t sender_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct cgm_sender *s = cls;
	size_t nr = 0;

	(void)pos;
	while (nr < max && !sender_is_done(s)) {
		ssize_t got;

		if (s->state > 0 && s->sent == s->piece.len)
			refill(s);
		if (s->state < 0)
			break;
		got = drain(s, buf + nr, max - nr);
		if (got < 0) {
			s->state = (int)got;
			break;
		}
		nr += (size_t)got;
	}
	if (nr)
		return (ssize_t)nr;
	return s->state < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
}

const char *cgm_request_header(const struct cgm_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

bool cgm_request_number(const struct cgm_request *rq, const char *name, uint64_t *ret)
{
	const char *text = MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);

	return !text || cgm_parse_u64(cgm_str(text), ret) == 0;
}

void cgm_answer_count(struct cgm_http_stats *stats, unsigned status)
{
	static const unsigned codes[] = {
#define CODE(code) code,
		CGM_HTTP_CODES(CODE)
#undef CODE
	};
	size_t i = 0;

	while (i < ARRAY_SIZE(codes) && codes[i] != status)
		i++;
	cgm_http_count(&stats->codes[i]);
}

static enum MHD_Result queue(struct cgm_request *rq, unsigned status, struct MHD_Response *response, enum cgm_phase phase)
{
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	rq->status = status;
	cgm_answer_count(&rq->http->stats, status);
	cgm_peer_set_phase(rq->peer, phase);
	r = MHD_queue_response(rq->connection, status, response);
	MHD_destroy_response(response);
	return r;
}

enum MHD_Result cgm_answer(struct cgm_request *rq, unsigned status, struct MHD_Response *response)
{
	return queue(rq, status, response, CGM_PHASE_ANSWER);
}

enum MHD_Result cgm_answer_endless(struct cgm_request *rq, unsigned status, struct MHD_Response *response)
{
	return queue(rq, status, response, CGM_PHASE_ENDLESS);
}

static void add_gzip_header(struct MHD_Response *response, bool gzip)
{
	if (response && gzip)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (response)
		MHD_add_response_header(response, name, value);
}

static enum MHD_Result answer_line(struct cgm_request *rq, unsigned status, char *message, size_t size)
{
	size_t len = strnlen(message, size - 2);
	struct MHD_Response *response;

	message[len] = '\n';
	response = MHD_create_response_from_buffer(len + 1, message, MHD_RESPMEM_MUST_COPY);
	add_header(response, "Content-Type", type_text);
	add_header(response, "X-Content-Type-Options", "nosniff");
	return cgm_answer(rq, status, response);
}

enum MHD_Result cgm_answer_plain(struct cgm_request *rq, unsigned status, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return answer_line(rq, status, message, sizeof(message));
}

/* cAdvisor has one status for all faults of its requests. */
static bool is_fault_of_cadvisor(const struct cgm_request *rq, unsigned status)
{
	const char *pattern = rq->route ? rq->route->pattern : "";

	return rq->http->config.legacy_status_codes && (status == MHD_HTTP_BAD_REQUEST || status == MHD_HTTP_NOT_FOUND) &&
	       ((strncmp(pattern, "/api/", 5) == 0 && strncmp(pattern, "/api/cgmeter", 12) != 0) || strcmp(pattern, "/metrics") == 0);
}

static struct MHD_Response *error_response(const struct cgm_request *rq, unsigned status, const char *message)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	struct MHD_Response *response;

	if (!cgm_served_fault(rq, status, message, &text)) {
		cgm_buf_printf(&text, "{\"error\":{\"status\":%u,\"message\":", status);
		cgm_json_string(&text, message);
		cgm_buf_lit(&text, "}}\n");
	}
	response = text.failed ? NULL : MHD_create_response_from_buffer(text.len, text.p, MHD_RESPMEM_MUST_COPY);
	add_header(response, "Content-Type", type_json);
	return response;
}

enum MHD_Result cgm_answer_error(struct cgm_request *rq, unsigned status, const char *fmt, ...)
{
	struct MHD_Response *response;
	char message[512], list[32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (is_fault_of_cadvisor(rq, status))
		return answer_line(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, message, sizeof(message));
	response = error_response(rq, status, message);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED && (rq->route || rq->http->config.served))
		add_header(response, "Allow", cgm_method_list(rq->route ? rq->route->methods : CGM_GET | CGM_HEAD | CGM_POST, list, sizeof(list)));
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		add_header(response, "Retry-After", "1");
	return cgm_answer(rq, status, response);
}

static void add_challenge(void *response, const char *value)
{
	add_header(response, "WWW-Authenticate", value);
}

enum MHD_Result cgm_answer_auth(struct cgm_request *rq, enum cgm_auth_verdict verdict)
{
	struct MHD_Response *response;
	char wait[16], refusal[400];

	if (verdict == CGM_AUTH_BUSY)
		return cgm_answer_error(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "too many logins are being checked");
	if (verdict == CGM_AUTH_AWAY)
		return cgm_answer_error(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "the API server cannot be asked who may ask here");
	if (verdict == CGM_AUTH_FORBIDDEN) {
		cgm_review_refusal(rq->review, refusal, sizeof(refusal));
		return cgm_answer_error(rq, MHD_HTTP_FORBIDDEN, "%s", refusal);
	}
	if (verdict == CGM_AUTH_LIMITED) {
		response = error_response(rq, MHD_HTTP_TOO_MANY_REQUESTS, "too many failed logins from this address");
		snprintf(wait, sizeof(wait), "%u", cgm_auth_wait_s(rq->http->auth, &rq->peer->client));
		add_header(response, "Retry-After", wait);
		return cgm_answer(rq, MHD_HTTP_TOO_MANY_REQUESTS, response);
	}
	response = error_response(rq, MHD_HTTP_UNAUTHORIZED, verdict == CGM_AUTH_MISSING ? "a login is needed" : "the login is wrong");
	cgm_auth_challenges(rq->http->auth, verdict == CGM_AUTH_STALE, add_challenge, response);
	return cgm_answer(rq, MHD_HTTP_UNAUTHORIZED, response);
}

static enum MHD_Result redirect(struct cgm_request *rq, unsigned status, const char *path, const char *end)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	char location[512];

	snprintf(location, sizeof(location), "%s%s%s", rq->prefix ? rq->prefix : "", path, end);
	add_header(response, "Location", location);
	return cgm_answer(rq, status, response);
}

enum MHD_Result cgm_answer_redirect(struct cgm_request *rq, const char *path)
{
	return redirect(rq, MHD_HTTP_TEMPORARY_REDIRECT, path, "");
}

enum MHD_Result cgm_answer_with_slash(struct cgm_request *rq)
{
	return redirect(rq, MHD_HTTP_MOVED_PERMANENTLY, rq->path, "/");
}

enum MHD_Result cgm_answer_unknown_path(struct cgm_request *rq)
{
	if (rq->http->config.legacy_status_codes)
		return cgm_answer_redirect(rq, "/containers/");
	return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown path \"%s\"", rq->path);
}

enum MHD_Result cgm_answer_stream(struct cgm_request *rq, struct cgm_stream *stream)
{
	_cleanup_(cgm_stream_freep) struct cgm_stream *taken = stream;
	_cleanup_(sender_freep) struct cgm_sender *s = cgm_calloc(1, sizeof(*s));
	bool gzip = cgm_accepts_gzip(cgm_request_header(rq, "Accept-Encoding"));
	const char *type = stream ? stream->type : NULL;
	struct MHD_Response *response;

	if (s && gzip)
		s->gzip = cgm_gzip_new();
	if (!taken || !s || (gzip && !s->gzip))
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	s->stream = TAKE_PTR(taken);
	refill(s); /* a failure that comes at once can still be told by the status */
	if (s->state < 0)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	if (s->state > 0) { /* it is more than one piece, and keeps its snapshot for as long as the client reads */
		if (!cgm_limits_enter_large(&rq->http->limits))
			return cgm_answer_error(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "too many large answers are on their way");
		s->large = &rq->http->limits;
	}
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, sender_read, s, sender_free);
	if (!response)
		return MHD_NO;
	TAKE_PTR(s);
	/* libmicrohttpd 0.9.75 sends the end of a chunked body also after a HEAD: without chunks it cannot. */
	if (rq->head_only)
		MHD_set_response_options(response, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
	add_header(response, "Content-Type", type ? type : type_json);
	add_header(response, "Vary", "Accept-Encoding");
	add_gzip_header(response, gzip);
	return cgm_answer(rq, MHD_HTTP_OK, response);
}

enum MHD_Result cgm_answer_buf(struct cgm_request *rq, const char *type, struct cgm_buf *text)
{
	_cleanup_(cgm_buf_done) struct cgm_buf plain = *text, packed = { 0 };
	bool gzip = plain.len >= SMALL_BYTES && cgm_accepts_gzip(cgm_request_header(rq, "Accept-Encoding"));
	struct cgm_buf *body = gzip ? &packed : &plain;
	struct MHD_Response *response;

	*text = (struct cgm_buf){ 0 };
	if (plain.failed || (gzip && cgm_gzip_buf(&plain, &packed) < 0))
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	response = MHD_create_response_from_buffer(body->len, body->p, MHD_RESPMEM_MUST_FREE);
	if (response)
		*body = (struct cgm_buf){ 0 };
	add_header(response, "Content-Type", type);
	add_header(response, "Vary", "Accept-Encoding");
	add_gzip_header(response, gzip);
	return cgm_answer(rq, MHD_HTTP_OK, response);
}

enum MHD_Result cgm_answer_static(struct cgm_request *rq, const char *type, const void *p, size_t len)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, (void *)p, MHD_RESPMEM_PERSISTENT);

	add_header(response, "Content-Type", type);
	return cgm_answer(rq, MHD_HTTP_OK, response);
}

static void release_body(void *cls)
{
	cgm_body_unref(cls);
}

enum MHD_Result cgm_answer_metrics(struct cgm_request *rq, struct cgm_body *body, enum cgm_prometheus_format format, bool gzip)
{
	static const char *const types[] = {
		[CGM_PROMETHEUS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
		[CGM_PROMETHEUS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
		[CGM_PROMETHEUS_PROTOBUF] = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
		[CGM_PROMETHEUS_KUBELET] = "text/plain; version=0.0.4; charset=utf-8",
	};
	struct MHD_Response *response =
		MHD_create_response_from_buffer_with_free_callback_cls(body->text.len, body->text.p, release_body, body);

	if (!response)
		cgm_body_unref(body);
	add_header(response, "Content-Type", types[format]);
	add_header(response, "Vary", "Accept, Accept-Encoding");
	add_gzip_header(response, gzip);
	return cgm_answer(rq, MHD_HTTP_OK, response);
}
