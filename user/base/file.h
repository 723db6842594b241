/* SPDX-License-Identifier: Apache-2.0 */
/* Reading small kernel files, always below a directory descriptor. Any thread. Errors: the negative errno of the call that failed. */
#pragma once
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reads the file from its beginning into buf and puts a zero behind it; returns the length without that zero.
 * -EFBIG when it does not fit. fd stays open and may be read again: cgroup and proc files are made anew at offset 0.
 */
ssize_t cgm_read_fd(int fd, char *buf, size_t size);
/*
 * The same for a file that the kernel makes in one piece (a cgroup's counters and limits; not lists such as cgroup.procs, diskstats or
 * mountinfo): a read that is shorter than a page and ends with a newline is all of it, which spares the call that would say so.
 */
ssize_t cgm_read_piece_fd(int fd, char *buf, size_t size);
/* The same by name, opened and closed here. path is relative to dir_fd (AT_FDCWD: as given). */
ssize_t cgm_read_at(int dir_fd, const char *path, char *buf, size_t size);
/* The whole file in fresh memory of the caller's (zero behind it), at most max_bytes. */
int cgm_read_all_at(int dir_fd, const char *path, size_t max_bytes, char **ret, size_t *ret_len);
/* One number in a file, surrounding white space allowed; "max" is 2^64-1. -EINVAL for anything else. */
int cgm_read_u64_at(int dir_fd, const char *path, uint64_t *ret);
/* First line of a file without its newline into buf. */
int cgm_read_line_at(int dir_fd, const char *path, char *buf, size_t size);
/* The entries of a directory; closed with closedir(). NULL with errno when it is not there or is none. */
DIR *cgm_opendir_at(int dir_fd, const char *path);
