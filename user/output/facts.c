// SPDX-License-Identifier: Apache-2.0
#include "output/facts.h"

#include "base/clock.h"
#include "base/mem.h"

void cgm_facts_unref(struct cgm_facts *f)
{
	if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
		return;
	cgm_machine_free(f->machine);
	free(f);
}

void cgm_facts_cache_init(struct cgm_facts_cache *c, int root_fd, uint64_t interval_ns)
{
	*c = (struct cgm_facts_cache){ .root_fd = root_fd, .interval_ns = interval_ns };
	pthread_mutex_init(&c->lock, NULL);
}

void cgm_facts_cache_done(struct cgm_facts_cache *c)
{
	cgm_facts_unref(c->newest);
	pthread_mutex_destroy(&c->lock);
}

static void read_facts(struct cgm_facts_cache *c, uint64_t now)
{
	struct cgm_facts *f = cgm_calloc(1, sizeof(*f));

	if (!f)
		return;
	f->machine = cgm_machine_read(c->root_fd);
	if (!f->machine) {
		free(f);
		return;
	}
	f->refs = 1;
	f->read_ns = now;
	cgm_facts_unref(c->newest);
	c->newest = f;
}

struct cgm_facts *cgm_facts_get(struct cgm_facts_cache *c)
{
	uint64_t now = cgm_clock_mono_ns();
	struct cgm_facts *f;

	pthread_mutex_lock(&c->lock);
	if (!c->newest || now - c->newest->read_ns >= c->interval_ns)
		read_facts(c, now);
	f = c->newest;
	if (f)
		__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&c->lock);
	return f;
}
