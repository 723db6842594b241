#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Metrics of applications in real Docker containers: found by their labels, asked from within, shown by every interface."""
import json

import lib
import runtimes
from agent import by_speed, wait_for
from lib import equal

PAGE = """# TYPE shop_orders_total counter
shop_orders_total{kind="a\\"b",le="x"} 12.5
shop_orders_total{kind="c"} 3
# TYPE shop_carts gauge
shop_carts 7
# TYPE container_memory_usage_bytes gauge
container_memory_usage_bytes 1
"""
STATUS = "Active connections: 42\nServed: 1.5 done\n"


def files(**named):
    """A command that writes these files and serves them at port 8000 of the container."""
    writes = ["mkdir -p /www"] + ["cat > /www/%s <<'END'\n%sEND" % (name, text) for name, text in named.items()]
    return ("sh", "-c", "\n".join(writes) + "\nhttpd -f -p 8000 -h /www")


def labels(*names):
    return sum((("--label", "io.cadvisor.metric.%s=%s" % pair) for pair in names), ())


def prometheus_config(**more):
    return json.dumps(dict({"endpoint": "http://localhost:8000/page", "polling_frequency": "1s"}, **more)) + "\n"


def value(agent, family, **wanted):
    rows = agent.metrics().all(family, **wanted)
    return rows[0][1] if len(rows) == 1 else None


def test_app__shown(t):
    service = t.enter_context(runtimes.dockerd())
    agent = t.agent("--docker=unix://" + service.socket)
    generic = json.dumps({"endpoint": {"protocol": "http", "port": 8000, "path": "/status"}, "metrics_config": [
        {"name": "active", "metric_type": "gauge", "units": "connections", "data_type": "int", "polling_frequency": "1s", "regex": "connections: ([0-9]+)"},
        {"name": "served so far", "metric_type": "cumulative", "data_type": "float", "polling_frequency": "1s", "regex": "Served: ([0-9.]+)"}]}) + "\n"
    container = service.run(*files(page=PAGE, status=STATUS, **{"p.json": prometheus_config(), "g.json": generic}),
                            options=("--name", "shop") + labels(("prometheus", "/www/p.json"), ("nginx", "/www/g.json")))
    wait_for(lambda: value(agent, "shop_carts", name="shop") == 7 and value(agent, "active", name="shop") == 42, by_speed(10, 90),
             lambda: "metrics of the application; %s" % agent.log()[-2000:])
    equal(value(agent, "shop_orders_total", name="shop", app_kind='a"b', app_le="x"), 12.5, "with labels")
    equal(value(agent, "served_so_far", name="shop"), 1.5, "a name that Prometheus cannot have")
    equal(value(agent, "app_container_memory_usage_bytes", name="shop"), 1, "a name that is ours")
    assert value(agent, "container_memory_usage_bytes", name="shop") > 4096, "ours is not touched"

    info = agent.json("/api/v1.3/docker/shop")
    info = next(iter(info.values()))
    equal(info["id"], container, "id")
    equal(info["spec"]["has_custom_metrics"], True, "spec")
    spec = {m["name"]: m for m in info["spec"]["custom_metrics"]}
    equal(spec["active"], {"name": "active", "type": "gauge", "format": "int", "units": "connections"}, "of an expression")
    equal((spec["shop_orders_total"]["type"], spec["shop_orders_total"]["format"]), ("cumulative", "float"), "of Prometheus' text")
    newest = info["stats"][-1]["custom_metrics"]
    equal((newest["active"][0]["int_value"], newest["shop_carts"][0]["float_value"]), (42, 7), "v1 stats")
    assert "custom_metrics" not in info["stats"][0] or len(info["stats"]) == 1, "an old sample has today's numbers"
    v2 = agent.json("/api/v2.0/stats/shop?type=docker&count=1")
    equal(next(iter(v2.values()))[-1]["has_custom_metrics"], True, "v2.0 stats")
    v2 = agent.json("/api/v2.1/stats/shop?type=docker&count=1")
    equal(next(iter(v2.values()))["stats"][-1]["custom_metrics"]["active"][0]["int_value"], 42, "v2.1 stats")
    by_name = next(iter(agent.json("/api/v2.0/appmetrics/shop?type=docker").values()))
    equal(by_name["active"][""][0]["int_value"], 42, "appmetrics")
    assert '__name__=shop_orders_total\ufffdkind=c' in by_name["shop_orders_total"], by_name
    equal(value(agent, "cgmeter_applications"), 1, "applications")
    equal(value(agent, "cgmeter_application_failures_total"), 0, "failures")
    service.command("rm", "-f", "shop")
    wait_for(lambda: not agent.metrics().all("shop_carts"), by_speed(10, 90), "end of the container's metrics")
    wait_for(lambda: value(agent, "cgmeter_applications") == 0, by_speed(10, 90), "end of asking")


def test_app__hostile(t):
    """Addresses that a container must not have asked, files that are none, answers without end: said once, counted, and the others go on."""
    service = t.enter_context(runtimes.dockerd())
    agent = t.agent("--docker=unix://" + service.socket)
    outside = prometheus_config(endpoint="http://127.0.0.1:%d/metrics" % agent.port)
    bad = {
        "outside": (outside, "Could not connect|Couldn't connect|onnect"),
        "name": (prometheus_config(endpoint="http://example.com/x"), "neither localhost nor a numeric address"),
        "scheme": (prometheus_config(endpoint="file:///etc/passwd"), "neither http:// nor https://"),
        "json": ("{\n", "line "),
        "endless": (prometheus_config(endpoint="http://localhost:8000/endless"), "longer than"),
        "rubbish": (prometheus_config(endpoint="http://localhost:8000/rubbish"), "is no sample"),
    }
    command = list(files(page=PAGE, rubbish="<html>\n", **dict({"ok.json": prometheus_config()}, **{n + ".json": text for n, (text, _) in bad.items()})))
    command[-1] = command[-1].replace("\nhttpd", "\nln -s /etc/shadow /www/link.json; mkfifo /www/fifo.json; head -c 3000000 /dev/zero > /www/endless\nhttpd")
    for name in sorted(bad) + ["link", "fifo", "missing"]:
        service.run(*command, options=("--name", name) + labels(("prometheus", "/www/%s.json" % name)))
    service.run(*command, options=("--name", "good") + labels(("prometheus", "/www/ok.json")))
    wait_for(lambda: value(agent, "shop_carts", name="good") == 7, by_speed(20, 120), lambda: "the good one; %s" % agent.log()[-3000:])
    wait_for(lambda: agent.log().count("metrics of the application in") >= len(bad) + 3, by_speed(30, 120), lambda: agent.log()[-3000:])
    for name, (_, words) in bad.items():
        assert any(w in agent.log() for w in words.split("|")), "%s: %s" % (name, agent.log()[-3000:])
    assert value(agent, "cgmeter_application_failures_total") >= len(bad) + 3, "failures"
    equal([row[0]["name"] for row in agent.metrics().all("shop_carts")], ["good"], "whose metrics there are")


lib.main(globals())
