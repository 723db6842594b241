// SPDX-License-Identifier: Apache-2.0
#include "output/limits.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define TCP_STATE_CLOSE_WAIT 8 /* of the kernel's include/net/tcp_states.h; the header of user space that has it excludes linux/tcp.h */
#define LOOK_NS (500 * CGM_NSEC_PER_MSEC)
#define LOOK_IDLE_NS (2 * CGM_NSEC_PER_SEC)
#define GRACE_NS (5 * CGM_NSEC_PER_SEC) /* for a slow beginning of an answer */
#define MIN_BYTES_PER_SEC (64 * 1024)
#define HALF_NS CGM_NSEC_PER_SEC /* for a request whose client sends no more: then it never comes */
#define STILL_NS (30 * CGM_NSEC_PER_SEC) /* a stream of events that nobody reads */
#define CROWDED_REQUEST_NS (2 * CGM_NSEC_PER_SEC) /* time for a first request when connections are scarce */

/* ---- what the server's threads do ---- */

bool cgm_limits_admit(struct cgm_limits *l, const struct sockaddr *addr)
{
	struct cgm_client client = cgm_client_of(addr);
	uint64_t nr = 0;

	if (!l->bounds.max_per_address)
		return true;
	pthread_mutex_lock(&l->lock);
	for (const struct cgm_peer *p = l->peers; p; p = p->next)
		nr += cgm_client_eq(&p->client, &client);
	pthread_mutex_unlock(&l->lock);
	if (nr < l->bounds.max_per_address)
		return true;
	cgm_http_count(&l->stats->rejects[CGM_HTTP_REJECT_ADDRESS]);
	return false;
}

struct cgm_peer *cgm_limits_open(struct cgm_limits *l, struct cgm_http *http, int fd, const struct sockaddr *addr)
{
	struct cgm_peer *p = cgm_calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->http = http;
	p->fd = fd;
	p->client = cgm_client_of(addr);
	p->since_ns = cgm_clock_mono_ns();
	pthread_mutex_lock(&l->lock);
	if (!l->peers)
		pthread_cond_signal(&l->wake);
	p->next = l->peers;
	p->link = &l->peers;
	if (p->next)
		p->next->link = &p->next;
	l->peers = p;
	__atomic_add_fetch(&l->stats->nr_open, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&l->lock);
	return p;
}

void cgm_limits_close(struct cgm_limits *l, struct cgm_peer *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&l->lock);
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	__atomic_sub_fetch(&l->stats->nr_open, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&l->lock);
	free(p);
}

void cgm_peer_set_phase(struct cgm_peer *p, enum cgm_phase phase)
{
	if (phase == CGM_PHASE_REQUEST)
		__atomic_add_fetch(&p->nr_requests, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&p->since_ns, cgm_clock_mono_ns(), __ATOMIC_RELAXED);
	__atomic_store_n(&p->phase, phase, __ATOMIC_RELEASE);
}

bool cgm_peer_dropped(const struct cgm_peer *p)
{
	return __atomic_load_n(&p->closed, __ATOMIC_RELAXED);
}

bool cgm_limits_enter_large(struct cgm_limits *l)
{
	if (__atomic_add_fetch(&l->stats->nr_large, 1, __ATOMIC_RELAXED) <= l->bounds.max_large)
		return true;
	cgm_limits_leave_large(l);
	cgm_http_count(&l->stats->rejects[CGM_HTTP_REJECT_LARGE]);
	return false;
}

void cgm_limits_leave_large(struct cgm_limits *l)
{
	__atomic_sub_fetch(&l->stats->nr_large, 1, __ATOMIC_RELAXED);
}

/* ---- the thread ---- */

/* The server's thread sees the end of the connection and cleans up. Called with the lock, so that the descriptor is still this one. */
static void drop(struct cgm_limits *l, struct cgm_peer *p, enum cgm_http_drop why)
{
	struct linger forget = { .l_onoff = 1, .l_linger = 0 };

	__atomic_store_n(&p->closed, true, __ATOMIC_RELAXED);
	/* What such a client has not taken yet would stay in the kernel for as long as it likes. */
	if (why == CGM_HTTP_DROP_SLOW || why == CGM_HTTP_DROP_ANSWER)
		(void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &forget, sizeof(forget));
	cgm_http_count(&l->stats->drops[why]);
	shutdown(p->fd, SHUT_RDWR);
}

/* Bytes that the client has taken since the connection began, and those that it has not yet. */
static bool read_progress(int fd, uint64_t *ret_acked, int *ret_waiting)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 || ioctl(fd, SIOCOUTQ, ret_waiting) < 0)
		return false;
	if (size < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return false;
	*ret_acked = info.tcpi_bytes_acked;
	return true;
}

/* An answer is under way: does the client take it? What waits for us and not for the client is not its fault. */
static void look_at_answer(struct cgm_limits *l, struct cgm_peer *p, bool endless, uint64_t since, uint64_t now)
{
	uint64_t acked, wanted;
	int waiting;

	if (!endless && now > since && now - since > l->bounds.answer_ns) { /* since: it may have begun after now was taken */
		drop(l, p, CGM_HTTP_DROP_ANSWER);
		return;
	}
	if (!read_progress(p->fd, &acked, &waiting))
		return;
	if (p->seen_since_ns != since) {
		p->seen_since_ns = since;
		p->first_look_ns = p->moved_ns = now;
		p->first_acked = p->last_acked = acked;
	}
	if (acked != p->last_acked || !waiting)
		p->moved_ns = now;
	p->last_acked = acked;
	if (endless && now - p->moved_ns > STILL_NS) {
		drop(l, p, CGM_HTTP_DROP_SLOW);
	} else if (!endless && waiting && now - p->first_look_ns > GRACE_NS) {
		wanted = (now - p->first_look_ns - GRACE_NS) / CGM_NSEC_PER_MSEC * MIN_BYTES_PER_SEC / 1000;
		if (acked - p->first_acked < wanted)
			drop(l, p, CGM_HTTP_DROP_SLOW);
	}
}

/* Has the client said that it sends no more? The library waits for the rest of its request all the same. */
static bool is_half_closed(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_STATE_CLOSE_WAIT;
}

static void look_at(struct cgm_limits *l, struct cgm_peer *p, bool crowded, uint64_t now)
{
	enum cgm_phase phase = __atomic_load_n(&p->phase, __ATOMIC_ACQUIRE);
	uint64_t since = __atomic_load_n(&p->since_ns, __ATOMIC_RELAXED), lasts = now > since ? now - since : 0;
	bool first = !__atomic_load_n(&p->nr_requests, __ATOMIC_RELAXED);
	uint64_t for_request = crowded ? MIN(l->bounds.request_ns, CROWDED_REQUEST_NS) : l->bounds.request_ns;

	if (phase <= CGM_PHASE_REQUEST && lasts > HALF_NS && is_half_closed(p->fd)) {
		drop(l, p, phase == CGM_PHASE_WAITING && !first ? CGM_HTTP_DROP_IDLE : CGM_HTTP_DROP_REQUEST);
		return;
	}
	switch (phase) {
	case CGM_PHASE_WAITING:
		if (first ? lasts > for_request : lasts > l->bounds.idle_ns)
			drop(l, p, first ? CGM_HTTP_DROP_REQUEST : CGM_HTTP_DROP_IDLE);
		break;
	case CGM_PHASE_REQUEST:
		if (lasts > for_request)
			drop(l, p, CGM_HTTP_DROP_REQUEST);
		break;
	case CGM_PHASE_WORK:
		break;
	case CGM_PHASE_ANSWER:
	case CGM_PHASE_ENDLESS:
		look_at_answer(l, p, phase == CGM_PHASE_ENDLESS, since, now);
		break;
	}
}

static bool is_idle(const struct cgm_peer *p)
{
	return !p->closed && __atomic_load_n(&p->nr_requests, __ATOMIC_RELAXED) && __atomic_load_n(&p->phase, __ATOMIC_RELAXED) == CGM_PHASE_WAITING;
}

/* Connections become scarce: those that only wait for another request go, the longest first. */
static void make_room(struct cgm_limits *l, uint64_t nr)
{
	for (; nr; nr--) {
		struct cgm_peer *longest = NULL;

		for (struct cgm_peer *p = l->peers; p; p = p->next)
			if (is_idle(p) && (!longest || p->since_ns < longest->since_ns))
				longest = p;
		if (!longest)
			return;
		drop(l, longest, CGM_HTTP_DROP_CROWDED);
	}
}

static void look_around(struct cgm_limits *l)
{
	uint64_t now = cgm_clock_mono_ns(), nr = __atomic_load_n(&l->stats->nr_open, __ATOMIC_RELAXED), most = l->bounds.max_connections;
	bool crowded = nr > most - most / 8;

	for (struct cgm_peer *p = l->peers; p; p = p->next)
		if (!p->closed)
			look_at(l, p, crowded, now);
	if (crowded)
		make_room(l, nr - (most - most / 4));
}

static void sleep_until(struct cgm_limits *l, uint64_t wake_ns)
{
	struct timespec until = { .tv_sec = (time_t)(wake_ns / CGM_NSEC_PER_SEC), .tv_nsec = (long)(wake_ns % CGM_NSEC_PER_SEC) };

	pthread_cond_timedwait(&l->wake, &l->lock, &until);
}

static void *run(void *arg)
{
	struct cgm_limits *l = arg;
	uint64_t next_look_ns = 0;

	pthread_mutex_lock(&l->lock);
	while (!l->stopping) {
		uint64_t now = cgm_clock_mono_ns();

		bool hurry = l->hurry;

		l->hurry = false;
		look_around(l);
		if (l->look && (hurry || now >= next_look_ns)) {
			next_look_ns = now + LOOK_IDLE_NS;
			pthread_mutex_unlock(&l->lock);
			l->look(l->arg);
			pthread_mutex_lock(&l->lock);
		}
		if (l->stopping || l->hurry)
			continue;
		if (l->peers)
			sleep_until(l, now + LOOK_NS);
		else if (l->look)
			sleep_until(l, now + LOOK_IDLE_NS);
		else
			pthread_cond_wait(&l->wake, &l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static uint64_t or_default(uint64_t v, uint64_t def)
{
	return v ? v : def;
}

int cgm_limits_start(struct cgm_limits *l, const struct cgm_http_limits *bounds, struct cgm_http_stats *stats, void (*look)(void *), void *arg)
{
	pthread_condattr_t monotonic;
	sigset_t all, before;
	int r;

	*l = (struct cgm_limits){ .stats = stats, .look = look, .arg = arg };
	l->bounds = (struct cgm_http_limits){
		.max_connections = or_default(bounds->max_connections, 256),
		.max_per_address = bounds->max_per_address,
		.max_large = or_default(bounds->max_large, 16),
		.request_ns = or_default(bounds->request_ns, 10 * CGM_NSEC_PER_SEC),
		.answer_ns = or_default(bounds->answer_ns, 60 * CGM_NSEC_PER_SEC),
		.idle_ns = or_default(bounds->idle_ns, 60 * CGM_NSEC_PER_SEC),
	};
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&l->lock); /* so that the thread finds all of it */
	r = pthread_create(&l->thread, NULL, run, l);
	l->watches = r == 0;
	pthread_mutex_unlock(&l->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

void cgm_limits_hurry(struct cgm_limits *l)
{
	pthread_mutex_lock(&l->lock);
	l->hurry = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
}

void cgm_limits_stop(struct cgm_limits *l)
{
	if (l->watches) {
		pthread_mutex_lock(&l->lock);
		l->stopping = true;
		pthread_cond_signal(&l->wake);
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->thread, NULL);
	}
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
}
