/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, all in ns. cgm_clock_real_ns: since the epoch. cgm_clock_mono_ns: CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns(). Any thread. */
#pragma once
#include <stdint.h>
#include <time.h>

#define CGM_NSEC_PER_SEC 1000000000ULL
#define CGM_NSEC_PER_MSEC 1000000ULL
#define CGM_NSEC_PER_USEC 1000ULL

static inline uint64_t cgm_clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * CGM_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static inline uint64_t cgm_clock_real_ns(void)
{
	return cgm_clock_ns(CLOCK_REALTIME);
}

static inline uint64_t cgm_clock_mono_ns(void)
{
	return cgm_clock_ns(CLOCK_MONOTONIC);
}
