/* SPDX-License-Identifier: Apache-2.0 */
/* A producer of one topic, by librdkafka, which is loaded with the first one. */
#pragma once
#include <stdbool.h>

#include "base/cleanup.h"
#include "sink/driver.h"

struct cgm_kafka_config { /* "": not given */
	const char *brokers, *topic; /* host:port, comma between */
	const char *compression; /* none, gzip, snappy, lz4, zstd */
	const char *user, *password; /* SASL's PLAIN */
	const char *cert, *key, *ca, *default_ca; /* files. A certificate or an authority means TLS; default_ca alone does not */
	bool tls, skip_verify;
};

/* Which option a fault is about, in the words of who asks; ALL: none of them. */
enum cgm_kafka_option {
	CGM_KAFKA_ALL,
	CGM_KAFKA_BROKERS,
	CGM_KAFKA_TOPIC,
	CGM_KAFKA_COMPRESSION,
	CGM_KAFKA_USER,
	CGM_KAFKA_TLS,
	CGM_KAFKA_CERT,
	CGM_KAFKA_KEY,
	CGM_KAFKA_CA,
	CGM_KAFKA_VERIFY,
	CGM_NR_KAFKA_OPTIONS,
};

struct cgm_kafka;
/* Connects to nothing, keeps nothing of c. 0; -EINVAL with option and fault (CGM_SINK_FAULT), -ENOMEM. Not for two threads at once. */
int cgm_kafka_new(const struct cgm_kafka_config *c, struct cgm_kafka **ret, enum cgm_kafka_option *ret_option, char *fault);
/* NULL is fine. */
void cgm_kafka_free(struct cgm_kafka *k);
DEFINE_CLEANUP(cgm_kafka, cgm_kafka_free)
/* Each line of the batch (nr_points of them) is a message. The sender's thread. */
enum cgm_sink_result cgm_kafka_send(struct cgm_kafka *k, struct cgm_sink_attempt *a);
