/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions of a stranger, on a text of a stranger: PCRE2, loaded when first needed, with bounds on time and memory. */
#pragma once
#include <stddef.h>

#include "base/cleanup.h"

struct cgm_pattern;
/* 0; -EINVAL with fault (fault_size bytes): it is none; -ENOENT with fault: no PCRE2 on this machine; -ENOMEM. */
int cgm_pattern_new(const char *regex, struct cgm_pattern **ret, char *fault, size_t fault_size);
void cgm_pattern_free(struct cgm_pattern *p);
DEFINE_CLEANUP(cgm_pattern, cgm_pattern_free)
/* Its first group in text, copied into buf. The length; -ENOENT: it does not match; -EFBIG: no room; -E2BIG: it took too long, or too much memory; -EINVAL: it has no group. */
int cgm_pattern_match(const struct cgm_pattern *p, const char *text, size_t len, char *buf, size_t size);
