#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What `cgmeter cluster` writes, in a real InfluxDB 1.6: beside Heapster 1.5.4's recordings and 0.15's, what dashboards ask, retention policies, and outages (CGM_OUTAGE=600: that many
seconds of one).
"""
import atexit
import collections
import contextlib
import json
import os
import re
import time

import heapster
import lib
import servers
from agent import by_speed, wait_for
from cluster import Cluster, Server
from fleet import Fleet
from heapster import STEP
from lib import equal, near

GRAFANA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/deploy/grafana")
NS = 10**9


class Tables:
    """A database, read at once: series are {(measurement, tags as sorted pairs): {field: [(time, value)]}}."""

    def __init__(self, influx, db):
        self.influx, self.db = influx, db
        self.measurements = [row[0] for one in self.query("SHOW MEASUREMENTS") for row in one["values"]]
        self.tags = {one["name"]: [row[0] for row in one["values"]] for one in self.query("SHOW TAG KEYS")}
        self.fields = {one["name"]: dict(one["values"]) for one in self.query("SHOW FIELD KEYS")}
        self.series = {}
        for one in self.query("SELECT * FROM /.+/ GROUP BY *"):
            tags = tuple(sorted((k, v) for k, v in one["tags"].items() if v))
            fields = self.series.setdefault((one["name"], tags), {})
            for row in one["values"]:
                values = dict(zip(one["columns"], row))
                for field in self.fields[one["name"]]:
                    if values.get(field) is not None:
                        fields.setdefault(field, []).append((values["time"], values[field]))

    def query(self, text):
        return self.influx.query(text, self.db)

    def points(self, measurement, tags, field="value"):
        found = self.series.get((measurement, tuple(sorted(tags.items()))), {}).get(field)
        assert found, "no points of %s %s %s in %s" % (measurement, tags, field, self.db)
        return found

    def keys(self, measurement):
        """SHOW SERIES as it prints."""
        return [row[0] for one in self.query('SHOW SERIES FROM "%s"' % measurement) for row in one["values"]]


class Recorded:
    """Three clusters that write into one InfluxDB, made once for all tests that read: in 2 or 3 windows all that a test wants is there."""

    made = None

    def __init__(self):
        self.stack = lib.Test()
        atexit.register(self.stack.close)
        t = self.stack
        self.influx = servers.Influxdb(t)
        self.hung = Server(lambda *_: None)
        t.callback(self.hung.stop)
        self.a, peer = self.kubelet(heapster.NodeA, "127.0.0.2"), self.kubelet(heapster.PeerNode, "127.0.0.3")
        for db in ("kept_old", "other"):
            self.influx.query('CREATE DATABASE %s WITH DURATION 7d NAME "mine"' % db, post=True)
        self.influx.query('CREATE DATABASE kept_same WITH DURATION 7d NAME "default"', post=True)
        self.clusters = []
        self.start("kubernetes.summary_api", heapster.api_server_of_node_a("127.0.0.2"), self.a, "influxdb:%s?db=hung" % self.hung.url,
                   "?", "?db=v015&schema=0.15", "?db=kept&retention=30d", "?db=kept_old&retention=2w", "?db=kept_same&retention=36h", "?db=other")
        self.start("kubernetes", heapster.api_server_of_node_a("127.0.0.2"), self.a, "?db=fields&withfields=true&cluster_name=c1")
        self.start("kubernetes.summary_api", heapster.api_server_of_peer_node("127.0.0.3"), peer, "?db=real")
        for db, measurement, count in (("k8s", "cpu/usage_rate", 2), ("real", "cpu/usage_rate", 2), ("v015", "uptime_ms_cumulative", 2), ("kept", "uptime", 1), ("kept_old", "uptime", 1),
                                       ("kept_same", "uptime", 1), ("other", "uptime", 1)):
            self.wait(db, 'SELECT count("value") FROM "%s" GROUP BY *' % measurement, count)
        self.wait("fields", "SELECT count(\"usage_rate\") FROM \"cpu\" WHERE \"type\" = 'node'", 2)

    def kubelet(self, kind, host):
        one = kind(host=host)
        self.stack.callback(one.stop)
        return one

    def start(self, source, kube, kubelet, *sinks):
        self.stack.callback(kube.stop)
        words = ["--source=%s:%s?inClusterConfig=false&useServiceAccount=false&kubeletPort=%d" % (source, kube.url, kubelet.port), "--stop_timeout=1s"]
        words += ["--sink=" + (sink if ":" in sink else "influxdb:http://127.0.0.1:%d%s" % (self.influx.port, sink)) for sink in sinks]
        self.clusters.append(Cluster(*words))
        self.stack.callback(self.clusters[-1].stop)

    def wait(self, db, query, count):
        def is_there():
            with contextlib.suppress(AssertionError):
                return any(row[1] >= count for one in self.influx.query(query, db) for row in one["values"])
        wait_for(is_there, by_speed(60, 240), lambda: "%d of %s in %s; %s" % (count, query, db, "\n".join(c.log()[-1500:] for c in self.clusters)))

    @classmethod
    def get(cls):
        if not cls.made:
            cls.made = cls()
        return cls.made


def counts(cluster, name):
    """{sink: number} of cgmeter_cluster_export_NAME at /metrics, reasons added up."""
    found = collections.Counter()
    for labels, value in re.findall(r"^cgmeter_cluster_export_%s\{(.*)\} (\S+)$" % name, cluster.get("/metrics").body.decode(), re.M):
        found[labels.partition('uri="')[2].partition('"')[0]] += float(value)
    return found


# ---- Heapster 1.5.4 ----

# Where we differ from what is recorded, and why.
SCHEDULABLE = "schedulable"  # a node's tag of both sources; Heapster's summary source forgot it
OURS = {SCHEDULABLE}


def is_rate(name):
    return name.endswith("_rate")


def same(value, wanted, name, what):
    """A value of ours beside one of Heapster's."""
    if name == "uptime" or name.startswith("uptime"):
        near(value, wanted, absolute=60000, what=what)  # of the moment when it is asked
    elif is_rate(name) or "node_utilization" in name:
        # The recorded kubelet's clock and its counters were read at two moments, which shows in its rates; and Heapster floors cpu/usage_rate, we round it.
        near(value, wanted, relative=0.01, absolute=1 if name == "cpu/usage_rate" else 0, what=what)
    else:
        near(value, wanted, absolute=5e-7 if isinstance(wanted, float) else 0, what=what)  # the log sink prints six digits


def recorded_shape(tables, name):
    """SHOW MEASUREMENTS, SHOW TAG KEYS and SHOW FIELD KEYS, SHOW SERIES as recorded."""
    parts = heapster.influx_parts(name)
    equal(tables.measurements, [row[0] for row in heapster.table(parts["SHOW MEASUREMENTS"])["measurements"]], "measurements")
    if "SHOW TAG KEYS" in parts:
        wanted = {m: [row[0] for row in rows] for m, rows in heapster.table(parts["SHOW TAG KEYS"]).items()}
        equal({m: [k for k in keys if k not in OURS] for m, keys in tables.tags.items()}, wanted, "tags")
    if "SHOW FIELD KEYS" in parts:
        equal(tables.fields, {m: {row[0]: row[1] for row in rows} for m, rows in heapster.table(parts["SHOW FIELD KEYS"]).items()}, "fields")
    for query, lines in parts.items():
        if query.startswith("SHOW SERIES FROM"):
            measurement = query.split('"')[1]
            ours = sorted(re.sub(r",schedulable=true(?=,type=node$)", "", key) for key in tables.keys(measurement))
            equal(ours, sorted(line for line in lines[2:] if line), "series of " + measurement)
    return parts


def test_heapster__measurements_tags_fields_and_series(t):
    tables = Tables(Recorded.get().influx, "k8s")
    parts = recorded_shape(tables, "cluster/influxdb-1.5.4-default.txt")
    policies = [row for one in tables.query("SHOW RETENTION POLICIES ON k8s") for row in one["values"]]
    equal(policies, [["default", "0s", "168h0m0s", 1, True]], "retention policies")
    nr = 0
    for query, lines in parts.items():
        if "(json)" not in query:
            continue
        recorded = json.loads(lines[0])["results"][0]["series"][0]
        labels = dict(zip(recorded["columns"], recorded["values"][0]))
        labels.pop("time")
        value = labels.pop("value")
        tags = {k: v for k, v in labels.items() if v is not None}
        if tags["type"] == "node":
            tags[SCHEDULABLE] = "true"
        answer = tables.query('SELECT * FROM "%s" ORDER BY time DESC LIMIT 1' % recorded["name"])[0]
        equal([c for c in answer["columns"] if c not in OURS], recorded["columns"], "columns of " + recorded["name"])
        points = tables.points(recorded["name"], tags)
        if recorded["name"] not in ("cpu/usage", "memory/page_faults", "network/rx", "network/tx", "uptime"):  # that grow: see the next test
            same(points[-1][1], value, recorded["name"], recorded["name"])
        nr += 1
    equal(nr, 36, "recorded answers")


def test_heapster__values_of_a_whole_batch(t):
    """Each value of each set that Heapster had of the same cluster, and no other: counters at the first answer, which had theirs, gauges at the last one."""
    tables = Tables(Recorded.get().influx, "k8s")
    left, rows = dict(tables.series), 0
    for key, (labels, values) in heapster.batch().items():
        tags = {k: v for k, v in labels.items() if k in ("type", "nodename", "labels", "namespace_name", "pod_name", "container_name", "container_base_image")}
        tags["cluster_name"] = "default"
        if tags["type"] == "node":
            tags[SCHEDULABLE] = "true"
        for name, wanted in values.items():
            metric, resource = name if isinstance(name, tuple) else (name, None)
            own = dict(tags, resource_id=resource) if resource else tags
            points = tables.points(metric, own)
            at = -1 if is_rate(metric) or "node_" in metric else 0
            same(points[at][1], wanted, metric, "%s %s %s" % (key, metric, resource or ""))
            del left[metric, tuple(sorted(own.items()))]
            rows += 1
    equal(sorted(left), [], "series that Heapster has not")
    assert rows > 150, rows
    exact = {c: tables.points("cpu/usage_rate", {"cluster_name": "default", "nodename": "node-a", "type": "pod_container", "container_name": c, "labels": "app:web,tier:front",
                                                 "namespace_name": "default", "pod_name": "web-1", "container_base_image": image})[-1][1]
             for c, image in (("c1", "nginx:1"), ("c2", "side:1"))}
    equal(exact, {"c1": 200, "c2": 100}, "rates by the kubelet's clock")


def test_heapster__a_real_kubelet(t):
    tables = Tables(Recorded.get().influx, "real")
    parts = recorded_shape(tables, "cluster/influxdb-1.5.4-real-kubelet.txt")
    rates = {tuple(v for k, v in key[1] if k in ("type", "namespace_name", "pod_name", "container_name", "nodename")): fields["value"][-1][1]
             for key, fields in tables.series.items() if key[0] == "cpu/usage_rate"}
    query = [q for q in parts if q.startswith('SELECT * FROM "cpu/usage_rate"')][0]
    wanted = collections.Counter(int(row[-1]) for row in heapster.table(parts[query])["cpu/usage_rate"][1:] if row[0] == "1795365195000000000")
    assert not wanted - collections.Counter(rates.values()), "rates: %s, wanted %s" % (rates, wanted)


# What Heapster's old source did wrong: the rate of a second disk was reckoned from the first one's bytes.
WRONG_DISKS = {("io_read_bytes_rate", "/dev/vdb"): 50000, ("io_write_bytes_rate", "/dev/vdb"): 0}


def test_heapster__withfields(t):
    """The lines that it sent, of the kubelets' old /stats/container: first those of its first batch, then the rates of its second."""
    tables = Tables(Recorded.get().influx, "fields")
    lines = [heapster.line(text) for text in heapster.fixture("heapster/influxdb-withfields.txt").splitlines()]
    first = min(line[4] for line in lines)
    nr = 0
    for measurement, tags, field, wanted, at in lines:
        if measurement == "network" and tags["type"] == "pod_container":
            continue  # its sandbox's, which all containers share: we count it once, as the pod's
        points = tables.points(measurement, tags, field)
        what = "%s %s %s" % (measurement, field, tags)
        if is_rate(field):
            wanted = WRONG_DISKS.get((field, tags.get("resource_id")), wanted)
            near(points[-1][1], wanted, relative=0.01, what=what)
        elif field == "node_utilization" and measurement == "cpu":
            equal(points[0][1], wanted, what)
        elif measurement == "uptime":
            near(points[0][1], wanted, absolute=60000, what=what)
        elif at == first or not isinstance(wanted, int):
            equal(points[0][1], wanted, what)
        else:  # ten seconds later than it
            near(points[0][1], wanted, relative=0.01, what=what)
        equal(tables.fields[measurement][field], "integer" if isinstance(wanted, int) and not is_rate(field) or field == "usage_rate" else "float", "type of " + what)
        nr += 1
    assert nr > 80, nr
    pod = {"cluster_name": "c1", "labels": "app:web,tier:front", "namespace_name": "default", "nodename": "node-a", "pod_name": "web-1", "type": "pod"}
    equal([tables.points("network", pod, field)[0][1] for field in ("rx", "tx")], [401159, 802319], "the pod's network")


def test_heapster_0_15__series_and_columns(t):
    tables = Tables(Recorded.get().influx, "v015")
    wanted = {words[0]: set(words[1:]) - {"time", "value", "sequence_number"} for words in map(str.split, heapster.fixture("cluster/heapster-0.15-series.txt").splitlines())}
    # The recording ends here; the rest by its table of metrics, names as they are above.
    more = {"network/rx_bytes_cumulative", "network/rx_errors_cumulative", "network/tx_bytes_cumulative", "network/tx_errors_cumulative", "filesystem/usage_bytes_gauge",
            "filesystem/limit_bytes_gauge"}
    equal(set(tables.measurements), set(wanted) | more, "series")
    container = {"container_name": "c1", "host_id": "ext-1", "hostname": "node-a", "labels": "app:web,tier:front", "namespace_id": "ns-uid-1", "pod_id": "pod-uid-1",
                 "pod_name": "web-1", "pod_namespace": "default"}
    for name, columns in wanted.items():
        equal(set(container), columns, "columns of " + name)
        tables.points(name, container)
    equal(tables.points("memory/limit_bytes_gauge", container)[-1][1], 134217728, "a limit")
    equal(tables.points("cpu/limit_gauge", container)[-1][1], 500, "a limit")
    equal({dict(tags)["container_name"] for name, tags in tables.series if "pod_name" not in dict(tags)},
          {"machine", "/docker-daemon", "/kubelet", "/pods", "/system"}, "what stands for a node")
    equal({dict(tags).get("resource_id") for name, tags in tables.series if name == "filesystem/usage_bytes_gauge"}, {"/", "logs"}, "file systems")


# ---- what is asked ----

# The metrics of our dashboards that agents tell and kubelets do not.
OF_AGENTS = {"cpu/run_queue_delay_rate", "cpu/throttled_rate", "disk/wait_rate", "network/tcp_retransmits_rate"}


def filled(query, **variables):
    """As Grafana does it."""
    variables.update(timeFilter="time > now() - 1h", __interval="10s", interval="10s")
    return re.sub(r"\$\{?(\w+)\}?", lambda m: variables[m[1]], query)


def rows(influx, db, query):
    return [row for one in influx.query(query, db) for row in one["values"] if any(v is not None for v in row[1:])]


def test_grafana__our_dashboards(t):
    influx, nr, empty = Recorded.get().influx, 0, set()
    for name in ("cluster", "namespace", "pod"):
        with open("%s/influxdb-%s.json" % (GRAFANA, name)) as f:
            board = json.load(f)
        chosen = dict(cluster="default", node="node-a", namespace="default", pod="web-1")
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found = {row[1] for row in rows(influx, "k8s", filled(variable["query"], **chosen))}
                assert chosen[variable["name"]] in found, "%s: values of %s: %s" % (name, variable["name"], found)
        targets = [target for panel in board["panels"] for target in panel.get("targets", [])]
        for target in targets:
            for more in ({}, dict(node=".*", namespace=".*", pod=".*", cluster=".*")):
                found = rows(influx, "k8s", filled(target["query"], **dict(chosen, **more)))
                metric = re.search(r'FROM "([^"]+)"', target["query"])[1]
                if not found:
                    empty.add(metric)
                nr += 1
    equal(empty, OF_AGENTS, "metrics without rows")
    assert nr > 80, nr


def test_grafana__heapsters_dashboards(t):
    """Its queries, by what they ask: of 1.5 (cluster and pods) and of the time of 0.19 and before."""
    influx = Recorded.get().influx
    node, pod = '"nodename" =~ /node-a$/', '"namespace_name" =~ /default$/ AND "pod_name" =~ /web-1$/'
    asked = [(m, "type = 'cluster'", "") for m in ("cpu/usage_rate", "cpu/limit", "cpu/request", "memory/usage", "memory/limit", "memory/request")]
    asked += [(m, "\"type\" = 'node'" + more, group) for m in ("cpu/usage_rate", "cpu/limit", "cpu/request", "cpu/node_capacity", "cpu/node_utilization", "cpu/node_reservation",
              "memory/usage", "memory/working_set", "memory/limit", "memory/request", "memory/node_capacity", "memory/node_utilization", "network/rx_rate", "network/tx_rate",
              "filesystem/usage", "filesystem/limit") for more, group in (("", ', "nodename"'), (" AND " + node, ""))]
    asked += [(m, "\"type\" = 'pod_container' AND " + pod, ', "container_name"') for m in ("cpu/usage_rate", "cpu/limit", "cpu/request", "memory/usage", "memory/working_set",
              "memory/limit", "memory/request", "memory/major_page_faults_rate", "filesystem/usage", "filesystem/limit")]
    asked += [(m, "\"type\" = 'pod' AND " + pod, "") for m in ("network/rx_rate", "network/tx_rate", "cpu/usage_rate", "memory/usage", "restart_count")]
    for metric, where, group in asked:
        for fill in ("fill(null)", "fill(none)"):
            query = 'SELECT sum("value") FROM "%s" WHERE %s AND $timeFilter GROUP BY time($interval)%s %s' % (metric, where, group, fill)
            assert rows(influx, "k8s", filled(query)), query
    for key in ("nodename", "namespace_name", "pod_name", "container_name", "type"):
        assert rows(influx, "k8s", 'SHOW TAG VALUES FROM "uptime" WITH KEY = "%s"' % key if key != "namespace_name" else
                    'SHOW TAG VALUES FROM "cpu/usage_rate" WITH KEY IN ("namespace_name")'), key
    old = [(m, "\"container_name\" = 'machine'", ', "hostname"') for m in ("memory/limit_bytes_gauge", "memory/usage_bytes_gauge", "memory/working_set_bytes_gauge", "cpu/limit_gauge",
           "cpu/usage_ns_cumulative", "filesystem/usage_bytes_gauge", "filesystem/limit_bytes_gauge", "network/rx_bytes_cumulative")]
    old += [(m, "\"hostname\" =~ /node-a/ AND \"pod_name\" =~ /web-1/", ', "container_name"') for m in ("memory/limit_bytes_gauge", "memory/usage_bytes_gauge", "cpu/usage_ns_cumulative")]
    for metric, where, group in old:
        query = 'SELECT max("value") AS "value" FROM "%s" WHERE %s AND $timeFilter GROUP BY time($interval)%s' % (metric, where, group)
        assert rows(influx, "v015", filled(query)), query


def test_retention__is_set(t):
    influx = Recorded.get().influx

    def policies(db):
        return {row[0]: (row[1], row[4]) for one in influx.query("SHOW RETENTION POLICIES ON " + db) for row in one["values"]}

    equal(policies("kept"), {"default": ("720h0m0s", True)}, "of a new database")
    equal(policies("kept_old"), {"mine": ("168h0m0s", False), "default": ("336h0m0s", True)}, "of one with another policy")
    equal(policies("kept_same"), {"default": ("36h0m0s", True)}, "of one with another duration")
    equal(policies("other"), {"mine": ("168h0m0s", True)}, "of one that is left as it is")
    for db, policy in (("kept", "default"), ("kept_old", "default"), ("kept_same", "default"), ("other", "mine")):
        assert rows(influx, db, 'SELECT * FROM "%s"."uptime" LIMIT 1' % policy), "%s holds nothing in %s" % (db, policy)


def test_hanging_server__delays_no_other(t):
    """The first sink's server takes connections and never answers: each window is in the others' databases."""
    recorded = Recorded.get()
    asked = sorted(set(recorded.a.windows))[-2]
    tags = {"cluster_name": "default", "labels": "kubernetes.io/hostname:node-a,zone:z1", "nodename": "node-a", "type": "node", SCHEDULABLE: "true"}

    def times():
        return [time // NS for time, _ in Tables(recorded.influx, "k8s").points("memory/usage", tags)]

    wait_for(lambda: times()[-1] >= asked + STEP, by_speed(30, 120), lambda: recorded.clusters[0].log()[-2000:])
    found = times()
    equal(found, list(range(found[0], found[-1] + 1, STEP)), "windows")
    sent = counts(recorded.clusters[0], "sent_points_total")
    equal([value for uri, value in sent.items() if "db=hung" in uri], [0], "points that the hung one has: %s" % sent)
    assert all(value > 0 for uri, value in sent.items() if "db=hung" not in uri) and len(sent) == 7, sent
    equal(set(counts(recorded.clusters[0], "lost_points_total").values()), {0}, "lost points")


# ---- outages ----

OUTAGE = int(os.environ.get("CGM_OUTAGE", "40"))


class Outage:
    """A fleet of 20 nodes, a `cgmeter cluster` that asks it, and a database of its own for both."""

    def __init__(self, t, influx, name, *options):
        self.t, self.influx, self.db, self.options = t, influx, name, options
        self.fleet = Fleet(20, 10)
        t.callback(self.fleet.stop)
        self.cluster, self.starts = None, 0
        self.start()

    def start(self):
        self.cluster = Cluster(self.fleet.source, "--stop_timeout=1s", "--sink=influxdb:http://127.0.0.1:%d?db=%s" % (self.influx.port, self.db), *self.options)
        self.starts += 1
        self.t.agents.append(self.cluster)
        self.t.callback(self.cluster.stop)

    def kill(self):
        """Between two windows, when what was asked for is with the sink: its encoder keeps a batch for half a second."""
        asked = self.asked()
        wait_for(lambda: self.asked() > asked, by_speed(30, 120), lambda: "another cycle: " + self.cluster.log()[-2000:])
        time.sleep(STEP / 2)
        self.cluster.process.kill()
        self.cluster.process.wait()

    def asked(self):
        return min(self.fleet.numbers().values())

    def until_asked(self, more):
        asked = self.asked()
        self.cluster.until(lambda: self.asked() >= asked + more, "cycles", by_speed(60, 300))

    def arrived(self, influx):
        """{node: {window: number}}"""
        found = {}
        if [self.db] not in influx.query("SHOW DATABASES")[0].get("values", []):
            return found
        for one in influx.query('SELECT "value" FROM "memory/working_set" WHERE "type" = \'node\' GROUP BY "nodename"', self.db):
            found[one["tags"]["nodename"]] = {at // NS: number for at, number in one["values"]}
        return found

    def check(self, influx, numbers):
        """What each node has told up to those numbers is there: once, and in its window."""
        wait_for(lambda: all(max(self.arrived(influx).get(name, {0: 0}).values()) >= number for name, number in numbers.items()), by_speed(60, 300),
                 lambda: "all that was told in %s: %s; %s" % (self.db, counts(self.cluster, "spool_bytes"), self.cluster.log()[-3000:]))
        arrived, complete = self.arrived(influx), set()
        for name, windows in arrived.items():
            told = self.fleet.told[name]
            in_order = [windows[at] for at in sorted(windows)]
            equal(in_order, sorted(set(in_order)), "%s: numbers of %s by time" % (self.db, name))
            missing = set(range(1, numbers[name] + 1)) - set(in_order)
            # A window for which it is asked again, after a start, has the last answer.
            again = {number for number in missing if int(told[number - 1]) // STEP == int(told[number]) // STEP}
            equal(sorted(missing - again), [], "%s: answers of %s that are missing, of %s" % (self.db, name, numbers[name]))
            assert len(again) < self.starts, "%s: %s" % (name, again)
            late = {at: told[number - 1] - at for at, number in windows.items() if not 0 <= told[number - 1] - at < 2 * STEP}
            equal(late, {}, "%s: windows of %s with another's number" % (self.db, name))
            # They come in order: what is before a window that has begun to come is there whole.
            complete |= {at for at, number in windows.items() if number < numbers[name]}
        equal(sorted(arrived), sorted(numbers), "nodes")
        self.check_series(influx, max(complete), len(complete))
        return len(complete)

    def check_series(self, influx, last, nr_windows):
        """All series, not only those that are numbered, have a point in each window; rates need an answer before."""
        nr = 0
        for one in influx.query('SELECT count("value") FROM /.+/ WHERE time <= %d GROUP BY *' % (last * NS), self.db):
            points = one["values"][0][1]
            wanted = (nr_windows,) if not is_rate(one["name"]) else range(nr_windows - self.starts, nr_windows)
            assert points in wanted, "%s: %s %s has %d points in %d windows" % (self.db, one["name"], one["tags"], points, nr_windows)
            nr += 1
        assert nr > 20 * 10 * 20, "series: %d" % nr


def test_outage__nothing_is_missing_and_nothing_twice(t):
    """InfluxDB is killed and stays away: what waits does so in memory; on disk, since memory is too small; through a kill of the one that waits. Where it may not, that is said."""
    influx, spools = servers.Influxdb(t), [servers.folder(t) for _ in range(2)]
    in_memory = Outage(t, influx, "memory", "--queue_bytes=%d" % max(64 << 20, OUTAGE << 18))  # 125 kB/s of lines wait there as they are
    on_disk = Outage(t, influx, "disk", "--queue_bytes=1048576", "--spool=" + spools[0])
    killed = Outage(t, influx, "killed", "--queue_bytes=1048576", "--spool=" + spools[1])
    each, lossy = (in_memory, on_disk, killed), Outage(t, influx, "lossy", "--queue_bytes=1048576")
    for one in each + (lossy,):
        one.until_asked(1)
        wait_for(lambda one=one: len(one.arrived(influx)) == 20, by_speed(40, 200), lambda one=one: "first points: " + one.cluster.log()[-2000:])
    influx.process.kill()
    influx.process.wait()
    end = time.monotonic() + OUTAGE
    for one in each:
        one.until_asked(2)
    killed.kill()
    killed.start()
    time.sleep(max(0.0, end - time.monotonic()))
    assert counts(on_disk.cluster, "spool_bytes") and all(counts(one.cluster, "spool_bytes").popitem()[1] > 0 for one in each[1:]), "nothing is on disk"
    said = "what waits fills --queue_bytes=1048576, and there is no --spool; the oldest points go, and are counted"
    lossy.cluster.until(lambda: sum(counts(lossy.cluster, "lost_points_total").values()) > 0 and said in lossy.cluster.log(), "word of what is lost", by_speed(60, 300))
    equal(lossy.cluster.log().count(said), 1, "how often it says so")
    numbers = [one.fleet.numbers() for one in each]
    influx = servers.Influxdb(t, influx.path, influx.port)
    for one, wanted in zip(each, numbers):
        windows = one.check(influx, wanted)
        lib.note("%s: %d windows, %d answers of 20 nodes" % (one.db, windows, sum(wanted.values())))
        equal(sum(counts(one.cluster, "lost_points_total").values()), 0, "lost points of " + one.db)


lib.main(globals())
