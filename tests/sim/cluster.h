/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that is not there: what its nodes, its API server and its InfluxDB would say. See README.md. One thread. */
#pragma once
#include <stdint.h>

#include "base/buf.h"

struct sim {
	unsigned nr_nodes, nr_pods; /* pods of each node, one container each */
	uint64_t start_ns; /* since the epoch: of nodes, pods, containers */
	uint64_t now_ns;
};

/* ---- documents.c: what a node (from 0) says now ---- */
void sim_summary(const struct sim *s, unsigned node, struct cgm_buf *out);
void sim_resource(const struct sim *s, unsigned node, struct cgm_buf *out);

/* ---- objects.c: what the API server says; a list begins at the object `from`, and holds at most limit (0: all) ---- */
void sim_nodes(const struct sim *s, unsigned from, unsigned limit, struct cgm_buf *out);
void sim_pods(const struct sim *s, unsigned from, unsigned limit, struct cgm_buf *out);
void sim_namespaces(const struct sim *s, struct cgm_buf *out);
/* 127.x.y.z of a node; 127.1.0.1 is the first. */
void sim_address(unsigned node, struct cgm_buf *out);
/* The node of such an address in host order; nr_nodes and above: none. */
unsigned sim_node_of(uint32_t address);

#define SIM_NAMESPACES 20
