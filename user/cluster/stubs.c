// SPDX-License-Identifier: Apache-2.0
/* Until their rooms are here. */
#include <errno.h>
#include <stdio.h>
#include "serve/serve.h"
#define WEAK __attribute__((weak))
WEAK int cgm_source_check(_unused_ const char *uri, _unused_ char *fault) { return 0; }
WEAK int cgm_source_start(_unused_ const struct cgm_source_config *c, struct cgm_source **ret, _unused_ char *fault) { *ret = NULL; return 0; }
WEAK void cgm_source_stop(_unused_ struct cgm_source *s) { }
WEAK void cgm_source_pause(_unused_ struct cgm_source *s, _unused_ bool pause) { }
WEAK int cgm_process_new(_unused_ const struct cgm_process_config *c, struct cgm_process **ret, _unused_ char *fault) { *ret = NULL; return 0; }
WEAK void cgm_process_free(_unused_ struct cgm_process *p) { }
WEAK void cgm_process_node(_unused_ struct cgm_process *p, _unused_ const struct cgm_node_facts *n, _unused_ struct cgm_draft *d, _unused_ uint64_t e) { }
WEAK void cgm_process_cycle(_unused_ struct cgm_process *p, _unused_ uint64_t e) { }
WEAK int cgm_export_check(_unused_ const struct cgm_export_config *c, _unused_ char *fault) { return 0; }
WEAK int cgm_export_start(_unused_ const struct cgm_export_config *c, struct cgm_export **ret, _unused_ char *fault) { *ret = NULL; return 0; }
WEAK void cgm_export_stop(_unused_ struct cgm_export *e) { }
WEAK void cgm_export_put(_unused_ struct cgm_export *e, _unused_ struct cgm_slice *s) { }
WEAK bool cgm_serve_historical(_unused_ const struct cgm_serve *s, _unused_ const struct cgm_ask *a, _unused_ struct cgm_reply *r) { return false; }
WEAK bool cgm_serve_metrics_api(_unused_ const struct cgm_serve *s, _unused_ const struct cgm_ask *a, _unused_ struct cgm_reply *r) { return false; }
WEAK bool cgm_serve_self(_unused_ const struct cgm_serve *s, _unused_ const struct cgm_ask *a, _unused_ struct cgm_reply *r) { return false; }
WEAK bool cgm_serve_board(_unused_ const struct cgm_serve *s, _unused_ const struct cgm_ask *a, _unused_ struct cgm_reply *r) { return false; }
