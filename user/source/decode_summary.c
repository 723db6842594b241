// SPDX-License-Identifier: Apache-2.0
/* The kubelet's Summary, in whatever order its members come. What is not asked for here (rates, PSI, limits, interfaces one by one) is passed over. */
#include "source/decoders.h"

#include <errno.h>
#include <string.h>

struct summary {
	struct cgm_scan scan;
	struct cgm_cast cast;
	struct cgm_draft *d;
	int node; /* its set */
	bool any_node;
};

static const struct cgm_decode_field cpu_fields[] = { CGM_FIELD("usageCoreNanoSeconds", CPU_USAGE) };
static const struct cgm_decode_field memory_fields[] = {
	CGM_FIELD("usageBytes", MEMORY_USAGE), CGM_FIELD("workingSetBytes", MEMORY_WORKING_SET), CGM_FIELD("rssBytes", MEMORY_RSS),
	CGM_FIELD("pageFaults", MEMORY_PAGE_FAULTS), CGM_FIELD("majorPageFaults", MEMORY_MAJOR_PAGE_FAULTS),
};
static const struct cgm_decode_field network_fields[] = {
	CGM_FIELD("rxBytes", NETWORK_RX), CGM_FIELD("rxErrors", NETWORK_RX_ERRORS), CGM_FIELD("txBytes", NETWORK_TX), CGM_FIELD("txErrors", NETWORK_TX_ERRORS),
};
static const struct cgm_decode_field swap_fields[] = { CGM_FIELD("swapUsageBytes", MEMORY_SWAP) };
/* In the order of cgm_decode_fs, and of cgm_decode_gpu: metrics that have a label. */
static const struct cgm_decode_field fs_fields[] = {
	CGM_FIELD("usedBytes", FILESYSTEM_USAGE), CGM_FIELD("capacityBytes", FILESYSTEM_LIMIT), CGM_FIELD("availableBytes", FILESYSTEM_AVAILABLE),
	CGM_FIELD("inodes", FILESYSTEM_INODES), CGM_FIELD("inodesFree", FILESYSTEM_INODES_FREE),
};
static const struct cgm_decode_field gpu_fields[] = {
	CGM_FIELD("memoryTotal", ACCELERATOR_MEMORY_TOTAL), CGM_FIELD("memoryUsed", ACCELERATOR_MEMORY_USED), CGM_FIELD("dutyCycle", ACCELERATOR_DUTY_CYCLE),
};

static void newer(uint64_t *newest, struct cgm_scan *s)
{
	uint64_t ns;

	if (cgm_scan_time(s, &ns) && ns > *newest)
		*newest = ns;
}

/* An object of counters with the time that they were taken at, which goes into *newest_ns. */
static void read_part(struct summary *y, int set, const struct cgm_decode_field *fields, size_t nr, uint64_t *newest_ns)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		int i = cgm_decode_find(fields, nr, key);
		int64_t v;

		if (i < 0 && CGM_SCAN_IS(key, "time"))
			newer(newest_ns, s);
		else if (i < 0)
			cgm_scan_skip(s);
		else if (cgm_scan_count(s, &v))
			cgm_cast_put(&y->cast, set, fields[i].metric, v);
	}
}
#define READ_PART(y, set, fields, newest_ns) read_part(y, set, fields, ARRAY_SIZE(fields), newest_ns)

/* Bit i of *present is that of values[i]. */
static void read_value(struct cgm_scan *s, int i, uint32_t *present, int64_t *values)
{
	if (cgm_scan_count(s, &values[i]))
		*present |= 1U << i;
}

/* resource NULL: its own name, as a volume's. */
static void read_fs(struct summary *y, int set, const struct cgm_tag *resource)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_decode_fs fs = { 0 };
	const char *name = NULL;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		int i = cgm_decode_find(fs_fields, ARRAY_SIZE(fs_fields), key);

		if (i >= 0)
			read_value(s, i, &fs.present, fs.values);
		else if (!resource && CGM_SCAN_IS(key, "name"))
			cgm_scan_text(s, y->d, &name);
		else
			cgm_scan_skip(s);
	}
	if (!resource && !name && fs.present)
		++*s->nr_bad;
	if (!resource && name)
		resource = cgm_decode_resource_id(y->d, "Volume:", cgm_str(name));
	cgm_decode_put_fs(&y->cast, set, &fs, resource);
}

static void read_volumes(struct summary *y, int set)
{
	if (!cgm_scan_enter(&y->scan, '['))
		return;
	while (cgm_scan_item(&y->scan))
		read_fs(y, set, NULL);
}

static void read_gpu(struct summary *y, int set)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_decode_gpu g = { 0 };
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		int i = cgm_decode_find(gpu_fields, ARRAY_SIZE(gpu_fields), key);

		if (i >= 0)
			read_value(s, i, &g.present, g.values);
		else if (CGM_SCAN_IS(key, "make"))
			cgm_scan_text(s, y->d, &g.make);
		else if (CGM_SCAN_IS(key, "model"))
			cgm_scan_text(s, y->d, &g.model);
		else if (CGM_SCAN_IS(key, "id"))
			cgm_scan_text(s, y->d, &g.id);
		else
			cgm_scan_skip(s);
	}
	cgm_decode_put_gpu(&y->cast, set, &g);
}

static void read_user_defined(struct summary *y, int set)
{
	struct cgm_scan *s = &y->scan;
	const char *name = NULL;
	bool has_value = false;
	struct cgm_str key;
	double v = 0;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "name"))
			cgm_scan_text(s, y->d, &name);
		else if (CGM_SCAN_IS(key, "value"))
			has_value = cgm_scan_float(s, &v);
		else
			cgm_scan_skip(s);
	}
	if (has_value && cgm_decode_said(name))
		cgm_decode_put_custom(&y->cast, set, name, true, (union cgm_cm_value){ .f = v });
	else
		++*s->nr_bad;
}

static void read_each(struct summary *y, int set, void (*read)(struct summary *y, int set))
{
	if (!cgm_scan_enter(&y->scan, '['))
		return;
	while (cgm_scan_item(&y->scan))
		read(y, set);
}

/* CPU, memory and swap, which all have. False: key is something else, and its value is still to come. */
static bool read_common(struct summary *y, int set, struct cgm_str key, uint64_t *newest_ns)
{
	uint64_t no_ns = 0;

	if (CGM_SCAN_IS(key, "cpu"))
		READ_PART(y, set, cpu_fields, newest_ns);
	else if (CGM_SCAN_IS(key, "memory"))
		READ_PART(y, set, memory_fields, newest_ns);
	else if (CGM_SCAN_IS(key, "swap"))
		READ_PART(y, set, swap_fields, &no_ns);
	else
		return false;
	return true;
}

static void read_start(struct summary *y, int set)
{
	cgm_scan_time(&y->scan, &y->d->sets[set].created_ns);
}

/* pod < 0: a part of the node. */
static void read_container(struct summary *y, int pod)
{
	static const struct cgm_tag root = { "resource_id", "/" }, logs = { "resource_id", "logs" };
	struct cgm_scan *s = &y->scan;
	const char *name = NULL;
	uint64_t newest_ns = 0;
	struct cgm_str key;
	int set;

	if (!cgm_scan_enter(s, '{'))
		return;
	set = cgm_cast_add(&y->cast, pod < 0 ? CGM_SET_SYS_CONTAINER : CGM_SET_CONTAINER);
	if (set < 0) {
		cgm_scan_fail(s, "there are too many containers");
		return;
	}
	while (cgm_scan_key(s, &key)) {
		if (read_common(y, set, key, &newest_ns))
			continue;
		if (CGM_SCAN_IS(key, "name"))
			cgm_scan_text(s, y->d, &name);
		else if (CGM_SCAN_IS(key, "startTime"))
			read_start(y, set);
		else if (CGM_SCAN_IS(key, "rootfs"))
			read_fs(y, set, &root);
		else if (CGM_SCAN_IS(key, "logs"))
			read_fs(y, set, &logs);
		else if (CGM_SCAN_IS(key, "accelerators"))
			read_each(y, set, read_gpu);
		else if (CGM_SCAN_IS(key, "userDefinedMetrics"))
			read_each(y, set, read_user_defined);
		else
			cgm_scan_skip(s);
	}
	if (!cgm_decode_said(name)) {
		++*s->nr_bad;
		cgm_cast_drop(&y->cast, set);
		return;
	}
	y->d->sets[set].container = pod < 0 ? cgm_decode_system_name(name) : name;
	y->d->sets[set].order = pod < 0 ? 0 : (uint32_t)pod;
	y->d->sets[set].scraped_ns = newest_ns;
}

static void read_node(struct summary *y)
{
	static const struct cgm_tag root = { "resource_id", "/" };
	struct cgm_scan *s = &y->scan;
	uint64_t newest_ns = 0;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	y->any_node = true;
	while (cgm_scan_key(s, &key)) {
		if (read_common(y, y->node, key, &newest_ns))
			continue;
		if (CGM_SCAN_IS(key, "nodeName"))
			cgm_scan_text(s, y->d, &y->d->node);
		else if (CGM_SCAN_IS(key, "startTime"))
			read_start(y, y->node);
		else if (CGM_SCAN_IS(key, "network"))
			READ_PART(y, y->node, network_fields, &newest_ns);
		else if (CGM_SCAN_IS(key, "fs"))
			read_fs(y, y->node, &root);
		else if (CGM_SCAN_IS(key, "systemContainers"))
			read_each(y, -1, read_container);
		else
			cgm_scan_skip(s);
	}
	y->d->sets[y->node].scraped_ns = newest_ns;
}

static void read_ref(struct summary *y, int pod)
{
	const char *name = NULL, *space = NULL, *uid = NULL;
	struct cgm_scan *s = &y->scan;
	struct cgm_draft_set *set;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "name"))
			cgm_scan_text(s, y->d, &name);
		else if (CGM_SCAN_IS(key, "namespace"))
			cgm_scan_text(s, y->d, &space);
		else if (CGM_SCAN_IS(key, "uid"))
			cgm_scan_text(s, y->d, &uid);
		else
			cgm_scan_skip(s);
	}
	set = &y->d->sets[pod];
	set->pod = name;
	set->pod_namespace = space;
	set->uid = cgm_decode_said(uid) ? uid : NULL;
}

/* A pod's own CPU and memory, with their time, count only when it has no containers (cgm_cast_settle takes the memory out). */
static void read_pod(struct summary *y)
{
	struct cgm_scan *s = &y->scan;
	uint64_t network_ns = 0, own_ns = 0;
	struct cgm_draft_set *set;
	struct cgm_str key;
	size_t nr_before;
	int pod;

	if (!cgm_scan_enter(s, '{'))
		return;
	pod = cgm_cast_add(&y->cast, CGM_SET_POD);
	if (pod < 0) {
		cgm_scan_fail(s, "there are too many pods");
		return;
	}
	nr_before = y->d->nr_sets;
	while (cgm_scan_key(s, &key)) {
		if (read_common(y, pod, key, &own_ns))
			continue;
		if (CGM_SCAN_IS(key, "podRef"))
			read_ref(y, pod);
		else if (CGM_SCAN_IS(key, "startTime"))
			read_start(y, pod);
		else if (CGM_SCAN_IS(key, "containers"))
			read_each(y, pod, read_container);
		else if (CGM_SCAN_IS(key, "network"))
			READ_PART(y, pod, network_fields, &network_ns);
		else if (CGM_SCAN_IS(key, "volume"))
			read_volumes(y, pod);
		else
			cgm_scan_skip(s);
	}
	set = &y->d->sets[pod];
	set->scraped_ns = y->d->nr_sets == nr_before ? MAX(network_ns, own_ns) : network_ns;
	if (cgm_decode_said(set->pod) && cgm_decode_said(set->pod_namespace))
		return;
	++*s->nr_bad;
	cgm_cast_drop(&y->cast, pod);
}

static void read_pods(struct summary *y)
{
	if (!cgm_scan_enter(&y->scan, '['))
		return;
	while (cgm_scan_item(&y->scan))
		read_pod(y);
}

static void read_all(struct summary *y)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "node"))
			read_node(y);
		else if (CGM_SCAN_IS(key, "pods"))
			read_pods(y);
		else
			cgm_scan_skip(s);
	}
}

int cgm_decode_summary(struct cgm_str text, struct cgm_draft *d, uint64_t *nr_bad, char *fault)
{
	struct summary y = { .cast.d = d, .d = d };
	int r;

	cgm_scan_init(&y.scan, text.p, text.len, nr_bad);
	y.node = cgm_cast_add(&y.cast, CGM_SET_NODE);
	if (y.node < 0)
		return -ENOMEM;
	read_all(&y);
	if (d->failed)
		return -ENOMEM;
	r = cgm_scan_end(&y.scan, fault);
	if (r < 0)
		return r;
	if (!y.any_node || y.cast.crowded) {
		snprintf(fault, CGM_DECODE_FAULT, "%s", y.any_node ? "it has too many values" : "it is no Summary: it has no \"node\"");
		return -EINVAL;
	}
	return cgm_cast_settle(&y.cast);
}
