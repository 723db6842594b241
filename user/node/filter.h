/* SPDX-License-Identifier: Apache-2.0 */
/* Which containers are shown: --docker_only and --raw_cgroup_prefix_whitelist. Any thread. */
#pragma once
#include <stdbool.h>

struct cgm_filter {
	bool runtimes_only;
	const char *prefixes; /* comma between; "": all */
};

/*
 * Is it a container of a runtime? By its path alone (identity/path.h), as far as cAdvisor's factories take them: an id of 64 digits in the last element (docker,
 * containerd, also below kubepods), crio-ID.scope, and libpod-ID.scope/container; neither mounts, nor conmon's own cgroups, nor LXC's containers.
 */
bool cgm_is_runtime_container(const char *name);
/* "/" always; a runtime's containers always; any other as the two flags say. */
bool cgm_filter_shows(const struct cgm_filter *f, const char *name);
