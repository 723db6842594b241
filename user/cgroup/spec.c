// SPDX-License-Identifier: Apache-2.0
/* What a container may use. Read seldom, so its files are opened for each read. */
#include "cgroup/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define V1_NO_LIMIT 9223372036854771712ULL

static bool is_in(const struct cgm_reader *r, enum cgm_controller c)
{
	return r->controllers >> c & 1;
}

/* Leaves *ret as it is when there is no such file. */
static void read_number(struct cgm_reader *r, enum cgm_controller c, const char *name, uint64_t *ret)
{
	if (is_in(r, c))
		cgm_read_u64_at(r->t->h[c].dir_fd, cgm_reader_path(r, name), ret);
}

/* The first line; a list that is too long is cut behind its last whole part. */
static void read_mask(struct cgm_reader *r, enum cgm_controller c, const char *name, char *mask, size_t size)
{
	char buf[4096];

	if (!is_in(r, c) || cgm_read_line_at(r->t->h[c].dir_fd, cgm_reader_path(r, name), buf, sizeof(buf)) < 0)
		return;
	if (strlen(buf) >= size) {
		buf[size] = '\0';
		*(strrchr(buf, ',') ? strrchr(buf, ',') : buf) = '\0';
	}
	memcpy(mask, buf, strlen(buf) + 1);
}

/* All the machine's CPUs: what an empty cpuset of v1 means for a reader of the spec. */
static void whole_mask(const struct cgm_reader *r, char *mask, size_t size)
{
	if (r->t->nr_cpus > 1)
		snprintf(mask, size, "0-%u", r->t->nr_cpus - 1);
	else
		snprintf(mask, size, "0");
}

static void cpu_v1(struct cgm_reader *r, struct cgm_spec *s)
{
	struct cgm_str text;
	int64_t quota;
	char buf[64];

	read_number(r, CGM_CTRL_CPU, "cpu.shares", &s->cpu_shares);
	read_number(r, CGM_CTRL_CPU, "cpu.cfs_period_us", &s->cpu_period_usec);
	if (!is_in(r, CGM_CTRL_CPU) ||
	    cgm_read_line_at(r->t->h[CGM_CTRL_CPU].dir_fd, cgm_reader_path(r, "cpu.cfs_quota_us"), buf, sizeof(buf)) < 0)
		return;
	text = cgm_trim(cgm_str(buf));
	if (cgm_parse_i64(text, &quota) == 0 && quota > 0)
		s->cpu_quota_usec = (uint64_t)quota;
}

/* The weight's range 1..10000 onto the shares' 2..262144, the inverse of what runtimes do. */
static void cpu_v2(struct cgm_reader *r, struct cgm_spec *s)
{
	struct cgm_str text, quota, period;
	uint64_t weight = 0, v;
	char buf[64];

	read_number(r, CGM_CTRL_UNIFIED, "cpu.weight", &weight);
	if (weight >= 1 && weight <= 10000)
		s->cpu_shares = 2 + (weight - 1) * 262142 / 9999;
	if (!is_in(r, CGM_CTRL_UNIFIED) ||
	    cgm_read_line_at(r->t->h[CGM_CTRL_UNIFIED].dir_fd, cgm_reader_path(r, "cpu.max"), buf, sizeof(buf)) < 0)
		return;
	text = cgm_str(buf);
	if (!cgm_next_token(&text, &quota) || !cgm_next_token(&text, &period))
		return;
	if (cgm_parse_u64_max(quota, &v) == 0 && v != UINT64_MAX)
		s->cpu_quota_usec = v;
	cgm_parse_u64(period, &s->cpu_period_usec);
}

static void memory_v1(struct cgm_reader *r, struct cgm_spec *s)
{
	s->has_memory = is_in(r, CGM_CTRL_MEMORY);
	s->memory_limit = s->memory_reservation = s->memory_swap_limit = V1_NO_LIMIT;
	read_number(r, CGM_CTRL_MEMORY, "memory.limit_in_bytes", &s->memory_limit);
	read_number(r, CGM_CTRL_MEMORY, "memory.soft_limit_in_bytes", &s->memory_reservation);
	read_number(r, CGM_CTRL_MEMORY, "memory.memsw.limit_in_bytes", &s->memory_swap_limit);
}

/* The reservation is memory.min, as cAdvisor has it: 0 when nothing is reserved. */
static void memory_v2(struct cgm_reader *r, struct cgm_spec *s)
{
	s->memory_limit = s->memory_swap_limit = UINT64_MAX;
	s->memory_reservation = 0;
	s->has_memory = is_in(r, CGM_CTRL_UNIFIED) &&
			(r->is_root ? faccessat(r->t->h[CGM_CTRL_UNIFIED].dir_fd, "memory.stat", F_OK, 0) == 0 :
				      cgm_read_u64_at(r->t->h[CGM_CTRL_UNIFIED].dir_fd, cgm_reader_path(r, "memory.max"), &s->memory_limit) == 0);
	read_number(r, CGM_CTRL_UNIFIED, "memory.min", &s->memory_reservation);
	read_number(r, CGM_CTRL_UNIFIED, "memory.swap.max", &s->memory_swap_limit);
}

/* Directories and one file of each hierarchy. kernfs makes times anew when an inode was dropped, so the earliest one ever seen counts. */
static int creation_time(struct cgm_reader *r)
{
	bool found = false;

	for (enum cgm_controller c = 0; c < CGM_NR_CONTROLLERS; c++) {
		const char *name = c == CGM_CTRL_UNIFIED ? "cgroup.events" : "cgroup.clone_children";
		struct stat st;

		if (!is_in(r, c))
			continue;
		if (fstatat(r->t->h[c].dir_fd, cgm_reader_path(r, "."), &st, 0) < 0)
			continue;
		found = true;
		cgm_reader_seen_mtime(r, &st);
		if (fstatat(r->t->h[c].dir_fd, cgm_reader_path(r, name), &st, 0) == 0)
			cgm_reader_seen_mtime(r, &st);
	}
	return found ? 0 : -ENOENT;
}

uint64_t cgm_reader_creation_time_ns(struct cgm_reader *r)
{
	creation_time(r);
	return r->creation_time_ns;
}

void cgm_reader_spec_mask(struct cgm_reader *r, struct cgm_spec *s)
{
	s->cpu_mask[0] = '\0';
	if (r->t->h[CGM_CTRL_CPUSET].dir_fd < 0) {
		read_mask(r, CGM_CTRL_UNIFIED, "cpuset.cpus.effective", s->cpu_mask, sizeof(s->cpu_mask));
	} else if (is_in(r, CGM_CTRL_CPUSET)) {
		read_mask(r, CGM_CTRL_CPUSET, "cpuset.cpus", s->cpu_mask, sizeof(s->cpu_mask));
		if (!s->cpu_mask[0])
			whole_mask(r, s->cpu_mask, sizeof(s->cpu_mask));
	}
}

int cgm_reader_spec(struct cgm_reader *r, struct cgm_spec *ret)
{
	const struct cgm_hierarchy *h = r->t->h;
	struct cgm_spec s = { .pids_limit = UINT64_MAX };
	bool v2 = is_in(r, CGM_CTRL_UNIFIED);
	int e = creation_time(r);

	if (e < 0)
		return e;
	s.creation_time_ns = r->creation_time_ns;
	s.has_network = s.has_filesystem = r->is_root;
	s.has_cpu = is_in(r, CGM_CTRL_CPU) || is_in(r, CGM_CTRL_CPUSET) || (v2 && h[CGM_CTRL_CPU].dir_fd < 0);
	if (h[CGM_CTRL_CPU].dir_fd >= 0)
		cpu_v1(r, &s);
	else
		cpu_v2(r, &s);
	cgm_reader_spec_mask(r, &s);
	if (h[CGM_CTRL_MEMORY].dir_fd >= 0)
		memory_v1(r, &s);
	else
		memory_v2(r, &s);
	if (r->is_root) {
		s.memory_limit = r->t->memory_bytes;
		s.memory_swap_limit = r->t->swap_bytes;
	}
	s.has_processes = is_in(r, CGM_CTRL_PIDS) || (v2 && h[CGM_CTRL_PIDS].dir_fd < 0);
	read_number(r, h[CGM_CTRL_PIDS].dir_fd >= 0 ? CGM_CTRL_PIDS : CGM_CTRL_UNIFIED, "pids.max", &s.pids_limit);
	s.has_diskio = is_in(r, CGM_CTRL_BLKIO) || (v2 && h[CGM_CTRL_BLKIO].dir_fd < 0);
	*ret = s;
	return 0;
}
