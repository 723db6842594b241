// SPDX-License-Identifier: Apache-2.0
/*
 * Processes and what happens to them, against what was done: exits by how, signals by number (a handler counts them too), io_uring by
 * what was submitted.
 *
 *	/cgmbpf-PID-x	a child that makes children, or signals itself, or submits
 */
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "bpf/util.h"

#define NR_OK 5
#define NR_ERROR 4
#define NR_KILLED 3

static void end_in_all_ways(_unused_ void *arg)
{
	int status;

	for (int i = 0; i < NR_OK + NR_ERROR + NR_KILLED; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (i >= NR_OK + NR_ERROR)
				pause();
			_exit(i < NR_OK ? 0 : 3);
		}
		if (i >= NR_OK + NR_ERROR)
			kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
}

static void test_process__exits(void **state)
{
	struct rig *t = *state;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_exit");
	slot = group_with_slot(t, "exits", path, sizeof(path));
	group_run(t, path, end_in_all_ways, NULL, NULL);
	assert_int_equal(read_count(t, slot, CGM_C_EXIT_OK), NR_OK + 1); /* and the child itself */
	assert_int_equal(read_count(t, slot, CGM_C_EXIT_ERROR), NR_ERROR);
	assert_int_equal(read_count(t, slot, CGM_C_EXIT_SIGNAL), NR_KILLED);
	assert_int_equal(read_count(t, slot, CGM_C_FORKS), NR_OK + NR_ERROR + NR_KILLED);
	group_remove(t, path);
}

static volatile sig_atomic_t nr_handled;

static void on_signal(_unused_ int sig)
{
	nr_handled++;
}

static void signal_myself(void *arg)
{
	signal(SIGUSR1, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGSEGV, on_signal);
	for (int i = 0; i < 20; i++)
		raise(SIGUSR1);
	for (int i = 0; i < 7; i++)
		raise(SIGTERM);
	for (int i = 0; i < 2; i++)
		raise(SIGSEGV);
	*(int *)arg = nr_handled;
}

static void test_process__signals(void **state)
{
	struct rig *t = *state;
	int *nr = shared_page();
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_sig_sent");
	need_program(t, "cgm_sig_got");
	slot = group_with_slot(t, "signals", path, sizeof(path));
	group_run(t, path, signal_myself, nr, NULL);
	assert_int_equal(*nr, 29);
	assert_int_equal(read_count(t, slot, CGM_C_SIGNAL_OTHER), 20);
	assert_int_equal(read_count(t, slot, CGM_C_SIGNAL_TERM), 7);
	assert_int_equal(read_count(t, slot, CGM_C_SIGNAL_FAULT), 2);
	assert_int_equal(read_count(t, slot, CGM_C_SIGNAL_KILL), 0);
	assert_int_equal(read_count(t, slot, CGM_C_SIGNAL_DELIVERED), *nr);
	munmap(nr, 4096);
	group_remove(t, path);
}

/* ---- io_uring, by its system calls alone ---- */

#define NR_NOPS 100
#define NR_BAD 8

struct ring {
	int fd;
	struct io_uring_params p;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static int ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = (int)syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		return -errno;
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
	return r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqes == MAP_FAILED ? -ENOMEM : 0;
}

/* Submits one operation and waits for its result. */
static int ring_do(struct ring *r, unsigned char opcode)
{
	unsigned *tail = (unsigned *)(r->sq + r->p.sq_off.tail), mask = *(unsigned *)(r->sq + r->p.sq_off.ring_mask), index = *tail & mask;
	unsigned *head = (unsigned *)(r->cq + r->p.cq_off.head), cq_mask = *(unsigned *)(r->cq + r->p.cq_off.ring_mask);
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(r->cq + r->p.cq_off.cqes);
	int result;

	r->sqes[index] = (struct io_uring_sqe){ .opcode = opcode, .fd = -1 };
	((unsigned *)(r->sq + r->p.sq_off.array))[index] = index;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		_exit(96);
	result = cqes[*head & cq_mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static void submit(_unused_ void *arg)
{
	struct ring r;

	if (ring_open(&r) < 0)
		_exit(97);
	for (int i = 0; i < NR_NOPS; i++)
		if (ring_do(&r, IORING_OP_NOP) < 0)
			_exit(98);
	for (int i = 0; i < NR_BAD; i++)
		if (ring_do(&r, IORING_OP_READ) >= 0)
			_exit(95);
}

static void test_process__io_uring(void **state)
{
	struct rig *t = *state;
	const char *reason;
	uint32_t slot;
	char path[64];
	struct ring r;

	if (!program_runs(t, "cgm_uring_res", &reason))
		need_program(t, "cgm_uring");
	if (ring_open(&r) < 0) {
		print_message("# skip: io_uring is not to be had here\n");
		skip();
	}
	close(r.fd);
	slot = group_with_slot(t, "uring", path, sizeof(path));
	group_run(t, path, submit, NULL, NULL);
	assert_int_equal(read_count(t, slot, CGM_C_URING_OK), NR_NOPS);
	assert_int_equal(read_count(t, slot, CGM_C_URING_FAILED), NR_BAD);
	group_remove(t, path);
}

#define NR_OPEN 7

/* Twice as many sockets as files, and so on; a thread shares them, a child has its own. */
static void open_all_kinds(void *arg)
{
	volatile int *ready = arg;
	int fds[2];

	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	for (int i = 0; i < NR_OPEN; i++)
		if (open("/proc/self/stat", O_RDONLY) < 0 || open("/dev/null", O_RDWR) < 0 || socket(AF_INET, SOCK_DGRAM, 0) < 0 ||
		    socket(AF_UNIX, SOCK_STREAM, 0) < 0 || pipe(fds) < 0 || epoll_create1(0) < 0)
			_exit(97);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		*ready += 1;
		pause();
	}
	*ready += 1;
	pause();
}

/* By kind, of a process: what /proc/PID/fd says. */
static void files_of(pid_t pid, uint64_t nr[CGM_NR_FILE_KINDS])
{
	char dir[64];
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d))) {
		char target[256];
		struct stat st;
		ssize_t len = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = '\0';
		if (strncmp(target, "anon_inode:", 11) == 0)
			nr[CGM_FILE_ANONYMOUS]++;
		else if (fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			nr[S_ISSOCK(st.st_mode) ? CGM_FILE_SOCKET :
			   S_ISFIFO(st.st_mode) ? CGM_FILE_PIPE :
			   S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ? CGM_FILE_DEVICE : CGM_FILE_REGULAR]++;
	}
}

static void test_process__open_files(void **state)
{
	struct rig *t = *state;
	struct cgm_open_files f;
	volatile int *ready = shared_page();
	uint64_t wanted[CGM_NR_FILE_KINDS] = { 0 };
	uint32_t slot;
	char path[64];
	pid_t pid;

	need_program(t, "cgm_file_walk");
	slot = group_with_slot(t, "files", path, sizeof(path));
	pid = group_start(t, path, open_all_kinds, (void *)ready);
	for (int i = 0; i < 1000 && *ready < 2; i++)
		usleep(10000);
	assert_int_equal(*ready, 2);
	files_of(pid, wanted);
	for (int i = 0; i < CGM_NR_FILE_KINDS; i++)
		wanted[i] *= 2; /* the child's are the same */
	cgm_kernel_sweep(t->kernel); /* the first one looks */
	assert_true(cgm_kernel_open_files(t->kernel, slot, &f));
	for (int i = 0; i < CGM_NR_FILE_KINDS; i++) {
		print_message("# kind %d: %llu, wanted %llu\n", i, (unsigned long long)f.nr[i], (unsigned long long)wanted[i]);
		assert_int_equal(f.nr[i], wanted[i]);
		assert_true(f.nr[i] >= 2 * NR_OPEN);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	group_remove(t, path);
	munmap((void *)ready, 4096);
}

static const struct CMUnitTest process[] = {
	cmocka_unit_test_setup_teardown(test_process__exits, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_process__signals, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_process__io_uring, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_process__open_files, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(process)
