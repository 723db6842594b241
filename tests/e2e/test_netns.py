#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Interfaces of containers by network namespace, against known traffic and the namespace's own /proc/net/dev.

	a, b     namespaces of our own        a.eth0 ===== b.eth0     a veth pair, as a runtime makes them
	one, two cgroups with a process in a;   three: a process in b;   host: a process in the machine's namespace
"""
import os
import socket
import time

import lib
from cgroups import enter_netns, read
from lib import equal

RX, TX = "container_network_receive_bytes_total", "container_network_transmit_bytes_total"
RX_PACKETS, TX_PACKETS = "container_network_receive_packets_total", "container_network_transmit_packets_total"
DATAGRAMS, SIZE = 200, 1000
HEADERS = 14 + 20 + 8  # Ethernet, IPv4, UDP


def netns(t, tag):
    name = "cgmtest-%d-%s" % (os.getpid(), tag)
    t.command("ip", "netns", "add", name, undo=["ip", "netns", "del", name])
    return name


def in_netns(t, name, *words):
    return t.command("nsenter", "--net=/run/netns/" + name, *words)


def veth(t, a, b, interface="eth0"):
    """A pair of veth interfaces without any traffic but ours: no IPv6, fixed neighbours."""
    try:
        t.command("ip", "link", "add", interface, "netns", a, "type", "veth", "peer", "name", interface, "netns", b)
    except AssertionError as error:
        raise lib.Skip("veth interfaces (%s)" % error) from error
    for name, own, other in ((a, 1, 2), (b, 2, 1)):
        if os.path.exists("/proc/sys/net/ipv6"):
            in_netns(t, name, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/%s/disable_ipv6" % interface)
        in_netns(t, name, "ip", "link", "set", interface, "address", "02:00:00:00:99:0%d" % own)
        in_netns(t, name, "ip", "addr", "add", "10.98.0.%d/24" % own, "dev", interface)
        in_netns(t, name, "ip", "link", "set", interface, "up")
        in_netns(t, name, "ip", "neigh", "replace", "10.98.0.%d" % other, "lladdr", "02:00:00:00:99:0%d" % other, "dev", interface)


def wait_here():
    """The namespace's net/dev, then stay."""
    return read("/proc/self/net/dev")


def send_udp(address, number, size):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(number):
            s.sendto(b"\x42" * size, (address, 5002))


def net_dev(pid, name):
    """(rx bytes, rx packets, rx errors, rx dropped, tx …) of an interface as /proc/PID/net/dev has it."""
    for line in read("/proc/%d/net/dev" % pid).splitlines():
        head, _, rest = line.partition(":")
        if head.strip() == name:
            f = [int(n) for n in rest.split()]
            return tuple(f[0:4] + f[8:12])
    raise AssertionError("no interface " + name)


def interfaces(metrics, path):
    return sorted(labels["interface"] for labels, _ in metrics.all(RX, id=path))


def ours(metrics, path, name="eth0"):
    kinds = ("bytes", "packets", "errors", "packets_dropped")
    return tuple(metrics.get("container_network_%s_%s_total" % (way, kind), id=path, interface=name) for way in ("receive", "transmit") for kind in kinds)


def kept(agent):
    return agent.metrics().get("cgmeter_network_namespaces")


def shown(agent, path, name="eth0"):
    lib.wait_for(lambda: name in interfaces(agent.metrics(), path), lib.by_speed(5, 40), "%s of %s" % (name, path))


def test_netns__known_bytes_by_namespace(t):
    agent = t.agent()
    a, b = netns(t, "a"), netns(t, "b")
    veth(t, a, b)
    before_all = kept(agent)
    one, two, three, host = (t.cgroup() for _ in range(4))
    first = one.worker(send_udp, "10.98.0.2", DATAGRAMS, SIZE, netns=a)
    two.worker(wait_here, netns=a)
    last = three.worker(wait_here, netns=b)
    host.worker(wait_here)
    for cgroup in (one, two, three):
        shown(agent, cgroup.path)
    before = agent.fresh()
    equal(before.get("cgmeter_network_namespaces") - before_all, 2, "namespaces: the two that share one are read once")
    first.run()
    after = agent.fresh()
    wanted = DATAGRAMS * (SIZE + HEADERS)
    for cgroup, bytes_name, packets_name in ((one, TX, TX_PACKETS), (two, TX, TX_PACKETS), (three, RX, RX_PACKETS)):
        for name, value in ((bytes_name, wanted), (packets_name, DATAGRAMS)):
            delta = after.get(name, id=cgroup.path, interface="eth0") - before.get(name, id=cgroup.path, interface="eth0")
            equal(delta, value, "%s of %s" % (name, cgroup.path))
    equal(ours(after, one.path), net_dev(first.pid, "eth0"), "net/dev of the sender")
    equal(ours(after, three.path), net_dev(last.pid, "eth0"), "net/dev of the receiver")
    for cgroup in (one, two, three):
        equal(interfaces(after, cgroup.path), ["eth0"], "interfaces; lo is left out")
    equal(interfaces(after, host.path), [], "a container of the machine's own namespace has none")
    info = agent.json("/api/v1.3/containers" + three.path, num_stats=1)
    equal(info["spec"]["has_network"], True, "spec.has_network")
    network = info["stats"][0]["network"]
    equal([(i["name"], i["rx_bytes"], i["tx_bytes"]) for i in network["interfaces"]],
          [("eth0",) + net_dev(last.pid, "eth0")[::4]], "JSON network.interfaces")
    equal((network["name"], network["rx_bytes"]), ("eth0", after.get(RX, id=three.path, interface="eth0")), "the flat fields")
    info = agent.json("/api/v1.3/containers" + host.path, num_stats=1)
    equal((info["spec"]["has_network"], "network" in info["stats"][0]), (False, False), "JSON of the machine's namespace")


def test_netns__ends_with_its_containers(t):
    """
    A kept socket keeps a namespace and its interfaces alive, so it must be closed in time. one, two: a process each in a namespace that nothing
    else holds; each has a veth pair into b, whose end there vanishes just when the namespace does.
    """
    agent = t.agent()
    b = netns(t, "b")
    containers = []
    for number in (1, 2):
        cgroup = t.cgroup()
        worker = cgroup.worker(wait_here, new_netns=True)
        try:
            t.command("ip", "link", "add", "eth0", "netns", str(worker.pid), "type", "veth", "peer", "name", "peer%d" % number, "netns", b)
        except AssertionError as error:
            raise lib.Skip("veth interfaces (%s)" % error) from error
        containers.append((cgroup, worker))
    (one, worker), (two, _other) = containers
    for cgroup in (one, two):
        shown(agent, cgroup.path)

    def peers():
        return [line.split(":")[1].split("@")[0].strip() for line in in_netns(t, b, "ip", "-o", "link").splitlines() if "peer" in line]
    equal(sorted(peers()), ["peer1", "peer2"], "interfaces in b")
    worker.end()  # its cgroup stays
    lib.wait_for(lambda: peers() == ["peer2"], lib.by_speed(10, 60), "end of the namespace without a process")
    agent.wait_ticks(1)
    equal(interfaces(agent.metrics(), one.path), [], "interfaces of a container without a process")
    equal(interfaces(agent.metrics(), two.path), ["eth0"], "interfaces of the other")
    two.remove()
    lib.wait_for(lambda: not peers(), lib.by_speed(10, 60), "end of the namespace without a container")


def test_netns__found_after_the_process_has_moved(t):
    """A runtime puts its process into the cgroup first and gives it a namespace then."""
    agent = t.agent()
    a = netns(t, "a")
    b = netns(t, "b")
    veth(t, a, b)
    cgroup = t.cgroup()
    worker = cgroup.worker(enter_netns, a)
    agent.knows(cgroup.path)
    agent.wait_ticks(1)
    equal(interfaces(agent.metrics(), cgroup.path), [], "before")
    worker.run()
    shown(agent, cgroup.path)
    # And on into another one: the interfaces are that one's.
    in_netns(t, b, "ip", "link", "set", "eth0", "down")  # before 6.2 an interface that is up cannot be renamed
    in_netns(t, b, "ip", "link", "set", "eth0", "name", "net1")
    mover = cgroup.worker(wait_here, netns=b)
    worker.end()
    shown(agent, cgroup.path, "net1")
    equal(interfaces(agent.metrics(), cgroup.path), ["net1"], "interfaces after the move")
    in_netns(t, b, "ip", "link", "set", "net1", "name", "net2")
    shown(agent, cgroup.path, "net2")
    in_netns(t, b, "ip", "link", "add", "net3", "type", "veth", "peer", "name", "net4")
    shown(agent, cgroup.path, "net3")
    in_netns(t, b, "ip", "link", "del", "net3")
    lib.wait_for(lambda: interfaces(agent.metrics(), cgroup.path) == ["net2"], lib.by_speed(5, 40), "end of net3 and net4")
    equal(ours(agent.metrics(), cgroup.path, "net2"), net_dev(mover.pid, "net2"), "net/dev")


def test_netns__limit_is_said(t):
    agent = t.agent("--max_network_namespaces=1")
    a, b = netns(t, "a"), netns(t, "b")
    veth(t, a, b)
    cgroups = [t.cgroup(), t.cgroup()]
    for cgroup, name in zip(cgroups, (a, b)):
        cgroup.worker(wait_here, netns=name)
    lib.wait_for(lambda: agent.metrics().get("cgmeter_network_namespaces_left_out") >= 1, lib.by_speed(5, 40), "left out")
    equal(kept(agent), 1, "namespaces kept")
    assert "left out" in agent.log(), agent.log()
    equal(len([c for c in cgroups if interfaces(agent.metrics(), c.path)]) <= 1, True, "one at most is read")


def test_netns__off(t):
    agent = t.agent("--max_network_namespaces=0")
    a, b = netns(t, "a"), netns(t, "b")
    veth(t, a, b)
    cgroup = t.cgroup()
    cgroup.worker(wait_here, netns=a)
    agent.knows(cgroup.path)
    agent.wait_ticks(3)
    equal((kept(agent), interfaces(agent.metrics(), cgroup.path)), (0, []), "namespaces, interfaces")


def test_netns__counts_to_the_end_of_a_container(t):
    """What was sent after the last tick, by who has ended before the next one, through a namespace that nobody else holds open but the agent."""
    agent = t.bpf_agent(groups=("cgroup_notify_populated",))
    a, b = netns(t, "a"), netns(t, "b")
    veth(t, a, b)
    container = t.cgroup(t.cgroup(), "%064x" % 15)
    worker = container.worker(send_udp, "10.98.0.2", DATAGRAMS, SIZE, netns=a)
    shown(agent, container.path)
    before = agent.fresh().get(TX, id=container.path, interface="eth0")
    worker.run()
    container.kill()
    time.sleep(lib.by_speed(0.1, 0.5))  # a runtime has things to do, too
    container.remove()
    m = lib.wait_for(lambda: (lambda m: not m.all("container_memory_usage_bytes", id=container.path) and m.all("container_last_seen", id=container.path) and m)(agent.fresh()),
                     lib.by_speed(5, 60), "row of what has ended")
    equal(m.get(TX, id=container.path, interface="eth0") - before, DATAGRAMS * (SIZE + HEADERS), "bytes sent")


lib.main(globals())
