# SPDX-License-Identifier: Apache-2.0
"""
The harness of the e2e tests. A file defines functions test_<what>__<case>(t) and ends with lib.main(globals()). They run in the order
of the file; each gets a Test, through which it makes agents, cgroups and workers, that are ended and removed after it. TAP on stdout.
"""
import contextlib
import os
import signal
import subprocess
import sys
import traceback

from agent import Agent, Bpffs, PROGRAM, SLOW, by_speed, wait_for  # noqa: F401, for the tests
from cgroups import Cgroup, trees  # noqa: F401


class Skip(Exception):
    """With the missing feature as its text."""


class Test(contextlib.ExitStack):
    def __init__(self):
        super().__init__()
        self.agents = []

    def bpffs(self):
        fs = Bpffs()
        self.callback(fs.remove)
        return fs

    def agent(self, *options, pin_dir=None, **keywords):
        """An agent with a pin directory of its own; pin_dir="" for none."""
        if pin_dir is None:
            pin_dir = self.bpffs().pin_dir
        agent = Agent(*options, pin_dir=pin_dir, **keywords)
        self.agents.append(agent)
        self.callback(agent.stop)
        return agent

    def bpf_agent(self, *options, groups=(), **keywords):
        """The same, and its kernel side counts; every group named has a running program."""
        agent = self.agent(*options, **keywords)
        for group in groups or ("",):
            self.need_program(agent, group)
        return agent

    @staticmethod
    def need_program(agent, part):
        """Skips when no program runs whose name or hook holds that text, or one of several with | between them."""
        rows = [labels for labels, value in agent.metrics().all("cgmeter_program_attached")
                if any(text in labels["program"] or text in labels["hook"] for text in part.split("|"))]
        running = [labels for labels in rows if labels["mode"] != "off"]
        if not running:
            raise Skip("BPF program %s: %s" % (part or "of any kind", "; ".join(sorted({r.get("reason", "") for r in rows})) or "none"))

    def cgroup(self, parent=None, name=None):
        cgroup = parent.child(name) if parent else Cgroup()
        self.callback(cgroup.remove)
        return cgroup

    def command(self, *words, undo=None):
        """Runs a command that must succeed; undo is run after the test."""
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise AssertionError("%s: %s" % (" ".join(words), done.stdout.strip()))
        if undo:
            self.callback(subprocess.run, undo, check=True)
        return done.stdout

    def failure(self):
        for agent in self.agents:
            for line in agent.log().splitlines()[-25:]:
                note("agent: " + line)


def near(value, wanted, relative=0.0, absolute=0.0, what=""):
    room = abs(wanted) * relative + absolute
    assert abs(value - wanted) <= room, "%s: %s, wanted %s +- %s" % (what, value, wanted, room)


def equal(value, wanted, what=""):
    assert value == wanted, "%s: %s, wanted %s" % (what, value, wanted)


notes = []


def note(text):
    """Shown below the test's result."""
    notes.extend(str(text).splitlines())


def run_test(function):
    """(outcome, reason): "ok", "skip" or "not ok"."""
    with Test() as t:
        try:
            function(t)
        except Skip as skip:
            return "skip", str(skip)
        except BaseException as error:
            note("".join(traceback.format_exception(error)).rstrip())
            t.failure()
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            return "not ok", ""
    return "ok", ""


def main(names):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    tests = [(name, f) for name, f in names.items() if name.startswith("test_") and callable(f) and only in name]
    if os.geteuid() != 0:
        sys.exit("the e2e tests need root")
    if not os.access(PROGRAM, os.X_OK):
        sys.exit("no program %s: run make, or set CGMETER" % PROGRAM)
    print("1..%d" % len(tests), flush=True)
    failed = 0
    for number, (name, function) in enumerate(tests, 1):
        notes.clear()
        try:
            outcome, reason = run_test(function)
        except AssertionError as error:  # while things were ended and removed
            outcome, reason = "not ok", ""
            note("after the test: %s" % error)
        except SystemExit:
            tell("not ok", number, name, "")
            raise
        failed += outcome == "not ok"
        tell(outcome, number, name, reason)
    sys.exit(1 if failed else 0)


def tell(outcome, number, name, reason):
    if outcome == "skip":
        print("ok %d - %s # SKIP %s" % (number, name, reason))
    else:
        print("%s %d - %s" % (outcome, number, name))
    for line in notes:
        print("# " + line)
    sys.stdout.flush()
