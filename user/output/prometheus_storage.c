// SPDX-License-Identifier: Apache-2.0
/* What was measured of directories: logs and volumes of containers and pods. Writable layers are file systems of a row, see prometheus_devices.c. */
#include "output/prometheus_write.h"

static void put_logs(struct cgm_prometheus *r, const struct cgm_row *row)
{
	static const struct cgm_prom_text end = { 2, "} " };

	if (row->storage->has_logs)
		cgm_prom_row(r, row, &end, row->storage->logs.used_bytes, 0);
}

static void put_volumes(struct cgm_prometheus *r, const struct cgm_row *row)
{
	for (size_t i = 0; i < row->storage->nr_volumes; i++) {
		const struct cgm_volume *v = &row->storage->volumes[i];
		struct cgm_prom_text own;

		own.len = 0;
		cgm_prom_label(&own, true, "volume", v->name);
		/* A persistent volume may be called as another of the pod. */
		if (v->plugin)
			cgm_prom_label(&own, true, "plugin", v->plugin);
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, v->usage.used_bytes, 0);
	}
}

bool cgm_prom_storage_family(struct cgm_prometheus *r, enum cgm_family_id f)
{
	if (f != CGM_F_LOGS_USAGE && f != CGM_F_VOLUME_USAGE)
		return false;
	for (size_t i = r->row; i < r->row_end; i++) {
		if (!r->s->rows[i].storage)
			continue;
		if (f == CGM_F_LOGS_USAGE)
			put_logs(r, &r->s->rows[i]);
		else
			put_volumes(r, &r->s->rows[i]);
	}
	return true;
}
