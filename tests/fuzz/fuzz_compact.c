// SPDX-License-Identifier: Apache-2.0
/* Our own agent's compact answer, see decode_fuzz.h. */
#include "fuzz/decode_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_form(CGM_DECODE_COMPACT, data, size);
	return 0;
}
