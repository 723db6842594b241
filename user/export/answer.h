/* SPDX-License-Identifier: Apache-2.0 */
/* What servers of sinks answer, read with suspicion. Others are in sink/answer.h. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Riemann's word on events: ok, or not with its reason in text. -EINVAL: it is none. */
int cgm_answer_riemann(const char *bytes, size_t len, bool *ret_ok, char *text, size_t size);

/* ---- json_answer.c ---- */

struct cgm_answer_put {
	uint64_t nr_failed;
	char text[128]; /* of the first error; "": none given */
};
/* OpenTSDB's answer to /api/put?details. -EINVAL: it is none. */
int cgm_answer_put(const char *json, size_t len, struct cgm_answer_put *ret);
