// SPDX-License-Identifier: Apache-2.0
#include "model/bell.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

int cgm_bell_init(struct cgm_bell *b)
{
	*b = (struct cgm_bell){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return b->fd < 0 ? -errno : 0;
}

void cgm_bell_done(struct cgm_bell *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

/* The order of "listen, then look" here and "publish, then ring" there must be the same for both threads: hence the full barriers. */
void cgm_bell_listen(struct cgm_bell *b)
{
	__atomic_add_fetch(&b->nr_listeners, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void cgm_bell_leave(struct cgm_bell *b)
{
	__atomic_sub_fetch(&b->nr_listeners, 1, __ATOMIC_SEQ_CST);
}

void cgm_bell_ring(struct cgm_bell *b)
{
	uint64_t one = 1;
	ssize_t n;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&b->nr_listeners, __ATOMIC_SEQ_CST))
		return;
	n = write(b->fd, &one, sizeof(one)); /* a counter that is full has been rung */
	(void)n;
}

void cgm_bell_hush(struct cgm_bell *b)
{
	uint64_t rings;
	ssize_t n = read(b->fd, &rings, sizeof(rings));

	(void)n;
}
