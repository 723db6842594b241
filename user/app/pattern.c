// SPDX-License-Identifier: Apache-2.0
#include "app/pattern.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/library.h"
#include "base/mem.h"

#define MATCH_LIMIT 200000 /* steps; some milliseconds */
#define HEAP_LIMIT_KIB 1024
#define MAX_COMPILED_BYTES 65536

/* Its names are macros that add the width. */
#define FUNCTIONS(X)                                                                                                                        \
	X(pcre2_compile_8) X(pcre2_code_free_8) X(pcre2_match_8) X(pcre2_match_data_create_from_pattern_8) X(pcre2_match_data_free_8)     \
	X(pcre2_match_context_create_8) X(pcre2_match_context_free_8) X(pcre2_set_match_limit_8) X(pcre2_set_heap_limit_8)                \
	X(pcre2_substring_copy_bynumber_8) X(pcre2_get_error_message_8) X(pcre2_compile_context_create_8) X(pcre2_compile_context_free_8) \
	X(pcre2_set_max_pattern_length_8) X(pcre2_pattern_info_8)

static struct {
	FUNCTIONS(CGM_LIBRARY_MEMBER)
} lib;

static int load(char *fault, size_t fault_size)
{
	static const char *const names[] = { "libpcre2-8.so.0", NULL };
#define X(f) CGM_LIBRARY_SYMBOL(lib, f)
	static const struct cgm_symbol symbols[] = { FUNCTIONS(X) };
#undef X
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	int r = 0;

	pthread_mutex_lock(&lock);
	if (!loaded)
		r = cgm_library_load(names, symbols, ARRAY_SIZE(symbols), fault, fault_size);
	loaded |= r == 0;
	pthread_mutex_unlock(&lock);
	return r;
}

struct cgm_pattern {
	pcre2_code_8 *code;
	pcre2_match_data_8 *data;
	pcre2_match_context_8 *context;
};

void cgm_pattern_free(struct cgm_pattern *p)
{
	if (!p)
		return;
	if (p->context)
		lib.pcre2_match_context_free_8(p->context);
	if (p->data)
		lib.pcre2_match_data_free_8(p->data);
	if (p->code)
		lib.pcre2_code_free_8(p->code);
	free(p);
}

static int compile(const char *regex, pcre2_code_8 **ret, char *fault, size_t fault_size)
{
	pcre2_compile_context_8 *context = lib.pcre2_compile_context_create_8(NULL);
	PCRE2_UCHAR8 message[96] = "";
	PCRE2_SIZE at = 0;
	int error = 0;

	if (!context)
		return -ENOMEM;
	lib.pcre2_set_max_pattern_length_8(context, 4096);
	/* \C and callouts could do more than match. */
	*ret = lib.pcre2_compile_8((PCRE2_SPTR8)regex, PCRE2_ZERO_TERMINATED, PCRE2_NEVER_BACKSLASH_C, &error, &at, context);
	lib.pcre2_compile_context_free_8(context);
	if (*ret)
		return 0;
	if (error == PCRE2_ERROR_NOMEMORY)
		return -ENOMEM;
	lib.pcre2_get_error_message_8(error, message, sizeof(message));
	snprintf(fault, fault_size, "regex, at %zu: %s", at, (const char *)message);
	return -EINVAL;
}

int cgm_pattern_new(const char *regex, struct cgm_pattern **ret, char *fault, size_t fault_size)
{
	_cleanup_(cgm_pattern_freep) struct cgm_pattern *p = NULL;
	size_t bytes = 0;
	int r = load(fault, fault_size);

	if (r < 0)
		return r;
	p = cgm_calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	r = compile(regex, &p->code, fault, fault_size);
	if (r < 0)
		return r;
	if (lib.pcre2_pattern_info_8(p->code, PCRE2_INFO_SIZE, &bytes) != 0 || bytes > MAX_COMPILED_BYTES) {
		snprintf(fault, fault_size, "regex: too large");
		return -EINVAL;
	}
	p->data = lib.pcre2_match_data_create_from_pattern_8(p->code, NULL);
	p->context = lib.pcre2_match_context_create_8(NULL);
	if (!p->data || !p->context)
		return -ENOMEM;
	lib.pcre2_set_match_limit_8(p->context, MATCH_LIMIT);
	lib.pcre2_set_heap_limit_8(p->context, HEAP_LIMIT_KIB);
	*ret = TAKE_PTR(p);
	return 0;
}

int cgm_pattern_match(const struct cgm_pattern *p, const char *text, size_t len, char *buf, size_t size)
{
	PCRE2_SIZE room = size;
	int r = lib.pcre2_match_8(p->code, (PCRE2_SPTR8)text, len, 0, 0, p->data, p->context);

	if (r == PCRE2_ERROR_NOMATCH)
		return -ENOENT;
	if (r < 0)
		return -E2BIG;
	r = lib.pcre2_substring_copy_bynumber_8(p->data, 1, (PCRE2_UCHAR8 *)buf, &room);
	if (r == PCRE2_ERROR_NOSUBSTRING)
		return -EINVAL;
	if (r == PCRE2_ERROR_UNSET)
		return -ENOENT;
	return r < 0 ? -EFBIG : (int)room;
}
