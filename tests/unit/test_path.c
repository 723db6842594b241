// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "identity/path.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_ID "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "7b2f5c5e-98a2-4a6b-9f0e-3d1c2b4a5968"
#define UID_ "7b2f5c5e_98a2_4a6b_9f0e_3d1c2b4a5968"
#define STATIC_UID "9a8b7c6d5e4f30211203f4e5d6c7b8a9"

/* id: as the path is cut; NULL: empty. */
static const struct {
	const char *path;
	enum cgm_path_kind kind;
	const char *id, *runtime, *pod_uid;
} cases[] = {
	{ "/", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "/docker", CGM_PATH_OTHER, NULL, NULL, "" },
	/* docker: both drivers, a parent of the user's, docker in docker, what a container makes inside of itself */
	{ "/docker/" ID, CGM_PATH_CONTAINER, ID, "docker", "" },
	{ "/system.slice/docker-" ID ".scope", CGM_PATH_CONTAINER, ID, "docker", "" },
	{ "/mine/" ID, CGM_PATH_CONTAINER, ID, NULL, "" },
	{ "/docker/" OTHER_ID "/docker/" ID, CGM_PATH_CONTAINER, ID, "docker", "" },
	{ "/docker/" ID "/init.scope", CGM_PATH_UNIT, "init.scope", NULL, "" },
	{ "/docker/" ID "/work", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "/docker/buildkit", CGM_PATH_OTHER, "buildkit", NULL, "" },
	/* podman */
	{ "/libpod_parent/libpod-" ID, CGM_PATH_CONTAINER, ID, "podman", "" },
	{ "/machine.slice/libpod-" ID ".scope", CGM_PATH_CONTAINER, ID, "podman", "" },
	{ "/machine.slice/libpod-" ID ".scope/container", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "/machine.slice/libpod-conmon-" ID ".scope", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope", CGM_PATH_CONTAINER, ID, "podman", "" },
	/* pods */
	{ "/kubepods/burstable/pod" UID "/" ID, CGM_PATH_CONTAINER, ID, NULL, UID },
	{ "/kubepods/pod" UID "/" ID, CGM_PATH_CONTAINER, ID, NULL, UID },
	{ "/kubepods/besteffort/pod" UID, CGM_PATH_POD, NULL, NULL, UID },
	{ "/kubepods/pod" STATIC_UID "/" ID, CGM_PATH_CONTAINER, ID, NULL, STATIC_UID },
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice", CGM_PATH_POD, NULL, NULL, UID },
	{ "/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope", CGM_PATH_CONTAINER, ID, "containerd", UID },
	{ "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice/crio-" ID ".scope", CGM_PATH_CONTAINER, ID, "crio", UID },
	{ "/kubepods.slice/kubepods-pod" UID_ ".slice/docker-" ID ".scope", CGM_PATH_CONTAINER, ID, "docker", UID },
	{ "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-conmon-" ID ".scope", CGM_PATH_OTHER, NULL, NULL, UID },
	{ "/docker/" OTHER_ID "/kubelet/kubepods/burstable/pod" UID "/" ID, CGM_PATH_CONTAINER, ID, NULL, UID },
	{ "/kubepods/burstable/pod" UID "/" ID "/inner", CGM_PATH_OTHER, NULL, NULL, UID },
	{ "/kubepods/burstable/pod" UID "0", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "/kubepods.slice", CGM_PATH_UNIT, "kubepods.slice", NULL, "" },
	{ "/kubepods.slice/kubepods-burstable.slice", CGM_PATH_UNIT, "kubepods-burstable.slice", NULL, "" },
	{ "/kubepods/burstable", CGM_PATH_OTHER, "burstable", NULL, "" },
	{ "/kubepods/podcast", CGM_PATH_OTHER, "podcast", NULL, "" },
	/* containerd's own, any name */
	{ "/default/web1", CGM_PATH_OTHER, "web1", NULL, "" },
	{ "/k8s.io/" ID, CGM_PATH_CONTAINER, ID, NULL, "" },
	/* others */
	{ "/system.slice/nginx.service", CGM_PATH_UNIT, "nginx.service", NULL, "" },
	{ "/user.slice/user-0.slice/session-1.scope", CGM_PATH_UNIT, "session-1.scope", NULL, "" },
	{ "/system.slice/work", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "/lxc/web", CGM_PATH_CONTAINER, "web", "lxc", "" },
	{ "/lxc.payload.web", CGM_PATH_CONTAINER, "web", "lxc", "" },
	{ "/lxc.payload/web", CGM_PATH_CONTAINER, "web", "lxc", "" },
	{ "/user.slice/user-1000.slice/lxc.payload.web", CGM_PATH_CONTAINER, "web", "lxc", "" },
	{ "/lxc.monitor.web", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "/lxc.monitor/web", CGM_PATH_OTHER, NULL, NULL, "" },
	{ "/lxc.payload.web/init.scope", CGM_PATH_UNIT, "init.scope", NULL, "" },
	/* nearly */
	{ "/docker/0123456789abcdef", CGM_PATH_OTHER, "0123456789abcdef", NULL, "" },
	{ "/docker/" ID "0", CGM_PATH_OTHER, ID "0", NULL, "" },
	{ "/a/b/docker-.scope", CGM_PATH_UNIT, "docker-.scope", NULL, "" },
	{ "/a/b/docker-0123.scope", CGM_PATH_UNIT, "docker-0123.scope", NULL, "" },
	{ "/a/b/kubepods-pod.slice", CGM_PATH_UNIT, "kubepods-pod.slice", NULL, "" },
};

static void test_path_parse__forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_path_facts f;

		cgm_path_parse(cases[i].path, &f);
		print_message("%s\n", cases[i].path);
		assert_int_equal(f.kind, cases[i].kind);
		if (cases[i].id)
			assert_true(cgm_str_eq(f.id, cases[i].id));
		else
			assert_int_equal(f.id.len, 0);
		assert_int_equal(!f.runtime, !cases[i].runtime);
		if (f.runtime)
			assert_string_equal(f.runtime, cases[i].runtime);
		assert_string_equal(f.pod_uid, cases[i].pod_uid);
	}
}

/* A uid that is longer than its room, a path that is all slashes. */
static void test_path_parse__hostile(void **state)
{
	struct cgm_path_facts f;
	char path[300];

	(void)state;
	memcpy(path, "/kubepods/pod", 14);
	memset(path + 13, 'a', sizeof(path) - 14);
	path[sizeof(path) - 1] = '\0';
	cgm_path_parse(path, &f);
	assert_int_equal(f.kind, CGM_PATH_OTHER);
	cgm_path_parse("////", &f);
	assert_int_equal(f.kind, CGM_PATH_OTHER);
	assert_int_equal(f.id.len, 0);
}

static void test_path_parse__inside(void **state)
{
	struct cgm_path_facts f;

	(void)state;
	cgm_path_parse("/machine.slice/libpod-" ID ".scope/container", &f);
	assert_true(cgm_str_eq(f.inside, ID));
	cgm_path_parse("/machine.slice/libpod-" ID ".scope/other", &f);
	assert_int_equal(f.inside.len, 0);
	cgm_path_parse("/machine.slice/libpod-conmon-" ID ".scope/container", &f);
	assert_int_equal(f.inside.len, 0);
	cgm_path_parse("/x/container", &f);
	assert_int_equal(f.inside.len, 0);
}

static void test_path_title__forms(void **state)
{
	static const struct {
		const char *path, *title;
	} titles[] = {
		{ "/", "" },
		{ "/system.slice", "system.slice" },
		{ "/system.slice/nginx.service", "nginx.service" },
		{ "/system.slice/systemd-cryptsetup@luks\\x2d1.service", "systemd-cryptsetup@luks-1.service" },
		{ "/system.slice/a\\x2.service", "a\\x2.service" },
		{ "/system.slice/a\\x0ab.service", "a?b.service" },
		{ "/system.slice/\\x2d.mount", "-.mount" },
		{ "/machine.slice/machine-web.scope", "web" },
		{ "/machine.slice/machine-qemu\\x2d1\\x2ddb.scope", "qemu-1-db" },
		{ "/machine.slice/systemd-nspawn@web.service", "web" },
		{ "/machine.slice/machine-.scope", "machine-.scope" },
		{ "/lxc.payload.web", "web" },
		{ "/lxc/web", "web" },
		{ "/lxc.monitor.web", "" },
		{ "/docker/" ID, "" },
		{ "/default/web1", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
		_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

		cgm_path_title(titles[i].path, &b);
		cgm_buf_char(&b, '\0');
		assert_string_equal(b.p, titles[i].title);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_parse__forms),
		cmocka_unit_test(test_path_parse__hostile),
		cmocka_unit_test(test_path_parse__inside),
		cmocka_unit_test(test_path_title__forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
