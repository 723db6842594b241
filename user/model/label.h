/* SPDX-License-Identifier: Apache-2.0 */
/* Values of Prometheus labels. */
#pragma once
#include <stddef.h>

/* The most bytes that one byte of a value can become. */
#define CGM_LABEL_GROWTH 5

/*
 * Writes value as it stands between the quotes of a label: backslash, quote and newline escaped. Bytes that are no UTF-8
 * would spoil the whole page; they are written as \xNN (the backslash escaped). dst holds CGM_LABEL_GROWTH * strlen(value)
 * bytes; no zero is added. Returns the length. Any thread.
 */
size_t cgm_label_escape(char *dst, const char *value);
