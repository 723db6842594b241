#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory against the files of the cgroup, with a known amount touched."""
import mmap
import os

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


def failcnt(cgroup):
    return keyed(cgroup.file("memory", "memory.events.local"))["max"] if trees.v2 else int(read(cgroup.file("memory", "memory.failcnt")))


def test_memory__failcnt_is_of_the_limit_that_was_hit(t):
    """
    above   limited to 16 MiB: its limit is hit
    inside  a child without a limit, in which the task runs: as on v1, nothing of it is counted here
    """
    above = t.cgroup()
    inside = t.cgroup(above, "inside")
    write(above.file("memory", "memory.max" if trees.v2 else "memory.limit_in_bytes"), 16 * MIB)
    agent = t.agent("--bpf=off")
    agent.knows(inside.path)
    worker = inside.worker(touch, 64 * MIB)
    try:
        worker.run()
    except AssertionError:
        pass  # it was killed
    try:
        wanted = failcnt(above)
    except FileNotFoundError as error:
        raise lib.Skip("memory.events.local (kernel before 5.2)") from error
    assert wanted >= 1, wanted
    lib.wait_for(lambda: agent.metrics().get("container_memory_failcnt", id=above.path) == wanted, lib.by_speed(8, 60), "%d in failcnt" % wanted)
    equal((failcnt(inside), agent.metrics().get("container_memory_failcnt", id=inside.path)), (0, 0), "failcnt of the child")


def test_memory__kernel_memory_is_the_files(t):
    cgroup = t.cgroup()
    worker = cgroup.worker(touch, MIB)  # a process has stacks and page tables
    worker.run()
    agent = t.agent("--bpf=off")
    agent.knows(cgroup.path)

    def file():
        if not trees.v2:
            return int(read(cgroup.file("memory", "memory.kmem.usage_in_bytes")))
        stat = keyed(cgroup.file("memory", "memory.stat"))
        parts = ("kernel_stack", "pagetables", "sec_pagetables", "percpu", "vmalloc", "slab")
        return stat["kernel"] if "kernel" in stat else sum(stat.get(part, 0) for part in parts)
    value, wanted = settled(cgroup, agent, "container_memory_kernel_usage", file)
    assert wanted > 0, wanted
    near(value, wanted, absolute=256 << 10, what="kernel memory; charges are kept in per-CPU stocks")
    stats = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["memory"]
    near(stats["kernel"], wanted, absolute=256 << 10, what="memory.kernel in JSON")


def numa_stat(cgroup):
    """{kind: {node: pages}}; the sums over the subtree of v1 as hierarchical_…"""
    page = mmap.PAGESIZE if trees.v2 else 1
    kinds = {}
    for line in read(cgroup.file("memory", "memory.numa_stat")).splitlines():
        head, *nodes = line.split()
        kinds[head.split("=")[0]] = {node[1:].split("=")[0]: int(node.split("=")[1]) // page for node in nodes}
    return kinds


def test_memory__numa_pages_are_the_files(t):
    above = t.cgroup()
    inside = t.cgroup(above, "inside")
    inside.worker(touch, 16 * MIB).run()
    try:
        numa_stat(inside)
    except FileNotFoundError as error:
        raise lib.Skip("memory.numa_stat (CONFIG_NUMA)") from error
    agent = t.agent("--bpf=off", "--enable_metrics=+memory_numa")
    agent.knows(inside.path)
    for cgroup, own in ((above, 0), (inside, 16 * MIB)):
        file = numa_stat(cgroup)
        memory = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["memory"]
        for scope, before in (("container_data", ""), ("hierarchical_data", "" if trees.v2 else "hierarchical_")):
            stats = memory[scope]["numa_stats"]
            equal(sorted(stats), ["anon", "file", "unevictable"], "kinds")
            for kind in stats:
                equal(sorted(stats[kind]), sorted(file[before + kind]), "nodes of " + kind)
                near(sum(stats[kind].values()), sum(file[before + kind].values()), absolute=64, what="%s %s of %s" % (scope, kind, cgroup.path))
        whole = sum(memory["hierarchical_data"]["numa_stats"]["anon"].values()) * mmap.PAGESIZE
        # What a CPU has not put onto the list of pages yet (a batch of at most 31) is in no number.
        near(whole, 16 * MIB, absolute=32 * os.cpu_count() * mmap.PAGESIZE, what="anonymous pages of the subtree, in bytes")
        if not trees.v2:
            alone = sum(memory["container_data"]["numa_stats"]["anon"].values()) * mmap.PAGESIZE
            near(alone, own, absolute=4 * MIB, what="anonymous pages of %s itself" % cgroup.path)
    nodes = len(numa_stat(inside)["anon"])
    equal(len(agent.metrics().all("container_memory_numa_pages", id=inside.path)), 6 * nodes, "container_memory_numa_pages")


def test_memory__machine_limits(t):
    agent = t.agent("--bpf=off")
    total = int(read("/proc/meminfo").split("MemTotal:")[1].split()[0]) * 1024
    equal(agent.metrics().get("container_spec_memory_limit_bytes", id="/"), total, "limit of the machine")
    machine = agent.json("/api/v1.3/machine")
    equal(machine["memory_capacity"], total, "memory_capacity")


lib.main(globals())
