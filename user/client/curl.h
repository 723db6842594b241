/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded when somebody first needs it. All that a caller uses of it is in this table. */
#pragma once
#include <stddef.h>

/* Its type check is a macro, which would take our table's members for its own. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/library.h"

#define CGM_CURL_FUNCTIONS(X)                                                                                                            \
	X(curl_global_init)                                                                                                              \
	X(curl_easy_init) X(curl_easy_setopt) X(curl_easy_perform) X(curl_easy_getinfo) X(curl_easy_reset) X(curl_easy_cleanup) X(curl_easy_strerror)       \
	X(curl_multi_init) X(curl_multi_setopt) X(curl_multi_add_handle) X(curl_multi_remove_handle) X(curl_multi_perform) X(curl_multi_poll)                 \
	X(curl_multi_socket_action) X(curl_multi_assign) X(curl_multi_info_read) X(curl_multi_cleanup) X(curl_slist_append) X(curl_slist_free_all)

struct cgm_curl {
	CGM_CURL_FUNCTIONS(CGM_LIBRARY_MEMBER)
};

/* The table, which never goes away. NULL with fault (fault_size bytes) saying what is missing. Any thread. */
const struct cgm_curl *cgm_curl_get(char *fault, size_t fault_size);
