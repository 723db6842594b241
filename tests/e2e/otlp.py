# SPDX-License-Identifier: Apache-2.0
"""A strict reader of OTLP's protobuf, by the field numbers of opentelemetry/proto/metrics/v1: what is not in these tables is an error."""
import struct

VARINT, FIXED64, BYTES = 0, 1, 2
# number: (name, kind, repeated); a kind in capitals is a message of MESSAGES
MESSAGES = {
    "REQUEST": {1: ("resource_metrics", "RESOURCE_METRICS", True)},
    "RESOURCE_METRICS": {1: ("resource", "RESOURCE", False), 2: ("scope_metrics", "SCOPE_METRICS", True)},
    "RESOURCE": {1: ("attributes", "KEY_VALUE", True)},
    "SCOPE_METRICS": {1: ("scope", "SCOPE", False), 2: ("metrics", "METRIC", True)},
    "SCOPE": {1: ("name", "string", False), 2: ("version", "string", False)},
    "KEY_VALUE": {1: ("key", "string", False), 2: ("value", "ANY", False)},
    "ANY": {1: ("string_value", "string", False)},
    "METRIC": {1: ("name", "string", False), 3: ("unit", "string", False), 5: ("gauge", "GAUGE", False), 7: ("sum", "SUM", False),
               10: ("exponential", "EXPONENTIAL", False)},
    "GAUGE": {1: ("data_points", "NUMBER", True)},
    "SUM": {1: ("data_points", "NUMBER", True), 2: ("temporality", "varint", False), 3: ("monotonic", "varint", False)},
    "EXPONENTIAL": {1: ("data_points", "EXPONENTIAL_POINT", True), 2: ("temporality", "varint", False)},
    "NUMBER": {2: ("start", "fixed64", False), 3: ("time", "fixed64", False), 4: ("double", "double", False), 6: ("int", "sfixed64", False),
               7: ("attributes", "KEY_VALUE", True)},
    "EXPONENTIAL_POINT": {1: ("attributes", "KEY_VALUE", True), 2: ("start", "fixed64", False), 3: ("time", "fixed64", False),
                          4: ("count", "fixed64", False), 5: ("sum", "double", False), 6: ("scale", "sint", False), 7: ("zero_count", "fixed64", False),
                          8: ("positive", "BUCKETS", False), 14: ("zero_threshold", "double", False)},
    "BUCKETS": {1: ("offset", "sint", False), 2: ("counts", "packed", False)},
}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        assert shift <= 70, "a varint of more than 64 bits"
        if not byte & 0x80:
            return value, at


def one(kind, wire, data, at):
    if wire == VARINT:
        value, at = varint(data, at)
        assert kind in ("varint", "sint"), kind
        return ((value >> 1) ^ -(value & 1) if kind == "sint" else value), at
    if wire == FIXED64:
        form = {"fixed64": "<Q", "sfixed64": "<q", "double": "<d"}[kind]
        return struct.unpack_from(form, data, at)[0], at + 8
    assert wire == BYTES, "wire type %d" % wire
    size, at = varint(data, at)
    part = data[at:at + size]
    assert len(part) == size, "cut short"
    if kind == "string":
        return part.decode("utf-8"), at + size  # strictly
    if kind == "packed":
        values, pos = [], 0
        while pos < size:
            value, pos = varint(part, pos)
            values.append(value)
        return values, at + size
    return decode(part, kind), at + size


def decode(data, message="REQUEST"):
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        assert key >> 3 in MESSAGES[message], "%s has no field %d" % (message, key >> 3)
        name, kind, repeated = MESSAGES[message][key >> 3]
        value, at = one(kind, key & 7, data, at)
        if repeated:
            found.setdefault(name, []).append(value)
        else:
            assert name not in found, "%s: %s twice" % (message, name)
            found[name] = value
    return found


def attributes(owner):
    found = {}
    for pair in owner.get("attributes", []):
        assert pair["key"] not in found, "attribute %s twice" % pair["key"]
        found[pair["key"]] = pair["value"]["string_value"]
    return found


class Export:
    """All points of some requests: {(cgroup, metric, attributes): [(time, start, value)]}; of a histogram the value is its point."""

    def __init__(self, bodies):
        self.points, self.units, self.resources, self.kinds, self.nr = {}, {}, {}, {}, 0
        for body in bodies:
            for r in decode(body)["resource_metrics"]:
                self.resource(r)

    def resource(self, r):
        own = attributes(r["resource"])
        self.resources[own["cgmeter.cgroup"]] = own
        assert len(r["scope_metrics"]) == 1 and r["scope_metrics"][0]["scope"]["name"] == "cgmeter"
        for metric in r["scope_metrics"][0]["metrics"]:
            kinds = [k for k in ("gauge", "sum", "exponential") if k in metric]
            assert len(kinds) == 1, metric
            self.metric(own["cgmeter.cgroup"], metric, kinds[0], metric[kinds[0]])

    def metric(self, cgroup, metric, kind, data):
        name = metric["name"]
        shape = (kind, metric["unit"], data.get("monotonic", 0))
        assert self.kinds.setdefault(name, shape) == shape, "%s: %s and %s" % (name, self.kinds[name], shape)
        assert kind == "gauge" or data["temporality"] == 2, "%s: temporality" % name
        seen = set()
        for point in data["data_points"]:
            own = tuple(sorted(attributes(point).items()))
            assert own not in seen, "%s: two points %s" % (name, own)
            seen.add(own)
            self.nr += 1
            value = point if kind == "exponential" else point["int"] if "int" in point else point["double"]
            assert ("start" in point) == (kind != "gauge") and point.get("start", 0) <= point["time"], point
            self.points.setdefault((cgroup, name, own), []).append((point["time"], point.get("start"), value))

    def values(self, cgroup, name, **own):
        """{time: value}; _ in a keyword stands for a point."""
        wanted = tuple(sorted((k.replace("__", "."), v) for k, v in own.items()))
        return {time: value for time, _, value in self.points.get((cgroup, name, wanted), [])}
