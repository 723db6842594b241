#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands of the README's section "bpftool" print what the README says they print, but for the numbers."""
import os
import re
import subprocess

import lib
from lib import note

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../README.md")
PINS = "/sys/fs/bpf/cgmeter"
ANYTHING = "…"


def section(name):
    with open(README, encoding="utf-8") as f:
        return f.read().split("\n## %s\n" % name)[1].split("\n## ")[0]


def commands(text):
    """[(command, [lines that it prints])] of the indented blocks."""
    found = []
    for line in text.split("\n"):
        if not line.startswith("    "):
            continue
        line = line[4:]
        if line.startswith("# "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def shape(line):
    """Without numbers, and however many there are in a row."""
    line = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+[+-]\d{4}", "N", line)
    line = re.sub(r"\b(0x)?[0-9a-f]*\d[0-9a-f]*(?=B?\b)", "N", line)
    return " ".join(re.sub(r"N([,.:-]N)+", "N", line).split())


def missing(wanted, got):
    """The first line that does not come, in this order; after a line of … anything may stand before the next."""
    at, free = 0, False
    for line in wanted:
        if line.strip() == ANYTHING:
            free = True
            continue
        places = [i for i in range(at, len(got)) if got[i] == shape(line)]
        if not places or (places[0] != at and at and not free):
            return line
        at, free = places[0] + 1, False
    return None


def test_readme__bpftool(t):
    fs = t.bpffs()
    agent = t.bpf_agent(pin_dir=fs.pin_dir, groups=["cgm_switch"])
    agent.wait_ticks()
    todo = commands(section("bpftool"))
    assert len(todo) >= 4, todo
    environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    for command, wanted in todo:
        done = subprocess.run(["bash", "-c", command.replace(PINS, fs.pin_dir)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment)
        lines = done.stdout.split("\n")
        line = missing(wanted, [shape(one) for one in lines])
        if line is not None or done.returncode != 0:
            note("# %s\n%s" % (command, done.stdout))
        assert done.returncode == 0, "%s: status %d" % (command, done.returncode)
        assert wanted, command + ": the README shows nothing"
        assert line is None, "%s: does not print %r" % (command, line)


lib.main(globals())
