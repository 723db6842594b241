/* SPDX-License-Identifier: Apache-2.0 */
/* What cri.c and containerd.c share: one connection to containerd or CRI-O. The driver's thread alone. */
#pragma once
#include "base/hash.h"
#include "identity/cri_decode.h"
#include "identity/grpc.h"
#include "identity/runtime.h"

#define CGM_CRI_MAX_PENDING 64

/* What was told of a container, to tell only what is new. */
struct cgm_cri_known {
	char id[CGM_MAX_ID];
	enum cgm_who_state state;
	uint32_t pid;
	uint64_t round; /* of the listing that saw it last */
};

/* A container that is not started yet: to be asked again. */
struct cgm_cri_pending {
	char id[CGM_MAX_ID];
	uint64_t at_ns;
	unsigned nr_tries;
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
};

/* As cgm_grpc_call(), counted. namespace: containerd's; NULL: none. */
int cgm_cri_call(struct cgm_cri *c, const char *service, const char *method, const char *namespace, const struct cgm_buf *request, struct cgm_buf *answer,
		 struct cgm_str *ret);
/* True when the list's entry says what was told before, and notes that it is there. pid 0: the list does not say. */
bool cgm_cri_unchanged(struct cgm_cri *c, struct cgm_str id, enum cgm_who_state state, uint32_t pid);
/* Tells of it, with what f->info says. When out of memory, that one was lost. */
void cgm_cri_learn(struct cgm_cri *c, struct cgm_cri_facts *f);

/* ---- containerd.c: containers that the CRI does not show, in all namespaces but docker's and, with a CRI, its own ---- */

/* 0, or a negative errno as of cgm_grpc_call(). */
int cgm_containerd_version(struct cgm_cri *c, struct cgm_cri_version *ret);
/* *complete becomes false when some of them could not be listed, though the connection is well. */
int cgm_containerd_list(struct cgm_cri *c, bool *complete);
/* Looks for one; -ENOENT: there is none of that id. */
int cgm_containerd_ask(struct cgm_cri *c, const char *id, enum cgm_who_state *ret);
