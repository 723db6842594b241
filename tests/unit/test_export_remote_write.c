// SPDX-License-Identifier: Apache-2.0
/* Remote write, read back by libprotobuf-c and libsnappy: what they do not know of remote_write.proto is an error. */
#include "export_slices.h"
#include "export_server.h"

#include <math.h>
#include <snappy-c.h>

#include "remote_write.pb-c.h"

#define ALL (EXPORT_POINTS + EXPORT_SUMS_POINTS)

static Remote__WriteRequest *unpack(const char *p, size_t len)
{
	Remote__WriteRequest *q = remote__write_request__unpack(NULL, len, (const uint8_t *)p);

	assert_non_null(q);
	assert_int_equal(q->base.n_unknown_fields, 0);
	for (size_t i = 0; i < q->n_timeseries; i++) {
		const Remote__TimeSeries *t = q->timeseries[i];

		assert_int_equal(t->base.n_unknown_fields, 0);
		assert_int_equal(t->n_samples + t->n_histograms, 1);
		for (size_t l = 0; l < t->n_labels; l++) {
			assert_int_equal(t->labels[l]->base.n_unknown_fields, 0);
			assert_true(*t->labels[l]->value);
			/* Sorted by name, each once. */
			if (l)
				assert_true(strcmp(t->labels[l - 1]->name, t->labels[l]->name) < 0);
		}
	}
	return q;
}

static const char *label(const Remote__TimeSeries *t, const char *name)
{
	for (size_t i = 0; i < t->n_labels; i++)
		if (strcmp(t->labels[i]->name, name) == 0)
			return t->labels[i]->value;
	return "";
}

/* The series of that name, and of that label. */
static const Remote__TimeSeries *find(const Remote__WriteRequest *q, const char *name, const char *key, const char *value)
{
	const Remote__TimeSeries *found = NULL;

	for (size_t i = 0; i < q->n_timeseries; i++)
		if (strcmp(label(q->timeseries[i], "__name__"), name) == 0 && strcmp(label(q->timeseries[i], key), value) == 0) {
			assert_null(found);
			found = q->timeseries[i];
		}
	if (!found)
		fail_msg("no %s with %s=%s", name, key, value);
	return found;
}

static double value(const Remote__WriteRequest *q, const char *name, const char *key, const char *text)
{
	const Remote__TimeSeries *t = find(q, name, key, text);

	assert_int_equal(t->n_samples, 1);
	assert_true(t->samples[0]->timestamp == (int64_t)(EXPORT_NS / 1000000));
	return t->samples[0]->value;
}

static void test_remote_write__series(void **state)
{
	const Remote__TimeSeries *t;
	Remote__WriteRequest *q;
	struct exported e;

	(void)state;
	export_open(&e, &cgm_export_remote_write, "remote_write:http://127.0.0.1:1?cluster_name=c1&histograms=none");
	export_text(&e);
	q = unpack(e.out.p, e.out.len);
	assert_int_equal(q->n_timeseries, ALL);
	assert_true(value(q, "cgmeter_cluster_cpu_usage_seconds_total", "type", "node") == 1.5);
	assert_true(value(q, "cgmeter_cluster_cpu_usage_cores", "type", "node") == 0.25);
	assert_true(value(q, "cgmeter_cluster_cpu_usage_cores", "type", "ns") == 0.04);
	assert_true(value(q, "cgmeter_cluster_memory_usage_bytes", "type", "cluster") == 123456789);
	assert_true(value(q, "cgmeter_cluster_uptime_seconds", "container_name", "coredns") == 90);
	assert_true(value(q, "cgmeter_cluster_filesystem_usage_bytes", "resource_id", "Volume:data") == 7000);
	assert_true(value(q, "cgmeter_cluster_accelerator_duty_cycle_ratio", "make", "acme") == 0.55);
	t = find(q, "cgmeter_cluster_custom", "metric", "queue.len");
	assert_true(t->samples[0]->value == -2.5);
	assert_string_equal(label(t, "path"), "/x y");
	assert_string_equal(label(t, "le"), "a.b");
	t = find(q, "cgmeter_cluster_restarts", "type", "pod_container");
	assert_string_equal(label(t, "cluster"), "c1");
	assert_string_equal(label(t, "hostname"), "host.1");
	assert_string_equal(label(t, "app_io_x"), "one");
	assert_string_equal(label(t, "app_io_x_"), "e vil\"\\,=:|;.\n\\xff\xc3\xa4"); /* as a value may be anything but no UTF-8 */
	assert_string_equal(label(t, "labels"), "app_name:dns,tier:x");
	assert_string_equal(label(t, "container_base_image"), "k8s.io/dns:1");
	assert_string_equal(label(t, "tier"), "");
	assert_true(value(q, "cgmeter_cluster_memory_usage_bytes", "pod_name", "e vil\"\\,=:|;.\n\\xff\xc3\xa4") == (double)INT64_MAX);
	remote__write_request__free_unpacked(q, NULL);
	export_close(&e);
}

static void test_remote_write__classic(void **state)
{
	Remote__WriteRequest *q;
	struct exported e;
	double last = 0;
	unsigned nr = 0;

	(void)state;
	export_open(&e, &cgm_export_remote_write, "remote_write:http://127.0.0.1:1");
	export_text(&e);
	q = unpack(e.out.p, e.out.len);
	assert_int_equal(q->n_timeseries, ALL + CGM_CH_BUCKETS + 2);
	assert_true(value(q, "cgmeter_cluster_run_queue_delay_seconds_bucket", "le", "9.5367431640625e-07") == 4);
	assert_true(value(q, "cgmeter_cluster_run_queue_delay_seconds_bucket", "le", "0.0009765625") == 4);
	assert_true(value(q, "cgmeter_cluster_run_queue_delay_seconds_bucket", "le", "0.001953125") == 12);
	assert_true(value(q, "cgmeter_cluster_run_queue_delay_seconds_bucket", "le", "64") == 12);
	assert_true(value(q, "cgmeter_cluster_run_queue_delay_seconds_bucket", "le", "+Inf") == 15);
	assert_true(value(q, "cgmeter_cluster_run_queue_delay_seconds_sum", "cluster", "default") == 2.5);
	assert_true(value(q, "cgmeter_cluster_run_queue_delay_seconds_count", "cluster", "default") == 15);
	for (size_t i = 0; i < q->n_timeseries; i++)
		if (strcmp(label(q->timeseries[i], "__name__"), "cgmeter_cluster_run_queue_delay_seconds_bucket") == 0) {
			assert_true(q->timeseries[i]->samples[0]->value >= last);
			last = q->timeseries[i]->samples[0]->value;
			nr++;
		}
	assert_int_equal(nr, CGM_CH_BUCKETS);
	remote__write_request__free_unpacked(q, NULL);
	export_close(&e);
}

static void test_remote_write__native(void **state)
{
	const Remote__Histogram *h;
	Remote__WriteRequest *q;
	struct exported e;
	int64_t bucket = 0;

	(void)state;
	export_open(&e, &cgm_export_remote_write, "remote_write:http://127.0.0.1:1?histograms=native");
	export_text(&e);
	q = unpack(e.out.p, e.out.len);
	assert_int_equal(q->n_timeseries, ALL + 1);
	h = find(q, "cgmeter_cluster_run_queue_delay_seconds", "cluster", "default")->histograms[0];
	assert_int_equal(h->base.n_unknown_fields, 0);
	assert_int_equal(h->count_int, 15);
	assert_true(h->sum == 2.5);
	assert_true(h->has_schema && h->schema == 0);
	assert_true(h->zero_threshold == 0x1p-20 && h->zero_count_int == 4);
	assert_true(h->timestamp == (int64_t)(EXPORT_NS / 1000000));
	assert_int_equal(h->n_positive_spans, 1);
	assert_int_equal(h->positive_spans[0]->offset, -9); /* ends at 2^-9 s */
	assert_int_equal(h->positive_spans[0]->length, 17);
	assert_int_equal(h->n_positive_deltas, 17);
	for (unsigned i = 0; i < 17; i++) {
		bucket += h->positive_deltas[i];
		assert_int_equal(bucket, i == 0 ? 8 : i == 16 ? 3 : 0);
	}
	remote__write_request__free_unpacked(q, NULL);
	export_close(&e);
}

static void begin(struct export_server *server, struct exported *e, const char *options)
{
	char uri[256];

	export_server_start(server, EXPORT_HTTP);
	snprintf(uri, sizeof(uri), "remote_write:http://127.0.0.1:%u%s", server->port, options);
	export_open(e, &cgm_export_remote_write, uri);
	export_text(e);
}

static void test_remote_write__sends(void **state)
{
	struct export_server server;
	struct exported e;
	struct cgm_sink_attempt a;
	char plain[65536];
	size_t len = sizeof(plain);

	(void)state;
	begin(&server, &e, "?token=hush");
	export_server_add(&server, (struct export_reaction){ .status = 204 });
	a = export_attempt(&e, true, 20000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 0);
	assert_non_null(strstr(server.requests[0].head, "POST /api/v1/write HTTP/1.1\r\n"));
	assert_non_null(strstr(server.requests[0].head, "Content-Encoding: snappy\r\n"));
	assert_non_null(strstr(server.requests[0].head, "Content-Type: application/x-protobuf\r\n"));
	assert_non_null(strstr(server.requests[0].head, "X-Prometheus-Remote-Write-Version: 0.1.0\r\n"));
	assert_non_null(strstr(server.requests[0].head, "Authorization: Bearer hush\r\n"));
	assert_int_equal(snappy_uncompress(server.requests[0].body, server.requests[0].len, plain, &len), SNAPPY_OK);
	assert_int_equal(len, e.out.len);
	assert_memory_equal(plain, e.out.p, len);
	export_close(&e);
	export_server_stop(&server);
}

static void test_remote_write__refused(void **state)
{
	static const struct {
		struct export_reaction reaction;
		bool again, lost;
		const char *says;
	} cases[] = {
		{ { .status = 200 }, false, false, "" },
		{ { .status = 400, .body = "out of order sample" }, false, true, "status 400: out of order sample" },
		{ { .status = 403 }, false, true, "403" },
		{ { .status = 429, .headers = "Retry-After: 3\r\n" }, true, false, "429" },
		{ { .status = 503 }, true, false, "503" },
		{ { .how = EXPORT_RESET }, true, false, "127.0.0.1" },
		{ { .how = EXPORT_HALF, .status = 200 }, true, false, "127.0.0.1" },
		{ { .how = EXPORT_HANG }, true, false, "in time" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct export_server server;
		struct exported e;
		struct cgm_sink_attempt a;
		enum cgm_sink_result r;

		begin(&server, &e, "/push?user=u&pw=hush");
		export_server_add(&server, cases[i].reaction);
		a = export_attempt(&e, true, cases[i].reaction.how == EXPORT_HANG ? 100 : 20000);
		r = e.exporter->send(e.state, &a);
		if (r != (cases[i].again ? CGM_SINK_AGAIN : CGM_SINK_WRITTEN) || a.nr_lost != (cases[i].lost ? ALL : 0) || !strstr(a.fault, cases[i].says))
			fail_msg("case %zu: %d, %u lost, \"%s\"", i, r, (unsigned)a.nr_lost, a.fault);
		assert_null(strstr(a.fault, "hush"));
		export_close(&e);
		export_server_stop(&server);
	}
}

static void test_remote_write__options(void **state)
{
	(void)state;
	export_refused(&cgm_export_remote_write, "remote_write:http://h?histograms=some", "histograms");
	export_refused(&cgm_export_remote_write, "remote_write:ftp://h", "ftp://");
	export_refused(&cgm_export_remote_write, "remote_write:http://h?x=y", "unknown option x");
}

static void test_remote_write__no_memory(void **state)
{
	(void)state;
	export_fail_each(&cgm_export_remote_write, "remote_write:http://h?histograms=classic");
	export_fail_each(&cgm_export_remote_write, "remote_write:http://h?histograms=native");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remote_write__series),  cmocka_unit_test(test_remote_write__classic), cmocka_unit_test(test_remote_write__native),
		cmocka_unit_test(test_remote_write__sends),   cmocka_unit_test(test_remote_write__refused), cmocka_unit_test(test_remote_write__options),
		cmocka_unit_test(test_remote_write__no_memory),
	};

	return cmocka_run_group_tests_name("export_remote_write", tests, NULL, NULL);
}
