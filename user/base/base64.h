/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stddef.h>

/* Whole, padded base64 (RFC 4648). Returns the number of bytes, -EINVAL, or -ENOBUFS when they do not fit. Any thread. */
long cgm_unbase64(const char *text, size_t len, void *ret, size_t size);
