// SPDX-License-Identifier: Apache-2.0
#include "identity/path.h"

#include <string.h>

#include "base/cleanup.h"

#define ID_DIGITS 64

/* How a runtime's container looks in the last part of a path. The longer of two that begin alike stands first. */
static const struct {
	const char *prefix;
	const char *runtime; /* NULL: no container at all, only what watches one */
} prefixes[] = {
	{ "docker-", "docker" },
	{ "libpod-conmon-", NULL },
	{ "libpod-payload-", NULL }, /* crun's for what is inside of a container */
	{ "libpod-", "podman" },
	{ "cri-containerd-", "containerd" },
	{ "nerdctl-", "containerd" },
	{ "crio-conmon-", NULL },
	{ "crio-", "crio" },
};

static const char *const units[] = { ".service", ".scope", ".slice", ".mount", ".socket", ".swap" };

static bool begins(struct cgm_str s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s.len >= len && memcmp(s.p, prefix, len) == 0;
}

static bool ends(struct cgm_str s, const char *suffix)
{
	size_t len = strlen(suffix);

	return s.len > len && memcmp(s.p + s.len - len, suffix, len) == 0;
}

static struct cgm_str without(struct cgm_str s, size_t front, size_t back)
{
	return (struct cgm_str){ s.p + front, s.len - front - back };
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_hex_id(struct cgm_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_hex(s.p[i]))
			return false;
	return s.len == ID_DIGITS;
}

static bool is_unit(struct cgm_str s)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (ends(s, units[i]))
			return true;
	return false;
}

/* Cuts the last part off; empty when there is none. */
static struct cgm_str cut_last(struct cgm_str *path)
{
	size_t at = path->len;
	struct cgm_str last;

	while (at && path->p[at - 1] != '/')
		at--;
	last = without(*path, at, 0);
	path->len = at ? at - 1 : 0;
	return last;
}

/* 8-4-4-4-12 hexadecimal digits, or 32 without a dash (a static pod: the hash of its file). */
static bool is_uid(struct cgm_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		bool dash = s.len == 36 && (i == 8 || i == 13 || i == 18 || i == 23);

		if (dash ? s.p[i] != '-' && s.p[i] != '_' : !is_hex(s.p[i]))
			return false;
	}
	return s.len == 36 || s.len == 32;
}

/* "pod<UID>" of the cgroupfs driver, "kubepods-burstable-pod<UID with _>.slice" of systemd's. */
static bool pod_uid(struct cgm_str part, char ret[static CGM_POD_UID_BYTES])
{
	bool slice = begins(part, "kubepods") && ends(part, ".slice");
	struct cgm_str uid = part;

	if (slice) {
		const char *at = memmem(part.p, part.len, "-pod", 4);

		if (!at)
			return false;
		uid = without(part, (size_t)(at - part.p) + 4, strlen(".slice"));
	} else if (begins(part, "pod")) {
		uid = without(part, 3, 0);
	} else {
		return false;
	}
	if (!is_uid(uid))
		return false;
	for (size_t i = 0; i < uid.len; i++)
		ret[i] = (char)(slice && uid.p[i] == '_' ? '-' : uid.p[i]);
	ret[uid.len] = '\0';
	return true;
}

/* By its prefix. True: part is decided. */
static bool by_prefix(struct cgm_str part, struct cgm_path_facts *ret)
{
	struct cgm_str id = ends(part, ".scope") ? without(part, 0, strlen(".scope")) : part;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (!begins(id, prefixes[i].prefix))
			continue;
		id = without(id, strlen(prefixes[i].prefix), 0);
		if (!is_hex_id(id))
			return false;
		if (prefixes[i].runtime) {
			ret->kind = CGM_PATH_CONTAINER;
			ret->id = id;
			ret->runtime = prefixes[i].runtime;
		}
		return true;
	}
	return false;
}

/* The path up to it ends in that part. */
static bool is_below(struct cgm_str parents, const char *name)
{
	struct cgm_str last = cut_last(&parents);

	return cgm_str_eq(last, name);
}

/* podman under systemd, since version 4 */
static bool is_payload(struct cgm_str part, struct cgm_str parent, struct cgm_path_facts *ret)
{
	struct cgm_path_facts around = { 0 };

	if (!cgm_str_eq(part, "container") || !by_prefix(parent, &around))
		return false;
	ret->inside = around.id;
	return true;
}

static bool by_lxc(struct cgm_str part, struct cgm_str parents, struct cgm_path_facts *ret)
{
	if (begins(part, "lxc.payload.") && part.len > strlen("lxc.payload."))
		ret->id = without(part, strlen("lxc.payload."), 0);
	else if (is_below(parents, "lxc") || is_below(parents, "lxc.payload"))
		ret->id = part;
	else
		return false;
	ret->kind = CGM_PATH_CONTAINER;
	ret->runtime = "lxc";
	return true;
}

/* The last part alone decides; what stands before it tells of the runtime and of the pod. */
void cgm_path_parse(const char *path, struct cgm_path_facts *ret)
{
	struct cgm_str parents = cgm_str(path), last = cut_last(&parents), above = parents, parent = cut_last(&above), rest = parents;

	*ret = (struct cgm_path_facts){ .kind = CGM_PATH_OTHER };
	if (!last.len)
		return;
	if (pod_uid(last, ret->pod_uid)) {
		ret->kind = CGM_PATH_POD;
		return;
	}
	while (rest.len && !pod_uid(cut_last(&rest), ret->pod_uid))
		;
	if (by_prefix(last, ret) || is_payload(last, parent, ret))
		return;
	if (is_hex_id(last)) {
		ret->kind = CGM_PATH_CONTAINER;
		ret->id = last;
		ret->runtime = cgm_str_eq(parent, "docker") ? "docker" : NULL;
		return;
	}
	if (is_unit(last)) {
		ret->kind = CGM_PATH_UNIT;
		ret->id = last;
		return;
	}
	if (by_lxc(last, parents, ret))
		return;
	/* containerd's own: /NAMESPACE/ID, where an id may be any name. Whether it is one, only the runtime knows. */
	if (parent.len && !above.len && !is_unit(parent) && !begins(parent, "lxc."))
		ret->id = last;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* systemd writes a byte that may not stand in a unit's name as \xHH. */
static void unescape(struct cgm_str s, struct cgm_buf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		bool escape = s.len - i >= 4 && s.p[i] == '\\' && s.p[i + 1] == 'x' && digit(s.p[i + 2]) >= 0 && digit(s.p[i + 3]) >= 0;
		char c = escape ? (char)(digit(s.p[i + 2]) << 4 | digit(s.p[i + 3])) : s.p[i];

		if (escape)
			i += 3;
		/* A title is one line of text. */
		cgm_buf_char(out, c >= 0 && c < ' ' ? '?' : c);
	}
}

void cgm_path_title(const char *path, struct cgm_buf *out)
{
	static const struct {
		const char *prefix, *suffix;
	} machines[] = { { "machine-", ".scope" }, { "systemd-nspawn@", ".service" } };
	struct cgm_path_facts f;

	cgm_path_parse(path, &f);
	if (f.kind == CGM_PATH_CONTAINER && f.runtime && strcmp(f.runtime, "lxc") == 0)
		cgm_buf_put(out, f.id.p, f.id.len);
	if (f.kind != CGM_PATH_UNIT)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		struct cgm_str rest = begins(f.id, machines[i].prefix) ? without(f.id, strlen(machines[i].prefix), 0) : (struct cgm_str){ 0 };

		if (ends(rest, machines[i].suffix)) {
			f.id = without(rest, 0, strlen(machines[i].suffix));
			break;
		}
	}
	unescape(f.id, out);
}
