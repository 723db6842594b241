// SPDX-License-Identifier: Apache-2.0
#include "app/apps.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "app/config.h"
#include "app/exposition.h"
#include "app/fetch.h"
#include "app/inside.h"
#include "app/pattern.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define PREFIX "io.cadvisor.metric."
#define MAX_SOURCES 8 /* of one container */
#define MAX_CONFIG_BYTES 65536
#define TIMEOUT_MS 3000
#define RETRY_NS (60 * CGM_NSEC_PER_SEC) /* after a file that cannot be read or understood */
#define STOP_S 2
#define NICE 10

/* A label: one file, one address. */
struct source {
	char *name, *path;
	bool is_prometheus;
	bool said; /* what was wrong with it */
	struct cgm_app_config *config; /* NULL: not read yet */
	struct cgm_pattern **patterns; /* of its wanted metrics; NULL: Prometheus */
	uint64_t due_ns; /* monotonic */
	struct cgm_app_metrics *last; /* NULL: none */
};

struct cgm_app {
	struct cgm_app *next;
	char *id;
	unsigned pid;
	bool dropped; /* while it is asked */
	size_t nr_sources;
	struct source sources[MAX_SOURCES];
	struct cgm_app_metrics *result;
};

struct cgm_apps {
	struct cgm_apps_config config;
	pthread_mutex_t lock; /* of all that follows, but for what belongs to asked while it is asked */
	pthread_cond_t wake;
	pthread_t thread;
	bool has_thread;
	bool stop; /* atomic */
	struct cgm_app *first, *asked;
	struct cgm_apps_state state;
};

/* ---- a source ---- */

static void forget_config(struct source *s)
{
	for (size_t i = 0; s->patterns && i < s->config->nr_wanted; i++)
		cgm_pattern_free(s->patterns[i]);
	free(s->patterns);
	s->patterns = NULL;
	cgm_app_config_free(s->config);
	s->config = NULL;
}

static void app_free(struct cgm_app *app)
{
	if (!app)
		return;
	for (size_t i = 0; i < app->nr_sources; i++) {
		struct source *s = &app->sources[i];

		forget_config(s);
		cgm_app_metrics_unref(s->last);
		free(s->name);
		free(s->path);
	}
	cgm_app_metrics_unref(app->result);
	free(app->id);
	free(app);
}
DEFINE_CLEANUP(cgm_app, app_free)

static int compile(struct source *s, char *fault)
{
	s->patterns = cgm_calloc(s->config->nr_wanted, sizeof(struct cgm_pattern *));
	if (!s->patterns)
		return -ENOMEM;
	for (size_t i = 0; i < s->config->nr_wanted; i++) {
		int r = cgm_pattern_new(s->config->wanted[i].regex, &s->patterns[i], fault, CGM_APP_FAULT);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_config(struct source *s, const struct cgm_inside *in, char *fault)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = cgm_inside_read(in, s->path, MAX_CONFIG_BYTES, &text, &len);

	if (r < 0) {
		snprintf(fault, CGM_APP_FAULT, "cannot read %.100s in its root: %s", s->path, r == -EINVAL ? "not a regular file" : strerror(-r));
		return r;
	}
	r = cgm_app_config_parse(text, len, s->is_prometheus, &s->config, fault);
	if (r == 0 && !s->is_prometheus)
		r = compile(s, fault);
	if (r < 0 && s->config)
		forget_config(s);
	return r;
}

static int make_url(const struct cgm_app_config *c, const struct cgm_inside *in, char *buf, size_t size, char *fault)
{
	char address[64];
	const char *why;
	int r = 0;

	if (c->url)
		r = (size_t)snprintf(buf, size, "%s", c->url) < size ? 0 : -EFBIG;
	else
		r = cgm_inside_address(in, address, sizeof(address));
	if (r == 0 && !c->url)
		r = (size_t)snprintf(buf, size, "%s://%s:%u%s", c->protocol, address, c->port, c->path) < size ? 0 : -EFBIG;
	if (r < 0) {
		snprintf(fault, CGM_APP_FAULT, "endpoint: %s", strerror(-r));
		return r;
	}
	why = cgm_fetch_url_fault(buf);
	if (why)
		snprintf(fault, CGM_APP_FAULT, "endpoint %.80s: %s", buf, why);
	return why ? -EINVAL : 0;
}

static bool parse_number(const char *text, bool is_int, double *ret)
{
	int64_t number;
	char *end;

	if (is_int && cgm_parse_i64(cgm_str(text), &number) == 0) {
		*ret = (double)number;
		return true;
	}
	*ret = strtod(text, &end);
	return !is_int && end != text && *end == '\0';
}

/* Each metric by its expression. What does not match is passed over, and said once. */
static int match_all(struct source *s, const struct cgm_buf *answer, uint64_t time_ns, struct cgm_app_draft *out, char *fault)
{
	for (size_t i = 0; i < s->config->nr_wanted; i++) {
		const struct cgm_app_wanted *w = &s->config->wanted[i];
		struct cgm_app_kind kind = { w->is_cumulative ? "cumulative" : "gauge", w->units, w->is_int, false };
		char buf[64];
		double number;
		int r = cgm_pattern_match(s->patterns[i], answer->p ? answer->p : "", answer->len, buf, sizeof(buf));

		if (r < 0 || !parse_number(buf, w->is_int, &number)) {
			snprintf(fault, CGM_APP_FAULT, "%.60s: %s", w->name,
				 r == -E2BIG ? "its regex takes too long" : r == -EINVAL ? "its regex has no group" : r < 0 ? "its regex does not match" : "what matches is no number");
			continue;
		}
		r = cgm_app_draft_add(out, w->name, &kind, NULL, 0, number, time_ns);
		if (r < 0)
			return r;
	}
	return out->nr_values ? 0 : -ENODATA;
}

static int ask(struct cgm_apps *a, struct source *s, const struct cgm_inside *in, struct cgm_app_draft *out, char *fault)
{
	struct cgm_fetch f = { .inside = in, .cert = a->config.cert, .key = a->config.key, .stop = &a->stop, .timeout_ms = TIMEOUT_MS };
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	uint64_t time_ns = cgm_clock_real_ns();
	char url[512];
	int r;

	r = s->config ? 0 : read_config(s, in, fault);
	if (r == 0)
		r = make_url(s->config, in, url, sizeof(url), fault);
	if (r == 0)
		r = cgm_fetch(&f, url, &answer, fault, CGM_APP_FAULT);
	if (r < 0)
		return r;
	out->max_metrics = a->config.max_metrics;
	if (s->is_prometheus)
		return cgm_app_exposition_parse(answer.p ? answer.p : "", answer.len, s->config, time_ns, out, fault);
	return match_all(s, &answer, time_ns, out, fault);
}

/* ---- an application ---- */

/* What all its sources said, together. */
static struct cgm_app_metrics *combine(struct cgm_apps *a, struct cgm_app *app, size_t *left_out, bool *lost)
{
	_cleanup_(cgm_app_draft_done) struct cgm_app_draft d = { .max_metrics = a->config.max_metrics };
	struct cgm_app_metrics *ret;
	bool any = false;

	for (size_t i = 0; i < app->nr_sources; i++) {
		any |= app->sources[i].last != NULL;
		if (app->sources[i].last && cgm_app_draft_add_all(&d, app->sources[i].last) < 0) {
			*lost = true;
			return NULL;
		}
	}
	ret = any ? cgm_app_draft_finish(&d) : NULL;
	*lost = any && !ret;
	*left_out += d.nr_left_out;
	return ret;
}

/* One source of an application that nobody else touches meanwhile. */
static int ask_source(struct cgm_apps *a, struct cgm_app *app, struct source *s, size_t *left_out)
{
	_cleanup_(cgm_inside_close) struct cgm_inside in = { -1, -1 };
	_cleanup_(cgm_app_draft_done) struct cgm_app_draft d = { 0 };
	struct cgm_app_metrics *now = NULL;
	char fault[CGM_APP_FAULT] = "";
	int r = cgm_inside_open(a->config.root_fd, app->pid, app->id, &in);

	if (r == 0)
		r = ask(a, s, &in, &d, fault);
	if (r == 0) {
		now = cgm_app_draft_finish(&d);
		r = now ? 0 : -ENOMEM;
	}
	*left_out = d.nr_left_out;
	cgm_app_metrics_unref(s->last);
	s->last = now; /* what could not be had is not known: no old numbers */
	if (*fault && !s->said && r != -ECANCELED) {
		cgm_info("metrics of the application in %.12s (%s%s): %s", app->id, PREFIX, s->name, fault);
		s->said = true;
	}
	return r;
}

static void ask_app(struct cgm_apps *a, struct cgm_app *app, struct source *s)
{
	struct cgm_app_metrics *result, *old;
	size_t left_out = 0;
	bool lost = false;
	int r;

	a->asked = app;
	pthread_mutex_unlock(&a->lock);
	r = ask_source(a, app, s, &left_out);
	result = combine(a, app, &left_out, &lost);
	pthread_mutex_lock(&a->lock);
	a->asked = NULL;
	s->due_ns = cgm_clock_mono_ns() + (s->config ? s->config->interval_ns : RETRY_NS);
	a->state.nr_requests++;
	a->state.nr_failed += r < 0 && r != -ENOMEM && r != -ECANCELED;
	a->state.nr_lost += r == -ENOMEM || lost;
	a->state.nr_left_out += left_out;
	old = app->result;
	app->result = result;
	cgm_app_metrics_unref(old);
	if (app->dropped)
		app_free(app);
}

/* ---- the thread ---- */

static struct cgm_app *earliest(struct cgm_apps *a, struct source **ret)
{
	struct cgm_app *best = NULL;

	for (struct cgm_app *app = a->first; app; app = app->next)
		for (size_t i = 0; i < app->nr_sources; i++)
			if (!best || app->sources[i].due_ns < (*ret)->due_ns) {
				best = app;
				*ret = &app->sources[i];
			}
	return best;
}

static void *run(void *arg)
{
	struct cgm_apps *a = arg;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		struct source *s = NULL;
		struct cgm_app *app = earliest(a, &s);
		uint64_t now = cgm_clock_mono_ns();

		if (app && s->due_ns <= now) {
			ask_app(a, app, s);
		} else if (app) {
			struct timespec ts = { (time_t)(s->due_ns / CGM_NSEC_PER_SEC), (long)(s->due_ns % CGM_NSEC_PER_SEC) };

			pthread_cond_timedwait(&a->wake, &a->lock, &ts);
		} else {
			pthread_cond_wait(&a->wake, &a->lock);
		}
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

int cgm_apps_open(const struct cgm_apps_config *config, struct cgm_apps **ret)
{
	struct cgm_apps *a = cgm_calloc(1, sizeof(*a));
	pthread_condattr_t attr;

	if (!a)
		return -ENOMEM;
	a->config = *config;
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->wake, &attr);
	pthread_condattr_destroy(&attr);
	*ret = a;
	return 0;
}

/* A file on a file system that does not answer holds the thread for ever: then it stays behind, with all that it holds. */
static bool join(struct cgm_apps *a)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += STOP_S;
	if (pthread_timedjoin_np(a->thread, NULL, &ts) == 0)
		return true;
	cgm_warning("metrics of applications: a container's file does not answer; its thread is left behind");
	return false;
}

void cgm_apps_close(struct cgm_apps *a)
{
	if (!a)
		return;
	if (a->has_thread) {
		pthread_mutex_lock(&a->lock);
		__atomic_store_n(&a->stop, true, __ATOMIC_RELAXED);
		pthread_cond_signal(&a->wake);
		pthread_mutex_unlock(&a->lock);
		if (!join(a))
			return;
	}
	while (a->first) {
		struct cgm_app *app = a->first;

		a->first = app->next;
		app_free(app);
	}
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- the sampler's side ---- */

static bool is_prefixed(const char *key)
{
	return strncmp(key, PREFIX, strlen(PREFIX)) == 0 && key[strlen(PREFIX)];
}

bool cgm_apps_wanted(const struct cgm_who *who)
{
	for (size_t i = 0; who && i < who->nr_labels; i++)
		if (is_prefixed(who->labels[i].key))
			return who->pid != 0;
	return false;
}

static struct cgm_app *app_new(const struct cgm_who *who)
{
	_cleanup_(cgm_app_freep) struct cgm_app *app = cgm_calloc(1, sizeof(*app));

	if (!app)
		return NULL;
	app->pid = who->pid;
	app->id = cgm_strdup(who->id);
	if (!app->id)
		return NULL;
	for (size_t i = 0; i < who->nr_labels && app->nr_sources < MAX_SOURCES; i++) {
		struct source *s = &app->sources[app->nr_sources];

		if (!is_prefixed(who->labels[i].key))
			continue;
		app->nr_sources++;
		s->name = cgm_strdup(who->labels[i].key + strlen(PREFIX));
		s->path = cgm_strdup(who->labels[i].value);
		if (!s->name || !s->path)
			return NULL;
		s->is_prometheus = strncasecmp(s->name, "prometheus", strlen("prometheus")) == 0;
	}
	return TAKE_PTR(app);
}

/* With the lock. */
static int start(struct cgm_apps *a)
{
	int r = a->has_thread ? 0 : pthread_create(&a->thread, NULL, run, a);

	if (r)
		return -r;
	if (!a->has_thread)
		pthread_setname_np(a->thread, "cgm-apps");
	a->has_thread = true;
	return 0;
}

struct cgm_app *cgm_apps_add(struct cgm_apps *a, const struct cgm_who *who)
{
	_cleanup_(cgm_app_freep) struct cgm_app *app = app_new(who);
	int r;

	pthread_mutex_lock(&a->lock);
	r = app ? start(a) : -ENOMEM;
	if (r == 0) {
		app->next = a->first;
		a->first = app;
		a->state.nr_apps++;
		pthread_cond_signal(&a->wake);
	} else {
		a->state.nr_lost++;
	}
	pthread_mutex_unlock(&a->lock);
	return r == 0 ? TAKE_PTR(app) : NULL;
}

void cgm_apps_drop(struct cgm_apps *a, struct cgm_app *app)
{
	struct cgm_app **at;

	if (!app)
		return;
	pthread_mutex_lock(&a->lock);
	for (at = &a->first; *at != app; at = &(*at)->next)
		;
	*at = app->next;
	a->state.nr_apps--;
	app->dropped = true;
	if (a->asked != app)
		app_free(app);
	pthread_mutex_unlock(&a->lock);
}

struct cgm_app_metrics *cgm_apps_get(struct cgm_apps *a, const struct cgm_app *app)
{
	struct cgm_app_metrics *m;

	pthread_mutex_lock(&a->lock);
	m = app->result ? cgm_app_metrics_ref(app->result) : NULL;
	pthread_mutex_unlock(&a->lock);
	return m;
}

struct cgm_apps_state cgm_apps_state(struct cgm_apps *a)
{
	struct cgm_apps_state s;
	struct source *next = NULL;
	uint64_t now = cgm_clock_mono_ns();

	pthread_mutex_lock(&a->lock);
	s = a->state;
	/* What is being asked has a time that has passed, and is asked all the same. */
	if (earliest(a, &next) && next->due_ns && now > next->due_ns)
		s.late_ns = now - next->due_ns;
	pthread_mutex_unlock(&a->lock);
	return s;
}
