// SPDX-License-Identifier: Apache-2.0
/* The Summary API's JSON: order of the fields, units and what is left out as in k8s.io/kubelet/pkg/apis/stats/v1alpha1. */
#include "output/kubelet.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "output/json.h"

struct summary {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	struct cgm_kubelet_node node;
	struct cgm_kubelet_pods pods;
	size_t at; /* of the next pod among the members */
	bool began, any;
	bool brief; /* CPU and memory alone */
};

/* ---- parts, each with the comma in front ---- */

/* Whole seconds. */
static void put_second(struct cgm_buf *b, uint64_t time_ns)
{
	cgm_json_time(b, time_ns - time_ns % CGM_NSEC_PER_SEC);
}

/* ,"key":{"time":… */
static void open_part(struct cgm_buf *b, const char *key, uint64_t time_ns)
{
	cgm_json_key(b, key);
	cgm_buf_lit(b, "{\"time\":");
	put_second(b, time_ns);
}

static void put_if(struct cgm_buf *b, const char *key, const struct cgm_row *row, enum cgm_value v)
{
	if (cgm_layout_has(row->layout, v))
		cgm_json_number(b, key, row->values[v]);
}

/* total is in ns here and in µs in the files. */
static void put_stalled(struct cgm_buf *b, const char *key, const uint64_t *v)
{
	static const char *const averages[] = { "avg10", "avg60", "avg300" };

	cgm_buf_char(b, '"');
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":{\"total\":");
	cgm_json_u64(b, v[0] > UINT64_MAX / CGM_NSEC_PER_USEC ? UINT64_MAX : v[0] * CGM_NSEC_PER_USEC);
	for (size_t i = 0; i < ARRAY_SIZE(averages); i++) {
		cgm_json_key(b, averages[i]);
		cgm_buf_fixed(b, v[1 + i], 2);
	}
	cgm_buf_char(b, '}');
}

#define PSI_VALUES 8 /* full and some: total, three averages */
_Static_assert(CGM_V_CPU_PSI_SOME_AVG300 - CGM_V_CPU_PSI_FULL_TOTAL == PSI_VALUES - 1 && CGM_V_IO_PSI_SOME_AVG300 - CGM_V_IO_PSI_FULL_TOTAL == PSI_VALUES - 1 &&
		       CGM_V_MEMORY_PSI_SOME_AVG300 - CGM_V_MEMORY_PSI_FULL_TOTAL == PSI_VALUES - 1,
	       "put_psi relies on this order of metrics.def");

static bool has_psi(const struct cgm_row *row, enum cgm_value full_total)
{
	return cgm_layout_has(row->layout, (enum cgm_value)(full_total + PSI_VALUES / 2));
}

static void put_psi(struct cgm_buf *b, const struct cgm_row *row, enum cgm_value full_total)
{
	if (!has_psi(row, full_total))
		return;
	cgm_json_key(b, "psi");
	cgm_buf_char(b, '{');
	put_stalled(b, "full", row->values + full_total);
	cgm_buf_char(b, ',');
	put_stalled(b, "some", row->values + full_total + PSI_VALUES / 2);
	cgm_buf_char(b, '}');
}

static int put_cpu(struct cgm_buf *b, const struct cgm_row *row)
{
	uint64_t rate;
	int r;

	if (!cgm_layout_has(row->layout, CGM_V_CPU_USAGE_TOTAL))
		return 0;
	r = cgm_kubelet_cpu_rate(row, &rate);
	if (r < 0)
		return r;
	open_part(b, "cpu", row->time_ns);
	if (r > 0)
		cgm_json_number(b, "usageNanoCores", rate);
	cgm_json_number(b, "usageCoreNanoSeconds", row->values[CGM_V_CPU_USAGE_TOTAL]);
	put_psi(b, row, CGM_V_CPU_PSI_FULL_TOTAL);
	cgm_buf_char(b, '}');
	return 0;
}

static void put_memory(struct cgm_buf *b, const struct cgm_row *row, uint64_t limit)
{
	uint64_t working_set = row->values[CGM_V_MEMORY_WORKING_SET];

	if (!cgm_layout_has(row->layout, CGM_V_MEMORY_USAGE))
		return;
	open_part(b, "memory", row->time_ns);
	if (cgm_kubelet_is_limit(limit) && cgm_layout_has(row->layout, CGM_V_MEMORY_WORKING_SET))
		cgm_json_number(b, "availableBytes", limit - MIN(limit, working_set));
	put_if(b, "usageBytes", row, CGM_V_MEMORY_USAGE);
	put_if(b, "workingSetBytes", row, CGM_V_MEMORY_WORKING_SET);
	put_if(b, "rssBytes", row, CGM_V_MEMORY_RSS);
	put_if(b, "pageFaults", row, CGM_V_MEMORY_PGFAULT);
	put_if(b, "majorPageFaults", row, CGM_V_MEMORY_PGMAJFAULT);
	put_psi(b, row, CGM_V_MEMORY_PSI_FULL_TOTAL);
	cgm_buf_char(b, '}');
}

static void put_io(struct cgm_buf *b, const struct cgm_row *row)
{
	if (!has_psi(row, CGM_V_IO_PSI_FULL_TOTAL))
		return;
	open_part(b, "io", row->time_ns);
	put_psi(b, row, CGM_V_IO_PSI_FULL_TOTAL);
	cgm_buf_char(b, '}');
}

static void put_swap(struct cgm_buf *b, const struct cgm_row *row, bool limited, uint64_t limit)
{
	uint64_t used = row->values[CGM_V_MEMORY_SWAP];

	if (!cgm_layout_has(row->layout, CGM_V_MEMORY_SWAP))
		return;
	open_part(b, "swap", row->time_ns);
	if (limited)
		cgm_json_number(b, "swapAvailableBytes", limit - MIN(limit, used));
	cgm_json_number(b, "swapUsageBytes", used);
	cgm_buf_char(b, '}');
}

static void put_row_swap(const struct summary *y, struct cgm_buf *b, const struct cgm_row *row)
{
	uint64_t limit = 0;
	bool limited = cgm_kubelet_swap_limit(y->snapshot, row, &limit);

	put_swap(b, row, limited, limit);
}

/* ---- network, file system ---- */

static void put_counters(struct cgm_buf *b, const uint64_t *v)
{
	cgm_json_number(b, "rxBytes", v[CGM_IFACE_RX_BYTES]);
	cgm_json_number(b, "rxErrors", v[CGM_IFACE_RX_ERRORS]);
	cgm_json_number(b, "txBytes", v[CGM_IFACE_TX_BYTES]);
	cgm_json_number(b, "txErrors", v[CGM_IFACE_TX_ERRORS]);
}

/* The one that stands for all has its numbers twice; without one the name is empty and there are none. */
static void put_network(struct cgm_buf *b, const struct cgm_row *row)
{
	const struct cgm_layout_block *one = cgm_kubelet_interface(row);

	if (!cgm_kubelet_has_interfaces(row))
		return;
	open_part(b, "network", row->time_ns);
	cgm_json_key(b, "name");
	cgm_json_string(b, one ? one->name : "");
	if (one)
		put_counters(b, row->values + one->first);
	cgm_json_key(b, "interfaces");
	cgm_buf_char(b, '[');
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *block = &row->layout->blocks[i];

		if (block->kind != CGM_LAYOUT_IFACE)
			continue;
		cgm_buf_lit(b, "{\"name\":");
		cgm_json_string(b, block->name);
		put_counters(b, row->values + block->first);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "]}");
}

/* ,"key":{…}; nothing when it is not known. */
static void put_fs(struct cgm_buf *b, const char *key, const struct cgm_kubelet_fs *fs)
{
	if (!fs->time_ns)
		return;
	cgm_json_key(b, key);
	cgm_buf_char(b, '{');
	cgm_kubelet_put_fs(b, fs);
	cgm_buf_char(b, '}');
}

static void put_storage(struct cgm_buf *b, const struct cgm_storage *st)
{
	struct cgm_kubelet_fs layer, logs;

	if (!st)
		return;
	layer = st->has_layer ? cgm_kubelet_fs_of(&st->layer) : (struct cgm_kubelet_fs){ 0 };
	logs = st->has_logs ? cgm_kubelet_fs_of(&st->logs) : (struct cgm_kubelet_fs){ 0 };
	put_fs(b, "rootfs", &layer);
	put_fs(b, "logs", &logs);
}

/* ---- a container, the node ---- */

static int put_container(const struct summary *y, struct cgm_buf *b, const char *name, const struct cgm_row *row, const struct cgm_who *who)
{
	int r;

	cgm_buf_lit(b, "{\"name\":");
	cgm_json_string(b, name);
	cgm_json_key(b, "startTime");
	put_second(b, cgm_kubelet_start_ns(row, who));
	r = put_cpu(b, row);
	put_memory(b, row, row->spec.memory_limit);
	if (!y->brief) {
		put_io(b, row);
		put_storage(b, row->storage);
		put_row_swap(y, b, row);
	}
	cgm_buf_lit(b, "},");
	return r;
}

static int put_system(const struct summary *y, struct cgm_buf *b)
{
	const struct cgm_row *row;
	const char *name;
	bool any = false;
	size_t at = 0;
	int r = 0;

	for (; r == 0 && cgm_kubelet_system(y->snapshot, &at, &name, &row); any = true) {
		cgm_buf_str(b, any ? "" : ",\"systemContainers\":[");
		r = put_container(y, b, name, row, NULL);
	}
	cgm_json_chop(b);
	if (any)
		cgm_buf_char(b, ']');
	return r;
}

static void put_rlimit(struct cgm_buf *b, const struct cgm_kubelet_node *n)
{
	if (!n->max_pid && !n->nr_tasks)
		return;
	open_part(b, "rlimit", n->time_ns);
	if (n->max_pid)
		cgm_json_number(b, "maxpid", n->max_pid);
	if (n->nr_tasks)
		cgm_json_number(b, "curproc", n->nr_tasks);
	cgm_buf_char(b, '}');
}

/* The short form tells since when the root's counters count, the full one since when the machine runs. */
static int put_node(const struct summary *y, struct cgm_buf *b)
{
	const struct cgm_row *root = cgm_snapshot_find(y->snapshot, "/");
	const struct cgm_kubelet_node *n = &y->node;
	struct cgm_kubelet_fs fs = cgm_kubelet_root_fs(y->snapshot, n), images = cgm_kubelet_images(y->snapshot);
	uint64_t root_ns = root ? root->spec.creation_time_ns : 0;
	int r;

	cgm_buf_lit(b, "{\"node\":{\"nodeName\":");
	cgm_json_string(b, n->name);
	r = put_system(y, b);
	cgm_json_key(b, "startTime");
	put_second(b, y->brief || !n->boot_time_ns ? root_ns : n->boot_time_ns);
	if (root && r == 0) {
		r = put_cpu(b, root);
		put_memory(b, root, n->memory_bytes);
	}
	if (root && !y->brief) {
		put_io(b, root);
		put_network(b, root);
		put_fs(b, "fs", &fs);
	}
	if (!y->brief && images.time_ns) {
		cgm_buf_lit(b, ",\"runtime\":{\"imageFs\":{");
		cgm_kubelet_put_fs(b, &images);
		cgm_buf_lit(b, "}}");
	}
	if (!y->brief)
		put_rlimit(b, n);
	if (root && !y->brief)
		put_swap(b, root, n->memory_bytes > 0, n->swap_bytes); /* a machine that is known may have none */
	cgm_buf_lit(b, "},\"pods\":[");
	return r;
}

/* ---- a pod ---- */

static void put_process_stats(struct cgm_buf *b, const struct cgm_kubelet_pod *pod)
{
	uint64_t sum = 0;
	bool known = false;

	for (size_t i = 0; i < pod->nr_containers; i++) {
		const struct cgm_row *row = pod->containers[i].row;

		if (!cgm_layout_has(row->layout, CGM_V_PROCESS_COUNT))
			continue;
		known = true;
		sum += row->values[CGM_V_PROCESS_COUNT];
	}
	if (!known)
		return;
	cgm_buf_lit(b, ",\"process_stats\":{\"process_count\":");
	cgm_json_u64(b, sum);
	cgm_buf_char(b, '}');
}

static int put_pod(const struct summary *y, struct cgm_buf *b, const struct cgm_kubelet_pod *pod)
{
	struct cgm_kubelet_fs root = cgm_kubelet_root_fs(y->snapshot, &y->node);
	int r = 0;

	cgm_buf_lit(b, "{\"podRef\":{\"name\":");
	cgm_json_string(b, pod->name);
	cgm_json_key(b, "namespace");
	cgm_json_string(b, pod->namespace);
	cgm_json_key(b, "uid");
	cgm_json_string(b, pod->uid);
	cgm_buf_char(b, '}');
	cgm_json_key(b, "startTime");
	put_second(b, pod->start_ns);
	cgm_buf_lit(b, ",\"containers\":[");
	for (size_t i = 0; r == 0 && i < pod->nr_containers; i++)
		r = put_container(y, b, cgm_kubelet_container_name(pod->containers[i].who), pod->containers[i].row, pod->containers[i].who);
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
	if (pod->own && r == 0) {
		r = put_cpu(b, pod->own);
		put_memory(b, pod->own, pod->own->spec.memory_limit);
	}
	if (pod->own && !y->brief)
		put_io(b, pod->own);
	if (pod->network && !y->brief)
		put_network(b, pod->network);
	if (!y->brief) {
		cgm_kubelet_put_volumes(b, pod);
		cgm_kubelet_put_ephemeral(b, pod, &root);
	}
	if (!y->brief)
		put_process_stats(b, pod);
	if (pod->own && !y->brief)
		put_row_swap(y, b, pod->own);
	cgm_buf_char(b, '}');
	return r;
}

/* ---- the stream ---- */

static int summary_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct summary *y = (struct summary *)stream;
	struct cgm_kubelet_pod pod;
	int r = 0;

	if (!y->began) {
		y->began = true;
		r = put_node(y, out);
	} else if (cgm_kubelet_pods_next(&y->pods, &y->at, &pod)) {
		if (y->any)
			cgm_buf_char(out, ',');
		y->any = true;
		r = put_pod(y, out, &pod);
	}
	if (r == 0 && y->at >= y->pods.nr)
		cgm_buf_lit(out, "]}");
	if (r < 0 || out->failed)
		return -ENOMEM;
	return y->at < y->pods.nr;
}

static void summary_free(struct cgm_stream *stream)
{
	struct summary *y = (struct summary *)stream;

	cgm_kubelet_pods_done(&y->pods);
	cgm_snapshot_unref(y->snapshot);
	free(y);
}

struct cgm_stream *cgm_kubelet_summary(struct cgm_snapshot *s, const struct cgm_kubelet_node *node, bool only_cpu_and_memory)
{
	_cleanup_free_ struct summary *y = cgm_calloc(1, sizeof(*y));

	if (!y || cgm_kubelet_pods_init(s, &y->pods) < 0)
		return NULL;
	y->stream = (struct cgm_stream){ .next = summary_next, .free = summary_free };
	y->snapshot = cgm_snapshot_ref(s);
	y->node = *node;
	y->brief = only_cpu_and_memory;
	return &TAKE_PTR(y)->stream;
}

/* ---- what no row says ---- */

/* "0.20 0.18 0.12 1/80 11206": all tasks behind the slash. */
static uint64_t nr_tasks(int root_fd)
{
	char text[128];
	ssize_t len = cgm_read_at(root_fd, "proc/loadavg", text, sizeof(text));
	struct cgm_str rest = { text, len > 0 ? (size_t)len : 0 }, field;
	uint64_t nr;

	if (!cgm_next_field(&rest, '/', &field) || !cgm_next_token(&rest, &field) || cgm_parse_u64(field, &nr) < 0)
		return 0;
	return nr;
}

void cgm_kubelet_node_read(int root_fd, const struct cgm_machine *machine, uint64_t boot_time_ns, struct cgm_kubelet_node *ret)
{
	struct cgm_kubelet_node n = { .time_ns = cgm_clock_real_ns(), .boot_time_ns = boot_time_ns, .nr_tasks = nr_tasks(root_fd) };

	if (gethostname(n.name, sizeof(n.name) - 1) < 0)
		n.name[0] = '\0';
	for (char *p = n.name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (cgm_read_u64_at(root_fd, "proc/sys/kernel/pid_max", &n.max_pid) < 0)
		n.max_pid = 0;
	for (size_t i = 0; machine && i < machine->nr_fs; i++)
		if (strcmp(machine->fs[i].mountpoint, "/") == 0)
			snprintf(n.root_device, sizeof(n.root_device), "%s", machine->fs[i].device);
	n.memory_bytes = machine ? machine->memory_bytes : 0;
	n.swap_bytes = machine ? machine->swap_bytes : 0;
	*ret = n;
}
