/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the network: a namespace of the child's own, in which nothing but the test happens, so that the kernel's counters of it (/proc/net/snmp
 * and netstat) are the test's own; sockets over its loopback; losses at will. All of it runs in the child: a failure ends it with a status of its own.
 */
#pragma once
#include <arpa/inet.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "bpf/util.h"

/* The line tells where: 1 to 255 of it. */
#define must(ok)                                                                               \
	do {                                                                                   \
		if (!(ok)) {                                                                   \
			dprintf(2, "# child: line %d: %s: %s\n", __LINE__, #ok, strerror(errno)); \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)

/* What a child found out, for its parent. */
struct told {
	volatile uint32_t at;
	uint64_t n[16];
};

static inline uint32_t own_root(struct rig *t)
{
	return cgm_kernel_slot(t->kernel, t->config.sock_hierarchy, 1);
}

/* A child has the sockets that the test makes, and holds no link of the programs (one that is held cannot be attached anew before 6.10). */
static inline void forget_descriptors(void)
{
	int null = open("/dev/null", O_RDWR);

	must(null >= 0);
	dup2(null, 0);
	dup2(null, 1);
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
}

static inline void own_network(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	_cleanup_close_ int fd = -1;

	forget_descriptors();
	must(unshare(CLONE_NEWNET) == 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd >= 0);
	must(ioctl(fd, SIOCGIFFLAGS, &r) == 0);
	r.ifr_flags |= IFF_UP;
	must(ioctl(fd, SIOCSIFFLAGS, &r) == 0);
}

/* A number of /proc/net/snmp or netstat: the column "name" of the lines that begin with "group:". */
static inline uint64_t net_count(const char *file, const char *group, const char *name)
{
	char path[64], names[16384] = "", line[16384];
	size_t len = strlen(group);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/thread-self/net/%s", file);
	f = fopen(path, "re");
	must(f);
	while (fgets(line, sizeof(line), f)) {
		char *a, *b, *save_a = NULL, *save_b = NULL;

		if (strncmp(line, group, len) != 0 || line[len] != ':')
			continue;
		if (!names[0]) {
			memcpy(names, line, sizeof(names));
			continue;
		}
		for (a = strtok_r(names, " \n", &save_a), b = strtok_r(line, " \n", &save_b); a && b;
		     a = strtok_r(NULL, " \n", &save_a), b = strtok_r(NULL, " \n", &save_b)) {
			if (strcmp(a, name) != 0)
				continue;
			fclose(f);
			return strtoull(b, NULL, 10);
		}
	}
	dprintf(2, "# child: no %s of %s in %s\n", name, group, file);
	_exit(2);
}

static inline struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };
}

static inline void send_datagrams(int fd, uint16_t port, int nr, size_t bytes)
{
	struct sockaddr_in a = loopback(port);
	char buf[1400] = { 0 };

	for (int i = 0; i < nr; i++)
		must(sendto(fd, buf, bytes, 0, (struct sockaddr *)&a, sizeof(a)) == (ssize_t)bytes);
}

static inline uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	must(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	return ntohs(a.sin_port);
}

/* Bound to a free port of the loopback. */
static inline int bound(int type)
{
	struct sockaddr_in a = loopback(0);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	must(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

static inline int listener(int backlog)
{
	int fd = bound(SOCK_STREAM);

	must(listen(fd, backlog) == 0);
	return fd;
}

/* A socket that does not wait for its connection. */
static inline int start_connect(int fd, uint16_t port)
{
	struct sockaddr_in a = loopback(port);

	must(fd >= 0);
	must(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EINPROGRESS);
	return fd;
}

static inline int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	must(fd >= 0);
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
	return fd;
}

/* Waits up to 10 s (more on slow machines) for an answer; returns the socket's error. */
static inline int end_connect(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int err;
	socklen_t len = sizeof(err);

	must(poll(&p, 1, slow() ? 60000 : 10000) == 1);
	must(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0);
	return err;
}

struct pair {
	int client, server;
};

static inline struct pair connected(int listen_fd)
{
	struct pair p = { .client = start_connect(tcp_socket(), port_of(listen_fd)) };

	must(end_connect(p.client) == 0);
	p.server = accept(listen_fd, NULL, NULL);
	must(p.server >= 0);
	return p;
}

/* A socket filter that lets nothing through: all that comes for the socket is lost on its way, without a word. */
static inline void lose_all(int fd, bool on)
{
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog p = { .len = 1, .filter = nothing };

	if (on)
		must(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) == 0);
	else
		must(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &p, sizeof(p)) == 0);
}

static inline void read_all(int fd, size_t bytes)
{
	char buf[4096];

	while (bytes) {
		ssize_t n = recv(fd, buf, bytes < sizeof(buf) ? bytes : sizeof(buf), 0);

		must(n > 0);
		bytes -= (size_t)n;
	}
}

/* For a child that must stay while its parent looks: both wait for a step of the other. A page of shared_page() begins with it. */
static inline void step(volatile uint32_t *at, uint32_t n)
{
	__atomic_store_n(at, n, __ATOMIC_SEQ_CST);
}

static inline void await_step(volatile uint32_t *at, uint32_t n)
{
	for (int i = 0; __atomic_load_n(at, __ATOMIC_SEQ_CST) != n; i++) {
		if (i > (slow() ? 60000 : 20000))
			_exit(3);
		usleep(1000);
	}
}

/* The parent's: fails the test when the child has ended instead. */
static inline void await_child(volatile uint32_t *at, uint32_t n, pid_t pid)
{
	int status;

	while (__atomic_load_n(at, __ATOMIC_SEQ_CST) != n) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			fail_msg("the child ended with %x before step %u", status, n);
		usleep(1000);
	}
}

static inline void end_child(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
