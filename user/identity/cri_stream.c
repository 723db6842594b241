// SPDX-License-Identifier: Apache-2.0
/*
 * Changes as the runtime announces them. containerd: its own events, of all namespaces. CRI-O: GetContainerEvents of the CRI. Not that of containerd: before 2.0
 * all who listen share one queue (containerd issue 7318; CRI-O's 6466 was mended sooner), and each event that we took would be one that the kubelet misses.
 * An event is a hint: whom it speaks of is asked for, and its words are not taken for facts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/cri.h"

#define MAX_CHANGES 1024
#define FIRST_BACKOFF_NS CGM_NSEC_PER_SEC
#define MAX_BACKOFF_NS (60 * CGM_NSEC_PER_SEC)

static struct cgm_cri_pending *find_change(struct cgm_cri_stream *s, const struct cgm_cri_event *e)
{
	for (size_t i = 0; i < s->nr; i++)
		if (cgm_str_eq(e->id, s->changes[i].id) && cgm_str_eq(e->namespace, s->changes[i].namespace))
			return &s->changes[i];
	return NULL;
}

static void add_change(struct cgm_cri_stream *s, const struct cgm_cri_event *e)
{
	struct cgm_cri_pending *p = find_change(s, e);

	/* A namespace that containerd does not allow, an id that no cgroup can bear; docker's are its driver's. */
	if (!e->id.len || e->id.len >= CGM_MAX_ID || e->namespace.len >= CGM_CRI_MAX_NAMESPACE || cgm_str_eq(e->namespace, "moby"))
		return;
	if (!p && (s->nr == MAX_CHANGES || cgm_grow((void **)&s->changes, &s->cap, s->nr, sizeof(*s->changes)) < 0)) {
		s->overflowed = true;
		return;
	}
	if (!p) {
		p = &s->changes[s->nr++];
		*p = (struct cgm_cri_pending){ 0 };
		snprintf(p->id, sizeof(p->id), "%.*s", (int)e->id.len, e->id.p);
		snprintf(p->namespace, sizeof(p->namespace), "%.*s", (int)e->namespace.len, e->namespace.p);
	}
	p->expected = e->state;
	p->gone = e->gone;
}

static void on_message(void *arg, struct cgm_str message)
{
	struct cgm_cri *c = arg;
	struct cgm_cri_event e;
	int r = c->is_containerd ? cgm_containerd_decode_event(message, &e) : cgm_cri_decode_event(message, &e);

	if (r < 0)
		cgm_runtime_count_call(c->r, true);
	else
		add_change(&c->stream, &e);
}

/* It is over, or was none. What of the runtime's own is at fault is said once; the list goes on without. */
static void note_end(struct cgm_cri *c, int r, const char *fault)
{
	struct cgm_cri_stream *s = &c->stream;
	uint64_t now_ns = cgm_clock_mono_ns();

	s->stands = false;
	s->none = r == -ENOSYS;
	cgm_runtime_count_call(c->r, r != -ENOSYS && r != -ECANCELED);
	if (s->none)
		cgm_log_once(CGM_LOG_INFO, "%s: no stream of events; changes of containers are noticed by listing them", c->config->socket);
	else if (r != -ECANCELED)
		cgm_log_once(CGM_LOG_WARNING, "%s; the stream is opened again", fault);
	if (now_ns - s->opened_ns >= MAX_BACKOFF_NS)
		s->backoff_ns = 0;
	s->backoff_ns = MIN(MAX(2 * s->backoff_ns, FIRST_BACKOFF_NS), MAX_BACKOFF_NS);
	s->retry_ns = now_ns + s->backoff_ns;
}

int cgm_cri_stream_open(struct cgm_cri *c, const struct cgm_grpc_config *config)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 };
	struct cgm_cri_stream *s = &c->stream;
	char fault[CGM_GRPC_FAULT] = "";
	int r = 0;

	if (s->stands || s->none || (s->retry_ns && cgm_clock_mono_ns() < s->retry_ns))
		return 0;
	if (!s->grpc)
		r = cgm_grpc_new(config, &s->grpc, fault);
	snprintf(s->method, sizeof(s->method), "%s/%s", c->is_containerd ? "containerd.services.events.v1.Events" : c->service,
		 c->is_containerd ? "Subscribe" : "GetContainerEvents");
	if (c->is_containerd)
		cgm_containerd_event_request(&request);
	s->opened_ns = cgm_clock_mono_ns();
	if (r == 0)
		r = cgm_grpc_listen(s->grpc, s->method, NULL, &request, on_message, c, fault);
	s->stands = r == 0;
	if (r < 0)
		note_end(c, r, fault);
	return r == -ECANCELED ? r : 0;
}

bool cgm_cri_stream_wait(struct cgm_cri *c, uint64_t until_ns)
{
	struct cgm_cri_stream *s = &c->stream;
	char fault[CGM_GRPC_FAULT] = "";
	int r = cgm_grpc_wait(s->grpc, until_ns, fault);
	bool whole = !s->overflowed;

	s->overflowed = false;
	if (r < 0)
		note_end(c, r, fault);
	return whole && (r == 0 || r == -ENOSYS);
}

bool cgm_cri_stream_next(struct cgm_cri *c, struct cgm_cri_pending *ret)
{
	struct cgm_cri_stream *s = &c->stream;

	if (!s->nr)
		return false;
	*ret = s->changes[0];
	memmove(s->changes, s->changes + 1, --s->nr * sizeof(*s->changes));
	return true;
}

void cgm_cri_stream_done(struct cgm_cri *c)
{
	cgm_grpc_free(c->stream.grpc);
	free(c->stream.changes);
}
