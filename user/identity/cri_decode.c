// SPDX-License-Identifier: Apache-2.0
#include "identity/cri_decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/protobuf.h"

/* A field is known by its number and its wire type: one of another type is one that we do not know. */
#define BYTES(number) CGM_PB_TAG(number, CGM_PB_BYTES)
#define VARINT(number) CGM_PB_TAG(number, CGM_PB_VARINT)

static uint32_t tag(const struct cgm_pb_field *f)
{
	return f->number << 3 | (uint32_t)f->wire;
}

/* ---- lists ---- */

static void copy_str(struct cgm_str s, char *text, size_t size)
{
	snprintf(text, size, "%.*s", (int)MIN(s.len, size), s.p);
}

static int decode_version(struct cgm_str m, uint32_t name_tag, uint32_t version_tag, struct cgm_cri_version *ret)
{
	struct cgm_cri_version v = { 0 };
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0) {
		if (tag(&f) == name_tag)
			copy_str(f.bytes, v.name, sizeof(v.name));
		else if (tag(&f) == version_tag)
			copy_str(f.bytes, v.version, sizeof(v.version));
	}
	if (r == 0)
		*ret = v;
	return r;
}

int cgm_cri_decode_version(struct cgm_str m, struct cgm_cri_version *ret)
{
	return decode_version(m, BYTES(2), BYTES(3), ret);
}

int cgm_containerd_decode_version(struct cgm_str m, struct cgm_cri_version *ret)
{
	int r = decode_version(m, 0, BYTES(1), ret);

	if (r == 0)
		copy_str(CGM_STR("containerd"), ret->name, sizeof(ret->name));
	return r;
}

/* UInt64Value */
static int decode_number(struct cgm_str m, uint64_t *ret)
{
	struct cgm_pb_field f;
	uint64_t v = 0;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0)
		if (tag(&f) == VARINT(1))
			v = f.value;
	if (r == 0)
		*ret = v;
	return r;
}

/* FilesystemUsage */
static int decode_fs_usage(struct cgm_str m, struct cgm_cri_images *ret)
{
	struct cgm_cri_images v = { 0 };
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0) {
		if (tag(&f) == BYTES(3))
			r = decode_number(f.bytes, &v.used_bytes);
		else if (tag(&f) == BYTES(4))
			r = decode_number(f.bytes, &v.used_inodes);
		if (r < 0)
			return r;
	}
	if (r == 0)
		*ret = v;
	return r;
}

int cgm_cri_decode_images(struct cgm_str m, struct cgm_cri_images *ret)
{
	struct cgm_cri_images first, next;
	struct cgm_pb_field f;
	bool any = false;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0) {
		if (tag(&f) != BYTES(1))
			continue;
		r = decode_fs_usage(f.bytes, any ? &next : &first);
		if (r < 0)
			return r;
		any = true;
	}
	if (r < 0 || !any)
		return r < 0 ? r : -ENOENT;
	*ret = first;
	return 0;
}

/* ContainerState */
static enum cgm_who_state container_state(uint64_t v)
{
	static const enum cgm_who_state states[] = { CGM_STATE_CREATED, CGM_STATE_RUNNING, CGM_STATE_EXITED };

	return v < ARRAY_SIZE(states) ? states[v] : CGM_STATE_UNKNOWN;
}

/* PodSandboxState */
static enum cgm_who_state sandbox_state(uint64_t v)
{
	return v == 0 ? CGM_STATE_RUNNING : v == 1 ? CGM_STATE_EXITED : CGM_STATE_UNKNOWN;
}

static int each_part(struct cgm_str m, cgm_containerd_fn *fn, void *arg)
{
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0)
		if (tag(&f) == BYTES(1) && (r = fn(arg, f.bytes)) < 0)
			return r;
	return r;
}

struct items {
	cgm_cri_item_fn *fn;
	void *arg;
	uint32_t state_tag;
	enum cgm_who_state (*state)(uint64_t v);
};

static int item(void *arg, struct cgm_str m)
{
	const struct items *items = arg;
	struct cgm_str id = { 0 };
	uint64_t state = 0; /* left out when it is 0 */
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0) {
		if (tag(&f) == BYTES(1))
			id = f.bytes;
		else if (tag(&f) == items->state_tag)
			state = f.value;
	}
	if (r < 0)
		return r;
	return id.len ? items->fn(items->arg, id, items->state(state)) : 0;
}

int cgm_cri_each_container(struct cgm_str m, cgm_cri_item_fn *fn, void *arg)
{
	struct items items = { fn, arg, VARINT(6), container_state };

	return each_part(m, item, &items);
}

int cgm_cri_each_sandbox(struct cgm_str m, cgm_cri_item_fn *fn, void *arg)
{
	struct items items = { fn, arg, VARINT(3), sandbox_state };

	return each_part(m, item, &items);
}

struct names {
	cgm_containerd_fn *fn;
	void *arg;
};

/* Of a Namespace message its name. */
static int namespace_name(void *arg, struct cgm_str m)
{
	const struct names *names = arg;

	return each_part(m, names->fn, names->arg);
}

int cgm_containerd_each_namespace(struct cgm_str m, cgm_containerd_fn *fn, void *arg)
{
	struct names names = { fn, arg };

	return each_part(m, namespace_name, &names);
}

int cgm_containerd_each_container(struct cgm_str m, cgm_containerd_fn *fn, void *arg)
{
	return each_part(m, fn, arg);
}

/* ---- one container ---- */

void cgm_cri_facts_done(struct cgm_cri_facts *f)
{
	free(f->texts);
	free(f->who.labels);
	*f = (struct cgm_cri_facts){ 0 };
}

/* Texts are copied to be ended by a zero. A text has at least two bytes beside it in its message, so that all of them fit into the message's length. */
static int begin(struct cgm_str message, struct cgm_cri_facts *f)
{
	f->texts = cgm_malloc(message.len);
	return f->texts ? 0 : -ENOMEM;
}

static const char *keep(struct cgm_cri_facts *f, struct cgm_str s)
{
	char *text = f->texts + f->texts_len;

	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	f->texts_len += s.len + 1;
	return text;
}

static void keep_text(struct cgm_cri_facts *f, struct cgm_str s, const char **to)
{
	if (s.len)
		*to = keep(f, s);
}

/* A text may begin with a zero. */
static bool has_id(const struct cgm_cri_facts *f)
{
	return f->who.id && *f->who.id;
}

static int read_pair(struct cgm_str m, struct cgm_str *key, struct cgm_str *value)
{
	struct cgm_pb_field field;
	int r;

	*key = *value = (struct cgm_str){ "", 0 };
	while ((r = cgm_pb_next(&m, &field)) > 0) {
		if (tag(&field) == BYTES(1))
			*key = field.bytes;
		else if (tag(&field) == BYTES(2))
			*value = field.bytes;
	}
	return r;
}

static int add_label(struct cgm_cri_facts *f, struct cgm_str m)
{
	struct cgm_str key, value;
	struct cgm_pair *pair;
	int r = read_pair(m, &key, &value);

	if (r < 0)
		return r;
	if (cgm_grow((void **)&f->who.labels, &f->cap_labels, f->who.nr_labels, sizeof(*f->who.labels)) < 0)
		return -ENOMEM;
	pair = &f->who.labels[f->who.nr_labels++];
	pair->key = keep(f, key);
	pair->value = keep(f, value);
	return 0;
}

static int add_annotation(struct cgm_cri_facts *f, struct cgm_str m)
{
	struct cgm_str key, value;
	uint64_t nr;
	int r = read_pair(m, &key, &value);

	if (r == 0 && cgm_str_eq(key, "io.kubernetes.container.restartCount") && cgm_parse_u64(value, &nr) == 0)
		f->who.restart_count = (uint32_t)MIN(nr, UINT32_MAX);
	return r;
}

static int add_info(struct cgm_cri_facts *f, struct cgm_str m)
{
	struct cgm_str key, value;
	int r = read_pair(m, &key, &value);

	if (r == 0 && cgm_str_eq(key, "info"))
		f->info = value;
	return r;
}

/* ImageSpec: what the user wrote (later runtimes), else what the runtime made of it. */
static int add_image(struct cgm_cri_facts *f, struct cgm_str m)
{
	struct cgm_str image = { 0 }, written = { 0 };
	struct cgm_pb_field field;
	int r;

	while ((r = cgm_pb_next(&m, &field)) > 0) {
		if (tag(&field) == BYTES(1))
			image = field.bytes;
		else if (tag(&field) == BYTES(18))
			written = field.bytes;
	}
	if (r == 0)
		keep_text(f, written.len ? written : image, &f->who.image);
	return r;
}

/* ContainerMetadata, PodSandboxMetadata: each field's number is that of its text. NULL: not wanted. */
static int add_metadata(struct cgm_cri_facts *f, struct cgm_str m, const char **const to[3])
{
	struct cgm_pb_field field;
	int r;

	while ((r = cgm_pb_next(&m, &field)) > 0)
		if (field.wire == CGM_PB_BYTES && field.number <= 3 && to[field.number - 1])
			keep_text(f, field.bytes, to[field.number - 1]);
	return r;
}

/* Nanoseconds of an int64; CRI-O's "never" is far below zero. */
static uint64_t since_epoch(uint64_t v)
{
	return v <= INT64_MAX ? v : 0;
}

static int container_field(struct cgm_cri_facts *f, const struct cgm_pb_field *field, struct cgm_str *image_ref)
{
	struct cgm_who *w = &f->who;

	switch (tag(field)) {
	case BYTES(1):
		keep_text(f, field->bytes, &w->id);
		return 0;
	case BYTES(2):
		return add_metadata(f, field->bytes, (const char **const[3]){ &w->name });
	case VARINT(3):
		w->state = container_state(field->value);
		return 0;
	case VARINT(4):
		w->created_ns = since_epoch(field->value);
		return 0;
	case VARINT(5):
		w->started_ns = since_epoch(field->value);
		return 0;
	case VARINT(6):
		w->finished_ns = since_epoch(field->value);
		return 0;
	case VARINT(7):
		w->exit_code = (int)(uint32_t)field->value;
		return 0;
	case BYTES(8):
		return add_image(f, field->bytes);
	case BYTES(9):
		*image_ref = field->bytes;
		return 0;
	case BYTES(12):
		return add_label(f, field->bytes);
	case BYTES(13):
		return add_annotation(f, field->bytes);
	case BYTES(15):
		keep_text(f, field->bytes, &w->log_path);
		return 0;
	default:
		return 0;
	}
}

static int decode_container_status(struct cgm_cri_facts *f, struct cgm_str m)
{
	struct cgm_str image_ref = { 0 };
	struct cgm_pb_field field;
	int r;

	f->who.state = CGM_STATE_CREATED; /* left out when it is 0 */
	while ((r = cgm_pb_next(&m, &field)) > 0) {
		r = container_field(f, &field, &image_ref);
		if (r < 0)
			return r;
	}
	if (r == 0 && !f->who.image)
		keep_text(f, image_ref, &f->who.image);
	f->who.has_exit_code = f->who.state == CGM_STATE_EXITED;
	if (!f->who.has_exit_code)
		f->who.exit_code = 0;
	return r;
}

static int sandbox_field(struct cgm_cri_facts *f, const struct cgm_pb_field *field)
{
	struct cgm_who *w = &f->who;

	switch (tag(field)) {
	case BYTES(1):
		keep_text(f, field->bytes, &w->id);
		return 0;
	case BYTES(2):
		return add_metadata(f, field->bytes, (const char **const[3]){ &w->pod, &w->pod_uid, &w->pod_namespace });
	case VARINT(3):
		w->state = sandbox_state(field->value);
		return 0;
	case VARINT(4):
		w->created_ns = since_epoch(field->value);
		return 0;
	case BYTES(7):
		return add_label(f, field->bytes);
	default:
		return 0;
	}
}

static int decode_sandbox_status(struct cgm_cri_facts *f, struct cgm_str m)
{
	struct cgm_pb_field field;
	int r;

	f->who.state = CGM_STATE_RUNNING;
	while ((r = cgm_pb_next(&m, &field)) > 0) {
		r = sandbox_field(f, &field);
		if (r < 0)
			return r;
	}
	return r;
}

/* Both responses: 1 is the status, 2 the verbose information. */
static int decode_response(struct cgm_str m, struct cgm_cri_facts *f, int (*status)(struct cgm_cri_facts *, struct cgm_str))
{
	struct cgm_pb_field field;
	int r = begin(m, f);

	if (r < 0)
		return r;
	while ((r = cgm_pb_next(&m, &field)) > 0) {
		if (tag(&field) == BYTES(1))
			r = status(f, field.bytes);
		else if (tag(&field) == BYTES(2))
			r = add_info(f, field.bytes);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : has_id(f) ? 0 : -EINVAL;
}

int cgm_cri_decode_container(struct cgm_str m, struct cgm_cri_facts *f)
{
	int r = decode_response(m, f, decode_container_status);

	if (r < 0)
		return r;
	cgm_who_pod_labels(&f->who);
	if (!f->who.container)
		f->who.container = f->who.name;
	f->who.name = f->who.container;
	return 0;
}

int cgm_cri_decode_sandbox(struct cgm_str m, struct cgm_cri_facts *f)
{
	struct cgm_who named;
	int r = decode_response(m, f, decode_sandbox_status);

	if (r < 0)
		return r;
	/* The metadata is what the runtime was told, labels are of whoever wrote them. */
	f->who.is_sandbox = true;
	named = f->who;
	cgm_who_pod_labels(&f->who);
	f->who.pod = named.pod ? named.pod : f->who.pod;
	f->who.pod_uid = named.pod_uid ? named.pod_uid : f->who.pod_uid;
	f->who.pod_namespace = named.pod_namespace ? named.pod_namespace : f->who.pod_namespace;
	return 0;
}

/* ---- containerd's own ---- */

/* google.protobuf.Timestamp */
static int read_time(struct cgm_str m, uint64_t *ret_ns)
{
	uint64_t sec = 0, nsec = 0;
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&m, &f)) > 0) {
		if (tag(&f) == VARINT(1))
			sec = f.value;
		else if (tag(&f) == VARINT(2))
			nsec = f.value;
	}
	/* Go's zero time is in the year 1. */
	if (r == 0 && sec < INT64_MAX / CGM_NSEC_PER_SEC && nsec < CGM_NSEC_PER_SEC)
		*ret_ns = sec * CGM_NSEC_PER_SEC + nsec;
	return r;
}

static int own_field(struct cgm_cri_facts *f, const struct cgm_pb_field *field)
{
	struct cgm_str type;

	switch (tag(field)) {
	case BYTES(1):
		keep_text(f, field->bytes, &f->who.id);
		return 0;
	case BYTES(2):
		return add_label(f, field->bytes);
	case BYTES(3):
		keep_text(f, field->bytes, &f->who.image);
		return 0;
	case BYTES(5):
		return read_pair(field->bytes, &type, &f->info); /* google.protobuf.Any */
	case BYTES(8):
		return read_time(field->bytes, &f->who.created_ns);
	default:
		return 0;
	}
}

int cgm_containerd_decode_container(struct cgm_str m, struct cgm_cri_facts *f)
{
	struct cgm_pb_field field;
	int r = begin(m, f);

	if (r < 0)
		return r;
	while ((r = cgm_pb_next(&m, &field)) > 0) {
		r = own_field(f, &field);
		if (r < 0)
			return r;
	}
	if (r < 0 || !has_id(f))
		return -EINVAL;
	for (size_t i = 0; i < f->who.nr_labels; i++) {
		const struct cgm_pair *label = &f->who.labels[i];

		if (strcmp(label->key, "nerdctl/name") == 0)
			f->who.name = label->value;
		/* The CRI's own, seen without the CRI. */
		if (strcmp(label->key, "io.cri-containerd.kind") == 0)
			f->who.is_sandbox = strcmp(label->value, "sandbox") == 0;
	}
	cgm_who_pod_labels(&f->who);
	if (f->who.container)
		f->who.name = f->who.container;
	return 0;
}

static enum cgm_who_state task_state(uint64_t v)
{
	static const enum cgm_who_state states[] = {
		CGM_STATE_UNKNOWN, CGM_STATE_CREATED, CGM_STATE_RUNNING, CGM_STATE_EXITED, CGM_STATE_PAUSED, CGM_STATE_PAUSED,
	};

	return v < ARRAY_SIZE(states) ? states[v] : CGM_STATE_UNKNOWN;
}

/* A Process: the caller's if it is of that container. */
static int add_process(void *arg, struct cgm_str m)
{
	struct cgm_cri_facts *f = arg;
	struct cgm_who w = { .state = CGM_STATE_UNKNOWN };
	struct cgm_str container = { "", 0 };
	struct cgm_pb_field field;
	int r;

	while ((r = cgm_pb_next(&m, &field)) > 0) {
		if (tag(&field) == BYTES(1))
			container = field.bytes;
		/* containerd 1.6 answers Get and List with the container's id in id, and leaves container_id empty. */
		else if (tag(&field) == BYTES(2) && !container.len)
			container = field.bytes;
		else if (tag(&field) == VARINT(3))
			w.pid = (uint32_t)field.value;
		else if (tag(&field) == VARINT(4))
			w.state = task_state(field.value);
		else if (tag(&field) == VARINT(9))
			w.exit_code = (int)(uint32_t)field.value;
		else if (tag(&field) == BYTES(10) && read_time(field.bytes, &w.finished_ns) < 0)
			return -EINVAL;
	}
	if (r < 0 || !cgm_str_eq(container, f->who.id))
		return r;
	f->who.state = w.state;
	f->who.has_exit_code = w.state == CGM_STATE_EXITED;
	f->who.pid = f->who.has_exit_code ? 0 : w.pid;
	f->who.exit_code = f->who.has_exit_code ? w.exit_code : 0;
	f->who.finished_ns = f->who.has_exit_code ? w.finished_ns : 0;
	return 0;
}

int cgm_containerd_add_task(struct cgm_str m, struct cgm_cri_facts *f)
{
	f->who.state = CGM_STATE_CREATED;
	return each_part(m, add_process, f);
}
