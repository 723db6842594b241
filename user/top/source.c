// SPDX-License-Identifier: Apache-2.0
#include "top/source.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/mem.h"
#include "top/http_client.h"
#include "top/maps.h"

/* While maps are read: how often the agent is tried. */
#define RETRY_NS (5 * CGM_NSEC_PER_SEC)
/* The agent's next sample is not there yet: pauses between two looks, doubled each time. */
#define FIRST_PAUSE_NS (20 * CGM_NSEC_PER_MSEC)
#define LAST_PAUSE_NS (500 * CGM_NSEC_PER_MSEC)

enum state { IDLE, FEED, PAUSE, HISTS, DONE, FAILED };

struct cgm_source {
	const struct cgm_top_options *o;
	struct cgm_url url;
	struct cgm_http_client client;
	bool use_agent, use_maps;
	struct cgm_maps *maps;	  /* opened when they are needed first */
	bool on_maps;		  /* what was read last */
	uint64_t agent_failed_ns; /* 0: it did not */
	enum state state;
	char *detail;
	uint64_t seen_mono_ns; /* of the agent's last feed */
	uint64_t until_ns, pause_ns;
	struct cgm_feed feed;
	struct cgm_hists hists;
	unsigned epoch;
	int error;
	char agent_text[320], agent_fault[400], fault[900];
};

static int bad_option(const char *name, const char *what)
{
	fprintf(stderr, "cgmeter top: %s: %s\n", name, what);
	return -EINVAL;
}

static int set_up(struct cgm_source *s)
{
	const struct cgm_top_options *o = s->o;
	const char *secret = *o->token_file ? o->token_file : o->basic_auth_file, *fault;
	char *authorization = NULL, why[100];

	if (cgm_url_parse(o->url, &s->url, &fault) < 0)
		return bad_option("--url", fault);
	if (*secret) {
		authorization = cgm_read_authorization(secret, !*o->token_file, why, sizeof(why));
		if (!authorization)
			return bad_option(*o->token_file ? "--token_file" : "--basic_auth_file", why);
	}
	cgm_http_client_init(&s->client, &s->url, authorization);
	s->use_agent = strcmp(o->source, "maps") != 0;
	/* Another machine's numbers are not ours. */
	s->use_maps = strcmp(o->source, "maps") == 0 || (strcmp(o->source, "auto") == 0 && s->url.is_loopback);
	snprintf(s->agent_text, sizeof(s->agent_text), "agent %s", o->url);
	return 0;
}

int cgm_source_open(const struct cgm_top_options *o, struct cgm_source **ret)
{
	struct cgm_source *s = cgm_calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->o = o;
	s->client.fd = -1;
	r = set_up(s);
	if (r < 0) {
		cgm_source_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

static void drop_results(struct cgm_source *s)
{
	cgm_feed_done(&s->feed);
	cgm_hists_done(&s->hists);
}

void cgm_source_close(struct cgm_source *s)
{
	if (!s)
		return;
	drop_results(s);
	cgm_http_client_done(&s->client);
	cgm_maps_close(s->maps);
	free(s->detail);
	free(s);
}

static int end_round(struct cgm_source *s, enum state state, int error)
{
	s->state = state;
	s->error = error;
	return state == DONE ? 1 : error;
}

/* ---- the maps ---- */

static int maps_failed(struct cgm_source *s, int error, const char *why)
{
	if (s->use_agent)
		snprintf(s->fault, sizeof(s->fault), "%s; and without it: %s", s->agent_fault, why);
	else
		snprintf(s->fault, sizeof(s->fault), "%s", why);
	return end_round(s, FAILED, error);
}

static int read_maps(struct cgm_source *s)
{
	unsigned epoch;
	char why[300];
	int r = 0;

	if (!s->maps)
		r = cgm_maps_open(s->o->root, s->o->pin_dir, &s->maps, why, sizeof(why));
	if (r < 0)
		return maps_failed(s, r, why);
	epoch = cgm_maps_epoch(s->maps);
	r = cgm_maps_read(s->maps, &s->feed);
	if (r == 0 && s->detail)
		r = cgm_maps_hists(s->maps, s->detail, &s->hists);
	if (r < 0)
		return maps_failed(s, r, strerror(-r));
	s->epoch += !s->on_maps || epoch != cgm_maps_epoch(s->maps);
	s->on_maps = true;
	return end_round(s, DONE, 0);
}

/* ---- the agent ---- */

static int agent_failed(struct cgm_source *s, int error, const char *why)
{
	drop_results(s); /* a feed whose histograms did not come */
	s->agent_failed_ns = cgm_clock_mono_ns();
	snprintf(s->agent_fault, sizeof(s->agent_fault), "%s: %s", s->agent_text, why);
	if (s->use_maps)
		return read_maps(s);
	snprintf(s->fault, sizeof(s->fault), "%s", s->agent_fault);
	return end_round(s, FAILED, error);
}

static int ask_feed(struct cgm_source *s)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/api/cgmeter/feed/%" PRIu64, s->seen_mono_ns);
	s->state = FEED;
	r = cgm_http_client_get(&s->client, path);
	return r < 0 ? agent_failed(s, r, s->client.fault) : 0;
}

static int ask_hists(struct cgm_source *s)
{
	struct cgm_buf path = {0};
	int r = -ENOMEM;

	cgm_buf_lit(&path, "/api/cgmeter/hists");
	cgm_url_encode(&path, s->detail);
	cgm_buf_char(&path, '\0');
	s->state = HISTS;
	if (!path.failed)
		r = cgm_http_client_get(&s->client, path.p);
	cgm_buf_done(&path);
	return r < 0 ? agent_failed(s, r, r == -ENOMEM ? "out of memory" : s->client.fault) : 0;
}

/* The agent has nothing newer, or nothing yet. */
static int pause_feed(struct cgm_source *s)
{
	s->state = PAUSE;
	s->until_ns = cgm_clock_mono_ns() + s->pause_ns;
	s->pause_ns = MIN(2 * s->pause_ns, LAST_PAUSE_NS);
	return 0;
}

static int refused(struct cgm_source *s, unsigned status)
{
	const char *text[] = {"it wants a password or a token (--basic_auth_file, --token_file)",
		"what listens there is no cgmeter agent, or an old one"};
	char other[64];

	if (status == 401 || status == 403)
		return agent_failed(s, -EACCES, text[0]);
	if (status == 404)
		return agent_failed(s, -ENOENT, text[1]);
	snprintf(other, sizeof(other), "it answers with status %u", status);
	return agent_failed(s, -EPROTO, other);
}

static int bad_text(struct cgm_source *s, int error, const char *fault, size_t line)
{
	char why[160];

	if (error == -ENOMEM)
		return agent_failed(s, error, "out of memory");
	snprintf(why, sizeof(why), "a text that is not understood: line %zu: %s", line, fault);
	return agent_failed(s, error, why);
}

static int agent_done(struct cgm_source *s)
{
	s->epoch += s->on_maps;
	s->on_maps = false;
	s->agent_failed_ns = 0;
	return end_round(s, DONE, 0);
}

static int take_feed(struct cgm_source *s, const struct cgm_answer *a)
{
	const char *fault;
	size_t line;
	int r;

	if (a->status == 503)
		return pause_feed(s);
	if (a->status != 200)
		return refused(s, a->status);
	r = cgm_feed_read(a->body, a->len, &s->feed, &fault, &line);
	if (r < 0)
		return bad_text(s, r, fault, line);
	if (r > 0)
		return pause_feed(s);
	s->seen_mono_ns = s->feed.mono_ns;
	return s->detail ? ask_hists(s) : agent_done(s);
}

static int take_hists(struct cgm_source *s, const struct cgm_answer *a)
{
	const char *fault;
	size_t line;
	int r;

	if (a->status == 404) /* gone since */
		return agent_done(s);
	if (a->status != 200)
		return refused(s, a->status);
	r = cgm_hists_read(a->body, a->len, &s->hists, &fault, &line);
	return r < 0 ? bad_text(s, r, fault, line) : agent_done(s);
}

/* ---- a round ---- */

void cgm_source_ask(struct cgm_source *s, const char *detail)
{
	bool resting = s->on_maps && s->agent_failed_ns && cgm_clock_mono_ns() - s->agent_failed_ns < RETRY_NS;

	drop_results(s);
	free(s->detail);
	s->detail = detail ? cgm_strdup(detail) : NULL;
	s->pause_ns = FIRST_PAUSE_NS;
	if (s->use_agent && !resting)
		(void)ask_feed(s);
	else
		(void)read_maps(s);
}

static int step_client(struct cgm_source *s)
{
	struct cgm_answer a;
	int r = cgm_http_client_step(&s->client, &a);

	if (r < 0)
		return agent_failed(s, r, s->client.fault);
	if (!r)
		return 0;
	return s->state == FEED ? take_feed(s, &a) : take_hists(s, &a);
}

int cgm_source_step(struct cgm_source *s)
{
	switch (s->state) {
	case FEED:
	case HISTS:
		return step_client(s);
	case PAUSE:
		return cgm_clock_mono_ns() >= s->until_ns ? ask_feed(s) : 0;
	case DONE:
		return 1;
	case FAILED:
		s->state = IDLE;
		return s->error;
	default:
		return 0;
	}
}

int cgm_source_wait(const struct cgm_source *s, short *ret_events, uint64_t *ret_until_ns)
{
	*ret_until_ns = UINT64_MAX;
	*ret_events = 0;
	if (s->state == PAUSE || s->state == DONE || s->state == FAILED)
		*ret_until_ns = s->state == PAUSE ? s->until_ns : 0;
	if (s->state != FEED && s->state != HISTS)
		return -1;
	*ret_until_ns = s->client.deadline_ns;
	*ret_events = cgm_http_client_events(&s->client);
	return s->client.fd;
}

void cgm_source_take(struct cgm_source *s, struct cgm_feed *ret_feed, struct cgm_hists *ret_hists)
{
	*ret_feed = s->feed;
	*ret_hists = s->hists;
	s->feed = (struct cgm_feed){0};
	s->hists = (struct cgm_hists){0};
	s->state = IDLE;
}

const char *cgm_source_kind(const struct cgm_source *s)
{
	if (!s->on_maps)
		return "agent";
	return strncmp(cgm_maps_text(s->maps), "maps ", 5) == 0 ? "maps" : "files";
}

const char *cgm_source_text(const struct cgm_source *s)
{
	return s->on_maps ? cgm_maps_text(s->maps) : s->agent_text;
}

const char *cgm_source_fault(const struct cgm_source *s)
{
	return s->fault;
}

unsigned cgm_source_epoch(const struct cgm_source *s)
{
	return s->epoch;
}
