// SPDX-License-Identifier: Apache-2.0
/* Huge pages that a cgroup uses, by size: v1 has three files a size, v2 has current, rsvd.current and events. */
#include "cgroup/details.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cgroup/text.h"

/* As the kernel names the files: "2MB", "1GB", "64KB" (mem_fmt() of mm/hugetlb_cgroup.c). */
static void size_name(uint64_t kb, char *buf, size_t size)
{
	static const char units[] = { 'K', 'M', 'G' };
	unsigned u = 0;

	for (; kb >= 1024 && u + 1 < sizeof(units); kb /= 1024)
		u++;
	snprintf(buf, size, "%llu%cB", (unsigned long long)kb, units[u]);
}

static bool read_number(struct cgm_details *d, int dir_fd, const char *size, const char *what, uint64_t *ret)
{
	char name[CGM_DETAILS_NAME_MAX];

	snprintf(name, sizeof(name), "hugetlb.%s.%s", size, what);
	return cgm_read_u64_at(dir_fd, cgm_details_path(d, name), ret) == 0;
}

/* The line "max N" of hugetlb.SIZE.events. */
static void read_events(struct cgm_details *d, int dir_fd, const char *size, uint64_t *ret)
{
	uint64_t v[CGM_NR_EV], seen;
	char name[CGM_DETAILS_NAME_MAX], buf[256];
	ssize_t n;

	snprintf(name, sizeof(name), "hugetlb.%s.events", size);
	n = cgm_read_at(dir_fd, cgm_details_path(d, name), buf, sizeof(buf));
	seen = n > 0 ? cgm_text_keys((struct cgm_str){ buf, (size_t)n }, &cgm_memory_events_keys, v) : 0;
	if (seen >> CGM_EV_MAX & 1)
		*ret = v[CGM_EV_MAX];
}

static int one_size(struct cgm_details *d, int dir_fd, bool v1, const char *size, struct cgm_sample *s)
{
	uint64_t v[CGM_NR_HUGETLB_VALUES] = { 0 }, *to;

	if (v1) {
		if (!read_number(d, dir_fd, size, "usage_in_bytes", &v[CGM_HUGETLB_USAGE]))
			return 0;
		read_number(d, dir_fd, size, "max_usage_in_bytes", &v[CGM_HUGETLB_MAX_USAGE]);
		read_number(d, dir_fd, size, "failcnt", &v[CGM_HUGETLB_FAILCNT]);
	} else {
		/* What is reserved is used up, touched or not: as cAdvisor has it. Kernels before 5.7 do not tell. */
		if (!read_number(d, dir_fd, size, "rsvd.current", &v[CGM_HUGETLB_USAGE]) &&
		    !read_number(d, dir_fd, size, "current", &v[CGM_HUGETLB_USAGE]))
			return 0;
		read_events(d, dir_fd, size, &v[CGM_HUGETLB_FAILCNT]);
	}
	to = cgm_sample_extra(s, CGM_LAYOUT_HUGETLB, v1, size, CGM_NR_HUGETLB_VALUES);
	if (!to)
		return -ENOMEM;
	memcpy(to, v, sizeof(v));
	return 0;
}

int cgm_details_hugetlb(struct cgm_details *d, struct cgm_sample *s)
{
	static const char prefix[] = "hugepages-";
	const struct cgm_trees *t = d->config->trees;
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(t->root_fd, "sys/kernel/mm/hugepages");
	bool v1 = t->side_fd[CGM_SIDE_HUGETLB] >= 0;
	int dir_fd = v1 ? t->side_fd[CGM_SIDE_HUGETLB] : t->h[CGM_CTRL_UNIFIED].dir_fd, r = 0;
	struct dirent *e;

	while (dir && dir_fd >= 0 && r == 0 && (e = readdir(dir)) != NULL) {
		struct cgm_str kb = { e->d_name + sizeof(prefix) - 1, strlen(e->d_name) };
		char size[32];
		uint64_t v;

		if (strncmp(e->d_name, prefix, sizeof(prefix) - 1) != 0 || kb.len < sizeof(prefix) + 2)
			continue;
		kb.len -= sizeof(prefix) - 1 + 2; /* less "kB" */
		if (cgm_parse_u64(kb, &v) < 0)
			continue;
		size_name(v, size, sizeof(size));
		r = one_size(d, dir_fd, v1, size, s);
	}
	return r;
}
