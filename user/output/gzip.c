// SPDX-License-Identifier: Apache-2.0
#include "output/gzip.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <limits.h>

#include "base/mem.h"

#define LEVEL 1
#define LEVEL_BYTES ISAL_DEF_LVL1_DEFAULT

struct cgm_gzip {
	struct isal_zstream z;
	uint8_t level[LEVEL_BYTES];
};

/*
 * The library's vector code leaves the upper halves of registers in use. Where the C library has EVEX string functions, which never clear
 * them, all floating-point code of the thread is then slower by 2 to 3 times, for good.
 */
static void free_upper_halves(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroupper");
#endif
}

struct cgm_gzip *cgm_gzip_new(void)
{
	struct cgm_gzip *g = cgm_malloc(sizeof(*g));

	if (g)
		cgm_gzip_reset(g);
	return g;
}

void cgm_gzip_reset(struct cgm_gzip *g)
{
	isal_deflate_init(&g->z);
	g->z.level = LEVEL;
	g->z.level_buf = g->level;
	g->z.level_buf_size = sizeof(g->level);
	g->z.gzip_flag = IGZIP_GZIP;
	g->z.flush = NO_FLUSH;
}

void cgm_gzip_free(struct cgm_gzip *g)
{
	free(g);
}

int cgm_gzip_run(struct cgm_gzip *g, const char **in, size_t *in_len, char **out, size_t *out_len, bool finish)
{
	uint32_t in_now = (uint32_t)MIN(*in_len, (size_t)UINT_MAX), out_now = (uint32_t)MIN(*out_len, (size_t)UINT_MAX);
	int r;

	g->z.next_in = (uint8_t *)(uintptr_t)*in; /* it only reads there */
	g->z.avail_in = in_now;
	g->z.next_out = (uint8_t *)*out;
	g->z.avail_out = out_now;
	g->z.end_of_stream = finish && in_now == *in_len;
	r = isal_deflate(&g->z);
	free_upper_halves();
	*in += in_now - g->z.avail_in;
	*in_len -= in_now - g->z.avail_in;
	*out += out_now - g->z.avail_out;
	*out_len -= out_now - g->z.avail_out;
	if (r != COMP_OK)
		return -EIO;
	return g->z.internal_state.state == ZSTATE_END;
}

int cgm_gzip_buf(const struct cgm_buf *in, struct cgm_buf *out)
{
	_cleanup_(cgm_gzip_freep) struct cgm_gzip *g = cgm_gzip_new();
	const char *from = in->p;
	size_t left = in->len, grow = in->len / 8 + 1024; /* our texts become a tenth to a twentieth */
	int r = 0;

	if (!g)
		return -ENOMEM;
	while (r == 0) {
		char *to;
		size_t room = grow;

		if (!cgm_buf_reserve(out, room))
			return -ENOMEM;
		to = out->p + out->len;
		r = cgm_gzip_run(g, &from, &left, &to, &room, true);
		out->len = (size_t)(to - out->p);
	}
	if (r < 0)
		return r;
	cgm_buf_fit(out);
	return 0;
}

int cgm_gunzip_buf(const char *in, size_t len, struct cgm_buf *out)
{
	_cleanup_free_ struct inflate_state *state = cgm_malloc(sizeof(*state));
	size_t grow = len * 8 + 1024;

	if (!state)
		return -ENOMEM;
	isal_inflate_init(state);
	state->crc_flag = ISAL_GZIP;
	state->next_in = (uint8_t *)(uintptr_t)in; /* it only reads there */
	state->avail_in = (uint32_t)MIN(len, (size_t)UINT_MAX);
	do {
		if (!cgm_buf_reserve(out, grow))
			return -ENOMEM;
		state->next_out = (uint8_t *)out->p + out->len;
		state->avail_out = (uint32_t)MIN(grow, (size_t)UINT_MAX);
		if (isal_inflate(state) != ISAL_DECOMP_OK)
			return -EINVAL;
		out->len = (size_t)(state->next_out - (uint8_t *)out->p);
	} while (state->avail_out == 0 && state->block_state != ISAL_BLOCK_FINISH);
	return state->block_state == ISAL_BLOCK_FINISH ? 0 : -EINVAL;
}

uint32_t cgm_crc32(uint32_t crc, const void *p, size_t len)
{
	crc = crc32_gzip_refl(crc, p, len);
	free_upper_halves();
	return crc;
}
