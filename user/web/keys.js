// SPDX-License-Identifier: Apache-2.0
// Keys of a single letter, and the dialog that lists them. They can be switched off: who dictates, or slips, does not want them.

import { $, el } from './dom.js';

const STORED = 'cgmeter-keys';

function stored() {
	try {
		return localStorage.getItem(STORED);
	} catch {
		return null;
	}
}

// list: [[key, what it does, action]]
export function listenKeys(list) {
	const actions = new Map(list.map(([key, , action]) => [key, action]));
	const help = $('help'), on = $('keys-on');
	const rows = [...list, ['↑ ↓ ← →', 'move in the list, open and close'], ['Enter', 'choose a row'], ['← →', 'on a chart: read its values'], ['Esc', 'leave']];
	$('help-keys').append(...rows.flatMap(([key, what]) => [el('dt', {}, ...key.split(' ').map((k) => el('kbd', {}, k))), el('dd', {}, what)]));
	on.checked = stored() !== 'off';
	on.addEventListener('change', () => {
		try {
			localStorage.setItem(STORED, on.checked ? 'on' : 'off');
		} catch {
			// then it lasts as long as the page
		}
	});
	$('help-open').addEventListener('click', () => help.showModal());
	$('help-close').addEventListener('click', () => help.close());
	help.addEventListener('click', (e) => e.target === help && help.close()); // beside it
	document.addEventListener('keydown', (event) => {
		const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
		if (event.key === 'Escape' && event.target.id === 'filter') {
			$('tree').focus();
			return;
		}
		const action = actions.get(event.key);
		if (!action || typing || help.open || event.ctrlKey || event.metaKey || event.altKey || (!on.checked && event.key !== '?'))
			return;
		event.preventDefault();
		action();
	});
}
