#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP interface: formats, errors, invariants over scrapes, and life under a storm of cgroups."""
import errno
import http.client
import json
import os
import re
import shutil
import time

import lib
import prom
from cgroups import Worker, read, trees
from lib import by_speed, equal, note

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def parents(path):
    while path != "/":
        path = os.path.dirname(path)
        yield path


def test_http__health_page_and_machine(t):
    agent = t.agent("--bpf=off")
    equal(agent.get("/healthz").body.strip(), b"ok", "/healthz")
    page = agent.get("/")
    equal((page.status, page.headers.get_content_type()), (200, "text/html"), "/")
    machine = agent.json("/api/v1.3/machine")
    equal(machine["num_cores"], os.cpu_count(), "num_cores")
    equal(machine["boot_id"], read("/proc/sys/kernel/random/boot_id").strip(), "boot_id")


def test_http__errors_name_the_fault(t):
    agent = t.agent("--bpf=off")
    cases = [
        ("GET", "/nosuch", None, 404),
        ("GET", "/api/v1.3/containers/no/such/container", None, 404),
        ("GET", "/api/v1.3/subcontainers/no/such/container", None, 404),
        ("GET", "/api/v1.3/nosuch", None, 404),
        ("GET", "/api/v9.9/machine", None, 404),
        ("POST", "/api/v1.3/containers/", "{", 400),
        ("POST", "/api/v1.3/containers/", '{"num_stats": "x"}', 400),
        ("POST", "/api/v1.3/containers/", '{"num_stats": -2}', 400),
        ("POST", "/api/v1.3/containers/", '{"start": "yesterday"}', 400),
        ("DELETE", "/metrics", None, 405),
        ("PUT", "/api/v1.3/containers/", "{}", 405),
    ]
    for method, path, body, status in cases:
        answer = agent.request(method, path, body)
        what = "%s %s %s" % (method, path, body or "")
        equal(answer.status, status, what)
        equal(answer.headers.get_content_type(), "application/json", what)
        text = json.dumps(json.loads(answer.body))
        assert len(text) > 10, "%s: %s names no fault" % (what, text)
        if status == 405:
            assert "GET" in (answer.headers.get("Allow") or ""), what + ": no Allow header"


def test_http__a_huge_body_is_refused(t):
    agent = t.agent("--bpf=off")
    try:
        status = agent.request("POST", "/api/v1.3/containers/", '{"x": "' + "y" * (4 << 20) + '"}').status
        assert status in (400, 413), "a body of 4 MiB: %d" % status
    except (BrokenPipeError, ConnectionResetError):
        pass  # it answered and closed before it had read all
    assert agent.json("/api/v1.3/containers/", num_stats=1)["name"] == "/", "afterwards"


def test_http__metrics_formats(t):
    agent = t.agent("--bpf=off")
    plain = agent.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4"), plain.headers["Content-Type"]
    zipped = prom.Metrics(agent.gunzip("/metrics"))
    equal(set(zipped.families), set(prom.Metrics(plain.body.decode()).families), "families, plain and gzip")
    answer = agent.get("/metrics", Accept=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text"), answer.headers["Content-Type"]
    assert answer.body.endswith(b"# EOF\n"), "no # EOF"


def test_http__v1_containers(t):
    agent = t.agent("--bpf=off")
    top = t.cgroup()
    kid = t.cgroup(top, "kid")
    agent.knows(kid.path)
    info = agent.json("/api/v1.3/containers" + top.path)
    equal(info["name"], top.path, "name")
    equal([c["name"] for c in info["subcontainers"]], [kid.path], "direct children")
    answer = agent.json("/api/v1.3/subcontainers" + top.path, num_stats=1)
    equal(sorted(c["name"] for c in answer), [top.path, kid.path], "itself and all below")
    equal([len(c["stats"]) for c in answer], [1, 1], "samples")
    everything = {c["name"] for c in agent.json("/api/v1.3/subcontainers/", num_stats=1)}
    seen = {labels["id"] for labels, _ in agent.metrics().all("container_last_seen")}
    assert {"/", top.path, kid.path} <= everything & seen, everything ^ seen


def test_invariants__over_scrapes(t):
    agent = t.agent()
    top = t.cgroup()
    kids = [t.cgroup(top, "kid%d" % i) for i in range(3)]
    workers = [kid.worker(spin_and_sleep, by_speed(3, 8)) for kid in kids]
    for kid in kids:
        agent.knows(kid.path)
    for worker in workers:
        worker.go()
    last = {}
    for _ in range(4):
        metrics = agent.fresh()  # the reader checks every histogram by itself
        counters = metrics.counters()
        back = {key: (last[key], value) for key, value in counters.items() if key in last and value < last[key]}
        equal(back, {}, "went backwards")
        lost = [key for key in last if key not in counters and dict(key[1]).get("id") in {top.path, "/"} | {k.path for k in kids}]
        equal(lost, [], "series that vanished")
        last = counters
        check_parents(metrics)
        for family in metrics.families.values():
            if family.type == "histogram" and family.name.endswith("_delay_seconds"):
                note("%s: %d samples" % (family.name, len(family.samples)))


def spin_and_sleep(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(2000))
        time.sleep(0.001)


def check_parents(metrics):
    """A parent holds what its children hold. CPU times are read one after the other: a moment's worth of slack."""
    compared = 0
    for name, family in metrics.families.items():
        if family.type == "gauge" or not (name.startswith("cgmeter_container_") or name == "container_cpu_usage_seconds_total"):
            continue
        slack = 0.05 if name == "container_cpu_usage_seconds_total" else 1e-6
        rows = {(sample, labels["id"], tuple(sorted((k, v) for k, v in labels.items() if k not in ("id", "name", "image")))): value
                for sample, labels, value in family.samples}
        below = {}
        for (sample, path, labels), value in rows.items():
            if path != "/":
                key = (sample, os.path.dirname(path), labels)
                below[key] = below.get(key, 0) + value
        for key, value in below.items():
            if key not in rows:
                continue  # a parent in fewer hierarchies than its child
            compared += 1
            assert rows[key] + slack >= value, "%s: parent %s, children %s" % (key, rows[key], value)
    assert compared > 0, "nothing was compared"


def machine_counters(text):
    """{series: value} of the counters of "/", read quickly."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    counters = {}
    for name, labels, value in re.findall(r'^(\w+)\{([^\n]*\bid="/"[^\n]*)\} (\S+)$', text, re.MULTILINE):
        if kinds.get(name) != "gauge":
            counters[name, labels] = float(value)
    return counters


def scrape_until(port, seconds):
    """A client that scrapes without a pause. (answers, worst status, counters of / that went backwards)."""
    end, answers, worst, last, back = time.monotonic() + seconds, 0, 0, {}, []
    while time.monotonic() < end:
        for method, path, body in (("GET", "/metrics", None), ("POST", "/api/v1.3/subcontainers/", '{"num_stats": 2}')):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request(method, path, body)
            response = connection.getresponse()
            text = response.read().decode()
            connection.close()
            answers += 1
            worst = max(worst, response.status)
            if path == "/metrics":
                counters = machine_counters(text)
                back += [(key, last[key], value) for key, value in counters.items() if value < last.get(key, 0)]
                last = counters
            else:
                json.loads(text)
        time.sleep(0.05)
    prom.Metrics(get_text(port))
    return answers, worst, back, len(last)


def get_text(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def live_and_die(dirs, with_process):
    for directory in dirs:
        os.mkdir(directory)
    if with_process:
        pid = os.fork()
        if pid == 0:
            for directory in dirs:
                if "cpuset" not in directory:  # a new v1 cpuset takes no task
                    with open(directory + "/cgroup.procs", "w") as f:
                        f.write("0")
            os._exit(0)
        os.waitpid(pid, 0)
    for directory in dirs:
        while True:
            try:
                os.rmdir(directory)
                break
            except OSError as error:
                if error.errno != errno.EBUSY:  # the process is still on its way out
                    raise


def storm(seconds, per_second):
    """Creates and removes cgroups, one in eight with a short process in it. (how many, seconds that it took)."""
    began, done = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        live_and_die(["%s/cgmtest-storm-%d-%d" % (point, os.getpid(), done) for point in sorted(set(trees.mounts.values()))], done % 8 == 0)
        done += 1
        ahead = began + done / per_second - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    return done, time.monotonic() - began


def test_storm__cgroups_come_and_go_while_clients_scrape(t):
    agent = t.agent()
    parent = t.cgroup()
    agent.knows(parent.path)
    agent.wait_ticks(2)
    before = agent.metrics()
    seconds = by_speed(10, 15)
    clients = [Worker(None, scrape_until, (agent.port, seconds)) for _ in range(2)]
    maker = Worker(None, storm, (seconds, by_speed(200, 20)))
    for worker in clients + [maker]:
        t.callback(worker.end)
        worker.go()
    made, took = maker.result()
    for client in clients:
        answers, worst, back, compared = client.result()
        note("%d answers, %d counters compared in each" % (answers, compared))
        assert answers >= 4 and compared > 0, "only %d answers, %d counters" % (answers, compared)
        equal(worst, 200, "worst status")
        equal(back, [], "counters of / that went backwards")
    note("%d cgroups in %.1f s: %.0f a second" % (made, took, made / took))
    assert made / took >= by_speed(150, 5), "the storm was a breeze: %.0f a second" % (made / took)

    def slots_are_back():
        return agent.metrics().sum("cgmeter_slots_used") <= before.sum("cgmeter_slots_used")
    lib.wait_for(slots_are_back, by_speed(10, 60), "return of the slots: %s, was %s" % (
        agent.metrics().sum("cgmeter_slots_used"), before.sum("cgmeter_slots_used")))
    after = agent.fresh()
    left = [labels["id"] for labels, _ in after.all("container_last_seen") if "cgmtest-storm" in labels["id"]]
    equal(left, [], "cgroups that are gone")
    drops = {labels["reason"]: (value - before.sum("cgmeter_dropped_total", **labels)) for labels, value in after.all("cgmeter_dropped_total")}
    note("drops: %s" % drops)
    for reason, number in drops.items():
        # Nothing was too small here. A task may still switch away for the last time when its cgroup is gone: that is cgroup_dead.
        if "full" in reason or "map" in reason:
            equal(number, 0, "drops by " + reason)


lib.main(globals())
