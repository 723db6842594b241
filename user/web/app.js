// SPDX-License-Identifier: Apache-2.0
// Starts the page: which container is chosen (the address says it), and the four loops that ask the agent.

import { $, setText } from './dom.js';
import { HttpError, Poller, encodePath, getJson, watchLink } from './api.js';
import { Model } from './model.js';
import { TreeView } from './tree.js';
import { Detail } from './detail.js';
import { pageUrl } from './facts.js';
import { drawAgent } from './agent.js';
import { bytes, label } from './format.js';

const HISTORY = 120, NOTICE_MS = 20000, GAP_MS = 1900;

const model = new Model();
const tree = new TreeView(model, (name) => select(name));
const detail = new Detail(model, (name) => select(name));
let chosen = null;
let asked_at = 0; // of the newest samples held; 0: none yet
let notice_timer = 0;

function nameOfAddress() {
	const match = /^\/containers(\/.*)$/.exec(location.pathname);
	try {
		return match ? decodeURIComponent(match[1]).replace(/\/+$/, '') || '/' : '/';
	} catch {
		return '/';
	}
}

function notice(text) {
	setText($('notice'), text);
	clearTimeout(notice_timer);
	if (text)
		notice_timer = setTimeout(() => notice(''), NOTICE_MS);
}

// how: 'push' (a new entry of the browser's history), 'replace', or 'none' (the address is right already).
function select(name, how = 'push') {
	if (how === 'push')
		document.body.dataset.view = 'detail';
	if (name === chosen)
		return;
	chosen = name;
	asked_at = 0;
	if (how !== 'none')
		history[`${how}State`](null, '', pageUrl(name));
	if (how === 'push')
		notice('');
	document.title = name === '/' ? 'cgmeter' : `${label(name)} · cgmeter`;
	$('waits-link').href = `/api/cgmeter/waits${encodePath(name)}`;
	$('detail').scrollTop = 0;
	detail.show(name);
	tree.show(name);
	info.start();
	waits.start();
}

// The chosen container ended: its nearest living ancestor takes its place.
function gone(name) {
	let up = name;
	do {
		up = up.slice(0, up.lastIndexOf('/')) || '/';
	} while (up !== '/' && model.root && !model.nodes.has(up));
	notice(`${label(name)} is not there any more; showing ${label(up)}`);
	select(up, 'replace');
}

const info = new Poller(1000, async (signal) => {
	const name = chosen, begin = performance.now();
	const nr = asked_at && begin - asked_at < GAP_MS ? 2 : HISTORY;
	try {
		const answer = await getJson(`/api/v1.3/containers${encodePath(name)}`, signal, { num_stats: nr });
		asked_at = begin;
		detail.addInfo(answer);
	} catch (error) {
		if (!(error instanceof HttpError) || error.status !== 404 || name === '/' || name !== chosen)
			throw error;
		gone(name);
	}
});

const waits = new Poller(2000, async (signal) => {
	try {
		detail.addWaits(await getJson(`/api/cgmeter/waits${encodePath(chosen)}`, signal));
	} catch (error) {
		if (!(error instanceof HttpError) || error.status !== 404)
			throw error; // a 404 is said by the loop above, or by an agent without histograms
		detail.addWaits({});
	}
});

const whole_tree = new Poller(1000, async (signal) => {
	const answer = await getJson('/api/cgmeter/tree', signal);
	const first = !model.root;
	model.update(answer, tree.hovered);
	if (first)
		tree.show(chosen);
	else
		tree.refresh();
	detail.addTree();
});

const status = new Poller(3000, async (signal) => drawAgent(await getJson('/api/cgmeter/status', signal)));

const machine = new Poller(60000, async (signal) => {
	const m = await getJson('/api/v1.3/machine', signal);
	setText($('machine'), m.num_cores ? `${m.num_cores} cores · ${bytes(m.memory_capacity)}` : '');
});

watchLink((error) => {
	const link = $('link');
	link.dataset.state = error ? 'lost' : 'live';
	setText(link, !error ? 'live' : error instanceof HttpError ? `agent answers ${error.status}, retrying` : 'connection lost, retrying');
	link.title = error ? error.message : '';
});

// Links within the page choose without loading it again; with a modifier key they are links.
document.addEventListener('click', (event) => {
	const link = event.target.closest('a[data-name], a.brand');
	if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
		return;
	event.preventDefault();
	select(link.dataset.name || '/');
});
$('show-tree').addEventListener('click', () => {
	document.body.dataset.view = 'tree';
	$('tree').focus();
});
addEventListener('popstate', () => select(nameOfAddress(), 'none'));

if (nameOfAddress() !== '/')
	document.body.dataset.view = 'detail';
select(nameOfAddress(), 'none');
for (const poller of [whole_tree, status, machine])
	poller.start();
