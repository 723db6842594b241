// SPDX-License-Identifier: Apache-2.0
/* Which samples the gatherer encodes, with a driver that only notes them; and how batches come and go. */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "output/gzip.h"
#include "sink/internal.h"
#include "synthetic.h"

/* "name tick value" a line: the tick by the sample's time, the value must be that tick's. */
static uint64_t note(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	unsigned tick = (unsigned)((s->time_ns - SYNTH_FIRST_NS) / SYNTH_STEP_NS);

	(void)state;
	cgm_buf_printf(out, "%s %u %llu\n", s->row->identity->name, tick, (unsigned long long)s->values[CGM_V_MEMORY_USAGE] % 1000000 / 1000);
	return 1;
}

static uint64_t note_live(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	(void)state;
	cgm_buf_printf(out, "live %s\n", s->row->identity->name);
	return 1;
}

static enum cgm_sink_result never(void *state, struct cgm_sink_attempt *a)
{
	(void)state;
	return cgm_sink_again(a, "no");
}

static const struct cgm_sink_driver noter = { .name = "noter", .at_once = true, .encode = note, .send = never };
static const struct cgm_sink_driver slow_noter = { .name = "slow", .packed = true, .encode = note, .encode_live = note_live, .send = never };

struct bench {
	struct cgm_sink_config config;
	struct cgm_sinks sinks;
	struct cgm_sink sink;
	struct synth y;
};

static void begin(struct bench *b, const struct cgm_sink_driver *driver, const char *const *names, size_t nr)
{
	*b = (struct bench){ .config = { .buffer_ns = 3600ULL * CGM_NSEC_PER_SEC } };
	b->sinks = (struct cgm_sinks){ .config = &b->config, .sinks = &b->sink, .nr = 1, .machine = "m" };
	b->sink = (struct cgm_sink){ .driver = driver, .sinks = &b->sinks };
	cgm_sink_queue_init(&b->sink.queue, 1 << 20, 100);
	synth_init(&b->y, names, nr);
}

static void end(struct bench *b)
{
	cgm_sink_gather_done(&b->sinks);
	cgm_sink_queue_done(&b->sink.queue);
	synth_done(&b->y);
}

static void gather(struct bench *b)
{
	struct cgm_snapshot *s = synth_snapshot(&b->y);

	cgm_sink_gather(&b->sinks, s, false);
	cgm_snapshot_unref(s);
}

/* Identities are made anew for each snapshot by synth: here a container keeps its own. */
static void gather_same(struct bench *b, struct cgm_snapshot **before)
{
	struct cgm_snapshot *s = synth_snapshot(&b->y);

	for (size_t i = 0; *before && i < s->nr_rows && i < (*before)->nr_rows; i++) {
		cgm_identity_unref(s->rows[i].identity);
		s->rows[i].identity = cgm_identity_ref((*before)->rows[i].identity);
	}
	cgm_snapshot_unref(*before);
	*before = s;
	cgm_sink_gather(&b->sinks, s, false);
}

static void queued(struct bench *b, const char *wanted)
{
	char text[4096] = "";
	uint64_t bytes, batches;

	for (cgm_sink_queue_level(&b->sink.queue, &bytes, &batches); batches; batches--) {
		struct cgm_sink_batch *batch = cgm_sink_queue_take(&b->sink.queue);

		assert_true(strlen(text) + batch->len < sizeof(text));
		memcpy(text + strlen(text), batch->data, batch->len);
		cgm_sink_queue_finish(&b->sink.queue, batch);
	}
	assert_string_equal(text, wanted);
}

static const char *const two[] = { "/", "/a" };

static void test_gather__each_sample_once(void **state)
{
	struct cgm_snapshot *before = NULL;
	struct bench b;

	(void)state;
	begin(&b, &noter, two, 2);
	cgm_sink_gather(&b.sinks, NULL, false); /* before the first */
	synth_tick(&b.y);
	gather_same(&b, &before);
	queued(&b, "/ 0 0\n/a 0 0\n");
	cgm_sink_gather(&b.sinks, before, false); /* the same once more: nothing */
	queued(&b, "");
	synth_tick(&b.y);
	gather_same(&b, &before);
	queued(&b, "/ 1 1\n/a 1 1\n");
	cgm_snapshot_unref(before);
	end(&b);
}

/* Snapshots that nobody looked at: their samples come from the history, with the values of their time. */
static void test_gather__missed_snapshots(void **state)
{
	struct cgm_snapshot *before = NULL;
	struct bench b;

	(void)state;
	begin(&b, &noter, two, 2);
	synth_tick(&b.y);
	gather_same(&b, &before);
	queued(&b, "/ 0 0\n/a 0 0\n");
	for (int i = 0; i < 3; i++)
		synth_tick(&b.y);
	gather_same(&b, &before);
	queued(&b, "/ 1 1\n/ 2 2\n/ 3 3\n/a 1 1\n/a 2 2\n/a 3 3\n");
	assert_int_equal(b.sink.status.lost[CGM_SINK_GONE], 0);
	cgm_snapshot_unref(before);
	end(&b);
}

/* What was sampled before the drivers were there is written, too. */
static void test_gather__first_look(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, &noter, two, 2);
	for (int i = 0; i < 3; i++)
		synth_tick(&b.y);
	gather(&b);
	queued(&b, "/ 0 0\n/ 1 1\n/ 2 2\n/a 0 0\n/a 1 1\n/a 2 2\n");
	end(&b);
}

/* Containers come and go between two looks; of those that went nothing is known of the looks that were missed. */
static void test_gather__gone(void **state)
{
	static const char *const before_names[] = { "/", "/a", "/c" }, *const after_names[] = { "/", "/b", "/c", "/d" };
	struct bench b, after;

	(void)state;
	begin(&b, &noter, before_names, 3);
	synth_tick(&b.y);
	gather(&b);
	queued(&b, "/ 0 0\n/a 0 0\n/c 0 0\n");
	begin(&after, &noter, after_names, 4);
	for (int i = 0; i < 3; i++)
		synth_tick(&after.y);
	{
		struct cgm_snapshot *s = synth_snapshot(&after.y);

		s->seq = b.sinks.seq + 3;
		cgm_sink_gather(&b.sinks, s, false);
		cgm_snapshot_unref(s);
	}
	/* "/" and "/c" are others of the same name, as every identity of synth is: all of their history is new. */
	queued(&b, "/ 0 0\n/ 1 1\n/ 2 2\n/b 0 0\n/b 1 1\n/b 2 2\n/c 0 0\n/c 1 1\n/c 2 2\n/d 0 0\n/d 1 1\n/d 2 2\n");
	assert_int_equal(b.sink.status.lost[CGM_SINK_GONE], 3 * 2);
	end(&after);
	end(&b);
}

/* No look missed: a container that goes has lost nothing. */
static void test_gather__gone_without_a_gap(void **state)
{
	struct cgm_snapshot *s, *before = NULL;
	struct bench b;

	(void)state;
	begin(&b, &noter, two, 2);
	synth_tick(&b.y);
	gather_same(&b, &before);
	synth_tick(&b.y);
	s = synth_snapshot(&b.y);
	cgm_identity_unref(s->rows[1].identity);
	cgm_layout_unref(s->rows[1].layout);
	cgm_history_view_done(&s->rows[1].history);
	s->nr_rows = 1;
	cgm_identity_unref(s->rows[0].identity);
	s->rows[0].identity = cgm_identity_ref(before->rows[0].identity);
	cgm_sink_gather(&b.sinks, s, false);
	queued(&b, "/ 0 0\n/a 0 0\n/ 1 1\n");
	assert_int_equal(b.sink.status.lost[CGM_SINK_GONE], 0);
	cgm_snapshot_unref(s);
	cgm_snapshot_unref(before);
	end(&b);
}

/* The last sample of what has ended: once, however long it stands behind the rows; nothing of what ended before the first look. */
static void test_gather__ended(void **state)
{
	static const char *const four[] = { "/", "/a", "/b", "/c" };
	struct bench b;

	(void)state;
	begin(&b, &noter, four, 4);
	b.config.resolution_ns = 100 * SYNTH_STEP_NS; /* rows that live on are not due again */
	for (int i = 0; i < 3; i++) {
		struct cgm_snapshot *s;

		synth_tick(&b.y);
		s = synth_snapshot(&b.y);
		s->nr_rows = 1;
		s->nr_ended = 3;
		s->rows[1].changed_seq = 1;
		s->rows[2].changed_seq = 2;
		s->rows[3].changed_seq = 3;
		s->seq = i ? 3 + (uint64_t)i : 1;
		cgm_sink_gather(&b.sinks, s, false);
		cgm_snapshot_unref(s);
		queued(&b, i == 0 ? "/ 0 0\n" : i == 1 ? "/b 1 1\n/c 1 1\n" : "");
	}
	end(&b);
}

static void test_gather__resolution(void **state)
{
	struct cgm_snapshot *before = NULL;
	struct bench b;

	(void)state;
	begin(&b, &noter, two, 1);
	b.config.resolution_ns = 4 * SYNTH_STEP_NS;
	for (int i = 0; i < 9; i++) {
		synth_tick(&b.y);
		gather_same(&b, &before);
	}
	queued(&b, "/ 0 0\n/ 4 4\n/ 8 8\n");
	cgm_snapshot_unref(before);
	end(&b);
}

/* Batches wait for the buffer's time, or are full; what is live comes once with each. Compressed, they unpack to what went in. */
static void test_gather__commit(void **state)
{
	struct cgm_snapshot *before = NULL;
	uint64_t bytes, batches;
	struct bench b;

	(void)state;
	begin(&b, &slow_noter, two, 2);
	b.y.live = true;
	for (int i = 0; i < 3; i++) {
		synth_tick(&b.y);
		gather_same(&b, &before);
	}
	cgm_sink_queue_level(&b.sink.queue, &bytes, &batches);
	assert_int_equal(batches, 0);
	assert_int_equal(b.sink.open_points, 6);
	b.config.buffer_ns = 0;
	synth_tick(&b.y);
	gather_same(&b, &before);
	cgm_sink_queue_level(&b.sink.queue, &bytes, &batches);
	assert_int_equal(batches, 1);
	{
		struct cgm_sink_batch *batch = cgm_sink_queue_take(&b.sink.queue);
		struct cgm_buf text = { 0 };

		assert_int_equal(batch->nr_points, 8 + 2);
		assert_int_equal(cgm_gunzip_buf(batch->data, batch->len, &text), 0);
		cgm_buf_char(&text, '\0');
		assert_string_equal(text.p, "/ 0 0\n/a 0 0\n/ 1 1\n/a 1 1\n/ 2 2\n/a 2 2\n/ 3 3\n/a 3 3\nlive /\nlive /a\n");
		cgm_buf_done(&text);
		cgm_sink_queue_finish(&b.sink.queue, batch);
	}
	b.config.buffer_ns = 3600ULL * CGM_NSEC_PER_SEC;
	synth_tick(&b.y);
	gather_same(&b, &before);
	cgm_sink_gather(&b.sinks, before, true); /* the end */
	cgm_sink_queue_level(&b.sink.queue, &bytes, &batches);
	assert_int_equal(batches, 1);
	cgm_snapshot_unref(before);
	end(&b);
}

static uint64_t fill(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	(void)state;
	(void)s;
	cgm_buf_reserve(out, CGM_SINK_BATCH_BYTES / 4);
	memset(out->p + out->len, 'x', CGM_SINK_BATCH_BYTES / 4);
	out->len += CGM_SINK_BATCH_BYTES / 4;
	return 7;
}

static void test_gather__a_full_batch_is_committed(void **state)
{
	static const struct cgm_sink_driver filler = { .name = "filler", .encode = fill, .send = never };
	struct cgm_snapshot *before = NULL;
	uint64_t bytes, batches;
	struct bench b;

	(void)state;
	begin(&b, &filler, two, 1);
	for (int i = 0; i < 9; i++) {
		synth_tick(&b.y);
		gather_same(&b, &before);
	}
	cgm_sink_queue_level(&b.sink.queue, &bytes, &batches);
	assert_int_equal(batches, 2);
	assert_int_equal(bytes, 2 * CGM_SINK_BATCH_BYTES);
	for (int i = 0; i < 4; i++) { /* the queue takes two: the oldest goes */
		synth_tick(&b.y);
		gather_same(&b, &before);
	}
	assert_int_equal(b.sink.status.lost[CGM_SINK_QUEUE_FULL], 4 * 7);
	cgm_snapshot_unref(before);
	end(&b);
}

/* Whatever allocation fails: what is not in the queue is counted as lost, or comes later. */
static void test_gather__every_allocation_fails(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 30; n++) {
		struct cgm_snapshot *before = NULL, *s;
		uint64_t bytes, batches, lost = 0;
		struct bench b;

		begin(&b, &noter, two, 2);
		synth_tick(&b.y);
		gather_same(&b, &before);
		synth_tick(&b.y);
		synth_tick(&b.y);
		s = synth_snapshot(&b.y);
		for (size_t i = 0; i < s->nr_rows; i++) {
			cgm_identity_unref(s->rows[i].identity);
			s->rows[i].identity = cgm_identity_ref(before->rows[i].identity);
		}
		cgm_mem_fail_at(n);
		cgm_sink_gather(&b.sinks, s, false);
		cgm_mem_fail_at(0);
		cgm_sink_gather(&b.sinks, s, true);
		cgm_snapshot_unref(s);
		for (cgm_sink_queue_level(&b.sink.queue, &bytes, &batches); batches; batches--) {
			struct cgm_sink_batch *batch = cgm_sink_queue_take(&b.sink.queue);

			lost -= batch->nr_points;
			cgm_sink_queue_finish(&b.sink.queue, batch);
		}
		lost -= b.sink.status.lost[CGM_SINK_MEMORY];
		assert_true(0 - lost >= 5 && 0 - lost <= 6); /* six samples; where the history breaks off, at least one is counted */
		cgm_snapshot_unref(before);
		end(&b);
	}
}

/* ---- the sender ---- */

struct script {
	const enum cgm_sink_result *results;
	size_t at;
	char sent[64];
	uint64_t nr_lost;
};

static enum cgm_sink_result play(void *state, struct cgm_sink_attempt *a)
{
	struct script *s = state;

	assert_int_equal(a->first, s->at == 0);
	snprintf(s->sent, sizeof(s->sent), "%.*s", (int)a->len, a->data);
	a->nr_lost = s->nr_lost;
	a->loss = CGM_SINK_REJECTED;
	snprintf(a->fault, sizeof(a->fault), "by the script");
	return s->results[s->at++];
}

static const struct cgm_sink_driver player = { .name = "player", .send = play };

static struct cgm_sink_status deliver(const struct cgm_sink_driver *driver, struct script *script, uint64_t stop_ns)
{
	struct cgm_sink_config config = { .timeout_ns = CGM_NSEC_PER_SEC };
	struct cgm_sinks sinks = { .config = &config };
	struct cgm_sink sink = { .driver = driver, .state = script, .sinks = &sinks };
	struct cgm_sink_batch *batch;
	uint64_t dropped;

	assert_int_equal(cgm_sink_stop_init(&sinks.stop), 0);
	cgm_sink_queue_init(&sink.queue, 1000, 10);
	assert_int_equal(cgm_sink_queue_put(&sink.queue, "hello", 5, 3, &dropped), 0);
	batch = cgm_sink_queue_take(&sink.queue);
	if (stop_ns)
		cgm_sink_stop_ask(&sinks.stop, stop_ns);
	cgm_sink_deliver(&sink, batch);
	cgm_sink_queue_finish(&sink.queue, batch);
	cgm_sink_queue_done(&sink.queue);
	cgm_sink_stop_done(&sinks.stop);
	return sink.status;
}

static void test_deliver__again_and_written(void **state)
{
	static const enum cgm_sink_result results[] = { CGM_SINK_AGAIN, CGM_SINK_WRITTEN };
	struct script script = { .results = results };
	struct cgm_sink_status s = deliver(&player, &script, 0);

	(void)state;
	assert_string_equal(script.sent, "hello");
	assert_int_equal(script.at, 2);
	assert_true(s.nr_points == 3 && s.nr_batches == 1 && s.bytes == 5 && s.nr_retries == 1 && s.last_success_ns);
}

static void test_deliver__refused(void **state)
{
	static const enum cgm_sink_result results[] = { CGM_SINK_WRITTEN };
	struct script all = { .results = results, .nr_lost = 3 }, some = { .results = results, .nr_lost = 1 }, more = { .results = results, .nr_lost = 99 };
	struct cgm_sink_status s = deliver(&player, &all, 0);

	(void)state;
	assert_true(s.nr_points == 0 && s.nr_batches == 0 && s.lost[CGM_SINK_REJECTED] == 3 && !s.last_success_ns);
	s = deliver(&player, &some, 0);
	assert_true(s.nr_points == 2 && s.nr_batches == 1 && s.lost[CGM_SINK_REJECTED] == 1 && s.last_success_ns);
	s = deliver(&player, &more, 0);
	assert_true(s.nr_points == 0 && s.lost[CGM_SINK_REJECTED] == 3);
}

/* The end: tries go on until the deadline, and what is left is counted. */
static void test_deliver__the_end(void **state)
{
	struct cgm_sink_driver refuser = { .name = "refuser", .send = never };
	uint64_t began = cgm_clock_mono_ns();
	struct cgm_sink_status s = deliver(&refuser, NULL, 500 * CGM_NSEC_PER_MSEC);

	(void)state;
	assert_in_range(cgm_clock_mono_ns() - began, 450 * CGM_NSEC_PER_MSEC, 5 * CGM_NSEC_PER_SEC);
	assert_true(s.nr_retries >= 2 && s.lost[CGM_SINK_STOPPED] == 3 && !s.nr_points);
}

/* A batch that cannot be unpacked is lost, not sent. */
static void test_deliver__packed(void **state)
{
	static const struct cgm_sink_driver unpacker = { .name = "unpacker", .packed = true, .send = play };
	struct script script = { 0 };
	struct cgm_sink_status s = deliver(&unpacker, &script, 0);

	(void)state;
	assert_int_equal(script.at, 0);
	assert_int_equal(s.lost[CGM_SINK_MEMORY], 3);
}

/* ---- waiting ---- */

static void test_wait(void **state)
{
	uint64_t began = cgm_clock_mono_ns();
	struct cgm_sink_stop stop;
	int fd = eventfd(1, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(cgm_sink_stop_init(&stop), 0);
	assert_false(cgm_sink_stopping(&stop));
	assert_int_equal(cgm_sink_poll(&stop, fd, 1 /* POLLIN */, began + CGM_NSEC_PER_SEC), 1);
	assert_int_equal(cgm_sink_poll(&stop, -1, 0, began + 20 * CGM_NSEC_PER_MSEC), 0);
	assert_in_range(cgm_clock_mono_ns() - began, 20 * CGM_NSEC_PER_MSEC, CGM_NSEC_PER_SEC);
	cgm_sink_stop_ask(&stop, 100 * CGM_NSEC_PER_MSEC);
	assert_true(cgm_sink_stopping(&stop) && !cgm_sink_stopped(&stop));
	cgm_sink_sleep(&stop, UINT64_MAX); /* does not sleep any more */
	assert_int_equal(cgm_sink_poll(&stop, -1, 0, UINT64_MAX), 0); /* until the deadline */
	assert_true(cgm_sink_stopped(&stop));
	assert_in_range(cgm_clock_mono_ns() - began, 100 * CGM_NSEC_PER_MSEC, 2 * CGM_NSEC_PER_SEC);
	close(fd);
	cgm_sink_stop_done(&stop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gather__each_sample_once),
		cmocka_unit_test(test_gather__missed_snapshots),
		cmocka_unit_test(test_gather__first_look),
		cmocka_unit_test(test_gather__gone),
		cmocka_unit_test(test_gather__gone_without_a_gap),
		cmocka_unit_test(test_gather__ended),
		cmocka_unit_test(test_gather__resolution),
		cmocka_unit_test(test_gather__commit),
		cmocka_unit_test(test_gather__a_full_batch_is_committed),
		cmocka_unit_test(test_gather__every_allocation_fails),
		cmocka_unit_test(test_deliver__again_and_written),
		cmocka_unit_test(test_deliver__refused),
		cmocka_unit_test(test_deliver__the_end),
		cmocka_unit_test(test_deliver__packed),
		cmocka_unit_test(test_wait),
	};

	return cmocka_run_group_tests_name("sink_gather", tests, NULL, NULL);
}
