// SPDX-License-Identifier: Apache-2.0
/* ContainerSpec as the v1 and the v2 interfaces have it: the same facts in another order. */
#include "output/json.h"

#include <string.h>

#include "identity/path.h"

/* A limit is exact, also above 2^63-1; 0 is left out. */
static void put_limit(struct cgm_buf *b, const char *key, uint64_t v)
{
	if (!v)
		return;
	cgm_buf_char(b, '"');
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
	cgm_buf_u64(b, v);
	cgm_buf_char(b, ',');
}

static void put_has(struct cgm_buf *b, const char *key, bool v)
{
	cgm_buf_lit(b, ",\"has_");
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
	cgm_json_bool(b, v);
}

/* A container's own times are its runtime's; the cgroup's is when it was started last. */
static void put_times(struct cgm_buf *b, const struct cgm_spec *spec, const struct cgm_who *who)
{
	cgm_buf_lit(b, "{\"creation_time\":");
	cgm_json_time(b, who && who->created_ns ? who->created_ns : spec->creation_time_ns);
	if (!who) {
		cgm_buf_lit(b, ",\"start_time\":\"0001-01-01T00:00:00Z\"");
		return;
	}
	cgm_buf_lit(b, ",\"start_time\":");
	cgm_json_time(b, who->started_ns ? who->started_ns : spec->creation_time_ns);
}

static void put_pairs(struct cgm_buf *b, const char *head, const struct cgm_pair *pairs, size_t nr)
{
	if (!nr)
		return;
	cgm_buf_str(b, head);
	for (size_t i = 0; i < nr; i++) {
		cgm_json_string(b, pairs[i].key);
		cgm_buf_char(b, ':');
		cgm_json_string(b, pairs[i].value);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

/* The sandbox's labels with one more, where its key belongs. */
static void put_pod_labels(struct cgm_buf *b, const struct cgm_who *who)
{
	static const struct cgm_pair pod = { "io.kubernetes.container.name", "POD" };
	size_t before = 0;

	while (before < who->nr_labels && strcmp(who->labels[before].key, pod.key) < 0)
		before++;
	put_pairs(b, ",\"labels\":{", who->labels, before);
	if (before && !b->failed)
		b->len--; /* the brace */
	put_pairs(b, before ? "," : ",\"labels\":{", &pod, 1);
	if (before == who->nr_labels)
		return;
	if (!b->failed)
		b->len--;
	put_pairs(b, ",", who->labels + before, who->nr_labels - before);
}

static void put_who(struct cgm_buf *b, const struct cgm_who *who, bool as_pod)
{
	if (!who)
		return;
	if (as_pod && who->is_sandbox && !cgm_who_label(who, "io.kubernetes.container.name"))
		put_pod_labels(b, who);
	else
		put_pairs(b, ",\"labels\":{", who->labels, who->nr_labels);
	put_pairs(b, ",\"envs\":{", who->envs, who->nr_envs);
}

static void put_image(struct cgm_buf *b, const struct cgm_who *who)
{
	if (!who || !who->image || !*who->image)
		return;
	cgm_buf_lit(b, ",\"image\":");
	cgm_json_string(b, who->image);
}

/* LXC's containers have no runtime that tells of them, and yet a name: that of their cgroup. */
static void put_lxc(struct cgm_buf *b, const char *path)
{
	_cleanup_(cgm_buf_done) struct cgm_buf name = { 0 };
	struct cgm_path_facts f;

	cgm_path_parse(path, &f);
	if (f.kind != CGM_PATH_CONTAINER || !f.runtime || strcmp(f.runtime, "lxc") != 0)
		return;
	cgm_buf_put(&name, f.id.p, f.id.len);
	cgm_buf_char(&name, '\0');
	if (name.failed) {
		b->failed = true;
		return;
	}
	cgm_buf_lit(b, "\"aliases\":[");
	cgm_json_string(b, name.p);
	cgm_buf_lit(b, "],\"namespace\":\"lxc\",");
}

void cgm_json_state(struct cgm_buf *b, const struct cgm_who *who)
{
	static const char *const states[] = { NULL, "created", "running", "paused", "exited" };

	if (!who || !states[who->state])
		return;
	cgm_buf_printf(b, "\"state\":\"%s\",", states[who->state]);
	if (who->has_exit_code)
		cgm_buf_printf(b, "\"exit_code\":%d,", who->exit_code);
}

void cgm_json_aliases(struct cgm_buf *b, const struct cgm_identity *identity)
{
	const char *names[2];
	size_t nr = cgm_identity_aliases(identity, names);

	if (!nr) {
		put_lxc(b, identity->name);
		return;
	}
	cgm_buf_lit(b, "\"aliases\":[");
	for (size_t i = 0; i < nr; i++) {
		cgm_json_string(b, names[i]);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "],\"namespace\":");
	cgm_json_string(b, identity->who->runtime);
	cgm_buf_char(b, ',');
}

static void put_cpu(struct cgm_buf *b, const struct cgm_spec *spec)
{
	put_has(b, "cpu", spec->has_cpu);
	cgm_buf_lit(b, ",\"cpu\":{\"limit\":");
	cgm_buf_u64(b, spec->cpu_shares);
	cgm_buf_lit(b, ",\"max_limit\":0,");
	if (*spec->cpu_mask) {
		cgm_buf_lit(b, "\"mask\":");
		cgm_json_string(b, spec->cpu_mask);
		cgm_buf_char(b, ',');
	}
	put_limit(b, "quota", spec->cpu_quota_usec);
	put_limit(b, "period", spec->cpu_period_usec);
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

static void put_memory(struct cgm_buf *b, const struct cgm_spec *spec)
{
	put_has(b, "memory", spec->has_memory);
	cgm_buf_lit(b, ",\"memory\":{");
	if (spec->has_memory) {
		put_limit(b, "limit", spec->memory_limit);
		put_limit(b, "reservation", spec->memory_reservation);
		put_limit(b, "swap_limit", spec->memory_swap_limit);
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

static void put_processes(struct cgm_buf *b, const struct cgm_spec *spec)
{
	put_has(b, "processes", spec->has_processes);
	cgm_buf_lit(b, ",\"processes\":{");
	if (spec->has_processes)
		put_limit(b, "limit", spec->pids_limit);
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

static void put_app(struct cgm_buf *b, const struct cgm_app_metrics *app)
{
	put_has(b, "custom_metrics", app && app->nr);
	if (app && app->nr)
		cgm_json_app_spec(b, app);
}

static void put_spec(struct cgm_buf *b, const struct cgm_spec *spec, const struct cgm_identity *identity, const struct cgm_app_metrics *app, bool as_pod, bool network)
{
	put_times(b, spec, identity->who);
	put_who(b, identity->who, as_pod);
	put_cpu(b, spec);
	put_memory(b, spec);
	put_has(b, "hugetlb", spec->has_hugetlb);
	put_has(b, "network", spec->has_network && network);
	put_processes(b, spec);
	put_has(b, "filesystem", spec->has_filesystem);
	put_has(b, "diskio", spec->has_diskio);
	put_app(b, app);
	put_image(b, identity->who);
	cgm_buf_char(b, '}');
}

void cgm_json_spec_v1(struct cgm_buf *b, const struct cgm_spec *spec, const struct cgm_identity *identity, const struct cgm_app_metrics *app)
{
	put_spec(b, spec, identity, app, false, true);
}

void cgm_json_spec_kubelet(struct cgm_buf *b, const struct cgm_spec *spec, const struct cgm_identity *identity, const struct cgm_app_metrics *app, bool network)
{
	put_spec(b, spec, identity, app, true, network);
}

void cgm_json_spec_v2(struct cgm_buf *b, const struct cgm_spec *spec, const struct cgm_identity *identity, const struct cgm_app_metrics *app)
{
	put_times(b, spec, identity->who);
	if (identity->who) {
		cgm_buf_char(b, ',');
		cgm_json_aliases(b, identity);
		cgm_json_state(b, identity->who);
		cgm_json_chop(b);
	}
	put_who(b, identity->who, false);
	put_cpu(b, spec);
	put_memory(b, spec);
	put_has(b, "hugetlb", spec->has_hugetlb);
	put_app(b, app);
	put_processes(b, spec);
	put_has(b, "network", spec->has_network);
	put_has(b, "filesystem", spec->has_filesystem);
	put_has(b, "diskio", spec->has_diskio);
	put_image(b, identity->who);
	cgm_buf_char(b, '}');
}
