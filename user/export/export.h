/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sinks of `cgmeter cluster`: every slice is encoded for each sink and sent to its server. Each sink has a queue bounded in bytes, a spool on disk behind it, and two threads of its own (encoding, sending): a sink
 * that hangs never delays another, nor the pipeline. Order is kept, an outage is delivered after it.
 */
#pragma once
#include "batch/slice.h"

#define CGM_EXPORT_FAULT 256

struct cgm_export_config {
	const char *const *uris; /* of --sink, in their order */
	size_t nr_uris;
	const char *spool_dir; /* "": none: what does not fit into memory is lost, and counted */
	uint64_t spool_bytes; /* of each sink; the oldest go first. 0: 1 GiB */
	uint64_t queue_bytes; /* encoded, of each sink; 0: 64 MiB */
	uint64_t timeout_ns; /* of one try; 0: 20 s */
	uint64_t stop_ns; /* how long _stop may take; what is left then is spooled; 0: 5 s */
	const char *cluster_name; /* for sinks whose URI does not say another; NULL: "default" */
	const char *tls_ca_file; /* NULL: the machine's */
};

struct cgm_export;
/* Looks at the URIs alone. 0, or -EINVAL with fault (CGM_EXPORT_FAULT) that names sink and option. */
int cgm_export_check(const struct cgm_export_config *config, char *fault);
/* Starts the threads; servers need not be there. 0 or a negative errno with fault. config must outlive it. */
int cgm_export_start(const struct cgm_export_config *config, struct cgm_export **ret, char *fault);
/* Sends what is there within stop_ns, spools the rest. NULL is fine. */
void cgm_export_stop(struct cgm_export *e);
/* A slice for all sinks; never waits. Any thread. */
void cgm_export_put(struct cgm_export *e, struct cgm_slice *s);

enum cgm_export_loss { CGM_EXPORT_REFUSED, CGM_EXPORT_NO_ROOM, CGM_EXPORT_NO_MEMORY, CGM_EXPORT_SPOOL_FAULT, CGM_EXPORT_AT_END, CGM_NR_EXPORT_LOSSES };
/* "refused", "no_room", "no_memory", "spool_fault", "at_end" */
const char *cgm_export_loss_name(enum cgm_export_loss l);

struct cgm_export_state { /* texts are the struct's own */
	char name[32], shown[256]; /* "influxdb"; its URI without secrets */
	uint64_t nr_points, nr_slices; /* taken so far */
	uint64_t nr_sent, nr_sent_bytes, nr_batches, nr_retries; /* points, bytes, batches written; tries that failed */
	uint64_t nr_lost[CGM_NR_EXPORT_LOSSES]; /* points */
	uint64_t queue_bytes, queue_batches, spool_bytes, spool_batches; /* now */
	uint64_t last_ok_ns; /* since the epoch; 0: never */
	uint64_t delay_ns; /* of the last batch that was written: from its slice's end of window */
	uint64_t busy_ns; /* spent encoding and sending so far */
	char fault[CGM_EXPORT_FAULT]; /* of the last try; "": it went well */
};
/* All sinks, in an array of the caller's. 0 or -ENOMEM. */
int cgm_export_states(struct cgm_export *e, struct cgm_export_state **ret, size_t *ret_nr);
/* What a `prometheus` sink's scrape shows of the newest slices is user/serve's matter: it is no sink with a queue. */
/* The names of all sinks, ", " between, for people. */
const char *cgm_export_names(void);
