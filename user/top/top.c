// SPDX-License-Identifier: Apache-2.0
/* The loop: ask for numbers, wait for them or for keys, draw. */
#include "top/top.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "top/batch.h"
#include "top/draw.h"
#include "top/screen.h"
#include "top/source.h"

/* How often what is shown of ages is brought up to date while an answer is awaited. */
#define REDRAW_NS CGM_NSEC_PER_SEC

struct top {
	const struct cgm_top_options *o;
	struct cgm_source *source;
	struct cgm_model model;
	struct cgm_detail detail;
	struct cgm_view view;
	struct cgm_grid grid;
	bool asked;		   /* a round is under way */
	uint64_t asked_ns, got_ns; /* CLOCK_MONOTONIC: when the last round began, when numbers came last */
	unsigned epoch;
	char trouble[900];
	sigset_t open_mask; /* of signals, while we wait */
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

/* Ending signals come only while we wait, so that none is missed between a look and a wait. */
static void catch_signals(struct top *t)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		sigaction(numbers[i], &action, NULL);
		sigaddset(&block, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &block, &t->open_mask);
}

/* ---- numbers ---- */

static void ask(struct top *t, uint64_t now)
{
	enum cgm_view_mode mode = t->view.mode == CGM_VIEW_HELP ? t->view.help_from : t->view.mode;
	uint64_t due = t->asked_ns + t->view.interval_ns;

	/* In step, unless a whole interval was missed. */
	t->asked_ns = t->asked_ns && now >= due && now - due < t->view.interval_ns ? due : now;
	t->asked = true;
	cgm_source_ask(t->source, mode == CGM_VIEW_DETAIL ? t->view.detail : NULL);
}

static int take(struct top *t)
{
	struct cgm_hists hists;
	struct cgm_feed feed;
	int r;

	cgm_source_take(t->source, &feed, &hists);
	t->asked = false;
	t->trouble[0] = '\0';
	t->got_ns = cgm_clock_mono_ns();
	if (t->epoch != cgm_source_epoch(t->source)) {
		cgm_model_restart(&t->model);
		cgm_detail_done(&t->detail);
		t->epoch = cgm_source_epoch(t->source);
	}
	cgm_detail_push(&t->detail, &hists);
	r = cgm_model_push(&t->model, &feed);
	return r < 0 ? r : cgm_view_build(&t->view, &t->model);
}

/* One step of the round under way. 1: there are new numbers; a negative errno: there are none, t->trouble says why. */
static int step(struct top *t)
{
	int r = t->asked ? cgm_source_step(t->source) : 0;

	if (r > 0) {
		r = take(t);
		if (r == 0)
			return 1;
		snprintf(t->trouble, sizeof(t->trouble), "out of memory");
	} else if (r < 0) {
		t->asked = false;
		snprintf(t->trouble, sizeof(t->trouble), "%s", cgm_source_fault(t->source));
	}
	return r;
}

/* Until the source has something to do, until_ns, a key (keys) or a signal. */
static void wait_for_news(struct top *t, uint64_t until_ns, bool keys)
{
	struct pollfd fds[2] = {{.fd = keys ? 0 : -1, .events = POLLIN}, {.fd = -1}};
	uint64_t source_ns = UINT64_MAX, now = cgm_clock_mono_ns(), wait_ns;
	struct timespec ts;

	if (t->asked)
		fds[1].fd = cgm_source_wait(t->source, &fds[1].events, &source_ns);
	until_ns = MIN(until_ns, source_ns);
	wait_ns = until_ns > now ? until_ns - now : 0;
	ts = (struct timespec){(time_t)(wait_ns / CGM_NSEC_PER_SEC), (long)(wait_ns % CGM_NSEC_PER_SEC)};
	if (ppoll(fds, 2, until_ns == UINT64_MAX ? NULL : &ts, &t->open_mask) > 0 && fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		ended = 1; /* the terminal is gone */
}

/* ---- batch ---- */

static int print_interval(struct top *t)
{
	_cleanup_(cgm_buf_done) struct cgm_buf out = {0};
	const char *text = cgm_source_text(t->source);
	static bool again;

	if (t->o->json) {
		cgm_batch_json(&t->model, &t->view, cgm_source_kind(t->source), text, &out);
	} else {
		if (again)
			cgm_buf_char(&out, '\n');
		cgm_batch_table(&t->model, &t->view, text, cgm_screen_is_ascii(), &out);
	}
	again = true;
	if (out.failed)
		return -ENOMEM;
	return fwrite(out.p, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : -errno;
}

static int run_batch(struct top *t)
{
	uint64_t left = t->o->count ? t->o->count : UINT64_MAX;

	t->view.tree = t->o->tree;
	while (!ended && left) {
		uint64_t now = cgm_clock_mono_ns();
		int r;

		if (!t->asked && (!t->asked_ns || now >= t->asked_ns + t->view.interval_ns))
			ask(t, now);
		r = step(t);
		if (r > 0 && t->model.interval_ns) {
			r = print_interval(t);
			left--;
			if (r < 0)
				snprintf(t->trouble, sizeof(t->trouble), "cannot write: %s", strerror(-r));
		}
		if (r < 0) {
			fprintf(stderr, "cgmeter top: %s\n", t->trouble);
			return 1;
		}
		if (left && r == 0)
			wait_for_news(t, t->asked ? UINT64_MAX : t->asked_ns + t->view.interval_ns, false);
	}
	return 0;
}

/* ---- screen ---- */

static int draw(struct top *t)
{
	uint64_t now = cgm_clock_mono_ns();
	struct cgm_scene scene = {
		.model = &t->model,
		.detail = &t->detail,
		.view = &t->view,
		.source = cgm_source_text(t->source),
		.trouble = t->trouble,
		.age_ns = t->got_ns && now > t->got_ns ? now - t->got_ns : 0,
	};
	size_t width, height;

	cgm_screen_size(&width, &height);
	if ((t->grid.width != width || t->grid.height != height) && cgm_grid_resize(&t->grid, width, height) < 0)
		return -ENOMEM;
	cgm_draw(&scene, &t->grid);
	cgm_screen_show(&t->grid);
	return 0;
}

/* All keys that are waiting. True: something is to be drawn. */
static bool handle_keys(struct top *t)
{
	bool news = false;
	uint32_t key;

	while (!ended && (key = cgm_screen_key())) {
		enum cgm_view_mode mode = t->view.mode;

		switch (cgm_view_key(&t->view, &t->model, t->detail.now.nr, key)) {
		case CGM_DO_QUIT:
			ended = 1;
			break;
		case CGM_DO_ASK:
			if (mode == CGM_VIEW_LIST && t->view.mode == CGM_VIEW_DETAIL)
				cgm_detail_done(&t->detail); /* another's */
			ask(t, cgm_clock_mono_ns());
			news = true;
			break;
		case CGM_DO_DRAW:
			news = true;
			break;
		default:
			break;
		}
	}
	return news;
}

static int loop(struct top *t)
{
	while (!ended) {
		uint64_t now = cgm_clock_mono_ns(), due = t->asked_ns + t->view.interval_ns;
		bool news = handle_keys(t);

		if (ended)
			break;
		if (!t->asked && !t->view.paused && now >= due) {
			ask(t, now);
			due = t->asked_ns + t->view.interval_ns;
		}
		news |= step(t) != 0;
		if ((news || now >= t->got_ns + REDRAW_NS) && draw(t) < 0) {
			snprintf(t->trouble, sizeof(t->trouble), "out of memory");
			return 1;
		}
		wait_for_news(t, t->view.paused && !t->asked ? UINT64_MAX : t->asked ? now + REDRAW_NS : due, true);
	}
	return 0;
}

/* The first numbers come before the screen is taken: when there are none, the reason is to stay. */
static int run_screen(struct top *t)
{
	char why[200];
	int r = 0;

	ask(t, cgm_clock_mono_ns());
	while (!ended && (r = step(t)) == 0)
		wait_for_news(t, UINT64_MAX, false);
	if (r < 0) {
		fprintf(stderr, "cgmeter top: %s\n", t->trouble);
		return 1;
	}
	if (ended)
		return 0;
	if (cgm_screen_open(why, sizeof(why)) < 0) {
		fprintf(stderr, "cgmeter top: %s\n", why);
		return 2;
	}
	t->grid.ascii = cgm_screen_is_ascii();
	r = draw(t) < 0 ? 1 : loop(t);
	cgm_screen_close();
	if (r)
		fprintf(stderr, "cgmeter top: %s\n", *t->trouble ? t->trouble : "out of memory");
	return r;
}

int cgm_top_run(int argc, char *const *argv)
{
	struct cgm_top_options o;
	struct top t = {.o = &o};
	int r = cgm_top_options_parse(argc, argv, &o);

	if (r)
		return r < 0 ? 2 : 0;
	setlocale(LC_CTYPE, "");	  /* numbers stay as they are */
	cgm_log_set_level(CGM_LOG_ERROR); /* a line of a log would spoil the screen */
	if (cgm_source_open(&o, &t.source) < 0)
		return 2;
	cgm_view_init(&t.view);
	t.view.interval_ns = o.interval_ns;
	t.view.sort = o.sort_column;
	t.view.reverse = o.reverse;
	snprintf(t.view.filter, sizeof(t.view.filter), "%s", o.filter);
	catch_signals(&t);
	r = o.batch ? run_batch(&t) : run_screen(&t);
	cgm_source_close(t.source);
	cgm_model_done(&t.model);
	cgm_detail_done(&t.detail);
	cgm_view_done(&t.view);
	cgm_grid_done(&t.grid);
	return r;
}
