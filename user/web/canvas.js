// SPDX-License-Identifier: Apache-2.0
// What line charts and histograms share: a canvas as sharp as the screen, colours of the style sheet, axis steps.

const cache = new Map();
const canvases = new Set();

// The value of a custom property; dark and light give different ones.
export function css(name) {
	if (!cache.has(name))
		cache.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
	return cache.get(name);
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
	cache.clear();
	for (const c of canvases)
		c.redraw();
});

// A canvas that calls draw(context, width, height) in CSS pixels, at most once a frame.
export class Canvas {
	constructor(element, draw) {
		this.element = element;
		this.draw = draw;
		this.width = this.height = this.frame = 0;
		canvases.add(this);
		new ResizeObserver(([entry]) => {
			this.width = entry.contentRect.width;
			this.height = entry.contentRect.height;
			this.redraw();
		}).observe(element);
	}

	remove() {
		canvases.delete(this);
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
