// SPDX-License-Identifier: Apache-2.0
/*
 * https://kubernetes.io/docs/reference/using-api/api-concepts, "Efficient detection of changes". version is what the server is asked to go on from; without one there is a list first.
 */
#include "kube/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/call.h"
#include "kube/json.h"
#include "kube/split.h"

#define PAGE 500
#define MAX_OBJECT_BYTES ((size_t)16 << 20) /* the store takes 1.5 MB */
#define MAX_STATUS_BYTES ((size_t)16 << 10)
#define LIST_QUIET_NS (30 * CGM_NSEC_PER_SEC)
#define LIST_NS (300 * CGM_NSEC_PER_SEC) /* a page; the server itself gives up after a minute */
#define WATCH_SEC 300 /* at least, and less than twice that */
#define BEYOND_SEC 30
#define SLOW_NS (60 * CGM_NSEC_PER_SEC) /* where only a person can help */

struct cgm_kube_watch {
	struct cgm_kube *k;
	struct cgm_kube_watch_config config;
	char *path, *query; /* query: its selectors, "&fieldSelector=…" */
	pthread_t thread;
	bool has_thread;
	int stop_fd;
	bool stopping; /* atomic */
	pthread_mutex_t lock; /* for state */
	struct cgm_kube_watch_state state;

	/* The thread's own. */
	struct cgm_backoff backoff;
	char *version; /* NULL: list first */
	char *last_version; /* of all that was told of; NULL: nothing was */
	bool consistent; /* the next list comes from the store */
	bool whole; /* the next list comes in one piece: pages took longer than the server remembers */
	bool said;
	bool heard; /* something since the watch began */
	struct cgm_kube_call call;
	struct cgm_kube_split split;
	struct cgm_buf refusal; /* an answer that is none of 200 */
	int event_code; /* of an ERROR event */
};

static bool stopping(const struct cgm_kube_watch *w)
{
	return __atomic_load_n(&w->stopping, __ATOMIC_ACQUIRE);
}

#define METADATA_OF(kind) "application/json;as=" kind ";g=meta.k8s.io;v=v1,application/json"

#define COUNT(w, member)                          \
	do {                                      \
		pthread_mutex_lock(&(w)->lock);   \
		(w)->state.member++;              \
		pthread_mutex_unlock(&(w)->lock); \
	} while (0)

/* ---- objects ---- */

static void set_text(struct cgm_kube_watch *w, char **to, const char *text)
{
	char *copy = text ? cgm_strdup(text) : NULL;

	if (text && !copy)
		COUNT(w, nr_objects_lost); /* it goes on from an older one, or lists */
	free(*to);
	*to = copy;
}

static void set_version(struct cgm_kube_watch *w, const char *version)
{
	if (w->version && version && strcmp(w->version, version) == 0)
		return;
	set_text(w, &w->version, version);
	if (version)
		set_text(w, &w->last_version, version);
}

static const char *version_of(const json_t *object)
{
	const char *version = cgm_json_text(json_object_get(object, "metadata"), "resourceVersion");

	return version && *version ? version : NULL;
}

static void note_event(struct cgm_kube_watch *w, bool counts)
{
	w->heard = true;
	pthread_mutex_lock(&w->lock);
	w->state.last_event_ns = cgm_clock_real_ns();
	w->state.nr_events += counts;
	pthread_mutex_unlock(&w->lock);
}

static int on_event(struct cgm_kube_watch *w, const char *type, const json_t *object)
{
	bool deleted = strcmp(type, "DELETED") == 0;

	if (strcmp(type, "ERROR") == 0) {
		w->event_code = (int)json_integer_value(json_object_get(object, "code"));
		return -ESTALE;
	}
	if (strcmp(type, "BOOKMARK") != 0) {
		if (!deleted && strcmp(type, "ADDED") != 0 && strcmp(type, "MODIFIED") != 0)
			return -EINVAL;
		note_event(w, true);
		w->config.on_object(w->config.arg, object, deleted);
	} else {
		note_event(w, false);
	}
	if (version_of(object))
		set_version(w, version_of(object));
	return 0;
}

/* An object of a list, or an event. What is not understood is counted, and the rest goes on. */
static int on_object(void *arg, const char *json, size_t len)
{
	struct cgm_kube_watch *w = arg;
	_cleanup_(cgm_json_freep) json_t *j = json_loadb(json, len, JSON_ALLOW_NUL, NULL);
	const char *type = cgm_json_text(j, "type");
	const json_t *object = json_object_get(j, "object");
	int r = 0;

	if (stopping(w))
		return -ECANCELED;
	if (w->split.list && j)
		w->config.on_object(w->config.arg, j, false);
	else if (!w->split.list && type && json_is_object(object))
		r = on_event(w, type, object);
	else
		r = -EINVAL;
	if (r == -EINVAL)
		COUNT(w, nr_objects_lost);
	if (r == -ESTALE) {
		w->refusal.len = 0;
		cgm_buf_put(&w->refusal, json, MIN(len, MAX_STATUS_BYTES));
	}
	return r == -EINVAL ? 0 : r;
}

static int on_data(void *arg, const char *p, size_t len)
{
	struct cgm_kube_watch *w = arg;

	if (w->call.status == 200)
		return cgm_kube_split_feed(&w->split, p, len);
	cgm_buf_put(&w->refusal, p, MIN(len, MAX_STATUS_BYTES - MIN(w->refusal.len, MAX_STATUS_BYTES)));
	return 0;
}

static void tell_state(const struct cgm_kube_watch *w)
{
	if (w->config.on_state)
		w->config.on_state(w->config.arg);
}

/* The connection stands (again). */
static void settle(struct cgm_kube_watch *w)
{
	bool turned;

	pthread_mutex_lock(&w->lock);
	turned = !w->state.synced;
	w->state.synced = true;
	w->state.fault[0] = '\0';
	pthread_mutex_unlock(&w->lock);
	if (turned)
		tell_state(w);
	if (w->said)
		cgm_info("%s: %s answers again", w->path, cgm_kube_server(w->k));
	w->said = false;
}

static void on_head(void *arg)
{
	struct cgm_kube_watch *w = arg;

	w->refusal.len = 0; /* of a first try */
	if (w->call.status != 200)
		w->call.quiet_ns = LIST_QUIET_NS; /* a refusal has an end */
	else if (!w->split.list)
		settle(w);
}

/* ---- requests ---- */

static void put_escaped(struct cgm_buf *b, const char *text)
{
	for (; *text; text++)
		if (strchr("-._~", *text) || (*text >= '0' && *text <= '9') || ((*text | 32) >= 'a' && (*text | 32) <= 'z'))
			cgm_buf_char(b, *text);
		else
			cgm_buf_printf(b, "%%%02X", (unsigned char)*text);
}

static void put_query(struct cgm_buf *b, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	cgm_buf_printf(b, "&%s=", key);
	put_escaped(b, value);
}

static void sleep_for(struct cgm_kube_watch *w, uint64_t ns)
{
	struct pollfd p = { .fd = w->stop_fd, .events = POLLIN };

	while (poll(&p, 1, (int)(ns / CGM_NSEC_PER_MSEC)) < 0 && errno == EINTR)
		;
}

/* Before the next try. */
static void wait_for(struct cgm_kube_watch *w, uint64_t asked_ns)
{
	sleep_for(w, cgm_backoff_next_ns(&w->backoff, asked_ns));
}

/* A try failed: that is told, and waited. */
static void fail(struct cgm_kube_watch *w, const char *fault, uint64_t asked_ns)
{
	if (stopping(w))
		return;
	pthread_mutex_lock(&w->lock);
	w->state.nr_failed++;
	w->state.synced = false;
	snprintf(w->state.fault, sizeof(w->state.fault), "%s", fault);
	pthread_mutex_unlock(&w->lock);
	tell_state(w);
	if (!w->said)
		cgm_warning("%s: %s; it is tried again", w->path, fault);
	w->said = true;
	wait_for(w, asked_ns);
}

/* An answer that is none of 200, or an ERROR event. */
static void refused(struct cgm_kube_watch *w, unsigned status)
{
	uint64_t asked_ns = w->call.retry_after_ns;
	char fault[CGM_KUBE_FAULT];

	cgm_kube_status_fault(w->k, status, w->refusal.p, w->refusal.len, fault);
	if (!asked_ns && (status == 401 || status == 403 || status == 404))
		asked_ns = SLOW_NS;
	fail(w, fault, asked_ns);
}

/* target: path and query, which it releases. 0 with a status, or a negative errno with fault. */
static int exchange(struct cgm_kube_watch *w, struct cgm_buf *target, bool list, uint64_t timeout_ns, uint64_t quiet_ns, char *fault)
{
	int r;

	cgm_buf_char(target, '\0');
	cgm_kube_split_done(&w->split);
	w->split = (struct cgm_kube_split){ .list = list, .max_bytes = MAX_OBJECT_BYTES, .on_object = on_object, .arg = w };
	w->refusal.len = 0;
	w->event_code = 0;
	w->heard = false;
	w->call = (struct cgm_kube_call){
		.method = "GET",
		.path = target->p,
		.accept = !w->config.metadata_only ? NULL : list ? METADATA_OF("PartialObjectMetadataList") : METADATA_OF("PartialObjectMetadata"),
		.timeout_ns = timeout_ns,
		.quiet_ns = quiet_ns,
		.stop_fd = w->stop_fd,
		.on_head = on_head,
		.on_data = on_data,
		.arg = w,
	};
	if (target->failed) {
		snprintf(fault, CGM_KUBE_FAULT, "out of memory");
		r = -ENOMEM;
	} else {
		r = cgm_kube_call(w->k, &w->call, fault);
	}
	w->call.path = NULL;
	cgm_buf_done(target);
	return r;
}

/* ---- list ---- */

static void put_list_version(const struct cgm_kube_watch *w, struct cgm_buf *b)
{
	if (!w->config.cached || w->consistent)
		return;
	if (!w->last_version) {
		put_query(b, "resourceVersion", "0");
		return;
	}
	put_query(b, "resourceVersion", w->last_version);
	put_query(b, "resourceVersionMatch", "NotOlderThan");
}

/* A page was refused: what is different with the next list? */
static void learn_from(struct cgm_kube_watch *w, bool first)
{
	unsigned status = w->call.status;

	if (status == 410 && !first)
		w->whole = true;
	/* Its memory does not reach that version: a server of its own history, or one that lags behind another. */
	if (first && w->config.cached && (status == 410 || status == 504 || status == 400))
		w->consistent = true;
}

/* What is around the items. 0 with the token of the next page, NULL after the last. */
static int read_envelope(struct cgm_kube_watch *w, char **ret_next, char **ret_version)
{
	_cleanup_(cgm_json_freep) json_t *j = json_loadb(w->split.envelope.p ? w->split.envelope.p : "", w->split.envelope.len, JSON_ALLOW_NUL, NULL);
	const char *next = cgm_json_text(json_object_get(j, "metadata"), "continue"), *version = version_of(j);

	if (!json_is_object(j) || (!version && !w->config.poll_ns))
		return -EBADMSG;
	free(*ret_next);
	free(*ret_version);
	*ret_next = next && *next ? cgm_strdup(next) : NULL;
	*ret_version = version ? cgm_strdup(version) : NULL;
	return (next && *next && !*ret_next) || (version && !*ret_version) ? -ENOMEM : 0;
}

/* One page after the token *next. 0; else it failed, and was waited for. */
static int list_page(struct cgm_kube_watch *w, char **next, char **version)
{
	struct cgm_buf target = { 0 };
	char fault[CGM_KUBE_FAULT] = "";
	bool first = !*next;
	int r;

	cgm_buf_str(&target, w->path);
	cgm_buf_printf(&target, w->whole || w->config.poll_ns ? "?" : "?limit=%d", PAGE);
	cgm_buf_str(&target, w->query);
	put_query(&target, "continue", *next);
	if (first && !w->config.poll_ns)
		put_list_version(w, &target);
	r = exchange(w, &target, true, LIST_NS, LIST_QUIET_NS, fault);
	if (r == 0 && w->call.status != 200) {
		learn_from(w, first);
		refused(w, w->call.status);
		return -EIO;
	}
	if (r == 0) {
		r = read_envelope(w, next, version);
		snprintf(fault, sizeof(fault), "%.100s: %s", cgm_kube_server(w->k), r == -ENOMEM ? "out of memory" : "its answer is no list");
	}
	if (r < 0)
		fail(w, fault, 0);
	return r;
}

/* True: all of it came. */
static bool list(struct cgm_kube_watch *w)
{
	_cleanup_free_ char *next = NULL, *version = NULL;

	COUNT(w, nr_lists);
	if (w->config.on_list)
		w->config.on_list(w->config.arg);
	do {
		if (stopping(w) || list_page(w, &next, &version) < 0)
			return false;
	} while (next);
	w->consistent = w->whole = false;
	if (!w->config.poll_ns)
		set_version(w, version);
	cgm_backoff_reset(&w->backoff);
	settle(w);
	note_event(w, false);
	if (w->config.on_synced)
		w->config.on_synced(w->config.arg);
	return true;
}

/* ---- watch ---- */

static void ended_at_once(struct cgm_kube_watch *w)
{
	char fault[CGM_KUBE_FAULT];

	snprintf(fault, sizeof(fault), "%.100s: it ended a watch at once", cgm_kube_server(w->k));
	fail(w, fault, 0);
}

static void watch(struct cgm_kube_watch *w)
{
	/* Not all at once, whoever was started at once: the clock's last digits are as good as dice. */
	unsigned sec = WATCH_SEC + (unsigned)(cgm_clock_mono_ns() / 1000 % WATCH_SEC);
	uint64_t longest_ns = (sec + BEYOND_SEC) * CGM_NSEC_PER_SEC, begin_ns = cgm_clock_mono_ns();
	char fault[CGM_KUBE_FAULT] = "";
	struct cgm_buf target = { 0 };
	int r;

	COUNT(w, nr_watches);
	cgm_buf_printf(&target, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u%s", w->path, sec, w->query);
	put_query(&target, "resourceVersion", w->version);
	r = exchange(w, &target, false, longest_ns, w->config.quiet_ns ? w->config.quiet_ns : longest_ns, fault);
	if (w->heard)
		cgm_backoff_reset(&w->backoff);
	if (r == -ESTALE || r == -EINVAL || r == -EFBIG || w->call.status == 410) /* from there it would come to the same again */
		set_version(w, NULL);
	if ((r == -ESTALE && w->event_code == 410) || (r == 0 && w->call.status == 410))
		wait_for(w, 0); /* no fault: it forgets what is old */
	else if (r == -ESTALE)
		refused(w, (unsigned)w->event_code);
	else if (r < 0)
		fail(w, fault, 0);
	else if (w->call.status != 200)
		refused(w, w->call.status);
	else if (!w->heard && cgm_clock_mono_ns() - begin_ns < CGM_NSEC_PER_SEC)
		ended_at_once(w);
}

static void *watch_main(void *arg)
{
	struct cgm_kube_watch *w = arg;

	while (!stopping(w))
		if (w->version)
			watch(w);
		else if (list(w) && w->config.poll_ns)
			sleep_for(w, w->config.poll_ns);
	return NULL;
}

/* ---- life ---- */

int cgm_kube_watch_new(struct cgm_kube *k, const struct cgm_kube_watch_config *config, struct cgm_kube_watch **ret)
{
	_cleanup_(cgm_kube_watch_freep) struct cgm_kube_watch *w = cgm_calloc(1, sizeof(*w));
	_cleanup_(cgm_buf_done) struct cgm_buf query = { 0 };
	int r;

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->stop_fd < 0)
		return -errno;
	w->k = k;
	w->config = *config;
	cgm_backoff_init(&w->backoff, 0);
	put_query(&query, "fieldSelector", config->field_selector);
	put_query(&query, "labelSelector", config->label_selector);
	cgm_buf_char(&query, '\0');
	w->path = cgm_strdup(config->path);
	w->query = query.failed ? NULL : cgm_strdup(query.p);
	if (!w->path || !w->query)
		return -ENOMEM;
	snprintf(w->state.fault, sizeof(w->state.fault), "it was not asked yet");
	r = -pthread_create(&w->thread, NULL, watch_main, w);
	if (r < 0)
		return r;
	w->has_thread = true;
	*ret = TAKE_PTR(w);
	return 0;
}

void cgm_kube_watch_free(struct cgm_kube_watch *w)
{
	uint64_t one = 1;

	if (!w)
		return;
	__atomic_store_n(&w->stopping, true, __ATOMIC_RELEASE);
	/* It cannot fail but for a counter that is full, which wakes as well. */
	if (w->stop_fd >= 0 && write(w->stop_fd, &one, sizeof(one)) == sizeof(one) && w->has_thread)
		pthread_join(w->thread, NULL);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
	cgm_kube_split_done(&w->split);
	cgm_buf_done(&w->refusal);
	free(w->version);
	free(w->last_version);
	free(w->path);
	free(w->query);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

struct cgm_kube_watch_state cgm_kube_watch_state(struct cgm_kube_watch *w)
{
	struct cgm_kube_watch_state state;

	pthread_mutex_lock(&w->lock);
	state = w->state;
	pthread_mutex_unlock(&w->lock);
	return state;
}
