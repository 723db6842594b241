#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What real containers use, by their names: the agent's numbers against the kernel's own of the same cgroup and against a known load (load.py,
which runs inside the container). Memory, disk, death by the out-of-memory killer and a pause under docker and podman; networks of docker and of a
pod; a container of runc without any runtime that could be asked.
"""
import io
import json
import os
import signal
import subprocess
import tarfile
import tempfile
import time
import uuid

import lib
import load
import runtimes
from agent import by_speed, wait_for
from cgroups import Cgroup, keyed, read, trees
from containerd import Containerd, GATEWAY
from disk import Loop
from lib import equal, near

MIB = 1 << 20
SLEEP = ("sleep", "100000")
BURN = ("sh", "-c", "while :; do :; done")
RX, TX = "container_network_receive_bytes_total", "container_network_transmit_bytes_total"
SOCKET_BYTES = "cgmeter_container_socket_bytes_total"
UDP_HEADERS = 14 + 20 + 8  # Ethernet, IPv4, UDP
TCP_HEADERS = 14 + 20 + 32  # Ethernet, IPv4, TCP with timestamps


def agent_of(t, runtime, service, *more, **keywords):
    if not os.path.exists(load.PYTHON):
        raise lib.Skip("the program " + load.PYTHON)
    others = ("--docker=", "--podman=", "--podman_users=", "--containerd=", "--crio=", "--ended_duration=0")
    return t.bpf_agent(*others, "--%s=unix://%s" % (runtime, service.socket), *more, **keywords)


def path_of(agent, name):
    rows = wait_for(lambda: agent.metrics().all("container_last_seen", name=name), by_speed(10, 90), name)
    assert len(rows) == 1, rows
    return rows[0][0]["id"]


def started(agent, service, name, words, options=()):
    """Its cgroup, once the agent calls it by that name."""
    service.run(*words, options=("--name", name) + tuple(options))
    return Cgroup.at(path_of(agent, name))


def when_still(agent, file):
    """Metrics of a round in which the kernel's numbers were these, before and after."""
    def still():
        before = file()
        metrics = agent.fresh()
        return file() == before and (metrics, before)
    return wait_for(still, by_speed(15, 120), lambda: "standstill of %s" % (file(),))


# ---- memory, disk ----

def memory_of(cgroup):
    return (cgroup.memory_bytes(), cgroup.memory_stat("total_rss", "anon"), cgroup.memory_stat("total_inactive_file", "inactive_file"))


def check_memory(agent, service):
    cgroup = started(agent, service, "holder", load.in_container("hold", 64 * MIB), load.options())
    wait_for(lambda: "ready" in service.command("logs", "holder"), by_speed(10, 90), "program in the container")

    def look():
        metrics, (usage, rss, inactive) = when_still(agent, lambda: memory_of(cgroup))
        near(metrics.get("container_memory_usage_bytes", name="holder"), usage, relative=0.01, what="usage")
        equal(metrics.get("container_memory_rss", name="holder"), rss, "rss")
        near(metrics.get("container_memory_working_set_bytes", name="holder"), usage - inactive, relative=0.01, what="working set")
        return [metrics.get("container_memory_" + what, name="holder") for what in ("usage_bytes", "rss", "working_set_bytes")]
    before = look()
    service.command("kill", "-s", "USR1", "holder")
    wait_for(lambda: "held" in service.command("logs", "holder"), by_speed(10, 90), "touched memory")
    for what, now, then in zip(("usage", "rss", "working set"), look(), before):
        near(now - then, 64 * MIB, relative=0.01, what="growth of " + what)
    service.remove("holder")


def written(cgroup, loop):
    """By the cgroup's own file, which on v1 counts once a limit was set on the disk."""
    lines = read(cgroup.file("blkio", "io.stat" if trees.v2 else "blkio.throttle.io_service_bytes")).splitlines()
    words = [line.split() for line in lines if line.startswith(loop.number + " ")]
    if trees.v2:
        return sum(int(word.split("=")[1]) for line in words for word in line[1:] if word.startswith("wbytes="))
    return sum(int(line[2]) for line in words if line[1] == "Write")


def check_disk(agent, service, loop):
    device = ("--device=%s:/dev/ours" % loop.device, "--device-write-bps=%s:1tb" % loop.device)
    cgroup = started(agent, service, "writer", SLEEP, device + load.options())
    service.exec("writer", *load.in_container("write", "/dev/ours", 16 * MIB))
    metrics, file = when_still(agent, lambda: written(cgroup, loop))
    value = metrics.get("container_fs_writes_bytes_total", name="writer", device=loop.device)
    near(value, 16 * MIB, relative=0.01, what="bytes written")
    equal(value, file, "bytes of the cgroup's file")
    equal(metrics.sum("cgmeter_container_block_bytes_total", name="writer", device=loop.device, operation="write"), value, "our own family")
    service.remove("writer")


# ---- its life ----

def oom_kills(cgroup):
    return keyed(cgroup.file("memory", "memory.events" if trees.v2 else "memory.oom_control"))["oom_kill"]


def kill_events(agent, path):
    return agent.json("/api/v1.3/events%s?oom_kill_events=true&max_events=-1" % path)


def check_oom(agent, service, runtime):
    """limited: a child of its first process is killed; dead: its first process itself."""
    too_much = " ".join(load.in_container("hold", 64 * MIB))
    script = "%s & echo $! >/pid; wait $!; echo $?; sleep 100000" % too_much
    cgroup = started(agent, service, "limited", ("sh", "-c", script), ("--memory=32m",) + load.options())
    wait_for(lambda: "ready" in service.command("logs", "limited"), by_speed(10, 90), "program in the container")
    service.exec("limited", "sh", "-c", "kill -USR1 $(cat /pid)")
    wait_for(lambda: "137" in service.command("logs", "limited"), by_speed(20, 120), "kill")
    metrics, kills = when_still(agent, lambda: oom_kills(cgroup))
    equal((metrics.get("container_oom_events_total", name="limited"), kills), (1, 1), "kills by name, by the file")
    found = kill_events(agent, cgroup.path)
    equal([(e["container_name"], e["event_type"], e["event_data"]["oom"]["process_name"]) for e in found], [(cgroup.path, "oomKill", "python3")], "events")
    service.remove("limited")

    path = started(agent, service, "dead", load.in_container("hold", 64 * MIB), ("--memory=32m",) + load.options()).path
    wait_for(lambda: "ready" in service.command("logs", "dead"), by_speed(10, 90), "program in the container")
    service.command("kill", "-s", "USR1", "dead")
    state = wait_for(lambda: service.inspect("dead")["State"]["Status"] == "exited" and service.inspect("dead")["State"], by_speed(20, 120), "its end")
    # podman 4.3 with conmon 2.1 does not say so on cgroup v1.
    equal((state["OOMKilled"] or runtime == "podman", state["ExitCode"]), (True, 137), "what the runtime says")
    equal([e["container_name"] for e in wait_for(lambda: kill_events(agent, path), by_speed(5, 40), "event of the kill")], [path], "events")
    wait_for(lambda: not agent.metrics().all("container_last_seen", name="dead"), by_speed(10, 90), "end of its series")
    service.remove("dead")


def state_of(agent, path):
    names = agent.json("/api/cgmeter/rows")["names"]
    return names["state"][names["name"].index(path)]


def check_life(agent, service):
    cgroup = started(agent, service, "busy", BURN)
    service.command("pause", "busy")
    wait_for(lambda: state_of(agent, cgroup.path) == "paused", by_speed(5, 40), lambda: "paused, but " + state_of(agent, cgroup.path))
    still = [agent.fresh().sum("container_cpu_usage_seconds_total", name="busy") for _ in range(2)]
    equal(still[0], still[1], "CPU time of a paused container")
    near(still[1] * 1e9, cgroup.cpu_ns(), absolute=100, what="CPU time of the cgroup's file")
    service.command("unpause", "busy")
    wait_for(lambda: state_of(agent, cgroup.path) == "", by_speed(5, 40), lambda: "running, but " + state_of(agent, cgroup.path))
    wait_for(lambda: agent.metrics().sum("container_cpu_usage_seconds_total", name="busy") > still[1] + 0.1, by_speed(5, 40), "CPU time after it")

    service.command("rename", "busy", "idle")
    began = time.monotonic()
    path_of(agent, "idle")
    assert time.monotonic() - began < by_speed(1, 60), "its new name after %.1f s" % (time.monotonic() - began)
    before = agent.metrics().sum("container_cpu_usage_seconds_total", name="idle")
    service.command("kill", "idle")
    wait_for(lambda: not agent.metrics().all("container_last_seen", name="idle"), by_speed(10, 90), "end of a killed container")
    service.command("start", "idle")
    path_of(agent, "idle")
    now = agent.metrics().sum("container_cpu_usage_seconds_total", name="idle")
    assert now < before, "CPU time of a restarted container begins at 0: %s after %s" % (now, before)
    service.remove("idle")


def live(t, runtime, service):
    agent = agent_of(t, runtime, service, interval="200ms")
    check_memory(agent, service)
    check_disk(agent, service, Loop(t, 64))
    check_oom(agent, service, runtime)
    check_life(agent, service)


def test_containers__docker(t):
    live(t, "docker", t.enter_context(runtimes.dockerd("--bridge=none", "--iptables=false")))


def test_containers__podman(t):
    live(t, "podman", t.enter_context(runtimes.podman_service()))


# ---- networks ----

def net_dev(pid, name):
    """(rx bytes, rx packets, rx errors, rx dropped, tx …) of an interface as /proc/PID/net/dev has it."""
    for line in read("/proc/%d/net/dev" % pid).splitlines():
        head, _, rest = line.partition(":")
        if head.strip() == name:
            f = [int(n) for n in rest.split()]
            return tuple(f[0:4] + f[8:12])
    raise AssertionError("no interface " + name)


def pid_of(service, name):
    return service.inspect(name)["State"]["Pid"]


def transfer(service, sender, receiver, address, port, size):
    service.command("exec", "-d", receiver, *load.in_container("receive", port, size))
    service.exec(sender, *load.in_container("send", address, port, size))


def check_bridge(agent, service):
    """client === docker0 === server, whose namespace sidecar shares."""
    for name in ("client", "server"):
        started(agent, service, name, SLEEP, load.options())
    sidecar = started(agent, service, "sidecar", SLEEP, ("--network=container:server",))
    pids = {name: pid_of(service, name) for name in ("client", "server")}
    address = service.inspect("server")["NetworkSettings"]["IPAddress"]
    transfer(service, "client", "server", address, 5001, 16 * MIB)
    metrics, files = when_still(agent, lambda: {name: net_dev(pid, "eth0") for name, pid in pids.items()})
    for name, family, packets, file in (("client", TX, "container_network_transmit_packets_total", files["client"][4:]),
                                        ("server", RX, "container_network_receive_packets_total", files["server"][:4])):
        value, count = metrics.get(family, name=name, interface="eth0"), metrics.get(packets, name=name, interface="eth0")
        equal((value, count), file[:2], "net/dev of " + name)
        near(value - TCP_HEADERS * count, 16 * MIB, relative=0.01, what="payload of " + name)
    equal(metrics.all(RX, name="sidecar"), [], "interfaces of a container that shares another's")
    equal(agent.json("/api/v1.3/containers" + sidecar.path, num_stats=1)["spec"]["has_network"], False, "spec.has_network of it")
    equal(metrics.sum(RX, interface="eth0", image=runtimes.IMAGE), files["client"][0] + files["server"][0], "all containers together")


def check_host(agent, service):
    """Both on the network of the daemon, which has one loopback for all: no interface tells them apart."""
    for name in ("one", "two"):
        started(agent, service, name, SLEEP, ("--network=host",) + load.options())
    transfer(service, "one", "two", "127.0.0.1", 5001, 8 * MIB)
    transfer(service, "two", "one", "127.0.0.1", 5002, 3 * MIB)
    metrics = agent.fresh()
    for name, sent, got in (("one", 8, 3), ("two", 3, 8)):
        for direction, size in (("transmit", sent), ("receive", got)):
            value = metrics.get(SOCKET_BYTES, name=name, protocol="tcp", direction=direction)
            near(value, size * MIB, relative=0.01, what="%s of %s" % (direction, name))
        equal([labels["interface"] for labels, _ in metrics.all(RX, name=name)], [], "interfaces of " + name)


def test_containers__bridge_and_host_network(t):
    service = t.enter_context(runtimes.dockerd())
    agent = agent_of(t, "docker", service)
    check_bridge(agent, service)
    check_host(agent, service)


def kubelet_page(agent):
    """Without the times of the samples."""
    lines = agent.get("/metrics/cadvisor").body.decode().splitlines()
    return [line.rsplit(" ", 1)[0] for line in lines if line.startswith(RX)]


def test_containers__pod_network_is_counted_once(t):
    service = t.enter_context(Containerd(network=True))
    agent = agent_of(t, "containerd", service)
    pod = service.run_pod("web-0", "shop", str(uuid.uuid4()), [("front", ("/bin/busybox", "sleep", "100000")), ("back", ("/bin/busybox", "sleep", "100000"))])
    ids = {name: "%s/%s" % (pod.cgroup, container) for name, container in dict(pod.containers, sandbox=pod.sandbox).items()}
    for name in (pod.sandbox, *pod.containers.values()):
        path_of(agent, name)
    agent.wait_ticks()
    pid = int(read(Cgroup.at(ids["front"]).file("pids", "cgroup.procs")).split()[0])
    before = net_dev(pid, "eth0")
    t.command("nsenter", "--net=/proc/%d/ns/net" % pid, load.PYTHON, "-B", load.HERE + "/load.py", "datagrams", GATEWAY, "400", "1000")
    metrics, now = when_still(agent, lambda: net_dev(pid, "eth0"))
    near(now[4] - before[4], 400 * (1000 + UDP_HEADERS), relative=0.01, what="the kernel's count of what was sent")
    shown = {name: [value for labels, value in metrics.all(TX, id=path)] for name, path in ids.items()}
    equal(shown, {"sandbox": [now[4]], "front": [], "back": []}, "/metrics")
    rows = [line for line in kubelet_page(agent) if 'pod="web-0"' in line]
    equal(len(rows), 1, "/metrics/cadvisor: %s" % rows)
    equal((rows[0].rsplit(" ", 1)[1], 'container=""' in rows[0], ids["sandbox"] in rows[0]), (str(now[0]), True, True), "/metrics/cadvisor")
    network = next(p for p in agent.json("/stats/summary")["pods"] if p["podRef"]["name"] == "web-0")["network"]
    equal((network["name"], network["rxBytes"], network["txBytes"], len(network["interfaces"])), ("eth0", now[0], now[4], 1), "/stats/summary")

    # Some runtimes keep no process in a sandbox: one of the others stands for it, and only one.
    os.kill(int(read(Cgroup.at(ids["sandbox"]).file("pids", "cgroup.procs")).split()[0]), signal.SIGKILL)

    def others():
        rows = [(labels["id"], value) for labels, value in agent.metrics().all(TX, interface="eth0")]
        return [row for row in rows if row[0] in (ids["front"], ids["back"])]
    rows = wait_for(others, by_speed(10, 60), lambda: "interfaces of another: %s" % agent.metrics().all(TX))
    equal(rows, [(min(ids["front"], ids["back"]), now[4])], "the first of the others")


# ---- runc ----

def bundle(folder, path, words):
    """What runc needs to run these words, as the cgroup of that path."""
    with tarfile.open(fileobj=io.BytesIO(runtimes.busybox_rootfs())) as tar:
        tar.extractall(folder + "/rootfs")
    subprocess.run(["runc", "spec", "--bundle", folder], check=True)
    with open(folder + "/config.json") as f:
        config = json.load(f)
    config["process"].update(terminal=False, args=list(words))
    config["linux"]["cgroupsPath"] = path
    with open(folder + "/config.json", "w") as f:
        json.dump(config, f)


def test_containers__runc_alone(t):
    runtimes.need("runc", "busybox")
    folder = t.enter_context(tempfile.TemporaryDirectory(prefix="cgmtest-runc-"))
    name = "cgmtest-%d-runc" % os.getpid()
    bundle(folder, "/" + name, ("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exec sleep 100000"))
    agent = t.bpf_agent("--docker=", "--podman=", "--containerd=", "--crio=", "--ended_duration=0")
    runc = ["runc", "--root", folder + "/state"]
    t.callback(runtimes.remove_cgroups, "", [name])
    t.callback(subprocess.run, runc + ["delete", "-f", name], stderr=subprocess.DEVNULL)
    subprocess.run(runc + ["run", "-d", "--bundle", folder, name], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    agent.knows("/" + name)
    cgroup = Cgroup.at("/" + name)
    wait_for(lambda: cgroup.cpu_ns() > 100000000, by_speed(30, 200), "work")
    metrics, cpu_ns = when_still(agent, cgroup.cpu_ns)
    near(metrics.sum("container_cpu_usage_seconds_total", id="/" + name) * 1e9, cpu_ns, relative=0.01, what="CPU time")
    near(metrics.get("container_memory_usage_bytes", id="/" + name), cgroup.memory_bytes(), absolute=MIB, what="memory")
    labels = metrics.all("container_last_seen", id="/" + name)[0][0]
    assert "name" not in labels and "image" not in labels, "nobody gave it a name: %s" % labels


lib.main(globals())
