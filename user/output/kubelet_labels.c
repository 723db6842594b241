// SPDX-License-Identifier: Apache-2.0
#include "output/kubelet.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "model/label.h"

static void put(struct cgm_buf *b, const char *key, const char *value)
{
	value = value ? value : "";
	cgm_buf_str(b, key);
	if (cgm_buf_reserve(b, CGM_LABEL_GROWTH * strlen(value)))
		b->len += cgm_label_escape(b->p + b->len, value);
	cgm_buf_char(b, '"');
}

static void put_labels(struct cgm_buf *b, size_t index, void *arg)
{
	const struct cgm_snapshot *s = arg;
	const struct cgm_identity *id = s->rows[index].identity;
	const struct cgm_who *w = id->who, *of = w ? w : id->pod;
	const char *aliases[2];

	put(b, "container=\"", w && !w->is_sandbox ? w->container : NULL);
	put(b, ",id=\"", id->name);
	put(b, ",image=\"", w ? w->image : NULL);
	put(b, ",name=\"", cgm_identity_aliases(id, aliases) ? aliases[0] : NULL);
	put(b, ",namespace=\"", of ? of->pod_namespace : NULL);
	put(b, ",pod=\"", of ? of->pod : NULL);
}

/* All of a pod have the same interfaces: they are shown once, as the sandbox's, else as those of the pod's cgroup. */
static int network_rows(const struct cgm_snapshot *s, uint32_t *rows)
{
	_cleanup_(cgm_kubelet_pods_done) struct cgm_kubelet_pods pods = { 0 };
	struct cgm_kubelet_pod pod;
	size_t at = 0;
	int r = cgm_kubelet_pods_init(s, &pods);

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->nr_rows; i++) {
		const struct cgm_who *w = s->rows[i].identity->who;

		rows[i] = w && w->pod_uid && *w->pod_uid ? UINT32_MAX : (uint32_t)i;
	}
	/* Of a pod that is no more the sandbox went last, or with the others. */
	for (size_t i = s->nr_rows; i < s->nr_rows + s->nr_ended; i++) {
		const struct cgm_who *w = s->rows[i].identity->who;

		rows[i] = w && w->pod_uid && *w->pod_uid && !w->is_sandbox ? UINT32_MAX : (uint32_t)i;
	}
	while (cgm_kubelet_pods_next(&pods, &at, &pod)) {
		const struct cgm_row *as = pod.sandbox ? pod.sandbox : pod.own ? pod.own : pod.network;

		if (pod.network)
			rows[pod.network - s->rows] = (uint32_t)(as - s->rows);
	}
	return 0;
}

int cgm_kubelet_labels(const struct cgm_snapshot *s, struct cgm_label_union **ret_labels, uint32_t **ret_network)
{
	size_t nr = s->nr_rows + s->nr_ended;
	_cleanup_free_ uint32_t *network = cgm_malloc((nr + 1) * sizeof(*network));
	struct cgm_label_union *labels;

	if (!network || network_rows(s, network) < 0)
		return -ENOMEM;
	labels = cgm_label_union_new_with(put_labels, nr, (void *)s);
	if (!labels)
		return -ENOMEM;
	*ret_labels = labels;
	*ret_network = TAKE_PTR(network);
	return 0;
}
