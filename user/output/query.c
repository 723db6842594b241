// SPDX-License-Identifier: Apache-2.0
#include "output/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/parse.h"

static const struct param {
	unsigned params; /* enum cgm_params */
	const char *name, *values, *def, *help;
} table[] = {
	{ CGM_PARAMS_OPTIONS, "type", "name, docker, podman", "name", "how the container is named: by the path of its cgroup, or by the id or name that its runtime gave it" },
	{ CGM_PARAMS_OPTIONS, "recursive", "true, false", "false", "also everything below it; with type=docker or podman, all containers of the runtime (only for /)" },
	{ CGM_PARAMS_OPTIONS, "count", "whole number, -1 or more", "64", "the newest so many samples, -1: all that are held" },
	{ CGM_PARAMS_OPTIONS | CGM_PARAMS_AGE, "max_age", "duration, such as 10s", "", "how old the newest sample may be; when it is older the answer waits for the next round of samples (all containers are sampled in the same round, so that is one housekeeping interval at most)" },
	{ CGM_PARAMS_EVENTS, "all_events", "true, false", "false", "events of every type; without any type there are none" },
	{ CGM_PARAMS_EVENTS, "oom_events", "true, false", "false", "a container's limit was reached and a task was killed" },
	{ CGM_PARAMS_EVENTS, "oom_kill_events", "true, false", "false", "a task of the container was killed" },
	{ CGM_PARAMS_EVENTS, "creation_events", "true, false", "false", "a container came" },
	{ CGM_PARAMS_EVENTS, "deletion_events", "true, false", "false", "a container went" },
	{ CGM_PARAMS_EVENTS, "subcontainers", "true, false", "false", "also those of containers below it" },
	{ CGM_PARAMS_EVENTS, "max_events", "whole number, -1 or more", "10", "the newest so many of those that are asked for, 0 or -1: all; not for a stream" },
	{ CGM_PARAMS_EVENTS, "start_time", "time as in RFC 3339", "", "not before that" },
	{ CGM_PARAMS_EVENTS, "end_time", "time as in RFC 3339", "", "not after that" },
	{ CGM_PARAMS_EVENTS, "stream", "true, false", "false", "instead of past events those to come, as they come, one JSON object a line" },
	{ CGM_PARAMS_STORAGE, "label", "text", "", "only file systems with that label; \"root\" is that of /" },
	{ CGM_PARAMS_STORAGE, "uuid", "text", "", "the one file system with that UUID, as an object" },
	{ CGM_PARAMS_KUBELET, "only_cpu_and_memory", "true, false", "false", "leave out what is neither: network, file systems, I/O, swap, processes" },
	{ CGM_PARAMS_BODY, "num_stats", "whole number, -1 or more", "60", "in a JSON object in the body: the newest so many samples, -1: all that are held" },
	{ CGM_PARAMS_BODY, "start", "time as in RFC 3339", "", "likewise: samples not before that" },
	{ CGM_PARAMS_BODY, "end", "time as in RFC 3339", "", "likewise: samples not after that" },
};

const char *cgm_id_type_name(enum cgm_id_type t)
{
	static const char *const names[] = { "name", "docker", "podman" };

	return names[t];
}

static int fault_of(char fault[CGM_FAULT_BYTES], const char *name, const char *value, const char *wanted)
{
	snprintf(fault, CGM_FAULT_BYTES, "failed to parse '%s' option: %.100s (%s)", name, value, wanted);
	return -EINVAL;
}

/* NULL: there is none, or it is empty. */
static const char *value_of(const struct cgm_query *q, const char *name)
{
	const char *v = q->get(q->arg, name);

	return v && *v ? v : NULL;
}

static int parse_bool(const struct cgm_query *q, const char *name, bool *ret, char fault[CGM_FAULT_BYTES])
{
	const char *v = value_of(q, name);

	if (!v || cgm_parse_bool(cgm_str(v), ret) == 0 || q->lax)
		return 0;
	return fault_of(fault, name, v, "true or false");
}

/* ---- RequestOptions ---- */

static int parse_type(const struct cgm_query *q, enum cgm_id_type *ret, char fault[CGM_FAULT_BYTES])
{
	const char *v = value_of(q, "type");

	if (!v)
		return 0;
	for (enum cgm_id_type t = CGM_ID_NAME; t <= CGM_ID_PODMAN; t++) {
		if (strcmp(v, cgm_id_type_name(t)) != 0)
			continue;
		*ret = t;
		return 0;
	}
	snprintf(fault, CGM_FAULT_BYTES, "unknown 'type' \"%.100s\" (name, docker or podman)", v);
	return -EINVAL;
}

static int parse_count(const struct cgm_query *q, int64_t *ret, char fault[CGM_FAULT_BYTES])
{
	const char *v = value_of(q, "count");
	int64_t n;

	if (!v)
		return 0;
	if (cgm_parse_i64(cgm_str(v), &n) < 0 || n < -1)
		return fault_of(fault, "count", v, "a whole number, -1 or more");
	*ret = n;
	return 0;
}

static int parse_age(const struct cgm_query *q, struct cgm_container_query *ret, char fault[CGM_FAULT_BYTES])
{
	const char *v = value_of(q, "max_age");

	if (!v)
		return 0;
	if (cgm_parse_duration_ns(cgm_str(v), &ret->max_age_ns) < 0)
		return fault_of(fault, "max_age", v, "a duration such as 10s");
	ret->has_max_age = true;
	return 0;
}

int cgm_query_containers(const struct cgm_query *q, struct cgm_container_query *ret, char fault[CGM_FAULT_BYTES])
{
	struct cgm_container_query c = { .count = 64 };
	const char *recursive = value_of(q, "recursive");
	int r = parse_type(q, &c.type, fault);

	if (r == 0)
		r = parse_count(q, &c.count, fault);
	if (r == 0)
		r = parse_age(q, &c, fault);
	if (r == 0 && q->lax)
		c.recursive = recursive && strcmp(recursive, "true") == 0;
	else if (r == 0)
		r = parse_bool(q, "recursive", &c.recursive, fault);
	if (r == 0)
		*ret = c;
	return r;
}

/* ---- events ---- */

static int parse_types(const struct cgm_query *q, unsigned *ret, char fault[CGM_FAULT_BYTES])
{
	static const char *const names[CGM_NR_RECORD_TYPES] = { "oom_events", "oom_kill_events", "creation_events", "deletion_events" };
	bool all = false, one;
	int r = parse_bool(q, "all_events", &all, fault);

	*ret = all ? (1u << CGM_NR_RECORD_TYPES) - 1 : 0;
	for (unsigned t = 0; r == 0 && t < CGM_NR_RECORD_TYPES; t++) {
		one = false;
		r = parse_bool(q, names[t], &one, fault);
		*ret |= (unsigned)one << t;
	}
	return r;
}

static int parse_max(const struct cgm_query *q, uint64_t *ret, char fault[CGM_FAULT_BYTES])
{
	const char *v = value_of(q, "max_events");
	int64_t n;

	if (!v)
		return 0;
	if (cgm_parse_i64(cgm_str(v), &n) < 0)
		return q->lax ? 0 : fault_of(fault, "max_events", v, "a whole number, -1 or more");
	if (n < -1 && !q->lax)
		return fault_of(fault, "max_events", v, "-1 or more");
	*ret = n > 0 ? (uint64_t)n : UINT64_MAX;
	return 0;
}

/* A moment before 1970 is no bound as a start, and leaves nothing as an end. */
static int parse_time(const struct cgm_query *q, const char *name, uint64_t before_epoch, uint64_t *ret, char fault[CGM_FAULT_BYTES])
{
	const char *v = value_of(q, name);
	int64_t ns;

	if (!v)
		return 0;
	if (cgm_parse_rfc3339(cgm_str(v), &ns) < 0)
		return q->lax ? 0 : fault_of(fault, name, v, "a time as in RFC 3339");
	*ret = ns > 0 ? (uint64_t)ns : before_epoch;
	return 0;
}

int cgm_query_events(const struct cgm_query *q, struct cgm_events_query *ret, char fault[CGM_FAULT_BYTES])
{
	struct cgm_events_query e = { .max = 10 };
	int r = parse_types(q, &e.types, fault);

	if (r == 0)
		r = parse_bool(q, "stream", &e.stream, fault);
	if (r == 0)
		r = parse_bool(q, "subcontainers", &e.subcontainers, fault);
	if (r == 0)
		r = parse_max(q, &e.max, fault);
	if (r == 0)
		r = parse_time(q, "start_time", 0, &e.start_ns, fault);
	if (r == 0)
		r = parse_time(q, "end_time", 1, &e.end_ns, fault);
	if (r == 0)
		*ret = e;
	return r;
}

/* ---- the kubelet's Summary ---- */

int cgm_query_kubelet(const struct cgm_query *q, bool *ret_only_cpu_and_memory, char fault[CGM_FAULT_BYTES])
{
	return parse_bool(q, "only_cpu_and_memory", ret_only_cpu_and_memory, fault);
}

/* ---- the reference ---- */

void cgm_query_names(unsigned params, struct cgm_buf *out)
{
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!(table[i].params & params))
			continue;
		cgm_buf_printf(out, "%s%s", first ? "" : ", ", table[i].name);
		first = false;
	}
}

void cgm_query_describe(unsigned params, struct cgm_buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].params & params)
			cgm_buf_printf(out, "| `%s` | %s | %s | %s |\n", table[i].name, table[i].values, table[i].def, table[i].help);
}
