/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML document (JSON is one) as a tree of numbered nodes, by libyaml, which is loaded on use. Never changes once read; any thread. */
#pragma once
#include <stddef.h>

#include "base/cleanup.h"

#define CGM_YAML_FAULT 128

struct cgm_yaml;
/* The first document of text. 0; -EINVAL with fault (CGM_YAML_FAULT) "line 3: …"; -ENOENT: the library is not there; -ENOMEM. */
int cgm_yaml_read(const char *text, size_t len, struct cgm_yaml **ret, char *fault);
void cgm_yaml_free(struct cgm_yaml *y);
DEFINE_CLEANUP(cgm_yaml, cgm_yaml_free)

/* Nodes: 0 is none, and has nothing below. */
int cgm_yaml_root(struct cgm_yaml *y);
/* The value of a mapping's key; of a key that comes twice, the first. */
int cgm_yaml_get(struct cgm_yaml *y, int node, const char *key);
/* The n-th (from 0) item of a list. */
int cgm_yaml_item(struct cgm_yaml *y, int node, size_t n);
/* A plain value's text, which lives as long as y; "" for null; NULL: it is none. */
const char *cgm_yaml_text(struct cgm_yaml *y, int node);
/* Where it stands, from 1; 0 for none. */
unsigned cgm_yaml_line(struct cgm_yaml *y, int node);
