// SPDX-License-Identifier: Apache-2.0
#include "sink/resource.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"

#define ID_LEN 64

static bool is_hex(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)p[i]) && (p[i] < 'a' || p[i] > 'f'))
			return false;
	return true;
}

static bool cut_end(struct cgm_str *s, const char *end)
{
	size_t len = strlen(end);

	if (s->len < len || memcmp(s->p + s->len - len, end, len) != 0)
		return false;
	s->len -= len;
	return true;
}

static bool cut_start(struct cgm_str *s, const char *start)
{
	size_t len = strlen(start);

	if (s->len < len || memcmp(s->p, start, len) != 0)
		return false;
	s->p += len;
	s->len -= len;
	return true;
}

static bool as_container(struct cgm_str part, struct cgm_resource *r)
{
	static const struct {
		const char *start, *runtime;
	} forms[] = { { "docker-", "docker" }, { "cri-containerd-", "containerd" }, { "crio-", "cri-o" }, { "libpod-", "podman" } };
	const char *runtime = "";

	(void)cut_end(&part, ".scope");
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!cut_start(&part, forms[i].start))
			continue;
		runtime = forms[i].runtime;
		break;
	}
	if (part.len != ID_LEN || !is_hex(part.p, part.len))
		return false;
	r->container_id = part;
	r->runtime = runtime;
	return true;
}

/* 8-4-4-4-12 hexadecimal digits, or 32 without a dash (a static pod). */
static bool as_uid(struct cgm_str text, char *uid)
{
	size_t len = 0;

	if (text.len != 36 && text.len != 32)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		bool dash = text.len == 36 && (i == 8 || i == 13 || i == 18 || i == 23);

		if (dash ? text.p[i] != '-' && text.p[i] != '_' : !is_hex(text.p + i, 1))
			return false;
		uid[len++] = dash ? '-' : text.p[i];
	}
	uid[len] = '\0';
	return true;
}

static bool as_pod(struct cgm_str part, struct cgm_resource *r)
{
	const char *p;

	if (cut_end(&part, ".slice")) {
		p = memmem(part.p, part.len, "-pod", 4);
		if (!p || !cut_start(&part, "kubepods"))
			return false;
		part = (struct cgm_str){ p + 4, (size_t)(part.p + part.len - p) - 4 };
	} else if (!cut_start(&part, "pod")) {
		return false;
	}
	return as_uid(part, r->pod_uid);
}

void cgm_resource_of(const char *path, struct cgm_resource *ret)
{
	struct cgm_str rest = cgm_str(path), part = { 0 };
	bool pod = false;

	*ret = (struct cgm_resource){ .kind = CGM_RESOURCE_CGROUP, .runtime = "" };
	if (strcmp(path, "/") == 0) {
		ret->kind = CGM_RESOURCE_MACHINE;
		return;
	}
	while (cgm_next_field(&rest, '/', &part))
		pod = as_pod(part, ret);
	if (pod)
		ret->kind = CGM_RESOURCE_POD;
	else if (as_container(part, ret))
		ret->kind = CGM_RESOURCE_CONTAINER;
	if (ret->kind == CGM_RESOURCE_CONTAINER && !*ret->runtime && strncmp(path, "/docker/", 8) == 0)
		ret->runtime = "docker";
}
