/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of socket dumps (user/cgroup/sockdiag.h). The first byte chooses the protocol. The corpus: answers of a kernel, and damaged ones. */
#include <stdint.h>
#include <stdlib.h>

#include "cgroup/sockdiag.h"

#define SEQ 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_netlink_seen seen = { 0 };
	struct cgm_sockets s = { 0 };
	uint64_t nr = 0;
	int r;

	if (!size)
		return 0;
	r = cgm_sockdiag_parse(data + 1, size - 1, SEQ, data[0] == 'u' ? CGM_SOCKDIAG_UDP : CGM_SOCKDIAG_TCP, &s, &seen);
	for (unsigned i = 0; i < CGM_NR_TCP_STATES; i++)
		nr += s.tcp[0][i] + s.tcp[1][i];
	nr += s.udp[0][CGM_UDP_STATE_LISTEN] + s.udp[1][CGM_UDP_STATE_LISTEN];
	/* A socket takes at least a header of 16 bytes; an error is an errno. */
	if (nr > size / 16 || r > 0 || r < -4095)
		abort();
	return 0;
}
