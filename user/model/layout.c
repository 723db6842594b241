// SPDX-License-Identifier: Apache-2.0
#include "model/layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A search; n is where to look first: rows mostly come in the order of the blocks. */
struct cursor {
	const struct cgm_layout *l;
	uint32_t n;
};

struct cgm_layout *cgm_layout_ref(struct cgm_layout *l)
{
	__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
	return l;
}

void cgm_layout_unref(struct cgm_layout *l)
{
	if (l && __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(l);
}

/* Disks and nodes are known by number, the others by name. */
static const struct cgm_layout_block *find(struct cursor *c, enum cgm_layout_kind kind, uint32_t major, uint32_t minor, const char *name)
{
	uint32_t nr = c->l ? c->l->nr_blocks : 0;

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t at = c->n + i < nr ? c->n + i : c->n + i - nr;
		const struct cgm_layout_block *b = &c->l->blocks[at];

		if (b->kind != kind || b->major != major || b->minor != minor || strcmp(kind == CGM_LAYOUT_DISK ? "" : b->name, name) != 0)
			continue;
		c->n = at + 1 < nr ? at + 1 : 0;
		return b;
	}
	return NULL;
}

static uint32_t nr_cpus(const struct cgm_layout *l)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; l && i < l->nr_blocks; i++)
		if (l->blocks[i].kind == CGM_LAYOUT_CPU)
			nr += l->blocks[i].nr;
	return nr;
}

/* How many blocks s has that old has not. */
static uint32_t count_missing(const struct cgm_layout *old, const struct cgm_sample *s)
{
	struct cursor c = { .l = old };
	uint32_t nr = s->nr_cpus > nr_cpus(old);

	for (size_t i = 0; i < s->nr_disks; i++)
		nr += !find(&c, CGM_LAYOUT_DISK, s->disks[i].major, s->disks[i].minor, "");
	for (size_t i = 0; i < s->nr_ifaces; i++)
		nr += !find(&c, CGM_LAYOUT_IFACE, 0, 0, s->ifaces[i].name);
	for (size_t i = 0; i < s->nr_numa; i++)
		nr += !find(&c, CGM_LAYOUT_NUMA, 0, s->numa[i].node, "");
	for (size_t i = 0; i < s->nr_fs; i++)
		nr += !find(&c, CGM_LAYOUT_FS, 0, 0, s->fs[i].device);
	for (size_t i = 0; i < s->nr_extras; i++)
		nr += !find(&c, s->extras[i].kind, 0, s->extras[i].number, s->extras[i].name);
	return nr;
}

/* An interface of l is gone. A container may change its network namespace; zeros in its name would look like counters that began anew. */
static bool lost_iface(const struct cgm_layout *l, const struct cgm_sample *s)
{
	for (uint32_t b = 0; l && b < l->nr_blocks; b++) {
		size_t i = 0;

		if (l->blocks[b].kind != CGM_LAYOUT_IFACE)
			continue;
		while (i < s->nr_ifaces && strcmp(s->ifaces[i].name, l->blocks[b].name) != 0)
			i++;
		if (i == s->nr_ifaces)
			return true;
	}
	return false;
}

/* The same for an extra: of a namespace, an event. */
static bool lost_extra(const struct cgm_layout *l, const struct cgm_sample *s)
{
	for (uint32_t b = 0; l && b < l->nr_blocks; b++) {
		const struct cgm_layout_block *block = &l->blocks[b];
		size_t i = 0;

		if (block->kind < CGM_LAYOUT_HUGETLB)
			continue;
		while (i < s->nr_extras &&
			(s->extras[i].kind != block->kind || s->extras[i].number != block->minor || strcmp(s->extras[i].name, block->name) != 0))
			i++;
		if (i == s->nr_extras)
			return true;
	}
	return false;
}

/* And for a file system that is mounted no more: nobody is to be told of one with nothing in it. */
static bool lost_fs(const struct cgm_layout *l, const struct cgm_sample *s)
{
	for (uint32_t b = 0; l && b < l->nr_blocks; b++) {
		size_t i = 0;

		if (l->blocks[b].kind != CGM_LAYOUT_FS)
			continue;
		while (i < s->nr_fs && strcmp(s->fs[i].device, l->blocks[b].name) != 0)
			i++;
		if (i == s->nr_fs)
			return true;
	}
	return false;
}

static bool have_all(const struct cgm_layout *l, const struct cgm_sample *s)
{
	for (size_t i = 0; i < CGM_VALUE_WORDS; i++)
		if (s->have[i] & ~l->have[i])
			return false;
	return true;
}

static struct cgm_layout_block *append(struct cgm_layout *l, enum cgm_layout_kind kind, uint32_t nr)
{
	struct cgm_layout_block *b = &l->blocks[l->nr_blocks++];

	b->kind = kind;
	b->first = l->nr_values;
	b->nr = nr;
	l->nr_values += nr;
	return b;
}

static void append_disk(struct cgm_layout *l, const struct cgm_disk_row *d, cgm_disk_name_fn disk_name, void *arg)
{
	struct cgm_layout_block *b = append(l, CGM_LAYOUT_DISK, CGM_NR_DISK_VALUES);
	char name[CGM_FS_DEVICE] = "";
	const char *p = disk_name ? disk_name(arg, d->major, d->minor, name, sizeof(name)) : NULL;

	b->major = d->major;
	b->minor = d->minor;
	snprintf(b->name, sizeof(b->name), "%s", p ? p : "");
}

static void append_extras(struct cgm_layout *l, struct cursor *c, const struct cgm_sample *s)
{
	for (size_t i = 0; i < s->nr_extras; i++) {
		const struct cgm_extra *x = &s->extras[i];
		struct cgm_layout_block *b;

		if (find(c, x->kind, 0, x->number, x->name))
			continue;
		b = append(l, x->kind, x->nr);
		b->minor = x->number;
		snprintf(b->name, sizeof(b->name), "%s", x->name);
	}
}

static void append_missing(struct cgm_layout *l, const struct cgm_layout *old, const struct cgm_sample *s, cgm_disk_name_fn disk_name,
			   void *arg)
{
	struct cursor c = { .l = old };
	struct cgm_layout_block *b;

	if (s->nr_cpus > nr_cpus(old))
		append(l, CGM_LAYOUT_CPU, (uint32_t)s->nr_cpus - nr_cpus(old));
	for (size_t i = 0; i < s->nr_disks; i++)
		if (!find(&c, CGM_LAYOUT_DISK, s->disks[i].major, s->disks[i].minor, ""))
			append_disk(l, &s->disks[i], disk_name, arg);
	for (size_t i = 0; i < s->nr_ifaces; i++) {
		if (find(&c, CGM_LAYOUT_IFACE, 0, 0, s->ifaces[i].name))
			continue;
		b = append(l, CGM_LAYOUT_IFACE, CGM_NR_IFACE_VALUES);
		snprintf(b->name, sizeof(b->name), "%s", s->ifaces[i].name);
	}
	for (size_t i = 0; i < s->nr_numa; i++) {
		if (find(&c, CGM_LAYOUT_NUMA, 0, s->numa[i].node, ""))
			continue;
		b = append(l, CGM_LAYOUT_NUMA, CGM_NR_NUMA_VALUES);
		b->minor = s->numa[i].node;
	}
	for (size_t i = 0; i < s->nr_fs; i++) {
		if (find(&c, CGM_LAYOUT_FS, 0, 0, s->fs[i].device))
			continue;
		b = append(l, CGM_LAYOUT_FS, CGM_NR_FS_VALUES);
		snprintf(b->name, sizeof(b->name), "%s", s->fs[i].device);
		snprintf(b->type, sizeof(b->type), "%s", s->fs[i].type);
	}
	append_extras(l, &c, s);
}

struct cgm_layout *cgm_layout_for(struct cgm_layout *old, const struct cgm_sample *s, cgm_disk_name_fn disk_name, void *arg)
{
	uint32_t missing, nr_old;
	struct cgm_layout *l;

	if (lost_iface(old, s) || lost_fs(old, s) || lost_extra(old, s))
		old = NULL;
	missing = count_missing(old, s);
	nr_old = old ? old->nr_blocks : 0;
	if (old && !missing && have_all(old, s))
		return cgm_layout_ref(old);
	l = cgm_calloc(1, sizeof(*l) + (nr_old + missing) * sizeof(l->blocks[0]));
	if (!l)
		return NULL;
	l->refs = 1;
	l->nr_values = old ? old->nr_values : CGM_NR_VALUES;
	l->nr_blocks = nr_old;
	if (nr_old)
		memcpy(l->blocks, old->blocks, nr_old * sizeof(l->blocks[0]));
	for (size_t i = 0; i < CGM_VALUE_WORDS; i++)
		l->have[i] = s->have[i] | (old ? old->have[i] : 0);
	append_missing(l, old, s, disk_name, arg);
	return l;
}

static void pack_cpus(const struct cgm_layout *l, const struct cgm_sample *s, uint64_t *values)
{
	size_t done = 0;

	for (uint32_t i = 0; i < l->nr_blocks && done < s->nr_cpus; i++) {
		const struct cgm_layout_block *b = &l->blocks[i];
		size_t nr = b->nr < s->nr_cpus - done ? b->nr : s->nr_cpus - done;

		if (b->kind != CGM_LAYOUT_CPU)
			continue;
		memcpy(values + b->first, s->cpu_ns + done, nr * sizeof(*values));
		done += nr;
	}
}

static void pack_block(const struct cgm_layout_block *b, const uint64_t *v, uint64_t *values)
{
	for (uint32_t i = 0; b && i < b->nr; i++)
		values[b->first + i] = v[i];
}

void cgm_layout_pack(const struct cgm_layout *l, const struct cgm_sample *s, uint64_t *ret_values)
{
	struct cursor c = { .l = l };

	memcpy(ret_values, s->v, CGM_NR_VALUES * sizeof(*ret_values));
	memset(ret_values + CGM_NR_VALUES, 0, (l->nr_values - CGM_NR_VALUES) * sizeof(*ret_values));
	pack_cpus(l, s, ret_values);
	for (size_t i = 0; i < s->nr_disks; i++)
		pack_block(find(&c, CGM_LAYOUT_DISK, s->disks[i].major, s->disks[i].minor, ""), s->disks[i].v, ret_values);
	for (size_t i = 0; i < s->nr_ifaces; i++)
		pack_block(find(&c, CGM_LAYOUT_IFACE, 0, 0, s->ifaces[i].name), s->ifaces[i].v, ret_values);
	for (size_t i = 0; i < s->nr_numa; i++)
		pack_block(find(&c, CGM_LAYOUT_NUMA, 0, s->numa[i].node, ""), s->numa[i].v, ret_values);
	for (size_t i = 0; i < s->nr_fs; i++)
		pack_block(find(&c, CGM_LAYOUT_FS, 0, 0, s->fs[i].device), s->fs[i].v, ret_values);
	for (size_t i = 0; i < s->nr_extras; i++)
		pack_block(find(&c, s->extras[i].kind, 0, s->extras[i].number, s->extras[i].name), s->extra_v + s->extras[i].first, ret_values);
}

static int unpack_cpus(const struct cgm_layout *l, const uint64_t *values, struct cgm_sample *s)
{
	size_t done = 0;
	int r = cgm_sample_cpus(s, nr_cpus(l));

	for (uint32_t i = 0; r == 0 && i < l->nr_blocks; i++) {
		const struct cgm_layout_block *b = &l->blocks[i];

		if (b->kind != CGM_LAYOUT_CPU)
			continue;
		memcpy(s->cpu_ns + done, values + b->first, b->nr * sizeof(*values));
		done += b->nr;
	}
	return r;
}

/* Where a block's values stand in the sample. NULL: out of memory. */
static uint64_t *place_of(const struct cgm_layout_block *b, struct cgm_sample *s)
{
	struct cgm_disk_row *disk;
	struct cgm_iface_row *iface;
	struct cgm_numa_row *numa;
	struct cgm_fs_row *fs;

	switch (b->kind) {
	case CGM_LAYOUT_DISK:
		disk = cgm_sample_disk(s, b->major, b->minor);
		return disk ? disk->v : NULL;
	case CGM_LAYOUT_IFACE:
		iface = cgm_sample_iface(s, b->name);
		return iface ? iface->v : NULL;
	case CGM_LAYOUT_NUMA:
		numa = cgm_sample_numa(s, b->minor);
		return numa ? numa->v : NULL;
	case CGM_LAYOUT_FS:
		fs = cgm_sample_fs(s, b->name, b->type);
		return fs ? fs->v : NULL;
	default:
		return cgm_sample_extra(s, b->kind, b->minor, b->name, b->nr);
	}
}

int cgm_layout_unpack(const struct cgm_layout *l, const uint64_t *values, bool with_disks, struct cgm_sample *s)
{
	int r = nr_cpus(l) ? unpack_cpus(l, values, s) : 0;

	if (r < 0)
		return r;
	memcpy(s->v, values, CGM_NR_VALUES * sizeof(*values));
	memcpy(s->have, l->have, sizeof(s->have)); /* NOLINT(clang-analyzer-core.NonNullParamChecker): a layout is there */
	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		const struct cgm_layout_block *b = &l->blocks[i];
		uint64_t *to;

		if (b->kind == CGM_LAYOUT_CPU || (b->kind == CGM_LAYOUT_DISK && !with_disks))
			continue;
		to = place_of(b, s);
		if (!to)
			return -ENOMEM;
		memcpy(to, values + b->first, b->nr * sizeof(*values));
	}
	return 0;
}
