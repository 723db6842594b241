// SPDX-License-Identifier: Apache-2.0
#include "sink/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "sink/internal.h"

/* How much longer than the deadline a thread may take before it is left alone. */
#define PATIENCE_NS CGM_NSEC_PER_SEC

static void free_all(struct cgm_sinks *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++) {
		if (s->sinks[i].state)
			s->sinks[i].driver->close(s->sinks[i].state);
		cgm_sink_queue_done(&s->sinks[i].queue);
	}
	cgm_sink_gather_done(s);
	cgm_sink_stop_done(&s->stop);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	free(s->sinks);
	free(s);
}
DEFINE_CLEANUP(cgm_sinks, free_all)

static int open_drivers(struct cgm_sinks *s, const char **ret_flag, char *fault)
{
	struct cgm_str list = cgm_str(s->config->drivers), name;
	int r;

	s->sinks = cgm_calloc(strlen(s->config->drivers) / 2 + 1, sizeof(*s->sinks));
	if (!s->sinks)
		return -ENOMEM;
	while (cgm_next_field(&list, ',', &name)) {
		struct cgm_sink *sink = &s->sinks[s->nr];
		const struct cgm_sink_driver *d;

		name = cgm_trim(name);
		d = cgm_sink_find(name.p, name.len);
		if (!d)
			continue; /* nothing between two commas: _check has named what is wrong */
		r = d->open(s->config, &sink->state, ret_flag, fault);
		if (r < 0)
			return r;
		sink->driver = d;
		sink->sinks = s;
		sink->status.name = d->name;
		cgm_sink_queue_init(&sink->queue, s->config->queue_bytes, s->config->max_batches);
		s->nr++;
	}
	return 0;
}

static int start_thread(pthread_t *thread, void *(*run)(void *arg), void *arg, const char *name)
{
	char shown[16];
	int r = pthread_create(thread, NULL, run, arg);

	if (r)
		return -r;
	snprintf(shown, sizeof(shown), "sink-%s", name);
	pthread_setname_np(*thread, shown);
	return 0;
}

static int start_threads(struct cgm_sinks *s)
{
	sigset_t all, before;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; r == 0 && i < s->nr; i++) {
		r = start_thread(&s->sinks[i].thread, cgm_sink_send_main, &s->sinks[i], s->sinks[i].driver->name);
		s->sinks[i].has_thread = r == 0;
	}
	if (r == 0) {
		r = start_thread(&s->gatherer, cgm_sink_gather_main, s, "gather");
		s->has_gatherer = r == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int cgm_sinks_open(const struct cgm_sink_config *c, struct cgm_store *store, struct cgm_sinks **ret)
{
	_cleanup_(cgm_sinks_freep) struct cgm_sinks *s = NULL;
	char fault[CGM_SINK_FAULT] = "";
	const char *flag = "--storage_driver";
	int r;

	*ret = NULL;
	if (!*c->drivers)
		return 0;
	r = cgm_sinks_check(c, &flag, fault, sizeof(fault));
	if (r < 0) {
		cgm_error("%s: %s", flag, fault);
		return r;
	}
	s = cgm_calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->config = c;
	s->store = store;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = cgm_sink_stop_init(&s->stop);
	if (r < 0 || s->wake_fd < 0)
		return r < 0 ? r : -errno;
	if (*c->machine_name)
		snprintf(s->machine, sizeof(s->machine), "%s", c->machine_name);
	else if (gethostname(s->machine, sizeof(s->machine) - 1) < 0)
		return -errno;
	r = open_drivers(s, &flag, fault);
	if (r == -EINVAL)
		cgm_error("%s: %s", flag, fault);
	if (r < 0 || !s->nr)
		return r;
	r = start_threads(s);
	if (r < 0) {
		cgm_error("cannot start the storage drivers: %s", strerror(-r));
		cgm_sinks_stop(TAKE_PTR(s));
		return r;
	}
	cgm_info("storage drivers: %s, every sample%s", c->drivers, c->resolution_ns ? " that --storage_driver_resolution leaves" : "");
	*ret = TAKE_PTR(s);
	return 0;
}

void cgm_sinks_notify(struct cgm_sinks *s)
{
	if (s)
		(void)eventfd_write(s->wake_fd, 1); /* full: it is readable already */
}

static void read_status(const struct cgm_sink *sink, struct cgm_sink_status *ret)
{
	const struct cgm_sink_status *from = &sink->status;

	*ret = (struct cgm_sink_status){
		.name = from->name,
		.nr_points = __atomic_load_n(&from->nr_points, __ATOMIC_RELAXED),
		.nr_batches = __atomic_load_n(&from->nr_batches, __ATOMIC_RELAXED),
		.bytes = __atomic_load_n(&from->bytes, __ATOMIC_RELAXED),
		.nr_retries = __atomic_load_n(&from->nr_retries, __ATOMIC_RELAXED),
		.last_success_ns = __atomic_load_n(&from->last_success_ns, __ATOMIC_RELAXED),
	};
	for (unsigned i = 0; i < CGM_NR_SINK_LOSSES; i++)
		ret->lost[i] = __atomic_load_n(&from->lost[i], __ATOMIC_RELAXED);
	cgm_sink_queue_level(&sink->queue, &ret->queue_bytes, &ret->queue_batches);
}

void cgm_sinks_publish(struct cgm_sinks *s, struct cgm_snapshot *snap)
{
	struct cgm_sink_status *to = s ? cgm_snapshot_alloc(snap, s->nr * sizeof(*to)) : NULL;

	if (!to)
		return;
	for (size_t i = 0; i < s->nr; i++)
		read_status(&s->sinks[i], &to[i]);
	snap->self.sinks = to;
	snap->self.nr_sinks = s->nr;
}

/* False: it hangs, in the name service for example, and has to be left to the end of the process. */
static bool join(pthread_t thread, uint64_t until_ns)
{
	struct timespec until = { (time_t)(until_ns / CGM_NSEC_PER_SEC), (long)(until_ns % CGM_NSEC_PER_SEC) };

	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

static void say_lost(const struct cgm_sink *sink)
{
	struct cgm_sink_status status;
	uint64_t lost = 0;

	read_status(sink, &status);
	for (unsigned i = 0; i < CGM_NR_SINK_LOSSES; i++)
		lost += status.lost[i];
	if (status.lost[CGM_SINK_STOPPED] || status.queue_batches)
		cgm_warning("storage driver %s: the end came before all was written (--storage_driver_stop_timeout)", sink->driver->name);
	cgm_info("storage driver %s: %" PRIu64 " points written, %" PRIu64 " lost", sink->driver->name, status.nr_points, lost);
}

void cgm_sinks_stop(struct cgm_sinks *s)
{
	bool all = true;
	uint64_t until_ns;

	if (!s)
		return;
	cgm_sink_stop_ask(&s->stop, s->config->stop_ns);
	until_ns = cgm_clock_mono_ns() + s->config->stop_ns + PATIENCE_NS;
	if (s->has_gatherer)
		all = join(s->gatherer, until_ns);
	for (size_t i = 0; i < s->nr; i++) {
		if (!s->has_gatherer)
			cgm_sink_queue_close(&s->sinks[i].queue);
		if (!s->sinks[i].has_thread)
			continue;
		all &= join(s->sinks[i].thread, until_ns);
		say_lost(&s->sinks[i]);
	}
	if (all)
		free_all(s);
	else
		cgm_warning("a storage driver does not end in time; it ends with the process");
}
