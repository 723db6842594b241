// SPDX-License-Identifier: Apache-2.0
#include "output/secret.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

static int hash(gnutls_digest_algorithm_t kind, const void *p, size_t len, void *ret)
{
	return gnutls_hash_fast(kind, p, len, ret) < 0 ? -EIO : 0;
}

int cgm_sha256(const void *p, size_t len, uint8_t ret[CGM_SHA256_BYTES])
{
	return hash(GNUTLS_DIG_SHA256, p, len, ret);
}

int cgm_sha1(const void *p, size_t len, uint8_t ret[CGM_SHA1_BYTES])
{
	return hash(GNUTLS_DIG_SHA1, p, len, ret);
}

int cgm_md5(const void *p, size_t len, uint8_t ret[CGM_MD5_BYTES])
{
	return hash(GNUTLS_DIG_MD5, p, len, ret);
}

int cgm_hmac_sha256(const void *key, size_t key_len, const void *p, size_t len, uint8_t ret[CGM_SHA256_BYTES])
{
	return gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key_len, p, len, ret) < 0 ? -EIO : 0;
}

int cgm_random(void *ret, size_t len)
{
	return gnutls_rnd(GNUTLS_RND_KEY, ret, len) < 0 ? -EIO : 0;
}

bool cgm_secret_eq(const void *a, const void *b, size_t len)
{
	return gnutls_memcmp(a, b, len) == 0;
}

void cgm_secret_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}

void cgm_hex(const void *p, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = p;

	for (size_t i = 0; i < len; i++) {
		*ret++ = digits[bytes[i] >> 4];
		*ret++ = digits[bytes[i] & 15];
	}
	*ret = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cgm_unhex(const char *hex, size_t hex_len, void *ret, size_t len)
{
	uint8_t *to = ret;

	if (hex_len != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
