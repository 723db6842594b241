# SPDX-License-Identifier: Apache-2.0
"""Loop devices of our own."""
import fcntl
import mmap
import os
import stat
import subprocess

import lib
from cgroups import read

MIB = 1 << 20
LOOP_CTL_GET_FREE = 0x4C82


def direct(path, size, step, write):
    """size bytes with O_DIRECT, in order, step bytes a call."""
    fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_DIRECT)
    area = mmap.mmap(-1, step)  # page-aligned, as O_DIRECT wants it
    try:
        for offset in range(0, size, step):
            done = os.pwritev(fd, [area], offset) if write else os.preadv(fd, [area], offset)
            if done != step:
                raise OSError("short: %d" % done)
    finally:
        os.close(fd)


class Loop:
    """A loop device over a file in /tmp."""

    def __init__(self, t, mib):
        self.image = "/tmp/cgmtest-%d.img" % os.getpid()
        with open(self.image, "wb") as f:
            f.truncate(mib * MIB)
        t.callback(os.unlink, self.image)
        subprocess.run(["modprobe", "-q", "loop"], check=False)
        self.make_node()
        found = subprocess.run(["losetup", "--find", "--show", self.image], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if found.returncode != 0:
            raise lib.Skip("loop devices (%s)" % found.stderr.strip())
        self.device = found.stdout.strip()
        t.callback(subprocess.run, ["losetup", "-d", self.device], check=True)
        self.name = os.path.basename(self.device)
        self.number = read("/sys/block/%s/dev" % self.name).strip()

    @staticmethod
    def make_node():
        """Where nobody makes device files, a free loop device has none."""
        try:
            with open("/dev/loop-control") as control:
                node = "/dev/loop%d" % fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            if not os.path.exists(node):
                os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(7, int(node[len("/dev/loop"):])))
        except OSError:
            pass  # losetup will say why

    def stat(self):
        """Documentation/block/stat.rst: (reads, bytes read, writes, bytes written)."""
        f = [int(n) for n in read("/sys/block/%s/stat" % self.name).split()]
        return f[0], f[2] * 512, f[4], f[6] * 512

    def fields(self):
        """All of it: 1, 5 merges of reads and writes, 6 sectors written, 7 ms of writes, 9 ms busy."""
        return [int(n) for n in read("/sys/block/%s/stat" % self.name).split()]

    def mount(self, t):
        t.command("mkfs.ext4", "-q", "-F", self.device)
        folder = "/tmp/cgmtest-%d.mnt" % os.getpid()
        os.mkdir(folder)
        t.callback(os.rmdir, folder)
        t.command("mount", self.device, folder, undo=["umount", folder])
        return folder
