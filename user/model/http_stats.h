/* SPDX-License-Identifier: Apache-2.0 */
/* What the server counts of itself, by fixed lists: each entry is a label's value in /metrics. */
#pragma once
#include <stdint.h>

/* Status codes that are counted by themselves; all else is "other". */
#define CGM_HTTP_CODES(X) \
	X(200) X(204) X(301) X(304) X(307) X(400) X(401) X(403) X(404) X(405) X(408) X(413) X(414) X(429) X(431) X(500) X(501) X(503) X(505)

/* Requests and connections that were turned away, and why. */
#define CGM_HTTP_REJECTS(X)                                                                   \
	X(MALFORMED, "malformed") /* not HTTP, or larger than its bounds */                   \
	X(ADDRESS, "connections_of_address") /* one client has enough connections */          \
	X(LARGE, "large_answers") /* enough large answers are on their way */                 \
	X(PASSWORDS, "password_checks") /* enough passwords are being checked */              \
	X(FAILURES, "failed_logins") /* the client failed too often */                        \
	X(REVIEWS, "reviews") /* enough wait for the API server's word */                     \
	X(API_SERVER, "api_server_away") /* it could not be asked */

/* Connections that were closed in the middle, and why. */
#define CGM_HTTP_DROPS(X)                                                                     \
	X(REQUEST, "slow_request")                                                            \
	X(IDLE, "idle")                                                                       \
	X(CROWDED, "crowded") /* idle, while others wait for a connection */                  \
	X(SLOW, "slow_reader")                                                                \
	X(ANSWER, "long_answer")

/* What the API server was asked, and what it said. */
#define CGM_HTTP_REVIEW_LIST(X)                                                               \
	X(TOKEN_YES, "token", "yes")                                                          \
	X(TOKEN_NO, "token", "no")                                                            \
	X(TOKEN_FAILED, "token", "failed")                                                    \
	X(ACCESS_YES, "access", "yes")                                                        \
	X(ACCESS_NO, "access", "no")                                                          \
	X(ACCESS_FAILED, "access", "failed")

#define CGM_X_ENUM_REVIEW(id, kind, result) CGM_HTTP_REVIEW_##id,
#define CGM_X_ENUM_CODE(code) CGM_HTTP_CODE_##code,
#define CGM_X_ENUM_REJECT(id, name) CGM_HTTP_REJECT_##id,
#define CGM_X_ENUM_DROP(id, name) CGM_HTTP_DROP_##id,
enum { CGM_HTTP_CODES(CGM_X_ENUM_CODE) CGM_HTTP_CODE_OTHER, CGM_NR_HTTP_CODES };
enum cgm_http_reject { CGM_HTTP_REJECTS(CGM_X_ENUM_REJECT) CGM_NR_HTTP_REJECTS };
enum cgm_http_drop { CGM_HTTP_DROPS(CGM_X_ENUM_DROP) CGM_NR_HTTP_DROPS };
enum cgm_http_review { CGM_HTTP_REVIEW_LIST(CGM_X_ENUM_REVIEW) CGM_NR_HTTP_REVIEWS };

struct cgm_http_stats {
	uint64_t codes[CGM_NR_HTTP_CODES];
	uint64_t rejects[CGM_NR_HTTP_REJECTS];
	uint64_t drops[CGM_NR_HTTP_DROPS];
	uint64_t nr_open, nr_large; /* connections; large answers on their way */
	uint64_t nr_login_failures, nr_password_checks; /* checks: those that had to be computed */
	uint64_t reviews[CGM_NR_HTTP_REVIEWS];
	uint64_t nr_token_hits, nr_access_hits; /* reviews that were not asked for, since the answer was known */
	uint64_t nr_reloads, nr_failed_reloads; /* of certificates, passwords and tokens */
	uint64_t tls_not_after_s; /* when the certificate ends, since the epoch; 0: no TLS */
};
