#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every field of cAdvisor's schema and every family: a live agent fills it from what the table says, or leaves it empty for the reason there."""
import errno
import os
import re
import socket
import sys
import time

import lib
from cgroups import ignore, trees, write
from disk import Loop, direct
from lib import by_speed, equal, note

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
import fields  # noqa: E402

REQUESTS = {
    "v1.3": "v1.3/subcontainers/", "v2.0": "v2.0/stats/?recursive=true&count=-1", "v2.1": "v2.1/stats/?recursive=true&count=-1",
    "machinestats": "v2.1/machinestats?count=-1", "machine": "v1.3/machine", "attributes": "v2.1/attributes", "storage": "v2.1/storage",
    "summary": "v2.1/summary/?recursive=true", "ps": "v2.1/ps/", "events": "v1.3/events/?creation_events=true&deletion_events=true&oom_events=true"
    "&oom_kill_events=true&subcontainers=true&max_events=100",
}
kept = []


def work(path, device):
    """CPU beyond its quota, memory, a file that is written, a disk written and read, TCP sockets."""
    for write_it in (True, False):
        if device:
            direct(device, 1 << 20, 1 << 16, write_it)
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    kept.append(bytearray(b"x" * (8 << 20)))
    with open(path, "wb") as f:
        f.write(b"x" * (1 << 20))
        f.flush()
        os.fsync(f.fileno())
    os.system("ip link set lo up; ip link add cgm0 type veth peer name cgm1; ip link set cgm0 up; ip link set cgm1 up")
    server = socket.create_server(("127.0.0.1", 0))
    kept.extend([server, socket.create_connection(server.getsockname()), server.accept()])


def limit(cgroup):
    """Half a CPU."""
    if trees.v2:
        write(cgroup.file("cpu", "cpu.max"), "50000 100000")
    else:
        write(cgroup.file("cpu", "cpu.cfs_quota_us"), "50000")


def loop_device(t):
    try:
        return Loop(t, 2).device
    except lib.Skip as missing:
        note("without %s" % missing)
        return None


def elements(answer):
    """The objects of an answer, be they in a list, by name, or both."""
    if isinstance(answer, list):
        return [one for member in answer for one in elements(member)]
    if answer and all(key.startswith("/") for key in answer):
        return elements(list(answer.values()))
    return [answer]


def seen(agent):
    some, there = set(), set()
    for name, request in REQUESTS.items():
        for element in elements(agent.json("/api/" + request)):
            more, keys = fields.filled(name, element)
            some |= more
            there |= keys
    return some, there


def faults(table, some, version, filled):
    """What the table says and the agent does not, or the other way round. filled: the marks of what must be there."""
    found = []
    for name, pair in table.items():
        if pair is None:
            found.append("%s: not in the table (%s here)" % (name, "filled" if name in some else "empty"))
        elif pair[version][0] in filled and name not in some:
            found.append("%s: empty, but the table says: %s" % (name, pair[version][1]))
        elif pair[version][0] == "-" and name in some:
            found.append("%s: filled, but the table says absent: %s" % (name, pair[version][1]))
        elif not pair[version][1]:
            found.append("%s: neither source nor reason" % name)
    return found + ["%s: in the answer, but neither in the schema nor in metrics.def" % name for name in sorted(some - set(table))]


def test_fields__as_the_table_says(t):
    table = fields.Table()
    equal(table.unused(), [], "rows of fields.txt that name nothing")
    agent = t.agent("--disable_metrics=")
    cgroup = t.cgroup()
    limit(cgroup)
    path = "/tmp/cgmtest-%d" % os.getpid()
    t.callback(ignore, (errno.ENOENT,), os.unlink, path)
    device = loop_device(t)
    worker = cgroup.worker(work, path, device, new_netns=True)
    agent.knows(cgroup.path)
    worker.run()
    gone = t.cgroup()
    agent.knows(gone.path)
    gone.remove()
    agent.wait_ticks(by_speed(3, 3))
    some, there = seen(agent)
    version = 1 if trees.v2 else 0
    families = {name for name, family in agent.metrics().families.items() if family.samples}
    marks = "+*" if agent.has_kernel_side() else "+"
    found = faults(table.fields, some, version, marks) + faults(table.metrics, families, version, marks)
    if not device:
        found = [line for line in found if not re.match(r"\S*(diskio|blkio)\S*: empty", line)]
    found += ["%s: not in the schema" % name for name in sorted(there - set(table.fields))]
    for line in found:
        note(line)
    assert not found, "%d differences" % len(found)
    build = os.path.join(TOP, os.environ.get("B", "build"))
    if os.access(build, os.W_OK):  # not in a guest
        with open(build + "/fields.md", "w") as f:
            f.write(table.markdown())


lib.main(globals())
