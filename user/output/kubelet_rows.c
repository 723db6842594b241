// SPDX-License-Identifier: Apache-2.0
#include "output/kubelet.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

uint64_t cgm_kubelet_start_ns(const struct cgm_row *row, const struct cgm_who *who)
{
	return who && who->created_ns ? who->created_ns : row->spec.creation_time_ns;
}

/* The row has the newest sample itself: wanted is the one before it. */
int cgm_kubelet_cpu_rate(const struct cgm_row *row, uint64_t *ret)
{
	_cleanup_(cgm_history_iter_done) struct cgm_history_iter it = { 0 };
	uint64_t now = row->values[CGM_V_CPU_USAGE_TOTAL], before;
	size_t first, nr;
	int r;

	if (!row->time_ns)
		return 0;
	cgm_history_iter_init(&it, &row->history);
	cgm_history_view_range(&row->history, 0, row->time_ns - 1, &first, &nr);
	if (!nr)
		return 0;
	r = cgm_history_iter_seek(&it, first + nr - 1);
	if (r == 0)
		r = cgm_history_iter_next(&it);
	if (r <= 0)
		return r;
	before = it.values[CGM_V_CPU_USAGE_TOTAL];
	if (!cgm_layout_has(it.layout, CGM_V_CPU_USAGE_TOTAL) || it.time_ns >= row->time_ns || now < before)
		return 0;
	*ret = (uint64_t)((double)(now - before) * (double)CGM_NSEC_PER_SEC / (double)(row->time_ns - it.time_ns));
	return 1;
}

bool cgm_kubelet_is_limit(uint64_t bytes)
{
	return bytes && bytes <= 1ULL << 62;
}

/* v1 limits memory and swap together: what is above the limit of memory is for swap. */
bool cgm_kubelet_swap_limit(const struct cgm_snapshot *s, const struct cgm_row *row, uint64_t *ret)
{
	bool v2 = s->self.cgroup_mode && strcmp(s->self.cgroup_mode, "v2") == 0;
	uint64_t limit = row->spec.memory_swap_limit, memory = row->spec.memory_limit;

	if (!row->spec.has_memory || limit > 1ULL << 62 || (!v2 && !cgm_kubelet_is_limit(memory)))
		return false;
	*ret = v2 ? limit : limit - MIN(limit, memory);
	return true;
}

bool cgm_kubelet_has_interfaces(const struct cgm_row *row)
{
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++)
		if (row->layout->blocks[i].kind == CGM_LAYOUT_IFACE)
			return true;
	return false;
}

const struct cgm_layout_block *cgm_kubelet_interface(const struct cgm_row *row)
{
	const struct cgm_layout_block *found = NULL;

	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];
		const uint64_t *v = row->values + b->first;

		if (b->kind != CGM_LAYOUT_IFACE)
			continue;
		if (strcmp(b->name, "eth0") == 0)
			return b;
		if (!found && (v[CGM_IFACE_RX_BYTES] || v[CGM_IFACE_TX_BYTES]))
			found = b;
	}
	return found;
}

bool cgm_kubelet_system(const struct cgm_snapshot *s, size_t *at, const char **ret_name, const struct cgm_row **ret)
{
	static const struct {
		const char *name, *cgroup;
	} parts[] = {
		{ "pods", "/kubepods" },
		{ "pods", "/kubepods.slice" },
		{ "kubelet", "/system.slice/kubelet.service" },
		{ "runtime", "/system.slice/containerd.service" },
		{ "runtime", "/system.slice/docker.service" },
		{ "runtime", "/system.slice/crio.service" },
	};
	const struct cgm_row *row = NULL;
	size_t i = *at;

	while (!row && i < ARRAY_SIZE(parts))
		row = cgm_snapshot_find(s, parts[i++].cgroup);
	if (!row)
		return false;
	*ret_name = parts[i - 1].name;
	*ret = row;
	while (i < ARRAY_SIZE(parts) && strcmp(parts[i].name, *ret_name) == 0)
		i++;
	*at = i;
	return true;
}
