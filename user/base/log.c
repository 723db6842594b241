// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"

static enum cgm_log_level max_level = CGM_LOG_INFO;

void cgm_log_set_level(enum cgm_log_level level)
{
	__atomic_store_n(&max_level, level, __ATOMIC_RELAXED);
}

/*
 * Names of containers, commands and answers of strangers come into the log: they must neither begin a line of their own nor speak to the terminal that shows it. What is no
 * character, and every control character (C0, C1, DEL), becomes a question mark.
 */
static void make_harmless(char *p)
{
	while (*p) {
		size_t len = cgm_utf8_len((const unsigned char *)p);
		bool is_control = (unsigned char)*p < 0x20 || *p == 0x7f || (len == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0);

		len = len ? len : 1;
		if (is_control || (len == 1 && (unsigned char)*p >= 0x80))
			memset(p, '?', len);
		p += len;
	}
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
	line[head] = '\0';
	make_harmless(line);
	line[head++] = '\n';
	fwrite(line, 1, (size_t)head, stderr);
	errno = saved;
}
