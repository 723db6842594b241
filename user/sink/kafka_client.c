// SPDX-License-Identifier: Apache-2.0
/*
 * A message for each line, by librdkafka, acknowledged by all replicas. The library tries again by itself, without end; a batch is
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
#include "sink/kafka_client.h"

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

struct cgm_kafka {
	rd_kafka_conf_t *conf; /* until there is rk, which takes it over */
	char *topic_name;
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

static void finish(struct cgm_kafka *s, struct message *m, rd_kafka_resp_err_t err)
{
	if (err && !is_refused(err)) {
		m->state = TO_PRODUCE;
		return;
	}
	m->state = DONE;
	s->nr_left--;
	s->nr_refused += err != 0;
}

static void note(struct cgm_kafka *s, const char *text)
{
	snprintf(s->fault, sizeof(s->fault), "%.200s", text);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct cgm_kafka *s = opaque;
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
	struct cgm_kafka *s = opaque;

	(void)rk;
	if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !*s->fault)
		note(s, reason);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	cgm_debug("kafka: %s: %s", facility, text);
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

static int bad(enum cgm_kafka_option option, enum cgm_kafka_option *ret_option, char *fault, const char *text)
{
	snprintf(fault, CGM_SINK_FAULT, "%s", text);
	*ret_option = option;
	return -EINVAL;
}

struct setting {
	enum cgm_kafka_option option; /* whose it is */
	const char *key, *value; /* NULL or "": stays as the library has it */
};

static int set(rd_kafka_conf_t *conf, const struct setting *settings, size_t nr, enum cgm_kafka_option *ret_option, char *fault)
{
	char text[160];

	for (size_t i = 0; i < nr; i++)
		if (settings[i].value && *settings[i].value &&
		    lib.rd_kafka_conf_set(conf, settings[i].key, settings[i].value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
			return bad(settings[i].option, ret_option, fault, text);
	return 0;
}

static int set_tls(rd_kafka_conf_t *conf, const struct cgm_kafka_config *c, enum cgm_kafka_option *ret_option, char *fault)
{
	const struct setting settings[] = {
		{ CGM_KAFKA_TLS, "security.protocol", *c->user ? "sasl_ssl" : "ssl" },
		{ CGM_KAFKA_CERT, "ssl.certificate.location", c->cert },
		{ CGM_KAFKA_KEY, "ssl.key.location", c->key },
		{ CGM_KAFKA_CA, "ssl.ca.location", *c->ca ? c->ca : c->default_ca },
		{ CGM_KAFKA_VERIFY, "enable.ssl.certificate.verification", c->skip_verify ? "false" : NULL },
	};

	if (!*c->cert != !*c->key)
		return bad(*c->cert ? CGM_KAFKA_CERT : CGM_KAFKA_KEY, ret_option, fault, "certificate and key belong together");
	return c->tls || *c->cert || *c->ca ? set(conf, settings, ARRAY_SIZE(settings), ret_option, fault) : 0;
}

static int set_login(rd_kafka_conf_t *conf, const struct cgm_kafka_config *c, enum cgm_kafka_option *ret_option, char *fault)
{
	const struct setting settings[] = {
		{ CGM_KAFKA_USER, "security.protocol", "sasl_plaintext" }, /* TLS says another behind it */
		{ CGM_KAFKA_USER, "sasl.mechanisms", "PLAIN" },
		{ CGM_KAFKA_USER, "sasl.username", c->user },
		{ CGM_KAFKA_USER, "sasl.password", c->password },
	};

	if (!*c->user != !*c->password)
		return bad(CGM_KAFKA_USER, ret_option, fault, "user and password belong together");
	return *c->user ? set(conf, settings, ARRAY_SIZE(settings), ret_option, fault) : 0;
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

static int configure(rd_kafka_conf_t *conf, struct cgm_kafka *s, const struct cgm_kafka_config *c, enum cgm_kafka_option *ret_option, char *fault)
{
	const struct setting settings[] = {
		{ CGM_KAFKA_BROKERS, "bootstrap.servers", c->brokers },
		{ CGM_KAFKA_COMPRESSION, "compression.codec", c->compression },
		{ CGM_KAFKA_ALL, "client.id", "cgmeter" },
		{ CGM_KAFKA_ALL, "acks", "all" },
		{ CGM_KAFKA_ALL, "message.timeout.ms", "0" }, /* until the end of the agent */
		{ CGM_KAFKA_ALL, "linger.ms", "5" },
		{ CGM_KAFKA_ALL, "reconnect.backoff.max.ms", "5000" },
		{ CGM_KAFKA_ALL, "log.connection.close", "false" },
	};
	int r = set(conf, settings, ARRAY_SIZE(settings), ret_option, fault);

	if (r == 0)
		r = set_login(conf, c, ret_option, fault);
	if (r == 0)
		r = set_tls(conf, c, ret_option, fault);
	lib.rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	lib.rd_kafka_conf_set_error_cb(conf, on_error);
	lib.rd_kafka_conf_set_log_cb(conf, on_log);
	lib.rd_kafka_conf_set_opaque(conf, s);
	lib.rd_kafka_conf_interceptor_add_on_new(conf, "cgmeter", on_new, NULL);
	return r;
}

void cgm_kafka_free(struct cgm_kafka *s)
{
	if (!s)
		return;
	if (s->topic)
		lib.rd_kafka_topic_destroy(s->topic);
	if (s->rk) {
		lib.rd_kafka_purge(s->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
		lib.rd_kafka_flush(s->rk, PURGE_MSEC);
		lib.rd_kafka_destroy(s->rk);
	}
	if (s->conf)
		lib.rd_kafka_conf_destroy(s->conf);
	free(s->topic_name);
	free(s->messages);
	free(s);
}

static int check(const struct cgm_kafka_config *c, enum cgm_kafka_option *ret_option, char *fault)
{
	const struct {
		enum cgm_kafka_option option;
		const char *file;
	} files[] = { { CGM_KAFKA_CERT, c->cert }, { CGM_KAFKA_KEY, c->key }, { CGM_KAFKA_CA, c->ca } };
	char text[CGM_SINK_FAULT];

	if (!*c->brokers)
		return bad(CGM_KAFKA_BROKERS, ret_option, fault, "must not be empty");
	if (!*c->topic)
		return bad(CGM_KAFKA_TOPIC, ret_option, fault, "must not be empty");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (!*files[i].file || access(files[i].file, R_OK) == 0)
			continue;
		snprintf(text, sizeof(text), "cannot read %.150s: %s", files[i].file, strerror(errno));
		return bad(files[i].option, ret_option, fault, text);
	}
	return 0;
}

int cgm_kafka_new(const struct cgm_kafka_config *c, struct cgm_kafka **ret, enum cgm_kafka_option *ret_option, char *fault)
{
	_cleanup_(cgm_kafka_freep) struct cgm_kafka *s = cgm_calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	if (load(fault) < 0) {
		*ret_option = CGM_KAFKA_ALL;
		return -EINVAL;
	}
	s->topic_name = cgm_strdup(c->topic);
	if (!s->topic_name)
		return -ENOMEM;
	s->conf = lib.rd_kafka_conf_new();
	r = check(c, ret_option, fault);
	if (r == 0)
		r = configure(s->conf, s, c, ret_option, fault);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- sending ---- */

static int start(struct cgm_kafka *s, struct cgm_sink_attempt *a)
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

static int begin(struct cgm_kafka *s, const struct cgm_sink_attempt *a)
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

static void produce(struct cgm_kafka *s, const struct cgm_sink_attempt *a)
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

enum cgm_sink_result cgm_kafka_send(struct cgm_kafka *s, struct cgm_sink_attempt *a)
{
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
