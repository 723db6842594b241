// SPDX-License-Identifier: Apache-2.0
// A chart over time, drawn by uPlot (vendor/): its card, its keys, its axes, and one cursor for all charts of the page, so that a peak can be
// followed from one to the next. heat.js draws cells into the same kind of card.

import { el, setAttr, setText, watchView } from './dom.js';
import { axisStep, css, faded, onTheme, offTheme } from './canvas.js';
import { clock, clockShort, trimmed } from './format.js';

const { uPlot } = window;
export const LEFT = 64;
const HEIGHT = 150, FONT = '11px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
const TIME_STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const plots = new Set();
const cursor = { t: null }; // ms; null: none

function moveCursor(t) {
	cursor.t = t;
	for (const p of plots)
		p.showCursor();
}

// Where the time axis has its marks: as many as have room.
function timeMarks(u, _axis, from, to) {
	const room = Math.max(2, Math.floor(u.bbox.width / (devicePixelRatio || 1) / 90));
	const step = TIME_STEPS.find((s) => (to - from) / s <= room) || 7200;
	const marks = [];
	for (let t = Math.ceil(from / step) * step; t <= to; t += step)
		marks.push(t);
	return marks;
}

// What would be cut at the right is left out.
function timeTexts(u, marks) {
	const text = marks.length > 1 && marks[1] - marks[0] >= 60 ? clockShort : clock, ratio = devicePixelRatio || 1;
	const end = u.bbox.left + u.bbox.width - 18 * ratio;
	return marks.map((t) => (u.valToPos(t, 'x', true) > end ? '' : text(t * 1000)));
}

export function timeAxis() {
	return { scale: 'x', stroke: () => css('--quiet'), font: FONT, size: 20, gap: 4, splits: timeMarks, values: timeTexts,
		grid: { stroke: () => css('--grid'), width: 1 }, ticks: { show: false } };
}

// The base of line charts and heat maps: a figure with a title, a uPlot that fits into it, and keys that show values at the cursor.
export class Plot {
	constructor({ id, title, hint, height, extra }) {
		Object.assign(this, { id, title, height: height || HEIGHT });
		this.u = null;
		this.data = null; // of uPlot: [times in s, columns …]
		this.range = [0, 1]; // s
		this.marks = []; // s: restarts of the agent
		this.dirty = false;
		this.when = el('span', { class: 'when quiet' });
		this.keys_element = el('div', { class: 'legend' });
		this.host = el('div', { class: 'plot', tabindex: 0, role: 'img', 'aria-label': `${title} over time; left and right arrows read values` });
		this.host.style.height = `${this.height}px`;
		this.note = el('p', { class: 'note quiet', hidden: '' });
		this.element = el('figure', { id, 'data-points': 0, 'data-plot': '' }, el('figcaption', {}, el('h3', { title: hint }, title),
			...(extra || []), this.when), this.host, this.note, this.keys_element);
		this.themed = () => this.u && this.u.redraw(false);
		onTheme(this.themed);
		this.host.addEventListener('keydown', (e) => this.onKey(e));
		this.host.addEventListener('blur', () => moveCursor(null));
		for (const kind of ['pointermove', 'pointerdown'])
			this.host.addEventListener(kind, (e) => this.onPointer(e));
		this.host.addEventListener('pointerleave', () => moveCursor(null));
		this.sizes = new ResizeObserver(() => this.fit());
		this.sizes.observe(this.host);
		this.view = watchView(this.element, (seen) => seen && this.dirty && this.update());
		plots.add(this);
	}

	remove() {
		plots.delete(this);
		offTheme(this.themed);
		this.sizes.disconnect();
		if (this.u)
			this.u.destroy();
		this.element.remove();
	}

	options(series, axes, scales, hooks) {
		return {
			width: Math.max(50, this.host.clientWidth), height: this.height, legend: { show: false }, padding: [8, 8, 0, 0], ms: 1e-3,
			cursor: { show: false }, scales: { x: { time: true, range: () => this.range }, ...scales },
			series: [{}, ...series], axes: [timeAxis(), ...axes],
			hooks: { ...hooks, draw: [(u) => this.drawMarks(u), (u) => this.drawCursor(u)] },
		};
	}

	fit() {
		const width = this.host.clientWidth;
		if (!width || !this.view.seen)
			return;
		if (!this.u)
			this.update();
		else if (this.u.width !== width)
			this.u.setSize({ width, height: this.height });
	}

	// data: of uPlot; range, marks in s. Drawn only while it is in view.
	show(data, range, marks, note) {
		this.data = data;
		this.range = range;
		this.marks = marks;
		setAttr(this.element, 'data-points', data[0].length);
		setText(this.note, note || '');
		this.note.hidden = !note;
		this.update();
	}

	update() {
		this.dirty = true;
		if (!this.data || !this.view.seen || !this.host.clientWidth)
			return;
		this.dirty = false;
		if (!this.u)
			this.u = this.make();
		this.u.setData(this.data, true);
		this.showValues();
	}

	xOf(u, t) {
		return u.valToPos(t, 'x', true);
	}

	line(u, t, dash, color) {
		const x = Math.round(this.xOf(u, t)), g = u.ctx;
		if (x < u.bbox.left || x > u.bbox.left + u.bbox.width)
			return;
		g.save();
		g.strokeStyle = color;
		g.lineWidth = devicePixelRatio || 1;
		g.setLineDash(dash);
		g.beginPath();
		g.moveTo(x + 0.5, u.bbox.top);
		g.lineTo(x + 0.5, u.bbox.top + u.bbox.height);
		g.stroke();
		g.restore();
	}

	drawMarks(u) {
		for (const t of this.marks)
			this.line(u, t, [4, 4], css('--bad'));
	}

	drawCursor(u) {
		if (cursor.t !== null)
			this.line(u, cursor.t / 1000, [], faded('--text', 0.5));
	}

	showCursor() {
		if (!this.u || !this.view.seen || this.framed)
			return;
		this.framed = requestAnimationFrame(() => {
			this.framed = 0;
			this.u.redraw(false);
			this.showValues();
		});
	}

	onPointer(event) {
		if (!this.u)
			return;
		const ratio = devicePixelRatio || 1, x = event.clientX - this.host.getBoundingClientRect().left;
		const share = (x - this.u.bbox.left / ratio) / (this.u.bbox.width / ratio);
		moveCursor((this.range[0] + Math.min(1, Math.max(0, share)) * (this.range[1] - this.range[0])) * 1000);
	}

	onKey(event) {
		const dir = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
		if (event.key === 'Escape')
			moveCursor(null);
		if (!dir || !this.data || !this.data[0].length)
			return;
		event.preventDefault();
		const times = this.data[0], last = times.length - 1;
		moveCursor(times[cursor.t === null ? last : Math.min(last, Math.max(0, this.cursorIndex() + dir))] * 1000);
	}

	// Index of the sample that the keys show: the nearest to the cursor, else the newest. -1: none.
	cursorIndex() {
		const times = this.data ? this.data[0] : [];
		if (cursor.t === null || !times.length)
			return times.length - 1;
		const t = cursor.t / 1000;
		let lo = 0, hi = times.length - 1;
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (times[mid] < t)
				lo = mid + 1;
			else
				hi = mid;
		}
		return lo && t - times[lo - 1] < times[lo] - t ? lo - 1 : lo;
	}

	showValues() {
		const i = this.cursorIndex();
		setText(this.when, cursor.t !== null && i >= 0 ? clock(this.data[0][i] * 1000) : '');
		this.showKeys(i);
	}
}

export class LineChart extends Plot {
	// series: [{ key, label, color, hidden, fill, dash, hint, format }]; binary: the axis counts in powers of 1024; pick(key): a key is a link.
	constructor(options) {
		super(options);
		const { format, axis, binary, min_top, max_top, series, pick } = options;
		Object.assign(this, { format, axis: axis || trimmed(format), binary, min_top, max_top, pick });
		this.setSeries(series);
	}

	// Other lines: the chart is made anew.
	setSeries(series) {
		this.series = series;
		if (this.u)
			this.u.destroy();
		this.u = null;
		this.data = null;
		this.keys = series.map((s) => this.makeKey(s));
		this.keys_element.replaceChildren(...this.keys.map((k) => k.element));
	}

	makeKey(s) {
		const value = el('span', { class: 'value' }, '–');
		const button = el('button', { type: 'button', class: 'key', 'data-color': s.color, 'aria-pressed': String(!s.hidden), title: s.hint },
			el('i', { class: s.dash ? 'swatch dash' : 'swatch' }), el('span', { class: 'key-label' }, s.label), value);
		button.addEventListener('click', () => this.pick ? this.pick(s.key) : this.toggle(s, button));
		if (this.pick)
			button.removeAttribute('aria-pressed');
		return { s, element: button, value };
	}

	toggle(s, button) {
		s.hidden = !s.hidden;
		button.setAttribute('aria-pressed', String(!s.hidden));
		if (this.u)
			this.u.setSeries(this.series.indexOf(s) + 1, { show: !s.hidden });
	}

	make() {
		const lines = this.series.map((s) => ({ label: s.label, show: !s.hidden, width: 1.5, points: { show: false }, spanGaps: false,
			stroke: () => css(s.color), fill: s.fill ? () => faded(s.color, 0.14) : undefined, dash: s.dash ? [6, 4] : undefined, scale: 'y' }));
		const axis = { scale: 'y', size: LEFT, font: FONT, gap: 6, stroke: () => css('--quiet'), grid: { stroke: () => css('--grid'), width: 1 },
			ticks: { show: false }, splits: (u, _axis, _min, max) => this.splits(max), values: (u, marks) => this.axisTexts(marks) };
		return new uPlot(this.options(lines, [axis], { y: { range: () => [0, this.top()] } }), this.data || [[]], this.host);
	}

	splits(max) {
		const step = this.step(), marks = [];
		for (let i = 0; i * step <= max * 1.0001; i++)
			marks.push(i * step);
		return marks;
	}

	axisTexts(marks) {
		const step = marks.length > 1 ? marks[1] - marks[0] : 1;
		return marks.map((v) => (v ? this.axis(v, step) : '0'));
	}

	step() {
		return axisStep(this.highest(), 4, this.binary);
	}

	top() {
		const step = this.step();
		return Math.ceil(this.highest() / step - 0.02) * step;
	}

	// A line that is dashed (a limit) counts only when the others come near it.
	highest() {
		let top = 0, far = 0;
		this.series.forEach((s, k) => {
			if (s.hidden || !this.data)
				return;
			const column = this.data[k + 1];
			for (let i = 0; i < column.length; i++) {
				if (column[i] > (s.dash ? far : top)) {
					if (s.dash)
						far = column[i];
					else
						top = column[i];
				}
			}
		});
		if (far && far < top * 3)
			top = Math.max(top, far);
		return Math.min(Math.max(top, this.min_top), this.max_top || Infinity);
	}

	showKeys(i) {
		this.keys.forEach(({ s, value, element }, k) => {
			const column = this.data && this.data[k + 1];
			setText(value, (s.format || this.format)(column && i >= 0 ? column[i] : null));
			element.hidden = !!column && column.length > 0 && !column.some((v) => v !== null);
		});
	}
}
