// SPDX-License-Identifier: Apache-2.0
/* Names of perf events: the generic ones, and those that a PMU describes in sysfs (Documentation/ABI/testing/sysfs-bus-event_source-devices-*). */
#include "cgroup/perf.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"

#define DEVICES "sys/bus/event_source/devices/"

static const struct {
	const char *perf, *other, *pfm; /* names: of perf, another one of perf ("": none), of libpfm */
	uint32_t type;
	uint64_t config;
} generic[] = {
	{ "cpu-cycles", "cycles", "PERF_COUNT_HW_CPU_CYCLES", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES },
	{ "instructions", "", "PERF_COUNT_HW_INSTRUCTIONS", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS },
	{ "cache-references", "", "PERF_COUNT_HW_CACHE_REFERENCES", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES },
	{ "cache-misses", "", "PERF_COUNT_HW_CACHE_MISSES", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
	{ "branch-instructions", "branches", "PERF_COUNT_HW_BRANCH_INSTRUCTIONS", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS },
	{ "branch-misses", "", "PERF_COUNT_HW_BRANCH_MISSES", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES },
	{ "bus-cycles", "", "PERF_COUNT_HW_BUS_CYCLES", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BUS_CYCLES },
	{ "stalled-cycles-frontend", "idle-cycles-frontend", "PERF_COUNT_HW_STALLED_CYCLES_FRONTEND", PERF_TYPE_HARDWARE,
	  PERF_COUNT_HW_STALLED_CYCLES_FRONTEND },
	{ "stalled-cycles-backend", "idle-cycles-backend", "PERF_COUNT_HW_STALLED_CYCLES_BACKEND", PERF_TYPE_HARDWARE,
	  PERF_COUNT_HW_STALLED_CYCLES_BACKEND },
	{ "ref-cycles", "", "PERF_COUNT_HW_REF_CPU_CYCLES", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES },
	{ "cpu-clock", "", "PERF_COUNT_SW_CPU_CLOCK", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK },
	{ "task-clock", "", "PERF_COUNT_SW_TASK_CLOCK", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK },
	{ "page-faults", "faults", "PERF_COUNT_SW_PAGE_FAULTS", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS },
	{ "context-switches", "cs", "PERF_COUNT_SW_CONTEXT_SWITCHES", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES },
	{ "cpu-migrations", "migrations", "PERF_COUNT_SW_CPU_MIGRATIONS", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS },
	{ "minor-faults", "", "PERF_COUNT_SW_PAGE_FAULTS_MIN", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN },
	{ "major-faults", "", "PERF_COUNT_SW_PAGE_FAULTS_MAJ", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ },
	{ "alignment-faults", "", "PERF_COUNT_SW_ALIGNMENT_FAULTS", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_ALIGNMENT_FAULTS },
	{ "emulation-faults", "", "PERF_COUNT_SW_EMULATION_FAULTS", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_EMULATION_FAULTS },
};

/* Puts the lowest bits of value where a format such as "config:0-7,32-35" says. False: no such format. */
static bool place(struct cgm_str format, uint64_t value, uint64_t config[3])
{
	static const char *const words[] = { "config", "config1", "config2" };
	struct cgm_str word, part, first;
	size_t w = 0;

	if (!cgm_next_field(&format, ':', &word))
		return false;
	while (w < ARRAY_SIZE(words) && !cgm_str_eq(word, words[w]))
		w++;
	if (w == ARRAY_SIZE(words))
		return false;
	while (cgm_next_field(&format, ',', &part)) {
		uint64_t a, b;

		if (!cgm_next_field(&part, '-', &first) || cgm_parse_u64(first, &a) < 0)
			return false;
		b = a;
		if ((part.len && cgm_parse_u64(part, &b) < 0) || b > 63 || a > b)
			return false;
		for (; a <= b; a++, value >>= 1)
			config[w] |= (value & 1) << a;
	}
	return true;
}

static int parse_number(struct cgm_str s, uint64_t *ret)
{
	if (s.len > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'X'))
		return cgm_parse_hex((struct cgm_str){ s.p + 2, s.len - 2 }, ret);
	return cgm_parse_u64(s, ret);
}

/* One "term=0x12" of an event; a term alone is 1. */
static int one_term(int root_fd, const char *pmu, struct cgm_str term, uint64_t config[3])
{
	struct cgm_str name;
	char path[192], format[128];
	uint64_t value = 1;

	if (!cgm_next_field(&term, '=', &name) || !name.len || name.len > 32 || memchr(name.p, '/', name.len))
		return -EINVAL;
	if (term.len && parse_number(term, &value) < 0)
		return -EINVAL;
	snprintf(path, sizeof(path), DEVICES "%s/format/%.*s", pmu, (int)name.len, name.p);
	if (cgm_read_line_at(root_fd, path, format, sizeof(format)) < 0)
		return -ENOENT;
	return place(cgm_trim(cgm_str(format)), value, config) ? 0 : -EINVAL;
}

int cgm_perf_sysfs_event(int root_fd, const char *pmu, const char *event, struct cgm_perf_event *ret)
{
	uint64_t type, config[3] = { 0 };
	char path[192], text[256];
	struct cgm_str rest, term;

	if (strchr(pmu, '/') || strchr(event, '/') || pmu[0] == '.' || event[0] == '.')
		return -ENOENT;
	snprintf(path, sizeof(path), DEVICES "%s/type", pmu);
	if (cgm_read_u64_at(root_fd, path, &type) < 0 || type > UINT32_MAX)
		return -ENOENT;
	ret->type = (uint32_t)type;
	if (ret->custom)
		return 0;
	snprintf(path, sizeof(path), DEVICES "%s/events/%s", pmu, event);
	if (cgm_read_line_at(root_fd, path, text, sizeof(text)) < 0)
		return -ENOENT;
	rest = cgm_trim(cgm_str(text));
	while (cgm_next_field(&rest, ',', &term))
		if (one_term(root_fd, pmu, term, config) < 0)
			return -ENOENT;
	memcpy(ret->config, config, sizeof(config));
	return 0;
}

int cgm_perf_event_find(int root_fd, const char *name, struct cgm_perf_event *ret)
{
	const char *slash = strchr(name, '/');
	char pmu[CGM_PERF_NAME];

	for (size_t i = 0; i < ARRAY_SIZE(generic); i++) {
		if (strcmp(name, generic[i].perf) != 0 && strcmp(name, generic[i].pfm) != 0 && (!*name || strcmp(name, generic[i].other) != 0))
			continue;
		ret->type = generic[i].type;
		memset(ret->config, 0, sizeof(ret->config));
		ret->config[0] = generic[i].config;
		return 0;
	}
	if (!slash || (size_t)(slash - name) >= sizeof(pmu))
		return -ENOENT;
	snprintf(pmu, sizeof(pmu), "%.*s", (int)(slash - name), name);
	return cgm_perf_sysfs_event(root_fd, pmu, slash + 1, ret);
}
