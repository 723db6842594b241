// SPDX-License-Identifier: Apache-2.0
#include "cgroup/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cgroup/machine_internal.h"

#define MAX_PROC_BYTES (16 << 20)


static void copy(char *dst, size_t size, struct cgm_str s)
{
	size_t len = MIN(s.len, size - 1);

	memcpy(dst, s.p, len);
	dst[len] = '\0';
}

static const char *machine_id_files = "/etc/machine-id,/var/lib/dbus/machine-id", *boot_id_files = "/proc/sys/kernel/random/boot_id";

void cgm_machine_set_id_files(const char *machine_id, const char *boot_id)
{
	machine_id_files = machine_id;
	boot_id_files = boot_id;
}

/* The first line of the file, if it is there. */
static bool read_line(int root_fd, const char *path, char *dst, size_t size)
{
	char buf[512];

	if (cgm_read_line_at(root_fd, path, buf, sizeof(buf)) < 0)
		return false;
	copy(dst, size, cgm_trim(cgm_str(buf)));
	return true;
}

/* The first line of the first of these files (comma between) that is there; names are relative to the root, also those with a slash in front. */
static void read_id(int root_fd, const char *files, char *dst, size_t size)
{
	struct cgm_str rest = cgm_str(files), file;
	char path[512];

	while (cgm_next_field(&rest, ',', &file)) {
		file = cgm_trim(file);
		while (file.len && file.p[0] == '/') {
			file.p++;
			file.len--;
		}
		if (!file.len || file.len >= sizeof(path))
			continue;
		copy(path, sizeof(path), file);
		if (read_line(root_fd, path, dst, size))
			return;
	}
}

static void read_os_version(int root_fd, struct cgm_machine *m)
{
	struct cgm_str rest, line, key;
	char buf[8192];
	ssize_t n = cgm_read_at(root_fd, "etc/os-release", buf, sizeof(buf));

	if (n < 0)
		n = cgm_read_at(root_fd, "usr/lib/os-release", buf, sizeof(buf));
	rest = (struct cgm_str){ buf, n < 0 ? 0 : (size_t)n };
	while (cgm_next_line(&rest, &line)) {
		if (!cgm_next_field(&line, '=', &key) || !cgm_str_eq(key, "PRETTY_NAME"))
			continue;
		line = cgm_trim(line);
		if (line.len >= 2 && (line.p[0] == '"' || line.p[0] == '\'') && line.p[line.len - 1] == line.p[0]) {
			line.p++;
			line.len -= 2;
		}
		copy(m->os_version, sizeof(m->os_version), line);
	}
}

/* "2600.000" MHz to kHz. */
static uint64_t mhz_to_khz(struct cgm_str s)
{
	uint64_t centi;

	if (cgm_parse_centi(s, &centi) < 0)
		return 0;
	return centi > UINT64_MAX / 10 ? UINT64_MAX : centi * 10;
}

static int read_cpuinfo(int root_fd, struct cgm_machine *m)
{
	_cleanup_free_ char *text = NULL;
	struct cgm_str rest, line, key;
	size_t len;
	int r = cgm_read_all_at(root_fd, "proc/cpuinfo", MAX_PROC_BYTES, &text, &len);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	rest = (struct cgm_str){ text, len };
	while (cgm_next_line(&rest, &line)) {
		if (!cgm_next_field(&line, ':', &key))
			continue;
		key = cgm_trim(key);
		line = cgm_trim(line);
		if (!m->vendor_id[0] && (cgm_str_eq(key, "vendor_id") || cgm_str_eq(key, "CPU implementer")))
			copy(m->vendor_id, sizeof(m->vendor_id), line);
		else if (cgm_str_eq(key, "cpu MHz"))
			m->cpu_frequency_khz = MAX(m->cpu_frequency_khz, mhz_to_khz(line));
	}
	return 0;
}

static int read_cpus(int root_fd, struct cgm_machine *m)
{
	uint64_t khz;
	char buf[4096];
	int r = read_cpuinfo(root_fd, m);

	if (r < 0)
		return r;
	if (cgm_read_u64_at(root_fd, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", &khz) == 0 && khz != UINT64_MAX)
		m->cpu_frequency_khz = khz;
	if (cgm_read_line_at(root_fd, "sys/devices/system/cpu/online", buf, sizeof(buf)) == 0)
		cgm_parse_cpu_list(cgm_str(buf), &m->nr_cpus);
	return 0;
}

static int read_memory(int root_fd, struct cgm_machine *m)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = cgm_read_all_at(root_fd, "proc/meminfo", MAX_PROC_BYTES, &text, &len);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	cgm_text_meminfo((struct cgm_str){ text, len }, "MemTotal", &m->memory_bytes);
	cgm_text_meminfo((struct cgm_str){ text, len }, "SwapTotal", &m->swap_bytes);
	return 0;
}

static int largest_first(const void *a, const void *b)
{
	uint64_t x = ((const struct cgm_hugepages *)a)->page_size_kb, y = ((const struct cgm_hugepages *)b)->page_size_kb;

	return (x < y) - (x > y);
}

int cgm_machine_hugepages(int root_fd, const char *path, struct cgm_hugepages **ret, size_t *ret_nr)
{
	_cleanup_free_ struct cgm_hugepages *pages = NULL;
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(root_fd, path);
	size_t nr = 0, cap = 0;
	struct dirent *e;

	if (!dir)
		return 0;
	while ((e = readdir(dir)) != NULL) {
		struct cgm_str size = cgm_str(e->d_name);
		struct cgm_hugepages p = { 0 };
		char file[300];

		if (size.len < 13 || memcmp(size.p, "hugepages-", 10) != 0 || memcmp(size.p + size.len - 2, "kB", 2) != 0)
			continue;
		if (cgm_parse_u64((struct cgm_str){ size.p + 10, size.len - 12 }, &p.page_size_kb) < 0)
			continue;
		snprintf(file, sizeof(file), "%s/nr_hugepages", e->d_name);
		if (cgm_read_u64_at(dirfd(dir), file, &p.nr_pages) < 0)
			continue;
		if (cgm_grow((void **)&pages, &cap, nr, sizeof(*pages)) < 0)
			return -ENOMEM;
		pages[nr++] = p;
	}
	if (nr)
		qsort(pages, nr, sizeof(*pages), largest_first);
	*ret = TAKE_PTR(pages);
	*ret_nr = nr;
	return 0;
}

struct cgm_machine *cgm_machine_read(int root_fd)
{
	_cleanup_(cgm_machine_freep) struct cgm_machine *m = cgm_calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->time_ns = cgm_clock_real_ns();
	read_id(root_fd, machine_id_files, m->machine_id, sizeof(m->machine_id));
	read_line(root_fd, "sys/class/dmi/id/product_uuid", m->system_uuid, sizeof(m->system_uuid));
	if (!m->system_uuid[0])
		read_line(root_fd, "proc/device-tree/vm,uuid", m->system_uuid, sizeof(m->system_uuid));
	if (!m->system_uuid[0])
		memcpy(m->system_uuid, m->machine_id, sizeof(m->system_uuid));
	read_id(root_fd, boot_id_files, m->boot_id, sizeof(m->boot_id));
	read_line(root_fd, "proc/sys/kernel/osrelease", m->kernel_version, sizeof(m->kernel_version));
	read_os_version(root_fd, m);
	if (read_cpus(root_fd, m) < 0 || read_memory(root_fd, m) < 0 ||
	    cgm_machine_hugepages(root_fd, "sys/kernel/mm/hugepages", &m->hugepages, &m->nr_hugepages) < 0 ||
	    cgm_machine_topology(root_fd, m) < 0 || cgm_machine_fs(root_fd, m) < 0 || cgm_machine_disks(root_fd, m) < 0 ||
	    cgm_machine_nics(root_fd, m) < 0 || cgm_machine_modules(root_fd, m) < 0)
		return NULL;
	return TAKE_PTR(m);
}

static void free_node(struct cgm_numa_node *n)
{
	for (size_t i = 0; i < n->nr_cores; i++) {
		free(n->cores[i].threads);
		free(n->cores[i].caches);
		free(n->cores[i].uncore);
	}
	free(n->cores);
	free(n->hugepages);
	free(n->caches);
	free(n->distances);
}

struct cgm_machine *cgm_machine_read_fs(int root_fd)
{
	struct cgm_machine *m = cgm_calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->time_ns = cgm_clock_real_ns();
	if (cgm_machine_fs(root_fd, m) == 0)
		return m;
	cgm_machine_free(m);
	return NULL;
}

void cgm_machine_free(struct cgm_machine *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nr_fs; i++) {
		free(m->fs[i].device);
		free(m->fs[i].mountpoint);
		free(m->fs[i].type);
	}
	for (size_t i = 0; i < m->nr_nodes; i++)
		free_node(&m->nodes[i]);
	free(m->fs);
	free(m->nodes);
	free(m->hugepages);
	free(m->disks);
	free(m->dimms);
	free(m->nics);
	free(m);
}
