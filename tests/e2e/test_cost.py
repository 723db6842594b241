#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Groups of metrics, what the agent itself costs, the overhead budget, and probe."""
import ctypes
import json
import os
import subprocess
import time

import lib
from agent import PROGRAM
from lib import Skip, by_speed, equal, near, note, wait_for

SWITCHES = "cgmeter_container_context_switches_total"
PR_CAPBSET_DROP = 24
CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39
WINDOWS = ("--cost_interval=1s", "--cost_window=300ms")


def groups(metrics):
    """{group: (on, reason)}"""
    return {labels["group"]: (value, labels["reason"]) for labels, value in metrics.all("cgmeter_group_enabled")}


def has(metrics, prefix):
    return sorted(name for name in metrics.families if name.startswith(prefix))


def yield_often(seconds):
    """Two processes on each CPU that give way to each other all the time: as many switches as there can be."""
    children = []
    for cpu in sorted(os.sched_getaffinity(0)) * 2:
        child = os.fork()
        children.append(child)
        if child:
            continue
        os.sched_setaffinity(0, {cpu})
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(1000):
                os.sched_yield()
        os._exit(0)
    for child in children:
        os.waitpid(child, 0)


def test_groups__disabled_ones_are_left_out(t):
    agent = t.agent("--disable_metrics=run_queue,sched,cpu,pressure,percpu,block")
    agent.wait_ticks()
    metrics = agent.metrics()
    for prefix in ("container_cpu_usage", "container_cpu_schedstat", "container_pressure", "cgmeter_container_cpu", SWITCHES,
                   "cgmeter_container_block"):
        equal(has(metrics, prefix), [], "families of groups that are off")
    assert has(metrics, "container_memory_usage_bytes"), "a group that is on is missing"
    state = groups(metrics)
    for group in ("run_queue", "cpu", "pressure", "percpu", "block"):
        equal(state[group], (0, "--disable_metrics"), group)
    equal(state["sched"], (0, "in --disable_metrics, as by default"), "sched")
    equal(state["hugetlb"][0], 1, "the list replaces the default, as with cAdvisor: hugetlb")
    equal(state["memory"][0], 1, "memory")
    equal(state["lock"], (0, "off by default"), "lock")
    for labels, value in metrics.all("cgmeter_program_attached"):
        if labels["hook"] in ("sched_switch", "block_rq_issue"):
            equal((value, labels["mode"]), (0, "off"), labels["program"])
    # What is off is not read, so that REST has nothing of it either.
    equal(agent.json("/api/v1.3/containers/", num_stats=1)["stats"][0]["cpu"]["usage"]["total"], 0, "CPU time that nobody reads")
    assert "switched off: cpu percpu pressure run_queue block" in agent.log(), agent.log()


def test_groups__defaults_are_cadvisors(t):
    state = groups(t.agent().metrics())
    for group in "advtcp cpu_topology cpuset hugetlb memory_numa process referenced_memory resctrl sched tcp udp".split():
        equal(state[group], (0, "in --disable_metrics, as by default"), group)
    for group in "app cpu cpuLoad disk diskIO memory network oom_event percpu perf_event pressure".split():
        equal(state[group][0], 1, group)


def test_groups__enabled_ones_are_all(t):
    agent = t.agent("--enable_metrics=memory,cpuLoad,udp,app")
    agent.wait_ticks()
    metrics = agent.metrics()
    wanted = ("container_memory_", "container_cpu_load", "container_tasks_state", "container_last_seen", "container_start_time",
              "container_creation_time", "container_spec_", "container_scrape_error", "cgmeter_container_memory_",
              "cgmeter_container_oom_kills", "cgmeter_container_huge_page_collapses", "container_network_udp")
    others = [name for name in has(metrics, "container_") + has(metrics, "cgmeter_container_") if not name.startswith(wanted)]
    equal(others, [], "families of groups that are not named")
    equal(groups(metrics)["net"], (0, "not in --enable_metrics"), "net")
    if agent.has_kernel_side():
        assert has(metrics, "container_tasks_state"), "cpuLoad needs the programs of task"


def test_groups__what_is_off_is_not_read(t):
    """Without the kernel side every number comes from a file: with all groups off that are made of files, none is opened."""
    cgroup = t.cgroup()
    everything = t.agent("--bpf=off")
    everything.knows(cgroup.path)
    assert everything.fresh().get("cgmeter_cgroup_file_reads_total") > 0, "the count of reads does not count"
    nothing = t.agent("--bpf=off", "--enable_metrics=cpu_topology")
    nothing.knows(cgroup.path)
    before = nothing.fresh().get("cgmeter_cgroup_file_reads_total")
    nothing.wait_ticks(3)
    metrics = nothing.metrics()
    equal((before, metrics.get("cgmeter_cgroup_file_reads_total")), (0, 0), "reads of cgroup files")
    equal((metrics.get("cgmeter_reader_fds"), metrics.get("cgmeter_dear_jobs"), metrics.get("cgmeter_network_namespaces")), (0, 0, 0),
          "descriptors kept, dear readings, namespaces")
    assert has(metrics, "machine_node_"), "the one group that is on"
    equal([name for name in has(metrics, "container_") if "last_seen" not in name and "_time_" not in name and "_spec_" not in name
           and "scrape_error" not in name], [], "families of groups that are off")


def test_groups__without_percpu_the_total(t):
    metrics = t.agent("--disable_metrics=percpu", "--bpf=off").metrics()
    equal({labels["cpu"] for labels, _ in metrics.all("container_cpu_usage_seconds_total")}, {"total"}, "cpu labels")


def test_groups__unknown_ones_are_named(t):
    for option in ("--enable_metrics=cpu,nosuch", "--disable_metrics=nosuch", "--enable_metrics=+nosuch", "--overhead_budget=much",
                   "--cost_window=20s"):
        done = subprocess.run([PROGRAM, "node", "--listen_ip=127.0.0.1", "--pin_dir=", "--bpf=off", option], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=by_speed(10, 60))
        equal(done.returncode, 2, "status of " + option)
        word = "nosuch" if "nosuch" in option else option.split("=")[0]
        assert word in done.stdout or "cost_" in done.stdout, "%s: %s" % (option, done.stdout)


def test_cost__programs_maps_and_agent(t):
    agent = t.bpf_agent(*WINDOWS, groups=["sched_switch"])
    worker = t.cgroup().worker(yield_often, by_speed(4, 8))
    wait_for(lambda: agent.metrics().get("cgmeter_cost_windows_total") >= 2, by_speed(10, 60), "two windows")
    first, began = agent.metrics(), time.monotonic()
    before = sum(worker_switches(agent))
    worker.run()
    agent.wait_ticks()
    wait_for(lambda: agent.metrics().get("cgmeter_cost_windows_total") >= first.get("cgmeter_cost_windows_total") + 5,
             by_speed(15, 60), "five more windows")
    last, seconds = agent.fresh(), time.monotonic() - began
    program = next(labels["program"] for labels, _ in last.all("cgmeter_program_attached", hook="sched_switch") if labels["mode"] != "off")
    runs = last.get("cgmeter_program_runs_total", program=program) - first.get("cgmeter_program_runs_total", program=program)
    spent = last.get("cgmeter_program_run_seconds_total", program=program) - first.get("cgmeter_program_run_seconds_total", program=program)
    switches = sum(worker_switches(agent)) - before
    note("%d runs, %d switches, %.0f ns a run, clock %.0f ns" % (runs, switches, 1e9 * spent / runs,
                                                                1e9 * last.get("cgmeter_cost_clock_seconds")))
    # Windows cover a third of the time; the load begins and ends between two of them.
    near(runs, switches, relative=0.5, what="runs of the switch hook")
    assert 0 < spent < seconds, "%s s in %s s" % (spent, seconds)
    near(last.get("cgmeter_agent_cpu_seconds_total", mode="user") + last.get("cgmeter_agent_cpu_seconds_total", mode="system"),
         last.get("process_cpu_seconds_total"), absolute=1e-6, what="user and system time")
    equal(last.sum("cgmeter_map_memory_bytes"), last.get("cgmeter_map_bytes"), "memory of all maps")
    assert 0 < last.get("cgmeter_overhead_ratio") < by_speed(0.5, 3), last.get("cgmeter_overhead_ratio")
    equal(last.get("cgmeter_overhead_budget_ratio"), 0, "no budget")
    status = agent.json("/api/cgmeter/status")
    assert any(p["runs"] for p in status["programs"]) and status["groups"] and status["maps"], "the page's own state"


def worker_switches(agent):
    """Switches away of all tasks of the machine; the hook runs for the idle task's, too."""
    with open("/proc/stat") as f:
        return [int(line.split()[1]) for line in f if line.startswith("ctxt ")]


def overhead(agent, windows=2):
    """Over the next whole windows, without asking while they are open."""
    begin = agent.metrics().get("cgmeter_cost_windows_total")
    time.sleep(windows + 0.5)
    wait_for(lambda: agent.metrics().get("cgmeter_cost_windows_total") >= begin + windows, by_speed(10, 60), "windows")
    time.sleep(2)
    return agent.metrics().get("cgmeter_overhead_ratio")


def test_budget__a_group_goes_and_comes_back(t):
    agent = t.bpf_agent(*WINDOWS, groups=["sched_switch"])
    cgroup = t.cgroup()
    idle, loaded = 1e9, 0
    for _ in range(4):  # others' switches count, too: what this machine can tell apart
        idle = min(idle, overhead(agent))
        worker = cgroup.worker(yield_often, by_speed(8, 12)).go()
        loaded = max(loaded, overhead(agent))
        worker.result()
        if loaded > 1.6 * idle:
            break
    agent.stop()
    note("%.3f %% of a CPU when idle, %.3f %% under load" % (100 * idle, 100 * loaded))
    if loaded < 1.6 * idle:
        raise Skip("a load that the programs feel: %.2f %% idle, %.2f %% loaded" % (100 * idle, 100 * loaded))
    budget = (idle * loaded) ** 0.5
    agent = t.bpf_agent(*WINDOWS, "--overhead_budget=%.2f" % (100 * budget), groups=["sched_switch"])
    agent.knows(cgroup.path)
    before = agent.fresh()
    time.sleep(2)
    near(before.get("cgmeter_overhead_budget_ratio"), budget, absolute=0.0001, what="budget")
    worker = cgroup.worker(yield_often, by_speed(8, 30)).go()
    for _ in range(by_speed(10, 8)):  # seldom: the agent's answers count as its own cost
        time.sleep(by_speed(0.7, 3))
        off = agent.metrics()
        on, reason = groups(off)["run_queue"]
        if not on:
            break
    equal(on, 0, "run_queue, switched off")
    assert "overhead budget" in reason and "group run_queue is switched off" in agent.log(), reason
    assert off.get("cgmeter_group_switched_off_total", group="run_queue") >= 1
    equal(has(off, SWITCHES), [], "families of a group that is off")
    assert has(off, "container_memory_usage_bytes"), "files are never switched off"
    worker.result()
    wait_for(lambda: "group run_queue is tried again" in agent.log(), by_speed(60, 200), lambda: "new try; the log says: " + agent.log())
    for _ in range(20):
        time.sleep(by_speed(2, 8))
        again = agent.metrics()
        if groups(again)["run_queue"][0] == 1:
            break
    equal(groups(again)["run_queue"][0], 1, "run_queue, again")
    assert again.sum(SWITCHES, id=cgroup.path) >= before.sum(SWITCHES, id=cgroup.path), "counts were lost"
    note("\n".join(line for line in agent.log().splitlines() if "group " in line))


def drop_capabilities():
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def probe(*options, **keywords):
    done = subprocess.run([PROGRAM, "probe"] + list(options), stdout=subprocess.PIPE, text=True, timeout=by_speed(30, 200), **keywords)
    equal(done.returncode, 0, "status of probe")
    return done.stdout


def test_probe__json_holds_everything(t):
    found, text = json.loads(probe("--json")), probe()
    agent = t.agent()
    programs = {labels["program"]: labels for labels, _ in agent.metrics().all("cgmeter_program_attached")}
    equal({p["name"] for p in found["programs"]}, set(programs), "programs")
    for p in found["programs"]:
        assert p["mode"] != "off" or p["reason"], "no reason for %s" % p["name"]
        assert p["name"] in text and p["hook"] in text, p["name"] + " is not in the text"
    equal(found["kernel"], os.uname().release, "kernel")
    for key in ("BTF", "PSI", "sched_info", "taskstats/delayacct"):
        assert any(f["name"] == key for f in found["config"]), key
    assert any(f["name"] == "memory" for f in found["cgroups"]), "the memory controller"
    assert any(f["name"] == "css_rstat_flush" for f in found["features"]), "kfuncs"
    assert {"lockdown", "unprivileged_bpf_disabled", "RLIMIT_MEMLOCK"} <= {f["name"] for f in found["limits"]}, found["limits"]
    assert all(c["had"] for name, c in found["capabilities"].items() if c["needed"]), found["capabilities"]


def test_probe__without_capabilities_says_what_is_missing(t):
    found = json.loads(probe("--json", preexec_fn=drop_capabilities))
    for name in ("CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"):
        equal((found["capabilities"][name]["had"], found["capabilities"][name]["needed"]), (False, True), name)
    equal({p["mode"] for p in found["programs"]}, {"off"}, "modes")
    assert all("CAP_BPF" in p["reason"] for p in found["programs"]), found["programs"]
    assert SWITCHES in found["missing"]["run_queue"]["families"], found["missing"]
    assert {"block", "net", "task", "cgroup"} <= set(found["missing"]), found["missing"].keys()
    text = probe(preexec_fn=drop_capabilities)
    assert "MISSING" in text and "missing without run_queue" in text and SWITCHES in text, text


lib.main(globals())
