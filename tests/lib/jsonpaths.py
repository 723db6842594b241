# SPDX-License-Identifier: Apache-2.0
"""The key paths of a JSON text with their types: {"a": [{"b": 1}]} has "a", "a[]" and "a[].b number". Names that are data are "*"."""

# Objects whose keys are data: by the end of their path ("" is the whole text, when its keys are names of containers).
MAPS = ("disk_map", "io_service_bytes[].stats", "io_serviced[].stats", "numa_stats.file", "numa_stats.anon", "numa_stats.unevictable", "hugetlb")


def kind(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "array", dict: "object", type(None): "null"}[type(value)]


def paths(value, where=""):
    """A set of (path, type)."""
    found = {(where, kind(value))}
    if isinstance(value, list):
        for element in value:
            found |= paths(element, where + "[]")
    elif isinstance(value, dict):
        data = where.endswith(MAPS) or (where == "" and value and all(key.startswith("/") for key in value))
        for key, member in value.items():
            found |= paths(member, "%s.%s" % (where, "*" if data else key) if where else "*" if data else key)
    return found
