// SPDX-License-Identifier: Apache-2.0
/*
 * cAdvisor's v1 ContainerInfo, a map of them (a kubelet up to 1.20) or a list (cAdvisor, our own agent). Of each the last sample counts. Members may come in any order, so
 * what a container is, and what it is said to have, is known at its end only.
 */
#include "source/containers.h"

#include <errno.h>
#include <string.h>

/* ---- spec ---- */

static void read_labels(struct cgm_containers *y, struct cgm_container *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "io.kubernetes.container.name"))
			cgm_scan_text(s, y->d, &c->container);
		else if (CGM_SCAN_IS(key, "io.kubernetes.pod.name"))
			cgm_scan_text(s, y->d, &c->pod);
		else if (CGM_SCAN_IS(key, "io.kubernetes.pod.namespace"))
			cgm_scan_text(s, y->d, &c->pod_namespace);
		else if (CGM_SCAN_IS(key, "io.kubernetes.pod.uid"))
			cgm_scan_text(s, y->d, &c->uid);
		else if (CGM_SCAN_IS(key, "io.cri-containerd.kind"))
			cgm_scan_text(s, y->d, &c->kind);
		else
			cgm_scan_skip(s);
	}
}

static void read_custom_spec(struct cgm_containers *y)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key, format = { "", 0 };
	const char *name = NULL;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "name"))
			cgm_scan_text(s, y->d, &name);
		else if (CGM_SCAN_IS(key, "format"))
			cgm_scan_raw(s, &format);
		else
			cgm_scan_skip(s);
	}
	if (cgm_decode_said(name) && y->nr_custom < CGM_MAX_CUSTOM)
		y->custom[y->nr_custom++] = (struct cgm_container_custom){ name, CGM_SCAN_IS(format, "float") };
	else
		++*s->nr_bad;
}

static void read_spec(struct cgm_containers *y, struct cgm_container *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		bool *has = CGM_SCAN_IS(key, "has_cpu")	       ? &c->has_cpu :
			    CGM_SCAN_IS(key, "has_memory")     ? &c->has_memory :
			    CGM_SCAN_IS(key, "has_network")    ? &c->has_network :
			    CGM_SCAN_IS(key, "has_filesystem") ? &c->has_fs :
			    CGM_SCAN_IS(key, "has_diskio")     ? &c->has_diskio :
			    CGM_SCAN_IS(key, "has_processes")  ? &c->has_processes :
								 NULL;

		if (has)
			cgm_scan_bool(s, has);
		else if (CGM_SCAN_IS(key, "creation_time"))
			cgm_scan_time(s, &c->created_ns);
		else if (CGM_SCAN_IS(key, "labels"))
			read_labels(y, c);
		else if (CGM_SCAN_IS(key, "image"))
			cgm_scan_text(s, y->d, &c->image);
		else if (CGM_SCAN_IS(key, "custom_metrics") && cgm_scan_enter(s, '['))
			while (cgm_scan_item(s))
				read_custom_spec(y);
		else if (!CGM_SCAN_IS(key, "custom_metrics"))
			cgm_scan_skip(s);
	}
}

/* ---- who it is ---- */

/* Kubernetes 1.0: k8s_NAME.hash_POD_NAMESPACE_UID_attempt, with labels "namespace/pod" or both. */
static const char *old_name(struct cgm_containers *y, const char *name)
{
	const char *dot = strncmp(name, "k8s_", 4) == 0 ? strchr(name, '.') : NULL;

	return dot && dot > name + 4 ? cgm_draft_text(y->d, (struct cgm_str){ name + 4, (size_t)(dot - name - 4) }) : NULL;
}

static int new_set(struct cgm_containers *y, enum cgm_set_kind kind)
{
	int i = cgm_cast_add(&y->cast, kind);

	if (i < 0)
		cgm_scan_fail(&y->scan, "there are too many containers");
	return i;
}

static int system_container(struct cgm_containers *y, const char *name)
{
	int i = new_set(y, CGM_SET_SYS_CONTAINER);

	if (i >= 0)
		y->d->sets[i].container = name + (*name == '/');
	return i;
}

/* Two with one name in a pod are two sets here: the one that started last stays. */
static int pod_container(struct cgm_containers *y, int pod, const struct cgm_container *c)
{
	struct cgm_draft_set *s;
	int i = pod < 0 ? pod : new_set(y, CGM_SET_CONTAINER);

	if (i < 0)
		return i;
	s = &y->d->sets[i];
	s->order = (uint32_t)pod;
	s->container = c->container;
	s->image = cgm_decode_said(c->image) ? c->image : NULL;
	return i;
}

/* Its set, or -1: it is passed over. */
static int place(struct cgm_containers *y, struct cgm_container *c)
{
	const char *name = c->alias ? c->alias : c->name, *slash;
	struct cgm_str none = { "", 0 };
	int pod;

	if (!cgm_decode_said(name)) {
		++*y->scan.nr_bad;
		return -1;
	}
	if (strcmp(name, "/") == 0) {
		y->any_root = true;
		return 0; /* the set that was put in at the beginning */
	}
	slash = c->pod && !cgm_decode_said(c->pod_namespace) ? strchr(c->pod, '/') : NULL;
	if (slash) {
		c->pod_namespace = cgm_draft_text(y->d, (struct cgm_str){ c->pod, (size_t)(slash - c->pod) });
		c->pod = slash + 1;
	}
	if (!cgm_decode_said(c->pod) || !cgm_decode_said(c->pod_namespace))
		return system_container(y, name);
	if (!cgm_decode_said(c->container))
		c->container = old_name(y, name);
	pod = cgm_cast_pod(&y->cast, cgm_str(c->pod_namespace), cgm_str(c->pod), c->uid ? cgm_str(c->uid) : none);
	if (pod < 0)
		cgm_scan_fail(&y->scan, "there are too many pods");
	/* Docker's sandbox is a container of the name POD; containerd's has the pod's labels and no such name: Heapster lost the pod's network with it. */
	if (!c->container || strcmp(c->container, "POD") == 0 || (c->kind && strcmp(c->kind, "sandbox") == 0))
		return pod;
	return pod_container(y, pod, c);
}

static uint64_t said(const struct cgm_container *c)
{
	static const enum cgm_cm cpu[] = { CGM_CM_CPU_USAGE, CGM_CM_CPU_THROTTLED, CGM_CM_CPU_RUN_QUEUE_DELAY };
	static const enum cgm_cm memory[] = { CGM_CM_MEMORY_USAGE, CGM_CM_MEMORY_RSS, CGM_CM_MEMORY_CACHE, CGM_CM_MEMORY_WORKING_SET,
					      CGM_CM_MEMORY_PAGE_FAULTS, CGM_CM_MEMORY_MAJOR_PAGE_FAULTS, CGM_CM_MEMORY_SWAP };
	static const enum cgm_cm network[] = { CGM_CM_NETWORK_RX, CGM_CM_NETWORK_RX_ERRORS, CGM_CM_NETWORK_TX, CGM_CM_NETWORK_TX_ERRORS, CGM_CM_NETWORK_TCP_RETRANSMITS };
	uint64_t mask = c->has_processes ? CGM_CM_BIT(CGM_CM_TASKS) : 0;

	for (size_t i = 0; c->has_cpu && i < ARRAY_SIZE(cpu); i++)
		mask |= CGM_CM_BIT(cpu[i]);
	for (size_t i = 0; c->has_memory && i < ARRAY_SIZE(memory); i++)
		mask |= CGM_CM_BIT(memory[i]);
	for (size_t i = 0; c->has_network && c->has_interfaces && i < ARRAY_SIZE(network); i++)
		mask |= CGM_CM_BIT(network[i]);
	return c->present & mask;
}

/* A sandbox is not the pod's memory: that is the sum of the containers, and Heapster, too, knew of no sandbox but Docker's. */
static void put_values(struct cgm_containers *y, int to, const struct cgm_container *c)
{
	struct cgm_draft_set *s = &y->d->sets[to];

	for (uint64_t left = said(c); left; left &= left - 1) {
		int m = __builtin_ctzll(left);

		cgm_cast_put(&y->cast, to, (enum cgm_cm)m, c->values[m]);
	}
	s->scraped_ns = c->time_ns;
	s->created_ns = c->created_ns;
}

static bool is_custom_float(const struct cgm_containers *y, const struct cgm_labeled_facts *l)
{
	for (size_t i = 0; i < y->nr_custom; i++)
		if (strcmp(y->custom[i].name, l->name) == 0)
			return y->custom[i].is_float;
	return l->is_float;
}

/* One type from cycle to cycle, as the spec says, though a zero is left out. */
static void convert(const struct cgm_containers *y, struct cgm_labeled_facts *l)
{
	bool is_float = is_custom_float(y, l);

	if (is_float && !l->is_float)
		l->value.f = (double)l->value.i;
	else if (!is_float && l->is_float)
		l->value.i = l->value.f >= 0x1p63 ? INT64_MAX : l->value.f <= -0x1p63 ? INT64_MIN : (int64_t)l->value.f;
	l->is_float = is_float;
}

/* What was put in for this container gets its set, or goes again. */
static void keep_labeled(struct cgm_containers *y, int to, const struct cgm_container *c)
{
	struct cgm_draft *d = y->d;
	size_t kept = c->first_labeled;

	for (size_t i = c->first_labeled; i < d->nr_labeled; i++) {
		struct cgm_labeled_facts *l = &d->labeled[i].labeled;
		bool disk = l->metric >= CGM_CM_DISK_IO_READ_BYTES && l->metric <= CGM_CM_DISK_IO_WRITE_BYTES;
		bool fs = l->metric >= CGM_CM_FILESYSTEM_USAGE && l->metric <= CGM_CM_FILESYSTEM_INODES_FREE;

		if (to < 0 || (disk && !c->has_diskio) || (fs && !c->has_fs) || !(cgm_cm_table[l->metric].sets & 1U << d->sets[to].kind))
			continue;
		if (l->metric == CGM_CM_CUSTOM)
			convert(y, l);
		d->labeled[kept] = d->labeled[i];
		d->labeled[kept++].set = (uint32_t)to;
	}
	d->nr_labeled = kept;
}

static void read_aliases(struct cgm_containers *y, struct cgm_container *c)
{
	struct cgm_scan *s = &y->scan;

	if (!cgm_scan_enter(s, '['))
		return;
	while (cgm_scan_item(s)) {
		if (c->alias)
			cgm_scan_skip(s);
		else
			cgm_scan_text(s, y->d, &c->alias);
	}
}

static void read_container(struct cgm_containers *y)
{
	struct cgm_container c = { .first_labeled = y->d->nr_labeled };
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;
	int to;

	if (!cgm_scan_enter(s, '{'))
		return;
	y->nr_custom = 0;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "name"))
			cgm_scan_text(s, y->d, &c.name);
		else if (CGM_SCAN_IS(key, "aliases"))
			read_aliases(y, &c);
		else if (CGM_SCAN_IS(key, "spec"))
			read_spec(y, &c);
		else if (!CGM_SCAN_IS(key, "stats"))
			cgm_scan_skip(s);
		else if (cgm_scan_enter(s, '['))
			while (cgm_scan_item(s))
				cgm_decode_sample(y, &c);
	}
	if (s->why || y->d->failed)
		return;
	to = c.nr_stats ? place(y, &c) : -1;
	if (to >= 0)
		put_values(y, to, &c);
	keep_labeled(y, to, &c);
}

/* A pod without a sandbox of its own began with the first of its containers. */
static void date_pods(struct cgm_draft *d)
{
	for (size_t i = 0; i < d->nr_sets; i++) {
		struct cgm_draft_set *s = &d->sets[i], *pod = &d->sets[s->order];

		if (s->kind == CGM_SET_CONTAINER && !pod->scraped_ns && s->created_ns && (!pod->created_ns || s->created_ns < pod->created_ns))
			pod->created_ns = s->created_ns;
	}
}

int cgm_decode_containers(struct cgm_str text, bool list, struct cgm_draft *d, uint64_t *nr_bad, char *fault)
{
	struct cgm_containers y = { .cast.d = d, .d = d };
	struct cgm_scan *s = &y.scan;
	struct cgm_str key;
	int r;

	cgm_scan_init(s, text.p, text.len, nr_bad);
	if (cgm_cast_add(&y.cast, CGM_SET_NODE) < 0)
		return -ENOMEM;
	if (list && cgm_scan_enter(s, '['))
		while (cgm_scan_item(s))
			read_container(&y);
	else if (!list && cgm_scan_enter(s, '{'))
		while (cgm_scan_key(s, &key))
			read_container(&y);
	if (d->failed)
		return -ENOMEM;
	r = cgm_scan_end(s, fault);
	if (r < 0)
		return r;
	if (y.cast.crowded || (d->nr_sets == 1 && !y.any_root)) {
		snprintf(fault, CGM_DECODE_FAULT, "%s", y.cast.crowded ? "it has too many values" : "it has no container with a sample");
		return -EINVAL;
	}
	date_pods(d);
	return cgm_cast_settle(&y.cast);
}
