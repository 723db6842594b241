// SPDX-License-Identifier: Apache-2.0
/*
 * The driver of docker's API over a Unix socket, which podman's service speaks too. Two connections: the stream of events, opened before
 * the list is asked for so that nothing is lost between, and one for calls, one after the other. Whoever is to be asked about waits in a queue, once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/curl.h"
#include "identity/json_docker.h"
#include "identity/runtime.h"

#define IDLE_NS (60 * CGM_NSEC_PER_SEC)
#define VERSION_BYTES (1U << 20)
#define INSPECT_BYTES (4U << 20)
#define LIST_BYTES (64U << 20)
/* Of a user's: enough for hundreds of containers, and no more than that a user may cost us. */
#define USER_INSPECT_BYTES (256U << 10)
#define USER_LIST_BYTES (1U << 20)
#define USER_MAX_QUEUE 1024U
#define EVENT_BYTES (1U << 20)
#define MAX_QUEUE (1U << 17)
/* Docker may hang on a single container for as long as it likes: the others are to be known all the same. */
#define MAX_FAILED_IN_A_ROW 3

enum why { WHY_LISTED, WHY_CHANGED, WHY_WANTED, WHY_GONE };

struct entry {
	struct entry *next;
	char id[CGM_MAX_ID];
	bool gone, listed;
};

/* A connection and how its transfer ended. */
struct transfer {
	CURL *easy;
	bool over;
	CURLcode code;
};

struct docker {
	struct cgm_runtime *r;
	const struct cgm_runtime_config *config;
	const struct cgm_curl *lib;
	char *fault;
	CURLM *multi;
	struct transfer call, stream;
	struct cgm_buf body, line; /* of the call; of the stream, the event that has not ended yet */
	size_t max_body, list_bytes, inspect_bytes;
	unsigned max_queue;
	int body_error, stream_error; /* why we let a transfer fail */
	struct entry *first, **end;
	struct cgm_hash by_id;
	size_t nr_to_list; /* entries of the list that have not had their turn */
	unsigned nr_failed_in_a_row;
};

static int _printf_(3, 4) fail(struct docker *d, int error, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(d->fault, CGM_RUNTIME_FAULT, "%.90s: %s", d->config->socket, text);
	return error;
}

static int no_memory(struct docker *d)
{
	return fail(d, -ENOMEM, "out of memory");
}

/* ---- the queue ---- */

static int enqueue(struct docker *d, const char *id, enum why why)
{
	struct entry *e = cgm_hash_get(&d->by_id, id);

	if (!e) {
		if (d->by_id.live >= d->max_queue)
			return fail(d, -ENOBUFS, "more than %u containers at once", d->max_queue);
		e = cgm_calloc(1, sizeof(*e));
		if (!e)
			return no_memory(d);
		snprintf(e->id, sizeof(e->id), "%s", id);
		if (cgm_hash_put(&d->by_id, e->id, e) < 0) {
			free(e);
			return no_memory(d);
		}
		*d->end = e;
		d->end = &e->next;
	}
	if (why == WHY_LISTED && !e->listed) {
		e->listed = true;
		d->nr_to_list++;
	}
	if (why == WHY_GONE || why == WHY_CHANGED)
		e->gone = why == WHY_GONE;
	return 0;
}

static struct entry *dequeue(struct docker *d)
{
	struct entry *e = d->first;

	if (!e)
		return NULL;
	cgm_hash_del(&d->by_id, e->id);
	d->first = e->next;
	if (!d->first)
		d->end = &d->first;
	return e;
}

static int enqueue_listed(void *arg, const char *id)
{
	return enqueue(arg, id, WHY_LISTED);
}

/* Other runtimes' ids, and names that stand in a cgroup's path, come here too. */
static int enqueue_wanted(struct docker *d)
{
	char id[CGM_MAX_ID];
	int r = 0;

	while (r == 0 && cgm_runtime_next_wanted(d->r, id))
		if (cgm_docker_is_id(id))
			r = enqueue(d, id, WHY_WANTED);
	return r;
}

/* ---- transfers ---- */

static size_t on_body(char *p, size_t size, size_t nr, void *arg)
{
	struct docker *d = arg;
	size_t len = size * nr;

	if (len > d->max_body - d->body.len) {
		d->body_error = -EMSGSIZE;
		return 0;
	}
	cgm_buf_put(&d->body, p, len);
	if (d->body.failed)
		d->body_error = -ENOMEM;
	return d->body_error ? 0 : len;
}

static int on_event(struct docker *d)
{
	struct cgm_docker_event e;

	if (cgm_docker_event(d->line.p, d->line.len, &e) < 0)
		cgm_runtime_count_call(d->r, true);
	else if (e.change != CGM_DOCKER_NOTHING)
		return enqueue(d, e.id, e.change == CGM_DOCKER_GONE ? WHY_GONE : WHY_CHANGED);
	return 0;
}

/* One JSON object a line, cut anywhere. */
static int on_stream_bytes(struct docker *d, const char *p, size_t len)
{
	while (len) {
		const char *newline = memchr(p, '\n', len);
		size_t take = newline ? (size_t)(newline - p) + 1 : len;
		int r;

		if (take > EVENT_BYTES - d->line.len)
			return fail(d, -EMSGSIZE, "an event of more than %u bytes", EVENT_BYTES);
		cgm_buf_put(&d->line, p, take);
		if (d->line.failed)
			return no_memory(d);
		p += take;
		len -= take;
		if (!newline)
			break;
		r = d->line.len > 1 ? on_event(d) : 0;
		d->line.len = 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static long status_of(const struct docker *d, const struct transfer *t)
{
	long status = 0;

	d->lib->curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t on_stream(char *p, size_t size, size_t nr, void *arg)
{
	struct docker *d = arg;

	if (status_of(d, &d->stream) == 200)
		d->stream_error = on_stream_bytes(d, p, size * nr);
	return d->stream_error < 0 ? 0 : size * nr;
}

#define SET(option, value) (bad |= d->lib->curl_easy_setopt(t->easy, option, value) != CURLE_OK)

static int begin(struct docker *d, struct transfer *t, const char *path, curl_write_callback on_bytes)
{
	char url[512];
	bool bad = false;

	snprintf(url, sizeof(url), "http://localhost%s", path);
	d->lib->curl_easy_reset(t->easy);
	SET(CURLOPT_URL, url);
	SET(CURLOPT_UNIX_SOCKET_PATH, d->config->socket);
	SET(CURLOPT_PROXY, ""); /* whatever the environment says */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_USERAGENT, "cgmeter/" CGM_VERSION);
	SET(CURLOPT_WRITEFUNCTION, on_bytes);
	SET(CURLOPT_WRITEDATA, d);
	t->over = false;
	if (bad || d->lib->curl_multi_add_handle(d->multi, t->easy) != CURLM_OK)
		return fail(d, -ENOMEM, "libcurl does not take the request: out of memory, or too old");
	return 0;
}

static int transport_fault(struct docker *d, const struct transfer *t, const char *path)
{
	long error = 0;

	d->lib->curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &error);
	if (t->code == CURLE_COULDNT_CONNECT)
		return fail(d, error ? -(int)error : -ECONNREFUSED, "%s", error ? strerror((int)error) : "it cannot be connected to");
	return fail(d, -ECONNABORTED, "GET %.60s: %s", path, d->lib->curl_easy_strerror(t->code));
}

/* Lets both connections move. An error: the stream is over. */
static int move(struct docker *d)
{
	int running, left;
	long status;
	CURLMsg *m;

	if (d->lib->curl_multi_perform(d->multi, &running) != CURLM_OK)
		return fail(d, -EIO, "libcurl fails");
	while ((m = d->lib->curl_multi_info_read(d->multi, &left))) {
		struct transfer *t = m->easy_handle == d->call.easy ? &d->call : &d->stream;

		t->over = true;
		t->code = m->data.result;
	}
	if (!d->stream.over || d->stream_error < 0)
		return d->stream_error;
	status = status_of(d, &d->stream);
	if (!status)
		return transport_fault(d, &d->stream, "/events");
	if (status != 200)
		return fail(d, -EPROTO, "GET /events: status %ld", status);
	return fail(d, -ECONNRESET, "the stream of events has ended: %s", d->lib->curl_easy_strerror(d->stream.code));
}

/* Sleeps until something happens. -ETIMEDOUT: nothing did until then. -ECANCELED: it is to stop. */
static int rest(struct docker *d, uint64_t until_ns)
{
	struct curl_waitfd wake = { .fd = cgm_runtime_wake_fd(d->r), .events = CURL_WAIT_POLLIN };
	uint64_t now_ns = cgm_clock_mono_ns();

	if (cgm_runtime_stopping(d->r))
		return -ECANCELED;
	if (now_ns >= until_ns)
		return -ETIMEDOUT;
	if (d->lib->curl_multi_poll(d->multi, &wake, 1, (int)((until_ns - now_ns) / CGM_NSEC_PER_MSEC) + 1, NULL) != CURLM_OK)
		return fail(d, -EIO, "libcurl fails");
	return enqueue_wanted(d);
}

static bool is_open(const struct docker *d)
{
	return status_of(d, &d->stream) != 0;
}

static bool is_answered(const struct docker *d)
{
	return d->call.over;
}

/* Both connections move until the condition holds, for as long as a call may last. */
static int wait_until(struct docker *d, bool (*condition)(const struct docker *))
{
	uint64_t until_ns = cgm_clock_mono_ns() + d->config->timeout_ns;

	for (;;) {
		int r = move(d);

		if (r < 0 || condition(d))
			return r;
		r = rest(d, until_ns);
		if (r < 0)
			return r;
	}
}

/* ---- calls ---- */

/* The answer's whole body is in d->body. An error of the call alone leaves the stream as it is; d->fault says it. */
static int get(struct docker *d, const char *path, size_t max_bytes, long *ret_status)
{
	int r;

	cgm_buf_done(&d->body);
	d->max_body = max_bytes;
	d->body_error = 0;
	r = begin(d, &d->call, path, on_body);
	if (r < 0)
		return r;
	r = wait_until(d, is_answered);
	d->lib->curl_multi_remove_handle(d->multi, d->call.easy);
	if (r == -ETIMEDOUT)
		return fail(d, r, "GET %.60s: no answer in time", path);
	if (r < 0)
		return r;
	if (d->body_error == -EMSGSIZE)
		return fail(d, -EMSGSIZE, "GET %.60s: an answer of more than %zu bytes", path, max_bytes);
	if (d->body_error == -ENOMEM)
		return no_memory(d);
	if (d->call.code != CURLE_OK)
		return transport_fault(d, &d->call, path);
	*ret_status = status_of(d, &d->call);
	return 0;
}

/* A call without which there is no going on. */
static int get_must(struct docker *d, const char *path, size_t max_bytes)
{
	long status = 0;
	int r = get(d, path, max_bytes, &status);

	if (r == 0 && status != 200)
		r = fail(d, -EPROTO, "GET %s: status %ld", path, status);
	if (r != -ECANCELED)
		cgm_runtime_count_call(d->r, r < 0);
	return r;
}

/* Podman gathers all about itself for its version, and runs programs: on a slow machine that takes longer than a call may, which is no reason to know nothing. */
static int ask_version(struct docker *d, char *ret, size_t size)
{
	int r = get_must(d, "/version", VERSION_BYTES);

	snprintf(ret, size, "unknown");
	if (r == -ETIMEDOUT)
		return 0;
	if (r == 0 && cgm_docker_version(d->body.p, d->body.len, ret, size) < 0)
		return fail(d, -EPROTO, "GET /version: not what this API answers");
	return r;
}

/* since: the server answers before it listens, and tells what happened between. */
static int listen_to_events(struct docker *d)
{
	uint64_t now_ns = cgm_clock_real_ns();
	char path[128];
	int r;

	snprintf(path, sizeof(path), "/events?filters=%%7B%%22type%%22%%3A%%5B%%22container%%22%%5D%%7D&since=%" PRIu64 ".%09" PRIu64,
		 (uint64_t)(now_ns / CGM_NSEC_PER_SEC), (uint64_t)(now_ns % CGM_NSEC_PER_SEC));
	r = begin(d, &d->stream, path, on_stream);
	if (r == 0)
		r = wait_until(d, is_open);
	if (r == -ETIMEDOUT)
		r = fail(d, r, "GET /events: no answer in time");
	if (r == 0 && status_of(d, &d->stream) != 200)
		r = fail(d, -EPROTO, "GET /events: status %ld", status_of(d, &d->stream));
	if (r != -ECANCELED)
		cgm_runtime_count_call(d->r, r < 0);
	return r;
}

static int list(struct docker *d)
{
	static const char path[] = "/containers/json?all=true";
	size_t nr_bad = 0;
	int r = get_must(d, path, d->list_bytes);

	if (r < 0)
		return r;
	r = cgm_docker_list(d->body.p, d->body.len, enqueue_listed, d, &nr_bad);
	cgm_buf_done(&d->body);
	if (r == -EINVAL)
		return fail(d, -EPROTO, "GET %s: not what this API answers", path);
	while (nr_bad--)
		cgm_runtime_count_call(d->r, true);
	if (r == 0 && !d->nr_to_list)
		cgm_runtime_listed(d->r);
	return r;
}

static int learn(struct docker *d, const char *id)
{
	const char *runtime = strcmp(d->config->name, "podman") == 0 ? "podman" : "docker";
	_cleanup_(cgm_who_freep) struct cgm_who *who = NULL;
	int r = cgm_docker_inspect(d->body.p, d->body.len, runtime, d->config->env_whitelist, &who);

	if (r == -ENOMEM)
		cgm_runtime_learn(d->r, NULL);
	/* The API takes names and beginnings of ids as well. */
	else if (r == 0 && strcmp(who->id, id) == 0)
		cgm_runtime_learn(d->r, TAKE_PTR(who));
	return r;
}

/* An error: not of this container alone. */
static int inspect(struct docker *d, const char *id)
{
	char path[CGM_MAX_ID + 32];
	long status = 0;
	int r;

	snprintf(path, sizeof(path), "/containers/%s/json", id);
	r = get(d, path, d->inspect_bytes, &status);
	if (r == -ECANCELED || r == -ENOMEM || r == -ENOBUFS || d->stream.over || d->stream_error < 0)
		return r;
	if (r == 0)
		d->nr_failed_in_a_row = 0;
	if (r == 0 && status == 200)
		r = learn(d, id);
	else if (r == 0)
		r = status == 404 ? 0 : -EPROTO;
	else if (r == -EMSGSIZE)
		cgm_log_once(CGM_LOG_WARNING, "%s", d->fault);
	else if (++d->nr_failed_in_a_row >= MAX_FAILED_IN_A_ROW) {
		cgm_runtime_count_call(d->r, true);
		return r;
	}
	cgm_runtime_count_call(d->r, r < 0);
	return 0;
}

static int have_turn(struct docker *d)
{
	_cleanup_free_ struct entry *e = dequeue(d);
	int r = 0;

	if (e->gone)
		cgm_runtime_forget(d->r, e->id);
	else
		r = inspect(d, e->id);
	if (r == 0 && e->listed && --d->nr_to_list == 0)
		cgm_runtime_listed(d->r);
	return r;
}

static int follow(struct docker *d)
{
	for (;;) {
		int r = cgm_runtime_stopping(d->r) ? -ECANCELED : d->first ? have_turn(d) : move(d);

		if (r < 0)
			return r;
		if (d->first)
			continue;
		r = rest(d, cgm_clock_mono_ns() + IDLE_NS);
		if (r < 0)
			return r;
	}
}

static int serve(struct docker *d)
{
	char version[64];
	int r;

	d->end = &d->first;
	d->lib = cgm_curl_get(d->fault, CGM_RUNTIME_FAULT);
	if (!d->lib)
		return -ENOENT;
	d->multi = d->lib->curl_multi_init();
	d->call.easy = d->lib->curl_easy_init();
	d->stream.easy = d->lib->curl_easy_init();
	if (!d->multi || !d->call.easy || !d->stream.easy)
		return no_memory(d);
	r = ask_version(d, version, sizeof(version));
	if (r == 0)
		r = listen_to_events(d);
	if (r < 0)
		return r;
	cgm_runtime_connected(d->r, version);
	r = list(d);
	return r < 0 ? r : follow(d);
}

static void done(struct docker *d)
{
	for (struct entry *e = dequeue(d); e; e = dequeue(d))
		free(e);
	cgm_hash_done(&d->by_id);
	cgm_buf_done(&d->body);
	cgm_buf_done(&d->line);
	if (!d->lib)
		return;
	if (d->multi && d->stream.easy)
		d->lib->curl_multi_remove_handle(d->multi, d->stream.easy);
	if (d->call.easy)
		d->lib->curl_easy_cleanup(d->call.easy);
	if (d->stream.easy)
		d->lib->curl_easy_cleanup(d->stream.easy);
	if (d->multi)
		d->lib->curl_multi_cleanup(d->multi);
}

static int run(struct cgm_runtime *r, char *fault)
{
	const struct cgm_runtime_config *config = cgm_runtime_config(r);
	_cleanup_(done) struct docker d = {
		.r = r,
		.config = config,
		.fault = fault,
		.list_bytes = config->users_dir ? USER_LIST_BYTES : LIST_BYTES,
		.inspect_bytes = config->users_dir ? USER_INSPECT_BYTES : INSPECT_BYTES,
		.max_queue = config->users_dir ? USER_MAX_QUEUE : MAX_QUEUE,
	};
	int e = serve(&d);

	return cgm_runtime_stopping(r) ? 0 : e;
}

const struct cgm_runtime_driver cgm_docker_driver = { .run = run };
