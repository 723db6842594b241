// SPDX-License-Identifier: Apache-2.0
// A latency histogram as bars. Bucket i counts values above bounds[i-1] and up to bounds[i]; the last one has no bound.

import { el, setAttr, setText } from './dom.js';
import { Canvas, axisStep, css } from './canvas.js';
import { count, ns, percent } from './format.js';

const LEFT = 46, RIGHT = 8, TOP = 6, BOTTOM = 18;
const MARKS = [[2 ** 10, '1µs'], [2 ** 15, '32µs'], [2 ** 20, '1ms'], [2 ** 25, '32ms'], [2 ** 30, '1s'], [2 ** 35, '32s']];

export const total = (buckets) => buckets.reduce((a, b) => a + b, 0);

// The upper bound of the bucket in which that share of all values ends; null when there are none, Infinity in the last one.
export function quantile(buckets, bounds, share) {
	const n = total(buckets);
	let seen = 0;
	for (let i = 0; n && i < buckets.length; i++) {
		seen += buckets[i];
		if (seen >= n * share)
			return i < bounds.length ? bounds[i] : Infinity;
	}
	return null;
}

function summary(h, bounds, seconds, short) {
	const n = total(h.buckets);
	if (!n)
		return seconds ? 'none in this time' : 'none';
	const upTo = (share) => {
		const q = quantile(h.buckets, bounds, share);
		return q === Infinity ? `> ${ns(bounds[bounds.length - 1])}` : `≤ ${ns(q)}`;
	};
	return `${short ? '' : `mean ${ns(h.sum_ns / n)} · `}p50 ${upTo(0.5)} · p99 ${upTo(0.99)}`;
}

function howMany(h, seconds) {
	if (!h)
		return '';
	const n = total(h.buckets), per_second = seconds ? n / seconds : 0;
	return !seconds ? count(n) : per_second >= 9.95 ? `${count(per_second)}/s` : `${per_second.toFixed(1)}/s`;
}

export class Histogram {
	// series: [{ label, color }], drawn side by side in each bucket.
	constructor({ title, hint, series }) {
		this.series = series;
		this.hists = [];
		this.bounds = [];
		this.at = null;
		this.lines = series.map((s) => el('div', { class: 'hist-line', 'data-color': s.color },
			...(series.length > 1 ? [el('i', { class: 'swatch' }), `${s.label} `] : []), el('span', { class: 'num' }, '–')));
		this.nr = el('span', { class: 'when quiet' });
		const canvas = el('canvas', { tabindex: 0, role: 'img', 'aria-label': `${title}: histogram; left and right arrows read buckets` });
		this.element = el('figure', { class: 'hist', 'data-count': 0 },
			el('figcaption', { title: hint }, el('h3', {}, title), this.nr), canvas, ...this.lines);
		this.canvas = new Canvas(canvas, (g, w, h) => this.draw(g, w, h));
		const cell = () => Math.max(1, this.canvas.width - LEFT - RIGHT) / (this.bounds.length + 1);
		const point = (e) => this.read(Math.floor((e.offsetX - LEFT) / cell()));
		canvas.addEventListener('pointermove', point);
		canvas.addEventListener('pointerdown', point);
		canvas.addEventListener('pointerleave', () => this.read(null));
		canvas.addEventListener('blur', () => this.read(null));
		canvas.addEventListener('keydown', (e) => {
			const dir = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
			if (!dir)
				return;
			e.preventDefault();
			this.read(this.at === null ? 0 : this.at + dir);
		});
	}

	remove() {
		this.canvas.remove();
		this.element.remove();
	}

	// hists: for each series { buckets, sum_ns } or null; seconds: how long they were counted, 0 for all the time.
	setData(bounds, hists, seconds) {
		Object.assign(this, { bounds, hists, seconds });
		this.element.dataset.count = hists.reduce((n, h) => n + (h ? total(h.buckets) : 0), 0);
		this.refresh();
	}

	read(i) {
		this.at = i === null || !this.bounds.length ? null : Math.min(this.bounds.length, Math.max(0, i));
		this.refresh();
	}

	refresh() {
		this.canvas.redraw();
		setText(this.nr, howMany(this.hists[0], this.seconds));
		this.lines.forEach((line, k) => {
			const h = this.hists[k];
			const none = this.bounds.length ? 'not counted' : '–';
			const short = this.series.length > 1; // the whole is in the tooltip
			setText(line.lastChild, !h ? none : this.at === null ? summary(h, this.bounds, this.seconds, short) : this.bucketText(h));
			setAttr(line, 'title', h ? summary(h, this.bounds, this.seconds) : null);
		});
	}

	bucketText(h) {
		const i = this.at, n = total(h.buckets);
		const from = i ? ns(this.bounds[i - 1]) : '0', to = i < this.bounds.length ? ns(this.bounds[i]) : '∞';
		return `${from} to ${to}: ${count(h.buckets[i] || 0)} (${percent(n ? h.buckets[i] / n : 0)})`;
	}

	draw(g, w, h) {
		const nr = this.bounds.length + 1;
		const max_count = Math.max(1, ...this.hists.flatMap((x) => (x ? x.buckets : [])));
		const step = Math.max(1, axisStep(max_count, 3, false));
		const max = Math.ceil(max_count / step) * step;
		const cell = (w - LEFT - RIGHT) / Math.max(1, nr);
		const y = (v) => h - BOTTOM - v / max * (h - BOTTOM - TOP);
		this.drawAxes(g, w, h, y, step, max, cell);
		if (this.at !== null) {
			g.fillStyle = css('--grid');
			g.fillRect(LEFT + this.at * cell, TOP, cell, h - BOTTOM - TOP);
		}
		const shown = this.series.length, bar = Math.max(1, (cell - 1) / shown);
		this.series.forEach((s, k) => {
			if (!this.hists[k])
				return;
			g.fillStyle = css(s.color);
			this.hists[k].buckets.forEach((v, i) => {
				if (v > 0) // at least a pixel: a rare long wait is what one looks for
					g.fillRect(LEFT + i * cell + k * bar, Math.min(y(v), h - BOTTOM - 1), bar, Math.max(1, h - BOTTOM - y(v)));
			});
		});
	}

	drawAxes(g, w, h, y, step, max, cell) {
		g.strokeStyle = css('--grid');
		g.fillStyle = css('--quiet');
		g.lineWidth = 1;
		g.textAlign = 'right';
		g.textBaseline = 'middle';
		g.beginPath();
		const short = new Intl.NumberFormat('en', { notation: 'compact' });
		for (let v = 0; v <= max + step / 2; v += step) {
			const py = Math.round(y(v)) + 0.5;
			g.moveTo(LEFT, py);
			g.lineTo(w - RIGHT, py);
			g.fillText(short.format(v), LEFT - 5, py);
		}
		g.textAlign = 'center';
		g.textBaseline = 'alphabetic';
		for (const [bound, text] of MARKS) {
			const i = this.bounds.indexOf(bound);
			if (i < 0)
				continue;
			const px = Math.round(LEFT + (i + 1) * cell) + 0.5;
			g.moveTo(px, h - BOTTOM);
			g.lineTo(px, h - BOTTOM + 3);
			g.fillText(text, Math.min(px, w - 14), h - 4);
		}
		g.stroke();
	}
}
