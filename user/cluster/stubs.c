// SPDX-License-Identifier: Apache-2.0
/* Until their rooms are here. */
#include <errno.h>
#include <stdio.h>
#include "serve/serve.h"
#define WEAK __attribute__((weak))
WEAK bool cgm_serve_board(_unused_ const struct cgm_serve *s, _unused_ const struct cgm_ask *a, _unused_ struct cgm_reply *r) { return false; }
