/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an Authorization header. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum cgm_auth_scheme { CGM_AUTH_NONE, CGM_AUTH_BASIC, CGM_AUTH_DIGEST, CGM_AUTH_BEARER, CGM_AUTH_OTHER };

/* The scheme and where its text begins (behind the blanks). NULL: no header. */
enum cgm_auth_scheme cgm_auth_scheme(const char *header, const char **ret_rest);
/* User and password out of the text of Basic, in buf, zero-terminated. 0; -EINVAL, also when it is longer than buf or holds a zero byte. */
int cgm_auth_basic(const char *text, char *buf, size_t size, const char **ret_user, const char **ret_password);
/*
 * A parameter of Digest (name="value" or name=value, comma between), unescaped, into buf. -ENOENT: it is not there. -EINVAL: it does not
 * fit, stands there twice, or the text is none of that form.
 */
int cgm_auth_param(const char *text, const char *name, char *buf, size_t size);
/* Puts value into quotes, escaped. False when it does not fit. */
bool cgm_auth_quote(const char *value, char *buf, size_t size);
