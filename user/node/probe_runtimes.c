// SPDX-License-Identifier: Apache-2.0
#include "node/probe_runtimes.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"

#define LOOK_NS (10 * CGM_NSEC_PER_MSEC)
#define FIRST_LOOK_NS (100 * CGM_NSEC_PER_MSEC) /* by then each has looked for its socket */
#define PATIENCE_NS (3 * CGM_NSEC_PER_SEC)

static bool is_there(const struct cgm_runtime_state *s)
{
	struct stat st;

	return stat(s->socket, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Neither connected nor refused. */
static bool is_busy(const struct cgm_runtime_state *s)
{
	return !s->connected && !s->nr_failed && is_there(s);
}

static bool any_busy(const struct cgm_probed_runtimes *p)
{
	for (size_t i = 0; i < p->nr; i++)
		if (is_busy(&p->states[i]))
			return true;
	return false;
}

int cgm_probe_runtimes(const struct cgm_runtime_options *o, struct cgm_probed_runtimes *ret)
{
	_cleanup_(cgm_names_freep) struct cgm_names *names = NULL;
	uint64_t began_ns = cgm_clock_mono_ns(), passed_ns = 0;
	int r = cgm_runtimes_open(o, "", NULL, &names);

	ret->nr = 0;
	if (r < 0 || !names)
		return r;
	for (; passed_ns < PATIENCE_NS; passed_ns = cgm_clock_mono_ns() - began_ns) {
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
		ret->nr = cgm_names_state(names, ret->states);
		if (passed_ns >= FIRST_LOOK_NS && !any_busy(ret))
			break;
	}
	for (size_t i = 0; i < ret->nr; i++)
		if (is_busy(&ret->states[i]))
			snprintf(ret->states[i].fault, sizeof(ret->states[i].fault), "no answer within %u s", (unsigned)(PATIENCE_NS / CGM_NSEC_PER_SEC));
	return 0;
}
