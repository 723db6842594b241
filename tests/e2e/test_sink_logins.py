#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Storage drivers whose servers ask who they are: InfluxDB 2 for a token, Kafka for a certificate. And whether the servers are who they say."""
import json
import urllib.parse

import kafka
import lib
import servers
from agent import wait_for
from authority import Authority
from lib import equal, note
from servers import need_speed
from sinks import each_tick, lost, run_a_while, same, start, through_kafka, told


class Influxdb2:
    """
    POST /api/v2/write by InfluxDB 2's documentation: docs.influxdata.com/influxdb/v2/api/write/ (parameters, headers, answers), and
    …/influxdb/v2/write-data/troubleshoot/ (which status means what; the first line that is none refuses all of a request). first: what it answers to
    the first requests, as a server does that has too much to do.
    """

    def __init__(self, org, bucket, token, first=()):
        self.org, self.bucket, self.token, self.first, self.asked = org, bucket, token, list(first), []

    def __call__(self, request):
        return self.write

    def write(self, request):
        self.asked.append(request.time)
        query, path = request.query(), urllib.parse.urlsplit(request.path).path
        if (request.method, path) != ("POST", "/api/v2/write"):
            return self.fault(404, "not found", "path not found")
        if request.headers.get("Authorization") != "Token " + self.token:
            return self.fault(401, "unauthorized", "unauthorized access")
        if self.first:
            return self.first.pop(0)
        for name, wanted in (("org", self.org), ("bucket", self.bucket)):
            given = query.pop(name, None)
            if given != wanted:
                return self.fault(404, "not found", '%s "%s" not found' % (name, given))
        if query != {"precision": "ns"}:
            return self.fault(400, "invalid", "precision, and nothing else: %s" % query)
        try:
            servers.lines([request])
        except (AssertionError, UnicodeDecodeError) as error:
            return self.fault(400, "invalid", "unable to parse: %s" % error)
        return 204, {}, b""

    @staticmethod
    def fault(status, code, message, **headers):
        return status, {"Content-Type": "application/json; charset=utf-8", **{k.replace("_", "-"): v for k, v in headers.items()}}, \
            json.dumps({"code": code, "message": message}).encode()


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def influxdb2(t, server, token):
    """Returns (agent, the server under it, the token's file)."""
    need_speed()
    fake, path = servers.Fake(t, server), servers.folder(t) + "/token"
    write(path, token + "\n")
    agent = start(t, "--storage_driver=influxdb", "--storage_driver_influxdb_host=http://127.0.0.1:%d/" % fake.port, "--storage_driver_influxdb_org=an org",
                  "--storage_driver_influxdb_bucket=b/c&d", "--storage_driver_influxdb_token_file=" + path)
    return agent, fake, path


def complaints(agent):
    return agent.log().count("warning: storage driver")


def test_influxdb2(t):
    agent, fake, _ = influxdb2(t, Influxdb2("an org", "b/c&d", "t0k/en=="), "t0k/en==")
    seen = run_a_while(t, agent)
    lines = servers.lines(fake.accepted())
    equal(len(fake.accepted()), len(fake.requests), "requests that were taken: %s" % agent.log())
    equal(told(agent, "influxdb"), (len(lines), 0), "points")
    for path, samples in seen.items():
        got = {ns: value for (name, tags, ns), value in lines.items() if name == "memory_usage" and dict(tags)["container_name"] == path}
        same({ns: s["memory"]["usage"] for ns, s in samples.items()}, got, path)
    equal(complaints(agent), 0, "complaints: " + agent.log())


def test_influxdb2__a_wrong_token(t):
    """Said once, each try counted; when the file holds the right one, all that waited is written."""
    agent, fake, token = influxdb2(t, Influxdb2("an org", "b/c&d", "t0k/en=="), "guessed")
    wait_for(lambda: agent.metrics().get("cgmeter_sink_retries_total", driver="influxdb") >= 2, 15, lambda: "tries: " + agent.log())
    page = agent.metrics()
    equal((page.get("cgmeter_sink_points_total", driver="influxdb"), lost(page)), (0, {}), "points written, points lost")
    assert page.get("cgmeter_sink_queue_bytes", driver="influxdb") > 0, "nothing waits"
    assert 'status 401: {"code": "unauthorized"' in agent.log(), agent.log()
    equal(complaints(agent), 1, "complaints: " + agent.log())
    write(token, "t0k/en==")
    wait_for(lambda: "writing again" in agent.log(), 15, lambda: "recovery: " + agent.log())
    agent.wait_ticks(3)
    ticks = agent.ticks()
    agent.stop(seconds=15)
    lines = servers.lines(fake.accepted())
    equal(told(agent), (len(lines), 0), "points")
    note("%d samples" % each_tick(lines, ticks))
    equal(complaints(agent), 1, "complaints: " + agent.log())
    assert "guessed" not in agent.log() and "t0k/en" not in agent.log(), "the log tells a secret"


def test_influxdb2__another_bucket(t):
    """It may be made later: nothing is lost, and what the server says is in the log."""
    server = Influxdb2("an org", "another", "t0k/en==")
    agent, fake, _ = influxdb2(t, server, "t0k/en==")
    wait_for(lambda: "status 404" in agent.log(), 15, lambda: "complaint: " + agent.log())
    assert 'bucket \\"b/c&d\\" not found' in agent.log(), agent.log()
    server.bucket = "b/c&d"
    wait_for(lambda: "writing again" in agent.log(), 15, lambda: "recovery: " + agent.log())
    agent.stop(seconds=15)
    equal(told(agent), (len(servers.lines(fake.accepted())), 0), "points")


def test_influxdb2__has_too_much_to_do(t):
    """429 and 503 say when to come again, and are obeyed; one without that is asked again as well."""
    busy = Influxdb2.fault
    server = Influxdb2("an org", "b/c&d", "t0k/en==", first=[busy(429, "too many requests", "rate limit exceeded", Retry_After="2"),
                                                             busy(503, "unavailable", "not ready", Retry_After="1"), busy(503, "unavailable", "not ready")])
    agent, fake, _ = influxdb2(t, server, "t0k/en==")
    wait_for(lambda: "writing again" in agent.log(), 20, lambda: "recovery: " + agent.log())
    gaps = [later - earlier for earlier, later in zip(server.asked, server.asked[1:])]
    assert gaps[0] >= 2 and gaps[1] >= 1, "it came back after %s s" % gaps[:2]
    equal(agent.metrics().get("cgmeter_sink_retries_total", driver="influxdb"), 3, "tries that failed")
    assert 'status 429: {"code": "too many requests"' in agent.log(), agent.log()
    equal(complaints(agent), 1, "one complaint about one trouble: " + agent.log())
    ticks = agent.ticks()
    agent.stop(seconds=15)
    lines = servers.lines(fake.accepted())
    equal(told(agent), (len(lines), 0), "points")
    each_tick(lines, ticks)


def kafka_tls(t, name="server", subject="IP:127.0.0.1"):
    """Returns (cluster, TLS before it, the authority of both sides). The server's certificate is for that subject."""
    need_speed()
    servers.need("openssl")
    cluster, ca = kafka.Cluster(t, "stats"), Authority(servers.folder(t))
    ca.make(name, "serverAuth", subject)
    ca.make("agent-7", "clientAuth")
    return cluster, kafka.Tls(t, cluster, kafka.tls_context(ca.path(name + ".crt"), ca.path(name + ".key"), ca.path("ca.crt"))), ca


def start_kafka(t, tls, *options):
    return start(t, "--storage_driver=kafka", "--storage_driver_kafka_broker_list=" + tls.address, "--storage_driver_timeout=2s", *options)


def with_certificate(ca):
    return ["--storage_driver_kafka_ssl_cert=" + ca.path("agent-7.crt"), "--storage_driver_kafka_ssl_key=" + ca.path("agent-7.key")]


def test_kafka_tls(t):
    cluster, tls, ca = kafka_tls(t)
    cluster.start_reading()
    agent = start_kafka(t, tls, "--storage_driver_kafka_ssl_ca=" + ca.path("ca.crt"), *with_certificate(ca))
    documents = through_kafka(t, agent, cluster)
    equal(set(tls.peers), {"agent-7"}, "certificates of the clients")
    equal({requests[0] for requests in tls.connections if requests}, {kafka.API_VERSIONS}, "first requests")
    equal(complaints(agent), 0, "complaints: " + agent.log())
    note("%d messages over %d connections" % (len(documents), len(tls.connections)))


def refuses(t, tls, words, *options):
    """It never comes to a request. That is said once, with what and where, tries are counted, and nothing is lost while the agent runs."""
    agent = start_kafka(t, tls, *options)
    wait_for(lambda: agent.metrics().get("cgmeter_sink_retries_total", driver="kafka") >= 2, 20, lambda: "tries: " + agent.log())
    page = agent.metrics()
    equal((page.get("cgmeter_sink_points_total", driver="kafka"), lost(page, "kafka")), (0, {}), "messages written, messages lost")
    for word in list(words) + [tls.address]:
        assert word in agent.log(), "%s: %s" % (word, agent.log())
    equal(complaints(agent), 1, "complaints: " + agent.log())
    agent.stop(seconds=15)
    written, gone = told(agent, "kafka")
    assert not written and gone, (written, gone)
    equal([r for r in tls.connections if r], [], "requests over a connection that nobody should trust")


def test_kafka_tls__an_authority_we_do_not_know(t):
    _, tls, ca = kafka_tls(t)
    other = Authority(servers.folder(t), "other")
    refuses(t, tls, ["certificate verify failed"], "--storage_driver_kafka_ssl_ca=" + other.path("other.crt"), *with_certificate(ca))
    agent = start_kafka(t, tls, "--storage_driver_kafka_ssl_ca=" + other.path("other.crt"), "--storage_driver_kafka_ssl_verify=false", *with_certificate(ca))
    wait_for(lambda: agent.metrics().get("cgmeter_sink_points_total", driver="kafka") > 0, 20, lambda: "messages without verification: " + agent.log())


def test_kafka_tls__a_certificate_for_another_name(t):
    _, tls, ca = kafka_tls(t, "elsewhere", "DNS:elsewhere.example")
    refuses(t, tls, ["certificate verify failed"], "--storage_driver_kafka_ssl_ca=" + ca.path("ca.crt"), *with_certificate(ca))


def test_kafka_tls__without_a_certificate_of_ours(t):
    _, tls, ca = kafka_tls(t)
    refuses(t, tls, ["certificate required"], "--storage_driver_kafka_ssl_ca=" + ca.path("ca.crt"))
    assert any("PEER_DID_NOT_RETURN_A_CERTIFICATE" in fault for fault in tls.faults), tls.faults


lib.main(globals())
