// SPDX-License-Identifier: Apache-2.0
#include "sink/detail.h"

#include "base/clock.h"
#include "output/json.h"

void cgm_detail(const struct cgm_sink_sample *s, enum cgm_detail_time time, struct cgm_buf *out)
{
	const struct cgm_who *who = s->row->identity->who;

	cgm_buf_lit(out, "{\"timestamp\":");
	if (time == CGM_DETAIL_USEC)
		cgm_buf_u64(out, s->time_ns / CGM_NSEC_PER_USEC);
	else
		cgm_json_time(out, s->time_ns);
	if (*s->machine) {
		cgm_buf_lit(out, ",\"machine_name\":");
		cgm_json_string(out, s->machine);
	}
	cgm_buf_lit(out, ",\"container_Name\":");
	cgm_json_string(out, cgm_identity_shown(s->row->identity));
	cgm_buf_lit(out, ",\"container_stats\":");
	cgm_json_stats(out, s->time_ns, s->layout, s->values, who ? who->health : NULL);
	cgm_buf_char(out, '}');
}
