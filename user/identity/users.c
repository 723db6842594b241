// SPDX-License-Identifier: Apache-2.0
#include "identity/users.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/parse.h"

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static bool is_taken(uid_t uid, const uid_t *taken, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (taken[i] == uid)
			return true;
	return false;
}

/* Not through a link at its end, and the user's own: whoever owns the directory can put any name there, as that of docker's socket. */
static bool has_socket(const char *dir, uid_t uid, struct cgm_user *ret)
{
	struct cgm_user u = { .uid = uid };
	struct stat st;

	if ((size_t)snprintf(u.socket, sizeof(u.socket), "%s/%u/podman/podman.sock", dir, (unsigned)uid) >= sizeof(u.socket))
		return false;
	if (lstat(u.socket, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != uid)
		return false;
	*ret = u;
	return true;
}

bool cgm_user_find(const char *dir, uid_t after, const uid_t *taken, size_t nr_taken, struct cgm_user *ret)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct cgm_user best = { 0 }, u;
	const struct dirent *e;
	uint64_t uid;

	while (d && (e = readdir(d))) {
		bool follows = best.uid > after;

		if (cgm_parse_u64(cgm_str(e->d_name), &uid) < 0 || !uid || uid >= UINT32_MAX || is_taken((uid_t)uid, taken, nr_taken))
			continue;
		/* The lowest of those above comes before the lowest of those that are not. */
		if (best.uid && (uid > after) == follows ? uid >= best.uid : best.uid && follows)
			continue;
		if (has_socket(dir, (uid_t)uid, &u))
			best = u;
	}
	if (best.uid)
		*ret = best;
	return best.uid != 0;
}

bool cgm_user_owns(const struct cgm_user *u, const char *path)
{
	char slice[64];
	int len = snprintf(slice, sizeof(slice), "/user.slice/user-%u.slice", (unsigned)u->uid);

	return u->uid && strncmp(path, slice, (size_t)len) == 0 && (path[len] == '/' || !path[len]);
}
