#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may ask: certificates made by openssl, passwords by htpasswd and htdigest, asked with curl and openssl as people do."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

import lib
from authority import Authority, replace, run
from cgroups import read
from lib import by_speed, equal, wait_for

TOKEN = "0123456789abcdef-token"
ROUTES = ["/", "/metrics", "/api/v1.3/containers/", "/api/v1.3/machine", "/api/cgmeter/tree", "/static/app.js", "/containers/", "/nothing"]


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise lib.Skip(program)


def scratch(t):
    directory = tempfile.mkdtemp(prefix="cgmtest-access-")
    t.callback(shutil.rmtree, directory)
    return directory


def shown(agent):
    """The name in the certificate that openssl's client is shown."""
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % agent.port], input="", stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    found = re.search(r"subject=\s*CN\s*=\s*(\S+)", done.stdout)
    return found.group(1) if found else "nothing"


def curl(agent, path, *options, scheme="http"):
    """The status; 0 when there was no answer."""
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", *options,
                           "%s://127.0.0.1:%d%s" % (scheme, agent.port, path)], stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def tls_agent(t, ca, *options):
    context = ssl.create_default_context(cafile=ca.path("ca.crt"))
    return t.agent("--bpf=off", "--tls_cert_file=" + ca.path("served.crt"), "--tls_key_file=" + ca.path("served.key"), *options, tls=context)


def test_tls__a_new_certificate_without_dropping_connections(t):
    need("openssl", "curl")
    ca = Authority(scratch(t))
    ca.make("first", "serverAuth")
    ca.make("second", "serverAuth")
    ca.serve("first")
    agent = tls_agent(t, ca)
    equal(curl(agent, "/metrics", "--cacert", ca.path("ca.crt"), scheme="https"), 200, "curl")
    equal(curl(agent, "/metrics", "--cacert", ca.path("ca.crt"), "--tls-max", "1.2", scheme="https"), 200, "TLS 1.2")
    equal(curl(agent, "/metrics", scheme="https"), 0, "curl that does not know the authority")
    equal(curl(agent, "/metrics"), 0, "plain HTTP")
    equal(shown(agent), "first", "certificate")
    old = agent.tls.wrap_socket(socket.create_connection(("127.0.0.1", agent.port), timeout=20), server_hostname="127.0.0.1")
    t.callback(old.close)

    def ask_old():
        old.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return old.recv(4096)[9:12]

    equal(ask_old(), b"200", "connection before")
    ca.serve("second")
    wait_for(lambda: shown(agent) == "second", 10, "new certificate by itself")
    equal(ask_old(), b"200", "connection after")
    ca.serve("first")
    agent.send(signal.SIGHUP)
    wait_for(lambda: shown(agent) == "first", 5, "new certificate after SIGHUP")
    # A pair that does not fit: what was there stays.
    replace(ca.path("served.crt"), read(ca.path("second.crt")))
    wait_for(lambda: "do not match" in agent.log() and "stays in use" in agent.log(), 10, "complaint")
    equal(shown(agent), "first", "certificate")
    equal(ask_old(), b"200", "connection in the end")
    agent.wait_ticks()
    metrics = agent.metrics()
    assert metrics.get("cgmeter_http_reloads_total", result="ok") >= 2, "reloads"
    assert metrics.get("cgmeter_http_reloads_total", result="failed") >= 1, "failed reloads"
    left = metrics.get("cgmeter_tls_certificate_not_after_seconds") - time.time()
    assert 29 * 86400 < left < 31 * 86400, "the certificate ends in %d s" % left


def test_tls__client_certificates(t):
    need("openssl", "curl")
    ca, other = Authority(scratch(t)), Authority(scratch(t))
    ca.make("server", "serverAuth")
    ca.make("client", "clientAuth")
    other.make("client", "clientAuth")
    ca.serve("server")

    def ask(agent, *options):
        return curl(agent, "/healthz", "--cacert", ca.path("ca.crt"), *options, scheme="https")

    context = ssl.create_default_context(cafile=ca.path("ca.crt"))
    context.load_cert_chain(ca.path("client.crt"), ca.path("client.key"))
    agent = t.agent("--bpf=off", "--tls_cert_file=" + ca.path("served.crt"), "--tls_key_file=" + ca.path("served.key"),
                    "--tls_client_ca_file=" + ca.path("ca.crt"), tls=context)
    equal(ask(agent, "--cert", ca.path("client.crt"), "--key", ca.path("client.key")), 200, "a client of ours")
    equal(ask(agent), 0, "a client without a certificate")
    equal(ask(agent, "--cert", other.path("client.crt"), "--key", other.path("client.key")), 0, "a client of another authority")
    equal(ask(agent, "--cert", ca.path("server.crt"), "--key", ca.path("server.key")), 0, "a certificate for servers")


def login_files(t):
    directory = scratch(t)
    passwords, digests, tokens = (os.path.join(directory, name) for name in ("htpasswd", "htdigest", "tokens"))
    run("htpasswd", "-cbB", "-C", "10", passwords, "bea", "b secret:1")
    run("htpasswd", "-bm", passwords, "amy", "a secret")
    run("htpasswd", "-bs", passwords, "sue", "s secret")
    with open(passwords, "a") as f:
        f.write("joe:%s\nkim:%s\n" % (run("openssl", "passwd", "-6", "j secret").strip(), run("openssl", "passwd", "-5", "k secret").strip()))
    write_digest(digests)
    replace(tokens, "# Prometheus\n%s\n" % TOKEN)
    return passwords, digests, tokens


def write_digest(path):
    """htdigest reads from a terminal alone: the same line, made by openssl."""
    digest = run("openssl", "md5", "-r", input="dee:cgmeter:d secret").split()[0]
    replace(path, "dee:cgmeter:%s\n" % digest)


def test_login__all_ways_over_all_routes(t):
    need("curl", "htpasswd", "openssl")
    passwords, digests, tokens = login_files(t)
    agent = t.agent("--bpf=off", "--http_auth_file=" + passwords, "--http_digest_file=" + digests, "--http_digest_realm=cgmeter",
                    "--http_token_file=" + tokens, headers={"Authorization": "Bearer " + TOKEN})
    for route in ROUTES:
        equal(curl(agent, route), 401, route + " without a login")
        good = {"/nothing": 404, "/containers/": 307}.get(route, 200)
        equal(curl(agent, route, "-H", "Authorization: Bearer " + TOKEN), good, route + " with a token")
        equal(curl(agent, route + "?a=b%20c", "--digest", "-u", "dee:d secret"), good, route + " with a digest")
        for login in ("bea:b secret:1", "amy:a secret", "sue:s secret", "joe:j secret", "kim:k secret"):
            equal(curl(agent, route, "--basic", "-u", login), good, "%s as %s" % (route, login))
    equal(curl(agent, "/healthz"), 200, "/healthz without a login")
    equal(curl(agent, "/metrics", "--digest", "-u", "dee:wrong"), 401, "a wrong digest")
    equal(curl(agent, "/metrics", "--basic", "-u", "bea:wrong secret"), 401, "a wrong password")
    agent.wait_ticks()
    metrics = agent.metrics()
    equal(metrics.get("cgmeter_http_login_failures_total"), 2, "failures")
    equal(metrics.get("cgmeter_http_password_checks_total"), 6, "passwords that were computed")
    for secret in ("secret", TOKEN, "$2y$", "wrong"):
        assert secret not in agent.log(), "the log holds %s" % secret


def test_login__what_cadvisor_leaves_open(t):
    need("curl", "htpasswd", "openssl")
    passwords, _, _ = login_files(t)
    agent = t.agent("--bpf=off", "--http_auth_file=" + passwords, "--http_auth_except=/healthz,/metrics,/api")
    for route in ("/healthz", "/metrics", "/api/v1.3/containers/", "/api/v1.3/machine"):
        equal(curl(agent, route), 200, route)
    for route in ("/", "/containers/", "/static/app.js", "/metricsx", "/apix"):
        equal(curl(agent, route), 401, route)


def test_login__guessing_is_slowed_down(t):
    need("curl", "htpasswd", "openssl")
    passwords, _, _ = login_files(t)
    agent = t.agent("--bpf=off", "--http_auth_file=" + passwords, "--http_auth_except=/healthz,/metrics")
    equal(curl(agent, "/", "-u", "bea:b secret:1"), 200, "a right password")
    statuses = [curl(agent, "/", "-u", "bea:guess %d" % i) for i in range(14)]
    equal(set(statuses[:10]), {401}, "first guesses")
    assert statuses[13] == 429, "guesses: %s" % statuses
    began = time.monotonic()
    equal(curl(agent, "/", "-u", "bea:b secret:1"), 200, "who is known")
    assert time.monotonic() - began < by_speed(0.5, 3), "it waited"
    equal(curl(agent, "/", "-u", "bea:b secret:1", "--interface", "127.0.0.5"), 200, "another address")
    agent.wait_ticks()
    assert agent.metrics().get("cgmeter_http_rejected_total", reason="failed_logins") >= 1, "the count"


def test_start__bad_files_are_named(t):
    directory = scratch(t)
    bad = os.path.join(directory, "bad")
    cases = [
        (["--http_auth_file=" + bad], "alice:plain\n", "--http_auth_file: %s:1: the hash is of no kind" % bad),
        (["--http_digest_file=" + bad], "\nx\n", "--http_digest_file: %s:2: it is not user:realm:digest" % bad),
        (["--http_token_file=" + bad], "secretsecret\n", "--http_token_file: %s:1: a token must have" % bad),
        (["--http_auth_file=/nowhere"], "", "--http_auth_file: cannot read /nowhere: No such file"),
        (["--tls_cert_file=" + bad, "--tls_key_file=" + bad], "x", "--tls_cert_file: %s: " % bad),
    ]
    for options, text, says in cases:
        replace(bad, text)
        done = subprocess.run([lib.PROGRAM, "node", "--bpf=off", "--pin_dir=", "--port=0"] + options, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30)
        equal(done.returncode, 1, "status with %s" % options)
        assert says in done.stdout, "%s does not say %s" % (done.stdout, says)
        assert "plain" not in done.stdout and "secretsecret" not in done.stdout, "a secret is in the log"


lib.main(globals())
