/* SPDX-License-Identifier: Apache-2.0 */
/* A loop device of our own, and a file system on it. */
#pragma once

#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "bpf/util.h"

struct disk {
	char path[64], file[64];
	int fd;
	uint32_t dev;
};

static inline void load_module(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("modprobe", "modprobe", "-q", "loop", (char *)NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

/* A loop device of that many bytes, on a file in /tmp. -1: there is none to be had. */
static inline int disk_open(struct disk *d, off_t bytes)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), nr, backing;
	struct stat st;

	if (control < 0) {
		load_module();
		control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	}
	if (control < 0)
		return -1;
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(d->file, sizeof(d->file), "/tmp/cgmbpf-%d.img", (int)getpid());
	snprintf(d->path, sizeof(d->path), "/dev/loop%d", nr);
	backing = open(d->file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (nr < 0 || backing < 0 || ftruncate(backing, bytes) < 0)
		return -1;
	if (access(d->path, F_OK) < 0)
		mknod(d->path, S_IFBLK | 0600, makedev(7, (unsigned)nr));
	d->fd = open(d->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (d->fd < 0 || ioctl(d->fd, LOOP_SET_FD, backing) < 0)
		return -1;
	close(backing);
	/* A test that fails leaves it mounted; it must not outlive that mount. */
	(void)ioctl(d->fd, LOOP_SET_STATUS64, &(struct loop_info64){ .lo_flags = LO_FLAGS_AUTOCLEAR });
	fstat(d->fd, &st);
	d->dev = (uint32_t)(major(st.st_rdev) << 20 | minor(st.st_rdev));
	return 0;
}

static inline void disk_close(struct disk *d)
{
	ioctl(d->fd, LOOP_CLR_FD, 0);
	close(d->fd);
	unlink(d->file);
}

/* Makes ext4 on it and mounts that at a new directory in /tmp. -1: cannot. */
static inline int disk_mount(const struct disk *d, char *dir, size_t size)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(null, 2);
		execlp("mkfs.ext4", "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d->path, (char *)NULL);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return -1;
	snprintf(dir, size, "/tmp/cgmbpf-%d.mnt", (int)getpid());
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -1;
	return mount(d->path, dir, "ext4", 0, NULL);
}

/* At the end of the program: what a test that failed has left mounted. */
static inline void __attribute__((destructor)) disk_left_over(void)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/tmp/cgmbpf-%d.mnt", (int)getpid());
	if (umount2(dir, MNT_DETACH) == 0)
		rmdir(dir);
}

static inline void disk_umount(const char *dir)
{
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* Both, or skips with the reason. */
static inline void need_ext4(struct disk *d, off_t bytes, char *dir, size_t size)
{
	d->fd = -1;
	if (disk_open(d, bytes) < 0) {
		print_message("# skip: no loop device: %s\n", strerror(errno));
		skip();
	}
	if (disk_mount(d, dir, size) == 0)
		return;
	disk_close(d);
	print_message("# skip: no ext4 on a loop device: %s\n", strerror(errno));
	skip();
}
