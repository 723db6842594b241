// SPDX-License-Identifier: Apache-2.0
// From the API's samples (counters) to the columns that the charts draw (rates).

import { perSecond } from './model.js';

const KEEP = 120;

function diskBytes(stats, op) {
	const rows = (stats.diskio || {}).io_service_bytes;
	if (!rows)
		return null;
	return rows.reduce((sum, r) => sum + ((r.stats || {})[op] || 0), 0);
}

// One sample of /api/v1.3/containers, what the charts need of it.
function reduce(s) {
	const cpu = s.cpu || {}, usage = cpu.usage || {}, memory = s.memory || {}, network = s.network || {};
	return {
		t: Date.parse(s.timestamp),
		total: usage.total, user: usage.user, system: usage.system,
		run: (cpu.schedstat || {}).run_time, runq: (cpu.schedstat || {}).runqueue_time,
		throttled: (cpu.cfs || {}).throttled_time,
		usage: memory.usage, working_set: memory.working_set, rss: memory.rss, cache: memory.cache,
		read: diskBytes(s, 'Read'), write: diskBytes(s, 'Write'),
		interfaces: network.interfaces || (network.name ? [network] : []),
		tasks: s.task_stats || {}, processes: s.processes || {},
	};
}

export class Series {
	constructor() {
		this.samples = [];
		this.live = []; // { t, rx, tx, read, write } from the tree: rates
		this.waits = []; // { t, blocked, iowait, sleep } in ms/s
	}

	add(stats) {
		const last = () => (this.samples.length ? this.samples[this.samples.length - 1].t : 0);
		for (const s of stats.map(reduce)) {
			if (s.t > last())
				this.samples.push(s);
		}
		this.samples.splice(0, this.samples.length - KEEP);
	}

	addTo(list, row) {
		if (list.length && row.t <= list[list.length - 1].t)
			return;
		list.push(row);
		list.splice(0, list.length - KEEP);
	}

	last() {
		return this.samples[this.samples.length - 1] || null;
	}

	times() {
		return this.samples.map((s) => s.t);
	}

	// Two minutes, or what 120 samples take when the agent measures less often.
	window_ms() {
		const n = this.samples.length;
		if (n < 2)
			return 120e3;
		const gaps = this.samples.slice(1).map((s, i) => s.t - this.samples[i].t).sort((a, b) => a - b);
		return Math.max(120e3, gaps[gaps.length >> 1] * KEEP);
	}

	column(pick) {
		return this.samples.map((s) => {
			const v = pick(s);
			return typeof v === 'number' ? v : null;
		});
	}

	rate(pick, factor) {
		return this.samples.map((s, i) => {
			if (!i)
				return null;
			const before = this.samples[i - 1];
			const v = perSecond(pick(s), pick(before), (s.t - before.t) / 1000);
			return v === null ? null : v * factor;
		});
	}

	// A field of the schema that is always there says nothing when it never left 0: the kernel side is off then.
	counts(pick) {
		return this.samples.some((s) => pick(s) > 0);
	}

	runq() {
		return this.counts((s) => s.run || s.runq) ? this.rate((s) => s.runq, 1e-6) : this.samples.map(() => null);
	}

	// The waiting kinds at the times of the samples: the newest one that is at most three seconds away.
	waiting(kind) {
		let k = 0;
		return this.samples.map((s) => {
			while (k + 1 < this.waits.length && this.waits[k + 1].t <= s.t)
				k++;
			const w = this.waits[k];
			return w && Math.abs(w.t - s.t) <= 3000 ? w[kind] : null;
		});
	}

	interfaceNames() {
		const s = this.last();
		return s ? s.interfaces.map((i) => i.name) : [];
	}

	interfaceRate(name, field) {
		return this.rate((s) => {
			const list = s.interfaces.filter((i) => (name ? i.name === name : i.name !== 'lo'));
			return list.length ? list.reduce((sum, i) => sum + i[field], 0) : null;
		}, 1);
	}
}
