// SPDX-License-Identifier: Apache-2.0
/*
 * A line on standard output for each sample: cName=… host=… timestamp=… and cAdvisor's series as key=value. As there, "host" is what
 * --storage_driver_host says, when it says something; else it is the name of the machine.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sink/series.h"
#include "sink/text.h"

#define PIECE 4096 /* what a pipe takes at once when poll() says that it takes something */

struct state {
	const char *host; /* NULL: the machine's name */
	/* the sender's */
	size_t written; /* of the batch under way */
};

static int stdout_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	struct state *s = cgm_calloc(1, sizeof(*s));

	(void)ret_flag;
	(void)fault;
	if (!s)
		return -ENOMEM;
	s->host = strcmp(c->host, CGM_SINK_DEFAULT_HOST) != 0 && *c->host ? c->host : NULL;
	*ret = s;
	return 0;
}

static void put_point(void *arg, const struct cgm_series_point *p)
{
	struct cgm_buf *b = arg;

	cgm_buf_char(b, ' ');
	if (p->device) {
		cgm_text_word(b, p->device);
		cgm_buf_char(b, '.');
	}
	cgm_buf_str(b, p->name);
	cgm_buf_str(b, p->suffix);
	cgm_buf_char(b, '=');
	cgm_buf_u64(b, p->value);
}

static uint64_t stdout_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	const struct state *st = state;

	cgm_buf_lit(out, "cName=");
	cgm_text_word(out, cgm_identity_shown(s->row->identity));
	cgm_buf_lit(out, " host=");
	cgm_text_word(out, st->host ? st->host : s->machine);
	cgm_buf_lit(out, " timestamp=");
	cgm_buf_u64(out, s->time_ns);
	(void)cgm_series_each(s, CGM_IN_STDOUT, put_point, out);
	cgm_buf_char(out, '\n');
	return 1;
}

enum cgm_sink_result cgm_sink_write_stdout(struct cgm_sink_attempt *a, size_t *written)
{
	if (a->first)
		*written = 0;
	while (*written < a->len) {
		size_t nr = MIN(a->len - *written, (size_t)PIECE);
		ssize_t n;

		if (!cgm_sink_poll(a->stop, STDOUT_FILENO, POLLOUT, a->until_ns))
			return cgm_sink_again(a, "nobody reads standard output");
		n = write(STDOUT_FILENO, a->data + *written, nr);
		if (n > 0)
			*written += (size_t)n;
		if (n >= 0 || errno == EINTR || errno == EAGAIN)
			continue;
		if (errno == ENOSPC || errno == EIO)
			return cgm_sink_again(a, "cannot write to standard output: %s", strerror(errno));
		/* Closed: that does not come back. */
		(void)cgm_sink_again(a, "cannot write to standard output: %s", strerror(errno));
		a->nr_lost = a->nr_points;
		a->loss = CGM_SINK_REJECTED;
		return CGM_SINK_WRITTEN;
	}
	return CGM_SINK_WRITTEN;
}

static enum cgm_sink_result stdout_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;

	return cgm_sink_write_stdout(a, &s->written);
}

const struct cgm_sink_driver cgm_sink_stdout = {
	.name = "stdout",
	.at_once = true,
	.open = stdout_open,
	.close = free,
	.encode = stdout_encode,
	.send = stdout_send,
};
