/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange with the server, whose answer is handed on as it comes. For this room. */
#pragma once
#include "kube/kube.h"

struct cgm_kube_call {
	const char *method, *path, *body; /* body: JSON; NULL: none */
	const char *accept; /* NULL: JSON */
	uint64_t timeout_ns; /* for all of it; 0: as long as it takes */
	uint64_t quiet_ns; /* the longest time without a byte; 0: any */
	int stop_fd; /* readable: end it; -1: none */
	/* The answer begins: its status is known. NULL: nobody cares. */
	void (*on_head)(void *arg);
	/* A piece of the answer. A negative errno ends the exchange. */
	int (*on_data)(void *arg, const char *p, size_t len);
	void *arg;
	unsigned status;
	uint64_t retry_after_ns; /* 0: it says none */
};

/*
 * 0 when the whole answer came, whatever its status; a negative errno with fault (CGM_KUBE_FAULT): -ECANCELED, -ETIMEDOUT, -ECONNREFUSED, -EACCES (TLS), -ECONNABORTED, what on_data
 * returned. A 401 is tried once more when the token's file holds another one by now. Any thread.
 */
int cgm_kube_call(struct cgm_kube *k, struct cgm_kube_call *call, char *fault);

/* "403 Forbidden: pods is forbidden: …" out of a status and an answer: a Status, an event that bears one, or anything else. */
void cgm_kube_status_fault(struct cgm_kube *k, unsigned status, const char *answer, size_t len, char *fault);
