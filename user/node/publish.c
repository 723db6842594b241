// SPDX-License-Identifier: Apache-2.0
#include "node/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "cgroup/machine.h"
#include "cgroup/text.h"
#include "node/seccomp.h"

#define COUNT_FDS_NS 10000000000ULL
#define MAX_DENIED 64 /* names of denied system calls that are told */

static const char *disk_name(void *arg, uint32_t major, uint32_t minor, char *buf, size_t size)
{
	const struct cgm_agent *a = arg;

	return cgm_disk_name(a->root_fd, major, minor, buf, size);
}

static void name_disks(struct cgm_agent *a, struct cgm_live *live)
{
	for (size_t i = 0; live && i < live->nr_blocks; i++) {
		struct cgm_live_block *b = &live->blocks[i];
		char name[sizeof(b->name)];

		snprintf(b->name, sizeof(b->name), "%s", disk_name(a, b->dev >> 20, b->dev & 0xfffff, name, sizeof(name)));
	}
}

/*
 * What only the kernel side counts is kept over time for the machine; for a container while somebody looks at it; and for all while somebody
 * has the page open (who asks for the list of all looks at "/"), as long as that takes no more than TRAIL_BYTES: nobody pays for what nobody sees.
 */
#define LOOK_NS (300 * CGM_NSEC_PER_SEC)
#define TRAIL_BYTES ((uint64_t)8 << 20)

static bool wants_trail(const struct cgm_agent *a, const struct cgm_container *c)
{
	const struct cgm_container *root = a->containers.sorted[0];
	uint64_t now = a->tick_ns;

	if (!c->depth || a->o->keep_latency_history || cgm_identity_looked(c->identity, now, LOOK_NS))
		return true;
	return cgm_identity_looked(root->identity, now, LOOK_NS) && a->trail_bytes < TRAIL_BYTES;
}

static void keep_trail(struct cgm_agent *a, struct cgm_container *c, struct cgm_row *row)
{
	if (!row->live || !wants_trail(a, c)) {
		cgm_history_free(c->trail);
		c->trail = NULL;
		return;
	}
	if (!a->trail_layout)
		a->trail_layout = cgm_trail_layout_new();
	if (!a->trail_layout || cgm_trail_add(&c->trail, a->trail_layout, a->o->keep_ns, row->time_ns, row->live) < 0)
		a->self.nr_lost_samples++;
	if (!c->trail)
		return;
	a->trail_bytes += cgm_history_bytes(c->trail);
	cgm_history_view_init(c->trail, &row->trail);
}

/* So that who has seen an earlier snapshot need only ask for what changed since. */
static void note_change(struct cgm_agent *a, const struct cgm_snapshot *snap, struct cgm_container *c, struct cgm_row *row)
{
	struct cgm_cells now;

	cgm_cells_fill(row, &now);
	if (!c->serial) {
		c->serial = ++a->last_serial;
		c->born_seq = snap->seq;
	}
	if (c->renamed)
		c->born_seq = snap->seq; /* to who has seen it, it is new */
	c->renamed = false;
	if (c->born_seq == snap->seq || memcmp(&now, &c->cells, sizeof(now)) != 0) {
		c->cells = now;
		c->changed_seq = snap->seq;
	}
	row->serial = c->serial;
	row->born_seq = c->born_seq;
	row->changed_seq = c->changed_seq;
}

void cgm_publish_set(struct cgm_agent *a, struct cgm_snapshot *snap)
{
	uint64_t digest = snap->nr_rows;

	for (size_t i = 0; i < snap->nr_rows; i++) {
		digest = (digest ^ snap->rows[i].serial ^ snap->rows[i].born_seq << 32) * 0x9e3779b97f4a7c15ULL;
		digest = (digest ^ digest >> 29 ^ snap->rows[i].parent) * 0xbf58476d1ce4e5b9ULL;
	}
	if (digest != a->set_digest)
		a->set_seq = snap->seq;
	a->set_digest = digest;
	snap->set_seq = a->set_seq;
}

int cgm_publish_row(struct cgm_agent *a, struct cgm_snapshot *snap, struct cgm_container *c, const struct cgm_sample *s)
{
	struct cgm_row *row = &snap->rows[snap->nr_rows];
	struct cgm_layout *layout = cgm_layout_for(c->layout, s, disk_name, a);
	bool stats = c->depth || !a->o->disable_root;

	if (!layout)
		return -ENOMEM;
	cgm_layout_unref(c->layout);
	c->layout = layout;
	row->values = cgm_snapshot_alloc(snap, layout->nr_values * sizeof(*row->values));
	if (!row->values)
		return -ENOMEM;
	row->live = a->self.has_kernel_side && stats ? c->live : NULL;
	name_disks(a, row->live);
	cgm_layout_pack(layout, s, row->values);
	/* A sample that finds no room in the history is lost there, and still the newest. */
	if (stats && cgm_history_add(c->history, layout, s->time_ns, row->values) < 0)
		a->self.nr_lost_samples++;
	a->history_bytes += cgm_history_bytes(c->history);
	cgm_summary_add(c->summary, &(struct cgm_usage_sample){
		.time_ns = s->time_ns,
		.has_cpu = cgm_sample_has(s, CGM_V_CPU_USAGE_TOTAL),
		.has_memory = cgm_sample_has(s, CGM_V_MEMORY_WORKING_SET),
		.cpu_ns = s->v[CGM_V_CPU_USAGE_TOTAL],
		.memory_bytes = s->v[CGM_V_MEMORY_WORKING_SET],
	});
	a->summary_bytes += cgm_summary_bytes(c->summary);
	row->identity = cgm_identity_ref(c->identity);
	row->layout = cgm_layout_ref(layout);
	row->spec = c->spec;
	row->time_ns = s->time_ns;
	row->depth = c->depth;
	row->parent = c->parent ? c->parent->index : 0;
	cgm_history_view_init(c->history, &row->history);
	row->summary = cgm_summary_ref(c->summary);
	row->app = c->app ? cgm_apps_get(c->apps, c->app) : NULL;
	row->storage = cgm_place_set_storage(c->places) ? cgm_storage_ref(cgm_place_set_storage(c->places)) : NULL;
	keep_trail(a, c, row);
	note_change(a, snap, c, row);
	snap->nr_rows++;
	return 0;
}

/* The caller frees *ret_values, and has a reference to the layout. */
static int pack(struct cgm_agent *a, struct cgm_layout *base, const struct cgm_sample *s, struct cgm_layout **ret_layout, uint64_t **ret_values)
{
	struct cgm_layout *layout = cgm_layout_for(base, s, disk_name, a);
	uint64_t *values = layout ? cgm_malloc(layout->nr_values * sizeof(*values)) : NULL;

	if (!values) {
		cgm_layout_unref(layout);
		return -ENOMEM;
	}
	cgm_layout_pack(layout, s, values);
	*ret_layout = layout;
	*ret_values = values;
	return 0;
}

int cgm_publish_last(struct cgm_agent *a, struct cgm_layout *base, const struct cgm_sample *s, struct cgm_last **ret)
{
	_cleanup_free_ uint64_t *values = NULL;
	struct cgm_layout *layout;
	struct cgm_last *last;
	int r = pack(a, base, s, &layout, &values);

	if (r < 0)
		return r;
	last = cgm_last_new(layout, values, s->time_ns, true);
	cgm_layout_unref(layout);
	if (!last)
		return -ENOMEM;
	*ret = last;
	return 0;
}

int cgm_publish_kept(struct cgm_agent *a, struct cgm_layout *base, const struct cgm_sample *s, struct cgm_live *live, struct cgm_layout **ret_layout,
		     struct cgm_kept **ret)
{
	_cleanup_free_ uint64_t *values = NULL;
	struct cgm_layout *layout;
	struct cgm_kept *kept;
	int r = pack(a, base, s, &layout, &values);

	if (r < 0)
		return r;
	name_disks(a, live);
	kept = cgm_kept_new(values, layout->nr_values, live);
	if (!kept) {
		cgm_layout_unref(layout);
		return -ENOMEM;
	}
	*ret_layout = layout;
	*ret = kept;
	return 0;
}

static void read_memory(struct cgm_self *self)
{
	uint64_t pages[2];
	char buf[128];
	ssize_t n = cgm_read_at(AT_FDCWD, "/proc/self/statm", buf, sizeof(buf));

	if (n < 0 || cgm_text_numbers((struct cgm_str){ buf, (size_t)n }, pages, 2) < 2)
		return;
	self->virtual_bytes = pages[0] * (uint64_t)sysconf(_SC_PAGESIZE);
	self->rss_bytes = pages[1] * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t limit_of(__rlimit_resource_t what)
{
	struct rlimit rl;

	return getrlimit(what, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY ? UINT64_MAX : rl.rlim_cur;
}

/* Since 6.2 (f1f1f2569901) the directory's size says it; before, they are counted, which is dear at each tick when there are thousands. */
static uint64_t count_fds(struct cgm_agent *a)
{
	_cleanup_closedir_ DIR *dir = NULL;
	uint64_t now = cgm_clock_mono_ns(), nr = 0;
	struct stat st;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	if (a->fds_counted_ns && now - a->fds_counted_ns < COUNT_FDS_NS)
		return a->self.nr_open_fds;
	dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		nr++;
	a->self.nr_open_fds = nr > 3 ? nr - 3 : 0; /* ".", ".." and the directory's own */
	a->fds_counted_ns = now;
	return a->self.nr_open_fds;
}

static void read_process(struct cgm_agent *a, struct cgm_self *self)
{
	struct cgm_worker_state w = a->worker ? cgm_worker_state(a->worker) : (struct cgm_worker_state){ 0 };

	read_memory(self);
	self->max_virtual_bytes = limit_of(RLIMIT_AS);
	self->max_fds = limit_of(RLIMIT_NOFILE);
	self->nr_open_fds = count_fds(a);
	self->nr_dear_jobs = w.nr_jobs;
	self->nr_dear_runs = w.nr_runs;
	self->dear_late_ns = w.late_ns;
	self->nr_perf_left_out = a->perf ? __atomic_load_n(&a->perf->nr_left_out, __ATOMIC_RELAXED) : 0;
}

static void read_places(struct cgm_places *p, struct cgm_self *self)
{
	struct cgm_places_state s = cgm_places_state(p);

	self->nr_disk_paths = s.disk.nr_marks;
	self->nr_disk_measured = s.disk.nr_measured;
	self->nr_disk_failed = s.disk.nr_failed;
	self->nr_disk_entries = s.disk.nr_entries;
	self->nr_disk_left_out = s.disk.nr_unread + s.disk.nr_too_deep + s.disk.nr_links_lost;
	self->nr_disk_remote = s.disk.nr_remote;
	self->disk_late_ns = s.disk.late_ns;
	self->nr_disk_unplaced = s.nr_unplaced;
	self->nr_disk_lost = s.nr_lost;
}

_Static_assert(CGM_MAX_RUNTIME_STATUS >= CGM_MAX_RUNTIMES, "a snapshot has room for every runtime");

static void read_runtimes(struct cgm_names *names, struct cgm_self *self)
{
	struct cgm_runtime_state s[CGM_MAX_RUNTIMES];

	self->nr_runtimes = cgm_names_state(names, s);
	for (size_t i = 0; i < self->nr_runtimes; i++) {
		self->runtimes[i] = (struct cgm_runtime_status){
			.connected = s[i].connected,
			.has_images = s[i].has_images,
			.image_bytes = s[i].image_bytes,
			.image_inodes = s[i].image_inodes,
			.nr_known = s[i].nr_known,
			.nr_calls = s[i].nr_calls,
			.nr_failed = s[i].nr_failed,
			.nr_connects = s[i].nr_connects,
			.nr_lost = s[i].nr_lost,
		};
		memcpy(self->runtimes[i].name, s[i].name, sizeof(s[i].name));
		memcpy(self->runtimes[i].version, s[i].version, sizeof(s[i].version));
	}
}

static void publish_denied(struct cgm_snapshot *snap)
{
	struct cgm_denied_call calls[MAX_DENIED];
	size_t nr = MIN(cgm_seccomp_denied(calls, ARRAY_SIZE(calls)), ARRAY_SIZE(calls));
	struct cgm_denied_status *to = cgm_snapshot_alloc(snap, nr * sizeof(*to));

	for (size_t i = 0; to && i < nr; i++)
		to[i] = (struct cgm_denied_status){ calls[i].name, calls[i].nr };
	snap->self.denied = to;
	snap->self.nr_denied = to ? nr : 0;
}

void cgm_publish_self(struct cgm_agent *a, struct cgm_snapshot *snap)
{
	static const char *const modes[] = { "v1", "hybrid", "v2" };

	snap->self = a->self;
	cgm_http_stats_read(a->http, &snap->self.http);
	snap->self.start_time_ns = a->start_real_ns;
	snap->self.show_timestamps = a->o->show_timestamps;
	snap->self.show_created = a->o->show_created;
	snap->self.show_empty_labels = a->o->show_empty_labels;
	read_process(a, &snap->self);
	snap->self.nr_fds = cgm_reader_nr_fds();
	snap->self.nr_netns = cgm_netns_count(a->netns);
	snap->self.nr_netns_left_out = cgm_netns_left_out(a->netns);
	snap->self.nr_file_reads = cgm_reader_nr_reads();
	snap->self.history_bytes = a->history_bytes + a->trail_bytes;
	snap->self.summary_bytes = a->summary_bytes;
	snap->self.nr_summary_lost = cgm_summary_lost();
	cgm_events_stats(a->events, &snap->self.events);
	snap->self.snapshot_bytes = snap->arena_bytes;
	snap->self.map_bytes = cgm_kernel_map_bytes(a->kernel);
	snap->self.nr_slots = cgm_kernel_slots(a->kernel);
	snap->self.nr_slots_used = cgm_kernel_slots_used(a->kernel);
	cgm_kernel_drops(a->kernel, snap->self.drops);
	snap->self.cgroup_mode = modes[a->trees.mode];
	name_disks(a, snap->overflow ? snap->overflow->live : NULL);
	read_runtimes(a->containers.names, &snap->self);
	if (a->containers.apps)
		snap->self.apps = cgm_apps_state(a->containers.apps);
	publish_denied(snap);
	read_places(a->places, &snap->self);
	cgm_cost_publish(&a->cost, snap);
}
