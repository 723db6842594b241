// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "export/driver.h"
#include "export/internal.h"

static const struct cgm_exporter *const drivers[] = {
#define CGM_EXPORTER(name) &cgm_export_##name,
#include "export/drivers.def"
#undef CGM_EXPORTER
};

const struct cgm_exporter *cgm_exporter_of_test;

const struct cgm_exporter *cgm_exporter_find(const char *prefix)
{
	if (cgm_exporter_of_test && strcmp(cgm_exporter_of_test->name, prefix) == 0)
		return cgm_exporter_of_test;
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->name, prefix) == 0)
			return drivers[i];
	return NULL;
}

const char *cgm_export_names(void)
{
	static const char names[] = ""
#define CGM_EXPORTER(name) ", " #name
#include "export/drivers.def"
#undef CGM_EXPORTER
		;

	return names + strlen(", ");
}

const char *cgm_export_loss_name(enum cgm_export_loss l)
{
	static const char *const names[CGM_NR_EXPORT_LOSSES] = {
		[CGM_EXPORT_REFUSED] = "refused", [CGM_EXPORT_NO_ROOM] = "no_room", [CGM_EXPORT_NO_MEMORY] = "no_memory",
		[CGM_EXPORT_SPOOL_FAULT] = "spool_fault", [CGM_EXPORT_AT_END] = "at_end",
	};

	return names[l];
}

bool cgm_export_is_elsewhere(const char *prefix)
{
	return strcmp(prefix, "metric") == 0 || strcmp(prefix, "prometheus") == 0;
}
