# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium driven over its debugging pipe, with Python's standard library alone."""
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--mute-audio", "--remote-debugging-pipe",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find():
    """Path of a Chromium, or None."""
    return next((p for p in map(shutil.which, NAMES) if p), None)


class Failed(Exception):
    """What was waited for did not come."""


class Browser:
    """One browser with one page. Use it in a with statement: it ends the browser and removes its directory."""

    def __init__(self, path):
        self.dir = tempfile.mkdtemp(prefix="cgm-browser-")
        child_in, self.out = os.pipe()
        self.inp, child_out = os.pipe()
        # The browser reads commands on descriptor 3 and answers on 4; the shell puts the pipes there.
        script = 'i=$1 o=$2; shift 2; eval "exec 8<&$i 9>&$o"; exec "$@" 3<&8 4>&9 8<&- 9>&-'
        command = ["bash", "-c", script, "sh", str(child_in), str(child_out), path, *FLAGS, "--user-data-dir=" + self.dir, "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(child_in, child_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        os.close(child_in)
        os.close(child_out)
        self.buffer = b""
        self.number = 0
        self.events = []  # (method, params), all of them, oldest first
        self.session = None

    def __enter__(self):
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        return self

    def __exit__(self, *_):
        try:
            self.session = None
            self.call("Browser.close", timeout=5)
            self.process.wait(5)
        except (Failed, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.inp)
        os.close(self.out)
        shutil.rmtree(self.dir, ignore_errors=True)

    def message(self, until):
        """The next message, or None at that time."""
        while b"\0" not in self.buffer:
            ready = select.select([self.inp], [], [], max(0, until - time.monotonic()))[0]
            if not ready:
                return None
            data = os.read(self.inp, 1 << 16)
            if not data:
                raise Failed("the browser has ended")
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message:
            self.events.append((message["method"], message.get("params", {})))
        return message

    def call(self, method, timeout=30, **params):
        """Sends a command; its result, or Failed."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + timeout
        while True:
            answer = self.message(until)
            if answer is None:
                raise Failed("no answer to " + method)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Failed("%s: %s" % (method, answer["error"].get("message")))
                return answer["result"]

    def js(self, expression):
        """Value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise Failed("in the page: " + json.dumps(result["exceptionDetails"])[:300])
        return result["result"].get("value")

    def wait(self, expression, seconds=15):
        """Waits until the expression is true; its value. Failed when it does not become true in time."""
        until = time.monotonic() + seconds
        while True:
            value = self.js(expression)
            if value:
                return value
            if time.monotonic() > until:
                raise Failed("not true after %d s: %s" % (seconds, expression))
            self.sleep(0.1)

    def sleep(self, seconds):
        until = time.monotonic() + seconds
        while self.message(until) is not None:
            pass

    def go(self, url):
        """Loads a page."""
        result = self.call("Page.navigate", url=url)
        if result.get("errorText"):
            raise Failed("%s: %s" % (url, result["errorText"]))
        self.wait("document.readyState === 'complete' && (location.href === 'about:blank') === %s" % json.dumps(url == "about:blank"))

    def screen(self, width, height, phone=False, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def shot(self, path):
        import base64
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def errors(self):
        """Console errors, uncaught exceptions and refused requests so far, as texts."""
        found = []
        for method, p in self.events:
            if method == "Runtime.exceptionThrown":
                d = p["exceptionDetails"]
                found.append(d.get("exception", {}).get("description") or d.get("text", ""))
            elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "assert"):
                found.append("console: " + " ".join(str(a.get("value", a.get("description"))) for a in p["args"]))
            elif method == "Log.entryAdded" and p["entry"]["level"] == "error":
                found.append("%s %s" % (p["entry"]["text"], p["entry"].get("url", "")))
        return found

    def urls(self):
        """Everything that the page asked for."""
        return [p["request"]["url"] for method, p in self.events if method == "Network.requestWillBeSent"]
