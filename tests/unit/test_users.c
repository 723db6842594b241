// SPDX-License-Identifier: Apache-2.0
/* Runtimes of users, whom nobody trusts, beside one of the machine; and containers of one id in two namespaces. What their drivers say is in the hands of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/names.h"
#include "identity/users.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_ID "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define SLICE "/user.slice/user-1234.slice"
#define MINE SLICE "/user@1234.service/user.slice/libpod-" OTHER_ID ".scope"

/* ---- sockets below a directory of users ---- */

static char dir[] = "/tmp/cgm-users-XXXXXX", machine_socket[64];

static void make_socket(const char *path, uid_t uid)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd); /* it is there, which is enough for those who only look */
	assert_int_equal(lchown(path, uid, (gid_t)-1), 0);
}

static void user_path(char ret[static 96], const char *user, const char *tail)
{
	snprintf(ret, 96, "%s/%s%s", dir, user, tail);
}

static void make_user(const char *user, uid_t owner)
{
	char path[96];

	user_path(path, user, "");
	assert_int_equal(mkdir(path, 0755), 0);
	user_path(path, user, "/podman");
	assert_int_equal(mkdir(path, 0755), 0);
	user_path(path, user, "/podman/podman.sock");
	make_socket(path, owner);
}

static void remove_user(const char *user)
{
	char path[96];

	user_path(path, user, "/podman/podman.sock");
	unlink(path);
	user_path(path, user, "/podman");
	rmdir(path);
	user_path(path, user, "");
	rmdir(path);
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip(); /* a socket of another user */
}

static void test_user_find__the_next_one(void **state)
{
	static const char *const users[] = { "1001", "1002", "1234", "0", "77", "88", "name", "99999999999" };
	static const uid_t taken[] = { 1002 };
	struct cgm_user u = { .uid = 1 };
	char path[96], docker[96];

	(void)state;
	need_root();
	assert_false(cgm_user_find("/nosuch", 0, NULL, 0, &u));
	assert_false(cgm_user_find(dir, 0, NULL, 0, &u));
	assert_int_equal(u.uid, 1);
	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		make_user(users[i], i < 3 ? (uid_t)strtoul(users[i], NULL, 10) : 0);
	/* 77's is root's. 88's is a link to root's. */
	user_path(path, "88", "/podman/podman.sock");
	unlink(path);
	user_path(docker, "77", "/podman/podman.sock");
	assert_int_equal(symlink(docker, path), 0);
	assert_true(cgm_user_find(dir, 0, NULL, 0, &u));
	assert_int_equal(u.uid, 1001);
	user_path(path, "1001", "/podman/podman.sock");
	assert_string_equal(u.socket, path);
	assert_true(cgm_user_find(dir, 1001, NULL, 0, &u));
	assert_int_equal(u.uid, 1002);
	assert_true(cgm_user_find(dir, 1001, taken, 1, &u));
	assert_int_equal(u.uid, 1234);
	assert_true(cgm_user_find(dir, 1234, taken, 1, &u));
	assert_int_equal(u.uid, 1001);
	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		remove_user(users[i]);
}

static void test_user_owns__paths(void **state)
{
	const struct cgm_user u = { .uid = 1234 }, nobody = { 0 };

	(void)state;
	assert_true(cgm_user_owns(&u, SLICE));
	assert_true(cgm_user_owns(&u, MINE));
	assert_false(cgm_user_owns(&u, "/user.slice/user-12345.slice/x"));
	assert_false(cgm_user_owns(&u, "/user.slice/user-1234.slice.d/x"));
	assert_false(cgm_user_owns(&u, "/docker/" ID SLICE));
	assert_false(cgm_user_owns(&u, "/docker/" ID));
	assert_false(cgm_user_owns(&nobody, "/user.slice/user-0.slice/x"));
}

/* ---- two drivers: of the machine, of users ---- */

static struct {
	const struct cgm_who *learn; /* atomic, as all here; taken by the driver */
	unsigned nr_runs, nr_wanted;
	const char *forget;
} plays[2];

static int run(struct cgm_runtime *r, char *fault)
{
	size_t i = cgm_runtime_config(r)->users_dir != NULL;
	char id[CGM_MAX_ID];

	(void)fault;
	cgm_runtime_connected(r, "1.0");
	__atomic_add_fetch(&plays[i].nr_runs, 1, __ATOMIC_RELEASE);
	while (!cgm_runtime_stopping(r)) {
		struct pollfd p = { .fd = cgm_runtime_wake_fd(r), .events = POLLIN };
		const struct cgm_who *w = __atomic_load_n(&plays[i].learn, __ATOMIC_ACQUIRE);
		const char *forget = __atomic_load_n(&plays[i].forget, __ATOMIC_ACQUIRE);

		poll(&p, 1, 2);
		while (cgm_runtime_next_wanted(r, id))
			__atomic_add_fetch(&plays[i].nr_wanted, 1, __ATOMIC_RELEASE);
		if (w) {
			cgm_runtime_learn(r, cgm_who_new(w));
			__atomic_store_n(&plays[i].learn, NULL, __ATOMIC_RELEASE);
		}
		if (forget) {
			cgm_runtime_forget_in(r, forget, "web");
			__atomic_store_n(&plays[i].forget, NULL, __ATOMIC_RELEASE);
		}
	}
	return 0;
}
static const struct cgm_runtime_driver driver = { .run = run };

/* At most 10 s. */
#define WAIT_FOR(condition)                                                  \
	do {                                                                 \
		uint64_t _end = cgm_clock_mono_ns() + 10 * CGM_NSEC_PER_SEC; \
		while (!(condition)) {                                       \
			if (cgm_clock_mono_ns() > _end)                      \
				fail_msg("not within 10 s: %s", #condition); \
			usleep(1000);                                        \
		}                                                            \
	} while (0)

static void tell(size_t i, const struct cgm_who *w)
{
	__atomic_store_n(&plays[i].learn, w, __ATOMIC_RELEASE);
	WAIT_FOR(!__atomic_load_n(&plays[i].learn, __ATOMIC_ACQUIRE));
}

static struct {
	unsigned nr;
	char path[256];
	struct cgm_who *who;
} got;

static void on_name(void *arg, const char *path, struct cgm_who *w)
{
	(void)arg;
	got.nr++;
	snprintf(got.path, sizeof(got.path), "%s", path);
	cgm_who_unref(got.who);
	got.who = cgm_who_ref(w);
}

static void assert_named(struct cgm_names *n, const char *path, const char *name)
{
	got.nr = 0;
	cgm_names_take(n, on_name, NULL);
	assert_int_equal(got.nr, 1);
	assert_string_equal(got.path, path);
	assert_string_equal(got.who->name, name);
}

static void assert_nothing(struct cgm_names *n)
{
	got.nr = 0;
	cgm_names_take(n, on_name, NULL);
	assert_int_equal(got.nr, 0);
}

static struct cgm_names *start(const char *runtime)
{
	const struct cgm_names_config c[] = {
		{ { .name = runtime, .socket = machine_socket }, &driver },
		{ { .name = "podman", .users_dir = dir }, &driver },
	};
	struct cgm_names *n;

	memset(plays, 0, sizeof(plays));
	make_socket(machine_socket, 0);
	assert_int_equal(cgm_names_new(c, ARRAY_SIZE(c), &n), 0);
	WAIT_FOR(__atomic_load_n(&plays[0].nr_runs, __ATOMIC_ACQUIRE));
	return n;
}

static void end(struct cgm_names *n)
{
	cgm_names_free(n);
	unlink(machine_socket);
	cgm_who_unref(got.who);
	got.who = NULL;
}

/* What a user's runtime says of others' containers is not heard; of the user's own, after the machine's, and of no pod. */
static void test_names__a_user_lies(void **state)
{
	static struct cgm_pair labels[] = { { "io.kubernetes.pod.name", "etcd" }, { "tier", "x" } };
	static const struct cgm_who web = { .runtime = "docker", .id = ID, .name = "web" }, evil = { .runtime = "podman", .id = ID, .name = "evil" };
	static const struct cgm_who mine = { .runtime = "podman", .id = OTHER_ID, .name = "mine", .pod = "etcd", .pod_namespace = "kube-system",
					     .pod_uid = "u", .container = "c", .labels = labels, .nr_labels = 2, .is_sandbox = true };
	static const struct cgm_who roots = { .runtime = "docker", .id = OTHER_ID, .name = "roots" };
	struct cgm_runtime_state s[CGM_MAX_RUNTIMES];
	struct cgm_names *n;

	(void)state;
	need_root();
	make_user("1234", 1234);
	n = start("docker");
	WAIT_FOR(__atomic_load_n(&plays[1].nr_runs, __ATOMIC_ACQUIRE));
	assert_int_equal(cgm_names_state(n, s), 2);
	assert_string_equal(s[1].name, "podman-1234");
	cgm_names_came(n, "/docker/" ID);
	cgm_names_came(n, "/machine.slice/libpod-" OTHER_ID ".scope");
	tell(1, &evil);
	tell(1, &mine);
	assert_nothing(n);
	assert_int_equal(plays[1].nr_wanted, 0); /* nor is it asked */
	tell(0, &web);
	assert_named(n, "/docker/" ID, "web");
	tell(1, &evil);
	assert_nothing(n);
	assert_null(cgm_names_find(n, OTHER_ID));

	cgm_names_came(n, MINE);
	WAIT_FOR(__atomic_load_n(&plays[1].nr_wanted, __ATOMIC_ACQUIRE) == 1);
	tell(1, &mine);
	assert_named(n, MINE, "mine");
	assert_null(got.who->pod);
	assert_null(got.who->pod_namespace);
	assert_null(got.who->pod_uid);
	assert_null(got.who->container);
	assert_false(got.who->is_sandbox);
	assert_int_equal(got.who->nr_labels, 1);
	assert_string_equal(got.who->labels[0].key, "tier");
	tell(1, &mine); /* nothing new */
	assert_nothing(n);
	assert_int_equal(cgm_names_state(n, s), 2);
	assert_int_equal(s[1].nr_known, 1);
	assert_null(cgm_names_find(n, OTHER_ID));

	/* A link of the user's own making that bears the id of docker's container. */
	cgm_names_came(n, SLICE "/libpod-" ID ".scope");
	assert_named(n, SLICE "/libpod-" ID ".scope", "web");
	tell(1, &evil);
	assert_nothing(n);
	/* The machine's runtime knows better. */
	cgm_names_went(n, "/machine.slice/libpod-" OTHER_ID ".scope");
	tell(0, &roots);
	assert_named(n, MINE, "roots");
	tell(1, &mine);
	assert_nothing(n);
	assert_int_equal(cgm_names_state(n, s), 2);
	assert_int_equal(s[1].nr_known, 0);
	end(n);
	remove_user("1234");
}

/* Found when it comes; until then it is no runtime. */
static void test_names__a_user_comes(void **state)
{
	struct cgm_runtime_state s[CGM_MAX_RUNTIMES];
	struct cgm_names *n;

	(void)state;
	need_root();
	n = start("docker");
	assert_int_equal(cgm_names_state(n, s), 1);
	make_user("1234", 1234);
	WAIT_FOR(__atomic_load_n(&plays[1].nr_runs, __ATOMIC_ACQUIRE));
	assert_int_equal(cgm_names_state(n, s), 2);
	end(n);
	remove_user("1234");
}

static void forget(const char *namespace)
{
	__atomic_store_n(&plays[0].forget, namespace, __ATOMIC_RELEASE);
	WAIT_FOR(!__atomic_load_n(&plays[0].forget, __ATOMIC_ACQUIRE));
}

static void test_names__one_id_in_two_namespaces(void **state)
{
	static const struct cgm_who in_a = { .runtime = "containerd", .id = "web", .namespace = "a", .name = "a's" };
	static const struct cgm_who in_b = { .runtime = "containerd", .id = "web", .namespace = "b", .name = "b's" };
	static const struct cgm_who again = { .runtime = "containerd", .id = "web", .namespace = "a", .name = "a's new" };
	struct cgm_runtime_state s[CGM_MAX_RUNTIMES];
	struct cgm_names *n;

	(void)state;
	need_root();
	n = start("containerd");
	cgm_names_came(n, "/a/web");
	tell(0, &in_a);
	assert_named(n, "/a/web", "a's");
	tell(0, &in_b);
	assert_nothing(n);
	cgm_names_came(n, "/b/web");
	assert_named(n, "/b/web", "b's");
	tell(0, &again);
	assert_named(n, "/a/web", "a's new");
	cgm_names_came(n, "/mine/web"); /* its path does not tell: the last one told of */
	assert_named(n, "/mine/web", "a's new");
	assert_int_equal(cgm_names_state(n, s), 1);
	assert_int_equal(s[0].nr_known, 2);
	forget("a");
	assert_int_equal(cgm_names_state(n, s), 1);
	assert_int_equal(s[0].nr_known, 1);
	cgm_names_went(n, "/b/web");
	cgm_names_came(n, "/b/web");
	assert_named(n, "/b/web", "b's");
	forget("c");
	forget("b");
	assert_int_equal(cgm_names_state(n, s), 1);
	assert_int_equal(s[0].nr_known, 0);
	end(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_find__the_next_one), cmocka_unit_test(test_user_owns__paths), cmocka_unit_test(test_names__a_user_lies),
		cmocka_unit_test(test_names__a_user_comes),	 cmocka_unit_test(test_names__one_id_in_two_namespaces),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	chmod(dir, 0755);
	snprintf(machine_socket, sizeof(machine_socket), "%s/machine", dir);
	cgm_log_set_level(CGM_LOG_ERROR);
	r = cmocka_run_group_tests_name("users", tests, NULL, NULL);
	rmdir(dir);
	return r;
}
