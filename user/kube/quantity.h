/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes' quantities: "100m", "1.5", "1e3", "2Gi", "128974848000m". Exact: no floating point. */
#pragma once
#include "base/parse.h"

/*
 * In units of 10^-3 (CPU) or 1 (memory), rounded up to whole ones as Kubernetes does, saturating at 2^63-1. Digits with a point or not, then one of n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an
 * exponent (e3, E-3). 0 or -EINVAL (nothing, rubbish, less than zero: resources are never).
 */
int cgm_quantity_milli(struct cgm_str s, int64_t *ret);
int cgm_quantity_units(struct cgm_str s, int64_t *ret);
