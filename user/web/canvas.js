// SPDX-License-Identifier: Apache-2.0
// What all drawing shares: colours of the style sheet, a canvas as sharp as the screen, axis steps.

const cache = new Map();
const drawn = new Set();

// The value of a custom property; dark and light give different ones.
export function css(name) {
	if (!cache.has(name))
		cache.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
	return cache.get(name);
}

// #rrggbb with an opacity.
export function faded(name, opacity) {
	const [r, g, b] = rgb(css(name));
	return `rgba(${r}, ${g}, ${b}, ${opacity})`;
}
export const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// redraw() is called when dark gives way to light or the other way round.
export const onTheme = (redraw) => drawn.add(redraw);
export const offTheme = (redraw) => drawn.delete(redraw);
addEventListener('theme', () => {
	cache.clear();
	drawn.forEach((redraw) => redraw());
});

// A canvas that calls draw(context, width, height) in CSS pixels, at most once a frame.
export class Canvas {
	constructor(element, draw) {
		this.element = element;
		this.draw = draw;
		this.width = this.height = this.frame = 0;
		this.themed = () => this.redraw();
		onTheme(this.themed);
		this.observer = new ResizeObserver(([entry]) => {
			this.width = entry.contentRect.width;
			this.height = entry.contentRect.height;
			this.redraw();
		});
		this.observer.observe(element);
	}

	remove() {
		offTheme(this.themed);
		this.observer.disconnect();
		this.element.remove();
	}

	redraw() {
		if (this.frame || !this.width)
			return;
		this.frame = requestAnimationFrame(() => {
			this.frame = 0;
			const ratio = devicePixelRatio || 1;
			const w = Math.round(this.width * ratio), h = Math.round(this.height * ratio);
			if (this.element.width !== w || this.element.height !== h) {
				this.element.width = w;
				this.element.height = h;
			}
			const g = this.element.getContext('2d');
			g.setTransform(ratio, 0, 0, ratio, 0, 0);
			g.clearRect(0, 0, this.width, this.height);
			g.font = '11px system-ui, sans-serif';
			this.draw(g, this.width, this.height);
		});
	}
}

// The smallest step of 1, 2, 5 × 10^n (or 1, 2, 4 … of the binary units) that covers max in at most `lines` steps.
export function axisStep(max, lines, binary) {
	const raw = max / lines;
	if (binary) {
		const unit = 1024 ** Math.max(0, Math.floor(Math.log2(raw) / 10));
		const in_unit = raw / unit;
		return unit * (in_unit <= 512 ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].find((s) => s >= in_unit) : 1024);
	}
	const unit = 10 ** Math.floor(Math.log10(raw));
	return unit * [1, 2, 5, 10].find((s) => s * unit >= raw * 0.9999);
}
