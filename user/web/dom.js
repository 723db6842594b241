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
	if (value === null || value === undefined) {
		if (e.hasAttribute(name))
			e.removeAttribute(name);
	} else if (e.getAttribute(name) !== String(value)) {
		e.setAttribute(name, value);
	}
}

// A row of buttons of which one is pressed; calls pick(value) with its data-<attr>. Returns a function that shows a choice made elsewhere.
export function choice(group, attr, pick) {
	const show = (value) => {
		for (const b of group.querySelectorAll(`button[data-${attr}]`))
			setAttr(b, 'aria-pressed', String(b.dataset[attr] === String(value)));
	};
	group.addEventListener('click', (event) => {
		const button = event.target.closest(`button[data-${attr}]`);
		if (!button)
			return;
		show(button.dataset[attr]);
		pick(button.dataset[attr]);
	});
	return show;
}

// Calls change(true or false) as the element comes into view (or near it) and leaves it; holds the newest as .seen.
export function watchView(element, change) {
	const watch = { seen: false };
	new IntersectionObserver((entries) => {
		const seen = entries[entries.length - 1].isIntersecting;
		if (seen === watch.seen)
			return;
		watch.seen = seen;
		change(seen);
	}, { root: element.closest('#detail'), rootMargin: '200px' }).observe(element); // the margin is of what scrolls
	return watch;
}
