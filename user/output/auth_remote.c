// SPDX-License-Identifier: Apache-2.0
#include "output/auth_remote.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/parse.h"
#include "output/json.h"
#include "output/request.h"

#define MAX_GROUPS 256
#define MAX_EXTRAS 64

static bool is_given(const char *s)
{
	return s && *s;
}

bool cgm_auth_is_listed(const char *name, const char *list)
{
	struct cgm_str rest = cgm_str(list), one;

	while (cgm_next_field(&rest, ',', &one))
		if (cgm_str_eq(cgm_trim(one), name))
			return true;
	return false;
}

/* Has the client a certificate of the proxies' authorities, and one of their names? 1, 0 or a negative errno. */
static int is_proxy(const struct cgm_remote_config *c, const struct cgm_request *rq)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	_cleanup_(cgm_kube_user_done) struct cgm_kube_user proxy = { 0 };
	int r;

	if (!info || !rq->http->tls || !cgm_tls_is_proxy(rq->http->tls, info->tls_session))
		return 0;
	if (!is_given(c->allowed_names))
		return 1;
	r = cgm_tls_user(info->tls_session, &proxy);
	return r <= 0 ? r : cgm_auth_is_listed(proxy.name, c->allowed_names);
}

/* ---- the headers ---- */

struct extra {
	char *key; /* decoded, lower case; NULL: told already */
	const char *value;
};

struct gathered {
	const struct cgm_remote_config *config;
	struct cgm_kube_user user;
	struct extra extras[MAX_EXTRAS];
	size_t nr_extras;
	int error;
};

static void gathered_done(struct gathered *g)
{
	for (size_t i = 0; i < g->nr_extras; i++)
		free(g->extras[i].key);
	cgm_kube_user_done(&g->user);
}

static const char *or_default(const char *s, const char *otherwise)
{
	return is_given(s) ? s : otherwise;
}

static bool is_header(struct cgm_str header, const char *name)
{
	header = cgm_trim(header);
	return header.len && strlen(name) == header.len && strncasecmp(header.p, name, header.len) == 0;
}

static bool is_header_of(const char *list, const char *name)
{
	struct cgm_str rest = cgm_str(list), one;

	while (cgm_next_field(&rest, ',', &one))
		if (is_header(one, name))
			return true;
	return false;
}

/* What stands behind one of the prefixes; NULL: none fits. */
static const char *behind_prefix(const char *list, const char *name)
{
	struct cgm_str rest = cgm_str(list), one;

	while (cgm_next_field(&rest, ',', &one)) {
		one = cgm_trim(one);
		if (one.len && strlen(name) > one.len && strncasecmp(one.p, name, one.len) == 0)
			return name + one.len;
	}
	return NULL;
}

static int hex(char c)
{
	c = (char)tolower((unsigned char)c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In lower case, since a header's name has none of its own, and percent-decoded: "example.org%2fx". */
static char *read_key(const char *text)
{
	char *key = cgm_strdup(text), *to = key;

	for (const char *p = text; key && *p; p++) {
		int high = *p == '%' ? hex(p[1]) : -1, low = high < 0 ? -1 : hex(p[2]);

		if (low >= 0 && high * 16 + low) {
			*to++ = (char)(high * 16 + low);
			p += 2;
		} else {
			*to++ = (char)tolower((unsigned char)*p);
		}
	}
	if (key)
		*to = '\0';
	return key;
}

static int add_group(struct cgm_kube_user *u, const char *value)
{
	if (u->nr_groups == MAX_GROUPS)
		return -EINVAL; /* he would lack some */
	if (!u->groups)
		u->groups = cgm_calloc(MAX_GROUPS + 1, sizeof(*u->groups));
	if (!u->groups)
		return -ENOMEM;
	u->groups[u->nr_groups] = cgm_strdup(value);
	if (!u->groups[u->nr_groups])
		return -ENOMEM;
	u->nr_groups++;
	return 0;
}

static int add_extra(struct gathered *g, const char *key, const char *value)
{
	if (g->nr_extras == MAX_EXTRAS)
		return -EINVAL;
	g->extras[g->nr_extras].key = read_key(key);
	g->extras[g->nr_extras].value = value;
	if (!g->extras[g->nr_extras].key)
		return -ENOMEM;
	g->nr_extras++;
	return 0;
}

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct gathered *g = cls;
	const char *key = behind_prefix(or_default(g->config->extra_prefixes, "X-Remote-Extra-"), name);

	(void)kind;
	if (!is_given(value))
		return MHD_YES;
	if (is_header_of(or_default(g->config->group_headers, "X-Remote-Group"), name))
		g->error = add_group(&g->user, value);
	else if (key)
		g->error = add_extra(g, key, value);
	return g->error ? MHD_NO : MHD_YES;
}

/* {"key":["value",…],…} */
static int join_extras(struct gathered *g)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	if (!g->nr_extras)
		return 0;
	for (size_t i = 0; i < g->nr_extras; i++) {
		bool first = true;

		if (!g->extras[i].key)
			continue;
		cgm_buf_char(&b, b.len ? ',' : '{');
		cgm_json_string(&b, g->extras[i].key);
		cgm_buf_lit(&b, ":[");
		for (size_t j = i; j < g->nr_extras; j++) {
			if (!g->extras[j].key || strcmp(g->extras[j].key, g->extras[i].key) != 0)
				continue;
			cgm_buf_str(&b, first ? "" : ",");
			cgm_json_string(&b, g->extras[j].value);
			first = false;
			if (j == i)
				continue;
			free(g->extras[j].key);
			g->extras[j].key = NULL;
		}
		cgm_buf_char(&b, ']');
	}
	cgm_buf_lit(&b, "}");
	cgm_buf_char(&b, '\0');
	if (b.failed)
		return -ENOMEM;
	g->user.extra = TAKE_PTR(b.p);
	return 0;
}

/* The first of the headers that may name him. */
static const char *find_user(const struct cgm_remote_config *c, const struct cgm_request *rq)
{
	struct cgm_str rest = cgm_str(or_default(c->user_headers, "X-Remote-User")), one;
	char name[128];

	while (cgm_next_field(&rest, ',', &one)) {
		const char *value;

		one = cgm_trim(one);
		if (!one.len || one.len >= sizeof(name))
			continue;
		memcpy(name, one.p, one.len);
		name[one.len] = '\0';
		value = cgm_request_header(rq, name);
		if (is_given(value))
			return value;
	}
	return NULL;
}

int cgm_auth_remote(const struct cgm_remote_config *c, struct cgm_request *rq, struct cgm_kube_user *ret)
{
	_cleanup_(gathered_done) struct gathered g = { .config = c };
	const char *name = is_given(c->ca_file) ? find_user(c, rq) : NULL;
	int r = name ? is_proxy(c, rq) : 0;

	if (r <= 0)
		return r;
	g.user.name = cgm_strdup(name);
	if (!g.user.name)
		return -ENOMEM;
	MHD_get_connection_values(rq->connection, MHD_HEADER_KIND, add_header, &g);
	r = g.error ? g.error : join_extras(&g);
	if (r < 0)
		return r;
	*ret = g.user;
	g.user = (struct cgm_kube_user){ 0 };
	return 1;
}
