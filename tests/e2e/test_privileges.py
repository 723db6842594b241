#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the agent may do once it has started, what happens when it does more, and what is left of it without privileges."""
import ctypes
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import lib
from lib import PROGRAM, Skip, by_speed, equal, note, wait_for

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
NOBODY = 65534
CLONE_NEWNS, MS_PRIVATE_REC, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 0x20000, 0x44000, 24, 38
CAP_SETPCAP, CAP_SYS_ADMIN, CAP_BPF = 8, 21, 39
DENIED = "cgmeter_denied_syscalls_total"
libc = ctypes.CDLL(None, use_errno=True)


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return f.read()


def run(*words, **keywords):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **keywords).stdout


def bits():
    """{name: bit} of the table."""
    with open("/usr/include/linux/capability.h", encoding="utf-8") as f:
        return {name: int(value) for name, value in re.findall(r"^#define (CAP_\w+)\s+(\d+)$", f.read(), re.M)}


@functools.lru_cache(None)  # the probe loads every program
def table():
    return json.loads(run(PROGRAM, "probe", "--json"))["capabilities"]


def mask(names):
    number = bits()
    return sum(1 << number[name] for name in names)


def threads(agent):
    """{tid: {line of status: value}}"""
    folder, found = "/proc/%d/task" % agent.process.pid, {}
    for tid in os.listdir(folder):
        try:
            found[tid] = dict(line.split(":\t", 1) for line in read(folder, tid, "status").splitlines() if ":\t" in line)
        except OSError:
            pass  # it has ended
    return found


def check_threads(agent, kept):
    found = threads(agent)
    for tid, status in found.items():
        who = "%s of thread %s (%s)" % ("%s", tid, status["Name"])
        for line in ("CapPrm", "CapEff", "CapBnd"):
            equal(hex(int(status[line], 16)), hex(kept), who % line)
        for line in ("CapInh", "CapAmb"):
            equal(int(status[line], 16), 0, who % line)
        equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), who % "no_new_privs and filter")
    return found


def drop_admin():
    if libc.prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def hide_processes():
    """A mount namespace of our own, whose /proc shows others nothing of a process."""
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_PRIVATE_REC, None) != 0 or \
            libc.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=2") != 0:
        raise OSError(ctypes.get_errno(), "hidepid")
    become_nobody()


# ---- what is kept ----

def test_threads__keep_what_the_table_says(t):
    """Those of the server, of sinks (librdkafka's own, too), of runtimes, and the sampler."""
    kept = mask(name for name, c in table().items() if c["granted"])
    agent = t.agent("--storage_driver=statsd,kafka", "--storage_driver_statsd_host=127.0.0.1:9", "--storage_driver_kafka_broker_list=127.0.0.1:9",
                    "--enable_metrics=+process", "--docker=/nowhere/docker.sock", "--storage_driver_buffer_duration=1s")
    wait_for(lambda: any(s["Name"].startswith("rdk:") for s in threads(agent).values()), by_speed(10, 60), "thread of librdkafka")
    before = agent.metrics()
    found = check_threads(agent, kept)
    assert len(found) >= 6, found.keys()
    after = agent.fresh()
    for name in ("cgmeter_ticks_total", "cgmeter_dear_readings_total"):
        assert after.get(name) > before.get(name), name
    sampler = os.getpriority(os.PRIO_PROCESS, agent.process.pid)
    equal([tid for tid in found if int(tid) != agent.process.pid and os.getpriority(os.PRIO_PROCESS, int(tid)) < 0], [], "threads before others")
    equal(sampler, -10, "nice value of the sampler")
    assert "keeps " + " ".join(name for name, c in table().items() if c["granted"]) in agent.log(), agent.log()
    equal(after.all(DENIED), [], "denied calls")


def test_threads__bpf_stands_in_for_admin(t):
    agent = t.agent(pin_dir="", before_exec=drop_admin)
    check_threads(agent, mask(["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_BPF", "CAP_PERFMON"]))
    assert "without CAP_SYS_ADMIN: " in agent.log(), agent.log()


def test_options__keep_and_off(t):
    agent = t.agent("--privileges=keep", "--seccomp=off", "--bpf=off")
    own = dict(line.split(":\t", 1) for line in read("/proc/self/status").splitlines() if ":\t" in line)
    for status in threads(agent).values():
        equal((status["CapPrm"], status["Seccomp"]), (own["CapPrm"], own["Seccomp"]), "all is kept")
    assert "--privileges=keep" in agent.log(), agent.log()
    for option in ("--privileges=none", "--seccomp=true"):
        done = subprocess.run([PROGRAM, "node", option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 2 and option.split("=")[0] in done.stdout, done.stdout


# ---- what is denied ----

def shim(t, call):
    """A library, loaded before others, through which the agent's own loop makes that call."""
    if not shutil.which("gcc"):
        raise Skip("gcc")
    folder = tempfile.mkdtemp(prefix="cgmtest-shim-")
    t.callback(shutil.rmtree, folder)
    with open(folder + "/shim.c", "w") as f:
        # epoll_wait() is the sampler's, in its loop: the filter is there by then.
        f.write("""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>
int epoll_wait(int fd, struct epoll_event *e, int max, int timeout)
{
	static int (*real)(int, struct epoll_event *, int, int);
	static int done;
	if (!real)
		real = dlsym(RTLD_NEXT, "epoll_wait");
	if (gettid() == getpid() && ++done == 2)
		%s;
	return real(fd, e, max, timeout);
}
""" % call)
    run("gcc", "-shared", "-fPIC", "-o", folder + "/shim.so", folder + "/shim.c")
    return lambda: os.environ.update(LD_PRELOAD=folder + "/shim.so")


def test_denied__is_counted_and_said_and_no_end(t):
    agent = t.agent("--bpf=off", interval="200ms", before_exec=shim(t, "for (int i = 0; i < 3; i++) syscall(SYS_acct, 0)"))
    agent.may_be_denied = True
    wait_for(lambda: [v for _, v in agent.metrics().all(DENIED, syscall="acct")] == [3], by_speed(10, 60), "three denied calls")
    agent.wait_ticks()
    equal(agent.log().count("the system call acct is not on the list"), 1, "said once")
    status, _ = agent.stop()
    equal(status, 0, "status")


def test_denied__a_program_that_is_started_is_the_end(t):
    command = [PROGRAM, "node", "--bpf=off", "--port=0", "--pin_dir=", "--housekeeping_interval=200ms"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=by_speed(20, 120),
                          preexec_fn=shim(t, 'execl("/bin/true", "true", (char *)0)'))
    equal(done.returncode, -signal.SIGSYS, "status")


# ---- without privileges ----

def readable_program(t):
    """The program and its folder may be root's alone."""
    folder = tempfile.mkdtemp(prefix="cgmtest-program-")
    t.callback(shutil.rmtree, folder)
    os.chmod(folder, 0o755)
    shutil.copy(PROGRAM, folder + "/cgmeter")
    os.chmod(folder + "/cgmeter", 0o755)
    return folder + "/cgmeter"


def check_degraded(t, before_exec, program):
    """With the default pin directory, in which nobody may write."""
    cgroup = t.cgroup()
    with program_is(program):
        agent = t.agent(pin_dir="/sys/fs/bpf/cgmeter", interval="200ms", before_exec=before_exec)
    m = agent.fresh()
    equal((m.get("cgmeter_kernel_side"), m.all(DENIED)), (0, []), "kernel side and denied calls")
    agent.knows(cgroup.path)
    assert m.sum("container_cpu_usage_seconds_total", id="/") > 0, "CPU time"
    for path in ("/", "/api/v1.3/containers/", "/api/v1.3/machine", "/stats/summary", "/validate"):
        equal(agent.get(path).status, 200, path)
    agent.wait_ticks(2)
    said = [line for line in agent.log().splitlines() if not re.search(r"info: (page|metrics|REST) ", line)]
    assert len(said) == len(set(said)) <= 10, "said more than once, or much: " + agent.log()
    for name, c in table().items():
        assert not c["granted"] or any("without %s: %s" % (name, c["without"]) in line for line in said), "nothing of " + name
    for status in threads(agent).values():
        equal((int(status["CapPrm"], 16), status["NoNewPrivs"], status["Seccomp"]), (0, "1", "2"), "what it may")
    status, _ = agent.stop()
    equal(status, 0, "status")
    note("%d lines at the start" % len(said))


class program_is:
    """The agent under test is that program."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        import agent
        self.old, agent.PROGRAM = agent.PROGRAM, self.path

    def __exit__(self, *_):
        import agent
        agent.PROGRAM = self.old


def test_unprivileged__serves_what_files_hold(t):
    check_degraded(t, become_nobody, readable_program(t))


def test_unprivileged__processes_of_others_are_hidden(t):
    check_degraded(t, hide_processes, readable_program(t))


def test_unprivileged__probe(t):
    found = json.loads(run(readable_program(t), "probe", "--json", preexec_fn=become_nobody))
    for name, c in found["capabilities"].items():
        assert not c["had"] and c["without"], name
        if c["granted"]:
            assert c["needed"], name
    text = run(readable_program(t), "probe", preexec_fn=become_nobody)
    assert "CAP_SYS_PTRACE" in text and "MISSING: no container_network_*" in text, text[:2000]


# ---- what is written about it ----

def test_readme__has_the_table(t):
    made = run(PROGRAM, "privileges")
    assert made in read(TOP, "README.md"), "the table of the README is not what `cgmeter privileges` prints:\n" + made


def test_deploy__grants_what_the_table_says(t):
    granted = {name for name, c in table().items() if c["granted"]}
    manifest = read(TOP, "tools/deploy/kubernetes/base/daemon-set.yaml")
    added = manifest.split("              add:\n")[1].split("            # With SYS_ADMIN")[0]
    equal({"CAP_" + name for name in re.findall(r"^ +- (\w+)$", added, re.M)}, granted, "DaemonSet")
    unit = re.search(r"^CapabilityBoundingSet=(.*)$", read(TOP, "tools/deploy/cgmeter.service"), re.M).group(1)
    equal(set(unit.split()), granted, "unit")


def test_deploy__the_unit_lets_through_what_the_filter_does(t):
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze")
    sets, name = {}, None
    for line in run("systemd-analyze", "syscall-filter", stderr=subprocess.DEVNULL).splitlines():
        if line.startswith("@"):
            name = line.strip()
        elif name and line.strip() and not line.strip().startswith("#"):
            sets.setdefault(name, []).append(line.strip())

    def calls(word):
        return set().union(*(calls(one) for one in sets[word])) if word in sets else {word}

    words = re.search(r"^SystemCallFilter=(.*)$", read(TOP, "tools/deploy/cgmeter.service"), re.M).group(1).split()
    wanted = set(re.findall(r"^CGM_CALL(?:_IF)?\((\w+)", read(TOP, "user/node/seccomp.def"), re.M)) | {"capset", "prctl", "seccomp"}
    equal(wanted - set().union(*(calls(word) for word in words)), set(), "calls of the agent that the unit forbids")


lib.main(globals())
