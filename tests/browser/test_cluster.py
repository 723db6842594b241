# SPDX-License-Identifier: Apache-2.0
"""The page of `cgmeter cluster`: two nodes that answer, one that does not, and names that are hostile."""
import json
import os
import socket
import subprocess
import urllib.request

import test_access
from agent import PROGRAM, wait_for
from kubelet import Kubelet
from page import want

HOSTILE = "<img src=x onerror=alert(1)>"
DRAWN = "+document.querySelector('#chart-cpu').dataset.points >= 2"


class Cluster:
    def __init__(self):
        self.nodes = [Kubelet("one"), Kubelet("two")]
        self.nodes[0].pods = {("shop", "web-1"): ("uid-1", 400, 300 << 20), ("shop", "web-2"): ("uid-2", 100, 50 << 20)}
        self.nodes[1].pods = {("kube-system", "dns"): ("uid-3", 50, 20 << 20), ("shop", HOSTILE): ("uid-4", 20, 10 << 20)}
        with socket.socket() as closed, socket.socket() as free:
            closed.bind(("127.0.0.1", 0))  # nobody listens there
            free.bind(("127.0.0.1", 0))
            dead, self.port = closed.getsockname()[1], free.getsockname()[1]
        source = "nodes:" + ",".join("http://127.0.0.1:%d" % port for port in [n.port for n in self.nodes] + [dead])
        self.url = "http://127.0.0.1:%d" % self.port
        self.process = subprocess.Popen([PROGRAM, "cluster", "--source=" + source, "--metric_resolution=5s", "--listen_ip=127.0.0.1", "--heapster_port=%d" % self.port],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: self.rows() == 4, 40, lambda: "pods: %s" % self.rows())
        except AssertionError:
            self.stop()
            raise

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.loads(answer.read())

    def rows(self):
        try:
            return self.get("/api/cgmeter/cluster/rows?kind=pod")["nr_rows"]
        except OSError:
            return 0

    def stop(self):
        self.process.terminate()
        self.process.wait()
        for node in self.nodes:
            node.stop()


def cluster(w):
    if not hasattr(w, "cluster"):
        w.cluster = Cluster()
    return w.cluster


def go(p, w, key=""):
    p.b.go("about:blank")
    p.b.go("%s/#%s" % (cluster(w).url, key))
    p.wait(DRAWN)
    p.wait("document.querySelector('#link').dataset.state === 'live'")


def first_column(p, table="rows"):
    return p.js("[...document.querySelectorAll('#%s tbody tr')].map((r) => r.cells[0].textContent)" % table)


def overview(p, w):
    p.b.screen(1500, 1000)
    go(p, w)
    p.wait("document.querySelectorAll('#rows tbody tr').length === 2")
    want(first_column(p) == ["shop", "kube-system"], "namespaces, the busiest first: %s" % first_column(p))
    p.wait("document.querySelector('#silent').checkVisibility()")
    want("1 of 3" in p.text("#silent"), "the node that does not answer: %s" % p.text("#silent"))
    want(p.js("document.querySelector('#nodes tbody tr').cells[1].textContent") == "does not answer", "it comes first in the table")
    p.wait("document.querySelector('#tile-cpu strong').textContent === '0.57'", 20)
    p.b.shot(os.path.join(w.shots, "cluster.png"))
    p.js("document.querySelector('#kind [data-kind=pod]').click()")
    p.wait("document.querySelectorAll('#rows tbody tr').length === 4")
    want(first_column(p)[0] == "shop / web-1", "pods, the busiest first: %s" % first_column(p))
    want(first_column(p)[3] == "shop / " + HOSTILE, "a hostile name is text: %s" % first_column(p))
    want(not p.js("document.querySelector('img')"), "a name became markup")


def down_to_a_container(p, w):
    go(p, w)
    p.wait("document.querySelectorAll('#rows tbody tr').length === 2")
    p.js("document.querySelector('#rows tbody a').click()")
    p.wait("document.querySelector('#path').textContent === 'cluster / shop'")
    p.wait("document.querySelectorAll('#rows tbody tr').length === 3")
    p.js("document.querySelector('#rows tbody a').click()")
    p.wait("document.querySelector('#path').textContent === 'cluster / shop / web-1' && " + DRAWN)
    memory = cluster(w).get("/api/v1/model/namespaces/shop/pods/web-1/metrics/memory/usage")["metrics"][-1]["value"]
    want(memory == 300 << 20, "the API: %d" % memory)
    p.wait("document.querySelector('#tile-memory strong').textContent === '300\\u202fMiB'")
    p.wait("document.querySelectorAll('#rows tbody tr').length === 1")
    p.js("document.querySelector('#rows tbody a').click()")
    p.wait("document.querySelector('#path').textContent === 'cluster / shop / web-1 / app' && " + DRAWN)
    p.js("history.back()")
    p.wait("document.querySelector('#path').textContent === 'cluster / shop / web-1'")
    go(p, w, "node%%3A127.0.0.1%%3A%d" % cluster(w).nodes[0].port)
    p.wait("document.querySelectorAll('#rows tbody tr').length === 2")


def sorted_by_another_metric(p, w):
    go(p, w, "namespace%3Ashop")
    p.wait("document.querySelectorAll('#rows tbody tr').length === 3")
    p.js("[...document.querySelectorAll('#rows th button')].find((b) => b.title === 'memory/usage').click()")
    p.wait("location.hash.includes('by=memory')")
    p.wait("document.querySelector('#rows th[aria-sort]').textContent === 'memory'")
    p.js("document.querySelector('#filter').value = 'web-2'; document.querySelector('#filter').dispatchEvent(new Event('input'))")
    p.wait("document.querySelectorAll('#rows tbody tr').length === 1")


def for_everybody(p, w):
    for dark in (False, True):
        p.b.screen(1500, 1000, dark=dark)
        go(p, w)
        p.sleep(1)
        want(not p.js(test_access.NAMELESS), "without a name: %s" % p.js(test_access.NAMELESS))
        want(not p.js(test_access.LOW_CONTRAST), "low contrast: %s" % p.js(test_access.LOW_CONTRAST))
    p.b.screen(390, 800, phone=True)
    go(p, w)
    want(p.js("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways on a phone")
    p.b.screen(1500, 1000)
    ours = [error for error in p.b.errors() if cluster(w).url in error or "http" not in error]  # other tests have theirs
    want(not ours, "errors: %s" % ours)


TESTS = [("cluster: namespaces, nodes, pods, and who does not answer", overview), ("cluster: from the cluster down to a container", down_to_a_container),
         ("cluster: another order, and a search", sorted_by_another_metric), ("cluster: names, contrast, a phone, no errors", for_everybody)]
