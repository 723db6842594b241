/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is behind a cgroup. Runtimes are found when their socket appears, asked once for all containers, then listened to, each by a thread of its own;
 * what they say is joined with the cgroups by the id that is in a cgroup's path; a pod's own cgroup is joined with its sandbox, by the pod's uid. The sampler never waits for a runtime.
 * A runtime of a user (users_dir) is the user's own program, which may say anything: what it tells names cgroups below that user's slice alone, of no pod,
 * never before a runtime of the machine, and is kept only where there is such a cgroup.
 */
#pragma once
#include "identity/runtime.h"

#define CGM_MAX_RUNTIMES 8

struct cgm_names;

/* configs: nr (at most CGM_MAX_RUNTIMES) with what they point to must live as long; one with an empty socket is left out. 0 or a negative errno. */
struct cgm_names_config {
	struct cgm_runtime_config config;
	const struct cgm_runtime_driver *driver;
};
int cgm_names_new(const struct cgm_names_config *configs, size_t nr, struct cgm_names **ret);
/* Ends all threads, which takes no longer than a call that is under way notices. NULL is fine. */
void cgm_names_free(struct cgm_names *n);
DEFINE_CLEANUP(cgm_names, cgm_names_free)

/* ---- the sampler's thread; none of these waits, all accept NULL ---- */

/* A cgroup is there, or is there no more. path: "/docker/0123…". */
void cgm_names_came(struct cgm_names *n, const char *path);
void cgm_names_went(struct cgm_names *n, const char *path);
/* What was learned of cgroups that are there since the last call. who: fn takes a reference of its own if it keeps it. */
typedef void cgm_names_fn(void *arg, const char *path, struct cgm_who *who);
void cgm_names_take(struct cgm_names *n, cgm_names_fn *fn, void *arg);
/* What is known by that id now, with a reference; NULL: nothing. Any thread. */
struct cgm_who *cgm_names_find(struct cgm_names *n, const char *id);

/* How each runtime fares; those of users only while there is a socket. Any thread. */
struct cgm_runtime_state {
	char name[32]; /* "docker"; of a user's: "podman-1000" */
	char version[64], fault[CGM_RUNTIME_FAULT]; /* fault: why it is not connected; "": it is */
	char socket[108];
	bool connected, has_images;
	uint64_t image_bytes, image_inodes; /* what its images hold on disk, if it said so */
	uint64_t nr_known, nr_learned, nr_calls, nr_failed, nr_connects, nr_lost; /* lost: out of memory */
};
size_t cgm_names_state(struct cgm_names *n, struct cgm_runtime_state ret[CGM_MAX_RUNTIMES]);
