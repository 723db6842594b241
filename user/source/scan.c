// SPDX-License-Identifier: Apache-2.0
#include "source/scan.h"

#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "source/decode.h"

#define FIRST_NS (946684800 * CGM_NSEC_PER_SEC) /* 2000-01-01 */
#define LAST_NS (4102444800 * CGM_NSEC_PER_SEC) /* 2100-01-01 */

void cgm_scan_init(struct cgm_scan *s, const char *text, size_t len, uint64_t *nr_bad)
{
	*s = (struct cgm_scan){ .begin = text, .p = text, .end = text + len, .nr_bad = nr_bad };
}

void cgm_scan_fail(struct cgm_scan *s, const char *why)
{
	if (!s->why) {
		s->why = why;
		s->why_at = (size_t)(s->p - s->begin);
	}
	s->p = s->end;
}

static bool fail(struct cgm_scan *s, const char *why)
{
	cgm_scan_fail(s, s->p == s->end ? "it is cut short" : why);
	return false;
}

/* The next character that is no blank; 0: the end (a zero byte is nothing that JSON has, either). */
static inline char peek(struct cgm_scan *s)
{
	const char *p = s->p, *end = s->end;

	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	s->p = p;
	return p < end ? *p : '\0';
}

int cgm_scan_end(struct cgm_scan *s, char *fault)
{
	peek(s);
	if (!s->why && s->p < s->end)
		cgm_scan_fail(s, "something follows its end");
	if (!s->why)
		return 0;
	snprintf(fault, CGM_DECODE_FAULT, "%s at byte %zu", s->why, s->why_at);
	return -EINVAL;
}

/* ---- texts ---- */

#define EACH_BYTE(b) (0x0101010101010101ULL * (b))

/* Is one of these eight bytes a quote, a backslash or a control character? Bytes above 127 may be said to be. */
static inline bool is_special(uint64_t v)
{
	uint64_t quote = v ^ EACH_BYTE('"'), escape = v ^ EACH_BYTE('\\');

	return (((quote - EACH_BYTE(1)) & ~quote) | ((escape - EACH_BYTE(1)) & ~escape) | ((v - EACH_BYTE(0x20)) & ~v)) & EACH_BYTE(0x80);
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* What a backslash and that character mean; 0: nothing. */
static char meaning(char c)
{
	static const char table[256] = { ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t' };

	return table[(unsigned char)c];
}

/* Behind the escape at p; NULL: it is none. */
static const char *past_escape(const char *p, const char *end)
{
	if (end - p < 2)
		return NULL;
	if (p[1] != 'u')
		return meaning(p[1]) ? p + 2 : NULL;
	if (end - p < 6 || !is_hex(p[2]) || !is_hex(p[3]) || !is_hex(p[4]) || !is_hex(p[5]))
		return NULL;
	return p + 6;
}

/* The text whose opening quote comes next, as it is written. */
static bool quoted(struct cgm_scan *s, struct cgm_str *ret)
{
	const char *p = s->p + 1, *begin = p, *end = s->end;

	while (true) {
		uint64_t v;

		for (; end - p >= 8; p += 8) {
			memcpy(&v, p, sizeof(v));
			if (is_special(v))
				break;
		}
		while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
			p++;
		if (p == end || *p != '\\')
			break;
		s->p = p;
		p = past_escape(p, end);
		if (!p) {
			return fail(s, "a text has a bad escape");
		}
	}
	s->p = p;
	if (p == end || *p != '"')
		return fail(s, "a text has a control character");
	s->p = p + 1;
	*ret = (struct cgm_str){ begin, (size_t)(p - begin) };
	return true;
}

static unsigned hex4(const char *p)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return v;
}

static char *put_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* What the escapes of a text mean (they are well formed); NULL: half a pair. */
static char *unescape(char *to, struct cgm_str raw)
{
	const char *p = raw.p, *end = raw.p + raw.len;

	while (p < end) {
		unsigned c;

		if (*p != '\\') {
			*to++ = *p++;
			continue;
		}
		if (p[1] != 'u') {
			*to++ = meaning(p[1]);
			p += 2;
			continue;
		}
		c = hex4(p + 2);
		p += 6;
		if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' && hex4(p + 2) >> 10 == 0xdc00 >> 10) {
			c = 0x10000 + ((c & 0x3ff) << 10 | (hex4(p + 2) & 0x3ff));
			p += 6;
		}
		if (c >= 0xd800 && c < 0xe000)
			return NULL;
		to = put_utf8(to, c);
	}
	return to;
}

bool cgm_scan_is_clean(const char *text, size_t len)
{
	for (const char *p = text; p < text + len;) {
		size_t n = (unsigned char)*p < 0x20 || *p == 0x7f ? 0 : cgm_utf8_len((const unsigned char *)p);

		if (!n)
			return false;
		p += n;
	}
	return true;
}

static bool copy(struct cgm_scan *s, struct cgm_draft *d, struct cgm_str raw, const char **ret)
{
	char text[CGM_SCAN_MAX_TEXT + 1], *end = text;
	const char *kept;

	if (raw.len > CGM_SCAN_MAX_TEXT) {
		++*s->nr_bad;
		return false;
	}
	if (memchr(raw.p, '\\', raw.len)) {
		end = unescape(text, raw);
	} else {
		memcpy(text, raw.p, raw.len);
		end += raw.len;
	}
	if (!end || (*end = '\0', !cgm_scan_is_clean(text, (size_t)(end - text)))) {
		++*s->nr_bad;
		return false;
	}
	kept = cgm_draft_text(d, (struct cgm_str){ text, (size_t)(end - text) });
	if (kept)
		*ret = kept;
	return kept;
}

/* ---- numbers ---- */

struct number {
	struct cgm_str text;
	bool negative, whole;
	uint64_t v; /* of a whole one, without the sign; at most UINT64_MAX */
};

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

static bool number(struct cgm_scan *s, struct number *ret)
{
	const char *p = s->p, *end = s->end, *first;
	struct number n = { .whole = true };

	n.negative = *p == '-';
	p += n.negative;
	first = p;
	for (; p < end && is_digit(*p); p++) {
		unsigned digit = (unsigned)(*p - '0');

		n.v = n.v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n.v * 10 + digit;
	}
	if (p == first || (*first == '0' && p - first > 1)) {
		s->p = p;
		return fail(s, "it has a value that is none");
	}
	for (int part = 0; part < 2; part++) {
		if (p == end || (part ? (*p | 0x20) != 'e' : *p != '.'))
			continue;
		p++;
		if (part && p < end && (*p == '+' || *p == '-'))
			p++;
		first = p;
		p = digits(p, end);
		n.whole = false;
		if (p == first) {
			s->p = p;
			return fail(s, "it has a number that is none");
		}
	}
	n.text = (struct cgm_str){ s->p, (size_t)(p - s->p) };
	s->p = p;
	*ret = n;
	return true;
}

/* ---- values ---- */

static bool word(struct cgm_scan *s, const char *text)
{
	size_t len = strlen(text), left = (size_t)(s->end - s->p);

	if (memcmp(s->p, text, MIN(len, left)) != 0)
		return fail(s, "it has a value that is none");
	s->p += MIN(len, left);
	return len <= left || fail(s, "");
}

/* Any value that is neither an object nor an array. */
static void scalar(struct cgm_scan *s, char c)
{
	struct cgm_str text;
	struct number n;

	if (c == '"')
		quoted(s, &text);
	else if (c == 'n')
		word(s, "null");
	else if (c == 't')
		word(s, "true");
	else if (c == 'f')
		word(s, "false");
	else if (s->p < s->end)
		number(s, &n);
	else
		fail(s, "");
}

static bool key(struct cgm_scan *s, struct cgm_str *ret)
{
	if (peek(s) != '"')
		return fail(s, "a key is missing");
	if (!quoted(s, ret))
		return false;
	if (peek(s) != ':')
		return fail(s, "a colon is missing");
	s->p++;
	return true;
}

void cgm_scan_skip(struct cgm_scan *s)
{
	uint64_t objects = 0; /* by level, the innermost in bit 0: is it an object? */
	unsigned depth = 0;

	do {
		char c = peek(s);
		bool opened = c == '{' || c == '[';

		if (!opened) {
			scalar(s, c);
		} else if (s->depth + ++depth > CGM_SCAN_DEPTH) {
			fail(s, "it is nested too deep");
		} else {
			objects = objects << 1 | (c == '{');
			s->p++;
		}
		while (depth && !s->why) {
			struct cgm_str name;

			c = peek(s);
			if (c == (objects & 1 ? '}' : ']')) {
				s->p++;
				depth--;
				objects >>= 1;
				opened = false;
				continue;
			}
			if (!opened && c != ',')
				fail(s, "a comma is missing");
			else if (!opened)
				s->p++;
			if (objects & 1)
				key(s, &name);
			break;
		}
	} while (depth && !s->why);
}

/* The value is of another kind than was asked for. */
static bool other(struct cgm_scan *s, char c)
{
	if (c != 'n')
		++*s->nr_bad;
	cgm_scan_skip(s);
	return false;
}

static bool bad(struct cgm_scan *s)
{
	++*s->nr_bad;
	return false;
}

bool cgm_scan_enter(struct cgm_scan *s, char open)
{
	char c = peek(s);

	if (c != open)
		return other(s, c);
	if (s->depth == CGM_SCAN_DEPTH)
		return fail(s, "it is nested too deep");
	s->depth++;
	s->p++;
	return true;
}

/* Nothing but the opening brace ends in one: is what comes the first? */
static bool next(struct cgm_scan *s, char open, char close)
{
	bool first = s->p[-1] == open;
	char c = peek(s);

	if (s->why)
		return false;
	if (c == close) {
		s->p++;
		s->depth--;
		return false;
	}
	if (first)
		return true;
	if (c != ',')
		return fail(s, "a comma is missing");
	s->p++;
	return true;
}

bool cgm_scan_key(struct cgm_scan *s, struct cgm_str *ret)
{
	return next(s, '{', '}') && key(s, ret);
}

bool cgm_scan_item(struct cgm_scan *s)
{
	return next(s, '[', ']');
}

static inline bool integer(struct cgm_scan *s, bool may_be_negative, int64_t *ret)
{
	char c = peek(s);
	struct number n;

	if (!is_digit(c) && c != '-')
		return other(s, c);
	if (!number(s, &n))
		return false;
	if (!n.whole || (n.negative && n.v && !may_be_negative))
		return bad(s);
	*ret = n.v > INT64_MAX ? INT64_MAX : (int64_t)n.v;
	if (n.negative)
		*ret = -*ret;
	return true;
}

bool cgm_scan_count(struct cgm_scan *s, int64_t *ret)
{
	return integer(s, false, ret);
}

bool cgm_scan_integer(struct cgm_scan *s, int64_t *ret)
{
	return integer(s, true, ret);
}

bool cgm_scan_float(struct cgm_scan *s, double *ret)
{
	char text[64], c = peek(s);
	struct number n;
	double v;

	if (!is_digit(c) && c != '-')
		return other(s, c);
	if (!number(s, &n))
		return false;
	if (n.text.len >= sizeof(text))
		return bad(s);
	memcpy(text, n.text.p, n.text.len);
	text[n.text.len] = '\0';
	v = strtod(text, NULL);
	if (!isfinite(v))
		return bad(s);
	*ret = v;
	return true;
}

bool cgm_scan_bool(struct cgm_scan *s, bool *ret)
{
	char c = peek(s);

	if (c != 't' && c != 'f')
		return other(s, c);
	if (!word(s, c == 't' ? "true" : "false"))
		return false;
	*ret = c == 't';
	return true;
}

bool cgm_scan_raw(struct cgm_scan *s, struct cgm_str *ret)
{
	char c = peek(s);

	return c == '"' ? quoted(s, ret) : other(s, c);
}

bool cgm_scan_text(struct cgm_scan *s, struct cgm_draft *d, const char **ret)
{
	struct cgm_str raw;

	return cgm_scan_raw(s, &raw) && copy(s, d, raw, ret);
}

bool cgm_scan_key_text(struct cgm_scan *s, struct cgm_draft *d, struct cgm_str raw, const char **ret)
{
	return copy(s, d, raw, ret);
}

/* "15:04:05Z" or "15:04:05.999999999Z" behind a day that is known. */
static bool time_of_day(struct cgm_str t, uint64_t *ret_ns)
{
	static const uint8_t at[] = { 0, 1, 3, 4, 6, 7 };
	uint64_t ns, scale = CGM_NSEC_PER_SEC / 10;
	unsigned v[6];

	if (t.len < 9 || t.p[2] != ':' || t.p[5] != ':' || t.p[t.len - 1] != 'Z')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		if (!is_digit(t.p[at[i]]))
			return false;
		v[i] = (unsigned)(t.p[at[i]] - '0');
	}
	if (v[0] * 10 + v[1] > 23 || v[2] > 5 || v[4] > 5 || (t.len > 9 && (t.p[8] != '.' || t.len == 10)))
		return false;
	ns = (((v[0] * 10 + v[1]) * 60 + v[2] * 10 + v[3]) * 60 + v[4] * 10 + v[5]) * CGM_NSEC_PER_SEC;
	for (size_t i = 9; i + 1 < t.len; i++, scale /= 10) {
		if (!is_digit(t.p[i]))
			return false;
		ns += (uint64_t)(t.p[i] - '0') * scale;
	}
	*ret_ns = ns;
	return true;
}

bool cgm_scan_time(struct cgm_scan *s, uint64_t *ret_ns)
{
	struct cgm_str t;
	uint64_t of_day;
	int64_t ns;

	if (!cgm_scan_raw(s, &t))
		return false;
	if (t.len > sizeof(s->date) && memcmp(t.p, s->date, sizeof(s->date)) == 0 &&
	    time_of_day((struct cgm_str){ t.p + sizeof(s->date), t.len - sizeof(s->date) }, &of_day)) {
		*ret_ns = s->date_ns + of_day;
		return true;
	}
	if (CGM_SCAN_IS(t, "0001-01-01T00:00:00Z"))
		return false;
	if (cgm_parse_rfc3339(t, &ns) < 0 || ns < (int64_t)FIRST_NS || ns >= (int64_t)LAST_NS)
		return bad(s);
	*ret_ns = (uint64_t)ns;
	if (time_of_day((struct cgm_str){ t.p + sizeof(s->date), t.len - sizeof(s->date) }, &of_day)) {
		memcpy(s->date, t.p, sizeof(s->date));
		s->date_ns = *ret_ns - of_day;
	}
	return true;
}
