/* SPDX-License-Identifier: Apache-2.0 */
/* options.def as a table; shared by the files of options. */
#pragma once
#include "flags/flags.h"
#include "node/options.h"

enum {
	CGM_NR_NODE_OPTIONS = 0
#define CGM_OPTION(...) +1
#define CGM_ACCEPTED(...) +1
#include "node/options.def"
};
extern const struct cgm_option cgm_option_table[];
extern const size_t cgm_nr_options;
extern const struct cgm_flags cgm_node_flags;
