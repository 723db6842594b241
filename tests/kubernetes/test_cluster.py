#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`cgmeter cluster` with a real API server: lists and watches, restarts, rights, the aggregated Metrics API under kubectl, and a Lease."""
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import control as plane  # noqa: E402
import lib  # noqa: E402
from kubelet import Kubelet  # noqa: E402
from agent import PROGRAM, wait_for  # noqa: E402

DEPLOY = os.path.join(plane.TOP, "tools", "deploy", "kubernetes", "cluster")
NAMESPACE = next(line.split()[1] for line in open(os.path.join(DEPLOY, "namespace.yaml")) if line.startswith("  name:"))
world = {}


def cluster(t, name, *options, token=plane.COLLECTOR, secure=0):
    """A running `cgmeter cluster`: (url, process, log path)."""
    control, kubelet = world["control"], world["kubelet"]
    port, log = plane.free_port(), control.path(name + ".log")
    source = "kubernetes.summary_api:?inClusterConfig=false&auth=%s&kubeletPort=%d" % (control.kubeconfig(token, name + ".conf"), kubelet.port)
    command = [PROGRAM, "cluster", "--source=" + source, "--metric_resolution=5s", "--listen_ip=127.0.0.1", "--heapster_port=%d" % port]
    command += ["--api_server", "--bind_address=127.0.0.1", "--secure_port=%d" % secure] if secure else []
    with open(log, "w") as f:
        process = subprocess.Popen(command + list(options), stdin=subprocess.DEVNULL, stdout=f, stderr=f)

    def end():
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait()
    t.callback(end)
    return "http://127.0.0.1:%d" % port, process, log


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def tried(fn):
    try:
        return fn()
    except (OSError, KeyError, IndexError, ValueError):
        return None


def text(path):
    with open(path, errors="replace") as f:
        return f.read()


def pods(url):
    return tried(lambda: get(url + "/api/v1/model/namespaces/default/pods/")) or []


def start(name):
    control, kubelet = world["control"], world["kubelet"]
    pod = control.add_pod(name, "node-a")
    kubelet.pods[("default", name)] = (pod["metadata"]["uid"], 250, 100 << 20)


def end(name):
    world["control"].remove_pod(name)
    del world["kubelet"].pods[("default", name)]


def test_watch__pods_come_and_go(t):
    url, _, log = cluster(t, "watch")
    wait_for(lambda: pods(url) == ["web-1"], 40, lambda: "pods: %s\n%s" % (pods(url), text(log)))
    start("web-2")
    wait_for(lambda: pods(url) == ["web-1", "web-2"], 30, lambda: pods(url))
    key = "/api/v1/model/namespaces/default/pods/web-2/metrics/cpu/"
    wait_for(lambda: tried(lambda: get(url + key + "usage_rate")["metrics"][-1]["value"]) == 250, 30, lambda: get(url + key + "usage_rate"))
    assert get(url + key + "request")["metrics"][-1]["value"] == 100, get(url + key + "request")
    end("web-2")


def test_watch__the_api_server_is_away_and_comes_back(t):
    url, _, log = cluster(t, "away")
    control = world["control"]
    wait_for(lambda: "web-1" in pods(url), 40, lambda: text(log))
    control.end("apiserver")
    asked = world["kubelet"].nr_asked
    wait_for(lambda: world["kubelet"].nr_asked >= asked + 2, 30, lambda: "nodes are asked on: %s" % text(log))
    control.start()
    start("web-3")
    wait_for(lambda: "web-3" in pods(url), 60, lambda: "%s\n%s" % (pods(url), text(log)))
    end("web-3")


def test_rights__what_is_missing_is_told(t):
    url, process, log = cluster(t, "weak", token=plane.WEAK)
    wait_for(lambda: "forbidden" in text(log).lower(), 40, lambda: text(log))
    assert process.poll() is None, text(log)
    said = [line for line in text(log).splitlines() if "forbidden" in line.lower()]
    assert any("nodes" in line for line in said), said
    wait_for(lambda: "forbidden" in (tried(lambda: get(url + "/api/cgmeter/cluster/status")) or {}).get("list_fault", "").lower(), 20,
             lambda: get(url + "/api/cgmeter/cluster/status"))


def test_metrics_api__kubectl_top_through_the_aggregator(t):
    control = world["control"]
    port = plane.free_port()
    url, _, log = cluster(t, "aggregated", secure=port)
    wait_for(lambda: "web-1" in pods(url), 40, lambda: text(log))
    control.ask("POST", "/api/v1/namespaces/kube-system/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cgmeter-cluster"}, "spec": {
        "type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}})
    control.kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io")  # the manifest's, whose Service has no pod here
    control.ask("POST", "/apis/apiregistration.k8s.io/v1/apiservices", {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": {
        "service": {"name": "cgmeter-cluster", "namespace": "kube-system", "port": port}, "group": "metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100, "versionPriority": 100}})

    def condition():
        status = control.get("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io")[1].get("status", {})
        return [c for c in status.get("conditions", []) if c["type"] == "Available"]
    wait_for(lambda: condition() and condition()[0]["status"] == "True", 60, lambda: "%s\n%s" % (condition(), text(log)))
    wait_for(lambda: "web-1" in control.kubectl("top", "pods", "-A", "--containers", check=False), 60, lambda: control.kubectl("top", "pods", "-A", "--containers", check=False))
    lines = [line.split() for line in control.kubectl("top", "pods", "-A", "--containers").splitlines()]
    assert ["default", "web-1", "app", "250m", "100Mi"] in lines, lines
    lines = [line.split() for line in control.kubectl("top", "nodes").splitlines()]
    assert ["node-a", "1000m", "26%", "2048Mi", "28%"] in lines, lines
    table = control.kubectl("get", "nodes.metrics.k8s.io", "node-a")
    assert "node-a" in table, table
    denied = subprocess.run(["kubectl", "--kubeconfig=" + control.kubeconfig(plane.WEAK, "weak.conf"), "--cache-dir=" + control.path("weak-cache"), "top", "pods", "-A"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert denied.returncode != 0 and "orbidden" in denied.stdout, denied.stdout


def test_lease__one_collects_and_another_takes_over(t):
    flags = ("--leader_elect", "--leader_elect_namespace=" + NAMESPACE, "--leader_elect_lease_duration=6s", "--leader_elect_renew_deadline=4s", "--leader_elect_retry_period=1s")
    one, first, log = cluster(t, "one", *flags)
    wait_for(lambda: "web-1" in pods(one), 40, lambda: text(log))
    two, _, log_two = cluster(t, "two", *flags)
    time.sleep(12)
    assert pods(two) == [], "both collect"
    lease = world["control"].get("/apis/coordination.k8s.io/v1/namespaces/%s/leases/cgmeter-cluster" % NAMESPACE)[1]
    holder = lease["spec"]["holderIdentity"]
    first.send_signal(signal.SIGSTOP)
    wait_for(lambda: "web-1" in pods(two), 60, lambda: text(log_two))
    lease = world["control"].get("/apis/coordination.k8s.io/v1/namespaces/%s/leases/cgmeter-cluster" % NAMESPACE)[1]
    assert lease["spec"]["holderIdentity"] != holder and lease["spec"]["leaseTransitions"] >= 1, lease
    first.send_signal(signal.SIGCONT)
    wait_for(lambda: "we stand by" in text(log), 30, lambda: text(log))
    assert first.poll() is None, text(log)


def main():
    world["control"] = control = plane.Control()
    world["kubelet"] = kubelet = Kubelet("node-a")
    try:
        control.add_node("node-a")
        wait_for(lambda: control.get("/api/v1/namespaces/default", raw=True)[0] == 200, 30, lambda: "no namespace")
        wait_for(lambda: control.get("/api/v1/namespaces/kube-system", raw=True)[0] == 200, 30, lambda: "no namespace")
        start("web-1")
        # The whole of what is deployed is taken by a real server; the collector of this test has the rights of the service account.
        control.kubectl("apply", "-k", DEPLOY)
        for role in ("cgmeter-cluster", "system:auth-delegator"):
            control.kubectl("create", "clusterrolebinding", "test-" + role.replace(":", "-"), "--clusterrole=" + role, "--user=collector")
        control.kubectl("create", "rolebinding", "-n", "kube-system", "test-reader", "--role=extension-apiserver-authentication-reader", "--user=collector")
        control.kubectl("create", "rolebinding", "-n", NAMESPACE, "test-leases", "--role=cgmeter-cluster", "--user=collector")
        lib.main(globals())
    finally:
        kubelet.stop()
        control.stop()


main()
