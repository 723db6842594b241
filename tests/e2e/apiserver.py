# SPDX-License-Identifier: Apache-2.0
"""As much of a Kubernetes API server as is asked who may ask: TokenReview and SubjectAccessReview over TLS, in the words of the real one; and a list of pods."""
import http.server
import json
import os
import socket
import ssl
import threading

OWN_TOKEN = "token-of-the-agent-itself"
REVIEWS = {"/apis/authentication.k8s.io/v1/tokenreviews": "TokenReview", "/apis/authorization.k8s.io/v1/subjectaccessreviews": "SubjectAccessReview"}


class ApiServer:
    """users: {token: (name, [group])}; rules: {(name or group, verb, subresource)} of nodes. ca: an authority.Authority with a certificate "api". pods: objects."""

    def __init__(self, ca, users, rules, node, pods=()):
        self.ca, self.users, self.rules, self.node, self.pods = ca, users, rules, node, list(pods)
        self.ended = threading.Event()
        self.asked = []  # (kind, spec)
        self.port = 0
        self.server = None
        self.start()

    def start(self):
        outer = self
        self.ended.clear()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.handle(self)

            def do_GET(self):
                outer.list_pods(self)

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass  # connections that are cut
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca.path("api.crt"), self.ca.path("api.key"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.connections = []
        accept = self.server.get_request

        def get_request():
            connection, address = accept()
            self.connections.append(connection)
            return connection, address
        self.server.get_request = get_request
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        if not self.server:
            return
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.server = None

    def number(self, kind):
        return sum(1 for asked, _ in self.asked if asked == kind)

    def handle(self, request):
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        kind = REVIEWS.get(request.path)
        if request.headers.get("Authorization") != "Bearer " + OWN_TOKEN or not kind or body["kind"] != kind:
            return self.answer(request, 403 if kind else 404, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                                               "message": "not for you", "reason": "Forbidden", "code": 403})
        self.asked.append((kind, body["spec"]))
        status = self.review_token(body["spec"]) if kind == "TokenReview" else self.review_access(body["spec"])
        return self.answer(request, 201, dict(body, metadata={"creationTimestamp": None}, status=status))

    def list_pods(self, request):
        path, _, query = request.path.partition("?")
        if path != "/api/v1/pods" or request.headers.get("Authorization") != "Bearer " + OWN_TOKEN:
            self.answer(request, 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})
        elif "watch=" not in query:
            self.answer(request, 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": self.pods})
        else:  # nothing happens
            request.send_response(200)
            request.send_header("Content-Type", "application/json")
            request.send_header("Connection", "close")
            request.end_headers()
            request.wfile.flush()
            self.ended.wait()

    @staticmethod
    def answer(request, status, what):
        text = json.dumps(what).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def review_token(self, spec):
        user = self.users.get(spec["token"])
        if not user:
            return {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        return {"authenticated": True, "audiences": ["https://kubernetes.default.svc"],
                "user": {"username": user[0], "uid": "7", "groups": user[1] + ["system:authenticated"],
                         "extra": {"authentication.kubernetes.io/pod-name": ["scraper-0"]}}}

    def review_access(self, spec):
        wanted = spec["resourceAttributes"]
        for who in [spec["user"]] + spec["groups"]:
            if wanted["resource"] == "nodes" and wanted["name"] == self.node and (who, wanted["verb"], wanted["subresource"]) in self.rules:
                return {"allowed": True, "reason": "RBAC: allowed by ClusterRoleBinding"}
        return {"allowed": False}

    def kubeconfig(self, directory):
        """Its path."""
        path = os.path.join(directory, "kubeconfig")
        with open(path, "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:%d" % self.port, "certificate-authority": self.ca.path("ca.crt")}}],
                       "users": [{"name": "c", "user": {"token": OWN_TOKEN}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}, f)
        return path
