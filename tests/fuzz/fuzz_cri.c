// SPDX-License-Identifier: Apache-2.0
/*
 * What container runtimes answer: the CRI's messages, containerd's own, and the JSON within. Invariants: a result is 0 or an errno that is promised, ids are
 * not empty, texts end within what was set aside for them, and what is borrowed can be read.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "identity/cri_decode.h"
#include "identity/json_cri.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static int on_item(void *arg, struct cgm_str id, enum cgm_who_state state)
{
	(void)arg;
	check(id.len > 0 && state <= CGM_STATE_EXITED);
	return 0;
}

static int on_part(void *arg, struct cgm_str part)
{
	const struct cgm_str *whole = arg;

	check(part.len <= whole->len && part.p >= whole->p && part.p + part.len <= whole->p + whole->len);
	return 0;
}

static void try_json(struct cgm_str json)
{
	struct cgm_cri_info info = { 0 };
	int r = cgm_cri_info_read(json, "A, SHOP_,IMAGE", &info);

	check(r == 0 || r == -EINVAL);
	for (size_t i = 0; i < info.nr_envs; i++)
		check(*info.envs[i].key && strlen(info.envs[i].key) + strlen(info.envs[i].value) < json.len);
	cgm_cri_info_done(&info);
}

static void try_facts(struct cgm_str m, int (*decode)(struct cgm_str, struct cgm_cri_facts *))
{
	struct cgm_cri_facts f = { 0 };
	struct cgm_who *who;
	int r = decode(m, &f);

	check(r == 0 || r == -EINVAL);
	check(f.texts_len <= m.len);
	if (r == 0) {
		check(f.who.id && *f.who.id);
		(void)cgm_containerd_add_task(m, &f);
		try_json(f.info);
		f.who.runtime = "containerd";
		who = cgm_who_new(&f.who);
		check(who != NULL);
		cgm_who_unref(who);
	}
	cgm_cri_facts_done(&f);
}

static void try_event(struct cgm_str m, int (*decode)(struct cgm_str, struct cgm_cri_event *))
{
	struct cgm_cri_event e = { .state = CGM_STATE_PAUSED };
	int r = decode(m, &e);

	check(r == 0 || r == -EINVAL);
	check(r == 0 || (e.state == CGM_STATE_PAUSED && !e.id.p));
	check(e.state <= CGM_STATE_EXITED);
	if (r == 0 && e.id.len)
		(void)on_part(&m, e.id);
	if (r == 0 && e.namespace.len)
		(void)on_part(&m, e.namespace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_str m = { (const char *)data, size };
	struct cgm_cri_version v;
	struct cgm_cri_images images;

	if (cgm_cri_decode_version(m, &v) == 0)
		check(memchr(v.name, '\0', sizeof(v.name)) && memchr(v.version, '\0', sizeof(v.version)));
	(void)cgm_containerd_decode_version(m, &v);
	(void)cgm_cri_decode_images(m, &images);
	(void)cgm_cri_each_container(m, on_item, NULL);
	(void)cgm_cri_each_sandbox(m, on_item, NULL);
	(void)cgm_containerd_each_namespace(m, on_part, &m);
	(void)cgm_containerd_each_container(m, on_part, &m);
	try_facts(m, cgm_cri_decode_container);
	try_facts(m, cgm_cri_decode_sandbox);
	try_facts(m, cgm_containerd_decode_container);
	try_event(m, cgm_cri_decode_event);
	try_event(m, cgm_containerd_decode_event);
	try_json(m);
	return 0;
}
