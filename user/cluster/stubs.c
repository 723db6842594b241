// SPDX-License-Identifier: Apache-2.0
/* Until their rooms are here. */
#include <errno.h>
#include <stdio.h>
#include "serve/serve.h"
#define WEAK __attribute__((weak))
WEAK int cgm_process_new(_unused_ const struct cgm_process_config *c, struct cgm_process **ret, _unused_ char *fault) { *ret = NULL; return 0; }
WEAK void cgm_process_free(_unused_ struct cgm_process *p) { }
WEAK void cgm_process_node(_unused_ struct cgm_process *p, _unused_ const struct cgm_node_facts *n, _unused_ struct cgm_draft *d, _unused_ uint64_t e) { }
WEAK void cgm_process_cycle(_unused_ struct cgm_process *p, _unused_ uint64_t e) { }
WEAK bool cgm_serve_historical(_unused_ const struct cgm_serve *s, _unused_ const struct cgm_ask *a, _unused_ struct cgm_reply *r) { return false; }
WEAK bool cgm_serve_self(_unused_ const struct cgm_serve *s, _unused_ const struct cgm_ask *a, _unused_ struct cgm_reply *r) { return false; }
WEAK bool cgm_serve_board(_unused_ const struct cgm_serve *s, _unused_ const struct cgm_ask *a, _unused_ struct cgm_reply *r) { return false; }
