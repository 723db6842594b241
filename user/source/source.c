// SPDX-License-Identifier: Apache-2.0
/* The thread, and its cycles: windows end at multiples of the resolution, and each node has its own moment behind that. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "source/internal.h"

#define TIMEOUT_NS (20 * CGM_NSEC_PER_SEC)
#define MAX_BYTES ((uint64_t)32 << 20)
#define MAX_PARALLEL 64
#define SPREAD_NODE_NS (8 * CGM_NSEC_PER_MSEC)
#define SPREAD_NS (4 * CGM_NSEC_PER_SEC)
#define TICK_NS (10 * CGM_NSEC_PER_MSEC) /* nodes whose moments are so near to each other are asked at once: a wake-up costs as much as a request */
#define OFFSET_NS (5 * CGM_NSEC_PER_SEC)
#define LOOK_AGAIN_NS (100 * CGM_NSEC_PER_MSEC) /* for a list that is not known yet */
#define GRACE_NS (2 * CGM_NSEC_PER_SEC) /* that long after the living, dead nodes are tried in one cycle; the others have their turn in the next */

/* ---- a cycle ---- */

/* Its names differ in their last letters, as a rule: the product brings these to the top. */
static uint32_t share_of(const struct cgm_source_node *n)
{
	return (uint32_t)(n->order * 0x9e3779b97f4a7c15ULL >> 32);
}

uint64_t cgm_source_due(const struct cgm_source *s, const struct cgm_source_node *n)
{
	uint64_t behind_ns = (s->spread_ns >> 16) * share_of(n) / 65536;

	return s->begin_ns + behind_ns / TICK_NS * TICK_NS;
}

static int by_share(const void *a, const void *b)
{
	uint32_t x = share_of(*(const struct cgm_source_node *const *)a), y = share_of(*(const struct cgm_source_node *const *)b);

	return x < y ? -1 : x > y;
}

static int by_last_try(const void *a, const void *b)
{
	uint64_t x = (*(const struct cgm_source_node *const *)a)->last_try_ns, y = (*(const struct cgm_source_node *const *)b)->last_try_ns;

	return x < y ? -1 : x > y;
}

/* Who failed the last time has a queue and a few slots of his own, so that he takes nobody's. */
static int make_queues(struct cgm_source *s)
{
	size_t size = (s->nr_nodes + 1) * sizeof(*s->main_queue);

	free(s->main_queue);
	free(s->slow_queue);
	s->main_queue = cgm_malloc(size);
	s->slow_queue = cgm_malloc(size);
	s->nr_main_queue = s->nr_slow_queue = s->main_at = s->slow_at = 0;
	if (!s->main_queue || !s->slow_queue)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr_nodes; i++) {
		struct cgm_source_node *n = s->nodes[i];

		if (n->unready)
			continue;
		if (n->failed_last)
			s->slow_queue[s->nr_slow_queue++] = n;
		else
			s->main_queue[s->nr_main_queue++] = n;
	}
	if (s->nr_main_queue)
		qsort(s->main_queue, s->nr_main_queue, sizeof(*s->main_queue), by_share);
	if (s->nr_slow_queue)
		qsort(s->slow_queue, s->nr_slow_queue, sizeof(*s->slow_queue), by_last_try);
	return 0;
}

/* left_ns: until the next window's begin. */
static void begin_cycle(struct cgm_source *s, uint64_t left_ns)
{
	uint64_t now_ns = cgm_clock_mono_ns();

	s->end_ns = s->next_end_ns;
	s->next_end_ns += s->config.resolution_ns;
	s->begin_ns = now_ns;
	s->first_request_ns = s->last_answer_ns = s->main_done_ns = 0;
	s->slow_stopped = false;
	s->nr_answered = s->nr_said = s->nr_unsaid = 0;
	if (make_queues(s) < 0) {
		s->nr_main_queue = s->nr_slow_queue = 0;
		cgm_warning("nodes: out of memory; a window is lost");
		pthread_mutex_lock(&s->lock);
		s->stats.nr_skipped++;
		pthread_mutex_unlock(&s->lock);
		return;
	}
	cgm_source_login_refresh(s);
	s->spread_ns = MIN(MIN(SPREAD_NODE_NS * (s->nr_nodes - MIN(s->nr_nodes, 1U)), SPREAD_NS), s->config.resolution_ns / 3);
	s->limit_ns = MIN(now_ns + s->spread_ns + s->config.timeout_ns, now_ns + left_ns - MIN(left_ns, s->config.resolution_ns / 20));
	s->in_cycle = true;
}

/* That is no fault of theirs: they stay among the living. */
static void give_up_unasked(struct cgm_source *s)
{
	while (s->main_at < s->nr_main_queue) {
		struct cgm_source_node *n = s->main_queue[s->main_at++];

		cgm_source_node_failed(s, n, CGM_NODE_TIMEOUT, "not asked in time: too many others were slow");
		n->failed_last = false;
	}
}

static void end_cycle(struct cgm_source *s)
{
	size_t nr_asked = s->nr_main_queue + s->nr_slow_queue;

	cgm_source_fetch_cut(s, true);
	cgm_source_fetch_trim(s, s->config.max_parallel);
	give_up_unasked(s);
	s->in_cycle = false;
	if (s->nr_unsaid)
		cgm_warning("nodes: %llu more lines of this kind; all faults are in /api/cgmeter/cluster/nodes", (unsigned long long)s->nr_unsaid);
	pthread_mutex_lock(&s->lock);
	s->stats.nr_cycles++;
	s->stats.last_cycle_end_ns = s->end_ns;
	s->stats.last_cycle_ns = s->last_answer_ns > s->first_request_ns ? s->last_answer_ns - s->first_request_ns : 0;
	pthread_mutex_unlock(&s->lock);
	s->config.on_cycle(s->config.arg, s->end_ns, nr_asked, s->nr_answered);
}

static bool is_done(struct cgm_source *s, uint64_t now_ns)
{
	if (s->main_at < s->nr_main_queue)
		return false;
	if (!s->main_done_ns && !s->nr_main)
		s->main_done_ns = now_ns;
	if (s->main_done_ns && now_ns > s->main_done_ns + GRACE_NS)
		s->slow_stopped = true;
	return !s->nr_active && (s->slow_at == s->nr_slow_queue || s->slow_stopped);
}

/* ---- when ---- */

/* The window that ended last, if more than half of the time until the next one is left. */
static uint64_t first_end(const struct cgm_source *s)
{
	uint64_t now_ns = cgm_clock_real_ns(), resolution = s->config.resolution_ns, last = now_ns / resolution * resolution;

	return now_ns < last + s->config.offset_ns + resolution / 2 ? last : last + resolution;
}

static uint64_t coming_end(const struct cgm_source *s)
{
	return (cgm_clock_real_ns() / s->config.resolution_ns + 1) * s->config.resolution_ns;
}

static void skip(struct cgm_source *s, uint64_t nr)
{
	s->next_end_ns += nr * s->config.resolution_ns;
	if (!s->listed)
		return; /* its fault says why */
	pthread_mutex_lock(&s->lock);
	s->stats.nr_skipped += nr;
	pthread_mutex_unlock(&s->lock);
	if (!s->said_skipped)
		cgm_warning("nodes: %llu windows are skipped: what is done with the answers takes longer than a cycle, or the machine slept", (unsigned long long)nr);
	s->said_skipped = true;
}

/* Begins the next window if it is time; returns when to look again (monotonic). */
static uint64_t try_begin(struct cgm_source *s)
{
	uint64_t now_ns = cgm_clock_real_ns(), mono_ns = cgm_clock_mono_ns(), resolution = s->config.resolution_ns, begin_ns = s->next_end_ns + s->config.offset_ns;

	if (begin_ns > now_ns + 2 * resolution + s->config.offset_ns) {
		cgm_warning("nodes: the clock of this machine was set back");
		s->next_end_ns = coming_end(s);
		return mono_ns;
	}
	if (now_ns < begin_ns)
		return mono_ns + MIN(begin_ns - now_ns, CGM_NSEC_PER_SEC); /* not longer: a clock may be set */
	if (now_ns - begin_ns >= resolution / 2) {
		skip(s, (now_ns - begin_ns + resolution / 2) / resolution);
		return mono_ns;
	}
	if (!cgm_source_list(s))
		return mono_ns + LOOK_AGAIN_NS;
	s->said_skipped = false;
	begin_cycle(s, begin_ns + resolution - now_ns);
	return mono_ns;
}

/* When something is to be done though nothing comes. */
static uint64_t next_turn(const struct cgm_source *s, uint64_t now_ns)
{
	uint64_t next = MIN(s->limit_ns, now_ns + CGM_NSEC_PER_SEC);

	if (s->main_at < s->nr_main_queue)
		next = MIN(next, MAX(cgm_source_due(s, s->main_queue[s->main_at]), now_ns + (s->nr_main >= s->config.max_parallel ? 20 * CGM_NSEC_PER_MSEC : 0)));
	return next;
}

static void turn(struct cgm_source *s)
{
	uint64_t now_ns = cgm_clock_mono_ns(), until_ns;

	if (__atomic_load_n(&s->paused, __ATOMIC_ACQUIRE)) {
		cgm_source_fetch_cut(s, false);
		s->in_cycle = false;
		s->next_end_ns = coming_end(s);
		cgm_source_fetch_wait(s, now_ns + CGM_NSEC_PER_SEC);
		return;
	}
	if (s->in_cycle && now_ns < s->limit_ns)
		cgm_source_fetch_start(s, now_ns);
	if (s->in_cycle && (now_ns >= s->limit_ns || is_done(s, now_ns)))
		end_cycle(s);
	until_ns = s->in_cycle ? next_turn(s, now_ns) : try_begin(s);
	cgm_source_fetch_wait(s, until_ns);
}

static void *source_main(void *arg)
{
	struct cgm_source *s = arg;

	s->next_end_ns = first_end(s);
	while (!__atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE))
		turn(s);
	return NULL;
}

/* ---- life ---- */

static void take_config(struct cgm_source *s, const struct cgm_source_config *config)
{
	struct cgm_source_config *c = &s->config;

	*c = *config;
	c->resolution_ns = MAX(c->resolution_ns, CGM_NSEC_PER_MSEC);
	if (!c->offset_ns)
		c->offset_ns = MIN(OFFSET_NS, c->resolution_ns / 12);
	if (!c->timeout_ns)
		c->timeout_ns = TIMEOUT_NS;
	if (!c->max_bytes)
		c->max_bytes = MAX_BYTES;
	if (!c->max_parallel)
		c->max_parallel = MAX_PARALLEL;
}

static int open_all(struct cgm_source *s, char *fault)
{
	int r;

	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0) {
		snprintf(fault, CGM_SOURCE_FAULT, "eventfd: %s", strerror(errno));
		return -errno;
	}
	r = cgm_source_options_read(s->config.uri, &s->options, fault);
	if (r == 0 && cgm_source_needs_kube(&s->options) && !s->config.cluster) {
		snprintf(fault, CGM_SOURCE_FAULT, "it needs an API server, and there is none");
		r = -EINVAL;
	}
	if (r < 0)
		return r;
	s->curl = cgm_curl_get(fault, CGM_SOURCE_FAULT);
	if (!s->curl)
		return -ENOSYS;
	r = cgm_source_fetch_open(s, fault);
	return r < 0 ? r : cgm_source_login_open(s, fault);
}

int cgm_source_start(const struct cgm_source_config *config, struct cgm_source **ret, char *fault)
{
	struct cgm_source *s = cgm_calloc(1, sizeof(*s));
	int r;

	if (!s) {
		snprintf(fault, CGM_SOURCE_FAULT, "out of memory");
		return -ENOMEM;
	}
	s->wake_fd = s->poll_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	take_config(s, config);
	r = open_all(s, fault);
	if (r == 0) {
		r = -pthread_create(&s->thread, NULL, source_main, s);
		s->has_thread = r == 0;
		if (r < 0)
			snprintf(fault, CGM_SOURCE_FAULT, "no thread: %s", strerror(-r));
	}
	if (r < 0)
		cgm_source_stop(s);
	else
		*ret = s;
	return r;
}

static void wake(const struct cgm_source *s)
{
	uint64_t one = 1;

	/* It cannot fail but for a counter that is full, which wakes as well. */
	if (s->wake_fd >= 0 && write(s->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void cgm_source_stop(struct cgm_source *s)
{
	if (!s)
		return;
	__atomic_store_n(&s->stopping, true, __ATOMIC_RELEASE);
	wake(s);
	if (s->has_thread)
		pthread_join(s->thread, NULL);
	cgm_source_fetch_done(s);
	cgm_source_login_done(s);
	for (size_t i = 0; i < s->nr_nodes; i++)
		cgm_source_node_free(s->nodes[i]);
	free(s->nodes);
	free(s->main_queue);
	free(s->slow_queue);
	free(s->file_text);
	cgm_source_options_done(&s->options);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void cgm_source_pause(struct cgm_source *s, bool pause)
{
	__atomic_store_n(&s->paused, pause, __ATOMIC_RELEASE);
	wake(s);
}
