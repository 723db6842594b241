// SPDX-License-Identifier: Apache-2.0
// Starts the page: what is chosen (the address says it), and the loops that ask the agent, each at the pace that is needed now.

import { $, el, setAttr, setText, watchView } from './dom.js';
import { HttpError, Poller, encodePath, getJson, retryNow, urlOf, watchLink } from './api.js';
import { Model } from './model.js';
import { TreeView, sortKnown } from './tree.js';
import { Detail } from './detail.js';
import { drawAgent } from './agent.js';
import { listenKeys } from './keys.js';
import { bytes, clock, label, span } from './format.js';
import { DEFAULTS, WINDOWS, hashOf, onState, readState, setState, state } from './state.js';

const NOTICE_MS = 20000, LINKS = ['metrics', 'api/v1.3/machine', 'api/v1.3/containers/', 'api/cgmeter/status', 'api/cgmeter/rows', 'api/cgmeter/series/',
	'api/cgmeter/waits/'];
const theme = window.cgm_theme;
const model = new Model();
const tree = new TreeView(model, (name) => select(name));
const detail = new Detail(model, (name) => select(name));
let notice_timer = 0, has_processes = false, restarted_at = -Infinity;

function notice(text) {
	setText($('notice'), text);
	clearTimeout(notice_timer);
	if (text)
		notice_timer = setTimeout(() => notice(''), NOTICE_MS);
}

// ---- what is chosen ----

function select(name, how = 'push') {
	document.body.dataset.view = 'detail';
	notice('');
	setState({ name, wide: false }, how);
}

function showContainer() {
	const { name } = state;
	document.title = name === '/' ? 'cgmeter' : `${label(name)} · cgmeter`;
	$('detail').scrollTop = 0;
	$('machine-section').hidden = name !== '/';
	detail.show(name);
	tree.show(name);
	drawLinks();
	for (const poller of [series, info, waits, processes])
		poller.now();
}

// The chosen container ended: its nearest living ancestor takes its place.
function gone(name) {
	let up = name;
	do {
		up = up.slice(0, up.lastIndexOf('/')) || '/';
	} while (up !== '/' && model.root && !model.nodes.has(up));
	setState({ name: up });
	notice(`${label(name)} is not there any more; showing ${label(up)}`);
}

// An old address named a container by its id.
function find(text) {
	const found = model.find(text);
	setState({ find: '', ...(found.length === 1 ? { name: found[0].name } : { q: text, flat: true }) });
	notice(found.length === 1 ? '' : found.length ? `${found.length} containers begin with ${text}` : `no container is called ${text}`);
}

// ---- the loops ----

const rows = new Poller(async (signal) => {
	const answer = await getJson(`api/cgmeter/rows${model.query()}`, signal), first = !model.root;
	if (!model.update(answer, tree.hovered))
		return;
	if (state.find)
		find(state.find);
	if (first)
		tree.show(state.name);
	else
		tree.refresh();
	detail.tops.draw();
});

const series = new Poller(async (signal) => {
	const { store } = detail;
	try {
		const answer = await getJson(`api/cgmeter/series${encodePath(store.name)}${store.query(state.window)}`, signal);
		if (store === detail.store)
			keepOrDraw(answer);
	} catch (error) {
		if (!(error instanceof HttpError) || error.status !== 404 || store.name === '/' || store !== detail.store)
			throw error;
		gone(store.name);
	}
});

// While the page is on hold what comes is kept, not shown, so that nothing is missing afterwards.
function keepOrDraw(answer) {
	if (state.pause && detail.store.t.length)
		detail.store.add(answer);
	else
		detail.addSeries(answer);
}

const info = new Poller(async (signal) => {
	const { name } = state, answer = await getJson(`api/v1.3/containers${encodePath(name)}`, signal, { num_stats: 1 });
	if (name === state.name)
		detail.addInfo(answer);
}, true);

const waits = new Poller(async (signal) => {
	const { name } = state, answer = await getJson(`api/cgmeter/waits${encodePath(name)}`, signal);
	if (name === state.name)
		detail.waits.add(answer);
}, true);

const processes = new Poller(async (signal) => {
	const { name } = state;
	try {
		const answer = await getJson(`api/v2.0/ps${encodePath(name)}`, signal);
		if (name === state.name)
			detail.processes.set(answer, name === '/');
	} catch (error) {
		if (!(error instanceof HttpError) || error.status !== 404)
			throw error;
		detail.processes.set([], false); // the container has ended
	}
}, true);

const status = new Poller(async (signal) => {
	const answer = await getJson('api/cgmeter/status', signal);
	drawAgent(answer);
	has_processes = !!answer.has_processes;
	$('processes-section').hidden = !has_processes;
	pace();
}, true);

const machine = new Poller(async (signal) => {
	const m = await getJson('api/v1.3/machine', signal);
	setText($('machine'), m.num_cores ? `${m.num_cores} cores · ${bytes(m.memory_capacity)}` : '');
	detail.addMachine(m);
}, true);

// Who is not looked at is not asked for: a tab in the background and a page on hold ask for samples alone, and seldom; the agent keeps them.
function pace() {
	const ready = model.nr_times > 1 && detail.store.t.length && detail.info && detail.machine; // what is on hold must be there first
	const hidden = document.hidden, still = hidden || (state.pause && ready), tick_ms = Math.min(10000, Math.max(1000, detail.store.step_s * 1000));
	const sections = views.map(({ view }) => view.seen);
	rows.pace(still ? 0 : tick_ms);
	series.pace(still ? 30000 : tick_ms);
	info.pace(still ? 0 : 15000);
	waits.pace(still || !sections[0] ? 0 : Math.max(2000, tick_ms));
	processes.pace(still || !has_processes || !sections[1] ? 0 : 15000);
	status.pace(still ? 0 : $('agent').open ? 3000 : 30000);
	machine.pace(still ? 0 : 300000);
}
const views = ['latency-section', 'processes-section'].map((id) => ({ view: watchView($(id), () => pace()) }));
document.addEventListener('visibilitychange', () => {
	pace();
	if (!document.hidden)
		[rows, series].forEach((p) => p.now());
});
$('agent').addEventListener('toggle', pace);
setInterval(pace, 5000); // the agent's own interval may turn out to be another

// ---- the link to the agent ----

let lost_since = 0;

watchLink((error, age_ms, next_ms) => {
	const link = $('link'), starting = error instanceof HttpError && error.status === 503;
	setAttr(link, 'data-state', error ? 'lost' : state.pause ? 'hold' : 'live');
	setText(link, error ? (starting ? 'agent is starting' : 'no answer') : state.pause ? 'on hold' : 'live');
	document.body.classList.toggle('stale', !!error);
	if (!error) {
		if (lost_since && performance.now() - restarted_at > 3000)
			notice(`the agent answers again, after ${span(Math.max(1, Math.round((Date.now() - lost_since) / 1000)))}`);
		lost_since = 0;
		$('lost').hidden = true;
		return;
	}
	lost_since = lost_since || Date.now() - (age_ms || 0);
	const what = !(error instanceof HttpError) ? 'The agent does not answer' : error.status === 401 || error.status === 403
		? 'The agent wants to know who you are: load the page again to sign in' : `The agent answers with status ${error.status}`;
	setText($('lost-text'), `${what}. The numbers are of ${clock(lost_since)}; next try ${next_ms < 1000 ? 'now' : `in ${Math.ceil(next_ms / 1000)} s`}.`);
	$('lost').hidden = false;
});
$('retry').addEventListener('click', retryNow);
model.onRestart = () => {
	restarted_at = performance.now();
	notice(`another agent answers since ${clock(Date.now())}: it was restarted`);
	detail.restarted();
};

// ---- controls ----

function drawLinks() {
	$('agent-links').replaceChildren(...LINKS.map((path) => {
		const own = /(containers|series|waits)\/$/.test(path) ? path.slice(0, -1) + encodePath(state.name) : path;
		return el('a', { href: urlOf(own) }, `/${path}`);
	}));
}

function showControls() {
	$('window').value = state.window;
	setAttr($('pause'), 'aria-pressed', String(state.pause));
	setText($('pause'), state.pause ? 'resume' : 'pause');
	setText($('theme'), state.theme);
	setAttr($('theme'), 'aria-label', `Colours: ${state.theme}`);
	$('flat').checked = state.flat;
	$('wide').checked = state.wide;
	if ($('filter').value !== state.q)
		$('filter').value = state.q;
	document.body.classList.toggle('wide', state.wide);
	document.body.classList.toggle('paused', state.pause);
}

const next = (list, value, by = 1) => list[(list.indexOf(value) + by + list.length) % list.length];
const toggle = (key) => setState({ [key]: !state[key] });
const cycleTheme = () => setState({ theme: next(theme.names, state.theme) });
const moveWindow = (by) => setState({ window: WINDOWS[Math.min(WINDOWS.length - 1, Math.max(0, WINDOWS.indexOf(state.window) + by))] });

function search() {
	document.body.dataset.view = 'tree';
	$('filter').focus();
	$('filter').select();
}

function parent() {
	const node = model.nodes.get(state.name);
	if (node && node.parent)
		select(node.parent.name);
}

onState((changed) => {
	showControls();
	theme.set(state.theme, changed.has('theme'));
	if (!sortKnown(state.sort))
		state.sort = DEFAULTS.sort;
	if (['sort', 'q', 'flat', 'wide'].some((key) => changed.has(key)))
		tree.arrange();
	if (changed.has('flat') || (changed.has('wide') && !state.wide))
		tree.show(state.name);
	if (changed.has('name'))
		showContainer();
	if (changed.has('window') || (changed.has('pause') && !state.pause)) {
		detail.draw();
		[series, rows].forEach((p) => p.now());
	}
	if (['top', 'below', 'window'].some((key) => changed.has(key)))
		detail.tops.reset();
	if (changed.has('counts'))
		detail.waits.draw();
	if (changed.has('find') && state.find && model.root)
		find(state.find);
	pace();
});

// Links within the page choose without loading it again; with a modifier key they are links.
document.addEventListener('click', (event) => {
	const link = event.target.closest('a[data-name], #skip');
	if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
		return;
	event.preventDefault();
	if (link.id === 'skip')
		$('detail').focus();
	else
		select(link.dataset.name);
});
// Such a link, when it is copied, holds the state of now.
document.addEventListener('contextmenu', (event) => {
	const link = event.target.closest('a[data-name]');
	if (link)
		link.href = hashOf({ name: link.dataset.name });
}, true);

function listen() {
	$('window').append(...WINDOWS.map((s) => el('option', { value: s }, span(s))));
	$('window').addEventListener('change', (e) => setState({ window: +e.target.value }));
	$('pause').addEventListener('click', () => toggle('pause'));
	$('theme').addEventListener('click', cycleTheme);
	$('flat').addEventListener('change', (e) => setState({ flat: e.target.checked }));
	$('wide').addEventListener('change', (e) => setState({ wide: e.target.checked }));
	$('filter').addEventListener('input', (e) => {
		$('tree').scrollTop = 0;
		setState({ q: e.target.value });
	});
	$('show-tree').addEventListener('click', () => {
		document.body.dataset.view = 'tree';
		$('tree').focus();
	});
	listenKeys([['/', 'search', search], ['?', 'these keys', () => $('help').showModal()], ['p', 'pause and resume', () => toggle('pause')],
		['t', 'dark, light, as the system has it', cycleTheme], ['[', 'a shorter window', () => moveWindow(-1)], [']', 'a longer window', () => moveWindow(1)],
		['f', 'flat list', () => toggle('flat')], ['w', 'wide list: all columns', () => toggle('wide')], ['l', 'go to the list', () => {
			document.body.dataset.view = 'tree';
			$('tree').focus();
		}], ['c', 'go to the charts', () => $('detail').focus()], ['u', 'up: the parent', parent], ['m', 'the whole machine', () => select('/')]]);
	for (const heading of document.querySelectorAll('#detail > section > h2')) {
		const jump = el('button', { type: 'button' }, heading.textContent), item = el('li', {}, jump);
		const follow = () => {
			item.hidden = heading.parentElement.hidden;
		};
		jump.addEventListener('click', () => heading.scrollIntoView({ block: 'start' }));
		new MutationObserver(follow).observe(heading.parentElement, { attributeFilter: ['hidden'] });
		follow();
		$('jumps').append(item);
	}
}

listen();
readState();
if (state.name !== '/' && !state.wide)
	document.body.dataset.view = 'detail';
tree.arrange();
showControls();
if (state.name === '/')
	showContainer();
pace();
