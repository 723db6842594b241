// SPDX-License-Identifier: Apache-2.0
#include "kernel/groups.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"

const struct cgm_group_info cgm_groups[CGM_NR_GROUPS] = {
#define CGM_GROUP(id, name, programs, def, dear, needs, help) [CGM_G_##id] = { name, programs, help, CGM_GROUP_##def, dear, CGM_G_##needs },
#include "cgmeter/groups.def"
};

_Static_assert(CGM_NR_GROUPS < 64, "a bit of 64 for each group");

enum cgm_group cgm_group_find(const char *name, size_t len)
{
	unsigned i;

	for (i = 0; i < CGM_NR_GROUPS; i++)
		if (cgm_str_eq((struct cgm_str){ name, len }, cgm_groups[i].name))
			break;
	return (enum cgm_group)i;
}

/* The group whose programs have that name (len bytes) in their table. */
static enum cgm_group find_programs(const char *name, size_t len)
{
	unsigned i;

	for (i = 0; i < CGM_NR_GROUPS; i++)
		if (len && cgm_str_eq((struct cgm_str){ name, len }, cgm_groups[i].programs))
			break;
	return (enum cgm_group)i;
}

enum cgm_group cgm_group_of_programs(const char *name)
{
	return find_programs(name, strlen(name));
}

enum cgm_group cgm_group_of_source(const char *source, enum cgm_group otherwise)
{
	static const char prefix[] = "bpf:";
	enum cgm_group g;

	if (!source || strncmp(source, prefix, sizeof(prefix) - 1) != 0)
		return CGM_G_NONE;
	source += sizeof(prefix) - 1;
	g = find_programs(source, strcspn(source, " "));
	return g == CGM_NR_GROUPS ? otherwise : g;
}

bool cgm_group_named(const char *list, const char *name)
{
	struct cgm_str rest = cgm_str(list), one;

	while (cgm_next_field(&rest, ',', &one)) {
		one = cgm_trim(one);
		if (cgm_str_eq(one, name) || (one.len && one.p[0] == '+' && cgm_str_eq((struct cgm_str){ one.p + 1, one.len - 1 }, name)))
			return true;
	}
	return false;
}

struct lists {
	uint64_t only, added, disabled; /* bits of groups */
};

/* Bits of the names in text; those with a + go to *added. */
static int read_list(const char *text, uint64_t *ret, uint64_t *added, struct cgm_str *ret_bad)
{
	struct cgm_str rest = cgm_str(text ? text : ""), name;

	*ret = 0;
	while (cgm_next_field(&rest, ',', &name)) {
		enum cgm_group g;
		bool plus;

		name = cgm_trim(name);
		if (!name.len)
			continue;
		plus = added && name.p[0] == '+';
		g = cgm_group_find(name.p + plus, name.len - plus);
		*ret_bad = name;
		if (g == CGM_NR_GROUPS || (!added && cgm_groups[g].def == CGM_GROUP_ALWAYS))
			return -EINVAL;
		*(plus ? added : ret) |= 1ULL << g;
	}
	return 0;
}

static const char *why_hidden(const struct lists *l, enum cgm_group g)
{
	uint64_t bit = 1ULL << g;

	if (cgm_groups[g].def == CGM_GROUP_ALWAYS || (l->only | l->added) & bit)
		return NULL;
	if (l->only)
		return "not in --enable_metrics";
	if (l->disabled & bit)
		return cgm_groups[g].def == CGM_GROUP_LISTED ? "in --disable_metrics, as by default" : "--disable_metrics";
	return cgm_groups[g].def == CGM_GROUP_OFF ? "off by default" : NULL;
}

int cgm_group_choose(const char *enable, const char *disable, struct cgm_group_choice *ret, const char **ret_bad, size_t *ret_len)
{
	struct lists l = { 0 };
	struct cgm_str bad;

	if (read_list(enable, &l.only, &l.added, &bad) < 0 || read_list(disable, &l.disabled, NULL, &bad) < 0) {
		*ret_bad = bad.p;
		*ret_len = bad.len;
		return -EINVAL;
	}
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++)
		ret->hidden[i] = ret->unloaded[i] = why_hidden(&l, (enum cgm_group)i);
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		enum cgm_group needs = cgm_groups[i].needs;

		if (!ret->hidden[i] && needs != CGM_G_NONE && (l.only || !(l.disabled >> needs & 1)))
			ret->unloaded[needs] = NULL;
	}
	return 0;
}

uint64_t cgm_group_hidden(const struct cgm_group_choice *c)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < CGM_NR_GROUPS; i++)
		bits |= (uint64_t)(c->hidden[i] != NULL) << i;
	return bits;
}
