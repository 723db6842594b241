#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent scraped by a real Prometheus: native histograms for one that asks for them, classic buckets for one that does not."""
import concurrent.futures
import math
import time

import lib
from lib import by_speed, equal, near, note
from prometheus import Prometheus

OFF = "cgmeter_container_cpu_off_seconds"
RUN = "cgmeter_container_cpu_slice_seconds"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def nap(durations):
    """Returns how long each sleep was: on a busy machine longer than asked for."""
    slept = []
    for seconds in durations:
        began = time.monotonic()
        time.sleep(seconds)
        slept.append(time.monotonic() - began)
    return slept


def quiet_sleeper(t, agent, *arguments):
    """A cgroup whose worker has slept and stands still, sampled after that."""
    cgroup = t.cgroup()
    worker = cgroup.worker(nap, *arguments)
    agent.knows(cgroup.path)
    worker.run()
    agent.wait_ticks()
    return cgroup


def native(prometheus, family, **labels):
    """The histogram of that series as Prometheus keeps it, {upper bound: count} and the count."""
    chosen = ",".join('%s="%s"' % item for item in labels.items())
    found = prometheus.query("%s{%s}" % (family, chosen))
    assert len(found) == 1 and "histogram" in found[0], "%s: %s" % (family, found)
    assert "le" not in found[0]["metric"], found[0]["metric"]
    histogram = found[0]["histogram"][1]
    return {float(upper): int(count) for _, _, upper, count in histogram["buckets"]}, int(histogram["count"]), float(histogram["sum"])


def classic(metrics, family, **labels):
    return {float(own["le"].replace("Inf", "inf")): value for own, value in metrics.all(family + "_bucket", **labels)}


def wait_scraped(prometheus, family, count, **labels):
    lib.wait_for(lambda: native(prometheus, family, **labels)[1] == count, by_speed(10, 60), "scrape of %d counts" % count)


def test_native__the_same_counts_as_the_classic_buckets(t):
    agent = t.bpf_agent(groups=["sched_switch"])
    cgroup = quiet_sleeper(t, agent, [0.0002 * 1.25 ** (i % 30) for i in range(by_speed(120, 60))])  # across the bounds from 2^-12 to 2^-3 s
    prometheus = Prometheus(t, agent, "--enable-feature=native-histograms")
    metrics = agent.fresh()
    compared = 0
    for family, labels in ((OFF, {"kind": "sleep"}), (RUN, {})):
        text = classic(metrics, family, id=cgroup.path, **labels)
        wait_scraped(prometheus, family, text[math.inf], id=cgroup.path, **labels)
        buckets, count, total = native(prometheus, family, id=cgroup.path, **labels)
        equal(prometheus.query('%s_bucket{id="%s"}' % (family, cgroup.path)), [], "classic buckets beside the native ones")
        equal(count, text[math.inf], "count")
        near(total, metrics.get(family + "_sum", id=cgroup.path, **labels), absolute=1e-9, what="sum")
        for bound, cumulative in text.items():
            compared += cumulative not in (0, count)
            equal(sum(n for upper, n in buckets.items() if upper <= bound), cumulative, "%s up to %g s" % (family, bound))
    # Five of the sleeps, known; of the slices, which are as the machine is, at least one.
    assert compared >= 6, "only %d bounds with counts on either side" % compared
    equal(prometheus.number('count(cgmeter_container_cpu_slice_seconds{id="%s"})' % cgroup.path), 1, "series of a histogram")


def test_native__quantiles_of_a_known_distribution(t):
    """Sleeps from 8 to 200 ms, evenly by their logarithm: what Prometheus tells must be within 9 % of what was slept."""
    agent = t.bpf_agent(groups=["sched_switch"])
    number, nr_workers = 60, 4
    wanted = [0.008 * 25 ** (i / (number - 1)) for i in range(number)]
    cgroup = t.cgroup()
    workers = [cgroup.worker(nap, wanted) for _ in range(nr_workers)]
    agent.knows(cgroup.path)
    agent.wait_ticks()
    for worker in workers:
        worker.go()
    # Each worker also slept before its naps, waiting for its command, and that was longer than any nap.
    known = sorted(sum((worker.result() for worker in workers), [])) + [9] * nr_workers
    labels = {"id": cgroup.path, "kind": "sleep"}
    count = agent.fresh().get(OFF + "_count", **labels)
    prometheus = Prometheus(t, agent, "--enable-feature=native-histograms")
    wait_scraped(prometheus, OFF, count, **labels)
    # On a loaded machine a short sleep may be over before the task has left its CPU: it never slept then.
    assert 0.97 * len(known) <= count <= len(known) + 3 * nr_workers, "%d sleeps, wanted %d" % (count, len(known))
    worst = 0
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        told = prometheus.number('histogram_quantile(%g, %s{id="%s",kind="sleep"})' % (quantile, OFF, cgroup.path))
        slept = known[math.ceil(quantile * len(known)) - 1]
        note("p%02.0f: %.2f ms, slept %.2f ms, %+.1f %%" % (quantile * 100, told * 1e3, slept * 1e3, (told / slept - 1) * 100))
        worst = max(worst, abs(told / slept - 1))
    assert worst <= 0.09, "wrong by %.1f %%" % (worst * 100)


def test_native__other_families_as_in_the_text(t):
    agent = t.bpf_agent()
    cgroup = quiet_sleeper(t, agent, [0.01])
    prometheus = Prometheus(t, agent, "--enable-feature=native-histograms")
    metrics = agent.fresh()
    names = {name for name, family in metrics.families.items() if family.type != "histogram"
             and any(labels.get("id") == cgroup.path for _, labels, _ in family.samples)}
    assert len(names) > 20, names
    lib.wait_for(lambda: len(prometheus.query('group by (__name__) ({id="%s"})' % cgroup.path)) >= len(names), by_speed(10, 60), "scrape")
    seen = {}
    for sample in prometheus.query('{id="%s"}' % cgroup.path):
        if "value" in sample:
            labels = {k: v for k, v in sample["metric"].items() if k not in ("__name__", "instance", "job")}
            seen[sample["metric"]["__name__"], tuple(sorted(labels.items()))] = float(sample["value"][1])
    compared = 0
    for name in names - {"container_last_seen"}:
        for labels, value in metrics.all(name, id=cgroup.path):
            key = (name, tuple(sorted((k, v) for k, v in labels.items() if v)))
            assert key in seen, "%s%s is not in Prometheus" % (name, labels)
            compared += seen[key] == value
    note("%d series, %d with the value of the text" % (len(seen), compared))
    assert compared > 20, "only %d series have the value of the text" % compared
    equal({s["metric"]["__name__"] for s in prometheus.query('{__name__=~"cgmeter_build_info|machine_cpu_cores"}')},
          {"cgmeter_build_info", "machine_cpu_cores"}, "families without a container")


def test_classic__for_a_server_that_does_not_ask(t):
    agent = t.bpf_agent(groups=["sched_switch"])
    cgroup = quiet_sleeper(t, agent, [0.003] * 20)
    prometheus = Prometheus(t, agent)
    bounds = prometheus.query('%s_bucket{id="%s",kind="sleep"}' % (OFF, cgroup.path))
    equal(len(bounds), 15, "14 bounds and +Inf")
    equal(prometheus.query('%s{id="%s"}' % (OFF, cgroup.path)), [], "native histograms")
    quantile = prometheus.number('histogram_quantile(0.5, %s_bucket{id="%s",kind="sleep"})' % (OFF, cgroup.path))
    assert 2 ** -10 < quantile <= 2 ** -8, "half of them slept 3 ms: %g" % quantile


def test_http__protobuf_by_accept(t):
    agent = t.agent("--bpf=off")
    answer = agent.get("/metrics", Accept=PROTOBUF)
    equal(answer.headers["Content-Type"], PROTOBUF, "type")
    assert b"machine_memory_bytes" in answer.body and len(answer.body) < len(agent.get("/metrics").body), "size %d" % len(answer.body)
    zipped = agent.get("/metrics", Accept=PROTOBUF, Accept_Encoding="gzip")
    equal(zipped.headers["Content-Encoding"], "gzip", "encoding")


def test_series__of_an_idle_container(t):
    """README says how many: a histogram without counts has no buckets."""
    agent = t.bpf_agent()
    cgroup = t.cgroup()
    metrics = agent.fresh()
    names = [name for name, family in metrics.families.items() for _, labels, _ in family.samples if labels.get("id") == cgroup.path]
    note("%d series, %d of our own families" % (len(names), sum(name.startswith("cgmeter_") for name in names)))
    assert 20 < len(names) <= 60, names
    assert sum(name.startswith("cgmeter_") for name in names) <= 12, names


def test_scrapers__fifty_at_once(t):
    agent = t.agent()
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: agent.request("GET", "/metrics").status, range(200)))
    equal(answers, [200] * 200, "statuses")


lib.main(globals())
