// SPDX-License-Identifier: Apache-2.0
/* What is printed around the table of options: --help, the man page, the reference. */
#include <stdio.h>

#include "base/cleanup.h"
#include "node/options_table.h"

static const char help_head[] = "Usage: cgmeter node [--FLAG=VALUE…]\n\n"
				"Measures the containers and cgroups of this machine and serves them over HTTP.\n"
				"Flags may have one dash or two, and a value behind = or as the next argument; a flag without a\n"
				"type is on when it stands alone. --config=FILE reads them from a file.\n";
static const char man_head[] = ".TH CGMETER\\-NODE 8 2026-11-25 \"cgmeter " CGM_VERSION "\"\n"
			       ".SH NAME\n"
			       "cgmeter\\-node \\- measure and serve the containers and cgroups of a machine\n"
			       ".SH SYNOPSIS\n"
			       ".B cgmeter node\n"
			       ".RI [ flag ...]\n"
			       ".SH DESCRIPTION\n"
			       "Samples every container and every cgroup of this machine,\n"
			       "each second by default, from the kernel's own counts and from programs\n"
			       "of its own in the kernel, and serves them over HTTP: Prometheus metrics,\n"
			       "cAdvisor's REST interface, and a page.\n"
			       "It listens on the loopback address unless\n"
			       ".B \\-\\-listen_ip\n"
			       "says otherwise.\n"
			       ".SH OPTIONS\n"
			       "Flags may have one dash or two, and a value behind = or as the next\n"
			       "argument.\n"
			       "A flag without a type is on when it stands alone,\n"
			       "and takes true or false behind =.\n"
			       "A duration is a number with a unit, or several: 500ms, 1m30s, 24h.\n";
static const char man_tail[] = ".SH CONFIGURATION FILE\n"
			       "The file of\n"
			       ".B \\-\\-config\n"
			       "holds the same names without dashes, one a line with its value behind =\n"
			       "or a colon.\n"
			       "Empty lines and lines that begin with # are passed over;\n"
			       "quotes around a whole value are taken off.\n"
			       "What stands on the command line wins.\n"
			       ".PP\n"
			       ".nf\n"
			       "# /etc/cgmeter.conf\n"
			       "listen_ip = 0.0.0.0\n"
			       "housekeeping_interval: 2s\n"
			       "docker_only = true\n"
			       ".fi\n"
			       ".SH SIGNALS\n"
			       ".TP\n"
			       "SIGTERM, SIGINT\n"
			       "End.\n"
			       "Counts stay in the kernel (see \\-\\-pin_dir),\n"
			       "and the next start goes on with them.\n"
			       ".TP\n"
			       "SIGHUP\n"
			       "Read certificates, passwords and tokens anew, at once.\n"
			       "When their files change this happens within some seconds in any case.\n"
			       ".SH EXIT STATUS\n"
			       "0 after a clean end, 1 when something could not be started,\n"
			       "2 for a bad flag or configuration file.\n"
			       ".SH SEE ALSO\n"
			       "The README of cgmeter;\n"
			       ".BR htpasswd (1),\n"
			       ".BR htdigest (1),\n"
			       ".BR bpftool (8)\n";

const struct cgm_flags cgm_node_flags = {
	.command = "node",
	.table = cgm_option_table,
	.nr = CGM_NR_NODE_OPTIONS,
	.config = offsetof(struct cgm_options, config),
	.help_head = help_head,
	.help_accepted = "Flags of cAdvisor that do nothing here",
	.man_head = man_head,
	.man_accepted = "Flags of cAdvisor that do nothing here",
	.man_tail = man_tail,
};

void cgm_options_help(void)
{
	cgm_flags_help(&cgm_node_flags);
}

void cgm_options_man(void)
{
	cgm_flags_man(&cgm_node_flags);
}

void cgm_options_reference(void)
{
	cgm_flags_reference(&cgm_node_flags);
}

void cgm_options_groups(void)
{
	static const char *const defaults[] = { "on", "off", "always on", "off, as in cAdvisor", "nothing collected" };

	printf("| group | default | question | budget |\n| --- | --- | --- | --- |\n");
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		const struct cgm_group_info *g = &cgm_groups[i];

		printf("| `%s` | %s | %s | %s |\n", g->name, defaults[g->def], g->help, g->dear ? "may be switched off" : "");
	}
}
