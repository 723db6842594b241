// SPDX-License-Identifier: Apache-2.0
// The latency histograms of the chosen container: change over the last seconds, or all that was counted.

import { $, choice, setText } from './dom.js';
import { Histogram } from './hist.js';

const RECENT_MS = 10500;
const OFF_CPU = [['sleep', 'Off CPU: asleep', 'interruptible sleep, from leaving the CPU until runnable'],
	['blocked', 'Off CPU: blocked', 'uninterruptible, not for I/O'], ['iowait', 'Off CPU: I/O wait', 'uninterruptible, for I/O']];

// What was counted between two answers; null when the later one counts less (another container of that name).
function difference(now, before) {
	if (!now || !before)
		return null;
	const buckets = now.buckets.map((v, i) => v - before.buckets[i]);
	return buckets.some((v) => !(v >= 0)) ? null : { buckets, sum_ns: Math.max(0, now.sum_ns - before.sum_ns) };
}

const usable = (h) => (h && Array.isArray(h.buckets) ? h : null);
const blockKey = (b) => `${b.device} ${b.op}`;
const EMPTY = (h) => ({ buckets: h.buckets.map(() => 0), sum_ns: 0 });

export class Waits {
	constructor() {
		this.cards = new Map();
		this.mode = 'recent';
		choice($('hist-mode'), 'mode', (mode) => {
			this.mode = mode;
			this.draw();
		});
		this.reset();
	}

	reset() {
		this.answers = [];
		for (const card of this.cards.values())
			card.hist.setData([], [null, null], 0);
		setText($('hist-note'), '');
	}

	// Returns the off-CPU time by kind in ms/s since the last answer, or null. time_ns: of the agent's newest tree.
	add(answer, time_ns) {
		const at = answer.time_ns ? answer.time_ns / 1e6 : performance.now();
		const last = this.answers[this.answers.length - 1];
		if (last && last.at === at)
			return null;
		this.answers.push({ at, answer });
		while (this.answers.length > 2 && at - this.answers[0].at > RECENT_MS)
			this.answers.shift();
		this.draw();
		time_ns = answer.time_ns || time_ns;
		if (!last || !answer.off_cpu || !time_ns)
			return null;
		const rate = (kind) => {
			const d = difference(usable(answer.off_cpu[kind]), usable((last.answer.off_cpu || {})[kind]));
			return d ? d.sum_ns / 1e6 / ((at - last.at) / 1000) : null;
		};
		return { t: time_ns / 1e6, sleep: rate('sleep'), blocked: rate('blocked'), iowait: rate('iowait') };
	}

	draw() {
		const n = this.answers.length;
		if (!n)
			return;
		const now = this.answers[n - 1], first = this.answers[0];
		const recent = this.mode === 'recent', seconds = recent ? (now.at - first.at) / 1000 : 0;
		const a = now.answer, b = first.answer, off = a.off_cpu || {}, off_before = b.off_cpu || {};
		const bounds = a.bounds_ns || [];
		const pick = (h, before) => (!usable(h) ? null : !recent ? h : n > 1 ? difference(h, usable(before)) : null);
		const known = [usable(a.runq_delay), usable(a.on_cpu), ...OFF_CPU.map(([k]) => usable(off[k]))].some(Boolean);
		const blocks = a.block || [], blocks_before = new Map((b.block || []).map((x) => [blockKey(x), x]));
		setText($('hist-note'), !known && !blocks.length ? 'not counted: the kernel side is off, “This agent” says why'
			: recent && n < 2 ? 'counting …' : '');
		$('hists').hidden = !known && !blocks.length;
		this.card('runq', 'Run-queue delay', 'runnable, until it got a CPU', '--c4').setData(bounds, [pick(a.runq_delay, b.runq_delay)], seconds);
		this.card('on_cpu', 'On-CPU slice', 'length of a stay on a CPU', '--c1').setData(bounds, [pick(a.on_cpu, b.on_cpu)], seconds);
		for (const [kind, title, hint] of OFF_CPU)
			this.card(kind, title, hint, '--c3').setData(bounds, [pick(off[kind], off_before[kind])], seconds);
		const keys = new Set();
		for (const x of blocks) {
			const before = blocks_before.get(blockKey(x)) || {};
			const stage = (name) => pick(x[name], before[name] || (usable(x[name]) && EMPTY(x[name])));
			keys.add(`block ${blockKey(x)}`);
			this.blockCard(x).setData(bounds, [stage('queue_to_done'), stage('issue_to_done')], seconds);
		}
		for (const [key, card] of this.cards) {
			if (key.startsWith('block ') && !keys.has(key)) {
				card.hist.remove();
				this.cards.delete(key);
			}
		}
	}

	card(key, title, hint, color) {
		return this.put(key, () => new Histogram({ title, hint, series: [{ label: '', color }] }));
	}

	blockCard(x) {
		return this.put(`block ${blockKey(x)}`, () => new Histogram({ title: `${x.device} ${x.op}`,
			hint: 'block requests: queued: from the request to its completion; issued: from the driver to its completion',
			series: [{ label: 'queued', color: '--c1' }, { label: 'issued', color: '--c2' }] }));
	}

	put(key, make) {
		if (!this.cards.has(key)) {
			const hist = make();
			this.cards.set(key, { hist });
			$('hists').append(hist.element);
		}
		return this.cards.get(key).hist;
	}
}
