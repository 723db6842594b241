// SPDX-License-Identifier: Apache-2.0
#include "client/curl.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"

static struct cgm_curl lib;

static int load(char *fault, size_t fault_size)
{
	static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4", NULL };
#define X(f) CGM_LIBRARY_SYMBOL(lib, f)
	static const struct cgm_symbol symbols[] = { CGM_CURL_FUNCTIONS(X) };
#undef X
	int r = cgm_library_load(names, symbols, ARRAY_SIZE(symbols), fault, fault_size);

	if (r == 0 && lib.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		snprintf(fault, fault_size, "libcurl does not start");
		r = -1;
	}
	return r;
}

const struct cgm_curl *cgm_curl_get(char *fault, size_t fault_size)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	bool there;

	pthread_mutex_lock(&lock);
	if (!loaded)
		loaded = load(fault, fault_size) == 0;
	there = loaded;
	pthread_mutex_unlock(&lock);
	return there ? &lib : NULL;
}
