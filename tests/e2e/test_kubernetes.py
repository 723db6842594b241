#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names by the API server's word alone: no runtime is there, and the server is made of what a real one was recorded to answer."""
import base64
import http.server
import json
import os
import queue
import re
import shutil
import ssl
import tempfile
import threading
import urllib.parse

import lib
import prom
from agent import by_speed, wait_for
from authority import Authority, replace
from cgroups import read
from lib import equal

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures/kube")
ALONE = ("--docker=", "--podman=", "--crio=", "--containerd=", "--bpf=off")


def fixture(name):
    return read(os.path.join(FIXTURES, name))


class ApiServer:
    """Over TLS with tls, an SSL context. Whoever shows another token than self.token is nobody."""

    def __init__(self, t, tls=None, token=None):
        self.token, self.requests, self.watches = token, [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.handle(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = "%s://127.0.0.1:%d" % ("https" if tls else "http", self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        t.callback(self.stop)

    def stop(self):
        self.cut()
        self.server.shutdown()
        self.server.server_close()

    def cut(self):
        for watch in self.watches:
            watch.put(None)
        self.watches = []

    def push(self, line):
        wait_for(lambda: self.watches, by_speed(10, 60), "watch")
        self.watches[-1].put(line)

    def handle(self, h):
        path = urllib.parse.urlsplit(h.path)
        query = dict(urllib.parse.parse_qsl(path.query))
        self.requests.append((path.path, query, h.headers.get("Authorization")))
        if self.token and h.headers.get("Authorization") != "Bearer " + self.token:
            self.answer(h, 401, fixture("unauthorized.json"))
        elif path.path not in ("/api/v1/pods", "/pods"):
            self.answer(h, 404, "{}")
        elif query.get("watch") == "1":
            self.watch(h)
        else:
            self.answer(h, 200, fixture("pods-node.json"))

    @staticmethod
    def answer(h, status, text):
        h.send_response(status)
        h.send_header("Content-Length", str(len(text.encode())))
        h.end_headers()
        h.wfile.write(text.encode())

    def watch(self, h):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        lines = queue.Queue()
        self.watches.append(lines)
        while True:
            line = lines.get()
            if line is None:
                h.close_connection = True
                return
            h.wfile.write(b"%x\r\n%s\r\n" % (len(line.encode()), line.encode()))


def folder(t):
    path = tempfile.mkdtemp(prefix="cgmtest-kubernetes-")
    t.callback(shutil.rmtree, path)
    return path


def container(number):
    return "%064x" % number


def pods():
    return {pod["metadata"]["name"]: pod for pod in json.loads(fixture("pods-node.json"))["items"]}


def make_cgroups(t, uid, number):
    """…/kubepods/burstable/podUID/ID; the container's."""
    made = t.cgroup()
    for name in ("kubepods", "burstable", "pod" + uid, container(number)):
        made = t.cgroup(made, name)
    return made


def labels_of(agent, cgroup):
    page = re.sub(r"^([^#].*) \d{13}$", r"\1", agent.get("/metrics/cadvisor").body.decode(), flags=re.MULTILINE)
    for labels, _ in prom.Metrics(page).all("container_memory_usage_bytes"):
        if labels["id"] == cgroup.path:
            return {key: labels[key] for key in ("container", "namespace", "pod", "image")}
    return None


def wait_for_names(agent, cgroup, pod, seconds=4):
    wanted = {"container": "app", "namespace": "default", "pod": pod, "image": "docker.io/local/busybox:1"}
    wait_for(lambda: labels_of(agent, cgroup) == wanted, by_speed(seconds, 60), lambda: "names of %s: %s" % (pod, labels_of(agent, cgroup)))


def connected(agent):
    return agent.metrics().get("cgmeter_runtime_connected", runtime="kubernetes", version="")


def write_config(directory, server):
    path = os.path.join(directory, "config")
    with open(path, "w") as f:
        f.write("current-context: here\nclusters:\n- {name: k, cluster: {server: \"%s\", certificate-authority: ca.crt}}\n"
                "users:\n- {name: u, user: {tokenFile: token}}\ncontexts:\n- {name: here, context: {cluster: k, user: u}}\n" % server)
    return path


def test_kubernetes__names(t):
    directory = folder(t)
    authority = Authority(directory)
    authority.make("server", "serverAuth")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.path("server.crt"), authority.path("server.key"))
    api = ApiServer(t, tls, token="first")
    replace(authority.path("token"), "first\n")
    known = pods()
    plain = make_cgroups(t, known["plain"]["metadata"]["uid"], 0xa1)
    static = make_cgroups(t, "0123456789abcdef0123456789abcdef", 0xa3)
    agent = t.agent("--kubernetes=" + api.url, "--kubeconfig=" + write_config(directory, "https://127.0.0.1:1"), "--node_name=n1", *ALONE)
    wait_for_names(agent, plain, "plain")
    wait_for_names(agent, static, "static-n1")
    equal(api.requests[0], ("/api/v1/pods", {"limit": "500", "fieldSelector": "spec.nodeName=n1", "resourceVersion": "0"}, "Bearer first"), "first question")

    # A pod that comes: first its cgroup, then the word of it.
    late = [line for line in fixture("watch.txt").splitlines(True) if '"name":"late"' in line]
    cgroup = make_cgroups(t, json.loads(late[0])["object"]["metadata"]["uid"], 0xa6)
    for line in late:
        api.push(line)
    wait_for_names(agent, cgroup, "late")

    # The token is replaced, as the kubelet does it each hour; the server forgets the old one, and ends the watch.
    replace(authority.path("token"), "second")
    api.token = "second"
    api.cut()
    wait_for(lambda: api.requests[-1][1].get("watch") and api.requests[-1][2] == "Bearer second", by_speed(5, 60), lambda: "second token: %s" % api.requests[-3:])
    equal(api.requests[-1][1]["resourceVersion"], json.loads(late[-1])["object"]["metadata"]["resourceVersion"], "where the watch goes on")
    wait_for(lambda: connected(agent) == 1, by_speed(4, 60), "connection")
    equal(len([r for r in api.requests if "watch" not in r[1] and r[0] == "/api/v1/pods"]), 1, "lists")
    equal({r[0] for r in api.requests if r[0] != "/api/v1/pods"}, {"/api/v1/namespaces/default/persistentvolumeclaims/disk-1"}, "what else is asked for: the claim of a pod")
    wait_for_names(agent, plain, "plain")


def test_kubernetes__certificates_in_the_file(t):
    """All in one kubeconfig, as kubeadm writes it; the server's certificate bears another name than its address."""
    directory = folder(t)
    authority = Authority(directory)
    authority.make("server", "serverAuth", "DNS:kubernetes")
    authority.make("node", "clientAuth")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.path("server.crt"), authority.path("server.key"))
    tls.load_verify_locations(authority.path("ca.crt"))
    tls.verify_mode = ssl.CERT_REQUIRED
    api = ApiServer(t, tls)
    inline = {name: base64.b64encode(read(authority.path(name)).encode()).decode() for name in ("ca.crt", "node.crt", "node.key")}
    config = {"current-context": "here", "contexts": [{"name": "here", "context": {"cluster": "k", "user": "u"}}],
              "clusters": [{"name": "k", "cluster": {"server": api.url, "certificate-authority-data": inline["ca.crt"], "tls-server-name": "kubernetes"}}],
              "users": [{"name": "u", "user": {"client-certificate-data": inline["node.crt"], "client-key-data": inline["node.key"]}}]}
    replace(authority.path("config"), json.dumps(config))
    agent = t.agent("--kubeconfig=" + authority.path("config"), "--node_name=n1", *ALONE)
    wait_for(lambda: connected(agent) == 1, by_speed(5, 60), "connection: " + agent.log())
    equal(agent.metrics().get("cgmeter_runtime_containers", runtime="kubernetes"), 8, "containers and pods")


def test_kubernetes__not_trusted(t):
    directory = folder(t)
    authority, other = Authority(directory), Authority(directory, "other")
    other.make("server", "serverAuth")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(other.path("server.crt"), other.path("server.key"))
    api = ApiServer(t, tls)
    replace(authority.path("token"), "secret")
    agent = t.agent("--kubeconfig=" + write_config(directory, api.url), "--node_name=n1", *ALONE)
    wait_for(lambda: "certificate" in agent.log(), by_speed(5, 60), lambda: "word about the certificate: " + agent.log())
    equal(connected(agent), 0, "connected")
    equal(api.requests, [], "requests, with their token")


def test_kubernetes__of_kubelet(t):
    kubelet = ApiServer(t)
    plain = make_cgroups(t, pods()["plain"]["metadata"]["uid"], 0xa1)
    agent = t.agent("--kubelet=" + kubelet.url, *ALONE)
    wait_for_names(agent, plain, "plain")
    equal(kubelet.requests[0], ("/pods", {}, None), "question to a kubelet")


lib.main(globals())
