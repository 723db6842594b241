/* SPDX-License-Identifier: Apache-2.0 */
/* What servers of sinks answer, read with suspicion (json_answer.c). Others are in sink/answer.h. Any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct cgm_answer_put {
	uint64_t nr_failed;
	char text[128]; /* of the first error; "": none given */
};
/* OpenTSDB's answer to /api/put?details. -EINVAL: it is none. */
int cgm_answer_put(const char *json, size_t len, struct cgm_answer_put *ret);
