// SPDX-License-Identifier: Apache-2.0
#include "top/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/parse.h"
#include "cgroup/machine.h"
#include "kernel/pinned.h"

/*
 * A listing opens each directory of each hierarchy, and is most of what a reading costs. Cgroups that come and go change the slots, when
 * somebody counts them; then it is made soon, but not at each change of a busy machine. Else only a listing can tell.
 */
#define LIST_NS (30 * CGM_NSEC_PER_SEC)
#define LIST_CHANGED_NS (3 * CGM_NSEC_PER_SEC)
#define LIST_BLIND_NS (5 * CGM_NSEC_PER_SEC)
#define SPEC_NS (30 * CGM_NSEC_PER_SEC)
#define MAX_PASSES 3

struct member {
	char *name;
	struct cgm_reader *reader;
	struct member *parent; /* NULL: the root */
	struct cgm_spec spec;
	uint64_t spec_ns;		 /* CLOCK_MONOTONIC, when it was read; 0: not yet */
	uint32_t sched_slot, block_slot; /* CGM_SLOT_OVERFLOW: none */
	uint32_t row;			 /* in the feed under way */
	unsigned listing;		 /* that saw it last */
	bool gone;
};

struct cgm_maps {
	char *pin_dir;
	int root_fd;
	struct cgm_trees trees;
	bool has_trees;
	struct cgm_kernel *kernel; /* NULL: cgroup files alone */
	int why;		   /* then: why, a negative errno */
	unsigned epoch, listing;
	uint64_t listed_ns, digest;
	struct cgm_hash by_name;
	struct member **members; /* sorted by name */
	size_t nr, cap;
	struct cgm_sample sample;
	char text[256];
};

/* ---- who is there ---- */

static void free_member(struct member *c)
{
	cgm_reader_close(c->reader);
	free(c->name);
	free(c);
}

static int add_member(struct cgm_maps *m, const char *path)
{
	struct member *c = cgm_calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	if (r == 0) {
		c->name = cgm_strdup(path);
		c->listing = m->listing;
		r = c->name ? cgm_reader_open(&m->trees, path, &c->reader) : -ENOMEM;
	}
	if (r == 0)
		r = cgm_grow((void **)&m->members, &m->cap, m->nr, sizeof(struct member *));
	if (r == 0)
		r = cgm_hash_put(&m->by_name, c->name, c);
	if (r == 0) {
		m->members[m->nr++] = c;
		return 0;
	}
	if (c)
		free_member(c);
	return r == -ENOENT ? 0 : r; /* gone already */
}

/* Another directory of the same name. */
static void open_again(struct cgm_maps *m, struct member *c)
{
	struct cgm_reader *reader;

	if (cgm_reader_open(&m->trees, c->name, &reader) < 0)
		return; /* gone again: its files say so */
	cgm_reader_close(c->reader);
	c->reader = reader;
	c->spec_ns = 0;
}

static int visit(void *arg, enum cgm_controller controller, const char *path, uint64_t id, uint64_t parent_id)
{
	struct cgm_maps *m = arg;
	struct member *c = cgm_hash_get(&m->by_name, path);
	uint64_t known;

	(void)parent_id;
	if (!c)
		return add_member(m, path);
	c->listing = m->listing;
	known = cgm_reader_id(c->reader, controller);
	if (!known)
		(void)cgm_reader_refresh(c->reader); /* one more hierarchy has it */
	else if (known != id)
		open_again(m, c);
	return 0;
}

static void drop_gone(struct cgm_maps *m)
{
	size_t nr = 0;

	for (size_t i = 0; i < m->nr; i++) {
		struct member *c = m->members[i];

		if (!c->gone && c->listing == m->listing) {
			m->members[nr++] = c;
			continue;
		}
		cgm_hash_del(&m->by_name, c->name);
		free_member(c);
	}
	m->nr = nr;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct member *const *)a)->name, (*(struct member *const *)b)->name);
}

static struct member *parent_of(const struct cgm_maps *m, const struct member *c)
{
	const char *slash = strrchr(c->name, '/');
	struct member *p = NULL;

	if (!c->name[1])
		return NULL;
	if (slash > c->name)
		p = cgm_hash_get_n(&m->by_name, c->name, (size_t)(slash - c->name));
	return p ? p : cgm_hash_get(&m->by_name, "/");
}

static void find_parents(struct cgm_maps *m)
{
	if (m->nr)
		qsort(m->members, m->nr, sizeof(*m->members), by_name);
	for (size_t i = 0; i < m->nr; i++)
		m->members[i]->parent = parent_of(m, m->members[i]);
}

/* ---- slots ---- */

static enum cgm_controller controller_of(const struct cgm_trees *t, uint32_t hierarchy)
{
	for (unsigned c = 0; hierarchy && c < CGM_CTRL_UNIFIED; c++)
		if (t->h[c].dir_fd >= 0 && t->h[c].id == hierarchy)
			return (enum cgm_controller)c;
	return CGM_CTRL_UNIFIED;
}

static uint32_t slot_of(struct cgm_maps *m, const struct member *c, uint32_t hierarchy)
{
	uint64_t id = cgm_reader_id(c->reader, controller_of(&m->trees, hierarchy));

	return id ? cgm_kernel_slot(m->kernel, hierarchy, id) : CGM_SLOT_OVERFLOW;
}

static void find_slots(struct cgm_maps *m)
{
	uint32_t sched = 0, block = 0;
	bool any = m->kernel && cgm_pinned_hierarchies(m->kernel, &sched, &block);

	for (size_t i = 0; i < m->nr; i++) {
		struct member *c = m->members[i];

		c->sched_slot = any ? slot_of(m, c, sched) : CGM_SLOT_OVERFLOW;
		c->block_slot = !any ? CGM_SLOT_OVERFLOW : block == sched ? c->sched_slot : slot_of(m, c, block);
	}
}

static int list(struct cgm_maps *m, uint64_t now)
{
	uint64_t digest = m->kernel ? cgm_pinned_digest(m->kernel) : 0;
	bool told = m->kernel && cgm_pinned_counts(m->kernel, "cgroup");
	uint64_t age = now - m->listed_ns, most = !told ? LIST_BLIND_NS : digest != m->digest ? LIST_CHANGED_NS : LIST_NS;
	int r;

	if (m->listed_ns && age < most)
		return 0;
	m->listing++;
	r = cgm_trees_walk(&m->trees, visit, m);
	if (r < 0)
		return r;
	drop_gone(m);
	find_parents(m);
	find_slots(m);
	m->listed_ns = now;
	m->digest = digest;
	return 0;
}

/* ---- the kernel side ---- */

static void look_at_pins(struct cgm_maps *m)
{
	if (m->kernel && !cgm_pinned_current(m->kernel)) {
		cgm_kernel_close(m->kernel);
		m->kernel = NULL;
		m->epoch++;
	}
	if (m->kernel)
		return;
	m->why = cgm_pinned_open(m->pin_dir, &m->kernel);
	if (m->why < 0)
		return;
	m->epoch++;
	m->listed_ns = 0; /* slots are to be found */
}

static void say(struct cgm_maps *m)
{
	static const char *const groups[] = {"sched", "block", "net"};
	size_t at;

	if (!m->kernel) {
		const char *why = m->why == -ENOENT   ? "nothing is pinned in"
				  : m->why == -ESTALE ? "another version's maps are in"
						      : strerror(-m->why);

		snprintf(m->text, sizeof(m->text), "cgroup files alone (%s%s%s)", why, m->why == -ENOENT || m->why == -ESTALE ? " " : ": ",
			m->pin_dir);
		return;
	}
	if (!cgm_pinned_counts(m->kernel, NULL)) {
		snprintf(m->text, sizeof(m->text), "maps %s, but nothing counts: no program is attached; CPU and memory from files",
			m->pin_dir);
		return;
	}
	at = (size_t)snprintf(m->text, sizeof(m->text), "maps %s, programs count on", m->pin_dir);
	for (size_t i = 0; i < ARRAY_SIZE(groups) && at < sizeof(m->text); i++)
		if (!cgm_pinned_counts(m->kernel, groups[i]))
			at += (size_t)snprintf(m->text + at, sizeof(m->text) - at, ", but not %s", groups[i]);
}

/* A cgroup without a slot has no row; slot 0 holds what many left there. */
#define NO_SLOT UINT32_MAX
static uint32_t own_slot(uint32_t slot)
{
	return slot == CGM_SLOT_OVERFLOW ? NO_SLOT : slot;
}

/* What these slots counted. */
static void add_own(struct cgm_maps *m, uint32_t sched_slot, uint32_t block_slot, struct cgm_feed_row *row)
{
	struct cgm_sched sched = {0};
	const struct cgm_block *b;
	struct cgm_net net = {0};
	struct cgm_feed_row own = {0};
	enum cgm_block_op op;
	size_t iter = 0;
	uint32_t dev;

	cgm_kernel_add_sched(m->kernel, sched_slot, &sched);
	cgm_kernel_add_net(m->kernel, sched_slot, &net);
	own.hist[CGM_FEED_RUNQ_DELAY] = sched.runq_delay;
	cgm_feed_set_net(&own, &net);
	while ((b = cgm_kernel_next_block(m->kernel, block_slot, &iter, &dev, &op))) {
		cgm_feed_add_block(&own, op, b->bytes);
		if (cgm_feed_wants_latency(op))
			cgm_add_u64s(&own.hist[CGM_FEED_BLOCK_LATENCY], &b->queue_to_done, sizeof(b->queue_to_done));
	}
	cgm_feed_add_child(row, &own, true, true);
}

/* A removed cgroup's counts are among its ancestor's own already. */
static bool is_counted(const struct cgm_maps *m, uint32_t slot)
{
	return slot == CGM_SLOT_OVERFLOW || cgm_kernel_slot_live(m->kernel, slot);
}

static void know(struct cgm_feed_row *row, bool sched, bool block, bool net)
{
	row->have |= net ? 1U << CGM_FEED_NET_RX | 1U << CGM_FEED_NET_TX | 1U << CGM_FEED_TCP_RETRANSMITS : 0;
	row->have |= block ? 1U << CGM_FEED_BLOCK_READ | 1U << CGM_FEED_BLOCK_WRITE : 0;
	row->have_hist |= (sched ? 1U << CGM_FEED_RUNQ_DELAY : 0) | (block ? 1U << CGM_FEED_BLOCK_LATENCY : 0);
}

static void clear_counts(struct cgm_feed_row *row, bool block)
{
	memset(row->hist, 0, sizeof(row->hist));
	if (block)
		row->v[CGM_FEED_BLOCK_READ] = row->v[CGM_FEED_BLOCK_WRITE] = 0;
	row->v[CGM_FEED_NET_RX] = row->v[CGM_FEED_NET_TX] = row->v[CGM_FEED_TCP_RETRANSMITS] = 0;
}

/* One pass over all rows, children before parents. */
static void count_all(struct cgm_maps *m, struct cgm_feed *f)
{
	bool sched, block, net;

	cgm_kernel_sweep(m->kernel);
	sched = cgm_pinned_counts(m->kernel, "sched");
	block = cgm_pinned_counts(m->kernel, "block");
	net = cgm_pinned_counts(m->kernel, "net");
	for (size_t i = 0; i < f->nr_rows; i++)
		clear_counts(&f->rows[i], block);
	for (size_t i = m->nr; i-- > 0;) {
		const struct member *c = m->members[i];
		struct cgm_feed_row *row = &f->rows[c->row];

		if (c->gone)
			continue;
		add_own(m, own_slot(c->sched_slot), block ? own_slot(c->block_slot) : NO_SLOT, row);
		if (c->parent)
			cgm_feed_add_child(&f->rows[row->parent], row, is_counted(m, c->sched_slot), block && is_counted(m, c->block_slot));
		know(row, sched, block, net);
	}
	/* What found no slot is still the machine's. */
	add_own(m, CGM_SLOT_OVERFLOW, block ? CGM_SLOT_OVERFLOW : NO_SLOT, &f->rows[0]);
}

/* ---- one reading ---- */

static void read_blocks_of_files(const struct cgm_sample *s, struct cgm_feed_row *row)
{
	for (size_t i = 0; i < s->nr_disks; i++) {
		cgm_feed_add_block(row, CGM_BLOCK_READ, s->disks[i].v[CGM_DISK_BYTES_READ]);
		cgm_feed_add_block(row, CGM_BLOCK_WRITE, s->disks[i].v[CGM_DISK_BYTES_WRITE]);
	}
	if (s->nr_disks)
		know(row, false, true, false);
	row->have_hist &= ~(1U << CGM_FEED_BLOCK_LATENCY);
}

static int read_files(struct cgm_maps *m, struct member *c, bool want_diskio, uint64_t now, struct cgm_feed_row *row)
{
	int r;

	cgm_sample_reset(&m->sample);
	r = cgm_reader_sample(c->reader, want_diskio, &m->sample);
	if (r == 0 && (!c->spec_ns || now - c->spec_ns >= SPEC_NS)) {
		r = cgm_reader_spec(c->reader, &c->spec);
		c->spec_ns = now;
	}
	if (r < 0)
		return r;
	cgm_feed_set_sample(row, m->sample.v, m->sample.have, &c->spec);
	if (want_diskio)
		read_blocks_of_files(&m->sample, row);
	return 0;
}

/* Threads of the whole machine: the fourth field of loadavg, "1/345". */
static void read_tasks(struct cgm_maps *m, struct cgm_feed_row *root)
{
	struct cgm_str text, token = {0};
	char buf[128];
	uint64_t nr;
	ssize_t len = cgm_read_at(m->root_fd, "proc/loadavg", buf, sizeof(buf));

	text = (struct cgm_str){buf, len > 0 ? (size_t)len : 0};
	for (unsigned i = 0; i < 4; i++)
		if (!cgm_next_token(&text, &token))
			return;
	if (cgm_next_field(&token, '/', &text) && cgm_parse_u64(token, &nr) == 0)
		cgm_feed_set(root, CGM_FEED_TASKS, nr);
}

/* The names of a feed outlive the members. */
static int copy_names(const struct cgm_maps *m, struct cgm_feed *f)
{
	size_t bytes = 1, at = 0;

	for (size_t i = 0; i < m->nr; i++)
		bytes += strlen(m->members[i]->name) + 1;
	f->names = cgm_malloc(bytes);
	if (!f->names)
		return -ENOMEM;
	for (size_t i = 0; i < m->nr; i++) {
		size_t len = strlen(m->members[i]->name) + 1;

		if (m->members[i]->gone)
			continue;
		memcpy(f->names + at, m->members[i]->name, len);
		f->rows[m->members[i]->row].name = f->names + at;
		at += len;
	}
	return 0;
}

static int read_members(struct cgm_maps *m, uint64_t now, struct cgm_feed *f)
{
	bool want_diskio = !m->kernel || !cgm_pinned_counts(m->kernel, "block");

	f->rows = cgm_calloc(MAX(m->nr, 1UL), sizeof(*f->rows));
	if (!f->rows)
		return -ENOMEM;
	for (size_t i = 0; i < m->nr; i++) {
		struct member *c = m->members[i];
		struct cgm_feed_row *row = &f->rows[f->nr_rows];
		int r;

		memset(row, 0, sizeof(*row));
		r = read_files(m, c, want_diskio, now, row);
		c->gone = r == -ENOENT || r == -ENODEV;
		if (c->gone)
			continue;
		if (r == -ENOMEM)
			return r;
		c->row = (uint32_t)f->nr_rows++;
		row->parent = c->parent && !c->parent->gone ? c->parent->row : 0;
	}
	if (!f->nr_rows || m->members[0]->gone)
		return -ENODEV;
	return copy_names(m, f);
}

static int read_all(struct cgm_maps *m, struct cgm_feed *f)
{
	uint64_t now = cgm_clock_mono_ns();
	int r;

	look_at_pins(m);
	r = list(m, now);
	if (r < 0)
		return r;
	f->mono_ns = cgm_clock_mono_ns();
	f->time_ns = cgm_clock_real_ns();
	r = read_members(m, now, f);
	if (r < 0)
		return r;
	read_tasks(m, &f->rows[0]);
	for (unsigned i = 0; m->kernel && i < MAX_PASSES; i++) {
		count_all(m, f);
		if (cgm_pinned_stable(m->kernel))
			break;
	}
	say(m);
	return 0;
}

int cgm_maps_read(struct cgm_maps *m, struct cgm_feed *ret)
{
	struct cgm_feed f = {0};
	int r = read_all(m, &f);

	if (r < 0) {
		cgm_feed_done(&f);
		return r;
	}
	*ret = f;
	return 0;
}

/* ---- histograms of one ---- */

static bool is_below(const struct member *c, const char *name)
{
	for (; c; c = c->parent)
		if (strcmp(c->name, name) == 0)
			return true;
	return false;
}

static int add_blocks(struct cgm_maps *m, uint32_t slot, struct cgm_hists *to)
{
	char title[CGM_HIST_TITLE], name[32];
	const struct cgm_block *b;
	enum cgm_block_op op;
	size_t iter = 0;
	uint32_t dev;
	int r = 0;

	while (r == 0 && (b = cgm_kernel_next_block(m->kernel, slot, &iter, &dev, &op))) {
		const char *device = cgm_disk_name(m->root_fd, dev >> 20, dev & 0xfffff, name, sizeof(name));

		if (!b->issued && !b->requests && !b->merged)
			continue;
		r = cgm_hists_add(to, cgm_hist_title_block(false, device, op, title), &b->queue_to_done);
		if (r == 0)
			r = cgm_hists_add(to, cgm_hist_title_block(true, device, op, title), &b->issue_to_done);
	}
	return r;
}

/* Blocks and waits of a slot, behind what is there; they come as they are found. */
static int add_slot(struct cgm_maps *m, uint32_t sched_slot, uint32_t block_slot, bool rows, bool blocks, struct cgm_hists *to_blocks,
	struct cgm_hists *to_waits)
{
	char title[CGM_HIST_TITLE];
	const struct cgm_hist *h;
	enum cgm_wait wait;
	size_t iter = 0;
	int r = blocks ? add_blocks(m, block_slot, to_blocks) : 0;

	while (r == 0 && rows && (h = cgm_kernel_next_wait(m->kernel, sched_slot, &iter, &wait)))
		r = cgm_hists_add(to_waits, cgm_hist_title_wait(wait, title), h);
	return r;
}

static int add_sched(const struct cgm_sched *s, struct cgm_hists *to)
{
	char title[CGM_HIST_TITLE];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < CGM_NR_SCHED_HISTS; i++)
		r = cgm_hists_add(to, cgm_hist_title_sched((enum cgm_sched_hist)i, title), &s->runq_delay + i);
	return r;
}

/* In the order of their titles: the maps have none. */
static int by_title(const void *a, const void *b)
{
	return strcmp(((const struct cgm_titled_hist *)a)->title, ((const struct cgm_titled_hist *)b)->title);
}

static int move_sorted(struct cgm_hists *from, struct cgm_hists *to)
{
	if (from->nr)
		qsort(from->v, from->nr, sizeof(*from->v), by_title);
	for (size_t i = 0; i < from->nr; i++)
		if (cgm_hists_add(to, from->v[i].title, &from->v[i].h) < 0)
			return -ENOMEM;
	return 0;
}

static int sum_hists(struct cgm_maps *m, const char *name, struct cgm_hists *blocks, struct cgm_hists *waits, struct cgm_sched *sched)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->nr; i++) {
		const struct member *c = m->members[i];
		bool itself = strcmp(c->name, name) == 0;
		bool rows = c->sched_slot != CGM_SLOT_OVERFLOW && (itself || is_counted(m, c->sched_slot));
		bool of_blocks = c->block_slot != CGM_SLOT_OVERFLOW && (itself || is_counted(m, c->block_slot));

		if (c->gone || !is_below(c, name))
			continue;
		if (rows)
			cgm_kernel_add_sched(m->kernel, c->sched_slot, sched);
		r = add_slot(m, c->sched_slot, c->block_slot, rows, of_blocks, blocks, waits);
	}
	if (r == 0 && !name[1]) {
		cgm_kernel_add_sched(m->kernel, CGM_SLOT_OVERFLOW, sched);
		r = add_slot(m, CGM_SLOT_OVERFLOW, CGM_SLOT_OVERFLOW, true, true, blocks, waits);
	}
	return r;
}

static void done_hists(struct cgm_hists *h)
{
	cgm_hists_done(h);
}

int cgm_maps_hists(struct cgm_maps *m, const char *name, struct cgm_hists *ret)
{
	_cleanup_(done_hists) struct cgm_hists blocks = {0}, waits = {0}, all = {0};
	struct cgm_sched sched = {0};
	int r;

	all.mono_ns = cgm_clock_mono_ns();
	all.time_ns = cgm_clock_real_ns();
	r = m->kernel ? sum_hists(m, name, &blocks, &waits, &sched) : 0;
	if (r == 0 && m->kernel && cgm_pinned_counts(m->kernel, "sched"))
		r = add_sched(&sched, &all);
	if (r == 0)
		r = move_sorted(&blocks, &all);
	if (r == 0)
		r = move_sorted(&waits, &all);
	if (r < 0)
		return r;
	*ret = all;
	all = (struct cgm_hists){0};
	return 0;
}

/* ---- open and close ---- */

/* Readers keep files open: so many the better. */
static void raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == 0)
		cgm_reader_set_fd_budget(rl.rlim_cur > 1024 ? rl.rlim_cur - 256 : rl.rlim_cur / 2);
}

int cgm_maps_open(const char *root, const char *pin_dir, struct cgm_maps **ret, char *fault, size_t size)
{
	struct cgm_maps *m = cgm_calloc(1, sizeof(*m));
	int r = -ENOMEM;

	snprintf(fault, size, "out of memory");
	if (!m)
		return -ENOMEM;
	m->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	m->pin_dir = cgm_strdup(pin_dir);
	if (m->root_fd < 0) {
		r = -errno;
		snprintf(fault, size, "cannot open %s: %s", root, strerror(-r));
	} else if (m->pin_dir) {
		r = cgm_trees_open(m->root_fd, &m->trees);
		m->has_trees = r == 0;
		if (r < 0)
			snprintf(fault, size, "no cgroup file system can be opened: %s", strerror(-r));
	}
	if (r < 0) {
		cgm_maps_close(m);
		return r;
	}
	raise_fd_limit();
	*ret = m;
	return 0;
}

void cgm_maps_close(struct cgm_maps *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nr; i++)
		free_member(m->members[i]);
	free(m->members);
	cgm_hash_done(&m->by_name);
	cgm_kernel_close(m->kernel);
	cgm_sample_done(&m->sample);
	if (m->has_trees)
		cgm_trees_close(&m->trees);
	if (m->root_fd >= 0)
		close(m->root_fd);
	free(m->pin_dir);
	free(m);
}

const char *cgm_maps_text(const struct cgm_maps *m)
{
	return m->text;
}

unsigned cgm_maps_epoch(const struct cgm_maps *m)
{
	return m->epoch;
}
