// SPDX-License-Identifier: Apache-2.0
/*
 * /metrics/resource, Prometheus' text format: CPU, working set and swap of the node, its pods and containers. Labels may come in any order, other families and
 * comments are passed over. Each sample has its own time.
 */
#include "source/decoders.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

#define FIRST_MS 946684800000 /* 2000-01-01 */
#define LAST_MS 4102444800000 /* 2100-01-01 */
#define MAX_LABEL 1024 /* bytes of a label's value that is ours */

static const struct family {
	const char *name;
	enum cgm_set_kind kind;
	enum cgm_cm metric; /* CGM_NR_CM: when it was started */
	int digits; /* the value has so many behind the point that count: seconds are ns here */
} families[] = {
	{ "node_cpu_usage_seconds_total", CGM_SET_NODE, CGM_CM_CPU_USAGE, 9 },
	{ "node_memory_working_set_bytes", CGM_SET_NODE, CGM_CM_MEMORY_WORKING_SET, 0 },
	{ "node_swap_usage_bytes", CGM_SET_NODE, CGM_CM_MEMORY_SWAP, 0 },
	{ "pod_cpu_usage_seconds_total", CGM_SET_POD, CGM_CM_CPU_USAGE, 9 },
	{ "pod_memory_working_set_bytes", CGM_SET_POD, CGM_CM_MEMORY_WORKING_SET, 0 },
	{ "pod_swap_usage_bytes", CGM_SET_POD, CGM_CM_MEMORY_SWAP, 0 },
	{ "container_cpu_usage_seconds_total", CGM_SET_CONTAINER, CGM_CM_CPU_USAGE, 9 },
	{ "container_memory_working_set_bytes", CGM_SET_CONTAINER, CGM_CM_MEMORY_WORKING_SET, 0 },
	{ "container_swap_usage_bytes", CGM_SET_CONTAINER, CGM_CM_MEMORY_SWAP, 0 },
	{ "container_start_time_seconds", CGM_SET_CONTAINER, CGM_NR_CM, 9 },
};

struct resource {
	struct cgm_cast cast;
	const struct family *last; /* samples of one family come together */
	int node;
	uint64_t nr_samples;
};

struct sample {
	const struct family *family;
	struct cgm_str container, pod, pod_namespace; /* p NULL: it has no such label */
	char texts[3][MAX_LABEL]; /* room for those with escapes */
	uint64_t value, time_ns;
};

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number, times 10^digits, rounded, at most 2^63-1. -EINVAL: none, or negative, or none at all (NaN, +Inf). */
static int decimal(struct cgm_str t, int digits, uint64_t *ret)
{
	const char *p = t.p, *end = t.p + t.len;
	bool behind = false, any = false, minus;
	int exponent = digits, e = 0;
	uint64_t v = 0;

	p += p < end && *p == '+';
	for (; p < end && (is_digit(*p) || (*p == '.' && !behind)); p++) {
		if (*p == '.') {
			behind = true;
			continue;
		}
		any = true;
		if (v < UINT64_MAX / 10 - 1) {
			v = v * 10 + (uint64_t)(*p - '0');
			exponent -= behind;
		} else {
			exponent += !behind && exponent < 1000;
		}
	}
	if (!any)
		return -EINVAL;
	if (p < end && (*p | 0x20) == 'e') {
		minus = ++p < end && *p == '-';
		p += p < end && (*p == '-' || *p == '+');
		if (p == end)
			return -EINVAL;
		for (; p < end && is_digit(*p); p++)
			e = e < 1000 ? e * 10 + (*p - '0') : e;
		exponent += minus ? -e : e;
	}
	if (p != end)
		return -EINVAL;
	for (; exponent > 0 && v; exponent--)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v)) {
			v = INT64_MAX;
			break;
		}
	for (; exponent < -1 && v; exponent++)
		v /= 10;
	if (exponent == -1)
		v = v / 10 + (v % 10 >= 5);
	*ret = MIN(v, (uint64_t)INT64_MAX);
	return 0;
}

static void skip_blanks(struct cgm_str *t)
{
	while (t->len && (*t->p == ' ' || *t->p == '\t')) {
		t->p++;
		t->len--;
	}
}

/* The quoted value in front, with what its escapes mean; into room only when it has any. */
static int quoted(struct cgm_str *t, char *room, struct cgm_str *ret)
{
	size_t i = 1, len = 0;
	bool escaped = false;

	if (!t->len || *t->p != '"')
		return -EINVAL;
	for (; i < t->len && t->p[i] != '"'; i++) {
		char c = t->p[i];

		if (c == '\\') {
			escaped = true;
			if (++i == t->len)
				return -EINVAL;
			c = t->p[i] == 'n' ? '\n' : t->p[i];
		}
		if (room && len < MAX_LABEL)
			room[len] = c;
		len++;
	}
	if (i == t->len || (room && len > MAX_LABEL))
		return -EINVAL;
	*ret = escaped && room ? (struct cgm_str){ room, len } : (struct cgm_str){ t->p + 1, i - 1 };
	t->p += i + 1;
	t->len -= i + 1;
	return 0;
}

static struct cgm_str *label_of(struct sample *s, struct cgm_str name, char **ret_room)
{
	*ret_room = CGM_SCAN_IS(name, "container") ? s->texts[0] : CGM_SCAN_IS(name, "pod") ? s->texts[1] : CGM_SCAN_IS(name, "namespace") ? s->texts[2] : NULL;
	return *ret_room == s->texts[0] ? &s->container : *ret_room == s->texts[1] ? &s->pod : *ret_room == s->texts[2] ? &s->pod_namespace : NULL;
}

/* {…} in front, if there is any. */
static int read_labels(struct cgm_str *t, struct sample *s)
{
	skip_blanks(t);
	if (!t->len || *t->p != '{')
		return 0;
	t->p++;
	t->len--;
	while (true) {
		struct cgm_str name, value, *to;
		char *room;
		size_t i = 0;

		skip_blanks(t);
		if (t->len && *t->p == '}')
			break;
		while (i < t->len && t->p[i] != '=' && t->p[i] != '"' && t->p[i] != '}')
			i++;
		if (i == t->len || t->p[i] != '=')
			return -EINVAL;
		name = cgm_trim((struct cgm_str){ t->p, i });
		t->p += i + 1;
		t->len -= i + 1;
		skip_blanks(t);
		to = label_of(s, name, &room);
		if (quoted(t, room, &value) < 0)
			return -EINVAL;
		if (to)
			*to = value;
		skip_blanks(t);
		if (t->len && *t->p == ',') {
			t->p++;
			t->len--;
		} else if (!t->len || *t->p != '}') {
			return -EINVAL;
		}
	}
	t->p++;
	t->len--;
	return 0;
}

static bool is_name(struct cgm_str t)
{
	const unsigned char *p = (const unsigned char *)t.p;

	if (!t.len || t.len > MAX_LABEL)
		return false;
	for (size_t i = 0; i < t.len;) {
		unsigned char sequence[4] = { 0 };
		size_t n;

		memcpy(sequence, p + i, MIN(t.len - i, sizeof(sequence)));
		n = p[i] < 0x20 || p[i] == 0x7f ? 0 : cgm_utf8_len(sequence);
		if (!n || n > t.len - i)
			return false;
		i += n;
	}
	return true;
}

/* What stands behind the labels, and are the labels those of its family? */
static int read_sample(struct cgm_str t, struct sample *s)
{
	struct cgm_str value, time, more;
	uint64_t ms;

	if (read_labels(&t, s) < 0 || !cgm_next_token(&t, &value) || decimal(value, s->family->digits, &s->value) < 0)
		return -EINVAL;
	if (cgm_next_token(&t, &time)) {
		if (cgm_parse_u64(time, &ms) < 0 || ms < FIRST_MS || ms >= LAST_MS || cgm_next_token(&t, &more))
			return -EINVAL;
		s->time_ns = ms * CGM_NSEC_PER_MSEC;
	}
	if (s->family->kind != CGM_SET_NODE && (!is_name(s->pod) || !is_name(s->pod_namespace)))
		return -EINVAL;
	return s->family->kind == CGM_SET_CONTAINER && !is_name(s->container) ? -EINVAL : 0;
}

static const struct family *family_of(struct resource *y, struct cgm_str name)
{
	if (y->last && cgm_str_eq(name, y->last->name))
		return y->last;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (cgm_str_eq(name, families[i].name))
			return y->last = &families[i];
	return NULL;
}

static int set_of(struct resource *y, const struct sample *s)
{
	int set;

	if (s->family->kind == CGM_SET_NODE)
		return y->node;
	set = cgm_cast_pod(&y->cast, s->pod_namespace, s->pod, (struct cgm_str){ "", 0 });
	return set < 0 || s->family->kind == CGM_SET_POD ? set : cgm_cast_container(&y->cast, set, s->container);
}

/* 0; 1: it is no sample; -1: there is no room for it. */
static int read_line(struct resource *y, struct cgm_str line)
{
	struct sample s; /* texts stay as they are: only what was written is read */
	struct cgm_draft_set *to;
	size_t i = 0;
	int set;

	while (i < line.len && line.p[i] != '{' && line.p[i] != ' ' && line.p[i] != '\t')
		i++;
	s.family = line.len && *line.p != '#' ? family_of(y, (struct cgm_str){ line.p, i }) : NULL;
	if (!s.family)
		return 0;
	s.container = s.pod = s.pod_namespace = (struct cgm_str){ NULL, 0 };
	s.value = s.time_ns = 0;
	if (read_sample((struct cgm_str){ line.p + i, line.len - i }, &s) < 0)
		return 1;
	set = set_of(y, &s);
	if (set < 0)
		return -1;
	y->nr_samples++;
	to = &y->cast.d->sets[set];
	if (s.family->metric == CGM_NR_CM) {
		if (s.value < FIRST_MS * CGM_NSEC_PER_MSEC || s.value >= LAST_MS * CGM_NSEC_PER_MSEC)
			return 1;
		to->created_ns = s.value;
		return 0;
	}
	cgm_cast_put(&y->cast, set, s.family->metric, (int64_t)s.value);
	to->scraped_ns = MAX(to->scraped_ns, s.time_ns);
	return 0;
}

int cgm_decode_resource(struct cgm_str text, struct cgm_draft *d, uint64_t *nr_bad, char *fault)
{
	struct resource y = { .cast.d = d };
	struct cgm_str rest = text, line;
	int r = 0;

	if (text.len && text.p[text.len - 1] != '\n') {
		snprintf(fault, CGM_DECODE_FAULT, "it is cut short at byte %zu: its last line has no end", text.len);
		return -EINVAL;
	}
	y.node = cgm_cast_add(&y.cast, CGM_SET_NODE);
	while (y.node >= 0 && r >= 0 && cgm_next_line(&rest, &line)) {
		r = read_line(&y, line);
		*nr_bad += r > 0;
	}
	if (d->failed)
		return -ENOMEM;
	if (r < 0 || !y.nr_samples) {
		snprintf(fault, CGM_DECODE_FAULT, r < 0 ? "there are too many containers, at byte %zu" : "it has no sample of a node, a pod or a container in %zu bytes",
			 r < 0 ? (size_t)(line.p - text.p) : text.len);
		return -EINVAL;
	}
	return cgm_cast_settle(&y.cast);
}
