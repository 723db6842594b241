/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where containers and pods hold data: which directories are measured for whom (by user/disk), and what came of it. A container of a runtime has the layer
 * that it writes into, the directory of its logs, and named volumes; a pod, by its own cgroup, has the volumes that the kubelet made for it. Found when the
 * runtime tells of it (a pod's volumes also at each listing interval), never per sample. Sampler's thread; all accept a NULL table.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "kube/pods.h"
#include "model/storage.h"

struct cgm_container;
struct cgm_places;
struct cgm_place_set; /* of one container */

struct cgm_places_config {
	int root_fd; /* the machine's root; must stay open, as kubelet_root must stay */
	const char *kubelet_root; /* "/var/lib/kubelet"; "": pods have no volumes */
	uint64_t list_interval_ns; /* between two looks for new volumes of a pod */
	uint64_t interval_ns, max_entries_per_s; /* see struct cgm_disk_config */
	struct cgm_kube_pods *pods; /* who knows what a pod calls a persistent volume; NULL: nobody. Must stay */
};
/* 0 or a negative errno. Sets are to be freed before it. */
int cgm_places_open(const struct cgm_places_config *config, struct cgm_places **ret);
void cgm_places_close(struct cgm_places *p);
/* NULL is fine. */
void cgm_place_set_free(struct cgm_place_set *set);

/* Once a tick for each container: learns what is new of it, and adds its file system to s. What finds no memory is counted. now_ns: monotonic. */
void cgm_places_sample(struct cgm_places *p, struct cgm_container *c, struct cgm_sample *s, uint64_t now_ns);
/* What was measured for it, a reference of the set's. NULL: nothing yet. */
struct cgm_storage *cgm_place_set_storage(const struct cgm_place_set *set);

struct cgm_places_state {
	struct cgm_disk_state disk;
	uint64_t nr_unplaced; /* containers whose layer is not on this machine, or not where anybody says */
	uint64_t nr_lost; /* out of memory, total */
};
struct cgm_places_state cgm_places_state(struct cgm_places *p);
