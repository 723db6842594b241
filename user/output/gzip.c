// SPDX-License-Identifier: Apache-2.0
#include "output/gzip.h"

#include <errno.h>
#include <limits.h>
#include <libdeflate.h>
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
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(1);
	size_t bound, len;

	if (!c)
		return -ENOMEM;
	bound = libdeflate_gzip_compress_bound(c, in->len);
	if (!cgm_buf_reserve(out, bound)) {
		libdeflate_free_compressor(c);
		return -ENOMEM;
	}
	len = libdeflate_gzip_compress(c, in->p, in->len, out->p + out->len, bound);
	libdeflate_free_compressor(c);
	if (!len) /* never, within the bound */
		return -EIO;
	out->len += len;
	/* The bound is that of text which cannot be compressed. */
	cgm_buf_fit(out);
	return 0;
}
