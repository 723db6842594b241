/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of a network namespace by sock_diag(7): the bytes of a request, and a parser of the kernel's answers that counts them. No descriptor,
 * no allocation, no state, so that the parser can be fuzzed by itself. Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgmeter/metrics.h"
#include "cgroup/netlink.h"

enum cgm_sockdiag_what { CGM_SOCKDIAG_TCP, CGM_SOCKDIAG_UDP };

/* By version of IP: 0 is IPv4, 1 is IPv6. Of UDP, LISTEN are the sockets that are not connected. */
struct cgm_sockets {
	uint64_t tcp[2][CGM_NR_TCP_STATES], udp[2][CGM_NR_UDP_STATES];
};

#define CGM_SOCKDIAG_REQUEST_BYTES 72
/* Writes the request for a dump of all sockets of that protocol; family: AF_INET or AF_INET6. Its length. */
size_t cgm_sockdiag_request(enum cgm_sockdiag_what what, int family, uint32_t seq, unsigned char buf[CGM_SOCKDIAG_REQUEST_BYTES]);

/* Counts the sockets of one received datagram into s. Errors and seen as of cgm_netlink_parse(); what came before an error is counted. */
int cgm_sockdiag_parse(const void *data, size_t len, uint32_t seq, enum cgm_sockdiag_what what, struct cgm_sockets *s,
		       struct cgm_netlink_seen *seen);
