// SPDX-License-Identifier: Apache-2.0
/*
 * Groups: what is off from the start loads nothing; what is switched off at run time counts nothing, keeps its counts and makes no waiting
 * time of the pause. And the programs' cost, against the number of switches that the kernel itself counted.
 */
#include <bpf/bpf.h>
#include <ftw.h>
#include <pthread.h>

#include "base/clock.h"
#include "bpf/util.h"
#include "kernel/groups.h"
#include "kernel/internal.h"

static void sleep_often(void *arg)
{
	const struct timespec ts = { .tv_nsec = 200000 };

	close_range(3, ~0U, 0); /* copies of our links: a program runs as long as anybody holds its link */

	for (int i = 0; i < *(int *)arg; i++)
		nanosleep(&ts, NULL);
}

static int setup(void **state)
{
	struct rig *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	rig_open(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct rig *t = *state;

	rig_unload(t);
	cgm_trees_close(&t->trees);
	close(t->root_fd);
	free(t);
	return 0;
}

static void need_group(struct rig *t, const char *group)
{
	if (cgm_kernel_has(t->kernel, group))
		return;
	print_message("# skip: no program of the group %s on this kernel\n", group);
	skip();
}

static bool program_exists(uint32_t id)
{
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static const struct cgm_program *find_program(struct rig *t, const char *group)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(t->kernel, &p);

	for (size_t i = 0; i < nr; i++)
		if (strcmp(p[i].group, group) == 0 && p[i].id)
			return &p[i];
	return NULL;
}

static void test_groups__off_from_the_start(void **state)
{
	struct rig *t = *state;
	const char *off[CGM_NR_GROUPS] = { [CGM_G_NET] = "a test", [CGM_G_BLOCK] = "a test" };
	const struct cgm_program *p;
	size_t nr;

	t->config.groups_off = off;
	rig_load(t);
	need_group(t, "sched");
	assert_false(cgm_kernel_has(t->kernel, "net"));
	assert_false(cgm_kernel_loaded(t->kernel, "net"));
	nr = cgm_kernel_programs(t->kernel, &p);
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(p[i].group, "net") != 0 && strcmp(p[i].group, "block") != 0)
			continue;
		assert_string_equal(p[i].mode, "off");
		assert_int_equal(p[i].id, 0);
		assert_non_null(strstr(p[i].reason, "is off: a test"));
		assert_true(bpf_program__fd(bpf_object__find_program_by_name(t->kernel->skel->obj, p[i].name)) < 0);
	}
	assert_int_equal(cgm_kernel_set_group(t->kernel, "net", true, ""), -ENOENT);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "nonsense", true, ""), -ENOENT);
}

static void test_groups__off_and_on_at_run_time(void **state)
{
	struct rig *t = *state;
	struct cgm_sched before, paused, after;
	int many = 100, few = 20;
	uint32_t slot, id;
	char path[64];

	rig_load(t);
	need_group(t, "sched");
	group_path(path, sizeof(path), "groups");
	group_make(t, path);
	slot = sched_slot(t, path);
	group_run(t, path, sleep_often, &few, NULL);
	before = read_sched(t, slot);
	assert_true(before.voluntary >= 20);

	assert_int_equal(cgm_kernel_set_group(t->kernel, "sched", false, "said so"), 0);
	assert_false(cgm_kernel_has(t->kernel, "sched"));
	assert_true(cgm_kernel_loaded(t->kernel, "sched"));
	assert_null(find_program(t, "sched"));
	group_run(t, path, sleep_often, &many, NULL);
	usleep(300000);
	paused = read_sched(t, slot);
	assert_memory_equal(&paused, &before, sizeof(before));

	assert_int_equal(cgm_kernel_set_group(t->kernel, "sched", true, ""), 0);
	assert_true(cgm_kernel_has(t->kernel, "sched"));
	id = find_program(t, "sched")->id;
	assert_true(program_exists(id));
	group_run(t, path, sleep_often, &few, NULL);
	after = read_sched(t, slot);
	assert_true(after.voluntary >= before.voluntary + 20);
	assert_true(after.voluntary < before.voluntary + 100);
	/* The pause of 300 ms is no time off the CPU, nor in the run queue. */
	assert_true(after.off_cpu[CGM_OFF_SLEEP].sum_ns - before.off_cpu[CGM_OFF_SLEEP].sum_ns < 250000000ULL * (slow() ? 10 : 1));
	assert_int_equal(cgm_kernel_set_group(t->kernel, "sched", true, ""), 0); /* is on already */
	group_remove(t, path);
}

/* A thread that lives over the pause: what was remembered of it is stale. */
static void test_groups__a_pause_is_no_waiting_time(void **state)
{
	struct rig *t = *state;
	struct cgm_sched before, after;
	int nr = slow() ? 400 : 4000; /* 0.2 ms each: some 1 s */
	uint64_t off_ns;
	uint32_t slot;
	char path[64];
	pid_t pid;
	int status;

	rig_load(t);
	need_group(t, "sched");
	group_path(path, sizeof(path), "pause");
	group_make(t, path);
	slot = sched_slot(t, path);
	pid = group_start(t, path, sleep_often, &nr);
	usleep(100000);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "sched", false, "pause"), 0);
	before = read_sched(t, slot);
	usleep(500000);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "sched", true, ""), 0);
	usleep(50000);
	after = read_sched(t, slot);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	off_ns = after.off_cpu[CGM_OFF_SLEEP].sum_ns - before.off_cpu[CGM_OFF_SLEEP].sum_ns;
	assert_true(off_ns < 400000000);
	assert_true(after.runq_delay.sum_ns - before.runq_delay.sum_ns < 400000000);
	group_remove(t, path);
}

/* What was under way when the group went off, as the programs leave it: a request at the driver, a wait that has begun. */
static void test_groups__what_was_under_way_is_forgotten(void **state)
{
	struct rig *t = *state;
	struct cgm_block_request issued = { .number = 4096, .issue_ns = 1, .key = { .slot = 1, .dev = 0xfffff, .op = CGM_BLOCK_READ } };
	struct cgm_block row = { .issued = 8, .requests = 7 };
	uint64_t began[2] = { 0x123456789abcdef0, 1 };
	struct cgm_at_driver *at_driver;
	int rows, waits;

	rig_load(t);
	need_group(t, "block");
	rows = bpf_map__fd(t->kernel->skel->maps.cgm_block);
	waits = bpf_map__fd(t->kernel->skel->maps.cgm_began);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "block", false, "test"), 0);
	at_driver = cgm_map_array(t->kernel->skel->maps.cgm_at_driver);
	assert_non_null(at_driver);
	at_driver->request[77].way[2] = issued;
	at_driver->device[5] = (struct cgm_device){ .dev = issued.key.dev, .nr_in_flight = 1 };
	assert_int_equal(bpf_map_update_elem(rows, &issued.key, &row, BPF_ANY), 0);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "block", true, ""), 0);
	assert_int_equal(at_driver->request[77].way[2].number, 0);
	assert_int_equal(at_driver->device[5].nr_in_flight, 0);
	cgm_unmap_array(t->kernel->skel->maps.cgm_at_driver, at_driver);
	assert_int_equal(bpf_map_lookup_elem(rows, &issued.key, &row), 0);
	assert_int_equal(row.issued, 7);
	assert_int_equal(row.requests, 7);
	if (!cgm_kernel_has(t->kernel, "memory"))
		return;
	assert_int_equal(cgm_kernel_set_group(t->kernel, "memory", false, "test"), 0);
	assert_int_equal(bpf_map_update_elem(waits, &began[0], &began[1], BPF_ANY), 0);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "memory", true, ""), 0);
	assert_int_equal(bpf_map_lookup_elem(waits, &began[0], &began[1]), -ENOENT);
}

static bool is_pinned(const char *pin_dir, const char *link)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/links/%s", pin_dir, link);
	return access(path, F_OK) == 0;
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int flag, _unused_ struct FTW *ftw)
{
	return remove(path);
}

/* A pin would keep the program running; after a crash in the pause the next start goes on from the counts. */
static void test_groups__pins_follow(void **state)
{
	struct rig *t = *state;
	char pin_dir[64], path[64];
	struct cgm_sched before, after;
	const char *link;
	int few = 20;
	uint32_t slot;

	snprintf(pin_dir, sizeof(pin_dir), "/sys/fs/bpf/cgmbpfg-%d", (int)getpid());
	t->config.pin_dir = pin_dir;
	rig_load(t);
	need_group(t, "sched");
	link = find_program(t, "sched")->name;
	if (!t->kernel->pinned) {
		print_message("# skip: no BPF file system\n");
		skip();
	}
	group_path(path, sizeof(path), "pins");
	group_make(t, path);
	slot = sched_slot(t, path);
	group_run(t, path, sleep_often, &few, NULL);
	assert_true(is_pinned(pin_dir, link));
	assert_int_equal(cgm_kernel_set_group(t->kernel, "sched", false, "pins"), 0);
	assert_false(is_pinned(pin_dir, link));
	before = read_sched(t, slot);
	assert_true(before.voluntary >= 20);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "sched", true, ""), 0);
	assert_true(is_pinned(pin_dir, link));
	assert_int_equal(cgm_kernel_set_group(t->kernel, "sched", false, "pins"), 0);
	t->kernel->pinned = false; /* as after a kill -9 */
	rig_unload(t);
	group_run(t, path, sleep_often, &few, NULL);
	rig_load(t);
	assert_true(cgm_kernel_adopted(t->kernel));
	assert_true(cgm_kernel_has(t->kernel, "sched"));
	after = read_sched(t, slot);
	assert_int_equal(after.voluntary, before.voluntary);
	group_remove(t, path);
	rig_unload(t);
	nftw(pin_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* However many tasks this machine has. */
static void sweep_with_walk(struct rig *t)
{
	t->kernel->tasks_due_ns = 0;
	cgm_kernel_sweep(t->kernel);
}

/* The task iterator is clocked by us, one walk a sweep. */
static void test_cost__iterators_are_exact(void **state)
{
	struct rig *t = *state;
	const struct cgm_program *p;

	rig_load(t);
	need_group(t, "task");
	for (int i = 0; i < 3; i++)
		sweep_with_walk(t);
	if (cgm_kernel_cost_begin(t->kernel) < 0) {
		print_message("# skip: no BPF statistics on this kernel\n");
		skip();
	}
	usleep(50000);
	sweep_with_walk(t);
	cgm_kernel_cost_end(t->kernel);
	p = find_program(t, "task");
	assert_int_equal(p->cost.runs, 4);
	assert_in_range(p->cost.run_ns, 1000, 4000000000ULL);
	sweep_with_walk(t);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "task", false, "test"), 0);
	cgm_kernel_programs(t->kernel, &p);
	for (size_t i = 0; i < t->kernel->nr_programs; i++)
		if (strcmp(p[i].hook, "task") == 0)
			assert_int_equal(p[i].cost.runs, 5);
}

static void *stay(_unused_ void *arg)
{
	for (;;)
		pause();
	return NULL;
}

/* More than are walked over at each sweep. */
static void many_threads(void *arg)
{
	_Atomic int *nr = arg;
	pthread_attr_t attr;
	pthread_t thread;

	close_range(3, ~0U, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (int i = 0, all = slow() ? 2500 : 12000; i < all; i++)
		if (pthread_create(&thread, &attr, stay, NULL))
			break;
		else
			++*nr;
	*nr = -*nr;
	stay(NULL);
}

/* Gauges of tasks stay as they are until the next walk. */
static void test_walk__a_long_one_has_its_share(void **state)
{
	struct rig *t = *state;
	_Atomic int *nr = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct cgm_tasks tasks;
	uint64_t walks, now;
	char path[64];
	uint32_t slot;
	int all = 0;
	pid_t pid;

	rig_load(t);
	need_group(t, "task");
	group_path(path, sizeof(path), "threads");
	group_make(t, path);
	slot = sched_slot(t, path);
	pid = group_start(t, path, many_threads, (void *)nr);
	for (int i = 0; i < 6000 && *nr >= 0; i++)
		usleep(10000);
	all = 1 - *nr;
	sweep_with_walk(t);
	now = cgm_clock_mono_ns();
	walks = t->kernel->walk[CGM_WALK_TASKS];
	print_message("# %d threads, the next walk in %lld ms\n", all, (long long)(t->kernel->tasks_due_ns - now) / 1000000);
	assert_true(t->kernel->tasks_due_ns > now + 500000000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cgm_kernel_sweep(t->kernel);
	assert_int_equal(t->kernel->walk[CGM_WALK_TASKS], walks);
	assert_true(cgm_kernel_tasks(t->kernel, slot, &tasks));
	assert_int_equal(tasks.nr_processes, 1);
	for (int i = 0; i < CGM_NR_TASK_STATES; i++)
		all -= (int)tasks.nr[i]; /* the last ones may run still */
	assert_int_equal(all, 0);
	t->kernel->tasks_due_ns = now; /* the time is over */
	cgm_kernel_sweep(t->kernel);
	assert_int_equal(t->kernel->walk[CGM_WALK_TASKS], walks + 1);
	assert_true(cgm_kernel_tasks(t->kernel, slot, &tasks));
	assert_int_equal(tasks.nr_processes, 0);
	group_remove(t, path);
	munmap((void *)nr, 4096);
}

/* Against the kernel's own count of switches on all CPUs; windows of half of the time. */
static uint64_t machine_switches(void)
{
	char line[4096];
	unsigned long long n = 0;
	FILE *f = fopen("/proc/stat", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "ctxt ", 5) == 0)
			n = strtoull(line + 5, NULL, 10);
	fclose(f);
	return n;
}

static void test_cost__runs_are_the_kernels_switches(void **state)
{
	struct rig *t = *state;
	int nr = 1000000000;
	const struct cgm_program *p;
	uint64_t first, switches;
	char path[64];
	pid_t pid;
	int status;

	rig_load(t);
	need_group(t, "sched");
	group_path(path, sizeof(path), "cost");
	group_make(t, path);
	first = machine_switches();
	pid = group_start(t, path, sleep_often, &nr);
	for (int i = 0; i < 10; i++) {
		usleep(100000);
		if (cgm_kernel_cost_begin(t->kernel) < 0) {
			print_message("# skip: no BPF statistics on this kernel\n");
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			group_remove(t, path);
			skip();
		}
		usleep(100000);
		cgm_kernel_cost_end(t->kernel);
	}
	switches = machine_switches() - first;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	group_remove(t, path);
	cgm_kernel_programs(t->kernel, &p);
	for (size_t i = 0; i < t->kernel->nr_programs; i++) {
		if (strcmp(p[i].hook, "sched_switch") != 0 || !p[i].id)
			continue;
		print_message("%s: %lu runs, %lu switches, %.0f ns a run, clock %.1f ns\n", p[i].name, (unsigned long)p[i].cost.runs,
			      (unsigned long)switches, (double)p[i].cost.run_ns / (double)p[i].cost.runs,
			      (double)cgm_kernel_cost_windows(t->kernel).clock_ps / 1000);
		assert_near(p[i].cost.runs, switches, slow() ? 500 : 250);
		assert_in_range(p[i].cost.run_ns / p[i].cost.runs, 5, slow() ? 1000000 : 5000);
	}
	assert_int_equal(cgm_kernel_cost_windows(t->kernel).nr, 10);
	assert_in_range(cgm_kernel_cost_windows(t->kernel).clock_ps, 1000, slow() ? 100000000 : 1000000);
}

static void test_cost__maps_have_bytes(void **state)
{
	struct rig *t = *state;
	const struct cgm_map *m;
	uint64_t sum = 0;
	size_t nr;

	rig_load(t);
	need_group(t, "cgroup");
	nr = cgm_kernel_maps(t->kernel, &m);
	assert_in_range(nr, 5, 100);
	for (size_t i = 0; i < nr; i++) {
		assert_non_null(strstr(m[i].name, "cgm_"));
		sum += m[i].bytes;
	}
	assert_int_equal(sum, cgm_kernel_map_bytes(t->kernel));
	assert_true(sum > 1 << 20);
}

static const struct CMUnitTest groups[] = {
	cmocka_unit_test_setup_teardown(test_groups__off_from_the_start, setup, teardown),
	cmocka_unit_test_setup_teardown(test_groups__off_and_on_at_run_time, setup, teardown),
	cmocka_unit_test_setup_teardown(test_groups__a_pause_is_no_waiting_time, setup, teardown),
	cmocka_unit_test_setup_teardown(test_groups__what_was_under_way_is_forgotten, setup, teardown),
	cmocka_unit_test_setup_teardown(test_groups__pins_follow, setup, teardown),
	cmocka_unit_test_setup_teardown(test_cost__iterators_are_exact, setup, teardown),
	cmocka_unit_test_setup_teardown(test_walk__a_long_one_has_its_share, setup, teardown),
	cmocka_unit_test_setup_teardown(test_cost__runs_are_the_kernels_switches, setup, teardown),
	cmocka_unit_test_setup_teardown(test_cost__maps_have_bytes, setup, teardown),
};
RUN_BPF_TESTS(groups)
