#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Block I/O on a loop device of our own, against the device's and the cgroup's own counts."""
import lib
from disk import Loop, direct
from cgroups import read, trees
from lib import equal, near

MIB = 1 << 20
BYTES = "cgmeter_container_block_bytes_total"
DIRTIED = "cgmeter_container_dirtied_bytes_total"
REQUESTS = "cgmeter_container_block_requests_total"


def buffered(path, size):
    with open(path, "wb") as f:
        for _ in range(size // MIB):
            f.write(b"\x5a" * MIB)


def of(metrics, name, cgroup_path, loop, operation):
    return metrics.sum(name, id=cgroup_path, device=loop.device, operation=operation)


def test_block__direct_io_is_exact(t):
    agent = t.bpf_agent(groups=["block_rq_complete"])
    loop = Loop(t, 64)
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    for write, operation in ((True, "write"), (False, "read")):
        worker = cgroup.worker(direct, loop.device, 16 * MIB, 64 * 1024, write)
        before, device = agent.fresh(), loop.stat()
        worker.run()
        after, now = agent.fresh(), loop.stat()
        device_bytes = now[3] - device[3] if write else now[1] - device[1]
        device_requests = now[2] - device[2] if write else now[0] - device[0]
        equal(device_bytes, 16 * MIB, "the device's own bytes (%s)" % operation)
        equal(of(after, BYTES, cgroup.path, loop, operation) - of(before, BYTES, cgroup.path, loop, operation), 16 * MIB, operation + " bytes")
        equal(of(after, REQUESTS, cgroup.path, loop, operation) - of(before, REQUESTS, cgroup.path, loop, operation), device_requests,
              operation + " requests")
        for family in ("cgmeter_container_block_latency_seconds", "cgmeter_container_block_service_seconds"):
            count = of(after, family + "_count", cgroup.path, loop, operation) - of(before, family + "_count", cgroup.path, loop, operation)
            equal(count, device_requests, family)
        queue = of(after, "cgmeter_container_block_latency_seconds_sum", cgroup.path, loop, operation)
        issue = of(after, "cgmeter_container_block_service_seconds_sum", cgroup.path, loop, operation)
        assert 0 < issue <= queue, "issue->done %s, queue->done %s" % (issue, queue)
        equal(of(after, "cgmeter_container_block_in_flight", cgroup.path, loop, operation), 0, "in flight")
    # The page's and cAdvisor's numbers are the same counts.
    files = "container_fs_%s_bytes_total"
    equal(after.sum(files % "writes", id=cgroup.path, device=loop.device), 16 * MIB, "container_fs_writes_bytes_total")
    equal(after.sum(files % "reads", id=cgroup.path, device=loop.device), 16 * MIB, "container_fs_reads_bytes_total")
    stats = agent.json("/api/v1.3/containers" + cgroup.path, num_stats=1)["stats"][0]["diskio"]["io_service_bytes"]
    rows = [row for row in stats if "%d:%d" % (row["major"], row["minor"]) == loop.number]
    equal([(row["stats"]["Read"], row["stats"]["Write"]) for row in rows], [(16 * MIB, 16 * MIB)], "diskio.io_service_bytes")
    if trees.v2:
        io = [line for line in read(cgroup.file("blkio", "io.stat")).splitlines() if line.startswith(loop.number + " ")]
        fields = dict(word.split("=") for word in io[0].split()[1:])
        equal((int(fields["rbytes"]), int(fields["wbytes"])), (16 * MIB, 16 * MIB), "io.stat")


def test_block__writeback_belongs_to_whoever_wrote(t):
    agent = t.bpf_agent(groups=["block_rq_complete"])
    loop = Loop(t, 128)
    folder = loop.mount(t)
    cgroup = t.cgroup()
    worker = cgroup.worker(buffered, folder + "/file", 32 * MIB)
    agent.knows(cgroup.path)
    t.command("sync", "-f", folder)
    before = agent.fresh()
    worker.run()
    t.command("sync", "-f", folder)  # by a task outside
    after = agent.fresh()
    ours = of(after, BYTES, cgroup.path, loop, "write") - of(before, BYTES, cgroup.path, loop, "write")
    machine = of(after, BYTES, "/", loop, "write") - of(before, BYTES, "/", loop, "write")
    assert machine >= 32 * MIB, "the machine wrote %d" % machine
    if trees.v2:
        near(ours, 32 * MIB, relative=0.01, what="bytes written back")
    else:
        # On v1 the kernel has no link from dirty pages to a blkio cgroup: they are the root's.
        assert ours <= 0.01 * 32 * MIB, "the cgroup is charged with %d bytes, which v1 gives to the root" % ours


def write_bytes():
    try:
        return next(int(line.split()[1]) for line in read("/proc/self/io").splitlines() if line.startswith("write_bytes:"))
    except (OSError, StopIteration):
        return None


def dirty_and_account(path, size):
    """Writes; what the kernel's own account of the task says was made dirty, None without such an account."""
    before = write_bytes()
    buffered(path, size)
    return None if before is None else write_bytes() - before


def test_block__two_cgroups_are_kept_apart(t):
    agent = t.bpf_agent(groups=["block_rq_complete"])
    loop = Loop(t, 32)
    cgroups = [t.cgroup(), t.cgroup()]
    for cgroup, mib in zip(cgroups, (3, 5)):
        agent.knows(cgroup.path)
        cgroup.worker(direct, loop.device, mib * MIB, 4096 * 16, True).run()
    metrics = agent.fresh()
    for cgroup, mib in zip(cgroups, (3, 5)):
        equal(of(metrics, BYTES, cgroup.path, loop, "write"), mib * MIB, "bytes of " + cgroup.path)


def test_block__dirtied_bytes_are_of_who_wrote(t):
    """On v1, too, where the writeback itself is charged to the root."""
    agent = t.bpf_agent(groups=["writeback_dirty"])
    loop = Loop(t, 128)
    folder = loop.mount(t)
    one, two = t.cgroup(), t.cgroup()
    workers = [cgroup.worker(dirty_and_account, "%s/%d" % (folder, mib), mib * MIB) for cgroup, mib in ((one, 24), (two, 8))]
    for cgroup in (one, two):
        agent.knows(cgroup.path)
    t.command("sync", "-f", folder)
    before = agent.fresh()
    accounts = [worker.run() for worker in workers]
    after = agent.fresh()
    for cgroup, mib, account in zip((one, two), (24, 8), accounts):
        ours = after.sum(DIRTIED, id=cgroup.path, device=loop.device) - before.sum(DIRTIED, id=cgroup.path, device=loop.device)
        if account is not None:
            equal(ours, account, "dirtied bytes against write_bytes of the task")
        # The file's data, and a few blocks of ext4's own (its maps of blocks and inodes).
        assert mib * MIB <= ours <= mib * MIB * 1.01, "dirtied %d of %d" % (ours, mib * MIB)
        equal(after.sum(DIRTIED, id=cgroup.path), after.sum(DIRTIED, id=cgroup.path, device=loop.device), "other devices")
    machine = after.sum(DIRTIED, id="/", device=loop.device) - before.sum(DIRTIED, id="/", device=loop.device)
    assert machine >= 32 * MIB, "the machine dirtied %d" % machine
    if not trees.v2:
        t.command("sync", "-f", folder)
        equal(of(agent.fresh(), BYTES, one.path, loop, "write"), 0, "bytes written back that v1 charges to the cgroup")


def rows_of(agent, cgroup_path, array, loop):
    stats = agent.json("/api/v1.3/containers" + cgroup_path, num_stats=1)["stats"][0]["diskio"][array]
    return [row["stats"] for row in stats if "%d:%d" % (row["major"], row["minor"]) == loop.number]


def test_block__fields_that_only_cfq_had(t):
    """io_service_time, io_wait_time, io_queued, sectors, io_merged and io_time, which cAdvisor leaves empty on v2."""
    agent = t.bpf_agent(groups=["block_rq_complete"])
    loop = Loop(t, 32)
    cgroup = t.cgroup()
    agent.knows(cgroup.path)
    worker = cgroup.worker(direct, loop.device, 16 * MIB, 64 * 1024, True)
    before = loop.fields()
    worker.run()
    after = loop.fields()
    metrics = agent.fresh()
    service, wait, queued, sectors, merged, busy = (rows_of(agent, cgroup.path, array, loop)[0] for array in (
        "io_service_time", "io_wait_time", "io_queued", "sectors", "io_merged", "io_time"))
    equal(sectors["Count"], 16 * MIB // 512, "sectors")
    equal(sectors["Count"], after[6] - before[6], "sectors of the device")
    equal((queued["Read"], queued["Write"], queued["Total"]), (0, 0, 0), "io_queued")
    equal((merged["Read"], merged["Write"]), (after[1] - before[1], after[5] - before[5]), "merges of the device")
    assert 0 < service["Write"] == service["Total"], service
    assert wait["Write"] == wait["Total"], wait
    # One request after the other: the device is busy just while one is with the driver.
    near(busy["Count"], service["Total"] / 1e6, absolute=1, what="io_time in ms")
    # The device's own clocks tick in jiffies of up to 10 ms; its time of writes (ms) includes the queue.
    near((service["Write"] + wait["Write"]) / 1e6, after[7] - before[7], relative=0.2, absolute=20, what="time of writes")
    near(busy["Count"], after[9] - before[9], relative=0.25, absolute=lib.by_speed(20, 200), what="busy time of the device")
    near(metrics.get("container_fs_io_time_seconds_total", id=cgroup.path, device=loop.device), busy["Count"] / 1000, absolute=0.002, what="io_time_seconds")
    equal(metrics.get("container_fs_writes_merged_total", id=cgroup.path, device=loop.device), merged["Write"], "writes_merged")


lib.main(globals())
