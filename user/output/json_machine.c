// SPDX-License-Identifier: Apache-2.0
#include "output/json.h"

static void put_key(struct cgm_buf *b, const char *key)
{
	cgm_buf_char(b, '"');
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
}

static void put_string(struct cgm_buf *b, const char *key, const char *v)
{
	put_key(b, key);
	cgm_json_string(b, v);
	cgm_buf_char(b, ',');
}

static void put_number(struct cgm_buf *b, const char *key, uint64_t v)
{
	put_key(b, key);
	cgm_json_u64(b, v);
	cgm_buf_char(b, ',');
}

/* Ends an object or list of "element," each, and is an element itself. */
static void put_end(struct cgm_buf *b, const char *bracket)
{
	cgm_json_chop(b);
	cgm_buf_str(b, bracket);
	cgm_buf_char(b, ',');
}

static void put_hugepages(struct cgm_buf *b, const struct cgm_hugepages *h, size_t nr)
{
	cgm_buf_lit(b, "\"hugepages\":[");
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_char(b, '{');
		put_number(b, "page_size", h[i].page_size_kb);
		put_number(b, "num_pages", h[i].nr_pages);
		put_end(b, "}");
	}
	put_end(b, "]");
}

static void put_caches(struct cgm_buf *b, const char *key, const struct cgm_cache *c, size_t nr)
{
	put_key(b, key);
	cgm_buf_char(b, '[');
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_char(b, '{');
		put_number(b, "id", c[i].id);
		put_number(b, "size", c[i].size_bytes);
		put_string(b, "type", c[i].type);
		put_number(b, "level", c[i].level);
		put_end(b, "}");
	}
	put_end(b, "]");
}

/* The schema has a string; none is left out. */
static void put_unit(struct cgm_buf *b, const char *key, int id)
{
	char text[16];

	if (id < 0)
		return;
	snprintf(text, sizeof(text), "%d", id);
	put_string(b, key, text);
}

static void put_cores(struct cgm_buf *b, const struct cgm_core *c, size_t nr)
{
	cgm_buf_lit(b, "\"cores\":[");
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_char(b, '{');
		put_number(b, "core_id", c[i].core_id);
		cgm_buf_lit(b, "\"thread_ids\":[");
		for (size_t t = 0; t < c[i].nr_threads; t++) {
			cgm_buf_u64(b, c[i].threads[t]);
			cgm_buf_char(b, ',');
		}
		put_end(b, "]");
		put_caches(b, "caches", c[i].caches, c[i].nr_caches);
		if (c[i].nr_uncore)
			put_caches(b, "uncore_caches", c[i].uncore, c[i].nr_uncore);
		else
			cgm_buf_lit(b, "\"uncore_caches\":null,");
		put_number(b, "socket_id", c[i].socket_id);
		put_unit(b, "book_id", c[i].book_id);
		put_unit(b, "drawer_id", c[i].drawer_id);
		put_end(b, "}");
	}
	put_end(b, "]");
}

static void put_topology(struct cgm_buf *b, const struct cgm_machine *m)
{
	cgm_buf_lit(b, "\"topology\":[");
	for (size_t i = 0; i < m->nr_nodes; i++) {
		const struct cgm_numa_node *n = &m->nodes[i];

		cgm_buf_char(b, '{');
		put_number(b, "node_id", n->id);
		put_number(b, "memory", n->memory_bytes);
		put_hugepages(b, n->hugepages, n->nr_hugepages);
		put_cores(b, n->cores, n->nr_cores);
		put_caches(b, "caches", n->caches, n->nr_caches);
		cgm_buf_lit(b, "\"distances\":[");
		for (size_t d = 0; d < n->nr_distances; d++) {
			cgm_json_u64(b, n->distances[d]);
			cgm_buf_char(b, ',');
		}
		put_end(b, "]");
		put_end(b, "}");
	}
	put_end(b, "]");
}

static void put_filesystems(struct cgm_buf *b, const struct cgm_machine *m)
{
	cgm_buf_lit(b, "\"filesystems\":[");
	for (size_t i = 0; i < m->nr_fs; i++) {
		const struct cgm_fs_info *f = &m->fs[i];

		cgm_buf_char(b, '{');
		put_string(b, "device", f->device ? f->device : "");
		put_number(b, "capacity", f->capacity_bytes);
		put_string(b, "type", f->type ? f->type : "");
		put_number(b, "inodes", f->inodes);
		put_key(b, "has_inodes");
		cgm_json_bool(b, f->has_inodes);
		put_end(b, "}");
	}
	put_end(b, "]");
}

static void put_disk_map(struct cgm_buf *b, const struct cgm_machine *m)
{
	cgm_buf_lit(b, "\"disk_map\":{");
	for (size_t i = 0; i < m->nr_disks; i++) {
		const struct cgm_disk_info *d = &m->disks[i];

		cgm_buf_printf(b, "\"%u:%u\":{", d->major, d->minor);
		put_string(b, "name", d->name);
		put_number(b, "major", d->major);
		put_number(b, "minor", d->minor);
		put_number(b, "size", d->size_bytes);
		put_string(b, "scheduler", d->scheduler);
		put_end(b, "}");
	}
	put_end(b, "}");
}

static void put_network_devices(struct cgm_buf *b, const struct cgm_machine *m)
{
	cgm_buf_lit(b, "\"network_devices\":[");
	for (size_t i = 0; i < m->nr_nics; i++) {
		const struct cgm_net_info *n = &m->nics[i];

		cgm_buf_char(b, '{');
		put_string(b, "name", n->name);
		put_string(b, "mac_address", n->mac);
		put_key(b, "speed");
		cgm_buf_i64(b, n->speed_mbps);
		cgm_buf_lit(b, ",\"mtu\":");
		cgm_buf_i64(b, n->mtu);
		put_end(b, "}");
	}
	put_end(b, "]");
}

/* Of persistent memory the kernel knows what programs may map; how much of it serves as memory, and its power, only tools of its maker. */
static void put_modules(struct cgm_buf *b, const struct cgm_machine *m)
{
	cgm_buf_lit(b, "\"memory_by_type\":{");
	for (size_t i = 0; i < m->nr_dimms; i++) {
		cgm_json_string(b, m->dimms[i].type);
		cgm_buf_lit(b, ":{");
		put_number(b, "capacity", m->dimms[i].capacity_bytes);
		put_number(b, "dimm_count", m->dimms[i].nr);
		put_end(b, "}");
	}
	put_end(b, "}");
	cgm_buf_lit(b, "\"nvm\":{\"memory_mode_capacity\":0,");
	put_number(b, "app direct_mode_capacity", m->nvm_bytes);
	cgm_buf_lit(b, "\"avg_power_budget\":0},");
}

void cgm_json_machine(struct cgm_buf *b, const struct cgm_machine *m)
{
	cgm_buf_lit(b, "{\"timestamp\":");
	cgm_json_time(b, m->time_ns);
	cgm_buf_char(b, ',');
	put_string(b, "vendor_id", m->vendor_id);
	put_number(b, "num_cores", m->nr_cpus);
	put_number(b, "num_physical_cores", m->nr_physical_cores);
	put_number(b, "num_sockets", m->nr_sockets);
	if (m->nr_books)
		put_number(b, "num_books", m->nr_books);
	if (m->nr_drawers)
		put_number(b, "num_drawers", m->nr_drawers);
	put_number(b, "cpu_frequency_khz", m->cpu_frequency_khz);
	put_number(b, "memory_capacity", m->memory_bytes);
	put_number(b, "swap_capacity", m->swap_bytes);
	put_modules(b, m);
	put_hugepages(b, m->hugepages, m->nr_hugepages);
	put_string(b, "machine_id", m->machine_id);
	put_string(b, "system_uuid", m->system_uuid);
	put_string(b, "boot_id", m->boot_id);
	put_filesystems(b, m);
	put_disk_map(b, m);
	put_network_devices(b, m);
	put_topology(b, m);
	cgm_buf_lit(b, "\"cloud_provider\":\"Unknown\",\"instance_type\":\"Unknown\",\"instance_id\":\"\"}");
}

void cgm_json_attributes(struct cgm_buf *b, const struct cgm_machine *m, const char *version)
{
	cgm_buf_char(b, '{');
	put_string(b, "kernel_version", m->kernel_version);
	put_string(b, "container_os_version", m->os_version);
	cgm_buf_lit(b, "\"docker_version\":\"\",\"docker_api_version\":\"\",");
	put_string(b, "cadvisor_version", version);
	put_number(b, "num_cores", m->nr_cpus);
	put_number(b, "cpu_frequency_khz", m->cpu_frequency_khz);
	put_number(b, "memory_capacity", m->memory_bytes);
	put_string(b, "machine_id", m->machine_id);
	put_string(b, "system_uuid", m->system_uuid);
	put_hugepages(b, m->hugepages, m->nr_hugepages);
	put_filesystems(b, m);
	put_disk_map(b, m);
	put_network_devices(b, m);
	put_topology(b, m);
	cgm_buf_lit(b, "\"cloud_provider\":\"Unknown\",\"instance_type\":\"Unknown\"}");
}
