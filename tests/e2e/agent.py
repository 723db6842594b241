# SPDX-License-Identifier: Apache-2.0
"""One agent under test: on a free port, with a bpffs and a pin directory of its own, its log kept for a failing test."""
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

import prom

SLOW = os.environ.get("CGM_SLOW") == "1"
PROGRAM = os.environ.get("CGMETER", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/cgmeter"))


def by_speed(fast, slow):
    return slow if SLOW else fast


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds, what):
    """Polls; the condition's first true value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("no %s within %s s" % (what() if callable(what) else what, seconds))
        time.sleep(0.02)


class Bpffs:
    """A bpf file system of our own: the machine's stays untouched."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="cgmtest-bpffs-")
        subprocess.run(["mount", "-t", "bpf", "cgmtest", self.dir], check=True)
        self.pin_dir = self.dir + "/cgmeter"

    def remove(self):
        subprocess.run(["umount", self.dir], check=True)
        os.rmdir(self.dir)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Agent:
    def __init__(self, *options, pin_dir="", interval="1s", storage="2m", before_exec=None, tls=None, headers=None):
        """tls: an SSL context to ask with; headers: of each request, a login for example."""
        self.port, self.tls, self.headers = free_port(), tls, headers or {}
        self.may_be_denied = False
        self.log_file = tempfile.NamedTemporaryFile(prefix="cgmtest-log-")
        self.began = time.time()
        command = [PROGRAM, "node", "--listen_ip=127.0.0.1", "--port=%d" % self.port, "--housekeeping_interval=" + interval,
                   "--storage_duration=" + storage, "--pin_dir=" + pin_dir] + list(options)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file,
                                        preexec_fn=before_exec)
        wait_for(self.is_up, by_speed(10, 60), lambda: "answer from /healthz; the log says: " + self.log())
        wait_for(lambda: self.get("/metrics").status == 200, by_speed(5, 30), "first snapshot")

    def log(self):
        with open(self.log_file.name, errors="replace") as f:
            return f.read()

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("the agent ended with status %d: %s" % (self.process.returncode, self.log()))
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def request(self, method, path, body=None, headers=None):
        timeout = by_speed(20, 120)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls) if self.tls else \
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, {**self.headers, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    def json(self, path, **body):
        answer = self.request("POST", path, json.dumps(body)) if body else self.get(path)
        assert answer.status == 200, "%s: %d %s" % (path, answer.status, answer.body[:200])
        return answer.json()

    def metrics(self):
        answer = self.get("/metrics")
        assert answer.status == 200, "/metrics: %d" % answer.status
        return prom.Metrics(answer.body.decode())

    def gunzip(self, path):
        answer = self.get(path, Accept_Encoding="gzip")
        assert answer.headers.get("Content-Encoding") == "gzip", "no gzip: %s" % answer.headers
        return gzip.decompress(answer.body).decode()

    def ticks(self):
        return self.metrics().get("cgmeter_ticks_total")

    def wait_ticks(self, number=2):
        """Until that many more rounds are done: with two, the last one began after the call."""
        goal = self.ticks() + number
        wait_for(lambda: self.ticks() >= goal, by_speed(5, 60) + 2 * number, "%d ticks" % number)

    def fresh(self):
        """Metrics of a round that began after now."""
        self.wait_ticks()
        return self.metrics()

    def knows(self, path):
        """Waits until the cgroup is sampled: its slot is given out and its counts begin there."""
        wait_for(lambda: self.metrics().all("container_last_seen", id=path), by_speed(5, 60), path)

    def has_kernel_side(self):
        return self.metrics().get("cgmeter_kernel_side") == 1

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=None):
        """Ends it. Returns (status, seconds that it took)."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.send(number)
        try:
            self.process.wait(seconds or by_speed(5, 30))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the agent did not end on signal %d" % number)
        # Whatever a test does, the agent may make no system call that its list (user/node/seccomp.def) has forgotten.
        denied = [line for line in self.log().splitlines() if "is not on the list of what the agent needs" in line]
        assert not denied or self.may_be_denied, denied
        return self.process.returncode, time.monotonic() - began
