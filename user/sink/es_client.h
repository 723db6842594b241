/* SPDX-License-Identifier: Apache-2.0 */
/* Elasticsearch's (and OpenSearch's) _bulk at one of several hosts: where one fails, the next is taken. The sender's thread, once it is open. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/parse.h"
#include "sink/driver.h"
#include "sink/http.h"

#define CGM_ES_HOSTS 16

struct cgm_es {
	struct cgm_http_client *http; /* owned */
	const char *headers_file; /* the owner's; "": none */
	const char *user, *password; /* the owner's; NULL: none */
	char *hosts[CGM_ES_HOSTS]; /* as URLs */
	size_t nr_hosts;
	size_t host; /* the one in use */
	unsigned major; /* its version; 0: not asked yet */
};

void cgm_es_done(struct cgm_es *e);
/* An URL or host:port. -EINVAL: it is none, or there are too many; -ENOMEM. */
int cgm_es_add_host(struct cgm_es *e, struct cgm_str text, bool secure);
/* Asks for the version when it is not known. 0, or a negative errno with a->fault; the next host is next then. */
int cgm_es_ask(struct cgm_es *e, struct cgm_sink_attempt *a);
/* POST of path (it ends with the query that cgm_answer_bulk() needs: CGM_ES_FILTER). a->nr_lost counts documents. */
#define CGM_ES_FILTER "filter_path=errors,items.*.status,items.*.error"
enum cgm_sink_result cgm_es_bulk(struct cgm_es *e, struct cgm_sink_attempt *a, const char *path, const char *data, size_t len, bool gzipped);
