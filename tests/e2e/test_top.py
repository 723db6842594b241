#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`cgmeter top`: its numbers against the agent's API and a known burn, from pinned maps after a crash, and its screen in tmux."""
import contextlib
import http.server
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time

import lib
from agent import PROGRAM, free_port
from burn import burn_wall, last_cpu
from lib import by_speed, equal, near, wait_for

EVIL = "evil\x1b[31m\t\x7f\u6f22\u202eq"


def top(*options, status=0, env=None, seconds=60):
    done = subprocess.run([PROGRAM, "top"] + list(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=by_speed(seconds, 4 * seconds), env=dict(os.environ, LC_ALL="C.UTF-8", **(env or {})))
    assert done.returncode == status, "status %d, wanted %d: %s" % (done.returncode, status, done.stderr.decode(errors="replace"))
    return done


def intervals(number, *options):
    """That many intervals as JSON: [({...}, {name: row})]."""
    text = top("--json", "-n", str(number), *options).stdout.decode()
    parsed = [json.loads(line) for line in text.splitlines()]
    equal(len(parsed), number, "intervals")
    return [(p, {row["name"]: row for row in p["containers"]}) for p in parsed]


def of_agent(agent):
    return "--url=http://127.0.0.1:%d" % agent.port, "--source=agent"


def of_maps(pin_dir):
    return "--source=maps", "--pin_dir=" + pin_dir


def crash(agent):
    agent.process.kill()
    agent.process.wait()


def burn_beside(t, cgroup, workers, seconds):
    for w in [cgroup.worker(burn_wall, last_cpu(), seconds) for _ in range(workers)]:
        w.go()


def burn_a_fifth(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        until = time.process_time() + 0.004
        while time.process_time() < until:
            pass
        time.sleep(0.016)


def talk(megabytes, seconds):
    """Over TCP on loopback with oneself, evenly; and nothing else."""
    listener = socket.create_server(("127.0.0.1", 0))
    a = socket.create_connection(listener.getsockname())
    b, _ = listener.accept()
    piece, end = b"x" * 16384, time.monotonic() + seconds
    for _ in range(megabytes * 64):
        a.sendall(piece)
        left = len(piece)
        while left:
            left -= len(b.recv(left))
        time.sleep(max(0, min(seconds / (megabytes * 64) * 0.8, end - time.monotonic())))


# ---- numbers ----

def test_batch__is_what_the_api_says(t):
    """The same two snapshots by both ways: the very numbers."""
    agent = t.agent()
    cgroup = t.cgroup()
    burn_beside(t, cgroup, 1, by_speed(6, 20))
    agent.knows(cgroup.path)
    for head, rows in intervals(2, *of_agent(agent)):
        equal(head["source"], "agent", "source")
        stats = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=60)["stats"]
        at = [i for i, s in enumerate(stats) if s["timestamp"] == head["time"]]
        assert at and at[0] > 0, "no sample of %s in %s" % (head["time"], [s["timestamp"] for s in stats])
        now, before = stats[at[0]], stats[at[0] - 1]
        row = rows[cgroup.path]
        used = now["cpu"]["usage"]["total"] - before["cpu"]["usage"]["total"]
        near(row["cpu_percent"], 100 * used / head["interval_ns"], absolute=0.002, what="CPU %")
        equal(row["memory_working_set_bytes"], now["memory"]["working_set"], "working set")
        equal(row["tasks"], now["processes"]["thread_count"] if "thread_count" in now["processes"] else now["processes"]["threads_current"], "tasks")


def test_batch__a_known_burn(t):
    agent = t.bpf_agent(groups=["sched_switch"])
    cgroup = t.cgroup()
    parent = t.cgroup(cgroup, "inside")
    agent.knows(parent.path)
    burn_beside(t, parent, 2, by_speed(7, 30))
    time.sleep(by_speed(1, 4))
    began, used = time.monotonic(), parent.cpu_ns()
    result = intervals(3, *of_agent(agent))
    share = 100 * (parent.cpu_ns() - used) / ((time.monotonic() - began) * 1e9)
    assert share > 30, "the two did not get a CPU: %.0f %%" % share
    for path in (cgroup.path, parent.path):
        mean = sum(rows[path]["cpu_percent"] for _, rows in result) / len(result)
        near(mean, share, relative=by_speed(0.15, 0.4), what="CPU % of " + path)
        for _, rows in result:
            # Two that burn on one CPU wait for each other, for a slice each time.
            assert rows[path]["runq_delay_p99_ns"] > 1e6, rows[path]
            assert rows[path]["runq_delay_p50_ns"] <= rows[path]["runq_delay_p99_ns"]
            equal(rows[path]["tasks"], 2, "tasks")


def test_batch__bytes_over_tcp(t):
    agent = t.bpf_agent(groups=["sendmsg|sendto|sock"])
    cgroup = t.cgroup()
    worker = cgroup.worker(talk, 12, by_speed(5, 20))
    agent.knows(cgroup.path)
    worker.go()
    time.sleep(by_speed(1, 4))
    # Long intervals: the rate is even only on the whole.
    (head, rows), = intervals(1, "--interval=2s", *of_agent(agent))
    worker.result()
    row = rows[cgroup.path]
    near(row["net_rx_bytes_per_second"], row["net_tx_bytes_per_second"], relative=0.05, absolute=70000, what="received and sent")
    near(row["net_tx_bytes_per_second"], 12 * 2**20 / by_speed(5, 20), relative=0.5, what="sent")
    equal(row["tcp_retransmits_per_second"], 0, "retransmits on loopback")


# ---- without an agent ----

def test_maps__after_a_crash(t):
    fs = t.bpffs()
    agent = t.bpf_agent(pin_dir=fs.pin_dir, groups=["sched_switch"])
    cgroup = t.cgroup()
    inside = t.cgroup(cgroup, "inside")
    agent.knows(inside.path)
    crash(agent)
    burn_beside(t, inside, 2, by_speed(7, 30))
    time.sleep(by_speed(1, 4))
    began, used = time.monotonic(), inside.cpu_ns()
    # The agent's address is asked first; nobody is there.
    result = intervals(3, "--url=http://127.0.0.1:%d" % agent.port, "--pin_dir=" + fs.pin_dir)
    share = 100 * (inside.cpu_ns() - used) / ((time.monotonic() - began) * 1e9)
    for head, rows in result:
        equal(head["source"], "maps", "source")
        assert "programs count on" in head["source_text"], head["source_text"]
        for path in (cgroup.path, inside.path):
            assert rows[path]["runq_delay_p99_ns"] > 1e6, rows[path]
            equal(rows[path]["net_tx_bytes_per_second"], 0, "bytes sent")
        assert rows["/"]["tasks"] >= 2 and rows["/"]["cpu_percent"] >= rows[inside.path]["cpu_percent"] * 0.8
    mean = sum(rows[inside.path]["cpu_percent"] for _, rows in result) / len(result)
    near(mean, share, relative=by_speed(0.15, 0.4), what="CPU %")


def test_maps__beside_a_live_agent(t):
    """Both ways at once, over an even load: the same within what their moments differ."""
    fs = t.bpffs()
    agent = t.bpf_agent(pin_dir=fs.pin_dir, groups=["sched_switch"])
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    # A share that it gets also on a busy machine: the two do not measure the very same seconds.
    cgroup.worker(burn_a_fifth, by_speed(9, 40)).go()
    time.sleep(by_speed(1, 4))
    results = {}
    sides = {"agent": of_agent(agent), "maps": of_maps(fs.pin_dir)}
    threads = [threading.Thread(target=lambda name=name, o=o: results.update({name: intervals(2, "--interval=2s", *o)})) for name, o in sides.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(sorted(results), ["agent", "maps"], "both ways")
    means = {name: [sum(rows[cgroup.path][key] for _, rows in r) / len(r) for key in ("cpu_percent", "runq_delay_p50_ns")]
             for name, r in results.items()}
    near(means["maps"][0], means["agent"][0], relative=by_speed(0.15, 0.4), what="CPU % by maps and by the agent")
    near(means["maps"][1], means["agent"][1], relative=3, what="median of run-queue delay by maps and by the agent")


def test_maps__cgroups_come_and_go(t):
    fs = t.bpffs()
    agent = t.bpf_agent(pin_dir=fs.pin_dir, groups=["sched_switch"])
    parent = t.cgroup()
    agent.knows(parent.path)
    crash(agent)
    child = t.cgroup(parent, "late")
    burn_beside(t, child, 1, by_speed(30, 60))
    process = subprocess.Popen([PROGRAM, "top", "--json", "-n", "6", *of_maps(fs.pin_dir)], stdout=subprocess.PIPE, text=True)
    try:
        lines = [json.loads(process.stdout.readline())]
        child.kill()
        child.remove()
        lines += [json.loads(line) for line in process.stdout]
    finally:
        process.kill()
        process.wait()
    names = [{row["name"]: row for row in line["containers"]} for line in lines]
    assert child.path in names[0] and child.path not in names[-1]
    # Nothing runs there any more: what the child had counted moved to its parent without a trace in its rates.
    for rows in names[2:]:
        assert (rows[parent.path]["cpu_percent"] or 0) < by_speed(30, 120), rows[parent.path]


def test_maps__nothing_counts_after_a_clean_end(t):
    fs = t.bpffs()
    agent = t.bpf_agent(pin_dir=fs.pin_dir)
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    agent.stop()
    head, rows = intervals(1, "--url=http://127.0.0.1:%d" % agent.port, "--pin_dir=" + fs.pin_dir)[0]
    equal(head["source"], "maps", "source")
    assert "nothing counts" in head["source_text"], head["source_text"]
    equal(rows[cgroup.path]["runq_delay_p99_ns"], None, "run-queue delay")
    assert rows["/"]["cpu_percent"] is not None and rows[cgroup.path]["memory_working_set_bytes"] is not None


def test_maps__cgroup_files_alone(t):
    cgroup = t.cgroup()
    burn_beside(t, cgroup, 1, by_speed(5, 20))
    head, rows = intervals(1, "--url=http://127.0.0.1:%d" % free_port(), "--pin_dir=/sys/fs/bpf/cgmtest-nothing-here")[0]
    equal(head["source"], "files", "source")
    assert "nothing is pinned in /sys/fs/bpf/cgmtest-nothing-here" in head["source_text"], head["source_text"]
    assert rows[cgroup.path]["cpu_percent"] > 20, rows[cgroup.path]
    equal(rows[cgroup.path]["net_tx_bytes_per_second"], None, "bytes sent")


# ---- names, options, statuses ----

def test_batch__hostile_names(t):
    agent = t.agent("--bpf=off")
    cgroup = t.cgroup()
    evil = t.cgroup(cgroup, EVIL)
    broken = t.cgroup(cgroup, os.fsdecode(b"broken\xff\xc0\xaf"))
    agent.knows(cgroup.path)
    wait_for(lambda: evil.path in {r["name"] for r in intervals(1, "--interval=200ms", *of_agent(agent))[0][0]["containers"]}, 20, "the name")
    for options in (of_agent(agent), of_maps("/sys/fs/bpf/cgmtest-nothing-here")):
        names = {row["name"] for row in intervals(1, "--filter=" + cgroup.path, *options)[0][0]["containers"]}
        equal(names, {cgroup.path, evil.path, cgroup.path + "/broken\ufffd\ufffd\ufffd"}, "names in JSON")
        text = top("-b", "-n", "1", "--filter=" + cgroup.path, *options).stdout
        assert b"evil\\x1b[31m\\x09\\x7f\xe6\xbc\xa2\\u{202e}q" in text and b"broken\\xff\\xc0\\xaf" in text, text
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", text), text
    assert broken.path


def test_batch__order_filter_and_tree(t):
    agent = t.agent("--bpf=off")
    cgroup = t.cgroup()
    for name in ("b", "a", "c"):
        t.cgroup(cgroup, name)
    agent.knows(cgroup.path + "/c")
    agent.wait_ticks()
    options = ("-n", "1", "--filter=" + cgroup.path.upper(), "--sort=name") + of_agent(agent)

    def names(*more):
        lines = top("-b", *options, *more).stdout.decode().splitlines()
        assert lines[0].startswith("# ") and lines[1].endswith(" CGROUP"), lines
        return [line[line.index("CGROUP") if "CGROUP" in line else lines[1].index("CGROUP"):] for line in lines[2:]]

    own = cgroup.path
    equal(names(), [own, own + "/a", own + "/b", own + "/c"], "by name")
    equal(names("-r"), [own + "/c", own + "/b", own + "/a", own], "reversed")
    equal(names("-t"), ["/", "  " + own[1:], "    a", "    b", "    c"], "as a tree")


def test_exit__statuses_and_messages(t):
    port = free_port()
    done = top("--url=http://127.0.0.1:%d" % port, "--source=agent", "-b", status=1)
    assert b"127.0.0.1:%d: nobody listens there" % port in done.stderr, done.stderr
    done = top("--url=http://192.0.2.1:1/x", "-b", "--interval=100ms", status=1)  # another machine's: no fall back to our maps
    assert b"192.0.2.1" in done.stderr and b"maps" not in done.stderr, done.stderr
    done = top("--source=maps", "--root=/nonexistent", "-b", status=1)
    assert b"/nonexistent" in done.stderr, done.stderr
    for bad in (["--sort=x"], ["--interval=1"], ["--url=https://a"], ["--token_file=/nonexistent", "-b"], ["-n"], ["what"]):
        done = top(*bad, status=2)
        assert bad[0].split("=")[0].encode() in done.stderr, done.stderr
    equal(top("--help").stderr, b"", "--help")
    agent = t.agent("--bpf=off")
    done = top(*of_agent(agent), status=2)  # no terminal
    assert b"-b" in done.stderr, done.stderr


def test_exit__a_signal_ends_it_cleanly(t):
    agent = t.agent("--bpf=off")
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen([PROGRAM, "top", "-b", *of_agent(agent)], stdout=subprocess.PIPE)
        process.stdout.readline()
        process.send_signal(number)
        equal(process.wait(by_speed(5, 20)), 0, "status after signal %d" % number)
        process.stdout.close()


# ---- what may answer ----

class Answers(http.server.BaseHTTPRequestHandler):
    """What a request is answered with: bytes that are sent as they are."""
    protocol_version = "HTTP/1.1"
    answer, seen = b"", []

    def do_GET(self):
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.wfile.write(type(self).answer)
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def answering(answer):
    handler = type("Handler", (Answers,), {"answer": answer, "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield "http://127.0.0.1:%d/some/prefix/" % server.server_address[1], handler.seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_length(body, status="200 OK"):
    return ("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body))).encode() + body


def test_answers__damaged_ones_are_named(t):
    cases = [
        (b"", b"closed without an answer"), (b"SSH-2.0-x\r\n", b"does not speak HTTP"), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"cut short"),
        (with_length(b"{}", "401 No"), b"wants a password or a token"), (with_length(b"{}", "404 No"), b"no cgmeter agent"),
        (with_length(b"{}", "500 No"), b"status 500"), (with_length(b"<html>\n"), b"line 1: not the text"),
        (with_length(b"cgmeter-feed 9 1 1 0\n"), b"a version of the text"), (with_length(b"cgmeter-feed 1 1 1 1\ncolumns tasks\n0 5 /a\nend\n"), b"line 3"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", b"Content-Encoding"),
    ]
    for answer, wanted in cases:
        with answering(answer) as (url, _):
            done = top("--url=" + url, "--source=agent", "-b", "-n", "1", status=1)
            assert wanted in done.stderr and url.encode() in done.stderr, (wanted, done.stderr)


def test_answers__who_we_are(t):
    secret = "/tmp/cgmtest-secret-%d" % os.getpid()
    t.callback(os.unlink, secret)
    for option, text, wanted in (("--token_file", "s3cret\n", "Bearer s3cret"), ("--basic_auth_file", "u:p w\n", "Basic dTpwIHc=")):
        with open(secret, "w") as f:
            f.write(text)
        with answering(with_length(b"{}", "403 No")) as (url, seen):
            top("--url=" + url, "--source=agent", "-b", option + "=" + secret, status=1)
            equal(seen, [("/some/prefix/api/cgmeter/feed/0", wanted)], "the request")


# ---- the screen ----

class Screen:
    """A terminal of its own with `cgmeter top` in it."""

    def __init__(self, t, options, width=80, height=24, env="LC_ALL=C.UTF-8"):
        if not shutil.which("tmux"):
            raise lib.Skip("tmux")
        self.name = "cgmtest-%d-%d" % (os.getpid(), id(self))
        command = "env %s %s; echo STATUS $?; exec sleep 1000" % (env, " ".join(map(shlex.quote, [PROGRAM, "top"] + list(options))))
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), command)
        t.callback(self.tmux, "kill-server")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-u", "-L", self.name] + list(words), stdout=subprocess.PIPE, check=True,
                              env=dict(os.environ, LC_ALL="C.UTF-8", TERM="xterm-256color")).stdout.decode()

    def text(self):
        return self.tmux("capture-pane", "-p")

    def lines(self):
        return self.text().splitlines()

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def wait(self, *texts, seconds=None):
        """Until all of them are on the screen; its lines."""
        wait_for(lambda: all(text in self.text() for text in texts), seconds or by_speed(10, 60), lambda: "%s on the screen:\n%s" % (texts, self.text()))
        return self.lines()

    def wait_gone(self, text):
        wait_for(lambda: text not in self.text(), by_speed(10, 60), lambda: "end of %s on the screen:\n%s" % (text, self.text()))
        return self.lines()


def column(lines, name, title):
    """The cell of the line with that name under that title, which stands flush right."""
    at = next(i for i, line in enumerate(lines) if line.endswith("CGROUP"))
    end = lines[at].index(title) + len(title)
    line = next(line for line in lines[at:] if line.rstrip().endswith(name))  # above it stands the filter
    return line[:end].split()[-1]


def test_screen__table_sort_filter_tree_and_quit(t):
    agent = t.bpf_agent(groups=["sched_switch"])
    cgroup = t.cgroup()
    inside = t.cgroup(cgroup, "inside")
    t.cgroup(cgroup, EVIL)
    agent.knows(inside.path)
    burn_beside(t, inside, 1, by_speed(60, 240))
    own = cgroup.path[1:]
    screen = Screen(t, of_agent(agent))
    lines = screen.wait("cgmeter top", own, "agent http://127.0.0.1:%d" % agent.port)
    screen.wait("evil\\x1b[31m")
    lines = wait_for(lambda: float(column(screen.lines(), "inside", "CPU%").replace("-", "0")) > 20 and screen.lines(), 20, "the burn on the screen")
    near(float(column(lines, own, "CPU%")), float(column(lines, "inside", "CPU%")), relative=0.3, absolute=5, what="parent and child")
    assert all(len(line) <= 80 for line in lines), lines
    # Filter: what is above is kept.
    screen.keys("/", own[-8:], "Enter")
    lines = screen.wait("of ", "  - " + own)
    assert not any("process_api" in line for line in lines[3:-1])
    # Fold and unfold.
    screen.keys("g", "Down", "Space")
    lines = screen.wait_gone("inside")
    assert any(line.endswith("+ " + own) for line in lines), lines
    screen.keys("Right")
    screen.wait("inside")
    # Flat: whole paths. Sorted by name, reversed.
    screen.keys("t", "N", "r")
    lines = screen.wait("flat", "by CGROUP, reversed", inside.path)
    shown = [line.split()[-1] for line in lines[3:-1] if line.strip()]
    equal(shown[-1], cgroup.path, "the last by name, reversed")
    # Help, interval, pause.
    screen.keys("?")
    screen.wait("move", "unfold all")
    screen.keys("x", "d", "500ms", "Enter")
    screen.wait("every 500ms")
    screen.keys("p")
    lines = screen.wait("PAUSED")
    time.sleep(1.5)
    equal(screen.lines(), lines, "a paused screen")
    screen.keys("p")
    screen.wait_gone("PAUSED")
    screen.keys("q")
    lines = screen.wait("STATUS 0")
    assert not any("CGROUP" in line for line in lines), "the screen of before is back: %s" % lines


def test_screen__histograms(t):
    agent = t.bpf_agent(groups=["sched_switch"])
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    burn_beside(t, cgroup, 2, by_speed(60, 240))
    screen = Screen(t, of_agent(agent) + ("--filter=" + cgroup.path,))
    screen.wait(cgroup.path[1:])
    screen.keys("G", "Enter")
    lines = screen.wait("OF THE INTERVAL", "cpu runqueue delay", "cpu off iowait", "31ms")
    equal(lines[2].rstrip(), cgroup.path, "whose they are")
    line = wait_for(lambda: next((x for x in screen.lines() if x.startswith("cpu runqueue delay ") and "ms" in x), None), by_speed(10, 60), "delays")
    assert any(block in line for block in "▁▂▃▄▅▆▇█"), line
    assert any("█" in x for x in screen.lines()[15:]), "no bars: %s" % screen.text()
    screen.keys("Down", "a")
    lines = screen.wait("OF ALL TIME", "COUNT")
    assert any(x.startswith("cpu slice ") and " in all" in x for x in lines), lines
    screen.keys("Escape")
    screen.wait("CGROUP")
    screen.keys("q")
    screen.wait("STATUS 0")


def test_screen__the_agent_dies_and_comes_back(t):
    fs = t.bpffs()
    agent = t.bpf_agent(pin_dir=fs.pin_dir, groups=["sched_switch"])
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    burn_beside(t, cgroup, 2, by_speed(90, 300))
    own = cgroup.path[1:]
    screen = Screen(t, ["--url=http://127.0.0.1:%d" % agent.port, "--pin_dir=" + fs.pin_dir, "--filter=" + own])
    screen.wait("agent http://127.0.0.1:%d" % agent.port, own)
    crash(agent)
    screen.wait("maps " + fs.pin_dir + ", programs")
    wait_for(lambda: column(screen.lines(), own, "RQ99").endswith("ms"), by_speed(10, 60), lambda: "delays by the maps:\n" + screen.text())
    again = subprocess.Popen([PROGRAM, "node", "--listen_ip=127.0.0.1", "--port=%d" % agent.port, "--pin_dir=" + fs.pin_dir],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        screen.wait("agent http://127.0.0.1:%d" % agent.port, seconds=by_speed(20, 90))
        wait_for(lambda: column(screen.lines(), own, "RQ99").endswith("ms"), by_speed(10, 60), lambda: "delays by the agent:\n" + screen.text())
    finally:
        again.terminate()
        again.wait()
    screen.wait("nothing counts")  # a clean end
    screen.keys("q")
    screen.wait("STATUS 0")


def test_screen__resize(t):
    agent = t.agent("--bpf=off")
    screen = Screen(t, of_agent(agent))
    screen.wait("CGROUP")
    for width, height in ((200, 50), (120, 30), (60, 12), (30, 5), (80, 24)):
        screen.tmux("resize-window", "-x", str(width), "-y", str(height))
        lines = screen.wait("too small" if width < 40 else "CGROUP")
        assert len(lines) <= height and all(len(line) <= width for line in lines), (width, height, lines)
        if width == 200:
            wait_for(lambda: "RETR" in screen.text() and "Enter detail" in screen.lines()[-1], by_speed(10, 60), "all columns")
    screen.wait("q quit")
    screen.keys("q")
    screen.wait("STATUS 0")


def test_screen__colours_and_characters(t):
    agent = t.agent("--bpf=off")
    cgroup = t.cgroup()
    t.cgroup(cgroup, "\u00fcml")
    agent.knows(cgroup.path)
    for env, coloured, name in (("LC_ALL=C.UTF-8", True, "\u00fcml"), ("LC_ALL=C.UTF-8 NO_COLOR=1", False, "\u00fcml"), ("LC_ALL=C", True, "\\u{fc}ml")):
        screen = Screen(t, of_agent(agent) + ("--filter=" + cgroup.path,), env=env)
        screen.wait("CGROUP", name)
        escapes = screen.tmux("capture-pane", "-p", "-e")
        equal(bool(re.search(r"\x1b\[(?:[0-9]+;)*[34][0-7][;m]", escapes)), coloured, "colours with " + env)
        screen.keys("q")
        screen.wait("STATUS 0")
    screen = Screen(t, of_agent(agent), env="TERM=dumb")
    lines = screen.wait("STATUS 2")
    assert any("TERM=dumb" in line for line in lines) and "-b" in " ".join(lines), lines


lib.main(globals())
