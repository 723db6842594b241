/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job (worker.h) that counts the sockets of one network namespace: by sock_diag, never by the text of /proc/PID/net/tcp, and what the TCP of
 * the namespace counts itself, from two files of a process in it. Result: extras TCP, UDP (number 0: IPv4, 1: IPv6), ADVTCP.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cgroup/worker.h"

struct cgm_sockets_wanted {
	bool tcp, udp, advanced;
};

/*
 * ns_fd: the namespace; proc_fd: proc, kept by the caller for as long as the job lives. 0 or a negative errno: -EPROTONOSUPPORT, this kernel has no
 * sock_diag.
 */
int cgm_sockets_job_new(int ns_fd, int proc_fd, const struct cgm_sockets_wanted *wanted, struct cgm_job **ret);
/* A process in the namespace; 0: none is left. Any thread. */
void cgm_sockets_set_witness(struct cgm_job *j, uint32_t pid);
