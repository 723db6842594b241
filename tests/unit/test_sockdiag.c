// SPDX-License-Identifier: Apache-2.0
/* The parser of socket dumps, on bytes that a kernel sent (tests/fixtures/netlink; /proc/net/tcp and udp said the same) and on damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cgroup/sockdiag.h"
#include "unit/fixture.h"

#define SEQ 7 /* of the recorded answers */

static char *recorded(const char *name, size_t *ret_len)
{
	_cleanup_close_ int dir_fd = fixture_open("netlink");
	char *data = NULL;

	assert_int_equal(cgm_read_all_at(dir_fd, name, 1 << 20, &data, ret_len), 0);
	return data;
}

static int parse(const char *name, enum cgm_sockdiag_what what, uint32_t seq, struct cgm_sockets *s, struct cgm_netlink_seen *seen)
{
	size_t len;
	_cleanup_free_ char *data = recorded(name, &len);

	*seen = (struct cgm_netlink_seen){ 0 };
	return cgm_sockdiag_parse(data, len, seq, what, s, seen);
}

static void test_sockdiag_parse__tcp(void **state)
{
	static const uint64_t wanted[CGM_NR_TCP_STATES] = {
		[CGM_TCP_STATE_ESTABLISHED] = 2, [CGM_TCP_STATE_FIN_WAIT2] = 1, [CGM_TCP_STATE_CLOSE_WAIT] = 1, [CGM_TCP_STATE_LISTEN] = 1
	};
	struct cgm_netlink_seen seen;
	struct cgm_sockets s = { 0 };

	(void)state;
	assert_int_equal(parse("tcp4", CGM_SOCKDIAG_TCP, SEQ, &s, &seen), 0);
	assert_true(seen.done);
	assert_memory_equal(s.tcp[0], wanted, sizeof(wanted));
	assert_int_equal(s.tcp[1][CGM_TCP_STATE_LISTEN], 0);
	assert_int_equal(parse("tcp6", CGM_SOCKDIAG_TCP, SEQ, &s, &seen), 0);
	assert_int_equal(s.tcp[1][CGM_TCP_STATE_LISTEN], 1);
	assert_memory_equal(s.tcp[0], wanted, sizeof(wanted));
}

static void test_sockdiag_parse__udp(void **state)
{
	struct cgm_netlink_seen seen;
	struct cgm_sockets s = { 0 };

	(void)state;
	assert_int_equal(parse("udp4", CGM_SOCKDIAG_UDP, SEQ, &s, &seen), 0);
	assert_int_equal(s.udp[0][CGM_UDP_STATE_LISTEN], 1); /* the other one is connected */
	assert_int_equal(s.udp[0][CGM_UDP_STATE_RX_QUEUED], 0x1200);
	assert_int_equal(s.udp[0][CGM_UDP_STATE_TX_QUEUED], 0);
	assert_int_equal(s.udp[0][CGM_UDP_STATE_DROPPED], 8);
}

static void test_sockdiag_parse__another_answer(void **state)
{
	struct cgm_netlink_seen seen;
	struct cgm_sockets s = { 0 }, none = { 0 };

	(void)state;
	assert_int_equal(parse("tcp4", CGM_SOCKDIAG_TCP, SEQ + 1, &s, &seen), 0);
	assert_false(seen.done);
	assert_memory_equal(&s, &none, sizeof(s));
}

/* Cut anywhere it is an error or a part, never more than there is. */
static void test_sockdiag_parse__cut(void **state)
{
	size_t len;
	_cleanup_free_ char *data = recorded("udp4", &len);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		_cleanup_free_ char *cut = malloc(n ? n : 1); /* so that a sanitizer sees the end */
		struct cgm_netlink_seen seen = { 0 };
		struct cgm_sockets s = { 0 };
		int r;

		memcpy(cut, data, n);
		r = cgm_sockdiag_parse(cut, n, SEQ, CGM_SOCKDIAG_UDP, &s, &seen);
		assert_true(r == 0 || r == -EBADMSG);
		assert_true(s.udp[0][CGM_UDP_STATE_LISTEN] <= 1 && !seen.done);
	}
}

static void test_sockdiag_parse__the_kernels_error(void **state)
{
	struct {
		struct nlmsghdr h;
		int error;
		struct nlmsghdr of;
	} m = { { sizeof(m), NLMSG_ERROR, 0, SEQ, 0 }, -ENOENT, { 0 } };
	struct cgm_netlink_seen seen = { 0 };
	struct cgm_sockets s = { 0 };

	(void)state;
	assert_int_equal(cgm_sockdiag_parse(&m, sizeof(m), SEQ, CGM_SOCKDIAG_TCP, &s, &seen), -ENOENT);
	assert_true(seen.done);
}

static void test_sockdiag_request__fields(void **state)
{
	unsigned char buf[CGM_SOCKDIAG_REQUEST_BYTES];
	struct inet_diag_req_v2 body;
	struct nlmsghdr h;

	(void)state;
	assert_int_equal(cgm_sockdiag_request(CGM_SOCKDIAG_UDP, AF_INET6, 9, buf), sizeof(buf));
	memcpy(&h, buf, sizeof(h));
	memcpy(&body, buf + sizeof(h), sizeof(body));
	assert_int_equal(h.nlmsg_len, sizeof(buf));
	assert_int_equal(h.nlmsg_type, SOCK_DIAG_BY_FAMILY);
	assert_int_equal(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	assert_int_equal(h.nlmsg_seq, 9);
	assert_int_equal(body.sdiag_family, AF_INET6);
	assert_int_equal(body.sdiag_protocol, IPPROTO_UDP);
	assert_int_equal(body.idiag_ext, 1 << (INET_DIAG_SKMEMINFO - 1));
	assert_int_equal(body.idiag_states, 0xffe); /* 1 to 11 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockdiag_parse__tcp),
		cmocka_unit_test(test_sockdiag_parse__udp),
		cmocka_unit_test(test_sockdiag_parse__another_answer),
		cmocka_unit_test(test_sockdiag_parse__cut),
		cmocka_unit_test(test_sockdiag_parse__the_kernels_error),
		cmocka_unit_test(test_sockdiag_request__fields),
	};

	return cmocka_run_group_tests_name("sockdiag", tests, NULL, NULL);
}
