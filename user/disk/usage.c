// SPDX-License-Identifier: Apache-2.0
/*
 * The thread and its marks. Nothing here is locked: new marks come by a list that the sampler pushes onto, dropped ones are flagged and freed by the
 * thread, results lie twice and are read from the side that is not being written.
 */
#include "disk/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "disk/place.h"
#include "disk/quota.h"
#include "disk/walk.h"

#define SLICE 2048 /* entries; a path that has more is a long one */
#define MAX_LONG 4 /* long walks that take turns; the others wait until one is done */
#define START_COST 8 /* what finding a path costs, in entries */
#define CHUNK 256 /* entries between two looks at the clock when there is no limit */
#define NAP_NS (50 * CGM_NSEC_PER_MSEC) /* the limit is kept by sleeping for so much of it at once */
#define BURST_NS (100 * CGM_NSEC_PER_MSEC)
#define IDLE_NS (3600 * CGM_NSEC_PER_SEC)

struct result {
	bool valid;
	struct cgm_disk_usage usage;
};

struct cgm_disk_mark {
	/* the sampler's */
	char *path;
	unsigned refs;
	/* read or written by both, atomically */
	bool dropped, remote;
	uint64_t due_ns;
	unsigned version; /* results[version % 2] is the newest; the other side is written */
	struct result results[2];
	/* the thread's */
	struct cgm_disk_mark *next;
	struct cgm_walk *walk; /* begun */
	struct cgm_disk_usage usage; /* what is known when the walk begins */
	uint64_t nr_entries, round;
	bool is_long;
};

struct cgm_disk {
	pthread_t thread;
	struct cgm_disk_config config;
	sem_t wake;
	bool ends;
	struct cgm_hash marks; /* by path; the sampler's */
	struct cgm_disk_mark *inbox; /* new ones; atomic */
	struct cgm_disk_mark *first; /* all others; the thread's */
	struct cgm_mounts *mounts;
	uint64_t round;
	size_t nr_short; /* entries that short paths have had since the last turn of a long one */
	uint64_t cost_ns, paid_until_ns; /* of an entry; entries up to here have been looked at */
	uint64_t nr_measured, nr_failed, nr_entries, nr_unread, nr_too_deep, nr_links_lost; /* written by the thread, atomic */
};

static void add(uint64_t *sum, uint64_t nr)
{
	__atomic_store_n(sum, *sum + nr, __ATOMIC_RELAXED);
}

static bool ends(const struct cgm_disk *d)
{
	return __atomic_load_n(&d->ends, __ATOMIC_RELAXED);
}

static void wait_until(struct cgm_disk *d, uint64_t at_ns)
{
	struct timespec ts = { (time_t)(at_ns / CGM_NSEC_PER_SEC), (long)(at_ns % CGM_NSEC_PER_SEC) };

	(void)sem_clockwait(&d->wake, CLOCK_MONOTONIC, &ts);
}

/* ---- the limit ---- */

/* How many entries may be looked at now; sleeps until there are some. 0: the end. */
static size_t allowed(struct cgm_disk *d)
{
	uint64_t least = d->cost_ns ? MAX(NAP_NS / d->cost_ns, 1UL) : 0, now;

	while (!ends(d)) {
		if (!d->cost_ns)
			return CHUNK;
		now = cgm_clock_mono_ns();
		if (d->paid_until_ns + MAX(BURST_NS, d->cost_ns) < now)
			d->paid_until_ns = now - MAX(BURST_NS, d->cost_ns);
		if (d->paid_until_ns + least * d->cost_ns <= now)
			return (now - d->paid_until_ns) / d->cost_ns;
		wait_until(d, d->paid_until_ns + least * d->cost_ns);
	}
	return 0;
}

static void spend(struct cgm_disk *d, size_t nr)
{
	d->paid_until_ns += nr * d->cost_ns;
}

/* ---- results ---- */

static void publish(struct cgm_disk_mark *m, const struct cgm_disk_usage *usage)
{
	unsigned next = m->version + 1;
	struct result *r = &m->results[next % 2];

	/* A reader that sees any of this also sees that the version before it is out. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	r->valid = usage != NULL;
	if (usage)
		r->usage = *usage;
	__atomic_store_n(&m->version, next, __ATOMIC_RELEASE);
}

static bool is_short_of_means(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

static void finish(struct cgm_disk *d, struct cgm_disk_mark *m, int r)
{
	bool gone = r == -ENOENT || r == -ENOTDIR;

	if (r < 0 && !gone && r != -EREMOTE) {
		add(&d->nr_failed, 1);
		cgm_log_once(CGM_LOG_WARNING, "disk usage of %s: %s (said once; failures are counted)", m->path, strerror(-r));
	}
	if (r == -EREMOTE)
		cgm_log_once(CGM_LOG_INFO, "disk usage of %s is not measured: it is on a network file system or another that may hang (said once)", m->path);
	__atomic_store_n(&m->remote, r == -EREMOTE, __ATOMIC_RELAXED);
	add(&d->nr_measured, r == 0);
	m->usage.time_ns = cgm_clock_real_ns();
	if (r == 0 || !is_short_of_means(r))
		publish(m, r == 0 ? &m->usage : NULL);
	__atomic_store_n(&m->due_ns, cgm_clock_mono_ns() + d->config.interval_ns, __ATOMIC_RELAXED);
}

/* ---- one path ---- */

static uint64_t in_bytes(uint64_t nr, const struct statfs *st)
{
	uint64_t size = st->f_frsize > 0 ? (uint64_t)st->f_frsize : (uint64_t)st->f_bsize, v;

	return __builtin_mul_overflow(nr, size, &v) ? UINT64_MAX : v;
}

static int look_at_fs(const struct cgm_place *p, struct cgm_disk_usage *u)
{
	struct statfs fs;
	struct stat st;

	if (fstat(p->fd, &st) < 0 || fstatfs(p->fd, &fs) < 0)
		return -errno;
	*u = (struct cgm_disk_usage){
		.source = CGM_DISK_FS,
		.dev = st.st_dev,
		.used_bytes = in_bytes(fs.f_blocks - MIN(fs.f_blocks, fs.f_bfree), &fs),
		.used_inodes = fs.f_files - MIN(fs.f_files, fs.f_ffree),
		.capacity_bytes = in_bytes(fs.f_blocks, &fs),
		.available_bytes = in_bytes(fs.f_bavail, &fs),
		.inodes = fs.f_files,
		.inodes_free = fs.f_ffree,
	};
	memcpy(u->device, p->device, sizeof(u->device));
	return 0;
}

/* 1: measured; 0: a walk has begun. */
static int begin_at(struct cgm_disk *d, struct cgm_disk_mark *m, const struct cgm_place *p)
{
	int r = look_at_fs(p, &m->usage);

	if (r < 0)
		return r;
	if (p->is_fs_root)
		return 1;
	r = cgm_quota_read(d->config.root_fd, p, &m->usage.used_bytes, &m->usage.used_inodes);
	if (r == 0) {
		m->usage.source = CGM_DISK_QUOTA;
		return 1;
	}
	if (r != -ENODATA)
		cgm_log_once(CGM_LOG_INFO, "%s has a project quota that cannot be read: %s; it is walked", m->path, strerror(-r));
	m->usage.source = CGM_DISK_WALK;
	m->nr_entries = 0;
	return cgm_walk_new(p->fd, p->has_mounts, &m->walk);
}

static int begin(struct cgm_disk *d, struct cgm_disk_mark *m)
{
	struct cgm_place p;
	int r = cgm_place_open(d->mounts, m->path, &p);

	spend(d, START_COST);
	if (r < 0)
		return r;
	r = begin_at(d, m, &p);
	cgm_closep(&p.fd);
	cgm_closep(&p.parent_fd);
	return r;
}

static void end_walk(struct cgm_disk *d, struct cgm_disk_mark *m)
{
	const struct cgm_walk_sum *sum = cgm_walk_sum(m->walk);

	m->usage.used_bytes = sum->bytes;
	m->usage.used_inodes = sum->inodes;
	add(&d->nr_unread, sum->nr_unread);
	add(&d->nr_too_deep, sum->nr_too_deep);
	add(&d->nr_links_lost, sum->nr_links_lost);
	if (sum->nr_unread)
		cgm_log_once(CGM_LOG_WARNING, "disk usage of %s lacks what could not be read (said once; counted)", m->path);
	if (sum->nr_too_deep)
		cgm_log_once(CGM_LOG_WARNING, "disk usage of %s lacks directories that lie too deep (said once; counted)", m->path);
	if (sum->nr_links_lost)
		cgm_log_once(CGM_LOG_WARNING, "disk usage of %s: too many files with several names, some are counted twice (said once; counted)", m->path);
	m->is_long = m->nr_entries > SLICE;
	cgm_walk_free(m->walk);
	m->walk = NULL;
}

static void give_up_walk(struct cgm_disk_mark *m)
{
	cgm_walk_free(m->walk);
	m->walk = NULL;
}

/* So far as one may go before it is another's turn. False: there is more. */
static bool run_slice(struct cgm_disk *d, struct cgm_disk_mark *m)
{
	for (size_t left = SLICE, nr, max; left; left -= nr) {
		int r;

		max = allowed(d);
		if (!max || __atomic_load_n(&m->dropped, __ATOMIC_RELAXED))
			return true; /* freed soon */
		r = cgm_walk_step(m->walk, MIN(max, left), &d->ends, &nr);
		spend(d, nr);
		add(&d->nr_entries, nr);
		m->nr_entries += nr;
		if (r == 0)
			continue;
		end_walk(d, m);
		finish(d, m, MIN(r, 0));
		return true;
	}
	return false;
}

/* ---- whose turn it is ---- */

static bool is_due(const struct cgm_disk_mark *m, uint64_t now)
{
	return !m->walk && m->due_ns <= now && !__atomic_load_n(&m->dropped, __ATOMIC_RELAXED);
}

static struct cgm_disk_mark *longest_due(const struct cgm_disk *d, bool is_long)
{
	uint64_t now = cgm_clock_mono_ns();
	struct cgm_disk_mark *best = NULL;

	for (struct cgm_disk_mark *m = d->first; m; m = m->next)
		if (m->is_long == is_long && is_due(m, now) && (!best || m->due_ns < best->due_ns))
			best = m;
	return best;
}

static size_t nr_walks(const struct cgm_disk *d)
{
	size_t nr = 0;

	for (const struct cgm_disk_mark *m = d->first; m; m = m->next)
		nr += m->walk != NULL;
	return nr;
}

/* True when a walk has begun. */
static bool begin_or_finish(struct cgm_disk *d, struct cgm_disk_mark *m)
{
	int r = begin(d, m);

	if (r)
		finish(d, m, MIN(r, 0));
	return r == 0;
}

/* One that is small, or not known yet. When it turns out to be long it keeps what it has only if there is room among the long ones. */
static bool do_short(struct cgm_disk *d)
{
	struct cgm_disk_mark *m = longest_due(d, false);

	if (!m)
		return false;
	d->nr_short += START_COST;
	if (!begin_or_finish(d, m))
		return true;
	if (run_slice(d, m)) {
		d->nr_short += m->nr_entries;
		return true;
	}
	m->is_long = true;
	m->round = d->round++;
	if (nr_walks(d) > MAX_LONG)
		give_up_walk(m);
	return true;
}

static bool do_long(struct cgm_disk *d)
{
	struct cgm_disk_mark *next = nr_walks(d) < MAX_LONG ? longest_due(d, true) : NULL;

	if (next && !begin_or_finish(d, next))
		return true;
	if (next)
		next->round = d->round++;
	for (struct cgm_disk_mark *m = d->first; m; m = m->next)
		if (m->walk && (!next || m->round < next->round))
			next = m;
	if (!next)
		return false;
	if (!run_slice(d, next))
		next->round = d->round++;
	return true;
}

/* While there are both, short and long ones have half of the entries each. */
static bool do_turn(struct cgm_disk *d)
{
	if (d->nr_short < SLICE && do_short(d))
		return true;
	d->nr_short = 0;
	return do_long(d) || do_short(d);
}

static uint64_t next_due_ns(const struct cgm_disk *d)
{
	uint64_t ns = cgm_clock_mono_ns() + IDLE_NS;

	for (const struct cgm_disk_mark *m = d->first; m; m = m->next)
		ns = MIN(ns, m->due_ns);
	return ns;
}

/* ---- the thread ---- */

static void free_mark(struct cgm_disk_mark *m)
{
	cgm_walk_free(m->walk);
	free(m->path);
	free(m);
}

/* New ones come in, dropped ones go. */
static void take_over(struct cgm_disk *d)
{
	struct cgm_disk_mark *m = __atomic_exchange_n(&d->inbox, NULL, __ATOMIC_ACQUIRE), **at = &d->first;

	while (m) {
		struct cgm_disk_mark *next = m->next;

		m->next = d->first;
		d->first = m;
		m = next;
	}
	while (*at) {
		m = *at;
		if (!__atomic_load_n(&m->dropped, __ATOMIC_ACQUIRE)) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		free_mark(m);
	}
}

/* Behind everybody else, at the processor and at the disk. Each of these may be forbidden; the limit holds without them. */
static void stand_back(void)
{
	struct sched_param none = { 0 };

	setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	(void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static void *work(void *arg)
{
	struct cgm_disk *d = arg;

	stand_back();
	while (allowed(d)) {
		take_over(d);
		if (!do_turn(d))
			wait_until(d, next_due_ns(d));
	}
	return NULL;
}

static void done(struct cgm_disk *d)
{
	take_over(d);
	while (d->first) {
		struct cgm_disk_mark *m = d->first;

		d->first = m->next;
		free_mark(m);
	}
	cgm_hash_done(&d->marks);
	cgm_mounts_free(d->mounts);
	sem_destroy(&d->wake);
	free(d);
}

int cgm_disk_open(const struct cgm_disk_config *config, struct cgm_disk **ret)
{
	struct cgm_disk *d = cgm_calloc(1, sizeof(*d));
	int r = -ENOMEM;

	if (!d)
		return -ENOMEM;
	sem_init(&d->wake, 0, 0);
	d->config = *config;
	d->cost_ns = config->max_entries_per_s ? MAX(CGM_NSEC_PER_SEC / config->max_entries_per_s, 1UL) : 0;
	d->mounts = cgm_mounts_new(config->root_fd);
	if (d->mounts)
		r = -pthread_create(&d->thread, NULL, work, d);
	if (r < 0) {
		done(d);
		return r;
	}
	pthread_setname_np(d->thread, "disk");
	*ret = d;
	return 0;
}

void cgm_disk_close(struct cgm_disk *d)
{
	if (!d)
		return;
	__atomic_store_n(&d->ends, true, __ATOMIC_RELAXED);
	sem_post(&d->wake);
	pthread_join(d->thread, NULL);
	done(d);
}

/* ---- the sampler's side ---- */

struct cgm_disk_mark *cgm_disk_add(struct cgm_disk *d, const char *path)
{
	struct cgm_disk_mark *m = cgm_hash_get(&d->marks, path);

	if (m) {
		m->refs++;
		return m;
	}
	m = cgm_calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->path = cgm_strdup(path);
	if (!m->path || cgm_hash_put(&d->marks, m->path, m) < 0) {
		free_mark(m);
		return NULL;
	}
	m->refs = 1;
	m->due_ns = cgm_clock_mono_ns();
	m->next = __atomic_load_n(&d->inbox, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&d->inbox, &m->next, m, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	sem_post(&d->wake);
	return m;
}

void cgm_disk_drop(struct cgm_disk *d, struct cgm_disk_mark *m)
{
	if (!m || --m->refs)
		return;
	cgm_hash_del(&d->marks, m->path);
	__atomic_store_n(&m->dropped, true, __ATOMIC_RELEASE);
	sem_post(&d->wake);
}

bool cgm_disk_get(_unused_ struct cgm_disk *d, const struct cgm_disk_mark *m, struct cgm_disk_usage *ret)
{
	struct result copy;
	unsigned version, after;

	/* Two results would have to come out during one copy for a second round. */
	do {
		version = __atomic_load_n(&m->version, __ATOMIC_ACQUIRE);
		copy = m->results[version % 2];
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		after = __atomic_load_n(&m->version, __ATOMIC_RELAXED);
	} while (after != version);
	if (copy.valid)
		*ret = copy.usage;
	return copy.valid;
}

struct cgm_disk_state cgm_disk_state(struct cgm_disk *d)
{
	struct cgm_disk_state s = {
		.nr_marks = d->marks.live,
		.nr_measured = __atomic_load_n(&d->nr_measured, __ATOMIC_RELAXED),
		.nr_failed = __atomic_load_n(&d->nr_failed, __ATOMIC_RELAXED),
		.nr_entries = __atomic_load_n(&d->nr_entries, __ATOMIC_RELAXED),
		.nr_unread = __atomic_load_n(&d->nr_unread, __ATOMIC_RELAXED),
		.nr_too_deep = __atomic_load_n(&d->nr_too_deep, __ATOMIC_RELAXED),
		.nr_links_lost = __atomic_load_n(&d->nr_links_lost, __ATOMIC_RELAXED),
	};
	uint64_t now = cgm_clock_mono_ns();
	const struct cgm_disk_mark *m;
	size_t pos = 0;

	while ((m = cgm_hash_next(&d->marks, &pos))) {
		uint64_t due_ns = __atomic_load_n(&m->due_ns, __ATOMIC_RELAXED);

		s.nr_remote += __atomic_load_n(&m->remote, __ATOMIC_RELAXED);
		s.late_ns = MAX(s.late_ns, now - MIN(now, due_ns));
	}
	return s;
}
