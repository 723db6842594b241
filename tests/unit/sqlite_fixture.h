/* SPDX-License-Identifier: Apache-2.0 */
/* The sink sqlite without the threads of user/export: slices are encoded into one batch and sent. */
#pragma once
#include "cluster_fixture.h"
#include "scratch.h"

#include "base/clock.h"
#include "export/driver.h"
#include "export/sqlite.h"
#include "sink/driver.h"

struct sf_sink {
	void *state;
	struct cgm_sink_stop stop;
	struct cgm_buf batch;
	uint64_t nr_points, nr_cut;
	struct cgm_sink_attempt attempt; /* the last */
};

static inline int sf_try(struct sf_sink *s, const char *uri_text, char *fault)
{
	struct cgm_export_config config = { 0 };
	struct cgm_uri uri = { 0 };
	int r = cgm_uri_read(uri_text, &uri, fault, CGM_SINK_FAULT);

	*s = (struct sf_sink){ 0 };
	assert_int_equal(cgm_sink_stop_init(&s->stop), 0);
	if (r == 0)
		r = cgm_export_sqlite.open(&uri, &config, &s->state, fault);
	cgm_uri_done(&uri);
	return r;
}

static inline void sf_open(struct sf_sink *s, const char *path, const char *options)
{
	char uri[256], fault[CGM_SINK_FAULT] = "";

	snprintf(uri, sizeof(uri), "sqlite:%s%s", path, options);
	if (sf_try(s, uri, fault) < 0)
		fail_msg("%s: %s", uri, fault);
}

static inline void sf_close(struct sf_sink *s)
{
	if (s->state)
		cgm_export_sqlite.close(s->state);
	cgm_sink_stop_done(&s->stop);
	cgm_buf_done(&s->batch);
}

static inline void sf_cut(void *arg, uint64_t nr_points)
{
	((struct sf_sink *)arg)->nr_cut += nr_points;
}

/* The slice is encoded behind what the batch has. */
static inline void sf_encode(struct sf_sink *s, const struct cgm_slice *slice)
{
	s->nr_points += cgm_export_sqlite.encode(s->state, slice, &s->batch, sf_cut, s);
}

static inline enum cgm_sink_result sf_send(struct sf_sink *s)
{
	s->attempt = (struct cgm_sink_attempt){ .stop = &s->stop, .until_ns = cgm_clock_mono_ns() + 60 * CF_SEC, .data = s->batch.p, .len = s->batch.len,
						.nr_points = s->nr_points, .first = true };
	return cgm_export_sqlite.send(s->state, &s->attempt);
}

static inline void sf_written(struct sf_sink *s)
{
	if (sf_send(s) != CGM_SINK_WRITTEN || s->attempt.nr_lost)
		fail_msg("not written: %s", s->attempt.fault);
	s->batch.len = 0;
	s->nr_points = s->nr_cut = 0;
}

/* All recorded cycles of the fixture. */
static inline void sf_encode_recorded(struct sf_sink *s, const char *all)
{
	for (unsigned i = 0; i < CF_CYCLES; i++) {
		struct cgm_slice *node = cf_node_slice(all, i), *sums = cf_sums_slice(all, i);

		sf_encode(s, node);
		sf_encode(s, sums);
		cgm_slice_unref(node);
		cgm_slice_unref(sums);
	}
}
