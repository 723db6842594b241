// SPDX-License-Identifier: Apache-2.0
/*
 * Bulk reading against the files, field by field, on cgroups that are kept busy and on the same ones standing still:
 *	counters	file before <= bulk <= file after
 *	everything	equal while nothing moves
 *	presence	a field is there in both or in neither
 *	user + system	equal the usage, and go back never
 * Each field counts its comparisons, and those of a value that was not zero; the test fails where it compared nothing.
 */
#include <linux/magic.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

#include "bpf/util.h"
#include "node/bulk.h"

#define NR_GROUPS 6
#define ROUNDS 30
#define TICK_NS 10000000ULL
#define MB (1 << 20)

static const struct {
	enum cgm_value id;
	enum cgm_bulk_group group;
	bool counter;
	bool moves;		   /* one of the loads below makes it not zero */
	uint64_t unit_v1, unit_v2; /* what files round down to */
} fields[] = {
	{CGM_V_CPU_USAGE_TOTAL, CGM_BULK_CPU_TIME, true, true, 1, 1000},
	{CGM_V_CPU_USAGE_USER, CGM_BULK_CPU_SPLIT, false, true, TICK_NS, 1000},
	{CGM_V_CPU_USAGE_SYSTEM, CGM_BULK_CPU_SPLIT, false, true, TICK_NS, 1000},
	{CGM_V_CPU_CFS_PERIODS, CGM_BULK_CPU_CFS, true, true, 1, 1},
	{CGM_V_CPU_CFS_THROTTLED_PERIODS, CGM_BULK_CPU_CFS, true, true, 1, 1},
	{CGM_V_CPU_CFS_THROTTLED_TIME, CGM_BULK_CPU_CFS, true, true, 1, 1000},
	{CGM_V_CPU_CFS_BURST_PERIODS, CGM_BULK_CPU_CFS, true, false, 1, 1},
	{CGM_V_CPU_CFS_BURST_TIME, CGM_BULK_CPU_CFS, true, false, 1, 1000},
	{CGM_V_MEMORY_USAGE, CGM_BULK_MEMORY_USAGE, false, true, 1, 1},
	{CGM_V_MEMORY_MAX_USAGE, CGM_BULK_MEMORY_PEAK, true, true, 1, 1},
	{CGM_V_MEMORY_FAILCNT, CGM_BULK_MEMORY_FAILCNT, true, true, 1, 1},
	{CGM_V_MEMORY_EVENTS_HIGH, CGM_BULK_MEMORY_EVENTS, true, false, 1, 1},
	{CGM_V_MEMORY_EVENTS_MAX, CGM_BULK_MEMORY_EVENTS, true, true, 1, 1},
	{CGM_V_OOM_EVENTS, CGM_BULK_MEMORY_EVENTS, true, false, 1, 1},
	{CGM_V_OOM_KILLS_OWN, CGM_BULK_MEMORY_LOCAL_EVENTS, true, false, 1, 1},
	{CGM_V_MEMORY_EVENTS_LOW, CGM_BULK_MEMORY_EVENTS, true, false, 1, 1},
	{CGM_V_MEMORY_EVENTS_OOM, CGM_BULK_MEMORY_EVENTS, true, false, 1, 1},
	{CGM_V_MEMORY_EVENTS_OOM_GROUP_KILL, CGM_BULK_MEMORY_EVENTS, true, false, 1, 1},
	{CGM_V_MEMORY_EVENTS_SOCK_THROTTLED, CGM_BULK_MEMORY_EVENTS, true, false, 1, 1},
	{CGM_V_MEMORY_CACHE, CGM_BULK_MEMORY_STAT, false, true, 1, 1},
	{CGM_V_MEMORY_RSS, CGM_BULK_MEMORY_STAT, false, true, 1, 1},
	{CGM_V_MEMORY_SWAP, CGM_BULK_MEMORY_STAT, false, false, 1, 1},
	{CGM_V_MEMORY_MAPPED_FILE, CGM_BULK_MEMORY_STAT, false, true, 1, 1},
	{CGM_V_MEMORY_ACTIVE_FILE, CGM_BULK_MEMORY_STAT, false, false, 1, 1},
	{CGM_V_MEMORY_INACTIVE_FILE, CGM_BULK_MEMORY_STAT, false, false, 1, 1},
	{CGM_V_MEMORY_FILE_DIRTY, CGM_BULK_MEMORY_STAT, false, false, 1, 1},
	{CGM_V_MEMORY_FILE_WRITEBACK, CGM_BULK_MEMORY_STAT, false, false, 1, 1},
	{CGM_V_MEMORY_PGSCAN, CGM_BULK_MEMORY_STAT, true, true, 1, 1},
	{CGM_V_MEMORY_PGSTEAL, CGM_BULK_MEMORY_STAT, true, true, 1, 1},
	{CGM_V_MEMORY_REFAULT_FILE, CGM_BULK_MEMORY_STAT, true, false, 1, 1},
	{CGM_V_MEMORY_REFAULT_ANON, CGM_BULK_MEMORY_STAT, true, false, 1, 1},
	{CGM_V_MEMORY_KERNEL, CGM_BULK_MEMORY_KERNEL, false, true, 1, 1},
	{CGM_V_MEMORY_PGFAULT, CGM_BULK_MEMORY_STAT, true, true, 1, 1},
	{CGM_V_MEMORY_PGMAJFAULT, CGM_BULK_MEMORY_STAT, true, false, 1, 1},
	{CGM_V_MEMORY_TOTAL_PGFAULT, CGM_BULK_MEMORY_STAT, true, true, 1, 1},
	{CGM_V_MEMORY_TOTAL_PGMAJFAULT, CGM_BULK_MEMORY_STAT, true, false, 1, 1},
	{CGM_V_THREADS_CURRENT, CGM_BULK_PIDS, false, true, 1, 1},
	{CGM_V_THREADS_MAX, CGM_BULK_PIDS, false, true, 1, 1},
	{CGM_V_CPU_PSI_FULL_TOTAL, CGM_BULK_PSI_CPU, true, false, 1, 1},
	{CGM_V_CPU_PSI_FULL_AVG10, CGM_BULK_PSI_CPU, false, false, 1, 1},
	{CGM_V_CPU_PSI_FULL_AVG60, CGM_BULK_PSI_CPU, false, false, 1, 1},
	{CGM_V_CPU_PSI_FULL_AVG300, CGM_BULK_PSI_CPU, false, false, 1, 1},
	{CGM_V_CPU_PSI_SOME_TOTAL, CGM_BULK_PSI_CPU, true, true, 1, 1},
	{CGM_V_CPU_PSI_SOME_AVG10, CGM_BULK_PSI_CPU, false, false, 1, 1},
	{CGM_V_CPU_PSI_SOME_AVG60, CGM_BULK_PSI_CPU, false, false, 1, 1},
	{CGM_V_CPU_PSI_SOME_AVG300, CGM_BULK_PSI_CPU, false, false, 1, 1},
	{CGM_V_MEMORY_PSI_FULL_TOTAL, CGM_BULK_PSI_MEMORY, true, false, 1, 1},
	{CGM_V_MEMORY_PSI_FULL_AVG10, CGM_BULK_PSI_MEMORY, false, false, 1, 1},
	{CGM_V_MEMORY_PSI_FULL_AVG60, CGM_BULK_PSI_MEMORY, false, false, 1, 1},
	{CGM_V_MEMORY_PSI_FULL_AVG300, CGM_BULK_PSI_MEMORY, false, false, 1, 1},
	{CGM_V_MEMORY_PSI_SOME_TOTAL, CGM_BULK_PSI_MEMORY, true, false, 1, 1},
	{CGM_V_MEMORY_PSI_SOME_AVG10, CGM_BULK_PSI_MEMORY, false, false, 1, 1},
	{CGM_V_MEMORY_PSI_SOME_AVG60, CGM_BULK_PSI_MEMORY, false, false, 1, 1},
	{CGM_V_MEMORY_PSI_SOME_AVG300, CGM_BULK_PSI_MEMORY, false, false, 1, 1},
	{CGM_V_IO_PSI_FULL_TOTAL, CGM_BULK_PSI_IO, true, false, 1, 1},
	{CGM_V_IO_PSI_FULL_AVG10, CGM_BULK_PSI_IO, false, false, 1, 1},
	{CGM_V_IO_PSI_FULL_AVG60, CGM_BULK_PSI_IO, false, false, 1, 1},
	{CGM_V_IO_PSI_FULL_AVG300, CGM_BULK_PSI_IO, false, false, 1, 1},
	{CGM_V_IO_PSI_SOME_TOTAL, CGM_BULK_PSI_IO, true, false, 1, 1},
	{CGM_V_IO_PSI_SOME_AVG10, CGM_BULK_PSI_IO, false, false, 1, 1},
	{CGM_V_IO_PSI_SOME_AVG60, CGM_BULK_PSI_IO, false, false, 1, 1},
	{CGM_V_IO_PSI_SOME_AVG300, CGM_BULK_PSI_IO, false, false, 1, 1},
	{CGM_V_IRQ_PSI_FULL_TOTAL, CGM_BULK_PSI_IRQ, true, false, 1, 1},
};

/* On v2 some values come from another file than on v1. */
static enum cgm_bulk_group group_of(const struct rig *t, size_t f)
{
	if (!t->config.stat.memory_v2)
		return fields[f].group;
	switch (fields[f].id) {
	case CGM_V_MEMORY_FAILCNT:
		return CGM_BULK_MEMORY_LOCAL_EVENTS;
	case CGM_V_MEMORY_KERNEL:
		return CGM_BULK_MEMORY_STAT;
	case CGM_V_MEMORY_SWAP:
		return CGM_BULK_MEMORY_SWAP;
	default:
		return fields[f].group;
	}
}

struct group {
	char name[64], path[80];
	pid_t pid;
	struct cgm_reader *reader;
	struct cgm_stat_ref ref; /* kept, as the agent does */
	struct cgm_sample before, after;
	struct cgm_bulk bulk;
	uint64_t last_user, last_system;
};

struct counts {
	unsigned compared, not_zero, brackets, unsure;
} counts[ARRAY_SIZE(fields)];
static unsigned cpus_compared, splits_compared;

/* ---- cgroups in every hierarchy that is read ---- */

static const enum cgm_controller controllers[] = {CGM_CTRL_CPU, CGM_CTRL_CPUACCT, CGM_CTRL_MEMORY, CGM_CTRL_PIDS, CGM_CTRL_UNIFIED};

static void write_file(int dir_fd, const char *dir, const char *name, const char *text)
{
	char path[160];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		print_message("# cannot write %s: %s\n", path, strerror(errno));
}

/* Controllers that share a hierarchy share a directory. */
static void make_dirs(struct rig *t, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		int dir_fd = t->trees.h[controllers[i]].dir_fd;

		if (dir_fd >= 0 && mkdirat(dir_fd, name, 0755) < 0)
			assert_int_equal(errno, EEXIST);
	}
}

static void remove_dirs(struct rig *t, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (t->trees.h[controllers[i]].dir_fd >= 0)
			remove_in(t->trees.h[controllers[i]].dir_fd, name, NULL);
}

static void set_limit(
	struct rig *t, const char *name, enum cgm_controller c, const char *v1, const char *v1_text, const char *v2, const char *v2_text)
{
	if (t->trees.h[c].dir_fd >= 0)
		write_file(t->trees.h[c].dir_fd, name, v1, v1_text);
	else
		write_file(t->trees.h[CGM_CTRL_UNIFIED].dir_fd, name, v2, v2_text);
}

/* ---- loads ---- */

static void load_user(void)
{
	for (;;)
		burn_ns(1000000);
}

static void load_system(void)
{
	char buf[65536];
	int fd = open("/dev/zero", O_RDONLY);

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

static void load_anon(void)
{
	for (size_t mb = 1;; mb = mb % 12 + 1) {
		char *p = mmap(NULL, mb * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t i = 0; i < mb * MB; i += 4096)
			p[i] = 1;
		usleep(5000);
		munmap(p, mb * MB);
	}
}

static int scratch_file(size_t mb)
{
	char path[64], buf[65536];
	int fd;

	snprintf(path, sizeof(path), "/tmp/cgmbpf-stat-%d", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unlink(path);
	memset(buf, 0x5a, sizeof(buf));
	for (size_t i = 0; fd >= 0 && i < mb * MB / sizeof(buf); i++)
		if (write(fd, buf, sizeof(buf)) < 0)
			_exit(96);
	return fd;
}

/* A different number of pages in the cache, mapped, and dirty: lines with equal values cannot be told apart. */
static void load_file(void)
{
	int fd = scratch_file(6);
	volatile char *p = mmap(NULL, 5 * MB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char sum = 0;

	fsync(fd);
	for (unsigned n = 1; p != MAP_FAILED; n++) {
		for (size_t i = 0; i < 5 * MB; i += 4096)
			sum = (char)(sum + p[i]);
		for (size_t i = 0; i < (n % 3 + 1) * MB; i += 4096)
			p[i] = (char)(sum + (char)n);
		usleep(20000);
	}
}

/* Reads every file of a folder. */
static void read_folder(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	static char buf[65536];
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_close_ int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
			;
	}
}

/* Beyond its limit again and again: the limit is hit, pages are reclaimed and come back. A file in memory would be no page to reclaim. */
static void load_limit(void)
{
	static char buf[65536];
	struct statfs fs;
	int fd;

	while (statfs("/tmp", &fs) < 0 || fs.f_type == TMPFS_MAGIC || fs.f_type == OVERLAYFS_SUPER_MAGIC)
		read_folder("/usr/bin");
	fd = scratch_file(24);
	for (;;)
		for (off_t at = 0; at < 24 * MB; at += (off_t)sizeof(buf))
			if (pread(fd, buf, sizeof(buf), at) < 0)
				_exit(96);
}

static void load_forks(void)
{
	for (int i = 0; i < 5; i++)
		if (fork() == 0)
			for (;;)
				pause();
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void (*const loads[NR_GROUPS])(void) = {load_user, load_system, load_anon, load_file, load_limit, load_forks};

static void start_load(struct rig *t, struct group *g, void (*load)(void))
{
	g->pid = fork();
	assert_true(g->pid >= 0);
	if (g->pid) {
		setpgid(g->pid, g->pid);
		return;
	}
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails half-way leaves nobody running */
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (t->trees.h[controllers[i]].dir_fd >= 0)
			join_in(t->trees.h[controllers[i]].dir_fd, g->name, NULL);
	load();
	_exit(0);
}

/* ---- setup ---- */

static int stat_setup(void **state)
{
	struct rig *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	rig_open(t);
	if (t->trees.mode == CGM_CGROUP_V2)
		write_file(t->trees.h[CGM_CTRL_UNIFIED].dir_fd, ".", "cgroup.subtree_control", "+cpu +memory +pids");
	cgm_bulk_setup(&t->trees, 0, &t->config.stat);
	rig_load(t);
	cgm_reader_set_slow_ns(0);
	*state = t;
	return 0;
}

static int stat_teardown(void **state)
{
	int memory_fd = ((struct rig *)*state)->config.stat.memory_fd;

	rig_teardown(state);
	if (memory_fd >= 0)
		close(memory_fd);
	return 0;
}

static void need_stat(struct rig *t)
{
	if (cgm_kernel_has(t->kernel, "stat"))
		return;
	print_message("# skip: no cgroup iterator on this kernel\n");
	skip();
}

static void group_open(struct rig *t, struct group *g, const char *name)
{
	memset(g, 0, sizeof(*g));
	group_path(g->name, sizeof(g->name), name);
	snprintf(g->path, sizeof(g->path), "/%s", g->name);
	make_dirs(t, g->name);
	assert_int_equal(cgm_reader_open(&t->trees, g->path, &g->reader), 0);
	cgm_bulk_ids(&t->trees, g->reader, &g->ref);
}

static void group_close(struct rig *t, struct group *g)
{
	if (g->pid > 0) {
		kill(-g->pid, SIGKILL);
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
	}
	cgm_reader_close(g->reader);
	cgm_sample_done(&g->before);
	cgm_sample_done(&g->after);
	remove_dirs(t, g->name);
}

static void read_files(struct group *g, struct cgm_sample *s)
{
	cgm_sample_reset(s);
	assert_int_equal(cgm_reader_sample(g->reader, false, s), 0);
}

/* ---- comparisons ---- */

static void compare(const struct rig *t, const struct group *g, size_t f, bool still)
{
	uint64_t unit = t->config.stat.memory_v2 ? fields[f].unit_v2 : fields[f].unit_v1;
	uint64_t before = g->before.v[fields[f].id], after = g->after.v[fields[f].id], bulk = g->bulk.v[fields[f].id] / unit * unit;
	enum cgm_bulk_group group = group_of(t, f);
	bool here = g->bulk.have[group][fields[f].id / 64] >> (fields[f].id % 64) & 1, there = cgm_sample_has(&g->after, fields[f].id);

	if (!(g->bulk.groups >> group & 1)) {
		counts[f].unsure++;
		return;
	}
	if (here != there)
		fail_msg("value %d of %s: %s in bulk, %s in files", (int)fields[f].id, g->name, here ? "there" : "missing",
			there ? "there" : "missing");
	if (!here)
		return;
	if (still ? before == after && bulk != before : fields[f].counter && (bulk < before || bulk > after))
		fail_msg("value %d of %s (%s): files %llu and %llu, in bulk %llu", (int)fields[f].id, g->name, still ? "still" : "busy",
			(unsigned long long)before, (unsigned long long)after, (unsigned long long)bulk);
	counts[f].brackets += !still && fields[f].counter;
	if (still && before != after)
		return;
	counts[f].compared += still;
	counts[f].not_zero += bulk != 0 && (still || fields[f].counter);
}

static void compare_cpus(const struct group *g)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < g->bulk.nr_cpus; i++)
		sum += g->bulk.cpu_ns[i];
	if (!g->bulk.nr_cpus)
		return;
	assert_int_equal(sum, g->bulk.v[CGM_V_CPU_USAGE_TOTAL]);
	for (size_t i = 0; i < g->before.nr_cpus && i < g->bulk.nr_cpus; i++)
		assert_in_range(g->bulk.cpu_ns[i], g->before.cpu_ns[i], g->after.cpu_ns[i]);
	cpus_compared++;
}

/* The caller's memory of what was shown holds over the rounds. */
static void check_split(struct rig *t, struct group *g)
{
	struct cgm_bulk b;
	uint64_t user, sys;

	cgm_kernel_stat(t->kernel, &g->ref, &b);
	if (!(b.groups >> CGM_BULK_CPU_SPLIT & 1))
		return;
	user = b.v[CGM_V_CPU_USAGE_USER];
	sys = b.v[CGM_V_CPU_USAGE_SYSTEM];
	assert_int_equal(user + sys, b.v[CGM_V_CPU_USAGE_TOTAL]);
	assert_true(user >= g->last_user && sys >= g->last_system);
	g->last_user = user;
	g->last_system = sys;
	splits_compared++;
}

static void one_round(struct rig *t, struct group *g, bool still)
{
	struct cgm_stat_ref fresh = {0}; /* the split begins at what the kernel has shown last, as the file does */

	read_files(g, &g->before);
	assert_int_equal(cgm_kernel_stat_sweep(t->kernel), 0);
	cgm_bulk_ids(&t->trees, g->reader, &fresh);
	cgm_kernel_stat(t->kernel, &fresh, &g->bulk);
	read_files(g, &g->after);
	for (size_t f = 0; f < ARRAY_SIZE(fields); f++)
		if (still || fields[f].counter)
			compare(t, g, f, still);
	compare_cpus(g);
	check_split(t, g);
}

struct read_arg {
	struct cgm_reader *reader;
	char buf[16384];
};

static int read_memory_stat(void *arg, struct cgm_str *ret)
{
	struct read_arg *a = arg;

	return cgm_reader_memory_stat(a->reader, a->buf, sizeof(a->buf), ret);
}

/*
 * On v1, kernels before 6.2 keep no sums of the events of a cgroup alone: a line of memory.stat then equals nothing in their arrays, and the
 * whole file is read, which is said once. The virtual machines' v1 is such a kernel; anywhere else it is an error.
 */
static bool given_up;

static void check_learned(const struct rig *t, int r)
{
	given_up |= r < 0;
	if (r < 0)
		assert_true(slow() && !t->config.stat.memory_v2);
}

static void learn(struct rig *t, struct group *groups)
{
	for (int i = 0; i < 4 * NR_GROUPS; i++) {
		struct group *g = &groups[i % NR_GROUPS];
		struct read_arg a = {.reader = g->reader};

		check_learned(t, cgm_kernel_stat_learn(t->kernel, &g->ref, read_memory_stat, &a));
	}
	assert_int_equal(cgm_kernel_stat_sweep(t->kernel), 0);
}

static void set_running(struct group *groups, bool run)
{
	for (int i = 0; i < NR_GROUPS; i++)
		kill(-groups[i].pid, run ? SIGCONT : SIGSTOP);
	usleep(slow() ? 400000 : 80000);
}

/* The kernel keeps some counts to itself until enough have come together, or two seconds have passed. */
static void all_rounds(struct rig *t, struct group *groups)
{
	for (int phase = 0; phase < 3; phase++) {
		set_running(groups, true);
		for (int i = 0; i < ROUNDS; i++)
			for (int g = 0; g < NR_GROUPS; g++)
				one_round(t, &groups[g], false);
		set_running(groups, false);
		if (phase < 2)
			learn(t, groups);
		for (int i = 0; i < 6; i++) {
			for (int g = 0; g < NR_GROUPS; g++)
				one_round(t, &groups[g], true);
			usleep(50000);
		}
	}
}

static bool wanted(const struct rig *t, size_t f)
{
	bool v2 = t->config.stat.memory_v2;

	if (given_up && group_of(t, f) == CGM_BULK_MEMORY_STAT)
		return false;
	if (group_of(t, f) >= CGM_BULK_PSI_CPU && access("/proc/pressure", F_OK) < 0)
		return false; /* no CONFIG_PSI, or switched off */
	if (group_of(t, f) >= CGM_BULK_PSI_CPU && t->trees.h[CGM_CTRL_UNIFIED].dir_fd < 0)
		return false;
	switch (fields[f].id) {
	case CGM_V_MEMORY_EVENTS_SOCK_THROTTLED: /* of the newest kernels */
	case CGM_V_IRQ_PSI_FULL_TOTAL: /* CONFIG_IRQ_TIME_ACCOUNTING */
		return counts[f].not_zero > 0;
	case CGM_V_MEMORY_EVENTS_LOW:
	case CGM_V_MEMORY_EVENTS_HIGH:
	case CGM_V_MEMORY_EVENTS_MAX:
	case CGM_V_MEMORY_EVENTS_OOM:
	case CGM_V_MEMORY_EVENTS_OOM_GROUP_KILL:
	case CGM_V_MEMORY_PGSCAN:
	case CGM_V_MEMORY_PGSTEAL:
	case CGM_V_OOM_KILLS_OWN:
		return v2;
	default:
		return true;
	}
}

static void test_stat__files(void **state)
{
	static const char *const names[NR_GROUPS] = {"user", "system", "anon", "file", "limit", "forks"};
	struct rig *t = *state;
	struct group groups[NR_GROUPS];

	need_stat(t);
	for (int i = 0; i < NR_GROUPS; i++) {
		group_open(t, &groups[i], names[i]);
		set_limit(t, groups[i].name, CGM_CTRL_PIDS, "pids.max", "64", "pids.max", "64");
	}
	set_limit(t, groups[0].name, CGM_CTRL_CPU, "cpu.cfs_quota_us", "2000", "cpu.max", "2000 100000");
	set_limit(t, groups[4].name, CGM_CTRL_MEMORY, "memory.limit_in_bytes", "12582912", "memory.max", "12582912");
	for (int i = 0; i < NR_GROUPS; i++)
		start_load(t, &groups[i], loads[i]);
	usleep(slow() ? 3000000 : 500000);
	assert_int_equal(cgm_kernel_stat_sweep(t->kernel), 0);
	all_rounds(t, groups);
	for (int i = 0; i < NR_GROUPS; i++)
		group_close(t, &groups[i]);
	for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
		print_message("# value %2d: %3u equal, %3u bracketed, %3u not zero, %3u left to the file\n", (int)fields[f].id,
			counts[f].compared, counts[f].brackets, counts[f].not_zero, counts[f].unsure);
		if (wanted(t, f) &&
			(!counts[f].compared || (fields[f].counter && !counts[f].brackets) || (fields[f].moves && !counts[f].not_zero)))
			fail_msg("nothing was compared of value %d", (int)fields[f].id);
	}
	print_message("# per CPU: %u, user and system: %u\n", cpus_compared, splits_compared);
	assert_true(splits_compared > 0);
	assert_true(cpus_compared > 0 || t->config.stat.time_v2);
}

/* More cgroups than there was room for, and all of them found; none of them when they are gone. */
static void test_stat__grows(void **state)
{
	enum { NR = 300 };
	struct rig *t = *state;
	struct cgm_stat_ref refs[NR];
	struct cgm_reader *r;
	struct cgm_bulk b;
	char name[64], path[80];

	need_stat(t);
	memset(refs, 0, sizeof(refs));
	for (int turn = 0; turn < 2; turn++) {
		for (int i = 0; i < NR; i++) {
			snprintf(name, sizeof(name), "cgmbpf-%d-n%d", (int)getpid(), i);
			if (turn) {
				remove_dirs(t, name);
				continue;
			}
			make_dirs(t, name);
			snprintf(path, sizeof(path), "/%s", name);
			assert_int_equal(cgm_reader_open(&t->trees, path, &r), 0);
			cgm_bulk_ids(&t->trees, r, &refs[i]);
			cgm_reader_close(r);
		}
		assert_int_equal(cgm_kernel_stat_sweep(t->kernel), 0);
		for (int i = 0; i < NR; i++) {
			cgm_kernel_stat(t->kernel, &refs[i], &b);
			assert_int_equal(b.groups >> CGM_BULK_MEMORY_USAGE & 1, !turn);
			assert_int_equal(b.groups >> CGM_BULK_PIDS & 1, !turn);
		}
	}
}

/* What came in bulk is not read from files; what did not is. */
static void test_stat__spares_files(void **state)
{
	struct rig *t = *state;
	struct group g;
	uint64_t without, with;

	need_stat(t);
	group_open(t, &g, "spare");
	start_load(t, &g, load_anon);
	usleep(200000);
	read_files(&g, &g.before);
	without = cgm_reader_nr_reads();
	read_files(&g, &g.before);
	without = cgm_reader_nr_reads() - without;
	for (int i = 0; i < 50; i++) {
		struct read_arg a = {.reader = g.reader};

		assert_int_equal(cgm_kernel_stat_sweep(t->kernel), 0);
		check_learned(t, cgm_kernel_stat_learn(t->kernel, &g.ref, read_memory_stat, &a));
	}
	cgm_kernel_stat(t->kernel, &g.ref, &g.bulk);
	with = cgm_reader_nr_reads();
	cgm_sample_reset(&g.after);
	assert_int_equal(cgm_reader_sample_bulk(g.reader, &g.bulk, false, &g.after), 0);
	with = cgm_reader_nr_reads() - with;
	print_message("# %u reads without, %u with\n", (unsigned)without, (unsigned)with);
	/* Pressure, NUMA statistics, and memory.stat while a line of it is not known. */
	assert_true(without >= 8 && with <= (given_up ? 6 : 5));
	g.bulk.groups = 0;
	with = cgm_reader_nr_reads();
	assert_int_equal(cgm_reader_sample_bulk(g.reader, &g.bulk, false, &g.after), 0);
	assert_in_range(cgm_reader_nr_reads() - with, without - 1, without); /* NUMA statistics are not that old yet */
	group_close(t, &g);
}

static const struct CMUnitTest stat_tests[] = {
	cmocka_unit_test_setup_teardown(test_stat__files, stat_setup, stat_teardown),
	cmocka_unit_test_setup_teardown(test_stat__grows, stat_setup, stat_teardown),
	cmocka_unit_test_setup_teardown(test_stat__spares_files, stat_setup, stat_teardown),
};
RUN_BPF_TESTS(stat_tests)
