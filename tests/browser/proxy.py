# SPDX-License-Identifier: Apache-2.0
"""A reverse proxy on loopback that puts a prefix before the agent, can lose it, can change to another, and can change answers."""
import gzip
import http.client
import http.server
import json
import threading

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Proxy:
    """answers: {path's beginning: function(status, JSON or None, path) to (status, JSON)}; port None: nobody is there."""

    def __init__(self, prefix, port):
        self.prefix, self.port, self.answers, self.seen = prefix, port, {}, []
        handler = type("Handler", (Handler,), {"proxy": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True)
        self.thread.start()
        self.origin = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.url = self.origin + prefix

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def changed(self, path, status, body):
        for begin, change in self.answers.items():
            if not path.startswith(begin):
                continue
            try:
                value = json.loads(body)
            except ValueError:
                value = None
            status, value = change(status, value, path)
            return status, json.dumps(value).encode()
        return status, body


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy = None

    def log_message(self, *_):
        pass

    def forward(self):
        p = self.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.startswith(p.prefix + "/"):
            self.answer(404, [("Content-Type", "text/plain")], b"not below the prefix")
            return
        path = self.path[len(p.prefix):]
        p.seen.append(path)
        port = p.port
        if port is None:
            self.close_connection = True
            return  # without a word
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            connection.request(self.command, path, body or None, headers)
            got = connection.getresponse()
            data, status = got.read(), got.status
        except OSError:
            self.close_connection = True
            return
        finally:
            connection.close()
        kept = [(k, v) for k, v in got.headers.items() if k.lower() not in HOP | {"content-encoding"}]
        if got.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data) if data else data
        status, data = p.changed(path, status, data)
        self.answer(status, kept, data)

    def answer(self, status, headers, data):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(data)

    do_GET = do_POST = do_HEAD = forward
