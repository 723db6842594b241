/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the parsers of netlink's answers: messages and attributes. Fields are copied out: nothing here is sure to be aligned. */
#pragma once
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>

#include "cgroup/netlink.h"

/* What is left of a datagram or of a message. */
struct cgm_bytes {
	const unsigned char *p;
	size_t len;
};

static inline void cgm_bytes_skip(struct cgm_bytes *b, size_t n)
{
	n = n < b->len ? n : b->len;
	b->p += n;
	b->len -= n;
}

/* Cuts the next attribute off b. 1; 0: none is left; -EBADMSG: it does not fit. */
int cgm_netlink_attribute(struct cgm_bytes *b, unsigned *ret_type, struct cgm_bytes *ret_value);

/*
 * Calls message for each message of the answer to request seq, but for those that say how it ended; it returns 0 to go on, anything else ends the
 * walk and is returned. Errors and seen as of cgm_netlink_parse().
 */
typedef int (*cgm_netlink_message_fn)(void *arg, unsigned type, struct cgm_bytes body);
int cgm_netlink_walk(const void *data, size_t len, uint32_t seq, cgm_netlink_message_fn message, void *arg, struct cgm_netlink_seen *seen);
