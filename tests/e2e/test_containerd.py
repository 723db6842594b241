#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pods of a real containerd, made through its CRI as a kubelet makes them, and its own containers: who they are, as they come, change and go."""
import signal
import time
import uuid

import lib
from agent import by_speed, wait_for
from containerd import Containerd, IMAGE
from lib import equal


def agent_of(t, service, *more):
    return t.agent("--docker=", "--podman=", "--podman_users=", "--crio=", "--ended_duration=0", "--containerd=unix://" + service.socket, *more)


def seen(agent, **labels):
    """Labels of the one cgroup that has these."""
    rows = [row for row, _ in agent.metrics().all("container_last_seen", **labels)]
    assert len(rows) <= 1, "more than one: %s" % rows
    return rows[0] if rows else None


def wait_pod_container(agent, pod, name):
    labels = {"container_label_io_kubernetes_pod_uid": pod.uid, "container_label_io_kubernetes_container_name": name}
    return wait_for(lambda: seen(agent, **labels), by_speed(10, 90), lambda: "%s of %s: %s" % (name, pod.name, agent.metrics().all("container_last_seen")))


def titles(agent):
    names = agent.json("/api/cgmeter/rows")["names"]
    return dict(zip(names["name"], names["title"]))


def check(agent, pod, name):
    labels, container = wait_pod_container(agent, pod, name), pod.containers[name]
    path = "%s/%s" % (pod.cgroup, container)
    equal(labels["id"], path, "cgroup")
    equal((labels["name"], labels["image"]), (container, IMAGE), "name and image, as cAdvisor has them of containerd")
    equal(labels["container_label_io_kubernetes_pod_name"], pod.name, "pod")
    equal(labels["container_label_io_kubernetes_pod_namespace"], pod.namespace, "namespace")
    info = agent.json("/api/v1.3/containers" + path)
    equal((info["id"], info["aliases"], info["namespace"]), (container, [container, path], "containerd"), "who it is")
    equal(info["spec"]["image"], IMAGE, "image")
    equal(titles(agent)[path], "%s/%s/%s" % (pod.namespace, pod.name, name), "title")
    return path


def test_containerd__pods(t):
    service = t.enter_context(Containerd())
    old = service.run_pod("old-0", "shop", str(uuid.uuid4()), [("main", ("/bin/busybox", "sleep", "100000"))])
    agent = agent_of(t, service, "--env_metadata_whitelist=SHOP")
    check(agent, old, "main")  # it ran already when the agent came

    pod = service.run_pod("web-0", "shop", str(uuid.uuid4()), [("front", ("/bin/busybox", "sleep", "100000")), ("back", ("/bin/busybox", "sleep", "100000"))],
                          labels={"tier": "a\"b"}, envs={"SHOP_KEY": "a=b", "OTHER": "x"})
    for name in ("front", "back"):
        path = check(agent, pod, name)
    spec = agent.json("/api/v1.3/containers" + path)["spec"]
    equal(spec["labels"]["tier"], "a\"b", "label")
    equal(spec["envs"], {"SHOP_KEY": "a=b"}, "environment: its keys keep their case")
    # The sandbox has the pod's labels and no container's name.
    sandbox = "%s/%s" % (pod.cgroup, pod.sandbox)
    wait_for(lambda: titles(agent).get(sandbox) == "shop/web-0/sandbox", by_speed(10, 90), lambda: "sandbox: %s" % titles(agent))
    equal(seen(agent, id=sandbox)["container_label_io_kubernetes_pod_name"], "web-0", "pod of the sandbox")

    # A container that is restarted as a kubelet does: another container of the same name.
    first = pod.containers["front"]
    service.stop_container(pod, "front")
    service.run_container(pod, "front", restarts=1)
    wait_for(lambda: not seen(agent, name=first), by_speed(10, 90), "end of the first")
    check(agent, pod, "front")
    service.remove_pod(pod)
    wait_for(lambda: not seen(agent, name=pod.containers["back"]), by_speed(10, 90), "end of the pod")


def test_containerd__own_containers_and_a_restart(t):
    service = t.enter_context(Containerd())
    agent = agent_of(t, service)
    wait_for(lambda: agent.metrics().get("cgmeter_runtime_connected", runtime="containerd") == 1, by_speed(10, 60), "connection")
    service.ctr_run("plain1", labels={"tier": "own"})
    labels = wait_for(lambda: seen(agent, name="plain1"), by_speed(10, 90), lambda: "plain1: %s" % agent.metrics().all("container_last_seen"))
    equal((labels["id"], labels["image"], labels["container_label_tier"]), ("/%s/plain1" % service.namespace, IMAGE, "own"), "a container of ctr")

    # One id in three namespaces, the CRI's among them: their cgroups' paths tell them apart.
    namespaces = (service.namespace, service.namespace + "b", "k8s.io")
    for namespace in namespaces:
        service.ctr_run("twin", namespace=namespace, labels={"of": namespace})
    for namespace in namespaces:
        labels = wait_for(lambda: seen(agent, id="/%s/twin" % namespace, container_label_of=namespace), by_speed(10, 60),
                          lambda: "twin of %s: %s" % (namespace, agent.metrics().all("container_last_seen", name="twin")))
        equal(labels["name"], "twin", "name")

    service.stop(signal.SIGKILL)
    wait_for(lambda: agent.metrics().get("cgmeter_runtime_connected", runtime="containerd") == 0, by_speed(15, 60), "end of the connection")
    agent.wait_ticks()
    assert seen(agent, name="plain1"), "its name was lost with the runtime"
    service.start()
    wait_for(lambda: agent.metrics().get("cgmeter_runtime_connected", runtime="containerd") == 1, by_speed(15, 60), "another connection")
    pod = service.run_pod("late-0", "shop", str(uuid.uuid4()))
    check(agent, pod, "main")
    equal(agent.metrics().get("cgmeter_runtime_connects_total", runtime="containerd"), 2, "connections")
    # The pod's two are told of by the CRI alone.
    wait_for(lambda: agent.metrics().get("cgmeter_runtime_containers", runtime="containerd") == 1 + 3 + 2, by_speed(5, 30), "number of containers")


def soon(check, what):
    """Long before the list that is made without events: some ticks of the agent, 0.2 s each, and what a busy machine adds."""
    began = time.monotonic()
    wait_for(check, by_speed(10, 60), what)
    assert time.monotonic() - began < by_speed(2, 30), "%s took %.1f s" % (what(), time.monotonic() - began)


def state(agent, path):
    info = agent.json("/api/v1.3/containers" + path)
    return info.get("state"), info.get("exit_code")


def test_containerd__changes_show_at_once(t):
    service = t.enter_context(Containerd())
    pod = service.run_pod("web-0", "shop", str(uuid.uuid4()))
    agent = agent_of(t, service, "--housekeeping_interval=200ms")
    check(agent, pod, "main")

    def known():
        return agent.metrics().get("cgmeter_runtime_containers", runtime="containerd")
    wait_for(lambda: known() == 2, by_speed(10, 60), lambda: "containers: %s" % known())
    service.ctr_run("plain1")
    path = "/%s/plain1" % service.namespace
    wait_for(lambda: seen(agent, name="plain1"), by_speed(10, 60), "plain1")
    soon(lambda: state(agent, path) == ("running", None), lambda: "start: %s" % (state(agent, path),))
    for command, wanted in (("pause", "paused"), ("resume", "running")):
        service.ctr(service.namespace, "tasks", command, "plain1")
        soon(lambda: state(agent, path)[0] == wanted, lambda: "%s: %s" % (command, state(agent, path)))
    # What runs beside its first process and ends is no end of the container.
    service.ctr(service.namespace, "tasks", "exec", "--exec-id", "x", "plain1", "/bin/busybox", "true")
    equal(state(agent, path), ("running", None), "after the end of another process")
    service.ctr(service.namespace, "tasks", "kill", "-s", "SIGKILL", "plain1")
    soon(lambda: state(agent, path) == ("exited", 137), lambda: "end: %s" % (state(agent, path),))
    equal(known(), 3, "containers before one is deleted")
    service.ctr_remove("plain1")
    soon(lambda: known() == 2, lambda: "deletion: %s" % known())
    service.remove_pod(pod)
    soon(lambda: known() == 0, lambda: "removal of a pod: %s" % known())
    equal(agent.metrics().get("cgmeter_runtime_calls_total", runtime="containerd", result="failed"), 0, "calls that failed")


lib.main(globals())
