# SPDX-License-Identifier: Apache-2.0
"""
Known work inside a container, whose root has no Python: in_container() are the words that mount the machine's, options() the mounts.
hold BYTES: on SIGUSR1 touches that much anonymous memory, once, and stays. write PATH BYTES: with O_DIRECT. receive PORT BYTES, send ADDRESS PORT
BYTES: by TCP, until the other has all of it. datagrams ADDRESS NUMBER BYTES: by UDP.
"""
import mmap
import os
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
kept = []


def options():
    folders = [(folder, folder) for folder in ("/usr", "/lib", "/lib64") if os.path.exists(folder)] + [(HERE, "/e2e")]
    return ("-e", "PYTHONDONTWRITEBYTECODE=1") + sum((("-v", "%s:%s:ro" % pair) for pair in folders), ())


def in_container(*words):
    return (PYTHON, "/e2e/load.py") + tuple(map(str, words))


def touch(size):
    area = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.write(b"\xaa" * size)
    kept.append(area)


def hold(size):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    print("ready", flush=True)
    signal.sigwait([signal.SIGUSR1])
    touch(int(size))
    print("held", flush=True)
    signal.pause()


def write(path, size):
    import disk
    disk.direct(path, int(size), 65536, True)


def receive(port, size):
    left = int(size)
    with socket.create_server(("0.0.0.0", int(port))) as server:
        s, _ = server.accept()
        with s:
            while left:
                left -= len(s.recv(min(left, 65536)))
            s.sendall(b"k")


def connect(address):
    end = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(address, 5)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def send(address, port, size):
    with connect((address, int(port))) as s:
        s.settimeout(30)
        for left in range(int(size), 0, -65536):
            s.sendall(b"\x42" * min(left, 65536))
        if s.recv(1) != b"k":
            raise OSError("the other has ended")


def datagrams(address, number, size):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(int(number)):
            s.sendto(b"\x42" * int(size), (address, 5003))


if __name__ == "__main__":
    {f.__name__: f for f in (hold, write, receive, send, datagrams)}[sys.argv[1]](*sys.argv[2:])
