// SPDX-License-Identifier: Apache-2.0
// Arithmetic of latency histograms. Bars are doublings: bar i counts up to 2^(i-20) seconds and above the bar before, the last one has no bound.
// Fine buckets are four to a doubling.

export const NR_BARS = 28;
const FIRST_LOG2 = -20;
export const barBound = (i) => (i + 1 < NR_BARS ? 1e9 * 2 ** (i + FIRST_LOG2) : Infinity); // ns
// Where a time stands on an axis on which bar i reaches from i to i + 1.
export const barAxis = (ns) => Math.min(NR_BARS, Math.max(0, Math.log2(ns / 1e9) - FIRST_LOG2 + 1));
export const axisNs = (y) => 1e9 * 2 ** (y - 1 + FIRST_LOG2);

export const total = (counts) => counts.reduce((a, b) => a + b, 0);

// The time below which that share of all counts lies, told inside its bucket by the share of its count (on a logarithmic scale).
// bound(i): the upper bound of bucket i in ns. Null: nothing was counted; Infinity: it lies above all bounds.
export function quantile(counts, bound, share) {
	const n = total(counts);
	let seen = 0;
	for (let i = 0; n && i < counts.length; i++) {
		if (!counts[i] || seen + counts[i] < n * share) {
			seen += counts[i];
			continue;
		}
		const hi = bound(i), lo = i ? bound(i - 1) : hi / 2;
		return hi === Infinity ? Infinity : lo * (hi / lo) ** ((n * share - seen) / counts[i]);
	}
	return null;
}

// One element of a column "heat/…": [first bar, its count, the next one's, …], 0: none, null: not known.
export function addBars(to, bars, factor = 1) {
	for (let i = 1; bars && i < bars.length; i++)
		to[bars[0] + i - 1] += bars[i] * factor;
}
