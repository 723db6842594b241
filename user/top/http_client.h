/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET over HTTP/1.1, one at a time, a connection each, without blocking: whoever waits for keys waits for it in the same poll(). One
 * thread. Names of hosts are looked up when a request begins, which may block; numbers and localhost do not.
 */
#pragma once
#include <stdint.h>

#include "top/http_answer.h"

struct cgm_http_client {
	struct cgm_url url;
	char *authorization; /* value of that header; NULL: none */
	int fd;		     /* -1: no request is under way */
	struct cgm_buf out, in;
	size_t sent;
	bool connecting;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	char fault[200];      /* of the request that failed */
};

/* url is copied; authorization is taken over (free()). */
void cgm_http_client_init(struct cgm_http_client *c, const struct cgm_url *url, char *authorization);
void cgm_http_client_done(struct cgm_http_client *c);
/* path begins with a slash and is encoded. A request under way is dropped. 0 or a negative errno with c->fault. */
int cgm_http_client_get(struct cgm_http_client *c, const char *path);
/* Goes on as far as it can. 0: under way; 1: *ret is the answer, good until the next request; a negative errno with c->fault. */
int cgm_http_client_step(struct cgm_http_client *c, struct cgm_answer *ret);
/* What to poll fd for. */
short cgm_http_client_events(const struct cgm_http_client *c);

/* The value of an Authorization header by a file of one line: a bearer token, or (basic) USER:PASSWORD. NULL: *ret_fault says why, in buf.
 */
char *cgm_read_authorization(const char *path, bool basic, char *buf, size_t size);
