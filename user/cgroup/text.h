/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parsers of this room: text of the kernel's in, numbers out. No descriptor, no allocation, no state, so that each can be
 * fuzzed by itself. What is malformed is passed over, never guessed at. Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"

/* A set of names of a "name number" file; at most 64. lengths: bit n is set when some name has n characters. */
struct cgm_key {
	const char *name;
	uint8_t len;
};
struct cgm_keys {
	const struct cgm_key *keys;
	unsigned nr;
	uint64_t lengths;
};

/* "name number" lines: sets vals[i] for each key i that is there with a number; returns a bit for each that was set. */
uint64_t cgm_text_keys(struct cgm_str text, const struct cgm_keys *keys, uint64_t *vals);

#define CGM_MEMORY_STAT_V1_KEYS(X)                                                                                             \
	X(TOTAL_CACHE, "total_cache")                                                                                          \
	X(TOTAL_RSS, "total_rss")                                                                                              \
	X(TOTAL_SWAP, "total_swap")                                                                                            \
	X(TOTAL_MAPPED_FILE, "total_mapped_file")                                                                              \
	X(TOTAL_DIRTY, "total_dirty")                                                                                          \
	X(TOTAL_WRITEBACK, "total_writeback")                                                                                  \
	X(TOTAL_ACTIVE_FILE, "total_active_file")                                                                              \
	X(TOTAL_INACTIVE_FILE, "total_inactive_file")                                                                          \
	X(TOTAL_REFAULT_FILE, "total_workingset_refault_file")                                                                 \
	X(TOTAL_REFAULT_ANON, "total_workingset_refault_anon")                                                                 \
	X(REFAULT_FILE, "workingset_refault_file")                                                                             \
	X(REFAULT_ANON, "workingset_refault_anon")                                                                             \
	X(PGFAULT, "pgfault")                                                                                                  \
	X(PGMAJFAULT, "pgmajfault")                                                                                            \
	X(TOTAL_PGFAULT, "total_pgfault")                                                                                      \
	X(TOTAL_PGMAJFAULT, "total_pgmajfault")

/* kernel is new in 5.18; the six behind it are its parts. */
#define CGM_MEMORY_STAT_V2_KEYS(X)                                                                                             \
	X(ANON, "anon")                                                                                                        \
	X(FILE, "file")                                                                                                        \
	X(FILE_MAPPED, "file_mapped")                                                                                          \
	X(FILE_DIRTY, "file_dirty")                                                                                            \
	X(FILE_WRITEBACK, "file_writeback")                                                                                    \
	X(ACTIVE_FILE, "active_file")                                                                                          \
	X(INACTIVE_FILE, "inactive_file")                                                                                      \
	X(REFAULT_FILE, "workingset_refault_file")                                                                             \
	X(REFAULT_ANON, "workingset_refault_anon")                                                                             \
	X(PGSCAN, "pgscan")                                                                                                    \
	X(PGSTEAL, "pgsteal")                                                                                                  \
	X(PGFAULT, "pgfault")                                                                                                  \
	X(PGMAJFAULT, "pgmajfault")                                                                                            \
	X(KERNEL, "kernel")                                                                                                    \
	X(KERNEL_STACK, "kernel_stack")                                                                                        \
	X(PAGETABLES, "pagetables")                                                                                            \
	X(SEC_PAGETABLES, "sec_pagetables")                                                                                    \
	X(PERCPU, "percpu")                                                                                                    \
	X(VMALLOC, "vmalloc")                                                                                                  \
	X(SLAB, "slab")

/* Both versions' names; times are in ns under a v1 name and in µs under a v2 name. */
#define CGM_CPU_STAT_KEYS(X)                                                                                                   \
	X(USAGE_USEC, "usage_usec")                                                                                            \
	X(USER_USEC, "user_usec")                                                                                              \
	X(SYSTEM_USEC, "system_usec")                                                                                          \
	X(NR_PERIODS, "nr_periods")                                                                                            \
	X(NR_THROTTLED, "nr_throttled")                                                                                        \
	X(THROTTLED_USEC, "throttled_usec")                                                                                    \
	X(NR_BURSTS, "nr_bursts")                                                                                              \
	X(BURST_USEC, "burst_usec")                                                                                            \
	X(THROTTLED_TIME, "throttled_time")                                                                                    \
	X(BURST_TIME, "burst_time")                                                                                            \
	X(USER, "user")                                                                                                        \
	X(SYSTEM, "system")

#define CGM_MEMORY_EVENTS_KEYS(X)                                                                                              \
	X(LOW, "low")                                                                                                          \
	X(HIGH, "high")                                                                                                        \
	X(MAX, "max")                                                                                                          \
	X(OOM, "oom")                                                                                                          \
	X(OOM_KILL, "oom_kill")                                                                                                \
	X(OOM_GROUP_KILL, "oom_group_kill")                                                                                    \
	X(SOCK_THROTTLED, "sock_throttled")

#define CGM_KEY_V1(id, name) CGM_MS1_##id,
#define CGM_KEY_V2(id, name) CGM_MS2_##id,
#define CGM_KEY_CPU(id, name) CGM_CPU_##id,
#define CGM_KEY_EVENTS(id, name) CGM_EV_##id,
enum { CGM_MEMORY_STAT_V1_KEYS(CGM_KEY_V1) CGM_NR_MS1 };
enum { CGM_MEMORY_STAT_V2_KEYS(CGM_KEY_V2) CGM_NR_MS2 };
enum { CGM_CPU_STAT_KEYS(CGM_KEY_CPU) CGM_NR_CPU };
enum { CGM_MEMORY_EVENTS_KEYS(CGM_KEY_EVENTS) CGM_NR_EV };

extern const struct cgm_keys cgm_memory_stat_v1_keys, cgm_memory_stat_v2_keys;
extern const struct cgm_keys cgm_cpu_stat_keys; /* cpu.stat of v1 and v2, cpuacct.stat */
extern const struct cgm_keys cgm_memory_events_keys; /* memory.events, memory.oom_control */

/* Numbers separated by blanks; at most max of them. How many; stops at what is no number. */
size_t cgm_text_numbers(struct cgm_str text, uint64_t *v, size_t max);
/* A file that is one number or "max". -EINVAL. */
int cgm_text_number(struct cgm_str text, uint64_t *ret);

/* A pressure file: total in µs, averages in hundredths of a percent. CPU files of old kernels have no full line. */
struct cgm_pressure_line {
	bool present;
	uint64_t avg10, avg60, avg300, total_usec;
};
struct cgm_pressure {
	struct cgm_pressure_line some, full;
};
void cgm_text_pressure(struct cgm_str text, struct cgm_pressure *ret);

/* io.stat of v2: calls row for each device that has numbers. row returns 0 to go on; anything else ends it and is returned. */
struct cgm_io_stat {
	uint64_t rbytes, wbytes, dbytes, rios, wios, dios;
	uint64_t cost_usage, cost_wait, cost_indebt, cost_indelay; /* µs; with io.cost alone */
};
typedef int (*cgm_io_stat_fn)(void *arg, uint32_t major, uint32_t minor, const struct cgm_io_stat *io);
int cgm_text_io_stat(struct cgm_str text, cgm_io_stat_fn row, void *arg);

/* A blkio file of v1, "8:0 Read 4096" a line: the same. op as the kernel names it. Lines without a device are passed over. */
typedef int (*cgm_blkio_fn)(void *arg, uint32_t major, uint32_t minor, struct cgm_str op, uint64_t value);
int cgm_text_blkio(struct cgm_str text, cgm_blkio_fn row, void *arg);

/*
 * memory.numa_stat of v1 ("hierarchical_anon=7 N0=4 N1=3") and v2 ("anon N0=4096 N1=0"): calls row for each number of a node. kind is the word
 * in front, without its sum; nodes above 255 are passed over. The same rule for what row returns.
 */
typedef int (*cgm_numa_fn)(void *arg, struct cgm_str kind, uint32_t node, uint64_t value);
int cgm_text_numa(struct cgm_str text, cgm_numa_fn row, void *arg);

/* A line of /proc/PID/mountinfo; the texts point into the line and are still escaped. -EINVAL. */
struct cgm_mount {
	uint32_t major, minor;
	struct cgm_str root, point, type, source, options; /* options: the file system's, not the mount's */
};
int cgm_text_mount(struct cgm_str line, struct cgm_mount *ret);
/* "\040" to a blank, into buf with a zero behind it. The length, or -ENAMETOOLONG. */
int cgm_text_unescape(struct cgm_str s, char *buf, size_t size);
/* True when word is one of the comma-separated words of list. */
bool cgm_text_has_word(struct cgm_str list, const char *word);

/* A line of /proc/PID/cgroup, "4:cpu,cpuacct:/path"; a v2 line is 0 and has no controllers. -EINVAL. */
struct cgm_cgroup_line {
	uint32_t id;
	struct cgm_str controllers, path;
};
int cgm_text_cgroup(struct cgm_str line, struct cgm_cgroup_line *ret);

/* A line of net/dev; the two head lines give -EINVAL. v: in order of enum cgm_iface_value. */
struct cgm_net_dev {
	struct cgm_str name;
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped;
};
int cgm_text_net_dev(struct cgm_str line, struct cgm_net_dev *ret);

/* A line of /proc/diskstats: the eleven numbers that every kernel since 2.6 has. -EINVAL. Times in ms, sectors of 512 bytes. */
struct cgm_diskstats {
	uint32_t major, minor;
	struct cgm_str name;
	uint64_t v[11]; /* reads, reads merged, sectors read, read ms, writes, merged, sectors, ms, in flight, busy ms, weighted ms */
};
int cgm_text_diskstats(struct cgm_str line, struct cgm_diskstats *ret);

/* The number of "Name:   123 kB" in meminfo or a NUMA node's meminfo ("Node 0 Name: …"), in bytes. -ENOENT. */
int cgm_text_meminfo(struct cgm_str text, const char *name, uint64_t *ret_bytes);

/*
 * A file of pairs of lines, "TcpExt: name name …" and "TcpExt: number number …" (/proc/net/snmp, netstat): calls pair for each name of the section
 * with its number (negative ones as two's complement). Ends where names and numbers do not go on together.
 */
typedef void (*cgm_pair_fn)(void *arg, struct cgm_str name, uint64_t value);
void cgm_text_pairs(struct cgm_str text, const char *section, cgm_pair_fn pair, void *arg);

/* A row of /proc/PID/limits, "Max open files    1024   4096   files"; unlimited is UINT64_MAX. -ENOENT. */
int cgm_text_limit(struct cgm_str text, const char *name, uint64_t *ret_soft, uint64_t *ret_hard);
