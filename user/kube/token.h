/* SPDX-License-Identifier: Apache-2.0 */
/* A token's file, read anew when it changes: those of service accounts are replaced every hour. */
#pragma once
#include <stdbool.h>
#include <sys/stat.h>

#include "base/cleanup.h"

struct cgm_kube_token {
	const char *path;
	struct stat seen;
	char *text; /* NULL: not read yet */
};

/* Reads it if it changed since (force: in any case). 0; or a negative errno: what was read before stays. Not for two threads at once. */
int cgm_kube_token_refresh(struct cgm_kube_token *t, bool force);
void cgm_kube_token_done(struct cgm_kube_token *t);
