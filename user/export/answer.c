// SPDX-License-Identifier: Apache-2.0
#include "export/answer.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/protobuf.h"

/* Fields of Riemann's Msg. */
enum { MSG_OK = 2, MSG_ERROR = 3 };

int cgm_answer_riemann(const char *bytes, size_t len, bool *ret_ok, char *text, size_t size)
{
	struct cgm_str rest = { bytes, len };
	bool ok = false, said = false;
	struct cgm_pb_field f;
	int r;

	text[0] = '\0';
	while ((r = cgm_pb_next(&rest, &f)) > 0) {
		if (f.number == MSG_OK && f.wire == CGM_PB_VARINT) {
			said = true;
			ok = f.value != 0;
		}
		if (f.number == MSG_ERROR && f.wire == CGM_PB_BYTES)
			snprintf(text, size, "%.*s", (int)MIN(f.bytes.len, size), f.bytes.p);
	}
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = ' ';
	if (r < 0 || !said)
		return -EINVAL;
	*ret_ok = ok;
	return 0;
}
