/* SPDX-License-Identifier: Apache-2.0 */
/* The whole-token parsers: no input may make them read beyond it, loop, or hand out a value and an error at once. */
#include <stdint.h>
#include <stdlib.h>

#include "base/parse.h"

#define UNTOUCHED 0x5a5a5a5a5a5a5a5aULL

static void numbers(struct cgm_str s)
{
	int (*const parsers[])(struct cgm_str, uint64_t *) = { cgm_parse_u64, cgm_parse_u64_max, cgm_parse_hex, cgm_parse_centi, cgm_parse_duration_ns };
	int64_t i = (int64_t)UNTOUCHED;
	uint32_t major = 0, minor = 0;
	unsigned cpus = 0;
	bool b = false;

	for (size_t n = 0; n < sizeof(parsers) / sizeof(parsers[0]); n++) {
		uint64_t v = UNTOUCHED;

		if (parsers[n](s, &v) != 0 && v != UNTOUCHED)
			abort();
	}
	if (cgm_parse_i64(s, &i) != 0 && i != (int64_t)UNTOUCHED)
		abort();
	if (cgm_parse_rfc3339(s, &i) == 0 && s.len < 20)
		abort();
	cgm_parse_bool(s, &b);
	cgm_parse_cpu_list(s, &cpus);
	cgm_parse_dev(s, &major, &minor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_str text = { (const char *)data, size }, line;
	size_t seen = 0;

	numbers(text);
	while (cgm_next_line(&text, &line)) {
		struct cgm_str token, fields = line, field;

		seen += line.len + 1;
		numbers(cgm_trim(line));
		while (cgm_next_token(&line, &token))
			numbers(token);
		while (cgm_next_field(&fields, ',', &field))
			numbers(field);
	}
	if (seen > size + 1)
		abort();
	return 0;
}
