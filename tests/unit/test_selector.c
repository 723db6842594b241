// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/cluster.h"

static const struct cgm_kube_label labels[] = { { "app", "web" }, { "empty", "" }, { "example.org/tier", "front" }, { "n", "7" } };

static void test_matches(void **state)
{
	static const struct {
		const char *text;
		bool matches;
	} cases[] = {
		{ "", true },
		{ "  ", true },
		{ "app", true },
		{ "none", false },
		{ "!app", false },
		{ "! none", true },
		{ "app=web", true },
		{ "app == web", true },
		{ "app=db", false },
		{ "none=", false },
		{ "empty=", true },
		{ "app!=db", true },
		{ "app != web", false },
		{ "none!=x", true },
		{ "app in (db,web)", true },
		{ "app in(db , web )", true },
		{ "app in (db)", false },
		{ "none in (db)", false },
		{ "empty in (a,)", true },
		{ "empty in ()", true },
		{ "app notin (db)", true },
		{ "app notin (db,web)", false },
		{ "none notin (db)", true },
		{ "example.org/tier=front,app in (web), !none ,app!=x", true },
		{ "example.org/tier=front,app=x", false },
		{ "n>6,n<8", true },
		{ "n > 7", false },
		{ "app>1", false },
		{ "none<1", false },
		{ "in=x", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cgm_kube_selector_freep) struct cgm_kube_selector *s = NULL;
		char fault[CGM_KUBE_FAULT] = "";

		if (cgm_kube_selector_read(cases[i].text, &s, fault) < 0)
			fail_msg("%s: %s", cases[i].text, fault);
		if (cgm_kube_selector_matches(s, labels, ARRAY_SIZE(labels)) != cases[i].matches)
			fail_msg("%s", cases[i].text);
	}
}

static void test_read__faults(void **state)
{
	static const struct {
		const char *text, *fault;
	} bad[] = {
		{ ",", "label selector: no name of a label at \",\"" },
		{ "a,", "label selector: nothing behind the last comma at \"\"" },
		{ "a,,b", "label selector: no name of a label at \",b\"" },
		{ "a b", "label selector: none of in, notin, =, ==, != at \"b\"" },
		{ "a in b", "label selector: a ( is missing at \"b\"" },
		{ "a in (b", "label selector: a ) is missing at \"\"" },
		{ "a=b c", "label selector: a comma is missing at \"c\"" },
		{ "-a", "label selector: no name of a label at \"-a\"" },
		{ "/a", "label selector: no name of a label at \"/a\"" },
		{ "a=%", "label selector: no value of a label at \"%\"" },
		{ "a>b", "label selector: no whole number at \"b\"" },
		{ "!", "label selector: no name of a label at \"\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cgm_kube_selector *s = NULL;
		char fault[CGM_KUBE_FAULT] = "";

		assert_int_equal(cgm_kube_selector_read(bad[i].text, &s, fault), -EINVAL);
		assert_string_equal(fault, bad[i].fault);
		assert_null(s);
	}
}

static void test_read__long(void **state)
{
	char *text = calloc(1, 70001);
	struct cgm_kube_selector *s = NULL;
	char fault[CGM_KUBE_FAULT] = "";

	(void)state;
	memset(text, 'a', 300);
	assert_int_equal(cgm_kube_selector_read(text, &s, fault), -EINVAL);
	memset(text, 'a', 70000);
	assert_int_equal(cgm_kube_selector_read(text, &s, fault), -EINVAL);
	free(text);
}

static void test_read__no_memory(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		_cleanup_(cgm_kube_selector_freep) struct cgm_kube_selector *s = NULL;
		char fault[CGM_KUBE_FAULT] = "";
		int r;

		cgm_mem_fail_at(n);
		r = cgm_kube_selector_read("a in (b,c),d!=e,!f", &s, fault);
		if (cgm_mem_fail_at(0) < n) {
			assert_int_equal(r, 0);
			return;
		}
		assert_int_equal(r, -ENOMEM);
		assert_string_equal(fault, "out of memory");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_read__faults),
		cmocka_unit_test(test_read__long),
		cmocka_unit_test(test_read__no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
