#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_page.py URL: the page of the agent that runs at URL, in a headless Chromium. Prints TAP."""
import json
import sys
import urllib.request

import cdp

GONE = "/no-such-cgroup-of-cgmeter"
ROWS = "document.querySelectorAll('#tree .row:not([hidden])').length"
INK = """(() => {
	const c = document.querySelector('#%s canvas'), g = c.getContext('2d');
	const color = getComputedStyle(document.documentElement).getPropertyValue('%s').trim();
	const want = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
	const d = g.getImageData(0, 0, c.width, c.height).data;
	let n = 0;
	for (let i = 0; i < d.length; i += 4)
		n += d[i + 3] > 200 && want.every((w, k) => Math.abs(d[i + k] - w) < 12);
	return n;
})()"""
VALUE = "[...document.querySelectorAll('#%s .key')].find((k) => k.textContent.startsWith('%s')).querySelector('.value').textContent"
SELECTED = "document.querySelector('#tree [aria-selected=true] .label')?.title"


def want(true, what):
    if not true:
        raise cdp.Failed(what)


def agent(url, path):
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)


def tree_rows(b, url):
    b.screen(1400, 900)
    b.go(url + "/")
    b.wait(ROWS + " > 0")
    count = int(b.wait("document.querySelector('#tree-count').textContent"))
    names = {c["name"] for c in agent(url, "/api/cgmeter/tree")["containers"]}
    want(abs(count - len(names)) <= 20, "the page counts %d cgroups, the agent %d" % (count, len(names)))
    # Rates need two answers. The machine always uses some CPU: this browser runs on it, or at least the agent does.
    b.wait("/[0-9]/.test(document.querySelector('#tree .row .cpu span').textContent)")
    b.wait("/B$/.test(document.querySelector('#tree .row .mem span').textContent)")


def chart_data(b, _url):
    for chart, color, series in (("chart-cpu", "--c1", "total"), ("chart-memory", "--c2", "working set")):
        b.wait("+document.querySelector('#%s').dataset.points >= 3" % chart)
        b.wait("/[0-9]/.test(%s)" % (VALUE % (chart, series)))
        b.wait(INK % (chart, color) + " > 20")


def live_updates(b, _url):
    before = b.js("document.querySelector('#chart-cpu').dataset.points")
    url = "performance.getEntriesByType('resource').filter((e) => e.name.includes('%s')).length"
    for path in ("/api/v1.3/containers/", "/api/cgmeter/tree", "/api/cgmeter/waits/", "/api/cgmeter/status"):
        n = b.js(url % path)
        b.wait((url % path) + " > %d" % n)
    want(int(b.js("document.querySelector('#chart-cpu').dataset.points")) >= int(before), "samples were lost")
    b.wait("document.querySelector('#link').dataset.state === 'live'")


def histograms(b, url):
    if not agent(url, "/api/cgmeter/status").get("has_kernel_side"):
        b.wait("document.querySelector('#hist-note').textContent.includes('kernel side is off')")
        return
    b.js("document.querySelector('#hist-mode [data-mode=total]').click()")
    b.wait("document.querySelectorAll('#hists figure').length >= 5")
    b.wait("[...document.querySelectorAll('#hists figure')].some((f) => +f.dataset.count > 0)")
    b.js("document.querySelector('#hist-mode [data-mode=recent]').click()")
    b.wait("[...document.querySelectorAll('#hists figure')].some((f) => +f.dataset.count > 0)")


def keyboard(b, _url):
    b.js("document.querySelector('#tree').focus()")
    b.key("ArrowDown")
    b.wait("document.querySelector('#tree').getAttribute('aria-activedescendant')")
    b.key("Enter")
    name = b.wait("%s !== '/' && %s" % (SELECTED, SELECTED))
    want(b.js("decodeURIComponent(location.pathname)") == "/containers" + name, "the address does not name " + name)
    b.wait("+document.querySelector('#chart-cpu').dataset.points >= 1")
    b.js("history.back()")
    b.wait("%s === '/' && location.pathname === '/'" % SELECTED)


def filter_box(b, url):
    name = sorted(c["name"] for c in agent(url, "/api/cgmeter/tree")["containers"] if c["name"] != "/")[0]
    b.js("(() => { const f = document.querySelector('#filter'); f.value = %s; f.dispatchEvent(new Event('input')); })()" % json.dumps(name))
    b.wait("/ of /.test(document.querySelector('#tree-count').textContent)")
    b.wait("[...document.querySelectorAll('#tree .row:not([hidden]) .label')].some((l) => l.title === %s)" % json.dumps(name))
    b.js("(() => { const f = document.querySelector('#filter'); f.value = 'no cgroup has this'; f.dispatchEvent(new Event('input')); })()")
    b.wait(ROWS + " === 0 && !document.querySelector('#tree-empty').hidden")
    b.js("(() => { const f = document.querySelector('#filter'); f.value = ''; f.dispatchEvent(new Event('input')); })()")
    b.wait(ROWS + " > 0")


def deep_link(b, url):
    rows = agent(url, "/api/cgmeter/tree")["containers"]
    deepest = max((c["name"] for c in rows), key=lambda n: (n.count("/"), n))
    b.go(url + "/containers" + urllib.request.pathname2url(deepest))
    b.wait("%s === %s" % (SELECTED, json.dumps(deepest)))
    b.wait("+document.querySelector('#chart-cpu').dataset.points >= 1")


def phone(b, url):
    b.screen(390, 844, phone=True, dark=True)
    b.go(url + "/")
    b.wait(ROWS + " > 0")
    want(b.js("document.documentElement.scrollWidth") <= 390, "the page is wider than a phone")
    b.js("document.querySelector('#tree .row').click()")
    b.wait("document.querySelector('#chart-cpu canvas').clientWidth > 300")
    want(b.js("(() => { const d = document.querySelector('#detail'); return d.scrollWidth <= d.clientWidth; })()"), "the charts are wider than a phone")
    want(b.js("getComputedStyle(document.body).backgroundColor") != "rgb(244, 245, 246)", "the page is not dark")
    b.screen(1400, 900)


def console(b, _url):
    errors = b.errors()
    want(not errors, "\n".join("%d times: %s" % (errors.count(e), e) for e in sorted(set(errors))))


def own_origin(b, url):
    foreign = {u for u in b.urls() if not u.startswith((url + "/", "about:", "data:"))}
    want(not foreign, "the page asked for " + ", ".join(sorted(foreign)))


# The last two make errors of the network on purpose, so they come after the look at the console.
def vanished(b, url):
    b.go(url + "/containers" + GONE + "/child")
    b.wait("location.pathname === '/' && document.querySelector('#notice').textContent.includes('not there any more')")
    b.wait("+document.querySelector('#chart-cpu').dataset.points >= 1 && document.querySelector('#link').dataset.state === 'live'")


def connection_lost(b, url):
    cut = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    b.go(url + "/")
    b.wait("document.querySelector('#link').dataset.state === 'live'")
    b.call("Network.emulateNetworkConditions", offline=True, **cut)
    b.wait("document.querySelector('#link').textContent === 'connection lost, retrying'")
    b.call("Network.emulateNetworkConditions", offline=False, **cut)
    b.wait("document.querySelector('#link').dataset.state === 'live'")


TESTS = [
    ("the tree has rows with numbers, as many as the agent says", tree_rows),
    ("the charts of CPU and memory are drawn from data", chart_data),
    ("every second brings new data", live_updates),
    ("histograms are there, or the page says why not", histograms),
    ("the keyboard chooses a cgroup; the browser's back button returns", keyboard),
    ("the filter finds a cgroup, and says when there is none", filter_box),
    ("a cgroup's own address opens it", deep_link),
    ("phone size, dark", phone),
    ("no error on the console", console),
    ("nothing is asked of anybody but the agent", own_origin),
    ("a vanished cgroup gives way to its parent", vanished),
    ("a lost connection is said, and mends itself", connection_lost),
]


def main(args):
    if len(args) != 1:
        sys.exit("usage: test_page.py URL")
    url = args[0].rstrip("/")
    path = cdp.find()
    if not path:
        print("1..0 # SKIP chromium is not installed")
        return 0
    print("1..%d" % len(TESTS), flush=True)
    nr_failed = 0
    with cdp.Browser(path) as b:
        for number, (title, test) in enumerate(TESTS, 1):
            try:
                test(b, url)
                print("ok %d - %s" % (number, title), flush=True)
            except (cdp.Failed, OSError, ValueError) as fault:
                nr_failed += 1
                print("not ok %d - %s" % (number, title))
                print("\n".join("# " + line for line in str(fault).splitlines()), flush=True)
    return 1 if nr_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
