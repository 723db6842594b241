// SPDX-License-Identifier: Apache-2.0
// Bars: hot and cold memory, and how full the file systems are.

import { $, el, setAttr, setText } from './dom.js';
import { bytes, count, known, percent } from './format.js';
import { lastOf } from './store.js';

const LOW = 0.75, HIGH = 0.9;
const level = (share) => (share >= HIGH ? 'high' : share >= LOW ? 'low' : 'fine');

export class HotCold {
	constructor(chart) {
		this.hot = el('i', { class: 'hot' });
		this.cold = el('i', { class: 'cold' });
		this.text = el('p', { class: 'quiet bar-text' });
		this.bar = el('div', { class: 'stack', role: 'img' }, this.hot, this.cold);
		this.element = el('div', { id: 'hot-cold', hidden: '' }, this.bar, this.text);
		chart.append(this.element);
	}

	draw(view, whole) {
		const usage = lastOf(view.gauge('memory.usage')), hot = lastOf(view.gauge('memory.working_set'));
		this.element.hidden = !known(usage) || !known(hot) || !whole;
		if (this.element.hidden)
			return;
		const cold = Math.max(0, usage - hot), width = (v) => `${(100 * Math.min(1, v / whole)).toFixed(2)}%`;
		this.hot.style.width = width(hot);
		this.cold.style.width = width(cold);
		setText(this.text, `${bytes(hot)} hot, ${bytes(cold)} cold: ${bytes(usage)} of ${bytes(whole)} (${percent(usage / whole)})`);
		setAttr(this.bar, 'aria-label', this.text.textContent);
	}
}

let shown = '';

export function drawFilesystems(list) {
	const text = JSON.stringify(list);
	if (text === shown)
		return;
	shown = text;
	$('filesystems').replaceChildren(...list.map((fs) => {
		const share = fs.capacity ? fs.usage / fs.capacity : 0, fill = el('i');
		// A container's: those that its files take.
		const inodes = !fs.inodes ? '' : fs.inodes_free === undefined ? `, ${count(fs.inodes)} inodes` :
			`, ${percent((fs.inodes - fs.inodes_free) / fs.inodes)} of ${count(fs.inodes)} inodes`;
		fill.style.transform = `scaleX(${Math.min(1, share).toFixed(4)})`;
		return el('div', { class: 'fs' }, el('span', { class: 'fs-name', title: `${fs.device} (${fs.type})` }, fs.device),
			el('div', { class: 'meter', role: 'meter', 'aria-label': `${fs.device} in use`, 'aria-valuemin': 0, 'aria-valuemax': 100,
				'aria-valuenow': Math.round(100 * share), 'data-level': level(share) }, fill),
			el('span', { class: 'quiet' }, `${bytes(fs.usage)} of ${bytes(fs.capacity)} (${percent(share)})${inodes}`));
	}));
}
