#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The kubelet's endpoints, with pods of a real containerd: names, and numbers that are the kernel's."""
import datetime
import re
import uuid

import lib
import prom
from agent import by_speed, wait_for
from cgroups import Cgroup
from containerd import Containerd
from lib import equal, near

BURN = ("/bin/busybox", "sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exec sleep 100000")


def pod_of(summary, name):
    return next((pod for pod in summary["pods"] if pod["podRef"]["name"] == name), None)


def container_of(pod, name):
    return next((c for c in pod["containers"] if c["name"] == name), None) if pod else None


def complete(agent, name, containers):
    """The pod, when it has just these containers."""
    pod = pod_of(agent.json("/stats/summary"), name)
    return pod if pod and sorted(c["name"] for c in pod["containers"]) == sorted(containers) else None


def test_kubelet__pods(t):
    service = t.enter_context(Containerd())
    agent = t.agent("--docker=", "--podman=", "--podman_users=", "--crio=", "--containerd=unix://" + service.socket)
    uid = str(uuid.uuid4())
    made = service.run_pod("web-0", "shop", uid, [("front", BURN), ("back", ("/bin/busybox", "sleep", "100000"))])
    pod = wait_for(lambda: complete(agent, "web-0", ["front", "back"]), by_speed(15, 120), lambda: "pod: %s" % agent.json("/stats/summary")["pods"])
    equal(pod["podRef"], {"name": "web-0", "namespace": "shop", "uid": uid}, "podRef")
    paths = {name: Cgroup.at("%s/%s" % (made.cgroup, container)) for name, container in made.containers.items()}
    whole = Cgroup.at(made.cgroup)
    wait_for(lambda: paths["front"].cpu_ns() > 100000000, by_speed(30, 200), "work")

    def settled():
        before = whole.cpu_ns()
        agent.wait_ticks()
        summary = agent.json("/stats/summary")
        return whole.cpu_ns() == before and summary
    summary = wait_for(settled, by_speed(40, 300), "end of the work")
    pod = pod_of(summary, "web-0")
    for name, cgroup in paths.items():
        near(container_of(pod, name)["cpu"]["usageCoreNanoSeconds"], cgroup.cpu_ns(), relative=0.01, what="CPU of " + name)
    near(pod["cpu"]["usageCoreNanoSeconds"], whole.cpu_ns(), relative=0.01, what="CPU of the pod")
    assert container_of(pod, "front")["memory"]["workingSetBytes"] > 0, pod
    assert summary["node"]["cpu"]["usageCoreNanoSeconds"] > pod["cpu"]["usageCoreNanoSeconds"], "the node has less than a pod"
    short = agent.json("/stats/summary?only_cpu_and_memory=true")
    equal(set(pod_of(short, "web-0")), {"podRef", "startTime", "containers", "cpu", "memory"}, "short form of a pod")

    # What metrics-server asks.
    resource = metrics_at(agent, "/metrics/resource")
    labels = {"container": "front", "namespace": "shop", "pod": "web-0"}
    near(resource.get("container_cpu_usage_seconds_total", **labels) * 1e9, paths["front"].cpu_ns(), relative=0.01, what="CPU in /metrics/resource")
    near(resource.get("pod_cpu_usage_seconds_total", namespace="shop", pod="web-0") * 1e9, whole.cpu_ns(), relative=0.01, what="CPU of the pod there")
    assert resource.get("container_memory_working_set_bytes", **labels) > 0
    equal(sorted(own["container"] for own, _ in resource.all("container_cpu_usage_seconds_total", pod="web-0")), ["back", "front"], "containers: no sandbox")

    # What dashboards ask.
    page = metrics_at(agent, "/metrics/cadvisor")
    near(page.get("container_cpu_usage_seconds_total", cpu="total", **labels) * 1e9, paths["front"].cpu_ns(), relative=0.01, what="CPU in /metrics/cadvisor")
    equal(page.all("container_memory_working_set_bytes", pod="web-0", container="", id=made.cgroup)[0][0]["namespace"], "shop", "the pod's own cgroup")
    equal({own["container"] for own, _ in page.all("container_start_time_seconds", pod="web-0")}, {"", "front", "back"}, "containers, the sandbox and the pod")
    assert not any(name.startswith("cgmeter_") for name in page.families), "families that are no kubelet's"

    # What Heapster asks: a pod's sandbox is what it knows as the pod.
    now = datetime.datetime.now(datetime.timezone.utc)
    rows = agent.json("/stats/container/", containerName="/", num_stats=1, subcontainers=True, start=(now - datetime.timedelta(seconds=60)).isoformat(),
                      end=now.isoformat())
    own = [row for row in rows.values() if row["spec"].get("labels", {}).get("io.kubernetes.pod.uid") == uid]
    equal(sorted(row["spec"]["labels"]["io.kubernetes.container.name"] for row in own), ["POD", "back", "front"], "containers of the pod")
    for row in own:
        labels = row["spec"]["labels"]
        equal((labels["io.kubernetes.pod.name"], labels["io.kubernetes.pod.namespace"]), ("web-0", "shop"), "labels")
        equal(len(row["stats"]), 1, "samples in the window")
        if labels["io.kubernetes.container.name"] == "front":
            near(row["stats"][0]["cpu"]["usage"]["total"], paths["front"].cpu_ns(), relative=0.01, what="CPU in /stats/container")
    equal(agent.json("/stats/shop/web-0/%s/front" % uid, num_stats=1)["aliases"][0], made.containers["front"], "/stats/NAMESPACE/POD/UID/CONTAINER")
    for path in ("/pods", "/runningpods/"):
        listed = next(item for item in agent.json(path)["items"] if item["metadata"]["uid"] == uid)
        equal((listed["metadata"]["name"], listed["metadata"]["namespace"]), ("web-0", "shop"), path)
        equal(sorted(c["name"] for c in listed["spec"]["containers"]), ["back", "front"], path + ": containers")
    statuses = {s["name"]: s for s in next(i for i in agent.json("/pods")["items"] if i["metadata"]["uid"] == uid)["status"]["containerStatuses"]}
    equal(statuses["front"]["containerID"], "containerd://" + made.containers["front"], "containerID")
    assert "running" in statuses["front"]["state"], statuses["front"]

    service.remove_pod(made)
    service.remove_cgroup(made.cgroup)  # as the kubelet does
    wait_for(lambda: not pod_of(agent.json("/stats/summary"), "web-0"), by_speed(15, 120), "end of the pod")


def metrics_at(agent, path):
    """Each sample has the time in ms at which it was taken, as the kubelet's."""
    answer = agent.get(path)
    equal(answer.status, 200, path)
    return prom.Metrics(re.sub(r"^([^#].*) \d{13}$", r"\1", answer.body.decode(), flags=re.MULTILINE))


lib.main(globals())
