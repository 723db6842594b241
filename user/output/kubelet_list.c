// SPDX-License-Identifier: Apache-2.0
/* A PodList of what the runtimes say. What only the API server knows (the rest of spec, conditions, addresses) is not in it. */
#include "output/kubelet.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "output/json.h"

struct list {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	struct cgm_kubelet_pods pods;
	size_t at;
	bool began, any, status;
	char node[CGM_NODE_NAME];
};

static void put_text(struct cgm_buf *b, const char *head, const char *value)
{
	cgm_buf_str(b, head);
	cgm_json_string(b, value ? value : "");
}

/* Whole seconds, as Kubernetes has times; null: not known. */
static void put_time(struct cgm_buf *b, const char *head, uint64_t ns)
{
	cgm_buf_str(b, head);
	if (ns)
		cgm_json_time(b, ns / CGM_NSEC_PER_SEC * CGM_NSEC_PER_SEC);
	else
		cgm_buf_lit(b, "null");
}

/* Those that Kubernetes and the runtime set for themselves are no labels of the pod. */
static bool is_own_label(const char *key)
{
	static const char *const prefixes[] = { "io.kubernetes.", "io.cri-containerd.", "io.container.manager" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static void put_labels(struct cgm_buf *b, const struct cgm_who *sandbox)
{
	bool any = false;

	for (size_t i = 0; sandbox && i < sandbox->nr_labels; i++) {
		if (is_own_label(sandbox->labels[i].key))
			continue;
		cgm_buf_str(b, any ? "," : ",\"labels\":{");
		cgm_json_string(b, sandbox->labels[i].key);
		cgm_buf_char(b, ':');
		cgm_json_string(b, sandbox->labels[i].value);
		any = true;
	}
	if (any)
		cgm_buf_char(b, '}');
}

static bool has_ended(const struct cgm_who *w)
{
	return w->state == CGM_STATE_EXITED;
}

static void put_containers(const struct list *l, struct cgm_buf *b, const struct cgm_kubelet_pod *pod)
{
	cgm_buf_lit(b, "\"containers\":[");
	for (size_t i = 0; i < pod->nr_containers; i++) {
		const struct cgm_who *w = pod->containers[i].who;

		if (has_ended(w) && !l->status)
			continue;
		put_text(b, "{\"name\":", cgm_kubelet_container_name(w));
		put_text(b, ",\"image\":", w->image);
		cgm_buf_lit(b, ",\"resources\":{}},");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

static void put_state(struct cgm_buf *b, const struct cgm_who *w)
{
	if (has_ended(w)) {
		cgm_buf_lit(b, "\"terminated\":{\"exitCode\":");
		cgm_buf_i64(b, w->exit_code);
		put_time(b, ",\"startedAt\":", w->started_ns);
		put_time(b, ",\"finishedAt\":", w->finished_ns);
		cgm_buf_char(b, '}');
	} else if (w->state == CGM_STATE_CREATED) {
		cgm_buf_lit(b, "\"waiting\":{}");
	} else {
		put_time(b, "\"running\":{\"startedAt\":", w->started_ns ? w->started_ns : w->created_ns);
		cgm_buf_char(b, '}');
	}
}

/* Nobody here probes containers: one that runs is said to be ready. */
static void put_status(struct cgm_buf *b, const struct cgm_kubelet_pod *pod)
{
	bool runs = false;

	cgm_buf_lit(b, "\"containerStatuses\":[");
	for (size_t i = 0; i < pod->nr_containers; i++) {
		const struct cgm_who *w = pod->containers[i].who;
		bool ready = !has_ended(w) && w->state != CGM_STATE_CREATED;

		runs |= ready;
		put_text(b, "{\"name\":", cgm_kubelet_container_name(w));
		cgm_buf_lit(b, ",\"state\":{");
		put_state(b, w);
		cgm_buf_lit(b, "},\"lastState\":{},\"ready\":");
		cgm_json_bool(b, ready);
		cgm_buf_printf(b, ",\"restartCount\":%u", w->restart_count);
		put_text(b, ",\"image\":", w->image);
		cgm_buf_lit(b, ",\"imageID\":\"\",\"containerID\":");
		cgm_buf_printf(b, "\"%s://%s\",\"started\":", w->runtime, w->id);
		cgm_json_bool(b, ready);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	put_text(b, "],\"phase\":", runs ? "Running" : "Unknown");
	if (pod->start_ns)
		put_time(b, ",\"startTime\":", pod->start_ns);
}

static void put_pod(const struct list *l, struct cgm_buf *b, const struct cgm_kubelet_pod *pod)
{
	put_text(b, "{\"metadata\":{\"name\":", pod->name);
	put_text(b, ",\"namespace\":", pod->namespace);
	put_text(b, ",\"uid\":", pod->uid);
	put_time(b, ",\"creationTimestamp\":", l->status ? pod->start_ns : 0);
	if (l->status)
		put_labels(b, pod->sandbox ? pod->sandbox->identity->who : NULL);
	cgm_buf_lit(b, "},\"spec\":{");
	put_containers(l, b, pod);
	if (l->status)
		put_text(b, ",\"nodeName\":", l->node);
	cgm_buf_lit(b, "},\"status\":{");
	if (l->status)
		put_status(b, pod);
	cgm_buf_lit(b, "}}");
}

static int list_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct list *l = (struct list *)stream;
	struct cgm_kubelet_pod pod;

	if (!l->began)
		cgm_buf_lit(out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	l->began = true;
	if (cgm_kubelet_pods_next(&l->pods, &l->at, &pod)) {
		if (l->any)
			cgm_buf_char(out, ',');
		l->any = true;
		put_pod(l, out, &pod);
	}
	if (l->at >= l->pods.nr)
		cgm_buf_lit(out, "]}");
	return out->failed ? -ENOMEM : l->at < l->pods.nr;
}

static void list_free(struct cgm_stream *stream)
{
	struct list *l = (struct list *)stream;

	cgm_kubelet_pods_done(&l->pods);
	cgm_snapshot_unref(l->snapshot);
	free(l);
}

struct cgm_stream *cgm_kubelet_pod_list(struct cgm_snapshot *s, bool status, const char *node)
{
	_cleanup_free_ struct list *l = cgm_calloc(1, sizeof(*l));

	if (!l || cgm_kubelet_pods_init(s, &l->pods) < 0)
		return NULL;
	l->stream = (struct cgm_stream){ .next = list_next, .free = list_free };
	l->snapshot = cgm_snapshot_ref(s);
	l->status = status;
	snprintf(l->node, sizeof(l->node), "%s", node);
	return &TAKE_PTR(l)->stream;
}

bool cgm_kubelet_knows_pods(const struct cgm_snapshot *s)
{
	for (size_t i = 0; i < s->self.nr_runtimes; i++)
		if (s->self.runtimes[i].connected || s->self.runtimes[i].nr_connects)
			return true;
	for (size_t i = 0; i < s->nr_rows; i++)
		if (s->rows[i].identity->pod || (s->rows[i].identity->who && s->rows[i].identity->who->pod_uid))
			return true;
	return false;
}
