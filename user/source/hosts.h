/* SPDX-License-Identifier: Apache-2.0 */
/* Heapster's file of hosts: {"Items":[{"Name":"n","IP":"10.0.0.1"}]}. */
#pragma once
#include <stddef.h>

/* Calls fn for each host, until it returns less than 0, which is returned then. name: "" if there is none. 0, -EINVAL with fault (CGM_SOURCE_FAULT), -ENOMEM. */
int cgm_source_hosts_read(const char *text, size_t len, int (*fn)(void *arg, const char *name, const char *ip), void *arg, char *fault);
