// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "export/internal.h"

#define SPOOL_BYTES ((uint64_t)1 << 30)
#define QUEUE_BYTES ((uint64_t)64 << 20)
#define TIMEOUT_NS (20 * CGM_NSEC_PER_SEC)
#define STOP_NS (5 * CGM_NSEC_PER_SEC)
/* How much longer than the deadline a thread may take before it is left alone. */
#define PATIENCE_NS CGM_NSEC_PER_SEC

static struct cgm_export_config filled(const struct cgm_export_config *from)
{
	struct cgm_export_config c = *from;

	c.spool_dir = c.spool_dir ? c.spool_dir : "";
	c.spool_bytes = c.spool_bytes ? c.spool_bytes : SPOOL_BYTES;
	c.queue_bytes = c.queue_bytes ? c.queue_bytes : QUEUE_BYTES;
	c.timeout_ns = c.timeout_ns ? c.timeout_ns : TIMEOUT_NS;
	c.stop_ns = c.stop_ns ? c.stop_ns : STOP_NS;
	c.cluster_name = c.cluster_name ? c.cluster_name : "default";
	c.tls_ca_file = c.tls_ca_file ? c.tls_ca_file : "";
	return c;
}

/* ---- looking at an URI ---- */

static int bad(char *fault, int r, const char *sink, const char *what)
{
	snprintf(fault, CGM_EXPORT_FAULT, "sink %.40s: %.200s", sink, r == -ENOMEM ? "out of memory" : what);
	return r;
}

/* Opens the driver of an URI. *ret_driver NULL: it is no sink with a queue. */
static int open_driver(const char *text, const struct cgm_export_config *config, struct cgm_uri *ret_uri, const struct cgm_exporter **ret_driver, void **ret_state, char *fault)
{
	char why[CGM_SINK_FAULT] = "";
	const struct cgm_exporter *d;
	const char *unused;
	int r = cgm_uri_read(text, ret_uri, why, sizeof(why));

	if (r < 0) {
		*ret_uri = (struct cgm_uri){ 0 };
		snprintf(fault, CGM_EXPORT_FAULT, "sink: %.240s", why);
		return r;
	}
	*ret_driver = NULL;
	if (cgm_export_is_elsewhere(ret_uri->prefix))
		return 0;
	d = cgm_exporter_find(ret_uri->prefix);
	if (!d) {
		snprintf(fault, CGM_EXPORT_FAULT, "there is no sink \"%.40s\"; there are %.180s", ret_uri->prefix, cgm_export_names());
		return -EINVAL;
	}
	r = d->open(ret_uri, config, ret_state, why);
	if (r < 0)
		return bad(fault, r, d->name, why);
	unused = cgm_uri_unused(ret_uri);
	if (unused) {
		snprintf(why, sizeof(why), "unknown option \"%.60s\"", unused);
		d->close(*ret_state);
		return bad(fault, -EINVAL, d->name, why);
	}
	*ret_driver = d;
	return 0;
}

static int check_one(const struct cgm_export_config *config, size_t i, char *fault)
{
	_cleanup_(cgm_uri_done) struct cgm_uri uri = { 0 };
	const struct cgm_exporter *d = NULL;
	void *state;
	int r = open_driver(config->uris[i], config, &uri, &d, &state, fault);

	if (r == 0 && d)
		d->close(state);
	for (size_t k = 0; r == 0 && d && k < i; k++)
		if (strcmp(config->uris[k], config->uris[i]) == 0)
			return bad(fault, -EINVAL, d->name, "it is given twice");
	return r;
}

int cgm_export_check(const struct cgm_export_config *config, char *fault)
{
	struct cgm_export_config c = filled(config);
	int r = 0;

	for (size_t i = 0; r == 0 && i < c.nr_uris; i++)
		r = check_one(&c, i, fault);
	return r;
}

/* ---- starting ---- */

static void sink_done(struct cgm_export_sink *sink)
{
	if (sink->state)
		sink->driver->close(sink->state);
	cgm_backlog_free(sink->backlog);
	cgm_export_slices_done(&sink->slices);
	cgm_buf_done(&sink->open);
	cgm_uri_done(&sink->uri);
	pthread_mutex_destroy(&sink->fault_lock);
}

static void free_all(struct cgm_export *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->nr; i++)
		sink_done(&e->sinks[i]);
	cgm_sink_stop_done(&e->stop);
	free(e->sinks);
	free(e);
}
DEFINE_CLEANUP(cgm_export, free_all)

/* A spool that cannot be had is no reason not to start, but when somebody else has it. */
static int open_spool(struct cgm_export_sink *sink, struct cgm_spool **ret, char *fault)
{
	const struct cgm_export_config *c = &sink->export->config;
	_cleanup_free_ char *shown = cgm_uri_shown(&sink->uri), *dir = NULL;
	uint64_t lost = 0, bytes, batches;
	int r;

	if (!shown)
		return -ENOMEM;
	snprintf(sink->told.shown, sizeof(sink->told.shown), "%s", shown);
	if (!*c->spool_dir || sink->driver->no_spool)
		return 0;
	dir = cgm_asprintf("%s/%s-%016" PRIx64, c->spool_dir, sink->driver->name, cgm_hash_bytes(shown, strlen(shown)));
	r = dir ? cgm_spool_open(dir, c->spool_bytes, shown, ret, &lost, fault) : -ENOMEM;
	if (r == -EBUSY || r == -ENOMEM)
		return r;
	if (r < 0) {
		cgm_warning("%s: %s; memory alone is left", sink->who, fault);
		return 0;
	}
	if (lost) {
		cgm_export_lose(sink, CGM_EXPORT_SPOOL_FAULT, lost);
		cgm_warning("%s: its spool was cut short by a crash: %" PRIu64 " points or more are lost", sink->who, lost);
	}
	cgm_spool_level(*ret, &bytes, &batches);
	if (batches)
		cgm_info("%s: its spool holds %" PRIu64 " batches (%" PRIu64 " bytes), which go first", sink->who, batches, bytes);
	return 0;
}

static int open_sink(struct cgm_export *e, const char *text, char *fault)
{
	struct cgm_export_sink *sink = &e->sinks[e->nr];
	struct cgm_spool *spool = NULL;
	int r;

	r = open_driver(text, &e->config, &sink->uri, &sink->driver, &sink->state, fault);
	if (r < 0 || !sink->driver) {
		cgm_uri_done(&sink->uri);
		return r;
	}
	sink->export = e;
	pthread_mutex_init(&sink->fault_lock, NULL);
	snprintf(sink->who, sizeof(sink->who), "sink %s", sink->driver->name);
	snprintf(sink->told.name, sizeof(sink->told.name), "%s", sink->driver->name);
	cgm_export_slices_init(&sink->slices, 2 * e->config.queue_bytes);
	e->nr++;
	r = open_spool(sink, &spool, fault);
	if (r == -EBUSY)
		return r;
	if (r == 0)
		sink->backlog = cgm_backlog_new(&(struct cgm_backlog_config){
			.who = sink->who, .max_bytes = e->config.queue_bytes, .spool = spool, .nr_lost = sink->told.nr_lost });
	return sink->backlog ? 0 : -ENOMEM;
}

static int start_thread(pthread_t *thread, void *(*run)(void *arg), struct cgm_export_sink *sink, const char *what, bool *ret_has)
{
	char name[16];
	int r = pthread_create(thread, NULL, run, sink);

	if (r)
		return -r;
	*ret_has = true;
	snprintf(name, sizeof(name), "%s-%s", what, sink->driver->name);
	pthread_setname_np(*thread, name);
	return 0;
}

static int start_threads(struct cgm_export *e)
{
	sigset_t all, before;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; r == 0 && i < e->nr; i++) {
		struct cgm_export_sink *sink = &e->sinks[i];

		sink->nr_users = 3; /* of them this one, until both run */
		r = start_thread(&sink->sender, cgm_export_send_main, sink, "send", &sink->has_sender);
		if (r == 0)
			r = start_thread(&sink->encoder, cgm_export_encode_main, sink, "encode", &sink->has_encoder);
		if (r == 0)
			__atomic_sub_fetch(&sink->nr_users, 1, __ATOMIC_ACQ_REL);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static int open_all(struct cgm_export *e, char *fault)
{
	int r = cgm_sink_stop_init(&e->stop);

	e->sinks = cgm_calloc(e->config.nr_uris + 1, sizeof(*e->sinks));
	if (!e->sinks)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < e->config.nr_uris; i++)
		r = open_sink(e, e->config.uris[i], fault);
	return r;
}

int cgm_export_start(const struct cgm_export_config *config, struct cgm_export **ret, char *fault)
{
	_cleanup_(cgm_export_freep) struct cgm_export *e = NULL;
	int r = cgm_export_check(config, fault);

	if (r < 0)
		return r;
	e = cgm_calloc(1, sizeof(*e));
	if (!e)
		return bad(fault, -ENOMEM, "", "");
	e->stop.fd = -1;
	e->config = filled(config);
	r = open_all(e, fault);
	if (r == 0) {
		r = start_threads(e);
		if (r < 0) {
			snprintf(fault, CGM_EXPORT_FAULT, "cannot start the sinks' threads: %s", strerror(-r));
			cgm_export_stop(TAKE_PTR(e));
		}
	} else if (r == -ENOMEM) {
		snprintf(fault, CGM_EXPORT_FAULT, "out of memory");
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(e);
	return 0;
}

void cgm_export_put(struct cgm_export *e, struct cgm_slice *s)
{
	for (size_t i = 0; i < e->nr; i++) {
		cgm_export_add(&e->sinks[i].told.nr_slices, 1);
		cgm_export_add(&e->sinks[i].told.nr_points, s->nr_points);
		cgm_export_slices_put(&e->sinks[i], s);
	}
}

/* ---- what is known ---- */

static void read_state(struct cgm_export_sink *sink, struct cgm_export_state *ret)
{
	const struct cgm_backlog_level l = cgm_backlog_level(sink->backlog);
	const struct cgm_export_state *from = &sink->told;

#define READ(member) __atomic_load_n(&from->member, __ATOMIC_RELAXED)
	*ret = (struct cgm_export_state){
		.nr_points = READ(nr_points), .nr_slices = READ(nr_slices), .nr_sent = READ(nr_sent), .nr_sent_bytes = READ(nr_sent_bytes),
		.nr_batches = READ(nr_batches), .nr_retries = READ(nr_retries), .last_ok_ns = READ(last_ok_ns), .delay_ns = READ(delay_ns),
		.busy_ns = READ(busy_ns), .queue_bytes = l.queue_bytes, .queue_batches = l.queue_batches, .spool_bytes = l.spool_bytes, .spool_batches = l.spool_batches,
	};
	for (unsigned i = 0; i < CGM_NR_EXPORT_LOSSES; i++)
		ret->nr_lost[i] = READ(nr_lost[i]);
#undef READ
	memcpy(ret->name, from->name, sizeof(ret->name));
	memcpy(ret->shown, from->shown, sizeof(ret->shown));
	pthread_mutex_lock(&sink->fault_lock);
	memcpy(ret->fault, from->fault, sizeof(ret->fault));
	pthread_mutex_unlock(&sink->fault_lock);
}

int cgm_export_states(struct cgm_export *e, struct cgm_export_state **ret, size_t *ret_nr)
{
	struct cgm_export_state *states = cgm_calloc(e->nr + 1, sizeof(*states));

	if (!states)
		return -ENOMEM;
	for (size_t i = 0; i < e->nr; i++)
		read_state(&e->sinks[i], &states[i]);
	*ret = states;
	*ret_nr = e->nr;
	return 0;
}

/* ---- the end ---- */

/* False: it hangs, in the name service for example, and has to be left to the end of the process. */
static bool join(pthread_t thread, uint64_t until_ns)
{
	struct timespec until = { (time_t)(until_ns / CGM_NSEC_PER_SEC), (long)(until_ns % CGM_NSEC_PER_SEC) };

	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

static void say_end(struct cgm_export_sink *sink)
{
	struct cgm_export_state s;
	uint64_t lost = 0;

	read_state(sink, &s);
	for (unsigned i = 0; i < CGM_NR_EXPORT_LOSSES; i++)
		lost += s.nr_lost[i];
	if (s.nr_lost[CGM_EXPORT_AT_END])
		cgm_warning("%s: the end came before all was written, and there is no spool that takes it", sink->who);
	cgm_info("%s: %" PRIu64 " points written, %" PRIu64 " lost, %" PRIu64 " batches in the spool", sink->who, s.nr_sent, lost, s.spool_batches);
}

void cgm_export_stop(struct cgm_export *e)
{
	bool all = true;
	uint64_t until_ns;

	if (!e)
		return;
	cgm_sink_stop_ask(&e->stop, e->config.stop_ns);
	until_ns = cgm_clock_mono_ns() + e->config.stop_ns + PATIENCE_NS;
	for (size_t i = 0; i < e->nr; i++) {
		cgm_export_slices_close(&e->sinks[i].slices);
		if (!e->sinks[i].has_encoder)
			cgm_backlog_close(e->sinks[i].backlog);
	}
	for (size_t i = 0; i < e->nr; i++) {
		struct cgm_export_sink *sink = &e->sinks[i];

		if (sink->has_encoder)
			all &= join(sink->encoder, until_ns);
		if (sink->has_sender)
			all &= join(sink->sender, until_ns);
		cgm_backlog_keep(sink->backlog);
		say_end(sink);
	}
	if (all)
		free_all(e);
	else
		cgm_warning("a sink does not end in time; it ends with the process");
}
