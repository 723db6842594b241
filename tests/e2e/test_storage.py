#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What containers and pods hold on disk: writable layers, logs and volumes of a real dockerd, of podman and of a CRI, against du; and mounts that come and go."""
import os
import subprocess
import tempfile

import containerd
import lib
import runtimes
from agent import by_speed, wait_for
from lib import equal, near

SLEEP = ("sleep", "100000")
MIB = 1 << 20
BLOCK = 4096
OTHERS = ("--docker=", "--podman=", "--containerd=", "--crio=")


def du(path):
    """(bytes, inodes) as allocated; a file with several names once."""
    out = subprocess.run(["du", "-sx", "--block-size=1", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    inodes = subprocess.run(["du", "-sx", "--inodes", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(out.split()[0]), int(inodes.split()[0])


def agent_of(t, runtime, socket, *more):
    return t.agent(*OTHERS, "--%s=%s" % (runtime, socket), "--disk_interval=1s", *more)


def settled(agent, get, want, what, slack=2 * BLOCK):
    """Until what is told is what there is; a measurement is made each second, and looked at as often."""
    seen = []

    def check():
        seen[:] = [get(), want()]
        return seen[0] is not None and abs(seen[0] - seen[1]) <= slack
    wait_for(check, by_speed(12, 90), lambda: "%s: told %s, is %s" % (what, *seen))
    return seen[0]


def path_of(agent, name):
    rows = wait_for(lambda: agent.metrics().all("container_last_seen", name=name), by_speed(10, 90), "a container called " + name)
    return rows[0][0]["id"]


def family(agent, name, **labels):
    rows = agent.metrics().all(name, **labels)
    assert len(rows) <= 1, "%s %s: %s" % (name, labels, rows)
    return rows[0][1] if rows else None


def life_of_files(service, agent, layer_of):
    """20 MiB into the layer, the log and a volume; then away again."""
    container = service.run(*SLEEP, options=("--name", "store", "-v", "pool:/pool", "-v", service.dir + ":/bound"))
    info = service.inspect(container)
    path, layer = path_of(agent, "store"), layer_of(info)
    logs = os.path.dirname(info["LogPath"])
    volume = next(m["Source"] for m in info["Mounts"] if m["Type"] == "volume")

    def usage():
        return family(agent, "container_fs_usage_bytes", id=path)

    def told(name, **labels):
        return family(agent, name, id=path, **labels)
    idle = settled(agent, usage, lambda: du(layer)[0] + du(logs)[0], "an idle container")
    service.exec("store", "dd", "if=/dev/zero", "of=/root/big", "bs=1M", "count=20")
    service.exec("store", "dd", "if=/dev/zero", "of=/pool/big", "bs=1M", "count=20")
    service.exec("store", "sh", "-c", "dd if=/dev/zero bs=1M count=2 | tr '\\0' x | fold -w 1000 > /proc/1/fd/1")
    settled(agent, lambda: told("container_volume_usage_bytes", volume="pool"), lambda: du(volume)[0], "volume")
    settled(agent, lambda: told("container_logs_usage_bytes"), lambda: du(logs)[0], "logs")
    assert told("container_logs_usage_bytes") >= 2 * MIB, "the log is not in it"
    full = settled(agent, usage, lambda: du(layer)[0] + du(logs)[0], "20 MiB in the layer")
    assert full >= idle + 22 * MIB, (idle, full)
    equal(len(agent.metrics().all("container_volume_usage_bytes", id=path)), 1, "volumes: a bind of the machine's directory is none")
    check_rest(agent, path, layer, logs)
    check_families(agent, path, layer)
    service.exec("store", "rm", "/root/big", "/pool/big")
    settled(agent, usage, lambda: du(layer)[0] + du(logs)[0], "after the files are gone")
    assert usage() <= full - 20 * MIB, (usage(), full)
    settled(agent, lambda: told("container_volume_usage_bytes", volume="pool"), lambda: du(volume)[0], "the volume after that")
    return path


def check_rest(agent, path, layer, logs):
    info = agent.json("/api/v1.3/containers" + path)
    equal(info["spec"]["has_filesystem"], True, "has_filesystem")
    (fs,) = info["stats"][-1]["filesystem"]
    near(fs["base_usage"], du(layer)[0], absolute=2 * BLOCK, what="base_usage")
    near(fs["usage"], du(layer)[0] + du(logs)[0], absolute=2 * BLOCK, what="usage")
    equal(fs["inodes"], du(layer)[1], "inodes of the layer")
    where = os.statvfs(layer)
    equal(fs["capacity"], where.f_blocks * where.f_frsize, "capacity")
    equal((fs["type"], fs["reads_completed"]), ("vfs", 0), "type and requests")
    (v2,) = agent.json("/api/v2.1/stats%s?count=1" % path)[path]["stats"]
    equal(v2["filesystem"]["totalUsageBytes"], fs["usage"], "totalUsageBytes")
    equal(v2["filesystem"]["baseUsageBytes"], fs["base_usage"], "baseUsageBytes")
    equal(v2["filesystem"]["containter_inode_usage"], fs["inodes"], "inodes used")
    (shown,) = agent.json("/api/cgmeter/series%s" % path)["filesystems"]
    equal((shown["usage"], shown["inodes"], "inodes_free" in shown), (fs["usage"], fs["inodes"], False), "the page's")


def check_families(agent, path, layer):
    m = agent.metrics()
    where = os.statvfs(layer)
    (labels, limit), = m.all("container_fs_limit_bytes", id=path)
    equal(limit, where.f_blocks * where.f_frsize, "limit")
    equal(m.all("container_fs_inodes_total", id=path)[0][1], du(layer)[1], "inodes used")
    assert m.all("container_fs_inodes_free", id=path)[0][1] > 0, "inodes free"
    # Its requests are told by block device, once for each.
    equal([row for row in m.all("container_fs_reads_total", id=path) if row[0]["device"] == labels["device"] and row[1] == 0], [], "requests of the layer")
    equal(m.get("cgmeter_disk_unplaced"), 0, "layers that are not found")


def test_docker__files_of_a_container(t):
    service = t.enter_context(runtimes.dockerd("--bridge=none", "--iptables=false", "--storage-driver=overlay2"))
    agent = agent_of(t, "docker", "unix://" + service.socket)
    dark = agent_of(t, "docker", "unix://" + service.socket, "--disable_metrics=disk")
    path = life_of_files(service, agent, lambda info: info["GraphDriver"]["Data"]["UpperDir"])
    path_of(dark, "store")
    equal((dark.metrics().get("cgmeter_disk_paths"), dark.metrics().get("cgmeter_disk_entries_total")), (0, 0), "paths and entries when it is off")
    equal("filesystem" in dark.json("/api/v1.3/containers" + path)["stats"][-1], False, "filesystem when it is off")
    assert agent.metrics().get("cgmeter_disk_paths") >= 3, "layer, log and volume"
    service.remove("store")
    wait_for(lambda: agent.metrics().get("cgmeter_disk_paths") == 0, by_speed(10, 90), "an end of the measuring")
    equal(agent.metrics().all("container_fs_usage_bytes", id=path), [], "a container that is gone")
    equal(agent.metrics().get("cgmeter_disk_failed_total"), 0, "measurements that failed")


def test_docker__directories_instead_of_an_overlay(t):
    service = t.enter_context(runtimes.dockerd("--bridge=none", "--iptables=false", "--storage-driver=vfs"))
    agent = agent_of(t, "docker", "unix://" + service.socket)
    service.run(*SLEEP, options=("--name", "flat"))
    path = path_of(agent, "flat")
    mount, = (line.split() for line in open("/proc/%d/mountinfo" % service.inspect("flat")["State"]["Pid"]) if line.split()[4] == "/")
    layer = service.dir + mount[3]
    settled(agent, lambda: agent.json("/api/v1.3/containers" + path)["stats"][-1].get("filesystem", [{}])[0].get("base_usage"), lambda: du(layer)[0], "the whole root")


def test_podman__files_of_a_container(t):
    service = t.enter_context(runtimes.podman_service())
    agent = agent_of(t, "podman", "unix://" + service.socket)
    life_of_files(service, agent, lambda info: info["GraphDriver"]["Data"]["UpperDir"])


# ---- pods ----

UID = "5f2c1f0e-5d7f-4a8f-9d0e-0000000000a1"


def write(path, size):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"x" * size)


def pod_of(agent):
    return next((p for p in agent.json("/stats/summary")["pods"] if p["podRef"]["uid"] == UID), None)


def volumes_of(agent):
    return {v["name"]: v for v in (pod_of(agent) or {}).get("volume", [])}


def used(part):
    return part["usedBytes"] if part else None


def container_of(agent, name="front"):
    return next((c for c in (pod_of(agent) or {}).get("containers", []) if c["name"] == name), {})


def upper_of(pid):
    mount, = (line for line in open("/proc/%d/mountinfo" % pid) if line.split()[4] == "/")
    return next(word[len("upperdir="):] for word in mount.split(" - ")[1].split()[2].split(",") if word.startswith("upperdir="))


def test_pod__layers_logs_volumes_and_their_sum(t):
    c = t.enter_context(containerd.Containerd())
    root = c.folder + "/kubelet"
    agent = agent_of(t, "containerd", c.socket, "--kubelet_root=" + root, "--global_housekeeping_interval=1s")
    kept = "%s/pods/%s" % (root, UID)
    write(kept + "/volumes/kubernetes.io~empty-dir/data/big", 20 * MIB)
    write(kept + "/volumes/kubernetes.io~configmap/settings/a", 10)
    write(kept + "/volumes/kubernetes.io~secret/token/t", 10)
    write(kept + "/etc-hosts", 200)
    os.makedirs(kept + "/volumes/kubernetes.io~empty-dir/fast")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "cgmtest", kept + "/volumes/kubernetes.io~empty-dir/fast"], check=True)
    write(kept + "/volumes/kubernetes.io~empty-dir/fast/f", MIB)
    pod = c.run_pod("web-0", "shop", UID, [("front", ["/bin/busybox", "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=20; sleep 1000"])])
    logs = "%s/logs/%s/front" % (c.folder, UID)
    write(logs + "/0.log.old", MIB)
    pid = int(subprocess.run(["cat", "/sys/fs/cgroup/pids%s/%s/cgroup.procs" % (pod.cgroup, pod.containers["front"])], stdout=subprocess.PIPE, check=True).stdout.split()[0])
    upper = upper_of(pid)
    settled(agent, lambda: used(container_of(agent).get("rootfs")), lambda: du(upper)[0], "rootfs")
    settled(agent, lambda: used(container_of(agent).get("logs")), lambda: du(logs)[0], "logs")
    assert used(container_of(agent)["rootfs"]) >= 20 * MIB and used(container_of(agent)["logs"]) >= MIB, container_of(agent)
    wait_for(lambda: len(volumes_of(agent)) == 4, by_speed(10, 90), lambda: "four volumes: %s" % volumes_of(agent))
    on_disk = {"data": "empty-dir", "settings": "configmap", "token": "secret"}
    directory = {name: "%s/volumes/kubernetes.io~%s/%s" % (kept, plugin, name) for name, plugin in on_disk.items()}
    for name, path in directory.items():
        settled(agent, lambda: used(volumes_of(agent).get(name)), lambda: du(path)[0], name)
    equal(volumes_of(agent)["data"]["inodesUsed"], 2, "inodes of the volume")
    equal(volumes_of(agent)["fast"]["capacityBytes"], 16 * MIB, "a volume in memory has a file system of its own")
    near(volumes_of(agent)["fast"]["usedBytes"], MIB, absolute=2 * BLOCK, what="what that holds")

    def own():
        return sum(du(p)[0] for p in (upper, logs, directory["data"], directory["settings"], kept + "/etc-hosts"))
    settled(agent, lambda: used(pod_of(agent).get("ephemeral-storage")), own, "ephemeral storage", slack=4 * BLOCK)
    summary = agent.json("/stats/summary")
    equal(pod_of(agent)["ephemeral-storage"]["capacityBytes"], summary["node"]["fs"]["capacityBytes"], "capacity of ephemeral storage")
    where = os.statvfs(upper)
    equal(summary["node"]["runtime"]["imageFs"]["capacityBytes"], where.f_blocks * where.f_frsize, "file system of images")
    # One comes, one goes.
    write(kept + "/volumes/kubernetes.io~empty-dir/late/f", MIB)
    os.unlink(directory["data"] + "/big")
    settled(agent, lambda: used(volumes_of(agent).get("late")), lambda: MIB + BLOCK, "a volume that came later", slack=4 * BLOCK)
    settled(agent, lambda: used(volumes_of(agent).get("data")), lambda: du(directory["data"])[0], "a file that is gone")
    settled(agent, lambda: family(agent, "container_volume_usage_bytes", id=pod.cgroup, volume="late"), lambda: MIB, "the same as a metric", slack=4 * BLOCK)
    kubelets = agent.get("/metrics/cadvisor").body.decode().splitlines()
    equal(len([line for line in kubelets if line.startswith("container_fs_usage_bytes{") and 'container="front"' in line and 'pod="web-0"' in line]), 1,
          "with the kubelet's labels")
    brief = agent.json("/stats/summary?only_cpu_and_memory=true")
    assert "rootfs" not in str(brief) and "volume" not in str(brief) and "imageFs" not in str(brief), "only CPU and memory"


# ---- the machine ----

def test_machine__a_mount_that_comes_and_goes(t):
    agent = t.agent(*OTHERS)
    with tempfile.TemporaryDirectory(prefix="cgmtest-mount-") as folder:
        def series():
            return agent.metrics().all("container_fs_limit_bytes", id="/", device=folder)

        def listed():
            return [f for f in agent.json("/api/v2.1/storage") if f["mountpoint"] == folder]

        def sampled():
            return [f for f in agent.json("/api/v1.3/containers/")["stats"][-1]["filesystem"] if f["device"] == folder]
        equal((series(), listed(), sampled()), ([], [], []), "before")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "cgmtest", folder], check=True)
        try:
            wait_for(lambda: series() and listed() and sampled(), by_speed(10, 60), "a mount that came")
            equal((series()[0][1], listed()[0]["capacity"], sampled()[0]["capacity"]), (8 * MIB,) * 3, "its size")
        finally:
            subprocess.run(["umount", folder], check=True)
        wait_for(lambda: not series() and not listed() and not sampled(), by_speed(10, 60), lambda: "its end: %s" % ((series(), listed(), sampled()),))


lib.main(globals())
