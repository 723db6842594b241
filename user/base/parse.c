// SPDX-License-Identifier: Apache-2.0
#include "base/parse.h"

#include <errno.h>
#include <string.h>
#include <time.h>

struct cgm_str cgm_str(const char *s)
{
	return (struct cgm_str){ s, strlen(s) };
}

bool cgm_str_eq(struct cgm_str a, const char *b)
{
	return strlen(b) == a.len && (!a.len || memcmp(a.p, b, a.len) == 0); /* what is empty may be nowhere */
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool cgm_next_field(struct cgm_str *text, char sep, struct cgm_str *ret_field)
{
	const char *end;

	if (!text->len)
		return false;
	end = memchr(text->p, sep, text->len);
	if (!end) {
		*ret_field = *text;
		text->p += text->len;
		text->len = 0;
		return true;
	}
	*ret_field = (struct cgm_str){ text->p, (size_t)(end - text->p) };
	text->len -= ret_field->len + 1;
	text->p = end + 1;
	return true;
}

bool cgm_next_line(struct cgm_str *text, struct cgm_str *ret_line)
{
	return cgm_next_field(text, '\n', ret_line);
}

bool cgm_next_token(struct cgm_str *line, struct cgm_str *ret_token)
{
	size_t i = 0, start;

	while (i < line->len && is_blank(line->p[i]))
		i++;
	start = i;
	while (i < line->len && !is_blank(line->p[i]))
		i++;
	if (i == start)
		return false;
	*ret_token = (struct cgm_str){ line->p + start, i - start };
	line->p += i;
	line->len -= i;
	return true;
}

struct cgm_str cgm_trim(struct cgm_str s)
{
	while (s.len && (is_blank(s.p[0]) || s.p[0] == '\n' || s.p[0] == '\r')) {
		s.p++;
		s.len--;
	}
	while (s.len && (is_blank(s.p[s.len - 1]) || s.p[s.len - 1] == '\n' || s.p[s.len - 1] == '\r'))
		s.len--;
	return s;
}

int cgm_parse_u64(struct cgm_str s, uint64_t *ret)
{
	uint64_t v = 0;
	bool full = false;

	if (!s.len)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned)(unsigned char)s.p[i] - '0';

		if (d > 9)
			return -EINVAL;
		if (full || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			full = true;
	}
	*ret = full ? UINT64_MAX : v;
	return 0;
}

int cgm_parse_u64_max(struct cgm_str s, uint64_t *ret)
{
	if (cgm_str_eq(s, "max")) {
		*ret = UINT64_MAX;
		return 0;
	}
	return cgm_parse_u64(s, ret);
}

int cgm_parse_i64(struct cgm_str s, int64_t *ret)
{
	bool minus = s.len && s.p[0] == '-';
	uint64_t v;
	int r;

	if (minus) {
		s.p++;
		s.len--;
	}
	r = cgm_parse_u64(s, &v);
	if (r < 0)
		return r;
	if (minus)
		*ret = v > (uint64_t)INT64_MAX ? INT64_MIN : -(int64_t)v;
	else
		*ret = v > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)v;
	return 0;
}

int cgm_parse_hex(struct cgm_str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s.len || s.len > 16)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		unsigned d;

		if (c >= '0' && c <= '9')
			d = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			d = (unsigned)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			d = (unsigned)(c - 'A') + 10;
		else
			return -EINVAL;
		v = v << 4 | d;
	}
	*ret = v;
	return 0;
}

int cgm_parse_centi(struct cgm_str s, uint64_t *ret_hundredths)
{
	const char *dot = s.len ? memchr(s.p, '.', s.len) : NULL;
	struct cgm_str whole = s, frac = { NULL, 0 };
	uint64_t v, f = 0;
	int r;

	if (dot) {
		whole.len = (size_t)(dot - s.p);
		frac = (struct cgm_str){ dot + 1, s.len - whole.len - 1 };
		if (!frac.len)
			return -EINVAL;
	}
	r = cgm_parse_u64(whole, &v);
	if (r < 0)
		return r;
	for (size_t i = 0; i < frac.len; i++) {
		unsigned d = (unsigned)(unsigned char)frac.p[i] - '0';

		if (d > 9)
			return -EINVAL;
		if (i < 2)
			f = f * 10 + d;
	}
	if (frac.len == 1)
		f *= 10;
	if (__builtin_mul_overflow(v, 100, &v) || __builtin_add_overflow(v, f, &v))
		v = UINT64_MAX;
	*ret_hundredths = v;
	return 0;
}

int cgm_parse_bool(struct cgm_str s, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (cgm_str_eq(s, yes[i])) {
			*ret = true;
			return 0;
		}
		if (cgm_str_eq(s, no[i])) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

/* One "12.5ms" off the front of *s, added to *sum. */
static int duration_part(struct cgm_str *s, uint64_t *sum)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ns", 1 },	      { "us", 1000 },	       { "\xc2\xb5s", 1000 },
		{ "ms", 1000000 },    { "s", 1000000000 },     { "m", 60000000000 },
		{ "h", 3600000000000 },
	};
	size_t i = 0, unit;
	__extension__ unsigned __int128 ns = 0, scale = 1;
	bool digits = false;

	for (bool frac = false; i < s->len; i++) {
		char c = s->p[i];

		if (c == '.' && !frac) {
			frac = true;
			continue;
		}
		if (c < '0' || c > '9')
			break;
		digits = true;
		if (frac && scale >= 1000000000)
			continue;
		if (ns > UINT64_MAX)
			continue;
		ns = ns * 10 + (unsigned)(c - '0');
		if (frac)
			scale *= 10;
	}
	if (!digits)
		return -EINVAL;
	unit = i;
	while (i < s->len && s->p[i] != '.' && (s->p[i] < '0' || s->p[i] > '9'))
		i++;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		if (!cgm_str_eq((struct cgm_str){ s->p + unit, i - unit }, units[u].name))
			continue;
		ns = ns * units[u].ns / scale;
		if (ns > UINT64_MAX || __builtin_add_overflow(*sum, (uint64_t)ns, sum))
			*sum = UINT64_MAX;
		s->p += i;
		s->len -= i;
		return 0;
	}
	return -EINVAL;
}

int cgm_parse_duration_ns(struct cgm_str s, uint64_t *ret_ns)
{
	uint64_t sum = 0;
	int r;

	if (cgm_str_eq(s, "0")) {
		*ret_ns = 0;
		return 0;
	}
	if (!s.len)
		return -EINVAL;
	while (s.len) {
		r = duration_part(&s, &sum);
		if (r < 0)
			return r;
	}
	*ret_ns = sum;
	return 0;
}

static int fixed_number(struct cgm_str *s, size_t width, char end, int *ret)
{
	uint64_t v;

	if (s->len < width || cgm_parse_u64((struct cgm_str){ s->p, width }, &v) < 0)
		return -EINVAL;
	s->p += width;
	s->len -= width;
	*ret = (int)v;
	if (!end)
		return 0;
	if (!s->len || (s->p[0] != end && !(end == 'T' && s->p[0] == 't')))
		return -EINVAL;
	s->p++;
	s->len--;
	return 0;
}

static int zone_seconds(struct cgm_str s, int *ret)
{
	int hours, minutes;
	bool minus;

	if (s.len == 1 && (s.p[0] == 'Z' || s.p[0] == 'z')) {
		*ret = 0;
		return 0;
	}
	if (!s.len || (s.p[0] != '+' && s.p[0] != '-'))
		return -EINVAL;
	minus = s.p[0] == '-';
	s.p++;
	s.len--;
	if (fixed_number(&s, 2, ':', &hours) < 0 || fixed_number(&s, 2, 0, &minutes) < 0 || s.len || hours > 23 || minutes > 59)
		return -EINVAL;
	*ret = (hours * 60 + minutes) * (minus ? -60 : 60);
	return 0;
}

int cgm_parse_rfc3339(struct cgm_str s, int64_t *ret_ns)
{
	struct tm tm = { 0 };
	int64_t ns = 0, scale = 100000000, seconds;
	int zone;

	if (fixed_number(&s, 4, '-', &tm.tm_year) < 0 || fixed_number(&s, 2, '-', &tm.tm_mon) < 0 ||
	    fixed_number(&s, 2, 'T', &tm.tm_mday) < 0 || fixed_number(&s, 2, ':', &tm.tm_hour) < 0 ||
	    fixed_number(&s, 2, ':', &tm.tm_min) < 0 || fixed_number(&s, 2, 0, &tm.tm_sec) < 0)
		return -EINVAL;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	if (s.len && s.p[0] == '.') {
		size_t i = 1;

		for (; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
			ns += (s.p[i] - '0') * scale;
			scale /= 10;
		}
		if (i == 1)
			return -EINVAL;
		s.p += i;
		s.len -= i;
	}
	if (zone_seconds(s, &zone) < 0)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	seconds = (int64_t)timegm(&tm) - zone;
	if (__builtin_mul_overflow(seconds, (int64_t)1000000000, &seconds) || __builtin_add_overflow(seconds, ns, &seconds))
		seconds = seconds < 0 || tm.tm_year < 70 ? INT64_MIN : INT64_MAX;
	*ret_ns = seconds;
	return 0;
}

int cgm_parse_cpu_list(struct cgm_str s, unsigned *ret_nr_cpus)
{
	struct cgm_str part;
	uint64_t nr = 0;

	s = cgm_trim(s);
	while (cgm_next_field(&s, ',', &part)) {
		struct cgm_str first;
		uint64_t a, b;

		if (!cgm_next_field(&part, '-', &first) || cgm_parse_u64(first, &a) < 0)
			return -EINVAL;
		b = a;
		if (part.len && cgm_parse_u64(part, &b) < 0)
			return -EINVAL;
		if (b < a || b > 65535)
			return -EINVAL;
		nr += b - a + 1;
	}
	*ret_nr_cpus = nr > 65536 ? 65536 : (unsigned)nr;
	return 0;
}

int cgm_parse_dev(struct cgm_str s, uint32_t *ret_major, uint32_t *ret_minor)
{
	struct cgm_str first;
	uint64_t a, b;

	if (!cgm_next_field(&s, ':', &first) || cgm_parse_u64(first, &a) < 0 || cgm_parse_u64(s, &b) < 0 || a > UINT32_MAX || b > UINT32_MAX)
		return -EINVAL;
	*ret_major = (uint32_t)a;
	*ret_minor = (uint32_t)b;
	return 0;
}
