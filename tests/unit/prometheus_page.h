/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"

/* ---- a strict reader of both formats; it fails the test at the first fault ---- */

struct checker {
	bool open_metrics, created; /* created: OpenMetrics with _created */
	bool timestamps; /* behind some samples */
	size_t nr_timestamps, nr_created;
	char family[128], type[16];
	struct cgm_hash families, series;
	char *keys[200000];
	size_t nr_keys, nr_lines, nr_samples;
	bool has_samples;
	/* the histogram being read: its labels less le */
	char hist_labels[4000];
	double last_le, last_bucket, inf_bucket;
};

static inline char *keep(struct checker *c, const char *s)
{
	assert_true(c->nr_keys < ARRAY_SIZE(c->keys));
	c->keys[c->nr_keys] = strdup(s);
	return c->keys[c->nr_keys++];
}

static inline void once(struct checker *c, struct cgm_hash *h, const char *key)
{
	if (cgm_hash_get(h, key))
		fail_msg("twice: %s", key);
	char *k = keep(c, key);
	assert_int_equal(cgm_hash_put(h, k, k), 0);
}

static inline bool is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalpha((unsigned char)s[i]) && s[i] != '_' && (i == 0 || !isdigit((unsigned char)s[i])))
			return false;
	return len > 0;
}

/* Passes over a quoted value; returns what follows the closing quote. */
static inline const char *skip_quoted(const char *p)
{
	assert_int_equal(*p++, '"');
	for (; *p != '"'; p++) {
		assert_true(*p != '\0' && *p != '\n');
		if (*p == '\\') {
			p++;
			assert_true(*p == '\\' || *p == '"' || *p == 'n');
		}
	}
	return p + 1;
}

/* Reads {…}; copies the labels less le to ret, and le's value. Returns what follows. */
static inline const char *read_labels(const char *p, char *ret, size_t size, char *le, size_t le_size)
{
	char names[2000] = ",", name[128];

	ret[0] = le[0] = '\0';
	if (*p != '{')
		return p;
	do {
		const char *start = ++p, *end;

		while (*p && *p != '=')
			p++;
		assert_true(is_name(start, (size_t)(p - start)));
		snprintf(name, sizeof(name), ",%.*s,", (int)(p - start), start);
		assert_null(strstr(names, name)); /* no label twice */
		strncat(names, name + 1, sizeof(names) - strlen(names) - 1);
		end = skip_quoted(p + 1);
		if (!strcmp(name, ",le,"))
			snprintf(le, le_size, "%.*s", (int)(end - p - 3), p + 2);
		else
			snprintf(ret + strlen(ret), size - strlen(ret), "%.*s,", (int)(end - start), start);
		p = end;
	} while (*p == ',');
	assert_int_equal(*p, '}');
	return p + 1;
}

static inline double read_number(const char *p)
{
	size_t whole = strspn(p, "0123456789");
	const char *end = p + whole;

	assert_true(whole > 0 && (whole == 1 || *p != '0'));
	if (*end == '.') {
		size_t fraction = strspn(end + 1, "0123456789");

		assert_true(fraction > 0 && end[fraction] != '0');
		end += fraction + 1;
	}
	assert_int_equal(*end, '\0');
	return strtod(p, NULL);
}

/* A power of two of a second, as short as it can be said exactly; whole numbers have a point in OpenMetrics. */
static inline double read_bound(const struct checker *c, const char *le)
{
	double bound = strtod(le, NULL);
	char want[40];
	int exponent;

	assert_true(frexp(bound, &exponent) == 0.5);
	snprintf(want, sizeof(want), "%.17g%s", bound, c->open_metrics && bound >= 1 ? ".0" : "");
	assert_string_equal(le, want);
	return bound;
}

static inline void check_bucket(struct checker *c, const char *labels, const char *le, double v)
{
	double bound = strcmp(le, "+Inf") ? read_bound(c, le) : 1e300;

	if (strcmp(labels, c->hist_labels)) {
		assert_true(c->last_le == 0); /* the one before was ended by its count */
		snprintf(c->hist_labels, sizeof(c->hist_labels), "%s", labels);
	}
	assert_true(bound > c->last_le && v >= c->last_bucket);
	c->last_le = bound;
	c->last_bucket = v;
}

/* Stands right behind what it belongs to. */
static inline bool check_created(struct checker *c, const char *suffix, double v)
{
	if (!c->open_metrics || strcmp(suffix, "_created") != 0)
		return false;
	assert_true(c->created && (!strcmp(c->type, "counter") || !strcmp(c->type, "histogram")));
	assert_true(v > 1e9 && v < 4e9); /* seconds since the epoch */
	c->nr_created++;
	return true;
}

static inline void check_suffix(struct checker *c, const char *suffix, const char *labels, const char *le, double v)
{
	if (check_created(c, suffix, v))
		return;
	if (!strcmp(c->type, "histogram")) {
		if (!strcmp(suffix, "_bucket")) {
			check_bucket(c, labels, le, v);
			return;
		}
		assert_string_equal(labels, c->hist_labels);
		assert_true(c->last_le == 1e300); /* +Inf came */
		if (!strcmp(suffix, "_count")) {
			assert_true(v == c->last_bucket && v > 0);
			c->last_le = c->last_bucket = 0;
			c->hist_labels[0] = '\0';
		} else {
			assert_string_equal(suffix, "_sum");
		}
	} else if (c->open_metrics && !strcmp(c->type, "counter")) {
		assert_string_equal(suffix, "_total");
	} else if (c->open_metrics && !strcmp(c->type, "info")) {
		assert_string_equal(suffix, "_info");
		assert_true(v == 1);
	} else {
		assert_string_equal(suffix, "");
	}
	assert_string_equal(le, "");
}

static inline void check_sample(struct checker *c, const char *line)
{
	char labels[4000], le[32], key[5000], number[48];
	const char *p = line + strcspn(line, "{ "), *value, *stamp;

	assert_true(is_name(line, (size_t)(p - line)));
	assert_memory_equal(line, c->family, strlen(c->family));
	value = read_labels(p, labels, sizeof(labels), le, sizeof(le));
	assert_int_equal(*value, ' ');
	stamp = strchr(value + 1, ' ');
	if (stamp) {
		double when = read_number(stamp + 1);

		assert_true(c->timestamps && (c->open_metrics ? when < 4e9 : when > 1e12));
		c->nr_timestamps++;
	}
	snprintf(number, sizeof(number), "%.*s", stamp ? (int)(stamp - value - 1) : 40, value + 1);
	snprintf(key, sizeof(key), "%.*s", (int)(p - line - (ptrdiff_t)strlen(c->family)), line + strlen(c->family));
	check_suffix(c, key, labels, le, read_number(number[0] == '-' ? number + 1 : number));
	snprintf(key, sizeof(key), "%.*s", (int)(value - line), line);
	once(c, &c->series, key);
	c->has_samples = true;
	c->nr_samples++;
}

static inline void check_comment(struct checker *c, const char *line)
{
	char word[8], name[128], text[300] = "", unit[302];

	assert_int_equal(sscanf(line, "# %7s %127s %299[^\n]", word, name, text), 3);
	if (!strcmp(word, "HELP")) {
		assert_true(c->has_samples || !c->family[0]); /* no family without samples */
		once(c, &c->families, name);
		snprintf(c->family, sizeof(c->family), "%s", name);
		c->has_samples = false;
		c->type[0] = '\0';
		return;
	}
	assert_string_equal(name, c->family);
	assert_false(c->has_samples);
	if (!strcmp(word, "TYPE")) {
		assert_string_equal(c->type, "");
		assert_non_null(strstr(c->open_metrics ? " counter gauge histogram info unknown " : " counter gauge histogram ", text));
		if (c->open_metrics && !strcmp(text, "gauge")) /* what ends like a counter's sample may be nothing else */
			assert_false(strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total"));
		snprintf(c->type, sizeof(c->type), "%s", text);
		return;
	}
	assert_true(c->open_metrics);
	assert_string_equal(word, "UNIT");
	snprintf(unit, sizeof(unit), "_%s", text);
	assert_true(strlen(name) > strlen(unit) && !strcmp(name + strlen(name) - strlen(unit), unit));
}

/* Returns how many samples the page has. options: what it may hold beside; its numbers of that are set. NULL: nothing. */
static inline size_t check_page_with(const struct cgm_buf *page, bool open_metrics, struct checker *options)
{
	struct checker *c = calloc(1, sizeof(*c));
	char *text = strndup(page->p, page->len), *next;
	bool eof = false;
	size_t nr;

	c->open_metrics = open_metrics;
	if (options) {
		c->created = options->created;
		c->timestamps = options->timestamps;
	}
	assert_int_equal(strlen(text), page->len);
	for (char *line = text; *line; line = next) {
		next = strchr(line, '\n');
		assert_non_null(next); /* each line is ended */
		*next++ = '\0';
		assert_false(eof);
		if (open_metrics && !strcmp(line, "# EOF"))
			eof = true;
		else if (line[0] == '#')
			check_comment(c, line);
		else
			check_sample(c, line);
	}
	assert_true(eof == open_metrics && c->has_samples && c->last_le == 0);
	nr = c->nr_samples;
	if (options) {
		options->nr_created = c->nr_created;
		options->nr_timestamps = c->nr_timestamps;
	}
	for (size_t i = 0; i < c->nr_keys; i++)
		free(c->keys[i]);
	cgm_hash_done(&c->families);
	cgm_hash_done(&c->series);
	free(c);
	free(text);
	return nr;
}

static inline size_t check_page(const struct cgm_buf *page, bool open_metrics)
{
	return check_page_with(page, open_metrics, NULL);
}
