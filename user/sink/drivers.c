// SPDX-License-Identifier: Apache-2.0
/* The table of drivers, and the look at a configuration. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "sink/driver.h"

static const struct cgm_sink_driver *const drivers[] = {
	&cgm_sink_stdout, &cgm_sink_statsd, &cgm_sink_influxdb, &cgm_sink_redis, &cgm_sink_kafka, &cgm_sink_elasticsearch, &cgm_sink_otlp,
};

const char *cgm_sink_names(void)
{
	return "stdout, statsd, influxdb, redis, kafka, elasticsearch, otlp";
}

const struct cgm_sink_driver *cgm_sink_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strlen(drivers[i]->name) == len && memcmp(drivers[i]->name, name, len) == 0)
			return drivers[i];
	return NULL;
}

int cgm_sink_bad(const char *flag, const char **ret_flag, char *fault, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fault, CGM_SINK_FAULT, fmt, ap);
	va_end(ap);
	*ret_flag = flag;
	return -EINVAL;
}

enum cgm_sink_result cgm_sink_again(struct cgm_sink_attempt *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->fault, sizeof(a->fault), fmt, ap);
	va_end(ap);
	return CGM_SINK_AGAIN;
}

/* seen: those that were named before. */
static int check_driver(const struct cgm_sink_config *c, struct cgm_str name, bool seen[ARRAY_SIZE(drivers)], const char **ret_flag, char *fault)
{
	const struct cgm_sink_driver *d = cgm_sink_find(name.p, name.len);
	void *state;
	size_t i = 0;
	int r;

	if (cgm_str_eq(name, "bigquery"))
		return cgm_sink_bad("--storage_driver", ret_flag, fault,
				    "bigquery is not supported; otlp to an OpenTelemetry collector that writes to it can take its place. The drivers are %s",
				    cgm_sink_names());
	if (!d)
		return cgm_sink_bad("--storage_driver", ret_flag, fault, "there is no driver \"%.*s\"; the drivers are %s",
				    (int)MIN(name.len, (size_t)60), name.p, cgm_sink_names());
	while (drivers[i] != d)
		i++;
	if (seen[i])
		return cgm_sink_bad("--storage_driver", ret_flag, fault, "%s is named twice", d->name);
	seen[i] = true;
	r = d->open(c, &state, ret_flag, fault);
	if (r == 0)
		d->close(state);
	return r;
}

int cgm_sinks_check(const struct cgm_sink_config *c, const char **ret_flag, char *what, size_t size)
{
	struct cgm_str list = cgm_str(c->drivers), name;
	char fault[CGM_SINK_FAULT] = "";
	bool seen[ARRAY_SIZE(drivers)] = { false };
	int r = 0;

	if (!*c->drivers)
		return 0;
	*ret_flag = "--storage_driver";
	if (c->buffer_ns > 24 * 3600 * CGM_NSEC_PER_SEC)
		r = cgm_sink_bad("--storage_driver_buffer_duration", ret_flag, fault, "must be at most 24h");
	else if (c->queue_bytes < 1 << 20 || !c->max_batches)
		r = cgm_sink_bad(c->max_batches ? "--storage_driver_queue_bytes" : "--storage_driver_queue_batches", ret_flag, fault,
				 c->max_batches ? "must be at least 1048576" : "must be at least 1");
	else if (c->timeout_ns < 100 * CGM_NSEC_PER_MSEC || c->timeout_ns > 3600 * CGM_NSEC_PER_SEC)
		r = cgm_sink_bad("--storage_driver_timeout", ret_flag, fault, "must be from 100ms to 1h");
	while (r == 0 && cgm_next_field(&list, ',', &name)) {
		name = cgm_trim(name);
		if (name.len)
			r = check_driver(c, name, seen, ret_flag, fault);
	}
	if (r == -ENOMEM)
		snprintf(fault, sizeof(fault), "out of memory");
	if (r < 0)
		snprintf(what, size, "%s", fault);
	return r;
}
