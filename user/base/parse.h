/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole-token parsers for the text of cgroup files, procfs, sysfs, flags and queries. They take a length, need no
 * terminating zero, accept no rubbish around the token, and saturate instead of wrapping. Any thread. Errors: -EINVAL.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of text that is owned by somebody else. */
struct cgm_str {
	const char *p;
	size_t len;
};

#define CGM_STR(literal) ((struct cgm_str){ (literal), sizeof(literal) - 1 })
struct cgm_str cgm_str(const char *s);
bool cgm_str_eq(struct cgm_str a, const char *b);

/* Cuts the next line (without its newline) off *text. False at the end. The last line needs no newline. */
bool cgm_next_line(struct cgm_str *text, struct cgm_str *ret_line);
/* Cuts the next run of non-blank characters off *line (blank: space, tab). False when none is left. */
bool cgm_next_token(struct cgm_str *line, struct cgm_str *ret_token);
/* Cuts the text before the next sep off *text; the rest begins behind it. False when *text is empty. */
bool cgm_next_field(struct cgm_str *text, char sep, struct cgm_str *ret_field);
struct cgm_str cgm_trim(struct cgm_str s);

/* Decimal digits only; above 2^64-1 saturates to it. */
int cgm_parse_u64(struct cgm_str s, uint64_t *ret);
/* The same, and "max" is 2^64-1. */
int cgm_parse_u64_max(struct cgm_str s, uint64_t *ret);
/* An optional minus, then digits; saturates at both ends. */
int cgm_parse_i64(struct cgm_str s, int64_t *ret);
/* Hexadecimal digits without a prefix. */
int cgm_parse_hex(struct cgm_str s, uint64_t *ret);
/* "12.34" to 1234: digits, a point and up to two digits (more are cut). For the averages of PSI. */
int cgm_parse_centi(struct cgm_str s, uint64_t *ret_hundredths);
/* true, false, 1, 0, t, f, T, F, TRUE, FALSE, True, False: what Go's flag package takes. */
int cgm_parse_bool(struct cgm_str s, bool *ret);
/* A Go duration, "1s", "100ms", "1m30s", "1.5h"; units ns us µs ms s m h; result in ns, never negative. */
int cgm_parse_duration_ns(struct cgm_str s, uint64_t *ret_ns);
/* RFC 3339 with optional fraction and zone ("2026-11-22T15:52:56.160743113Z", "…+02:00"); ns since the epoch, may be negative before 1970. */
int cgm_parse_rfc3339(struct cgm_str s, int64_t *ret_ns);
/* A cpu list, "0-3,8": calls nothing, returns how many CPUs it names. */
int cgm_parse_cpu_list(struct cgm_str s, unsigned *ret_nr_cpus);
/* "8:0" to its parts. */
int cgm_parse_dev(struct cgm_str s, uint32_t *ret_major, uint32_t *ret_minor);
