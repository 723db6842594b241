#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Flags, on the command line and in a file: what they change in a running agent."""
import os
import re
import shutil
import subprocess
import tempfile

import lib
from cgroups import read
from lib import equal, wait_for

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures/schema/cadvisor-flags.txt")
ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


def run(*flags):
    return subprocess.run([lib.PROGRAM, "node"] + list(flags), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)


def write(t, text):
    with tempfile.NamedTemporaryFile("w", prefix="cgmtest-config-", delete=False) as f:
        f.write(text)
    t.callback(os.unlink, f.name)
    return f.name


def listening(process):
    """(address, port) pairs, hexadecimal as the kernel shows them, of the process' listening sockets."""
    inodes = set()
    for fd in os.listdir("/proc/%d/fd" % process.pid):
        found = re.match(r"socket:\[(\d+)\]", os.readlink("/proc/%d/fd/%s" % (process.pid, fd)))
        if found:
            inodes.add(found.group(1))
    rows = []
    for name in ("tcp", "tcp6"):
        for line in read("/proc/net/" + name).splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                rows.append(fields[1].split(":")[0])
    return rows


def test_flags__every_flag_of_cadvisor_at_once(t):
    """All that its --help lists, with its own defaults: the agent starts, and has at most one line to say to each."""
    values = []
    for line in read(FIXTURE).splitlines():
        if line.startswith("#"):
            continue
        name, _kind, default = (line.split(" ", 2) + [""])[:3]
        if name not in ("version", "port", "listen_ip", "http_auth_file", "http_digest_file", "disable_metrics", "enable_metrics"):
            values.append("-%s=%s" % (name, default))
    agent = t.agent("--bpf=off", *values)
    equal(agent.get("/metrics").status, 200, "/metrics")
    said = [line for line in agent.log().splitlines() if "does nothing here" in line]
    names = [re.search(r"--(\S+) does nothing here", line).group(1) for line in said]
    equal(sorted(set(names)), sorted(names), "flags with one warning each")
    # With their defaults, only what works otherwise here has something to say.
    equal(sorted(names), ["allow_dynamic_housekeeping", "initial_splay_factor", "jitter_factor", "max_housekeeping_interval"], "warnings")


def test_flags__as_the_image_of_cadvisor_is_started(t):
    agent = t.agent("--bpf=off", "-logtostderr", "-docker_only=true", "-housekeeping_interval", "2s", "-store_container_labels=false", "-v=1",
                    "-disable_metrics=percpu,disk")
    equal(agent.get("/metrics").status, 200, "/metrics")


def test_flags__version_help_and_man(t):
    equal(run("-version").stdout.split()[0], "cgmeter", "-version")
    text = run("--help")
    equal(text.returncode, 0, "--help")
    assert max(len(line) for line in text.stdout.splitlines()) <= 100, "a line of --help is wider than 100 columns"
    if not shutil.which("mandoc"):
        raise lib.Skip("mandoc")
    page = subprocess.run([lib.PROGRAM, "man"], stdout=subprocess.PIPE, check=True).stdout
    done = subprocess.run(["mandoc", "-Tlint"], input=page, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal(done.stdout.decode(), "", "mandoc -Tlint")


def test_flags__loopback_unless_told_otherwise(t):
    for flags, wanted in (([], {"0100007F"}), (["--listen_ip="], {"0" * 32}), (["--listen_ip=0.0.0.0"], {"0" * 8})):
        process = subprocess.Popen([lib.PROGRAM, "node", "--bpf=off", "--pin_dir=", "--port=0"] + flags, stderr=subprocess.DEVNULL)
        t.callback(process.wait)
        t.callback(process.terminate)
        wait_for(lambda: listening(process), 20, "listening socket")
        equal(set(listening(process)), wanted, "address with %s" % flags)
        process.terminate()
        process.wait()


def test_config__file_and_command_line(t):
    path = write(t, "# of a test\nhousekeeping_interval: 250ms\nprometheus_endpoint = /from/file\nurl_base_prefix = \"/pre\"\nport = 1\njitter_factor = 0.5\n")
    process = subprocess.Popen([lib.PROGRAM, "node", "--bpf=off", "--pin_dir=", "--port=0", "--config=" + path], stderr=subprocess.PIPE, text=True)
    t.callback(process.stderr.close)
    t.callback(process.wait)
    t.callback(process.terminate)
    said = []
    while not said or "REST" not in said[-1]:
        said.append(process.stderr.readline())
        assert said[-1], "it ended: %s" % said
    port = int(re.search(r"http://127.0.0.1:(\d+)/pre/from/file", "".join(said)).group(1))
    assert port != 1, "the file won"
    assert any("--jitter_factor does nothing here" in line for line in said), said
    for path, status in (("/pre/from/file", "200"), ("/from/file", "200"), ("/pre/metrics", "404"), ("/pre/healthz", "200")):
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:%d%s" % (port, path)],
                              stdout=subprocess.PIPE, text=True)
        equal(done.stdout, status, path)


def test_config__faults_name_file_line_and_key(t):
    path = write(t, "port = 1\n\nhousekeeping_interval = soon\n")
    done = run("--config=" + path)
    equal(done.returncode, 2, "status")
    assert "%s:3: housekeeping_interval: takes a duration" % path in done.stdout, done.stdout


def seen(agent):
    return {labels["id"] for labels, _ in agent.fresh().all("container_last_seen")}


def test_docker_only__runtimes_and_the_machine(t):
    top = t.cgroup()
    container, raw = t.cgroup(top, ID), t.cgroup(top, "raw")
    below = t.cgroup(raw, OTHER)
    agent = t.agent("--docker_only")
    agent.knows(container.path)
    ours = {path for path in seen(agent) if path.startswith(top.path)}
    equal(ours, {container.path, below.path}, "shown")
    assert "/" in seen(agent), "the machine is not shown"
    late = t.cgroup(raw, "d" * 64)  # comes later, by an event
    agent.knows(late.path)
    t.cgroup(top, "later")
    ours = {path for path in seen(agent) if path.startswith(top.path)}
    equal(ours, {container.path, below.path, late.path}, "shown later")
    # Without the cgroup between, its children belong to the nearest that is shown.
    names = [c["name"] for c in agent.json("/api/v1.3/containers/")["subcontainers"]]
    assert container.path in names and below.path in names, names
    equal(agent.get("/api/v1.3/containers" + raw.path).status, 404, "a hidden cgroup")
    tree = agent.json("/api/cgmeter/tree")["containers"]
    for row in tree:
        parent = tree[row["parent"]]["name"]
        assert row["name"] == "/" or row["name"].startswith(parent), "%s is not below %s" % (row["name"], parent)


def test_docker_only__hidden_cgroups_count_for_their_parents(t):
    top = t.cgroup()
    parent = t.cgroup(top, ID)
    hidden = t.cgroup(parent, "hidden")
    agent = t.bpf_agent("--docker_only", groups=("sched",))
    agent.knows(parent.path)
    worker = hidden.worker(lambda: sum(range(30000000)))
    worker.run()
    metrics = agent.fresh()
    equal(metrics.all("container_last_seen", id=hidden.path), [], "hidden")
    seconds = metrics.sum("container_cpu_usage_seconds_total", id=parent.path)
    assert seconds > 0.1, "the parent has %s s" % seconds
    stays = metrics.get("cgmeter_container_cpu_slice_seconds_count", id=parent.path)
    assert stays > 0, "the kernel side's counts did not reach the parent"


def test_raw_cgroup_prefix_whitelist(t):
    top = t.cgroup()
    one, two, container = t.cgroup(top, "one"), t.cgroup(top, "two"), t.cgroup(top, ID)
    for flags in ([], ["--docker_only"]):
        agent = t.agent("--bpf=off", "--raw_cgroup_prefix_whitelist=/no-such,%s/on" % top.path, *flags)
        agent.knows(one.path)
        ours = {path for path in seen(agent) if path.startswith(top.path)}
        equal(ours, {one.path, container.path}, "shown with %s" % flags)
        equal(agent.get("/api/v1.3/containers" + two.path).status, 404, "another")


def test_disable_root_cgroup_stats(t):
    top = t.cgroup()
    agent = t.agent("--disable_root_cgroup_stats")
    agent.knows(top.path)
    metrics = agent.fresh()
    for family in ("container_cpu_usage_seconds_total", "container_memory_usage_bytes", "cgmeter_container_cpu_slice_seconds"):
        if family in metrics.families:
            equal([labels for _, labels, _ in metrics.families[family].samples if labels["id"] == "/"], [], family + " of /")
    assert metrics.all("container_cpu_usage_seconds_total", id=top.path) or metrics.all("container_memory_usage_bytes", id=top.path), "others"
    assert metrics.get("machine_cpu_cores") > 0, "the machine's own"
    root = agent.json("/api/v1.3/containers/")
    equal(root.get("stats") or [], [], "samples of /")
    assert top.path in [c["name"] for c in root["subcontainers"]], "children of /"


def test_id_files(t):
    machine, boot = write(t, "a-machine\n"), write(t, "a-boot\n")
    agent = t.agent("--bpf=off", "--machine_id_file=/no/such,%s" % machine, "--boot_id_file=" + boot)
    facts = agent.json("/api/v1.3/machine")
    equal((facts["machine_id"], facts["boot_id"]), ("a-machine", "a-boot"), "ids")


def test_max_procs__limits_the_cpus(t):
    agent = t.agent("--bpf=off", "--max_procs=1")
    for task in os.listdir("/proc/%d/task" % agent.process.pid):
        allowed = re.search(r"Cpus_allowed_list:\s*(\S+)", read("/proc/%d/task/%s/status" % (agent.process.pid, task))).group(1)
        assert allowed.isdigit(), "a thread may run on %s" % allowed
    equal(agent.json("/api/v1.3/machine")["num_cores"], os.cpu_count(), "cores of the machine")


lib.main(globals())
