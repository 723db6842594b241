// SPDX-License-Identifier: Apache-2.0
#include "disk/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Not in the kernel's public headers: Q_GETQUOTA's structure is. XFS answers it as well (fs/quota/quota.c asks the file system for both forms). */
#define GET_PROJECT_QUOTA QCMD(Q_GETQUOTA, PRJQUOTA)

static int read_attributes(int path_fd, struct fsxattr *ret)
{
	_cleanup_close_ int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, ret) < 0 ? -errno : 0;
}

/* Before quotactl_fd (5.14): the kernel wants the disk's path, and gets the disk itself. */
static int ask_by_disk(int root_fd, const struct cgm_place *p, uint32_t project, struct if_dqblk *ret)
{
	const char *source = p->source;
	_cleanup_close_ int fd = -1;
	struct stat st;
	char path[64];

	while (*source == '/')
		source++;
	fd = openat(root_fd, source, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode) || st.st_rdev != p->fs_dev)
		return -ENODATA;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return syscall(SYS_quotactl, GET_PROJECT_QUOTA, path, project, ret) < 0 ? -errno : 0;
}

static int ask(int root_fd, const struct cgm_place *p, uint32_t project, struct if_dqblk *ret)
{
	_cleanup_close_ int fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = syscall(SYS_quotactl_fd, fd, GET_PROJECT_QUOTA, project, ret) < 0 ? -errno : 0;
	return r == -ENOSYS ? ask_by_disk(root_fd, p, project, ret) : r;
}

int cgm_quota_read(int root_fd, const struct cgm_place *p, uint64_t *ret_bytes, uint64_t *ret_inodes)
{
	struct fsxattr own = { 0 }, above = { 0 };
	struct if_dqblk q = { 0 };
	int r;

	if (p->parent_fd < 0 || read_attributes(p->fd, &own) < 0 || !own.fsx_projid || !(own.fsx_xflags & FS_XFLAG_PROJINHERIT))
		return -ENODATA;
	if (read_attributes(p->parent_fd, &above) < 0 || above.fsx_projid == own.fsx_projid)
		return -ENODATA;
	r = ask(root_fd, p, own.fsx_projid, &q);
	/* No accounting (ESRCH), nothing counted yet (ENOENT: the next walk or accounting will tell), no quota in this kernel. */
	if (r == -ESRCH || r == -ENOENT || r == -ENOSYS || r == -ENOTTY || r == -EOPNOTSUPP)
		return -ENODATA;
	if (r < 0)
		return r;
	if ((q.dqb_valid & QIF_USAGE) != QIF_USAGE)
		return -ENODATA;
	*ret_bytes = q.dqb_curspace;
	*ret_inodes = q.dqb_curinodes;
	return 0;
}
