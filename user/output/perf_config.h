/* SPDX-License-Identifier: Apache-2.0 */
/* The file of --perf_events_config, in cAdvisor's JSON: {"core": {"events": [name | [names of a group], …], "custom_events": [{"name", "type", "config"}]}, "uncore": …}. */
#pragma once
#include <stddef.h>

#include "base/cleanup.h"
#include "cgroup/perf.h"

/*
 * root_fd: below which PMUs describe themselves. 0 with *ret, whose max_fds is 0. -EINVAL: *ret_fault is a text in fresh memory of the caller's
 * that says what is wrong (NULL when out of memory); a name that is known neither here nor as a custom event is wrong. -ENOMEM.
 */
int cgm_perf_config_parse(const char *text, size_t len, int root_fd, struct cgm_perf_config **ret, char **ret_fault);
void cgm_perf_config_free(struct cgm_perf_config *c);
DEFINE_CLEANUP(cgm_perf_config, cgm_perf_config_free)
