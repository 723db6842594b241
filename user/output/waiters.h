/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that wait for the next sample or event. They are suspended, so that they hold no thread of the server; one thread of ours listens for
 * the sampler's bell, and to the sockets of those that wait, and resumes who has got what it waits for, whose time is up or whose client has gone.
 */
#pragma once
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/bell.h"

struct cgm_waiter {
	/* Set by the owner before cgm_wait(). */
	struct MHD_Connection *connection;
	bool (*ready)(struct cgm_waiter *w); /* has it got what it waits for? Called in any thread, with the lock of the waiters */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
	/* For the owner when it is resumed: */
	bool client_gone;
	/* Of the waiters: */
	struct cgm_waiter *prev, *next;
	int slot; /* in this round's list of descriptors */
};

struct cgm_waiters {
	pthread_mutex_t lock;
	struct cgm_waiter *first;
	unsigned nr;
	struct cgm_bell *bell;
	bool stopping;
	pthread_t thread;
};

/* 0 or a negative errno. The bell must live until _stop. */
int cgm_waiters_start(struct cgm_waiters *ws, struct cgm_bell *bell);
/* Resumes all and lets nobody wait any more; to be called before the server is stopped. */
void cgm_waiters_stop(struct cgm_waiters *ws);
/* Does nothing more; after the server was stopped. */
void cgm_waiters_done(struct cgm_waiters *ws);
/*
 * True: the connection is suspended, and what was called by the server must return at once; it is called again later. False: there is no need
 * to wait, or too many do. To be called in a callback of the server for that connection.
 */
bool cgm_wait(struct cgm_waiters *ws, struct cgm_waiter *w);
bool cgm_waiters_stopping(struct cgm_waiters *ws);
