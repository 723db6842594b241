// SPDX-License-Identifier: Apache-2.0
/* What the streams of events say, as far as we want it: of whom an event is, and its state after it. All else is asked for. */
#include <stdio.h>
#include <string.h>

#include "base/protobuf.h"
#include "identity/cri_decode.h"

/* A field is known by its number and its wire type. */
#define BYTES(number) CGM_PB_TAG(number, CGM_PB_BYTES)
#define VARINT(number) CGM_PB_TAG(number, CGM_PB_VARINT)

/* An OOM changes nothing that a runtime tells; a task that is deleted was told of by its exit. */
static const struct {
	const char *topic;
	enum cgm_who_state state;
	bool gone;
	uint32_t process_field; /* which process it is of: others than the container's first are no news; 0: it is of the container */
} topics[] = {
	{ "/tasks/start", CGM_STATE_RUNNING, false, 0 },	 { "/tasks/exit", CGM_STATE_EXITED, false, BYTES(2) },
	{ "/tasks/paused", CGM_STATE_PAUSED, false, 0 },	 { "/tasks/resumed", CGM_STATE_RUNNING, false, 0 },
	{ "/containers/create", CGM_STATE_UNKNOWN, false, 0 }, { "/containers/update", CGM_STATE_UNKNOWN, false, 0 },
	{ "/containers/delete", CGM_STATE_UNKNOWN, true, 0 },
};

static uint32_t tag(const struct cgm_pb_field *f)
{
	return f->number << 3 | (uint32_t)f->wire;
}

int cgm_cri_decode_event(struct cgm_str m, struct cgm_cri_event *ret)
{
	static const enum cgm_who_state states[] = { CGM_STATE_CREATED, CGM_STATE_RUNNING, CGM_STATE_EXITED, CGM_STATE_UNKNOWN };
	enum { DELETED = 3 }; /* ContainerEventType: created, started, stopped, deleted */
	struct cgm_cri_event e = { 0 };
	struct cgm_pb_field f;
	uint64_t type = 0; /* left out when it is 0 */
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0) {
		if (tag(&f) == BYTES(1))
			e.id = f.bytes;
		else if (tag(&f) == VARINT(2))
			type = f.value;
	}
	if (r < 0)
		return r;
	e.state = type < ARRAY_SIZE(states) ? states[type] : CGM_STATE_UNKNOWN;
	e.gone = type == DELETED;
	*ret = e;
	return 0;
}

/* google.protobuf.Any: the event itself, which has the container's id in field 1, whatever it is. */
static int read_any(struct cgm_str m, uint32_t process_field, struct cgm_str *ret_id)
{
	struct cgm_str value = { 0 }, id = { 0 }, process = { 0 };
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0)
		if (tag(&f) == BYTES(2))
			value = f.bytes;
	if (r < 0)
		return r;
	while ((r = cgm_pb_next(&value, &f)) > 0) {
		if (tag(&f) == BYTES(1))
			id = f.bytes;
		else if (process_field && tag(&f) == process_field)
			process = f.bytes;
	}
	if (r == 0 && (!process.len || (process.len == id.len && memcmp(process.p, id.p, id.len) == 0)))
		*ret_id = id;
	return r;
}

int cgm_containerd_decode_event(struct cgm_str m, struct cgm_cri_event *ret)
{
	struct cgm_str topic = { 0 }, any = { 0 };
	struct cgm_cri_event e = { 0 };
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0) {
		if (tag(&f) == BYTES(2))
			e.namespace = f.bytes;
		else if (tag(&f) == BYTES(3))
			topic = f.bytes;
		else if (tag(&f) == BYTES(4))
			any = f.bytes;
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(topics); i++) {
		if (!cgm_str_eq(topic, topics[i].topic))
			continue;
		e.state = topics[i].state;
		e.gone = topics[i].gone;
		r = read_any(any, topics[i].process_field, &e.id);
	}
	if (r == 0)
		*ret = e;
	return r;
}

void cgm_containerd_event_request(struct cgm_buf *b)
{
	char filter[64];

	for (size_t i = 0; i < ARRAY_SIZE(topics); i++) {
		int len = snprintf(filter, sizeof(filter), "topic==\"%s\",namespace!=moby", topics[i].topic);

		cgm_pb_text(b, BYTES(1), filter, (size_t)len);
	}
}
