/* SPDX-License-Identifier: Apache-2.0 */
/* gzip (RFC 1952) by ISA-L at level 1: a third of libdeflate's time, and still a fifteenth of our texts. One thread at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"

struct cgm_gzip;
/* NULL when out of memory. */
struct cgm_gzip *cgm_gzip_new(void);
/* Begins a new text. */
void cgm_gzip_reset(struct cgm_gzip *g);
void cgm_gzip_free(struct cgm_gzip *g);
DEFINE_CLEANUP(cgm_gzip, cgm_gzip_free)

/*
 * Takes from *in (moved on) and writes to *out (moved on), until one of both is used up. finish: nothing follows *in.
 * 1: all is written, the trailer included; 0: call again; -EIO.
 */
int cgm_gzip_run(struct cgm_gzip *g, const char **in, size_t *in_len, char **out, size_t *out_len, bool finish);
/* The whole text at once, appended to out. 0, -ENOMEM or -EIO. */
int cgm_gzip_buf(const struct cgm_buf *in, struct cgm_buf *out);
/* The other way: the whole of a gzip text, appended to out. 0, -ENOMEM, or -EINVAL when it is none or is cut short. */
int cgm_gunzip_buf(const char *in, size_t len, struct cgm_buf *out);
/* CRC-32 of gzip (IEEE 802.3, reflected), continued from crc (0: the beginning). */
uint32_t cgm_crc32(uint32_t crc, const void *p, size_t len);
