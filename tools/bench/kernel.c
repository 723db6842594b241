// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel side costs. Prints one line a metric, "name value unit limit yardstick" ("-" for none), for tools/bench/kernel.
 *
 *	ns per event	each program's run time by the kernel's own BPF statistics, less that of an empty program at the same hook, both
 *			attached at once, under a load that fires it
 *	slow-down	a ping-pong of two processes on one CPU, with and without everything attached, in turns; median of the ratios
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "empty.skel.h"
#include "kernel/groups.h"
#include "kernel/kernel.h"
#include "node/hierarchies.h"

#define SWITCH_LIMIT_NS 80
#define SLOWDOWN_LIMIT_PERCENT 5
#define ROUNDS 21

static struct cgm_trees trees;

/* groups: beside those that are on by default, as --enable_metrics; NULL: none */
static struct cgm_kernel *load(enum cgm_sched_hook hook, const char *groups)
{
	struct cgm_kernel_config c = { .pin_dir = "", .nr_slots = 1024, .sched_hook = hook };
	struct cgm_group_choice choice;
	struct cgm_kernel *k;
	const char *bad;
	size_t len;

	if (cgm_group_choose(groups, NULL, &choice, &bad, &len) < 0)
		exit(1);
	c.groups_off = choice.unloaded;
	cgm_hierarchies_of(&trees, &c, NULL, NULL);
	if (cgm_kernel_open(&c, &k) < 0)
		exit(1);
	return k;
}

/* ---- loads ---- */

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

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

/* only: the name of one program, or NULL for all. */
static struct empty_bpf *load_empty(const char *only)
{
	struct empty_bpf *e = empty_bpf__open();
	struct bpf_program *p;

	if (!e)
		exit(1);
	bpf_object__for_each_program(p, e->obj)
		bpf_program__set_autoload(p, !only || strcmp(bpf_program__name(p), only) == 0);
	if (empty_bpf__load(e) < 0 || empty_bpf__attach(e) < 0) {
		fprintf(stderr, "bench-kernel: cannot load the empty programs\n");
		exit(1);
	}
	return e;
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

		if (!p[i].id || !c.runs || (dear && cgm_groups[cgm_group_find(p[i].group, strlen(p[i].group))].def != CGM_GROUP_OFF))
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
	print_costs(k, e, "", false, &ours);
	cgm_kernel_close(k);
	k = load(CGM_SCHED_SWITCH, "+syscall,+lock,+irq,+page_cache");
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

/* ---- slow-down ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, size_t nr)
{
	qsort(v, nr, sizeof(*v), by_value);
	return v[nr / 2];
}

/* A ping-pong that runs all the time on the last CPU; the counter of its round trips is shared. */
struct endless {
	pid_t pid;
	volatile uint64_t *rounds;
};

static struct endless start_endless(void (*open_pair)(int fds[2]))
{
	struct endless e;
	int there[2], back[2], cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	char c = 0;

	e.rounds = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (e.rounds == MAP_FAILED)
		exit(1);
	open_pair(there);
	open_pair(back);
	e.pid = fork();
	if (e.pid == 0) {
		bool answers;

		setpgid(0, 0);
		pin_to(cpu);
		answers = fork() == 0;
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* they would go on for ever without us */
		while (answers && read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
			;
		while (!answers && write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1)
			(*e.rounds)++;
		_exit(1);
	}
	setpgid(e.pid, e.pid);
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	return e;
}

static void stop_endless(struct endless *e)
{
	kill(-e->pid, SIGKILL);
	waitpid(e->pid, NULL, 0);
	munmap((void *)e->rounds, 4096);
}

/* ns a round trip over the next tenth of a second; before it the kernel gets time to free what was just closed. */
static double watch(const struct endless *e)
{
	uint64_t began, rounds;

	usleep(120000);
	began = cgm_clock_mono_ns();
	rounds = *e->rounds;
	usleep(100000);
	return (double)(cgm_clock_mono_ns() - began) / (double)(*e->rounds - rounds);
}

static void open_pipe(int fds[2])
{
	if (pipe(fds) < 0)
		exit(1);
}

static void open_unix(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		exit(1);
}

/* fds[1] writes, fds[0] reads, as of a pipe. */
static void open_tcp(int fds[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(server, 1) < 0 || getsockname(server, (struct sockaddr *)&a, &len) < 0 ||
	    connect(fds[1], (struct sockaddr *)&a, sizeof(a)) < 0)
		exit(1);
	fds[0] = accept(server, NULL, NULL);
	close(server);
}

/*
 * What calling any program costs is the kernel's (some 45 ns a switch where this was written): the limit is on what ours adds to that.
 * In turns without anything, with an empty program at sched_switch, and with everything; each turn's ratio to its own neighbour, so that a
 * machine whose speed drifts does not count. The median of the ratios.
 */
/* limit: per cent, 0: none */
static void measure_slowdown(const char *name, void (*open_pair)(int fds[2]), int limit)
{
	double base[ROUNDS], empty[ROUNDS], with[ROUNDS], over[ROUNDS];
	struct endless pair = start_endless(open_pair);

	for (int i = 0; i < ROUNDS; i++) {
		struct empty_bpf *e;
		struct cgm_kernel *k;

		base[i] = watch(&pair);
		e = load_empty("sched_switch");
		empty[i] = watch(&pair);
		empty_bpf__destroy(e);
		k = load(CGM_SCHED_SWITCH, NULL);
		with[i] = watch(&pair);
		cgm_kernel_close(k);
		over[i] = 100 * (with[i] / empty[i] - 1);
		with[i] = 100 * (with[i] / base[i] - 1);
		empty[i] = 100 * (empty[i] / base[i] - 1);
	}
	stop_endless(&pair);
	printf("%s_round_trip %.0f ns - -\n", name, median(base, ROUNDS));
	printf("%s_slowdown_by_empty_program %.2f %% - -\n", name, median(empty, ROUNDS));
	printf("%s_slowdown %.2f %% - -\n", name, median(with, ROUNDS));
	if (limit)
		printf("%s_slowdown_over_empty_program %.2f %% %d -\n", name, median(over, ROUNDS), limit);
	else
		printf("%s_slowdown_over_empty_program %.2f %% - -\n", name, median(over, ROUNDS));
}

/* What the kernel's statistics add while they are on: to a round trip of two switches, and to the agent at both ends of a window. */
static void measure_window(void)
{
	struct endless pair = start_endless(open_pipe);
	struct cgm_kernel *k = load(CGM_SCHED_SWITCH, NULL);
	double added[ROUNDS], ends[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		double off = watch(&pair), on;
		uint64_t cpu = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID);

		if (cgm_kernel_cost_begin(k) < 0)
			break;
		ends[i] = (double)(cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
		on = watch(&pair);
		cpu = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		cgm_kernel_cost_end(k);
		ends[i] = (ends[i] + (double)(cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu)) / 1000;
		added[i] = (on - off) / 2;
	}
	if (cgm_kernel_cost_windows(k).nr == ROUNDS) {
		printf("statistics_a_run_while_on %.1f ns - -\n", median(added, ROUNDS));
		printf("statistics_a_run_at_1_s_in_30 %.1f ns - -\n", median(added, ROUNDS) / 30);
		printf("statistics_window_cpu %.0f us - -\n", median(ends, ROUNDS));
	}
	stop_endless(&pair);
	cgm_kernel_close(k);
}

/* CGM_BENCH_ONLY: names of parts; without it all of them. */
static bool wanted(const char *part)
{
	const char *only = getenv("CGM_BENCH_ONLY");

	return !only || strstr(only, part);
}

int main(void)
{
	_cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cgm_kernel *k;
	uint64_t began;

	setvbuf(stdout, NULL, _IOLBF, 0);
	cgm_log_set_level(CGM_LOG_ERROR);
	if (root < 0 || cgm_trees_open(root, &trees) < 0) {
		fprintf(stderr, "bench-kernel: no cgroup tree\n");
		return 1;
	}
	/* First, while nothing that the other loads left behind is under way. */
	if (wanted("pipe"))
		measure_slowdown("pipe_ping_pong", open_pipe, SLOWDOWN_LIMIT_PERCENT);
	if (wanted("unix"))
		measure_slowdown("unix_ping_pong", open_unix, 0);
	if (wanted("tcp"))
		measure_slowdown("tcp_ping_pong", open_tcp, 0);
	if (wanted("programs"))
		measure_programs();
	if (wanted("window"))
		measure_window();
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
