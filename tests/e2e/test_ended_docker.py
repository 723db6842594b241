#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Containers of a real dockerd that end between two ticks: who they were and what they counted is there at the next scrape, and goes after --ended_duration."""
import re
import time

import lib
import prom
import runtimes
from agent import by_speed, wait_for
from lib import equal, near

# Burns for 300 ms, holds 20 MiB, and says as the last thing what its cgroup has used by then.
SAY = "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || grep usage_usec /sys/fs/cgroup/cpu.stat"
BURN = "dd if=/dev/zero of=/dev/null bs=20M count=1 2>/dev/null; now() { read -r u _ < /proc/uptime; u=${u%.*}${u#*.}; }; now; e=$((u + 30)); " \
       "while [ $u -lt $e ]; do now; done; " + SAY
GAUGES = ("container_memory_usage_bytes", "container_memory_working_set_bytes", "container_processes", "container_tasks_state", "container_spec_memory_limit_bytes",
          "container_health_state", "cgmeter_container_sockets")


def run(service, name, *options):
    """CPU time in ns, as the container saw it."""
    said = service.command("run", "--name", name, "--network=none", *options, runtimes.IMAGE, "sh", "-c", BURN)
    number = int(re.search(r"(\d+)\s*$", said).group(1))
    return number * 1000 if "usage_usec" in said else number


def agent_of(t, service, *options):
    agent = t.bpf_agent("--docker=unix://" + service.socket, "--podman=", "--containerd=", "--crio=", *options, groups=("cgroup_mkdir", "cgroup_notify_populated"))
    wait_for(lambda: agent.metrics().get("cgmeter_runtime_connected", runtime="docker") == 1, by_speed(10, 60), "connection")
    return agent


def page(agent, path):
    """Without the times behind the values."""
    return prom.Metrics(re.sub(r" \d{13}$", "", agent.get(path).body.decode(), flags=re.M))


def check(metrics, name, used_ns):
    shown = metrics.sum("container_cpu_usage_seconds_total", name=name) * 1e9
    note = "CPU time of %s: %.1f ms, it saw %.1f" % (name, shown / 1e6, used_ns / 1e6)
    lib.note(note)
    near(shown, used_ns, relative=0.01, absolute=by_speed(10e6, 100e6), what=note)
    near(metrics.sum("cgmeter_container_cpu_slice_seconds_sum", name=name) * 1e9, used_ns, relative=0.02, absolute=by_speed(15e6, 100e6), what="kernel side")
    peak = metrics.get("container_memory_max_usage_bytes", name=name)
    assert 20 << 20 <= peak < 200 << 20, "peak of %s: %s" % (name, peak)
    for gauge in GAUGES:
        equal(metrics.all(gauge, name=name), [], "%s of what has ended" % gauge)


def exit_codes(agent):
    """Of all of docker's containers that went."""
    events = agent.json("/api/v1.3/events/?deletion_events=true&subcontainers=true&max_events=1000")
    return [e["event_data"]["container_deletion"]["exit_code"] for e in events if re.search("/[0-9a-f]{64}$|docker-[0-9a-f]{64}", e["container_name"])]


def test_ended__between_two_ticks(t):
    service = t.enter_context(runtimes.dockerd("--bridge=none", "--iptables=false"))
    duration = by_speed(6, 60)
    agent = agent_of(t, service, "--ended_duration=%ds" % duration)
    used = {"stays": run(service, "stays"), "removed": run(service, "removed", "--rm")}
    ended = time.monotonic()
    seen = {}

    def shown():
        m = agent.fresh()
        for name in used:
            rows = m.all("container_last_seen", name=name)
            assert len(rows) <= 1, rows
            if rows and not m.all("container_memory_usage_bytes", name=name):
                seen.setdefault(name, []).append(rows[0][1])
        return len(seen) == len(used) and m
    metrics = wait_for(shown, by_speed(3, 60), lambda: "rows of what has ended: %s" % agent.metrics().all("container_last_seen"))
    for name in used:
        check(metrics, name, used[name])
        path = metrics.all("container_last_seen", name=name)[0][0]["id"]
        assert agent.get("/api/v1.3/containers" + path).status != 200, "REST knows it still"
        near(page(agent, "/metrics/cadvisor").sum("container_cpu_usage_seconds_total", name=name),
             metrics.sum("container_cpu_usage_seconds_total", name=name), absolute=1e-8, what="as the kubelet shows it")
        assert name not in agent.get("/metrics/resource").body.decode(), "/metrics/resource"
    assert metrics.get("cgmeter_ended_containers_total", files="end") >= 2, "read at their end"
    wait_for(lambda: shown() and False or time.monotonic() - ended > 3.5, by_speed(10, 60), "time")
    assert all(len(set(times)) == 1 for times in seen.values()), "last seen moves: %s" % seen
    wait_for(lambda: not any(agent.metrics().all("container_last_seen", name=n) for n in used), by_speed(duration + 3, 120), "end of what has ended")

    service.run("sh", "-c", "exit 7", options=("--name", "seven", "--network=none"))
    wait_for(lambda: 7 in exit_codes(agent), by_speed(10, 60), lambda: "exit code 7 among %s" % exit_codes(agent))
    assert -1 not in exit_codes(agent), "of the others: %s" % exit_codes(agent)

    # The same again: counters begin anew, and there is one row.
    service.command("start", "-a", "stays")
    again = wait_for(lambda: agent.fresh().sum("container_cpu_usage_seconds_total", name="stays"), by_speed(3, 60), "row of a container that was started again")
    assert again * 1e9 < 1.9 * used["stays"], again
    service.command("start", "-a", "stays")
    agent.fresh()
    equal(len(agent.metrics().all("container_last_seen", name="stays")), 1, "rows of a container that was started again at once")


def test_ended__many_at_once(t):
    service = t.enter_context(runtimes.dockerd("--bridge=none", "--iptables=false"))
    agent = agent_of(t, service)
    number = by_speed(50, 5)
    names = ["e%d" % i for i in range(number)]
    ids = [service.create("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", options=("--name", name, "--network=none")) for name in names]
    service.command("start", *ids)
    wait_for(lambda: not service.command("ps", "-q"), by_speed(30, 200), "end of all")

    def missing():
        m = agent.fresh()
        return [n for n in names if not m.sum("container_cpu_usage_seconds_total", name=n) or m.all("container_memory_usage_bytes", name=n)]
    wait_for(lambda: not missing(), by_speed(5, 60), lambda: "rows of %s" % [(n, agent.metrics().all("container_last_seen", name=n), agent.metrics().all("container_cpu_usage_seconds_total", name=n), agent.metrics().all("container_memory_usage_bytes", name=n)) for n in missing()])
    m = agent.metrics()
    by = {labels["files"]: value for labels, value in m.all("cgmeter_ended_containers_total")}
    lib.note("read: %s" % by)
    assert sum(by.values()) >= number, "ended: %s" % by  # there may be others on the machine
    assert by["end"] >= 0.7 * number, "read at their end: %s" % by


lib.main(globals())
