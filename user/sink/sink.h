/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage drivers: every sample of every container is written to servers. One thread (the gatherer) looks at each new snapshot, encodes
 * what is new for each driver and queues it in batches; each driver has a thread of its own that writes its queue to its server. The
 * sampler is never made to wait: it only says that there is something new.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/snapshot.h"

/* As the flags storage_driver_… give it. Strings must outlive the sinks. "" is "not given" everywhere. */
struct cgm_sink_config {
	const char *drivers; /* names, comma between */
	const char *machine_name; /* "": the host's name */
	uint64_t buffer_ns; /* a batch is committed when it is so old, or full */
	uint64_t resolution_ns; /* at most one sample of a container in so much time; 0: every sample */
	uint64_t queue_bytes, max_batches; /* of each driver's queue */
	uint64_t timeout_ns; /* of one attempt to write */
	uint64_t stop_ns; /* how long _stop may take */
	const char *tls_ca_file;
	bool tls_skip_verify;
	/* What several drivers share, as in cAdvisor. */
	const char *user, *password, *password_file, *host, *db, *table;
	bool secure;
	const char *influxdb_host, *influxdb_version, *influxdb_org, *influxdb_bucket, *influxdb_token, *influxdb_token_file, *influxdb_retention_policy;
	bool influxdb_create_database;
	const char *statsd_host, *statsd_protocol;
	const char *redis_host, *redis_user;
	uint64_t redis_max_length; /* samples kept in the list; 0: all */
	const char *es_host, *es_index, *es_type, *es_headers_file;
	bool es_sniffer;
	const char *kafka_brokers, *kafka_topic, *kafka_ssl_cert, *kafka_ssl_key, *kafka_ssl_ca;
	bool kafka_ssl_verify;
	const char *otlp_endpoint, *otlp_headers_file, *otlp_compression;
};

struct cgm_sinks;
/*
 * Looks at the configuration and at the files that it names, connects to nothing. 0; -EINVAL: *ret_flag is the flag (a literal) and what the
 * fault, in words.
 */
int cgm_sinks_check(const struct cgm_sink_config *c, const char **ret_flag, char *what, size_t size);
/*
 * Starts the threads, with all signals blocked; *ret is NULL when no driver is named. Servers need not be there. config and store must outlive the
 * sinks. 0, -EINVAL (said in the log, as by _check) or another negative errno.
 */
int cgm_sinks_open(const struct cgm_sink_config *c, struct cgm_store *store, struct cgm_sinks **ret);
/* A new snapshot was published. Never waits. Any thread; NULL: nothing. */
void cgm_sinks_notify(struct cgm_sinks *s);
/* Puts the drivers' state into a snapshot that is being made. NULL: nothing. */
void cgm_sinks_publish(struct cgm_sinks *s, struct cgm_snapshot *snap);
/* Writes what is there, for at most stop_ns, counts and says what is lost then, ends the threads and frees. NULL: nothing. */
void cgm_sinks_stop(struct cgm_sinks *s);
/* The names of all drivers, ", " between, for people. */
const char *cgm_sink_names(void);
