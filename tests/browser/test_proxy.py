# SPDX-License-Identifier: Apache-2.0
"""The page below a prefix, when the agent goes and another comes, and with answers that this machine's agent does not give."""
import copy
import json

from page import SELECTED, want

STATE = "document.querySelector('#link').dataset.state"
PROCESS = {"user": "root", "pid": 0, "parent_pid": 1, "start_time": "02:00", "percent_cpu": 0.0, "percent_mem": 0.5, "rss": 4096, "virtual_size": 8192,
           "status": "Ss", "running_time": "00:00:01", "cgroup_path": "/", "cmd": "<b onclick=1>sh</b>", "fd_count": 3, "psr": 0}


def below_a_prefix(p, w):
    p.b.screen(1500, 1000)
    p.open(w.scene.top.path, base=w.proxy.url)
    p.wait("+document.querySelector('#chart-cpu').dataset.points >= 3 && %s === 'live'" % STATE)
    p.b.go("about:blank")
    p.b.go(w.proxy.url + "/containers" + w.scene.top.path + "/web/")
    p.wait("%s === %s" % (SELECTED, json.dumps(w.scene.top.path + "/web")))
    want(p.js("location.pathname") == w.proxy.prefix + "/", "the old address leads to " + p.js("location.pathname"))
    links = p.js("[...document.querySelectorAll('a[href]')].map((a) => a.href)")
    out = [u for u in links if not u.startswith(w.proxy.url + "/")]
    want(not out, "links lead out of the prefix: %s" % out)


def no_processes_without_the_address(p, w):
    w.proxy.answers["/api/cgmeter/status"] = lambda status, value, path: (status, {**value, "has_processes": False})
    p.open("/", base=w.proxy.url)
    p.sleep(2)
    want(not p.shown("#processes-section"), "an empty table of processes")
    want(not any("/v2.0/ps" in path for path in w.proxy.seen), "it asks in vain")
    want("Processes" not in p.js("[...document.querySelectorAll('#jumps li:not([hidden])')].map((l) => l.textContent)"), "a jump to nowhere")


def table_of_processes(p, w):
    many = [dict(PROCESS, pid=100 + i, percent_cpu=(i * 7 % 60) / 10, rss=4096 * i) for i in range(60)]
    w.proxy.answers["/api/cgmeter/status"] = lambda status, value, path: (status, {**value, "has_processes": True})
    w.proxy.answers["/api/v2.0/ps"] = lambda status, value, path: (200, many)
    p.open("/", base=w.proxy.url)
    p.wait("document.querySelector('#processes-section').checkVisibility()")
    p.js("document.querySelector('#processes-section').scrollIntoView()")
    p.wait("document.querySelectorAll('.ps tbody tr').length === 25")
    column = "[...document.querySelectorAll('.ps tbody tr')].map((r) => parseFloat(r.cells[%d].textContent))"
    cpu = p.js(column % 4)
    want(cpu == sorted(cpu, reverse=True), "not sorted by CPU: %s" % cpu)
    p.js("document.querySelector('.ps th[data-key=pid] button').click()")
    p.js("document.querySelector('.ps th[data-key=pid] button').click()")
    want(p.js(column % 1)[:3] == [100, 101, 102], "not sorted by PID: %s" % p.js(column % 1)[:3])
    want(p.js("document.querySelector('.ps th[data-key=pid]').getAttribute('aria-sort')") == "ascending", "no aria-sort")
    p.js("[...document.querySelectorAll('.pager button')][1].click()")
    want(p.js(column % 1)[0] == 125, "no second page")
    want(p.js("document.querySelector('.ps .cmd').textContent") == PROCESS["cmd"] and not p.js("document.querySelector('.ps b')"), "a command became markup")
    p.sleep(1)
    p.shot("processes")


def many_cores_and_round_trips(p, w):
    def wider(status, value, path):
        if status == 200 and value and value["per_cpu"]:
            value["per_cpu"] = [[None if v is None else v * (i % 7) / 7 for v in value["per_cpu"][0]] for i in range(64)]
            value["heat"]["tcp_rtt"] = copy.deepcopy(value["heat"].get("runq_delay", [0] * len(value["t_us"])))
        return status, value

    w.proxy.answers["/api/cgmeter/series/"] = wider
    p.open("/", base=w.proxy.url)
    p.wait("document.querySelector('#chart-cores').textContent.includes('busiestcore')")
    p.wait("+document.querySelector('#chart-cores').dataset.points > 2")
    p.js("document.querySelector('#h-latency').scrollIntoView()")
    p.wait("document.querySelector('#heat-rtt').checkVisibility() && +document.querySelector('#heat-rtt').dataset.points > 2")
    p.js("document.querySelector('#h-cpu').scrollIntoView()")
    p.sleep(1.5)
    p.shot("many-cores")
    del w.proxy.answers["/api/cgmeter/series/"]


def a_name_with_a_newline(p, w):
    """The kernel refuses it today. The page would not mind."""
    name = w.scene.top.path + "/new\nline</title>"

    def rename(status, value, path):
        if status == 200 and "names" in value:
            value["names"]["name"] = [name if n == w.scene.top.path + "/memory" else n for n in value["names"]["name"]]
        return status, value

    w.proxy.answers["/api/cgmeter/rows"] = rename
    p.open(w.scene.top.path, base=w.proxy.url, q="new")
    p.wait("[...document.querySelectorAll('.label')].some((l) => l.title === %s)" % json.dumps(name))
    want(p.js("document.title").startswith("cgmtest-page"), "the title is " + p.js("document.title"))
    del w.proxy.answers["/api/cgmeter/rows"]


def not_known_is_a_dash(p, w):
    """An agent without a kernel side and a machine without pressure and cores: nothing breaks, nothing pretends to be 0."""
    def less(status, value, path):
        if status == 200 and value:
            value.update(kernel={}, heat={}, per_cpu=[], disks={}, interfaces={}, filesystems=[])
            value["values"] = {k: v for k, v in value["values"].items() if k in ("cpu.usage.total", "memory.usage")}
        return status, value

    w.proxy.answers["/api/cgmeter/series/"] = less
    w.proxy.answers["/api/cgmeter/waits/"] = lambda status, value, path: (status, {**value, "runq_delay": None, "on_cpu": None, "off_cpu": None, "block": None, "waits": None})
    p.open("/", base=w.proxy.url)
    p.wait("/[0-9]/.test(document.querySelector('#tile-cpu strong').textContent)")
    for tile in ("memory", "wait", "throttled", "pressure", "disk", "network"):
        want(p.text("#tile-%s strong" % tile) == "–", "%s is %s" % (tile, p.text("#tile-%s strong" % tile)))
    want(not p.shown("#heat-runq") and not p.shown("#chart-pressure"), "charts of nothing")
    p.js("document.querySelector('#hists').scrollIntoView()")
    p.wait("document.querySelector('#hist-note').textContent.includes('kernel side is off')")
    w.proxy.answers.clear()


def lost_and_restarted(p, w):
    p.open(w.scene.top.path, base=w.proxy.url)
    p.wait("+document.querySelector('#chart-cpu').dataset.points >= 3 && %s === 'live'" % STATE)
    w.proxy.port = None
    p.wait(STATE + " === 'lost' && document.querySelector('#lost').checkVisibility()")
    want("next try" in p.text("#lost-text") and "does not answer" in p.text("#lost-text"), p.text("#lost-text"))
    p.sleep(2)
    p.shot("lost")
    w.start_another()
    p.click("#retry")
    p.wait(STATE + " === 'live' && !document.querySelector('#lost').checkVisibility()")
    p.wait("document.querySelector('#notice').textContent.includes('restarted')")
    before = p.text("#tile-cpu") + p.text("#tile-wait")
    p.wait("(document.querySelector('#tile-cpu').textContent + document.querySelector('#tile-wait').textContent) !== %s" % json.dumps(before))
    p.wait("/[0-9]/.test(document.querySelector('#tile-cpu strong').textContent)")
    p.shot("restarted")


TESTS = [
    ("below a prefix everything is found", below_a_prefix),
    ("an agent without processes shows none", no_processes_without_the_address),
    ("the table of processes sorts and turns pages", table_of_processes),
    ("sixty-four cores are cells; round trips have their heat map", many_cores_and_round_trips),
    ("a newline in a name", a_name_with_a_newline),
    ("what is not known is a dash", not_known_is_a_dash),
    ("a lost agent is said, another one is taken up", lost_and_restarted),
]
