// SPDX-License-Identifier: Apache-2.0
// The headline: the path, each part of it a link, and what the container's spec limits.

import { $, el } from './dom.js';
import { bytes, count, shorten } from './format.js';
import { encodePath } from './api.js';

// "No limit" is near 2^63 on cgroup v1 and 2^64-1 on v2.
export const limited = (v) => typeof v === 'number' && v > 0 && v < 2 ** 60;

export const pageUrl = (name) => (name === '/' ? '/' : `/containers${encodePath(name)}`);

export function drawPath(name) {
	const parts = name === '/' ? [] : name.slice(1).split('/');
	const links = [el('a', { href: '/', 'data-name': '/', title: 'the whole machine' }, '/')];
	parts.forEach((part, i) => {
		const up_to = `/${parts.slice(0, i + 1).join('/')}`;
		if (i)
			links.push('/', el('wbr'));
		links.push(i + 1 < parts.length ? el('a', { href: pageUrl(up_to), 'data-name': up_to, title: up_to }, shorten(part))
			: el('span', { title: name }, shorten(part)));
	});
	if (!parts.length)
		links.push(el('small', { class: 'quiet' }, ' the whole machine'));
	$('path').replaceChildren(...links);
}

function facts(spec, sample, nr_tasks) {
	const cpu = spec.cpu || {}, memory = spec.memory || {}, list = [];
	const add = (key, value, title) => list.push([key, value, title]);
	if (spec.image)
		add('image', spec.image);
	if (spec.has_cpu) {
		add('CPU limit', limited(cpu.quota) && cpu.period ? `${+(cpu.quota / cpu.period).toFixed(3)} cores` : 'none',
			limited(cpu.quota) ? `${cpu.quota} µs each ${cpu.period} µs` : undefined);
		if (cpu.limit)
			add('shares', count(cpu.limit), 'weight against its siblings when the CPU is short');
		if (cpu.mask)
			add('CPUs', cpu.mask);
	}
	if (spec.has_memory) {
		add('memory limit', limited(memory.limit) ? bytes(memory.limit) : 'none');
		if (limited(memory.reservation))
			add('reserved', bytes(memory.reservation));
		if (limited(memory.swap_limit))
			add('swap limit', bytes(memory.swap_limit));
	}
	const pids = (spec.processes || {}).limit || sample.processes.threads_max;
	const threads = sample.processes.threads_current || nr_tasks;
	if (threads)
		add('threads', count(threads) + (limited(pids) ? ` of ${count(pids)}` : ''));
	if (sample.processes.process_count)
		add('processes', count(sample.processes.process_count));
	if (spec.creation_time && !spec.creation_time.startsWith('0001'))
		add('since', new Date(spec.creation_time).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' }), spec.creation_time);
	return list;
}

let shown = '';
export function drawFacts(spec, sample, nr_tasks) {
	const list = spec ? facts(spec, sample, nr_tasks) : [];
	const text = JSON.stringify(list);
	if (text === shown)
		return;
	shown = text;
	$('facts').replaceChildren(...list.map(([key, value, title]) => el('li', { title }, el('span', { class: 'quiet' }, `${key} `), value)));
}
