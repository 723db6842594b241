// SPDX-License-Identifier: Apache-2.0
// Numbers for people. Every function takes null for "not known".

const NONE = '–';
export const known = (v) => v !== null && v !== undefined && Number.isFinite(v);

// Three digits that count, never an exponent.
function digits(v) {
	const a = Math.abs(v);
	return v.toFixed(a >= 99.95 || a === 0 ? 0 : a >= 9.995 ? 1 : 2);
}

function scaled(v, steps, unit) {
	let i = 0;
	while (i + 1 < steps.length && Math.abs(v) >= steps[i + 1].from)
		i++;
	return `${digits(v / steps[i].div)}\u202f${steps[i].name}${unit}`;
}

const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'].map((name, i) => ({ name, div: 1024 ** i, from: 1000 * 1024 ** (i - 1) }));
const TIME = [['ns', 1], ['µs', 1e3], ['ms', 1e6], ['s', 1e9]].map(([name, div]) => ({ name, div, from: div }));
const SHORT = [['', 1], ['k', 1e3], ['M', 1e6], ['G', 1e9]].map(([name, div]) => ({ name, div, from: div * 0.9995 }));

export function cores(v) {
	if (!known(v))
		return NONE;
	return v < 0.0005 ? '0' : v < 9.995 ? v.toFixed(v < 0.0095 ? 3 : 2) : digits(v);
}
export const bytes = (v) => (known(v) ? (Math.abs(v) < 1000 ? `${Math.round(v)}\u202fB` : scaled(v, BINARY, 'B')) : NONE);
export const rate = (v) => (known(v) ? `${bytes(v)}/s` : NONE);
export const ns = (v) => (v === Infinity ? '> 64\u202fs' : known(v) ? scaled(v, TIME, '') : NONE);
export const msPerS = (v) => (known(v) ? `${ms(v)}\u202fms/s` : NONE);
export const ms = (v) => (known(v) ? (v >= 9999.5 ? `${digits(v / 1000)}k` : digits(v)) : NONE);
export const count = (v) => (known(v) ? Math.round(v).toLocaleString('en') : NONE);
export const perS = (v) => (known(v) ? `${v >= 999.5 ? scaled(v, SHORT, '').replace('\u202f', '') : digits(v)}/s` : NONE);
export const percent = (v) => (known(v) ? `${v > 0 && v < 5e-5 ? '< 0.01' : digits(v * 100)}\u202f%` : NONE);
export const percentOf = (v) => percent(known(v) ? v / 100 : null);

// Labels of an axis: no digits that all of them have as zeros.
export const trimmed = (format) => (v) => format(v).replace(/(\.\d*?)0+(?!\d)/, '$1').replace(/\.(?!\d)/, '');
export const coresOnAxis = (v, step) => v.toFixed(step < 1 ? Math.ceil(-Math.log10(step) - 1e-9) : 0);

export const clock = (t) => new Date(t).toLocaleTimeString('en-GB');
export const clockShort = (t) => clock(t).slice(0, 5);

export function span(seconds) {
	return seconds < 60 ? `${seconds}\u202fs` : seconds < 3600 ? `${Math.round(seconds / 60)}\u202fmin` : `${Math.round(seconds / 3600)}\u202fh`;
}

// The last part of a cgroup's path; long hexadecimal ids keep their first twelve digits, as container tools show them.
export function label(name) {
	if (name === '/')
		return '/';
	return shorten(name.slice(name.lastIndexOf('/') + 1));
}
export const shorten = (text) => text.replace(/([0-9a-f]{12})[0-9a-f]{20,}/g, '$1…');
