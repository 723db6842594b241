# SPDX-License-Identifier: Apache-2.0
"""Whether everybody can use the page: landmarks, names, contrast, the order of the focus; and what axe-core finds."""
import os
import shutil
import subprocess

from page import want

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AXE = "4.11.4"


class Skip(Exception):
    """With the missing feature as its text."""


# The name of everything that can be operated, by what a reader of the page would say: a label, a title or its own text.
NAMELESS = """[...document.querySelectorAll('button, input, select, a[href], [role=img], [role=meter], [tabindex="0"], summary, canvas')]
    .filter((e) => e.checkVisibility() && !e.closest('[aria-hidden=true], [role=img] *'))
    .filter((e) => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim() || e.title || e.labels?.length))
    .map((e) => e.outerHTML.slice(0, 90))"""

# [ratio, text, colours] of all text whose contrast is too low: 4.5, large text 3 (WCAG 2.1, 1.4.3).
LOW_CONTRAST = """(() => {
    const parse = (c) => { const m = c.match(/[0-9.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
    const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
    const light = (c) => { const l = c.slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
    const ground = (e) => { const above = [];
        for (let n = e; n; n = n.parentElement) above.push(parse(getComputedStyle(n).backgroundColor));
        return above.reduceRight((under, c) => over(c, under), [255, 255, 255, 1]); };
    const found = [];
    for (const e of document.querySelectorAll('body *')) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!own || !e.checkVisibility({ opacityProperty: true }) || e.closest('.hidden-text, .skip, :disabled, svg, noscript')) continue;
        const s = getComputedStyle(e), under = ground(e), text = over(parse(s.color), under);
        const [a, b] = [light(text), light(under)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
        const large = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.6 && s.fontWeight >= 700);
        if (ratio < (large ? 3 : 4.5)) found.push([ratio.toFixed(2), e.textContent.trim().slice(0, 30), s.color, under.map(Math.round).join()].join(' '));
    }
    return [...new Set(found)];
})()"""

# Lines and cells that carry meaning, against the card: 3 (1.4.11).
PALE_LINES = """(() => {
    const css = (n) => getComputedStyle(document.documentElement).getPropertyValue(n).trim();
    const light = (hex) => { const l = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
    return ['--c1', '--c2', '--c3', '--c4', '--c5', '--bad', '--line50', '--line99', '--edge', '--accent'].filter((n) => {
        const [a, b] = [light(css(n)), light(css('--card'))].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05) < 3;
    });
})()"""


def structure(p, w):
    p.b.screen(1500, 1000)
    p.open(w.scene.top.path)
    p.sleep(2)
    want(p.js("document.documentElement.lang") == "en" and p.js("document.title").startswith("cgmtest-page"), "no language or title")
    for landmark in ("header", "main", "nav[aria-label]", "main > section[aria-labelledby]"):
        want(p.js("document.querySelectorAll('%s').length" % landmark) == 1, "landmark %s" % landmark)
    want(p.js("[...document.querySelectorAll('h1')].filter((h) => h.checkVisibility()).length") == 1, "not one h1")
    levels = p.js("[...document.querySelectorAll('#detail h1, #detail h2, #detail h3')].filter((h) => h.checkVisibility()).map((h) => +h.tagName[1])")
    want(all(b - a <= 1 for a, b in zip(levels, levels[1:])), "headings leave out a level: %s" % levels)
    nameless = p.js(NAMELESS)
    want(not nameless, "without a name: %s" % nameless)
    ids = p.js("(() => { const all = [...document.querySelectorAll('[id]')].map((e) => e.id); return all.filter((id, i) => all.indexOf(id) !== i); })()")
    want(not ids, "the same id twice: %s" % ids)
    grid = p.js("[document.querySelector('#tree').getAttribute('role'), document.querySelectorAll('[role=columnheader][aria-sort]').length,"
                " document.querySelector('#tree-rows .row').getAttribute('aria-level')]")
    want(grid[0] == "treegrid" and grid[1] == 4 and grid[2], "the list: %s" % grid)


def contrast(p, w):
    for dark in (False, True):
        p.b.screen(1500, 4000, dark=dark)
        p.open(w.scene.limited.path)
        p.sleep(3)
        low = p.js(LOW_CONTRAST)
        want(not low, "%s: too little contrast: %s" % ("dark" if dark else "light", "; ".join(low[:12])))
        pale = p.js(PALE_LINES)
        want(not pale, "%s: too pale on a card: %s" % ("dark" if dark else "light", pale))
    p.b.screen(1500, 1000)


def focus(p, w):
    """Tab goes through the page from the top, and where it is can be seen."""
    p.open("/")
    p.js("document.activeElement.blur()")
    path, unseen = [], []
    for _ in range(34):
        p.key("Tab")
        here = p.js("(() => { const e = document.activeElement, s = getComputedStyle(e), row = document.querySelector('#tree-rows .row.active');"
                    " const seen = s.outlineStyle !== 'none' || (e.id === 'tree' && row && getComputedStyle(row).outlineStyle !== 'none');"
                    " return [e.id || e.dataset.sort || e.className || e.tagName, seen]; })()")
        path.append(here[0])
        if not here[1]:
            unseen.append(here[0])
    want(not unseen, "the focus cannot be seen on %s" % unseen)
    order = ["skip", "brand", "window", "pause", "theme", "help-open", "filter", "flat", "wide", "tree", "name", "cpu"]
    want(path[:len(order)] == order, "the focus goes %s" % path)
    want("plot" in path and path.index("tree") < path.index("plot"), "the focus does not reach the charts: %s" % path)
    p.js("document.activeElement.blur()")
    p.js("document.querySelector('#skip').focus()")
    p.key("Enter")
    p.wait("document.activeElement.id === 'detail'")


def axe_source():
    folder = os.path.join(TOP, os.environ.get("B", "build"), "axe")
    path = os.path.join(folder, "node_modules", "axe-core", "axe.min.js")
    if not os.path.exists(path):
        if not shutil.which("npm"):
            raise Skip("npm, to fetch axe-core")
        os.makedirs(folder, exist_ok=True)
        done = subprocess.run(["npm", "install", "--silent", "--no-save", "--ignore-scripts", "--prefix", folder, "axe-core@" + AXE], timeout=90, check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode != 0 or not os.path.exists(path):
            raise Skip("axe-core from npm")
    with open(path, encoding="utf-8") as f:
        return f.read()


def axe(p, w):
    source = axe_source()
    for what, state in (("list and charts", {}), ("wide, dark", {"wide": 1, "theme": "dark"})):
        p.open(w.scene.top.path, **state)
        p.sleep(3)
        p.js(source + "; true")
        found = p.js("axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) => `${v.id} (${v.impact}): ${v.nodes.length} times,"
                     " ${v.nodes[0].html.slice(0, 120)} ${(v.nodes[0].any[0] || v.nodes[0].all[0] || v.nodes[0].none[0] || {}).message || ''}`))")
        want(not found, "%s: %s" % (what, "\n".join(found)))


TESTS = [
    ("landmarks, headings, names, roles", structure),
    ("contrast of text and lines, light and dark", contrast),
    ("the focus goes through all in order, and is seen", focus),
    ("axe-core finds nothing", axe),
]
