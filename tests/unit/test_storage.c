// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "model/storage.h"

static void test_new__copies_all(void **state)
{
	char name[] = "data", plugin[] = "kubernetes.io/csi", claim[] = "disk-0", space[] = "shop";
	struct cgm_volume volumes[] = {
		{ .name = name, .plugin = plugin, .claim = claim, .claim_namespace = space, .usage.used_bytes = 3 },
		{ .name = name, .ephemeral = true, .usage.used_bytes = 4 },
	};
	struct cgm_storage s = { .has_layer = true, .layer.used_bytes = 1, .logs.used_bytes = 2, .volumes = volumes, .nr_volumes = 2 };
	struct cgm_storage *copy = cgm_storage_new(&s);

	(void)state;
	assert_non_null(copy);
	memset(name, '#', 4);
	memset(plugin, '#', 4);
	memset(claim, '#', 4);
	memset(space, '#', 4);
	memset(volumes, 0, sizeof(volumes));
	assert_int_equal(copy->layer.used_bytes + copy->logs.used_bytes, 3);
	assert_true(copy->has_layer && !copy->has_logs);
	assert_string_equal(copy->volumes[0].name, "data");
	assert_string_equal(copy->volumes[0].plugin, "kubernetes.io/csi");
	assert_string_equal(copy->volumes[0].claim, "disk-0");
	assert_string_equal(copy->volumes[0].claim_namespace, "shop");
	assert_string_equal(copy->volumes[1].name, "data");
	assert_null(copy->volumes[1].plugin);
	assert_true(copy->volumes[1].ephemeral);
	assert_int_equal(copy->volumes[1].usage.used_bytes, 4);
	assert_ptr_equal(cgm_storage_ref(copy), copy);
	cgm_storage_unref(copy);
	assert_int_equal(copy->nr_volumes, 2);
	cgm_storage_unref(copy);
	cgm_storage_unref(NULL);
}

static void test_new__out_of_memory(void **state)
{
	(void)state;
	cgm_mem_fail_at(1);
	assert_null(cgm_storage_new(&(struct cgm_storage){ 0 }));
	cgm_mem_fail_at(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new__copies_all),
		cmocka_unit_test(test_new__out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
