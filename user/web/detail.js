// SPDX-License-Identifier: Apache-2.0
// The right side: charts of the chosen container, fed by the container API, the tree (socket and block bytes) and the waits.

import { $, choice, el, setText } from './dom.js';
import { LineChart } from './chart.js';
import { Series } from './series.js';
import { drawFacts, drawPath, limited } from './facts.js';
import { Waits } from './waits.js';
import { bytes, cores, coresOnAxis, count, msPerS, rate } from './format.js';

const line = (key, label, color, more) => ({ key, label, color, ...more });

function makeCharts(extra) {
	return {
		cpu: new LineChart({ id: 'chart-cpu', title: 'CPU', hint: 'cores in use', format: cores, axis: coresOnAxis, min_top: 0.01, series: [
			line('total', 'total', '--c1', { fill: true }), line('user', 'user', '--c2'), line('system', 'system', '--c3'),
			line('throttled', 'throttled', '--c4', { hint: 'time that its limit kept it off the CPUs, in cores', hidden: true })] }),
		memory: new LineChart({ id: 'chart-memory', title: 'Memory', format: bytes, binary: true, min_top: 1 << 20, series: [
			line('usage', 'usage', '--c1'), line('working_set', 'working set', '--c2', { fill: true }), line('rss', 'rss', '--c3'),
			line('cache', 'cache', '--c5'), line('limit', 'limit', '--c4', { dash: true, hint: 'drawn when usage comes near it' })] }),
		wait: new LineChart({ id: 'chart-wait', title: 'Waiting', hint: 'summed over its threads: ms of waiting in each second',
			format: msPerS, min_top: 1, series: [
			line('runq', 'for a CPU', '--c4', { fill: true, hint: 'runnable, on a run queue' }),
			line('iowait', 'for I/O', '--c2', { hint: 'uninterruptible, for I/O; since this container was opened' }),
			line('blocked', 'blocked', '--c3', { hint: 'uninterruptible, not for I/O; since this container was opened' }),
			line('sleep', 'asleep', '--c5', { hint: 'interruptible sleep, mostly idle threads', hidden: true })] }),
		disk: new LineChart({ id: 'chart-disk', title: 'Disk', format: rate, binary: true, min_top: 1024, series: [
			line('read', 'read', '--c1', { fill: true }), line('write', 'write', '--c4')] }),
		network: new LineChart({ id: 'chart-network', title: 'Network', format: rate, binary: true, min_top: 1024, extra, series: [
			line('rx', 'received', '--c1', { fill: true }), line('tx', 'sent', '--c4')] }),
		tasks: new LineChart({ id: 'chart-tasks', title: 'Threads', hint: 'by state, at the moment of the sample',
			format: count, min_top: 4, series: [
			line('running', 'running', '--c1', { fill: true }), line('iowait', 'I/O wait', '--c2'), line('blocked', 'blocked', '--c3'),
			line('sleeping', 'asleep', '--c5', { hidden: true })] }),
	};
}

export class Detail {
	constructor(model, pick) {
		this.model = model;
		this.pick = pick;
		this.name = null;
		this.series = new Series();
		this.spec = null;
		this.iface = '';
		this.net = el('select', { 'aria-label': 'Network interface', hidden: '' });
		this.net_note = el('span', { class: 'quiet' });
		this.net.addEventListener('change', () => {
			this.iface = this.net.value;
			this.drawNetwork();
		});
		this.charts = makeCharts(el('span', {}, this.net, this.net_note));
		$('charts').append(...Object.values(this.charts).map((c) => c.element));
		this.waits = new Waits();
		this.tops = [new Top('by CPU', 'cpu', cores, pick), new Top('by memory', 'mem', bytes, pick)];
		$('tops').append(...this.tops.map((t) => t.element));
		this.below = false;
		choice($('top-mode'), 'mode', (mode) => {
			this.below = mode === 'below';
			this.drawTops();
		});
	}

	show(name) {
		this.name = name;
		this.series = new Series();
		this.spec = null;
		this.iface = '';
		this.waits.reset();
		drawPath(name);
		this.draw();
		this.drawTops();
	}

	// An answer of /api/v1.3/containers/<name>.
	addInfo(info) {
		this.spec = info.spec || {};
		this.series.add(info.stats || []);
		this.draw();
	}

	// The tree has new numbers.
	addTree() {
		const node = this.model.nodes.get(this.name);
		if (node)
			this.series.addTo(this.series.live, { t: this.model.time_ns / 1e6, rx: node.rx, tx: node.tx,
				read: node.disk_read, write: node.disk_write });
		this.drawTops();
		this.drawNetwork();
	}

	addWaits(answer) {
		const kinds = this.waits.add(answer, this.model.time_ns);
		if (kinds)
			this.series.addTo(this.series.waits, kinds);
	}

	draw() {
		const s = this.series, times = s.times(), window_ms = s.window_ms(), last = s.last();
		const node = this.model.nodes.get(this.name);
		drawFacts(last && this.spec, last, node && node.nr_tasks);
		const limit = this.spec && limited((this.spec.memory || {}).limit) ? this.spec.memory.limit : null;
		this.charts.cpu.setData(times, { total: s.rate((x) => x.total, 1e-9), user: s.rate((x) => x.user, 1e-9),
			system: s.rate((x) => x.system, 1e-9), throttled: s.rate((x) => x.throttled, 1e-9) }, window_ms);
		this.charts.memory.setData(times, { usage: s.column((x) => x.usage), working_set: s.column((x) => x.working_set),
			rss: s.column((x) => x.rss), cache: s.column((x) => x.cache), limit: times.map(() => limit) }, window_ms);
		this.charts.wait.setData(times, { runq: s.runq(), iowait: s.waiting('iowait'), blocked: s.waiting('blocked'),
			sleep: s.waiting('sleep') }, window_ms);
		if (s.samples.some((x) => x.read !== null))
			this.charts.disk.setData(times, { read: s.rate((x) => x.read, 1), write: s.rate((x) => x.write, 1) }, window_ms);
		else
			this.drawLive(this.charts.disk, { read: 'read', write: 'write' });
		this.drawTasks(times, window_ms);
		this.drawNetwork();
	}

	drawTasks(times, window_ms) {
		const s = this.series;
		const known = s.counts((x) => x.tasks.nr_sleeping || x.tasks.nr_running);
		const column = (field) => s.column((x) => (known ? x.tasks[field] : null));
		this.charts.tasks.setData(times, { running: column('nr_running'), iowait: column('nr_io_wait'),
			blocked: column('nr_uninterruptible'), sleeping: column('nr_sleeping') }, window_ms);
	}

	drawLive(chart, fields) {
		const live = this.series.live;
		const columns = Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, live.map((x) => x[field])]));
		chart.setData(live.map((x) => x.t), columns, this.series.window_ms());
	}

	// The machine has interfaces; a cgroup has sockets, whose payload is counted since it was chosen.
	drawNetwork() {
		const names = this.series.interfaceNames();
		this.net.hidden = names.length === 0;
		const options = ['', ...names];
		if ([...this.net.options].map((o) => o.value).join() !== options.join())
			this.net.replaceChildren(...options.map((n) => el('option', { value: n }, n || 'all interfaces')));
		if (!options.includes(this.iface))
			this.iface = '';
		this.net.value = this.iface;
		setText(this.net_note, names.length || !this.name ? '' : 'payload of sockets');
		if (!names.length)
			this.drawLive(this.charts.network, { rx: 'rx', tx: 'tx' });
		else
			this.charts.network.setData(this.series.times(), { rx: this.series.interfaceRate(this.iface, 'rx_bytes'),
				tx: this.series.interfaceRate(this.iface, 'tx_bytes') }, this.series.window_ms());
	}

	drawTops() {
		const node = this.model.nodes.get(this.name);
		const nodes = !node ? [] : this.below ? innermost(node, []) : node.children;
		for (const t of this.tops)
			t.draw(nodes);
	}
}

function innermost(node, list) {
	for (const c of node.children) {
		if (c.children.length)
			innermost(c, list);
		else
			list.push(c);
	}
	return list;
}

const TOP_ROWS = 8;

// A table of always as many rows, so that nothing below it moves.
class Top {
	constructor(title, key, format, pick) {
		this.key = key;
		this.format = format;
		this.rows = Array.from({ length: TOP_ROWS }, () => {
			const link = el('button', { type: 'button' }), value = el('span', { class: 'num' }), bar = el('i');
			link.addEventListener('click', () => pick(link.dataset.name));
			return { link, value, bar, element: el('li', {}, bar, link, value) };
		});
		this.element = el('figure', { class: 'top' }, el('figcaption', {}, el('h3', {}, title)),
			el('ol', {}, ...this.rows.map((r) => r.element)));
	}

	draw(nodes) {
		const best = nodes.filter((n) => n[this.key] > 0).sort((a, b) => b[this.key] - a[this.key]).slice(0, TOP_ROWS);
		this.element.classList.toggle('empty', !nodes.length);
		const max = best.length ? best[0][this.key] : 1;
		this.rows.forEach((r, i) => {
			const n = best[i];
			setText(r.link, n ? n.label : i || nodes.length ? '' : 'no subcontainers');
			r.link.disabled = !n;
			r.link.title = r.link.dataset.name = n ? n.name : '';
			setText(r.value, n ? this.format(n[this.key]) : '');
			r.bar.style.transform = `scaleX(${n ? (n[this.key] / max).toFixed(3) : 0})`;
		});
	}
}
