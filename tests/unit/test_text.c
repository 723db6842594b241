// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cgroup/text.h"

static void test_text_keys__in_any_order(void **state)
{
	uint64_t v[CGM_NR_MS2] = { 0 };
	uint64_t seen = cgm_text_keys(CGM_STR("file 2\nanon 1\nkernel_stack x\nfile_mapped 3\nfile_mappe 9\npgfault 18446744073709551616"),
				      &cgm_memory_stat_v2_keys, v);

	(void)state;
	assert_int_equal(v[CGM_MS2_ANON], 1);
	assert_int_equal(v[CGM_MS2_FILE], 2);
	assert_int_equal(v[CGM_MS2_FILE_MAPPED], 3);
	assert_true(v[CGM_MS2_PGFAULT] == UINT64_MAX);
	assert_int_equal(seen, 1ULL << CGM_MS2_ANON | 1ULL << CGM_MS2_FILE | 1ULL << CGM_MS2_FILE_MAPPED | 1ULL << CGM_MS2_PGFAULT);
}

static void test_text_keys__rubbish(void **state)
{
	static const char *const texts[] = { "", "\n\n", "anon", "anon ", "anon -1", "anon 1 2", " anon 1", "anon  1", "anon\t1", "anonx 1" };
	uint64_t v[CGM_NR_MS2];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(cgm_text_keys(cgm_str(texts[i]), &cgm_memory_stat_v2_keys, v), 0);
}

static void test_text_keys__every_key_of_every_table(void **state)
{
	const struct cgm_keys *tables[] = { &cgm_memory_stat_v1_keys, &cgm_memory_stat_v2_keys, &cgm_cpu_stat_keys, &cgm_memory_events_keys };
	uint64_t v[64];
	char line[80];

	(void)state;
	for (size_t t = 0; t < 4; t++)
		for (unsigned i = 0; i < tables[t]->nr; i++) {
			snprintf(line, sizeof(line), "%s %u\n", tables[t]->keys[i].name, i + 7);
			assert_int_equal(cgm_text_keys(cgm_str(line), tables[t], v), 1ULL << i);
			assert_int_equal(v[i], i + 7);
		}
}

static void test_text_numbers__stops(void **state)
{
	uint64_t v[3];

	(void)state;
	assert_int_equal(cgm_text_numbers(CGM_STR("1 22 \n"), v, 3), 2);
	assert_int_equal(v[1], 22);
	assert_int_equal(cgm_text_numbers(CGM_STR("1 2 3 4"), v, 3), 3);
	assert_int_equal(cgm_text_numbers(CGM_STR("1 x 3"), v, 3), 1);
	assert_int_equal(cgm_text_numbers(CGM_STR(""), v, 3), 0);
}

static void test_text_pressure__lines(void **state)
{
	struct cgm_pressure p;

	(void)state;
	cgm_text_pressure(CGM_STR("some avg10=21.25 avg60=4.17 avg300=0.08 total=2631629\n"), &p);
	assert_true(p.some.present);
	assert_false(p.full.present);
	assert_int_equal(p.some.avg10, 2125);
	assert_int_equal(p.some.avg60, 417);
	assert_int_equal(p.some.avg300, 8);
	assert_int_equal(p.some.total_usec, 2631629);
	cgm_text_pressure(CGM_STR("full avg10=1.00 avg60=2.00 total=1\nsome avg10=- avg60=1.00 avg300=1.00 total=1\n"), &p);
	assert_false(p.some.present || p.full.present);
}

static int collect_io(void *arg, uint32_t major, uint32_t minor, const struct cgm_io_stat *io)
{
	char *out = arg;

	snprintf(out + strlen(out), 256 - strlen(out), "%u:%u %lu %lu %lu %lu %lu %lu;", major, minor, io->rbytes, io->wbytes, io->dbytes, io->rios,
		 io->wios, io->dios);
	return 0;
}

static int stop_io(void *arg, uint32_t major, uint32_t minor, const struct cgm_io_stat *io)
{
	(void)major, (void)minor, (void)io;
	++*(int *)arg;
	return -ENOMEM;
}

static void test_text_io_stat__rows(void **state)
{
	char out[256] = "";
	int calls = 0;

	(void)state;
	assert_int_equal(cgm_text_io_stat(CGM_STR("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
						  "8:0 8:32 rbytes=7 wbytes=0 rios=0 wios=0 dbytes=0 dios=0 cost.usage=3\n"
						  "7:0 \nx:y rbytes=1\nrbytes=1\n9:9 rbytes=-1\n"),
					  collect_io, out),
			 0);
	assert_string_equal(out, "8:16 1 2 5 3 4 6;8:32 7 0 0 0 0 0;");
	assert_int_equal(cgm_text_io_stat(CGM_STR("8:0 rbytes=1\n8:1 rbytes=2\n"), stop_io, &calls), -ENOMEM);
	assert_int_equal(calls, 1);
}

static int collect_blkio(void *arg, uint32_t major, uint32_t minor, struct cgm_str op, uint64_t value)
{
	char *out = arg;

	snprintf(out + strlen(out), 256 - strlen(out), "%u:%u %.*s %lu;", major, minor, (int)op.len, op.p, value);
	return 0;
}

static void test_text_blkio__rows(void **state)
{
	char out[256] = "";

	(void)state;
	assert_int_equal(cgm_text_blkio(CGM_STR("254:0 Read 4096\n254:0 Write x\n254:0 Sync 1 2\nTotal 9\n8:1 Total 5"), collect_blkio, out), 0);
	assert_string_equal(out, "254:0 Read 4096;8:1 Total 5;");
}

static void test_text_mount__fields(void **state)
{
	struct cgm_mount m;
	char buf[64];

	(void)state;
	assert_int_equal(cgm_text_mount(CGM_STR("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue"), &m), 0);
	assert_int_equal(m.major, 98);
	assert_true(cgm_str_eq(m.root, "/mnt1"));
	assert_true(cgm_str_eq(m.type, "ext3"));
	assert_true(cgm_str_eq(m.source, "/dev/root"));
	assert_true(cgm_str_eq(m.options, "rw,errors=continue"));
	assert_int_equal(cgm_text_unescape(m.point, buf, sizeof(buf)), 6);
	assert_string_equal(buf, "/mnt 2");
	assert_int_equal(cgm_text_mount(CGM_STR("1 2 0:3 / /a rw - tmpfs  rw"), &m), 0);
	assert_true(cgm_str_eq(m.options, "rw"));
	assert_int_equal(m.source.len, 0);
	assert_int_equal(cgm_text_mount(CGM_STR("1 2 0:3 / /a rw shared:1 tmpfs x rw"), &m), -EINVAL);
	assert_int_equal(cgm_text_mount(CGM_STR("1 2 0:3 / a rw - tmpfs x rw"), &m), -EINVAL);
	assert_int_equal(cgm_text_mount(CGM_STR("1 2 3 / /a rw - tmpfs x rw"), &m), -EINVAL);
}

static void test_text_unescape__bounds(void **state)
{
	char buf[4];

	(void)state;
	assert_int_equal(cgm_text_unescape(CGM_STR("abc"), buf, 4), 3);
	assert_int_equal(cgm_text_unescape(CGM_STR("abcd"), buf, 4), -ENAMETOOLONG);
	assert_int_equal(cgm_text_unescape(CGM_STR("\\000"), buf, 4), -EINVAL);
	assert_int_equal(cgm_text_unescape(CGM_STR("\\04"), buf, 4), 3);
	assert_string_equal(buf, "\\04");
	assert_int_equal(cgm_text_unescape(CGM_STR("\\134"), buf, 4), 1);
	assert_string_equal(buf, "\\");
}

static void test_text_cgroup__lines(void **state)
{
	struct cgm_cgroup_line c;

	(void)state;
	assert_int_equal(cgm_text_cgroup(CGM_STR("4:cpu,cpuacct:/a:b"), &c), 0);
	assert_int_equal(c.id, 4);
	assert_true(cgm_text_has_word(c.controllers, "cpuacct"));
	assert_false(cgm_text_has_word(c.controllers, "cpua"));
	assert_true(cgm_str_eq(c.path, "/a:b"));
	assert_int_equal(cgm_text_cgroup(CGM_STR("0::/"), &c), 0);
	assert_int_equal(c.controllers.len, 0);
	assert_int_equal(cgm_text_cgroup(CGM_STR("x::/"), &c), -EINVAL);
	assert_int_equal(cgm_text_cgroup(CGM_STR("4:cpu"), &c), -EINVAL);
}

static void test_text_net_dev__lines(void **state)
{
	struct cgm_net_dev d;

	(void)state;
	assert_int_equal(cgm_text_net_dev(CGM_STR("  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), &d), 0);
	assert_true(cgm_str_eq(d.name, "eth0"));
	assert_int_equal(d.rx_dropped, 4);
	assert_int_equal(d.tx_bytes, 9);
	assert_int_equal(d.tx_dropped, 12);
	assert_int_equal(cgm_text_net_dev(CGM_STR("eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), &d), 0);
	assert_int_equal(cgm_text_net_dev(CGM_STR("eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"), &d), -EINVAL);
	assert_int_equal(cgm_text_net_dev(CGM_STR(" face |bytes    packets"), &d), -EINVAL);
	assert_int_equal(cgm_text_net_dev(CGM_STR("0123456789abcdef: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), &d), -EINVAL);
}

static void test_text_diskstats__lines(void **state)
{
	struct cgm_diskstats d;

	(void)state;
	assert_int_equal(cgm_text_diskstats(CGM_STR(" 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13"), &d), 0);
	assert_int_equal(d.major, 254);
	assert_int_equal(d.v[10], 11);
	assert_int_equal(cgm_text_diskstats(CGM_STR("254 0 vda 1 2 3 4 5 6 7 8 9 10"), &d), -EINVAL);
	assert_int_equal(cgm_text_diskstats(CGM_STR("254 4294967296 vda 1 2 3 4 5 6 7 8 9 10 11"), &d), -EINVAL);
}

static void test_text_meminfo__names(void **state)
{
	uint64_t v = 5;

	(void)state;
	assert_int_equal(cgm_text_meminfo(CGM_STR("MemTotal:       24683656 kB\nSwapFree: 1 kB"), "SwapFree", &v), 0);
	assert_int_equal(v, 1024);
	assert_int_equal(cgm_text_meminfo(CGM_STR("Node 0 MemTotal: 4 kB\n"), "MemTotal", &v), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(cgm_text_meminfo(CGM_STR("MemTotal2: 4 kB\nMemTotal: x kB\n"), "MemTotal", &v), -ENOENT);
	assert_int_equal(v, 4096);
}

static void on_pair(void *arg, struct cgm_str name, uint64_t value)
{
	char *to = arg;

	snprintf(to + strlen(to), 200 - strlen(to), "%.*s=%lld ", (int)name.len, name.p, (long long)value);
}

static void test_text_pairs__sections(void **state)
{
	char got[200] = "";

	(void)state;
	cgm_text_pairs(CGM_STR("Ip: A\nIp: 9\nTcp: MaxConn InSegs\nTcp: -1 7\nUdp: B\nUdp: 3\n"), "Tcp", on_pair, got);
	assert_string_equal(got, "MaxConn=-1 InSegs=7 ");
	got[0] = '\0';
	cgm_text_pairs(CGM_STR("TcpExt: A B C\nTcpExt: 1 2"), "TcpExt", on_pair, got); /* cut */
	assert_string_equal(got, "A=1 B=2 ");
	got[0] = '\0';
	cgm_text_pairs(CGM_STR("TcpExt: A B C\nTcpExt: 1 x 3"), "TcpExt", on_pair, got);
	cgm_text_pairs(CGM_STR("TcpExt: A B C\n"), "TcpExt", on_pair, got);
	cgm_text_pairs(CGM_STR("TcpExt: A\nTcpExt: 4\n"), "Tcp", on_pair, got); /* not the whole word */
	assert_string_equal(got, "A=1 ");
}

static void test_text_limit__rows(void **state)
{
	static const char text[] = "Limit                     Soft Limit           Hard Limit           Units\n"
				   "Max open files            1024                 unlimited            files\nMax file locks            x  y\n";
	uint64_t soft = 0, hard = 0;

	(void)state;
	assert_int_equal(cgm_text_limit(cgm_str(text), "Max open files", &soft, &hard), 0);
	assert_int_equal(soft, 1024);
	assert_int_equal(hard, UINT64_MAX);
	assert_int_equal(cgm_text_limit(cgm_str(text), "Max open", &soft, &hard), -ENOENT);
	assert_int_equal(cgm_text_limit(cgm_str(text), "Max file locks", &soft, &hard), -ENOENT);
	assert_int_equal(cgm_text_limit(cgm_str(text), "Max cpu time", &soft, &hard), -ENOENT);
	assert_int_equal(soft, 1024);
}

static int cost_row(void *arg, uint32_t major, uint32_t minor, const struct cgm_io_stat *io)
{
	assert_true(major == 8 && minor == 0);
	*(struct cgm_io_stat *)arg = *io;
	return 0;
}

static void test_text_io_stat__costs(void **state)
{
	struct cgm_io_stat io = { 0 };

	(void)state;
	cgm_text_io_stat(CGM_STR("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.vrate=100.00 cost.usage=7 cost.wait=8 cost.indebt=9 cost.indelay=10\n"),
			 cost_row, &io);
	assert_int_equal(io.rbytes, 1);
	assert_int_equal(io.cost_usage, 7);
	assert_int_equal(io.cost_wait, 8);
	assert_int_equal(io.cost_indebt, 9);
	assert_int_equal(io.cost_indelay, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_keys__in_any_order),	   cmocka_unit_test(test_text_keys__rubbish),
		cmocka_unit_test(test_text_keys__every_key_of_every_table), cmocka_unit_test(test_text_numbers__stops),
		cmocka_unit_test(test_text_pressure__lines),	   cmocka_unit_test(test_text_io_stat__rows),
		cmocka_unit_test(test_text_blkio__rows),	   cmocka_unit_test(test_text_mount__fields),
		cmocka_unit_test(test_text_unescape__bounds),	   cmocka_unit_test(test_text_cgroup__lines),
		cmocka_unit_test(test_text_net_dev__lines),	   cmocka_unit_test(test_text_diskstats__lines),
		cmocka_unit_test(test_text_meminfo__names),	   cmocka_unit_test(test_text_pairs__sections),
		cmocka_unit_test(test_text_limit__rows),	   cmocka_unit_test(test_text_io_stat__costs),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
