/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP to a driver's server, by libcurl: one connection that is kept, HTTP/1.1 or 2, TLS verified. One thread a client. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sink/driver.h"
#include "sink/wait.h"

#define CGM_HTTP_ANSWER_BYTES ((size_t)1 << 20) /* of an answer, no more is kept */

struct cgm_http_client;
/*
 * c: its tls_ca_file and tls_skip_verify. 0; -EINVAL with flag and fault (the library is not there, the file cannot be read), -ENOMEM. Not
 * for two threads at once, as _open of a driver is not.
 */
int cgm_http_client_new(const struct cgm_sink_config *c, struct cgm_http_client **ret, const char **ret_flag, char *fault);
void cgm_http_client_free(struct cgm_http_client *h);
DEFINE_CLEANUP(cgm_http_client, cgm_http_client_free)

/* Headers of the next call, "Name: value", and the user of basic authentication. They are forgotten after it. 0 or -ENOMEM. */
int cgm_http_header(struct cgm_http_client *h, const char *header);
/* All of a file, see cgm_headers_each. "" is none. 0, or a negative errno with fault. */
int cgm_http_headers_of(struct cgm_http_client *h, const char *file, char *fault);
int cgm_http_user(struct cgm_http_client *h, const char *user, const char *password);

struct cgm_http_answer {
	long status;
	uint64_t retry_after_ns; /* 0: none asked for */
	struct cgm_buf body; /* of the client: until the next call; a zero stands behind it */
};
/*
 * Calls url: POST with that body, or GET without (NULL). 0 when there is an answer, whatever its status; else a negative errno with fault,
 * which shows of the URL nothing but scheme, host and port.
 */
int cgm_http_call(struct cgm_http_client *h, const struct cgm_sink_stop *stop, const char *url, const char *body, size_t len, uint64_t until_ns,
		  struct cgm_http_answer *ret, char *fault);
/* The beginning of an answer's body as one line, for a message. */
void cgm_http_shown(const struct cgm_http_answer *answer, char *text, size_t size);
