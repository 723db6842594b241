/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network interfaces of containers: one kept rtnetlink socket for each network namespace that some container has and the machine has not.
 * Each namespace is read once a tick, however many containers share it: one system call to ask, one to receive. A namespace with one interface
 * beside lo is asked for that alone.
 *
 * A container's namespace is that of the first of its own processes that has one. It is looked up when the container is new, again with growing
 * intervals while it has no process or shares the machine's namespace (a runtime puts a process into its cgroup before it gives it a
 * namespace), when the process by which it was found has ended or the container has none any more, and each half minute.
 *
 * Where sockets are to be counted, too, each namespace and the machine's have a job for it (sockets.h), which the worker's thread runs.
 *
 * A socket keeps its namespace alive, so it is closed as soon as the last of its containers is gone or no process of theirs is left in it.
 * The sampler's own thread never enters another namespace: a short-lived thread opens the socket. All of it belongs to the sampler's thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup/cgroup.h"
#include "cgroup/sockets.h"

struct cgm_netns;
struct cgm_netns_table;

/* Whose a namespace is, as the runtime says: UNKNOWN, nobody said anything of this cgroup. */
enum cgm_netns_claim { CGM_NETNS_UNKNOWN, CGM_NETNS_OWNS, CGM_NETNS_SHARES };

/* What a container remembers of its namespace; zeroed at first. */
struct cgm_netns_member {
	struct cgm_netns_table *table; /* NULL: never sampled */
	struct cgm_netns *ns; /* NULL: the machine's, or none */
	uint64_t due_ns, wait_ns; /* when to look next; how long that was put off */
	bool had_processes; /* at the last sample */
	bool left_out; /* it has a namespace that cannot be read */
	enum cgm_netns_claim claim; /* at the last sample */
};

/*
 * root_fd: below which proc is found; kept by the caller. max: sockets at most; what comes beyond is left out. The machine's namespace is that of
 * process 1, or our own when we may not look at that. 0; -ENOMEM; or why there are none (-ENOENT: this kernel has no network namespaces).
 */
int cgm_netns_open(int root_fd, size_t max, struct cgm_netns_table **ret);
/*
 * Before the first sample: what is to be read of a namespace. links: interfaces. worker: sockets, as wanted says; NULL: none; it must outlive the
 * table. Without this it is the interfaces alone.
 */
void cgm_netns_want(struct cgm_netns_table *t, bool links, struct cgm_worker *worker, const struct cgm_sockets_wanted *wanted);
/* Every member must have left. NULL is fine. */
void cgm_netns_close(struct cgm_netns_table *t);
/* Once a tick, before the samples: what was read before is old now. now_ns: monotonic. */
void cgm_netns_tick(struct cgm_netns_table *t, uint64_t now_ns);

/*
 * Adds the interfaces of the container's namespace to s, less lo, veth*, docker*, nerdctl*; none when it shares the machine's. Of named containers
 * in one namespace only its owner has them, so that a sum counts them once: a pod's sandbox, the container that others join. Where that has no
 * process in it, the first of the others in this tick stands for it. Cgroups of which no runtime speaks have them each.
 * has_processes: whether the container has processes of its own now; true when that is not known. 0 or -ENOMEM; what ends while it is
 * read, or may not be read, is no error.
 */
int cgm_netns_sample(struct cgm_netns_table *t, struct cgm_netns_member *m, struct cgm_reader *r, bool has_processes, enum cgm_netns_claim claim,
		     struct cgm_sample *s);
/*
 * The last process of the container has ended: the same from the namespace that is known, if it is, which lives on as long as it is kept open here.
 * Its counters are read now, also when they were read in this tick. 0 or -ENOMEM.
 */
int cgm_netns_sample_last(struct cgm_netns_table *t, struct cgm_netns_member *m, struct cgm_sample *s);
/* Adds the sockets of the machine's own namespace, if sockets are wanted. 0 or -ENOMEM. */
int cgm_netns_sample_host(struct cgm_netns_table *t, struct cgm_sample *s);
/* The container is gone. A member that was never sampled is fine. */
void cgm_netns_leave(struct cgm_netns_member *m);

/* Namespaces that are open now, a descriptor each; containers whose namespace is left out: too many, or not allowed. t may be NULL. */
size_t cgm_netns_count(const struct cgm_netns_table *t);
size_t cgm_netns_left_out(const struct cgm_netns_table *t);

/* A netlink socket in that namespace, told of the groups' news; made by a thread of its own. The descriptor or a negative errno. Any thread. */
int cgm_netns_socket(int ns_fd, int protocol, uint32_t groups);
