// SPDX-License-Identifier: Apache-2.0
/*
 * What servers answer to the storage drivers, and gzip that is none. Invariants: a fault leaves the results alone; no more is lost than was
 * sent; texts end where their room does.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "export/answer.h"
#include "output/gzip.h"
#include "sink/answer.h"

#define UNTOUCHED 4711

static void check(int ok)
{
	if (!ok)
		abort();
}

static void try_otlp(const char *p, size_t len)
{
	uint64_t rejected = UNTOUCHED;
	char text[20];
	int r = cgm_answer_otlp(p, len, &rejected, text, sizeof(text));

	check(r == 0 || r == -EINVAL);
	check(r == 0 ? rejected <= INT64_MAX : rejected == UNTOUCHED);
	check(memchr(text, '\0', sizeof(text)) != NULL);
}

static void try_bulk(const char *p, size_t len)
{
	struct cgm_answer_bulk b = { .nr_items = UNTOUCHED };
	unsigned major = UNTOUCHED;
	int r = cgm_answer_bulk(p, len, &b);

	check(r == 0 || (r == -EINVAL && b.nr_items == UNTOUCHED));
	if (r == 0)
		check(b.nr_refused + b.nr_later <= b.nr_items && memchr(b.text, '\0', sizeof(b.text)));
	r = cgm_answer_es_version(p, len, &major);
	check(r == 0 ? major <= 1000 : major == UNTOUCHED);
}

/* Of the sinks of a cluster. */
static void try_export(const char *p, size_t len)
{
	struct cgm_answer_put put = { .nr_failed = UNTOUCHED };
	bool ok = false;
	char text[20];
	int r = cgm_answer_put(p, len, &put);

	check(r == 0 ? put.nr_failed <= INT64_MAX && memchr(put.text, '\0', sizeof(put.text)) != NULL : r == -EINVAL && put.nr_failed == UNTOUCHED);
	r = cgm_answer_riemann(p, len, &ok, text, sizeof(text));
	check(r == 0 || (r == -EINVAL && !ok));
	check(memchr(text, '\0', sizeof(text)) != NULL);
}

static void try_gunzip(const char *p, size_t len)
{
	struct cgm_buf out = { 0 };

	if (len < 1000) /* what it could become is bounded by what it is */
		(void)cgm_gunzip_buf(p, len, &out);
	cgm_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;

	check(cgm_answer_influxdb_dropped(p, size, 100) <= 100);
	try_otlp(p, size);
	try_bulk(p, size);
	try_export(p, size);
	try_gunzip(p, size);
	return 0;
}
