/* SPDX-License-Identifier: Apache-2.0 */
/* What cri.c, cri_stream.c and containerd.c share: one connection to containerd or CRI-O. The driver's thread alone. */
#pragma once
#include "base/hash.h"
#include "identity/cri_decode.h"
#include "identity/grpc.h"
#include "identity/runtime.h"

#define CGM_CRI_MAX_PENDING 64
#define CGM_CRI_MAX_NAMESPACE 80 /* with the end; containerd allows 76 (identifiers/validate.go) */

/* What was told of a container, to tell only what is new. */
struct cgm_cri_known {
	char key[CGM_CRI_MAX_NAMESPACE + CGM_MAX_ID]; /* NAMESPACE/ID; the CRI's: ID */
	enum cgm_who_state state;
	uint32_t pid;
	uint64_t round; /* of the listing that saw it last */
};

/* A container that is to be asked for, again if it is not in a later state than expected. */
struct cgm_cri_pending {
	char id[CGM_MAX_ID];
	char namespace[CGM_CRI_MAX_NAMESPACE]; /* "": whichever has it */
	enum cgm_who_state expected; /* UNKNOWN: any */
	bool gone; /* it is to be forgotten, not asked for */
	uint64_t at_ns;
	unsigned nr_tries;
};

/* The runtime's stream of events, while there is one, and what it told that had no turn yet. */
struct cgm_cri_stream {
	struct cgm_grpc *grpc;
	char method[96];
	bool stands, none; /* none: the runtime has no such thing */
	bool overflowed; /* an event had no room: all is to be listed */
	uint64_t opened_ns, retry_ns, backoff_ns;
	struct cgm_cri_pending *changes;
	size_t nr, cap;
};

struct cgm_cri {
	struct cgm_runtime *r;
	const struct cgm_runtime_config *config;
	struct cgm_grpc *grpc;
	char *fault; /* the driver's */
	const char *runtime; /* a literal */
	const char *service; /* of the CRI, in the version that is there; NULL: it is not there */
	bool is_containerd; /* its own API is there too */
	struct cgm_hash known;
	uint64_t round;
	struct cgm_cri_pending pending[CGM_CRI_MAX_PENDING];
	size_t nr_pending;
	struct cgm_cri_stream stream;
};

/* As cgm_grpc_call(), counted. namespace: containerd's; NULL: none. */
int cgm_cri_call(struct cgm_cri *c, const char *service, const char *method, const char *namespace, const struct cgm_buf *request, struct cgm_buf *answer,
		 struct cgm_str *ret);
/* True when the list's entry says what was told before, and notes that it is there. pid 0: the list does not say. */
bool cgm_cri_unchanged(struct cgm_cri *c, const char *namespace, struct cgm_str id, enum cgm_who_state state, uint32_t pid);
/* Tells of it, with what f->info says. When out of memory, that one was lost. */
void cgm_cri_learn(struct cgm_cri *c, struct cgm_cri_facts *f);

/* ---- cri_stream.c: changes as the runtime announces them ---- */

/* Opens it when that is due. 0, also when there is none to be had; -ECANCELED. */
int cgm_cri_stream_open(struct cgm_cri *c, const struct cgm_grpc_config *config);
/* With a stream that stands: sleeps until it tells something, somebody wakes us, or until_ns. False: it is over, and all is to be listed. */
bool cgm_cri_stream_wait(struct cgm_cri *c, uint64_t until_ns);
/* The next change that it told of; false: there is none. */
bool cgm_cri_stream_next(struct cgm_cri *c, struct cgm_cri_pending *ret);
void cgm_cri_stream_done(struct cgm_cri *c);

/* ---- containerd.c: containers that the CRI does not show, in all namespaces but docker's ---- */

/* 0, or a negative errno as of cgm_grpc_call(). */
int cgm_containerd_version(struct cgm_cri *c, struct cgm_cri_version *ret);
/* *complete becomes false when some of them could not be listed, though the connection is well. */
int cgm_containerd_list(struct cgm_cri *c, bool *complete);
/* Looks for one, in all namespaces or in that one; -ENOENT: there is none of that id. The state is that of the last. */
int cgm_containerd_ask(struct cgm_cri *c, const char *id, enum cgm_who_state *ret);
int cgm_containerd_ask_in(struct cgm_cri *c, const char *namespace, const char *id, enum cgm_who_state *ret);
