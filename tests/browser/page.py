# SPDX-License-Identifier: Apache-2.0
"""The page as a test sees it: what it shows, and hands to do something with it."""
import json
import urllib.parse

import cdp

ROWS = "document.querySelectorAll('#tree-rows .row:not([hidden])').length"
SELECTED = "document.querySelector('#tree-rows [aria-selected=true] .label')?.title"
INK = """(() => {
	const c = document.querySelector('#%s canvas');
	if (!c)
		return 0;
	const color = getComputedStyle(document.documentElement).getPropertyValue('%s').trim();
	const want = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
	const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
	let n = 0;
	for (let i = 0; i < d.length; i += 4)
		n += d[i + 3] > 200 && want.every((w, k) => Math.abs(d[i + k] - w) < 14);
	return n;
})()"""
VALUE = "[...document.querySelectorAll('#%s .key')].find((k) => k.textContent.startsWith('%s'))?.querySelector('.value').textContent"
KEYS = {"ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "ArrowLeft": 37, "Enter": 13, "Escape": 27, "Tab": 9}


def want(true, what):
    if not true:
        raise cdp.Failed(what)


def address(base, name="/", **state):
    """The address of a state: what stands behind the # of the page."""
    path = "/".join(urllib.parse.quote(part, safe="") for part in name.split("/"))
    query = urllib.parse.urlencode(state)
    return "%s/#%s%s" % (base, path, "?" + query if query else "")


class Page:
    def __init__(self, browser, world):
        self.b, self.world = browser, world
        self.js, self.wait, self.sleep = browser.js, browser.wait, browser.sleep

    def open(self, name="/", base=None, **state):
        """Loads it anew: an address that differs behind the # alone would only be a move within the page."""
        self.b.go("about:blank")
        self.b.go(address(base or self.world.url, name, **state))
        self.wait(ROWS + " > 0")
        if not state.get("q"):  # it may be filtered out
            self.wait("%s === %s" % (SELECTED, json.dumps(name)))

    def text(self, selector):
        return self.js("document.querySelector(%s)?.textContent" % json.dumps(selector))

    def shown(self, selector):
        return self.js("!!document.querySelector(%s)?.checkVisibility()" % json.dumps(selector))

    def value(self, chart, label):
        return self.js(VALUE % (chart, label))

    def points(self, chart="chart-cpu"):
        return int(self.js("document.querySelector('#%s').dataset.points" % chart))

    def click(self, selector):
        """A real click of the mouse, in the middle of it."""
        box = self.js("(() => { const e = document.querySelector(%s); e.scrollIntoView({ block: 'center' }); const r = e.getBoundingClientRect();"
                      " return [r.x + r.width / 2, r.y + r.height / 2]; })()" % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            self.b.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def key(self, name, shift=False):
        text = name if len(name) == 1 else {"Enter": "\r"}.get(name, "")
        for kind in ("keyDown", "keyUp"):
            self.b.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, modifiers=8 if shift else 0, windowsVirtualKeyCode=KEYS.get(name, 0),
                        **({"text": text} if text and kind == "keyDown" else {}))

    def type(self, text):
        self.b.call("Input.insertText", text=text)

    def row(self, name):
        """Clicks the row of that cgroup, as soon as it is in view."""
        self.wait("[...document.querySelectorAll('#tree-rows .row:not([hidden]) .label')].some((l) => l.title === %s)" % json.dumps(name))
        self.js("document.querySelectorAll('#tree-rows .row:not([hidden]) .label').forEach((l) => l.title === %s && (l.id = 'row-to-click'))" % json.dumps(name))
        self.click("#row-to-click")
        self.js("document.querySelector('#row-to-click')?.removeAttribute('id')")

    def column(self, key):
        """The texts of a column, from the top."""
        return self.js("[...document.querySelectorAll('#tree-rows .row:not([hidden])')].sort((a, b) => a.dataset.index - b.dataset.index)"
                       ".map((r) => r.querySelector('.%s')?.textContent)" % key)

    def shot(self, name):
        self.b.shot("%s/%s.png" % (self.world.shots, name))

    def requests(self, part, since=0):
        """Addresses asked for so far that hold that text."""
        return [u for u in self.b.urls()[since:] if part in u]
