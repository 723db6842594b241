// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel side costs. Prints one line a metric, "name value unit limit yardstick" ("-" for none), for tools/bench/kernel.
 *
 *	ns per event	each program's run time by the kernel's own BPF statistics, less that of an empty program at the same hook, both
 *			attached at once, under a load that fires it
 *	slow-down	a ping-pong of two processes on one CPU, with and without everything attached, in turns; ratio of medians
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "empty.skel.h"
#include "kernel/kernel.h"

#define SWITCH_LIMIT_NS 80
#define SLOWDOWN_LIMIT_PERCENT 5
#define ROUNDS 21

static struct cgm_trees trees;

static struct cgm_kernel *load(enum cgm_sched_hook hook)
{
	enum cgm_controller sched = cgm_trees_sched_controller(&trees);
	bool v2 = sched == CGM_CTRL_UNIFIED;
	enum cgm_controller block = trees.h[CGM_CTRL_BLKIO].dir_fd >= 0 ? CGM_CTRL_BLKIO : CGM_CTRL_UNIFIED;
	struct cgm_kernel_config c = {
		.pin_dir = "",
		.nr_slots = 1024,
		.sched_hierarchy = trees.h[sched].id,
		.sock_hierarchy = trees.h[sched].id,
		.block_hierarchy = trees.h[block].id,
		.task_controller = v2 ? CGM_TASK_V2 : sched == CGM_CTRL_CPU ? CGM_TASK_CPU : CGM_TASK_CPUACCT,
		.hierarchy_mask = 1ULL << trees.h[sched].id,
		.sched_hook = hook,
	};
	struct cgm_kernel *k;

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

static void print_costs(struct cgm_kernel *k, struct empty_bpf *e, const char *prefix, double *ret_switch)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(k, &p);

	*ret_switch = 0;
	for (size_t i = 0; i < nr; i++) {
		struct bpf_program *base;
		double ns, floor_ns = 0;
		struct cost c = cost_of_id(p[i].id);

		if (!p[i].id || !c.runs)
			continue;
		bpf_object__for_each_program(base, e->obj) {
			const char *section = bpf_program__section_name(base), *hook = strrchr(section, '/');

			if (hook && (strcmp(hook + 1, p[i].hook) == 0 || (strstr(p[i].hook, "sched_wakeup") && strstr(hook, "sched_wakeup"))))
				floor_ns = per_run(cost_of_fd(bpf_program__fd(base)));
		}
		ns = per_run(c) - floor_ns;
		if (strncmp(p[i].group, "sched", 5) == 0 && strcmp(p[i].hook, "sched_process_exit") != 0)
			*ret_switch += strcmp(p[i].hook, "sched_wakeup_new") ? ns : 0;
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
	k = load(CGM_SCHED_SWITCH);
	all_loads();
	cgm_kernel_sweep(k);
	print_costs(k, e, "", &ours);
	cgm_kernel_close(k);
	k = load(CGM_SCHED_WAKEUP);
	for (int i = 0; i < 3; i++)
		ping_pong(100000);
	print_costs(k, e, "usual_pair.", &pair);
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

/* The kernel frees maps and programs in the background. */
static void settle(void)
{
	usleep(150000);
}

static void measure_slowdown(void)
{
	double without[ROUNDS], empty[ROUNDS], with[ROUNDS], base;

	for (int i = 0; i < ROUNDS; i++) {
		struct empty_bpf *e;
		struct cgm_kernel *k;

		settle();
		without[i] = ping_pong(100000);
		e = load_empty("sched_switch");
		settle();
		empty[i] = ping_pong(100000);
		empty_bpf__destroy(e);
		k = load(CGM_SCHED_SWITCH);
		settle();
		with[i] = ping_pong(100000);
		cgm_kernel_close(k);
	}
	base = median(without, ROUNDS);
	printf("ping_pong_round_trip %.0f ns - %.0f\n", median(with, ROUNDS), base);
	/* What any program at sched_switch costs, before it does anything. */
	printf("ping_pong_slowdown_by_empty_program %.2f %% - -\n", 100 * (median(empty, ROUNDS) / base - 1));
	printf("ping_pong_slowdown %.2f %% %d -\n", 100 * (median(with, ROUNDS) / base - 1), SLOWDOWN_LIMIT_PERCENT);
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
	measure_programs();
	measure_slowdown();
	k = load(CGM_SCHED_AUTO);
	began = cgm_clock_mono_ns();
	for (int i = 0; i < 20; i++)
		cgm_kernel_sweep(k);
	printf("sweep %.1f us - -\n", (double)(cgm_clock_mono_ns() - began) / 20000);
	printf("map_memory %.1f MB - -\n", (double)cgm_kernel_map_bytes(k) / (1 << 20));
	cgm_kernel_close(k);
	cgm_trees_close(&trees);
	return 0;
}
