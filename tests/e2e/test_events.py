#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Events: containers that come and go, and out-of-memory kills, from the REST API, past and as they come.

    /cgmtest-P-N            limited
        /cgmtest-P-N/victim   grows: the limit is its parent's
"""
import errno
import http.client
import json
import mmap
import os
import signal
import time

import lib
from cgroups import Worker, ignore, trees, write
from lib import by_speed, equal

LIMIT = 16 << 20


def events(agent, path, query, version="v1.3"):
    answer = agent.get("/api/%s/events%s?%s" % (version, path, query))
    assert answer.status == 200, "%d %s" % (answer.status, answer.body[:200])
    return answer.json()


def names(found):
    return [(e["event_type"], e["container_name"]) for e in found]


def seconds_of(event):
    """Of its time stamp, since the epoch."""
    head, _, fraction = event["timestamp"].rstrip("Z").partition(".")
    return time.mktime(time.strptime(head + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone + float("0." + (fraction or "0"))


class Stream:
    """GET …/events?stream=true, a line at a time."""

    def __init__(self, t, agent, path, query):
        self.connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=by_speed(10, 60))
        t.callback(self.connection.close)
        self.connection.request("GET", "/api/v2.0/events%s?stream=true&%s" % (path, query))
        self.response = self.connection.getresponse()
        equal(self.response.status, 200, "status of the stream")

    def next(self):
        return json.loads(self.response.readline())


def test_events__past_containers_are_there(t):
    cgroup = t.cgroup()
    agent = t.agent("--bpf=off")
    found = events(agent, cgroup.path, "creation_events=true")
    equal(names(found), [("containerCreation", cgroup.path)], "its creation, before the agent came")
    spec = agent.json("/api/v2.0/spec" + cgroup.path)[cgroup.path]
    equal(found[0]["timestamp"], spec["creation_time"], "time")
    equal(found[0]["event_data"], {}, "data")
    every = events(agent, "/", "all_events=true&subcontainers=true&max_events=-1")
    assert {c["name"] for c in agent.json("/api/v1.3/subcontainers/", num_stats=0)} <= {e["container_name"] for e in every}
    times = [e["timestamp"] for e in every]
    equal(times, sorted(times), "order")
    # The filter comes before the limit: cAdvisor finds nothing here once ten others are younger.
    equal(names(events(agent, cgroup.path, "all_events=true&max_events=1")), [("containerCreation", cgroup.path)], "one event")
    equal(events(agent, cgroup.path, ""), [], "without a type")


def comes_and_goes(t, agent, seconds):
    """Makes and removes a container; both are told within that time."""
    stream = Stream(t, agent, "/", "creation_events=true&deletion_events=true&subcontainers=true")
    began = time.time()
    cgroup = t.cgroup()
    path = cgroup.path

    def next_of_ours():
        while True:
            event = stream.next()
            if event["container_name"] == path:
                return event

    made = next_of_ours()
    assert time.time() - began < seconds, "creation was told after %.2f s" % (time.time() - began)
    equal(made["event_type"], "containerCreation", "first")
    assert began - 0.1 <= seconds_of(made) <= time.time() + 0.1, "%s is not the time of its creation" % made["timestamp"]
    began = time.time()
    cgroup.remove()
    gone = next_of_ours()
    assert time.time() - began < seconds, "deletion was told after %.2f s" % (time.time() - began)
    equal(gone["event_type"], "containerDeletion", "second")
    equal(gone["event_data"], {"container_deletion": {"exit_code": -1}}, "data")
    equal(names(events(agent, path, "all_events=true")), [("containerCreation", path), ("containerDeletion", path)], "afterwards")


def test_events__come_and_go_within_a_second(t):
    agent = t.bpf_agent(groups=("cgroup_mkdir",), interval="1s")
    comes_and_goes(t, agent, by_speed(1, 5))


def test_events__come_and_go_without_a_kernel_side(t):
    agent = t.agent("--bpf=off", interval="500ms")
    comes_and_goes(t, agent, by_speed(2, 15))


def test_events__shorter_than_any_look(t):
    """A hundred that are gone at once: each has come once and gone once, also where it is several directories."""
    agent = t.bpf_agent(groups=("cgroup_mkdir",))
    points = sorted(set(trees.mounts.values()))
    paths = ["/cgmtest-ghost-%d-%d" % (os.getpid(), i) for i in range(100)]
    for path in paths:
        for point in points:
            os.mkdir(point + path)
        for point in points:
            os.rmdir(point + path)

    def settled():
        found = names(events(agent, "/", "creation_events=true&deletion_events=true&subcontainers=true&max_events=-1"))
        return all(("containerDeletion", path) in found for path in paths) and found
    found = lib.wait_for(settled, by_speed(5, 30), "deletion of each")
    for path in paths:
        equal([kind for kind, name in found if name == path], ["containerCreation", "containerDeletion"], path)


def grow(megabytes):
    for _ in range(megabytes):
        area = mmap.mmap(-1, 1 << 20)
        area.write(b"x" * (1 << 20))
        kept.append(area)


kept = []


def provoke(t, agent):
    """A child of a limited cgroup grows until it is killed: (limited, victim's cgroup, its pid)."""
    limited = t.cgroup()
    ignore((errno.ENOENT, errno.EACCES), write, limited.file("memory", "memory.max" if trees.v2 else "memory.limit_in_bytes"), LIMIT)
    ignore((errno.ENOENT, errno.EACCES), write, limited.file("memory", "memory.swap.max" if trees.v2 else "memory.memsw.limit_in_bytes"),
           0 if trees.v2 else LIMIT)
    if not os.path.exists(limited.file("memory", "memory.max" if trees.v2 else "memory.limit_in_bytes")):
        raise lib.Skip("memory controller")
    if not trees.v2:
        ignore((errno.EBUSY, errno.EINVAL, errno.ENOENT), write, limited.file("memory", "memory.use_hierarchy"), 1)
    victim = t.cgroup(limited, "victim")
    agent.knows(victim.path)
    agent.wait_ticks(2)
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            victim.enter()
            grow(4 * (LIMIT >> 20))
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        raise lib.Skip("OOM kill of a memory cgroup (it went on)")
    return limited, victim, pid


def oom_events(agent, limited):
    return [e for e in events(agent, limited.path, "oom_events=true&oom_kill_events=true&subcontainers=true&max_events=-1")]


def test_events__oom_names_the_victim_and_the_limit(t):
    agent = t.bpf_agent(groups=("cgm_oom",))
    stream = Stream(t, agent, "/", "oom_kill_events=true&subcontainers=true")
    limited, victim, pid = provoke(t, agent)
    found = lib.wait_for(lambda: oom_events(agent, limited), by_speed(2, 20), "events of the kill")
    equal(names(found), [("oom", limited.path), ("oomKill", victim.path)], "the limit's container, then the victim's")
    equal(found[0]["event_data"], {}, "data of oom")
    equal(found[1]["event_data"], {"oom": {"pid": pid, "process_name": "python3", "constraint": "CONSTRAINT_MEMCG"}}, "data of oomKill")
    equal(stream.next(), found[1], "in the stream")
    assert "killed process %d (python3) of %s" % (pid, victim.path) in agent.log(), agent.log()


def test_events__oom_by_counters(t):
    agent = t.agent("--bpf=off", interval="500ms")
    assert "come from counters" in agent.log() or "victims of the out-of-memory killer" in agent.log(), "it is not said"
    limited, victim, _ = provoke(t, agent)
    # The kernel counts for the victim's cgroup; on v2 for its ancestors, too, which must not make events of theirs.
    found = lib.wait_for(lambda: oom_events(agent, limited), by_speed(25, 90), "events of the kill")
    equal(names(found), [("oom", victim.path), ("oomKill", victim.path)], "the victim's container")
    equal(found[1]["event_data"], {"oom": {"pid": 0, "process_name": "", "constraint": ""}}, "data")


def test_events__limits(t):
    for _ in range(4):
        t.cgroup()
    agent = t.agent("--bpf=off", "--event_storage_event_limit=default=3,containerDeletion=0")
    equal(len(events(agent, "/", "all_events=true&subcontainers=true&max_events=-1")), 3, "as many as may be kept")
    metrics = agent.metrics()
    equal(metrics.get("cgmeter_events_stored"), 3, "stored")
    equal(metrics.get("cgmeter_events_total"), 3 + metrics.get("cgmeter_events_evicted_total"), "all of them")
    equal(metrics.get("cgmeter_events_lost_total"), 0, "lost")


def hold(path, port, seconds):
    """A client that follows and never reads."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    connection.request("GET", path)
    connection.getresponse()
    time.sleep(seconds)


def test_events__streams_that_nobody_reads(t):
    agent = t.bpf_agent(groups=("cgroup_mkdir",), interval="200ms")
    clients = [Worker(None, hold, ("/api/v1.3/events/?stream=true&all_events=true&subcontainers=true", agent.port, 60)) for _ in range(20)]
    for client in clients:
        t.callback(client.end)
        client.go()
    lib.wait_for(lambda: agent.metrics().get("cgmeter_events_streams") == 20, by_speed(5, 30), "20 streams")
    before = agent.metrics()
    for i in range(200):
        path = trees.mounts[sorted(trees.mounts)[0]] + "/cgmtest-many-%d-%d" % (os.getpid(), i)
        os.mkdir(path)
        os.rmdir(path)
    comes_and_goes(t, agent, by_speed(1, 5))
    after = agent.metrics()
    assert after.get("cgmeter_missed_ticks_total") - before.get("cgmeter_missed_ticks_total") <= by_speed(0, 5), "ticks were late"
    for client in clients:
        client.end()
    # The one that looked on itself is still there.
    lib.wait_for(lambda: agent.metrics().get("cgmeter_events_streams") == 1, by_speed(5, 30), "end of streams whose clients are gone")


lib.main(globals())
