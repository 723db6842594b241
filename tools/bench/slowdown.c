// SPDX-License-Identifier: Apache-2.0
/*
 * By how much everything that is on by default slows down somebody else's work, for tools/bench/slowdown, which starts the work.
 *	slowdown pipe|unix|tcp		a ping-pong of two processes on the last CPU
 *	slowdown http PORT		an nginx that is kept busy; its stub_status says how many requests it answered
 *	slowdown disk NAME		a disk that is kept busy; /sys/block/NAME/stat says how many reads it did
 *	slowdown window			what the kernel's BPF statistics add while they are on
 * Prints "name value unit".
 *
 * What calling any program costs is the kernel's own (some 45 ns a switch where this was written), so it goes in turns without anything, with
 * empty programs at the hooks that this work passes, and with everything; each turn's ratio is to its own neighbour, so that a machine whose speed drifts does not
 * count. Told is the median of the ratios.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"

#define BEGIN_NS (10 * CGM_NSEC_PER_SEC)
#define ROUNDS 21
#define LONG_ROUNDS 61 /* where a per cent counts */

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

/* Work that goes on all the time, and how much of it was done so far. */
struct work {
	const char *name, *empty; /* the empty programs at the hooks that it passes */
	uint64_t (*done)(const struct work *w);
	unsigned window_us, rounds;
	pid_t pid; /* of a ping-pong */
	volatile uint64_t *counter; /* of a ping-pong */
	uint16_t port;
	char file[64];
};

static uint64_t done_of_counter(const struct work *w)
{
	return *w->counter;
}

/* On the last CPU; the counter of round trips is shared. */
static struct work start_ping_pong(const char *name, const char *empty, void (*open_pair)(int fds[2]))
{
	struct work e = { .name = name, .empty = empty, .done = done_of_counter, .window_us = 100000, .rounds = ROUNDS };
	int there[2], back[2], cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	char c = 0;

	e.counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (e.counter == MAP_FAILED)
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
			(*e.counter)++;
		_exit(1);
	}
	setpgid(e.pid, e.pid);
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	return e;
}

static void stop_ping_pong(struct work *e)
{
	kill(-e->pid, SIGKILL);
	waitpid(e->pid, NULL, 0);
	munmap((void *)e->counter, 4096);
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

/* "Active connections: 17 \nserver accepts handled requests\n 17 17 123456 \n…" */
static uint64_t done_of_nginx(const struct work *w)
{
	static const char request[] = "GET /status HTTP/1.0\r\n\r\n", header[] = "handled requests";
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(w->port) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buf[1024], *at;
	unsigned long long requests;
	size_t len = 0;
	ssize_t n;

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || write(fd, request, sizeof(request) - 1) < 0)
		exit(1);
	while (len < sizeof(buf) - 1 && (n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	at = strstr(buf, header);
	if (!at || sscanf(at + sizeof(header) - 1, " %*s %*s %llu", &requests) != 1) {
		fprintf(stderr, "bench: nginx does not say how many requests it answered: %s\n", buf);
		exit(1);
	}
	return requests;
}

/* The first number is that of reads completed (Documentation/block/stat.rst). */
static uint64_t done_of_disk(const struct work *w)
{
	struct cgm_str text, token;
	char buf[256];
	uint64_t reads;
	ssize_t n = cgm_read_at(AT_FDCWD, w->file, buf, sizeof(buf));

	text = (struct cgm_str){ buf, n > 0 ? (size_t)n : 0 };
	if (!cgm_next_token(&text, &token) || cgm_parse_u64(token, &reads) < 0) {
		fprintf(stderr, "bench: cannot read %s\n", w->file);
		exit(1);
	}
	return reads;
}

/* ns for each unit of work over the next window; before it the kernel gets time to free what was just closed. */
static double watch(const struct work *w)
{
	uint64_t began, done;

	usleep(120000);
	began = cgm_clock_mono_ns();
	done = w->done(w);
	usleep(w->window_us);
	done = w->done(w) - done;
	if (!done) {
		fprintf(stderr, "bench: the work of %s stands still\n", w->name);
		exit(1);
	}
	return (double)(cgm_clock_mono_ns() - began) / (double)done;
}

/* Who does the work may take a while to begin (fio lays out its jobs): only what moves can be slowed. */
static void wait_for_begin(const struct work *w)
{
	uint64_t began = w->done(w), until_ns = cgm_clock_mono_ns() + BEGIN_NS;

	while (w->done(w) == began && cgm_clock_mono_ns() < until_ns)
		usleep(20000);
}

static void measure_slowdown(const struct work *w)
{
	double base[LONG_ROUNDS], empty[LONG_ROUNDS], with[LONG_ROUNDS], over[LONG_ROUNDS];

	wait_for_begin(w);
	for (unsigned i = 0; i < w->rounds; i++) {
		struct empty_bpf *e;
		struct cgm_kernel *k;

		base[i] = watch(w);
		e = load_empty(w->empty);
		empty[i] = watch(w);
		empty_bpf__destroy(e);
		k = load(CGM_SCHED_SWITCH, NULL);
		with[i] = watch(w);
		cgm_kernel_close(k);
		over[i] = 100 * (with[i] / empty[i] - 1);
		with[i] = 100 * (with[i] / base[i] - 1);
		empty[i] = 100 * (empty[i] / base[i] - 1);
	}
	printf("%s_time %.0f ns\n", w->name, median(base, w->rounds));
	printf("%s_slowdown_by_empty_programs %.2f %%\n", w->name, median(empty, w->rounds));
	printf("%s_slowdown %.2f %%\n", w->name, median(with, w->rounds));
	printf("%s_slowdown_over_empty_programs %.2f %%\n", w->name, median(over, w->rounds));
}

/* What the kernel's statistics add while they are on: to a round trip of two switches, and to the agent at both ends of a window. */
static void measure_window(void)
{
	struct work pair = start_ping_pong("pipe", "sched_switch", open_pipe);
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
		printf("statistics_a_run_while_on %.1f ns\n", median(added, ROUNDS));
		printf("statistics_a_run_at_1_s_in_30 %.1f ns\n", median(added, ROUNDS) / 30);
		printf("statistics_window_cpu %.0f us\n", median(ends, ROUNDS));
	}
	stop_ping_pong(&pair);
	cgm_kernel_close(k);
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name, *empty;
		void (*open_pair)(int fds[2]);
	} pairs[] = {
		{ "pipe", "sched_switch", open_pipe },
		{ "unix", "sched_switch sock_send sock_recv", open_unix },
		{ "tcp", "sched_switch sock_send sock_recv", open_tcp },
	};
	struct work w = { .window_us = 200000, .rounds = LONG_ROUNDS };
	uint64_t port;

	open_trees();
	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(pairs); i++) {
		if (strcmp(argv[1], pairs[i].name) != 0)
			continue;
		w = start_ping_pong(pairs[i].name, pairs[i].empty, pairs[i].open_pair);
		measure_slowdown(&w);
		stop_ping_pong(&w);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "window") == 0) {
		measure_window();
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "http") == 0 && cgm_parse_u64(cgm_str(argv[2]), &port) == 0) {
		w.port = (uint16_t)port;
		w.empty = "sched_switch sock_send sock_recv";
		w.done = done_of_nginx;
	} else if (argc == 3 && strcmp(argv[1], "disk") == 0) {
		w.empty = "sched_switch blk_issue blk_complete";
		snprintf(w.file, sizeof(w.file), "/sys/block/%s/stat", argv[2]);
		w.done = done_of_disk;
	} else {
		fprintf(stderr, "usage: slowdown pipe|unix|tcp|window, slowdown http PORT, slowdown disk NAME\n");
		return 2;
	}
	w.name = argv[1];
	measure_slowdown(&w);
	return 0;
}
