// SPDX-License-Identifier: Apache-2.0
// A latency histogram as bars with its percentiles. Buckets are the agent's own: four to a doubling, so that a percentile is right within 9 %.

import { el, setText } from './dom.js';
import { Canvas, axisStep, css } from './canvas.js';
import { count, ns, percent, perS } from './format.js';
import { quantile, total } from './buckets.js';

const LEFT = 46, RIGHT = 8, TOP = 6, BOTTOM = 18, NR_BUCKETS = 106, LEAST_SPAN = 28;
const SHARES = [['p50', 0.5], ['p90', 0.9], ['p99', 0.99], ['p99.9', 0.999]];

// The bound of bucket i in ns; scale: { log2, offset } as the agent says.
export const boundOf = (scale) => (i) => (i + 1 < NR_BUCKETS ? 1e9 * 2 ** ((i + scale.offset) / 2 ** scale.log2) : Infinity);

// A histogram of the API as a plain array of all buckets.
export function buckets(h) {
	if (!h || !Array.isArray(h.fine))
		return null;
	const all = new Array(NR_BUCKETS).fill(0);
	h.fine.forEach((v, i) => {
		all[h.first + i] = v;
	});
	return { counts: all, sum_ns: h.sum_ns };
}

export class Histogram {
	// series: [{ label, color }], drawn one behind the other.
	constructor({ title, hint, series }) {
		this.series = series;
		this.hists = [];
		this.at = null;
		this.range = [0, NR_BUCKETS];
		this.nr = el('span', { class: 'when quiet' });
		const canvas = el('canvas', { tabindex: 0, role: 'img', 'aria-label': `${title}: histogram; left and right arrows read buckets` });
		this.lines = series.map((s) => ({ s, mean: el('td'), cells: SHARES.map(() => el('td')) }));
		this.bucket = el('p', { class: 'bucket quiet' });
		const head = el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, el('span', { class: 'hidden-text' }, 'of')),
			el('th', { scope: 'col' }, 'mean'), ...SHARES.map(([name]) => el('th', { scope: 'col' }, name))));
		const body = this.lines.map((l) => el('tr', { 'data-color': l.s.color }, el('th', { scope: 'row' }, el('i', { class: 'swatch' }), l.s.label || 'all'),
			l.mean, ...l.cells));
		this.element = el('figure', { class: 'hist', 'data-count': 0 }, el('figcaption', {}, el('h3', { title: hint }, title), this.nr), canvas,
			el('table', { class: 'percentiles' }, el('caption', { class: 'hidden-text' }, `${title}: mean and percentiles`), head, el('tbody', {}, ...body)),
			this.bucket);
		this.canvas = new Canvas(canvas, (g, w, h) => this.draw(g, w, h));
		this.listen(canvas);
	}

	listen(canvas) {
		const point = (e) => this.read(this.range[0] + Math.floor((e.offsetX - LEFT) / this.cell()));
		for (const kind of ['pointermove', 'pointerdown'])
			canvas.addEventListener(kind, point);
		for (const kind of ['pointerleave', 'blur'])
			canvas.addEventListener(kind, () => this.read(null));
		canvas.addEventListener('keydown', (e) => {
			const dir = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
			if (!dir)
				return;
			e.preventDefault();
			this.read(this.at === null ? this.range[0] : this.at + dir);
		});
	}

	cell() {
		return Math.max(1, this.canvas.width - LEFT - RIGHT) / (this.range[1] - this.range[0]);
	}

	remove() {
		this.canvas.remove();
		this.element.remove();
	}

	// hists: for each series { counts, sum_ns } or null (not known); seconds: how long they were counted, 0 for all the time.
	setData(scale, hists, seconds) {
		Object.assign(this, { hists, seconds });
		this.bound = boundOf(scale);
		this.element.dataset.count = hists.reduce((n, h) => n + (h ? total(h.counts) : 0), 0);
		this.range = this.usedRange();
		this.refresh();
	}

	// The buckets that count, and some room around them, so that the picture keeps still.
	usedRange() {
		let low = NR_BUCKETS, high = 0;
		for (const h of this.hists) {
			for (let i = 0; h && i < NR_BUCKETS; i++) {
				if (h.counts[i]) {
					low = Math.min(low, i);
					high = Math.max(high, i);
				}
			}
		}
		if (low > high)
			return [0, NR_BUCKETS];
		low = Math.max(0, Math.floor((low - 2) / 4) * 4);
		high = Math.min(NR_BUCKETS, Math.ceil((high + 3) / 4) * 4 + 1);
		const more = Math.max(0, LEAST_SPAN - (high - low)) >> 1;
		return [Math.max(0, low - more), Math.min(NR_BUCKETS, high + more)];
	}

	read(i) {
		this.at = i === null ? null : Math.min(this.range[1] - 1, Math.max(this.range[0], i));
		this.refresh();
	}

	refresh() {
		this.canvas.redraw();
		const first = this.hists[0], n = first ? total(first.counts) : 0;
		setText(this.nr, !first ? '' : this.seconds ? perS(n / this.seconds) : count(n));
		this.lines.forEach((line, k) => {
			const h = this.hists[k], counted = h ? total(h.counts) : 0;
			setText(line.mean, ns(counted ? h.sum_ns / counted : null));
			line.cells.forEach((cell, i) => setText(cell, ns(counted ? quantile(h.counts, this.bound, SHARES[i][1]) : null)));
		});
		setText(this.bucket, this.at === null ? '' : this.bucketText());
	}

	bucketText() {
		const i = this.at, from = i ? ns(this.bound(i - 1)) : '0', to = i + 1 < NR_BUCKETS ? ns(this.bound(i)) : '∞';
		const texts = this.hists.map((h, k) => {
			const n = h ? total(h.counts) : 0, name = this.series[k].label ? `${this.series[k].label} ` : '';
			return h ? `${name}${count(h.counts[i])} (${percent(n ? h.counts[i] / n : 0)})` : '';
		});
		return `${from} to ${to}: ${texts.filter(Boolean).join(', ')}`;
	}

	draw(g, w, h) {
		const [first, end] = this.range;
		const most = Math.max(1, ...this.hists.flatMap((x) => (x ? x.counts.slice(first, end) : [])));
		const step = Math.max(1, axisStep(most, 3, false)), top = Math.ceil(most / step) * step;
		const cell = (w - LEFT - RIGHT) / (end - first);
		const y = (v) => h - BOTTOM - v / top * (h - BOTTOM - TOP);
		this.drawAxes(g, w, h, y, step, top, cell);
		if (this.at !== null) {
			g.fillStyle = css('--grid');
			g.fillRect(LEFT + (this.at - first) * cell, TOP, cell, h - BOTTOM - TOP);
		}
		this.series.forEach((s, k) => {
			const x = this.hists[k], width = Math.max(1, cell - (cell > 3 ? 1 : 0));
			g.fillStyle = css(s.color);
			g.globalAlpha = k ? 0.75 : 1;
			for (let i = first; x && i < end; i++) {
				if (x.counts[i]) // at least a pixel: a rare long wait is what one looks for
					g.fillRect(LEFT + (i - first) * cell, Math.min(y(x.counts[i]), h - BOTTOM - 1), width, Math.max(1, h - BOTTOM - y(x.counts[i])));
			}
			g.globalAlpha = 1;
		});
	}

	drawAxes(g, w, h, y, step, top, cell) {
		const [first, end] = this.range, short = new Intl.NumberFormat('en', { notation: 'compact' });
		g.strokeStyle = css('--grid');
		g.fillStyle = css('--quiet');
		g.lineWidth = 1;
		g.textAlign = 'right';
		g.textBaseline = 'middle';
		g.beginPath();
		for (let v = 0; v <= top + step / 2; v += step) {
			const py = Math.round(y(v)) + 0.5;
			g.moveTo(LEFT, py);
			g.lineTo(w - RIGHT, py);
			g.fillText(short.format(v), LEFT - 5, py);
		}
		g.textAlign = 'center';
		g.textBaseline = 'alphabetic';
		const every = Math.max(4, 4 * Math.ceil((end - first) / 4 / Math.max(2, Math.floor((w - LEFT) / 58))));
		for (let i = Math.ceil(first / every) * every; i < end && i + 1 < NR_BUCKETS; i += every) {
			const px = Math.round(LEFT + (i - first + 1) * cell) + 0.5;
			g.moveTo(px, h - BOTTOM);
			g.lineTo(px, h - BOTTOM + 3);
			if (px < w - 20)
				g.fillText(ns(this.bound(i)).replace(/(\.\d*?)0+(?!\d)/, '$1').replace(/\.(?!\d)/, ''), px, h - 4);
		}
		g.stroke();
	}
}
