// SPDX-License-Identifier: Apache-2.0
// The tree of cgroups as the page keeps it: one node per name, with rates from two answers of /api/cgmeter/tree.

import { label } from './format.js';

const collator = new Intl.Collator('en', { numeric: true });
const RESORT_MS = 3000;

// Difference per second of a counter; null when one of both is missing or the counter began anew.
export function perSecond(now, before, seconds) {
	if (typeof now !== 'number' || typeof before !== 'number' || !(seconds > 0) || now < before)
		return null;
	return (now - before) / seconds;
}

export class Model {
	constructor() {
		this.nodes = new Map();
		this.root = null;
		this.time_ns = 0;
		this.sort = 'name';
		this.filter = '';
		this.flat = false;
		this.resorted = 0;
	}

	// Takes an answer. hold: keep the order of rows (the pointer is over them).
	update(answer, hold) {
		const seconds = (answer.time_ns - this.time_ns) / 1e9;
		if (this.time_ns && seconds === 0)
			return;
		const first = !this.root;
		const list = (answer.containers || []).map((c) => this.node(c, seconds));
		const alive = new Set(list);
		for (const node of this.nodes.values()) {
			if (!alive.has(node))
				this.nodes.delete(node.name);
			node.children = [];
		}
		this.root = null;
		(answer.containers || []).forEach((c, i) => {
			if (list[c.parent] === list[i] || !list[c.parent]) {
				list[i].parent = null;
				this.root = this.root || list[i];
			} else {
				list[i].parent = list[c.parent];
				list[c.parent].children.push(list[i]);
			}
		});
		this.time_ns = answer.time_ns;
		if (first && this.root)
			this.openFirst();
		const now = performance.now();
		if (!hold && (now - this.resorted > RESORT_MS || first))
			this.rank(now);
	}

	node(c, seconds) {
		let n = this.nodes.get(c.name);
		if (!n) {
			n = { name: c.name, label: label(c.name), lower: c.name.toLowerCase(), children: [], parent: null, open: false, last: null,
				cpu: null, mem: null, wait: null, key: 0, shown: true };
			this.nodes.set(c.name, n);
		}
		const before = n.last || {};
		const own = c.time_ns && before.time_ns ? (c.time_ns - before.time_ns) / 1e9 : seconds; // the row's times are truer
		const rate = (field) => perSecond(c[field], before[field], own);
		n.cpu = scale(rate('cpu_usage_ns'), 1e-9);
		n.wait = scale(rate('runq_delay_sum_ns'), 1e-6);
		n.mem = typeof c.memory_working_set_bytes === 'number' ? c.memory_working_set_bytes : null;
		n.rx = rate('socket_rx_bytes');
		n.tx = rate('socket_tx_bytes');
		n.disk_read = rate('block_read_bytes');
		n.disk_write = rate('block_write_bytes');
		n.nr_tasks = c.nr_tasks;
		n.last = c;
		return n;
	}

	openFirst() {
		this.root.open = true;
		if (this.nodes.size <= 60) {
			for (const n of this.nodes.values())
				n.open = true;
		}
	}

	setSort(sort) {
		this.sort = sort;
		this.rank(performance.now());
	}

	// Rows keep their places for some seconds even when their values change: what jumps about can't be read.
	rank(now) {
		this.resorted = now;
		for (const n of this.nodes.values())
			n.key = this.sort === 'name' ? 0 : n[this.sort] || 0;
	}

	order(nodes) {
		return nodes.sort((a, b) => b.key - a.key || collator.compare(a.label, b.label) || collator.compare(a.name, b.name));
	}

	// Every ancestor opens, so that the node's row is there.
	reveal(name) {
		for (let n = this.nodes.get(name); n && n.parent; n = n.parent)
			n.parent.open = true;
	}

	// The rows to show: { node, depth, open (null: a leaf), index and size among its siblings }.
	rows() {
		if (!this.root)
			return [];
		const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
		const matches = (n) => words.every((w) => n.lower.includes(w));
		if (this.flat) {
			const nodes = this.order([...this.nodes.values()].filter(matches));
			return nodes.map((node, i) => ({ node, depth: 0, open: null, index: i + 1, size: nodes.length, dim: false }));
		}
		const rows = [];
		if (words.length)
			this.mark(this.root, matches);
		this.walk(this.root, 0, 1, 1, words.length ? matches : null, rows);
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
		this.order([...children]).forEach((c, i) => this.walk(c, depth + 1, i + 1, children.length, matches, rows));
	}
}

function scale(v, factor) {
	return v === null ? null : v * factor;
}
