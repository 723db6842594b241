#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/deploy: manifests, image, package, unit, dashboards. The image runs under a real dockerd with what the DaemonSet grants, and no more."""
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile

import lib
import prom
import runtimes
from agent import PROGRAM, by_speed, wait_for
from lib import Skip, equal, near, note

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
DEPLOY = os.path.join(TOP, "tools/deploy")
KUBERNETES = os.path.join(DEPLOY, "kubernetes")
NAME = re.compile(r"\b(?:cgmeter|container|machine|process)_[a-z0-9_]+")


def yaml():
    try:
        import yaml as module
    except ImportError:
        raise Skip("the Python module yaml")
    return module


def run(*words, status=0, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    assert done.returncode == status, "%s: status %d: %s" % (" ".join(words), done.returncode, done.stdout.strip()[-2000:])
    return done.stdout


def folder(t):
    path = tempfile.mkdtemp(prefix="cgmtest-deploy-")
    t.callback(shutil.rmtree, path)
    return path


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return f.read()


def version():
    return run(PROGRAM, "version").split()[1]


# ---- manifests ----

def objects(name):
    """{kind: object} of a kustomization."""
    runtimes.need("kubectl")
    found = list(yaml().safe_load_all(run("kubectl", "kustomize", os.path.join(KUBERNETES, name))))
    assert len({o["kind"] for o in found}) == len(found), "one of each kind"
    return {o["kind"]: o for o in found}


def daemon_set(name="base"):
    return objects(name)["DaemonSet"]


def the_labels():
    return daemon_set()["spec"]["template"]["metadata"]["labels"]


def the_container(one):
    containers = one["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 1, "one container"
    return containers[0]


# Those that kubectl decodes nowhere without a server: {kind: (apiVersion, {path of a field: type})}.
PLAIN = {
    "Namespace": ("v1", {"metadata.name": str, "metadata.labels.*": str}),
    "ServiceAccount": ("v1", {"metadata.name": str, "metadata.namespace": str, "metadata.labels.*": str, "automountServiceAccountToken": bool}),
    "Service": ("v1", {"metadata.name": str, "metadata.namespace": str, "metadata.labels.*": str, "spec.clusterIP": str, "spec.selector.*": str,
                       "spec.ports.name": str, "spec.ports.port": int, "spec.ports.targetPort": str, "spec.ports.protocol": str}),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", {
        "metadata.name": str, "metadata.labels.*": str, "rules.apiGroups": str, "rules.resources": str, "rules.verbs": str}),
    "PodMonitor": ("monitoring.coreos.com/v1", {
        "metadata.name": str, "metadata.namespace": str, "metadata.labels.*": str, "spec.selector.matchLabels.*": str,
        "spec.podMetricsEndpoints.port": str, "spec.podMetricsEndpoints.path": str, "spec.podMetricsEndpoints.interval": str,
        "spec.podMetricsEndpoints.honorLabels": bool, "spec.podMetricsEndpoints.relabelings.sourceLabels": str,
        "spec.podMetricsEndpoints.relabelings.targetLabel": str}),
}


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, (path + "." if path else "") + key)
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below, path)
    else:
        yield path, value


def check_plain(one):
    wanted, fields = PLAIN[one["kind"]]
    equal(one["apiVersion"], wanted, one["kind"])
    for path, value in leaves({k: v for k, v in one.items() if k not in ("apiVersion", "kind")}):
        names = [p for p in fields if p == path or (p.endswith(".*") and path.startswith(p[:-1]))]
        assert names, "%s has no field %s" % (one["kind"], path)
        assert type(value) is fields[names[0]], "%s: %s is %r" % (one["kind"], path, value)


def all_true(value):
    """What is false may be left out by who writes it again."""
    if isinstance(value, dict):
        return {key: all_true(below) for key, below in value.items()}
    return [all_true(below) for below in value] if isinstance(value, list) else True if value is False else value


def check_decoded(t, one, what, value):
    """kubectl decodes it by Kubernetes' own types, which refuse a wrong type and drop what they do not know: nothing may be missing behind."""
    one = all_true(one)
    path = os.path.join(folder(t), "object.json")
    with open(path, "w") as f:
        json.dump(one, f)
    decoded = json.loads(run("kubectl", "set", what, "--local", "-f", path, value, "-o", "json"))
    kept = {(p, str(v)) for p, v in leaves(decoded)}
    lost = [(p, v) for p, v in leaves(one) if (p, str(v)) not in kept and not p.endswith(".image")]
    assert not lost, "fields that Kubernetes does not know: %s" % lost


def test_manifests__types(t):
    base = {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet", "Service"}
    for name, kinds in (("base", base), ("example", base | {"PodMonitor"})):
        found = objects(name)
        equal(set(found), kinds, name)
        for kind, one in found.items():
            if kind == "DaemonSet":
                equal(one["apiVersion"], "apps/v1", kind)
                check_decoded(t, one, "image", "cgmeter=" + the_container(one)["image"] + "x")
            elif kind == "ClusterRoleBinding":
                equal(one["apiVersion"], "rbac.authorization.k8s.io/v1", kind)
                check_decoded(t, one, "subject", "--user=x")
            else:
                check_plain(one)


def test_manifests__fit_together(t):
    found = objects("example")
    spec = found["DaemonSet"]["spec"]
    pod, container = spec["template"]["spec"], the_container(found["DaemonSet"])
    labels = spec["template"]["metadata"]["labels"]
    equal(spec["selector"]["matchLabels"], labels, "selector of the DaemonSet")
    equal(found["Service"]["spec"]["selector"], labels, "selector of the Service")
    equal(found["PodMonitor"]["spec"]["selector"]["matchLabels"], labels, "selector of the PodMonitor")
    of_the_cluster = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
    equal({o["metadata"]["namespace"] for kind, o in found.items() if kind not in of_the_cluster}, {found["Namespace"]["metadata"]["name"]}, "namespaces")
    account = found["ServiceAccount"]["metadata"]
    equal(pod["serviceAccountName"], account["name"], "service account")
    binding = found["ClusterRoleBinding"]
    equal(binding["subjects"], [{"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}], "who is given rights")
    equal(binding["roleRef"], {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": found["ClusterRole"]["metadata"]["name"]}, "rights")
    equal([e for e in container["env"] if e["name"] == "NODE_NAME"], [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}], "node")
    equal([p["name"] for p in container["ports"]], ["http"], "ports")
    equal({v["name"] for v in pod["volumes"]}, {m["name"] for m in container["volumeMounts"]}, "volumes")
    for probe in ("livenessProbe", "readinessProbe"):
        equal(container[probe]["httpGet"], {"path": "/healthz", "port": "http"}, probe)
    assert any(a == "--overhead_budget=2" for a in container["args"]), "arguments of the example"
    # The agent takes the arguments, all of them.
    for one in (found["DaemonSet"], daemon_set()):
        run(PROGRAM, "node", *the_container(one)["args"], "--version")


def test_manifests__as_little_as_works(t):
    one = daemon_set()
    pod, container = one["spec"]["template"]["spec"], the_container(one)
    security = container["securityContext"]
    equal(container["image"], "cgmeter:" + version(), "image")
    equal((pod["hostPID"], pod["hostNetwork"], pod["automountServiceAccountToken"]), (True, False, True), "what it shares with the node")
    equal((security["privileged"], security["readOnlyRootFilesystem"], security["capabilities"]["drop"]), (False, True, ["ALL"]), "security")
    equal(security["seccompProfile"]["type"], "RuntimeDefault", "seccomp")
    equal(pod["tolerations"], [{"operator": "Exists"}], "tolerations")
    for mount in container["volumeMounts"]:
        assert mount.get("readOnly") or mount["mountPath"] == "/sys/fs/bpf", "%s is writable" % mount["mountPath"]
        equal(mount["mountPropagation"], "HostToContainer", "propagation of " + mount["mountPath"])
    found = objects("base")
    assert not {"Role", "RoleBinding"} & set(found), "rights at the API server"
    rules = {(group, resource, verb) for rule in found["ClusterRole"]["rules"] for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}
    equal(rules, {("", "pods", "list"), ("", "pods", "watch"), ("", "persistentvolumeclaims", "get"), ("authentication.k8s.io", "tokenreviews", "create"),
                  ("authorization.k8s.io", "subjectaccessreviews", "create")}, "rights at the API server")
    unit = re.search(r"^CapabilityBoundingSet=(.*)$", read(DEPLOY, "cgmeter.service"), re.M).group(1)
    readme = read(TOP, "README.md").split("\n## On Kubernetes")[1].split("\n## ")[0]
    equal(set(re.findall(r"--cap-add=(\w+)", readme)), set(security["capabilities"]["add"]), "capabilities in the README")
    equal(set(unit.split()), {"CAP_" + name for name in security["capabilities"]["add"]}, "capabilities of unit and DaemonSet")


# ---- manifests of `cgmeter cluster` ----

PLAIN_OF_CLUSTER = {
    "Role": PLAIN["ClusterRole"],
    "ClusterRole": PLAIN["ClusterRole"],
    "APIService": ("apiregistration.k8s.io/v1", {
        "metadata.name": str, "metadata.labels.*": str, "spec.group": str, "spec.version": str, "spec.groupPriorityMinimum": int, "spec.versionPriority": int,
        "spec.insecureSkipTLSVerify": bool, "spec.service.name": str, "spec.service.namespace": str, "spec.service.port": int}),
    "NetworkPolicy": ("networking.k8s.io/v1", {
        "metadata.name": str, "metadata.namespace": str, "metadata.labels.*": str, "spec.podSelector.matchLabels.*": str, "spec.policyTypes": str,
        "spec.ingress.ports.port": str, "spec.ingress.ports.protocol": str, "spec.ingress.from.namespaceSelector.matchLabels.*": str}),
}
PLAIN_OF_CLUSTER["Role"] = ("rbac.authorization.k8s.io/v1", {**PLAIN["ClusterRole"][1], "metadata.namespace": str, "rules.resourceNames": str})


def cluster_objects(name):
    runtimes.need("kubectl")
    return list(yaml().safe_load_all(run("kubectl", "kustomize", os.path.join(KUBERNETES, name))))


def of_kind(found, *kinds):
    return [o for o in found if o["kind"] in kinds]


def test_cluster_manifests__types(t):
    for name, controller in (("cluster", "Deployment"), ("cluster-shards", "StatefulSet")):
        found = cluster_objects(name)
        equal(len(of_kind(found, "Deployment", "StatefulSet")), 1, name)
        for one in found:
            kind = one["kind"]
            if kind == controller:
                equal(one["apiVersion"], "apps/v1", kind)
                check_decoded(t, one, "image", "cgmeter=" + the_container(one)["image"] + "x")
            elif kind in ("ClusterRoleBinding", "RoleBinding"):
                check_decoded(t, one, "subject", "--user=x")
            else:
                PLAIN.update({k: v for k, v in PLAIN_OF_CLUSTER.items() if k not in PLAIN})
                check_plain(one)


def test_cluster_manifests__fit_together(t):
    for name in ("cluster", "cluster-shards"):
        found = cluster_objects(name)
        one, service, policy = of_kind(found, "Deployment", "StatefulSet")[0], of_kind(found, "Service")[0], of_kind(found, "NetworkPolicy")[0]
        spec, container = one["spec"]["template"]["spec"], the_container(one)
        labels = one["spec"]["template"]["metadata"]["labels"]
        for selector in (one["spec"]["selector"]["matchLabels"], service["spec"]["selector"], policy["spec"]["podSelector"]["matchLabels"]):
            equal(selector, labels, name + ": selectors")
        account = of_kind(found, "ServiceAccount")[0]["metadata"]
        equal(spec["serviceAccountName"], account["name"], "service account")
        roles = {(o["kind"], o["metadata"]["name"]) for o in of_kind(found, "Role", "ClusterRole")}
        given = {("ClusterRole", "system:auth-delegator"), ("Role", "extension-apiserver-authentication-reader")}
        for binding in of_kind(found, "RoleBinding", "ClusterRoleBinding"):
            equal(binding["subjects"], [{"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}], "who is given rights")
            assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles | given, "rights: %s" % binding["roleRef"]
        ports = {p["name"] for p in container["ports"]}
        assert {p["targetPort"] for p in service["spec"]["ports"]} <= ports, "ports"
        equal({m["name"] for m in container["volumeMounts"]},
              {v["name"] for v in spec.get("volumes", [])} | {v["metadata"]["name"] for v in one["spec"].get("volumeClaimTemplates", [])}, "volumes")
        equal(container["command"], ["/usr/bin/cgmeter", "cluster"], "command")
        equal(container["image"], "cgmeter:" + version(), "image")
        run(PROGRAM, "cluster", *container["args"], "--version")
    assert "--shards=%d" % one["spec"]["replicas"] in container["args"], "as many shards as replicas"
    api = of_kind(cluster_objects("cluster"), "APIService")[0]["spec"]
    service = of_kind(cluster_objects("cluster"), "Service")[0]
    equal((api["service"]["name"], api["service"]["namespace"]), (service["metadata"]["name"], service["metadata"]["namespace"]), "service of the API")
    assert api["service"]["port"] in [p["port"] for p in service["spec"]["ports"] if p["targetPort"] == "https"], "port of the API"


def test_cluster_manifests__as_little_as_works(t):
    for name in ("cluster", "cluster-shards"):
        found = cluster_objects(name)
        one = of_kind(found, "Deployment", "StatefulSet")[0]
        spec, security = one["spec"]["template"]["spec"], the_container(one)["securityContext"]
        equal((security["privileged"], security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"], security["capabilities"]), (False, False, True, {"drop": ["ALL"]}),
              "security")
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "security of the pod"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), "what it shares with the node"
        role = [o for o in of_kind(found, "ClusterRole") if o["metadata"]["name"] == "cgmeter-cluster"][0]
        rules = {(group, resource, verb) for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}
        equal(rules, {("", r, v) for r in ("nodes", "pods", "namespaces") for v in ("get", "list", "watch")} |
              {("", "nodes/stats", "get"), ("", "nodes/stats", "create"), ("", "nodes/metrics", "get")}, "rights in the cluster")


def test_manifests__prometheus(t):
    runtimes.need("promtool")
    config = yaml().safe_load(read(KUBERNETES, "prometheus.yaml"))
    one, labels = config["scrape_configs"][0], the_labels()
    equal(one["kubernetes_sd_configs"], [{"role": "pod", "namespaces": {"names": ["cgmeter"]}}], "discovery")
    equal(one["relabel_configs"][0]["regex"], labels["app.kubernetes.io/name"] + ";http", "what is kept")
    # Debian's Prometheus is built without this discovery; all else it reads.
    one["static_configs"] = [{"targets": ["localhost:8080"]}]
    del one["kubernetes_sd_configs"]
    path = os.path.join(folder(t), "prometheus.yaml")
    with open(path, "w") as f:
        json.dump(config, f)
    run("promtool", "check", "config", path)


# ---- image ----

def make_image(t, form="docker"):
    path = os.path.join(folder(t), "image.tar")
    return path, run(os.path.join(DEPLOY, "image"), "--program", PROGRAM, "--format", form, "--output", path)


def test_image__same_bytes(t):
    for form in ("docker", "oci", "layer"):
        (one, said), (other, _) = make_image(t, form), make_image(t, form)
        run("cmp", one, other)
        assert "sha256:" in said, said


def test_image__contents(t):
    path, _ = make_image(t, "oci")
    with tarfile.open(path) as tar:
        blobs = {m.name.rpartition("/")[2]: tar.extractfile(m) for m in tar.getmembers() if m.isfile()}
        index = json.load(blobs["index.json"])
        manifest = json.load(blobs[index["manifests"][0]["digest"].split(":")[1]])
        config = json.load(blobs[manifest["config"]["digest"].split(":")[1]])
        with tarfile.open(fileobj=blobs[manifest["layers"][0]["digest"].split(":")[1]], mode="r:gz") as layer:
            names = layer.getnames()
            assert all((m.mtime, m.uid, m.gid, m.uname, m.gname) == (0, 0, 0, "", "") for m in layer), "times and owners"
    equal(names, sorted(names), "order")
    equal(config["config"]["Entrypoint"], ["/usr/bin/cgmeter", "node", "--listen_ip="], "entry point")
    equal(set(config["config"]["ExposedPorts"]), {"8080/tcp"}, "port")
    equal([n for n in names if n.startswith("usr/bin/")], ["usr/bin/cgmeter"], "programs")
    for wanted in ("libcurl.so.4", "libbpf.so.1", "ca-certificates.crt", "passwd"):
        assert any(n.endswith("/" + wanted) for n in names), wanted
    dockerfile = read(DEPLOY, "Dockerfile")
    equal(json.loads(re.search(r"^ENTRYPOINT (.*)$", dockerfile, re.M).group(1)), config["config"]["Entrypoint"], "entry point of the Dockerfile")
    assert "RUN tools/setup build" in dockerfile, "the Dockerfile has a list of packages of its own"


class Deployed:
    """A container of the image, asked at its own address."""

    def __init__(self, docker, capabilities, mounts, arguments, *options):
        self.docker = docker
        words = ["--read-only", "--cap-drop=ALL"] + ["--cap-add=" + c for c in capabilities]
        for mount in mounts:
            words += ["-v", mount]
        self.id = docker.run(*arguments, options=words + list(options), image="cgmeter:" + version())

    def metrics(self):
        """None: no answer, or no sample yet."""
        address = self.docker.inspect(self.id)["NetworkSettings"]["IPAddress"]
        got = [subprocess.run(self.docker.network.enter + ["curl", "-s", "-f", "http://%s:8080/%s" % (address, path)], stdout=subprocess.PIPE, text=True)
               for path in ("healthz", "metrics")]
        if any(g.returncode for g in got) or "cgmeter_ticks_total" not in got[1].stdout:
            return None
        equal(got[0].stdout.strip(), "ok", "/healthz")
        return prom.Metrics(got[1].stdout)

    def log(self):
        return run(*self.docker.client, "logs", self.id, env=self.docker.environment)

    def until(self, condition, what):
        """The first metrics of which that is true."""
        return wait_for(lambda: (lambda m: m if m and condition(m) else None)(self.metrics()), by_speed(15, 120),
                        lambda: "%s; the log says: %s" % (what, self.log()))


@contextlib.contextmanager
def docker_with_image(t):
    runtimes.need("curl", "nsenter")
    path, _ = make_image(t)
    with runtimes.dockerd() as docker:
        docker.command("load", "-i", path)
        yield docker


def is_shared(point):
    with open("/proc/self/mountinfo") as f:
        rows = [line.split(" - ")[0].split() for line in f]
    return any(row[4] == point and any(word.startswith("shared:") for word in row[6:]) for row in rows)


def attached(m):
    return {labels["program"] for labels, value in m.all("cgmeter_program_attached") if value == 1}


def wanted_programs():
    """Those that run when it is started on the machine itself, and why there are none."""
    rows = json.loads(run(PROGRAM, "probe", "--json"))["programs"]
    groups = set(re.findall(r"^\| `(\w+)` \| (?:on|always on) ", run(PROGRAM, "groups"), re.M))
    return {r["name"] for r in rows if r["mode"] != "off" and r["group"] in groups}, "; ".join(sorted({r["reason"] for r in rows}))


def has_network(container):
    return lambda m: any(container in labels["id"] for labels, _ in m.all("container_network_receive_bytes_total"))


def host_interfaces():
    with open("/proc/1/net/dev") as f:
        return {line.split(":")[0].strip() for line in f if ":" in line}


def check_host(deployed, m, cgroup, why):
    """Its cgroups, interfaces and programs are those of the machine, not of its container."""
    assert m.all("container_last_seen", id=cgroup.path), "%s is not seen" % cgroup.path
    programs, reason = why
    if programs:
        equal((m.get("cgmeter_kernel_side"), attached(m)), (1, programs), "programs that run, against those of the machine itself")
    else:
        note("no program runs on this kernel: " + reason)
    shown = {labels["interface"] for labels, _ in m.all("container_network_receive_bytes_total", id="/")}
    assert shown and shown <= host_interfaces(), "interfaces %s, the machine has %s" % (shown, host_interfaces())
    near(m.get("machine_memory_bytes"), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), relative=0.01, what="memory")
    assert "is not installed" not in deployed.log(), "a library is missing: " + deployed.log()


def test_image__as_daemon_set(t):
    one = daemon_set()
    pod, container = one["spec"]["template"]["spec"], the_container(one)
    paths = {v["name"]: v["hostPath"]["path"] for v in pod["volumes"]}
    bpffs, cgroup = t.bpffs(), t.cgroup()
    paths["bpf"] = bpffs.dir  # not the machine's
    propagation = {"HostToContainer": ["rslave"] if is_shared("/") else []}
    if not is_shared("/"):
        note("/ is not a shared mount here, as a kubelet wants it: HostToContainer is not tried")
    why = wanted_programs()
    with docker_with_image(t) as docker:
        web = docker.run("sleep", "1000", options=("--name", "web"))
        mounts = [":".join((paths[m["name"]], m["mountPath"], ",".join(["ro" if m.get("readOnly") else "rw"] + propagation[m["mountPropagation"]])))
                  for m in container["volumeMounts"]]
        arguments = [a.replace("/rootfs/run/docker.sock", "/rootfs" + docker.socket).replace("$(NODE_NAME)", "node1") for a in container["args"]]
        agent = Deployed(docker, container["securityContext"]["capabilities"]["add"], mounts, arguments, "--pid=host",
                         "--memory=%d" % (512 << 20))
        m = agent.until(lambda m: m.all("container_last_seen", name="web") and has_network(web)(m), "name and network of a container")
        check_host(agent, m, cgroup, why)
        assert os.path.isdir(bpffs.pin_dir) or not why[0], "nothing is pinned"
        equal(m.get("cgmeter_network_namespaces_left_out"), 0, "network namespaces left out")
        devices = {labels["device"] for labels, _ in m.all("container_fs_limit_bytes", id="/")}
        assert not any(d.startswith("/rootfs") for d in devices), "file systems by the container's names: %s" % devices
        with open("/proc/%d/status" % docker.inspect(agent.id)["State"]["Pid"]) as f:
            bits = int(re.search(r"^CapBnd:\s*(\w+)", f.read(), re.M).group(1), 16)
        equal(bin(bits).count("1"), len(container["securityContext"]["capabilities"]["add"]), "capabilities that it has")


def test_image__as_cadvisor(t):
    """cAdvisor's mounts and no flag, but for the pid namespace and the rights."""
    bpffs, cgroup = t.bpffs(), t.cgroup()
    why = wanted_programs()
    with docker_with_image(t) as docker:
        sockets = os.path.join(folder(t), "run")
        os.makedirs(sockets)
        run("mount", "--bind", os.path.dirname(docker.socket), sockets)
        t.callback(run, "umount", sockets)
        os.symlink(os.path.basename(docker.socket), os.path.join(sockets, "docker.sock"))
        docker.run("sleep", "1000", options=("--name", "web"))
        mounts = ["/:/rootfs:ro", sockets + ":/var/run:ro", "/sys:/sys:ro", docker.dir + "/root:/var/lib/docker:ro", bpffs.dir + ":/sys/fs/bpf"]
        mounts += ["/dev/disk:/dev/disk:ro"] if os.path.isdir("/dev/disk") else []
        agent = Deployed(docker, the_container(daemon_set())["securityContext"]["capabilities"]["add"], mounts, ["--housekeeping_interval=500ms"])
        m = agent.until(lambda m: m.all("container_last_seen", name="web"), "name of a container")
        check_host(agent, m, cgroup, why)
        assert "/rootfs" in agent.log(), "does not say where the machine is: " + agent.log()


def test_image__each_capability_is_needed(t):
    """Without each of the DaemonSet's capabilities what its comment says is lost; with all of them it is there."""
    given = the_container(daemon_set())["securityContext"]["capabilities"]["add"]
    equal(set(given), {"SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH"}, "capabilities of which this test knows")
    bpffs, why = t.bpffs(), wanted_programs()
    with docker_with_image(t) as docker:
        user = docker.run("sleep", "1000", options=("--user", "1000"))

        def descriptors(m):
            return sum(value for labels, value in m.all("container_file_descriptors") if user in labels["id"])

        def start(without):
            return Deployed(docker, [c for c in given if c != without], ["/:/rootfs:ro", bpffs.dir + ":/sys/fs/bpf"],
                            ["--pin_dir=/sys/fs/bpf/" + (without or "all"), "--enable_metrics=+process", "--docker="], "--pid=host")

        agents = {without: start(without) for without in [None] + given}
        m = agents[None].until(lambda m: has_network(user)(m) and descriptors(m) > 0, "network and descriptors")
        equal(bool(m.get("cgmeter_kernel_side")), bool(why[0]), "kernel side with all")
        lost = {without: agents[without].until(lambda m: m.get("cgmeter_ticks_total") >= 5, "five rounds") for without in given}
        equal(lost["SYS_ADMIN"].get("cgmeter_kernel_side"), 0, "kernel side without SYS_ADMIN")
        assert not has_network(user)(lost["SYS_PTRACE"]), "network of a container without SYS_PTRACE"
        equal(descriptors(lost["DAC_READ_SEARCH"]), 0, "descriptors of another user's process without DAC_READ_SEARCH")


# ---- package ----

def test_package__contents(t):
    runtimes.need("dpkg-deb", "dpkg")
    out = folder(t)
    words = (os.path.join(DEPLOY, "deb"), "--program", PROGRAM, "--output", out)
    made = run(*words).strip()
    first = read_bytes(made)
    run(*words)
    assert first == read_bytes(made), "not the same bytes"
    control = run("dpkg-deb", "--field", made)
    assert re.search(r"^Version: %s$" % re.escape(version()), control, re.M), control
    for name in ("libc6", "libbpf1", "libmicrohttpd12"):
        assert re.search(r"^Depends:.*\b%s \(>= " % name, control, re.M), "%s in %s" % (name, control)
    assert re.search(r"^Recommends:.*libcurl", control, re.M), control
    root = out + "/root"
    run("dpkg-deb", "--raw-extract", made, root)
    equal(read(root, "DEBIAN/conffiles"), "/etc/cgmeter.conf\n", "conffiles")
    for line in run("dpkg-deb", "--contents", made).splitlines():
        assert line.split()[1] == "root/root", line
    for script in ("postinst", "prerm", "postrm"):
        run("sh", "-n", os.path.join(root, "DEBIAN", script))
    equal(run(root + "/usr/bin/cgmeter", "version"), run(PROGRAM, "version"), "program")
    equal(run("gzip", "-dc", root + "/usr/share/man/man8/cgmeter-node.8.gz"), run(PROGRAM, "man"), "man page")
    run(root + "/usr/bin/cgmeter", "node", "--config=" + root + "/etc/cgmeter.conf", "--version")
    # What is commented out there is right as well.
    with open(out + "/all.conf", "w") as f:
        f.write(re.sub(r"^#(?=\w+ = )", "", read(root, "etc/cgmeter.conf"), flags=re.M))
    run(PROGRAM, "node", "--config=" + out + "/all.conf", "--version")


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def test_package__unit(t):
    runtimes.need("systemd-analyze")
    path = os.path.join(folder(t), "cgmeter.service")
    with open(path, "w") as f:
        f.write(read(DEPLOY, "cgmeter.service").replace("/usr/bin/cgmeter", PROGRAM if os.path.isabs(PROGRAM) else os.path.abspath(PROGRAM)))
    equal(run("systemd-analyze", "verify", "--man=no", path), "", "systemd-analyze verify")


# ---- dashboards ----

def all_dashboards():
    return {os.path.basename(path): json.loads(read(path)) for path in sorted(glob.glob(DEPLOY + "/grafana/*.json"))}


def dashboards():
    """Those that ask a Prometheus."""
    return {name: one for name, one in all_dashboards().items() if not name.startswith("influxdb-")}


def influx_dashboards():
    return {name: one for name, one in all_dashboards().items() if name.startswith("influxdb-")}


def families():
    """{name: (type, whether its group is on by default)}."""
    default = dict(re.findall(r"^CGM_GROUP\((\w+), \"\w+\", \"\w*\", (\w+),", read(TOP, "include/cgmeter/groups.def"), re.M))
    rows = re.findall(r"^CGM_FAMILY\(\w+, \"(\w+)\", (\w+), \"\w*\", (\w+),", read(TOP, "include/cgmeter/metrics.def"), re.M)
    assert len(rows) > 100 and len(default) > 20, "tables of metrics and groups"
    return {name: (kind, default.get(group, "ON") in ("ON", "ALWAYS")) for name, kind, group in rows}


def expressions(one):
    return [target["expr"] for panel in one["panels"] for target in panel["targets"]]


def test_dashboards__as_generated(t):
    out = folder(t)
    run(os.path.join(DEPLOY, "dashboards"), out)
    equal(sorted(os.listdir(out)), ["influxdb-cluster.json", "influxdb-namespace.json", "influxdb-pod.json", "latency.json", "node.json", "pod.json"], "dashboards")
    for name in os.listdir(out):
        assert read(out, name) == read(DEPLOY, "grafana", name), "%s: run make dashboards" % name


def test_dashboards__schema(t):
    for name, one in all_dashboards().items():
        kind = "influxdb" if name in influx_dashboards() else "prometheus"
        assert one["schemaVersion"] >= 36, "Grafana 9"
        equal(one["templating"]["list"][0]["query"], kind, "source of " + name)
        known = {v["name"] for v in one["templating"]["list"]} | {"__rate_interval", "__interval", "timeFilter"}
        ids = [p["id"] for p in one["panels"]]
        equal(len(ids), len(set(ids)), name + ": ids of panels")
        taken = set()
        for panel in one["panels"]:
            assert panel["type"] in ("timeseries", "heatmap", "stat"), panel["type"]
            assert panel["datasource"] == {"type": kind, "uid": "${datasource}"}, panel["title"]
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24 and (place["x"], place["y"]) not in taken, panel["title"]
            taken.add((place["x"], place["y"]))
            assert panel["type"] != "heatmap" or all(target["format"] == "heatmap" for target in panel["targets"]), panel["title"]
        used = {n for n in re.findall(r"\$\{?(\w+)", json.dumps(one["panels"]) + json.dumps(one["templating"])) if not n.startswith("tag_")}
        assert used <= known | {"__all"}, "%s: variables %s" % (name, used - known)


def test_dashboards__metrics_that_there_are(t):
    known = families()
    for name, one in dashboards().items():
        queries = [v["definition"] for v in one["templating"]["list"] if v["type"] == "query"]
        for text in expressions(one) + queries:
            names = {n for n in NAME.findall(text) if not n.startswith("container_label_")}
            assert names, "%s: no metric in %s" % (name, text)
            for metric in names:
                base = metric[:-7] if metric.endswith("_bucket") else metric
                assert base in known, "%s: no metric %s" % (name, metric)
                equal(known[base][0] == "HISTOGRAM", base != metric, "%s: buckets of %s" % (name, metric))
                assert known[base][1], "%s: %s is off by default" % (name, metric)
    assert len({n for n, (kind, _) in known.items() if kind == "HISTOGRAM"}) > 5, "histograms"


def test_dashboards__promql(t):
    runtimes.need("promtool")
    rules = [{"record": "cgmtest:rule%d" % i, "expr": re.sub(r"\$__rate_interval", "5m", text)}
             for i, text in enumerate(text for one in dashboards().values() for text in expressions(one))]
    path = os.path.join(folder(t), "rules.json")
    with open(path, "w") as f:
        json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, f)
    said = run("promtool", "check", "rules", path)
    assert "%d rules found" % len(rules) in said, said


def influx_queries(one):
    return [target["query"] for panel in one["panels"] for target in panel["targets"]]


def cluster_metrics():
    """{name: letters of the sets that may have it}."""
    rows = re.findall(r"^CGM_(?:SCALAR|LABELED)\(\w+, \"([^\"]+)\", \w+, \w+, \"\w+\", ([NSCPMK |]+),", read(TOP, "include/cgmeter/cluster.def"), re.M)
    assert len(rows) > 40, "table of metrics"
    return {name: set(sets.replace(" ", "").split("|")) for name, sets in rows}


def test_dashboards__influxql(t):
    """Metrics that there are, of sets that have them, by tags that their points bear."""
    known = cluster_metrics()
    letters = {"node": "N", "pod": "P", "pod_container": "C", "ns": "M", "cluster": "K"}
    tags = {"node": {"nodename"}, "ns": {"namespace_name"}, "cluster": set(), "pod": {"namespace_name", "pod_name", "nodename"},
            "pod_container": {"namespace_name", "pod_name", "container_name", "nodename"}}
    equal(len(influx_dashboards()), 3, "dashboards")
    for name, one in influx_dashboards().items():
        for panel in one["panels"]:
            for target in panel["targets"]:
                query = target["query"]
                measurement = re.search(r'FROM "([^"]+)"', query).group(1)
                kind = re.search(r"\"type\" = '(\w+)'", query).group(1)
                assert measurement in known, "%s: no metric %s" % (name, measurement)
                assert letters[kind] in known[measurement], "%s: a %s has no %s" % (name, kind, measurement)
                used = set(re.findall(r'"(\w+)" =~', query)) | set(re.findall(r', "(\w+)"', query)) | set(re.findall(r"\$tag_(\w+)", target["alias"]))
                more = {"cluster_name"} | ({"resource_id"} if measurement.startswith(("filesystem/", "disk/io")) else set())
                assert used <= tags[kind] | more, "%s: %s of a %s has no %s" % (name, measurement, kind, used - tags[kind] - more)


lib.main(globals())
