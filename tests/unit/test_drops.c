// SPDX-License-Identifier: Apache-2.0
/* Classes of reasons why packets are dropped: by name, whatever their numbers are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernel/internal.h"

#define CLASS(name) (CGM_C_DROP_##name - CGM_C_DROP_NO_SOCKET + 1)

static void test_drop_class__no_loss(void **state)
{
	(void)state;
	assert_int_equal(cgm_drop_class("SKB_NOT_DROPPED_YET"), 0);
	assert_int_equal(cgm_drop_class("SKB_CONSUMED"), 0);
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_NOT_SPECIFIED"), 0);
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_OTHERHOST"), 0);
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_UNIX_DISCONNECT"), 0);
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_TCP_OFOMERGE"), 0);
}

static void test_drop_class__by_name(void **state)
{
	(void)state;
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_NO_SOCKET"), CLASS(NO_SOCKET));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_SOCKET_RCVBUFF"), CLASS(BUFFER));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_QDISC_DROP"), CLASS(QUEUE));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_NETFILTER_DROP"), CLASS(FILTER));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_UDP_CSUM"), CLASS(DAMAGED));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_IP_OUTNOROUTES"), CLASS(ROUTE));
}

/* An exact name or an earlier rule goes before a prefix; what nobody knows is other, and so is what only looks like a name. */
static void test_drop_class__order_and_unknown(void **state)
{
	(void)state;
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_TCP_CSUM"), CLASS(DAMAGED));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_TCP_LISTEN_OVERFLOW"), CLASS(BUFFER));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_TCP_SOMETHING_NEW"), CLASS(TCP));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_IP_CSUM"), CLASS(DAMAGED));
	assert_int_equal(cgm_drop_class("SKB_DROP_REASON_NO_SOCKET_AT_ALL"), CLASS(OTHER));
	assert_int_equal(cgm_drop_class(""), CLASS(OTHER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drop_class__no_loss),
		cmocka_unit_test(test_drop_class__by_name),
		cmocka_unit_test(test_drop_class__order_and_unknown),
	};

	return cmocka_run_group_tests_name("drops", tests, NULL, NULL);
}
