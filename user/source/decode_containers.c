// SPDX-License-Identifier: Apache-2.0
/*
 * cAdvisor's v1 ContainerInfo, a map of them (a kubelet up to 1.20) or a list (cAdvisor, our own agent). Of each the last sample counts. Members may come in any order, so
 * what a container is, and what it is said to have, is known at its end only.
 */
#include "source/decoders.h"

#include <errno.h>
#include <string.h>

#define MAX_CUSTOM 256 /* of one container */

/* One metric that an application tells, as its spec has it. */
struct custom {
	const char *name;
	bool is_float;
};

struct containers {
	struct cgm_scan scan;
	struct cgm_cast cast;
	struct cgm_draft *d;
	struct custom custom[MAX_CUSTOM]; /* of the container that is read */
	size_t nr_custom;
	bool any_root;
};

/* One container while it is read. */
struct one {
	const char *name, *alias, *image;
	const char *container, *pod, *pod_namespace, *uid, *kind; /* labels */
	bool has_cpu, has_memory, has_network, has_fs, has_diskio, has_processes; /* what its spec says */
	uint64_t created_ns;
	size_t nr_stats;
	/* of the last sample */
	uint64_t time_ns;
	uint64_t present;
	int64_t values[CGM_NR_SCALARS];
	bool has_interfaces;
	size_t first_labeled; /* in the draft; they get their set in the end */
};

static void set(struct one *c, enum cgm_cm m, int64_t v)
{
	c->values[m] = v;
	c->present |= CGM_CM_BIT(m);
}

static void count(struct containers *y, struct one *c, enum cgm_cm m)
{
	int64_t v;

	if (cgm_scan_count(&y->scan, &v))
		set(c, m, v);
}

static void add(struct containers *y, struct one *c, enum cgm_cm m)
{
	int64_t v;

	if (!cgm_scan_count(&y->scan, &v))
		return;
	if (__builtin_add_overflow(c->present & CGM_CM_BIT(m) ? c->values[m] : 0, v, &v))
		v = INT64_MAX;
	set(c, m, v);
}

/* ---- spec ---- */

static void read_labels(struct containers *y, struct one *c)
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

static void read_custom_spec(struct containers *y)
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
	if (cgm_decode_said(name) && y->nr_custom < MAX_CUSTOM)
		y->custom[y->nr_custom++] = (struct custom){ name, CGM_SCAN_IS(format, "float") };
	else
		++*s->nr_bad;
}

static void read_spec(struct containers *y, struct one *c)
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

/* ---- a sample ---- */

static void read_cpu_usage(struct containers *y, struct one *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "total"))
			count(y, c, CGM_CM_CPU_USAGE);
		else
			cgm_scan_skip(s);
	}
}

/* A total that is zero, too, when nobody measures it: then what shows that somebody does is zero. */
static void read_if(struct containers *y, struct one *c, const char *total, const char *shows, enum cgm_cm m)
{
	struct cgm_scan *s = &y->scan;
	int64_t v = 0, shown = 0;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (cgm_str_eq(key, total))
			cgm_scan_count(s, &v);
		else if (cgm_str_eq(key, shows))
			cgm_scan_count(s, &shown);
		else
			cgm_scan_skip(s);
	}
	if (shown)
		set(c, m, v);
}

static void read_cpu(struct containers *y, struct one *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "usage"))
			read_cpu_usage(y, c);
		else if (CGM_SCAN_IS(key, "cfs"))
			read_if(y, c, "throttled_time", "periods", CGM_CM_CPU_THROTTLED);
		else if (CGM_SCAN_IS(key, "schedstat"))
			read_if(y, c, "runqueue_time", "run_time", CGM_CM_CPU_RUN_QUEUE_DELAY);
		else
			cgm_scan_skip(s);
	}
}

static void read_faults(struct containers *y, struct one *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "pgfault"))
			count(y, c, CGM_CM_MEMORY_PAGE_FAULTS);
		else if (CGM_SCAN_IS(key, "pgmajfault"))
			count(y, c, CGM_CM_MEMORY_MAJOR_PAGE_FAULTS);
		else
			cgm_scan_skip(s);
	}
}

static void read_memory(struct containers *y, struct one *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "usage"))
			count(y, c, CGM_CM_MEMORY_USAGE);
		else if (CGM_SCAN_IS(key, "cache"))
			count(y, c, CGM_CM_MEMORY_CACHE);
		else if (CGM_SCAN_IS(key, "rss"))
			count(y, c, CGM_CM_MEMORY_RSS);
		else if (CGM_SCAN_IS(key, "working_set"))
			count(y, c, CGM_CM_MEMORY_WORKING_SET);
		else if (CGM_SCAN_IS(key, "swap"))
			count(y, c, CGM_CM_MEMORY_SWAP);
		else if (CGM_SCAN_IS(key, "container_data"))
			read_faults(y, c);
		else
			cgm_scan_skip(s);
	}
}

static void read_interface(struct containers *y, struct one *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	c->has_interfaces = true;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "rx_bytes"))
			add(y, c, CGM_CM_NETWORK_RX);
		else if (CGM_SCAN_IS(key, "rx_errors"))
			add(y, c, CGM_CM_NETWORK_RX_ERRORS);
		else if (CGM_SCAN_IS(key, "tx_bytes"))
			add(y, c, CGM_CM_NETWORK_TX);
		else if (CGM_SCAN_IS(key, "tx_errors"))
			add(y, c, CGM_CM_NETWORK_TX_ERRORS);
		else
			cgm_scan_skip(s);
	}
}

/* The sum of all interfaces, as Heapster has it. */
static void read_network(struct containers *y, struct one *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "tcp_advanced"))
			read_if(y, c, "RetransSegs", "OutSegs", CGM_CM_NETWORK_TCP_RETRANSMITS);
		else if (!CGM_SCAN_IS(key, "interfaces"))
			cgm_scan_skip(s);
		else if (cgm_scan_enter(s, '['))
			while (cgm_scan_item(s))
				read_interface(y, c);
	}
}

static void read_processes(struct containers *y, struct one *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "threads_current"))
			count(y, c, CGM_CM_TASKS);
		else
			cgm_scan_skip(s);
	}
}

/* ---- what has labels: put into the draft at once, for set 0, which the end replaces ---- */

static void put(struct containers *y, enum cgm_cm m, const struct cgm_tag *labels, unsigned nr, int64_t v)
{
	struct cgm_labeled l = { .metric = (uint8_t)m, .nr_labels = (uint8_t)nr, .labels = labels, .value.i = v };

	if (labels && cgm_cast_has_room(&y->cast))
		cgm_draft_labeled(y->d, 0, &l);
}

static void read_fs(struct containers *y)
{
	static const struct {
		const char *key;
		enum cgm_cm metric;
	} fields[] = {
		{ "usage", CGM_CM_FILESYSTEM_USAGE },	 { "capacity", CGM_CM_FILESYSTEM_LIMIT },	   { "available", CGM_CM_FILESYSTEM_AVAILABLE },
		{ "inodes", CGM_CM_FILESYSTEM_INODES }, { "inodes_free", CGM_CM_FILESYSTEM_INODES_FREE },
	};
	struct cgm_scan *s = &y->scan;
	const struct cgm_tag *pair;
	const char *device = NULL;
	int64_t values[ARRAY_SIZE(fields)] = { 0 };
	bool has_inodes = true;
	unsigned present = 0;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		size_t i = 0;

		while (i < ARRAY_SIZE(fields) && !cgm_str_eq(key, fields[i].key))
			i++;
		if (i < ARRAY_SIZE(fields))
			present |= cgm_scan_count(s, &values[i]) ? 1U << i : 0;
		else if (CGM_SCAN_IS(key, "device"))
			cgm_scan_text(s, y->d, &device);
		else if (CGM_SCAN_IS(key, "has_inodes"))
			cgm_scan_bool(s, &has_inodes);
		else
			cgm_scan_skip(s);
	}
	if (!cgm_decode_said(device)) {
		++*s->nr_bad;
		return;
	}
	pair = cgm_decode_resource_id(y->d, "", cgm_str(device));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (present & 1U << i && (has_inodes || i < 3))
			put(y, fields[i].metric, pair, 1, values[i]);
}

/* "stats" of a device: {"Read":…,"Write":…}. Bit 0 of the answer: *read; bit 1: *written. */
static unsigned read_operations(struct cgm_scan *s, int64_t *read, int64_t *written)
{
	unsigned present = 0;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return 0;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "Read"))
			present |= cgm_scan_count(s, read) ? 1U : 0;
		else if (CGM_SCAN_IS(key, "Write"))
			present |= cgm_scan_count(s, written) ? 2U : 0;
		else
			cgm_scan_skip(s);
	}
	return present;
}

static void read_device(struct containers *y)
{
	struct cgm_scan *s = &y->scan;
	int64_t major = -1, minor = -1, read = 0, written = 0;
	const struct cgm_tag *pair;
	const char *device = NULL;
	unsigned present = 0;
	struct cgm_str key;
	char number[48];

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "device"))
			cgm_scan_text(s, y->d, &device);
		else if (CGM_SCAN_IS(key, "major"))
			cgm_scan_count(s, &major);
		else if (CGM_SCAN_IS(key, "minor"))
			cgm_scan_count(s, &minor);
		else if (CGM_SCAN_IS(key, "stats"))
			present = read_operations(s, &read, &written);
		else
			cgm_scan_skip(s);
	}
	if (!cgm_decode_said(device)) {
		if (major < 0 || minor < 0) {
			++*s->nr_bad;
			return;
		}
		snprintf(number, sizeof(number), "%lld:%lld", (long long)major, (long long)minor);
		device = number;
	}
	pair = present ? cgm_decode_resource_id(y->d, "", cgm_str(device)) : NULL;
	if (present & 1)
		put(y, CGM_CM_DISK_IO_READ_BYTES, pair, 1, read);
	if (present & 2)
		put(y, CGM_CM_DISK_IO_WRITE_BYTES, pair, 1, written);
}

static void read_diskio(struct containers *y)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (!CGM_SCAN_IS(key, "io_service_bytes"))
			cgm_scan_skip(s);
		else if (cgm_scan_enter(s, '['))
			while (cgm_scan_item(s))
				read_device(y);
	}
}

static void read_gpu(struct containers *y)
{
	static const char *const names[] = { "memory_total", "memory_used", "duty_cycle" };
	struct cgm_scan *s = &y->scan;
	struct cgm_tag *tags = cgm_draft_alloc(y->d, 3 * sizeof(*tags));
	unsigned present = 0;
	struct cgm_str key;
	int64_t values[3];

	if (!cgm_scan_enter(s, '{') || !tags)
		return;
	tags[0] = (struct cgm_tag){ "accelerator_id", "" };
	tags[1] = (struct cgm_tag){ "make", "" };
	tags[2] = (struct cgm_tag){ "model", "" };
	while (cgm_scan_key(s, &key)) {
		size_t i = 0;

		while (i < ARRAY_SIZE(names) && !cgm_str_eq(key, names[i]))
			i++;
		if (i < ARRAY_SIZE(names))
			present |= cgm_scan_count(s, &values[i]) ? 1U << i : 0;
		else if (CGM_SCAN_IS(key, "id"))
			cgm_scan_text(s, y->d, &tags[0].value);
		else if (CGM_SCAN_IS(key, "make"))
			cgm_scan_text(s, y->d, &tags[1].value);
		else if (CGM_SCAN_IS(key, "model"))
			cgm_scan_text(s, y->d, &tags[2].value);
		else
			cgm_scan_skip(s);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (present & 1U << i)
			put(y, (enum cgm_cm)(CGM_CM_ACCELERATOR_MEMORY_TOTAL + i), tags, 3, values[i]);
}

/* One value of an application's metric. False: it has none, or an older one than what is in *ret. A value of zero may be left out. */
static bool read_custom_value(struct containers *y, uint64_t *newest_ns, struct cgm_labeled *ret)
{
	struct cgm_scan *s = &y->scan;
	bool has_float = false;
	struct cgm_labeled l = *ret;
	uint64_t time_ns = 0;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return false;
	l.value.i = 0;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "timestamp"))
			cgm_scan_time(s, &time_ns);
		else if (CGM_SCAN_IS(key, "float_value"))
			has_float = cgm_scan_float(s, &l.value.f);
		else if (CGM_SCAN_IS(key, "int_value") && !has_float)
			cgm_scan_count(s, &l.value.i);
		else
			cgm_scan_skip(s);
	}
	if (ret->name && time_ns <= *newest_ns)
		return false;
	l.is_float = has_float;
	*newest_ns = time_ns;
	*ret = l;
	return true;
}

static void read_custom(struct containers *y)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		struct cgm_labeled l = { .metric = CGM_CM_CUSTOM };
		const char *name = NULL;
		uint64_t newest_ns = 0;

		cgm_scan_key_text(s, y->d, key, &name);
		if (!cgm_scan_enter(s, '['))
			continue;
		while (cgm_scan_item(s))
			if (read_custom_value(y, &newest_ns, &l))
				l.name = name ? name : "";
		if (l.name && *l.name && cgm_cast_has_room(&y->cast))
			cgm_draft_labeled(y->d, 0, &l);
	}
}

static void read_stat(struct containers *y, struct one *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	c->nr_stats++;
	c->time_ns = c->present = 0;
	c->has_interfaces = false;
	y->d->nr_labeled = c->first_labeled;
	while (cgm_scan_key(s, &key)) {
		void (*each)(struct containers *) = CGM_SCAN_IS(key, "filesystem") ? read_fs : CGM_SCAN_IS(key, "accelerators") ? read_gpu : NULL;

		if (each && cgm_scan_enter(s, '['))
			while (cgm_scan_item(s))
				each(y);
		else if (each)
			continue;
		else if (CGM_SCAN_IS(key, "timestamp"))
			cgm_scan_time(s, &c->time_ns);
		else if (CGM_SCAN_IS(key, "cpu"))
			read_cpu(y, c);
		else if (CGM_SCAN_IS(key, "memory"))
			read_memory(y, c);
		else if (CGM_SCAN_IS(key, "network"))
			read_network(y, c);
		else if (CGM_SCAN_IS(key, "processes"))
			read_processes(y, c);
		else if (CGM_SCAN_IS(key, "diskio"))
			read_diskio(y);
		else if (CGM_SCAN_IS(key, "custom_metrics"))
			read_custom(y);
		else
			cgm_scan_skip(s);
	}
}

/* ---- who it is ---- */

/* Kubernetes 1.0: k8s_NAME.hash_POD_NAMESPACE_UID_attempt, with labels "namespace/pod" or both. */
static const char *old_name(struct containers *y, const char *name)
{
	const char *dot = strncmp(name, "k8s_", 4) == 0 ? strchr(name, '.') : NULL;

	return dot && dot > name + 4 ? cgm_draft_text(y->d, (struct cgm_str){ name + 4, (size_t)(dot - name - 4) }) : NULL;
}

static int new_set(struct containers *y, enum cgm_set_kind kind)
{
	int i = cgm_cast_add(&y->cast, kind);

	if (i < 0)
		cgm_scan_fail(&y->scan, "there are too many containers");
	return i;
}

static int system_container(struct containers *y, const char *name)
{
	int i = new_set(y, CGM_SET_SYS_CONTAINER);

	if (i >= 0)
		y->d->sets[i].container = name + (*name == '/');
	return i;
}

/* Two with one name in a pod are two sets here: the one that started last stays. */
static int pod_container(struct containers *y, int pod, const struct one *c)
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
static int place(struct containers *y, struct one *c)
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

static uint64_t said(const struct one *c)
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
static void put_values(struct containers *y, int to, const struct one *c)
{
	struct cgm_draft_set *s = &y->d->sets[to];

	for (uint64_t left = said(c); left; left &= left - 1) {
		int m = __builtin_ctzll(left);

		cgm_cast_put(&y->cast, to, (enum cgm_cm)m, c->values[m]);
	}
	s->scraped_ns = c->time_ns;
	s->created_ns = c->created_ns;
}

static bool is_custom_float(const struct containers *y, const struct cgm_labeled *l)
{
	for (size_t i = 0; i < y->nr_custom; i++)
		if (strcmp(y->custom[i].name, l->name) == 0)
			return y->custom[i].is_float;
	return l->is_float;
}

/* One type from cycle to cycle, as the spec says, though a zero is left out. */
static void convert(const struct containers *y, struct cgm_labeled *l)
{
	bool is_float = is_custom_float(y, l);

	if (is_float && !l->is_float)
		l->value.f = (double)l->value.i;
	else if (!is_float && l->is_float)
		l->value.i = l->value.f >= 0x1p63 ? INT64_MAX : l->value.f <= -0x1p63 ? INT64_MIN : (int64_t)l->value.f;
	l->is_float = is_float;
}

/* What was put in for this container gets its set, or goes again. */
static void keep_labeled(struct containers *y, int to, const struct one *c)
{
	struct cgm_draft *d = y->d;
	size_t kept = c->first_labeled;

	for (size_t i = c->first_labeled; i < d->nr_labeled; i++) {
		struct cgm_labeled *l = &d->labeled[i].labeled;
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

static void read_aliases(struct containers *y, struct one *c)
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

static void read_container(struct containers *y)
{
	struct one c = { .first_labeled = y->d->nr_labeled };
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
				read_stat(y, &c);
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
	struct containers y = { .cast.d = d, .d = d };
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
