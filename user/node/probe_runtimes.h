/* SPDX-License-Identifier: Apache-2.0 */
/* What `cgmeter probe` says of container runtimes. */
#pragma once
#include "node/runtimes.h"

struct cgm_probed_runtimes {
	struct cgm_runtime_state states[CGM_MAX_RUNTIMES]; /* fault: why it is of no use; "": it is connected */
	size_t nr;
};
/* Asks those that o names, all at once, for at most three seconds. 0 or a negative errno. */
int cgm_probe_runtimes(const struct cgm_runtime_options *o, struct cgm_probed_runtimes *ret);
