/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr: "LEVEL message". One line a call, any thread. A container that ended is never a warning;
 * a thing that the kernel lacks is said once (cgm_log_once).
 */
#pragma once

enum cgm_log_level { CGM_LOG_ERROR, CGM_LOG_WARNING, CGM_LOG_INFO, CGM_LOG_DEBUG };

/* Lines above this level are dropped; default CGM_LOG_INFO. */
void cgm_log_set_level(enum cgm_log_level level);
void cgm_log(enum cgm_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define cgm_error(...) cgm_log(CGM_LOG_ERROR, __VA_ARGS__)
#define cgm_warning(...) cgm_log(CGM_LOG_WARNING, __VA_ARGS__)
#define cgm_info(...) cgm_log(CGM_LOG_INFO, __VA_ARGS__)
#define cgm_debug(...) cgm_log(CGM_LOG_DEBUG, __VA_ARGS__)

/* Says it the first time that this line of code is reached, then never again. */
#define cgm_log_once(level, ...)                                          \
	do {                                                              \
		static char _said;                                        \
		if (!__atomic_exchange_n(&_said, 1, __ATOMIC_RELAXED))    \
			cgm_log(level, __VA_ARGS__);                      \
	} while (0)
