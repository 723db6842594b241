// SPDX-License-Identifier: Apache-2.0
/* NUMA nodes, cores, threads and caches, from /sys/devices/system. */
#include "cgroup/machine_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#define MAX_NODES 1024
#define MAX_CPUS 65536
#define MAX_CACHES 32

/* The numbers of a list such as "0-3,8", in fresh memory. -ENOENT, -ENOMEM. */
static int read_list(int root_fd, const char *path, unsigned **ret, size_t *ret_nr)
{
	_cleanup_free_ unsigned *v = NULL;
	size_t nr = 0, cap = 0;
	struct cgm_str rest, part, first;
	char buf[4096];

	if (cgm_read_line_at(root_fd, path, buf, sizeof(buf)) < 0)
		return -ENOENT;
	rest = cgm_trim(cgm_str(buf));
	while (cgm_next_field(&rest, ',', &part)) {
		uint64_t a, b;

		if (!cgm_next_field(&part, '-', &first) || cgm_parse_u64(first, &a) < 0)
			break;
		b = a;
		if ((part.len && cgm_parse_u64(part, &b) < 0) || b >= MAX_CPUS)
			break;
		for (; a <= b && nr < MAX_CPUS; a++) {
			if (cgm_grow((void **)&v, &cap, nr, sizeof(*v)) < 0)
				return -ENOMEM;
			v[nr++] = (unsigned)a;
		}
	}
	*ret = TAKE_PTR(v);
	*ret_nr = nr;
	return 0;
}

static int add_cache(struct cgm_cache **caches, size_t *nr, const struct cgm_cache *c)
{
	struct cgm_cache *p;

	for (size_t i = 0; i < *nr; i++)
		if ((*caches)[i].id == c->id && (*caches)[i].level == c->level && strcmp((*caches)[i].type, c->type) == 0)
			return 0;
	p = cgm_realloc(*caches, (*nr + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	*caches = p;
	p[(*nr)++] = *c;
	return 0;
}

/* "480K", "32M", or plain bytes. */
static uint64_t cache_size(const char *text)
{
	struct cgm_str s = cgm_trim(cgm_str(text));
	uint64_t v, unit = 1;

	if (s.len && (s.p[s.len - 1] == 'K' || s.p[s.len - 1] == 'M')) {
		unit = s.p[s.len - 1] == 'K' ? 1024 : 1024 * 1024;
		s.len--;
	}
	if (cgm_parse_u64(s, &v) < 0)
		return 0;
	return v > UINT64_MAX / unit ? UINT64_MAX : v * unit;
}

/* One index directory. 0 with *ret, -ENOENT at the end of them. */
static int read_cache(int root_fd, unsigned cpu, unsigned index, struct cgm_cache *ret, unsigned *ret_nr_sharing)
{
	struct cgm_cache c = { 0 };
	char path[128], buf[4096];
	uint64_t level, id;
	int at = snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cache/index%u/", cpu, index);

	snprintf(path + at, sizeof(path) - (size_t)at, "level");
	if (cgm_read_u64_at(root_fd, path, &level) < 0 || level > 9)
		return -ENOENT;
	c.level = (unsigned)level;
	snprintf(path + at, sizeof(path) - (size_t)at, "id");
	if (cgm_read_u64_at(root_fd, path, &id) == 0 && id <= UINT32_MAX)
		c.id = (unsigned)id;
	snprintf(path + at, sizeof(path) - (size_t)at, "size");
	if (cgm_read_line_at(root_fd, path, buf, sizeof(buf)) == 0)
		c.size_bytes = cache_size(buf);
	snprintf(path + at, sizeof(path) - (size_t)at, "type");
	if (cgm_read_line_at(root_fd, path, buf, sizeof(buf)) == 0)
		snprintf(c.type, sizeof(c.type), "%.15s", buf);
	*ret_nr_sharing = 1;
	snprintf(path + at, sizeof(path) - (size_t)at, "shared_cpu_list");
	if (cgm_read_line_at(root_fd, path, buf, sizeof(buf)) == 0)
		cgm_parse_cpu_list(cgm_str(buf), ret_nr_sharing);
	*ret = c;
	return 0;
}

/* A cache belongs to the core, to the whole node, or to something between. */
static int read_caches(int root_fd, struct cgm_numa_node *n, size_t nr_node_cpus)
{
	for (size_t i = 0; i < n->nr_cores; i++) {
		struct cgm_core *core = &n->cores[i];

		for (unsigned index = 0; index < MAX_CACHES; index++) {
			struct cgm_cache c;
			unsigned sharing;
			int r;

			if (read_cache(root_fd, core->threads[0], index, &c, &sharing) < 0)
				break;
			if (sharing <= core->nr_threads)
				r = add_cache(&core->caches, &core->nr_caches, &c);
			else if (sharing >= nr_node_cpus)
				r = add_cache(&n->caches, &n->nr_caches, &c);
			else
				r = add_cache(&core->uncore, &core->nr_uncore, &c);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int add_thread(struct cgm_core *core, unsigned cpu)
{
	unsigned *p = cgm_realloc(core->threads, (core->nr_threads + 1) * sizeof(*p));

	if (!p)
		return -ENOMEM;
	core->threads = p;
	p[core->nr_threads++] = cpu;
	return 0;
}

/* A CPU that is offline has no topology directory and is left out; a machine without any has one core a CPU. */
static int add_cpu(int root_fd, struct cgm_numa_node *n, unsigned cpu, bool topology)
{
	uint64_t core_id = cpu, socket_id = 0;
	struct cgm_core *p;
	char path[96];

	if (topology) {
		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/core_id", cpu);
		if (cgm_read_u64_at(root_fd, path, &core_id) < 0)
			return 0;
		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/physical_package_id", cpu);
		/* -1 on some virtual machines: no number, so socket 0. */
		if (cgm_read_u64_at(root_fd, path, &socket_id) < 0)
			socket_id = 0;
	}
	for (size_t i = 0; i < n->nr_cores; i++)
		if (n->cores[i].core_id == core_id && n->cores[i].socket_id == socket_id)
			return add_thread(&n->cores[i], cpu);
	p = cgm_realloc(n->cores, (n->nr_cores + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	n->cores = p;
	p[n->nr_cores] = (struct cgm_core){ .core_id = (unsigned)core_id, .socket_id = (unsigned)socket_id, .book_id = -1, .drawer_id = -1 };
	return add_thread(&p[n->nr_cores++], cpu);
}

static int read_distances(int root_fd, struct cgm_numa_node *n)
{
	uint64_t v[MAX_NODES];
	char path[96], buf[8192];
	size_t nr;

	snprintf(path, sizeof(path), "sys/devices/system/node/node%u/distance", n->id);
	if (cgm_read_line_at(root_fd, path, buf, sizeof(buf)) < 0)
		return 0;
	nr = cgm_text_numbers(cgm_str(buf), v, ARRAY_SIZE(v));
	n->distances = nr ? cgm_malloc(nr * sizeof(*v)) : NULL;
	if (!n->distances)
		return nr ? -ENOMEM : 0;
	memcpy(n->distances, v, nr * sizeof(*v));
	n->nr_distances = nr;
	return 0;
}

/* Memory, huge pages and distances of a node that the kernel knows. */
static int read_node(int root_fd, struct cgm_numa_node *n)
{
	char path[96], buf[8192];
	ssize_t len;
	int r;

	snprintf(path, sizeof(path), "sys/devices/system/node/node%u/meminfo", n->id);
	len = cgm_read_at(root_fd, path, buf, sizeof(buf));
	if (len > 0)
		cgm_text_meminfo((struct cgm_str){ buf, (size_t)len }, "MemTotal", &n->memory_bytes);
	snprintf(path, sizeof(path), "sys/devices/system/node/node%u/hugepages", n->id);
	r = cgm_machine_hugepages(root_fd, path, &n->hugepages, &n->nr_hugepages);
	return r < 0 ? r : read_distances(root_fd, n);
}

static int fill_node(int root_fd, struct cgm_numa_node *n, const char *cpu_list)
{
	_cleanup_free_ unsigned *cpus = NULL;
	size_t nr_cpus = 0;
	bool topology = false;
	char path[96];
	uint64_t id;
	int r = read_list(root_fd, cpu_list, &cpus, &nr_cpus);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < nr_cpus && !topology; i++) {
		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/core_id", cpus[i]);
		topology = cgm_read_u64_at(root_fd, path, &id) == 0;
	}
	for (size_t i = 0; i < nr_cpus; i++) {
		r = add_cpu(root_fd, n, cpus[i], topology);
		if (r < 0)
			return r;
	}
	return read_caches(root_fd, n, nr_cpus);
}

static struct cgm_numa_node *add_node(struct cgm_machine *m, unsigned id)
{
	struct cgm_numa_node *p = cgm_realloc(m->nodes, (m->nr_nodes + 1) * sizeof(*p));

	if (!p)
		return NULL;
	m->nodes = p;
	p[m->nr_nodes] = (struct cgm_numa_node){ .id = id };
	return &p[m->nr_nodes++];
}

static void count(struct cgm_machine *m)
{
	unsigned cpus = 0;

	for (size_t i = 0; i < m->nr_nodes; i++) {
		const struct cgm_numa_node *n = &m->nodes[i];

		m->nr_physical_cores += (unsigned)n->nr_cores;
		for (size_t j = 0; j < n->nr_cores; j++) {
			bool known = false;

			cpus += (unsigned)n->cores[j].nr_threads;
			for (size_t k = 0; k <= i && !known; k++)
				for (size_t l = 0; l < (k == i ? j : m->nodes[k].nr_cores) && !known; l++)
					known = m->nodes[k].cores[l].socket_id == n->cores[j].socket_id;
			m->nr_sockets += !known;
		}
	}
	if (!m->nr_cpus)
		m->nr_cpus = cpus;
}

int cgm_machine_topology(int root_fd, struct cgm_machine *m)
{
	_cleanup_free_ unsigned *ids = NULL;
	size_t nr_ids = 0;
	int r = read_list(root_fd, "sys/devices/system/node/online", &ids, &nr_ids);

	if (r == -ENOMEM)
		return r;
	for (size_t i = 0; i < nr_ids && i < MAX_NODES; i++) {
		struct cgm_numa_node *n = add_node(m, ids[i]);
		char path[96];

		if (!n)
			return -ENOMEM;
		snprintf(path, sizeof(path), "sys/devices/system/node/node%u/cpulist", ids[i]);
		r = read_node(root_fd, n);
		if (r == 0)
			r = fill_node(root_fd, n, path);
		if (r < 0)
			return r;
	}
	if (!m->nr_nodes) {
		struct cgm_numa_node *n = add_node(m, 0);

		if (!n)
			return -ENOMEM;
		n->memory_bytes = m->memory_bytes;
		r = cgm_machine_hugepages(root_fd, "sys/kernel/mm/hugepages", &n->hugepages, &n->nr_hugepages);
		if (r == 0)
			r = fill_node(root_fd, n, "sys/devices/system/cpu/online");
		if (r < 0)
			return r;
	}
	count(m);
	return 0;
}
