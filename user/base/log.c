// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"

static enum cgm_log_level max_level = CGM_LOG_INFO;

void cgm_log_set_level(enum cgm_log_level level)
{
	__atomic_store_n(&max_level, level, __ATOMIC_RELAXED);
}

void cgm_log(enum cgm_log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char line[1024];
	int saved = errno, head, body;
	va_list ap;

	if (level > __atomic_load_n(&max_level, __ATOMIC_RELAXED))
		return;
	head = snprintf(line, sizeof(line), "cgmeter: %s: ", names[level]);
	va_start(ap, fmt);
	body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
	va_end(ap);
	if (body < 0)
		body = 0;
	head = MIN(head + body, (int)sizeof(line) - 2);
	line[head++] = '\n';
	fwrite(line, 1, (size_t)head, stderr);
	errno = saved;
}
