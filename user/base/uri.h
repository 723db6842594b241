/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heapster's "PREFIX:URI?option=value&…" of --source and --sink, environment variables in it expanded as Go's os.ExpandEnv does ($X, ${X}). Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct cgm_uri_option {
	char *name, *value; /* decoded */
	bool used; /* somebody asked for it */
};

struct cgm_uri {
	char *text; /* as it was given */
	char *prefix; /* "influxdb" */
	char *scheme, *user, *password, *host; /* "": none; host without a port */
	unsigned port; /* 0: none */
	/*
	 * path: with its "/", decoded. rest: everything between the prefix's colon and the "?", decoded nowhere, without quotes around it. Of more than one address
	 * ("http://a:1,http://b:2") only rest is set.
	 */
	char *path, *rest;
	struct cgm_uri_option *options; /* in their order; a name may come more than once */
	size_t nr_options;
};

/* 0; -EINVAL with fault (fault_size bytes) naming what is wrong, never with a password; -ENOMEM. */
int cgm_uri_read(const char *text, struct cgm_uri *ret, char *fault, size_t fault_size);
void cgm_uri_done(struct cgm_uri *u);
/* The n-th (from 0) value of an option, which is then used. NULL: there is none. */
const char *cgm_uri_option(struct cgm_uri *u, const char *name, size_t n);
/* Its first value as a bool, a number, a duration: false with fault ("option x: …") when it is none; *ret stays as it is when the option is not there. */
bool cgm_uri_bool(struct cgm_uri *u, const char *name, bool *ret, char *fault, size_t fault_size);
bool cgm_uri_number(struct cgm_uri *u, const char *name, unsigned long *ret, char *fault, size_t fault_size);
bool cgm_uri_duration_ns(struct cgm_uri *u, const char *name, unsigned long *ret, char *fault, size_t fault_size);
/* The first option that nobody asked for; NULL: none. For "unknown option". */
const char *cgm_uri_unused(const struct cgm_uri *u);
/* The text without what may be secret: passwords, tokens, options whose names look like it. The caller's. NULL: out of memory. */
char *cgm_uri_shown(const struct cgm_uri *u);
