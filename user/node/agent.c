// SPDX-License-Identifier: Apache-2.0
/*
 * The agent's main loop. One tick, in order: events and listing (discover), files and kernel maps (sample), children into parents
 * (fold), a new snapshot (publish). Rendering is done by the HTTP threads from the snapshot.
 */
#include "node/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/file.h"
#include "base/log.h"
#include "cgroup/machine.h"
#include "node/agent_state.h"
#include "node/bulk.h"
#include "node/fold.h"
#include "node/hierarchies.h"
#include "node/privileges.h"
#include "node/publish.h"
#include "node/seccomp.h"
#include "output/perf_config.h"

/* How old a container's limits may be; they cost a dozen files. */
#define SPEC_INTERVAL_NS (30 * CGM_NSEC_PER_SEC)
/* And when bulk reading says that none has changed: what it does not see is the set of CPUs, which is read at the interval above. */
#define SPEC_SETTLED_NS (600 * CGM_NSEC_PER_SEC)

/* Of one CPU, for dear readings. */
#define WORKER_PERMILLE 50
#define MAX_CONFIG_BYTES (1 << 20)
/* Hardly anybody switches io.cost on or off. */
#define IO_COST_INTERVAL_NS (30 * CGM_NSEC_PER_SEC)
#define FS_INTERVAL_NS (5 * CGM_NSEC_PER_SEC)
#define OTHER_FDS 256 /* of ours, besides clients, readers and namespaces */
#define LATE_NS (10 * CGM_NSEC_PER_MSEC) /* a tick that begins later is counted as late */
#define DEBUG_VERBOSITY 4 /* of klog's -v, which cAdvisor has */

/* ---- discover ---- */

static void on_event(void *arg, const struct cgm_event *e)
{
	struct cgm_agent *a = arg;

	if (e->type == CGM_EVENT_EMPTY)
		cgm_ended_empty(a, e);
	else
		cgm_containers_event(&a->containers, e);
}

static void discover(struct cgm_agent *a, uint64_t now)
{
	uint64_t drops[CGM_NR_DROPS];

	cgm_kernel_poll(a->kernel, on_event, a);
	cgm_kernel_drops(a->kernel, drops);
	if (drops[CGM_DROP_EVENTS] != a->seen_event_drops)
		a->containers.incomplete = true;
	a->seen_event_drops = drops[CGM_DROP_EVENTS];
	/* Without life-cycle events every tick lists. */
	if (a->containers.incomplete || now - a->last_list_ns >= a->o->list_interval_ns || !cgm_kernel_has(a->kernel, "cgroup")) {
		cgm_containers_list(&a->containers);
		a->last_list_ns = now;
	}
	cgm_containers_take_names(&a->containers);
	cgm_containers_sort(&a->containers);
}

/* ---- sample ---- */

static int read_spec(struct cgm_container *c, uint64_t settings, uint64_t now)
{
	int r;

	if (c->spec_read_ns && now - c->spec_read_ns < SPEC_INTERVAL_NS && (!settings || settings == c->settings))
		return 0;
	if (c->spec_read_ns && settings && settings == c->settings && now - c->settings_read_ns < SPEC_SETTLED_NS) {
		cgm_reader_spec_mask(c->reader, &c->spec);
		c->spec_read_ns = now;
		return 0;
	}
	r = cgm_reader_spec(c->reader, &c->spec);
	if (r < 0)
		return r;
	/* Spread over time: the first reading of each is as old as its place says. */
	c->spec_read_ns = c->spec_read_ns ? now : now - (c->index * CGM_NSEC_PER_MSEC * 37) % SPEC_INTERVAL_NS;
	c->settings = settings;
	c->settings_read_ns = now;
	return 0;
}

/* File systems fill slowly, and a look at each mount is dear. */
static void sample_fs(struct cgm_agent *a, struct cgm_sample *s, uint64_t now)
{
	if (!a->fs_read_ns || now - a->fs_read_ns >= FS_INTERVAL_NS) {
		cgm_sample_reset(&a->fs);
		cgm_machine_sample_fs(a->root_fd, &a->fs);
		a->fs_read_ns = now;
	}
	for (size_t i = 0; i < a->fs.nr_fs; i++) {
		struct cgm_fs_row *row = cgm_sample_fs(s, a->fs.fs[i].device, a->fs.fs[i].type);

		if (row)
			memcpy(row->v, a->fs.fs[i].v, sizeof(row->v));
	}
}

static bool is_on(const struct cgm_agent *a, enum cgm_group g)
{
	return !(a->o->groups_off >> g & 1);
}

static enum cgm_netns_claim network_claim(const struct cgm_who *who)
{
	return !who ? CGM_NETNS_UNKNOWN : who->shares_network ? CGM_NETNS_SHARES : CGM_NETNS_OWNS;
}

/* The machine's own from /proc/net/dev; a container's from its namespace, if that is another one. */
static int sample_net(struct cgm_agent *a, struct cgm_container *c, struct cgm_sample *s)
{
	int r = 0;

	if (!c->depth && is_on(a, CGM_G_NETWORK))
		cgm_machine_sample_net(a->root_fd, s);
	if (!c->depth && a->netns)
		r = cgm_netns_sample_host(a->netns, s);
	else if (a->netns)
		r = cgm_netns_sample(a->netns, &c->netns, c->reader, c->tasks.nr_processes || !cgm_kernel_has(a->kernel, "task"),
				     network_claim(c->identity->who), s);
	c->spec.has_network = s->nr_ifaces > 0;
	return r;
}

static bool has_hugetlb(const struct cgm_sample *s)
{
	for (size_t i = 0; i < s->nr_extras; i++)
		if (s->extras[i].kind == CGM_LAYOUT_HUGETLB)
			return true;
	return false;
}

static int sample(struct cgm_agent *a, struct cgm_container *c, bool want_diskio, uint64_t time_ns, uint64_t now)
{
	struct cgm_sample *s = &a->sample;
	int r;

	cgm_sample_reset(s);
	s->time_ns = time_ns;
	cgm_bulk_read(&a->containers, c, &a->bulk);
	a->self.nr_bulk += a->bulk.groups != 0;
	a->self.nr_bulk_unsure += a->bulk.unsure;
	if (!c->depth && a->o->disable_root)
		return read_spec(c, a->bulk.settings, now);
	r = cgm_reader_sample_bulk(c->reader, &a->bulk, want_diskio, s);
	if (r == 0)
		r = read_spec(c, a->bulk.settings, now);
	if (r < 0)
		return r;
	if (!is_on(a, CGM_G_PERCPU))
		s->nr_cpus = 0;
	r = sample_net(a, c, s);
	if (r == 0 && a->io_cost && !want_diskio)
		r = cgm_reader_io_cost(c->reader, s);
	if (r == 0 && c->details)
		r = cgm_worker_merge(c->worker, c->details, s);
	if (r < 0)
		return r;
	c->spec.has_hugetlb = has_hugetlb(s);
	if (!c->depth && (is_on(a, CGM_G_DISK) || is_on(a, CGM_G_DISKIO))) {
		sample_fs(a, s, now);
		c->spec.has_filesystem = s->nr_fs > 0;
	}
	cgm_places_sample(a->places, c, s, now);
	cgm_fold_load(c, a->o->interval_ns);
	return cgm_fold_sample(&a->containers, c, s);
}

/* Sockets come and go slowly, and there may be very many. */
static void walk_sockets(struct cgm_agent *a, uint64_t now)
{
	/* A tick comes a little early or late: not to leave one out for that, half of one counts as whole. */
	if (a->last_sockets_ns && now - a->last_sockets_ns + a->o->interval_ns / 2 < a->o->sockets_interval_ns)
		return;
	cgm_kernel_walk_sockets(a->kernel);
	a->last_sockets_ns = now;
}

/* A second after the last tick nothing of a container is in a cache: its parts are asked for in the order in which they are found. */
static void fetch_ahead(const struct cgm_containers *cs, size_t i)
{
	if (i + 3 < cs->nr)
		for (size_t at = 0; at < sizeof(**cs->sorted); at += 64)
			__builtin_prefetch((const char *)cs->sorted[i + 3] + at);
	if (i + 2 < cs->nr) {
		const struct cgm_container *c = cs->sorted[i + 2];

		__builtin_prefetch(c->history);
		__builtin_prefetch(c->reader);
		__builtin_prefetch(c->identity);
		__builtin_prefetch(c->summary);
		__builtin_prefetch(c->live);
	}
	if (i + 1 < cs->nr)
		cgm_history_fetch(cs->sorted[i + 1]->history);
}

static void sample_all(struct cgm_agent *a, struct cgm_snapshot *snap, uint64_t now)
{
	bool want_diskio = is_on(a, CGM_G_DISKIO) && !cgm_kernel_hooked(a->kernel, "block_rq_complete"); /* switched off at run time it keeps its counts */
	struct cgm_containers *cs = &a->containers;

	if (is_on(a, CGM_G_DISKIO) && (!a->io_cost_ns || now - a->io_cost_ns >= IO_COST_INTERVAL_NS)) {
		a->io_cost = cgm_trees_io_cost(&a->trees);
		a->io_cost_ns = now;
	}
	a->history_bytes = a->summary_bytes = a->trail_bytes = 0;
	a->tick_ns = now;
	a->self.nr_bulk = a->self.nr_bulk_unsure = 0;
	for (size_t i = 0; i < cs->nr; i++) {
		struct cgm_container *c = cs->sorted[i];
		int r;

		fetch_ahead(cs, i);
		if (c->hidden)
			continue;
		r = sample(a, c, want_diskio, snap->time_ns, now);
		if (r == 0)
			r = cgm_publish_row(a, snap, c, &a->sample);
		if (r == 0) {
			a->self.nr_samples++;
		} else if (r == -ENOENT || r == -ENODEV) {
			/* It keeps its place until the end of the tick, so that the rows' parents stay right. */
			c->gone = true;
			cgm_ended_hold(&cs->ended, c);
			a->self.nr_vanished++;
		} else {
			a->self.nr_lost_samples++;
			cgm_log_once(CGM_LOG_WARNING, "a sample of %s was lost: %s", c->identity->name, strerror(-r));
		}
	}
}

/* ---- one tick ---- */

/* Rows left out (vanished and hidden containers) move the others up: parents are found again by the containers' places. */
static void mend_parents(const struct cgm_containers *cs, struct cgm_snapshot *snap)
{
	size_t row = 0;

	if (snap->nr_rows == cs->nr)
		return;
	for (size_t i = 0; i < cs->nr && row < snap->nr_rows; i++) {
		struct cgm_container *c = cs->sorted[i];

		if (snap->rows[row].identity != c->identity)
			c->index = c->parent ? c->parent->index : 0; /* its children go to its parent */
		else
			c->index = (uint32_t)row++;
		if (row && snap->rows[row - 1].identity == c->identity)
			snap->rows[row - 1].parent = c->parent ? c->parent->index : 0;
	}
}

static void tick(struct cgm_agent *a)
{
	uint64_t cpu = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID), time_ns = cgm_clock_real_ns(), now = cgm_clock_mono_ns();
	struct cgm_snapshot *snap;

	discover(a, now);
	snap = cgm_snapshot_new(a->containers.nr + a->containers.ended.nr);
	if (!snap) {
		a->self.nr_lost_samples += a->containers.nr;
		cgm_log_once(CGM_LOG_ERROR, "out of memory: a whole tick was lost");
		return;
	}
	snap->time_ns = time_ns;
	snap->mono_ns = now;
	snap->seq = ++a->seq;
	walk_sockets(a, now);
	cgm_kernel_sweep(a->kernel);
	if (a->netns)
		cgm_netns_tick(a->netns, now);
	cgm_fold(&a->containers, snap);
	(void)cgm_kernel_stat_sweep(a->kernel); /* without it everything is read from files */
	sample_all(a, snap, now);
	cgm_bulk_learn(&a->containers, a->seq);
	/* Counters tell of victims, not who they were: that is said once, at the start. */
	if (!cgm_kernel_hooked(a->kernel, "mark_victim"))
		cgm_containers_count_ooms(&a->containers, snap);
	mend_parents(&a->containers, snap);
	cgm_ended_tick(a, snap, now);
	cgm_publish_set(a, snap);
	a->self.nr_ticks++;
	cgm_events_tick(a->events, time_ns);
	cgm_publish_self(a, snap);
	cgm_sinks_publish(a->sinks, snap);
	cgm_store_publish(a->store, snap);
	cgm_sinks_notify(a->sinks);
	if (cgm_containers_drop_gone(&a->containers, cgm_kernel_has(a->kernel, "cgroup")))
		a->containers.unsorted = true;
	cgm_kernel_retire(a->kernel);
	a->self.tick_cpu_ns += cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
}

/* ---- start and end ---- */

/* Shares out descriptors: readers get what network namespaces (at most a quarter) and everything else do not need. */
static void raise_fd_limit(struct cgm_agent *a)
{
	struct rlimit rl;
	rlim_t left, others;

	a->max_netns = a->o->max_netns;
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		cgm_warning("cannot raise the limit of open files: %s", strerror(errno));
	a->max_netns = MIN((rlim_t)a->o->max_netns, rl.rlim_cur / 4);
	a->max_perf_fds = *a->o->perf_config ? rl.rlim_cur / 4 : 0;
	left = rl.rlim_cur - a->max_netns - a->max_perf_fds;
	others = OTHER_FDS + a->o->http.max_connections;
	cgm_reader_set_fd_budget(left > 2 * others ? left - others : left / 2);
}

static struct cgm_kernel_config kernel_config(struct cgm_agent *a)
{
	const struct cgm_options *o = a->o;
	struct cgm_kernel_config c = {
		.pin_dir = o->pin_dir,
		.nr_slots = (uint32_t)o->max_cgroups,
		.groups_off = o->groups.unloaded,
		.off = strcmp(o->bpf, "off") == 0,
		.sched_hook = strcmp(o->sched_hook, "switch") == 0 ? CGM_SCHED_SWITCH :
			      strcmp(o->sched_hook, "wakeup") == 0 ? CGM_SCHED_WAKEUP :
								     CGM_SCHED_AUTO,
	};

	cgm_hierarchies_of(&a->trees, &c, &a->containers.sched_controller, &a->containers.block_controller);
	cgm_bulk_setup(&a->trees, o->groups_off, &c.stat);
	a->memory_fd = c.stat.memory_fd;
	a->containers.sched_hierarchy = c.sched_hierarchy;
	a->containers.block_hierarchy = c.block_hierarchy;
	return c;
}

/* One line for each thing that is missing, said once, at the start. */
static void say_what_is_missing(struct cgm_agent *a)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(a->kernel, &p), off = 0;

	for (size_t i = 0; i < nr; i++) {
		a->self.has_kernel_side |= strcmp(p[i].mode, "off") != 0;
		off += strcmp(p[i].mode, "off") == 0;
	}
	if (!a->self.has_kernel_side) {
		cgm_warning("no kernel side: %s; serving what the cgroup files hold. Missing: run-queue delay, off-CPU time, context switches, "
			    "block latency, socket traffic, task states, victims of the out-of-memory killer by name",
			    nr ? p[0].reason : "no programs");
		return;
	}
	if (!cgm_kernel_hooked(a->kernel, "mark_victim"))
		cgm_info("events of the out-of-memory killer come from counters: without the victim's number and name, and of its own container alone");
	for (size_t i = 0; off && i < nr; i++)
		if (strcmp(p[i].mode, "off") == 0 && strncmp(p[i].reason, "not needed", 10) != 0 && strncmp(p[i].reason, "the group ", 10) != 0)
			cgm_info("kernel side: %s (%s) is off: %s", p[i].name, p[i].hook, p[i].reason);
	if (cgm_kernel_adopted(a->kernel))
		cgm_info("adopted the counters pinned in %s by a former run", a->o->pin_dir);
	a->self.adopted = cgm_kernel_adopted(a->kernel);
}

/* Groups that a flag switched off. */
static void say_groups(const struct cgm_options *o)
{
	char off[512] = "";
	size_t off_len = 0;

	for (unsigned i = 0; i < CGM_NR_GROUPS; i++)
		if (cgm_groups[i].def == CGM_GROUP_ON && o->groups.hidden[i])
			off_len += (size_t)snprintf(off + off_len, sizeof(off) - off_len, " %s", cgm_groups[i].name);
	if (off_len)
		cgm_info("groups of metrics switched off:%s", off);
}

/* --perf_events_config. What is wrong in it is said, and the agent does not start: it would count nothing that was asked for. */
static int read_perf_config(struct cgm_agent *a)
{
	_cleanup_free_ char *text = NULL, *fault = NULL;
	const char *path = a->o->perf_config;
	size_t len;
	int r;

	if (!*path || !is_on(a, CGM_G_PERF_EVENT))
		return 0;
	r = cgm_read_all_at(AT_FDCWD, path, MAX_CONFIG_BYTES, &text, &len);
	if (r < 0) {
		cgm_error("--perf_events_config: cannot read %s: %s", path, strerror(-r));
		return r;
	}
	r = cgm_perf_config_parse(text, len, a->root_fd, &a->perf, &fault);
	if (r < 0) {
		cgm_error("--perf_events_config: %s: %s", path, fault ? fault : strerror(-r));
		return r;
	}
	a->perf->max_fds = a->max_perf_fds;
	return 0;
}

/* The thread for what is dear, when any group wants it. Without it these groups show nothing, which is said. */
static int open_worker(struct cgm_agent *a)
{
	struct cgm_sockets_wanted sockets = { is_on(a, CGM_G_TCP_STATES), is_on(a, CGM_G_UDP), is_on(a, CGM_G_ADVTCP) };
	bool any_sockets = sockets.tcp || sockets.udp || sockets.advanced;
	struct cgm_details_config *d = &a->containers.details;
	int r;

	*d = (struct cgm_details_config){
		.trees = &a->trees,
		.processes = is_on(a, CGM_G_PROCESSES),
		.referenced = is_on(a, CGM_G_REFERENCED_MEMORY),
		.hugetlb = is_on(a, CGM_G_HUGETLB),
		.resctrl = is_on(a, CGM_G_RESCTRL) && cgm_resctrl_there(a->root_fd),
		.referenced_reset = a->o->referenced_reset,
		.resctrl_interval_ns = a->o->resctrl_interval_ns,
		.perf = a->perf,
	};
	if (cgm_details_wanted(d) || any_sockets) {
		r = cgm_worker_new(a->o->interval_ns, WORKER_PERMILLE, &a->worker);
		if (r < 0) {
			cgm_error("cannot start the thread for dear readings: %s", strerror(-r));
			return r;
		}
	}
	a->containers.worker = a->worker;
	if (a->netns)
		cgm_netns_want(a->netns, is_on(a, CGM_G_NETWORK), any_sockets ? a->worker : NULL, &sockets);
	return 0;
}

static int open_apps(struct cgm_agent *a)
{
	const struct cgm_options *o = a->o;
	struct cgm_apps_config config = { .root_fd = a->root_fd, .max_metrics = o->app_limit, .cert = o->collector_cert, .key = o->collector_key };
	int r = is_on(a, CGM_G_APP) && o->app_limit ? cgm_apps_open(&config, &a->containers.apps) : 0;

	if (r < 0)
		cgm_error("metrics of applications: %s", strerror(-r));
	return r;
}

/* The thread that measures what containers hold on disk. */
static int open_places(struct cgm_agent *a)
{
	struct cgm_places_config config = {
		.root_fd = a->root_fd,
		.kubelet_root = a->o->kubelet_root,
		.list_interval_ns = a->o->list_interval_ns,
		.interval_ns = a->o->disk_interval_ns,
		.max_entries_per_s = a->o->disk_entries_per_s,
		.pods = a->kubernetes.feed.pods,
	};
	int r = is_on(a, CGM_G_DISK) ? cgm_places_open(&config, &a->places) : 0;

	if (r < 0)
		cgm_error("cannot start the thread that measures directories: %s", strerror(-r));
	return r;
}

/* Interfaces or sockets of namespaces. */
static bool wants_netns(const struct cgm_agent *a)
{
	return a->max_netns && (is_on(a, CGM_G_NETWORK) || is_on(a, CGM_G_TCP_STATES) || is_on(a, CGM_G_UDP) || is_on(a, CGM_G_ADVTCP));
}

/* cAdvisor's users mount the machine at /rootfs, and say it in no flag. */
static const char *root_of(const struct cgm_options *o)
{
	if (*o->root)
		return o->root;
	if (access("/rootfs/proc/stat", R_OK) != 0)
		return "/";
	cgm_log_once(CGM_LOG_INFO, "the machine is mounted at /rootfs, and is read there (--root=/: what the container sees)");
	return "/rootfs";
}

static int open_all(struct cgm_agent *a)
{
	const struct cgm_options *o = a->o;
	struct cgm_kernel_config config;
	int r;

	a->root_fd = open(root_of(o), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->root_fd < 0) {
		cgm_error("--root: cannot open %s: %s", root_of(o), strerror(errno));
		return -errno;
	}
	raise_fd_limit(a);
	cgm_reader_set_groups_off(o->groups_off);
	r = cgm_trees_open(a->root_fd, &a->trees);
	if (r < 0) {
		cgm_error("no cgroup file system is mounted, or it cannot be opened: %s", strerror(-r));
		return r;
	}
	a->has_trees = true;
	config = kernel_config(a);
	r = cgm_kernel_open(&config, &a->kernel);
	if (r < 0) {
		cgm_error("cannot start the kernel side: %s", strerror(-r));
		return r;
	}
	say_what_is_missing(a);
	/* What only the start needs is done, and there are no threads yet. */
	a->nice = cgm_privileges_go_first();
	cgm_privileges_drop(o);
	r = wants_netns(a) ? cgm_netns_open(a->root_fd, a->max_netns, &a->netns) : 0;
	if (r < 0)
		cgm_info("network namespaces cannot be told apart: %s; container_network_* of containers are missing", strerror(-r));
	r = read_perf_config(a);
	if (r == 0)
		r = cgm_kubernetes_open(&o->kubernetes, &a->kubernetes);
	if (r == 0)
		r = open_worker(a);
	if (r == 0)
		r = open_apps(a);
	if (r == 0)
		r = open_places(a);
	if (r < 0)
		return r;
	say_groups(a->o);
	(void)cgm_cost_start(&a->cost, a->o, a->kernel);
	a->containers.trees = &a->trees;
	a->containers.kernel = a->kernel;
	a->containers.keep_ns = a->o->keep_ns;
	a->containers.label_rules = (struct cgm_label_rules){ a->o->store_labels, a->o->label_whitelist };
	a->containers.filter = (struct cgm_filter){ a->o->docker_only, a->o->raw_prefixes };
	a->containers.incomplete = true; /* lists at the first tick */
	r = cgm_runtimes_open(&o->runtimes, o->env_whitelist, &a->kubernetes.feed, &a->containers.names);
	if (r < 0) {
		cgm_error("cannot start the threads that ask runtimes: %s", strerror(-r));
		return r;
	}
	a->store = cgm_store_new();
	a->containers.ended.store = a->store;
	a->containers.ended.duration_ns = a->o->ended_ns;
	a->events = a->store ? cgm_events_new(&a->o->events, cgm_store_bell(a->store)) : NULL;
	a->containers.lifecycle.events = a->events;
	return a->events ? cgm_sinks_open(&o->sink, a->store, &a->sinks) : -ENOMEM;
}

static bool is_loopback(const char *ip)
{
	return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0 || strcmp(ip, "[::1]") == 0;
}

static void say_addresses(const struct cgm_agent *a)
{
	const struct cgm_options *o = a->o;
	const char *host = *o->listen_ip ? o->listen_ip : "127.0.0.1", *scheme = *o->tls_cert_file ? "https" : "http";
	unsigned port = cgm_http_port(a->http);

	host = strchr(host, ':') ? "[::1]" : host;
	cgm_info("page     %s://%s:%u%s/", scheme, host, port, o->url_base_prefix);
	cgm_info("metrics  %s://%s:%u%s%s", scheme, host, port, o->url_base_prefix, o->prometheus_endpoint);
	cgm_info("REST     %s://%s:%u%s/api/v1.3/containers/", scheme, host, port, o->url_base_prefix);
	if (is_loopback(o->listen_ip))
		return;
	if (!*o->http_auth_file && !*o->http_digest_file && !*o->http_token_file && !*o->tls_client_ca_file && !o->review.tokens && !o->review.certificates &&
	    !o->review.authorize)
		cgm_info("everybody who reaches this address may ask: see --http_auth_file, --http_token_file, --tls_client_ca_file and --authentication_token_webhook");
	else if (o->review.anonymous && !o->review.authorize)
		cgm_warning("everybody who reaches this address may ask: --anonymous_auth lets in who brings no login, and --authorization_mode=AlwaysAllow all who are in");
	else if (!*o->tls_cert_file)
		cgm_warning("logins cross the network in the clear: see --tls_cert_file");
}

/* The PodList for the server. */
static int tell_pods(void *arg, struct cgm_buf *out)
{
	int r = cgm_kube_pods_json(arg, out);

	return r == -ENOMEM ? r : r < 0 ? -ENOENT : 0;
}

static int start_http(struct cgm_agent *a)
{
	struct cgm_http_config config = {
		.listen_ip = a->o->listen_ip,
		.port = (uint16_t)a->o->port,
		.store = a->store,
		.events = a->events,
		.trees = &a->trees,
		.version = CGM_VERSION,
		.root_fd = a->root_fd,
		.legacy_status_codes = a->o->legacy_status_codes,
		.interval_ns = a->o->interval_ns,
		.machine_interval_ns = a->o->machine_interval_ns,
		.url_base_prefix = a->o->url_base_prefix,
		.prometheus_endpoint = a->o->prometheus_endpoint,
		.limits = a->o->http,
		.auth = { .basic_file = a->o->http_auth_file,
			  .basic_realm = a->o->http_auth_realm,
			  .digest_file = a->o->http_digest_file,
			  .digest_realm = a->o->http_digest_realm,
			  .token_file = a->o->http_token_file,
			  .except = a->o->http_auth_except,
			  .review = a->o->review },
		.tls_cert_file = a->o->tls_cert_file,
		.tls_key_file = a->o->tls_key_file,
		.tls_client_ca_file = a->o->tls_client_ca_file,
		.client_ca_file = a->o->client_ca_file,
		.pods = a->kubernetes.feed.pods ? tell_pods : NULL,
		.pods_arg = a->kubernetes.feed.pods,
		.node_name = a->node_name,
	};
	int r = cgm_kubernetes_node_name(&a->o->kubernetes, a->node_name, sizeof(a->node_name));

	if (r < 0)
		cgm_error("this node has no name for Kubernetes (--node_name): %s", strerror(-r));
	else
		r = cgm_reviewer_open(a->o, a->node_name, &config.auth.review, &a->reviewer);
	if (r == 0)
		r = cgm_http_start(&config, &a->http);
	if (r == 0)
		say_addresses(a);
	return r;
}

static void close_all(struct cgm_agent *a)
{
	cgm_sinks_stop(a->sinks); /* first: it is the only one that has to wait, and /metrics tells of it */
	if (a->reviewer)
		cgm_kube_cancel(a->reviewer); /* the server waits for reviews that are under way */
	cgm_http_stop(a->http);
	cgm_kube_close(a->reviewer);
	cgm_names_free(a->containers.names);
	cgm_kubernetes_close(&a->kubernetes);
	cgm_containers_done(&a->containers);
	cgm_apps_close(a->containers.apps);
	cgm_places_close(a->places);
	cgm_events_free(a->events);
	cgm_store_free(a->store);
	cgm_layout_unref(a->trail_layout);
	cgm_netns_close(a->netns);
	cgm_worker_free(a->worker);
	cgm_perf_config_free(a->perf);
	cgm_sample_done(&a->sample);
	cgm_sample_done(&a->fs);
	cgm_cost_stop(&a->cost);
	cgm_kernel_close(a->kernel);
	if (a->memory_fd >= 0)
		close(a->memory_fd);
	if (a->has_trees)
		cgm_trees_close(&a->trees);
	if (a->root_fd >= 0)
		close(a->root_fd);
	(void)cgm_seccomp_denied(NULL, 0); /* says what came at the end */
}

/* ---- the loop ---- */

static int add_fd(int epoll_fd, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
}

static int open_timer(uint64_t interval_ns, uint64_t first)
{
	struct itimerspec its = {
		.it_interval = { (time_t)(interval_ns / CGM_NSEC_PER_SEC), (long)(interval_ns % CGM_NSEC_PER_SEC) },
		.it_value = { (time_t)(first / CGM_NSEC_PER_SEC), (long)(first % CGM_NSEC_PER_SEC) },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL);
	return fd;
}

/* How late this tick is, and the worst of the last ones. */
static void note_lateness(struct cgm_agent *a, uint64_t late_ns)
{
	struct cgm_self *self = &a->self;

	a->late_ns[a->seq % ARRAY_SIZE(a->late_ns)] = late_ns;
	cgm_hist_add(&self->late, late_ns);
	self->nr_late_ticks += late_ns > LATE_NS;
	self->max_late_ns = 0;
	for (size_t i = 0; i < ARRAY_SIZE(a->late_ns); i++)
		self->max_late_ns = MAX(self->max_late_ns, a->late_ns[i]);
}

static void on_timer(struct cgm_agent *a, int timer_fd)
{
	uint64_t now = cgm_clock_mono_ns(), expired;

	if (read(timer_fd, &expired, sizeof(expired)) != sizeof(expired))
		return;
	a->self.nr_missed_ticks += expired - 1;
	note_lateness(a, now - MIN(now, a->due_ns));
	a->due_ns += expired * a->o->interval_ns;
	tick(a);
	a->self.tick_wall_ns += cgm_clock_mono_ns() - now;
}

/* True: the signal ends us. */
static bool on_signal(struct cgm_agent *a, int signal_fd)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo != SIGHUP)
		return true;
	cgm_http_reload(a->http);
	return false;
}

/* Until a signal that ends us. */
static int loop(struct cgm_agent *a, const sigset_t *signals)
{
	_cleanup_close_ int epoll_fd = epoll_create1(EPOLL_CLOEXEC), timer_fd = -1;
	_cleanup_close_ int signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	int event_fd = cgm_kernel_event_fd(a->kernel);

	cgm_privileges_others_back(a->nice);
	a->due_ns = cgm_clock_mono_ns() + a->o->interval_ns;
	timer_fd = open_timer(a->o->interval_ns, a->due_ns);
	if (epoll_fd < 0 || timer_fd < 0 || signal_fd < 0 || add_fd(epoll_fd, timer_fd) < 0 || add_fd(epoll_fd, signal_fd) < 0 ||
	    add_fd(epoll_fd, event_fd) < 0 || add_fd(epoll_fd, a->cost.timer_fd) < 0) {
		cgm_error("cannot start the main loop: %s", strerror(errno));
		return 1;
	}
	for (;;) {
		struct epoll_event e[4];
		int nr = epoll_wait(epoll_fd, e, ARRAY_SIZE(e), -1);

		for (int i = 0; i < nr; i++) {
			if (e[i].data.fd == signal_fd) {
				if (on_signal(a, signal_fd))
					return 0;
			} else if (e[i].data.fd == timer_fd)
				on_timer(a, timer_fd);
			else if (e[i].data.fd == a->cost.timer_fd)
				cgm_cost_on_timer(&a->cost);
			else
				cgm_kernel_poll(a->kernel, on_event, a);
		}
	}
}

int cgm_agent_run(const struct cgm_options *o)
{
	struct cgm_agent a = { .o = o, .root_fd = -1, .memory_fd = -1, .cost.timer_fd = -1, .start_real_ns = cgm_clock_real_ns() };
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
	/* A snapshot's memory comes and goes with each tick; giving it back to the kernel in between would cost its page faults anew. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 8 << 20);
	cgm_log_set_level(o->verbose || o->verbosity >= DEBUG_VERBOSITY ? CGM_LOG_DEBUG : CGM_LOG_INFO);
	cgm_machine_set_id_files(o->machine_id_file, o->boot_id_file);
	cgm_cpus_limit(o->max_procs);
	if (open_all(&a) == 0) {
		note_lateness(&a, 0);
		tick(&a); /* so that the first request finds an answer */
		if (start_http(&a) == 0)
			status = loop(&a, &signals);
	}
	close_all(&a);
	return status;
}
