// SPDX-License-Identifier: Apache-2.0
/*
 * A container's open files, and when each is read again.
 *
 * A read of a cgroup file costs 1 to 4 µs, nearly all of it in the kernel, and a v1 container has fourteen of them. So a tick reads
 * what has moved: the two cheap files whose numbers say whether anything happened, and then those that can have changed by it.
 * The slow rest is spread over the ticks, each reader with a phase of its own.
 */
#include "cgroup/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#define MAX_FILE_BYTES (4 << 20)
#define SPARE_FDS 512
#define DEFAULT_SLOW_NS (5 * CGM_NSEC_PER_SEC)

#define EACH CGM_WHEN_EACH, 0
#define SLOW CGM_WHEN_SLOW, 0
#define PRESSURE CGM_WHEN_PRESSURE, 0
#define USAGE CGM_WHEN_USAGE, 0
#define SLOW_USAGE CGM_WHEN_SLOW_USAGE, 0
#define RARE CGM_WHEN_RARE, 0
#define DISKIO CGM_WHEN_DISKIO, 0
#define BULK(group) (1U << CGM_BULK_##group)
#define FOR(group) (1ULL << CGM_G_##group)
#define CPU_ALL (BULK(CPU_TIME) | BULK(CPU_SPLIT) | BULK(CPU_CFS))

const struct cgm_file_desc cgm_files[CGM_NR_FILES] = {
	[CGM_FILE_V1_CPU_PERCPU] = { "cpuacct.usage_percpu", CGM_CTRL_CPUACCT, EACH, cgm_v1_percpu, BULK(CPU_TIME), FOR(CPU) },
	[CGM_FILE_V1_CPU_USAGE] = { "cpuacct.usage", CGM_CTRL_CPUACCT, EACH, cgm_v1_cpu_usage, BULK(CPU_TIME), FOR(CPU) },
	[CGM_FILE_V1_CPUACCT_STAT] = { "cpuacct.stat", CGM_CTRL_CPUACCT, CGM_WHEN_CPU, 10000000, cgm_v1_cpuacct_stat, BULK(CPU_SPLIT), FOR(CPU) },
	[CGM_FILE_V1_CPU_STAT] = { "cpu.stat", CGM_CTRL_CPU, CGM_WHEN_QUOTA, 0, cgm_v1_cpu_stat, BULK(CPU_CFS), FOR(CPU) },
	[CGM_FILE_V1_MEMORY_USAGE] = { "memory.usage_in_bytes", CGM_CTRL_MEMORY, EACH, cgm_memory_usage, BULK(MEMORY_USAGE), FOR(MEMORY) },
	[CGM_FILE_V1_MEMORY_STAT] = { "memory.stat", CGM_CTRL_MEMORY, USAGE, cgm_v1_memory_stat, BULK(MEMORY_STAT), FOR(MEMORY) },
	[CGM_FILE_V1_MEMORY_MAX_USAGE] = { "memory.max_usage_in_bytes", CGM_CTRL_MEMORY, SLOW_USAGE, cgm_v1_memory_max_usage, BULK(MEMORY_PEAK), FOR(MEMORY) },
	[CGM_FILE_V1_MEMORY_KMEM] = { "memory.kmem.usage_in_bytes", CGM_CTRL_MEMORY, SLOW_USAGE, cgm_v1_memory_kmem, BULK(MEMORY_KERNEL), FOR(MEMORY) },
	[CGM_FILE_V1_MEMORY_FAILCNT] = { "memory.failcnt", CGM_CTRL_MEMORY, SLOW_USAGE, cgm_v1_memory_failcnt, BULK(MEMORY_FAILCNT), FOR(MEMORY) },
	[CGM_FILE_V1_MEMORY_OOM] = { "memory.oom_control", CGM_CTRL_MEMORY, SLOW_USAGE, cgm_v1_memory_oom, BULK(MEMORY_EVENTS), FOR(OOM_EVENT) },
	[CGM_FILE_V1_MEMORY_NUMA] = { "memory.numa_stat", CGM_CTRL_MEMORY, RARE, cgm_v1_memory_numa, 0, FOR(MEMORY_NUMA) },
	[CGM_FILE_V1_MEMORY_MIGRATE] = { "cpuset.memory_migrate", CGM_CTRL_CPUSET, RARE, cgm_v1_memory_migrate, 0, FOR(CPUSET) },
	[CGM_FILE_V2_CPU_STAT] = { "cpu.stat", CGM_CTRL_UNIFIED, EACH, cgm_v2_cpu_stat, CPU_ALL, FOR(CPU) },
	[CGM_FILE_V2_MEMORY_CURRENT] = { "memory.current", CGM_CTRL_UNIFIED, EACH, cgm_memory_usage, BULK(MEMORY_USAGE), FOR(MEMORY) },
	[CGM_FILE_V2_MEMORY_STAT] = { "memory.stat", CGM_CTRL_UNIFIED, USAGE, cgm_v2_memory_stat, BULK(MEMORY_STAT), FOR(MEMORY) },
	[CGM_FILE_V2_MEMORY_LOCAL_EVENTS] = { "memory.events.local", CGM_CTRL_UNIFIED, SLOW_USAGE, cgm_v2_memory_local_events, BULK(MEMORY_LOCAL_EVENTS), FOR(MEMORY) },
	[CGM_FILE_V2_MEMORY_EVENTS] = { "memory.events", CGM_CTRL_UNIFIED, SLOW_USAGE, cgm_v2_memory_events, BULK(MEMORY_EVENTS), FOR(MEMORY) | FOR(OOM_EVENT) },
	[CGM_FILE_V2_MEMORY_PEAK] = { "memory.peak", CGM_CTRL_UNIFIED, SLOW_USAGE, cgm_v1_memory_max_usage, BULK(MEMORY_PEAK), FOR(MEMORY) },
	[CGM_FILE_V2_MEMORY_NUMA] = { "memory.numa_stat", CGM_CTRL_UNIFIED, RARE, cgm_v2_memory_numa, 0, FOR(MEMORY_NUMA) },
	[CGM_FILE_V2_MEMORY_SWAP] = { "memory.swap.current", CGM_CTRL_UNIFIED, USAGE, cgm_v2_memory_swap, BULK(MEMORY_SWAP), FOR(MEMORY) },
	[CGM_FILE_V2_ROOT_SWAP] = { "proc/meminfo", CGM_CTRL_MACHINE, SLOW, cgm_v2_root_swap, 0, FOR(MEMORY) },
	[CGM_FILE_V1_PIDS_CURRENT] = { "pids.current", CGM_CTRL_PIDS, CGM_WHEN_CPU, 1000000, cgm_pids_current, BULK(PIDS), FOR(PROCESSES) | FOR(TASK) },
	[CGM_FILE_V1_PIDS_MAX] = { "pids.max", CGM_CTRL_PIDS, RARE, cgm_pids_max, BULK(PIDS), FOR(PROCESSES) | FOR(TASK) },
	[CGM_FILE_V2_PIDS_CURRENT] = { "pids.current", CGM_CTRL_UNIFIED, CGM_WHEN_CPU, 1000000, cgm_pids_current, BULK(PIDS), FOR(PROCESSES) | FOR(TASK) },
	[CGM_FILE_V2_PIDS_MAX] = { "pids.max", CGM_CTRL_UNIFIED, RARE, cgm_pids_max, BULK(PIDS), FOR(PROCESSES) | FOR(TASK) },
	[CGM_FILE_PSI_CPU] = { "cpu.pressure", CGM_CTRL_UNIFIED, PRESSURE, cgm_psi_cpu, BULK(PSI_CPU), FOR(PRESSURE) },
	[CGM_FILE_PSI_MEMORY] = { "memory.pressure", CGM_CTRL_UNIFIED, PRESSURE, cgm_psi_memory, BULK(PSI_MEMORY), FOR(PRESSURE) },
	[CGM_FILE_PSI_IO] = { "io.pressure", CGM_CTRL_UNIFIED, PRESSURE, cgm_psi_io, BULK(PSI_IO), FOR(PRESSURE) },
	[CGM_FILE_PSI_IRQ] = { "irq.pressure", CGM_CTRL_UNIFIED, PRESSURE, cgm_psi_irq, BULK(PSI_IRQ), FOR(PRESSURE) },
	[CGM_FILE_ROOT_PSI_CPU] = { "proc/pressure/cpu", CGM_CTRL_MACHINE, PRESSURE, cgm_psi_cpu, 0, FOR(PRESSURE) },
	[CGM_FILE_ROOT_PSI_MEMORY] = { "proc/pressure/memory", CGM_CTRL_MACHINE, PRESSURE, cgm_psi_memory, 0, FOR(PRESSURE) },
	[CGM_FILE_ROOT_PSI_IO] = { "proc/pressure/io", CGM_CTRL_MACHINE, PRESSURE, cgm_psi_io, 0, FOR(PRESSURE) },
	[CGM_FILE_ROOT_PSI_IRQ] = { "proc/pressure/irq", CGM_CTRL_MACHINE, PRESSURE, cgm_psi_irq, 0, FOR(PRESSURE) },
	[CGM_FILE_V2_IO_STAT] = { "io.stat", CGM_CTRL_UNIFIED, DISKIO, NULL, 0, FOR(DISKIO) },
	[CGM_FILE_V1_BLKIO] = { "blkio.bfq.io_service_bytes_recursive", CGM_CTRL_BLKIO, DISKIO, NULL, 0, FOR(DISKIO) },
	[CGM_FILE_V1_BLKIO + 1] = { "blkio.bfq.io_serviced_recursive", CGM_CTRL_BLKIO, DISKIO, NULL, 0, FOR(DISKIO) },
	[CGM_FILE_V1_BLKIO + 2] = { "blkio.io_service_bytes_recursive", CGM_CTRL_BLKIO, DISKIO, NULL, 0, FOR(DISKIO) },
	[CGM_FILE_V1_BLKIO + 3] = { "blkio.io_serviced_recursive", CGM_CTRL_BLKIO, DISKIO, NULL, 0, FOR(DISKIO) },
	[CGM_FILE_V1_BLKIO + 4] = { "blkio.throttle.io_service_bytes_recursive", CGM_CTRL_BLKIO, DISKIO, NULL, 0, FOR(DISKIO) },
	[CGM_FILE_V1_BLKIO + 5] = { "blkio.throttle.io_serviced_recursive", CGM_CTRL_BLKIO, DISKIO, NULL, 0, FOR(DISKIO) },
	[CGM_FILE_V1_BLKIO + 6] = { "blkio.throttle.io_service_bytes", CGM_CTRL_BLKIO, DISKIO, NULL, 0, FOR(DISKIO) },
	[CGM_FILE_V1_BLKIO + 7] = { "blkio.throttle.io_serviced", CGM_CTRL_BLKIO, DISKIO, NULL, 0, FOR(DISKIO) },
};
_Static_assert(CGM_NR_FILES <= 64, "wanted, absent and known are words of 64 bits");

static uint64_t slow_ns = DEFAULT_SLOW_NS;
static size_t nr_fds, max_fds;
static bool budget_set;
static uint64_t nr_reads;
static uint64_t groups_off; /* bit per enum cgm_group */
/*
 * Bit per file: one was there, in a cgroup below the root. Bulk reading does not see which files a kernel shows (memory.peak, memory.swap.current),
 * so the first reader asks each file once.
 */
static uint64_t seen_files;

void cgm_reader_set_slow_ns(uint64_t ns)
{
	slow_ns = ns;
}

void cgm_reader_set_groups_off(uint64_t groups)
{
	groups_off = groups;
}

void cgm_reader_set_fd_budget(size_t n)
{
	max_fds = n;
	budget_set = true;
}

size_t cgm_reader_nr_fds(void)
{
	return nr_fds;
}

uint64_t cgm_reader_nr_reads(void)
{
	return nr_reads;
}

/*
 * Files that are read at each sample may use the whole budget, the others only its first half: so that with very many containers
 * it is the seldom reads that pay for opening.
 */
static bool may_keep(enum cgm_file f)
{
	struct rlimit limit;

	if (!budget_set) {
		max_fds = 0;
		if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > SPARE_FDS)
			max_fds = limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur - SPARE_FDS;
		budget_set = true;
	}
	return nr_fds < (cgm_files[f].when == CGM_WHEN_EACH || cgm_files[f].when == CGM_WHEN_USAGE ? max_fds : max_fds / 2);
}

static void close_file(struct cgm_reader *r, enum cgm_file f)
{
	if (r->fds[f] < 0)
		return;
	close(r->fds[f]);
	r->fds[f] = -1;
	nr_fds--;
}

/* Directory of the cgroup in a hierarchy, relative to its mount point, with room behind it. */
static const char *dir_path(struct cgm_reader *r)
{
	if (!r->path_len)
		return ".";
	r->path[r->path_len - 1] = '\0';
	return r->path;
}

static int stat_dir(struct cgm_reader *r, enum cgm_controller c, struct stat *st)
{
	if (r->t->h[c].dir_fd < 0)
		return -ENOENT;
	if (fstatat(r->t->h[c].dir_fd, dir_path(r), st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISDIR(st->st_mode) ? 0 : -ENOENT;
}

const char *cgm_reader_path(struct cgm_reader *r, const char *name)
{
	size_t len = strnlen(name, CGM_FILE_NAME_MAX);

	if (r->path_len)
		r->path[r->path_len - 1] = '/';
	memcpy(r->path + r->path_len, name, len);
	r->path[r->path_len + len] = '\0';
	return r->path;
}

/* Where a file is: the descriptor to look below, and the path. */
static int locate(struct cgm_reader *r, enum cgm_file f, const char **ret_path)
{
	const struct cgm_file_desc *d = &cgm_files[f];

	if (d->ctrl == CGM_CTRL_MACHINE) {
		*ret_path = d->name;
		return r->t->root_fd;
	}
	*ret_path = cgm_reader_path(r, d->name);
	return r->t->h[d->ctrl].dir_fd;
}

static int open_file(struct cgm_reader *r, enum cgm_file f)
{
	const char *path;
	int dir_fd = locate(r, f, &path);
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* An open failed. A file that was there and is not any more means that the cgroup is gone; otherwise ask its directory. */
static int open_failed(struct cgm_reader *r, enum cgm_file f, int error)
{
	struct stat st;

	if (error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EINTR)
		return -EAGAIN;
	if (cgm_files[f].ctrl != CGM_CTRL_MACHINE && (error == -ENOENT || error == -ENODEV) &&
	    (r->known >> f & 1 || stat_dir(r, cgm_files[f].ctrl, &st) < 0))
		return -ENOENT;
	r->absent |= 1ULL << f;
	return -EAGAIN;
}

static int read_large(struct cgm_reader *r, enum cgm_file f, char **heap, struct cgm_str *ret)
{
	const char *path;
	int dir_fd = locate(r, f, &path), e;
	size_t len;

	e = cgm_read_all_at(dir_fd, path, MAX_FILE_BYTES, heap, &len);
	if (e < 0)
		return e;
	*ret = (struct cgm_str){ *heap, len };
	return 0;
}

int cgm_reader_read(struct cgm_reader *r, enum cgm_file f, char *buf, char **heap, struct cgm_str *ret)
{
	_cleanup_close_ int once = -1;
	int fd = r->fds[f], e;
	ssize_t n;

	if (r->absent >> f & 1)
		return -EAGAIN;
	if (fd < 0) {
		fd = open_file(r, f);
		if (fd < 0)
			return open_failed(r, f, fd);
		r->known |= 1ULL << f;
		if (may_keep(f)) {
			r->fds[f] = fd;
			nr_fds++;
		} else {
			once = fd;
		}
	}
	nr_reads++;
	n = cgm_read_piece_fd(fd, buf, CGM_READ_BUF);
	if (n >= 0) {
		if (!r->is_root)
			seen_files |= 1ULL << f;
		*ret = (struct cgm_str){ buf, (size_t)n };
		return 0;
	}
	/* kernfs answers ENODEV for every file of a cgroup that was removed. */
	if (n == -ENODEV || n == -ENOENT)
		return -ENOENT;
	if (n == -EFBIG) {
		e = read_large(r, f, heap, ret);
		if (e == 0 || e == -ENOENT || e == -ENODEV)
			return e ? -ENOENT : 0;
	}
	/* Switched off (EOPNOTSUPP) or not readable: not tried again before a refresh. */
	r->absent |= 1ULL << f;
	close_file(r, f);
	return -EAGAIN;
}

/* The v1 file where its controller is mounted as v1; else the same from the unified tree. */
static uint64_t wanted_files(const struct cgm_reader *r)
{
	const struct cgm_trees *t = r->t;
	uint64_t wanted = 0;

	for (unsigned f = 0; f < CGM_NR_FILES; f++) {
		bool want = cgm_files[f].ctrl != CGM_CTRL_MACHINE && r->controllers >> cgm_files[f].ctrl & 1;

		want = want && cgm_files[f].for_groups & ~groups_off;
		if (f == CGM_FILE_V1_CPU_PERCPU || f == CGM_FILE_V1_CPU_USAGE)
			want = want && (f == CGM_FILE_V1_CPU_USAGE) == (groups_off >> CGM_G_PERCPU & 1);
		else if (f == CGM_FILE_V2_CPU_STAT)
			want = want && t->h[CGM_CTRL_CPUACCT].dir_fd < 0;
		else if (f >= CGM_FILE_V2_MEMORY_CURRENT && f <= CGM_FILE_V2_MEMORY_SWAP)
			want = want && t->h[CGM_CTRL_MEMORY].dir_fd < 0;
		else if (f == CGM_FILE_V2_PIDS_CURRENT || f == CGM_FILE_V2_PIDS_MAX)
			want = want && t->h[CGM_CTRL_PIDS].dir_fd < 0;
		else if (f == CGM_FILE_V2_IO_STAT)
			want = want && t->h[CGM_CTRL_BLKIO].dir_fd < 0;
		else if (f == CGM_FILE_V2_ROOT_SWAP)
			want = FOR(MEMORY) & ~groups_off && r->is_root && t->h[CGM_CTRL_MEMORY].dir_fd < 0;
		else if (f >= CGM_FILE_ROOT_PSI_CPU && f <= CGM_FILE_ROOT_PSI_IRQ)
			want = FOR(PRESSURE) & ~groups_off && r->is_root && t->h[CGM_CTRL_UNIFIED].dir_fd < 0;
		if (want)
			wanted |= 1ULL << f;
	}
	return wanted;
}

void cgm_reader_seen_mtime(struct cgm_reader *r, const struct stat *st)
{
	uint64_t ns = st->st_mtim.tv_sec < 0 ? 0 : (uint64_t)st->st_mtim.tv_sec * CGM_NSEC_PER_SEC + (uint64_t)st->st_mtim.tv_nsec;

	ns = MAX(ns, r->t->boot_time_ns);
	if (!r->creation_time_ns || ns < r->creation_time_ns)
		r->creation_time_ns = ns;
}

/* Looks for the path in every hierarchy. The bits that are new, or -ENOENT when it is nowhere. */
static int find_dirs(struct cgm_reader *r)
{
	unsigned found = 0, added;

	for (enum cgm_controller c = 0; c < CGM_NR_CONTROLLERS; c++) {
		struct stat st;

		if (stat_dir(r, c, &st) < 0)
			continue;
		found |= 1U << c;
		if (r->controllers >> c & 1)
			continue;
		r->ids[c] = st.st_ino;
		cgm_reader_seen_mtime(r, &st);
	}
	if (!found)
		return -ENOENT;
	added = found & ~r->controllers;
	r->controllers |= found;
	r->wanted = wanted_files(r);
	return (int)added;
}

int cgm_reader_open(const struct cgm_trees *t, const char *path, struct cgm_reader **ret)
{
	_cleanup_(cgm_freep) struct cgm_reader *r = NULL;
	size_t len;
	int e;

	if (path[0] != '/')
		return -EINVAL;
	while (*path == '/')
		path++;
	len = strlen(path);
	if (len + CGM_FILE_NAME_MAX + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	r = cgm_calloc(1, sizeof(*r) + len + CGM_FILE_NAME_MAX + 2);
	if (!r)
		return -ENOMEM;
	r->t = t;
	r->is_root = !len;
	r->blkio_group = -1;
	r->path_len = len ? len + 1 : 0;
	memcpy(r->path, path, len);
	for (unsigned f = 0; f < CGM_NR_FILES; f++)
		r->fds[f] = -1;
	e = find_dirs(r);
	if (e < 0)
		return e;
	*ret = TAKE_PTR(r);
	return 0;
}

void cgm_reader_close(struct cgm_reader *r)
{
	if (!r)
		return;
	for (unsigned f = 0; f < CGM_NR_FILES; f++)
		close_file(r, f);
	free(r->cpu_ns);
	free(r->numa);
	free(r);
}

unsigned cgm_reader_controllers(const struct cgm_reader *r)
{
	return r->controllers;
}

uint64_t cgm_reader_id(const struct cgm_reader *r, enum cgm_controller c)
{
	return c < CGM_NR_CONTROLLERS ? r->ids[c] : 0;
}

bool cgm_reader_same(const struct cgm_reader *r)
{
	for (enum cgm_controller c = 0; c < CGM_NR_CONTROLLERS; c++) {
		struct stat st;

		if (!(r->controllers >> c & 1))
			continue;
		/* Only the byte behind the path changes, and it is scratch. */
		if (stat_dir((struct cgm_reader *)r, c, &st) < 0 || st.st_ino != r->ids[c])
			return false;
	}
	return true;
}

int cgm_reader_refresh(struct cgm_reader *r)
{
	int added = find_dirs(r);

	if (added < 0)
		return added;
	r->absent = 0;
	return added > 0;
}

/* Is what tells of a change read at all? Its group may be off. */
static bool has_hint(enum cgm_file_when when)
{
	return !(groups_off & (when == CGM_WHEN_CPU ? FOR(CPU) : FOR(MEMORY)));
}

static bool is_due(struct cgm_reader *r, enum cgm_file f, uint64_t now)
{
	const struct cgm_file_desc *d = &cgm_files[f];
	uint64_t cpu = r->v[CGM_V_CPU_USAGE_TOTAL];

	/* Limits are hit, and peaks reached, only by charges, which hardly ever leave the usage at the same page. */
	if (d->when == CGM_WHEN_SLOW_USAGE && has_hint(d->when) && slow_ns && now < r->due_ns[f] + 3 * slow_ns && r->nr_moves == r->moves_at[f])
		return false;
	if (d->when == CGM_WHEN_EACH || !slow_ns || now >= r->due_ns[f])
		return true;
	if (d->when == CGM_WHEN_USAGE)
		return r->usage_moved;
	if (d->when == CGM_WHEN_QUOTA)
		return r->has_quota;
	/* Below the last one: the counter began anew. */
	return d->when == CGM_WHEN_CPU && (cpu < r->cpu_at[f] || cpu - r->cpu_at[f] >= d->cpu_ns);
}

/* When the slow limit will be reached. The first time by a phase that differs between files and between readers. */
static void set_due(struct cgm_reader *r, enum cgm_file f, uint64_t now)
{
	uint64_t phase = ((uintptr_t)r / 64 + f * 5UL) % 16 + 1;
	uint64_t age = slow_ns;

	/* What used hardly any CPU since has hardly any new numbers there. */
	if (cgm_files[f].when == CGM_WHEN_RARE || (cgm_files[f].when == CGM_WHEN_CPU && has_hint(CGM_WHEN_CPU)))
		age *= 4;
	else if (cgm_files[f].when == CGM_WHEN_QUOTA || cgm_files[f].when == CGM_WHEN_PRESSURE)
		age *= 2;
	r->due_ns[f] = r->due_ns[f] ? now + age : now + age * phase / 16;
	r->cpu_at[f] = r->v[CGM_V_CPU_USAGE_TOTAL];
	r->moves_at[f] = r->nr_moves;
}

static int read_files(struct cgm_reader *r, uint64_t covered)
{
	uint64_t now = cgm_clock_ns(CLOCK_MONOTONIC_COARSE);
	uint64_t todo = r->wanted & ~r->absent & ~covered;
	char buf[CGM_READ_BUF];

	/* "/" of v2 has no usage of its own that could tell whether something moved. */
	r->usage_moved = r->usage_moved || (r->is_root && r->wanted >> CGM_FILE_V2_MEMORY_STAT & 1);
	while (todo) {
		enum cgm_file f = (enum cgm_file)__builtin_ctzll(todo);
		_cleanup_free_ char *heap = NULL;
		struct cgm_str text = { NULL, 0 };
		int e;

		todo &= todo - 1;
		if (cgm_files[f].when == CGM_WHEN_DISKIO || !is_due(r, f, now))
			continue;
		e = cgm_reader_read(r, f, buf, &heap, &text);
		if (e == -ENOENT)
			return e;
		if (e < 0)
			continue;
		cgm_files[f].parse(r, text);
		set_due(r, f, now);
	}
	return 0;
}

/* Usage less what can be dropped at once. The peak is at least what was just seen. */
static void derive(struct cgm_reader *r)
{
	uint64_t usage = r->v[CGM_V_MEMORY_USAGE], inactive = r->v[CGM_V_MEMORY_INACTIVE_FILE];

	if (!cgm_reader_has(r, CGM_V_MEMORY_USAGE))
		return;
	if (cgm_reader_has(r, CGM_V_MEMORY_INACTIVE_FILE))
		cgm_reader_set(r, CGM_V_MEMORY_WORKING_SET, usage > inactive ? usage - inactive : 0);
	if (cgm_reader_has(r, CGM_V_MEMORY_MAX_USAGE) && r->v[CGM_V_MEMORY_MAX_USAGE] < usage)
		r->v[CGM_V_MEMORY_MAX_USAGE] = usage;
}

static void take_group(struct cgm_reader *r, const struct cgm_bulk *b, unsigned g)
{
	for (size_t w = 0; w < CGM_VALUE_WORDS; w++) {
		r->have[w] |= b->have[g][w];
		for (uint64_t bits = b->have[g][w]; bits; bits &= bits - 1) {
			size_t id = w * 64 + (size_t)__builtin_ctzll(bits);

			r->v[id] = b->v[id];
		}
	}
}

/* Takes the values of files that need not be read; those that were kept open are closed. The bits of these files. */
static uint64_t take_bulk(struct cgm_reader *r, const struct cgm_bulk *b)
{
	uint64_t covered = 0, usage = r->v[CGM_V_MEMORY_USAGE];
	uint32_t taken = 0;

	for (uint64_t todo = b->groups ? r->wanted & seen_files : 0; todo; todo &= todo - 1) {
		enum cgm_file f = (enum cgm_file)__builtin_ctzll(todo);

		if (!cgm_files[f].groups || cgm_files[f].groups & ~b->groups)
			continue;
		covered |= 1ULL << f;
		taken |= cgm_files[f].groups;
		close_file(r, f);
	}
	for (; taken; taken &= taken - 1)
		take_group(r, b, (unsigned)__builtin_ctz(taken));
	r->usage_moved = r->v[CGM_V_MEMORY_USAGE] != usage;
	r->nr_moves += r->usage_moved;
	return covered;
}

static int copy_cpus(const struct cgm_reader *r, const struct cgm_bulk *b, struct cgm_sample *s)
{
	const uint64_t *from = b && b->nr_cpus ? b->cpu_ns : r->cpu_ns;
	size_t nr = b && b->nr_cpus ? b->nr_cpus : r->nr_cpus;
	int e = nr ? cgm_sample_cpus(s, nr) : 0;

	if (e == 0 && nr)
		memcpy(s->cpu_ns, from, nr * sizeof(*s->cpu_ns));
	return e;
}

int cgm_reader_sample_bulk(struct cgm_reader *r, const struct cgm_bulk *bulk, bool want_diskio, struct cgm_sample *s)
{
	uint64_t covered;
	int e;

	r->usage_moved = false;
	covered = bulk ? take_bulk(r, bulk) : 0;
	e = read_files(r, covered);
	if (e < 0)
		return e;
	derive(r);
	for (size_t w = 0; w < CGM_VALUE_WORDS; w++) {
		s->have[w] |= r->have[w];
		for (uint64_t bits = r->have[w]; bits; bits &= bits - 1) {
			size_t id = w * 64 + (size_t)__builtin_ctzll(bits);

			s->v[id] = r->v[id];
		}
	}
	e = copy_cpus(r, bulk, s);
	if (e < 0)
		return e;
	for (size_t i = 0; i < r->nr_numa; i++) {
		struct cgm_numa_row *row = cgm_sample_numa(s, r->numa[i].node);

		if (!row)
			return -ENOMEM;
		*row = r->numa[i];
	}
	return want_diskio ? cgm_reader_diskio(r, s) : 0;
}

void cgm_reader_expire(struct cgm_reader *r)
{
	memset(r->due_ns, 0, sizeof(r->due_ns));
	/* A peak is read anew only when the usage has moved, by its due time or not. */
	r->nr_moves++;
}

int cgm_reader_sample(struct cgm_reader *r, bool want_diskio, struct cgm_sample *s)
{
	return cgm_reader_sample_bulk(r, NULL, want_diskio, s);
}

int cgm_reader_memory_stat(struct cgm_reader *r, char *buf, size_t size, struct cgm_str *ret)
{
	enum cgm_file f = r->wanted >> CGM_FILE_V1_MEMORY_STAT & 1 ? CGM_FILE_V1_MEMORY_STAT : CGM_FILE_V2_MEMORY_STAT;
	_cleanup_close_ int fd = r->wanted >> f & 1 ? open_file(r, f) : -ENOENT;
	ssize_t n;

	if (fd < 0)
		return fd;
	nr_reads++;
	n = cgm_read_piece_fd(fd, buf, size);
	if (n < 0)
		return (int)n;
	*ret = (struct cgm_str){ buf, (size_t)n };
	return 0;
}
