# SPDX-License-Identifier: Apache-2.0
"""A small tree of cgroups that do different things, so that the page has something to show; and as many idle ones as are wanted."""
import mmap
import os
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from cgroups import Cgroup, trees, write  # noqa: E402

# Markup, quotes, an entity, what ends a string in JavaScript or a path in an address: a name of a cgroup may hold all of it (but neither a newline
# nor a slash, which the kernel refuses), and the page shows it as it is.
HOSTILE = "<img src=x onerror=\"window.hacked=1\">'`&amp;\\%41 ${x}?#"
KIB = 1024


def burn(share, period=0.05):
    """Uses that share of a CPU, for ever."""
    while True:
        end = time.monotonic() + share * period
        while time.monotonic() < end:
            pass
        time.sleep(max(0.0, (1 - share) * period))


def write_disk(path, rate):
    """Writes past the page cache, some 16 KiB at a time, then waits for the disk to have it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    area = mmap.mmap(-1, 16 * KIB)
    at = 0
    while True:
        os.pwritev(fd, [area], at % (4 * KIB * KIB))
        at += 16 * KIB
        if at % (256 * KIB) == 0:
            os.fsync(fd)
        time.sleep(1 / rate)


def talk(rate):
    """Sends to itself by TCP and answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        peer, _address = server.accept()

    def echo():
        while True:
            peer.sendall(peer.recv(64 * KIB))

    threading.Thread(target=echo, daemon=True).start()
    while True:
        client.sendall(b"x" * 8 * KIB)
        left = 8 * KIB
        while left:
            left -= len(client.recv(left))
        time.sleep(1 / rate)


def hold(size, rate):
    """Memory that is used: grows and shrinks by an eighth."""
    held = bytearray(size)
    while True:
        more = bytearray(size // 8)
        more[::4096] = b"x" * len(more[::4096])
        time.sleep(1 / rate)
        held[::65536] = b"y" * len(held[::65536])
        del more


class Scene:
    def __init__(self, nr_idle=0):
        self.made = []
        self.dir = tempfile.mkdtemp(prefix="cgmtest-page-", dir="/var/tmp")
        self.top = self.cgroup(Cgroup("/cgmtest-page-%d" % os.getpid()))
        try:
            self.fill(nr_idle)
        except BaseException:
            self.remove()
            raise

    def cgroup(self, cgroup):
        self.made.append(cgroup)
        return cgroup

    def child(self, name, function=None, *arguments, parent=None):
        cgroup = self.cgroup((parent or self.top).child(name))
        if function:
            cgroup.worker(function, *arguments).go()
        return cgroup

    def fill(self, nr_idle):
        self.child("database", write_disk, os.path.join(self.dir, "file"), 100)
        self.child("network", talk, 100)
        self.child("memory", hold, 64 * KIB * KIB, 2)
        self.web = self.child("web")
        for number, share in enumerate((0.12, 0.06, 0.03)):
            self.child("worker-%d" % number, burn, share, parent=self.web)
        self.limited = self.child("limited")
        if trees.v2:
            write(self.limited.file("cpu", "cpu.max"), "10000 100000")
        else:
            write(self.limited.file("cpu", "cpu.cfs_quota_us"), "10000")
        self.limited.worker(burn, 0.3).go()
        self.hostile = self.child(HOSTILE, burn, 0.02)
        idle = self.child("idle") if nr_idle else None
        for number in range(nr_idle):
            self.child("c%03d" % number, parent=idle)

    def remove(self):
        for cgroup in reversed(self.made):
            cgroup.kill()
        for cgroup in reversed(self.made):
            cgroup.remove()
        path = os.path.join(self.dir, "file")
        if os.path.exists(path):
            os.unlink(path)
        os.rmdir(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
