// SPDX-License-Identifier: Apache-2.0
/* Where the root of a container lies: mountinfo as kernels write it, and a machine of plain files. */
#include "scratch.h"

#include <errno.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "cgroup/rootfs.h"

static void assert_mount(const char *mountinfo, bool overlay, const char *dir)
{
	struct cgm_rootfs_mount m = { 0 };

	assert_true(cgm_rootfs_mount(cgm_str(mountinfo), &m));
	assert_int_equal(m.is_overlay, overlay);
	if (!cgm_str_eq(m.dir, dir))
		fail_msg("%.*s, not %s", (int)m.dir.len, m.dir.p, dir);
}

static void test_mount(void **state)
{
	struct cgm_rootfs_mount m;

	(void)state;
	assert_mount("7 6 0:61 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/r/l/A:/r/l/B,upperdir=/r/o/diff,workdir=/r/o/work,index=off\n"
		     "8 7 0:62 / /proc rw - proc proc rw\n", true, "/r/o/diff");
	assert_mount("7 6 0:61 / / rw - overlay - rw,lowerdir=a,upperdir=o/diff,workdir=w", true, "o/diff"); /* relative: docker's when the options are long */
	assert_mount("7 6 0:61 / / rw - overlay overlay ro,lowerdir=/upperdir=/x:/b", true, "");
	assert_mount("7 6 0:61 / / rw - overlay overlay rw,upperdir=/r/a\\054upperdir=/b\\040c", true, "/r/a\\054upperdir=/b\\040c"); /* one comma is no end */
	assert_mount("7 6 254:1 /r/vfs/dir/1 / rw - ext4 /dev/vda1 rw", false, "/r/vfs/dir/1");
	/* What was mounted last is on top. */
	assert_mount("1 0 254:1 / / rw - ext4 /dev/vda1 rw\n7 1 0:61 / / rw - overlay o rw,upperdir=/u\n", true, "/u");
	assert_mount("rubbish\n\n7 6 254:1 /x / rw - ext4 /dev/vda1 rw\n8 7 0:1 /\n", false, "/x");
	assert_false(cgm_rootfs_mount(cgm_str(""), &m));
	assert_false(cgm_rootfs_mount(cgm_str("8 7 0:62 / /proc rw - proc proc rw\n"), &m));
}

static void test_place(void **state)
{
	static const char machine[] = "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n"
				      "2 1 254:2 / /mnt\\040a rw - ext4 /dev/vdb rw\n"
				      "3 1 254:3 /sub /data rw - btrfs /dev/vdc rw\n";
	static const struct {
		unsigned minor;
		const char *dir, *want;
	} cases[] = {
		{ 1, "/r/vfs/1", "/r/vfs/1" },	    { 2, "/r\\040x", "/mnt a/r x" }, { 3, "/sub/x", "/data/x" }, { 3, "/subway/x", NULL },
		{ 3, "/sub", NULL }, /* a whole mount */ { 3, "/other", NULL },	     { 4, "/r", NULL },
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = cgm_rootfs_place(cgm_str(machine), 254, cases[i].minor, cgm_str(cases[i].dir), buf, sizeof(buf));

		assert_int_equal(r, cases[i].want ? 0 : -ENXIO);
		if (cases[i].want)
			assert_string_equal(buf, cases[i].want);
	}
	assert_int_equal(cgm_rootfs_place(cgm_str(machine), 254, 2, CGM_STR("/r"), buf, 8), -ENAMETOOLONG);
	assert_int_equal(cgm_rootfs_place(cgm_str(machine), 254, 2, CGM_STR("/r"), buf, 9), 0);
}

static void test_there(void **state)
{
	struct scratch s = { .root_fd = -1 };

	(void)state;
	scratch_open(&s);
	scratch_put(&s, "d/file", "");
	assert_int_equal(symlinkat("file", s.root_fd, "d/link"), 0);
	assert_true(cgm_rootfs_there(s.root_fd, "/d"));
	assert_true(cgm_rootfs_there(s.root_fd, "//d/file"));
	assert_false(cgm_rootfs_there(s.root_fd, "/d/link"));
	assert_false(cgm_rootfs_there(s.root_fd, "/d/none"));
	assert_false(cgm_rootfs_there(s.root_fd, "/")); /* never the machine as a whole */
	scratch_close(&s);
}

static int find(const struct scratch *s, const char *mountinfo, char buf[128])
{
	scratch_put(s, "proc/77/mountinfo", mountinfo);
	return cgm_rootfs_find(s->root_fd, 77, buf, 128);
}

static void test_find(void **state)
{
	struct scratch s = { .root_fd = -1 };
	struct stat st;
	char buf[128] = "untouched", line[256];

	(void)state;
	scratch_open(&s);
	scratch_put(&s, "r/o x/diff/file", "");
	scratch_put(&s, "data/vfs/1/file", "");
	scratch_put(&s, "proc/1/mountinfo", "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n3 1 254:3 /sub /data rw - ext4 /dev/vdc rw\n"
					      "4 1 254:4 / /data rw - ext4 /dev/vdd rw\n");
	assert_int_equal(cgm_rootfs_find(s.root_fd, 76, buf, sizeof(buf)), -ENOENT);
	assert_int_equal(find(&s, "7 6 0:61 / / rw - overlay o rw,upperdir=/r/o\\040x/diff", buf), 0);
	assert_string_equal(buf, "/r/o x/diff");
	assert_int_equal(find(&s, "7 6 254:3 /sub/vfs/1 / rw - ext4 /dev/vdc rw", buf), 0);
	assert_string_equal(buf, "/data/vfs/1");
	/* Not this machine's, relative, none, a file system as a whole, one that is not mounted here. */
	assert_int_equal(find(&s, "7 6 0:61 / / rw - overlay o rw,upperdir=/r/other/diff", buf), -ENXIO);
	assert_int_equal(find(&s, "7 6 0:61 / / rw - overlay o rw,upperdir=r/o\\040x/diff", buf), -ENXIO);
	assert_int_equal(find(&s, "7 6 0:61 / / ro - overlay o ro,lowerdir=/r", buf), -ENXIO);
	assert_int_equal(find(&s, "7 6 254:1 / / rw - ext4 /dev/vda1 rw", buf), -ENXIO);
	assert_int_equal(find(&s, "7 6 254:4 / / rw - ext4 /dev/vdd rw", buf), -ENXIO);
	assert_int_equal(find(&s, "7 6 254:9 /r / rw - ext4 /dev/vdz rw", buf), -ENXIO);
	assert_int_equal(find(&s, "", buf), -ENXIO);
	/* A process that has not left the machine's own root, which is an overlay. */
	assert_int_equal(fstat(s.root_fd, &st), 0);
	snprintf(line, sizeof(line), "7 6 %u:%u / / rw - overlay o rw,upperdir=/r/o\\040x/diff", major(st.st_dev), minor(st.st_dev));
	assert_int_equal(find(&s, line, buf), -ENXIO);
	scratch_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mount),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_there),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
