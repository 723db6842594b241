// SPDX-License-Identifier: Apache-2.0
#include "output/waiters.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MAX_WAITERS 512

static void remove_waiter(struct cgm_waiters *ws, struct cgm_waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		ws->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	ws->nr--;
	cgm_bell_leave(ws->bell);
}

/* From here on w is its owner's again, who may be in another thread by now. */
static void resume(struct cgm_waiters *ws, struct cgm_waiter *w)
{
	struct MHD_Connection *connection = w->connection;

	remove_waiter(ws, w);
	MHD_resume_connection(connection);
}

static int socket_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* What to listen to, and for how long in ms. With the lock. */
static nfds_t prepare(struct cgm_waiters *ws, struct pollfd *fds, int *ret_timeout)
{
	uint64_t now = cgm_clock_mono_ns(), next = UINT64_MAX;
	nfds_t nr = 0;

	fds[nr++] = (struct pollfd){ .fd = ws->bell->fd, .events = POLLIN };
	for (struct cgm_waiter *w = ws->first; w; w = w->next) {
		w->slot = (int)nr;
		/* The server does not look at a suspended connection: who has gone is found here. */
		fds[nr++] = (struct pollfd){ .fd = socket_of(w->connection), .events = POLLRDHUP };
		if (w->deadline_ns)
			next = MIN(next, w->deadline_ns);
	}
	*ret_timeout = -1;
	if (next != UINT64_MAX)
		*ret_timeout = next > now ? (int)MIN((next - now) / CGM_NSEC_PER_MSEC + 1, 60000) : 0;
	return nr;
}

static void wake(struct cgm_waiters *ws, const struct pollfd *fds)
{
	uint64_t now = cgm_clock_mono_ns();
	struct cgm_waiter *next;

	for (struct cgm_waiter *w = ws->first; w; w = next) {
		next = w->next;
		w->client_gone = w->slot && fds[w->slot].revents;
		if (w->client_gone || (w->deadline_ns && now >= w->deadline_ns) || w->ready(w))
			resume(ws, w);
	}
}

static void *run(void *arg)
{
	struct cgm_waiters *ws = arg;
	struct pollfd fds[1 + MAX_WAITERS];
	bool stopping = false;

	while (!stopping) {
		nfds_t nr;
		int timeout;

		pthread_mutex_lock(&ws->lock);
		nr = prepare(ws, fds, &timeout);
		stopping = ws->stopping;
		pthread_mutex_unlock(&ws->lock);
		if (stopping)
			break;
		if (poll(fds, nr, timeout) < 0)
			for (nfds_t i = 0; i < nr; i++)
				fds[i].revents = 0;
		cgm_bell_hush(ws->bell);
		pthread_mutex_lock(&ws->lock);
		wake(ws, fds);
		pthread_mutex_unlock(&ws->lock);
	}
	return NULL;
}

int cgm_waiters_start(struct cgm_waiters *ws, struct cgm_bell *bell)
{
	sigset_t all, before;
	int r;

	*ws = (struct cgm_waiters){ .bell = bell };
	pthread_mutex_init(&ws->lock, NULL);
	/* Signals belong to the main loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&ws->thread, NULL, run, ws);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		pthread_mutex_destroy(&ws->lock);
	return -r;
}

/* Lets the thread look again, also when nobody else listens. */
static void poke(struct cgm_waiters *ws)
{
	cgm_bell_listen(ws->bell);
	cgm_bell_ring(ws->bell);
	cgm_bell_leave(ws->bell);
}

void cgm_waiters_stop(struct cgm_waiters *ws)
{
	pthread_mutex_lock(&ws->lock);
	ws->stopping = true;
	pthread_mutex_unlock(&ws->lock);
	poke(ws);
	pthread_join(ws->thread, NULL);
	pthread_mutex_lock(&ws->lock);
	while (ws->first)
		resume(ws, ws->first);
	pthread_mutex_unlock(&ws->lock);
}

void cgm_waiters_done(struct cgm_waiters *ws)
{
	pthread_mutex_destroy(&ws->lock);
}

bool cgm_wait(struct cgm_waiters *ws, struct cgm_waiter *w)
{
	bool suspended = false;

	pthread_mutex_lock(&ws->lock);
	cgm_bell_listen(ws->bell);
	if (!ws->stopping && ws->nr < MAX_WAITERS && !w->ready(w)) {
		MHD_suspend_connection(w->connection);
		w->client_gone = false;
		w->slot = 0;
		w->prev = NULL;
		w->next = ws->first;
		if (ws->first)
			ws->first->prev = w;
		ws->first = w;
		ws->nr++;
		suspended = true;
	} else {
		cgm_bell_leave(ws->bell);
	}
	pthread_mutex_unlock(&ws->lock);
	if (suspended)
		poke(ws);
	return suspended;
}

bool cgm_waiters_stopping(struct cgm_waiters *ws)
{
	bool stopping;

	pthread_mutex_lock(&ws->lock);
	stopping = ws->stopping;
	pthread_mutex_unlock(&ws->lock);
	return stopping;
}
