// SPDX-License-Identifier: Apache-2.0
// The samples of one container, by column, put together from answers of /api/cgmeter/series: each brings only what is new.

const KEEP_MS = 3600e3, LEAST_S = 900;
const NESTED = [['interfaces', 'if'], ['disks', 'disk']];

// The columns of an answer by one flat name each: "cpu.usage.total", "cpu/0", "if/eth0/rx_bytes", "kernel/migrations", "heat/runq_delay".
function columnsOf(answer) {
	const columns = new Map(Object.entries(answer.values));
	answer.per_cpu.forEach((column, i) => columns.set(`cpu/${i}`, column));
	for (const [group, prefix] of NESTED) {
		for (const [name, values] of Object.entries(answer[group])) {
			for (const [key, column] of Object.entries(values))
				columns.set(`${prefix}/${name}/${key}`, column);
		}
	}
	for (const group of ['kernel', 'heat']) {
		for (const [key, column] of Object.entries(answer[group]))
			columns.set(`${group}/${key}`, column);
	}
	return columns;
}

export class Store {
	constructor(name) {
		this.name = name;
		this.t = []; // ms
		this.dt = []; // s to the sample before; null: none is known
		this.columns = new Map();
		this.nr_cpus = 0;
		this.interfaces = [];
		this.disks = [];
		this.filesystems = [];
		this.next = '';
		this.agent = '';
		this.step_ms = 0; // between samples, as it was asked for
		this.span_s = 0;
		this.restarts = []; // ms, at which another agent took over
		this.step_s = 1; // usual time between two samples
	}

	// What to ask for. Windows beyond a quarter of an hour are asked with steps, so that no answer has more than some 900 samples. Everything is
	// asked again when the steps held are too long now, or when the window is longer than any before.
	query(window_s) {
		const span_s = Math.max(window_s, LEAST_S), step_ms = Math.ceil(span_s / LEAST_S - 1) * 1000;
		this.asking = { span_s, step_ms, whole: !this.next || step_ms < this.step_ms || span_s > this.span_s };
		const what = this.asking.whole ? `?window=${span_s * 1000}` : `?since=${this.next}`;
		return step_ms ? `${what}&step=${step_ms}` : what;
	}

	add(answer) {
		const { span_s, step_ms, whole } = this.asking;
		if (this.agent && answer.agent !== this.agent)
			this.restarts.push(answer.time_us / 1000);
		if (whole && answer.t_us.length)
			this.cut(answer.t_us[0] / 1000);
		this.span_s = whole ? span_s : Math.max(span_s, this.span_s);
		this.step_ms = step_ms;
		this.agent = answer.agent;
		if (answer.next !== '0')
			this.next = answer.next;
		this.nr_cpus = answer.per_cpu.length;
		this.interfaces = Object.keys(answer.interfaces);
		this.disks = Object.keys(answer.disks);
		this.filesystems = answer.filesystems;
		this.append(answer);
		this.trim();
	}

	append(answer) {
		const from = this.firstNew(answer.t_us), columns = columnsOf(answer);
		if (from === 0 && answer.t_us.length && answer.dt_us[0] === null && this.t.length)
			this.gap(answer.t_us[0] / 1000);
		const old = this.t.length;
		for (let i = from; i < answer.t_us.length; i++) {
			this.t.push(answer.t_us[i] / 1000);
			this.dt.push(answer.dt_us[i] === null ? null : answer.dt_us[i] / 1e6);
		}
		for (const key of columns.keys()) {
			if (!this.columns.has(key))
				this.columns.set(key, new Array(old).fill(null));
		}
		for (const [key, column] of this.columns) {
			const more = columns.get(key);
			for (let i = from; i < answer.t_us.length; i++)
				column.push(more ? more[i] : null);
		}
		this.measure();
	}

	// Nothing is known of the time before t: a sample without values keeps lines from bridging it.
	gap(t) {
		this.t.push((this.last() + t) / 2);
		this.dt.push(null);
		for (const column of this.columns.values())
			column.push(null);
	}

	firstNew(t_us) {
		const last = this.t.length ? this.t[this.t.length - 1] : -Infinity;
		let i = 0;
		while (i < t_us.length && t_us[i] / 1000 <= last)
			i++;
		return i;
	}

	// Forgets what is at or after a time: it comes again.
	cut(t) {
		const i = this.indexFrom(t);
		for (const column of [this.t, this.dt, ...this.columns.values()])
			column.length = i;
	}

	trim() {
		const old = this.t.length ? this.indexFrom(this.t[this.t.length - 1] - KEEP_MS) : 0;
		if (old < 300)
			return; // now and then is enough
		for (const column of [this.t, this.dt, ...this.columns.values()])
			column.splice(0, old);
	}

	measure() {
		const gaps = this.dt.slice(-21).filter((v) => v > 0).sort((a, b) => a - b);
		if (gaps.length)
			this.step_s = gaps[gaps.length >> 1];
	}

	// Index of the first sample at or after a time.
	indexFrom(t) {
		let lo = 0, hi = this.t.length;
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (this.t[mid] < t)
				lo = mid + 1;
			else
				hi = mid;
		}
		return lo;
	}

	last() {
		return this.t.length ? this.t[this.t.length - 1] : 0;
	}

	// The part of the store that a window shows.
	view(window_s) {
		const end = this.last(), first = this.indexFrom(end - window_s * 1000 - this.step_s * 1500);
		return new View(this, first, end - window_s * 1000, end);
	}
}

// Columns of one window, as charts want them.
class View {
	constructor(store, first, from, to) {
		Object.assign(this, { store, first, from, to });
		this.t = store.t.slice(first);
		this.dt = store.dt.slice(first);
	}

	has(key) {
		return this.store.columns.has(key);
	}

	raw(key) {
		const column = this.store.columns.get(key);
		return column ? column.slice(this.first) : null;
	}

	// A gauge, times a factor. Null: not known at all.
	gauge(key, factor = 1) {
		const column = this.raw(key);
		return column && column.map((v) => (v === null ? null : v * factor));
	}

	// A counter per second, times a factor.
	rate(key, factor = 1) {
		const column = this.raw(key);
		return column && column.map((v, i) => (v === null || !this.dt[i] ? null : v / this.dt[i] * factor));
	}

	// The sum of several counters per second; what is missing of one counts as 0.
	rates(keys, factor = 1) {
		const columns = keys.map((key) => this.rate(key, factor)).filter(Boolean);
		if (!columns.length)
			return null;
		return this.t.map((_, i) => {
			const values = columns.map((c) => c[i]).filter((v) => v !== null);
			return values.length ? values.reduce((a, b) => a + b, 0) : null;
		});
	}
}

export const lastOf = (column) => {
	for (let i = column ? column.length - 1 : -1; i >= 0; i--) {
		if (column[i] !== null)
			return column[i];
	}
	return null;
};
