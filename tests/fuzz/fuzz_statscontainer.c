// SPDX-License-Identifier: Apache-2.0
/* ContainerInfo of cAdvisor, as a map and as a list, see decode_fuzz.h. */
#include "fuzz/decode_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_form(CGM_DECODE_CONTAINERS, data, size);
	try_form(CGM_DECODE_SUBCONTAINERS, data, size);
	return 0;
}
