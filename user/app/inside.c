// SPDX-License-Identifier: Apache-2.0
#include "app/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/mem.h"

/* Lines of /proc/PID/cgroup: "4:memory:/docker/ID". */
static bool is_in(int proc_fd, const char *id)
{
	char buf[16384];

	return cgm_read_at(proc_fd, "cgroup", buf, sizeof(buf)) > 0 && strstr(buf, id);
}

int cgm_inside_open(int root_fd, unsigned pid, const char *id, struct cgm_inside *ret)
{
	_cleanup_close_ int proc_fd = -1, dir_fd = -1, net_fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "proc/%u", pid);
	proc_fd = openat(root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	dir_fd = openat(proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	net_fd = openat(proc_fd, "ns/net", O_RDONLY | O_CLOEXEC);
	if (dir_fd < 0 || net_fd < 0)
		return -errno;
	/* Last: the directory is that of one process, and its cgroup was the container's when the others were opened, or is not read at all. */
	if (!is_in(proc_fd, id))
		return -ESRCH;
	*ret = (struct cgm_inside){ TAKE_FD(dir_fd), TAKE_FD(net_fd) };
	return 0;
}

void cgm_inside_close(struct cgm_inside *i)
{
	if (i->root_fd >= 0)
		close(i->root_fd);
	if (i->net_fd >= 0)
		close(i->net_fd);
	*i = (struct cgm_inside){ -1, -1 };
}

int cgm_inside_read(const struct cgm_inside *i, const char *path, size_t max_bytes, char **ret, size_t *ret_len)
{
	/* Not blocking: a FIFO without a writer. */
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, i->root_fd, path, &how, sizeof(how));
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max_bytes)
		return -EFBIG;
	text = cgm_malloc((size_t)st.st_size + 2);
	if (!text)
		return -ENOMEM;
	n = cgm_read_fd(fd, text, (size_t)st.st_size + 2);
	if (n < 0)
		return (int)n;
	*ret = TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}

/* ---- in the namespace: a thread of its own, which ends there; there is no way back to fail ---- */

struct visit {
	int net_fd, family, result;
	char *buf; /* NULL: a socket is wanted, else an address */
	size_t size;
};

/* Better than best, or the first? An address that is good on its link alone is none to ask for. */
static bool is_better(const struct ifaddrs *a, const struct ifaddrs *best)
{
	int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;

	if (a->ifa_flags & IFF_LOOPBACK || (family != AF_INET && family != AF_INET6))
		return false;
	if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr))
		return false;
	return !best || (family == AF_INET && best->ifa_addr->sa_family == AF_INET6);
}

static int find_address(char *buf, size_t size)
{
	struct ifaddrs *all, *best = NULL;
	char text[INET6_ADDRSTRLEN];
	const void *in;
	bool v6;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		if (is_better(a, best))
			best = a;
	v6 = best && best->ifa_addr->sa_family == AF_INET6;
	in = !best ? NULL : v6 ? (const void *)&((struct sockaddr_in6 *)(void *)best->ifa_addr)->sin6_addr : &((struct sockaddr_in *)(void *)best->ifa_addr)->sin_addr;
	if (!in || !inet_ntop(v6 ? AF_INET6 : AF_INET, in, text, sizeof(text)))
		snprintf(text, sizeof(text), "127.0.0.1"), v6 = false;
	freeifaddrs(all);
	return snprintf(buf, size, v6 ? "[%s]" : "%s", text) < (int)size ? 0 : -EFBIG;
}

static void *visit(void *arg)
{
	struct visit *v = arg;

	if (setns(v->net_fd, CLONE_NEWNET) < 0)
		v->result = -errno;
	else if (v->buf)
		v->result = find_address(v->buf, v->size);
	else
		v->result = socket(v->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!v->buf && v->result == -1)
		v->result = -errno;
	return NULL;
}

static int go(struct visit *v)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, visit, v);

	if (r)
		return -r;
	pthread_join(thread, NULL);
	return v->result;
}

int cgm_inside_socket(const struct cgm_inside *i, int family)
{
	struct visit v = { .net_fd = i->net_fd, .family = family };

	return go(&v);
}

int cgm_inside_address(const struct cgm_inside *i, char *buf, size_t size)
{
	struct visit v = { .net_fd = i->net_fd, .buf = buf, .size = size };

	return go(&v);
}
