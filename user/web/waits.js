// SPDX-License-Identifier: Apache-2.0
// The latency histograms of the chosen container: change over the last seconds, or all that was counted. Which there are, the agent says.

import { $, choice, setText } from './dom.js';
import { Histogram, buckets } from './hist.js';
import { setState, state } from './state.js';

const RECENT_MS = 10500;
const OFF_CPU = [['sleep', 'Off CPU: asleep', 'interruptible sleep, from leaving the CPU until runnable'],
	['blocked', 'Off CPU: blocked', 'uninterruptible, not for I/O'], ['iowait', 'Off CPU: I/O wait', 'uninterruptible, for I/O']];

// What was counted between two answers; null when the later one counts less (another container of that name).
function difference(now, before) {
	if (!now || !before)
		return null;
	const counts = now.counts.map((v, i) => v - before.counts[i]);
	return counts.some((v) => !(v >= 0)) ? null : { counts, sum_ns: Math.max(0, now.sum_ns - before.sum_ns) };
}

const nothing = (h) => ({ counts: h.counts.map(() => 0), sum_ns: 0 });

// "cgmeter_container_tcp_rtt_seconds", 'side="peer"' to "TCP rtt: peer"
function titleOf(family, labels) {
	const words = family.replace(/^cgmeter_container_/, '').replace(/_seconds$/, '').replaceAll('_', ' ').replace(/\b(tcp|cpu|udp|io)\b/g, (w) => w.toUpperCase());
	const values = [...labels.matchAll(/="([^"]*)"/g)].map((m) => m[1].replaceAll('_', ' '));
	return `${words[0].toUpperCase()}${words.slice(1)}${values.length ? `: ${values.join(', ')}` : ''}`;
}

// The histograms of an answer: { key, title, hint, color, hists: [{ label, color, h }] }, all the same way.
function histsOf(answer) {
	const list = [], one = (key, title, hint, color, h) => list.push({ key, title, hint, hists: [{ label: '', color, h: buckets(h) }] });
	if (answer.runq_delay)
		one('runq', 'Run-queue delay', 'runnable, until it got a CPU', '--c4', answer.runq_delay);
	for (const b of answer.block || [])
		list.push({ key: `block ${b.device} ${b.op}`, title: `${b.device} ${b.op}`, hint: 'block requests, to their completion: from the request, and from the driver',
			hists: [{ label: 'queue', color: '--c1', h: buckets(b.queue_to_done) }, { label: 'driver', color: '--c2', h: buckets(b.issue_to_done) }] });
	for (const w of answer.waits || [])
		one(`wait ${w.family} ${w.labels}`, titleOf(w.family, w.labels), w.help, '--c3', w.hist);
	if (answer.on_cpu)
		one('on_cpu', 'On-CPU slice', 'length of a stay on a CPU', '--c1', answer.on_cpu);
	for (const [kind, title, hint] of OFF_CPU) {
		if (answer.off_cpu && answer.off_cpu[kind])
			one(kind, title, hint, '--c5', answer.off_cpu[kind]);
	}
	return list.filter((x) => x.hists.every(({ h }) => h));
}

export class Waits {
	constructor() {
		this.cards = new Map();
		this.showMode = choice($('hist-mode'), 'mode', (mode) => setState({ counts: mode }));
		this.reset();
	}

	// Another container: nothing of the one before may stay.
	reset() {
		this.answers = [];
		for (const card of this.cards.values())
			card.remove();
		this.cards.clear();
		setText($('hist-note'), '');
	}

	add(answer) {
		const at = answer.time_ns / 1e6, last = this.answers[this.answers.length - 1];
		if (last && last.at === at)
			return;
		this.answers.push({ at, scale: { log2: answer.fine_log2, offset: answer.fine_offset }, known: !!answer.runq_delay, list: histsOf(answer) });
		while (this.answers.length > 2 && at - this.answers[1].at >= RECENT_MS)
			this.answers.shift();
		this.draw();
	}

	draw() {
		this.showMode(state.counts);
		const n = this.answers.length;
		if (!n)
			return;
		const now = this.answers[n - 1], first = this.answers[0], recent = state.counts === 'recent';
		const before = new Map(first.list.map((x) => [x.key, x])), seconds = recent ? (now.at - first.at) / 1000 : 0;
		setText($('hist-note'), !now.known && !now.list.length ? 'not counted: the kernel side is off, “This agent” says why'
			: recent && n < 2 ? 'counting …' : recent ? `over ${Math.round(seconds)} s` : 'since the counters began');
		for (const x of now.list) {
			const was = before.get(x.key);
			const hists = x.hists.map(({ h }, i) => (!recent ? h : n < 2 ? null : difference(h, was ? was.hists[i].h : nothing(h))));
			this.card(x).setData(now.scale, hists, seconds);
		}
		const keys = new Set(now.list.map((x) => x.key));
		for (const [key, card] of this.cards) {
			if (keys.has(key))
				continue;
			card.remove();
			this.cards.delete(key);
		}
	}

	card(x) {
		if (!this.cards.has(x.key)) {
			const card = new Histogram({ title: x.title, hint: x.hint, series: x.hists.map(({ label, color }) => ({ label, color })) });
			this.cards.set(x.key, card);
			$('hists').append(card.element);
		}
		return this.cards.get(x.key);
	}
}
