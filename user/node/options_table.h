/* SPDX-License-Identifier: Apache-2.0 */
/* options.def as a table, and the configuration file; shared by the files of options. */
#pragma once
#include "base/parse.h"
#include "node/options.h"

enum cgm_option_type { STRING, BOOL, NUMBER, INTEGER, FLOAT, DURATION, PERCENT };

#define CGM_OPTION_NO_FIELD SIZE_MAX

struct cgm_option {
	const char *name;
	enum cgm_option_type type;
	size_t offset; /* into struct cgm_options; CGM_OPTION_NO_FIELD: a flag that is only accepted */
	const char *def, *quiet, *group, *help; /* quiet, and help as what there is instead: of flags that are only accepted */
};
extern const struct cgm_option cgm_option_table[];
extern const size_t cgm_nr_options;

/* "NUMBER" and the like; "" for BOOL. */
const char *cgm_option_type_name(enum cgm_option_type type);

/*
 * A configuration file, line by line: calls fn for each name with its value, which is terminated in place (text is changed; text[len]
 * must be writable). Quotes around a whole value are taken off; lines that begin with # are comments. fn's negative result ends it.
 * A line that is none gives -EINVAL with its number in *ret_line and what is wrong in *ret_fault (a literal, or NULL when fn said it).
 */
typedef int (*cgm_config_fn)(void *arg, unsigned line, struct cgm_str name, const char *value);
int cgm_config_each(char *text, size_t len, cgm_config_fn fn, void *arg, unsigned *ret_line, const char **ret_fault);
