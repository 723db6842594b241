// SPDX-License-Identifier: Apache-2.0
#include "output/htpasswd.h"

#include <crypt.h>
#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/parse.h"
#include "output/secret.h"

#define MAX_BCRYPT_COST 16 /* some seconds */
#define MAX_ROUNDS 1000000 /* of crypt's SHA: a second */
#define MAX_SALT 16

/* ---- the file ---- */

static bool starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool is_bcrypt(const char *hash)
{
	return hash[0] == '$' && hash[1] == '2' && hash[2] && strchr("aby", hash[2]) && hash[3] == '$';
}

static const char *bcrypt_fault(const char *hash)
{
	uint64_t cost;

	if (strlen(hash) != 60 || hash[6] != '$' || cgm_parse_u64((struct cgm_str){ hash + 4, 2 }, &cost) < 0)
		return "the bcrypt hash is damaged";
	return cost < 4 || cost > MAX_BCRYPT_COST ? "the cost of the bcrypt hash must be from 4 to 16" : NULL;
}

/* "$5$rounds=5000$salt$hash", the rounds may be left out. */
static const char *sha_crypt_fault(const char *hash)
{
	const char *rounds = hash + 3, *end;
	uint64_t nr;

	if (starts(rounds, "rounds=")) {
		end = strchr(rounds, '$');
		if (!end || cgm_parse_u64((struct cgm_str){ rounds + 7, (size_t)(end - rounds) - 7 }, &nr) < 0)
			return "the hash is damaged";
		if (nr > MAX_ROUNDS)
			return "the hash has more than 1000000 rounds";
		rounds = end + 1;
	}
	end = strchr(rounds, '$');
	return end && strlen(end + 1) == (hash[1] == '5' ? 43 : 86) ? NULL : "the hash is damaged";
}

/* "$1$salt$hash" and "$apr1$salt$hash", from the salt on. */
static const char *md5_crypt_fault(const char *salt)
{
	const char *end = strchr(salt, '$');

	return end && strlen(end + 1) == 22 ? NULL : "the hash is damaged";
}

static const char *hash_fault(const char *hash)
{
	uint8_t sha[CGM_SHA1_BYTES];

	if (is_bcrypt(hash))
		return bcrypt_fault(hash);
	if (starts(hash, "$apr1$"))
		return md5_crypt_fault(hash + 6);
	if (starts(hash, "$1$"))
		return md5_crypt_fault(hash + 3);
	if (starts(hash, "{SHA}"))
		return cgm_unbase64(hash + 5, strlen(hash + 5), sha, sizeof(sha)) == sizeof(sha) ? NULL : "the SHA-1 hash is damaged";
	if (starts(hash, "$5$") || starts(hash, "$6$"))
		return sha_crypt_fault(hash);
	return "the hash is of no kind that is taken (bcrypt, apr1, {SHA}, $1$, $5$, $6$)";
}

static int on_line(const void *arg, char *line, struct cgm_user *ret, const char **ret_fault)
{
	char *colon = strchr(line, ':');

	(void)arg;
	if (!colon || colon == line) {
		*ret_fault = "it is not user:hash";
		return -EINVAL;
	}
	*colon = '\0';
	*ret_fault = hash_fault(colon + 1);
	*ret = (struct cgm_user){ line, colon + 1 };
	return *ret_fault ? -EINVAL : 1;
}

int cgm_htpasswd_parse(const char *text, size_t len, struct cgm_users **ret, unsigned *ret_line, const char **ret_fault)
{
	return cgm_users_parse(text, len, on_line, NULL, "there is no user in it", ret, ret_line, ret_fault);
}

/* ---- hashes ---- */

/* Bytes to be hashed together; the longest is the first text of apr1: twice the password, salt, a digest, and a bit for each of 8. */
struct mix {
	size_t len;
	uint8_t p[3 * CGM_MAX_PASSWORD + MAX_SALT + 64];
};

static void add(struct mix *m, const void *p, size_t len)
{
	memcpy(m->p + m->len, p, len);
	m->len += len;
}

static int finish(struct mix *m, uint8_t ret[CGM_MD5_BYTES])
{
	int r = cgm_md5(m->p, m->len, ret);

	m->len = 0;
	return r;
}

static void put64(char **to, uint32_t v, unsigned nr)
{
	static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (; nr; nr--, v >>= 6)
		*(*to)++ = digits[v & 63];
}

/* Apache's variant of MD5 crypt: the same but for its name in the first text. ret: 22 characters and a zero. */
static int apr1(const char *password, const char *salt, size_t salt_len, char *ret)
{
	static const uint8_t order[5][3] = { { 0, 6, 12 }, { 1, 7, 13 }, { 2, 8, 14 }, { 3, 9, 15 }, { 4, 10, 5 } };
	size_t len = strlen(password);
	struct mix m = { 0 };
	uint8_t d[CGM_MD5_BYTES];
	int r;

	add(&m, password, len);
	add(&m, salt, salt_len);
	add(&m, password, len);
	r = finish(&m, d);
	add(&m, password, len);
	add(&m, "$apr1$", 6);
	add(&m, salt, salt_len);
	for (size_t left = len; left; left -= MIN(left, sizeof(d)))
		add(&m, d, MIN(left, sizeof(d)));
	for (size_t bits = len; bits; bits >>= 1)
		add(&m, bits & 1 ? "" : password, 1);
	r = r ? r : finish(&m, d);
	for (unsigned i = 0; r == 0 && i < 1000; i++) {
		add(&m, i & 1 ? (const void *)password : d, i & 1 ? len : sizeof(d));
		if (i % 3)
			add(&m, salt, salt_len);
		if (i % 7)
			add(&m, password, len);
		add(&m, i & 1 ? (const void *)d : password, i & 1 ? sizeof(d) : len);
		r = finish(&m, d);
	}
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		put64(&ret, (uint32_t)d[order[i][0]] << 16 | (uint32_t)d[order[i][1]] << 8 | d[order[i][2]], 4);
	put64(&ret, d[11], 2);
	*ret = '\0';
	cgm_secret_wipe(&m, sizeof(m));
	return r;
}

static int verify_apr1(const char *hash, const char *password)
{
	const char *salt = hash + strlen("$apr1$"), *end = strchr(salt, '$');
	char made[23];
	int r = apr1(password, salt, MIN((size_t)(end - salt), (size_t)8), made);

	return r < 0 ? r : cgm_secret_eq(made, end + 1, 22);
}

static int verify_sha(const char *hash, const char *password)
{
	uint8_t made[CGM_SHA1_BYTES], wanted[CGM_SHA1_BYTES] = { 0 };

	if (cgm_sha1(password, strlen(password), made) < 0)
		return -EIO;
	cgm_unbase64(hash + strlen("{SHA}"), strlen(hash) - strlen("{SHA}"), wanted, sizeof(wanted));
	return cgm_secret_eq(made, wanted, sizeof(made));
}

static int verify_crypt(const char *hash, const char *password)
{
	struct crypt_data *data = cgm_calloc(1, sizeof(*data));
	const char *made;
	size_t len = strlen(hash);
	int r;

	if (!data)
		return -ENOMEM;
	made = crypt_r(password, hash, data);
	r = !made || made[0] == '*' ? -EIO : strlen(made) == len && cgm_secret_eq(made, hash, len);
	cgm_secret_wipe(data, sizeof(*data));
	free(data);
	return r;
}

int cgm_htpasswd_verify(const struct cgm_users *users, const char *user, const char *password)
{
	const struct cgm_user *u = cgm_users_find(users, user);
	const char *hash = u ? u->secret : users->users[0].secret; /* the same work, so that nobody can ask who is there */
	int r;

	if (strlen(password) > CGM_MAX_PASSWORD)
		return 0;
	if (starts(hash, "$apr1$"))
		r = verify_apr1(hash, password);
	else if (starts(hash, "{SHA}"))
		r = verify_sha(hash, password);
	else
		r = verify_crypt(hash, password);
	return r > 0 && !u ? 0 : r;
}
