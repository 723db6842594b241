// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "node/filter.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_is_runtime_container__paths(void **state)
{
	static const char *const yes[] = {
		"/docker/" ID,
		"/system.slice/docker-" ID ".scope",
		"/kubepods/burstable/pod1234/" ID,
		"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID ".scope",
		"/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope",
		"/machine.slice/libpod-" ID ".scope",
		"/machine.slice/libpod-" ID ".scope/container",
	};
	static const char *const no[] = {
		"/",
		"/docker",
		"/system.slice/ssh.service",
		"/docker/" ID "/init",
		"/kubepods/burstable/pod1234",
		"/system.slice/var-lib-docker-overlay2-" ID "-merged.mount",
		"/machine.slice/libpod-conmon-" ID ".scope",
		"/kubepods.slice/crio-conmon-" ID ".scope",
		"/x/container",
		"/lxc/web", /* cAdvisor takes it for a cgroup like others */
		"/lxc.payload.web",
		"/default/web1",
		"/docker/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
		"/docker/" "0123456789abcdef",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (!cgm_is_runtime_container(yes[i]))
			fail_msg("%s is a runtime's", yes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (cgm_is_runtime_container(no[i]))
			fail_msg("%s is no runtime's", no[i]);
}

static void test_filter_shows__flags(void **state)
{
	static const struct {
		struct cgm_filter filter;
		const char *name;
		bool shown;
	} cases[] = {
		{ { false, "" }, "/a", true },
		{ { true, "" }, "/a", false },
		{ { true, "" }, "/", true },
		{ { true, "" }, "/docker/" ID, true },
		{ { true, "/a" }, "/a/b", true },
		{ { true, "/a" }, "/abc", true }, /* a prefix of the text, as in cAdvisor */
		{ { true, "/a" }, "/b", false },
		{ { true, "/x, /b" }, "/b", true },
		{ { false, "/a" }, "/b", false },
		{ { false, "/a" }, "/a", true },
		{ { false, "/a" }, "/", true },
		{ { false, "/a" }, "/docker/" ID, true },
		{ { false, ",," }, "/b", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (cgm_filter_shows(&cases[i].filter, cases[i].name) != cases[i].shown)
			fail_msg("case %zu: %s", i, cases[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_runtime_container__paths),
		cmocka_unit_test(test_filter_shows__flags),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
