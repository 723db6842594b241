/* SPDX-License-Identifier: Apache-2.0 */
/* One function a form, all as cgm_decode; and what they share. The draft gets sets in order, once (cast.h). */
#pragma once
#include "base/cleanup.h"
#include "source/cast.h"
#include "source/decode.h"
#include "source/scan.h"

int cgm_decode_summary(struct cgm_str text, struct cgm_draft *d, uint64_t *nr_bad, char *fault);
int cgm_decode_resource(struct cgm_str text, struct cgm_draft *d, uint64_t *nr_bad, char *fault);
/* list: /api/v1.3/subcontainers; else the map of /stats/container. */
int cgm_decode_containers(struct cgm_str text, bool list, struct cgm_draft *d, uint64_t *nr_bad, char *fault);
int cgm_decode_compact(struct cgm_str text, struct cgm_draft *d, uint64_t *nr_bad, char *fault);

/* A member of an object that is a counter. */
struct cgm_decode_field {
	const char *key;
	size_t len;
	enum cgm_cm metric;
};
#define CGM_FIELD(key, id) { key, sizeof(key) - 1, CGM_CM_##id }
/* Which of them has that key; -1: none. */
static inline int cgm_decode_find(const struct cgm_decode_field *fields, size_t nr, struct cgm_str key)
{
	for (size_t i = 0; i < nr; i++)
		if (fields[i].len == key.len && memcmp(fields[i].key, key.p, key.len) == 0)
			return (int)i;
	return -1;
}

/* What a file system is said to have; sent as up to five labeled values. */
struct cgm_decode_fs {
	uint32_t present; /* bit i: values[i] */
	int64_t values[CGM_CM_FILESYSTEM_INODES_FREE - CGM_CM_FILESYSTEM_USAGE + 1]; /* in the order of cluster.def */
};
/* resource: one pair, resource_id and its text, that lives as long as the draft's content. */
void cgm_decode_put_fs(struct cgm_cast *c, int set, const struct cgm_decode_fs *fs, const struct cgm_tag *resource);
/* The pair resource_id and prefix + text. NULL: out of memory. */
const struct cgm_tag *cgm_decode_resource_id(struct cgm_draft *d, const char *prefix, struct cgm_str text);

struct cgm_decode_gpu { /* an accelerator; texts may be NULL */
	const char *make, *model, *id;
	uint32_t present; /* bit i: values[i] */
	int64_t values[3]; /* memory total, memory used, duty cycle */
};
void cgm_decode_put_gpu(struct cgm_cast *c, int set, const struct cgm_decode_gpu *g);
/* An application's own metric. name is the draft's. */
void cgm_decode_put_custom(struct cgm_cast *c, int set, const char *name, bool is_float, union cgm_cm_value value);

/* Heapster's name for a part of a node that a kubelet calls so. */
static inline const char *cgm_decode_system_name(const char *name)
{
	return strcmp(name, "runtime") == 0 ? "docker-daemon" : strcmp(name, "misc") == 0 ? "system" : name;
}

/* Is that said: a text that is there and not empty? */
static inline bool cgm_decode_said(const char *text)
{
	return text && *text;
}
