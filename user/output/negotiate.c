// SPDX-License-Identifier: Apache-2.0
#include "output/negotiate.h"

#include <strings.h>

#include "base/cleanup.h"
#include "base/parse.h"

#define Q_MAX 1000

static bool same(struct cgm_str s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.p, word, s.len) == 0;
}

/* "0.75" in thousandths. Anything that is no number from 0 to 1 with three digits counts as 0: what is not understood is not wanted. */
static int parse_q(struct cgm_str s)
{
	int q, scale = Q_MAX;

	if (!s.len || (s.p[0] != '0' && s.p[0] != '1') || s.len > 5)
		return 0;
	q = s.p[0] == '1' ? Q_MAX : 0;
	if (s.len > 1 && s.p[1] != '.')
		return 0;
	for (size_t i = 2; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		scale /= 10;
		q += (s.p[i] - '0') * scale;
	}
	return q > Q_MAX ? 0 : q;
}

struct wish {
	struct cgm_str what, version, proto, encoding; /* parameters: without quotes, empty when not there */
	int q;
};

static void set_parameter(struct wish *w, struct cgm_str key, struct cgm_str value)
{
	struct {
		const char *name;
		struct cgm_str *value;
	} known[] = { { "version", &w->version }, { "proto", &w->proto }, { "encoding", &w->encoding } };

	if (same(key, "q")) {
		w->q = parse_q(value);
		return;
	}
	if (value.len > 1 && value.p[0] == '"' && value.p[value.len - 1] == '"')
		value = (struct cgm_str){ value.p + 1, value.len - 2 };
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (same(key, known[i].name))
			*known[i].value = value;
}

/* Cuts the next element, "type;version=x;q=0.5", off the header. False at the end. */
static bool next_wish(struct cgm_str *header, struct wish *ret)
{
	struct cgm_str element, parameter, key;

	do {
		if (!cgm_next_field(header, ',', &element))
			return false;
		element = cgm_trim(element);
	} while (!element.len || !cgm_next_field(&element, ';', &ret->what));
	*ret = (struct wish){ .what = cgm_trim(ret->what), .q = Q_MAX };
	while (cgm_next_field(&element, ';', &parameter))
		if (cgm_next_field(&parameter, '=', &key))
			set_parameter(ret, cgm_trim(key), cgm_trim(parameter));
	return true;
}

/* Text and OpenMetrics: without a version, or with ours. Protobuf has other messages and encodings too: it must say that it means ours. */
static bool is_format(const struct wish *w, enum cgm_prometheus_format f)
{
	switch (f) {
	case CGM_PROMETHEUS_TEXT:
		return same(w->what, "text/plain") && (!w->version.len || same(w->version, "0.0.4"));
	case CGM_PROMETHEUS_OPENMETRICS:
		return same(w->what, "application/openmetrics-text") && (!w->version.len || same(w->version, "1.0.0"));
	case CGM_PROMETHEUS_PROTOBUF:
		return same(w->what, "application/vnd.google.protobuf") && same(w->proto, "io.prometheus.client.MetricFamily") &&
		       same(w->encoding, "delimited");
	default:
		return false;
	}
}

enum cgm_prometheus_format cgm_accepts_format(const char *accept)
{
	struct cgm_str header = cgm_str(accept ? accept : "");
	enum cgm_prometheus_format best = CGM_PROMETHEUS_TEXT;
	int best_q = 0;
	struct wish w;

	while (next_wish(&header, &w)) {
		for (unsigned f = 0; f < CGM_NR_PROMETHEUS_FORMATS; f++) {
			if (!is_format(&w, (enum cgm_prometheus_format)f) || w.q <= best_q)
				continue;
			best = (enum cgm_prometheus_format)f;
			best_q = w.q;
		}
	}
	return best;
}

bool cgm_accepts_gzip(const char *accept_encoding)
{
	struct cgm_str header = cgm_str(accept_encoding ? accept_encoding : "");
	int gzip = -1, any = -1, identity = -1;
	struct wish w;

	while (next_wish(&header, &w)) {
		if (same(w.what, "gzip") || same(w.what, "x-gzip"))
			gzip = w.q > gzip ? w.q : gzip;
		else if (same(w.what, "*"))
			any = w.q;
		else if (same(w.what, "identity"))
			identity = w.q;
	}
	if (gzip < 0)
		gzip = any;
	return gzip > 0 && gzip >= identity;
}

bool cgm_matches_etag(const char *if_none_match, const char *etag)
{
	struct cgm_str header = cgm_str(if_none_match ? if_none_match : ""), tag;

	while (cgm_next_field(&header, ',', &tag)) {
		tag = cgm_trim(tag);
		if (tag.len > 2 && tag.p[0] == 'W' && tag.p[1] == '/') /* weak: the same for a GET */
			tag = (struct cgm_str){ tag.p + 2, tag.len - 2 };
		if (cgm_str_eq(tag, etag) || cgm_str_eq(tag, "*"))
			return true;
	}
	return false;
}
