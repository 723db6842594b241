// SPDX-License-Identifier: Apache-2.0
#include "output/json.h"

#include "base/clock.h"
#include "base/utf8.h"

static void put_escaped(struct cgm_buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	switch (c) {
	case '"':
		cgm_buf_lit(b, "\\\"");
		break;
	case '\\':
		cgm_buf_lit(b, "\\\\");
		break;
	case '\n':
		cgm_buf_lit(b, "\\n");
		break;
	case '\t':
		cgm_buf_lit(b, "\\t");
		break;
	case '\r':
		cgm_buf_lit(b, "\\r");
		break;
	default:
		cgm_buf_lit(b, "\\u00");
		cgm_buf_char(b, hex[c >> 4]);
		cgm_buf_char(b, hex[c & 15]);
	}
}

void cgm_json_string(struct cgm_buf *b, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	cgm_buf_char(b, '"');
	while (*s) {
		const unsigned char *plain = s;
		size_t len;

		while (*s >= 0x20 && *s < 0x7f && *s != '"' && *s != '\\')
			s++;
		cgm_buf_put(b, plain, (size_t)(s - plain));
		if (!*s)
			break;
		if (*s < 0x80) {
			put_escaped(b, *s++);
			continue;
		}
		len = cgm_utf8_len(s);
		if (len)
			cgm_buf_put(b, s, len);
		else
			cgm_buf_lit(b, "\xef\xbf\xbd");
		s += len ? len : 1;
	}
	cgm_buf_char(b, '"');
}

void cgm_json_u64(struct cgm_buf *b, uint64_t v)
{
	cgm_buf_u64(b, MIN(v, (uint64_t)INT64_MAX));
}

void cgm_json_bool(struct cgm_buf *b, bool v)
{
	if (v)
		cgm_buf_lit(b, "true");
	else
		cgm_buf_lit(b, "false");
}

static char *put_digits(char *p, unsigned v, unsigned width)
{
	for (unsigned i = width; i--; v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + width;
}

/* Days since 1970-01-01 as a date of the Gregorian calendar; years are counted from March, in eras of 400. */
static void date_of(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t from = days + 719468, era = from / 146097, doe = from % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), shifted = (5 * doy + 2) / 153;

	*day = (unsigned)(doy - (153 * shifted + 2) / 5 + 1);
	*month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = (unsigned)(yoe + era * 400 + (*month <= 2));
}

void cgm_json_time(struct cgm_buf *b, uint64_t time_ns)
{
	uint64_t seconds = time_ns / CGM_NSEC_PER_SEC, rest = seconds % 86400;
	unsigned fraction = (unsigned)(time_ns % CGM_NSEC_PER_SEC), year, month, day;
	char text[40], *p = text;

	if (!time_ns) {
		cgm_buf_lit(b, "\"0001-01-01T00:00:00Z\"");
		return;
	}
	date_of(seconds / 86400, &year, &month, &day);
	*p++ = '"';
	p = put_digits(p, year, 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	p = put_digits(p, day, 2);
	*p++ = 'T';
	p = put_digits(p, (unsigned)(rest / 3600), 2);
	*p++ = ':';
	p = put_digits(p, (unsigned)(rest / 60 % 60), 2);
	*p++ = ':';
	p = put_digits(p, (unsigned)(rest % 60), 2);
	if (fraction) {
		*p++ = '.';
		p = put_digits(p, fraction, 9);
		while (p[-1] == '0')
			p--;
	}
	*p++ = 'Z';
	*p++ = '"';
	cgm_buf_put(b, text, (size_t)(p - text));
}

void cgm_json_key(struct cgm_buf *b, const char *key)
{
	cgm_buf_lit(b, ",\"");
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
}

void cgm_json_number(struct cgm_buf *b, const char *key, uint64_t v)
{
	cgm_json_key(b, key);
	cgm_json_u64(b, v);
}

void cgm_json_chop(struct cgm_buf *b)
{
	if (b->len && b->p[b->len - 1] == ',')
		b->len--;
}
