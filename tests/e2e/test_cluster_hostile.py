#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`cgmeter cluster` among nodes that do harm (hostile.py): each is counted, told once, seen in the list of nodes, and the healthy one beside them is none the worse."""
import json
import re
import time

import cluster
import lib
import prom
from agent import by_speed
from cluster import Cluster, InfluxDB, Node
from hostile import BAD_NAMES, MB, ODD_NAMES, TOO_LONG, Clock, Crowd, Endless, Large, Names, Raw, Says, Sends, Silent, head, random_bytes, summary, whole
from lib import equal, near

CYCLES = 3
ROOM = 1  # a cycle may be lost on a machine that has other things to do


def made(t, one):
    t.callback(one.stop)
    return one


def start(t, nodes, *options):
    one = Cluster("--source=nodes:" + ",".join(n.url for n in nodes), *options)
    t.agents.append(one)
    t.callback(one.stop)
    return one


def seconds_of(points):
    return [int(at[11:13]) * 3600 + int(at[14:16]) * 60 + int(at[17:19]) for at, _ in points]


def memory(one, what):
    with open("/proc/%d/status" % one.process.pid) as f:
        return int(re.search(what + r":\s+(\d+) kB", f.read()).group(1)) * 1024


class Healthy(Node):
    """Its figures are looked at after each of its answers: what was wrong, is kept."""

    def __init__(self):
        super().__init__("healthy")

    def check(self, one):
        """All that is remembered of it is right, and there is no gap."""
        pod = "namespaces/default/pods/pod-1"
        for container, millicores in Node.CPU.items():
            path = "%s/containers/%s" % (pod, container)
            for at, value in one.points(path, "cpu/usage_rate"):
                near(value, millicores, absolute=1, what="CPU of %s at %s" % (container, at))
            equal({value for _, value in one.points(path, "memory/working_set")}, {Node.MEMORY[container]}, "memory of " + container)
        points = one.points(pod, "memory/usage")
        seconds = seconds_of(points)
        assert all((b - a) % 86400 == 5 for a, b in zip(seconds, seconds[1:])), "a gap: %s" % [at for at, _ in points]
        equal({value for _, value in points}, {sum(Node.MEMORY.values()) + 2 * MB}, "memory of the pod")
        return len(points)


def nodes_of(one):
    return {n["name"]: n for n in one.json("/api/cgmeter/cluster/nodes")}


def told_of(one, name):
    """Lines of our own log, without what a sink prints."""
    return [line for line in one.log().split("\n") if "node %s: " % name in line]


def run(one, healthy, cycles):
    """Until the healthy node has been asked so many times, and the last answer is there."""
    one.until(lambda: healthy.nr_asked > cycles, "cycle", by_speed(5, 10) * (cycles + 3) + 10)
    one.until(lambda: healthy.check(one) >= cycles, "answer")


def samples_of(one):
    """/metrics/cluster, whose samples bear the time of their window, which the strict reader takes for an error."""
    return prom.Metrics(re.sub(r"^([^#\n].*) (\d{13})$", r"\1", one.get("/metrics/cluster").body.decode(), flags=re.M))


def check_faults(t, bad):
    """bad: (what it does, reason in /metrics, words of the fault); ten of them at the most, since no more lines are said in one cycle."""
    healthy = made(t, Healthy())
    for node, _, _ in bad:
        made(t, node)
    one = start(t, [healthy] + [node for node, _, _ in bad], "--node_timeout=2s")
    run(one, healthy, CYCLES)
    states, page = nodes_of(one), one.metrics()
    for node, reason, words in bad:
        state, what = states[node.name], "%s, %s" % (node.__class__.__name__, words)
        assert state["ready"] and not state["ok_ms"] and not state["answers"], "%s: %s" % (what, state)
        assert state["failed"] >= CYCLES - ROOM and state["fault"] and words in state["fault"], "%s: %s" % (what, state)
        equal(page.get("cgmeter_cluster_node_up", node=node.name), 0, what)
        equal(len(told_of(one, node.name)), 1, "lines of %s: %s" % (what, told_of(one, node.name)))
    for reason in {reason for _, reason, _ in bad} - {None}:
        number = sum(1 for _, one_reason, _ in bad if one_reason == reason)
        got = page.get("cgmeter_cluster_node_faults_total", reason=reason)
        assert got >= number * (CYCLES - ROOM), "%s: %d of %d nodes" % (reason, got, number)
    state = states["127.0.0.1:%d" % healthy.port]
    equal((state["fault"], state["failed"]), ("", 0), "the healthy node")
    assert state["duration_ms"] < by_speed(1500, 2000), "it takes as long as the others: %s" % state
    equal(page.get("cgmeter_cluster_node_up", node=state["name"]), 1, "the healthy node")
    equal((page.get("cgmeter_cluster_nodes", state="known"), page.get("cgmeter_cluster_nodes", state="silent")), (len(bad) + 1, len(bad)), "nodes")
    equal(page.get("cgmeter_cluster_cycles_skipped_total"), 0, "cycles that are skipped")
    equal(one.log().count("of %d nodes answered" % (len(bad) + 1)), 1, "lines of a cycle")
    lib.note("memory: %d MB at most, %d MB now" % (memory(one, "VmHWM") // MB, memory(one, "VmRSS") // MB))
    assert memory(one, "VmHWM") < 220 * MB, "memory: %d MB" % (memory(one, "VmHWM") // MB)
    assert memory(one, "VmRSS") < 150 * MB, "memory that stays: %d MB" % (memory(one, "VmRSS") // MB)
    equal(one.get("/healthz").status, 200, "/healthz")
    assert cluster.end(one) < by_speed(5, 60), "its end takes too long"
    return healthy


def test_faults__of_form(t):
    good = json.dumps(summary("short", time.time() - 60, time.time()))
    check_faults(t, [
        (Sends(whole(b"\x00" + random_bytes(20000))), "nonsense", "/stats/summary: it has a value that is none at byte 0"),
        (Sends(b"\x00" + random_bytes(5000)), "nonsense", "no HTTP: "),
        (Sends(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "nonsense", "no HTTP: "),
        (Sends(whole(good[:len(good) // 2])), "nonsense", "it is cut short at byte %d" % (len(good) // 2)),
        (Sends(head(len(good) + 1000) + good.encode()), "connect", "with 1000 bytes remaining"),
        (Sends(head(len(good) - 10) + good.encode()), "nonsense", "it is cut short at byte %d" % (len(good) - 10)),
        (Sends(whole(b'{"node":' * 5000)), "nonsense", "it is nested too deep"),
        (Sends(b""), "connect", "Empty reply"),
        (Sends(head(0, status="500 Internal Server Error")), "status", "500 for /stats/summary")])


def test_faults__of_time_and_size(t):
    target = made(t, Says(lambda: json.dumps(summary("target", time.time() - 60, time.time()))))
    silent, trickle, flood = Silent(), Endless(1, 0.05), Endless(1 << 16, 0)
    check_faults(t, [
        (silent, "timeout", "no answer in time"),
        (trickle, "timeout", "no answer in time"),
        (flood, "too_large", "an answer of more than 33554432 bytes"),
        (Large(100 * MB), "too_large", "an answer of more than 33554432 bytes"),
        (Sends(b"HTTP/1.1 200 OK\r\n" + b"X-Header: %s\r\n" % (b"x" * 900) * 2000 + b"\r\n"), "too_large", "headers"),
        (Sends(head(0, status="302 Found", more="Location: %s/stats/summary\r\n" % target.url)), "status", "302 for /stats/summary: redirects are not followed")])
    equal(target.nr_asked, 0, "who is redirected to")
    equal((silent.nr_asked <= CYCLES + 4, flood.nr_asked <= CYCLES + 4), (True, True), "they are asked once a cycle")


def test_clocks_and_crowds(t):
    """One clock that is ten times too fast and one that is three hours late; 20,000 pods on one node."""
    crowd = made(t, Crowd(by_speed(20000, 2000)))
    healthy = made(t, Healthy())
    fast, late = made(t, Clock(lambda now: now + 9 * (now - began), "fast")), made(t, Clock(lambda now: now - 3 * 3600, "late"))
    began = time.time() - 7200
    influx = made(t, InfluxDB())
    one = start(t, [healthy, fast, late, crowd], "--sink=influxdb:" + influx.url)
    run(one, healthy, CYCLES)
    states, page = nodes_of(one), one.metrics()
    assert states[fast.name]["skew_ms"] > 9 * 7200 * 1000 - 60000, "ahead: %s" % states[fast.name]
    near(states[late.name]["skew_ms"], -3 * 3600 * 1000, absolute=60000, what="behind")
    assert abs(states["127.0.0.1:%d" % healthy.port]["skew_ms"]) < 60000, "the healthy one"
    equal(page.get("cgmeter_cluster_nodes", state="skewed"), 2, "nodes whose clock is off")
    for node, words in ((fast, "ahead of ours"), (late, "behind ours")):
        equal([words in line for line in told_of(one, node.name)], [True], "lines of its clock: %s" % told_of(one, node.name))
        points = one.points("namespaces/hostile/pods/%s/containers/c" % words.split()[0].replace("ahead", "fast").replace("behind", "late"), "cpu/usage_rate")
        assert len(points) >= CYCLES - ROOM - 1, "rates of it: %s" % points
        for at, value in points:
            near(value, 100, absolute=1, what="CPU by its own clock at " + at)
    now = time.time()
    for line in influx.lines:
        assert abs(int(line.rpartition(" ")[2]) / 1e9 - now) < 300, "a point of another time: " + line
    equal(one.json("/api/cgmeter/cluster/rows?kind=pod&in=namespace:hostile&n=1000")["nr_rows"], by_speed(20000, 2000) + 2, "pods")
    equal(len(one.json("/api/v1/model/namespaces/hostile/pods/")), by_speed(20000, 2000) + 2, "pods of the model API")
    assert len(samples_of(one).all("cgmeter_cluster_memory_working_set_bytes", type="pod")) == by_speed(20000, 2000) + 3, "pods of /metrics/cluster"
    lib.note("memory: %d MB" % (memory(one, "VmHWM") // MB))
    assert memory(one, "VmHWM") < 500 * MB, "memory: %d MB" % (memory(one, "VmHWM") // MB)
    equal(one.metrics().get("cgmeter_cluster_cycles_skipped_total"), 0, "cycles that are skipped")


# ---- names ----

LINE = re.compile(r"((?:[^,\s\\]|\\.)+)((?:,(?:[^,=\s\\]|\\.)+=(?:[^,=\s\\]|\\.)+)*) ([a-z_]+=(?:-?\d+i|-?[\d.]+(?:e[+-]?\d+)?)(?:,[a-z_]+=(?:-?\d+i|-?[\d.]+(?:e[+-]?\d+)?))*) (\d{19})$")
TAG = re.compile(r",((?:[^,=\s\\]|\\.)+)=((?:[^,=\s\\]|\\.)+)")


def tags(line):
    """Of a line of InfluxDB's protocol; a backslash in front of anything but comma, equals sign and blank is itself."""
    found = LINE.match(line.replace("\\ ", "\\\x01"))
    assert found, "no line of the protocol: %r" % line[:600]
    return {key: re.sub(r"\\([,=\x01])", r"\1", value).replace("\x01", " ") for key, value in TAG.findall(found.group(2))}


def test_names__are_data(t):
    healthy, names, influx = made(t, Healthy()), made(t, Names()), made(t, InfluxDB())
    impostor = made(t, Says(lambda: json.dumps(summary("healthy", time.time() - 3600, time.time(), [("pod-1", "web", 9000)]))))
    one = start(t, [healthy, names, impostor], "--sink=influxdb:%s?withfields=true" % influx.url, "--sink=log")
    run(one, healthy, CYCLES)
    whole_names = sorted(ODD_NAMES)
    equal(sorted(one.json("/api/v1/model/namespaces/hostile/pods/")), sorted(whole_names + ["pod-1"]), "pods of the model API")
    state = nodes_of(one)[names.name]
    assert not state["fault"] and state["bad_values"] >= (len(BAD_NAMES) + 1) * (CYCLES - ROOM), "bad names: %s" % state
    assert one.metrics().get("cgmeter_cluster_node_bad_values_total") >= state["bad_values"], "they are counted"
    equal(len(told_of(one, names.name)), 1, "lines: %s" % told_of(one, names.name))
    rows = one.json("/api/cgmeter/cluster/rows?kind=container&in=namespace:hostile&n=1000")
    equal(sorted(row["labels"]["container_name"] for row in rows["rows"] if row["labels"]["pod_name"] != "pod-1"), whole_names, "rows")
    assert all(near(row["values"]["cpu/usage_rate"], 1000, absolute=1, what="CPU of " + row["key"]) is None for row in rows["rows"] if row["labels"]["pod_name"] != "pod-1")
    page = samples_of(one)
    pods = {labels.get("pod") or labels.get("pod_name") for name in page.by_name for labels, _ in page.by_name[name]}
    assert set(whole_names) <= pods, "pods of /metrics/cluster: %s" % sorted(set(whole_names) - pods)
    written = {tags(line).get("pod_name") for line in list(influx.lines)}
    kept = {name for name in whole_names if not name.endswith("\\")}
    assert kept <= written, "pods in InfluxDB: %s" % sorted(kept - written)
    for path in ("/api/v1/model/debug/allkeys", "/api/v1/metric-export", "/api/cgmeter/cluster/status"):
        assert one.json(path), path
    text = one.log()
    for name in whole_names:
        assert "      pod_name = %s\n" % name in text, "--sink=log: " + name[:100]
    for name in (TOO_LONG, "new\nline", "ret\rurn"):
        assert name not in text, "--sink=log: " + name[:20]
    assert cluster.end(one) < by_speed(5, 60), "its end takes too long"


lib.main(globals())
