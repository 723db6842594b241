// SPDX-License-Identifier: Apache-2.0
// The processes of a container, from /api/v2.0/ps: a table that sorts by any column. An agent without that address shows none.

import { $, el, setAttr, setText } from './dom.js';
import { bytes } from './format.js';

const PAGE = 25;
const text = (v) => (v === undefined || v === null ? '' : String(v));
const fixed = (v) => (typeof v === 'number' ? v.toFixed(1) : '');
const collator = new Intl.Collator('en', { numeric: true });
const COLUMNS = [
	['user', 'User', text], ['pid', 'PID', text, true], ['parent_pid', 'PPID', text, true], ['start_time', 'Start', text], ['percent_cpu', 'CPU %', fixed, true],
	['percent_mem', 'Mem %', fixed, true], ['rss', 'RSS', bytes, true], ['virtual_size', 'Virtual', bytes, true], ['status', 'Status', text],
	['running_time', 'Time', text], ['cmd', 'Command', text], ['psr', 'CPU', text, true], ['fd_count', 'Files', text, true], ['cgroup_path', 'Container', text],
];

export class Processes {
	constructor() {
		this.list = [];
		this.sort = 'percent_cpu';
		this.descending = true;
		this.page = 0;
		this.is_root = false;
		this.body = el('tbody');
		this.heads = COLUMNS.map(([key, title, , number]) => {
			const button = el('button', { type: 'button' }, title);
			button.addEventListener('click', () => this.sortBy(key, number));
			return el('th', { scope: 'col', 'data-key': key, class: number ? 'number' : '' }, button);
		});
		this.where = el('span', { class: 'quiet', role: 'status' });
		const step = (label, by) => {
			const b = el('button', { type: 'button', class: 'control' }, label);
			b.addEventListener('click', () => this.turn(by));
			return b;
		};
		this.before = step('‹ before', -1);
		this.after = step('next ›', 1);
		$('processes').append(el('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': 'Table of processes' }, el('table', { class: 'ps' },
			el('caption', { class: 'hidden-text' }, 'Processes'), el('thead', {}, el('tr', {}, ...this.heads)), this.body)),
		el('p', { class: 'pager' }, this.before, this.where, this.after));
	}

	reset() {
		this.page = 0;
		this.set([], false);
	}

	// list: an answer of /api/v2.0/ps.
	set(list, is_root) {
		this.list = Array.isArray(list) ? list : [];
		this.is_root = is_root;
		this.draw();
	}

	sortBy(key, number) {
		this.descending = this.sort === key ? !this.descending : !!number;
		this.sort = key;
		this.page = 0;
		this.draw();
	}

	turn(by) {
		this.page = Math.max(0, Math.min(this.page + by, Math.ceil(this.list.length / PAGE) - 1));
		this.draw();
	}

	draw() {
		const dir = this.descending ? -1 : 1, key = this.sort;
		const sorted = [...this.list].sort((a, b) => dir * (typeof a[key] === 'number' && typeof b[key] === 'number' ? a[key] - b[key]
			: collator.compare(text(a[key]), text(b[key]))));
		const nr_pages = Math.max(1, Math.ceil(sorted.length / PAGE)), first = Math.min(this.page, nr_pages - 1) * PAGE;
		const shown = sorted.slice(first, first + PAGE), skip = this.is_root ? '' : 'cgroup_path';
		this.heads.forEach((head) => {
			head.hidden = head.dataset.key === skip;
			setAttr(head, 'aria-sort', head.dataset.key === key ? (this.descending ? 'descending' : 'ascending') : 'none');
		});
		this.body.replaceChildren(...shown.map((p) => el('tr', {}, ...COLUMNS.filter(([k]) => k !== skip).map(([k, , format, number]) =>
			el('td', { class: number ? 'number' : k === 'cmd' ? 'cmd' : '', title: k === 'cmd' || k === 'cgroup_path' ? text(p[k]) : null }, format(p[k]))))));
		setText(this.where, sorted.length ? `${first + 1} to ${first + shown.length} of ${sorted.length}` : 'none');
		this.before.disabled = first === 0;
		this.after.disabled = first + PAGE >= sorted.length;
	}
}
