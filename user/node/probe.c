// SPDX-License-Identifier: Apache-2.0
#include "node/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "cgroup/cgroup.h"
#include "kernel/kernel.h"
#include "output/json.h"

/* What nobody counts when a group has no program. */
static const struct {
	const char *group, *loss;
} losses[] = {
	{ "sched", "run-queue delay, time on and off the CPU, context switches, migrations, preemptions" },
	{ "task", "tasks by state, load averages, process counts; off-CPU time of the sched group" },
	{ "block", "block latency, in-flight requests, errors; bytes and requests come from the cgroup files instead" },
	{ "net", "socket bytes and calls, retransmitted segments, connects, accepts, resets" },
	{ "cgroup", "life-cycle events: new cgroups are found by listing at each tick instead" },
};

static const struct {
	unsigned bit;
	const char *name, *use;
} capabilities[] = {
	{ 39, "CAP_BPF", "make maps and load programs" },
	{ 38, "CAP_PERFMON", "attach to tracepoints" },
	{ 21, "CAP_SYS_ADMIN", "mount the BPF file system; stands in for the two above" },
	{ 24, "CAP_SYS_RESOURCE", "raise the limit of open files" },
};

static uint64_t effective_capabilities(void)
{
	char buf[4096];
	ssize_t n = cgm_read_at(AT_FDCWD, "/proc/self/status", buf, sizeof(buf));
	struct cgm_str text = { buf, n > 0 ? (size_t)n : 0 }, line, token;
	uint64_t caps = 0;

	while (cgm_next_line(&text, &line))
		if (cgm_next_token(&line, &token) && cgm_str_eq(token, "CapEff:") && cgm_next_token(&line, &token))
			(void)cgm_parse_hex(token, &caps);
	return caps;
}

static const char *cgroup_mode(void)
{
	static const char *const modes[] = { "v1", "hybrid", "v2" };
	_cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *mode = "none";
	struct cgm_trees t;

	if (root >= 0 && cgm_trees_open(root, &t) == 0) {
		mode = modes[t.mode];
		cgm_trees_close(&t);
	}
	return mode;
}

static void print_text(const struct cgm_kernel *k, const struct utsname *u, uint64_t caps)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(k, &p);

	printf("kernel    %s %s\nBTF       %s\ncgroups   %s\n", u->release, u->machine,
	       access("/sys/kernel/btf/vmlinux", R_OK) == 0 ? "yes" : "no: no program can be fitted to this kernel", cgroup_mode());
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		printf("%-17s %s (to %s)\n", capabilities[i].name, caps >> capabilities[i].bit & 1 ? "yes" : "no ", capabilities[i].use);
	printf("\n%-16s %-8s %-22s %-6s %s\n", "program", "group", "hook", "mode", "why");
	for (size_t i = 0; i < nr; i++)
		printf("%-16s %-8s %-22s %-6s %s\n", p[i].name, p[i].group, p[i].hook, p[i].mode, p[i].reason);
	printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(losses); i++)
		if (!cgm_kernel_has(k, losses[i].group))
			printf("missing without %s: %s\n", losses[i].group, losses[i].loss);
}

static void print_json(const struct cgm_kernel *k, const struct utsname *u, uint64_t caps)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(k, &p);
	const char *sep = "";

	cgm_buf_lit(&b, "{\"kernel\":");
	cgm_json_string(&b, u->release);
	cgm_buf_printf(&b, ",\"machine\":\"%s\",\"btf\":%s,\"cgroup_mode\":\"%s\",\"capabilities\":{", u->machine,
		       access("/sys/kernel/btf/vmlinux", R_OK) == 0 ? "true" : "false", cgroup_mode());
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++, sep = ",")
		cgm_buf_printf(&b, "%s\"%s\":%s", sep, capabilities[i].name, caps >> capabilities[i].bit & 1 ? "true" : "false");
	cgm_buf_lit(&b, "},\"programs\":[");
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_printf(&b, "%s{\"name\":\"%s\",\"group\":\"%s\",\"hook\":\"%s\",\"mode\":\"%s\",\"reason\":", i ? "," : "", p[i].name, p[i].group,
			       p[i].hook, p[i].mode);
		cgm_json_string(&b, p[i].reason);
		cgm_buf_char(&b, '}');
	}
	cgm_buf_lit(&b, "],\"missing\":{");
	sep = "";
	for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
		if (cgm_kernel_has(k, losses[i].group))
			continue;
		cgm_buf_printf(&b, "%s\"%s\":\"%s\"", sep, losses[i].group, losses[i].loss);
		sep = ",";
	}
	cgm_buf_lit(&b, "}}\n");
	if (!b.failed)
		fwrite(b.p, 1, b.len, stdout);
}

int cgm_probe_run(int argc, char *const *argv)
{
	struct cgm_kernel_config config = { .pin_dir = "", .nr_slots = 64, .task_controller = CGM_TASK_V2 };
	bool json = argc > 1 && (strcmp(argv[1], "--json") == 0 || strcmp(argv[1], "-json") == 0);
	struct cgm_kernel *k;
	struct utsname u;

	if (argc > 2 || (argc == 2 && !json)) {
		fprintf(stderr, "usage: cgmeter probe [--json]\n");
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
	}
	uname(&u);
	if (cgm_kernel_open(&config, &k) < 0) {
		cgm_error("out of memory");
		return 1;
	}
	if (json)
		print_json(k, &u, effective_capabilities());
	else
		print_text(k, &u, effective_capabilities());
	cgm_kernel_close(k);
	return 0;
}
