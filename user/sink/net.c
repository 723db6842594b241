// SPDX-License-Identifier: Apache-2.0
#include "sink/net.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "sink/driver.h"

static void free_addresses(struct addrinfo **a)
{
	if (*a)
		freeaddrinfo(*a);
}

static int try_address(const struct cgm_sink_stop *stop, const struct addrinfo *a, uint64_t until_ns)
{
	_cleanup_close_ int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	int err = 0;
	socklen_t len = sizeof(err);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return TAKE_FD(fd);
	if (errno != EINPROGRESS)
		return -errno;
	if (!cgm_sink_poll(stop, fd, POLLOUT, until_ns))
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return err ? -err : TAKE_FD(fd);
}

int cgm_sink_connect(const struct cgm_sink_stop *stop, const char *host, uint16_t port, int type, uint64_t until_ns, char *fault)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = type, .ai_flags = AI_ADDRCONFIG };
	_cleanup_(free_addresses) struct addrinfo *found = NULL;
	char service[8];
	int r;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host, service, &hints, &found);
	if (r) {
		snprintf(fault, CGM_SINK_FAULT, "cannot find %s: %s", host, gai_strerror(r));
		return -EHOSTUNREACH;
	}
	r = -EHOSTUNREACH;
	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		r = try_address(stop, a, until_ns);
		if (r >= 0)
			return r;
	}
	snprintf(fault, CGM_SINK_FAULT, "cannot connect to %s port %u: %s", host, port, strerror(-r));
	return r;
}
