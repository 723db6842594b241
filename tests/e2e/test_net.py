#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Socket traffic and TCP events in network namespaces of our own, against known amounts and the namespace's own /proc/net."""
import os
import socket
import struct
import subprocess
import time

import lib
from cgroups import read
from lib import equal

MIB = 1 << 20
BYTES = "cgmeter_container_socket_bytes_total"
CALLS = "cgmeter_container_socket_calls_total"
CONNECTS = "cgmeter_container_tcp_connects_total"
RESETS = "cgmeter_container_tcp_resets_total"
CLOSED_PORT = 9
HOST_PORT = 20000 + os.getpid() % 10000


class Netns:
    def __init__(self, t, tag):
        self.name = "cgmtest-%d-%s" % (os.getpid(), tag)
        t.command("ip", "netns", "add", self.name, undo=["ip", "netns", "del", self.name])
        self.command(t, "ip", "link", "set", "lo", "up")

    def command(self, t, *words):
        # nsenter, for "ip netns exec" mounts another /sys.
        return t.command("nsenter", "--net=/run/netns/" + self.name, *words)


def snmp(pid, table):
    """A table of /proc/PID/net/snmp, of the network namespace of that process."""
    heads, values = [line.split()[1:] for line in read("/proc/%d/net/snmp" % pid).splitlines() if line.startswith(table + ":")]
    return dict(zip(heads, map(int, values)))


def interface_bytes(pid, name):
    """(received, transmitted) of an interface, headers included."""
    for line in read("/proc/%d/net/dev" % pid).splitlines():
        head, _, rest = line.partition(":")
        if head.strip() == name:
            return int(rest.split()[0]), int(rest.split()[8])
    raise AssertionError("no interface " + name)


def linger_off(s):
    """close() sends a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# What workers do. The port is known beforehand: each namespace has all of them for itself.

def serve_tcp(address, connections):
    """Accepts and reads to the end; the bytes received. A reset is an end too."""
    total = 0
    with socket.create_server((address, 5001), backlog=128) as server:
        for _ in range(connections):
            s, _peer = server.accept()
            with s:
                try:
                    while data := s.recv(65536):
                        total += len(data)
                except ConnectionResetError:
                    pass
    return total


def connect(address):
    end = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection((address, 5001))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def send_tcp(address, size):
    with connect(address) as s:
        sent = 0
        while sent < size:
            sent += s.send(b"\x42" * min(65536, size - sent))


def open_and_close(address, port, times, reset):
    """How many were established."""
    done = 0
    for _ in range(times):
        try:
            s = socket.create_connection((address, port))
        except ConnectionRefusedError:
            continue
        done += 1
        if reset:
            linger_off(s)
        s.close()
    return done


def udp_to_self(datagrams, size):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        b.bind(("127.0.0.1", 0))
        a.connect(b.getsockname())
        for _ in range(datagrams):
            a.send(b"\x42" * size)
            b.recv(65536, socket.MSG_PEEK)  # looked at, not taken: not to be counted
            b.recv(65536)


def unix_pair(messages, size):
    a, b = socket.socketpair()
    with a, b:
        for _ in range(messages):
            a.sendall(b"\x42" * size)
            got = 0
            while got < size:
                got += len(b.recv(size - got))


def wait_listening(pid):
    lib.wait_for(lambda: any(line.split()[3] == "0A" for line in read("/proc/%d/net/tcp" % pid).splitlines()[1:]), 30, "listening socket")


def pair(t, agent, netns_server, netns_client, address, size, connections=1):
    server_cgroup, client_cgroup = t.cgroup(), t.cgroup()
    server = server_cgroup.worker(serve_tcp, address, connections, netns=netns_server.name)
    client = client_cgroup.worker(send_tcp, address, size, netns=netns_client.name)
    for cgroup in (server_cgroup, client_cgroup):
        agent.knows(cgroup.path)
    return server, client, server_cgroup, client_cgroup


def test_net__tcp_over_loopback_is_exact(t):
    agent = t.bpf_agent(groups=["sock_send|fx_send4", "sock_recv|fx_recv4"])
    netns = Netns(t, "lo")
    server, client, to, of = pair(t, agent, netns, netns, "127.0.0.1", 8 * MIB)
    server.go()
    wait_listening(server.pid)
    client.run()
    equal(server.result(), 8 * MIB, "the transfer itself")
    metrics = agent.fresh()
    equal(metrics.get(BYTES, id=of.path, protocol="tcp", direction="transmit"), 8 * MIB, "sent")
    equal(metrics.get(BYTES, id=to.path, protocol="tcp", direction="receive"), 8 * MIB, "received")
    equal(metrics.get(BYTES, id=of.path, protocol="tcp", direction="receive"), 0, "received by the sender")
    equal(metrics.get(CALLS, id=of.path, protocol="tcp", direction="transmit"), 8 * MIB // 65536, "send calls")
    received, sent = interface_bytes(server.pid, "lo")
    assert 8 * MIB <= received == sent, "lo: %d received, %d sent" % (received, sent)


def test_net__tcp_over_a_veth_pair(t):
    agent = t.bpf_agent(groups=["sock_send|fx_send4", "sock_recv|fx_recv4"])
    a, b = Netns(t, "a"), Netns(t, "b")
    try:
        t.command("ip", "link", "add", "cgmt0", "netns", a.name, "type", "veth", "peer", "name", "cgmt0", "netns", b.name)
    except AssertionError as error:
        raise lib.Skip("veth interfaces (%s)" % error) from error
    for netns, address in ((a, "10.99.0.1/24"), (b, "10.99.0.2/24")):
        netns.command(t, "ip", "addr", "add", address, "dev", "cgmt0")
        netns.command(t, "ip", "link", "set", "cgmt0", "up")
    server, client, to, of = pair(t, agent, a, b, "10.99.0.1", 4 * MIB)
    server.go()
    wait_listening(server.pid)
    client.run()
    equal(server.result(), 4 * MIB, "the transfer itself")
    metrics = agent.fresh()
    sent = metrics.get(BYTES, id=of.path, protocol="tcp", direction="transmit")
    received = metrics.get(BYTES, id=to.path, protocol="tcp", direction="receive")
    equal((sent, received), (4 * MIB, 4 * MIB), "payload")
    wire = interface_bytes(client.pid, "cgmt0")[1]
    # Headers: at most 14 + 20 + 60 bytes for 1,400 of payload; large segments make them fewer.
    assert sent <= wire <= sent * 1.08 + 4096, "payload %d, on the wire %d" % (sent, wire)


def serve_once():
    """On a port of the machine's own network; the bytes received."""
    with socket.create_server(("127.0.0.1", HOST_PORT)) as server:
        s, _peer = server.accept()
        total = 0
        with s:
            while data := s.recv(65536):
                total += len(data)
    return total


def send_once(size):
    end = time.monotonic() + 30
    while True:
        try:
            s = socket.create_connection(("127.0.0.1", HOST_PORT))
            break
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    with s:
        s.sendall(b"\x42" * size)


def test_net__containers_on_the_hosts_network(t):
    """
    one, two   containers without a network namespace of their own: all interfaces are shared, so no counter of an interface can tell
               whose bytes they were; cAdvisor has nothing, or the whole machine's for each. Sockets have owners.
    """
    agent = t.bpf_agent(groups=["sock_send|fx_send4", "sock_recv|fx_recv4"])
    one, two = t.cgroup(), t.cgroup()
    server, client = two.worker(serve_once), one.worker(send_once, 6 * MIB)
    for cgroup in (one, two):
        agent.knows(cgroup.path)
    equal(os.stat("/proc/%d/ns/net" % client.pid).st_ino, os.stat("/proc/self/ns/net").st_ino, "namespace of the client")
    server.go()
    client.run()
    equal(server.result(), 6 * MIB, "the transfer itself")
    metrics = agent.fresh()
    for cgroup, sent, received in ((one, 6 * MIB, 0), (two, 0, 6 * MIB)):
        equal((metrics.get(BYTES, id=cgroup.path, protocol="tcp", direction="transmit"),
               metrics.get(BYTES, id=cgroup.path, protocol="tcp", direction="receive")), (sent, received), "sent, received of " + cgroup.path)
        equal(metrics.all("container_network_receive_bytes_total", id=cgroup.path), [], "interfaces of " + cgroup.path)


def test_net__udp_and_unix_are_exact(t):
    agent = t.bpf_agent(groups=["sock_send|fx_send4", "sock_recv|fx_recv4"])
    netns = Netns(t, "udp")
    cgroup = t.cgroup()
    udp = cgroup.worker(udp_to_self, 200, 1000, netns=netns.name)
    unix = cgroup.worker(unix_pair, 100, 3000, netns=netns.name)
    agent.knows(cgroup.path)
    udp.run()
    unix.run()
    metrics = agent.fresh()
    for protocol, number, size in (("udp", 200, 1000), ("unix", 100, 3000)):
        for direction in ("transmit", "receive"):
            labels = {"id": cgroup.path, "protocol": protocol, "direction": direction}
            equal(metrics.get(BYTES, **labels), number * size, "%s %s bytes" % (protocol, direction))
        equal(metrics.get(CALLS, id=cgroup.path, protocol=protocol, direction="transmit"), number, protocol + " send calls")


def test_net__retransmits_are_the_namespaces(t):
    agent = t.bpf_agent(groups=["tcp_retransmit"])
    netns = Netns(t, "loss")
    subprocess.run(["modprobe", "-q", "sch_netem"], check=False)
    try:
        netns.command(t, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "3%")
    except AssertionError as error:
        try:
            netns.command(t, "iptables", "-A", "INPUT", "-p", "tcp", "-m", "statistic", "--mode", "random", "--probability", "0.03", "-j", "DROP")
        except (AssertionError, OSError):
            raise lib.Skip("packet loss by netem or iptables (%s)" % error) from error
    server, client, to, of = pair(t, agent, netns, netns, "127.0.0.1", 16 * MIB)
    before = snmp(server.pid, "Tcp")["RetransSegs"]
    server.go()
    wait_listening(server.pid)
    client.run()
    equal(server.result(), 16 * MIB, "the transfer itself")

    # A lost FIN is still sent again after both have gone.
    def settled():
        now = snmp(server.pid, "Tcp")["RetransSegs"]
        time.sleep(1.5)
        return snmp(server.pid, "Tcp")["RetransSegs"] == now
    lib.wait_for(settled, 60, "end of the retransmissions")
    kernel = snmp(server.pid, "Tcp")["RetransSegs"] - before
    assert kernel > 0, "nothing was lost"
    metrics = agent.fresh()
    ours = sum(metrics.get("cgmeter_container_tcp_retransmitted_segments_total", id=c.path) for c in (to, of))
    equal(ours, kernel, "retransmitted segments")


def test_net__connects_accepts_and_resets_are_the_namespaces(t):
    agent = t.bpf_agent(groups=["inet_sock_set", "tcp_send_reset", "tcp_receive_re"])
    netns = Netns(t, "conn")
    to, of = t.cgroup(), t.cgroup()
    server = to.worker(serve_tcp, "127.0.0.1", 12, netns=netns.name)
    clients = [of.worker(open_and_close, "127.0.0.1", port, times, reset, netns=netns.name)
               for port, times, reset in ((5001, 7, True), (5001, 5, False), (CLOSED_PORT, 3, False))]
    for cgroup in (to, of):
        agent.knows(cgroup.path)
    before = snmp(server.pid, "Tcp")
    server.go()
    wait_listening(server.pid)
    equal([client.run() for client in clients], [7, 5, 0], "connections")
    server.result()
    metrics = agent.fresh()
    delta = {key: value - before[key] for key, value in snmp(server.pid, "Tcp").items()}
    established = metrics.get(CONNECTS, id=of.path, result="established")
    failed = metrics.get(CONNECTS, id=of.path, result="failed")
    equal((established, failed), (12, 3), "established, failed")
    equal((established + failed, failed), (delta["ActiveOpens"], delta["AttemptFails"]), "against ActiveOpens, AttemptFails")
    equal(metrics.get("cgmeter_container_tcp_accepts_total", id=to.path), delta["PassiveOpens"], "accepts against PassiveOpens")
    equal(metrics.get(RESETS, id=of.path, direction="transmit"), 7, "resets sent by the client")
    # The other resets of the namespace are answers that no socket sent: the closed port's three, now and then one to a connection
    # that has ended already.
    ours = sum(metrics.get(RESETS, id=c.path, direction="transmit") for c in (of, to))
    lib.note("OutRsts %d, of these by sockets %d" % (delta["OutRsts"], ours))
    assert ours + 3 <= delta["OutRsts"], "resets sent: %d by sockets, all in all %d" % (ours, delta["OutRsts"])
    equal(metrics.get(RESETS, id=to.path, direction="receive"), 7, "resets received by the server")
    equal(metrics.get(RESETS, id=of.path, direction="receive"), 3, "resets received from the closed port")


def hold_sockets(seconds):
    """Listens, and is connected to itself; so many UDP sockets beside."""
    server = socket.create_server(("127.0.0.1", 0), backlog=7)
    client = socket.create_connection(server.getsockname())
    peer, _ = server.accept()
    udp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for _ in range(10):
        client.sendall(b"ping")
        peer.recv(4)
    time.sleep(seconds)
    for s in udp + [client, peer, server]:
        s.close()
    return "done"


def test_net__sockets_and_connections(t):
    """What the walk over sockets finds, what connections leave behind; and a parent has its children's."""
    agent = t.bpf_agent("--sockets_interval=100ms", groups=["task_file", "cgm_tcp_life"])
    netns = Netns(t, "held")
    cgroup = t.cgroup()
    worker = cgroup.worker(hold_sockets, 3, netns=netns.name)
    agent.knows(cgroup.path)
    worker.go()
    wait_listening(worker.pid)
    time.sleep(1)
    metrics = agent.fresh()
    sockets = "cgmeter_container_sockets"
    equal(metrics.get(sockets, id=cgroup.path, protocol="tcp", state="listen"), 1, "listening")
    equal(metrics.get(sockets, id=cgroup.path, protocol="tcp", state="established"), 2, "established, both ends")
    equal(metrics.get(sockets, id=cgroup.path, protocol="udp", state="open"), 3, "UDP")
    equal(metrics.get("cgmeter_container_tcp_accept_queue_limit", id=cgroup.path), 7, "backlog")
    assert metrics.get(sockets, id="/", protocol="udp", state="open") >= 3
    equal(worker.result(), "done", "the worker")
    metrics = agent.fresh()
    equal(metrics.get("cgmeter_container_tcp_connect_seconds_count", id=cgroup.path), 1, "connects")
    equal(metrics.get("cgmeter_container_tcp_connection_seconds_count", id=cgroup.path), 2, "connections that ended")
    assert metrics.get("cgmeter_container_tcp_rtt_seconds_count", id=cgroup.path) >= 2


lib.main(globals())
