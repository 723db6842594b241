// SPDX-License-Identifier: Apache-2.0
/*
 * Documents are pushed to the head of one list, whose key is --storage_driver_db: LPUSH with all documents of a batch at once, and LTRIM
 * behind it when the list has a length. A batch whose answer got lost is pushed again, so it may stand there twice.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/library.h"
#include "base/mem.h"
#include "base/parse.h"
#include "sink/config.h"
#include "sink/detail.h"

#define FUNCTIONS(X)                                                                                                     \
	X(redisConnectNonBlock) X(redisFree) X(redisAppendCommandArgv) X(redisBufferWrite) X(redisBufferRead)            \
	X(redisGetReplyFromReader) X(freeReplyObject)

static struct {
	FUNCTIONS(CGM_LIBRARY_MEMBER)
} lib;

struct state {
	const char *key, *user;
	struct cgm_secret password;
	bool has_password;
	uint64_t max_length;
	char host[CGM_HOST_BYTES];
	uint16_t port;
	redisContext *c; /* the sender's */
};

static int load(char *fault)
{
#define TEXT_OF(x) #x
#define SONAME(version) "libhiredis.so." TEXT_OF(version)
	static const char *const names[] = { SONAME(HIREDIS_SONAME), NULL }; /* its structs are not the same in each version */
#define X(f) CGM_LIBRARY_SYMBOL(lib, f)
	static const struct cgm_symbol symbols[] = { FUNCTIONS(X) };
#undef X
	return cgm_library_load(names, symbols, ARRAY_SIZE(symbols), fault, CGM_SINK_FAULT);
}

static int check(const struct cgm_sink_config *c, const struct state *s, const char **ret_flag, char *fault)
{
	char secret[CGM_SECRET_BYTES];
	int r = 0;

	if (c->secure)
		return cgm_sink_bad("--storage_driver_secure", ret_flag, fault,
				    "the redis driver has no TLS (and cAdvisor's did not use it either); put a TLS proxy before it, or leave the flag out");
	if (!*c->db)
		return cgm_sink_bad("--storage_driver_db", ret_flag, fault, "is the key of the list in redis, and must not be empty");
	if (s->has_password)
		r = cgm_secret_get(&s->password, secret, fault);
	explicit_bzero(secret, sizeof(secret));
	if (r < 0)
		*ret_flag = "--storage_driver_password_file";
	else if (*c->redis_user && !s->has_password)
		return cgm_sink_bad("--storage_driver_redis_user", ret_flag, fault, "needs a password");
	return r < 0 ? -EINVAL : 0;
}

static int redis_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	const char *address = *c->redis_host ? c->redis_host : c->host;
	_cleanup_free_ struct state *s = cgm_calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->key = c->db;
	s->user = c->redis_user;
	s->password = (struct cgm_secret){ c->password, c->password_file };
	s->has_password = *c->password_file || (*c->password && strcmp(c->password, CGM_SINK_DEFAULT_PASSWORD) != 0);
	s->max_length = c->redis_max_length;
	r = check(c, s, ret_flag, fault);
	if (r < 0)
		return r;
	if (cgm_split_host(address, 6379, s->host, &s->port) < 0)
		return cgm_sink_bad(*c->redis_host ? "--storage_driver_redis_host" : "--storage_driver_host", ret_flag, fault,
				    "\"%.100s\" is no host:port", address);
	if (load(fault) < 0) {
		*ret_flag = "--storage_driver";
		return -EINVAL;
	}
	*ret = TAKE_PTR(s);
	return 0;
}

static void disconnect(struct state *s)
{
	if (s->c)
		lib.redisFree(s->c);
	s->c = NULL;
}

static void redis_close(void *state)
{
	disconnect(state);
	free(state);
}

static uint64_t redis_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	(void)state;
	cgm_detail(s, CGM_DETAIL_USEC, out);
	cgm_buf_char(out, '\n');
	return 1;
}

/* ---- sending ---- */

static enum cgm_sink_result broken(struct state *s, struct cgm_sink_attempt *a, const char *what)
{
	(void)cgm_sink_again(a, "%s port %u: %s", s->host, s->port, s->c && s->c->err ? s->c->errstr : what);
	disconnect(s);
	return CGM_SINK_AGAIN;
}

/* Writes what is buffered and waits for one reply, which is the caller's. NULL: the connection is broken or slow. */
static redisReply *exchange(struct state *s, const struct cgm_sink_attempt *a)
{
	int all_written = 0;
	void *reply = NULL;

	for (;;) {
		if (!all_written && lib.redisBufferWrite(s->c, &all_written) != REDIS_OK)
			return NULL;
		if (lib.redisGetReplyFromReader(s->c, &reply) != REDIS_OK)
			return NULL;
		if (reply)
			return reply;
		if (!cgm_sink_poll(a->stop, s->c->fd, (short)(POLLIN | (all_written ? 0 : POLLOUT)), a->until_ns))
			return NULL;
		if (lib.redisBufferRead(s->c) != REDIS_OK)
			return NULL;
	}
}

/* 0; -EPERM: the server says no, with its words in fault; -EIO: no answer. */
static int command(struct state *s, struct cgm_sink_attempt *a, int argc, const char **argv, const size_t *lens)
{
	redisReply *reply;
	int r = 0;

	if (lib.redisAppendCommandArgv(s->c, argc, argv, lens) != REDIS_OK)
		return -EIO;
	reply = exchange(s, a);
	if (!reply)
		return -EIO;
	if (reply->type == REDIS_REPLY_ERROR) {
		(void)cgm_sink_again(a, "%s port %u: %.150s: %s", s->host, s->port, argv[0], reply->str);
		r = -EPERM;
	}
	lib.freeReplyObject(reply);
	return r;
}

static int authenticate(struct state *s, struct cgm_sink_attempt *a)
{
	char secret[CGM_SECRET_BYTES];
	const char *argv[] = { "AUTH", s->user, secret };
	size_t lens[] = { 4, strlen(s->user), 0 };
	int r = cgm_secret_get(&s->password, secret, a->fault);

	lens[2] = strlen(secret);
	if (r == 0 && *s->user) {
		r = command(s, a, 3, argv, lens);
	} else if (r == 0) {
		argv[1] = argv[2];
		lens[1] = lens[2];
		r = command(s, a, 2, argv, lens);
	}
	explicit_bzero(secret, sizeof(secret));
	return r;
}

static int connect_to(struct state *s, struct cgm_sink_attempt *a)
{
	int err = 0;
	socklen_t len = sizeof(err);

	s->c = lib.redisConnectNonBlock(s->host, s->port);
	if (!s->c || s->c->err)
		return -EIO;
	if (!cgm_sink_poll(a->stop, s->c->fd, POLLOUT, a->until_ns))
		return -EIO;
	if (getsockopt(s->c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err) {
		snprintf(s->c->errstr, sizeof(s->c->errstr), "%s", strerror(err ? err : errno));
		s->c->err = REDIS_ERR_IO;
		return -EIO;
	}
	return s->has_password ? authenticate(s, a) : 0;
}

static int push(struct state *s, struct cgm_sink_attempt *a)
{
	_cleanup_free_ const char **argv = cgm_calloc(a->nr_points + 2, sizeof(*argv));
	_cleanup_free_ size_t *lens = cgm_calloc(a->nr_points + 2, sizeof(*lens));
	struct cgm_str rest = { a->data, a->len }, line;
	int argc = 2;

	if (!argv || !lens) {
		(void)cgm_sink_again(a, "out of memory");
		return -EPERM;
	}
	argv[0] = "LPUSH";
	argv[1] = s->key;
	lens[0] = 5;
	lens[1] = strlen(s->key);
	while ((uint64_t)argc < a->nr_points + 2 && cgm_next_line(&rest, &line)) {
		argv[argc] = line.p;
		lens[argc++] = line.len;
	}
	return command(s, a, argc, argv, lens);
}

static int trim(struct state *s, struct cgm_sink_attempt *a)
{
	char last[24];
	const char *argv[] = { "LTRIM", s->key, "0", last };
	size_t lens[] = { 5, strlen(s->key), 1, 0 };

	lens[3] = (size_t)snprintf(last, sizeof(last), "%llu", (unsigned long long)s->max_length - 1);
	return command(s, a, 4, argv, lens);
}

static enum cgm_sink_result redis_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;
	int r = s->c ? 0 : connect_to(s, a);

	if (r == 0)
		r = push(s, a);
	if (r == -EPERM && strstr(a->fault, "WRONGTYPE")) {
		/* The key is somebody else's, and is no list: these documents have no place. */
		a->nr_lost = a->nr_points;
		a->loss = CGM_SINK_REJECTED;
		return CGM_SINK_WRITTEN;
	}
	if (r == -EIO)
		return broken(s, a, "no answer in time");
	if (r < 0) {
		disconnect(s); /* a failed AUTH, a server that loads: begin anew */
		return CGM_SINK_AGAIN;
	}
	/* What is pushed is pushed: a list that stays too long is cut the next time. */
	if (s->max_length && trim(s, a) == -EIO)
		disconnect(s);
	return CGM_SINK_WRITTEN;
}

const struct cgm_sink_driver cgm_sink_redis = {
	.name = "redis",
	.packed = true,
	.open = redis_open,
	.close = redis_close,
	.encode = redis_encode,
	.send = redis_send,
};
