#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real container of LXC, which nobody tells of: its cgroup's path has its name. And cgroups as systemd names them."""
import json
import os
import shutil
import subprocess
import tempfile

import lib
import runtimes
from agent import PROGRAM, by_speed, wait_for
from cgroups import Cgroup
from lib import equal


def titles(agent):
    names = agent.json("/api/cgmeter/rows")["names"]
    return dict(zip(names["name"], names["title"]))


class Lxc:
    """With busybox alone in it, and no network."""

    def __init__(self, name):
        runtimes.need("lxc-create", "lxc-execute", "lxc-stop", "busybox")
        self.name, self.dir = name, tempfile.mkdtemp(prefix="cgmtest-lxc-")
        self.pivots = [p for p in (mount + "/lxc.pivot" for mount in runtimes.cgroup_mounts()) if not os.path.isdir(p)]

    def __enter__(self):
        config = self.dir + "/config"
        with open(config, "w") as f:
            f.write("lxc.net.0.type = empty\nlxc.apparmor.profile = unconfined\n")
        common = ["-P", self.dir, "-n", self.name, "-f", config]
        for command in (["lxc-create", *common, "-t", "busybox"], ["lxc-execute", *common[:4], "-d", "--", "/bin/sleep", "100000"]):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                self.__exit__()
                raise AssertionError("%s: %s" % (command[0], done.stdout))
        return self

    def __exit__(self, *_):
        subprocess.run(["lxc-stop", "-k", "-P", self.dir, "-n", self.name], stderr=subprocess.DEVNULL)
        for mount in runtimes.cgroup_mounts():
            wait_for(lambda: not os.path.isdir("%s/lxc.payload.%s" % (mount, self.name)), by_speed(10, 60), "end of the container")
        for folder in filter(os.path.isdir, self.pivots):  # where LXC leaves from, and leaves it
            runtimes.remove_cgroup(folder)
        shutil.rmtree(self.dir)


def test_lxc__a_container_has_its_name(t):
    agent = t.agent("--docker=", "--podman=", "--podman_users=", "--containerd=", "--crio=")
    name = "cgmtest-%d-lxc" % os.getpid()
    t.enter_context(Lxc(name))
    path = "/lxc.payload." + name
    wait_for(lambda: titles(agent).get(path) == name, by_speed(10, 60), lambda: "title: %s" % titles(agent))
    info = agent.json("/api/v1.3/containers" + path)
    equal((info["name"], info["aliases"], info["namespace"]), (path, [name], "lxc"), "in the API")
    top = subprocess.run([PROGRAM, "top", "-b", "-n", "1", "--json", "--url=http://127.0.0.1:%d" % agent.port], check=True, stdout=subprocess.PIPE, text=True).stdout
    equal([row["title"] for row in json.loads(top)["containers"] if row["name"] == path], [name], "title in top")
    # For cAdvisor it is a cgroup like others, and the series stay the same.
    labels = [row for row, _ in agent.metrics().all("container_last_seen", id=path)]
    equal([row.get("name", "") for row in labels], [""], "the label name")


def test_units__escapes_are_undone(t):
    outer = t.cgroup()
    inner = t.cgroup(outer, "systemd-cryptsetup@luks\\x2d1.service")
    agent = t.agent("--bpf=off")
    equal(titles(agent).get(inner.path), "systemd-cryptsetup@luks-1.service", "title")


lib.main(globals())
