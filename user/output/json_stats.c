// SPDX-License-Identifier: Apache-2.0
/*
 * A sample as ContainerStats. The nested objects come from a skeleton that is built once out of the JSON paths of metrics.def: for each
 * value the text that stands before its number. Writing a sample is then copying and printing, without looking anything up.
 */
#include "output/json.h"

#include <assert.h>
#include <pthread.h>

#define MAX_DEPTH 8

struct part {
	enum cgm_value value;
	enum cgm_unit unit;
	uint16_t text, len; /* what comes before the number */
};

/* The values whose path begins with the same word; without that word and its braces. */
struct group {
	size_t first, nr;
	uint16_t tail, tail_len; /* what comes after the last number */
};

static const struct {
	const char *path;
	enum cgm_unit unit;
} paths[] = {
#define CGM_VALUE(id, kind, unit, json, v1, v2) { json, CGM_##unit },
#include "cgmeter/metrics.def"
};

static const struct {
	const char *array, *op;
} disk_values[] = {
#define CGM_DISK_VALUE(id, kind, unit, json, op) { json, "\"" op "\":" },
#include "cgmeter/metrics.def"
};

static const char *const iface_keys[] = {
#define CGM_IFACE_VALUE(id, kind, unit, json) ",\"" json "\":",
#include "cgmeter/metrics.def"
};

static const struct {
	const char *object, *key;
} numa_values[] = {
#define CGM_NUMA_VALUE(id, json, scope, type) { json, "\"" type "\":{" },
#include "cgmeter/metrics.def"
};

static const char *const fs_keys[] = {
#define CGM_FS_VALUE(id, kind, unit, json) ",\"" json "\":",
#include "cgmeter/metrics.def"
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct {
	char text[8192]; /* 2.3 kB are used; a unit test reads all of it back */
	size_t len;
	struct part parts[CGM_NR_VALUES];
	size_t nr_parts;
	struct group cpu, diskio, memory, task_stats;
} skeleton;

static void add_text(const char *s, size_t len)
{
	assert(skeleton.len + len <= sizeof(skeleton.text));
	memcpy(skeleton.text + skeleton.len, s, len);
	skeleton.len += len;
}

struct path {
	const char *word[MAX_DEPTH];
	size_t len[MAX_DEPTH], depth;
};

/* The words of a path behind its first. False when it does not begin with that group. */
static bool split_path(const char *text, const char *group, struct path *ret)
{
	size_t skip = strlen(group);

	if (strncmp(text, group, skip) != 0 || text[skip] != '.')
		return false;
	ret->depth = 0;
	for (text += skip; *text == '.'; text += 1 + ret->len[ret->depth++]) {
		assert(ret->depth < MAX_DEPTH);
		ret->word[ret->depth] = text + 1;
		ret->len[ret->depth] = strcspn(text + 1, ".");
	}
	return true;
}

static void close_objects(const struct path *before, size_t down_to)
{
	for (size_t d = before->depth; d > down_to + 1; d--)
		add_text("}", 1);
}

/* The text between the number before and this one: closes objects, opens others, names the value. */
static void add_between(const struct path *before, const struct path *now)
{
	size_t shared = 0;

	if (before->depth) {
		while (shared + 1 < before->depth && shared + 1 < now->depth && before->len[shared] == now->len[shared] &&
		       memcmp(before->word[shared], now->word[shared], now->len[shared]) == 0)
			shared++;
		close_objects(before, shared);
		add_text(",", 1);
	}
	for (size_t d = shared; d < now->depth; d++) {
		add_text("\"", 1);
		add_text(now->word[d], now->len[d]);
		add_text(d + 1 < now->depth ? "\":{" : "\":", d + 1 < now->depth ? 3 : 2);
	}
}

static struct group add_group(const char *name)
{
	struct group g = { .first = skeleton.nr_parts };
	struct path before = { .depth = 0 }, now;

	for (size_t v = 0; v < CGM_NR_VALUES; v++) {
		size_t start = skeleton.len;

		if (!split_path(paths[v].path, name, &now))
			continue;
		add_between(&before, &now);
		skeleton.parts[skeleton.nr_parts++] = (struct part){ (enum cgm_value)v, paths[v].unit, (uint16_t)start,
								       (uint16_t)(skeleton.len - start) };
		before = now;
	}
	g.nr = skeleton.nr_parts - g.first;
	g.tail = (uint16_t)skeleton.len;
	close_objects(&before, 0);
	g.tail_len = (uint16_t)(skeleton.len - g.tail);
	return g;
}

static void build_skeleton(void)
{
	skeleton.cpu = add_group("cpu");
	skeleton.diskio = add_group("diskio");
	skeleton.memory = add_group("memory");
	skeleton.task_stats = add_group("task_stats");
}

static bool has_block(const struct cgm_layout *l, enum cgm_layout_kind kind)
{
	for (uint32_t i = 0; i < l->nr_blocks; i++)
		if (l->blocks[i].kind == kind)
			return true;
	return false;
}

static void put_per_cpu(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		const struct cgm_layout_block *block = &l->blocks[i];

		if (block->kind != CGM_LAYOUT_CPU || !block->nr)
			continue;
		cgm_buf_lit(b, ",\"per_cpu_usage\":[");
		for (uint32_t c = 0; c < block->nr; c++) {
			cgm_json_u64(b, values[block->first + c]);
			cgm_buf_char(b, ',');
		}
		cgm_json_chop(b);
		cgm_buf_char(b, ']');
		return;
	}
}

/* Pages by kind and node: the values [first, end) of numa_values belong to one object. */
static void put_numa(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values, const char *object)
{
	cgm_buf_lit(b, ",\"numa_stats\":{");
	for (size_t v = 0; has_block(l, CGM_LAYOUT_NUMA) && v < CGM_NR_NUMA_VALUES; v++) {
		if (strcmp(numa_values[v].object, object) != 0)
			continue;
		cgm_buf_str(b, numa_values[v].key);
		for (uint32_t i = 0; i < l->nr_blocks; i++) {
			if (l->blocks[i].kind != CGM_LAYOUT_NUMA)
				continue;
			cgm_buf_char(b, '"');
			cgm_buf_u64(b, l->blocks[i].minor);
			cgm_buf_lit(b, "\":");
			cgm_json_u64(b, values[l->blocks[i].first + v]);
			cgm_buf_char(b, ',');
		}
		cgm_json_chop(b);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

static void put_value(struct cgm_buf *b, enum cgm_unit unit, uint64_t v)
{
	if (unit == CGM_CENTI)
		cgm_buf_fixed(b, v, 2);
	else if (unit == CGM_SIGNED)
		cgm_buf_i64(b, (int64_t)v);
	else if (unit == CGM_MILLI)
		cgm_buf_u64(b, MIN(v, (uint64_t)INT32_MAX)); /* the schema's load averages are int32 */
	else
		cgm_json_u64(b, v);
}

static void put_group(struct cgm_buf *b, const struct group *g, const struct cgm_layout *l, const uint64_t *values)
{
	for (const struct part *p = &skeleton.parts[g->first], *end = p + g->nr; p < end; p++) {
		cgm_buf_put(b, skeleton.text + p->text, p->len);
		put_value(b, p->unit, values[p->value]);
		if (p->value == CGM_V_CPU_USAGE_TOTAL)
			put_per_cpu(b, l, values);
		if (p->value == CGM_V_MEMORY_PGMAJFAULT)
			put_numa(b, l, values, "container_data");
		if (p->value == CGM_V_MEMORY_TOTAL_PGMAJFAULT)
			put_numa(b, l, values, "hierarchical_data");
	}
	cgm_buf_put(b, skeleton.text + g->tail, g->tail_len);
}

/* The values [first, end) of disk_values belong to one array. */
static void put_disk_array(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values, size_t first, size_t end)
{
	cgm_buf_char(b, '"');
	cgm_buf_str(b, disk_values[first].array);
	cgm_buf_lit(b, "\":[");
	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		const struct cgm_layout_block *block = &l->blocks[i];

		if (block->kind != CGM_LAYOUT_DISK)
			continue;
		cgm_buf_lit(b, "{\"device\":");
		cgm_json_string(b, block->name);
		cgm_buf_lit(b, ",\"major\":");
		cgm_buf_u64(b, block->major);
		cgm_buf_lit(b, ",\"minor\":");
		cgm_buf_u64(b, block->minor);
		cgm_buf_lit(b, ",\"stats\":{");
		for (size_t v = first; v < end; v++) {
			cgm_buf_str(b, disk_values[v].op);
			cgm_json_u64(b, values[block->first + v]);
			cgm_buf_char(b, ',');
		}
		cgm_json_chop(b);
		cgm_buf_lit(b, "}},");
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "],");
}

/* Costs are known with io.cost alone. */
static bool has_costs(const struct cgm_layout *l, const uint64_t *values)
{
	for (uint32_t i = 0; i < l->nr_blocks; i++)
		if (l->blocks[i].kind == CGM_LAYOUT_DISK && values[l->blocks[i].first + CGM_DISK_COST_USAGE])
			return true;
	return false;
}

static void put_diskio(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	size_t nr = !has_block(l, CGM_LAYOUT_DISK) ? 0 : has_costs(l, values) ? CGM_NR_DISK_VALUES : CGM_DISK_COST_USAGE;

	cgm_buf_lit(b, ",\"diskio\":{");
	for (size_t v = 0, end; v < nr; v = end) {
		for (end = v + 1; end < nr && strcmp(disk_values[end].array, disk_values[v].array) == 0;)
			end++;
		put_disk_array(b, l, values, v, end);
	}
	put_group(b, &skeleton.diskio, l, values);
	cgm_buf_char(b, '}');
}

static void put_iface(struct cgm_buf *b, const struct cgm_layout_block *block, const uint64_t *values)
{
	cgm_buf_lit(b, "\"name\":");
	cgm_json_string(b, block->name);
	for (size_t v = 0; v < CGM_NR_IFACE_VALUES; v++) {
		cgm_buf_str(b, iface_keys[v]);
		cgm_json_u64(b, values[block->first + v]);
	}
}

/* flat: with the fields of the first interface, as the kernel lists them, beside the list; the v2 interface has the list alone. */
static void put_network(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values, bool flat)
{
	static const uint64_t zeros[CGM_NR_IFACE_VALUES];
	static const struct cgm_layout_block none = { .kind = CGM_LAYOUT_IFACE };
	bool first = true;
	size_t at;

	cgm_buf_lit(b, ",\"network\":{");
	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		if (l->blocks[i].kind != CGM_LAYOUT_IFACE)
			continue;
		if (first && flat) {
			put_iface(b, &l->blocks[i], values);
			cgm_buf_char(b, ',');
		}
		if (first)
			cgm_buf_lit(b, "\"interfaces\":[");
		first = false;
		cgm_buf_char(b, '{');
		put_iface(b, &l->blocks[i], values);
		cgm_buf_lit(b, "},");
	}
	if (first && flat)
		put_iface(b, &none, zeros);
	if (!first) {
		cgm_json_chop(b);
		cgm_buf_char(b, ']');
	}
	at = b->len;
	cgm_json_sockets(b, l, values);
	if (first && !flat && !b->failed) { /* nothing stands before them: the comma goes */
		memmove(b->p + at, b->p + at + 1, b->len - at - 1);
		b->len--;
	}
	cgm_buf_char(b, '}');
}

static void put_filesystem(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	if (!has_block(l, CGM_LAYOUT_FS))
		return;
	cgm_buf_lit(b, ",\"filesystem\":[");
	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		const struct cgm_layout_block *block = &l->blocks[i];

		if (block->kind != CGM_LAYOUT_FS)
			continue;
		cgm_buf_char(b, '{');
		if (*block->name) {
			cgm_buf_lit(b, "\"device\":");
			cgm_json_string(b, block->name);
			cgm_buf_char(b, ',');
		}
		cgm_buf_lit(b, "\"type\":");
		cgm_json_string(b, block->type);
		for (size_t v = 0; v < CGM_NR_FS_VALUES; v++) {
			cgm_buf_str(b, fs_keys[v]);
			if (v == CGM_FS_HAS_INODES)
				cgm_json_bool(b, values[block->first + v]);
			else
				cgm_json_u64(b, values[block->first + v]);
		}
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

static void put_processes(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	uint64_t max = values[CGM_V_THREADS_MAX];

	cgm_buf_lit(b, ",\"processes\":{\"process_count\":");
	cgm_json_u64(b, values[CGM_V_PROCESS_COUNT]);
	cgm_buf_lit(b, ",\"fd_count\":");
	cgm_json_u64(b, values[CGM_V_FD_COUNT]);
	cgm_buf_lit(b, ",\"socket_count\":");
	cgm_json_u64(b, values[CGM_V_SOCKET_COUNT]);
	if (values[CGM_V_THREADS_CURRENT]) {
		cgm_buf_lit(b, ",\"threads_current\":");
		cgm_json_u64(b, values[CGM_V_THREADS_CURRENT]);
	}
	if (max && max != UINT64_MAX) {
		cgm_buf_lit(b, ",\"threads_max\":");
		cgm_json_u64(b, max);
	}
	if (cgm_layout_has(l, CGM_V_ULIMIT_FILES_SOFT)) {
		cgm_buf_lit(b, ",\"ulimits\":[{\"name\":\"max_open_files\",\"soft_limit\":");
		cgm_buf_i64(b, (int64_t)values[CGM_V_ULIMIT_FILES_SOFT]);
		cgm_buf_lit(b, ",\"hard_limit\":");
		cgm_buf_i64(b, (int64_t)values[CGM_V_ULIMIT_FILES_HARD]);
		cgm_buf_lit(b, "}]");
	}
	cgm_buf_char(b, '}');
}

static bool has_processes(const struct cgm_layout *l)
{
	return cgm_layout_has(l, CGM_V_PROCESS_COUNT) || cgm_layout_has(l, CGM_V_THREADS_CURRENT);
}

bool cgm_json_stats_has(const struct cgm_layout *l, enum cgm_stats_part part)
{
	switch (part) {
	case CGM_PART_NETWORK:
		return has_block(l, CGM_LAYOUT_IFACE) || cgm_json_has_sockets(l);
	case CGM_PART_FILESYSTEM:
		return has_block(l, CGM_LAYOUT_FS);
	case CGM_PART_PROCESSES:
		return has_processes(l);
	case CGM_PART_LOAD:
		return cgm_layout_has(l, CGM_V_TASKS_RUNNING);
	default:
		return true;
	}
}

static void put_named_group(struct cgm_buf *b, const char *name, const struct group *g, const struct cgm_layout *l, const uint64_t *values)
{
	cgm_buf_str(b, name);
	put_group(b, g, l, values);
	cgm_buf_char(b, '}');
}

void cgm_json_stats_part(struct cgm_buf *b, enum cgm_stats_part part, const struct cgm_layout *l, const uint64_t *values)
{
	pthread_once(&once, build_skeleton);
	switch (part) {
	case CGM_PART_CPU:
		put_named_group(b, ",\"cpu\":{", &skeleton.cpu, l, values);
		break;
	case CGM_PART_DISKIO:
		put_diskio(b, l, values);
		break;
	case CGM_PART_MEMORY:
		put_named_group(b, ",\"memory\":{", &skeleton.memory, l, values);
		break;
	case CGM_PART_NETWORK:
		put_network(b, l, values, false);
		break;
	case CGM_PART_PROCESSES:
		put_processes(b, l, values);
		break;
	case CGM_PART_FILESYSTEM:
		put_filesystem(b, l, values);
		break;
	case CGM_PART_LOAD:
		put_named_group(b, ",\"load_stats\":{", &skeleton.task_stats, l, values);
		break;
	}
}

void cgm_json_stats_rest(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	cgm_json_perf(b, l, values);
	if (values[CGM_V_REFERENCED_MEMORY]) {
		cgm_buf_lit(b, ",\"referenced_memory\":");
		cgm_json_u64(b, values[CGM_V_REFERENCED_MEMORY]);
	}
	cgm_json_resctrl(b, l, values);
}

static void put_stats(struct cgm_buf *b, uint64_t time_ns, const struct cgm_layout *l, const uint64_t *values, const char *health, bool network)
{
	pthread_once(&once, build_skeleton);
	cgm_buf_lit(b, "{\"timestamp\":");
	cgm_json_time(b, time_ns);
	put_named_group(b, ",\"cpu\":{", &skeleton.cpu, l, values);
	put_diskio(b, l, values);
	put_named_group(b, ",\"memory\":{", &skeleton.memory, l, values);
	cgm_json_hugetlb(b, l, values);
	if (network && cgm_json_stats_has(l, CGM_PART_NETWORK))
		put_network(b, l, values, true);
	put_filesystem(b, l, values);
	put_named_group(b, ",\"task_stats\":{", &skeleton.task_stats, l, values);
	if (has_processes(l))
		put_processes(b, l, values);
	cgm_json_stats_rest(b, l, values);
	cgm_buf_lit(b, ",\"cpuset\":{\"memory_migrate\":");
	cgm_json_u64(b, values[CGM_V_MEMORY_MIGRATE]);
	cgm_buf_char(b, '}');
	if (values[CGM_V_OOM_EVENTS]) {
		cgm_buf_lit(b, ",\"oom_events\":");
		cgm_json_u64(b, values[CGM_V_OOM_EVENTS]);
	}
	cgm_buf_lit(b, ",\"health\":{\"status\":");
	cgm_json_string(b, health ? health : "");
	cgm_buf_lit(b, "}}");
}

void cgm_json_stats(struct cgm_buf *b, uint64_t time_ns, const struct cgm_layout *l, const uint64_t *values, const char *health)
{
	put_stats(b, time_ns, l, values, health, true);
}

void cgm_json_stats_less_network(struct cgm_buf *b, uint64_t time_ns, const struct cgm_layout *l, const uint64_t *values, const char *health)
{
	put_stats(b, time_ns, l, values, health, false);
}
