/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may come back for a request of `cgmeter top`; and, as the first line, an address. Invariants: a body lies in what came, nothing is
 * whole that was not before it ended, and what is cut is never taken for whole where its length is told.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "top/http_answer.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static int parse(const uint8_t *data, size_t size, bool at_end)
{
	struct cgm_buf in = {.len = size, .cap = size, .p = malloc(size ? size : 1)};
	const char *fault = NULL;
	struct cgm_answer a;
	int r;

	check(in.p != NULL);
	if (size)
		memcpy(in.p, data, size);
	r = cgm_answer_parse(&in, at_end, &a, &fault);
	check(r == 0 || r == 1 || (r == -EBADMSG && fault));
	check(!(at_end && r == 0));
	if (r == 1)
		check(a.status >= 100 && a.status <= 999 && a.body >= in.p && a.body + a.len <= in.p + size);
	cgm_buf_done(&in);
	return r;
}

static void try_url(const uint8_t *data, size_t size)
{
	char text[600];
	size_t len = 0;
	const char *fault = NULL;
	struct cgm_buf b = {0};
	struct cgm_url u;
	int r;

	while (len < size && len < sizeof(text) - 1 && data[len] != '\n' && data[len])
		len++;
	memcpy(text, data, len);
	text[len] = '\0';
	r = cgm_url_parse(text, &u, &fault);
	check(r == 0 || (r == -EINVAL && fault));
	if (r == 0)
		for (const char *p = u.prefix; *p; p++)
			check((unsigned char)*p > 32 && (unsigned char)*p < 127);
	cgm_url_encode(&b, text);
	for (size_t i = 0; i < b.len; i++)
		check(b.p[i] > 32 && b.p[i] < 127);
	cgm_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;

	try_url(data, size);
	if (newline) {
		size -= (size_t)(newline + 1 - data);
		data = newline + 1;
	}
	if (parse(data, size, false) == 1)
		check(parse(data, size, true) == 1);
	else
		parse(data, size, true);
	return 0;
}
