/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of Kubernetes that is followed: listed in pages, then watched from its resource version with bookmarks, resumed after a cut, listed anew when the server
 * has forgotten that version (410); back-off with jitter between tries. A thread of its own calls back.
 */
#pragma once
#include <jansson.h>

#include "kube/kube.h"

struct cgm_kube_watch_config {
	const char *path; /* "/api/v1/pods" */
	const char *field_selector, *label_selector; /* NULL: all */
	/* An object came or changed (deleted: it went). It is fn's only during the call. A list calls it for each object, changed or not. */
	void (*on_object)(void *arg, const json_t *object, bool deleted);
	/* A list begins: whatever is not told of until on_synced() is gone. */
	void (*on_list)(void *arg);
	void (*on_synced)(void *arg);
	void *arg;
};

struct cgm_kube_watch;
/* Starts the thread; texts of config are copied. 0 or a negative errno. */
int cgm_kube_watch_new(struct cgm_kube *k, const struct cgm_kube_watch_config *config, struct cgm_kube_watch **ret);
/* Ends it, also amid a request, within 100 ms. NULL is fine. */
void cgm_kube_watch_free(struct cgm_kube_watch *w);
DEFINE_CLEANUP(cgm_kube_watch, cgm_kube_watch_free)

struct cgm_kube_watch_state {
	bool synced; /* listed at least once, and the connection stands */
	char fault[CGM_KUBE_FAULT]; /* why not; "": it does */
	uint64_t nr_lists, nr_watches, nr_events, nr_failed, nr_objects_lost; /* lost: out of memory, or not understood */
	uint64_t last_event_ns; /* since the epoch, bookmarks included */
};
struct cgm_kube_watch_state cgm_kube_watch_state(struct cgm_kube_watch *w);
