# SPDX-License-Identifier: Apache-2.0
"""Known work for a CPU."""
import os
import time


def burn(cpu, seconds):
    os.sched_setaffinity(0, {cpu})
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def burn_wall(cpu, seconds):
    os.sched_setaffinity(0, {cpu})
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def last_cpu():
    return max(os.sched_getaffinity(0))
