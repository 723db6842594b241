/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a path leads: from its text to a descriptor, without a step onto a file system whose server may be gone. The machine's table of mounts says
 * which those are before they are touched; a mount that is not in the table is not entered. The disk thread's alone.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup/sample.h"

/* What is mounted, read again when the kernel says that it has changed. */
struct cgm_mounts;
/* root_fd must stay open. NULL: out of memory. */
struct cgm_mounts *cgm_mounts_new(int root_fd);
/* NULL is fine. */
void cgm_mounts_free(struct cgm_mounts *t);

struct cgm_place {
	int fd; /* O_PATH, the caller's to close */
	int parent_fd; /* O_PATH, of the directory that holds it; likewise; -1: the root */
	char device[CGM_FS_DEVICE]; /* cgm_fs_device(); "" when that has none or does not fit */
	dev_t fs_dev; /* of the file system by the table of mounts; 0 where it has no disk */
	char source[256]; /* what is mounted, as mountinfo has it */
	bool is_fs_root; /* a file system of its own is mounted there */
	bool has_mounts; /* something is mounted below it */
};
/*
 * Resolves path as it is in the machine's root: a link leads to what it means there, one of procfs's magic links nowhere. 0; -EREMOTE when it lies on
 * a file system that is not local, or a mount on the way is not known; -ENOENT, -ELOOP, -ENOMEM, other negative errnos. ret only on success.
 */
int cgm_place_open(struct cgm_mounts *t, const char *path, struct cgm_place *ret);

enum { CGM_OPEN_CROSS = 1 /* onto what is mounted there */, CGM_OPEN_DIR = 2 /* for getdents; else O_PATH of whatever it is */ };
/*
 * Opens the entry called name of a directory, a link as itself, no other mount unless told so: -EXDEV then. By openat2; without it (before 5.6, or
 * forbidden) a mount is entered and the caller must look whether it has changed file systems. A descriptor or a negative errno.
 */
int cgm_open_entry(int dir_fd, const char *name, int flags);

/* Tests only: as on a kernel without openat2. */
void cgm_open_entry_old(bool old);
