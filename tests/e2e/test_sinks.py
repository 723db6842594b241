#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Storage drivers against real servers: what stands there afterwards is what REST said, each sample with its time and its value."""
import gzip
import json
import os
import re
import socket
import subprocess
import time

import kafka
import lib
import otlp
import servers
from agent import PROGRAM, free_port, wait_for
from cgroups import trees
from lib import equal, note
from servers import need_speed
from sinks import history, ns_of, run_a_while, same, start, through_kafka, told

def test_flags__faults_are_named(t):
    for flags, words in (
            (["--storage_driver=nosuch"], ["nosuch", "stdout, statsd, influxdb, redis, kafka, elasticsearch, otlp"]),
            (["--storage_driver=bigquery", "--bq_project_id=x"], ["bigquery is not supported"]),
            (["--storage_driver=influxdb", "--storage_driver_influxdb_version=2"], ["--storage_driver_influxdb_version", "token_file"]),
            (["--storage_driver=statsd", "--storage_driver_host=a:b:c:d"], []),
            (["--storage_driver=otlp", "--storage_driver_otlp_headers_file=/nonexistent"], ["--storage_driver_otlp_headers_file", "/nonexistent"])):
        done = subprocess.run([PROGRAM, "node", "--root=/nonexistent"] + flags, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=20)
        assert done.returncode != 0, flags
        for word in words:
            assert word in done.stdout, "%s: %s" % (flags, done.stdout)


def test_none__no_thread_and_no_library(t):
    agent = t.agent("--bpf=off")
    equal(agent.metrics().all("cgmeter_sink_points_total"), [], "metrics without a driver")
    with open("/proc/%d/maps" % agent.process.pid) as f:
        maps = f.read()
    for name in ("libcurl", "librdkafka", "libhiredis"):
        assert name not in maps, name + " is loaded without a driver that needs it"


def test_stdout(t):
    agent = start(t, "--storage_driver=stdout")
    seen = run_a_while(t, agent)
    rows = [dict(pair.split("=", 1) for pair in line.split(" ")) for line in agent.log().splitlines() if line.startswith("cName=")]
    for path, samples in seen.items():
        mine = {int(r["timestamp"]): r for r in rows if r["cName"] == path}
        same({ns: s["memory"]["usage"] for ns, s in samples.items()}, {ns: int(r["memory_usage"]) for ns, r in mine.items()}, path)
    equal({r["host"] for r in rows}, {"node-1"}, "host")
    equal(told(agent, "stdout"), (len(rows), 0), "lines")


def test_influxdb(t):
    need_speed()
    server = servers.Influxdb(t)
    agent = start(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % server.port, "--storage_driver_db=my db",
                  "--storage_driver_influxdb_create_database")
    seen = run_a_while(t, agent)
    for path, samples in seen.items():
        for measurement, value, tags in (("memory_usage", lambda s: s["memory"]["usage"], {}),
                                         ("memory_failure", lambda s: s["memory"]["hierarchical_data"]["pgfault"],
                                          {"failure_type": "pgfault", "scope": "hierarchical"})):
            got = server.values("my db", measurement, container_name=path, machine="node-1", **tags)
            same({ns: value(s) for ns, s in samples.items()}, got, path + " " + measurement)
    got = server.values("my db", "cpu_usage_per_cpu", container_name="/", instance="0") or server.values("my db", "cpu_usage_total", container_name="/")
    assert len(got) >= len(seen["/"]), got
    points, lost = told(agent, "influxdb")
    there = sum(s["values"][0][1] for s in server.query("SELECT count(value) FROM /.*/", "my db"))
    equal((points, lost), (there, 0), "points")
    assert "trying again" not in agent.log(), agent.log()


def test_influxdb__users(t):
    need_speed()
    server = servers.Influxdb(t, auth=True)
    server.query("CREATE USER root WITH PASSWORD 'se cret' WITH ALL PRIVILEGES", post=True)
    server.query("CREATE DATABASE cadvisor", user="root", password="se cret", post=True)
    password = servers.folder(t) + "/password"
    with open(password, "w") as f:
        f.write("wrong\n")
    agent = start(t, "--storage_driver=influxdb", "--storage_driver_influxdb_host=http://127.0.0.1:%d/" % server.port,
                  "--storage_driver_password_file=" + password)
    wait_for(lambda: "status 401" in agent.log(), 10, "refusal")
    with open(password, "w") as f:
        f.write("se cret\n")
    wait_for(lambda: "writing again" in agent.log(), 10, "success with the new password")
    wanted = history(agent, "/")
    agent.wait_ticks(5)
    agent.stop(seconds=15)
    series = server.query("SELECT value FROM memory_usage WHERE container_name = '/'", "cadvisor", "root", "se cret")
    same({ns: s["memory"]["usage"] for ns, s in wanted.items()}, dict(series[0]["values"]), "after the password was mended")
    assert "cret" not in agent.log() and "wrong" not in agent.log(), "the log tells a secret"


def hostile_cgroups(t):
    """Names that each mean something in some protocol. A name of bytes that are no UTF-8 as well."""
    directory = trees.mounts.get("cpuacct", trees.mounts.get("unified"))
    found = []
    for name in (b"a b,c=d", b"e:1|g#x", b"back\\slash\\", b"q\"uote", b"\t\x01", b"\xff\xfe", b"\xc3\xa4"):  # the kernel takes no newline
        path = os.fsencode(directory) + b"/cgmtest-%d-" % os.getpid() + name
        os.mkdir(path)
        t.callback(os.rmdir, path)
        found.append(b"/cgmtest-%d-" % os.getpid() + name)
    return found


def test_influxdb__hostile_names(t):
    need_speed()
    server = servers.Influxdb(t)
    names = hostile_cgroups(t)
    agent = start(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % server.port, "--storage_driver_influxdb_create_database")
    agent.wait_ticks(6)
    agent.stop(seconds=15)
    tags = {row[1] for s in server.query('SHOW TAG VALUES FROM cpu_usage_total WITH KEY = "container_name"', "cadvisor") for row in s["values"]}
    prefix = "/cgmtest-%d-" % os.getpid()
    wanted = {prefix + n for n in ("a b,c=d", "e:1|g#x", "back\\slash\\x5c", "q\"uote", "\\x09\\x01", "\\xff\\xfe", "\xe4")}
    equal({name for name in tags if name.startswith(prefix)}, wanted, "names as the server has them (of %d)" % len(names))
    points, lost = told(agent, "influxdb")
    equal((points, lost), (sum(s["values"][0][1] for s in server.query("SELECT count(value) FROM /.*/", "cadvisor")), 0), "points")


def test_victoria_metrics(t):
    """Another reader of the line protocol, by its version 1 and by version 2."""
    need_speed()
    token = servers.folder(t) + "/token"
    with open(token, "w") as f:
        f.write("any")
    for options in ([], ["--storage_driver_influxdb_token_file=" + token, "--storage_driver_influxdb_org=o", "--storage_driver_influxdb_bucket=b"]):
        server = servers.Victoria(t)
        agent = start(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % server.port, *options)
        seen = run_a_while(t, agent)
        for path, samples in seen.items():
            wanted = {ns // 10**6: s["memory"]["usage"] for ns, s in samples.items()}
            wait_for(lambda: set(wanted) <= set(server.values("memory_usage_value", container_name=path)), 15, "samples of " + path)
            same(wanted, server.values("memory_usage_value", container_name=path, machine="node-1"), path)
        server.stop()


def test_redis(t):
    need_speed()
    server = servers.Redis(t, "--requirepass", "pass word")
    agent = start(t, "--storage_driver=redis", "--storage_driver_redis_host=localhost:%d" % server.port, "--storage_driver_db=my key",
                  "--storage_driver_password=pass word")
    seen = run_a_while(t, agent)
    raw = server.command("LRANGE", "my key", 0, -1, password="pass word")
    documents = [json.loads(d) for d in raw]
    equal(told(agent, "redis"), (len(documents), 0), "documents")
    for path, samples in seen.items():
        mine = [d for d in documents if d["container_Name"] == path]
        stamps = [d["timestamp"] for d in mine]
        equal(stamps, sorted(stamps, reverse=True), "the newest stands first")
        equal(len(set(stamps)), len(stamps), "each once")
        got = {ns_of(d["container_stats"]["timestamp"]): d["container_stats"] for d in mine}
        same(samples, got, path)
        assert all(d["timestamp"] == ns_of(d["container_stats"]["timestamp"]) // 1000 and d["machine_name"] == "node-1" for d in mine)


def test_redis__trimmed(t):
    need_speed()
    server = servers.Redis(t)
    agent = start(t, "--storage_driver=redis", "--storage_driver_host=127.0.0.1:%d" % server.port, "--storage_driver_redis_max_length=7")
    agent.wait_ticks(10)
    agent.stop(seconds=15)
    equal(server.command("LLEN", "cadvisor"), 7, "length of the list")
    assert told(agent, "redis")[0] > 7


def test_statsd__datagrams(t):
    need_speed()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    t.callback(s.close)
    agent = start(t, "--storage_driver=statsd", "--storage_driver_statsd_host=127.0.0.1:%d" % s.getsockname()[1], "--storage_driver_db=my:db")
    agent.wait_ticks(8)
    agent.stop(seconds=15)
    s.setblocking(False)
    got = []
    while True:
        try:
            got.append(s.recv(65536))
        except BlockingIOError:
            break
    assert max(len(d) for d in got) <= 1432 and len(got) >= 8, [len(d) for d in got]
    metrics = [line for d in got for line in d.decode().split("\n")]
    for line in metrics:
        assert re.fullmatch(r"my_db\.[^:|\s]*\.[a-z0-9_.]+:\d+\|g", line), line
    equal(told(agent, "statsd"), (len(metrics), 0), "metrics")
    assert any(line.startswith("my_db./.memory_usage:") for line in metrics), metrics[:5]


def statsd(t, protocol):
    need_speed()
    server = servers.Statsd(t, protocol)
    agent = start(t, "--storage_driver=statsd", "--storage_driver_host=127.0.0.1:%d" % server.port, "--storage_driver_statsd_protocol=" + protocol)
    agent.wait_ticks(5)
    gauges = wait_for(lambda: server.ask("gauges"), 5, "gauges")
    agent.stop(seconds=15)
    # The server writes / as -, and leaves the rest.
    gauges = server.ask("gauges")
    mine = {name: float(value) for name, value in gauges.items() if name.startswith("cadvisor.-.")}
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < mine["cadvisor.-.memory_usage"] < limit * 1.1, mine
    bad = {name: value for name, value in server.ask("counters").items() if "bad_lines" in name}
    equal({float(v) for v in bad.values()} or {0.0}, {0.0}, "bad lines")
    note("%d gauges" % len(gauges))


def test_statsd__the_real_one(t):
    statsd(t, "udp")


def test_statsd__the_real_one_by_tcp(t):
    statsd(t, "tcp")


def test_kafka(t):
    need_speed()
    cluster = kafka.Cluster(t, "my-topic")
    cluster.start_reading()
    agent = start(t, "--storage_driver=kafka", "--storage_driver_kafka_broker_list=" + cluster.brokers, "--storage_driver_kafka_topic=my-topic")
    agent.wait_ticks(3)
    cluster.down(True)
    agent.wait_ticks(5)
    cluster.down(False)
    documents = through_kafka(t, agent, cluster)
    assert all(d["timestamp"] == d["container_stats"]["timestamp"] and d["machine_name"] == "node-1" for d in documents)


class Elastic:
    """As its documentation has _bulk; version: what it says it is."""

    def __init__(self, version, distribution=None):
        self.version, self.distribution, self.documents, self.refuse, self.refused = version, distribution, {}, {}, []

    def __call__(self, request):
        if request.method == "GET":
            about = {"number": self.version}
            if self.distribution:
                about["distribution"] = self.distribution
            return 200, {"Content-Type": "application/json"}, json.dumps({"name": "n", "version": about}).encode()
        return self.bulk

    def bulk(self, request):
        typed = int(self.version.split(".")[0]) < 7 and not self.distribution
        wanted = "/my%20index/stats/_bulk" if typed else "/my%20index/_bulk"
        if not request.path.startswith(wanted + "?"):
            return 400, {}, json.dumps({"error": "path " + request.path}).encode()
        if int(self.version.split(".")[0]) < 5 and not self.distribution and request.headers.get("Content-Encoding"):
            return 400, {}, b'{"error":"compressed"}'
        assert request.headers["Content-Type"] == "application/x-ndjson"
        text = request.text().decode()
        assert text.endswith("\n")
        rows, items = [json.loads(line) for line in text[:-1].split("\n")], []
        for action, document in zip(rows[::2], rows[1::2]):
            (verb, meta), = action.items()
            assert verb == "index" and set(meta) == {"_id"}, action
            items.append({"index": self.item(meta["_id"], document)})
        return 200, {}, json.dumps({"errors": any(i["index"]["status"] >= 300 for i in items), "items": items}).encode()

    def item(self, name, document):
        status = self.refuse.pop(document["container_Name"], 201)
        if status == 400:
            self.refused.append(ns_of(document["container_stats"]["timestamp"]))
        if status < 300:
            known = self.documents.setdefault(name, document)
            assert known == document, "two documents %s" % name
        return {"status": status, "error": {"type": "some_exception", "reason": "told to"}} if status >= 300 else {"status": status}


def elastic(t, version, distribution=None, refuse=None):
    need_speed()
    server = Elastic(version, distribution)
    fake = servers.Fake(t, server)
    server.refuse.update(refuse or {})
    agent = start(t, "--storage_driver=elasticsearch", "--storage_driver_es_host=http://127.0.0.1:%d" % fake.port, "--storage_driver_es_index=my index")
    seen = run_a_while(t, agent)
    for path, samples in seen.items():
        got = {ns_of(d["container_stats"]["timestamp"]): d["container_stats"] for d in server.documents.values() if d["container_Name"] == path}
        same({ns: s for ns, s in samples.items() if path != "/" or ns not in server.refused}, got, path)
    return server, told(agent, "elasticsearch"), agent


def test_elasticsearch__versions(t):
    for version, distribution in (("2.4.6", None), ("6.8.0", None), ("8.15.0", None), ("2.11.0", "opensearch")):
        server, (written, lost), _ = elastic(t, version, distribution)
        equal((written, lost), (len(server.documents), 0), "documents of " + version)


def test_elasticsearch__later_and_never(t):
    """An item with 429 comes again, with the whole batch, and stands there once; one with 400 is lost and counted."""
    server, (written, lost), agent = elastic(t, "8.15.0", refuse={"/": 429})
    equal((written, lost), (len(server.documents), 0), "documents")
    assert "are to come again" in agent.log(), agent.log()
    server, (written, lost), agent = elastic(t, "8.15.0", refuse={"/": 400})
    equal((written, lost), (len(server.documents), 1), "documents")
    assert "some_exception: told to" in agent.log(), agent.log()


def test_elasticsearch__the_next_node(t):
    need_speed()
    server = Elastic("8.15.0")
    fake = servers.Fake(t, server)
    agent = start(t, "--storage_driver=elasticsearch", "--storage_driver_es_index=my index",
                  "--storage_driver_es_host=http://127.0.0.1:%d,http://127.0.0.1:%d" % (free_port(), fake.port))
    run_a_while(t, agent)
    equal(told(agent, "elasticsearch"), (len(server.documents), 0), "documents")


def test_otlp(t):
    need_speed()
    fake = servers.Fake(t, lambda request: (200, {"Content-Type": "application/x-protobuf"}, b""))
    headers = servers.folder(t) + "/headers"
    with open(headers, "w") as f:
        f.write("# for the collector\nAuthorization: Bearer s3cret\nX-Scope: a b\n")
    agent = start(t, "--storage_driver=otlp", "--storage_driver_otlp_endpoint=http://127.0.0.1:%d" % fake.port, "--storage_driver_otlp_headers_file=" + headers)
    seen = run_a_while(t, agent)
    requests = fake.accepted()
    for r in requests:
        equal((r.method, r.path, r.headers["Content-Type"], r.headers["Content-Encoding"], r.headers["Authorization"], r.headers["X-Scope"]),
              ("POST", "/v1/metrics", "application/x-protobuf", "gzip", "Bearer s3cret", "a b"), "request")
    export = otlp.Export([gzip.decompress(r.body) for r in requests])
    equal(told(agent, "otlp"), (export.nr, 0), "data points")
    for path, samples in seen.items():
        if path != "/":
            same({ns: s["memory"]["usage"] for ns, s in samples.items()}, export.values(path, "container.memory.usage"), path)
            same({ns: s["memory"]["working_set"] for ns, s in samples.items()}, export.values(path, "container.memory.working_set"), path)
            equal(export.kinds["container.memory.usage"], ("sum", "By", 0), "kind")
        else:
            same({ns: s["cpu"]["usage"]["system"] / 1e9 for ns, s in samples.items()}, export.values("/", "system.cpu.time", cpu__mode="system"), "/")
            equal(export.kinds["system.cpu.time"], ("sum", "s", 1), "kind")
        equal(export.resources[path], {"host.name": "node-1", "cgmeter.cgroup": path}, "resource")
    note("%d points in %d requests" % (export.nr, len(requests)))
    assert "s3cret" not in agent.log()


def test_otlp__histograms(t):
    """The histograms of the kernel side, against /metrics: between two scrapes the exported count lies between theirs."""
    need_speed()
    fake = servers.Fake(t, lambda request: (200, {}, b""))
    agent = t.bpf_agent("--storage_driver=otlp", "--storage_driver_otlp_endpoint=127.0.0.1:%d" % fake.port, "--storage_driver_otlp_compression=none",
                        "--storage_driver_buffer_duration=500ms", groups=["cgm_switch"], interval="200ms")
    first = agent.metrics().get("cgmeter_container_cpu_runqueue_delay_seconds_count", id="/")
    agent.wait_ticks(12)
    last = agent.metrics().get("cgmeter_container_cpu_runqueue_delay_seconds_count", id="/")
    agent.stop(seconds=15)
    requests = fake.accepted()
    assert requests and all(r.headers.get("Content-Encoding") is None for r in requests)
    export = otlp.Export([r.body for r in requests])
    points = export.values("/", "cgmeter.container.cpu_runqueue_delay")
    assert len(points) >= 3, points
    counts = [points[ns]["count"] for ns in sorted(points)]
    equal(counts, sorted(counts), "counts never fall")
    assert first <= counts[-1] and any(first <= c <= last for c in counts), (first, counts, last)
    for p in points.values():
        equal(p["scale"], 2, "scale")
        equal(p["zero_count"] + sum(p.get("positive", {}).get("counts", [])), p["count"], "sum of the buckets")
    samples = export.values("/", "system.cpu.time", cpu__mode="user")
    assert len(samples) > len(points), "histograms come once a batch, samples each"


def test_tls(t):
    need_speed()
    place = servers.folder(t)
    key, certificate = place + "/key.pem", place + "/cert.pem"
    subprocess.run([servers.need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    fake = servers.Fake(t, certificate=(certificate, key))
    address = "--storage_driver_host=localhost:%d" % fake.port
    agent = start(t, "--storage_driver=influxdb", address, "--storage_driver_secure")
    wait_for(lambda: "certificate" in agent.log(), 10, lambda: "complaint about the certificate: " + agent.log())
    agent.stop(seconds=15)
    equal(len(fake.accepted()), 0, "requests to a server that is not trusted")
    for options in (["--storage_driver_tls_ca_file=" + certificate], ["--storage_driver_tls_skip_verify"]):
        before = len(fake.accepted())
        agent = start(t, "--storage_driver=influxdb", address, "--storage_driver_secure", *options)
        wait_for(lambda: len(fake.accepted()) > before, 10, lambda: "request: " + agent.log())
        agent.stop(seconds=15)
        equal(told(agent, "influxdb")[1], 0, "lost")


def test_several__one_that_hangs_holds_up_nobody(t):
    need_speed()
    good, bad = servers.Fake(t), servers.Fake(t, lambda request: "hang")
    agent = start(t, "--storage_driver=stdout,influxdb,otlp", "--storage_driver_host=127.0.0.1:%d" % good.port, "--storage_driver_stop_timeout=3s",
                  "--storage_driver_otlp_endpoint=http://127.0.0.1:%d" % bad.port)
    agent.wait_ticks(15)
    page = agent.metrics()
    equal(page.get("cgmeter_missed_ticks_total"), 0, "missed ticks")
    equal(page.get("cgmeter_sink_points_total", driver="otlp"), 0, "otlp")
    assert page.get("cgmeter_sink_queue_bytes", driver="otlp") > 0
    assert page.get("cgmeter_sink_points_total", driver="influxdb") > 0
    equal(page.all("cgmeter_sink_last_success_timestamp_seconds", driver="otlp"), [], "no success")
    status, seconds = agent.stop(seconds=15)
    equal(status, 0, "exit status")
    assert seconds < 4.5, "the end took %.1f s" % seconds
    equal(len(servers.lines(good.accepted())), told(agent, "influxdb")[0], "lines")
    assert "the end came before all was written" in agent.log()
    assert told(agent, "otlp")[0] == 0 and told(agent, "otlp")[1] > 0, agent.log()


lib.main(globals())
