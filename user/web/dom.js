// SPDX-License-Identifier: Apache-2.0
// Making and changing elements. No markup is ever made from strings: names of cgroups are foreign text.

export const $ = (id) => document.getElementById(id);

export function el(tag, props, ...children) {
	const e = document.createElement(tag);
	for (const [key, value] of Object.entries(props || {})) {
		if (key === 'class')
			e.className = value;
		else if (key.startsWith('on'))
			e.addEventListener(key.slice(2), value);
		else if (value !== null && value !== undefined)
			e.setAttribute(key, value);
	}
	e.append(...children);
	return e;
}

// Writes only what differs: reading textContent is cheap, writing it makes the browser lay out anew.
export function setText(e, text) {
	if (e.textContent !== text)
		e.textContent = text;
}

export function setAttr(e, name, value) {
	if (value === null) {
		if (e.hasAttribute(name))
			e.removeAttribute(name);
	} else if (e.getAttribute(name) !== String(value)) {
		e.setAttribute(name, value);
	}
}

// A row of buttons of which one is pressed; calls pick(value) with its data-<attr>.
export function choice(group, attr, pick) {
	group.addEventListener('click', (event) => {
		const button = event.target.closest(`button[data-${attr}]`);
		if (!button)
			return;
		for (const b of group.querySelectorAll('button'))
			b.setAttribute('aria-pressed', String(b === button));
		pick(button.dataset[attr]);
	});
}
