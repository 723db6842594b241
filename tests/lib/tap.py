# SPDX-License-Identifier: Apache-2.0
"""Reads TAP as cmocka 1.1 and our own e2e harness print it, runs test programs, and keeps the count."""
import os
import re
import signal
import subprocess
import sys
import threading
import time

RESULT = re.compile(r"^(not )?ok\s+(\d+)(?:\s+-)?\s*(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)\s*$")
REASON = re.compile(r"^#\s*skip:\s*(.+)$", re.IGNORECASE)
# cmocka prints "not ok 2 # SKIP name" and knows no reason; the test prints "# skip: REASON" before it calls skip().
SKIP = re.compile(r"#\s*SKIP\b\s*(.*)$", re.IGNORECASE)

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Result:
    def __init__(self, name, outcome, reason="", detail=()):
        self.name, self.outcome, self.reason, self.detail = name, outcome, reason, list(detail)
        self.seconds = 0  # of the first of a program: how long all of it took


class Parser:
    """Feed it lines; it hands each finished test to a callback. A test's "#" lines may stand before it or after it."""

    def __init__(self, emit):
        self.emit = emit
        self.before = []  # lines since the last result
        self.pending = None  # a failure that may still get lines
        self.planned = self.seen = 0
        self.failed = 0

    def line(self, text):
        plan, result = PLAN.match(text), RESULT.match(text)
        if plan:
            self.planned += int(plan.group(1))
        elif result:
            self.result(result.group(1) is not None, result.group(3))
        elif self.pending and text.startswith("#") and not REASON.match(text):
            self.pending.detail.append(text)
        else:
            self.before.append(text)

    def result(self, bad, rest):
        self.flush()
        self.seen += 1
        skip = SKIP.search(rest)
        if skip:
            name, reason = rest[:skip.start()].strip(), skip.group(1).strip()
            if not name:
                name, reason = reason, ""
            for text in self.before:
                given = REASON.match(text)
                reason = given.group(1) if given else reason
            if reason:
                self.emit(Result(name, SKIPPED, reason))
            else:
                self.failed += 1
                self.emit(Result(name, FAILED, detail=["# skipped without naming the missing feature"]))
        elif bad:
            self.failed += 1
            self.pending = Result(rest, FAILED, detail=self.before)
        else:
            self.emit(Result(rest, PASSED))
        self.before = []

    def flush(self):
        if self.pending:
            self.emit(self.pending)
            self.pending = None


class Tally:
    """Prints results as they come, for people or as TAP for the runner outside a virtual machine. Used from several threads."""

    def __init__(self, tap=False, prefix=""):
        self.tap, self.prefix = tap, prefix
        self.count = {PASSED: 0, FAILED: 0, SKIPPED: 0}
        self.lock = threading.Lock()

    def add(self, result):
        with self.lock:
            self.count[result.outcome] += 1
            name = self.prefix + result.name
            if self.tap:
                self.add_tap(name, result)
            elif result.outcome == FAILED:
                print("FAILED   %s" % name)
                for text in result.detail:
                    print("         | " + text)
            elif result.outcome == SKIPPED:
                print("skipped  %s: %s" % (name, result.reason))
            sys.stdout.flush()

    def add_tap(self, name, result):
        number = sum(self.count.values())
        if result.outcome == SKIPPED:
            print("ok %d - %s # SKIP %s" % (number, name, result.reason))
        elif result.outcome == PASSED:
            print("ok %d - %s" % (number, name))
        else:
            print("not ok %d - %s" % (number, name))
            for text in result.detail:
                print("# " + text.lstrip("# "))

    def note(self, text):
        with self.lock:
            print(("# " if self.tap else "") + text)
            sys.stdout.flush()

    def finish(self):
        if self.tap:
            print("1..%d" % sum(self.count.values()))
        else:
            print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % self.count)
        sys.stdout.flush()
        return 0 if self.count[PASSED] > 0 and self.count[FAILED] == 0 else 1


def signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def end_group(process, grace_seconds=15):
    """TERM first, so that a test can remove its cgroups; then KILL for what is left of its process group."""
    signal_group(process, signal.SIGTERM)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        pass
    signal_group(process, signal.SIGKILL)


def describe(status, timed_out, timeout):
    if timed_out:
        return "did not end within %d s" % timeout
    if status < 0:
        return "was ended by signal %d (%s)" % (-status, signal.Signals(-status).name)
    return "ended with status %d" % status


def run_program(tally, name, command, timeout, env=None, again=False):
    """
    Runs one test program. Every way not to end well is at least one failure: a crash, a timeout, missing results, a wrong status. again: one that
    fails is run once more, as a virtual machine stands still at times; what it said first is shown all the same, and the second try counts.
    """
    results, timed_out = try_program(name, command, timeout, env)
    failed = [r for r in results if r.outcome == FAILED]
    if again and failed and not timed_out:
        for r in failed:
            tally.note("first try of %s failed: %s" % (name, r.name))
            for text in r.detail:
                tally.note("         : " + text)
        results, timed_out = try_program(name, command, timeout, env)
    for result in results:
        tally.add(result)
    counted = [(sum(r.outcome == outcome for r in results), outcome) for outcome in (PASSED, FAILED, SKIPPED)]
    tally.note("%-40s %s (%.1f s)" % (name, ", ".join("%d %s" % c for c in counted if c[0]) or "nothing", sum(r.seconds for r in results)))


def try_program(name, command, timeout, env):
    """(results, whether it did not end in time)"""
    began = time.monotonic()
    tail, timed_out, results = [], [], []

    def emit(result):
        result.name = "%s/%s" % (name, result.name)
        results.append(result)

    parser = Parser(emit)
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env=dict(os.environ, **(env or {})), start_new_session=True, text=True, errors="replace")
    except OSError as error:
        return [Result(name, FAILED, detail=["# cannot run %s: %s" % (command[0], error)])], False

    def expire():
        timed_out.append(True)
        end_group(process)

    timer = threading.Timer(timeout, expire)
    timer.start()
    try:
        for text in process.stdout:
            text = text.rstrip("\n")
            tail = tail[-199:] + [text]
            parser.line(text)
        status = process.wait()
    except BaseException:
        end_group(process)
        raise
    finally:
        timer.cancel()
    parser.flush()
    if timed_out or status < 0 or (status != 0 and parser.failed == 0):
        results.append(Result(name, FAILED, detail=["# " + describe(status, timed_out, timeout)] + tail))
    elif parser.seen != parser.planned or parser.seen == 0:
        results.append(Result(name, FAILED, detail=["# planned %d tests, told the outcome of %d" % (parser.planned, parser.seen)] + tail))
    if results:
        results[0].seconds = time.monotonic() - began
    return results, bool(timed_out)
