/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Link statistics by rtnetlink: the bytes of a request, and a parser of the kernel's answers. No descriptor, no allocation, no state, so that
 * the parser can be fuzzed by itself. Any thread. Formats: Documentation/userspace-api/netlink, rtnetlink(7).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgmeter/metrics.h"

/* LINKS: all that there is to know, names included, 1 to 1.5 kB a link. STATS (since 4.7): the counters alone, 230 bytes a link. */
enum cgm_netlink_what { CGM_NETLINK_LINKS, CGM_NETLINK_STATS };

struct cgm_link {
	uint32_t index; /* of the interface, unique in its namespace */
	char name[16]; /* "" in an answer to STATS */
	bool has_stats;
	uint64_t v[CGM_NR_IFACE_VALUES]; /* as /proc/net/dev counts them: rx_dropped includes what the device missed */
};

#define CGM_NETLINK_REQUEST_BYTES 32
/* Writes the request for the link with that index; 0: for a dump of all links of the namespace. Its length. */
size_t cgm_netlink_request(enum cgm_netlink_what what, uint32_t index, uint32_t seq, unsigned char buf[CGM_NETLINK_REQUEST_BYTES]);

/* Calls link for each interface that one received datagram describes; link returns 0 to go on, anything else ends it and is returned. */
typedef int (*cgm_link_fn)(void *arg, const struct cgm_link *l);
struct cgm_netlink_seen {
	bool done; /* the answer has ended */
	bool notified; /* there was a message of another sequence number: a link has come, gone or changed */
	bool interrupted; /* links changed while the dump was made: some may be missing */
};
/*
 * seq: of the request. 0; the kernel's own (negative) error in answer to the request; -EBADMSG: malformed, what came before was handed out.
 * seen is only ever set to true here.
 */
int cgm_netlink_parse(const void *data, size_t len, uint32_t seq, cgm_link_fn link, void *arg, struct cgm_netlink_seen *seen);
