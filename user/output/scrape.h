/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rendered body of /metrics, made once for each snapshot, format and encoding, however many scrapers come. Its locks are its own:
 * the sampler never takes them. Any thread.
 *
 * Memory that is new to the process costs more than to fill it: 2 µs a page where this was written, three times what rendering takes. So a body
 * that nobody reads any more is written over by the next one of its kind, and what is compressed is never there as a whole.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "output/gzip.h"
#include "output/prometheus.h"

struct cgm_body {
	uint32_t refs; /* atomic */
	uint64_t seq; /* of the snapshot */
	uint64_t made_ns; /* monotonic */
	struct cgm_buf text;
};
void cgm_body_unref(struct cgm_body *b);
DEFINE_CLEANUP(cgm_body, cgm_body_unref)

struct cgm_scrape {
	struct cgm_scrape_format {
		pthread_mutex_t lock; /* held while this format is rendered: a second scraper waits for the body that it wants */
		struct cgm_body *plain, *gzip; /* newest, or NULL */
		struct cgm_buf piece; /* of the page, on its way to the compressor */
		struct cgm_gzip *compressor;
	} formats[CGM_NR_PROMETHEUS_FORMATS];
};
void cgm_scrape_init(struct cgm_scrape *c);
void cgm_scrape_done(struct cgm_scrape *c);
/* A reference to the body for this snapshot or a newer one. 0 or -ENOMEM. machine may be NULL. */
int cgm_scrape_get(struct cgm_scrape *c, const struct cgm_snapshot *s, const struct cgm_machine *machine, enum cgm_prometheus_format format,
		   bool gzip, struct cgm_body **ret);
/* Lets go of bodies that are older than CGM_SCRAPE_KEEP_NS at now_ns (monotonic), and of what made them, where no render is under way. */
#define CGM_SCRAPE_KEEP_NS (90 * CGM_NSEC_PER_SEC) /* longer than the interval of most scrapers */
void cgm_scrape_trim(struct cgm_scrape *c, uint64_t now_ns);
