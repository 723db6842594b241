// SPDX-License-Identifier: Apache-2.0
// The page of `cgmeter cluster`: cluster, namespace, pod, container, node. What is shown stands in the address behind "#": a set's key, as the
// model API has it ("namespace:a/pod:b"), then maybe "?by=METRIC&kind=KIND". Only what changed is drawn anew; names are foreign text (dom.js).

import { $, el, setAttr, setText, choice } from './dom.js';
import { Poller, getJson, retryNow, watchLink } from './api.js';
import { count, ns } from './format.js';
import { NR_BARS, barBound, quantile } from './buckets.js';
import { CLUSTER_CHARTS, COLUMNS, TILES } from './cluster_parts.js';
import { LineChart } from './plot.js';
import { drawNodes, drawSinks, drawTable } from './cluster_tables.js';

const KINDS = { cluster: ['namespace', 'node', 'pod'], ns: ['pod'], node: ['pod', 'sys_container'], pod: ['container'], pod_container: [], sys_container: [] };
const KIND_NAMES = { namespace: 'namespaces', node: 'nodes', pod: 'pods', container: 'containers', sys_container: 'system containers' };
const NR_ROWS = 200, STATUS_MS = 5000;
const state = { key: 'cluster', by: 'cpu/usage_rate', kind: '' };
let status = null, rows = null;

// ---- the address ----

export const hashOf = (key, by) => `#${encodeURIComponent(key)}${by && by !== 'cpu/usage_rate' ? `?by=${encodeURIComponent(by)}` : ''}`;

function decoded(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return 'cluster';
	}
}

function readState() {
	const [key, query] = location.hash.slice(1).split('?');
	const params = new URLSearchParams(query || '');
	state.key = decoded(key || '') || 'cluster';
	if (!/^(cluster$|namespace:|node:)/.test(state.key))
		state.key = 'cluster';
	state.by = COLUMNS.some((c) => c.metric === params.get('by')) ? params.get('by') : 'cpu/usage_rate';
	state.kind = params.get('kind') || '';
}

function drawPath() {
	const parts = [el('a', { href: hashOf('cluster') }, 'cluster')];
	const [node] = /^node:[^/]*/.exec(state.key) || [], names = /^namespace:([^/]*)(?:\/pod:([^/]*))?(?:\/container:(.*))?$/.exec(state.key);
	const add = (key, text) => parts.push(' / ', key === state.key ? text : el('a', { href: hashOf(key) }, text));
	if (node) {
		add(node, node.slice(5));
		if (state.key.includes('/container:'))
			add(state.key, state.key.slice(state.key.indexOf('/container:') + 11));
	} else if (names) {
		add(`namespace:${names[1]}`, names[1]);
		if (names[2] !== undefined)
			add(`namespace:${names[1]}/pod:${names[2]}`, names[2]);
		if (names[3] !== undefined)
			add(state.key, names[3]);
	} else {
		parts.splice(0, 1, 'cluster');
	}
	$('path').replaceChildren(...parts);
	document.title = `${$('path').textContent} · cgmeter`;
}

// ---- one set over time ----

const charts = CLUSTER_CHARTS.map((c) => ({ ...c, plot: new LineChart(c) }));
$('charts').append(...charts.map((c) => c.plot.element));
const tiles = TILES.map((t) => {
	const value = el('strong', {}, '–'), note = el('span', { class: 'tile-note quiet' }), bar = el('i'), meter = el('div', { class: 'meter' }, bar);
	return { ...t, value, note, bar, meter, element: el('div', { class: 'tile', id: t.id }, el('span', { class: 'tile-title' }, t.title), el('span', { class: 'tile-value' }, value), meter, note) };
});
$('tiles').append(...tiles.map((t) => t.element));

// [times in s, a column for each metric]: a point that a metric does not have is null.
function columnsOf(points, metrics) {
	const times = [...new Set(metrics.flatMap((m) => (points[m] || []).map((p) => p[0])))].sort((a, b) => a - b);
	const columns = metrics.map((m) => {
		const known = new Map(points[m] || []);
		return times.map((t) => (known.has(t) ? known.get(t) : null));
	});
	return [times.map((t) => t / 1000), ...columns];
}

function drawCharts(set) {
	const all = Object.values(set.points).flat(), newest = Math.max(...all.map((p) => p[0])) / 1000;
	const oldest = Math.min(newest - 60, Math.min(...all.map((p) => p[0])) / 1000);
	for (const c of charts) {
		const data = columnsOf(set.points, c.series.map((s) => s.key));
		for (let i = 1; i < data.length; i++)
			data[i] = c.factor ? data[i].map((v) => (v === null ? null : v * c.factor)) : data[i];
		c.plot.element.hidden = !data[0].length;
		c.plot.show(data, [oldest, newest], []);
	}
}

function drawTiles(set) {
	const last = (metric) => {
		const points = set.points[metric];
		return points && points.length ? points[points.length - 1][1] : null;
	};
	for (const t of tiles) {
		const { value, whole, note } = t.read(last);
		setText(t.value, t.format(value));
		setText(t.note, note || '');
		t.element.hidden = value === null;
		t.meter.hidden = !whole;
		const share = whole ? Math.min(1, value / whole) : 0;
		t.bar.style.transform = `scaleX(${share})`;
		setAttr(t.meter, 'data-level', share > 0.95 ? 'high' : share > 0.8 ? 'low' : null);
	}
}

function drawLatency(set) {
	const names = Object.keys(set.hists || {});
	$('latency-section').hidden = !names.length;
	drawTable($('latency'), [{ title: 'histogram', text: true }, { title: 'count' }, { title: 'mean' }, { title: 'p50' }, { title: 'p90' }, { title: 'p99' }],
		names.map((name) => {
			const h = set.hists[name], at = (share) => ns(quantile(h.buckets.slice(0, NR_BARS), barBound, share));
			return { cells: [h.help, count(h.count), ns(h.count ? h.sum_ns / h.count : null), at(0.5), at(0.9), at(0.99)] };
		}));
}

function drawFacts(set) {
	const shown = ['nodename', 'namespace_name', 'pod_name', 'container_name', 'container_base_image', 'schedulable', 'labels'];
	$('facts').replaceChildren(...shown.filter((l) => set.labels[l]).map((l) => el('li', {}, el('span', { class: 'quiet' }, `${l.replace('_name', '')} `),
		l === 'nodename' && set.kind !== 'node' ? el('a', { href: hashOf(`node:${set.labels[l]}`) }, set.labels[l]) : set.labels[l])));
}

async function loadSet(signal) {
	const key = state.key, set = await getJson(`api/cgmeter/cluster/series?key=${encodeURIComponent(key)}`, signal);
	if (key !== state.key)
		return;
	setText($('notice'), '');
	drawFacts(set);
	drawTiles(set);
	drawCharts(set);
	drawLatency(set);
	showKinds(KINDS[set.kind] || []);
}

// ---- its parts ----

let kinds = '';
function showKinds(list) {
	$('rows-section').hidden = !list.length;
	if (!list.includes(state.kind))
		state.kind = list[0] || '';
	if (list.join() !== kinds) {
		kinds = list.join();
		$('kind').replaceChildren(...list.map((k) => el('button', { type: 'button', 'data-kind': k }, KIND_NAMES[k])));
	}
	pressKind(state.kind);
	rows_loop.now();
}

function drawRows() {
	if (!rows)
		return;
	const text = $('filter').value.toLowerCase(), fits = rows.rows.filter((r) => !text || r.key.toLowerCase().includes(text));
	const sort = (metric) => { location.hash = hashOf(state.key, metric); };
	setText($('rows-note'), `${count(fits.length)} of ${count(rows.nr_rows)}${rows.nr_rows > rows.rows.length ? `, the first by ${state.by}` : ''}`);
	drawTable($('rows'), [{ title: 'name', text: true }, ...COLUMNS.map((c) => ({ title: c.title, hint: c.metric, sort: c.metric, sorted: c.metric === state.by }))],
		fits.map((r) => ({ cells: [el('a', { href: hashOf(r.key) }, nameOf(r)), ...COLUMNS.map((c) => c.format(c.metric in r.values ? r.values[c.metric] : null))] })), sort);
}

function nameOf(row) {
	const l = row.labels;
	if (state.kind === 'pod')
		return state.key.startsWith('namespace:') ? l.pod_name : `${l.namespace_name} / ${l.pod_name}`;
	return l.container_name || l.nodename || l.namespace_name || row.key;
}

async function loadRows(signal) {
	if (!state.kind)
		return;
	const { key, kind, by } = state, inside = key === 'cluster' ? '' : `&in=${encodeURIComponent(key)}`;
	const answer = await getJson(`api/cgmeter/cluster/rows?kind=${kind}&by=${encodeURIComponent(by)}&n=${NR_ROWS}${inside}`, signal);
	if (key !== state.key || kind !== state.kind || by !== state.by)
		return;
	rows = answer;
	drawRows();
}

// ---- the program ----

async function loadStatus(signal) {
	status = await getJson('api/cgmeter/cluster/status', signal);
	const nodes = await getJson('api/cgmeter/cluster/nodes', signal);
	setText($('machine'), `${count(status.nodes || 0)} nodes, ${count(status.sets)} sets, each ${status.resolution_ms / 1000} s`);
	const silent = nodes.filter((n) => n.ready && n.fault);
	$('silent').hidden = !silent.length && !status.list_fault;
	setText($('silent'), status.list_fault || `${count(silent.length)} of ${count(nodes.length)} nodes do not answer: ${silent.slice(0, 5).map((n) => n.name).join(', ')}${silent.length > 5 ? ', …' : ''}`);
	drawNodes($('nodes'), $('nodes-note'), nodes, hashOf);
	$('sinks-section').hidden = !status.sinks.length;
	drawSinks($('sinks'), status.sinks);
	set_loop.pace(Math.min(15000, Math.max(1000, status.resolution_ms / 2)));
	rows_loop.pace(Math.min(15000, Math.max(1000, status.resolution_ms / 2)));
}

const set_loop = new Poller(async (signal) => {
	try {
		await loadSet(signal);
	} catch (e) {
		if (e.status !== 404)
			throw e;
		setText($('notice'), `nothing is known of ${state.key} (yet)`);
	}
});
const rows_loop = new Poller(loadRows);
const status_loop = new Poller(loadStatus);
const pressKind = choice($('kind'), 'kind', (kind) => {
	state.kind = kind;
	rows_loop.now();
});

function show() {
	readState();
	drawPath();
	rows = null;
	set_loop.now();
	rows_loop.now();
}

function showTheme() {
	setText($('theme'), window.cgm_theme.get());
}

$('theme').addEventListener('click', () => {
	const { names } = window.cgm_theme;
	window.cgm_theme.set(names[(names.indexOf(window.cgm_theme.get()) + 1) % names.length], true);
	showTheme();
});
$('retry').addEventListener('click', retryNow);
$('filter').addEventListener('input', drawRows);
addEventListener('hashchange', show);
watchLink((error, ago, next) => {
	setAttr($('link'), 'data-state', error ? 'lost' : ago === null ? 'wait' : 'live');
	setText($('link'), error ? 'no answer' : ago === null ? 'connecting' : 'live');
	$('lost').hidden = !error;
	setText($('lost-text'), error ? `No answer${ago === null ? '' : ` for ${Math.round(ago / 1000)} s`}: ${error.message}. Next try in ${Math.ceil(next / 1000)} s.` : '');
	document.body.classList.toggle('stale', !!error);
});
showTheme();
readState();
drawPath();
for (const loop of [set_loop, rows_loop])
	loop.pace(5000);
status_loop.pace(STATUS_MS);
