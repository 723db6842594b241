/* SPDX-License-Identifier: Apache-2.0 */
/* A Lease of coordination.k8s.io/v1 as JSON; for leader.c. */
#pragma once
#include <stdint.h>

#include "base/buf.h"

struct cgm_lease {
	char holder[256]; /* "": nobody */
	char version[64]; /* metadata.resourceVersion */
	char renewed[64]; /* spec.renewTime as it stands there: it is compared, never believed */
	uint64_t duration_s; /* spec.leaseDurationSeconds; 0: not said */
};

/* 0, -EINVAL: it is none, -ENOMEM. */
int cgm_lease_read(const char *text, size_t len, struct cgm_lease *ret);
/*
 * Appends the Lease as identity holds it now ("": as it is given back). old: what the API server said last, whose other parts are kept; NULL: there is none yet. 0, -EINVAL, -ENOMEM.
 */
int cgm_lease_write(const char *old, size_t len, const char *lease_namespace, const char *name, const char *identity, uint64_t duration_s, uint64_t now_ns, struct cgm_buf *out);
