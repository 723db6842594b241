// SPDX-License-Identifier: Apache-2.0
#include "cgroup/perf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define DEVICES "sys/bus/event_source/devices"
#define MAX_CPUS 4096

/* The counters of one event: a place for each CPU, or for each socket. */
struct counter {
	char name[CGM_PERF_NAME];
	enum cgm_layout_kind kind;
	int *fds; /* -1: that CPU is off, or its counter was refused */
	size_t nr;
};

struct cgm_perf {
	struct cgm_perf_config *config;
	struct counter *counters;
	size_t nr, cap;
};

static int open_event(const struct cgm_perf_event *e, int cgroup_fd, int cpu, int group_fd)
{
	struct perf_event_attr attr = {
		.type = e->type,
		.size = sizeof(attr),
		.config = e->config[0],
		.config1 = e->config[1],
		.config2 = e->config[2],
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	unsigned long flags = PERF_FLAG_FD_CLOEXEC | (cgroup_fd >= 0 ? PERF_FLAG_PID_CGROUP : 0);
	int fd = (int)syscall(SYS_perf_event_open, &attr, cgroup_fd, cpu, group_fd, flags);

	return fd < 0 ? -errno : fd;
}

/* A place among the descriptors that all containers may have. */
static bool take_fd(struct cgm_perf_config *c)
{
	if (__atomic_add_fetch(&c->nr_fds, 1, __ATOMIC_RELAXED) <= c->max_fds)
		return true;
	__atomic_sub_fetch(&c->nr_fds, 1, __ATOMIC_RELAXED);
	return false;
}

static void close_fd(struct cgm_perf_config *c, int fd)
{
	if (fd < 0)
		return;
	close(fd);
	__atomic_sub_fetch(&c->nr_fds, 1, __ATOMIC_RELAXED);
}

/* A counter with nr places, all shut. NULL: out of memory. */
static struct counter *add_counter(struct cgm_perf *p, enum cgm_layout_kind kind, const char *name, size_t nr)
{
	struct counter *c;
	int *fds = cgm_malloc(nr * sizeof(*fds));

	if (!fds || cgm_grow((void **)&p->counters, &p->cap, p->nr, sizeof(*p->counters)) < 0) {
		free(fds);
		return NULL;
	}
	for (size_t i = 0; i < nr; i++)
		fds[i] = -1;
	c = &p->counters[p->nr++];
	*c = (struct counter){ .kind = kind, .fds = fds, .nr = nr };
	snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

/* 0; -EMFILE: out of descriptors; else what the kernel said of the last CPU that refused. A CPU that is off is passed over. */
static int open_on(struct cgm_perf *p, struct counter *c, const struct cgm_perf_event *e, int cgroup_fd, const int *leaders)
{
	int refused = 0;

	for (size_t cpu = 0; cpu < c->nr; cpu++) {
		int fd;

		if (!take_fd(p->config))
			return -EMFILE;
		fd = open_event(e, cgroup_fd, (int)cpu, leaders ? leaders[cpu] : -1);
		if (fd < 0) {
			__atomic_sub_fetch(&p->config->nr_fds, 1, __ATOMIC_RELAXED);
			refused = fd == -ENODEV ? refused : fd;
			continue;
		}
		c->fds[cpu] = fd;
	}
	return refused;
}

static int open_core(struct cgm_perf *p, const struct cgm_trees *t, int cgroup_fd)
{
	const struct cgm_perf_config *config = p->config;
	const int *leaders = NULL;
	int r = 0;

	for (size_t i = 0; i < config->nr_core; i++) {
		const struct cgm_perf_event *e = &config->core[i];
		struct counter *c = add_counter(p, CGM_LAYOUT_PERF, e->name, MIN(t->nr_cpus, MAX_CPUS));
		bool first = i == 0 || config->core[i - 1].group != e->group;

		if (!c)
			return -ENOMEM;
		r = open_on(p, c, e, cgroup_fd, first ? NULL : leaders);
		if (r < 0)
			return r;
		if (first)
			leaders = c->fds;
	}
	return r;
}

/* The socket of a CPU. */
static uint64_t socket_of(int root_fd, uint64_t cpu)
{
	uint64_t socket = 0;
	char path[96];

	snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/physical_package_id", (unsigned)cpu);
	cgm_read_u64_at(root_fd, path, &socket);
	return socket < MAX_CPUS ? socket : 0;
}

/* On the CPUs of the PMU's mask, one a socket. */
static int open_uncore_on(struct cgm_perf *p, struct counter *c, const struct cgm_perf_event *e, int root_fd, const char *pmu)
{
	char path[320], mask[256];
	struct cgm_str rest, part;

	snprintf(path, sizeof(path), DEVICES "/%s/cpumask", pmu);
	if (cgm_read_line_at(root_fd, path, mask, sizeof(mask)) < 0)
		return 0;
	rest = cgm_trim(cgm_str(mask));
	while (cgm_next_field(&rest, ',', &part)) {
		uint64_t cpu, socket;
		int fd;

		if (cgm_parse_u64(part, &cpu) < 0 || cpu >= MAX_CPUS)
			continue;
		socket = socket_of(root_fd, cpu);
		if (socket >= c->nr || c->fds[socket] >= 0)
			continue;
		if (!take_fd(p->config))
			return -EMFILE;
		fd = open_event(e, -1, (int)cpu, -1);
		if (fd < 0) {
			__atomic_sub_fetch(&p->config->nr_fds, 1, __ATOMIC_RELAXED);
			return fd;
		}
		c->fds[socket] = fd;
	}
	return 0;
}

/* An event of a PMU whose name begins with what stands before the slash: "uncore_imc/x" is counted by uncore_imc_0, uncore_imc_1, … */
static int open_uncore_event(struct cgm_perf *p, const struct cgm_perf_event *wanted, int root_fd)
{
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(root_fd, DEVICES);
	size_t prefix = strcspn(wanted->name, "/");
	struct dirent *e;
	int r = 0;

	while (dir && wanted->name[prefix] && r == 0 && (e = readdir(dir)) != NULL) {
		struct cgm_perf_event event = *wanted;
		char name[CGM_PERF_NAME];
		struct counter *c;

		if (e->d_name[0] == '.' || strncmp(e->d_name, wanted->name, prefix) != 0)
			continue;
		if (cgm_perf_sysfs_event(root_fd, e->d_name, wanted->name + prefix + 1, &event) < 0)
			continue;
		if ((size_t)snprintf(name, sizeof(name), "%s%s", e->d_name, wanted->name + prefix) >= sizeof(name))
			continue;
		c = add_counter(p, CGM_LAYOUT_UNCORE, name, 16);
		r = c ? open_uncore_on(p, c, &event, root_fd, e->d_name) : -ENOMEM;
	}
	return r;
}

static int open_all(struct cgm_perf *p, const struct cgm_trees *t, const char *dir)
{
	int base = t->side_fd[CGM_SIDE_PERF_EVENT] >= 0 ? t->side_fd[CGM_SIDE_PERF_EVENT] : t->h[CGM_CTRL_UNIFIED].dir_fd, r = 0;
	_cleanup_close_ int cgroup_fd = base < 0 ? -1 : openat(base, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (p->config->nr_core && cgroup_fd < 0)
		return base < 0 ? -EOPNOTSUPP : -ENOENT;
	if (p->config->nr_core)
		r = open_core(p, t, cgroup_fd);
	for (size_t i = 0; r == 0 && strcmp(dir, ".") == 0 && i < p->config->nr_uncore; i++)
		r = open_uncore_event(p, &p->config->uncore[i], t->root_fd);
	return r;
}

struct cgm_perf *cgm_perf_open(struct cgm_perf_config *config, const struct cgm_trees *t, const char *dir)
{
	struct cgm_perf *p = cgm_calloc(1, sizeof(*p));
	int r;

	if (!p)
		return NULL;
	p->config = config;
	r = open_all(p, t, dir);
	if (r == 0)
		return p;
	if (r == -EMFILE)
		cgm_log_once(CGM_LOG_WARNING, "perf events of containers beyond %zu descriptors are left out", config->max_fds);
	else if (r != -ENOENT && r != -ENOMEM)
		cgm_log_once(CGM_LOG_WARNING, "perf events cannot be counted here: %s", strerror(-r));
	if (r != -ENOENT)
		__atomic_add_fetch(&p->config->nr_left_out, 1, __ATOMIC_RELAXED);
	cgm_perf_close(p);
	return NULL;
}

void cgm_perf_close(struct cgm_perf *p)
{
	if (!p)
		return;
	/* Members of a group before its leader. */
	for (size_t i = p->nr; i-- > 0;) {
		for (size_t n = 0; n < p->counters[i].nr; n++)
			close_fd(p->config, p->counters[i].fds[n]);
		free(p->counters[i].fds);
	}
	free(p->counters);
	free(p);
}

/* Counters share the hardware in turns: what was counted is scaled up to the time in which it was wanted. */
static void read_one(int fd, uint64_t v[CGM_NR_PERF_VALUES])
{
	struct {
		uint64_t count, enabled_ns, running_ns;
	} now = { 0 };

	if (fd < 0 || read(fd, &now, sizeof(now)) != sizeof(now) || !now.running_ns || !now.enabled_ns)
		return;
	v[CGM_PERF_COUNT] = now.running_ns >= now.enabled_ns ? now.count :
							       (uint64_t)((unsigned __int128)now.count * now.enabled_ns / now.running_ns);
	v[CGM_PERF_SCALING] = (uint64_t)((unsigned __int128)MIN(now.running_ns, now.enabled_ns) * 1000000000 / now.enabled_ns);
}

int cgm_perf_read(const struct cgm_perf *p, struct cgm_sample *s)
{
	for (size_t i = 0; i < p->nr; i++) {
		const struct counter *c = &p->counters[i];
		uint64_t *v = cgm_sample_extra(s, c->kind, 0, c->name, c->nr * CGM_NR_PERF_VALUES);

		if (!v)
			return -ENOMEM;
		for (size_t n = 0; n < c->nr; n++)
			read_one(c->fds[n], v + n * CGM_NR_PERF_VALUES);
	}
	return 0;
}
