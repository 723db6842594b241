// SPDX-License-Identifier: Apache-2.0
/* The body of a request for containers. The only file with jansson. */
#include "output/json.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

/* jansson takes some failed allocations for bad JSON, and cuts a text short at another: a client would be blamed for our lack of memory. */
static _Thread_local bool out_of_memory;

static void *json_alloc(size_t size)
{
	void *p = cgm_malloc(size);

	out_of_memory |= !p;
	return p;
}

static void use_our_memory(void)
{
	json_set_alloc_funcs(json_alloc, free);
}

static int fault(char **ret_fault, char *text)
{
	*ret_fault = text;
	return -EINVAL;
}

static int parse_nr_stats(const json_t *root, int64_t *ret, char **ret_fault)
{
	const json_t *j = json_object_get(root, "num_stats");

	if (!j || json_is_null(j))
		return 0;
	if (!json_is_integer(j))
		return fault(ret_fault, cgm_asprintf("num_stats: must be an integer"));
	if (json_integer_value(j) < -1)
		return fault(ret_fault, cgm_asprintf("num_stats: must be -1 (all) or more"));
	*ret = json_integer_value(j);
	return 0;
}

/* A moment before 1970 bounds nothing as a start, and leaves nothing as an end. Go's zero time is "no bound". */
static int parse_time(const json_t *root, const char *key, uint64_t before_epoch, uint64_t *ret, char **ret_fault)
{
	static const char zero[] = "0001-01-01T00:00:00Z";
	const json_t *j = json_object_get(root, key);
	int64_t ns;

	if (!j || json_is_null(j))
		return 0;
	if (!json_is_string(j))
		return fault(ret_fault, cgm_asprintf("%s: must be a string, a time as in RFC 3339", key));
	if (cgm_parse_rfc3339((struct cgm_str){ json_string_value(j), json_string_length(j) }, &ns) < 0)
		return fault(ret_fault, cgm_asprintf("%s: not a time as in RFC 3339", key));
	if (strcmp(json_string_value(j), zero) == 0)
		*ret = 0;
	else
		*ret = ns > 0 ? (uint64_t)ns : before_epoch;
	return 0;
}

static int parse_common(const json_t *root, struct cgm_json_request *ret, char **ret_fault)
{
	int r = parse_nr_stats(root, &ret->nr_stats, ret_fault);

	if (r == 0)
		r = parse_time(root, "start", 0, &ret->start_ns, ret_fault);
	if (r == 0)
		r = parse_time(root, "end", 1, &ret->end_ns, ret_fault);
	return r;
}

/* *ret_root is NULL when the text is empty. */
static int load(const char *text, size_t len, json_t **ret_root, char **ret_fault)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	_cleanup_(json_decrefp) json_t *root = NULL;
	json_error_t error;

	*ret_fault = NULL;
	*ret_root = NULL;
	pthread_once(&once, use_our_memory);
	if (!cgm_trim((struct cgm_str){ text, len }).len)
		return 0;
	out_of_memory = false;
	root = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (out_of_memory)
		return -ENOMEM;
	if (!root)
		return fault(ret_fault, cgm_asprintf("the body is not JSON: %s (line %d, column %d)", error.text, error.line, error.column));
	if (!json_is_object(root) && !json_is_null(root))
		return fault(ret_fault, cgm_asprintf("the body must be a JSON object"));
	*ret_root = TAKE_PTR(root);
	return 0;
}

int cgm_json_request_parse(const char *text, size_t len, struct cgm_json_request *ret, char **ret_fault)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	struct cgm_json_request request = CGM_JSON_REQUEST_DEFAULT;
	int r = load(text, len, &root, ret_fault);

	if (r == 0)
		r = parse_common(root, &request, ret_fault);
	if (r == 0)
		*ret = request;
	return r;
}

static int parse_flag(const json_t *root, const char *key, bool *ret, char **ret_fault)
{
	const json_t *j = json_object_get(root, key);

	if (j && !json_is_null(j) && !json_is_boolean(j))
		return fault(ret_fault, cgm_asprintf("%s: must be true or false", key));
	*ret = json_is_true(j);
	return 0;
}

static int parse_name(const json_t *root, const char *key, char **ret, char **ret_fault)
{
	const json_t *j = json_object_get(root, key);

	if (j && !json_is_null(j) && (!json_is_string(j) || strlen(json_string_value(j)) != json_string_length(j)))
		return fault(ret_fault, cgm_asprintf("%s: must be a string, a cgroup's path", key));
	*ret = cgm_asprintf("/%s", json_is_string(j) ? json_string_value(j) : "");
	return *ret ? 0 : -ENOMEM;
}

int cgm_json_stats_request_parse(const char *text, size_t len, struct cgm_json_stats_request *ret, char **ret_fault)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	struct cgm_json_stats_request request = { .samples = CGM_JSON_REQUEST_DEFAULT };
	int r = load(text, len, &root, ret_fault);

	if (r == 0)
		r = parse_common(root, &request.samples, ret_fault);
	if (r == 0)
		r = parse_flag(root, "subcontainers", &request.subcontainers, ret_fault);
	if (r == 0)
		r = parse_name(root, "containerName", &request.container, ret_fault);
	if (r == 0)
		*ret = request;
	return r;
}
