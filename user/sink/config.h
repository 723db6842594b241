/* SPDX-License-Identifier: Apache-2.0 */
/* What drivers share in reading their configuration: secrets, addresses, URLs, files of headers. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/parse.h"

#define CGM_SECRET_BYTES 4096

/* A secret as a value or, when file is not "", as a file that is read at each use: it may be renewed at any time. */
struct cgm_secret {
	const char *value, *file;
};
/* Writes it, without a newline at its end, into buf. 0; a negative errno with fault (never NULL, CGM_SINK_FAULT) naming the file. */
int cgm_secret_get(const struct cgm_secret *s, char buf[CGM_SECRET_BYTES], char *fault);

/* "host:port", "host", "[::1]:port", "::1". 0, or -EINVAL when it is none or the host is too long. */
#define CGM_HOST_BYTES 256
int cgm_split_host(const char *text, uint16_t default_port, char host[CGM_HOST_BYTES], uint16_t *ret_port);

/* Appends the text as a part of a query: all but letters, digits and -._~ as %XX. */
void cgm_url_escape(struct cgm_buf *b, const char *text);
/* The URL without what may be secret in it (user and password), and without path and query: for messages. */
void cgm_url_shown(struct cgm_buf *b, const char *url);
/*
 * Completes an address: "host:port" gets http:// or https:// in front, an URL stays, a "/" at its end goes. -EINVAL when it has another
 * scheme, no host, or a character that is in no URL.
 */
int cgm_url_base(struct cgm_buf *b, const char *text, bool secure);

/*
 * The lines of a file of HTTP headers, "Name: value", blank ones and those that begin with # left out: calls each (NULL: only looks at them)
 * for every header, whole and terminated. 0, each's negative result, or a negative errno with fault naming file and line.
 */
int cgm_headers_each(const char *file, int (*each)(void *arg, const char *header), void *arg, char *fault);
