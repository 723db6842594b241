/* SPDX-License-Identifier: Apache-2.0 */
/* What runtimes say as JSON: the "info" of a verbose status of the CRI, containerd's and CRI-O's, or containerd's specification of a container. Any thread. */
#pragma once
#include "base/parse.h"
#include "identity/who.h"

struct cgm_cri_info {
	uint32_t pid; /* 0: it says none */
	struct cgm_pair *envs; /* whose key begins with a wanted prefix, the key's case kept */
	size_t nr_envs, cap_envs;
	char *texts;
};

/* prefixes: comma between; "": no envs. 0; -EINVAL: it is no JSON object; -ENOMEM. ret is made of zeros, and released by cgm_cri_info_done() in any case. */
int cgm_cri_info_read(struct cgm_str json, const char *prefixes, struct cgm_cri_info *ret);
void cgm_cri_info_done(struct cgm_cri_info *i);
