# SPDX-License-Identifier: Apache-2.0
"""What the program needs of the machine: shared by image and deb."""
import os
import platform
import re
import subprocess
import sys
import tempfile

LOADED_ON_USE = re.compile(rb"lib[a-z][a-z0-9_-]*\.so\.[0-9][0-9.]*(?=\0)")


def output_of(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ, LC_ALL="C")).stdout


def closure(path):
    """Paths of the libraries that the loader would load for it, itself included: [(as named, where it is)]."""
    found = []
    for line in output_of("ldd", path).splitlines():
        words = line.split()
        if "not found" in line:
            sys.exit("image: %s needs %s, which is not installed" % (path, words[0]))
        if len(words) >= 3 and words[1] == "=>":
            found.append((words[0], words[2]))
        elif words and words[0].startswith("/"):
            found.append((words[0], words[0]))
    return found


def needed(path):
    """Names of the libraries that it is linked with itself."""
    return re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-d", path))


def loaded_on_use(program):
    """
    [(name, path)] of libraries named in the program, as user/base/library.c is given them, that are installed and not linked with.
    libcurl-gnutls: instead of libcurl.
    """
    with open(program, "rb") as f:
        names = {name.decode() for name in LOADED_ON_USE.findall(f.read())} - set(needed(program))
    cache = {}
    for line in output_of("/sbin/ldconfig", "-p").splitlines():
        name, _, path = line.strip().partition(" => ")
        if path and ("x86-64" in name or platform.machine() != "x86_64"):
            cache.setdefault(name.split()[0], path)
    if "libcurl.so.4" in cache:
        names.discard("libcurl-gnutls.so.4")
    names.add("libgcc_s.so.1")  # the C library's own, when a thread ends early
    return [(name, cache[name]) for name in sorted(names) if name in cache]


def libraries(program):
    """{path in the image: path here}. Each stands where it stands here, since that is where the loader looks."""
    wanted = closure(program)
    for name, path in loaded_on_use(program):
        wanted += [(name, path)] + closure(path)
    found = {}
    for name, path in wanted:
        if name.startswith("/"):  # the loader: its path is written in the program
            found[name.lstrip("/")] = os.path.realpath(path)
        else:
            folder = os.path.realpath(os.path.dirname(path)).lstrip("/")
            found[folder + "/" + os.path.basename(name)] = os.path.realpath(path)
    return found


def stripped(program):
    """Without what a debugger needs; names of functions stay, for perf."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["strip", "--strip-debug", "-o", folder + "/cgmeter", program], check=True)
        with open(folder + "/cgmeter", "rb") as f:
            return f.read()
