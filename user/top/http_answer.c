// SPDX-License-Identifier: Apache-2.0
#include "top/http_answer.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/parse.h"

/* ---- addresses ---- */

static int bad_url(const char **ret_fault, const char *fault)
{
	*ret_fault = fault;
	return -EINVAL;
}

static bool copy(char *to, size_t size, const char *p, size_t len)
{
	if (len >= size)
		return false;
	memcpy(to, p, len);
	to[len] = '\0';
	return true;
}

/* HOST, HOST:PORT, [IPV6] or [IPV6]:PORT */
static int parse_authority(const char *p, size_t len, struct cgm_url *u, const char **ret_fault)
{
	const char *end = p + len, *host = p, *host_end, *port;
	uint64_t number;

	if (memchr(p, '@', len))
		return bad_url(ret_fault, "a name and a password belong into a file (--basic_auth_file)");
	if (len && *p == '[') {
		host_end = memchr(++host, ']', len - 1);
		if (!host_end)
			return bad_url(ret_fault, "a bracket is not closed");
		port = host_end + 1;
	} else {
		host_end = memchr(p, ':', len);
		host_end = host_end ? host_end : end;
		port = host_end;
	}
	if (host == host_end || !copy(u->host, sizeof(u->host), host, (size_t)(host_end - host)))
		return bad_url(ret_fault, "no host, or too long a one");
	for (const char *c = u->host; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_:%", *c))
			return bad_url(ret_fault, "a character that no host has");
	if (port == end) {
		copy(u->port, sizeof(u->port), "80", 2);
		return 0;
	}
	if (*port++ != ':' || cgm_parse_u64((struct cgm_str){port, (size_t)(end - port)}, &number) < 0 || !number || number > 65535)
		return bad_url(ret_fault, "a port is a number from 1 to 65535");
	snprintf(u->port, sizeof(u->port), "%u", (unsigned)number);
	return 0;
}

int cgm_url_parse(const char *text, struct cgm_url *ret, const char **ret_fault)
{
	static const char scheme[] = "http://";
	struct cgm_url u = {0};
	const char *path;
	size_t len;
	int r;

	if (strncasecmp(text, "https://", 8) == 0)
		return bad_url(ret_fault, "https is not spoken here: ask over http on the machine itself, or through a tunnel (ssh -L)");
	if (strncasecmp(text, scheme, sizeof(scheme) - 1) != 0)
		return bad_url(ret_fault, "an address begins with http://");
	text += sizeof(scheme) - 1;
	len = strcspn(text, "/?#");
	r = parse_authority(text, len, &u, ret_fault);
	if (r < 0)
		return r;
	path = text + len;
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c <= 32 || (unsigned char)*c >= 127 || *c == '?' || *c == '#')
			return bad_url(ret_fault, "a path has no blanks, no \"?\" and no \"#\"");
	for (len = strlen(path); len && path[len - 1] == '/';)
		len--;
	if (!copy(u.prefix, sizeof(u.prefix), path, len))
		return bad_url(ret_fault, "too long a path");
	u.is_loopback = strcasecmp(u.host, "localhost") == 0 || strncmp(u.host, "127.", 4) == 0 || strcmp(u.host, "::1") == 0;
	*ret = u;
	return 0;
}

void cgm_url_encode(struct cgm_buf *b, const char *path)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c < 128 && (isalnum(c) || strchr("/-._~", c)))
			cgm_buf_char(b, (char)c);
		else
			cgm_buf_put(b, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
	}
}

/* ---- answers ---- */

struct head {
	unsigned status;
	bool chunked, has_length;
	uint64_t length;
	size_t bytes; /* up to the body */
};

static int bad(const char **ret_fault, const char *fault)
{
	*ret_fault = fault;
	return -EBADMSG;
}

static bool same_word(struct cgm_str s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.p, word, s.len) == 0;
}

static int parse_status(struct cgm_str line, struct head *h, const char **ret_fault)
{
	uint64_t status;

	if (line.len < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)line.p[7]) || line.p[8] != ' ' ||
		cgm_parse_u64((struct cgm_str){line.p + 9, 3}, &status) < 0 || status < 100 || (line.len > 12 && line.p[12] != ' '))
		return bad(ret_fault, "what answers there does not speak HTTP (or only TLS)");
	h->status = (unsigned)status;
	return 0;
}

static int parse_field(struct cgm_str line, struct head *h, const char **ret_fault)
{
	struct cgm_str name, value;
	uint64_t length;

	if (!memchr(line.p, ':', line.len) || line.p[0] == ' ' || line.p[0] == '\t')
		return bad(ret_fault, "a bad header in the answer");
	cgm_next_field(&line, ':', &name);
	value = cgm_trim(line);
	if (same_word(name, "Content-Length")) {
		if (cgm_parse_u64(value, &length) < 0 || (h->has_length && length != h->length))
			return bad(ret_fault, "a bad Content-Length in the answer");
		h->length = length;
		h->has_length = true;
	} else if (same_word(name, "Transfer-Encoding")) {
		if (h->chunked || !same_word(value, "chunked"))
			return bad(ret_fault, "a Transfer-Encoding that is not taken");
		h->chunked = true;
	} else if (same_word(name, "Content-Encoding") && !same_word(value, "identity")) {
		return bad(ret_fault, "a Content-Encoding that was not asked for");
	}
	return 0;
}

/* 1: whole; 0: more must come. Lines end with CR LF. */
static int parse_head(struct cgm_str text, struct head *h, const char **ret_fault)
{
	const char *end = text.len ? memmem(text.p, MIN(text.len, (size_t)CGM_MAX_HEAD_BYTES), "\r\n\r\n", 4) : NULL;
	struct cgm_str line;
	bool first = true;
	int r = 0;

	if (!end) {
		/* Whoever does not begin as an answer does, will not. */
		if (text.len >= CGM_MAX_HEAD_BYTES || (text.len && memcmp(text.p, "HTTP/1.", MIN(text.len, 7UL)) != 0))
			return bad(ret_fault, "what answers there does not speak HTTP (or only TLS)");
		return 0;
	}
	h->bytes = (size_t)(end - text.p) + 4;
	text.len = h->bytes - 2;
	while (r == 0 && cgm_next_line(&text, &line)) {
		if (!line.len || line.p[line.len - 1] != '\r')
			return bad(ret_fault, "a bad line in the head of the answer");
		line.len--;
		r = first ? parse_status(line, h, ret_fault) : parse_field(line, h, ret_fault);
		first = false;
	}
	if (r == 0 && h->chunked && h->has_length)
		return bad(ret_fault, "an answer with two lengths");
	return r < 0 ? r : 1;
}

/* A line of a chunk: "1f" or "1f;name=value". Returns its bytes with CR LF, 0: more must come. */
static ssize_t chunk_line(const char *p, size_t len, uint64_t *ret_size, const char **ret_fault)
{
	const char *end = memchr(p, '\n', MIN(len, 256UL));
	size_t digits = 0;

	if (!end)
		return len < 256 ? 0 : bad(ret_fault, "too long a line of a chunk");
	while (p + digits < end && isxdigit((unsigned char)p[digits]))
		digits++;
	if (!digits || digits > 8 || cgm_parse_hex((struct cgm_str){p, digits}, ret_size) < 0 || end[-1] != '\r' ||
		(p[digits] != '\r' && p[digits] != ';'))
		return bad(ret_fault, "a bad line of a chunk");
	return end - p + 1;
}

/* Walks over the chunks at p. 1: whole, *ret_len bytes without the lines; with to: they are put together there. 0: more must come. */
static int walk_chunks(const char *p, size_t len, char *to, size_t *ret_len, const char **ret_fault)
{
	size_t at = 0, sum = 0;

	for (;;) {
		uint64_t size;
		ssize_t n = chunk_line(p + at, len - at, &size, ret_fault);

		if (n <= 0)
			return (int)n;
		at += (size_t)n;
		if (size > CGM_MAX_ANSWER_BYTES)
			return bad(ret_fault, "too large an answer");
		if (len - at < size + 2)
			return 0;
		if (memcmp(p + at + size, "\r\n", 2) != 0)
			return bad(ret_fault, size ? "a chunk of another length than it says" : "lines behind the last chunk");
		if (to)
			memmove(to + sum, p + at, size);
		at += size + 2;
		sum += size;
		if (!size)
			break;
	}
	*ret_len = sum;
	return 1;
}

static int finish_chunked(struct cgm_buf *in, const struct head *h, bool at_end, struct cgm_answer *ret, const char **ret_fault)
{
	char *body = in->p + h->bytes;
	size_t raw = in->len - h->bytes, len;
	int r = walk_chunks(body, raw, NULL, &len, ret_fault);

	if (r == 0 && at_end)
		return bad(ret_fault, "the answer was cut short");
	if (r <= 0)
		return r;
	walk_chunks(body, raw, body, &len, ret_fault);
	*ret = (struct cgm_answer){h->status, body, len};
	return 1;
}

int cgm_answer_parse(struct cgm_buf *in, bool at_end, struct cgm_answer *ret, const char **ret_fault)
{
	struct head h = {0};
	int r = parse_head((struct cgm_str){in->p, in->len}, &h, ret_fault);
	size_t body;

	if (r == 0 && at_end)
		return bad(ret_fault, in->len ? "the answer was cut short" : "the connection was closed without an answer");
	if (r <= 0)
		return r;
	body = in->len - h.bytes;
	if (h.chunked)
		return finish_chunked(in, &h, at_end, ret, ret_fault);
	if (h.has_length && h.length > CGM_MAX_ANSWER_BYTES)
		return bad(ret_fault, "too large an answer");
	if (h.has_length ? body < h.length : !at_end)
		return at_end ? bad(ret_fault, "the answer was cut short") : 0;
	*ret = (struct cgm_answer){h.status, in->p + h.bytes, h.has_length ? (size_t)h.length : body};
	return 1;
}
