// SPDX-License-Identifier: Apache-2.0
/* A kubeconfig. Invariants: a fault is one line that names the file; what is read has a server, and a certificate beside each key. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/target.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const contexts[] = { NULL, "a" };

	for (int i = 0; i < 2; i++) {
		char fault[CGM_KUBE_FAULT] = "";
		struct cgm_kube_target t = { 0 };
		int r = cgm_kubeconfig_read((const char *)data, size, "dir/file", contexts[i], &t, fault);

		if (r < 0) {
			check(strncmp(fault, "dir/file", 8) == 0 && memchr(fault, '\0', sizeof(fault)));
		} else {
			check(t.server && *t.server);
			check((t.cert.path || t.cert.data) == (t.key.path || t.key.data));
			check(!t.insecure || (!t.ca.path && !t.ca.data));
		}
		cgm_kube_target_done(&t);
	}
	return 0;
}
