#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory against the files of the cgroup, with a known amount touched."""
import mmap

import lib
from cgroups import keyed, read, trees, write
from lib import equal, near

MIB = 1 << 20
kept = []


def touch(size):
    area = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        area.madvise(mmap.MADV_NOHUGEPAGE)  # a fault for each page
    except OSError:
        pass  # a kernel without huge pages
    area.write(b"\xaa" * size)
    kept.append(area)


def settled(cgroup, agent, name, file):
    """The agent's value with the file's before and after: equal twice means that the value had to be that."""
    for _ in range(5):
        before = file()
        value = agent.fresh().get(name, id=cgroup.path)
        after = file()
        if before == after:
            return value, before
    return value, after


def test_memory__touched_pages(t):
    agent = t.agent("--bpf=off")
    cgroup = t.cgroup()
    worker = cgroup.worker(touch, 64 * MIB)
    agent.knows(cgroup.path)
    before = agent.fresh()
    worker.run()
    for name, file in (("container_memory_rss", lambda: cgroup.memory_stat("total_rss", "anon")),
                       ("container_memory_usage_bytes", cgroup.memory_bytes)):
        value, wanted = settled(cgroup, agent, name, file)
        # Charges are kept in per-CPU stocks: two readings of a file that nobody changed may differ by some of them.
        near(value, wanted, absolute=MIB, what=name)
        near(value - before.get(name, id=cgroup.path), 64 * MIB, absolute=2 * MIB, what=name + " grew by")


def test_memory__working_set_is_usage_less_inactive_file(t):
    agent = t.agent("--bpf=off")
    cgroup = t.cgroup()
    cgroup.worker(touch, 8 * MIB).run()
    agent.knows(cgroup.path)
    metrics = agent.fresh()
    inactive = metrics.get("container_memory_total_inactive_file_bytes", id=cgroup.path)
    equal(metrics.get("container_memory_working_set_bytes", id=cgroup.path),
          max(0, metrics.get("container_memory_usage_bytes", id=cgroup.path) - inactive), "working set")


def test_memory__faults_are_the_files(t):
    agent = t.agent("--bpf=off")
    cgroup = t.cgroup()
    cgroup.worker(touch, 8 * MIB).run()
    agent.knows(cgroup.path)
    value = agent.fresh().get("container_memory_failures_total", id=cgroup.path, failure_type="pgfault", scope="hierarchy")
    wanted = cgroup.memory_stat("total_pgfault", "pgfault")
    assert wanted >= 2048, wanted
    equal(value, wanted, "page faults")


def test_memory__limits(t):
    cgroup = t.cgroup()
    write(cgroup.file("memory", "memory.max" if trees.v2 else "memory.limit_in_bytes"), 128 * MIB)
    agent = t.agent("--bpf=off")
    agent.knows(cgroup.path)
    equal(agent.metrics().get("container_spec_memory_limit_bytes", id=cgroup.path), 128 * MIB, "limit")
    spec = agent.json("/api/v1.3/containers" + cgroup.path)["spec"]
    equal((spec["has_memory"], spec["memory"]["limit"]), (True, 128 * MIB), "spec")
    free = t.cgroup()
    agent.knows(free.path)
    equal(agent.metrics().get("container_spec_memory_limit_bytes", id=free.path), 0, "no limit")


def test_memory__oom_kill_is_counted(t):
    cgroup = t.cgroup()
    write(cgroup.file("memory", "memory.max" if trees.v2 else "memory.limit_in_bytes"), 16 * MIB)
    agent = t.agent("--bpf=off")
    agent.knows(cgroup.path)
    equal(agent.metrics().sum("container_oom_events_total", id=cgroup.path), 0, "before")
    worker = cgroup.worker(touch, 64 * MIB)
    try:
        worker.run()
    except AssertionError:
        pass  # it was killed
    else:
        raise lib.Skip("OOM kill of a memory cgroup (it went on, into swap perhaps)")
    file = keyed(cgroup.file("memory", "memory.events" if trees.v2 else "memory.oom_control"))
    assert file["oom_kill"] >= 1, file
    # Files of rare events are read every five seconds.
    lib.wait_for(lambda: agent.metrics().get("container_oom_events_total", id=cgroup.path) >= 1, lib.by_speed(8, 30), "OOM kill in /metrics")
    equal(agent.metrics().get("container_oom_events_total", id=cgroup.path), file["oom_kill"], "OOM kills")


def test_memory__machine_limits(t):
    agent = t.agent("--bpf=off")
    total = int(read("/proc/meminfo").split("MemTotal:")[1].split()[0]) * 1024
    equal(agent.metrics().get("container_spec_memory_limit_bytes", id="/"), total, "limit of the machine")
    machine = agent.json("/api/v1.3/machine")
    equal(machine["memory_capacity"], total, "memory_capacity")


lib.main(globals())
