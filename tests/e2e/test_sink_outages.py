#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Storage drivers whose real servers are restarted, killed, stopped in their tracks or not there; and the end of the agent."""
import os
import signal
import socket

import lib
import servers
from agent import free_port, wait_for
from lib import equal
from servers import many_cgroups, need_speed
from sinks import beside, each_tick, influxdb, lost, told, undisturbed, watched


def test_redis__restarted(t):
    port = free_port()
    server = servers.Redis(t, port=port)
    agent = watched(t, "--storage_driver=redis", "--storage_driver_host=127.0.0.1:%d" % port)
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
    agent = watched(t, "--storage_driver=redis", "--storage_driver_host=127.0.0.1:%d" % server.port)
    wait_for(lambda: lost(agent.metrics(), "redis").get("rejected", 0) > 0, 10, "rejection")
    assert "WRONGTYPE" in agent.log(), agent.log()
    equal(server.command("GET", "cadvisor"), b"text", "what stood there")


def test_redis__hangs(t):
    """A server that is stopped in its tracks, and goes on."""
    server = servers.Redis(t)
    agent = watched(t, "--storage_driver=redis", "--storage_driver_host=127.0.0.1:%d" % server.port)
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
    agent = watched(t, "--storage_driver=statsd", "--storage_driver_host=127.0.0.1:%d" % port)
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
    interval = "1s" if many_cgroups() else "50ms"
    agent = t.agent("--bpf=off", "--storage_driver=stdout", "--storage_driver_timeout=500ms", "--storage_driver_stop_timeout=1s", interval=interval,
                    before_exec=lambda: os.dup2(write_end, 1))
    os.close(write_end)
    beside(t, agent, interval)
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
    agent = watched(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % fake.port, "--storage_driver_buffer_duration=1h")
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
        agent = watched(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % port, "--storage_driver_timeout=60s",
                      "--storage_driver_stop_timeout=1s")
        agent.wait_ticks(5)
        status, seconds = agent.stop(seconds=15)
        equal(status, 0, "exit status")
        assert 0.9 < seconds < 2.5, "the end took %.1f s" % seconds
        written, gone = told(agent)
        assert written == 0 and gone > 0, (written, gone)


lib.main(globals())
