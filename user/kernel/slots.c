// SPDX-License-Identifier: Apache-2.0
#include "kernel/slots.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NR_STATE "MEMCG_NR_STAT"
#define NR_EVENTS "NR_VM_EVENT_ITEMS"

/* own: of the cgroup without its descendants. A name that is NULL: not in that version's file. */
static const struct {
	const char *constant, *v1, *v2;
	bool pages, own;
} defs[CGM_NR_PICKS] = {
	[CGM_PICK_FILE] = {"NR_FILE_PAGES", "total_cache", "file", true, false},
	[CGM_PICK_ANON] = {"NR_ANON_MAPPED", "total_rss", "anon", true, false},
	[CGM_PICK_SWAP] = {"MEMCG_SWAP", "total_swap", NULL, true, false},
	[CGM_PICK_MAPPED] = {"NR_FILE_MAPPED", "total_mapped_file", "file_mapped", true, false},
	[CGM_PICK_DIRTY] = {"NR_FILE_DIRTY", "total_dirty", "file_dirty", true, false},
	[CGM_PICK_WRITEBACK] = {"NR_WRITEBACK", "total_writeback", "file_writeback", true, false},
	[CGM_PICK_ACTIVE_FILE] = {"NR_ACTIVE_FILE", "total_active_file", "active_file", true, false},
	[CGM_PICK_INACTIVE_FILE] = {"NR_INACTIVE_FILE", "total_inactive_file", "inactive_file", true, false},
	[CGM_PICK_REFAULT_FILE] = {"WORKINGSET_REFAULT_FILE", "total_workingset_refault_file", "workingset_refault_file", false, false},
	[CGM_PICK_REFAULT_ANON] = {"WORKINGSET_REFAULT_ANON", "total_workingset_refault_anon", "workingset_refault_anon", false, false},
	[CGM_PICK_KERNEL] = {"MEMCG_KMEM", NULL, "kernel", true, false},
	[CGM_PICK_PGFAULT] = {"PGFAULT", "total_pgfault", "pgfault", false, false},
	[CGM_PICK_PGMAJFAULT] = {"PGMAJFAULT", "total_pgmajfault", "pgmajfault", false, false},
	[CGM_PICK_OWN_PGFAULT] = {"PGFAULT", "pgfault", NULL, false, true},
	[CGM_PICK_OWN_PGMAJFAULT] = {"PGMAJFAULT", "pgmajfault", NULL, false, true},
	[CGM_PICK_PGSCAN] = {"PGSCAN_KSWAPD", NULL, "pgscan_kswapd", false, false},
	[CGM_PICK_PGSCAN + 1] = {"PGSCAN_DIRECT", NULL, "pgscan_direct", false, false},
	[CGM_PICK_PGSCAN + 2] = {"PGSCAN_KHUGEPAGED", NULL, "pgscan_khugepaged", false, false},
	[CGM_PICK_PGSCAN + 3] = {"PGSCAN_PROACTIVE", NULL, "pgscan_proactive", false, false},
	[CGM_PICK_PGSTEAL] = {"PGSTEAL_KSWAPD", NULL, "pgsteal_kswapd", false, false},
	[CGM_PICK_PGSTEAL + 1] = {"PGSTEAL_DIRECT", NULL, "pgsteal_direct", false, false},
	[CGM_PICK_PGSTEAL + 2] = {"PGSTEAL_KHUGEPAGED", NULL, "pgsteal_khugepaged", false, false},
	[CGM_PICK_PGSTEAL + 3] = {"PGSTEAL_PROACTIVE", NULL, "pgsteal_proactive", false, false},
};

static const char *name_of(const struct cgm_slots *s, unsigned p)
{
	return s->v2 ? defs[p].v2 : defs[p].v1;
}

/* The value of a constant of an enum; -1: there is none. */
static int64_t constant(const struct btf *btf, const char *type, const char *name)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const char *found = btf__name_by_offset(btf, btf_enum(t)[i].name_off);

		if (found && strcmp(found, name) == 0)
			return btf_enum(t)[i].val;
	}
	return -1;
}

/* How many elements an array of struct memcg_vmstats has; 0: no such array. */
static uint32_t array_length(const struct btf *btf, const char *member)
{
	int id = btf__find_by_name_kind(btf, "memcg_vmstats", BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const char *found = btf__name_by_offset(btf, btf_members(t)[i].name_off);
		const struct btf_type *m = btf__type_by_id(btf, btf_members(t)[i].type);

		if (found && strcmp(found, member) == 0 && m && btf_is_array(m))
			return btf_array(m)->nelems;
	}
	return 0;
}

static bool has_bit(const uint64_t *words, unsigned i)
{
	return words[i / 64] >> (i % 64) & 1;
}

static void set_candidates(uint64_t *words, unsigned from, unsigned nr)
{
	for (unsigned i = from; i < from + nr; i++)
		words[i / 64] |= 1ULL << (i % 64);
}

int cgm_slots_init(struct cgm_slots *s, const struct btf *btf, bool v2)
{
	uint32_t nr_state = array_length(btf, "state"), nr_events = array_length(btf, "events");
	bool state_whole = nr_state == constant(btf, "memcg_stat_item", NR_STATE);
	bool events_whole = nr_events == constant(btf, "vm_event_item", NR_EVENTS);

	*s = (struct cgm_slots){.v2 = v2, .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE)};
	if (!nr_state || nr_state > CGM_STAT_STATE || !nr_events || nr_events > CGM_STAT_EVENTS)
		return -ENOTSUP;
	for (unsigned p = 0; p < CGM_NR_PICKS; p++) {
		int64_t event = constant(btf, "vm_event_item", defs[p].constant), item = constant(btf, "node_stat_item", defs[p].constant);
		unsigned from = defs[p].own ? CGM_STAT_STATE + CGM_STAT_EVENTS : CGM_STAT_STATE;
		uint64_t *c = s->pick[p].candidates;

		if (item < 0)
			item = constant(btf, "memcg_stat_item", defs[p].constant);
		s->pick[p].present = name_of(s, p) && (event >= 0 || item >= 0);
		if (item >= 0)
			set_candidates(c, state_whole ? (unsigned)item : 0, state_whole ? 1 : nr_state);
		else if (event >= 0)
			set_candidates(c, from + (events_whole ? (unsigned)event : 0), events_whole ? 1 : nr_events);
	}
	return 0;
}

static unsigned nr_candidates(const struct cgm_slots *s, unsigned p)
{
	unsigned nr = 0;

	for (unsigned w = 0; w < CGM_SLOT_WORDS; w++)
		nr += (unsigned)__builtin_popcountll(s->pick[p].candidates[w]);
	return nr;
}

bool cgm_slots_known(const struct cgm_slots *s, enum cgm_pick p)
{
	return s->pick[p].nr_seen >= 2 && s->pick[p].seen_more && nr_candidates(s, p) == 1;
}

uint64_t cgm_slots_value(const struct cgm_slots *s, enum cgm_pick p, int64_t raw)
{
	return raw <= 0 ? 0 : (uint64_t)raw * (defs[p].pages ? s->page_bytes : 1);
}

/* True when it told something new. */
static bool learn_line(struct cgm_slots *s, unsigned p, uint64_t value, const __s64 *before, const __s64 *after)
{
	uint64_t *c = s->pick[p].candidates;
	bool moved = false, fewer = false;

	for (unsigned i = 0; i < CGM_STAT_SLOTS; i++) {
		if (!has_bit(c, i))
			continue;
		/* What moves meanwhile proves nothing. */
		if (before[i] != after[i]) {
			moved = true;
		} else if (cgm_slots_value(s, p, before[i]) != value) {
			c[i / 64] &= ~(1ULL << (i % 64));
			fewer = true;
		}
	}
	s->broken |= !nr_candidates(s, p);
	/* All that are left have agreed at this value. */
	if (moved || s->pick[p].nr_seen >= 2 || (s->pick[p].nr_seen && s->pick[p].seen == value))
		return fewer;
	/* Of two values one must not be zero. */
	if (s->pick[p].nr_seen && !s->pick[p].seen_more && !value)
		return fewer;
	s->pick[p].seen_more |= value != 0;
	s->pick[p].seen = value;
	s->pick[p].nr_seen++;
	return true;
}

bool cgm_slots_learn(struct cgm_slots *s, const struct cgm_stat_raw *before, struct cgm_str text, const struct cgm_stat_raw *after)
{
	struct cgm_str line, name, number;
	bool seen[CGM_NR_PICKS] = {false}, any = false, news = false;
	uint64_t value;

	while (cgm_next_line(&text, &line)) {
		if (!cgm_next_token(&line, &name) || !cgm_next_token(&line, &number) || cgm_parse_u64(number, &value) < 0)
			continue;
		for (unsigned p = 0; p < CGM_NR_PICKS; p++) {
			if (!s->pick[p].present || !cgm_str_eq(name, name_of(s, p)))
				continue;
			seen[p] = any = true;
			news |= learn_line(s, p, value, before->slots, after->slots);
		}
	}
	for (unsigned p = 0; any && p < CGM_NR_PICKS; p++)
		s->pick[p].present = s->pick[p].present && seen[p];
	return news;
}

/* Is there a pick before p with the same candidates, that are to be compared anyway? */
static bool is_repeated(const struct cgm_slots *s, unsigned p)
{
	for (unsigned q = 0; q < p; q++)
		if (s->pick[q].present && !cgm_slots_known(s, (enum cgm_pick)q) &&
			memcmp(s->pick[q].candidates, s->pick[p].candidates, sizeof(s->pick[p].candidates)) == 0)
			return true;
	return false;
}

static void add_pair(struct cgm_stat_index *x, unsigned a, unsigned b)
{
	if (x->nr_pairs < CGM_STAT_NR_PAIRS) {
		x->pair[x->nr_pairs][0] = a;
		x->pair[x->nr_pairs][1] = b;
	}
	x->nr_pairs++;
}

void cgm_slots_index(const struct cgm_slots *s, struct cgm_stat_index *ret)
{
	ret->nr_pairs = 0;
	for (unsigned p = 0; p < CGM_STAT_NR_PICKS; p++)
		ret->pick[p] = CGM_STAT_SLOTS;
	for (unsigned p = 0; p < CGM_NR_PICKS; p++) {
		bool compare = s->pick[p].present && !cgm_slots_known(s, (enum cgm_pick)p) && !is_repeated(s, p);
		unsigned last = CGM_STAT_SLOTS;

		for (unsigned i = 0; i < CGM_STAT_SLOTS && s->pick[p].present; i++) {
			if (!has_bit(s->pick[p].candidates, i))
				continue;
			if (last == CGM_STAT_SLOTS)
				ret->pick[p] = i;
			/* A candidate that is the only one, but has not proven itself, counts where it is zero; each of several, where all
			 * agree. */
			if (compare && (last != CGM_STAT_SLOTS || nr_candidates(s, p) == 1))
				add_pair(ret, i, last);
			last = i;
		}
	}
}
