// SPDX-License-Identifier: Apache-2.0
#include "node/probe.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "kernel/kernel.h"
#include "node/options.h"
#include "node/probe_facts.h"
#include "node/probe_runtimes.h"
#include "output/json.h"

/* What is found, and what it is printed into. */
struct probe {
	struct cgm_kernel *kernel;
	struct cgm_facts_found found;
	struct cgm_probed_runtimes runtimes;
	struct utsname uts;
	struct cgm_buf out;
};

static const char *yes_no(bool v)
{
	return v ? "yes" : "no";
}

static bool has_programs(const struct probe *p, const char *group, size_t *ret_running)
{
	const struct cgm_program *program;
	size_t nr = cgm_kernel_programs(p->kernel, &program), found = 0;

	*ret_running = 0;
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(program[i].group, group) != 0)
			continue;
		found++;
		*ret_running += strcmp(program[i].mode, "off") != 0;
	}
	return found > 0;
}

/* What flags call it. */
static const char *group_name(const struct cgm_program *program)
{
	enum cgm_group g = cgm_group_of_programs(program->group);

	return g < CGM_NR_GROUPS ? cgm_groups[g].name : program->group;
}

/* The group has programs, and none of them can run here. */
static bool is_missing(const struct probe *p, enum cgm_group g)
{
	size_t running;

	return has_programs(p, cgm_groups[g].programs, &running) && !running;
}

/* ---- text ---- */

static void text_family(void *arg, const char *family)
{
	struct probe *p = arg;

	cgm_buf_printf(&p->out, " %s", family);
}

static void text_facts(struct probe *p, const char *section)
{
	cgm_buf_printf(&p->out, "\n%s\n", section);
	for (size_t i = 0; i < p->found.nr_facts; i++) {
		const struct cgm_fact *f = &p->found.facts[i];

		if (strcmp(f->section, section) != 0)
			continue;
		cgm_buf_printf(&p->out, "  %-26s %s", f->name, f->value);
		if (!f->present)
			cgm_buf_printf(&p->out, "   without it: %s", *f->without ? f->without : "nothing is lost");
		cgm_buf_char(&p->out, '\n');
	}
}

static void text_rights(struct probe *p)
{
	cgm_buf_lit(&p->out, "\nprivileges\n");
	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++) {
		const struct cgm_capability *c = &cgm_capabilities[i];
		bool had = p->found.capabilities >> c->bit & 1;

		cgm_buf_printf(&p->out, "  %-26s %-4s needed %s to %s", c->name, yes_no(had), c->when, c->use);
		if (!had)
			cgm_buf_printf(&p->out, "   %s: %s", p->found.needed[i] ? "MISSING" : "without it", c->without);
		cgm_buf_char(&p->out, '\n');
	}
	text_facts(p, "limits");
}

static void text_runtimes(struct probe *p)
{
	cgm_buf_lit(&p->out, "\nruntimes\n");
	for (size_t i = 0; i < p->runtimes.nr; i++) {
		const struct cgm_runtime_state *s = &p->runtimes.states[i];

		cgm_buf_printf(&p->out, "  %-26s %-4s %s", s->name, yes_no(s->connected), s->socket);
		if (s->connected)
			cgm_buf_printf(&p->out, "   version %s\n", s->version);
		else
			cgm_buf_printf(&p->out, "   %s; without it: names, images and labels of its containers\n", s->fault);
	}
}

static void text_features(struct probe *p)
{
	const struct cgm_feature *f;
	size_t nr = cgm_kernel_features(&f);

	cgm_buf_lit(&p->out, "\nkernel, by name\n");
	for (size_t i = 0; i < nr; i++)
		cgm_buf_printf(&p->out, "  %-26s %-4s %-7s %s\n", f[i].name, yes_no(f[i].found), f[i].kind, f[i].use);
}

static void text_programs(struct probe *p)
{
	const struct cgm_program *program;
	size_t nr = cgm_kernel_programs(p->kernel, &program);

	cgm_buf_printf(&p->out, "\n%-16s %-10s %-22s %-6s %s\n", "program", "group", "hook", "mode", "why");
	for (size_t i = 0; i < nr; i++)
		cgm_buf_printf(&p->out, "%-16s %-10s %-22s %-6s %s\n", program[i].name, group_name(&program[i]), program[i].hook, program[i].mode,
			       program[i].reason);
}

static void text_missing(struct probe *p)
{
	bool any = false;

	cgm_buf_char(&p->out, '\n');
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		if (!is_missing(p, (enum cgm_group)i))
			continue;
		any = true;
		cgm_buf_printf(&p->out, "missing without %s: the answer to \"%s\"\n ", cgm_groups[i].name, cgm_groups[i].help);
		cgm_probe_families((enum cgm_group)i, text_family, p);
		cgm_buf_char(&p->out, '\n');
	}
	if (!any)
		cgm_buf_lit(&p->out, "no group of metrics is missing\n");
}

static void print_text(struct probe *p)
{
	cgm_buf_printf(&p->out, "kernel    %s %s\nBTF       %s\ncgroups   %s\n", p->uts.release, p->uts.machine, yes_no(p->found.btf),
		       p->found.cgroup_mode);
	text_facts(p, "config");
	text_facts(p, "cgroups");
	text_rights(p);
	text_runtimes(p);
	text_features(p);
	text_programs(p);
	text_missing(p);
}

/* ---- JSON ---- */

/* "key":"value", */
static void put_string(struct cgm_buf *b, const char *key, const char *value)
{
	cgm_json_string(b, key);
	cgm_buf_char(b, ':');
	cgm_json_string(b, value);
	cgm_buf_char(b, ',');
}

static void put_bool(struct cgm_buf *b, const char *key, bool value)
{
	cgm_json_string(b, key);
	cgm_buf_char(b, ':');
	cgm_json_bool(b, value);
	cgm_buf_char(b, ',');
}

/* Ends an object or list of "element," each, and is an element itself. */
static void put_end(struct cgm_buf *b, char end)
{
	cgm_json_chop(b);
	cgm_buf_char(b, end);
	cgm_buf_char(b, ',');
}

static void json_family(void *arg, const char *family)
{
	struct probe *p = arg;

	cgm_json_string(&p->out, family);
	cgm_buf_char(&p->out, ',');
}

static void json_facts(struct probe *p, const char *section)
{
	struct cgm_buf *b = &p->out;

	cgm_json_string(b, section);
	cgm_buf_lit(b, ":[");
	for (size_t i = 0; i < p->found.nr_facts; i++) {
		const struct cgm_fact *f = &p->found.facts[i];

		if (strcmp(f->section, section) != 0)
			continue;
		cgm_buf_char(b, '{');
		put_string(b, "name", f->name);
		put_string(b, "value", f->value);
		put_bool(b, "present", f->present);
		put_string(b, "without", f->without);
		put_end(b, '}');
	}
	put_end(b, ']');
}

static void json_rights(struct probe *p)
{
	struct cgm_buf *b = &p->out;

	cgm_buf_lit(b, "\"capabilities\":{");
	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++) {
		const struct cgm_capability *c = &cgm_capabilities[i];

		cgm_json_string(b, c->name);
		cgm_buf_lit(b, ":{");
		put_bool(b, "had", p->found.capabilities >> c->bit & 1);
		put_bool(b, "needed", p->found.needed[i]);
		put_bool(b, "granted", c->granted);
		put_string(b, "when", c->when);
		put_string(b, "use", c->use);
		put_string(b, "without", c->without);
		put_end(b, '}');
	}
	put_end(b, '}');
	json_facts(p, "limits");
}

static void json_runtimes(struct probe *p)
{
	struct cgm_buf *b = &p->out;

	cgm_buf_lit(b, "\"runtimes\":[");
	for (size_t i = 0; i < p->runtimes.nr; i++) {
		const struct cgm_runtime_state *s = &p->runtimes.states[i];

		cgm_buf_char(b, '{');
		put_string(b, "name", s->name);
		put_string(b, "socket", s->socket);
		put_bool(b, "connected", s->connected);
		put_string(b, "version", s->version);
		put_string(b, "fault", s->fault);
		put_end(b, '}');
	}
	put_end(b, ']');
}

static void json_features(struct probe *p)
{
	struct cgm_buf *b = &p->out;
	const struct cgm_feature *f;
	size_t nr = cgm_kernel_features(&f);

	cgm_buf_lit(b, "\"features\":[");
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_char(b, '{');
		put_string(b, "kind", f[i].kind);
		put_string(b, "name", f[i].name);
		put_bool(b, "found", f[i].found);
		put_string(b, "use", f[i].use);
		put_end(b, '}');
	}
	put_end(b, ']');
}

static void json_programs(struct probe *p)
{
	const struct cgm_program *program;
	size_t nr = cgm_kernel_programs(p->kernel, &program);
	struct cgm_buf *b = &p->out;

	cgm_buf_lit(b, "\"programs\":[");
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_char(b, '{');
		put_string(b, "name", program[i].name);
		put_string(b, "group", group_name(&program[i]));
		put_string(b, "hook", program[i].hook);
		put_string(b, "mode", program[i].mode);
		put_string(b, "reason", program[i].reason);
		put_end(b, '}');
	}
	put_end(b, ']');
}

static void json_missing(struct probe *p)
{
	struct cgm_buf *b = &p->out;

	cgm_buf_lit(b, "\"missing\":{");
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		if (!is_missing(p, (enum cgm_group)i))
			continue;
		cgm_json_string(b, cgm_groups[i].name);
		cgm_buf_lit(b, ":{");
		put_string(b, "question", cgm_groups[i].help);
		cgm_buf_lit(b, "\"families\":[");
		cgm_probe_families((enum cgm_group)i, json_family, p);
		put_end(b, ']');
		put_end(b, '}');
	}
	put_end(b, '}');
}

static void print_json(struct probe *p)
{
	struct cgm_buf *b = &p->out;

	cgm_buf_char(b, '{');
	put_string(b, "kernel", p->uts.release);
	put_string(b, "machine", p->uts.machine);
	put_bool(b, "btf", p->found.btf);
	put_string(b, "cgroup_mode", p->found.cgroup_mode);
	json_facts(p, "config");
	json_facts(p, "cgroups");
	json_rights(p);
	json_runtimes(p);
	json_features(p);
	json_programs(p);
	json_missing(p);
	cgm_json_chop(b);
	cgm_buf_lit(b, "}\n");
}

static bool is_json(const char *word)
{
	return strcmp(word, "--json") == 0 || strcmp(word, "-json") == 0;
}

/* Where the runtimes are is said by the flags of the agent. */
static int find(struct probe *p, int argc, char *const *argv)
{
	struct cgm_options options;
	int r = cgm_options_parse(argc, argv, &options);

	if (r)
		return r;
	uname(&p->uts);
	cgm_probe_find(&p->found);
	r = cgm_probe_runtimes(&options.runtimes, &p->runtimes);
	cgm_options_done(&options);
	return r;
}

int cgm_probe_run(int argc, char *const *argv)
{
	/* Every group, so that the dear ones are seen, too; nothing is pinned, and all ends with this process. */
	struct cgm_kernel_config config = { .pin_dir = "", .nr_slots = 64, .task_controller = CGM_TASK_V2 };
	bool json = argc > 1 && is_json(argv[1]), failed;
	struct probe p = { 0 };
	int r = find(&p, argc - json, argv + json);

	if (r)
		return r > 0 ? 0 : 2;
	if (cgm_kernel_open(&config, &p.kernel) < 0) {
		cgm_error("out of memory");
		return 1;
	}
	if (json)
		print_json(&p);
	else
		print_text(&p);
	failed = p.out.failed || fwrite(p.out.p, 1, p.out.len, stdout) != p.out.len;
	cgm_buf_done(&p.out);
	cgm_kernel_close(p.kernel);
	return failed;
}
