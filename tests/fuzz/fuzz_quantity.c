// SPDX-License-Identifier: Apache-2.0
/* Kubernetes' quantities. Invariants: both units agree about what is none; thousandths are a thousand times the units, up to the rounding; more digits of 0 change nothing. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/quantity.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_str s = { (const char *)data, size };
	int64_t milli = -1, units = -1, padded;
	char text[256] = "000";
	int r = cgm_quantity_milli(s, &milli);

	check(r == 0 || (r == -EINVAL && milli == -1));
	check(cgm_quantity_units(s, &units) == r);
	if (r < 0)
		return 0;
	check(milli >= 0 && units >= 0 && units <= milli);
	if (milli < INT64_MAX)
		check(units == milli / 1000 + (milli % 1000 > 0));
	if (size && size < 200 && *data != '+') {
		memcpy(text + 3, data, size);
		check(cgm_quantity_milli((struct cgm_str){ text, size + 3 }, &padded) == 0 && padded == milli);
	}
	return 0;
}
