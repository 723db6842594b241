/* SPDX-License-Identifier: Apache-2.0 */
/* All that the running agent holds; shared by the files of this room. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cgroup/cgroup.h"
#include "cgroup/netns.h"
#include "kernel/kernel.h"
#include "model/snapshot.h"
#include "node/containers.h"
#include "node/cost.h"
#include "node/kubernetes.h"
#include "node/options.h"
#include "node/places.h"
#include "node/reviewer.h"
#include "output/http.h"
#include "output/kubelet.h"
#include "sink/sink.h"

struct cgm_agent {
	const struct cgm_options *o;
	int root_fd;
	struct cgm_trees trees;
	bool has_trees;
	struct cgm_kernel *kernel;
	struct cgm_containers containers;
	struct cgm_kubernetes kubernetes;
	size_t max_netns, max_perf_fds;
	int nice; /* of all threads but the sampler */
	struct cgm_netns_table *netns; /* NULL: namespaces cannot be told apart, or are not wanted */
	struct cgm_perf_config *perf; /* NULL: no events are asked for */
	struct cgm_worker *worker; /* dear readings; NULL: none are wanted */
	struct cgm_places *places; /* NULL: file systems of containers are not wanted */
	struct cgm_sample sample; /* scratch */
	struct cgm_bulk bulk; /* scratch */
	int memory_fd; /* memory.stat of the root, for bulk reading; -1: none */
	struct cgm_sample fs; /* the file systems of "/", read less often */
	uint64_t fs_read_ns; /* monotonic */
	bool io_cost; /* some device is under io.cost */
	uint64_t io_cost_ns; /* when that was looked up, monotonic */
	struct cgm_cost cost;
	struct cgm_store *store;
	struct cgm_http *http;
	struct cgm_kube *reviewer; /* whom it asks who may ask; NULL: nobody */
	char node_name[CGM_NODE_NAME]; /* as Kubernetes calls it */
	struct cgm_sinks *sinks; /* NULL: none */
	uint64_t start_real_ns, seq;
	uint64_t last_list_ns, last_sockets_ns; /* monotonic */
	uint64_t due_ns; /* of the next tick, monotonic */
	uint64_t late_ns[60]; /* how late the last ticks were */
	uint64_t fds_counted_ns; /* monotonic; 0: the kernel says how many descriptors we have, or they were not counted yet */
	uint64_t seen_event_drops;
	struct cgm_events *events;
	uint64_t summary_bytes; /* as below */
	uint64_t tick_ns; /* monotonic, when the tick under way began */
	uint64_t history_bytes, trail_bytes; /* of the tick under way */
	struct cgm_layout *trail_layout; /* of all trails */
	uint32_t last_serial; /* given to a container */
	uint64_t set_digest, set_seq; /* see struct cgm_snapshot */
	struct cgm_self self; /* counters over all ticks */
};
