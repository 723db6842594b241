// SPDX-License-Identifier: Apache-2.0
// The charts of a container, described once: where, what, from which columns of the store.

import { bytes, cores, coresOnAxis, count, msPerS, perS, percentOf, rate } from './format.js';

const line = (key, label, color, more) => ({ key, label, color, ...more });
export const limited = (v) => typeof v === 'number' && v > 0 && v < 2 ** 60; // "no limit" is near 2^63 on cgroup v1 and 2^64-1 on v2
const constant = (view, v) => (v === null ? null : view.t.map(() => v));

// Lines of one value that is the same all the time: limits.
export function cpuLimit(spec) {
	const cpu = (spec && spec.cpu) || {};
	return limited(cpu.quota) && cpu.period ? cpu.quota / cpu.period : null;
}
export function memoryLimit(spec) {
	const limit = spec && spec.memory && spec.memory.limit;
	return limited(limit) ? limit : null;
}

const chosen = (names, one, skip) => (one && names.includes(one) ? [one] : names.filter((n) => !skip.includes(n)));

function net(view, context, field) {
	const names = chosen(view.store.interfaces, context.iface, ['lo']);
	return view.rates(names.map((n) => `if/${n}/${field}`));
}

function socketsOr(view, context, field, kernel) {
	return view.store.interfaces.length ? net(view, context, field) : view.rate(kernel);
}

function disk(view, context, field) {
	return view.rates(chosen(view.store.disks, context.disk, []).map((n) => `disk/${n}/${field}`));
}

function cold(view) {
	const usage = view.gauge('memory.usage'), hot = view.gauge('memory.working_set');
	return usage && hot && usage.map((v, i) => (v === null || hot[i] === null ? null : Math.max(0, v - hot[i])));
}

const share = (part, whole) => (part && whole ? part.map((v, i) => (v === null || !whole[i] ? null : 100 * v / whole[i])) : null);

// columns(view, context): one for each of series, null where the agent does not know it. context: { spec, iface, disk }. note(view, context): says
// why there is nothing. needs: a column without which the chart is not there at all.
export const CHARTS = [
	{ id: 'chart-cpu', section: 'cpu', title: 'CPU', hint: 'in cores', format: cores, axis: coresOnAxis, min_top: 0.01, series: [
		line('total', 'total', '--c1', { fill: true }), line('user', 'user', '--c2'), line('system', 'kernel', '--c3'),
		line('limit', 'limit', '--c4', { dash: true, hint: 'drawn when use comes near it' })],
	columns: (v, c) => [v.rate('cpu.usage.total', 1e-9), v.rate('cpu.usage.user', 1e-9), v.rate('cpu.usage.system', 1e-9),
		constant(v, cpuLimit(c.spec))] },
	{ id: 'chart-throttling', section: 'cpu', title: 'Throttling', hint: 'how much its CPU limit kept it off the CPUs', format: msPerS, min_top: 1, series: [
		line('time', 'throttled', '--c4', { fill: true, hint: 'ms in each second, summed over the CPUs' }),
		line('share', 'of periods', '--c3', { hidden: true, format: percentOf, hint: 'share of the periods in which the limit was reached' })],
	columns: (v) => [v.rate('cpu.cfs.throttled_time', 1e-6), share(v.rate('cpu.cfs.throttled_periods'), v.rate('cpu.cfs.periods'))],
	note: (v, c) => (c.spec && cpuLimit(c.spec) === null ? 'no CPU limit of its own' : '') },
	{ id: 'chart-pressure', section: 'cpu', title: 'Pressure', hint: 'share of the last 10 s in which threads stood still for want of it', needs: 'cpu.psi.some.avg10',
		format: percentOf, min_top: 1, max_top: 100, series: [
			line('cpu', 'CPU', '--c1', { hint: 'some threads waited' }), line('memory', 'memory', '--c3', { hint: 'some threads waited' }),
			line('io', 'I/O', '--c2', { hint: 'some threads waited' }), line('memory_full', 'memory, all', '--c4', { hint: 'all threads waited', hidden: true }),
			line('io_full', 'I/O, all', '--c5', { hint: 'all threads waited', hidden: true })],
		columns: (v) => ['cpu.psi.some', 'memory.psi.some', 'diskio.psi.some', 'memory.psi.full', 'diskio.psi.full']
			.map((k) => v.gauge(`${k}.avg10`, 0.01)) },
	{ id: 'chart-memory', section: 'memory', title: 'Memory', format: bytes, binary: true, min_top: 1 << 20, series: [
		line('usage', 'total', '--c1'), line('hot', 'hot', '--c4', { fill: true, hint: 'working set: in use less the inactive file cache' }),
		line('cold', 'cold', '--c5', { hint: 'inactive file cache' }), line('limit', 'limit', '--bad', { dash: true, hint: 'drawn when use comes near it' })],
	columns: (v, c) => [v.gauge('memory.usage'), v.gauge('memory.working_set'), cold(v), constant(v, memoryLimit(c.spec))] },
	{ id: 'chart-memory-kinds', section: 'memory', title: 'Kinds of memory', format: bytes, binary: true, min_top: 1 << 20, series: [
		line('rss', 'anonymous', '--c1', { fill: true }), line('cache', 'page cache', '--c5'), line('mapped', 'mapped files', '--c2'),
		line('kernel', 'kernel', '--c3'), line('swap', 'swap', '--c4'), line('dirty', 'dirty', '--bad', { hidden: true })],
	columns: (v) => ['rss', 'cache', 'mapped_file', 'kernel', 'swap', 'file_dirty'].map((k) => v.gauge(`memory.${k}`)) },
	{ id: 'chart-faults', section: 'memory', title: 'Faults and limits', hint: 'a second', format: perS, min_top: 1, series: [
		line('major', 'major faults', '--c4', { hint: 'pages that had to come from disk' }),
		line('hits', 'limit hit', '--c3', { hint: 'how often the memory limit was reached' }),
		line('oom', 'OOM kills', '--bad'), line('minor', 'page faults', '--c5', { hidden: true })],
	columns: (v) => [v.rate('memory.container_data.pgmajfault'), v.rate('memory.failcnt'), v.rate('oom_events'),
		v.rate('memory.container_data.pgfault')] },
	{ id: 'chart-wait', section: 'waiting', title: 'Off the CPU', hint: 'summed over its threads: ms in each second', format: msPerS, min_top: 1,
		needs: 'kernel/off_cpu_iowait_ns', series: [
			line('runq', 'for a CPU', '--c4', { fill: true, hint: 'runnable, on a run queue' }),
			line('iowait', 'for I/O', '--c2', { hint: 'uninterruptible, for I/O' }), line('blocked', 'blocked', '--c3', { hint: 'uninterruptible, not for I/O' }),
			line('sleep', 'asleep', '--c5', { hint: 'interruptible sleep, mostly idle threads', hidden: true })],
		columns: (v) => [v.rate('cpu.schedstat.runqueue_time', 1e-6), ...['iowait', 'blocked', 'sleep'].map((k) => v.rate(`kernel/off_cpu_${k}_ns`, 1e-6))] },
	{ id: 'chart-preempted', section: 'waiting', title: 'Who took its CPU', hint: 'involuntary switches a second, by who ran next', format: perS, min_top: 1,
		needs: 'kernel/preempted_by_same', series: [
			line('other', 'another cgroup', '--c4', { fill: true }), line('same', 'itself', '--c1', { hint: 'another thread of the same cgroup' }),
			line('system', 'the system', '--c3', { hint: 'a kernel thread, or a task of the root cgroup' }),
			line('voluntary', 'gave it up', '--c5', { hint: 'voluntary switches', hidden: true }), line('moves', 'CPU changes', '--c2', { hidden: true })],
		columns: (v) => ['preempted_by_other', 'preempted_by_same', 'preempted_by_system', 'switches_voluntary', 'migrations'].map((k) => v.rate(`kernel/${k}`)) },
	{ id: 'chart-tasks', section: 'waiting', title: 'Threads', hint: 'by state, at the moment of the sample', format: count, min_top: 4, series: [
		line('running', 'running', '--c1', { fill: true }), line('iowait', 'I/O wait', '--c2'), line('blocked', 'blocked', '--c3'),
		line('stopped', 'stopped', '--c4', { hidden: true }), line('sleeping', 'asleep', '--c5', { hidden: true })],
	columns: (v) => ['nr_running', 'nr_io_wait', 'nr_uninterruptible', 'nr_stopped', 'nr_sleeping'].map((k) => v.gauge(`task_stats.${k}`)) },
	{ id: 'chart-network', section: 'network', title: 'Throughput', choice: 'iface', format: rate, binary: true, min_top: 1024, series: [
		line('rx', 'received', '--c1', { fill: true }), line('tx', 'sent', '--c4')],
	columns: (v, c) => [socketsOr(v, c, 'rx_bytes', 'kernel/socket_rx_bytes'), socketsOr(v, c, 'tx_bytes', 'kernel/socket_tx_bytes')],
	note: (v) => (v.t.length && !v.store.interfaces.length ? 'shares the machine’s network: payload of its sockets' : '') },
	{ id: 'chart-network-errors', section: 'network', title: 'Errors', choice: 'iface', hint: 'packets a second', format: perS, min_top: 1, series: [
		line('rx_errors', 'receive errors', '--bad'), line('tx_errors', 'send errors', '--c3'),
		line('rx_dropped', 'dropped on receive', '--c5'), line('tx_dropped', 'dropped on send', '--c2'),
		line('resent', 'TCP resent', '--c4', { hint: 'segments that had to be sent again, of all its sockets' })],
	columns: (v, c) => [...['rx_errors', 'tx_errors', 'rx_dropped', 'tx_dropped'].map((k) => net(v, c, k)), v.rate('kernel/tcp_retransmits')] },
	{ id: 'chart-disk', section: 'disk', title: 'Throughput', choice: 'disk', format: rate, binary: true, min_top: 1024, series: [
		line('read', 'read', '--c1', { fill: true }), line('write', 'written', '--c4')],
	columns: (v, c) => [disk(v, c, 'io_service_bytes.Read'), disk(v, c, 'io_service_bytes.Write')],
	note: (v) => (v.t.length && !v.store.disks.length ? 'no block device has been used' : '') },
	{ id: 'chart-disk-ops', section: 'disk', title: 'Requests', choice: 'disk', hint: 'a second', format: perS, min_top: 1, series: [
		line('reads', 'reads', '--c1', { fill: true }), line('writes', 'writes', '--c4')],
	columns: (v, c) => [disk(v, c, 'io_serviced.Read'), disk(v, c, 'io_serviced.Write')] },
];

export const HEATS = [
	{ id: 'heat-runq', title: 'Run-queue delay', hint: 'from runnable to running, each turn', column: 'heat/runq_delay' },
	{ id: 'heat-block', title: 'Block latency', hint: 'from queue to completion, all devices', column: 'heat/block_latency' },
	{ id: 'heat-rtt', title: 'TCP round trip', hint: 'the kernel’s smoothed round trip of each connection', column: 'heat/tcp_rtt' },
];
