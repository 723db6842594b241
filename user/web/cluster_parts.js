// SPDX-License-Identifier: Apache-2.0
// What the cluster's page shows of a set: its charts, its tiles, the columns of its parts. Names are those of include/cgmeter/cluster.def.

import { bytes, cores, coresOnAxis, count, msPerS, percent, perS, rate } from './format.js';

const milli = (v) => cores(v === null ? null : v / 1000);
const line = (key, label, color, more) => ({ key, label, color, ...more });

// factor: what values are multiplied with before they are drawn.
export const CLUSTER_CHARTS = [
	{ id: 'chart-cpu', title: 'CPU', hint: 'in cores', format: cores, axis: coresOnAxis, min_top: 0.01, factor: 1e-3, series: [
		line('cpu/usage_rate', 'used', '--c1', { fill: true }), line('cpu/request', 'requested', '--c2', { dash: true }), line('cpu/limit', 'limit', '--c4', { dash: true }),
		line('cpu/node_allocatable', 'allocatable', '--c3', { dash: true })] },
	{ id: 'chart-memory', title: 'Memory', format: bytes, binary: true, min_top: 1 << 20, series: [
		line('memory/usage', 'used', '--c1', { fill: true }), line('memory/working_set', 'working set', '--c3'), line('memory/rss', 'anonymous', '--c2'),
		line('memory/limit', 'limit', '--c4', { dash: true }), line('memory/node_allocatable', 'allocatable', '--c5', { dash: true })] },
	{ id: 'chart-network', title: 'Network', hint: 'bytes a second', format: rate, binary: true, min_top: 1024, series: [
		line('network/rx_rate', 'received', '--c1', { fill: true }), line('network/tx_rate', 'sent', '--c2')] },
	{ id: 'chart-waiting', title: 'Waiting', hint: 'ms in each second, summed over all tasks', format: msPerS, min_top: 1, factor: 1e3, series: [
		line('cpu/run_queue_delay_rate', 'for a CPU', '--c1', { fill: true }), line('cpu/throttled_rate', 'for its limit', '--c4'), line('disk/wait_rate', 'for disks', '--c3')] },
	{ id: 'chart-faults', title: 'Page faults', hint: 'a second', format: perS, min_top: 1, series: [
		line('memory/page_faults_rate', 'all', '--c1', { fill: true }), line('memory/major_page_faults_rate', 'that had to read', '--c4')] },
];

const share = (part, whole, format) => (whole ? `${percent(part / whole)} of ${format(whole)}` : '');

// read(last): last(metric) is the newest value, null: not known.
export const TILES = [
	{ id: 'tile-cpu', title: 'CPU', format: milli, read: (last) => {
		const value = last('cpu/usage_rate'), whole = last('cpu/node_allocatable') || last('cpu/limit');
		return { value, whole, note: share(value, whole, milli) };
	} },
	{ id: 'tile-memory', title: 'Memory', format: bytes, read: (last) => {
		const value = last('memory/usage'), whole = last('memory/node_allocatable') || last('memory/limit');
		return { value, whole, note: share(value, whole, bytes) };
	} },
	{ id: 'tile-requests', title: 'CPU requested', format: milli, read: (last) => {
		const value = last('cpu/request'), whole = last('cpu/node_allocatable');
		return { value, whole, note: share(value, whole, milli) };
	} },
	{ id: 'tile-restarts', title: 'Restarts', format: count, read: (last) => ({ value: last('restart_count') }) },
	{ id: 'tile-delay', title: 'Waiting for a CPU', format: (v) => msPerS(v === null ? null : v * 1e3), read: (last) => ({ value: last('cpu/run_queue_delay_rate') }) },
];

export const COLUMNS = [
	{ metric: 'cpu/usage_rate', title: 'CPU', format: milli },
	{ metric: 'cpu/request', title: 'requested', format: milli },
	{ metric: 'memory/usage', title: 'memory', format: bytes },
	{ metric: 'memory/working_set', title: 'working set', format: bytes },
	{ metric: 'memory/request', title: 'requested', format: bytes },
	{ metric: 'network/rx_rate', title: 'received', format: rate },
	{ metric: 'network/tx_rate', title: 'sent', format: rate },
	{ metric: 'cpu/run_queue_delay_rate', title: 'CPU wait', format: (v) => msPerS(v === null ? null : v * 1e3) },
	{ metric: 'restart_count', title: 'restarts', format: count },
];
