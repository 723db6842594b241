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
	/* A list may be what the server has in its memory, which may be older than its store, though never older than what was told of before. For one node's share of a list: without it the
	 * server would look through all of its store. */
	bool cached;
	/* Of each object its metadata alone is wanted (a PartialObjectMetadata); a server that does not know how to leave the rest out sends it all the same. */
	bool metadata_only;
	uint64_t quiet_ns; /* a watch that hears nothing for that long is cut; 0: 30 s after the server should have ended it, which is asked for after 5 to 10 minutes */
	uint64_t poll_ns; /* not 0: the server can only list, and is asked that often, without pages (a kubelet) */
	/* An object came or changed (deleted: it went). It is fn's only during the call. A list calls it for each object, changed or not. */
	void (*on_object)(void *arg, const json_t *object, bool deleted);
	/* A list begins, maybe again before the last one came to its end: whatever is not told of until on_synced() is gone. May be NULL, as on_synced. */
	void (*on_list)(void *arg);
	void (*on_synced)(void *arg);
	void (*on_state)(void *arg); /* synced or fault of the state changed; may be NULL */
	void *arg;
};

struct cgm_kube_watch;
/* Starts the thread; texts of config are copied, k stays. 0 or a negative errno. */
int cgm_kube_watch_new(struct cgm_kube *k, const struct cgm_kube_watch_config *config, struct cgm_kube_watch **ret);
/* Ends it, also amid a request, within 100 ms. NULL is fine. */
void cgm_kube_watch_free(struct cgm_kube_watch *w);
DEFINE_CLEANUP(cgm_kube_watch, cgm_kube_watch_free)

struct cgm_kube_watch_state {
	bool synced; /* listed at least once, and the connection stands */
	char fault[CGM_KUBE_FAULT]; /* why not; "": it does */
	uint64_t nr_lists, nr_watches, nr_events, nr_failed, nr_objects_lost; /* events: without bookmarks; lost: out of memory, or not understood */
	uint64_t last_event_ns; /* since the epoch, bookmarks included */
};
struct cgm_kube_watch_state cgm_kube_watch_state(struct cgm_kube_watch *w);
