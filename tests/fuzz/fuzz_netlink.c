/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of link dumps (user/cgroup/netlink.h). The corpus: answers of a kernel to both requests, and damaged ones. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/netlink.h"

#define SEQ 7

static int on_link(void *arg, const struct cgm_link *l)
{
	if (strnlen(l->name, sizeof(l->name)) >= sizeof(l->name))
		abort();
	++*(size_t *)arg;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_netlink_seen seen = { 0 };
	size_t nr = 0;
	int r = cgm_netlink_parse(data, size, SEQ, on_link, &nr, &seen);

	/* A link takes at least a header of 16 bytes; an error is an errno. */
	if (nr > size / 16 || r > 0 || r < -4095)
		abort();
	return 0;
}
