// SPDX-License-Identifier: Apache-2.0
#include "base/uri.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/parse.h"

#define HIDDEN "xxx"
/* What a fault quotes of a text. */
#define QUOTE 60

struct fault {
	char *text;
	size_t size;
};

static int no_memory(struct fault *f)
{
	snprintf(f->text, f->size, "out of memory");
	return -ENOMEM;
}

#define INVALID(f, ...) (snprintf((f)->text, (f)->size, __VA_ARGS__), -EINVAL)

/* ---- environment ---- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Go's shell-like names of one character, which are variables that nobody has. */
static bool is_special(char c)
{
	return c && strchr("*#$@!?-0123456789", c);
}

/* The name behind a dollar sign, and how much is eaten with it. Bad syntax has an empty name and eats what is bad. */
static struct cgm_str name_behind(const char *s, size_t *ret_eaten)
{
	size_t len = 0;

	if (*s == '{') {
		const char *end = is_special(s[1]) && s[2] == '}' ? s + 2 : strchr(s, '}');

		*ret_eaten = !end ? 1 : (size_t)(end - s) + 1;
		return (struct cgm_str){ s + 1, end ? (size_t)(end - s) - 1 : 0 };
	}
	if (is_special(*s))
		len = 1;
	else
		while (is_word(s[len]))
			len++;
	*ret_eaten = len;
	return (struct cgm_str){ s, len };
}

/* NULL: out of memory. */
static char *expand(const char *s)
{
	struct cgm_buf b = { 0 };

	while (*s) {
		struct cgm_str name;
		size_t eaten;

		if (*s != '$' || !s[1]) {
			cgm_buf_char(&b, *s++);
			continue;
		}
		name = name_behind(s + 1, &eaten);
		if (name.len) {
			_cleanup_free_ char *key = cgm_strndup(name.p, name.len);
			const char *value = key ? getenv(key) : NULL;

			b.failed |= !key;
			cgm_buf_str(&b, value ? value : "");
		} else if (!eaten) {
			cgm_buf_char(&b, '$');
		}
		s += 1 + eaten;
	}
	cgm_buf_char(&b, '\0');
	if (b.failed)
		cgm_buf_done(&b);
	return b.p;
}

/* ---- decoding ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* plus: a plus sign is a space, as in options. -EINVAL: "%" without two digits, or a byte of zero. */
static int decode(struct cgm_str s, bool plus, char **ret)
{
	_cleanup_free_ char *to = cgm_malloc(s.len + 1);
	size_t len = 0;

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '%') {
			if (i + 2 >= s.len || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0)
				return -EINVAL;
			c = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
			i += 2;
			if (!c)
				return -EINVAL;
		} else if (plus && c == '+') {
			c = ' ';
		}
		to[len++] = c;
	}
	to[len] = '\0';
	*ret = TAKE_PTR(to);
	return 0;
}

/* what: by which a fault names it. */
static int decode_part(struct cgm_str s, const char *what, char **ret, struct fault *f)
{
	int r = decode(s, false, ret);

	if (r == -EINVAL)
		return INVALID(f, "%s: a percent sign without two hexadecimal digits behind it", what);
	return r < 0 ? no_memory(f) : 0;
}

/* ---- options ---- */

static int add_option(struct cgm_uri *u, struct cgm_str text, size_t *cap, struct fault *f)
{
	const char *equal = memchr(text.p, '=', text.len);
	size_t name_len = equal ? (size_t)(equal - text.p) : text.len;
	struct cgm_str value = equal ? (struct cgm_str){ equal + 1, text.len - name_len - 1 } : (struct cgm_str){ "", 0 };
	struct cgm_uri_option *o;
	int r;

	if (cgm_grow((void **)&u->options, cap, u->nr_options, sizeof(*u->options)) < 0)
		return no_memory(f);
	o = &u->options[u->nr_options++];
	*o = (struct cgm_uri_option){ 0 };
	r = decode((struct cgm_str){ text.p, name_len }, true, &o->name);
	if (r == 0)
		r = decode(value, true, &o->value);
	if (r == -ENOMEM)
		return no_memory(f);
	if (r < 0)
		return INVALID(f, "option %.*s: a percent sign without two hexadecimal digits behind it", (int)MIN(name_len, (size_t)QUOTE), text.p);
	if (!*o->name)
		return INVALID(f, "an option without a name");
	return 0;
}

static int read_options(struct cgm_uri *u, const char *text, struct fault *f)
{
	struct cgm_str rest = cgm_str(text), one;
	size_t cap = 0;

	while (cgm_next_field(&rest, '&', &one)) {
		int r = one.len ? add_option(u, one, &cap, f) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- scheme://user:password@host:port/path ---- */

static size_t scheme_length(const char *s)
{
	size_t len = 0;

	if (!isalpha((unsigned char)*s))
		return 0;
	while (isalnum((unsigned char)s[len]) || (s[len] && strchr("+-.", s[len])))
		len++;
	return strncmp(s + len, "://", 3) == 0 ? len : 0;
}

/* More than one address: their parts are the affair of who reads the rest. */
static bool is_list(const char *s)
{
	const char *path = strchr(s, '/'), *comma;

	if (*s == '/')
		return false;
	if (memchr(s, ',', path ? (size_t)(path - s) : strlen(s)))
		return true;
	for (comma = strchr(s, ','); comma; comma = strchr(comma + 1, ','))
		if (scheme_length(comma + 1))
			return true;
	return false;
}

static int read_port(struct cgm_uri *u, struct cgm_str text, struct fault *f)
{
	uint64_t port;

	if (!text.len)
		return 0;
	if (cgm_parse_u64(text, &port) < 0 || port == 0 || port > 65535)
		return INVALID(f, "port: %.*s is none", (int)MIN(text.len, (size_t)QUOTE), text.p);
	u->port = (unsigned)port;
	return 0;
}

static int read_host(struct cgm_uri *u, struct cgm_str text, struct fault *f)
{
	struct cgm_str host = text, port = { "", 0 };
	const char *end;
	int r;

	if (text.len && *text.p == '[') {
		end = memchr(text.p, ']', text.len);
		if (!end)
			return INVALID(f, "host: a [ without its ]");
		host = (struct cgm_str){ text.p + 1, (size_t)(end - text.p) - 1 };
		port = (struct cgm_str){ end + 1, text.len - host.len - 2 };
		if (port.len && *port.p != ':')
			return INVALID(f, "host: what follows its ] is no port");
	} else {
		end = memchr(text.p, ':', text.len);
		host.len = end ? (size_t)(end - text.p) : text.len;
		port = (struct cgm_str){ text.p + host.len, text.len - host.len };
		if (port.len && memchr(port.p + 1, ':', port.len - 1))
			return INVALID(f, "host: an IPv6 address must be put in [ ]");
	}
	if (port.len)
		port = (struct cgm_str){ port.p + 1, port.len - 1 };
	r = decode_part(host, "host", &u->host, f);
	return r < 0 ? r : read_port(u, port, f);
}

static int read_login(struct cgm_uri *u, struct cgm_str text, struct fault *f)
{
	const char *colon = memchr(text.p, ':', text.len);
	size_t len = colon ? (size_t)(colon - text.p) : text.len;
	int r = decode_part((struct cgm_str){ text.p, len }, "user", &u->user, f);

	if (r == 0 && colon)
		r = decode_part((struct cgm_str){ colon + 1, text.len - len - 1 }, "password", &u->password, f);
	return r;
}

static const char *last_at(struct cgm_str s)
{
	return s.len ? memrchr(s.p, '@', s.len) : NULL;
}

static int read_address(struct cgm_uri *u, struct fault *f)
{
	const char *s = u->rest, *at;
	size_t scheme = scheme_length(s);
	struct cgm_str authority;
	int r = decode_part((struct cgm_str){ s, scheme }, "scheme", &u->scheme, f);

	for (char *p = u->scheme; r == 0 && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	s += scheme ? scheme + 3 : strncmp(s, "//", 2) == 0 ? 2 : 0;
	authority = (struct cgm_str){ s, strcspn(s, "/") };
	if (r == 0)
		r = decode_part(cgm_str(s + authority.len), "path", &u->path, f);
	at = last_at(authority);
	if (r == 0 && at) {
		r = read_login(u, (struct cgm_str){ s, (size_t)(at - s) }, f);
		authority = (struct cgm_str){ at + 1, authority.len - (size_t)(at + 1 - s) };
	}
	return r < 0 ? r : read_host(u, authority, f);
}

/* ---- all of it ---- */

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return true;
	return false;
}

/* Manifests are written with quotes that no shell takes away: kubernetes.summary_api:'' */
static void unquote(char *s)
{
	size_t len = strlen(s);

	if (len < 2 || (*s != '\'' && *s != '"') || s[len - 1] != *s)
		return;
	memmove(s, s + 1, len - 2);
	s[len - 2] = '\0';
}

static int fill_missing(struct cgm_uri *u, struct fault *f)
{
	char **const texts[] = { &u->scheme, &u->user, &u->password, &u->host, &u->path };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!*texts[i])
			*texts[i] = cgm_strdup("");
		if (!*texts[i])
			return no_memory(f);
	}
	return 0;
}

static int read_behind(struct cgm_uri *u, const char *behind, struct fault *f)
{
	_cleanup_free_ char *all = expand(behind);
	const char *first;
	int r;

	if (!all)
		return no_memory(f);
	if (has_control(all))
		return INVALID(f, "%s: a line's end or another control character", u->prefix);
	first = all + strcspn(all, "?");
	u->rest = cgm_strndup(all, (size_t)(first - all));
	if (!u->rest)
		return no_memory(f);
	unquote(u->rest);
	r = is_list(u->rest + (scheme_length(u->rest) ? scheme_length(u->rest) + 3 : 0)) ? 0 : read_address(u, f);
	if (r == 0)
		r = fill_missing(u, f);
	return r == 0 && *first ? read_options(u, first + 1, f) : r;
}

static int read_all(struct cgm_uri *u, const char *text, struct fault *f)
{
	size_t len = strcspn(text, ":?");

	if (!len)
		return INVALID(f, *text ? "the kind before the first colon is missing" : "it is empty");
	u->text = cgm_strdup(text);
	u->prefix = cgm_strndup(text, len);
	if (!u->text || !u->prefix)
		return no_memory(f);
	if (has_control(u->prefix))
		return INVALID(f, "a line's end or another control character in its kind");
	return read_behind(u, text + len + (text[len] == ':'), f);
}

int cgm_uri_read(const char *text, struct cgm_uri *ret, char *fault, size_t fault_size)
{
	struct fault f = { fault, fault_size };
	struct cgm_uri u = { 0 };
	int r = read_all(&u, text, &f);

	if (r < 0)
		cgm_uri_done(&u);
	else
		*ret = u;
	return r;
}

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void cgm_uri_done(struct cgm_uri *u)
{
	for (size_t i = 0; i < u->nr_options; i++) {
		free(u->options[i].name);
		wipe(u->options[i].value);
	}
	free(u->options);
	wipe(u->text);
	wipe(u->rest);
	wipe(u->password);
	wipe(u->user);
	free(u->prefix);
	free(u->scheme);
	free(u->host);
	free(u->path);
	*u = (struct cgm_uri){ 0 };
}

/* ---- what is asked of it ---- */

const char *cgm_uri_option(struct cgm_uri *u, const char *name, size_t n)
{
	for (size_t i = 0; i < u->nr_options; i++)
		if (strcmp(u->options[i].name, name) == 0 && n-- == 0) {
			u->options[i].used = true;
			return u->options[i].value;
		}
	return NULL;
}

static bool refuse(const char *name, const char *value, const char *what, char *fault, size_t fault_size)
{
	snprintf(fault, fault_size, "option %s: \"%.*s\" is no %s", name, QUOTE, value, what);
	return false;
}

bool cgm_uri_bool(struct cgm_uri *u, const char *name, bool *ret, char *fault, size_t fault_size)
{
	const char *value = cgm_uri_option(u, name, 0);

	return !value || cgm_parse_bool(cgm_str(value), ret) == 0 || refuse(name, value, "true or false", fault, fault_size);
}

bool cgm_uri_number(struct cgm_uri *u, const char *name, unsigned long *ret, char *fault, size_t fault_size)
{
	const char *value = cgm_uri_option(u, name, 0);
	uint64_t v;

	if (!value)
		return true;
	if (cgm_parse_u64(cgm_str(value), &v) < 0)
		return refuse(name, value, "whole number", fault, fault_size);
	*ret = v;
	return true;
}

bool cgm_uri_duration_ns(struct cgm_uri *u, const char *name, unsigned long *ret, char *fault, size_t fault_size)
{
	const char *value = cgm_uri_option(u, name, 0);
	uint64_t v;

	if (!value)
		return true;
	if (cgm_parse_duration_ns(cgm_str(value), &v) < 0)
		return refuse(name, value, "duration (such as 10s, 1m30s)", fault, fault_size);
	*ret = v;
	return true;
}

const char *cgm_uri_unused(const struct cgm_uri *u)
{
	for (size_t i = 0; i < u->nr_options; i++)
		if (!u->options[i].used)
			return u->options[i].name;
	return NULL;
}

/* ---- for eyes ---- */

static bool is_secret(const char *name)
{
	static const char *const words[] = { "pw", "pass", "token", "secret", "key", "credential" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

/* One address and all that follows it up to the next "://"; who logs in keeps the name when there is a password. */
static void show_address(struct cgm_buf *b, const char **s)
{
	size_t len = strcspn(*s, "/");
	const char *at = last_at((struct cgm_str){ *s, len }), *next;

	if (at) {
		const char *colon = memchr(*s, ':', (size_t)(at - *s));

		if (colon)
			cgm_buf_put(b, *s, (size_t)(colon - *s) + 1);
		cgm_buf_lit(b, HIDDEN);
		len -= (size_t)(at - *s);
		*s = at;
	}
	next = strstr(*s, "://");
	len = next ? (size_t)(next - *s) + 3 : strlen(*s);
	cgm_buf_put(b, *s, len);
	*s += len;
}

static void show_encoded(struct cgm_buf *b, const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || strchr("%&+=#", *s))
			cgm_buf_printf(b, "%%%02X", (unsigned)(unsigned char)*s);
		else
			cgm_buf_char(b, *s);
}

char *cgm_uri_shown(const struct cgm_uri *u)
{
	struct cgm_buf b = { 0 };
	const char *s = u->rest;

	cgm_buf_str(&b, u->prefix);
	cgm_buf_char(&b, ':');
	if (scheme_length(s)) {
		cgm_buf_put(&b, s, scheme_length(s) + 3);
		s += scheme_length(s) + 3;
	}
	while (*s)
		show_address(&b, &s);
	for (size_t i = 0; i < u->nr_options; i++) {
		cgm_buf_char(&b, i ? '&' : '?');
		show_encoded(&b, u->options[i].name);
		cgm_buf_char(&b, '=');
		if (is_secret(u->options[i].name))
			cgm_buf_lit(&b, HIDDEN);
		else
			show_encoded(&b, u->options[i].value);
	}
	cgm_buf_char(&b, '\0');
	if (b.failed)
		cgm_buf_done(&b);
	return b.p;
}
