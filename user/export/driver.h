/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sink is made of: one file, one of these. Encoding runs in the sink's encoding thread, sending in its sending thread: the state has what is fixed when it is opened, which both may read, and
 * what is the sender's alone. Results, waits and the HTTP client are user/sink's (driver.h, wait.h, http.h, net.h, answer.h), which the node's storage drivers use likewise.
 */
#pragma once
#include "base/uri.h"
#include "batch/slice.h"
#include "export/export.h"
#include "sink/driver.h"

struct cgm_exporter {
	const char *name; /* the prefix of its URI */
	size_t batch_bytes; /* of one call to send, about; 0: 1 MiB. A batch holds whole records */
	bool no_spool; /* it writes to where nothing fails (log) */
	/*
	 * Takes the options of the URI that it knows (cgm_uri_option and its like mark them used); connects to nothing. Both stay until _close. 0; -EINVAL with fault (CGM_SINK_FAULT), -ENOMEM.
	 */
	int (*open)(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault);
	void (*close)(void *state);
	/*
	 * Appends whole records of a slice; returns how many points they are, all of them. Calls cut() between records as often as it likes, at least each 64 KiB: there a batch may end. Its nr_points
	 * are those since the last cut of this slice; what follows the last one needs none. It may take away what out holds, so nothing may be remembered of out over it, not even its length.
	 * Never fails: out of memory shows in out->failed, and the slice is lost, counted.
	 */
	uint64_t (*encode)(const void *state, const struct cgm_slice *s, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg);
	/* Writes one batch, see user/sink/driver.h: WRITTEN (all but nr_lost points) or AGAIN (the same batch is tried later, after retry_after_ns or a back-off). */
	enum cgm_sink_result (*send)(void *state, struct cgm_sink_attempt *a);
	/* What stands before and behind the records of a batch is send's matter (it has the whole batch). */
};

/* Those that are built: one line for each in drivers.def. */
#define CGM_EXPORTER(name) extern const struct cgm_exporter cgm_export_##name;
#include "export/drivers.def"
#undef CGM_EXPORTER

/* By the prefix. NULL: none. */
const struct cgm_exporter *cgm_exporter_find(const char *prefix);
