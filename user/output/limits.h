/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one client, and all together, may take of the server: connections, time, large answers. A thread of its own looks at all
 * connections twice a second and closes those that break a bound; the server's threads only note where a connection stands.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/http_stats.h"
#include "output/http.h"
#include "output/throttle.h"

static inline void cgm_http_count(uint64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

enum cgm_phase {
	CGM_PHASE_WAITING, /* for a request; the first one counts from the connection's beginning, handshake included */
	CGM_PHASE_REQUEST, /* its first line is here */
	CGM_PHASE_WORK, /* all of it is here; the rest is up to us */
	CGM_PHASE_ANSWER, /* being sent */
	CGM_PHASE_ENDLESS, /* a stream of events: it may last, but not stand still while there is something to take */
};

/* A connection, from accept() to close(). */
struct cgm_peer {
	struct cgm_peer *next, **link; /* of the list, under the lock */
	struct cgm_http *http;
	int fd;
	struct cgm_client client;
	uint64_t since_ns; /* atomic; of the phase, CLOCK_MONOTONIC */
	uint32_t phase; /* atomic, enum cgm_phase */
	uint32_t nr_requests; /* atomic; whose first line came */
	bool closed; /* atomic: we ended it, for the sake of a bound */
	/* Of the watching thread alone: */
	uint64_t seen_since_ns, first_look_ns, first_acked, last_acked, moved_ns;
};

struct cgm_limits {
	struct cgm_http_limits bounds;
	struct cgm_http_stats *stats;
	void (*look)(void *arg); /* called each time that the thread looks around, or NULL */
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t wake;
	struct cgm_peer *peers;
	bool watches, stopping, hurry;
};

/* 0 bounds are the defaults. look(arg) runs in the thread each 2 s, also without connections, when it is not NULL. 0 or a negative errno. */
int cgm_limits_start(struct cgm_limits *l, const struct cgm_http_limits *bounds, struct cgm_http_stats *stats, void (*look)(void *), void *arg);
void cgm_limits_stop(struct cgm_limits *l);
/* Lets the thread look now. */
void cgm_limits_hurry(struct cgm_limits *l);

/* May this address have one more connection? */
bool cgm_limits_admit(struct cgm_limits *l, const struct sockaddr *addr);
/* NULL: out of memory. */
struct cgm_peer *cgm_limits_open(struct cgm_limits *l, struct cgm_http *http, int fd, const struct sockaddr *addr);
/* Before the descriptor is closed. */
void cgm_limits_close(struct cgm_limits *l, struct cgm_peer *p);
void cgm_peer_set_phase(struct cgm_peer *p, enum cgm_phase phase);

/* Was the connection ended by us, because its client broke a bound? */
bool cgm_peer_dropped(const struct cgm_peer *p);

/* A large answer begins, or is over. False: there are enough of them. */
bool cgm_limits_enter_large(struct cgm_limits *l);
void cgm_limits_leave_large(struct cgm_limits *l);
