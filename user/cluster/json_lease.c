// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cluster/lease.h"

static void json_done(json_t **j)
{
	json_decref(*j);
}

static void copy(const json_t *o, const char *key, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	snprintf(ret, size, "%s", text ? text : "");
}

int cgm_lease_read(const char *text, size_t len, struct cgm_lease *ret)
{
	_cleanup_(json_done) json_t *root = json_loadb(text, len, 0, NULL);
	const json_t *spec = json_object_get(root, "spec"), *metadata = json_object_get(root, "metadata");
	json_int_t duration = json_integer_value(json_object_get(spec, "leaseDurationSeconds"));

	if (!json_is_object(metadata))
		return -EINVAL;
	copy(spec, "holderIdentity", ret->holder, sizeof(ret->holder));
	copy(metadata, "resourceVersion", ret->version, sizeof(ret->version));
	copy(spec, "renewTime", ret->renewed, sizeof(ret->renewed));
	ret->duration_s = duration > 0 ? MIN((uint64_t)duration, INT32_MAX) : 0; /* Kubernetes' own is 32 bits wide */
	return 0;
}

/* Kubernetes' MicroTime. */
static void micro_time(uint64_t ns, char *ret, size_t size)
{
	time_t s = (time_t)(ns / CGM_NSEC_PER_SEC);
	struct tm tm;
	size_t len;

	gmtime_r(&s, &tm);
	len = strftime(ret, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + len, size - len, ".%06uZ", (unsigned)(ns % CGM_NSEC_PER_SEC / 1000));
}

static json_t *new_lease(const char *lease_namespace, const char *name)
{
	return json_pack("{s:s,s:s,s:{s:s,s:s},s:{}}", "apiVersion", "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name", name, "namespace", lease_namespace, "spec");
}

static bool fill(json_t *spec, const char *identity, uint64_t duration_s, uint64_t now_ns)
{
	const char *holder = json_string_value(json_object_get(spec, "holderIdentity"));
	bool other = !holder || strcmp(holder, identity) != 0;
	json_int_t changes = json_integer_value(json_object_get(spec, "leaseTransitions"));
	char now[64];
	int r;

	micro_time(now_ns, now, sizeof(now));
	r = json_object_set_new(spec, "holderIdentity", json_string(identity)) | json_object_set_new(spec, "leaseDurationSeconds", json_integer((json_int_t)duration_s)) |
	    json_object_set_new(spec, "renewTime", json_string(now));
	if (other && *identity)
		r |= json_object_set_new(spec, "acquireTime", json_string(now)) | json_object_set_new(spec, "leaseTransitions", json_integer(holder ? changes + 1 : changes));
	return r == 0;
}

int cgm_lease_write(const char *old, size_t len, const char *lease_namespace, const char *name, const char *identity, uint64_t duration_s, uint64_t now_ns, struct cgm_buf *out)
{
	_cleanup_(json_done) json_t *root = old ? json_loadb(old, len, 0, NULL) : new_lease(lease_namespace, name);
	_cleanup_free_ char *text = NULL;
	json_t *spec = json_object_get(root, "spec");

	if (!json_is_object(root))
		return old ? -EINVAL : -ENOMEM;
	if (!json_is_object(spec) && json_object_set_new(root, "spec", json_object()) < 0)
		return -ENOMEM;
	spec = json_object_get(root, "spec");
	if (!fill(spec, identity, duration_s, now_ns))
		return -ENOMEM;
	text = json_dumps(root, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	cgm_buf_str(out, text);
	cgm_buf_char(out, '\0');
	return out->failed ? -ENOMEM : 0;
}
