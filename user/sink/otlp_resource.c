// SPDX-License-Identifier: Apache-2.0
/* Whose a sample is, as OpenTelemetry's resource. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "identity/path.h"
#include "sink/otlp_write.h"

/* By the semantic conventions for container and k8s. */
static void put_who(struct cgm_otlp *o, const struct cgm_who *w, bool with_uid)
{
	const struct {
		const char *key, *value;
	} texts[] = {
		{ "container.id", w->id },
		{ "container.name", w->name },
		{ "container.image.name", w->image },
		{ "k8s.pod.name", w->pod },
		{ "k8s.namespace.name", w->pod_namespace },
		{ "k8s.pod.uid", with_uid ? w->pod_uid : NULL },
		{ "k8s.container.name", w->container },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].value && *texts[i].value)
			cgm_otlp_who(o, texts[i].key, texts[i].value);
}

/* The counters began when it was created, but never after the point's own time, whatever the clocks did. */
void cgm_otlp_begin(struct cgm_otlp *o, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	const struct cgm_identity *id = s->row->identity;
	const struct cgm_who *w = id->who;
	struct cgm_path_facts f;
	const char *runtime;
	char container[128] = "";

	cgm_otlp_open(o, out, s->row->spec.creation_time_ns, s->time_ns);
	o->s = s;
	cgm_path_parse(id->name, &f);
	runtime = w ? w->runtime : f.kind == CGM_PATH_CONTAINER ? f.runtime : NULL;
	if (*s->machine)
		cgm_otlp_who(o, "host.name", s->machine);
	if (*f.pod_uid)
		cgm_otlp_who(o, "k8s.pod.uid", f.pod_uid);
	if (w)
		put_who(o, w, !*f.pod_uid);
	else if (f.kind == CGM_PATH_CONTAINER)
		snprintf(container, sizeof(container), "%.*s", (int)f.id.len, f.id.p);
	if (*container)
		cgm_otlp_who(o, "container.id", container);
	if (runtime)
		cgm_otlp_who(o, "container.runtime.name", strcmp(runtime, "crio") == 0 ? "cri-o" : runtime);
	cgm_otlp_who(o, "cgmeter.cgroup", id->name);
	cgm_otlp_scope(o);
}
