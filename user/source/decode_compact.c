// SPDX-License-Identifier: Apache-2.0
#include "source/decoders.h"

#include <errno.h>

int cgm_decode_compact(struct cgm_str text, struct cgm_draft *d, uint64_t *nr_bad, char *fault)
{
	(void)text;
	(void)d;
	(void)nr_bad;
	snprintf(fault, CGM_DECODE_FAULT, "not yet");
	return -EINVAL;
}
