/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who somebody is and what he may do, asked of the API server as the kubelet asks it: a token by TokenReview, each access by SubjectAccessReview.
 * What was said is remembered for a while (verdicts.h). Few threads ask; whose verdict is not known is suspended meanwhile and holds no thread of
 * the server's. Of requests that want to know the same one asks. When the API server cannot be asked they get 503, and others are not
 * kept waiting for it for a second.
 */
#pragma once
#include "model/http_stats.h"
#include "output/access.h"
#include "output/auth.h"
#include "output/verdicts.h"

struct cgm_reviews;
/* config must stay. NULL: out of memory, or no thread. stats: is counted in. */
struct cgm_reviews *cgm_reviews_new(const struct cgm_review_config *config, struct cgm_http_stats *stats);
/* Lets all go that wait, as BUSY, and takes no more. What is being asked goes on: _free waits for it. */
void cgm_reviews_stop(struct cgm_reviews *r);
void cgm_reviews_free(struct cgm_reviews *r);

/* Is it known whose the token is, or that it is nobody's? */
bool cgm_reviews_knows(struct cgm_reviews *r, const char *token);

/* What a request has of its review; it has one from the first call on. */
struct cgm_review;
void cgm_review_free(struct cgm_review *v);
/*
 * The server's threads: OPEN, FAILED (the token is nobody's), FORBIDDEN, BUSY, AWAY; LATER: the request is suspended, and _again is to be called when
 * it goes on. access: of the request.
 */
enum cgm_auth_verdict cgm_reviews_token(struct cgm_reviews *r, struct cgm_request *rq, const char *token, struct cgm_access access);
/* Of whom is known who he is; takes who over. */
enum cgm_auth_verdict cgm_reviews_user(struct cgm_reviews *r, struct cgm_request *rq, struct cgm_reviewed *who, struct cgm_access access);
enum cgm_auth_verdict cgm_reviews_again(struct cgm_reviews *r, struct cgm_request *rq);
/* Who asks, as far as that is known. v may be NULL; NULL: it is not. Good as long as v. */
const struct cgm_kube_user *cgm_review_user(const struct cgm_review *v);
/* "Forbidden (user=…, verb=get, resource=nodes, subresource=stats)"; of a server that is no node's as an API server says it. */
void cgm_review_refusal(const struct cgm_review *v, char *ret, size_t size);
