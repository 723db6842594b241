// SPDX-License-Identifier: Apache-2.0
#include "output/perf_config.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

#define MAX_EVENTS 64

struct parser {
	int root_fd;
	char *fault;
};

static int _printf_(2, 3) wrong(struct parser *p, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->fault = cgm_strdup(text);
	return -EINVAL;
}

static void unref(json_t **j)
{
	json_decref(*j);
}

/* A number, or a text such as "0x5300c0". */
static bool read_number(const json_t *j, uint64_t *ret)
{
	struct cgm_str s;

	if (json_is_integer(j) && json_integer_value(j) >= 0) {
		*ret = (uint64_t)json_integer_value(j);
		return true;
	}
	if (!json_is_string(j))
		return false;
	s = cgm_str(json_string_value(j));
	if (s.len > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x')
		return cgm_parse_hex((struct cgm_str){ s.p + 2, s.len - 2 }, ret) == 0;
	return cgm_parse_u64(s, ret) == 0;
}

/* The custom event of that name; NULL: none. */
static const json_t *custom_of(const json_t *section, const char *name)
{
	const json_t *list = json_object_get(section, "custom_events"), *one;
	size_t i;

	json_array_foreach (list, i, one) {
		const char *own = json_string_value(json_object_get(one, "name"));

		if (own && strcmp(own, name) == 0)
			return one;
	}
	return NULL;
}

static int read_custom(struct parser *p, const json_t *custom, struct cgm_perf_event *e)
{
	const json_t *config = json_object_get(custom, "config"), *type = json_object_get(custom, "type"), *one;
	uint64_t v = 0;
	size_t i;

	if (type && (!read_number(type, &v) || v > UINT32_MAX))
		return wrong(p, "custom event \"%s\": type is no number", e->name);
	e->type = (uint32_t)v;
	e->custom = true;
	if (!json_is_array(config) || json_array_size(config) < 1 || json_array_size(config) > 3)
		return wrong(p, "custom event \"%s\": config is no list of one to three numbers", e->name);
	json_array_foreach (config, i, one)
		if (!read_number(one, &e->config[i]))
			return wrong(p, "custom event \"%s\": a number of config is none", e->name);
	return 0;
}

struct list {
	struct cgm_perf_event *v;
	size_t nr, cap;
	bool uncore;
};

static int add_event(struct parser *p, const json_t *section, const json_t *name, uint32_t group, struct list *to)
{
	const char *text = json_string_value(name);
	struct cgm_perf_event *e;
	const json_t *custom;
	int r;

	if (!text || !*text || strlen(text) >= CGM_PERF_NAME)
		return wrong(p, "an event's name is no text of at most %d characters", CGM_PERF_NAME - 1);
	for (size_t i = 0; i < to->nr; i++)
		if (strcmp(to->v[i].name, text) == 0)
			return wrong(p, "the event \"%s\" is there twice", text);
	if (to->uncore && (!strchr(text, '/') || *text == '/'))
		return wrong(p, "the uncore event \"%s\" is not of the form PMU/EVENT", text);
	if (to->nr == MAX_EVENTS)
		return wrong(p, "there are more than %d events", MAX_EVENTS);
	if (cgm_grow((void **)&to->v, &to->cap, to->nr, sizeof(*to->v)) < 0)
		return -ENOMEM;
	e = &to->v[to->nr];
	*e = (struct cgm_perf_event){ .group = group };
	snprintf(e->name, sizeof(e->name), "%s", text);
	custom = custom_of(section, text);
	r = custom ? read_custom(p, custom, e) : to->uncore ? 0 : cgm_perf_event_find(p->root_fd, text, e);
	if (r == -ENOENT)
		return wrong(p, "the event \"%s\" is not known here; give its type and config in custom_events", text);
	if (r == 0)
		to->nr++;
	return r;
}

/* A name alone is a group of one. */
static int read_events(struct parser *p, const json_t *root, const char *key, struct list *to)
{
	const json_t *section = json_object_get(root, key), *events = json_object_get(section, "events"), *one, *name;
	uint32_t group = 0;
	size_t i, n;
	int r = 0;

	if (section && !json_is_object(section))
		return wrong(p, "\"%s\" is no object", key);
	if (events && !json_is_array(events))
		return wrong(p, "\"%s\": events is no list", key);
	json_array_foreach (events, i, one) {
		group++;
		if (!json_is_array(one)) {
			r = add_event(p, section, one, group, to);
		} else {
			json_array_foreach (one, n, name) {
				r = add_event(p, section, name, group, to);
				if (r < 0)
					break;
			}
		}
		if (r < 0)
			return r;
	}
	return 0;
}

void cgm_perf_config_free(struct cgm_perf_config *c)
{
	if (!c)
		return;
	free(c->core);
	free(c->uncore);
	free(c);
}

int cgm_perf_config_parse(const char *text, size_t len, int root_fd, struct cgm_perf_config **ret, char **ret_fault)
{
	_cleanup_(cgm_perf_config_freep) struct cgm_perf_config *c = cgm_calloc(1, sizeof(*c));
	struct list core = { 0 }, uncore = { .uncore = true };
	struct parser p = { .root_fd = root_fd };
	json_error_t error;
	_cleanup_(unref) json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	int r = c ? 0 : -ENOMEM;

	*ret_fault = NULL;
	if (r == 0 && !root && json_error_code(&error) == json_error_out_of_memory)
		r = -ENOMEM;
	if (r == 0 && !json_is_object(root))
		r = root ? wrong(&p, "it is no object") : wrong(&p, "line %d: %s", error.line, error.text);
	if (r == 0)
		r = read_events(&p, root, "core", &core);
	if (r == 0)
		r = read_events(&p, root, "uncore", &uncore);
	if (c) {
		c->core = core.v;
		c->nr_core = core.nr;
		c->uncore = uncore.v;
		c->nr_uncore = uncore.nr;
	}
	*ret_fault = p.fault;
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}
