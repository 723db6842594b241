/* SPDX-License-Identifier: Apache-2.0 */
/* What those who answer have in common. Any thread. */
#pragma once
#include "base/parse.h"
#include "output/serve.h"

/* The first value of a parameter; NULL: it was not sent. */
const char *cgm_ask_param(const struct cgm_ask *a, const char *name);
/* The path's parts: cuts the next one off *path ("/a/b" gives "a"). False: none is left. */
bool cgm_ask_part(struct cgm_str *path, struct cgm_str *ret);
/* Appends a JSON string with its quotes, whatever the bytes (what is no UTF-8 becomes U+FFFD). */
void cgm_reply_text(struct cgm_buf *out, const char *text);
/* "2026-11-22T15:55:30Z", with its quotes, and a fraction where it has one; 0 is Go's zero time, "0001-01-01T00:00:00Z". */
void cgm_reply_time(struct cgm_buf *out, uint64_t ns);
/* Plain text with that status, newline added: Heapster's form of a fault. It takes the place of what the body had. */
void cgm_reply_fault(struct cgm_reply *r, unsigned status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
