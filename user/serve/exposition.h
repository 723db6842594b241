/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text format: families, samples, labels. Any thread. */
#pragma once
#include "base/buf.h"

struct cgm_family {
	struct cgm_buf *out;
	const char *name;
	bool open; /* a label was written */
};

/* HELP and TYPE. type: "counter", "gauge", "summary", "histogram". */
struct cgm_family cgm_family_begin(struct cgm_buf *out, const char *name, const char *type, const char *help);
/* A sample: its name (the family's with suffix), its labels, its value. */
void cgm_family_sample(struct cgm_family *f, const char *suffix);
void cgm_family_label(struct cgm_family *f, const char *name, const char *value);
void cgm_family_u64(struct cgm_family *f, uint64_t v);
/* v / 10^digits */
void cgm_family_fixed(struct cgm_family *f, uint64_t v, unsigned digits);
void cgm_family_double(struct cgm_family *f, double v);
/* A family of one sample without labels. */
void cgm_family_one(struct cgm_buf *out, const char *name, const char *type, const char *help, uint64_t v, unsigned digits);
/* What may stand between the quotes of a label's value. */
void cgm_exposition_text(struct cgm_buf *out, const char *text);
