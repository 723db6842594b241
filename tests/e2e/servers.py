# SPDX-License-Identifier: Apache-2.0
"""What storage drivers write to: real servers on free loopback ports, and an HTTP server that behaves as it is told."""
import gzip
import http.server
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import lib
from agent import free_port, wait_for

BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build")


def need_speed():
    if lib.SLOW:
        raise lib.Skip("a fast machine: storage drivers do not depend on the kernel")


def many_cgroups():
    """The machine may have hundreds of others' cgroups, in any hierarchy: samples come slower then, and a server of ours in Python takes its time."""
    return any(sum(1 for _ in os.walk(mount)) > 100 for mount in set(lib.trees.mounts.values()))


def need(program):
    path = shutil.which(program)
    if not path:
        raise lib.Skip("the program %s" % program)
    return path


def http_get(url, data=None, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=20) as answer:
        return answer.read()


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    except OSError:
        return False


class Server:
    """A process with a folder of its own, ended by its pid."""

    def __init__(self, t, command, port, environment=None):
        self.port = port
        self.log_file = tempfile.NamedTemporaryFile(prefix="cgmtest-server-")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file, env=environment)
        t.callback(self.stop)
        wait_for(self.is_up, 30, lambda: "%s on port %d: %s" % (command[0], port, self.log()))

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("the server ended: " + self.log())
        return answers(self.port)

    def log(self):
        with open(self.log_file.name, errors="replace") as f:
            return f.read()[-2000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def folder(t):
    path = tempfile.mkdtemp(prefix="cgmtest-server-")
    t.callback(shutil.rmtree, path, ignore_errors=True)
    return path


class Influxdb(Server):
    def __init__(self, t, path=None, port=None, auth=False):
        self.path, port, rpc = path or folder(t), port or free_port(), free_port()
        config = self.path + "/influxdb.conf"
        with open(config, "w") as f:
            f.write('reporting-disabled = true\nbind-address = "127.0.0.1:%d"\n[meta]\ndir = "%s/meta"\n[data]\ndir = "%s/data"\n'
                    'wal-dir = "%s/wal"\n[http]\nbind-address = "127.0.0.1:%d"\nauth-enabled = %s\n[monitor]\nstore-enabled = false\n'
                    % (rpc, self.path, self.path, self.path, port, "true" if auth else "false"))
        super().__init__(t, [need("influxd"), "-config", config], port)

    def query(self, text, db="", user="", password="", post=False):
        fields = {"q": text, "db": db, "epoch": "ns"}
        if user:
            fields.update(u=user, p=password)
        url = "http://127.0.0.1:%d/query?%s" % (self.port, urllib.parse.urlencode(fields))
        answer = json.loads(http_get(url, b"" if post else None))["results"][0]
        assert "error" not in answer, "%s: %s" % (text, answer)
        return answer.get("series", [])

    def values(self, db, measurement, **tags):
        """{time in ns: value} of the one series with these tags."""
        where = " AND ".join("%s = '%s'" % (k, v.replace("\\", "\\\\").replace("'", "\\'")) for k, v in tags.items())
        series = self.query('SELECT value FROM "%s" WHERE %s' % (measurement, where), db)
        return dict(series[0]["values"]) if series else {}


class Victoria(Server):
    def __init__(self, t):
        port = free_port()
        super().__init__(t, [need("victoria-metrics"), "-httpListenAddr=127.0.0.1:%d" % port, "-storageDataPath=" + folder(t),
                             "-search.latencyOffset=0s", "-loggerLevel=WARN"], port)

    def values(self, name, **labels):
        """{time in ms: value}."""
        match = name + "{%s}" % ",".join("%s=%s" % (k, json.dumps(v)) for k, v in labels.items())
        lines = http_get("http://127.0.0.1:%d/api/v1/export?%s" % (self.port, urllib.parse.urlencode({"match[]": match}))).splitlines()
        found = {}
        for line in lines:
            row = json.loads(line)
            found.update(zip(row["timestamps"], row["values"]))
        return found


class Redis(Server):
    def __init__(self, t, *options, port=None):
        port = port or free_port()
        super().__init__(t, [need("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder(t)] + list(options), port)

    def command(self, *words, password=None):
        """One command by the protocol itself: the answer as Python has it."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            stream = s.makefile("rwb")
            for one in ([("AUTH", password)] if password else []) + [words]:
                stream.write(b"*%d\r\n" % len(one) + b"".join(b"$%d\r\n%s\r\n" % (len(str(w).encode()), str(w).encode()) for w in one))
                stream.flush()
                answer = self.read(stream)
        return answer

    def read(self, stream):
        line = stream.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise AssertionError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read(stream) for _ in range(int(rest))]
        return rest


class Statsd(Server):
    """npm's statsd. Its management port tells what it holds."""

    def __init__(self, t, protocol="udp"):
        node, place = need("node"), os.path.join(BUILD, "npm")
        program = place + "/node_modules/statsd/stats.js"
        if not os.path.exists(program):
            os.makedirs(place, exist_ok=True)
            done = subprocess.run([need("npm"), "install", "--prefix", place, "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent",
                                   "--omit=optional", "statsd@0.9.0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=120)
            if done.returncode != 0 or not os.path.exists(program):
                raise lib.Skip("npm's package statsd 0.9.0: " + " ".join(done.stdout.split())[:200])
        port, self.management = free_port(), free_port()
        config = folder(t) + "/statsd.js"
        with open(config, "w") as f:
            json.dump({"servers": [{"server": "./servers/" + protocol, "address": "127.0.0.1", "port": port}], "mgmt_address": "127.0.0.1",
                       "mgmt_port": self.management, "flushInterval": 600000, "backends": ["./backends/console"], "deleteIdleStats": False}, f)
        super().__init__(t, [node, program, config], self.management)
        self.port = port

    def ask(self, command):
        """The object that it prints: keys and values, not quite JSON."""
        with socket.create_connection(("127.0.0.1", self.management), 5) as s:
            s.sendall(command.encode() + b"\n")
            text = b""
            while b"END" not in text:
                more = s.recv(65536)
                assert more, text
                text += more
        return dict(re.findall(r"'?([^\s',{}]+)'?: (-?[\d.e+]+)", text.decode()))


class Fake:
    """
    An HTTP server under a test's control. behave(request) decides: an answer (status, headers, body), or "hang" (until the client goes),
    or "close" (in the middle of the request). Requests that were answered are kept.
    """

    def __init__(self, t, behave=None, certificate=None, port=None):
        self.behave = behave or (lambda request: (204, {}, b""))
        self.requests, self.lock, self.certificate = [], threading.Lock(), certificate
        self.port, self.server = port or free_port(), None
        self.ended = threading.Event()
        self.start()
        t.callback(self.stop)

    def start(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_one(self):
                fake.handle(self)

            do_GET = do_POST = handle_one

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address, block_on_close = True, True, False

            def handle_error(self, *_):
                pass

        self.server = Threads(("127.0.0.1", self.port), Handler)
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def handle(self, h):
        request = Request(h)
        what = self.behave(request)
        if what == "close":
            h.rfile.read(min(10, request.length))
            h.close_connection = True
            h.connection.shutdown(socket.SHUT_RDWR)
            return
        request.body = h.rfile.read(request.length)
        if what == "hang":
            self.ended.wait(60)
            h.close_connection = True
            return
        with self.lock:
            self.requests.append(request)
        status, headers, body = what(request) if callable(what) else what
        request.status = status
        h.send_response(status)
        for name, value in headers.items():
            h.send_header(name, value)
        if status != 204:
            h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    def accepted(self):
        with self.lock:
            return [r for r in self.requests if r.status and r.status < 300]

    def stop(self):
        self.ended.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None


class Request:
    def __init__(self, h):
        self.method, self.path, self.headers, self.time = h.command, h.path, h.headers, time.monotonic()
        self.length, self.body, self.status = int(h.headers.get("Content-Length") or 0), b"", None

    def text(self):
        return gzip.decompress(self.body) if self.headers.get("Content-Encoding") == "gzip" else self.body

    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))


LINE = re.compile(r"^((?:[^\\, ]|\\.)+)((?:,(?:[^\\,= ]|\\.)+=(?:[^\\,= ]|\\.)+)*) value=(\d+)i (\d+)$")
TAG = re.compile(r",((?:[^\\,= ]|\\.)+)=((?:[^\\,= ]|\\.)+)")


def lines(requests):
    """{(measurement, tags, time): value} of line protocol; a line that is none is an error."""
    found = {}
    for request in requests:
        for line in request.text().decode().splitlines():
            m = LINE.match(line)
            assert m, "no line of InfluxDB's protocol: %r" % line
            found[m.group(1), tuple(TAG.findall(m.group(2))), int(m.group(4))] = int(m.group(3))
    return found
