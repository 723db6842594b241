// SPDX-License-Identifier: Apache-2.0
#include "node/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "cgroup/machine.h"

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
	row->identity = cgm_identity_ref(c->identity);
	row->layout = cgm_layout_ref(layout);
	row->spec = c->spec;
	row->time_ns = s->time_ns;
	row->depth = c->depth;
	row->parent = c->parent ? c->parent->index : 0;
	cgm_history_view_init(c->history, &row->history);
	snap->nr_rows++;
	return 0;
}

static uint64_t rss_bytes(void)
{
	struct cgm_str text, token;
	char buf[128];
	uint64_t pages;
	ssize_t n = cgm_read_at(AT_FDCWD, "/proc/self/statm", buf, sizeof(buf));

	if (n < 0)
		return 0;
	text = cgm_trim((struct cgm_str){ buf, (size_t)n });
	if (!cgm_next_token(&text, &token) || !cgm_next_token(&text, &token) || cgm_parse_u64(token, &pages) < 0)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void cgm_publish_self(struct cgm_agent *a, struct cgm_snapshot *snap)
{
	static const char *const modes[] = { "v1", "hybrid", "v2" };

	snap->self = a->self;
	cgm_http_stats_read(a->http, &snap->self.http);
	snap->self.start_time_ns = a->start_real_ns;
	snap->self.rss_bytes = rss_bytes();
	snap->self.nr_fds = cgm_reader_nr_fds();
	snap->self.nr_netns = cgm_netns_count(a->netns);
	snap->self.nr_netns_left_out = cgm_netns_left_out(a->netns);
	snap->self.nr_file_reads = cgm_reader_nr_reads();
	snap->self.history_bytes = a->history_bytes;
	snap->self.snapshot_bytes = snap->arena_bytes;
	snap->self.map_bytes = cgm_kernel_map_bytes(a->kernel);
	snap->self.nr_slots = cgm_kernel_slots(a->kernel);
	snap->self.nr_slots_used = cgm_kernel_slots_used(a->kernel);
	cgm_kernel_drops(a->kernel, snap->self.drops);
	snap->self.cgroup_mode = modes[a->trees.mode];
	name_disks(a, snap->overflow ? snap->overflow->live : NULL);
	cgm_cost_publish(&a->cost, snap);
}
