// SPDX-License-Identifier: Apache-2.0
/* File systems as the Summary API tells of them: of containers, of a pod's volumes, of images. */
#include "output/kubelet.h"

#include <string.h>

#include "base/clock.h"
#include "output/json.h"

struct cgm_kubelet_fs cgm_kubelet_fs_of(const struct cgm_disk_usage *u)
{
	return (struct cgm_kubelet_fs){
		.time_ns = u->time_ns,
		.has_used = true,
		.used_bytes = u->used_bytes,
		.used_inodes = u->used_inodes,
		.capacity_bytes = u->capacity_bytes,
		.available_bytes = u->available_bytes,
		.inodes = u->inodes,
		.inodes_free = u->inodes_free,
	};
}

struct cgm_kubelet_fs cgm_kubelet_fs_whole(const uint64_t *v, uint64_t time_ns)
{
	return (struct cgm_kubelet_fs){
		.time_ns = time_ns,
		.has_used = true,
		.used_bytes = v[CGM_FS_USAGE],
		.used_inodes = v[CGM_FS_INODES] - MIN(v[CGM_FS_INODES], v[CGM_FS_INODES_FREE]),
		.capacity_bytes = v[CGM_FS_CAPACITY],
		.available_bytes = v[CGM_FS_AVAILABLE],
		.inodes = v[CGM_FS_HAS_INODES] ? v[CGM_FS_INODES] : 0,
		.inodes_free = v[CGM_FS_INODES_FREE],
	};
}

struct cgm_kubelet_fs cgm_kubelet_root_fs(const struct cgm_snapshot *s, const struct cgm_kubelet_node *node)
{
	const struct cgm_row *root = cgm_snapshot_find(s, "/");

	for (uint32_t i = 0; root && i < root->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &root->layout->blocks[i];

		if (b->kind == CGM_LAYOUT_FS && strcmp(b->name, node->root_device) == 0)
			return cgm_kubelet_fs_whole(root->values + b->first, root->time_ns);
	}
	return (struct cgm_kubelet_fs){ 0 };
}

void cgm_kubelet_put_fs(struct cgm_buf *b, const struct cgm_kubelet_fs *fs)
{
	cgm_buf_lit(b, "\"time\":");
	cgm_json_time(b, fs->time_ns - fs->time_ns % CGM_NSEC_PER_SEC);
	cgm_json_number(b, "availableBytes", fs->available_bytes);
	cgm_json_number(b, "capacityBytes", fs->capacity_bytes);
	if (fs->has_used)
		cgm_json_number(b, "usedBytes", fs->used_bytes);
	if (fs->inodes) {
		cgm_json_number(b, "inodesFree", fs->inodes_free);
		cgm_json_number(b, "inodes", fs->inodes);
	}
	if (fs->has_used && (fs->inodes || fs->used_inodes))
		cgm_json_number(b, "inodesUsed", fs->used_inodes);
}

static const struct cgm_storage *storage_of(const struct cgm_kubelet_pod *pod)
{
	return pod->own ? pod->own->storage : NULL;
}

static void put_claim(struct cgm_buf *b, const struct cgm_volume *v)
{
	cgm_buf_lit(b, ",\"pvcRef\":{\"name\":");
	cgm_json_string(b, v->claim);
	cgm_json_key(b, "namespace");
	cgm_json_string(b, v->claim_namespace ? v->claim_namespace : "");
	cgm_buf_char(b, '}');
}

void cgm_kubelet_put_volumes(struct cgm_buf *b, const struct cgm_kubelet_pod *pod)
{
	const struct cgm_storage *st = storage_of(pod);

	if (!st || !st->nr_volumes)
		return;
	cgm_buf_lit(b, ",\"volume\":[");
	for (size_t i = 0; i < st->nr_volumes; i++) {
		const struct cgm_volume *v = &st->volumes[i];
		struct cgm_kubelet_fs fs = cgm_kubelet_fs_of(&v->usage);

		cgm_buf_char(b, '{');
		cgm_kubelet_put_fs(b, &fs);
		cgm_json_key(b, "name");
		cgm_json_string(b, v->name);
		if (v->claim)
			put_claim(b, v);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

static void add(struct cgm_kubelet_fs *sum, const struct cgm_disk_usage *u)
{
	sum->has_used = true;
	sum->used_bytes += u->used_bytes;
	sum->used_inodes += u->used_inodes;
	sum->time_ns = MAX(sum->time_ns, u->time_ns);
}

/* The kubelet's rule: layers and logs of the containers, volumes that are the pod's own on the machine's disk, and its etc-hosts; the rest is the root's. */
void cgm_kubelet_put_ephemeral(struct cgm_buf *b, const struct cgm_kubelet_pod *pod, const struct cgm_kubelet_fs *root)
{
	const struct cgm_storage *own = storage_of(pod);
	struct cgm_kubelet_fs sum = *root;

	sum.has_used = false;
	sum.used_bytes = sum.used_inodes = 0;
	for (size_t i = 0; i < pod->nr_containers; i++) {
		const struct cgm_storage *st = pod->containers[i].row->storage;

		if (st && st->has_layer)
			add(&sum, &st->layer);
		if (st && st->has_logs)
			add(&sum, &st->logs);
	}
	for (size_t i = 0; own && i < own->nr_volumes; i++)
		if (own->volumes[i].ephemeral)
			add(&sum, &own->volumes[i].usage);
	if (own && own->has_hosts)
		add(&sum, &own->hosts);
	if (!sum.has_used || !root->time_ns)
		return;
	cgm_json_key(b, "ephemeral-storage");
	cgm_buf_char(b, '{');
	cgm_kubelet_put_fs(b, &sum);
	cgm_buf_char(b, '}');
}

struct cgm_kubelet_fs cgm_kubelet_images(const struct cgm_snapshot *s)
{
	struct cgm_kubelet_fs fs = { 0 };

	for (size_t i = 0; i < s->nr_rows && !fs.time_ns; i++)
		if (s->rows[i].storage && s->rows[i].storage->has_layer)
			fs = cgm_kubelet_fs_of(&s->rows[i].storage->layer);
	fs.has_used = false;
	for (size_t i = 0; i < s->self.nr_runtimes && !fs.has_used; i++) {
		const struct cgm_runtime_status *r = &s->self.runtimes[i];

		fs.has_used = r->connected && r->has_images;
		fs.used_bytes = r->image_bytes;
		fs.used_inodes = r->image_inodes;
	}
	return fs;
}
