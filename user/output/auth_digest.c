// SPDX-License-Identifier: Apache-2.0
#include "output/auth_digest.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "output/auth_header.h"
#include "output/secret.h"

#define NONCE_NS (300 * CGM_NSEC_PER_SEC)
#define NR_NONCES 512 /* in use at once; an older one is stale then */
#define SIGNATURE_BYTES 16
#define MD5_HEX (2 * CGM_MD5_BYTES)

/* ---- users ---- */

/* The digest may be written in either case; ours is lower. */
static int on_line(const void *arg, char *line, struct cgm_user *ret, const char **ret_fault)
{
	const char *realm = arg;
	char *name_end = strchr(line, ':'), *realm_end = name_end ? strchr(name_end + 1, ':') : NULL;
	uint8_t ha1[CGM_MD5_BYTES];

	if (!realm_end || name_end == line || cgm_unhex(realm_end + 1, strlen(realm_end + 1), ha1, sizeof(ha1)) < 0) {
		*ret_fault = "it is not user:realm:digest";
		return -EINVAL;
	}
	*name_end = *realm_end = '\0';
	cgm_hex(ha1, sizeof(ha1), realm_end + 1);
	*ret = (struct cgm_user){ line, realm_end + 1 };
	return strcmp(name_end + 1, realm) == 0;
}

int cgm_htdigest_parse(const char *text, size_t len, const char *realm, struct cgm_users **ret, unsigned *ret_line, const char **ret_fault)
{
	return cgm_users_parse(text, len, on_line, realm, "there is no user of the realm of --http_digest_realm in it", ret, ret_line, ret_fault);
}

/* ---- nonces ---- */

/* A nonce that was used: the highest count, and which of the 64 below it came, since a client may send requests side by side. */
struct used {
	uint64_t time_ns; /* of the nonce: unique; 0: free */
	uint64_t count, seen;
};

struct cgm_nonces {
	pthread_mutex_t lock;
	uint8_t key[32];
	uint64_t last_ns; /* handed out last */
	uint64_t forgotten_ns; /* nonces up to this one are stale unless they stand in the table */
	struct used used[NR_NONCES];
};

struct cgm_nonces *cgm_nonces_new(void)
{
	_cleanup_free_ struct cgm_nonces *n = cgm_calloc(1, sizeof(*n));

	if (!n || cgm_random(n->key, sizeof(n->key)) < 0)
		return NULL;
	pthread_mutex_init(&n->lock, NULL);
	return TAKE_PTR(n);
}

void cgm_nonces_free(struct cgm_nonces *n)
{
	if (!n)
		return;
	pthread_mutex_destroy(&n->lock);
	cgm_secret_wipe(n->key, sizeof(n->key));
	free(n);
}

static int sign(const struct cgm_nonces *n, uint64_t time_ns, char ret[CGM_NONCE_CHARS + 1])
{
	uint8_t mac[CGM_SHA256_BYTES];

	snprintf(ret, 17, "%016" PRIx64, time_ns);
	if (cgm_hmac_sha256(n->key, sizeof(n->key), ret, 16, mac) < 0)
		return -EIO;
	cgm_hex(mac, SIGNATURE_BYTES, ret + 16);
	return 0;
}

int cgm_nonce_make(struct cgm_nonces *n, uint64_t now_ns, char ret[CGM_NONCE_CHARS + 1])
{
	pthread_mutex_lock(&n->lock);
	n->last_ns = MAX(now_ns, n->last_ns + 1);
	now_ns = n->last_ns;
	pthread_mutex_unlock(&n->lock);
	return sign(n, now_ns, ret);
}

/* Is it one of ours, and not too old? */
static bool is_fresh(const struct cgm_nonces *n, const char *nonce, uint64_t now_ns, uint64_t *ret_time_ns)
{
	char wanted[CGM_NONCE_CHARS + 1];

	if (strlen(nonce) != CGM_NONCE_CHARS || cgm_parse_hex((struct cgm_str){ nonce, 16 }, ret_time_ns) < 0)
		return false;
	if (sign(n, *ret_time_ns, wanted) < 0 || !cgm_secret_eq(nonce, wanted, CGM_NONCE_CHARS))
		return false;
	return *ret_time_ns + NONCE_NS > now_ns;
}

static struct used *slot_of(struct cgm_nonces *n, uint64_t time_ns)
{
	struct used *oldest = &n->used[0];

	for (size_t i = 0; i < NR_NONCES; i++) {
		if (n->used[i].time_ns == time_ns)
			return &n->used[i];
		if (n->used[i].time_ns < oldest->time_ns)
			oldest = &n->used[i];
	}
	if (time_ns <= n->forgotten_ns)
		return NULL;
	n->forgotten_ns = MAX(n->forgotten_ns, oldest->time_ns);
	*oldest = (struct used){ .time_ns = time_ns };
	return oldest;
}

/* Takes note of the count. False: it came before, or nobody can tell any more. */
static bool use(struct cgm_nonces *n, uint64_t time_ns, uint64_t count)
{
	struct used *u;
	bool ok = false;

	pthread_mutex_lock(&n->lock);
	u = slot_of(n, time_ns);
	if (u && count > u->count) {
		uint64_t by = count - u->count;

		u->seen = by < 64 ? u->seen << by | 1ULL << (by - 1) : by == 64 ? 1ULL << 63 : 0;
		u->count = count;
		ok = true;
	} else if (u && count && count < u->count && u->count - count <= 64) {
		uint64_t bit = 1ULL << (u->count - count - 1);

		ok = !(u->seen & bit);
		u->seen |= bit;
	}
	pthread_mutex_unlock(&n->lock);
	return ok;
}

/* ---- the check ---- */

struct params {
	char user[256], realm[256], nonce[128], cnonce[256], nc[16], qop[16], response[64], algorithm[16], opaque[64];
	uint64_t count;
};

static bool read_params(const char *text, struct params *p)
{
	if (cgm_auth_param(text, "username", p->user, sizeof(p->user)) < 0 || cgm_auth_param(text, "realm", p->realm, sizeof(p->realm)) < 0 ||
	    cgm_auth_param(text, "nonce", p->nonce, sizeof(p->nonce)) < 0 || cgm_auth_param(text, "cnonce", p->cnonce, sizeof(p->cnonce)) < 0 ||
	    cgm_auth_param(text, "nc", p->nc, sizeof(p->nc)) < 0 || cgm_auth_param(text, "qop", p->qop, sizeof(p->qop)) < 0 ||
	    cgm_auth_param(text, "response", p->response, sizeof(p->response)) < 0)
		return false;
	if (cgm_auth_param(text, "algorithm", p->algorithm, sizeof(p->algorithm)) == 0 && strcasecmp(p->algorithm, "MD5") != 0)
		return false;
	return strcmp(p->qop, "auth") == 0 && strlen(p->nc) == 8 && cgm_parse_hex(cgm_str(p->nc), &p->count) == 0 && p->count;
}

static int md5_hex(struct cgm_buf *text, char ret[MD5_HEX + 1])
{
	uint8_t md5[CGM_MD5_BYTES];

	if (text->failed || cgm_md5(text->p, text->len, md5) < 0)
		return -EIO;
	cgm_hex(md5, sizeof(md5), ret);
	text->len = 0;
	return 0;
}

static bool response_is_right(const struct params *p, const char *ha1, const char *method, const char *uri)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	char ha2[MD5_HEX + 1], wanted[MD5_HEX + 1];

	cgm_buf_printf(&text, "%s:%s", method, uri);
	if (md5_hex(&text, ha2) < 0)
		return false;
	cgm_buf_printf(&text, "%s:%s:%s:%s:%s:%s", ha1, p->nonce, p->nc, p->cnonce, p->qop, ha2);
	if (md5_hex(&text, wanted) < 0)
		return false;
	return strlen(p->response) == MD5_HEX && cgm_secret_eq(p->response, wanted, MD5_HEX);
}

enum cgm_digest_result cgm_digest_check(const struct cgm_users *users, struct cgm_nonces *n, const char *realm, const char *text,
					const char *method, const char *raw_uri, uint64_t now_ns)
{
	static const char nobody[] = "00000000000000000000000000000000";
	size_t size = strlen(raw_uri) + 1;
	_cleanup_free_ char *uri = cgm_malloc(size);
	const struct cgm_user *u;
	struct params p;
	uint64_t time_ns;
	bool right;

	if (!uri || !read_params(text, &p) || strcmp(p.realm, realm) != 0)
		return CGM_DIGEST_WRONG;
	/* One that is longer than the request's is another. */
	if (cgm_auth_param(text, "uri", uri, size) < 0 || strcmp(uri, raw_uri) != 0)
		return CGM_DIGEST_WRONG;
	u = cgm_users_find(users, p.user);
	right = response_is_right(&p, u ? u->secret : nobody, method, uri) && u;
	if (!right)
		return CGM_DIGEST_WRONG;
	return is_fresh(n, p.nonce, now_ns, &time_ns) && use(n, time_ns, p.count) ? CGM_DIGEST_RIGHT : CGM_DIGEST_STALE;
}
