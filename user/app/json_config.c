// SPDX-License-Identifier: Apache-2.0
#include "app/config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"

/* A whole number is meant as seconds; cAdvisor takes it for nanoseconds, of which a second is the least. */
#define MAX_SECONDS 1000000

static void unref(json_t **j)
{
	json_decref(*j);
}

#define wrong(fault, ...) (snprintf(fault, CGM_APP_FAULT, __VA_ARGS__), -EINVAL)

/* *ret is "" when there is none. */
static int get_text(const json_t *o, const char *key, const char **ret, char *fault)
{
	const json_t *v = json_object_get(o, key);
	const char *text;

	if (v && !json_is_string(v))
		return wrong(fault, "%s is no text", key);
	text = json_string_value(v);
	*ret = text ? text : "";
	return 0;
}

static int read_interval(const json_t *o, uint64_t *ret_ns, char *fault)
{
	const json_t *v = json_object_get(o, "polling_frequency");
	uint64_t ns = 0;

	if (json_is_string(v) && cgm_parse_duration_ns(cgm_str(json_string_value(v)), &ns) < 0)
		return wrong(fault, "polling_frequency \"%.32s\" is no duration", json_string_value(v));
	if (json_is_integer(v) && json_integer_value(v) > 0) {
		uint64_t number = (uint64_t)json_integer_value(v);

		ns = number < MAX_SECONDS ? number * CGM_NSEC_PER_SEC : number;
	} else if (v && !json_is_string(v)) {
		return wrong(fault, "polling_frequency is neither a duration nor a whole number");
	}
	*ret_ns = MAX(ns, CGM_NSEC_PER_SEC);
	return 0;
}

/* What the configuration is made of while its texts are still jansson's. */
struct draft {
	struct cgm_app_config c;
	struct cgm_app_wanted *wanted;
};

static void draft_done(struct draft *d)
{
	free(d->wanted);
}

static int read_port(const json_t *o, uint16_t *ret, char *fault)
{
	const json_t *v = json_object_get(o, "port");
	uint64_t port = 0;

	if (json_is_integer(v) && json_integer_value(v) > 0)
		port = (uint64_t)json_integer_value(v);
	else if (json_is_string(v))
		(void)cgm_parse_u64(cgm_str(json_string_value(v)), &port);
	if (!port || port > UINT16_MAX)
		return wrong(fault, "endpoint.port is no port");
	*ret = (uint16_t)port;
	return 0;
}

static int read_endpoint(const json_t *root, struct cgm_app_config *c, char *fault)
{
	const json_t *e = json_object_get(root, "endpoint");

	if (json_is_string(e)) {
		c->url = json_string_value(e);
		return strncmp(c->url, "http://", 7) == 0 || strncmp(c->url, "https://", 8) == 0 ? 0 : wrong(fault, "endpoint begins with neither http:// nor https://");
	}
	if (!json_is_object(e))
		return wrong(fault, "endpoint is neither an URL nor protocol, port and path");
	if (get_text(e, "protocol", &c->protocol, fault) < 0 || get_text(e, "path", &c->path, fault) < 0 || read_port(e, &c->port, fault) < 0)
		return -EINVAL;
	if (strcmp(c->protocol, "http") != 0 && strcmp(c->protocol, "https") != 0)
		return wrong(fault, "endpoint.protocol is neither http nor https");
	if (!*c->path)
		c->path = "/";
	return *c->path == '/' ? 0 : wrong(fault, "endpoint.path does not begin with /");
}

/* One metric and its regular expression. */
static int read_generic(const json_t *o, struct cgm_app_wanted *ret, uint64_t *least_ns, char *fault)
{
	struct cgm_app_wanted w = { 0 };
	const char *type = "", *data = "";
	uint64_t ns;

	if (!json_is_object(o))
		return wrong(fault, "metrics_config holds something else than objects");
	if (get_text(o, "name", &w.name, fault) < 0 || get_text(o, "units", &w.units, fault) < 0 || get_text(o, "regex", &w.regex, fault) < 0 ||
	    get_text(o, "metric_type", &type, fault) < 0 || get_text(o, "data_type", &data, fault) < 0 || read_interval(o, &ns, fault) < 0)
		return -EINVAL;
	if (!*w.name || !*w.regex)
		return wrong(fault, "a metric is without a name, or without a regex");
	if (*type && strcmp(type, "gauge") != 0 && strcmp(type, "cumulative") != 0)
		return wrong(fault, "metric_type \"%.32s\" is neither gauge nor cumulative", type);
	if (*data && strcmp(data, "int") != 0 && strcmp(data, "float") != 0)
		return wrong(fault, "data_type \"%.32s\" is neither int nor float", data);
	w.is_cumulative = strcmp(type, "cumulative") == 0;
	w.is_int = strcmp(data, "int") == 0;
	*least_ns = MIN(*least_ns, ns);
	*ret = w;
	return 0;
}

static int read_wanted(const json_t *root, bool is_prometheus, struct draft *d, char *fault)
{
	const json_t *list = json_object_get(root, "metrics_config"), *o;
	uint64_t least_ns = UINT64_MAX;
	size_t i;

	if (list && !json_is_array(list))
		return wrong(fault, "metrics_config is no array");
	d->c.nr_wanted = json_array_size(list);
	if (d->c.nr_wanted > CGM_APP_MAX_WANTED || (!d->c.nr_wanted && !is_prometheus))
		return wrong(fault, "metrics_config names %zu metrics", d->c.nr_wanted);
	if (read_interval(root, &d->c.interval_ns, fault) < 0)
		return -EINVAL;
	d->wanted = d->c.nr_wanted ? cgm_calloc(d->c.nr_wanted, sizeof(*d->wanted)) : NULL;
	if (d->c.nr_wanted && !d->wanted)
		return -ENOMEM;
	for (i = 0; d->wanted && i < d->c.nr_wanted; i++) {
		o = json_array_get(list, i);
		if (is_prometheus && !json_is_string(o))
			return wrong(fault, "metrics_config holds something else than names");
		if (is_prometheus)
			d->wanted[i] = (struct cgm_app_wanted){ .name = json_string_value(o), .units = "", .regex = "" };
		else if (read_generic(o, &d->wanted[i], &least_ns, fault) < 0)
			return -EINVAL;
	}
	if (!is_prometheus)
		d->c.interval_ns = least_ns;
	return 0;
}

static const char *keep(char **to, const char *s)
{
	const char *ret = *to;
	size_t size;

	if (!s)
		return NULL;
	size = strlen(s) + 1;
	memcpy(*to, s, size);
	*to += size;
	return ret;
}

static size_t room(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static int draft_keep(const struct draft *d, struct cgm_app_config **ret)
{
	size_t nr = d->wanted ? d->c.nr_wanted : 0, size = sizeof(**ret) + nr * sizeof(*d->wanted) + room(d->c.url) + room(d->c.protocol) + room(d->c.path);
	struct cgm_app_wanted *wanted;
	struct cgm_app_config *c;
	char *to;

	for (size_t i = 0; i < nr; i++)
		size += room(d->wanted[i].name) + room(d->wanted[i].units) + room(d->wanted[i].regex);
	c = cgm_malloc(size);
	if (!c)
		return -ENOMEM;
	wanted = (struct cgm_app_wanted *)(c + 1);
	to = (char *)(wanted + nr);
	*c = d->c;
	c->wanted = wanted;
	c->url = keep(&to, d->c.url);
	c->protocol = keep(&to, d->c.protocol);
	c->path = keep(&to, d->c.path);
	for (size_t i = 0; i < nr; i++) {
		wanted[i] = d->wanted[i];
		wanted[i].name = keep(&to, d->wanted[i].name);
		wanted[i].units = keep(&to, d->wanted[i].units);
		wanted[i].regex = keep(&to, d->wanted[i].regex);
	}
	*ret = c;
	return 0;
}

int cgm_app_config_parse(const char *text, size_t len, bool is_prometheus, struct cgm_app_config **ret, char *fault)
{
	_cleanup_(unref) json_t *root = NULL;
	_cleanup_(draft_done) struct draft d = { 0 };
	json_error_t error;
	int r;

	root = json_loadb(text, len, 0, &error);
	if (!root)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : wrong(fault, "line %d: %.100s", error.line, error.text);
	if (!json_is_object(root))
		return wrong(fault, "it is no object");
	r = read_endpoint(root, &d.c, fault);
	if (r == 0)
		r = read_wanted(root, is_prometheus, &d, fault);
	return r < 0 ? r : draft_keep(&d, ret);
}

void cgm_app_config_free(struct cgm_app_config *c)
{
	free(c);
}
