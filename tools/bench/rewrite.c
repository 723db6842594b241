// SPDX-License-Identifier: Apache-2.0
/*
 * rewrite <DOCUMENT: prints the CPU ns in which jansson writes a JSON document once more that it has read, the least of ROUNDS: the yardstick of an
 * answer of ours, which is made from samples and not from a document.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define ROUNDS 3

int main(void)
{
	json_t *document = json_loadf(stdin, 0, NULL);
	uint64_t least = UINT64_MAX;

	for (int i = 0; document && i < ROUNDS; i++) {
		uint64_t began = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID), took;
		char *text = json_dumps(document, JSON_COMPACT);

		took = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began;
		if (text && took < least)
			least = took;
		free(text);
	}
	json_decref(document);
	if (least == UINT64_MAX) {
		fprintf(stderr, "rewrite: no document on stdin, or out of memory\n");
		return 1;
	}
	printf("%llu\n", (unsigned long long)least);
	return 0;
}
