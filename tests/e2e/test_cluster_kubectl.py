#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubectl straight against `cgmeter cluster`: what it prints are the figures of two scripted kubelets."""
import json
import os
import shutil
import subprocess
import tempfile

import cluster
import lib
from agent import by_speed
from cluster import Cluster, Node
from lib import equal, near


class Kubectl:
    """Its cache and configuration are of this test alone."""

    def __init__(self, t, port):
        if not shutil.which("kubectl"):
            raise lib.Skip("kubectl is not installed")
        self.home = tempfile.mkdtemp(prefix="cgmtest-kubectl-")
        t.callback(shutil.rmtree, self.home)
        self.command = ["kubectl", "--server=http://127.0.0.1:%d" % port, "--cache-dir=" + self.home]

    def run(self, *args):
        """(status, what it prints, errors behind it)."""
        environment = dict(os.environ, HOME=self.home, KUBECONFIG=os.devnull)
        done = subprocess.run(self.command + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, timeout=by_speed(30, 120))
        return done.returncode, done.stdout + done.stderr

    def table(self, *args):
        """The rows that it prints, each a list of words, without the heading."""
        status, text = self.run(*args)
        equal(status, 0, "status of kubectl %s: %s" % (" ".join(args), text))
        return [line.split() for line in text.splitlines()[1:]]

    def raw(self, path):
        status, text = self.run("get", "--raw", path)
        equal(status, 0, "status of kubectl get --raw %s: %s" % (path, text))
        return json.loads(text)


def start(t, source):
    one = Cluster(source)
    t.agents.append(one)
    t.callback(one.stop)
    return one


def two_kubelets(t):
    first = Node("n1", host="127.0.0.2")
    t.callback(first.stop)
    second = Node("n2", pod="pod-2", host="127.0.0.3", port=first.port)
    t.callback(second.stop)
    return first, second


def millicores(word):
    assert word.endswith("m"), word
    return int(word[:-1])


def ready(one, nr_pods):
    one.until(lambda: len(json.loads(one.get("/apis/metrics.k8s.io/v1beta1/pods").body)["items"]) == nr_pods, "metrics of %d pods" % nr_pods)


def test_kubectl__top_with_an_api_server(t):
    """Allocatable and labels are the API server's: 1000m of 2 CPUs, 1 of 4 GiB."""
    first, _ = two_kubelets(t)
    kube = cluster.Kube({"n1": "127.0.0.2", "n2": "127.0.0.3"})
    t.callback(kube.stop)
    one = start(t, "--source=kubernetes.summary_api:%s?inClusterConfig=false&useServiceAccount=false&kubeletPort=%d" % (kube.url, first.port))
    kubectl = Kubectl(t, one.port)
    ready(one, 2)
    rows = kubectl.table("top", "nodes")
    equal([(row[0], row[3], row[4]) for row in rows], [("n1", "1024Mi", "25%"), ("n2", "1024Mi", "25%")], "names and memory of nodes")
    for row in rows:
        near(millicores(row[1]), 1000, absolute=10, what="CPU of " + row[0])
        near(int(row[2].rstrip("%")), 50, absolute=1, what="share of CPU of " + row[0])
    rows = kubectl.table("top", "pods", "-A", "--containers")
    equal(sorted((row[0], row[1], row[2], row[4]) for row in rows),
          [("default", "pod-%d" % i, name, "%dMi" % (Node.MEMORY[name] >> 20)) for i in (1, 2) for name in sorted(Node.CPU)], "containers and their memory")
    for row in rows:
        near(millicores(row[3]), Node.CPU[row[2]], absolute=5, what="CPU of " + row[2])
    rows = kubectl.table("top", "pods", "-n", "default", "-l", "app=web")
    equal([row[0] for row in rows], ["pod-1", "pod-2"], "pods of a label")
    near(millicores(rows[0][1]), sum(Node.CPU.values()), absolute=8, what="CPU of a pod")
    equal(kubectl.run("top", "pods", "-n", "default", "-l", "app=none")[1].strip(), "No resources found in default namespace.", "pods of no such label")
    status, text = kubectl.run("top", "pod", "nope", "-n", "default")
    assert status != 0 and '"default/nope" not found' in text, text
    rows = kubectl.table("get", "nodes.metrics.k8s.io")
    equal([(row[0], row[2]) for row in rows], [("n1", "1Gi"), ("n2", "1Gi")], "rows of a table")
    assert all(len(row) == 4 and row[3].endswith("s") for row in rows), rows
    items = kubectl.raw("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?fieldSelector=metadata.name%3Dpod-2")["items"]
    equal([(i["metadata"]["name"], i["metadata"]["labels"]) for i in items], [("pod-2", {"app": "web", "tier": "front"})], "a pod by its name")


def test_kubectl__top_without_kubernetes(t):
    first, second = two_kubelets(t)
    one = start(t, "--source=nodes:http://127.0.0.2:%d,http://127.0.0.3:%d" % (first.port, second.port))
    kubectl = Kubectl(t, one.port)
    ready(one, 2)
    names = json.loads(one.get("/api/v1/model/nodes/").body)
    rows = kubectl.table("top", "nodes")
    equal(sorted(row[0] for row in rows), sorted(names), "nodes")
    for row in rows:
        near(millicores(row[1]), 1000, absolute=10, what="CPU of " + row[0])
        assert "1024Mi" in row, row
    equal(len(kubectl.table("top", "pods", "-A", "--containers")), 2 * len(Node.CPU), "containers")
    status, text = kubectl.run("api-resources")
    assert status == 0 and "PodMetrics" in text and "NodeMetrics" in text, text


lib.main(globals())
