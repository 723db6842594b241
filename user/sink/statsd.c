// SPDX-License-Identifier: Apache-2.0
/*
 * cAdvisor's series as gauges, "db.container.series:value|g", by UDP (several lines a datagram) or TCP. statsd knows no times, so each tick
 * is sent at once; what is sent late counts as of then, and the newest comes last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sink/config.h"
#include "sink/lines.h"
#include "sink/series.h"
#include "sink/text.h"

struct state {
	const char *db;
	struct cgm_lines lines; /* the sender's, once it is open */
};

static int statsd_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	const char *address = *c->statsd_host ? c->statsd_host : c->host;
	_cleanup_free_ struct state *s = cgm_calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->lines.fd = -1;
	s->db = c->db;
	s->lines.tcp = strcmp(c->statsd_protocol, "tcp") == 0;
	if (!s->lines.tcp && strcmp(c->statsd_protocol, "udp") != 0)
		return cgm_sink_bad("--storage_driver_statsd_protocol", ret_flag, fault, "takes udp or tcp");
	if (cgm_split_host(address, 8125, s->lines.host, &s->lines.port) < 0)
		return cgm_sink_bad(*c->statsd_host ? "--storage_driver_statsd_host" : "--storage_driver_host", ret_flag, fault,
				    "\"%.100s\" is no host:port", address);
	*ret = TAKE_PTR(s);
	return 0;
}

static void statsd_close(void *state)
{
	struct state *s = state;

	cgm_lines_close(&s->lines);
	free(s);
}

struct line {
	struct cgm_buf *out;
	const char *db, *container;
};

static void put_point(void *arg, const struct cgm_series_point *p)
{
	const struct line *l = arg;

	cgm_text_statsd(l->out, l->db);
	cgm_buf_char(l->out, '.');
	cgm_text_statsd(l->out, l->container);
	cgm_buf_char(l->out, '.');
	if (p->device) {
		cgm_text_statsd(l->out, p->device);
		cgm_buf_char(l->out, '.');
	}
	cgm_buf_str(l->out, p->name);
	cgm_buf_str(l->out, p->suffix);
	cgm_buf_char(l->out, ':');
	cgm_buf_u64(l->out, p->value);
	cgm_buf_lit(l->out, "|g\n");
}

static uint64_t statsd_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	struct line l = { .out = out, .db = ((const struct state *)state)->db, .container = cgm_identity_shown(s->row->identity) };

	return cgm_series_each(s, CGM_IN_STATSD, put_point, &l);
}

static enum cgm_sink_result statsd_send(void *state, struct cgm_sink_attempt *a)
{
	return cgm_lines_send(&((struct state *)state)->lines, a);
}

const struct cgm_sink_driver cgm_sink_statsd = {
	.name = "statsd",
	.at_once = true,
	.open = statsd_open,
	.close = statsd_close,
	.encode = statsd_encode,
	.send = statsd_send,
};
