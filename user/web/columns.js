// SPDX-License-Identifier: Apache-2.0
// The columns of the list of cgroups, described once: header, cells, sorting and bars come from here.

import { bytes, count, cores, ms, percent, percentOf, perS, rate } from './format.js';

// key: of a node of the model, and of "sort" in the address. binary: bars end at powers of two. narrow: shown beside the charts, too.
export const COLUMNS = [
	{ key: 'cpu', title: 'CPU', format: cores, hint: 'CPU use, in cores', narrow: true },
	{ key: 'wait', title: 'wait', format: ms, hint: 'run-queue wait of all its threads: ms of being runnable without a CPU, per second', narrow: true },
	{ key: 'throttled', title: 'throttled', format: ms, hint: 'ms in each second that its CPU limit kept it off the CPUs, summed over them' },
	{ key: 'mem', title: 'memory', format: bytes, binary: true, hint: 'memory working set: in use less the inactive file cache', narrow: true },
	{ key: 'limit', title: 'of limit', format: percent, hint: 'working set as a share of its own memory limit' },
	{ key: 'pressure', title: 'pressure', format: percentOf,
		hint: 'the greatest of CPU, memory and I/O pressure: share of the last 10 s in which some of its threads stood still' },
	{ key: 'tasks', title: 'threads', format: count, hint: 'threads' },
	{ key: 'read', title: 'disk read', format: rate, binary: true, hint: 'bytes read from block devices' },
	{ key: 'write', title: 'written', format: rate, binary: true, hint: 'bytes written to block devices' },
	{ key: 'rx', title: 'received', format: rate, binary: true, hint: 'payload that its sockets received' },
	{ key: 'tx', title: 'sent', format: rate, binary: true, hint: 'payload that its sockets sent' },
	{ key: 'resent', title: 'resent', format: perS, hint: 'TCP segments sent again' },
	{ key: 'oom', title: 'OOM kills', format: count, hint: 'tasks that the out-of-memory killer ended, since the counter began' },
];

export const columnOf = (key) => COLUMNS.find((c) => c.key === key);
