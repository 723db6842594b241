#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
cAdvisor's REST API, all versions, on a live agent: every key path of recorded answers of cAdvisor is there with its type, none is there that
its schema does not have, and values are the kernel's.
"""
import os
import re
import sys
import threading
import time

import lib
from cgroups import Worker, read, trees
from lib import by_speed, equal, near, note

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TOP, "lib"))
from jsonpaths import paths  # noqa: E402

# Recorded on a machine where cAdvisor had them; what else may be missing here, and why.
MAY_LACK = re.compile(r"swap_limit|filesystem|interfaces|network|memory\.reservation|disk_map|hugepages|topology|per_cpu_usage|\.inode")
REQUESTS = {
    "v1.3/containers/": "v1.3/containers/", "v1.3/subcontainers/": "v1.3/subcontainers/", "v1.3/machine": "v1.3/machine",
    "v1.3/events/": "v1.3/events/?creation_events=true&subcontainers=true", "v2.0/appmetrics/": "v2.0/appmetrics/", "v2.0/attributes": "v2.0/attributes",
    "v2.0/stats/": "v2.0/stats/?recursive=true", "v2.0/storage": "v2.0/storage", "v2.0/summary/": "v2.0/summary/", "v2.0/version": "v2.0/version",
    "v2.1/machinestats": "v2.1/machinestats", "v2.1/spec/": "v2.1/spec/?recursive=true", "v2.1/stats/": "v2.1/stats/?recursive=true",
}
# What the answer is, in the words of the schema; "{}" is a map by name.
TYPES = {
    "v1.3/containers/": "ContainerInfo", "v1.3/subcontainers/": "[]ContainerInfo", "v1.3/machine": "MachineInfo", "v1.3/events/": "[]Event",
    "v2.0/attributes": "v2.Attributes", "v2.0/stats/": "{}[]v2.DeprecatedContainerStats", "v2.0/storage": "[]FsInfo", "v2.0/summary/": "{}DerivedStats",
    "v2.1/machinestats": "[]v2.MachineStats", "v2.1/spec/": "{}v2.ContainerSpec", "v2.1/stats/": "{}v2.ContainerInfo", "v2.0/ps/": "[]ProcessInfo",
}


def recorded():
    """{request: {path: {types}}}"""
    found = {}
    for line in read(os.path.join(TOP, "fixtures/schema/recorded.txt")).splitlines():
        if not line.startswith("#"):
            request, path, kind = line.split("\t")
            found.setdefault(request, {}).setdefault(path, set()).add(kind)
    return found


def schema():
    """{type: [(key, type, always)]}"""
    types, fields = {}, None
    for name in ("cadvisor-v1.txt", "cadvisor-v2.txt"):
        for line in read(os.path.join(TOP, "fixtures/schema", name)).splitlines():
            if line.startswith("\t"):
                key, kind, rule = line.strip().split("|")
                fields.append((key, kind, rule == "always"))
            elif not line.startswith("#"):
                fields = types[line] = []
    return types


def check(types, value, kind, where):
    """The value keeps to the schema: types, keys and their order, what is always there."""
    if kind.startswith("[]"):
        assert value is None or isinstance(value, list), where
        for element in value or []:
            check(types, element, kind[2:], where + "[]")
    elif kind.startswith("{}") or kind.startswith("map["):
        assert isinstance(value, dict), where
        for key, member in value.items():
            check(types, member, kind[2:] if kind.startswith("{}") else kind.partition("]")[2], where + "." + key)
    elif kind in types:
        keys = list(value)
        for key, member, always in types[kind]:
            if keys and keys[0] == key:
                check(types, value[keys.pop(0)], member, where + "." + key)
            else:
                assert not always, "%s.%s is missing" % (where, key)
        equal(keys, [], "%s: keys that the schema has not, or not in this place" % where)
    elif kind == "bool":
        assert isinstance(value, bool), where
    elif "int" in kind:
        assert isinstance(value, int) and not isinstance(value, bool), "%s: %r" % (where, value)
    elif kind.startswith("float"):
        assert isinstance(value, (int, float)), where
    else:
        assert isinstance(value, str), "%s: %r" % (where, value)


def twin(kinds):
    """Go's empty list is null."""
    return {"array", "null"} if kinds & {"array", "null"} else set()


def test_rest__recorded_paths_and_schema(t):
    agent = t.agent()
    cgroup = t.cgroup()
    cgroup.worker(lambda: None)
    agent.knows(cgroup.path)
    agent.wait_ticks(3)
    types = schema()
    for request, wanted in recorded().items():
        answer = agent.json("/api/" + REQUESTS[request])
        have = {}
        for path, kind in paths(answer):
            have.setdefault(path, set()).add(kind)
        missing = [path for path in wanted if path not in have and not MAY_LACK.search(path)]
        equal(missing, [], "%s: paths that cAdvisor's answer has" % request)
        other = {path: (kinds, have[path]) for path, kinds in wanted.items() if path in have and not have[path] <= kinds | twin(kinds)}
        equal(other, {}, "%s: types" % request)
        if request in TYPES:
            check(types, answer, TYPES[request], request)
        note("%s: %d recorded paths, %d of ours" % (request, len(wanted), len(have)))
    check(types, agent.json("/api/v2.0/ps/"), TYPES["v2.0/ps/"], "ps")


def test_rest__each_version_serves_what_cadvisor_serves(t):
    agent = t.agent("--bpf=off")
    v1, v2 = ["machine", "containers/"], ["machine", "version", "attributes", "stats/", "summary/", "spec/", "events/", "storage", "ps/", "appmetrics/"]
    served = {"v1.0": v1, "v1.1": v1 + ["subcontainers/"], "v1.2": v1 + ["subcontainers/", "docker/"],
              "v1.3": v1 + ["subcontainers/", "docker/", "events/"], "v2.0": v2, "v2.1": v2 + ["machinestats"]}
    everything = sorted({name for names in served.values() for name in names})
    for version, names in served.items():
        listed = agent.get("/api/%s/" % version).body.decode()
        for name in everything:
            status = agent.get("/api/%s/%s" % (version, name)).status
            equal(status, 200 if name in names else 404, "/api/%s/%s" % (version, name))
            equal("/api/%s/%s" % (version, name) in listed, name in names, "in the list of %s: %s" % (version, name))
    equal(agent.get("/api/v3.0/machine").status, 404, "unknown version")


FAULTS = [
    # path, status, status as cAdvisor, what the message names
    ("/nothing", 404, 307, "/nothing"),
    ("/api/v9.9/", 404, 500, "v9.9"),
    ("/api/v1.3/nothing", 404, 500, "nothing"),
    ("/api/v1.3/containers/no/such", 404, 500, "/no/such"),
    ("/api/v1.3/subcontainers/no/such", 404, 500, "/no/such"),
    ("/api/v1.3/docker/nosuch", 404, 500, "nosuch"),
    ("/api/v2.0/stats/no/such", 404, 500, "/no/such"),
    ("/api/v2.0/ps/no/such", 404, 500, "/no/such"),
    ("/api/v2.0/appmetrics/no/such", 404, 500, "/no/such"),
    ("/api/v2.1/summary/x?type=podman", 404, 500, "podman"),
    ("/api/v2.1/spec/x?type=docker&recursive=true", 400, 500, "recursive"),
    ("/api/v2.0/stats/?count=x", 400, 500, "count"),
    ("/api/v2.0/stats/?count=-2", 400, 500, "count"),
    ("/api/v2.0/stats/?type=zzz", 400, 500, "type"),
    ("/api/v2.0/stats/?max_age=soon", 400, 500, "max_age"),
    ("/api/v2.0/stats/?recursive=maybe", 400, 200, "recursive"),
    ("/api/v2.0/storage?label=none", 404, 500, "none"),
    ("/api/v2.0/storage?uuid=none", 404, 500, "none"),
    ("/api/v1.3/events/?max_events=x", 400, 200, "max_events"),
    ("/api/v1.3/events/?end_time=now", 400, 200, "end_time"),
    ("/api", 200, 307, ""),
    ("/api/", 200, 400, ""),
    ("/api/v1.3/", 200, 400, ""),
]


def test_rest__faults(t):
    agent = t.agent("--bpf=off")
    for path, status, _, word in FAULTS:
        answer = agent.get(path)
        equal(answer.status, status, path)
        assert word in answer.body.decode(), "%s: %s does not name it" % (path, answer.body)


def test_rest__faults_as_cadvisor(t):
    agent = t.agent("--bpf=off", "--legacy_status_codes")
    for path, _, status, _ in FAULTS:
        answer = agent.get(path)
        equal(answer.status, status, path)
        if status == 307:
            equal(answer.headers["Location"], "/api/" if path == "/api" else "/containers/", path)
        if status == 500:
            equal(answer.headers.get_content_type(), "text/plain", path)
    equal(agent.request("DELETE", "/api/v1.3/machine").status, 200, "any method")
    equal(agent.request("POST", "/api/v1.3/containers/", "{").status, 500, "a body that is no JSON")


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def test_rest__values_agree_between_the_versions(t):
    agent = t.agent(interval="500ms")
    cgroup = t.cgroup()
    worker = cgroup.worker(burn, by_speed(2, 8))
    agent.knows(cgroup.path)
    worker.go()
    time.sleep(by_speed(1.5, 6))
    samples = agent.json("/api/v2.1/stats%s?count=-1" % cgroup.path)[cgroup.path]["stats"]
    assert "cpu_inst" not in samples[0], "there is nothing before the first"
    for before, now in zip(samples, samples[1:]):
        if before["timestamp"][:17] == now["timestamp"][:17]:
            seconds = float(now["timestamp"][17:-1]) - float(before["timestamp"][17:-1])
            near(now["cpu_inst"]["usage"]["total"], (now["cpu"]["usage"]["total"] - before["cpu"]["usage"]["total"]) / seconds, 1e-6, 2, "nanocores")
    worker.result()
    agent.wait_ticks(2)
    old = agent.json("/api/v2.0/stats%s?count=1" % cgroup.path)[cgroup.path][0]
    first = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]
    assert old["has_cpu"] and old["has_memory"], old
    for part in ("usage", "cfs"):
        assert old["cpu"][part] == first["cpu"][part] or old["timestamp"] != first["timestamp"], (old["cpu"], first["cpu"])
    near(first["cpu"]["usage"]["total"], cgroup.cpu_ns(), 0.02, 2e7, "CPU time")


def test_rest__summary(t):
    """Half a CPU for some seconds: the percentiles lie where the samples do."""
    agent = t.agent("--bpf=off", interval="200ms")
    cgroup = t.cgroup()
    worker = cgroup.worker(burn, by_speed(3, 6))
    agent.knows(cgroup.path)
    worker.run()
    agent.wait_ticks(2)
    summary = agent.json("/api/v2.1/summary%s" % cgroup.path)[cgroup.path]
    samples = agent.json("/api/v2.0/stats%s?count=-1" % cgroup.path)[cgroup.path]
    rates = sorted(s["cpu_inst"]["usage"]["total"] / 1e6 for s in samples if "cpu_inst" in s)
    for window in ("minute_usage", "hour_usage", "day_usage"):
        usage = summary[window]
        assert usage["cpu"]["present"] and usage["memory"]["present"], usage
        near(usage["cpu"]["max"], rates[-1], 0.01, 1, window + " max")
        near(usage["cpu"]["fifty"], rates[len(rates) // 2], 0.05, 40, window + " median")
        assert usage["cpu"]["fifty"] <= usage["cpu"]["ninety"] <= usage["cpu"]["ninetyfive"] <= usage["cpu"]["max"], usage
        near(usage["cpu"]["count"], len(rates), 0, 3, window + " count")
    assert summary["day_usage"]["percent_complete"] == 0 and summary["minute_usage"]["percent_complete"] > 0, summary
    # One that lacks something spoils nothing.
    assert len(agent.json("/api/v2.0/summary/?recursive=true")) == len(agent.json("/api/v2.0/spec/?recursive=true"))


def test_rest__processes(t):
    agent = t.agent("--bpf=off")
    top = t.cgroup()
    kid = t.cgroup(top, "kid")
    worker, other = top.worker(lambda: None), kid.worker(lambda: None) if not trees.v2 else None
    if other is None:
        worker.end()
        worker = kid.worker(lambda: None)
        top = kid
    agent.knows(top.path)
    found = agent.json("/api/v2.0/ps%s?recursive=true" % top.path)
    equal([p["pid"] for p in found], [worker.pid], "of exactly that cgroup")
    one = found[0]
    equal((one["user"], one["parent_pid"], one["cmd"], one["cgroup_path"]), ("root", os.getpid(), "python3", ""), "process")
    equal(one["fd_count"], len(os.listdir("/proc/%d/fd" % worker.pid)), "descriptors")
    near(one["rss"], int(re.search(r"VmRSS:\s+(\d+)", read("/proc/%d/status" % worker.pid)).group(1)) * 1024, 0.1, 1 << 20, "resident")
    every = {p["pid"]: p for p in agent.json("/api/v2.1/ps/")}
    assert {1, os.getpid(), worker.pid} <= set(every), "not all of the machine"
    equal(every[worker.pid]["cgroup_path"], top.path, "its cgroup")


def test_rest__max_age(t):
    agent = t.agent("--bpf=off", interval="1s")
    began = time.time()
    answer = agent.get("/api/v2.0/stats/?max_age=0s&count=1")
    took = time.time() - began
    equal(answer.status, 200, "status")
    assert took < by_speed(1.5, 10), "it waited %.1f s" % took
    before = agent.metrics().get("cgmeter_missed_ticks_total")
    # Fifty at once wait for the same round, and hold no thread of the server meanwhile.
    threads = [threading.Thread(target=agent.get, args=("/api/v2.1/machinestats?max_age=0s&count=1",)) for _ in range(50)]
    for thread in threads:
        thread.start()
    began = time.time()
    agent.get("/healthz")
    assert time.time() - began < by_speed(0.3, 5), "the server is busy waiting"
    for thread in threads:
        thread.join()
    equal(agent.metrics().get("cgmeter_missed_ticks_total"), before, "late ticks")


def rss_kb(agent):
    return int(re.search(r"VmRSS:\s+(\d+)", read("/proc/%d/status" % agent.process.pid)).group(1))


def ask(path, port, times):
    import http.client
    length = 0
    for _ in range(times):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)
        length = len(connection.getresponse().read())
        connection.close()
    return length


def test_rest__memory_does_not_grow_with_the_answer(t):
    agent = t.agent("--bpf=off", interval="100ms")
    parent = t.cgroup()
    for i in range(by_speed(100, 10)):
        t.cgroup(parent, "c%d" % i)
    agent.wait_ticks(by_speed(80, 20))
    before = rss_kb(agent)
    clients = [Worker(None, ask, ("/api/v2.0/stats/?recursive=true&count=64", agent.port, 3)) for _ in range(4)]
    for client in clients:
        t.callback(client.end)
        client.go()
    sizes = [client.result() for client in clients]
    grown = rss_kb(agent) - before
    note("answers of %d kB, grown by %d kB" % (max(sizes) // 1024, grown))
    assert grown < 6000, "%d kB more after answers of %d kB" % (grown, max(sizes) // 1024)


def test_rest__validate_and_debug(t):
    agent = t.agent("--bpf=off")
    text = agent.get("/validate/").body.decode()
    assert "Kernel version is " + read("/proc/sys/kernel/osrelease").strip() in text, text
    assert "The trees are %s." % trees.mode in text and "Managed containers:" in text, text
    assert "ticks" in agent.get("/debug/status").body.decode()


lib.main(globals())
