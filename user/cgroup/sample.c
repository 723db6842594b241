// SPDX-License-Identifier: Apache-2.0
#include "cgroup/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void cgm_sample_reset(struct cgm_sample *s)
{
	s->time_ns = 0;
	memset(s->v, 0, sizeof(s->v));
	memset(s->have, 0, sizeof(s->have));
	s->nr_cpus = s->nr_disks = s->nr_ifaces = s->nr_numa = s->nr_fs = s->nr_extras = s->nr_extra_v = 0;
}

void cgm_sample_done(struct cgm_sample *s)
{
	free(s->cpu_ns);
	free(s->disks);
	free(s->ifaces);
	free(s->numa);
	free(s->fs);
	free(s->extras);
	free(s->extra_v);
	*s = (struct cgm_sample){ 0 };
}

struct cgm_disk_row *cgm_sample_disk(struct cgm_sample *s, uint32_t major, uint32_t minor)
{
	struct cgm_disk_row *row;

	for (size_t i = 0; i < s->nr_disks; i++)
		if (s->disks[i].major == major && s->disks[i].minor == minor)
			return &s->disks[i];
	if (cgm_grow((void **)&s->disks, &s->cap_disks, s->nr_disks, sizeof(*s->disks)) < 0)
		return NULL;
	row = &s->disks[s->nr_disks++];
	*row = (struct cgm_disk_row){ .major = major, .minor = minor };
	return row;
}

struct cgm_iface_row *cgm_sample_iface(struct cgm_sample *s, const char *name)
{
	struct cgm_iface_row *row;
	size_t len = strnlen(name, sizeof(row->name) - 1);

	for (size_t i = 0; i < s->nr_ifaces; i++)
		if (strncmp(s->ifaces[i].name, name, sizeof(row->name) - 1) == 0)
			return &s->ifaces[i];
	if (cgm_grow((void **)&s->ifaces, &s->cap_ifaces, s->nr_ifaces, sizeof(*s->ifaces)) < 0)
		return NULL;
	row = &s->ifaces[s->nr_ifaces++];
	*row = (struct cgm_iface_row){ 0 };
	memcpy(row->name, name, len);
	return row;
}

struct cgm_numa_row *cgm_sample_numa(struct cgm_sample *s, uint32_t node)
{
	struct cgm_numa_row *row;

	for (size_t i = 0; i < s->nr_numa; i++)
		if (s->numa[i].node == node)
			return &s->numa[i];
	if (cgm_grow((void **)&s->numa, &s->cap_numa, s->nr_numa, sizeof(*s->numa)) < 0)
		return NULL;
	row = &s->numa[s->nr_numa++];
	*row = (struct cgm_numa_row){ .node = node };
	return row;
}

struct cgm_fs_row *cgm_sample_fs(struct cgm_sample *s, const char *device, const char *type)
{
	struct cgm_fs_row *row;

	for (size_t i = 0; i < s->nr_fs; i++)
		if (strncmp(s->fs[i].device, device, sizeof(row->device) - 1) == 0)
			return &s->fs[i];
	if (cgm_grow((void **)&s->fs, &s->cap_fs, s->nr_fs, sizeof(*s->fs)) < 0)
		return NULL;
	row = &s->fs[s->nr_fs++];
	*row = (struct cgm_fs_row){ 0 };
	memcpy(row->device, device, strnlen(device, sizeof(row->device) - 1));
	memcpy(row->type, type, strnlen(type, sizeof(row->type) - 1));
	return row;
}

/* Room for nr more numbers. */
static int grow_values(struct cgm_sample *s, size_t nr)
{
	size_t cap = s->cap_extra_v ? s->cap_extra_v : 32;
	uint64_t *p;

	while (cap - s->nr_extra_v < nr)
		cap *= 2;
	if (cap == s->cap_extra_v)
		return 0;
	p = cgm_realloc(s->extra_v, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->extra_v = p;
	s->cap_extra_v = cap;
	return 0;
}

uint64_t *cgm_sample_extra(struct cgm_sample *s, enum cgm_layout_kind kind, uint32_t number, const char *name, size_t nr)
{
	struct cgm_extra *x;

	for (size_t i = 0; i < s->nr_extras; i++) {
		x = &s->extras[i];
		if (x->kind == kind && x->number == number && strncmp(x->name, name, sizeof(x->name) - 1) == 0)
			return s->extra_v + x->first;
	}
	if (cgm_grow((void **)&s->extras, &s->cap_extras, s->nr_extras, sizeof(*s->extras)) < 0 || grow_values(s, nr) < 0)
		return NULL;
	x = &s->extras[s->nr_extras++];
	*x = (struct cgm_extra){ .kind = kind, .number = number, .first = (uint32_t)s->nr_extra_v, .nr = (uint32_t)nr };
	memcpy(x->name, name, strnlen(name, sizeof(x->name) - 1));
	memset(s->extra_v + x->first, 0, nr * sizeof(*s->extra_v));
	s->nr_extra_v += nr;
	return s->extra_v + x->first;
}

int cgm_sample_merge(struct cgm_sample *s, const struct cgm_sample *from)
{
	for (size_t w = 0; w < CGM_VALUE_WORDS; w++) {
		s->have[w] |= from->have[w];
		for (uint64_t bits = from->have[w]; bits; bits &= bits - 1) {
			size_t id = w * 64 + (size_t)__builtin_ctzll(bits);

			s->v[id] = from->v[id];
		}
	}
	for (size_t i = 0; i < from->nr_extras; i++) {
		const struct cgm_extra *x = &from->extras[i];
		uint64_t *v = cgm_sample_extra(s, x->kind, x->number, x->name, x->nr);

		if (!v)
			return -ENOMEM;
		memcpy(v, from->extra_v + x->first, x->nr * sizeof(*v));
	}
	return 0;
}

int cgm_sample_cpus(struct cgm_sample *s, size_t nr_cpus)
{
	if (nr_cpus > s->cap_cpus) {
		uint64_t *p = cgm_realloc(s->cpu_ns, nr_cpus * sizeof(*p));

		if (!p)
			return -ENOMEM;
		s->cpu_ns = p;
		s->cap_cpus = nr_cpus;
	}
	s->nr_cpus = nr_cpus;
	if (nr_cpus)
		memset(s->cpu_ns, 0, nr_cpus * sizeof(*s->cpu_ns));
	return 0;
}
