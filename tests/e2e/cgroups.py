# SPDX-License-Identifier: Apache-2.0
"""Container-like cgroups: the same path in every hierarchy that is mounted; and processes inside them that work when told to."""
import ctypes
import errno
import itertools
import os
import pickle
import signal
import time

# What a container runtime uses; others (devices, freezer, name=systemd) are left alone.
V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "blkio", "pids", "hugetlb", "perf_event")
V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids")
numbers = itertools.count()
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def read(path):
    with open(path) as f:
        return f.read()


def write(path, text):
    with open(path, "w") as f:
        f.write(str(text))


def keyed(path):
    """A file of "key value" lines."""
    return {key: int(value) for key, value in (line.split() for line in read(path).splitlines())}


class Trees:
    """Where the hierarchies are mounted: {controller: mount point}; "unified" is the v2 tree."""

    def __init__(self):
        self.mounts = {}
        for line in read("/proc/self/mountinfo").splitlines():
            head, _, tail = line.partition(" - ")
            point, kind, options = head.split()[4], tail.split()[0], tail.split()[2].split(",")
            if kind == "cgroup2":
                self.mounts.setdefault("unified", point)
            elif kind == "cgroup":
                for controller in V1_CONTROLLERS:
                    if controller in options:
                        self.mounts.setdefault(controller, point)
        self.v2 = set(self.mounts) == {"unified"}
        self.mode = "v2" if self.v2 else "hybrid" if "unified" in self.mounts else "v1"


trees = Trees()


def ignore(errors, call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        if error.errno not in errors:
            raise
        return None


class Cgroup:
    def __init__(self, path=None):
        self.path = path or "/cgmtest-%d-%d" % (os.getpid(), next(numbers))
        self.dirs = {name: point + self.path for name, point in trees.mounts.items()}
        self.workers = []
        if trees.v2:
            self.enable(os.path.dirname(self.dirs["unified"]))
        for directory in sorted(set(self.dirs.values())):
            os.mkdir(directory)
        if "cpuset" in self.dirs:  # a new v1 cpuset is empty and takes no task
            for name in ("cpuset.cpus", "cpuset.mems"):
                write(self.file("cpuset", name), read(os.path.join(os.path.dirname(self.dirs["cpuset"]), name)))

    @classmethod
    def at(cls, path):
        """One that somebody else has made and will remove."""
        cgroup = cls.__new__(cls)
        cgroup.path, cgroup.workers = path, []
        cgroup.dirs = {name: point + path for name, point in trees.mounts.items()}
        return cgroup

    @staticmethod
    def enable(parent):
        for controller in V2_CONTROLLERS:
            ignore((errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP), write, parent + "/cgroup.subtree_control", "+" + controller)

    def file(self, controller, name):
        return os.path.join(self.dirs["unified" if trees.v2 else controller], name)

    def child(self, name):
        return Cgroup(self.path + "/" + name)

    def enter(self):
        for directory in set(self.dirs.values()):
            write(directory + "/cgroup.procs", os.getpid())

    def worker(self, function, *arguments, **options):
        worker = Worker(self, function, arguments, **options)
        self.workers.append(worker)
        return worker

    def kill(self):
        for worker in self.workers:
            worker.end()
        for directory in set(self.dirs.values()):
            for pid in (ignore((errno.ENOENT, errno.ENODEV), read, directory + "/cgroup.procs") or "").split():
                ignore((errno.ESRCH,), os.kill, int(pid), signal.SIGKILL)

    def remove(self):
        self.kill()
        for directory in set(self.dirs.values()):
            for _ in range(200):
                try:
                    os.rmdir(directory)
                except FileNotFoundError:
                    break
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise
                    time.sleep(0.02)
                    continue
                break
            else:
                raise AssertionError("cannot remove " + directory)

    # The kernel's own accounts.
    def cpu_ns(self):
        if trees.v2:
            return keyed(self.file("cpu", "cpu.stat"))["usage_usec"] * 1000
        return int(read(self.file("cpuacct", "cpuacct.usage")))

    def memory_bytes(self):
        return int(read(self.file("memory", "memory.current" if trees.v2 else "memory.usage_in_bytes")))

    def memory_stat(self, v1, v2):
        return keyed(self.file("memory", "memory.stat"))[v2 if trees.v2 else v1]


class Worker:
    """
    A process inside a cgroup. It waits; go() lets it call function(*arguments) once; result() is what that returned. Between, it
    sleeps in a read, so that all that it did is accounted and nothing more happens.
    """

    def __init__(self, cgroup, function, arguments, netns=None, new_netns=False):
        self.status = None
        command, self.command = os.pipe()
        self.answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.serve(cgroup, function, arguments, command, answer, netns, new_netns)
        os.close(command)
        os.close(answer)
        self.result()  # it has arrived

    def serve(self, cgroup, function, arguments, command, answer, netns, new_netns):
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.close(self.command)
            os.close(self.answer)
            if netns:
                enter_netns(netns)
            if new_netns and libc.unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            if cgroup:
                cgroup.enter()
            tell(answer, ("ok", None))
            while os.read(command, 1):
                try:
                    tell(answer, ("ok", function(*arguments)))
                except BaseException as error:  # noqa: B902, told to the test
                    tell(answer, ("error", repr(error)))
            status = 0
        except BaseException as error:  # noqa: B902
            ignore((errno.EPIPE,), tell, answer, ("error", repr(error)))
        finally:
            os._exit(status)

    def go(self):
        os.write(self.command, b"g")
        return self

    def result(self):
        size = os.read(self.answer, 8)
        if len(size) != 8:
            raise AssertionError("worker %d died" % self.pid)
        left, data = int.from_bytes(size, "little"), b""
        while len(data) < left:
            data += os.read(self.answer, left - len(data))
        kind, value = pickle.loads(data)
        if kind != "ok":
            raise AssertionError("worker: " + value)
        return value

    def run(self):
        return self.go().result()

    def end(self):
        if self.status is not None:
            return
        os.close(self.command)
        os.close(self.answer)
        ignore((errno.ESRCH,), os.kill, self.pid, signal.SIGCONT)
        ignore((errno.ESRCH,), os.kill, self.pid, signal.SIGKILL)
        self.status = os.waitpid(self.pid, 0)[1]

    def switches(self):
        """(voluntary, involuntary) switches, the kernel's own count."""
        fields = dict(line.split(":\t") for line in read("/proc/%d/status" % self.pid).splitlines() if "ctxt_switches" in line)
        return int(fields["voluntary_ctxt_switches"]), int(fields["nonvoluntary_ctxt_switches"])

    def schedstat(self):
        """(on-CPU ns, run-queue delay ns, times on a CPU)."""
        return tuple(int(n) for n in read("/proc/%d/schedstat" % self.pid).split())


def tell(fd, what):
    data = pickle.dumps(what)
    os.write(fd, len(data).to_bytes(8, "little") + data)


def enter_netns(name):
    fd = os.open("/run/netns/" + name, os.O_RDONLY)
    try:
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + name)
    finally:
        os.close(fd)
