// SPDX-License-Identifier: Apache-2.0
// The right side: everything about the chosen container, fed by its store of samples.

import { $, el } from './dom.js';
import { span } from './format.js';
import { LineChart } from './plot.js';
import { HeatMap } from './heat.js';
import { CHARTS, HEATS, memoryLimit } from './charts.js';
import { Cores } from './cores.js';
import { Tiles } from './tiles.js';
import { Tops } from './tops.js';
import { Waits } from './waits.js';
import { Processes } from './processes.js';
import { drawFacts, drawMachine, drawPath } from './facts.js';
import { drawFilesystems, HotCold } from './bars.js';
import { setState, state } from './state.js';
import { Store } from './store.js';

const CACHED = 8; // stores of containers looked at before

// A choice among interfaces or disks; all charts with that choice follow.
class Pick {
	constructor(key, label, all, redraw) {
		Object.assign(this, { key, all, redraw });
		this.selects = [];
		this.label = label;
		this.names = null;
	}

	make() {
		const select = el('select', { 'aria-label': this.label, hidden: '' });
		select.addEventListener('change', () => {
			setState({ [this.key]: select.value });
			this.redraw();
		});
		this.selects.push(select);
		return select;
	}

	set(names) {
		const text = names.join('\n');
		for (const select of this.selects) {
			select.hidden = names.length < 2;
			if (text !== this.names)
				select.replaceChildren(el('option', { value: '' }, this.all), ...names.map((n) => el('option', { value: n }, n)));
			select.value = names.includes(state[this.key]) ? state[this.key] : '';
		}
		this.names = text;
	}

	value(names) {
		return names.includes(state[this.key]) ? state[this.key] : '';
	}
}

export class Detail {
	constructor(model, pick) {
		this.model = model;
		this.stores = new Map();
		this.store = new Store('/');
		this.info = null;
		this.machine = null;
		this.range = [0, 1];
		this.picks = { iface: new Pick('iface', 'Network interface', 'all interfaces', () => this.draw()),
			disk: new Pick('disk', 'Disk', 'all disks', () => this.draw()) };
		this.tiles = new Tiles();
		this.charts = CHARTS.map((d) => {
			const extra = d.choice ? [this.picks[d.choice].make()] : [];
			const chart = new LineChart({ ...d, series: d.series.map((s) => ({ ...s })), extra });
			$(d.section).append(chart.element);
			return { d, chart };
		});
		this.cores = new Cores($('chart-cpu'));
		this.hotCold = new HotCold($('chart-memory'));
		this.heats = HEATS.map((h) => new HeatMap(h));
		$('heats').append(...this.heats.map((h) => h.element));
		this.tops = new Tops(model, pick);
		this.waits = new Waits();
		this.processes = new Processes();
	}

	// Another container.
	show(name) {
		this.stores.delete(this.store.name);
		this.stores.set(this.store.name, this.store);
		this.store = this.stores.get(name) || new Store(name);
		for (const old of [...this.stores.keys()].slice(0, Math.max(0, this.stores.size - CACHED)))
			this.stores.delete(old);
		this.info = null;
		this.waits.reset();
		this.processes.reset();
		drawPath(name);
		drawFacts(null);
		this.tops.reset();
		this.draw();
	}

	// Whatever was known of the agent's containers may be another's now.
	restarted() {
		this.waits.reset();
	}

	addSeries(answer) {
		this.store.add(answer);
		this.draw();
	}

	addInfo(info) {
		this.info = info;
		drawFacts(info, this.machine && this.machine.num_cores);
	}

	addMachine(machine) {
		this.machine = machine;
		drawMachine(machine);
	}

	context() {
		const node = this.model.nodes.get(this.store.name), m = this.machine || {};
		return { name: this.store.name, spec: this.info && this.info.spec, nr_cores: m.num_cores, memory: m.memory_capacity, nr_tasks: node && node.tasks,
			iface: this.picks.iface.value(this.store.interfaces), disk: this.picks.disk.value(this.store.disks) };
	}

	draw() {
		const view = this.store.view(state.window), context = this.context();
		const range = view.to ? [view.from / 1000, view.to / 1000] : [Date.now() / 1000 - state.window, Date.now() / 1000];
		const marks = this.store.restarts.map((t) => t / 1000), times = view.t.map((t) => t / 1000);
		this.picks.iface.set(this.store.interfaces);
		this.picks.disk.set(this.store.disks);
		this.tiles.draw(view, context);
		for (const { d, chart } of this.charts) {
			chart.element.hidden = !!d.needs && times.length > 0 && !view.has(d.needs);
			const columns = d.columns(view, context).map((c) => c || new Array(times.length).fill(null));
			chart.show([times, ...columns], range, marks, times.length ? (d.note ? d.note(view, context) : '') : 'no data yet');
		}
		this.cores.draw(view, range, marks);
		for (const heat of this.heats)
			heat.element.hidden = !heat.draw(view, range, marks);
		this.hotCold.draw(view, memoryLimit(context.spec) || context.memory);
		drawFilesystems(this.store.filesystems);
		this.tellReach(view);
	}

	// How much of the window there is data for.
	tellReach(view) {
		const first = view.t.length ? view.t[0] : 0, reach = Math.round((view.to - first) / 1000);
		const short = first > 0 && first > view.from + 5000;
		$('window').title = short ? `the data reach back ${span(reach)}; the page keeps what it has seen` : '';
	}
}
