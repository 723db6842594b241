/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the readers, for reader.c, v1.c, v2.c, diskio.c, spec.c and netns.c only. */
#pragma once
#include <sys/stat.h>

#include "cgroup/cgroup.h"
#include "cgroup/text.h"

/* Every file that a sample may read, in the order in which it is read. v1 first, then v2, then what both have. */
enum cgm_file {
	CGM_FILE_V1_CPU_PERCPU,
	CGM_FILE_V1_CPU_USAGE, /* in place of the former */
	CGM_FILE_V1_MEMORY_USAGE,
	CGM_FILE_V1_MEMORY_STAT,
	CGM_FILE_V1_CPU_STAT,
	CGM_FILE_V1_CPUACCT_STAT,
	CGM_FILE_V1_MEMORY_MAX_USAGE,
	CGM_FILE_V1_MEMORY_KMEM,
	CGM_FILE_V1_MEMORY_FAILCNT,
	CGM_FILE_V1_MEMORY_OOM,
	CGM_FILE_V1_MEMORY_NUMA,
	CGM_FILE_V1_MEMORY_MIGRATE,
	CGM_FILE_V2_CPU_STAT,
	CGM_FILE_V2_MEMORY_CURRENT,
	CGM_FILE_V2_MEMORY_STAT,
	CGM_FILE_V2_MEMORY_LOCAL_EVENTS, /* before the events, which stand in for it */
	CGM_FILE_V2_MEMORY_EVENTS,
	CGM_FILE_V2_MEMORY_PEAK,
	CGM_FILE_V2_MEMORY_NUMA,
	CGM_FILE_V2_MEMORY_SWAP,
	CGM_FILE_V2_ROOT_SWAP,
	CGM_FILE_V1_PIDS_CURRENT,
	CGM_FILE_V1_PIDS_MAX,
	CGM_FILE_V2_PIDS_CURRENT,
	CGM_FILE_V2_PIDS_MAX,
	CGM_FILE_PSI_CPU,
	CGM_FILE_PSI_MEMORY,
	CGM_FILE_PSI_IO,
	CGM_FILE_PSI_IRQ,
	CGM_FILE_ROOT_PSI_CPU,
	CGM_FILE_ROOT_PSI_MEMORY,
	CGM_FILE_ROOT_PSI_IO,
	CGM_FILE_ROOT_PSI_IRQ,
	CGM_FILE_V2_IO_STAT,
	CGM_FILE_V1_BLKIO, /* pairs of bytes and operations, best first */
	CGM_FILE_V1_BLKIO_LAST = CGM_FILE_V1_BLKIO + 7,
	CGM_NR_FILES,
};

/* When a file is read again, besides being older than cgm_reader_set_slow_ns. */
enum cgm_file_when {
	CGM_WHEN_EACH,
	CGM_WHEN_CPU, /* cpu_ns of CPU time were used since; otherwise at four times that age */
	CGM_WHEN_USAGE, /* the memory usage has moved since */
	CGM_WHEN_QUOTA, /* the cgroup has or had a CPU quota; otherwise at twice that age */
	CGM_WHEN_SLOW,
	CGM_WHEN_PRESSURE, /* sums of waiting and averages over 10 s and more: at twice that age */
	CGM_WHEN_SLOW_USAGE, /* the same, and the memory usage has moved since; otherwise at four times that age */
	CGM_WHEN_RARE, /* a limit that hardly anybody changes: at four times that age */
	CGM_WHEN_DISKIO, /* by diskio.c only */
};

/* The files that belong to root_fd, not to a hierarchy. */
#define CGM_CTRL_MACHINE CGM_NR_CONTROLLERS

struct cgm_reader;
struct cgm_file_desc {
	const char *name;
	uint8_t ctrl, when;
	uint32_t cpu_ns;
	void (*parse)(struct cgm_reader *r, struct cgm_str text);
	uint32_t groups; /* bit per enum cgm_bulk_group: not read when all of them came in bulk; 0: always read */
	uint64_t for_groups; /* bit per enum cgm_group: not read when all of them are off */
};
extern const struct cgm_file_desc cgm_files[CGM_NR_FILES];

#define CGM_FILE_NAME_MAX 48
#define CGM_READ_BUF 16384

struct cgm_reader {
	const struct cgm_trees *t;
	unsigned controllers;
	uint64_t ids[CGM_NR_CONTROLLERS];
	uint64_t creation_time_ns;
	bool is_root;
	bool has_quota;
	bool usage_moved;
	uint32_t nr_moves; /* ticks at which the memory usage had moved */
	int8_t blkio_group; /* which pair of blkio files has data; -1: not known */
	uint64_t wanted, absent, known; /* bit per file: worth reading; not there; was opened once */
	int fds[CGM_NR_FILES]; /* -1: not kept open */
	uint64_t due_ns[CGM_NR_FILES]; /* coarse monotonic time */
	uint64_t cpu_at[CGM_NR_FILES]; /* CPU time at the last read */
	uint32_t moves_at[CGM_NR_FILES]; /* nr_moves at the last read */
	/* The newest value of each file; handed out again until the file is read again. */
	uint64_t v[CGM_NR_VALUES], have[CGM_VALUE_WORDS];
	uint64_t *cpu_ns;
	size_t nr_cpus, cap_cpus;
	struct cgm_numa_row *numa;
	size_t nr_numa, cap_numa;
	size_t path_len; /* of path without the file's name: "a/b/" */
	char path[];
};

static inline void cgm_reader_set(struct cgm_reader *r, enum cgm_value id, uint64_t v)
{
	r->v[id] = v;
	r->have[id / 64] |= 1ULL << (id % 64);
}

static inline bool cgm_reader_has(const struct cgm_reader *r, enum cgm_value id)
{
	return r->have[id / 64] >> (id % 64) & 1;
}

/*
 * Reads a file of the cgroup into buf (CGM_READ_BUF bytes; larger ones into *heap, for the caller to free). 0 with *ret; -ENOENT: the cgroup is
 * gone; -EAGAIN: no such file, or it cannot be read now.
 */
int cgm_reader_read(struct cgm_reader *r, enum cgm_file f, char *buf, char **heap, struct cgm_str *ret);

/* The path of a file of the cgroup (a name of at most CGM_FILE_NAME_MAX), relative to a mount point; good until the next call. */
const char *cgm_reader_path(struct cgm_reader *r, const char *name);
/* Lowers the creation time to that file's, but not below the machine's boot. */
void cgm_reader_seen_mtime(struct cgm_reader *r, const struct stat *st);

/* For the tables. */
void cgm_v1_percpu(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_cpu_usage(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_memory_migrate(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_cpuacct_stat(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_cpu_stat(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_memory_stat(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_memory_oom(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_memory_max_usage(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_memory_kmem(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_memory_failcnt(struct cgm_reader *r, struct cgm_str text);
void cgm_v1_memory_numa(struct cgm_reader *r, struct cgm_str text);
void cgm_v2_memory_numa(struct cgm_reader *r, struct cgm_str text);
void cgm_v2_memory_local_events(struct cgm_reader *r, struct cgm_str text);
void cgm_v2_cpu_stat(struct cgm_reader *r, struct cgm_str text);
void cgm_v2_memory_stat(struct cgm_reader *r, struct cgm_str text);
void cgm_v2_memory_events(struct cgm_reader *r, struct cgm_str text);
void cgm_v2_memory_swap(struct cgm_reader *r, struct cgm_str text);
void cgm_v2_root_swap(struct cgm_reader *r, struct cgm_str text);
void cgm_memory_usage(struct cgm_reader *r, struct cgm_str text);
void cgm_pids_current(struct cgm_reader *r, struct cgm_str text);
void cgm_pids_max(struct cgm_reader *r, struct cgm_str text);
void cgm_psi_cpu(struct cgm_reader *r, struct cgm_str text);
void cgm_psi_memory(struct cgm_reader *r, struct cgm_str text);
void cgm_psi_io(struct cgm_reader *r, struct cgm_str text);
void cgm_psi_irq(struct cgm_reader *r, struct cgm_str text);

/* diskio.c: the block files, straight into the sample. 0, -ENOENT or -ENOMEM. */
int cgm_reader_diskio(struct cgm_reader *r, struct cgm_sample *s);
