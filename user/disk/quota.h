/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel itself counts for a directory: project quota of XFS and ext4. */
#pragma once
#include <stdint.h>

#include "disk/place.h"

/*
 * The space and inodes of the project that begins at p: a directory with an id that is not 0 and not its parent's, and that what is made below
 * inherits. 0; -ENODATA: there is none, or nobody counts it; other negative errnos. -EPERM: the kernel tells it to CAP_SYS_ADMIN alone.
 */
int cgm_quota_read(int root_fd, const struct cgm_place *p, uint64_t *ret_bytes, uint64_t *ret_inodes);
