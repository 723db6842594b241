#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that mean no good, or ask too much: the agent goes on to serve and to sample in time. The fuzzed requests are the same each time."""
import contextlib
import glob
import http.client
import os
import random
import socket
import threading
import time

import lib
from cgroups import Worker, read
from lib import by_speed, equal, note, wait_for

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fuzz/corpus/http")
LARGE = b'POST /api/v1.3/subcontainers/ HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{"num_stats":-1}'


def descriptors(agent):
    return len(os.listdir("/proc/%d/fd" % agent.process.pid))


def rss_mb(agent):
    return int(read("/proc/%d/status" % agent.process.pid).split("VmRSS:")[1].split()[0]) / 1024


def connect(agent, source="127.0.0.1", timeout=20):
    return socket.create_connection(("127.0.0.1", agent.port), timeout=timeout, source_address=(source, 0))


def busy_agent(t, interval, number):
    """It samples that many cgroups of ours, whatever else this machine has."""
    top = t.cgroup()
    kids = [t.cgroup(top, "k%d" % i) for i in range(number)]
    agent = t.agent("--raw_cgroup_prefix_whitelist=" + top.path, interval=interval, storage="1m")
    agent.knows(kids[-1].path)
    return agent


def is_closed(sock):
    """Has the other side ended the connection? What it sent is read and thrown away."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


# ---- malformed requests ----

def mutate(rng, seeds):
    """One request out of the corpus, damaged in some ways."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((0, 1, 1, 2, 4, 16))):
        at, kind = rng.randrange(len(data) + 1), rng.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 1:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        elif kind == 2:
            del data[at:at + rng.randrange(1, 40)]
        elif kind == 3:
            data[at:at] = data[at:at + rng.randrange(1, 200)] * rng.randrange(1, 5)
        elif kind == 4:
            data[at:at] = rng.choice((b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"%", b"%00", b"\r\n\r\n", b"Content-Length: 1\r\n", b"\xff" * 9))
        elif kind == 5:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other)):]
        else:
            data[at:at] = rng.choice((b"0", b"-1", b"65537", b"18446744073709551616", b"0x10", b"1e9", b"a" * 70000))
    return bytes(data)


def send_one(port, request):
    """Sends it, says that no more follows, and reads a bit of the answer; the status that came first, 0 for none."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        try:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(by_speed(0.2, 2))  # one that is not complete gets no answer
            answer = sock.recv(4096)
        except OSError:  # it was closed before all of it was sent
            return 0
    return int(answer[9:12]) if answer[:5] == b"HTTP/" and answer[9:12].isdigit() else 0


def send_many(port, seed, number):
    """{status: how often}."""
    rng, counts = random.Random(seed), {}
    seeds = [open(path, "rb").read() for path in sorted(glob.glob(CORPUS + "/*"))]
    for _ in range(number):
        status = send_one(port, mutate(rng, seeds))
        counts[status] = counts.get(status, 0) + 1
    return counts


def test_abuse__ten_thousand_malformed_requests(t):
    agent = t.agent("--bpf=off")
    for path in sorted(glob.glob(CORPUS + "/*")):
        with open(path, "rb") as f:
            send_one(agent.port, f.read())
    fds, rss, codes = descriptors(agent), rss_mb(agent), {}
    clients = [Worker(None, send_many, (agent.port, seed, by_speed(2500, 250))) for seed in range(4)]
    for client in clients:
        t.callback(client.end)
        client.go()
    for client in clients:
        for status, number in client.result().items():
            codes[status] = codes.get(status, 0) + number
    note("answers: %s" % dict(sorted(codes.items())))
    equal(sum(codes.values()), by_speed(10000, 1000), "requests")
    assert codes.get(400, 0) > by_speed(1000, 100) and codes.get(200, 0) > 10, "the corpus reaches too little: %s" % codes
    equal({code: n for code, n in codes.items() if code >= 500 and code not in (501, 503, 505)}, {}, "faults of ours")
    equal(agent.process.poll(), None, "the agent")
    equal(agent.get("/healthz").status, 200, "/healthz")
    wait_for(lambda: descriptors(agent) <= fds + 2, 15, lambda: "return of the descriptors: %d, were %d" % (descriptors(agent), fds))
    note("RSS grew by %.1f MB" % (rss_mb(agent) - rss))
    assert rss_mb(agent) - rss < 16, "RSS grew by %.1f MB" % (rss_mb(agent) - rss)
    agent.wait_ticks()
    metrics = agent.metrics()
    assert metrics.get("cgmeter_http_rejected_total", reason="malformed") > by_speed(1000, 100), "malformed requests are not counted"
    assert agent.json("/api/v1.3/containers/", num_stats=1)["name"] == "/", "afterwards"


# ---- slow clients ----

def dribble(socks, seconds, until):
    """A byte now and then on each, so that none is ever silent."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until.is_set():
        for sock in socks:
            try:
                sock.send(b"x")
            except OSError:
                pass
        time.sleep(0.2)


def test_abuse__slow_loris(t):
    agent = t.agent("--bpf=off", "--http_request_timeout=4s")
    socks, stop = [], threading.Event()
    for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        for _ in range(110):
            socks.append(connect(agent, source))
            socks[-1].send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
    for sock in socks:
        t.callback(sock.close)
    feeder = threading.Thread(target=dribble, args=(socks, 30, stop))
    t.callback(stop.set)
    feeder.start()
    began = time.monotonic()
    # 330 of them want 256 places. Whoever asks honestly waits until the first of them have had their time.
    equal(agent.get("/metrics").status, 200, "an honest client meanwhile")
    first = time.monotonic() - began
    wait_for(lambda: all(is_closed(sock) for sock in socks), 30, "end of all slow clients")
    stop.set()
    feeder.join()
    note("first honest answer after %.2f s, all slow clients gone after %.1f s" % (first, time.monotonic() - began))
    assert first < by_speed(6, 12), "an honest client waited %.1f s" % first
    agent.wait_ticks()
    dropped = agent.metrics().get("cgmeter_http_dropped_connections_total", reason="slow_request")
    assert dropped >= 250, "%d were counted as slow" % dropped
    began = time.monotonic()
    equal(agent.get("/metrics").status, 200, "afterwards")
    assert time.monotonic() - began < by_speed(1, 5), "it is slow afterwards"


def test_abuse__connections_of_one_address(t):
    agent = t.agent("--bpf=off", "--http_max_connections_per_address=20")
    socks = [connect(agent, "127.0.0.2") for _ in range(40)]
    for sock in socks:
        t.callback(sock.close)
    wait_for(lambda: sum(is_closed(sock) for sock in socks) >= 20, 5, "20 connections that are turned away")
    equal(sum(is_closed(sock) for sock in socks), 20, "connections turned away")
    equal(agent.get("/healthz").status, 200, "others")
    agent.wait_ticks()
    equal(agent.metrics().get("cgmeter_http_rejected_total", reason="connections_of_address"), 20, "count")


def test_abuse__slow_readers_of_large_answers(t):
    """Each wants all samples of all cgroups, at another moment, and reads a byte a second."""
    agent = busy_agent(t, "50ms", by_speed(40, 10))
    time.sleep(by_speed(15, 30))  # some hundred samples of each
    size = len(agent.request("POST", "/api/v1.3/subcontainers/", '{"num_stats": -1}').body)
    note("an answer of %.1f MB" % (size / 2**20))
    rss = rss_mb(agent)
    socks, refused = [], 0
    for _ in range(24):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", agent.port))
        t.callback(sock.close)
        sock.sendall(LARGE)
        answer = sock.recv(300)
        if b" 503 " in answer:
            refused += 1
            assert b"Retry-After: 1" in answer, answer
        else:
            socks.append(sock)
        time.sleep(0.05)
    equal((len(socks), refused), (16, 8), "served, refused")
    grown = rss_mb(agent) - rss
    note("RSS grew by %.1f MB while 16 read slowly" % grown)
    equal(agent.get("/metrics").status, 200, "/metrics meanwhile")
    began = time.monotonic()
    while agent.metrics().get("cgmeter_http_large_answers") and time.monotonic() - began < 40:
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.recv(1)
        time.sleep(1)
    took = time.monotonic() - began
    note("they were dropped after %.1f s" % took)
    assert took < by_speed(15, 40), "they held their snapshots for %.0f s" % took
    equal(agent.metrics().get("cgmeter_http_dropped_connections_total", reason="slow_reader"), 16, "slow readers dropped")
    equal(agent.metrics().get("cgmeter_http_rejected_total", reason="large_answers"), 8, "large answers refused")
    assert grown < 40, "RSS grew by %.1f MB" % grown


# ---- many clients ----

def scrape(port, times, gate, out):
    gate.wait()
    for _ in range(times):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        out.append((response.status, len(response.read())))
        connection.close()


def test_abuse__fifty_parallel_scrapers(t):
    agent = t.agent("--bpf=off")
    gate, out = threading.Barrier(50), []
    threads = [threading.Thread(target=scrape, args=(agent.port, 10, gate, out)) for _ in range(50)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    note("500 scrapes by 50 at once in %.2f s" % (time.monotonic() - began))
    equal(len(out), 500, "answers")
    equal({status for status, _ in out}, {200}, "statuses")
    assert min(size for _, size in out) > 1000, "an answer is short"


def ask_for_much(port, seconds):
    """Recursive answers of 60 samples, one after the other; thrown away. How many came, and how many were refused."""
    os.nice(19)  # such a client is elsewhere: here it must not take the sampler's CPU
    end, answers, refused = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/api/v1.3/subcontainers/", '{"num_stats": 60}')
        response = connection.getresponse()
        while response.read(1 << 18):
            pass
        connection.close()
        answers += response.status == 200
        refused += response.status == 503
    return answers, refused


def test_abuse__the_sampler_stays_on_time(t):
    """
    A storm of recursive requests from 8 clients. What else runs here makes rounds late as well, so the best of some windows counts:
    a server that holds up the sampler does so in all of them.
    """
    agent = busy_agent(t, "100ms", by_speed(60, 10))
    time.sleep(by_speed(7, 10))
    worst = []
    for _ in range(5):
        clients = [Worker(None, ask_for_much, (agent.port, 7)) for _ in range(8)]
        for client in clients:
            t.callback(client.end)
            client.go()
        time.sleep(6.8)  # the most of the last 60 rounds
        worst.append(agent.metrics().get("cgmeter_tick_late_max_seconds") * 1000)
        answers = [client.result() for client in clients]
        for client in clients:
            client.end()
        note("%d answers, %d refused; the latest of 60 rounds began %.2f ms late" % (
            sum(a for a, _ in answers), sum(r for _, r in answers), worst[-1]))
        assert sum(a for a, _ in answers) > by_speed(50, 5), "that was no storm"
        if worst[-1] <= by_speed(10, 200):
            break
    assert min(worst) <= by_speed(10, 200), "rounds began %s ms late" % worst


lib.main(globals())
