# SPDX-License-Identifier: Apache-2.0
"""A kubelet that says what it is told to, in the Summary API's form (fields as a kubelet 1.20.2 has them, see tests/fixtures/kubelet)."""
import json
import time

from cluster import Server, rfc3339


class Kubelet(Server):
    """Summaries of a node whose pods use milli CPU and bytes: pods is {(namespace, name): (uid, milli, bytes)}. cluster.Node is one whose figures are fixed."""

    def __init__(self, node):
        self.node, self.pods, self.nr_asked, self.born = node, {}, 0, int(time.time()) - 3600
        super().__init__(self.tell)

    def tell(self, method, path, body):
        if path.partition("?")[0].rstrip("/") == "/stats/summary":
            return 200, "application/json", json.dumps(self.summary())
        return 404, "text/plain", "404 page not found\n"

    def summary(self):
        self.nr_asked += 1
        now = int(time.time())
        stamp, born = rfc3339(now), rfc3339(self.born)

        def use(milli, size):
            return {"startTime": born, "cpu": {"time": stamp, "usageNanoCores": milli * 10**6, "usageCoreNanoSeconds": (now - self.born) * milli * 10**6},
                    "memory": {"time": stamp, "usageBytes": size, "workingSetBytes": size, "rssBytes": size // 2, "pageFaults": 10, "majorPageFaults": 0}}
        pods = [{"podRef": {"name": name, "namespace": namespace, "uid": uid}, "startTime": born, "containers": [dict(use(milli, size), name="app")],
                 "network": {"time": stamp, "name": "eth0", "rxBytes": 1000, "rxErrors": 0, "txBytes": 2000, "txErrors": 0}}
                for (namespace, name), (uid, milli, size) in self.pods.items()]
        return {"node": dict(use(1000, 2 << 30), nodeName=self.node), "pods": pods}
