#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent as a program: pace, history, restart, end, without its kernel side or its rights, and probe."""
import ctypes
import datetime
import json
import math
import os
import signal
import subprocess
import time

import lib
from agent import PROGRAM
from cgroups import Worker, read, trees
from lib import by_speed, equal, near, note

SWITCHES = "cgmeter_container_context_switches_total"
PR_CAPBSET_DROP = 24
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 1 << 18, 2
CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39


def yield_often(times):
    for _ in range(times):
        time.sleep(0.0001)


def stamp(text):
    """RFC 3339 with ns: seconds since the epoch."""
    seconds, _, rest = text.rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(seconds + "+00:00").timestamp()
    return whole + float("0." + (rest or "0"))


def test_pace__one_second_and_one_moment_for_all(t):
    agent = t.agent("--bpf=off")
    cgroups = [t.cgroup() for _ in range(5)]
    for cgroup in cgroups:
        agent.knows(cgroup.path)
    samples = by_speed(8, 6)
    time.sleep(samples + 1)
    answer = agent.json("/api/v1.3/subcontainers/", num_stats=samples)
    rows = {row["name"]: [stats["timestamp"] for stats in row["stats"]] for row in answer}
    machine = rows["/"]
    equal(len(machine), samples, "samples of /")
    moments = [stamp(text) for text in machine]
    for earlier, later in zip(moments, moments[1:]):
        near(later - earlier, 1.0, absolute=by_speed(0.020, 0.200), what="interval of two samples")
    near(moments[-1] - moments[0], samples - 1, absolute=by_speed(0.020, 0.200), what="all intervals: none is made up for by drift")
    for cgroup in cgroups:
        equal(rows[cgroup.path], machine[-len(rows[cgroup.path]):], "moments of " + cgroup.path)
    near(agent.metrics().get("cgmeter_missed_ticks_total"), 0, absolute=by_speed(1, 3), what="missed ticks")


def lateness(page):
    """{bound: how many rounds were that late at most} and their sum in seconds."""
    name = "cgmeter_tick_late_seconds"
    equal(page.get(name + "_count"), page.get("cgmeter_ticks_total"), "rounds in the histogram")
    return {float(labels["le"]): value for labels, value in page.all(name + "_bucket")}, page.get(name + "_sum")


def check_sum(buckets, total):
    """It lies between what the buckets allow."""
    least, most, below, before = 0, 0, 0, 0
    for bound, count in sorted(buckets.items()):
        least += (count - below) * before
        most += (count - below) * bound if count > below else 0
        below, before = count, bound
    assert least <= total <= most, "%s s, the buckets say %s to %s" % (total, least, most)


def test_lateness__shows_that_the_agent_stood_still(t):
    agent = t.agent("--bpf=off", interval="100ms")
    agent.wait_ticks(5)
    page = agent.metrics()
    before, sum_before = lateness(page)
    check_sum(before, sum_before)
    agent.send(signal.SIGSTOP)
    time.sleep(1)
    agent.send(signal.SIGCONT)
    page = agent.fresh()
    after, sum_after = lateness(page)
    check_sum(after, sum_after)
    # The first round that was due while it stood still began 0.9 s late at least; the others were left out.
    late = (after[math.inf] - after[0.25]) - (before[math.inf] - before[0.25])
    assert late >= 1, "no round more than 0.25 s late: %s, before: %s" % (after, before)
    assert sum_after - sum_before >= 0.9, "%s s, before: %s s" % (sum_after, sum_before)
    most = page.get("cgmeter_tick_late_max_seconds")
    assert 0.9 <= most <= sum_after, "at most %s s late, all together %s s" % (most, sum_after)


def test_history__is_as_long_as_asked(t):
    agent = t.agent("--bpf=off", interval="100ms", storage="12s")
    time.sleep(25)
    stats = agent.json("/api/v1.3/containers/", num_stats=-1)["stats"]
    moments = [stamp(s["timestamp"]) for s in stats]
    equal(moments, sorted(moments), "oldest first")
    # Old samples go some at a time, so there may be more than were asked for; but not as many as the agent ever took.
    assert by_speed(110, 60) <= len(stats) <= 180, "%d samples" % len(stats)
    assert 11.5 <= moments[-1] - moments[0] <= 18, "they span %.1f s" % (moments[-1] - moments[0])
    equal(len(agent.json("/api/v1.3/containers/")["stats"]), 60, "samples when no number is asked for")
    equal(len(agent.json("/api/v1.3/containers/", num_stats=7)["stats"]), 7, "samples when 7 are asked for")
    middle = stats[len(stats) // 2]["timestamp"]
    later = agent.json("/api/v1.3/containers/", num_stats=-1, start=middle)["stats"]
    equal(later[0]["timestamp"], middle, "start is inclusive")


def ended_well(agent, number):
    status, seconds = agent.stop(number)
    equal(status, 0, "status after signal %d; log: %s" % (number, agent.log()))
    assert seconds <= by_speed(2, 15), "took %.1f s" % seconds


def test_end__by_sigterm(t):
    ended_well(t.agent(), signal.SIGTERM)


def test_end__by_sigint(t):
    ended_well(t.agent(), signal.SIGINT)


def test_end__while_a_client_holds_its_connection(t):
    agent = t.agent("--bpf=off")
    reader = Worker(None, hold_connection, (agent.port,))
    t.callback(reader.end)
    reader.run()
    ended_well(agent, signal.SIGTERM)


held = []


def hold_connection(port):
    import socket
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"GET /api/v1.3/subcontainers/ HTTP/1.1\r\nHost: x\r\n\r\n")
    held.append(s)  # and never read


def check_kept(t, agent_options, how):
    """Counts of before, of the time without an agent (after kill -9 only: the links are pinned), and of after."""
    fs = t.bpffs()
    first = t.bpf_agent(*agent_options, pin_dir=fs.pin_dir, groups=["sched_switch"])
    equal(first.metrics().get("cgmeter_counters_adopted"), 0, "adopted at the first start")
    cgroup = t.cgroup()
    worker = cgroup.worker(yield_often, 500)
    first.knows(cgroup.path)
    before = first.fresh().sum(SWITCHES, id=cgroup.path)
    start = sum(worker.switches())
    worker.run()
    reached = first.fresh().sum(SWITCHES, id=cgroup.path)
    near(reached - before, sum(worker.switches()) - start, absolute=2, what="switches before the end")
    how(first)
    if how is kill_hard:
        worker.run()
    pause = sum(worker.switches())
    second = t.agent(*agent_options, pin_dir=fs.pin_dir)
    second.knows(cgroup.path)
    worker.run()
    after = second.fresh()
    equal(after.get("cgmeter_counters_adopted"), 1, "adopted at the second start")
    assert "adopt" in second.log(), "the log does not say that it adopted: " + second.log()
    got = after.sum(SWITCHES, id=cgroup.path)
    assert got >= reached, "went backwards: %d, was %d" % (got, reached)
    near(got - before, sum(worker.switches()) - start, absolute=4, what="switches over the restart")
    assert pause > start


def kill_hard(agent):
    agent.send(signal.SIGKILL)
    agent.process.wait()


def test_restart__kill_9_loses_no_count(t):
    check_kept(t, (), kill_hard)


def test_restart__clean_end_keeps_the_counts(t):
    check_kept(t, (), lambda agent: ended_well(agent, signal.SIGTERM))


def test_restart__without_a_pin_dir_begins_anew(t):
    for _ in range(2):
        agent = t.bpf_agent(pin_dir="")
        equal(agent.metrics().get("cgmeter_counters_adopted"), 0, "adopted")
        ended_well(agent, signal.SIGTERM)


def serves_files(t, agent):
    """What the cgroup's files hold is there, and what is lost is named."""
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    metrics = agent.fresh()
    for name in ("container_last_seen", "container_memory_usage_bytes", "container_memory_failcnt", "container_spec_memory_limit_bytes"):
        metrics.get(name, id=cgroup.path)
    equal(metrics.get("cgmeter_kernel_side"), 0, "cgmeter_kernel_side")
    files = ("cgmeter_container_memory_events_total", "cgmeter_container_pressure_irq_stalled_seconds_total")  # of files that only v2 has
    own = [name for name in metrics.families if name.startswith("cgmeter_container_") and name not in files]
    equal(own, [], "families that only the kernel side can give")
    programs = metrics.all("cgmeter_program_attached")
    assert programs, "no program is named"
    for labels, value in programs:
        equal((value, labels["mode"]), (0, "off"), labels["program"])
        assert labels.get("reason"), "no reason for %s" % labels["program"]
    stats = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]
    assert stats["memory"]["usage"] >= 0 and stats["cpu"]["usage"]["total"] >= 0


def test_ladder__bpf_off(t):
    agent = t.agent("--bpf=off")
    serves_files(t, agent)
    assert "bpf" in agent.log().lower(), "the log does not name what is missing: " + agent.log()


def drop_capabilities():
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def test_ladder__without_capabilities(t):
    agent = t.agent(pin_dir="", before_exec=drop_capabilities)
    effective = int(read("/proc/%d/status" % agent.process.pid).split("CapEff:")[1].split()[0], 16)
    assert effective >> CAP_BPF & 1 == 0 and effective >> CAP_SYS_ADMIN & 1 == 0, hex(effective)
    serves_files(t, agent)
    assert "CAP_" in agent.log() or "permitted" in agent.log(), "the log does not name what is missing: " + agent.log()


def test_ladder__the_wakeup_pair_counts_as_the_single_hook(t):
    agent = t.bpf_agent("--sched_hook=wakeup", groups=["sched"])
    cgroup = t.cgroup()
    worker = cgroup.worker(yield_often, 500)
    agent.knows(cgroup.path)
    before, start = agent.fresh().sum(SWITCHES, id=cgroup.path), sum(worker.switches())
    worker.run()
    metrics = agent.fresh()
    near(metrics.sum(SWITCHES, id=cgroup.path) - before, sum(worker.switches()) - start, absolute=2, what="switches")
    assert metrics.get("cgmeter_container_cpu_runqueue_delay_seconds_count", id=cgroup.path) >= 500


def test_slots__more_cgroups_than_slots(t):
    agent = t.bpf_agent("--max_cgroups=64")
    full = [t.cgroup().path for _ in range(80)]
    agent.wait_ticks(3)
    metrics = agent.metrics()
    assert metrics.get("cgmeter_slots_used") <= metrics.get("cgmeter_slots"), "more used than there are"
    last = t.cgroup()
    worker = last.worker(yield_often, 200)
    agent.knows(last.path)
    worker.run()
    metrics = agent.fresh()
    drops = {labels["reason"]: value for labels, value in metrics.all("cgmeter_dropped_total")}
    note("drops: %s" % drops)
    assert any("slot" in reason and value > 0 for reason, value in drops.items()), "no drop was counted: %s" % drops
    assert metrics.sum(SWITCHES, id=last.path) == 0, "counts appeared for a cgroup without a slot"
    assert metrics.sum(SWITCHES, id="_overflow") >= 200, "what found no slot is shown nowhere"
    others = [path for path in full if metrics.sum(SWITCHES, id=path)]
    assert not others, "its counts appear at %s" % others


def test_pins__bpftool_shows_named_fields(t):
    fs = t.bpffs()
    agent = t.bpf_agent("--max_cgroups=64", pin_dir=fs.pin_dir)
    agent.wait_ticks()
    pins = sorted(os.path.join(folder, name) for folder, _, names in os.walk(fs.pin_dir) for name in names)
    assert pins, "nothing is pinned in " + fs.pin_dir
    wanted = {"cgm_sched_0": "runq_delay", "cgm_slots": "cgroup_id", "cgm_net_0": "tcp_accepts"}
    for name, field in wanted.items():
        paths = [p for p in pins if os.path.basename(p) == name]
        equal(len(paths), 1, "pins of %s in %s" % (name, pins))
        dump = subprocess.run(["bpftool", "map", "dump", "pinned", paths[0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
        equal(dump.returncode, 0, "bpftool: " + dump.stderr)
        assert '"%s"' % field in dump.stdout, "%s has no field %s: %s" % (name, field, dump.stdout[:300])


def own_mounts_without_bpffs():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    while libc.umount2(b"/sys/fs/bpf", MNT_DETACH) == 0:
        pass


def test_pins__the_default_place_is_mounted_when_it_is_not(t):
    agent = t.bpf_agent(pin_dir="/sys/fs/bpf/cgmeter", before_exec=own_mounts_without_bpffs)
    pins = os.listdir("/proc/%d/root/sys/fs/bpf/cgmeter" % agent.process.pid)
    assert pins, "nothing is pinned; log: " + agent.log()


def test_probe__names_every_program(t):
    done = subprocess.run([PROGRAM, "probe"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    equal(done.returncode, 0, done.stdout)
    assert "sched_switch" in done.stdout, done.stdout
    assert "\nruntimes\n" in done.stdout and "/run/containerd/containerd.sock" in done.stdout, done.stdout
    done = subprocess.run([PROGRAM, "probe", "--json"], stdout=subprocess.PIPE, text=True)
    equal(done.returncode, 0, "probe --json")
    assert "sched_switch" in json.dumps(json.loads(done.stdout)), done.stdout


def test_options__bad_ones_are_refused(t):
    for option in ("--port=99999", "--port=x", "--housekeeping_interval=banana", "--listen_ip=1.2.3", "--bpf=maybe", "--nosuch=1"):
        done = subprocess.run([PROGRAM, "node", "--listen_ip=127.0.0.1", "--pin_dir=", "--bpf=off", option], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=by_speed(10, 60))
        assert done.returncode != 0, "%s was taken" % option
        assert option.lstrip("-").split("=")[0] in done.stdout, "%s: the message does not name it: %s" % (option, done.stdout)


def test_mode__is_the_machines(t):
    agent = t.agent("--bpf=off")
    equal(agent.metrics().all("cgmeter_cgroup_mode"), [({"mode": trees.mode}, 1)], "cgroup mode")


lib.main(globals())
