// SPDX-License-Identifier: Apache-2.0
// "This agent": which programs count and how, what was dropped, what the agent itself costs.

import { $, el, setText } from './dom.js';
import { bytes, count, ns, percent } from './format.js';
import { perSecond } from './model.js';

let last = null;
let shown = '';

// A fallback that rests because a better program runs is no fault.
const spare = (p) => p.mode === 'off' && (p.reason || '').startsWith('not needed');

export function drawAgent(s) {
	const cpu = last ? perSecond(s.cpu_ns, last.cpu_ns, (s.time_ns - last.time_ns) / 1e9) : null;
	last = s;
	const programs = [...s.programs || []].sort((a, b) => spare(a) - spare(b)); // spare ones last
	const on = programs.filter((p) => p.mode !== 'off').length, wanted = programs.filter((p) => !spare(p)).length;
	const drops = Object.entries(s.drops || {}), nr_drops = drops.reduce((sum, [, n]) => sum + n, 0);
	setText($('agent-line'), [`cgmeter ${s.version || ''}`, s.cgroup_mode ? `cgroup ${s.cgroup_mode}` : '',
		s.has_kernel_side === false ? 'kernel side off' : `${on} of ${wanted} programs on`,
		s.overhead_ppm ? `all in all ${percent(s.overhead_ppm / 1e6)} of a core` : '',
		`${count(nr_drops)} drops`, `CPU ${cpu === null ? '–' : percent(cpu / 1e9)} of a core`, `RSS ${bytes(s.rss_bytes)}`,
	].filter(Boolean).join(' · '));
	drawTables(s, programs, drops);
}

// The tables are made anew only when something in them changed.
function drawTables(s, programs, drops) {
	const numbers = [['overhead budget', s.budget_ppm ? `${percent(s.budget_ppm / 1e6)} of a core` : null],
		['samples taken', count(s.nr_samples)], ['CPU time of ticks', ns(s.tick_cpu_ns)],
		['CPU a container-sample', s.nr_samples ? ns(s.tick_cpu_ns / s.nr_samples) : null], ['missed ticks', count(s.nr_missed_ticks)],
		['lost samples', count(s.nr_lost_samples)], ['kernel maps', bytes(s.map_bytes)],
		['slots used', typeof s.nr_slots_used === 'number' ? `${count(s.nr_slots_used)} of ${count(s.nr_slots)}` : null],
		['history', bytes(s.history_bytes)], ['containers', count(s.nr_containers)], ['files kept open', count(s.nr_fds)],
		 ['counters adopted', typeof s.adopted === 'boolean' ? (s.adopted ? 'yes' : 'no') : null],
	].filter(([, v]) => v !== null && v !== '–');
	const text = JSON.stringify([numbers, programs, drops, s.groups, s.maps]);
	if (text === shown)
		return;
	shown = text;
	const row = (cells) => el('tr', {}, ...cells.map((c) => el('td', {}, c)));
	const head = (...names) => el('thead', {}, el('tr', {}, ...names.map((n) => el('th', { scope: 'col' }, n))));
	const mode = (p) => el('span', { class: 'mode', 'data-mode': spare(p) ? 'spare' : p.mode }, p.mode || '?');
	const table = (first, rows) => el('div', { class: 'scroll' }, el('table', {}, first, el('tbody', {}, ...rows)));
	$('agent-body').replaceChildren(
		table(head('program', 'hook', 'mode', 'reason', 'runs', 'a run'), programs.map((p) => row([p.name || '', p.hook || '', mode(p), p.reason || '',
			p.runs ? count(p.runs) : '', p.runs ? ns(p.run_ns / p.runs) : '']))),
		table(head('group of metrics that is off', 'why'), (s.groups || []).filter((g) => !g.on).map((g) => row([g.name, g.reason || '']))),
		table(head('kernel map', 'memory'), [...s.maps || []].sort((a, b) => b.bytes - a.bytes).map((m) => row([m.name, bytes(m.bytes)]))),
		table(head('dropped, by reason', 'count'), drops.map(([reason, n]) => row([reason.replaceAll('_', ' '), count(n)]))),
		table(head('cost', ''), numbers.map(row)));
}
