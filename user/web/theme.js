// SPDX-License-Identifier: Apache-2.0
// Dark or light, before anything is painted: a plain script in the head. The address says it, else what was chosen last, else the system.
(() => {
	'use strict';
	const dark = matchMedia('(prefers-color-scheme: dark)');
	const names = ['auto', 'light', 'dark'];
	let choice = 'auto';

	function read() {
		try {
			return localStorage.getItem('cgmeter-theme');
		} catch {
			return null; // storage is switched off
		}
	}

	function apply() {
		const shown = choice === 'auto' ? (dark.matches ? 'dark' : 'light') : choice;
		if (document.documentElement.dataset.theme === shown)
			return;
		document.documentElement.dataset.theme = shown;
		dispatchEvent(new Event('theme'));
	}

	window.cgm_theme = {
		names,
		get: () => choice,
		set(name, keep) {
			choice = names.includes(name) ? name : 'auto';
			apply();
			try {
				if (keep)
					localStorage.setItem('cgmeter-theme', choice);
			} catch {
				// then it lasts as long as the page
			}
		},
	};
	dark.addEventListener('change', apply);
	const asked = /[?&]theme=(\w+)/.exec(location.hash);
	window.cgm_theme.set(asked ? asked[1] : read());
})();
