/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same server (its socket, threads, limits, TLS, logins, gzip) for another program's answers: `cgmeter cluster` serves by it what it has, see
 * cgm_http_config.served. A request and its answer are plain structs, so that whoever answers is a function that a test can call without a server.
 */
#pragma once
#include <stdbool.h>

#include "base/buf.h"
#include "kube/review.h"

struct cgm_ask_param {
	const char *name, *value; /* decoded */
};

struct cgm_ask { /* good during the call */
	const char *method; /* "GET" (also for HEAD), "POST" */
	const char *path; /* decoded, without double or trailing slashes: "/api/v1/model/nodes" */
	bool slash; /* it came with one at its end */
	const struct cgm_ask_param *params;
	size_t nr_params;
	const char *accept, *if_none_match; /* NULL: not sent */
	const char *body;
	size_t body_len;
	const struct cgm_kube_user *user; /* who asks, as far as that was asked for; NULL: it was not */
};

struct cgm_reply {
	unsigned status; /* 0 is 200 */
	const char *type; /* content type, a literal; NULL: application/json */
	struct cgm_buf body; /* the reply's */
	const char *location; /* of a redirect, a literal; NULL: none */
	const char *vary; /* a literal; NULL: none */
	char etag[40]; /* "": none */
};

struct cgm_served {
	/* True: *r is the answer. False: there is none, 404. In one of the server's threads. */
	bool (*answer)(void *arg, const struct cgm_ask *a, struct cgm_reply *r);
	/* The file of user/web that is the page at "/"; the files that it names are served below "/". */
	const char *page;
	void *arg;
};
