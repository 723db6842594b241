// SPDX-License-Identifier: Apache-2.0
// The newest numbers at a glance, those with a limit as meters.

import { $, el, setAttr, setText, watchView } from './dom.js';
import { bytes, cores, count, known, ms, ns, percent, percentOf, rate } from './format.js';
import { NR_BARS, addBars, barBound, quantile } from './buckets.js';
import { lastOf } from './store.js';
import { cpuLimit, memoryLimit } from './charts.js';

const RECENT_MS = 10000, LOW = 0.75, HIGH = 0.9;

// value: what stands there; of: what it is a share of, 0 to 1; note: below.
const TILES = [
	{ id: 'cpu', title: 'CPU', tile(v, c) {
		const now = lastOf(v.rate('cpu.usage.total', 1e-9)), limit = cpuLimit(c.spec), whole = limit || c.nr_cores;
		return { value: cores(now), unit: 'cores', of: known(now) && whole ? now / whole : null,
			note: whole ? `${percent(known(now) ? now / whole : null)} of ${+whole.toFixed(2)}${limit ? ' (its limit)' : ''}` : '' };
	} },
	{ id: 'memory', title: 'Memory, hot', tile(v, c) {
		const now = lastOf(v.gauge('memory.working_set')), limit = memoryLimit(c.spec);
		const whole = limit && (!c.memory || limit < c.memory) ? limit : c.memory;
		return { value: bytes(now), of: known(now) && whole ? now / whole : null,
			note: whole ? `${percent(known(now) ? now / whole : null)} of ${bytes(whole)}${whole === limit && c.name !== '/' ? ' (its limit)' : ''}` : '' };
	} },
	{ id: 'wait', title: 'Waiting for a CPU', tile(v) {
		const now = lastOf(v.rate('cpu.schedstat.runqueue_time', 1e-6)), p99 = recentQuantile(v, 'heat/runq_delay', 0.99);
		return { value: ms(now), unit: 'ms/s', note: p99 === null ? '' : `p99 ${ns(p99)} a turn` };
	} },
	{ id: 'throttled', title: 'Throttled', tile(v) {
		const now = lastOf(v.rate('cpu.cfs.throttled_time', 1e-6)), hit = lastOf(v.rate('cpu.cfs.throttled_periods')), all = lastOf(v.rate('cpu.cfs.periods'));
		return { value: ms(now), unit: 'ms/s', note: all ? `in ${percent(hit / all)} of periods` : 'no limit in force' };
	} },
	{ id: 'pressure', title: 'Pressure', tile(v) {
		const all = [['CPU', 'cpu'], ['memory', 'memory'], ['I/O', 'diskio']].map(([n, k]) => [n, lastOf(v.gauge(`${k}.psi.some.avg10`, 0.01))]);
		const most = all.filter(([, x]) => known(x)).sort((a, b) => b[1] - a[1])[0];
		return { value: most ? percentOf(most[1]) : '–', of: most ? most[1] / 100 : null, note: most ? `most for ${most[0]}` : 'the kernel does not tell' };
	} },
	{ id: 'disk', title: 'Disk', tile(v) {
		const read = v.store.disks.map((d) => `disk/${d}/io_service_bytes.Read`), write = v.store.disks.map((d) => `disk/${d}/io_service_bytes.Write`);
		const p99 = recentQuantile(v, 'heat/block_latency', 0.99), r = lastOf(v.rates(read)), w = lastOf(v.rates(write));
		return { value: rate(known(r) || known(w) ? (r || 0) + (w || 0) : null), note: p99 === null ? (v.store.disks.length ? 'read and written' : 'no block device used') : `p99 ${ns(p99)} a request` };
	} },
	{ id: 'network', title: 'Network', tile(v) {
		const own = v.store.interfaces.filter((n) => n !== 'lo');
		const sum = own.length ? v.rates(own.flatMap((n) => [`if/${n}/rx_bytes`, `if/${n}/tx_bytes`]))
			: v.rates(['kernel/socket_rx_bytes', 'kernel/socket_tx_bytes']);
		const p99 = recentQuantile(v, 'heat/tcp_rtt', 0.99);
		return { value: rate(lastOf(sum)), note: p99 === null ? (own.length ? 'all interfaces, both ways' : 'payload of sockets') : `p99 round trip ${ns(p99)}` };
	} },
	{ id: 'threads', title: 'Threads', tile(v, c) {
		const now = lastOf(v.gauge('processes.threads_current')) ?? c.nr_tasks, max = lastOf(v.gauge('processes.threads_max'));
		const limit = max > 0 && max < 2 ** 60 ? max : null, processes = lastOf(v.gauge('processes.process_count'));
		return { value: count(now), of: limit ? now / limit : null,
			note: [processes ? `${count(processes)} ${processes === 1 ? 'process' : 'processes'}` : '', limit ? `at most ${count(limit)} threads` : ''].filter(Boolean).join(', ') };
	} },
];

function recentQuantile(view, column, share) {
	const cells = view.raw(column), bars = new Array(NR_BARS).fill(0);
	if (!cells)
		return null;
	for (let i = cells.length - 1; i >= 0 && view.t[i] > view.to - RECENT_MS; i--)
		addBars(bars, cells[i] || null);
	return quantile(bars, barBound, share);
}

export class Tiles {
	constructor() {
		this.tiles = TILES.map((t) => {
			const value = el('strong', {}, '–'), unit = el('span', { class: 'quiet' }), fill = el('i'), note = el('span', { class: 'tile-note quiet' });
			const meter = el('div', { class: 'meter', role: 'meter', 'aria-label': t.title, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': 0 }, fill);
			return { ...t, value, unit, fill, note, meter, element: el('div', { class: 'tile', id: `tile-${t.id}` }, el('span', { class: 'tile-title' }, t.title),
				el('span', { class: 'tile-value' }, value, ' ', unit), meter, note) };
		});
		$('tiles').append(...this.tiles.map((t) => t.element));
		this.view = watchView($('tiles'), () => {});
	}

	draw(view, context) {
		for (const t of this.tiles) {
			const now = t.tile(view, context), of = known(now.of) ? Math.min(1, Math.max(0, now.of)) : null;
			setText(t.value, now.value);
			setText(t.unit, now.value === '–' ? '' : now.unit || '');
			setText(t.note, now.note || '');
			t.meter.hidden = of === null;
			if (of === null)
				continue;
			t.fill.style.transform = `scaleX(${of.toFixed(3)})`;
			setAttr(t.meter, 'data-level', of >= HIGH ? 'high' : of >= LOW ? 'low' : 'fine');
			setAttr(t.meter, 'aria-valuenow', Math.round(100 * of));
		}
	}
}
