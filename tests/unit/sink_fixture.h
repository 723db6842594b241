/* SPDX-License-Identifier: Apache-2.0 */
/* One sample for the tests of user/sink, made as the sampler makes it: only what is set has a source. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "sink/driver.h"

#define FIXTURE_NS 1790000000123456789ULL /* 2026-09-21T14:13:20.123456789Z */

struct sink_fixture {
	struct cgm_sample sample;
	struct cgm_layout *layout;
	uint64_t *values;
	struct cgm_row row;
	struct cgm_sink_sample s;
};

static inline void fixture_begin(struct sink_fixture *f)
{
	*f = (struct sink_fixture){ 0 };
	cgm_sample_reset(&f->sample);
	f->sample.time_ns = FIXTURE_NS;
}

/* When f->sample has all that is wanted. */
static inline void fixture_end(struct sink_fixture *f, const char *name)
{
	f->layout = cgm_layout_for(NULL, &f->sample, NULL, NULL);
	assert_non_null(f->layout);
	f->values = calloc(f->layout->nr_values, sizeof(*f->values));
	assert_non_null(f->values);
	cgm_layout_pack(f->layout, &f->sample, f->values);
	f->row.identity = cgm_identity_new(name);
	assert_non_null(f->row.identity);
	f->row.layout = f->layout;
	f->row.values = f->values;
	f->row.time_ns = FIXTURE_NS;
	f->row.spec = (struct cgm_spec){ .creation_time_ns = FIXTURE_NS - 90000000000ULL, .has_memory = true, .memory_limit = 1 << 30 };
	f->s = (struct cgm_sink_sample){ .machine = "node 1", .row = &f->row, .time_ns = FIXTURE_NS, .layout = f->layout, .values = f->values };
}

static inline void fixture_done(struct sink_fixture *f)
{
	cgm_sample_done(&f->sample);
	cgm_layout_unref(f->layout);
	cgm_identity_unref(f->row.identity);
	free(f->values);
}

/* What every flag says when nobody gives it. */
#define FIXTURE_CONFIG                                                                                                                        \
	((struct cgm_sink_config){ .drivers = "", .machine_name = "node 1", .buffer_ns = 60000000000ULL, .queue_bytes = 32 << 20,              \
				   .max_batches = 10000, .timeout_ns = 20000000000ULL, .stop_ns = 1000000000ULL, .tls_ca_file = "",            \
				   .user = "root", .password = "root", .password_file = "", .host = "localhost:8086", .db = "cadvisor",        \
				   .table = "stats", .influxdb_host = "", .influxdb_version = "auto", .influxdb_org = "", .influxdb_bucket = "", \
				   .influxdb_token = "", .influxdb_token_file = "", .influxdb_retention_policy = "", .statsd_host = "",        \
				   .statsd_protocol = "udp", .redis_host = "", .redis_user = "", .es_host = "http://localhost:9200",           \
				   .es_index = "cadvisor", .es_type = "stats", .es_headers_file = "", .kafka_brokers = "localhost:9092",        \
				   .kafka_topic = "stats", .kafka_ssl_cert = "", .kafka_ssl_key = "", .kafka_ssl_ca = "",                      \
				   .kafka_ssl_verify = true, .otlp_endpoint = "http://localhost:4318", .otlp_headers_file = "",                \
				   .otlp_compression = "gzip" })
