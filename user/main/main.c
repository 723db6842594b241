// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "node/agent.h"
#include "node/options.h"
#include "node/privileges.h"
#include "node/probe.h"
#include "output/http.h"
#include "top/top.h"

static int node(int argc, char *const *argv)
{
	struct cgm_options o;
	int r = cgm_options_parse(argc, argv, &o);

	if (r)
		return r < 0 ? 2 : 0;
	r = cgm_agent_run(&o);
	cgm_options_done(&o);
	return r;
}

static int version(_unused_ int argc, _unused_ char *const *argv)
{
	printf("cgmeter %s\n", CGM_VERSION);
	return 0;
}

static int reference(_unused_ int argc, _unused_ char *const *argv)
{
	cgm_options_reference();
	return 0;
}

static int man(_unused_ int argc, _unused_ char *const *argv)
{
	cgm_options_man();
	return 0;
}

static int groups(_unused_ int argc, _unused_ char *const *argv)
{
	cgm_options_groups();
	return 0;
}

static int privileges(_unused_ int argc, _unused_ char *const *argv)
{
	cgm_privileges_reference();
	return 0;
}

static int api(_unused_ int argc, _unused_ char *const *argv)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };

	cgm_http_reference(&text);
	if (text.failed || fwrite(text.p, 1, text.len, stdout) != text.len)
		return 1;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int argc, char *const *argv);
	const char *help;
} commands[] = {
	{ "node", node, "measure this machine and serve REST, Prometheus metrics and a page" },
	{ "top", cgm_top_run, "a live table in the terminal, from a running agent or from what it pinned" },
	{ "probe", cgm_probe_run, "print what this kernel offers, and what is lost without it" },
	{ "options", reference, "print the options of `cgmeter node` as a table" },
	{ "man", man, "print the man page of `cgmeter node`, for man -l -" },
	{ "groups", groups, "print the groups of metrics that --enable_metrics and --disable_metrics take" },
	{ "api", api, "print the addresses that `cgmeter node` serves, with their parameters" },
	{ "privileges", privileges, "print the capabilities that `cgmeter node` has a use for, and what is lost without each" },
	{ "version", version, "print the version" },
};

int main(int argc, char *argv[])
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "help") != 0)
		fprintf(stderr, "cgmeter: unknown command \"%s\"\n", argv[1]);
	printf("usage: cgmeter COMMAND [--help]\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) ? 0 : 2;
}
