/* SPDX-License-Identifier: Apache-2.0 */
/* `cgmeter probe`: what this kernel and machine offer, program by program, and what is lost without each. */
#pragma once

/* Prints to stdout, as text or with --json (first) as JSON; else flags as of `cgmeter node`, of which those that name runtimes matter. Returns the exit status. Loads and attaches every program for a moment and pins nothing. */
int cgm_probe_run(int argc, char *const *argv);
