/* SPDX-License-Identifier: Apache-2.0 */
/* An interval as text, for pipes and files. Pure. */
#pragma once
#include "base/buf.h"
#include "top/model.h"
#include "top/view.h"

/* kind and text of the source. Lines of the view, in its order. */
void cgm_batch_table(const struct cgm_model *m, const struct cgm_view *v, const char *source, bool ascii, struct cgm_buf *out);
/* One object and a newline; what is not known is null. Names are whole, bytes that are no UTF-8 as U+FFFD. */
void cgm_batch_json(const struct cgm_model *m, const struct cgm_view *v, const char *kind, const char *source, struct cgm_buf *out);
