// SPDX-License-Identifier: Apache-2.0
// Tables of the cluster's page.

import { el, setText } from './dom.js';
import { bytes, clock, count, ms } from './format.js';

// columns: [{ title, text, hint, sort, sorted }]; rows: [{ cells: [text or element], fault: index of a cell that tells a fault }]; pick(sort): a
// heading was chosen.
export function drawTable(host, columns, rows, pick) {
	const head = columns.map((c) => {
		const what = c.sort && pick ? el('button', { type: 'button', title: c.hint, onclick: () => pick(c.sort) }, c.title) : c.title;
		return el('th', { scope: 'col', class: c.text ? 'text' : '', 'aria-sort': c.sorted ? 'descending' : null }, what);
	});
	const body = rows.map((r) => el('tr', {}, ...r.cells.map((cell, i) => el('td', { class: `${columns[i].text ? 'text' : ''}${r.fault === i && cell ? ' fault' : ''}` }, cell))));
	host.replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...body)));
}

const MOST_NODES = 200;
const time = (v) => (v ? clock(v) : '–');

// Those that do not answer first.
export function drawNodes(host, note, nodes, hashOf) {
	const rank = (n) => (n.ready && n.fault ? 0 : n.ready ? 2 : 1);
	const sorted = [...nodes].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name)), shown = sorted.slice(0, MOST_NODES);
	setText(note, sorted.length > shown.length ? `${count(shown.length)} of ${count(sorted.length)}, those that do not answer first` : '');
	drawTable(host, [{ title: 'node', text: true }, { title: 'state', text: true }, { title: 'form', text: true }, { title: 'took ms' }, { title: 'last answer' }, { title: 'answers' }, { title: 'failed' },
		{ title: 'clock ahead ms' }, { title: 'address', text: true }, { title: 'fault', text: true }],
	shown.map((n) => ({ fault: 9, cells: [el('a', { href: hashOf(`node:${n.name}`) }, n.name), n.ready ? (n.fault ? 'does not answer' : 'answers') : 'not ready', n.form || '–',
		ms(n.ok_ms ? n.duration_ms : null), time(n.ok_ms), count(n.answers), count(n.failed), 'skew_ms' in n ? count(n.skew_ms) : '–', n.address, n.fault] })));
}

export function drawSinks(host, sinks) {
	drawTable(host, [{ title: 'sink', text: true }, { title: 'address', text: true }, { title: 'points sent' }, { title: 'tries failed' }, { title: 'points lost' }, { title: 'queue' }, { title: 'spool' },
		{ title: 'last written' }, { title: 'fault', text: true }],
	sinks.map((s) => ({ fault: 8, cells: [s.name, s.address, count(s.sent), count(s.retries), count(s.lost), bytes(s.queue_bytes), bytes(s.spool_bytes), time(s.ok_ms), s.fault] })));
}
