/* SPDX-License-Identifier: Apache-2.0 */
/* A file that may be replaced while we run, looked at by stat(): also when it is a link that is turned, as Kubernetes does. One thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgm_watch {
	const char *path; /* "" : none; the caller's */
	uint64_t device, inode, size, modified_ns;
};
/* Takes note of what is there now. True when it is another than before. */
bool cgm_watch_changed(struct cgm_watch *w);
/* The whole file, at most 1 MiB, zero behind it; said in the log with flag when it cannot be read. Memory is the caller's. 0 or negative errno. */
int cgm_watch_read(const struct cgm_watch *w, const char *flag, char **ret, size_t *ret_len);
