/* SPDX-License-Identifier: Apache-2.0 */
/* The node agent: opens everything, then one loop that ticks. */
#pragma once
#include "node/options.h"

/* Runs until SIGTERM or SIGINT. Returns the exit status: 0 after a clean end; failures to start are said on stderr. */
int cgm_agent_run(const struct cgm_options *o);
