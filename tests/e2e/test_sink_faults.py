#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Storage drivers whose servers refuse, hang, are slow, fail, close in the middle, and come back. Nothing is lost while the queue holds, what is
lost is counted, and the sampler does not feel any of it.
"""
import os
import re
import signal
import socket
import time

import lib
import servers
from agent import free_port, wait_for
from lib import equal, note
from servers import many_cgroups, need_speed


def start(t, *options):
    """A try takes three times as long as a tick: who waits for one misses ticks."""
    need_speed()
    interval, timeout = ("1s", "3s") if many_cgroups() else ("200ms", "600ms")
    agent = t.agent("--bpf=off", "--storage_driver_buffer_duration=300ms", "--storage_driver_timeout=" + timeout, "--storage_driver_stop_timeout=10s", *options,
                    interval=interval)
    agent.missed = agent.metrics().get("cgmeter_missed_ticks_total")  # by its first look at everything
    return agent


def influxdb(t, port, *options):
    return start(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % port, *options)


def told(agent, driver="influxdb"):
    m = re.search(r"storage driver %s: (\d+) points written, (\d+) lost" % driver, agent.log())
    assert m, agent.log()
    return int(m.group(1)), int(m.group(2))


def lost(page, driver="influxdb"):
    return {labels["reason"]: value for labels, value in page.all("cgmeter_sink_lost_total", driver=driver) if value}


def each_tick(lines, ticks):
    """The machine's samples: one a tick, none left out. Returns how many there are."""
    times = {time for name, tags, time in lines if name == "memory_usage" and ("container_name", "/") in tags}
    assert len(times) >= ticks, "%d samples of %d ticks" % (len(times), ticks)
    return len(times)


def undisturbed(agent):
    """Returns the page. One tick may be missed because the machine is busy with other things."""
    page = agent.metrics()
    missed = page.get("cgmeter_missed_ticks_total") - agent.missed
    assert missed <= 1, "%d ticks were missed" % missed
    equal(page.get("cgmeter_lost_samples_total"), 0, "lost samples")
    return page


def finish(agent, fake):
    """Ends the agent: all that it counts as written is there, one sample a tick, and nothing is lost."""
    agent.wait_ticks(3)
    ticks = agent.ticks()
    agent.stop(seconds=15)
    lines = servers.lines(fake.accepted())
    equal(told(agent), (len(lines), 0), "points")
    note("%d samples, %d lines" % (each_tick(lines, ticks), len(lines)))


ACCEPT = (204, {}, b"")


def through(t, fault):
    """The server has a fault for some time, then is well. Everything arrives, at last."""
    state = {"fault": False}
    fake = servers.Fake(t, lambda request: fault(request) if state["fault"] else ACCEPT)
    agent = influxdb(t, fake.port)
    wait_for(fake.accepted, 5, "first batch")
    state["fault"] = True
    time.sleep(8 if many_cgroups() else 2.5)
    page = undisturbed(agent)
    assert page.get("cgmeter_sink_retries_total", driver="influxdb") >= 1, "no retry"
    equal(lost(page), {}, "lost while the queue holds")
    state["fault"] = False
    wait_for(lambda: "writing again" in agent.log(), 15, lambda: "recovery: " + agent.log())
    finish(agent, fake)
    return agent, fake


def test_fault__503(t):
    agent, _ = through(t, lambda request: (503, {}, b"overloaded"))
    assert "status 503: overloaded" in agent.log(), agent.log()


def test_fault__500(t):
    through(t, lambda request: (500, {}, b'{"error":"engine: error"}'))


def test_fault__hangs(t):
    agent, _ = through(t, lambda request: "hang")
    assert "no answer in time" in agent.log(), agent.log()


def test_fault__closes_in_the_middle(t):
    through(t, lambda request: "close")


def test_fault__accepts_and_then_loses_the_answer(t):
    """The batch was taken, the answer was not seen: it comes a second time, and stands there once."""
    fake_requests = []

    def late(request):
        fake_requests.append(request)
        return "hang"

    _, fake = through(t, late)
    again = {r.body for r in fake_requests} & {r.body for r in fake.accepted()}
    assert again, "no batch came a second time, byte by byte"


def test_fault__slow_answers(t):
    """Within the timeout: no fault at all, and the queue does not grow."""
    def slowly(request):
        time.sleep(0.25)
        return ACCEPT

    fake = servers.Fake(t, slowly)
    agent = influxdb(t, fake.port)
    agent.wait_ticks(12)
    page = undisturbed(agent)
    equal((page.get("cgmeter_sink_retries_total", driver="influxdb"), lost(page)), (0, {}), "retries and losses")
    agent.stop(seconds=15)
    equal(told(agent), (len(servers.lines(fake.accepted())), 0), "points")


def test_fault__nobody_there(t):
    """Refused from the beginning; the server comes later."""
    port = free_port()
    agent = influxdb(t, port)
    wait_for(lambda: "onnect" in agent.log(), 5, lambda: "complaint: " + agent.log())
    time.sleep(1.5)
    undisturbed(agent)
    fake = servers.Fake(t, port=port)
    wait_for(lambda: "writing again" in agent.log(), 15, lambda: "recovery: " + agent.log())
    finish(agent, fake)
    equal(agent.log().count("warning: storage driver"), 1, "one complaint about one trouble: " + agent.log())


def test_fault__retry_after(t):
    """A server that says when is not asked earlier."""
    asked = []

    def behave(request):
        asked.append(request.time)
        return (429, {"Retry-After": "2"}, b"slow down") if len(asked) == 1 else ACCEPT

    fake = servers.Fake(t, behave)
    agent = influxdb(t, fake.port)
    wait_for(lambda: len(asked) >= 2, 10, "second try")
    assert 2.0 <= asked[1] - asked[0] < 3.5, "it came back after %.2f s" % (asked[1] - asked[0])
    agent.stop(seconds=15)
    equal(told(agent), (len(servers.lines(fake.accepted())), 0), "points")


def test_fault__400_is_final(t):
    """One batch is refused: it is lost, counted and not sent again; the next go on."""
    refused = []

    def behave(request):
        if len(refused) < 2:
            refused.append(request)
            words = [b'{"error":"unable to parse"}', b'{"error":"partial write: field type conflict dropped=3"}'][len(refused) - 1]
            return 400, {}, words
        return ACCEPT

    fake = servers.Fake(t, behave)
    agent = influxdb(t, fake.port)
    wait_for(lambda: len(fake.accepted()) >= 2, 10, "batches that are taken")
    whole, part = (len(servers.lines([r])) for r in refused)
    agent.wait_ticks(2)
    page = agent.metrics()
    equal(lost(page), {"rejected": whole + 3}, "lost")
    equal(page.get("cgmeter_sink_retries_total", driver="influxdb"), 0, "retries")
    agent.stop(seconds=15)
    equal(told(agent), (len(servers.lines(fake.accepted())) + part - 3, whole + 3), "points")
    assert "unable to parse" in agent.log(), agent.log()


def test_fault__a_full_queue_loses_the_oldest(t):
    state = {"up": False}
    fake = servers.Fake(t, lambda request: ACCEPT if state["up"] else (503, {}, b""))
    agent = influxdb(t, fake.port, "--storage_driver_queue_batches=4")
    wait_for(lambda: lost(agent.metrics()).get("queue_full", 0) > 0, 15, "loss")
    page = undisturbed(agent)
    assert page.get("cgmeter_sink_queue_bytes", driver="influxdb") > 0
    state["up"] = True
    wait_for(lambda: "writing again" in agent.log(), 40, lambda: "recovery: " + agent.log())
    agent.wait_ticks(3)
    reasons = lost(agent.metrics())
    agent.stop(seconds=15)
    lines = servers.lines(fake.accepted())
    equal(told(agent), (len(lines), reasons["queue_full"]), "points")
    equal(set(reasons), {"queue_full"}, "reasons")
    assert agent.log().count("its queue is full") == 1, agent.log()


def test_redis__restarted(t):
    port = free_port()
    server = servers.Redis(t, port=port)
    agent = start(t, "--storage_driver=redis", "--storage_driver_host=127.0.0.1:%d" % port)
    wait_for(lambda: server.command("LLEN", "cadvisor") > 0, 5, "documents")
    agent.wait_ticks(2)
    first = len(server.command("LRANGE", "cadvisor", 0, -1))
    server.stop()
    wait_for(lambda: "trying again" in agent.log(), 10, "trouble")
    agent.wait_ticks(3)
    undisturbed(agent)
    server = servers.Redis(t, port=port)
    wait_for(lambda: "writing again" in agent.log(), 15, lambda: "recovery: " + agent.log())
    agent.stop(seconds=15)
    there = server.command("LLEN", "cadvisor")
    written, gone = told(agent, "redis")
    equal(gone, 0, "lost")
    # What was written between our look and its end is in the first server, which kept it in memory alone.
    assert there + first <= written, (there, first, written)


def test_redis__a_key_of_another_kind(t):
    server = servers.Redis(t)
    server.command("SET", "cadvisor", "text")
    agent = start(t, "--storage_driver=redis", "--storage_driver_host=127.0.0.1:%d" % server.port)
    wait_for(lambda: lost(agent.metrics(), "redis").get("rejected", 0) > 0, 10, "rejection")
    assert "WRONGTYPE" in agent.log(), agent.log()
    equal(server.command("GET", "cadvisor"), b"text", "what stood there")


def test_redis__hangs(t):
    """A server that is stopped in its tracks, and goes on."""
    server = servers.Redis(t)
    agent = start(t, "--storage_driver=redis", "--storage_driver_host=127.0.0.1:%d" % server.port)
    wait_for(lambda: server.command("LLEN", "cadvisor") > 0, 5, "documents")
    server.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: "no answer in time" in agent.log(), 10, lambda: "trouble: " + agent.log())
        undisturbed(agent)
    finally:
        server.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "writing again" in agent.log(), 15, lambda: "recovery: " + agent.log())
    agent.stop(seconds=15)
    written, gone = told(agent, "redis")
    equal(gone, 0, "lost")
    # Pushed, and its answer not waited for: such a batch may stand there twice, but none is missing.
    documents = server.command("LRANGE", "cadvisor", 0, -1)
    equal(len(set(documents)), written, "different documents")


def test_influxdb__killed_and_started_again(t):
    need_speed()
    server = servers.Influxdb(t)
    agent = influxdb(t, server.port, "--storage_driver_influxdb_create_database")
    wait_for(lambda: server.values("cadvisor", "memory_usage", container_name="/") if "cadvisor" in str(server.query("SHOW DATABASES")) else None, 10, "points")
    server.process.kill()
    server.process.wait()
    wait_for(lambda: "trying again" in agent.log(), 10, "trouble")
    agent.wait_ticks(5)
    undisturbed(agent)
    server = servers.Influxdb(t, path=server.path, port=server.port)
    wait_for(lambda: "writing again" in agent.log(), 40, lambda: "recovery: " + agent.log())
    agent.wait_ticks(2)
    ticks = agent.ticks()
    agent.stop(seconds=15)
    equal(told(agent)[1], 0, "lost")
    times = sorted(server.values("cadvisor", "memory_usage", container_name="/"))
    assert len(times) >= ticks, "%d samples of %d ticks" % (len(times), ticks)


def test_statsd__nobody_there(t):
    """UDP: a host that says that nobody listens. The agent goes on, and sends when somebody does."""
    port = free_port()
    agent = start(t, "--storage_driver=statsd", "--storage_driver_host=127.0.0.1:%d" % port)
    wait_for(lambda: "Connection refused" in agent.log(), 5, lambda: "complaint: " + agent.log())
    undisturbed(agent)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", port))
        s.settimeout(15)
        assert s.recv(65536).startswith(b"cadvisor."), "no datagram"
        agent.stop(seconds=15)


def test_stdout__nobody_reads(t):
    """A pipe that is full: the sampler goes on."""
    need_speed()
    read_end, write_end = os.pipe()
    t.callback(os.close, read_end)
    agent = t.agent("--bpf=off", "--storage_driver=stdout", "--storage_driver_timeout=500ms", "--storage_driver_stop_timeout=1s",
                    interval="1s" if many_cgroups() else "50ms", before_exec=lambda: os.dup2(write_end, 1))
    agent.missed = agent.metrics().get("cgmeter_missed_ticks_total")
    os.close(write_end)
    wait_for(lambda: "nobody reads standard output" in agent.log(), 20, lambda: "complaint: " + agent.log())
    before = agent.ticks()
    agent.wait_ticks(10)
    undisturbed(agent)
    assert agent.ticks() > before
    status, seconds = agent.stop(seconds=15)
    equal(status, 0, "exit status")
    assert seconds < 3, "the end took %.1f s" % seconds


def test_end__writes_what_is_left(t):
    """Long before the buffer's time is over: up to the last tick."""
    fake = servers.Fake(t)
    agent = start(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % fake.port, "--storage_driver_buffer_duration=1h")
    agent.wait_ticks(5)
    ticks = agent.ticks()
    status, seconds = agent.stop(seconds=15)
    equal(status, 0, "exit status")
    assert seconds < 2, "the end took %.1f s" % seconds
    lines = servers.lines(fake.accepted())
    equal(told(agent), (len(lines), 0), "points")
    each_tick(lines, ticks)


def test_end__does_not_wait_for_ever(t):
    for behave in (lambda request: "hang", lambda request: (503, {"Retry-After": "60"}, b""), None):
        port = servers.Fake(t, behave).port if behave else free_port()
        agent = start(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % port, "--storage_driver_timeout=60s",
                      "--storage_driver_stop_timeout=1s")
        agent.wait_ticks(5)
        status, seconds = agent.stop(seconds=15)
        equal(status, 0, "exit status")
        assert 0.9 < seconds < 2.5, "the end took %.1f s" % seconds
        written, gone = told(agent)
        assert written == 0 and gone > 0, (written, gone)


lib.main(globals())
