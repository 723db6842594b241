# SPDX-License-Identifier: Apache-2.0
"""What the benches share: active cgroups, the yardstick, an agent's cost, the table and build/bench/NAME.json."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
from agent import Agent, Bpffs  # noqa: E402
from cgroups import Cgroup, read, trees  # noqa: E402

OUT = os.path.join(TOP, os.environ.get("B", "build"), "bench")
# What cAdvisor opens for one sample of one container on cgroup v1, and what of it v2 has.
V1_FILES = {
    "memory": ["memory.stat", "memory.use_hierarchy", "memory.numa_stat"] + [
        "memory." + kind + name for kind in ("", "memsw.", "kmem.", "kmem.tcp.")
        for name in ("usage_in_bytes", "max_usage_in_bytes", "failcnt", "limit_in_bytes")],
    "cpu": ["cpu.stat"],
    "cpuacct": ["cpuacct.usage", "cpuacct.stat", "cpuacct.usage_percpu", "cpuacct.usage_all"],
    "blkio": ["blkio.bfq.io_service_bytes_recursive", "blkio.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive",
              "blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced"],
}
V2_FILES = ["memory.stat", "memory.current", "memory.peak", "memory.max", "memory.swap.current", "memory.swap.max", "memory.events",
            "memory.numa_stat", "memory.pressure", "cpu.stat", "cpu.pressure", "io.stat", "io.pressure", "pids.current", "pids.max"]


def build(name):
    """One of the C programs beside this file."""
    os.makedirs(OUT, exist_ok=True)
    path = os.path.join(OUT, name)
    subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", path, os.path.join(HERE, name + ".c")], check=True)
    return path


@contextlib.contextmanager
def active_cgroups(number):
    """That many cgroups with a process each that wakes up once a second."""
    made, tickers = [], None
    try:
        for i in range(number):
            made.append(Cgroup("/cgmbench-%d-c%04d" % (os.getpid(), i)))
        tickers = subprocess.Popen([build("tickers")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        tickers.stdin.write("".join(" ".join(sorted(set(c.dirs.values()))) + "\n" for c in made).encode())
        tickers.stdin.close()
        arrived = 0
        while arrived < number:
            dots = os.read(tickers.stdout.fileno(), 4096)
            if not dots:
                raise SystemExit("tickers: only %d of %d are in their cgroup" % (arrived, number))
            arrived += len(dots)
        yield made
    finally:
        if tickers:
            tickers.kill()  # its children go with it
            tickers.wait()
        for cgroup in made:
            cgroup.remove()


@contextlib.contextmanager
def networked_cgroups(number):
    """That many cgroups with a process in a network namespace of its own, which has a veth pair: (cgroup, pid)."""
    made = []
    try:
        for i in range(number):
            cgroup = Cgroup("/cgmbench-%d-n%04d" % (os.getpid(), i))
            made.append((cgroup, None))
            pid = cgroup.worker(lambda: None, new_netns=True).pid
            made[-1] = (cgroup, pid)
            subprocess.run(["nsenter", "--net=/proc/%d/ns/net" % pid, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "veth0"],
                           check=True)
        yield made
    finally:
        for cgroup, _pid in made:
            cgroup.remove()


def yardstick(cgroups, rounds):
    """(CPU us a container-sample, files a sample) of the plain loop over files."""
    lines = []
    for cgroup in cgroups:
        if trees.v2:
            lines += [cgroup.file("", name) for name in V2_FILES]
        else:
            lines += [cgroup.dirs[c] + "/" + name for c, names in V1_FILES.items() if c in cgroup.dirs for name in names]
        lines.append("")
    return yardstick_files(lines, rounds)


def yardstick_files(lines, rounds):
    """The same over these files; an empty line ends a sample."""
    done = subprocess.run([build("yardstick"), str(rounds)], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True, check=True)
    samples, files, cpu_ns, _wall_ns = map(int, done.stdout.split())
    return cpu_ns / samples / 1000, files / samples


def cpu_ns(pid):
    """CPU time of the process to the ns, threads that have ended included: clock_getcpuclockid(3), which Python does not offer."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def ticks_ns(pid):
    fields = read("/proc/%d/stat" % pid).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10**9 // os.sysconf("SC_CLK_TCK")


def memory_mb(pid, what="VmRSS"):
    return int(read("/proc/%d/status" % pid).split(what + ":")[1].split()[0]) / 1024


@contextlib.contextmanager
def running_agent(*options):
    fs = Bpffs()
    agent = None
    try:
        agent = Agent(*options, pin_dir=fs.pin_dir)
        yield agent
    finally:
        if agent:
            agent.stop()
        fs.remove()


class Report:
    def __init__(self, name):
        self.name, self.rows = name, []

    def add(self, metric, value, unit, limit=None, yardstick=None):
        row = {"metric": metric, "value": round(value, 3), "unit": unit, "limit": limit,
               "yardstick": None if yardstick is None else round(yardstick, 3)}
        self.rows.append(row)

    def finish(self):
        """The table, the file, and 1 when a limit is passed."""
        print("%-44s %12s %-6s %10s %12s %8s" % (self.name, "value", "unit", "limit", "yardstick", "ratio"))
        bad = 0
        for r in self.rows:
            over = r["limit"] is not None and r["value"] > r["limit"]
            bad += over
            ratio = "%.1fx" % (r["yardstick"] / r["value"]) if r["yardstick"] is not None and r["value"] else ""
            print("%-44s %12.3f %-6s %10s %12s %8s%s" % (
                r["metric"], r["value"], r["unit"], "" if r["limit"] is None else r["limit"],
                "" if r["yardstick"] is None else r["yardstick"], ratio, "  OVER" if over else ""))
        os.makedirs(OUT, exist_ok=True)
        path = os.path.join(OUT, self.name + ".json")
        with open(path + ".new", "w") as f:
            json.dump({"rows": self.rows}, f, indent=1)
        os.rename(path + ".new", path)
        return 1 if bad else 0


def started_as_root():
    if os.geteuid() != 0:
        raise SystemExit("needs root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
