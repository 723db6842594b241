// SPDX-License-Identifier: Apache-2.0
// Talking to the agent: requests, and loops that ask again. A hidden tab asks nothing.

export class HttpError extends Error {
	constructor(status, url) {
		super(`${status} from ${url}`);
		this.status = status;
	}
}

export const encodePath = (name) => name.split('/').map(encodeURIComponent).join('/');

export async function getJson(url, signal, body) {
	const options = { signal, cache: 'no-store' };
	if (body) {
		options.method = 'POST';
		options.body = JSON.stringify(body);
		options.headers = { 'Content-Type': 'application/json' };
	}
	const answer = await fetch(url, options);
	if (!answer.ok)
		throw new HttpError(answer.status, url);
	return answer.json();
}

const failing = new Map();
let onLink = () => {};
export function watchLink(callback) {
	onLink = callback;
}
function report(poller, error) {
	if (error)
		failing.set(poller, error);
	else
		failing.delete(poller);
	onLink(failing.size ? [...failing.values()][0] : null);
}

const TIMEOUT_MS = 8000, MAX_WAIT_MS = 5000;

// Calls work(signal) each period_ms, never twice at a time; after failures it waits longer, up to five seconds.
export class Poller {
	constructor(period_ms, work) {
		this.period_ms = period_ms;
		this.work = work;
		this.timer = 0;
		this.control = null;
		this.running = false;
		this.nr_failures = 0;
		document.addEventListener('visibilitychange', () => {
			if (!this.running)
				return;
			this.cancel();
			if (!document.hidden)
				this.turn();
		});
	}

	start() {
		this.stop();
		this.running = true;
		if (!document.hidden)
			this.turn();
	}

	stop() {
		this.running = false;
		this.nr_failures = 0;
		this.cancel();
		report(this, null);
	}

	cancel() {
		clearTimeout(this.timer);
		if (this.control)
			this.control.abort();
		this.control = null;
	}

	async turn() {
		const control = this.control = new AbortController();
		const begin = performance.now();
		const timeout = setTimeout(() => control.abort(), TIMEOUT_MS);
		try {
			await this.work(control.signal);
			if (this.control !== control)
				return;
			this.nr_failures = 0;
			report(this, null);
		} catch (error) {
			if (this.control !== control)
				return; // cancelled: somebody else has taken over
			this.nr_failures++;
			report(this, error);
		} finally {
			clearTimeout(timeout);
		}
		const period = this.nr_failures ? Math.min(this.period_ms * 2 ** (this.nr_failures - 1), MAX_WAIT_MS) : this.period_ms;
		this.timer = setTimeout(() => this.turn(), Math.max(period - (performance.now() - begin), 100));
	}
}
