// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static char dir[] = "/tmp/cgm-test-XXXXXX";
static int dir_fd;

static void put(const char *text, size_t len)
{
	int fd = openat(dir_fd, "f", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	dir_fd = mkdtemp(dir) ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return dir_fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	unlinkat(dir_fd, "f", 0);
	close(dir_fd);
	return rmdir(dir);
}

static void test_read_at__sizes(void **state)
{
	char text[9000], buf[9001];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t len = 0; len < sizeof(text); len += len < 10 ? 1 : 499) {
		put(text, len);
		memset(buf, 'x', sizeof(buf));
		assert_int_equal(cgm_read_at(dir_fd, "f", buf, len + 1), len);
		assert_memory_equal(buf, text, len);
		assert_int_equal(buf[len], 0);
		/* The zero has no room. */
		assert_int_equal(cgm_read_at(dir_fd, "f", buf, len), -EFBIG);
	}
	assert_int_equal(cgm_read_at(dir_fd, "none", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(cgm_read_at(dir_fd, ".", buf, sizeof(buf)), -EISDIR);
}

static void test_read_fd__again(void **state)
{
	char buf[16];
	int fd;

	(void)state;
	put("12\n", 3);
	fd = openat(dir_fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(cgm_read_fd(fd, buf, sizeof(buf)), 3);
	put("345\n", 4);
	assert_int_equal(cgm_read_fd(fd, buf, sizeof(buf)), 4);
	assert_string_equal(buf, "345\n");
	close(fd);
}

static void test_read_u64_at__values(void **state)
{
	uint64_t v = 7;

	(void)state;
	put(" 42\n", 4);
	assert_int_equal(cgm_read_u64_at(dir_fd, "f", &v), 0);
	assert_int_equal(v, 42);
	put("max\n", 4);
	assert_int_equal(cgm_read_u64_at(dir_fd, "f", &v), 0);
	assert_true(v == UINT64_MAX);
	v = 7;
	put("4 2\n", 4);
	assert_int_equal(cgm_read_u64_at(dir_fd, "f", &v), -EINVAL);
	put("", 0);
	assert_int_equal(cgm_read_u64_at(dir_fd, "f", &v), -EINVAL);
	assert_int_equal(cgm_read_u64_at(dir_fd, "none", &v), -ENOENT);
	assert_int_equal(v, 7);
}

static void test_read_line_at__first(void **state)
{
	char buf[16];

	(void)state;
	put("one\ntwo\n", 8);
	assert_int_equal(cgm_read_line_at(dir_fd, "f", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "one");
	put("one", 3);
	assert_int_equal(cgm_read_line_at(dir_fd, "f", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "one");
	assert_int_equal(cgm_read_line_at(dir_fd, "f", buf, 3), -EFBIG);
}

static void test_read_all_at__large(void **state)
{
	char *text = malloc(100000), *p = NULL;
	size_t len = 0;

	(void)state;
	memset(text, 'b', 100000);
	put(text, 100000);
	assert_int_equal(cgm_read_all_at(dir_fd, "f", 100000, &p, &len), 0);
	assert_int_equal(len, 100000);
	assert_memory_equal(p, text, len);
	assert_int_equal(p[len], 0);
	free(p);
	p = NULL;
	assert_int_equal(cgm_read_all_at(dir_fd, "f", 99999, &p, &len), -EFBIG);
	for (unsigned long n = 1; n < 5; n++) {
		cgm_mem_fail_at(n);
		assert_int_equal(cgm_read_all_at(dir_fd, "f", 100000, &p, &len), -ENOMEM);
	}
	cgm_mem_fail_at(0);
	assert_null(p);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_at__sizes),	    cmocka_unit_test(test_read_fd__again), cmocka_unit_test(test_read_u64_at__values),
		cmocka_unit_test(test_read_line_at__first), cmocka_unit_test(test_read_all_at__large),
	};

	return cmocka_run_group_tests_name("file", tests, setup, teardown);
}
