// SPDX-License-Identifier: Apache-2.0
#include "sink/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "sink/driver.h"

#define MAX_HEADERS_BYTES (64 * 1024)

int cgm_secret_get(const struct cgm_secret *s, char buf[CGM_SECRET_BYTES], char *fault)
{
	struct cgm_str text;
	ssize_t n;

	if (!*s->file) {
		snprintf(buf, CGM_SECRET_BYTES, "%s", s->value);
		return 0;
	}
	n = cgm_read_at(AT_FDCWD, s->file, buf, CGM_SECRET_BYTES);
	if (n < 0) {
		snprintf(fault, CGM_SINK_FAULT, "cannot read %.150s: %s", s->file, n == -EFBIG ? "too large for a secret" : strerror((int)-n));
		return (int)n;
	}
	text = (struct cgm_str){ buf, (size_t)n };
	while (text.len && (text.p[text.len - 1] == '\n' || text.p[text.len - 1] == '\r'))
		text.len--;
	buf[text.len] = '\0';
	if (!text.len || strlen(buf) != text.len || strpbrk(buf, "\r\n")) {
		snprintf(fault, CGM_SINK_FAULT, "%.150s holds no secret: one line is wanted", s->file);
		return -EINVAL;
	}
	return 0;
}

/* Where the host ends and the port (may be NULL) begins. */
static int find_port(const char *text, size_t *ret_skip, size_t *ret_len, const char **ret_port)
{
	const char *end = *text == '[' ? strchr(text, ']') : strrchr(text, ':');

	*ret_skip = *text == '[';
	*ret_port = NULL;
	if (*text == '[') {
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		*ret_port = end[1] ? end + 2 : NULL;
		*ret_len = (size_t)(end - text) - 1;
	} else if (end && strchr(text, ':') == end) {
		*ret_port = end + 1;
		*ret_len = (size_t)(end - text);
	} else {
		*ret_len = strlen(text); /* several colons: an IPv6 address without brackets */
	}
	return 0;
}

int cgm_split_host(const char *text, uint16_t default_port, char host[CGM_HOST_BYTES], uint16_t *ret_port)
{
	uint64_t number = default_port;
	const char *port;
	size_t skip, len;

	if (find_port(text, &skip, &len, &port) < 0 || !len || len >= CGM_HOST_BYTES)
		return -EINVAL;
	if (port && (cgm_parse_u64(cgm_str(port), &number) < 0 || !number || number > 65535))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)text[skip + i]) || text[skip + i] == '/')
			return -EINVAL;
	memcpy(host, text + skip, len);
	host[len] = '\0';
	*ret_port = (uint16_t)number;
	return 0;
}

void cgm_url_escape(struct cgm_buf *b, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (isalnum(*p) || strchr("-._~", *p)) {
			cgm_buf_char(b, (char)*p);
			continue;
		}
		cgm_buf_char(b, '%');
		cgm_buf_char(b, hex[*p >> 4]);
		cgm_buf_char(b, hex[*p & 15]);
	}
}

/* Where its host and port stand. False: it is no URL. */
static bool find_authority(const char *url, const char **ret, size_t *ret_len)
{
	const char *p = strstr(url, "://"), *at;
	size_t len;

	if (!p)
		return false;
	p += 3;
	len = strcspn(p, "/?#");
	at = memrchr(p, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - p);
		p = at + 1;
	}
	*ret = p;
	*ret_len = len;
	return len > 0;
}

void cgm_url_shown(struct cgm_buf *b, const char *url)
{
	const char *p;
	size_t len;

	if (!find_authority(url, &p, &len))
		return;
	cgm_buf_put(b, url, (size_t)(strstr(url, "://") + 3 - url));
	cgm_buf_put(b, p, len);
}

int cgm_url_base(struct cgm_buf *b, const char *text, bool secure)
{
	size_t len = strlen(text), start = b->len;
	const char *p;

	while (len && text[len - 1] == '/')
		len--;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)text[i]) || strchr("\"<>\\^`{|}", text[i]))
			return -EINVAL;
	if (!strstr(text, "://"))
		cgm_buf_str(b, secure ? "https://" : "http://");
	else if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return -EINVAL;
	cgm_buf_put(b, text, len);
	cgm_buf_char(b, '\0');
	if (b->failed)
		return -ENOMEM;
	if (!find_authority(b->p + start, &p, &len))
		return -EINVAL;
	b->len--;
	return 0;
}

/* A header as RFC 9110 has it: a token, a colon, visible characters and blanks. */
static bool is_header(const char *line)
{
	size_t len = strspn(line, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	if (!len || line[len] != ':')
		return false;
	for (const unsigned char *p = (const unsigned char *)line + len + 1; *p; p++)
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
	return true;
}

int cgm_headers_each(const char *file, int (*each)(void *arg, const char *header), void *arg, char *fault)
{
	_cleanup_free_ char *text = NULL;
	struct cgm_str rest, line;
	size_t len;
	int r = cgm_read_all_at(AT_FDCWD, file, MAX_HEADERS_BYTES, &text, &len);

	if (r < 0) {
		snprintf(fault, CGM_SINK_FAULT, "cannot read %.150s: %s", file, strerror(-r));
		return r;
	}
	rest = (struct cgm_str){ text, len };
	for (unsigned number = 1; cgm_next_line(&rest, &line); number++) {
		char *p;

		line = cgm_trim(line);
		if (!line.len || *line.p == '#')
			continue;
		p = text + (line.p - text);
		p[line.len] = '\0'; /* where a newline, a blank or the zero behind the file stood */
		if (strlen(p) != line.len || !is_header(p)) {
			snprintf(fault, CGM_SINK_FAULT, "%.150s, line %u: \"Name: value\" is wanted", file, number);
			return -EINVAL;
		}
		r = each ? each(arg, p) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}
