/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON answers: cAdvisor's REST schema (field names, order, omission rules, units) and the page's own. Everything is written by
 * hand into a cgm_buf, straight from a snapshot; jansson parses the request body only (json_request.c). Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cgroup/machine.h"
#include "cgroup/process.h"
#include "model/events.h"
#include "model/history.h"
#include "model/snapshot.h"
#include "output/selection.h"
#include "output/stream.h"

/* ---- json_text.c: the words of the language ---- */

/* A string with its quotes: escaped, bytes that are not UTF-8 replaced by U+FFFD. */
void cgm_json_string(struct cgm_buf *b, const char *s);
/* A counter or a measured number. Above 2^63-1 it is 2^63-1: jansson and many clients read signed 64-bit. Limits are exact: cgm_buf_u64. */
void cgm_json_u64(struct cgm_buf *b, uint64_t v);
void cgm_json_bool(struct cgm_buf *b, bool v);
/* ns since the epoch as RFC 3339 in UTC, trailing zeros of the fraction cut, quoted; 0 is Go's zero time, "0001-01-01T00:00:00Z". */
void cgm_json_time(struct cgm_buf *b, uint64_t time_ns);
/* ,"key": and ,"key":v */
void cgm_json_key(struct cgm_buf *b, const char *key);
void cgm_json_number(struct cgm_buf *b, const char *key, uint64_t v);
/* Cuts a comma that ends the text, so that lists can be written as "element," each. */
void cgm_json_chop(struct cgm_buf *b);

/* ---- json_stats.c: one sample ---- */

/* A ContainerStats object. values lie as the layout says; health: of the container now, NULL: it has no check. */
void cgm_json_stats(struct cgm_buf *b, uint64_t time_ns, const struct cgm_layout *l, const uint64_t *values, const char *health);

/* The same without "network". */
void cgm_json_stats_less_network(struct cgm_buf *b, uint64_t time_ns, const struct cgm_layout *l, const uint64_t *values, const char *health);

/* ---- json_extras.c: parts of it, each with the comma in front ---- */

/* "tcp", "tcp6", "udp", "udp6", "tcp_advanced" of NetworkStats; zeros for what is not measured. */
void cgm_json_sockets(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values);
bool cgm_json_has_sockets(const struct cgm_layout *l);
/* "hugetlb", "perf_stats" and "perf_uncore_stats": nothing when there are none; "resctrl" always. */
void cgm_json_hugetlb(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values);
void cgm_json_perf(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values);
void cgm_json_resctrl(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values);
/* Its members, as the v2 interfaces put them together: ,"cpu":{…}. load_stats is task_stats of v1; network has no flat fields. */
enum cgm_stats_part {
	CGM_PART_CPU,
	CGM_PART_DISKIO,
	CGM_PART_MEMORY,
	CGM_PART_NETWORK,
	CGM_PART_PROCESSES,
	CGM_PART_FILESYSTEM, /* nothing when there is none */
	CGM_PART_LOAD,
};
/* Zeros where there is no source. */
void cgm_json_stats_part(struct cgm_buf *b, enum cgm_stats_part part, const struct cgm_layout *l, const uint64_t *values);
/* What stands behind these in all interfaces: "perf_stats", "perf_uncore_stats" and "referenced_memory" where there are any, and "resctrl". */
void cgm_json_stats_rest(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values);
/* Is there a source? For cpu, diskio and memory the spec tells. */
bool cgm_json_stats_has(const struct cgm_layout *l, enum cgm_stats_part part);

/* ---- json_spec.c: ContainerSpec ---- */

/* app: what its application said; NULL: nothing. */
void cgm_json_spec_v1(struct cgm_buf *b, const struct cgm_spec *spec, const struct cgm_identity *identity, const struct cgm_app_metrics *app);
/* As v1; a pod's sandbox with the label io.kubernetes.container.name=POD. network: is it this row that shows what there is? */
void cgm_json_spec_kubelet(struct cgm_buf *b, const struct cgm_spec *spec, const struct cgm_identity *identity, const struct cgm_app_metrics *app, bool network);
void cgm_json_spec_v2(struct cgm_buf *b, const struct cgm_spec *spec, const struct cgm_identity *identity, const struct cgm_app_metrics *app);
/* "aliases":[…],"namespace":"docker", of what a runtime knows; nothing of others. */
void cgm_json_aliases(struct cgm_buf *b, const struct cgm_identity *identity);
/* "state":"running","exit_code":0, beyond cAdvisor's form: as the runtime tells it. who may be NULL. */
void cgm_json_state(struct cgm_buf *b, const struct cgm_who *who);

/* ---- json_app.c: metrics of applications ---- */

/* ,"custom_metrics":[…] of a spec and ,"custom_metrics":{…} of a sample. */
void cgm_json_app_spec(struct cgm_buf *b, const struct cgm_app_metrics *app);
void cgm_json_app_stats(struct cgm_buf *b, const struct cgm_app_metrics *app);
/* What appmetrics has by name: {metric:{label:[…]}}. app may be NULL: {}. */
void cgm_json_app_metrics(struct cgm_buf *b, const struct cgm_app_metrics *app);

/* ---- json_request.c: the body of a request ---- */

/* ContainerInfoRequest. */
struct cgm_json_request {
	int64_t nr_stats; /* newest so many; -1: all that are held */
	uint64_t start_ns, end_ns; /* since the epoch, inclusive; 0: no bound */
};
#define CGM_JSON_REQUEST_DEFAULT ((struct cgm_json_request){ .nr_stats = 60 })

/*
 * Empty text and "null" give the defaults; unknown keys are passed over. -EINVAL: *ret_fault is a text in fresh memory of the
 * caller's that names the field (NULL when out of memory). -ENOMEM.
 */
int cgm_json_request_parse(const char *text, size_t len, struct cgm_json_request *ret, char **ret_fault);

/* The kubelet's form of it. */
struct cgm_json_stats_request {
	struct cgm_json_request samples;
	char *container; /* a path from "/" on, as it came; the caller's */
	bool subcontainers;
};
/* Likewise. */
int cgm_json_stats_request_parse(const char *text, size_t len, struct cgm_json_stats_request *ret, char **ret_fault);

/* ---- json_container.c: ContainerInfo ---- */

/* One ContainerInfo; an array of them; an object with the cgroup's path before each. */
enum cgm_containers_form { CGM_CONTAINERS_ONE, CGM_CONTAINERS_ARRAY, CGM_CONTAINERS_MAP };
/* ContainerInfo of the selected rows of s; CGM_CONTAINERS_ONE: there is just one. Takes a reference of s. NULL when out of memory. */
struct cgm_stream *cgm_json_containers(struct cgm_snapshot *s, const struct cgm_selection *selection, enum cgm_containers_form form,
				       const struct cgm_json_request *request);
/*
 * The same as a kubelet with dockershim told it: a pod's sandbox bears the label io.kubernetes.container.name=POD, and of all rows of a pod one alone
 * has its network. Who adds up pods (Heapster) finds the pod's network by the former and counts it once by the latter.
 */
struct cgm_stream *cgm_json_kubelet_containers(struct cgm_snapshot *s, const struct cgm_selection *selection, enum cgm_containers_form form,
					       const struct cgm_json_request *request);

/* ---- json_machine.c: MachineInfo, and Attributes of v2 ---- */

void cgm_json_machine(struct cgm_buf *b, const struct cgm_machine *m);
void cgm_json_attributes(struct cgm_buf *b, const struct cgm_machine *m, const char *version);

/* ---- json_v2.c: what v2 says of containers ---- */

enum cgm_v2_kind {
	CGM_V2_SPEC, /* {"NAME": ContainerSpec, …} */
	CGM_V2_SUMMARY, /* {"NAME": DerivedStats, …} */
	CGM_V20_STATS, /* {"NAME": [DeprecatedContainerStats, …], …} */
	CGM_V21_STATS, /* {"NAME": {"spec": …, "stats": [ContainerStats, …]}, …} */
	CGM_V2_MACHINE_STATS, /* [MachineStats, …] of the first row selected */
};
/* selection.snapshot must be s. count: the newest so many samples, -1: all. Takes a reference of s. NULL when out of memory. */
struct cgm_stream *cgm_json_v2(struct cgm_snapshot *s, enum cgm_v2_kind kind, const struct cgm_selection *selection, int64_t count);

/* ---- json_lists.c: file systems, processes, events ---- */

/*
 * FsInfo of the file systems with that label or UUID (NULL: all), numbers from the newest sample where it has them. Returns how many; one with a
 * UUID is an object, else an array.
 */
size_t cgm_json_storage(struct cgm_buf *b, const struct cgm_machine *m, const struct cgm_snapshot *s, int root_fd, const char *label, const char *uuid);
/* ProcessInfo of all that were listed. Takes processes over, also when it fails. with_cgroup: each with the path of its cgroup. NULL when out of memory. */
struct cgm_stream *cgm_json_processes(struct cgm_processes *processes, bool with_cgroup);
/* Event. */
void cgm_json_record(struct cgm_buf *b, const struct cgm_record *r);
/* An array of the newest max events that are wanted. The filter's name is copied. NULL when out of memory. */
struct cgm_stream *cgm_json_events(struct cgm_events *e, const struct cgm_events_filter *f, uint64_t max);

/* ---- json_rows.c, json_series.c, json_page.c: what the page asks for; see README.md for the shapes. All take a reference of s and are
 * NULL when out of memory. ---- */

/* The newest numbers of all containers, less those that have not changed since the snapshot since_seq of this agent; 0: all. */
struct cgm_stream *cgm_json_rows(struct cgm_snapshot *s, uint64_t since_seq);

/* Which samples of a container. */
struct cgm_json_range {
	uint64_t since_ns; /* later ones; 0: no bound */
	uint64_t window_ns; /* only the newest, so far back from the last; 0: no bound */
	uint64_t step_ns; /* at most one each so often; 0: all */
};
/* The samples of the row with that index by column; the newest CGM_SERIES_SAMPLES when there are more, fewer where a sample is very wide. */
#define CGM_SERIES_SAMPLES 1000
struct cgm_stream *cgm_json_series(struct cgm_snapshot *s, size_t row, const struct cgm_json_range *range);

/* All containers of the snapshot in one array. */
struct cgm_stream *cgm_json_tree(struct cgm_snapshot *s);
/* The histograms of one container. */
struct cgm_stream *cgm_json_waits(struct cgm_snapshot *s, size_t row);
/* The agent's own state. */
/* has_processes: there is an /api/v2.0/ps to ask. */
void cgm_json_status(struct cgm_buf *b, const struct cgm_snapshot *s, const char *version, bool has_processes);
