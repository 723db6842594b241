/* SPDX-License-Identifier: Apache-2.0 */
/* Options of `cgmeter node`, from options.def. Flags as Go's flag package takes them: -name=value, --name value, --name for true. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/groups.h"

struct cgm_options {
	const char *listen_ip, *bpf, *sched_hook, *pin_dir, *root;
	uint64_t port, max_cgroups, max_netns;
	const char *enable_metrics, *disable_metrics;
	struct cgm_group_choice groups; /* what the two make of them */
	uint64_t budget_centi; /* hundredths of a percent of one CPU */
	uint64_t cost_interval_ns, cost_window_ns;
	uint64_t interval_ns, list_interval_ns, keep_ns, machine_interval_ns;
	bool verbose, keep_latency_history;
};

/* 0: go on; 1: --help was asked for and printed; -EINVAL: said on stderr, naming the flag and what it takes. Strings live in argv or are literals. */
int cgm_options_parse(int argc, char *const *argv, struct cgm_options *ret);
/* The reference in Markdown, to stdout. */
void cgm_options_reference(void);
/* The groups of metrics likewise. */
void cgm_options_groups(void);
