/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc, /sys and statfs say of the machine: the facts of cAdvisor's MachineInfo, and the samples that only "/" has. Below a root descriptor. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cgroup/sample.h"

struct cgm_cache {
	unsigned id, level;
	uint64_t size_bytes;
	char type[16]; /* "Data", "Instruction", "Unified" */
};

struct cgm_core {
	unsigned core_id, socket_id;
	int book_id, drawer_id; /* -1: none, but on s390 */
	unsigned *threads; /* CPU numbers */
	size_t nr_threads;
	struct cgm_cache *caches; /* private to the core */
	size_t nr_caches;
	struct cgm_cache *uncore; /* shared by some cores of the node, not by all */
	size_t nr_uncore;
};

struct cgm_hugepages {
	uint64_t page_size_kb, nr_pages;
};

struct cgm_numa_node {
	unsigned id;
	uint64_t memory_bytes;
	struct cgm_hugepages *hugepages;
	size_t nr_hugepages;
	struct cgm_core *cores;
	size_t nr_cores;
	struct cgm_cache *caches; /* shared by all cores of the node */
	size_t nr_caches;
	uint64_t *distances;
	size_t nr_distances;
};

struct cgm_disk_info {
	char name[32]; /* "vda" */
	uint32_t major, minor;
	uint64_t size_bytes;
	char scheduler[32]; /* the active one, "none" */
};

struct cgm_net_info {
	char name[16], mac[32];
	int64_t speed_mbps;
	int64_t mtu;
};

struct cgm_fs_info {
	char *device, *mountpoint, *type; /* type as FsStats names it: "vfs", "nfs", "zfs" */
	uint32_t major, minor;
	uint64_t capacity_bytes, available_bytes, used_bytes, inodes, inodes_free;
	bool has_inodes;
};

/* Memory modules of one type. */
struct cgm_dimms {
	char type[32]; /* as EDAC names it, "Unbuffered-DDR4" */
	uint64_t capacity_bytes, nr;
};

struct cgm_machine {
	uint64_t time_ns; /* since the epoch */
	char vendor_id[32];
	unsigned nr_cpus, nr_physical_cores, nr_sockets;
	unsigned nr_books, nr_drawers; /* s390 alone */
	uint64_t cpu_frequency_khz; /* the highest */
	uint64_t memory_bytes, swap_bytes;
	struct cgm_hugepages *hugepages;
	size_t nr_hugepages;
	char machine_id[64], system_uuid[64], boot_id[64];
	char kernel_version[128], os_version[128];
	struct cgm_fs_info *fs;
	size_t nr_fs;
	struct cgm_disk_info *disks; /* less loop*, ram*, sr* */
	size_t nr_disks;
	struct cgm_net_info *nics; /* less lo, veth*, docker*, nerdctl* */
	size_t nr_nics;
	struct cgm_dimms *dimms;
	size_t nr_dimms;
	bool has_nvm; /* persistent memory */
	uint64_t nvm_bytes; /* of it, what programs may map */
	struct cgm_numa_node *nodes;
	size_t nr_nodes;
};

/* A fresh reading; parts that cannot be read stay empty. NULL when out of memory. Any thread. */
struct cgm_machine *cgm_machine_read(int root_fd);
/* Where ids are looked for: lists with a comma between, below the root, whose texts must stay. Before anybody reads. */
void cgm_machine_set_id_files(const char *machine_id, const char *boot_id);
void cgm_machine_free(struct cgm_machine *m);
DEFINE_CLEANUP(cgm_machine, cgm_machine_free)

/* Adds the interfaces of /proc/1/net/dev (else /proc/net/dev), less lo, veth*, docker*, nerdctl*. 0 or a negative errno. */
int cgm_machine_sample_net(int root_fd, struct cgm_sample *s);
/* Adds the file systems (one row a device) with statfs and /proc/diskstats. Mounts are looked up anew each time. 0 or a negative errno. */
int cgm_machine_sample_fs(int root_fd, struct cgm_sample *s);
/* What the machine has mounted, as mountinfo; the caller frees *ret. 0 or a negative errno. Any thread. */
int cgm_machine_mounts(int root_fd, char **ret, size_t *ret_len);
/* File systems alone, as they are now; else as cgm_machine_read(). */
struct cgm_machine *cgm_machine_read_fs(int root_fd);
struct cgm_mount; /* cgroup/text.h */
/* True for types of file systems that hold data on this machine: no call on one hangs because a server is gone. Any thread. */
bool cgm_fs_is_local(struct cgm_str type);
/*
 * The name by which file systems are known here: "/dev/vda1", the mount point of a tmpfs, "overlay_0-25". 0; -ENAMETOOLONG when it does not fit
 * or is none, -ENOENT when the kernel does not name the device of /dev/root. Any thread.
 */
int cgm_fs_device(int root_fd, const struct cgm_mount *m, char *buf, size_t size);
/* Is that the file system with that UUID, by <root_fd>/dev/disk/by-uuid? Any thread. */
bool cgm_machine_fs_has_uuid(int root_fd, const struct cgm_fs_info *fs, const char *uuid);
/* The name of a block device for labels, "/dev/vda", cached from <root_fd>/sys/dev/block; "" when unknown. Not for two threads at once. */
const char *cgm_disk_name(int root_fd, uint32_t major, uint32_t minor, char *buf, size_t size);
