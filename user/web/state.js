// SPDX-License-Identifier: Apache-2.0
// What the page shows, as the part of the address behind "#": /name/of/the/cgroup?sort=-cpu&window=300… Only what differs from the default
// stands there. Who opens such an address sees the same.

export const WINDOWS = [60, 120, 300, 600, 1800, 3600];
const SORT = /^-?[a-z_]{1,16}$/;
export const DEFAULTS = { name: '/', sort: '-cpu', q: '', flat: false, wide: false, window: 120, theme: 'auto', pause: false, iface: '',
	counts: 'recent', below: false, top: 5, find: '' };

export const state = { ...DEFAULTS };
const listeners = new Set();

export const onState = (callback) => listeners.add(callback);

// A name that no cgroup can have is the machine's.
function nameOf(text) {
	try {
		return decodeURIComponent(text).replace(/\/+$/, '') || '/';
	} catch {
		return '/';
	}
}

function parse(hash) {
	const [path, query] = splitAt(hash.replace(/^#/, ''), '?');
	const given = new URLSearchParams(query), s = { ...DEFAULTS };
	const flag = (key) => given.get(key) === '1';
	s.name = path.startsWith('/') ? nameOf(path) : '/';
	s.sort = SORT.test(given.get('sort') || '') ? given.get('sort') : DEFAULTS.sort;
	s.q = (given.get('q') || '').slice(0, 200);
	s.find = (given.get('find') || '').slice(0, 200);
	s.iface = (given.get('iface') || '').slice(0, 32);
	s.window = WINDOWS.includes(+given.get('window')) ? +given.get('window') : DEFAULTS.window;
	s.theme = ['light', 'dark'].includes(given.get('theme')) ? given.get('theme') : window.cgm_theme.get();
	s.counts = given.get('counts') === 'total' ? 'total' : 'recent';
	s.top = Math.min(20, Math.max(1, parseInt(given.get('top'), 10) || DEFAULTS.top));
	s.flat = flag('flat');
	s.wide = flag('wide');
	s.pause = flag('pause');
	s.below = flag('below');
	return s;
}

function splitAt(text, mark) {
	const i = text.indexOf(mark);
	return i < 0 ? [text, ''] : [text.slice(0, i), text.slice(i + 1)];
}

// The address of a state; changes: what is to differ from the present one.
export function hashOf(changes) {
	const s = { ...state, ...changes }, query = new URLSearchParams();
	for (const [key, value] of Object.entries(s)) {
		if (key !== 'name' && key !== 'find' && value !== DEFAULTS[key])
			query.set(key, value === true ? '1' : String(value));
	}
	const path = s.name.split('/').map(encodeURIComponent).join('/'), text = query.toString();
	return `#${path}${text ? `?${text}` : ''}`;
}

// how: 'push' makes an entry in the browser's history, 'replace' does not.
export function setState(changes, how = 'replace') {
	const before = { ...state };
	Object.assign(state, changes);
	const hash = hashOf({});
	if (hash !== location.hash)
		history[`${how}State`](null, '', hash);
	tell(before);
}

function tell(before) {
	const changed = new Set(Object.keys(state).filter((key) => state[key] !== before[key]));
	if (changed.size)
		listeners.forEach((callback) => callback(changed, before));
}

export function readState() {
	const before = { ...state };
	Object.assign(state, parse(location.hash));
	tell(before);
}
addEventListener('popstate', readState);
addEventListener('hashchange', readState);
