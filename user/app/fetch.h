/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request from within a container. For the thread of apps.c alone. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "app/inside.h"
#include "base/buf.h"

#define CGM_APP_MAX_ANSWER (1024 * 1024)

struct cgm_fetch {
	const struct cgm_inside *inside;
	const char *cert, *key; /* PEM files, for servers that ask who we are; "": none */
	bool *stop; /* atomic: true ends the request */
	unsigned timeout_ms;
};

/* May a container have us ask for that? http or https, at localhost or a numeric address, without a login; no name is looked up. NULL, or why not (a literal). */
const char *cgm_fetch_url_fault(const char *url);
/* 0: the server said 200 and this is its answer; a negative errno with fault (fault_size bytes) that tells why not. The server's certificate is not checked, as with cAdvisor. */
int cgm_fetch(const struct cgm_fetch *f, const char *url, struct cgm_buf *ret, char *fault, size_t fault_size);
