/* SPDX-License-Identifier: Apache-2.0 */
/* What an application said last: never changes once made, one allocation, shared by reference count; any thread. And how it is put together. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "identity/who.h"

/* Sets of labels of all metrics of a container together; more are left out, and counted. */
#define CGM_APP_MAX_VALUES 1000

struct cgm_app_value {
	const struct cgm_pair *labels; /* sorted by key */
	size_t nr_labels;
	double number;
	uint64_t time_ns; /* since the epoch */
};

struct cgm_app_kind {
	const char *type; /* "gauge", "cumulative", or Prometheus' word in capitals: "HISTOGRAM" */
	const char *units; /* "" for none */
	bool is_int; /* whole numbers alone */
	bool is_prometheus; /* came in Prometheus' text, with labels */
};

struct cgm_app_metric {
	const char *name; /* as the application has it: any text */
	struct cgm_app_kind kind;
	const struct cgm_app_value *values;
	size_t nr_values;
};

struct cgm_app_metrics {
	uint32_t refs; /* atomic */
	const struct cgm_app_metric *metrics; /* by name, each once */
	size_t nr;
};

struct cgm_app_metrics *cgm_app_metrics_ref(struct cgm_app_metrics *m);
/* NULL is fine. */
void cgm_app_metrics_unref(struct cgm_app_metrics *m);
DEFINE_CLEANUP(cgm_app_metrics, cgm_app_metrics_unref)

/* ---- putting together; zeroed it is empty ---- */

struct cgm_app_draft {
	struct cgm_buf text; /* all texts, each with its zero; others are offsets in it */
	struct cgm_app_draft_label {
		size_t key, value;
	} *labels;
	struct cgm_app_draft_value {
		size_t name, type, units; /* of its metric */
		size_t first_label, nr_labels;
		double number;
		uint64_t time_ns;
		bool is_int, is_prometheus;
	} *values;
	size_t nr_labels, cap_labels, nr_values, cap_values;
	size_t max_metrics; /* names; 0: no limit */
	size_t nr_left_out; /* values: too many, or the same again */
};

void cgm_app_draft_done(struct cgm_app_draft *d);
/* One value. labels need not be sorted. 0 (also when it is left out) or -ENOMEM. */
int cgm_app_draft_add(struct cgm_app_draft *d, const char *name, const struct cgm_app_kind *kind, const struct cgm_pair *labels, size_t nr_labels, double number,
		      uint64_t time_ns);
/* All values of m. */
int cgm_app_draft_add_all(struct cgm_app_draft *d, const struct cgm_app_metrics *m);
/* Sorted and freed of doubles: of values with the same name and labels the first stays. One reference; NULL: out of memory. The draft stays the caller's. */
struct cgm_app_metrics *cgm_app_draft_finish(struct cgm_app_draft *d);
