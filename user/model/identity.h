/* SPDX-License-Identifier: Apache-2.0 */
/* Who a container is, and the labels by which Prometheus knows it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "identity/who.h"

/* So many bytes behind a text of labels may be read (and mean nothing): whoever copies many of them does so in blocks. */
#define CGM_OVER 32

/* What a runtime says of a container; NULL and 0: nothing. */
struct cgm_identity_facts {
	const char *alias; /* its first alias: the label "name" */
	const char *image;
	const struct cgm_pair *labels, *envs; /* envs: those that cgm_env_is_wanted() */
	size_t nr_labels, nr_envs;
};

/* --store_container_labels, --whitelisted_container_labels. Zeroed: no label of a container is shown, as with the former false. */
struct cgm_label_rules {
	bool store; /* all labels of a container */
	const char *whitelist; /* else these keys, comma between; NULL: none */
};

/* Never changes while it lives, and is one allocation. Shared by reference count, any thread. */
struct cgm_identity {
	uint32_t refs; /* atomic */
	char *name; /* cgroup path, "/" for the machine */
	char *labels; /* Prometheus labels ready to be copied, id="/a/b" with values escaped; CGM_OVER bytes follow */
	size_t labels_len;
	size_t base_len; /* of these: id, name, image */
	bool has_alias, has_image;
	/* The rest of labels, part by part, sorted by name: container_label_…, container_env_…; values with their quotes, escaped. */
	struct cgm_shown_label {
		const char *name, *value;
		uint32_t name_len, value_len;
	} *shown;
	size_t nr_shown;
	struct cgm_who *who; /* what the runtime says of the container, whole; NULL: it is none, or nobody knows it */
	struct cgm_who *pod; /* of a pod's own cgroup: its sandbox, which bears the pod's names; else NULL */
	uint64_t looked_ns; /* atomic, CLOCK_MONOTONIC: when a person last looked at it; 0: never. The one word that readers write */
};

/*
 * One reference. facts and rules may be NULL: the cgroup's path alone. A key becomes a label's name with _ for each character that a name cannot
 * have; of keys that become the same the least by strcmp() is taken. NULL: out of memory. _ref returns i; _unref accepts NULL.
 */
struct cgm_identity *cgm_identity_new(const char *name);
/* Somebody looks at it now; and was that within the last ns? Any thread. */
void cgm_identity_look(struct cgm_identity *i);
bool cgm_identity_looked(const struct cgm_identity *i, uint64_t now_ns, uint64_t within_ns);
struct cgm_identity *cgm_identity_new_with(const char *name, const struct cgm_identity_facts *facts, const struct cgm_label_rules *rules);
/*
 * With what a runtime says: name and image from it, and a reference to all the rest. Of a pod's own cgroup it only becomes pod: nothing of cAdvisor's
 * shows it. who may be NULL.
 */
struct cgm_identity *cgm_identity_new_who(const char *name, struct cgm_who *who, const struct cgm_label_rules *rules);
/* Its other names, as cAdvisor has them: docker and podman name and id, containerd id and cgroup. How many; they live as long as the identity. */
size_t cgm_identity_aliases(const struct cgm_identity *i, const char *ret[2]);
/* The name by which cAdvisor's storage drivers know it: the first of these, else the cgroup's path. */
const char *cgm_identity_shown(const struct cgm_identity *i);
/* Appends what people call it: a pod NAMESPACE/POD, its container by its name behind that, others as the runtime calls them; nothing when nobody knows it. */
void cgm_identity_title(const struct cgm_identity *i, struct cgm_buf *out);
struct cgm_identity *cgm_identity_ref(struct cgm_identity *i);
void cgm_identity_unref(struct cgm_identity *i);

/*
 * The labels of many containers as cAdvisor writes them: each has every label that any of them has, with "" for what it has not. To Prometheus
 * an empty label is none; this is for others. identities: nr of them. NULL: out of memory.
 */
struct cgm_label_union;
struct cgm_label_union *cgm_label_union_new(const struct cgm_identity *const *identities, size_t nr);
/* The same with other texts: put appends that of the container with the index. */
typedef void (*cgm_label_put_fn)(struct cgm_buf *b, size_t index, void *arg);
struct cgm_label_union *cgm_label_union_new_with(cgm_label_put_fn put, size_t nr, void *arg);
void cgm_label_union_free(struct cgm_label_union *u);
/* The text of the container with that index; CGM_OVER bytes may be read behind it. */
const char *cgm_label_union_text(const struct cgm_label_union *u, size_t index, size_t *ret_len);
