# SPDX-License-Identifier: Apache-2.0
"""A real control plane on loopback: etcd and kube-apiserver with its aggregator."""
import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
from agent import wait_for  # noqa: E402
from authority import Authority  # noqa: E402

ADMIN, COLLECTOR, WEAK = "token-of-the-admin-of-this-test", "token-of-the-collector-of-this-test", "token-of-one-who-may-nothing"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Control:
    def __init__(self):
        self.apiserver = subprocess.run([os.path.join(HERE, "apiserver")], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        self.temp = tempfile.TemporaryDirectory(prefix="cgm-kubernetes-")
        self.dir = self.temp.name
        self.ca = Authority(self.dir)
        self.proxy_ca = Authority(self.dir, "front-ca")
        self.ca.make("api", "serverAuth", "IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc")
        self.proxy_ca.make("front-proxy", "clientAuth", names="/CN=front-proxy-client")
        subprocess.run(["openssl", "genrsa", "-out", self.path("sa.key"), "2048"], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["openssl", "rsa", "-in", self.path("sa.key"), "-pubout", "-out", self.path("sa.pub")], check=True, stderr=subprocess.DEVNULL)
        with open(self.path("tokens.csv"), "w") as f:
            f.write('%s,admin,1,"system:masters"\n%s,collector,2\n%s,weak,3\n' % (ADMIN, COLLECTOR, WEAK))
        self.etcd_port, self.port = free_port(), free_port()
        self.processes = {}
        self.start_etcd()
        self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    @property
    def url(self):
        return "https://127.0.0.1:%d" % self.port

    def run(self, name, command):
        with open(self.path(name + ".log"), "a") as log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start_etcd(self):
        url = "http://127.0.0.1:%d" % self.etcd_port
        self.run("etcd", ["etcd", "--data-dir", self.path("etcd"), "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", "http://127.0.0.1:%d" % free_port(),
                          "--unsafe-no-fsync"])

    def start(self):
        self.run("apiserver", [
            self.apiserver, "--etcd-servers=http://127.0.0.1:%d" % self.etcd_port, "--bind-address=127.0.0.1", "--secure-port=%d" % self.port, "--insecure-port=0",
            "--tls-cert-file=" + self.path("api.crt"), "--tls-private-key-file=" + self.path("api.key"), "--client-ca-file=" + self.path("ca.crt"),
            "--token-auth-file=" + self.path("tokens.csv"), "--authorization-mode=Node,RBAC", "--service-cluster-ip-range=10.96.0.0/16", "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none", "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + self.path("sa.pub"),
            "--service-account-signing-key-file=" + self.path("sa.key"), "--requestheader-client-ca-file=" + self.path("front-ca.crt"),
            "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-", "--proxy-client-cert-file=" + self.path("front-proxy.crt"), "--proxy-client-key-file=" + self.path("front-proxy.key"),
            "--allow-privileged", "--disable-admission-plugins=ServiceAccount"])
        wait_for(lambda: self.get("/readyz", raw=True)[0] == 200, 90, lambda: "the API server: %s" % self.tail("apiserver"))

    def tail(self, name):
        with open(self.path(name + ".log"), errors="replace") as f:
            return f.read()[-1500:]

    def end(self, name):
        process = self.processes.pop(name, None)
        if process:
            process.terminate()
            process.wait()

    def stop(self):
        for name in list(self.processes):
            self.end(name)
        self.temp.cleanup()

    # ---- requests ----

    def get(self, path, raw=False):
        return self.ask("GET", path, raw=raw)

    def ask(self, method, path, body=None, kind="application/json", raw=False):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl.create_default_context(cafile=self.path("ca.crt")), timeout=20)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Authorization": "Bearer " + ADMIN, "Content-Type": kind, "Accept": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError as e:
            return 0, str(e)
        finally:
            connection.close()
        if raw:
            return answer.status, text
        if not 200 <= answer.status < 300:
            raise AssertionError("%s %s: %d %s" % (method, path, answer.status, text))
        return answer.status, json.loads(text)

    def kubeconfig(self, token, name):
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "test", "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                  "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority-data": base64.b64encode(open(self.path("ca.crt"), "rb").read()).decode()}}],
                  "users": [{"name": "test", "user": {"token": token}}]}
        with open(self.path(name), "w") as f:
            json.dump(config, f)
        return self.path(name)

    def kubectl(self, *words, check=True):
        done = subprocess.run(["kubectl", "--kubeconfig=" + self.kubeconfig(ADMIN, "admin.conf"), "--cache-dir=" + self.path("kubectl-cache")] + list(words),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        if check and done.returncode:
            raise AssertionError("kubectl %s: %s" % (" ".join(words), done.stdout))
        return done.stdout

    # ---- objects ----

    def add_node(self, name, address="127.0.0.1"):
        self.ask("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}})
        self.ask("PATCH", "/api/v1/nodes/%s/status" % name, {"status": {
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "allocatable": {"cpu": "3800m", "memory": "7Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "", "lastHeartbeatTime": None, "lastTransitionTime": None}],
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]}}, "application/strategic-merge-patch+json")

    def add_pod(self, name, node, namespace="default"):
        box = {"name": "app", "image": "docker.io/local/web:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}}
        self.ask("POST", "/api/v1/namespaces/%s/pods" % namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
                 "spec": {"nodeName": node, "automountServiceAccountToken": False, "containers": [box]}})
        pod = self.ask("PATCH", "/api/v1/namespaces/%s/pods/%s/status" % (namespace, name), {"status": {
            "phase": "Running", "startTime": "2026-11-22T16:24:40Z", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "app", "ready": True, "restartCount": 2, "image": "docker.io/local/web:1", "imageID": "", "containerID": "containerd://%064x" % 7,
                                   "state": {"running": {"startedAt": "2026-11-22T16:25:36Z"}}}]}}, "application/strategic-merge-patch+json")[1]
        return pod

    def remove_pod(self, name, namespace="default"):
        self.ask("DELETE", "/api/v1/namespaces/%s/pods/%s?gracePeriodSeconds=0" % (namespace, name))
