// SPDX-License-Identifier: Apache-2.0
/* The decoders of what runtimes answer, on recorded answers, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/protobuf.h"
#include "identity/cri_decode.h"
#include "identity/json_cri.h"
#include "unit/cri_fixture.h"

static void assert_pod(const struct cgm_who *w)
{
	assert_string_equal(w->pod, "web-0");
	assert_string_equal(w->pod_namespace, "shop");
	assert_string_equal(w->pod_uid, UID);
}

static void test_decode_container__running(void **state)
{
	struct cgm_str m = recorded("container_status");
	struct cgm_cri_facts f = { 0 };
	struct cgm_cri_info info = { 0 };

	(void)state;
	assert_int_equal(cgm_cri_decode_container(m, &f), 0);
	assert_pod(&f.who);
	assert_string_equal(f.who.id, FRONT);
	assert_string_equal(f.who.name, "front");
	assert_string_equal(f.who.container, "front");
	assert_string_equal(f.who.image, IMAGE);
	assert_non_null(strstr(f.who.log_path, "/front/0.log"));
	assert_int_equal(f.who.state, CGM_STATE_RUNNING);
	assert_true(f.who.created_ns > 1700000000 * CGM_NSEC_PER_SEC && f.who.started_ns > f.who.created_ns);
	assert_int_equal(f.who.finished_ns, 0);
	assert_false(f.who.has_exit_code || f.who.is_sandbox);
	assert_int_equal(f.who.restart_count, 0);
	assert_int_equal(f.who.nr_labels, 5);
	assert_int_equal(cgm_cri_info_read(f.info, "SHOP_, IMAGE,,NO", &info), 0);
	assert_int_equal(info.pid, 4058);
	assert_int_equal(info.nr_envs, 2);
	assert_string_equal(info.envs[0].key, "IMAGE_SAYS");
	assert_string_equal(info.envs[0].value, "hello");
	assert_string_equal(info.envs[1].key, "SHOP_MODE");
	assert_string_equal(info.envs[1].value, "x");
	cgm_cri_info_done(&info);
	assert_int_equal(cgm_cri_info_read(f.info, "", &info), 0);
	assert_int_equal(info.nr_envs, 0);
	cgm_cri_info_done(&info);
	cgm_cri_facts_done(&f);
	release(m);
}

static void test_decode_container__exited(void **state)
{
	struct cgm_str m = recorded("container_status_exited");
	struct cgm_cri_facts f = { 0 };

	(void)state;
	assert_int_equal(cgm_cri_decode_container(m, &f), 0);
	assert_string_equal(f.who.id, BACK);
	assert_int_equal(f.who.state, CGM_STATE_EXITED);
	assert_true(f.who.has_exit_code);
	assert_int_equal(f.who.exit_code, 137);
	assert_true(f.who.finished_ns > f.who.started_ns);
	assert_int_equal(f.info.len, 0);
	cgm_cri_facts_done(&f);
	release(m);
}

static void test_decode_sandbox__ready(void **state)
{
	struct cgm_str m = recorded("sandbox_status");
	struct cgm_cri_facts f = { 0 };

	(void)state;
	assert_int_equal(cgm_cri_decode_sandbox(m, &f), 0);
	assert_pod(&f.who);
	assert_string_equal(f.who.id, SANDBOX);
	assert_true(f.who.is_sandbox);
	assert_null(f.who.container);
	assert_null(f.who.name);
	assert_int_equal(f.who.state, CGM_STATE_RUNNING);
	assert_int_equal(f.who.nr_labels, 4);
	cgm_cri_facts_done(&f);
	release(m);
}

static void put_pair(struct cgm_buf *b, uint8_t tag, const char *key, const char *value)
{
	size_t mark = cgm_pb_begin(b, tag);

	cgm_pb_text(b, CGM_PB_TAG(1, CGM_PB_BYTES), key, strlen(key));
	cgm_pb_text(b, CGM_PB_TAG(2, CGM_PB_BYTES), value, strlen(value));
	cgm_pb_end(b, mark);
}

/* What containerd 1.6 does not say: CRI-O's time of what never was, the image as it was written (field 18), counts, a name without labels. */
static void test_decode_container__others(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct cgm_cri_facts f = { 0 };
	size_t status, part;

	(void)state;
	status = cgm_pb_begin(&b, CGM_PB_TAG(1, CGM_PB_BYTES));
	cgm_pb_text(&b, CGM_PB_TAG(1, CGM_PB_BYTES), "id1", 3);
	part = cgm_pb_begin(&b, CGM_PB_TAG(2, CGM_PB_BYTES));
	cgm_pb_text(&b, CGM_PB_TAG(1, CGM_PB_BYTES), "one", 3);
	cgm_pb_end(&b, part);
	cgm_pb_count(&b, CGM_PB_TAG(5, CGM_PB_VARINT), (uint64_t)-6795364578871345152LL);
	cgm_pb_count(&b, CGM_PB_TAG(7, CGM_PB_VARINT), 3);
	part = cgm_pb_begin(&b, CGM_PB_TAG(8, CGM_PB_BYTES));
	cgm_pb_text(&b, CGM_PB_TAG(1, CGM_PB_BYTES), "sha256:1", 8);
	cgm_buf_lit(&b, "\x92\x01\x05web:1");
	cgm_pb_end(&b, part);
	put_pair(&b, CGM_PB_TAG(13, CGM_PB_BYTES), "io.kubernetes.container.restartCount", "7");
	put_pair(&b, CGM_PB_TAG(13, CGM_PB_BYTES), "other", "8");
	cgm_pb_begin(&b, CGM_PB_TAG(12, CGM_PB_BYTES)); /* a pair without key and value */
	cgm_pb_end(&b, status);
	assert_int_equal(cgm_cri_decode_container((struct cgm_str){ b.p, b.len }, &f), 0);
	assert_string_equal(f.who.id, "id1");
	assert_string_equal(f.who.container, "one");
	assert_string_equal(f.who.image, "web:1");
	assert_int_equal(f.who.state, CGM_STATE_CREATED);
	assert_int_equal(f.who.started_ns, 0);
	assert_false(f.who.has_exit_code || f.who.exit_code);
	assert_int_equal(f.who.restart_count, 7);
	assert_int_equal(f.who.nr_labels, 1);
	assert_string_equal(f.who.labels[0].key, "");
	assert_null(f.who.pod);
	cgm_cri_facts_done(&f);
}

static int keep_part(void *arg, struct cgm_str part)
{
	*(struct cgm_str *)arg = part;
	return 0;
}

static void test_containerd_container__with_task(void **state)
{
	struct cgm_str m = recorded("own_get"), tasks = recorded("own_tasks"), part = { 0 };
	struct cgm_cri_facts f = { 0 };
	struct cgm_cri_info info = { 0 };

	(void)state;
	assert_int_equal(cgm_containerd_each_container(m, keep_part, &part), 0);
	assert_int_equal(cgm_containerd_decode_container(part, &f), 0);
	assert_string_equal(f.who.id, "plain1");
	assert_string_equal(f.who.name, "joe");
	assert_string_equal(f.who.image, IMAGE);
	assert_true(f.who.created_ns > 1700000000 * CGM_NSEC_PER_SEC);
	assert_int_equal(cgm_cri_info_read(f.info, "IMAGE", &info), 0);
	assert_int_equal(info.nr_envs, 1);
	assert_int_equal(cgm_containerd_add_task((struct cgm_str){ "", 0 }, &f), 0);
	assert_int_equal(f.who.state, CGM_STATE_CREATED);
	assert_int_equal(f.who.pid, 0);
	assert_int_equal(cgm_containerd_add_task(tasks, &f), 0);
	assert_int_equal(f.who.state, CGM_STATE_RUNNING);
	assert_int_equal(f.who.pid, 4160);
	assert_false(f.who.has_exit_code);
	cgm_cri_info_done(&info);
	cgm_cri_facts_done(&f);
	release(m);
	release(tasks);
}

/* A pod as containerd's own API shows it, where the CRI is switched off. */
static int check_own(void *arg, struct cgm_str part)
{
	struct cgm_cri_facts f = { 0 };

	assert_int_equal(cgm_containerd_decode_container(part, &f), 0);
	assert_pod(&f.who);
	assert_int_equal(f.who.is_sandbox, f.who.container == NULL);
	*(unsigned *)arg += f.who.is_sandbox ? 100 : 1;
	cgm_cri_facts_done(&f);
	return 0;
}

static void test_containerd_container__pod(void **state)
{
	struct cgm_str m = recorded("own_k8s");
	unsigned seen = 0;

	(void)state;
	assert_int_equal(cgm_containerd_each_container(m, check_own, &seen), 0);
	assert_int_equal(seen, 102);
	release(m);
}

static void test_decode_version__both(void **state)
{
	struct cgm_str m = recorded("version"), own = recorded("own_version");
	struct cgm_cri_version v;

	(void)state;
	assert_int_equal(cgm_cri_decode_version(m, &v), 0);
	assert_string_equal(v.name, "containerd");
	assert_string_equal(v.version, "1.6.20~ds1");
	assert_int_equal(cgm_containerd_decode_version(own, &v), 0);
	assert_string_equal(v.name, "containerd");
	assert_string_equal(v.version, "1.6.20~ds1");
	release(m);
	release(own);
}

static void test_decode_images__recorded(void **state)
{
	struct cgm_str m = recorded("images");
	struct cgm_cri_images i = { 1, 1 };

	(void)state;
	assert_int_equal(cgm_cri_decode_images(m, &i), 0);
	assert_int_equal(i.used_bytes, 1982464);
	assert_int_equal(i.used_inodes, 277);
	release(m);
}

static void test_decode_images__forms(void **state)
{
	/* two, of which the first counts; nothing known of the one; another field; none; a number that is cut */
	static const char two[] = "\x0a\x04\x1a\x02\x08\x05\x0a\x04\x1a\x02\x08\x07", bare[] = "\x0a\x00", other[] = "\x12\x00", cut[] = "\x0a\x04\x1a\x02\x08\x85";
	struct cgm_cri_images i = { 1, 1 };

	(void)state;
	assert_int_equal(cgm_cri_decode_images(CGM_STR(two), &i), 0);
	assert_int_equal(i.used_bytes, 5);
	assert_int_equal(i.used_inodes, 0);
	assert_int_equal(cgm_cri_decode_images(CGM_STR(other), &i), -ENOENT);
	assert_int_equal(cgm_cri_decode_images(CGM_STR(""), &i), -ENOENT);
	assert_int_equal(cgm_cri_decode_images(CGM_STR(cut), &i), -EINVAL);
	assert_int_equal(i.used_bytes, 5); /* a failure leaves it alone */
	assert_int_equal(cgm_cri_decode_images(CGM_STR(bare), &i), 0);
	assert_int_equal(i.used_bytes, 0);
}

static void test_info_read__not_json(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "3", "{\"pid\":1}x" };
	struct cgm_cri_info info = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(cgm_cri_info_read(cgm_str(texts[i]), "A", &info), -EINVAL);
		cgm_cri_info_done(&info);
	}
	assert_int_equal(cgm_cri_info_read(CGM_STR("{\"pid\":-1,\"runtimeSpec\":{\"process\":{\"env\":[1,\"A\",\"=A\",\"AB\",\"A=\"]}}}"), "A", &info), 0);
	assert_int_equal(info.pid, 0);
	assert_int_equal(info.nr_envs, 1);
	assert_string_equal(info.envs[0].value, "");
	cgm_cri_info_done(&info);
}

/* ---- damage, and want of memory ---- */

static int ignore_item(void *arg, struct cgm_str id, enum cgm_who_state state)
{
	(void)arg;
	(void)state;
	assert_true(id.len > 0);
	return 0;
}

static int decode_own(void *arg, struct cgm_str part)
{
	struct cgm_cri_facts f = { 0 };
	int r = cgm_containerd_decode_container(part, &f);

	if (r == 0)
		r = cgm_containerd_add_task(*(struct cgm_str *)arg, &f);
	cgm_cri_facts_done(&f);
	return r;
}

/* With all decoders: a list is a list to each of them. */
static int decode_status(struct cgm_str m, int (*decode)(struct cgm_str, struct cgm_cri_facts *))
{
	struct cgm_cri_facts f = { 0 };
	struct cgm_cri_info info = { 0 };
	int r = decode(m, &f);

	if (r == 0 && cgm_cri_info_read(f.info, "SHOP,IMAGE", &info) == -ENOMEM)
		r = -ENOMEM;
	cgm_cri_info_done(&info);
	cgm_cri_facts_done(&f);
	return r;
}

static int decode_any(struct cgm_str m, const char *name)
{
	struct cgm_cri_version v;
	struct cgm_cri_images i;
	int r;

	if (strcmp(name, "images") == 0) {
		r = cgm_cri_decode_images(m, &i);
		return r == -ENOENT ? 0 : r;
	}
	if (strncmp(name, "container_", 10) == 0)
		return decode_status(m, cgm_cri_decode_container);
	if (strcmp(name, "sandbox_status") == 0)
		return decode_status(m, cgm_cri_decode_sandbox);
	if (strcmp(name, "containers") == 0)
		return cgm_cri_each_container(m, ignore_item, NULL);
	if (strcmp(name, "sandboxes") == 0)
		return cgm_cri_each_sandbox(m, ignore_item, NULL);
	if (strcmp(name, "own_namespaces") == 0)
		return cgm_containerd_each_namespace(m, keep_part, &(struct cgm_str){ 0 });
	if (strcmp(name, "version") == 0)
		return cgm_cri_decode_version(m, &v);
	return cgm_containerd_each_container(m, decode_own, &m);
}

static const char *const names[] = {
	"version",	  "containers",	    "sandboxes", "container_status", "container_status_exited", "sandbox_status",
	"own_namespaces", "own_containers", "own_get",	 "own_k8s", "images",
};

static void test_decode__every_truncation(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct cgm_str m = recorded(names[i]);

		assert_int_equal(decode_any(m, names[i]), 0);
		for (size_t len = 0; len < m.len; len++) {
			char *cut = malloc(len ? len : 1); /* so that a sanitizer sees its end */
			int r;

			assert_non_null(cut);
			memcpy(cut, m.p, len);
			r = decode_any((struct cgm_str){ cut, len }, names[i]);
			assert_true(r == 0 || r == -EINVAL);
			free(cut);
		}
		release(m);
	}
}

static void test_decode__out_of_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct cgm_str m = recorded(names[i]);

		for (unsigned long n = 1;; n++) {
			unsigned long nr;
			int r;

			cgm_mem_fail_at(n);
			r = decode_any(m, names[i]);
			nr = cgm_mem_fail_at(0);
			assert_int_equal(r, nr >= n ? -ENOMEM : 0);
			if (nr < n)
				break;
		}
		release(m);
	}
}

#define ANY(event, len) "\x22" len "\x12" event
#define ENVELOPE(topic, rest) CGM_STR("\x12\x04shop\x1a" topic rest)

static void test_decode_event__containerd(void **state)
{
	static const struct {
		struct cgm_str m;
		enum cgm_who_state state;
		bool gone;
		const char *id; /* "": it is no news */
	} cases[] = {
		{ ENVELOPE("\x0c/tasks/start", ANY("\x05\x0a\x03web", "\x07")), CGM_STATE_RUNNING, false, "web" },
		{ ENVELOPE("\x0d/tasks/paused", ANY("\x05\x0a\x03web", "\x07")), CGM_STATE_PAUSED, false, "web" },
		{ ENVELOPE("\x0e/tasks/resumed", ANY("\x05\x0a\x03web", "\x07")), CGM_STATE_RUNNING, false, "web" },
		{ ENVELOPE("\x0b/tasks/exit", ANY("\x0a\x0a\x03web\x12\x03web", "\x0c")), CGM_STATE_EXITED, false, "web" },
		{ ENVELOPE("\x0b/tasks/exit", ANY("\x0a\x0a\x03web\x12\x03sh1", "\x0c")), CGM_STATE_EXITED, false, "" }, /* another process */
		{ ENVELOPE("\x0a/tasks/oom", ANY("\x05\x0a\x03web", "\x07")), CGM_STATE_UNKNOWN, false, "" },
		{ ENVELOPE("\x12/containers/create", ANY("\x05\x0a\x03web", "\x07")), CGM_STATE_UNKNOWN, false, "web" },
		{ ENVELOPE("\x12/containers/update", ANY("\x05\x0a\x03web", "\x07")), CGM_STATE_UNKNOWN, false, "web" },
		{ ENVELOPE("\x12/containers/delete", ANY("\x05\x0a\x03web", "\x07")), CGM_STATE_UNKNOWN, true, "web" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_cri_event e;

		assert_int_equal(cgm_containerd_decode_event(cases[i].m, &e), 0);
		assert_true(cgm_str_eq(e.namespace, "shop"));
		assert_true(cgm_str_eq(e.id, cases[i].id));
		assert_int_equal(e.state, cases[i].state);
		assert_int_equal(e.gone, cases[i].gone);
		/* Cut anywhere: an error, or less of it; what is read lies within. */
		for (size_t len = 0; len < cases[i].m.len; len++) {
			_cleanup_free_ char *copy = malloc(len + 1);
			int r;

			memcpy(copy, cases[i].m.p, len);
			r = cgm_containerd_decode_event((struct cgm_str){ copy, len }, &e);
			assert_true(r == -EINVAL || (r == 0 && e.id.len == 0));
		}
	}
}

static void test_decode_event__cri(void **state)
{
	static const enum cgm_who_state states[] = { CGM_STATE_CREATED, CGM_STATE_RUNNING, CGM_STATE_EXITED, CGM_STATE_UNKNOWN, CGM_STATE_UNKNOWN };
	struct cgm_cri_event e = { .gone = true };

	(void)state;
	assert_int_equal(cgm_cri_decode_event((struct cgm_str)CGM_STR("\x0a\x02xy"), &e), 0);
	assert_int_equal(e.state, CGM_STATE_CREATED); /* left out when it is 0 */
	for (char type = 0; type < 5; type++) {
		const char m[] = { 0x0a, 2, 'x', 'y', 0x10, type };

		assert_int_equal(cgm_cri_decode_event((struct cgm_str){ m, sizeof(m) }, &e), 0);
		assert_true(cgm_str_eq(e.id, "xy") && !e.namespace.len);
		assert_int_equal(e.state, states[(int)type]);
		assert_int_equal(e.gone, type == 3);
		assert_int_equal(cgm_cri_decode_event((struct cgm_str){ m, 3 }, &e), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_event__containerd), cmocka_unit_test(test_decode_event__cri),
		cmocka_unit_test(test_decode_container__running),
		cmocka_unit_test(test_decode_container__exited),
		cmocka_unit_test(test_decode_sandbox__ready),
		cmocka_unit_test(test_decode_container__others),
		cmocka_unit_test(test_containerd_container__with_task),
		cmocka_unit_test(test_containerd_container__pod),
		cmocka_unit_test(test_decode_version__both),
		cmocka_unit_test(test_decode_images__recorded),
		cmocka_unit_test(test_decode_images__forms),
		cmocka_unit_test(test_info_read__not_json),
		cmocka_unit_test(test_decode__every_truncation),
		cmocka_unit_test(test_decode__out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
