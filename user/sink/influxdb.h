/* SPDX-License-Identifier: Apache-2.0 */
/* What both of our writers to InfluxDB share. */
#pragma once
#include "sink/config.h"
#include "sink/http.h"

/* Who we are, for the next call: a token with version 2, else a user ("": nobody) and a password. 0, or a negative errno with fault. */
int cgm_influxdb_login(struct cgm_http_client *http, const struct cgm_secret *secret, const char *user, bool v2, char *fault);
