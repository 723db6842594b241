// SPDX-License-Identifier: Apache-2.0
#include "cgroup/sockets.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cgroup/netns.h"
#include "cgroup/sockdiag.h"
#include "cgroup/text.h"

#define RECEIVE_BYTES 32768 /* the kernel makes no larger datagram */
#define NET_FILE_BYTES 16384

struct sockets_job {
	struct cgm_job job;
	struct cgm_sockets_wanted wanted;
	int fd, proc_fd;
	uint32_t seq;
	uint32_t witness; /* atomic */
	uint64_t advanced[CGM_NR_ADVTCP_VALUES]; /* as read last: its process may have ended */
	bool has_advanced;
};

/* One dump, to the end of the answer. */
static int dump(struct sockets_job *j, enum cgm_sockdiag_what what, int family, struct cgm_sockets *s)
{
	unsigned char request[CGM_SOCKDIAG_REQUEST_BYTES], buf[RECEIVE_BYTES];
	size_t len = cgm_sockdiag_request(what, family, ++j->seq, request);
	struct cgm_netlink_seen seen = { 0 };
	int r = 0;

	if (send(j->fd, request, len, MSG_NOSIGNAL) < 0)
		return -errno;
	while (r == 0 && !seen.done) {
		ssize_t n = recv(j->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0)
			return -errno;
		r = cgm_sockdiag_parse(buf, (size_t)n, j->seq, what, s, &seen);
	}
	return r;
}

/* Both versions of IP; a machine may be without IPv6. */
static int count(struct sockets_job *j, enum cgm_sockdiag_what what, struct cgm_sockets *s)
{
	int r = dump(j, what, AF_INET, s), r6 = r < 0 ? r : dump(j, what, AF_INET6, s);

	if (r < 0)
		cgm_log_once(CGM_LOG_WARNING, "sockets of a network namespace cannot be counted (is inet_diag there?): %s", strerror(-r));
	return r < 0 ? r : r6 == -ENOENT ? 0 : r6;
}

static int put(struct cgm_sample *s, enum cgm_layout_kind kind, uint32_t number, const uint64_t *v, size_t nr)
{
	uint64_t *to = cgm_sample_extra(s, kind, number, "", nr);

	if (!to)
		return -ENOMEM;
	memcpy(to, v, nr * sizeof(*v));
	return 0;
}

static void on_pair(void *arg, struct cgm_str name, uint64_t value)
{
	static const char *const names[CGM_NR_ADVTCP_VALUES] = {
#define CGM_TCP_ADVANCED(name) #name,
#include "cgmeter/tcp_advanced.def"
	};
	struct sockets_job *j = arg;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (cgm_str_eq(name, names[i]))
			j->advanced[i] = value;
}

static bool read_pairs(struct sockets_job *j, uint32_t pid, const char *file, const char *section)
{
	char path[48], buf[NET_FILE_BYTES];
	ssize_t n;

	snprintf(path, sizeof(path), "%u/net/%s", pid, file);
	n = cgm_read_at(j->proc_fd, path, buf, sizeof(buf));
	if (n > 0)
		cgm_text_pairs((struct cgm_str){ buf, (size_t)n }, section, on_pair, j);
	return n > 0;
}

static int advanced(struct sockets_job *j, struct cgm_sample *s)
{
	uint32_t pid = __atomic_load_n(&j->witness, __ATOMIC_RELAXED);

	if (pid && read_pairs(j, pid, "snmp", "Tcp"))
		j->has_advanced |= read_pairs(j, pid, "netstat", "TcpExt");
	return j->has_advanced ? put(s, CGM_LAYOUT_ADVTCP, 0, j->advanced, CGM_NR_ADVTCP_VALUES) : 0;
}

static int run(struct cgm_job *job, struct cgm_sample *s)
{
	struct sockets_job *j = (struct sockets_job *)job;
	struct cgm_sockets sockets = { 0 };
	int r = 0;

	if (j->wanted.tcp && count(j, CGM_SOCKDIAG_TCP, &sockets) == 0)
		for (uint32_t ip = 0; r == 0 && ip < 2; ip++)
			r = put(s, CGM_LAYOUT_TCP, ip, sockets.tcp[ip], CGM_NR_TCP_STATES);
	if (j->wanted.udp && count(j, CGM_SOCKDIAG_UDP, &sockets) == 0)
		for (uint32_t ip = 0; r == 0 && ip < 2; ip++)
			r = put(s, CGM_LAYOUT_UDP, ip, sockets.udp[ip], CGM_NR_UDP_STATES);
	return r == 0 && j->wanted.advanced ? advanced(j, s) : r;
}

static void job_free(struct cgm_job *job)
{
	struct sockets_job *j = (struct sockets_job *)job;

	close(j->fd);
	free(j);
}

int cgm_sockets_job_new(int ns_fd, int proc_fd, const struct cgm_sockets_wanted *wanted, struct cgm_job **ret)
{
	_cleanup_close_ int fd = cgm_netns_socket(ns_fd, NETLINK_SOCK_DIAG, 0);
	struct sockets_job *j;

	if (fd < 0)
		return fd;
	j = cgm_calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->job.run = run;
	j->job.free = job_free;
	j->wanted = *wanted;
	j->proc_fd = proc_fd;
	j->fd = TAKE_FD(fd);
	*ret = &j->job;
	return 0;
}

void cgm_sockets_set_witness(struct cgm_job *j, uint32_t pid)
{
	__atomic_store_n(&((struct sockets_job *)j)->witness, pid, __ATOMIC_RELAXED);
}
