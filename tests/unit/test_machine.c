// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "cgroup/machine.h"
#include "fixture.h"
#include "unit/scratch.h"

static void test_machine_read__hybrid(void **state)
{
	int root = fixture_open("cgroup/hybrid");
	struct cgm_machine *m = cgm_machine_read(root);

	(void)state;
	assert_non_null(m);
	assert_string_equal(m->machine_id, "00112233445566778899aabbccddeeff");
	assert_string_equal(m->system_uuid, m->machine_id);
	assert_string_equal(m->boot_id, "01234567-89ab-cdef-0123-456789abcdef");
	assert_string_equal(m->os_version, "Debian GNU/Linux 12 (bookworm)");
	assert_true(m->kernel_version[0] != '\0');
	assert_string_equal(m->vendor_id, "GenuineIntel");
	assert_int_equal(m->nr_cpus, 2);
	assert_int_equal(m->nr_physical_cores, 2);
	assert_int_equal(m->nr_sockets, 1);
	assert_int_equal(m->cpu_frequency_khz, 2600000);
	assert_int_equal(m->memory_bytes, 24683656ULL * 1024);
	assert_int_equal(m->nr_hugepages, 2);
	assert_int_equal(m->hugepages[0].page_size_kb, 1048576);
	assert_int_equal(m->nr_nodes, 1);
	assert_int_equal(m->nodes[0].nr_cores, 2);
	assert_int_equal(m->nodes[0].cores[1].threads[0], 1);
	assert_int_equal(m->nodes[0].cores[0].nr_caches, 3);
	assert_int_equal(m->nodes[0].nr_caches, 1);
	assert_int_equal(m->nodes[0].caches[0].level, 3);
	assert_int_equal(m->nodes[0].caches[0].size_bytes, 491520 * 1024);
	assert_string_equal(m->nodes[0].caches[0].type, "Unified");
	assert_int_equal(m->nodes[0].nr_distances, 1);
	assert_int_equal(m->nodes[0].distances[0], 10);
	assert_true(m->nodes[0].memory_bytes > 0);
	assert_int_equal(m->nr_disks, 2);
	assert_string_equal(m->disks[0].name, "vda");
	assert_int_equal(m->disks[0].major, 254);
	assert_string_equal(m->disks[0].scheduler, "mq-deadline");
	assert_true(m->disks[0].size_bytes > 0);
	assert_string_equal(m->disks[1].name, "zram0");
	assert_int_equal(m->nr_nics, 3);
	assert_string_equal(m->nics[0].name, "eth0");
	assert_int_equal(m->nics[0].speed_mbps, -1);
	assert_int_equal(m->nics[0].mtu, 1400);
	assert_string_equal(m->nics[0].mac, "02:00:00:00:00:01");
	assert_int_equal(m->nr_fs, 1);
	assert_string_equal(m->fs[0].device, "/dev/vda");
	assert_string_equal(m->fs[0].mountpoint, "/");
	assert_true(m->fs[0].capacity_bytes > 0);
	cgm_machine_free(m);
	close(root);
}

/* A tree with two sockets of two cores with two threads each, an L2 between two cores, and no NUMA. */
static void put(int root, const char *path, const char *text)
{
	char buf[256];
	int fd;

	snprintf(buf, sizeof(buf), "%s", path);
	for (char *p = strchr(buf, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdirat(root, buf, 0755);
		*p = '/';
	}
	fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void remove_all(int dir_fd)
{
	_cleanup_closedir_ DIR *dir = fdopendir(dir_fd);
	struct dirent *e;

	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dir_fd, e->d_name, 0) == 0)
			continue;
		remove_all(openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		unlinkat(dir_fd, e->d_name, AT_REMOVEDIR);
	}
}

static void test_machine_read__threads_and_shared_caches_without_numa(void **state)
{
	char dir[] = "/tmp/cgm-test-XXXXXX", path[128], text[32];
	struct cgm_machine *m;
	int root;

	(void)state;
	assert_non_null(mkdtemp(dir));
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(root, "sys/devices/system/cpu/online", "0-7\n");
	put(root, "proc/meminfo", "MemTotal: 1000 kB\n");
	for (unsigned cpu = 0; cpu < 8; cpu++) {
		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/core_id", cpu);
		snprintf(text, sizeof(text), "%u\n", cpu / 2 % 2);
		put(root, path, text);
		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/physical_package_id", cpu);
		snprintf(text, sizeof(text), "%u\n", cpu / 4);
		put(root, path, text);
		for (unsigned i = 0; i < 3; i++) {
			static const char *const sizes[] = { "32K\n", "2M\n", "64M\n" };
			unsigned width = i == 0 ? 2 : i == 1 ? 4 : 8;

			snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cache/index%u/level", cpu, i);
			snprintf(text, sizeof(text), "%u\n", i + 1);
			put(root, path, text);
			snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cache/index%u/size", cpu, i);
			put(root, path, sizes[i]);
			snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cache/index%u/shared_cpu_list", cpu, i);
			snprintf(text, sizeof(text), "%u-%u\n", cpu / width * width, cpu / width * width + width - 1);
			put(root, path, text);
		}
	}
	m = cgm_machine_read(root);
	assert_non_null(m);
	assert_int_equal(m->nr_cpus, 8);
	assert_int_equal(m->nr_physical_cores, 4);
	assert_int_equal(m->nr_sockets, 2);
	assert_int_equal(m->nr_nodes, 1);
	assert_int_equal(m->nodes[0].memory_bytes, 1024000);
	assert_int_equal(m->nodes[0].nr_cores, 4);
	assert_int_equal(m->nodes[0].cores[3].nr_threads, 2);
	assert_int_equal(m->nodes[0].cores[3].threads[1], 7);
	assert_int_equal(m->nodes[0].cores[3].socket_id, 1);
	assert_int_equal(m->nodes[0].cores[3].nr_caches, 1);
	assert_int_equal(m->nodes[0].cores[3].nr_uncore, 1);
	assert_int_equal(m->nodes[0].cores[3].uncore[0].size_bytes, 2 << 20);
	assert_int_equal(m->nodes[0].nr_caches, 1);
	assert_int_equal(m->nr_fs + m->nr_disks + m->nr_nics, 0);
	cgm_machine_free(m);
	remove_all(root);
	rmdir(dir);
}

static void test_machine_read__every_allocation_fails(void **state)
{
	int root = fixture_open("cgroup/hybrid");
	struct cgm_machine *m = NULL;
	unsigned long n;

	(void)state;
	for (n = 1; n < 500 && !m; n++) {
		cgm_mem_fail_at(n);
		m = cgm_machine_read(root);
		cgm_mem_fail_at(0);
	}
	assert_non_null(m);
	assert_true(n > 20);
	cgm_machine_free(m);
	close(root);
}

static void test_machine_sample_net__skips(void **state)
{
	int root = fixture_open("cgroup/hybrid");
	struct cgm_sample s = { 0 };

	(void)state;
	assert_int_equal(cgm_machine_sample_net(root, &s), 0);
	assert_int_equal(s.nr_ifaces, 3);
	assert_string_equal(s.ifaces[2].name, "eth0");
	assert_int_equal(s.ifaces[2].v[CGM_IFACE_RX_BYTES], 374952227);
	assert_int_equal(s.ifaces[2].v[CGM_IFACE_TX_PACKETS], 5781);
	cgm_sample_done(&s);
	close(root);
	root = fixture_open("cgroup/damaged");
	assert_int_equal(cgm_machine_sample_net(root, &s), -ENOENT);
	close(root);
}

static void test_machine_sample_fs__diskstats(void **state)
{
	int root = fixture_open("cgroup/hybrid");
	struct cgm_sample s = { 0 };

	(void)state;
	assert_int_equal(cgm_machine_sample_fs(root, &s), 0);
	assert_int_equal(s.nr_fs, 1);
	assert_string_equal(s.fs[0].device, "/dev/vda");
	assert_string_equal(s.fs[0].type, "vfs");
	assert_int_equal(s.fs[0].v[CGM_FS_READS_COMPLETED], 92386);
	assert_int_equal(s.fs[0].v[CGM_FS_WEIGHTED_IO_TIME], 88334);
	assert_true(s.fs[0].v[CGM_FS_CAPACITY] >= s.fs[0].v[CGM_FS_USAGE]);
	assert_true(s.fs[0].v[CGM_FS_CAPACITY] > 0);
	cgm_sample_done(&s);
	close(root);
	root = fixture_open("cgroup/v2");
	assert_int_equal(cgm_machine_sample_fs(root, &s), 0);
	assert_int_equal(s.nr_fs, 1);
	assert_string_equal(s.fs[0].device, "overlay_0-25");
	cgm_sample_done(&s);
	close(root);
}

/* One row a device, tmpfs by its mount point, nothing of the network, and names that do not fit are left out. */
static void test_machine_sample_fs__which_mounts(void **state)
{
	char dir[] = "/tmp/cgm-test-XXXXXX";
	struct cgm_sample s = { 0 };
	int root;

	(void)state;
	assert_non_null(mkdtemp(dir));
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(root, "a/b/c", "");
	put(root, "merged/x", "");
	put(root, "proc/self/mountinfo",
	    "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 /x /a rw - ext4 /dev/sda1 rw\n3 1 0:9 / /a rw - nfs4 server:/x rw\n"
	    "4 1 0:8 / /a/b rw - tmpfs tmpfs rw\n5 1 0:7 / /merged rw - overlay overlay rw\n6 1 0:6 / /missing rw - tmpfs t rw\n"
	    "7 1 0:5 / /a rw - fuse.sshfs x rw\n8 1 0:4 / /a rw - proc proc rw\n");
	assert_int_equal(cgm_machine_sample_fs(root, &s), 0);
	assert_int_equal(s.nr_fs, 2);
	assert_string_equal(s.fs[0].device, "/dev/sda1");
	assert_string_equal(s.fs[1].device, "/a/b");
	cgm_sample_done(&s);
	/* Of process 1, when its root is this one. */
	put(root, "proc/1/mountinfo", "1 1 8:2 / / rw - ext4 /dev/sdb1 rw\n");
	assert_int_equal(symlinkat("../..", root, "proc/1/root"), 0);
	s = (struct cgm_sample){ 0 };
	assert_int_equal(cgm_machine_sample_fs(root, &s), 0);
	assert_int_equal(s.nr_fs, 1);
	assert_string_equal(s.fs[0].device, "/dev/sdb1");
	cgm_sample_done(&s);
	remove_all(root);
	rmdir(dir);
}

static void test_disk_name__from_sysfs(void **state)
{
	int root = fixture_open("cgroup/hybrid");
	char buf[64];

	(void)state;
	assert_string_equal(cgm_disk_name(root, 254, 0, buf, sizeof(buf)), "/dev/vda");
	assert_string_equal(cgm_disk_name(root, 254, 0, buf, sizeof(buf)), "/dev/vda");
	assert_string_equal(cgm_disk_name(root, 253, 0, buf, sizeof(buf)), "/dev/zram0");
	assert_string_equal(cgm_disk_name(root, 254, 77, buf, sizeof(buf)), "");
	close(root);
}

static void test_machine_read__modules(void **state)
{
	struct scratch s = { 0 };
	struct cgm_machine *m;

	(void)state;
	scratch_open(&s);
	scratch_put(&s, "sys/devices/system/edac/mc/mc0/dimm0/size", "16384\n");
	scratch_put(&s, "sys/devices/system/edac/mc/mc0/dimm0/dimm_mem_type", "Unbuffered-DDR4\n");
	scratch_put(&s, "sys/devices/system/edac/mc/mc0/dimm1/size", "0\n"); /* an empty place */
	scratch_put(&s, "sys/devices/system/edac/mc/mc0/dimm1/dimm_mem_type", "Empty\n");
	scratch_put(&s, "sys/devices/system/edac/mc/mc1/rank3/size", "8192\n");
	scratch_put(&s, "sys/devices/system/edac/mc/mc1/rank3/dimm_mem_type", "Unbuffered-DDR4\n");
	scratch_put(&s, "sys/devices/system/edac/mc/mc1/rank4/size", "1024\n");
	scratch_put(&s, "sys/devices/system/edac/mc/mc1/rank4/dimm_mem_type", "Non-volatile-RAM\n");
	scratch_put(&s, "sys/devices/system/edac/mc/power/size", "5\n");
	scratch_put(&s, "sys/bus/nd/devices/nmem0/size", "77\n");
	scratch_put(&s, "sys/bus/nd/devices/region0/size", "1073741824\n");
	scratch_put(&s, "sys/bus/nd/devices/region1/size", "1073741824\n");
	for (int cpu = 0; cpu < 3; cpu++) {
		char path[96], id[8];

		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
		snprintf(id, sizeof(id), "%d\n", cpu);
		scratch_put(&s, path, id);
		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d/topology/book_id", cpu);
		scratch_put(&s, path, cpu < 2 ? "0\n" : "4\n");
		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d/topology/drawer_id", cpu);
		scratch_put(&s, path, "1\n");
	}
	scratch_put(&s, "sys/devices/system/cpu/online", "0-2\n");
	m = cgm_machine_read(s.root_fd);
	assert_non_null(m);
	assert_int_equal(m->nr_dimms, 2);
	assert_string_equal(m->dimms[0].type, "Non-volatile-RAM"); /* in order */
	assert_string_equal(m->dimms[1].type, "Unbuffered-DDR4");
	assert_int_equal(m->dimms[1].nr, 2);
	assert_int_equal(m->dimms[1].capacity_bytes, 24ULL << 30);
	assert_true(m->has_nvm);
	assert_int_equal(m->nvm_bytes, 2ULL << 30);
	assert_int_equal(m->nr_books, 2);
	assert_int_equal(m->nr_drawers, 1);
	assert_int_equal(m->nodes[0].cores[2].book_id, 4);
	assert_int_equal(m->nodes[0].cores[2].drawer_id, 1);
	cgm_machine_free(m);
	scratch_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine_read__hybrid),
		cmocka_unit_test(test_machine_read__modules),
		cmocka_unit_test(test_machine_read__threads_and_shared_caches_without_numa),
		cmocka_unit_test(test_machine_read__every_allocation_fails),
		cmocka_unit_test(test_machine_sample_net__skips),
		cmocka_unit_test(test_machine_sample_fs__diskstats),
		cmocka_unit_test(test_machine_sample_fs__which_mounts),
		cmocka_unit_test(test_disk_name__from_sysfs),
	};

	return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
