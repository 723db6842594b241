/* SPDX-License-Identifier: Apache-2.0 */
/* Users who run a podman of their own: where its socket is, and which cgroups are theirs. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct cgm_user {
	uid_t uid; /* never root's */
	char socket[108]; /* as long as the address of one may be */
};

/*
 * The user with the lowest uid above after, or else the lowest of all, who has a socket dir/UID/podman/podman.sock that is the user's, and is none of those
 * taken. False: there is none.
 */
bool cgm_user_find(const char *dir, uid_t after, const uid_t *taken, size_t nr_taken, struct cgm_user *ret);
/* Is that cgroup below the user's slice of systemd, /user.slice/user-UID.slice, or it? */
bool cgm_user_owns(const struct cgm_user *u, const char *path);
