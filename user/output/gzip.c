// SPDX-License-Identifier: Apache-2.0
#include "output/gzip.h"

#include <errno.h>
#include <limits.h>
#include <zlib.h>

#include "base/mem.h"

#define LEVEL 1
#define WINDOW_BITS (15 + 16) /* 32 kB, and a gzip header instead of zlib's */
#define MEMORY_LEVEL 8

struct cgm_gzip {
	z_stream z;
};

static void *gzip_alloc(void *opaque, unsigned nr, unsigned size)
{
	(void)opaque;
	return cgm_calloc(nr, size);
}

static void gzip_release(void *opaque, void *p)
{
	(void)opaque;
	free(p);
}

struct cgm_gzip *cgm_gzip_new(void)
{
	struct cgm_gzip *g = cgm_calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->z.zalloc = gzip_alloc;
	g->z.zfree = gzip_release;
	if (deflateInit2(&g->z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(g);
		return NULL;
	}
	return g;
}

void cgm_gzip_free(struct cgm_gzip *g)
{
	if (!g)
		return;
	deflateEnd(&g->z);
	free(g);
}

int cgm_gzip_run(struct cgm_gzip *g, const char **in, size_t *in_len, char **out, size_t *out_len, bool finish)
{
	unsigned in_now = (unsigned)MIN(*in_len, (size_t)UINT_MAX), out_now = (unsigned)MIN(*out_len, (size_t)UINT_MAX);
	int r;

	g->z.next_in = (z_const Bytef *)*in;
	g->z.avail_in = in_now;
	g->z.next_out = (Bytef *)*out;
	g->z.avail_out = out_now;
	r = deflate(&g->z, finish && in_now == *in_len ? Z_FINISH : Z_NO_FLUSH);
	*in += in_now - g->z.avail_in;
	*in_len -= in_now - g->z.avail_in;
	*out += out_now - g->z.avail_out;
	*out_len -= out_now - g->z.avail_out;
	if (r == Z_STREAM_END)
		return 1;
	return r == Z_OK || r == Z_BUF_ERROR ? 0 : -EIO;
}

int cgm_gzip_buf(const struct cgm_buf *in, struct cgm_buf *out)
{
	_cleanup_(cgm_gzip_freep) struct cgm_gzip *g = cgm_gzip_new();
	const char *from = in->p;
	size_t left = in->len;
	int r = 0;

	if (!g)
		return -ENOMEM;
	while (r == 0) {
		char *to;
		size_t room, had;

		if (!cgm_buf_reserve(out, 16384))
			return -ENOMEM;
		to = out->p + out->len;
		room = had = out->cap - out->len;
		r = cgm_gzip_run(g, &from, &left, &to, &room, true);
		out->len += had - room;
	}
	return r < 0 ? r : 0;
}
