// SPDX-License-Identifier: Apache-2.0
/* The families that have no container: the machine's and the agent's own. */
#include "kernel/kernel.h"
#include "model/label.h"
#include "output/prometheus_write.h"

void cgm_prom_label(struct cgm_prom_text *t, bool comma, const char *key, const char *value)
{
	size_t key_len = strlen(key);

	if (sizeof(t->p) - t->len < key_len + 4 + CGM_LABEL_GROWTH * strlen(value))
		return;
	if (comma || t->len)
		t->p[t->len++] = ',';
	memcpy(t->p + t->len, key, key_len);
	t->len += key_len;
	t->p[t->len++] = '=';
	t->p[t->len++] = '"';
	t->len += cgm_label_escape(t->p + t->len, value);
	t->p[t->len++] = '"';
}

void cgm_prom_plain(struct cgm_prometheus *r, const struct cgm_prom_text *labels, uint64_t v, unsigned digits)
{
	char *p;

	if (!cgm_buf_reserve(r->out, r->name_len + (labels ? labels->len : 0) + CGM_PROM_NUMBER + 4))
		return;
	p = cgm_prom_put(r->out->p + r->out->len, r->name, r->name_len);
	if (labels && labels->len) {
		*p++ = '{';
		p = cgm_prom_put(p, labels->p, labels->len);
		*p++ = '}';
	}
	*p++ = ' ';
	p = cgm_prom_fixed(p, v, digits);
	*p++ = '\n';
	r->out->len = (size_t)(p - r->out->p);
}

void cgm_prom_machine_number(struct cgm_prometheus *r, uint64_t v)
{
	struct cgm_prom_text t = { 0 };

	cgm_prom_label(&t, false, "machine_id", r->machine->machine_id);
	cgm_prom_label(&t, false, "system_uuid", r->machine->system_uuid);
	cgm_prom_label(&t, false, "boot_id", r->machine->boot_id);
	cgm_prom_plain(r, &t, v, 0);
}

static void put_version_info(struct cgm_prometheus *r)
{
	struct cgm_prom_text t = { 0 };

	if (!r->machine)
		return;
	cgm_prom_label(&t, false, "cadvisorRevision", "");
	cgm_prom_label(&t, false, "cadvisorVersion", CGM_VERSION);
	cgm_prom_label(&t, false, "dockerVersion", "");
	cgm_prom_label(&t, false, "kernelVersion", r->machine->kernel_version);
	cgm_prom_label(&t, false, "osVersion", r->machine->os_version);
	cgm_prom_plain(r, &t, 1, 0);
}

static void put_label(struct cgm_prometheus *r, const char *key, const char *value, uint64_t v)
{
	struct cgm_prom_text t = { 0 };

	cgm_prom_label(&t, false, key, value);
	cgm_prom_plain(r, &t, v, 0);
}

static void put_programs(struct cgm_prometheus *r)
{
	for (size_t i = 0; i < r->s->self.nr_programs; i++) {
		const struct cgm_program_status *s = &r->s->self.programs[i];
		struct cgm_prom_text t = { 0 };

		cgm_prom_label(&t, false, "program", s->name);
		cgm_prom_label(&t, false, "hook", s->hook);
		cgm_prom_label(&t, false, "mode", s->mode);
		cgm_prom_label(&t, false, "reason", s->reason);
		cgm_prom_plain(r, &t, strcmp(s->mode, "off") != 0, 0);
	}
}

bool cgm_prom_agent_family(struct cgm_prometheus *r, enum cgm_family_id f)
{
	const struct cgm_self *self = &r->s->self;

	switch (f) {
	case CGM_F_VERSION_INFO:
		put_version_info(r);
		return true;
	case CGM_F_MACHINE_SCRAPE_ERROR:
		cgm_prom_plain(r, NULL, !r->machine, 0);
		return true;
	case CGM_F_CONTAINER_SCRAPE_ERROR:
		cgm_prom_plain(r, NULL, 0, 0); /* there is a snapshot, so they could be read */
		return true;
	case CGM_F_BUILD_INFO:
		put_label(r, "version", CGM_VERSION, 1);
		return true;
	case CGM_F_DROPPED:
		for (int i = 0; i < CGM_NR_DROPS; i++)
			put_label(r, "reason", cgm_drop_name((enum cgm_drop)i), self->drops[i]);
		return true;
	case CGM_F_PROGRAM_ATTACHED:
		put_programs(r);
		return true;
	case CGM_F_CGROUP_MODE:
		if (self->cgroup_mode)
			put_label(r, "mode", self->cgroup_mode, 1);
		return true;
	default:
		return false;
	}
}
