// SPDX-License-Identifier: Apache-2.0
/*
 * What docker's API may answer: a container, a list, an event, a version. Invariants: a fault leaves the results alone; ids are ids; labels and
 * variables come sorted, each once, and only variables that were asked for, in lower case.
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "identity/json_docker.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static void check_pairs(const struct cgm_pair *pairs, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		check(pairs[i].key && pairs[i].value);
		check(!i || strcmp(pairs[i - 1].key, pairs[i].key) < 0);
	}
}

static void try_inspect(const char *p, size_t len)
{
	struct cgm_who *w = NULL;
	int r = cgm_docker_inspect(p, len, "docker", "APP_,,T", &w);

	check(r == 0 || ((r == -EINVAL || r == -ENOMEM) && !w));
	if (r < 0)
		return;
	check(cgm_docker_is_id(w->id) && w->state <= CGM_STATE_EXITED && (!w->has_exit_code || w->state == CGM_STATE_EXITED));
	check(!w->health || *w->health);
	check(!w->is_sandbox || !w->container);
	check_pairs(w->labels, w->nr_labels);
	check_pairs(w->envs, w->nr_envs);
	check_pairs(w->volumes, w->nr_volumes);
	check(!w->upper_dir || *w->upper_dir == '/');
	for (size_t i = 0; i < w->nr_volumes; i++)
		check(*w->volumes[i].value == '/');
	for (size_t i = 0; i < w->nr_labels; i++)
		check(cgm_who_label(w, w->labels[i].key) == w->labels[i].value);
	for (size_t i = 0; i < w->nr_envs; i++) {
		check(strncmp(w->envs[i].key, "app_", 4) == 0 || w->envs[i].key[0] == 't');
		for (const char *c = w->envs[i].key; *c; c++)
			check(tolower((unsigned char)*c) == (unsigned char)*c);
	}
	cgm_who_unref(w);
}

static int on_id(void *arg, const char *id)
{
	size_t *nr = arg;

	check(cgm_docker_is_id(id) && strlen(id) < CGM_MAX_ID);
	return ++*nr == 3 ? -ENOBUFS : 0;
}

static void try_list(const char *p, size_t len)
{
	size_t nr = 0, nr_bad = 4711;
	int r = cgm_docker_list(p, len, on_id, &nr, &nr_bad);

	check(r == 0 || (r == -EINVAL && nr == 0) || (r == -ENOBUFS && nr == 3));
	check((r < 0) == (nr_bad == 4711));
}

static void try_event(const char *p, size_t len)
{
	struct cgm_docker_event e = { .id = "?" };
	char version[8] = "?";
	int r = cgm_docker_event(p, len, &e);

	check(r == 0 || (r == -EINVAL && strcmp(e.id, "?") == 0));
	if (r == 0)
		check(e.change == CGM_DOCKER_NOTHING ? !*e.id : cgm_docker_is_id(e.id));
	r = cgm_docker_version(p, len, version, sizeof(version));
	check(r == 0 ? memchr(version, '\0', sizeof(version)) != NULL : r == -EINVAL && strcmp(version, "?") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;

	try_inspect(p, size);
	try_list(p, size);
	try_event(p, size);
	return 0;
}
