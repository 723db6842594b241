// SPDX-License-Identifier: Apache-2.0
/* The families of the machine: its facts, and its topology. */
#include "output/prometheus_write.h"

static void add_ids(struct cgm_prom_text *t, const struct cgm_machine *m)
{
	cgm_prom_label(t, false, "machine_id", m->machine_id);
	cgm_prom_label(t, false, "system_uuid", m->system_uuid);
	cgm_prom_label(t, false, "boot_id", m->boot_id);
}

static void add_number(struct cgm_prom_text *t, const char *key, uint64_t v)
{
	char text[CGM_PROM_NUMBER];

	*cgm_prom_u64(text, v) = '\0';
	cgm_prom_label(t, true, key, text);
}

void cgm_prom_machine_number(struct cgm_prometheus *r, uint64_t v)
{
	struct cgm_prom_text t = { 0 };

	add_ids(&t, r->machine);
	cgm_prom_plain(r, &t, v, 0);
}

static void put_version_info(struct cgm_prometheus *r)
{
	struct cgm_prom_text t = { 0 };

	cgm_prom_label(&t, false, "cadvisorRevision", "");
	cgm_prom_label(&t, false, "cadvisorVersion", CGM_VERSION);
	cgm_prom_label(&t, false, "dockerVersion", "");
	cgm_prom_label(&t, false, "kernelVersion", r->machine->kernel_version);
	cgm_prom_label(&t, false, "osVersion", r->machine->os_version);
	cgm_prom_plain(r, &t, 1, 0);
}

static void put_word(struct cgm_prometheus *r, const char *key, const char *value, uint64_t v)
{
	struct cgm_prom_text t = { 0 };

	add_ids(&t, r->machine);
	cgm_prom_label(&t, true, key, value);
	cgm_prom_plain(r, &t, v, 0);
}

static void put_nvm(struct cgm_prometheus *r)
{
	put_word(r, "mode", "app_direct_mode", r->machine->nvm_bytes);
	if (!r->machine->has_nvm)
		put_word(r, "mode", "memory_mode", 0);
}

static void put_cache(struct cgm_prometheus *r, const struct cgm_numa_node *node, const struct cgm_core *core, const struct cgm_cache *c)
{
	struct cgm_prom_text t = { 0 };

	add_ids(&t, r->machine);
	add_number(&t, "node_id", node->id);
	if (core)
		add_number(&t, "core_id", core->core_id);
	else
		cgm_prom_label(&t, true, "core_id", "");
	cgm_prom_label(&t, true, "type", c->type);
	add_number(&t, "level", c->level);
	cgm_prom_plain(r, &t, c->size_bytes, 0);
}

/* Has the list a cache with the same labels before that one? */
static bool is_told(const struct cgm_cache *list, size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (list[i].level == list[before].level && !strcmp(list[i].type, list[before].type))
			return true;
	return false;
}

/* Two sockets of one node number their cores alike: the first stands for both. */
static bool is_first_core(const struct cgm_numa_node *node, size_t core)
{
	for (size_t i = 0; i < core; i++)
		if (node->cores[i].core_id == node->cores[core].core_id)
			return false;
	return true;
}

static void put_core_caches(struct cgm_prometheus *r, const struct cgm_numa_node *node, const struct cgm_core *core)
{
	for (size_t i = 0; i < core->nr_caches; i++)
		if (!is_told(core->caches, i))
			put_cache(r, node, core, &core->caches[i]);
	for (size_t i = 0; i < core->nr_uncore; i++) {
		bool told = is_told(core->uncore, i);

		for (size_t n = 0; n < core->nr_caches; n++)
			told |= core->caches[n].level == core->uncore[i].level && !strcmp(core->caches[n].type, core->uncore[i].type);
		if (!told)
			put_cache(r, node, core, &core->uncore[i]);
	}
}

static void put_caches(struct cgm_prometheus *r, const struct cgm_numa_node *node)
{
	for (size_t i = 0; i < node->nr_cores; i++)
		if (is_first_core(node, i))
			put_core_caches(r, node, &node->cores[i]);
	for (size_t i = 0; i < node->nr_caches; i++)
		if (!is_told(node->caches, i))
			put_cache(r, node, NULL, &node->caches[i]);
}

static void put_siblings(struct cgm_prometheus *r, const struct cgm_numa_node *node)
{
	for (size_t i = 0; i < node->nr_cores; i++) {
		for (size_t n = 0; n < node->cores[i].nr_threads; n++) {
			struct cgm_prom_text t = { 0 };

			add_ids(&t, r->machine);
			add_number(&t, "node_id", node->id);
			add_number(&t, "core_id", node->cores[i].core_id);
			add_number(&t, "thread_id", node->cores[i].threads[n]);
			cgm_prom_plain(r, &t, node->cores[i].nr_threads, 0);
		}
	}
}

static void put_node_pair(struct cgm_prometheus *r, const struct cgm_numa_node *node, const char *key, uint64_t value, uint64_t v)
{
	struct cgm_prom_text t = { 0 };

	add_ids(&t, r->machine);
	add_number(&t, "node_id", node->id);
	if (key)
		add_number(&t, key, value);
	cgm_prom_plain(r, &t, v, 0);
}

/* False: the family is of no node. */
static bool put_node(struct cgm_prometheus *r, enum cgm_family_id f, const struct cgm_numa_node *node)
{
	const struct cgm_machine *m = r->machine;

	switch (f) {
	case CGM_F_MACHINE_CACHE:
		put_caches(r, node);
		return true;
	case CGM_F_MACHINE_SIBLINGS:
		put_siblings(r, node);
		return true;
	case CGM_F_MACHINE_NODE_MEMORY:
		put_node_pair(r, node, NULL, 0, node->memory_bytes);
		return true;
	case CGM_F_MACHINE_NODE_HUGEPAGES:
		for (size_t i = 0; i < node->nr_hugepages; i++)
			put_node_pair(r, node, "page_size", node->hugepages[i].page_size_kb, node->hugepages[i].nr_pages);
		return true;
	case CGM_F_MACHINE_NODE_DISTANCE:
		for (size_t i = 0; i < node->nr_distances && i < m->nr_nodes; i++)
			put_node_pair(r, node, "target_node_id", m->nodes[i].id, node->distances[i]);
		return true;
	default:
		return false;
	}
}

static bool is_of_nodes(enum cgm_family_id f)
{
	return f == CGM_F_MACHINE_CACHE || f == CGM_F_MACHINE_SIBLINGS || f == CGM_F_MACHINE_NODE_MEMORY ||
	       f == CGM_F_MACHINE_NODE_HUGEPAGES || f == CGM_F_MACHINE_NODE_DISTANCE;
}

static void put_dimms(struct cgm_prometheus *r, enum cgm_family_id f)
{
	for (size_t i = 0; i < r->machine->nr_dimms; i++) {
		const struct cgm_dimms *d = &r->machine->dimms[i];

		put_word(r, "type", d->type, f == CGM_F_MACHINE_DIMM_COUNT ? d->nr : d->capacity_bytes);
	}
}

bool cgm_prom_machine_family(struct cgm_prometheus *r, enum cgm_family_id f)
{
	const struct cgm_machine *m = r->machine;

	switch (f) {
	case CGM_F_MACHINE_SCRAPE_ERROR:
		cgm_prom_plain(r, NULL, !m, 0);
		return true;
	case CGM_F_VERSION_INFO:
		if (m)
			put_version_info(r);
		return true;
	case CGM_F_MACHINE_NVM:
		if (m)
			put_nvm(r);
		return true;
	case CGM_F_MACHINE_NVM_POWER:
		if (m && !m->has_nvm)
			cgm_prom_machine_number(r, 0);
		return true;
	case CGM_F_MACHINE_DIMM_COUNT:
	case CGM_F_MACHINE_DIMM_CAPACITY:
		if (m)
			put_dimms(r, f);
		return true;
	default:
		for (size_t i = 0; m && i < m->nr_nodes; i++)
			if (!put_node(r, f, &m->nodes[i]))
				return false;
		return is_of_nodes(f);
	}
}
