// SPDX-License-Identifier: Apache-2.0
/*
 * Requests by libcurl's socket interface over an epoll of our own: what an answer costs does not depend on how many others are under way. A slot is one node that is being asked;
 * it keeps its handle and buffer for the next one.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "source/internal.h"

#define LATE_NS (500 * CGM_NSEC_PER_MSEC) /* who is asked for longer does not count against max_parallel any more: a dead node takes nobody's place */
#define LATE_TIMES 8 /* but no more than that many times as many are asked at once */
#define CONNECT_MSEC 5000L
#define SLOW_CONNECT_MSEC 2000L /* of nodes that failed the last time */
#define KEEP_BODY_BYTES ((size_t)256 << 10)
#define SPARE_FDS 256

struct cgm_source_slot {
	struct cgm_source_slot *next, **link; /* free, or active */
	struct cgm_source *s;
	struct cgm_source_node *node;
	struct cgm_source_multi *m; /* the node's */
	CURL *easy;
	struct cgm_buf body, url;
	enum cgm_decode_form form;
	unsigned tried; /* a mask of forms */
	uint64_t begin_ns, limit_ns, request_ns, request_real_ns; /* monotonic, but for the last one */
	bool slow, late, too_large, no_memory, server_trouble; /* server_trouble: a form failed that may come back soon */
	unsigned rank; /* of the worst fault so far; 0: none */
	enum cgm_node_fault fault;
	char text[CGM_SOURCE_FAULT], date[40], error[CURL_ERROR_SIZE];
};

static unsigned max_slow(const struct cgm_source *s)
{
	return MAX(s->config.max_parallel / 4, 2U);
}

/* ---- libcurl's calls ---- */

/* Which multi handle, and which descriptor. */
static uint64_t key_of(const struct cgm_source_multi *m, int fd)
{
	return (uint64_t)(m - m->s->multis) << 32 | (uint32_t)fd;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct cgm_source_multi *m = arg;
	struct cgm_source *s = m->s;
	struct epoll_event e = { .data.u64 = key_of(m, fd) };

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(s->poll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	e.events = (what & CURL_POLL_IN ? (unsigned)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (unsigned)EPOLLOUT : 0);
	/* A descriptor that was closed behind our back and came again is not in the set any more. */
	if (epoll_ctl(s->poll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) < 0 &&
	    epoll_ctl(s->poll_fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e) < 0)
		return -1;
	s->curl->curl_multi_assign(m->multi, fd, m);
	return 0;
}

static int on_timer(CURLM *multi, long msec, void *arg)
{
	struct cgm_source_multi *m = arg;

	(void)multi;
	m->timer_ns = msec < 0 ? UINT64_MAX : cgm_clock_mono_ns() + (uint64_t)msec * CGM_NSEC_PER_MSEC;
	return 0;
}

static size_t on_header(char *p, size_t size, size_t nr, void *arg)
{
	struct cgm_source_slot *t = arg;
	size_t len = size * nr;

	if (len > 6 && strncasecmp(p, "Date: ", 6) == 0)
		snprintf(t->date, sizeof(t->date), "%.*s", (int)MIN(len - 6, sizeof(t->date) - 1), p + 6);
	return len;
}

static size_t on_data(char *p, size_t size, size_t nr, void *arg)
{
	struct cgm_source_slot *t = arg;
	size_t len = size * nr;

	if (len > t->s->config.max_bytes - MIN(t->body.len, t->s->config.max_bytes)) {
		t->too_large = true;
		return 0;
	}
	cgm_buf_put(&t->body, p, len);
	t->no_memory = t->body.failed;
	return t->no_memory ? 0 : len;
}

/* ---- slots ---- */

static void slot_free(struct cgm_source_slot *t)
{
	if (!t)
		return;
	if (t->easy)
		t->s->curl->curl_easy_cleanup(t->easy);
	cgm_buf_done(&t->body);
	cgm_buf_done(&t->url);
	free(t);
}
DEFINE_CLEANUP(cgm_source_slot, slot_free)

#define SET(t, option, value) ((t)->s->curl->curl_easy_setopt((t)->easy, option, value))

static struct cgm_source_slot *new_slot(struct cgm_source *s)
{
	_cleanup_(cgm_source_slot_freep) struct cgm_source_slot *t = cgm_calloc(1, sizeof(*t));
	CURLcode bad = CURLE_OK;

	if (!t)
		return NULL;
	t->s = s;
	t->easy = s->curl->curl_easy_init();
	if (!t->easy)
		return NULL;
	bad |= SET(t, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= SET(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= SET(t, CURLOPT_NOSIGNAL, 1L);
	bad |= SET(t, CURLOPT_PROXY, ""); /* nodes are near, whatever the environment says */
	bad |= SET(t, CURLOPT_USERAGENT, "cgmeter/" CGM_VERSION);
	bad |= SET(t, CURLOPT_ERRORBUFFER, t->error);
	bad |= SET(t, CURLOPT_HEADERFUNCTION, on_header);
	bad |= SET(t, CURLOPT_HEADERDATA, t);
	bad |= SET(t, CURLOPT_WRITEFUNCTION, on_data);
	bad |= SET(t, CURLOPT_WRITEDATA, t);
	bad |= SET(t, CURLOPT_PRIVATE, t);
	bad |= SET(t, CURLOPT_TCP_KEEPALIVE, 1L);
	bad |= SET(t, CURLOPT_MAXAGE_CONN, 600L);
	bad |= SET(t, CURLOPT_DNS_CACHE_TIMEOUT, 0L); /* else libcurl looks through all addresses after each request; connections are kept, so it seldom asks */
	bad |= SET(t, CURLOPT_QUICK_EXIT, 1L);
	return bad == CURLE_OK ? TAKE_PTR(t) : NULL;
}

/* NULL: out of memory. */
static struct cgm_source_slot *take_slot(struct cgm_source *s)
{
	struct cgm_source_slot *t = s->slots;

	if (t) {
		s->slots = t->next;
		s->nr_free--;
	} else {
		t = new_slot(s);
	}
	if (!t)
		return NULL;
	t->next = s->active;
	t->link = &s->active;
	if (s->active)
		s->active->link = &t->next;
	s->active = t;
	s->nr_active++;
	return t;
}

static void not_counted(struct cgm_source_slot *t)
{
	if (t->late)
		return;
	if (t->slow)
		t->s->nr_slow--;
	else
		t->s->nr_main--;
	t->late = true;
}

static void give_slot(struct cgm_source_slot *t)
{
	struct cgm_source *s = t->s;

	not_counted(t);
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	s->nr_active--;
	t->node = NULL;
	if (t->body.cap > KEEP_BODY_BYTES || t->body.failed)
		cgm_buf_done(&t->body);
	if (s->nr_free >= s->config.max_parallel) {
		slot_free(t);
		return;
	}
	t->next = s->slots;
	s->slots = t;
	s->nr_free++;
}

/* ---- one request ---- */

/* False: out of memory. */
static bool prepare(struct cgm_source_slot *t, uint64_t now_ns)
{
	struct cgm_source *s = t->s;
	const char *body, *path = cgm_source_path(t->node, t->form, &body);
	long left = t->limit_ns > now_ns ? (long)((t->limit_ns - now_ns) / CGM_NSEC_PER_MSEC) + 1 : 1;
	CURLcode bad = CURLE_OK;

	t->url.len = t->body.len = 0;
	t->too_large = t->no_memory = false;
	*t->date = *t->error = '\0';
	cgm_buf_str(&t->url, t->node->base);
	cgm_buf_str(&t->url, path);
	cgm_buf_char(&t->url, '\0');
	if (t->url.failed) {
		cgm_buf_done(&t->url);
		return false;
	}
	bad |= SET(t, CURLOPT_URL, t->url.p);
	bad |= SET(t, CURLOPT_TIMEOUT_MS, left);
	bad |= SET(t, CURLOPT_CONNECTTIMEOUT_MS, MIN(left, t->slow ? SLOW_CONNECT_MSEC : CONNECT_MSEC));
	if (body) {
		bad |= SET(t, CURLOPT_POSTFIELDS, body); /* a literal */
		bad |= SET(t, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
	} else {
		bad |= SET(t, CURLOPT_HTTPGET, 1L);
	}
	return bad == CURLE_OK && cgm_source_login_set(s, t->node, t->easy, body != NULL);
}

static void end_node(struct cgm_source_slot *t)
{
	cgm_source_node_failed(t->s, t->node, t->fault, t->text);
	give_slot(t);
}

static void fail_memory(struct cgm_source_slot *t)
{
	t->fault = CGM_NODE_MEMORY;
	snprintf(t->text, sizeof(t->text), "out of memory");
	end_node(t);
}

static void request(struct cgm_source_slot *t)
{
	struct cgm_source *s = t->s;
	uint64_t now_ns = cgm_clock_mono_ns();

	t->tried |= 1U << t->form;
	t->request_ns = now_ns;
	t->request_real_ns = cgm_clock_real_ns();
	if (!prepare(t, now_ns) || s->curl->curl_multi_add_handle(t->m->multi, t->easy) != CURLM_OK) {
		fail_memory(t);
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->stats.nr_requests++;
	pthread_mutex_unlock(&s->lock);
}

/* ---- its end ---- */

static void note(struct cgm_source_slot *t, enum cgm_node_fault f, const char *text)
{
	unsigned rank = cgm_source_fault_rank(f, t->form);

	if (rank <= t->rank)
		return;
	t->rank = rank;
	t->fault = f;
	snprintf(t->text, sizeof(t->text), "%s", text);
}

/* 0; else what is wrong, which is noted. */
static int decode(struct cgm_source_slot *t, uint64_t *nr_bad)
{
	struct cgm_source *s = t->s;
	char fault[CGM_DECODE_FAULT] = "there is nothing in it", text[CGM_SOURCE_FAULT];
	const char *ignored;
	int r = cgm_decode(t->form, t->body.p ? t->body.p : "", t->body.len, &s->draft, nr_bad, fault);

	if (r == 0 && s->draft.failed)
		r = -ENOMEM;
	if (r == 0 && !s->draft.nr_sets)
		r = -EINVAL;
	if (r == 0)
		return 0;
	snprintf(text, sizeof(text), "%.40s: %.150s", cgm_source_path(t->node, t->form, &ignored), r == -ENOMEM ? "out of memory" : fault);
	note(t, r == -ENOMEM ? CGM_NODE_MEMORY : CGM_NODE_NONSENSE, text);
	return r;
}

/* True: the answer was good, and is handed on. */
static bool take_answer(struct cgm_source_slot *t)
{
	struct cgm_source *s = t->s;
	struct cgm_source_node *n = t->node;
	uint64_t nr_bad = 0, now_ns = cgm_clock_mono_ns();
	struct cgm_node_facts facts = { .name = n->name, .hostname = n->hostname, .host_id = n->host_id, .node = n->kube };
	bool good = decode(t, &nr_bad) == 0;

	if (good) {
		int64_t skew = cgm_source_skew(*t->date ? t->date : NULL, &s->draft, t->request_real_ns, t->request_real_ns + (now_ns - t->request_ns));

		cgm_source_node_ok(s, n, t->form, now_ns - t->request_ns, skew, nr_bad);
		if (t->server_trouble)
			n->probe_again_ns = MIN(n->probe_again_ns, cgm_clock_real_ns() + 300 * CGM_NSEC_PER_SEC);
		s->nr_answered++;
		s->last_answer_ns = now_ns;
		s->config.on_node(s->config.arg, &facts, &s->draft, s->end_ns);
	}
	cgm_draft_clear(&s->draft);
	return good;
}

/* Something came over HTTP that is no use: is there another form to try? */
static void go_on(struct cgm_source_slot *t)
{
	struct cgm_source *s = t->s;

	if (t->rank && (t->fault == CGM_NODE_MEMORY || !cgm_source_next_form(s, t->node, t->tried, cgm_clock_real_ns(), &t->form)))
		end_node(t);
	else
		request(t);
}

static void finish(struct cgm_source_slot *t, CURLcode code)
{
	struct cgm_source *s = t->s;
	char text[CGM_SOURCE_FAULT];
	long status = 0;

	s->curl->curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	pthread_mutex_lock(&s->lock);
	s->stats.nr_bytes += t->body.len;
	pthread_mutex_unlock(&s->lock);
	if (code == CURLE_OK && status == 200) {
		if (take_answer(t))
			give_slot(t);
		else
			go_on(t);
	} else if (code == CURLE_OK) {
		t->server_trouble |= status >= 500 || status == 429;
		note(t, cgm_source_status_fault(s, t->node, t->form, status, text), text);
		/* A form that is known to be there is not given up for a server in trouble. */
		if (t->node->form == t->form && t->server_trouble)
			end_node(t);
		else
			go_on(t);
	} else {
		t->fault = t->too_large ? CGM_NODE_TOO_LARGE : t->no_memory ? CGM_NODE_MEMORY : CGM_NR_NODE_FAULTS;
		if (t->too_large)
			snprintf(t->text, sizeof(t->text), "an answer of more than %llu bytes", (unsigned long long)s->config.max_bytes);
		else if (t->no_memory)
			snprintf(t->text, sizeof(t->text), "out of memory");
		else
			t->fault = cgm_source_curl_fault(s, t->node, code, *t->error ? t->error : s->curl->curl_easy_strerror(code), t->text);
		end_node(t);
	}
}

static void reap(struct cgm_source *s, struct cgm_source_multi *of)
{
	CURLMsg *m;
	int left;

	while ((m = s->curl->curl_multi_info_read(of->multi, &left))) {
		struct cgm_source_slot *t = NULL;
		CURLcode code = m->data.result;
		CURL *easy = m->easy_handle;

		if (m->msg != CURLMSG_DONE)
			continue;
		s->curl->curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
		s->curl->curl_multi_remove_handle(of->multi, easy);
		finish(t, code);
	}
}

/* ---- whose turn it is ---- */

static void ask(struct cgm_source *s, struct cgm_source_node *n, bool slow, uint64_t now_ns)
{
	struct cgm_source_slot *t = take_slot(s);

	if (!t) {
		cgm_source_node_failed(s, n, CGM_NODE_MEMORY, "out of memory");
		return;
	}
	if (!s->first_request_ns)
		s->first_request_ns = now_ns;
	t->node = n;
	t->m = &s->multis[n->order % CGM_SOURCE_MULTIS];
	t->slow = slow;
	t->late = t->server_trouble = false;
	t->tried = t->rank = 0;
	t->begin_ns = now_ns;
	t->limit_ns = MIN(now_ns + s->config.timeout_ns, s->limit_ns);
	if (slow)
		s->nr_slow++;
	else
		s->nr_main++;
	cgm_source_next_form(s, n, 0, cgm_clock_real_ns(), &t->form);
	request(t);
}

static void find_late(struct cgm_source *s, uint64_t now_ns)
{
	for (struct cgm_source_slot *t = s->active; t; t = t->next)
		if (!t->slow && !t->late && now_ns - t->begin_ns > MIN(LATE_NS, s->config.resolution_ns / 20))
			not_counted(t);
}

static bool is_due(const struct cgm_source *s, const struct cgm_source_node *n, uint64_t now_ns)
{
	return now_ns >= cgm_source_due(s, n);
}

void cgm_source_fetch_start(struct cgm_source *s, uint64_t now_ns)
{
	if (s->main_at < s->nr_main_queue && s->nr_main >= s->config.max_parallel)
		find_late(s, now_ns);
	while (s->main_at < s->nr_main_queue && s->nr_main < s->config.max_parallel && s->nr_active < (size_t)s->config.max_parallel * LATE_TIMES &&
	       is_due(s, s->main_queue[s->main_at], now_ns))
		ask(s, s->main_queue[s->main_at++], false, now_ns);
	while (!s->slow_stopped && s->slow_at < s->nr_slow_queue && s->nr_slow < max_slow(s))
		ask(s, s->slow_queue[s->slow_at++], true, now_ns);
}

/* ---- waiting ---- */

static int msec_until(uint64_t until_ns)
{
	uint64_t now = cgm_clock_mono_ns();

	return until_ns <= now ? 0 : (int)(MIN(until_ns - now, 10 * CGM_NSEC_PER_SEC) / CGM_NSEC_PER_MSEC) + 1;
}

static void drain(int fd)
{
	uint64_t nr;

	(void)!read(fd, &nr, sizeof(nr));
}

static uint64_t first_timer(const struct cgm_source *s)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < CGM_SOURCE_MULTIS; i++)
		first = MIN(first, s->multis[i].timer_ns);
	return first;
}

static void take_event(struct cgm_source *s, const struct epoll_event *e)
{
	int fd = (int)(uint32_t)e->data.u64, running;
	size_t i = e->data.u64 >> 32;

	if (i >= CGM_SOURCE_MULTIS)
		drain(s->wake_fd);
	else
		s->curl->curl_multi_socket_action(s->multis[i].multi, fd,
						  (e->events & EPOLLIN ? CURL_CSELECT_IN : 0) | (e->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
							  (e->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
						  &running);
}

void cgm_source_fetch_wait(struct cgm_source *s, uint64_t until_ns)
{
	struct epoll_event events[64];
	int running, nr = epoll_wait(s->poll_fd, events, ARRAY_SIZE(events), msec_until(MIN(until_ns, first_timer(s))));
	uint64_t now_ns = cgm_clock_mono_ns();

	for (int i = 0; i < nr; i++)
		take_event(s, &events[i]);
	for (size_t i = 0; i < CGM_SOURCE_MULTIS; i++) {
		struct cgm_source_multi *m = &s->multis[i];

		if (now_ns >= m->timer_ns) {
			m->timer_ns = UINT64_MAX;
			s->curl->curl_multi_socket_action(m->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		reap(s, m);
	}
}

void cgm_source_fetch_cut(struct cgm_source *s, bool tell)
{
	while (s->active) {
		struct cgm_source_slot *t = s->active;

		s->curl->curl_multi_remove_handle(t->m->multi, t->easy);
		if (!tell) {
			give_slot(t);
			continue;
		}
		t->fault = CGM_NODE_TIMEOUT;
		snprintf(t->text, sizeof(t->text), "no answer in time: the cycle is over");
		end_node(t);
	}
}

/* ---- life ---- */

/* Each node's connection is kept, if there may be so many. */
void cgm_source_fetch_size(struct cgm_source *s)
{
	size_t wanted = s->nr_nodes + 16, most;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	if (rl.rlim_cur < rl.rlim_max && rl.rlim_cur < wanted + SPARE_FDS + (size_t)s->config.max_parallel * LATE_TIMES) {
		rl.rlim_cur = rl.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &rl) < 0 && getrlimit(RLIMIT_NOFILE, &rl) < 0)
			return;
	}
	most = rl.rlim_cur > 2 * SPARE_FDS ? rl.rlim_cur - SPARE_FDS : SPARE_FDS;
	if (wanted > most)
		cgm_log_once(CGM_LOG_WARNING, "only %zu of %zu connections to nodes are kept: no more files may be open (ulimit -n)", most, s->nr_nodes);
	/* Each of them may have more than its share, but not all of them at once, as chance has it. */
	for (size_t i = 0; i < CGM_SOURCE_MULTIS; i++)
		s->curl->curl_multi_setopt(s->multis[i].multi, CURLMOPT_MAXCONNECTS, wanted > most ? (long)(most / CGM_SOURCE_MULTIS) : (long)wanted);
}

static bool open_multi(struct cgm_source *s, struct cgm_source_multi *m)
{
	CURLMcode bad = CURLM_OK;

	m->s = s;
	m->timer_ns = UINT64_MAX;
	m->multi = s->curl->curl_multi_init();
	if (!m->multi)
		return false;
	bad |= s->curl->curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	bad |= s->curl->curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
	bad |= s->curl->curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	bad |= s->curl->curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
	bad |= s->curl->curl_multi_setopt(m->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	return bad == CURLM_OK;
}

int cgm_source_fetch_open(struct cgm_source *s, char *fault)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = UINT64_MAX };

	s->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->poll_fd < 0 || epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, s->wake_fd, &e) < 0) {
		snprintf(fault, CGM_SOURCE_FAULT, "epoll: %s", strerror(errno));
		return -errno;
	}
	for (size_t i = 0; i < CGM_SOURCE_MULTIS; i++)
		if (!open_multi(s, &s->multis[i])) {
			snprintf(fault, CGM_SOURCE_FAULT, "libcurl does not start: out of memory");
			return -ENOMEM;
		}
	return 0;
}

void cgm_source_fetch_done(struct cgm_source *s)
{
	struct cgm_source_slot *t;

	cgm_source_fetch_cut(s, false);
	while ((t = s->slots)) {
		s->slots = t->next;
		slot_free(t);
	}
	for (size_t i = 0; i < CGM_SOURCE_MULTIS; i++)
		if (s->multis[i].multi)
			s->curl->curl_multi_cleanup(s->multis[i].multi);
	if (s->poll_fd >= 0)
		close(s->poll_fd);
	cgm_draft_done(&s->draft);
}
