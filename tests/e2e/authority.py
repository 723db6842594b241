# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by openssl."""
import os
import subprocess

from cgroups import read


def run(*words, **options):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options).stdout


def replace(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


class Authority:
    """Makes certificates: self.make("server", "serverAuth") writes server.crt and server.key."""

    def __init__(self, directory, name="ca"):
        self.dir, self.name = directory, name
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=" + name,
            "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt"))

    def path(self, name):
        return os.path.join(self.dir, name)

    def make(self, name, purpose, subject="IP:127.0.0.1", names=None):
        """names: its whole subject; "/CN=" and its name otherwise."""
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", names or "/CN=" + name,
            "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        with open(self.path("ext"), "w") as f:
            f.write("subjectAltName=%s\nextendedKeyUsage=%s\n" % (subject, purpose))
        run("openssl", "x509", "-req", "-days", "30", "-in", self.path(name + ".csr"), "-CA", self.path(self.name + ".crt"),
            "-CAkey", self.path(self.name + ".key"), "-CAcreateserial", "-extfile", self.path("ext"), "-out", self.path(name + ".crt"))

    def serve(self, name):
        """server.crt and server.key become those of that name, as a tool that renews does it: one file after the other."""
        for kind in ("crt", "key"):
            replace(self.path("served." + kind), read(self.path(name + "." + kind)))
