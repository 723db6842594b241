// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cluster/cluster.h"
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

static int cluster(int argc, char *const *argv)
{
	struct cgm_cluster_options o;
	int r = cgm_cluster_options_parse(argc, argv, &o);

	if (r)
		return r < 0 ? 2 : 0;
	r = cgm_cluster_run(&o);
	cgm_cluster_options_done(&o);
	return r;
}

static int version(_unused_ int argc, _unused_ char *const *argv)
{
	printf("cgmeter %s\n", CGM_VERSION);
	return 0;
}

/* `man cluster`, `options cluster`; without a word, or with "node", the node's. */
static int of_command(int argc, char *const *argv, void (*of_node)(void), void (*of_cluster)(void))
{
	if (argc > 2 || (argc == 2 && strcmp(argv[1], "node") != 0 && strcmp(argv[1], "cluster") != 0)) {
		fprintf(stderr, "cgmeter %s: takes node or cluster\n", argv[0]);
		return 2;
	}
	(argc == 2 && strcmp(argv[1], "cluster") == 0 ? of_cluster : of_node)();
	return 0;
}

static int reference(int argc, char *const *argv)
{
	return of_command(argc, argv, cgm_options_reference, cgm_cluster_options_reference);
}

static int man(int argc, char *const *argv)
{
	return of_command(argc, argv, cgm_options_man, cgm_cluster_options_man);
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
	{ "cluster", cluster, "collect from all nodes of a cluster, write to sinks, serve the Metrics API and a dashboard" },
	{ "top", cgm_top_run, "a live table in the terminal, from a running agent or from what it pinned" },
	{ "probe", cgm_probe_run, "print what this kernel offers, and what is lost without it" },
	{ "options", reference, "print the options of `cgmeter node` (or of `cluster`) as a table" },
	{ "man", man, "print the man page of `cgmeter node` (or of `cluster`), for man -l -" },
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
