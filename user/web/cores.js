// SPDX-License-Identifier: Apache-2.0
// Use per core: a line for each of a few, cells for many.

import { el, setText } from './dom.js';
import { css } from './canvas.js';
import { cores, coresOnAxis, percent } from './format.js';
import { LEFT, LineChart } from './plot.js';
import { CellPlot } from './heat.js';

const { uPlot } = window;
const MOST_LINES = 12, COLORS = ['--c1', '--c4', '--c2', '--c3', '--c5', '--bad'];
const ID = 'chart-cores', TITLE = 'Per core';

class CoreCells extends CellPlot {
	constructor() {
		super({ id: ID, title: TITLE, hint: 'how busy each core is with it' });
		this.value = el('span', { class: 'value' }, '–');
		this.keys_element.append(el('span', { class: 'key' }, 'busiest', this.value));
	}

	set(view, range, marks, nr) {
		this.rows = [0, nr];
		this.dts = view.dt;
		this.times = view.t;
		this.columns = Array.from({ length: nr }, (_, i) => view.rate(`cpu/${i}`, 1e-9));
		this.show([view.t.map((t) => t / 1000), view.t.map(() => null)], range, marks);
	}

	make() {
		const axis = { scale: 'y', size: LEFT, font: '11px system-ui, sans-serif', gap: 6, stroke: () => css('--quiet'), ticks: { show: false },
			grid: { show: false }, splits: (u, _axis, _min, max) => Array.from({ length: 5 }, (_, i) => Math.floor(i * max / 5) + 0.5),
			values: (u, marks) => marks.map((y) => `core ${Math.floor(y)}`) };
		return new uPlot(this.options([{ show: false, scale: 'y' }], [axis], { y: { range: () => this.rows } }, { drawAxes: [(u) => this.drawCells(u)] }),
			this.data, this.host);
	}

	grid(nr_columns) {
		const nr = this.rows[1], grid = new Float32Array(nr_columns * nr);
		this.times.forEach((_, k) => {
			if (this.dts[k])
				this.spread(k, nr_columns, (c, share, seconds) => {
					for (let i = 0; i < nr; i++)
						grid[c * nr + i] += (this.columns[i][k] || 0) * share * this.dts[k] / seconds;
				});
		});
		return grid;
	}

	share(v) {
		return Math.min(1, v);
	}

	showKeys(i) {
		let best = -1;
		for (let k = 0; i >= 0 && this.columns && k < this.columns.length; k++) {
			if (best < 0 || this.columns[k][i] > this.columns[best][i])
				best = k;
		}
		setText(this.value, best < 0 ? '–' : `core ${best}: ${percent(this.columns[best][i])}`);
	}
}

// Chooses between both, and puts the chart behind another.
export class Cores {
	constructor(after) {
		this.after = after;
		this.chart = null;
		this.nr = -1;
	}

	draw(view, range, marks) {
		const nr = view.store.nr_cpus;
		if (nr !== this.nr)
			this.make(nr);
		if (!this.chart)
			return;
		if (nr > MOST_LINES)
			this.chart.set(view, range, marks, nr);
		else
			this.chart.show([view.t.map((t) => t / 1000), ...Array.from({ length: nr }, (_, i) => view.rate(`cpu/${i}`, 1e-9))], range, marks);
	}

	make(nr) {
		if (this.chart)
			this.chart.remove();
		this.nr = nr;
		this.chart = nr > MOST_LINES ? new CoreCells() : nr ? new LineChart({ id: ID, title: TITLE, hint: 'in cores', format: cores, axis: coresOnAxis, min_top: 0.01,
			series: Array.from({ length: nr }, (_, i) => ({ key: `cpu/${i}`, label: `core ${i}`, color: COLORS[i % COLORS.length], dash: i >= COLORS.length })) }) : null;
		if (this.chart)
			this.after.after(this.chart.element);
	}
}
