/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a stream of JSON into its objects as it comes, so that nobody holds a list of thousands or waits for its end: the objects of a watch, which follow one another, or the items of a
 * list. What is cut is only as good as JSON as its reader finds it. One thread.
 */
#pragma once
#include <stdbool.h>

#include "base/buf.h"

struct cgm_kube_split {
	/* Set by the caller. */
	bool list;
	size_t max_bytes; /* of one object, and of all else in a list */
	int (*on_object)(void *arg, const char *json, size_t len); /* a negative errno ends it */
	void *arg;
	/* The list without its items, which are "[]": whole when depth is 0 again. */
	struct cgm_buf envelope;
	/* Its own. */
	struct cgm_buf object;
	unsigned depth;
	bool in_string, escaped, in_items, in_object;
	char key[8]; /* the last text of the outermost object, as far as it fits */
	unsigned key_len;
};

/* 0; -EINVAL: it is no such stream; -EFBIG; -ENOMEM; or what on_object returned. After a fault it is of no more use. */
int cgm_kube_split_feed(struct cgm_kube_split *s, const char *p, size_t len);
void cgm_kube_split_done(struct cgm_kube_split *s);
