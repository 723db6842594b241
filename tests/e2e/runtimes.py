# SPDX-License-Identifier: Apache-2.0
"""
Real container runtimes for tests: dockerd and podman's service, each with everything that is its own in a folder of its own. After the test
nothing of them is left: no process, mount, network namespace or cgroup. t.enter_context(runtimes.dockerd()) in a test.
"""
import contextlib
import hashlib
import http.client
import io
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time

import lib
from agent import by_speed, wait_for
from cgroups import read

IMAGE = "cgmtest/busybox:1"
numbers = itertools.count()


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise lib.Skip("the program %s" % program)


def processes_of(folder):
    """Pids of processes that name the folder, which only ours know, in their command line, or whose root is an overlay in it."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f, open("/proc/%s/mountinfo" % pid) as mounts:
                root = next((line for line in mounts if line.split()[4] == "/"), "")
                if folder.encode() in f.read() or folder + "/" in root:
                    yield int(pid)
        except OSError:
            continue


def names_in(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []


def mounts_below(folder):
    points = [line.split()[4].encode().decode("unicode_escape") for line in read("/proc/self/mountinfo").splitlines()]
    return sorted((p for p in points if p == folder or p.startswith(folder + "/")), key=len, reverse=True)


def cgroup_mounts():
    """All hierarchies: runtimes use those too that no controller of ours is in (devices, freezer, systemd's)."""
    lines = [line.partition(" - ") for line in read("/proc/self/mountinfo").splitlines()]
    return sorted({head.split()[4] for head, _, tail in lines if tail.split()[0] in ("cgroup", "cgroup2")})


def remove_cgroup(folder):
    """With what is below it. Whose process was killed a moment ago is busy for a moment more."""
    for below, _, _ in os.walk(folder, topdown=False):
        for _ in range(100):
            try:
                os.rmdir(below)
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)
                continue
            break
        else:
            raise AssertionError("cannot remove " + below)


def remove_cgroups(parent, names):
    """Below parent in each hierarchy those that are named so, and parent itself when nobody else has anything there."""
    for mount in cgroup_mounts():
        for name in names:
            remove_cgroup(os.path.join(mount, parent, name))
        for shared in (parent + "/conmon", parent):  # conmon: podman's
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(mount, shared))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Runtime:
    """
    A service on a Unix socket. What a subclass gives: start(), client (the words before a command), parent (of its containers' cgroups) and
    cgroup_names() (below parent; as the files say, since the service may be dead by then).
    """
    client, parent, environment, force, network = [], "", None, ("rm", "-f"), None

    def __init__(self, name):
        self.dir = tempfile.mkdtemp(prefix="cgmtest-%s-" % name)
        # An overlay does not lie on an overlay, which the root of a guest is.
        subprocess.run(["mount", "-t", "tmpfs", "cgmtest", self.dir], check=True)
        self.socket = self.dir + "/api.sock"
        self.log_file = open(self.dir + "/log", "wb")
        self.process = None
        self.ended = set()  # names of cgroups of containers that were there before the service's end

    def __enter__(self):
        try:
            self.start()
            wait_for(self.is_up, by_speed(20, 120), lambda: "answer of %s: %s" % (type(self).__name__, self.log()))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def spawn(self, *command):
        # In our folder: conmon leaves a file where it stands when a container dies for want of memory.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file, env=self.environment, cwd=self.dir)

    def log(self):
        return read(self.log_file.name)[-3000:]

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("it ended with status %d: %s" % (self.process.returncode, self.log()))
        try:
            return self.api("GET", "/_ping")[0] == 200
        except OSError:
            return False

    def api(self, method, path, body=None):
        """(status, what the JSON of the answer says; bytes where it is none)."""
        connection = UnixConnection(self.socket, by_speed(20, 120))
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(data) if answer.headers.get("Content-Type", "").startswith("application/json") and data else data

    def command(self, *words, ok=True):
        """Runs the client; what it prints, without the newline at the end."""
        done = subprocess.run(self.client + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=self.environment, cwd=self.dir, timeout=by_speed(60, 300))
        if ok and done.returncode != 0:
            raise AssertionError("%s: %s; %s" % (" ".join(words), done.stderr.strip(), self.log()[-500:]))
        return done.stdout.strip()

    def load(self, image=IMAGE):
        with busybox_image(image) as archive:
            self.command("load", "-i", archive)
        return image

    def run(self, *words, options=(), image=IMAGE):
        """A container that runs these words in the background: its id."""
        return self.command("run", "-d", *options, image, *words)

    def create(self, *words, options=(), image=IMAGE):
        return self.command("create", *options, image, *words)

    def exec(self, container, *words):
        return self.command("exec", container, *words)

    def remove(self, container):
        self.command(*self.force, container)

    def inspect(self, container):
        status, answer = self.api("GET", "/containers/%s/json" % container)
        assert status == 200, "inspect %s: %d %s" % (container, status, answer)
        return answer

    def remove_all(self):
        ids = self.command("ps", "-aq", ok=False).split()
        if ids:
            self.command(*self.force, *ids, ok=False)

    def end(self):
        """The service, and what outlived it: shims, monitors, helpers of the network."""
        self.ended = set(self.cgroup_names())
        if self.process and self.process.poll() is None:
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                self.remove_all()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(by_speed(20, 60))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for _ in range(100):
            left = list(processes_of(self.dir))
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                return
            time.sleep(0.05)
        raise AssertionError("processes that do not end: %s" % left)

    def stop(self):
        try:
            self.end()
        finally:
            self.log_file.close()
            for point in mounts_below(self.dir):
                subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
            remove_cgroups(self.parent, self.ended)
            shutil.rmtree(self.dir, ignore_errors=True)
            if self.network:
                self.network.remove()
        assert not os.path.exists(self.dir), "left: %s" % self.dir


class NetworkNamespace:
    """A bridge and rules of the packet filter that the machine does not see."""

    def __init__(self):
        self.name = "cgmtest-%d-runtime%d" % (os.getpid(), next(numbers))
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        # Not ip netns exec: it mounts /sys anew, without the cgroups.
        self.enter = ["nsenter", "--net=/run/netns/" + self.name]
        subprocess.run(self.enter + ["ip", "link", "set", "lo", "up"], check=True)

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], check=True)


class Dockerd(Runtime):
    parent = "docker"

    def __init__(self, options=()):
        need("dockerd", "docker", "runc", "ip", "nsenter")
        super().__init__("docker")
        self.options = list(options)
        self.client = ["docker", "-H", "unix://" + self.socket]
        self.environment = {**os.environ, "HOME": self.dir, "DOCKER_CONFIG": self.dir + "/config", "TMPDIR": self.dir}

    def cgroup_names(self):
        return names_in(self.dir + "/root/containers")

    def start(self):
        self.network = NetworkNamespace()
        self.spawn(*self.network.enter, "dockerd", "--data-root", self.dir + "/root", "--exec-root", self.dir + "/exec", "-H", "unix://" + self.socket,
                   "-p", self.dir + "/pid", "--config-file", self.config(), "--exec-opt", "native.cgroupdriver=cgroupfs", *self.options)

    def config(self):
        """An empty one: the machine's own is not for us."""
        path = self.dir + "/daemon.json"
        with open(path, "w") as f:
            f.write("{}\n")
        return path


class PodmanService(Runtime):
    """Its settings are files of ours. The limits: podman's own defaults are above what a container in a container may set."""
    parent = "libpod_parent"
    force = ("rm", "-f", "-t", "0")  # docker's asks no container to end first

    def __init__(self, options=()):
        need("podman", "conmon", "runc", "ip", "nsenter")
        super().__init__("podman")
        self.options = list(options)
        self.client = ["podman"]
        self.environment = {**os.environ, "HOME": self.dir, "TMPDIR": self.dir, "XDG_RUNTIME_DIR": self.dir,
                            "CONTAINERS_CONF": self.file("containers.conf", CONTAINERS_CONF), "CONTAINERS_STORAGE_CONF": self.file("storage.conf", STORAGE_CONF),
                            "CONTAINERS_REGISTRIES_CONF": self.file("registries.conf", "")}
        os.makedirs(self.dir + "/.config/containers")
        self.file(".config/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}\n')

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text.replace("@DIR@", self.dir))
        return path

    def cgroup_names(self):
        ids = names_in(self.dir + "/root/overlay-containers")
        return ["libpod-" + name for name in ids if len(name) == 64]  # there are files, too

    def start(self):
        self.network = NetworkNamespace()
        self.client = self.network.enter + ["podman"]
        self.spawn(*self.client, "system", "service", "--time=0", *self.options, "unix://" + self.socket)


CONTAINERS_CONF = """
[containers]
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "netavark"
network_config_dir = "@DIR@/networks"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
static_dir = "@DIR@/root/libpod"
tmp_dir = "@DIR@/tmp"
volume_path = "@DIR@/volumes"
"""
STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "@DIR@/root"
runroot = "@DIR@/run"
"""


def dockerd(*options):
    """A context manager: dockerd with our busybox image. options: more words of its command line, as "--bridge=none"."""
    return loaded(Dockerd(options))


def podman_service(*options):
    """The same of podman, whose API is docker's. Its containers have no network unless told."""
    return loaded(PodmanService(options))


@contextlib.contextmanager
def loaded(runtime):
    with runtime:
        runtime.load()
        yield runtime


def tar_entry(tar, name, data=b"", **attributes):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o755
    for key, value in attributes.items():
        setattr(entry, key, value)
    tar.addfile(entry, io.BytesIO(data))


def busybox_rootfs():
    """A root of busybox alone, as tar."""
    out = io.BytesIO()
    program = shutil.which("busybox")
    applets = subprocess.run([program, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
            tar_entry(tar, name, type=tarfile.DIRTYPE)
        with open(program, "rb") as f:
            tar_entry(tar, "bin/busybox", f.read())
        for name in applets:
            if name != "busybox":
                tar_entry(tar, "bin/" + name, type=tarfile.SYMTYPE, linkname="busybox")
    return out.getvalue()


@contextlib.contextmanager
def busybox_image(name=IMAGE, environment=(), command=("/bin/sh",)):
    """The path of an archive that docker load, podman load and ctr image import take. No network."""
    need("busybox")
    layer = busybox_rootfs()
    config = json.dumps({"architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"), "os": "linux",
                         "created": "2024-01-01T00:00:00Z", "config": {"Env": ["PATH=/bin", *environment], "Cmd": list(command)},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tempfile.NamedTemporaryFile(prefix="cgmtest-image-", suffix=".tar") as f:
        with tarfile.open(fileobj=f, mode="w") as tar:
            for entry, data in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
                tar_entry(tar, entry, data)
        f.flush()
        yield f.name
