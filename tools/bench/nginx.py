# SPDX-License-Identifier: Apache-2.0
"""An nginx of our own that serves one file, on a free loopback port."""
import collections
import contextlib
import os
import signal
import socket
import subprocess
import tempfile

import common  # noqa: F401, the way to tests/e2e
from agent import free_port, wait_for

Target = collections.namedtuple("Target", "port")  # what scrape's fetch() takes
NGINX = """
daemon off; master_process off; pid %(dir)s/pid; error_log %(dir)s/error; worker_rlimit_nofile 1024;
events { worker_connections 256; }
http {
    access_log off; keepalive_requests 1000000000; keepalive_timeout 3600;
    client_body_temp_path %(dir)s/1; proxy_temp_path %(dir)s/2; fastcgi_temp_path %(dir)s/3; uwsgi_temp_path %(dir)s/4; scgi_temp_path %(dir)s/5;
    server { listen 127.0.0.1:%(port)d; location /status { stub_status; } location / { root %(dir)s; } }
}
"""


@contextlib.contextmanager
def started(*command):
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True)
    try:
        yield p
    finally:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def serving(content, *before):
    """Its port; / and /index.html are that content. before: a command that starts it, as taskset does."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="cgmbench-") as d:
        with open(d + "/nginx.conf", "w") as f:
            f.write(NGINX % {"dir": d, "port": port})
        with open(d + "/index.html", "wb") as f:
            f.write(content)
        os.chmod(d, 0o755)
        with started(*before, "nginx", "-p", d, "-c", d + "/nginx.conf"):
            wait_for(lambda: is_open(port), 10, "nginx")
            yield port
