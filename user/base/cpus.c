// SPDX-License-Identifier: Apache-2.0
#include "base/cpus.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/log.h"

void cgm_cpus_limit(int64_t nr)
{
	cpu_set_t allowed, wanted;

	if (nr < 1 || sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	CPU_ZERO(&wanted);
	for (int cpu = 0; cpu < CPU_SETSIZE && nr > 0; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		CPU_SET(cpu, &wanted);
		nr--;
	}
	if (sched_setaffinity(0, sizeof(wanted), &wanted) < 0)
		cgm_warning("--max_procs: cannot choose the CPUs: %s", strerror(errno));
}
