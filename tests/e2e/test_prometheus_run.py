#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What Debian's Prometheus says of us: its linter, and a server that scrapes an agent for minutes while containers work, come and go.
CGM_PROMETHEUS_SECONDS=300.
"""
import glob
import os
import re
import socket
import subprocess
import time

import lib
from burn import burn, last_cpu
from cgroups import read
from disk import MIB, Loop, direct
from lib import equal, near, note
from prometheus import Prometheus
from servers import need

SECONDS = int(os.environ.get("CGM_PROMETHEUS_SECONDS", "300"))
INTERVAL = 5
CHUNK = 256 * 1024  # of a write
SENT = 32 * 1024  # fits into the socket's buffer
# Families of cAdvisor's that the linter would name otherwise. Dashboards ask for them as they are.
KEPT = {
    "cadvisor_version_info": "snake_case",
    "container_cpu_load_d_average_10s": "abbreviated units",
    "container_fs_inodes_total": '"_total" suffix',
    "container_memory_failcnt": '"_total" suffix',
    "container_network_advance_tcp_stats_total": '"_total" suffix',
    "container_network_tcp_usage_total": '"_total" suffix',
    "container_network_tcp6_usage_total": '"_total" suffix',
    "container_network_udp_usage_total": '"_total" suffix',
    "container_network_udp6_usage_total": '"_total" suffix',
    "machine_node_hugepages_count": '"_count" suffix',
    "machine_thread_siblings_count": '"_count" suffix',
}


def test_promtool__names_only_what_is_cadvisors(t):
    need("promtool")
    agent = t.agent("--disable_metrics=", "--enable_metrics=+syscall,+lock")
    agent.wait_ticks(2)
    body = agent.get("/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=body, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    remarks = done.stdout.decode().splitlines()
    equal([line for line in remarks if KEPT.get(line.split(" ")[0], "\n") not in line], [], "remarks that are not expected")
    told = {line.split(" ")[0] for line in remarks}
    equal(sorted(set(KEPT) - told), [], "names that nothing is said of any more")


def work(device, cpu):
    direct(device, 4 * MIB, CHUNK, True)
    burn(cpu, 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
        client.sendall(b"x" * SENT)
        peer.recv(SENT, socket.MSG_WAITALL)


def switches_of_init():
    """Times that a thread of PID 1 left a CPU."""
    total = 0
    for path in glob.glob("/proc/1/task/*/status"):
        try:
            total += sum(map(int, re.findall(r"ctxt_switches:\s*(\d+)", read(path))))
        except OSError:  # it has ended
            pass
    return total


def own_count(prometheus, name):
    """Of the server's own numbers."""
    found = re.findall(r"^%s(?:\{[^}]*\})? (\S+)$" % name, prometheus.get("/metrics").decode(), re.M)
    assert found, "Prometheus has no %s" % name
    return sum(map(float, found))


def test_server__scrapes_for_minutes_without_a_warning(t):
    agent = t.bpf_agent(groups=("sched_switch", "block_rq_complete", "sock_send|fx_send4"))
    loop, cgroup = Loop(t, 16), t.cgroup()
    worker = cgroup.worker(work, loop.device, last_cpu())
    prometheus = Prometheus(t, agent, "--enable-feature=native-histograms", interval="%ds" % INTERVAL)
    # What the worker did before it stood in the cgroup is not the cgroup's; at most all that it did until now.
    first_switches, first_waits, first_hidden = sum(worker.switches()), worker.schedstat()[2], switches_of_init()
    began, rounds, bytes_before = time.monotonic(), 0, loop.stat()[3]
    while time.monotonic() < began + SECONDS:
        visitor = t.cgroup()
        worker.run()
        visitor.remove()
        rounds += 1
        time.sleep(2)
    stood_still = time.time()
    lib.wait_for(lambda: prometheus.number('timestamp(container_memory_usage_bytes{id="%s"})' % cgroup.path) > stood_still + 3,
                 30, "a scrape of what stands still")
    chosen = '{id="%s"}' % cgroup.path
    on_disk = '{id="%s",device="%s"%%s}' % (cgroup.path, loop.device)
    written = loop.stat()[3] - bytes_before
    near(prometheus.number("sum(container_cpu_usage_seconds_total%s)" % chosen), cgroup.cpu_ns() / 1e9, absolute=0.011, what="CPU time")
    usage, inactive = cgroup.memory_bytes(), cgroup.memory_stat("total_inactive_file", "inactive_file")
    near(prometheus.number("container_memory_usage_bytes" + chosen), usage, absolute=64 * 4096, what="memory")
    near(prometheus.number("container_memory_working_set_bytes" + chosen), max(0, usage - inactive), absolute=64 * 4096, what="working set")
    # Of some ends no program is told; such a request seems to be at the driver until its place is used anew (bpf/block.bpf.c, end_unseen()).
    unseen = CHUNK * prometheus.number("cgmeter_container_block_in_flight" + on_disk % ',operation="write"')
    equal(prometheus.number("container_fs_writes_bytes_total" + on_disk % "") + unseen, written, "bytes written, the loop device's own count")
    equal(prometheus.number("cgmeter_container_block_bytes_total" + on_disk % ',operation="write"') + unseen, written, "the same of our own family")
    equal(prometheus.number('cgmeter_container_socket_bytes_total{id="%s",protocol="tcp",direction="transmit"}' % cgroup.path), rounds * SENT, "bytes sent")
    # Some kernels of sandboxes tell programs of nothing that the threads of PID 1 do: the switch from one of them to the worker is among that.
    last_waits = worker.schedstat()[2]
    hidden = min(switches_of_init() - first_hidden, 0.03 * last_waits)
    for name, first, last, lost in (("slice", first_switches, sum(worker.switches()), 0), ("runqueue_delay", first_waits, last_waits, hidden)):
        count = prometheus.number("histogram_count(sum(cgmeter_container_cpu_%s_seconds%s))" % (name, chosen))
        assert last - lost - first - 2 <= count <= last + 2, "%s: %s, the worker's own: %s, %s of them at its start" % (name, count, last, first)
    window = "%ds" % (SECONDS - INTERVAL)
    equal(prometheus.number("min_over_time(up[%s])" % window), 1, "the target, all the time")
    note("%d rounds, %g scrapes" % (rounds, prometheus.number("count_over_time(up[%s])" % window)))
    for name in ("scrapes_sample_duplicate_timestamp", "scrapes_sample_out_of_bounds", "scrapes_sample_out_of_order", "scrapes_exceeded_sample_limit"):
        equal(own_count(prometheus, "prometheus_target_%s_total" % name), 0, name)
    equal(re.findall(r"^.*level=(?:warn|error).*$", prometheus.log(), re.M | re.I), [], "warnings in its log")


if __name__ == "__main__":
    lib.main(globals())
