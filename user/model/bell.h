/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells readers that wait that there is something new, without waiting for them: the sampler rings, which is one write to an eventfd, and only
 * when somebody listens.
 */
#pragma once
#include <stdint.h>

struct cgm_bell {
	int fd; /* to poll, and to read 8 bytes from when it is readable; -1: none */
	uint32_t nr_listeners; /* atomic */
};

/* 0 or a negative errno. */
int cgm_bell_init(struct cgm_bell *b);
void cgm_bell_done(struct cgm_bell *b);
/*
 * Any thread. Who listens looks for news after this call, and before it sleeps: what is published later rings, what was published
 * before is seen.
 */
void cgm_bell_listen(struct cgm_bell *b);
void cgm_bell_leave(struct cgm_bell *b);
/* After something was published. Any thread, never waits. */
void cgm_bell_ring(struct cgm_bell *b);
/* Silences it until the next ring. The listeners' thread. */
void cgm_bell_hush(struct cgm_bell *b);
