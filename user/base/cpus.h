/* SPDX-License-Identifier: Apache-2.0 */
/* The CPUs that we run on. */
#pragma once
#include <stdint.h>

/* --max_procs: no more than nr of the CPUs that we may use, the first ones; below 1: all. For threads that are made later; a failure is a warning. */
void cgm_cpus_limit(int64_t nr);
