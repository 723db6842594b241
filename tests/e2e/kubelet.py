# SPDX-License-Identifier: Apache-2.0
"""A kubelet that says what it is told to, in the Summary API's form (fields as a kubelet 1.20.2 has them, see tests/fixtures/kubelet)."""
import http.server
import json
import threading
import time
import urllib.parse


class Kubelet:
    """Summaries of a node whose pods use milli CPU and bytes: pods is {(namespace, name): (uid, milli, bytes)}."""

    def __init__(self, node):
        self.node, self.pods, self.nr_asked, self.born = node, {}, 0, time.time() - 3600
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                found = urllib.parse.urlsplit(self.path).path.rstrip("/") == "/stats/summary"
                body = json.dumps(outer.summary()).encode() if found else b"404 page not found\n"
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *words):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def summary(self):
        self.nr_asked += 1
        now = int(time.time())
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        born = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.born))

        def use(milli, size):
            return {"startTime": born, "cpu": {"time": stamp, "usageNanoCores": milli * 10**6, "usageCoreNanoSeconds": int((now - int(self.born)) * milli * 10**6)},
                    "memory": {"time": stamp, "usageBytes": size, "workingSetBytes": size, "rssBytes": size // 2, "pageFaults": 10, "majorPageFaults": 0}}
        pods = [{"podRef": {"name": name, "namespace": namespace, "uid": uid}, "startTime": born, "containers": [dict(use(milli, size), name="app")],
                 "network": {"time": stamp, "name": "eth0", "rxBytes": 1000, "rxErrors": 0, "txBytes": 2000, "txErrors": 0}}
                for (namespace, name), (uid, milli, size) in self.pods.items()]
        return {"node": dict(use(1000, 2 << 30), nodeName=self.node), "pods": pods}
