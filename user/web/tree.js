// SPDX-License-Identifier: Apache-2.0
// The list of cgroups: a tree or flat, beside the charts or, with all columns, instead of them. Only rows in view are in the document; they are
// used again while one scrolls.

import { $, el, setAttr, setText } from './dom.js';
import { shorten } from './format.js';
import { axisStep } from './canvas.js';
import { COLUMNS, columnOf } from './columns.js';
import { setState, state } from './state.js';

const SHRINK_MS = 10000;

export class TreeView {
	// pick(name): a row was chosen.
	constructor(model, pick) {
		this.model = model;
		this.pick = pick;
		this.box = $('tree'); // scrolls, and has the focus
		this.head = $('tree-head'); // stands still above the rows
		this.layer = $('tree-rows');
		this.rows = [];
		this.pool = [];
		this.columns = [];
		this.active = '/';
		this.selected = '/';
		this.frame = 0;
		this.hovered = false;
		this.full = {};
		this.listen();
	}

	listen() {
		const later = () => this.draw();
		this.box.addEventListener('scroll', later, { passive: true });
		new ResizeObserver(() => this.refresh()).observe(this.box); // the height of a row depends on the width
		this.box.addEventListener('pointerenter', (e) => {
			this.hovered = e.pointerType === 'mouse';
		});
		this.box.addEventListener('pointerleave', () => {
			this.hovered = false;
		});
		this.box.addEventListener('click', (e) => this.onClick(e));
		this.box.addEventListener('keydown', (e) => this.onKey(e));
		this.box.addEventListener('focus', later);
	}

	// The state of the page says which columns, what order and what filter.
	arrange() {
		const descending = state.sort.startsWith('-');
		this.columns = state.wide ? COLUMNS : COLUMNS.filter((c) => c.narrow);
		this.model.flat = state.flat;
		this.model.filter = state.q;
		this.model.setSort(state.sort.replace('-', ''), descending);
		this.box.classList.toggle('flat', state.flat);
		setAttr(this.box, 'aria-colcount', this.columns.length + 1);
		for (const row of this.pool)
			row.element.remove();
		this.pool = [];
		this.drawHead(descending);
		this.refresh();
	}

	drawHead(descending) {
		const head = $('tree-head-row'), focused = document.activeElement && document.activeElement.dataset.sort;
		head.replaceChildren(...[{ key: 'name', title: 'name', hint: 'the last part of its path' }, ...this.columns].map((c) => {
			const sorted = c.key === this.model.sort;
			const button = el('button', { type: 'button', 'data-sort': c.key, title: c.hint }, c.title);
			button.addEventListener('click', () => this.sortBy(c.key));
			return el('div', { role: 'columnheader', class: `head ${c.key}`, 'aria-sort': sorted ? (descending ? 'descending' : 'ascending') : 'none' }, button);
		}));
		const again = focused && head.querySelector(`[data-sort="${focused}"]`);
		if (again)
			again.focus();
	}

	// The other way round when it is sorted by that column already. Names begin at A, numbers with the greatest.
	sortBy(key) {
		const same = this.model.sort === key, descending = same ? !this.model.descending : key !== 'name';
		this.box.scrollTop = 0;
		setState({ sort: `${descending ? '-' : ''}${key}` });
	}

	onClick(event) {
		const row = event.target.closest('.row');
		if (!row)
			return;
		const entry = this.rows[row.dataset.index];
		this.active = entry.node.name;
		if (event.target.closest('.twist') && entry.open !== null)
			this.toggle(entry.node, !entry.open);
		else
			this.pick(entry.node.name);
	}

	toggle(node, open) {
		node.open = open;
		this.refresh();
	}

	onKey(event) {
		if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.box)
			return;
		const i = Math.max(0, this.indexOf(this.active)), entry = this.rows[i];
		const page = Math.max(1, Math.floor(this.box.clientHeight / this.rowHeight()) - 2);
		const moves = { ArrowUp: i - 1, ArrowDown: i + 1, PageUp: i - page, PageDown: i + page, Home: 0, End: this.rows.length - 1 };
		if (!entry)
			return;
		if (event.key in moves)
			this.move(moves[event.key]);
		else if (event.key === 'Enter' || event.key === ' ')
			this.pick(entry.node.name);
		else if (event.key === 'ArrowRight' && entry.open === false)
			this.toggle(entry.node, true);
		else if (event.key === 'ArrowRight' && entry.open)
			this.move(i + 1);
		else if (event.key === 'ArrowLeft' && entry.open)
			this.toggle(entry.node, false);
		else if (event.key === 'ArrowLeft' && entry.node.parent && !state.flat)
			this.move(this.indexOf(entry.node.parent.name));
		else
			return;
		event.preventDefault();
	}

	move(i) {
		i = Math.min(this.rows.length - 1, Math.max(0, i));
		this.active = this.rows[i].node.name;
		this.scrollTo(i);
		this.draw();
	}

	indexOf(name) {
		return this.rows.findIndex((r) => r.node.name === name);
	}

	// Marks the row as chosen, opens its ancestors and brings it into view.
	show(name) {
		this.selected = this.active = name;
		this.model.reveal(name);
		this.refresh();
		const i = this.indexOf(name);
		if (i >= 0)
			this.scrollTo(i);
	}

	scrollTo(i) {
		const h = this.rowHeight(), top = i * h, height = this.box.clientHeight - this.head.offsetHeight;
		if (top < this.box.scrollTop)
			this.box.scrollTop = top;
		else if (top + h > this.box.scrollTop + height)
			this.box.scrollTop = top + h - height;
	}

	rowHeight() {
		return parseFloat(getComputedStyle(this.box).getPropertyValue('--row')) || 24;
	}

	// New values, or other rows.
	refresh() {
		this.rows = this.model.rows();
		const nr = this.model.nodes.size, filtered = this.model.filter.trim() !== '';
		setText($('tree-count'), nr ? (filtered ? `${this.rows.filter((r) => !r.dim).length} of ${nr}` : `${nr}`) : '');
		$('tree-empty').hidden = this.rows.length > 0 || !this.model.root;
		setText($('tree-empty'), 'No cgroup has that in its name.');
		setAttr(this.box, 'aria-rowcount', this.rows.length + 1);
		this.layer.style.height = `${this.rows.length * this.rowHeight()}px`; // now: scrollTo() needs it
		this.scaleBars();
		this.draw();
	}

	// What a full bar means: the largest value but the machine's own, rounded up. It grows at once and shrinks late.
	scaleBars() {
		const now = performance.now();
		for (const { key, binary } of this.columns) {
			let max = 0;
			for (const n of this.model.nodes.values())
				max = n.parent ? Math.max(max, n[key] || 0) : max;
			const f = this.full[key] || (this.full[key] = { at: 0, top: 0 }), top = max > 0 ? axisStep(max, 1, binary) : 1;
			if (!f.top || top >= f.top) {
				f.top = top;
				f.at = now;
			} else if (now - f.at > SHRINK_MS) {
				f.top = top;
			}
		}
	}

	draw() {
		if (this.frame)
			return;
		this.frame = requestAnimationFrame(() => {
			this.frame = 0;
			this.drawNow();
		});
	}

	drawNow() {
		const h = this.rowHeight(), height = this.box.clientHeight;
		const begin = Math.max(0, Math.floor(this.box.scrollTop / h) - 2);
		const end = Math.min(this.rows.length, Math.ceil((this.box.scrollTop + height) / h) + 2);
		while (this.pool.length < end - begin)
			this.pool.push(this.makeRow(this.pool.length));
		const used = new Set();
		for (let i = begin; i < end; i++) {
			const row = this.pool[i % this.pool.length];
			used.add(row);
			this.fill(row, i, h);
		}
		for (const row of this.pool)
			row.element.hidden = !used.has(row);
		const active = this.pool.find((r) => used.has(r) && r.name === this.active);
		setAttr(this.box, 'aria-activedescendant', active ? active.element.id : null);
	}

	makeRow(id) {
		const span = (props) => el('span', props);
		const row = { name: '', twist: span({ class: 'twist', 'aria-hidden': 'true' }), text: span({ class: 'label' }), label: span(),
			path: span({ class: 'quiet' }), cells: [] };
		row.text.append(row.label, row.path);
		row.element = el('div', { class: 'row cells', role: 'row', id: `row-${id}` }, el('span', { class: 'name', role: 'rowheader' }, row.twist, row.text));
		for (const { key } of this.columns) {
			const bar = el('i'), value = el('span');
			row.cells.push({ bar, value });
			row.element.append(el('span', { class: `cell ${key}`, role: 'gridcell' }, bar, value));
		}
		this.layer.append(row.element);
		return row;
	}

	fill(row, i, h) {
		const { node, depth, open, index, size, dim } = this.rows[i], e = row.element;
		row.name = node.name;
		e.dataset.index = i;
		e.style.transform = `translateY(${i * h}px)`;
		row.twist.style.marginLeft = `${Math.min(depth, 12) * 0.8}rem`;
		setText(row.twist, open === null ? '' : open ? '▾' : '▸');
		setText(row.label, node.label);
		setText(row.path, state.flat && node.parent ? ` in ${shorten(node.parent.name)}` : '');
		setAttr(row.text, 'title', node.title ? `${node.title}, ${node.name}` : node.name);
		setAttr(e, 'aria-rowindex', i + 2);
		setAttr(e, 'aria-level', depth + 1);
		setAttr(e, 'aria-posinset', index);
		setAttr(e, 'aria-setsize', size);
		setAttr(e, 'aria-expanded', open === null ? null : String(open));
		setAttr(e, 'aria-selected', String(node.name === this.selected));
		e.classList.toggle('active', node.name === this.active);
		e.classList.toggle('dim', dim);
		this.columns.forEach(({ key, format }, k) => {
			setText(row.cells[k].value, format(node[key]));
			row.cells[k].bar.style.transform = `scaleX(${Math.min(1, (node[key] || 0) / this.full[key].top).toFixed(3)})`;
		});
	}
}

export const sortKnown = (sort) => sort.replace('-', '') === 'name' || !!columnOf(sort.replace('-', ''));
