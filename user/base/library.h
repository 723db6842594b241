/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client libraries are loaded when something needs them: linked, libcurl and what it brings would cost every agent 3.5 MB and 6 ms, used or
 * not. Their headers still check every call. A library stays loaded.
 */
#pragma once
#include <stddef.h>

struct cgm_symbol {
	const char *name;
	void **to;
};

/* In a table `static struct { … } lib`: the members, and their entries. */
#define CGM_LIBRARY_MEMBER(f) __typeof__(&f) f;
#define CGM_LIBRARY_SYMBOL(lib, f) { #f, (void **)&(lib).f },

/*
 * Loads the first library of names (NULL at the end) that is there, and fills the pointers. 0; -ENOENT with fault (fault_size bytes) saying
 * what is missing. Not for two threads at once with the same table; again it does nothing new.
 */
int cgm_library_load(const char *const *names, const struct cgm_symbol *symbols, size_t nr, char *fault, size_t fault_size);
