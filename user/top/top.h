/* SPDX-License-Identifier: Apache-2.0 */
/* `cgmeter top`. */
#pragma once

/* argv[0] is "top". The status to exit with: 0; 1: nothing could be read, or written; 2: bad options. */
int cgm_top_run(int argc, char *const *argv);
