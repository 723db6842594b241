// SPDX-License-Identifier: Apache-2.0
/* A sample of cAdvisor's v1 ContainerStats. */
#include "source/containers.h"

#include <string.h>

static void set(struct cgm_container *c, enum cgm_cm m, int64_t v)
{
	c->values[m] = v;
	c->present |= CGM_CM_BIT(m);
}

typedef void (*put_fn)(struct cgm_container *c, enum cgm_cm m, int64_t v);

static void add(struct cgm_container *c, enum cgm_cm m, int64_t v)
{
	if (__builtin_add_overflow(c->present & CGM_CM_BIT(m) ? c->values[m] : 0, v, &v))
		v = INT64_MAX;
	set(c, m, v);
}

/* The counter of that key, put in by put. False: it is something else, and its value is still to come. */
static bool read_field(struct cgm_containers *y, struct cgm_container *c, struct cgm_str key, const struct cgm_decode_field *fields, size_t nr, put_fn put)
{
	int i = cgm_decode_find(fields, nr, key);
	int64_t v;

	if (i >= 0 && cgm_scan_count(&y->scan, &v))
		put(c, fields[i].metric, v);
	return i >= 0;
}

/* An object of which nothing but these counters is asked for. False: it is none. */
static bool read_fields(struct cgm_containers *y, struct cgm_container *c, const struct cgm_decode_field *fields, size_t nr, put_fn put)
{
	struct cgm_str key;

	if (!cgm_scan_enter(&y->scan, '{'))
		return false;
	while (cgm_scan_key(&y->scan, &key))
		if (!read_field(y, c, key, fields, nr, put))
			cgm_scan_skip(&y->scan);
	return true;
}
#define READ_FIELDS(y, c, fields, put) read_fields(y, c, fields, ARRAY_SIZE(fields), put)

static const struct cgm_decode_field cpu_fields[] = { CGM_FIELD("total", CPU_USAGE) };
static const struct cgm_decode_field memory_fields[] = {
	CGM_FIELD("usage", MEMORY_USAGE), CGM_FIELD("cache", MEMORY_CACHE), CGM_FIELD("rss", MEMORY_RSS), CGM_FIELD("working_set", MEMORY_WORKING_SET),
	CGM_FIELD("swap", MEMORY_SWAP),
};
static const struct cgm_decode_field fault_fields[] = { CGM_FIELD("pgfault", MEMORY_PAGE_FAULTS), CGM_FIELD("pgmajfault", MEMORY_MAJOR_PAGE_FAULTS) };
static const struct cgm_decode_field interface_fields[] = {
	CGM_FIELD("rx_bytes", NETWORK_RX), CGM_FIELD("rx_errors", NETWORK_RX_ERRORS), CGM_FIELD("tx_bytes", NETWORK_TX), CGM_FIELD("tx_errors", NETWORK_TX_ERRORS),
};
static const struct cgm_decode_field process_fields[] = { CGM_FIELD("threads_current", TASKS) };

/* A total that is zero, too, when nobody measures it: then what shows that somebody does is zero. */
static void read_if(struct cgm_containers *y, struct cgm_container *c, const char *total, const char *shows, enum cgm_cm m)
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

static void read_cpu(struct cgm_containers *y, struct cgm_container *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "usage"))
			READ_FIELDS(y, c, cpu_fields, set);
		else if (CGM_SCAN_IS(key, "cfs"))
			read_if(y, c, "throttled_time", "periods", CGM_CM_CPU_THROTTLED);
		else if (CGM_SCAN_IS(key, "schedstat"))
			read_if(y, c, "runqueue_time", "run_time", CGM_CM_CPU_RUN_QUEUE_DELAY);
		else
			cgm_scan_skip(s);
	}
}

static void read_memory(struct cgm_containers *y, struct cgm_container *c)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		if (read_field(y, c, key, memory_fields, ARRAY_SIZE(memory_fields), set))
			continue;
		if (CGM_SCAN_IS(key, "container_data"))
			READ_FIELDS(y, c, fault_fields, set);
		else
			cgm_scan_skip(s);
	}
}

/* The sum of all interfaces, as Heapster has it. */
static void read_network(struct cgm_containers *y, struct cgm_container *c)
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
				c->has_interfaces |= READ_FIELDS(y, c, interface_fields, add);
	}
}

/* ---- what has labels: put into the draft at once, for set 0, which the end replaces ---- */

static void put(struct cgm_containers *y, enum cgm_cm m, const struct cgm_tag *labels, unsigned nr, int64_t v)
{
	struct cgm_labeled_facts l = { .metric = (uint8_t)m, .nr_labels = (uint8_t)nr, .labels = labels, .value.i = v };

	if (labels && cgm_cast_has_room(&y->cast))
		cgm_draft_labeled(y->d, 0, &l);
}

static void read_fs(struct cgm_containers *y)
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

static void read_device(struct cgm_containers *y)
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

static void read_diskio(struct cgm_containers *y)
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

static void read_gpu(struct cgm_containers *y)
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

/* One value of an application's metric. False: it is nonsense, or older than what is in *ret. A value of zero may be left out. */
static bool read_custom_value(struct cgm_containers *y, uint64_t *newest_ns, struct cgm_labeled_facts *ret)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_labeled_facts l = *ret;
	bool has_float = false, good = true;
	uint64_t time_ns = 0;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return false;
	l.value.i = 0;
	while (cgm_scan_key(s, &key)) {
		if (CGM_SCAN_IS(key, "timestamp"))
			cgm_scan_time(s, &time_ns);
		else if (CGM_SCAN_IS(key, "float_value"))
			good = has_float = cgm_scan_float(s, &l.value.f);
		else if (CGM_SCAN_IS(key, "int_value") && !has_float)
			good = cgm_scan_integer(s, &l.value.i);
		else
			cgm_scan_skip(s);
	}
	if (!good || (ret->name && time_ns <= *newest_ns))
		return false;
	l.is_float = has_float;
	*newest_ns = time_ns;
	*ret = l;
	return true;
}

static void read_custom(struct cgm_containers *y)
{
	struct cgm_scan *s = &y->scan;
	struct cgm_str key;

	if (!cgm_scan_enter(s, '{'))
		return;
	while (cgm_scan_key(s, &key)) {
		struct cgm_labeled_facts l = { .metric = CGM_CM_CUSTOM };
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

void cgm_decode_sample(struct cgm_containers *y, struct cgm_container *c)
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
		void (*each)(struct cgm_containers *) = CGM_SCAN_IS(key, "filesystem") ? read_fs : CGM_SCAN_IS(key, "accelerators") ? read_gpu : NULL;

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
			READ_FIELDS(y, c, process_fields, set);
		else if (CGM_SCAN_IS(key, "diskio"))
			read_diskio(y);
		else if (CGM_SCAN_IS(key, "custom_metrics"))
			read_custom(y);
		else
			cgm_scan_skip(s);
	}
}
