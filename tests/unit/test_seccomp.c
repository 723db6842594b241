// SPDX-License-Identifier: Apache-2.0
/* The filter of system calls, each time in a child: it cannot be taken off again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "node/seccomp.h"

/* Valgrind and the sanitizers make calls of their own, between ours. */
static bool can_filter(void)
{
	const char *preload = getenv("LD_PRELOAD");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	assert_int_equal(cgm_seccomp_install(CGM_SECCOMP_ON), -ENOTSUP);
	return false;
#endif
	return !preload || !strstr(preload, "vgpreload");
}

/* The status of a child that has the filter and calls fn; its exit status is fn's result. */
static int status_of(int (*fn)(void), enum cgm_seccomp_mode mode)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		cgm_log_set_level(CGM_LOG_ERROR);
		prctl(PR_SET_DUMPABLE, 0); /* no core files of those that are meant to die */
		_exit(cgm_seccomp_install(mode) < 0 ? 99 : fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void goes_well(int (*fn)(void), enum cgm_seccomp_mode mode)
{
	int status = status_of(fn, mode);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void dies(int (*fn)(void))
{
	int status = status_of(fn, CGM_SECCOMP_ON);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

#define CHECK(condition)                 \
	do {                             \
		if (!(condition))        \
			return __LINE__ % 90 + 1; \
	} while (0)

static uint64_t denied(const char *name)
{
	struct cgm_denied_call calls[64];
	size_t nr = cgm_seccomp_denied(calls, ARRAY_SIZE(calls));

	for (size_t i = 0; i < nr; i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].nr;
	return 0;
}

/* ---- what goes on ---- */

static void *answer(void *arg)
{
	return arg;
}

static int work(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC), netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	void *result = NULL, *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	char c;

	CHECK(fd >= 0 && read(fd, &c, 1) == 1);
	CHECK(netlink >= 0);
	CHECK(page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
	CHECK(pthread_create(&thread, NULL, answer, page) == 0 && pthread_join(thread, &result) == 0 && result == page);
	CHECK(kill(getppid(), 0) == 0);
	CHECK(prctl(PR_SET_NAME, "test") == 0);
	CHECK(cgm_seccomp_denied(NULL, 0) == 0);
	return 0;
}

static void need_filter(void)
{
	if (can_filter())
		return;
	print_message("# skip: a filter of system calls in a build with sanitizers\n");
	skip();
}

static void test_install__allowed_calls_go_on(void **state)
{
	(void)state;
	need_filter();
	goes_well(work, CGM_SECCOMP_ON);
}

/* ---- what is denied ---- */

/* cppcheck-suppress constParameterCallback ; as pthread_create wants it */
static void *deny_in_thread(void *arg)
{
	int *error = arg;

	*error = syscall(SYS_acct, NULL) < 0 ? errno : 0;
	return NULL;
}

static int unlisted(void)
{
	pthread_t thread;
	int error = 0;

	errno = 0;
	CHECK(syscall(SYS_acct, NULL) == -1 && errno == ENOSYS);
	CHECK(denied("acct") == 1);
	CHECK(pthread_create(&thread, NULL, deny_in_thread, &error) == 0 && pthread_join(thread, NULL) == 0 && error == ENOSYS);
	CHECK(denied("acct") == 2 && cgm_seccomp_denied(NULL, 0) == 1);
	raise(SIGSYS); /* from a person: no call, so none is counted */
	CHECK(denied("acct") == 2 && cgm_seccomp_denied(NULL, 0) == 1);
	return 0;
}

static void test_install__unlisted_calls_fail_and_are_counted(void **state)
{
	(void)state;
	need_filter();
	goes_well(unlisted, CGM_SECCOMP_ON);
}

static int arguments(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page == MAP_FAILED && errno == EPERM && denied("mmap") == 1);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) < 0 && errno == EPERM && denied("mprotect") == 1);
	CHECK(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM && denied("socket") == 1);
	CHECK(setns(fd, 0) < 0 && errno == EPERM && denied("setns") == 1);
	CHECK(setns(fd, CLONE_NEWNS) < 0 && errno == EPERM && denied("setns") == 2);
	CHECK(kill(getppid(), SIGWINCH) < 0 && errno == EPERM && denied("kill") == 1);
	CHECK(syscall(SYS_tgkill, getppid(), getppid(), SIGWINCH) < 0 && errno == EPERM && denied("tgkill") == 1);
	CHECK(prctl(PR_SET_DUMPABLE, 1) < 0 && errno == EPERM && denied("prctl") == 1);
	CHECK(fork() < 0 && errno == EPERM && denied("clone") == 1);
	CHECK(denied("clone3") == 0); /* as if the kernel had none */
	return 0;
}

static void test_install__arguments_are_looked_at(void **state)
{
	(void)state;
	need_filter();
	goes_well(arguments, CGM_SECCOMP_ON);
}

/* ---- what ends the process ---- */

static int exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static int trace(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	return 0;
}

static int mount_something(void)
{
	mount("none", "/nowhere", "tmpfs", 0, NULL);
	return 0;
}

static int load_module(void)
{
	syscall(SYS_finit_module, -1, "", 0);
	return 0;
}

static int leave_namespaces(void)
{
	(void)unshare(CLONE_NEWUSER);
	return 0;
}

static int restart_machine(void)
{
	syscall(SYS_reboot, 0, 0, 0, NULL); /* wrong magic numbers: nothing happens in any case */
	return 0;
}

static void test_install__dangerous_calls_end_the_process(void **state)
{
	static int (*const calls[])(void) = { exec, trace, mount_something, load_module, leave_namespaces, restart_machine };

	(void)state;
	need_filter();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		dies(calls[i]);
}

/* ---- other modes ---- */

static int nothing_is_denied(void)
{
	CHECK(socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != ENOSYS);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	CHECK(cgm_seccomp_denied(NULL, 0) == 0);
	return exec(); /* true: 0 */
}

static void test_install__off_and_log(void **state)
{
	(void)state;
	goes_well(nothing_is_denied, CGM_SECCOMP_OFF);
	need_filter();
	goes_well(nothing_is_denied, CGM_SECCOMP_LOG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_install__allowed_calls_go_on),
		cmocka_unit_test(test_install__unlisted_calls_fail_and_are_counted),
		cmocka_unit_test(test_install__arguments_are_looked_at),
		cmocka_unit_test(test_install__dangerous_calls_end_the_process),
		cmocka_unit_test(test_install__off_and_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
