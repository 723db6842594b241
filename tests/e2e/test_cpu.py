#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU time, switches, run-queue delay and task states against the kernel's own accounts."""
import math
import os
import signal
import time

import lib
from burn import burn, burn_wall, last_cpu
from cgroups import keyed, read, trees, write
from lib import by_speed, equal, near

SECONDS = "container_cpu_usage_seconds_total"
SWITCHES = "cgmeter_container_context_switches_total"
DELAY = "cgmeter_container_cpu_runqueue_delay_seconds"
SLICE = "cgmeter_container_cpu_slice_seconds"
OFF = "cgmeter_container_cpu_off_seconds"


def sleep_often(times, seconds):
    for _ in range(times):
        time.sleep(seconds)


def pass_on(first, take, give, rounds):
    """One side of a ping-pong over two pipes."""
    if first:
        os.write(give, b"x")
    for i in range(rounds):
        os.read(take, 1)
        if i + 1 < rounds or not first:
            os.write(give, b"x")


def test_cpu__a_known_burn_is_the_kernels_own_number(t):
    agent = t.agent("--bpf=off")
    cgroup = t.cgroup()
    seconds = by_speed(2, 1)
    worker = cgroup.worker(burn, last_cpu(), seconds)
    agent.knows(cgroup.path)
    before = agent.fresh().sum(SECONDS, id=cgroup.path)
    kernel_before = cgroup.cpu_ns()
    worker.run()
    # Nothing runs there now: the file stands still, and the agent must show that very number.
    metrics = agent.fresh()
    kernel = cgroup.cpu_ns()
    near(metrics.sum(SECONDS, id=cgroup.path) * 1e9, kernel, absolute=1000, what="CPU ns")
    near((kernel - kernel_before) / 1e9, seconds, relative=0.1, absolute=0.05, what="the burn itself")
    near(metrics.sum(SECONDS, id=cgroup.path) - before, (kernel - kernel_before) / 1e9, absolute=0.001, what="the burn")


def test_cpu__per_cpu_user_and_system_in_json(t):
    agent = t.agent("--bpf=off")
    cgroup = t.cgroup()
    cgroup.worker(burn, last_cpu(), 0.3).run()
    agent.knows(cgroup.path)
    agent.wait_ticks()
    stats = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["cpu"]["usage"]
    if trees.v2:
        stat = keyed(cgroup.file("cpu", "cpu.stat"))
        equal((stats["total"], stats["user"], stats["system"]),
              (stat["usage_usec"] * 1000, stat["user_usec"] * 1000, stat["system_usec"] * 1000), "total, user, system")
        return
    equal(stats["total"], int(read(cgroup.file("cpuacct", "cpuacct.usage"))), "total")
    per_cpu = [int(n) for n in read(cgroup.file("cpuacct", "cpuacct.usage_percpu")).split()]
    equal(stats["per_cpu_usage"], per_cpu[:len(stats["per_cpu_usage"])], "per CPU")
    equal(sum(stats["per_cpu_usage"]), sum(per_cpu), "their sum")
    ticks = keyed(cgroup.file("cpuacct", "cpuacct.stat"))
    per_tick = 10**9 // os.sysconf("SC_CLK_TCK")
    equal((stats["user"], stats["system"]), (ticks["user"] * per_tick, ticks["system"] * per_tick), "user, system")


def test_cpu__per_cpu_on_v2(t):
    """The kernel's files of v2 have no time per CPU; its rstat has, since 6.6."""
    if not trees.v2:
        raise lib.Skip("cgroup v2 alone (v1 has cpuacct.usage_percpu)")
    agent = t.agent()
    cgroup = t.cgroup()
    child = t.cgroup(cgroup, "inside")
    worker = child.worker(burn, last_cpu(), 0.5)
    agent.knows(child.path)
    agent.wait_ticks()
    usage = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["cpu"]["usage"]
    if "per_cpu_usage" not in usage:
        raise lib.Skip("CPU time per CPU in rstat (kernel before 6.6, or no reading in bulk)")
    worker.run()
    agent.wait_ticks()
    for path in (cgroup.path, child.path):
        usage = agent.json("/api/v1.3/containers" + path, num_stats=1)["stats"][0]["cpu"]["usage"]
        cpus = usage["per_cpu_usage"]
        near(sum(cpus), usage["total"], relative=0.02, absolute=by_speed(2, 50) * 10**6, what="the sum over CPUs of " + path)
        assert cpus[last_cpu()] >= 0.49e9, "burnt 0.5 s on CPU %d: %s" % (last_cpu(), cpus)


def test_cpu__throttling(t):
    cgroup = t.cgroup()
    try:
        if trees.v2:
            write(cgroup.file("cpu", "cpu.max"), "20000 100000")
        else:
            write(cgroup.file("cpu", "cpu.cfs_period_us"), "100000")
            write(cgroup.file("cpu", "cpu.cfs_quota_us"), "20000")
    except OSError as error:
        raise lib.Skip("CFS bandwidth control (%s)" % error) from error
    agent = t.agent("--bpf=off")
    cgroup.worker(burn, last_cpu(), 0.1).run()
    agent.knows(cgroup.path)
    stat = keyed(cgroup.file("cpu", "cpu.stat"))
    assert stat["nr_throttled"] > 0, stat
    # The file of a cgroup that never was throttled is read every ten seconds, afterwards each second.
    lib.wait_for(lambda: agent.metrics().sum("container_cpu_cfs_periods_total", id=cgroup.path) > 0, by_speed(13, 40), "throttling")
    metrics = agent.fresh()
    stat = keyed(cgroup.file("cpu", "cpu.stat"))
    equal(metrics.get("container_cpu_cfs_periods_total", id=cgroup.path), stat["nr_periods"], "periods")
    equal(metrics.get("container_cpu_cfs_throttled_periods_total", id=cgroup.path), stat["nr_throttled"], "throttled periods")
    throttled = stat["throttled_usec"] * 1000 if trees.v2 else stat["throttled_time"]
    near(metrics.get("container_cpu_cfs_throttled_seconds_total", id=cgroup.path) * 1e9, throttled, absolute=1000, what="throttled ns")
    equal(metrics.get("container_spec_cpu_quota", id=cgroup.path), 20000, "quota")
    equal(metrics.get("container_spec_cpu_period", id=cgroup.path), 100000, "period")


def test_sched__switches_of_a_ping_pong(t):
    agent = t.bpf_agent(groups=["sched_switch"])
    cgroup = t.cgroup()
    rounds = by_speed(5000, 1000)
    a, b = os.pipe(), os.pipe()
    workers = [cgroup.worker(pass_on, True, a[0], b[1], rounds), cgroup.worker(pass_on, False, b[0], a[1], rounds)]
    agent.knows(cgroup.path)
    before = agent.fresh()
    counted, turns = [w.switches() for w in workers], [w.schedstat()[2] for w in workers]
    for w in workers:
        w.go()
    for w in workers:
        w.result()
    after = agent.fresh()
    for kind, index in (("voluntary", 0), ("involuntary", 1)):
        kernel = sum(w.switches()[index] - was[index] for w, was in zip(workers, counted))
        ours = after.get(SWITCHES, id=cgroup.path, kind=kind) - before.get(SWITCHES, id=cgroup.path, kind=kind)
        near(ours, kernel, absolute=2 * len(workers), what=kind + " switches")
    total = sum(sum(w.switches()) - sum(was) for w, was in zip(workers, counted))
    assert total > rounds, "the ping-pong did not switch: %d" % total
    # Each stay on a CPU that ended is one in the histogram of slices, each wait before it one in that of delays.
    slices = after.get(SLICE + "_count", id=cgroup.path) - before.sum(SLICE + "_count", id=cgroup.path)
    near(slices, total, absolute=2 * len(workers), what="slices")
    delays = after.get(DELAY + "_count", id=cgroup.path) - before.sum(DELAY + "_count", id=cgroup.path)
    near(delays, sum(w.schedstat()[2] - was for w, was in zip(workers, turns)), absolute=2 * len(workers), what="delays against schedstat's turns")


def test_sched__delay_and_slices_of_two_tasks_on_one_cpu(t):
    agent = t.bpf_agent(groups=["sched_switch"])
    cgroup = t.cgroup()
    seconds = by_speed(3, 4)
    workers = [cgroup.worker(burn_wall, last_cpu(), seconds) for _ in range(2)]
    agent.knows(cgroup.path)
    before = agent.fresh()
    stats = [w.schedstat() for w in workers]
    for w in workers:
        w.go()
    for w in workers:
        w.result()
    after = agent.fresh()
    ran = sum(w.schedstat()[0] - was[0] for w, was in zip(workers, stats)) / 1e9
    waited = sum(w.schedstat()[1] - was[1] for w, was in zip(workers, stats)) / 1e9
    assert waited > seconds * 0.6, "the two did not wait for each other: %.2f s" % waited
    near(after.get(DELAY + "_sum", id=cgroup.path) - before.sum(DELAY + "_sum", id=cgroup.path), waited,
         relative=by_speed(0.05, 0.10), absolute=0.01, what="run-queue delay against schedstat")
    near(after.get(SLICE + "_sum", id=cgroup.path) - before.sum(SLICE + "_sum", id=cgroup.path), ran,
         relative=by_speed(0.02, 0.05), absolute=0.01, what="time on a CPU against schedstat")
    preempted = after.sum("cgmeter_container_preempted_total", id=cgroup.path) - before.sum("cgmeter_container_preempted_total", id=cgroup.path)
    involuntary = (after.get(SWITCHES, id=cgroup.path, kind="involuntary") - before.get(SWITCHES, id=cgroup.path, kind="involuntary"))
    equal(preempted, involuntary, "preempted by somebody = involuntary switches")
    assert after.get("cgmeter_container_preempted_total", id=cgroup.path, by="same") > 0, "none by the same container"


def test_sched__sleep_is_off_cpu_time(t):
    agent = t.bpf_agent(groups=["sched_switch"])
    cgroup = t.cgroup()
    worker = cgroup.worker(sleep_often, 20, 0.05)
    agent.knows(cgroup.path)
    agent.wait_ticks()
    began = time.monotonic()
    before = agent.metrics()
    worker.run()
    after = agent.fresh()
    elapsed = time.monotonic() - began
    slept = after.get(OFF + "_sum", id=cgroup.path, kind="sleep") - before.sum(OFF + "_sum", id=cgroup.path, kind="sleep")
    count = after.get(OFF + "_count", id=cgroup.path, kind="sleep") - before.sum(OFF + "_count", id=cgroup.path, kind="sleep")
    assert 20 <= count <= 40, "sleeps: %d" % count
    # The wait for the command before it is part of the first one: that began before our first look.
    assert 1.0 <= slept <= elapsed + by_speed(8, 80), "slept %.3f s in %.3f s" % (slept, elapsed)
    middle = [c for labels, c in after.all(OFF + "_bucket", id=cgroup.path, kind="sleep") if labels["le"] not in ("+Inf",)]
    assert max(middle) - min(middle) >= 19, "the 50 ms sleeps fell into one end: %s" % middle


def test_tasks__by_state(t):
    agent = t.bpf_agent("--enable_metrics=+process", groups=["task"])
    cgroup = t.cgroup()
    sleepers = [cgroup.worker(time.sleep, 0) for _ in range(3)]
    stopped = cgroup.worker(time.sleep, 0)
    runner = cgroup.worker(burn_wall, last_cpu(), by_speed(5, 20))
    agent.knows(cgroup.path)
    os.kill(stopped.pid, signal.SIGSTOP)
    runner.go()
    time.sleep(0.2)
    metrics = agent.fresh()
    states = {labels["state"]: value for labels, value in metrics.all("container_tasks_state", id=cgroup.path)}
    wanted = {"sleeping": len(sleepers), "running": 1, "stopped": 1, "uninterruptible": 0, "iowaiting": 0}
    equal(states, wanted, "tasks by state")
    equal(metrics.get("container_processes", id=cgroup.path), 5, "processes")
    equal(metrics.get("container_threads", id=cgroup.path), 5, "threads")


def stay_in_vfork(fifo):
    """posix_spawn's parent waits, uninterruptible, until the child has run its program; the child waits for the FIFO before that."""
    return os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 9, fifo, os.O_RDONLY, 0)])


def test_tasks__load_averages(t):
    """cpu.load_average and load_d_average: tasks that run, and that wait uninterruptibly, over a time constant of 10 s."""
    agent = t.bpf_agent("--enable_metrics=+process", groups=["task"])
    cgroup = t.cgroup()
    fifo = "/tmp/cgmtest-%d.fifo" % os.getpid()
    os.mkfifo(fifo)
    t.callback(os.unlink, fifo)
    runner = cgroup.worker(burn_wall, last_cpu(), by_speed(20, 120))
    waiter = cgroup.worker(stay_in_vfork, fifo)
    agent.knows(cgroup.path)
    began = agent.ticks()
    runner.go()
    waiter.go()
    agent.wait_ticks(5)
    metrics = agent.metrics()
    ticks = metrics.get("cgmeter_ticks_total") - began
    for state, family in (("running", "container_cpu_load_average_10s"), ("uninterruptible", "container_cpu_load_d_average_10s")):
        equal(metrics.get("container_tasks_state", id=cgroup.path, state=state), 1, state)
        value = metrics.get(family, id=cgroup.path)
        low, high = (1000 * (1 - math.exp(-(ticks + more) / 10)) for more in (-1.5, 0.5))
        assert low <= value <= high, "%s: %d, not in %d..%d after %d ticks" % (family, value, low, high, ticks)
    cpu = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]
    assert cpu["cpu"]["load_average"] > 0 and cpu["cpu"]["load_d_average"] > 0, cpu["cpu"]
    equal((cpu["task_stats"]["nr_running"], cpu["task_stats"]["nr_uninterruptible"]), (1, 1), "task_stats")
    os.close(os.open(fifo, os.O_WRONLY))  # lets it end


lib.main(globals())
