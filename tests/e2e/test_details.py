#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Groups that are off by default, against the kernel's own files: sockets by network namespace, descriptors, limits, referenced memory, perf, huge pages."""
import json
import mmap
import os
import resource
import socket
import tempfile
import time

import lib
from cgroups import ignore, read, trees, write
from lib import Skip, by_speed, equal, near, note, wait_for

MIB = 1 << 20
STATES = "established synsent synrecv finwait1 finwait2 timewait close closewait lastack listen closing".split()
kept = []  # sockets and files of a worker, so that they stay open


def open_sockets(directory):
    """In the worker: sockets in several states, some files, and a mapping that is touched."""
    os.system("ip link set lo up 2>/dev/null")
    server = socket.create_server(("127.0.0.1", 0), backlog=8)
    clients = [socket.create_connection(server.getsockname()) for _ in range(3)]
    accepted = [server.accept()[0] for _ in range(3)]
    clients[2].close()  # FIN_WAIT2 here, CLOSE_WAIT there
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    connected = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connected.connect(bound.getsockname())
    for _ in range(10):
        connected.send(b"x" * 700)
    six = []
    if socket.has_ipv6 and os.path.exists("/proc/self/net/tcp6"):
        six = [socket.create_server(("::1", 0), family=socket.AF_INET6)]
    files = [open(directory + "/file%d" % i, "w") for i in range(5)]
    kept.extend([server, clients[:2], accepted, bound, connected, six, files])
    return True


def proc_states(pid, name):
    """{state: sockets} of /proc/PID/net/tcp or tcp6."""
    lines = (read("/proc/%d/net/%s" % (pid, name)) if os.path.exists("/proc/%d/net/%s" % (pid, name)) else "").splitlines()[1:]
    found = dict.fromkeys(STATES, 0)
    for line in lines:
        state = int(line.split()[3], 16)
        if 1 <= state <= len(STATES):
            found[STATES[state - 1]] += 1
    return found


def proc_udp(pid):
    """As the text has it, but that listen are the sockets without a peer; cAdvisor counts all of them."""
    found = {"listen": 0, "dropped": 0, "rxqueued": 0, "txqueued": 0}
    for line in read("/proc/%d/net/udp" % pid).splitlines()[1:]:
        f = line.split()
        tx, rx = (int(n, 16) for n in f[4].split(":"))
        found["listen"] += f[3] == "07"
        found["txqueued"] += tx
        found["rxqueued"] += rx
        found["dropped"] += int(f[12])
    return found


def proc_pairs(pid):
    """{name in small letters: number} of Tcp in snmp and TcpExt in netstat."""
    found = {}
    for name, section in (("snmp", "Tcp:"), ("netstat", "TcpExt:")):
        names, numbers = [line.split()[1:] for line in read("/proc/%d/net/%s" % (pid, name)).splitlines() if line.split()[0] == section]
        found.update({n.lower(): int(v) for n, v in zip(names, numbers)})
    return found


def by(metrics, family, label, path):
    return {labels[label]: value for labels, value in metrics.all(family, id=path)}


def socket_worker(t):
    cgroup = t.cgroup()
    directory = tempfile.mkdtemp(prefix="cgmtest-details-")
    t.callback(os.rmdir, directory)
    t.callback(lambda: [os.unlink(directory + "/" + name) for name in os.listdir(directory)])
    worker = cgroup.worker(open_sockets, directory, new_netns=True)
    worker.run()
    return cgroup, worker


def test_sockets__are_the_namespaces(t):
    cgroup, worker = socket_worker(t)
    agent = t.agent("--enable_metrics=+tcp,+udp,+advtcp")
    agent.knows(cgroup.path)
    wait_for(lambda: agent.metrics().all("container_network_advance_tcp_stats_total", id=cgroup.path), by_speed(10, 60), "sockets of the namespace")
    agent.wait_ticks(3)
    metrics = agent.metrics()
    equal(by(metrics, "container_network_tcp_usage_total", "tcp_state", cgroup.path), proc_states(worker.pid, "tcp"), "TCP")
    equal(by(metrics, "container_network_tcp6_usage_total", "tcp_state", cgroup.path), proc_states(worker.pid, "tcp6"), "TCP6")
    udp = by(metrics, "container_network_udp_usage_total", "udp_state", cgroup.path)
    equal(udp, proc_udp(worker.pid), "UDP")
    assert udp["dropped"] > 0 and udp["rxqueued"] > 0 and udp["listen"] == 1, udp
    advanced, file = by(metrics, "container_network_advance_tcp_stats_total", "tcp_state", cgroup.path), proc_pairs(worker.pid)
    equal(len(advanced), 99, "advanced numbers")
    equal({k: v for k, v in advanced.items() if k in file}, {k: v for k, v in file.items() if k in advanced}, "advanced numbers")
    assert advanced["activeopens"] == 3 and advanced["passiveopens"] == 3, advanced
    network = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["network"]
    equal({k.lower(): v for k, v in network["tcp"].items()}, proc_states(worker.pid, "tcp"), "network.tcp in JSON")
    equal({k.lower(): v for k, v in network["udp"].items()}, proc_udp(worker.pid), "network.udp in JSON")
    equal(network["tcp_advanced"]["ActiveOpens"], 3, "network.tcp_advanced in JSON")
    # The machine's own, which the worker's are not: there are servers, the agent's among them.
    host = by(metrics, "container_network_tcp_usage_total", "tcp_state", "/")
    assert host["listen"] >= 1 and host["listen"] == proc_states(1, "tcp")["listen"], host
    # Who shares the machine's namespace has none of its own.
    inside = t.cgroup()
    inside.worker(time.sleep, 0)
    agent.knows(inside.path)
    agent.wait_ticks(2)
    equal(agent.metrics().all("container_network_tcp_usage_total", id=inside.path), [], "of the machine's namespace")


def test_processes__descriptors_sockets_and_limits(t):
    cgroup, worker = socket_worker(t)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (777, 1234))
    agent = t.agent("--enable_metrics=+process")
    agent.knows(cgroup.path)
    wait_for(lambda: agent.metrics().sum("container_file_descriptors", id=cgroup.path), by_speed(10, 60), "descriptors")
    metrics = agent.fresh()
    links = [os.readlink("/proc/%d/fd/%s" % (worker.pid, fd)) for fd in os.listdir("/proc/%d/fd" % worker.pid)]
    equal(metrics.get("container_file_descriptors", id=cgroup.path), len(links), "descriptors")
    equal(metrics.get("container_sockets", id=cgroup.path), sum(link.startswith("socket:[") for link in links), "sockets")
    equal(metrics.get("container_ulimits_soft", id=cgroup.path, ulimit="max_open_files"), 777, "soft limit")
    equal(metrics.get("container_processes", id=cgroup.path), 1, "processes") if agent.has_kernel_side() else None
    processes = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["processes"]
    equal((processes["fd_count"], processes["ulimits"]), (len(links), [{"name": "max_open_files", "soft_limit": 777, "hard_limit": 1234}]), "JSON")
    # None by default.
    plain = t.agent().fresh()
    for family in ("container_file_descriptors", "container_sockets", "container_ulimits_soft", "container_processes", "container_threads"):
        equal(plain.all(family), [], "by default: " + family)
    equal(plain.get("cgmeter_dear_jobs"), 0, "dear readings by default")


def touch(size):
    memory = mmap.mmap(-1, size)
    memory[:] = b"x" * size
    kept.append(memory)
    return True


def test_referenced__what_was_touched(t):
    cgroup = t.cgroup()
    worker = cgroup.worker(touch, 32 * MIB)
    worker.run()
    agent = t.agent("--enable_metrics=+referenced_memory")
    agent.knows(cgroup.path)
    wait_for(lambda: agent.metrics().sum("container_referenced_bytes", id=cgroup.path), by_speed(10, 60), "referenced memory")
    value = agent.fresh().get("container_referenced_bytes", id=cgroup.path)
    file = next(int(line.split()[1]) for line in read("/proc/%d/smaps_rollup" % worker.pid).splitlines() if line.startswith("Referenced:"))
    near(value, file * 1024, absolute=MIB, what="referenced")  # the kernel ages pages meanwhile
    assert value >= 32 * MIB, value
    near(agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["referenced_memory"], value, absolute=MIB, what="JSON")
    agent.stop()
    # Reset after each reading: what the worker does not touch is referenced no more.
    agent = t.agent("--enable_metrics=+referenced_memory", "--referenced_reset_interval=1")
    agent.knows(cgroup.path)

    def is_reset():
        # 0 where nothing of what it maps is touched by others either.
        values = [value for _, value in agent.metrics().all("container_referenced_bytes", id=cgroup.path)]
        return values and sum(values) < 16 * MIB
    wait_for(is_reset, by_speed(15, 60), "reset")


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    for _ in range(50):
        time.sleep(0.001)
    return time.process_time()


def test_perf__software_events(t):
    config = tempfile.NamedTemporaryFile("w", suffix=".json")
    t.callback(config.close)
    json.dump({"core": {"events": ["cpu-clock", ["context-switches", "PERF_COUNT_SW_PAGE_FAULTS"], "clock-by-number"],
                        "custom_events": [{"type": 1, "config": ["0x0"], "name": "clock-by-number"}]}}, config)
    config.flush()
    above = t.cgroup()
    cgroup = t.cgroup(above, "inside")
    worker = cgroup.worker(burn, by_speed(0.5, 2))
    agent = t.agent("--perf_events_config=" + config.name)
    agent.knows(cgroup.path)
    wait_for(lambda: agent.metrics().get("cgmeter_dear_readings_total") > 20, by_speed(10, 60), "readings")
    if agent.metrics().get("cgmeter_perf_left_out"):
        raise Skip("perf events of cgroups: " + "; ".join(line for line in agent.log().splitlines() if "perf" in line))
    before, cpu = worker.switches(), cgroup.cpu_ns()
    worker.run()
    agent.wait_ticks(3)
    metrics = agent.metrics()
    burnt = (cgroup.cpu_ns() - cpu) / 1e9
    clock = metrics.sum("container_perf_events_total", id=cgroup.path, event="cpu-clock") / 1e9
    note("%.3f s by perf, %.3f s by cpuacct" % (clock, burnt))
    near(clock, burnt, relative=0.05, absolute=0.02, what="cpu-clock against the cgroup's CPU time")
    near(metrics.sum("container_perf_events_total", id=cgroup.path, event="clock-by-number") / 1e9, clock, relative=0.02, absolute=0.01, what="custom event")
    switches = sum(worker.switches()) - sum(before)
    near(metrics.sum("container_perf_events_total", id=cgroup.path, event="context-switches"), switches, absolute=5, relative=0.1, what="switches")
    equal(metrics.sum("container_perf_events_total", id=above.path, event="context-switches"),
          metrics.sum("container_perf_events_total", id=cgroup.path, event="context-switches"), "counted with those below")
    equal({value for _, value in metrics.all("container_perf_events_scaling_ratio", id=cgroup.path, event="cpu-clock")}, {1}, "ratio")
    stats = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["perf_stats"]
    equal({s["name"] for s in stats}, {"cpu-clock", "context-switches", "PERF_COUNT_SW_PAGE_FAULTS", "clock-by-number"}, "perf_stats in JSON")


def test_perf__a_bad_configuration_is_named(t):
    config = tempfile.NamedTemporaryFile("w", suffix=".json")
    t.callback(config.close)
    config.write('{"core": {"events": ["INST_RETIRED.ANY"]}}')
    config.flush()
    try:
        t.agent("--perf_events_config=" + config.name)
    except AssertionError as error:
        assert "INST_RETIRED.ANY" in str(error), error
        return
    raise AssertionError("the agent started")


def test_hugetlb__usage(t):
    if not trees.v2:
        raise Skip("the hugetlb controller for cgroups of ours (cgroup v2 alone, here it is %s)" % trees.mode)
    size = next((name for name in os.listdir("/sys/kernel/mm/hugepages") if name == "hugepages-2048kB"), None) if os.path.isdir("/sys/kernel/mm/hugepages") else None
    if not size:
        raise Skip("huge pages of 2 MB")
    ignore((2, 22, 95), write, trees.mounts["unified"] + "/cgroup.subtree_control", "+hugetlb")
    cgroup = t.cgroup()
    if not os.path.exists(cgroup.dirs["unified"] + "/hugetlb.2MB.current"):
        raise Skip("the hugetlb controller")
    pages = "/sys/kernel/mm/hugepages/%s/nr_hugepages" % size
    was = read(pages)
    write(pages, int(was) + 8)
    t.callback(write, pages, was)
    if int(read(pages)) < int(was) + 4:
        raise Skip("four free huge pages")
    worker = cgroup.worker(map_huge, 4)
    worker.run()
    agent = t.agent("--enable_metrics=+hugetlb")
    agent.knows(cgroup.path)
    wait_for(lambda: agent.metrics().sum("container_hugetlb_usage_bytes", id=cgroup.path, pagesize="2MB"), by_speed(10, 60), "huge pages")
    metrics = agent.fresh()
    file = int(read(cgroup.dirs["unified"] + "/hugetlb.2MB.rsvd.current"))
    equal(metrics.get("container_hugetlb_usage_bytes", id=cgroup.path, pagesize="2MB"), file, "usage")
    equal(file, 8 * MIB, "four pages")
    equal(metrics.get("container_hugetlb_failcnt", id=cgroup.path, pagesize="2MB"), 0, "failcnt")
    equal(metrics.all("container_hugetlb_max_usage_bytes", id=cgroup.path), [], "v2 has no maximum")
    container = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)
    equal((container["spec"]["has_hugetlb"], container["stats"][0]["hugetlb"]["2MB"]), (True, {"usage": file, "failcnt": 0}), "JSON")


def map_huge(pages):
    memory = mmap.mmap(-1, pages * 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)  # MAP_HUGETLB
    for page in range(pages):
        memory[page * 2 * MIB] = 1
    kept.append(memory)
    return True


def test_cpuset__memory_migrate(t):
    if "cpuset" not in trees.mounts:
        raise Skip("the cpuset controller of cgroup v1")
    cgroup = t.cgroup()
    agent = t.agent("--bpf=off", "--enable_metrics=+cpuset")
    agent.knows(cgroup.path)
    equal(agent.fresh().get("container_memory_migrate", id=cgroup.path), 0, "as the kernel begins")
    agent.stop()
    write(cgroup.file("cpuset", "cpuset.memory_migrate"), 1)
    agent = t.agent("--bpf=off", "--enable_metrics=+cpuset")
    agent.knows(cgroup.path)
    equal(agent.fresh().get("container_memory_migrate", id=cgroup.path), 1, "container_memory_migrate")
    equal(agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["cpuset"], {"memory_migrate": 1}, "JSON")


def test_topology__is_sysfs(t):
    metrics = t.agent("--bpf=off", "--enable_metrics=+cpu_topology").metrics()
    cpus = [name for name in os.listdir("/sys/devices/system/cpu") if name.startswith("cpu") and name[3:].isdigit()
            and os.path.exists("/sys/devices/system/cpu/%s/topology/core_id" % name)]
    equal({labels["thread_id"] for labels, _ in metrics.all("machine_thread_siblings_count")}, {name[3:] for name in cpus}, "threads")
    for labels, value in metrics.all("machine_thread_siblings_count"):
        siblings = read("/sys/devices/system/cpu/cpu%s/topology/thread_siblings_list" % labels["thread_id"]).strip()
        count = sum(int(p.split("-")[-1]) - int(p.split("-")[0]) + 1 for p in siblings.split(","))
        equal(value, count, "siblings of " + labels["thread_id"])
    for labels, value in metrics.all("machine_node_memory_capacity_bytes"):
        path = "/sys/devices/system/node/node%s/meminfo" % labels["node_id"]
        if os.path.exists(path):
            equal(value, next(int(line.split()[3]) * 1024 for line in read(path).splitlines() if "MemTotal" in line), "memory of a node")


lib.main(globals())
