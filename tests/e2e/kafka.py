# SPDX-License-Identifier: Apache-2.0
"""librdkafka's mock of a Kafka cluster, and a consumer of it, through ctypes: Debian has no broker. And TLS before it."""
import ctypes
import select
import socket
import ssl
import struct
import threading
import time

import lib


def load():
    try:
        k = ctypes.CDLL("librdkafka.so.1")
    except OSError:
        raise lib.Skip("librdkafka.so.1")
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new", "rd_kafka_topic_partition_list_new",
                 "rd_kafka_topic_partition_list_add", "rd_kafka_consumer_poll"):
        getattr(k, name).restype = ctypes.c_void_p
    k.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return k


class Message(ctypes.Structure):
    _fields_ = [("err", ctypes.c_int), ("topic", ctypes.c_void_p), ("partition", ctypes.c_int32), ("payload", ctypes.c_void_p),
                ("len", ctypes.c_size_t), ("key", ctypes.c_void_p), ("key_len", ctypes.c_size_t), ("offset", ctypes.c_int64)]


class Partition(ctypes.Structure):
    _fields_ = [("topic", ctypes.c_char_p), ("partition", ctypes.c_int32), ("offset", ctypes.c_int64)]


PRODUCER, CONSUMER, BEGINNING = 0, 1, -2


class Cluster:
    def __init__(self, t, topic):
        self.k, self.topic, self.thread = load(), topic, None
        self.owner = self.client(PRODUCER, log_level="0")
        self.mock = ctypes.c_void_p(self.k.rd_kafka_mock_cluster_new(self.owner, 1))
        assert self.k.rd_kafka_mock_topic_create(self.mock, topic.encode(), 1, 1) == 0
        self.brokers = self.k.rd_kafka_mock_cluster_bootstraps(self.mock).decode()
        t.callback(self.stop)

    def client(self, kind, **settings):
        conf, fault = ctypes.c_void_p(self.k.rd_kafka_conf_new()), ctypes.create_string_buffer(256)
        for name, value in settings.items():
            assert self.k.rd_kafka_conf_set(conf, name.replace("_", ".").encode() if name != "log_level" else b"log_level", value.encode(), fault, 256) == 0, fault.value
        client = self.k.rd_kafka_new(kind, conf, fault, 256)
        assert client, fault.value
        return ctypes.c_void_p(client)

    def down(self, is_down):
        (self.k.rd_kafka_mock_broker_set_down if is_down else self.k.rd_kafka_mock_broker_set_up)(self.mock, 1)

    def start_reading(self):
        """From the beginning, and all the while: the mock keeps only some MB."""
        self.found, self.wanted, self.until = [], None, None
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def stop_reading(self, number):
        """The messages: that many, and those that come within a second after them."""
        self.until, self.wanted = time.monotonic() + 20, number
        self.thread.join()
        self.thread = None
        return self.found

    def read(self):
        reader = self.client(CONSUMER, bootstrap_servers=self.brokers, group_id="test", log_level="0")
        parts = ctypes.c_void_p(self.k.rd_kafka_topic_partition_list_new(1))
        part = self.k.rd_kafka_topic_partition_list_add(parts, self.topic.encode(), 0)
        ctypes.cast(part, ctypes.POINTER(Partition)).contents.offset = BEGINNING
        assert self.k.rd_kafka_assign(reader, parts) == 0
        self.k.rd_kafka_topic_partition_list_destroy(parts)
        while self.until is None or time.monotonic() < self.until:
            message = self.k.rd_kafka_consumer_poll(reader, 100)
            if self.wanted is not None and len(self.found) >= self.wanted:
                self.wanted, self.until = None, time.monotonic() + 1
            if not message:
                continue
            m = ctypes.cast(message, ctypes.POINTER(Message)).contents
            if not m.err:
                self.found.append(ctypes.string_at(m.payload, m.len))
            self.k.rd_kafka_message_destroy(ctypes.c_void_p(message))
        self.k.rd_kafka_consumer_close(reader)
        self.k.rd_kafka_destroy(reader)

    def stop(self):
        if self.thread:
            self.until = 0
            self.thread.join()
        self.k.rd_kafka_mock_cluster_destroy(self.mock)
        self.k.rd_kafka_destroy(self.owner)


API_VERSIONS = 18  # the request that a client begins with


class Tls:
    """
    TLS in front of the mock, which has none. What a client says goes on to the broker; in the broker's answers its address becomes ours, so
    that the client comes here again. Every request and answer has its length in front, four bytes.
    """

    def __init__(self, t, cluster, context):
        host, port = cluster.brokers.split(":")
        self.broker, self.context = (host, int(port)), context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.told, self.mine = self.advertised(host, int(port)), self.advertised(*self.listener.getsockname())
        self.peers, self.faults = [], []  # the names in clients' certificates; what went wrong in handshakes
        self.connections = []  # the kinds of requests of each
        threading.Thread(target=self.accept, daemon=True).start()
        t.callback(self.listener.close)

    @staticmethod
    def advertised(host, port):
        return host.encode() + struct.pack(">i", port)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, self.context.wrap_socket(client, server_side=True) as tls, socket.create_connection(self.broker) as plain:
                self.peers.append(dict(pair[0] for pair in (tls.getpeercert() or {}).get("subject", ())).get("commonName"))
                requests = []
                self.connections.append(requests)
                self.carry(tls, plain, requests)
        except OSError as fault:  # also of TLS
            self.faults.append(str(fault))

    def carry(self, tls, plain, requests):
        waiting = {tls: b"", plain: b""}
        while True:
            for one in [tls] if tls.pending() else select.select([tls, plain], [], [])[0]:
                more = one.recv(65536)
                if not more:
                    return
                waiting[one] += more
                while len(waiting[one]) >= 4 and len(waiting[one]) >= 4 + struct.unpack(">i", waiting[one][:4])[0]:
                    end = 4 + struct.unpack(">i", waiting[one][:4])[0]
                    whole, waiting[one] = waiting[one][:end], waiting[one][end:]
                    if one is tls:
                        requests.append(struct.unpack(">h", whole[4:6])[0])
                        plain.sendall(whole)
                    else:
                        tls.sendall(whole.replace(self.told, self.mine))


def tls_context(certificate, key, client_ca):
    """That lets in none but clients with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
