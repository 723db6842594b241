#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may ask, as the kubelet has it: an API server that reviews tokens and accesses, curl with tokens and certificates. And the requests of what reads kubelets."""
import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

import lib
import prom
from agent import by_speed, wait_for
from apiserver import OWN_TOKEN, ApiServer
from authority import Authority
from lib import equal

SCRAPER, ADMIN, WRONG = "token-of-the-scraper", "token-of-the-admin", "token-of-nobody"
NODE = socket.gethostname().lower()
RULES = {("system:serviceaccount:monitoring:scraper", "get", "metrics"), ("joe", "get", "stats"), ("auditors", "get", "spec"), ("system:masters", "create", "stats")}
RULES |= {("system:masters", "get", part) for part in ("stats", "metrics", "spec", "log", "proxy")}

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures/kubelet/pods.json")) as recorded:
    PODS = json.load(recorded)["items"]


class Setup:
    def __init__(self, t):
        for program in ("openssl", "curl"):
            if not shutil.which(program):
                raise lib.Skip(program)
        self.dir = tempfile.mkdtemp(prefix="cgmtest-auth-")
        t.callback(shutil.rmtree, self.dir)
        self.ca = Authority(self.dir)
        self.ca.make("node", "serverAuth")
        self.ca.make("api", "serverAuth")
        self.ca.make("joe", "clientAuth", names="/O=auditors/O=devs/CN=joe")
        self.ca.serve("node")
        self.api = ApiServer(self.ca, {SCRAPER: ("system:serviceaccount:monitoring:scraper", ["system:serviceaccounts"]), ADMIN: ("admin", ["system:masters"])},
                             RULES, NODE, PODS)
        t.callback(lambda: self.api.stop())
        context = ssl.create_default_context(cafile=self.ca.path("ca.crt"))
        self.agent = t.agent("--bpf=off", "--tls-cert-file=" + self.ca.path("served.crt"), "--tls-key-file=" + self.ca.path("served.key"),
                             "--client-ca-file=" + self.ca.path("ca.crt"), "--anonymous-auth=false",
                             "--authentication-token-webhook=true", "--authentication-token-webhook-cache-ttl=4s", "--authorization-mode=Webhook",
                             "--authorization-webhook-cache-authorized-ttl=4s", "--kubeconfig=" + self.api.kubeconfig(self.dir), tls=context,
                             headers={"Authorization": "Bearer " + ADMIN})

    def curl(self, path, token=None, certificate=None, method=None):
        """(status, body)"""
        command = ["curl", "-s", "-w", "\n%{http_code}", "--max-time", "20", "--cacert", self.ca.path("ca.crt")]
        command += ["-H", "Authorization: Bearer " + token] if token else []
        command += ["--cert", self.ca.path(certificate + ".crt"), "--key", self.ca.path(certificate + ".key")] if certificate else []
        command += ["-X", method, "-d", "{}"] if method else []
        done = subprocess.run(command + ["https://127.0.0.1:%d%s" % (self.agent.port, path)], stdout=subprocess.PIPE, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body


def test_auth__tokens_and_certificates(t):
    s = Setup(t)
    equal(s.curl("/metrics/cadvisor", SCRAPER)[0], 200, "the scraper's metrics")
    kind, spec = s.api.asked[-1]
    equal(kind, "SubjectAccessReview", "kind")
    equal(spec["resourceAttributes"], {"verb": "get", "version": "v1", "resource": "nodes", "subresource": "metrics", "name": NODE}, "attributes")
    equal(spec["user"], "system:serviceaccount:monitoring:scraper", "user")
    equal(spec["groups"], ["system:serviceaccounts", "system:authenticated"], "groups")
    equal(spec["extra"], {"authentication.kubernetes.io/pod-name": ["scraper-0"]}, "extra")
    status, body = s.curl("/stats/summary", SCRAPER)
    equal(status, 403, "what the scraper may not")
    assert "Forbidden (user=system:serviceaccount:monitoring:scraper, verb=get, resource=nodes, subresource=stats)" in body, body
    equal(s.curl("/api/v1.3/machine", SCRAPER)[0], 403, "cAdvisor's API is nodes/proxy")
    for path in ("/metrics", "/stats/summary", "/spec/", "/api/v1.3/machine", "/"):
        equal(s.curl(path, ADMIN)[0], 200, path + " for the admin")
    equal(s.curl("/stats/container/", ADMIN, method="POST")[0], 200, "a POST of who may create")
    equal(s.curl("/metrics", WRONG)[0], 401, "nobody's token")
    equal(s.curl("/metrics")[0], 401, "no token")
    equal(s.curl("/healthz")[0], 200, "/healthz")
    # A certificate: its CN and its O.
    equal(s.curl("/stats/summary", certificate="joe")[0], 200, "joe's")
    equal(s.curl("/spec/", certificate="joe")[0], 200, "his group's")
    equal(s.api.asked[-1][1]["groups"], ["auditors", "devs", "system:authenticated"], "his groups")
    equal(s.curl("/stats/container/", certificate="joe", method="POST")[0], 403, "he may get and not create")
    equal(s.curl("/healthz", certificate="node")[0], 0, "a certificate for servers")
    other = Authority(tempfile.mkdtemp(prefix="ca2-", dir=s.dir))
    other.make("eve", "clientAuth")
    equal(subprocess.run(["curl", "-s", "-o", "/dev/null", "--cacert", s.ca.path("ca.crt"), "--cert", other.path("eve.crt"), "--key", other.path("eve.key"),
                          "https://127.0.0.1:%d/healthz" % s.agent.port]).returncode != 0, True, "a certificate of another authority")
    # The pods by its word.
    wait_for(lambda: s.curl("/pods", ADMIN)[0] == 200 and json.loads(s.curl("/pods", ADMIN)[1])["items"], by_speed(10, 60), "pods")
    listed = json.loads(s.curl("/pods", ADMIN)[1])
    equal((listed["kind"], sorted(pod["metadata"]["name"] for pod in listed["items"])), ("PodList", sorted(pod["metadata"]["name"] for pod in PODS)), "pods")
    equal([pod["spec"] for pod in sorted(listed["items"], key=lambda pod: pod["metadata"]["name"])],
          [pod["spec"] for pod in sorted(PODS, key=lambda pod: pod["metadata"]["name"])], "their specs")
    # What is known is not asked again; many that come with the same ask once.
    before = s.api.number("TokenReview")
    equal(s.curl("/metrics/cadvisor", SCRAPER)[0], 200, "again")
    assert s.api.number("TokenReview") <= before + 1
    s.agent.wait_ticks()
    metrics = s.agent.metrics()
    for labels in ({"kind": "token", "result": "yes"}, {"kind": "token", "result": "no"}, {"kind": "access", "result": "yes"}, {"kind": "access", "result": "no"}):
        assert metrics.get("cgmeter_http_reviews_total", **labels) >= 1, labels
    assert metrics.get("cgmeter_http_review_cache_hits_total", kind="token") >= 3, "hits"
    equal(metrics.get("cgmeter_http_reviews_total", kind="token", result="failed"), 0, "failures")
    for secret in (SCRAPER, ADMIN, WRONG, OWN_TOKEN):
        assert secret not in s.agent.log(), "a token is in the log"


def test_auth__an_api_server_that_is_away(t):
    s = Setup(t)
    equal(s.curl("/metrics/cadvisor", SCRAPER)[0], 200, "the scraper")
    s.api.stop()
    equal(s.curl("/metrics/cadvisor", SCRAPER)[0], 200, "who is known")
    status, body = s.curl("/metrics", "token-that-is-not-known")
    equal(status, 503, "who is not known")
    assert "the API server cannot be asked" in body, body
    equal(s.curl("/healthz")[0], 200, "/healthz")
    wait_for(lambda: s.curl("/metrics/cadvisor", SCRAPER)[0] == 503, by_speed(10, 60), "end of what is known")
    equal(s.agent.log().count("the API server cannot be asked who may ask here"), 1, "lines in the log: %s" % s.agent.log())
    s.api.start()
    wait_for(lambda: s.curl("/metrics/cadvisor", SCRAPER)[0] == 200, by_speed(10, 60), "answers of the API server's successor")
    equal(s.curl("/metrics", WRONG)[0], 401, "nobody's token")
    assert "can be asked again" in s.agent.log(), s.agent.log()
    s.agent.wait_ticks()
    metrics = s.agent.metrics()
    assert metrics.get("cgmeter_http_reviews_total", kind="token", result="failed") >= 1, "failures"
    assert metrics.get("cgmeter_http_rejected_total", reason="api_server_away") >= 2, "requests that were turned away"
    # It ends at once, also while one is asked that says nothing.
    s.api.stop()
    deaf = socket.socket()
    t.callback(deaf.close)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deaf.bind(("127.0.0.1", s.api.port))
    deaf.listen()
    client = threading.Thread(target=s.curl, args=("/metrics", "token-that-nobody-knows"))
    client.start()
    connection, _ = deaf.accept()
    t.callback(connection.close)
    status, seconds = s.agent.stop()
    client.join()
    equal(status, 0, "status")
    assert seconds < by_speed(2, 10), "it took %.1f s to end" % seconds


def rfc3339(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def at(value, path):
    for key in path.split("."):
        value = value[key]
    return value


def test_readers__heapster_and_metrics_server(t):
    """The requests of heapster-kubelet's sections 1c, 2 and 6, and each field that they read of a node and its system containers."""
    agent = t.agent("--bpf=off")
    agent.wait_ticks(3)
    # Heapster of both eras, source "kubernetes": a window of the past minute.
    end = datetime.datetime.now(datetime.timezone.utc)
    body = {"containerName": "/", "num_stats": 1, "start": rfc3339(end - datetime.timedelta(seconds=60)), "end": rfc3339(end), "subcontainers": True}
    answer = agent.request("POST", "/stats/container/", json.dumps(body), {"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1"})
    equal(answer.status, 200, "/stats/container/")
    all_of_them = answer.json()
    assert len(all_of_them) > 1, list(all_of_them)
    for name, container in all_of_them.items():
        equal(container["name"], name, "name")
        at(container, "spec.creation_time")
        for stat in container.get("stats", ()):
            for path in ("timestamp", "cpu.usage.total", "memory.usage", "memory.working_set", "memory.rss", "memory.cache", "memory.container_data.pgfault",
                         "memory.container_data.pgmajfault", "memory.hierarchical_data.pgfault", "memory.hierarchical_data.pgmajfault"):
                assert isinstance(at(stat, path), str if path == "timestamp" else int), path
    root = all_of_them["/"]
    equal(len(root["stats"]), 1, "samples")
    assert root["stats"][0]["timestamp"] <= rfc3339(end), root["stats"][0]["timestamp"]
    for field in ("device", "usage", "capacity", "available", "inodes", "inodes_free"):
        assert field in root["stats"][0]["filesystem"][0], field
    if root["spec"]["has_network"]:
        for field in ("rx_bytes", "rx_errors", "tx_bytes", "tx_errors"):
            assert isinstance(root["stats"][0]["network"][field], int), field
    # Those of Heapster before 0.15.
    equal(agent.request("POST", "/stats/", json.dumps({"num_stats": 1})).json()["name"], "/", "the node")
    machine = agent.get("/spec/").json()
    assert machine["num_cores"] > 0 and machine["memory_capacity"] > 0, machine
    equal(agent.get("/spec").headers["Location"], "/spec/", "redirect")
    # Source "kubernetes.summary_api", and metrics-server up to 0.5.
    summary = agent.get("/stats/summary/").json()
    node = summary["node"]
    for path in ("nodeName", "startTime", "cpu.time", "cpu.usageCoreNanoSeconds", "cpu.usageNanoCores", "memory.time", "memory.usageBytes", "memory.workingSetBytes",
                 "memory.rssBytes", "memory.pageFaults", "memory.majorPageFaults", "fs.usedBytes", "fs.capacityBytes", "fs.availableBytes", "fs.inodes", "fs.inodesFree"):
        at(node, path)
    brief = agent.get("/stats/summary?only_cpu_and_memory=true").json()
    assert at(brief, "node.cpu.usageNanoCores") >= 0 and at(brief, "node.memory.workingSetBytes") > 0
    assert isinstance(brief["pods"], list)
    # metrics-server from 0.6 on.
    page = agent.get("/metrics/resource", Accept="text/plain;version=0.0.4")
    equal(page.status, 200, "/metrics/resource")
    lines = dict(line.split(" ", 1) for line in page.body.decode().splitlines() if not line.startswith("#"))
    for name in ("node_cpu_usage_seconds_total", "node_memory_working_set_bytes"):
        value, stamp = lines[name].split()
        assert float(value) > 0 and len(stamp) == 13, lines[name]
    # What scrapes all addresses of a kubelet.
    equal(prom.Metrics(agent.get("/metrics/probes").body.decode()).get("process_start_time_seconds") > agent.began - 60, True, "/metrics/probes")
    equal(agent.get("/configz").status, 404, "/configz")
    assert agent.get("/pods").status in (200, 404), "/pods"


lib.main(globals())
