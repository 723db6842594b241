// SPDX-License-Identifier: Apache-2.0
/* What the machine is built of, where the kernel tells: memory modules (EDAC), persistent memory (libnvdimm), books and drawers (s390). */
#include "cgroup/machine_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#define EDAC "sys/devices/system/edac/mc"
#define NVDIMM "sys/bus/nd/devices"
#define MAX_UNITS 256

/* "mc0" is prefix mc and a number. */
static bool is_numbered(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	uint64_t number;

	return strncmp(name, prefix, len) == 0 && cgm_parse_u64(cgm_str(name + len), &number) == 0;
}

static int add_module(struct cgm_machine *m, const char *type, uint64_t bytes)
{
	struct cgm_dimms *p;

	for (size_t i = 0; i < m->nr_dimms; i++) {
		if (strncmp(m->dimms[i].type, type, sizeof(m->dimms[i].type) - 1) != 0)
			continue;
		m->dimms[i].capacity_bytes += bytes;
		m->dimms[i].nr++;
		return 0;
	}
	p = cgm_realloc(m->dimms, (m->nr_dimms + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	m->dimms = p;
	p[m->nr_dimms] = (struct cgm_dimms){ .capacity_bytes = bytes, .nr = 1 };
	snprintf(p[m->nr_dimms++].type, sizeof(p->type), "%s", type);
	return 0;
}

/* The modules of one memory controller: dimms, or ranks where it knows no more. Places without a module have size 0. */
static int read_controller(int root_fd, const char *name, struct cgm_machine *m)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[96];
	struct dirent *e;

	snprintf(path, sizeof(path), EDAC "/%.32s", name);
	dir = cgm_opendir_at(root_fd, path);
	while (dir && (e = readdir(dir)) != NULL) {
		char file[64], type[64] = "Unknown";
		uint64_t megabytes;

		if (!is_numbered(e->d_name, "dimm") && !is_numbered(e->d_name, "rank"))
			continue;
		snprintf(file, sizeof(file), "%.32s/size", e->d_name);
		if (cgm_read_u64_at(dirfd(dir), file, &megabytes) < 0 || !megabytes || megabytes > UINT64_MAX >> 20)
			continue;
		snprintf(file, sizeof(file), "%.32s/dimm_mem_type", e->d_name);
		(void)cgm_read_line_at(dirfd(dir), file, type, sizeof(type));
		if (add_module(m, type, megabytes << 20) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int by_type(const void *a, const void *b)
{
	return strcmp(((const struct cgm_dimms *)a)->type, ((const struct cgm_dimms *)b)->type);
}

static int read_modules(int root_fd, struct cgm_machine *m)
{
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(root_fd, EDAC);
	struct dirent *e;
	int r = 0;

	while (dir && r == 0 && (e = readdir(dir)) != NULL)
		if (is_numbered(e->d_name, "mc"))
			r = read_controller(root_fd, e->d_name, m);
	if (m->nr_dimms)
		qsort(m->dimms, m->nr_dimms, sizeof(*m->dimms), by_type);
	return r;
}

static void read_nvm(int root_fd, struct cgm_machine *m)
{
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(root_fd, NVDIMM);
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL) {
		char file[64];
		uint64_t bytes;

		m->has_nvm |= is_numbered(e->d_name, "nmem") || is_numbered(e->d_name, "region");
		snprintf(file, sizeof(file), "%.32s/size", e->d_name);
		if (is_numbered(e->d_name, "region") && cgm_read_u64_at(dirfd(dir), file, &bytes) == 0)
			m->nvm_bytes += bytes;
	}
}

/* Sets the book, or the drawer, of each core. Returns how many there are. */
static unsigned read_units(int root_fd, struct cgm_machine *m, const char *file, bool drawers)
{
	uint64_t seen[MAX_UNITS], id;
	unsigned nr = 0;

	for (size_t n = 0; n < m->nr_nodes; n++) {
		for (size_t c = 0; c < m->nodes[n].nr_cores; c++) {
			struct cgm_core *core = &m->nodes[n].cores[c];
			char path[96];
			unsigned i = 0;

			snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/%s", core->threads[0], file);
			if (cgm_read_u64_at(root_fd, path, &id) < 0 || id > INT32_MAX)
				return nr;
			*(drawers ? &core->drawer_id : &core->book_id) = (int)id;
			while (i < nr && seen[i] != id)
				i++;
			if (i == nr && nr < MAX_UNITS)
				seen[nr++] = id;
		}
	}
	return nr;
}

int cgm_machine_modules(int root_fd, struct cgm_machine *m)
{
	read_nvm(root_fd, m);
	m->nr_books = read_units(root_fd, m, "book_id", false);
	m->nr_drawers = read_units(root_fd, m, "drawer_id", true);
	return read_modules(root_fd, m);
}
