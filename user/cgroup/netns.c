// SPDX-License-Identifier: Apache-2.0
#include "cgroup/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cgroup/machine_internal.h"
#include "cgroup/netlink.h"
#include "cgroup/reader.h"

#define FIRST_WAIT_NS (500 * CGM_NSEC_PER_MSEC)
#define LONGEST_WAIT_NS (32 * CGM_NSEC_PER_SEC)
#define MAX_PIDS 8 /* of a container that are tried */
#define RECEIVE_BYTES 32768 /* the kernel makes no larger datagram */
#define STATS_BYTES 4096 /* nor one above a page for a reader that never gave more: cheaper to make */
#define MAX_DATAGRAMS 4096 /* of one dump; far more than a namespace has links */

struct iface {
	uint32_t index;
	char name[16];
	uint64_t tick; /* of v: the interface was there at that tick */
	uint64_t v[CGM_NR_IFACE_VALUES];
};

struct cgm_netns {
	struct cgm_netns *next;
	dev_t dev;
	ino_t ino; /* with dev: the name of a namespace */
	size_t nr_members, nr_owners;
	uint64_t lent; /* the tick in which one that shares it has stood for the owner */
	uint32_t witness; /* a process in it; 0: it has ended */
	int fd;
	uint32_t seq;
	uint64_t checked, read; /* ticks */
	bool stale; /* names are to be read anew */
	bool without_stats; /* this kernel has no RTM_GETSTATS */
	struct iface *ifaces;
	size_t nr_ifaces, cap_ifaces;
	struct cgm_job *sockets; /* NULL: not wanted, or it could not be made */
};

struct cgm_netns_table {
	int proc_fd;
	bool no_links; /* interfaces are not wanted */
	struct cgm_worker *worker; /* NULL: sockets are not wanted */
	struct cgm_sockets_wanted wanted;
	struct cgm_job *host_sockets;
	bool host_tried;
	bool own_pids; /* the numbers in proc are those of our own pid namespace */
	dev_t host_dev;
	ino_t host_ino;
	struct cgm_netns *first;
	size_t nr, max, nr_left_out;
	uint64_t tick, now_ns;
	unsigned char buf[RECEIVE_BYTES];
};

int cgm_netns_open(int root_fd, size_t max, struct cgm_netns_table **ret)
{
	_cleanup_close_ int proc_fd = openat(root_fd, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cgm_netns_table *t;
	struct stat st;
	uint64_t pid;
	char self[16];
	ssize_t n;

	/* Some machines let nobody look at process 1; ours is the same unless somebody gave us another one. */
	if (proc_fd < 0 || (fstatat(proc_fd, "1/ns/net", &st, 0) < 0 && fstatat(proc_fd, "self/ns/net", &st, 0) < 0))
		return -errno;
	t = cgm_calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	n = readlinkat(proc_fd, "self", self, sizeof(self));
	t->own_pids = n > 0 && cgm_parse_u64((struct cgm_str){ self, (size_t)n }, &pid) == 0 && pid == (uint64_t)getpid();
	t->proc_fd = TAKE_FD(proc_fd);
	t->host_dev = st.st_dev;
	t->host_ino = st.st_ino;
	t->max = max;
	*ret = t;
	return 0;
}

void cgm_netns_close(struct cgm_netns_table *t)
{
	if (!t)
		return;
	cgm_worker_drop(t->worker, t->host_sockets);
	close(t->proc_fd);
	free(t);
}

void cgm_netns_want(struct cgm_netns_table *t, bool links, struct cgm_worker *worker, const struct cgm_sockets_wanted *wanted)
{
	t->no_links = !links;
	t->worker = worker;
	if (wanted)
		t->wanted = *wanted;
}

void cgm_netns_tick(struct cgm_netns_table *t, uint64_t now_ns)
{
	t->tick++;
	t->now_ns = now_ns;
}

size_t cgm_netns_count(const struct cgm_netns_table *t)
{
	return t ? t->nr : 0;
}

size_t cgm_netns_left_out(const struct cgm_netns_table *t)
{
	return t ? t->nr_left_out : 0;
}

/* ---- a namespace ---- */

struct opening {
	int ns_fd, protocol, fd; /* fd: the socket, or a negative errno */
	uint32_t groups;
};

/* Runs in a thread of its own, which ends in the other namespace: there is no way back to fail. */
static void *open_socket(void *arg)
{
	struct opening *o = arg;
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = o->groups };
	int fd = -1;

	if (setns(o->ns_fd, CLONE_NEWNET) == 0)
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, o->protocol);
	o->fd = fd < 0 ? -errno : fd;
	/* Told of links that come, go or are renamed. Without that the names are read when a number is new. */
	if (fd >= 0 && o->groups)
		(void)bind(fd, (struct sockaddr *)&address, sizeof(address));
	return NULL;
}

int cgm_netns_socket(int ns_fd, int protocol, uint32_t groups)
{
	struct opening o = { .ns_fd = ns_fd, .protocol = protocol, .groups = groups, .fd = -EAGAIN };
	pthread_t thread;
	int r = pthread_create(&thread, NULL, open_socket, &o);

	if (r)
		return -r;
	pthread_join(thread, NULL);
	return o.fd;
}

static struct cgm_netns *find(struct cgm_netns_table *t, const struct stat *st)
{
	struct cgm_netns *ns = t->first;

	while (ns && (ns->ino != st->st_ino || ns->dev != st->st_dev))
		ns = ns->next;
	return ns;
}

/* NULL: not wanted, or it cannot be made. */
static struct cgm_job *sockets_job(struct cgm_netns_table *t, int ns_fd)
{
	struct cgm_job *j;
	int r;

	if (!t->worker)
		return NULL;
	r = cgm_sockets_job_new(ns_fd, t->proc_fd, &t->wanted, &j);
	if (r < 0) {
		cgm_log_once(CGM_LOG_WARNING, "sockets of a network namespace cannot be counted: %s", strerror(-r));
		return NULL;
	}
	cgm_worker_add(t->worker, j);
	return j;
}

/* The namespace of that descriptor, made when it is new. 0 or a negative errno. */
static int find_or_open(struct cgm_netns_table *t, int ns_fd, struct cgm_netns **ret)
{
	struct cgm_netns *ns;
	struct stat st;
	int fd;

	if (fstat(ns_fd, &st) < 0)
		return -errno;
	*ret = find(t, &st);
	if (*ret)
		return 0;
	if (t->nr >= t->max)
		return -EMFILE;
	fd = cgm_netns_socket(ns_fd, NETLINK_ROUTE, RTMGRP_LINK);
	if (fd < 0)
		return fd;
	ns = cgm_calloc(1, sizeof(*ns));
	if (!ns) {
		close(fd);
		return -ENOMEM;
	}
	*ns = (struct cgm_netns){ .next = t->first, .dev = st.st_dev, .ino = st.st_ino, .fd = fd, .stale = true };
	t->first = ns;
	t->nr++;
	ns->sockets = sockets_job(t, ns_fd);
	*ret = ns;
	return 0;
}

static void free_netns(struct cgm_netns_table *t, struct cgm_netns *ns)
{
	struct cgm_netns **p = &t->first;

	while (*p && *p != ns)
		p = &(*p)->next;
	*p = ns->next;
	t->nr--;
	cgm_worker_drop(t->worker, ns->sockets);
	close(ns->fd);
	free(ns->ifaces);
	free(ns);
}

/* ---- whose namespace ---- */

/* Some processes of the cgroup itself. How many; 0 when it has none or is gone. */
static size_t read_pids(struct cgm_reader *r, uint32_t pids[MAX_PIDS])
{
	enum cgm_controller c = cgm_trees_sched_controller(r->t);
	struct cgm_str text, token;
	char buf[MAX_PIDS * 11 + 1]; /* a number of ten digits and a newline each; the last may be cut */
	size_t nr = 0;
	ssize_t n;
	int fd;

	if (!(r->controllers >> c & 1))
		c = (enum cgm_controller)__builtin_ctz(r->controllers);
	fd = openat(r->t->h[c].dir_fd, cgm_reader_path(r, "cgroup.procs"), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	if (n <= 0)
		return 0;
	text = (struct cgm_str){ buf, (size_t)n };
	while (nr < MAX_PIDS && cgm_next_line(&text, &token)) {
		uint64_t pid;

		/* 0: a process of another pid namespace. Without its newline a number may be cut. */
		if (token.p + token.len == buf + n || cgm_parse_u64(token, &pid) < 0 || !pid || pid > INT32_MAX)
			continue;
		pids[nr++] = (uint32_t)pid;
	}
	return nr;
}

static void set_left_out(struct cgm_netns_table *t, struct cgm_netns_member *m, bool left_out)
{
	t->nr_left_out += left_out;
	t->nr_left_out -= m->left_out;
	m->left_out = left_out;
}

static void set_ns(struct cgm_netns_table *t, struct cgm_netns_member *m, struct cgm_netns *ns)
{
	struct cgm_netns *old = m->ns;

	if (ns) {
		ns->nr_members++;
		ns->nr_owners += m->claim == CGM_NETNS_OWNS;
	}
	m->ns = ns;
	if (old)
		old->nr_owners -= m->claim == CGM_NETNS_OWNS;
	if (old && --old->nr_members == 0)
		free_netns(t, old);
}

static void set_claim(struct cgm_netns_member *m, enum cgm_netns_claim claim)
{
	if (m->ns) {
		m->ns->nr_owners += claim == CGM_NETNS_OWNS;
		m->ns->nr_owners -= m->claim == CGM_NETNS_OWNS;
	}
	m->claim = claim;
}

/* Are the namespace's interfaces shown as this member's? */
static bool is_shown(const struct cgm_netns_table *t, const struct cgm_netns_member *m)
{
	if (m->claim != CGM_NETNS_SHARES)
		return true;
	if (m->ns->nr_owners || m->ns->lent == t->tick)
		return false;
	m->ns->lent = t->tick;
	return true;
}

/* The namespace of one process. 0 with *ret (NULL: the machine's); -ENOENT: it has ended; else why it cannot be read. */
static int ns_of_pid(struct cgm_netns_table *t, uint32_t pid, struct cgm_netns **ret)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "%u/ns/net", pid);
	if (fstatat(t->proc_fd, path, &st, 0) < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	*ret = NULL;
	if (st.st_ino == t->host_ino && st.st_dev == t->host_dev)
		return 0;
	*ret = find(t, &st);
	if (!*ret) {
		fd = openat(t->proc_fd, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return errno == ESRCH ? -ENOENT : -errno;
		r = find_or_open(t, fd, ret);
		if (r < 0 || !*ret)
			return r;
	}
	(*ret)->witness = pid;
	(*ret)->checked = t->tick;
	return 0;
}

static void put_off(struct cgm_netns_table *t, struct cgm_netns_member *m, bool found)
{
	if (found)
		m->wait_ns = LONGEST_WAIT_NS;
	else
		m->wait_ns = m->wait_ns ? MIN(2 * m->wait_ns, LONGEST_WAIT_NS) : FIRST_WAIT_NS;
	m->due_ns = t->now_ns + m->wait_ns;
}

static int look(struct cgm_netns_table *t, struct cgm_netns_member *m, struct cgm_reader *reader)
{
	struct cgm_netns *ns = NULL;
	uint32_t pids[MAX_PIDS];
	size_t nr = read_pids(reader, pids);
	int r = -ENOENT;

	for (size_t i = 0; i < nr && r == -ENOENT; i++)
		r = ns_of_pid(t, pids[i], &ns);
	if (r == -EMFILE)
		cgm_log_once(CGM_LOG_WARNING, "network namespaces beyond %zu are left out (--max_network_namespaces)", t->max);
	else if (r < 0 && r != -ENOENT && r != -ENOMEM)
		cgm_log_once(CGM_LOG_INFO, "a container's network namespace cannot be read: %s", strerror(-r));
	set_left_out(t, m, r < 0 && r != -ENOENT);
	/* Not freed and opened again when it is the same. */
	set_ns(t, m, r == 0 ? ns : NULL);
	put_off(t, m, m->ns != NULL);
	return r == -ENOMEM ? r : 0;
}

/*
 * In every fourth tick, not all in the same: is the process by which it was found still there? A container that lost its last process is known
 * without that. A signal that is none asks for a tenth of what a look into proc costs. A process that has moved, or another one with its number, is
 * found out when the container is looked at again.
 */
static void check(struct cgm_netns_table *t, struct cgm_netns *ns)
{
	char path[16];
	bool gone;

	if (ns->checked == t->tick || !ns->witness || (t->tick + ns->witness) % 4)
		return;
	ns->checked = t->tick;
	snprintf(path, sizeof(path), "%u", ns->witness);
	gone = t->own_pids ? kill((pid_t)ns->witness, 0) < 0 && errno == ESRCH : faccessat(t->proc_fd, path, F_OK, 0) < 0;
	if (gone)
		ns->witness = 0;
}

void cgm_netns_leave(struct cgm_netns_member *m)
{
	if (!m->table)
		return;
	set_left_out(m->table, m, false);
	set_ns(m->table, m, NULL);
}

/* ---- reading ---- */

struct reading {
	struct cgm_netns *ns;
	uint64_t tick;
	bool unknown; /* a number without a name came */
};

static struct iface *find_iface(struct cgm_netns *ns, uint32_t index)
{
	for (size_t i = 0; i < ns->nr_ifaces; i++)
		if (ns->ifaces[i].index == index)
			return &ns->ifaces[i];
	return NULL;
}

static int on_link(void *arg, const struct cgm_link *l)
{
	struct reading *reading = arg;
	struct cgm_netns *ns = reading->ns;
	struct iface *i = find_iface(ns, l->index);

	if (!i && !l->name[0]) {
		reading->unknown = true;
		return 0;
	}
	if (!i) {
		if (cgm_grow((void **)&ns->ifaces, &ns->cap_ifaces, ns->nr_ifaces, sizeof(*ns->ifaces)) < 0)
			return -ENOMEM;
		i = &ns->ifaces[ns->nr_ifaces++];
		*i = (struct iface){ .index = l->index };
	}
	if (l->name[0])
		memcpy(i->name, l->name, sizeof(i->name));
	if (l->has_stats) {
		memcpy(i->v, l->v, sizeof(i->v));
		i->tick = reading->tick;
	}
	return 0;
}

/*
 * One datagram. The kernel makes as large ones as the reader ever had room for, so room is given only as needed: links are asked first how long
 * they are (a cut one would be lost), statistics of a page always fit.
 */
static ssize_t receive(int fd, unsigned char buf[RECEIVE_BYTES], enum cgm_netlink_what what)
{
	ssize_t n = STATS_BYTES;

	if (what == CGM_NETLINK_LINKS)
		n = recv(fd, buf, 1, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
	return n < 0 ? n : recv(fd, buf, MIN((size_t)n, (size_t)RECEIVE_BYTES), MSG_DONTWAIT);
}

/* What is left of a dump would be in the way of the next one. */
static void drain(struct cgm_netns_table *t, int fd)
{
	for (unsigned i = 0; i < MAX_DATAGRAMS; i++)
		if (recv(fd, t->buf, sizeof(t->buf), MSG_DONTWAIT) < 0 && errno != ENOBUFS)
			return;
}

/* One request, to the end of the answer; index as in cgm_netlink_request(). 0 or a negative errno. */
static int ask(struct cgm_netns_table *t, struct reading *reading, enum cgm_netlink_what what, uint32_t index)
{
	struct cgm_netns *ns = reading->ns;
	struct cgm_netlink_seen seen = { 0 };
	unsigned char request[CGM_NETLINK_REQUEST_BYTES];
	size_t len = cgm_netlink_request(what, index, ++ns->seq, request);
	int r = 0;

	if (send(ns->fd, request, len, MSG_NOSIGNAL) < 0)
		return -errno;
	for (unsigned i = 0; i < MAX_DATAGRAMS && r == 0 && !seen.done; i++) {
		ssize_t n = receive(ns->fd, t->buf, what);

		if (n < 0 && errno == ENOBUFS) { /* notifications were lost, not our answer */
			seen.notified = true;
			continue;
		}
		if (n < 0)
			return -errno;
		r = cgm_netlink_parse(t->buf, (size_t)n, ns->seq, on_link, reading, &seen);
	}
	ns->stale |= seen.notified || seen.interrupted;
	if (r && !seen.done)
		drain(t, ns->fd);
	return r;
}

/* Names and numbers. Interfaces that are gone are forgotten: their number may come again with another name. */
static int read_links(struct cgm_netns_table *t, struct reading *reading)
{
	struct cgm_netns *ns = reading->ns;
	size_t kept = 0;
	int r;

	ns->stale = false;
	r = ask(t, reading, CGM_NETLINK_LINKS, 0);
	if (r < 0) {
		ns->stale = true;
		return r;
	}
	for (size_t i = 0; i < ns->nr_ifaces; i++)
		if (ns->ifaces[i].tick == reading->tick)
			ns->ifaces[kept++] = ns->ifaces[i];
	ns->nr_ifaces = kept;
	return 0;
}

/* The only interface that is shown: asking for it alone is cheaper than a dump with lo in it. 0: there are several, or none. */
static uint32_t only_index(const struct cgm_netns *ns)
{
	uint32_t index = 0;

	for (size_t i = 0; i < ns->nr_ifaces; i++) {
		if (cgm_net_skipped(ns->ifaces[i].name))
			continue;
		if (index)
			return 0;
		index = ns->ifaces[i].index;
	}
	return index;
}

static void read_ns(struct cgm_netns_table *t, struct cgm_netns *ns)
{
	struct reading reading = { .ns = ns, .tick = t->tick };
	int r = 0;

	if (ns->read == t->tick || t->no_links)
		return;
	ns->read = t->tick;
	if (!ns->stale && !ns->without_stats) {
		r = ask(t, &reading, CGM_NETLINK_STATS, only_index(ns));
		ns->without_stats = r == -EOPNOTSUPP;
		ns->stale |= r < 0; /* it may be gone */
	}
	if (ns->stale || ns->without_stats || reading.unknown)
		r = read_links(t, &reading);
	if (r < 0)
		cgm_log_once(CGM_LOG_WARNING, "links of a network namespace cannot be read: %s", strerror(-r));
}

static int add_ns(struct cgm_netns_table *t, struct cgm_netns *ns, struct cgm_sample *s)
{
	int e;

	read_ns(t, ns);
	if (ns->sockets) {
		cgm_sockets_set_witness(ns->sockets, ns->witness);
		e = cgm_worker_merge(t->worker, ns->sockets, s);
		if (e < 0)
			return e;
	}
	for (size_t i = 0; i < ns->nr_ifaces; i++) {
		const struct iface *from = &ns->ifaces[i];
		struct cgm_iface_row *row;

		if (from->tick != t->tick || cgm_net_skipped(from->name))
			continue;
		row = cgm_sample_iface(s, from->name);
		if (!row)
			return -ENOMEM;
		memcpy(row->v, from->v, sizeof(row->v));
	}
	return 0;
}

int cgm_netns_sample_last(struct cgm_netns_table *t, struct cgm_netns_member *m, struct cgm_sample *s)
{
	if (!m->ns || !is_shown(t, m))
		return 0;
	/* Once more in this tick. An interface that is gone by now keeps what was read of it before. */
	m->ns->read = 0;
	return add_ns(t, m->ns, s);
}

int cgm_netns_sample(struct cgm_netns_table *t, struct cgm_netns_member *m, struct cgm_reader *r, bool has_processes, enum cgm_netns_claim claim,
		     struct cgm_sample *s)
{
	bool first = has_processes && !m->had_processes;
	int e;

	m->table = t;
	set_claim(m, claim);
	if (m->had_processes && !has_processes)
		m->due_ns = 0;
	m->had_processes = has_processes;
	if (first)
		m->wait_ns = 0;
	if (m->ns)
		check(t, m->ns);
	if (m->ns ? !m->ns->witness || t->now_ns >= m->due_ns : first || t->now_ns >= m->due_ns) {
		e = look(t, m, r);
		if (e < 0)
			return e;
	}
	return m->ns && is_shown(t, m) ? add_ns(t, m->ns, s) : 0;
}

int cgm_netns_sample_host(struct cgm_netns_table *t, struct cgm_sample *s)
{
	if (t->worker && !t->host_tried) {
		_cleanup_close_ int ns_fd = openat(t->proc_fd, "1/ns/net", O_RDONLY | O_CLOEXEC), own_fd = -1;

		if (ns_fd < 0)
			own_fd = openat(t->proc_fd, "self/ns/net", O_RDONLY | O_CLOEXEC);
		t->host_tried = true;
		t->host_sockets = sockets_job(t, ns_fd < 0 ? own_fd : ns_fd);
		if (t->host_sockets)
			cgm_sockets_set_witness(t->host_sockets, ns_fd < 0 ? (uint32_t)getpid() : 1);
	}
	return t->host_sockets ? cgm_worker_merge(t->worker, t->host_sockets, s) : 0;
}
