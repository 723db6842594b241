/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a client may fail to log in: ten times at once, then once in six seconds. A table of fixed size by address (IPv6: by /64,
 * which one client has whole); when it is full, who failed longest ago is forgotten. Any thread.
 */
#pragma once
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* A client: its IPv4 address as ::ffff:a.b.c.d, or the first half of its IPv6 address. */
struct cgm_client {
	uint8_t p[16];
};
/* Other families give all the same client. */
struct cgm_client cgm_client_of(const struct sockaddr *addr);
bool cgm_client_eq(const struct cgm_client *a, const struct cgm_client *b);

#define CGM_THROTTLE_SETS 128
#define CGM_THROTTLE_WAYS 4

struct cgm_throttle {
	pthread_mutex_t lock;
	struct cgm_failures {
		struct cgm_client client;
		uint64_t due_ns; /* CLOCK_MONOTONIC: until then the failures so far weigh; 0: free */
	} failures[CGM_THROTTLE_SETS][CGM_THROTTLE_WAYS];
};
void cgm_throttle_init(struct cgm_throttle *t);
void cgm_throttle_done(struct cgm_throttle *t);
/* 0: it may try. Otherwise the seconds after which it may, at least 1. */
unsigned cgm_throttle_wait_s(struct cgm_throttle *t, const struct cgm_client *c, uint64_t now_ns);
void cgm_throttle_failed(struct cgm_throttle *t, const struct cgm_client *c, uint64_t now_ns);
