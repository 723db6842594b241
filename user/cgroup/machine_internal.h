/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of cgm_machine_read(); each fills its fields. 0, or -ENOMEM: what cannot be read stays empty and is no error. */
#pragma once
#include "cgroup/machine.h"
#include "cgroup/text.h"

int cgm_machine_topology(int root_fd, struct cgm_machine *m);
int cgm_machine_fs(int root_fd, struct cgm_machine *m);
int cgm_machine_disks(int root_fd, struct cgm_machine *m);
/* After the topology. */
int cgm_machine_modules(int root_fd, struct cgm_machine *m);
int cgm_machine_nics(int root_fd, struct cgm_machine *m);
/* The page sizes of a directory like /sys/kernel/mm/hugepages, largest first. */
int cgm_machine_hugepages(int root_fd, const char *dir, struct cgm_hugepages **ret, size_t *ret_nr);
/* lo, veth*, docker*, nerdctl*: interfaces that belong to containers or lead nowhere. */
bool cgm_net_skipped(const char *name);
