// SPDX-License-Identifier: Apache-2.0
/* Runtimes that are made up here: what their driver does at which moment is in the hands of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/names.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_ID "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define PATIENCE_MSEC 5000
#define UID "7b2f5c5e-98a2-4a6b-9f0e-3d1c2b4a5968"

/* What the driver is to do next; it takes one order after the other. */
enum order { NOTHING, LEARN, SANDBOX, FORGET, LISTED, FAIL, ANSWER_WANTED };

static struct {
	pthread_mutex_t lock;
	enum order order;
	char id[CGM_MAX_ID], name[32], wanted[CGM_MAX_ID];
	unsigned nr_runs, nr_wanted;
} play = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct cgm_who *who(const struct cgm_runtime *r, const char *id, const char *name)
{
	return cgm_who_new(&(struct cgm_who){ .runtime = cgm_runtime_config(r)->name, .id = id, .name = name });
}

static void take_wanted(struct cgm_runtime *r, bool answer)
{
	char id[CGM_MAX_ID];

	while (cgm_runtime_next_wanted(r, id)) {
		pthread_mutex_lock(&play.lock);
		play.nr_wanted++;
		memcpy(play.wanted, id, sizeof(id));
		pthread_mutex_unlock(&play.lock);
		if (answer)
			cgm_runtime_learn(r, who(r, id, "asked"));
	}
}

static int run(struct cgm_runtime *r, char *fault)
{
	bool answers = false;

	pthread_mutex_lock(&play.lock);
	play.nr_runs++;
	pthread_mutex_unlock(&play.lock);
	cgm_runtime_connected(r, "1.0");
	while (!cgm_runtime_stopping(r)) {
		struct pollfd p = { .fd = cgm_runtime_wake_fd(r), .events = POLLIN };
		enum order order;

		poll(&p, 1, 5);
		take_wanted(r, answers);
		pthread_mutex_lock(&play.lock);
		order = play.order;
		if (order == LEARN)
			cgm_runtime_learn(r, who(r, play.id, play.name));
		else if (order == SANDBOX)
			cgm_runtime_learn(r, cgm_who_new(&(struct cgm_who){ .runtime = "containerd", .id = play.id, .name = play.name, .is_sandbox = true,
									    .pod_uid = UID, .created_ns = strcmp(play.id, OTHER_ID) == 0 ? 2 : 1 }));
		else if (order == FORGET)
			cgm_runtime_forget(r, play.id);
		else if (order == LISTED)
			cgm_runtime_listed(r);
		else if (order == ANSWER_WANTED)
			answers = true;
		play.order = NOTHING;
		pthread_mutex_unlock(&play.lock);
		if (order == FAIL) {
			snprintf(fault, CGM_RUNTIME_FAULT, "it broke");
			return -EIO;
		}
	}
	return 0;
}
static const struct cgm_runtime_driver driver = { .run = run };

static void give(enum order order, const char *id, const char *name)
{
	pthread_mutex_lock(&play.lock);
	snprintf(play.id, sizeof(play.id), "%s", id);
	snprintf(play.name, sizeof(play.name), "%s", name);
	play.order = order;
	pthread_mutex_unlock(&play.lock);
	for (int i = 0; i < PATIENCE_MSEC; i++) {
		bool done;

		pthread_mutex_lock(&play.lock);
		done = play.order == NOTHING;
		pthread_mutex_unlock(&play.lock);
		if (done)
			return;
		usleep(1000);
	}
	fail_msg("the driver does not run");
}

/* ---- what the sampler gets ---- */

static struct {
	unsigned nr;
	char path[256], name[32];
} got;

static void on_name(void *arg, const char *path, struct cgm_who *w)
{
	(void)arg;
	got.nr++;
	snprintf(got.path, sizeof(got.path), "%s", path);
	snprintf(got.name, sizeof(got.name), "%s", w->name);
}

static void take_until(struct cgm_names *n, unsigned nr)
{
	for (int i = 0; i < PATIENCE_MSEC && got.nr < nr; i++) {
		cgm_names_take(n, on_name, NULL);
		usleep(1000);
	}
	assert_int_equal(got.nr, nr);
}

static void take_nothing(struct cgm_names *n)
{
	unsigned before = got.nr;

	for (int i = 0; i < 20; i++) {
		cgm_names_take(n, on_name, NULL);
		usleep(1000);
	}
	assert_int_equal(got.nr, before);
}

/* ---- a socket, so that the runtime is there ---- */

static char dir[] = "/tmp/cgm-names-XXXXXX", socket_path[64];
static int listen_fd = -1;

static void make_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", socket_path);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void remove_socket(void)
{
	if (listen_fd >= 0)
		close(listen_fd);
	listen_fd = -1;
	unlink(socket_path);
}

static int setup(void **state)
{
	struct cgm_names_config c[] = { { { .name = "docker", .socket = socket_path }, &driver }, { { .name = "podman", .socket = "" }, &driver } };
	struct cgm_names *n;

	memset(&got, 0, sizeof(got));
	play.nr_runs = play.nr_wanted = 0;
	play.order = NOTHING;
	make_socket();
	assert_int_equal(cgm_names_new(c, 2, &n), 0);
	*state = n;
	return 0;
}

static int teardown(void **state)
{
	cgm_names_free(*state);
	remove_socket();
	return 0;
}

static struct cgm_runtime_state state_of(struct cgm_names *n)
{
	struct cgm_runtime_state s[CGM_MAX_RUNTIMES];

	assert_int_equal(cgm_names_state(n, s), 1); /* podman has no socket's name */
	return s[0];
}

static void test_names__cgroup_first(void **state)
{
	cgm_names_came(*state, "/docker/" ID);
	take_nothing(*state);
	give(LEARN, ID, "web");
	take_until(*state, 1);
	assert_string_equal(got.path, "/docker/" ID);
	assert_string_equal(got.name, "web");
	take_nothing(*state);
	give(LEARN, ID, "web"); /* nothing new */
	take_nothing(*state);
	give(LEARN, ID, "renamed");
	take_until(*state, 2);
	assert_string_equal(got.name, "renamed");
}

static void test_names__runtime_first(void **state)
{
	struct cgm_who *w;

	give(LEARN, ID, "web");
	take_nothing(*state);
	cgm_names_came(*state, "/docker/" ID);
	cgm_names_came(*state, "/docker/" ID);
	take_until(*state, 1);
	w = cgm_names_find(*state, ID);
	assert_string_equal(w->name, "web");
	cgm_who_unref(w);
	assert_null(cgm_names_find(*state, OTHER_ID));
}

/* Stopped and started again: another cgroup by the same name. */
static void test_names__cgroup_comes_again(void **state)
{
	give(LEARN, ID, "web");
	cgm_names_came(*state, "/docker/" ID);
	take_until(*state, 1);
	cgm_names_went(*state, "/docker/" ID);
	cgm_names_went(*state, "/docker/" ID);
	give(LEARN, ID, "renamed");
	take_nothing(*state);
	cgm_names_came(*state, "/docker/" ID);
	take_until(*state, 2);
	assert_string_equal(got.name, "renamed");
	/* Gone before anybody took it. */
	give(LEARN, ID, "again");
	cgm_names_went(*state, "/docker/" ID);
	take_nothing(*state);
}

/* The same id at two places; the first one goes. */
static void test_names__two_places(void **state)
{
	cgm_names_came(*state, "/docker/" ID);
	cgm_names_came(*state, "/system.slice/docker-" ID ".scope");
	give(LEARN, ID, "web");
	take_until(*state, 2);
	cgm_names_went(*state, "/system.slice/docker-" ID ".scope");
	give(LEARN, ID, "renamed");
	take_until(*state, 3);
	assert_string_equal(got.path, "/docker/" ID);
	cgm_names_went(*state, "/docker/" ID);
	give(LEARN, ID, "again");
	take_nothing(*state);
}

static void test_names__wanted(void **state)
{
	give(ANSWER_WANTED, "", "");
	cgm_names_came(*state, "/docker/" ID);
	take_until(*state, 1);
	assert_string_equal(got.name, "asked");
	assert_string_equal(play.wanted, ID);
	assert_int_equal(play.nr_wanted, 1);
	/* Not asked for: no container, another runtime's. */
	cgm_names_came(*state, "/system.slice/nginx.service");
	cgm_names_came(*state, "/a/b/c");
	cgm_names_came(*state, "/default/web1");
	cgm_names_came(*state, "/machine.slice/libpod-" OTHER_ID ".scope");
	take_nothing(*state);
	assert_int_equal(play.nr_wanted, 1);
}

/* A runtime that does not know it yet is asked again. */
static void test_names__asked_again(void **state)
{
	unsigned nr = 0;

	give(LISTED, "", "");
	cgm_names_came(*state, "/docker/" ID);
	for (int i = 0; i < PATIENCE_MSEC && nr < 3; i++) {
		cgm_names_take(*state, on_name, NULL);
		usleep(1000);
		pthread_mutex_lock(&play.lock);
		nr = play.nr_wanted;
		pthread_mutex_unlock(&play.lock);
	}
	assert_int_equal(nr, 3);
	give(LEARN, ID, "web");
	take_until(*state, 1);
}

static void test_names__forgotten(void **state)
{
	give(LEARN, ID, "web");
	give(LEARN, OTHER_ID, "db");
	assert_int_equal(state_of(*state).nr_known, 2);
	give(FORGET, ID, "");
	assert_int_equal(state_of(*state).nr_known, 1);
	/* A listing that tells of one alone. */
	give(LISTED, "", "");
	give(LEARN, ID, "web");
	give(LISTED, "", "");
	assert_int_equal(state_of(*state).nr_known, 1);
	assert_null(cgm_names_find(*state, OTHER_ID));
}

static void wait_for_runs(unsigned nr)
{
	unsigned now = 0;

	for (int i = 0; i < PATIENCE_MSEC && now < nr; i++) {
		usleep(1000);
		pthread_mutex_lock(&play.lock);
		now = play.nr_runs;
		pthread_mutex_unlock(&play.lock);
	}
	assert_true(now >= nr);
}

static void test_names__runtime_breaks_and_comes_again(void **state)
{
	give(LEARN, ID, "web");
	cgm_names_came(*state, "/docker/" ID);
	take_until(*state, 1);
	give(FAIL, "", "");
	for (int i = 0; i < 1000 && state_of(*state).connected; i++)
		usleep(1000);
	assert_string_equal(state_of(*state).fault, "it broke");
	wait_for_runs(2);
	give(LEARN, ID, "renamed");
	take_until(*state, 2);
	assert_true(state_of(*state).connected);
	assert_int_equal(state_of(*state).nr_connects, 2);
	/* Its socket goes and comes: found without a hint. */
	give(FAIL, "", "");
	remove_socket();
	for (int i = 0; i < PATIENCE_MSEC && strcmp(state_of(*state).fault, "there is no socket") != 0; i++)
		usleep(1000);
	assert_string_equal(state_of(*state).fault, "there is no socket");
	make_socket();
	wait_for_runs(3);
}

static void test_names__end_is_prompt(void **state)
{
	uint64_t began;

	give(FAIL, "", "");
	remove_socket();
	began = cgm_clock_mono_ns();
	teardown(state);
	assert_true(cgm_clock_mono_ns() - began < CGM_NSEC_PER_SEC / 2);
	*state = NULL;
}

/* A pod's own cgroup bears no container's id: its sandbox names it. */
static void test_names__pod(void **state)
{
	cgm_names_came(*state, "/kubepods/burstable/pod" UID);
	cgm_names_came(*state, "/kubepods/burstable/pod" UID "/" ID);
	give(SANDBOX, ID, "first");
	take_until(*state, 2);
	give(SANDBOX, OTHER_ID, "second"); /* made anew */
	take_until(*state, 3);
	assert_string_equal(got.path, "/kubepods/burstable/pod" UID);
	assert_string_equal(got.name, "second");
	give(SANDBOX, ID, "old");
	take_until(*state, 4);
	assert_string_equal(got.path, "/kubepods/burstable/pod" UID "/" ID); /* and not the pod */
	cgm_names_went(*state, "/kubepods/burstable/pod" UID);
	cgm_names_came(*state, "/kubepods/burstable/pod" UID);
	take_until(*state, 5);
	assert_string_equal(got.name, "second");
	give(FORGET, OTHER_ID, "");
	cgm_names_went(*state, "/kubepods/burstable/pod" UID);
	cgm_names_came(*state, "/kubepods/burstable/pod" UID);
	take_nothing(*state);
}

static void test_names__null(void **state)
{
	struct cgm_runtime_state s[CGM_MAX_RUNTIMES];

	(void)state;
	cgm_names_came(NULL, "/docker/" ID);
	cgm_names_went(NULL, "/docker/" ID);
	cgm_names_take(NULL, on_name, NULL);
	assert_null(cgm_names_find(NULL, ID));
	assert_int_equal(cgm_names_state(NULL, s), 0);
	cgm_names_free(NULL);
}

/* Whatever allocation fails when a cgroup comes: it may go without a name then, and the next time it has one. */
static void test_names__out_of_memory(void **state)
{
	for (unsigned at = 1; at < 9; at++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", at);
		cgm_mem_fail_at(at);
		cgm_names_came(*state, "/docker/" ID);
		cgm_mem_fail_at(0);
		cgm_names_came(*state, "/docker/" ID);
		give(LEARN, ID, name);
		take_until(*state, at);
		assert_string_equal(got.name, name);
		cgm_names_went(*state, "/docker/" ID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names__cgroup_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__runtime_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__cgroup_comes_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__two_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__asked_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__runtime_breaks_and_comes_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__end_is_prompt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names__pod, setup, teardown),
		cmocka_unit_test(test_names__null),
		cmocka_unit_test_setup_teardown(test_names__out_of_memory, setup, teardown),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	cgm_log_set_level(CGM_LOG_ERROR);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return r;
}
