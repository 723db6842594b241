// SPDX-License-Identifier: Apache-2.0
// The headline: the path, each part of it a link; who the container is; and what isolates it: CPU, memory and process limits.

import { $, el } from './dom.js';
import { bytes, count, shorten } from './format.js';
import { hashOf } from './state.js';
import { cpuLimit, limited } from './charts.js';

const MOST_CHIPS = 64;

export function drawPath(name) {
	const parts = name === '/' ? [] : name.slice(1).split('/');
	const links = [el('a', { href: hashOf({ name: '/' }), 'data-name': '/', title: 'the whole machine' }, '/')];
	parts.forEach((part, i) => {
		const up_to = `/${parts.slice(0, i + 1).join('/')}`;
		if (i)
			links.push('/', el('wbr'));
		links.push(i + 1 < parts.length ? el('a', { href: hashOf({ name: up_to }), 'data-name': up_to, title: up_to }, shorten(part))
			: el('span', { title: name }, shorten(part)));
	});
	if (!parts.length)
		links.push(el('small', { class: 'quiet' }, ' the whole machine'));
	$('path').replaceChildren(...links);
}

// The numbers of a CPU list, "0-2,5".
export function cpusOf(mask) {
	const cpus = [];
	for (const part of (mask || '').split(',').filter(Boolean)) {
		const [from, to] = part.split('-').map(Number);
		for (let i = from; i <= (to === undefined ? from : to) && cpus.length < 4096; i++)
			cpus.push(i);
	}
	return cpus;
}

function identity(info) {
	const { spec } = info, list = [];
	if (info.aliases && info.aliases.length)
		list.push(['also', info.aliases.join(', ')]);
	if (spec.image)
		list.push(['image', spec.image]);
	if (info.namespace)
		list.push(['namespace', info.namespace]);
	if (spec.creation_time && !spec.creation_time.startsWith('0001'))
		list.push(['since', new Date(spec.creation_time).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' }), spec.creation_time]);
	const labels = Object.entries(spec.labels || {});
	if (labels.length)
		list.push(['labels', count(labels.length), labels.map(([k, v]) => `${k}=${v}`).join('\n')]);
	return list;
}

const card = (title, ...rows) => el('dl', { class: 'isolation-card', 'aria-label': title },
	...rows.flatMap(([key, value, hint]) => [el('dt', { title: hint }, key), el('dd', {}, value)]));

function cores(spec, nr_cores) {
	const allowed = cpusOf(spec.cpu.mask), all = Math.max(nr_cores || 0, ...allowed.map((i) => i + 1));
	if (!allowed.length || all > MOST_CHIPS)
		return spec.cpu.mask || 'all';
	const chips = Array.from({ length: all }, (_, i) => el('span', { class: allowed.includes(i) ? 'chip on' : 'chip', 'aria-hidden': 'true' }, String(i)));
	return el('span', { class: 'chips' }, el('span', { class: 'hidden-text' }, spec.cpu.mask), ...chips);
}

function cpuCard(spec, nr_cores) {
	const limit = cpuLimit(spec);
	return card('CPU isolation', ['Shares', spec.cpu.limit ? count(spec.cpu.limit) : '–', 'weight against its siblings when the CPU is short'],
		['Limit', limit === null ? 'none' : `${+limit.toFixed(3)} cores`, limit === null ? 'no quota' : `${spec.cpu.quota} µs in each ${spec.cpu.period} µs`],
		['Allowed cores', cores(spec, nr_cores), 'its set of CPUs']);
}

const amount = (v) => (limited(v) ? bytes(v) : 'none');

function memoryCard(spec, sample) {
	const pids = (spec.processes || {}).limit || (sample && sample.processes && sample.processes.threads_max);
	return card('Memory isolation', ['Reservation', amount(spec.memory.reservation)], ['Limit', amount(spec.memory.limit)],
		['Swap limit', amount(spec.memory.swap_limit)], ['Threads at most', limited(pids) ? count(pids) : 'no limit']);
}

let shown = '';

// info: an answer of /api/v1.3/containers, null: none yet.
export function drawFacts(info, nr_cores) {
	const text = JSON.stringify(info && [info.name, info.spec, info.aliases, nr_cores]);
	if (text === shown)
		return;
	shown = text;
	const spec = (info && info.spec) || {}, sample = info && info.stats && info.stats[info.stats.length - 1];
	$('facts').replaceChildren(...(info ? identity(info) : []).map(([key, value, title]) =>
		el('li', { title }, el('span', { class: 'quiet' }, `${key} `), value)));
	$('cpu-facts').replaceChildren(...(spec.cpu && spec.has_cpu ? [cpuCard(spec, nr_cores)] : []));
	$('memory-facts').replaceChildren(...(spec.memory && spec.has_memory ? [memoryCard(spec, sample)] : []));
}

export function drawMachine(m) {
	const disks = Object.values(m.disk_map || {}), nets = m.network_devices || [];
	const cells = [['Logical CPUs', count(m.num_cores)], ['Physical cores', count(m.num_physical_cores)], ['Sockets', count(m.num_sockets)],
		['CPU', m.vendor_id || '–'], ['Memory', bytes(m.memory_capacity)], ['Swap', bytes(m.swap_capacity || 0)],
		['NUMA nodes', count((m.topology || []).length)], ['Machine id', m.machine_id || '–'], ['System UUID', m.system_uuid || '–'], ['Boot id', m.boot_id || '–']];
	const table = (title, names, rows) => el('div', { class: 'scroll' }, el('table', {}, el('caption', {}, title),
		el('thead', {}, el('tr', {}, ...names.map((n) => el('th', { scope: 'col' }, n)))),
		el('tbody', {}, ...rows.map((r) => el('tr', {}, ...r.map((c) => el('td', {}, c)))))));
	$('machine-facts').replaceChildren(el('dl', { class: 'isolation-card' }, ...cells.filter(([, v]) => v && v !== '–')
		.flatMap(([k, v]) => [el('dt', {}, k), el('dd', {}, v)])),
	el('div', { class: 'tables' },
		table('Disks', ['name', 'size', 'scheduler'], disks.map((d) => [d.name, bytes(d.size), d.scheduler || ''])),
		table('Network interfaces', ['name', 'speed', 'MTU', 'MAC address'], nets.map((n) => [n.name, n.speed > 0 ? `${n.speed} Mbit/s` : '–', String(n.mtu), n.mac_address || '']))));
}
