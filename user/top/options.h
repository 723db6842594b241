/* SPDX-License-Identifier: Apache-2.0 */
/* Options of `cgmeter top`, from options.def: --name=value, --name value, -n value, -bt. A dash in a name is as good as an underscore. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "top/columns.h"

struct cgm_top_options {
	const char *url, *source, *pin_dir, *root, *token_file, *basic_auth_file, *sort, *filter;
	uint64_t interval_ns, count;
	bool reverse, tree, batch, json;
	enum cgm_column sort_column; /* what sort names */
};

/* 0: go on; 1: --help was asked for and printed; -EINVAL: said on stderr, naming the option. Strings live in argv or are literals. */
int cgm_top_options_parse(int argc, char *const *argv, struct cgm_top_options *ret);
