#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cgroups that look like containers and end, with others below them; and very many that do not."""
import errno
import os
import time

import lib
from agent import by_speed, wait_for
from burn import burn, last_cpu
from cgroups import ignore, trees, write
from lib import equal, near


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
    agent = t.agent("--bpf=off", "--ended_duration=%ds" % by_speed(3, 30))
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


def pass_through(dirs):
    for directory in dirs:
        write(directory + "/cgroup.procs", os.getpid())


def test_ended__reads_no_more_than_a_tick_can_bear(t):
    agent = t.bpf_agent(interval="3s", groups=("cgroup_notify_populated",))
    parent = t.cgroup()
    # One process passes through all of them, in the hierarchy of the scheduler: each is empty when it leaves. 200 may be read a tick.
    top = parent.dirs["unified" if trees.v2 else "cpu"]
    dirs = ["%s/%064x" % (top, i) for i in range(450)]
    for directory in dirs:
        os.mkdir(directory)
        t.callback(ignore, (errno.ENOENT,), os.rmdir, directory)
    agent.knows(parent.path + "/" + os.path.basename(dirs[-1]))
    t.cgroup().worker(pass_through, dirs).run()
    m = agent.fresh()
    busy = m.get("cgmeter_ended_left_out_total", reason="busy")
    lib.note("passed over: %d" % busy)
    assert 20 <= busy <= 250, busy


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
