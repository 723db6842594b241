// SPDX-License-Identifier: Apache-2.0
/* What `cgmeter cluster` says of itself to Prometheus: its own families, and Heapster's with durations that are true. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "serve/exposition.h"
#include "serve/self.h"
#include "source/decode.h"

#define P "cgmeter_cluster_"
#define NSEC 9 /* digits of ns in s */

/* ---- the process ---- */

static uint64_t start_ns(void)
{
	char text[1024];
	struct cgm_str rest, field;
	const char *behind;
	uint64_t ticks = 0;

	if (cgm_read_at(AT_FDCWD, "/proc/self/stat", text, sizeof(text)) <= 0)
		return 0;
	behind = strrchr(text, ')'); /* field 2 may hold anything */
	if (!behind)
		return 0;
	rest = cgm_str(behind + 1);
	for (unsigned i = 3; i <= 22; i++)
		if (!cgm_next_token(&rest, &field))
			return 0;
	if (cgm_parse_u64(field, &ticks) < 0)
		return 0;
	return cgm_clock_real_ns() - cgm_clock_ns(CLOCK_BOOTTIME) + ticks * (CGM_NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t nr_fds(void)
{
	_cleanup_closedir_ DIR *d = cgm_opendir_at(AT_FDCWD, "/proc/self/fd");
	const struct dirent *e;
	uint64_t nr = 0;

	while (d && (e = readdir(d)) != NULL)
		nr += e->d_name[0] != '.';
	return nr ? nr - 1 : 0; /* without the one that looks */
}

static void put_process(struct cgm_buf *out)
{
	uint64_t pages[2] = { 0 };
	struct cgm_str rest, field;
	struct rusage use;
	char text[256];

	if (getrusage(RUSAGE_SELF, &use) == 0)
		cgm_family_one(out, "process_cpu_seconds_total", "counter", "CPU time of this process.",
			       (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec), 6);
	if (cgm_read_at(AT_FDCWD, "/proc/self/statm", text, sizeof(text)) > 0) {
		rest = cgm_str(text);
		for (size_t i = 0; i < ARRAY_SIZE(pages) && cgm_next_token(&rest, &field); i++)
			(void)cgm_parse_u64(field, &pages[i]);
		cgm_family_one(out, "process_virtual_memory_bytes", "gauge", "Address space of this process.", pages[0] * (uint64_t)sysconf(_SC_PAGESIZE), 0);
		cgm_family_one(out, "process_resident_memory_bytes", "gauge", "Memory of this process.", pages[1] * (uint64_t)sysconf(_SC_PAGESIZE), 0);
	}
	cgm_family_one(out, "process_start_time_seconds", "gauge", "When this process was started, since 1970.", start_ns(), NSEC);
	cgm_family_one(out, "process_open_fds", "gauge", "Open descriptors of this process.", nr_fds(), 0);
}

/* ---- the source ---- */

static void put_source(const struct cgm_source_stats *st, struct cgm_buf *out)
{
	struct cgm_family f = cgm_family_begin(out, P "nodes", "gauge", "Nodes: all that are listed, those that are asked, and of them those that did not answer the last time, and whose clock is more than 10 minutes off.");
	const struct {
		const char *state;
		uint64_t nr;
	} states[] = { { "known", st->nr_nodes }, { "ready", st->nr_ready }, { "silent", st->nr_silent }, { "skewed", st->nr_skewed } };

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		cgm_family_sample(&f, "");
		cgm_family_label(&f, "state", states[i].state);
		cgm_family_u64(&f, states[i].nr);
	}
	cgm_family_one(out, P "node_list_ok", "gauge", "1 when it is known which nodes there are.", !*st->list_fault, 0);
	cgm_family_one(out, P "node_requests_total", "counter", "Requests to nodes.", st->nr_requests, 0);
	cgm_family_one(out, P "node_received_bytes_total", "counter", "Bytes of nodes' answers.", st->nr_bytes, 0);
	cgm_family_one(out, P "node_bad_values_total", "counter", "Values of nodes' answers that were nonsense and left out.", st->nr_bad, 0);
	f = cgm_family_begin(out, P "node_faults_total", "counter", "Requests to nodes that failed, by reason.");
	for (unsigned i = 0; i < CGM_NR_NODE_FAULTS; i++) {
		cgm_family_sample(&f, "");
		cgm_family_label(&f, "reason", cgm_node_fault_name((enum cgm_node_fault)i));
		cgm_family_u64(&f, st->nr_failed[i]);
	}
	cgm_family_one(out, P "cycles_total", "counter", "Windows whose nodes were asked.", st->nr_cycles, 0);
	cgm_family_one(out, P "cycles_skipped_total", "counter", "Windows that were skipped, since the one before was not done.", st->nr_skipped, 0);
	cgm_family_one(out, P "cycle_duration_seconds", "gauge", "The last cycle, from its first request to its last answer.", st->last_cycle_ns, NSEC);
	cgm_family_one(out, P "cycle_end_timestamp_seconds", "gauge", "End of the last cycle's window, since 1970.", st->last_cycle_end_ns, NSEC);
}

/* "kubelet_summary:ADDRESS" of Heapster's. */
static void label_source(struct cgm_family *f, const struct cgm_node_state *n)
{
	char source[sizeof(n->address) + 32];

	snprintf(source, sizeof(source), "%s:%s", n->form == CGM_DECODE_SUMMARY ? "kubelet_summary" : n->form < CGM_NR_DECODE_FORMS ? cgm_decode_name((enum cgm_decode_form)n->form) : "kubelet",
		 n->address);
	cgm_family_label(f, "source", source);
}

static void put_duration(struct cgm_family *f, const struct cgm_node_state *n, bool by_source)
{
	static const char *const quantiles[] = { "0.5", "0.9", "0.99" };

	for (size_t i = 0; i <= ARRAY_SIZE(quantiles); i++) {
		bool count = i == ARRAY_SIZE(quantiles);

		cgm_family_sample(f, count ? "_count" : "");
		if (by_source)
			label_source(f, n);
		else
			cgm_family_label(f, "node", n->name);
		if (count) {
			cgm_family_u64(f, n->nr_ok);
			continue;
		}
		cgm_family_label(f, "quantile", quantiles[i]);
		cgm_family_fixed(f, n->duration_ns, 3);
	}
}

static int compare_addresses(const void *a, const void *b)
{
	const struct cgm_node_state *x = a, *y = b;

	int r = strcmp(x->address, y->address);

	return r ? r : (x->form > y->form) - (x->form < y->form);
}

/* Two nodes behind one address would be one series twice: there the first one speaks. */
static bool is_first_of_address(const struct cgm_node_state *nodes, size_t at)
{
	return !at || compare_addresses(&nodes[at - 1], &nodes[at]) != 0;
}

static int put_nodes(const struct cgm_serve *s, struct cgm_buf *out)
{
	_cleanup_free_ struct cgm_node_state *nodes = NULL;
	struct cgm_family f;
	size_t nr = 0;
	int r = cgm_source_nodes(s->source, &nodes, &nr);

	if (r < 0)
		return r;
	f = cgm_family_begin(out, P "node_up", "gauge", "1 when the node answered the last time that it was asked.");
	for (size_t i = 0; i < nr; i++) {
		if (!nodes[i].ready)
			continue;
		cgm_family_sample(&f, "");
		cgm_family_label(&f, "node", nodes[i].name);
		cgm_family_u64(&f, !*nodes[i].fault && nodes[i].last_ok_ns);
	}
	f = cgm_family_begin(out, "heapster_kubelet_summary_request_duration_microseconds", "summary", "How long the node's last answer took; all quantiles are of that one.");
	for (size_t i = 0; i < nr; i++)
		put_duration(&f, &nodes[i], false);
	if (nr)
		qsort(nodes, nr, sizeof(*nodes), compare_addresses);
	f = cgm_family_begin(out, "heapster_scraper_duration_microseconds", "summary", "How long the source's last answer took; all quantiles are of that one.");
	for (size_t i = 0; i < nr; i++)
		if (is_first_of_address(nodes, i))
			put_duration(&f, &nodes[i], true);
	f = cgm_family_begin(out, "heapster_scraper_last_time_seconds", "gauge", "When the source was asked the last time, since 1970.");
	for (size_t i = 0; i < nr; i++) {
		if (!is_first_of_address(nodes, i))
			continue;
		cgm_family_sample(&f, "");
		label_source(&f, &nodes[i]);
		cgm_family_fixed(&f, nodes[i].last_try_ns, NSEC);
	}
	return 0;
}

/* ---- processing ---- */

static void put_process_stats(const struct cgm_process_stats *st, uint64_t nr_cycles, struct cgm_buf *out)
{
	const struct {
		const char *step;
		uint64_t ns, nr;
	} steps[] = { { "node", st->node_ns, st->nr_slices }, { "cycle", st->cycle_ns, nr_cycles } };
	struct cgm_family f;

	cgm_family_one(out, P "slices_total", "counter", "Nodes' answers that were processed, and sums that were made.", st->nr_slices, 0);
	cgm_family_one(out, P "sets_total", "counter", "Sets of metrics in them: nodes, pods, containers, namespaces.", st->nr_sets, 0);
	cgm_family_one(out, P "points_total", "counter", "Points in them.", st->nr_points, 0);
	cgm_family_one(out, P "resets_total", "counter", "Counters that went back, and have no rate then.", st->nr_resets, 0);
	cgm_family_one(out, P "unknown_pods_total", "counter", "Sets of pods that the API server does not know.", st->nr_unknown_pods, 0);
	cgm_family_one(out, P "mixed_sets_total", "counter", "Sets of nodes that call themselves otherwise than the API server does.", st->nr_mixed, 0);
	cgm_family_one(out, P "lost_slices_total", "counter", "Nodes' answers that were lost for want of memory.", st->nr_lost, 0);
	f = cgm_family_begin(out, P "processing_seconds_total", "counter", "Time spent in processing nodes' answers, and in the sums of a cycle.");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		cgm_family_sample(&f, "");
		cgm_family_label(&f, "step", steps[i].step);
		cgm_family_fixed(&f, steps[i].ns, NSEC);
	}
	f = cgm_family_begin(out, "heapster_processor_duration_microseconds", "summary", "Time spent in processing: rates, enrichment and pods of a node; namespaces and cluster of a cycle.");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const char *name = i ? "cluster_aggregator" : "node_aggregator";

		cgm_family_sample(&f, "_sum");
		cgm_family_label(&f, "processor", name);
		cgm_family_fixed(&f, steps[i].ns, 3);
		cgm_family_sample(&f, "_count");
		cgm_family_label(&f, "processor", name);
		cgm_family_u64(&f, steps[i].nr);
	}
}

/* ---- sinks ---- */

struct sinks {
	struct cgm_export_state *p;
	size_t nr;
};

static void sinks_done(struct sinks *s)
{
	free(s->p);
}

/* What is the same of two is told apart by a number. */
static unsigned number_of(const struct sinks *s, size_t at)
{
	unsigned nr = 1;

	for (size_t i = 0; i < at; i++)
		nr += !strcmp(s->p[i].name, s->p[at].name) && !strcmp(s->p[i].shown, s->p[at].shown);
	return nr;
}

static void sink_sample(struct cgm_family *f, const struct sinks *s, size_t at)
{
	char to[sizeof(s->p[at].shown) + 16];
	unsigned number = number_of(s, at);

	snprintf(to, sizeof(to), number > 1 ? "%s #%u" : "%s", s->p[at].shown, number);
	cgm_family_sample(f, "");
	cgm_family_label(f, "sink", s->p[at].name);
	cgm_family_label(f, "uri", to);
}

#define AT(member) offsetof(struct cgm_export_state, member)
static const struct {
	const char *name, *type, *help;
	size_t offset;
	unsigned digits;
} sink_families[] = {
	{ P "export_points_total", "counter", "Points that the sink took.", AT(nr_points), 0 },
	{ P "export_slices_total", "counter", "Slices that the sink took.", AT(nr_slices), 0 },
	{ P "export_sent_points_total", "counter", "Points that were written.", AT(nr_sent), 0 },
	{ P "export_sent_bytes_total", "counter", "Bytes that were written.", AT(nr_sent_bytes), 0 },
	{ P "export_batches_total", "counter", "Batches that were written.", AT(nr_batches), 0 },
	{ P "export_retries_total", "counter", "Tries that failed and were made again.", AT(nr_retries), 0 },
	{ P "export_queue_bytes", "gauge", "Bytes that wait in memory.", AT(queue_bytes), 0 },
	{ P "export_queue_batches", "gauge", "Batches that wait in memory.", AT(queue_batches), 0 },
	{ P "export_spool_bytes", "gauge", "Bytes that wait on disk.", AT(spool_bytes), 0 },
	{ P "export_spool_batches", "gauge", "Batches that wait on disk.", AT(spool_batches), 0 },
	{ P "export_last_success_timestamp_seconds", "gauge", "When a batch was written the last time, since 1970.", AT(last_ok_ns), NSEC },
	{ P "export_delay_seconds", "gauge", "How old the last batch was when it was written: since the end of its window.", AT(delay_ns), NSEC },
	{ P "export_busy_seconds_total", "counter", "Time spent in encoding and sending.", AT(busy_ns), NSEC },
};
#undef AT

/* Heapster's name of a sink. */
static const char *heapster_name(const char *name)
{
	static const char *const names[][2] = { { "influxdb", "InfluxDB Sink" }, { "log", "Log Sink" }, { "kafka", "Apache Kafka Sink" }, { "elasticsearch", "ElasticSearch Sink" },
						{ "opentsdb", "OpenTSDB Sink" }, { "riemann", "Riemann Sink" }, { "graphite", "Graphite Sink" }, { "statsd", "StatsD Sink" } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i][0]))
			return names[i][1];
	return name;
}

/* Heapster knows sinks by their kind: of several of one the sum, and the newest. */
static void put_heapster_sinks(const struct sinks *s, struct cgm_buf *out)
{
	for (unsigned part = 0; part < 2; part++) {
		struct cgm_family f = part ? cgm_family_begin(out, "heapster_exporter_last_time_seconds", "gauge", "When data was written the last time, since 1970.") :
					     cgm_family_begin(out, "heapster_exporter_duration_milliseconds", "summary", "Time spent in encoding and sending to the sink.");

		for (size_t i = 0; i < s->nr; i++) {
			uint64_t busy_ns = 0, nr = 0, last_ns = 0;
			bool first = true;

			for (size_t j = 0; j < s->nr; j++) {
				if (strcmp(s->p[i].name, s->p[j].name) != 0)
					continue;
				first = first && j >= i;
				busy_ns += s->p[j].busy_ns;
				nr += s->p[j].nr_batches;
				last_ns = MAX(last_ns, s->p[j].last_ok_ns);
			}
			if (!first)
				continue;
			cgm_family_sample(&f, part ? "" : "_sum");
			cgm_family_label(&f, "exporter", heapster_name(s->p[i].name));
			cgm_family_fixed(&f, part ? last_ns : busy_ns, part ? NSEC : 6);
			if (part)
				continue;
			cgm_family_sample(&f, "_count");
			cgm_family_label(&f, "exporter", heapster_name(s->p[i].name));
			cgm_family_u64(&f, nr);
		}
	}
}

static int put_sinks(const struct cgm_serve *s, struct cgm_buf *out)
{
	_cleanup_(sinks_done) struct sinks sinks = { 0 };
	struct cgm_family f;
	int r = cgm_export_states(s->export, &sinks.p, &sinks.nr);

	if (r < 0)
		return r;
	for (size_t k = 0; k < ARRAY_SIZE(sink_families); k++) {
		f = cgm_family_begin(out, sink_families[k].name, sink_families[k].type, sink_families[k].help);
		for (size_t i = 0; i < sinks.nr; i++) {
			sink_sample(&f, &sinks, i);
			cgm_family_fixed(&f, *(const uint64_t *)(const void *)((const char *)&sinks.p[i] + sink_families[k].offset), sink_families[k].digits);
		}
	}
	f = cgm_family_begin(out, P "export_ok", "gauge", "1 when the last try went well.");
	for (size_t i = 0; i < sinks.nr; i++) {
		sink_sample(&f, &sinks, i);
		cgm_family_u64(&f, !*sinks.p[i].fault);
	}
	f = cgm_family_begin(out, P "export_lost_points_total", "counter", "Points that were lost, by reason.");
	for (size_t i = 0; i < sinks.nr; i++)
		for (unsigned l = 0; l < CGM_NR_EXPORT_LOSSES; l++) {
			sink_sample(&f, &sinks, i);
			cgm_family_label(&f, "reason", cgm_export_loss_name((enum cgm_export_loss)l));
			cgm_family_u64(&f, sinks.p[i].nr_lost[l]);
		}
	put_heapster_sinks(&sinks, out);
	return 0;
}

/* ---- the store and the API server's lists ---- */

static void put_store(const struct cgm_cluster_store_stats *st, struct cgm_buf *out)
{
	cgm_family_one(out, P "store_nodes", "gauge", "Nodes of which something is remembered.", st->nr_nodes, 0);
	cgm_family_one(out, P "store_sets", "gauge", "Sets of metrics that are remembered.", st->nr_sets, 0);
	cgm_family_one(out, P "store_slices", "gauge", "Slices that are remembered.", st->nr_slices, 0);
	cgm_family_one(out, P "store_bytes", "gauge", "Memory of all that is remembered.", st->bytes, 0);
	cgm_family_one(out, P "store_newest_timestamp_seconds", "gauge", "End of the newest slice's window, since 1970.", st->newest_ns, NSEC);
}

#define AT(member) offsetof(struct cgm_kube_watch_state, member)
static const struct {
	const char *name, *type, *help;
	size_t offset;
	unsigned digits;
} watch_families[] = {
	{ P "watch_lists_total", "counter", "Lists that the API server was asked for.", AT(nr_lists), 0 },
	{ P "watch_watches_total", "counter", "Watches that were begun.", AT(nr_watches), 0 },
	{ P "watch_events_total", "counter", "Changes that it told of.", AT(nr_events), 0 },
	{ P "watch_failures_total", "counter", "Tries that failed.", AT(nr_failed), 0 },
	{ P "watch_lost_objects_total", "counter", "Objects that were not understood, or lost for want of memory.", AT(nr_objects_lost), 0 },
	{ P "watch_last_event_timestamp_seconds", "gauge", "When it was last heard of, since 1970.", AT(last_event_ns), NSEC },
};
#undef AT

static void put_watches(const struct cgm_serve *s, struct cgm_buf *out)
{
	static const char *const names[] = { [CGM_KUBE_NODES] = "nodes", [CGM_KUBE_PODS] = "pods", [CGM_KUBE_NAMESPACES] = "namespaces" };
	struct cgm_kube_watch_state states[CGM_NR_KUBE_WHAT];
	struct cgm_family f = cgm_family_begin(out, P "watch_synced", "gauge", "1 when the API server's list is known and followed.");

	for (unsigned i = 0; i < CGM_NR_KUBE_WHAT; i++) {
		states[i] = cgm_kube_cluster_state(s->cluster, (enum cgm_kube_what)i);
		cgm_family_sample(&f, "");
		cgm_family_label(&f, "what", names[i]);
		cgm_family_u64(&f, states[i].synced);
	}
	f = cgm_family_begin(out, P "watch_objects", "gauge", "Objects that are known.");
	for (unsigned i = 0; i < CGM_NR_KUBE_WHAT; i++) {
		cgm_family_sample(&f, "");
		cgm_family_label(&f, "what", names[i]);
		cgm_family_u64(&f, cgm_kube_cluster_nr(s->cluster, (enum cgm_kube_what)i));
	}
	for (size_t k = 0; k < ARRAY_SIZE(watch_families); k++) {
		f = cgm_family_begin(out, watch_families[k].name, watch_families[k].type, watch_families[k].help);
		for (unsigned i = 0; i < CGM_NR_KUBE_WHAT; i++) {
			cgm_family_sample(&f, "");
			cgm_family_label(&f, "what", names[i]);
			cgm_family_fixed(&f, *(const uint64_t *)(const void *)((const char *)&states[i] + watch_families[k].offset), watch_families[k].digits);
		}
	}
}

int cgm_serve_put_self(const struct cgm_serve *s, struct cgm_buf *out)
{
	struct cgm_source_stats source = { 0 };
	struct cgm_cluster_store_stats store = cgm_cluster_store_stats(s->store);
	struct cgm_family f = cgm_family_begin(out, P "build_info", "gauge", "Always 1; the version of this program.");
	int r = 0;

	cgm_family_sample(&f, "");
	cgm_family_label(&f, "version", s->version ? s->version : "");
	cgm_family_u64(&f, 1);
	put_process(out);
	put_store(&store, out);
	if (s->source) {
		source = cgm_source_stats(s->source);
		put_source(&source, out);
		r = put_nodes(s, out);
	}
	if (s->process) {
		struct cgm_process_stats st = cgm_process_stats(s->process);

		put_process_stats(&st, source.nr_cycles, out);
	}
	if (s->cluster)
		put_watches(s, out);
	if (r == 0 && s->export)
		r = put_sinks(s, out);
	return r;
}
