// SPDX-License-Identifier: Apache-2.0
/*
 * What each program costs: its run time by the kernel's own BPF statistics, less that of an empty program at the same hook, both attached at
 * once, under a load that fires it. Prints one line a metric, "name value unit limit yardstick" ("-" for none), for tools/bench/kernel.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define SWITCH_LIMIT_NS 60 /* issue 3, "What it must show" */

/* ---- loads ---- */

/* Two processes on the last CPU hand a byte to and fro. Returns ns a round trip. */
static double ping_pong(unsigned rounds)
{
	int there[2], back[2], cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	uint64_t began, took;
	char c = 0;
	pid_t pid;

	if (pipe(there) < 0 || pipe(back) < 0)
		exit(1);
	pid = fork();
	pin_to(cpu);
	if (pid == 0) {
		while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
			if (c)
				_exit(0);
		_exit(1);
	}
	for (unsigned i = 0; i < 5000; i++) /* until both sit on that CPU and everything is warm */
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			exit(1);
	began = cgm_clock_mono_ns();
	for (unsigned i = 0; i < rounds; i++)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			exit(1);
	took = cgm_clock_mono_ns() - began;
	c = 1;
	if (write(there[1], &c, 1) != 1)
		exit(1);
	waitpid(pid, NULL, 0);
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	return (double)took / rounds;
}

static void load_tasks(void)
{
	for (int i = 0; i < 500; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void load_cgroups(void)
{
	int dir = trees.h[cgm_trees_sched_controller(&trees)].dir_fd;

	for (int i = 0; i < 200; i++) {
		mkdirat(dir, "cgmbench-kernel", 0755);
		unlinkat(dir, "cgmbench-kernel", AT_REMOVEDIR);
	}
}

static void load_sockets(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), peer;
	char buf[64] = { 0 };

	if (bind(server, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(server, 1) < 0 || getsockname(server, (struct sockaddr *)&a, &len) < 0 ||
	    connect(client, (struct sockaddr *)&a, sizeof(a)) < 0)
		exit(1);
	peer = accept(server, NULL, NULL);
	for (int i = 0; i < 20000; i++)
		if (send(client, buf, sizeof(buf), 0) != sizeof(buf) || recv(peer, buf, sizeof(buf), 0) <= 0)
			exit(1);
	close(peer);
	close(client);
	for (int i = 0; i < 200; i++) { /* states */
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			close(accept(server, NULL, NULL));
		close(fd);
	}
	close(server);
}

/* In a network namespace of a child's own: connects that are refused, a UDP socket that overflows, segments lost and sent again, a shaped interface. */
static void load_troubles(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9) };
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog lose = { .len = 1, .filter = nothing };
	int udp = socket(AF_INET, SOCK_DGRAM, 0), size = 4096, pair[2];
	socklen_t len = sizeof(a);
	char buf[1000] = { 0 };
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	if (unshare(CLONE_NEWNET) < 0)
		_exit(1);
	close(udp);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(udp, SIOCSIFFLAGS, &lo) < 0)
		_exit(1);
	for (int i = 0; i < 300; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		(void)connect(fd, (struct sockaddr *)&a, sizeof(a));
		close(fd);
	}
	open_tcp(pair);
	for (int i = 0; i < 5; i++) { /* a timeout each */
		setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &lose, sizeof(lose));
		if (write(pair[1], buf, 1) != 1)
			_exit(1);
		usleep(500000);
		setsockopt(pair[0], SOL_SOCKET, SO_DETACH_FILTER, &lose, sizeof(lose));
		if (read(pair[0], buf, 1) != 1)
			_exit(1);
	}
	a.sin_port = 0;
	if (bind(udp, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(udp, (struct sockaddr *)&a, &len) < 0)
		_exit(1);
	setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (int i = 0; i < 5000; i++)
		(void)sendto(udp, buf, sizeof(buf), 0, (struct sockaddr *)&a, sizeof(a));
	if (fork() == 0) {
		execlp("tc", "tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1gbit", "burst", "64k", "limit", "1m", NULL);
		_exit(1);
	}
	wait(NULL);
	for (int i = 0; i < 5000; i++)
		(void)sendto(udp, buf, sizeof(buf), 0, (struct sockaddr *)&a, sizeof(a));
	_exit(0);
}

static void load_network(void)
{
	pid_t pid = fork();

	if (pid == 0)
		load_troubles();
	waitpid(pid, NULL, 0);
}

static void load_disk(void)
{
	char path[] = "/var/tmp/cgmbench-XXXXXX";
	int fd = mkostemp(path, O_DIRECT);
	void *p = NULL;

	if (fd < 0 || posix_memalign(&p, 4096, 4096))
		return;
	memset(p, 1, 4096);
	for (int i = 0; i < 500; i++)
		if (pwrite(fd, p, 4096, (off_t)i * 4096) < 0)
			break;
	fsync(fd);
	for (int i = 0; i < 1000; i++)
		if (pread(fd, p, 4096, (off_t)(i % 500) * 4096) < 0)
			break;
	free(p);
	close(fd);
	unlink(path);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void load_signals(void)
{
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 5000; i++)
		raise(SIGUSR1);
}

static void load_memory(void)
{
	size_t huge = 2UL << 20, bytes = 8 * huge;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int compact = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);

	if (p == MAP_FAILED)
		exit(1);
	for (int i = 0; i < 5000; i++) { /* flushes */
		*(volatile char *)p = 1;
		if (mprotect(p, 4096, PROT_READ) < 0 || mprotect(p, 4096, PROT_READ | PROT_WRITE) < 0)
			exit(1);
	}
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
	madvise((char *)(((uintptr_t)p + huge - 1) / huge * huge), bytes - huge, 25 /* MADV_COLLAPSE */);
	for (int i = 0; compact >= 0 && i < 3; i++)
		if (write(compact, "1", 1) != 1)
			break;
	if (compact >= 0)
		close(compact);
	munmap(p, bytes);
}

static void load_files(void)
{
	char path[] = "/var/tmp/cgmbench-XXXXXX", buf[4096] = { 0 };
	int fd = mkostemp(path, O_CLOEXEC);

	for (int i = 0; fd >= 0 && i < 200; i++)
		if (pwrite(fd, buf, sizeof(buf), i * 4096) != sizeof(buf) || fsync(fd) < 0)
			break;
	close(fd);
	unlink(path);
}

/* What only the groups that are off by default see: locks that are held, futexes, files that are not in memory. */
static void load_waits(void)
{
	char path[] = "/var/tmp/cgmbench-XXXXXX";
	static char buf[1 << 20];
	int fd = mkostemp(path, O_CLOEXEC), word = 0;
	const struct timespec ts = { .tv_nsec = 10000 };
	uint64_t end;
	pid_t pid;

	if (fd < 0 || write(fd, buf, sizeof(buf)) != sizeof(buf) || fsync(fd) < 0)
		exit(1);
	for (int i = 0; i < 20; i++) {
		char *p = mmap(NULL, sizeof(buf), PROT_READ, MAP_SHARED, fd, 0);

		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		for (size_t at = 0; p != MAP_FAILED && at < sizeof(buf); at += 4096)
			(void)*(volatile char *)(p + at);
		munmap(p, sizeof(buf));
		for (size_t at = 0; at < sizeof(buf); at += 4096)
			if (pread(fd, buf, 4096, (off_t)at) != 4096)
				exit(1);
		syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 0, &ts, NULL, 0);
	}
	pid = fork();
	end = cgm_clock_mono_ns() + 300000000;
	while (cgm_clock_mono_ns() < end) /* for the inode */
		if (pwrite(fd, buf, sizeof(buf), 0) != sizeof(buf))
			break;
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	close(fd);
	unlink(path);
}

/* ---- ns per event ---- */

struct cost {
	uint64_t ns, runs;
};

static struct cost cost_of_fd(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return (struct cost){ 0 };
	return (struct cost){ info.run_time_ns, info.run_cnt };
}

static struct cost cost_of_id(uint32_t id)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	return cost_of_fd(fd);
}

static double per_run(struct cost c)
{
	return c.runs ? (double)c.ns / (double)c.runs : 0;
}

/* dear: only groups that are off by default */
static void print_costs(struct cgm_kernel *k, struct empty_bpf *e, const char *prefix, bool dear, double *ret_switch)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(k, &p);

	*ret_switch = 0;
	for (size_t i = 0; i < nr; i++) {
		struct bpf_program *base;
		double ns, floor_ns = 0;
		struct cost c = cost_of_id(p[i].id);

		if (!p[i].id || !c.runs || (dear && cgm_groups[cgm_group_of_programs(p[i].group)].def != CGM_GROUP_OFF))
			continue;
		bpf_object__for_each_program(base, e->obj) {
			const char *section = bpf_program__section_name(base), *hook = strrchr(section, '/');

			if (hook && (strcmp(hook + 1, p[i].hook) == 0 || (strstr(p[i].hook, "sched_wakeup") && strstr(hook, "sched_wakeup"))))
				floor_ns = per_run(cost_of_fd(bpf_program__fd(base)));
		}
		ns = per_run(c) - floor_ns;
		if (strcmp(p[i].group, "sched") == 0 && (strcmp(p[i].hook, "sched_switch") == 0 || strcmp(p[i].hook, "sched_wakeup") == 0))
			*ret_switch += ns;
		printf("%s%s %.1f ns - -\n", prefix, p[i].name, ns);
	}
}

static void all_loads(void)
{
	for (int i = 0; i < 3; i++)
		ping_pong(100000);
	load_tasks();
	load_cgroups();
	load_sockets();
	load_network();
	load_disk();
	load_signals();
	load_memory();
	load_files();
}

static void measure_programs(void)
{
	_cleanup_close_ int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	struct empty_bpf *e = load_empty(NULL);
	double ours, pair;
	struct cgm_kernel *k;

	if (stats < 0) {
		fprintf(stderr, "bench-kernel: the kernel's BPF statistics cannot be switched on: %s\n", strerror(errno));
		exit(1);
	}
	k = load(CGM_SCHED_SWITCH, NULL);
	all_loads();
	cgm_kernel_sweep(k);
	cgm_kernel_walk_sockets(k);
	print_costs(k, e, "", false, &ours);
	cgm_kernel_close(k);
	k = load(CGM_SCHED_SWITCH, "+syscall,+lock,+irq,+page_cache,+packet");
	all_loads();
	load_waits();
	print_costs(k, e, "", true, &pair);
	cgm_kernel_close(k);
	k = load(CGM_SCHED_WAKEUP, NULL);
	for (int i = 0; i < 3; i++)
		ping_pong(100000);
	print_costs(k, e, "usual_pair.", false, &pair);
	cgm_kernel_close(k);
	/* Of a raw program without an empty twin nothing is taken off. A switch of the ping-pong comes with one wakeup. */
	printf("sched_hook_net_per_switch %.1f ns %d %.1f\n", ours, SWITCH_LIMIT_NS, pair);
	empty_bpf__destroy(e);
}

/* CGM_BENCH_ONLY: names of parts; without it all of them. */
static bool wanted(const char *part)
{
	const char *only = getenv("CGM_BENCH_ONLY");

	return !only || strstr(only, part);
}

int main(void)
{
	struct cgm_kernel *k;
	uint64_t began;

	open_trees();
	if (wanted("programs"))
		measure_programs();
	if (!wanted("sweep"))
		return 0;
	k = load(CGM_SCHED_AUTO, NULL);
	began = cgm_clock_mono_ns();
	for (int i = 0; i < 20; i++)
		cgm_kernel_sweep(k);
	printf("sweep %.1f us - -\n", (double)(cgm_clock_mono_ns() - began) / 20000);
	printf("map_memory %.1f MB - -\n", (double)cgm_kernel_map_bytes(k) / (1 << 20));
	cgm_kernel_close(k);
	cgm_trees_close(&trees);
	return 0;
}
