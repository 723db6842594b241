// SPDX-License-Identifier: Apache-2.0
#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

int cgm_library_load(const char *const *names, const struct cgm_symbol *symbols, size_t nr, char *fault, size_t fault_size)
{
	void *library = NULL;

	for (size_t i = 0; !library && names[i]; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		snprintf(fault, fault_size, "the library %s is not installed", names[0]);
		return -ENOENT;
	}
	for (size_t i = 0; i < nr; i++) {
		*symbols[i].to = dlsym(library, symbols[i].name);
		if (*symbols[i].to)
			continue;
		snprintf(fault, fault_size, "the library %s is too old: it has no %s", names[0], symbols[i].name);
		return -ENOENT;
	}
	return 0;
}
