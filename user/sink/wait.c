// SPDX-License-Identifier: Apache-2.0
#include "sink/wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define LONGEST_MSEC (3600 * 1000)

int cgm_sink_stop_init(struct cgm_sink_stop *s)
{
	*s = (struct cgm_sink_stop){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return s->fd < 0 ? -errno : 0;
}

void cgm_sink_stop_done(struct cgm_sink_stop *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void cgm_sink_stop_ask(struct cgm_sink_stop *s, uint64_t within_ns)
{
	__atomic_store_n(&s->deadline_ns, cgm_clock_mono_ns() + within_ns, __ATOMIC_RELEASE);
	(void)eventfd_write(s->fd, 1);
}

static uint64_t deadline_ns(const struct cgm_sink_stop *s)
{
	return __atomic_load_n(&s->deadline_ns, __ATOMIC_ACQUIRE);
}

bool cgm_sink_stopping(const struct cgm_sink_stop *s)
{
	return deadline_ns(s) != 0;
}

bool cgm_sink_stopped(const struct cgm_sink_stop *s)
{
	uint64_t deadline = deadline_ns(s);

	return deadline && cgm_clock_mono_ns() >= deadline;
}

int cgm_sink_left_msec(const struct cgm_sink_stop *s, uint64_t until_ns)
{
	uint64_t now = cgm_clock_mono_ns(), deadline = deadline_ns(s), left;

	if (deadline && deadline < until_ns)
		until_ns = deadline;
	if (now >= until_ns)
		return 0;
	left = (until_ns - now + CGM_NSEC_PER_MSEC - 1) / CGM_NSEC_PER_MSEC;
	return (int)MIN(left, (uint64_t)LONGEST_MSEC);
}

int cgm_sink_poll(const struct cgm_sink_stop *s, int fd, short events, uint64_t until_ns)
{
	for (;;) {
		bool stopping = cgm_sink_stopping(s);
		struct pollfd p[] = { { .fd = fd, .events = events }, { .fd = s->fd, .events = POLLIN } };
		int msec = cgm_sink_left_msec(s, until_ns);

		/* The request to end only shortens the time, so it is looked for until it has come. */
		if (poll(p, stopping ? 1 : 2, msec) < 0 && errno != EINTR)
			return 0;
		if (p[0].revents)
			return 1;
		if (!cgm_sink_left_msec(s, until_ns))
			return 0;
	}
}

void cgm_sink_sleep(const struct cgm_sink_stop *s, uint64_t until_ns)
{
	while (!cgm_sink_stopping(s) && cgm_sink_left_msec(s, until_ns)) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN };

		(void)poll(&p, 1, cgm_sink_left_msec(s, until_ns));
	}
}
