#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Containers of a real dockerd and of a real podman: names, images, labels, environment, health and state, as they come, change and go."""
import json
import os
import subprocess
import time

import lib
import runtimes
from agent import PROGRAM, by_speed, wait_for
from lib import equal, near
from cgroups import Cgroup

SLEEP = ("sleep", "100000")
LABELS = {"com.shop.team": "a\"b\\c", "tier": "web"}


def options(name, *more):
    return ("--name", name) + sum((("--label", "%s=%s" % pair) for pair in LABELS.items()), ()) + ("-e", "SHOP_KEY=a=b", "-e", "OTHER=x") + more


def named(agent, name):
    """Labels of the container's series; None: nobody is called so."""
    rows = agent.metrics().all("container_last_seen", name=name)
    assert len(rows) <= 1, "%d cgroups are called %s: %s" % (len(rows), name, rows)
    return rows[0][0] if rows else None


def wait_named(agent, name):
    return wait_for(lambda: named(agent, name), by_speed(10, 90), lambda: "%s: %s" % (name, agent.metrics().all("container_last_seen")))


def check_rest(agent, runtime, path, container, name):
    """The same container by every way that REST has."""
    info = agent.json("/api/v1.3/containers" + path)
    equal((info["id"], info["name"], info["aliases"], info["namespace"]), (container, path, [name, container], runtime), "who it is")
    spec = info["spec"]
    equal(spec["image"].split("/")[-1], runtimes.IMAGE.split("/")[-1], "image")
    equal({k: spec["labels"].get(k) for k in LABELS}, LABELS, "labels")
    equal(spec["envs"], {"shop_key": "a=b"}, "environment")
    for v2 in ("/api/v2.1/spec/%s?type=%s" % (name, runtime), "/api/v2.1/spec/%s?type=%s" % (container[:12], runtime), "/api/v2.0/spec" + path):
        equal(agent.json(v2)[path]["labels"], spec["labels"], v2)
    every = agent.json("/api/v2.1/spec/?type=%s&recursive=true" % runtime)
    assert path in every and "/" not in every, "all of %s: %s" % (runtime, sorted(every))
    if runtime == "docker":
        equal(agent.json("/api/v1.3/docker/" + name)[path]["id"], container, "/docker/NAME")
        assert path in agent.json("/api/v1.3/docker/"), "/docker/"
    return spec


def live(t, runtime, service, agent):
    """From the first start to the end of one container."""
    container = service.run(*SLEEP, options=options("web"))
    labels = wait_named(agent, "web")
    path = labels["id"]
    assert container in path, "%s is not in %s" % (container, path)
    equal(labels["container_label_com_shop_team"], LABELS["com.shop.team"], "label")
    equal(labels["container_env_shop_key"], "a=b", "environment")
    assert "container_env_other" not in labels, "an environment nobody asked for"
    equal(labels["image"].split("/")[-1], runtimes.IMAGE.split("/")[-1], "image")
    spec = check_rest(agent, runtime, path, container, "web")
    near(agent.metrics().get("container_start_time_seconds", id=path), time.time(), absolute=by_speed(30, 200), what="start")
    equal(agent.metrics().get("container_health_state", id=path), -1, "it has no health check")
    assert spec["creation_time"] <= spec["start_time"], spec

    top = subprocess.run([PROGRAM, "top", "-b", "-n", "1", "--json", "--url=http://127.0.0.1:%d" % agent.port], stdout=subprocess.PIPE, check=True).stdout
    equal([row["title"] for row in json.loads(top)["containers"] if row["name"] == path], ["web"], "title in top")
    names = agent.json("/api/cgmeter/rows")["names"]
    equal(names["title"][names["name"].index(path)], "web", "title on the page")

    service.command("rename", "web", "shop")
    wait_named(agent, "shop")
    equal(named(agent, "web"), None, "its old name")
    service.command("restart", *(("-t", "0")), "shop")
    again = wait_for(lambda: named(agent, "shop") and agent.json("/api/v1.3/containers" + path)["spec"]["start_time"] != spec["start_time"],
                     by_speed(10, 90), "start time of the restart")
    assert again, again
    service.command("stop", "-t", "0", "shop")
    wait_for(lambda: not named(agent, "shop"), by_speed(10, 90), "end of a stopped container")
    service.command("start", "shop")
    wait_named(agent, "shop")
    service.remove("shop")
    wait_for(lambda: not named(agent, "shop"), by_speed(10, 90), "end of a removed container")
    equal(agent.metrics().get("cgmeter_runtime_calls_total", runtime=runtime, result="failed"), 0, "calls that failed")


def agent_of(t, service, runtime):
    others = ("--docker=", "--podman=", "--podman_users=", "--containerd=", "--crio=", "--ended_duration=0")
    return t.agent(*others, "--%s=unix://%s" % (runtime, service.socket), "--env_metadata_whitelist=SHOP")


def test_docker__life_of_a_container(t):
    # The agent is there first: a runtime is found when it appears.
    service = runtimes.Dockerd(["--bridge=none", "--iptables=false"])
    agent = agent_of(t, service, "docker")
    equal(agent.metrics().get("cgmeter_runtime_connected", runtime="docker"), 0, "connected to nobody")
    t.enter_context(service)
    service.load()
    wait_for(lambda: agent.metrics().get("cgmeter_runtime_connected", runtime="docker") == 1, by_speed(10, 60), "connection")
    live(t, "docker", service, agent)


def test_podman__life_of_a_container(t):
    service = t.enter_context(runtimes.podman_service())
    live(t, "podman", service, agent_of(t, service, "podman"))


def test_podman__of_a_user_names_the_users_own_alone(t):
    """A podman whose socket is a user's: rootless but for its rights, which need a cgroup v2 of the user's own."""
    service = t.enter_context(runtimes.podman_service())
    uid, slice = 31234, "user.slice/user-31234.slice"
    users = service.dir + "/users"
    os.makedirs("%s/%d/podman" % (users, uid))
    os.link(service.socket, "%s/%d/podman/podman.sock" % (users, uid))
    os.chown(service.socket, uid, -1)
    had = {mount for mount in runtimes.cgroup_mounts() if os.path.isdir(mount + "/user.slice")}
    others = service.run(*SLEEP, options=("--name", "others"))
    theirs = service.run(*SLEEP, options=("--name", "theirs", "--cgroup-parent=/%s/podman" % slice))
    t.callback(remove_slice, slice, had)
    t.callback(service.remove, "theirs")
    agent = t.agent("--docker=", "--containerd=", "--crio=", "--podman=", "--podman_users=" + users)
    equal(wait_named(agent, "theirs")["id"], "/%s/podman/libpod-%s" % (slice, theirs), "cgroup")
    wait_for(lambda: agent.metrics().get("cgmeter_runtime_connected", runtime="podman-%d" % uid) == 1, by_speed(10, 60), "connection")
    agent.wait_ticks()
    rows = [labels for labels, _ in agent.metrics().all("container_last_seen") if others in labels["id"]]
    assert rows and not any("name" in labels for labels in rows), "not the user's: %s" % rows
    probe = subprocess.run([PROGRAM, "probe", "--json", "--docker=/nosuch", "--podman=", "--containerd=", "--crio=", "--podman_users=" + users], check=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    probed = {row["name"]: row for row in json.loads(probe.stdout)["runtimes"]}
    equal((probed["docker"]["connected"], probed["docker"]["fault"]), (False, "there is no socket"), "docker in probe")
    user = probed["podman-%d" % uid]
    equal((user["connected"], user["fault"], user["socket"]), (True, "", "%s/%d/podman/podman.sock" % (users, uid)), "podman in probe")
    assert user["version"], user


def remove_slice(slice, had):
    """In each hierarchy, and the slice above it where we made that, too."""
    for mount in runtimes.cgroup_mounts():
        for folder in [mount + "/" + slice] + ([mount + "/user.slice"] if mount not in had else []):
            if os.path.isdir(folder):
                runtimes.remove_cgroup(folder)


def test_docker__health_restarts_and_numbers(t):
    service = t.enter_context(runtimes.dockerd("--bridge=none", "--iptables=false"))
    service.run(*SLEEP, options=("--name", "before", "--network=none"))
    agent = agent_of(t, service, "docker")
    wait_named(agent, "before")  # it ran already when the agent came

    service.run(*SLEEP, options=("--name", "sick", "--health-cmd", "test -e /well", "--health-interval", "1s", "--health-retries", "1", "--health-start-period", "0s"))
    path = wait_named(agent, "sick")["id"]

    def health():
        return agent.metrics().get("container_health_state", id=path), agent.json("/api/v1.3/containers" + path)["stats"][-1]["health"]["status"]
    wait_for(lambda: health() == (0, "unhealthy"), by_speed(15, 90), lambda: "illness: %s" % (health(),))
    service.exec("sick", "touch", "/well")
    wait_for(lambda: health() == (1, "healthy"), by_speed(15, 90), lambda: "health: %s" % (health(),))

    service.run("sh", "-c", "test -e /again || { touch /again; exit 3; }; sleep 100000", options=("--name", "again", "--restart=on-failure:3"))
    path = wait_for(lambda: named(agent, "again") and named(agent, "again").get("container_label_restartcount") == "1" and named(agent, "again")["id"],
                    by_speed(15, 90), lambda: "restart: %s" % named(agent, "again"))

    # What is shown by the name is what the kernel counted.
    service.run("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 100000", options=("--name", "busy", "--network=none"))
    path = wait_named(agent, "busy")["id"]
    cgroup = Cgroup.at(path)
    wait_for(lambda: cgroup.cpu_ns() > 100000000, by_speed(30, 200), "work")

    def settled():
        before = cgroup.cpu_ns()
        shown = agent.fresh().sum("container_cpu_usage_seconds_total", name="busy") * 1e9
        return cgroup.cpu_ns() == before and (shown, before)
    shown, counted = wait_for(settled, by_speed(30, 200), "end of the work")
    near(shown, counted, relative=0.01, what="CPU time by name")


def test_docker__many_at_once(t):
    service = t.enter_context(runtimes.dockerd("--bridge=none", "--iptables=false"))
    agent = agent_of(t, service, "docker")
    number = by_speed(25, 5)
    ids = {service.create(*SLEEP, options=("--name", "c%d" % i, "--network=none")): "c%d" % i for i in range(number)}
    service.command("start", *ids)
    wait_for(lambda: all(named(agent, name) for name in ids.values()), by_speed(30, 200), "names of all")
    for container, name in ids.items():
        assert container in named(agent, name)["id"], name
    # The runtime dies: names stay, and it is said once.
    service.process.kill()
    service.process.wait()
    wait_for(lambda: agent.metrics().get("cgmeter_runtime_connected", runtime="docker") == 0, by_speed(10, 60), "end of the connection")
    agent.wait_ticks()
    assert all(named(agent, name) for name in ids.values()), "names were lost with the runtime"
    equal(agent.log().count("containers keep the names"), 1, "what is said of it: " + agent.log())


lib.main(globals())
