// SPDX-License-Identifier: Apache-2.0
#include "source/hosts.h"

#include <errno.h>

#include "source/decode.h"
#include "source/scan.h"
#include "source/source.h"

static int read_host(struct cgm_scan *s, struct cgm_draft *d, int (*fn)(void *, const char *, const char *), void *arg)
{
	const char *name = "", *ip = NULL;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return 0;
	while (cgm_scan_key(s, &key))
		if (CGM_SCAN_IS(key, "Name"))
			cgm_scan_text(s, d, &name);
		else if (CGM_SCAN_IS(key, "IP"))
			cgm_scan_text(s, d, &ip);
		else
			cgm_scan_skip(s);
	return ip && *ip ? fn(arg, name, ip) : 0;
}

static int read_items(struct cgm_scan *s, struct cgm_draft *d, int (*fn)(void *, const char *, const char *), void *arg)
{
	int r = 0;

	if (!cgm_scan_enter(s, '['))
		return 0;
	while (r == 0 && cgm_scan_item(s))
		r = read_host(s, d, fn, arg);
	return r;
}

int cgm_source_hosts_read(const char *text, size_t len, int (*fn)(void *arg, const char *name, const char *ip), void *arg, char *fault)
{
	_cleanup_(cgm_draft_done) struct cgm_draft d = { 0 }; /* where texts are put */
	struct cgm_scan s;
	struct cgm_str key;
	uint64_t nr_bad = 0;
	int r = 0;

	cgm_scan_init(&s, text, len, &nr_bad);
	if (!cgm_scan_enter(&s, '{'))
		cgm_scan_fail(&s, "no object");
	while (r == 0 && cgm_scan_key(&s, &key))
		if (CGM_SCAN_IS(key, "Items"))
			r = read_items(&s, &d, fn, arg);
		else
			cgm_scan_skip(&s);
	if (r < 0 || d.failed)
		return r < 0 ? r : -ENOMEM;
	r = cgm_scan_end(&s, fault);
	if (r == 0 && nr_bad) {
		snprintf(fault, CGM_SOURCE_FAULT, "%llu values are nonsense", (unsigned long long)nr_bad);
		r = -EINVAL;
	}
	return r;
}
