# SPDX-License-Identifier: Apache-2.0
"""A strict reader of the Prometheus text format 0.0.4: what is doubtful there is an error here."""
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
COMMENT = re.compile(r"^# (HELP|TYPE) (\S+) (.*)$")
VALUE = re.compile(r"^(NaN|[+-]Inf|-?\d+(\.\d+)?([eE][+-]?\d+)?)$")
INTEGER = re.compile(r"^-?\d+$")
ESCAPE = re.compile(r"\\(.)")


class Broken(AssertionError):
    pass


def unescape(text):
    return ESCAPE.sub(lambda m: "\n" if m.group(1) == "n" else m.group(1), text) if "\\" in text else text


def parse_labels(text, at):
    labels, pos = {}, 0
    while pos < len(text):
        m = LABEL.match(text, pos)
        if not m:
            raise Broken("%s: bad label at %r" % (at, text[pos:pos + 40]))
        if m.group(1) in labels:
            raise Broken("%s: label %s twice" % (at, m.group(1)))
        labels[m.group(1)] = unescape(m.group(2))
        pos = m.end()
        if pos < len(text):
            if text[pos] != ",":
                raise Broken("%s: no comma at %r" % (at, text[pos:pos + 40]))
            pos += 1
    return labels


def parse_value(text, at):
    if not VALUE.match(text):
        raise Broken("%s: bad value %r" % (at, text))
    if INTEGER.match(text):
        return int(text)  # exact beyond 2^53
    return float(text.replace("Inf", "inf"))


class Family:
    def __init__(self, name):
        self.name, self.type, self.help = name, None, None
        self.samples = []  # (sample name, labels, value)


class Metrics:
    def __init__(self, text):
        self.families = {}
        self.by_name = {}
        self.parse(text)
        for family in self.families.values():
            if family.type == "histogram":
                self.check_histogram(family)

    def parse(self, text):
        if not text.endswith("\n"):
            raise Broken("the page does not end with a newline")
        family, seen = None, set()
        for number, line in enumerate(text.split("\n")[:-1], 1):
            at = "line %d" % number
            comment = COMMENT.match(line)
            if comment:
                family = self.comment(family, comment, at)
            elif line.startswith("#"):
                raise Broken("%s: neither HELP nor TYPE: %r" % (at, line))
            else:
                self.sample(family, line, at, seen)

    def comment(self, family, m, at):
        word, name, rest = m.groups()
        if word == "HELP":
            if name in self.families:
                raise Broken("%s: family %s twice" % (at, name))
            family = self.families[name] = Family(name)
            family.help = rest
            return family
        if family is None or family.name != name or family.type is not None:
            raise Broken("%s: TYPE of %s does not follow its HELP" % (at, name))
        if rest not in ("counter", "gauge", "histogram", "summary"):
            raise Broken("%s: type %r" % (at, rest))
        family.type = rest
        return family

    def sample(self, family, line, at, seen):
        m = NAME.match(line)
        if not m or family is None or family.type is None:
            raise Broken("%s: a sample without a family: %r" % (at, line[:80]))
        name, rest = m.group(0), line[m.end():]
        ends = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}.get(family.type, ("",))
        if name not in [family.name + end for end in ends]:
            raise Broken("%s: %s stands in family %s" % (at, name, family.name))
        labels = {}
        if rest.startswith("{"):
            end = rest.rindex("}")
            labels, rest = parse_labels(rest[1:end], at), rest[end + 1:]
        if not rest.startswith(" ") or " " in rest[1:]:
            raise Broken("%s: one blank and one value, please: %r" % (at, rest))
        value = parse_value(rest[1:], at)
        key = (name, tuple(sorted(labels.items())))
        if key in seen:
            raise Broken("%s: twice: %s %s" % (at, name, labels))
        seen.add(key)
        if family.type != "gauge" and value < 0:
            raise Broken("%s: a negative counter: %s" % (at, line))
        family.samples.append((name, labels, value))
        self.by_name.setdefault(name, []).append((labels, value))

    def check_histogram(self, family):
        rows = {}
        for name, labels, value in family.samples:
            own = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
            row = rows.setdefault(own, {"buckets": []})
            if name.endswith("_bucket"):
                row["buckets"].append((float(labels["le"].replace("Inf", "inf")), value))
            else:
                row[name[len(family.name) + 1:]] = value
        for own, row in rows.items():
            bounds = [b for b, _ in row["buckets"]]
            counts = [c for _, c in row["buckets"]]
            what = "%s%s" % (family.name, dict(own))
            if not bounds or bounds != sorted(set(bounds)) or bounds[-1] != math.inf:
                raise Broken("%s: bounds %s" % (what, bounds))
            if counts != sorted(counts):
                raise Broken("%s: buckets are not cumulative: %s" % (what, counts))
            if counts[-1] != row.get("count"):
                raise Broken("%s: +Inf is %s, count is %s" % (what, counts[-1], row.get("count")))
            if "sum" not in row:
                raise Broken("%s: no sum" % what)

    def all(self, name, /, **labels):
        """[(labels, value)] of the samples that have at least these labels."""
        wanted = labels.items()
        return [(own, value) for own, value in self.by_name.get(name, []) if all(own.get(k) == v for k, v in wanted)]

    def sum(self, name, /, **labels):
        return sum(value for _, value in self.all(name, **labels))

    def get(self, name, /, **labels):
        """The one sample with these labels."""
        found = self.all(name, **labels)
        if len(found) != 1:
            raise AssertionError("%s%s: %d samples instead of one" % (name, labels, len(found)))
        return found[0][1]

    def counters(self):
        """{(name, labels): value} of everything that must never go backwards."""
        return {(name, tuple(sorted(labels.items()))): value for family in self.families.values() if family.type != "gauge"
                for name, labels, value in family.samples}
