// SPDX-License-Identifier: Apache-2.0
#include "sink/tries.h"

#include <inttypes.h>

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

/* While the end waits for us, tries come faster. */
#define STOPPING_PAUSE_NS (200 * CGM_NSEC_PER_MSEC)
/* The same trouble is said again only after so long. */
#define SAY_AGAIN_NS (60 * CGM_NSEC_PER_SEC)

static bool may_say(struct cgm_sink_tries *t)
{
	uint64_t now = cgm_clock_mono_ns();

	if (t->said_ns && now - t->said_ns < SAY_AGAIN_NS)
		return false;
	t->said_ns = now;
	return true;
}

static void say_failing(struct cgm_sink_tries *t, const struct cgm_sink_attempt *a)
{
	uint64_t bytes, batches;

	if (!t->failing_since_ns) {
		t->failing_since_ns = cgm_clock_mono_ns();
		t->said_ns = 0; /* a new trouble */
	}
	if (!may_say(t))
		return;
	t->level(t->arg, &bytes, &batches);
	cgm_warning("%s: %s; trying again, %" PRIu64 " batches (%" PRIu64 " bytes) wait", t->who, a->fault, batches, bytes);
}

static void say_done(struct cgm_sink_tries *t, const struct cgm_sink_attempt *a)
{
	if (t->failing_since_ns)
		cgm_info("%s: writing again after %.1f s", t->who, (double)(cgm_clock_mono_ns() - t->failing_since_ns) / 1e9);
	t->failing_since_ns = 0;
	if (a->nr_lost && may_say(t))
		cgm_warning("%s: %" PRIu64 " points of %" PRIu64 " are lost: %s", t->who, a->nr_lost, a->nr_points, a->fault);
}

bool cgm_sink_tries_write(struct cgm_sink_tries *t, struct cgm_sink_attempt *a)
{
	struct cgm_backoff backoff;

	cgm_backoff_init(&backoff, 0);
	a->first = true;
	while (!cgm_sink_stopped(a->stop)) {
		uint64_t pause;

		a->until_ns = cgm_clock_mono_ns() + t->timeout_ns;
		a->retry_after_ns = a->nr_lost = 0;
		if (t->send(t->state, a) == CGM_SINK_WRITTEN) {
			say_done(t, a);
			return true;
		}
		say_failing(t, a);
		if (t->failed(t->arg, a))
			return false;
		a->first = false;
		pause = cgm_backoff_next_ns(&backoff, a->retry_after_ns);
		if (!cgm_sink_stopping(a->stop))
			cgm_sink_sleep(a->stop, cgm_clock_mono_ns() + pause);
		else
			(void)cgm_sink_poll(a->stop, -1, 0, cgm_clock_mono_ns() + MIN(pause, STOPPING_PAUSE_NS));
	}
	return false;
}
