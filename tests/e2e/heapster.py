# SPDX-License-Identifier: Apache-2.0
"""
The clusters of which Heapster's answers are recorded (tests/fixtures/cluster), made anew: API server and kubelet as Heapster saw them, and readers of the recordings. A kubelet's
clock goes in steps of five seconds, the tests' resolution: counters have the recorded values at its first answer, and grow as they did then.
"""
import json
import os
import re
import threading
import time

from cluster import Kube, Server

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures")
STEP = 5


def fixture(name):
    with open(os.path.join(FIXTURES, name)) as f:
        return f.read()


# ---- recordings ----

def influx_parts(name):
    """{query: lines of the answer} of influx's own tables."""
    parts = fixture(name).split("### ")[1:]
    return {part.split("\n")[0]: part.split("\n")[1:] for part in parts}


def table(lines):
    """{name of the series: [words of a row]}; "" for none."""
    found, name = {}, ""
    for line in lines:
        if line.startswith("name: "):
            name = line[6:]
        elif line and not re.match(r"^(-+ *)+$", line):
            found.setdefault(name, []).append(line.split())
    return {name: rows[1:] for name, rows in found.items()}


def batch():
    """{set: (labels, {metric or (metric, resource): value})} of Heapster's log sink."""
    sets = {}
    for text in fixture("cluster/heapster-1.5.4-summary-batch.txt").split("MetricSet: ")[1:]:
        key, head = text.split("\n")[0], text.partition("   Metrics:")[0]
        values = {}
        for name, value, resource in re.findall(r"^      (\S+) = (\S+)(?:\n         resource_id = (\S+))?", text[len(head):], re.M):
            values[(name, resource) if resource else name] = float(value) if "." in value else int(value)
        sets[key] = (dict(re.findall(r"^      (\w+) = (\S+)", head, re.M)), values)
    return sets


LINE = re.compile(r"^(?P<name>(?:[^\\, ]|\\.)+)(?P<tags>(?:,(?:[^\\, =]|\\.)+=(?:[^\\, ]|\\.)+)*) (?P<field>\S+)=(?P<value>\S+) (?P<time>\d+)$")


def line(text):
    """(measurement, {tag: value}, field, value, time) of InfluxDB's line protocol."""
    m = LINE.match(text)
    assert m, "no line: " + text
    tags = {k: re.sub(r"\\(.)", r"\1", v) for k, v in re.findall(r",((?:[^\\,=]|\\.)+)=((?:[^\\,]|\\.)+)", m["tags"])}
    return m["name"], tags, m["field"], int(m["value"][:-1]) if m["value"].endswith("i") else float(m["value"]), int(m["time"])


# ---- who answers ----

def api_server(node, address, labels, more, pods, namespaces):
    """pods: {(namespace, name): (labels, {container: (image, resources, restarts)})}"""
    kube = Kube({node: address})
    kube.nodes[0]["metadata"]["labels"] = labels
    kube.nodes[0]["spec"] = more.get("spec", {})
    kube.nodes[0]["status"].update(more["status"])
    kube.pods = [{"metadata": {"name": name, "namespace": namespace, "uid": "pod-uid-1" if name == "web-1" else "uid-" + name, "labels": pod_labels},
                  "spec": {"nodeName": node, "containers": [{"name": c, "image": image, "resources": resources} for c, (image, resources, _) in containers.items()]},
                  "status": {"phase": "Running", "containerStatuses": [{"name": c, "image": image, "restartCount": restarts, "ready": True, "state": {"running": {}}}
                                                                      for c, (image, _, restarts) in containers.items()]}}
                 for (namespace, name), (pod_labels, containers) in pods.items()]
    kube.namespaces = [{"metadata": {"name": name, "uid": uid}} for name, uid in namespaces.items()]
    return kube


def api_server_of_node_a(address):
    status = {"capacity": {"cpu": "2", "memory": "8Gi"}, "allocatable": {"cpu": "1900m", "memory": "7Gi"}}
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}
    return api_server("node-a", address, {"kubernetes.io/hostname": "node-a", "zone": "z1"}, {"spec": {"externalID": "ext-1"}, "status": status},
                      {("default", "web-1"): ({"app": "web", "tier": "front"}, {"c1": ("nginx:1", resources, 3), "c2": ("side:1", {}, 0)})}, {"default": "ns-uid-1"})


def api_server_of_peer_node(address):
    labels = {"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": "peer-node", "kubernetes.io/os": "linux"}
    image = "docker.io/local/busybox:1"
    return api_server("peer-node", address, labels, {"status": {}}, {
        ("default", "burn"): ({"app": "burn", "tier": "back"}, {"cpu": (image, {"requests": {"cpu": "100m"}}, 0), "io": (image, {}, 0)}),
        ("kube-system", "quiet"): ({"app": "quiet"}, {"sleeper": (image, {}, 0)})}, {"default": "ns-1", "kube-system": "ns-2"})


class Kubelet(Server):
    """Has a clock of its own: now() in whole steps since its first answer."""

    def __init__(self, **more):
        self.lock, self.first, self.windows = threading.Lock(), None, []
        super().__init__(self.tell, **more)

    def tick(self):
        """(seconds since the first answer, time)"""
        with self.lock:
            now = int(time.time()) // STEP * STEP
            self.first = self.first or now
            self.windows.append(now)
            return now - self.first, now

    def tell(self, method, path, body):
        form = {"/stats/summary": self.summary, "/stats/container": self.containers}.get(path.partition("?")[0].rstrip("/"))
        if not form:
            return 404, "text/plain", "404 page not found\n"
        return 200, "application/json", json.dumps(form(*self.tick()))

    def containers(self, age, now):
        raise AssertionError("is not asked for")


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class NodeA(Kubelet):
    """By the Summary API: the recorded batch. By /stats/container: the recorded lines."""

    MILLICORES = {"node": 1000, "c1": 200, "c2": 100}
    UPTIME = 3667

    def __init__(self, **more):
        self.sets = batch()
        super().__init__(**more)

    def use(self, key, who, age, now):
        values = self.sets[key][1]
        part = {"startTime": stamp(self.first - self.UPTIME),
                "cpu": {"time": stamp(now), "usageCoreNanoSeconds": values["cpu/usage"] + self.MILLICORES.get(who, 100) * 10**6 * age},
                "memory": {"time": stamp(now), "usageBytes": values["memory/usage"], "workingSetBytes": values["memory/working_set"], "rssBytes": values["memory/rss"],
                           "pageFaults": values["memory/page_faults"] + age, "majorPageFaults": values["memory/major_page_faults"]}}
        if ("filesystem/usage", "logs") in values:
            part.update(rootfs=self.fs(key, "/", now), logs=self.fs(key, "logs", now))
        return part

    def fs(self, key, resource, now):
        values = self.sets[key][1]
        return {"time": stamp(now), **{to: values["filesystem/" + name, resource] for name, to in (
            ("usage", "usedBytes"), ("limit", "capacityBytes"), ("available", "availableBytes"), ("inodes", "inodes"), ("inodes_free", "inodesFree"))}}

    def network(self, key, age, now):
        values = self.sets[key][1]
        return {"time": stamp(now), "name": "eth0", "rxBytes": values["network/rx"] + 100 * age, "rxErrors": 0, "txBytes": values["network/tx"] + 200 * age, "txErrors": 0}

    def summary(self, age, now):
        names = {"docker-daemon": "runtime", "system": "misc"}
        pod = "namespace:default/pod:web-1"
        system = [dict(name=names.get(c, c), **self.use("node:node-a/container:" + c, c, age, now)) for c in ("docker-daemon", "kubelet", "pods", "system")]
        return {"node": dict(nodeName="node-a", systemContainers=system, fs=self.fs("node:node-a", "/", now), network=self.network("node:node-a", age, now),
                             **self.use("node:node-a", "node", age, now)),
                "pods": [{"podRef": {"name": "web-1", "namespace": "default", "uid": "pod-uid-1"}, "startTime": stamp(self.first - self.UPTIME),
                          "containers": [dict(name=c, **self.use("%s/container:%s" % (pod, c), c, age, now)) for c in ("c1", "c2")],
                          "network": self.network(pod, age, now), "volume": [dict(name="data", **self.fs(pod, "Volume:data", now))]}]}

    def containers(self, age, now):
        def one(name, labels, cpu, usage, working_set):
            def ops(of_a, of_b):
                return [{"device": device, "major": 252, "minor": 16 * i, "stats": {"Read": r, "Write": w, "Total": r + w}}
                        for i, (device, (r, w)) in enumerate((("/dev/vda", of_a), ("/dev/vdb", of_b)))]
            network = {"name": "eth0", "rx_bytes": 401159 + 100 * age, "rx_errors": 0, "tx_bytes": 802319 + 200 * age, "tx_errors": 0}
            faults = {"pgfault": 5011 + age, "pgmajfault": 5}
            stats = {"timestamp": stamp(now), "cpu": {"usage": {"total": cpu[0] + cpu[1] * 10**6 * age}},
                     "memory": {"usage": usage, "cache": 10000000, "rss": 30000000, "working_set": working_set, "container_data": faults, "hierarchical_data": faults},
                     "network": dict(network, interfaces=[network]),
                     "diskio": {"io_service_bytes": ops((4011596 + 1000 * age, 8023192 + 2000 * age), (200579820 + 50000 * age, 0))},
                     "filesystem": [{"device": "/dev/vda1", "type": "ext4", "capacity": 1000000000, "usage": 123456, "available": 900000000, "has_inodes": True,
                                     "inodes": 1000, "inodes_free": 900}]}
            return {"name": name, "spec": {"creation_time": stamp(self.first - 4011), "labels": labels, "has_cpu": True, "has_memory": True, "has_network": True,
                                           "has_filesystem": True, "has_diskio": True}, "stats": [stats]}

        def of_pod(container):
            return {"io.kubernetes.container.name": container, "io.kubernetes.pod.name": "web-1", "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": "pod-uid-1"}
        found = [one("/", {}, (4011596409082, 1000), 500000000, 400000000), one("/system.slice", {}, (401159647130, 100), 50000000, 40000000),
                 one("/docker/c1", of_pod("c1"), (802319299077, 200), 100000000, 80000000), one("/docker/c2", of_pod("c2"), (401159651803, 100), 50000000, 40000000),
                 one("/docker/pod", of_pod("POD"), (0, 0), 0, 0)]
        return {c["name"]: c for c in found}


class PeerNode(Kubelet):
    """As the recorded real kubelet: one system container, no file system of it."""

    MILLICORES = {"node": 604, "pods": 70, "cpu": 71, "io": 2, "sleeper": 0}

    def use(self, who, age, now, disks=True):
        part = {"startTime": stamp(self.first - 3600), "cpu": {"time": stamp(now), "usageCoreNanoSeconds": 10**12 + self.MILLICORES[who] * 10**6 * age},
                "memory": {"time": stamp(now), "usageBytes": 3000000, "workingSetBytes": 2000000, "rssBytes": 1000000, "pageFaults": 1000, "majorPageFaults": 0}}
        if disks:
            part.update(rootfs=self.fs(now), logs=self.fs(now))
        return part

    @staticmethod
    def fs(now):
        return {"time": stamp(now), "availableBytes": 600, "capacityBytes": 1000, "usedBytes": 400, "inodes": 10, "inodesFree": 9}

    @staticmethod
    def network(now):
        return {"time": stamp(now), "name": "eth0", "rxBytes": 1000, "rxErrors": 0, "txBytes": 2000, "txErrors": 0}

    def summary(self, age, now):
        def pod(namespace, name, containers, volumes):
            return {"podRef": {"name": name, "namespace": namespace, "uid": "uid-" + name}, "startTime": stamp(self.first - 3600), "network": self.network(now),
                    "containers": [dict(name=c, **self.use(c, age, now)) for c in containers], "volume": [dict(name=v, **self.fs(now)) for v in volumes]}
        return {"node": dict(nodeName="peer-node", systemContainers=[dict(name="pods", **self.use("pods", age, now, False))], fs=self.fs(now), network=self.network(now),
                             **self.use("node", age, now, False)),
                "pods": [pod("default", "burn", ["cpu", "io"], ["data"]), pod("kube-system", "quiet", ["sleeper"], [])]}
