// SPDX-License-Identifier: Apache-2.0
// The subcontainers that use most CPU and most memory, as lines over time. What happened before the page looked is asked for once a line.

import { $, choice, setText, watchView } from './dom.js';
import { encodePath, getJson } from './api.js';
import { bytes, cores, coresOnAxis } from './format.js';
import { LineChart } from './plot.js';
import { setState, state } from './state.js';
import { Store } from './store.js';

const { uPlot } = window;
const COLORS = ['--c1', '--c4', '--c2', '--c3', '--c5', '--bad'], KEEP_ORDER_MS = 5000, MOST_AT_ONCE = 2, KEPT_S = 3600;

function innermost(node, list) {
	for (const c of node.children) {
		if (c.children.length)
			innermost(c, list);
		else
			list.push(c);
	}
	return list;
}

export class Tops {
	constructor(model, pick) {
		this.model = model;
		this.loading = 0;
		const chart = (id, title, key, options) => ({ key, names: [], at: 0, chart: new LineChart({ id, title, series: [], pick, ...options }) });
		this.charts = [
			chart('top-cpu', 'Top CPU', 'cpu', { hint: 'in cores; choose a name to go there', format: cores, axis: coresOnAxis, min_top: 0.01 }),
			chart('top-memory', 'Top memory', 'mem', { hint: 'working set; choose a name to go there', format: bytes, binary: true, min_top: 1 << 20 }),
		];
		$('tops').append(...this.charts.map((c) => c.chart.element));
		this.view = watchView($('tops-section'), (seen) => seen && this.draw());
		this.showMode = choice($('top-mode'), 'mode', (mode) => setState({ below: mode === 'below' }));
		$('top-nr').addEventListener('change', () => {
			const nr = Math.min(20, Math.max(1, Math.round(+$('top-nr').value) || 1));
			$('top-nr').value = nr;
			setState({ top: nr });
		});
	}

	// Another container, or other wishes: the order is made anew.
	reset() {
		$('top-nr').value = state.top;
		this.showMode(state.below ? 'below' : 'children');
		for (const c of this.charts)
			c.at = 0;
		this.draw();
	}

	draw() {
		const node = this.model.nodes.get(state.name);
		const nodes = !node ? [] : state.below ? innermost(node, []) : node.children;
		$('tops-section').hidden = !!node && !node.children.length;
		setText($('top-note'), nodes.length ? `of ${nodes.length}` : '');
		if (!node || !this.view.seen || !nodes.length)
			return;
		for (const c of this.charts)
			this.drawChart(c, nodes);
	}

	drawChart(c, nodes) {
		const now = performance.now();
		if (now - c.at > KEEP_ORDER_MS || c.names.some((n) => !this.model.nodes.has(n))) {
			const best = [...nodes].sort((a, b) => (b[c.key] || 0) - (a[c.key] || 0)).slice(0, state.top).map((n) => n.name);
			c.at = now;
			if (best.join('\n') !== c.names.join('\n')) {
				c.names = best;
				c.chart.setSeries(best.map((name, i) => ({ key: name, label: this.model.nodes.get(name).label, hint: name, color: COLORS[i % COLORS.length],
					dash: i >= COLORS.length })));
			}
		}
		const end = this.model.time_us / 1000, from = end - state.window * 1000;
		const tables = c.names.map((name) => this.line(this.model.nodes.get(name), c.key, from));
		if (tables.length)
			c.chart.show(uPlot.join(tables), [from / 1000, end / 1000], []);
	}

	// [times in s, values]: what was asked for, then what the page has seen itself.
	line(node, key, from) {
		const [times, values] = this.model.track(node, key, from), past = node.past;
		if (!past)
			this.load(node);
		const first = times.length ? times[0] : Infinity, all_times = [], all = [];
		for (let i = 0; past && past.t && i < past.t.length && past.t[i] < first - 1; i++) {
			if (past.t[i] < from)
				continue;
			all_times.push(Math.round(past.t[i]) / 1000);
			all.push(past[key][i]);
		}
		times.forEach((t, i) => {
			all_times.push(Math.round(t) / 1000);
			all.push(values[i]);
		});
		return [all_times, all];
	}

	async load(node) {
		if (this.loading >= MOST_AT_ONCE)
			return; // at the next turn
		this.loading++;
		node.past = {};
		try {
			const store = new Store(node.name);
			store.add(await getJson(`api/cgmeter/series${encodePath(node.name)}${store.query(state.window)}`));
			const view = store.view(KEPT_S);
			node.past = { t: view.t, cpu: view.rate('cpu.usage.total', 1e-9) || [], mem: view.gauge('memory.working_set') || [] };
			this.draw();
		} catch {
			node.past = {}; // it has ended, or the agent does not answer: the line begins now
		}
		this.loading--;
	}
}
