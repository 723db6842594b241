/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tickers: one process in each of many cgroups, which wakes up once a second and works for about 20 us, so that no container is idle.
 * Reads lines "DIR DIR …" (a cgroup's directory in each hierarchy) from stdin, forks one child per line into it, and lives until
 * it is killed; its children go with it. Each child writes a dot to stdout once it is where it belongs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define WORK_NS 20000
#define SECOND_NS 1000000000L

static long long now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * (long long)SECOND_NS + t.tv_nsec;
}

/* Wake-ups are spread over the second, as those of unrelated programs are. */
static void tick_forever(unsigned number)
{
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	next.tv_nsec = (long)(number * 7919ULL * 1000003ULL % SECOND_NS);
	for (;;) {
		long long end;

		next.tv_sec++;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
		end = now_ns(CLOCK_MONOTONIC) + WORK_NS;
		while (now_ns(CLOCK_MONOTONIC) < end)
			;
	}
}

static int enter(const char *dir)
{
	char path[4096];
	int fd, ok;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ok = write(fd, "0", 1) == 1;
	close(fd);
	return ok ? 0 : -EIO;
}

/* In the child. */
static int run_child(char *line, unsigned number, pid_t parent)
{
	char *rest = line, *dir;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return 1;
	while ((dir = strsep(&rest, " \n")))
		if (*dir && enter(dir) < 0) {
			fprintf(stderr, "tickers: cannot enter %s\n", dir);
			return 1;
		}
	if (write(STDOUT_FILENO, ".", 1) != 1)
		return 1;
	tick_forever(number);
	return 0;
}

int main(void)
{
	static char line[65536];
	unsigned nr = 0;
	pid_t self = getpid();

	signal(SIGCHLD, SIG_IGN);
	setvbuf(stdin, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(run_child(line, nr, self));
		if (pid < 0) {
			perror("tickers: fork");
			return 1;
		}
		nr++;
	}
	for (;;)
		pause();
}
