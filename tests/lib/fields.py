# SPDX-License-Identifier: Apache-2.0
"""The fields of cAdvisor's JSON and the families of /metrics, and what the table says of each: metrics.def where it has it, else fields.txt."""
import fnmatch
import os
import re

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
SCHEMA = os.path.join(TOP, "tests/fixtures/schema")
ROOTS = {
    "v1.3": "ContainerInfo", "v2.0": "v2.DeprecatedContainerStats", "v2.1": "v2.ContainerInfo", "machinestats": "v2.MachineStats", "machine": "MachineInfo",
    "attributes": "v2.Attributes", "storage": "FsInfo", "summary": "DerivedStats", "ps": "ProcessInfo", "events": "Event",
}
UNTOLD = "the kernel does not tell"
ZERO = (None, 0, "", [], {}, False, "0001-01-01T00:00:00Z")
VALUE = re.compile(r'^CGM_VALUE\((\w+), \w+, \w+, "([^"]*)", "([^"]*)", "([^"]*)"\)', re.M)
ROW = re.compile(r'^CGM_(FAMILY|\w*SERIES)\((\w+), (.*)\)$', re.M)
KINDS = {"DISK_": "block device", "IFACE_": "network interface", "FS_": "file system", "MACHINE_": "machine", "SELF_": "cgmeter",
         "HIST_": "bpf", "LIVE_": "bpf", "COUNT_": "bpf", "COUNT_NS_": "bpf", "WAIT_": "bpf", "SOCK_": "bpf"}


def read(path):
    with open(path) as f:
        return f.read()


def rows(name, fields):
    """Of a text file with | between fields; without comments. A last field that is not there is the one before."""
    lines = read(os.path.join(SCHEMA, name)).splitlines()
    return [(line.split("|", fields - 1) + [line.rpartition("|")[2]])[:fields] for line in lines if line and not line.startswith("#")]


def types():
    """{type: [(key, type)]}"""
    found, fields = {}, None
    for name in ("cadvisor-v1.txt", "cadvisor-v2.txt"):
        for line in read(os.path.join(SCHEMA, name)).splitlines():
            if line.startswith("\t"):
                fields.append(tuple(line.strip().split("|")[:2]))
            elif not line.startswith("#"):
                fields = found[line] = []
    return found


def schema():
    """Every field of every answer, "answer:path"; lists and maps add nothing to a path."""
    known, found = types(), []

    def walk(kind, path):
        kind = re.sub(r"^(\[\]|map\[\w+\])+", "", kind)
        for key, member in known.get(kind, ()):
            found.append(path + key)
            walk(member, path + key + ".")
    for answer, kind in ROOTS.items():
        walk(kind, answer + ":")
    return found


def filled(answer, value):
    """The fields of one live answer that hold something, and all that are there."""
    known, some, there = types(), set(), set()

    def walk(kind, value, path):
        """True when something is in it; an object of zeros holds nothing."""
        inner = re.match(r"\[\]|map\[\w+\]", kind)
        if inner:
            members = value.values() if isinstance(value, dict) else value or []
            return any([walk(kind[inner.end():], member, path) for member in members])
        if kind not in known:
            return value not in ZERO
        kinds, holds = dict(known[kind]), False
        for key, member in value.items():
            there.add(path + key)
            if walk(kinds.get(key, ""), member, path + key + "."):
                some.add(path + key)
                holds = True
        return holds
    walk(ROOTS[answer], value, answer + ":")
    return some, there


def by_version(text):
    """ "v1: a; v2: b" is one for each."""
    m = re.fullmatch(r"v1: (.*); v2: (.*)", text)
    return m.groups() if m else (text, text)


def definitions():
    """({JSON path: (v1, v2)}, {family: (v1, v2)}) of metrics.def; "" is no source."""
    text = read(os.path.join(TOP, "include/cgmeter/metrics.def"))
    values = {m[0]: (m[2], m[3]) for m in VALUE.findall(text)}
    paths = {m[1]: (m[2], m[3]) for m in VALUE.findall(text) if m[1]}
    names, sources = {}, {}
    for macro, family, rest in ROW.findall(text):
        if macro == "FAMILY":
            names[family] = rest.split('"')[1]
            sources[names[family]] = ([], [])
        elif family in names:
            kind = macro[:-len("SERIES")]
            words = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
            pair = values[rest.split(",")[0]] if kind == "" else by_version(words[-1]) if kind == "WRITTEN_" else (KINDS[kind],) * 2
            for had, word in zip(sources[names[family]], pair):
                if word and word not in had:
                    had.append(word)
    return paths, {name: tuple("<br>".join(s) for s in pair) for name, pair in sources.items()}


def stat_path(field):
    """As metrics.def names it."""
    path = field.partition(":")[2]
    path = path[len("stats."):] if path.startswith("stats.") else path
    return path.replace("load_stats.", "task_stats.")


class Table:
    """{field or family: (mark, words) for v1, for v2}: "+" filled, "*" filled where the kernel side counts, "0" filled, but may
    well be 0 or left out here, "-" empty, and why."""

    def __init__(self):
        self.paths, self.families = definitions()
        self.written = rows("fields.txt", 3)
        self.used = set()
        names = schema()
        self.fields = {}
        for name in reversed(names):  # what is below a field comes behind it
            below = [pair for other, pair in self.fields.items() if other.startswith(name + ".")]
            self.fields[name] = self.holder(below) if below else self.find(name, self.paths.get(stat_path(name)))
        self.fields = {name: self.fields[name] for name in names}
        wanted = [row[0] for row in rows("cadvisor-families.txt", 4)]
        self.wanted = set(wanted)
        self.metrics = {name: self.find(name, self.families.get(name)) for name in wanted + [n for n in self.families if n not in self.wanted]}

    @staticmethod
    def mark(text, source):
        """(mark, words)"""
        if text[1:] != " =":
            return text[0], text[1:].strip()
        return (text[0], source) if source else ("-", UNTOLD if source == "" else "")

    def find(self, name, source):
        """A written row goes first; its "=" stands for the source in metrics.def."""
        for number, (pattern, v1, v2) in enumerate(self.written):
            if fnmatch.fnmatchcase(name, pattern):
                self.used.add(number)
                return self.mark(v1, source and source[0]), self.mark(v2, source and source[1])
        mark = "0" if name.startswith("cgmeter_") else "+"
        return tuple((mark, s) if s else ("-", UNTOLD) for s in source) if source else None

    @staticmethod
    def holder(below):
        """A field that holds others: as much as they do."""
        pairs = [pair for pair in below if pair]

        def one(version):
            marks = {pair[version][0] for pair in pairs}
            return ("-", pairs[-1][version][1]) if marks == {"-"} else (next(m for m in "+*0" if m in marks), "what it holds")
        return (one(0), one(1)) if pairs else None

    def unused(self):
        return [row[0] for number, row in enumerate(self.written) if number not in self.used]

    def markdown(self):
        words = {"+": "", "*": "", "0": "", "-": "absent: "}
        lines = ["# Fields and families", "", "Made by tests/e2e/test_fields.py from include/cgmeter/metrics.def and tests/fixtures/schema/fields.txt, after it saw "
                 "that a live agent keeps to it. What is filled from, or absent and why.", ""]
        for title, part in (("field (answer:path)", self.fields), ("family", self.metrics)):
            lines += ["| %s | cgroup v1 | cgroup v2 |" % title, "|---|---|---|"]
            for name, pair in part.items():
                lines.append("| `%s` | %s |" % (name, " | ".join((words[m] + w).replace("|", "\\|") for m, w in pair)))
            lines.append("")
        return "\n".join(lines)
