# SPDX-License-Identifier: Apache-2.0
"""Nodes that do harm: each is a server of raw sockets, which may send what no library of HTTP would."""
import contextlib
import json
import os
import socket
import threading
import time

from cluster import rfc3339

MB = 1 << 20


def head(length, kind="application/json", status="200 OK", more=""):
    return ("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n" % (status, kind, length, more)).encode()


def whole(body, kind="application/json"):
    body = body if isinstance(body, bytes) else body.encode()
    return head(len(body), kind) + body


def summary(name, began, now, pods=(), cpu=1000):
    """pods: (name, container, millicores). As a kubelet says it whose clock shows now."""
    def use(milli, size):
        return {"startTime": rfc3339(began), "cpu": {"time": rfc3339(now), "usageCoreNanoSeconds": int(milli * 1000000 * (now - began))},
                "memory": {"time": rfc3339(now), "usageBytes": size, "workingSetBytes": size}}
    return {"node": dict(use(cpu, 1 << 30), nodeName=name),
            "pods": [{"podRef": {"name": pod, "namespace": "hostile", "uid": "uid"}, "startTime": rfc3339(began), "containers": [dict(use(milli, MB), name=container)]}
                     for pod, container, milli in pods]}


class Raw:
    """Each request gets what send(connection, path) does; then the connection ends."""

    def __init__(self, send):
        self.send, self.nr_asked, self.paths, self.ended = send, 0, [], threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.port = self.socket.getsockname()[1]
        self.name = "127.0.0.1:%d" % self.port
        self.url = "http://" + self.name
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while not self.ended.is_set():
                connection, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                piece = connection.recv(4096)
                if not piece:
                    return
                request += piece
            self.nr_asked += 1
            self.paths.append(request.split(b" ")[1].decode())
            self.send(connection, self.paths[-1])

    def stop(self):
        self.ended.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Sends(Raw):
    """The same for whatever is asked."""

    def __init__(self, data):
        super().__init__(lambda connection, path: connection.sendall(data))


class Says(Raw):
    """A kubelet: text() for its Summary, 404 for all else."""

    def __init__(self, text):
        def send(connection, path):
            connection.sendall(whole(text()) if path.startswith("/stats/summary") else head(0, status="404 Not Found"))
        super().__init__(send)


class Silent(Raw):
    def __init__(self):
        super().__init__(lambda connection, path: self.ended.wait())


class Endless(Raw):
    """A body without an end: pieces of that size, with a pause after each."""

    def __init__(self, size, pause):
        self.nr_bytes = 0
        super().__init__(lambda connection, path: self.pour(connection, size, pause))

    def pour(self, connection, size, pause):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b'{"node":{"nodeName":"')
        piece = b"x" * size
        while not self.ended.is_set():
            connection.sendall(piece)
            self.nr_bytes += size
            if pause:
                time.sleep(pause)


class Large(Raw):
    """A Summary of that many bytes, and it says so."""

    def __init__(self, size):
        super().__init__(lambda connection, path: self.pour(connection, size))

    def pour(self, connection, size):
        start, end = b'{"node":{"nodeName":"large"},"pods":[', b"]}"
        connection.sendall(head(size) + start)
        left, piece = size - len(start) - len(end), b" " * MB
        while left:
            connection.sendall(piece[:min(left, MB)])
            left -= min(left, MB)
        connection.sendall(end)


class Clock(Says):
    """A kubelet whose clock shows clock(our time)."""

    def __init__(self, clock, pod):
        began = time.time() - 7200
        super().__init__(lambda: json.dumps(summary("clock", clock(began), clock(time.time()), [(pod, "c", 100)])))


# What a JSON text may say and a name of Kubernetes never is: those with control characters or without UTF-8 are left out and counted, all else is data.
BAD_NAMES = (b"new\\nline", b"tab\\there", b"nul\\u0000", b"ret\\rurn", b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\\ud800", b"cut\xe2\x82")
ODD_NAMES = ('quote"s', "back\\slash", "com,ma", "spa ce", "equal=s", "brace{}", "{a=\"b\"} 1", "#hash", "slash/ed", "'; DROP TABLE metrics; --", "<script>", "%s%n", "naïve", "\U0001f600", "\u202eright", "back\\", "long" + "x" * 3000)
TOO_LONG = "long" + "y" * 10000


class Names(Raw):
    """Pods and containers with such names, of one core each."""

    def __init__(self):
        self.began = time.time() - 3600

        def send(connection, path):
            connection.sendall(whole(self.text()) if path.startswith("/stats/summary") else head(0, status="404 Not Found"))
        super().__init__(send)

    def text(self):
        now = time.time()
        told = summary("na\"me\\of,a node", self.began, now, [(name, name, 1000) for name in ODD_NAMES] + [("BAD%d" % i, "BAD%d" % i, 1000) for i in range(len(BAD_NAMES))] + [(TOO_LONG, TOO_LONG, 1000)])
        text = json.dumps(told, ensure_ascii=False).encode()
        for i, name in enumerate(BAD_NAMES):
            text = text.replace(b"BAD%d\"" % i, name + b"\"")
        return text


class Crowd(Says):
    """A node with so many pods."""

    def __init__(self, nr):
        self.began = time.time() - 3600
        super().__init__(lambda: json.dumps(summary("crowd", self.began, time.time(), [("crowd-%d" % i, "c", 1) for i in range(nr)])))


def random_bytes(size):
    return os.urandom(size)
