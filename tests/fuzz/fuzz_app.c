// SPDX-License-Identifier: Apache-2.0
/*
 * What a container's file and its application say. The first byte chooses: the file (of both kinds), Prometheus' text, or a regular expression and, behind a zero, a text.
 * Invariants: results are those that are promised, names come sorted and once, numbers of labels are bounded, and what is fetched is localhost or a numeric address.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "app/exposition.h"
#include "app/fetch.h"
#include "app/pattern.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static void try_config(const char *text, size_t len, bool is_prometheus)
{
	struct cgm_app_config *c = NULL;
	char fault[CGM_APP_FAULT] = "";
	int r = cgm_app_config_parse(text, len, is_prometheus, &c, fault);

	check(r == 0 || (r == -EINVAL && *fault));
	if (r < 0)
		return;
	check(c->interval_ns >= 1000000000 && c->nr_wanted <= CGM_APP_MAX_WANTED && (c->url || (c->port && *c->path == '/')));
	for (size_t i = 0; i < c->nr_wanted; i++)
		check(is_prometheus || (*c->wanted[i].name && *c->wanted[i].regex));
	if (c->url)
		(void)cgm_fetch_url_fault(c->url);
	cgm_app_config_free(c);
}

static void try_exposition(const char *text, size_t len)
{
	const struct cgm_app_config all = { 0 };
	struct cgm_app_draft d = { .max_metrics = 100 };
	char fault[CGM_APP_FAULT] = "";
	int r = cgm_app_exposition_parse(text, len, &all, 1, &d, fault);
	struct cgm_app_metrics *m;

	check(r == 0 || (r == -EINVAL && *fault));
	m = cgm_app_draft_finish(&d);
	check(m && m->nr <= 100);
	for (size_t i = 0; i < m->nr; i++) {
		check(m->metrics[i].nr_values > 0 && (!i || strcmp(m->metrics[i - 1].name, m->metrics[i].name) < 0));
		for (size_t n = 0; n < m->metrics[i].nr_values; n++)
			check(m->metrics[i].values[n].nr_labels <= CGM_APP_MAX_LABELS);
	}
	cgm_app_metrics_unref(m);
	cgm_app_draft_done(&d);
}

static void try_pattern(const char *text, size_t len)
{
	const char *zero = memchr(text, '\0', len), *subject = zero ? zero + 1 : text;
	struct cgm_pattern *p = NULL;
	char fault[160] = "", buf[64];
	int r;

	if (!zero)
		return;
	r = cgm_pattern_new(text, &p, fault, sizeof(fault));
	check(r == 0 || (r == -EINVAL && *fault));
	if (r == 0) {
		r = cgm_pattern_match(p, subject, len - (size_t)(subject - text), buf, sizeof(buf));
		check(r >= 0 ? (size_t)r < sizeof(buf) : r == -ENOENT || r == -EFBIG || r == -E2BIG || r == -EINVAL);
	}
	cgm_pattern_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size < 2)
		return 0;
	if (data[0] % 3 == 0) {
		try_config(text, size - 1, true);
		try_config(text, size - 1, false);
	} else if (data[0] % 3 == 1) {
		try_exposition(text, size - 1);
	} else {
		try_pattern(text, size - 1);
	}
	return 0;
}
