// SPDX-License-Identifier: Apache-2.0
#include "serve/kubernetes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"

/* ---- numbers ---- */

void cgm_quantity_put_nano(struct cgm_buf *out, uint64_t v)
{
	static const char *const suffixes[] = { "n", "u", "m", "", "k", "M", "G", "T", "P", "E" };
	size_t i = 0;

	while (v && v % 1000 == 0 && i + 1 < ARRAY_SIZE(suffixes)) {
		v /= 1000;
		i++;
	}
	cgm_buf_u64(out, v);
	cgm_buf_str(out, v ? suffixes[i] : "");
}

void cgm_quantity_put_bytes(struct cgm_buf *out, uint64_t v)
{
	static const char *const suffixes[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
	size_t i = 0;

	while (v && v % 1024 == 0 && i + 1 < ARRAY_SIZE(suffixes)) {
		v /= 1024;
		i++;
	}
	cgm_buf_u64(out, v);
	cgm_buf_str(out, suffixes[i]);
}

void cgm_duration_put(struct cgm_buf *out, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		unsigned digits;
		const char *unit;
	} small[] = { { CGM_NSEC_PER_MSEC, 6, "ms" }, { 1000, 3, "\xc2\xb5s" }, { 1, 0, "ns" } };
	uint64_t s = ns / CGM_NSEC_PER_SEC;

	if (!ns) {
		cgm_buf_lit(out, "0s");
		return;
	}
	for (size_t i = 0; !s && i < ARRAY_SIZE(small); i++) {
		if (ns < small[i].ns)
			continue;
		cgm_buf_fixed(out, ns, small[i].digits);
		cgm_buf_str(out, small[i].unit);
		return;
	}
	if (s >= 3600)
		cgm_buf_printf(out, "%lluh", (unsigned long long)(s / 3600));
	if (s >= 60)
		cgm_buf_printf(out, "%um", (unsigned)(s / 60 % 60));
	cgm_buf_fixed(out, ns % (60 * CGM_NSEC_PER_SEC), 9);
	cgm_buf_char(out, 's');
}

void cgm_reply_seconds(struct cgm_buf *out, uint64_t ns)
{
	cgm_reply_time(out, ns - ns % CGM_NSEC_PER_SEC);
}

void cgm_reply_labels(struct cgm_buf *out, const struct cgm_kube_label *labels, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_char(out, i ? ',' : '{');
		cgm_reply_text(out, labels[i].key);
		cgm_buf_char(out, ':');
		cgm_reply_text(out, labels[i].value);
	}
	cgm_buf_str(out, nr ? "}" : "{}");
}

/* ---- faults ---- */

void cgm_reply_status(struct cgm_reply *r, unsigned status, const char *reason, const char *kind, const char *name, const char *fmt, ...)
{
	struct cgm_buf *out = &r->body;
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	out->len = 0;
	r->status = status;
	r->type = NULL;
	r->etag[0] = '\0';
	cgm_buf_lit(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
	cgm_reply_text(out, message);
	cgm_buf_printf(out, ",\"reason\":\"%s\"", reason);
	if (kind) {
		cgm_buf_lit(out, ",\"details\":{\"name\":");
		cgm_reply_text(out, name);
		cgm_buf_printf(out, ",\"kind\":\"%s\"}", kind);
	}
	cgm_buf_printf(out, ",\"code\":%u}\n", status);
}

/* ---- Accept ---- */

struct media { /* parameters of one media type */
	struct cgm_str type, as, group, version;
	bool refused; /* q=0 */
};

static void read_param(struct cgm_str param, struct media *m)
{
	struct cgm_str name;

	param = cgm_trim(param);
	if (!cgm_next_field(&param, '=', &name))
		return;
	if (cgm_str_eq(name, "as"))
		m->as = param;
	else if (cgm_str_eq(name, "g"))
		m->group = param;
	else if (cgm_str_eq(name, "v"))
		m->version = param;
	else if (cgm_str_eq(name, "q"))
		m->refused = param.len && strspn(param.p, "0.") >= param.len;
}

static struct media read_media(struct cgm_str text)
{
	struct media m = { .refused = false };
	struct cgm_str param;

	(void)cgm_next_field(&text, ';', &m.type);
	m.type = cgm_trim(m.type);
	while (cgm_next_field(&text, ';', &param))
		read_param(param, &m);
	return m;
}

static enum cgm_wants wanted(const struct media *m)
{
	bool json = cgm_str_eq(m->type, "application/json");

	if (m->refused || (!json && !cgm_str_eq(m->type, "*/*") && !cgm_str_eq(m->type, "application/*")))
		return CGM_WANTS_NOTHING;
	if (!m->as.len)
		return CGM_WANTS_JSON;
	if (cgm_str_eq(m->as, "Table") && cgm_str_eq(m->group, "meta.k8s.io"))
		return cgm_str_eq(m->version, "v1") ? CGM_WANTS_TABLE : cgm_str_eq(m->version, "v1beta1") ? CGM_WANTS_TABLE_BETA : CGM_WANTS_NOTHING;
	if (cgm_str_eq(m->as, "APIGroupDiscoveryList") && cgm_str_eq(m->group, "apidiscovery.k8s.io"))
		return cgm_str_eq(m->version, "v2") ? CGM_WANTS_DISCOVERY : cgm_str_eq(m->version, "v2beta1") ? CGM_WANTS_DISCOVERY_BETA : CGM_WANTS_NOTHING;
	return CGM_WANTS_NOTHING;
}

enum cgm_wants cgm_wants_of(const char *accept, unsigned can)
{
	struct cgm_str rest = cgm_str(accept ? accept : ""), item;

	if (!cgm_trim(rest).len)
		return CGM_WANTS_JSON;
	while (cgm_next_field(&rest, ',', &item)) {
		struct media m = read_media(item);
		enum cgm_wants w = wanted(&m);

		if (w != CGM_WANTS_NOTHING && can & (1U << w))
			return w;
	}
	return CGM_WANTS_NOTHING;
}
