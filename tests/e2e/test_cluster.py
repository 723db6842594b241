#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`cgmeter cluster`: figures of a real agent and of a scripted kubelet through the model API, nodes that die, its end and its next start, bad flags."""
import collections
import json
import os
import shutil
import ssl
import tempfile

import cluster
import lib
from agent import by_speed, wait_for
from authority import Authority
from cgroups import read
from cluster import Cluster, InfluxDB, Node
from lib import equal, near


def start(t, *options, **more):
    one = Cluster(*options, **more)
    t.agents.append(one)
    t.callback(one.stop)
    return one


def node(t, name, **more):
    one = Node(name, **more)
    t.callback(one.stop)
    return one


def influxdb(t, **more):
    one = InfluxDB(**more)
    t.callback(one.stop)
    return one


def folder(t):
    path = tempfile.mkdtemp(prefix="cgmtest-cluster-")
    t.callback(shutil.rmtree, path)
    return path


def host(one):
    return "127.0.0.1:%d" % one.port


def nodes_of(one):
    return one.json("/api/v1/model/nodes/")


def test_model__of_a_real_agent(t):
    agent = t.agent(pin_dir="")
    one = start(t, "--source=nodes:http://127.0.0.1:%d" % agent.port)
    name = one.until(lambda: nodes_of(one), "node")[0]
    path = "nodes/" + name
    before = agent.metrics().get("container_memory_working_set_bytes", id="/")
    one.until(lambda: one.points(path, "cpu/usage_rate"), "rate of CPU")
    used = agent.metrics()
    times = [time for time, _ in one.points(path, "memory/working_set")]
    equal(times, sorted(set(times)), "times")
    assert all(int(time[17:19]) % 5 == 0 for time in times), "ends of windows: %s" % times
    near(one.last(path, "memory/working_set"), before, relative=0.2, absolute=64 << 20, what="working set")
    cpu = sum(value for _, value in used.all("container_cpu_usage_seconds_total", id="/"))
    near(one.last(path, "cpu/usage") / 1e9, cpu, relative=0.02, absolute=30, what="CPU time")
    assert 0 < one.last(path, "cpu/usage_rate") <= 1000 * os.cpu_count(), "millicores"
    near(one.last(path, "uptime") / 1000, float(open("/proc/uptime").read().split()[0]), relative=0.01, absolute=60, what="uptime")


def test_model__of_a_scripted_node(t):
    told = node(t, "n1")
    one = start(t, "--source=nodes:" + told.url)
    pod = "namespaces/default/pods/pod-1"
    name = one.until(lambda: nodes_of(one), "node")[0]
    one.until(lambda: len(one.points(pod, "cpu/usage_rate")) >= 2, "rates of a pod")
    for container, millicores in Node.CPU.items():
        near(one.last("%s/containers/%s" % (pod, container), "cpu/usage_rate"), millicores, absolute=1, what="CPU of " + container)
        equal(one.last("%s/containers/%s" % (pod, container), "memory/working_set"), Node.MEMORY[container], "memory of " + container)
    near(one.last(pod, "cpu/usage_rate"), sum(Node.CPU.values()), absolute=2, what="CPU of the pod")
    equal(one.last(pod, "memory/working_set"), sum(Node.MEMORY.values()), "memory of the pod")
    near(one.last("namespaces/default", "cpu/usage_rate"), sum(Node.CPU.values()), absolute=2, what="CPU of the namespace")
    near(one.last("nodes/" + name, "cpu/usage_rate"), 1000, absolute=1, what="CPU of the node")
    usage = sum(Node.MEMORY.values()) + 2 * (1 << 20)
    equal((one.last("namespaces/default", "memory/usage"), one.json("/api/v1/model/metrics/memory/usage")["metrics"][-1]["value"]), (usage, usage), "memory of namespace and cluster")
    equal(one.json("/api/v1/model/namespaces/"), ["default"], "namespaces")
    equal(sorted(one.json("/api/v1/model/namespaces/default/pods/pod-1/containers")), sorted(Node.CPU), "containers")


def test_nodes__one_dies(t):
    """The other one goes on without a gap, also while it hangs, and it comes back by itself."""
    nodes = [node(t, "n%d" % i, pod="pod-%d" % i) for i in (1, 2)]
    one = start(t, "--node_timeout=1s", "--source=nodes:" + ",".join(n.url for n in nodes))
    one.until(lambda: len(nodes_of(one)) == 2, "two nodes")
    nodes[1].silent = True
    asked = nodes[0].nr_asked
    one.until(lambda: nodes[0].nr_asked >= asked + 3 and "1 of 2 nodes answered" in one.log(), "cycles without one")
    times = [time for time, _ in one.points("namespaces/default/pods/pod-1", "memory/usage")]
    seconds = [int(time[14:16]) * 60 + int(time[17:19]) for time in times]
    assert len(seconds) >= 4 and all((b - a) % 3600 == 5 for a, b in zip(seconds, seconds[1:])), "a gap: %s" % times
    equal(one.json("/api/v1/model/metrics/memory/usage")["metrics"][-1]["value"], sum(Node.MEMORY.values()) + 2 * (1 << 20), "sum of those that answer")
    nodes[1].silent = False
    before = nodes[1].nr_asked
    nodes[1].ended.set()  # those that waited
    one.until(lambda: nodes[1].nr_asked > before, "the node again")
    one.until(lambda: one.json("/api/v1/model/metrics/memory/usage")["metrics"][-1]["value"] == 2 * (sum(Node.MEMORY.values()) + 2 * (1 << 20)), "sum of both")


def test_nodes__file_is_watched(t):
    first, second = node(t, "n1"), node(t, "n2", pod="pod-2")
    path = os.path.join(folder(t), "nodes")
    with open(path, "w") as f:
        f.write(first.url + "\n")
    one = start(t, "--source=nodes:" + path)
    one.until(lambda: len(nodes_of(one)) == 1, "one node")
    with open(path + ".new", "w") as f:
        f.write("# both\n%s\n%s\n" % (first.url, second.url))
    os.rename(path + ".new", path)
    one.until(lambda: len(nodes_of(one)) == 2, "two nodes")


# ---- Kubernetes ----

class Cell:
    """An API server with two nodes, whose kubelets answer on one port of two addresses."""

    def __init__(self, t):
        self.first = node(t, "n1", host="127.0.0.2")
        self.second = node(t, "n2", pod="pod-2", host="127.0.0.3", port=self.first.port)
        self.kube = cluster.Kube({"n1": "127.0.0.2", "n2": "127.0.0.3"})
        t.callback(self.kube.stop)
        self.source = "--source=kubernetes.summary_api:%s?inClusterConfig=false&useServiceAccount=false&kubeletPort=%d" % (self.kube.url, self.first.port)


def test_kubernetes__names_requests_and_limits(t):
    cell = Cell(t)
    one = start(t, cell.source, "--store_label=tier", "--sink=log")
    one.until(lambda: nodes_of(one) == ["n1", "n2"], "two nodes")
    pod = "namespaces/default/pods/pod-2"
    one.until(lambda: one.points(pod, "cpu/usage_rate"), "rate of a pod")
    equal((one.last(pod, "cpu/request"), one.last(pod, "cpu/limit"), one.last(pod, "restart_count")), (200, 1000, 4), "requests, limits, restarts of a pod")
    equal((one.last("nodes/n1", "cpu/node_allocatable"), one.last("nodes/n1", "memory/node_capacity")), (2000, 8 << 30), "a node's own")
    near(one.last("nodes/n1", "cpu/node_utilization"), 0.5, absolute=0.01, what="share of a node's CPU")
    equal((one.last("namespaces/default", "cpu/request"), one.json("/api/v1/model/metrics/cpu/request")["metrics"][-1]["value"]), (400, 400), "requests of namespace and cluster")
    exported = [e for e in one.json("/api/v1/metric-export") if e["labels"].get("pod_name") == "pod-1" and e["labels"].get("container_name") == "web"]
    equal(len(exported), 1, "a container in the export")
    labels = exported[0]["labels"]
    equal({k: labels.get(k) for k in ("labels", "namespace_id", "pod_id", "nodename", "container_base_image")},
          {"labels": "app:web,tier:front", "namespace_id": "ns-uid", "pod_id": "uid-pod-1", "nodename": "n1", "container_base_image": "image/web:1"}, "labels")
    assert "tier = front" in one.log(), "a stored label"


def test_kubernetes__of_several_one_collects(t):
    """The other one takes over when the first gives back the Lease, and at its end when it dies."""
    cell = Cell(t)
    options = [cell.source, "--leader_elect", "--leader_elect_lease_duration=4s", "--leader_elect_renew_deadline=2s", "--leader_elect_retry_period=300ms"]
    one = start(t, *options)
    one.until(lambda: "we collect from now on" in one.log(), "leader")
    one.until(lambda: nodes_of(one) == ["n1", "n2"], "two nodes")
    two = start(t, *options)
    holder, asked = cell.kube.holder(), cell.first.nr_asked
    one.until(lambda: cell.first.nr_asked >= asked + 2, "cycles")
    equal((nodes_of(two), cell.kube.holder(), two.get("/readyz").status), ([], holder, 500), "who stands by")
    equal((one.get("/readyz").status, two.get("/livez").status), (200, 200), "health")
    cluster.end(one)
    two.until(lambda: nodes_of(two) == ["n1", "n2"], "the other one's nodes")
    assert cell.kube.holder() != holder and two.get("/readyz").status == 200, "the Lease"
    three = start(t, *options)
    two.process.kill()
    three.until(lambda: nodes_of(three) == ["n1", "n2"], "the third one's nodes")
    equal(cell.kube.lease["spec"]["leaseTransitions"], 2, "changes of the holder")


def test_kubernetes__metrics_api_for_who_may(t):
    cell = Cell(t)
    port = cluster.free_port()
    one = start(t, cell.source, "--secure_port=%d" % port, "--bind_address=127.0.0.1", "--authentication_tolerate_lookup_failure")
    one.until(lambda: one.points("namespaces/default/pods/pod-1", "cpu/usage_rate"), "rate of a pod")
    path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
    for token, wanted in (("good", 200), ("bad", 401), (None, 403)):
        status, body = cluster.ask_tls(port, path, token)
        assert status == wanted, "token %s: %d %s" % (token, status, body)
    items = json.loads(cluster.ask_tls(port, path, "good")[1])["items"]
    equal([i["metadata"]["name"] for i in items], ["pod-1", "pod-2"], "pods")
    equal(sorted(c["name"] for c in items[0]["containers"]), sorted(Node.CPU), "containers")
    for open_path in ("/healthz", "/readyz", "/livez"):
        equal(cluster.ask_tls(port, open_path, None)[0], 200, open_path)
    equal(cluster.ask_tls(port, "/api/v1/model/nodes/", "good")[0], 404, "the model API on the secure port")


def test_kubernetes__two_who_review(t):
    """--authentication_kubeconfig says whose a token is, --authorization_kubeconfig what he may: another one each."""
    cell, dir = Cell(t), folder(t)
    options = ["--secure_port=%d" % cluster.free_port(), "--bind_address=127.0.0.1", "--authentication_skip_lookup"]
    servers = {}
    for what in ("authentication", "authorization"):
        servers[what] = cluster.Kube({})
        t.callback(servers[what].stop)
        path = os.path.join(dir, what)
        with open(path, "w") as f:
            json.dump({"clusters": [{"name": "c", "cluster": {"server": servers[what].url}}], "contexts": [{"name": "x", "context": {"cluster": "c"}}], "current-context": "x"}, f)
        options.append("--%s_kubeconfig=%s" % (what, path))
    start(t, cell.source, *options)
    equal(cluster.ask_tls(int(options[0].rpartition("=")[2]), "/apis/metrics.k8s.io/v1beta1/nodes", "good")[0], 200, "status")
    for what, wanted in (("authentication", ["POST /apis/authentication.k8s.io/v1/tokenreviews"]), ("authorization", ["POST /apis/authorization.k8s.io/v1/subjectaccessreviews"])):
        equal(servers[what].asked, wanted, "what is asked for " + what)


def test_kubernetes__asked_through_the_api_server(t):
    """Its front proxy says in headers who asks, and nobody else may; a client's own certificate says it as well."""
    cell, dir = Cell(t), folder(t)
    proxies, clients = Authority(dir, "proxies"), Authority(dir, "clients")
    proxies.make("front-proxy-client", "clientAuth")
    proxies.make("another", "clientAuth")
    clients.make("reader", "clientAuth")
    clients.make("stranger", "clientAuth")
    cell.kube.authorities = {"client-ca-file": read(clients.path("clients.crt")), "requestheader-client-ca-file": read(proxies.path("proxies.crt")),
                             "requestheader-allowed-names": '["front-proxy-client"]'}
    port = cluster.free_port()
    one = start(t, cell.source, "--secure_port=%d" % port, "--bind_address=127.0.0.1")
    one.until(lambda: one.points("nodes/n1", "cpu/usage_rate"), "rate of a node")

    def ask(certificate, **headers):
        return cluster.ask_tls(port, "/apis/metrics.k8s.io/v1beta1/nodes", None, certificate and os.path.join(dir, certificate), **headers)[0]

    equal(ask("front-proxy-client", X_Remote_User="reader", X_Remote_Group="readers"), 200, "reader by the proxy")
    equal(ask("front-proxy-client", X_Remote_User="stranger"), 403, "a stranger by the proxy")
    equal(ask(None, X_Remote_User="reader"), 403, "who says himself that he is reader")
    assert ask("another", X_Remote_User="reader") in (401, 403), "a proxy that is not on the list"
    equal(ask("reader"), 200, "reader by his certificate")
    equal(ask("stranger", X_Remote_User="reader"), 403, "a stranger with a certificate and a header")


def test_port__allowed_users(t):
    told, dir = node(t, "n1"), folder(t)
    authority, other = Authority(dir, "ca"), Authority(dir, "other")
    authority.make("server", "serverAuth")
    for name in ("alice", "bob"):
        authority.make(name, "clientAuth")
    other.make("mallory", "clientAuth", names="/CN=alice")
    context = ssl._create_unverified_context()
    context.load_cert_chain(authority.path("alice.crt"), authority.path("alice.key"))
    one = start(t, "--source=nodes:" + told.url, "--tls_cert=" + authority.path("server.crt"), "--tls_key=" + authority.path("server.key"),
                "--tls_client_ca=" + authority.path("ca.crt"), "--allowed_users=alice,carol", tls=context)

    def ask(path, certificate=None):
        return cluster.ask_tls(one.port, path, None, certificate and os.path.join(dir, certificate))[0]

    one.until(lambda: nodes_of(one), "node")
    equal((ask("/api/v1/model/nodes/", "alice"), ask("/api/v1/model/nodes/", "bob"), ask("/api/v1/model/nodes/"), ask("/metrics")), (200, 403, 401, 401), "who may")
    equal(ask("/healthz"), 200, "/healthz for all")
    try:
        answer = ask("/api/v1/model/nodes/", "mallory")
    except OSError:
        return
    raise AssertionError("a certificate of another authority: %s" % answer)


def test_shards__each_node_once(t):
    nodes = [node(t, "n%d" % i, pod="pod-%d" % i) for i in range(6)]
    source = "--source=nodes:" + ",".join(n.url for n in nodes)
    shards = [start(t, source, "--shards=2", "--shard=%d" % i) for i in (0, 1)]
    shards[0].until(lambda: sum(len(nodes_of(one)) for one in shards) == len(nodes), "all nodes")
    equal(sorted(nodes_of(shards[0]) + nodes_of(shards[1])), sorted(host(n) for n in nodes), "nodes of both")


def test_restart__nothing_is_lost_or_twice(t):
    """The server is away while it ends; what it has not got is there after the next start."""
    told, influx, spool = node(t, "n1"), influxdb(t), folder(t)
    options = ["--source=nodes:" + told.url, "--sink=influxdb:" + influx.url, "--spool=" + spool, "--stop_timeout=2s"]
    one = start(t, *options)
    one.until(lambda: len(influx.times("memory/usage")) > 0, "points in InfluxDB")
    influx.away = True
    asked = told.nr_asked
    one.until(lambda: told.nr_asked >= asked + 2, "cycles without InfluxDB")
    assert cluster.end(one) < by_speed(8, 60), "its end takes too long"
    assert any(files for _, _, files in os.walk(spool)), "nothing is spooled"
    influx.away = False
    two = start(t, *options)
    seen = told.nr_asked
    two.until(lambda: told.nr_asked > seen + 1, "cycles after the start")
    wait_for(lambda: len({line.rpartition(" ")[2] for line in influx.lines}) >= told.nr_asked - 1, by_speed(15, 60), "all windows")
    points = [(line.rpartition(" ")[0].rpartition(" ")[0], int(line.rpartition(" ")[2])) for line in influx.lines]
    # A window that both asked for is the same points again, which take the place of the first.
    again = {point[1] for point, number in collections.Counter(points).items() if number > 1}
    assert len(again) <= 1, "points that are there twice: %s" % again
    times = sorted({int(line.rpartition(" ")[2]) for line in influx.lines})
    assert all(time % 5000000000 == 0 for time in times), "ends of windows"
    cluster.end(two)


def test_sink__log(t):
    told = node(t, "n1")
    one = start(t, "--source=nodes:" + told.url, "--sink=log")
    one.until(lambda: "memory/working_set" in one.log() and "pod-1" in one.log(), "points in the log")


def test_start__without_a_flag(t):
    """As anybody first starts it, but for ports; an agent may be there or not."""
    one = start(t)
    wait_for(lambda: "of 1 nodes answered" in one.log() or "127.0.0.1:8080" in one.log(), by_speed(20, 60), lambda: one.log())
    for wanted in ("the agent of this machine, http://127.0.0.1:8080", "in memory alone: see --sink", "dashboard  http://127.0.0.1:%d/" % one.port):
        one.until(lambda: wanted in one.log(), "word: \"%s\"" % wanted)
    assert cluster.end(one) < by_speed(3, 30), "its end takes too long"


def test_flags__faults(t):
    path = os.path.join(folder(t), "cluster.conf")
    with open(path, "w") as f:
        f.write("metric_resolution = 1m\nsinks = log\n")
    for options, wanted in (
            (["--metric_resolution=1s"], "--metric_resolution: must be at least 5s"),
            (["--source=nodes:http://a:1", "--source=nodes:http://b:1"], "--source: one source is wanted"),
            (["--source=nodes:"], "--source: "),
            (["--source=carrots:http://a:1"], "--source: "),
            (["--source=kubernetes:http://127.0.0.1:1?carrots=1"], "carrots"),
            (["--sink=carrots:http://a:1"], "--sink: there is no sink \"carrots\""),
            (["--sink=influxdb:http://a:1?carrots=1"], "carrots"),
            (["--historical_source=influxdb:http://a:1"], "--historical_source: must be the same"),
            (["--store_label"], "--store_label: needs a value"),
            (["--secure_port=x"], "--secure_port: takes a whole number"),
            (["--config=" + path], path + ":2: sinks: there is no such option"),
            (["--config=/nowhere/at/all"], "cannot read /nowhere/at/all"),
            (["carrots"], "carrots: is no flag")):
        status, said = cluster.run(*options)
        assert status == 2 and wanted in said, "%s: status %d: %s" % (options, status, said)
        equal(said.count("\n"), 1, "lines of %s" % said)
    status, said = cluster.run("--sink=influxdb:http://root:secret1@a:1?carrots=1&pw=secret2")
    assert status == 2 and "secret" not in said, said


def test_start__failures(t):
    """What cannot be: said in a line, and it ends with 1."""
    told = node(t, "n1")
    for options, wanted in (
            (["--source=nodes:" + told.url, "--heapster_port=%d" % told.port, "--listen_ip=127.0.0.1"], "port %d of 127.0.0.1 is in use" % told.port),
            (["--source=nodes:" + told.url, "--heapster_port=0", "--tls_cert=/nowhere", "--tls_key=/nowhere"], "/nowhere"),
            (["--source=nodes:" + told.url, "--heapster_port=0", "--listen_ip=127.0.0.1", "--leader_elect"], "--leader_elect: a Lease is an API server's"),
            (["--source=kubernetes:?inClusterConfig=false&auth=/nowhere/kubeconfig"], "/nowhere/kubeconfig")):
        status, said = cluster.run(*options)
        assert status == 1 and wanted in said, "%s: status %d: %s" % (options, status, said)


lib.main(globals())
