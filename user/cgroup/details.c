// SPDX-License-Identifier: Apache-2.0
#include "cgroup/details.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

bool cgm_details_wanted(const struct cgm_details_config *c)
{
	return c->processes || c->referenced || c->hugetlb || c->resctrl || c->perf;
}

const char *cgm_details_path(struct cgm_details *d, const char *name)
{
	size_t len = strnlen(name, CGM_DETAILS_NAME_MAX);

	memcpy(d->path + d->path_len, name, len);
	d->path[d->path_len + len] = '\0';
	return d->path;
}

int cgm_details_procs_fd(const struct cgm_details *d)
{
	return d->config->trees->h[cgm_trees_sched_controller(d->config->trees)].dir_fd;
}

static int run(struct cgm_job *job, struct cgm_sample *s)
{
	struct cgm_details *d = (struct cgm_details *)job;
	const struct cgm_details_config *c = d->config;
	int r = 0;

	d->nr_rounds++;
	if (c->processes || c->referenced)
		r = cgm_details_processes(d, s);
	if (r == 0 && c->hugetlb)
		r = cgm_details_hugetlb(d, s);
	if (r == 0 && c->resctrl)
		r = cgm_details_resctrl(d, s);
	if (r < 0 || !c->perf)
		return r;
	if (!d->perf_tried)
		d->perf = cgm_perf_open(c->perf, c->trees, cgm_details_path(d, "."));
	d->perf_tried = true;
	return d->perf ? cgm_perf_read(d->perf, s) : 0;
}

static void details_free(struct cgm_job *job)
{
	struct cgm_details *d = (struct cgm_details *)job;

	cgm_perf_close(d->perf);
	cgm_details_resctrl_done(d);
	free(d->resctrl);
	free(d);
}

struct cgm_job *cgm_details_job_new(const struct cgm_details_config *config, const char *path)
{
	struct cgm_details *d;
	size_t len;

	while (*path == '/')
		path++;
	len = strlen(path);
	d = cgm_calloc(1, sizeof(*d) + len + CGM_DETAILS_NAME_MAX + 2);
	if (!d)
		return NULL;
	d->job.run = run;
	d->job.free = details_free;
	d->config = config;
	memcpy(d->path, path, len);
	d->path_len = len;
	if (len)
		d->path[d->path_len++] = '/';
	return &d->job;
}
