// SPDX-License-Identifier: Apache-2.0
// The tree of cgroups as the page keeps it: one node per container, with rates from two answers of /api/cgmeter/rows, and the last minutes of
// CPU and memory of all of them.

import { label } from './format.js';
import { columnOf } from './columns.js';

const collator = new Intl.Collator('en', { numeric: true });
const RESORT_MS = 3000;
export const KEPT = 900; // of each ring of CPU and memory

// Difference per second of a counter; null when one of both is missing or the counter began anew.
export function perSecond(now, before, seconds) {
	if (typeof now !== 'number' || typeof before !== 'number' || !(seconds > 0) || now < before)
		return null;
	return (now - before) / seconds;
}

const scale = (v, factor) => (v === null ? null : v * factor);
const number = (v) => (typeof v === 'number' ? v : null);

// Which node fields are rates of which cell, and in what.
const RATES = [['cpu', 'cpu_usage_ns', 1e-9], ['throttled', 'cpu_throttled_ns', 1e-6], ['wait', 'runq_delay_ns', 1e-6],
	['rx', 'socket_rx_bytes', 1], ['tx', 'socket_tx_bytes', 1], ['read', 'block_read_bytes', 1], ['write', 'block_write_bytes', 1],
	['resent', 'tcp_retransmits', 1]];
const PRESSURES = ['cpu_some_centi', 'memory_some_centi', 'io_some_centi'];

export class Model {
	constructor() {
		this.sort = 'cpu';
		this.descending = true;
		this.filter = '';
		this.flat = false;
		this.onRestart = () => {};
		this.forget();
	}

	// Another agent, or the first.
	forget() {
		this.nodes = new Map(); // by name
		this.by_id = new Map();
		this.order = []; // as the agent has them
		this.root = null;
		this.agent = '';
		this.seq = 0;
		this.time_us = 0;
		this.times = new Float64Array(KEPT); // ms
		this.nr_times = 0;
		this.resorted = 0;
	}

	// What to ask for next.
	query() {
		return this.seq ? `?since=${this.seq}&agent=${this.agent}` : '';
	}

	// Takes an answer. hold: keep the order of rows (the pointer is over them). False: there is nothing new in it.
	update(answer, hold) {
		if (this.agent && answer.agent !== this.agent) {
			const opened = new Set([...this.nodes.values()].filter((n) => n.open).map((n) => n.name));
			this.forget();
			this.opened = opened;
			this.onRestart();
		}
		if (answer.seq === this.seq)
			return false;
		const first = !this.root, seconds = this.time_us ? (answer.time_us - this.time_us) / 1e6 : 0;
		this.agent = answer.agent;
		this.seq = answer.seq;
		this.time_us = answer.time_us;
		if (answer.ids)
			this.arrange(answer);
		this.setCells(answer.changed, seconds);
		this.keep();
		if (first && this.root)
			this.openFirst();
		const now = performance.now();
		if ((!hold && now - this.resorted > RESORT_MS) || this.nr_times <= 2) // the second answer brings the first rates
			this.rank(now);
		return true;
	}

	// Who is there, and below whom.
	arrange(answer) {
		const names = new Map(answer.names.id.map((id, i) => [id, answer.names.name[i]]));
		const titles = new Map(answer.names.id.map((id, i) => [id, [answer.names.title[i], answer.names.state[i]]]));
		const by_id = new Map();
		this.order = answer.ids.map((id) => {
			const node = this.by_id.get(id) || this.node(id, names.get(id) || '?');
			by_id.set(id, node);
			if (titles.has(id))
				this.entitle(node, ...titles.get(id));
			node.children = [];
			return node;
		});
		this.by_id = by_id;
		this.nodes = new Map(this.order.map((n) => [n.name, n]));
		this.root = this.order[0] || null;
		this.order.forEach((node, i) => {
			const parent = this.order[answer.parents[i]];
			node.parent = parent === node ? null : parent;
			if (node.parent)
				parent.children.push(node);
		});
	}

	node(id, name) {
		return { id, name, title: '', label: label(name), lower: name.toLowerCase(), children: [], parent: null, open: !!this.opened && this.opened.has(name),
			cells: null, key: null, shown: true, rings: null, past: null };
	}

	// What a runtime calls it, and its state when it does not run; the path still finds it.
	entitle(node, title, state) {
		node.title = title;
		node.label = (title || label(node.name)) + (state && ` (${state})`);
		node.lower = `${node.name} ${title} ${state}`.toLowerCase();
	}

	setCells(changed, seconds) {
		const still = new Set(this.order);
		changed.row.forEach((row, i) => {
			const node = this.order[row], before = node.cells || {}, cells = {};
			for (const key of Object.keys(changed)) {
				if (key !== 'row')
					cells[key] = changed[key][i];
			}
			node.cells = cells;
			this.derive(node, before, seconds);
			still.delete(node);
		});
		for (const node of still) {
			if (node.cells)
				this.derive(node, node.cells, seconds);
		}
	}

	// What the columns show.
	derive(n, before, seconds) {
		const c = n.cells;
		for (const [key, cell, factor] of RATES)
			n[key] = scale(perSecond(c[cell], before[cell], seconds), factor);
		n.mem = number(c.memory_working_set_bytes);
		n.limit = c.memory_limit_bytes > 0 && n.mem !== null ? n.mem / c.memory_limit_bytes : null;
		n.tasks = number(c.nr_tasks);
		n.oom = number(c.oom_kills);
		const pressures = PRESSURES.map((key) => number(c[key])).filter((v) => v !== null);
		n.pressure = pressures.length ? Math.max(...pressures) / 100 : null;
	}

	// The rings of all nodes go with the ring of times.
	keep() {
		const at = this.nr_times++ % KEPT;
		this.times[at] = this.time_us / 1000;
		for (const n of this.order) {
			if (!n.rings)
				n.rings = { cpu: new Float32Array(KEPT).fill(NaN), mem: new Float32Array(KEPT).fill(NaN) };
			n.rings.cpu[at] = n.cpu === null ? NaN : n.cpu;
			n.rings.mem[at] = n.mem === null ? NaN : n.mem;
		}
	}

	// [times in ms, values] of a node's ring since a time, oldest first.
	track(node, key, since_ms) {
		const times = [], values = [];
		for (let i = Math.max(0, this.nr_times - KEPT); i < this.nr_times; i++) {
			const t = this.times[i % KEPT], v = node.rings[key][i % KEPT];
			if (t < since_ms || Number.isNaN(v))
				continue;
			times.push(t);
			values.push(v);
		}
		return [times, values];
	}

	openFirst() {
		this.root.open = true;
		if (this.nodes.size <= 60) {
			for (const n of this.nodes.values())
				n.open = true;
		}
	}

	setSort(key, descending) {
		this.sort = columnOf(key) ? key : 'name';
		this.descending = descending;
		this.rank(performance.now());
	}

	// Rows keep their places for some seconds even when their values change: what jumps about can't be read.
	rank(now) {
		this.resorted = now;
		for (const n of this.nodes.values())
			n.key = this.sort === 'name' ? null : n[this.sort];
	}

	// What is not known comes last either way.
	compare(a, b) {
		const dir = this.descending ? -1 : 1;
		if (a.key !== b.key) {
			if (a.key === null || b.key === null)
				return a.key === null ? 1 : -1;
			return dir * (a.key - b.key);
		}
		const by_name = collator.compare(a.label, b.label) || collator.compare(a.name, b.name);
		return this.sort === 'name' ? dir * by_name : by_name;
	}

	sorted(nodes) {
		return [...nodes].sort((a, b) => this.compare(a, b));
	}

	// Every ancestor opens, so that the node's row is there.
	reveal(name) {
		for (let n = this.nodes.get(name); n && n.parent; n = n.parent)
			n.parent.open = true;
	}

	matcher() {
		const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
		return words.length ? (n) => words.every((w) => n.lower.includes(w)) : null;
	}

	// The rows to show: { node, depth, open (null: a leaf), index and size among its siblings, dim: it is there only for one below it }.
	rows() {
		if (!this.root)
			return [];
		const matches = this.matcher();
		if (this.flat) {
			const nodes = this.sorted([...this.nodes.values()].filter(matches || (() => true)));
			return nodes.map((node, i) => ({ node, depth: 0, open: null, index: i + 1, size: nodes.length, dim: false }));
		}
		const rows = [];
		if (matches)
			this.mark(this.root, matches);
		this.walk(this.root, 0, 1, 1, matches, rows);
		return rows;
	}

	mark(n, matches) {
		n.shown = matches(n);
		for (const c of n.children)
			n.shown = this.mark(c, matches) || n.shown;
		return n.shown;
	}

	walk(node, depth, index, size, matches, rows) {
		if (matches && !node.shown)
			return;
		const children = matches ? node.children.filter((c) => c.shown) : node.children;
		const open = node.children.length ? (matches && children.length > 0) || node.open : null;
		rows.push({ node, depth, open, index, size, dim: matches !== null && !matches(node) });
		if (!open)
			return;
		this.sorted(children).forEach((c, i) => this.walk(c, depth + 1, i + 1, children.length, matches, rows));
	}

	// The container that an address of cAdvisor's means: its id or the beginning of it, or its name.
	find(text) {
		const bare = (n) => n.label_full || (n.label_full = n.name.slice(n.name.lastIndexOf('/') + 1)
			.replace(/^(docker|libpod|cri-containerd|crio)-/, '').replace(/\.scope$/, ''));
		const nodes = [...this.nodes.values()];
		const found = nodes.filter((n) => bare(n) === text || n.title === text);
		return found.length ? found : nodes.filter((n) => bare(n).startsWith(text) || (n.title && n.title.startsWith(text)));
	}
}
