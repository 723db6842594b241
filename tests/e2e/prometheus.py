# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus, from Debian, on a free loopback port."""
import http.client
import json
import shutil
import subprocess
import tempfile
import urllib.parse

import lib
from agent import free_port
from lib import by_speed


class Prometheus:
    """A server of its own that scrapes one agent, as often as the agent samples unless it is told otherwise."""

    def __init__(self, t, agent, *options, interval=None):
        if not shutil.which("prometheus"):
            raise lib.Skip("prometheus (Debian package prometheus)")
        self.port, self.dir = free_port(), tempfile.mkdtemp(prefix="cgmtest-prometheus-")
        t.callback(shutil.rmtree, self.dir)
        interval = interval or by_speed("1s", "5s")
        with open(self.dir + "/config.yml", "w") as f:  # JSON is YAML
            json.dump({"global": {"scrape_interval": interval, "scrape_timeout": interval},
                       "scrape_configs": [{"job_name": "cgmeter", "static_configs": [{"targets": ["127.0.0.1:%d" % agent.port]}]}]}, f)
        with open(self.dir + "/log", "w") as log:
            self.process = subprocess.Popen(
                ["prometheus", "--config.file=%s/config.yml" % self.dir, "--storage.tsdb.path=%s/data" % self.dir,
                 "--web.listen-address=127.0.0.1:%d" % self.port] + list(options), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        t.callback(self.stop)
        lib.wait_for(self.is_up, by_speed(20, 120), lambda: "scrape by Prometheus; its log says: " + self.log()[-2000:])

    def stop(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        with open(self.dir + "/log", errors="replace") as f:
            return f.read()

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("prometheus ended: " + self.log()[-2000:])
        try:
            return [float(r["value"][1]) for r in self.query("up")] == [1.0]
        except (OSError, ValueError):
            return False

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=by_speed(20, 120))
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body

    def query(self, expression):
        answer = json.loads(self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        if answer["status"] != "success":
            raise ValueError("%s: %s" % (expression, answer))
        return answer["data"]["result"]

    def number(self, expression):
        result = self.query(expression)
        assert len(result) == 1, "%s: %s" % (expression, result)
        return float(result[0]["value"][1])
