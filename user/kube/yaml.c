// SPDX-License-Identifier: Apache-2.0
#include "kube/yaml.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "base/library.h"
#include "base/mem.h"

#define FUNCTIONS(X)                                                                                                                     \
	X(yaml_parser_initialize) X(yaml_parser_set_input_string) X(yaml_parser_load) X(yaml_parser_delete) X(yaml_document_delete)      \
	X(yaml_document_get_root_node) X(yaml_document_get_node)

static struct {
	FUNCTIONS(CGM_LIBRARY_MEMBER)
} lib;

struct cgm_yaml {
	yaml_document_t document;
	bool has_document;
};

static int load(char *fault)
{
	static const char *const names[] = { "libyaml-0.so.2", NULL };
#define X(f) CGM_LIBRARY_SYMBOL(lib, f)
	static const struct cgm_symbol symbols[] = { FUNCTIONS(X) };
#undef X
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int r;

	pthread_mutex_lock(&lock);
	r = cgm_library_load(names, symbols, ARRAY_SIZE(symbols), fault, CGM_YAML_FAULT);
	pthread_mutex_unlock(&lock);
	return r;
}

static int parse(yaml_parser_t *parser, struct cgm_yaml *y, char *fault)
{
	if (lib.yaml_parser_load(parser, &y->document)) {
		y->has_document = true;
		return 0;
	}
	if (parser->error == YAML_MEMORY_ERROR) {
		snprintf(fault, CGM_YAML_FAULT, "out of memory");
		return -ENOMEM;
	}
	snprintf(fault, CGM_YAML_FAULT, "line %zu: %.90s", parser->problem_mark.line + 1, parser->problem ? parser->problem : "no YAML");
	return -EINVAL;
}

int cgm_yaml_read(const char *text, size_t len, struct cgm_yaml **ret, char *fault)
{
	_cleanup_(cgm_yaml_freep) struct cgm_yaml *y = NULL;
	yaml_parser_t parser;
	int r = load(fault);

	if (r < 0)
		return r;
	y = cgm_calloc(1, sizeof(*y));
	if (!y || !lib.yaml_parser_initialize(&parser)) {
		snprintf(fault, CGM_YAML_FAULT, "out of memory");
		return -ENOMEM;
	}
	lib.yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	r = parse(&parser, y, fault);
	lib.yaml_parser_delete(&parser);
	if (r == 0)
		*ret = TAKE_PTR(y);
	return r;
}

void cgm_yaml_free(struct cgm_yaml *y)
{
	if (!y)
		return;
	if (y->has_document)
		lib.yaml_document_delete(&y->document);
	free(y);
}

static yaml_node_t *at(struct cgm_yaml *y, int node)
{
	return node > 0 ? lib.yaml_document_get_node(&y->document, node) : NULL;
}

int cgm_yaml_root(struct cgm_yaml *y)
{
	return lib.yaml_document_get_root_node(&y->document) ? 1 : 0;
}

int cgm_yaml_get(struct cgm_yaml *y, int node, const char *key)
{
	const yaml_node_t *n = at(y, node);

	if (!n || n->type != YAML_MAPPING_NODE)
		return 0;
	for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
		const char *text = cgm_yaml_text(y, p->key);

		if (text && strcmp(text, key) == 0)
			return p->value;
	}
	return 0;
}

int cgm_yaml_item(struct cgm_yaml *y, int node, size_t nr)
{
	const yaml_node_t *n = at(y, node);

	if (!n || n->type != YAML_SEQUENCE_NODE || nr >= (size_t)(n->data.sequence.items.top - n->data.sequence.items.start))
		return 0;
	return n->data.sequence.items.start[nr];
}

const char *cgm_yaml_text(struct cgm_yaml *y, int node)
{
	const yaml_node_t *n = at(y, node);
	const char *text;

	if (!n || n->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)n->data.scalar.value;
	if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (strcmp(text, "null") == 0 || strcmp(text, "~") == 0))
		return "";
	return text;
}

unsigned cgm_yaml_line(struct cgm_yaml *y, int node)
{
	const yaml_node_t *n = at(y, node);

	return n ? (unsigned)n->start_mark.line + 1 : 0;
}
