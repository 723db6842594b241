/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate that a server makes for itself where nobody gave it one: it keeps a connection from being read, and proves nothing. Any thread. */
#pragma once
#include <stddef.h>

#include "base/buf.h"

/* For these names and addresses, for a year, with a key of P-256; both as PEM. 0; -ENOMEM; -EIO: what GnuTLS refuses, said in the log. */
int cgm_tls_self_signed(const char *const *names, size_t nr_names, struct cgm_buf *ret_cert, struct cgm_buf *ret_key);
