/* SPDX-License-Identifier: Apache-2.0 */
/* The file that says how an application is asked (JSON, as cAdvisor's collectors have it). It is a container's: whatever it holds must do no harm. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define CGM_APP_FAULT 160
#define CGM_APP_MAX_WANTED 1000 /* metrics that one file may name */

struct cgm_app_wanted {
	const char *name, *units, *regex; /* units, regex: "" for none */
	bool is_cumulative, is_int;
};

/* One allocation. */
struct cgm_app_config {
	/* Where: either url, or protocol, port and path, at the container's own address. */
	const char *url; /* NULL: the other */
	const char *protocol, *path; /* "http" or "https"; path begins with / */
	uint16_t port;
	uint64_t interval_ns; /* at least 1 s */
	const struct cgm_app_wanted *wanted; /* Prometheus: none means all */
	size_t nr_wanted;
};

/* is_prometheus: the answer will be Prometheus' text, else each metric has a regular expression. 0; -EINVAL with fault (CGM_APP_FAULT) naming the member; -ENOMEM. */
int cgm_app_config_parse(const char *text, size_t len, bool is_prometheus, struct cgm_app_config **ret, char *fault);
void cgm_app_config_free(struct cgm_app_config *c);
DEFINE_CLEANUP(cgm_app_config, cgm_app_config_free)
