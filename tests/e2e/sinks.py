# SPDX-License-Identifier: Apache-2.0
"""What the tests of storage drivers share."""
import calendar
import json
import re
import time

import servers
from lib import equal, note
from servers import many_cgroups, need_speed


STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z$")


def ns_of(stamp):
    m = STAMP.match(stamp)
    seconds = calendar.timegm(time.strptime(m.group(1), "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int((m.group(2) or "0").ljust(9, "0"))


def history(agent, path):
    """{time in ns: ContainerStats} of all samples that REST still has."""
    return {ns_of(s["timestamp"]): s for s in agent.json("/api/v1.3/containers" + path, num_stats=-1).get("stats", [])}


def start(t, *options, **keywords):
    need_speed()
    return t.agent("--bpf=off", "--storage_driver_buffer_duration=500ms", "--storage_driver_machine_name=node-1", "--storage_driver_stop_timeout=10s",
                   *options, interval="1s" if many_cgroups() else "200ms", **keywords)


def run_a_while(t, agent):
    """Some ticks, with a cgroup that comes and goes. Returns {path: history}; the agent has ended and written all."""
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    agent.wait_ticks(8)
    seen = {cgroup.path: history(agent, cgroup.path)}
    cgroup.remove()
    agent.wait_ticks(3)
    seen["/"] = history(agent, "/")
    status, _ = agent.stop(seconds=15)
    equal(status, 0, "exit status")
    assert len(seen["/"]) >= 10 and len(seen[cgroup.path]) >= 8, {path: len(h) for path, h in seen.items()}
    return seen


def same(wanted, got, what):
    """Each of the samples that REST had is there, with its value."""
    missing = [time for time in wanted if time not in got]
    assert not missing, "%s: %d of %d samples are missing" % (what, len(missing), len(wanted))
    for time, value in wanted.items():
        equal(got[time], value, "%s at %d" % (what, time))


def watched(t, *options):
    """A try takes three times as long as a tick: who waits for one misses ticks."""
    need_speed()
    interval, timeout = ("1s", "3s") if many_cgroups() else ("200ms", "600ms")
    agent = t.agent("--bpf=off", "--storage_driver_buffer_duration=300ms", "--storage_driver_timeout=" + timeout, "--storage_driver_stop_timeout=10s", *options,
                    interval=interval)
    return beside(t, agent, interval)


def beside(t, agent, interval):
    """Another agent without drivers, that feels what else the machine has to do."""
    agent.control = t.agent("--bpf=off", interval=interval)
    agent.missed = missed(agent.control.metrics()) - missed(agent.metrics())
    return agent


def missed(page):
    return page.get("cgmeter_missed_ticks_total")


def influxdb(t, port, *options):
    return watched(t, "--storage_driver=influxdb", "--storage_driver_host=127.0.0.1:%d" % port, *options)


def told(agent, driver="influxdb"):
    """(points written, points lost), as the agent says at its end."""
    m = re.search(r"storage driver %s: (\d+) points written, (\d+) lost" % driver, agent.log())
    assert m, agent.log()
    return int(m.group(1)), int(m.group(2))


def lost(page, driver="influxdb"):
    return {labels["reason"]: value for labels, value in page.all("cgmeter_sink_lost_total", driver=driver) if value}


def through_kafka(t, agent, cluster):
    """Runs a while; what came through the cluster is what REST had. Returns the documents."""
    seen = run_a_while(t, agent)
    documents = [json.loads(m) for m in cluster.stop_reading(told(agent, "kafka")[0])]
    equal(told(agent, "kafka"), (len(documents), 0), "messages")
    for path, samples in seen.items():
        got = {ns_of(d["container_stats"]["timestamp"]): d["container_stats"] for d in documents if d["container_Name"] == path}
        same(samples, got, path)
    return documents


def each_tick(lines, ticks):
    """The machine's samples: one a tick, none left out. Returns how many there are."""
    times = {time for name, tags, time in lines if name == "memory_usage" and ("container_name", "/") in tags}
    assert len(times) >= ticks, "%d samples of %d ticks" % (len(times), ticks)
    return len(times)


def undisturbed(agent):
    """It has missed no more ticks than an agent without drivers has. Returns the page."""
    page = agent.metrics()
    more = missed(page) - missed(agent.control.metrics()) + agent.missed
    assert more <= 2, "%d ticks were missed beyond what the machine's other work cost" % more
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
