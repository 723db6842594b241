#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the page asks for, against what happened: rows that changed, samples by column, and the trail that is kept while somebody looks."""
import time

import lib
from lib import by_speed, equal, near, wait_for

MIB = 1 << 20


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def sleep_often(times):
    for _ in range(times):
        time.sleep(0.002)


def rows(agent, seen=None):
    return agent.json("/api/cgmeter/rows" + ("?since=%d&agent=%s" % (seen["seq"], seen["agent"]) if seen else ""))


def test_rows__tell_what_changed(t):
    agent = t.agent(pin_dir="")
    cgroup, idle = t.cgroup(), t.cgroup()
    agent.knows(cgroup.path)
    agent.knows(idle.path)
    agent.wait_ticks()
    first = rows(agent)
    equal(len(first["ids"]), first["nr_rows"], "ids of all rows")
    equal(first["names"]["id"], first["ids"], "who has a name")
    number = first["ids"].index(first["names"]["id"][first["names"]["name"].index(cgroup.path)])
    worker = cgroup.worker(burn, 0.3)
    before = cgroup.cpu_ns()
    worker.run()
    agent.wait_ticks()
    now = rows(agent, first)
    assert number in now["changed"]["row"], "a cgroup that burned CPU has not changed"
    i, k = now["changed"]["row"].index(number), first["changed"]["row"].index(number)
    gained = now["changed"]["cpu_usage_ns"][i] - first["changed"]["cpu_usage_ns"][k]
    assert 0.3e9 <= gained <= cgroup.cpu_ns() - before + 50e6, "%d ns were told, 300 ms were burned" % gained
    # Pressure that decays is a change, too: so it is another cgroup, which never did anything, that must stand still.
    still = first["ids"].index(first["names"]["id"][first["names"]["name"].index(idle.path)])
    assert still not in now["changed"]["row"], "an idle cgroup has changed"


def test_rows__come_and_go(t):
    agent = t.agent(pin_dir="")
    seen = rows(agent)
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    now = rows(agent, seen)
    assert cgroup.path in now["names"]["name"], "a new cgroup has no name"
    assert len(now["names"]["name"]) < len(now["ids"]), "names that the reader knows come again"
    number = now["names"]["id"][now["names"]["name"].index(cgroup.path)]
    cgroup.remove()
    gone = wait_for(lambda: (lambda a: a if "ids" in a and number not in a["ids"] else None)(rows(agent, now)), by_speed(5, 60), "the cgroup to go")
    equal(len(gone["ids"]), gone["nr_rows"], "ids")
    other = rows(agent, {"seq": gone["seq"], "agent": "1"})
    equal(other["since"], 0, "what another agent's reader is told")


def test_series__adds_up(t):
    agent = t.agent(pin_dir="", interval="200ms")
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    path = "/api/cgmeter/series" + cgroup.path
    first = agent.json(path)
    worker = cgroup.worker(burn, 0.4)
    begin = cgroup.cpu_ns()
    # In three pieces, as a page asks: together they are the whole.
    worker.go()
    told, next_ns = 0, first["next"]
    for _ in range(3):
        time.sleep(0.4)
        answer = agent.json(path + "?since=" + next_ns)
        assert None not in answer["dt_us"], "the sample that the reader has is not known any more"
        told, next_ns = told + sum(answer["values"]["cpu.usage.total"]), answer["next"]
    worker.result()
    agent.wait_ticks(3)
    told += sum(agent.json(path + "?since=" + next_ns)["values"]["cpu.usage.total"])
    near(told, cgroup.cpu_ns() - begin, relative=0.02, absolute=30e6, what="ns of CPU")
    step = agent.json(path + "?step=1000")
    assert len(step["t_us"]) < len(agent.json(path)["t_us"]) / 2, "steps leave nothing out"


def test_series__has_a_trail_while_somebody_looks(t):
    agent = t.bpf_agent(groups=["sched_switch"], interval="200ms")
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    root = agent.json("/api/cgmeter/series/")
    assert any(cell for cell in root["heat"]["runq_delay"]), "the machine has no trail"
    path = "/api/cgmeter/series" + cgroup.path
    agent.json(path)  # somebody looks
    agent.wait_ticks(3)
    first = agent.json(path)
    worker = cgroup.worker(sleep_often, 200)
    agent.wait_ticks(3)
    first = agent.json(path)
    before = worker.switches()[0]
    worker.run()
    agent.wait_ticks(3)
    answer = agent.json(path + "?since=" + first["next"])
    near(sum(answer["kernel"]["switches_voluntary"]), worker.switches()[0] - before, absolute=6, what="voluntary switches")
    waits = sum(sum(cell[1:]) for cell in answer["heat"]["runq_delay"] if cell)
    near(waits, worker.switches()[0] - before, relative=0.2, absolute=20, what="waits in the heat map")


def test_series__no_trail_for_nobody(t):
    agent = t.bpf_agent(groups=["sched_switch"], interval="200ms")
    cgroup = t.cgroup()
    cgroup.worker(sleep_often, 100000).go()
    agent.knows(cgroup.path)
    agent.wait_ticks(8)
    answer = agent.json("/api/cgmeter/series" + cgroup.path)
    assert len(answer["t_us"]) >= 5 and not any(answer["heat"]["runq_delay"]), "a trail is kept though nobody looked"
    kept = t.bpf_agent("--keep_latency_history", groups=["sched_switch"], interval="200ms")
    kept.knows(cgroup.path)
    kept.wait_ticks(8)
    assert any(kept.json("/api/cgmeter/series" + cgroup.path)["heat"]["runq_delay"]), "--keep_latency_history keeps nothing"


lib.main(globals())
