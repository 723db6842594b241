/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of containers and devices in texts that have words of their own. A name is any bytes but zero; it must never become a part of the
 * protocol. Bytes that are no UTF-8 are written as \xNN (statsd: _). Any thread.
 */
#pragma once
#include "base/buf.h"

/* The value of an InfluxDB tag. A newline is written as \n; see text.c for backslashes. */
void cgm_text_influxdb(struct cgm_buf *b, const char *value);
/* A part of a statsd name: what would end or cut it is written as _. */
void cgm_text_statsd(struct cgm_buf *b, const char *value);
/* A word of stdout's key=value lines: blanks, = and control characters as \xNN, a backslash twice. */
void cgm_text_word(struct cgm_buf *b, const char *value);
/* UTF-8 for protobuf's strings: the same text where it is UTF-8. */
void cgm_text_utf8(struct cgm_buf *b, const char *value);
