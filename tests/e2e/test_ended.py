#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Containers that end, some between two ticks: who they were and what they counted is there at the next scrape, and goes after --ended_duration."""
import re
import time

import lib
import prom
import runtimes
from agent import by_speed, wait_for
from burn import burn, last_cpu
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
    assert by["end"] >= 0.9 * number, "read at their end: %s" % by


def nest(t, number, seconds=0.2):
    """A cgroup that looks like a container, one below it that has done some work, and nobody is there any more."""
    container = t.cgroup(t.cgroup(), "%064x" % number)
    inner = t.cgroup(container, "inner")
    inner.worker(burn, last_cpu(), seconds).run()
    inner.kill()
    return container, inner


def check_end(agent, container, used_ns):
    def shown():
        m = agent.fresh()
        return not m.all("container_memory_usage_bytes", id=container.path) and m.all("container_last_seen", id=container.path) and m
    m = wait_for(shown, by_speed(5, 60), "end of " + container.path)
    lib.note("%.1f ms, by the kernel side %.1f, wanted %.1f" % (m.sum("container_cpu_usage_seconds_total", id=container.path) * 1e3,
                                                               m.sum("cgmeter_container_cpu_slice_seconds_sum", id=container.path) * 1e3, used_ns / 1e6))
    near(m.sum("container_cpu_usage_seconds_total", id=container.path) * 1e9, used_ns, relative=0.02, absolute=by_speed(10e6, 100e6), what="CPU time")
    near(m.sum("cgmeter_container_cpu_slice_seconds_sum", id=container.path) * 1e9, used_ns, relative=0.03, absolute=by_speed(10e6, 100e6), what="kernel side")
    return m


def test_ended__what_was_below_counts(t):
    agent = t.bpf_agent(groups=("cgroup_mkdir", "sched_switch"))
    # Both at once; and the one below some ticks before, when its counts are on their way up, or have arrived.
    for number, ticks in enumerate((0, 1, 2, 4)):
        container, inner = nest(t, number + 1)
        used = container.cpu_ns()
        inner.remove()
        if ticks:
            agent.wait_ticks(ticks)
        container.remove()
        m = check_end(agent, container, used)
        equal(m.all("container_last_seen", id=inner.path), [], "a row of what was below")


def test_ended__without_a_kernel_side(t):
    agent = t.agent("--bpf=off", "--ended_duration=3s")
    container, inner = nest(t, 1)
    used = container.cpu_ns()
    agent.knows(container.path)
    agent.wait_ticks()
    inner.remove()
    container.remove()
    m = agent.fresh()
    near(m.sum("container_cpu_usage_seconds_total", id=container.path) * 1e9, used, absolute=1e6, what="CPU time at the last tick")
    equal(m.all("container_memory_usage_bytes", id=container.path), [], "memory of what has ended")
    assert m.get("cgmeter_ended_containers_total", files="tick") >= 1, "by files"
    wait_for(lambda: not agent.metrics().all("container_last_seen", id=container.path), by_speed(6, 60), "end of it")


def test_ended__storm_of_plain_cgroups(t):
    agent = t.bpf_agent(groups=("cgroup_mkdir",))
    parent = t.cgroup()
    before = agent.fresh()
    number, began = by_speed(600, 60), time.monotonic()
    for i in range(number):
        parent.child("s%d" % i).remove()
        time.sleep(max(0, began + (i + 1) / 200 - time.monotonic()))
    after, seconds = agent.fresh(), time.monotonic() - began
    cpu = after.get("process_cpu_seconds_total") - before.get("process_cpu_seconds_total")
    lib.note("%d in %.1f s: %.2f s of CPU" % (number, seconds, cpu))
    equal([labels for labels, _ in after.all("container_last_seen") if labels["id"].startswith(parent.path + "/")], [], "kept")
    left = [m.get("cgmeter_ended_left_out_total", reason="cgroup") for m in (before, after)]
    assert number <= left[1] - left[0] < number + 300, left  # others of the machine
    assert cpu < 0.5 * seconds, "CPU of the agent: %.2f s in %.1f s" % (cpu, seconds)


lib.main(globals())
