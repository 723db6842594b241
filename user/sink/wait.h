/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting that the end of the agent cuts short. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Shared by all threads of the sinks. */
struct cgm_sink_stop {
	int fd; /* readable from the moment that the end was asked for */
	uint64_t deadline_ns; /* atomic, monotonic: nobody waits beyond it; 0: the end was not asked for yet */
};

/* -errno when there is no descriptor. */
int cgm_sink_stop_init(struct cgm_sink_stop *s);
void cgm_sink_stop_done(struct cgm_sink_stop *s);
/* Asks for the end, within that time. */
void cgm_sink_stop_ask(struct cgm_sink_stop *s, uint64_t within_ns);
bool cgm_sink_stopping(const struct cgm_sink_stop *s);
/* True when the deadline has passed. */
bool cgm_sink_stopped(const struct cgm_sink_stop *s);

/*
 * Waits until fd is ready (for POLLIN, POLLOUT), and no longer than until_ns or the deadline. 1: ready (or broken: the next call on it
 * says so); 0: time is over.
 */
int cgm_sink_poll(const struct cgm_sink_stop *s, int fd, short events, uint64_t until_ns);
/* Sleeps until then, but not when the end is asked for. */
void cgm_sink_sleep(const struct cgm_sink_stop *s, uint64_t until_ns);
/* Milliseconds until then or the deadline, rounded up, for calls that take an int; 0: over. */
int cgm_sink_left_msec(const struct cgm_sink_stop *s, uint64_t until_ns);
