#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was measured to be wrong in Heapster, looked for in the running program. user/cluster/README.md has all of them, also those that unit tests show."""
import json
import time
import urllib.parse

import cluster
import lib
from agent import by_speed
from cluster import Cluster, InfluxDB, Kube, Node, Server, rfc3339
from lib import equal, near


def made(t, one):
    t.callback(one.stop)
    return one


def start(t, *options):
    one = Cluster(*options)
    t.agents.append(one)
    t.callback(one.stop)
    return one


class Keeper(InfluxDB):
    """Keeps what it is asked; hangs: it answers nobody."""

    def __init__(self, hangs=False):
        self.asked, self.hangs = [], hangs
        super().__init__()

    def take(self, method, path, body):
        self.asked.append(urllib.parse.unquote_plus(path) + " " + urllib.parse.unquote_plus(body.decode(errors="replace")) if not path.startswith("/write") else path)
        return None if self.hangs else super().take(method, path, body)


class Old(Server):
    """A kubelet that knows /stats/container alone, of containerd: a sample each 12 s, a pod whose network is its sandbox's, two disks of 50 kB/s and 20 MB/s."""

    HOUSEKEEPING = 12
    SPEEDS = {"vda": 50000, "vdb": 20000000}

    def __init__(self):
        self.began, self.bodies = time.time() - 3600, []
        super().__init__(self.tell, host="127.0.0.2")

    def info(self, name, labels, **more):
        at = int(time.time() / self.HOUSEKEEPING) * self.HOUSEKEEPING  # the newest sample, which may be older than a window is long
        up = at - self.began
        disks = [{"device": "/dev/" + disk, "major": 252, "minor": 16 * i, "stats": {"Read": int(speed * up), "Write": 0}} for i, (disk, speed) in enumerate(self.SPEEDS.items())]
        stats = {"timestamp": rfc3339(at), "cpu": {"usage": {"total": int(up * 600000)}}, "memory": {"usage": 1 << 20, "working_set": 1 << 20}, "diskio": {"io_service_bytes": disks}}
        stats.update(more)
        return {"name": name, "spec": {"creation_time": rfc3339(self.began), "labels": labels, "has_cpu": True, "has_memory": True, "has_diskio": True, "has_network": "network" in more}, "stats": [stats]}

    def tell(self, method, path, body):
        if not path.startswith("/stats/container") or method != "POST":
            return 404, "text/plain", "404 page not found\n"
        self.bodies.append(json.loads(body))
        labels = {"io.kubernetes.pod.name": "pod", "io.kubernetes.pod.namespace": "old", "io.kubernetes.pod.uid": "uid"}
        network = {"name": "eth0", "rx_bytes": 666, "tx_bytes": 892, "rx_errors": 0, "tx_errors": 0}
        sandbox = self.info("/kubepods/poduid/sandbox", dict(labels, **{"io.cri-containerd.kind": "sandbox"}), network=dict(network, interfaces=[network]))
        container = self.info("/kubepods/poduid/c", dict(labels, **{"io.kubernetes.container.name": "c", "io.cri-containerd.kind": "container"}))
        return 200, "application/json", json.dumps({"/": self.info("/", {}), sandbox["name"]: sandbox, container["name"]: container})


def seconds_of(points):
    return [int(at[11:13]) * 3600 + int(at[14:16]) * 60 + int(at[17:19]) for at, _ in points]


def without_gap(points):
    seconds = seconds_of(points)
    assert all((b - a) % 86400 == 5 for a, b in zip(seconds, seconds[1:])), "not every 5 s: %s" % [at for at, _ in points]


def test_sinks__retention_timeout_and_health(t):
    """1: the retention is asked for. 2: a sink that hangs is told of by /healthz, and the other one gets all."""
    told, good, hanging = made(t, Node("n1")), made(t, Keeper()), made(t, Keeper(hangs=True))
    one = start(t, "--source=nodes:" + told.url, "--sink=influxdb:%s?retention=30d" % good.url, "--sink=influxdb:%s" % hanging.url, "--sink_export_data_timeout=1s")
    one.until(lambda: len(set(good.times("memory/usage"))) >= 3, "three windows beside a sink that hangs")
    assert any("CREATE DATABASE" in asked and "DURATION 30d" in asked for asked in good.asked), "no retention: %s" % [a for a in good.asked if "query" in a]
    times = sorted(set(good.times("memory/usage")))
    equal({b - a for a, b in zip(times, times[1:])}, {5000000000}, "a gap")
    health = one.until(lambda: "warning: sink influxdb" in one.get("/healthz").body.decode() and one.get("/healthz"), "warning in /healthz")
    equal(health.status, 200, "a restart would not help")
    page = one.metrics()
    equal(sorted(value for _, value in page.all("cgmeter_cluster_export_ok")), [0, 1], "sinks by health")
    one.until(lambda: one.metrics().sum("cgmeter_cluster_export_retries_total") > 0, "try again")
    hanging.hangs = False
    hanging.ended.set()  # those that waited
    one.until(lambda: set(good.times("memory/usage")) <= set(hanging.times("memory/usage")), "all that it missed", by_speed(40, 120))


def test_containers__disks_network_gaps(t):
    """3: each disk by itself. 6: no window is asked for, so a sample that is older is there as well. 7: a pod's network with containerd. 13: an idle pod has a rate though its sample stands still."""
    told = made(t, Old())
    kube = made(t, Kube({"n1": "127.0.0.2"}))
    one = start(t, "--source=kubernetes:%s?inClusterConfig=false&useServiceAccount=false&kubeletPort=%d" % (kube.url, told.port))
    pod = "namespaces/old/pods/pod"
    container = pod + "/containers/c"
    one.until(lambda: len(one.points(container, "cpu/usage_rate")) >= 4, "rates", by_speed(60, 200))
    for device, speed in Old.SPEEDS.items():
        rates = one.json("/api/v1/model/%s/metrics/disk/io_read_bytes_rate?labels=resource_id:/dev/%s" % (container, device))["metrics"]
        assert rates, "no rate of " + device
        for rate in rates:
            near(rate["value"], speed, relative=0.001, what=device)
    usage, rates = one.points(container, "cpu/usage"), one.points(container, "cpu/usage_rate")
    without_gap(usage)
    without_gap(rates)
    assert len({value for _, value in usage}) < len(usage), "a sample that stands still: %s" % usage
    equal({value for _, value in rates}, {1}, "0.6 millicores, which Heapster cuts to nothing (12)")
    equal((one.last(pod, "network/rx"), one.last(pod, "network/tx")), (666, 892), "network of the pod")
    equal([c for c in one.json("/api/v1/model/nodes/%s/freecontainers/" % one.json("/api/v1/model/nodes/")[0]) if "sandbox" in c], [], "sandboxes among system containers")
    equal([set(body) & {"start", "end"} for body in told.bodies], [set()] * len(told.bodies), "windows in requests (6, 9)")


def test_resolution_floats_and_durations(t):
    """4: floats are floats. 5: 5 s are 5 s. 10: durations are those that they are."""
    class Slow(Node):
        def tell(self, method, path, body):
            if path.startswith("/stats/summary"):
                time.sleep(0.3)
            return super().tell(method, path, body)

    told = made(t, Slow("n1", host="127.0.0.2"))
    kube = made(t, Kube({"n1": "127.0.0.2"}))
    one = start(t, "--source=kubernetes.summary_api:%s?inClusterConfig=false&useServiceAccount=false&kubeletPort=%d" % (kube.url, told.port))
    one.until(lambda: len(one.points("nodes/n1", "cpu/usage_rate")) >= 3, "rates")
    without_gap(one.points("nodes/n1", "cpu/usage_rate"))
    near(one.json("/api/v1/model/nodes/n1/metrics/cpu/node_utilization")["metrics"][-1]["floatValue"], 0.5, absolute=0.01, what="share of a node's CPU")
    page = one.metrics()
    for family in ("heapster_kubelet_summary_request_duration_microseconds", "heapster_scraper_duration_microseconds"):
        assert page.get(family, quantile="0.5") >= 300000, "%s: %s" % (family, page.all(family))
    assert page.get("heapster_processor_duration_microseconds_sum", processor="node_aggregator") > 0, "time spent in processing"


def test_nodes__same_address(t):
    """8: two nodes of one address, and a kubelet that calls itself as one of them: each node's series are its own, and it is said."""
    told = made(t, Node("n1", host="127.0.0.2"))
    kube = made(t, Kube({"n1": "127.0.0.2", "n2": "127.0.0.2"}))
    one = start(t, "--source=kubernetes.summary_api:%s?inClusterConfig=false&useServiceAccount=false&kubeletPort=%d" % (kube.url, told.port))
    one.until(lambda: all(len(one.points("nodes/" + n, "cpu/usage_rate")) >= 2 for n in ("n1", "n2")), "rates of both")
    for name in ("n1", "n2"):
        for at, value in one.points("nodes/" + name, "cpu/usage_rate"):
            near(value, 1000, absolute=1, what="CPU of %s at %s" % (name, at))
        without_gap(one.points("nodes/" + name, "memory/usage"))
    labels = {e["labels"]["nodename"] for e in one.json("/api/v1/metric-export") if e["labels"].get("container_name") == "machine"}
    equal(labels, {"n1", "n2"}, "nodes in the export")
    equal(one.log().count("one of them answers for both"), 1, "lines of the address")
    assert one.metrics().get("cgmeter_cluster_mixed_sets_total") > 0, "they are counted"
    equal(one.last("namespaces/default", "memory/usage"), sum(Node.MEMORY.values()) + 2 * (1 << 20), "memory of the namespace, whose one pod both answers speak of")


lib.main(globals())
