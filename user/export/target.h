/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server of a sink: its URL and who we are there, from the sink's URI, and what an answer's status means. Options: user and pw (or those of the URL), token or token_file (a bearer's), headers_file,
 * cacert, insecuressl. Files are read at each request: they may be renewed at any time. The sender's thread, once it is open.
 */
#pragma once
#include "base/uri.h"
#include "export/export.h"
#include "sink/http.h"

struct cgm_target {
	struct cgm_http_client *http; /* NULL: not open */
	char *url; /* scheme, host, port and path */
	char *user, *password, *token, *token_file, *headers_file, *ca_file; /* "": none */
};

/* port: when the URI is no whole URL; path: when it has none. 0; -EINVAL with fault, -ENOMEM. */
int cgm_target_open(struct cgm_target *t, struct cgm_uri *uri, const struct cgm_export_config *config, unsigned port, const char *path, char *fault);
/* Makes the URL longer. 0 or -ENOMEM. */
int cgm_target_append(struct cgm_target *t, const char *text);
void cgm_target_close(struct cgm_target *t);
/* POST with these headers (NULL at the end). 0 when there is an answer, else a negative errno, and a->fault says why. */
int cgm_target_post(struct cgm_target *t, struct cgm_sink_attempt *a, const char *const *headers, const char *body, size_t len, struct cgm_http_answer *ret);
/*
 * 2xx: WRITTEN. 408, 429 and 5xx: AGAIN, when the server asks for it. All else (a redirection is not followed): WRITTEN, with all of nr_points lost. a->fault says what it answered.
 */
enum cgm_sink_result cgm_target_judge(struct cgm_sink_attempt *a, const struct cgm_http_answer *answer, uint64_t nr_points);

/* A copy of an option's value, "" when it is not there; NULL: out of memory. */
char *cgm_option_copy(struct cgm_uri *uri, const char *name);
/* A copy of the option cluster_name, without it of the configuration's name; NULL: out of memory. */
char *cgm_option_cluster(struct cgm_uri *uri, const struct cgm_export_config *config);
/* An option that can do nothing here: it is taken, and said once what there is instead. As _open of a sink, not for two threads at once. */
void cgm_option_idle(struct cgm_uri *uri, const char *name, const char *instead);
