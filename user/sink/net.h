/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of the drivers that speak a protocol of their own. */
#pragma once
#include <stdint.h>

#include "sink/wait.h"

/*
 * Connects a socket (SOCK_STREAM, SOCK_DGRAM) to the first address of host that answers; it does not block. The name service is asked
 * first, which may take its own time. A descriptor, or a negative errno with fault (CGM_SINK_FAULT) saying which host.
 */
int cgm_sink_connect(const struct cgm_sink_stop *stop, const char *host, uint16_t port, int type, uint64_t until_ns, char *fault);
