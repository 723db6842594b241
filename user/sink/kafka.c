// SPDX-License-Identifier: Apache-2.0
/* A message for each document. */
#include <errno.h>

#include "sink/detail.h"
#include "sink/kafka_client.h"

static int kafka_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	static const char *const flags[CGM_NR_KAFKA_OPTIONS] = {
		[CGM_KAFKA_ALL] = "--storage_driver",
		[CGM_KAFKA_BROKERS] = "--storage_driver_kafka_broker_list",
		[CGM_KAFKA_TOPIC] = "--storage_driver_kafka_topic",
		[CGM_KAFKA_COMPRESSION] = "--storage_driver",
		[CGM_KAFKA_USER] = "--storage_driver",
		[CGM_KAFKA_TLS] = "--storage_driver_secure",
		[CGM_KAFKA_CERT] = "--storage_driver_kafka_ssl_cert",
		[CGM_KAFKA_KEY] = "--storage_driver_kafka_ssl_key",
		[CGM_KAFKA_CA] = "--storage_driver_kafka_ssl_ca",
		[CGM_KAFKA_VERIFY] = "--storage_driver_kafka_ssl_verify",
	};
	const struct cgm_kafka_config config = {
		.brokers = c->kafka_brokers, .topic = c->kafka_topic, .compression = "", .user = "", .password = "", .cert = c->kafka_ssl_cert, .key = c->kafka_ssl_key,
		.ca = c->kafka_ssl_ca, .default_ca = c->tls_ca_file, .tls = c->secure, .skip_verify = !c->kafka_ssl_verify,
	};
	enum cgm_kafka_option option = CGM_KAFKA_ALL;
	struct cgm_kafka *k;
	int r = cgm_kafka_new(&config, &k, &option, fault);

	if (r == -EINVAL)
		*ret_flag = flags[option];
	if (r < 0)
		return r;
	*ret = k;
	return 0;
}

static void kafka_close(void *state)
{
	cgm_kafka_free(state);
}

static uint64_t kafka_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	(void)state;
	cgm_detail(s, CGM_DETAIL_TEXT, out);
	cgm_buf_char(out, '\n');
	return 1;
}

static enum cgm_sink_result kafka_send(void *state, struct cgm_sink_attempt *a)
{
	return cgm_kafka_send(state, a);
}

const struct cgm_sink_driver cgm_sink_kafka = {
	.name = "kafka",
	.packed = true,
	.open = kafka_open,
	.close = kafka_close,
	.encode = kafka_encode,
	.send = kafka_send,
};
