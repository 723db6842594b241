// SPDX-License-Identifier: Apache-2.0
/*
 * A message for each point, Heapster's JSON: {"MetricsName","MetricsValue":{"value"},"MetricsTimestamp","MetricsTags"}. Points with labels of their own have them among the tags. Acknowledged by all
 * replicas, and tried until it is (user/sink/kafka_client.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "export/driver.h"
#include "export/points.h"
#include "export/target.h"
#include "output/json.h"
#include "sink/kafka_client.h"

#define TOPIC "heapster-metrics"

/* All of "brokers", and in each a list with commas. */
static char *brokers_of(struct cgm_uri *uri)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	const char *one;

	for (size_t n = 0; (one = cgm_uri_option(uri, "brokers", n)); n++) {
		if (b.len)
			cgm_buf_char(&b, ',');
		cgm_buf_str(&b, one);
	}
	if (!b.len && *uri->rest) /* kafka:host:port[,host:port] */
		cgm_buf_str(&b, uri->rest);
	cgm_buf_char(&b, '\0');
	return b.failed ? NULL : cgm_strdup(b.p);
}

static const char *text_of(struct cgm_uri *uri, const char *name, const char *otherwise)
{
	const char *value = cgm_uri_option(uri, name, 0);

	return value ? value : otherwise;
}

/* Those of Heapster; more would be a library's that is built otherwise. */
static bool is_compression(const char *text)
{
	static const char *const known[] = { "none", "gzip", "snappy", "lz4" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(text, known[i]) == 0)
			return true;
	return false;
}

static int open_client(struct cgm_uri *uri, const struct cgm_export_config *config, const char *brokers, struct cgm_kafka **ret, char *fault)
{
	static const char *const options[CGM_NR_KAFKA_OPTIONS] = {
		[CGM_KAFKA_BROKERS] = "brokers", [CGM_KAFKA_TOPIC] = "timeseriestopic", [CGM_KAFKA_COMPRESSION] = "compression", [CGM_KAFKA_USER] = "user",
		[CGM_KAFKA_TLS] = "secure",	 [CGM_KAFKA_CERT] = "cert",		[CGM_KAFKA_KEY] = "key",		 [CGM_KAFKA_CA] = "cacert", [CGM_KAFKA_VERIFY] = "insecuressl",
	};
	struct cgm_kafka_config c = {
		.brokers = brokers, .topic = text_of(uri, "timeseriestopic", TOPIC), .compression = text_of(uri, "compression", "none"), .user = text_of(uri, "user", ""),
		.password = text_of(uri, "password", ""), .cert = text_of(uri, "cert", ""), .key = text_of(uri, "key", ""), .ca = text_of(uri, "cacert", ""),
		.default_ca = config->tls_ca_file ? config->tls_ca_file : "",
	};
	enum cgm_kafka_option option = CGM_KAFKA_ALL;
	char what[CGM_SINK_FAULT];
	int r;

	if (!cgm_uri_bool(uri, "secure", &c.tls, fault, CGM_SINK_FAULT) || !cgm_uri_bool(uri, "insecuressl", &c.skip_verify, fault, CGM_SINK_FAULT))
		return -EINVAL;
	if (!is_compression(c.compression)) {
		snprintf(fault, CGM_SINK_FAULT, "option compression: takes none, gzip, snappy or lz4");
		return -EINVAL;
	}
	r = cgm_kafka_new(&c, ret, &option, what);
	if (r == -EINVAL)
		snprintf(fault, CGM_SINK_FAULT, "%s%s%s%.200s", options[option] ? "option " : "", options[option] ? options[option] : "", options[option] ? ": " : "", what);
	return r;
}

static int kafka_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_free_ char *brokers = brokers_of(uri);
	struct cgm_kafka *k = NULL;
	int r;

	if (!brokers)
		return -ENOMEM;
	cgm_option_idle(uri, "eventstopic", "this sink writes metrics; there are no events to write");
	r = open_client(uri, config, brokers, &k, fault);
	if (r < 0)
		return r;
	*ret = k;
	return 0;
}

static void kafka_close(void *state)
{
	cgm_kafka_free(state);
}

static uint64_t kafka_encode(const void *state, const struct cgm_slice *slice, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	_cleanup_(cgm_buf_done) struct cgm_buf end = { 0 }, name = { 0 };
	struct cgm_cutter cutter = CGM_CUTTER(out, cut, arg);

	(void)state;
	for (uint32_t i = 0; i < slice->nr_sets; i++) {
		struct cgm_points it = CGM_POINTS(&slice->sets[i]);
		size_t time_len;
		struct cgm_point p;

		/* What all messages of a set have behind their value. */
		end.len = 0;
		cgm_buf_lit(&end, "},\"MetricsTimestamp\":");
		cgm_json_time(&end, slice->end_ns);
		cgm_buf_lit(&end, ",\"MetricsTags\":");
		time_len = end.len;
		cgm_tags_json(slice->sets[i].entity, NULL, &end);
		while (cgm_points_next(&it, &p)) {
			name.len = 0;
			cgm_point_name(&p, &name);
			cgm_buf_char(&name, '\0');
			if (name.failed || end.failed)
				break;
			cgm_buf_lit(out, "{\"MetricsName\":");
			cgm_json_string(out, name.p);
			cgm_buf_lit(out, ",\"MetricsValue\":{\"value\":");
			cgm_point_value(&p, out);
			cgm_buf_put(out, end.p, p.labeled ? time_len : end.len);
			if (p.labeled)
				cgm_tags_json(slice->sets[i].entity, p.labeled, out);
			cgm_buf_lit(out, "}\n");
			cgm_cutter_add(&cutter, 1);
		}
	}
	out->failed |= end.failed || name.failed;
	return cutter.nr_points;
}

static enum cgm_sink_result kafka_send(void *state, struct cgm_sink_attempt *a)
{
	return cgm_kafka_send(state, a);
}

const struct cgm_exporter cgm_export_kafka = {
	.name = "kafka",
	.open = kafka_open,
	.close = kafka_close,
	.encode = kafka_encode,
	.send = kafka_send,
};
