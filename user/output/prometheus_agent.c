// SPDX-License-Identifier: Apache-2.0
/* The families of the agent itself. */
#include "kernel/kernel.h"
#include "model/label.h"
#include "output/prometheus_write.h"

void cgm_prom_label(struct cgm_prom_text *t, bool comma, const char *key, const char *value)
{
	size_t key_len = strlen(key);

	if (sizeof(t->p) - t->len < key_len + 4 + CGM_LABEL_GROWTH * strlen(value))
		return;
	if (comma || t->len)
		t->p[t->len++] = ',';
	memcpy(t->p + t->len, key, key_len);
	t->len += key_len;
	t->p[t->len++] = '=';
	t->p[t->len++] = '"';
	t->len += cgm_label_escape(t->p + t->len, value);
	t->p[t->len++] = '"';
}

void cgm_prom_created(struct cgm_prometheus *r, const char *labels, size_t labels_len, const struct cgm_prom_text *own, uint64_t since_ns)
{
	char *p;

	if (!since_ns || !cgm_buf_reserve(r->out, r->created_len + labels_len + own->len + 2 * CGM_PROM_NUMBER + sizeof(r->stamp->p)))
		return;
	p = cgm_prom_put(r->out->p + r->out->len, r->created, r->created_len);
	if (labels)
		*p++ = '{';
	p = cgm_prom_put(p, labels ? labels : "", labels_len);
	p = cgm_prom_put(p, own->p, own->len);
	p = cgm_prom_fixed(p, since_ns, CGM_DIGITS_NS);
	p = cgm_prom_put(p, r->stamp->p, r->stamp->len);
	*p++ = '\n';
	r->out->len = (size_t)(p - r->out->p);
}

void cgm_prom_plain(struct cgm_prometheus *r, const struct cgm_prom_text *labels, uint64_t v, unsigned digits)
{
	struct cgm_prom_text own;
	char *p;

	if (r->protobuf) {
		cgm_protobuf_sample(r, NULL, labels, v, digits);
		return;
	}
	if (!cgm_buf_reserve(r->out, r->name_len + (labels ? labels->len : 0) + CGM_PROM_NUMBER + 4 + sizeof(r->stamp->p)))
		return;
	p = cgm_prom_put(r->out->p + r->out->len, r->name, r->name_len);
	if (labels && labels->len) {
		*p++ = '{';
		p = cgm_prom_put(p, labels->p, labels->len);
		*p++ = '}';
	}
	*p++ = ' ';
	p = cgm_prom_fixed(p, v, digits);
	p = cgm_prom_put(p, r->stamp->p, r->stamp->len);
	*p++ = '\n';
	r->out->len = (size_t)(p - r->out->p);
	if (!r->created_len)
		return;
	own.len = 0;
	if (labels && labels->len)
		cgm_prom_text_add(&own, "}");
	cgm_prom_text_add(&own, " ");
	cgm_prom_created(r, labels && labels->len ? labels->p : NULL, labels ? labels->len : 0, &own, cgm_prom_since(r, NULL));
}

static void put_label(struct cgm_prometheus *r, const char *key, const char *value, uint64_t v)
{
	struct cgm_prom_text t = { 0 };

	cgm_prom_label(&t, false, key, value);
	cgm_prom_plain(r, &t, v, 0);
}

static void put_programs(struct cgm_prometheus *r)
{
	for (size_t i = 0; i < r->s->self.nr_programs; i++) {
		const struct cgm_program_status *s = &r->s->self.programs[i];
		struct cgm_prom_text t = { 0 };

		cgm_prom_label(&t, false, "program", s->name);
		cgm_prom_label(&t, false, "hook", s->hook);
		cgm_prom_label(&t, false, "mode", s->mode);
		cgm_prom_label(&t, false, "reason", s->reason);
		cgm_prom_plain(r, &t, strcmp(s->mode, "off") != 0, 0);
	}
}

/* A number of each program that runs or has run. */
static void put_program_numbers(struct cgm_prometheus *r, size_t offset, unsigned digits)
{
	for (size_t i = 0; i < r->s->self.nr_programs; i++) {
		const struct cgm_program_status *s = &r->s->self.programs[i];
		struct cgm_prom_text t = { 0 };

		if (strcmp(s->mode, "off") == 0 && !s->runs)
			continue;
		cgm_prom_label(&t, false, "program", s->name);
		cgm_prom_plain(r, &t, *(const uint64_t *)((const char *)s + offset), digits);
	}
}

static void put_groups(struct cgm_prometheus *r)
{
	for (size_t i = 0; i < r->s->self.nr_groups; i++) {
		const struct cgm_group_status *g = &r->s->self.groups[i];
		struct cgm_prom_text t = { 0 };

		cgm_prom_label(&t, false, "group", g->name);
		cgm_prom_label(&t, false, "reason", g->reason);
		cgm_prom_plain(r, &t, g->on, 0);
	}
}

/* The agent's own cost. False: the family is none of these. */
static bool put_cost(struct cgm_prometheus *r, enum cgm_family_id f)
{
	const struct cgm_self *self = &r->s->self;

	switch (f) {
	case CGM_F_GROUP_ENABLED:
		put_groups(r);
		return true;
	case CGM_F_GROUP_SWITCHED_OFF:
		for (size_t i = 0; i < self->nr_groups; i++)
			if (self->groups[i].on || self->groups[i].nr_switched_off)
				put_label(r, "group", self->groups[i].name, self->groups[i].nr_switched_off);
		return true;
	case CGM_F_PROGRAM_RUNS:
		put_program_numbers(r, offsetof(struct cgm_program_status, runs), CGM_DIGITS_NONE);
		return true;
	case CGM_F_PROGRAM_TIME:
		put_program_numbers(r, offsetof(struct cgm_program_status, run_ns), CGM_DIGITS_NS);
		return true;
	case CGM_F_PROGRAM_MISSED:
		put_program_numbers(r, offsetof(struct cgm_program_status, missed), CGM_DIGITS_NONE);
		return true;
	case CGM_F_MAP_MEMORY:
		for (size_t i = 0; i < self->nr_maps; i++)
			put_label(r, "map", self->maps[i].name, self->maps[i].bytes);
		return true;
	default:
		return false;
	}
}

/* One number of each storage driver; of its losses, all by reason. */
static void put_sinks(struct cgm_prometheus *r, enum cgm_family_id f)
{
	static const char *const losses[] = {
#define X(id, name) name,
		CGM_SINK_LOSSES(X)
#undef X
	};

	for (size_t i = 0; i < r->s->self.nr_sinks; i++) {
		const struct cgm_sink_status *s = &r->s->self.sinks[i];
		const uint64_t v[] = { s->nr_points, s->nr_batches, s->bytes, s->nr_retries, 0, s->queue_bytes, s->last_success_ns };

		for (unsigned why = 0; f == CGM_F_SINK_LOST && why < CGM_NR_SINK_LOSSES; why++) {
			struct cgm_prom_text t = { 0 };

			cgm_prom_label(&t, false, "driver", s->name);
			cgm_prom_label(&t, false, "reason", losses[why]);
			cgm_prom_plain(r, &t, s->lost[why], 0);
		}
		if (f != CGM_F_SINK_LOST && (f != CGM_F_SINK_SUCCESS || s->last_success_ns)) {
			struct cgm_prom_text t = { 0 };

			cgm_prom_label(&t, false, "driver", s->name);
			cgm_prom_plain(r, &t, v[f - CGM_F_SINK_POINTS], f == CGM_F_SINK_SUCCESS ? CGM_DIGITS_NS : 0);
		}
	}
}

static void put_agent_cpu(struct cgm_prometheus *r)
{
	static const struct cgm_prom_text in_user = { 11, "mode=\"user\"" }, in_kernel = { 13, "mode=\"system\"" };

	cgm_prom_plain(r, &in_user, r->s->self.user_ns, CGM_DIGITS_NS);
	cgm_prom_plain(r, &in_kernel, r->s->self.system_ns, CGM_DIGITS_NS);
}

/* A histogram of our own, whole: a snapshot has but one. */
static void put_hist(struct cgm_prometheus *r, const struct cgm_hist *h)
{
	static const struct cgm_prom_text no_labels;
	uint64_t buckets[CGM_HIST_BUCKETS];

	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		buckets[i] = h->buckets[i];
	cgm_prom_hist(r, NULL, &no_labels,
		      &(struct cgm_live_hist){ .count = cgm_hist_count(h), .sum_ns = h->sum_ns, .nr = CGM_HIST_BUCKETS, .buckets = buckets });
}

static void put_ended(struct cgm_prometheus *r, enum cgm_family_id f)
{
	static const char *const files[] = {
#define X(id, name) name,
		CGM_ENDED_FILES(X)
#undef X
	};
	static const char *const losses[] = {
#define X(id, name) name,
		CGM_ENDED_LOSSES(X)
#undef X
	};
	const struct cgm_ended_stats *s = &r->s->self.ended;

	for (unsigned i = 0; f == CGM_F_ENDED && i < CGM_NR_ENDED_FILES; i++)
		put_label(r, "files", files[i], s->nr[i]);
	for (unsigned i = 0; f == CGM_F_ENDED_LOST && i < CGM_NR_ENDED_LOSSES; i++)
		put_label(r, "reason", losses[i], s->lost[i]);
}

bool cgm_prom_agent_family(struct cgm_prometheus *r, enum cgm_family_id f)
{
	const struct cgm_self *self = &r->s->self;

	switch (f) {
	case CGM_F_CONTAINER_SCRAPE_ERROR:
		cgm_prom_plain(r, NULL, 0, 0); /* there is a snapshot, so they could be read */
		return true;
	case CGM_F_BUILD_INFO:
		put_label(r, "version", CGM_VERSION, 1);
		return true;
	case CGM_F_TICK_LATE:
		put_hist(r, &self->late);
		return true;
	case CGM_F_DROPPED:
		for (int i = 0; i < CGM_NR_DROPS; i++)
			put_label(r, "reason", cgm_drop_name((enum cgm_drop)i), self->drops[i]);
		return true;
	case CGM_F_DENIED:
		for (size_t i = 0; i < self->nr_denied; i++)
			put_label(r, "syscall", self->denied[i].name, self->denied[i].nr);
		return true;
	case CGM_F_ENDED:
	case CGM_F_ENDED_LOST:
		put_ended(r, f);
		return true;
	case CGM_F_PROGRAM_ATTACHED:
		put_programs(r);
		return true;
	case CGM_F_AGENT_CPU:
		put_agent_cpu(r);
		return true;
	case CGM_F_CGROUP_MODE:
		if (self->cgroup_mode)
			put_label(r, "mode", self->cgroup_mode, 1);
		return true;
	case CGM_F_SINK_POINTS:
	case CGM_F_SINK_BATCHES:
	case CGM_F_SINK_BYTES:
	case CGM_F_SINK_RETRIES:
	case CGM_F_SINK_LOST:
	case CGM_F_SINK_QUEUE:
	case CGM_F_SINK_SUCCESS:
		put_sinks(r, f);
		return true;
	default:
		return put_cost(r, f) || cgm_prom_http_family(r, f);
	}
}
