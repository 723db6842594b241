#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A storage driver whose HTTP server refuses, hangs, is slow, fails, closes in the middle, and comes back. Nothing is lost while the queue holds,
what is lost is counted, and the sampler does not feel any of it.
"""
import time

import lib
import servers
from agent import free_port, wait_for
from lib import equal
from servers import many_cgroups
from sinks import finish, influxdb, lost, told, undisturbed

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


lib.main(globals())
