/* SPDX-License-Identifier: Apache-2.0 */
/* `cgmeter cluster`: opens everything, then waits for signals; the work is done in the threads of source, sinks and servers. */
#pragma once
#include "cluster/options.h"

/* Runs until SIGTERM or SIGINT. Returns the exit status: 0 after a clean end; failures to start are said on stderr. */
int cgm_cluster_run(const struct cgm_cluster_options *o);
