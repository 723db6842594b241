// SPDX-License-Identifier: Apache-2.0
/* A kubelet's /metrics/resource, see decode_fuzz.h. */
#include "fuzz/decode_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_form(CGM_DECODE_RESOURCE, data, size);
	return 0;
}
