// SPDX-License-Identifier: Apache-2.0
/*
 * A message for each document, by librdkafka, acknowledged by all replicas. The library tries again by itself, without end; a batch is
 * done when each of its messages is acknowledged or refused for good. A try here only waits for that, so nothing is produced twice unless the
 * library has given a message back.
 */
#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/library.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "sink/config.h"
#include "sink/detail.h"

#define SLICE_MSEC 100 /* of waiting, after which the end is looked for */
#define PURGE_MSEC 500

#define FUNCTIONS(X)                                                                                                                     \
	X(rd_kafka_conf_new) X(rd_kafka_conf_destroy) X(rd_kafka_conf_set) X(rd_kafka_conf_set_dr_msg_cb) X(rd_kafka_conf_set_log_cb)    \
	X(rd_kafka_conf_set_error_cb) X(rd_kafka_conf_set_opaque) X(rd_kafka_new) X(rd_kafka_destroy) X(rd_kafka_topic_new)              \
	X(rd_kafka_topic_destroy) X(rd_kafka_produce) X(rd_kafka_poll) X(rd_kafka_purge) X(rd_kafka_flush) X(rd_kafka_last_error)        \
	X(rd_kafka_err2str) X(rd_kafka_conf_interceptor_add_on_new) X(rd_kafka_interceptor_add_on_thread_start)

static struct {
	FUNCTIONS(CGM_LIBRARY_MEMBER)
} lib;

enum message_state { TO_PRODUCE, IN_FLIGHT, DONE };

struct message {
	uint32_t at, len; /* in the batch */
	enum message_state state;
};

struct state {
	rd_kafka_conf_t *conf; /* until there is rk, which takes it over */
	const char *topic_name;
	/* the sender's. Made with the first batch: from then on the library has threads and connections of its own */
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	/* the batch under way; its text stays the same until it is done */
	struct message *messages;
	size_t nr, nr_left, nr_refused; /* left: not done */
	char fault[CGM_SINK_FAULT]; /* the last that the library said */
};

/* An index, as what the library hands back with a message. */
static void *to_opaque(size_t i)
{
	return (void *)(uintptr_t)(i + 1);
}

/* Not to be tried again: the fault is the message's own. */
static bool is_refused(rd_kafka_resp_err_t err)
{
	return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || err == RD_KAFKA_RESP_ERR_INVALID_MSG || err == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
	       err == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void finish(struct state *s, struct message *m, rd_kafka_resp_err_t err)
{
	if (err && !is_refused(err)) {
		m->state = TO_PRODUCE;
		return;
	}
	m->state = DONE;
	s->nr_left--;
	s->nr_refused += err != 0;
}

static void note(struct state *s, const char *text)
{
	snprintf(s->fault, sizeof(s->fault), "%.200s", text);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct state *s = opaque;
	size_t i = (uintptr_t)message->_private - 1;

	(void)rk;
	if (message->err)
		note(s, lib.rd_kafka_err2str(message->err));
	if (i < s->nr && s->messages[i].state == IN_FLIGHT)
		finish(s, &s->messages[i], message->err);
}

/* Called by rd_kafka_poll(), in our own thread. That no broker is left comes behind why the last one went, which tells more. */
static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
	struct state *s = opaque;

	(void)rk;
	if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !*s->fault)
		note(s, reason);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	cgm_debug("storage driver kafka: %s: %s", facility, text);
}

/* ---- opening ---- */

static int load(char *fault)
{
	static const char *const names[] = { "librdkafka.so.1", NULL };
#define X(f) CGM_LIBRARY_SYMBOL(lib, f)
	static const struct cgm_symbol symbols[] = { FUNCTIONS(X) };
#undef X
	return cgm_library_load(names, symbols, ARRAY_SIZE(symbols), fault, CGM_SINK_FAULT);
}

static int set(rd_kafka_conf_t *conf, const char *flag, const char *key, const char *value, const char **ret_flag, char *fault)
{
	char text[160];

	if (!*value || lib.rd_kafka_conf_set(conf, key, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
		return 0;
	return cgm_sink_bad(flag, ret_flag, fault, "%s", text);
}

static int set_tls(rd_kafka_conf_t *conf, const struct cgm_sink_config *c, const char **ret_flag, char *fault)
{
	static const char cert[] = "--storage_driver_kafka_ssl_cert", key[] = "--storage_driver_kafka_ssl_key", ca[] = "--storage_driver_kafka_ssl_ca";
	int r;

	if (!*c->kafka_ssl_cert != !*c->kafka_ssl_key)
		return cgm_sink_bad(*c->kafka_ssl_cert ? cert : key, ret_flag, fault, "certificate and key belong together");
	if (!c->secure && !*c->kafka_ssl_cert && !*c->kafka_ssl_ca)
		return 0;
	r = set(conf, "--storage_driver_secure", "security.protocol", "ssl", ret_flag, fault);
	if (r == 0)
		r = set(conf, cert, "ssl.certificate.location", c->kafka_ssl_cert, ret_flag, fault);
	if (r == 0)
		r = set(conf, key, "ssl.key.location", c->kafka_ssl_key, ret_flag, fault);
	if (r == 0)
		r = set(conf, ca, "ssl.ca.location", *c->kafka_ssl_ca ? c->kafka_ssl_ca : c->tls_ca_file, ret_flag, fault);
	if (r == 0 && !c->kafka_ssl_verify)
		r = set(conf, "--storage_driver_kafka_ssl_verify", "enable.ssl.certificate.verification", "false", ret_flag, fault);
	return r;
}

/*
 * The library blocks all signals in its threads. A denied system call comes as one (node/seccomp.h), and where that is blocked the kernel ends the
 * process instead.
 */
static rd_kafka_resp_err_t on_thread(_unused_ rd_kafka_t *rk, _unused_ rd_kafka_thread_type_t type, _unused_ const char *name, _unused_ void *opaque)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, _unused_ const rd_kafka_conf_t *conf, _unused_ void *opaque, _unused_ char *fault, _unused_ size_t size)
{
	return lib.rd_kafka_interceptor_add_on_thread_start(rk, "cgmeter", on_thread, NULL);
}

static int configure(rd_kafka_conf_t *conf, struct state *s, const struct cgm_sink_config *c, const char **ret_flag, char *fault)
{
	static const struct {
		const char *key, *value;
	} fixed[] = {
		{ "client.id", "cgmeter" }, { "acks", "all" },			   { "message.timeout.ms", "0" }, /* until the end of the agent */
		{ "linger.ms", "5" },	    { "reconnect.backoff.max.ms", "5000" }, { "log.connection.close", "false" },
	};
	int r = set(conf, "--storage_driver_kafka_broker_list", "bootstrap.servers", c->kafka_brokers, ret_flag, fault);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fixed); i++)
		r = set(conf, "--storage_driver", fixed[i].key, fixed[i].value, ret_flag, fault);
	if (r == 0)
		r = set_tls(conf, c, ret_flag, fault);
	lib.rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	lib.rd_kafka_conf_set_error_cb(conf, on_error);
	lib.rd_kafka_conf_set_log_cb(conf, on_log);
	lib.rd_kafka_conf_set_opaque(conf, s);
	lib.rd_kafka_conf_interceptor_add_on_new(conf, "cgmeter", on_new, NULL);
	return r;
}

static void kafka_close(void *state)
{
	struct state *s = state;

	if (s->topic)
		lib.rd_kafka_topic_destroy(s->topic);
	if (s->rk) {
		lib.rd_kafka_purge(s->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
		lib.rd_kafka_flush(s->rk, PURGE_MSEC);
		lib.rd_kafka_destroy(s->rk);
	}
	if (s->conf)
		lib.rd_kafka_conf_destroy(s->conf);
	free(s->messages);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		kafka_close(*s);
}

static int check_file(const char *flag, const char *file, const char **ret_flag, char *fault)
{
	if (!*file || access(file, R_OK) == 0)
		return 0;
	return cgm_sink_bad(flag, ret_flag, fault, "cannot read %.150s: %s", file, strerror(errno));
}

static int check(const struct cgm_sink_config *c, const char **ret_flag, char *fault)
{
	if (!*c->kafka_brokers)
		return cgm_sink_bad("--storage_driver_kafka_broker_list", ret_flag, fault, "must not be empty");
	if (!*c->kafka_topic)
		return cgm_sink_bad("--storage_driver_kafka_topic", ret_flag, fault, "must not be empty");
	if (check_file("--storage_driver_kafka_ssl_cert", c->kafka_ssl_cert, ret_flag, fault) < 0 ||
	    check_file("--storage_driver_kafka_ssl_key", c->kafka_ssl_key, ret_flag, fault) < 0)
		return -EINVAL;
	return check_file("--storage_driver_kafka_ssl_ca", c->kafka_ssl_ca, ret_flag, fault);
}

static int kafka_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	if (load(fault) < 0) {
		*ret_flag = "--storage_driver";
		return -EINVAL;
	}
	s->topic_name = c->kafka_topic;
	s->conf = lib.rd_kafka_conf_new();
	r = check(c, ret_flag, fault);
	if (r == 0)
		r = configure(s->conf, s, c, ret_flag, fault);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

static uint64_t kafka_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	(void)state;
	cgm_detail(s, CGM_DETAIL_TEXT, out);
	cgm_buf_char(out, '\n');
	return 1;
}

/* ---- sending ---- */

static int start(struct state *s, struct cgm_sink_attempt *a)
{
	char text[160];

	if (!s->rk) {
		s->rk = lib.rd_kafka_new(RD_KAFKA_PRODUCER, s->conf, text, sizeof(text));
		if (!s->rk) {
			(void)cgm_sink_again(a, "%s", text);
			return -EINVAL;
		}
		s->conf = NULL;
	}
	if (!s->topic)
		s->topic = lib.rd_kafka_topic_new(s->rk, s->topic_name, NULL);
	if (s->topic)
		return 0;
	(void)cgm_sink_again(a, "topic %.100s: %s", s->topic_name, lib.rd_kafka_err2str(lib.rd_kafka_last_error()));
	return -EINVAL;
}

static int begin(struct state *s, const struct cgm_sink_attempt *a)
{
	struct cgm_str rest = { a->data, a->len }, line;

	free(s->messages);
	s->nr = s->nr_left = s->nr_refused = 0;
	s->fault[0] = '\0';
	s->messages = cgm_calloc(a->nr_points, sizeof(*s->messages));
	if (!s->messages)
		return -ENOMEM;
	while (s->nr < a->nr_points && cgm_next_line(&rest, &line))
		s->messages[s->nr++] = (struct message){ .at = (uint32_t)(line.p - a->data), .len = (uint32_t)line.len };
	s->nr_left = s->nr;
	return 0;
}

static void produce(struct state *s, const struct cgm_sink_attempt *a)
{
	for (size_t i = 0; i < s->nr; i++) {
		struct message *m = &s->messages[i];
		rd_kafka_resp_err_t err;

		if (m->state != TO_PRODUCE)
			continue;
		m->state = IN_FLIGHT;
		if (lib.rd_kafka_produce(s->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)(a->data + m->at), m->len, NULL, 0,
					 to_opaque(i)) == 0)
			continue;
		err = lib.rd_kafka_last_error();
		note(s, lib.rd_kafka_err2str(err));
		finish(s, m, err);
		if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return;
	}
}

static enum cgm_sink_result kafka_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;

	if (start(s, a) < 0)
		return CGM_SINK_AGAIN;
	if ((a->first || !s->messages) && begin(s, a) < 0)
		return cgm_sink_again(a, "out of memory");
	while (s->nr_left && cgm_sink_left_msec(a->stop, a->until_ns)) {
		produce(s, a);
		(void)lib.rd_kafka_poll(s->rk, MIN(SLICE_MSEC, cgm_sink_left_msec(a->stop, a->until_ns)));
	}
	if (s->nr_left)
		return cgm_sink_again(a, "%zu messages are not acknowledged: %s", s->nr_left, *s->fault ? s->fault : "no answer in time");
	if (s->nr_refused)
		(void)cgm_sink_again(a, "%s", s->fault);
	a->nr_lost = s->nr_refused;
	a->loss = CGM_SINK_REJECTED;
	return CGM_SINK_WRITTEN;
}

const struct cgm_sink_driver cgm_sink_kafka = {
	.name = "kafka",
	.packed = true,
	.open = kafka_open,
	.close = kafka_close,
	.encode = kafka_encode,
	.send = kafka_send,
};
