// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/mem.h"
#include "kube/cluster.h"
#include "kube/quantity.h"
#include "kube/room.h"

/* Of several addresses of one kind the first; they are what the node itself claims. */
static void read_addresses(struct cgm_room *m, const json_t *list, struct cgm_kube_node *n)
{
	const struct {
		const char *type, **to;
	} kinds[] = {
		{ "Hostname", &n->hostname },	      { "InternalIP", &n->internal_ip },   { "ExternalIP", &n->external_ip },
		{ "LegacyHostIP", &n->legacy_ip },   { "InternalDNS", &n->internal_dns }, { "ExternalDNS", &n->external_dns },
	};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		const json_t *item;
		size_t i;

		json_array_foreach(list, i, item) {
			const char *type = cgm_json_text(item, "type"), *address = cgm_json_text(item, "address");

			if (!type || !address || !*address || strcmp(type, kinds[k].type) != 0)
				continue;
			*kinds[k].to = cgm_room_text(m, address);
			break;
		}
	}
}

static bool is_ready(const json_t *conditions)
{
	const json_t *item;
	size_t i;

	json_array_foreach(conditions, i, item) {
		const char *type = cgm_json_text(item, "type"), *status = cgm_json_text(item, "status");

		if (type && status && strcmp(type, "Ready") == 0)
			return strcmp(status, "True") == 0;
	}
	return false;
}

static void read_status(struct cgm_room *m, const json_t *status, struct cgm_kube_node *n)
{
	const json_t *capacity = json_object_get(status, "capacity"), *allocatable = json_object_get(status, "allocatable");
	json_int_t port = json_integer_value(json_object_get(json_object_get(json_object_get(status, "daemonEndpoints"), "kubeletEndpoint"), "Port"));

	read_addresses(m, json_object_get(status, "addresses"), n);
	n->ready = is_ready(json_object_get(status, "conditions"));
	n->kubelet_port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
	n->cpu_capacity_milli = cgm_room_quantity(m, capacity, "cpu", cgm_quantity_milli);
	n->memory_capacity_bytes = cgm_room_quantity(m, capacity, "memory", cgm_quantity_units);
	n->cpu_allocatable_milli = cgm_room_quantity(m, allocatable, "cpu", cgm_quantity_milli);
	n->memory_allocatable_bytes = cgm_room_quantity(m, allocatable, "memory", cgm_quantity_units);
}

static struct cgm_kube_node *read_all(struct cgm_room *m, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata"), *spec = json_object_get(object, "spec");
	struct cgm_kube_node *to = cgm_room_take(m, sizeof(struct cgm_kube_node), alignof(struct cgm_kube_node)), n = { .refs = 1 };

	n.name = cgm_room_member(m, meta, "name");
	n.uid = cgm_room_text(m, cgm_json_text(meta, "uid") ? cgm_json_text(meta, "uid") : "");
	n.external_id = cgm_room_member(m, spec, "externalID");
	n.provider_id = cgm_room_member(m, spec, "providerID");
	n.schedulable = !json_is_true(json_object_get(spec, "unschedulable"));
	n.created_ns = cgm_room_time(meta, "creationTimestamp");
	n.resource_path = cgm_room_member(m, json_object_get(meta, "annotations"), "metrics.k8s.io/resource-metrics-path");
	n.labels = cgm_room_labels(m, json_object_get(meta, "labels"), &n.nr_labels);
	n.annotations = cgm_room_labels(m, json_object_get(meta, "annotations"), &n.nr_annotations);
	read_status(m, json_object_get(object, "status"), &n);
	if (!n.hostname)
		n.hostname = n.name;
	if (to)
		*to = n;
	return to;
}

int cgm_kube_node_read(const json_t *object, struct cgm_kube_node **ret)
{
	const char *name = cgm_json_text(json_object_get(object, "metadata"), "name");
	struct cgm_room m = { 0 };

	if (!name || !*name)
		return -EINVAL;
	read_all(&m, object);
	m = (struct cgm_room){ .base = cgm_malloc(m.used) };
	if (!m.base)
		return -ENOMEM;
	*ret = read_all(&m, object);
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_labels(const struct cgm_kube_label *a, size_t nr_a, const struct cgm_kube_label *b, size_t nr_b)
{
	for (size_t i = 0; nr_a == nr_b && i < nr_a; i++)
		if (strcmp(a[i].key, b[i].key) != 0 || strcmp(a[i].value, b[i].value) != 0)
			return false;
	return nr_a == nr_b;
}

static bool same_numbers(const struct cgm_kube_node *a, const struct cgm_kube_node *b)
{
	return a->kubelet_port == b->kubelet_port && a->ready == b->ready && a->schedulable == b->schedulable && a->cpu_capacity_milli == b->cpu_capacity_milli &&
	       a->cpu_allocatable_milli == b->cpu_allocatable_milli && a->memory_capacity_bytes == b->memory_capacity_bytes &&
	       a->memory_allocatable_bytes == b->memory_allocatable_bytes && a->created_ns == b->created_ns;
}

bool cgm_kube_node_same(const struct cgm_kube_node *a, const struct cgm_kube_node *b)
{
	const char *const texts[][2] = {
		{ a->name, b->name },		    { a->uid, b->uid },			{ a->hostname, b->hostname },	      { a->internal_ip, b->internal_ip },
		{ a->external_ip, b->external_ip }, { a->legacy_ip, b->legacy_ip },	{ a->internal_dns, b->internal_dns }, { a->external_dns, b->external_dns },
		{ a->external_id, b->external_id }, { a->provider_id, b->provider_id }, { a->resource_path, b->resource_path },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!same_text(texts[i][0], texts[i][1]))
			return false;
	return same_numbers(a, b) && same_labels(a->labels, a->nr_labels, b->labels, b->nr_labels) &&
	       same_labels(a->annotations, a->nr_annotations, b->annotations, b->nr_annotations);
}

struct cgm_kube_node *cgm_kube_node_ref(struct cgm_kube_node *n)
{
	if (n)
		__atomic_fetch_add(&n->refs, 1, __ATOMIC_RELAXED);
	return n;
}

void cgm_kube_node_unref(struct cgm_kube_node *n)
{
	if (n && __atomic_sub_fetch(&n->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(n);
}
