/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between a stranger and an answer: files of passwords and digests, Authorization headers, configuration files, names of cgroups.
 * The first byte chooses: p htpasswd, d htdigest, a header, c configuration, f a filter's list and a name, a line each.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/filter.h"
#include "node/options_table.h"
#include "output/auth_digest.h"
#include "output/auth_header.h"
#include "output/htpasswd.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static char *text_of(const uint8_t *data, size_t size)
{
	char *p = malloc(size + 1);

	check(p != NULL);
	memcpy(p, data, size);
	p[size] = '\0';
	return p;
}

static unsigned count_lines(const char *text, size_t len)
{
	unsigned nr = 1;

	for (size_t i = 0; i < len; i++)
		nr += text[i] == '\n';
	return nr;
}

/* A file that is taken has a user and no hash that takes long; a fault names itself and a line that is there. */
static void try_htpasswd(const char *text, size_t len)
{
	struct cgm_users *h = NULL;
	const char *fault;
	unsigned line;
	int r = cgm_htpasswd_parse(text, len, &h, &line, &fault);

	check(r == 0 || r == -EINVAL);
	check(!h == (r < 0) && !fault == (r == 0));
	check(line <= count_lines(text, len));
	cgm_users_unref(h);
}

static void try_htdigest(const char *text, size_t len)
{
	struct cgm_users *h = NULL;
	const char *fault;
	unsigned line;
	int r = cgm_htdigest_parse(text, len, "localhost", &h, &line, &fault);

	check(r == 0 || r == -EINVAL);
	check(!h == (r < 0) && !fault == (r == 0));
	check(line <= count_lines(text, len));
	cgm_users_unref(h);
}

static void try_params(const char *text)
{
	static const char *const names[] = { "username", "realm", "nonce", "uri", "response" };
	char buf[32];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int r;

		memset(buf, 'x', sizeof(buf));
		r = cgm_auth_param(text, names[i], buf, sizeof(buf));
		check(r == 0 || r == -ENOENT || r == -EINVAL);
		check(r < 0 || memchr(buf, '\0', sizeof(buf)));
	}
}

static void try_header(const char *header)
{
	static struct cgm_nonces *nonces;
	static const char users[] = "zoe:localhost:f9fcf379ac69bf16439234202e57229e";
	const char *rest, *user, *password, *fault;
	struct cgm_users *h = NULL;
	char buf[64];
	unsigned line;

	if (!nonces)
		nonces = cgm_nonces_new();
	check(nonces && cgm_htdigest_parse(users, sizeof(users) - 1, "localhost", &h, &line, &fault) == 0);
	cgm_auth_scheme(header, &rest);
	check(rest >= header || !*rest);
	if (cgm_auth_basic(rest, buf, sizeof(buf), &user, &password) == 0)
		check(user == buf && password > user && password + strlen(password) < buf + sizeof(buf));
	try_params(rest);
	/* Nobody guesses a nonce and its answer. */
	check(cgm_digest_check(h, nonces, "localhost", rest, "GET", "/", 1) != CGM_DIGEST_RIGHT);
	if (cgm_auth_quote(rest, buf, sizeof(buf)))
		check(buf[0] == '"' && strlen(buf) >= 2 && buf[strlen(buf) - 1] == '"');
	cgm_users_unref(h);
}

struct config {
	const char *text;
	size_t len;
	unsigned line;
};

static int on_config(void *arg, unsigned line, struct cgm_str name, const char *value)
{
	struct config *c = arg;

	check(line > c->line);
	c->line = line;
	check(name.len && name.p >= c->text && name.p + name.len <= c->text + c->len);
	check(value > name.p && value + strlen(value) <= c->text + c->len);
	return name.p[0] == '!' ? -ENOENT : 0;
}

static void try_config(char *text, size_t len)
{
	struct config c = { text, len, 0 };
	unsigned line, nr = count_lines(text, len);
	const char *fault;
	int r = cgm_config_each(text, len, on_config, &c, &line, &fault);

	check(r == 0 || (r == -EINVAL && fault) || (r == -ENOENT && !fault));
	check(r == 0 || line <= nr);
}

static void try_filter(char *text)
{
	char *name = strchr(text, '\n');
	struct cgm_filter f = { true, text };

	if (!name)
		return;
	*name++ = '\0';
	check(!cgm_is_runtime_container(name) || cgm_filter_shows(&f, name));
	check(cgm_filter_shows(&f, "/"));
	f = (struct cgm_filter){ false, "" };
	check(cgm_filter_shows(&f, name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = text_of(data + 1, size - 1);
	switch (data[0]) {
	case 'p':
		try_htpasswd(text, size - 1);
		break;
	case 'd':
		try_htdigest(text, size - 1);
		break;
	case 'a':
		try_header(text);
		break;
	case 'c':
		try_config(text, size - 1);
		break;
	default:
		try_filter(text);
	}
	free(text);
	return 0;
}
