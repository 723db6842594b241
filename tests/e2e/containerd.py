# SPDX-License-Identifier: Apache-2.0
"""
A containerd of one's own, with its CRI: pods as a kubelet makes them, and containers as ctr does. Needs containerd, runc, curl and a static busybox; no
network, no image registry. Pods share the host's network; with network=True they get their own, on a bridge in a network namespace of containerd's.

    with Containerd() as c:
        pod = c.run_pod("web-0", "shop", uid, [("front", ["/bin/busybox", "sleep", "1000"])])
        c.ctr_run("plain1", ["/bin/busybox", "sleep", "1000"])

At the end everything is gone: containers, shims, mounts, cgroups, files.
"""
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

import lib
import runtimes
from agent import wait_for
from cgroups import trees

IMAGE = "docker.io/cgmtest/busybox:1"
SLEEP = ("/bin/busybox", "sleep", "100000")
CONFIG = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  sandbox_image = "%s"
""" % IMAGE
CNI_FOLDER = "/usr/lib/cni"  # Debian's containernetworking-plugins
CNI_CONFIG = """
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "%s"
  conf_dir = "%s"
"""
CNI_NETWORK = """{"cniVersion": "0.4.0", "name": "cgmtest", "plugins": [{"type": "bridge", "bridge": "cgmtest0", "isGateway": true,
"ipam": {"type": "host-local", "dataDir": "%s", "ranges": [[{"subnet": "10.97.0.0/24"}]]}}]}
"""
GATEWAY = "10.97.0.1"
POD, CONTAINER, NODE = 0, 1, 2  # NamespaceMode
NOT_FOUND = 5


def need():
    for program in ("containerd", "ctr", "runc", "curl"):
        if not shutil.which(program):
            raise lib.Skip("the program %s" % program)
    if not os.access("/bin/busybox", os.X_OK):
        raise lib.Skip("a static busybox")


# ---- Protocol Buffers, as much as requests need ----

def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes((n & 0x7F | 0x80,))
        n >>= 7
    return out + bytes((n,))


def message(fields):
    """{number: int, text, bytes, message as a dict of numbers, map as a dict of texts, or a list of these}"""
    out = b""
    for number, value in fields.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, int):
                out += varint(number << 3) + varint(item)
                continue
            if isinstance(item, dict) and item and all(isinstance(k, str) for k in item):
                out += b"".join(message({number: {1: k, 2: v}}) for k, v in item.items())
                continue
            data = message(item) if isinstance(item, dict) else item.encode() if isinstance(item, str) else item
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def first_text(data):
    """Field 1 of an answer that begins with it: all answers here that are looked into."""
    assert data[:1] == b"\x0a" and data[1] < 0x80, data
    return data[2:2 + data[1]].decode()


class Status(Exception):
    def __init__(self, method, number, text):
        super().__init__("%s: status %d: %s" % (method, number, text))
        self.number = number


class Pod:
    """uid, cgroup (a path in the hierarchies), sandbox (its id), containers: {name: id}"""

    def __init__(self, name, namespace, uid):
        self.name, self.namespace, self.uid = name, namespace, uid
        self.cgroup = "/kubepods/burstable/pod" + uid
        self.labels = {"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": uid}
        self.sandbox, self.config, self.containers = "", {}, {}


class Containerd:
    def __init__(self, config=CONFIG, cri=True, network=False):
        need()
        if network and not os.path.exists(CNI_FOLDER + "/bridge"):
            raise lib.Skip("the CNI's plug-ins")
        self.folder = tempfile.mkdtemp(prefix="cgmtest-containerd-")
        # An overlay does not lie on an overlay, which the root of a guest is.
        subprocess.run(["mount", "-t", "tmpfs", "cgmtest", self.folder], check=True)
        self.socket = self.folder + "/c.sock"
        self.namespace = "cgmtest-%d" % os.getpid()
        self.cri = cri
        self.network = None
        self.namespaces_of = {1: POD if network else NODE, 2: CONTAINER}  # network, processes: the kubelet's defaults
        self.log_name, self.process = self.folder + "/log", None
        self.pods, self.own = [], []  # [(namespace, id)]
        self.namespaces, self.cgroups = set(), set()
        self.leftovers = set()
        self.parents = {}  # {directory that runc may make: whether it was there}
        self.note_parents("/kubepods", "/kubepods/burstable")
        with open(self.folder + "/config.toml", "w") as f:
            f.write(config if cri else 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
            if network:
                self.make_network(f)

    def __enter__(self):
        try:
            self.start()
            self.import_image("k8s.io")
            if self.cri:
                wait_for(self.has_image, 20, lambda: "the CRI's image: " + self.log())
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def make_network(self, config_file):
        self.network = runtimes.NetworkNamespace()
        config_file.write(CNI_CONFIG % (CNI_FOLDER, self.folder + "/cni"))
        os.mkdir(self.folder + "/cni")
        with open(self.folder + "/cni/cgmtest.conflist", "w") as f:
            f.write(CNI_NETWORK % (self.folder + "/addresses"))

    # ---- the daemon ----

    def start(self):
        with open(self.log_name, "a") as log:
            self.process = subprocess.Popen(
                (self.network.enter if self.network else []) +
                ["containerd", "--config", self.folder + "/config.toml", "--root", self.folder + "/root", "--state", self.folder + "/state",
                 "--address", self.socket], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        wait_for(self.is_up, 30, lambda: "containerd: " + self.log())

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("containerd ended: " + self.log())
        try:
            # Not Version: the CRI answers that before it is ready for more.
            self.call("runtime.v1.RuntimeService/ListPodSandbox" if self.cri else "containerd.services.version.v1.Version/Version", {})
            return True
        except (Status, subprocess.CalledProcessError):
            return False

    def stop(self, number=signal.SIGTERM):
        """Ends the daemon; containers run on."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log(self):
        try:
            with open(self.log_name, errors="replace") as f:
                return f.read()[-3000:]
        except OSError:
            return ""

    # ---- calls ----

    def call(self, method, fields, namespace=None):
        """A unary gRPC call: the answer's message, or Status."""
        body = message(fields)
        headers = self.folder + "/headers"
        command = ["curl", "-sS", "-m", "60", "--http2-prior-knowledge", "--unix-socket", self.socket, "-X", "POST", "-D", headers,
                   "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-", "http://localhost/" + method]
        if namespace:
            command += ["-H", "containerd-namespace: " + namespace]
        answer = subprocess.run(command, input=b"\0" + len(body).to_bytes(4, "big") + body, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout
        with open(headers, errors="replace") as f:
            lines = dict(line.strip("\r\n").split(": ", 1) for line in f if ": " in line)
        status = int(lines.get("grpc-status", "2"))
        if status:
            raise Status(method, status, lines.get("grpc-message", ""))
        assert answer[0] == 0 and int.from_bytes(answer[1:5], "big") == len(answer) - 5, answer[:5]
        return answer[5:]

    def runtime(self, method, fields):
        return self.call("runtime.v1.RuntimeService/" + method, fields)

    def has_image(self):
        return len(self.call("runtime.v1.ImageService/ImageStatus", {1: {1: IMAGE}})) > 0

    def ctr(self, namespace, *words):
        done = subprocess.run(["ctr", "-a", self.socket, "-n", namespace, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, "ctr %s: %s" % (" ".join(words), done.stdout)
        return done.stdout

    def import_image(self, namespace):
        if namespace not in self.namespaces:
            with runtimes.busybox_image(IMAGE, ("IMAGE_SAYS=hello",), SLEEP) as archive:
                self.ctr(namespace, "images", "import", archive)
            self.namespaces.add(namespace)

    # ---- pods, as a kubelet makes them ----

    def run_pod(self, name, namespace, uid, containers=(("main", SLEEP),), labels=None, envs=None):
        """containers: [(name, command)]."""
        pod = Pod(name, namespace, uid)
        self.pods.append(pod)
        self.cgroups.add(pod.cgroup)
        pod.config = {
            1: {1: name, 2: uid, 3: namespace}, 3: "%s/logs/%s" % (self.folder, uid), 6: dict(labels or {}, **pod.labels),
            8: {1: pod.cgroup, 2: {1: self.namespaces_of}}}
        pod.sandbox = first_text(self.runtime("RunPodSandbox", {1: pod.config}))
        self.note_container("k8s.io", pod.sandbox)
        for container, command in containers:
            self.run_container(pod, container, command, labels, envs)
        return pod

    def run_container(self, pod, name, command=SLEEP, labels=None, envs=None, restarts=0):
        config = {
            1: {1: name, 2: restarts}, 2: {1: IMAGE}, 3: list(command), 6: [{1: k, 2: v} for k, v in (envs or {}).items()],
            9: dict(labels or {}, **pod.labels, **{"io.kubernetes.container.name": name}),
            10: {"io.kubernetes.container.restartCount": str(restarts)}, 11: "%s/%d.log" % (name, restarts), 15: {2: {3: self.namespaces_of}}}
        os.makedirs("%s/logs/%s/%s" % (self.folder, pod.uid, name), exist_ok=True)
        pod.containers[name] = first_text(self.runtime("CreateContainer", {1: pod.sandbox, 2: config, 3: pod.config}))
        self.note_container("k8s.io", pod.containers[name])
        self.runtime("StartContainer", {1: pod.containers[name]})
        return pod.containers[name]

    def stop_container(self, pod, name):
        self.runtime("StopContainer", {1: pod.containers[name]})

    def remove_container(self, pod, name):
        self.runtime("RemoveContainer", {1: pod.containers.pop(name)})

    def remove_pod(self, pod):
        self.runtime("StopPodSandbox", {1: pod.sandbox})
        self.runtime("RemovePodSandbox", {1: pod.sandbox})
        self.pods.remove(pod)

    # ---- containers without the CRI ----

    def ctr_run(self, name, command=SLEEP, namespace=None, labels=None):
        """Its cgroup is /NAMESPACE/NAME. runc keeps its state by these two for the whole machine: a namespace of our own, unless told."""
        namespace = namespace or self.namespace
        self.import_image(namespace)
        self.note_parents("/" + namespace)
        self.cgroups.add("/%s/%s" % (namespace, name))
        self.own.append((namespace, name))
        self.note_container(namespace, name)
        options = [word for pair in (labels or {}).items() for word in ("--label", "%s=%s" % pair)]
        self.ctr(namespace, "run", "-d", "--null-io", *options, IMAGE, name, *command)

    def ctr_remove(self, name, namespace=None):
        namespace = namespace or self.namespace
        self.ctr(namespace, "tasks", "rm", "-f", name)
        self.ctr(namespace, "containers", "rm", name)
        self.own.remove((namespace, name))

    # ---- the end ----

    def remove(self):
        if self.process and self.process.poll() is not None and (self.pods or self.own):
            self.attempt(self.start)
        for pod in list(self.pods):
            self.attempt(self.remove_pod, pod)
        for namespace, name in list(self.own):
            self.attempt(self.ctr_remove, name, namespace)
        self.stop()
        self.kill_shims()
        for path in self.leftovers:
            self.attempt(os.unlink if not os.path.isdir(path) else shutil.rmtree, path)
        for namespace in self.namespaces - {"k8s.io"}:
            self.attempt(os.rmdir, "/run/containerd/runc/" + namespace)
        self.unmount()
        for path in self.cgroups:
            self.remove_cgroup(path)
        for directory, was_there in sorted(self.parents.items(), reverse=True):
            if not was_there:
                self.attempt(os.rmdir, directory)
        subprocess.run(["umount", "-l", self.folder], check=True)
        os.rmdir(self.folder)
        if self.network:
            self.network.remove()

    @staticmethod
    def attempt(call, *arguments):
        """What is left is removed by force after it."""
        try:
            call(*arguments)
        except (Status, AssertionError, OSError, subprocess.CalledProcessError):
            pass

    def kill_shims(self):
        """Those of this containerd alone: they bear its socket's name. Killed, they are the machine's to reap."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if b"shim" in words[0] and self.socket.encode() in words:
                self.attempt(os.kill, int(pid), signal.SIGKILL)

    def note_container(self, namespace, name):
        """The socket that its shim leaves behind (containerd runtime/v2/shim, SocketAddress), and runc's state, which is left when it is killed."""
        path = "%s/%s/%s" % (self.socket, namespace, name)
        self.leftovers.add("/run/containerd/s/" + hashlib.sha256(path.encode()).hexdigest())
        self.leftovers.add("/run/containerd/runc/%s/%s" % (namespace, name))

    def unmount(self):
        with open("/proc/self/mountinfo") as f:
            points = [line.split()[4] for line in f]
        for point in sorted((p for p in points if p.startswith(self.folder + "/")), reverse=True):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)

    def note_parents(self, *paths):
        for directory in self.directories(*paths):
            self.parents.setdefault(directory, os.path.isdir(directory))

    @staticmethod
    def directories(*paths):
        """Of these cgroups in every hierarchy that is mounted."""
        return [mount + path for path in paths for mount in sorted(set(trees.mounts.values()) | extra_mounts())]

    def remove_cgroup(self, path):
        """With all below it; what still runs there is killed."""
        for top in self.directories(path):
            for folder, _, _ in os.walk(top, topdown=False):
                for _ in range(100):
                    try:
                        with open(folder + "/cgroup.procs") as f:
                            for pid in f.read().split():
                                self.attempt(os.kill, int(pid), signal.SIGKILL)
                        os.rmdir(folder)
                    except FileNotFoundError:
                        pass
                    except OSError:
                        time.sleep(0.05)
                        continue
                    break


def extra_mounts():
    """Hierarchies that no controller of ours is in (devices, freezer, name=systemd): runc uses all."""
    with open("/proc/self/mountinfo") as f:
        return {line.split()[4] for line in f if line.split(" - ")[1].startswith("cgroup ")}
