// SPDX-License-Identifier: Apache-2.0
// Talking to the agent: requests, and loops that ask again at a pace that others set.

export class HttpError extends Error {
	constructor(status, url) {
		super(`${status} from ${url}`);
		this.status = status;
	}
}

// The page's folder, whatever prefix a proxy has put before it: this file lies in its "static".
const ROOT = new URL('..', import.meta.url);
export const urlOf = (path) => new URL(path, ROOT).href;
export const encodePath = (name) => name.split('/').map(encodeURIComponent).join('/');

export async function getJson(path, signal, body) {
	const options = { signal, cache: 'no-store' };
	if (body) {
		options.method = 'POST';
		options.body = JSON.stringify(body);
		options.headers = { 'Content-Type': 'application/json' };
	}
	const answer = await fetch(urlOf(path), options);
	if (!answer.ok)
		throw new HttpError(answer.status, path);
	return answer.json();
}

const failing = new Map();
let onLink = () => {};
let answered_at = 0; // by performance.now()

// callback(error or null, ms since the last answer, ms until the next try)
export function watchLink(callback) {
	onLink = callback;
	setInterval(tellLink, 1000);
}

function tellLink() {
	const first = [...failing.entries()][0];
	const next = [...failing.keys()].map((p) => p.due - performance.now());
	onLink(first ? first[1] : null, answered_at ? performance.now() - answered_at : null, next.length ? Math.max(0, Math.min(...next)) : 0);
}

export function retryNow() {
	for (const poller of [...failing.keys()])
		poller.now();
}

const TIMEOUT_MS = 10000, MAX_WAIT_MS = 5000;

// Calls work(signal) each period_ms, never twice at a time. Period 0: not at all. After failures it waits longer, up to five seconds.
// quiet: its failures are nobody's business (what it asks for may not be there).
export class Poller {
	constructor(work, quiet) {
		this.work = work;
		this.quiet = quiet;
		this.period_ms = 0;
		this.timer = 0;
		this.due = 0;
		this.control = null;
		this.nr_failures = 0;
	}

	// A shorter period than before takes effect at once.
	pace(period_ms) {
		const before = this.period_ms;
		if (period_ms === before)
			return;
		this.period_ms = period_ms;
		if (!period_ms) {
			this.cancel();
			this.settle(null);
		} else if (!this.control) {
			this.schedule(before ? Math.max(0, Math.min(this.due - performance.now(), period_ms)) : 0);
		}
	}

	// Asks at once; an answer on its way is dropped.
	now() {
		if (!this.period_ms)
			return;
		this.cancel();
		this.nr_failures = 0;
		this.turn();
	}

	cancel() {
		clearTimeout(this.timer);
		if (this.control)
			this.control.abort();
		this.control = null;
	}

	schedule(ms) {
		clearTimeout(this.timer);
		this.due = performance.now() + ms;
		this.timer = setTimeout(() => this.turn(), ms);
	}

	settle(error) {
		this.nr_failures = error ? this.nr_failures + 1 : 0;
		if (error && !this.quiet)
			failing.set(this, error);
		else
			failing.delete(this);
	}

	async turn() {
		const control = this.control = new AbortController();
		const begin = performance.now();
		const timeout = setTimeout(() => control.abort(), TIMEOUT_MS);
		let error = null;
		try {
			await this.work(control.signal);
			answered_at = performance.now();
		} catch (e) {
			error = e;
		}
		clearTimeout(timeout);
		if (this.control !== control)
			return; // cancelled: somebody else has taken over
		this.control = null;
		this.settle(error);
		const period = error ? Math.max(this.period_ms, Math.min(1000 * 2 ** (this.nr_failures - 1), MAX_WAIT_MS)) : this.period_ms;
		this.schedule(Math.max(period - (performance.now() - begin), 50));
		tellLink();
	}
}
