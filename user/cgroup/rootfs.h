/* SPDX-License-Identifier: Apache-2.0 */
/* Where on the machine that lies which a container sees as "/": the directory of what it has written. By /proc/PID/mountinfo, below a root descriptor. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"

/*
 * The directory that holds what process pid has written into its root, as the machine names it: an overlay's upper one; else (docker's and podman's
 * driver "vfs") the directory that its root is, as cAdvisor counts it. -ENOENT: there is no such process. -ENXIO: its root is the machine's own or a whole
 * file system, or the machine does not see the directory (a runtime inside a container; an upper directory that was given relative to another). -ENOMEM, -EFBIG.
 */
int cgm_rootfs_find(int root_fd, uint32_t pid, char *buf, size_t size);
/* Is that, absolute, a directory or file that the machine has? A link at its end is none. */
bool cgm_rootfs_there(int root_fd, const char *path);

/* Of mountinfo, what is mounted at "/" last. False: nothing is. */
struct cgm_rootfs_mount {
	uint32_t major, minor;
	bool is_overlay;
	struct cgm_str dir; /* still escaped; of an overlay its upper directory (empty: it has none), else the root of the mount in its file system */
};
bool cgm_rootfs_mount(struct cgm_str mountinfo, struct cgm_rootfs_mount *ret);
/* Of mountinfo, where dir (escaped, as above) of that file system is mounted: into buf, unescaped. 0, -ENXIO: nowhere, -ENAMETOOLONG. */
int cgm_rootfs_place(struct cgm_str mountinfo, uint32_t major, uint32_t minor, struct cgm_str dir, char *buf, size_t size);
