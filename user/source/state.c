// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "source/internal.h"

#define MAX_SAID 10 /* log lines about nodes in one cycle */
#define FORGET_AFTER 3 /* failures in a row, then it is probed anew */
#define PROBE_AGAIN_NS (3600 * CGM_NSEC_PER_SEC)

static const char *const fault_names[CGM_NR_NODE_FAULTS] = {
	[CGM_NODE_CONNECT] = "connect", [CGM_NODE_TIMEOUT] = "timeout",	    [CGM_NODE_TLS] = "tls",	      [CGM_NODE_DENIED] = "denied",
	[CGM_NODE_STATUS] = "status",	[CGM_NODE_TOO_LARGE] = "too_large", [CGM_NODE_NONSENSE] = "nonsense", [CGM_NODE_MEMORY] = "memory",
};

const char *cgm_node_fault_name(enum cgm_node_fault f)
{
	return fault_names[f];
}

void cgm_source_node_free(struct cgm_source_node *n)
{
	if (!n)
		return;
	if (n->password)
		explicit_bzero(n->password, strlen(n->password));
	cgm_kube_node_unref(n->kube);
	free(n->name);
	free(n->hostname);
	free(n->host_id);
	free(n->base);
	free(n->user);
	free(n->password);
	free(n->fault);
	free(n);
}

static bool may_say(struct cgm_source *s)
{
	if (s->nr_said < MAX_SAID) {
		s->nr_said++;
		return true;
	}
	s->nr_unsaid++;
	return false;
}

static void note_skew(struct cgm_source *s, struct cgm_source_node *n, int64_t skew_ns)
{
	bool off = skew_ns != INT64_MIN && (skew_ns > (int64_t)CGM_SOURCE_SKEW_NS || skew_ns < -(int64_t)CGM_SOURCE_SKEW_NS);

	n->skew_ns = skew_ns;
	if (off && !n->said_skew && may_say(s))
		cgm_warning("node %s: its clock is %lld s %s ours", n->name, (long long)(skew_ns < 0 ? -skew_ns : skew_ns) / (long long)CGM_NSEC_PER_SEC,
			    skew_ns < 0 ? "behind" : "ahead of");
	n->said_skew = off;
}

void cgm_source_node_ok(struct cgm_source *s, struct cgm_source_node *n, enum cgm_decode_form form, uint64_t duration_ns, int64_t skew_ns, uint64_t nr_bad)
{
	uint64_t now = cgm_clock_real_ns();
	bool again = n->said_failure, bad = nr_bad && !n->said_bad;

	pthread_mutex_lock(&s->lock);
	if (n->form != form || now >= n->probe_again_ns) {
		n->form = (uint8_t)form;
		n->probe_again_ns = now + PROBE_AGAIN_NS + n->order % (PROBE_AGAIN_NS / 6); /* not all of them in one cycle */
	}
	n->last_ok_ns = n->last_try_ns = now;
	n->duration_ns = duration_ns;
	n->nr_ok++;
	n->nr_bad += nr_bad;
	n->nr_failures = 0;
	n->failed_last = n->said_failure = false;
	free(TAKE_PTR(n->fault));
	note_skew(s, n, skew_ns);
	s->stats.nr_bad += nr_bad;
	pthread_mutex_unlock(&s->lock);
	if (again && may_say(s))
		cgm_info("node %s: it answers again", n->name);
	if (bad && may_say(s)) {
		cgm_warning("node %s: %llu values in its answer are nonsense and left out; what follows is counted alone", n->name, (unsigned long long)nr_bad);
		n->said_bad = true;
	}
}

void cgm_source_node_failed(struct cgm_source *s, struct cgm_source_node *n, enum cgm_node_fault f, const char *text)
{
	char *copy = cgm_strdup(text);

	pthread_mutex_lock(&s->lock);
	n->last_try_ns = cgm_clock_real_ns();
	n->nr_failed[f]++;
	s->stats.nr_failed[f]++;
	n->nr_failures++;
	n->failed_last = true;
	free(n->fault);
	n->fault = copy;
	if (f == CGM_NODE_DENIED || n->nr_failures >= FORGET_AFTER)
		n->form = CGM_NR_DECODE_FORMS;
	pthread_mutex_unlock(&s->lock);
	if (!n->said_failure && may_say(s))
		cgm_warning("node %s: %s", n->name, text);
	n->said_failure = true;
}

/* ---- clocks ---- */

/* "Sun, 06 Nov 1994 08:49:37 GMT", in which no locale has a say. */
static bool read_date(const char *text, int64_t *ret_ns)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = { 0 };
	char month[4] = "";
	const char *found;
	int year;

	/* NOLINTNEXTLINE(cert-err34-c): a few digits each, which cannot overflow */
	if (sscanf(text, "%*3c, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return false;
	found = strlen(month) == 3 ? strstr(months, month) : NULL;
	if (!found || (found - months) % 3 || year < 1970 || year > 2200)
		return false;
	tm.tm_mon = (int)(found - months) / 3;
	tm.tm_year = year - 1900;
	*ret_ns = (int64_t)timegm(&tm) * (int64_t)CGM_NSEC_PER_SEC;
	return true;
}

int64_t cgm_source_skew(const char *date, const struct cgm_draft *d, uint64_t begin_ns, uint64_t end_ns)
{
	int64_t middle = (int64_t)(begin_ns / 2 + end_ns / 2), at;
	uint64_t newest = 0;

	/* A Date has whole seconds: on the average it is half of one old. */
	if (date && read_date(date, &at))
		return at + (int64_t)CGM_NSEC_PER_SEC / 2 - middle;
	for (size_t i = 0; i < d->nr_sets; i++)
		newest = MAX(newest, d->sets[i].scraped_ns);
	return newest && newest < INT64_MAX ? (int64_t)newest - middle : INT64_MIN;
}

/* ---- for others ---- */

static void fill(const struct cgm_source_node *n, struct cgm_node_state *ret)
{
	*ret = (struct cgm_node_state){
		.form = n->form,
		.ready = !n->unready,
		.last_ok_ns = n->last_ok_ns,
		.last_try_ns = n->last_try_ns,
		.duration_ns = n->duration_ns,
		.skew_ns = n->skew_ns,
		.nr_ok = n->nr_ok,
		.nr_bad = n->nr_bad,
	};
	snprintf(ret->name, sizeof(ret->name), "%s", n->name);
	snprintf(ret->address, sizeof(ret->address), "%s", n->base ? n->base : "");
	memcpy(ret->nr_failed, n->nr_failed, sizeof(ret->nr_failed));
	snprintf(ret->fault, sizeof(ret->fault), "%s", n->unready ? n->unready : n->fault ? n->fault : n->nr_failures ? "out of memory" : "");
}

int cgm_source_nodes(struct cgm_source *s, struct cgm_node_state **ret, size_t *ret_nr)
{
	struct cgm_node_state *all;
	size_t nr;

	pthread_mutex_lock(&s->lock);
	nr = s->nr_nodes;
	all = cgm_malloc((nr + 1) * sizeof(*all));
	for (size_t i = 0; all && i < nr; i++)
		fill(s->nodes[i], &all[i]);
	pthread_mutex_unlock(&s->lock);
	if (!all)
		return -ENOMEM;
	*ret = all;
	*ret_nr = nr;
	return 0;
}

struct cgm_source_stats cgm_source_stats(struct cgm_source *s)
{
	struct cgm_source_stats stats;

	pthread_mutex_lock(&s->lock);
	stats = s->stats;
	stats.nr_nodes = s->nr_nodes;
	for (size_t i = 0; i < s->nr_nodes; i++) {
		stats.nr_ready += !s->nodes[i]->unready;
		stats.nr_silent += !s->nodes[i]->unready && s->nodes[i]->nr_failures;
		stats.nr_skewed += s->nodes[i]->said_skew;
	}
	pthread_mutex_unlock(&s->lock);
	return stats;
}
