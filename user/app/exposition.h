/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text format (version 0.0.4), as an application writes it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "app/config.h"
#include "app/metrics.h"

#define CGM_APP_MAX_LABELS 64 /* of one sample */

/*
 * Adds the samples that config wants (by their name or their family's; none named: all) to out; those without a time of their own have time_ns. 0; -EINVAL with fault
 * (CGM_APP_FAULT) naming the line; -ENOMEM. text need not end in a zero.
 */
int cgm_app_exposition_parse(const char *text, size_t len, const struct cgm_app_config *config, uint64_t time_ns, struct cgm_app_draft *out, char *fault);
