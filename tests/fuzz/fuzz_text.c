/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of the kernel's files (user/cgroup/text.h). The first byte chooses one; the corpus' files are named after theirs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/rootfs.h"
#include "cgroup/text.h"

static struct cgm_str whole;

/* What is handed out lies within what was given. */
static void inside(struct cgm_str s)
{
	if (s.len && (s.p < whole.p || s.p + s.len > whole.p + whole.len))
		abort();
}

static void keys(struct cgm_str text, const struct cgm_keys *k)
{
	uint64_t v[64], seen;

	seen = cgm_text_keys(text, k, v);
	if (k->nr < 64 && seen >> k->nr)
		abort();
}

static int io_row(void *arg, uint32_t major, uint32_t minor, const struct cgm_io_stat *io)
{
	*(uint64_t *)arg += major + minor + io->rbytes;
	return 0;
}

static int blkio_row(void *arg, uint32_t major, uint32_t minor, struct cgm_str op, uint64_t value)
{
	inside(op);
	*(uint64_t *)arg += major + minor + value;
	return 0;
}

static int numa_row(void *arg, struct cgm_str kind, uint32_t node, uint64_t value)
{
	inside(kind);
	if (node > 255)
		abort();
	*(uint64_t *)arg += value;
	return 0;
}

static void on_pair(void *arg, struct cgm_str name, uint64_t value)
{
	inside(name);
	*(uint64_t *)arg += value;
}

static void mount_line(struct cgm_str line)
{
	struct cgm_mount m;
	char buf[64];
	int n;

	if (cgm_text_mount(line, &m) < 0)
		return;
	inside(m.root);
	inside(m.point);
	inside(m.type);
	inside(m.source);
	inside(m.options);
	cgm_text_has_word(m.options, "cpu");
	n = cgm_text_unescape(m.point, buf, sizeof(buf));
	if (n >= 0 && strlen(buf) != (size_t)n)
		abort();
}

/* A directory of a mount is below that mount's point, or nowhere. */
static void rootfs(struct cgm_str text)
{
	struct cgm_rootfs_mount m;
	char buf[64];
	int r;

	if (!cgm_rootfs_mount(text, &m))
		return;
	inside(m.dir);
	r = cgm_rootfs_place(text, m.major, m.minor, m.dir, buf, sizeof(buf));
	if (r == 0 && (buf[0] != '/' || strlen(buf) >= sizeof(buf)))
		abort();
}

static void other_line(struct cgm_str line, char kind)
{
	struct cgm_cgroup_line c;
	struct cgm_net_dev d;
	struct cgm_diskstats s;

	if (kind == 'c' && cgm_text_cgroup(line, &c) == 0) {
		inside(c.controllers);
		inside(c.path);
	}
	if (kind == 'n' && cgm_text_net_dev(line, &d) == 0) {
		inside(d.name);
		if (!d.name.len || d.name.len > 15)
			abort();
	}
	if (kind == 'd' && cgm_text_diskstats(line, &s) == 0)
		inside(s.name);
}

static void lines(struct cgm_str text, char kind)
{
	struct cgm_str line;

	while (cgm_next_line(&text, &line)) {
		if (kind == 'm')
			mount_line(line);
		else
			other_line(line, kind);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_pressure p;
	uint64_t v[16], sum = 0;

	if (!size)
		return 0;
	whole = (struct cgm_str){ (const char *)data + 1, size - 1 };
	switch (data[0]) {
	case '1':
		keys(whole, &cgm_memory_stat_v1_keys);
		break;
	case '2':
		keys(whole, &cgm_memory_stat_v2_keys);
		break;
	case 'u':
		keys(whole, &cgm_cpu_stat_keys);
		keys(whole, &cgm_memory_events_keys);
		break;
	case 'r':
		rootfs(whole);
		break;
	case 'i':
		cgm_text_io_stat(whole, io_row, &sum);
		break;
	case 'b':
		cgm_text_blkio(whole, blkio_row, &sum);
		break;
	case 'N':
		cgm_text_numa(whole, numa_row, &sum);
		break;
	case 'p':
		cgm_text_pressure(whole, &p);
		break;
	case '#':
		if (cgm_text_numbers(whole, v, 16) > 16)
			abort();
		cgm_text_number(whole, v);
		break;
	case 'T':
		cgm_text_pairs(whole, "TcpExt", on_pair, &sum);
		break;
	case 'L':
		(void)cgm_text_limit(whole, "Max open files", &v[0], &v[1]);
		break;
	case 'M':
		cgm_text_meminfo(whole, "MemTotal", v);
		break;
	default:
		lines(whole, (char)data[0]);
	}
	return 0;
}
