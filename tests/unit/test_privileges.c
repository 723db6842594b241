// SPDX-License-Identifier: Apache-2.0
/* The table of capabilities, and giving them up: each time in a child, for they do not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "node/options.h"
#include "node/privileges.h"

#define BIT(nr) (1ULL << (nr))
#define ALL ((1ULL << 41) - 1)
#define ALWAYS (BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH))

static uint64_t kept(uint64_t had, const char *option, const char *another)
{
	const char *argv[] = { "node", option, another };
	struct cgm_options o;
	uint64_t caps;

	assert_int_equal(cgm_options_parse(another ? 3 : option ? 2 : 1, (char *const *)argv, &o), 0);
	caps = cgm_privileges_kept(&o, had);
	cgm_options_done(&o);
	return caps;
}

static void test_kept__what_is_always_needed(void **state)
{
	(void)state;
	assert_int_equal(kept(ALL, NULL, NULL), ALWAYS);
	assert_int_equal(kept(0, NULL, NULL), 0);
	assert_int_equal(kept(BIT(CAP_SYS_PTRACE) | BIT(CAP_CHOWN), NULL, NULL), BIT(CAP_SYS_PTRACE));
	/* These two do not add anything to CAP_SYS_ADMIN, and stand in for it. */
	assert_int_equal(kept(ALL & ~BIT(CAP_SYS_ADMIN), NULL, NULL), (ALWAYS & ~BIT(CAP_SYS_ADMIN)) | BIT(CAP_BPF) | BIT(CAP_PERFMON));
}

static void test_kept__what_an_option_needs(void **state)
{
	uint64_t others = ALWAYS | BIT(CAP_DAC_OVERRIDE);

	(void)state;
	assert_int_equal(kept(ALL, "--port=443", NULL), ALWAYS | BIT(CAP_NET_BIND_SERVICE));
	assert_int_equal(kept(ALL, "--port=1024", NULL), ALWAYS);
	assert_int_equal(kept(ALL, "--port=0", NULL), ALWAYS);
	assert_int_equal(kept(ALL, "--referenced_reset_interval=5", NULL), ALWAYS);
	assert_int_equal(kept(ALL, "--referenced_reset_interval=5", "--enable_metrics=+referenced_memory"), others);
	assert_int_equal(kept(ALL, "--enable_metrics=+referenced_memory", NULL), ALWAYS);
	assert_int_equal(kept(ALL, "--podman=unix:///run/user/1000/podman/podman.sock", NULL), others);
	assert_int_equal(kept(ALL, "--docker=/var/run/user/1000/docker.sock", NULL), others);
	assert_int_equal(kept(ALL, "--crio=/rootfs/run/user/1000/crio.sock", NULL), others);
	assert_int_equal(kept(ALL, "--containerd=/run/user.sock", NULL), ALWAYS);
	assert_int_equal(kept(ALL, "--podman_users=/run/user", NULL), others);
}

static bool needed(const char *name, uint64_t had, bool memlock_matters)
{
	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++)
		if (strcmp(cgm_capabilities[i].name, name) == 0)
			return cgm_privileges_needed(&cgm_capabilities[i], had, memlock_matters);
	fail_msg("no row %s", name);
	return false;
}

static void test_needed__here_and_now(void **state)
{
	(void)state;
	assert_true(needed("CAP_SYS_ADMIN", 0, false));
	assert_true(needed("CAP_SYS_PTRACE", ALL, false));
	assert_true(needed("CAP_BPF", 0, false));
	assert_false(needed("CAP_BPF", BIT(CAP_SYS_ADMIN), false));
	assert_false(needed("CAP_SYS_RESOURCE", 0, false));
	assert_true(needed("CAP_SYS_RESOURCE", 0, true));
	assert_false(needed("CAP_SYS_NICE", 0, true));
}

static void test_capabilities__each_row_says_all(void **state)
{
	uint64_t seen = 0, granted = 0;

	(void)state;
	for (size_t i = 0; i < CGM_NR_CAPABILITIES; i++) {
		const struct cgm_capability *c = &cgm_capabilities[i];

		assert_true(*c->when && *c->use && *c->without);
		assert_null(strchr(c->use, '|')); /* it is a cell of a table */
		assert_false(seen >> c->bit & 1);
		seen |= BIT(c->bit);
		granted |= c->granted ? BIT(c->bit) : 0;
	}
	/* What is given is kept: nothing is asked of an administrator that is not used. */
	assert_int_equal(granted, kept(granted, NULL, NULL));
	assert_int_equal(granted, ALWAYS);
}

/* ---- giving up ---- */

static uint64_t line_of_status(const char *name)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long long v = UINT64_MAX;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			v = strtoull(line + strlen(name), NULL, strncmp(name, "Cap", 3) == 0 ? 16 : 10);
	return v;
}

/* In a child: its exit status is the number of the check that failed. */
static int drop_and_look(const char *option)
{
	const char *argv[] = { "node", "--seccomp=off", option };
	uint64_t had = line_of_status("CapPrm:"), bound = line_of_status("CapBnd:"), left;
	bool may_bound = had & BIT(CAP_SETPCAP), keep;
	struct cgm_options o;

	if (cgm_options_parse(option ? 3 : 2, (char *const *)argv, &o) != 0)
		return 1;
	keep = strcmp(o.privileges, "keep") == 0;
	left = keep ? had : had & ALWAYS;
	cgm_privileges_drop(&o);
	if (line_of_status("CapPrm:") != left || line_of_status("CapEff:") != left)
		return 2;
	if (keep)
		return line_of_status("NoNewPrivs:") == 0 ? 0 : 3;
	if (line_of_status("CapBnd:") != (may_bound ? bound & ALWAYS : bound) || line_of_status("CapInh:") || line_of_status("CapAmb:"))
		return 4;
	if (line_of_status("NoNewPrivs:") != 1)
		return 5;
	/* A program that is started has nothing: uid 0 does not give it back. */
	execl("/bin/grep", "grep", "-q", "CapPrm:.0000000000000000", "/proc/self/status", (char *)NULL);
	return 6;
}

static void in_child(const char *option, bool as_nobody)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		cgm_log_set_level(CGM_LOG_ERROR);
		_exit(as_nobody && setuid(65534) < 0 ? 7 : drop_and_look(option));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void skip_for(const char *what)
{
	print_message("# skip: %s\n", what);
	skip();
}

static void test_drop__all_sets(void **state)
{
	(void)state;
	if (!(cgm_privileges_had() & BIT(CAP_SYS_ADMIN)))
		skip_for("CAP_SYS_ADMIN");
	in_child(NULL, false);
	in_child("--privileges=keep", false);
}

static void test_drop__nobody_has_nothing_to_give_up(void **state)
{
	(void)state;
	if (!(cgm_privileges_had() & BIT(CAP_SETUID)))
		skip_for("CAP_SETUID");
	in_child(NULL, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept__what_is_always_needed),
		cmocka_unit_test(test_kept__what_an_option_needs),
		cmocka_unit_test(test_needed__here_and_now),
		cmocka_unit_test(test_capabilities__each_row_says_all),
		cmocka_unit_test(test_drop__all_sets),
		cmocka_unit_test(test_drop__nobody_has_nothing_to_give_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
