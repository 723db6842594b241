// SPDX-License-Identifier: Apache-2.0
/*
 * The way of the data: the source asks nodes and hands each answer to the pipeline (on_node), the pipeline makes slices of it (on_slice), and these go to memory and to the sinks. All of it
 * happens in the source's thread; sinks and servers have their own.
 */
#include "cluster/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/cpus.h"
#include "base/file.h"
#include "base/log.h"
#include "cluster/state.h"

#define DEBUG_VERBOSITY 4 /* of glog's -v, which Heapster has */
#define LEASE_TIMEOUT_NS (3 * CGM_NSEC_PER_SEC)
#define SERVICE_ACCOUNT_NAMESPACE "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

/* ---- the way of the data ---- */

static void on_slice(void *arg, struct cgm_slice *s)
{
	struct cgm_cluster_state *st = arg;

	if (cgm_cluster_store_put(st->store, s) < 0)
		cgm_log_once(CGM_LOG_ERROR, "out of memory: what a node said is not kept for the model API");
	if (st->export)
		cgm_export_put(st->export, s);
}

static void on_node(void *arg, const struct cgm_node_facts *node, struct cgm_draft *d, uint64_t end_ns)
{
	struct cgm_cluster_state *st = arg;

	cgm_process_node(st->process, node, d, end_ns);
}

static void on_cycle(void *arg, uint64_t end_ns, size_t nr_asked, size_t nr_answered)
{
	struct cgm_cluster_state *st = arg;

	cgm_process_cycle(st->process, end_ns);
	cgm_cluster_store_age(st->store, cgm_clock_real_ns());
	if (!st->nr_cycles++ || nr_asked - nr_answered != st->nr_unanswered)
		cgm_info("%zu of %zu nodes answered", nr_answered, nr_asked);
	st->nr_unanswered = nr_asked - nr_answered; /* told when it changes, not once a cycle */
}

/* ---- Kubernetes ---- */

static void texts_done(struct cgm_source_kube_texts *t)
{
	cgm_source_kube_texts_done(t);
}

int cgm_cluster_client(const struct cgm_cluster_options *o, uint64_t timeout_ns, struct cgm_kube **ret)
{
	_cleanup_(texts_done) struct cgm_source_kube_texts texts = { 0 };
	struct cgm_kube_config config = { 0 };
	char fault[MAX(CGM_KUBE_FAULT, CGM_SOURCE_FAULT)];
	bool needed = false;
	int r = cgm_source_kube_config(o->source, &config, &needed, &texts, fault);

	if (r == 0 && !needed)
		return 0;
	if (*o->kubeconfig && (!config.kubeconfig || !*config.kubeconfig))
		config.kubeconfig = o->kubeconfig;
	config.timeout_ns = timeout_ns;
	if (r == 0)
		r = cgm_kube_open(&config, ret, fault);
	if (r < 0)
		cgm_error("--source: no API server can be asked: %s", fault);
	return r;
}

static int open_kube(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	struct cgm_kube_cluster_config cluster = { .node_selector = o->node_selector, .slim_pods = o->resource_only && !o->nr_export_sinks };
	int r = cgm_cluster_client(o, 0, &st->kube);

	if (r < 0 || !st->kube)
		return r;
	cluster.kube = st->kube;
	r = cgm_kube_cluster_new(&cluster, &st->cluster);
	if (r < 0)
		cgm_error("cannot start the threads that follow nodes and pods: %s", strerror(-r));
	else
		cgm_info("nodes and pods are those of %s", cgm_kube_server(st->kube));
	return r;
}

static void on_leader(void *arg, bool leads)
{
	struct cgm_cluster_state *st = arg;

	__atomic_store_n(&st->standby, !leads, __ATOMIC_RELAXED);
	cgm_source_pause(st->source, !leads);
}

static void lease_namespace(const struct cgm_cluster_options *o, char *ret, size_t size)
{
	const char *pod = getenv("POD_NAMESPACE");

	snprintf(ret, size, "%s", *o->lease_namespace ? o->lease_namespace : pod && *pod ? pod : "");
	if (!*ret && (cgm_read_line_at(AT_FDCWD, SERVICE_ACCOUNT_NAMESPACE, ret, size) < 0 || !*ret))
		snprintf(ret, size, "kube-system");
}

/* Unlike any other's, also of a former run of ours. */
static void identity_of(char *ret, size_t size)
{
	char host[128] = "";
	const char *pod = getenv("POD_NAME");

	gethostname(host, sizeof(host) - 1);
	snprintf(ret, size, "%s_%d_%llx", pod && *pod ? pod : host, (int)getpid(), (unsigned long long)cgm_clock_real_ns());
}

static int start_leader(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	char namespace[256], lease[256], identity[256];
	struct cgm_leader_config config = { .lease_namespace = namespace, .lease = lease, .identity = identity, .lease_ns = o->lease_ns,
					    .renew_ns = o->renew_ns, .retry_ns = o->retry_ns, .on_change = on_leader, .arg = st };
	int r;

	if (!o->leader_elect)
		return 0;
	/* A try that begins just before we have to stand back is two requests, which must be over before another one may lead, also when both hang. */
	r = cgm_cluster_client(o, MIN((o->lease_ns - o->renew_ns) * 9 / 20, LEASE_TIMEOUT_NS), &st->lease_kube);
	if (r < 0)
		return r;
	if (!st->lease_kube) {
		cgm_error("--leader_elect: a Lease is an API server's, and --source names none");
		return -EINVAL;
	}
	lease_namespace(o, namespace, sizeof(namespace));
	identity_of(identity, sizeof(identity));
	if (o->nr_shards > 1)
		snprintf(lease, sizeof(lease), "%.200s-%lld", o->lease_name, (long long)o->shard);
	else
		snprintf(lease, sizeof(lease), "%.200s", o->lease_name);
	config.kube = st->lease_kube;
	st->standby = true;
	cgm_source_pause(st->source, true);
	r = cgm_leader_start(&config, &st->leader);
	if (r < 0)
		cgm_error("cannot start the thread that looks after the Lease: %s", strerror(-r));
	return r;
}

/* ---- start and end ---- */

static int open_store(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	struct cgm_cluster_store_config config = { .short_ns = o->short_ns, .long_ns = o->long_ns };
	int r;

	if (!config.short_ns)
		config.short_ns = o->disable_metric_sink ? 2 * o->resolution_ns : 140 * CGM_NSEC_PER_SEC;
	if (o->resource_only && !o->short_ns) /* the Metrics API wants two samples; one of them may come a second time, as kubelets measure every 10 to 15 s */
		config.max_slices = 3;
	config.short_ns = MAX(config.short_ns, 2 * o->resolution_ns + o->resolution_ns / 2);
	if (o->disable_metric_sink)
		config.long_ns = config.short_ns;
	r = cgm_cluster_store_new(&config, &st->store);
	if (r < 0)
		cgm_error("out of memory");
	return r;
}

static int open_process(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	char fault[256];
	int r;

	st->process_config = (struct cgm_process_config){
		.resolution_ns = o->resolution_ns,
		.cluster = st->cluster,
		.label_separator = o->label_separator,
		.store_labels = *o->store_labels ? o->store_labels : NULL,
		.ignore_labels = *o->ignore_labels ? o->ignore_labels : NULL,
		.no_extras = !o->extras,
		.on_slice = on_slice,
		.arg = st,
	};
	r = cgm_process_new(&st->process_config, &st->process, fault);
	if (r < 0)
		cgm_error("--store_label, --ignore_label: %s", r == -ENOMEM ? "out of memory" : fault);
	return r;
}

static int start_sinks(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	char fault[CGM_EXPORT_FAULT];
	int r;

	st->export_config = (struct cgm_export_config){
		.uris = o->export_sinks,
		.nr_uris = o->nr_export_sinks,
		.spool_dir = o->spool_dir,
		.spool_bytes = o->spool_bytes,
		.queue_bytes = o->queue_bytes,
		.timeout_ns = o->sink_timeout_ns,
		.stop_ns = o->stop_ns,
		.cluster_name = o->cluster_name,
		.tls_ca_file = *o->sink_ca_file ? o->sink_ca_file : NULL,
	};
	if (!o->nr_export_sinks)
		return 0;
	r = cgm_export_start(&st->export_config, &st->export, fault);
	if (r < 0)
		cgm_error("--sink: %s", fault);
	return r;
}

static int start_source(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	char fault[CGM_SOURCE_FAULT];
	int r;

	st->source_config = (struct cgm_source_config){
		.uri = o->source,
		.resolution_ns = o->resolution_ns,
		.offset_ns = o->offset_ns,
		.timeout_ns = o->node_timeout_ns,
		.max_bytes = o->node_max_bytes,
		.max_parallel = (unsigned)o->max_parallel,
		.resource_only = o->resource_only,
		.kube = st->kube,
		.cluster = st->cluster,
		.shard = (unsigned)o->shard,
		.nr_shards = (unsigned)o->nr_shards,
		.on_node = on_node,
		.on_cycle = on_cycle,
		.arg = st,
	};
	r = cgm_source_start(&st->source_config, &st->source, fault);
	if (r < 0)
		cgm_error("--source: %s", fault);
	return r;
}

static int open_all(struct cgm_cluster_state *st)
{
	int r = open_kube(st);

	if (r == 0)
		r = open_store(st);
	if (r == 0)
		r = open_process(st);
	if (r == 0)
		r = start_sinks(st);
	if (r == 0)
		r = start_source(st);
	if (r == 0)
		r = start_leader(st);
	return r == 0 ? cgm_cluster_serve(st) : r;
}

static void close_all(struct cgm_cluster_state *st)
{
	cgm_leader_stop(st->leader); /* it pauses the source */
	if (st->kube)
		cgm_kube_cancel(st->kube);
	cgm_cluster_serve_stop(st); /* who answers looks at all of the rest */
	cgm_source_stop(st->source);
	cgm_export_stop(st->export);
	cgm_process_free(st->process);
	cgm_cluster_store_free(st->store);
	cgm_kube_cluster_free(st->cluster);
	cgm_kube_close(st->kube);
	cgm_kube_close(st->lease_kube);
}

static void say_start(const struct cgm_cluster_options *o)
{
	cgm_info("asks %s every %llu s%s", *o->source ? "the nodes of --source" : "the agent of this machine, http://127.0.0.1:8080,",
		 (unsigned long long)(o->resolution_ns / CGM_NSEC_PER_SEC), o->nr_export_sinks ? "" : ", and keeps what they say in memory alone: see --sink");
	if (o->nr_shards > 1)
		cgm_info("shard %lld of %llu: sums of namespaces and of the cluster are those of its nodes", (long long)o->shard, (unsigned long long)o->nr_shards);
}

/* A connection is kept for each node. */
static void raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		cgm_warning("cannot raise the limit of open files: %s", strerror(errno));
}

/* Until a signal that ends us. */
static int wait_for_end(struct cgm_cluster_state *st, const sigset_t *signals)
{
	_cleanup_close_ int fd = signalfd(-1, signals, SFD_CLOEXEC);
	struct signalfd_siginfo info;

	if (fd < 0) {
		cgm_error("cannot wait for signals: %s", strerror(errno));
		return 1;
	}
	for (;;) {
		ssize_t n = read(fd, &info, sizeof(info));

		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(info) || info.ssi_signo != SIGHUP)
			return 0;
		if (st->plain.http)
			cgm_http_reload(st->plain.http);
		if (st->secure.http)
			cgm_http_reload(st->secure.http);
	}
}

int cgm_cluster_run(const struct cgm_cluster_options *o)
{
	struct cgm_cluster_state st = { .o = o };
	sigset_t signals;
	int status = 1;

	/* Before any thread is made, so that all inherit it. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_ARENA_MAX, 2);
	cgm_log_set_level(o->verbose || o->verbosity >= DEBUG_VERBOSITY ? CGM_LOG_DEBUG : CGM_LOG_INFO);
	raise_fd_limit();
	cgm_cpus_limit(o->max_procs);
	say_start(o);
	if (open_all(&st) == 0)
		status = wait_for_end(&st, &signals);
	close_all(&st);
	return status;
}
