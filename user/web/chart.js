// SPDX-License-Identifier: Apache-2.0
// A line chart over time. The charts of the page share one cursor, so that a peak can be followed from one to the next.

import { el, setText } from './dom.js';
import { Canvas, axisStep, css } from './canvas.js';
import { clock, trimmed } from './format.js';

const LEFT = 62, RIGHT = 8, TOP = 6, BOTTOM = 18;
const charts = new Set();
const cursor = { t: null };

function moveCursor(t) {
	cursor.t = t;
	for (const c of charts)
		c.refresh();
}

export class LineChart {
	// series: [{ key, label, color, hidden, fill, dash }]; binary: the axis counts in powers of 1024.
	constructor({ id, title, hint, format, axis, binary, min_top, series, extra }) {
		Object.assign(this, { format, axis: axis || trimmed(format), binary, min_top, series });
		this.times = [];
		this.columns = {};
		this.window_ms = 120e3;
		this.when = el('span', { class: 'when quiet' });
		this.keys = series.map((s) => this.makeKey(s));
		const canvas = el('canvas', { tabindex: 0, role: 'img', 'aria-label': `${title} over time; left and right arrows read values` });
		this.element = el('figure', { id, 'data-points': 0 },
			el('figcaption', { title: hint }, el('h3', {}, title), ...(extra ? [extra] : []), this.when), canvas,
			el('div', { class: 'legend' }, ...this.keys.map((k) => k.button)));
		this.canvas = new Canvas(canvas, (g, w, h) => this.draw(g, w, h));
		canvas.addEventListener('pointermove', (e) => moveCursor(this.timeAt(e.offsetX)));
		canvas.addEventListener('pointerdown', (e) => moveCursor(this.timeAt(e.offsetX)));
		canvas.addEventListener('pointerleave', () => moveCursor(null));
		canvas.addEventListener('blur', () => moveCursor(null));
		canvas.addEventListener('keydown', (e) => this.onKey(e));
		charts.add(this);
	}

	makeKey(s) {
		const value = el('span', { class: 'value' }, '–');
		const button = el('button', { type: 'button', class: 'key', 'data-color': s.color, 'aria-pressed': String(!s.hidden), title: s.hint },
			el('i', { class: s.dash ? 'swatch dash' : 'swatch' }), s.label, value);
		button.addEventListener('click', () => {
			s.hidden = !s.hidden;
			button.setAttribute('aria-pressed', String(!s.hidden));
			this.refresh();
		});
		return { s, button, value };
	}

	onKey(event) {
		const dir = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
		if (event.key === 'Escape')
			moveCursor(null);
		if (!dir || !this.times.length)
			return;
		event.preventDefault();
		const last = this.times.length - 1;
		const i = cursor.t === null ? last : Math.min(last, Math.max(0, this.nearest(cursor.t) + dir));
		moveCursor(this.times[i]);
	}

	// times: ms, ascending; columns: for each key an array of the same length, null where nothing is known.
	setData(times, columns, window_ms) {
		this.times = times;
		this.columns = columns;
		this.window_ms = window_ms;
		this.element.dataset.points = times.length;
		this.refresh();
	}

	refresh() {
		this.canvas.redraw();
		const i = cursor.t === null ? this.times.length - 1 : this.nearest(cursor.t);
		setText(this.when, cursor.t !== null && i >= 0 ? clock(this.times[i]) : '');
		for (const { s, value } of this.keys) {
			const column = this.columns[s.key];
			setText(value, this.format(column && i >= 0 ? column[i] : null));
		}
	}

	range() {
		const end = this.times.length ? this.times[this.times.length - 1] : Date.now();
		return [end - this.window_ms, end];
	}

	timeAt(x) {
		const [from, to] = this.range();
		const share = (x - LEFT) / Math.max(1, this.canvas.width - LEFT - RIGHT);
		return from + Math.min(1, Math.max(0, share)) * (to - from);
	}

	nearest(t) {
		let best = -1;
		for (let i = 0; i < this.times.length; i++) {
			if (best < 0 || Math.abs(this.times[i] - t) <= Math.abs(this.times[best] - t))
				best = i;
		}
		return best;
	}

	shown() {
		return this.series.filter((s) => !s.hidden && this.columns[s.key]);
	}

	// The top of the axis. A line that is `far` (a limit) counts only when the others come near it.
	top() {
		let top = 0, far = 0;
		for (const s of this.shown()) {
			for (const v of this.columns[s.key]) {
				if (s.dash)
					far = Math.max(far, v || 0);
				else
					top = Math.max(top, v || 0);
			}
		}
		if (far && far < top * 3)
			top = Math.max(top, far);
		return Math.max(top * 1.02, this.min_top);
	}

	draw(g, w, h) {
		const [from, to] = this.range();
		const step = axisStep(this.top(), 4, this.binary);
		const max = Math.ceil(this.top() / step) * step;
		const x = (t) => LEFT + (t - from) / (to - from) * (w - LEFT - RIGHT);
		const y = (v) => h - BOTTOM - v / max * (h - BOTTOM - TOP);
		this.drawGrid(g, w, h, x, y, from, to, step, max);
		g.save();
		g.beginPath();
		g.rect(LEFT, 0, w - LEFT - RIGHT + 1, h - BOTTOM + 1);
		g.clip();
		for (const s of this.shown())
			this.drawLine(g, s, x, y);
		if (cursor.t !== null)
			this.drawCursor(g, h, x, y);
		g.restore();
	}

	drawGrid(g, w, h, x, y, from, to, step, max) {
		g.fillStyle = css('--quiet');
		g.strokeStyle = css('--grid');
		g.lineWidth = 1;
		g.textBaseline = 'middle';
		g.textAlign = 'right';
		g.beginPath();
		for (let v = 0; v <= max + step / 2; v += step) {
			const py = Math.round(y(v)) + 0.5;
			g.moveTo(LEFT, py);
			g.lineTo(w - RIGHT, py);
			g.fillText(v ? this.axis(v, step) : '0', LEFT - 6, py);
		}
		const room = Math.max(1, Math.floor((w - LEFT - RIGHT) / 80));
		const time_step = 1e3 * ([15, 30, 60, 120, 300, 600, 1200, 3600, 7200].find((s) => (to - from) / 1e3 / s <= room) || 14400);
		g.textBaseline = 'alphabetic';
		g.textAlign = 'center';
		for (let t = Math.ceil(from / time_step) * time_step; t <= to; t += time_step) {
			const px = Math.round(x(t)) + 0.5;
			g.moveTo(px, TOP);
			g.lineTo(px, h - BOTTOM);
			if (px > LEFT + 20 && px < w - 26)
				g.fillText(clock(t), px, h - 4);
		}
		g.stroke();
		if (!this.times.length) {
			g.textAlign = 'center';
			g.fillText('no data yet', (LEFT + w - RIGHT) / 2, h / 2);
		}
	}

	drawLine(g, s, x, y) {
		const column = this.columns[s.key];
		const gap_ms = Math.max(5e3, this.window_ms / 30);
		let first = null, last = null;
		const fill = () => {
			if (first === null || !s.fill)
				return;
			g.lineTo(x(this.times[last]), y(0));
			g.lineTo(x(this.times[first]), y(0));
			g.globalAlpha = 0.13;
			g.fill();
			g.globalAlpha = 1;
		};
		g.strokeStyle = g.fillStyle = css(s.color);
		g.lineWidth = 1.5;
		g.lineJoin = 'round';
		g.setLineDash(s.dash ? [5, 4] : []);
		for (let i = 0; i < this.times.length; i++) {
			if (column[i] === null || column[i] === undefined)
				continue;
			if (last === null || this.times[i] - this.times[last] > gap_ms) {
				if (last !== null)
					g.stroke();
				fill();
				g.beginPath();
				g.moveTo(x(this.times[i]), y(column[i]));
				first = i;
			} else {
				g.lineTo(x(this.times[i]), y(column[i]));
			}
			last = i;
		}
		if (last !== null)
			g.stroke();
		fill();
		g.setLineDash([]);
	}

	drawCursor(g, h, x, y) {
		const i = this.nearest(cursor.t);
		if (i < 0)
			return;
		const px = Math.round(x(this.times[i])) + 0.5;
		g.strokeStyle = css('--text');
		g.globalAlpha = 0.4;
		g.lineWidth = 1;
		g.beginPath();
		g.moveTo(px, TOP);
		g.lineTo(px, h - BOTTOM);
		g.stroke();
		g.globalAlpha = 1;
		for (const s of this.shown()) {
			const v = this.columns[s.key][i];
			if (v === null || v === undefined)
				continue;
			g.fillStyle = css(s.color);
			g.beginPath();
			g.arc(px, y(v), 3, 0, 2 * Math.PI);
			g.fill();
		}
	}
}
