// SPDX-License-Identifier: Apache-2.0
// A heat map over time: how many waits of which length there were in each moment, darker (or brighter, in the dark) where there were more, and
// the median and the 99th percentile as lines. The cells are made as a small picture, a pixel each, which the canvas then stretches.

import { el, setText } from './dom.js';
import { css, faded, rgb } from './canvas.js';
import { ns, perS, trimmed } from './format.js';
import { LEFT, Plot } from './plot.js';
import { NR_BARS, addBars, axisNs, barAxis, barBound, quantile, total } from './buckets.js';

const { uPlot } = window;
const STOPS = ['--h0', '--h1', '--h2', '--h3', '--h4'], LEAST_ROWS = 8, CELL_PX = 3;

// The colour of a share from 0 to 1 on the scale of the theme.
function shade(share) {
	const at = Math.min(0.9999, Math.max(0, share)) * (STOPS.length - 1), i = Math.floor(at);
	const a = rgb(css(STOPS[i])), b = rgb(css(STOPS[i + 1]));
	return a.map((v, k) => v + (b[k] - v) * (at - i));
}

// A chart whose ground is a picture of cells. Who extends it gives rows (the range of the axis), dts (s that each sample spans), grid(columns)
// (values, column by column from the lowest row up) and share(value, most).
export class CellPlot extends Plot {
	constructor(options) {
		super({ height: 190, ...options });
		this.picture = el('canvas');
		this.rows = [0, LEAST_ROWS];
		this.dts = [];
	}

	drawCells(u) {
		const ratio = devicePixelRatio || 1, rows = this.rows[1] - this.rows[0];
		const samples = Math.max(1, Math.round((this.range[1] - this.range[0]) / Math.max(0.05, this.typical())));
		const columns = Math.max(1, Math.min(samples, Math.floor(u.bbox.width / ratio / CELL_PX)));
		const grid = this.grid(columns), most = grid.reduce((a, b) => Math.max(a, b), 0);
		this.paint(grid, columns, rows, most);
		u.ctx.save();
		u.ctx.imageSmoothingEnabled = false;
		u.ctx.drawImage(this.picture, 0, 0, columns, rows, u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
		u.ctx.restore();
		this.drawRows(u, rows);
		this.tellMost(most);
	}

	tellMost() {}

	// Fine lines between the rows keep them apart.
	drawRows(u, rows) {
		const g = u.ctx;
		if (u.bbox.height / rows < 6 * (devicePixelRatio || 1))
			return; // there would be more lines than rows
		g.fillStyle = faded('--card', 0.5);
		for (let i = 1; i < rows; i++)
			g.fillRect(u.bbox.left, Math.round(u.bbox.top + u.bbox.height * i / rows), u.bbox.width, 1);
	}

	typical() {
		const gaps = this.dts.filter((v) => v > 0).sort((a, b) => a - b);
		return gaps.length ? gaps[gaps.length >> 1] : 1;
	}

	paint(grid, columns, rows, most) {
		this.picture.width = columns;
		this.picture.height = rows;
		const g = this.picture.getContext('2d'), image = g.createImageData(columns, rows), shades = [];
		for (let i = 0; i < 64; i++)
			shades.push(shade(0.08 + 0.92 * i / 63));
		for (let c = 0; c < columns; c++) {
			for (let r = 0; r < rows; r++) {
				const v = grid[c * rows + r], p = ((rows - 1 - r) * columns + c) * 4;
				if (!v)
					continue;
				const [red, green, blue] = shades[Math.min(63, Math.round(63 * this.share(v, most)))];
				image.data[p] = red;
				image.data[p + 1] = green;
				image.data[p + 2] = blue;
				image.data[p + 3] = 255;
			}
		}
		g.putImageData(image, 0, 0);
	}

	// Calls visit(column, its share of the sample) for each column of the grid that a sample overlaps.
	spread(k, nr_columns, visit) {
		const [from, to] = this.range.map((t) => t * 1000), width = (to - from) / nr_columns;
		const end = (this.times[k] - from) / width, begin = end - this.dts[k] * 1000 / width;
		for (let c = Math.max(0, Math.floor(begin)); c < Math.min(nr_columns, end); c++)
			visit(c, (Math.min(c + 1, end) - Math.max(c, begin)) / (end - begin), width / 1000);
	}
}

export class HeatMap extends CellPlot {
	// column: of the store, "heat/…"
	constructor({ id, title, hint, column }) {
		super({ id, title, hint });
		this.column = column;
		this.scale = el('span', { class: 'heat-scale', 'aria-hidden': 'true' });
		this.most = el('span', { class: 'quiet' });
		const key = (label, color) => {
			const value = el('span', { class: 'value' }, '–');
			return { value, element: el('span', { class: 'key', 'data-color': color }, el('i', { class: 'swatch' }), label, value) };
		};
		this.k50 = key('p50', '--line50');
		this.k99 = key('p99', '--line99');
		this.kn = el('span', { class: 'key' }, 'waits ', el('span', { class: 'value' }, '–'));
		this.keys_element.append(this.k50.element, this.k99.element, this.kn, el('span', { class: 'key scale-key' }, '0 ', this.scale, this.most));
	}

	// view: of the store. False: this histogram is not there at all.
	draw(view, range, marks) {
		const cells = view.raw(this.column);
		if (!cells)
			return false;
		this.sum(view, cells);
		const some = cells.some((c) => c);
		this.show([view.t.map((t) => t / 1000), this.p50, this.p99], range, marks,
			some ? '' : cells.some((c) => c === 0) ? 'nothing waited in this time' : 'being counted from now on');
		return true;
	}

	// Percentiles of each sample, and which bars are in use.
	sum(view, cells) {
		let low = NR_BARS, high = 0;
		const at = (share) => (cell) => {
			if (!cell)
				return null;
			const bars = new Array(NR_BARS).fill(0);
			addBars(bars, cell);
			const q = quantile(bars, barBound, share);
			return q === null ? null : q === Infinity ? NR_BARS - 0.5 : barAxis(q);
		};
		for (const cell of cells) {
			if (cell) {
				low = Math.min(low, cell[0]);
				high = Math.max(high, cell[0] + cell.length - 1);
			}
		}
		this.cells = cells;
		this.times = view.t;
		this.dts = view.dt;
		this.p50 = cells.map(at(0.5));
		this.p99 = cells.map(at(0.99));
		const first = Math.max(0, Math.min(low, NR_BARS - LEAST_ROWS) - 1);
		this.rows = low > high ? [4, 4 + LEAST_ROWS] : [first, Math.min(NR_BARS, Math.max(high + 1, first + LEAST_ROWS))];
	}

	make() {
		const line = (color) => ({ stroke: () => css(color), width: 1.5, points: { show: false }, scale: 'y' });
		const axis = { scale: 'y', size: LEFT, font: '11px system-ui, sans-serif', gap: 6, stroke: () => css('--quiet'), ticks: { show: false },
			grid: { show: false }, splits: () => this.marksOfTime(), values: (u, marks) => marks.map((y) => trimmed(ns)(axisNs(y))) };
		return new uPlot(this.options([line('--line50'), line('--line99')], [axis], { y: { range: () => this.rows } },
			{ drawAxes: [(u) => this.drawCells(u)] }), this.data, this.host);
	}

	// 1 µs, 32 µs, 1 ms, …, as the bars have their bounds.
	marksOfTime() {
		const [lo, hi] = this.rows, step = hi - lo > 14 ? 5 : hi - lo > 9 ? 3 : 2;
		const marks = [];
		for (let y = Math.ceil((lo - 1) / step) * step + 1; y <= hi; y += step) {
			if (y >= lo)
				marks.push(y);
		}
		return marks;
	}

	// Counts per second; a sample that spans several columns is spread over them.
	grid(nr_columns) {
		const [lo, hi] = this.rows, grid = new Float32Array(nr_columns * (hi - lo));
		this.cells.forEach((cell, k) => {
			if (!cell || !this.dts[k])
				return;
			this.spread(k, nr_columns, (c, share, seconds) => {
				for (let i = 1; i < cell.length; i++) {
					const row = cell[0] + i - 1 - lo;
					if (row >= 0 && row < hi - lo)
						grid[c * (hi - lo) + row] += cell[i] * share / seconds;
				}
			});
		});
		return grid;
	}

	// One wait a second is to be seen beside thousands: the scale is logarithmic.
	share(v, most) {
		return Math.log1p(v) / Math.log1p(most);
	}

	tellMost(most) {
		setText(this.most, ` ${most ? perS(most) : '–'}`);
	}

	showKeys(i) {
		const cell = i >= 0 && this.cells ? this.cells[i] : null, dt = i >= 0 && this.dts ? this.dts[i] : null;
		const text = (y) => (y === null || y === undefined ? '–' : ns(y > NR_BARS - 1 ? Infinity : axisNs(y)));
		setText(this.k50.value, text(i >= 0 && this.p50 ? this.p50[i] : null));
		setText(this.k99.value, text(i >= 0 && this.p99 ? this.p99[i] : null));
		setText(this.kn.lastChild, cell && dt ? perS(total(cell.slice(1)) / dt) : cell === 0 ? '0/s' : '–');
	}
}
