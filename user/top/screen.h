/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal: the only file with ncurses. There is one; one thread. */
#pragma once
#include "top/grid.h"
#include "top/view.h"

/* 0; -ENOTTY: why (for a person) says what is wrong with the terminal, which is as it was. The locale must be set. */
int cgm_screen_open(char *why, size_t size);
/* The terminal as it was before. */
void cgm_screen_close(void);
void cgm_screen_size(size_t *ret_width, size_t *ret_height);
/* Does the locale have characters beyond ASCII? */
bool cgm_screen_is_ascii(void);
/* Brings the cells there; what has not changed is left. */
void cgm_screen_show(const struct cgm_grid *cells);
/* The next key, CGM_KEY_NONE when none is waiting. */
uint32_t cgm_screen_key(void);
