/* SPDX-License-Identifier: Apache-2.0 */
/* A draft as text, a line a set, so that a test can say what it wants in one piece. */
#pragma once
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "fixture.h"
#include "source/decode.h"

static inline void draft_put_value(struct cgm_buf *b, const struct cgm_labeled_facts *l)
{
	if (l->metric == CGM_CM_CUSTOM ? l->is_float : cgm_cm_table[l->metric].is_float)
		cgm_buf_printf(b, "=%g", l->value.f);
	else
		cgm_buf_printf(b, "=%" PRId64, l->value.i);
}

/* "pod default/burn(uid) scraped created name=value… name{resource}=value…" */
static inline void draft_put_set(struct cgm_buf *b, const struct cgm_draft *d, size_t i)
{
	const struct cgm_draft_set *s = &d->sets[i];

	cgm_buf_str(b, cgm_set_type(s->kind));
	if (s->pod)
		cgm_buf_printf(b, " %s/%s(%s)", s->pod_namespace, s->pod, s->uid ? s->uid : "");
	if (s->container)
		cgm_buf_printf(b, " %s", s->container);
	if (s->image)
		cgm_buf_printf(b, " <%s>", s->image);
	cgm_buf_printf(b, " %" PRIu64 " %" PRIu64, s->scraped_ns, s->created_ns);
	for (int m = 0; m < CGM_NR_SCALARS; m++)
		if (s->present & CGM_CM_BIT(m))
			cgm_buf_printf(b, " %s=%" PRId64, cgm_cm_table[m].name, s->values[m].i);
	for (size_t k = 0; k < d->nr_labeled; k++) {
		const struct cgm_labeled_facts *l = &d->labeled[k].labeled;

		if (d->labeled[k].set != i)
			continue;
		cgm_buf_printf(b, " %s{", l->name ? l->name : cgm_cm_table[l->metric].name);
		for (unsigned n = 0; n < l->nr_labels; n++)
			cgm_buf_printf(b, "%s%s", n ? "," : "", l->labels[n].value);
		cgm_buf_char(b, '}');
		draft_put_value(b, l);
	}
	for (size_t k = 0; k < d->nr_hists; k++) {
		const struct cgm_cluster_hist *h = &d->hists[k].hist;

		if (d->hists[k].set != i)
			continue;
		cgm_buf_printf(b, " %s[%" PRIu64 ":%" PRIu64, cgm_ch_name((enum cgm_ch)h->hist), h->count, h->sum_ns);
		for (unsigned n = 0; n < CGM_CH_BUCKETS; n++)
			if (h->buckets[n])
				cgm_buf_printf(b, " %u:%" PRIu64, n, h->buckets[n]);
		cgm_buf_char(b, ']');
	}
	cgm_buf_char(b, '\n');
}

static inline char *draft_text(const struct cgm_draft *d)
{
	struct cgm_buf b = { 0 };

	for (size_t i = 0; i < d->nr_sets; i++)
		draft_put_set(&b, d, i);
	cgm_buf_char(&b, '\0');
	return b.p;
}

/* The line that begins so; NULL: there is none. In fresh memory. */
static inline char *draft_line(const struct cgm_draft *d, const char *begin)
{
	char *text = draft_text(d), *found = NULL;

	for (char *line = text, *end; *line && !found; line = end + 1) {
		end = strchr(line, '\n');
		if (strncmp(line, begin, strlen(begin)) == 0)
			found = strndup(line, (size_t)(end - line));
	}
	free(text);
	return found;
}

#define assert_line(d, begin, wanted)                    \
	do {                                             \
		char *line_ = draft_line(d, begin);      \
		assert_non_null(line_);                  \
		assert_string_equal(line_, begin wanted); \
		free(line_);                             \
	} while (0)

/* A file of a folder of fixtures, in fresh memory with a zero behind it. */
static inline char *fixture_text(const char *folder, const char *name, size_t *ret_len)
{
	int fd = fixture_open(folder);
	char *text = NULL;

	assert_true(fd >= 0);
	assert_int_equal(cgm_read_all_at(fd, name, 1 << 22, &text, ret_len), 0);
	close(fd);
	return text;
}

static inline int decode_with(enum cgm_decode_form form, const char *text, size_t len, struct cgm_draft *d, uint64_t *nr_bad, char *fault)
{
	char *exact = malloc(len ? len : 1); /* a read beyond the end is seen by a sanitizer */
	int r;

	assert_non_null(exact);
	memcpy(exact, text, len);
	*nr_bad = 0;
	*fault = '\0';
	cgm_draft_clear(d);
	r = cgm_decode(form, exact, len, d, nr_bad, fault);
	free(exact);
	return r;
}

/* Every prefix is refused with a fault that says where; and when the N-th allocation fails, for each N, it is -ENOMEM and no leak. */
static inline void check_cuts(enum cgm_decode_form form, const char *text, size_t len)
{
	struct cgm_draft d = { 0 };
	char fault[CGM_DECODE_FAULT];
	uint64_t nr_bad;

	for (size_t cut = 0; cut < len; cut++) {
		if (decode_with(form, text, cut, &d, &nr_bad, fault) != -EINVAL || !*fault)
			fail_msg("cut at %zu of %zu: %s", cut, len, fault);
	}
	cgm_draft_done(&d);
}

static inline void check_memory(enum cgm_decode_form form, const char *text, size_t len)
{
	char fault[CGM_DECODE_FAULT];
	uint64_t nr_bad = 0;
	int r = -ENOMEM;

	for (unsigned long n = 1; r < 0; n++) {
		struct cgm_draft d = { 0 };

		assert_true(n < 10000);
		cgm_mem_fail_at(n);
		r = cgm_decode(form, text, len, &d, &nr_bad, fault);
		cgm_mem_fail_at(0);
		assert_true(r == 0 || r == -ENOMEM);
		cgm_draft_done(&d);
	}
}
