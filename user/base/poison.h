/* SPDX-License-Identifier: Apache-2.0 */
/* Included before every source of user/ (see CFLAGS): the calls we never make do not compile. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#pragma GCC poison strcpy strcat sprintf vsprintf atoi atol atoll strtok popen gets
#pragma GCC poison system
