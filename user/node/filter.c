// SPDX-License-Identifier: Apache-2.0
#include "node/filter.h"

#include <string.h>

#include "base/parse.h"
#include "identity/path.h"

bool cgm_is_runtime_container(const char *name)
{
	struct cgm_path_facts f;

	cgm_path_parse(name, &f);
	/* LXC's are cgroups like others for cAdvisor. */
	return f.inside.len || (f.kind == CGM_PATH_CONTAINER && !(f.runtime && strcmp(f.runtime, "lxc") == 0));
}

bool cgm_filter_shows(const struct cgm_filter *f, const char *name)
{
	struct cgm_str prefixes = cgm_str(f->prefixes), prefix;

	if (name[0] == '/' && !name[1])
		return true;
	if (!prefixes.len)
		return !f->runtimes_only || cgm_is_runtime_container(name);
	while (cgm_next_field(&prefixes, ',', &prefix)) {
		prefix = cgm_trim(prefix);
		if (prefix.len && strncmp(name, prefix.p, prefix.len) == 0)
			return true;
	}
	return cgm_is_runtime_container(name);
}
