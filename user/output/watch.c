// SPDX-License-Identifier: Apache-2.0
#include "output/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define MAX_BYTES (1024 * 1024)

bool cgm_watch_changed(struct cgm_watch *w)
{
	struct cgm_watch now = { .path = w->path };
	struct stat st;

	if (!*w->path)
		return false;
	if (stat(w->path, &st) == 0) {
		now.device = st.st_dev;
		now.inode = st.st_ino;
		now.size = (uint64_t)st.st_size;
		now.modified_ns = (uint64_t)st.st_mtim.tv_sec * CGM_NSEC_PER_SEC + (uint64_t)st.st_mtim.tv_nsec;
	}
	if (now.device == w->device && now.inode == w->inode && now.size == w->size && now.modified_ns == w->modified_ns)
		return false;
	*w = now;
	return true;
}

int cgm_watch_read(const struct cgm_watch *w, const char *flag, char **ret, size_t *ret_len)
{
	int r = cgm_read_all_at(AT_FDCWD, w->path, MAX_BYTES, ret, ret_len);

	if (r < 0)
		cgm_error("--%s: cannot read %s: %s", flag, w->path, r == -EFBIG ? "larger than 1 MiB" : strerror(-r));
	return r;
}
