# SPDX-License-Identifier: Apache-2.0
"""`cgmeter cluster` under test, and what it asks and tells: nodes that answer as they are told, an InfluxDB that keeps what it gets."""
import contextlib
import http.client
import http.server
import json
import signal
import ssl
import subprocess
import tempfile
import threading
import time

from agent import PROGRAM, Agent, by_speed, free_port, wait_for


class Cluster(Agent):
    """Asks every five seconds. Its log, and what --sink=log says, are kept."""

    def __init__(self, *options, resolution="5s", environment=None, tls=None):
        self.port, self.tls, self.headers, self.may_be_denied = free_port(), tls, {}, False
        self.log_file = tempfile.NamedTemporaryFile(prefix="cgmtest-log-")
        command = [PROGRAM, "cluster", "--listen_ip=127.0.0.1", "--heapster_port=%d" % self.port, "--metric_resolution=" + resolution, "--scrape_offset=100ms"] + list(options)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file, env=environment)
        wait_for(self.is_up, by_speed(10, 60), lambda: "answer from /api/v1/model/nodes; the log says: " + self.log())

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("it ended with status %d: %s" % (self.process.returncode, self.log()))
        try:
            return self.get("/api/v1/model/nodes/").status == 200
        except OSError:
            return False

    def points(self, path, metric):
        """[(time, value)] of the model API, oldest first."""
        answer = self.json("/api/v1/model/%s/metrics/%s" % (path, metric))
        return [(one["timestamp"], one.get("floatValue", one["value"])) for one in answer["metrics"]]

    def last(self, path, metric):
        points = self.points(path, metric)
        return points[-1][1] if points else None

    def until(self, condition, what, seconds=None):
        return wait_for(condition, seconds or by_speed(25, 120), lambda: "%s; the log says: %s" % (what, self.log()[-4000:]))


def run(*options):
    """(status, what it says on stderr) of one that ends by itself."""
    done = subprocess.run([PROGRAM, "cluster"] + list(options), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=by_speed(20, 120))
    return done.returncode, done.stderr


class Server:
    """
    A server of HTTP/1.1 in threads: answer(method, path, body) gives (status, type, text); None: silence for as long as it runs. A text that is no text gives pieces of a stream that stays open.
    """

    def __init__(self, answer, port=0, host="127.0.0.1"):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                got = outer.answer(self.command, self.path, body)
                if got is None:
                    outer.ended.wait()
                    return
                status, kind, text = got
                if not isinstance(text, (bytes, str)):
                    self.stream(status, kind, text)
                    return
                text = text if isinstance(text, bytes) else text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def stream(self, status, kind, pieces):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for piece in pieces:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                        self.wfile.flush()
                self.close_connection = True

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_):
                pass

        self.answer, self.ended = answer, threading.Event()
        self.server = http.server.ThreadingHTTPServer((host, port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = "http://%s:%d" % (host, self.port)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%09dZ" % (seconds % 1 * 1e9)


class Node(Server):
    """A kubelet with one pod of two containers, of which the CPU goes up evenly: {name: millicores}."""

    CPU = {"web": 250, "side": 125}
    MEMORY = {"web": 64 << 20, "side": 16 << 20}

    def __init__(self, name, pod="pod-1", **more):
        self.name, self.pod, self.began, self.nr_asked, self.silent = name, pod, time.time() - 3600, 0, False
        super().__init__(self.tell, **more)

    def cpu(self, millicores, now):
        return {"time": rfc3339(now), "usageCoreNanoSeconds": int(millicores * 1000000 * (now - self.began))}

    @staticmethod
    def memory(size, now):
        return {"time": rfc3339(now), "usageBytes": size + (1 << 20), "workingSetBytes": size, "rssBytes": size // 2, "pageFaults": 100, "majorPageFaults": 1}

    def summary(self):
        now = time.time()
        containers = [{"name": name, "startTime": rfc3339(self.began), "cpu": self.cpu(self.CPU[name], now), "memory": self.memory(self.MEMORY[name], now)} for name in self.CPU]
        pod = {"podRef": {"name": self.pod, "namespace": "default", "uid": "uid-" + self.pod}, "startTime": rfc3339(self.began), "containers": containers,
               "network": {"time": rfc3339(now), "name": "eth0", "rxBytes": 1000, "rxErrors": 0, "txBytes": 2000, "txErrors": 0}}
        node = {"nodeName": self.name, "startTime": rfc3339(self.began), "cpu": self.cpu(1000, now), "memory": self.memory(1 << 30, now),
                "fs": {"time": rfc3339(now), "availableBytes": 600, "capacityBytes": 1000, "usedBytes": 400, "inodesFree": 9, "inodes": 10}}
        return json.dumps({"node": node, "pods": [pod]})

    def tell(self, method, path, body):
        if self.silent:
            return None
        if path.startswith("/stats/summary"):
            self.nr_asked += 1
            return 200, "application/json", self.summary()
        return 404, "text/plain", "404 page not found\n"


class InfluxDB(Server):
    """Keeps the lines that it gets. away: answers 503."""

    def __init__(self, port=0):
        self.lines, self.lock, self.away = [], threading.Lock(), False
        super().__init__(self.take, port)

    def take(self, method, path, body):
        if self.away:
            return 503, "application/json", '{"error":"away"}'
        if path.startswith("/write"):
            if body[:2] == b"\x1f\x8b":
                import gzip
                body = gzip.decompress(body)
            with self.lock:
                self.lines += [line for line in body.decode().split("\n") if line]
            return 204, "text/plain", b""
        return 200, "application/json", '{"results":[{"statement_id":0}]}'

    def times(self, measurement):
        """Of its points, as they came: nanoseconds."""
        with self.lock:
            return [int(line.rpartition(" ")[2]) for line in self.lines if line.startswith(measurement + ",")]


class Kube(Server):
    """An API server of some nodes, pods and namespaces that knows Leases, tokens ("good", of reader) and who may see metrics (reader)."""

    def __init__(self, nodes):
        """nodes: {name: address}."""
        self.lease, self.lock, self.version, self.asked, self.authorities = None, threading.Lock(), 7, [], None
        self.nodes = [{"metadata": {"name": name, "uid": "node-uid-" + name, "labels": {"zone": "a"}, "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {},
                       "status": {"addresses": [{"type": "InternalIP", "address": address}], "conditions": [{"type": "Ready", "status": "True"}],
                                  "capacity": {"cpu": "4", "memory": "8Gi"}, "allocatable": {"cpu": "2", "memory": "4Gi"},
                                  "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}} for name, address in nodes.items()]
        self.pods = [self.pod("pod-%d" % i, name) for i, name in enumerate(nodes, 1)]
        self.namespaces = [{"metadata": {"name": "default", "uid": "ns-uid", "creationTimestamp": "2026-01-01T00:00:00Z"}}]
        super().__init__(self.tell)

    @staticmethod
    def pod(name, node):
        containers = [{"name": c, "image": "image/%s:1" % c, "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "500m"}}} for c in Node.CPU]
        return {"metadata": {"name": name, "namespace": "default", "uid": "uid-" + name, "labels": {"app": "web", "tier": "front"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"nodeName": node, "containers": containers},
                "status": {"phase": "Running", "podIP": "10.0.0.1", "startTime": "2026-01-01T00:00:00Z",
                           "containerStatuses": [{"name": c, "restartCount": 2, "ready": True, "state": {"running": {}}} for c in Node.CPU]}}

    def tell(self, method, path, body):
        with self.lock:
            self.asked.append(method + " " + path)
        for kind, items in (("Node", self.nodes), ("Pod", self.pods), ("Namespace", self.namespaces)):
            if path.partition("?")[0] == "/api/v1/%ss" % kind.lower():
                if "watch=" in path:
                    return 200, "application/json", self.changes()
                return 200, "application/json", json.dumps({"kind": kind + "List", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": items})
        if path.endswith("/configmaps/extension-apiserver-authentication") and self.authorities:
            return 200, "application/json", json.dumps({"kind": "ConfigMap", "metadata": {}, "data": self.authorities})
        if "/leases" in path:
            return self.tell_lease(method, body)
        if path.endswith("/tokenreviews"):
            good = json.loads(body)["spec"]["token"] == "good"
            return 201, "application/json", json.dumps({"kind": "TokenReview", "status": {"authenticated": good, "user": {"username": "reader" if good else "", "groups": ["readers"]}}})
        if path.endswith("/subjectaccessreviews"):
            return 201, "application/json", json.dumps({"kind": "SubjectAccessReview", "status": {"allowed": json.loads(body)["spec"].get("user") == "reader"}})
        return 404, "application/json", '{"kind":"Status","status":"Failure","message":"not found","code":404}'

    def changes(self):
        self.ended.wait()
        yield b"\n"

    def tell_lease(self, method, body):
        """As the API server: what is written on an older version is refused."""
        with self.lock:
            if method == "GET" and not self.lease:
                return 404, "application/json", '{"kind":"Status","code":404}'
            if method != "GET":
                new = json.loads(body)
                if self.lease and (method == "POST" or new["metadata"].get("resourceVersion") != self.lease["metadata"]["resourceVersion"]):
                    return 409, "application/json", '{"kind":"Status","code":409}'
                self.version += 1
                new["metadata"]["resourceVersion"] = str(self.version)
                self.lease = new
            return 200, "application/json", json.dumps(self.lease)

    def holder(self):
        with self.lock:
            return self.lease["spec"]["holderIdentity"] if self.lease else None


def end(cluster):
    """SIGTERM; seconds that it took."""
    status, seconds = cluster.stop(signal.SIGTERM, by_speed(10, 60))
    assert status == 0, "status %s: %s" % (status, cluster.log()[-2000:])
    return seconds


def ask_tls(port, path, token=None, certificate=None, **headers):
    """(status, body) of a server whose certificate nobody knows. certificate: path without .crt and .key; X_Remote_User="x" is a header."""
    context = ssl._create_unverified_context()
    if certificate:
        context.load_cert_chain(certificate + ".crt", certificate + ".key")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=by_speed(20, 120), context=context)
    headers = {key.replace("_", "-"): value for key, value in headers.items()}
    if token:
        headers["Authorization"] = "Bearer " + token
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
