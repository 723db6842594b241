# SPDX-License-Identifier: Apache-2.0
"""Many kubelets in one thread, of which each answer bears its number: what a node has told can be counted where it arrives."""
import asyncio
import json
import os
import threading
import time

from heapster import stamp


class Fleet:
    """
    Each node tells a working set of as many bytes as it has been asked for summaries. told: {name: [time of each answer]}, so number N is told[name][N - 1].
    They have a loopback address of their own: who still asks for a port that another test had there would be counted.
    """

    def __init__(self, nr_nodes, nr_pods):
        self.nr_pods, self.told, self.lock, self.servers, self.born = nr_pods, {}, threading.Lock(), [], time.time() - 3600
        self.address = "127.%d.%d.9" % (64 + os.getpid() // 250 % 128, 1 + os.getpid() % 250)
        self.loop, ready = asyncio.new_event_loop(), threading.Event()

        async def start():
            for _ in range(nr_nodes):
                server = await asyncio.start_server(self.serve, self.address, 0)
                self.servers.append(server)
                self.told["%s:%d" % server.sockets[0].getsockname()] = []
            ready.set()

        def run():
            asyncio.set_event_loop(self.loop)
            self.loop.create_task(start())
            self.loop.run_forever()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            for server in self.servers:
                server.close()
            self.loop.close()
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert ready.wait(20), "a fleet that does not start"
        self.source = "--source=nodes:" + ",".join("http://" + name for name in self.told)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)

    async def serve(self, reader, writer):
        name = "%s:%d" % writer.get_extra_info("sockname")
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:")]
                if length:
                    await reader.readexactly(length[0])
                found = head.split(" ")[1].startswith("/stats/summary")
                body = self.summary(name) if found else b"404 page not found\n"
                writer.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (b"200 OK" if found else b"404 Not Found", len(body), body))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    def summary(self, name):
        now = time.time()
        with self.lock:
            self.told[name].append(now)
            number = len(self.told[name])
        use = {"startTime": stamp(self.born), "cpu": {"time": stamp(now), "usageCoreNanoSeconds": int((int(now) - int(self.born)) * 10**8)},
               "memory": {"time": stamp(now), "usageBytes": 1 << 20, "workingSetBytes": number, "rssBytes": 1 << 19, "pageFaults": number, "majorPageFaults": 0}}
        network = {"time": stamp(now), "name": "eth0", "rxBytes": number, "rxErrors": 0, "txBytes": number, "txErrors": 0}
        disk = {"time": stamp(now), "availableBytes": 600, "capacityBytes": 1000, "usedBytes": 400, "inodes": 10, "inodesFree": 9}
        pods = [{"podRef": {"name": "pod-%d-%s" % (i, name.partition(":")[2]), "namespace": "default", "uid": "uid-%d-%s" % (i, name)}, "startTime": stamp(self.born), "network": network,
                 "containers": [dict(use, name="web", rootfs=disk, logs=disk)]} for i in range(self.nr_pods)]
        return json.dumps({"node": dict(use, nodeName=name, fs=disk, network=network), "pods": pods}).encode()

    def numbers(self):
        """{name: how often it has told}"""
        with self.lock:
            return {name: len(times) for name, times in self.told.items()}
