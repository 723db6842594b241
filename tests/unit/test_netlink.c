// SPDX-License-Identifier: Apache-2.0
/* The parser of link dumps, on bytes that a kernel sent (tests/fixtures/netlink) and on damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cgroup/netlink.h"
#include "unit/fixture.h"

#define SEQ 7 /* of the recorded answers */

struct links {
	struct cgm_link v[8];
	size_t nr, stop_at; /* stop_at: on_link returns 1 at that link; 0: never */
	struct cgm_netlink_seen seen;
};

static int on_link(void *arg, const struct cgm_link *l)
{
	struct links *links = arg;

	if (links->nr < ARRAY_SIZE(links->v))
		links->v[links->nr] = *l;
	links->nr++;
	return links->nr == links->stop_at;
}

static int parse(const void *data, size_t len, uint32_t seq, struct links *ret)
{
	*ret = (struct links){ .stop_at = ret->stop_at };
	return cgm_netlink_parse(data, len, seq, on_link, ret, &ret->seen);
}

static char *recorded(const char *name, size_t *ret_len)
{
	_cleanup_close_ int dir_fd = fixture_open("netlink");
	char *data = NULL;

	assert_int_equal(cgm_read_all_at(dir_fd, name, 1 << 20, &data, ret_len), 0);
	return data;
}

/* What /proc/net/dev of that namespace said: eth0 90 1 0 0, 180 2 0 0. */
static void check_eth0(const struct cgm_link *l)
{
	const uint64_t wanted[CGM_NR_IFACE_VALUES] = {
		[CGM_IFACE_RX_BYTES] = 90, [CGM_IFACE_RX_PACKETS] = 1, [CGM_IFACE_TX_BYTES] = 180, [CGM_IFACE_TX_PACKETS] = 2
	};

	assert_true(l->has_stats);
	assert_memory_equal(l->v, wanted, sizeof(wanted));
}

static void test_parse__recorded_links(void **state)
{
	_cleanup_free_ char *data = NULL;
	struct links links = { 0 };
	size_t len;

	(void)state;
	data = recorded("links", &len);
	assert_int_equal(parse(data, len, SEQ, &links), 0);
	assert_true(links.seen.done && !links.seen.notified && !links.seen.interrupted);
	assert_int_equal(links.nr, 3);
	assert_string_equal(links.v[0].name, "lo");
	assert_int_equal(links.v[0].index, 1);
	assert_string_equal(links.v[1].name, "cgmpeer");
	assert_string_equal(links.v[2].name, "eth0");
	check_eth0(&links.v[2]);
}

static void test_parse__recorded_stats_are_the_same_numbers(void **state)
{
	_cleanup_free_ char *data = NULL, *names = NULL;
	struct links links = { 0 }, named = { 0 };
	size_t len, names_len;

	(void)state;
	data = recorded("stats", &len);
	names = recorded("links", &names_len);
	assert_int_equal(parse(data, len, SEQ, &links), 0);
	assert_int_equal(parse(names, names_len, SEQ, &named), 0);
	assert_true(links.seen.done);
	assert_int_equal(links.nr, named.nr);
	for (size_t i = 0; i < links.nr; i++) {
		assert_int_equal(links.v[i].index, named.v[i].index);
		assert_string_equal(links.v[i].name, "");
		assert_memory_equal(links.v[i].v, named.v[i].v, sizeof(links.v[i].v));
	}
	assert_true(len < names_len / 5);
}

static void test_parse__cut_anywhere(void **state)
{
	_cleanup_free_ char *data = NULL;
	struct links links = { 0 };
	size_t len;

	(void)state;
	data = recorded("links", &len);
	for (size_t cut = 0; cut < len; cut++) {
		_cleanup_free_ char *copy = malloc(cut + !cut); /* of that size, so that a sanitizer sees a read beyond it */
		int r;

		assert_non_null(copy);
		memcpy(copy, data, cut);
		r = parse(copy, cut, SEQ, &links);
		/* Whole messages or an error, never the end. */
		assert_true(r == 0 || r == -EBADMSG);
		assert_false(links.seen.done);
		assert_true(links.nr <= 3);
	}
}

static void test_parse__every_byte_damaged(void **state)
{
	static const unsigned char with[] = { 0x00, 0x01, 0x7f, 0xff };
	_cleanup_free_ char *data = NULL;
	struct links links = { 0 };
	size_t len;

	(void)state;
	data = recorded("links", &len);
	for (size_t at = 0; at < len; at++)
		for (size_t w = 0; w < sizeof(with); w++) {
			char was = data[at];

			data[at] = (char)with[w];
			parse(data, len, SEQ, &links);
			assert_true(links.nr <= 3);
			for (size_t i = 0; i < links.nr; i++)
				assert_true(strnlen(links.v[i].name, sizeof(links.v[i].name)) < sizeof(links.v[i].name));
			data[at] = was;
		}
}

static void test_parse__what_is_not_our_answer_is_a_notification(void **state)
{
	_cleanup_free_ char *data = NULL;
	struct links links = { 0 };
	size_t len;

	(void)state;
	data = recorded("links", &len);
	assert_int_equal(parse(data, len, SEQ + 1, &links), 0);
	assert_int_equal(links.nr, 0);
	assert_true(links.seen.notified && !links.seen.done);
}

static void test_parse__the_kernels_error(void **state)
{
	struct {
		struct nlmsghdr h;
		int error;
	} m = { { .nlmsg_len = sizeof(m), .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = SEQ }, -EOPNOTSUPP };
	struct links links = { 0 };

	(void)state;
	assert_int_equal(parse(&m, sizeof(m), SEQ, &links), -EOPNOTSUPP);
	assert_true(links.seen.done);
	m.h.nlmsg_type = NLMSG_DONE; /* a dump that failed on its way */
	m.h.nlmsg_flags = NLM_F_DUMP_INTR;
	assert_int_equal(parse(&m, sizeof(m), SEQ, &links), -EOPNOTSUPP);
	assert_true(links.seen.done && links.seen.interrupted);
	m.error = 1 << 30; /* no errno */
	assert_int_equal(parse(&m, sizeof(m), SEQ, &links), 0);
	m.h.nlmsg_len = sizeof(m.h); /* older kernels say nothing */
	assert_int_equal(parse(&m, sizeof(m.h), SEQ, &links), 0);
	assert_true(links.seen.done);
}

static void test_parse__ends_when_told(void **state)
{
	_cleanup_free_ char *data = NULL;
	struct links links = { .stop_at = 2 };
	size_t len;

	(void)state;
	data = recorded("links", &len);
	assert_int_equal(parse(data, len, SEQ, &links), 1);
	assert_int_equal(links.nr, 2);
}

static void test_parse__odd_attributes(void **state)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg info;
		struct rtattr name, stats;
		char text[4];
	} m = {
		.h = { .nlmsg_len = sizeof(m), .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_MULTI, .nlmsg_seq = SEQ },
		.info = { .ifi_index = 5 },
		.name = { .rta_len = sizeof(struct rtattr), .rta_type = IFLA_IFNAME }, /* empty */
		.stats = { .rta_len = sizeof(struct rtattr) + 4, .rta_type = IFLA_STATS64 }, /* too short */
	};
	struct links links = { 0 };

	(void)state;
	assert_int_equal(parse(&m, sizeof(m), SEQ, &links), 0);
	assert_int_equal(links.nr, 1);
	assert_int_equal(links.v[0].index, 5);
	assert_string_equal(links.v[0].name, "");
	assert_false(links.v[0].has_stats);
	m.stats.rta_len += 1; /* beyond the message */
	assert_int_equal(parse(&m, sizeof(m), SEQ, &links), -EBADMSG);
	assert_int_equal(links.nr, 0);
	m.stats.rta_len = 3; /* less than a header */
	assert_int_equal(parse(&m, sizeof(m), SEQ, &links), -EBADMSG);
}

/* What a kernel answers when it was asked about one link: the same message, not one of several, and nothing behind it. */
static void test_parse__one_link_is_the_whole_answer(void **state)
{
	_cleanup_free_ char *data = NULL;
	struct links links = { 0 };
	struct nlmsghdr h;
	size_t len;

	(void)state;
	data = recorded("stats", &len);
	memcpy(&h, data, sizeof(h));
	assert_int_equal(parse(data, h.nlmsg_len, SEQ, &links), 0);
	assert_false(links.seen.done);
	h.nlmsg_flags = 0;
	memcpy(data, &h, sizeof(h));
	assert_int_equal(parse(data, h.nlmsg_len, SEQ, &links), 0);
	assert_true(links.seen.done);
	assert_int_equal(links.nr, 1);
}

static void test_request__has_its_length(void **state)
{
	unsigned char buf[CGM_NETLINK_REQUEST_BYTES];
	struct nlmsghdr h;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		size_t len = cgm_netlink_request(i & 1 ? CGM_NETLINK_STATS : CGM_NETLINK_LINKS, i & 2 ? 3 : 0, 9, buf);

		memcpy(&h, buf, sizeof(h));
		assert_int_equal(h.nlmsg_len, len);
		assert_int_equal(h.nlmsg_seq, 9);
		assert_int_equal(h.nlmsg_flags, i & 2 ? NLM_F_REQUEST : NLM_F_REQUEST | NLM_F_DUMP);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse__recorded_links),
		cmocka_unit_test(test_parse__recorded_stats_are_the_same_numbers),
		cmocka_unit_test(test_parse__cut_anywhere),
		cmocka_unit_test(test_parse__every_byte_damaged),
		cmocka_unit_test(test_parse__what_is_not_our_answer_is_a_notification),
		cmocka_unit_test(test_parse__the_kernels_error),
		cmocka_unit_test(test_parse__ends_when_told),
		cmocka_unit_test(test_parse__odd_attributes),
		cmocka_unit_test(test_parse__one_link_is_the_whole_answer),
		cmocka_unit_test(test_request__has_its_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
